/* Texts that were compiled in: every kind of block against what zlib made, the texts themselves against their files, and damage. */
#include "support/support.h"

#include "evaluator/chat_judge.h"
#include "generator/data.h"

static ts_runtime *runtime;

static int set_up(void **state)
{
    (void)state;
    return ts_runtime_new(&runtime, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    return left != 0;
}

/* zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy) of `sentence`: level 0; level 9 with Z_FIXED. */
static const char sentence[] = "the cat saw the cat that saw the cat, and the cat saw that the cat was the cat.\n";
static const unsigned char stored[] = {
    0x01, 0x50, 0x00, 0xaf, 0xff, 0x74, 0x68, 0x65, 0x20, 0x63, 0x61, 0x74, 0x20, 0x73, 0x61, 0x77, 0x20, 0x74, 0x68, 0x65, 0x20, 0x63,
    0x61, 0x74, 0x20, 0x74, 0x68, 0x61, 0x74, 0x20, 0x73, 0x61, 0x77, 0x20, 0x74, 0x68, 0x65, 0x20, 0x63, 0x61, 0x74, 0x2c, 0x20, 0x61,
    0x6e, 0x64, 0x20, 0x74, 0x68, 0x65, 0x20, 0x63, 0x61, 0x74, 0x20, 0x73, 0x61, 0x77, 0x20, 0x74, 0x68, 0x61, 0x74, 0x20, 0x74, 0x68,
    0x65, 0x20, 0x63, 0x61, 0x74, 0x20, 0x77, 0x61, 0x73, 0x20, 0x74, 0x68, 0x65, 0x20, 0x63, 0x61, 0x74, 0x2e, 0x0a,
};
static const unsigned char fixed[] = {
    0x2b, 0xc9, 0x48, 0x55, 0x48, 0x4e, 0x2c, 0x51, 0x28, 0x4e, 0x2c, 0x57, 0x28, 0x81, 0xb2, 0x4b, 0x32, 0x50, 0x05, 0x74,
    0x14, 0x12, 0xf3, 0x52, 0xe0, 0xb2, 0x10, 0x09, 0xb0, 0x32, 0x88, 0x40, 0x79, 0x62, 0x31, 0x8c, 0xad, 0xc7, 0x05, 0x00,
};

static void blocks_of_every_kind(void **state)
{
    (void)state;
    const ts_packed packed[] = {{stored, sizeof stored, sizeof sentence - 1}, {fixed, sizeof fixed, sizeof sentence - 1}};
    for (size_t i = 0; i < TS_COUNT_OF(packed); i++) {
        char *text;
        assert_int_equal(ts_unpack(runtime, &packed[i], &text), TS_OK);
        assert_string_equal(text, sentence);
        ts_release(runtime, text);
        ts_packed shorter = packed[i], longer = packed[i];
        shorter.size--;
        longer.size++;
        assert_int_equal(ts_unpack(runtime, &shorter, &text), TS_ERROR_FORMAT);
        assert_int_equal(ts_unpack(runtime, &longer, &text), TS_ERROR_FORMAT);
    }
}

/* These have blocks with codes of their own, and matches near and far. */
static const struct {
    const ts_packed *packed;
    const char *file;
} embedded[] = {
    {&ts_words_data, TS_GOLDEN "/../../lib/generator/words.txt"},
    {&ts_plots_data, TS_GOLDEN "/../../lib/generator/plots.txt"},
    {&ts_prompt_data, TS_GOLDEN "/../../lib/generator/prompt.txt"},
    {&ts_judge_data, TS_GOLDEN "/../../lib/evaluator/judge.txt"},
};

static void texts_are_their_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(embedded); i++) {
        char *text, *file;
        size_t size;
        assert_int_equal(ts_unpack(runtime, embedded[i].packed, &text), TS_OK);
        assert_int_equal(ts_file_read(runtime, embedded[i].file, 1 << 24, &file, &size), TS_OK);
        assert_int_equal(size, embedded[i].packed->size);
        assert_memory_equal(text, file, size + 1);
        ts_release(runtime, text);
        ts_release(runtime, file);
    }
}

/* Every cut, and a flip in every byte: an error or another text of the same size, and nothing read or written outside. */
static void damage_is_told(void **state)
{
    (void)state;
    const ts_packed *whole = &ts_judge_data;
    unsigned char *bytes = malloc(whole->packed_size);
    assert_non_null(bytes);
    size_t told = 0;
    for (size_t i = 0; i < whole->packed_size; i++) {
        unsigned char *cut = malloc(i + 1);
        assert_non_null(cut);
        memcpy(cut, whole->bytes, i);
        char *text;
        ts_packed damaged = {cut, i, whole->size};
        assert_int_equal(ts_unpack(runtime, &damaged, &text), TS_ERROR_FORMAT);
        free(cut);
        memcpy(bytes, whole->bytes, whole->packed_size);
        bytes[i] ^= (unsigned char)(1u << i % 8);
        damaged = (ts_packed){bytes, whole->packed_size, whole->size};
        ts_status status = ts_unpack(runtime, &damaged, &text);
        assert_true(status == TS_OK || status == TS_ERROR_FORMAT);
        told += status != TS_OK;
        if (status == TS_OK)
            ts_release(runtime, text);
    }
    assert_true(told > whole->packed_size / 4);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_every_kind),
        cmocka_unit_test(texts_are_their_files),
        cmocka_unit_test(damage_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

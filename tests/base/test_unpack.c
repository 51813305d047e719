/* Texts that were compiled in: against what bzip2 made, the texts themselves against their files, and damage. */
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

/* bz2.compress(text)[4:] of Python: a sentence; runs of 3, 4, 5, 259 and 1,000 bytes, which are written in another way from the fourth byte on. */
static const char sentence[] = "the cat saw the cat that saw the cat, and the cat saw that the cat was the cat.\n";
static const unsigned char packed_sentence[] = {
    0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0xde, 0x1a, 0x7d, 0x36, 0x00, 0x00, 0x23, 0xd1, 0x80, 0x00, 0x10, 0x40, 0x05, 0x2e, 0x41, 0x0c, 0x80,
    0x20, 0x00, 0x50, 0x80, 0x68, 0x00, 0x48, 0x85, 0x19, 0x1b, 0xd4, 0xbb, 0xd0, 0xb8, 0x13, 0xe7, 0x4e, 0x52, 0xdd, 0xfe, 0x71, 0xb6, 0xbc,
    0x58, 0x29, 0x82, 0xf4, 0x08, 0x62, 0x60, 0x35, 0x18, 0x52, 0x7d, 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0xde, 0x1a, 0x7d, 0x36,
};
static const unsigned char packed_runs[] = {
    0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0x5b, 0x5a, 0xda, 0x8d, 0x00, 0x00, 0x02, 0x41, 0x01, 0xe0, 0x00, 0x3f, 0x00, 0x00,
    0x80, 0x00, 0x08, 0x20, 0x00, 0x31, 0x00, 0x30, 0x18, 0x53, 0xd1, 0x31, 0xf9, 0x77, 0x2f, 0x29, 0xa0, 0x82, 0x08, 0x43,
    0x28, 0xee, 0x32, 0xcf, 0xb4, 0x03, 0xa7, 0x1d, 0x23, 0xc2, 0xee, 0x48, 0xa7, 0x0a, 0x12, 0x0b, 0x6b, 0x5b, 0x51, 0xa0,
};

static void add_run(char *text, size_t *size, char byte, size_t count)
{
    memset(text + *size, byte, count);
    *size += count;
}

static void texts_and_runs(void **state)
{
    static char runs[2048];
    size_t size = 0;
    (void)state;
    add_run(runs, &size, 'a', 3);
    add_run(runs, &size, 'b', 4);
    add_run(runs, &size, 'c', 5);
    add_run(runs, &size, 'd', 259);
    add_run(runs, &size, 'e', 1000);
    memcpy(runs + size, "ababab", 6);
    size += 6;
    add_run(runs, &size, 'f', 4);
    const ts_packed packed[] = {{packed_sentence, sizeof packed_sentence, sizeof sentence - 1}, {packed_runs, sizeof packed_runs, size}};
    for (size_t i = 0; i < TS_COUNT_OF(packed); i++) {
        char *text;
        assert_int_equal(ts_unpack(runtime, &packed[i], &text), TS_OK);
        assert_string_equal(text, i ? runs : sentence);
        ts_release(runtime, text);
        ts_packed shorter = packed[i], longer = packed[i];
        shorter.size--;
        longer.size++;
        assert_int_equal(ts_unpack(runtime, &shorter, &text), TS_ERROR_FORMAT);
        assert_int_equal(ts_unpack(runtime, &longer, &text), TS_ERROR_FORMAT);
    }
}

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

/* Every cut, and a flip in every byte: an error, but for the last bytes, which repeat the checksum, and what is not used; and nothing read or written outside. */
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
        ts_status status = ts_unpack(runtime, &damaged, &text);
        assert_int_equal(status, i + 11 > whole->packed_size && status == TS_OK ? TS_OK : TS_ERROR_FORMAT);
        if (status == TS_OK)
            ts_release(runtime, text);
        free(cut);
        memcpy(bytes, whole->bytes, whole->packed_size);
        bytes[i] ^= (unsigned char)(1u << i % 8);
        damaged = (ts_packed){bytes, whole->packed_size, whole->size};
        status = ts_unpack(runtime, &damaged, &text);
        assert_true(status == TS_OK || status == TS_ERROR_FORMAT);
        told += status != TS_OK;
        if (status == TS_OK)
            ts_release(runtime, text);
    }
    assert_true(told * 20 > whole->packed_size * 19); /* some say of a code what no text uses */
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_runs),
        cmocka_unit_test(texts_are_their_files),
        cmocka_unit_test(damage_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

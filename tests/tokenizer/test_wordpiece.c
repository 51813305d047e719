/* WordPiece: what Hugging Face tokenizers says of 300 strings, files back and forth, what is refused. */
#include "support/support.h"

#include "tinystories.h"
#include "tokenizer/tokenizer.h"

static const char gold[] = TS_GOLDEN "/wordpiece/tokenizer.json";

static ts_tokenizer *open_it(const char *path)
{
    ts_tokenizer *tokenizer = NULL;
    assert_ok(ts_tokenizer_open(&tokenizer, NULL, path));
    return tokenizer;
}

/* ---- gold ---- */

static size_t from_hexadecimal(char **at, char *into)
{
    size_t size = 0;
    for (unsigned byte; sscanf(*at, "%2x", &byte) == 1 && **at != ';' && **at != '\n'; *at += 2)
        into[size++] = (char)byte;
    ++*at;
    return size;
}

static void assert_gold(const ts_tokenizer *tokenizer)
{
    size_t size, cases = 0;
    char *text = read_file(TS_GOLDEN "/wordpiece/cases.txt", &size), *at = text;
    for (; *at; cases++) {
        static char string[4096], expected[8192], decoded[8192];
        uint32_t ids[1024], kept[1024];
        size_t length = from_hexadecimal(&at, string), count, kept_count = 0, decoded_size;
        assert_ok(ts_tokenizer_encode(tokenizer, string, length, 0, ids, TS_COUNT_OF(ids), &count));
        for (size_t i = 0; *at != ';'; i++) {
            unsigned long id = strtoul(at, &at, 10);
            if (i >= count || ids[i] != id)
                fail_msg("case %zu, token %zu: %u, expected %lu", cases, i, i < count ? ids[i] : 0, id);
            if (id > 1)
                kept[kept_count++] = (uint32_t)id;
            at += *at == ' ';
            if (*at == ';')
                assert_int_equal(i + 1, count);
        }
        at++;
        length = from_hexadecimal(&at, expected);
        assert_ok(ts_tokenizer_decode(tokenizer, kept, kept_count, decoded, sizeof decoded, &decoded_size));
        assert_int_equal(decoded_size, length);
        assert_memory_equal(decoded, expected, length);
    }
    assert_int_equal(cases, 300);
    free(text);
}

static void test_gold(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = open_it(gold);
    assert_gold(tokenizer);
    assert_int_equal(ts_tokenizer_size(tokenizer), 360);
    assert_int_equal(ts_tokenizer_end_of_text(tokenizer), 1);
    ts_tokenizer_free(tokenizer);
}

/* ---- files ---- */

static void test_files(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = open_it(gold), *again;
    ts_architecture shape;
    ts_model *model;
    assert_ok(ts_tokenizer_save(tokenizer, in_work("again.json")));
    again = open_it(in_work("again.json"));
    assert_gold(again);
    assert_int_equal(ts_tokenizer_fingerprint(again), ts_tokenizer_fingerprint(tokenizer));
    ts_tokenizer_free(again);
    assert_ok(ts_architecture_init(&shape, sizeof shape));
    shape.width = shape.hidden = 4;
    shape.layers = shape.heads = 1;
    shape.vocabulary_size = 368; /* rows beyond the tokens */
    assert_ok(ts_model_new(&model, NULL, tokenizer, &shape, 1));
    assert_ok(ts_model_save(model, in_work("words.gguf")));
    ts_model_free(model);
    again = open_it(in_work("words.gguf"));
    assert_gold(again);
    assert_int_equal(ts_tokenizer_fingerprint(again), ts_tokenizer_fingerprint(tokenizer));
    assert_int_equal(ts_tokenizer_end_of_text(again), 1);
    ts_tokenizer_free(again);
    assert_status(ts_tokenizer_save(tokenizer, in_work("words.bin")), TS_ERROR_UNSUPPORTED);
    assert_status(ts_tokenizer_save(tokenizer, in_work("words.tiktoken")), TS_ERROR_UNSUPPORTED);
    assert_status(ts_tokenizer_save(tokenizer, work_folder()), TS_ERROR_UNSUPPORTED);
    assert_status(ts_tokenizer_prune_files(&again, tokenizer, 300, (const char *const[]){gold}, 1), TS_ERROR_UNSUPPORTED);
    ts_tokenizer_free(tokenizer);
}

/* Whatever stands in a text, a stream gives what a call gives. */
static void test_stream(void **state)
{
    static const char text[] = "Lily said: \"It's 12, Tom!\" \xff\xf0\x9f\x98\x80 caf\xc3\xa9. The end?";
    ts_tokenizer *tokenizer = open_it(gold);
    ts_decode_stream stream = {0};
    uint32_t ids[128];
    char whole[512], part[512], streamed[512] = "";
    size_t count, size;
    (void)state;
    assert_ok(ts_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, ids, 128, &count));
    assert_ok(ts_tokenizer_decode(tokenizer, ids, count, whole, sizeof whole, &size));
    assert_ok(ts_tokenizer_decode_next(tokenizer, &stream, ts_tokenizer_begin_of_text(tokenizer), part, sizeof part, &size));
    for (size_t i = 0; i < count; i++) {
        assert_ok(ts_tokenizer_decode_next(tokenizer, &stream, ids[i], part, sizeof part, &size));
        strcat(streamed, part);
    }
    assert_string_equal(streamed, whole);
    assert_memory_equal(whole, "lily said : \" it ' s", 20);
    ts_tokenizer_free(tokenizer);
}

static void test_refused(void **state)
{
    static const struct {
        const char *what, *with;
        ts_status status;
        const char *detail;
    } rows[] = {
        {"\"Lowercase\"", "\"NFD\"", TS_ERROR_UNSUPPORTED, "normalizer"},
        {"\"``\"", "\"`\"", TS_ERROR_UNSUPPORTED, "normalizer"},
        {"\"Whitespace\"", "\"WhitespaceSplit\"", TS_ERROR_UNSUPPORTED, "pre_tokenizer"},
        {"\"Isolated\"", "\"Removed\"", TS_ERROR_UNSUPPORTED, "pre_tokenizer"},
        {"\"individual_digits\": true", "\"individual_digits\": false", TS_ERROR_UNSUPPORTED, "pre_tokenizer"},
        {"\"continuing_subword_prefix\": \"##\"", "\"continuing_subword_prefix\": \"@@\"", TS_ERROR_UNSUPPORTED, "\"##\""},
        {"\"max_input_chars_per_word\": 100", "\"max_input_chars_per_word\": 10", TS_ERROR_UNSUPPORTED, "max_input_chars_per_word"},
        {"\"cleanup\": true", "\"cleanup\": false", TS_ERROR_UNSUPPORTED, "decoder"},
        {"\"unk_token\": \"[UNK]\"", "\"unk_token\": \"[NONE]\"", TS_ERROR_FORMAT, "unknown words"},
        {"\"unk_token\": \"[UNK]\"", "\"unk_token\": \"the\"", TS_ERROR_FORMAT, "unknown words"},
        {"\"unk_token\": \"[UNK]\"", "\"unk_token\": 1", TS_ERROR_FORMAT, "unk_token"},
        {"\"##he\"", "\"##\xc3\xa9\"", TS_ERROR_UNSUPPORTED, "ASCII"},
        {"\"##he\"", "\"##e\"", TS_ERROR_FORMAT, "the same"},
        {"\"##he\"", "\"\"", TS_ERROR_LIMIT, "0 bytes"},
        {"\"WordPiece\",\n    \"unk", "\"Unigram\",\n    \"unk", TS_ERROR_UNSUPPORTED, "Unigram"},
    };
    ts_tokenizer *tokenizer = open_it(gold);
    size_t size;
    (void)state;
    assert_ok(ts_tokenizer_save(tokenizer, in_work("sound.json")));
    ts_tokenizer_free(tokenizer);
    char *sound = read_file(in_work("sound.json"), &size), *damaged = malloc(size + 64);
    for (size_t i = 0; i < TS_COUNT_OF(rows); i++) {
        char *at = strstr(sound, rows[i].what);
        if (at == NULL)
            fail_msg("no %s", rows[i].what);
        sprintf(damaged, "%.*s%s%s", (int)(at - sound), sound, rows[i].with, at + strlen(rows[i].what));
        assert_status(ts_tokenizer_open_memory(&tokenizer, NULL, damaged, strlen(damaged)), rows[i].status);
        assert_detail(rows[i].detail);
    }
    free(damaged);
    free(sound);
}

static ts_status use_once(ts_runtime *runtime, void *user)
{
    ts_tokenizer *tokenizer = NULL;
    (void)user;
    ts_status status = ts_tokenizer_open(&tokenizer, runtime, gold);
    if (status == TS_OK)
        status = ts_tokenizer_save(tokenizer, in_work("memory.json"));
    ts_tokenizer_free(tokenizer);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(sweep_memory_alone(use_once, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gold),    cmocka_unit_test(test_files),         cmocka_unit_test(test_stream),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

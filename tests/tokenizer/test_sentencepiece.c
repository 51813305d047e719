/* SentencePiece: ids equal to the library's, to a direct writing-down of llama2.c's rule, any bytes back and forth, files written and damaged. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sentencepiece_cases.h"

#include "broken_cases.h"
#include "tokenizer/vocabulary.h"

static ts_runtime *runtime;
static char folder[] = "/tmp/tinystories-sentencepiece-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || ts_runtime_new(&runtime, NULL) != TS_OK;
}

static int tear_down(void **state)
{
    (void)state;
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    return rmdir(folder) != 0 || left != 0;
}

static const char *path_of(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *data(const char *name)
{
    static char path[1000];
    const char *at = getenv("TINYSTORIES_TEST_DATA");
    if (at == NULL) {
        print_message("skipped: no test data\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/%s", at, name);
    return path;
}

static const char *put_file(const char *name, const void *content, size_t size)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* ---- small vocabularies ---- */

typedef struct file_bytes {
    unsigned char data[1 << 14];
    size_t size;
} file_bytes;

static void add_token(file_bytes *file, float score, const char *text, uint32_t size)
{
    memcpy(file->data + file->size, &score, 4);
    memcpy(file->data + file->size + 4, &size, 4);
    memcpy(file->data + file->size + 8, text, size);
    file->size += 8 + size;
}

/* The 259 tokens that all have. */
static void begin_file(file_bytes *file, uint32_t longest)
{
    memcpy(file->data, &longest, 4);
    file->size = 4;
    add_token(file, 0, "<unk>", 5);
    add_token(file, 0, "\n<s>\n", 5);
    add_token(file, 0, "\n</s>\n", 6);
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
        add_token(file, 0, text, 6);
    }
}

/* Tokens of which many have equal scores, so that ties are met; `across`: with some that have a space within. */
static void small_file(file_bytes *file, bool across)
{
    static const char *const texts[] = {"a",         "b",   "c",   " ",    "ab",  "ba",   "aa",   "bc", " a",       " b",
                                        "aba",       "aab", "bab", "abab", " ab", " aba", "aaaa", "  ", "\xc3\xa9", "\xe2\x82\xac",
                                        "a\xc3\xa9", "<",   "0",   "<0",   "ca",  "cab"};
    static const char *const crossing[] = {"a b", "b ", "a ", "b a", " a b"};
    begin_file(file, 27);
    for (size_t i = 0; i < TS_COUNT_OF(texts); i++)
        add_token(file, (float)-(int)(i * 7 % 5), texts[i], (uint32_t)strlen(texts[i]));
    for (size_t i = 0; across && i < TS_COUNT_OF(crossing); i++)
        add_token(file, (float)-(int)(i % 3), crossing[i], (uint32_t)strlen(crossing[i]));
}

static ts_tokenizer *open_small(bool across)
{
    static file_bytes file;
    ts_tokenizer *tokenizer;
    small_file(&file, across);
    assert_int_equal(ts_tokenizer_open(&tokenizer, runtime, put_file("small.bin", file.data, file.size)), TS_OK);
    assert_int_equal(unlink(path_of("small.bin")), 0);
    return tokenizer;
}

/* ---- the rule, written down: go through all pairs, join the best, begin again ---- */

static size_t encode_by_rule(const ts_tokenizer *t, const char *text, size_t size, uint32_t *ids)
{
    const uint8_t *kinds = t->vocabulary.kinds;
    char joined[8192];
    size_t count = 0, left_size, right_size;
    if (size == 0)
        return 0;
    ids[count++] = ts_tokenizer_find(t, " ", 1);
    for (size_t at = 0, length; at < size; at += length) {
        for (length = 1; length < 4 && at + length < size && (text[at + length] & 0xc0) == 0x80;)
            length++;
        uint32_t id = ts_tokenizer_find(t, text + at, length);
        if (id != TS_TOKENIZER_NONE && kinds[id] == TS_TOKEN_NORMAL)
            ids[count++] = id;
        else
            for (size_t i = 0; i < length; i++)
                ids[count++] = 3 + (unsigned char)text[at + i];
    }
    for (;;) {
        float best = -1e10f;
        size_t where = SIZE_MAX;
        uint32_t result = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            if (kinds[ids[i]] != TS_TOKEN_NORMAL || kinds[ids[i + 1]] != TS_TOKEN_NORMAL)
                continue;
            const char *left = ts_tokenizer_token(t, ids[i], &left_size);
            memcpy(joined, left, left_size);
            const char *right = ts_tokenizer_token(t, ids[i + 1], &right_size);
            memcpy(joined + left_size, right, right_size);
            uint32_t id = ts_tokenizer_find(t, joined, left_size + right_size);
            if (id != TS_TOKENIZER_NONE && kinds[id] == TS_TOKEN_NORMAL && t->vocabulary.scores[id] > best) {
                best = t->vocabulary.scores[id];
                where = i;
                result = id;
            }
        }
        if (where == SIZE_MAX)
            return count;
        ids[where] = result;
        memmove(ids + where + 1, ids + where + 2, (count - where - 2) * sizeof *ids);
        count--;
    }
}

static void assert_by_rule(const ts_tokenizer *t, const char *text, size_t size)
{
    static uint32_t ids[8192], expected[8192];
    static char back[65536];
    size_t count, expected_count = encode_by_rule(t, text, size, expected), back_size;
    assert_int_equal(ts_tokenizer_encode(t, text, size, 0, ids, size + 1, &count), TS_OK);
    assert_int_equal(count, expected_count);
    assert_memory_equal(ids, expected, count * sizeof *ids);
    assert_int_equal(ts_tokenizer_decode(t, ids, count, back, sizeof back, &back_size), TS_OK);
    assert_int_equal(back_size, size);
    assert_memory_equal(back, text, size);
}

static void test_rule(void **state)
{
    (void)state;
    static const char *const parts[] = {"a",        "b",  "c", " ",  "  ",  "\xc3\xa9", "\xe2\x82\xac", "\x80",  "\xff",
                                        "\xe2\x82", "<0", "x", "ab", "aba", "<s>",      "\n<s>\n",      "<0x41>"};
    for (int across = 0; across < 2; across++) {
        ts_tokenizer *t = open_small(across);
        assert_int_equal(t->cuts_at_spaces, !across);
        ts_random random = {.seed = 5};
        for (int i = 0; i < 3000; i++) {
            char text[1024];
            size_t size = 0, count = ts_random_below(&random, i % 10 == 0 ? 150 : 12);
            for (size_t j = 0; j < count; j++) {
                const char *part = parts[ts_random_below(&random, TS_COUNT_OF(parts))];
                memcpy(text + size, part, strlen(part));
                size += strlen(part);
            }
            assert_by_rule(t, text, size);
        }
        ts_tokenizer_free(t);
    }
}

/* ---- the library's own ids ---- */

static void assert_cases(const ts_tokenizer *t, const sentencepiece_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t ids[512];
        size_t got, size = strlen(cases[i].text);
        assert_true(size < 512);
        assert_int_equal(ts_tokenizer_encode(t, cases[i].text, size, 0, ids, 512, &got), TS_OK);
        bool same = got == cases[i].count;
        for (size_t j = 0; same && j < got; j++)
            same = ids[j] == cases[i].ids[j];
        if (!same)
            fail_msg("case %zu, \"%s\": other ids", i, cases[i].text);
        if (i % 8 == 0)
            assert_by_rule(t, cases[i].text, size);
    }
}

/* What is read is written byte for byte. */
static void assert_written(const ts_tokenizer *t, const char *path)
{
    assert_int_equal(ts_tokenizer_save(t, path_of("again.bin")), TS_OK);
    char *one = NULL, *two = NULL;
    size_t one_size, two_size;
    assert_int_equal(ts_file_read(runtime, path, 1 << 24, &one, &one_size), TS_OK);
    assert_int_equal(ts_file_read(runtime, path_of("again.bin"), 1 << 24, &two, &two_size), TS_OK);
    assert_int_equal(one_size, two_size);
    assert_memory_equal(one, two, one_size);
    ts_release(runtime, one);
    ts_release(runtime, two);
    assert_int_equal(unlink(path_of("again.bin")), 0);
}

static bool has_json(void)
{
    ts_tokenizer *t = NULL;
    bool has = ts_tokenizer_open_memory(&t, runtime, "{}", 2) != TS_ERROR_UNSUPPORTED;
    if (!has)
        print_message("skipped: a build without JSON\n");
    return has;
}

/* It stays the same tokenizer, so that its shards fit, though a tokenizer.json has no scores. */
static void assert_same_as_json(const ts_tokenizer *t)
{
    ts_tokenizer *again;
    if (!has_json())
        return;
    assert_int_equal(ts_tokenizer_save(t, path_of("again.json")), TS_OK);
    assert_int_equal(ts_tokenizer_open(&again, runtime, path_of("again.json")), TS_OK);
    assert_true(ts_tokenizer_fingerprint(again) == ts_tokenizer_fingerprint(t));
    assert_int_equal(unlink(path_of("again.json")), 0);
    ts_tokenizer_free(again);
}

static void assert_tokenizer(const char *name, uint32_t size, const sentencepiece_case *cases, size_t count)
{
    ts_tokenizer *t;
    assert_int_equal(ts_tokenizer_open(&t, runtime, data(name)), TS_OK);
    assert_int_equal(ts_tokenizer_size(t), size);
    assert_int_equal(ts_tokenizer_begin_of_text(t), 1);
    assert_int_equal(ts_tokenizer_end_of_text(t), 1);
    assert_true(t->cuts_at_spaces);
    assert_cases(t, cases, count);
    assert_written(t, data(name));
    assert_same_as_json(t);
    ts_tokenizer_free(t);
}

static void test_library_512(void **state)
{
    (void)state;
    assert_tokenizer("models/tok512.bin", 512, tok512_cases, TS_COUNT_OF(tok512_cases));
}

/* Bytes that are no UTF-8, by llama2.c itself. */
static void test_broken(void **state)
{
    (void)state;
    ts_tokenizer *t;
    assert_int_equal(ts_tokenizer_open(&t, runtime, data("models/tok512.bin")), TS_OK);
    assert_cases(t, broken_cases, TS_COUNT_OF(broken_cases));
    ts_tokenizer_free(t);
}

static void test_library_llama2(void **state)
{
    (void)state;
    assert_tokenizer("tokenizers/llama2/tokenizer.bin", 32000, llama2_cases, TS_COUNT_OF(llama2_cases));
}

/* ---- decoding ---- */

static void test_decoding(void **state)
{
    (void)state;
    ts_tokenizer *t = open_small(false);
    uint32_t space_a = ts_tokenizer_find(t, " a", 2), ab = ts_tokenizer_find(t, "ab", 2), space_ab = ts_tokenizer_find(t, " ab", 3);
    const uint32_t ids[] = {1, space_a, space_ab, ab, 1, space_a, 3 + 0xc3, 3 + 0xa9};
    char text[64];
    size_t size;
    assert_int_equal(ts_tokenizer_decode(t, ids, 8, text, sizeof text, &size), TS_OK);
    assert_string_equal(text, "<s>a abab<s>a\xc3\xa9");
    assert_int_equal(ts_tokenizer_decode(t, ids + 2, 2, text, sizeof text, &size), TS_OK);
    assert_string_equal(text, "abab");

    ts_decode_stream stream = {.count = 0};
    char all[128] = "";
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(ts_tokenizer_decode_next(t, &stream, ids[i], text, sizeof text, &size), TS_OK);
        strcat(all, text);
    }
    assert_string_equal(all, "<s>a abab<s>a\xc3\xa9");
    assert_int_equal(ts_tokenizer_decode_next(t, &(ts_decode_stream){.count = 0}, space_a, text, sizeof text, &size), TS_OK);
    assert_string_equal(text, " a"); /* within a text */

    assert_int_equal(ts_tokenizer_is_special(t, 1), 1);
    assert_int_equal(ts_tokenizer_is_special(t, 3 + 'a'), 0);
    assert_int_equal(ts_tokenizer_find(t, "a", 1), 259);
    assert_int_equal(ts_tokenizer_find(t, "x", 1), 3 + 'x');
    assert_int_equal(ts_tokenizer_find(t, "<s>", 3), 1);
    uint32_t got[16];
    assert_int_equal(ts_tokenizer_encode(t, "a<s>a", 5, TS_ENCODE_SPECIALS, got, 16, &size), TS_OK);
    assert_int_equal(size, 3);
    assert_int_equal(got[0], space_a);
    assert_int_equal(got[1], 1);
    assert_int_equal(got[2], space_a);
    ts_tokenizer_free(t);
}

/* A megabyte of one character, and of alternating ones, takes no quadratic time. */
static void test_hostile_text(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    for (int across = 0; across < 2; across++) {
        ts_tokenizer *t = open_small(across);
        char *text = malloc(SIZE);
        uint32_t *ids = malloc((SIZE + 1) * sizeof *ids);
        static const char *const patterns[] = {"a", "ab", " ", "a ", "\x80", "aab b"};
        for (size_t p = 0; p < TS_COUNT_OF(patterns); p++) {
            size_t count, period = strlen(patterns[p]);
            for (size_t i = 0; i < SIZE; i++)
                text[i] = patterns[p][i % period];
            clock_t start = clock();
            assert_int_equal(ts_tokenizer_encode(t, text, SIZE, 0, ids, SIZE + 1, &count), TS_OK);
            assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 20); /* quadratic it would be an hour */
            assert_true(count >= SIZE / 8 && count <= SIZE + 1);
        }
        free(text);
        free(ids);
        ts_tokenizer_free(t);
    }
}

/* ---- tokenizer.json ---- */

/* With scores 0, -1, -2 and so on, as the trainer numbers them, or in another order of which no two are the same. */
static ts_tokenizer *open_scored(bool in_order)
{
    static const char *const texts[] = {" t",
                                        "he",
                                        " a",
                                        " the",
                                        "ab",
                                        "aba",
                                        " ab",
                                        "bb",
                                        "  ",
                                        "aa",
                                        ("\xe2\x82\xac"
                                         "a"),
                                        " ",
                                        "a",
                                        "b",
                                        "t",
                                        "h",
                                        "e",
                                        "\xe2\x82\xac",
                                        "<",
                                        "s>"};
    static file_bytes file;
    ts_tokenizer *t;
    begin_file(&file, 27);
    for (size_t i = 0; i < TS_COUNT_OF(texts); i++)
        add_token(&file, in_order ? -(float)i : -(float)(i * 7 % 23), texts[i], (uint32_t)strlen(texts[i]));
    assert_int_equal(ts_tokenizer_open(&t, runtime, put_file("scored.bin", file.data, file.size)), TS_OK);
    assert_int_equal(unlink(path_of("scored.bin")), 0);
    return t;
}

static void assert_same_ids(const ts_tokenizer *one, const ts_tokenizer *two)
{
    static const char *const parts[] = {"a", "b", " ", " the", "he", "t", "\xe2\x82\xac", "x", "\n", "aba"};
    ts_random random = {.seed = 8};
    for (int i = 0; i < 2000; i++) {
        char text[512] = "";
        uint32_t first[512], second[512];
        size_t first_count, second_count;
        for (uint64_t left = ts_random_below(&random, 30); left > 0; left--)
            strcat(text, parts[ts_random_below(&random, TS_COUNT_OF(parts))]);
        assert_int_equal(ts_tokenizer_encode(one, text, strlen(text), 0, first, 512, &first_count), TS_OK);
        assert_int_equal(ts_tokenizer_encode(two, text, strlen(text), 0, second, 512, &second_count), TS_OK);
        assert_int_equal(first_count, second_count);
        assert_memory_equal(first, second, first_count * sizeof *first);
    }
}

static void test_json(void **state)
{
    (void)state;
    for (int in_order = 0; in_order < 2 && has_json(); in_order++) {
        ts_tokenizer *t = open_scored(in_order), *again;
        char *one = NULL, *two = NULL;
        size_t one_size, two_size;
        assert_int_equal(ts_tokenizer_save(t, path_of("t.json")), TS_OK);
        assert_int_equal(ts_file_read(runtime, path_of("t.json"), 1 << 20, &one, &one_size), TS_OK);
        assert_int_equal(ts_tokenizer_open(&again, runtime, path_of("t.json")), TS_OK);
        assert_true(again->vocabulary.sentencepiece);
        assert_int_equal(ts_tokenizer_fingerprint(again), ts_tokenizer_fingerprint(t));
        assert_int_equal(ts_tokenizer_begin_of_text(again), 1);
        assert_int_equal(ts_tokenizer_end_of_text(again), 2); /* by their names: the file does not say */
        assert_same_ids(t, again);
        uint32_t merges = again->vocabulary.merge_count;
        assert_in_range(merges, 8, 30);
        again->vocabulary.merge_count = 0; /* by the scores alone */
        assert_same_ids(t, again);
        again->vocabulary.merge_count = merges;
        ts_tokenizer_free(again);
        assert_int_equal(ts_tokenizer_open(&again, runtime, path_of("t.json")), TS_OK);
        assert_int_equal(ts_tokenizer_save(again, path_of("t.json")), TS_OK);
        assert_int_equal(ts_file_read(runtime, path_of("t.json"), 1 << 20, &two, &two_size), TS_OK);
        assert_int_equal(one_size, two_size);
        assert_memory_equal(one, two, one_size);
        assert_int_equal(unlink(path_of("t.json")), 0);
        ts_release(runtime, one);
        ts_release(runtime, two);
        ts_tokenizer_free(again);
        ts_tokenizer_free(t);
    }
}

static void test_json_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        ts_status status;
    } cases[] = {
        {"\"Prepend\"", "\"NFC\"", TS_ERROR_UNSUPPORTED},
        {"\"prepend\": \"\xe2\x96\x81\"", "\"prepend\": \"_\"", TS_ERROR_UNSUPPORTED},
        {"{\"String\": \" \"}", "{\"String\": \"x\"}", TS_ERROR_UNSUPPORTED},
        {"\"pre_tokenizer\": null", "\"pre_tokenizer\": {\"type\": \"Whitespace\"}", TS_ERROR_UNSUPPORTED},
        {"\"ByteFallback\"", "\"Strip\"", TS_ERROR_UNSUPPORTED},
        {"\"byte_fallback\": true", "\"byte_fallback\": false", TS_ERROR_UNSUPPORTED},
        {"\"ignore_merges\": false", "\"ignore_merges\": true", TS_ERROR_UNSUPPORTED},
        {"[\"h\", \"e\"]", "[\"h\", \"h\"]", TS_ERROR_FORMAT},
        {"[\"h\", \"e\"]", "[\"h\", \"q\"]", TS_ERROR_FORMAT},
        {"\"<0x41>\"", "\"<0x4g>\"", TS_ERROR_FORMAT},
        {"[\"h\", \"e\"]", "\"h e\"", TS_OK},
        {"[\"h\", \"e\"]", "[\"h\", \"e\"], [\"<\", \"s>\"]", TS_OK},
    };
    ts_tokenizer *t = open_scored(true), *again;
    ts_bytes json = {.runtime = runtime};
    if (has_json()) {
        assert_int_equal(ts_tokenizer_to_json(t, &json), TS_OK);
        for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
            ts_bytes changed = {.runtime = runtime};
            const char *at = strstr(json.data, cases[i].from);
            assert_non_null(at);
            assert_int_equal(ts_bytes_add(&changed, json.data, (size_t)(at - json.data)), TS_OK);
            assert_int_equal(ts_bytes_format(&changed, "%s%s", cases[i].to, at + strlen(cases[i].from)), TS_OK);
            again = NULL;
            ts_status status = ts_tokenizer_open_memory(&again, runtime, changed.data, changed.size);
            if (status != cases[i].status)
                fail_msg("case %zu: %s: %s", i, ts_status_name(status), ts_error_detail());
            ts_tokenizer_free(again);
            ts_bytes_free(&changed);
        }
    }
    ts_bytes_free(&json);
    ts_tokenizer_free(t);
}

/* ---- damaged files ---- */

static ts_status open_bytes(const void *content, size_t size, uint64_t *peak)
{
    ts_source source;
    ts_tokenizer *t = NULL;
    ts_runtime *limited;
    ts_runtime_options options;
    assert_int_equal(ts_runtime_options_init(&options, sizeof options), TS_OK);
    options.memory_limit = 1 << 20; /* OUT_OF_MEMORY tells of more */
    assert_int_equal(ts_runtime_new(&limited, &options), TS_OK);
    ts_source_memory(&source, limited, content, size, "file");
    ts_status status = ts_tokenizer_read_llama2c(&t, &source);
    *peak = ts_runtime_memory(limited);
    if (status == TS_OK)
        ts_tokenizer_free(t);
    ts_runtime_free(limited);
    return status;
}

static void test_damaged(void **state)
{
    (void)state;
    static file_bytes file;
    uint64_t peak;
    small_file(&file, false);
    size_t whole = file.size, accepted = 0;
    for (size_t size = 0; size < whole; size++) {
        unsigned char *copy = malloc(size + 1);
        memcpy(copy, file.data, size);
        ts_status status = open_bytes(copy, size, &peak);
        accepted += status == TS_OK; /* cut between two tokens, which the format cannot tell */
        assert_true(status == TS_OK || status == TS_ERROR_FORMAT);
        free(copy);
    }
    assert_int_equal(accepted, 26);
    ts_random random = {.seed = 3};
    size_t refused = 0;
    for (int i = 0; i < 20000; i++) {
        unsigned char *copy = malloc(whole);
        memcpy(copy, file.data, whole);
        for (uint64_t changes = 1 + ts_random_below(&random, 3); changes > 0; changes--)
            copy[ts_random_below(&random, whole)] = (unsigned char)(ts_random_below(&random, 2) ? ts_random_next(&random) : 0xff * (i & 1));
        ts_status status = open_bytes(copy, whole, &peak);
        refused += status != TS_OK;
        assert_true(status == TS_OK || status == TS_ERROR_FORMAT || status == TS_ERROR_LIMIT);
        free(copy);
    }
    assert_in_range(refused, 2000, 19999);
}

static void test_refusals(void **state)
{
    (void)state;
    static file_bytes file;
    uint64_t peak;
    static const struct {
        float score;
        const char *text;
        uint32_t size;
        const char *detail;
    } cases[] = {
        {NAN, "x", 1, "score of token 259"},
        {-INFINITY, "x", 1, "score of token 259"},
        {0, "<0x41>", 6, "are the same"},
        {0, "", 0, "token 259 has 0 bytes"},
        {0, "0123456789", 10, "token 259 has 10 bytes, expected 1 to 9"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        begin_file(&file, 9);
        add_token(&file, cases[i].score, cases[i].text, cases[i].size);
        assert_int_equal(open_bytes(file.data, file.size, &peak), TS_ERROR_FORMAT);
        assert_non_null(strstr(ts_error_detail(), cases[i].detail));
        assert_non_null(strstr(ts_error_detail(), "file"));
    }
    begin_file(&file, 9);
    memcpy(file.data + 4 + 4, &(uint32_t){0xffffffffu}, 4); /* a size of -1, as a reader with ints would see it */
    assert_int_equal(open_bytes(file.data, file.size, &peak), TS_ERROR_FORMAT);
    begin_file(&file, 9);
    for (int hex = 0; hex < 65536; hex += 17) { /* two characters that are no hexadecimal number are no byte */
        char text[7] = {'<', '0', 'x', (char)(hex >> 8), (char)hex, '>', 0};
        bool digits = strspn(text + 3, "0123456789abcdefABCDEF") == 2;
        assert_int_equal(ts_byte_token(text, 6) >= 0, digits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),     cmocka_unit_test(test_library_512),  cmocka_unit_test(test_library_llama2), cmocka_unit_test(test_broken),
        cmocka_unit_test(test_decoding), cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_damaged),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_json),     cmocka_unit_test(test_json_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

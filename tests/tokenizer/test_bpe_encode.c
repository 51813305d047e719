/* Encoding by any table of merges against a restatement of the rule, special tokens, streams against Python, threads, memory. */
#include "support/support.h"

#include "stream_cases.h"
#include "text/text.h"
#include "tokenizer/vocabulary.h"

/* ---- tokenizers made by hand ---- */

static void add_bytes(ts_vocabulary *v)
{
    for (int i = 0; i < 256; i++) /* not in the order of bytes */
        assert_int_equal(ts_vocabulary_token(v, (char[]){(char)(i ^ 0x55)}, 1, false), TS_OK);
}

static ts_tokenizer *make(ts_vocabulary *v)
{
    ts_tokenizer *tokenizer = NULL;
    if (ts_tokenizer_make(&tokenizer, v, "by hand") != TS_OK)
        fail_msg("%s", ts_error_detail());
    return tokenizer;
}

static uint32_t find_token(const ts_vocabulary *v, const char *bytes, size_t size)
{
    for (uint32_t id = 0; id < v->count; id++) {
        size_t other_size;
        const char *other = ts_vocabulary_bytes(v, id, &other_size);
        if (other_size == size && memcmp(other, bytes, size) == 0)
            return id;
    }
    return TS_TOKENIZER_NONE;
}

enum { LONGEST = 1100 }; /* bytes of a word: more than lists of the ranks are used from */

/* Joins random tokens made of a few letters. The ranks are in random order, as no training would give them, unless they shall be rising, and some tokens come
 * about in several ways. */
static ts_tokenizer *make_random(ts_runtime *runtime, ts_random *random, const char *letters, bool rising)
{
    ts_vocabulary v;
    uint32_t parts[64], merges[64][2], count = 0, merge_count = 0;
    ts_vocabulary_init(&v, runtime);
    add_bytes(&v);
    for (const char *letter = letters; *letter; letter++)
        parts[count++] = find_token(&v, letter, 1);
    for (int i = 0; i < 30; i++) {
        uint32_t left = parts[ts_random_below(random, count)], right = parts[ts_random_below(random, count)];
        char bytes[256];
        size_t left_size, right_size;
        bool known = false;
        const char *left_bytes = ts_vocabulary_bytes(&v, left, &left_size), *right_bytes = ts_vocabulary_bytes(&v, right, &right_size);
        for (uint32_t j = 0; j < merge_count; j++)
            known |= merges[j][0] == left && merges[j][1] == right;
        if (left_size + right_size > 12 || known)
            continue;
        memcpy(bytes, left_bytes, left_size);
        memcpy(bytes + left_size, right_bytes, right_size);
        uint64_t at = rising ? merge_count : ts_random_below(random, merge_count + 1);
        memmove(merges + at + 1, merges + at, (merge_count - at) * sizeof merges[0]);
        merges[at][0] = left, merges[at][1] = right;
        merge_count++;
        if (find_token(&v, bytes, left_size + right_size) != TS_TOKENIZER_NONE)
            continue;
        parts[count++] = v.count;
        assert_int_equal(ts_vocabulary_token(&v, bytes, left_size + right_size, false), TS_OK);
    }
    for (uint32_t i = 0; i < merge_count; i++)
        assert_int_equal(ts_vocabulary_merge(&v, merges[i][0], merges[i][1]), TS_OK);
    return make(&v);
}

/* The rule: of all neighbours the pair of the best rank is joined, the leftmost of them, until there is none. */
static size_t encode_plainly(const ts_tokenizer *t, const char *word, size_t size, uint32_t *ids)
{
    const ts_vocabulary *v = &t->vocabulary;
    for (size_t i = 0; i < size; i++)
        ids[i] = find_token(v, word + i, 1);
    for (;;) {
        uint32_t best = v->merge_count;
        size_t at = 0;
        for (size_t i = 0; i + 1 < size; i++)
            for (uint32_t rank = 0; rank < best; rank++)
                if (v->merges[rank][0] == ids[i] && v->merges[rank][1] == ids[i + 1]) {
                    best = rank;
                    at = i;
                }
        if (best == v->merge_count)
            return size;
        char bytes[64];
        size_t left_size, right_size;
        const char *left = ts_vocabulary_bytes(v, ids[at], &left_size), *right = ts_vocabulary_bytes(v, ids[at + 1], &right_size);
        memcpy(bytes, left, left_size);
        memcpy(bytes + left_size, right, right_size);
        ids[at] = find_token(v, bytes, left_size + right_size);
        size--;
        memmove(ids + at + 1, ids + at + 2, (size - at - 1) * sizeof *ids);
    }
}

/* So much that the table of whole words is made. */
static void encode_much(const ts_tokenizer *t)
{
    char text[1024];
    uint32_t ids[sizeof text];
    size_t count;
    memset(text, ' ', sizeof text);
    for (int i = 0; i < 64; i++)
        assert_int_equal(ts_tokenizer_encode(t, text, sizeof text, 0, ids, sizeof text, &count), TS_OK);
}

/* Long words have two ways, of which one wants merges in an order that training gives them. */
static void check_ways(const ts_tokenizer *tokenizer, const char *text, size_t size, const uint32_t *expected, size_t expected_count)
{
    for (int by_ranks = 0; by_ranks <= tokenizer->ranks_rise; by_ranks++) {
        uint32_t ids[LONGEST];
        ts_ids out = {ids, LONGEST, 0};
        assert_int_equal(ts_encode_long(tokenizer, text, size, by_ranks, &out), TS_OK);
        assert_int_equal(out.count, expected_count);
        assert_memory_equal(ids, expected, out.count * sizeof *ids);
    }
}

/* Words on both sides of the lengths at which the way of encoding changes. */
static void test_rule(void **state)
{
    static const char *const letters[] = {"a", "ab", "abc"};
    ts_random random = {.seed = 21};
    ts_runtime *runtime;
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    int rising = 0;
    for (int round = 0; round < 60; round++) {
        const char *alphabet = letters[round % 3];
        ts_tokenizer *tokenizer = make_random(runtime, &random, alphabet, round / 6 % 2);
        rising += tokenizer->ranks_rise;
        if (round % 2)
            encode_much(tokenizer);
        assert_true((tokenizer->whole != NULL) == round % 2);
        for (int word = 0; word < 121; word++) { /* 12 long ones, 60 of 1 to 12 bytes, others, and a very long one */
            char text[LONGEST];
            uint32_t expected[LONGEST], ids[LONGEST];
            size_t size = word < 12 ? 42 + (size_t)word : word < 120 ? 1 + ts_random_below(&random, word < 72 ? 12 : 200) : LONGEST, count;
            for (size_t i = 0; i < size; i++)
                text[i] = alphabet[ts_random_below(&random, strlen(alphabet))];
            size_t expected_count = encode_plainly(tokenizer, text, size, expected);
            assert_int_equal(ts_tokenizer_encode(tokenizer, text, size, 0, ids, LONGEST, &count), TS_OK);
            assert_int_equal(count, expected_count);
            assert_memory_equal(ids, expected, count * sizeof *ids);
            assert_int_equal(ts_tokenizer_encode(tokenizer, text, size, 0, ids, count - 1, &count), TS_ERROR_BUFFER_TOO_SMALL);
            assert_int_equal(count, expected_count);
            check_ways(tokenizer, text, size, expected, expected_count);
        }
        ts_tokenizer_free(tokenizer);
    }
    assert_true(rising >= 15 && rising < 45);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

/* Words that differ from one that is a token by a byte, behind their eighth one, or by NULs at the end. */
static void test_whole_words(void **state)
{
    static const char longest[] = "abcdefghijklm"; /* every beginning of it is a token */
    static const struct {
        const char *word;
        size_t size, count;
    } cases[] = {{"abcdefgh", 8, 1},
                 {"abcdefghi", 9, 1},
                 {"abcdefghj", 9, 2},
                 {"abcdefghix", 10, 2},
                 {"abcdefghij", 10, 1},
                 {"abcdefghijk", 11, 1},
                 {"abcdefghijx", 11, 2},
                 {"abcdefghixk", 11, 3},
                 {"abcdefghijkl", 12, 1},
                 {"abcdefghijkx", 12, 2},
                 {"abcdefghijklm", 13, 1},
                 {"xbcdefghi", 9, 9},
                 {"!", 1, 1},
                 {"!\0", 2, 2},
                 {"\0!", 2, 2},
                 {"\0", 1, 1},
                 {"!\0\0\0\0\0\0\0\0", 9, 9}};
    ts_vocabulary v;
    ts_runtime *runtime;
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    ts_vocabulary_init(&v, runtime);
    add_bytes(&v);
    for (size_t size = 2; size < sizeof longest; size++) {
        uint32_t left = find_token(&v, longest, size - 1), right = find_token(&v, longest + size - 1, 1);
        assert_int_equal(ts_vocabulary_token(&v, longest, size, false), TS_OK);
        assert_int_equal(ts_vocabulary_merge(&v, left, right), TS_OK);
    }
    ts_tokenizer *tokenizer = make(&v);
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        uint32_t ids[16], expected[16];
        size_t count;
        char back[32];
        assert_int_equal(ts_tokenizer_encode(tokenizer, cases[i].word, cases[i].size, 0, ids, 16, &count), TS_OK);
        assert_int_equal(count, cases[i].count);
        assert_int_equal(count, encode_plainly(tokenizer, cases[i].word, cases[i].size, expected));
        assert_memory_equal(ids, expected, count * sizeof *ids);
        assert_int_equal(ts_tokenizer_decode(tokenizer, ids, count, back, sizeof back, &count), TS_OK);
        assert_int_equal(count, cases[i].size);
        assert_memory_equal(back, cases[i].word, count);
    }
    for (int ending = 0; ending < 26 * 26 * 26; ending++) { /* so many that some meet in the table */
        char word[12] = "abcdefgh", back[32];
        uint32_t ids[12];
        size_t count;
        word[8] = (char)('a' + ending / 676), word[9] = (char)('a' + ending / 26 % 26), word[10] = (char)('a' + ending % 26);
        assert_int_equal(ts_tokenizer_encode(tokenizer, word, 11, 0, ids, 12, &count), TS_OK);
        assert_int_equal(ts_tokenizer_decode(tokenizer, ids, count, back, sizeof back, &count), TS_OK);
        assert_string_equal(back, word);
    }
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

/* ---- special tokens ---- */

static ts_tokenizer *make_specials(ts_runtime *runtime)
{
    static const char *const specials[] = {"<|absent|>", "<|end|>", "<|end|><|end|>", "<", "aab", "<|endoftext|>"};
    ts_vocabulary v;
    ts_vocabulary_init(&v, runtime);
    add_bytes(&v);
    for (size_t i = 0; i < TS_COUNT_OF(specials); i++)
        assert_int_equal(ts_vocabulary_token(&v, specials[i], strlen(specials[i]), true), TS_OK);
    return make(&v);
}

static void test_specials(void **state)
{
    enum { ABSENT = 256, END, TWO_ENDS, LESS, AAB, END_OF_TEXT };
    static const struct {
        const char *text;
        uint32_t ids[8]; /* 0: a byte */
        size_t count;
    } cases[] = {
        {"", {0}, 0},
        {"<|end|>", {END}, 1},
        {"x<|end|>y", {0, END, 0}, 3},
        {"<|end|><|end|>", {TWO_ENDS}, 1}, /* the longest */
        {"<|end|><|end|><|end|>", {TWO_ENDS, END}, 2},
        {"<|endoftext|><|end", {END_OF_TEXT, LESS, 0, 0, 0, 0}, 6},
        {"aaab", {0, AAB}, 2}, /* begins again within what looked like it */
        {"aa", {0, 0}, 2},     /* cut off by the end */
    };
    ts_runtime *runtime;
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    ts_tokenizer *tokenizer = make_specials(runtime);
    assert_int_equal(ts_tokenizer_end_of_text(tokenizer), END_OF_TEXT);
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        uint32_t ids[64];
        size_t count, size = strlen(cases[i].text);
        char *text = malloc(size + 1); /* exactly the text */
        assert_non_null(text);
        text = realloc(text, size ? size : 1);
        memcpy(text, cases[i].text, size);
        assert_int_equal(ts_tokenizer_encode(tokenizer, text, size, TS_ENCODE_SPECIALS, ids, 64, &count), TS_OK);
        assert_int_equal(count, cases[i].count);
        for (size_t j = 0; j < count; j++)
            assert_true(cases[i].ids[j] ? ids[j] == cases[i].ids[j] : ids[j] < 256);
        assert_int_equal(ts_tokenizer_encode(tokenizer, text, size, 0, ids, 64, &count), TS_OK);
        assert_int_equal(count, size); /* bytes alone */
        for (size_t j = 0; j < count; j++)
            assert_true(ids[j] < 256);
        free(text);
    }
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

/* The text of many special tokens takes time in proportion: a special token that is looked for in vain costs no further pass for each. */
static void test_many_specials(void **state)
{
    static const char marker[] = "<|endoftext|>";
    enum { MANY = 64000 };
    ts_runtime *runtime;
    double times[2];
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    ts_tokenizer *tokenizer = make_specials(runtime);
    size_t length = sizeof marker - 1, count;
    char *text = malloc(MANY * length);
    uint32_t *ids = malloc(MANY * sizeof *ids);
    assert_true(text != NULL && ids != NULL);
    for (size_t i = 0; i < MANY; i++)
        memcpy(text + i * length, marker, length);
    for (size_t i = 0; i < 2; i++) {
        size_t markers = i ? MANY : MANY / 16;
        double start = ts_clock();
        assert_int_equal(ts_tokenizer_encode(tokenizer, text, markers * length, TS_ENCODE_SPECIALS, ids, MANY, &count), TS_OK);
        times[i] = ts_clock() - start;
        assert_int_equal(count, markers);
    }
    assert_true(times[1] < 80 * times[0] + 0.3); /* 16 times the text; 256 times the work if it were quadratic, seconds of it */
    free(text);
    free(ids);
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

/* ---- streams ---- */

/* What a stream gives in pieces, together; every piece must be whole characters. */
static size_t stream(const ts_tokenizer *t, const uint32_t *ids, size_t count, char *whole)
{
    ts_decode_stream held = {0};
    size_t total = 0;
    for (size_t i = 0; i <= count; i++) {
        uint32_t id = i < count ? ids[i] : TS_TOKENIZER_NONE;
        size_t token_size = 0, size;
        char piece[128];
        ts_decode_stream before = held;
        ts_tokenizer_token(t, id, &token_size);
        size_t enough = 3 * (token_size + 3) + 1;
        assert_true(enough <= sizeof piece);
        assert_int_equal(ts_tokenizer_decode_next(t, &held, id, piece, 0, &size), TS_ERROR_BUFFER_TOO_SMALL);
        assert_memory_equal(&held, &before, sizeof held);
        assert_int_equal(ts_tokenizer_decode_next(t, &held, id, piece, enough, &size), TS_OK);
        assert_true(piece[size] == 0 && held.count < 4 && ts_utf8_valid(piece, size));
        memcpy(whole + total, piece, size);
        total += size;
    }
    return total;
}

static void test_stream_cases(void **state)
{
    ts_runtime *runtime;
    ts_random random = {.seed = 22};
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    for (int round = 0; round < 3; round++) {
        ts_tokenizer *tokenizer = make_random(runtime, &random, round == 0 ? "a" : round == 1 ? "\xe2\x82\xac\xf0\x9f" : "\xf0\x9f\xa6\x99\xc3", false);
        for (size_t i = 0; i < TS_COUNT_OF(stream_cases); i++) {
            char whole[256];
            uint32_t ids[64];
            size_t count, size = stream_cases[i].size;
            for (count = 0; count < size; count++)
                ids[count] = ts_tokenizer_find(tokenizer, stream_cases[i].bytes + count, 1);
            assert_int_equal(stream(tokenizer, ids, count, whole), stream_cases[i].text_size);
            assert_memory_equal(whole, stream_cases[i].text, stream_cases[i].text_size);
            /* and in tokens that end within characters */
            assert_int_equal(ts_tokenizer_encode(tokenizer, stream_cases[i].bytes, size, 0, ids, 64, &count), TS_OK);
            assert_int_equal(stream(tokenizer, ids, count, whole), stream_cases[i].text_size);
            assert_memory_equal(whole, stream_cases[i].text, stream_cases[i].text_size);
        }
        ts_tokenizer_free(tokenizer);
    }
    ts_decode_stream broken = {.count = 4};
    ts_tokenizer *tokenizer = make_specials(runtime);
    char text[64];
    size_t size;
    assert_int_equal(ts_tokenizer_decode_next(tokenizer, &broken, 1, text, sizeof text, &size), TS_ERROR_INVALID_ARGUMENT);
    broken.count = 0;
    assert_int_equal(ts_tokenizer_decode_next(tokenizer, &broken, 262, text, sizeof text, &size), TS_ERROR_INVALID_ARGUMENT);
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

/* ---- threads and memory ---- */

enum { TEXTS = 256, TEXT_SIZE = 700 }; /* so many that the table of whole words is made on the way */

typedef struct shared {
    const ts_tokenizer *tokenizer;
    char texts[TEXTS][TEXT_SIZE];
    uint32_t ids[TEXTS][TEXT_SIZE];
    size_t counts[TEXTS];
} shared;

static void encode_texts(void *argument, size_t begin, size_t end, size_t worker)
{
    shared *s = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        if (ts_tokenizer_encode(s->tokenizer, s->texts[i], TEXT_SIZE, 0, s->ids[i], TEXT_SIZE, &s->counts[i]) != TS_OK)
            s->counts[i] = SIZE_MAX;
}

static void test_threads(void **state)
{
    static shared one, many;
    ts_runtime *runtime = make_runtime(4, TS_CPU_LEVEL_BEST);
    ts_random random = {.seed = 23};
    (void)state;
    ts_tokenizer *tokenizer = make_random(runtime, &random, "ab", false);
    one.tokenizer = tokenizer;
    for (size_t i = 0; i < TEXTS; i++)
        for (size_t j = 0; j < TEXT_SIZE; j++)
            one.texts[i][j] = "ab "[ts_random_below(&random, i % 2 ? 3 : 2)];
    many = one;
    ts_parallel(runtime, TEXTS, 1, encode_texts, &many);
    assert_non_null(tokenizer->whole);
    encode_texts(&one, 0, TEXTS, 0);
    assert_memory_equal(one.counts, many.counts, sizeof one.counts);
    assert_memory_equal(one.ids, many.ids, sizeof one.ids);
    ts_tokenizer_free(tokenizer);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

/* The fingerprint too is made when it is first asked for, by whoever asks. */
static void ask_fingerprints(void *argument, size_t begin, size_t end, size_t worker)
{
    const shared *s = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        ((shared *)s)->counts[i] = (size_t)ts_tokenizer_fingerprint(s->tokenizer);
}

static void test_fingerprint_threads(void **state)
{
    static shared many;
    ts_runtime *runtime = make_runtime(4, TS_CPU_LEVEL_BEST);
    ts_random random = {.seed = 25};
    (void)state;
    ts_tokenizer *tokenizer = make_random(runtime, &random, "ab", false);
    many.tokenizer = tokenizer;
    ts_parallel(runtime, TEXTS, 1, ask_fingerprints, &many);
    for (size_t i = 0; i < TEXTS; i++)
        assert_true(many.counts[i] != 0 && many.counts[i] == many.counts[0]);
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

/* All goes on without the table of whole words where there is no memory for it. */
static void test_no_memory(void **state)
{
    memory_probe probe;
    ts_runtime *runtime = probed_runtime(&probe, 1);
    ts_random random = {.seed = 26};
    (void)state;
    ts_tokenizer *tokenizer = make_random(runtime, &random, "tehr", false);
    probe.fail_at = probe.calls;
    probe.fail_always = 1;
    static const char text[] = "the three other there";
    uint32_t ids[sizeof text], again[sizeof text];
    size_t count, count_again;
    assert_int_equal(ts_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, ids, sizeof text, &count), TS_OK);
    for (int i = 0; i < 4000; i++)
        assert_int_equal(ts_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, again, sizeof text, &count_again), TS_OK);
    assert_true(probe.failed && tokenizer->whole == NULL);
    assert_int_equal(count_again, count);
    assert_memory_equal(ids, again, count * sizeof *ids);
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

/* Text of ordinary words is encoded without any allocation. */
static void test_no_allocation(void **state)
{
    static const char text[] = "Once upon a time, there was a little girl named Lily. She couldn't find her 2 mittens!\n\n\"Where are they?\"";
    memory_probe probe;
    ts_runtime *runtime = probed_runtime(&probe, 1);
    ts_random random = {.seed = 24};
    size_t count;
    uint32_t ids[sizeof text];
    (void)state;
    ts_tokenizer *tokenizer = make_random(runtime, &random, "tehr", false);
    size_t before = probe.calls;
    assert_int_equal(ts_tokenizer_encode(tokenizer, text, sizeof text - 1, TS_ENCODE_SPECIALS, ids, sizeof text, &count), TS_OK);
    assert_true(count < sizeof text - 1);
    assert_int_equal(probe.calls, before);
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

static void test_refusals(void **state)
{
    ts_runtime *runtime;
    uint32_t id;
    size_t count;
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    ts_tokenizer *tokenizer = make_specials(runtime);
    assert_int_equal(ts_tokenizer_encode(tokenizer, "a", ((size_t)1 << 30) + 1, 0, &id, 1, &count), TS_ERROR_LIMIT); /* told before it is read */
    assert_int_equal(ts_tokenizer_encode(tokenizer, "a", 1, 2, &id, 1, &count), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_tokenizer_encode(NULL, "a", 1, 0, &id, 1, &count), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_tokenizer_encode(tokenizer, NULL, 1, 0, &id, 1, &count), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_tokenizer_encode(tokenizer, "a", 1, 0, NULL, 1, &count), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_tokenizer_encode(tokenizer, NULL, 0, 0, NULL, 0, &count), TS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(ts_tokenizer_size(NULL), 0);
    assert_true(ts_tokenizer_end_of_text(NULL) == TS_TOKENIZER_NONE && ts_tokenizer_fingerprint(NULL) == 0);
    ts_tokenizer_free(NULL);
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),          cmocka_unit_test(test_whole_words),  cmocka_unit_test(test_specials),
        cmocka_unit_test(test_many_specials), cmocka_unit_test(test_stream_cases), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_no_allocation), cmocka_unit_test(test_refusals),     cmocka_unit_test(test_fingerprint_threads),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("bpe_encode", tests, NULL, NULL);
}

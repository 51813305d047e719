/* Training against a restatement of its rule that counts everything anew for every merge; threads, forgetting, frequencies, ties, stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "text/text.h"
#include "tokenizer/vocabulary.h"

/* ---- texts ---- */

typedef struct texts {
    char **texts;
    size_t *sizes;
    size_t count, capacity, next;
    size_t stop_at; /* the text at which the source says stop; 0: none */
} texts;

static void add_text(texts *t, const char *text, size_t size)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : 64;
        t->texts = realloc(t->texts, t->capacity * sizeof *t->texts);
        t->sizes = realloc(t->sizes, t->capacity * sizeof *t->sizes);
        assert_true(t->texts != NULL && t->sizes != NULL);
    }
    t->texts[t->count] = malloc(size ? size : 1);
    assert_non_null(t->texts[t->count]);
    memcpy(t->texts[t->count], text, size);
    t->sizes[t->count++] = size;
}

static void free_texts(texts *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->texts[i]);
    free(t->texts);
    free(t->sizes);
}

static int32_t next_text(void *user, const char **text, size_t *size)
{
    texts *t = user;
    if (t->stop_at > 0 && t->next == t->stop_at)
        return 1;
    *text = t->next < t->count ? t->texts[t->next] : NULL;
    *size = t->next < t->count ? t->sizes[t->next] : 0;
    t->next++;
    return 0;
}

typedef struct settings {
    uint32_t size, frequency, threads;
    uint64_t max_words;
    ts_progress progress;
    void *user;
    int warnings; /* out: how many were logged */
} settings;

static void count_warning(void *user, int32_t level, const char *line)
{
    ((settings *)user)->warnings += level == TS_LOG_WARNING && line[0] != 0;
}

/* Trains, and checks that the runtime has all its memory back once everything is freed. */
static ts_status train(ts_tokenizer **out, texts *t, settings *s)
{
    ts_runtime *runtime;
    ts_runtime_options runtime_options;
    ts_tokenizer_train_options options;
    t->next = 0;
    s->warnings = 0;
    ts_runtime_options_init(&runtime_options, sizeof runtime_options);
    runtime_options.threads = s->threads ? s->threads : 1;
    runtime_options.log = count_warning;
    runtime_options.log_user = s;
    assert_int_equal(ts_runtime_new(&runtime, &runtime_options), TS_OK);
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = s->size;
    options.min_frequency = s->frequency ? s->frequency : 1;
    options.max_words = s->max_words ? s->max_words : options.max_words;
    options.progress = s->progress;
    options.progress_user = s->user;
    *out = NULL;
    ts_status status = ts_tokenizer_train(out, runtime, next_text, t, &options);
    if (status != TS_OK) {
        assert_null(*out);
        assert_int_equal(ts_runtime_memory(runtime), 0);
    }
    ts_runtime_free(runtime);
    return status;
}

/* ---- the rule once more, slowly: no heap, no index, every pair counted anew for every merge ---- */

enum { MAX_WORDS = 64, MAX_WORD = 48, MAX_TOKENS = 400 };

typedef struct plain {
    unsigned char tokens[MAX_TOKENS][MAX_WORD];
    size_t sizes[MAX_TOKENS];
    size_t token_count;
    int words[MAX_WORDS][MAX_WORD];
    size_t lengths[MAX_WORDS];
    size_t word_count;
} plain;

static int compare(const plain *p, int a, int b)
{
    size_t both = TS_MIN(p->sizes[a], p->sizes[b]);
    int order = memcmp(p->tokens[a], p->tokens[b], both);
    return order ? order : (p->sizes[a] > p->sizes[b]) - (p->sizes[a] < p->sizes[b]);
}

static size_t occurrences(const plain *p, int left, int right)
{
    size_t count = 0;
    for (size_t w = 0; w < p->word_count; w++)
        for (size_t i = 0; i + 1 < p->lengths[w]; i++)
            count += p->words[w][i] == left && p->words[w][i + 1] == right;
    return count;
}

/* The pair to merge; false: none occurs often enough. */
static bool best_pair(const plain *p, size_t frequency, int *left, int *right)
{
    size_t best = 0;
    for (size_t w = 0; w < p->word_count; w++)
        for (size_t i = 0; i + 1 < p->lengths[w]; i++) {
            int a = p->words[w][i], b = p->words[w][i + 1];
            size_t count = occurrences(p, a, b);
            int order = best == 0 || count > best ? 1 : count < best ? -1 : compare(p, a, *left);
            if (order == 0)
                order = compare(p, b, *right);
            if (order > 0) {
                best = count;
                *left = a;
                *right = b;
            }
        }
    return best > 0 && best >= frequency;
}

static void merge(plain *p, int left, int right)
{
    int joined = (int)p->token_count++;
    memcpy(p->tokens[joined], p->tokens[left], p->sizes[left]);
    memcpy(p->tokens[joined] + p->sizes[left], p->tokens[right], p->sizes[right]);
    p->sizes[joined] = p->sizes[left] + p->sizes[right];
    for (size_t w = 0; w < p->word_count; w++) {
        size_t to = 0;
        for (size_t from = 0; from < p->lengths[w]; to++) {
            bool here = from + 1 < p->lengths[w] && p->words[w][from] == left && p->words[w][from + 1] == right;
            p->words[w][to] = here ? joined : p->words[w][from];
            from += here ? 2 : 1;
        }
        p->lengths[w] = to;
    }
}

static void begin_plain(plain *p, const texts *t)
{
    memset(p, 0, sizeof *p);
    for (p->token_count = 0; p->token_count < 256; p->token_count++) {
        p->tokens[p->token_count][0] = (unsigned char)p->token_count;
        p->sizes[p->token_count] = 1;
    }
    for (size_t i = 0; i < t->count; i++) {
        const char *text = t->texts[i];
        size_t size = t->sizes[i];
        ts_trim(&text, &size);
        for (size_t length; size > 0; text += length, size -= length) {
            length = ts_word(text, size);
            assert_true(length <= MAX_WORD && p->word_count < MAX_WORDS);
            for (size_t j = 0; j < length; j++)
                p->words[p->word_count][j] = (unsigned char)text[j];
            p->lengths[p->word_count++] = length;
        }
    }
}

static void check_against_plain(const texts *t, const ts_tokenizer *trained, uint32_t size, size_t frequency)
{
    static plain p;
    const ts_vocabulary *v = &trained->vocabulary;
    uint32_t rank = 0;
    int left = 0, right = 0;
    begin_plain(&p, t);
    while (p.token_count + 1 < size && best_pair(&p, frequency, &left, &right)) {
        assert_true(rank < v->merge_count);
        for (int side = 0; side < 2; side++) {
            size_t bytes;
            const char *token = ts_vocabulary_bytes(v, v->merges[rank][side], &bytes);
            int expected = side ? right : left;
            assert_int_equal(bytes, p.sizes[expected]);
            assert_memory_equal(token, p.tokens[expected], bytes);
        }
        merge(&p, left, right);
        rank++;
    }
    assert_int_equal(rank, v->merge_count);
    assert_int_equal(v->count, p.token_count + 1);
}

static void test_rule(void **state)
{
    static const char *const alphabets[] = {"a", "ab", "abc", "ab\xff\x80", "aab ", "e th'."};
    ts_random random = {.seed = 11};
    (void)state;
    for (int round = 0; round < 300; round++) {
        const char *alphabet = alphabets[ts_random_below(&random, TS_COUNT_OF(alphabets))];
        settings s = {.size = 257 + (uint32_t)ts_random_below(&random, 100), .frequency = 1 + (uint32_t)ts_random_below(&random, 3)};
        texts t = {0};
        for (uint64_t count = 1 + ts_random_below(&random, 4); count > 0; count--) {
            char text[40];
            size_t size = 2 + ts_random_below(&random, sizeof text - 2);
            for (size_t i = 0; i < size; i++)
                text[i] = alphabet[ts_random_below(&random, strlen(alphabet))];
            text[0] = alphabet[0];
            add_text(&t, text, size);
        }
        ts_tokenizer *tokenizer;
        assert_int_equal(train(&tokenizer, &t, &s), TS_OK);
        check_against_plain(&t, tokenizer, s.size, s.frequency);
        assert_int_equal(s.warnings, ts_tokenizer_size(tokenizer) < s.size);
        ts_tokenizer_free(tokenizer);
        free_texts(&t);
    }
}

/* Ids of bytes are in GPT-2's order; the greater pair wins a tie, by the left token first. */
static void test_order(void **state)
{
    texts t = {0};
    settings s = {.size = 260, .frequency = 2};
    ts_tokenizer *tokenizer;
    (void)state;
    add_text(&t, "ab ab xa xa zb zb", 17);
    assert_int_equal(train(&tokenizer, &t, &s), TS_OK);
    assert_int_equal(ts_tokenizer_find(tokenizer, "<|endoftext|>", 13), 0);
    assert_int_equal(ts_tokenizer_find(tokenizer, "!", 1), 1);
    assert_int_equal(ts_tokenizer_find(tokenizer, "~", 1), 94);
    assert_int_equal(ts_tokenizer_find(tokenizer, "\xa1", 1), 95);
    assert_int_equal(ts_tokenizer_find(tokenizer, "\xff", 1), 188);
    assert_int_equal(ts_tokenizer_find(tokenizer, "\0", 1), 189);
    assert_int_equal(ts_tokenizer_find(tokenizer, " ", 1), 221);
    assert_int_equal(ts_tokenizer_find(tokenizer, "\xad", 1), 256);
    assert_int_equal(ts_tokenizer_find(tokenizer, "zb", 2), 257); /* 2 times, as are " z", " x", "xa", "ab" */
    assert_int_equal(ts_tokenizer_find(tokenizer, "xa", 2), 258);
    assert_int_equal(ts_tokenizer_find(tokenizer, "ab", 2), 259);
    ts_tokenizer_free(tokenizer);
    free_texts(&t);
}

/* ---- threads and bounds ---- */

/* Some megabytes of stories, so that there are several batches, of many words that occur rarely and some that occur often. */
static void make_stories(texts *t, size_t stories, uint64_t words)
{
    static const char *const usual[] = {"the", "cat", "Lily", "was", "happy", "and", "park"};
    ts_random random = {.seed = 12};
    for (size_t i = 0; i < stories; i++) {
        char story[600];
        size_t size = 0;
        while (size < sizeof story - 40) {
            uint64_t dice = ts_random_next(&random);
            if (dice % 3)
                size += (size_t)snprintf(story + size, sizeof story - size, "%s ", usual[(dice >> 8) % TS_COUNT_OF(usual)]);
            else
                size += (size_t)snprintf(story + size, sizeof story - size, "w%llxq ",
                                         (unsigned long long)((dice >> 8) % words * 0x9e3779b1u & 0xffffffffu));
        }
        add_text(t, story, size);
    }
}

/* The same merges for 1, 2 and 4 threads, also while words are forgotten between batches. */
static void test_threads(void **state)
{
    static const uint64_t limits[] = {0, 2048};
    (void)state;
    texts t = {0};
    make_stories(&t, 18000, 30000); /* 10 MB: three batches */
    for (size_t limit = 0; limit < TS_COUNT_OF(limits); limit++) {
        uint64_t fingerprints[3];
        int warnings[3];
        for (uint32_t i = 0; i < 3; i++) {
            settings s = {.size = 400, .frequency = 2, .threads = 1u << i, .max_words = limits[limit]};
            ts_tokenizer *tokenizer;
            assert_int_equal(train(&tokenizer, &t, &s), TS_OK);
            fingerprints[i] = ts_tokenizer_fingerprint(tokenizer);
            warnings[i] = s.warnings;
            assert_true(ts_tokenizer_find(tokenizer, " happy", 6) != TS_TOKENIZER_NONE);
            ts_tokenizer_free(tokenizer);
        }
        assert_true(fingerprints[0] == fingerprints[1] && fingerprints[0] == fingerprints[2]);
        assert_true(warnings[0] == warnings[1] && warnings[0] == warnings[2]);
        assert_int_equal(warnings[0], limits[limit] ? 3 : 0); /* once a batch */
    }
    free_texts(&t);
}

static void add_words(texts *t, const char *beginning, int words, int times)
{
    for (int word = 0; word < words; word++)
        for (int i = 0; i < times; i++) {
            char text[16];
            int size = snprintf(text, sizeof text, "%s%c%c%c", beginning, 'a' + word / 100, 'a' + word / 10 % 10, 'a' + word % 10);
            add_text(t, text, (size_t)size);
        }
}

/* No more words are forgotten than must be, and those that are equally frequent together: of 1,600 words at most 512 stay, which are those of 6
 * and 7. */
static void test_forgetting(void **state)
{
    texts t = {0};
    settings s = {.size = 300, .frequency = 100, .max_words = 1024};
    ts_tokenizer *tokenizer;
    (void)state;
    add_words(&t, "kj", 1000, 1);
    add_words(&t, "qz", 200, 5);
    add_words(&t, "xy", 300, 6);
    add_words(&t, "vw", 100, 7);
    assert_int_equal(train(&tokenizer, &t, &s), TS_OK);
    assert_true(ts_tokenizer_find(tokenizer, "xy", 2) != TS_TOKENIZER_NONE && ts_tokenizer_find(tokenizer, "vwa", 3) != TS_TOKENIZER_NONE);
    assert_true(ts_tokenizer_find(tokenizer, "qz", 2) == TS_TOKENIZER_NONE && ts_tokenizer_find(tokenizer, "kj", 2) == TS_TOKENIZER_NONE);
    ts_tokenizer_free(tokenizer);
    s.max_words = 1600; /* all of them */
    assert_int_equal(train(&tokenizer, &t, &s), TS_OK);
    assert_true(ts_tokenizer_find(tokenizer, "qz", 2) != TS_TOKENIZER_NONE && ts_tokenizer_find(tokenizer, "kj", 2) != TS_TOKENIZER_NONE);
    ts_tokenizer_free(tokenizer);
    free_texts(&t);
}

/* A word longer than any that is counted as one, and a story of nothing else. */
static void test_huge_word(void **state)
{
    size_t size = ((size_t)1 << 20) + 12345;
    settings s = {.size = 280, .frequency = 2};
    texts t = {0};
    ts_tokenizer *tokenizer;
    char *text = malloc(size);
    (void)state;
    assert_non_null(text);
    memset(text, 'a', size);
    add_text(&t, text, size);
    assert_int_equal(train(&tokenizer, &t, &s), TS_OK);
    assert_true(ts_tokenizer_find(tokenizer, "aaaaaaaaaaaaaaaa", 16) != TS_TOKENIZER_NONE);
    assert_true(ts_tokenizer_longest(tokenizer) <= TS_TOKENIZER_MAX_TOKEN);
    ts_tokenizer_free(tokenizer);
    free(text);
    free_texts(&t);
}

/* ---- stopping ---- */

typedef struct progress_log {
    uint64_t texts, merges, calls;
    uint64_t last[2];    /* what was done of texts and of merges */
    uint64_t stop_after; /* calls; 0: never */
} progress_log;

static int32_t note_progress(void *user, uint64_t done, uint64_t total)
{
    progress_log *log = user;
    log->calls++;
    if (total == 0)
        log->texts++;
    else
        log->merges++;
    assert_true(done > log->last[total != 0]);
    assert_true(total == 0 || done <= total);
    log->last[total != 0] = done;
    return log->stop_after && log->calls >= log->stop_after;
}

static void test_stopping(void **state)
{
    texts t = {0};
    progress_log log = {0};
    settings s = {.size = 400, .frequency = 2, .threads = 2, .progress = note_progress, .user = &log};
    ts_tokenizer *tokenizer;
    (void)state;
    make_stories(&t, 9000, 30000);
    assert_int_equal(train(&tokenizer, &t, &s), TS_OK);
    assert_true(log.texts >= 4 && log.merges >= 2);
    ts_tokenizer_free(tokenizer);
    for (uint64_t stop = 1; stop <= log.texts + log.merges; stop += log.texts) {
        progress_log stopped = {.stop_after = stop};
        s.user = &stopped;
        assert_int_equal(train(&tokenizer, &t, &s), TS_ERROR_CANCELLED);
    }
    s.progress = NULL;
    t.stop_at = 5;
    assert_int_equal(train(&tokenizer, &t, &s), TS_ERROR_CANCELLED);
    free_texts(&t);
}

static void test_refusals(void **state)
{
    texts t = {0};
    ts_tokenizer *tokenizer;
    settings good = {.size = 300};
    (void)state;
    assert_int_equal(train(&tokenizer, &t, &good), TS_ERROR_INVALID_ARGUMENT); /* no text */
    add_text(&t, " \n\t", 3);
    add_text(&t, "", 0);
    assert_int_equal(train(&tokenizer, &t, &good), TS_ERROR_INVALID_ARGUMENT); /* none but white space */
    add_text(&t, "text", 4);
    const uint32_t sizes[] = {0, 256, (1u << 20) + 1, UINT32_MAX};
    for (size_t i = 0; i < TS_COUNT_OF(sizes); i++) {
        settings bad = {.size = sizes[i]};
        assert_int_equal(train(&tokenizer, &t, &bad), TS_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(ts_error_detail(), "vocabulary_size"));
    }
    settings few = {.size = 300, .max_words = 10};
    assert_int_equal(train(&tokenizer, &t, &few), TS_ERROR_INVALID_ARGUMENT);
    settings rare = {.size = 300, .frequency = UINT32_MAX};
    assert_int_equal(train(&tokenizer, &t, &rare), TS_OK); /* bytes alone, with a warning */
    assert_int_equal(ts_tokenizer_size(tokenizer), 257);
    assert_int_equal(rare.warnings, 1);
    ts_tokenizer_free(tokenizer);
    assert_int_equal(ts_tokenizer_train(NULL, NULL, next_text, &t, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_tokenizer_train(&tokenizer, NULL, NULL, &t, NULL), TS_ERROR_INVALID_ARGUMENT);
    free_texts(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),      cmocka_unit_test(test_order),    cmocka_unit_test(test_threads),  cmocka_unit_test(test_forgetting),
        cmocka_unit_test(test_huge_word), cmocka_unit_test(test_stopping), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("bpe_train", tests, NULL, NULL);
}

#define _GNU_SOURCE
/* Required words: they come, as whole words, wherever they have to be made of; and nothing else of the story changes. */
#include "../model/model_fixture.h"

#include <ctype.h>
#include <math.h>

enum { CONTEXT = 160, MOST_TEXT = 8192 };

static ts_model *model;

static int make_model(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    architecture.context_length = CONTEXT;
    model = fixture_model_of(NULL, tokenizer, &architecture, 11);
    ts_tokenizer_free(tokenizer);
    return 0;
}

static int free_model(void **state)
{
    (void)state;
    ts_model_free(model);
    return 0;
}

static ts_sampler *sampler_of(float temperature)
{
    ts_sampler_options options;
    ts_sampler *sampler;
    assert_ok(ts_sampler_options_init(&options, sizeof options));
    options.temperature = temperature;
    assert_ok(ts_sampler_new(&sampler, model, &options));
    return sampler;
}

typedef struct story {
    char text[MOST_TEXT];
    size_t size;
} story;

static void tell_on(ts_sampler *sampler, story *s)
{
    const char *text;
    size_t size;
    for (;;) {
        assert_ok(ts_sampler_next(sampler, &text, &size));
        if (text == NULL)
            break;
        assert_true(s->size + size < MOST_TEXT);
        memcpy(s->text + s->size, text, size);
        s->size += size;
    }
    s->text[s->size] = 0;
}

static story tell(ts_sampler *sampler, const char *prompt, uint64_t seed)
{
    story s = {.size = strlen(prompt)};
    memcpy(s.text, prompt, s.size);
    assert_ok(ts_sampler_start_seeded(sampler, prompt, s.size, seed));
    tell_on(sampler, &s);
    return s;
}

static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool holds(const story *s, const char *word)
{
    size_t length = strlen(word);
    for (size_t at = 0; at + length <= s->size; at++)
        if (strncasecmp(s->text + at, word, length) == 0 && (at == 0 || !is_letter(s->text[at - 1])) &&
            (at + length == s->size || !is_letter(s->text[at + length])))
            return true;
    return false;
}

static const char *const words[] = {"cat", "Zebra", "blue balloon"};

static void words_come(void **state)
{
    (void)state;
    static const float temperatures[] = {0, 1};
    for (size_t t = 0; t < TS_COUNT_OF(temperatures); t++) {
        ts_sampler *sampler = sampler_of(temperatures[t]);
        size_t held_free = 0;
        for (uint64_t seed = 0; seed < 6; seed++) {
            story s = tell(sampler, "One", seed);
            held_free += holds(&s, words[0]) && holds(&s, words[1]) && holds(&s, words[2]);
        }
        assert_int_equal(held_free, 0); /* this model has no such words by itself */
        assert_ok(ts_sampler_require(sampler, words, 3, 40));
        for (uint64_t seed = 0; seed < 6; seed++) {
            story s = tell(sampler, "One", seed);
            assert_int_equal(ts_sampler_missing(sampler), 0);
            for (size_t i = 0; i < 3; i++)
                assert_true(holds(&s, words[i]));
        }
        ts_sampler_free(sampler);
    }
}

/* A word that the prompt has, and none at all, change nothing; a word that never gets its chance keeps the story from ending and is reported. */
static void else_the_story_is_as_it_was(void **state)
{
    (void)state;
    static const char *const there[] = {"one", "CAT"}, *const far[] = {"zebra"};
    ts_sampler *plain = sampler_of(1), *with = sampler_of(1);
    assert_ok(ts_sampler_require(with, there, 2, 1));
    for (uint64_t seed = 0; seed < 4; seed++) {
        story a = tell(plain, "One cat's", seed), b = tell(with, "One cat's", seed);
        assert_string_equal(a.text, b.text);
    }
    assert_ok(ts_sampler_require(with, far, 1, UINT32_MAX));
    for (uint64_t seed = 0; seed < 4; seed++) {
        tell(with, "One", seed);
        assert_int_equal(ts_sampler_missing(with), 1);
        assert_int_equal(ts_sampler_finish(with), TS_FINISH_CONTEXT);
    }
    assert_ok(ts_sampler_require(with, NULL, 0, 0));
    for (uint64_t seed = 0; seed < 4; seed++) {
        story a = tell(plain, "One", seed), b = tell(with, "One", seed);
        assert_string_equal(a.text, b.text);
    }
    ts_sampler_free(plain);
    ts_sampler_free(with);
}

/* A clone goes on alike from any point, within a word too; a story that is cut has its words before it again. */
static void sessions(void **state)
{
    (void)state;
    ts_sampler *sampler = sampler_of(1), *clone;
    assert_ok(ts_sampler_require(sampler, words, 3, 30));
    for (size_t stop = 1; stop < 40; stop += 9) {
        story a = {.size = 0}, b = {.size = 0};
        const char *text;
        size_t size;
        assert_ok(ts_sampler_start_seeded(sampler, "So", 2, 5));
        for (size_t i = 0; i < stop; i++)
            assert_ok(ts_sampler_next(sampler, &text, &size));
        assert_ok(ts_sampler_clone(&clone, sampler));
        tell_on(sampler, &a);
        tell_on(clone, &b);
        assert_string_equal(a.text, b.text);
        assert_ok(ts_sampler_cut(clone, 2, 9));
        assert_int_equal(ts_sampler_missing(clone), 3);
        b.size = 0;
        tell_on(clone, &b);
        assert_int_equal(ts_sampler_missing(clone), 0);
        ts_sampler_free(clone);
    }
    ts_sampler_free(sampler);
}

/* Words that are asked for while a story is told. */
static void asked_for_later(void **state)
{
    (void)state;
    ts_sampler *sampler = sampler_of(1);
    for (uint64_t seed = 0; seed < 4; seed++) {
        story s = {.size = 0};
        const char *text;
        size_t size;
        assert_ok(ts_sampler_require(sampler, NULL, 0, 0));
        assert_ok(ts_sampler_start_seeded(sampler, "So a cat ran", 12, seed));
        for (size_t i = 0; i < 10 && ts_sampler_finish(sampler) == TS_FINISH_NONE; i++)
            assert_ok(ts_sampler_next(sampler, &text, &size));
        if (ts_sampler_finish(sampler) != TS_FINISH_NONE)
            continue;
        assert_ok(ts_sampler_require(sampler, words, 2, 20));
        assert_int_equal(ts_sampler_missing(sampler), 1);
        tell_on(sampler, &s);
        assert_true(holds(&s, words[1]));
    }
    ts_sampler_free(sampler);
}

static void bad_words_are_told(void **state)
{
    (void)state;
    ts_sampler *sampler = sampler_of(1);
    const char *many[17], *const empty[] = {""}, *const null[] = {NULL}, *const longest[] = {"thirty-one-bytes-are-the-longest"};
    for (size_t i = 0; i < 17; i++)
        many[i] = "cat";
    assert_ok(ts_sampler_require(sampler, words, 1, 0));
    assert_int_equal(ts_sampler_require(sampler, many, 17, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_require(sampler, NULL, 1, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_require(sampler, empty, 1, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_require(sampler, null, 1, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_require(sampler, longest, 1, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(ts_error_detail(), "words[0] has 32 bytes"));
    assert_int_equal(ts_sampler_require(NULL, words, 1, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_missing(sampler), 1); /* as before */
    assert_int_equal(ts_sampler_missing(NULL), 0);
    assert_ok(ts_sampler_require(sampler, many, 16, 0));
    ts_sampler_free(sampler);
}

/* A word that is banned too is told once, where it is required, and nowhere else; its letters may be banned by biases as well. */
static void banned_and_required(void **state)
{
    (void)state;
    static const char *const both[] = {"kite"}, *const banned[] = {"ki", "cat"};
    ts_token_bias *biases = malloc(1024 * sizeof *biases);
    ts_sampler_options options;
    ts_sampler *sampler;
    size_t bias_count = 0;
    assert_ok(ts_sampler_options_init(&options, sizeof options));
    for (uint32_t id = 0; id < ts_tokenizer_size(model->tokenizer); id++) {
        size_t size;
        const char *bytes = ts_tokenizer_token(model->tokenizer, id, &size);
        if (size == 1 && bytes[0] == 'k')
            biases[bias_count++] = (ts_token_bias){id, -INFINITY};
    }
    assert_true(bias_count > 0);
    options.temperature = 1.2f;
    options.biases = biases, options.bias_count = bias_count;
    options.banned_words = banned, options.banned_word_count = 2;
    assert_ok(ts_sampler_new(&sampler, model, &options));
    assert_ok(ts_sampler_require(sampler, both, 1, 30));
    for (uint64_t seed = 0; seed < 20; seed++) {
        story s = tell(sampler, "The", seed);
        size_t times = 0;
        for (size_t at = 1; at + 2 <= s.size; at++)
            times += !is_letter(s.text[at - 1]) && s.text[at - 1] != '\'' && strncasecmp(s.text + at, "ki", 2) == 0;
        assert_true(holds(&s, "kite"));
        assert_int_equal(times, 1);
        assert_int_equal(ts_sampler_missing(sampler), 0);
    }
    free(biases);
    ts_sampler_free(sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_come), cmocka_unit_test(banned_and_required), cmocka_unit_test(else_the_story_is_as_it_was),
        cmocka_unit_test(sessions),   cmocka_unit_test(asked_for_later),     cmocka_unit_test(bad_words_are_told),
    };
    return cmocka_run_group_tests(tests, make_model, free_model);
}

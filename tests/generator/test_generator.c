/* Generators: the same stories in every way that they can be had, and stories that keep what their records promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "tinystories/generator.h"

static ts_generator *generator_of(uint64_t seed, uint32_t features)
{
    ts_generator_options options;
    ts_generator *generator;
    assert_int_equal(ts_generator_options_init(&options, sizeof options), TS_OK);
    options.seed = seed;
    options.features = features;
    assert_int_equal(ts_generator_new(&generator, NULL, &options), TS_OK);
    return generator;
}

static ts_story next(ts_generator *generator)
{
    ts_story story = {.struct_size = sizeof story};
    assert_int_equal(ts_generator_next(generator, &story), TS_OK);
    return story;
}

static void same_story_by_seek(void **state)
{
    (void)state;
    ts_generator *one = generator_of(5, 63), *other = generator_of(5, 63);
    for (uint64_t i = 0; i < 20; i++) {
        ts_story a = next(one);
        assert_int_equal(a.index, i);
        assert_int_equal(ts_generator_seek(other, i), TS_OK);
        ts_story b = next(other);
        assert_string_equal(a.story, b.story);
        assert_string_equal(a.summary, b.summary);
    }
    assert_int_equal(ts_generator_seek(one, UINT64_MAX), TS_OK);
    assert_true(next(one).story_size > 0);
    ts_generator_free(one);
    ts_generator_free(other);
}

static char *written(uint32_t threads, size_t *size)
{
    char path[] = "/tmp/ts_generator_XXXXXX.txt";
    int file = mkstemps(path, 4);
    assert_true(file >= 0);
    close(file);
    ts_runtime_options options;
    ts_runtime *runtime;
    ts_generator *generator;
    char *data, *copy;
    assert_int_equal(ts_runtime_options_init(&options, sizeof options), TS_OK);
    options.threads = threads;
    assert_int_equal(ts_runtime_new(&runtime, &options), TS_OK);
    assert_int_equal(ts_generator_new(&generator, runtime, NULL), TS_OK);
    assert_int_equal(ts_generator_write(generator, 600, path, NULL, NULL), TS_OK);
    ts_generator_free(generator);
    assert_int_equal(ts_file_read(runtime, path, 1 << 24, &data, size), TS_OK);
    copy = malloc(*size);
    assert_non_null(copy);
    memcpy(copy, data, *size);
    ts_release(runtime, data);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
    unlink(path);
    return copy;
}

static void same_bytes_by_any_threads(void **state)
{
    (void)state;
    size_t size, other_size;
    char *bytes = written(1, &size);
    for (uint32_t threads = 2; threads <= 4; threads += 2) {
        char *other = written(threads, &other_size);
        assert_int_equal(other_size, size);
        assert_memory_equal(other, bytes, size);
        free(other);
    }
    free(bytes);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'';
}

static int compare(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

/* The next word in lower case; NULL at the end. */
static const char *word_after(const char *at, char *word, size_t size)
{
    size_t used = 0;
    while (*at && !is_letter(*at))
        at++;
    for (; is_letter(*at) && used + 1 < size; at++)
        word[used++] = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    word[used] = 0;
    return used ? at : NULL;
}

static void stories_keep_to_their_words(void **state)
{
    (void)state;
    ts_generator *generator = generator_of(11, 63);
    size_t count;
    const char *const *words = ts_generator_words(generator, 3, &count);
    for (int i = 0; i < 1000; i++) {
        ts_story story = next(generator);
        char word[64], before[64] = "";
        bool found[3] = {false};
        for (const char *at = story.story; (at = word_after(at, word, sizeof word)); memcpy(before, word, sizeof word)) {
            if (!bsearch(word, words, count, sizeof *words, compare))
                fail_msg("'%s' is not in the vocabulary: story %d", word, i);
            bool vowel = (strchr("aeio", word[0]) != NULL && strcmp(word, "one") != 0) || strcmp(word, "honest") == 0;
            if ((strcmp(before, "a") == 0 && vowel) || (strcmp(before, "an") == 0 && !vowel && word[0] != 'u'))
                fail_msg("'%s %s' in story %d", before, word, i);
            assert_string_not_equal(before, strcmp(word, "the") == 0 ? "the" : "\n");
            for (int k = 0; k < 3; k++) { /* irregular forms have at least the first letter in common, but for went */
                size_t same = strlen(story.words[k]) < 4 ? 1 : 2;
                found[k] = found[k] || strncmp(word, story.words[k], same) == 0 || strcmp(word, "went") == 0 || strcmp(word, "thought") == 0;
            }
        }
        for (int k = 0; k < 3; k++)
            if (!found[k] && k > 0)
                fail_msg("'%s' is not used in story %d", story.words[k], i);
    }
    ts_generator_free(generator);
}

static void stories_are_well_formed(void **state)
{
    (void)state;
    ts_generator *generator = generator_of(3, 63);
    for (int i = 0; i < 1000; i++) {
        ts_story story = next(generator);
        const char *text = story.story;
        size_t quotes = 0;
        assert_int_equal(strlen(text), story.story_size);
        for (size_t k = 0; k < story.story_size; k++) {
            assert_true((text[k] >= ' ' && text[k] <= '~' && !strchr("{}[]<>|~_()", text[k])) || text[k] == '\n');
            quotes += text[k] == '"';
            if (text[k] == ' ')
                assert_false(text[k + 1] == ' ' || text[k + 1] == '.' || text[k + 1] == ',' || text[k + 1] == 0);
            if ((text[k] == '.' && text[k + 1] == ' ') || text[k] == '\n')
                assert_false(text[k + 1 + (text[k] == '.')] >= 'a' && text[k + 1 + (text[k] == '.')] <= 'z');
        }
        assert_int_equal(quotes % 2, 0);
        assert_int_equal(quotes > 0, (story.features & TS_FEATURE_DIALOGUE) != 0);
        assert_true(strchr(".!?\"", text[story.story_size - 1]) != NULL);
        assert_true(text[0] >= 'A' && text[0] <= 'Z');
        if (story.features & TS_FEATURE_MORAL_VALUE)
            assert_true(strstr(text, " learned that ") || strstr(text, " knew that ") || strstr(text, "he lesson is") || strstr(text, "he moral of"));
        if (story.features & TS_FEATURE_CONFLICT)
            assert_true(strstr(text, "quarrel") || strstr(text, "began to fight"));
        if (story.features & TS_FEATURE_BAD_ENDING)
            assert_true(strstr(text, "sad end") || strstr(text, "Nothing could") || strstr(text, "too late to change"));
    }
    ts_generator_free(generator);
}

static void features_are_those_allowed(void **state)
{
    (void)state;
    ts_generator *generator = generator_of(3, TS_FEATURE_TWIST | TS_FEATURE_CONFLICT);
    uint64_t seen = 0;
    for (int i = 0; i < 100; i++)
        seen |= next(generator).features;
    assert_int_equal(seen, TS_FEATURE_TWIST | TS_FEATURE_CONFLICT);
    ts_generator_free(generator);
    assert_string_equal(ts_feature_name(TS_FEATURE_BAD_ENDING), "BadEnding");
    assert_null(ts_feature_name(3));
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void stories_differ(void **state)
{
    (void)state;
    enum { STORIES = 5000 };
    static uint64_t hashes[STORIES];
    ts_generator *generator = generator_of(7, 63);
    for (int i = 0; i < STORIES; i++) {
        ts_story story = next(generator);
        hashes[i] = ts_hash(story.story, story.story_size, 0);
    }
    qsort(hashes, STORIES, sizeof *hashes, compare_hashes);
    for (int i = 1; i < STORIES; i++)
        assert_true(hashes[i - 1] != hashes[i]);
    ts_generator_free(generator);
}

static void bad_vocabularies_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *detail;
    } cases[] = {
        {"dog\n", "line 1: 'dog'"},
        {"[noun animal]\ndog\ncat dog\n", "line 3: 'dog': is there twice"},
        {"[noun monster]\n", "line 1: 'noun monster'"},
        {"[noun animal\n", "line 1"},
        {"[noun animal]\nDog\n", "line 2: 'Dog'"},
        {"[noun animal]\nd0g\n", "line 2: 'd0g'"},
        {"[noun animal]\na/b/c\n", "line 2"},
        {"[noun animal]\ndog>cat\n", "line 2"},
        {"[verb move]\nrun/\n", "line 2"},
        {"", "too few words"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        char path[] = "/tmp/ts_words_XXXXXX";
        int file = mkstemp(path);
        size_t size = strlen(cases[i].text);
        assert_true(file >= 0 && write(file, cases[i].text, size) == (ssize_t)size);
        close(file);
        ts_generator_options options;
        ts_generator *generator = NULL;
        assert_int_equal(ts_generator_options_init(&options, sizeof options), TS_OK);
        options.vocabulary = path;
        assert_int_equal(ts_generator_new(&generator, NULL, &options), TS_ERROR_FORMAT);
        assert_null(generator);
        assert_non_null(strstr(ts_error_detail(), cases[i].detail));
        assert_non_null(strstr(ts_error_detail(), path));
        unlink(path);
    }
}

static void json_lines(void **state)
{
    (void)state;
    ts_generator *generator = generator_of(7, 63);
    ts_story story = next(generator);
    size_t size = 0, again;
    assert_int_equal(ts_story_json(&story, NULL, 0, &size), TS_ERROR_BUFFER_TOO_SMALL);
    char *line = malloc(size + 1);
    assert_non_null(line);
    assert_int_equal(ts_story_json(&story, line, size, &again), TS_ERROR_BUFFER_TOO_SMALL);
    assert_int_equal(ts_story_json(&story, line, size + 1, &again), TS_OK);
    assert_int_equal(strlen(line), size);
    assert_memory_equal(line, "{\"story\": \"", 11);
    assert_null(strchr(line, '\n'));
    assert_non_null(strstr(line, "\"source\": \"embedded\", \"seed\": 7, \"index\": 0}"));
    free(line);
    assert_int_equal(ts_generator_write(generator, 1, "-", NULL, NULL), TS_ERROR_INVALID_ARGUMENT);
    ts_generator_free(generator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_story_by_seek),       cmocka_unit_test(same_bytes_by_any_threads), cmocka_unit_test(stories_keep_to_their_words),
        cmocka_unit_test(stories_are_well_formed),  cmocka_unit_test(features_are_those_allowed), cmocka_unit_test(stories_differ),
        cmocka_unit_test(bad_vocabularies_are_told), cmocka_unit_test(json_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

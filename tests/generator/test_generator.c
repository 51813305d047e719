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
#include "format/stories.h"
#include "generator/author.h"
#include "generator/data.h"
#include "tinystories/generator.h"

static ts_runtime *the_runtime(void)
{
    static ts_runtime *runtime;
    if (!runtime)
        assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    return runtime;
}

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

static bool is_form(const char *word, const ts_entry *entry)
{
    const char *const forms[] = {entry->base, entry->s, entry->past, entry->ing};
    for (size_t i = 0; i < TS_COUNT_OF(forms); i++)
        if (forms[i] && strcmp(word, forms[i]) == 0)
            return true;
    return false;
}

static void stories_keep_to_their_words(void **state)
{
    (void)state;
    ts_generator *generator = generator_of(11, 63);
    ts_word_list list;
    assert_int_equal(ts_word_list_open(&list, the_runtime()), TS_OK);
    size_t count;
    const char *const *words = ts_generator_words(generator, 3, &count);
    for (int i = 0; i < 2000; i++) {
        ts_story story = next(generator);
        const ts_entry *drawn[3] = {NULL};
        for (size_t k = 0; k < list.word_count; k++)
            for (int kind = 0; kind < 3; kind++)
                if (list.words[k].kind == kind && strcmp(list.words[k].base, story.words[kind]) == 0)
                    drawn[kind] = &list.words[k];
        char word[64], before[64] = "";
        bool found[3] = {false};
        for (const char *at = story.story; (at = word_after(at, word, sizeof word)); memcpy(before, word, sizeof word)) {
            if (!bsearch(word, words, count, sizeof *words, compare))
                fail_msg("'%s' is not in the vocabulary: story %d", word, i);
            if ((strcmp(before, "a") == 0 && ts_takes_an(word, strlen(word))) || (strcmp(before, "an") == 0 && !ts_takes_an(word, strlen(word))))
                fail_msg("'%s %s' in story %d", before, word, i);
            assert_string_not_equal(before, strcmp(word, "the") == 0 ? "the" : "\n");
            for (int k = 0; k < 3; k++)
                found[k] = found[k] || is_form(word, drawn[k]);
        }
        for (int k = 0; k < 3; k++)
            if (!found[k])
                fail_msg("'%s' is not used in story %d", story.words[k], i);
    }
    ts_word_list_free(&list);
    ts_generator_free(generator);
}

static void articles(void **state)
{
    (void)state;
    static const char *const an[] = {"owl", "hour", "honest", "Apple", "uncle", "umbrella", "egg"}, *const a[] = {"unicorn", "dog", "uniform", "one",
                                                                                                                  "ukulele", "yak", "hat"};
    for (size_t i = 0; i < TS_COUNT_OF(an); i++) {
        assert_true(ts_takes_an(an[i], strlen(an[i])));
        assert_false(ts_takes_an(a[i], strlen(a[i])));
    }
}

/* Every plot can be told with every feature, and says so: the author keeps no story that lacks one. */
static void plots_have_all_features(void **state)
{
    (void)state;
    enum { STORIES = 6000 };
    ts_runtime *runtime = the_runtime();
    ts_word_list list;
    ts_grammar grammar;
    ts_draft *draft = malloc(sizeof *draft);
    assert_non_null(draft);
    assert_int_equal(ts_word_list_open(&list, runtime), TS_OK);
    assert_int_equal(ts_grammar_open(&grammar, runtime, &list), TS_OK);
    assert_true(grammar.plot_count >= 60 && grammar.plot_count <= 128);
    static uint32_t times[128], features[128];
    for (uint64_t i = 0; i < STORIES; i++) {
        assert_int_equal(ts_author_write(draft, &list, &grammar, 23, i, 63, (const ts_entry *[2]){NULL, NULL}), TS_OK);
        size_t number = 0;
        while (&grammar.phrases[grammar.plots[number]] != draft->plot)
            number++;
        times[number]++;
        features[number] |= draft->features;
        assert_true(draft->summary_size > 0 && draft->story_size > 200);
    }
    for (size_t i = 0; i < grammar.plot_count; i++) {
        const ts_phrase *plot = &grammar.phrases[grammar.plots[i]];
        if (features[i] != 63 || times[i] < STORIES / 10 / grammar.plot_count)
            fail_msg("the plot '%.*s': %u stories of %d, features %x", (int)plot->name_size, plot->name, times[i], STORIES, features[i]);
    }
    ts_grammar_free(&grammar);
    ts_word_list_free(&list);
    free(draft);
}

static void bad_plots_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *detail;
    } cases[] = {
        {"", "no plot"},
        {"the dog\n", "line 1: text before"},
        {"== p\n<nothing>\n", "no phrase 'nothing'"},
        {"== p\n(rainy) the dog\n", "by the name 'rainy'"},
        {"== p\n{(t:soup)the|}\n", "by the name 't:soup'"},
        {"== p thing=soup\nthe\n", "unknown option 'thing=soup'"},
        {"== p thing=toy,+breaks,+loud,+water\nthe\n", "no plot has a word for each of its parts; without one are: p (thing)"},
        {"== p\nthe {dog|cat\n", "line 2: braces"},
        {"== p\nthe [hero\n", "line 2: '[' is not closed"},
        {"== p\nthe qzx\n", "'qzx', which the vocabulary lacks"},
        {"= p\nthe\n= p\nthe\n", "line 3"},
    };
    ts_runtime *runtime = the_runtime();
    ts_word_list list;
    ts_grammar grammar;
    assert_int_equal(ts_word_list_open(&list, runtime), TS_OK);
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        assert_int_equal(ts_grammar_read(&grammar, runtime, &list, cases[i].text, strlen(cases[i].text)), TS_ERROR_FORMAT);
        if (!strstr(ts_error_detail(), cases[i].detail))
            fail_msg("plots %zu: '%s'", i, ts_error_detail());
    }
    ts_word_list_free(&list);
}

static bool has_any(const char *text, const char *const *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(text, wanted[i]))
            return true;
    return false;
}

static const char *const morals[] = {" learned that ", " knew that ", "he lesson is", "he moral of", "remember that "};
static const char *const sad_ends[] = {"sad end", "Nothing could", "too late to ", "What was done", "no way back", "be mended",
                                       "could help now", "would not have been", "wouldn't have been", "not be undone", "n't be undone", "And so it stayed",
                                       "nothing left to say"};

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
            assert_true(has_any(text, morals, TS_COUNT_OF(morals)));
        if (story.features & TS_FEATURE_CONFLICT)
            assert_true(strstr(text, "quarrel") || strstr(text, " to fight"));
        if (story.features & TS_FEATURE_BAD_ENDING)
            assert_true(has_any(text, sad_ends, TS_COUNT_OF(sad_ends)));
    }
    ts_generator_free(generator);
}

/* The size of the sentence at `text`: up to a sign that ends it and stands before a space, a line's end or the end. */
static size_t sentence_size(const char *text)
{
    size_t i = 0;
    while (text[i] && !(strchr(".!?", text[i]) && (!text[i + 1] || strchr(" \n", text[i + 1]))))
        i++;
    return i;
}

/* Nothing is said twice in a story, and no way to begin one is worn out. */
static void stories_do_not_repeat_themselves(void **state)
{
    (void)state;
    enum { STORIES = 2000, MOST = 128, OPENING = 4 };
    static char openings[STORIES][64];
    ts_generator *generator = generator_of(31, 63);
    for (int i = 0; i < STORIES; i++) {
        ts_story story = next(generator);
        const char *starts[MOST];
        size_t sizes[MOST], count = 0;
        for (const char *at = story.story; *at && count < MOST; count++) {
            while (strchr(" \n", *at))
                at++;
            starts[count] = at;
            sizes[count] = sentence_size(at);
            for (size_t k = 0; k < count; k++)
                if (sizes[count] >= 12 && sizes[k] == sizes[count] && memcmp(starts[k], at, sizes[k]) == 0)
                    fail_msg("story %d says twice: '%.*s'", i, (int)sizes[k], at);
            at += sizes[count] + (at[sizes[count]] != 0);
        }
        const char *at = story.story;
        for (int words = 0; words < OPENING; words++)
            at += strcspn(at, " ") + 1;
        snprintf(openings[i], sizeof openings[i], "%.*s", (int)(at - story.story), story.story);
    }
    for (int i = 0, same = 0; i < STORIES; i++, same = 0) {
        for (int k = 0; k < STORIES; k++)
            same += strcmp(openings[i], openings[k]) == 0;
        if (same * 10 > STORIES)
            fail_msg("%d of %d stories begin with '%s'", same, STORIES, openings[i]);
    }
    ts_generator_free(generator);
}

/* After a person is named in a paragraph, the name gives way to pronouns where they are clear. */
static void names_give_way_to_pronouns(void **state)
{
    (void)state;
    static const char *const pronouns[] = {"he", "him", "his", "she", "her"};
    ts_generator *generator = generator_of(33, 63);
    size_t said = 0, names = 0;
    for (int i = 0; i < 500; i++) {
        ts_story story = next(generator);
        char word[64];
        for (const char *at = story.story; (at = word_after(at, word, sizeof word));)
            for (size_t k = 0; k < TS_COUNT_OF(pronouns); k++)
                said += strcmp(word, pronouns[k]) == 0;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(story.summary, " '"), story.summary);
        for (const char *at = story.story; (at = strstr(at, name)); at++)
            names++;
    }
    if (said < names)
        fail_msg("%zu pronouns, %zu names", said, names);
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

/* Of given names the stories are, whoever else they may draw, and a girl stays a girl. */
static void names_are_those_given(void **state)
{
    (void)state;
    static const struct {
        const char *hero, *friend_;
    } cases[] = {{"Lily", "Tom"}, {"Tom", NULL}, {NULL, "Mia"}, {"Ben", "Max"}};
    for (size_t c = 0; c < TS_COUNT_OF(cases); c++) {
        ts_generator_options options;
        ts_generator *generator;
        assert_int_equal(ts_generator_options_init(&options, sizeof options), TS_OK);
        options.hero_name = cases[c].hero;
        options.friend_name = cases[c].friend_;
        assert_int_equal(ts_generator_new(&generator, NULL, &options), TS_OK);
        size_t with_hero = 0, with_friend = 0, other = 0;
        for (int i = 0; i < 200; i++) {
            ts_story story = next(generator);
            with_hero += cases[c].hero && strstr(story.story, cases[c].hero);
            with_friend += cases[c].friend_ && strstr(story.story, cases[c].friend_);
            other += strstr(story.story, "Lily") || strstr(story.story, "Sara") || strstr(story.story, "Anna");
            assert_null(strstr(story.story, "boy named Lily"));
        }
        assert_int_equal(with_hero, cases[c].hero ? 200 : 0);
        if (cases[c].friend_)
            assert_true(with_friend > 190); /* some plots speak of the hero alone */
        if (c == 3)
            assert_int_equal(other, 0);
        if (c == 1 || c == 2)
            assert_true(other > 0);
        ts_generator_free(generator);
    }
}

/* The first plot is of a thing in a tree, and the third of one that is not shared. */
static void plots_are_the_first_ones(void **state)
{
    (void)state;
    for (uint64_t plots = 1; plots <= 3; plots += 2) {
        ts_generator_options options;
        ts_generator *generator;
        assert_int_equal(ts_generator_options_init(&options, sizeof options), TS_OK);
        options.plots = plots;
        assert_int_equal(ts_generator_new(&generator, NULL, &options), TS_OK);
        size_t stuck = 0, shared = 0;
        for (int i = 0; i < 300; i++) {
            ts_story story = next(generator);
            stuck += strstr(story.summary, "gets stuck in a tree") != NULL;
            shared += strstr(story.summary, "does not want to share") != NULL;
        }
        if (plots == 1)
            assert_int_equal(stuck, 300);
        assert_true(plots == 1 ? shared == 0 : shared > 0 && stuck > 0);
        ts_generator_free(generator);
    }
}

static void names_that_cannot_be_are_told(void **state)
{
    (void)state;
    const ts_chat_options chat = {.struct_size = sizeof chat};
    const struct {
        const char *hero, *friend_;
        uint32_t author;
        const char *detail;
        uint64_t plots;
    } cases[] = {
        {"Beelzebub", NULL, TS_AUTHOR_EMBEDDED, "hero_name is 'Beelzebub'", 0},
        {NULL, "lily", TS_AUTHOR_EMBEDDED, "friend_name is 'lily'", 0},
        {"Grandma", NULL, TS_AUTHOR_EMBEDDED, "hero_name is 'Grandma'", 0},
        {"", NULL, TS_AUTHOR_EMBEDDED, "hero_name is ''", 0},
        {"Lily", "Lily", TS_AUTHOR_EMBEDDED, "friend_name is 'Lily', as options.hero_name", 0},
        {NULL, "Tom", TS_AUTHOR_CHAT, "friend_name is for the embedded author", 0},
        {NULL, NULL, TS_AUTHOR_CHAT, "plots is for the embedded author", 3},
    };
    for (size_t c = 0; c < TS_COUNT_OF(cases); c++) {
        ts_generator_options options;
        ts_generator *generator = NULL;
        assert_int_equal(ts_generator_options_init(&options, sizeof options), TS_OK);
        options.author = cases[c].author;
        options.chat = &chat;
        options.hero_name = cases[c].hero;
        options.friend_name = cases[c].friend_;
        options.plots = cases[c].plots;
        assert_int_equal(ts_generator_new(&generator, NULL, &options), TS_ERROR_INVALID_ARGUMENT);
        assert_null(generator);
        if (strstr(ts_error_detail(), cases[c].detail) == NULL)
            fail_msg("%s, expected %s", ts_error_detail(), cases[c].detail);
    }
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
        {"[noun toy]\nball:round\n", "line 2: 'round': is no tag"},
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

static int32_t stop_at_once(void *user, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    ++*(int *)user;
    return 1;
}

/* What is written is what is told, in every kind of file; read back by the reader that tokenizers and trainers use. */
static void files_hold_the_stories(void **state)
{
    (void)state;
    static const char *const ends[] = {".txt", ".jsonl", ".txt.gz", ".jsonl.gz"};
    for (size_t i = 0; i < TS_COUNT_OF(ends); i++) {
        char path[64] = "/tmp/ts_generator_XXXXXX";
        int file = mkstemp(path), calls = 0;
        assert_true(file >= 0);
        close(file);
        unlink(path);
        strcat(path, ends[i]);
        ts_generator *generator = generator_of(9, 63), *again = generator_of(9, 63);
        ts_status status = ts_generator_write(generator, 300, path, stop_at_once, &calls);
        if (status == TS_ERROR_UNSUPPORTED && i > 0) { /* the inference build has no gzip */
            ts_generator_free(generator);
            ts_generator_free(again);
            continue;
        }
        assert_int_equal(status, TS_ERROR_CANCELLED);
        assert_int_equal(calls, 1);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(ts_generator_write(generator, 50, path, NULL, NULL), TS_OK);
        ts_stories *stories;
        const char *const paths[] = {path};
        const char *text;
        size_t size;
        assert_int_equal(ts_stories_open(&stories, the_runtime(), paths, 1), TS_OK);
        for (int k = 0; k < 50; k++) {
            ts_story story = next(again);
            status = ts_stories_next(stories, &text, &size);
            if (status == TS_ERROR_UNSUPPORTED && i > 0 && k == 0) /* it writes JSON but does not read it */
                break;
            assert_int_equal(status, TS_OK);
            assert_int_equal(size, story.story_size);
            assert_memory_equal(text, story.story, size);
        }
        if (status == TS_OK) {
            assert_int_equal(ts_stories_next(stories, &text, &size), TS_OK);
            assert_null(text);
        }
        ts_stories_close(stories);
        assert_int_equal(next(generator).index, 50);
        ts_generator_free(generator);
        ts_generator_free(again);
        unlink(path);
    }
}

/* The built-in vocabulary as a file of the user's gives the same stories; one that lacks a class is told. */
static void a_vocabulary_of_ones_own(void **state)
{
    (void)state;
    char path[] = "/tmp/ts_words_XXXXXX";
    int file = mkstemp(path);
    char *words;
    assert_int_equal(ts_unpack(the_runtime(), &ts_words_data, &words), TS_OK);
    assert_true(file >= 0 && write(file, words, ts_words_data.size) == (ssize_t)ts_words_data.size);
    close(file);
    ts_generator_options options;
    ts_generator *own, *built_in = generator_of(4, 63);
    assert_int_equal(ts_generator_options_init(&options, sizeof options), TS_OK);
    options.vocabulary = path;
    options.seed = 4;
    assert_int_equal(ts_generator_new(&own, NULL, &options), TS_OK);
    for (int i = 0; i < 20; i++)
        assert_string_equal(next(own).story, next(built_in).story);
    ts_generator_free(own);
    ts_generator_free(built_in);
    const char *end = strstr(words, "[noun vehicle]");
    assert_non_null(end);
    assert_int_equal(truncate(path, end - words), 0);
    ts_release(the_runtime(), words);
    own = NULL;
    assert_int_equal(ts_generator_new(&own, NULL, &options), TS_ERROR_FORMAT);
    assert_non_null(strstr(ts_error_detail(), "[noun vehicle]"));
    assert_null(own);
    unlink(path);
}

/* ---- a vocabulary of a hundred words ---- */

static const char small_words[] =
    "[verb move]\nrun/ran:fast walk\n"
    "[verb voice]\nsing/sang:loud,good hum:good\n"
    "[verb mind]\nthink/thought dream\n"
    "[verb work]\nsweep/swept>the_floor wash>the_dishes\n"
    "[verb play]\nplay draw/drew>a_picture\n"
    "[verb face]\nsmile:good grin:good\n"
    "[verb rest]\nsleep/slept rest\n"
    "[verb hand]\nhug:good,soft hold/held:soft\n"
    "[verb mishap]\ntrip stumble\n"
    "[noun animal]\ncat dog\n"
    "[noun food]\napple:grows banana:grows\n"
    "[noun food mass]\nbread butter\n"
    "[noun toy]\nball doll\n"
    "[noun tool]\nhammer:mend spoon:dig,cook\n"
    "[noun clothing]\nhat:warm cap\n"
    "[noun furniture]\nchair:reach,made,sit table:made\n"
    "[noun vehicle]\ncar:made bus\n"
    "[noun place]\npark:at garden\n"
    "[noun plant]\ntree:hide,tall flower:flower\n"
    "[noun body]\nnose ear\n"
    "[noun nature]\nsun:sight moon:sight\n"
    "[noun nature mass]\nrain:rain snow:snow\n"
    "[noun person]\nfarmer baker\n"
    "[noun idea]\nsong:tell story:tell\n"
    "[noun idea mass]\nmusic magic\n"
    "[adjective size]\nbig little\n"
    "[adjective color]\nred blue\n"
    "[adjective look]\npretty lovely\n"
    "[adjective touch]\nsoft hard\n"
    "[adjective state]\ndirty:dirt clean\n"
    "[adjective taste]\nsweet:good sour:bad\n"
    "[adjective temper]\nkind:good brave:good\n"
    "[adjective feeling]\nhappy:good sad:bad\n"
    "[adjective weather]\nsunny:sun rainy:rain\n"
    "[adjective way]\nfast slow\n"
    "[name boy]\nTom Tim Ben\n"
    "[name girl]\nLily Mia Sara\n"
    "[name grown]\nMom Dad Grandma\n";

typedef struct log_lines {
    size_t count;
    char last[4096];
} log_lines;

static void note_line(void *user, int32_t level, const char *line)
{
    log_lines *lines = user;
    assert_int_equal(level, TS_LOG_WARNING);
    lines->count++;
    snprintf(lines->last, sizeof lines->last, "%s", line);
}

static ts_status open_words(ts_generator **generator, ts_runtime *runtime, const char *words, size_t size)
{
    char path[] = "/tmp/ts_words_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0 && write(file, words, size) == (ssize_t)size);
    close(file);
    ts_generator_options options;
    assert_int_equal(ts_generator_options_init(&options, sizeof options), TS_OK);
    options.vocabulary = path;
    ts_status status = ts_generator_new(generator, runtime, &options);
    unlink(path);
    return status;
}

/* The plots bring the words that they are told with; those that find no word for a part are left out, which is said once. */
static void a_small_vocabulary(void **state)
{
    (void)state;
    log_lines lines = {0};
    ts_runtime_options of_runtime;
    ts_runtime *runtime;
    ts_generator *generator;
    assert_int_equal(ts_runtime_options_init(&of_runtime, sizeof of_runtime), TS_OK);
    of_runtime.log = note_line;
    of_runtime.log_user = &lines;
    assert_int_equal(ts_runtime_new(&runtime, &of_runtime), TS_OK);
    assert_int_equal(open_words(&generator, runtime, small_words, sizeof small_words - 1), TS_OK);
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, " plots are left out, for no word of the vocabulary can play a part of them: "));
    size_t count, nouns;
    const char *const *words = ts_generator_words(generator, 3, &count);
    ts_generator_words(generator, 1, &nouns);
    assert_true(nouns > 20 && nouns < 50);
    for (int i = 0; i < 300; i++) {
        ts_story story = next(generator);
        char word[64];
        for (const char *at = story.story; (at = word_after(at, word, sizeof word));)
            if (!bsearch(word, words, count, sizeof *words, compare))
                fail_msg("'%s' is not in the vocabulary: story %d", word, i);
    }
    ts_generator_free(generator);
    ts_runtime_free(runtime);
    /* all that is missing is said at once */
    static const char two[] = "[noun animal]\ncat dog\n[name boy]\nTom\n";
    assert_int_equal(open_words(&generator, NULL, two, sizeof two - 1), TS_ERROR_FORMAT);
    assert_non_null(strstr(ts_error_detail(), "too few words: [noun food] has 0 of 1, [noun toy] has 0 of 1"));
    assert_non_null(strstr(ts_error_detail(), "[adjective size] has 0 of 1"));
    assert_null(strstr(ts_error_detail(), "function"));
}

/* test_generator [PATTERN]: the tests whose name matches */
int main(int count, char **values)
{
    if (count > 1)
        cmocka_set_test_filter(values[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_story_by_seek),
        cmocka_unit_test(same_bytes_by_any_threads),
        cmocka_unit_test(stories_keep_to_their_words),
        cmocka_unit_test(stories_are_well_formed),
        cmocka_unit_test(stories_do_not_repeat_themselves),
        cmocka_unit_test(names_give_way_to_pronouns),
        cmocka_unit_test(features_are_those_allowed),
        cmocka_unit_test(names_are_those_given),
        cmocka_unit_test(plots_are_the_first_ones),
        cmocka_unit_test(names_that_cannot_be_are_told),
        cmocka_unit_test(stories_differ),
        cmocka_unit_test(bad_vocabularies_are_told),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(articles),
        cmocka_unit_test(plots_have_all_features),
        cmocka_unit_test(bad_plots_are_told),
        cmocka_unit_test(files_hold_the_stories),
        cmocka_unit_test(a_vocabulary_of_ones_own),
        cmocka_unit_test(a_small_vocabulary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* How the embedded author's stories read: classes of flaws that careful readers found, each as something that can be looked for in a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "generator/author.h"
#include "text/text.h"
#include "tinystories/generator.h"

enum { STORIES = 3000, MOST_WORDS = 1024, RUN = 6 };

static ts_runtime *runtime;
static ts_word_list list;
static ts_grammar grammar;
static ts_draft drafts[STORIES];

static int open_author(void **state)
{
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    assert_int_equal(ts_word_list_open(&list, runtime), TS_OK);
    assert_int_equal(ts_grammar_open(&grammar, runtime, &list), TS_OK);
    for (uint64_t i = 0; i < STORIES; i++)
        assert_int_equal(ts_author_write(&drafts[i], &list, &grammar, 41, i, 63, (const ts_entry *[2]){NULL, NULL}), TS_OK);
    return 0;
}

static int close_author(void **state)
{
    (void)state;
    ts_grammar_free(&grammar);
    ts_word_list_free(&list);
    ts_runtime_free(runtime);
    return 0;
}

static bool tells(const ts_draft *draft, const char *plot)
{
    return draft->plot->name_size == strlen(plot) && memcmp(draft->plot->name, plot, strlen(plot)) == 0;
}

/* ---- what no story says ---- */

/* Wrong English, words that mean nothing where they stand, and ways to tell that were worn out. */
static const char *const never[] = {
    "prefered", "can not",
    "knew each other since",
    "in the last minute",
    "a bit delighted",
    "a bit heartbroken",
    "for hours",
    "to remember.",
    "On a day of ",
    "An hour went by until",
    "lost a shoe",
    "heart beat like a seed",
    "together under a leaf",
    "binder",
    "out of some ",
    "boat was a ",
    "a different ",
    "to have room",
    " one jam",
    "And After",
    "and After",
    "a day when,",
    "There was a time when,",
    "for he to",
    "for she to",
    "only for they",
    "Not even a",
    "not even a",
    "danced around like",
    "it so happened",
    "It so happened",

    "snore next to",
    "no spring came for hours",
    "under a log",
    "fell over a box",
    "  ",
    ",,",
};

static const char *const never_in_summaries[] = {
    "can not", "cannot get out", "swim near", "and it works", "little ones", "small ones", "soup of", "makes a new friend", "and it runs",
};

static void nothing_reads_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < STORIES; i++) {
        for (size_t k = 0; k < TS_COUNT_OF(never); k++)
            if (strstr(drafts[i].story, never[k]))
                fail_msg("story %zu has '%s':\n%s", i, never[k], drafts[i].story);
        for (size_t k = 0; k < TS_COUNT_OF(never_in_summaries); k++)
            if (strstr(drafts[i].summary, never_in_summaries[k]))
                fail_msg("the summary of story %zu has '%s': %s", i, never_in_summaries[k], drafts[i].summary);
    }
}

/* ---- words ---- */

/* The words of a text as they stand; gives their number. */
static size_t words_of(const char *text, const char **words, size_t *sizes)
{
    size_t left = strlen(text), count = 0;
    while (count < MOST_WORDS && ts_plain_word(&text, &left, &words[count], &sizes[count]))
        count++;
    return count;
}

static const ts_entry *entry_of(const char *word, size_t size, uint32_t kind)
{
    for (size_t i = list.kind_start[kind]; i < list.kind_start[kind + 1]; i++)
        if (strlen(list.words[i].base) == size && memcmp(list.words[i].base, word, size) == 0)
            return &list.words[i];
    return NULL;
}

static bool is_word(const char *word, size_t size, const char *expected)
{
    return strlen(expected) == size && memcmp(word, expected, size) == 0;
}

static bool is_counting(const char *word, size_t size)
{
    return is_word(word, size, "a") || is_word(word, size, "an") || is_word(word, size, "one");
}

/* No "a stale water", no "one jam". */
static void no_article_stands_before_what_is_not_counted(void **state)
{
    (void)state;
    const char *words[MOST_WORDS];
    size_t sizes[MOST_WORDS];
    for (size_t i = 0; i < STORIES; i++) {
        size_t count = words_of(drafts[i].story, words, sizes);
        for (size_t k = 1; k < count; k++) {
            const ts_entry *noun = entry_of(words[k], sizes[k], TS_KIND_NOUN);
            if (!noun || !noun->mass || strcmp(ts_class_name(TS_KIND_NOUN, noun->class_), "food") != 0)
                continue;
            bool described = k > 1 && !is_word(words[k - 1], sizes[k - 1], "little") && entry_of(words[k - 1], sizes[k - 1], TS_KIND_ADJECTIVE) &&
                             is_counting(words[k - 2], sizes[k - 2]);
            if (described || is_counting(words[k - 1], sizes[k - 1]))
                fail_msg("story %zu counts '%s':\n%s", i, noun->base, drafts[i].story);
        }
    }
}

static size_t times_of(const char *text, const char *wanted)
{
    size_t times = 0;
    for (const char *at = text; (at = strstr(at, wanted)); at++)
        times++;
    return times;
}

/* An errand that is done is not done again. */
static void no_work_is_told_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < STORIES; i++) {
        const ts_entry *verb = drafts[i].drawn[TS_DRAWN_VERB];
        if (!verb->object || strchr(verb->object, '[') || strcmp(ts_class_name(TS_KIND_VERB, verb->class_), "work") != 0)
            continue;
        char done[128], asked[128];
        snprintf(done, sizeof done, "%s %s", verb->past, verb->object);
        snprintf(asked, sizeof asked, " %s %s", verb->base, verb->object);
        if (times_of(drafts[i].story, done) + times_of(drafts[i].story, asked) > 1 && strcmp(verb->past, verb->base) != 0)
            fail_msg("story %zu: '%s' twice:\n%s", i, asked, drafts[i].story);
    }
}

/* ---- the world keeps together ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool has_any(const char *text, const char *const *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strstr(text, wanted[i]))
            return true;
    return false;
}

/* What the weather does not let happen. */
static void weather_holds(void **state)
{
    (void)state;
    static const char *const winter[] = {"ice on the pond", "world was white", "air smelled of snow", "roofs were white", " icy",
                                         " snowy",          "in winter,"};
    static const char *const warm[] = {"too hot",        "for a swim", "warm day",       "in summer,",    "flowers grew", "saw red flowers",
                                       "butterfly flew", "in spring,", "bees were busy", "learn to swim", "pick berries"};
    static const char *const wet[] = {"puddles on the road", "grass was wet", "drops fell"};
    static const char *const dry[] = {"too hot", "for a swim", "bees were busy", "did not rain for"};
    for (size_t i = 0; i < STORIES; i++) {
        const char *story = drafts[i].story;
        bool today = has_any(story, winter, TS_COUNT_OF(winter));
        if (today && has_any(story, warm, TS_COUNT_OF(warm)))
            fail_msg("story %zu is warm in winter:\n%s", i, story);
        if (has_any(story, wet, TS_COUNT_OF(wet)) && has_any(story, dry, TS_COUNT_OF(dry)))
            fail_msg("story %zu is dry in the rain:\n%s", i, story);
    }
}

/* Whoever is met for the first time was not there before, and nobody is told to be a friend again before. */
static void strangers_are_strangers(void **state)
{
    (void)state;
    static const char *const meetings[][2] = {{"boat", "It was "}, {"newchild", "The name was "}};
    size_t met = 0;
    for (size_t i = 0; i < STORIES; i++)
        for (size_t k = 0; k < TS_COUNT_OF(meetings); k++) {
            if (!tells(&drafts[i], meetings[k][0]))
                continue;
            const char *child = strstr(drafts[i].story, k == 0 ? "another child" : "new child"), *name = child ? strstr(child, meetings[k][1]) : NULL;
            assert_non_null(name);
            name += strlen(meetings[k][1]);
            char called[32];
            snprintf(called, sizeof called, " %.*s", (int)strcspn(name, " ,.'"), name);
            const char *first = strstr(drafts[i].story, called);
            while (is_letter(first[strlen(called)])) /* "Time" is not Tim */
                first = strstr(first + 1, called);
            if (first + 1 < name || strstr(drafts[i].story, "friends again"))
                fail_msg("story %zu knows%s too early:\n%s", i, called, drafts[i].story);
            met++;
        }
    assert_true(met > STORIES / 100);
}

/* ---- features by their text ---- */

/* The plain piece of at least 12 bytes that an alternative begins with, after a guard that asks for the feature; 0 if there is none. */
static size_t piece_of(const char *text, size_t size)
{
    size_t length = 0;
    while (length < size && !strchr("{}|<>[]()", text[length]))
        length++;
    return length >= 12 ? length : 0;
}

/* Whether a guard, of which `text` is the inside, asks for a feature. */
static bool asks_for(const char *text, size_t size, const char *name)
{
    for (size_t at = 0, length; at < size; at += length + 1) {
        length = 0;
        while (at + length < size && text[at + length] != ' ')
            length++;
        if (is_word(text + at, length, name))
            return true;
    }
    return false;
}

/* Whether a story has one of the plain pieces between a guard and the next one. */
static bool says_piece(const char *story, const char *text, const char *end)
{
    while (text < end && *text != '(') {
        size_t size = piece_of(text, (size_t)(end - text));
        char piece[512];
        snprintf(piece, sizeof piece, "%.*s", (int)TS_MIN(size, sizeof piece - 1), text);
        if (size > 0 && strstr(story, piece))
            return true;
        text += size > 0 ? size : 1;
    }
    return false;
}

/* Whether a story says what only alternatives under this feature say: any of their plain pieces. */
static bool says_feature(const char *story, const char *name)
{
    for (size_t i = 0; i < grammar.line_count; i++) {
        const char *at = grammar.lines[i].text, *end = at + grammar.lines[i].size;
        while ((at = memchr(at, '(', (size_t)(end - at))) != NULL) {
            const char *stop = memchr(at, ')', (size_t)(end - at));
            if (asks_for(at + 1, (size_t)(stop - at) - 1, name) && says_piece(story, stop + 1, end))
                return true;
            at = stop;
        }
    }
    return false;
}

/* Twist and Foreshadowing are told where a record says so. */
static void records_keep_their_word(void **state)
{
    (void)state;
    static const struct {
        uint32_t feature;
        const char *name;
    } kinds[] = {{TS_FEATURE_TWIST, "twist"}, {TS_FEATURE_FORESHADOWING, "plant"}};
    for (size_t i = 0; i < STORIES / 10; i++)
        for (size_t k = 0; k < TS_COUNT_OF(kinds); k++)
            if (drafts[i].features & kinds[k].feature && !says_feature(drafts[i].story, kinds[k].name))
                fail_msg("story %zu has no %s:\n%s", i, kinds[k].name, drafts[i].story);
}

/* ---- nothing is worn out ---- */

typedef struct run {
    uint64_t hash;
    uint32_t story;
    char text[64];
} run;

static int compare_runs(const void *a, const void *b)
{
    const run *x = a, *y = b;
    return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : (x->story > y->story) - (x->story < y->story);
}

/* No run of six words stands in more than 3 % of the stories. */
static void no_phrase_is_worn_out(void **state)
{
    (void)state;
    size_t count = 0, capacity = (size_t)STORIES * 400;
    run *runs = malloc(capacity * sizeof *runs);
    assert_non_null(runs);
    for (uint32_t i = 0; i < STORIES; i++) {
        const char *words[MOST_WORDS];
        size_t sizes[MOST_WORDS], all = words_of(drafts[i].story, words, sizes);
        uint64_t hashes[MOST_WORDS];
        for (size_t k = 0; k < all; k++)
            hashes[k] = ts_plain_word_hash(words[k], sizes[k]);
        for (size_t k = 0; k + RUN <= all && count < capacity; k++, count++) {
            runs[count] = (run){.hash = ts_ngram_hash(hashes + k, RUN), .story = i};
            snprintf(runs[count].text, sizeof runs[count].text, "%.60s", words[k]);
        }
    }
    qsort(runs, count, sizeof *runs, compare_runs);
    for (size_t i = 0, stories = 0; i < count; i++) {
        bool same = i > 0 && runs[i].hash == runs[i - 1].hash;
        stories = !same ? 1 : stories + (runs[i].story != runs[i - 1].story);
        if (stories * 100 > 3 * STORIES + 100)
            fail_msg("more than 3 %% of the stories say '%s'", runs[i].text);
    }
    free(runs);
}

/* Devices that are shorter than that, with the most stories in a hundred that may use them. */
static void no_device_is_worn_out(void **state)
{
    (void)state;
    static const char *const devices[] = {
        "so happy that",         "Oh no!",     "too late to",     "If you come by", "like a ",      "as happy as", "as proud as",
        "in front of the house", "had a plan", "knew what to do", "What could",     "felt worried", "hugged",      "danced"};
    static const uint32_t most[] = {3, 3, 3, 3, 12, 3, 3, 6, 5, 9, 3, 4, 9, 8};
    for (size_t k = 0; k < TS_COUNT_OF(devices); k++) {
        uint32_t stories = 0;
        for (size_t i = 0; i < STORIES; i++)
            stories += strstr(drafts[i].story, devices[k]) != NULL;
        if (stories * 100 > most[k] * STORIES)
            fail_msg("'%s' in %u of %d stories", devices[k], stories, STORIES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_reads_wrong),     cmocka_unit_test(no_article_stands_before_what_is_not_counted),
        cmocka_unit_test(no_work_is_told_twice),   cmocka_unit_test(weather_holds),
        cmocka_unit_test(strangers_are_strangers), cmocka_unit_test(records_keep_their_word),
        cmocka_unit_test(no_phrase_is_worn_out),   cmocka_unit_test(no_device_is_worn_out),
    };
    return cmocka_run_group_tests(tests, open_author, close_author);
}

/* Dataset statistics: numbers counted by hand on small texts, comparisons, files that are wrong, and every allocation failing once. */
#include "model/model_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "format/format.h"
#include "generator/data.h"
#include "generator/word_list.h"
#include "text/text.h"
#include "tinystories/dataset.h"

static char directory[64];

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned at;
    char *path = paths[at++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static const char *put(const char *name, const char *content)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, strlen(content), file), strlen(content));
    assert_int_equal(fclose(file), 0);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/tinystories-dataset-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"a.txt", "b.txt", "a.jsonl", "a.txt.gz"};
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(names); i++)
        unlink(path_of(names[i]));
    return rmdir(directory);
}

static ts_dataset_statistics count(const char *path, const char *against)
{
    ts_dataset_statistics s = {.struct_size = sizeof s};
    ts_dataset_options options;
    assert_int_equal(ts_dataset_options_init(&options, sizeof options), TS_OK);
    options.against = against != NULL ? &against : NULL;
    options.against_count = against != NULL;
    ts_status status = ts_dataset_stats(&s, NULL, &path, 1, &options);
    if (status != TS_OK)
        fail_msg("%s: %s", path, ts_error_detail());
    return s;
}

static void small_text_by_hand(void **state)
{
    (void)state;
    ts_dataset_statistics s = count(put("a.txt", "One two three four five.\n<|endoftext|>one TWO three four!<|endoftext|> \n<|endoftext|>\n"
                                                 "One two three four five.\n<|endoftext|>He said: \"Don't.\"<|endoftext|>...<|endoftext|>"),
                                    NULL);
    assert_int_equal(s.stories, 5);
    assert_int_equal(s.distinct_stories, 4);
    assert_int_equal(s.bytes, 24 + 19 + 24 + 17 + 3);
    assert_int_equal(s.words, 5 + 4 + 5 + 3 + 0);
    assert_int_equal(s.distinct_words, 8); /* one two three four five he said don't */
    assert_int_equal(s.fourgrams, 2 + 1 + 2);
    assert_int_equal(s.distinct_fourgrams, 2); /* one two three four (3 times), two three four five (twice) */
    assert_int_equal(s.fourgrams_once, 0);
    assert_float_equal(s.once_share, 0, 0);
    assert_int_equal(s.min_words, 0); /* lengths 0 3 4 5 5 */
    assert_int_equal(s.p5_words, 0);
    assert_int_equal(s.median_words, 4);
    assert_int_equal(s.p95_words, 5);
    assert_int_equal(s.max_words, 5);
    assert_float_equal(s.mean_words, 17.0 / 5, 1e-12);
    assert_int_equal(s.histogram[0], 5);
    assert_int_equal(s.dialogue_stories, 1);
    assert_float_equal(s.dialogue_share, 0.2, 1e-12);
    assert_int_equal(s.records, 0);
    assert_int_equal(s.text_bytes, s.bytes + 5);
    assert_true(isnan(s.gzip_ratio));
    assert_int_equal(s.compared_bytes, 0);
}

/* Openings, readability and word lists by hand. */
static void openings_and_lists(void **state)
{
    (void)state;
    ts_dataset_statistics s = count(put("a.txt", "Once upon a time, a cat sat. It ate!<|endoftext|>ONCE, upon a time there.<|endoftext|>The happy dog.<|endoftext|>...<|endoftext|>"
                                                 "The happy dog ran."),
                                    NULL);
    assert_int_equal(s.distinct_openings, 3);
    assert_string_equal(s.openings[0], "once upon a time");
    assert_int_equal(s.opening_stories[0], 2);
    assert_string_equal(s.openings[1], "the happy dog"); /* of equal ones the first */
    assert_string_equal(s.openings[2], "the happy dog ran");
    assert_int_equal(s.opening_stories[2], 1);
    assert_string_equal(s.openings[3], "");
    assert_int_equal(s.opening_stories[3], 0);
    assert_float_equal(s.opening_share, 0.4, 1e-12);
    assert_int_equal(s.sentences, 5); /* three points are none */
    assert_int_equal(s.words, 9 + 5 + 3 + 4);
    assert_int_equal(s.syllables, 10 + 6 + 4 + 5);
    assert_float_equal(s.words_per_sentence, 21.0 / 5, 1e-12);
    assert_float_equal(s.flesch_reading_ease, 206.835 - 1.015 * 21 / 5 - 84.6 * 25 / 21, 1e-4);
    assert_float_equal(s.flesch_kincaid_grade, 0.39 * 21 / 5 + 11.8 * 25 / 21 - 15.59, 1e-4);
    assert_true(s.list_words > 1500 && s.list_words_used == 6); /* cat, sit, eat, happy, dog, run: of the built-in vocabulary, in any form */
    assert_int_equal(s.listed_words, 8);

    const char *path = path_of("a.txt"), *list;
    char first[512], second[512];
    snprintf(first, sizeof first, "%s", path);
    path = first;
    snprintf(second, sizeof second, "%s", put("b.txt", "Cat, dog;\nhappy cat zebra"));
    list = second;
    ts_dataset_options options;
    assert_int_equal(ts_dataset_options_init(&options, sizeof options), TS_OK);
    options.word_lists = &list;
    options.word_list_count = 1;
    options.opening_words = 1;
    assert_int_equal(ts_dataset_stats(&s, NULL, &path, 1, &options), TS_OK);
    assert_int_equal(s.list_words, 4);
    assert_int_equal(s.list_words_used, 3);
    assert_int_equal(s.listed_words, 5); /* cat, happy dog, happy dog */
    assert_float_equal(s.listed_share, 5.0 / 21, 1e-12);
    assert_float_equal(s.list_share_used, 0.75, 1e-12);
    assert_int_equal(s.kind_words[0] + s.kind_words[1] + s.kind_words[2], 0); /* words of no kind */
    assert_true(isnan(s.kind_share_used[0]));
    assert_int_equal(s.distinct_openings, 2);
    assert_string_equal(s.openings[0], "once");
    assert_string_equal(s.openings[1], "the");
    options.opening_words = 17;
    assert_int_equal(ts_dataset_stats(&s, NULL, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    options.opening_words = 1;
    put("b.txt", "...");
    assert_int_equal(ts_dataset_stats(&s, NULL, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    list = "/nonexistent/list.txt";
    assert_int_equal(ts_dataset_stats(&s, NULL, &path, 1, &options), TS_ERROR_IO);
}

/* A vocabulary's sections and tags are no words of it; its words count in any form, by kind. */
static void vocabularies_as_lists(void **state)
{
    (void)state;
    char *words, in[512], list[512];
    const char *path = in, *lists = list;
    ts_runtime *runtime;
    ts_word_list vocabulary;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    assert_int_equal(ts_unpack(runtime, &ts_words_data, &words), TS_OK);
    assert_int_equal(ts_word_list_open(&vocabulary, runtime), TS_OK);
    snprintf(in, sizeof in, "%s", put("a.txt", "The noun animals sang and drew three mice; a mouse was saddest, or sad.<|endoftext|>Mice sing, breaks, clean."));
    snprintf(list, sizeof list, "%s", put("b.txt", words));
    ts_dataset_options options;
    ts_dataset_statistics s = {.struct_size = sizeof s}, built_in = {.struct_size = sizeof built_in};
    assert_int_equal(ts_dataset_options_init(&options, sizeof options), TS_OK);
    assert_int_equal(ts_dataset_stats(&built_in, NULL, &path, 1, &options), TS_OK);
    options.word_lists = &lists;
    options.word_list_count = 1;
    assert_int_equal(ts_dataset_stats(&s, NULL, &path, 1, &options), TS_OK);
    assert_memory_equal(&s, &built_in, sizeof s);
    for (uint32_t kind = 0; kind < TS_DATASET_KINDS; kind++)
        assert_int_equal(s.kind_words[kind], vocabulary.kind_start[kind + 1] - vocabulary.kind_start[kind]);
    assert_int_equal(s.kind_words_used[0], 4); /* sing, draw, break, clean */
    assert_int_equal(s.kind_occurrences[0], 5);
    assert_int_equal(s.kind_words_used[1], 1); /* mouse */
    assert_int_equal(s.kind_occurrences[1], 3);
    assert_int_equal(s.kind_words_used[2], 2); /* sad, clean */
    assert_int_equal(s.kind_occurrences[2], 2);
    assert_float_equal(s.kind_share_used[1], 1.0 / (double)s.kind_words[1], 1e-12);
    put("b.txt", "# mine\n[verb move]\nrun\n"); /* begins as a vocabulary and is none */
    assert_int_equal(ts_dataset_stats(&s, NULL, &path, 1, &options), TS_ERROR_FORMAT);
    ts_word_list_free(&vocabulary);
    ts_release(runtime, words);
    ts_runtime_free(runtime);
}

static void ngrams_and_growth(void **state)
{
    (void)state;
    ts_dataset_statistics s = count(put("a.txt", "a b a b a<|endoftext|>a b"), NULL);
    static const uint64_t seen[] = {7, 5, 3, 2}, kinds[] = {2, 2, 2, 2};
    for (size_t n = 0; n < TS_DATASET_NGRAMS; n++) {
        assert_int_equal(s.ngrams[n], seen[n]);
        assert_int_equal(s.distinct_ngrams[n], kinds[n]);
        assert_float_equal(s.distinct_ngram_share[n], (double)kinds[n] / (double)seen[n], 1e-12);
    }
    assert_int_equal(s.growth_words[0], 0);
    static char text[200000];
    size_t used = 0;
    for (int i = 0; i < 10500; i++) /* 500 words of which each returns, then new ones */
        used += (size_t)snprintf(text + used, sizeof text - used, "w%d %s", i < 5000 ? i % 500 : i, i % 100 == 99 ? "<|endoftext|>" : "");
    s = count(put("a.txt", text), NULL);
    assert_int_equal(s.words, 10500);
    assert_int_equal(s.growth_words[0], 500 + 5000);
    assert_int_equal(s.growth_words[1] + s.growth_words[2], 0);
    assert_true(isnan(count(put("a.txt", "a b"), NULL).distinct_ngram_share[2]));
}

/* More openings than are told, and longer ones than fit. */
static void many_openings(void **state)
{
    (void)state;
    char text[16384];
    size_t used = 0;
    for (int i = 0; i < 12; i++)
        for (int j = 0; j <= i; j++)
            used += (size_t)snprintf(text + used, sizeof text - used, "a%cb verylongwordsothatitdoesnotfit anotherverylongwordhere\xe2\x80\x99s end<|endoftext|>", 'a' + i);
    ts_dataset_statistics s = count(put("a.txt", text), NULL);
    assert_int_equal(s.distinct_openings, 12);
    for (size_t i = 0; i < TS_DATASET_OPENINGS; i++) {
        assert_int_equal(s.opening_stories[i], 12 - i);
        assert_int_equal(s.openings[i][1], 'l' - (int)i);
        assert_true(strlen(s.openings[i]) < TS_DATASET_OPENING_SIZE);
    }
}

static void fourgrams_that_occur_once(void **state)
{
    (void)state;
    /* kinds: abcd (2 times), bcde, cdef, bcdx; they do not reach from one story into the next */
    ts_dataset_statistics s = count(put("a.txt", "a b c d e f<|endoftext|>a b c d x"), NULL);
    assert_int_equal(s.fourgrams, 5);
    assert_int_equal(s.distinct_fourgrams, 4);
    assert_int_equal(s.fourgrams_once, 3);
    assert_float_equal(s.once_share, 0.75, 1e-12);
    assert_float_equal(s.once_occurrence_share, 0.6, 1e-12);
    s = count(put("a.txt", "a b c"), NULL);
    assert_int_equal(s.fourgrams, 0);
    assert_true(isnan(s.once_share) && isnan(s.once_occurrence_share));
}

/* Writes a compressed file and gives its size. */
static uint64_t gzip_size(const char *text, size_t size)
{
    ts_runtime *runtime;
    ts_gzip_writer *writer;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    assert_int_equal(ts_gzip_writer_open(&writer, runtime, path_of("a.txt.gz")), TS_OK);
    ts_gzip_writer_bytes(writer, text, size);
    assert_int_equal(ts_gzip_writer_commit(writer), TS_OK);
    ts_runtime_free(runtime);
    FILE *file = fopen(path_of("a.txt.gz"), "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long written = ftell(file);
    fclose(file);
    return (uint64_t)written;
}

/* The sizes are those of a .gz file of the stories with a newline after each. */
static void compression_at_equal_bytes(void **state)
{
    (void)state;
    static char same[3000], other[2000], joined[2000];
    size_t used = 0;
    for (int i = 0; i < 100; i++)
        used += (size_t)snprintf(same + used, sizeof same - used, "The dog ran.<|endoftext|>");
    used = 0;
    for (uint32_t i = 0; i < 150; i++)
        used += (size_t)snprintf(other + used, sizeof other - used, "%u ", i * 2654435761u);
    size_t other_size = used - 1; /* trimmed */
    used = 0;
    for (int i = 0; i < 100; i++)
        used += (size_t)snprintf(joined + used, sizeof joined - used, "The dog ran.\n");
    put("a.txt", same);
    put("b.txt", other);
    ts_dataset_statistics s = count(path_of("a.txt"), path_of("b.txt"));
    assert_int_equal(s.text_bytes, 1300);
    assert_int_equal(s.gzip_bytes, gzip_size(joined, 1300));
    assert_float_equal(s.gzip_share, (double)s.gzip_bytes / 1300, 1e-12);
    assert_true(other_size > 1300);
    assert_int_equal(s.compared_bytes, 1300);
    assert_int_equal(s.compared_gzip_bytes, s.gzip_bytes);
    assert_int_equal(s.against_gzip_bytes, gzip_size(other, 1300));
    assert_float_equal(s.gzip_ratio, (double)s.compared_gzip_bytes / (double)s.against_gzip_bytes, 1e-12);
    assert_true(s.gzip_ratio < 0.2);
    ts_dataset_statistics t = count(path_of("b.txt"), path_of("a.txt")); /* now the text that is compared with is the shorter one */
    assert_int_equal(t.compared_bytes, 1300);
    assert_int_equal(t.compared_gzip_bytes, s.against_gzip_bytes);
    assert_int_equal(t.against_gzip_bytes, s.gzip_bytes);
    assert_true(t.gzip_bytes > t.compared_gzip_bytes);
    assert_float_equal(count(path_of("b.txt"), path_of("b.txt")).gzip_ratio, 1, 0);
}

static void records_tell_their_features(void **state)
{
    (void)state;
    ts_dataset_statistics s =
        count(put("a.jsonl",
                  "{\"story\": \"A.\", \"instruction\": {\"words\": [\"a\"], \"features\": [\"Dialogue\", \"Twist\"]}}\n"
                  "{\"story\": \"B.\", \"instruction\": {\"features\": []}}\n"
                  "{\"story\": \"C.\", \"features\": [\"Twist\", \"Rhyme\", 7]}\n"
                  "{\"story\": \"D.\", \"instruction\": {\"features\": \"Twist\"}}\n{\"text\": \"E.\"}\n{\"text\": \"F.\", \"instruction\": [1]}\n"),
              NULL);
    assert_int_equal(s.stories, 6);
    assert_int_equal(s.records, 3);
    assert_int_equal(s.features[0], 1);
    assert_int_equal(s.features[3], 2);
    assert_int_equal(s.features[1] + s.features[2] + s.features[4] + s.features[5], 0);
    assert_int_equal(s.other_features, 2);
}

static void quotations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int has;
    } cases[] = {{"\"Hi\"", 1},
                 {"\"\"", 0},
                 {"\"\" \"", 0},
                 {"5\" of snow", 0},
                 {"\xe2\x80\x9cHi\xe2\x80\x9d", 1},
                 {"\xe2\x80\x9d \xe2\x80\x9c", 0},
                 {"'Hi'", 0},
                 {"\"\"a\"b\"", 1},
                 {"\xe2\x80\x9c\xe2\x80\x9d", 0},
                 {"\xe2\x80\x9cHi", 0}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++)
        if ((int)count(put("a.txt", cases[i].text), NULL).dialogue_stories != cases[i].has)
            fail_msg("%s", cases[i].text);
}

static void expect_words(const char *text, const char *expected)
{
    char got[256] = "";
    const char *word;
    size_t size = strlen(text), word_size, used = 0;
    while (ts_plain_word(&text, &size, &word, &word_size))
        used += (size_t)snprintf(got + used, sizeof got - used, "[%.*s]", (int)word_size, word);
    assert_int_equal(size, 0);
    assert_string_equal(got, expected);
}

static void words(void **state)
{
    (void)state;
    expect_words("", "");
    expect_words(" .,!\xff", "");
    expect_words("Don't 'tis dogs' x", "[Don't][tis][dogs][x]");
    expect_words("don\xe2\x80\x99t", "[don\xe2\x80\x99t]");
    expect_words("a-b a''b 12th caf\xc3\xa9\xff!", "[a][b][a][b][12th][caf\xc3\xa9]");
    expect_words("\xd0\x96\xd0\xb8", "[\xd0\x96\xd0\xb8]");
    assert_true(ts_plain_word_hash("Don't", 5) == ts_plain_word_hash("don\xe2\x80\x99T", 7));
    assert_true(ts_plain_word_hash("dont", 4) != ts_plain_word_hash("don't", 5));
    char longest[200];
    memset(longest, 'a', sizeof longest);
    uint64_t hash = ts_plain_word_hash(longest, sizeof longest);
    longest[199] = 'b'; /* words differ at their ends too, however long they are */
    assert_true(ts_plain_word_hash(longest, sizeof longest) != hash);
    longest[199] = 'A';
    assert_true(ts_plain_word_hash(longest, sizeof longest) == hash);
}

/* A table against the plain way to count, with collisions of places, keys near 0 and growth. */
static void tallies(void **state)
{
    (void)state;
    enum { THINGS = 30000, KINDS = 7000 };
    static uint32_t counts[KINDS];
    ts_runtime *runtime;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    ts_tally tally = {.runtime = runtime};
    memset(counts, 0, sizeof counts);
    for (uint64_t i = 0; i < THINGS; i++) {
        uint64_t kind = ts_random_at(1, 2, i) % KINDS;
        counts[kind]++;
        assert_int_equal(ts_tally_add(&tally, 4 + kind * 4096), TS_OK); /* the low bits are all alike */
    }
    uint64_t kinds = 0, once = 0;
    for (size_t i = 0; i < KINDS; i++) {
        kinds += counts[i] > 0;
        once += counts[i] == 1;
    }
    assert_int_equal(tally.seen, THINGS);
    assert_int_equal(tally.kinds, kinds);
    assert_int_equal(tally.once, once);
    assert_int_equal(ts_tally_add(&tally, 0), TS_OK);
    assert_int_equal(tally.kinds, kinds + 1);
    ts_tally_free(&tally);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

static void histogram_and_quantiles(void **state)
{
    (void)state;
    enum { STORIES = 100 };
    static char text[1 << 20];
    size_t used = 0;
    for (int i = 1; i <= STORIES; i++) { /* stories of 11, 22, ... 1,100 words, the longest first */
        for (int j = 0; j < 11 * (STORIES + 1 - i); j++)
            used += (size_t)snprintf(text + used, sizeof text - used, "w%d ", j);
        used += (size_t)snprintf(text + used, sizeof text - used, "<|endoftext|>");
    }
    ts_dataset_statistics s = count(put("a.txt", text), NULL);
    assert_int_equal(s.stories, STORIES);
    assert_int_equal(s.min_words, 11);
    assert_int_equal(s.p5_words, 55);
    assert_int_equal(s.median_words, 550);
    assert_int_equal(s.p95_words, 1045);
    assert_int_equal(s.max_words, 1100);
    uint64_t sum = 0;
    for (size_t i = 0; i < TS_DATASET_BINS; i++)
        sum += s.histogram[i];
    assert_int_equal(sum, STORIES);
    assert_int_equal(s.histogram[0], 2);   /* 11, 22 */
    assert_int_equal(s.histogram[1], 2);   /* 33, 44 */
    assert_int_equal(s.histogram[40], 10); /* 1,001 to 1,100 */
}

static void several_files_in_any_form(void **state)
{
    (void)state;
    put("a.txt", "Once there was a dog.<|endoftext|>It ran.");
    put("a.jsonl", "{\"story\": \"Once there was a dog.\"}\n{\"story\": \"It ran.<|endoftext|>Away.\"}\n");
    const char *text = "Once there was a dog.<|endoftext|>It ran.";
    assert_true(gzip_size(text, strlen(text)) > 0);
    const char *paths[] = {path_of("a.txt"), path_of("a.jsonl"), path_of("a.txt.gz")};
    ts_dataset_statistics s = {.struct_size = sizeof s};
    assert_int_equal(ts_dataset_stats(&s, NULL, paths, 3, NULL), TS_OK);
    assert_int_equal(s.stories, 7);
    assert_int_equal(s.distinct_stories, 3);
    assert_int_equal(s.words, 3 * 5 + 3 * 2 + 1);
}

typedef struct told {
    uint64_t done, total;
    int calls, stop_at;
} told;

static int32_t tell(void *user, uint64_t done, uint64_t total)
{
    told *t = user;
    assert_true(done > t->done && done <= total);
    t->done = done;
    t->total = total;
    return ++t->calls == t->stop_at;
}

static void progress(void **state)
{
    (void)state;
    put("a.txt", "One.<|endoftext|>Two.");
    const char *path = path_of("a.txt"),
               *against = put("b.txt", "A story that is longer than the other one, so that its end is left out.<|endoftext|>X.");
    told t = {0};
    ts_dataset_options options;
    ts_dataset_statistics s = {.struct_size = sizeof s};
    ts_dataset_options_init(&options, sizeof options);
    options.against = &against;
    options.against_count = 1;
    options.progress = tell;
    options.progress_user = &t;
    assert_int_equal(ts_dataset_stats(&s, NULL, &path, 1, &options), TS_OK);
    assert_int_equal(t.calls, 3);
    assert_int_equal(t.done, t.total);
    for (int stop = 1; stop <= 3; stop++) {
        t = (told){.stop_at = stop};
        assert_int_equal(ts_dataset_stats(&s, NULL, &path, 1, &options), TS_ERROR_CANCELLED);
    }
}

static void refuse(const char *path, const char *against, ts_status expected, const char *detail)
{
    ts_dataset_statistics s = {.struct_size = sizeof s, .stories = 77};
    ts_dataset_options options;
    ts_dataset_options_init(&options, sizeof options);
    options.against = against != NULL ? &against : NULL;
    options.against_count = against != NULL;
    assert_int_equal(ts_dataset_stats(&s, NULL, &path, path != NULL, &options), expected);
    if (strstr(ts_error_detail(), detail) == NULL)
        fail_msg("'%s' is not in '%s'", detail, ts_error_detail());
    assert_int_equal(s.stories, 77);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    put("a.txt", "A.");
    refuse(NULL, NULL, TS_ERROR_INVALID_ARGUMENT, "paths names no file");
    refuse("/nonexistent/a.txt", NULL, TS_ERROR_IO, "/nonexistent/a.txt");
    refuse(path_of("a.txt"), "/nonexistent/b.txt", TS_ERROR_IO, "/nonexistent/b.txt");
    refuse(directory, NULL, TS_ERROR_IO, directory);
    refuse("shard.bin", NULL, TS_ERROR_INVALID_ARGUMENT, "shard.bin: is a token shard");
    refuse(path_of("a.txt"), "-", TS_ERROR_INVALID_ARGUMENT, "read twice");
    refuse(put("b.txt", " <|endoftext|>\n"), NULL, TS_ERROR_INVALID_ARGUMENT, "b.txt: there is no story to count");
    refuse(path_of("a.txt"), path_of("b.txt"), TS_ERROR_INVALID_ARGUMENT, "b.txt: there is no story to compare with");
    refuse(put("a.jsonl", "{\"story\": \"A.\"}\n{\"story\": 1}\n"), NULL, TS_ERROR_FORMAT, "line 2");
    refuse(put("a.jsonl", "{\"story\": \"A.\""), NULL, TS_ERROR_FORMAT, "line 1");
    refuse(put("a.txt.gz", "\x1f\x8b\x08"), NULL, TS_ERROR_FORMAT, "a.txt.gz");
    const char *path = path_of("a.txt");
    ts_dataset_statistics s = {.struct_size = 0};
    assert_int_equal(ts_dataset_stats(&s, NULL, &path, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_dataset_stats(NULL, NULL, &path, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
}

/* A caller that knows only the first fields gets those. */
static void shorter_struct(void **state)
{
    (void)state;
    struct {
        size_t struct_size;
        uint64_t stories, behind;
    } s = {sizeof s - sizeof(uint64_t), 0, 42};
    const char *path = put("a.txt", "A.<|endoftext|>B.");
    assert_int_equal(ts_dataset_stats((ts_dataset_statistics *)(void *)&s, NULL, &path, 1, NULL), TS_OK);
    assert_int_equal(s.stories, 2);
    assert_int_equal(s.behind, 42);
}

static ts_status attempt(ts_runtime *runtime, void *user)
{
    const char *path = user, *against = path_of("b.txt");
    ts_dataset_statistics s = {.struct_size = sizeof s};
    ts_dataset_options options;
    ts_dataset_options_init(&options, sizeof options);
    options.against = &against;
    options.against_count = 1;
    return ts_dataset_stats(&s, runtime, &path, 1, &options);
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    static char text[1 << 16];
    size_t used = 0;
    for (int i = 0; i < 4000; i++) /* so many 4-grams that the table grows */
        used += (size_t)snprintf(text + used, sizeof text - used, "w%d%s", i, i % 100 == 99 ? "<|endoftext|>" : " ");
    char path[128];
    put("b.txt", "Once there was a dog.");
    snprintf(path, sizeof path, "%s", put("a.txt", text));
    sweep_memory(attempt, path);
}

static void memory_has_a_limit(void **state)
{
    (void)state;
    static char text[1 << 20];
    size_t used = 0;
    for (int i = 0; i < 100000; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "w%d ", i);
    const char *path = put("a.txt", text);
    ts_runtime_options options;
    ts_runtime *runtime;
    ts_runtime_options_init(&options, sizeof options);
    options.memory_limit = 4 << 20;
    assert_int_equal(ts_runtime_new(&runtime, &options), TS_OK);
    ts_dataset_statistics s = {.struct_size = sizeof s};
    assert_int_equal(ts_dataset_stats(&s, runtime, &path, 1, NULL), TS_ERROR_OUT_OF_MEMORY);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

/* Whether this build has gzip: without it there are no statistics, which is tested nowhere else. */
static bool has_gzip(void)
{
    ts_dataset_statistics s = {.struct_size = sizeof s};
    char path[] = "/tmp/tinystories-dataset-XXXXXX.txt";
    const char *text = path;
    int file = mkstemps(path, 4);
    bool has = file >= 0 && write(file, "A.", 2) == 2 && ts_dataset_stats(&s, NULL, &text, 1, NULL) != TS_ERROR_UNSUPPORTED;
    if (file >= 0)
        close(file);
    unlink(path);
    return has;
}

int main(void)
{
    if (!has_gzip()) {
        printf("skipped: a build without gzip\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_text_by_hand),
        cmocka_unit_test(openings_and_lists), cmocka_unit_test(vocabularies_as_lists), cmocka_unit_test(ngrams_and_growth), cmocka_unit_test(many_openings), cmocka_unit_test(fourgrams_that_occur_once),
        cmocka_unit_test(compression_at_equal_bytes),
        cmocka_unit_test(records_tell_their_features),
        cmocka_unit_test(quotations),
        cmocka_unit_test(words),
        cmocka_unit_test(tallies),
        cmocka_unit_test(histogram_and_quantiles),
        cmocka_unit_test(several_files_in_any_form),
        cmocka_unit_test(progress),
        cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(shorter_struct),
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(memory_has_a_limit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

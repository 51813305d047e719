/* Cleaning files: what is dropped and why, duplicates, validation texts and prompts, records, threads, failures. */
#include "support/support.h"

#include <unistd.h>

#include "format/format.h"
#include "text/text.h"
#include "tinystories/dataset.h"

static char one[2048], two[2048], near_one[2048], far_one[2048];

/* 80 words that no other story has, `changed` of them another word. */
static void tell(char *story, size_t capacity, const char *stem, int changed)
{
    size_t used = 0;
    for (int i = 0; i < 80; i++) {
        bool other = changed > 0 && i % (80 / changed) == 40 / changed;
        used += (size_t)snprintf(story + used, capacity - used, "%s%s%c%c", i > 0 ? " " : "", other ? "other" : stem, 'a' + i / 10, 'a' + i % 10);
    }
    snprintf(story + used, capacity - used, ".");
}

static bool has_json(void)
{
    ts_story_writer *writer = NULL;
    ts_runtime *any;
    assert_ok(ts_runtime_new(&any, NULL));
    bool has = ts_story_writer_open(&writer, any, in_work("x.jsonl.gz")) == TS_OK;
    ts_story_writer_abandon(writer);
    ts_runtime_free(any);
    return has;
}

static int prepare(void **state)
{
    tell(one, sizeof one, "one", 0);
    tell(two, sizeof two, "two", 0);
    tell(near_one, sizeof near_one, "one", 1); /* 71 of 81 shingles: 0.877 */
    tell(far_one, sizeof far_one, "one", 4);   /* 56 of 96: 0.583 */
    return make_folder(state);
}

/* Writes stories into a file, a marker after each. The path stays valid for the next three calls. */
static const char *put_stories(const char *name, const char *const *stories, size_t count)
{
    static char paths[4][512];
    static size_t next;
    char text[32768], *path = paths[next++ % 4];
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\n<|endoftext|>\n", stories[i]);
    snprintf(path, sizeof paths[0], "%s", put_file(name, text, used));
    return path;
}

static ts_clean_options usual(void)
{
    ts_clean_options options;
    assert_ok(ts_clean_options_init(&options, sizeof options));
    return options;
}

static ts_clean_report clean(const char *path, const char *out, const ts_clean_options *options)
{
    ts_clean_report report = {.struct_size = sizeof report};
    assert_ok(ts_dataset_clean(&report, NULL, &path, 1, in_work(out), options));
    uint64_t dropped = 0;
    for (size_t i = 0; i < TS_COUNT_OF(report.dropped); i++)
        dropped += report.dropped[i];
    assert_int_equal(report.stories, report.kept + dropped);
    return report;
}

static void expect_file(const char *name, const char *expected)
{
    size_t size;
    char *text = read_file(in_work(name), &size);
    assert_string_equal(text, expected);
    free(text);
}

static void test_duplicates(void **state)
{
    (void)state;
    char expected[8192], spaced[2100];
    snprintf(spaced, sizeof spaced, " %s \r\n", one);
    const char *stories[] = {one, two, spaced, near_one, far_one, two, "Too short.", "x"};
    const char *path = put_stories("in.txt", stories, 8);
    ts_clean_options options = usual();
    ts_clean_report r = clean(path, "out.txt", &options);
    assert_int_equal(r.stories, 8);
    assert_int_equal(r.kept, 4);
    assert_int_equal(r.dropped[TS_DROP_DUPLICATE], 2);
    assert_int_equal(r.dropped[TS_DROP_SHORT], 2);
    assert_int_equal(r.spaced_stories, 0); /* what is around a story is no part of it */
    assert_int_equal(r.kept_bytes, strlen(one) + strlen(two) + strlen(near_one) + strlen(far_one));
    snprintf(expected, sizeof expected, "%s\n<|endoftext|>\n%s\n<|endoftext|>\n%s\n<|endoftext|>\n%s\n<|endoftext|>\n", one, two, near_one, far_one);
    expect_file("out.txt", expected);
    options.near_duplicates = 1;
    r = clean(path, "out.txt", &options);
    assert_int_equal(r.kept, 3);
    assert_int_equal(r.dropped[TS_DROP_NEAR_DUPLICATE], 1);
    assert_true(r.candidates >= 1 && r.scratch_bytes > 3 * 70 * 4);
    options.jaccard = 71.0 / 81; /* exactly what it is */
    assert_int_equal(clean(path, "out.txt", &options).dropped[TS_DROP_NEAR_DUPLICATE], 1);
    options.jaccard = 71.1 / 81;
    assert_int_equal(clean(path, "out.txt", &options).dropped[TS_DROP_NEAR_DUPLICATE], 0);
    options.jaccard = 0.58;
    assert_int_equal(clean(path, "out.txt", &options).dropped[TS_DROP_NEAR_DUPLICATE], 2);
    options = usual();
    options.keep_duplicates = 1;
    assert_int_equal(clean(path, "out.txt", &options).kept, 6);
    options.rules = 0;
    assert_int_equal(clean(path, "out.txt", &options).kept, 8);
    remove_file("in.txt");
    remove_file("out.txt");
    assert_int_equal(files_in(work_folder()), 0); /* the scratch file has no name */
}

static void test_against_and_prompts(void **state)
{
    (void)state;
    char valid[2048], near_valid[2048], with_prompt[2048], with_short[2048];
    tell(valid, sizeof valid, "valid", 0);
    tell(near_valid, sizeof near_valid, "valid", 1);
    snprintf(with_prompt, sizeof with_prompt, "%.*s The PROMPT has, exactly: thirteen words of its own in a row, as here it has.", 300, two);
    snprintf(with_short, sizeof with_short, "%.*s A shorter prompt of seven words only.", 300, two);
    const char *stories[] = {one, valid, near_valid, with_prompt, with_short, two}, *against = NULL, *prompts = NULL;
    char paths[2][512];
    snprintf(paths[0], sizeof paths[0], "%s", put_stories("valid.txt", (const char *[]){valid, valid}, 2));
    snprintf(paths[1], sizeof paths[1], "%s",
             put_file("prompts.txt", "Once upon a time.\nthe prompt has exactly thirteen words of its own in a row as\na shorter prompt of seven words only\n", 117));
    against = paths[0];
    prompts = paths[1];
    const char *path = put_stories("in.txt", stories, 6);
    ts_clean_options options = usual();
    options.against = &against;
    options.against_count = 1;
    options.prompts = &prompts;
    options.prompt_count = 1;
    ts_clean_report r = clean(path, "out.txt", &options);
    assert_int_equal(r.against_stories, 1);
    assert_int_equal(r.prompt_ngrams, 2);
    assert_int_equal(r.dropped[TS_DROP_OVERLAP], 1);
    assert_int_equal(r.dropped[TS_DROP_PROMPT], 2);
    assert_int_equal(r.kept, 3);
    options.near_duplicates = 1;
    r = clean(path, "out.txt", &options);
    assert_int_equal(r.dropped[TS_DROP_NEAR_OVERLAP], 1);
    assert_int_equal(r.kept, 2);
    options.prompt_words = 14; /* the longer one is now a whole prompt */
    assert_int_equal(clean(path, "out.txt", &options).dropped[TS_DROP_PROMPT], 2);
    options.prompt_words = 4;
    assert_int_equal(clean(path, "out.txt", &options).prompt_ngrams, 10 + 4 + 1);
    put_file("prompts.txt", "Too short.", 10);
    options.prompt_words = 13;
    assert_status(ts_dataset_clean(NULL, NULL, &path, 1, in_work("o.txt"), &options), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("prompts.txt");
    options.prompt_count = 0;
    options.prompts = NULL;
    put_file("valid.txt", " ", 1);
    assert_status(ts_dataset_clean(NULL, NULL, &path, 1, in_work("o.txt"), &options), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("valid.txt");
    remove_file("in.txt");
    remove_file("out.txt");
    remove_file("valid.txt");
    remove_file("prompts.txt");
    assert_int_equal(files_in(work_folder()), 0);
}

static void test_records(void **state)
{
    (void)state;
    if (!has_json())
        skip();
    char content[4096], expected[8192];
    int size = snprintf(content, sizeof content, "[{\"story\": \"\\n\\n%s\", \"summary\": \"S\", \"source\": \"GPT-4\", \"n\": 5}, {\"story\": \"%s\", \"source\": \"GPT-3.5\"}]", one, two);
    char dropped[512], shard[512];
    snprintf(shard, sizeof shard, "%s", put_file("in.json", content, (size_t)size));
    const char *path = shard;
    snprintf(dropped, sizeof dropped, "%s", in_work("dropped.jsonl"));
    ts_clean_options options = usual();
    options.source = "GPT-4";
    options.dropped = dropped;
    ts_clean_report r = clean(path, "out.jsonl", &options);
    assert_int_equal(r.dropped[TS_DROP_SOURCE], 1);
    snprintf(expected, sizeof expected, "{\"story\": \"%s\", \"summary\": \"S\", \"source\": \"GPT-4\", \"n\": 5}\n", one);
    expect_file("out.jsonl", expected);
    snprintf(expected, sizeof expected, "{\"index\": 1, \"reason\": \"source\", \"story\": \"%s\"}\n", two);
    expect_file("dropped.jsonl", expected);
    const char *stories[] = {two, one, near_one, one};
    path = put_stories("in.txt", stories, 4);
    options.source = NULL;
    options.near_duplicates = 1;
    clean(path, "out.jsonl", &options);
    snprintf(expected, sizeof expected,
             "{\"index\": 2, \"reason\": \"near_duplicate\", \"of\": 1, \"jaccard\": 0.8765432098765432, \"story\": \"%s\"}\n"
             "{\"index\": 3, \"reason\": \"duplicate\", \"of\": 1, \"jaccard\": 1, \"story\": \"%s\"}\n",
             near_one, one);
    expect_file("dropped.jsonl", expected);
    remove_file("in.json");
    remove_file("in.txt");
    remove_file("out.jsonl");
    remove_file("dropped.jsonl");
}

/* Thousands of stories in several batches: the same bytes for any number of threads, and for every near duplicate the story that it is one of. */
static void test_threads(void **state)
{
    (void)state;
    FILE *file = fopen(in_work("in.txt"), "w");
    size_t sizes[2];
    char *texts[2];
    assert_non_null(file);
    for (int i = 0; i < 1500; i++) {
        char story[2048], stem[8] = {'s', (char)('a' + i % 500 / 25), (char)('a' + i % 25), 0};
        tell(story, sizeof story, stem, i < 500 ? 0 : i < 1000 ? 1 : 5);
        fprintf(file, "%s<|endoftext|>", story);
    }
    fclose(file);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        ts_clean_options options = usual();
        ts_clean_report r = {.struct_size = sizeof r};
        ts_runtime *runtime = make_runtime(threads, TS_CPU_LEVEL_BEST);
        const char *path = in_work("in.txt");
        options.near_duplicates = 1;
        assert_ok(ts_dataset_clean(&r, runtime, &path, 1, in_work("out.txt"), &options));
        assert_int_equal(r.stories, 1500);
        assert_int_equal(r.dropped[TS_DROP_DUPLICATE] + r.dropped[TS_DROP_NEAR_DUPLICATE] + r.kept, 1500);
        assert_true(r.dropped[TS_DROP_NEAR_DUPLICATE] >= 400);
        texts[threads - 1] = read_file(in_work("out.txt"), &sizes[threads - 1]);
        ts_runtime_free(runtime);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(texts[0], texts[1], sizes[0]);
    free(texts[0]);
    free(texts[1]);
    remove_file("in.txt");
    remove_file("out.txt");
}

static int32_t stop(void *user, uint64_t done, uint64_t total)
{
    (void)user, (void)done, (void)total;
    return 1;
}

static void test_failures(void **state)
{
    (void)state;
    const char *stories[] = {one, two, near_one}, *path = put_stories("in.txt", stories, 3), *missing = "/nonexistent/x.txt", *shard = "x.bin";
    ts_clean_options options = usual();
    assert_status(ts_dataset_clean(NULL, NULL, NULL, 0, "o.txt", NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_dataset_clean(NULL, NULL, &path, 1, NULL, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_dataset_clean(NULL, NULL, &shard, 1, "o.txt", NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_dataset_clean(NULL, NULL, &missing, 1, in_work("o.txt"), NULL), TS_ERROR_IO);
    options.dropped = "d.txt";
    assert_status(ts_dataset_clean(NULL, NULL, &path, 1, in_work("o.txt"), &options), TS_ERROR_INVALID_ARGUMENT);
    options = usual();
    options.near_duplicates = 1;
    options.scratch = "/nonexistent";
    assert_status(ts_dataset_clean(NULL, NULL, &path, 1, in_work("o.txt"), &options), TS_ERROR_IO);
    assert_detail("/nonexistent");
    options.scratch = NULL;
    options.progress = stop;
    assert_status(ts_dataset_clean(NULL, NULL, &path, 1, in_work("o.txt"), &options), TS_ERROR_CANCELLED);
    assert_int_equal(files_in(work_folder()), 1);
    remove_file("in.txt");
}

/* Every call of the operating system that fails: nothing is left behind, and it works the next time. */
static void test_file_faults(void **state)
{
    (void)state;
    const char *stories[] = {one, two, near_one}, *path = put_stories("in.txt", stories, 3);
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    ts_clean_options options = usual();
    faulty f;
    long failures = 0;
    options.near_duplicates = 1;
    for (long at = 1;; at++) {
        faulty_init(&f, FAULT_ERROR, ON_OPEN | ON_READ | ON_WRITE | ON_SYNC | ON_RENAME, at);
        ts_runtime_set_io(runtime, &f.io);
        ts_status status = ts_dataset_clean(NULL, runtime, &path, 1, in_work("o.txt"), &options);
        ts_runtime_set_io(runtime, &ts_io_system);
        if (status == TS_OK && f.calls < at)
            break;
        failures += status == TS_ERROR_IO;
        if (files_in(work_folder()) > 1)
            remove_file("o.txt"); /* a folder that could not be synced is no failure */
    }
    assert_true(failures >= 6);
    for (int kind = FAULT_SHORT; kind <= FAULT_INTERRUPT; kind++)
        for (long at = 1; at < 12; at++) {
            faulty_init(&f, (fault)kind, ON_READ | ON_WRITE, at);
            ts_runtime_set_io(runtime, &f.io);
            assert_ok(ts_dataset_clean(NULL, runtime, &path, 1, in_work("o.txt"), &options));
            ts_runtime_set_io(runtime, &ts_io_system);
        }
    ts_runtime_free(runtime);
    remove_file("o.txt");
    remove_file("in.txt");
}

static ts_status attempt(ts_runtime *runtime, void *user)
{
    const char *path = user, *against = user;
    ts_clean_options options = usual();
    ts_clean_report r = {.struct_size = sizeof r};
    options.near_duplicates = 1;
    options.against = &against;
    options.against_count = 1;
    options.prompts = &against;
    options.prompt_count = 1;
    return ts_dataset_clean(&r, runtime, &path, 1, in_work("o.txt"), &options);
}

static void test_memory(void **state)
{
    (void)state;
    const char *stories[] = {one, two, near_one, "\xe2\x80\x9cHi\xe2\x80\x9d"};
    char path[512];
    snprintf(path, sizeof path, "%s", put_stories("in.txt", stories, 4));
    assert_true(sweep_memory(attempt, path) > 20);
    remove_file("in.txt");
    remove_file("o.txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_duplicates), cmocka_unit_test(test_against_and_prompts), cmocka_unit_test(test_records),
                                       cmocka_unit_test(test_threads),    cmocka_unit_test(test_failures),            cmocka_unit_test(test_file_faults),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, prepare, remove_folder);
}

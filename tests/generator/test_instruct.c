/* Files of TinyStories-Instruct: what is drawn, from records and from plain stories, splits, entries that are there already, summarizers, failures. */
#include "support/support.h"

#include "format/format.h"
#include "text/text.h"
#include "tinystories/dataset.h"

static const char story[] = "Tom was a happy dog. He wanted to jump over the log. \"Jump!\" said Ben. Tom jumped very high. The moral is to try.";
static char in_path[512], out_path[512], held_path[512];

static int prepare(void **state)
{
    int status = make_folder(state);
    snprintf(in_path, sizeof in_path, "%s", in_work("in.txt"));
    snprintf(out_path, sizeof out_path, "%s", in_work("out.txt"));
    snprintf(held_path, sizeof held_path, "%s", in_work("held.txt"));
    return status;
}

static void put_copies(int count)
{
    FILE *file = fopen(in_path, "w");
    assert_non_null(file);
    for (int i = 0; i < count; i++)
        fprintf(file, "%s\n<|endoftext|>\n", story);
    fclose(file);
}

static ts_instruct_options usual(void)
{
    ts_instruct_options options;
    assert_ok(ts_instruct_options_init(&options, sizeof options));
    return options;
}

static ts_instruct_report make(const ts_instruct_options *options)
{
    const char *path = in_path;
    ts_instruct_report report = {.struct_size = sizeof report};
    assert_ok(ts_dataset_instruct(&report, NULL, &path, 1, out_path, options));
    uint64_t sum = 0;
    for (size_t i = 0; i < 16; i++)
        sum += report.combinations[i];
    assert_int_equal(report.combinations[0], 0);
    assert_int_equal(sum, report.entries + report.held_out);
    assert_int_equal(report.stories, sum + report.without);
    return report;
}

static bool is_one_of(const char *text, size_t size, const char *const *known)
{
    for (; *known != NULL; known++)
        if (strlen(*known) == size && memcmp(*known, text, size) == 0)
            return true;
    return false;
}

/* All that was drawn of the plain story is in it, no order and no sentence is missing, and the first sentence never is one. */
static void test_plain(void **state)
{
    (void)state;
    static const char *const sentences[] = {"He wanted to jump over the log.", "\"Jump!\" said Ben.", "Tom jumped very high.", "The moral is to try.", NULL};
    ts_instruct_options options = usual();
    put_copies(3000);
    ts_instruct_report r = make(&options);
    assert_int_equal(r.entries, 3000);
    for (int i = 1; i < 16; i++)
        assert_true(r.combinations[i] > 140 && r.combinations[i] < 260); /* 200 each, 13.7 the deviation */
    const char *path = out_path, *text;
    ts_stories *stories;
    ts_runtime *runtime;
    size_t size, first[16] = {0}, sentence_count[4] = {0};
    assert_ok(ts_runtime_new(&runtime, NULL));
    assert_ok(ts_stories_open(&stories, runtime, &path, 1));
    for (size_t count = 0;; count++) {
        ts_instruct f = {.struct_size = sizeof f};
        assert_ok(ts_stories_next(stories, &text, &size));
        if (text == NULL) {
            assert_int_equal(count, 3000);
            break;
        }
        assert_ok(ts_instruct_parse(&f, text, size));
        assert_int_equal(f.story_size, sizeof story - 1);
        assert_memory_equal(f.story, story, f.story_size);
        assert_memory_equal(f.story - 9, "Story: \n\n", 9);
        if (f.features != NULL)
            assert_true(is_one_of(f.features, f.features_size, (const char *const[]){"Dialogue, MoralValue", NULL}));
        for (size_t i = 0; f.sentence != NULL && i < 4; i++)
            sentence_count[i] += strlen(sentences[i]) == f.sentence_size && memcmp(sentences[i], f.sentence, f.sentence_size) == 0;
        if (f.sentence != NULL)
            assert_true(is_one_of(f.sentence, f.sentence_size, sentences));
        if (f.words != NULL)
            assert_true(f.words_size > 3 && memchr(f.words, ',', f.words_size) != NULL);
        first[f.order[0]]++;
    }
    for (size_t i = 0; i < 4; i++)
        assert_true(sentence_count[i] > 330 && first[(size_t)1 << i] > 600);
    ts_stories_close(stories);
    ts_runtime_free(runtime);
    remove_file("in.txt");
    remove_file("out.txt");
}

static void test_seed_and_split(void **state)
{
    (void)state;
    size_t sizes[3];
    char *texts[3];
    ts_instruct_options options = usual();
    put_copies(300);
    for (int i = 0; i < 3; i++) {
        options.seed = i == 2;
        make(&options);
        texts[i] = read_file(out_path, &sizes[i]);
    }
    assert_string_equal(texts[0], texts[1]);
    assert_string_not_equal(texts[0], texts[2]);
    for (int i = 0; i < 3; i++)
        free(texts[i]);
    options = usual();
    options.always = TS_INSTRUCT_SUMMARY;
    options.hold_out = TS_INSTRUCT_SUMMARY | TS_INSTRUCT_WORDS;
    options.held_out = held_path;
    ts_instruct_report r = make(&options);
    assert_true(r.held_out > 110 && r.held_out < 190); /* words in one of two */
    for (uint32_t i = 0; i < 16; i++)
        assert_true((r.combinations[i] > 0) == ((i & TS_INSTRUCT_SUMMARY) != 0));
    char *kept = read_file(out_path, &sizes[0]), *held = read_file(held_path, &sizes[1]);
    assert_null(strstr(kept, "Words:"));
    assert_non_null(strstr(held, "Words:"));
    /* what are entries already can be divided later in the same way */
    options.hold_out = 0;
    options.held_out = NULL;
    make(&options);
    assert_int_equal(rename(out_path, in_path), 0);
    options.always = 0;
    options.seed = 77;
    options.fields = TS_INSTRUCT_FEATURES;
    options.hold_out = TS_INSTRUCT_SUMMARY | TS_INSTRUCT_WORDS;
    options.held_out = held_path;
    ts_instruct_report again = make(&options);
    assert_int_equal(again.held_out, r.held_out);
    char *kept_again = read_file(out_path, &sizes[0]), *held_again = read_file(held_path, &sizes[1]);
    assert_string_equal(kept, kept_again);
    assert_string_equal(held, held_again);
    free(kept);
    free(held);
    free(kept_again);
    free(held_again);
    remove_file("in.txt");
    remove_file("out.txt");
    remove_file("held.txt");
}

static void test_records(void **state)
{
    (void)state;
    static const char line[] = "{\"story\": \"\\n\\nOne ran. Two ran.\", \"instruction\": {\"prompt:\": \"p\", \"words\": [\"quit\", \"oak\", \"gloomy\"], "
                               "\"features\": [\"Dialogue\", \"Twist\"]}, \"summary\": \"They\\nran.\", \"source\": \"GPT-4\"}\n";
    ts_story_writer *writer = NULL;
    ts_runtime *runtime;
    assert_ok(ts_runtime_new(&runtime, NULL));
    bool has = ts_story_writer_open(&writer, runtime, in_work("x.jsonl.gz")) == TS_OK;
    ts_story_writer_abandon(writer);
    ts_runtime_free(runtime);
    if (!has)
        skip();
    const char *path = put_file("in.jsonl", line, sizeof line - 1);
    char in[512], out[512];
    size_t size;
    snprintf(in, sizeof in, "%s", path);
    snprintf(out, sizeof out, "%s", in_work("out.jsonl"));
    path = in;
    ts_instruct_options options = usual();
    options.always = TS_INSTRUCT_ALL;
    assert_ok(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options));
    char *text = read_file(out_path, &size);
    assert_non_null(strstr(text, "Words: quit, oak, gloomy\n"));
    assert_non_null(strstr(text, "Features: Dialogue, Twist\n"));
    assert_non_null(strstr(text, "Summary: They ran.\n"));
    assert_non_null(strstr(text, "Random sentence: Two ran.\n"));
    assert_non_null(strstr(text, "Story: \n\nOne ran. Two ran.\n<|endoftext|>\n"));
    free(text);
    assert_ok(ts_dataset_instruct(NULL, NULL, &path, 1, out, &options));
    text = read_file(out, &size);
    assert_non_null(strstr(text, ", \"instruction\": {\"words\": [\"quit\", \"oak\", \"gloomy\"], \"features\": [\"Dialogue\", \"Twist\"]}, \"summary\": "
                                 "\"They\\nran.\", \"sentence\": \"Two ran.\"}\n"));
    assert_memory_equal(text, "{\"text\": \"", 10);
    free(text);
    remove_file("in.jsonl");
    remove_file("out.jsonl");
    remove_file("out.txt");
}

/* What a record does not tell is read off the story; a list that is empty stays so, and no piano lesson is a moral. */
static void test_features_of_records(void **state)
{
    (void)state;
    static const struct {
        const char *line, *features; /* NULL: none */
    } cases[] = {{"{\"story\": \"He came. \\\"Hi!\\\" said Tom.\", \"instruction\": {\"words\": [\"say\"]}}", "Dialogue"},
                 {"{\"story\": \"He came. \\\"Hi!\\\" said Tom.\", \"instruction\": {\"words\": [\"say\"], \"features\": []}}", NULL},
                 {"{\"story\": \"He came. \\\"Hi!\\\" said Tom.\", \"features\": [\"Twist\"]}", "Twist"},
                 {"{\"text\": \"Tom had a piano lesson. He went home.\"}", NULL},
                 {"{\"text\": \"Tom fell. He learned that stones are hard.\"}", "MoralValue"},
                 {"{\"text\": \"Tom fell. The lesson is to look.\"}", "MoralValue"}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        char in[512], expected[128];
        size_t size;
        snprintf(in, sizeof in, "%s", put_file("in.jsonl", cases[i].line, strlen(cases[i].line)));
        const char *path = in;
        ts_instruct_options options = usual();
        options.always = TS_INSTRUCT_ALL;
        assert_ok(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options));
        char *text = read_file(out_path, &size);
        snprintf(expected, sizeof expected, "Features: %s\n", cases[i].features != NULL ? cases[i].features : "");
        if ((strstr(text, expected) != NULL) != (cases[i].features != NULL) || (strstr(text, "Features:") != NULL) != (cases[i].features != NULL))
            fail_msg("%s: %s", cases[i].line, text);
        free(text);
        remove_file("in.jsonl");
        remove_file("out.txt");
    }
}

typedef struct summarizing {
    const char *text;
    int calls, answer;
    size_t claimed;
} summarizing;

static int32_t summarize(void *user, const char *text, size_t text_size, char *into, size_t capacity, size_t *size)
{
    summarizing *s = user;
    s->calls++;
    assert_int_equal(text_size, sizeof story - 1);
    assert_memory_equal(text, story, text_size);
    *size = strlen(s->text);
    assert_true(*size < capacity);
    memcpy(into, s->text, *size);
    if (s->claimed > 0)
        *size = s->claimed;
    return s->answer;
}

static void test_summaries(void **state)
{
    (void)state;
    ts_instruct_options options = usual();
    summarizing s = {.text = "A dog jumps."};
    const char *path = in_path;
    size_t size;
    put_copies(1);
    options.always = options.fields = TS_INSTRUCT_SUMMARY;
    make(&options);
    char *text = read_file(out_path, &size);
    assert_non_null(strstr(text, "Summary: Tom was a happy dog. "));
    free(text);
    options.summarize = summarize;
    options.summarize_user = &s;
    make(&options);
    text = read_file(out_path, &size);
    assert_memory_equal(text, "Summary: A dog jumps.\nStory: \n\n", 31);
    free(text);
    s.text = "";
    assert_int_equal(make(&options).without, 1);
    s.answer = 1;
    assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_CANCELLED);
    s.answer = 0;
    s.claimed = 5000;
    assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(s.calls, 4);
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
    const char *path = in_path, *shard = "a.bin";
    ts_instruct_options options = usual();
    put_copies(3);
    assert_status(ts_dataset_instruct(NULL, NULL, NULL, 0, out_path, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, NULL, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_dataset_instruct(NULL, NULL, &shard, 1, out_path, NULL), TS_ERROR_INVALID_ARGUMENT);
    options.fields = 0;
    assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_INVALID_ARGUMENT);
    options.fields = 16;
    assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_INVALID_ARGUMENT);
    options = usual();
    options.held_out = "x";
    assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_INVALID_ARGUMENT);
    options = usual();
    options.progress = stop;
    assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_CANCELLED);
    assert_int_equal(files_in(work_folder()), 1);
    put_file("in.txt", "One sentence", 12);
    options = usual();
    options.fields = TS_INSTRUCT_SENTENCE | TS_INSTRUCT_FEATURES;
    assert_int_equal(make(&options).without, 1);
    remove_file("in.txt");
    remove_file("out.txt");
}

/* ---- summaries by a chat service, none of which is needed: what it would be asked is in files, what it wrote too ---- */

static bool has_chat(void)
{
    ts_chat_options chat;
    return ts_chat_options_init(&chat, sizeof chat) == TS_OK;
}

static ts_instruct_options asking(ts_chat_options *chat, const char *journal)
{
    ts_instruct_options options = usual();
    assert_ok(ts_chat_options_init(chat, sizeof *chat));
    chat->model = "m";
    chat->base_url = "http://127.0.0.1:1"; /* nobody is there */
    chat->journal = journal;
    options.chat = chat;
    options.always = TS_INSTRUCT_SUMMARY;
    return options;
}

static ts_summaries *open_summaries(const ts_instruct_options *options)
{
    const char *path = in_path;
    ts_summaries *summaries = NULL;
    assert_ok(ts_summaries_new(&summaries, NULL, &path, 1, options));
    return summaries;
}

static ts_batch_report fresh_report(void)
{
    return (ts_batch_report){.struct_size = sizeof(ts_batch_report)};
}

/* Answers the requests of a batch file, each with its own number, into another. */
static void answer_batch(const char *requests, const char *results, const char *text)
{
    size_t size;
    char *lines = read_file(requests, &size);
    FILE *file = fopen(results, "w");
    assert_non_null(file);
    for (char *at = lines; (at = strstr(at, "\"custom_id\": \"")) != NULL;) {
        at += 14;
        fprintf(file, "{\"custom_id\": \"%.*s\", \"response\": {\"status_code\": 200, \"body\": {\"choices\": [{\"finish_reason\": \"stop\", \"message\": {\"content\": "
                      "\"%s %.*s.\"}}]}}}\n", (int)strcspn(at, "\""), at, text, (int)(strcspn(at, "\"") - strcspn(at, "-") - 1), at + strcspn(at, "-") + 1);
    }
    fclose(file);
    free(lines);
}

static void test_prompts_of_summaries(void **state)
{
    (void)state;
    static const struct {
        const char *template, *detail; /* detail NULL: it is `prompt` that comes of it */
        const char *prompt;
    } cases[] = {{"Sum up: {story}\n\n", NULL, "Sum up: %s"},
                 {"{{{features}}} [[x]] {story}", NULL, "{Dialogue, MoralValue} [x] %s"},
                 {"[With {words}: ]{story}", NULL, NULL},
                 {"{story} {title}", "the prompt has the placeholder {title}, expected story, words or features", NULL},
                 {"{story} {verb}", "{verb}", NULL},
                 {"Sum it up.", "the prompt has no {story}", NULL},
                 {"{{story}}", "the prompt has no {story}", NULL},
                 {"{story", "do not fit together", NULL},
                 {"[{story}", "is not closed", NULL},
                 {"\xff{story}", "is not UTF-8", NULL},
                 {"", "the prompt has no {story}", NULL}};
    const char *path = in_path;
    if (!has_chat())
        skip();
    put_copies(3);
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_chat_options chat;
        char journal[512], template[512], text[1024] = "", expected[512];
        size_t size = 0;
        snprintf(journal, sizeof journal, "%s", in_work("journal"));
        snprintf(template, sizeof template, "%s", put_file("template", cases[i].template, strlen(cases[i].template)));
        ts_instruct_options options = asking(&chat, journal);
        options.prompt = template;
        ts_summaries *summaries = NULL;
        ts_status status = ts_summaries_new(&summaries, NULL, &path, 1, &options);
        if (cases[i].detail != NULL) {
            assert_status(status, TS_ERROR_FORMAT);
            assert_detail(cases[i].detail);
            assert_detail(template);
            assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_FORMAT);
            continue;
        }
        assert_ok(status);
        assert_int_equal(ts_summaries_count(summaries), 3);
        assert_ok(ts_summaries_prompt(summaries, 2, text, sizeof text, &size));
        if (cases[i].prompt != NULL) {
            snprintf(expected, sizeof expected, cases[i].prompt, story);
            assert_string_equal(text, expected);
        } else {
            assert_memory_equal(text, "With ", 5);
        }
        assert_int_equal(size, strlen(text));
        assert_status(ts_summaries_prompt(summaries, 2, text, size, &size), TS_ERROR_BUFFER_TOO_SMALL);
        assert_status(ts_summaries_prompt(summaries, 3, text, sizeof text, &size), TS_ERROR_INVALID_ARGUMENT);
        assert_detail("place is 3, but there are 3 summaries");
        ts_summaries_free(summaries);
        remove_file("journal");
    }
    remove_file("template");
    remove_file("in.txt");
}

/* Shards divide the stories and the bounds; their journals make one, whose entries are all of theirs. */
static void test_shards_and_batch_files(void **state)
{
    (void)state;
    enum { STORIES = 20, SHARDS = 3 };
    const char *path = in_path;
    char names[SHARDS + 1][512], requests[512], results[512];
    ts_instruct_report made[SHARDS], whole = {.struct_size = sizeof whole};
    ts_chat_options chat;
    uint64_t taken = 0, entries = 0;
    if (!has_chat())
        skip();
    put_copies(STORIES);
    snprintf(requests, sizeof requests, "%s", in_work("requests.jsonl"));
    snprintf(results, sizeof results, "%s", in_work("results.jsonl"));
    for (uint32_t i = 0; i <= SHARDS; i++) {
        char name[16];
        snprintf(name, sizeof name, "journal%u", i);
        snprintf(names[i], sizeof names[i], "%s", in_work(name));
    }
    for (uint32_t i = 0; i < SHARDS; i++) {
        ts_chat_report estimate = {.struct_size = sizeof estimate};
        ts_batch_report report = fresh_report();
        ts_instruct_options options = asking(&chat, names[i]);
        uint64_t own = (STORIES - i - 1) / SHARDS + 1;
        options.shard = i;
        options.shards = SHARDS;
        chat.reply_tokens = 50;
        ts_summaries *summaries = open_summaries(&options);
        assert_int_equal(ts_summaries_count(summaries), own);
        assert_ok(ts_summaries_estimate(summaries, &estimate));
        assert_int_equal(estimate.requests, own);
        assert_int_equal(estimate.completion_tokens, 50 * own);
        assert_true(estimate.prompt_tokens >= own * (sizeof story / 4));
        assert_ok(ts_summaries_batch_write(summaries, requests, &report));
        assert_int_equal(report.requests, own);
        assert_int_equal(report.left, own);
        answer_batch(requests, results, "Summary: Of dog");
        assert_ok(ts_summaries_batch_read(summaries, results, &report));
        assert_int_equal(report.results, own);
        assert_int_equal(report.left, 0);
        assert_ok(ts_summaries_estimate(summaries, &estimate));
        assert_int_equal(estimate.requests, 0);
        ts_summaries_free(summaries);
        made[i] = (ts_instruct_report){.struct_size = sizeof made[i]};
        assert_ok(ts_dataset_instruct(&made[i], NULL, &path, 1, out_path, &options)); /* asks for nothing */
        assert_int_equal(made[i].stories, own);
        assert_int_equal(made[i].summarized, own);
        entries += made[i].entries;
        options.shard = (i + 1) % SHARDS; /* another shard's journal lacks its summaries: nobody answers */
        chat.attempts = 1;
        assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_NETWORK);
    }
    assert_int_equal(entries, STORIES);
    ts_instruct_options options = asking(&chat, names[SHARDS]);
    chat.reply_tokens = 50;
    ts_summaries *summaries = open_summaries(&options);
    for (uint32_t i = 0; i < SHARDS; i++) {
        assert_ok(ts_summaries_merge(summaries, names[i], &taken));
        assert_int_equal(taken, made[i].summarized);
    }
    assert_ok(ts_summaries_merge(summaries, names[0], &taken));
    assert_int_equal(taken, 0);
    ts_chat_report bill = {.struct_size = sizeof bill};
    assert_ok(ts_summaries_chat_report(summaries, &bill));
    assert_int_equal(bill.answered, STORIES);
    assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_BUSY);
    ts_summaries_free(summaries);
    assert_ok(ts_dataset_instruct(&whole, NULL, &path, 1, out_path, &options));
    assert_int_equal(whole.summarized, STORIES);
    size_t size;
    char *text = read_file(out_path, &size);
    for (int i = 0; i < STORIES; i++) {
        char line[64];
        snprintf(line, sizeof line, "Summary: Of dog %d.\n", i);
        assert_non_null(strstr(text, line));
    }
    free(text);
    options.seed = 1; /* draws others */
    assert_status(ts_summaries_new(&summaries, NULL, &path, 1, &options), TS_ERROR_MISMATCH);
}

static void test_what_summaries_refuse(void **state)
{
    (void)state;
    ts_chat_options chat;
    ts_summaries *summaries = NULL;
    ts_batch_report report = fresh_report();
    const char *path = in_path, *stream = "-";
    char journal[512];
    if (!has_chat())
        skip();
    put_copies(2);
    snprintf(journal, sizeof journal, "%s", in_work("refusing"));
    ts_instruct_options options = usual();
    assert_status(ts_summaries_new(&summaries, NULL, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("options.chat is NULL");
    options.prompt = path;
    assert_status(ts_dataset_instruct(NULL, NULL, &path, 1, out_path, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("options.prompt");
    options = asking(&chat, journal);
    assert_status(ts_summaries_new(NULL, NULL, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_summaries_new(&summaries, NULL, &stream, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    options.shards = 2;
    options.shard = 2;
    assert_status(ts_summaries_new(&summaries, NULL, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("options.shard is 2 of 2 shards");
    options.shard = 1;
    chat.max_requests = 1;
    assert_status(ts_summaries_new(&summaries, NULL, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("max_requests is 1, expected at least one for each of 2 shards");
    chat.max_requests = 0;
    options.shards = 3; /* the third shard of two stories has none */
    options.shard = 2;
    summaries = open_summaries(&options);
    assert_int_equal(ts_summaries_count(summaries), 0);
    assert_ok(ts_summaries_batch_step(summaries, &report));
    assert_int_equal(report.left, 0);
    assert_status(ts_summaries_batch_write(summaries, "-", &report), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_summaries_batch_read(summaries, in_work("nothing"), &report), TS_ERROR_IO);
    assert_status(ts_summaries_merge(summaries, in_work("nothing"), NULL), TS_ERROR_IO);
    ts_summaries_free(summaries);
}

static ts_status attempt_summaries(ts_runtime *runtime, void *user)
{
    const char *path = in_path;
    ts_summaries *summaries;
    ts_chat_options chat;
    char text[512];
    size_t size;
    ts_instruct_options options = asking(&chat, in_work("memory"));
    options.prompt = user;
    TS_TRY(ts_summaries_new(&summaries, runtime, &path, 1, &options));
    ts_status status = ts_summaries_prompt(summaries, 1, text, sizeof text, &size);
    ts_summaries_free(summaries);
    remove(in_work("memory"));
    return status;
}

static void test_memory_of_summaries(void **state)
{
    (void)state;
    char template[512];
    if (!has_chat())
        skip();
    put_copies(2);
    snprintf(template, sizeof template, "%s", put_file("template", "{words} {story}", 15));
    assert_true(sweep_memory_alone(attempt_summaries, template) > 10);
}

static ts_status attempt(ts_runtime *runtime, void *user)
{
    const char *path = in_path;
    ts_instruct_options options = usual();
    (void)user;
    options.always = TS_INSTRUCT_ALL;
    return ts_dataset_instruct(NULL, runtime, &path, 1, out_path, &options);
}

static void test_memory(void **state)
{
    (void)state;
    put_copies(2);
    assert_true(sweep_memory_alone(attempt, NULL) > 10);
    remove_file("in.txt");
    remove_file("out.txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_seed_and_split),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_features_of_records),
        cmocka_unit_test(test_summaries),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_prompts_of_summaries),
        cmocka_unit_test(test_shards_and_batch_files),
        cmocka_unit_test(test_what_summaries_refuse),
        cmocka_unit_test(test_memory_of_summaries),
    };
    return cmocka_run_group_tests(tests, prepare, remove_folder);
}

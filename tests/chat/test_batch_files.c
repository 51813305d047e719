/* Batch files: bounds of a file, results that are damaged or hostile, a service that answers anything, memory that runs out. */
#define _GNU_SOURCE
#include "chat/service.h"

#include "chat/batch_files.h"

#include <unistd.h>

static ts_runtime *runtime;
static ts_io quick; /* the files of the machine, not waited for */
static ledger paid;
static service the_service;
static const ts_chat_jobs ten = {.count = 10, .step = 1, .prompt = service_prompt};

static int set_up(void **state)
{
    quick = ts_io_system;
    quick.sync = sync_nothing;
    if (ts_runtime_new(&runtime, NULL) != TS_OK)
        return 1;
    ts_runtime_set_io(runtime, &quick);
    return make_folder(state);
}

static int tear_down(void **state)
{
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    return remove_folder(state) || left != 0;
}

/* ---- a files and batches endpoint ---- */

static struct {
    const char *list, *created, *file; /* what it answers */
    const char *content;               /* lines, "%s" being the journal's run */
    long code;
    char run[TS_JOURNAL_RUN_SIZE];
    size_t calls, submitted;
} endpoint;

static ts_status give_content(const ts_http_request *request)
{
    char line[512];
    for (const char *at = endpoint.content, *end; *at; at = end + 1) {
        end = strchrnul(at, '\n');
        snprintf(line, sizeof line, "%.*s", (int)(end - at), at);
        char *run = strstr(line, "RUN");
        if (run) {
            char rest[512];
            snprintf(rest, sizeof rest, "%s", run + 3);
            snprintf(run, sizeof line - (size_t)(run - line), "%s%s", endpoint.run, rest);
        }
        TS_TRY(request->line(request->user, line, strlen(line)));
        if (!*end)
            break;
    }
    return TS_OK;
}

static ts_status answer(void *user, const ts_http_request *request, ts_http_reply *reply)
{
    const char *body = "";
    (void)user;
    endpoint.calls++;
    if (request->line && endpoint.code == 200)
        TS_TRY(give_content(request));
    else if (request->upload)
        body = endpoint.file;
    else if (request->body) {
        body = endpoint.created;
        endpoint.submitted++;
    } else
        body = endpoint.list;
    *reply = (ts_http_reply){.end = TS_HTTP_REPLIED, .detail = "", .code = endpoint.code, .body = body, .size = strlen(body)};
    ts_http_limits_init(&reply->limits);
    return TS_OK;
}

static ts_status open_on(ts_chat **chat, ts_runtime *own, ts_chat_endpoint where)
{
    ts_chat_options options;
    TS_TRY(ts_chat_options_init(&options, sizeof options));
    options.model = "m";
    options.journal = in_work("journal");
    options.in_flight = 2;
    options.attempts = 2;
    service_init(&the_service, &paid);
    ts_transport transport = service_transport(&the_service);
    transport.call = answer;
    TS_TRY(ts_chat_open_on(chat, own, &options, where, 7, &transport));
    memcpy(endpoint.run, (*chat)->journal.run, sizeof endpoint.run);
    return TS_OK;
}

static ts_chat *fresh(void)
{
    ts_chat *chat;
    unlink(in_work("journal"));
    assert_ok(open_on(&chat, runtime, TS_CHAT_CONVERSATION));
    endpoint.list = "{\"data\": []}";
    endpoint.created = "{\"id\": \"batch_1\"}";
    endpoint.file = "{\"id\": \"file-1\"}";
    endpoint.content = "";
    endpoint.code = 200;
    endpoint.calls = endpoint.submitted = 0;
    return chat;
}

/* ---- files ---- */

static size_t count_lines(const char *path)
{
    size_t size, lines = 0;
    char *file = read_file(path, &size);
    for (size_t i = 0; i < size; i++)
        lines += file[i] == '\n';
    free(file);
    return lines;
}

static void files_have_at_most_fifty_thousand_lines(void **state)
{
    (void)state;
    ts_chat *chat = fresh();
    const ts_chat_jobs jobs = {.first = 5, .count = 100001, .step = 3, .prompt = service_prompt};
    ts_batch_report report = {0};
    assert_ok(ts_chat_batch_write(chat, &jobs, in_work("requests.jsonl"), &report));
    assert_int_equal(report.files, 3);
    assert_int_equal(report.requests, 100001);
    assert_int_equal(count_lines(in_work("requests.jsonl")), 50000);
    assert_int_equal(count_lines(in_work("requests.2.jsonl")), 50000);
    assert_int_equal(count_lines(in_work("requests.3.jsonl")), 1);
    assert_int_equal(access(in_work("requests.4.jsonl"), F_OK), -1);
    ts_chat_report totals;
    ts_chat_totals(chat, &totals);
    assert_int_equal(totals.unknown, 100001);
    ts_chat_close(chat);
}

/* Requests to go on with a text say so, and their results are read as such. */
static void files_of_continuations(void **state)
{
    (void)state;
    ts_chat *chat;
    size_t size;
    const ts_chat_jobs jobs = {.count = 2, .step = 1, .prompt = service_prompt};
    ts_batch_report report = {0};
    char expected[400], line[400];
    ts_bytes text = {.runtime = runtime};
    unlink(in_work("journal"));
    assert_ok(open_on(&chat, runtime, TS_CHAT_CONTINUATION));
    assert_ok(ts_chat_batch_write(chat, &jobs, in_work("continue.jsonl"), &report));
    char *file = read_file(in_work("continue.jsonl"), &size);
    snprintf(expected, sizeof expected, "{\"custom_id\": \"%s-0\", \"method\": \"POST\", \"url\": \"/v1/completions\", \"body\": {\"model\": \"m\", "
             "\"prompt\": \"tell story 0\", \"max_tokens\": 1024}}\n", endpoint.run);
    assert_memory_equal(file, expected, strlen(expected));
    free(file);
    snprintf(line, sizeof line, "{\"custom_id\": \"%s-1\", \"response\": {\"status_code\": 200, \"body\": {\"choices\": [{\"finish_reason\": \"stop\", "
             "\"text\": \" and so on\\n\"}]}}}\n", endpoint.run);
    put_file("results.jsonl", line, strlen(line));
    assert_ok(ts_chat_batch_read(chat, &jobs, in_work("results.jsonl"), &report));
    assert_int_equal(report.results, 1);
    assert_ok(ts_chat_text(chat, 1, &text));
    assert_string_equal(text.data, " and so on\n");
    ts_bytes_free(&text);
    ts_chat_close(chat);
}

static void results_may_be_anything(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "", "{", "[]", "7", "null", "\"x\"", "{}", "{\"custom_id\": 7}", "{\"custom_id\": \"\"}", "{\"custom_id\": \"RUN\"}", "{\"custom_id\": \"RUN-\"}",
        "{\"custom_id\": \"RUN-x\"}", "{\"custom_id\": \"RUN-01\"}", "{\"custom_id\": \"RUN--1\"}", "{\"custom_id\": \"RUN-99999999999999999999\"}",
        "{\"custom_id\": \"RUN-1\", \"custom_id\"", "\xff\xfe", "{\"custom_id\": \"RUN-9007199254740992\"}"};
    for (size_t i = 0; i < TS_COUNT_OF(lines); i++) {
        ts_chat *chat = fresh();
        ts_batch_report report = {0};
        endpoint.list = "{\"data\": [{\"id\": \"b\", \"status\": \"completed\", \"output_file_id\": \"f\", \"metadata\": {\"tinystories\": \"x\"}}]}";
        ts_batch_reader reader = {.chat = chat, .jobs = &ten, .use = TS_BATCH_ALL, .report = &report};
        endpoint.content = lines[i];
        ts_http_request request = {.line = ts_batch_read_line, .user = &reader};
        assert_ok(give_content(&request));
        assert_int_equal(report.foreign, lines[i][0] != 0);
        assert_int_equal(report.results + report.failed + report.known, 0);
        ts_chat_close(chat);
    }
    count_cases(TS_COUNT_OF(lines));
}

/* A result is one however its document is made; what it says decides whether the story is used. */
static void what_results_say(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        uint64_t answered, filtered, cut, invalid;
    } cases[] = {
        {"\"response\": {\"status_code\": 200, \"body\": {\"choices\": [{\"finish_reason\": \"stop\", \"message\": {\"content\": \"A.\"}}]}}}", 1, 0, 0, 0},
        {"\"response\": {\"status_code\": 200, \"body\": {\"choices\": [{\"finish_reason\": \"length\", \"message\": {\"content\": \"A.\"}}]}}}", 0, 0, 1, 0},
        {"\"response\": {\"status_code\": 200, \"body\": {\"choices\": []}}}", 0, 0, 0, 1},
        {"\"response\": {\"status_code\": 200}}", 0, 0, 0, 1},
        {"\"response\": {\"status_code\": 400, \"body\": {\"error\": {\"code\": \"content_filter\"}}}}", 0, 1, 0, 0},
        {"\"response\": {\"status_code\": 400, \"body\": {}}}", 0, 0, 0, 0},
        {"\"response\": {\"status_code\": \"200\"}}", 0, 0, 0, 0},
        {"\"response\": null, \"error\": {\"code\": \"batch_expired\"}}", 0, 0, 0, 0},
        {"\"response\": 7}", 0, 0, 0, 0},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_chat *chat = fresh();
        ts_batch_report report = {0};
        ts_chat_report totals;
        char line[512];
        assert_ok(ts_chat_batch_write(chat, &ten, in_work("requests.jsonl"), &report));
        ts_batch_reader reader = {.chat = chat, .jobs = &ten, .use = TS_BATCH_ALL, .report = &report};
        snprintf(line, sizeof line, "{\"custom_id\": \"%s-4\", %s", endpoint.run, cases[i].rest);
        assert_ok(ts_batch_read_line(&reader, line, strlen(line)));
        ts_chat_totals(chat, &totals);
        assert_int_equal(totals.answered, cases[i].answered);
        assert_int_equal(totals.filtered, cases[i].filtered);
        assert_int_equal(totals.cut, cases[i].cut);
        assert_int_equal(totals.invalid, cases[i].invalid);
        assert_int_equal(report.results, cases[i].answered + cases[i].filtered + cases[i].cut + cases[i].invalid);
        assert_int_equal(report.results + report.failed, 1);
        assert_int_equal(totals.unknown, 9);
        ts_chat_close(chat);
    }
    count_cases(TS_COUNT_OF(cases));
}

/* ---- endpoints ---- */

static void a_service_may_answer_anything(void **state)
{
    (void)state;
    static const struct {
        const char *list, *file, *created, *detail;
        size_t submitted;
    } cases[] = {
        {"", NULL, NULL, "the list of batches", 0},
        {"[", NULL, NULL, "the list of batches", 0},
        {"{\"data\": [{\"id\": \"../x\", \"status\": \"completed\", \"metadata\": {\"tinystories\": \"%s\"}}]}", NULL, NULL, "is no id", 0},
        {"{\"data\": [{\"id\": \"b\"}], \"has_more\": true}", NULL, NULL, "does not end", 0},
        {"{}", "{}", NULL, "no id", 0},
        {"{}", "{\"id\": \"a/b\"}", NULL, "is no id", 0},
        {"{}", "{\"id\": \"\"}", NULL, "is no id", 0},
        {"{}", "<html>", NULL, "the file of a batch", 0},
        {"{\"data\": 7}", "{\"id\": \"file-1\"}", "anything", NULL, 1},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_chat *chat = fresh();
        ts_batch_report report = {0};
        char list[512];
        snprintf(list, sizeof list, cases[i].list, endpoint.run);
        endpoint.list = list;
        endpoint.file = cases[i].file ? cases[i].file : endpoint.file;
        endpoint.created = cases[i].created ? cases[i].created : endpoint.created;
        ts_status status = ts_chat_batch_step(chat, &ten, &report);
        assert_int_equal(status, cases[i].detail ? TS_ERROR_NETWORK : TS_OK);
        if (cases[i].detail)
            assert_detail(cases[i].detail);
        assert_int_equal(endpoint.submitted, cases[i].submitted);
        ts_chat_report totals;
        ts_chat_totals(chat, &totals);
        assert_int_equal(totals.unknown, cases[i].submitted * 10);
        assert_int_equal(access(in_work("journal.batch.jsonl"), F_OK), -1);
        ts_chat_close(chat);
    }
    count_cases(TS_COUNT_OF(cases));
}

static void refusals_take_the_intents_back(void **state)
{
    (void)state;
    static const long codes[] = {400, 401, 404, 429, 503};
    for (size_t i = 0; i < TS_COUNT_OF(codes); i++) {
        ts_chat *chat = fresh();
        ts_batch_report report = {0};
        ts_chat_report totals;
        endpoint.code = codes[i];
        assert_status(ts_chat_batch_step(chat, &ten, &report), TS_ERROR_NETWORK);
        assert_int_equal(endpoint.calls, codes[i] == 429 || codes[i] == 503 ? 2 : 1);
        ts_chat_totals(chat, &totals);
        assert_int_equal(totals.requests, 0);
        ts_chat_close(chat);
    }
    count_cases(TS_COUNT_OF(codes));
}

/* ---- memory ---- */

static ts_status write_and_collect(ts_runtime *own, void *user)
{
    (void)user;
    ts_chat *chat;
    ts_batch_report report = {0};
    char list[512];
    ts_runtime_set_io(own, &quick);
    unlink(in_work("journal"));
    TS_TRY(open_on(&chat, own, TS_CHAT_CONVERSATION));
    endpoint.code = 200;
    endpoint.list = "{}";
    ts_status status = ts_chat_batch_step(chat, &ten, &report);
    snprintf(list, sizeof list,
             "{\"data\": [{\"id\": \"b\", \"status\": \"expired\", \"output_file_id\": \"o\", \"input_file_id\": \"i\", \"metadata\": {\"tinystories\": \"%s\"}}]}",
             endpoint.run);
    endpoint.list = list;
    endpoint.content = "{\"custom_id\": \"RUN-4\", \"response\": {\"status_code\": 200, \"body\": {\"choices\": [{\"finish_reason\": \"stop\", \"message\": "
                       "{\"content\": \"A.\"}}]}}}\n{\"custom_id\": \"RUN-5\", \"response\": null}";
    report = (ts_batch_report){0};
    if (status == TS_OK)
        status = ts_chat_batch_step(chat, &ten, &report);
    if (status == TS_OK)
        assert_int_equal(report.results, 1);
    ts_chat_close(chat);
    return status;
}

/* Another journal of the same configuration, with a result of job 4. */
static void make_shard(const char *path)
{
    ts_chat *chat = fresh();
    ts_batch_report report = {0};
    char line[300];
    assert_ok(ts_chat_batch_write(chat, &ten, in_work("requests.jsonl"), &report));
    ts_batch_reader reader = {.chat = chat, .jobs = &ten, .use = TS_BATCH_ALL, .report = &report};
    snprintf(line, sizeof line, "{\"custom_id\": \"%s-4\", \"response\": {\"status_code\": 200, \"body\": {\"choices\": [{\"finish_reason\": \"stop\", \"message\": "
                                "{\"content\": \"A \\\"dog\\\".\"}}]}}}", endpoint.run);
    assert_ok(ts_batch_read_line(&reader, line, strlen(line)));
    assert_ok(ts_journal_sync(&chat->journal));
    ts_chat_close(chat);
    assert_int_equal(rename(in_work("journal"), path), 0);
}

static ts_status merge(ts_runtime *own, void *user)
{
    ts_chat *chat;
    uint64_t taken = 0;
    ts_runtime_set_io(own, &quick);
    unlink(in_work("journal"));
    TS_TRY(open_on(&chat, own, TS_CHAT_CONVERSATION));
    ts_status status = ts_chat_merge(chat, user, &taken);
    if (status == TS_OK) {
        ts_bytes text = {.runtime = own};
        ts_chat_report totals;
        ts_chat_totals(chat, &totals);
        assert_int_equal(taken, 1);
        assert_int_equal(totals.unknown, 0); /* what has no result stays where it was sent */
        assert_int_equal(totals.requests, 1);
        status = ts_chat_text(chat, 4, &text);
        assert_true(status != TS_OK || strcmp(text.data, "A \"dog\".") == 0);
        ts_bytes_free(&text);
    }
    ts_chat_close(chat);
    return status;
}

/* Whatever byte of the other journal is wrong, its results are taken or not, and nothing else happens. */
static void damaged_journals_are_merged_as_far_as_they_go(void **state)
{
    (void)state;
    char shard[300], part[300];
    size_t size;
    snprintf(shard, sizeof shard, "%s", in_work("shard"));
    snprintf(part, sizeof part, "%s", in_work("part"));
    make_shard(shard);
    assert_ok(merge(runtime, shard));
    char *file = read_file(shard, &size);
    for (size_t at = 0; at < size; at += 13) {
        ts_chat *chat = fresh();
        uint64_t taken = 0;
        file[at] ^= 4;
        put_file("part", file, size);
        file[at] ^= 4;
        ts_status status = ts_chat_merge(chat, part, &taken);
        assert_true(status == TS_OK ? taken <= 1 : status == TS_ERROR_FORMAT && taken == 0);
        ts_chat_close(chat);
        count_cases(1);
    }
    free(file);
}

static void memory_may_fail(void **state)
{
    (void)state;
    char shard[300];
    assert_true(sweep_memory_alone(write_and_collect, NULL) > 20);
    snprintf(shard, sizeof shard, "%s", in_work("shard"));
    make_shard(shard);
    assert_true(sweep_memory_alone(merge, shard) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_have_at_most_fifty_thousand_lines),
        cmocka_unit_test(files_of_continuations),
        cmocka_unit_test(results_may_be_anything),
        cmocka_unit_test(what_results_say),
        cmocka_unit_test(a_service_may_answer_anything),
        cmocka_unit_test(refusals_take_the_intents_back),
        cmocka_unit_test(damaged_journals_are_merged_as_far_as_they_go),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* The client and its journal against a service and a clock of the test's own: retries and limits, bounds, full disks, kills at every call, damaged
 * files. */
#define _GNU_SOURCE
#include "chat/service.h"

#include "chat/limits.h"
#include "chat/rounds.h"
#include "tinystories/generator.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static ts_runtime *runtime;
static ledger *paid; /* shared with children */
static ts_io quick; /* the files of the machine, not waited for */
static service the_service;

static int set_up(void **state)
{
    quick = ts_io_system;
    quick.sync = sync_nothing;
    paid = mmap(NULL, sizeof *paid, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (paid == MAP_FAILED || ts_runtime_new(&runtime, NULL) != TS_OK)
        return 1;
    ts_runtime_set_io(runtime, &quick);
    return make_folder(state);
}

static int tear_down(void **state)
{
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    munmap(paid, sizeof *paid);
    return remove_folder(state) || left != 0;
}

/* Every test begins with an empty ledger, no journal, and a service that answers. */
static service *fresh(void)
{
    memset(paid, 0, sizeof *paid);
    unlink(in_work("journal"));
    service_init(&the_service, paid);
    return &the_service;
}

static ts_chat_options options_of(void)
{
    ts_chat_options options;
    assert_ok(ts_chat_options_init(&options, sizeof options));
    options.model = "m";
    options.journal = in_work("journal");
    options.in_flight = 8;
    return options;
}

static ts_chat *open_chat(service *s, const ts_chat_options *options)
{
    ts_chat *chat;
    ts_transport transport = service_transport(s);
    assert_ok(ts_chat_open_on(&chat, runtime, options, TS_CHAT_CONVERSATION, 7, &transport));
    return chat;
}

static ts_status run(ts_chat *chat, uint64_t first, uint64_t count)
{
    ts_chat_jobs jobs = {.first = first, .count = count, .step = 1, .prompt = service_prompt};
    return ts_chat_run(chat, &jobs, NULL, NULL);
}

static ts_chat_report report_of(const ts_chat *chat)
{
    ts_chat_report report;
    ts_chat_totals(chat, &report);
    return report;
}

static void assert_story(ts_chat *chat, uint64_t job)
{
    char expected[64];
    ts_bytes text = {.runtime = runtime};
    assert_int_equal(ts_chat_answer_of(chat, job), TS_CHAT_TEXT);
    assert_ok(ts_chat_text(chat, job, &text));
    snprintf(expected, sizeof expected, "Story \"%llu\".", (unsigned long long)job);
    assert_string_equal(text.data, expected);
    ts_bytes_free(&text);
}

static void assert_stories(ts_chat *chat, uint64_t first, uint64_t count)
{
    for (uint64_t job = first; job < first + count; job++)
        assert_story(chat, job);
}

/* ---- the plain way ---- */

static void stories_are_asked_for_once(void **state)
{
    (void)state;
    service *s = fresh();
    ts_chat_options options = options_of();
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, 50));
    assert_stories(chat, 0, 50);
    assert_int_equal(paid->requests, 50);
    assert_int_equal(paid->most_in_flight, 8);
    assert_ok(run(chat, 0, 60)); /* ten more */
    ts_chat_close(chat);
    chat = open_chat(s, &options);
    assert_ok(run(chat, 0, 60)); /* and none */
    assert_stories(chat, 0, 60);
    assert_int_equal(paid->requests, 60);
    ts_chat_report report = report_of(chat);
    assert_int_equal(report.answered, 60);
    assert_int_equal(report.prompt_tokens, 600);
    assert_int_equal(report.completion_tokens, 1200);
    assert_int_equal(report.reserved_tokens + report.unknown + report.retries + report.possibly_paid_twice + report.estimated_tokens, 0);
    ts_chat_close(chat);
}

/* Of results that say nothing of what they were asked for, the texts are there at least. */
static void journals_without_records_are_exported(void **state)
{
    (void)state;
    service *s = fresh();
    ts_chat_options options = options_of();
    ts_chat *chat = open_chat(s, &options);
    uint64_t written;
    size_t size;
    assert_ok(run(chat, 3, 10));
    ts_chat_close(chat);
    assert_ok(ts_journal_export(runtime, in_work("journal"), in_work("exported.jsonl"), TS_UNFIT_WORDS, &written, NULL));
    char *text = read_file(in_work("exported.jsonl"), &size);
    assert_int_equal(written, 10);
    assert_non_null(strstr(text, "{\"story\": \"Story \\\"7\\\".\", \"instruction\": {\"words\": [], \"features\": []}"));
    free(text);
}

/* ---- journals of earlier libraries ---- */

/* What the first form of a line had not. */
static const char *const later[] = {"prompt", "model", "system_fingerprint", "unfit", "about", "endpoint", "check"};

/* Writes a line without what is later, and its checksum anew. */
static void put_old_line(FILE *file, const char *line, size_t size)
{
    ts_json *document;
    ts_bytes out = {.runtime = runtime};
    assert_ok(ts_json_parse(&document, runtime, line, size, 0, "a line"));
    for (const ts_json *member = ts_json_first(document); member; member = ts_json_next(member)) {
        bool is_later = false;
        for (size_t i = 0; i < TS_COUNT_OF(later); i++)
            is_later = is_later || strcmp(ts_json_key(member), later[i]) == 0;
        if (is_later)
            continue;
        assert_ok(ts_bytes_format(&out, "%s\"%s\":", out.size ? "," : "{", ts_json_key(member)));
        assert_ok(ts_json_write(&out, member));
    }
    fprintf(file, "%s,\"check\":\"%016llx\"}\n", out.data, (unsigned long long)ts_hash(out.data, out.size, 0));
    ts_bytes_free(&out);
    ts_json_free(document);
}

static void make_old(const char *from, const char *to)
{
    size_t size;
    char *journal = read_file(from, &size);
    FILE *file = fopen(to, "w");
    assert_non_null(file);
    for (char *line = journal, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        put_old_line(file, line, (size_t)(end - line));
    fclose(file);
    free(journal);
}

static ts_generator_options older_options(ts_chat_options *chat, const char *journal)
{
    static char template[300];
    ts_generator_options options;
    assert_ok(ts_generator_options_init(&options, sizeof options));
    snprintf(template, sizeof template, "%s", put_file("template", "{verb} {noun} {adjective}", 25));
    *chat = options_of();
    chat->base_url = "http://127.0.0.1:1"; /* nobody is there */
    chat->attempts = 1;
    chat->journal = journal;
    options.author = TS_AUTHOR_CHAT;
    options.chat = chat;
    options.prompt = template;
    options.seed = 3;
    options.reject = TS_UNFIT_WORDS;
    return options;
}

/* Has stories 0 to count - 1 in a journal, of which every third lacks its words, without a service: by batch files. */
static void answer_by_file(const char *journal, uint64_t count)
{
    ts_generator *generator;
    ts_chat_options chat;
    ts_batch_report report = {.struct_size = sizeof report};
    ts_generator_options options = older_options(&chat, journal);
    char requests[300], results[300];
    size_t size;
    snprintf(requests, sizeof requests, "%s", in_work("requests.jsonl"));
    snprintf(results, sizeof results, "%s", in_work("results.jsonl"));
    assert_ok(ts_generator_new(&generator, runtime, &options));
    assert_ok(ts_generator_batch_write(generator, count, requests, &report));
    assert_int_equal(report.requests, count);
    char *lines = read_file(requests, &size), *line = lines;
    FILE *file = fopen(results, "w");
    assert_non_null(file);
    for (uint64_t i = 0; i < count; i++, line = strchr(line, '\n') + 1) {
        char prompt[100];
        assert_ok(ts_generator_prompt(generator, i, prompt, sizeof prompt, &size));
        fprintf(file, "{%.*s, \"response\": {\"status_code\": 200, \"body\": {\"model\": \"m-1\", \"system_fingerprint\": \"fp\", \"choices\": [{\"finish_reason\": "
                      "\"stop\", \"message\": {\"content\": \"Of %s.\"}}]}}}\n", (int)strcspn(line + 1, ","), line + 1, i % 3 == 2 ? "nothing" : prompt);
    }
    fclose(file);
    free(lines);
    assert_ok(ts_generator_batch_read(generator, count, results, &report));
    assert_int_equal(report.results, count);
    ts_generator_free(generator);
}

/* Stories that a journal yields, in order; each is as the newest library would have it, but for what nobody noted. */
static void assert_yields(const char *journal, uint64_t count, bool old)
{
    ts_generator *generator;
    ts_chat_options chat;
    ts_generator_options options = older_options(&chat, journal);
    ts_chat_report report = {.struct_size = sizeof report};
    assert_ok(ts_generator_new(&generator, runtime, &options));
    for (uint64_t index = 0; index < count; index++) {
        ts_story story = {.struct_size = sizeof story};
        char text[200];
        if (index % 3 == 2)
            continue; /* it lacks its words, which is found out anew */
        assert_ok(ts_generator_next(generator, &story));
        assert_int_equal(story.index, index);
        snprintf(text, sizeof text, "Of %s %s %s.", story.words[0], story.words[1], story.words[2]);
        assert_string_equal(story.story, text);
        assert_string_equal(story.source, "m");
        assert_int_equal(story.seed, 3);
        assert_true((strstr(story.provenance, "fp") != NULL) == !old);
    }
    assert_ok(ts_generator_chat_report(generator, &report));
    assert_int_equal(report.answered, count);
    assert_int_equal(report.damaged_lines, 0);
    ts_generator_free(generator);
}

static void journals_of_earlier_libraries(void **state)
{
    (void)state;
    enum { STORIES = 12 };
    char journal[300], old[300];
    uint64_t written = 0;
    fresh();
    snprintf(journal, sizeof journal, "%s", in_work("journal"));
    snprintf(old, sizeof old, "%s", in_work("old journal"));
    answer_by_file(journal, STORIES);
    assert_yields(journal, STORIES, false);
    make_old(journal, old);
    size_t size;
    char *text = read_file(old, &size);
    for (size_t i = 0; i + 1 < TS_COUNT_OF(later); i++) {
        char member[40];
        snprintf(member, sizeof member, "\"%s\":", later[i]);
        assert_null(strstr(text, member));
    }
    free(text);
    assert_yields(old, STORIES, true);
    assert_ok(ts_journal_export(runtime, old, in_work("exported.jsonl"), TS_UNFIT_WORDS, &written, NULL));
    assert_int_equal(written, STORIES); /* without the words nobody can say which lack them */
    unlink(journal);
    ts_chat_options chat;
    ts_generator_options options = older_options(&chat, journal);
    ts_generator *generator;
    assert_ok(ts_generator_new(&generator, runtime, &options));
    assert_ok(ts_generator_merge(generator, old, &written));
    assert_int_equal(written, STORIES);
    ts_generator_free(generator);
    assert_yields(journal, STORIES, true);
    unlink(old);
}

static void shards_share_nothing(void **state)
{
    (void)state;
    service *s = fresh();
    ts_chat_options options = options_of();
    ts_chat *chat = open_chat(s, &options);
    ts_chat_jobs jobs = {.first = 2, .count = 10, .step = 3, .prompt = service_prompt};
    assert_ok(ts_chat_run(chat, &jobs, NULL, NULL));
    for (uint64_t job = 0; job < 40; job++)
        assert_int_equal(paid->billed[job], job % 3 == 2 && job < 32);
    jobs = (ts_chat_jobs){.first = ((uint64_t)1 << 53) - 1, .count = 2, .step = 1, .prompt = service_prompt};
    assert_status(ts_chat_run(chat, &jobs, NULL, NULL), TS_ERROR_INVALID_ARGUMENT);
    ts_chat_close(chat);
}

/* ---- retries ---- */

static void fail_twice(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    const outcome *trouble = s->user;
    (void)job;
    if (attempt < 2)
        *out = *trouble;
}

static void what_may_pass_is_tried_again(void **state)
{
    (void)state;
    static const struct {
        outcome trouble;
        bool doubt;         /* the outcome before was unknown */
        double least, most; /* seconds until the third attempt */
    } cases[] = {
        {{.end = TS_HTTP_REPLIED, .code = 429, .body = "", .retry_after = -1}, false, 1.1, 1.6},
        {{.end = TS_HTTP_REPLIED, .code = 429, .body = "", .retry_after = 3}, false, 6, 6.7},
        {{.end = TS_HTTP_REPLIED, .code = 429, .body = "", .retry_after = 0}, false, 0.1, 0.3},
        {{.end = TS_HTTP_REPLIED, .code = 429, .body = "", .retry_after = 1e9}, false, 240, 265},
        {{.end = TS_HTTP_REPLIED, .code = 503, .body = "", .retry_after = -1}, false, 1.1, 1.6},
        {{.end = TS_HTTP_REPLIED, .code = 529, .body = "", .retry_after = -1}, false, 1.1, 1.6},
        {{.end = TS_HTTP_REPLIED, .code = 409, .body = "", .retry_after = -1}, false, 1.1, 1.6},
        {{.end = TS_HTTP_REPLIED, .code = 500, .body = "", .retry_after = -1}, true, 1.1, 1.6},
        {{.end = TS_HTTP_REPLIED, .code = 502, .body = "<html>", .retry_after = -1}, true, 1.1, 1.6},
        {{.end = TS_HTTP_REPLIED, .code = 504, .body = "", .retry_after = -1, .paid = true}, true, 1.1, 1.6},
        {{.end = TS_HTTP_UNSENT, .retry_after = -1}, false, 1.1, 1.6},
        {{.end = TS_HTTP_UNKNOWN, .retry_after = -1, .paid = true}, true, 1.1, 1.6},
        {{.end = TS_HTTP_REPLIED, .code = 200, .body = "{\"choices\":[]}", .retry_after = -1}, true, 1.1, 1.6},
        {{.end = TS_HTTP_REPLIED, .code = 200, .body = "{\"error\":\"busy\"}", .retry_after = -1, .unpaid = true}, true, 1.1, 1.6},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        service *s = fresh();
        ts_chat_options options = options_of();
        outcome trouble = cases[i].trouble;
        s->script = fail_twice;
        s->user = &trouble;
        ts_chat *chat = open_chat(s, &options);
        assert_ok(run(chat, 0, 1));
        assert_story(chat, 0);
        ts_chat_report report = report_of(chat);
        if (s->sent_at[2] - 1000 < cases[i].least || s->sent_at[2] - 1000 > cases[i].most)
            fail_msg("case %zu: the third attempt came after %g seconds", i, s->sent_at[2] - 1000);
        assert_int_equal(paid->requests, 3);
        assert_int_equal(report.requests, 3);
        assert_int_equal(report.retries, 2);
        assert_int_equal(report.possibly_paid_twice, cases[i].doubt);
        assert_int_equal(report.unknown, 0);
        assert_int_equal(paid->billed[0], 1); /* it honours the key */
        ts_chat_close(chat);
    }
}

static void always(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    (void)job, (void)attempt;
    *out = *(const outcome *)s->user;
}

static void what_stays_wrong_stops_the_run(void **state)
{
    (void)state;
    static const struct {
        outcome trouble;
        uint64_t most_requests;
        const char *detail;
    } cases[] = {
        {{.end = TS_HTTP_REPLIED, .code = 500, .body = "", .retry_after = -1}, 64, "given up after 8 attempts: HTTP 500"},
        {{.end = TS_HTTP_UNSENT, .retry_after = -1}, 64, "given up after 8 attempts: the connection broke"},
        {{.end = TS_HTTP_REPLIED, .code = 429, .body = "", .retry_after = -1}, 32 * 8, "given up after 32 attempts: HTTP 429"},
        {{.end = TS_HTTP_REPLIED, .code = 401, .body = "{\"error\":{\"code\":\"invalid_api_key\"}}", .retry_after = -1},
         8,
         "HTTP 401 invalid_api_key"},
        {{.end = TS_HTTP_REPLIED, .code = 403, .body = "", .retry_after = -1}, 8, "HTTP 403"},
        {{.end = TS_HTTP_REPLIED, .code = 404, .body = "", .retry_after = -1}, 8, "HTTP 404"},
        {{.end = TS_HTTP_REPLIED, .code = 302, .body = "", .retry_after = -1}, 8, "redirect, which is not followed"},
        {{.end = TS_HTTP_REPLIED, .code = 429, .body = "{\"error\":{\"code\":\"insufficient_quota\"}}", .retry_after = -1}, 8, "insufficient_quota"},
        {{.end = TS_HTTP_REFUSED, .retry_after = -1}, 8, "the connection broke"},
        {{.end = TS_HTTP_REPLIED, .code = 400, .body = "", .retry_after = -1}, 8, "takes none of the requests: HTTP 400"},
        {{.end = TS_HTTP_REPLIED, .code = 422, .body = "", .retry_after = -1}, 8, "takes none of the requests: HTTP 422"},
        {{.end = TS_HTTP_REPLIED, .code = 413, .body = "", .retry_after = -1}, 8, "takes none of the requests: HTTP 413"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        service *s = fresh();
        ts_chat_options options = options_of();
        outcome trouble = cases[i].trouble;
        s->script = always;
        s->user = &trouble;
        ts_chat *chat = open_chat(s, &options);
        assert_status(run(chat, 0, 1000), TS_ERROR_NETWORK);
        assert_detail(cases[i].detail);
        assert_detail("request ");
        if (paid->requests > cases[i].most_requests)
            fail_msg("case %zu: %llu requests", i, (unsigned long long)paid->requests);
        assert_int_equal(service_billed(paid), 0);
        assert_int_equal(s->in_flight, 0);
        s->script = NULL; /* and once it is mended the run goes on */
        assert_ok(run(chat, 0, 100));
        assert_stories(chat, 0, 100);
        assert_int_equal(service_billed(paid), 100);
        ts_chat_close(chat);
    }
}

/* A journal of few stories ends too if none of them is taken. */
static void too_few_to_be_sure(void **state)
{
    (void)state;
    service *s = fresh();
    ts_chat_options options = options_of();
    outcome wrong = {.end = TS_HTTP_REPLIED, .code = 400, .body = "", .retry_after = -1};
    s->script = always;
    s->user = &wrong;
    for (uint32_t in_flight = 1; in_flight <= 4; in_flight += 3) {
        options.in_flight = in_flight;
        ts_chat *chat = open_chat(s, &options);
        assert_status(run(chat, 0, 3), TS_ERROR_NETWORK);
        assert_detail("takes none of the requests: HTTP 400");
        assert_int_equal(report_of(chat).filtered + report_of(chat).unknown, 0);
        ts_chat_close(chat);
    }
}

static void every_other_one(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    (void)attempt;
    if (job % 2)
        *out = *(const outcome *)s->user;
}

/* Many that are not taken, but never many in a row. */
static void some_are_not_taken(void **state)
{
    (void)state;
    service *s = fresh();
    ts_chat_options options = options_of();
    outcome wrong = {.end = TS_HTTP_REPLIED, .code = 400, .body = "", .retry_after = -1};
    s->script = every_other_one;
    s->user = &wrong;
    options.in_flight = 1;
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, 40));
    assert_int_equal(report_of(chat).filtered, 20);
    assert_int_equal(report_of(chat).answered, 20);
    assert_int_equal(paid->requests, 40);
    ts_chat_close(chat);
}

static void one_story_that_cannot_be_had(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    (void)attempt;
    out->delay = 0.1; /* the others come later */
    if (job == 3)
        *out = *(const outcome *)s->user;
}

/* Paid or not, it is kept, told apart, and not asked for again. */
static void stories_that_cannot_be_used(void **state)
{
    (void)state;
#define FINISHED(finish)                                                                                                                             \
    "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"cut of\"},\"finish_reason\":\"" finish                                                    \
    "\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}"
    static const struct {
        outcome trouble;
        size_t field;
        uint32_t attempts;
        uint64_t estimated;
    } cases[] = {
        {{.end = TS_HTTP_REPLIED, .code = 200, .body = FINISHED("length"), .retry_after = -1}, offsetof(ts_chat_report, cut), 1, 0},
        {{.end = TS_HTTP_REPLIED, .code = 200, .body = FINISHED("content_filter"), .retry_after = -1}, offsetof(ts_chat_report, filtered), 1, 0},
        {{.end = TS_HTTP_REPLIED, .code = 400, .body = "{\"error\":{\"code\":\"content_filter\"}}", .retry_after = -1},
         offsetof(ts_chat_report, filtered),
         1,
         0},
        {{.end = TS_HTTP_REPLIED, .code = 400, .body = "", .retry_after = -1},
         offsetof(ts_chat_report, filtered),
         2,
         0}, /* once it is known that others pass */
        {{.end = TS_HTTP_REPLIED, .code = 200, .body = FINISHED("tool_calls"), .retry_after = -1}, offsetof(ts_chat_report, invalid), 3, 0},
        {{.end = TS_HTTP_REPLIED, .code = 200, .body = "{}", .retry_after = -1}, offsetof(ts_chat_report, invalid), 3, 3 * (12 / 4 + 8)},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        service *s = fresh();
        ts_chat_options options = options_of();
        outcome trouble = cases[i].trouble;
        uint64_t count;
        s->script = one_story_that_cannot_be_had;
        s->user = &trouble;
        ts_chat *chat = open_chat(s, &options);
        for (int pass = 0; pass < 3; pass++) {
            assert_ok(run(chat, 0, 10));
            ts_chat_report report = report_of(chat);
            memcpy(&count, (char *)&report + cases[i].field, sizeof count);
            assert_int_equal(count, 1);
            assert_int_equal(report.answered, 9);
            assert_int_equal(report.estimated_tokens, cases[i].estimated);
            assert_int_equal(report.unknown + report.reserved_tokens, 0);
            assert_int_equal(ts_chat_answer_of(chat, 3), i == 0 ? TS_CHAT_CUT : TS_CHAT_UNUSABLE);
            assert_int_equal(paid->attempts[3], cases[i].attempts);
            if (pass == 1) { /* as much is read from the file */
                ts_chat_close(chat);
                chat = open_chat(s, &options);
            }
        }
        ts_chat_close(chat);
    }
}

/* ---- limits ---- */

static void limited_service(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    double *level = s->user; /* a bucket of 60 requests, one more a second */
    static double at;
    (void)job, (void)attempt;
    if (s->ledger->requests == 0)
        at = s->clock;
    *level = fmin(60, *level + (s->clock - at));
    at = s->clock;
    out->delay = 0.2;
    out->limited = true;
    out->limits = (ts_http_limits){-1, -1, 60, -1, fmax(floor(*level - 1), 0), -1, 61 - *level, -1};
    if (*level < 1) {
        out->code = 429;
        out->body = "";
    } else {
        *level -= 1;
    }
}

static void headers_set_the_pace(void **state)
{
    (void)state;
    service *s = fresh();
    ts_chat_options options = options_of();
    double level = 60;
    s->script = limited_service;
    s->user = &level;
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, 180));
    ts_chat_report report = report_of(chat);
    if (s->clock - 1000 > 140) /* 120 s are the least that 180 of one a second take after the first 60 */
        fail_msg("180 requests took %g seconds", s->clock - 1000);
    if (report.retries > 9)
        fail_msg("%llu retries", (unsigned long long)report.retries);
    ts_chat_close(chat);
}

static void what_a_429_does(void **state)
{
    (void)state;
    ts_limits limits;
    ts_http_limits none, said;
    ts_http_limits_init(&none);
    ts_limits_init(&limits, 0, 0, 16, 100);
    assert_true(ts_limits_wait(&limits, 100, 50, 15) == 0);
    assert_true(isinf(ts_limits_wait(&limits, 100, 50, 16)));
    ts_limits_limited(&limits, 100, 5);
    assert_true(ts_limits_wait(&limits, 100, 50, 0) == 5); /* all wait */
    assert_true(ts_limits_wait(&limits, 105, 50, 7) == 0);
    assert_true(isinf(ts_limits_wait(&limits, 105, 50, 8))); /* half as many at a time */
    ts_limits_limited(&limits, 100.5, 1);                    /* of the same moment */
    assert_true(ts_limits_wait(&limits, 105, 50, 7) == 0);
    for (int i = 0; i < 200; i++)
        ts_limits_replied(&limits, 106, &none, 0, 0);
    assert_true(ts_limits_wait(&limits, 106, 50, 15) == 0); /* and with every reply a little more */
    said = none;
    said.limit_requests = 60;
    said.remaining_requests = 40;
    said.reset_requests = 20;
    ts_limits_replied(&limits, 106, &said, 0, 0);
    assert_true(ts_limits_wait(&limits, 106, 50, 0) == 0);
    said.remaining_requests = 0; /* others have used it up */
    said.reset_requests = 60;
    ts_limits_replied(&limits, 106, &said, 0, 0);
    assert_true(fabs(ts_limits_wait(&limits, 106, 50, 0) - 1) < 1e-9);
    assert_true(ts_limits_wait(&limits, 107, 50, 0) == 0);
}

/* Half of all requests fail at once, thousands of times: of those over any ten seconds a fifth may be retries, and ten a second besides. */
static void fails_first(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    (void)s, (void)job;
    out->delay = 0.01;
    if (attempt == 0)
        *out = (outcome){.delay = 0.01, .end = TS_HTTP_REPLIED, .code = 503, .body = "", .retry_after = 0};
}

static void retries_have_a_budget(void **state)
{
    (void)state;
    enum { JOBS = 1500 };
    ts_limits limits;
    ts_limits_init(&limits, 0, 0, 16, 100);
    for (int i = 0; i < 100; i++) {
        assert_true(ts_limits_wait_again(&limits, 100) == 0);
        ts_limits_sent(&limits, 100, 1, true);
    }
    assert_true(fabs(ts_limits_wait_again(&limits, 100) - 0.1) < 1e-9); /* ten a second */
    for (int i = 0; i < 4; i++)
        ts_limits_sent(&limits, 100, 1, false);
    assert_true(ts_limits_wait_again(&limits, 100) == 0); /* one for four others */
    ts_limits_sent(&limits, 100, 1, true);
    assert_true(ts_limits_wait_again(&limits, 100) > 0);
    assert_true(ts_limits_wait_again(&limits, 101) == 0);

    service *s = fresh();
    ts_chat_options options = options_of();
    options.in_flight = SERVICE_SLOTS;
    s->script = fails_first;
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, JOBS));
    assert_stories(chat, 0, JOBS);
    assert_int_equal(paid->requests, 2 * JOBS);
    double seconds = s->clock - 1000;
    if (seconds < (JOBS - 100 - JOBS / 4.0) / 10 || seconds > (JOBS - 100 - JOBS / 4.0) / 10 * 1.3)
        fail_msg("%d retries besides %d requests took %.1f seconds", JOBS, JOBS, seconds);
    ts_chat_close(chat);
}

static void options_set_the_pace(void **state)
{
    (void)state;
    service *s = fresh();
    ts_chat_options options = options_of();
    options.requests_per_minute = 30;
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, 60));
    assert_true(s->sent_at[59] - 1000 > 59 && s->sent_at[59] - 1000 < 62);
    ts_chat_close(chat);
    s = fresh();
    options.requests_per_minute = 0;
    options.tokens_per_minute = 10470; /* ten of 7 + 16 + 1024 each */
    chat = open_chat(s, &options);
    assert_ok(run(chat, 0, 20));
    assert_true(s->sent_at[19] - 1000 > 58 && s->sent_at[19] - 1000 < 63);
    ts_chat_close(chat);
}

static void delays(void **state)
{
    (void)state;
    double before = 0;
    for (uint32_t attempt = 1; attempt < 40; attempt++) {
        double delay = ts_retry_delay(1, 2, attempt, -1), full = fmin(0.5 * pow(2, attempt - 1), 60);
        assert_true(delay <= full && delay >= 0.75 * full);
        assert_true(delay != before);
        before = delay;
        assert_true(ts_retry_delay(1, 2, attempt, -1) == delay);
        assert_true(ts_retry_delay(1, 2, attempt, 1e9) >= 120 && ts_retry_delay(1, 2, attempt, 1e9) <= 132);
    }
    assert_true(ts_retry_delay(1, 2, 1, -1) != ts_retry_delay(1, 3, 1, -1));
}

/* ---- bounds ---- */

/* As slow, and whenever something is sent nothing could pass a bound, even if all that is in flight took as much as it may: 10 and 50 tokens. */
static void slow_and_within(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    const ts_chat_options *options = s->user;
    uint64_t flying = s->in_flight + 1, done = s->ledger->requests - s->in_flight;
    (void)attempt;
    out->delay = 0.5 + 0.1 * (double)(job % 7);
    assert_true(options->max_requests == 0 || done + flying <= options->max_requests);
    assert_true(options->max_tokens == 0 || 30 * done + 60 * flying <= options->max_tokens);
    assert_true(options->max_money == 0 || 50e-6 * (double)done + 110e-6 * (double)flying <= options->max_money);
    assert_true(options->max_seconds == 0 || s->clock - 1000 < options->max_seconds);
}

static void slow(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    (void)s, (void)attempt;
    out->delay = 0.5 + 0.1 * (double)(job % 7);
}

static void bounds_are_never_passed(void **state)
{
    (void)state;
    static const char prices[] = "{\"other\": {}, \"m\": {\"prompt\": 1, \"completion\": 2}}";
    for (int which = 0; which < 4; which++) {
        service *s = fresh();
        ts_chat_options options = options_of();
        s->script = slow_and_within;
        s->user = &options;
        options.prices = put_file("prices.json", prices, sizeof prices - 1);
        options.reply_tokens = 50;
        options.max_requests = which == 0 ? 37 : 0;
        options.max_tokens = which == 1 ? 1000 : 0;  /* a request may need 73, and uses 30 */
        options.max_money = which == 2 ? 0.0017 : 0; /* it may cost 123e-6, and costs 50e-6 */
        options.max_seconds = which == 3 ? 5 : 0;
        ts_chat *chat = open_chat(s, &options);
        assert_status(run(chat, 0, 1000), TS_ERROR_LIMIT);
        assert_detail(which == 0 ? "max_requests" : which == 1 ? "max_tokens" : which == 2 ? "max_money" : "max_seconds");
        ts_chat_report report = report_of(chat);
        uint64_t tokens = report.prompt_tokens + report.completion_tokens;
        assert_int_equal(report.unknown + report.reserved_tokens, 0); /* what was in flight was waited for */
        assert_int_equal(service_billed(paid), report.answered);
        assert_int_equal(report.answered, paid->requests);
        assert_int_equal(paid->most_in_flight, 8); /* all of them were allowed for */
        assert_true(fabs(report.money - 50e-6 * (double)report.answered) < 1e-12);
        if (which == 0)
            assert_int_equal(paid->requests, 37);
        if (which == 1)
            assert_true(tokens <= 1000 && tokens > 1000 - 73);
        if (which == 2)
            assert_true(report.money <= 0.0017 && report.money > 0.0017 - 123e-6);
        if (which == 3)
            assert_true(s->clock - 1000 >= 5 && s->clock - 1000 < 6.2 && s->sent_at[paid->requests - 1] < 1005);
        ts_chat_close(chat);
        s->script = slow;
        chat = open_chat(s, &options); /* the bound is the journal's, not the process's */
        ts_status status = run(chat, 0, 1000);
        assert_int_equal(status, TS_ERROR_LIMIT);
        if (which < 3)
            assert_int_equal(report_of(chat).requests, report.requests);
        ts_chat_close(chat);
    }
}

/* What failed attempts may have cost is told apart, and is no more than the reply that came in the end; it counts for the bounds. */
static void doubtful_attempts_are_told_apart(void **state)
{
    (void)state;
    static const char prices[] = "{\"m\": {\"prompt\": 1, \"completion\": 2}}";
    outcome trouble = {.end = TS_HTTP_REPLIED, .code = 500, .body = "", .retry_after = 0};
    service *s = fresh();
    ts_chat_options options = options_of();
    s->script = fail_twice;
    s->user = &trouble;
    options.prices = put_file("prices.json", prices, sizeof prices - 1);
    ts_chat *chat = open_chat(s, &options);
    for (int pass = 0; pass < 2; pass++) {
        assert_ok(run(chat, 0, 10));
        ts_chat_report report = report_of(chat);
        assert_int_equal(report.requests, 30);
        assert_true(fabs(report.money - 10 * 50e-6) < 1e-12);
        assert_true(report.reserved_money == 0 && report.reserved_tokens == 0);
        assert_int_equal(report.doubtful_tokens, 20 * 30);
        assert_true(fabs(report.doubtful_money - 20 * 50e-6) < 1e-12);
        ts_chat_close(chat); /* and the file says the same */
        options.max_tokens = pass == 0 ? 10 * 30 + 20 * 30 + 1045 : 10 * 30 + 20 * 30 + 1046; /* the next may need 6 + 16 + 1024 */
        chat = open_chat(s, &options);
        s->script = NULL;
        assert_status(run(chat, 0, 11), pass == 0 ? TS_ERROR_LIMIT : TS_OK);
        ts_chat_close(chat);
        options.max_tokens = 0;
        chat = open_chat(s, &options);
    }
    ts_chat_close(chat);
    s = fresh(); /* while nothing came all that was sent is reserved */
    s->script = always;
    s->user = &trouble;
    options.attempts = 3;
    chat = open_chat(s, &options);
    assert_status(run(chat, 0, 1), TS_ERROR_NETWORK);
    ts_chat_report report = report_of(chat);
    assert_int_equal(report.reserved_tokens, 3 * 1046);
    assert_true(report.doubtful_tokens == 0 && report.money == report.reserved_money && report.money > 0);
    ts_chat_close(chat);
}

static void estimates_cost_nothing(void **state)
{
    (void)state;
    static const char prices[] = "{\"m\": {\"prompt\": 1, \"completion\": 2}}";
    service *s = fresh();
    ts_chat_options options = options_of();
    options.prices = put_file("prices.json", prices, sizeof prices - 1);
    options.reply_tokens = 50;
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, 3));
    ts_chat_report report;
    ts_chat_jobs jobs = {.first = 0, .count = 10, .step = 1, .prompt = service_prompt};
    assert_ok(ts_chat_estimate(chat, &jobs, &report));
    assert_int_equal(paid->requests, 3);
    assert_int_equal(report.requests, 7);
    assert_int_equal(report.completion_tokens, 350);
    assert_int_equal(report.prompt_tokens, 7 * (12 / 4 + 8));
    assert_true(fabs(report.money - (77e-6 + 700e-6)) < 1e-12);
    ts_chat_close(chat);
}

static void prices_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ts_status status;
        const char *detail;
    } cases[] = {
        {"{\"x\": {}}", TS_ERROR_INVALID_ARGUMENT, "no price of the model \"m\""},
        {"{", TS_ERROR_FORMAT, "not JSON"},
        {"{\"m\": {\"prompt\": 1}}", TS_ERROR_FORMAT, "\"m\".\"completion\""},
        {"{\"m\": {\"prompt\": -1, \"completion\": 1}}", TS_ERROR_FORMAT, "\"prompt\""},
        {"{\"m\": {\"prompt\": \"1\", \"completion\": 1}}", TS_ERROR_FORMAT, "\"prompt\""},
    };
    ts_chat *chat;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        service *s = fresh();
        ts_chat_options options = options_of();
        ts_transport transport = service_transport(s);
        options.prices = put_file("prices.json", cases[i].text, strlen(cases[i].text));
        assert_status(ts_chat_open_on(&chat, runtime, &options, TS_CHAT_CONVERSATION, 7, &transport), cases[i].status);
        assert_detail(cases[i].detail);
    }
    service *s = fresh();
    ts_chat_options options = options_of();
    ts_transport transport = service_transport(s);
    options.max_money = 1;
    assert_status(ts_chat_open_on(&chat, runtime, &options, TS_CHAT_CONVERSATION, 7, &transport), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("price file");
    options.prices = in_work("no prices.json");
    assert_status(ts_chat_open_on(&chat, runtime, &options, TS_CHAT_CONVERSATION, 7, &transport), TS_ERROR_IO);
    assert_detail("no prices.json");
    assert_int_equal(paid->requests, 0);
}

/* ---- stopping ---- */

typedef struct stopper {
    uint64_t at;
    int32_t answer;
    uint64_t last;
} stopper;

static int32_t stop_at(void *user, uint64_t done, uint64_t total)
{
    stopper *s = user;
    assert_true(done <= total && done >= s->last);
    s->last = done;
    return done >= s->at ? s->answer : 0;
}

static void cancelled_once_and_twice(void **state)
{
    (void)state;
    for (int32_t answer = 1; answer <= 2; answer++) {
        service *s = fresh();
        ts_chat_options options = options_of();
        stopper stop = {.at = 20, .answer = answer};
        s->script = slow;
        s->honours = answer == 1;
        ts_chat *chat = open_chat(s, &options);
        ts_chat_jobs jobs = {.first = 0, .count = 100, .step = 1, .prompt = service_prompt};
        assert_status(ts_chat_run(chat, &jobs, stop_at, &stop), TS_ERROR_CANCELLED);
        ts_chat_report report = report_of(chat);
        assert_int_equal(report.unknown, answer == 1 ? 0 : paid->requests - report.answered);
        assert_true(answer == 1 ? report.answered == paid->requests : report.unknown > 0);
        ts_chat_close(chat);
        chat = open_chat(s, &options);
        assert_ok(run(chat, 0, 100));
        assert_stories(chat, 0, 100);
        uint64_t excess = service_billed(paid) - 100;
        assert_int_equal(excess, report.unknown);
        assert_int_equal(report_of(chat).possibly_paid_twice, excess);
        ts_chat_close(chat);
    }
}

static void a_long_time(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    (void)s, (void)job, (void)attempt;
    out->delay = 500;
}

static int32_t stop_at_fifth(void *user, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    return ++*(int *)user >= 5 ? 2 : 0;
}

/* Progress is called while nothing comes, so that a wait can be ended. */
static void waits_can_be_ended(void **state)
{
    (void)state;
    service *s = fresh();
    ts_chat_options options = options_of();
    int calls = 0;
    s->script = a_long_time;
    ts_chat *chat = open_chat(s, &options);
    ts_chat_jobs jobs = {.first = 0, .count = 3, .step = 1, .prompt = service_prompt};
    assert_status(ts_chat_run(chat, &jobs, stop_at_fifth, &calls), TS_ERROR_CANCELLED);
    assert_true(s->clock < 1010);
    assert_int_equal(report_of(chat).unknown, 3);
    ts_chat_close(chat);
}

/* ---- the disk ---- */

typedef struct full_disk {
    ts_io io;
    service *service;
    double until;    /* writes fail before */
    uint64_t begins; /* after so many requests */
    uint64_t sent;   /* requests when the first call failed */
    int error;
    bool began, sync, failed;
} full_disk;

static bool is_full(full_disk *disk)
{
    if (!disk->began && disk->service->ledger->requests >= disk->begins) {
        disk->began = true;
        disk->until += disk->service->clock;
    }
    return disk->began && disk->service->clock < disk->until;
}

static void note_failure(full_disk *disk)
{
    if (!disk->failed)
        disk->sent = disk->service->ledger->requests;
    disk->failed = true;
    assert_int_equal(disk->service->ledger->requests, disk->sent); /* not one is sent meanwhile */
    errno = disk->error;
}

static int64_t write_or_fail(void *user, int file, const void *buffer, size_t size)
{
    full_disk *disk = user;
    if (disk->sync || !is_full(disk))
        return ts_io_system.write(NULL, file, buffer, size);
    note_failure(disk);
    if (size > 10 && disk->service->clock < disk->until - 1)
        return ts_io_system.write(NULL, file, buffer, 7); /* the last bytes that fit */
    return -1;
}

static int sync_or_fail(void *user, int file)
{
    full_disk *disk = user;
    (void)file;
    if (!disk->sync || !is_full(disk))
        return 0;
    note_failure(disk);
    return -1;
}

/* While the disk is full nothing is sent; when it is not any more, the run goes on as if nothing had been. */
static void full_disks_stop_the_spending(void **state)
{
    (void)state;
    static const struct {
        double lasts;
        bool sync;
        int error;
    } cases[] = {{10, false, ENOSPC}, {10, false, EIO}, {1e9, false, ENOSPC}, {1e9, false, EIO}, {1e9, true, ENOSPC}, {1e9, true, EIO}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        service *s = fresh();
        ts_chat_options options = options_of();
        full_disk disk = {.io = quick, .service = s, .until = cases[i].lasts, .begins = 30, .sync = cases[i].sync, .error = cases[i].error};
        disk.io.user = &disk;
        disk.io.write = write_or_fail;
        disk.io.sync = sync_or_fail;
        s->script = slow;
        ts_runtime_set_io(runtime, &disk.io);
        ts_chat *chat = open_chat(s, &options);
        ts_status status = run(chat, 0, 100);
        if (cases[i].lasts < 30) {
            assert_int_equal(status, TS_OK);
        } else {
            assert_status(status, TS_ERROR_IO);
            assert_detail("journal");
            assert_detail(strerror(cases[i].error));
            assert_int_equal(paid->requests, disk.sent); /* not one after that */
            disk.until = 0;
            if (cases[i].sync)
                assert_status(run(chat, 0, 100), TS_ERROR_IO); /* what could not be synced cannot be trusted */
            else
                assert_int_equal(report_of(chat).unknown, 0); /* what was not sent is not in doubt */
        }
        if (cases[i].sync) { /* the file is opened anew */
            ts_chat_close(chat);
            chat = open_chat(s, &options);
        }
        assert_ok(run(chat, 0, 100));
        assert_stories(chat, 0, 100);
        assert_int_equal(service_billed(paid), 100);
        if (!cases[i].sync) { /* replies were kept in memory meanwhile */
            assert_int_equal(paid->requests, 100);
            assert_int_equal(report_of(chat).possibly_paid_twice, 0);
        }
        ts_chat_close(chat);
        ts_runtime_set_io(runtime, &quick);
        chat = open_chat(s, &options);
        assert_ok(run(chat, 0, 100));
        assert_int_equal(service_billed(paid), 100);
        assert_int_equal(report_of(chat).damaged_lines, 0);
        ts_chat_close(chat);
    }
}

/* ---- kills ---- */

static void wavering(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    uint64_t dice = ts_random_at(5, job, attempt);
    (void)s;
    out->delay = 0.01 * (double)(dice % 13);
    if (dice % 5 == 0)
        *out = (outcome){.end = TS_HTTP_REPLIED, .code = 429, .body = "", .retry_after = -1};
    if (dice % 5 == 1)
        *out = (outcome){.end = TS_HTTP_UNKNOWN, .retry_after = -1, .paid = dice % 2};
}

static ts_status run_in(ts_runtime *own, service *s, uint64_t count)
{
    ts_chat *chat;
    ts_chat_options options = options_of();
    ts_transport transport = service_transport(s);
    ts_status status = ts_chat_open_on(&chat, own, &options, TS_CHAT_CONVERSATION, 7, &transport);
    if (status != TS_OK)
        return status;
    ts_chat_jobs jobs = {.first = 0, .count = count, .step = 1, .prompt = service_prompt};
    status = ts_chat_run(chat, &jobs, NULL, NULL);
    ts_chat_close(chat);
    return status;
}

/* A child runs until it is killed at its k-th call of those that change the file, the bytes of a write going out in part; then the next goes on. */
static uint64_t run_killed(service *s, long countdown, uint64_t count, uint64_t *in_flight)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        faulty f;
        faulty_init(&f, FAULT_KILL, ON_WRITE | ON_SYNC, countdown);
        ts_runtime_set_io(runtime, &f.io);
        _exit(run_in(runtime, s, count) == TS_OK ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    *in_flight += 8;
    return WIFSIGNALED(status);
}

static void killed_at_every_call(void **state)
{
    (void)state;
    enum { STORIES = 24 };
    uint64_t kills = 0;
    for (int honours = 0; honours < 2; honours++) {
        bool killed = true;
        for (long k = 1; killed; k++) {
            uint64_t excess = 0;
            service *s = fresh();
            s->honours = honours;
            s->script = wavering;
            killed = run_killed(s, k, STORIES, &excess);
            kills += killed;
            killed = killed | (run_killed(s, k + 1, STORIES, &excess) && killed);
            ts_chat_options options = options_of();
            ts_chat *chat = open_chat(s, &options);
            assert_ok(run(chat, 0, STORIES));
            assert_stories(chat, 0, STORIES); /* none lost */
            ts_chat_report report = report_of(chat);
            uint64_t billed = service_billed(paid);
            assert_int_equal(report.answered, STORIES);
            assert_true(billed == STORIES || !honours);
            for (uint64_t job = 0; job < STORIES; job++) /* whatever was billed twice is among those that are told */
                if (paid->billed[job] > 1 && !ts_journal_job(&chat->journal, job).doubled)
                    fail_msg("kill %ld: story %llu was billed %u times, unseen", k, (unsigned long long)job, paid->billed[job]);
            uint64_t requests = paid->requests;
            assert_ok(run(chat, 0, STORIES)); /* nothing twice */
            assert_int_equal(paid->requests, requests);
            ts_chat_close(chat);
        }
    }
    assert_true(kills > 60);
    count_cases(kills);
}

/* ---- damaged journals ---- */

static char *the_journal(size_t *size)
{
    return read_file(in_work("journal"), size);
}

/* Cut anywhere: what has a whole result is not asked for again, the rest is. */
static void cut_at_every_byte(void **state)
{
    (void)state;
    enum { STORIES = 6 };
    size_t size;
    service *s = fresh();
    ts_chat_options options = options_of();
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, STORIES));
    ts_chat_close(chat);
    char *journal = the_journal(&size);
    for (size_t cut = 0; cut <= size; cut++) {
        s = fresh();
        write_file(in_work("journal"), journal, cut);
        chat = open_chat(s, &options);
        uint64_t had = report_of(chat).answered, results = 0;
        for (const char *at = journal; (at = memmem(at, (size_t)(journal + cut - at), "\"event\":\"result\"", 16)) != NULL; at++)
            results += memchr(at, '\n', (size_t)(journal + cut - at)) != NULL || (memchr(at, '\n', size) == journal + cut);
        assert_int_equal(had, results);
        assert_ok(run(chat, 0, STORIES));
        assert_stories(chat, 0, STORIES);
        assert_int_equal(paid->requests, STORIES - had);
        ts_chat_close(chat);
        chat = open_chat(s, &options); /* and after it was mended */
        assert_int_equal(report_of(chat).answered, STORIES);
        assert_stories(chat, 0, STORIES);
        ts_chat_close(chat);
    }
    free(journal);
    count_cases(size + 1);
}

/* Any byte flipped: the line is passed over and counted, all others count. */
static void flipped_at_every_byte(void **state)
{
    (void)state;
    enum { STORIES = 4 };
    size_t size;
    service *s = fresh();
    ts_chat_options options = options_of();
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, STORIES));
    ts_chat_close(chat);
    char *journal = the_journal(&size), *header = memchr(journal, '\n', size);
    for (size_t at = 0; at < size; at++) {
        s = fresh();
        journal[at] ^= 1 << at % 8;
        write_file(in_work("journal"), journal, size);
        journal[at] ^= 1 << at % 8;
        if (at <= (size_t)(header - journal)) { /* without its header it is no journal, and is not touched */
            ts_transport transport = service_transport(s);
            ts_status status = ts_chat_open_on(&chat, runtime, &options, TS_CHAT_CONVERSATION, 7, &transport);
            assert_int_equal(status, TS_ERROR_FORMAT);
            continue;
        }
        chat = open_chat(s, &options);
        assert_true(report_of(chat).damaged_lines >= 1);
        assert_true(report_of(chat).answered >= STORIES - 1);
        assert_ok(run(chat, 0, STORIES));
        assert_stories(chat, 0, STORIES);
        assert_true(paid->requests <= 1);
        ts_chat_close(chat);
    }
    free(journal);
    count_cases(size);
}

/* Lines that are there twice, as after a copy that was joined wrongly, count once. */
static void lines_that_are_there_twice(void **state)
{
    (void)state;
    size_t size;
    service *s = fresh();
    ts_chat_options options = options_of();
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, 5));
    ts_chat_report before = report_of(chat);
    ts_chat_close(chat);
    char *journal = the_journal(&size), *events = memchr(journal, '\n', size) + 1, *twice = malloc(2 * size);
    size_t again = size - (size_t)(events - journal);
    memcpy(twice, journal, size);
    memcpy(twice + size, events, again);
    write_file(in_work("journal"), twice, size + again);
    free(journal);
    free(twice);
    chat = open_chat(s, &options);
    ts_chat_report after = report_of(chat);
    assert_memory_equal(&before, &after, sizeof before);
    assert_stories(chat, 0, 5);
    ts_chat_close(chat);
}

static void journals_of_others(void **state)
{
    (void)state;
    service *s = fresh();
    ts_chat_options options = options_of();
    ts_chat *chat = open_chat(s, &options), *second;
    ts_transport transport = service_transport(s);
    assert_status(ts_chat_open_on(&second, runtime, &options, TS_CHAT_CONVERSATION, 7, &transport), TS_ERROR_BUSY);
    assert_detail("journal");
    ts_chat_close(chat);
    assert_status(ts_chat_open_on(&second, runtime, &options, TS_CHAT_CONVERSATION, 8, &transport), TS_ERROR_MISMATCH);
    options.temperature = 0.5;
    assert_status(ts_chat_open_on(&second, runtime, &options, TS_CHAT_CONVERSATION, 7, &transport), TS_ERROR_MISMATCH);
    options = options_of();
    options.in_flight = 3; /* this changes no request */
    chat = open_chat(s, &options);
    ts_chat_close(chat);
    static const char *const none[] = {"a story\n", "{}\n", "{\"a\":1}\n{\"b\":2}\n", "\n\n\nx\n"};
    for (size_t i = 0; i < TS_COUNT_OF(none); i++) {
        size_t size;
        put_file("journal", none[i], strlen(none[i]));
        assert_status(ts_chat_open_on(&second, runtime, &options, TS_CHAT_CONVERSATION, 7, &transport), TS_ERROR_FORMAT);
        char *kept = the_journal(&size);
        assert_string_equal(kept, none[i]);
        free(kept);
    }
    char line[200], start[] = "{\"tinystories_journal\":2,\"run\":\"00000000000000000000000000000000\",\"configuration\":\"0\"";
    snprintf(line, sizeof line, "%s,\"check\":\"%016llx\"}\n", start, (unsigned long long)ts_hash(start, strlen(start), 0));
    put_file("journal", line, strlen(line));
    assert_status(ts_chat_open_on(&second, runtime, &options, TS_CHAT_CONVERSATION, 7, &transport), TS_ERROR_VERSION);
    assert_detail("form 2");
}

/* A continuation is kept to the byte and may be empty; its journal is no conversation's, nor the other way round, and says so whoever reads it. */
static void continued(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    static char body[200];
    static const char *const texts[] = {"", " \\n and so on. \\n\\n", "\\n", "derstorm"};
    (void)s, (void)attempt;
    snprintf(body, sizeof body, "{\"choices\":[{\"index\":0,\"text\":\"%s\",\"finish_reason\":\"%s\"}]}", texts[job % 4], job < 4 ? "stop" : "length");
    out->body = body;
}

static void continuations_are_kept_to_the_byte(void **state)
{
    (void)state;
    static const char *const texts[] = {"", " \n and so on. \n\n", "\n", "derstorm"};
    service *s = fresh();
    ts_chat_options options = options_of();
    ts_chat *chat, *other;
    ts_transport transport = service_transport(s);
    ts_bytes text = {.runtime = runtime};
    s->script = continued;
    assert_ok(ts_chat_open_on(&chat, runtime, &options, TS_CHAT_CONTINUATION, 7, &transport));
    assert_ok(run(chat, 0, 8));
    for (int read_alone = 0; read_alone < 2; read_alone++) {
        for (uint64_t job = 0; job < 8; job++) {
            text.size = 0;
            assert_int_equal(ts_chat_answer_of(chat, job), job < 4 ? TS_CHAT_TEXT : TS_CHAT_CUT);
            assert_ok(ts_chat_text(chat, job, &text));
            assert_int_equal(text.size, strlen(texts[job % 4]));
            assert_memory_equal(text.size ? text.data : "", texts[job % 4], text.size);
        }
        ts_chat_close(chat);
        assert_ok(ts_chat_open_to_read(&chat, runtime, in_work("journal")));
    }
    ts_chat_close(chat);
    ts_bytes_free(&text);
    assert_status(ts_chat_open_on(&other, runtime, &options, TS_CHAT_CONVERSATION, 7, &transport), TS_ERROR_MISMATCH);
    assert_detail("went to \"completions\", these go to \"chat/completions\"");
    assert_ok(ts_chat_open_on(&chat, runtime, &options, TS_CHAT_CONTINUATION, 7, &transport));
    assert_ok(run(chat, 0, 8)); /* which asks for nothing */
    assert_int_equal(paid->requests, 8);
    ts_chat_close(chat);
    assert_true(ts_chat_options_fingerprint(&options, TS_CHAT_CONVERSATION, 7) != ts_chat_options_fingerprint(&options, TS_CHAT_CONTINUATION, 7));
    fresh();
    chat = open_chat(s, &options);
    ts_chat_close(chat);
    assert_status(ts_chat_open_on(&other, runtime, &options, TS_CHAT_CONTINUATION, 7, &transport), TS_ERROR_MISMATCH);
    assert_detail("went to \"chat/completions\", these go to \"completions\"");
    char line[200], start[] = "{\"tinystories_journal\":1,\"run\":\"00000000000000000000000000000000\",\"configuration\":\"0\",\"endpoint\":\"responses\"";
    snprintf(line, sizeof line, "%s,\"check\":\"%016llx\"}\n", start, (unsigned long long)ts_hash(start, strlen(start), 0));
    put_file("journal", line, strlen(line));
    assert_status(ts_chat_open_to_read(&other, runtime, in_work("journal")), TS_ERROR_VERSION);
    assert_detail("\"responses\"");
}

/* Hostile stories are one line each in the journal, and come out as they went in. */
static void hostile(service *s, uint64_t job, uint32_t attempt, outcome *out)
{
    static char body[512];
    static const char *const texts[] = {"a \\\"quote\\\" \\\\ \\n\\n\\t\\u0001\\u2028\\u2029 end", "{\\\"event\\\":\\\"result\\\",\\\"job\\\":9}",
                                        "\xf0\x9f\x90\xbb \\ud83d\\udc3b", "\\u001b[31m<script>%s%n</script>"};
    (void)s, (void)attempt;
    snprintf(body, sizeof body, "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"%s\"},\"finish_reason\":\"stop\"}]}", texts[job % 4]);
    out->body = body;
}

static void hostile_texts_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {"a \"quote\" \\ \n\n\t\x01\xe2\x80\xa8\xe2\x80\xa9 end", "{\"event\":\"result\",\"job\":9}",
                                        "\xf0\x9f\x90\xbb \xf0\x9f\x90\xbb", "\x1b[31m<script>%s%n</script>"};
    service *s = fresh();
    ts_chat_options options = options_of();
    size_t size, lines = 0;
    s->script = hostile;
    ts_chat *chat = open_chat(s, &options);
    assert_ok(run(chat, 0, 8));
    ts_chat_close(chat);
    chat = open_chat(s, &options);
    for (uint64_t job = 0; job < 8; job++) {
        ts_bytes text = {.runtime = runtime};
        assert_ok(ts_chat_text(chat, job, &text));
        assert_string_equal(text.data, texts[job % 4]);
        ts_bytes_free(&text);
    }
    assert_int_equal(report_of(chat).answered, 8);
    ts_chat_close(chat);
    char *journal = the_journal(&size);
    for (size_t i = 0; i < size; i++) {
        lines += journal[i] == '\n';
        assert_true((unsigned char)journal[i] >= 0x20 || journal[i] == '\n');
    }
    assert_int_equal(lines, 1 + 2 * 8);
    free(journal);
}

/* ---- memory ---- */

static ts_status attempt_run(ts_runtime *own, void *user)
{
    service *s = user;
    ts_runtime_set_io(own, &quick);
    unlink(in_work("journal"));
    memset(paid, 0, sizeof *paid);
    service_init(s, paid);
    return run_in(own, s, 12);
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    assert_true(sweep_memory_alone(attempt_run, &the_service) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_are_asked_for_once),
        cmocka_unit_test(journals_without_records_are_exported),
        cmocka_unit_test(journals_of_earlier_libraries),
        cmocka_unit_test(shards_share_nothing),
        cmocka_unit_test(what_may_pass_is_tried_again),
        cmocka_unit_test(what_stays_wrong_stops_the_run),
        cmocka_unit_test(stories_that_cannot_be_used),
        cmocka_unit_test(too_few_to_be_sure),
        cmocka_unit_test(some_are_not_taken),
        cmocka_unit_test(waits_can_be_ended),
        cmocka_unit_test(what_a_429_does),
        cmocka_unit_test(lines_that_are_there_twice),
        cmocka_unit_test(headers_set_the_pace),
        cmocka_unit_test(retries_have_a_budget),
        cmocka_unit_test(options_set_the_pace),
        cmocka_unit_test(delays),
        cmocka_unit_test(bounds_are_never_passed),
        cmocka_unit_test(doubtful_attempts_are_told_apart),
        cmocka_unit_test(estimates_cost_nothing),
        cmocka_unit_test(prices_are_checked),
        cmocka_unit_test(cancelled_once_and_twice),
        cmocka_unit_test(full_disks_stop_the_spending),
        cmocka_unit_test(killed_at_every_call),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(flipped_at_every_byte),
        cmocka_unit_test(journals_of_others),
        cmocka_unit_test(continuations_are_kept_to_the_byte),
        cmocka_unit_test(hostile_texts_round_trip),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

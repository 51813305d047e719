/* What is written to chat services and read of them, without a network: requests, replies of every kind cut at every byte, headers, keys. */
#include "support/support.h"

#include "chat/client.h"
#include "chat/completions.h"
#include "format/json.h"

#include <math.h>

static ts_runtime *runtime;

static int set_up(void **state)
{
    (void)state;
    return ts_runtime_new(&runtime, NULL) != TS_OK;
}

static int tear_down(void **state)
{
    (void)state;
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    return left != 0;
}

static ts_chat_options options_of(void)
{
    ts_chat_options options;
    assert_ok(ts_chat_options_init(&options, sizeof options));
    options.model = "a \"model\"";
    options.journal = "none";
    return options;
}

/* ---- requests ---- */

static ts_json *written(const ts_chat_options *options, const char *prompt)
{
    ts_bytes body = {.runtime = runtime};
    ts_json *document;
    assert_ok(ts_completion_check_extra(runtime, options));
    assert_ok(ts_completion_write(&body, options, TS_CHAT_CONVERSATION, prompt, strlen(prompt), NULL, UINT64_MAX));
    assert_ok(ts_json_parse(&document, runtime, body.data, body.size, 0, "body"));
    ts_bytes_free(&body);
    return document;
}

static void what_is_not_set_is_not_sent(void **state)
{
    (void)state;
    ts_chat_options options = options_of();
    options.reply_tokens = 0;
    ts_json *document = written(&options, "A \"quote\",\na line and \xe2\x80\xa8.");
    assert_int_equal(ts_json_count(document), 2);
    assert_string_equal(ts_json_text(ts_json_get(document, "model")), "a \"model\"");
    const ts_json *message = ts_json_first(ts_json_get(document, "messages"));
    assert_string_equal(ts_json_text(ts_json_get(message, "role")), "user");
    assert_string_equal(ts_json_text(ts_json_get(message, "content")), "A \"quote\",\na line and \xe2\x80\xa8.");
    ts_json_free(document);
}

static void nuls_divide_a_conversation(void **state)
{
    (void)state;
    static const struct {
        const char *role, *content;
    } expected[] = {{"user", "grade"}, {"assistant", ""}, {"user", "now"}};
    ts_chat_options options = options_of();
    ts_bytes body = {.runtime = runtime};
    ts_json *document;
    size_t at = 0;
    assert_ok(ts_completion_write(&body, &options, TS_CHAT_CONVERSATION, "grade\0\0now", 10, ", \"more\": [1]", 0));
    assert_ok(ts_json_parse(&document, runtime, body.data, body.size, 0, "body"));
    for (const ts_json *message = ts_json_first(ts_json_get(document, "messages")); message; message = ts_json_next(message), at++) {
        assert_string_equal(ts_json_text(ts_json_get(message, "role")), expected[at].role);
        assert_string_equal(ts_json_text(ts_json_get(message, "content")), expected[at].content);
    }
    assert_int_equal(at, TS_COUNT_OF(expected));
    assert_int_equal(ts_json_count(ts_json_get(document, "more")), 1);
    ts_json_free(document);
    ts_bytes_free(&body);
}

static void what_is_set_is_sent(void **state)
{
    (void)state;
    double number;
    uint64_t whole;
    bool flag;
    ts_chat_options options = options_of();
    options.temperature = 0;
    options.top_p = 0.7;
    options.stream = options.send_seed = 1;
    options.extra = " { \"top_k\": 40, \"x\": {\"y\": []} } ";
    ts_json *document = written(&options, "p");
    assert_true(ts_json_double(ts_json_get(document, "temperature"), &number) && number == 0);
    assert_true(ts_json_double(ts_json_get(document, "top_p"), &number) && number == 0.7);
    assert_true(ts_json_whole(ts_json_get(document, "max_completion_tokens"), &whole) && whole == 1024);
    assert_true(ts_json_whole(ts_json_get(document, "seed"), &whole) && whole == 0x7fffffff);
    assert_true(ts_json_whole(ts_json_get(document, "top_k"), &whole) && whole == 40);
    assert_true(ts_json_bool(ts_json_get(document, "stream"), &flag) && flag);
    assert_non_null(ts_json_get(document, "x"));
    ts_json_free(document);
    options.old_names = 1;
    options.extra = "{}";
    document = written(&options, "p");
    assert_true(ts_json_whole(ts_json_get(document, "max_tokens"), &whole) && whole == 1024);
    assert_null(ts_json_get(document, "max_completion_tokens"));
    ts_json_free(document);
}

/* Nothing but the text to go on with, to the byte; services that know it at all know its bound by one name. */
static void a_beginning_is_sent_as_it_is(void **state)
{
    (void)state;
    static const char beginning[] = " Tom said: \"I\n\xe2\x80\xa8 ";
    ts_bytes body = {.runtime = runtime};
    uint64_t whole;
    for (uint32_t old = 0; old < 2; old++) {
        ts_chat_options options = options_of();
        ts_json *document;
        options.old_names = old;
        body.size = 0;
        assert_ok(ts_completion_write(&body, &options, TS_CHAT_CONTINUATION, beginning, strlen(beginning), NULL, 0));
        assert_ok(ts_json_parse(&document, runtime, body.data, body.size, 0, "body"));
        assert_int_equal(ts_json_count(document), 3);
        assert_string_equal(ts_json_text(ts_json_get(document, "model")), "a \"model\"");
        assert_string_equal(ts_json_text(ts_json_get(document, "prompt")), beginning);
        assert_true(ts_json_whole(ts_json_get(document, "max_tokens"), &whole) && whole == 1024);
        ts_json_free(document);
    }
    ts_bytes_free(&body);
}

static void wrong_extras_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "[1]", "1", "{\"a\": }", "{\"messages\": []}", "{\"n\": 2}", "{\"stream\": true}", "{} {}",
                                        "{\"prompt\": \"\"}", "{\"echo\": true}", "{\"best_of\": 3}"};
    for (size_t i = 0; i < TS_COUNT_OF(wrong); i++) {
        ts_chat_options options = options_of();
        options.extra = wrong[i];
        assert_status(ts_completion_check_extra(runtime, &options), TS_ERROR_INVALID_ARGUMENT);
        assert_detail("options.extra");
    }
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    ts_chat_options own, options = options_of();
    assert_ok(ts_chat_options_check(&own, runtime, &options));
    static const struct {
        size_t at;
        double value;
        const char *name;
    } doubles[] = {
        {offsetof(ts_chat_options, temperature), 101, "temperature"},       {offsetof(ts_chat_options, top_p), 1.5, "top_p"},
        {offsetof(ts_chat_options, connect_seconds), 0, "connect_seconds"}, {offsetof(ts_chat_options, silent_seconds), 0, "silent_seconds"},
        {offsetof(ts_chat_options, total_seconds), 1e9, "total_seconds"},   {offsetof(ts_chat_options, max_money), -1, "max_money"},
        {offsetof(ts_chat_options, max_seconds), -1, "max_seconds"},        {offsetof(ts_chat_options, tokens_per_minute), -1, "tokens_per_minute"},
    };
    static const struct {
        size_t at;
        uint32_t value;
        const char *name;
    } integers[] = {
        {offsetof(ts_chat_options, in_flight), 0, "in_flight"}, {offsetof(ts_chat_options, in_flight), 1025, "in_flight"},
        {offsetof(ts_chat_options, attempts), 0, "attempts"},   {offsetof(ts_chat_options, stream), 2, "stream"},
        {offsetof(ts_chat_options, old_names), 2, "old_names"}, {offsetof(ts_chat_options, send_seed), 2, "send_seed"},
    };
    for (size_t i = 0; i < 2 * TS_COUNT_OF(doubles); i++) {
        double value = i % 2 ? NAN : doubles[i / 2].value;
        options = options_of();
        memcpy((char *)&options + doubles[i / 2].at, &value, sizeof value);
        assert_status(ts_chat_options_check(&own, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
        assert_detail(doubles[i / 2].name);
    }
    for (size_t i = 0; i < TS_COUNT_OF(integers); i++) {
        options = options_of();
        memcpy((char *)&options + integers[i].at, &integers[i].value, sizeof integers[i].value);
        assert_status(ts_chat_options_check(&own, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
        assert_detail(integers[i].name);
    }
    options = options_of();
    options.key = options.key_file = "k";
    assert_status(ts_chat_options_check(&own, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
    options = options_of();
    options.model = "";
    assert_status(ts_chat_options_check(&own, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
    options = options_of();
    options.journal = NULL;
    assert_status(ts_chat_options_check(&own, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
}

/* ---- replies ---- */

static ts_completion completion;

static ts_verdict judge(long code, const char *body, size_t size, bool events)
{
    ts_http_reply reply = {.end = TS_HTTP_REPLIED, .code = code, .body = body, .size = size, .events = events, .detail = ""};
    ts_http_limits_init(&reply.limits);
    completion.text.runtime = runtime;
    assert_ok(ts_completion_read(&completion, runtime, &reply));
    return completion.verdict;
}

static ts_verdict judge_text(long code, const char *body)
{
    return judge(code, body, strlen(body), false);
}

static void forget(void)
{
    ts_bytes_free(&completion.text);
    completion = (ts_completion){0};
}

/* The block of a recorded exchange's reply, its indentation taken off. */
static char *recorded(const char *name, size_t *size)
{
    char file[100];
    size_t whole, used = 0;
    snprintf(file, sizeof file, "chat/%s", name);
    char *yaml = read_file(test_data(file), &whole), *body = malloc(whole + 1), *at = strstr(yaml, "\n  response:");
    assert_non_null(at);
    at = strchr(strstr(at, "string: |"), '\n') + 1;
    for (char *next; strncmp(at, "    headers:", 12) != 0; at = next) {
        next = strchr(at, '\n') + 1;
        size_t indent = strspn(at, " ");
        indent = indent > 8 ? 8 : indent;
        memcpy(body + used, at + indent, (size_t)(next - at) - indent);
        used += (size_t)(next - at) - indent;
    }
    free(yaml);
    body[used] = 0;
    *size = used;
    return body;
}

static void recorded_replies(void **state)
{
    (void)state;
    size_t size;
    char *body = recorded("test_chat_completion_with_content.yaml", &size);
    assert_int_equal(judge(200, body, size, false), TS_VERDICT_TEXT);
    assert_string_equal(completion.text.data, "This is a test.");
    assert_string_equal(completion.finish, "stop");
    assert_true(completion.counted && completion.prompt_tokens == 12 && completion.completion_tokens == 5);
    free(body);
    body = recorded("test_chat_completion_multiple_choices.yaml", &size);
    assert_int_equal(judge(200, body, size, false), TS_VERDICT_TEXT);
    assert_string_equal(completion.text.data, "This is a test. How can I assist you further?");
    assert_int_equal(completion.completion_tokens, 24);
    free(body);
    body = recorded("test_chat_completion_404.yaml", &size);
    assert_int_equal(judge(404, body, size, false), TS_VERDICT_STOP);
    assert_non_null(strstr(completion.detail, "404 model_not_found (invalid_request_error): The model `this-model-does-not-exist`"));
    free(body);
    body = recorded("test_chat_completion_streaming.yaml", &size);
    assert_int_equal(judge(200, body, size, true), TS_VERDICT_TEXT);
    assert_string_equal(completion.text.data, "\"This is a test.\"");
    assert_true(completion.counted && completion.prompt_tokens == 12 && completion.completion_tokens == 5);
    free(body);
    forget();
}

#define CHOICE(content, finish)                                                                                                                      \
    "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" content "},\"finish_reason\":" finish "}]"
static const char good[] =
    CHOICE("\"A \\\"dog\\\" \\u00e9 \\ud83d\\ude00 sat.\"", "\"stop\"") ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}";

/* No part of a reply is ever taken for the whole. */
static void replies_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t size = 0; size < strlen(good); size++) {
        char *copy = malloc(size + 1); /* exactly so large, for the sanitizers */
        memcpy(copy, good, size);
        copy[size] = 0;
        assert_int_equal(judge(200, copy, size, false), TS_VERDICT_INVALID);
        free(copy);
    }
    assert_int_equal(judge_text(200, good), TS_VERDICT_TEXT);
    assert_string_equal(completion.text.data, "A \"dog\" \xc3\xa9 \xf0\x9f\x98\x80 sat.");
    forget();
    count_cases(strlen(good));
}

static void replies_that_are_none(void **state)
{
    (void)state;
    static const char *const invalid[] = {
        "",
        "null",
        "[]",
        "{}",
        "\"text\"",
        "<html><body>Bad gateway</body></html>",
        "{\"choices\":[]}",
        "{\"choices\":null}",
        "{\"choices\":{}}",
        "{\"choices\":[1]}",
        "\xef\xbb\xbf{\"choices\":[]}",
        "NaN",
        "{\"choices\":[{\"index\":0}]}",
        CHOICE("null", "\"stop\"") "}",
        CHOICE("\"\"", "\"stop\"") "}",
        CHOICE("\" \\n \"", "\"stop\"") "}",
        CHOICE("[]", "\"stop\"") "}",
        CHOICE("\"a\"", "null") "}",
        CHOICE("\"a\"", "5") "}",
        CHOICE("\"a\"", "\"tool_calls\"") "}",
        CHOICE("\"a\"", "\"stop\"") "} {}",
        CHOICE("\"a\"", "\"stop\"") "}x",
        CHOICE("\"a\\u0000b\"", "\"stop\"") "}",
        CHOICE("\"\\ud800\"", "\"stop\"") "}",
        CHOICE("\"\xff\"", "\"stop\"") "}",
        CHOICE("\"a\nb\"", "\"stop\"") "}",
        CHOICE("\"a\"", "\"stop\"") ",\"choices\":[]}",
        "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\",\"content\":\"b\"},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"index\":0,\"index\":1,\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"index\":1,\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}",
        "{\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}",
        "{\"error\":\"busy\"}",
        "{\"usage\":1111111111111111111111111111111111111111,\"choices\":[]}",
    };
    for (size_t i = 0; i < TS_COUNT_OF(invalid); i++)
        if (judge_text(200, invalid[i]) != TS_VERDICT_INVALID || !completion.detail[0])
            fail_msg("'%s': verdict %d", invalid[i], (int)completion.verdict);
    char deep[4096];
    memset(deep, '[', sizeof deep);
    assert_int_equal(judge(200, deep, sizeof deep, false), TS_VERDICT_INVALID);
    assert_int_equal(judge_text(200, "{\"error\":{\"code\":\"insufficient_quota\"}}"), TS_VERDICT_STOP);
    forget();
    count_cases(TS_COUNT_OF(invalid) + 2);
}

static void finish_reasons(void **state)
{
    (void)state;
    assert_int_equal(judge_text(200, CHOICE("\"a\"", "\"length\"") "}"), TS_VERDICT_CUT);
    assert_int_equal(judge_text(200, CHOICE("\"\"", "\"length\"") "}"), TS_VERDICT_CUT);
    assert_int_equal(judge_text(200, CHOICE("\"a\"", "\"content_filter\"") "}"), TS_VERDICT_FILTERED);
    assert_int_equal(judge_text(200, CHOICE("null,\"refusal\":\"I cannot\"", "\"stop\"") "}"), TS_VERDICT_FILTERED);
    assert_string_equal(completion.text.data, "I cannot");
    assert_int_equal(judge_text(200, CHOICE("\"a\",\"refusal\":null", "\"stop\"") ",\"error\":null}"), TS_VERDICT_TEXT);
    assert_int_equal(judge_text(200, CHOICE("\"a\"", "\"end_turn\"") "}"), TS_VERDICT_TEXT);
    assert_false(completion.counted);
    assert_int_equal(judge_text(200, CHOICE("\"a\"", "\"stop\"") ",\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":2}}"), TS_VERDICT_TEXT);
    assert_false(completion.counted);
    forget();
    count_cases(7);
}

/* A text that is too long to be kept was paid for, and is not asked for again. */
static void texts_have_a_bound(void **state)
{
    (void)state;
    enum { MOST = 1 << 20 };
    static char body[MOST + 200], text[MOST + 2];
    for (int more = 0; more < 2; more++) {
        memset(text, 'a', (size_t)(MOST + more));
        text[MOST + more] = 0;
        snprintf(body, sizeof body, CHOICE("\"%s\"", "\"stop\"") "}", text);
        assert_int_equal(judge_text(200, body), more ? TS_VERDICT_CUT : TS_VERDICT_TEXT);
        assert_int_equal(completion.text.size, more ? 0 : MOST);
    }
    forget();
    count_cases(2);
}

static void errors_and_their_classes(void **state)
{
    (void)state;
    static const struct {
        long code;
        const char *body;
        ts_verdict verdict;
    } cases[] = {
        {400, "{\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\",\"code\":null}}", TS_VERDICT_WRONG},
        {400, "{\"error\":{\"code\":\"content_filter\"}}", TS_VERDICT_FILTERED},
        {400, "{\"error\":{\"code\":\"content_policy_violation\"}}", TS_VERDICT_FILTERED},
        {413, "", TS_VERDICT_WRONG},
        {422, "{\"detail\":[]}", TS_VERDICT_WRONG},
        {418, "", TS_VERDICT_WRONG},
        {401, "", TS_VERDICT_STOP},
        {402, "", TS_VERDICT_STOP},
        {403, "<html>", TS_VERDICT_STOP},
        {404, "", TS_VERDICT_STOP},
        {405, "", TS_VERDICT_STOP},
        {407, "", TS_VERDICT_STOP},
        {301, "", TS_VERDICT_STOP},
        {302, "", TS_VERDICT_STOP},
        {307, "", TS_VERDICT_STOP},
        {308, "", TS_VERDICT_STOP},
        {304, "", TS_VERDICT_STOP},
        {429, "{\"error\":{\"message\":\"Rate limit\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}", TS_VERDICT_RETRY},
        {429, "{\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}", TS_VERDICT_STOP},
        {429, "not json", TS_VERDICT_RETRY},
        {409, "", TS_VERDICT_RETRY},
        {529, "", TS_VERDICT_RETRY},
        {503, "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}", TS_VERDICT_RETRY},
        {500, "", TS_VERDICT_DOUBT},
        {502, "<html>", TS_VERDICT_DOUBT},
        {504, "", TS_VERDICT_DOUBT},
        {408, "", TS_VERDICT_DOUBT},
        {599, "", TS_VERDICT_DOUBT},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++)
        if (judge_text(cases[i].code, cases[i].body) != cases[i].verdict)
            fail_msg("%ld '%s': verdict %d, expected %d", cases[i].code, cases[i].body, (int)completion.verdict, (int)cases[i].verdict);
    judge_text(503, cases[22].body);
    assert_string_equal(completion.detail, "HTTP 503 503 (unavailable_error): Loading model");
    ts_http_reply reply = {.end = TS_HTTP_REPLIED, .code = 429, .body = "", .detail = ""};
    ts_http_limits_init(&reply.limits);
    reply.limits.should_retry = 0;
    assert_ok(ts_completion_read(&completion, runtime, &reply));
    assert_int_equal(completion.verdict, TS_VERDICT_STOP);
    reply.limits.should_retry = 1;
    reply.code = 400;
    assert_ok(ts_completion_read(&completion, runtime, &reply));
    assert_int_equal(completion.verdict, TS_VERDICT_RETRY);
    static const ts_verdict ends[] = {[TS_HTTP_UNSENT] = TS_VERDICT_RETRY, [TS_HTTP_UNKNOWN] = TS_VERDICT_DOUBT, [TS_HTTP_REFUSED] = TS_VERDICT_STOP};
    for (int end = TS_HTTP_UNSENT; end <= TS_HTTP_REFUSED; end++) {
        reply.end = (ts_http_end)end;
        assert_ok(ts_completion_read(&completion, runtime, &reply));
        assert_int_equal(completion.verdict, ends[end]);
    }
    forget();
    count_cases(TS_COUNT_OF(cases) + 5);
}

/* ---- streams ---- */

#define DELTA(text, finish) "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":" text "},\"finish_reason\":" finish "}]}\n\n"
static const char stream[] = ": hello\n\n" DELTA("\"One \"", "null") "event: x\nid: 4\n" DELTA(
    "\"\\u00e9 two\"",
    "null") "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"},\"finish_reason\":\"stop\"}]}\n\n" DELTA("\" three.\"", "null")
    DELTA("null", "\"stop\"") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}\n\ndata: [DONE]\n\n";

static void streams_cut_at_every_byte(void **state)
{
    (void)state;
    size_t whole = strlen(stream), finish = (size_t)(strstr(stream, "content\":null") - stream);
    finish = (size_t)(strstr(stream + finish, "\n\n") - stream) + 2; /* from here on the story is whole */
    for (size_t size = 0; size <= whole; size++) {
        char *copy = malloc(size + 1);
        memcpy(copy, stream, size);
        copy[size] = 0;
        ts_verdict verdict = judge(200, copy, size, true);
        assert_int_equal(verdict, size >= finish ? TS_VERDICT_TEXT : TS_VERDICT_DOUBT);
        if (size >= finish)
            assert_string_equal(completion.text.data, "One \xc3\xa9 two three.");
        free(copy);
    }
    assert_true(completion.counted && completion.prompt_tokens == 5 && completion.completion_tokens == 6);
    forget();
    count_cases(whole + 1);
}

/* The line ends may be any of three, mixed; the text is the same. */
static void streams_with_any_line_ends(void **state)
{
    (void)state;
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    for (size_t which = 0; which < 9; which++) {
        char copy[2 * sizeof stream];
        size_t size = 0, count = 0;
        for (const char *at = stream; *at; at++) {
            const char *end = ends[which < 3 ? which : (count * which) % 3];
            if (*at != '\n') {
                copy[size++] = *at;
                continue;
            }
            if (which >= 3 && size > 0 && copy[size - 1] == '\r' && end[0] == '\n')
                end = "\r\n"; /* CR and then LF would be one end */
            memcpy(copy + size, end, strlen(end));
            size += strlen(end);
            count++;
        }
        assert_int_equal(judge(200, copy, size, true), TS_VERDICT_TEXT);
        assert_string_equal(completion.text.data, "One \xc3\xa9 two three.");
    }
    forget();
    count_cases(9);
}

static void streams_that_fail(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ts_verdict verdict;
    } cases[] = {
        {DELTA("\"a\"", "null") "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n", TS_VERDICT_INVALID},
        {DELTA("\"a\"", "null") "data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n", TS_VERDICT_STOP},
        {DELTA("\"a\"", "null") "data: {broken\n\n", TS_VERDICT_INVALID},
        {DELTA("\"a\"", "null") "data: [DONE]\n\n", TS_VERDICT_DOUBT},
        {DELTA("\"a\"", "\"length\"") "data: [DONE]\n\n", TS_VERDICT_CUT},
        {DELTA("\"a\"", "\"content_filter\"") "data: [DONE]\n\n", TS_VERDICT_FILTERED},
        {DELTA("\"a\"", "\"stop\"") "data: [DONE]\n\n" DELTA("\"b\"", "null"), TS_VERDICT_TEXT},
        {"data\n\ndata:\n\n" DELTA("\"a\"", "\"stop\""), TS_VERDICT_TEXT},
        {"data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n", TS_VERDICT_TEXT},
        {"data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"no\"},\"finish_reason\":\"stop\"}]}\n\n", TS_VERDICT_FILTERED},
        {"", TS_VERDICT_DOUBT},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        if (judge(200, cases[i].text, strlen(cases[i].text), true) != cases[i].verdict)
            fail_msg("stream %zu: verdict %d, expected %d", i, (int)completion.verdict, (int)cases[i].verdict);
        if (cases[i].verdict == TS_VERDICT_TEXT)
            assert_string_equal(completion.text.data, "a");
    }
    forget();
    count_cases(TS_COUNT_OF(cases));
}

/* ---- continuations ---- */

static ts_verdict judge_continuation(const char *body, size_t size, bool events)
{
    completion.endpoint = TS_CHAT_CONTINUATION;
    return judge(200, body, size, events);
}

#define CONTINUED(text, finish) "{\"choices\":[{\"index\":0,\"text\":" text ",\"logprobs\":null,\"finish_reason\":" finish "}]"

static void continuations(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        ts_verdict verdict;
        const char *text;
    } cases[] = {
        {CONTINUED("\" and\\n \"", "\"stop\"") "}", TS_VERDICT_TEXT, " and\n "},
        {CONTINUED("\"\"", "\"stop\"") "}", TS_VERDICT_TEXT, ""},
        {CONTINUED("\"\\n\"", "\"eos_token\"") "}", TS_VERDICT_TEXT, "\n"},
        {CONTINUED("\" a\"", "\"length\"") "}", TS_VERDICT_CUT, " a"},
        {CONTINUED("\"\"", "\"length\"") "}", TS_VERDICT_CUT, ""},
        {CONTINUED("\" a\"", "\"content_filter\"") "}", TS_VERDICT_FILTERED, " a"},
        {"{\"choices\":[{\"index\":1,\"text\":\"b\",\"finish_reason\":\"stop\"},{\"index\":0,\"text\":\" a\",\"finish_reason\":\"stop\"}]}", TS_VERDICT_TEXT, " a"},
        {"{\"choices\":[{\"text\":\" a\",\"finish_reason\":\"stop\"},{\"text\":\"b\",\"finish_reason\":\"stop\"}]}", TS_VERDICT_TEXT, " a"},
        {CONTINUED("null", "\"stop\"") "}", TS_VERDICT_INVALID, NULL},
        {CONTINUED("null", "\"length\"") "}", TS_VERDICT_INVALID, NULL},
        {CONTINUED("5", "\"stop\"") "}", TS_VERDICT_INVALID, NULL},
        {CONTINUED("[\"a\"]", "\"length\"") "}", TS_VERDICT_INVALID, NULL},
        {CONTINUED("\"a\"", "null") "}", TS_VERDICT_INVALID, NULL},
        {CONTINUED("\"a\"", "\"error\"") "}", TS_VERDICT_INVALID, NULL},
        {CONTINUED("\"a\"", "\"stop\"") "} {}", TS_VERDICT_INVALID, NULL},
        {CONTINUED("\"a\\u0000b\"", "\"stop\"") "}", TS_VERDICT_INVALID, NULL},
        {"{\"choices\":[{\"index\":0,\"text\":\"a\",\"text\":\"b\",\"finish_reason\":\"stop\"}]}", TS_VERDICT_INVALID, NULL},
        {"{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}", TS_VERDICT_INVALID, NULL},
        {"{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a chat's\"},\"finish_reason\":\"stop\"}]}", TS_VERDICT_INVALID, NULL},
        {"{\"choices\":[]}", TS_VERDICT_INVALID, NULL},
        {"{\"content\":\" as llama.cpp's own endpoint has it\",\"stop\":true}", TS_VERDICT_INVALID, NULL},
        {"{\"error\":{\"message\":\"overloaded\"}}", TS_VERDICT_INVALID, NULL},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        if (judge_continuation(cases[i].body, strlen(cases[i].body), false) != cases[i].verdict)
            fail_msg("'%s': verdict %d, expected %d", cases[i].body, (int)completion.verdict, (int)cases[i].verdict);
        assert_true((cases[i].verdict == TS_VERDICT_INVALID) == (completion.detail[0] != 0));
        if (cases[i].text)
            assert_string_equal(completion.text.size ? completion.text.data : "", cases[i].text);
    }
    assert_int_equal(judge_text(200, CHOICE("\"a\"", "\"stop\"") "}"), TS_VERDICT_INVALID); /* the endpoint stays */
    forget();
    assert_int_equal(judge_text(200, CONTINUED("\"a\"", "\"stop\"") "}"), TS_VERDICT_INVALID); /* nor is that a chat's */
    forget();
    count_cases(TS_COUNT_OF(cases) + 2);
}

#define PIECE(text, finish) "data: " CONTINUED(text, finish) "}\n\n"
static const char continued[] = PIECE("\" One\"", "null") PIECE("\"\"", "\"\"") PIECE("\" two.\\n\"", "null") PIECE("\"\"", "\"stop\"")
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}\n\ndata: [DONE]\n\n";

static void continuations_cut_at_every_byte(void **state)
{
    (void)state;
    static const char reply[] = CONTINUED("\" A \\\"dog\\\" \"", "\"stop\"") ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}";
    size_t whole = strlen(continued), finish = (size_t)(strstr(strstr(continued, "\"stop\""), "\n\n") - continued) + 2;
    for (size_t size = 0; size < strlen(reply) + whole + 1; size++) {
        bool events = size >= strlen(reply);
        size_t length = events ? size - strlen(reply) : size;
        char *copy = malloc(length + 1); /* exactly so large, for the sanitizers */
        memcpy(copy, events ? continued : reply, length);
        copy[length] = 0;
        ts_verdict verdict = judge_continuation(copy, length, events);
        assert_int_equal(verdict, !events ? TS_VERDICT_INVALID : length >= finish ? TS_VERDICT_TEXT : TS_VERDICT_DOUBT);
        if (verdict == TS_VERDICT_TEXT)
            assert_string_equal(completion.text.data, " One two.\n");
        free(copy);
    }
    assert_true(completion.counted && completion.prompt_tokens == 5 && completion.completion_tokens == 6);
    forget();
    count_cases(strlen(reply) + whole + 1);
}

/* No piece may be missing in the middle; an event without one (of usage, of the end) says nothing. */
static void streamed_continuations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ts_verdict verdict;
    } cases[] = {
        {PIECE("\" a\"", "null") "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n", TS_VERDICT_TEXT},
        {PIECE("\" a\"", "null") PIECE("null", "\"length\""), TS_VERDICT_CUT},
        {PIECE("\"\"", "\"stop\""), TS_VERDICT_TEXT},
        {"data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n", TS_VERDICT_INVALID},
        {PIECE("\" a\"", "null") PIECE("5", "null") PIECE("\" c\"", "\"stop\""), TS_VERDICT_INVALID},
        {PIECE("\" a\"", "null") PIECE("{}", "null"), TS_VERDICT_DOUBT},
        {PIECE("\" a\"", "null") "data: {\"error\":{\"message\":\"overloaded\"}}\n\n", TS_VERDICT_INVALID},
        {PIECE("\" a\"", "null") "data: [DONE]\n\n", TS_VERDICT_DOUBT},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++)
        if (judge_continuation(cases[i].text, strlen(cases[i].text), true) != cases[i].verdict)
            fail_msg("stream %zu: verdict %d, expected %d", i, (int)completion.verdict, (int)cases[i].verdict);
    forget();
    count_cases(TS_COUNT_OF(cases));
}

/* ---- headers ---- */

static void durations_and_retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {{"1s", 1}, {"6m0s", 360}, {"22.564s", 22.564}, {"11ms", 0.011}, {"1h2m3s", 3723}, {"8.64s", 8.64}, {"5", 5},
                 {"0", 0},  {"", -1},      {"s", -1},           {"1x", -1},      {"-1s", -1},      {"1e9s", -1},    {"1.2.3s", -1},
                 {".", -1}, {"10 s", -1},  {"1s1", -1}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++)
        if (fabs(ts_duration_read(cases[i].text, strlen(cases[i].text)) - cases[i].seconds) > 1e-9)
            fail_msg("'%s' is %g", cases[i].text, ts_duration_read(cases[i].text, strlen(cases[i].text)));
    static const struct {
        const char *line;
        double seconds;
    } lines[] = {{"Retry-After: 3", 3},
                 {"retry-after:0\r\n", 0},
                 {"RETRY-AFTER:  1.5 \r\n", 1.5},
                 {"Retry-After: -1", -1},
                 {"Retry-After: 1000000000000", 1e9},
                 {"Retry-After: soon", -1},
                 {"Retry-After:", -1},
                 {"Retry-After-Ms: 250", 0.25},
                 {"Retry-After: Sun, 06 Nov 1994 08:49:47 GMT", 10},
                 {"Retry-After: Sun, 06 Nov 1994 08:49:07 GMT", 0},
                 {"Retry-After: Sun, 06 Nox 1994 08:49:07 GMT", -1},
                 {"X-Retry-After: 3", -1},
                 {"Retry-After: Tue, 29 Feb 2000 00:00:00 GMT", 951782400 - 784111777.0}};
    for (size_t i = 0; i < TS_COUNT_OF(lines); i++) {
        ts_http_limits limits;
        ts_http_limits_init(&limits);
        ts_http_limits_read(&limits, lines[i].line, strlen(lines[i].line), 784111777);
        if (fabs(limits.retry_after - lines[i].seconds) > 1e-9)
            fail_msg("'%s' is %g", lines[i].line, limits.retry_after);
    }
    ts_http_limits limits;
    ts_http_limits_init(&limits);
    static const char *const said[] = {"x-ratelimit-limit-requests: 10000\r\n",
                                       "X-RateLimit-Remaining-Tokens: 199962",
                                       "x-ratelimit-reset-requests: 22.564s",
                                       "x-should-retry: False",
                                       "no header",
                                       ":",
                                       ""};
    for (size_t i = 0; i < TS_COUNT_OF(said); i++)
        ts_http_limits_read(&limits, said[i], strlen(said[i]), 0);
    assert_true(limits.limit_requests == 10000 && limits.remaining_tokens == 199962 && limits.reset_requests == 22.564 && limits.should_retry == 0);
    assert_true(limits.limit_tokens == -1 && limits.retry_after == -1);
    count_cases(TS_COUNT_OF(lines));
}

static void urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool with_key, without;
    } cases[] = {
        {"https://api.openai.com/v1", true, true},
        {"http://localhost:8080/v1", true, true},
        {"http://127.0.0.1/v1", true, true},
        {"http://[::1]:80/", true, true},
        {"http://192.168.0.7:8000/v1", false, true},
        {"http://localhost.evil.com/", false, true},
        {"http://127.0.0.1.evil.com/", false, true},
        {"http://127.evil.com/", false, true},
        {"ftp://x/", false, false},
        {"file:///etc/passwd", false, false},
        {"https://", false, false},
        {"https://user:password@host/", false, false},
        {"https://host/?key=1", false, false},
        {"https://host/#x", false, false},
        {"https://ho st/", false, false},
        {"https://host/\r\nX: y", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        assert_int_equal(ts_url_check(cases[i].url, true) == TS_OK, cases[i].with_key);
        assert_int_equal(ts_url_check(cases[i].url, false) == TS_OK, cases[i].without);
        assert_null(strstr(ts_error_detail(), "password"));
    }
    count_cases(TS_COUNT_OF(cases));
}

static void keys_are_hidden(void **state)
{
    (void)state;
    static const char key[] = "SENTINEL-9f3a7c21d0";
    static const struct {
        const char *text, *hidden;
    } cases[] = {
        {"Incorrect key: SENTINEL-9f3a7c21d0.", "Incorrect key: *******************."},
        {"SENTINEL-9f3a7c21d0SENTINEL-9f3a7c21d0", "**************************************"},
        {"a SENTINEL-9f3 b", "a ************ b"}, /* twelve of it */
        {"a SENTINEL-9f b", "a SENTINEL-9f b"},
        {"L-9f3a7c21d0 tail", "************ tail"},
        {"", ""},
        {"SENTINEL-9f3a7c21d", "******************"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        char text[100];
        snprintf(text, sizeof text, "%s", cases[i].text);
        ts_key_hide(text, strlen(text), key);
        assert_string_equal(text, cases[i].hidden);
    }
    char little[] = "the abc is abcd";
    ts_key_hide(little, strlen(little), "abc");
    assert_string_equal(little, "the *** is ***d");
    count_cases(TS_COUNT_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_set_is_not_sent),
        cmocka_unit_test(nuls_divide_a_conversation),
        cmocka_unit_test(what_is_set_is_sent),
        cmocka_unit_test(a_beginning_is_sent_as_it_is),
        cmocka_unit_test(wrong_extras_are_refused),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(recorded_replies),
        cmocka_unit_test(replies_cut_at_every_byte),
        cmocka_unit_test(replies_that_are_none),
        cmocka_unit_test(finish_reasons),
        cmocka_unit_test(errors_and_their_classes),
        cmocka_unit_test(texts_have_a_bound),
        cmocka_unit_test(streams_cut_at_every_byte),
        cmocka_unit_test(streams_with_any_line_ends),
        cmocka_unit_test(streams_that_fail),
        cmocka_unit_test(continuations),
        cmocka_unit_test(continuations_cut_at_every_byte),
        cmocka_unit_test(streamed_continuations),
        cmocka_unit_test(durations_and_retry_after),
        cmocka_unit_test(urls),
        cmocka_unit_test(keys_are_hidden),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

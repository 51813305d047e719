/* Requests written and replies read. */
#include "chat/completions.h"

#include "format/json.h"
#include "text/text.h"

#include <stdio.h>

enum {
    MOST_EXTRA = 64 << 10,
    MOST_TEXT = 1 << 20, /* bytes of a story: longer ones are not kept */
    SMALLEST_FINAL = 400
};

/* ---- request ---- */

/* What the library writes, and what would change how a reply must be read or pay for more than one. */
static const char *const own_members[] = {"model", "messages", "prompt", "stream", "stream_options", "n", "best_of", "echo"};

ts_status ts_completion_check_extra(ts_runtime *runtime, const ts_chat_options *options)
{
    ts_json *document;
    if (!options->extra)
        return TS_OK;
    ts_status status = ts_json_parse(&document, runtime, options->extra, strlen(options->extra), MOST_EXTRA, "options.extra");
    if (status == TS_ERROR_FORMAT || status == TS_ERROR_LIMIT)
        return ts_fail_context(TS_ERROR_INVALID_ARGUMENT, "the JSON for requests");
    TS_TRY(status);
    if (ts_json_kind_of(document) != TS_JSON_OBJECT)
        status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.extra is no JSON object");
    for (size_t i = 0; status == TS_OK && i < TS_COUNT_OF(own_members); i++)
        if (ts_json_get(document, own_members[i]))
            status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.extra holds \"%s\", which is the library's alone to say", own_members[i]);
    ts_json_free(document);
    return status;
}

static ts_status add_number(ts_bytes *body, const char *name, double value)
{
    char text[TS_DOUBLE_SIZE];
    ts_format_double(text, value);
    return ts_bytes_format(body, ", \"%s\": %s", name, text);
}

/* The members of extra, whose braces stand outermost. */
static ts_status add_extra(ts_bytes *body, const char *extra)
{
    size_t size = strlen(extra);
    ts_trim(&extra, &size);
    extra++;
    size -= 2;
    ts_trim(&extra, &size);
    if (size == 0)
        return TS_OK;
    TS_TRY(ts_bytes_add(body, ", ", 2));
    return ts_bytes_add(body, extra, size);
}

/* The messages of a conversation, divided by NULs. */
static ts_status add_messages(ts_bytes *body, const char *prompt, size_t size)
{
    const char *end = prompt + size, *role = "user";
    TS_TRY(ts_bytes_format(body, ", \"messages\": ["));
    for (const char *message = prompt, *next; message; message = next) {
        const char *divider = size > 0 ? memchr(message, 0, (size_t)(end - message)) : NULL;
        next = divider ? divider + 1 : NULL;
        TS_TRY(ts_bytes_format(body, "%s{\"role\": \"%s\", \"content\": ", message == prompt ? "" : ", ", role));
        TS_TRY(ts_json_string(body, message, (size_t)((divider ? divider : end) - message)));
        TS_TRY(ts_bytes_add(body, "}", 1));
        role = role[0] == 'u' ? "assistant" : "user";
    }
    return ts_bytes_add(body, "]", 1);
}

static ts_status add_beginning(ts_bytes *body, const char *prompt, size_t size)
{
    TS_TRY(ts_bytes_format(body, ", \"prompt\": "));
    return ts_json_string(body, prompt, size);
}

/* How endpoints differ. A continuation counts to the byte: it may be empty, or white space alone, but none of its pieces may be missing. */
static const struct {
    const char *path, *bound[2]; /* bound: what a reply's bound of tokens is called; to older servers */
    ts_status (*add_prompt)(ts_bytes *body, const char *prompt, size_t size);
    const char *part[2], *text; /* part: the member of a choice that holds the text; the same in an event; NULL: the choice does so itself */
    bool exact;
} endpoints[TS_CHAT_ENDPOINTS] = {
    [TS_CHAT_CONVERSATION] = {"chat/completions", {"max_completion_tokens", "max_tokens"}, add_messages, {"message", "delta"}, "content", false},
    [TS_CHAT_CONTINUATION] = {"completions", {"max_tokens", "max_tokens"}, add_beginning, {NULL, NULL}, "text", true},
};

const char *ts_completion_path(ts_chat_endpoint endpoint)
{
    return endpoints[endpoint].path;
}

ts_status ts_completion_write(ts_bytes *body, const ts_chat_options *options, ts_chat_endpoint endpoint, const char *prompt, size_t size, const char *members,
                              uint64_t seed)
{
    TS_TRY(ts_bytes_add(body, "{\"model\": ", 10));
    TS_TRY(ts_json_string(body, options->model, strlen(options->model)));
    TS_TRY(endpoints[endpoint].add_prompt(body, prompt, size));
    if (options->temperature >= 0)
        TS_TRY(add_number(body, "temperature", options->temperature));
    if (options->top_p >= 0)
        TS_TRY(add_number(body, "top_p", options->top_p));
    if (options->reply_tokens > 0)
        TS_TRY(ts_bytes_format(body, ", \"%s\": %u", endpoints[endpoint].bound[options->old_names], options->reply_tokens));
    if (options->send_seed)
        TS_TRY(ts_bytes_format(body, ", \"seed\": %llu", (unsigned long long)(seed >> 33))); /* 31 bits: what every server takes */
    if (options->stream)
        TS_TRY(ts_bytes_format(body, ", \"stream\": true, \"stream_options\": {\"include_usage\": true}"));
    if (options->extra)
        TS_TRY(add_extra(body, options->extra));
    if (members)
        TS_TRY(ts_bytes_add(body, members, strlen(members)));
    return ts_bytes_add(body, "}", 1);
}

/* ---- errors ---- */

typedef struct service_error {
    char code[64], type[64];
    const char *message; /* borrowed from the document; "" if there is none */
} service_error;

/* A string, or a number as llama.cpp's server has it. */
static void copy_word(char out[64], const ts_json *value)
{
    uint64_t number;
    if (ts_json_text(value))
        snprintf(out, 64, "%s", ts_json_text(value));
    else if (ts_json_whole(value, &number))
        snprintf(out, 64, "%llu", (unsigned long long)number);
}

/* Whether a document speaks of an error: {"error": {...}}, {"error": "..."} or {"object": "error", ...}. */
static bool read_error(const ts_json *document, service_error *error)
{
    const ts_json *object = ts_json_get(document, "error");
    const char *kind = ts_json_text(ts_json_get(document, "object"));
    *error = (service_error){.message = ""};
    if (kind && strcmp(kind, "error") == 0)
        object = document;
    if (ts_json_kind_of(object) == TS_JSON_NULL)
        return false;
    const char *message = ts_json_text(object) ? ts_json_text(object) : ts_json_text(ts_json_get(object, "message"));
    error->message = message ? message : "";
    copy_word(error->code, ts_json_get(object, "code"));
    copy_word(error->type, ts_json_get(object, "type"));
    return true;
}

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static bool says(const service_error *error, const char *const *words, size_t count)
{
    return is_one_of(error->code, words, count) || is_one_of(error->type, words, count);
}

/* What a status code and an error mean for this request and for the run. */
static ts_verdict judge_error(long code, const service_error *error, int32_t should_retry)
{
    static const char *const no_money[] = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated"};
    static const char *const filter[] = {"content_filter", "content_policy_violation"};
    static const long stops[] = {401, 402, 403, 404, 405, 407}, again[] = {409, 425, 429, 503, 529}, doubts[] = {408, 500, 502, 504};
    if (says(error, no_money, TS_COUNT_OF(no_money)))
        return TS_VERDICT_STOP;
    if (code < SMALLEST_FINAL && code >= 300)
        return TS_VERDICT_STOP; /* a redirect: it may lead anywhere */
    if (says(error, filter, TS_COUNT_OF(filter)))
        return TS_VERDICT_FILTERED;
    for (size_t i = 0; i < TS_COUNT_OF(stops); i++)
        if (code == stops[i])
            return TS_VERDICT_STOP;
    if (should_retry == 0)
        return TS_VERDICT_STOP;
    for (size_t i = 0; i < TS_COUNT_OF(again); i++)
        if (code == again[i])
            return TS_VERDICT_RETRY;
    for (size_t i = 0; i < TS_COUNT_OF(doubts); i++)
        if (code == doubts[i])
            return TS_VERDICT_DOUBT;
    return code >= 500 ? TS_VERDICT_DOUBT : should_retry == 1 ? TS_VERDICT_RETRY : TS_VERDICT_WRONG;
}

/* "HTTP 429 rate_limit_exceeded (tokens): Please try again" */
static void describe(ts_completion *out, long code, const service_error *error)
{
    size_t size = (size_t)snprintf(out->detail, sizeof out->detail, "HTTP %ld", code);
    if (code >= 300 && code < SMALLEST_FINAL)
        size += (size_t)snprintf(out->detail + size, sizeof out->detail - size, ", a redirect, which is not followed");
    if (error->code[0])
        size += (size_t)snprintf(out->detail + size, sizeof out->detail - size, " %s", error->code);
    if (error->type[0])
        size += (size_t)snprintf(out->detail + size, sizeof out->detail - size, " (%s)", error->type);
    if (error->message[0])
        snprintf(out->detail + size, sizeof out->detail - size, ": %.120s", error->message);
}

/* A reply that is no success. Its body may be anything. */
static ts_status read_failure(ts_completion *out, ts_runtime *runtime, const ts_http_reply *reply)
{
    ts_json *document = NULL;
    service_error error = {.message = ""};
    ts_status status = ts_json_parse(&document, runtime, reply->body, reply->size, 0, "the reply");
    if (status == TS_ERROR_OUT_OF_MEMORY)
        return status;
    if (status == TS_OK)
        read_error(document, &error);
    out->verdict = judge_error(reply->code, &error, reply->limits.should_retry);
    describe(out, reply->code, &error);
    ts_json_free(document);
    return TS_OK;
}

/* ---- texts ---- */

static ts_status set_invalid(ts_completion *out, const char *why)
{
    out->verdict = TS_VERDICT_INVALID;
    snprintf(out->detail, sizeof out->detail, "%s", why);
    return TS_OK;
}

static void read_usage(ts_completion *out, const ts_json *usage)
{
    uint64_t prompt, completion;
    if (ts_json_whole(ts_json_get(usage, "prompt_tokens"), &prompt) && ts_json_whole(ts_json_get(usage, "completion_tokens"), &completion)) {
        out->prompt_tokens = prompt;
        out->completion_tokens = completion;
        out->counted = true;
    }
}

/* Who wrote it. */
static void read_origin(ts_completion *out, const ts_json *document)
{
    const char *model = ts_json_text(ts_json_get(document, "model")), *fingerprint = ts_json_text(ts_json_get(document, "system_fingerprint"));
    if (model)
        snprintf(out->model, sizeof out->model, "%s", model);
    if (fingerprint)
        snprintf(out->fingerprint, sizeof out->fingerprint, "%s", fingerprint);
}

/* The choice of index 0: the first that says so, or that says nothing. */
static const ts_json *choice_of(const ts_json *document)
{
    const ts_json *choices = ts_json_get(document, "choices");
    uint64_t index;
    if (ts_json_kind_of(choices) != TS_JSON_ARRAY)
        return NULL;
    for (const ts_json *choice = ts_json_first(choices); choice; choice = ts_json_next(choice)) {
        const ts_json *number = ts_json_get(choice, "index");
        if (!number || (ts_json_whole(number, &index) && index == 0))
            return choice;
    }
    return NULL;
}

/* What holds a choice's text. */
static const ts_json *part_of(const ts_completion *out, const ts_json *choice, bool streamed)
{
    const char *part = endpoints[out->endpoint].part[streamed];
    return part ? ts_json_get(choice, part) : choice;
}

/* Adds a choice's text and takes its finish_reason; a refusal counts as a filter. */
static ts_status add_choice(ts_completion *out, const ts_json *choice, bool streamed)
{
    const ts_json *part = part_of(out, choice, streamed), *member = ts_json_get(part, endpoints[out->endpoint].text);
    const char *text = ts_json_text(member), *refusal = ts_json_text(ts_json_get(part, "refusal"));
    const char *finish = ts_json_text(ts_json_get(choice, "finish_reason"));
    if (!text && endpoints[out->endpoint].exact && ts_json_kind_of(member) != TS_JSON_NULL)
        return set_invalid(out, "a choice whose text is no string");
    out->has_text = out->has_text || text;
    if (finish)
        snprintf(out->finish, sizeof out->finish, "%s", finish);
    if (refusal && refusal[0])
        out->verdict = TS_VERDICT_FILTERED;
    if (!text)
        text = refusal ? refusal : "";
    return ts_bytes_add(&out->text, text, strlen(text));
}

/* What finish_reason and text together make of a reply that is whole. */
static ts_status judge_text(ts_completion *out)
{
    static const char *const cut[] = {"length", "max_tokens"}, *const tools[] = {"tool_calls", "function_call", "error"};
    const char *text = out->text.size ? out->text.data : "";
    size_t size = out->text.size;
    bool exact = endpoints[out->endpoint].exact, is_cut = is_one_of(out->finish, cut, TS_COUNT_OF(cut));
    if (out->verdict == TS_VERDICT_INVALID)
        return TS_OK;
    if (!exact)
        ts_trim(&text, &size);
    if (size > MOST_TEXT) {
        out->verdict = TS_VERDICT_CUT;
        out->text.size = 0;
        snprintf(out->detail, sizeof out->detail, "the text has %zu bytes, expected at most %d", size, MOST_TEXT);
        return TS_OK;
    }
    if (out->verdict == TS_VERDICT_FILTERED || strcmp(out->finish, "content_filter") == 0)
        out->verdict = TS_VERDICT_FILTERED;
    else if (out->finish[0] == 0)
        return set_invalid(out, "a choice without a finish_reason");
    else if (is_one_of(out->finish, tools, TS_COUNT_OF(tools)))
        return set_invalid(out, "a choice that calls tools");
    else if (exact ? !out->has_text : size == 0 && !is_cut)
        return set_invalid(out, "a choice without text");
    else if (is_cut)
        out->verdict = TS_VERDICT_CUT;
    return TS_OK;
}

/* 200 and an error: the error says what it is, as if it had come with 500, which may be paid. */
static void take_error(ts_completion *out, const ts_http_reply *reply, const service_error *error)
{
    ts_verdict verdict = judge_error(500, error, reply->limits.should_retry);
    describe(out, reply->code, error);
    out->verdict = verdict == TS_VERDICT_DOUBT ? TS_VERDICT_INVALID : verdict;
}

static ts_status read_document(ts_completion *out, ts_runtime *runtime, const ts_http_reply *reply, const ts_json *document)
{
    service_error error;
    const ts_json *choice = choice_of(document);
    if (read_error(document, &error)) {
        take_error(out, reply, &error);
        return TS_OK;
    }
    ts_status status = ts_json_check_unique(document, runtime, "the reply");
    status = status ? status : ts_json_check_unique(choice, runtime, "a choice");
    status = status ? status : ts_json_check_unique(part_of(out, choice, false), runtime, "a message");
    if (status != TS_OK)
        return status == TS_ERROR_FORMAT ? set_invalid(out, ts_error_detail()) : status;
    if (!choice)
        return set_invalid(out, "a reply without choices");
    read_usage(out, ts_json_get(document, "usage"));
    read_origin(out, document);
    TS_TRY(add_choice(out, choice, false));
    return judge_text(out);
}

/* One event of a stream. */
static ts_status read_event(ts_completion *out, const ts_http_reply *reply, const ts_json *document, bool *failed)
{
    service_error error;
    if (read_error(document, &error)) {
        take_error(out, reply, &error);
        *failed = true;
        return TS_OK;
    }
    read_usage(out, ts_json_get(document, "usage"));
    read_origin(out, document);
    const ts_json *choice = choice_of(document);
    return choice ? add_choice(out, choice, true) : TS_OK;
}

/* A stream that ends before a finish_reason came was cut off: what it cost nobody knows. */
static ts_status read_stream(ts_completion *out, ts_runtime *runtime, const ts_http_reply *reply)
{
    ts_events events = {.text = reply->body, .size = reply->size, .data.runtime = runtime};
    bool failed = false;
    ts_status status = TS_OK;
    while (status == TS_OK && !failed && ts_events_next(&events)) {
        ts_json *document;
        if (events.data.size == 0)
            continue; /* to keep the connection alive */
        if (strcmp(events.data.data, "[DONE]") == 0)
            break;
        status = ts_json_parse(&document, runtime, events.data.data, events.data.size, 0, "an event");
        if (status != TS_OK)
            break;
        status = read_event(out, reply, document, &failed);
        ts_json_free(document);
    }
    ts_bytes_free(&events.data);
    TS_TRY(events.status);
    if (status == TS_ERROR_FORMAT || status == TS_ERROR_LIMIT)
        return set_invalid(out, ts_error_detail());
    if (status != TS_OK || failed)
        return status;
    if (out->finish[0] == 0 && out->verdict != TS_VERDICT_FILTERED) {
        set_invalid(out, "the stream was cut off");
        out->verdict = TS_VERDICT_DOUBT;
        return TS_OK;
    }
    return judge_text(out);
}

static ts_status read_success(ts_completion *out, ts_runtime *runtime, const ts_http_reply *reply)
{
    ts_json *document;
    if (reply->events)
        return read_stream(out, runtime, reply);
    ts_status status = ts_json_parse(&document, runtime, reply->body, reply->size, 0, "the reply");
    if (status == TS_ERROR_FORMAT || status == TS_ERROR_LIMIT)
        return set_invalid(out, ts_error_detail());
    TS_TRY(status);
    status = read_document(out, runtime, reply, document);
    ts_json_free(document);
    return status;
}

static void empty(ts_completion *out)
{
    ts_bytes text = out->text;
    text.size = 0;
    *out = (ts_completion){.endpoint = out->endpoint, .text = text};
}

ts_status ts_completion_read_json(ts_completion *out, ts_runtime *runtime, long code, const ts_json *body)
{
    const ts_http_reply reply = {.code = code, .limits.should_retry = -1};
    service_error error = {.message = ""};
    empty(out);
    if (code >= 200 && code < 300)
        return read_document(out, runtime, &reply, body);
    read_error(body, &error);
    out->verdict = judge_error(code, &error, -1);
    describe(out, code, &error);
    return TS_OK;
}

ts_status ts_completion_read(ts_completion *out, ts_runtime *runtime, const ts_http_reply *reply)
{
    empty(out);
    if (reply->end != TS_HTTP_REPLIED) {
        snprintf(out->detail, sizeof out->detail, "%s", reply->detail);
        out->verdict = reply->end == TS_HTTP_UNSENT ? TS_VERDICT_RETRY : reply->end == TS_HTTP_UNKNOWN ? TS_VERDICT_DOUBT : TS_VERDICT_STOP;
        return TS_OK;
    }
    return reply->code >= 200 && reply->code < 300 ? read_success(out, runtime, reply) : read_failure(out, runtime, reply);
}

/* Completions by a model behind a chat service: asked for, kept in a journal, and taken off the beginnings that they repeat; raw ones are as they
 * come. */
#include "evaluator/chat_judge.h"

#include "chat/chat.h"
#include "text/text.h"

enum { MOST_PER_PROMPT = 100000 };

typedef struct completer {
    ts_evaluator prompts;       /* of its fields the runtime and the records: prompts without completions, checked as records are */
    ts_judge_template template; /* not for raw completions */
    bool raw;
    ts_chat *chat;
} completer;

/* ---- asking: job repeat * prompts + prompt, so that more completions leave those before as they are ---- */

static const ts_kept_record *prompt_of(const completer *c, uint64_t job)
{
    return &c->prompts.records[job % c->prompts.count];
}

static ts_status write_prompt(void *user, uint64_t job, ts_bytes *out)
{
    const completer *c = user;
    const ts_kept_record *prompt = prompt_of(c, job);
    return c->raw ? ts_bytes_add(out, prompt->fields.prompt, prompt->fields.prompt_size) : ts_judge_template_complete(&c->template, prompt, out);
}

/* ---- what a reply writes behind a beginning ---- */

static ts_class class_at(const char *text, size_t size)
{
    uint32_t code;
    ts_utf8_decode(text, size, &code);
    return ts_unicode_class(code);
}

static size_t skip_spaces(const char *text, size_t size)
{
    size_t at = 0;
    uint32_t code;
    for (size_t length; at < size && class_at(text + at, size - at) == TS_CLASS_SPACE; at += length)
        length = ts_utf8_decode(text + at, size - at, &code);
    return at;
}

/* Passes the marks and spaces at the beginning's end, as many of the reply as of the beginning: a quotation mark may be another. */
static size_t pass_marks(const char *marks, size_t left, const char *reply, size_t size)
{
    uint32_t code;
    size_t at = 0;
    for (size_t length; left > 0; marks += length, left -= length) {
        size_t next = at + skip_spaces(reply + at, size - at);
        length = ts_utf8_decode(marks, left, &code);
        if (class_at(marks, left) == TS_CLASS_SPACE)
            at = next;
        else if (next == size || class_at(reply + next, size - next) != TS_CLASS_OTHER)
            break;
        else
            at = next + ts_utf8_decode(reply + next, size - next, &code);
    }
    return at;
}

/* The bytes of a word by which it begins with another, as words are compared; 0: it does not. */
static size_t shared_bytes(const char *own, size_t own_size, const char *word, size_t word_size)
{
    size_t left = own_size;
    for (char a, b; word_size > 0;)
        if (ts_plain_word_fold(&own, &left, &a, 1) == 0 || ts_plain_word_fold(&word, &word_size, &b, 1) == 0 || a != b)
            return 0;
    return own_size - left;
}

/* What stands in a reply behind the beginning that it repeats word by word, the last of which it may go on with; NULL: it does not repeat it. */
static const char *behind(const ts_record *prompt, const char *reply, size_t size)
{
    const char *asked = prompt->prompt, *said = reply, *word, *own, *marks = NULL, *stop = NULL;
    size_t left = prompt->prompt_size, rest = size, marks_size = 0, word_size, own_size;
    while (ts_plain_word(&asked, &left, &word, &word_size)) {
        if (!ts_plain_word(&said, &rest, &own, &own_size))
            return NULL;
        size_t same = shared_bytes(own, own_size, word, word_size);
        if (same == 0 || (same < own_size && left > 0))
            return NULL;
        stop = own + same;
        marks = asked;
        marks_size = left;
    }
    return stop ? stop + pass_marks(marks, marks_size, stop, (size_t)(reply + size - stop)) : NULL;
}

/* Whether a space is missing between a beginning and what is to stand behind it. */
static bool wants_space(const ts_record *prompt, const char *reply, size_t size)
{
    char last = prompt->prompt_size > 0 ? prompt->prompt[prompt->prompt_size - 1] : ' ';
    bool whole = (last >= 'a' && last <= 'z') || (last >= 'A' && last <= 'Z') || (last >= '0' && last <= '9') || strchr(".,;:!?", last) != NULL;
    return whole && size > 0 && (class_at(reply, size) != TS_CLASS_OTHER || *reply == '"');
}

static ts_status add_completion(ts_evaluator *e, const ts_kept_record *prompt, bool raw, const char *model, const char *reply, size_t size)
{
    ts_bytes spaced = {.runtime = e->runtime};
    ts_record record = prompt->fields;
    const char *found = raw ? reply : record.prompt_size > 0 ? behind(&record, reply, size) : NULL;
    record.model = model;
    record.completion = found ? found : reply;
    record.completion_size = (size_t)(reply + size - record.completion);
    ts_status status = TS_OK;
    if (!found && wants_space(&record, reply, size)) {
        status = ts_bytes_format(&spaced, " ");
        status = status ? status : ts_bytes_add(&spaced, reply, size);
        record.completion = spaced.data;
        record.completion_size = spaced.size;
    }
    status = status ? status : ts_records_add(e, &record);
    ts_bytes_free(&spaced);
    return status;
}

/* ---- a run ---- */

static ts_status take_prompts(completer *c, const ts_record *const *prompts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ts_record own = {.struct_size = sizeof own};
        if (!prompts[i])
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "prompts[%zu] is NULL", i);
        TS_TRY(ts_options_read(&own, sizeof own, prompts[i], "ts_record"));
        own.completion = own.model = NULL;
        own.completion_size = 0;
        if (own.prompt_size == 0 && c->raw)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "prompts[%zu] has no beginning that a raw completion could go on with", i);
        if (own.prompt_size == 0 && !ts_record_is_instructed(&own))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "prompts[%zu] has neither a beginning nor an instruction", i);
        TS_TRY(ts_records_add(&c->prompts, &own));
    }
    return count > 0 ? TS_OK : ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no prompt to complete");
}

static ts_status open_chat(completer *c, const ts_completer_options *o)
{
    ts_chat_options chat;
    TS_TRY(ts_chat_options_init(&chat, sizeof chat)); /* UNSUPPORTED where there are no chat services */
    if (!o->chat)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_completer_options.chat is NULL");
    TS_TRY(ts_options_read(&chat, sizeof chat, o->chat, "ts_chat_options"));
    if (!c->raw)
        TS_TRY(ts_judge_template_read(&c->template, c->prompts.runtime, o->templates));
    const uint64_t numbers[] = {c->raw ? 0 : ts_judge_template_hash(&c->template, TS_JUDGE_COMPLETE, TS_JUDGE_TEXTS), ts_records_hash(&c->prompts),
                                c->prompts.count};
    ts_chat_endpoint endpoint = c->raw ? TS_CHAT_CONTINUATION : TS_CHAT_CONVERSATION;
    return ts_chat_open(&c->chat, c->prompts.runtime, &chat, endpoint, ts_hash(numbers, sizeof numbers, 0));
}

/* Counts what came; with `e` adds it, prompt by prompt. What the bound of tokens ended before any text is no completion: the model may have been
 * thinking. */
static ts_status take_replies(completer *c, const ts_completer_options *o, ts_evaluator *e, ts_completer_report *r)
{
    ts_bytes reply = {.runtime = c->prompts.runtime};
    const char *model = o->model ? o->model : ts_chat_model(c->chat);
    ts_detail detail;
    ts_status status = TS_OK;
    for (uint64_t i = 0; i < r->wanted && status == TS_OK; i++) {
        uint64_t job = i % o->per_prompt * c->prompts.count + i / o->per_prompt;
        ts_chat_answer answer = ts_chat_answer_of(c->chat, job);
        r->pending += answer == TS_CHAT_NONE;
        r->unusable += answer == TS_CHAT_UNUSABLE;
        if (!e || answer == TS_CHAT_NONE || answer == TS_CHAT_UNUSABLE)
            continue;
        reply.size = 0;
        ts_detail_keep(&detail);
        status = ts_chat_text(c->chat, job, &reply);
        bool none = answer == TS_CHAT_CUT && reply.size == 0;
        if (status == TS_OK && !none)
            status = add_completion(e, prompt_of(c, job), c->raw, model, reply.size ? reply.data : "", reply.size);
        if (status == TS_ERROR_LIMIT && e->count < TS_MOST_RECORDS) { /* it is longer than a record may be */
            status = TS_OK;
            none = true;
            ts_detail_put_back(&detail);
        }
        r->unusable += status == TS_OK && none;
        r->added += status == TS_OK && !none;
        r->ended += status == TS_OK && !none && answer == TS_CHAT_CUT;
    }
    ts_bytes_free(&reply);
    return status;
}

static ts_status ask(completer *c, ts_evaluator *e, const ts_completer_options *o, ts_progress progress, void *user, ts_completer_report *r)
{
    ts_chat_jobs jobs = {.count = (uint64_t)c->prompts.count * o->per_prompt, .step = 1, .user = c, .prompt = write_prompt};
    ts_detail detail;
    r->wanted = jobs.count;
    if (o->estimate) {
        TS_TRY(take_replies(c, o, NULL, r));
        return ts_chat_estimate(c->chat, &jobs, &r->chat);
    }
    ts_status status = ts_chat_run(c->chat, &jobs, progress, user);
    ts_detail_keep(&detail);
    ts_status taken = take_replies(c, o, status == TS_OK ? e : NULL, r);
    ts_chat_totals(c->chat, &r->chat);
    if (status == TS_OK)
        return taken;
    ts_detail_put_back(&detail);
    return status;
}

static ts_status check_options(const ts_completer_options *o)
{
    const ts_bounds numbers[] = {
        {"per_prompt", o->per_prompt, 1, MOST_PER_PROMPT}, {"estimate", o->estimate, 0, 1}, {"raw", o->raw, 0, 1}, {"reserved", o->reserved, 0, 0}};
    TS_TRY(ts_bounds_check("ts_completer_options", numbers, TS_COUNT_OF(numbers), false));
    if (o->raw && o->templates)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_completer_options.templates is '%s', expected NULL: raw completions have none", o->templates);
    return TS_OK;
}

static ts_status run(ts_evaluator *e, const ts_record *const *prompts, size_t count, const ts_completer_options *o, ts_progress progress, void *user,
                     ts_completer_report *r)
{
    completer c = {.prompts = {.runtime = e->runtime}, .template = {.runtime = e->runtime}, .raw = o->raw != 0};
    ts_status status = check_options(o);
    if (status == TS_OK)
        status = take_prompts(&c, prompts, count);
    if (status == TS_OK)
        status = open_chat(&c, o);
    if (status == TS_OK)
        status = ask(&c, e, o, progress, user, r);
    ts_chat_close(c.chat);
    ts_judge_template_free(&c.template);
    ts_records_free(&c.prompts);
    return status;
}

/* ---- the interface ---- */

static const ts_completer_options completer_defaults = {.struct_size = sizeof completer_defaults, .per_prompt = 10};

ts_status ts_completer_options_init(ts_completer_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &completer_defaults, sizeof completer_defaults, "ts_completer_options");
}

ts_status ts_evaluator_complete(ts_evaluator *evaluator, const ts_record *const *prompts, size_t count, const ts_completer_options *options,
                                ts_progress progress, void *progress_user, ts_completer_report *report)
{
    ts_completer_options own = completer_defaults;
    ts_completer_report out = {.struct_size = sizeof out};
    ts_detail detail;
    TS_TRY(ts_options_read(&own, sizeof own, options, "ts_completer_options"));
    if (report)
        TS_TRY(ts_report_check(report, "ts_completer_report"));
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_complete", prompts));
    ts_status status = ts_evaluator_may_add(evaluator);
    status = status ? status : run(evaluator, prompts, count, &own, progress, progress_user, &out);
    ts_detail_keep(&detail);
    ts_status written = report ? ts_report_write(report, &out, sizeof out, "ts_completer_report") : TS_OK;
    if (status != TS_OK)
        ts_detail_put_back(&detail);
    return ts_evaluator_leave(evaluator, status ? status : written);
}

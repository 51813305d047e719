/*
 * The client: jobs go through slots, each from its intent in the journal to its result in the journal. One round takes the replies that came, chooses what
 * to send next, puts all of that on the disk at once, sends, and waits.
 */
#define _GNU_SOURCE
#include "chat/client.h"
#include "chat/completions.h"
#include "chat/cost.h"
#include "chat/journal.h"
#include "chat/limits.h"

#include "text/text.h"

#include <math.h>
#include <stdio.h>

#define LONGEST_WAIT 1.0        /* seconds of one round */
#define BETWEEN_PROGRESS 0.1
#define DISK_PATIENCE 30.0      /* seconds that a full disk is waited for */

enum {
    MOST_INVALID = 3,           /* replies of one job that cannot be read */
    MOST_WRONG = 8,             /* requests in a row that the service will not take */
    LIMITED_ATTEMPTS = 4,       /* 429s count for so much less than other failures */
    DETAIL_SIZE = 512
};

/* HELD: the service did not take it, and takes others perhaps no more */
typedef enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_READY, SLOT_SENT, SLOT_HELD } slot_state;

typedef struct slot {
    slot_state state;
    uint64_t job;
    double due;               /* WAITING: when to send it */
    ts_bytes body;
    size_t prompt_size;
    ts_cost reserve;
    uint32_t failures, limited, invalid;
} slot;

struct ts_chat {
    ts_runtime *runtime;
    ts_chat_options options;
    char *model, *extra;
    ts_transport transport;
    ts_journal journal;
    ts_prices prices;
    ts_limits limits;
    ts_completion completion; /* of the reply that is looked at */
    ts_bytes prompt;
    slot *slots;
    size_t in_flight;
    double tokens_in_flight;
    uint64_t run_seed;        /* scatters waits */
    uint32_t wrong;           /* in a row */
    /* of the run that is going on */
    const ts_chat_jobs *jobs;
    uint64_t next, answered, settled; /* jobs looked at; answered, on the disk; answered, on their way there */
    ts_status stop;           /* why nothing more is sent */
    char detail[DETAIL_SIZE];
    double began, disk_failed, told; /* disk_failed: since when the journal cannot be written, or -1 */
};

/* ---- making ---- */

static ts_status copy_string(char **out, ts_runtime *runtime, const char *text)
{
    size_t size = text ? strlen(text) + 1 : 0;
    if (!text)
        return TS_OK;
    *out = ts_allocate(runtime, size);
    if (!*out)
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(*out, text, size);
    return TS_OK;
}

static ts_status set_up(ts_chat *chat, uint64_t configuration)
{
    ts_chat_options *o = &chat->options;
    TS_TRY(copy_string(&chat->model, chat->runtime, o->model));
    TS_TRY(copy_string(&chat->extra, chat->runtime, o->extra));
    TS_TRY(ts_prices_read(&chat->prices, chat->runtime, o));
    chat->slots = ts_allocate_array(chat->runtime, o->in_flight, sizeof *chat->slots);
    if (!chat->slots)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < o->in_flight; i++)
        chat->slots[i].body.runtime = chat->runtime;
    uint64_t fingerprint = ts_chat_options_fingerprint(o, configuration);
    TS_TRY(ts_journal_open(&chat->journal, chat->runtime, o->journal, fingerprint));
    chat->run_seed = ts_hash(chat->journal.run, strlen(chat->journal.run), fingerprint);
    ts_limits_init(&chat->limits, o->requests_per_minute, o->tokens_per_minute, o->in_flight, chat->transport.now(chat->transport.user));
    /* strings of the caller's are not kept */
    o->model = chat->model;
    o->extra = chat->extra;
    o->base_url = o->journal = o->key = o->key_file = o->ca_file = o->proxy = o->prices = NULL;
    return TS_OK;
}

ts_status ts_chat_open_on(ts_chat **out, ts_runtime *runtime, const ts_chat_options *options, uint64_t configuration, const ts_transport *transport)
{
    ts_chat *chat = ts_allocate(runtime, sizeof *chat);
    if (!chat) {
        transport->free(transport->user);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    chat->runtime = chat->prompt.runtime = chat->completion.text.runtime = chat->journal.runtime = runtime;
    chat->journal.lock = chat->journal.file = -1;
    chat->transport = *transport;
    ts_status status = ts_chat_options_check(&chat->options, runtime, options);
    if (status == TS_OK)
        status = set_up(chat, configuration);
    if (status != TS_OK)
        ts_chat_close(chat);
    else
        *out = chat;
    return status;
}

ts_status ts_chat_open(ts_chat **out, ts_runtime *runtime, const ts_chat_options *options, uint64_t configuration)
{
    ts_chat_options own;
    ts_transport transport;
    char key[TS_HTTP_MOST_KEY + 1];
    ts_bytes url = {.runtime = runtime};
    TS_TRY(ts_chat_options_check(&own, runtime, options));
    ts_status status = ts_chat_key_read(key, runtime, &own);
    size_t size = strlen(own.base_url);
    size -= size > 0 && own.base_url[size - 1] == '/';
    if (status == TS_OK)
        status = ts_bytes_format(&url, "%.*s/chat/completions", (int)TS_MIN(size, (size_t)8192), own.base_url);
    ts_http_options http = {.url = url.data, .key = key[0] ? key : NULL, .ca_file = own.ca_file, .proxy = own.proxy, .connect_seconds = own.connect_seconds,
                            .silent_seconds = own.silent_seconds, .total_seconds = own.total_seconds, .slots = own.in_flight};
    if (status == TS_OK)
        status = ts_http_open(&transport, runtime, &http);
    explicit_bzero(key, sizeof key);
    ts_bytes_free(&url);
    return status == TS_OK ? ts_chat_open_on(out, runtime, options, configuration, &transport) : status;
}

void ts_chat_close(ts_chat *chat)
{
    if (!chat)
        return;
    ts_runtime *runtime = chat->runtime;
    for (size_t i = 0; chat->slots && i < chat->options.in_flight; i++)
        ts_bytes_free(&chat->slots[i].body);
    chat->transport.free(chat->transport.user);
    ts_journal_close(&chat->journal);
    ts_bytes_free(&chat->prompt);
    ts_bytes_free(&chat->completion.text);
    ts_release(runtime, chat->slots);
    ts_release(runtime, chat->model);
    ts_release(runtime, chat->extra);
    ts_release(runtime, chat);
}

/* ---- a run's end ---- */

/* From now on nothing is sent; the first reason is the one that is told. */
static void stop(ts_chat *chat, ts_status status, const char *detail)
{
    if (chat->stop != TS_OK)
        return;
    chat->stop = status;
    snprintf(chat->detail, sizeof chat->detail, "%s", detail);
}

static void stop_job(ts_chat *chat, const slot *s, const char *what)
{
    char detail[DETAIL_SIZE];
    snprintf(detail, sizeof detail, "story %llu: %s: %s", (unsigned long long)s->job, what, chat->completion.detail);
    stop(chat, TS_ERROR_NETWORK, detail);
}

static void stop_held(ts_chat *chat)
{
    for (size_t i = 0; i < chat->options.in_flight; i++)
        if (chat->slots[i].state == SLOT_HELD)
            stop_job(chat, &chat->slots[i], "the service takes none of the requests");
}

/* A failure of ours (memory, mostly): nothing more is sent, and what is in flight is waited for. */
static void stop_on(ts_chat *chat, ts_status status)
{
    if (status != TS_OK)
        stop(chat, status, ts_error_detail());
}

/* ---- replies ---- */

/* What the reply cost: as the service counted, or estimated. */
static ts_cost cost_of(const ts_chat *chat, const slot *s)
{
    const ts_completion *c = &chat->completion;
    return c->counted ? ts_cost_of(&chat->prices, c->prompt_tokens, c->completion_tokens) : ts_cost_estimate(&chat->prices, s->prompt_size, c->text.size);
}

static ts_status note(ts_chat *chat, const slot *s, ts_event_kind kind, bool paid)
{
    const ts_completion *c = &chat->completion;
    bool result = kind == TS_EVENT_RESULT, text = result && c->verdict != TS_VERDICT_WRONG;
    ts_event event = {.kind = kind, .job = s->job, .verdict = c->verdict, .counted = !paid || c->counted,
                      .cost = paid ? cost_of(chat, s) : (ts_cost){0, 0, 0},
                      .finish = c->finish[0] ? c->finish : NULL, .detail = c->detail[0] ? c->detail : NULL,
                      .text = text ? (c->text.size ? c->text.data : "") : NULL, .text_size = text ? c->text.size : 0};
    return ts_journal_add(&chat->journal, &event);
}

/* Whether the service has ever taken a request of this journal: then one that it does not take is to blame itself. */
static bool is_proved(const ts_chat *chat)
{
    const ts_chat_report *totals = &chat->journal.totals;
    return totals->answered + totals->cut + totals->filtered > 0;
}

/* A reply that is one: what was held is tried once more. */
static void prove(ts_chat *chat, double now)
{
    chat->wrong = 0;
    for (size_t i = 0; i < chat->options.in_flight; i++)
        if (chat->slots[i].state == SLOT_HELD) {
            chat->slots[i].state = SLOT_WAITING;
            chat->slots[i].due = now;
        }
}

static ts_status finish(ts_chat *chat, slot *s, bool paid)
{
    chat->settled++;
    s->state = SLOT_FREE;
    return note(chat, s, TS_EVENT_RESULT, paid);
}

/* Sends a job again later, or gives the run up when it was tried too often. */
static void retry(ts_chat *chat, slot *s, const ts_http_reply *reply, double now)
{
    bool limited = reply->end == TS_HTTP_REPLIED && reply->code == 429;
    uint32_t count = limited ? ++s->limited / LIMITED_ATTEMPTS : ++s->failures, attempt = s->failures + s->limited;
    double delay = ts_retry_delay(chat->run_seed, s->job, attempt, reply->limits.retry_after);
    s->state = SLOT_WAITING;
    s->due = now + delay;
    if (limited)
        ts_limits_limited(&chat->limits, now, delay);
    if (count >= chat->options.attempts) {
        char what[64];
        snprintf(what, sizeof what, "given up after %u attempts", attempt);
        stop_job(chat, s, what);
    }
}

static ts_status heed(ts_chat *chat, slot *s, const ts_http_reply *reply, double now)
{
    ts_status status;
    switch (chat->completion.verdict) {
    case TS_VERDICT_TEXT:
    case TS_VERDICT_CUT:
    case TS_VERDICT_FILTERED:
        prove(chat, now);
        return finish(chat, s, reply->code < 300);
    case TS_VERDICT_INVALID:
        if (++s->invalid >= MOST_INVALID)
            return finish(chat, s, true);
        status = note(chat, s, TS_EVENT_DOUBT, true);
        retry(chat, s, reply, now);
        return status;
    case TS_VERDICT_DOUBT:
        status = note(chat, s, TS_EVENT_DOUBT, false);
        retry(chat, s, reply, now);
        return status;
    case TS_VERDICT_RETRY:
        status = note(chat, s, TS_EVENT_FAILED, false);
        retry(chat, s, reply, now);
        return status;
    case TS_VERDICT_WRONG:
        if (++chat->wrong >= MOST_WRONG)
            stop_job(chat, s, "the service takes none of the requests");
        if (is_proved(chat))
            return finish(chat, s, false);
        s->state = SLOT_HELD;
        return note(chat, s, TS_EVENT_FAILED, false);
    default:
        stop_job(chat, s, "nothing more is sent");
        s->state = SLOT_FREE;
        return note(chat, s, TS_EVENT_FAILED, false);
    }
}

static void take_replies(ts_chat *chat, double now)
{
    ts_http_reply reply;
    while (chat->transport.take(chat->transport.user, &reply)) {
        slot *s = &chat->slots[reply.slot];
        chat->in_flight--;
        chat->tokens_in_flight -= (double)(s->reserve.prompt_tokens + s->reserve.completion_tokens);
        if (reply.end == TS_HTTP_REPLIED)
            ts_limits_replied(&chat->limits, now, &reply.limits, chat->in_flight, chat->tokens_in_flight);
        s->state = SLOT_FREE; /* if there is no memory for reading it, it was sent in vain */
        ts_status status = ts_completion_read(&chat->completion, chat->runtime, &reply);
        stop_on(chat, status == TS_OK ? heed(chat, s, &reply, now) : status);
    }
}

/* ---- sending ---- */

static ts_status fill_slot(ts_chat *chat, slot *s, uint64_t job, double now)
{
    chat->prompt.size = s->body.size = 0;
    TS_TRY(chat->jobs->prompt(chat->jobs->user, job, &chat->prompt));
    TS_TRY(ts_completion_write(&s->body, &chat->options, chat->prompt.data, chat->prompt.size, ts_random_at(chat->journal.configuration, 0, job)));
    s->job = job;
    s->due = now;
    s->prompt_size = chat->prompt.size;
    s->reserve = ts_cost_reserve(&chat->prices, &chat->options, chat->prompt.size);
    s->failures = s->limited = s->invalid = 0;
    s->state = SLOT_WAITING;
    return TS_OK;
}

/* The next job that has no answer, into a free slot. */
static ts_status fill_slots(ts_chat *chat, double now)
{
    const ts_chat_jobs *jobs = chat->jobs;
    for (size_t i = 0; i < chat->options.in_flight && chat->next < jobs->count; i++) {
        slot *s = &chat->slots[i];
        while (s->state == SLOT_FREE && chat->next < jobs->count) {
            uint64_t job = jobs->first + chat->next++ * jobs->step;
            if (ts_journal_job(&chat->journal, job).state == TS_JOB_DONE)
                chat->settled++;
            else
                TS_TRY(fill_slot(chat, s, job, now));
        }
    }
    return TS_OK;
}

static double tokens_of(const slot *s)
{
    return (double)(s->reserve.prompt_tokens + s->reserve.completion_tokens);
}

/* Chooses what may go now, and notes the intents. *wait becomes the time until something else may. */
static ts_status choose(ts_chat *chat, double now, double *wait)
{
    for (size_t i = 0; i < chat->options.in_flight; i++) {
        slot *s = &chat->slots[i];
        if (s->state != SLOT_WAITING)
            continue;
        double held = fmax(s->due - now, ts_limits_wait(&chat->limits, now, tokens_of(s), chat->in_flight));
        if (held > 0) {
            *wait = fmin(*wait, held);
            continue;
        }
        ts_status allowed = ts_cost_allow(&chat->options, &chat->journal.totals, &s->reserve);
        if (allowed != TS_OK) {
            if (chat->in_flight == 0)
                stop(chat, allowed, ts_error_detail());
            break; /* what is in flight may turn out to cost less */
        }
        ts_event event = {.kind = TS_EVENT_INTENT, .job = s->job, .cost = s->reserve};
        TS_TRY(ts_journal_add(&chat->journal, &event));
        ts_limits_sent(&chat->limits, now, tokens_of(s));
        chat->in_flight++;
        chat->tokens_in_flight += tokens_of(s);
        s->state = SLOT_READY;
    }
    return TS_OK;
}

/* Takes an intent back whose request was never sent. */
static ts_status withdraw(ts_chat *chat, slot *s)
{
    ts_event event = {.kind = TS_EVENT_FAILED, .job = s->job, .counted = true, .detail = "not sent"};
    s->state = SLOT_FREE;
    chat->in_flight--;
    chat->tokens_in_flight -= tokens_of(s);
    return ts_journal_add(&chat->journal, &event);
}

static ts_status send_ready(ts_chat *chat)
{
    for (size_t i = 0; i < chat->options.in_flight; i++) {
        slot *s = &chat->slots[i];
        char key[TS_JOURNAL_KEY_SIZE];
        if (s->state != SLOT_READY)
            continue;
        ts_journal_key(&chat->journal, s->job, key);
        ts_status status = chat->transport.start(chat->transport.user, i, s->body.data, s->body.size, key);
        if (status != TS_OK)
            return status;
        s->state = SLOT_SENT;
    }
    return TS_OK;
}

static ts_status withdraw_ready(ts_chat *chat)
{
    for (size_t i = 0; i < chat->options.in_flight; i++)
        if (chat->slots[i].state == SLOT_READY)
            TS_TRY(withdraw(chat, &chat->slots[i]));
    return TS_OK;
}

/* Puts what is noted on the disk. While that fails nothing is sent and replies are kept in memory; after a while the run stops. */
static void sync_journal(ts_chat *chat, double now)
{
    ts_status status = ts_journal_sync(&chat->journal);
    if (status == TS_OK) {
        chat->answered = chat->settled;
        chat->disk_failed = -1;
        return;
    }
    if (chat->disk_failed < 0) {
        chat->disk_failed = now;
        ts_log(chat->runtime, TS_LOG_WARNING, "nothing more is sent for now: %s", ts_error_detail());
    }
    if (chat->journal.broken != TS_OK || now - chat->disk_failed >= DISK_PATIENCE)
        stop(chat, status, ts_error_detail());
}

/* ---- the run ---- */

static bool sent_any(const ts_chat *chat)
{
    for (size_t i = 0; i < chat->options.in_flight; i++)
        if (chat->slots[i].state == SLOT_SENT)
            return true;
    return false;
}

static bool all_answered(const ts_chat *chat)
{
    return chat->answered >= chat->jobs->count && chat->journal.pending.size == 0;
}

static bool is_over(const ts_chat *chat)
{
    return all_answered(chat) || (chat->stop != TS_OK && !sent_any(chat));
}

/* Nothing is on its way or will be but what the service did not take. */
static bool is_held_up(const ts_chat *chat)
{
    size_t held = 0, free_slots = 0;
    for (size_t i = 0; i < chat->options.in_flight; i++) {
        held += chat->slots[i].state == SLOT_HELD;
        free_slots += chat->slots[i].state == SLOT_FREE;
    }
    return held > 0 && held + free_slots == chat->options.in_flight && (free_slots == 0 || chat->next >= chat->jobs->count);
}

static ts_status one_round(ts_chat *chat)
{
    double now = chat->transport.now(chat->transport.user), wait = LONGEST_WAIT;
    take_replies(chat, now);
    if (chat->options.max_seconds > 0 && now - chat->began >= chat->options.max_seconds)
        stop(chat, TS_ERROR_LIMIT, "options.max_seconds is reached");
    if (chat->stop == TS_OK && chat->disk_failed < 0)
        stop_on(chat, fill_slots(chat, now));
    if (chat->stop == TS_OK && is_held_up(chat))
        stop_held(chat);
    if (chat->stop == TS_OK && chat->disk_failed < 0)
        stop_on(chat, choose(chat, now, &wait));
    sync_journal(chat, now);
    if (chat->stop == TS_OK && chat->disk_failed < 0)
        stop_on(chat, send_ready(chat));
    if (chat->stop != TS_OK)
        stop_on(chat, withdraw_ready(chat));
    return is_over(chat) ? TS_OK : chat->transport.wait(chat->transport.user, wait);
}

/* Nonzero from progress stops the sending; 2 and more gives up what is in flight as well. */
static bool tell(ts_chat *chat, ts_progress progress, void *user, uint64_t *told)
{
    double now = chat->transport.now(chat->transport.user);
    if (!progress || (*told == chat->answered && now - chat->told < BETWEEN_PROGRESS))
        return false;
    *told = chat->answered;
    chat->told = now;
    int32_t answer = progress(user, chat->answered, chat->jobs->count);
    if (answer != 0)
        stop(chat, TS_ERROR_CANCELLED, "stopped by the progress callback");
    return answer >= 2;
}

static void abandon(ts_chat *chat)
{
    for (size_t i = 0; i < chat->options.in_flight; i++) {
        if (chat->slots[i].state == SLOT_SENT)
            chat->transport.cancel(chat->transport.user, i);
        chat->slots[i].state = SLOT_FREE;
    }
    chat->in_flight = 0;
    chat->tokens_in_flight = 0;
}

static ts_status check_jobs(const ts_chat_jobs *jobs)
{
    if (jobs->first < TS_JOURNAL_MOST_JOB && (jobs->count == 0 || (TS_JOURNAL_MOST_JOB - 1 - jobs->first) / jobs->step >= jobs->count - 1))
        return TS_OK;
    return ts_fail(TS_ERROR_INVALID_ARGUMENT, "stories %llu and on, %llu of them, are beyond the last one of 2^53", (unsigned long long)jobs->first,
                   (unsigned long long)jobs->count);
}

ts_status ts_chat_run(ts_chat *chat, const ts_chat_jobs *jobs, ts_progress progress, void *progress_user)
{
    uint64_t told = UINT64_MAX;
    ts_status status = TS_OK;
    TS_TRY(check_jobs(jobs));
    chat->jobs = jobs;
    chat->next = chat->answered = chat->settled = 0;
    chat->stop = TS_OK;
    chat->disk_failed = -1;
    chat->began = chat->transport.now(chat->transport.user);
    bool over = false;
    while (!over) {
        status = one_round(chat);
        over = tell(chat, progress, progress_user, &told) || status != TS_OK || is_over(chat);
    }
    stop_on(chat, status); /* of the transport: what is in flight stays unknown */
    bool all = all_answered(chat);
    abandon(chat);
    if (!all)
        stop_on(chat, ts_journal_sync(&chat->journal));
    return chat->stop == TS_OK || (all && chat->stop != TS_ERROR_NETWORK) ? TS_OK : ts_fail(chat->stop, "%s", chat->detail);
}

/* ---- what came of it ---- */

ts_chat_answer ts_chat_answer_of(const ts_chat *chat, uint64_t number)
{
    ts_job job = ts_journal_job(&chat->journal, number);
    return job.state != TS_JOB_DONE ? TS_CHAT_NONE : job.verdict == TS_VERDICT_TEXT ? TS_CHAT_TEXT : TS_CHAT_UNUSABLE;
}

ts_status ts_chat_text(ts_chat *chat, uint64_t job, ts_bytes *text)
{
    chat->prompt.size = 0;
    TS_TRY(ts_journal_text(&chat->journal, job, &chat->prompt));
    const char *trimmed = chat->prompt.size ? chat->prompt.data : "";
    size_t size = chat->prompt.size;
    ts_trim(&trimmed, &size);
    return ts_bytes_add(text, trimmed, size);
}

void ts_chat_totals(const ts_chat *chat, ts_chat_report *report)
{
    *report = chat->journal.totals;
}

ts_status ts_chat_estimate(ts_chat *chat, const ts_chat_jobs *jobs, ts_chat_report *report)
{
    *report = (ts_chat_report){.struct_size = sizeof *report};
    TS_TRY(check_jobs(jobs));
    for (uint64_t i = 0; i < jobs->count; i++) {
        uint64_t job = jobs->first + i * jobs->step;
        if (ts_journal_job(&chat->journal, job).state == TS_JOB_DONE)
            continue;
        chat->prompt.size = 0;
        TS_TRY(jobs->prompt(jobs->user, job, &chat->prompt));
        ts_cost prompt = ts_cost_estimate(&chat->prices, chat->prompt.size, 0), most = ts_cost_reserve(&chat->prices, &chat->options, 0);
        report->requests++;
        report->prompt_tokens += prompt.prompt_tokens;
        report->completion_tokens += most.completion_tokens;
        report->money += ts_cost_of(&chat->prices, prompt.prompt_tokens, most.completion_tokens).money;
    }
    report->estimated_tokens = report->prompt_tokens + report->completion_tokens;
    return TS_OK;
}

const char *ts_chat_model(const ts_chat *chat)
{
    return chat->model;
}

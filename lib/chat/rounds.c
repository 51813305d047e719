/* Rounds: replies taken, requests chosen, the journal synced, requests sent. */
#include "chat/rounds.h"

#include <math.h>
#include <stdio.h>

#define LONGEST_WAIT 1.0   /* seconds of one round */
#define DISK_PATIENCE 30.0 /* seconds that a full disk is waited for */

enum {
    MOST_INVALID = 3,    /* replies of one job that cannot be read */
    MOST_WRONG = 8,      /* requests in a row that the service will not take */
    LIMITED_ATTEMPTS = 4 /* 429s count for so much less than other failures */
};

/* ---- a run's end ---- */

void ts_chat_stop(ts_chat *chat, ts_status status, const char *detail)
{
    if (chat->stop != TS_OK)
        return;
    chat->stop = status;
    snprintf(chat->detail, sizeof chat->detail, "%s", detail);
}

static void stop_job(ts_chat *chat, const slot *s, const char *what)
{
    char detail[TS_CHAT_DETAIL_SIZE];
    snprintf(detail, sizeof detail, "request %llu: %s: %s", (unsigned long long)s->job, what, chat->completion.detail);
    ts_chat_stop(chat, TS_ERROR_NETWORK, detail);
}

static void stop_held(ts_chat *chat)
{
    for (size_t i = 0; i < chat->options.in_flight; i++)
        if (chat->slots[i].state == SLOT_HELD)
            stop_job(chat, &chat->slots[i], "the service takes none of the requests");
}

void ts_chat_stop_on(ts_chat *chat, ts_status status)
{
    if (status != TS_OK)
        ts_chat_stop(chat, status, ts_error_detail());
}

/* ---- replies ---- */

static void hide_key(ts_chat *chat)
{
    ts_completion *c = &chat->completion;
    if (!chat->transport.hide)
        return;
    const struct {
        char *text;
        size_t size;
    } all[] = {{c->text.data, c->text.size},
               {c->finish, strlen(c->finish)},
               {c->model, strlen(c->model)},
               {c->fingerprint, strlen(c->fingerprint)},
               {c->detail, strlen(c->detail)}};
    for (size_t i = 0; i < TS_COUNT_OF(all); i++)
        if (all[i].size > 0)
            chat->transport.hide(chat->transport.user, all[i].text, all[i].size);
    if (c->detail[0])
        ts_fail(TS_ERROR_FORMAT, "%s", c->detail); /* in place of what reading it said, with the key */
}

ts_status ts_chat_read(ts_chat *chat, const ts_http_reply *reply)
{
    TS_TRY(ts_completion_read(&chat->completion, chat->runtime, reply));
    hide_key(chat);
    return TS_OK;
}

ts_status ts_chat_read_json(ts_chat *chat, long code, const ts_json *body)
{
    TS_TRY(ts_completion_read_json(&chat->completion, chat->runtime, code, body));
    hide_key(chat);
    return TS_OK;
}

/* What the reply cost: as the service counted, or estimated. */
static ts_cost cost_of(const ts_chat *chat, const slot *s)
{
    const ts_completion *c = &chat->completion;
    return c->counted ? ts_cost_of(&chat->prices, c->prompt_tokens, c->completion_tokens)
                      : ts_cost_estimate(&chat->prices, s->prompt_size, c->text.size);
}

static const char *said(const char *text)
{
    return text[0] ? text : NULL;
}

uint64_t ts_chat_prompt_hash(const ts_chat *chat)
{
    return ts_hash(chat->prompt.data, chat->prompt.size, 0);
}

ts_status ts_chat_note_result(ts_chat *chat, const ts_chat_jobs *jobs, uint64_t job, uint64_t prompt, const ts_cost *cost, bool counted)
{
    const ts_completion *c = &chat->completion;
    const char *text = c->verdict == TS_VERDICT_WRONG ? NULL : c->text.size ? c->text.data : "";
    ts_event event = {.kind = TS_EVENT_RESULT,
                      .job = job,
                      .verdict = c->verdict,
                      .counted = counted,
                      .cost = *cost,
                      .prompt = prompt,
                      .finish = said(c->finish),
                      .model = said(c->model),
                      .fingerprint = said(c->fingerprint),
                      .detail = said(c->detail),
                      .text = text,
                      .text_size = text ? c->text.size : 0};
    chat->about.size = 0;
    if (jobs->about) {
        TS_TRY(jobs->about(jobs->user, job, c->verdict == TS_VERDICT_TEXT ? text : NULL, c->text.size, &chat->about, &event.unfit));
        event.about = chat->about.data;
    }
    return ts_journal_add(&chat->journal, &event);
}

/* What is no result; what it cost nobody knows, if not nothing. */
static ts_status note(ts_chat *chat, const slot *s, ts_event_kind kind, bool paid)
{
    const ts_completion *c = &chat->completion;
    ts_event event = {.kind = kind,
                      .job = s->job,
                      .counted = !paid || c->counted,
                      .cost = paid ? cost_of(chat, s) : (ts_cost){0, 0, 0},
                      .finish = said(c->finish),
                      .detail = said(c->detail)};
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
    ts_cost cost = paid ? cost_of(chat, s) : (ts_cost){0, 0, 0};
    s->state = SLOT_FREE;
    TS_TRY(ts_chat_note_result(chat, chat->jobs, s->job, s->prompt, &cost, !paid || chat->completion.counted));
    chat->settled++;
    return TS_OK;
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

static ts_status write_body(ts_chat *chat, slot *s, uint64_t job, const char *members)
{
    chat->prompt.size = s->body.size = 0;
    TS_TRY(chat->jobs->prompt(chat->jobs->user, job, &chat->prompt));
    s->extended = members != NULL;
    return ts_completion_write(&s->body, &chat->options, chat->journal.endpoint, chat->prompt.data, chat->prompt.size, members,
                               ts_random_at(chat->journal.configuration, 0, job));
}

/* A request that may have been refused for its further members goes at once without them. */
static ts_status send_plain(ts_chat *chat, slot *s, double now)
{
    TS_TRY(note(chat, s, TS_EVENT_FAILED, false));
    TS_TRY(write_body(chat, s, s->job, NULL));
    s->refused = true;
    s->state = SLOT_WAITING;
    s->due = now;
    return TS_OK;
}

/* What was refused with its members is answered without: these are what the service does not take. */
static void learn_plain(ts_chat *chat, const slot *s)
{
    if (s->refused && !chat->plain)
        ts_log(chat->runtime, TS_LOG_WARNING, "%s refuses requests for JSON by a schema: they are sent without, and replies are read as text", chat->base_url);
    chat->plain = chat->plain || s->refused;
}

static ts_status heed(ts_chat *chat, slot *s, const ts_http_reply *reply, double now)
{
    ts_status status;
    if (s->extended && reply->end == TS_HTTP_REPLIED && (reply->code == 400 || reply->code == 422) && chat->completion.verdict != TS_VERDICT_FILTERED)
        return send_plain(chat, s, now);
    switch (chat->completion.verdict) {
    case TS_VERDICT_TEXT:
    case TS_VERDICT_CUT:
    case TS_VERDICT_FILTERED:
        prove(chat, now);
        learn_plain(chat, s);
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
        ts_status status = ts_chat_read(chat, &reply);
        ts_chat_stop_on(chat, status == TS_OK ? heed(chat, s, &reply, now) : status);
    }
}

/* ---- sending ---- */

static ts_status fill_slot(ts_chat *chat, slot *s, uint64_t job, double now)
{
    TS_TRY(write_body(chat, s, job, ts_chat_members(chat, chat->jobs, job)));
    s->job = job;
    s->due = now;
    s->prompt_size = chat->prompt.size;
    s->prompt = ts_chat_prompt_hash(chat);
    s->reserve = ts_cost_reserve(&chat->prices, &chat->options, chat->prompt.size);
    s->failures = s->limited = s->invalid = 0;
    s->refused = false;
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
            if (!ts_chat_needs(chat, jobs, job))
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

static bool is_retry(const slot *s)
{
    return s->failures + s->limited > 0;
}

/* Seconds until a slot's request may go. */
static double held_for(ts_chat *chat, const slot *s, double now)
{
    double held = fmax(s->due - now, ts_limits_wait(&chat->limits, now, tokens_of(s), chat->in_flight));
    return is_retry(s) ? fmax(held, ts_limits_wait_again(&chat->limits, now)) : held;
}

/* Chooses what may go now, and notes the intents. *wait becomes the time until something else may. */
static ts_status choose(ts_chat *chat, double now, double *wait)
{
    for (size_t i = 0; i < chat->options.in_flight; i++) {
        slot *s = &chat->slots[i];
        if (s->state != SLOT_WAITING)
            continue;
        double held = held_for(chat, s, now);
        if (held > 0) {
            *wait = fmin(*wait, held);
            continue;
        }
        ts_status allowed = ts_cost_allow(&chat->options, &chat->journal.totals, &s->reserve);
        if (allowed != TS_OK) {
            if (chat->in_flight == 0)
                ts_chat_stop(chat, allowed, ts_error_detail());
            break; /* what is in flight may turn out to cost less */
        }
        ts_event event = {.kind = TS_EVENT_INTENT, .job = s->job, .cost = s->reserve, .prompt = s->prompt};
        TS_TRY(ts_journal_add(&chat->journal, &event));
        ts_limits_sent(&chat->limits, now, tokens_of(s), is_retry(s));
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
        ts_journal_key(&chat->journal, s->job, chat->jobs->members && !s->extended, key);
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
        ts_chat_stop(chat, status, ts_error_detail());
}

/* ---- a round ---- */

static bool sent_any(const ts_chat *chat)
{
    for (size_t i = 0; i < chat->options.in_flight; i++)
        if (chat->slots[i].state == SLOT_SENT)
            return true;
    return false;
}

bool ts_chat_all_answered(const ts_chat *chat)
{
    return chat->answered >= chat->jobs->count && chat->journal.pending.size == 0;
}

bool ts_chat_is_over(const ts_chat *chat)
{
    return ts_chat_all_answered(chat) || (chat->stop != TS_OK && !sent_any(chat));
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

ts_status ts_chat_round(ts_chat *chat)
{
    double now = chat->transport.now(chat->transport.user), wait = LONGEST_WAIT;
    take_replies(chat, now);
    if (chat->options.max_seconds > 0 && now - chat->began >= chat->options.max_seconds)
        ts_chat_stop(chat, TS_ERROR_LIMIT, "options.max_seconds is reached");
    if (chat->stop == TS_OK && chat->disk_failed < 0)
        ts_chat_stop_on(chat, fill_slots(chat, now));
    if (chat->stop == TS_OK && is_held_up(chat))
        stop_held(chat);
    if (chat->stop == TS_OK && chat->disk_failed < 0)
        ts_chat_stop_on(chat, choose(chat, now, &wait));
    sync_journal(chat, now);
    if (chat->stop == TS_OK && chat->disk_failed < 0)
        ts_chat_stop_on(chat, send_ready(chat));
    if (chat->stop != TS_OK)
        ts_chat_stop_on(chat, withdraw_ready(chat));
    return ts_chat_is_over(chat) ? TS_OK : chat->transport.wait(chat->transport.user, wait);
}

void ts_chat_abandon(ts_chat *chat)
{
    for (size_t i = 0; i < chat->options.in_flight; i++) {
        if (chat->slots[i].state == SLOT_SENT)
            chat->transport.cancel(chat->transport.user, i);
        chat->slots[i].state = SLOT_FREE;
    }
    chat->in_flight = 0;
    chat->tokens_in_flight = 0;
}

/* What the journal's events add up to: the state of each job, and the totals. */
#include "chat/ledger.h"

static size_t place_of(const ts_job *jobs, size_t capacity, uint64_t number)
{
    size_t mask = capacity - 1, at = (size_t)ts_random_at(0, 0, number) & mask;
    while (jobs[at].used && jobs[at].number != number)
        at = (at + 1) & mask;
    return at;
}

ts_job ts_journal_job(const ts_journal *journal, uint64_t number)
{
    if (journal->job_capacity > 0) {
        const ts_job *job = &journal->jobs[place_of(journal->jobs, journal->job_capacity, number)];
        if (job->used)
            return *job;
    }
    return (ts_job){.number = number};
}

/* The table is never more than half full. */
static ts_status grow(ts_journal *journal)
{
    size_t capacity = TS_MAX(2 * journal->job_capacity, (size_t)256);
    ts_job *jobs = ts_allocate_array(journal->runtime, capacity, sizeof *jobs);
    if (!jobs)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < journal->job_capacity; i++)
        if (journal->jobs[i].used)
            jobs[place_of(jobs, capacity, journal->jobs[i].number)] = journal->jobs[i];
    ts_release(journal->runtime, journal->jobs);
    journal->jobs = jobs;
    journal->job_capacity = capacity;
    return TS_OK;
}

static ts_status find_or_make(ts_journal *journal, uint64_t number, ts_job **out)
{
    if (2 * (journal->job_count + 1) > journal->job_capacity)
        TS_TRY(grow(journal));
    ts_job *job = &journal->jobs[place_of(journal->jobs, journal->job_capacity, number)];
    journal->job_count += !job->used;
    job->used = true;
    job->number = number;
    *out = job;
    return TS_OK;
}

ts_status ts_ledger_reserve_job(ts_journal *journal, uint64_t number)
{
    ts_job *job;
    return find_or_make(journal, number, &job);
}

/* ---- totals ---- */

static bool in_doubt(const ts_job *job)
{
    return job->state == TS_JOB_OPEN || job->state == TS_JOB_DOUBT;
}

static void set_state(ts_chat_report *totals, ts_job *job, ts_job_state state)
{
    totals->unknown -= in_doubt(job);
    job->state = (uint8_t)state;
    totals->unknown += in_doubt(job);
}

static void reserve(ts_chat_report *totals, ts_job *job, const ts_cost *cost)
{
    job->reserve = *cost;
    totals->reserved_tokens += cost->prompt_tokens + cost->completion_tokens;
    totals->reserved_money += cost->money;
    totals->money += cost->money;
}

/* Nothing is set aside any more for what this cost was reserved for; with nothing reserved no rounding is left. */
static void release(ts_chat_report *totals, ts_cost *reserved)
{
    totals->reserved_tokens -= reserved->prompt_tokens + reserved->completion_tokens;
    totals->money -= reserved->money;
    totals->reserved_money = totals->reserved_tokens > 0 ? totals->reserved_money - reserved->money : 0;
    *reserved = (ts_cost){0, 0, 0};
}

/* What is open stays reserved, as an attempt of unknown outcome, until the job has its result. */
static void doubt(ts_job *job)
{
    ts_cost *sum = &job->doubtful, *open = &job->reserve;
    if (open->prompt_tokens + open->completion_tokens == 0)
        return;
    *sum = (ts_cost){sum->prompt_tokens + open->prompt_tokens, sum->completion_tokens + open->completion_tokens, sum->money + open->money};
    *open = (ts_cost){0, 0, 0};
    job->doubts++;
}

/* With the result it is known what a reply to this request costs: so much, and no more, may each attempt of unknown outcome have cost besides. */
static void settle_doubts(ts_chat_report *totals, ts_job *job, const ts_cost *cost)
{
    release(totals, &job->doubtful);
    totals->doubtful_tokens += job->doubts * (cost->prompt_tokens + cost->completion_tokens);
    totals->doubtful_money += job->doubts * cost->money;
    job->doubts = 0;
}

/* The reserve of what was open is what it cost after all, or nothing. */
static void settle(ts_chat_report *totals, ts_job *job, const ts_event *event)
{
    const ts_cost *cost = &event->cost;
    release(totals, &job->reserve);
    totals->money += cost->money;
    totals->prompt_tokens += cost->prompt_tokens;
    totals->completion_tokens += cost->completion_tokens;
    totals->estimated_tokens += event->counted ? 0 : cost->prompt_tokens + cost->completion_tokens;
}

static void apply_intent(ts_chat_report *totals, ts_job *job, const ts_event *event)
{
    totals->requests++;
    totals->retries += job->attempts > 0;
    if (in_doubt(job) && !job->doubled) {
        job->doubled = true;
        totals->possibly_paid_twice++;
    }
    job->attempts++;
    doubt(job); /* a process that died left it open: it may have been paid */
    reserve(totals, job, &event->cost);
    set_state(totals, job, TS_JOB_OPEN);
}

/* What is the same reply to other requests. */
static ts_status note_text(ts_journal *journal, const ts_event *event)
{
    if (event->verdict != TS_VERDICT_TEXT)
        return TS_OK;
    TS_TRY(ts_tally_add(&journal->texts, ts_hash(event->text, event->text_size, 0)));
    journal->totals.repeated = journal->texts.seen - journal->texts.kinds;
    return TS_OK;
}

static void apply_result(ts_chat_report *totals, ts_job *job, const ts_event *event, uint64_t offset, size_t size)
{
    settle(totals, job, event);
    settle_doubts(totals, job, &event->cost);
    job->verdict = (uint8_t)event->verdict;
    job->unfit = (uint8_t)event->unfit;
    job->offset = offset;
    job->size = (uint32_t)size;
    totals->answered += event->verdict == TS_VERDICT_TEXT;
    totals->cut += event->verdict == TS_VERDICT_CUT;
    totals->filtered += event->verdict == TS_VERDICT_FILTERED || event->verdict == TS_VERDICT_WRONG;
    totals->invalid += event->verdict == TS_VERDICT_INVALID;
    totals->unfit += event->unfit;
    set_state(totals, job, TS_JOB_DONE);
}

ts_status ts_ledger_apply(ts_journal *journal, const ts_event *event, uint64_t offset, size_t size)
{
    ts_chat_report *totals = &journal->totals;
    ts_job *job;
    TS_TRY(find_or_make(journal, event->job, &job));
    if (job->state == TS_JOB_DONE)
        return TS_OK; /* the first result stays */
    switch (event->kind) {
    case TS_EVENT_INTENT:
        apply_intent(totals, job, event);
        break;
    case TS_EVENT_FAILED:
        settle(totals, job, event);
        set_state(totals, job, job->doubled ? TS_JOB_DOUBT : TS_JOB_NEW);
        break;
    case TS_EVENT_DOUBT:
        if (event->cost.prompt_tokens + event->cost.completion_tokens > 0)
            settle(totals, job, event);
        else
            doubt(job);
        set_state(totals, job, TS_JOB_DOUBT);
        break;
    default:
        apply_result(totals, job, event, offset, size);
        return note_text(journal, event);
    }
    return TS_OK;
}

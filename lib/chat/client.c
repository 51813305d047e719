/* The client: made, run, and asked what came of it. */
#define _GNU_SOURCE
#include "chat/client.h"
#include "chat/rounds.h"

#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>

#define BETWEEN_PROGRESS 0.1 /* seconds */

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

static ts_status set_up(ts_chat *chat, ts_chat_endpoint endpoint, uint64_t configuration)
{
    ts_chat_options *o = &chat->options;
    TS_TRY(copy_string(&chat->model, chat->runtime, o->model));
    TS_TRY(copy_string(&chat->extra, chat->runtime, o->extra));
    TS_TRY(copy_string(&chat->base_url, chat->runtime, o->base_url));
    TS_TRY(copy_string(&chat->journal_path, chat->runtime, o->journal));
    TS_TRY(ts_prices_read(&chat->prices, chat->runtime, o));
    chat->slots = ts_allocate_array(chat->runtime, o->in_flight, sizeof *chat->slots);
    if (!chat->slots)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < o->in_flight; i++)
        chat->slots[i].body.runtime = chat->runtime;
    uint64_t fingerprint = ts_chat_options_fingerprint(o, endpoint, configuration);
    TS_TRY(ts_journal_open(&chat->journal, chat->runtime, o->journal, endpoint, fingerprint));
    chat->run_seed = ts_hash(chat->journal.run, strlen(chat->journal.run), fingerprint);
    ts_limits_init(&chat->limits, o->requests_per_minute, o->tokens_per_minute, o->in_flight, chat->transport.now(chat->transport.user));
    /* strings of the caller's are not kept */
    o->model = chat->model;
    o->extra = chat->extra;
    o->base_url = o->journal = o->key = o->key_file = o->ca_file = o->proxy = o->prices = NULL;
    return TS_OK;
}

ts_status ts_chat_open_on(ts_chat **out, ts_runtime *runtime, const ts_chat_options *options, ts_chat_endpoint endpoint, uint64_t configuration,
                          const ts_transport *transport)
{
    ts_chat *chat = ts_allocate(runtime, sizeof *chat);
    if (!chat) {
        transport->free(transport->user);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    chat->runtime = chat->prompt.runtime = chat->about.runtime = chat->completion.text.runtime = chat->journal.runtime = runtime;
    chat->journal.lock = chat->journal.file = -1;
    chat->completion.endpoint = endpoint;
    chat->transport = *transport;
    ts_status status = ts_chat_options_check(&chat->options, runtime, options);
    if (status == TS_OK)
        status = set_up(chat, endpoint, configuration);
    if (status != TS_OK)
        ts_chat_close(chat);
    else
        *out = chat;
    return status;
}

ts_status ts_chat_open_to_read(ts_chat **out, ts_runtime *runtime, const char *journal)
{
    ts_chat *chat = ts_allocate(runtime, sizeof *chat);
    if (!chat)
        return TS_ERROR_OUT_OF_MEMORY;
    chat->runtime = chat->journal.runtime = runtime;
    ts_status status = ts_journal_open_to_read(&chat->journal, runtime, journal);
    if (status != TS_OK)
        ts_chat_close(chat);
    else
        *out = chat;
    return status;
}

ts_status ts_chat_open(ts_chat **out, ts_runtime *runtime, const ts_chat_options *options, ts_chat_endpoint endpoint, uint64_t configuration)
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
        status = ts_bytes_format(&url, "%.*s/%s", (int)size, own.base_url, ts_completion_path(endpoint));
    ts_http_options http = {.url = url.data,
                            .key = key[0] ? key : NULL,
                            .ca_file = own.ca_file,
                            .proxy = own.proxy,
                            .connect_seconds = own.connect_seconds,
                            .silent_seconds = own.stream ? own.silent_seconds : own.total_seconds, /* a whole reply says nothing until it is done */
                            .total_seconds = own.total_seconds,
                            .slots = own.in_flight};
    if (status == TS_OK)
        status = ts_http_open(&transport, runtime, &http);
    explicit_bzero(key, sizeof key);
    ts_bytes_free(&url);
    return status == TS_OK ? ts_chat_open_on(out, runtime, options, endpoint, configuration, &transport) : status;
}

void ts_chat_close(ts_chat *chat)
{
    if (!chat)
        return;
    ts_runtime *runtime = chat->runtime;
    for (size_t i = 0; chat->slots && i < chat->options.in_flight; i++)
        ts_bytes_free(&chat->slots[i].body);
    if (chat->transport.free) /* what is read alone has none */
        chat->transport.free(chat->transport.user);
    ts_journal_close(&chat->journal);
    ts_bytes_free(&chat->prompt);
    ts_bytes_free(&chat->about);
    ts_bytes_free(&chat->completion.text);
    ts_release(runtime, chat->slots);
    ts_release(runtime, chat->model);
    ts_release(runtime, chat->extra);
    ts_release(runtime, chat->base_url);
    ts_release(runtime, chat->journal_path);
    ts_release(runtime, chat);
}

/* ---- the run ---- */

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
        ts_chat_stop(chat, TS_ERROR_CANCELLED, "stopped by the progress callback");
    return answer >= 2;
}

ts_status ts_chat_jobs_check(const ts_chat_jobs *jobs)
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
    TS_TRY(ts_chat_jobs_check(jobs));
    if (jobs->goes_on && chat->stop != TS_OK)
        return ts_chat_left(chat, jobs) == 0 ? TS_OK : ts_fail(chat->stop, "%s", chat->detail);
    chat->jobs = jobs;
    chat->next = chat->answered = chat->settled = 0;
    chat->stop = TS_OK;
    chat->disk_failed = -1;
    if (!jobs->goes_on)
        chat->began = chat->transport.now(chat->transport.user);
    bool over = false;
    while (!over) {
        status = ts_chat_round(chat);
        over = tell(chat, progress, progress_user, &told) || status != TS_OK || ts_chat_is_over(chat);
    }
    ts_chat_stop_on(chat, status); /* of the transport: what is in flight stays unknown */
    bool all = ts_chat_all_answered(chat);
    ts_chat_abandon(chat);
    if (!all)
        ts_chat_stop_on(chat, ts_journal_sync(&chat->journal));
    bool enough = all && (chat->stop == TS_ERROR_CANCELLED || chat->stop == TS_ERROR_LIMIT); /* it was the end anyway */
    return chat->stop == TS_OK || enough ? TS_OK : ts_fail(chat->stop, "%s", chat->detail);
}

/* ---- what came of it ---- */

ts_chat_answer ts_chat_answer_of(const ts_chat *chat, uint64_t number)
{
    ts_job job = ts_journal_job(&chat->journal, number);
    if (job.state != TS_JOB_DONE)
        return TS_CHAT_NONE;
    return job.verdict == TS_VERDICT_TEXT ? TS_CHAT_TEXT : job.verdict == TS_VERDICT_CUT ? TS_CHAT_CUT : TS_CHAT_UNUSABLE;
}

uint64_t ts_chat_left(const ts_chat *chat, const ts_chat_jobs *jobs)
{
    uint64_t left = 0;
    for (uint64_t i = 0; i < jobs->count; i++)
        left += ts_chat_needs(chat, jobs, jobs->first + i * jobs->step);
    return left;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

ts_status ts_chat_answered(const ts_chat *chat, uint64_t **jobs, size_t *count)
{
    const ts_journal *journal = &chat->journal;
    *jobs = NULL;
    *count = 0;
    if (journal->job_count == 0)
        return TS_OK;
    *jobs = ts_allocate_array(chat->runtime, journal->job_count, sizeof **jobs);
    if (!*jobs)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < journal->job_capacity; i++) {
        const ts_job *job = &journal->jobs[i];
        if (job->used && job->state == TS_JOB_DONE && job->verdict == TS_VERDICT_TEXT)
            (*jobs)[(*count)++] = job->number;
    }
    qsort(*jobs, *count, sizeof **jobs, by_number);
    return TS_OK;
}

uint32_t ts_chat_unfit(const ts_chat *chat, uint64_t job)
{
    return ts_journal_job(&chat->journal, job).unfit;
}

ts_status ts_chat_result(ts_chat *chat, uint64_t job, ts_json **line)
{
    return ts_journal_result(&chat->journal, job, line);
}

ts_status ts_chat_text(ts_chat *chat, uint64_t job, ts_bytes *text)
{
    ts_json *line;
    TS_TRY(ts_chat_result(chat, job, &line));
    const char *written = ts_json_text(ts_json_get(line, "text")), *trimmed = written ? written : "";
    size_t size = strlen(trimmed);
    if (chat->journal.endpoint == TS_CHAT_CONVERSATION)
        ts_trim(&trimmed, &size);
    ts_status status = ts_bytes_add(text, trimmed, size);
    ts_json_free(line);
    return status;
}

ts_status ts_chat_merge(ts_chat *chat, const char *path, uint64_t *taken)
{
    return ts_journal_merge_from(&chat->journal, path, taken);
}

void ts_chat_totals(const ts_chat *chat, ts_chat_report *report)
{
    *report = chat->journal.totals;
}

ts_status ts_chat_estimate(ts_chat *chat, const ts_chat_jobs *jobs, ts_chat_report *report)
{
    *report = (ts_chat_report){.struct_size = sizeof *report};
    TS_TRY(ts_chat_jobs_check(jobs));
    for (uint64_t i = 0; i < jobs->count; i++) {
        uint64_t job = jobs->first + i * jobs->step;
        if (!ts_chat_needs(chat, jobs, job))
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

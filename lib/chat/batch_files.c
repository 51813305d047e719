/* Batch files: requests as lines of JSON, results read from such lines. */
#include "chat/batch_files.h"

#include "format/json.h"

#include <stdio.h>

enum {
    MOST_LINES = 50000,      /* of a file; as OpenAI has it */
    MOST_FILE = 200000000,   /* bytes */
    MOST_LINE = 2 * TS_HTTP_MOST_BODY,
    CHUNK = 256 << 10,
    SYNC_BYTES = 4 << 20     /* of the journal's lines between two syncs */
};

/* ---- requests ---- */

static ts_status add_line(ts_bytes *line, ts_chat *chat, const ts_chat_jobs *jobs, uint64_t job)
{
    ts_chat_options options = chat->options;
    char key[TS_JOURNAL_KEY_SIZE];
    options.stream = 0;
    line->size = chat->prompt.size = 0;
    TS_TRY(jobs->prompt(jobs->user, job, &chat->prompt));
    ts_journal_key(&chat->journal, job, false, key);
    TS_TRY(ts_bytes_format(line, "{\"custom_id\": \"%s\", \"method\": \"POST\", \"url\": \"/v1/%s\", \"body\": ", key,
                           ts_completion_path(chat->journal.endpoint)));
    TS_TRY(ts_completion_write(line, &options, chat->journal.endpoint, chat->prompt.data, chat->prompt.size, ts_chat_members(chat, jobs, job),
                               ts_random_at(chat->journal.configuration, 0, job)));
    return ts_bytes_add(line, "}\n", 2);
}

/* Whether another request of this cost is allowed besides those of the part, which `sum` has. */
static ts_status allow(const ts_chat *chat, ts_chat_report *sum, const ts_cost *cost)
{
    TS_TRY(ts_cost_allow(&chat->options, sum, cost));
    sum->requests++;
    sum->reserved_tokens += cost->prompt_tokens + cost->completion_tokens;
    sum->money += cost->money;
    return TS_OK;
}

static ts_status fill(ts_batch_part *part, ts_writer *writer, ts_bytes *line, ts_chat *chat, const ts_chat_jobs *jobs, uint64_t *next)
{
    ts_chat_report sum = chat->journal.totals;
    for (; *next < jobs->count && part->job_count < MOST_LINES; ++*next) {
        uint64_t job = jobs->first + *next * jobs->step;
        if (!ts_chat_needs(chat, jobs, job))
            continue;
        TS_TRY(add_line(line, chat, jobs, job));
        if (writer->written + line->size > MOST_FILE && part->job_count > 0)
            break;
        ts_cost cost = ts_cost_reserve(&chat->prices, &chat->options, chat->prompt.size);
        part->bound = allow(chat, &sum, &cost);
        if (part->bound != TS_OK)
            break;
        TS_TRY(ts_reserve(chat->runtime, &part->jobs, &part->job_capacity, part->job_count + 1, sizeof *part->jobs));
        part->jobs[part->job_count++] = job;
        ts_writer_bytes(writer, line->data, line->size);
    }
    return TS_OK;
}

ts_status ts_batch_part_write(ts_batch_part *part, ts_chat *chat, const ts_chat_jobs *jobs, uint64_t *next, const char *path)
{
    ts_bytes line = {.runtime = chat->runtime};
    ts_writer writer;
    size_t size = strlen(path) + 1;
    *part = (ts_batch_part){.path = ts_allocate(chat->runtime, size)};
    if (!part->path)
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(part->path, path, size);
    ts_status status = ts_writer_open(&writer, chat->runtime, path);
    if (status == TS_OK) {
        status = fill(part, &writer, &line, chat, jobs, next);
        if (status == TS_OK && part->job_count > 0)
            status = ts_writer_commit(&writer);
        else
            ts_writer_abandon(&writer);
    }
    ts_bytes_free(&line);
    if (status != TS_OK)
        ts_batch_part_free(part, chat->runtime);
    return status;
}

void ts_batch_part_free(ts_batch_part *part, ts_runtime *runtime)
{
    ts_release(runtime, part->path);
    ts_release(runtime, part->jobs);
    *part = (ts_batch_part){.path = NULL};
}

ts_status ts_batch_part_note(const ts_batch_part *part, ts_chat *chat, const ts_chat_jobs *jobs, bool sent)
{
    for (size_t i = 0; i < part->job_count; i++) {
        ts_event event = {.kind = sent ? TS_EVENT_INTENT : TS_EVENT_FAILED, .job = part->jobs[i], .counted = true, .detail = sent ? "in a batch" : "not sent"};
        chat->prompt.size = 0;
        if (sent) {
            TS_TRY(jobs->prompt(jobs->user, part->jobs[i], &chat->prompt));
            event.cost = ts_cost_reserve(&chat->prices, &chat->options, chat->prompt.size);
            event.prompt = ts_chat_prompt_hash(chat);
        }
        TS_TRY(ts_journal_add(&chat->journal, &event));
        if (chat->journal.pending.size > SYNC_BYTES)
            TS_TRY(ts_journal_sync(&chat->journal));
    }
    return ts_journal_sync(&chat->journal);
}

/* ---- results ---- */

/* The job of a custom_id of this journal. */
static bool job_of(const ts_chat *chat, const char *id, uint64_t *job)
{
    size_t run = TS_JOURNAL_RUN_SIZE - 1;
    char key[TS_JOURNAL_KEY_SIZE];
    if (!id || strlen(id) <= run + 1 || strlen(id) > run + 20 || memcmp(id, chat->journal.run, run) != 0 || id[run] != '-')
        return false;
    *job = 0;
    for (const char *at = id + run + 1; *at; at++) {
        if (*at < '0' || *at > '9')
            return false;
        *job = *job * 10 + (uint64_t)(*at - '0');
    }
    ts_journal_key(&chat->journal, *job, false, key);
    return *job < TS_JOURNAL_MOST_JOB && strcmp(key, id) == 0;
}

/* The request was not done: it will be sent again. */
static ts_status note_undone(ts_batch_reader *reader, uint64_t job, const char *detail)
{
    ts_event event = {.kind = TS_EVENT_FAILED, .job = job, .counted = true, .detail = detail};
    ts_job_state state = (ts_job_state)ts_journal_job(&reader->chat->journal, job).state;
    if (state != TS_JOB_OPEN)
        return TS_OK;
    if (!reader->detail[0])
        snprintf(reader->detail, sizeof reader->detail, "%s", detail);
    reader->report->failed++;
    return ts_journal_add(&reader->chat->journal, &event);
}

/* A reply is a result, whatever it says; only what was not paid and may go better another time is none. */
static ts_status note_reply(ts_batch_reader *reader, uint64_t job)
{
    ts_chat *chat = reader->chat;
    const ts_completion *c = &chat->completion;
    if (c->verdict > TS_VERDICT_INVALID)
        return reader->use == TS_BATCH_RESULTS ? TS_OK : note_undone(reader, job, c->detail);
    chat->prompt.size = 0;
    TS_TRY(reader->jobs->prompt(reader->jobs->user, job, &chat->prompt));
    ts_cost cost = c->counted ? ts_cost_of(&chat->prices, c->prompt_tokens, c->completion_tokens)
                              : ts_cost_estimate(&chat->prices, chat->prompt.size, c->text.size);
    reader->report->results++;
    return ts_chat_note_result(chat, reader->jobs, job, ts_chat_prompt_hash(chat), &cost, c->counted);
}

/* {"custom_id", "response": {"status_code", "body"}, "error"}. */
static ts_status read_result(ts_batch_reader *reader, const ts_json *document)
{
    ts_chat *chat = reader->chat;
    const ts_json *response = ts_json_get(document, "response"), *body = ts_json_get(response, "body");
    uint64_t job, code = 503; /* no response: it was not done */
    if (!job_of(chat, ts_json_text(ts_json_get(document, "custom_id")), &job)) {
        reader->report->foreign++;
        return TS_OK;
    }
    if (reader->use == TS_BATCH_UNDONE)
        return note_undone(reader, job, "not done by the batch");
    if (ts_journal_job(&chat->journal, job).state == TS_JOB_DONE) {
        reader->report->known++;
        return TS_OK;
    }
    if (!ts_json_whole(ts_json_get(response, "status_code"), &code) || code < 100 || code > 999)
        code = 503;
    TS_TRY(ts_chat_read_json(chat, (long)code, body ? body : document));
    return note_reply(reader, job);
}

ts_status ts_batch_read_line(void *user, char *line, size_t size)
{
    ts_batch_reader *reader = user;
    ts_json *document;
    while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == ' '))
        size--;
    if (size == 0)
        return TS_OK;
    ts_status status = ts_json_parse(&document, reader->chat->runtime, line, size, 0, "a line of a batch");
    if (status == TS_ERROR_FORMAT || status == TS_ERROR_LIMIT) {
        reader->report->foreign++;
        return TS_OK;
    }
    TS_TRY(status);
    status = read_result(reader, document);
    ts_json_free(document);
    if (status == TS_OK && reader->chat->journal.pending.size > SYNC_BYTES)
        status = ts_journal_sync(&reader->chat->journal);
    return status;
}

ts_status ts_chat_batch_read(ts_chat *chat, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report)
{
    ts_batch_reader reader = {.chat = chat, .jobs = jobs, .use = TS_BATCH_ALL, .report = report};
    ts_source source;
    ts_bytes window = {.runtime = chat->runtime};
    TS_TRY(ts_source_open(&source, chat->runtime, path, false));
    char *chunk = ts_allocate(chat->runtime, CHUNK);
    ts_status status = chunk ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    for (uint64_t at = 0; status == TS_OK && at < source.size;) {
        size_t count = (size_t)TS_MIN(source.size - at, (uint64_t)CHUNK), start = 0;
        status = ts_source_read(&source, at, chunk, count);
        status = status ? status : ts_bytes_add(&window, chunk, count);
        at += count;
        for (char *end; status == TS_OK && start < window.size; start = (size_t)(end - window.data) + 1) {
            end = memchr(window.data + start, '\n', window.size - start);
            if (!end && at < source.size)
                break;
            end = end ? end : window.data + window.size;
            status = ts_batch_read_line(&reader, window.data + start, (size_t)(end - window.data) - start);
        }
        start = TS_MIN(start, window.size);
        memmove(window.data, window.data + start, window.size - start);
        window.size -= start;
        if (status == TS_OK && window.size > MOST_LINE)
            status = ts_fail(TS_ERROR_FORMAT, "%s: the line that ends behind byte %llu has more than %d bytes", path, (unsigned long long)at, MOST_LINE);
    }
    ts_release(chat->runtime, chunk);
    ts_bytes_free(&window);
    ts_source_close(&source);
    ts_status synced = ts_journal_sync(&chat->journal);
    return status ? status : synced;
}

/* "requests.jsonl", "requests.2.jsonl", ... */
static ts_status number_path(ts_bytes *path, const char *whole, uint64_t number)
{
    const char *slash = strrchr(whole, '/'), *dot = strrchr(whole, '.');
    size_t stem = dot && dot > (slash ? slash + 1 : whole) ? (size_t)(dot - whole) : strlen(whole);
    path->size = 0;
    TS_TRY(ts_bytes_add(path, whole, stem));
    if (number > 1)
        TS_TRY(ts_bytes_format(path, ".%llu", (unsigned long long)number));
    return ts_bytes_format(path, "%s", whole + stem);
}

ts_status ts_chat_batch_write(ts_chat *chat, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report)
{
    ts_bytes name = {.runtime = chat->runtime};
    ts_batch_part part = {.path = NULL};
    uint64_t next = 0;
    ts_status status = ts_chat_jobs_check(jobs);
    for (bool more = true; status == TS_OK && more;) {
        status = number_path(&name, path, report->files + 1);
        status = status ? status : ts_batch_part_write(&part, chat, jobs, &next, name.data);
        if (status != TS_OK)
            break;
        more = part.job_count > 0 && part.bound == TS_OK;
        status = part.job_count > 0 ? ts_batch_part_note(&part, chat, jobs, true) : part.bound;
        report->files += part.job_count > 0;
        report->requests += part.job_count;
        ts_batch_part_free(&part, chat->runtime);
    }
    ts_bytes_free(&name);
    return status;
}

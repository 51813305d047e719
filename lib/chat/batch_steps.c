/*
 * Batches by the files and batches endpoints. The service's own list says what was submitted: a batch carries the journal's run in its metadata, so that
 * nothing of it has to be kept here and a process that died between submitting and noting it loses nothing.
 */
#include "chat/batch_files.h"

#include "format/json.h"

#include <stdio.h>

enum { MOST_PAGES = 200, BATCHES_A_PAGE = 100, MOST_ID = 128 };

typedef struct batch {
    char id[MOST_ID + 1], input[MOST_ID + 1], output[MOST_ID + 1], errors[MOST_ID + 1];
    bool ended;
} batch;

typedef struct batch_list {
    batch *all;
    size_t count, capacity;
} batch_list;

/* ---- calls ---- */

/* Makes a call until it succeeds, as often as options.attempts says; what is not `repeatable` only while nothing of it can have been done. */
static ts_status call(ts_chat *chat, ts_http_request *request, ts_http_reply *reply, const char *what, bool repeatable)
{
    for (uint32_t attempt = 1;; attempt++) {
        TS_TRY(chat->transport.call(chat->transport.user, request, reply));
        if (reply->end == TS_HTTP_REPLIED && reply->code >= 200 && reply->code < 300)
            return TS_OK;
        TS_TRY(ts_chat_read(chat, reply));
        ts_verdict verdict = chat->completion.verdict;
        bool again = verdict == TS_VERDICT_RETRY || (verdict == TS_VERDICT_DOUBT && repeatable);
        if (!again || attempt >= chat->options.attempts)
            return ts_fail(TS_ERROR_NETWORK, "%s: %s", what, chat->completion.detail);
        double until = chat->transport.now(chat->transport.user) + ts_retry_delay(chat->run_seed, 0, attempt, reply->limits.retry_after);
        for (double left; (left = until - chat->transport.now(chat->transport.user)) > 0;)
            TS_TRY(chat->transport.wait(chat->transport.user, left));
    }
}

static ts_status set_url(ts_bytes *url, const ts_chat *chat, const char *path)
{
    size_t size = strlen(chat->base_url);
    url->size = 0;
    size -= size > 0 && chat->base_url[size - 1] == '/';
    TS_TRY(ts_bytes_add(url, chat->base_url, size));
    return ts_bytes_format(url, "%s", path);
}

/* Copies an id that may stand in a URL; "" for null. */
static ts_status take_id(char out[MOST_ID + 1], const ts_json *value, const char *what)
{
    const char *id = ts_json_text(value);
    size_t size = id ? strlen(id) : 0;
    out[0] = 0;
    if (!id && ts_json_kind_of(value) == TS_JSON_NULL)
        return TS_OK;
    if (size == 0 || size > MOST_ID || strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != size || id[0] == '.')
        return ts_fail(TS_ERROR_NETWORK, "the service's %s is no id", what);
    memcpy(out, id, size + 1);
    return TS_OK;
}

static ts_status parse_reply(ts_json **document, ts_chat *chat, const ts_http_reply *reply, const char *what)
{
    ts_status status = ts_json_parse(document, chat->runtime, reply->body, reply->size, 0, what);
    return status == TS_ERROR_FORMAT ? ts_fail_context(TS_ERROR_NETWORK, "the service's reply") : status;
}

/* ---- the list ---- */

static bool has_ended(const char *status)
{
    static const char *const ends[] = {"failed", "completed", "expired", "cancelled"};
    for (size_t i = 0; status && i < TS_COUNT_OF(ends); i++)
        if (strcmp(status, ends[i]) == 0)
            return true;
    return false;
}

static void count_waiting(ts_batch_report *report, const ts_json *counts)
{
    uint64_t completed = 0, failed = 0, total = 0;
    ts_json_whole(ts_json_get(counts, "completed"), &completed);
    ts_json_whole(ts_json_get(counts, "failed"), &failed);
    ts_json_whole(ts_json_get(counts, "total"), &total);
    report->waiting++;
    report->done += completed + failed;
    report->total += total;
}

/* Adds a batch of the list if it is of this journal. */
static ts_status take_batch(batch_list *list, ts_chat *chat, const ts_json *value, ts_batch_report *report)
{
    batch b = {.ended = has_ended(ts_json_text(ts_json_get(value, "status")))};
    const char *run = ts_json_text(ts_json_get(ts_json_get(value, "metadata"), "tinystories"));
    if (!run || strcmp(run, chat->journal.run) != 0)
        return TS_OK;
    TS_TRY(take_id(b.id, ts_json_get(value, "id"), "batch"));
    TS_TRY(take_id(b.input, ts_json_get(value, "input_file_id"), "input file"));
    TS_TRY(take_id(b.output, ts_json_get(value, "output_file_id"), "output file"));
    TS_TRY(take_id(b.errors, ts_json_get(value, "error_file_id"), "error file"));
    TS_TRY(ts_reserve(chat->runtime, &list->all, &list->capacity, list->count + 1, sizeof *list->all));
    list->all[list->count++] = b;
    if (!b.ended)
        count_waiting(report, ts_json_get(value, "request_counts"));
    return TS_OK;
}

/* One page behind the batch `last`, whose id becomes that of the page's last, or "" at the end. */
static ts_status read_page(batch_list *list, ts_chat *chat, char last[MOST_ID + 1], ts_bytes *url, ts_batch_report *report)
{
    char path[MOST_ID + 64];
    ts_http_reply reply;
    ts_json *document;
    bool more = false;
    snprintf(path, sizeof path, "/batches?limit=%d%s%s", BATCHES_A_PAGE, last[0] ? "&after=" : "", last);
    TS_TRY(set_url(url, chat, path));
    TS_TRY(call(chat, &(ts_http_request){.url = url->data}, &reply, "the list of batches", true));
    TS_TRY(parse_reply(&document, chat, &reply, "the list of batches"));
    ts_status status = TS_OK;
    char id[MOST_ID + 1] = "";
    for (const ts_json *value = ts_json_first(ts_json_get(document, "data")); value && status == TS_OK; value = ts_json_next(value)) {
        status = take_batch(list, chat, value, report);
        status = status ? status : take_id(id, ts_json_get(value, "id"), "batch");
    }
    ts_json_bool(ts_json_get(document, "has_more"), &more);
    memcpy(last, more ? id : "", more ? sizeof id : 1);
    ts_json_free(document);
    return status;
}

static ts_status read_list(batch_list *list, ts_chat *chat, ts_bytes *url, ts_batch_report *report)
{
    char last[MOST_ID + 1] = "";
    for (int page = 0; page < MOST_PAGES; page++) {
        TS_TRY(read_page(list, chat, last, url, report));
        if (!last[0])
            return TS_OK;
    }
    return ts_fail(TS_ERROR_NETWORK, "the service's list of batches does not end");
}

/* ---- collecting ---- */

static ts_status collect_file(ts_batch_reader *reader, const char *id, ts_batch_use use, ts_bytes *url)
{
    ts_chat *chat = reader->chat;
    char path[MOST_ID + 64];
    ts_http_reply reply = {.code = 0};
    if (!id[0])
        return TS_OK;
    reader->use = use;
    snprintf(path, sizeof path, "/files/%s/content", id);
    TS_TRY(set_url(url, chat, path));
    ts_http_request request = {.url = url->data, .line = ts_batch_read_line, .user = reader};
    ts_status status = call(chat, &request, &reply, "a file of a batch", true);
    bool deleted = status == TS_ERROR_NETWORK && reply.code == 404; /* results are needed, the others are not */
    return deleted && use != TS_BATCH_RESULTS ? TS_OK : status;
}

/* Only called while nothing is waiting: then a request without a result was not done by any batch. */
static ts_status collect(ts_batch_reader *reader, const batch_list *list, ts_bytes *url)
{
    for (size_t i = 0; i < list->count; i++)
        TS_TRY(collect_file(reader, list->all[i].output, TS_BATCH_RESULTS, url));
    for (size_t i = 0; i < list->count; i++)
        TS_TRY(collect_file(reader, list->all[i].errors, TS_BATCH_ALL, url));
    for (size_t i = 0; i < list->count; i++)
        TS_TRY(collect_file(reader, list->all[i].input, TS_BATCH_UNDONE, url));
    return ts_journal_sync(&reader->chat->journal);
}

/* ---- submitting ---- */

static ts_status upload(ts_chat *chat, const char *path, char id[MOST_ID + 1], ts_bytes *url)
{
    ts_http_reply reply;
    ts_json *document;
    TS_TRY(set_url(url, chat, "/files"));
    TS_TRY(call(chat, &(ts_http_request){.url = url->data, .upload = path, .purpose = "batch"}, &reply, "the file of a batch", true));
    TS_TRY(parse_reply(&document, chat, &reply, "the file of a batch"));
    ts_status status = take_id(id, ts_json_get(document, "id"), "file");
    ts_json_free(document);
    return status == TS_OK && !id[0] ? ts_fail(TS_ERROR_NETWORK, "the service gave the file of a batch no id") : status;
}

/* The intents are on the disk before; a refusal takes them back, what is unknown stays so until the list tells. */
static ts_status create(const ts_batch_part *part, ts_chat *chat, const ts_chat_jobs *jobs, const char *file, ts_bytes *url)
{
    char body[512];
    ts_http_reply reply;
    snprintf(body, sizeof body,
             "{\"input_file_id\": \"%s\", \"endpoint\": \"/v1/%s\", \"completion_window\": \"24h\", \"metadata\": {\"tinystories\": \"%s\"}}", file,
             ts_completion_path(chat->journal.endpoint), chat->journal.run);
    TS_TRY(set_url(url, chat, "/batches"));
    TS_TRY(ts_batch_part_note(part, chat, jobs, true));
    ts_http_request request = {.url = url->data, .body = body, .key = file};
    ts_status status = call(chat, &request, &reply, "the batch", false);
    if (status != TS_ERROR_NETWORK || chat->completion.verdict == TS_VERDICT_DOUBT)
        return status;
    char detail[TS_CHAT_DETAIL_SIZE];
    snprintf(detail, sizeof detail, "%s", ts_error_detail());
    TS_TRY(ts_batch_part_note(part, chat, jobs, false));
    return ts_fail(status, "%s", detail);
}

static ts_status submit(ts_chat *chat, const ts_chat_jobs *jobs, ts_batch_report *report, ts_bytes *url)
{
    ts_bytes path = {.runtime = chat->runtime};
    ts_batch_part part = {.path = NULL};
    uint64_t next = 0;
    ts_status status = ts_bytes_format(&path, "%s.batch.jsonl", chat->journal_path);
    for (bool more = true; status == TS_OK && more;) {
        char file[MOST_ID + 1];
        status = ts_batch_part_write(&part, chat, jobs, &next, path.data);
        if (status != TS_OK)
            break;
        more = part.job_count > 0 && part.bound == TS_OK;
        if (part.job_count > 0) {
            status = upload(chat, path.data, file, url);
            status = status ? status : create(&part, chat, jobs, file, url);
            ts_runtime_io(chat->runtime)->unlink(ts_runtime_io(chat->runtime)->user, path.data);
        } else if (report->files == 0) {
            status = part.bound;
        }
        if (status == TS_OK && part.job_count > 0) {
            report->files++;
            report->requests += part.job_count;
            report->waiting++;
            report->total += part.job_count;
        }
        ts_batch_part_free(&part, chat->runtime);
    }
    ts_bytes_free(&path);
    return status;
}

static ts_status step(ts_chat *chat, const ts_chat_jobs *jobs, ts_batch_report *report, batch_list *list, ts_bytes *url)
{
    ts_batch_reader reader = {.chat = chat, .jobs = jobs, .report = report};
    TS_TRY(read_list(list, chat, url, report));
    if (report->waiting > 0)
        return TS_OK;
    ts_status status = collect(&reader, list, url);
    if (status != TS_OK) { /* what came is kept */
        char detail[TS_CHAT_DETAIL_SIZE];
        snprintf(detail, sizeof detail, "%s", ts_error_detail());
        TS_TRY(ts_journal_sync(&chat->journal));
        return ts_fail(status, "%s", detail);
    }
    if (report->failed > 0 && report->results == 0)
        return ts_fail(TS_ERROR_NETWORK, "the service did none of the %llu requests of its batches: %s", (unsigned long long)report->failed, reader.detail);
    return ts_chat_left(chat, jobs) > 0 ? submit(chat, jobs, report, url) : TS_OK;
}

ts_status ts_chat_batch_step(ts_chat *chat, const ts_chat_jobs *jobs, ts_batch_report *report)
{
    batch_list list = {.all = NULL};
    ts_bytes url = {.runtime = chat->runtime};
    TS_TRY(ts_chat_jobs_check(jobs));
    if (ts_chat_left(chat, jobs) == 0)
        return TS_OK; /* the service need not be asked */
    ts_status status = step(chat, jobs, report, &list, &url);
    ts_release(chat->runtime, list.all);
    ts_bytes_free(&url);
    return status;
}

/* The journal's file: reading it, appending to it. */
#define _GNU_SOURCE
#include "chat/journal.h"

#include "chat/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum {
    FORM = 1,                          /* of the lines */
    CHECK_SIZE = 28,                   /* ,"check":"0123456789abcdef"} */
    MOST_LINE = 2 * TS_HTTP_MOST_BODY, /* longer ones are damaged */
    CHUNK = 256 << 10,
    MOST_PENDING = 4 << 20, /* bytes between two syncs of a merge */
    RUN_BYTES = (TS_JOURNAL_RUN_SIZE - 1) / 2
};

static const char *const event_names[TS_EVENT_KINDS] = {"intent", "failed", "doubt", "result"};
static const char *const verdict_names[] = {
    [TS_VERDICT_TEXT] = "text",   [TS_VERDICT_CUT] = "cut",     [TS_VERDICT_FILTERED] = "filtered", [TS_VERDICT_INVALID] = "invalid",
    [TS_VERDICT_RETRY] = "retry", [TS_VERDICT_DOUBT] = "doubt", [TS_VERDICT_WRONG] = "wrong",       [TS_VERDICT_STOP] = "stop"};

static int find_name(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

/* ---- writing ---- */

/* Ends a line that began at byte `start` of `lines` with its checksum. */
static ts_status close_line(ts_bytes *lines, size_t start)
{
    uint64_t check = ts_hash(lines->data + start, lines->size - start, 0);
    return ts_bytes_format(lines, ",\"check\":\"%016llx\"}\n", (unsigned long long)check);
}

static ts_status add_text(ts_bytes *lines, const char *name, const char *text, size_t size)
{
    if (!text)
        return TS_OK;
    TS_TRY(ts_bytes_format(lines, ",\"%s\":", name));
    return ts_json_string(lines, text, size);
}

/* What a result says besides what it cost. */
static ts_status write_result(ts_bytes *lines, const ts_event *event)
{
    const struct {
        const char *name, *text;
    } all[] = {{"finish", event->finish}, {"model", event->model}, {"system_fingerprint", event->fingerprint}};
    for (size_t i = 0; i < TS_COUNT_OF(all); i++)
        TS_TRY(add_text(lines, all[i].name, all[i].text, all[i].text ? strlen(all[i].text) : 0));
    if (event->unfit > 0)
        TS_TRY(ts_bytes_format(lines, ",\"unfit\":%u", event->unfit));
    return event->about ? ts_bytes_format(lines, ",\"about\":%s", event->about) : TS_OK;
}

static ts_status write_event(ts_bytes *lines, const ts_event *event, uint32_t attempt)
{
    char money[TS_DOUBLE_SIZE];
    size_t start = lines->size;
    ts_format_double(money, event->cost.money);
    TS_TRY(ts_bytes_format(lines, "{\"event\":\"%s\",\"job\":%llu,\"attempt\":%u,\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"money\":%s",
                           event_names[event->kind], (unsigned long long)event->job, attempt, (unsigned long long)event->cost.prompt_tokens,
                           (unsigned long long)event->cost.completion_tokens, money));
    if (event->kind == TS_EVENT_RESULT)
        TS_TRY(ts_bytes_format(lines, ",\"verdict\":\"%s\"", verdict_names[event->verdict]));
    if (event->kind == TS_EVENT_RESULT || event->kind == TS_EVENT_DOUBT)
        TS_TRY(ts_bytes_format(lines, ",\"counted\":%s", event->counted ? "true" : "false"));
    if (event->prompt != 0)
        TS_TRY(ts_bytes_format(lines, ",\"prompt\":\"%016llx\"", (unsigned long long)event->prompt));
    TS_TRY(write_result(lines, event));
    TS_TRY(add_text(lines, "detail", event->detail, event->detail ? strlen(event->detail) : 0));
    TS_TRY(add_text(lines, "text", event->text, event->text_size));
    return close_line(lines, start);
}

ts_status ts_journal_add(ts_journal *journal, const ts_event *event)
{
    ts_job job = ts_journal_job(journal, event->job);
    size_t start = journal->pending.size;
    TS_TRY(ts_ledger_reserve_job(journal, event->job));
    ts_status status = write_event(&journal->pending, event, job.attempts + (event->kind == TS_EVENT_INTENT));
    if (status != TS_OK) {
        journal->pending.size = start; /* half a line is none */
        return status;
    }
    return ts_ledger_apply(journal, event, journal->end + start, journal->pending.size - start - 1);
}

static ts_status fail_file(const ts_journal *journal, const char *what)
{
    return ts_fail(TS_ERROR_IO, "%s: %s: %s", journal->path, what, strerrordesc_np(errno));
}

ts_status ts_journal_sync(ts_journal *journal)
{
    const ts_io *io = ts_runtime_io(journal->runtime);
    ts_bytes *pending = &journal->pending;
    if (journal->broken != TS_OK)
        return ts_fail(journal->broken, "%s: could not be synced before, what it holds is not known: open it again", journal->path);
    while (journal->written < pending->size) {
        int64_t count = io->write(io->user, journal->file, pending->data + journal->written, pending->size - journal->written);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return fail_file(journal, "cannot be written");
        journal->written += (size_t)count;
    }
    if (pending->size == 0)
        return TS_OK;
    if (io->sync(io->user, journal->file) != 0) {
        journal->broken = fail_file(journal, "cannot be synced");
        return journal->broken;
    }
    journal->end += pending->size;
    journal->written = pending->size = 0;
    return TS_OK;
}

/* ---- reading ---- */

/* The length of a line before its checksum; 0 if the checksum is not right. */
static size_t checked_size(const char *line, size_t size)
{
    char expected[CHECK_SIZE + 1];
    if (size <= CHECK_SIZE)
        return 0;
    snprintf(expected, sizeof expected, ",\"check\":\"%016llx\"}", (unsigned long long)ts_hash(line, size - CHECK_SIZE, 0));
    return memcmp(line + size - CHECK_SIZE, expected, CHECK_SIZE) == 0 ? size - CHECK_SIZE : 0;
}

/* A line whose checksum is right: FORMAT if it is not what we write all the same. */
static ts_status parse_line(ts_json **out, const ts_journal *journal, const char *line, size_t size)
{
    return ts_json_parse(out, journal->runtime, line, size, MOST_LINE, journal->path);
}

/* The first line's endpoint: that of the run, but where the journal is only read. */
static ts_status read_endpoint(ts_journal *journal, const char *name)
{
    int endpoint = 0;
    while (name && endpoint < TS_CHAT_ENDPOINTS && strcmp(name, ts_completion_path((ts_chat_endpoint)endpoint)) != 0)
        endpoint++;
    if (endpoint == TS_CHAT_ENDPOINTS)
        return ts_fail(TS_ERROR_VERSION, "%s: is a journal of requests to \"%.64s\", which this library does not know", journal->path, name);
    if (!journal->only_read && (ts_chat_endpoint)endpoint != journal->endpoint)
        return ts_fail(TS_ERROR_MISMATCH, "%s: is the journal of other requests: they went to \"%s\", these go to \"%s\"", journal->path,
                       ts_completion_path((ts_chat_endpoint)endpoint), ts_completion_path(journal->endpoint));
    journal->endpoint = (ts_chat_endpoint)endpoint;
    return TS_OK;
}

static ts_status read_header(ts_journal *journal, const ts_json *document)
{
    uint64_t form;
    const char *run = ts_json_text(ts_json_get(document, "run")), *configuration = ts_json_text(ts_json_get(document, "configuration"));
    char expected[17];
    if (!ts_json_whole(ts_json_get(document, "tinystories_journal"), &form) || !run || !configuration || strlen(run) != TS_JOURNAL_RUN_SIZE - 1)
        return ts_fail(TS_ERROR_FORMAT, "%s: is no journal: its first line is not that of one", journal->path);
    if (form > FORM)
        return ts_fail(TS_ERROR_VERSION, "%s: is a journal of form %llu, expected at most %d", journal->path, (unsigned long long)form, FORM);
    TS_TRY(read_endpoint(journal, ts_json_text(ts_json_get(document, "endpoint"))));
    snprintf(expected, sizeof expected, "%016llx", (unsigned long long)journal->configuration);
    if (!journal->only_read && strcmp(configuration, expected) != 0)
        return ts_fail(TS_ERROR_MISMATCH,
                       "%s: is the journal of other requests (%.16s, these are %s): of another seed, model, prompt template, vocabulary, sampling or "
                       "library; ts_journal_export writes what it holds",
                       journal->path, configuration, expected);
    memcpy(journal->run, run, TS_JOURNAL_RUN_SIZE);
    return TS_OK;
}

struct ts_journal_merge {
    ts_journal *into;
    uint64_t taken;
};

/* Copies the line of an event of a job that is done in the one journal and not yet in the other. */
static ts_status merge_event(ts_journal *journal, const ts_event *event, const char *line, size_t size)
{
    struct ts_journal_merge *merge = journal->merge;
    ts_journal *into = merge->into;
    if (ts_journal_job(journal, event->job).state != TS_JOB_DONE || ts_journal_job(into, event->job).state == TS_JOB_DONE)
        return TS_OK;
    size_t start = into->pending.size;
    TS_TRY(ts_ledger_reserve_job(into, event->job));
    ts_status status = ts_bytes_add(&into->pending, line, size);
    if (status == TS_OK)
        status = ts_bytes_add(&into->pending, "\n", 1);
    if (status != TS_OK) {
        into->pending.size = start;
        return status;
    }
    merge->taken += event->kind == TS_EVENT_RESULT;
    TS_TRY(ts_ledger_apply(into, event, into->end + start, size));
    return into->pending.size > MOST_PENDING ? ts_journal_sync(into) : TS_OK;
}

static ts_status read_event(ts_journal *journal, const ts_json *document, const char *line, size_t size, uint64_t offset)
{
    uint64_t unfit = 0;
    int kind = find_name(event_names, TS_EVENT_KINDS, ts_json_text(ts_json_get(document, "event")));
    int verdict = find_name(verdict_names, TS_COUNT_OF(verdict_names), ts_json_text(ts_json_get(document, "verdict")));
    ts_event event = {.kind = (ts_event_kind)kind, .verdict = verdict < 0 ? TS_VERDICT_INVALID : (ts_verdict)verdict};
    if (kind < 0 || (kind == TS_EVENT_RESULT && verdict < 0) || !ts_json_whole(ts_json_get(document, "job"), &event.job) ||
        !ts_json_whole(ts_json_get(document, "prompt_tokens"), &event.cost.prompt_tokens) ||
        !ts_json_whole(ts_json_get(document, "completion_tokens"), &event.cost.completion_tokens) ||
        !ts_json_double(ts_json_get(document, "money"), &event.cost.money))
        return ts_fail(TS_ERROR_FORMAT, "%s: the line at byte %llu is no event", journal->path, (unsigned long long)offset);
    ts_json_bool(ts_json_get(document, "counted"), &event.counted);
    ts_json_whole(ts_json_get(document, "unfit"), &unfit);
    event.unfit = (uint32_t)TS_MIN(unfit, (uint64_t)UINT8_MAX);
    event.text = ts_json_text(ts_json_get(document, "text"));
    event.text_size = event.text ? strlen(event.text) : 0;
    return journal->merge ? merge_event(journal, &event, line, size) : ts_ledger_apply(journal, &event, offset, size);
}

/* A line with a right checksum: the header first, then events. */
static ts_status read_checked(ts_journal *journal, const char *line, size_t size, uint64_t offset)
{
    ts_json *document;
    TS_TRY(parse_line(&document, journal, line, size));
    bool header = !journal->run[0] || (journal->merge && ts_json_get(document, "run"));
    ts_status status = header ? read_header(journal, document) : read_event(journal, document, line, size, offset);
    ts_json_free(document);
    return status;
}

/* A line of the file. One that is damaged may have swallowed the beginning of the next, whose newline was hit: it is looked for. */
static ts_status read_line(ts_journal *journal, const char *line, size_t size, uint64_t offset)
{
    static const char beginning[] = "{\"event\":\"";
    if (size == 0)
        return TS_OK;
    if (checked_size(line, size))
        return read_checked(journal, line, size, offset);
    journal->totals.damaged_lines++;
    for (const char *at = line + 1; (at = memmem(at, size - (size_t)(at - line), beginning, sizeof beginning - 1)) != NULL; at++)
        if (checked_size(at, size - (size_t)(at - line)))
            return read_checked(journal, at, size - (size_t)(at - line), offset + (uint64_t)(at - line));
    return TS_OK;
}

/* Reads all lines through a window that grows to the longest. *torn: bytes stand behind the last newline. */
static ts_status read_lines(ts_journal *journal, ts_bytes *window, bool *torn)
{
    uint64_t size = journal->source.size, offset = 0; /* of the window's first byte */
    char *chunk = ts_allocate(journal->runtime, CHUNK);
    ts_status status = chunk ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    for (uint64_t at = 0; status == TS_OK && at < size;) {
        size_t count = (size_t)TS_MIN(size - at, (uint64_t)CHUNK), searched = window->size, start = 0;
        status = ts_source_read(&journal->source, at, chunk, count);
        status = status ? status : ts_bytes_add(window, chunk, count);
        at += count;
        for (char *end; status == TS_OK && (end = memchr(window->data + searched, '\n', window->size - searched)) != NULL;) {
            size_t length = (size_t)(end - window->data) - start;
            status = read_line(journal, window->data + start, length, offset + start);
            start += length + 1;
            searched = start;
        }
        if (status != TS_OK)
            break;
        memmove(window->data, window->data + start, window->size - start);
        window->size -= start;
        offset += start;
        if (window->size > MOST_LINE)
            status =
                ts_fail(TS_ERROR_FORMAT, "%s: the line at byte %llu has more than %d bytes", journal->path, (unsigned long long)offset, MOST_LINE);
    }
    *torn = window->size > 0;
    journal->end = size;
    if (status == TS_OK && *torn && checked_size(window->data, window->size))
        status = read_checked(journal, window->data, window->size, offset); /* it lacks its newline alone */
    else
        journal->totals.damaged_lines += *torn;
    ts_release(journal->runtime, chunk);
    return status;
}

/* A file without a right header is new if it holds nothing, or nothing but the torn header of a process that was killed at it. */
static ts_status begin(ts_journal *journal, bool torn)
{
    static const char mark[] = "{\"tinystories_journal\":";
    const ts_io *io = ts_runtime_io(journal->runtime);
    unsigned char random[RUN_BYTES];
    char first[sizeof mark] = "";
    size_t start, known = (size_t)TS_MIN(journal->source.size, sizeof mark - 1);
    TS_TRY(ts_source_read(&journal->source, 0, first, known));
    if (memcmp(first, mark, known) != 0 || journal->totals.damaged_lines > 1)
        return ts_fail(TS_ERROR_FORMAT, "%s: is no journal: its first line is not that of one", journal->path);
    int file = io->open(io->user, "/dev/urandom", O_RDONLY | O_CLOEXEC, 0);
    int64_t count = file < 0 ? -1 : io->read(io->user, file, random, sizeof random);
    if (file >= 0)
        io->close(io->user, file);
    if (count != (int64_t)sizeof random)
        return ts_fail(TS_ERROR_IO, "/dev/urandom: no random bytes for the number of a run");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(journal->run + 2 * i, 3, "%02x", random[i]);
    if (torn)
        TS_TRY(ts_bytes_add(&journal->pending, "\n", 1));
    start = journal->pending.size;
    TS_TRY(ts_bytes_format(&journal->pending, "%s%d,\"run\":\"%s\",\"configuration\":\"%016llx\",\"endpoint\":\"%s\"", mark, FORM, journal->run,
                           (unsigned long long)journal->configuration, ts_completion_path(journal->endpoint)));
    return close_line(&journal->pending, start);
}

static ts_status read_all(ts_journal *journal)
{
    ts_bytes window = {.runtime = journal->runtime};
    bool torn = false;
    TS_TRY(ts_source_open(&journal->source, journal->runtime, journal->path, false));
    journal->source_open = true;
    ts_status status = read_lines(journal, &window, &torn);
    ts_bytes_free(&window);
    TS_TRY(status);
    if (!journal->run[0])
        return journal->only_read ? ts_fail(TS_ERROR_FORMAT, "%s: is no journal: it has no first line of one", journal->path) : begin(journal, torn);
    return torn ? ts_bytes_add(&journal->pending, "\n", 1) : TS_OK;
}

/* A new file's name must be on the disk too. A folder that cannot be synced (some file systems) holds it all the same. */
static void sync_folder(ts_journal *journal)
{
    const ts_io *io = ts_runtime_io(journal->runtime);
    char *slash = strrchr(journal->path, '/'), kept = slash ? slash[slash == journal->path] : 0;
    if (slash)
        slash[slash == journal->path] = 0;
    int folder = io->open(io->user, slash ? journal->path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (slash)
        slash[slash == journal->path] = kept;
    if (folder >= 0) {
        io->sync(io->user, folder);
        io->close(io->user, folder);
    }
}

static ts_status open_files(ts_journal *journal)
{
    ts_status status = ts_lock_take(journal->runtime, journal->path, &journal->lock);
    if (status == TS_ERROR_BUSY)
        return ts_fail(TS_ERROR_BUSY, "%s: is the journal of a run that is at work, in this process or another", journal->path);
    TS_TRY(status);
    TS_TRY(read_all(journal));
    TS_TRY(ts_append_open(journal->runtime, journal->path, &journal->file));
    TS_TRY(ts_journal_sync(journal));
    sync_folder(journal);
    return TS_OK;
}

static ts_status open_journal(ts_journal *journal, ts_runtime *runtime, const char *path, ts_chat_endpoint endpoint, uint64_t configuration,
                              bool only_read)
{
    size_t size = strlen(path) + 1;
    *journal = (ts_journal){.runtime = runtime,
                            .lock = -1,
                            .file = -1,
                            .endpoint = endpoint,
                            .configuration = configuration,
                            .only_read = only_read,
                            .pending.runtime = runtime,
                            .texts.runtime = runtime};
    journal->totals.struct_size = sizeof journal->totals;
    journal->path = ts_allocate(runtime, size);
    if (!journal->path)
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(journal->path, path, size);
    ts_status status = only_read ? read_all(journal) : open_files(journal);
    if (status != TS_OK)
        ts_journal_close(journal);
    return status;
}

ts_status ts_journal_open(ts_journal *journal, ts_runtime *runtime, const char *path, ts_chat_endpoint endpoint, uint64_t configuration)
{
    return open_journal(journal, runtime, path, endpoint, configuration, false);
}

ts_status ts_journal_open_to_read(ts_journal *journal, ts_runtime *runtime, const char *path)
{
    return open_journal(journal, runtime, path, TS_CHAT_CONVERSATION, 0, true);
}

void ts_journal_close(ts_journal *journal)
{
    ts_runtime *runtime = journal->runtime;
    if (journal->source_open)
        ts_source_close(&journal->source);
    if (journal->file >= 0)
        ts_append_close(runtime, journal->file);
    if (journal->lock >= 0)
        ts_lock_release(runtime, journal->lock);
    ts_release(runtime, journal->path);
    ts_release(runtime, journal->jobs);
    ts_bytes_free(&journal->pending);
    if (journal->texts.runtime)
        ts_tally_free(&journal->texts);
    *journal = (ts_journal){.runtime = runtime, .lock = -1, .file = -1};
}

ts_status ts_journal_merge_from(ts_journal *journal, const char *path, uint64_t *taken)
{
    ts_journal other;
    ts_bytes window = {.runtime = journal->runtime};
    struct ts_journal_merge merge = {.into = journal};
    bool torn;
    if (!ts_path_exists(path))
        return ts_fail(TS_ERROR_IO, "%s: there is no such journal", path);
    TS_TRY(ts_journal_open(&other, journal->runtime, path, journal->endpoint, journal->configuration));
    other.merge = &merge;
    ts_status status = read_lines(&other, &window, &torn);
    ts_bytes_free(&window);
    ts_journal_close(&other);
    status = status ? status : ts_journal_sync(journal);
    *taken = merge.taken;
    return status;
}

ts_status ts_journal_result(ts_journal *journal, uint64_t number, ts_json **document)
{
    ts_job job = ts_journal_job(journal, number);
    if (job.state != TS_JOB_DONE || job.offset + job.size > journal->end)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: story %llu has no reply on the disk", journal->path, (unsigned long long)number);
    if (!journal->source_open || job.offset + job.size > journal->source.size) {
        if (journal->source_open)
            ts_source_close(&journal->source);
        journal->source_open = false;
        TS_TRY(ts_source_open(&journal->source, journal->runtime, journal->path, false));
        journal->source_open = true;
    }
    char *line = ts_allocate(journal->runtime, job.size + 1);
    if (!line)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = ts_source_read(&journal->source, job.offset, line, job.size);
    if (status == TS_OK && !checked_size(line, job.size))
        status = ts_fail(TS_ERROR_FORMAT, "%s: the line at byte %llu was damaged since it was read", journal->path, (unsigned long long)job.offset);
    status = status ? status : parse_line(document, journal, line, job.size);
    ts_release(journal->runtime, line);
    return status;
}

void ts_journal_key(const ts_journal *journal, uint64_t number, bool bare, char key[TS_JOURNAL_KEY_SIZE])
{
    snprintf(key, TS_JOURNAL_KEY_SIZE, "%s-%llu%s", journal->run, (unsigned long long)number, bare ? "-bare" : "");
}

/* The folder of a run: one trainer at a time, and logs of whole lines, of JSON and of a table. */
#include <math.h>

#include "text/text.h"
#include "trainer/trainer.h"

char *ts_path_join(ts_runtime *runtime, const char *folder, const char *name)
{
    size_t folder_size = strlen(folder), name_size = strlen(name);
    char *path = ts_allocate(runtime, folder_size + name_size + 2);
    if (path != NULL) {
        memcpy(path, folder, folder_size);
        path[folder_size] = '/';
        memcpy(path + folder_size + 1, name, name_size + 1);
    }
    return path;
}

/* ---- the lock ---- */

static ts_status refuse_used(ts_runtime *runtime, const char *folder)
{
    char *newest = ts_path_join(runtime, folder, TS_CHECKPOINT_NAME);
    if (newest == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    bool used = ts_path_exists(newest);
    ts_release(runtime, newest);
    if (used || ts_folder_has_older(runtime, folder))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: the folder holds a run already: resume it or choose another", folder);
    return TS_OK;
}

ts_status ts_folder_lock(ts_runtime *runtime, const char *folder, bool resumed, int *lock)
{
    TS_TRY(ts_directory_make(runtime, folder));
    char *path = ts_path_join(runtime, folder, "lock");
    if (path == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = ts_lock_take(runtime, path, lock);
    ts_release(runtime, path);
    TS_TRY(status);
    if (!resumed && (status = refuse_used(runtime, folder)) != TS_OK) {
        ts_lock_release(runtime, *lock);
        *lock = -1;
    }
    return status;
}

/* ---- taking the folder ---- */

/* How much of the log stays: whole lines, no more than belong to the state's steps. */
static size_t whole_lines(const char *text, size_t size, uint64_t most)
{
    size_t end = (size_t)TS_MIN((uint64_t)size, most);
    while (end > 0 && text[end - 1] != '\n')
        end--;
    return end;
}

static const char *const log_names[TS_LOGS] = {"log.jsonl", "log.csv"};

/* The bytes of a log that belong to the run so far. */
static uint64_t *log_bytes(ts_trainer *trainer, int which)
{
    return which == TS_LOG_CSV ? &trainer->state.csv_bytes : &trainer->state.log_bytes;
}

/* The log of steps that a resumed run makes once more goes, so that each step stands there once; and what is left of a line that was cut. */
static ts_status cut_log(ts_trainer *trainer, const char *path, uint64_t *bytes)
{
    ts_runtime *runtime = trainer->runtime;
    ts_writer writer;
    char *text;
    size_t size;
    TS_TRY(ts_file_read(runtime, path, UINT32_MAX, &text, &size));
    ts_status status = TS_OK;
    size_t whole = whole_lines(text, size, *bytes);
    if (size > whole && (status = ts_writer_open(&writer, runtime, path)) == TS_OK) {
        ts_writer_bytes(&writer, text, whole);
        status = ts_writer_commit(&writer);
    }
    if (status == TS_OK && whole < *bytes)
        ts_log(runtime, TS_LOG_WARNING, "%s: the last %llu bytes that the checkpoint knows of are missing: it goes on after the last whole line",
               path, (unsigned long long)(*bytes - whole));
    *bytes = whole;
    ts_release(runtime, text);
    return status;
}

/* A new log's name is on the disk before a checkpoint can count on its lines. */
static ts_status open_log(ts_trainer *trainer, int which)
{
    uint64_t *bytes = log_bytes(trainer, which);
    char *path = ts_path_join(trainer->runtime, trainer->run_directory, log_names[which]);
    if (path == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    bool old = ts_path_exists(path);
    if (!old)
        *bytes = 0;
    ts_status status = old ? cut_log(trainer, path, bytes) : TS_OK;
    if (status == TS_OK)
        status = ts_append_open(trainer->runtime, path, &trainer->logs[which]);
    if (status == TS_OK && !old)
        status = ts_directory_sync(trainer->runtime, path);
    ts_release(trainer->runtime, path);
    return status;
}

/* Whoever was killed while it wrote left a temporary; with the folder's lock nobody is writing now. */
static void sweep(ts_trainer *trainer)
{
    static const char *const names[] = {TS_CHECKPOINT_NAME, "log.jsonl", "log.csv", TS_BEST_NAME};
    for (size_t i = 0; i < TS_COUNT_OF(names); i++) {
        char *path = ts_path_join(trainer->runtime, trainer->run_directory, names[i]);
        if (path != NULL)
            ts_writer_sweep(trainer->runtime, path);
        ts_release(trainer->runtime, path);
    }
}

ts_status ts_trainer_take_folder(ts_trainer *trainer, const char *folder, int *lock)
{
    ts_runtime *runtime = trainer->runtime;
    size_t size = strlen(folder) + 1;
    trainer->lock = *lock;
    *lock = -1;
    trainer->run_directory = ts_allocate(runtime, size);
    if (trainer->run_directory == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(trainer->run_directory, folder, size);
    sweep(trainer);
    TS_TRY(open_log(trainer, TS_LOG_JSONL));
    return trainer->options.csv_log ? open_log(trainer, TS_LOG_CSV) : TS_OK;
}

void ts_trainer_leave_folder(ts_trainer *trainer)
{
    for (int which = 0; which < TS_LOGS; which++) {
        ts_append_close(trainer->runtime, trainer->logs[which]);
        trainer->logs[which] = -1;
    }
    if (trainer->lock >= 0)
        ts_lock_release(trainer->runtime, trainer->lock);
    trainer->lock = -1;
    ts_release(trainer->runtime, trainer->run_directory);
    trainer->run_directory = NULL;
}

/* ---- lines ---- */

enum { NUMBERS = 9 };

/* What a line says besides event, step, tokens and skipped steps. */
static const struct {
    const char *name;
    size_t offset;
} numbers[NUMBERS] = {
    {"epoch", offsetof(ts_trainer_report, epoch)},
    {"loss", offsetof(ts_trainer_report, loss)},
    {"bits_per_byte", offsetof(ts_trainer_report, bits_per_byte)},
    {"gradient_norm", offsetof(ts_trainer_report, gradient_norm)},
    {"learning_rate", offsetof(ts_trainer_report, learning_rate)},
    {"valid_nats_per_token", offsetof(ts_trainer_report, valid_nats_per_token)},
    {"valid_bits_per_byte", offsetof(ts_trainer_report, valid_bits_per_byte)},
    {"tokens_per_second", offsetof(ts_trainer_report, tokens_per_second)},
    {"seconds", offsetof(ts_trainer_report, seconds)},
};

static double number_of(const ts_trainer_report *report, size_t index)
{
    double value;
    memcpy(&value, (const char *)report + numbers[index].offset, sizeof value);
    return value;
}

static ts_status write_json(ts_bytes *line, const ts_trainer_report *r, const char *event)
{
    TS_TRY(ts_bytes_format(line, "{\"event\": \"%s\", \"step\": %llu, \"tokens\": %llu, \"skipped_steps\": %llu", event, (unsigned long long)r->step,
                           (unsigned long long)r->tokens, (unsigned long long)r->skipped_steps));
    for (size_t i = 0; i < NUMBERS; i++) {
        char text[TS_DOUBLE_SIZE];
        ts_format_double(text, number_of(r, i));
        TS_TRY(ts_bytes_format(line, ", \"%s\": %s", numbers[i].name, text));
    }
    return ts_bytes_add(line, "}", 1);
}

/* A number that is not finite is an empty cell. */
static ts_status write_csv(ts_bytes *line, const ts_trainer_report *r, const char *event)
{
    TS_TRY(ts_bytes_format(line, "%s,%llu,%llu,%llu", event, (unsigned long long)r->step, (unsigned long long)r->tokens,
                           (unsigned long long)r->skipped_steps));
    for (size_t i = 0; i < NUMBERS; i++) {
        char text[TS_DOUBLE_SIZE] = "";
        if (isfinite(number_of(r, i)))
            ts_format_double(text, number_of(r, i));
        TS_TRY(ts_bytes_format(line, ",%s", text));
    }
    return TS_OK;
}

static ts_status write_columns(ts_bytes *line)
{
    TS_TRY(ts_bytes_format(line, "event,step,tokens,skipped_steps"));
    for (size_t i = 0; i < NUMBERS; i++)
        TS_TRY(ts_bytes_format(line, ",%s", numbers[i].name));
    return ts_bytes_add(line, "\n", 1);
}

/* Ends a log that cannot be written. */
static void give_up_log(ts_trainer *trainer, int which, const ts_detail *before)
{
    ts_log(trainer->runtime, TS_LOG_WARNING, "%s/%s is not written any more: %s", trainer->run_directory, log_names[which], ts_error_detail());
    ts_append_close(trainer->runtime, trainer->logs[which]);
    trainer->logs[which] = -1;
    ts_detail_put_back(before);
}

/* Adds a line that was made with this status, and counts it. */
static void add_line(ts_trainer *trainer, int which, const ts_bytes *line, ts_status status, const ts_detail *before)
{
    if (status == TS_OK)
        status = ts_append_line(trainer->runtime, trainer->logs[which], line->data, line->size);
    if (status == TS_OK)
        *log_bytes(trainer, which) += line->size + 1;
    else
        give_up_log(trainer, which, before);
}

void ts_trainer_note(ts_trainer *trainer, const char *event)
{
    ts_trainer_report report;
    ts_detail before;
    ts_detail_keep(&before);
    ts_trainer_fill_report(trainer, &report);
    for (int which = 0; which < TS_LOGS; which++) {
        ts_bytes line = {.runtime = trainer->runtime};
        ts_status status = TS_OK;
        if (trainer->logs[which] < 0)
            continue;
        if (which == TS_LOG_CSV && trainer->state.csv_bytes == 0)
            status = write_columns(&line);
        if (status == TS_OK)
            status = which == TS_LOG_CSV ? write_csv(&line, &report, event) : write_json(&line, &report, event);
        add_line(trainer, which, &line, status, &before);
        ts_bytes_free(&line);
    }
}

void ts_trainer_note_story(ts_trainer *trainer, const char *text, size_t size)
{
    ts_bytes line = {.runtime = trainer->runtime};
    ts_detail before;
    if (trainer->logs[TS_LOG_JSONL] < 0)
        return;
    ts_detail_keep(&before);
    ts_status status = ts_bytes_format(&line, "{\"event\": \"story\", \"step\": %llu, \"text\": ", (unsigned long long)trainer->state.step);
    if (status == TS_OK)
        status = ts_json_string(&line, text, size);
    if (status == TS_OK)
        status = ts_bytes_add(&line, "}", 1);
    add_line(trainer, TS_LOG_JSONL, &line, status, &before);
    ts_bytes_free(&line);
}

void ts_trainer_sync_logs(ts_trainer *trainer)
{
    ts_detail before;
    ts_detail_keep(&before);
    for (int which = 0; which < TS_LOGS; which++)
        if (trainer->logs[which] >= 0 && ts_append_sync(trainer->runtime, trainer->logs[which]) != TS_OK)
            give_up_log(trainer, which, &before);
}

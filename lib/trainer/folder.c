/* The folder of a run: one trainer at a time, and a log of whole lines of JSON. */
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

/* The log of steps that a resumed run makes once more goes, so that each step stands there once; and what is left of a line that was cut. */
static ts_status cut_log(ts_trainer *trainer, const char *path)
{
    ts_runtime *runtime = trainer->runtime;
    ts_writer writer;
    char *text;
    size_t size;
    TS_TRY(ts_file_read(runtime, path, UINT32_MAX, &text, &size));
    ts_status status = TS_OK;
    size_t whole = whole_lines(text, size, trainer->state.log_bytes);
    if (size > whole && (status = ts_writer_open(&writer, runtime, path)) == TS_OK) {
        ts_writer_bytes(&writer, text, whole);
        status = ts_writer_commit(&writer);
    }
    if (status == TS_OK && whole < trainer->state.log_bytes)
        ts_log(runtime, TS_LOG_WARNING, "%s: the last %llu bytes that the checkpoint knows of are missing: it goes on after the last whole line", path,
               (unsigned long long)(trainer->state.log_bytes - whole));
    trainer->state.log_bytes = whole;
    ts_release(runtime, text);
    return status;
}

/* A new log's name is on the disk before a checkpoint can count on its lines. */
static ts_status open_log(ts_trainer *trainer)
{
    char *path = ts_path_join(trainer->runtime, trainer->run_directory, TS_LOG_NAME);
    if (path == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    bool old = ts_path_exists(path);
    if (!old)
        trainer->state.log_bytes = 0;
    ts_status status = old ? cut_log(trainer, path) : TS_OK;
    if (status == TS_OK)
        status = ts_append_open(trainer->runtime, path, &trainer->log);
    if (status == TS_OK && !old)
        status = ts_directory_sync(trainer->runtime, path);
    ts_release(trainer->runtime, path);
    return status;
}

/* Whoever was killed while it wrote left a temporary; with the folder's lock nobody is writing now. */
static void sweep(ts_trainer *trainer)
{
    static const char *const names[] = {TS_CHECKPOINT_NAME, TS_LOG_NAME, TS_BEST_NAME};
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
    return open_log(trainer);
}

void ts_trainer_leave_folder(ts_trainer *trainer)
{
    if (trainer->log >= 0)
        ts_append_close(trainer->runtime, trainer->log);
    if (trainer->lock >= 0)
        ts_lock_release(trainer->runtime, trainer->lock);
    trainer->log = trainer->lock = -1;
    ts_release(trainer->runtime, trainer->run_directory);
    trainer->run_directory = NULL;
}

static ts_status add_number(ts_bytes *line, const char *name, double value)
{
    char text[TS_DOUBLE_SIZE];
    ts_format_double(text, value);
    return ts_bytes_format(line, ", \"%s\": %s", name, text);
}

static ts_status write_line(ts_trainer *trainer, ts_bytes *line, const char *event)
{
    ts_trainer_report r = {.struct_size = sizeof r};
    ts_trainer_fill_report(trainer, &r);
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"epoch", r.epoch},
        {"loss", r.loss},
        {"bits_per_byte", r.bits_per_byte},
        {"gradient_norm", r.gradient_norm},
        {"learning_rate", r.learning_rate},
        {"valid_nats_per_token", r.valid_nats_per_token},
        {"valid_bits_per_byte", r.valid_bits_per_byte},
        {"tokens_per_second", r.tokens_per_second},
        {"seconds", r.seconds},
    };
    TS_TRY(ts_bytes_format(line, "{\"event\": \"%s\", \"step\": %llu, \"tokens\": %llu, \"skipped_steps\": %llu", event, (unsigned long long)r.step,
                           (unsigned long long)r.tokens, (unsigned long long)r.skipped_steps));
    for (size_t i = 0; i < TS_COUNT_OF(numbers); i++)
        TS_TRY(add_number(line, numbers[i].name, numbers[i].value));
    TS_TRY(ts_bytes_add(line, "}", 1));
    return ts_append_line(trainer->runtime, trainer->log, line->data, line->size);
}

static void give_up_log(ts_trainer *trainer, const ts_detail *before)
{
    ts_log(trainer->runtime, TS_LOG_WARNING, "%s/%s is not written any more: %s", trainer->run_directory, TS_LOG_NAME, ts_error_detail());
    ts_append_close(trainer->runtime, trainer->log);
    trainer->log = -1;
    ts_detail_put_back(before);
}

void ts_trainer_note(ts_trainer *trainer, const char *event)
{
    if (trainer->log < 0)
        return;
    ts_bytes line = {.runtime = trainer->runtime};
    ts_detail before;
    ts_detail_keep(&before);
    if (write_line(trainer, &line, event) == TS_OK)
        trainer->state.log_bytes += line.size + 1;
    else
        give_up_log(trainer, &before);
    ts_bytes_free(&line);
}

void ts_trainer_sync_log(ts_trainer *trainer)
{
    ts_detail before;
    ts_detail_keep(&before);
    if (trainer->log >= 0 && ts_append_sync(trainer->runtime, trainer->log) != TS_OK)
        give_up_log(trainer, &before);
}

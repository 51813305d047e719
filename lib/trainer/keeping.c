/* Which checkpoints a run folder keeps: the newest under its own name, those before it by their step, and at least one that is whole at any moment.
 */
#include <stdio.h>

#include "trainer/trainer.h"

#define OLDER_PREFIX "checkpoint-"
#define OLDER_SUFFIX ".safetensors"

char *ts_older_path(ts_runtime *runtime, const char *folder, uint64_t step)
{
    ts_bytes path = {.runtime = runtime};
    if (ts_bytes_format(&path, "%s/" OLDER_PREFIX "%llu" OLDER_SUFFIX, folder, (unsigned long long)step) != TS_OK)
        ts_bytes_free(&path);
    return path.data;
}

bool ts_folder_has_older(ts_runtime *runtime, const char *folder)
{
    uint64_t *steps;
    size_t count;
    bool has = ts_directory_numbers(runtime, folder, OLDER_PREFIX, OLDER_SUFFIX, &steps, &count) != TS_OK || count > 0;
    ts_release(runtime, steps);
    return has;
}

/* ---- writing ---- */

static ts_status rename_older(ts_trainer *t, const char *path, bool back)
{
    const ts_io *io = ts_runtime_io(t->runtime);
    char *older = ts_older_path(t->runtime, t->run_directory, t->saved_step);
    if (older == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    int failure = back ? io->rename(io->user, older, path) : io->rename(io->user, path, older);
    ts_release(t->runtime, older);
    return failure == 0 ? TS_OK : ts_fail(TS_ERROR_IO, "%s: cannot be renamed to keep it as an older checkpoint", path);
}

/* A newest checkpoint that this run does not go on from (a damaged one, or one that somebody went back behind) is not kept; nor is one of the same
 * step. */
static bool demotes(const ts_trainer *t, const char *path)
{
    return t->saved_step != TS_NO_STEP && t->saved_step != t->state.step && ts_path_exists(path);
}

ts_status ts_folder_demote(ts_trainer *t, const char *path)
{
    return demotes(t, path) ? rename_older(t, path, false) : TS_OK;
}

void ts_folder_undo(ts_trainer *t, const char *path)
{
    if (t->saved_step != TS_NO_STEP && t->saved_step != t->state.step && !ts_path_exists(path))
        (void)rename_older(t, path, true);
}

/* What is too old goes, and what is newer than the run, which went back behind it. */
static void prune(ts_trainer *t)
{
    const ts_trainer_options *o = &t->options;
    const ts_io *io = ts_runtime_io(t->runtime);
    uint64_t *steps;
    size_t count, kept = 1;
    if (ts_directory_numbers(t->runtime, t->run_directory, OLDER_PREFIX, OLDER_SUFFIX, &steps, &count) != TS_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        bool older = steps[i] < t->state.step;
        if ((older && kept++ < o->keep_last) || (o->keep_every > 0 && steps[i] % o->keep_every == 0))
            continue;
        char *path = ts_older_path(t->runtime, t->run_directory, steps[i]);
        if (path != NULL)
            io->unlink(io->user, path);
        ts_release(t->runtime, path);
    }
    ts_release(t->runtime, steps);
}

ts_status ts_folder_save(ts_trainer *t)
{
    char *path = ts_path_join(t->runtime, t->run_directory, TS_CHECKPOINT_NAME);
    ts_trainer_sync_logs(t);
    ts_status status = path ? ts_trainer_write(t, path, true) : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK) {
        t->saved_step = t->state.step;
        prune(t);
    }
    ts_release(t->runtime, path);
    return status;
}

/* ---- reading ---- */

/* Whether an older checkpoint may do what this one cannot. */
static bool is_damage(ts_status status)
{
    return status == TS_ERROR_FORMAT || status == TS_ERROR_IO || status == TS_ERROR_LIMIT || status == TS_ERROR_UNSUPPORTED;
}

static ts_status newest_older(ts_runtime *runtime, const char *folder, char **path)
{
    uint64_t *steps;
    size_t count;
    ts_status status = TS_ERROR_FORMAT;
    TS_TRY(ts_directory_numbers(runtime, folder, OLDER_PREFIX, OLDER_SUFFIX, &steps, &count));
    for (size_t i = 0; i < count && is_damage(status); i++) {
        char *older = ts_older_path(runtime, folder, steps[i]);
        status = older ? ts_checkpoint_check(runtime, older, NULL, 0) : TS_ERROR_OUT_OF_MEMORY;
        if (status == TS_OK)
            *path = older;
        else
            ts_release(runtime, older);
    }
    ts_release(runtime, steps);
    return status;
}

ts_status ts_folder_newest(ts_runtime *runtime, const char *folder, char **path)
{
    char reason[512];
    *path = ts_path_join(runtime, folder, TS_CHECKPOINT_NAME);
    ts_status status = *path ? ts_checkpoint_check(runtime, *path, NULL, 0) : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK)
        return TS_OK;
    snprintf(reason, sizeof reason, "%s", ts_error_detail());
    ts_release(runtime, *path);
    *path = NULL;
    if (!is_damage(status))
        return status;
    ts_status older = newest_older(runtime, folder, path);
    if (older == TS_OK)
        ts_log(runtime, TS_LOG_WARNING, "%s: the run goes on from %s", reason, *path);
    else if (is_damage(older))
        return ts_fail(status, "%s", reason);
    return older;
}

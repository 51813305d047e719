/* A whole run: steps, and between them validations, checkpoints, the log and the caller's progress. */
#include "trainer/trainer.h"

#define CHECKPOINT_SECONDS 60 /* between checkpoints when the options leave it open */

typedef struct run {
    ts_trainer *trainer;
    ts_trainer_progress progress;
    void *user;
    double saved_at;         /* clock of the last checkpoint */
    ts_status saved;         /* of the last checkpoint */
} run;

/* Writes the folder's checkpoint. A failure is logged and does not end the run. */
static void checkpoint(run *r)
{
    ts_trainer *t = r->trainer;
    if (t->run_directory == NULL)
        return;
    char *path = ts_path_join(t->runtime, t->run_directory, TS_CHECKPOINT_NAME);
    r->saved = path ? ts_trainer_save_within(t, path) : TS_ERROR_OUT_OF_MEMORY;
    ts_release(t->runtime, path);
    if (r->saved != TS_OK)
        ts_log(t->runtime, TS_LOG_WARNING, "no checkpoint at step %llu: %s", (unsigned long long)t->state.step, ts_error_detail());
    r->saved_at = ts_clock();
}

static ts_status tell(run *r, bool due)
{
    ts_trainer_report report;
    ts_trainer_fill_report(r->trainer, &report);
    report.due = due;
    int32_t stop = r->progress != NULL && r->progress(r->user, &report) != 0;
    TS_TRY(ts_slices_agree(r->trainer, &stop, sizeof stop));
    if (stop)
        return ts_fail(TS_ERROR_CANCELLED, "the training was stopped at step %llu", (unsigned long long)r->trainer->state.step);
    return TS_OK;
}

static ts_status tell_validating(void *user)
{
    return tell(user, false);
}

/* A model that cannot be kept is logged and does not end the run. */
static void keep_best(ts_trainer *t, double bits_per_byte)
{
    ts_model *model = NULL;
    if (!(bits_per_byte < t->state.best_bits_per_byte))
        return;
    t->state.best_bits_per_byte = bits_per_byte;
    if (!t->options.keep_best || t->run_directory == NULL)
        return;
    char *path = ts_path_join(t->runtime, t->run_directory, TS_BEST_NAME);
    ts_status status = path ? ts_model_from_parameters(&model, t->runtime, t->tokenizer, &t->architecture, ts_trainer_weights(t)) : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK)
        status = ts_model_save(model, path);
    if (status != TS_OK)
        ts_log(t->runtime, TS_LOG_WARNING, "no %s at step %llu: %s", TS_BEST_NAME, (unsigned long long)t->state.step, ts_error_detail());
    ts_model_free(model);
    ts_release(t->runtime, path);
}

static ts_status validate(run *r)
{
    ts_score score;
    if (r->trainer->batches.held_story_count == 0)
        return TS_OK;
    TS_TRY(ts_trainer_validate_within(r->trainer, &score, tell_validating, r));
    ts_trainer_note(r->trainer, "valid");
    keep_best(r->trainer, score.bits_per_byte);
    return TS_OK;
}

/* What is due after a step, by the intervals; its time counts as the run's. */
static ts_status between_steps(run *r)
{
    ts_trainer *t = r->trainer;
    const ts_trainer_options *o = &t->options;
    double start = ts_clock();
    ts_status status = TS_OK;
    bool log = t->state.step % o->log_interval == 0, valid = o->valid_interval > 0 && t->state.step % o->valid_interval == 0;
    if (log)
        ts_trainer_note(t, "step");
    if (valid)
        status = validate(r);
    if (status == TS_OK && (o->checkpoint_interval > 0 ? t->state.step % o->checkpoint_interval == 0 : start - r->saved_at >= CHECKPOINT_SECONDS))
        checkpoint(r);
    t->state.seconds += ts_clock() - start;
    TS_TRY(ts_slices_agree(t, &t->state.seconds, sizeof t->state.seconds)); /* all see the same end */
    return status == TS_OK ? tell(r, log || valid) : status;
}

static ts_status work(run *r)
{
    ts_trainer *t = r->trainer;
    while (!ts_trainer_done(t)) {
        TS_TRY(ts_trainer_step_within(t));
        ts_status status = between_steps(r);
        if (status == TS_ERROR_CANCELLED)
            checkpoint(r);
        TS_TRY(status);
    }
    ts_status status = validate(r);
    if (status != TS_OK && status != TS_ERROR_CANCELLED)
        return status;
    if (status == TS_OK)
        ts_trainer_note(t, "end");
    checkpoint(r);
    if (status == TS_OK)
        (void)tell(r, true); /* there is nothing left to stop */
    return status != TS_OK ? status : r->saved;
}

ts_status ts_trainer_run(ts_trainer *trainer, ts_trainer_progress progress, void *user)
{
    if (trainer == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_run: the trainer is NULL");
    if (!ts_busy_enter(&trainer->busy))
        return ts_fail(TS_ERROR_BUSY, "ts_trainer_run: another thread is using the trainer");
    run r = {.trainer = trainer, .progress = progress, .user = user, .saved_at = ts_clock()};
    ts_status status = work(&r);
    ts_busy_leave(&trainer->busy);
    return status;
}

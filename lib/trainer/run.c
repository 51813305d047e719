/* A whole run: steps, and between them validations, checkpoints, the log and the caller's progress. */
#include <math.h>

#include "trainer/trainer.h"

#define CHECKPOINT_SECONDS 60 /* between checkpoints when the options leave it open */
#define FAR_ABOVE 3           /* times the loss of guessing: weights that are worse have been destroyed */

typedef struct run {
    ts_trainer *trainer;
    ts_trainer_progress progress;
    void *user;
    double saved_at;         /* clock of the last checkpoint */
    ts_status saved;         /* of the last checkpoint */
    ts_detail saved_detail;  /* and why it failed */
    bool owed;               /* a checkpoint was due at a step that was skipped */
} run;

/* Writes the folder's checkpoint. A failure is logged and does not end the run. */
static void checkpoint(run *r, double most_loss)
{
    ts_trainer *t = r->trainer;
    if (t->run_directory == NULL)
        return;
    ts_detail before;
    ts_detail_keep(&before);
    r->saved = ts_trainer_prove(t, most_loss);
    if (r->saved == TS_OK)
        r->saved = ts_folder_save(t);
    if (r->saved != TS_OK) {
        ts_log(t->runtime, TS_LOG_WARNING, "no checkpoint at step %llu: %s", (unsigned long long)t->state.step, ts_error_detail());
        ts_detail_keep(&r->saved_detail);
        ts_detail_put_back(&before);
    }
    r->saved_at = ts_clock();
    r->owed = false;
}

/* Within a run weights that are worse than guessing don't take a good checkpoint's place; whoever stops it, or its end, is not refused them. */
static void checkpoint_between(run *r)
{
    checkpoint(r, FAR_ABOVE * log((double)r->trainer->shape.V));
}

static bool checkpoint_due(const run *r)
{
    const ts_trainer_options *o = &r->trainer->options;
    uint64_t step = r->trainer->state.step;
    if (r->owed || (o->keep_every > 0 && step % o->keep_every == 0))
        return true;
    return o->checkpoint_interval > 0 ? step % o->checkpoint_interval == 0 : ts_clock() - r->saved_at >= CHECKPOINT_SECONDS;
}

static ts_status tell(run *r, bool due)
{
    ts_trainer_report report;
    ts_trainer_fill_report(r->trainer, &report);
    report.due = due;
    int32_t stop = r->progress != NULL && ts_trainer_ask(r->trainer, r->progress, r->user, &report) != 0;
    TS_TRY(ts_ranks_agree(r->trainer, &stop, sizeof stop));
    if (stop)
        return ts_fail(TS_ERROR_CANCELLED, "the training was stopped at step %llu", (unsigned long long)r->trainer->state.step);
    return TS_OK;
}

/* There is nothing left to stop. */
static void tell_end(run *r)
{
    ts_detail before;
    ts_detail_keep(&before);
    (void)tell(r, true);
    ts_detail_put_back(&before);
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
    if (!t->options.keep_best || t->run_directory == NULL) {
        t->state.best_bits_per_byte = bits_per_byte;
        return;
    }
    ts_detail before;
    ts_detail_keep(&before);
    char *path = ts_path_join(t->runtime, t->run_directory, TS_BEST_NAME);
    ts_status status = path ? ts_model_from_parameters(&model, t->runtime, t->tokenizer, &t->architecture, ts_trainer_weights(t)) : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK)
        status = ts_model_save(model, path);
    if (status == TS_OK)
        t->state.best_bits_per_byte = bits_per_byte; /* or the next better one would have to be better than what is not there */
    else
        ts_log(t->runtime, TS_LOG_WARNING, "no %s at step %llu: %s", TS_BEST_NAME, (unsigned long long)t->state.step, ts_error_detail());
    ts_detail_put_back(&before);
    ts_model_free(model);
    ts_release(t->runtime, path);
}

/* Once a step: a resumed run makes up for one that was stopped. */
static ts_status validate(run *r)
{
    ts_score score;
    if (r->trainer->batches.held_story_count == 0 || r->trainer->state.valid_step == r->trainer->state.step)
        return TS_OK;
    TS_TRY(ts_trainer_validate_within(r->trainer, &score, tell_validating, r));
    r->trainer->state.valid_step = r->trainer->state.step;
    ts_trainer_note(r->trainer, "valid");
    keep_best(r->trainer, score.bits_per_byte);
    return TS_OK;
}

static bool valid_due(const ts_trainer *t)
{
    return t->options.valid_interval > 0 && t->state.step > 0 && t->state.step % t->options.valid_interval == 0;
}

/* What is due after a step, by the intervals; its time counts as the run's. */
static ts_status between_steps(run *r)
{
    ts_trainer *t = r->trainer;
    const ts_trainer_options *o = &t->options;
    double start = ts_clock();
    ts_status status = TS_OK;
    bool log = t->state.step % o->log_interval == 0 && t->state.skipped_in_a_row == 0, valid = valid_due(t);
    if (log)
        ts_trainer_note(t, "step");
    if (valid)
        status = validate(r);
    t->state.seconds += ts_clock() - start;
    if (status == TS_OK)
        status = tell(r, log || valid); /* before the checkpoint, which then has the stories that are told here */
    start = ts_clock();
    r->owed = status == TS_OK && checkpoint_due(r);
    if (r->owed && t->state.skipped_in_a_row == 0)
        checkpoint_between(r);
    t->state.seconds += ts_clock() - start;
    TS_TRY(ts_ranks_agree(t, &t->state.seconds, sizeof t->state.seconds)); /* all see the same end */
    return status;
}

/* Says where the run can be taken up again. */
static ts_status tell_diverged(const run *r)
{
    ts_trainer *t = r->trainer;
    ts_trainer_note(t, "diverged");
    if (t->saved_step == TS_NO_STEP)
        return TS_ERROR_DIVERGED;
    return ts_fail(TS_ERROR_DIVERGED, "the loss or gradient was not finite in %llu steps in a row, at step %llu; the last good state is %s/%s, of step %llu: resume it with a "
                   "lower learning rate than %.3g", (unsigned long long)t->state.skipped_in_a_row, (unsigned long long)t->state.step, t->run_directory, TS_CHECKPOINT_NAME,
                   (unsigned long long)t->saved_step, t->options.learning_rate);
}

static ts_status step(run *r)
{
    ts_status status = ts_trainer_step_within(r->trainer);
    if (r->trainer->state.skipped_in_a_row > 0)
        ts_trainer_note(r->trainer, "skip");
    return status == TS_ERROR_DIVERGED ? tell_diverged(r) : status;
}

static ts_status work(run *r)
{
    ts_trainer *t = r->trainer;
    ts_status status = TS_OK;
    if (t->saved_step == TS_NO_STEP && t->state.step == 0)
        checkpoint_between(r);
    if (valid_due(t))
        status = validate(r);
    while (status == TS_OK && !ts_trainer_done(t)) {
        TS_TRY(step(r));
        status = between_steps(r);
    }
    if (status == TS_ERROR_CANCELLED)
        checkpoint(r, INFINITY);
    TS_TRY(status);
    status = validate(r);
    if (status != TS_OK && status != TS_ERROR_CANCELLED)
        return status;
    if (status == TS_OK) {
        ts_trainer_note(t, "end");
        tell_end(r);
    }
    checkpoint(r, INFINITY);
    if (status == TS_OK && r->saved != TS_OK)
        ts_detail_put_back(&r->saved_detail);
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

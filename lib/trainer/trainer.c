/* The handle: making it, one step, what it tells. */
#include "trainer/trainer.h"

#include <math.h>

#define SKIPS 5 /* in a row, and */
#define KEPT 2  /* checkpoints, when the options leave it open */
#define SEQUENCES 8 /* of a batch when the options leave it open */
#define VALID_STEPS 100 /* between validations when the options leave it open, at least, and */
#define VALID_SHARE 50 /* times the held-out tokens are trained on between two */

static const ts_trainer_options defaults = {
    .struct_size = sizeof(ts_trainer_options),
    .valid_share = 0.02,
    .final_rate = 0.05,
    .warmup = 0.03,
    .beta1 = 0.9,
    .beta2 = 0.95,
    .epsilon = 1e-8,
    .weight_decay = 0.1,
    .clip = 1,
    .log_interval = 10,
    .optimizer = TS_OPTIMIZER_MUON,
    .use_average = 1,
    .spike_window = 128,
    .decay = 0.2,
    .muon_beta = 0.95,
};

ts_status ts_trainer_options_init(ts_trainer_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_trainer_options");
}

static ts_status check_options(const ts_trainer_options *o)
{
    const ts_bounds ranges[] = {
        {"max_epochs", o->max_epochs, 0, 1e9},     {"max_seconds", o->max_seconds, 0, 1e9}, {"valid_share", o->valid_share, 0, 0.5},
        {"learning_rate", o->learning_rate, 0, 1e6}, {"final_rate", o->final_rate, 0, 1},     {"warmup", o->warmup, 0, 1},
        {"average", o->average, 0, 0.999999},      {"spike", o->spike, 0, 1e6},             {"spike_window", o->spike_window, 2, 1e6},
        {"decay", o->decay, 0, 1},                 {"muon_beta", o->muon_beta, 0, 0.999999},
        {"beta1", o->beta1, 0, 0.999999},          {"beta2", o->beta2, 0, 0.999999},        {"epsilon", o->epsilon, 0, 1},
        {"weight_decay", o->weight_decay, 0, 100}, {"clip", o->clip, 0, 1e9},
    };
    TS_TRY(ts_bounds_check("ts_trainer_options", ranges, TS_COUNT_OF(ranges), false));
    if (o->schedule > TS_SCHEDULE_WSD)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.schedule is %u, expected 0 to 3", o->schedule);
    if (o->precision > TS_PRECISION_BF16)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.precision is %u, expected 0 (auto), 1 (f32) or 2 (bf16)", o->precision);
    if (o->optimizer > TS_OPTIMIZER_MUON)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.optimizer is %u, expected 0 (adamw) or 1 (muon)", o->optimizer);
    if (o->packing > TS_PACKING_STORIES)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.packing is %u, expected 0 (stream) or 1 (stories)", o->packing);
    if (o->use_average > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.use_average is %u, expected 0 or 1", o->use_average);
    if (o->one_batch > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.one_batch is %u, expected 0 or 1", o->one_batch);
    if (o->recompute > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.recompute is %u, expected 0 or 1", o->recompute);
    if (o->csv_log > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.csv_log is %u, expected 0 or 1", o->csv_log);
    if (o->keep_best > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.keep_best is %u, expected 0 or 1", o->keep_best);
    if (o->log_interval == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.log_interval is 0, expected at least 1");
    if (o->micro_batch > 65536 || o->batch_tokens > 1u << 30)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options: micro_batch is %u, expected at most 65,536, batch_tokens %u, at most 2^30", o->micro_batch,
                       o->batch_tokens);
    if (o->text_count == 0 || o->text == NULL || (o->valid_count > 0 && o->valid == NULL))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.text names no file to train on");
    return TS_OK;
}

void ts_batch_choose(ts_trainer_options *o, size_t T)
{
    size_t slices = o->slices ? o->slices : 1, sequences = o->batch_tokens ? (o->batch_tokens + T - 1) / T : SEQUENCES;
    size_t own = (sequences + slices - 1) / slices, micro = TS_MIN(o->micro_batch ? o->micro_batch : SEQUENCES, own); /* of a slice */
    o->slices = (uint32_t)slices;
    o->micro_batch = (uint32_t)micro;
    o->batch_tokens = (uint32_t)((own + micro - 1) / micro * micro * slices * T);
}

/* What is left open is chosen, and the batch becomes whole micro batches. */
static void choose_open(ts_trainer *t)
{
    ts_trainer_options *o = &t->options;
    ts_batch_choose(o, t->shape.T);
    t->micro = o->micro_batch;
    t->accumulation = o->batch_tokens / (t->shape.T * t->slices * t->micro);
    if (o->learning_rate == 0)
        o->learning_rate = ts_schedule_peak(t->shape.C);
    if (o->precision == TS_PRECISION_AUTO)
        o->precision = ts_runtime_cpu_level(t->runtime) >= TS_CPU_LEVEL_AVX512_BF16 ? TS_PRECISION_BF16 : TS_PRECISION_F32;
    if (o->max_steps == 0 && o->max_tokens == 0 && o->max_epochs == 0 && o->max_seconds == 0)
        o->max_epochs = 1;
    if (o->max_skips == 0)
        o->max_skips = SKIPS;
    if (o->keep_last == 0)
        o->keep_last = KEPT;
    if (o->valid_interval == 0) {
        uint64_t tokens = (uint64_t)t->batches.held_count * VALID_SHARE, steps = (tokens + o->batch_tokens - 1) / o->batch_tokens;
        o->valid_interval = (uint32_t)TS_MIN(TS_MAX(steps, VALID_STEPS), UINT32_MAX);
    }
}

/* A run without validation is worth a word, unless it was asked for. */
static void tell_nothing_held(const ts_trainer *t, const ts_trainer_options *options)
{
    if (t->batches.held_story_count == 0 && options->valid_share > 0 && ts_is_first_rank(options))
        ts_log(t->runtime, TS_LOG_WARNING, "no story is held out, %llu are too few for a valid_share of %g: the run has no validation; give it some as `valid`",
               (unsigned long long)t->batches.stories, options->valid_share);
}

static ts_status allocate(ts_trainer *t)
{
    float **arrays[] = {&t->parameters, &t->gradients, &t->first, &t->second};
    for (size_t i = 0; i < TS_COUNT_OF(arrays); i++)
        if ((*arrays[i] = ts_allocate_array(t->runtime, t->total, sizeof(float))) == NULL)
            return TS_ERROR_OUT_OF_MEMORY;
    TS_TRY(ts_weights_make(&t->weights, t->runtime, &t->shape, t->table, t->table_count, t->parameters));
    TS_TRY(ts_weights_make(&t->gradient_weights, t->runtime, &t->shape, t->table, t->table_count, t->gradients));
    TS_TRY(ts_slices_make(t));
    if (t->options.average > 0 && (t->averaged = ts_allocate_array(t->runtime, t->total, sizeof(float))) == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    t->ids = ts_allocate_array(t->runtime, t->micro * t->shape.T, sizeof *t->ids);
    t->targets = ts_allocate_array(t->runtime, t->micro * t->shape.T, sizeof *t->targets);
    t->squares = ts_allocate_array(t->runtime, t->total / 65536 + 1, sizeof *t->squares);
    if (t->ids == NULL || t->targets == NULL || t->squares == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    if (t->options.optimizer == TS_OPTIMIZER_MUON)
        TS_TRY(ts_muon_make(&t->muon, t->runtime, t->kernels, &t->shape, t->table, t->table_count, t->options.precision == TS_PRECISION_BF16));
    return ts_network_make(&t->network, t->runtime, &t->shape, t->micro, t->shape.T, t->options.precision == TS_PRECISION_BF16, t->options.recompute);
}

static ts_status fill(ts_trainer *t, const ts_tokenizer *tokenizer, const ts_trainer_options *options)
{
    t->tokenizer = ts_tokenizer_acquire(tokenizer);
    if (ts_tokenizer_end_of_text(tokenizer) == TS_TOKENIZER_NONE)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the tokenizer has no end of text, which divides the stories");
    TS_TRY(ts_parameters_make(t->runtime, &t->shape, &t->table, &t->table_count, &t->total));
    TS_TRY(ts_batches_make(&t->batches, t->runtime, tokenizer, options, t->shape.T));
    TS_TRY(ts_ranks_read(&t->communicator, options));
    TS_TRY(ts_slices_check(t));
    choose_open(t);
    tell_nothing_held(t, options);
    return allocate(t);
}

ts_status ts_trainer_make(ts_trainer **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture,
                          const ts_trainer_options *options)
{
    TS_TRY(check_options(options));
    ts_trainer *t = ts_allocate(runtime, sizeof *t);
    if (t == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    t->lock = t->logs[TS_LOG_JSONL] = t->logs[TS_LOG_CSV] = -1;
    t->saved_step = TS_NO_STEP;
    t->architecture = *architecture;
    t->options = *options;
    t->options.text = t->options.valid = NULL;
    t->options.run_directory = NULL;
    t->options.initial = NULL;
    t->options.communicator = NULL;
    t->options.progress = NULL;
    t->options.progress_user = NULL;
    t->kernels = ts_kernels_at(ts_runtime_cpu_level(runtime));
    t->state.valid_nats_per_token = t->state.valid_bits_per_byte = NAN;
    t->state.best_bits_per_byte = INFINITY;
    ts_shape_of(&t->shape, &t->architecture);
    ts_status status = ts_runtime_acquire(&t->runtime, runtime);
    if (status == TS_OK)
        status = fill(t, tokenizer, options);
    if (status != TS_OK) {
        ts_trainer_free(t);
        return status;
    }
    *out = t;
    return TS_OK;
}

/* ---- beginning with a model ---- */

/* The tokenizer and the shape where they are left open, and whether they are the model's where not. */
static ts_status check_initial(const ts_model *model, const ts_tokenizer **tokenizer, ts_architecture *shape, bool given)
{
    const ts_architecture *a = &model->architecture;
    if (*tokenizer == NULL)
        *tokenizer = model->tokenizer;
    if (ts_tokenizer_fingerprint(*tokenizer) != ts_tokenizer_fingerprint(model->tokenizer))
        return ts_fail(TS_ERROR_MISMATCH, "ts_trainer_options.initial is a model with another tokenizer than the one given");
    if (!given)
        *shape = *a;
    const struct {
        const char *name;
        uint32_t wanted, there;
    } pairs[] = {
        {"kind", (uint32_t)shape->kind, (uint32_t)a->kind},          {"vocabulary_size", shape->vocabulary_size, a->vocabulary_size},
        {"width", shape->width, a->width},                           {"layers", shape->layers, a->layers},
        {"heads", shape->heads, a->heads},                           {"key_value_heads", shape->key_value_heads, a->key_value_heads},
        {"hidden", shape->hidden, a->hidden},                        {"window", shape->window, a->window},
        {"untied_head", shape->untied_head, a->untied_head},         {"context_length", shape->context_length, a->context_length},
    };
    for (size_t i = 0; i < TS_COUNT_OF(pairs); i++)
        if (pairs[i].wanted != pairs[i].there && (i + 1 < TS_COUNT_OF(pairs) || model->shape.switches->learned_positions))
            return ts_fail(TS_ERROR_MISMATCH, "architecture.%s is %u, but the initial model's is %u", pairs[i].name, pairs[i].wanted, pairs[i].there);
    return TS_OK;
}

static ts_status copy_weights(ts_trainer *t, const ts_model *model)
{
    for (size_t i = 0; i < t->table_count; i++) {
        const ts_parameter *p = &t->table[i];
        for (size_t row = 0; row < p->rows; row++)
            ts_model_row(model, &model->table[i], row, t->parameters + p->offset + row * p->columns);
        for (size_t at = 0; at < p->rows * p->columns; at++)
            if (!isfinite(t->parameters[p->offset + at]))
                return ts_fail(TS_ERROR_DIVERGED, "ts_trainer_options.initial: the model's weights '%s' are not all finite numbers, nothing can be learned from them",
                               p->name);
    }
    return TS_OK;
}

static ts_status begin(ts_trainer *t, const ts_trainer_options *o, int *lock)
{
    if (o->initial != NULL)
        TS_TRY(copy_weights(t, o->initial));
    else
        ts_parameters_initialize(t->table, t->table_count, &t->shape, t->parameters, o->seed);
    if (t->averaged != NULL)
        memcpy(t->averaged, t->parameters, t->total * sizeof(float));
    return *lock >= 0 ? ts_trainer_take_folder(t, o->run_directory, lock) : TS_OK;
}

static ts_status make_new(ts_trainer **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture, const ts_trainer_options *o)
{
    ts_architecture a;
    int lock = -1;
    if (tokenizer == NULL && o->initial == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_new: a pointer is NULL");
    if (architecture != NULL || o->initial == NULL)
        TS_TRY(ts_architecture_read(&a, architecture, tokenizer ? tokenizer : o->initial->tokenizer));
    if (o->initial != NULL)
        TS_TRY(check_initial(o->initial, &tokenizer, &a, architecture != NULL));
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_status status = o->run_directory != NULL && ts_is_first_rank(o) ? ts_folder_lock(runtime, o->run_directory, false, &lock) : TS_OK;
    if (status == TS_OK)
        status = ts_trainer_make(out, runtime, tokenizer, &a, o);
    if (status == TS_OK && (status = begin(*out, o, &lock)) != TS_OK) {
        ts_trainer_free(*out);
        *out = NULL;
    }
    if (lock >= 0)
        ts_lock_release(runtime, lock);
    ts_runtime_release(runtime);
    return status;
}

ts_status ts_trainer_new(ts_trainer **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture,
                         const ts_trainer_options *options)
{
    ts_trainer_options o = defaults;
    ts_communicator ranks;
    ts_trainer *t = NULL;
    TS_TRY(ts_options_read(&o, sizeof o, options, "ts_trainer_options"));
    TS_TRY(ts_ranks_read(&ranks, &o));
    if (out == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_new: a pointer is NULL");
    ts_status status = make_new(&t, runtime, tokenizer, architecture, &o);
    status = ts_ranks_settle(&ranks, t, status);
    if (status == TS_OK)
        *out = t;
    else
        ts_trainer_free(t);
    return status;
}

void ts_trainer_free(ts_trainer *t)
{
    if (t == NULL)
        return;
    ts_runtime *runtime = t->runtime;
    void *const arrays[] = {t->averaged, t->parameters, t->gradients, t->first, t->second, t->ids, t->targets, t->squares, t->table};
    ts_trainer_leave_folder(t);
    ts_network_free(t->network);
    ts_muon_free(t->muon);
    ts_slices_free(t);
    ts_batches_free(&t->batches);
    for (size_t i = 0; i < TS_COUNT_OF(arrays); i++)
        ts_release(runtime, arrays[i]);
    ts_weights_free(&t->weights, runtime);
    ts_weights_free(&t->gradient_weights, runtime);
    ts_tokenizer_free((ts_tokenizer *)t->tokenizer);
    ts_release(runtime, t);
    ts_runtime_release(runtime);
}

/* ---- where the run is ---- */

double ts_trainer_fraction(const ts_trainer *t, uint64_t step)
{
    const ts_trainer_options *o = &t->options;
    double sequences = (double)step * (double)(t->micro * t->accumulation * t->slices), share = 0;
    if (o->max_steps > 0)
        share = TS_MAX(share, (double)step / (double)o->max_steps);
    if (o->max_tokens > 0)
        share = TS_MAX(share, sequences * (double)t->shape.T / (double)o->max_tokens);
    if (o->max_epochs > 0)
        share = TS_MAX(share, sequences / (double)t->batches.windows / o->max_epochs);
    if (o->max_seconds > 0)
        share = TS_MAX(share, t->state.seconds / o->max_seconds);
    return share;
}

/* The step at which the first rule but time is reached; 0: none. */
static uint64_t total_steps(const ts_trainer *t)
{
    const ts_trainer_options *o = &t->options;
    double batch = (double)(t->micro * t->accumulation * t->slices), least = 0;
    const double steps[] = {(double)o->max_steps, ceil((double)o->max_tokens / (batch * (double)t->shape.T)),
                            ceil(o->max_epochs * (double)t->batches.windows / batch)};
    for (size_t i = 0; i < TS_COUNT_OF(steps); i++)
        if (steps[i] > 0 && (least == 0 || steps[i] < least))
            least = steps[i];
    return (uint64_t)least;
}

void ts_trainer_fill_report(const ts_trainer *t, ts_trainer_report *report)
{
    const ts_trainer_progress_state *s = &t->state;
    double fraction = ts_trainer_fraction(t, s->step), bytes = (double)t->batches.bytes / (double)TS_MAX(t->batches.count - 1, 1);
    *report = (ts_trainer_report){
        .struct_size = sizeof *report,
        .step = s->step,
        .total_steps = total_steps(t),
        .tokens = s->tokens,
        .skipped_steps = s->skipped,
        .epoch = (double)s->step * (double)(t->micro * t->accumulation * t->slices) / (double)t->batches.windows,
        .loss = s->loss,
        .bits_per_byte = s->loss / bytes / 0.69314718055994531,
        .gradient_norm = s->gradient_norm,
        .learning_rate = s->learning_rate,
        .valid_nats_per_token = s->valid_nats_per_token,
        .valid_bits_per_byte = s->valid_bits_per_byte,
        .tokens_per_second = t->recent_seconds > 0 ? t->recent_tokens / t->recent_seconds : 0,
        .seconds = s->seconds,
        .valid_step = s->valid_step,
        .exchange_bytes = t->exchange_bytes,
        .exchange_seconds = t->exchange_seconds,
        .remaining_seconds = fraction >= 1 ? 0 : fraction > 0 && s->seconds > 0 ? s->seconds * (1 - fraction) / fraction : NAN,
    };
}

ts_status ts_trainer_state(const ts_trainer *trainer, ts_trainer_report *report)
{
    ts_trainer_report now;
    if (trainer == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_state: the trainer is NULL");
    ts_trainer_fill_report(trainer, &now);
    return ts_report_write(report, &now, sizeof now, "ts_trainer_report");
}

int32_t ts_trainer_done(const ts_trainer *trainer)
{
    return trainer == NULL || ts_trainer_fraction(trainer, trainer->state.step) >= 1;
}

/* ---- a step ---- */

/* Notes a step that changed nothing. */
static ts_status skip(ts_trainer *t)
{
    t->state.skipped++;
    t->state.skipped_in_a_row++;
    if (t->state.skipped_in_a_row >= t->options.max_skips)
        return ts_fail(TS_ERROR_DIVERGED,
                       "the loss or gradient was not finite, or a spike, in %llu steps in a row, at step %llu: try a lower learning rate than %.3g",
                       (unsigned long long)t->state.skipped_in_a_row, (unsigned long long)t->state.step, t->options.learning_rate);
    return TS_OK;
}

/* Whether a loss is far above those before it; one that is not becomes one of them. */
static bool is_spike(ts_trainer *t, double loss)
{
    ts_trainer_progress_state *s = &t->state;
    const ts_trainer_options *o = &t->options;
    double above = loss - s->loss_mean;
    if (o->spike > 0 && s->loss_count >= o->spike_window && above > o->spike * sqrt(s->loss_variance))
        return true;
    s->loss_count++;
    double share = 1 / (double)TS_MIN(s->loss_count, o->spike_window);
    s->loss_mean += share * above;
    s->loss_variance = (1 - share) * (s->loss_variance + share * above * above);
    return false;
}

ts_status ts_trainer_step_within(ts_trainer *t)
{
    double start = ts_clock(), rate = ts_schedule_rate(&t->options, ts_trainer_fraction(t, t->state.step + 1));
    double loss, clip = t->options.clip;
    ts_status status = TS_OK;
    TS_TRY(ts_slices_gradient(t, &loss));
    double norm = ts_gradient_norm(t);
    if (isfinite(loss) && isfinite(norm) && !is_spike(t, loss)) {
        ts_optimizer_step(t, clip > 0 && norm > clip ? clip / norm : 1, rate);
        t->state.skipped_in_a_row = 0;
    } else {
        status = skip(t);
    }
    t->state.loss = loss;
    t->state.gradient_norm = norm;
    t->state.learning_rate = rate;
    t->state.step++;
    t->state.tokens += t->options.batch_tokens;
    double seconds = ts_clock() - start;
    t->state.seconds += seconds;
    TS_TRY(ts_ranks_agree(t, &t->state.seconds, sizeof t->state.seconds)); /* the schedule may go by it */
    t->recent_seconds = 0.95 * t->recent_seconds + seconds;
    t->recent_tokens = 0.95 * t->recent_tokens + (double)t->options.batch_tokens;
    return status;
}

static ts_status enter(ts_trainer *trainer, const char *what)
{
    if (trainer == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: the trainer is NULL", what);
    if (!ts_busy_enter(&trainer->busy))
        return ts_fail(TS_ERROR_BUSY, "%s: another thread is using the trainer", what);
    return TS_OK;
}

/* The trainer whose run asks its progress on this thread. */
static _Thread_local const ts_trainer *asking;

static bool is_asking(const ts_trainer *trainer)
{
    return trainer != NULL && trainer == asking;
}

int32_t ts_trainer_ask(ts_trainer *trainer, ts_trainer_progress progress, void *user, const ts_trainer_report *report)
{
    const ts_trainer *before = asking; /* a progress may run another trainer */
    asking = trainer;
    int32_t answer = progress(user, report);
    asking = before;
    return answer;
}

ts_status ts_trainer_step(ts_trainer *trainer, ts_trainer_report *report)
{
    ts_trainer_report now;
    TS_TRY(enter(trainer, "ts_trainer_step"));
    ts_status status = ts_trainer_step_within(trainer);
    ts_trainer_fill_report(trainer, &now);
    ts_busy_leave(&trainer->busy);
    if (report != NULL && status == TS_OK)
        status = ts_report_write(report, &now, sizeof now, "ts_trainer_report");
    return status;
}

/* ---- validation, snapshot, checkpoint ---- */

/* Scores every ranks-th held-out story, in rounds that all ranks make; `nats` gets theirs. */
static ts_status score_own(const ts_trainer *t, double *nats, ts_status (*between)(void *user), void *user)
{
    const ts_batches *b = &t->batches;
    ts_model *model;
    ts_scorer *scorer = NULL;
    ts_status asked = TS_OK, status = ts_model_from_parameters(&model, t->runtime, t->tokenizer, &t->architecture, ts_trainer_weights(t));
    if (status == TS_OK) {
        status = ts_scorer_make(&scorer, model);
        ts_model_free(model);
    }
    for (size_t i = 0; i < b->held_story_count && asked == TS_OK && (status == TS_OK || t->ranks > 1); i += t->ranks) {
        ts_score one = {.struct_size = sizeof one};
        const ts_held_story *story = &b->held_stories[TS_MIN(i + t->rank, b->held_story_count - 1)];
        if (status == TS_OK && i + t->rank < b->held_story_count)
            status = ts_scorer_add(scorer, b->held + story->begin, story->count, story->bytes, &one);
        nats[TS_MIN(i + t->rank, b->held_story_count)] = one.nats;
        if (between != NULL)
            asked = between(user);
    }
    ts_scorer_free(scorer);
    return asked != TS_OK ? asked : ts_ranks_together(&t->communicator, status);
}

ts_status ts_trainer_validate_within(ts_trainer *t, ts_score *score, ts_status (*between)(void *user), void *user)
{
    const ts_batches *b = &t->batches;
    size_t count = b->held_story_count;
    *score = (ts_score){.struct_size = sizeof *score};
    if (count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "there are no stories to validate with: give some, or a valid_share");
    double *nats = ts_allocate_array(t->runtime, 2 * (count + 1), sizeof *nats); /* one behind the last is of rounds without a story */
    if (nats == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = score_own(t, nats, between, user);
    if (status == TS_OK)
        status = ts_ranks_gather(t, nats, nats + count + 1, count);
    for (size_t i = 0; i < count && status == TS_OK; i++) {
        score->nats += nats[i];
        score->tokens += b->held_stories[i].count + 1;
        score->bytes += b->held_stories[i].bytes;
        score->stories++;
    }
    ts_release(t->runtime, nats);
    TS_TRY(status);
    ts_score_finish(score);
    t->state.valid_nats_per_token = score->nats_per_token;
    t->state.valid_bits_per_byte = score->bits_per_byte;
    return TS_OK;
}

ts_status ts_trainer_validate(ts_trainer *trainer, ts_score *score)
{
    ts_score now;
    TS_TRY(enter(trainer, "ts_trainer_validate"));
    ts_status status = ts_trainer_validate_within(trainer, &now, NULL, NULL);
    ts_busy_leave(&trainer->busy);
    return status == TS_OK && score ? ts_report_write(score, &now, sizeof now, "ts_score") : status;
}

ts_status ts_trainer_snapshot(ts_trainer *trainer, ts_model **out)
{
    bool within = is_asking(trainer);
    if (!within)
        TS_TRY(enter(trainer, "ts_trainer_snapshot"));
    ts_status status = out ? ts_model_from_parameters(out, trainer->runtime, trainer->tokenizer, &trainer->architecture, ts_trainer_weights(trainer))
                           : ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_snapshot: out is NULL");
    if (!within)
        ts_busy_leave(&trainer->busy);
    return status;
}

ts_status ts_trainer_log_story(ts_trainer *trainer, const char *text, size_t size)
{
    bool within = is_asking(trainer);
    if (text == NULL && size > 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_log_story: the text is NULL");
    if (!within)
        TS_TRY(enter(trainer, "ts_trainer_log_story"));
    ts_trainer_note_story(trainer, text, size);
    if (!within)
        ts_busy_leave(&trainer->busy);
    return TS_OK;
}

ts_status ts_trainer_save(ts_trainer *trainer, const char *path)
{
    TS_TRY(enter(trainer, "ts_trainer_save"));
    ts_status status = ts_trainer_prove(trainer, INFINITY);
    if (status == TS_OK)
        status = ts_trainer_write(trainer, path, false);
    ts_busy_leave(&trainer->busy);
    return status;
}

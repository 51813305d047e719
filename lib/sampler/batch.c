/* Many stories at once: the samplers' next rows go through the network together, so that each weight is read once for all of them. */
#include <stdio.h>

#include "sampler/inside.h"

#define MOST_AT_ONCE 4096

enum { DETAIL = 400, STATE_OUT = 0, STATE_TAKEN = 1, STATE_DRAWING = 2 };

struct ts_batch {
    ts_arena arena; /* holds all of this, the struct itself included */
    ts_model *model;
    ts_batch_options options;
    ts_busy busy;
    ts_scratch scratch;
    /* one each a row */
    uint32_t *ids;
    ts_cache **caches;
    float **logits;
    uint8_t *states; /* of each sampler: STATE_ */
};

static const ts_batch_options defaults = {.struct_size = sizeof defaults, .capacity = 64};

ts_status ts_batch_options_init(ts_batch_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_batch_options");
}

static ts_status read_options(ts_batch_options *into, const ts_model *model, const ts_batch_options *options)
{
    *into = defaults;
    TS_TRY(ts_options_read(into, sizeof *into, options, "ts_batch_options"));
    if (into->capacity == 0 || into->capacity > MOST_AT_ONCE)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.capacity is %u, expected 1 to %d", into->capacity, MOST_AT_ONCE);
    if (into->context_length == 0)
        into->context_length = (uint32_t)model->shape.T;
    if (into->context_length > 1 << 20)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.context_length is %u, expected at most %d", into->context_length, 1 << 20);
    return TS_OK;
}

ts_status ts_batch_new(ts_batch **out, const ts_model *model, const ts_batch_options *options)
{
    if (out == NULL || model == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and model must not be NULL");
    ts_batch_options read;
    ts_arena arena;
    TS_TRY(read_options(&read, model, options));
    size_t rows = read.capacity, workers = ts_runtime_threads(model->runtime), total = 0;
    if (!ts_arena_plan(&total, 1, sizeof(ts_batch)) || !ts_scratch_plan(&model->shape, rows, read.context_length, workers, &total) ||
        !ts_arena_plan(&total, rows, sizeof(uint32_t)) || !ts_arena_plan(&total, rows, sizeof(ts_cache *)) || !ts_arena_plan(&total, rows, sizeof(float *)) ||
        !ts_arena_plan(&total, rows, 1))
        return ts_fail(TS_ERROR_LIMIT, "a batch of %zu stories is too large", rows);
    TS_TRY(ts_arena_init(&arena, model->runtime, total));
    ts_batch *batch = ts_arena_take(&arena, 1, sizeof *batch);
    ts_scratch_take(&model->shape, rows, read.context_length, workers, &arena, &batch->scratch);
    batch->ids = ts_arena_take(&arena, rows, sizeof *batch->ids);
    batch->caches = ts_arena_take(&arena, rows, sizeof *batch->caches);
    batch->logits = ts_arena_take(&arena, rows, sizeof *batch->logits);
    batch->states = ts_arena_take(&arena, rows, sizeof *batch->states);
    batch->model = ts_model_acquire(model);
    batch->options = read;
    batch->arena = arena;
    *out = batch;
    return TS_OK;
}

void ts_batch_free(ts_batch *batch)
{
    if (batch == NULL)
        return;
    /* The model keeps the runtime that the memory goes back to, so it goes last. */
    ts_model *model = batch->model;
    ts_arena arena = batch->arena;
    ts_arena_free(&arena);
    ts_model_free(model);
}

/* What a step works with. */
typedef struct step {
    ts_batch *batch;
    ts_sampler *const *samplers;
    size_t count, rows;
    const char **texts;
    size_t *sizes;
    ts_status *statuses;
} step;

static ts_status check_samplers(const ts_batch *batch, ts_sampler *const *samplers, size_t count)
{
    if (count > batch->options.capacity)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "there are %zu samplers, the batch takes %u", count, batch->options.capacity);
    for (size_t i = 0; i < count; i++) {
        if (samplers[i] == NULL || samplers[i]->model != batch->model)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "samplers[%zu] is NULL or of another model than the batch", i);
        if (samplers[i]->cache.capacity > batch->options.context_length)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "samplers[%zu] has a context of %zu, the batch of %u", i, samplers[i]->cache.capacity,
                           batch->options.context_length);
    }
    return TS_OK;
}

/* What comes before a sampler's token: a story that is over gives its rest, a prompt or more than one token that the network has not seen is read by the
 * sampler itself, and a single one becomes a row. */
static ts_status prepare(step *s, size_t i)
{
    ts_batch *batch = s->batch;
    ts_sampler *sampler = s->samplers[i];
    bool over;
    TS_TRY(ts_telling_prepare(sampler, &s->texts[i], &s->sizes[i], &over));
    batch->states[i] = STATE_TAKEN;
    if (over)
        return TS_OK;
    if (sampler->token_count - sampler->cache.used == 1) {
        batch->ids[s->rows] = sampler->tokens[sampler->cache.used];
        batch->caches[s->rows] = &sampler->cache;
        batch->logits[s->rows++] = sampler->logits;
        sampler->drawn = TS_TOKENIZER_NONE;
    } else {
        batch->states[i] = STATE_OUT; /* unless it could be read */
        TS_TRY(ts_telling_read(sampler));
    }
    batch->states[i] = STATE_DRAWING;
    return TS_OK;
}

static void draw(void *argument, size_t begin, size_t end, size_t worker)
{
    step *s = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        if (s->batch->states[i] == STATE_DRAWING)
            s->statuses[i] = ts_telling_draw(s->samplers[i], &s->texts[i], &s->sizes[i]);
}

static void tell(step *s)
{
    const ts_model *model = s->batch->model;
    ts_scratch *scratch = &s->batch->scratch;
    if (s->rows > 0) {
        ts_inference_step(model->runtime, model->kernels, &model->shape, &model->weights, s->batch->ids, s->batch->caches, s->rows, scratch);
        ts_inference_logits_apart(model->runtime, model->kernels, &model->shape, &model->weights, s->rows, s->batch->logits, scratch);
    }
    ts_parallel(model->runtime, s->count, 1, draw, s);
}

/* Takes the samplers' flags and prepares each; gives the first that fails, and keeps its detail. */
static size_t prepare_all(step *s, char detail[DETAIL])
{
    size_t failed = s->count;
    for (size_t i = 0; i < s->count; i++) {
        ts_sampler *sampler = s->samplers[i];
        bool entered = ts_busy_enter(&sampler->busy);
        s->texts[i] = NULL;
        s->sizes[i] = 0;
        s->batch->states[i] = STATE_OUT;
        s->statuses[i] = entered ? prepare(s, i) : ts_fail(TS_ERROR_BUSY, "the sampler is in use, or twice in the batch");
        if (s->statuses[i] == TS_OK)
            continue;
        if (entered)
            ts_busy_leave(&sampler->busy);
        if (failed == s->count) {
            failed = i;
            snprintf(detail, DETAIL, "%s", ts_error_detail());
        }
    }
    return failed;
}

static ts_status run(step *s)
{
    char detail[DETAIL];
    size_t failed = prepare_all(s, detail);
    tell(s);
    for (size_t i = 0; i < s->count; i++) {
        if (s->batch->states[i] != STATE_OUT)
            ts_busy_leave(&s->samplers[i]->busy);
        if (s->statuses[i] != TS_OK && i < failed) { /* in drawing, whose details stay with the threads that drew */
            failed = i;
            snprintf(detail, DETAIL, "the model gave a logit that is not a finite number");
        }
    }
    return failed == s->count ? TS_OK : ts_fail(s->statuses[failed], "samplers[%zu]: %s", failed, detail);
}

ts_status ts_batch_next(ts_batch *batch, ts_sampler *const *samplers, size_t count, const char **texts, size_t *sizes, ts_status *statuses)
{
    if (batch == NULL || (count > 0 && (samplers == NULL || texts == NULL || sizes == NULL || statuses == NULL)))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "batch, samplers, texts, sizes and statuses must not be NULL");
    TS_TRY(check_samplers(batch, samplers, count));
    if (!ts_busy_enter(&batch->busy))
        return ts_fail(TS_ERROR_BUSY, "the batch is in use by another thread");
    step s = {batch, samplers, count, 0, texts, sizes, statuses};
    ts_status status = run(&s);
    ts_busy_leave(&batch->busy);
    return status;
}

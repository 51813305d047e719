/* Passes that are looked into: one whole sequence at a time, all of its rows at once. */
#include "model/model.h"

struct ts_tapped {
    ts_arena arena; /* holds all of this, the struct itself included */
    ts_model *model;
    ts_cache cache;
    ts_scratch scratch;
    ts_taps taps;
};

ts_status ts_tapped_make(ts_tapped **out, const ts_model *model, size_t capacity)
{
    const ts_shape *shape = &model->shape;
    size_t workers = ts_runtime_threads(model->runtime), total = 0;
    ts_arena arena;
    if (!ts_arena_plan(&total, 1, sizeof(ts_tapped)) || !ts_inference_plan(shape, capacity, capacity, workers, &total) ||
        !ts_taps_plan(shape, capacity, &total))
        return ts_fail(TS_ERROR_LIMIT, "a sequence of %zu ids is too long to be looked into", capacity);
    TS_TRY(ts_arena_init(&arena, model->runtime, total));
    ts_tapped *tapped = ts_arena_take(&arena, 1, sizeof *tapped);
    ts_inference_take(shape, capacity, capacity, workers, &arena, &tapped->cache, &tapped->scratch);
    ts_taps_take(shape, capacity, &arena, &tapped->taps);
    tapped->scratch.taps = &tapped->taps;
    tapped->model = ts_model_acquire(model);
    tapped->arena = arena;
    *out = tapped;
    return TS_OK;
}

void ts_tapped_free(ts_tapped *tapped)
{
    if (tapped == NULL)
        return;
    ts_model *model = tapped->model;
    ts_arena arena = tapped->arena;
    ts_arena_free(&arena);
    ts_model_free(model);
}

ts_status ts_tapped_run(ts_tapped *tapped, const uint32_t *ids, size_t count, ts_tap_callback call, void *user, float *logits)
{
    const ts_model *model = tapped->model;
    const ts_shape *shape = &model->shape;
    tapped->taps.call = call;
    tapped->taps.user = user;
    tapped->taps.stopped = false;
    tapped->cache.used = 0;
    ts_inference_rows(model->runtime, model->kernels, shape, &model->weights, ids, count, &tapped->cache, &tapped->scratch);
    if (logits != NULL && !tapped->taps.stopped) {
        ts_inference_logits(model->runtime, model->kernels, shape, &model->weights, tapped->scratch.norm, count, logits);
        ts_tap_rows(&tapped->taps, TS_TAP_LOGITS, 0, logits, count, 0, shape->V, shape->V);
    }
    return tapped->taps.stopped ? ts_fail(TS_ERROR_CANCELLED, "the callback stopped the pass") : TS_OK;
}

ts_status ts_model_tap(const ts_model *model, const uint32_t *ids, size_t count, ts_tap_callback callback, void *user, float *logits, size_t capacity)
{
    if (callback == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "callback must not be NULL");
    TS_TRY(ts_model_check_ids(model, ids, count));
    if (logits != NULL)
        TS_TRY(ts_model_check_logits(model, count, capacity));
    ts_tapped *tapped;
    TS_TRY(ts_tapped_make(&tapped, model, count));
    ts_status status = ts_tapped_run(tapped, ids, count, callback, user, logits);
    ts_tapped_free(tapped);
    return status;
}

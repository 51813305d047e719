/* The model's handle: making, sharing, looking inside, and the logits of a sequence. */
#include "model/model.h"

#define ROWS_AT_ONCE 32

ts_status ts_model_make(ts_model **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture)
{
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_model *model = ts_allocate(runtime, sizeof *model);
    if (model == NULL) {
        ts_runtime_release(runtime);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    model->runtime = runtime;
    model->references = 1;
    model->kernels = ts_kernels_at(ts_runtime_cpu_level(runtime));
    model->architecture = *architecture;
    model->architecture.struct_size = sizeof model->architecture;
    model->tokenizer = ts_tokenizer_acquire(tokenizer);
    ts_shape_of(&model->shape, &model->architecture);
    ts_status status = ts_parameters_make(runtime, &model->shape, &model->table, &model->table_count, &model->total);
    if (status != TS_OK) {
        ts_model_free(model);
        return status;
    }
    model->size = model->total;
    *out = model;
    return TS_OK;
}

ts_status ts_model_allocate(ts_model *model)
{
    model->data = ts_allocate_array(model->runtime, model->size, sizeof *model->data);
    if (model->data == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    return ts_weights_make(&model->weights, model->runtime, &model->shape, model->table, model->table_count, model->data);
}

void ts_model_free(ts_model *model)
{
    if (model == NULL || __atomic_sub_fetch(&model->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    ts_runtime *runtime = model->runtime;
    ts_weights_free(&model->weights, runtime);
    ts_release(runtime, model->data);
    ts_release(runtime, model->table);
    if (model->mapped)
        ts_source_close(&model->mapping);
    ts_tokenizer_free((ts_tokenizer *)model->tokenizer);
    ts_release(runtime, model);
    ts_runtime_release(runtime);
}

ts_model *ts_model_acquire(const ts_model *model)
{
    ts_model *shared = (ts_model *)model; /* the count alone changes */
    __atomic_add_fetch(&shared->references, 1, __ATOMIC_RELAXED);
    return shared;
}

ts_status ts_model_from_parameters(ts_model **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture,
                                   const float *data)
{
    ts_model *model;
    TS_TRY(ts_model_make(&model, runtime, tokenizer, architecture));
    ts_status status = ts_model_allocate(model);
    if (status != TS_OK) {
        ts_model_free(model);
        return status;
    }
    memcpy(model->data, data, model->total * sizeof *data);
    *out = model;
    return TS_OK;
}

ts_status ts_model_new(ts_model **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture, uint64_t seed)
{
    if (out == NULL || tokenizer == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and tokenizer must not be NULL");
    ts_architecture complete;
    ts_model *model;
    TS_TRY(ts_architecture_read(&complete, architecture, tokenizer));
    TS_TRY(ts_model_make(&model, runtime, tokenizer, &complete));
    ts_status status = ts_model_allocate(model);
    if (status != TS_OK) {
        ts_model_free(model);
        return status;
    }
    ts_parameters_initialize(model->table, model->table_count, &model->shape, model->data, seed);
    *out = model;
    return TS_OK;
}

/* ---- what is in it ---- */

ts_status ts_model_architecture(const ts_model *model, ts_architecture *architecture)
{
    if (model == NULL || architecture == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model and architecture must not be NULL");
    return ts_report_write(architecture, &model->architecture, sizeof model->architecture, "ts_architecture");
}

const ts_tokenizer *ts_model_tokenizer(const ts_model *model)
{
    return model == NULL ? NULL : model->tokenizer;
}

uint64_t ts_model_parameters(const ts_model *model)
{
    return model == NULL ? 0 : model->total;
}

size_t ts_model_tensor_count(const ts_model *model)
{
    return model == NULL ? 0 : model->table_count;
}

ts_status ts_model_tensor(const ts_model *model, size_t index, ts_tensor *tensor)
{
    if (model == NULL || tensor == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model and tensor must not be NULL");
    if (index >= model->table_count)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "tensor %zu of a model that has %zu", index, model->table_count);
    const ts_parameter *p = &model->table[index];
    ts_tensor found = {
        .struct_size = sizeof found,
        .name = p->name,
        .data = model->weights.all[p->layer][p->slot],
        .rank = p->rank,
        .shape = {p->rank == 1 ? p->columns : p->rows, p->rank == 1 ? 1 : p->columns, 1, 1},
        .type = ts_model_type_of(p->blocks),
        .file_type = p->file_type,
    };
    return ts_report_write(tensor, &found, sizeof found, "ts_tensor");
}

/* ---- logits ---- */

ts_status ts_model_check_ids(const ts_model *model, const uint32_t *ids, size_t count)
{
    if (model == NULL || ids == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model and ids must not be NULL");
    const ts_shape *shape = &model->shape;
    if (count == 0 || count > shape->T)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "a sequence of %zu ids, expected 1 to the context length, %zu", count, shape->T);
    for (size_t i = 0; i < count; i++)
        if (ids[i] >= shape->V)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ids[%zu] is %u, but the vocabulary has %zu", i, ids[i], shape->V);
    return TS_OK;
}

ts_status ts_model_check_logits(const ts_model *model, size_t count, size_t capacity)
{
    size_t V = model->shape.V;
    if (capacity / V < count)
        return ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "%zu floats are too few for the logits of %zu positions of %zu tokens", capacity, count, V);
    return TS_OK;
}

ts_status ts_model_logits(const ts_model *model, const uint32_t *ids, size_t count, float *logits, size_t capacity)
{
    if (logits == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "logits must not be NULL");
    TS_TRY(ts_model_check_ids(model, ids, count));
    TS_TRY(ts_model_check_logits(model, count, capacity));
    const ts_shape *shape = &model->shape;
    size_t rows = TS_MIN(count, (size_t)ROWS_AT_ONCE), workers = ts_runtime_threads(model->runtime), total = 0;
    ts_arena arena;
    ts_cache cache;
    ts_scratch scratch;
    if (!ts_inference_plan(shape, rows, count, workers, &total))
        return ts_fail(TS_ERROR_LIMIT, "a sequence of %zu ids is too long", count);
    TS_TRY(ts_arena_init(&arena, model->runtime, total));
    ts_inference_take(shape, rows, count, workers, &arena, &cache, &scratch);
    for (size_t at = 0; at < count; at += rows) {
        size_t n = TS_MIN(rows, count - at);
        ts_inference_rows(model->runtime, model->kernels, shape, &model->weights, ids + at, n, &cache, &scratch);
        ts_inference_logits(model->runtime, model->kernels, shape, &model->weights, scratch.norm, n, logits + at * shape->V, &scratch);
    }
    ts_arena_free(&arena);
    return TS_OK;
}

uint64_t ts_model_fingerprint(const ts_model *model)
{
    enum { BEGINNING = 64 };
    const ts_architecture *a = &model->architecture;
    const uint32_t shape[] = {(uint32_t)a->kind, a->vocabulary_size, a->width, a->layers, a->heads, a->key_value_heads, a->hidden};
    uint64_t hash = ts_hash(shape, sizeof shape, ts_tokenizer_fingerprint(model->tokenizer));
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        size_t count = p->rank == 1 ? p->columns : TS_MIN((size_t)BEGINNING, p->rows * p->columns);
        const void *values = model->weights.all[p->layer][p->slot];
        if (p->blocks != TS_BLOCKS_NONE)
            hash = ts_hash(model->weights.panels[p->layer][p->slot].data, BEGINNING, hash);
        else
            hash = ts_hash(values, count * sizeof(float), hash);
    }
    return hash;
}

/* A logit as the sum of what the model's parts wrote into the residual stream. */
#include "model/model.h"
#include "tinystories/analysis.h"

/* What of a pass's last position is kept until the last norm's scale is known. */
typedef struct parts {
    ts_arena arena;
    float *embedding, *last;  /* (C): the first and the last of the residual stream */
    float *heads, *neurons;   /* (L, C), (L, F) */
    float *direction, *back;  /* (C): what a part is read by; (max(C, F)): the same before a matrix of the model */
} parts;

static int32_t keep_last_row(void *user, const ts_tap *tap)
{
    parts *p = user;
    const float *row = tap->data + (tap->shape[0] - 1) * tap->strides[0];
    size_t columns = tap->rank == 3 ? tap->shape[1] * tap->shape[2] : tap->shape[1];
    float *into = tap->point == TS_TAP_EMBEDDING ? p->embedding
                  : tap->point == TS_TAP_HEADS   ? p->heads + tap->layer * columns
                  : tap->point == TS_TAP_NEURONS ? p->neurons + tap->layer * columns
                  : tap->point == TS_TAP_OUTPUT  ? p->last
                                                 : NULL;
    if (into != NULL)
        memcpy(into, row, columns * sizeof *into);
    return 0;
}

/* What the residual stream's coordinates count for the token's logit, the norm's scale being what it was: its mean, if it takes one off, is linear. */
static void find_direction(const ts_model *model, parts *p, uint32_t token)
{
    const ts_shape *shape = &model->shape;
    float *const *w = model->weights.all[0];
    const float *output = w[TS_SLOT_OUTPUT] + (size_t)token * shape->C;
    float mean, scale;
    double sum = 0;
    if (shape->switches->layer_norm)
        model->kernels->layer_norm(p->back, p->last, w[TS_SLOT_OUTPUT_NORM], w[TS_SLOT_OUTPUT_NORM_BIAS], shape->C, shape->epsilon, &mean, &scale);
    else
        model->kernels->rms_norm(p->back, p->last, w[TS_SLOT_OUTPUT_NORM], shape->C, shape->epsilon, &scale);
    for (size_t i = 0; i < shape->C; i++) {
        p->direction[i] = output[i] * w[TS_SLOT_OUTPUT_NORM][i] * scale;
        sum += p->direction[i];
    }
    for (size_t i = 0; shape->switches->layer_norm && i < shape->C; i++)
        p->direction[i] -= (float)(sum / (double)shape->C);
}

/* back (in) = direction^T w (C, in) */
static void read_back(const ts_model *model, parts *p, const float *w, size_t in)
{
    memset(p->back, 0, in * sizeof *p->back);
    for (size_t i = 0; i < model->shape.C; i++)
        model->kernels->axpy(p->back, w + i * in, p->direction[i], in);
}

static double product(const float *x, const float *y, size_t count)
{
    double sum = 0;
    for (size_t i = 0; x != NULL && i < count; i++)
        sum += (double)x[i] * y[i];
    return sum;
}

static void attribute_layer(const ts_model *model, parts *p, size_t layer, ts_attribution *a, float *heads, float *neurons)
{
    const ts_shape *shape = &model->shape;
    float *const *w = model->weights.all[layer];
    read_back(model, p, w[TS_SLOT_ATTN_OUTPUT], shape->C);
    for (size_t head = 0; head < shape->H; head++) {
        double share = product(p->heads + layer * shape->C + head * shape->D, p->back + head * shape->D, shape->D);
        a->heads += share;
        if (heads != NULL)
            heads[layer * shape->H + head] = (float)share;
    }
    read_back(model, p, w[TS_SLOT_DOWN], shape->F);
    for (size_t f = 0; f < shape->F; f++) {
        double share = (double)p->neurons[layer * shape->F + f] * p->back[f];
        a->neurons += share;
        if (neurons != NULL)
            neurons[layer * shape->F + f] = (float)share;
    }
    a->biases += product(w[TS_SLOT_ATTN_OUTPUT_BIAS], p->direction, shape->C) + product(w[TS_SLOT_DOWN_BIAS], p->direction, shape->C);
}

static void attribute(const ts_model *model, parts *p, uint32_t token, ts_attribution *a, float *heads, float *neurons)
{
    const ts_shape *shape = &model->shape;
    float *const *w = model->weights.all[0];
    const float *output = w[TS_SLOT_OUTPUT] + (size_t)token * shape->C;
    find_direction(model, p, token);
    a->biases = product(w[TS_SLOT_OUTPUT_NORM_BIAS], output, shape->C);
    a->logit = product(p->last, p->direction, shape->C) + a->biases;
    a->embedding = product(p->embedding, p->direction, shape->C);
    for (size_t layer = 0; layer < shape->L; layer++)
        attribute_layer(model, p, layer, a, heads, neurons);
}

static ts_status take_parts(const ts_model *model, parts *p)
{
    const ts_shape *shape = &model->shape;
    size_t total = 0, C = shape->C * sizeof(float), F = shape->F * sizeof(float);
    if (!ts_arena_plan(&total, 3, C) || !ts_arena_plan(&total, 1, TS_MAX(C, F)) || !ts_arena_plan(&total, shape->L, C) || !ts_arena_plan(&total, shape->L, F))
        return ts_fail(TS_ERROR_LIMIT, "the model is too large");
    TS_TRY(ts_arena_init(&p->arena, model->runtime, total));
    p->embedding = ts_arena_take(&p->arena, 3, C);
    p->last = p->embedding + shape->C;
    p->direction = p->last + shape->C;
    p->back = ts_arena_take(&p->arena, 1, TS_MAX(C, F));
    p->heads = ts_arena_take(&p->arena, shape->L, C);
    p->neurons = ts_arena_take(&p->arena, shape->L, F);
    return TS_OK;
}

ts_status ts_model_attribute(const ts_model *model, const uint32_t *ids, size_t count, uint32_t token, ts_attribution *attribution, float *heads,
                             size_t head_capacity, float *neurons, size_t neuron_capacity)
{
    TS_TRY(ts_model_check_ids(model, ids, count));
    TS_TRY(ts_report_check(attribution, "ts_attribution"));
    const ts_shape *shape = &model->shape;
    if (token >= shape->V)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "token is %u, but the vocabulary has %zu", token, shape->V);
    if (heads != NULL && head_capacity < shape->L * shape->H)
        return ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "%zu floats are too few for %zu heads", head_capacity, shape->L * shape->H);
    if (neurons != NULL && neuron_capacity < shape->L * shape->F)
        return ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "%zu floats are too few for %zu neurons", neuron_capacity, shape->L * shape->F);
    parts p;
    ts_attribution a = {.struct_size = sizeof a};
    TS_TRY(take_parts(model, &p));
    ts_status status = ts_model_tap(model, ids, count, keep_last_row, &p, NULL, 0);
    if (status == TS_OK)
        attribute(model, &p, token, &a, heads, neurons);
    ts_arena_free(&p.arena);
    return status == TS_OK ? ts_report_write(attribution, &a, sizeof a, "ts_attribution") : status;
}

/* Rows of one sequence against a cache of keys and values: what models and samplers call. Own kernels alone, one summation order, no allocation. */
#include "network/layers.h"

bool ts_inference_plan(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, size_t *total)
{
    size_t cache, scores;
    if (!ts_multiply(shape->L * shape->kv, capacity, &cache) || !ts_multiply(workers, capacity, &scores))
        return false;
    size_t row = 3 * shape->C + shape->qkv + shape->up + shape->F, all_rows;
    if (!ts_multiply(rows, row, &all_rows))
        return false;
    return ts_arena_plan(total, cache, sizeof(float)) && ts_arena_plan(total, cache, sizeof(float)) && ts_arena_plan(total, rows, shape->C * sizeof(float)) &&
           ts_arena_plan(total, rows, shape->C * sizeof(float)) && ts_arena_plan(total, rows, shape->qkv * sizeof(float)) &&
           ts_arena_plan(total, rows, shape->C * sizeof(float)) && ts_arena_plan(total, rows, shape->up * sizeof(float)) &&
           ts_arena_plan(total, rows, shape->F * sizeof(float)) && ts_arena_plan(total, scores, sizeof(float)) &&
           (shape->switches->learned_positions || ts_arena_plan(total, capacity, shape->D * sizeof(float)));
}

void ts_inference_take(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, ts_arena *arena, ts_cache *cache, ts_scratch *scratch)
{
    size_t floats = shape->L * shape->kv * capacity;
    cache->keys = ts_arena_take(arena, floats, sizeof(float));
    cache->values = ts_arena_take(arena, floats, sizeof(float));
    cache->capacity = capacity;
    cache->used = 0;
    scratch->rows = rows;
    scratch->x = ts_arena_take(arena, rows, shape->C * sizeof(float));
    scratch->norm = ts_arena_take(arena, rows, shape->C * sizeof(float));
    scratch->qkv = ts_arena_take(arena, rows, shape->qkv * sizeof(float));
    scratch->attended = ts_arena_take(arena, rows, shape->C * sizeof(float));
    scratch->hidden = ts_arena_take(arena, rows, shape->up * sizeof(float));
    scratch->activated = ts_arena_take(arena, rows, shape->F * sizeof(float));
    scratch->scores = ts_arena_take(arena, workers * capacity, sizeof(float));
    scratch->taps = NULL;
    scratch->turns = NULL;
    if (!shape->switches->learned_positions) {
        scratch->turns = ts_arena_take(arena, capacity, shape->D * sizeof(float));
        ts_rotary_turns(scratch->turns, capacity, shape->D, shape->rotary_base);
    }
}

void ts_cache_copy(const ts_shape *shape, ts_cache *to, const ts_cache *from)
{
    size_t used = from->used * shape->kv * sizeof(float);
    for (size_t layer = 0; layer < shape->L; layer++) {
        memcpy(to->keys + layer * to->capacity * shape->kv, from->keys + layer * from->capacity * shape->kv, used);
        memcpy(to->values + layer * to->capacity * shape->kv, from->values + layer * from->capacity * shape->kv, used);
    }
    to->used = from->used;
}

/* y (rows, outputs) = x w^T (+ bias), split over outputs. */
typedef struct product {
    const ts_kernels *kernels;
    float *y;
    size_t y_stride;
    const float *x, *w, *bias;
    size_t rows, in;
    bool add; /* y += instead: the residual */
} product;

#define OUTPUTS_AT_ONCE 64

static void product_part(void *argument, size_t begin, size_t end, size_t worker)
{
    const product *p = argument;
    (void)worker;
    /* Through a small buffer, so that adding to the residual is one operation on the finished sum. */
    float part[8 * OUTPUTS_AT_ONCE];
    for (size_t first = begin; first < end; first += OUTPUTS_AT_ONCE) {
        size_t outputs = TS_MIN(OUTPUTS_AT_ONCE, end - first);
        for (size_t row = 0; row < p->rows; row += 6) {
            size_t rows = TS_MIN(6, p->rows - row);
            p->kernels->linear(part, outputs, p->x + row * p->in, p->w + first * p->in, rows, outputs, p->in);
            for (size_t r = 0; r < rows; r++) {
                float *y = p->y + (row + r) * p->y_stride + first;
                for (size_t o = 0; o < outputs; o++) {
                    float value = part[r * outputs + o] + (p->bias ? p->bias[first + o] : 0);
                    y[o] = p->add ? y[o] + value : value;
                }
            }
        }
    }
}

static void multiply(ts_runtime *runtime, product p, size_t outputs)
{
    /* A piece is worth the hand-over from about 2^15 multiplications on. */
    size_t grain = TS_MAX((size_t)OUTPUTS_AT_ONCE, (1 << 15) / (p.rows * p.in) / OUTPUTS_AT_ONCE * OUTPUTS_AT_ONCE);
    ts_parallel(runtime, outputs, grain, product_part, &p);
}

typedef struct attention {
    const ts_kernels *kernels;
    const ts_shape *shape;
    const ts_scratch *scratch;
    const float *keys, *values; /* of the layer */
    size_t first, window, capacity;
} attention;

/* Items are (row, head) pairs. */
static void attend(void *argument, size_t begin, size_t end, size_t worker)
{
    const attention *a = argument;
    const ts_shape *shape = a->shape;
    float *scores = a->scratch->scores + worker * a->capacity;
    for (size_t item = begin; item < end; item++) {
        size_t row = item / shape->H, head = item % shape->H, position = a->first + row;
        const float *q = a->scratch->qkv + row * shape->qkv + head * shape->D;
        size_t offset = head / (shape->H / shape->K) * shape->D, from = position + 1 > a->window ? position + 1 - a->window : 0;
        float *out = a->scratch->attended + row * shape->C + head * shape->D;
        size_t count = position + 1 - from;
        for (size_t j = 0; j < count; j++)
            scores[j] = a->kernels->dot(q, a->keys + (from + j) * shape->kv + offset, shape->D);
        float most = a->kernels->maximum(scores, count);
        float sum = a->kernels->exp_sum(scores, count, shape->scale, most * shape->scale);
        memset(out, 0, shape->D * sizeof(float));
        for (size_t j = 0; j < count; j++)
            a->kernels->axpy(out, a->values + (from + j) * shape->kv + offset, scores[j], shape->D);
        a->kernels->multiply(out, 1 / sum, shape->D);
    }
}

static void tap(const ts_scratch *s, uint32_t point, size_t layer, float *data, size_t rows, size_t heads, size_t columns, size_t stride)
{
    if (s->taps != NULL)
        ts_tap_rows(s->taps, point, layer, data, rows, heads, columns, stride);
}

/* x (rows, C) += a product, what is added being shown first to who wants to see it: the same sums either way. */
static void add_product(ts_runtime *runtime, product p, size_t C, ts_scratch *s, uint32_t point, size_t layer)
{
    p.y = s->taps != NULL ? s->taps->added : s->x;
    p.y_stride = C;
    p.add = s->taps == NULL;
    multiply(runtime, p, C);
    if (s->taps == NULL)
        return;
    tap(s, point, layer, p.y, p.rows, 0, C, C);
    for (size_t i = 0; i < p.rows * C; i++)
        s->x[i] += p.y[i];
}

static void norm_rows(const ts_kernels *kernels, const ts_shape *shape, float *y, const float *x, const float *weight, const float *bias, size_t rows)
{
    for (size_t row = 0; row < rows; row++)
        ts_norm_row(kernels, shape, y + row * shape->C, x + row * shape->C, weight, bias, (float[2]){0});
}

static void attention_block(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, float *const *w, size_t layer, size_t count,
                            ts_cache *cache, ts_scratch *s)
{
    size_t C = shape->C, kv = shape->kv;
    const float *bias = w[TS_SLOT_QKV_BIAS];
    float *keys = cache->keys + layer * cache->capacity * kv, *values = cache->values + layer * cache->capacity * kv;
    product p = {.kernels = kernels, .y = s->qkv, .y_stride = shape->qkv, .x = s->norm, .w = w[TS_SLOT_Q], .bias = bias, .rows = count, .in = C};
    norm_rows(kernels, shape, s->norm, s->x, w[TS_SLOT_ATTN_NORM], w[TS_SLOT_ATTN_NORM_BIAS], count);
    tap(s, TS_TAP_ATTENTION_INPUT, layer, s->norm, count, 0, C, C);
    multiply(runtime, p, C);
    p.y = s->qkv + C, p.w = w[TS_SLOT_K], p.bias = bias ? bias + C : NULL;
    multiply(runtime, p, kv);
    p.y = s->qkv + C + kv, p.w = w[TS_SLOT_V], p.bias = bias ? bias + C + kv : NULL;
    multiply(runtime, p, kv);
    for (size_t row = 0; row < count; row++) {
        float *qkv = s->qkv + row * shape->qkv;
        size_t position = cache->used + row;
        for (size_t head = 0; s->turns && head < shape->H + shape->K; head++)
            kernels->rotate(qkv + head * shape->D, s->turns + position * shape->D, shape->D, 1);
    }
    tap(s, TS_TAP_QUERIES, layer, s->qkv, count, shape->H, shape->D, shape->qkv);
    tap(s, TS_TAP_KEYS, layer, s->qkv + C, count, shape->K, shape->D, shape->qkv);
    tap(s, TS_TAP_VALUES, layer, s->qkv + C + kv, count, shape->K, shape->D, shape->qkv);
    for (size_t row = 0; row < count; row++) {
        const float *qkv = s->qkv + row * shape->qkv;
        size_t position = cache->used + row;
        memcpy(keys + position * kv, qkv + C, kv * sizeof(float));
        memcpy(values + position * kv, qkv + C + kv, kv * sizeof(float));
    }
    attention a = {.kernels = kernels,
                   .shape = shape,
                   .scratch = s,
                   .keys = keys,
                   .values = values,
                   .first = cache->used,
                   .window = ts_layer_window(shape, layer),
                   .capacity = cache->capacity};
    size_t work = (cache->used + count) * shape->D; /* of an item, about */
    if (s->taps == NULL)
        ts_parallel(runtime, count * shape->H, TS_MAX((size_t)1, (1 << 15) / work), attend, &a);
    else
        ts_attend_tapped(runtime, kernels, shape, keys, values, layer, count, s);
    p = (product){.kernels = kernels, .x = s->attended, .w = w[TS_SLOT_ATTN_OUTPUT], .bias = w[TS_SLOT_ATTN_OUTPUT_BIAS], .rows = count, .in = C};
    add_product(runtime, p, C, s, TS_TAP_ATTENTION_OUTPUT, layer);
    tap(s, TS_TAP_MIDDLE, layer, s->x, count, 0, C, C);
}

static void mlp_block(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, float *const *w, size_t layer, size_t count,
                      ts_scratch *s)
{
    product p = {.kernels = kernels, .y = s->hidden, .y_stride = shape->up, .x = s->norm, .rows = count, .in = shape->C};
    norm_rows(kernels, shape, s->norm, s->x, w[TS_SLOT_FFN_NORM], w[TS_SLOT_FFN_NORM_BIAS], count);
    tap(s, TS_TAP_MLP_INPUT, layer, s->norm, count, 0, shape->C, shape->C);
    if (shape->switches->swiglu) {
        p.w = w[TS_SLOT_GATE];
        multiply(runtime, p, shape->F);
        tap(s, TS_TAP_GATE, layer, p.y, count, 0, shape->F, shape->up);
        p.y += shape->F;
    }
    p.w = w[TS_SLOT_UP], p.bias = w[TS_SLOT_UP_BIAS];
    multiply(runtime, p, shape->F);
    tap(s, TS_TAP_HIDDEN, layer, p.y, count, 0, shape->F, shape->up);
    for (size_t row = 0; row < count; row++)
        ts_activate_row(kernels, shape, s->activated + row * shape->F, s->hidden + row * shape->up);
    tap(s, TS_TAP_NEURONS, layer, s->activated, count, 0, shape->F, shape->F);
    p = (product){.kernels = kernels, .x = s->activated, .w = w[TS_SLOT_DOWN], .bias = w[TS_SLOT_DOWN_BIAS], .rows = count, .in = shape->F};
    add_product(runtime, p, shape->C, s, TS_TAP_MLP_OUTPUT, layer);
    tap(s, TS_TAP_OUTPUT, layer, s->x, count, 0, shape->C, shape->C);
}

void ts_inference_rows(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const uint32_t *ids, size_t count,
                       ts_cache *cache, ts_scratch *scratch)
{
    for (size_t row = 0; row < count; row++)
        ts_embed_row(shape, weights, scratch->x + row * shape->C, ids[row], cache->used + row);
    tap(scratch, TS_TAP_EMBEDDING, 0, scratch->x, count, 0, shape->C, shape->C);
    for (size_t layer = 0; layer < shape->L && !(scratch->taps != NULL && scratch->taps->stopped); layer++) {
        attention_block(runtime, kernels, shape, weights->all[layer], layer, count, cache, scratch);
        mlp_block(runtime, kernels, shape, weights->all[layer], layer, count, scratch);
    }
    norm_rows(kernels, shape, scratch->norm, scratch->x, weights->all[0][TS_SLOT_OUTPUT_NORM], weights->all[0][TS_SLOT_OUTPUT_NORM_BIAS], count);
    tap(scratch, TS_TAP_NORMED, 0, scratch->norm, count, 0, shape->C, shape->C);
    cache->used += count;
}

void ts_inference_logits(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const float *norm, size_t count,
                         float *logits)
{
    multiply(runtime,
             (product){.kernels = kernels, .y = logits, .y_stride = shape->V, .x = norm, .w = weights->all[0][TS_SLOT_OUTPUT], .rows = count, .in = shape->C},
             shape->V);
}

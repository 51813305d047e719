/* What a pass shows of itself: the names of its values, and attention in steps between which they can be changed. */
#include <math.h>

#include "network/layers.h"

static const char *const names[TS_TAP_COUNT] = {
    [TS_TAP_EMBEDDING] = "embedding",
    [TS_TAP_ATTENTION_INPUT] = "blocks.*.attention.input",
    [TS_TAP_QUERIES] = "blocks.*.attention.queries",
    [TS_TAP_KEYS] = "blocks.*.attention.keys",
    [TS_TAP_VALUES] = "blocks.*.attention.values",
    [TS_TAP_SCORES] = "blocks.*.attention.scores",
    [TS_TAP_WEIGHTS] = "blocks.*.attention.weights",
    [TS_TAP_HEADS] = "blocks.*.attention.heads",
    [TS_TAP_ATTENTION_OUTPUT] = "blocks.*.attention.output",
    [TS_TAP_MIDDLE] = "blocks.*.middle",
    [TS_TAP_MLP_INPUT] = "blocks.*.mlp.input",
    [TS_TAP_GATE] = "blocks.*.mlp.gate",
    [TS_TAP_HIDDEN] = "blocks.*.mlp.hidden",
    [TS_TAP_NEURONS] = "blocks.*.mlp.neurons",
    [TS_TAP_MLP_OUTPUT] = "blocks.*.mlp.output",
    [TS_TAP_OUTPUT] = "blocks.*.output",
    [TS_TAP_NORMED] = "normed",
    [TS_TAP_LOGITS] = "logits",
};

const char *ts_tap_name(uint32_t point)
{
    return point < TS_TAP_COUNT ? names[point] : NULL;
}

bool ts_taps_plan(const ts_shape *shape, size_t rows, size_t *total)
{
    size_t weights;
    return ts_multiply(rows, rows, &weights) && ts_multiply(weights, shape->H, &weights) && ts_arena_plan(total, weights, sizeof(float)) &&
           ts_arena_plan(total, rows, shape->C * sizeof(float)) && ts_arena_plan(total, rows, (shape->C + shape->kv) * sizeof(float));
}

void ts_taps_take(const ts_shape *shape, size_t rows, ts_arena *arena, ts_taps *taps)
{
    taps->weights = ts_arena_take(arena, rows * rows * shape->H, sizeof(float));
    taps->added = ts_arena_take(arena, rows, shape->C * sizeof(float));
    taps->packed = ts_arena_take(arena, rows, (shape->C + shape->kv) * sizeof(float));
}

static void show(ts_taps *taps, uint32_t point, size_t layer, ts_tap found)
{
    char name[TS_PARAMETER_NAME];
    if (taps->stopped)
        return;
    ts_parameter_name(names[point], (uint32_t)layer, name);
    found.struct_size = sizeof found;
    found.name = name;
    found.point = point;
    found.layer = (uint32_t)layer;
    taps->stopped = taps->call(taps->user, &found) != 0;
}

void ts_tap_rows(ts_taps *taps, uint32_t point, size_t layer, float *data, size_t rows, size_t heads, size_t columns, size_t stride)
{
    if (heads == 0)
        show(taps, point, layer, (ts_tap){.data = data, .rank = 2, .shape = {rows, columns, 1}, .strides = {stride, 1, 0}});
    else
        show(taps, point, layer, (ts_tap){.data = data, .rank = 3, .shape = {rows, heads, columns}, .strides = {stride, columns, 1}});
}

/* ---- attention ---- */

#define QUERIES_AT_ONCE 16 /* of a head: a piece of work */

typedef struct attention {
    const ts_kernels *kernels;
    const ts_shape *shape;
    const ts_scratch *scratch;
    const float *keys, *values; /* of the layer */
    float *query_rows, *key_rows; /* (H, count, D), (K, count, D) */
    size_t window, count;
} attention;

/* The first key that a query sees. */
static size_t first_key(const attention *a, size_t position)
{
    return position + 1 > a->window ? position + 1 - a->window : 0;
}

/* A row of scores or weights; items are (head, row) pairs, and pieces of work never cross heads. */
static float *row_of(const attention *a, size_t item)
{
    return a->scratch->taps->weights + item * a->count;
}

/* Puts the rows of every head behind one another, as matrix products want them; items are heads of queries, then of keys. */
static void pack(void *argument, size_t begin, size_t end, size_t worker)
{
    const attention *a = argument;
    const ts_shape *shape = a->shape;
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        bool query = item < shape->H;
        size_t head = query ? item : item - shape->H, stride = query ? shape->qkv : shape->kv;
        const float *from = (query ? a->scratch->qkv : a->keys) + head * shape->D;
        float *to = (query ? a->query_rows : a->key_rows) + head * a->count * shape->D;
        for (size_t row = 0; row < a->count; row++)
            memcpy(to + row * shape->D, from + row * stride, shape->D * sizeof *to);
    }
}

/* The pieces of a head: `piece` counts through the heads. */
static size_t pieces_of_head(const attention *a)
{
    return (a->count + QUERIES_AT_ONCE - 1) / QUERIES_AT_ONCE;
}

static void score(void *argument, size_t begin, size_t end, size_t worker)
{
    const attention *a = argument;
    const ts_shape *shape = a->shape;
    (void)worker;
    for (size_t piece = begin; piece < end; piece++) {
        size_t head = piece / pieces_of_head(a), first = piece % pieces_of_head(a) * QUERIES_AT_ONCE, rows = TS_MIN(QUERIES_AT_ONCE, a->count - first);
        const float *queries = a->query_rows + (head * a->count + first) * shape->D, *keys = a->key_rows + head / (shape->H / shape->K) * a->count * shape->D;
        a->kernels->linear(row_of(a, head * a->count + first), a->count, queries, keys, rows, first + rows, shape->D);
        for (size_t position = first; position < first + rows; position++) {
            size_t from = first_key(a, position);
            float *scores = row_of(a, head * a->count + position);
            a->kernels->multiply(scores, shape->scale, position + 1);
            for (size_t j = 0; j < a->count; j++)
                scores[j] = j < from || j > position ? -INFINITY : scores[j];
        }
    }
}

/* Masked keys weigh nothing, whatever a callback wrote there. */
static void mask(const attention *a, size_t position, float *weights)
{
    memset(weights, 0, first_key(a, position) * sizeof *weights);
    memset(weights + position + 1, 0, (a->count - position - 1) * sizeof *weights);
}

static void soften(void *argument, size_t begin, size_t end, size_t worker)
{
    const attention *a = argument;
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        size_t position = item % a->count, from = first_key(a, position), seen = position + 1 - from;
        float *weights = row_of(a, item), sum = a->kernels->exp_sum(weights + from, seen, 1, a->kernels->maximum(weights + from, seen));
        a->kernels->multiply(weights + from, 1 / sum, seen);
        mask(a, position, weights);
    }
}

static void gather(void *argument, size_t begin, size_t end, size_t worker)
{
    const attention *a = argument;
    const ts_shape *shape = a->shape;
    (void)worker;
    for (size_t piece = begin; piece < end; piece++) {
        size_t head = piece / pieces_of_head(a), first = piece % pieces_of_head(a) * QUERIES_AT_ONCE, rows = TS_MIN(QUERIES_AT_ONCE, a->count - first);
        for (size_t position = first; position < first + rows; position++)
            mask(a, position, row_of(a, head * a->count + position));
        a->kernels->small_product(a->scratch->attended + first * shape->C + head * shape->D, shape->C, row_of(a, head * a->count + first), a->count, 1,
                                  a->values + head / (shape->H / shape->K) * shape->D, shape->kv, rows, shape->D, first + rows, false);
    }
}

static void show_square(const attention *a, uint32_t point, size_t layer)
{
    uint64_t n = a->count;
    show(a->scratch->taps, point, layer,
         (ts_tap){.data = a->scratch->taps->weights, .rank = 3, .shape = {a->shape->H, n, n}, .strides = {n * n, n, 1}});
}

void ts_attend_tapped(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const float *keys, const float *values, size_t layer, size_t count,
                      ts_scratch *s)
{
    attention a = {.kernels = kernels,
                   .shape = shape,
                   .scratch = s,
                   .keys = keys,
                   .values = values,
                   .query_rows = s->taps->packed,
                   .key_rows = s->taps->packed + count * shape->C,
                   .window = ts_layer_window(shape, layer),
                   .count = count};
    size_t pieces = pieces_of_head(&a) * shape->H, grain = TS_MAX((size_t)1, (1 << 16) / (QUERIES_AT_ONCE * count * shape->D));
    ts_parallel(runtime, shape->H + shape->K, TS_MAX((size_t)1, (1 << 15) / (count * shape->D)), pack, &a);
    ts_parallel(runtime, pieces, grain, score, &a);
    show_square(&a, TS_TAP_SCORES, layer);
    ts_parallel(runtime, count * shape->H, TS_MAX((size_t)1, (1 << 13) / count), soften, &a);
    show_square(&a, TS_TAP_WEIGHTS, layer);
    ts_parallel(runtime, pieces, grain, gather, &a);
    ts_tap_rows(s->taps, TS_TAP_HEADS, layer, s->attended, count, shape->H, shape->D, shape->C);
}

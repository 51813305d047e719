/* Rows of sequences against their caches of keys and values: what models and samplers call. Own kernels alone, one summation order, no allocation. */
#include "network/layers.h"

static size_t most_inputs(const ts_shape *shape)
{
    return TS_MAX(shape->C, shape->F);
}

bool ts_scratch_plan(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, size_t *total)
{
    size_t scores, bytes, blocks = most_inputs(shape) / TS_BLOCK;
    return ts_multiply(workers * TS_QUERIES, capacity, &scores) && ts_multiply(rows, most_inputs(shape), &bytes) &&
           ts_arena_plan(total, rows, shape->C * sizeof(float)) && ts_arena_plan(total, rows, shape->C * sizeof(float)) &&
           ts_arena_plan(total, rows, shape->qkv * sizeof(float)) && ts_arena_plan(total, rows, shape->C * sizeof(float)) &&
           ts_arena_plan(total, rows, shape->up * sizeof(float)) && ts_arena_plan(total, rows, shape->F * sizeof(float)) &&
           ts_arena_plan(total, rows, sizeof(ts_place)) && ts_arena_plan(total, bytes, 1) && ts_arena_plan(total, rows, blocks * sizeof(float)) &&
           ts_arena_plan(total, rows, blocks * sizeof(int32_t)) && ts_arena_plan(total, scores, sizeof(float)) &&
           (shape->switches->learned_positions || ts_arena_plan(total, capacity, shape->D * sizeof(float)));
}

void ts_scratch_take(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, ts_arena *arena, ts_scratch *scratch)
{
    size_t blocks = most_inputs(shape) / TS_BLOCK;
    scratch->rows = rows;
    scratch->x = ts_arena_take(arena, rows, shape->C * sizeof(float));
    scratch->norm = ts_arena_take(arena, rows, shape->C * sizeof(float));
    scratch->qkv = ts_arena_take(arena, rows, shape->qkv * sizeof(float));
    scratch->attended = ts_arena_take(arena, rows, shape->C * sizeof(float));
    scratch->hidden = ts_arena_take(arena, rows, shape->up * sizeof(float));
    scratch->activated = ts_arena_take(arena, rows, shape->F * sizeof(float));
    scratch->places = ts_arena_take(arena, rows, sizeof(ts_place));
    scratch->bytes.values = ts_arena_take(arena, rows * most_inputs(shape), 1);
    scratch->bytes.scales = ts_arena_take(arena, rows, blocks * sizeof(float));
    scratch->bytes.sums = ts_arena_take(arena, rows, blocks * sizeof(int32_t));
    scratch->scores = ts_arena_take(arena, workers * TS_QUERIES * capacity, sizeof(float));
    scratch->capacity = capacity;
    scratch->taps = NULL;
    scratch->stop = NULL;
    scratch->turns = NULL;
    if (!shape->switches->learned_positions) {
        scratch->turns = ts_arena_take(arena, capacity, shape->D * sizeof(float));
        ts_rotary_turns(scratch->turns, capacity, shape->D, shape->rotary_base);
    }
}

bool ts_inference_plan(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, size_t *total)
{
    size_t cache;
    return ts_multiply(shape->L * shape->kv, capacity, &cache) && ts_arena_plan(total, cache, sizeof(float)) && ts_arena_plan(total, cache, sizeof(float)) &&
           ts_scratch_plan(shape, rows, capacity, workers, total);
}

void ts_inference_take(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, ts_arena *arena, ts_cache *cache, ts_scratch *scratch)
{
    size_t floats = shape->L * shape->kv * capacity;
    cache->keys = ts_arena_take(arena, floats, sizeof(float));
    cache->values = ts_arena_take(arena, floats, sizeof(float));
    cache->capacity = capacity;
    cache->used = 0;
    ts_scratch_take(shape, rows, capacity, workers, arena, scratch);
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

/* ---- products ---- */

/* A matrix: floats or panels. */
typedef struct factor {
    const float *w; /* NULL: panels */
    ts_panels panels;
    size_t outputs;
} factor;

/* y (rows, outputs) = x w^T (+ bias) of matrices with the same x, whose outputs lie behind one another. Split over outputs. */
typedef struct product {
    const ts_kernels *kernels;
    factor factors[3];
    size_t count; /* of them */
    float *y;
    float *const *y_rows; /* instead of y */
    size_t y_stride;
    const float *x, *bias;
    ts_byte_rows *bytes; /* of x, where a factor has panels */
    size_t rows, in;
    bool add; /* y += instead: the residual */
} product;

#define OUTPUTS_AT_ONCE 64
#define ROWS_AT_ONCE 8

static size_t pieces_of(size_t outputs)
{
    return (outputs + OUTPUTS_AT_ONCE - 1) / OUTPUTS_AT_ONCE;
}

/* Rows [row, row + rows) and outputs [first, first + outputs) of a factor; of panels the last one's outputs are all written. */
static void multiply_factor(const product *p, const factor *f, float *y, size_t y_stride, size_t row, size_t rows, size_t first, size_t outputs)
{
    if (f->w != NULL) {
        p->kernels->linear(y, y_stride, p->x + row * p->in, p->in, f->w + first * p->in, p->in, rows, outputs, p->in);
        return;
    }
    size_t blocks = p->in / TS_BLOCK;
    ts_byte_rows x = {p->bytes->values + row * p->in, p->bytes->scales + row * blocks, p->bytes->sums + row * blocks, blocks};
    const uint8_t *panels = f->panels.data + first / TS_PANEL * ts_panel_size(f->panels.type, blocks);
    size_t count = (outputs + TS_PANEL - 1) / TS_PANEL;
    if (f->panels.type == TS_BLOCKS_Q8_0)
        p->kernels->linear_q8_0(y, y_stride, &x, rows, panels, count);
    else
        p->kernels->linear_q4_0(y, y_stride, &x, rows, panels, count);
}

static void add_row(float *restrict y, const float *restrict sums, const float *restrict bias, size_t count, bool add)
{
    for (size_t o = 0; bias != NULL && o < count; o++)
        y[o] = (add ? y[o] : 0) + (sums[o] + bias[o]);
    for (size_t o = 0; bias == NULL && add && o < count; o++)
        y[o] += sums[o];
    if (bias == NULL && !add)
        memcpy(y, sums, count * sizeof *y);
}

static void multiply_piece(const product *p, size_t piece)
{
    float part[ROWS_AT_ONCE * OUTPUTS_AT_ONCE];
    const factor *f = p->factors;
    size_t before = 0;
    for (; piece >= pieces_of(f->outputs); f++) {
        piece -= pieces_of(f->outputs);
        before += f->outputs;
    }
    size_t first = piece * OUTPUTS_AT_ONCE, outputs = TS_MIN((size_t)OUTPUTS_AT_ONCE, f->outputs - first);
    const float *bias = p->bias != NULL ? p->bias + before + first : NULL;
    bool straight = !p->add && bias == NULL && p->y_rows == NULL && outputs % TS_PANEL == 0;
    for (size_t row = 0; row < p->rows; row += ROWS_AT_ONCE) {
        size_t rows = TS_MIN((size_t)ROWS_AT_ONCE, p->rows - row);
        if (straight) {
            multiply_factor(p, f, p->y + row * p->y_stride + before + first, p->y_stride, row, rows, first, outputs);
            continue;
        }
        /* Through a small buffer, so that adding to the residual is one operation on the finished sum. */
        multiply_factor(p, f, part, OUTPUTS_AT_ONCE, row, rows, first, outputs);
        for (size_t r = 0; r < rows; r++) {
            float *y = (p->y_rows != NULL ? p->y_rows[row + r] : p->y + (row + r) * p->y_stride) + before + first;
            add_row(y, part + r * OUTPUTS_AT_ONCE, bias, outputs, p->add);
        }
    }
}

static void multiply_part(void *argument, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    for (size_t piece = begin; piece < end; piece++)
        multiply_piece(argument, piece);
}

static void quantize_rows(void *argument, size_t begin, size_t end, size_t worker)
{
    const product *p = argument;
    size_t blocks = p->in / TS_BLOCK;
    (void)worker;
    for (size_t row = begin; row < end; row++)
        p->kernels->quantize(p->bytes->values + row * p->in, p->bytes->scales + row * blocks, p->bytes->sums + row * blocks, p->x + row * p->in, blocks);
}

static void multiply(ts_runtime *runtime, product p)
{
    size_t pieces = 0;
    bool quantized = false;
    for (size_t i = 0; i < p.count; i++) {
        pieces += pieces_of(p.factors[i].outputs);
        quantized = quantized || p.factors[i].w == NULL;
    }
    if (quantized)
        ts_parallel(runtime, p.rows, 8, quantize_rows, &p);
    /* A piece is worth the hand-over from about 2^15 multiplications on. */
    ts_parallel(runtime, pieces, TS_MAX((size_t)1, (1 << 15) / (p.rows * p.in) / OUTPUTS_AT_ONCE), multiply_part, &p);
}

static factor factor_of(const ts_weights *weights, size_t layer, ts_slot slot, size_t outputs)
{
    return (factor){weights->all[layer][slot], weights->panels[layer][slot], outputs};
}

/* ---- attention ---- */

typedef struct attention {
    const ts_kernels *kernels;
    const ts_shape *shape;
    const ts_scratch *scratch;
    size_t layer, rows, window;
    size_t queries; /* rows at once: of one sequence */
} attention;

/* The first key that a query sees. */
static size_t first_key(const attention *a, size_t position)
{
    return position + 1 > a->window ? position + 1 - a->window : 0;
}

/* Queries [row, end) of one sequence, one head. */
static void attend_rows(const attention *a, size_t row, size_t end, size_t head, float *scores)
{
    const ts_shape *shape = a->shape;
    const ts_place *place = a->scratch->places + row;
    const ts_cache *cache = place->cache;
    size_t start = a->layer * cache->capacity * shape->kv + head / (shape->H / shape->K) * shape->D;
    size_t from = first_key(a, place->position), width = place->position + (end - row) - from, stride = a->scratch->capacity;
    const float *keys = cache->keys + start + from * shape->kv, *values = cache->values + start + from * shape->kv;
    a->kernels->linear(scores, stride, a->scratch->qkv + row * shape->qkv + head * shape->D, shape->qkv, keys, shape->kv, end - row, width, shape->D);
    for (; row < end; row++, place++, scores += stride) {
        size_t skip = first_key(a, place->position) - from, count = place->position + 1 - from - skip;
        float *seen = scores + skip, *out = a->scratch->attended + row * shape->C + head * shape->D;
        float sum = a->kernels->exp_sum(seen, count, shape->scale, a->kernels->maximum(seen, count) * shape->scale);
        a->kernels->mix(out, values + skip * shape->kv, shape->kv, seen, count, shape->D);
        a->kernels->multiply(out, 1 / sum, shape->D);
    }
}

/* Items are heads of groups of queries. */
static void attend(void *argument, size_t begin, size_t end, size_t worker)
{
    const attention *a = argument;
    float *scores = a->scratch->scores + worker * TS_QUERIES * a->scratch->capacity;
    for (size_t item = begin; item < end; item++) {
        size_t row = item / a->shape->H * a->queries;
        attend_rows(a, row, TS_MIN(row + a->queries, a->rows), item % a->shape->H, scores);
    }
}

static void attend_all(ts_runtime *runtime, attention a)
{
    const ts_place *places = a.scratch->places;
    a.queries = places[0].cache == places[a.rows - 1].cache ? TS_QUERIES : 1;
    size_t groups = (a.rows + a.queries - 1) / a.queries, work = (places[a.rows - 1].position + 1) * a.shape->D * a.queries; /* of an item, about */
    ts_parallel(runtime, groups * a.shape->H, TS_MAX((size_t)1, (1 << 15) / work), attend, &a);
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
    multiply(runtime, p);
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

/* Queries and keys by their positions. */
static void turn_rows(const ts_kernels *kernels, const ts_shape *shape, size_t count, ts_scratch *s)
{
    for (size_t row = 0; row < count && s->turns != NULL; row++)
        for (size_t head = 0; head < shape->H + shape->K; head++)
            kernels->rotate(s->qkv + row * shape->qkv + head * shape->D, s->turns + s->places[row].position * shape->D, shape->D, 1);
}

/* Keys and values into the caches. */
static void store_rows(const ts_shape *shape, size_t layer, size_t count, ts_scratch *s)
{
    size_t kv = shape->kv;
    for (size_t row = 0; row < count; row++) {
        const ts_cache *cache = s->places[row].cache;
        size_t at = (layer * cache->capacity + s->places[row].position) * kv;
        const float *key = s->qkv + row * shape->qkv + shape->C;
        memcpy(cache->keys + at, key, kv * sizeof(float));
        memcpy(cache->values + at, key + kv, kv * sizeof(float));
    }
}

/* Queries, keys and values of rows, the last two into the caches. */
static void look_block(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, size_t layer, size_t count,
                       ts_scratch *s)
{
    size_t C = shape->C, kv = shape->kv;
    float *const *w = weights->all[layer];
    product p = {.kernels = kernels, .y = s->qkv, .y_stride = shape->qkv, .x = s->norm, .bias = w[TS_SLOT_QKV_BIAS], .bytes = &s->bytes, .rows = count, .in = C};
    if (shape->switches->fused_qkv) {
        p.factors[p.count++] = factor_of(weights, layer, TS_SLOT_QKV, shape->qkv);
    } else {
        p.factors[p.count++] = factor_of(weights, layer, TS_SLOT_Q, C);
        p.factors[p.count++] = factor_of(weights, layer, TS_SLOT_K, kv);
        p.factors[p.count++] = factor_of(weights, layer, TS_SLOT_V, kv);
    }
    norm_rows(kernels, shape, s->norm, s->x, w[TS_SLOT_ATTN_NORM], w[TS_SLOT_ATTN_NORM_BIAS], count);
    tap(s, TS_TAP_ATTENTION_INPUT, layer, s->norm, count, 0, C, C);
    multiply(runtime, p);
    turn_rows(kernels, shape, count, s);
    tap(s, TS_TAP_QUERIES, layer, s->qkv, count, shape->H, shape->D, shape->qkv);
    tap(s, TS_TAP_KEYS, layer, s->qkv + C, count, shape->K, shape->D, shape->qkv);
    tap(s, TS_TAP_VALUES, layer, s->qkv + C + kv, count, shape->K, shape->D, shape->qkv);
    store_rows(shape, layer, count, s);
}

static void attention_block(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, size_t layer, size_t count,
                            ts_scratch *s)
{
    size_t C = shape->C;
    if (s->taps == NULL) {
        attend_all(runtime, (attention){kernels, shape, s, layer, count, ts_layer_window(shape, layer), 1});
    } else {
        const ts_cache *cache = s->places[0].cache;
        size_t start = layer * cache->capacity * shape->kv;
        ts_attend_tapped(runtime, kernels, shape, cache->keys + start, cache->values + start, layer, count, s);
    }
    const float *bias = weights->all[layer][TS_SLOT_ATTN_OUTPUT_BIAS];
    product p = {.kernels = kernels, .count = 1, .x = s->attended, .bias = bias, .bytes = &s->bytes, .rows = count, .in = C};
    p.factors[0] = factor_of(weights, layer, TS_SLOT_ATTN_OUTPUT, C);
    add_product(runtime, p, C, s, TS_TAP_ATTENTION_OUTPUT, layer);
    tap(s, TS_TAP_MIDDLE, layer, s->x, count, 0, C, C);
}

typedef struct activation {
    const ts_kernels *kernels;
    const ts_shape *shape;
    const ts_scratch *scratch;
} activation;

static void activate_rows(void *argument, size_t begin, size_t end, size_t worker)
{
    const activation *a = argument;
    (void)worker;
    for (size_t row = begin; row < end; row++)
        ts_activate_row(a->kernels, a->shape, a->scratch->activated + row * a->shape->F, a->scratch->hidden + row * a->shape->up);
}

static void mlp_block(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, size_t layer, size_t count,
                      ts_scratch *s)
{
    size_t C = shape->C, F = shape->F;
    float *const *w = weights->all[layer];
    product p = {.kernels = kernels, .y = s->hidden, .y_stride = shape->up, .x = s->norm, .bias = w[TS_SLOT_UP_BIAS], .bytes = &s->bytes, .rows = count, .in = C};
    if (shape->switches->swiglu)
        p.factors[p.count++] = factor_of(weights, layer, TS_SLOT_GATE, F);
    p.factors[p.count++] = factor_of(weights, layer, TS_SLOT_UP, F);
    norm_rows(kernels, shape, s->norm, s->x, w[TS_SLOT_FFN_NORM], w[TS_SLOT_FFN_NORM_BIAS], count);
    tap(s, TS_TAP_MLP_INPUT, layer, s->norm, count, 0, C, C);
    multiply(runtime, p);
    if (shape->switches->swiglu)
        tap(s, TS_TAP_GATE, layer, s->hidden, count, 0, F, shape->up);
    tap(s, TS_TAP_HIDDEN, layer, s->hidden + shape->up - F, count, 0, F, shape->up);
    activation a = {kernels, shape, s};
    ts_parallel(runtime, count, 8, activate_rows, &a);
    tap(s, TS_TAP_NEURONS, layer, s->activated, count, 0, F, F);
    p = (product){.kernels = kernels, .count = 1, .x = s->activated, .bias = w[TS_SLOT_DOWN_BIAS], .bytes = &s->bytes, .rows = count, .in = F};
    p.factors[0] = factor_of(weights, layer, TS_SLOT_DOWN, C);
    add_product(runtime, p, C, s, TS_TAP_MLP_OUTPUT, layer);
    tap(s, TS_TAP_OUTPUT, layer, s->x, count, 0, C, C);
}

/* The scratch memory of rows from `first` on. */
static ts_scratch rows_from(const ts_scratch *s, const ts_shape *shape, size_t first)
{
    ts_scratch view = *s;
    view.x += first * shape->C;
    view.norm += first * shape->C;
    view.qkv += first * shape->qkv;
    view.attended += first * shape->C;
    view.hidden += first * shape->up;
    view.activated += first * shape->F;
    view.places += first;
    return view;
}

/* The places are set, and none is used yet. Of the last layer only its keys and values are worked out for rows that are not wanted. */
static void read_rows(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const uint32_t *ids, size_t count,
                      size_t wanted, ts_scratch *s)
{
    float *const *w = weights->all[0];
    ts_scratch last = rows_from(s, shape, count - wanted);
    for (size_t row = 0; row < count; row++)
        ts_embed_row(shape, weights, s->x + row * shape->C, ids[row], s->places[row].position);
    tap(s, TS_TAP_EMBEDDING, 0, s->x, count, 0, shape->C, shape->C);
    for (size_t layer = 0; layer < shape->L && !(s->taps != NULL && s->taps->stopped); layer++) {
        bool whole = layer + 1 < shape->L;
        size_t rows = whole ? count : wanted;
        if (s->stop != NULL && atomic_load_explicit(s->stop, memory_order_relaxed) != 0)
            return;
        look_block(runtime, kernels, shape, weights, layer, count, s);
        if (rows == 0)
            break;
        attention_block(runtime, kernels, shape, weights, layer, rows, whole ? s : &last);
        mlp_block(runtime, kernels, shape, weights, layer, rows, whole ? s : &last);
    }
    norm_rows(kernels, shape, last.norm, last.x, w[TS_SLOT_OUTPUT_NORM], w[TS_SLOT_OUTPUT_NORM_BIAS], wanted);
    tap(s, TS_TAP_NORMED, 0, s->norm, count, 0, shape->C, shape->C);
    for (size_t row = 0; row < count; row++)
        s->places[row].cache->used++;
}

void ts_inference_rows(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const uint32_t *ids, size_t count,
                       ts_cache *cache, ts_scratch *scratch)
{
    for (size_t row = 0; row < count; row++)
        scratch->places[row] = (ts_place){cache, cache->used + row};
    read_rows(runtime, kernels, shape, weights, ids, count, count, scratch);
}

void ts_inference_prompt(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const uint32_t *ids, size_t count,
                         bool last, ts_cache *cache, ts_scratch *scratch)
{
    for (size_t row = 0; row < count; row++)
        scratch->places[row] = (ts_place){cache, cache->used + row};
    read_rows(runtime, kernels, shape, weights, ids, count, last ? 1 : 0, scratch);
}

void ts_inference_step(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const uint32_t *ids,
                       ts_cache *const *caches, size_t count, ts_scratch *scratch)
{
    for (size_t row = 0; row < count; row++)
        scratch->places[row] = (ts_place){caches[row], caches[row]->used};
    read_rows(runtime, kernels, shape, weights, ids, count, count, scratch);
}

/* ---- logits ---- */

static product logits_product(const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const float *norm, size_t count, ts_scratch *scratch)
{
    return (product){.kernels = kernels,
                     .factors = {factor_of(weights, 0, TS_SLOT_OUTPUT, shape->V)},
                     .count = 1,
                     .y_stride = shape->V,
                     .x = norm,
                     .bytes = &scratch->bytes,
                     .rows = count,
                     .in = shape->C};
}

void ts_inference_logits(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const float *norm, size_t count,
                         float *logits, ts_scratch *scratch)
{
    product p = logits_product(kernels, shape, weights, norm, count, scratch);
    p.y = logits;
    multiply(runtime, p);
}

void ts_inference_logits_apart(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, size_t count,
                               float *const *logits, ts_scratch *scratch)
{
    product p = logits_product(kernels, shape, weights, scratch->norm, count, scratch);
    p.y_rows = logits;
    multiply(runtime, p);
}

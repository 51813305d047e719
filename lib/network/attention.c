/*
 * Causal attention of training. Scores exist for a block of queries at a time, never T x T; the way back works them out again from the saved
 * logarithms of the rows' sums (Dao et al. 2022). An item of work is a span and a key-value head, with all query heads that share it. What no query
 * of a span sees is never touched.
 */
#include <math.h>

#include "network/layers.h"

#define QUERIES 32 /* in a block */
#define NARROW 16  /* heads below this size leave lanes empty where their numbers lie side by side: keys or queries do then */

/* Keys and values across and their gradients, scores and theirs. */
size_t ts_attention_scratch(const ts_shape *shape, size_t T)
{
    return 4 * shape->D * T + 2 * QUERIES * T;
}

typedef struct job {
    ts_training *training;
    float *y, *qkv, *sums, *dqkv;
    const float *dy, *past_y, *past_qkv, *past_sums;
    size_t window;
} job;

/* y (count, D) = weights (count, stride T) times rows [from, from + seen), which are also there across. */
static void weigh(const ts_training *training, float *y, size_t stride, const float *weights, const float *rows, const float *across, size_t T,
                  size_t count, size_t from, size_t seen)
{
    const ts_kernels *kernels = training->kernels;
    const ts_shape *shape = training->shape;
    if (shape->D < NARROW)
        kernels->linear(y, stride, weights, T, across + from, T, count, shape->D, seen);
    else
        kernels->small_product(y, stride, weights, T, 1, rows + from * shape->qkv, shape->qkv, count, shape->D, seen, false);
}

static void turn_rows(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    const ts_training *training = j->training;
    const ts_shape *shape = training->shape;
    float *rows = j->dqkv ? j->dqkv : j->qkv, direction = j->dqkv ? -1 : 1;
    (void)worker;
    for (size_t row = begin; row < end; row++)
        for (size_t head = 0; head < shape->H + shape->K; head++)
            training->kernels->rotate(rows + row * shape->qkv + head * shape->D, training->turns + training->positions[row] * shape->D, shape->D,
                                      direction);
}

/* The keys that queries [first, first + count) see together. */
static size_t first_key(size_t query, size_t window)
{
    return query + 1 > window ? query + 1 - window : 0;
}

/* scores (count, stride T): probabilities of a block of queries over keys [from, first + count), zero where a query sees nothing. The span has T
 * rows. Sums are made or used. */
static void probabilities(const job *j, size_t T, float *scores, const float *q, const float *keys_across, size_t first, size_t count, size_t from,
                          float *make, const float *use)
{
    const ts_shape *shape = j->training->shape;
    const ts_kernels *kernels = j->training->kernels;
    size_t end = first + count;
    kernels->small_product(scores, T, q + first * shape->qkv, shape->qkv, 1, keys_across + from, T, count, end - from, shape->D, false);
    for (size_t i = 0; i < count; i++) {
        float *row = scores + i * T;
        size_t low = first_key(first + i, j->window) - from, high = first + i + 1 - from;
        if (make) {
            float shift = kernels->maximum(row + low, high - low) * shape->scale;
            float sum = kernels->exp_sum(row + low, high - low, shape->scale, shift);
            kernels->multiply(row + low, 1 / sum, high - low);
            make[first + i] = shift + logf(sum);
        } else {
            kernels->exp_sum(row + low, high - low, shape->scale, use[first + i]);
        }
        memset(row, 0, low * sizeof(float));
        memset(row + high, 0, (end - from - high) * sizeof(float));
    }
}

static void attend(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    const ts_training *training = j->training;
    const ts_shape *shape = training->shape;
    size_t D = shape->D, group = shape->H / shape->K;
    float *keys_across = training->heads + worker * ts_attention_scratch(shape, training->T), *scores = keys_across + 4 * D * training->T;
    for (size_t item = begin; item < end; item++) {
        const ts_span *span = &training->spans[item / shape->K];
        size_t kv_head = item % shape->K, T = span->count;
        const float *rows = j->qkv + span->begin * shape->qkv, *keys = rows + shape->C + kv_head * D, *values = keys + shape->kv;
        float *values_across = keys_across + D * T;
        ts_turn(training->kernels, keys_across, T, keys, shape->qkv, T, D);
        if (D < NARROW)
            ts_turn(training->kernels, values_across, T, values, shape->qkv, T, D);
        for (size_t head = kv_head * group; head < (kv_head + 1) * group; head++)
            for (size_t first = 0; first < T; first += QUERIES) {
                size_t count = TS_MIN(QUERIES, T - first), from = first_key(first, j->window);
                probabilities(j, T, scores, rows + head * D, keys_across, first, count, from, j->sums + span->begin * shape->H + head * T, NULL);
                weigh(training, j->y + (span->begin + first) * shape->C + head * D, shape->C, scores, values, values_across, T, count, from,
                      first + count - from);
            }
    }
}

void ts_attention(ts_training *training, float *y, float *qkv, float *sums, size_t window)
{
    job j = {.training = training, .y = y, .qkv = qkv, .sums = sums, .window = window};
    if (training->turns)
        ts_parallel(training->runtime, training->N, TS_PIECE_ROWS, turn_rows, &j);
    ts_parallel(training->runtime, training->span_count * training->shape->K, 1, attend, &j);
}

/* Gradients of the keys or values of one block of queries: rows [from, from + seen) of `rows`, or where heads are narrow their columns in `across`,
 * += w^T x. */
static void add_back(const ts_training *training, float *rows, float *across, const float *w, const float *x, size_t x_row, size_t T, size_t count,
                     size_t from, size_t seen)
{
    const ts_kernels *kernels = training->kernels;
    size_t D = training->shape->D, stride = training->shape->qkv;
    if (D < NARROW)
        kernels->small_product(across + from, T, x, 1, x_row, w, T, D, seen, count, true);
    else
        kernels->small_product(rows + from * stride, stride, w, 1, T, x, x_row, seen, D, count, true);
}

/* With P the probabilities and S = scale q k: dP = dy v, dS = P (dP - dy . y) scale, dq = dS k, dk = dS^T q, dv = P^T dy. */
static void attend_back(const job *j, float *scratch, const ts_span *span, size_t kv_head, size_t head)
{
    const ts_training *training = j->training;
    const ts_shape *shape = training->shape;
    const ts_kernels *kernels = training->kernels;
    size_t T = span->count, C = shape->C, D = shape->D, stride = shape->qkv;
    const float *keys_across = scratch, *values_across = scratch + D * T;
    float *dkeys_across = scratch + 2 * D * T, *dvalues_across = dkeys_across + D * T, *scores = scratch + 4 * D * training->T,
          *dscores = scores + QUERIES * T;
    const float *q = j->past_qkv + span->begin * stride + head * D, *keys = j->past_qkv + span->begin * stride + C + kv_head * D;
    float *dq = j->dqkv + span->begin * stride + head * D, *dkeys = j->dqkv + span->begin * stride + C + kv_head * D, *dvalues = dkeys + shape->kv;
    for (size_t first = 0; first < T; first += QUERIES) {
        size_t count = TS_MIN(QUERIES, T - first), from = first_key(first, j->window), seen = first + count - from;
        const float *dy = j->dy + (span->begin + first) * C + head * D, *y = j->past_y + (span->begin + first) * C + head * D;
        probabilities(j, T, scores, q, keys_across, first, count, from, NULL, j->past_sums + span->begin * shape->H + head * T);
        add_back(training, dvalues, dvalues_across, scores, dy, C, T, count, from, seen);
        kernels->small_product(dscores, T, dy, C, 1, values_across + from, T, count, seen, D, false);
        for (size_t i = 0; i < count; i++)
            kernels->softmax_back(dscores + i * T, scores + i * T, seen, kernels->dot(dy + i * C, y + i * C, D), shape->scale);
        weigh(training, dq + first * stride, stride, dscores, keys, keys_across, T, count, from, seen);
        add_back(training, dkeys, dkeys_across, dscores, q + first * stride, stride, T, count, from, seen);
    }
}

/* rows = the columns of across (D, T). */
static void lay_back(float *rows, size_t stride, const float *across, size_t T, size_t D)
{
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < D; i++)
            rows[t * stride + i] = across[i * T + t];
}

static void attend_back_items(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    const ts_training *training = j->training;
    const ts_shape *shape = training->shape;
    size_t D = shape->D, group = shape->H / shape->K;
    float *scratch = training->heads + worker * ts_attention_scratch(shape, training->T);
    for (size_t item = begin; item < end; item++) {
        const ts_span *span = &training->spans[item / shape->K];
        size_t kv_head = item % shape->K, T = span->count;
        const float *keys = j->past_qkv + span->begin * shape->qkv + shape->C + kv_head * D;
        ts_turn(training->kernels, scratch, T, keys, shape->qkv, T, D);
        ts_turn(training->kernels, scratch + D * T, T, keys + shape->kv, shape->qkv, T, D);
        float *dkeys = j->dqkv + span->begin * shape->qkv + shape->C + kv_head * D, *dvalues = dkeys + shape->kv;
        memset(scratch + 2 * D * T, 0, 2 * D * T * sizeof(float));
        for (size_t t = 0; t < T && D >= NARROW; t++) {
            memset(dkeys + t * shape->qkv, 0, D * sizeof(float));
            memset(dvalues + t * shape->qkv, 0, D * sizeof(float));
        }
        for (size_t head = kv_head * group; head < (kv_head + 1) * group; head++)
            attend_back(j, scratch, span, kv_head, head);
        if (D < NARROW) {
            lay_back(dkeys, shape->qkv, scratch + 2 * D * T, T, D);
            lay_back(dvalues, shape->qkv, scratch + 3 * D * T, T, D);
        }
    }
}

void ts_attention_back(ts_training *training, float *dqkv, const float *dy, const float *y, const float *qkv, const float *sums, size_t window)
{
    job j = {.training = training, .dqkv = dqkv, .dy = dy, .past_y = y, .past_qkv = qkv, .past_sums = sums, .window = window};
    ts_parallel(training->runtime, training->span_count * training->shape->K, 1, attend_back_items, &j);
    if (training->turns)
        ts_parallel(training->runtime, training->N, TS_PIECE_ROWS, turn_rows, &j);
}

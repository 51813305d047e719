/* The pieces of a layer, private to this room. "Row" functions serve inference and training; "back" ones training alone. */
#ifndef TS_LAYERS_H
#define TS_LAYERS_H

#include "network/network.h"

/* ---- rows.c ---- */

/* x (C) = token embedding + position embedding */
void ts_embed_row(const ts_shape *shape, const ts_weights *weights, float *x, uint32_t id, size_t position);
/* saved[0] = mean (layer norm), saved[1] = scale */
void ts_norm_row(const ts_kernels *kernels, const ts_shape *shape, float *y, const float *x, const float *weight, const float *bias, float *saved);
/* y (F) of hidden (up): GELU, or SwiGLU of gate and up behind one another */
void ts_activate_row(const ts_kernels *kernels, const ts_shape *shape, float *y, const float *hidden);
/* turns (positions, D): cos and sin of position * base^(-2 i / D), interleaved */
void ts_rotary_turns(float *turns, size_t positions, size_t D, float base);

/* ---- taps.c ---- */

/* Attention of `count` rows of an empty cache to one another in steps that a callback may come between: s->qkv to s->attended. */
void ts_attend_tapped(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const float *keys, const float *values, size_t layer, size_t count,
                      ts_scratch *s);

/* ---- training: N = B T rows, all threads; every function gives the same bits for any number of them ---- */

/* Rows that see one another and no others, at most T of them: a sequence, or a story. */
typedef struct ts_span {
    size_t begin, count;
} ts_span;

/* What the layers of a training network share. */
typedef struct ts_training {
    ts_runtime *runtime;
    const ts_kernels *kernels;
    const ts_shape *shape;
    ts_gemm_space gemm;
    size_t B, T, N;
    ts_span *spans;  /* behind one another over all rows */
    size_t span_count;
    uint32_t *positions; /* (N): of a row in its span */
    float *turns;    /* (T, D) */
    float *partial;  /* sums of pieces of rows: (pieces, 2 C or a bias) */
    uint32_t *packed_head[2]; /* the head packed for logits and for their way back */
    float *heads;    /* a thread's scratch for attention: ts_attention_scratch floats each */
} ts_training;

/* Rows that are summed together before the sums of such pieces are added in order. */
#define TS_PIECE_ROWS 64

/* linear.c: y (N, out) = x (N, in) w^T + bias + residual, the last two optional. w is (out, in). */
void ts_linear(ts_training *training, float *y, const float *x, const float *w, const float *bias, const float *residual, size_t out, size_t in);
/* dw += dy^T x, dbias += column sums of dy (optional), dx = dy w, or += when `add` (dx may be NULL). */
void ts_linear_back(ts_training *training, float *dx, float *dw, float *dbias, const float *dy, const float *x, const float *w, size_t out, size_t in, bool add);

/* embedding.c */
void ts_embedding(ts_training *training, float *x, const ts_weights *weights, const uint32_t *ids);
void ts_embedding_back(ts_training *training, const ts_weights *gradients, const float *dx, const uint32_t *ids);

/* norm.c: saved (N, 2) */
void ts_norm(ts_training *training, float *y, const float *x, const float *weight, const float *bias, float *saved);
/* dx += */
void ts_norm_back(ts_training *training, float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *weight, const float *saved);

/* attention.c: qkv (N, qkv) with q and k not yet turned: ts_attention turns them in place. y (N, C). sums (N, H), a span's as (H, count): log of the sum of
 * exponentials of a row's scores. */
size_t ts_attention_scratch(const ts_shape *shape, size_t T);
void ts_attention(ts_training *training, float *y, float *qkv, float *sums, size_t window);
void ts_attention_back(ts_training *training, float *dqkv, const float *dy, const float *y, const float *qkv, const float *sums, size_t window);

/* mlp.c: y (N, F) of hidden (N, up) */
void ts_activation(ts_training *training, float *y, const float *hidden);
void ts_activation_back(ts_training *training, float *dhidden, const float *dy, const float *hidden);

/* loss.c: rows of logits that are in memory at once */
#define TS_LOSS_ROWS 256
/* x (N, C): normed rows. Adds the losses of counted targets to *loss and their number to *counted. With gradients: dx (N, C) is set, the head's gradient added to.
 * logits: (min(N, TS_LOSS_ROWS), V) scratch; losses: that many doubles. */
void ts_loss(ts_training *training, const ts_weights *weights, const ts_weights *gradients, float *dx, const float *x, const uint32_t *targets, float weight,
             float *logits, double *losses, double *loss, size_t *counted);

#endif

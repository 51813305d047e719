/*
 * Arithmetic on floats: a table of kernels a CPU level, and the matrix product of training.
 *
 * `reference` is plain C and the specification; every other level is tested against it. All sums have an order of their own that depends on the level and on the
 * length of the sum alone, never on how many rows are computed together or by how many threads.
 */
#ifndef TS_TENSOR_H
#define TS_TENSOR_H

#include "base/base.h"

/* Rows are `count` floats; pointers need no alignment; inputs and outputs may be the same array where a comment says "in place". */
typedef struct ts_kernels {
    int32_t level;

    /* ---- inference ---- */

    float (*dot)(const float *x, const float *y, size_t count);
    /* y += a x */
    void (*axpy)(float *y, const float *x, float a, size_t count);
    /* y[r][o] = w[o] . x[r] for `rows` rows of x (stride `in`) and outputs [0, outputs) (w stride `in`; y stride `y_stride`). Every element is summed as dot() sums. */
    void (*linear)(float *y, size_t y_stride, const float *x, const float *w, size_t rows, size_t outputs, size_t in);

    /* ---- rows, training and inference ---- */

    /* y = (x - mean) / deviation * weight + bias; *mean and *scale (1 / deviation) are for the way back. */
    void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, size_t count, float epsilon, float *mean, float *scale);
    /* y = x / rms * weight; *scale is 1 / rms */
    void (*rms_norm)(float *y, const float *x, const float *weight, size_t count, float epsilon, float *scale);
    /* dx += ..., dweight += ..., dbias += ... of one row */
    void (*layer_norm_back)(float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *weight, size_t count, float mean,
                            float scale);
    void (*rms_norm_back)(float *dx, float *dweight, const float *dy, const float *x, const float *weight, size_t count, float scale);
    /* y = gelu(x), the tanh form */
    void (*gelu)(float *y, const float *x, size_t count);
    /* dx = dy gelu'(x); in place over dy */
    void (*gelu_back)(float *dx, const float *dy, const float *x, size_t count);
    /* y = silu(gate) up */
    void (*swiglu)(float *y, const float *gate, const float *up, size_t count);
    void (*swiglu_back)(float *dgate, float *dup, const float *dy, const float *gate, const float *up, size_t count);
    /* x[i] = exp(scale x[i] - shift) in place; returns their sum */
    float (*exp_sum)(float *x, size_t count, float scale, float shift);
    float (*maximum)(const float *x, size_t count);
    void (*multiply)(float *x, float factor, size_t count);
    /* Adjacent pairs (x[2i], x[2i+1]) turned by angles whose (cos, sin) pairs are interleaved in `turns`; direction -1 turns back. `count` even; in place. */
    void (*rotate)(float *x, const float *turns, size_t count, float direction);

    /* ---- training ---- */

    /* c[i][j] = (add ? c[i][j] : 0) + sum over k of a[i a_row + k a_column] b[k b_row + j]; small matrices, in one thread (attention). */
    void (*small_product)(float *c, size_t c_row, const float *a, size_t a_row, size_t a_column, const float *b, size_t b_row, size_t rows, size_t columns,
                          size_t depth, bool add);
    /* The tile of ts_gemm: c (tile_rows, tile_columns; stride c_row) = (add ? c : 0) + sum over k < depth of a[k][tile_rows] b[k][tile_columns]. */
    void (*tile)(float *c, size_t c_row, const float *a, const float *b, size_t depth, bool add);
    uint32_t tile_rows, tile_columns; /* 0: no tile at this level */
    /* The same on pairs of bf16, whose products are exact and are added in f32: a pair is the elements k and k + 1 of a row or column, the first in the lower
     * half. NULL: not at this level. `depth` counts pairs, in steps of pair_step. Where pair_lines is set, a is a[tile row][depth] instead. */
    void (*tile_pairs)(float *c, size_t c_row, const uint32_t *a, const uint32_t *b, size_t depth, bool add);
    uint32_t pair_tile_rows, pair_tile_columns, pair_step;
    bool pair_lines;
    /* Before and after a thread's run of tile_pairs; NULL: nothing to do. */
    void (*begin_pairs)(void);
    void (*end_pairs)(void);
    /* into[j][i] = from[i][j] of a 16 x 16 block; strides in elements. */
    void (*transpose_16)(uint32_t *into, size_t into_row, const uint32_t *from, size_t from_row);
    /* into[i] = the pair (even[i], odd[i]), and into[i] = the pair (x[2 i], x[2 i + 1]); rounded to the nearest, ties to even. */
    void (*pair_rows)(uint32_t *into, const float *even, const float *odd, size_t count);
    void (*pair_neighbours)(uint32_t *into, const float *x, size_t count);
    double (*square_sum)(const float *x, size_t count);
    /* AdamW: m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2, w -= rate (m / c1 / (sqrt(v / c2) + epsilon) + decay w), where g = gradient * clip */
    void (*adamw)(float *w, float *m, float *v, const float *gradient, size_t count, float clip, float rate, float b1, float b2, float c1, float c2,
                  float epsilon, float decay);
} ts_kernels;

/* The table of a level that this machine has (ts_runtime_cpu_level). Constant. */
const ts_kernels *ts_kernels_at(int32_t level);

/* A matrix in memory: element (i, j) is data[i * row + j * column]; one of the strides is 1. */
typedef struct ts_matrix {
    const float *data;
    size_t row, column;
} ts_matrix;

/* What matrix products need besides their arguments: one an owner, used by one call at a time. */
typedef struct ts_gemm_space {
    ts_runtime *runtime;
    const ts_kernels *kernels;
    uint32_t *packed_b;   /* all of b in panels: floats or pairs of bf16 */
    uint32_t *packed_a;   /* a block of a for every thread */
    size_t packed_b_size; /* of 4 bytes */
    bool bf16;            /* the factors are rounded to bf16; sums stay f32 */
} ts_gemm_space;

/* `largest_b`: the largest depth x columns of the products to come (with columns rounded up to 64). UNSUPPORTED: bf16 at a level without it. */
ts_status ts_gemm_space_init(ts_gemm_space *space, ts_runtime *runtime, const ts_kernels *kernels, size_t largest_b, bool bf16);
void ts_gemm_space_free(ts_gemm_space *space);

/*
 * c (m, n; stride c_row) = (add ? c : 0) + a (m, k) b (k, n), with all threads of the runtime. With our own tiles the result is the same bits for any number
 * of threads; a level without tiles calls OpenBLAS, whose process-wide settings are the host's and stay untouched.
 */
void ts_gemm(ts_gemm_space *space, float *c, size_t c_row, ts_matrix a, ts_matrix b, size_t m, size_t n, size_t k, bool add);

#endif

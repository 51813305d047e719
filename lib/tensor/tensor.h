/*
 * Arithmetic on floats: a table of kernels a CPU level, and the matrix product of training.
 *
 * `reference` is plain C and the specification; every other level is tested against it. All sums have an order of their own that depends on the level and on the
 * length of the sum alone, never on how many rows are computed together or by how many threads.
 */
#ifndef TS_TENSOR_H
#define TS_TENSOR_H

#include "base/base.h"

/* ---- quantized matrices ---- */

enum {
    TS_BLOCK = 32,  /* numbers that share a scale */
    TS_PANEL = 16,  /* outputs side by side */
    TS_BLOCKS_NONE = 0, /* floats */
    TS_BLOCKS_Q8_0 = 1, /* bytes from -128 to 127 */
    TS_BLOCKS_Q4_0 = 2  /* 4 bits: 0 to 15 for -8 to 7, numbers 0 to 15 of a block in the lower halves of its bytes, 16 to 31 in the upper ones */
};

/*
 * A matrix (outputs, in), `in` a multiple of TS_BLOCK, in panels of TS_PANEL outputs, the last one filled up with zeros. In a panel come block after block, in a
 * block groups of four bytes of each output, so that a vector holds four numbers of every output and no sum runs across lanes; then the scales, of every block
 * one of each output, as 16-bit floats. A panel begins at a multiple of 64 bytes.
 */
static inline size_t ts_panel_size(int32_t type, size_t blocks)
{
    size_t bytes = blocks * TS_PANEL * (2 + (type == TS_BLOCKS_Q8_0 ? TS_BLOCK : TS_BLOCK / 2));
    return (bytes + 63) & ~(size_t)63;
}

typedef struct ts_panels {
    int32_t type; /* TS_BLOCKS_ */
    const uint8_t *data;
} ts_panels;

/* panels.c: bytes of all panels; false on overflow. Bytes of a row of blocks as GGUF has them. */
bool ts_panels_size(int32_t type, size_t outputs, size_t in, size_t *bytes);
size_t ts_blocks_row(int32_t type, size_t in);
/* Puts a row of GGUF's blocks into its place, or gets it out again as it was, or as floats, exactly. */
void ts_panels_pack(int32_t type, uint8_t *panels, size_t in, size_t row, const uint8_t *blocks);
void ts_panels_unpack(int32_t type, const uint8_t *panels, size_t in, size_t row, uint8_t *blocks);
void ts_panels_floats(int32_t type, const uint8_t *panels, size_t in, size_t row, float *values);

/* Rounds a row of floats to GGUF's blocks, as ggml does; false: a number is not finite, or its scale is too large for a 16-bit float. */
bool ts_blocks_make(int32_t type, uint8_t *blocks, const float *x, size_t in);

/* Rows that quantized matrices are multiplied by, `blocks` blocks each. */
typedef struct ts_byte_rows {
    int8_t *values; /* (rows, blocks, TS_BLOCK): -127 to 127; 4-byte aligned */
    float *scales;  /* (rows, blocks): greatest / 127; no number where one of the block is none */
    int32_t *sums;  /* (rows, blocks): of a block's values */
    size_t blocks;
} ts_byte_rows;

/* What a tile of a product is added to: base (stride base_row), or zeros where it is NULL, and bias, a row, where that is not NULL. */
typedef struct ts_start {
    const float *base;
    size_t base_row;
    const float *bias;
} ts_start;

/* Rows are `count` floats; pointers need no alignment; inputs and outputs may be the same array where a comment says "in place". */
typedef struct ts_kernels {
    int32_t level;

    /* ---- inference ---- */

    float (*dot)(const float *x, const float *y, size_t count);
    /* y += a x */
    void (*axpy)(float *y, const float *x, float a, size_t count);
    /* y[r][o] = w[o] . x[r] for rows [0, rows) and outputs [0, outputs); strides in floats. An element's sum has one order that depends on `in` alone. */
    void (*linear)(float *y, size_t y_stride, const float *x, size_t x_stride, const float *w, size_t w_stride, size_t rows, size_t outputs, size_t in);
    /* y (count) = sum over rows of a[row] x[row] (count; stride x_stride) */
    void (*mix)(float *y, const float *x, size_t x_stride, const float *a, size_t rows, size_t count);

    /* One row of x to bytes: `blocks` blocks to values, scales and sums. */
    void (*quantize)(int8_t *values, float *scales, int32_t *sums, const float *x, size_t blocks);
    /* y[r][o] = w[o] . x[r] for all outputs of `count` panels: whole numbers within a block, then floats from block to block, in one order. */
    void (*linear_q8_0)(float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count);
    void (*linear_q4_0)(float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count);

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

    /* d = p (d - mean) scale: the gradient of scores from that of their softmax p; in place */
    void (*softmax_back)(float *d, const float *p, size_t count, float mean, float scale);
    /* c[i][j] = (add ? c[i][j] : 0) + sum over k of a[i a_row + k a_column] b[k b_row + j]; small matrices, in one thread (attention). */
    void (*small_product)(float *c, size_t c_row, const float *a, size_t a_row, size_t a_column, const float *b, size_t b_row, size_t rows, size_t columns,
                          size_t depth, bool add);
    /* A tile of ts_gemm: c (tile_rows, tile_columns; stride c_row) = start + sum over k < depth of a[r][k] b[k][column], where a[r][k] is
     * a[r * a_row + k * a_step]: lines (a_step 1), or step after step (a_row 1, a_step tile_rows). b is step after step. */
    void (*tile)(float *c, size_t c_row, const float *a, size_t a_row, size_t a_step, const float *b, size_t depth, const ts_start *start);
    uint32_t tile_rows, tile_columns; /* 0: no tile at this level */
    /* The same on pairs of bf16, whose products are exact and are added in f32: a pair is the elements k and k + 1 of a row or column, the first in the lower
     * half. NULL: not at this level. `depth` counts pairs, in steps of pair_step. Where pair_lines is set, a is lines always. */
    void (*tile_pairs)(float *c, size_t c_row, const uint32_t *a, size_t a_row, size_t a_step, const uint32_t *b, size_t depth, const ts_start *start);
    uint32_t pair_tile_rows, pair_tile_columns, pair_step;
    bool pair_lines;
    /* Before and after a thread's run of tile_pairs; NULL: nothing to do. */
    void (*begin_pairs)(void);
    void (*end_pairs)(void);
    /* into[j][i] = from[i][j] of a 16 x 16 block of floats or pairs; strides in elements. NULL: not at this level. */
    void (*transpose_16)(uint32_t *into, size_t into_row, const uint32_t *from, size_t from_row);
    /* Packs `depth` rows of `count` floats as tiles of `width` columns: column j of row k is into[j / width * apart + k * width + j % width], with zeros up to the
     * end of the last tile. Only at levels with tiles. */
    void (*copy_rows)(float *into, size_t width, size_t apart, const float *x, size_t row, size_t count, size_t depth);
    /* The same to pairs of bf16 of rows 2 u and 2 u + 1, k above being u; the last pair of an odd depth has a zero. To bf16 is to the nearest, ties to even;
     * numbers too small to be normal become 0; a NaN stays one. */
    void (*pair_rows)(uint32_t *into, size_t width, size_t apart, const float *x, size_t row, size_t count, size_t depth);
    /* into[i] = the pair (x[2 i], x[2 i + 1]) */
    void (*pair_line)(uint32_t *into, const float *x, size_t depth);
    double (*square_sum)(const float *x, size_t count);
    /* AdamW: m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2, w -= rate (m / c1 / (sqrt(v / c2) + epsilon) + decay w), where g = gradient * clip */
    void (*adamw)(float *w, float *m, float *v, const float *gradient, size_t count, float clip, float rate, float b1, float b2, float c1, float c2,
                  float epsilon, float decay);
} ts_kernels;

/* The table of a level that this machine has (ts_runtime_cpu_level). Constant. */
const ts_kernels *ts_kernels_at(int32_t level);

/* into[k * width + j] = from[j * across + k] for j < count and k < depth, zeros from count to `width`. */
void ts_turn(const ts_kernels *kernels, float *into, size_t width, const float *from, size_t across, size_t count, size_t depth);

/* A matrix in memory: element (i, j) is data[i * row + j * column]; one of the strides is 1. */
typedef struct ts_matrix {
    const float *data;
    size_t row, column;
} ts_matrix;

/* What matrix products need besides their arguments: one an owner, used by one call at a time. */
typedef struct ts_gemm_space {
    ts_runtime *runtime;
    const ts_kernels *kernels;
    uint32_t *packed_b; /* all of b in panels: floats or pairs of bf16 */
    uint32_t *packed_a; /* the same of an a whose columns lie together */
    uint32_t *lines;    /* of a, for every thread that works on them */
    bool bf16;          /* the factors are rounded to bf16; sums stay f32 */
    bool alone;         /* a thread's own, for products within a parallel loop */
} ts_gemm_space;

/* `largest_a` and `largest_b`: the largest ts_gemm_packed_a_size of the products to come whose a has its columns together (0: none), and
 * ts_gemm_packed_size; `alone`: products are made within a parallel loop, the space is one thread's. UNSUPPORTED: bf16 at a level without it. */
ts_status ts_gemm_space_init(ts_gemm_space *space, ts_runtime *runtime, const ts_kernels *kernels, size_t largest_a, size_t largest_b, bool bf16, bool alone);
void ts_gemm_space_free(ts_gemm_space *space);

/*
 * c (m, n; stride c_row) = start + a (m, k) b (k, n), with all threads of the runtime; the start's base may be c itself. With our own tiles the result is the same
 * bits for any number of threads; a level without tiles calls OpenBLAS, whose process-wide settings are the host's and stay untouched.
 */
void ts_gemm(ts_gemm_space *space, float *c, size_t c_row, ts_matrix a, ts_matrix b, size_t m, size_t n, size_t k, ts_start start);

/* For a b of several products: its panels, packed once into memory of ts_gemm_packed_size elements of 4 bytes (0: this level packs nothing, `packed` may be NULL). */
size_t ts_gemm_packed_size(const ts_kernels *kernels, bool bf16, size_t n, size_t k);
size_t ts_gemm_packed_a_size(const ts_kernels *kernels, bool bf16, size_t m, size_t k);
void ts_gemm_pack(ts_gemm_space *space, uint32_t *packed, ts_matrix b, size_t n, size_t k);
/* ts_gemm with a b that was packed like this. */
void ts_gemm_with(ts_gemm_space *space, float *c, size_t c_row, ts_matrix a, ts_matrix b, const uint32_t *packed, size_t m, size_t n, size_t k, ts_start start);

#endif

/*
 * Vectors of LANES floats by vector extensions, for the files of the levels. Such files include nothing else that defines functions: a copy compiled
 * for a level must not be the one that the linker keeps.
 */
#include <immintrin.h>

#include "tensor/tensor.h"

typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef double dvec __attribute__((vector_size(LANES * 8), aligned(8), may_alias));

typedef float half __attribute__((vector_size(LANES * 2), aligned(4), may_alias));
typedef float quarter __attribute__((vector_size(16), aligned(4), may_alias));
typedef float one __attribute__((vector_size(4), aligned(4), may_alias));

/* The lanes' numbers, each combined with another number; and a vector with every lane at its number ^ far. */
#if LANES == 16
#define EACH_LANE(with)                                                                                                                              \
    0 with, 1 with, 2 with, 3 with, 4 with, 5 with, 6 with, 7 with, 8 with, 9 with, 10 with, 11 with, 12 with, 13 with, 14 with, 15 with
#else
#define EACH_LANE(with) 0 with, 1 with, 2 with, 3 with, 4 with, 5 with, 6 with, 7 with
#endif
#define ALL_LANES EACH_LANE(+0)
#define SWAP(v, far) __builtin_shufflevector(v, v, EACH_LANE(^far))

#define BLOCK_ROWS (LANES / 4) /* by four outputs: as many sums as there are lanes */
#define FULL(count, i) ((count) - (i) < LANES ? (count) - (i) : LANES)

/* The first `count` (1 to LANES) floats at x, zeros behind them; and back. Masks where the processor has them: they touch nothing behind. */
#if LANES == 16
#define MASK(count) ((__mmask16)((1u << (count)) - 1))
#define LOAD_PART(x, count) (vec) _mm512_maskz_loadu_ps(MASK(count), x)
#define STORE_PART(x, v, count) _mm512_mask_storeu_ps(x, MASK(count), (__m512)(v))
#else
#define MASK(count) (__m256i)((ivec){ALL_LANES} < (int32_t)(count))
#define LOAD_PART(x, count) (vec) _mm256_maskload_ps(x, MASK(count))
#define STORE_PART(x, v, count) _mm256_maskstore_ps(x, MASK(count), (__m256)(v))
#endif

static inline vec load(const float *x, size_t count)
{
    return count == LANES ? *(const vec *)x : LOAD_PART(x, count);
}

static inline void store(float *x, vec v, size_t count)
{
    if (count == LANES)
        *(vec *)x = v;
    else
        STORE_PART(x, v, count);
}

static inline vec all(float x)
{
    return x - (vec){0};
}

static inline vec choose(ivec condition, vec yes, vec no)
{
    return (vec)((condition & (ivec)yes) | (~condition & (ivec)no));
}

/* Its first `count` lanes, zeros in the others. */
static inline vec first(vec v, size_t count)
{
    return (vec)((ivec)v & ((ivec){ALL_LANES} < (int32_t)count));
}

/* Of two vectors the lanes whose number has bit `far` (a power of two) set: those of b; the others: of a. */
#define FAR_LANES(far) ((far) == 8 ? 0xff00 : (far) == 4 ? 0xf0f0 : (far) == 2 ? 0xcccc : 0xaaaa)
#if LANES == 16
#define PICK(a, b, far) (vec) _mm512_mask_blend_ps(FAR_LANES(far), (__m512)(a), (__m512)(b))
#else
#define PICK(a, b, far) (vec) _mm256_blend_ps((__m256)(a), (__m256)(b), FAR_LANES(far) & 255)
#endif

/* The sum of the lanes: halves folded onto each other, so that the order is the same everywhere. */
static inline float total(vec v)
{
    typedef float half8 __attribute__((vector_size(32), aligned(4), may_alias));
#if LANES == 16
    half8 eight = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    half8 eight = v;
#endif
    quarter four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

/* The greatest lane, and the sum of the lanes of whole numbers: halves onto each other. */
#define HALVE(v, CALL)                                                                                                                               \
    {                                                                                                                                                \
        if (LANES == 16)                                                                                                                             \
            v = CALL(v, SWAP(v, (LANES / 2)));                                                                                                       \
        v = CALL(v, SWAP(v, 4));                                                                                                                     \
        v = CALL(v, SWAP(v, 2));                                                                                                                     \
        v = CALL(v, SWAP(v, 1));                                                                                                                     \
    }
#define GREATER(a, b) (__typeof__(a))choose((a) > (b), (vec)(a), (vec)(b))
#define PLUS(a, b) ((a) + (b))

static inline float greatest_lane(vec v)
{
    HALVE(v, GREATER)
    return v[0];
}

static inline int32_t greatest_whole(ivec v)
{
    HALVE(v, GREATER)
    return v[0];
}

static inline int32_t total_whole(ivec v)
{
    HALVE(v, PLUS)
    return v[0];
}

/* exp: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]; relative error below 2e-7. Clamped to the range of normal floats; NaN stays NaN. */
static inline vec exponential(vec x)
{
    x = choose(x < -87.0f, all(-87.0f), x);
    x = choose(x > 88.0f, all(88.0f), x);
    vec magic = all(12582912.0f); /* 1.5 2^23: adding it rounds to an integer */
    vec n = x * 1.44269504f + magic - magic;
    vec r = x - n * 0.693145752f - n * 1.42860677e-6f;
    vec p = r * 1.98412698e-4f + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    ivec power = (__builtin_convertvector(n, ivec) + 127) << 23;
    return p * (vec)power;
}

static inline vec sigmoid(vec x)
{
    return 1.0f / (1.0f + exponential(-x));
}

/* A tile's sums take long enough for what they are added to, or where they go, to come from memory meanwhile. */
static inline __attribute__((always_inline)) void fetch_early(const float *c, size_t c_row, const ts_start *start)
{
    const float *row = start->base ? start->base : c;
    size_t next = start->base ? start->base_row : c_row;
    for (int r = 0; r < TILE_ROWS; r++, row += next)
        for (int v = 0; v < TILE_VECTORS * LANES; v += 16)
            __builtin_prefetch(row + v, 1);
}

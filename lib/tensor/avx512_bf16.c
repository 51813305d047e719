/* AVX-512 with products of bf16 pairs. In f32 it is AVX-512. */
#define LANES 16
#define LEVEL TS_CPU_LEVEL_AVX512_BF16
#define NAME(f) ts_##f##_avx512
#define TILE_ROWS 12
#define TILE_VECTORS 2
#include "tensor/levels.h"

#include <immintrin.h>

#include "tensor/vectors.h"

#include "tensor/bytes_vnni.h"
#include "tensor/pairs.h"

/* As the tile of loops.h. */
static inline __attribute__((always_inline)) void tile_of(float *c, size_t c_row, const uint32_t *a, size_t a_row, size_t a_step, const uint32_t *b,
                                                          size_t depth, const ts_start *start)
{
    __m512 sum[TILE_ROWS][TILE_VECTORS];
    const uint32_t *group[TILE_ROWS / 3];
    _Pragma("GCC unroll 16") for (int r = 0; r < TILE_ROWS; r++)
    {
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) sum[r][v] = _mm512_setzero_ps();
    }
    _Pragma("GCC unroll 4") for (int g = 0; g < TILE_ROWS / 3; g++) group[g] = a + (size_t)(3 * g) * a_row;
    fetch_early(c, c_row, start);
    for (size_t k = 0; k < depth; k++, b += TILE_VECTORS * LANES) {
        __builtin_prefetch(b + 8 * TILE_VECTORS * LANES);
        __builtin_prefetch(b + 8 * TILE_VECTORS * LANES + LANES);
        __m512bh bk[TILE_VECTORS];
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) bk[v] = (__m512bh)_mm512_loadu_si512(b + v * LANES);
        _Pragma("GCC unroll 4") for (int g = 0; g < TILE_ROWS / 3; g++)
        {
            _Pragma("GCC unroll 3") for (int i = 0; i < 3; i++)
            {
                __m512bh ak = (__m512bh)_mm512_set1_epi32((int)group[g][(size_t)i * a_row]);
                _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) sum[3 * g + i][v] = _mm512_dpbf16_ps(sum[3 * g + i][v], ak, bk[v]);
            }
            group[g] += a_step;
        }
    }
    const float *base = start->base, *bias = start->bias;
    _Pragma("GCC unroll 16") for (int r = 0; r < TILE_ROWS; r++, c += c_row, base += base ? start->base_row : 0)
    {
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++)
        {
            __m512 old = base ? _mm512_loadu_ps(base + v * LANES) : _mm512_setzero_ps();
            if (bias)
                old = _mm512_add_ps(old, _mm512_loadu_ps(bias + v * LANES));
            _mm512_storeu_ps(c + v * LANES, _mm512_add_ps(old, sum[r][v]));
        }
    }
}

static void tile_pairs(float *c, size_t c_row, const uint32_t *a, size_t a_row, size_t a_step, const uint32_t *b, size_t depth, const ts_start *start)
{
    if (a_row == 1)
        tile_of(c, c_row, a, 1, TILE_ROWS, b, depth, start);
    else
        tile_of(c, c_row, a, a_row, a_step, b, depth, start);
}

const ts_kernels ts_kernels_avx512_bf16 = {
    LOOPS, BYTES,  .tile_pairs = TRAINING(tile_pairs), .pair_tile_rows = TILE_ROWS, .pair_tile_columns = TILE_VECTORS * LANES, .pair_step = 1,
    PAIRS, ACROSS,
};

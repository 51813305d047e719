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

static void tile_pairs(float *c, size_t c_row, const uint32_t *a, const uint32_t *b, size_t depth, bool add)
{
    __m512 sum[TILE_ROWS][TILE_VECTORS];
    _Pragma("GCC unroll 16") for (int r = 0; r < TILE_ROWS; r++)
    {
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) sum[r][v] = _mm512_setzero_ps();
    }
    for (size_t k = 0; k < depth; k++, a += TILE_ROWS, b += TILE_VECTORS * LANES) {
        __m512bh bk[TILE_VECTORS];
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) bk[v] = (__m512bh)_mm512_loadu_si512(b + v * LANES);
        _Pragma("GCC unroll 16") for (int r = 0; r < TILE_ROWS; r++)
        {
            __m512bh ak = (__m512bh)_mm512_set1_epi32((int)a[r]);
            _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], ak, bk[v]);
        }
    }
    _Pragma("GCC unroll 16") for (int r = 0; r < TILE_ROWS; r++, c += c_row)
    {
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++)
        {
            __m512 old = add ? _mm512_loadu_ps(c + v * LANES) : _mm512_setzero_ps();
            _mm512_storeu_ps(c + v * LANES, _mm512_add_ps(old, sum[r][v]));
        }
    }
}

const ts_kernels ts_kernels_avx512_bf16 = {
    LOOPS,
    BYTES,
    .tile_pairs = TRAINING(tile_pairs),
    .pair_tile_rows = TILE_ROWS,
    .pair_tile_columns = TILE_VECTORS * LANES,
    .pair_step = 1,
    PAIRS,
};

/* AVX-512: 12 x 32 tiles fill 24 of 32 registers, and the usual widths are multiples of 32. */
#define LANES 16
#define LEVEL TS_CPU_LEVEL_AVX512
#define NAME(f) ts_##f##_avx512
#define KERNEL
#define TILE_ROWS 12
#define TILE_VECTORS 2
#include "tensor/levels.h"

#include <immintrin.h>

#include "tensor/loops.h"

#include "tensor/bytes_avx2.h"

#if TS_WITH_TRAINER
/* By pairs of rows, then pairs of pairs, then quarters: each step doubles the blocks that stand right. */
void ts_transpose_16_avx512(uint32_t *into, size_t into_row, const uint32_t *from, size_t from_row)
{
    __m512i r[16], t[16];
    for (int i = 0; i < 16; i++)
        r[i] = _mm512_loadu_si512(from + (size_t)i * from_row);
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) { /* r[4 g + i] has columns i, 4 + i, 8 + i, 12 + i of rows 4 g to 4 g + 3 */
        __m512i low = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88), high = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
        __m512i low2 = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88), high2 = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
        t[i] = _mm512_shuffle_i32x4(low, low2, 0x88);
        t[8 + i] = _mm512_shuffle_i32x4(low, low2, 0xdd);
        t[4 + i] = _mm512_shuffle_i32x4(high, high2, 0x88);
        t[12 + i] = _mm512_shuffle_i32x4(high, high2, 0xdd);
    }
    for (int i = 0; i < 16; i++)
        _mm512_storeu_si512(into + (size_t)i * into_row, t[i]);
}
#endif

const ts_kernels ts_kernels_avx512 = {LOOPS, BYTES, ACROSS};

/*
 * Packing of bf16 pairs, for the levels that multiply them; after vectors.h and <immintrin.h>, once a level. PAIRS are their entries of the table.
 */
typedef uint32_t uvec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

/* To bf16 in the upper half, nearest, ties to even. Infinities stay; a NaN must not become a number when its low bits go. */
static inline uvec to_bf16(vec x)
{
    uvec bits = (uvec)x, rounded = bits + 0x7fff + (bits >> 16 & 1);
    return (uvec)choose(x == x, (vec)rounded, (vec)(bits | 0x400000)) & 0xffff0000u;
}

static void pair_rows(uint32_t *into, const float *even, const float *odd, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        uvec pairs = to_bf16(load(even + i, n)) >> 16 | to_bf16(load(odd + i, n));
        store((float *)(into + i), (vec)pairs, n);
    }
}

static void pair_neighbours(uint32_t *into, const float *x, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        uvec low = to_bf16(load(x + 2 * i, LANES)), high = to_bf16(load(x + 2 * i + LANES, LANES));
        uvec even = __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        uvec odd = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        *(uvec *)(into + i) = even >> 16 | odd;
    }
    for (; i < count; i++)
        pair_rows(into + i, x + 2 * i, x + 2 * i + 1, 1);
}

/* By pairs of rows, then pairs of pairs, then quarters: each step doubles the blocks that stand right. */
static void transpose_16(uint32_t *into, size_t into_row, const uint32_t *from, size_t from_row)
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

#define PAIRS .pair_rows = TRAINING(pair_rows), .pair_neighbours = TRAINING(pair_neighbours), .transpose_16 = TRAINING(transpose_16)

/*
 * Packing of bf16 pairs, for the levels that multiply them; after vectors.h and <immintrin.h>, once a level. PAIRS are their entries of the table.
 */

/* `low` and `high` to bf16: the lanes of `low` in the lower sixteen halves. */
static inline __m512i to_bf16(vec low, vec high)
{
    return (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

static void pair_line(uint32_t *into, const float *x, size_t depth)
{
    size_t i = 0;
    for (; i + 2 * LANES <= depth; i += 2 * LANES)
        _mm512_storeu_si512(into + i / 2, to_bf16(*(const vec *)(x + i), *(const vec *)(x + i + LANES)));
    if (i < depth) {
        size_t left = depth - i, low = left < LANES ? left : LANES;
        vec high = left > LANES ? load(x + i + LANES, left - LANES) : all(0);
        _mm512_mask_storeu_epi32(into + i / 2, MASK((left + 1) / 2), to_bf16(load(x + i, low), high));
    }
}

/* Lane i and lane 16 + i of sixteen-bit halves become the pair i. */
static inline __m512i interleave(void)
{
    const __m512i step = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_or_si512(step, _mm512_slli_epi32(_mm512_add_epi32(step, _mm512_set1_epi32(LANES)), 16));
}

static void pair_rows(uint32_t *into, size_t width, size_t apart, const float *x, size_t row, size_t count, size_t depth)
{
    const __m512i order = interleave();
    for (size_t k = 0; k < depth; k += 2, x += 2 * row, into += width) {
        const float *odd = x + row;
        uint32_t *tile = into;
        __mmask16 is_odd = k + 1 < depth ? 0xffff : 0;
        for (size_t first = 0; first < count; first += width, tile += apart)
            for (size_t j = 0; j < width; j += LANES) {
                size_t left = first + j < count ? count - first - j : 0, lanes = FULL(width, j);
                __mmask16 mask = left < lanes ? MASK(left) : MASK(lanes);
                vec even_ones = (vec)_mm512_maskz_loadu_ps(mask, x + first + j),
                    odd_ones = (vec)_mm512_maskz_loadu_ps(mask & is_odd, odd + first + j);
                _mm512_mask_storeu_epi32(tile + j, MASK(lanes), _mm512_permutexvar_epi16(order, to_bf16(even_ones, odd_ones)));
            }
    }
}

#define PAIRS .pair_line = TRAINING(pair_line), .pair_rows = TRAINING(pair_rows)

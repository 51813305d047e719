/*
 * Products of weights in blocks of 8 or 4 bits with bytes, for processors without VNNI; after loops.h and <immintrin.h>, once a level. A panel's sixteen
 * outputs are done in two halves. BYTES are the entries of the table.
 */

/* Four products of bytes in each lane, added up. x is multiplied by the sign of w, so that pairs of products stay below 2^15: exact. */
static inline __m256i four_products(__m256i size, __m256i w, int32_t x)
{
    __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(_mm256_set1_epi32(x), w));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

static inline __m256 scales_of(const uint8_t *scales)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)scales));
}

/* One row and one half of a panel. */
static inline __m256 half_q8_0(const int32_t *x, const float *x_scales, const uint8_t *quants, const uint8_t *scales, size_t blocks)
{
    __m256 sum = _mm256_setzero_ps();
    for (size_t b = 0; b < blocks; b++, quants += TS_BLOCK * TS_PANEL) {
        __m256i whole[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        _Pragma("GCC unroll 8") for (int g = 0; g < 8; g++)
        {
            __m256i w = _mm256_load_si256((const __m256i *)(quants + g * 4 * TS_PANEL));
            whole[g & 1] = _mm256_add_epi32(whole[g & 1], four_products(_mm256_abs_epi8(w), w, x[b * 8 + (size_t)g]));
        }
        __m256 scale = _mm256_mul_ps(scales_of(scales + b * 2 * TS_PANEL), _mm256_set1_ps(x_scales[b]));
        sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(whole[0], whole[1])), scale, sum);
    }
    return sum;
}

static inline __m256 half_q4_0(const int32_t *x, const float *x_scales, const int32_t *x_sums, const uint8_t *quants, const uint8_t *scales, size_t blocks)
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256 sum = _mm256_setzero_ps();
    for (size_t b = 0; b < blocks; b++, quants += TS_BLOCK * TS_PANEL / 2) {
        __m256i pairs = _mm256_setzero_si256(); /* up to 8 x 2 x 15 x 127, which fits 16 bits */
        _Pragma("GCC unroll 4") for (int g = 0; g < 4; g++)
        {
            __m256i w = _mm256_load_si256((const __m256i *)(quants + g * 4 * TS_PANEL));
            __m256i first = _mm256_and_si256(w, low), second = _mm256_and_si256(_mm256_srli_epi16(w, 4), low);
            pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(first, _mm256_set1_epi32(x[b * 8 + (size_t)g])));
            pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(second, _mm256_set1_epi32(x[b * 8 + 4 + (size_t)g])));
        }
        __m256i whole = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        whole = _mm256_sub_epi32(whole, _mm256_set1_epi32(8 * x_sums[b])); /* the numbers are 0 to 15 above -8 */
        __m256 scale = _mm256_mul_ps(scales_of(scales + b * 2 * TS_PANEL), _mm256_set1_ps(x_scales[b]));
        sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scale, sum);
    }
    return sum;
}

static void linear_q8_0(float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count)
{
    size_t blocks = x->blocks, size = ts_panel_size(TS_BLOCKS_Q8_0, blocks);
    for (size_t p = 0; p < count; p++, panels += size) {
        const uint8_t *scales = panels + blocks * TS_BLOCK * TS_PANEL;
        for (size_t row = 0; row < rows; row++)
            for (size_t half_panel = 0; half_panel < 2; half_panel++)
                _mm256_storeu_ps(y + row * y_stride + p * TS_PANEL + half_panel * 8,
                                 half_q8_0((const int32_t *)(const void *)(x->values + row * blocks * TS_BLOCK), x->scales + row * blocks,
                                           panels + half_panel * 32, scales + half_panel * 16, blocks));
    }
}

static void linear_q4_0(float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count)
{
    size_t blocks = x->blocks, size = ts_panel_size(TS_BLOCKS_Q4_0, blocks);
    for (size_t p = 0; p < count; p++, panels += size) {
        const uint8_t *scales = panels + blocks * TS_BLOCK * TS_PANEL / 2;
        for (size_t row = 0; row < rows; row++)
            for (size_t half_panel = 0; half_panel < 2; half_panel++)
                _mm256_storeu_ps(y + row * y_stride + p * TS_PANEL + half_panel * 8,
                                 half_q4_0((const int32_t *)(const void *)(x->values + row * blocks * TS_BLOCK), x->scales + row * blocks,
                                           x->sums + row * blocks, panels + half_panel * 32, scales + half_panel * 16, blocks));
    }
}

#define BYTES .linear_q8_0 = linear_q8_0, .linear_q4_0 = linear_q4_0

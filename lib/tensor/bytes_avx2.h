/*
 * Products of weights in blocks of 8 or 4 bits with bytes, for processors without VNNI; after loops.h and <immintrin.h>, once a level. A panel's
 * sixteen outputs are two vectors, done together so that a panel comes from memory in one stream. BYTES are the entries of the table.
 */

/* Four products of bytes in each lane, added up. x is multiplied by the sign of w, so that pairs of products stay below 2^15: exact. */
static inline __m256i four_products(__m256i w, __m256i x)
{
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

#define HALVES _Pragma("GCC unroll 2") for (size_t h = 0; h < 2; h++)

/* Block b's share of a row and a panel. */
static inline void block_q8_0(__m256i whole[2], const ts_byte_rows *x, size_t block, const uint8_t *quants)
{
    const int32_t *values = (const int32_t *)(const void *)(x->values + block * TS_BLOCK);
    HALVES whole[h] = _mm256_setzero_si256();
    _Pragma("GCC unroll 8") for (size_t g = 0; g < 8; g++)
    {
        __m256i four = _mm256_set1_epi32(values[g]);
        HALVES whole[h] = _mm256_add_epi32(whole[h], four_products(_mm256_load_si256((const __m256i *)(quants + g * 4 * TS_PANEL + h * 32)), four));
    }
}

static inline void block_q4_0(__m256i whole[2], const ts_byte_rows *x, size_t block, const uint8_t *quants)
{
    const int32_t *values = (const int32_t *)(const void *)(x->values + block * TS_BLOCK);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i pairs[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()}; /* up to 8 x 2 x 15 x 127, which fits 16 bits */
    _Pragma("GCC unroll 4") for (size_t g = 0; g < 4; g++)
    {
        __m256i first_four = _mm256_set1_epi32(values[g]), second_four = _mm256_set1_epi32(values[4 + g]);
        HALVES
        {
            __m256i w = _mm256_load_si256((const __m256i *)(quants + g * 4 * TS_PANEL + h * 32));
            pairs[h] = _mm256_add_epi16(pairs[h], _mm256_maddubs_epi16(_mm256_and_si256(w, low), first_four));
            pairs[h] = _mm256_add_epi16(pairs[h], _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(w, 4), low), second_four));
        }
    }
    __m256i raised = _mm256_set1_epi32(8 * x->sums[block]); /* the numbers are 0 to 15 above -8 */
    HALVES whole[h] = _mm256_sub_epi32(_mm256_madd_epi16(pairs[h], _mm256_set1_epi16(1)), raised);
}

/* Row by row and panel by panel: integers within a block, floats from block to block. */
#define LINEAR_BYTES(CALLED, BLOCK, TYPE, QUANTS)                                                                                                    \
    static void CALLED(float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count)                           \
    {                                                                                                                                                \
        size_t blocks = x->blocks, size = ts_panel_size(TYPE, blocks);                                                                               \
        for (size_t p = 0; p < count; p++, panels += size)                                                                                           \
            for (size_t row = 0; row < rows; row++) {                                                                                                \
                const uint8_t *scales = panels + blocks * QUANTS;                                                                                    \
                __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};                                                                          \
                for (size_t b = 0; b < blocks; b++, scales += 2 * TS_PANEL) {                                                                        \
                    __m256i whole[2];                                                                                                                \
                    BLOCK(whole, x, row *blocks + b, panels + b * QUANTS);                                                                           \
                    __m256 x_scale = _mm256_set1_ps(x->scales[row * blocks + b]);                                                                    \
                    HALVES                                                                                                                           \
                    {                                                                                                                                \
                        __m256 scale = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(scales + h * TS_PANEL)));                                   \
                        sum[h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole[h]), _mm256_mul_ps(scale, x_scale), sum[h]);                               \
                    }                                                                                                                                \
                }                                                                                                                                    \
                HALVES _mm256_storeu_ps(y + row * y_stride + p * TS_PANEL + h * 8, sum[h]);                                                          \
            }                                                                                                                                        \
    }

LINEAR_BYTES(linear_q8_0, block_q8_0, TS_BLOCKS_Q8_0, (TS_BLOCK * TS_PANEL))
LINEAR_BYTES(linear_q4_0, block_q4_0, TS_BLOCKS_Q4_0, (TS_BLOCK * TS_PANEL / 2))

#define BYTES .linear_q8_0 = linear_q8_0, .linear_q4_0 = linear_q4_0

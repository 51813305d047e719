/*
 * Products of weights in blocks of 8 or 4 bits with bytes by VNNI, which multiplies unsigned bytes by signed ones: the weights are raised by 128 (or are 0 to 15
 * as they stand) and what that adds is taken off by the sum of x. After <immintrin.h>, once a level. BYTES are the entries of the table.
 */

/* ROWS rows of x (from `row` on) and one panel; integers within a block, floats from block to block. */
#define BYTE_BLOCK(CALLED, ROWS, GROUPS, RAISED, QUANTS, MULTIPLY)                                                                               \
    static inline void CALLED(float *y, size_t y_stride, const ts_byte_rows *x, size_t row, const uint8_t *panel)                                \
    {                                                                                                                                            \
        size_t blocks = x->blocks;                                                                                                               \
        const uint8_t *quants = panel, *scales = panel + blocks * QUANTS;                                                                        \
        const int32_t *values = (const int32_t *)(const void *)(x->values + row * blocks * TS_BLOCK), *sums = x->sums + row * blocks;            \
        const float *x_scales = x->scales + row * blocks;                                                                                        \
        __m512 sum[ROWS];                                                                                                                        \
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) sum[r] = _mm512_setzero_ps();                                                     \
        for (size_t b = 0; b < blocks; b++, quants += QUANTS) {                                                                                  \
            __m512i whole[ROWS];                                                                                                                 \
            _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) whole[r] = _mm512_set1_epi32(-RAISED * sums[(size_t)r * blocks + b]);         \
            _Pragma("GCC unroll 8") for (int g = 0; g < GROUPS; g++)                                                                             \
            {                                                                                                                                    \
                __m512i w = _mm512_load_si512(quants + g * 4 * TS_PANEL);                                                                        \
                _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) MULTIPLY(whole[r], w, values + ((size_t)r * blocks + b) * 8 + g)          \
            }                                                                                                                                    \
            __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(scales + b * 2 * TS_PANEL)));                                    \
            _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) sum[r] =                                                                      \
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[r]), _mm512_mul_ps(scale, _mm512_set1_ps(x_scales[(size_t)r * blocks + b])), sum[r]);   \
        }                                                                                                                                        \
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) _mm512_storeu_ps(y + (size_t)r * y_stride, sum[r]);                               \
    }

#define MULTIPLY_Q8_0(whole, w, x) whole = _mm512_dpbusd_epi32(whole, _mm512_xor_si512(w, _mm512_set1_epi8(-128)), _mm512_set1_epi32(*(x)));
#define MULTIPLY_Q4_0(whole, w, x)                                                                                                               \
    {                                                                                                                                            \
        const __m512i low = _mm512_set1_epi8(15);                                                                                                \
        whole = _mm512_dpbusd_epi32(whole, _mm512_and_si512(w, low), _mm512_set1_epi32(*(x)));                                                   \
        whole = _mm512_dpbusd_epi32(whole, _mm512_and_si512(_mm512_srli_epi16(w, 4), low), _mm512_set1_epi32((x)[4]));                           \
    }

BYTE_BLOCK(panel_q8_0, 1, 8, 128, (TS_BLOCK * TS_PANEL), MULTIPLY_Q8_0)
BYTE_BLOCK(panel_4_q8_0, 4, 8, 128, (TS_BLOCK * TS_PANEL), MULTIPLY_Q8_0)
BYTE_BLOCK(panel_q4_0, 1, 4, 8, (TS_BLOCK * TS_PANEL / 2), MULTIPLY_Q4_0)
BYTE_BLOCK(panel_4_q4_0, 4, 4, 8, (TS_BLOCK * TS_PANEL / 2), MULTIPLY_Q4_0)

static void linear_q8_0(float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count)
{
    size_t size = ts_panel_size(TS_BLOCKS_Q8_0, x->blocks);
    for (size_t p = 0; p < count; p++, panels += size, y += TS_PANEL) {
        size_t row = 0;
        for (; row + 4 <= rows; row += 4)
            panel_4_q8_0(y + row * y_stride, y_stride, x, row, panels);
        for (; row < rows; row++)
            panel_q8_0(y + row * y_stride, y_stride, x, row, panels);
    }
}

static void linear_q4_0(float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count)
{
    size_t size = ts_panel_size(TS_BLOCKS_Q4_0, x->blocks);
    for (size_t p = 0; p < count; p++, panels += size, y += TS_PANEL) {
        size_t row = 0;
        for (; row + 4 <= rows; row += 4)
            panel_4_q4_0(y + row * y_stride, y_stride, x, row, panels);
        for (; row < rows; row++)
            panel_q4_0(y + row * y_stride, y_stride, x, row, panels);
    }
}

#define BYTES .linear_q8_0 = linear_q8_0, .linear_q4_0 = linear_q4_0

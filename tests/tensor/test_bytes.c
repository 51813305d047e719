/* Quantized matrices: packing, rounding, and every level's products with bytes against doubles and bit by bit against themselves. */
#include "support/support.h"

#include <math.h>

#include "tensor/tensor.h"

enum { OUTPUTS = 37, PANELS = 3, MOST_IN = 288, MOST_ROWS = 64 };

static const int32_t types[] = {TS_BLOCKS_Q8_0, TS_BLOCKS_Q4_0};

static void fill(float *x, size_t count, uint64_t stream)
{
    ts_random random = {.seed = 42, .stream = stream};
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(2 * ts_random_unit(&random) - 1);
}

/* Panels of OUTPUTS rows of `blocks` (NULL: random weights, which are rounded). */
static uint8_t *make_panels(int32_t type, size_t in, uint8_t *blocks)
{
    static float weights[MOST_IN];
    size_t size, row_size = ts_blocks_row(type, in);
    assert_true(ts_panels_size(type, OUTPUTS, in, &size));
    assert_int_equal(size, PANELS * ts_panel_size(type, in / TS_BLOCK));
    uint8_t *panels = aligned_alloc(64, size);
    assert_non_null(panels);
    memset(panels, 0, size);
    for (size_t row = 0; row < OUTPUTS; row++) {
        fill(weights, in, row);
        assert_true(ts_blocks_make(type, blocks + row * row_size, weights, in));
        ts_panels_pack(type, panels, in, row, blocks + row * row_size);
    }
    return panels;
}

static void test_packing(void **state)
{
    static uint8_t blocks[OUTPUTS * MOST_IN * 2], again[MOST_IN * 2];
    static float weights[MOST_IN], values[MOST_IN];
    (void)state;
    for (size_t t = 0; t < 2; t++)
        for (size_t in = 32; in <= MOST_IN; in += 64) {
            uint8_t *panels = make_panels(types[t], in, blocks);
            size_t row_size = ts_blocks_row(types[t], in);
            assert_int_equal(row_size, in / 32 * (types[t] == TS_BLOCKS_Q8_0 ? 34 : 18));
            for (size_t row = 0; row < OUTPUTS; row++) {
                ts_panels_unpack(types[t], panels, in, row, again);
                assert_memory_equal(again, blocks + row * row_size, row_size);
                fill(weights, in, row);
                ts_panels_floats(types[t], panels, in, row, values);
                for (size_t i = 0; i < in; i++) /* half a step, and of 4 bits one at the far end; and the rounding of the scale */
                    assert_true(fabsf(values[i] - weights[i]) <= (types[t] == TS_BLOCKS_Q8_0 ? 0.57f / 127 : 1.01f / 8));
            }
            free(panels);
        }
}

static void test_rounding(void **state)
{
    uint8_t blocks[34];
    float x[32] = {0}, y[32];
    (void)state;
    assert_true(ts_blocks_make(TS_BLOCKS_Q8_0, blocks, x, 32));
    for (size_t i = 0; i < sizeof blocks; i++)
        assert_int_equal(blocks[i], 0);
    x[3] = -127, x[4] = 1.5f, x[5] = 126.4f; /* the scale is 1: halves go away from zero */
    assert_true(ts_blocks_make(TS_BLOCKS_Q8_0, blocks, x, 32));
    assert_int_equal((int8_t)blocks[2 + 3], -127);
    assert_int_equal((int8_t)blocks[2 + 4], 2);
    assert_int_equal((int8_t)blocks[2 + 5], 126);
    for (size_t i = 0; i < 32; i++)
        x[i] = (float)i / 4 - 4; /* -4 becomes -8 times a scale of 1/2 */
    assert_true(ts_blocks_make(TS_BLOCKS_Q4_0, blocks, x, 32));
    assert_int_equal(blocks[2] & 15, 0);
    assert_int_equal(blocks[2] >> 4, 8);
    assert_int_equal(blocks[2 + 15] >> 4, 15); /* 3.75 / 0.5 is 7.5: cut to 7 */
    const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (size_t i = 0; i < TS_COUNT_OF(bad); i++)
        for (size_t t = 0; t < 2; t++) {
            memset(x, 0, sizeof x);
            x[31] = bad[i];
            assert_false(ts_blocks_make(types[t], blocks, x, 32));
        }
    memset(x, 0, sizeof x);
    x[0] = 1e-44f; /* no f16 scales this: zeros */
    assert_true(ts_blocks_make(TS_BLOCKS_Q8_0, blocks, x, 32));
    memset(y, 0, sizeof y);
    for (size_t i = 0; i < sizeof blocks; i++)
        assert_int_equal(blocks[i], 0);
}

static void multiply(const ts_kernels *k, int32_t type, float *y, const ts_byte_rows *x, size_t rows, const uint8_t *panels)
{
    if (type == TS_BLOCKS_Q8_0)
        k->linear_q8_0(y, PANELS * TS_PANEL, x, rows, panels, PANELS);
    else
        k->linear_q4_0(y, PANELS * TS_PANEL, x, rows, panels, PANELS);
}

typedef struct rows_memory {
    int8_t values[MOST_ROWS * MOST_IN];
    float scales[MOST_ROWS * MOST_IN / 32];
    int32_t sums[MOST_ROWS * MOST_IN / 32];
} rows_memory;

static ts_byte_rows quantize(const ts_kernels *k, rows_memory *m, const float *x, size_t rows, size_t in)
{
    size_t blocks = in / 32;
    for (size_t row = 0; row < rows; row++)
        k->quantize(m->values + row * in, m->scales + row * blocks, m->sums + row * blocks, x + row * in, blocks);
    return (ts_byte_rows){m->values, m->scales, m->sums, blocks};
}

/* Bytes stand for their numbers within half a step, and their sums are right. */
static void check_bytes(const ts_byte_rows *bytes, const float *x, size_t rows, size_t in)
{
    for (size_t b = 0; b < rows * in / 32; b++) {
        int32_t sum = 0;
        for (size_t i = b * 32; i < b * 32 + 32; i++) {
            assert_true(fabsf((float)bytes->values[i] * bytes->scales[b] - x[i]) <= 0.501f * bytes->scales[b]);
            sum += bytes->values[i];
        }
        assert_int_equal(bytes->sums[b], sum);
    }
}

/* Against a sum in double of the very numbers that blocks and bytes stand for; then the same bits however many rows there are. */
static void check_level(const ts_kernels *k, int32_t type, size_t in)
{
    static uint8_t blocks[OUTPUTS * MOST_IN * 2];
    static float x[MOST_ROWS * MOST_IN], y[MOST_ROWS * PANELS * TS_PANEL], one[PANELS * TS_PANEL], w[MOST_IN];
    static rows_memory memory;
    uint8_t *panels = make_panels(type, in, blocks);
    fill(x, MOST_ROWS * in, 99);
    x[0] = 50; /* blocks of very different sizes */
    ts_byte_rows bytes = quantize(k, &memory, x, MOST_ROWS, in);
    check_bytes(&bytes, x, MOST_ROWS, in);
    multiply(k, type, y, &bytes, MOST_ROWS, panels);
    for (size_t o = 0; o < OUTPUTS; o++) {
        ts_panels_floats(type, panels, in, o, w);
        for (size_t row = 0; row < MOST_ROWS; row++) {
            double sum = 0, size = 0;
            for (size_t i = 0; i < in; i++) {
                double product = (double)w[i] * (double)bytes.values[row * in + i] * (double)bytes.scales[(row * in + i) / 32];
                sum += product;
                size += fabs(product);
            }
            if (!(fabs((double)y[row * PANELS * TS_PANEL + o] - sum) <= 1e-6 * size + 1e-9))
                fail_msg("level %d, type %d, in %zu, output %zu: %.9g, expected %.9g", (int)k->level, (int)type, in, o, (double)y[row * PANELS * TS_PANEL + o], sum);
        }
    }
    for (size_t rows = 1; rows <= MOST_ROWS; rows += rows < 9 ? 1 : 11) {
        static float some[MOST_ROWS * PANELS * TS_PANEL];
        multiply(k, type, some, &bytes, rows, panels);
        assert_memory_equal(some, y, rows * PANELS * TS_PANEL * sizeof *y);
    }
    for (size_t row = 0; row < MOST_ROWS; row++) {
        size_t blocks_of_row = row * in / 32;
        ts_byte_rows single = {bytes.values + row * in, bytes.scales + blocks_of_row, bytes.sums + blocks_of_row, in / 32};
        multiply(k, type, one, &single, 1, panels);
        assert_memory_equal(one, y + row * PANELS * TS_PANEL, sizeof one);
    }
    free(panels);
}

static void test_products(void **state)
{
    (void)state;
    for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= ts_cpu_level_best(); level++)
        for (size_t t = 0; t < 2; t++)
            for (size_t in = 32; in <= MOST_IN; in += 32)
                check_level(ts_kernels_at(level), types[t], in);
}

/* The ends of the range, -128 in a file's block among them: whole numbers must not saturate. */
static void test_extremes(void **state)
{
    static uint8_t blocks[34 * 2];
    static float x[64], y[TS_PANEL];
    static rows_memory memory;
    (void)state;
    for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= ts_cpu_level_best(); level++)
        for (int sign = -1; sign <= 1; sign += 2)
            for (size_t t = 0; t < 2; t++) {
                const ts_kernels *k = ts_kernels_at(level);
                size_t row_size = ts_blocks_row(types[t], 64), size = ts_panel_size(types[t], 2);
                uint8_t *panels = aligned_alloc(64, size);
                assert_non_null(panels);
                memset(panels, 0, size);
                for (size_t i = 0; i < row_size; i++)
                    blocks[i] = t == 0 ? 0x80 : 0x00; /* -128, or -8 */
                for (size_t b = 0; b < row_size; b += row_size / 2)
                    blocks[b] = 0, blocks[b + 1] = 0x3c; /* a scale of 1 */
                ts_panels_pack(types[t], panels, 64, 5, blocks);
                for (size_t i = 0; i < 64; i++)
                    x[i] = (float)sign;
                ts_byte_rows bytes = quantize(k, &memory, x, 1, 64);
                if (t == 0)
                    k->linear_q8_0(y, TS_PANEL, &bytes, 1, panels, 1);
                else
                    k->linear_q4_0(y, TS_PANEL, &bytes, 1, panels, 1);
                float expected = (float)-sign * (t == 0 ? 128 : 8) * 64;
                assert_true(fabsf(y[5] - expected) < 1e-2f);
                for (size_t i = 0; i < TS_PANEL; i++)
                    assert_true(i == 5 || y[i] == 0);
                /* What is no number stays none. */
                const float bad[] = {NAN, INFINITY};
                for (size_t i = 0; i < 2; i++) {
                    x[40] = bad[i];
                    bytes = quantize(k, &memory, x, 1, 64);
                    if (t == 0)
                        k->linear_q8_0(y, TS_PANEL, &bytes, 1, panels, 1);
                    else
                        k->linear_q4_0(y, TS_PANEL, &bytes, 1, panels, 1);
                    assert_false(isfinite(y[5]));
                }
                free(panels);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}

/* Every level's kernels against the reference on awkward sizes and alignments, and the promises about bits. */
#include "support/support.h"

#include <float.h>
#include <math.h>

#include "tensor/tensor.h"

#define MOST 600

static const size_t sizes[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 100, 127, 172, 255, 256, 257};

/* The last level that this machine has, AMX included, which is asked for. */
static int32_t last_level(void)
{
    static int32_t level;
    if (level == 0)
        level = ts_cpu_take_amx() ? TS_CPU_LEVEL_AMX : ts_cpu_level_best();
    return level;
}

static void fill(float *x, size_t count, uint64_t stream)
{
    ts_random random = {.seed = 42, .stream = stream};
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(2 * ts_random_unit(&random) - 1);
}

static void close_to(const float *x, const float *y, size_t count, float tolerance, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(x[i] - y[i]) <= tolerance * (1 + fabsf(y[i]))))
            fail_msg("%s: element %zu of %zu is %.9g, expected %.9g", what, i, count, (double)x[i], (double)y[i]);
}

/* Calls `check` for every level above the reference that this machine has, every size, and pointers that are off by one float. */
typedef void (*check_function)(const ts_kernels *k, const ts_kernels *reference, size_t n, float *memory[8]);

static void every(check_function check)
{
    static float memory[8][MOST + 1];
    const ts_kernels *reference = ts_kernels_at(TS_CPU_LEVEL_REFERENCE);
    for (int32_t level = TS_CPU_LEVEL_AVX2; level <= last_level(); level++)
        for (size_t i = 0; i < TS_COUNT_OF(sizes); i++)
            for (size_t shift = 0; shift < 2; shift++) {
                float *pointers[8];
                for (size_t j = 0; j < 8; j++) {
                    pointers[j] = memory[j] + shift;
                    fill(pointers[j], MOST, j);
                }
                check(ts_kernels_at(level), reference, sizes[i], pointers);
            }
}

static void check_sums(const ts_kernels *k, const ts_kernels *r, size_t n, float *m[8])
{
    float a = k->dot(m[0], m[1], n), b = r->dot(m[0], m[1], n);
    close_to(&a, &b, 1, 1e-5f, "dot");
    a = k->maximum(m[0], n), b = r->maximum(m[0], n);
    assert_true(a == b);
    a = (float)k->square_sum(m[0], n), b = (float)r->square_sum(m[0], n);
    close_to(&a, &b, 1, 1e-6f, "square_sum");
    memcpy(m[2], m[3], n * sizeof(float));
    a = k->exp_sum(m[2], n, 30, 3), b = r->exp_sum(m[3], n, 30, 3);
    close_to(m[2], m[3], n, 1e-5f, "exp_sum");
    close_to(&a, &b, 1, 1e-5f, "exp_sum's sum");
}

static void check_elements(const ts_kernels *k, const ts_kernels *r, size_t n, float *m[8])
{
    for (size_t i = 0; i < n; i++)
        m[0][i] *= 6;
    k->gelu(m[4], m[0], n), r->gelu(m[5], m[0], n);
    close_to(m[4], m[5], n, 1e-6f, "gelu");
    k->gelu_back(m[4], m[1], m[0], n), r->gelu_back(m[5], m[1], m[0], n);
    close_to(m[4], m[5], n, 2e-6f, "gelu_back");
    k->swiglu(m[4], m[0], m[1], n), r->swiglu(m[5], m[0], m[1], n);
    close_to(m[4], m[5], n, 1e-6f, "swiglu");
    k->swiglu_back(m[4], m[6], m[2], m[0], m[1], n), r->swiglu_back(m[5], m[7], m[2], m[0], m[1], n);
    close_to(m[4], m[5], n, 2e-6f, "swiglu_back gate");
    close_to(m[6], m[7], n, 2e-6f, "swiglu_back up");
    memcpy(m[4], m[5], n * sizeof(float));
    k->axpy(m[4], m[0], 0.3f, n), r->axpy(m[5], m[0], 0.3f, n);
    close_to(m[4], m[5], n, 1e-6f, "axpy");
    k->multiply(m[4], 0.7f, n), r->multiply(m[5], 0.7f, n);
    close_to(m[4], m[5], n, 1e-6f, "multiply");
}

static void check_norms(const ts_kernels *k, const ts_kernels *r, size_t n, float *m[8])
{
    float s[4];
    k->layer_norm(m[4], m[0], m[1], m[2], n, 1e-5f, &s[0], &s[1]), r->layer_norm(m[5], m[0], m[1], m[2], n, 1e-5f, &s[2], &s[3]);
    if (n > 3) { /* of two or three nearly equal numbers the deviation is badly conditioned */
        close_to(m[4], m[5], n, 2e-4f, "layer_norm");
        close_to(s, s + 2, 2, 2e-4f, "layer_norm's mean and scale");
    }
    float x[3][MOST], y[3][MOST];
    fill(x[0], 3 * MOST, 9);
    memcpy(y, x, sizeof x);
    k->layer_norm_back(x[0], x[1], x[2], m[3], m[0], m[1], n, s[2], s[3]), r->layer_norm_back(y[0], y[1], y[2], m[3], m[0], m[1], n, s[2], s[3]);
    if (n > 3)
        for (int i = 0; i < 3; i++)
            close_to(x[i], y[i], n, 1e-4f, "layer_norm_back");
    k->rms_norm(m[4], m[0], m[1], n, 1e-5f, &s[1]), r->rms_norm(m[5], m[0], m[1], n, 1e-5f, &s[3]);
    close_to(m[4], m[5], n, 1e-5f, "rms_norm");
    memcpy(y, x, sizeof x);
    k->rms_norm_back(x[0], x[1], m[3], m[0], m[1], n, s[3]), r->rms_norm_back(y[0], y[1], m[3], m[0], m[1], n, s[3]);
    close_to(x[0], y[0], n, 1e-4f, "rms_norm_back");
    close_to(x[1], y[1], n, 1e-4f, "rms_norm_back weight");
}

static void check_adamw(const ts_kernels *k, const ts_kernels *r, size_t n, float *m[8])
{
    for (size_t i = 0; i < n; i++)
        m[2][i] = fabsf(m[2][i]);
    memcpy(m[4], m[0], n * sizeof(float)), memcpy(m[5], m[1], n * sizeof(float)), memcpy(m[6], m[2], n * sizeof(float));
    k->adamw(m[0], m[1], m[2], m[3], n, 0.5f, 0.01f, 0.9f, 0.95f, 0.19f, 0.0975f, 1e-8f, 0.1f);
    r->adamw(m[4], m[5], m[6], m[3], n, 0.5f, 0.01f, 0.9f, 0.95f, 0.19f, 0.0975f, 1e-8f, 0.1f);
    for (int i = 0; i < 3; i++)
        close_to(m[i], m[i + 4], n, 1e-5f, "adamw");
}

static void check_products(const ts_kernels *k, const ts_kernels *r, size_t n, float *m[8])
{
    static float a[40 * 600], b[600 * 40], c[600 * 40], d[600 * 40];
    (void)m;
    fill(a, 40 * 600, 1), fill(b, 600 * 40, 2);
    fill(c, n, 3), fill(d, n, 3);
    k->softmax_back(c, a, n, 0.3f, 0.7f), r->softmax_back(d, a, n, 0.3f, 0.7f);
    close_to(c, d, n, 1e-5f, "softmax_back");
    for (size_t rows = 1; rows <= 19; rows += 3)
        for (int add = 0; add < 2; add++) {
            fill(c, 600 * 40, 3), fill(d, 600 * 40, 3);
            k->small_product(c, n + 1, a, 33, 1, b, n, rows, n, 33, add);
            r->small_product(d, n + 1, a, 33, 1, b, n, rows, n, 33, add);
            close_to(c, d, 600 * 40, 1e-5f, "small_product");
            k->small_product(c, n + 1, a, 1, 40, b, n, rows, n, 33, add);
            r->small_product(d, n + 1, a, 1, 40, b, n, rows, n, 33, add);
            close_to(c, d, 600 * 40, 1e-5f, "small_product across");
        }
    k->linear(c, 20, a, n + 3, b, n + 1, 7, 18, n), r->linear(d, 20, a, n + 3, b, n + 1, 7, 18, n);
    for (int row = 0; row < 7; row++)
        close_to(c + row * 20, d + row * 20, 18, 1e-5f, "linear");
    for (size_t rows = 0; rows < 10; rows++) {
        k->mix(c, b, n + 1, a, rows, n), r->mix(d, b, n + 1, a, rows, n);
        close_to(c, d, n, 1e-5f, "mix");
    }
}

static void test_sums(void **state)
{
    (void)state;
    every(check_sums);
}

static void test_elements(void **state)
{
    (void)state;
    every(check_elements);
}

static void test_norms(void **state)
{
    (void)state;
    every(check_norms);
}

static void test_adamw(void **state)
{
    (void)state;
    every(check_adamw);
}

static void test_products(void **state)
{
    (void)state;
    every(check_products);
}

/* An output of `linear` has the same bits however many rows and outputs are computed together. */
static void test_one_order(void **state)
{
    static float x[64 * 177], w[23 * 177], y[64 * 23];
    (void)state;
    fill(x, 64 * 177, 1), fill(w, 23 * 177, 2);
    for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= last_level(); level++)
        for (size_t in = 1; in <= 177; in += 11)
            for (size_t rows = 1; rows <= 64; rows += rows < 8 ? 1 : 7) {
                const ts_kernels *k = ts_kernels_at(level);
                k->linear(y, 23, x, in, w, in, rows, 23, in);
                for (size_t r = 0; r < rows; r++)
                    for (size_t o = 0; o < 23; o++) {
                        float expected;
                        k->linear(&expected, 1, x + r * in, in, w + o * in, in, 1, 1, in);
                        assert_memory_equal(&y[r * 23 + o], &expected, sizeof expected);
                    }
            }
}

/* Numbers at the ends of the range: nothing overflows that must not, and NaN stays NaN. */
static void test_extremes(void **state)
{
    (void)state;
    for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= last_level(); level++) {
        const ts_kernels *k = ts_kernels_at(level);
        float x[4] = {-1e30f, -100, 100, 1e30f}, y[4], one[4] = {1, 1, 1, 1}, other[4];
        k->gelu(y, x, 4);
        assert_true(fabsf(y[0]) < 1e-6f && fabsf(y[1]) < 1e-6f && y[2] == 100 && y[3] == 1e30f);
        k->swiglu(y, x, one, 4);
        assert_true(fabsf(y[1]) < 1e-6f && y[2] == 100);
        k->swiglu_back(y, other, one, x, one, 4);
        assert_true(isfinite(y[1]) && isfinite(y[2]) && isfinite(other[1]));
        float bad[3] = {0, NAN, 1};
        assert_true(isnan(k->exp_sum(bad, 3, 1, 0)));
        assert_true(isnan(bad[1]) && fabsf(bad[2] - 2.7182818f) < 1e-6f);
        float far[2] = {-1000, 0};
        assert_true(fabsf(k->exp_sum(far, 2, 1, 0) - 1) < 1e-6f);
    }
}

static void reference_product(float *c, size_t c_row, ts_matrix a, ts_matrix b, size_t m, size_t n, size_t k, bool add)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = add ? (double)c[i * c_row + j] : 0;
            for (size_t l = 0; l < k; l++)
                sum += (double)a.data[i * a.row + l * a.column] * (double)b.data[l * b.row + j * b.column];
            c[i * c_row + j] = (float)sum;
        }
}

/* To the nearest bf16, ties to even, by what a float is rather than by its bits. */
static float rounded(float x)
{
    int exponent;
    if (x == 0 || !isfinite(x))
        return x;
    frexpf(x, &exponent);
    float unit = ldexpf(1, exponent - 8); /* 8 bits of mantissa */
    return rintf(x / unit) * unit;
}

/* What a pair's half is of x: numbers too small to be normal become 0, NaNs stay some. */
static void is_rounded(uint32_t half, float x)
{
    uint32_t bits = half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    if (isnan(x))
        assert_true(isnan(value));
    else if (fabsf(x) < FLT_MIN)
        assert_true(value == 0);
    else
        assert_true(value == (fabsf(x) > 3.39e38f ? copysignf(INFINITY, x) : rounded(x)));
}

static void test_pairs(void **state)
{
    static const float odd_ones[] = {0, -0.0f, 1, -1, 1.00390625f, 1.01171875f, 3.4e38f, INFINITY, -INFINITY, 1e-38f, -2.99609375f, 65537, NAN};
    static const size_t counts[] = {1, 5, 12, 16, 17, 31, 32};
    float x[32 * 33];
    uint32_t pairs[32 * 17 + 16];
    (void)state;
    fill(x, TS_COUNT_OF(x), 9);
    memcpy(x, odd_ones, sizeof odd_ones);
    for (int32_t level = TS_CPU_LEVEL_AVX2; level <= last_level(); level++) {
        const ts_kernels *k = ts_kernels_at(level);
        for (size_t depth = 0; k->tile_pairs != NULL && depth < 100; depth++) {
            memset(pairs, 0xa5, sizeof pairs);
            k->pair_line(pairs, x, depth);
            for (size_t i = 0; i < depth; i++)
                is_rounded(i % 2 ? pairs[i / 2] >> 16 : pairs[i / 2] & 0xffff, x[i]);
            assert_true(depth % 2 == 0 || pairs[depth / 2] >> 16 == 0);
            assert_int_equal(pairs[(depth + 1) / 2], 0xa5a5a5a5);
        }
        for (size_t c = 0; k->tile_pairs != NULL && c < TS_COUNT_OF(counts); c++)
            for (size_t depth = 0; depth <= 33; depth++) {
                size_t count = counts[c], width = count <= 12 ? 12 : 32;
                memset(pairs, 0xa5, sizeof pairs);
                k->pair_rows(pairs, width, 0, x, 32, count, depth);
                for (size_t row = 0; row < (depth + 1) / 2 * 2; row++)
                    for (size_t i = 0; i < width; i++) {
                        uint32_t pair = pairs[row / 2 * width + i];
                        is_rounded(row % 2 ? pair >> 16 : pair & 0xffff, row < depth && i < count ? x[row * 32 + i] : 0);
                    }
                assert_int_equal(pairs[(depth + 1) / 2 * width], 0xa5a5a5a5);
            }
    }
}

/* ts_gemm in all four layouts at every level and precision, for 1, 2 and 4 threads. In bf16 it is the product of the rounded factors. */
static void test_gemm(void **state)
{
    static const size_t shapes[][3] = {{1, 1, 1}, {12, 32, 8}, {13, 33, 257}, {5, 100, 300}, {97, 31, 64}, {200, 70, 513}, {64, 129, 1}};
    static float a[200 * 513], b[513 * 129], c[200 * 140], d[200 * 140], a16[200 * 513], b16[513 * 129];
    (void)state;
    fill(a, TS_COUNT_OF(a), 1), fill(b, TS_COUNT_OF(b), 2);
    for (size_t i = 0; i < TS_COUNT_OF(a); i++)
        a16[i] = rounded(a[i]);
    for (size_t i = 0; i < TS_COUNT_OF(b); i++)
        b16[i] = rounded(b[i]);
    for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= last_level(); level++)
        for (uint32_t run = 0; run < 6; run++) {
            bool bf16 = run & 1;
            ts_runtime *runtime = make_runtime(1u << run / 2, level);
            ts_gemm_space space;
            size_t a_size = 0, b_size = 0; /* no more than is promised to be enough */
            for (size_t i = 0; i < TS_COUNT_OF(shapes); i++) {
                a_size = TS_MAX(a_size, ts_gemm_packed_a_size(ts_kernels_at(level), bf16, shapes[i][0], shapes[i][2]));
                b_size = TS_MAX(b_size, ts_gemm_packed_size(ts_kernels_at(level), bf16, shapes[i][1], shapes[i][2]));
            }
            ts_status status = ts_gemm_space_init(&space, runtime, ts_kernels_at(level), a_size, b_size, bf16, false);
            if (bf16 && ts_kernels_at(level)->tile_pairs == NULL) {
                assert_int_equal(status, TS_ERROR_UNSUPPORTED);
                ts_runtime_free(runtime);
                continue;
            }
            assert_int_equal(status, TS_OK);
            for (size_t i = 0; i < TS_COUNT_OF(shapes); i++)
                for (int form = 0; form < 8; form++) {
                    size_t m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
                    ts_matrix ma = form & 1 ? (ts_matrix){a, 1, m} : (ts_matrix){a, k, 1},
                              mb = form & 2 ? (ts_matrix){b, 1, k} : (ts_matrix){b, n, 1};
                    fill(c, TS_COUNT_OF(c), 3), fill(d, TS_COUNT_OF(d), 3);
                    ts_gemm(&space, c, n + 3, ma, mb, m, n, k, (ts_start){form & 4 ? c : NULL, n + 3, NULL});
                    if (bf16)
                        ma.data = a16, mb.data = b16;
                    reference_product(d, n + 3, ma, mb, m, n, k, form & 4);
                    close_to(c, d, TS_COUNT_OF(c), 3e-5f, "gemm");
                    ts_gemm(&space, c, n + 3, (ts_matrix){a, ma.row, ma.column}, (ts_matrix){b, mb.row, mb.column}, m, n, k,
                            (ts_start){form & 4 ? a : NULL, n, b + 7});
                    for (size_t row = 0; row < m; row++)
                        for (size_t j = 0; j < n; j++)
                            d[row * (n + 3) + j] = b[7 + j] + (form & 4 ? a[row * n + j] : 0);
                    reference_product(d, n + 3, ma, mb, m, n, k, true);
                    close_to(c, d, TS_COUNT_OF(c), 3e-5f, "gemm from rows and a bias");
                }
            ts_gemm_space_free(&space);
            ts_runtime_free(runtime);
        }
}

static void test_gemm_threads_same_bits(void **state)
{
    static float a[300 * 513], b[513 * 192], c[3][300 * 192];
    (void)state;
    fill(a, TS_COUNT_OF(a), 1), fill(b, TS_COUNT_OF(b), 2);
    for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= last_level(); level++) {
        const ts_kernels *kernels = ts_kernels_at(level);
        for (int bf16 = 0; bf16 <= (kernels->tile_pairs != NULL); bf16++) {
            if (kernels->tile_rows == 0)
                continue; /* OpenBLAS promises nothing */
            for (int i = 0; i < 3; i++) {
                ts_runtime *runtime = make_runtime(1u << i, level);
                ts_gemm_space space;
                assert_int_equal(ts_gemm_space_init(&space, runtime, kernels, 0, ts_gemm_packed_size(kernels, bf16, 190, 513), bf16, false), TS_OK);
                ts_gemm(&space, c[i], 190, (ts_matrix){a, 513, 1}, (ts_matrix){b, 1, 513}, 300, 190, 513, (ts_start){0});
                ts_gemm_space_free(&space);
                ts_runtime_free(runtime);
            }
            assert_memory_equal(c[0], c[1], 300 * 190 * sizeof(float));
            assert_memory_equal(c[0], c[2], 300 * 190 * sizeof(float));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),     cmocka_unit_test(test_elements),
        cmocka_unit_test(test_norms),    cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_products), cmocka_unit_test(test_one_order),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_pairs),    cmocka_unit_test(test_gemm_threads_same_bits),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}

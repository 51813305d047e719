/*
 * The kernels that vector extensions can say, written once. A level's file sets LANES (floats in a vector), LEVEL, NAME(), TILE_ROWS and TILE_VECTORS, and
 * includes this once. Such files include nothing else that defines functions: a copy compiled for a level must not be the one that the linker keeps.
 */
#include "tensor/tensor.h"

typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef double dvec __attribute__((vector_size(LANES * 8), aligned(8), may_alias));

#define FULL(count, i) ((count) - (i) < LANES ? (count) - (i) : LANES)

/* The first `count` (1 to LANES) floats at x, zeros behind them. */
static inline vec load(const float *x, size_t count)
{
    if (count == LANES)
        return *(const vec *)x;
    vec v = {0};
    float *lane = (float *)&v;
    for (size_t i = 0; i < count; i++)
        lane[i] = x[i];
    return v;
}

static inline void store(float *x, vec v, size_t count)
{
    if (count == LANES) {
        *(vec *)x = v;
        return;
    }
    const float *lane = (const float *)&v;
    for (size_t i = 0; i < count; i++)
        x[i] = lane[i];
}

static inline vec all(float x)
{
    return x - (vec){0};
}

static inline vec choose(ivec condition, vec yes, vec no)
{
    return (vec)((condition & (ivec)yes) | (~condition & (ivec)no));
}

/* The sum of the lanes: halves folded onto each other, so that the order is the same everywhere. */
static inline float total(vec v)
{
    typedef float half8 __attribute__((vector_size(32), aligned(4), may_alias));
    typedef float half4 __attribute__((vector_size(16), aligned(4), may_alias));
#if LANES == 16
    half8 eight = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    half8 eight = v;
#endif
    half4 four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

/* exp: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]; relative error below 2e-7. Clamped to the range of normal floats; NaN stays NaN. */
static inline vec exponential(vec x)
{
    x = choose(x < -87.0f, all(-87.0f), x);
    x = choose(x > 88.0f, all(88.0f), x);
    vec magic = all(12582912.0f); /* 1.5 2^23: adding it rounds to an integer */
    vec n = x * 1.44269504f + magic - magic;
    vec r = x - n * 0.693145752f - n * 1.42860677e-6f;
    vec p = r * 1.98412698e-4f + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    ivec power = (__builtin_convertvector(n, ivec) + 127) << 23;
    return p * (vec)power;
}

static inline vec sigmoid(vec x)
{
    return 1.0f / (1.0f + exponential(-x));
}

/* ---- inference ---- */

/* Two running vectors: even and odd blocks of LANES. Everything that promises dot()'s order adds the same way. */
static float NAME(dot)(const float *x, const float *y, size_t count)
{
    vec even = {0}, odd = {0};
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        even += *(const vec *)(x + i) * *(const vec *)(y + i);
        odd += *(const vec *)(x + i + LANES) * *(const vec *)(y + i + LANES);
    }
    for (; i < count; i += LANES)
        even += load(x + i, FULL(count, i)) * load(y + i, FULL(count, i));
    return total(even + odd);
}

static void NAME(axpy)(float *y, const float *x, float a, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        store(y + i, load(y + i, n) + a * load(x + i, n), n);
    }
}

/* rows x outputs dot products at once, so that every load of x and w serves several sums. */
#define LINEAR_BLOCK(ROWS, OUTPUTS)                                                                                                              \
    static inline void NAME(linear_##ROWS##x##OUTPUTS)(float *y, size_t y_stride, const float *x, const float *w, size_t in)                     \
    {                                                                                                                                            \
        vec even[ROWS][OUTPUTS] = {{{0}}}, odd[ROWS][OUTPUTS] = {{{0}}};                                                                         \
        size_t i = 0;                                                                                                                            \
        for (; i + 2 * LANES <= in; i += 2 * LANES)                                                                                              \
            _Pragma("GCC unroll 4") for (int o = 0; o < OUTPUTS; o++)                                                                            \
            {                                                                                                                                    \
                vec w0 = *(const vec *)(w + (size_t)o * in + i), w1 = *(const vec *)(w + (size_t)o * in + i + LANES);                            \
                _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)                                                                           \
                {                                                                                                                                \
                    even[r][o] += *(const vec *)(x + (size_t)r * in + i) * w0;                                                                   \
                    odd[r][o] += *(const vec *)(x + (size_t)r * in + i + LANES) * w1;                                                            \
                }                                                                                                                                \
            }                                                                                                                                    \
        for (; i < in; i += LANES)                                                                                                               \
            _Pragma("GCC unroll 4") for (int o = 0; o < OUTPUTS; o++)                                                                            \
            {                                                                                                                                    \
                vec w0 = load(w + (size_t)o * in + i, FULL(in, i));                                                                              \
                _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++) even[r][o] += load(x + (size_t)r * in + i, FULL(in, i)) * w0;             \
            }                                                                                                                                    \
        _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++) _Pragma("GCC unroll 4") for (int o = 0; o < OUTPUTS; o++)                         \
            y[(size_t)r * y_stride + o] = total(even[r][o] + odd[r][o]);                                                                         \
    }

LINEAR_BLOCK(1, 4)
LINEAR_BLOCK(3, 4)
LINEAR_BLOCK(1, 1)

static void NAME(linear)(float *y, size_t y_stride, const float *x, const float *w, size_t rows, size_t outputs, size_t in)
{
    size_t o = 0;
    for (; o + 4 <= outputs; o += 4) {
        size_t r = 0;
        for (; r + 3 <= rows; r += 3)
            NAME(linear_3x4)(y + r * y_stride + o, y_stride, x + r * in, w + o * in, in);
        for (; r < rows; r++)
            NAME(linear_1x4)(y + r * y_stride + o, y_stride, x + r * in, w + o * in, in);
    }
    for (; o < outputs; o++)
        for (size_t r = 0; r < rows; r++)
            NAME(linear_1x1)(y + r * y_stride + o, y_stride, x + r * in, w + o * in, in);
}

/* ---- rows ---- */

static float NAME(sum)(const float *x, size_t count)
{
    vec sum = {0};
    for (size_t i = 0; i < count; i += LANES)
        sum += load(x + i, FULL(count, i));
    return total(sum);
}

static void NAME(layer_norm)(float *y, const float *x, const float *weight, const float *bias, size_t count, float epsilon, float *mean, float *scale)
{
    float m = NAME(sum)(x, count) / (float)count;
    vec squares = {0};
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec d = load(x + i, n) - m;
        if (n < LANES)
            for (size_t lane = n; lane < LANES; lane++)
                d[lane] = 0;
        squares += d * d;
    }
    float s = 1.0f / __builtin_sqrtf(total(squares) / (float)count + epsilon);
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        store(y + i, (load(x + i, n) - m) * s * load(weight + i, n) + load(bias + i, n), n);
    }
    *mean = m;
    *scale = s;
}

static void NAME(rms_norm)(float *y, const float *x, const float *weight, size_t count, float epsilon, float *scale)
{
    float s = 1.0f / __builtin_sqrtf(NAME(dot)(x, x, count) / (float)count + epsilon);
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        store(y + i, load(x + i, n) * s * load(weight + i, n), n);
    }
    *scale = s;
}

/* With z = (x - mean) scale and g = dy weight: dx = scale (g - mean(g) - z mean(g z)). */
static void NAME(layer_norm_back)(float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *weight, size_t count, float mean,
                                  float scale)
{
    vec sum_g = {0}, sum_gz = {0};
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec d = load(dy + i, n), z = (load(x + i, n) - mean) * scale, g = d * load(weight + i, n);
        store(dweight + i, load(dweight + i, n) + d * z, n);
        store(dbias + i, load(dbias + i, n) + d, n);
        sum_g += g;
        sum_gz += g * z;
    }
    float mean_g = total(sum_g) / (float)count, mean_gz = total(sum_gz) / (float)count;
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec z = (load(x + i, n) - mean) * scale, g = load(dy + i, n) * load(weight + i, n);
        store(dx + i, load(dx + i, n) + scale * (g - mean_g - z * mean_gz), n);
    }
}

/* With z = x scale and g = dy weight: dx = scale (g - z mean(g z)). */
static void NAME(rms_norm_back)(float *dx, float *dweight, const float *dy, const float *x, const float *weight, size_t count, float scale)
{
    vec sum_gz = {0};
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec d = load(dy + i, n), z = load(x + i, n) * scale;
        store(dweight + i, load(dweight + i, n) + d * z, n);
        sum_gz += d * load(weight + i, n) * z;
    }
    float mean_gz = total(sum_gz) / (float)count;
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec z = load(x + i, n) * scale, g = load(dy + i, n) * load(weight + i, n);
        store(dx + i, load(dx + i, n) + scale * (g - z * mean_gz), n);
    }
}

/* gelu(x) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3): the tanh form said with an exponential. */
#define GELU_SLOPE 1.59576912f /* 2 sqrt(2 / pi) */
#define GELU_CUBE 0.044715f

static void NAME(gelu)(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec v = load(x + i, n);
        store(y + i, v * sigmoid(GELU_SLOPE * v * (1.0f + GELU_CUBE * v * v)), n);
    }
}

static void NAME(gelu_back)(float *dx, const float *dy, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec v = load(x + i, n), s = sigmoid(GELU_SLOPE * v * (1.0f + GELU_CUBE * v * v));
        vec slope = s + v * s * (1.0f - s) * GELU_SLOPE * (1.0f + 3.0f * GELU_CUBE * v * v);
        store(dx + i, load(dy + i, n) * slope, n);
    }
}

static void NAME(swiglu)(float *y, const float *gate, const float *up, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec g = load(gate + i, n);
        store(y + i, g * sigmoid(g) * load(up + i, n), n);
    }
}

static void NAME(swiglu_back)(float *dgate, float *dup, const float *dy, const float *gate, const float *up, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec g = load(gate + i, n), d = load(dy + i, n), u = load(up + i, n), s = sigmoid(g);
        store(dup + i, d * g * s, n);
        store(dgate + i, d * u * s * (1.0f + g * (1.0f - s)), n);
    }
}

static float NAME(exp_sum)(float *x, size_t count, float scale, float shift)
{
    vec sum = {0};
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec e = exponential(load(x + i, n) * scale - shift);
        store(x + i, e, n);
        if (n < LANES)
            e = load(x + i, n);
        sum += e;
    }
    return total(sum);
}

static float NAME(maximum)(const float *x, size_t count)
{
    vec most = all(x[0]);
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec v = load(x + i, n);
        if (n < LANES)
            for (size_t lane = n; lane < LANES; lane++)
                v[lane] = x[0];
        most = choose(v > most, v, most);
    }
    float result = most[0];
    for (int lane = 1; lane < LANES; lane++)
        result = most[lane] > result ? most[lane] : result;
    return result;
}

static void NAME(multiply)(float *x, float factor, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        store(x + i, load(x + i, n) * factor, n);
    }
}

static void NAME(rotate)(float *x, const float *turns, size_t count, float direction)
{
    for (size_t i = 0; i + 2 <= count; i += 2) {
        float a = x[i], b = x[i + 1], c = turns[i], s = turns[i + 1] * direction;
        x[i] = a * c - b * s;
        x[i + 1] = a * s + b * c;
    }
}

/* ---- training ---- */

/* A block of ROWS rows and one vector of columns (n of its lanes). */
#define SMALL_BLOCK(ROWS)                                                                                                                        \
    static inline void NAME(small_##ROWS)(float *c, size_t c_row, const float *a, size_t a_row, size_t a_column, const float *b, size_t b_row,   \
                                          size_t n, size_t depth, bool add)                                                                      \
    {                                                                                                                                            \
        vec sum[ROWS];                                                                                                                           \
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) sum[r] = add ? load(c + (size_t)r * c_row, n) : all(0);                           \
        for (size_t k = 0; k < depth; k++) {                                                                                                     \
            vec bk = load(b + k * b_row, n);                                                                                                     \
            _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) sum[r] += a[(size_t)r * a_row + k * a_column] * bk;                           \
        }                                                                                                                                        \
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) store(c + (size_t)r * c_row, sum[r], n);                                          \
    }

SMALL_BLOCK(8)
SMALL_BLOCK(1)

static void NAME(small_product)(float *c, size_t c_row, const float *a, size_t a_row, size_t a_column, const float *b, size_t b_row, size_t rows,
                                size_t columns, size_t depth, bool add)
{
    for (size_t j = 0; j < columns; j += LANES) {
        size_t n = FULL(columns, j), i = 0;
        if (n == LANES)
            for (; i + 8 <= rows; i += 8)
                NAME(small_8)(c + i * c_row + j, c_row, a + i * a_row, a_row, a_column, b + j, b_row, LANES, depth, add);
        else
            for (; i + 8 <= rows; i += 8)
                NAME(small_8)(c + i * c_row + j, c_row, a + i * a_row, a_row, a_column, b + j, b_row, n, depth, add);
        for (; i < rows; i++)
            NAME(small_1)(c + i * c_row + j, c_row, a + i * a_row, a_row, a_column, b + j, b_row, n, depth, add);
    }
}

static void NAME(tile)(float *c, size_t c_row, const float *a, const float *b, size_t depth, bool add)
{
    vec sum[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    for (size_t k = 0; k < depth; k++, a += TILE_ROWS, b += TILE_VECTORS * LANES) {
        vec bk[TILE_VECTORS];
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) bk[v] = ((const vec *)b)[v];
        _Pragma("GCC unroll 16") for (int r = 0; r < TILE_ROWS; r++)
        {
            vec ak = all(a[r]);
            _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) sum[r][v] += ak * bk[v];
        }
    }
    _Pragma("GCC unroll 16") for (int r = 0; r < TILE_ROWS; r++, c += c_row)
    {
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++)
        {
            vec *at = (vec *)(c + v * LANES);
            if (add)
                *at += sum[r][v];
            else
                *at = sum[r][v];
        }
    }
}

static double NAME(square_sum)(const float *x, size_t count)
{
    dvec sum = {0};
    for (size_t i = 0; i < count; i += LANES) {
        dvec v = __builtin_convertvector(load(x + i, FULL(count, i)), dvec);
        sum += v * v;
    }
    double result = 0;
    for (int lane = 0; lane < LANES; lane++)
        result += sum[lane];
    return result;
}

static inline vec root(vec x)
{
    vec y;
    for (int lane = 0; lane < LANES; lane++)
        y[lane] = __builtin_sqrtf(x[lane]);
    return y;
}

static void NAME(adamw)(float *w, float *m, float *v, const float *gradient, size_t count, float clip, float rate, float b1, float b2, float c1, float c2,
                        float epsilon, float decay)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec g = load(gradient + i, n) * clip, weight = load(w + i, n);
        vec first = b1 * load(m + i, n) + (1.0f - b1) * g, second = b2 * load(v + i, n) + (1.0f - b2) * g * g;
        store(m + i, first, n);
        store(v + i, second, n);
        store(w + i, weight - rate * (first / c1 / (root(second / c2) + epsilon) + decay * weight), n);
    }
}

/* The entries of a level's table. */
#define LOOPS \
    .level = LEVEL, .dot = NAME(dot), .axpy = NAME(axpy), .linear = NAME(linear), .layer_norm = NAME(layer_norm), \
    .rms_norm = NAME(rms_norm), .layer_norm_back = TRAINING(NAME(layer_norm_back)), .rms_norm_back = TRAINING(NAME(rms_norm_back)), \
    .gelu = NAME(gelu), .gelu_back = TRAINING(NAME(gelu_back)), .swiglu = NAME(swiglu), .swiglu_back = TRAINING(NAME(swiglu_back)), \
    .exp_sum = NAME(exp_sum), .maximum = NAME(maximum), .multiply = NAME(multiply), .rotate = NAME(rotate), \
    .small_product = NAME(small_product), .tile = TRAINING(NAME(tile)), .tile_rows = TILE_ROWS, .tile_columns = TILE_VECTORS * LANES, \
    .square_sum = TRAINING(NAME(square_sum)), .adamw = TRAINING(NAME(adamw))

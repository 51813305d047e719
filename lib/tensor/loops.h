/*
 * The kernels that vector extensions can say, written once. A level's file sets LANES (floats in a vector), LEVEL, NAME(), TILE_ROWS, TILE_VECTORS
 * and KERNEL (static, or nothing where other levels' tables have them too), and includes this once. LOOPS, of levels.h, are their entries of the
 * table.
 */
#include "tensor/vectors.h"

/* ---- inference ---- */

/* Two running vectors: even and odd blocks of LANES. Everything that promises dot()'s order adds the same way. */
KERNEL float NAME(dot)(const float *x, const float *y, size_t count)
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

KERNEL void NAME(axpy)(float *y, const float *x, float a, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        store(y + i, load(y + i, n) + a * load(x + i, n), n);
    }
}

/* What total() would add of two vectors, side by side: half as many sums of each as there were. */
#define FOLD(a, b, far, ...) (PICK(a, b, far) + __builtin_shufflevector(a, b, __VA_ARGS__))

/* total() of LANES vectors, each in its lane. */
static inline vec totals(vec v[LANES])
{
#if LANES == 16
    _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) v[i] = FOLD(v[i], v[i + 8], 8, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23);
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) v[i] = FOLD(v[i], v[i + 4], 4, 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27);
    _Pragma("GCC unroll 2") for (int i = 0; i < 2; i++) v[i] = FOLD(v[i], v[i + 2], 2, 2, 3, 16, 17, 6, 7, 20, 21, 10, 11, 24, 25, 14, 15, 28, 29);
    return FOLD(v[0], v[1], 1, 1, 16, 3, 18, 5, 20, 7, 22, 9, 24, 11, 26, 13, 28, 15, 30);
#else
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) v[i] = FOLD(v[i], v[i + 4], 4, 4, 5, 6, 7, 8, 9, 10, 11);
    _Pragma("GCC unroll 2") for (int i = 0; i < 2; i++) v[i] = FOLD(v[i], v[i + 2], 2, 2, 3, 8, 9, 6, 7, 12, 13);
    return FOLD(v[0], v[1], 1, 1, 8, 3, 10, 5, 12, 7, 14);
#endif
}

/* The last `in` % LANES floats at x, in their lanes as they stand in the last LANES of them, zeros before. */
static inline vec rest(const float *x, size_t in)
{
    if (in < LANES)
        return load(x, in);
    return (vec)(*(const ivec *)(x + in - LANES) & ((ivec){ALL_LANES} >= LANES - (int32_t)(in % LANES)));
}

/*
 * ROWS x OUTPUTS dot products at once, so that every load of x and w serves several sums. A sum runs over vectors of LANES, then over what is left,
 * lined up with the end, in one running vector: the order in every block. Rows together leave time to fetch the weights of outputs further on.
 */
#define LINEAR_BLOCK(CALLED, ROWS, OUTPUTS)                                                                                                          \
    static inline void NAME(CALLED)(vec sum[ROWS * OUTPUTS], const float *x, size_t x_stride, const float *w, size_t w_stride, size_t in)            \
    {                                                                                                                                                \
        _Pragma("GCC unroll 16") for (int i = 0; i < ROWS * OUTPUTS; i++) sum[i] = all(0);                                                           \
        for (size_t i = 0; i + LANES <= in; i += LANES)                                                                                              \
            _Pragma("GCC unroll 16") for (int o = 0; o < OUTPUTS; o++)                                                                               \
            {                                                                                                                                        \
                if (ROWS > 1)                                                                                                                        \
                    __builtin_prefetch(w + (size_t)(o + 4 * OUTPUTS) * w_stride + i, 0, 2);                                                          \
                vec weight = *(const vec *)(w + (size_t)o * w_stride + i);                                                                           \
                _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++) sum[r * OUTPUTS + o] +=                                                       \
                    *(const vec *)(x + (size_t)r * x_stride + i) * weight;                                                                           \
            }                                                                                                                                        \
        if (in % LANES == 0)                                                                                                                         \
            return;                                                                                                                                  \
        _Pragma("GCC unroll 16") for (int o = 0; o < OUTPUTS; o++)                                                                                   \
        {                                                                                                                                            \
            vec weight = rest(w + (size_t)o * w_stride, in);                                                                                         \
            _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++) sum[r * OUTPUTS + o] += rest(x + (size_t)r * x_stride, in) * weight;              \
        }                                                                                                                                            \
    }

#define LONG_ROW 256
LINEAR_BLOCK(sums_line, 1, LANES)
LINEAR_BLOCK(sums_block, BLOCK_ROWS, 4)
LINEAR_BLOCK(sums_one, 1, 1)

/*
 * LANES outputs of long rows, one after the other, so that the weights come from memory in one stream: fastest by far where one instruction walks
 * along it, or where a row of x stays in registers.
 */
#define LONG_ROW 256

static inline __attribute__((always_inline)) vec NAME(stream_of)(const float *x, const float *w, size_t w_stride, size_t vectors)
{
    vec held[24], sum[LANES] __attribute__((aligned(64)));
    _Pragma("GCC unroll 24") for (size_t i = 0; i < vectors; i++) held[i] = ((const vec *)x)[i];
    _Pragma("GCC unroll 1") for (int o = 0; o < LANES; o++, w += w_stride)
    {
        vec running = all(0);
        _Pragma("GCC unroll 24") for (size_t i = 0; i < vectors; i++) running += held[i] * ((const vec *)w)[i];
        sum[o] = running;
    }
    return totals(sum);
}

static vec NAME(stream)(const float *x, const float *w, size_t w_stride, size_t in)
{
    vec sum[LANES] __attribute__((aligned(64)));
#if LANES == 16
#define HELD(VECTORS)                                                                                                                                \
    case VECTORS *LANES:                                                                                                                             \
        return NAME(stream_of)(x, w, w_stride, VECTORS);
    switch (in) {
        HELD(16) HELD(18) HELD(20) HELD(22) HELD(24)
    }
#endif
    _Pragma("GCC unroll 1") for (int o = 0; o < LANES; o++, w += w_stride) NAME(sums_one)(sum + o, x, 0, w, 0, in);
    return totals(sum);
}

static vec NAME(line)(const float *x, const float *w, size_t w_stride, size_t in)
{
    vec sum[LANES];
    NAME(sums_line)(sum, x, 0, w, w_stride, in);
    return totals(sum);
}

/* y[o] of one row. */
static __attribute__((noinline)) void NAME(linear_row)(float *y, const float *x, const float *w, size_t w_stride, size_t outputs, size_t in)
{
    size_t o = 0;
    for (; o + LANES <= outputs; o += LANES)
        *(vec *)(y + o) = in < LONG_ROW ? NAME(line)(x, w + o * w_stride, w_stride, in) : NAME(stream)(x, w + o * w_stride, w_stride, in);
    for (; o < outputs; o++) {
        vec sum[1];
        NAME(sums_one)(sum, x, 0, w + o * w_stride, 0, in);
        y[o] = total(sum[0]);
    }
}

KERNEL void NAME(linear)(float *y, size_t y_stride, const float *x, size_t x_stride, const float *w, size_t w_stride, size_t rows, size_t outputs,
                         size_t in)
{
    size_t row = 0, even = outputs - outputs % 4;
    for (size_t o = 0; rows >= BLOCK_ROWS && o < even; o += 4)
        for (row = 0; row + BLOCK_ROWS <= rows; row += BLOCK_ROWS) {
            vec sum[LANES];
            NAME(sums_block)(sum, x + row * x_stride, x_stride, w + o * w_stride, w_stride, in);
            vec y4 = totals(sum);
            for (int r = 0; r < BLOCK_ROWS; r++)
                *(quarter *)(y + (row + r) * y_stride + o) = ((quarter *)&y4)[r];
        }
    for (size_t r = 0; r < row && even < outputs; r++)
        NAME(linear_row)(y + r * y_stride + even, x + r * x_stride, w + even * w_stride, w_stride, outputs - even, in);
    for (; row < rows; row++)
        NAME(linear_row)(y + row * y_stride, x + row * x_stride, w, w_stride, outputs, in);
}

/* y = sum over rows of a[row] x[row]: four running sums, each of every fourth row, added in pairs. WIDE floats at a time. */
#define MIX_BLOCK(CALLED, TYPE, WIDE)                                                                                                                \
    static inline size_t NAME(CALLED)(float *y, const float *x, size_t x_stride, const float *a, size_t rows, size_t from, size_t count)             \
    {                                                                                                                                                \
        for (; from + WIDE <= count; from += WIDE) {                                                                                                 \
            TYPE sum[4] = {{0}};                                                                                                                     \
            const float *at = x + from;                                                                                                              \
            size_t row = 0;                                                                                                                          \
            for (; row + 4 <= rows; row += 4, at += 4 * x_stride)                                                                                    \
                _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) sum[i] += a[row + i] * *(const TYPE *)(at + (size_t)i * x_stride);               \
            for (int i = 0; row + i < rows; i++)                                                                                                     \
                sum[i] += a[row + i] * *(const TYPE *)(at + (size_t)i * x_stride);                                                                   \
            *(TYPE *)(y + from) = (sum[0] + sum[1]) + (sum[2] + sum[3]);                                                                             \
        }                                                                                                                                            \
        return from;                                                                                                                                 \
    }

MIX_BLOCK(mix_vectors, vec, LANES)
MIX_BLOCK(mix_quarters, quarter, 4)
MIX_BLOCK(mix_ones, one, 1)

KERNEL void NAME(mix)(float *y, const float *x, size_t x_stride, const float *a, size_t rows, size_t count)
{
    size_t done = NAME(mix_vectors)(y, x, x_stride, a, rows, 0, count);
    done = NAME(mix_quarters)(y, x, x_stride, a, rows, done, count);
    NAME(mix_ones)(y, x, x_stride, a, rows, done, count);
}

/* The greatest magnitude by its bits, so that a NaN is the greatest of all. 12582912 is 1.5 2^23: adding it rounds to an integer in the lowest bits.
 */
KERNEL void NAME(quantize)(int8_t *values, float *scales, int32_t *sums, const float *x, size_t blocks)
{
    typedef int8_t bytes __attribute__((vector_size(LANES), aligned(1), may_alias));
    for (size_t b = 0; b < blocks; b++, x += TS_BLOCK, values += TS_BLOCK) {
        ivec most = {0}, sum = {0};
        for (size_t i = 0; i < TS_BLOCK; i += LANES) {
            ivec size = *(const ivec *)(x + i) & 0x7fffffff;
            most = (ivec)choose(size > most, (vec)size, (vec)most);
        }
        int32_t bits = greatest_whole(most);
        float greatest;
        __builtin_memcpy(&greatest, &bits, sizeof greatest);
        scales[b] = greatest / 127;
        sums[b] = 0;
        if (!(greatest < __builtin_inff())) { /* zeros of no finite scale: whatever they are multiplied by is no number */
            __builtin_memset(values, 0, TS_BLOCK);
            continue;
        }
        float inverse = greatest < 1e-30f ? 0 : 127 / greatest;
        for (size_t i = 0; i < TS_BLOCK; i += LANES) {
            vec rounded = *(const vec *)(x + i) * inverse + 12582912.0f;
            ivec whole = (ivec)rounded - 0x4b400000;
            *(bytes *)(values + i) = __builtin_convertvector(whole, bytes);
            sum += whole;
        }
        sums[b] = total_whole(sum);
    }
}

/* ---- rows ---- */

static float NAME(sum)(const float *x, size_t count)
{
    vec sum = {0};
    for (size_t i = 0; i < count; i += LANES)
        sum += load(x + i, FULL(count, i));
    return total(sum);
}

KERNEL void NAME(layer_norm)(float *y, const float *x, const float *weight, const float *bias, size_t count, float epsilon, float *mean, float *scale)
{
    float m = NAME(sum)(x, count) / (float)count;
    vec squares = {0};
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec d = first(load(x + i, n) - m, n);
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

KERNEL void NAME(rms_norm)(float *y, const float *x, const float *weight, size_t count, float epsilon, float *scale)
{
    float s = 1.0f / __builtin_sqrtf(NAME(dot)(x, x, count) / (float)count + epsilon);
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        store(y + i, load(x + i, n) * s * load(weight + i, n), n);
    }
    *scale = s;
}

/* With z = (x - mean) scale and g = dy weight: dx = scale (g - mean(g) - z mean(g z)). */
KERNEL void NAME(layer_norm_back)(float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *weight, size_t count,
                                  float mean, float scale)
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
KERNEL void NAME(rms_norm_back)(float *dx, float *dweight, const float *dy, const float *x, const float *weight, size_t count, float scale)
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

KERNEL void NAME(gelu)(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec v = load(x + i, n);
        store(y + i, v * sigmoid(GELU_SLOPE * v * (1.0f + GELU_CUBE * v * v)), n);
    }
}

KERNEL void NAME(gelu_back)(float *dx, const float *dy, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec v = load(x + i, n), s = sigmoid(GELU_SLOPE * v * (1.0f + GELU_CUBE * v * v));
        vec slope = s + v * s * (1.0f - s) * GELU_SLOPE * (1.0f + 3.0f * GELU_CUBE * v * v);
        store(dx + i, load(dy + i, n) * slope, n);
    }
}

KERNEL void NAME(swiglu)(float *y, const float *gate, const float *up, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec g = load(gate + i, n);
        store(y + i, g * sigmoid(g) * load(up + i, n), n);
    }
}

KERNEL void NAME(swiglu_back)(float *dgate, float *dup, const float *dy, const float *gate, const float *up, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec g = load(gate + i, n), d = load(dy + i, n), u = load(up + i, n), s = sigmoid(g);
        store(dup + i, d * g * s, n);
        store(dgate + i, d * u * s * (1.0f + g * (1.0f - s)), n);
    }
}

KERNEL float NAME(exp_sum)(float *x, size_t count, float scale, float shift)
{
    vec sum = {0};
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec e = exponential(load(x + i, n) * scale - shift);
        store(x + i, e, n);
        sum += n < LANES ? first(e, n) : e;
    }
    return total(sum);
}

KERNEL float NAME(maximum)(const float *x, size_t count)
{
    vec most = all(x[0]);
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec v = load(x + i, n);
        most = choose((v > most) & ((ivec){ALL_LANES} < (int32_t)n), v, most);
    }
    return greatest_lane(most);
}

KERNEL void NAME(multiply)(float *x, float factor, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        store(x + i, load(x + i, n) * factor, n);
    }
}

KERNEL void NAME(rotate)(float *x, const float *turns, size_t count, float direction)
{
    const vec signs = choose(((ivec){ALL_LANES} & 1) != 0, all(direction), all(-direction));
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        vec v = load(x + i, n), turn = load(turns + i, n);
        vec cosine = __builtin_shufflevector(turn, turn, EACH_LANE(&~1)), sine = __builtin_shufflevector(turn, turn, EACH_LANE(| 1));
        store(x + i, v * cosine + SWAP(v, 1) * (sine * signs), n);
    }
}

/* ---- training ---- */

KERNEL void NAME(softmax_back)(float *d, const float *p, size_t count, float mean, float scale)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = FULL(count, i);
        store(d + i, load(p + i, n) * (load(d + i, n) - mean) * scale, n);
    }
}

/* A block of ROWS rows and one vector of columns (n of its lanes). */
#define SMALL_BLOCK(ROWS)                                                                                                                            \
    static inline void NAME(small_##ROWS)(float *c, size_t c_row, const float *a, size_t a_row, size_t a_column, const float *b, size_t b_row,       \
                                          size_t n, size_t depth, bool add)                                                                          \
    {                                                                                                                                                \
        vec sum[ROWS];                                                                                                                               \
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) sum[r] = add ? load(c + (size_t)r * c_row, n) : all(0);                               \
        for (size_t k = 0; k < depth; k++) {                                                                                                         \
            vec bk = load(b + k * b_row, n);                                                                                                         \
            _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) sum[r] += a[(size_t)r * a_row + k * a_column] * bk;                               \
        }                                                                                                                                            \
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++) store(c + (size_t)r * c_row, sum[r], n);                                              \
    }

SMALL_BLOCK(8)
SMALL_BLOCK(4)
SMALL_BLOCK(1)

KERNEL void NAME(small_product)(float *c, size_t c_row, const float *a, size_t a_row, size_t a_column, const float *b, size_t b_row, size_t rows,
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
        for (; i + 4 <= rows; i += 4)
            NAME(small_4)(c + i * c_row + j, c_row, a + i * a_row, a_row, a_column, b + j, b_row, n, depth, add);
        for (; i < rows; i++)
            NAME(small_1)(c + i * c_row + j, c_row, a + i * a_row, a_row, a_column, b + j, b_row, n, depth, add);
    }
}

/* Rows in groups of three, each with one running pointer: as many registers as there are. */
static inline __attribute__((always_inline)) void NAME(tile_of)(float *c, size_t c_row, const float *a, size_t a_row, size_t a_step, const float *b,
                                                                size_t depth, const ts_start *start)
{
    vec sum[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    const float *group[TILE_ROWS / 3];
    _Pragma("GCC unroll 4") for (int g = 0; g < TILE_ROWS / 3; g++) group[g] = a + (size_t)(3 * g) * a_row;
    fetch_early(c, c_row, start);
    for (size_t k = 0; k < depth; k++, b += TILE_VECTORS * LANES) {
        __builtin_prefetch(b + 8 * TILE_VECTORS * LANES);
        if (LANES == 16)
            __builtin_prefetch(b + 8 * TILE_VECTORS * LANES + LANES);
        vec bk[TILE_VECTORS];
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) bk[v] = ((const vec *)b)[v];
        _Pragma("GCC unroll 4") for (int g = 0; g < TILE_ROWS / 3; g++)
        {
            _Pragma("GCC unroll 3") for (int i = 0; i < 3; i++)
            {
                vec ak = all(group[g][(size_t)i * a_row]);
                _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++) sum[3 * g + i][v] += ak * bk[v];
            }
            group[g] += a_step;
        }
    }
    const float *base = start->base, *bias = start->bias;
    _Pragma("GCC unroll 16") for (int r = 0; r < TILE_ROWS; r++, c += c_row, base += base ? start->base_row : 0)
    {
        _Pragma("GCC unroll 4") for (int v = 0; v < TILE_VECTORS; v++)
        {
            vec old = base ? ((const vec *)base)[v] : all(0);
            if (bias)
                old += ((const vec *)bias)[v];
            ((vec *)c)[v] = old + sum[r][v];
        }
    }
}

KERNEL void NAME(tile)(float *c, size_t c_row, const float *a, size_t a_row, size_t a_step, const float *b, size_t depth, const ts_start *start)
{
    if (a_row == 1)
        NAME(tile_of)(c, c_row, a, 1, TILE_ROWS, b, depth, start);
    else
        NAME(tile_of)(c, c_row, a, a_row, a_step, b, depth, start);
}

KERNEL void NAME(copy_rows)(float *into, size_t width, size_t apart, const float *x, size_t row, size_t count, size_t depth)
{
    for (size_t k = 0; k < depth; k++, x += row, into += width) {
        float *tile = into;
        for (size_t first = 0; first < count; first += width, tile += apart)
            for (size_t j = 0; j < width; j += LANES) {
                size_t left = first + j < count ? count - first - j : 0, lanes = FULL(width, j);
                vec some = left == 0 ? all(0) : load(x + first + j, left < lanes ? left : lanes);
                store(tile + j, some, lanes);
            }
    }
}

KERNEL double NAME(square_sum)(const float *x, size_t count)
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
#if LANES == 16
    return (vec)_mm512_sqrt_ps((__m512)x);
#else
    return (vec)_mm256_sqrt_ps((__m256)x);
#endif
}

KERNEL void NAME(adamw)(float *w, float *m, float *v, const float *gradient, size_t count, float clip, float rate, float b1, float b2, float c1,
                        float c2, float epsilon, float decay)
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

/* The specification of every kernel in plain C, for machines without a level of their own and for the tests of the others. */
#include <math.h>

#include "tensor/levels.h"

static float dot(const float *x, const float *y, size_t count)
{
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * y[i];
    return sum;
}

static void axpy(float *y, const float *x, float a, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] += a * x[i];
}

static void linear(float *y, size_t y_stride, const float *x, size_t x_stride, const float *w, size_t w_stride, size_t rows, size_t outputs, size_t in)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < outputs; o++)
            y[r * y_stride + o] = dot(x + r * x_stride, w + o * w_stride, in);
}

static void mix(float *y, const float *x, size_t x_stride, const float *a, size_t rows, size_t count)
{
    memset(y, 0, count * sizeof *y);
    for (size_t row = 0; row < rows; row++)
        axpy(y, x + row * x_stride, a[row], count);
}

/* A magnitude is compared by its bits, so that a NaN is the greatest of all. 12582912 is 1.5 2^23: adding it rounds to an integer in the lowest bits. */
static void quantize(int8_t *values, float *scales, int32_t *sums, const float *x, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++, x += TS_BLOCK, values += TS_BLOCK) {
        uint32_t most = 0, bits;
        for (size_t i = 0; i < TS_BLOCK; i++) {
            memcpy(&bits, x + i, sizeof bits);
            most = TS_MAX(most, bits & 0x7fffffff);
        }
        float greatest;
        memcpy(&greatest, &most, sizeof greatest);
        scales[b] = greatest / 127;
        sums[b] = 0;
        if (!(greatest < INFINITY)) { /* zeros of no finite scale: whatever they are multiplied by is no number */
            memset(values, 0, TS_BLOCK);
            continue;
        }
        float inverse = greatest < 1e-30f ? 0 : 127 / greatest;
        for (size_t i = 0; i < TS_BLOCK; i++) {
            float rounded = x[i] * inverse + 12582912.0f;
            memcpy(&bits, &rounded, sizeof bits);
            values[i] = (int8_t)((int32_t)bits - 0x4b400000);
            sums[b] += values[i];
        }
    }
}

/* One element: output `o` of a panel, one row of x. */
static float byte_dot(int32_t type, const uint8_t *panel, size_t o, const int8_t *x, const float *x_scales, size_t blocks)
{
    size_t bytes = type == TS_BLOCKS_Q8_0 ? TS_BLOCK : TS_BLOCK / 2;
    const uint8_t *scales = panel + blocks * bytes * TS_PANEL;
    float total = 0;
    for (size_t b = 0; b < blocks; b++, x += TS_BLOCK) {
        const uint8_t *half = scales + (b * TS_PANEL + o) * 2;
        int32_t sum = 0;
        for (size_t i = 0; i < bytes; i++) {
            uint8_t w = panel[(b * bytes + i / 4 * 4) * TS_PANEL + o * 4 + i % 4];
            sum += type == TS_BLOCKS_Q8_0 ? (int8_t)w * x[i] : ((w & 15) - 8) * x[i] + ((w >> 4) - 8) * x[bytes + i];
        }
        total += (float)sum * (ts_f16_to_f32((uint16_t)(half[0] | half[1] << 8)) * x_scales[b]);
    }
    return total;
}

static void linear_bytes(int32_t type, float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count)
{
    for (size_t p = 0; p < count; p++)
        for (size_t r = 0; r < rows; r++)
            for (size_t o = 0; o < TS_PANEL; o++)
                y[r * y_stride + p * TS_PANEL + o] = byte_dot(type, panels + p * ts_panel_size(type, x->blocks), o, x->values + r * x->blocks * TS_BLOCK,
                                                              x->scales + r * x->blocks, x->blocks);
}

static void linear_q8_0(float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count)
{
    linear_bytes(TS_BLOCKS_Q8_0, y, y_stride, x, rows, panels, count);
}

static void linear_q4_0(float *y, size_t y_stride, const ts_byte_rows *x, size_t rows, const uint8_t *panels, size_t count)
{
    linear_bytes(TS_BLOCKS_Q4_0, y, y_stride, x, rows, panels, count);
}

static void layer_norm(float *y, const float *x, const float *weight, const float *bias, size_t count, float epsilon, float *mean, float *scale)
{
    float sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i];
    *mean = sum / (float)count;
    for (size_t i = 0; i < count; i++)
        squares += (x[i] - *mean) * (x[i] - *mean);
    *scale = 1 / sqrtf(squares / (float)count + epsilon);
    for (size_t i = 0; i < count; i++)
        y[i] = (x[i] - *mean) * *scale * weight[i] + bias[i];
}

static void rms_norm(float *y, const float *x, const float *weight, size_t count, float epsilon, float *scale)
{
    *scale = 1 / sqrtf(dot(x, x, count) / (float)count + epsilon);
    for (size_t i = 0; i < count; i++)
        y[i] = x[i] * *scale * weight[i];
}

/* With z = (x - mean) scale and g = dy weight: dx = scale (g - mean(g) - z mean(g z)). */
static void layer_norm_back(float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *weight, size_t count, float mean,
                            float scale)
{
    float mean_g = 0, mean_gz = 0;
    for (size_t i = 0; i < count; i++) {
        float z = (x[i] - mean) * scale, g = dy[i] * weight[i];
        dweight[i] += dy[i] * z;
        dbias[i] += dy[i];
        mean_g += g;
        mean_gz += g * z;
    }
    mean_g /= (float)count;
    mean_gz /= (float)count;
    for (size_t i = 0; i < count; i++)
        dx[i] += scale * (dy[i] * weight[i] - mean_g - (x[i] - mean) * scale * mean_gz);
}

/* With z = x scale and g = dy weight: dx = scale (g - z mean(g z)). */
static void rms_norm_back(float *dx, float *dweight, const float *dy, const float *x, const float *weight, size_t count, float scale)
{
    float mean_gz = 0;
    for (size_t i = 0; i < count; i++) {
        dweight[i] += dy[i] * x[i] * scale;
        mean_gz += dy[i] * weight[i] * x[i] * scale;
    }
    mean_gz /= (float)count;
    for (size_t i = 0; i < count; i++)
        dx[i] += scale * (dy[i] * weight[i] - x[i] * scale * mean_gz);
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

#define GELU_SLOPE 1.59576912f /* 2 sqrt(2 / pi) */
#define GELU_CUBE 0.044715f

static void gelu(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = x[i] * sigmoid(GELU_SLOPE * (x[i] + GELU_CUBE * x[i] * x[i] * x[i]));
}

static void gelu_back(float *dx, const float *dy, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float s = sigmoid(GELU_SLOPE * (x[i] + GELU_CUBE * x[i] * x[i] * x[i]));
        dx[i] = dy[i] * (s + x[i] * s * (1 - s) * GELU_SLOPE * (1 + 3 * GELU_CUBE * x[i] * x[i]));
    }
}

static void swiglu(float *y, const float *gate, const float *up, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

static void swiglu_back(float *dgate, float *dup, const float *dy, const float *gate, const float *up, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float s = sigmoid(gate[i]), d = dy[i], u = up[i];
        dup[i] = d * gate[i] * s;
        dgate[i] = d * u * s * (1 + gate[i] * (1 - s));
    }
}

static float exp_sum(float *x, size_t count, float scale, float shift)
{
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] = expf(x[i] * scale - shift);
    return sum;
}

static float maximum(const float *x, size_t count)
{
    float most = x[0];
    for (size_t i = 1; i < count; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

static void multiply(float *x, float factor, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] *= factor;
}

static void rotate(float *x, const float *turns, size_t count, float direction)
{
    for (size_t i = 0; i + 2 <= count; i += 2) {
        float a = x[i], b = x[i + 1], c = turns[i], s = turns[i + 1] * direction;
        x[i] = a * c - b * s;
        x[i + 1] = a * s + b * c;
    }
}

static void softmax_back(float *d, const float *p, size_t count, float mean, float scale)
{
    for (size_t i = 0; i < count; i++)
        d[i] = p[i] * (d[i] - mean) * scale;
}

static void small_product(float *c, size_t c_row, const float *a, size_t a_row, size_t a_column, const float *b, size_t b_row, size_t rows, size_t columns,
                          size_t depth, bool add)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            float sum = add ? c[i * c_row + j] : 0;
            for (size_t k = 0; k < depth; k++)
                sum += a[i * a_row + k * a_column] * b[k * b_row + j];
            c[i * c_row + j] = sum;
        }
}

static double square_sum(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

static void adamw(float *w, float *m, float *v, const float *gradient, size_t count, float clip, float rate, float b1, float b2, float c1, float c2,
                  float epsilon, float decay)
{
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i] * clip;
        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        w[i] -= rate * (m[i] / c1 / (sqrtf(v[i] / c2) + epsilon) + decay * w[i]);
    }
}

const ts_kernels ts_kernels_reference = {
    .level = TS_CPU_LEVEL_REFERENCE,
    .dot = dot,
    .axpy = axpy,
    .linear = linear,
    .mix = mix,
    .quantize = quantize,
    .linear_q8_0 = linear_q8_0,
    .linear_q4_0 = linear_q4_0,
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .layer_norm_back = TRAINING(layer_norm_back),
    .rms_norm_back = TRAINING(rms_norm_back),
    .gelu = gelu,
    .gelu_back = TRAINING(gelu_back),
    .swiglu = swiglu,
    .swiglu_back = TRAINING(swiglu_back),
    .exp_sum = exp_sum,
    .maximum = maximum,
    .multiply = multiply,
    .rotate = rotate,
    .softmax_back = TRAINING(softmax_back),
    .small_product = small_product,
    .square_sum = TRAINING(square_sum),
    .adamw = TRAINING(adamw),
};

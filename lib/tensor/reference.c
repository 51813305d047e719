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

static void linear(float *y, size_t y_stride, const float *x, const float *w, size_t rows, size_t outputs, size_t in)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < outputs; o++)
            y[r * y_stride + o] = dot(x + r * in, w + o * in, in);
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
    .small_product = small_product,
    .square_sum = TRAINING(square_sum),
    .adamw = TRAINING(adamw),
};

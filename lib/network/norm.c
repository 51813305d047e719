/* Norms over rows. Gradients of the weights are summed in pieces of rows, and the pieces in order. */
#include "network/layers.h"

typedef struct job {
    const ts_training *training;
    float *y, *saved, *dx;
    const float *x, *weight, *bias, *dy, *stored;
} job;

static void forward(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    size_t C = j->training->shape->C;
    (void)worker;
    for (size_t row = begin; row < end; row++)
        ts_norm_row(j->training->kernels, j->training->shape, j->y + row * C, j->x + row * C, j->weight, j->bias, j->saved + 2 * row);
}

void ts_norm(ts_training *training, float *y, const float *x, const float *weight, const float *bias, float *saved)
{
    ts_parallel(training->runtime, training->N, TS_PIECE_ROWS, forward,
                &(job){.training = training, .y = y, .x = x, .weight = weight, .bias = bias, .saved = saved});
}

static void backward(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    const ts_kernels *kernels = j->training->kernels;
    size_t C = j->training->shape->C;
    float *dweight = j->training->partial + begin / TS_PIECE_ROWS * 2 * C, *dbias = dweight + C;
    (void)worker;
    memset(dweight, 0, 2 * C * sizeof(float));
    for (size_t row = begin; row < end; row++) {
        const float *saved = j->stored + 2 * row;
        if (j->training->shape->switches->layer_norm)
            kernels->layer_norm_back(j->dx + row * C, dweight, dbias, j->dy + row * C, j->x + row * C, j->weight, C, saved[0], saved[1]);
        else
            kernels->rms_norm_back(j->dx + row * C, dweight, j->dy + row * C, j->x + row * C, j->weight, C, saved[1]);
    }
}

void ts_norm_back(ts_training *training, float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *weight, const float *saved)
{
    size_t C = training->shape->C;
    /* grain = TS_PIECE_ROWS, so that a call's `begin` names its piece */
    ts_parallel(training->runtime, training->N, TS_PIECE_ROWS, backward,
                &(job){.training = training, .dx = dx, .dy = dy, .x = x, .weight = weight, .stored = saved});
    for (size_t piece = 0; piece < (training->N + TS_PIECE_ROWS - 1) / TS_PIECE_ROWS; piece++) {
        training->kernels->axpy(dweight, training->partial + piece * 2 * C, 1, C);
        if (dbias)
            training->kernels->axpy(dbias, training->partial + piece * 2 * C + C, 1, C);
    }
}

/* What is between the two products of the MLP. */
#include "network/layers.h"

typedef struct job {
    const ts_training *training;
    float *y, *dhidden;
    const float *hidden, *dy;
} job;

static void forward(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    const ts_shape *shape = j->training->shape;
    (void)worker;
    for (size_t row = begin; row < end; row++)
        ts_activate_row(j->training->kernels, shape, j->y + row * shape->F, j->hidden + row * shape->up);
}

void ts_activation(ts_training *training, float *y, const float *hidden)
{
    ts_parallel(training->runtime, training->N, 16, forward, &(job){.training = training, .y = y, .hidden = hidden});
}

static void backward(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    const ts_shape *shape = j->training->shape;
    const ts_kernels *kernels = j->training->kernels;
    size_t F = shape->F;
    (void)worker;
    for (size_t row = begin; row < end; row++) {
        const float *hidden = j->hidden + row * shape->up, *dy = j->dy + row * F;
        float *dhidden = j->dhidden + row * shape->up;
        if (shape->switches->swiglu)
            kernels->swiglu_back(dhidden, dhidden + F, dy, hidden, hidden + F, F);
        else
            kernels->gelu_back(dhidden, dy, hidden, F);
    }
}

void ts_activation_back(ts_training *training, float *dhidden, const float *dy, const float *hidden)
{
    ts_parallel(training->runtime, training->N, 16, backward, &(job){.training = training, .dhidden = dhidden, .dy = dy, .hidden = hidden});
}

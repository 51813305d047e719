/* What inference and training do to a row alike. */
#include <math.h>

#include "network/layers.h"

void ts_embed_row(const ts_shape *shape, const ts_weights *weights, float *x, uint32_t id, size_t position)
{
    const float *tokens = weights->all[0][TS_SLOT_TOKENS];
    const ts_panels *panels = &weights->panels[0][TS_SLOT_TOKENS];
    if (tokens != NULL)
        memcpy(x, tokens + (size_t)id * shape->C, shape->C * sizeof(float));
    else
        ts_panels_floats(panels->type, panels->data, shape->C, id, x);
    if (shape->switches->learned_positions) {
        const float *place = weights->all[0][TS_SLOT_POSITIONS] + position * shape->C;
        for (size_t i = 0; i < shape->C; i++)
            x[i] += place[i];
    }
}

void ts_norm_row(const ts_kernels *kernels, const ts_shape *shape, float *y, const float *x, const float *weight, const float *bias, float *saved)
{
    if (shape->switches->layer_norm)
        kernels->layer_norm(y, x, weight, bias, shape->C, shape->epsilon, &saved[0], &saved[1]);
    else
        kernels->rms_norm(y, x, weight, shape->C, shape->epsilon, &saved[1]);
}

void ts_activate_row(const ts_kernels *kernels, const ts_shape *shape, float *y, const float *hidden)
{
    if (shape->switches->swiglu)
        kernels->swiglu(y, hidden, hidden + shape->F, shape->F);
    else
        kernels->gelu(y, hidden, shape->F);
}

void ts_rotary_turns(float *turns, size_t positions, size_t D, float base)
{
    for (size_t position = 0; position < positions; position++)
        for (size_t i = 0; i < D; i += 2) {
            double angle = (double)position * pow((double)base, -(double)i / (double)D);
            turns[position * D + i] = (float)cos(angle);
            turns[position * D + i + 1] = (float)sin(angle);
        }
}

/* Token and position embeddings. The way back is split over columns, so that rows with the same token add in order. */
#include "network/layers.h"

typedef struct job {
    const ts_training *training;
    float *x;
    const float *dx;
    const ts_weights *weights;
    const uint32_t *ids;
} job;

static void embed(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    const ts_shape *shape = j->training->shape;
    (void)worker;
    for (size_t row = begin; row < end; row++)
        ts_embed_row(shape, j->weights, j->x + row * shape->C, j->ids[row], j->training->positions[row]);
}

void ts_embedding(ts_training *training, float *x, const ts_weights *weights, const uint32_t *ids)
{
    ts_parallel(training->runtime, training->N, TS_PIECE_ROWS, embed, &(job){.training = training, .x = x, .weights = weights, .ids = ids});
}

static void embed_back(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    const ts_training *training = j->training;
    size_t C = training->shape->C, count = end - begin;
    float *tokens = j->weights->all[0][TS_SLOT_TOKENS], *positions = j->weights->all[0][TS_SLOT_POSITIONS];
    (void)worker;
    for (size_t row = 0; row < training->N; row++) {
        const float *dx = j->dx + row * C + begin;
        training->kernels->axpy(tokens + (size_t)j->ids[row] * C + begin, dx, 1, count);
        if (training->shape->switches->learned_positions)
            training->kernels->axpy(positions + training->positions[row] * C + begin, dx, 1, count);
    }
}

void ts_embedding_back(ts_training *training, const ts_weights *gradients, const float *dx, const uint32_t *ids)
{
    ts_parallel(training->runtime, training->shape->C, 32, embed_back, &(job){.training = training, .dx = dx, .weights = gradients, .ids = ids});
}

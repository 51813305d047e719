/* Cross-entropy in chunks of rows: logits, loss and the head's gradients of a chunk at a time, never all (N, V) logits at once. */
#include <math.h>

#include "network/layers.h"

typedef struct job {
    const ts_training *training;
    float *logits;
    double *losses;
    const uint32_t *targets;
    float weight;
    bool backward;
} job;

/* Turns rows of logits into weight * (softmax - target), and notes their losses. */
static void softmax_rows(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    const ts_kernels *kernels = j->training->kernels;
    size_t V = j->training->shape->V;
    (void)worker;
    for (size_t row = begin; row < end; row++) {
        float *logits = j->logits + row * V;
        uint32_t target = j->targets[row];
        if (target == TS_IGNORE) {
            memset(logits, 0, V * sizeof(float));
            j->losses[row] = 0;
            continue;
        }
        float chosen = logits[target], most = kernels->maximum(logits, V), sum = kernels->exp_sum(logits, V, 1, most);
        j->losses[row] = log((double)sum) + (double)most - (double)chosen;
        if (j->backward) {
            kernels->multiply(logits, j->weight / sum, V);
            logits[target] -= j->weight;
        }
    }
}

void ts_loss(ts_training *training, const ts_weights *weights, const ts_weights *gradients, float *dx, const float *x, const uint32_t *targets,
             float weight, float *logits, double *losses, double *loss, size_t *counted)
{
    size_t V = training->shape->V, C = training->shape->C;
    const float *head = weights->all[0][TS_SLOT_OUTPUT];
    const ts_matrix there = {head, 1, C}, back = {head, C, 1};
    ts_gemm_pack(&training->gemm, training->packed_head[0], there, V, C);
    if (gradients)
        ts_gemm_pack(&training->gemm, training->packed_head[1], back, C, V);
    for (size_t first = 0; first < training->N; first += TS_LOSS_ROWS) {
        size_t rows = TS_MIN(TS_LOSS_ROWS, training->N - first);
        const float *from = x + first * C;
        ts_gemm_with(&training->gemm, logits, V, (ts_matrix){from, C, 1}, there, training->packed_head[0], rows, V, C, (ts_start){0});
        job j = {training, logits, losses, targets + first, weight, gradients != NULL};
        ts_parallel(training->runtime, rows, 4, softmax_rows, &j);
        for (size_t row = 0; row < rows; row++) {
            *loss += losses[row];
            *counted += targets[first + row] != TS_IGNORE;
        }
        if (gradients == NULL)
            continue;
        ts_gemm(&training->gemm, gradients->all[0][TS_SLOT_OUTPUT], C, (ts_matrix){logits, 1, V}, (ts_matrix){from, C, 1}, V, C, rows,
                (ts_start){gradients->all[0][TS_SLOT_OUTPUT], C, NULL});
        ts_gemm_with(&training->gemm, dx + first * C, C, (ts_matrix){logits, V, 1}, back, training->packed_head[1], rows, C, V, (ts_start){0});
    }
}

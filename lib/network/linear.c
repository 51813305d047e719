/* Matrix layers of training: three products through ts_gemm. */
#include "network/layers.h"

void ts_linear(ts_training *training, float *y, const float *x, const float *w, const float *bias, const float *residual, size_t out, size_t in)
{
    ts_gemm(&training->gemm, y, out, (ts_matrix){x, in, 1}, (ts_matrix){w, 1, in}, training->N, out, in, (ts_start){residual, out, bias});
}

typedef struct job {
    const ts_training *training;
    const float *dy;
    size_t out;
} job;

static void sum_rows(void *argument, size_t begin, size_t end, size_t worker)
{
    const job *j = argument;
    float *sums = j->training->partial + begin / TS_PIECE_ROWS * j->out;
    (void)worker;
    memset(sums, 0, j->out * sizeof(float));
    for (size_t row = begin; row < end; row++)
        j->training->kernels->axpy(sums, j->dy + row * j->out, 1, j->out);
}

static void bias_back(ts_training *training, float *dbias, const float *dy, size_t out)
{
    /* grain = TS_PIECE_ROWS, so that a call's `begin` names its piece */
    ts_parallel(training->runtime, training->N, TS_PIECE_ROWS, sum_rows, &(job){training, dy, out});
    for (size_t piece = 0; piece * TS_PIECE_ROWS < training->N; piece++)
        training->kernels->axpy(dbias, training->partial + piece * out, 1, out);
}

void ts_linear_back(ts_training *training, float *dx, float *dw, float *dbias, const float *dy, const float *x, const float *w, size_t out, size_t in,
                    bool add)
{
    size_t N = training->N;
    ts_gemm(&training->gemm, dw, in, (ts_matrix){dy, 1, out}, (ts_matrix){x, in, 1}, out, in, N, (ts_start){dw, in, NULL});
    if (dbias)
        bias_back(training, dbias, dy, out);
    if (dx)
        ts_gemm(&training->gemm, dx, in, (ts_matrix){dy, out, 1}, (ts_matrix){w, in, 1}, N, in, out, (ts_start){add ? dx : NULL, in, NULL});
}

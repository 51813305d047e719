/* Matrix layers of training: three products through ts_gemm. */
#include "network/layers.h"

void ts_linear(ts_training *training, float *y, const float *x, const float *w, const float *bias, const float *residual, size_t out, size_t in)
{
    ts_gemm(&training->gemm, y, out, (ts_matrix){x, in, 1}, (ts_matrix){w, 1, in}, training->N, out, in, (ts_start){residual, out, bias});
}

typedef struct column_job {
    const ts_kernels *kernels;
    float *sums;
    const float *dy;
    size_t rows, out;
} column_job;

#define COLUMNS_AT_ONCE 128

static void sum_columns(void *argument, size_t begin, size_t end, size_t worker)
{
    const column_job *job = argument;
    (void)worker;
    for (size_t row = 0; row < job->rows; row++)
        job->kernels->axpy(job->sums + begin, job->dy + row * job->out + begin, 1, end - begin);
}

void ts_linear_back(ts_training *training, float *dx, float *dw, float *dbias, const float *dy, const float *x, const float *w, size_t out, size_t in,
                    bool add)
{
    size_t N = training->N;
    ts_gemm(&training->gemm, dw, in, (ts_matrix){dy, 1, out}, (ts_matrix){x, in, 1}, out, in, N, (ts_start){dw, in, NULL});
    if (dbias)
        ts_parallel(training->runtime, out, COLUMNS_AT_ONCE, sum_columns, &(column_job){training->kernels, dbias, dy, N, out});
    if (dx)
        ts_gemm(&training->gemm, dx, in, (ts_matrix){dy, out, 1}, (ts_matrix){w, in, 1}, N, in, out, (ts_start){add ? dx : NULL, in, NULL});
}

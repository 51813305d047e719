/* The only file that knows of BLAS. Its number of threads is process-wide and belongs to the host: it is never asked for or changed here. */
#include "tensor/gemm_blas.h"

#include <cblas.h>

void ts_blas_product(float *c, size_t c_row, ts_matrix a, ts_matrix b, size_t m, size_t n, size_t k, bool add)
{
    /* Where both strides are 1 a matrix is a single row or column, and either reading is right. */
    bool a_across = a.row == 1 && a.column != 1, b_across = b.row == 1 && b.column != 1;
    size_t a_stride = a_across ? TS_MAX(a.column, m) : TS_MAX(a.row, k), b_stride = b_across ? TS_MAX(b.column, k) : TS_MAX(b.row, n);
    cblas_sgemm(CblasRowMajor, a_across ? CblasTrans : CblasNoTrans, b_across ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f, a.data,
                (blasint)a_stride, b.data, (blasint)b_stride, add ? 1.0f : 0.0f, c, (blasint)c_row);
}

/* OpenBLAS as a matrix product for levels without tiles of their own. */
#ifndef TS_GEMM_BLAS_H
#define TS_GEMM_BLAS_H

#include "tensor/tensor.h"

void ts_blas_product(float *c, size_t c_row, ts_matrix a, ts_matrix b, size_t m, size_t n, size_t k, bool add);

#endif

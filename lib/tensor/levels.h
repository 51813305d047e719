/* The tables of the levels; select.c chooses. */
#ifndef TS_LEVELS_H
#define TS_LEVELS_H

#include "tensor/tensor.h"

extern const ts_kernels ts_kernels_reference;
/* A kernel that training alone uses: not in a build without the trainer. */
#define TRAINING(kernel) (TS_WITH_TRAINER ? (kernel) : NULL)

#if defined(__x86_64__)
extern const ts_kernels ts_kernels_avx2;
extern const ts_kernels ts_kernels_avx512;
extern const ts_kernels ts_kernels_avx512_bf16;
extern const ts_kernels ts_kernels_amx;
#endif

#endif

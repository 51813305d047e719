/* The tables of the levels; select.c chooses. */
#ifndef TS_LEVELS_H
#define TS_LEVELS_H

#include "tensor/tensor.h"

extern const ts_kernels ts_kernels_reference;
/* A kernel that training alone uses: not in a build without the trainer. */
#define TRAINING(kernel) (TS_WITH_TRAINER ? (kernel) : NULL)

/* The kernels of loops.h in a level's table. */
#define LOOPS \
    .level = LEVEL, .dot = NAME(dot), .axpy = NAME(axpy), .linear = NAME(linear), .mix = NAME(mix), .quantize = NAME(quantize), .layer_norm = NAME(layer_norm), \
    .rms_norm = NAME(rms_norm), .layer_norm_back = TRAINING(NAME(layer_norm_back)), .rms_norm_back = TRAINING(NAME(rms_norm_back)), \
    .gelu = NAME(gelu), .gelu_back = TRAINING(NAME(gelu_back)), .swiglu = NAME(swiglu), .swiglu_back = TRAINING(NAME(swiglu_back)), \
    .exp_sum = NAME(exp_sum), .maximum = NAME(maximum), .multiply = NAME(multiply), .rotate = NAME(rotate), \
    .softmax_back = TRAINING(NAME(softmax_back)), .small_product = NAME(small_product), .tile = TRAINING(NAME(tile)), .tile_rows = TILE_ROWS, .tile_columns = TILE_VECTORS * LANES, \
    .copy_rows = TRAINING(NAME(copy_rows)), .square_sum = TRAINING(NAME(square_sum)), .adamw = TRAINING(NAME(adamw))

#if defined(__x86_64__)
extern const ts_kernels ts_kernels_avx2;
extern const ts_kernels ts_kernels_avx512;
extern const ts_kernels ts_kernels_avx512_bf16;
extern const ts_kernels ts_kernels_amx;

/* AVX-512's are those of the levels above it too: nothing of what these add is for f32. */
#define SHARED(f) extern __typeof__(*((const ts_kernels *)0)->f) ts_##f##_avx512;
SHARED(dot) SHARED(axpy) SHARED(linear) SHARED(mix) SHARED(quantize) SHARED(layer_norm) SHARED(rms_norm) SHARED(layer_norm_back) SHARED(rms_norm_back)
SHARED(gelu) SHARED(gelu_back) SHARED(swiglu) SHARED(swiglu_back) SHARED(exp_sum) SHARED(maximum) SHARED(multiply) SHARED(rotate)
SHARED(softmax_back) SHARED(small_product) SHARED(tile) SHARED(copy_rows) SHARED(square_sum) SHARED(adamw) SHARED(transpose_16)
#define ACROSS .transpose_16 = TRAINING(ts_transpose_16_avx512)
#undef SHARED
#endif

#endif

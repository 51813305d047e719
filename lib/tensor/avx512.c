/* AVX-512: 12 x 32 tiles fill 24 of 32 registers, and the usual widths are multiples of 32. */
#define LANES 16
#define LEVEL TS_CPU_LEVEL_AVX512
#define NAME(f) ts_##f##_avx512
#define KERNEL
#define TILE_ROWS 12
#define TILE_VECTORS 2
#include "tensor/levels.h"

#include <immintrin.h>

#include "tensor/loops.h"

#include "tensor/bytes_avx2.h"

const ts_kernels ts_kernels_avx512 = {LOOPS, BYTES};

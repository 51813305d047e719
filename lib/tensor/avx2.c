/* x86-64 with AVX2 and FMA: 6 x 16 tiles fill twelve of sixteen registers. */
#define LANES 8
#define LEVEL TS_CPU_LEVEL_AVX2
#define NAME(f) f##_avx2
#define KERNEL static
#define TILE_ROWS 6
#define TILE_VECTORS 2
#include "tensor/levels.h"

#include <immintrin.h>

#include "tensor/loops.h"

#include "tensor/bytes_avx2.h"

const ts_kernels ts_kernels_avx2 = {LOOPS, BYTES};

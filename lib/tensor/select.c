/* The table of a level. Nothing outside this room asks what the processor can do. */
#include "tensor/levels.h"

const ts_kernels *ts_kernels_at(int32_t level)
{
#if defined(__x86_64__)
#if TS_WITH_TRAINER /* its tiles are for bf16, which inference has none of */
    if (level >= TS_CPU_LEVEL_AMX)
        return &ts_kernels_amx;
#endif
    if (level >= TS_CPU_LEVEL_AVX512_BF16)
        return &ts_kernels_avx512_bf16;
    if (level >= TS_CPU_LEVEL_AVX512)
        return &ts_kernels_avx512;
    if (level >= TS_CPU_LEVEL_AVX2)
        return &ts_kernels_avx2;
#endif
    (void)level;
    return &ts_kernels_reference;
}

/* What the processor can do. The built-in also asks whether the operating system keeps the registers. */
#include "base/base.h"

int32_t ts_cpu_level_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni") ? TS_CPU_LEVEL_AVX512_BF16 : TS_CPU_LEVEL_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return TS_CPU_LEVEL_AVX2;
#endif
    return TS_CPU_LEVEL_REFERENCE;
}

const char *ts_cpu_level_name(int32_t level)
{
    static const char *const names[] = {NULL, "reference", "avx2", "avx512", "avx512_bf16"};
    return level > 0 && level < (int32_t)TS_COUNT_OF(names) ? names[level] : NULL;
}

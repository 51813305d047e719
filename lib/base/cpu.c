/* What the processor can do. The built-in also asks whether the operating system keeps the registers. */
#define _GNU_SOURCE
#include "base/base.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

/* The permission is the process's from then on, and asking twice does no harm. */
bool ts_cpu_take_amx(void)
{
#if defined(__x86_64__) && defined(__linux__)
    enum { ASK_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    unsigned a, b, c, d;
    if (ts_cpu_level_best() < TS_CPU_LEVEL_AVX512 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return false;
    bool tiles = (d >> 24 & 1) != 0, bf16 = (d >> 22 & 1) != 0;
    return tiles && bf16 && syscall(SYS_arch_prctl, ASK_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

const char *ts_cpu_level_name(int32_t level)
{
    static const char *const names[] = {NULL, "reference", "avx2", "avx512", "avx512_bf16", "amx"};
    return level > 0 && level < (int32_t)TS_COUNT_OF(names) ? names[level] : NULL;
}

/* What the processor can do, and whether the operating system keeps the registers of it. */
#define _GNU_SOURCE
#include "base/base.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__)
/* The registers that the operating system keeps: bits of XCR0. */
static uint32_t kept_registers(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has_all(uint32_t word, uint32_t bits)
{
    return (word & bits) == bits;
}
#endif

/* Intel's manual, volume 1, 14.3 and 15.2: leaf 1, leaf 7 and its subleaf 1. Not the compiler's built-in, which brings four kilobytes along. */
int32_t ts_cpu_level_best(void)
{
#if defined(__x86_64__)
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29, AVX2 = 1 << 5, VNNI = 1 << 11, BF16 = 1 << 5, YMM = 0x06, ZMM = 0xe6 };
    const uint32_t wide = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* AVX512 F, DQ, BW, VL */
    unsigned a, b, c, d, more, most;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_all(c, FMA | OSXSAVE | AVX | F16C) || !has_all(kept_registers(), YMM) ||
        !__get_cpuid_count(7, 0, &most, &b, &more, &d) || !has_all(b, AVX2))
        return TS_CPU_LEVEL_REFERENCE;
    if (!has_all(b, wide) || !has_all(kept_registers(), ZMM))
        return TS_CPU_LEVEL_AVX2;
    if (!has_all(more, VNNI) || most < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d) || !has_all(a, BF16))
        return TS_CPU_LEVEL_AVX512;
    return TS_CPU_LEVEL_AVX512_BF16;
#endif
    return TS_CPU_LEVEL_REFERENCE;
}

/* The permission is the process's from then on, and asking twice does no harm. */
bool ts_cpu_take_amx(void)
{
#if defined(__x86_64__) && defined(__linux__)
    enum { ASK_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    unsigned a, b, c, d;
    if (ts_cpu_level_best() < TS_CPU_LEVEL_AVX512_BF16 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
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

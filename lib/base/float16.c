/* Conversions of 16-bit floats, bit by bit, so that they are the same on every machine. */
#include "base/base.h"

float ts_bf16_to_f32(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

float ts_f16_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    uint32_t wide;
    if (exponent == 31) {
        wide = 0x7f800000 | fraction << 13; /* infinity, or a NaN with its payload */
    } else if (exponent > 0) {
        wide = (exponent + 127 - 15) << 23 | fraction << 13;
    } else {
        float tiny = (float)fraction * 0x1p-24f; /* zero or subnormal: exact as a float */
        memcpy(&wide, &tiny, sizeof wide);
    }
    wide |= sign;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* `bits` without its `drop` lowest ones, to the nearest, ties to even; 0 < drop < 32. */
static uint32_t round_off(uint32_t bits, uint32_t drop)
{
    uint32_t kept = bits >> drop, rest = bits & ((1u << drop) - 1), half = 1u << (drop - 1);
    return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

uint16_t ts_f32_to_bf16(float value)
{
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40); /* a NaN whose payload lay below must not become infinite */
    return (uint16_t)round_off(bits, 16);
}

uint16_t ts_f32_to_f16(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (size >> 13 & 0x3ff));
    if (size >= 0x477ff000) /* 65,520 and more: beyond the middle between the largest and what would follow */
        return (uint16_t)(sign | 0x7c00);
    if (size >= 0x38800000) /* 2^-14 and more: normal; a carry moves into the exponent as it should */
        return (uint16_t)(sign | round_off(size - ((127 - 15) << 23), 13));
    uint32_t exponent = size >> 23;
    if (exponent < 102) /* below 2^-25: nearer to 0 */
        return (uint16_t)sign;
    return (uint16_t)(sign | round_off((size & 0x7fffff) | 0x800000, 126 - exponent)); /* subnormal: units of 2^-24 */
}

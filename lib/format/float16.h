/* Floats of 16 bits: f16 (IEEE 754 binary16) and bf16 (the upper half of a float). */
#ifndef TS_FLOAT16_H
#define TS_FLOAT16_H

#include "base/base.h"

/* Exact. */
float ts_f16_to_f32(uint16_t bits);
float ts_bf16_to_f32(uint16_t bits);

/* To the nearest, ties to even; what is too large for an f16 becomes infinite, a NaN stays one. */
uint16_t ts_f32_to_f16(float value);
uint16_t ts_f32_to_bf16(float value);

#endif

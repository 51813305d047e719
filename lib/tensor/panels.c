/* Quantized matrices in the layout of the kernels: panels of sixteen outputs, packed row by row from blocks as GGUF has them. */
#include <math.h>

#include "tensor/tensor.h"

enum { HALF_BYTES = 2 }; /* of a scale */

static size_t block_bytes(int32_t type)
{
    return type == TS_BLOCKS_Q8_0 ? TS_BLOCK : TS_BLOCK / 2;
}

bool ts_panels_size(int32_t type, size_t outputs, size_t in, size_t *bytes)
{
    size_t panels = (outputs + TS_PANEL - 1) / TS_PANEL;
    return ts_multiply(panels, ts_panel_size(type, in / TS_BLOCK), bytes);
}

size_t ts_blocks_row(int32_t type, size_t in)
{
    return in / TS_BLOCK * (HALF_BYTES + block_bytes(type));
}

/* Where the bytes of a row lie: four in every 64, and its scales. */
typedef struct place {
    uint8_t *quants, *scales;
} place;

static place place_of(int32_t type, const uint8_t *panels, size_t in, size_t row)
{
    size_t blocks = in / TS_BLOCK;
    uint8_t *panel = (uint8_t *)(uintptr_t)panels + row / TS_PANEL * ts_panel_size(type, blocks); /* read and written */
    return (place){panel + row % TS_PANEL * 4, panel + blocks * block_bytes(type) * TS_PANEL + row % TS_PANEL * HALF_BYTES};
}

void ts_panels_pack(int32_t type, uint8_t *panels, size_t in, size_t row, const uint8_t *blocks)
{
    place to = place_of(type, panels, in, row);
    size_t bytes = block_bytes(type);
    for (size_t b = 0; b < in / TS_BLOCK; b++, blocks += HALF_BYTES + bytes) {
        memcpy(to.scales + b * HALF_BYTES * TS_PANEL, blocks, HALF_BYTES);
        for (size_t i = 0; i < bytes; i += 4)
            memcpy(to.quants + (b * bytes + i) * TS_PANEL, blocks + HALF_BYTES + i, 4);
    }
}

void ts_panels_unpack(int32_t type, const uint8_t *panels, size_t in, size_t row, uint8_t *blocks)
{
    place from = place_of(type, panels, in, row);
    size_t bytes = block_bytes(type);
    for (size_t b = 0; b < in / TS_BLOCK; b++, blocks += HALF_BYTES + bytes) {
        memcpy(blocks, from.scales + b * HALF_BYTES * TS_PANEL, HALF_BYTES);
        for (size_t i = 0; i < bytes; i += 4)
            memcpy(blocks + HALF_BYTES + i, from.quants + (b * bytes + i) * TS_PANEL, 4);
    }
}

void ts_panels_floats(int32_t type, const uint8_t *panels, size_t in, size_t row, float *values)
{
    place from = place_of(type, panels, in, row);
    size_t bytes = block_bytes(type);
    for (size_t b = 0; b < in / TS_BLOCK; b++, values += TS_BLOCK) {
        const uint8_t *half = from.scales + b * HALF_BYTES * TS_PANEL;
        float scale = ts_f16_to_f32((uint16_t)(half[0] | half[1] << 8));
        for (size_t i = 0; i < bytes; i++) {
            uint8_t byte = from.quants[(b * bytes + i / 4 * 4) * TS_PANEL + i % 4];
            if (type == TS_BLOCKS_Q8_0) {
                values[i] = (float)(int8_t)byte * scale;
            } else {
                values[i] = (float)((byte & 15) - 8) * scale;
                values[bytes + i] = (float)((byte >> 4) - 8) * scale;
            }
        }
    }
}

/* ---- to blocks, as ggml rounds ---- */

/* The number with the greatest magnitude; false if one is not finite. */
static bool greatest_of(const float *x, float *greatest)
{
    *greatest = 0;
    for (size_t i = 0; i < TS_BLOCK; i++) {
        if (!isfinite(x[i]))
            return false;
        if (fabsf(x[i]) > fabsf(*greatest))
            *greatest = x[i];
    }
    return true;
}

bool ts_blocks_make(int32_t type, uint8_t *blocks, const float *x, size_t in)
{
    for (size_t b = 0; b < in / TS_BLOCK; b++, x += TS_BLOCK, blocks += HALF_BYTES + block_bytes(type)) {
        float greatest;
        if (!greatest_of(x, &greatest))
            return false;
        /* 4 bits reach from -8 to 7: the greatest number becomes -8, whatever its sign. */
        float scale = type == TS_BLOCKS_Q8_0 ? fabsf(greatest) / 127 : greatest / -8, inverse = scale != 0 ? 1 / scale : 0;
        uint16_t half = ts_f32_to_f16(scale);
        if ((half & 0x7c00) == 0x7c00)
            return false;
        if (!isfinite(inverse)) /* nothing but subnormal numbers, which an f16 cannot scale */
            inverse = 0;
        blocks[0] = (uint8_t)half;
        blocks[1] = (uint8_t)(half >> 8);
        for (size_t i = 0; i < TS_BLOCK && type == TS_BLOCKS_Q8_0; i++)
            blocks[HALF_BYTES + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
        for (size_t i = 0; i < TS_BLOCK / 2 && type == TS_BLOCKS_Q4_0; i++) {
            int low = (int)(x[i] * inverse + 8.5f), high = (int)(x[i + TS_BLOCK / 2] * inverse + 8.5f);
            blocks[HALF_BYTES + i] = (uint8_t)(TS_MIN(low, 15) | TS_MIN(high, 15) << 4);
        }
    }
    return true;
}

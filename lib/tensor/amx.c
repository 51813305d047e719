/*
 * AVX-512 with AMX, whose tiles multiply 16 rows of 16 pairs of bf16 at a time. Four sums of 16 x 16 are kept: each tile that is loaded is used
 * twice. Threads hold tiles only within a product, so that the operating system has nothing more to save between them.
 */
#define LANES 16
#define LEVEL TS_CPU_LEVEL_AMX
#define NAME(f) ts_##f##_avx512
#define TILE_ROWS 12
#define TILE_VECTORS 2
#include "tensor/levels.h"

#include <immintrin.h>

#include "tensor/vectors.h"

#include "tensor/bytes_vnni.h"
#include "tensor/pairs.h"

enum { SIDE = 16, ROW = 4 * SIDE }; /* rows of a tile, and their bytes */

static void begin_pairs(void)
{
    struct {
        uint8_t palette, start, unused[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shape.row_bytes[i] = ROW;
        shape.rows[i] = SIDE;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(shape)); /* gcc's intrinsic says that only 8 bytes are read */
}

static void end_pairs(void)
{
    _tile_release();
}

static void tile_pairs(float *c, size_t c_row, const uint32_t *a, size_t a_row, size_t a_step, const uint32_t *b, size_t depth, const ts_start *start)
{
    const float *base = start->base, *bias = start->bias;
    float *low = c + SIDE * c_row, begun[2 * SIDE][2 * SIDE];
    size_t c_bytes = 4 * c_row, a_bytes = 4 * a_row, b_bytes = 2 * ROW;
    (void)a_step; /* lines always */
    if (bias != NULL) {
        for (size_t r = 0; r < 2 * SIDE; r++, base += base ? start->base_row : 0)
            for (size_t v = 0; v < 2 * SIDE; v += LANES)
                *(vec *)(begun[r] + v) = *(const vec *)(bias + v) + (base ? *(const vec *)(base + v) : all(0));
        base = begun[0];
    }
    if (base != NULL) {
        size_t base_row = bias ? 2 * SIDE : start->base_row, base_bytes = 4 * base_row;
        const float *base_low = base + SIDE * base_row;
        _tile_loadd(0, base, base_bytes);
        _tile_loadd(1, base + SIDE, base_bytes);
        _tile_loadd(2, base_low, base_bytes);
        _tile_loadd(3, base_low + SIDE, base_bytes);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t k = 0; k < depth; k += SIDE) {
        _tile_loadd(4, a + k, a_bytes);
        _tile_loadd(5, a + SIDE * a_row + k, a_bytes);
        _tile_loadd(6, b + 2 * SIDE * k, b_bytes);
        _tile_loadd(7, b + 2 * SIDE * k + SIDE, b_bytes);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, c_bytes);
    _tile_stored(1, c + SIDE, c_bytes);
    _tile_stored(2, low, c_bytes);
    _tile_stored(3, low + SIDE, c_bytes);
}

const ts_kernels ts_kernels_amx = {
    LOOPS,
    BYTES,
    .tile_pairs = tile_pairs,
    .pair_tile_rows = 2 * SIDE,
    .pair_tile_columns = 2 * SIDE,
    .pair_step = SIDE,
    .pair_lines = true,
    .begin_pairs = begin_pairs,
    .end_pairs = end_pairs,
    PAIRS,
    ACROSS,
};

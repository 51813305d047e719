/*
 * The matrix product of training. b is packed once into panels as wide as a tile, and so is an a whose columns lie together, into panels as high as
 * one; then blocks of rows of c are worked out by any thread: each brings its lines of a into the tile's order and walks the panels. An element's sum
 * goes over k in blocks of DEPTH, each added up by itself, whatever the split: the same bits for any number of threads. In bf16 the elements k and k
 * + 1 are packed as a pair, and k below counts pairs ("units").
 */
#include "tensor/gemm_blas.h"
#include "tensor/tensor.h"

#define DEPTH 256         /* units of a block */
#define LINE (DEPTH + 16) /* of a packed line: lines a power of two apart would share the few places of a cache that such addresses have */
#define MOST_ROWS 96      /* of c that one piece of work covers; a multiple of every tile's rows */
#define MOST_TILE (32 * 32)
#define APART 32 /* elements between panels: what a row gives to many of them would share those few places too */
#define UNITS_AT_ONCE 16
#define SQUARE 16   /* what is turned at a time */
#define CROWDED 512 /* floats: lines of a that are multiples of this apart share those places too */
#define PACKED_A (MOST_ROWS * LINE)

ts_status ts_gemm_space_init(ts_gemm_space *space, ts_runtime *runtime, const ts_kernels *kernels, size_t largest_a, size_t largest_b, bool bf16,
                             bool alone)
{
    size_t workers = alone ? 1 : ts_runtime_threads(runtime);
    *space = (ts_gemm_space){.runtime = runtime, .kernels = kernels, .bf16 = bf16, .alone = alone};
    if (bf16 && kernels->tile_pairs == NULL)
        return ts_fail(TS_ERROR_UNSUPPORTED, "products in bf16 need a processor with AVX-512 BF16");
    if (kernels->tile_rows == 0)
        return TS_OK;
    space->packed_b = ts_allocate_array(runtime, largest_b, sizeof *space->packed_b);
    space->packed_a = ts_allocate_array(runtime, TS_MAX(largest_a, (size_t)1), sizeof *space->packed_a);
    space->lines = ts_allocate_array(runtime, workers * PACKED_A, sizeof *space->lines);
    if (space->packed_b == NULL || space->packed_a == NULL || space->lines == NULL) {
        ts_gemm_space_free(space);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    return TS_OK;
}

void ts_gemm_space_free(ts_gemm_space *space)
{
    if (space->runtime == NULL)
        return;
    ts_release(space->runtime, space->packed_b);
    ts_release(space->runtime, space->packed_a);
    ts_release(space->runtime, space->lines);
    *space = (ts_gemm_space){0};
}

typedef struct product {
    ts_gemm_space *space;
    float *c;
    size_t c_row, m, n, k;
    size_t units;         /* of k: k, or pairs of it up to a whole step */
    size_t height, width; /* of a tile */
    ts_matrix a;
    const uint32_t *packed_b;
    ts_start start;
    size_t piece_rows, piece_panels, groups; /* a piece: so many rows by so many panels; groups of panels side by side */
} product;

/* Some rows of a, some units of them, as tiles take them. */
typedef struct lines {
    const uint32_t *data;
    size_t row, step; /* of the tiles' kernels */
    size_t tile;      /* from tile to tile */
} lines;

/* ---- floats ---- */

void ts_turn(const ts_kernels *kernels, float *into, size_t width, const float *from, size_t across, size_t count, size_t depth)
{
    size_t j = 0, whole = depth / SQUARE * SQUARE;
    for (; kernels->transpose_16 && j + SQUARE <= count; j += SQUARE) {
        for (size_t k = 0; k < whole; k += SQUARE)
            kernels->transpose_16((uint32_t *)into + k * width + j, width, (const uint32_t *)from + j * across + k, across);
        for (size_t i = j; i < j + SQUARE; i++)
            for (size_t k = whole; k < depth; k++)
                into[k * width + i] = from[i * across + k];
    }
    for (size_t block = 0; block < depth; block += SQUARE) /* blocks keep the lines that are written in the first cache */
        for (size_t i = j; i < width; i++)
            for (size_t k = block; k < TS_MIN(block + SQUARE, depth); k++)
                into[k * width + i] = i < count ? from[i * across + k] : 0;
}

/* ---- pairs ---- */

/* A line of `units` pairs from `depth` floats, zeros behind them. */
static void pair_line(const ts_kernels *kernels, uint32_t *into, const float *from, size_t depth, size_t units)
{
    kernels->pair_line(into, from, depth);
    memset(into + (depth + 1) / 2, 0, (units - (depth + 1) / 2) * sizeof *into);
}

/* into[u * width + j] = the pair u of the line from + j * across, for j < count, zeros from there to `width`, which is a multiple of 16. */
static void turn_pairs(const ts_kernels *kernels, uint32_t *into, size_t width, const float *from, size_t across, size_t count, size_t depth,
                       size_t units)
{
    uint32_t square[SQUARE * SQUARE], turned[SQUARE * SQUARE];
    for (size_t j = 0; j < width; j += SQUARE)
        for (size_t u = 0; u < units; u += SQUARE) {
            size_t left = 2 * u < depth ? TS_MIN(depth - 2 * u, (size_t)2 * SQUARE) : 0;
            if (left < 2 * SQUARE || j + SQUARE > count)
                memset(square, 0, sizeof square);
            for (size_t i = 0; i < SQUARE && j + i < count && left > 0; i++)
                kernels->pair_line(square + i * SQUARE, from + (j + i) * across + 2 * u, left);
            if (u + SQUARE <= units) {
                kernels->transpose_16(into + u * width + j, width, square, SQUARE);
                continue;
            }
            kernels->transpose_16(turned, SQUARE, square, SQUARE);
            for (size_t i = 0; u + i < units; i++)
                memcpy(into + (u + i) * width + j, turned + i * SQUARE, SQUARE * sizeof *into);
        }
}

/* Rows into pairs of them in tiles of `width` columns, zeros up to `units`. */
static void pair_rows(const ts_kernels *kernels, uint32_t *into, size_t width, size_t apart, const float *from, size_t row, size_t count,
                      size_t depth, size_t units)
{
    size_t made = (depth + 1) / 2;
    kernels->pair_rows(into, width, apart, from, row, count, depth);
    for (size_t first = 0; made < units && first < count; first += width, into += apart)
        memset(into + made * width, 0, (units - made) * width * sizeof *into);
}

/* Lines of pairs out of rows: into[j * LINE + u], for the kernels that want lines. */
static void pair_rows_to_lines(const ts_kernels *kernels, uint32_t *into, size_t height, const float *from, size_t row, size_t count, size_t depth,
                               size_t units)
{
    uint32_t square[SQUARE * SQUARE];
    for (size_t j = 0; j < height; j += SQUARE)
        for (size_t u = 0; u < units; u += SQUARE) {
            size_t left = 2 * u < depth ? TS_MIN(depth - 2 * u, (size_t)2 * SQUARE) : 0;
            if (j + SQUARE > count || left < 2 * SQUARE)
                memset(square, 0, sizeof square);
            if (j < count)
                kernels->pair_rows(square, SQUARE, 0, from + 2 * u * row + j, row, TS_MIN(count - j, (size_t)SQUARE), left);
            kernels->transpose_16(into + j * LINE + u, LINE, square, SQUARE);
        }
}

/* ---- panels, and lines of a ---- */

/* A matrix of `depth` rows and `count` columns into panels: panel p holds columns [p * width, ...) as units of `width`. */
typedef struct packing {
    const ts_gemm_space *space;
    uint32_t *into;
    size_t width, apart, units;
    ts_matrix from;
    size_t count, depth;
} packing;

/* From panel to panel. */
static size_t apart(size_t width, size_t units)
{
    return width * units + APART;
}

static size_t panels_of(size_t count, size_t width)
{
    return (count + width - 1) / width;
}

/* Units [begin, end) of all panels: rows are read from end to end, which memory gives many times faster than pieces of them. */
static void pack_units(void *argument, size_t begin, size_t end, size_t worker)
{
    const packing *p = argument;
    const ts_kernels *kernels = p->space->kernels;
    size_t k0 = begin * (p->space->bf16 ? 2 : 1), depth = TS_MIN(end * (p->space->bf16 ? 2 : 1), p->depth) - TS_MIN(k0, p->depth);
    uint32_t *into = p->into + begin * p->width;
    const float *from = p->from.data + k0 * p->from.row;
    (void)worker;
    if (p->space->bf16)
        pair_rows(kernels, into, p->width, p->apart, from, p->from.row, p->count, depth, end - begin);
    else
        kernels->copy_rows((float *)into, p->width, p->apart, from, p->from.row, p->count, depth);
}

/* Panels [begin, end) of a matrix whose columns lie together. */
static void pack_panels(void *argument, size_t begin, size_t end, size_t worker)
{
    const packing *p = argument;
    (void)worker;
    for (size_t panel = begin; panel < end; panel++) {
        uint32_t *into = p->into + panel * p->apart;
        const float *from = p->from.data + panel * p->width * p->from.column;
        size_t count = TS_MIN(p->width, p->count - panel * p->width);
        if (p->space->bf16)
            turn_pairs(p->space->kernels, into, p->width, from, p->from.column, count, p->depth, p->units);
        else
            ts_turn(p->space->kernels, (float *)into, p->width, from, p->from.column, count, p->depth);
    }
}

static void pack(const ts_gemm_space *space, uint32_t *into, size_t width, size_t units, ts_matrix from, size_t count, size_t depth)
{
    packing p = {space, into, width, apart(width, units), units, from, count, depth};
    size_t panels = panels_of(count, width);
    if (from.column == 1)
        ts_parallel(space->runtime, units, UNITS_AT_ONCE, pack_units, &p);
    else
        ts_parallel(space->runtime, panels, panels >= 64 ? 8 : 1, pack_panels, &p);
}

/* Whether a's columns lie together and the tiles take them so. */
static bool has_panels(const ts_gemm_space *space, ts_matrix a)
{
    return a.column != 1 && !(space->bf16 && space->kernels->pair_lines);
}

/* Rows [first, first + rows) of a, from unit u0 on `units` of them: where they lie, or brought to `into`. */
static lines take_rows(const product *p, uint32_t *into, size_t first, size_t rows, size_t u0, size_t units)
{
    const ts_kernels *kernels = p->space->kernels;
    size_t height = p->height, whole = (rows + height - 1) / height * height;
    if (has_panels(p->space, p->a)) {
        size_t tile = apart(height, p->units);
        return (lines){p->space->packed_a + first / height * tile + u0 * height, 1, height, tile};
    }
    bool bf16 = p->space->bf16;
    size_t k0 = bf16 ? 2 * u0 : u0, depth = TS_MIN(bf16 ? 2 * units : units, p->k - k0);
    const float *from = p->a.data + first * p->a.row + k0 * p->a.column;
    if (p->a.column != 1)
        for (size_t row = 0; row < rows; row += height)
            pair_rows_to_lines(kernels, into + row * LINE, height, from + row, p->a.column, TS_MIN(height, rows - row), depth, units);
    else if (!bf16 && whole == rows && p->a.row % CROWDED != 0)
        return (lines){(const uint32_t *)from, p->a.row, 1, height * p->a.row};
    else {
        for (size_t i = 0; i < rows; i++)
            if (bf16)
                pair_line(kernels, into + i * LINE, from + i * p->a.row, depth, units);
            else
                memcpy(into + i * LINE, from + i * p->a.row, depth * sizeof(float));
        memset(into + rows * LINE, 0, (whole - rows) * LINE * sizeof *into);
    }
    return (lines){into, LINE, 1, height * LINE};
}

static void tile(const ts_gemm_space *space, float *c, size_t c_row, const lines *a, const uint32_t *at, const uint32_t *b, size_t units,
                 const ts_start *start)
{
    if (space->bf16)
        space->kernels->tile_pairs(c, c_row, at, a->row, a->step, b, units, start);
    else
        space->kernels->tile(c, c_row, (const float *)at, a->row, a->step, (const float *)b, units, start);
}

/* One tile of c, at an edge through a whole tile beside it. */
static void one_tile(const product *p, size_t row, size_t column, const lines *a, const uint32_t *at, const uint32_t *b, size_t units, bool first)
{
    size_t rows = TS_MIN(p->height, p->m - row), columns = TS_MIN(p->width, p->n - column);
    float *c = p->c + row * p->c_row + column;
    ts_start start = {c, p->c_row, NULL};
    if (first) {
        start = p->start;
        start.base = start.base ? start.base + row * start.base_row + column : NULL;
        start.bias = start.bias ? start.bias + column : NULL;
    }
    if (rows == p->height && columns == p->width) {
        tile(p->space, c, p->c_row, a, at, b, units, &start);
        return;
    }
    float edge[MOST_TILE];
    tile(p->space, edge, p->width, a, at, b, units, &(ts_start){NULL, 0, NULL});
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            float old = start.base ? start.base[i * start.base_row + j] : 0;
            c[i * p->c_row + j] = (start.bias ? old + start.bias[j] : old) + edge[i * p->width + j];
        }
}

static void work_out(void *argument, size_t begin, size_t end, size_t worker)
{
    const product *p = argument;
    const ts_kernels *kernels = p->space->kernels;
    size_t width = p->width, height = p->height, panels = panels_of(p->n, width), panel_size = apart(width, p->units);
    bool begun = p->space->bf16 && kernels->begin_pairs != NULL;
    uint32_t *into = p->space->lines + (p->space->alone ? 0 : worker * PACKED_A);
    if (begun)
        kernels->begin_pairs();
    for (size_t piece = begin; piece < end; piece++) {
        size_t first_row = piece / p->groups * p->piece_rows, rows = TS_MIN(p->piece_rows, p->m - first_row);
        size_t first_panel = piece % p->groups * p->piece_panels, last_panel = TS_MIN(first_panel + p->piece_panels, panels);
        for (size_t u0 = 0; u0 < p->units; u0 += DEPTH) {
            size_t units = TS_MIN(DEPTH, p->units - u0);
            lines a = take_rows(p, into, first_row, rows, u0, units);
            for (size_t panel = first_panel; panel < last_panel; panel++) {
                const uint32_t *b = p->packed_b + panel * panel_size + u0 * width;
                for (size_t row = 0; row < rows; row += height)
                    one_tile(p, first_row + row, panel * width, &a, a.data + row / height * a.tile, b, units, u0 == 0);
            }
        }
    }
    if (begun)
        kernels->end_pairs();
}

/* c = base + bias, whichever there is, for a level without tiles. */
static void begin_rows(float *c, size_t c_row, size_t m, size_t n, const ts_start *start)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            c[i * c_row + j] = (start->base ? start->base[i * start->base_row + j] : 0) + (start->bias ? start->bias[j] : 0);
}

/* Lines of a are brought once for all panels of a piece: a piece has all of them, and many rows, where that leaves pieces enough for every thread. */
static void divide(product *p)
{
    size_t panels = panels_of(p->n, p->width), wanted = 6 * (p->space->alone ? 1 : ts_runtime_threads(p->space->runtime)), pieces, rows = MOST_ROWS;
    for (;; rows /= 2) {
        p->piece_rows = (rows + p->height - 1) / p->height * p->height;
        pieces = panels_of(p->m, p->piece_rows);
        p->groups = rows == MOST_ROWS ? 1 : TS_MIN(panels_of(wanted, pieces), panels_of(panels, 4));
        if (pieces * p->groups >= wanted || p->piece_rows == p->height)
            break;
    }
    p->piece_panels = panels_of(panels, p->groups);
}

/* Tiles and units of a product of depth k. */
static product shaped(ts_gemm_space *space, const ts_kernels *kernels, bool bf16, size_t n, size_t k)
{
    product p = {.space = space, .n = n, .k = k, .units = k, .height = kernels->tile_rows, .width = kernels->tile_columns};
    if (bf16) {
        p.height = kernels->pair_tile_rows, p.width = kernels->pair_tile_columns;
        p.units = ((k + 1) / 2 + kernels->pair_step - 1) / kernels->pair_step * kernels->pair_step;
    }
    return p;
}

/* Whether the level has tiles; where it has none, nothing is packed. */
static bool has_tiles(const ts_kernels *kernels, bool bf16)
{
    return bf16 ? kernels->tile_pairs != NULL : kernels->tile_rows != 0;
}

size_t ts_gemm_packed_size(const ts_kernels *kernels, bool bf16, size_t n, size_t k)
{
    if (!has_tiles(kernels, bf16))
        return 0;
    product p = shaped(NULL, kernels, bf16, n, k);
    return panels_of(n, p.width) * apart(p.width, p.units);
}

size_t ts_gemm_packed_a_size(const ts_kernels *kernels, bool bf16, size_t m, size_t k)
{
    if (!has_tiles(kernels, bf16) || (bf16 && kernels->pair_lines))
        return 0;
    product p = shaped(NULL, kernels, bf16, 0, k);
    return panels_of(m, p.height) * apart(p.height, p.units);
}

void ts_gemm_pack(ts_gemm_space *space, uint32_t *packed, ts_matrix b, size_t n, size_t k)
{
    product p = shaped(space, space->kernels, space->bf16, n, k);
    if (space->kernels->tile_rows != 0)
        pack(space, packed, p.width, p.units, b, n, k);
}

void ts_gemm_with(ts_gemm_space *space, float *c, size_t c_row, ts_matrix a, ts_matrix b, const uint32_t *packed, size_t m, size_t n, size_t k,
                  ts_start start)
{
    if (space->kernels->tile_rows == 0) {
        bool adds = start.base == c && start.base != NULL && start.bias == NULL;
        if (!adds && (start.base || start.bias))
            begin_rows(c, c_row, m, n, &start);
        ts_blas_product(c, c_row, a, b, m, n, k, start.base || start.bias);
        return;
    }
    product p = shaped(space, space->kernels, space->bf16, n, k);
    p.c = c, p.c_row = c_row, p.m = m, p.a = a, p.start = start, p.packed_b = packed;
    if (has_panels(space, a))
        pack(space, space->packed_a, p.height, p.units, (ts_matrix){a.data, a.column, a.row}, m, k);
    divide(&p);
    ts_parallel(space->runtime, panels_of(m, p.piece_rows) * p.groups, 1, work_out, &p);
}

void ts_gemm(ts_gemm_space *space, float *c, size_t c_row, ts_matrix a, ts_matrix b, size_t m, size_t n, size_t k, ts_start start)
{
    ts_gemm_pack(space, space->packed_b, b, n, k);
    ts_gemm_with(space, c, c_row, a, b, space->packed_b, m, n, k, start);
}

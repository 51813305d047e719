/*
 * The matrix product of training. b is packed once into panels as wide as a tile, then blocks of rows of c are worked out by any thread: each packs its
 * rows of a and walks the panels. An element's sum goes over k in blocks of DEPTH, each added up by itself, whatever the split: the same bits for any
 * number of threads. In bf16 the elements k and k + 1 are packed as a pair, and k below counts pairs ("units").
 */
#include "tensor/gemm_blas.h"
#include "tensor/tensor.h"

#define DEPTH 256    /* units of a packed block: 256 x 32 of b are 32 KiB and stay in the first cache */
#define MOST_ROWS 96 /* of c that one piece of work covers; a multiple of every tile's rows */
#define MOST_TILE (32 * 32)
#define SQUARE 16 /* of pairs, packed at a time */

ts_status ts_gemm_space_init(ts_gemm_space *space, ts_runtime *runtime, const ts_kernels *kernels, size_t largest_b, bool bf16)
{
    *space = (ts_gemm_space){.runtime = runtime, .kernels = kernels, .packed_b_size = largest_b, .bf16 = bf16};
    if (bf16 && kernels->tile_pairs == NULL)
        return ts_fail(TS_ERROR_UNSUPPORTED, "products in bf16 need a processor with AVX-512 BF16");
    if (kernels->tile_rows == 0)
        return TS_OK;
    space->packed_b = ts_allocate_array(runtime, largest_b, sizeof *space->packed_b);
    space->packed_a = ts_allocate_array(runtime, (size_t)ts_runtime_threads(runtime) * MOST_ROWS * DEPTH, sizeof *space->packed_a);
    if (space->packed_b == NULL || space->packed_a == NULL) {
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
    *space = (ts_gemm_space){0};
}

typedef struct product {
    ts_gemm_space *space;
    float *c;
    size_t c_row, m, n, k;
    size_t units;         /* of k: k, or pairs of it up to a whole step */
    size_t height, width; /* of a tile */
    ts_matrix a, b;
    bool add;
    size_t piece_rows, piece_panels, groups; /* a piece: so many rows by so many panels; groups of panels side by side */
} product;

/*
 * Packs `count` lines of a factor side by side, unit after unit: into[u * width + j] is unit u of line j, zeros for the lines up to `width`. Line j begins
 * at from + j * across, its elements are `along` apart, one of which is 1.
 */
static void pack_floats(uint32_t *packed, size_t width, const float *from, size_t across, size_t along, size_t count, size_t depth)
{
    float *into = (float *)packed;
    if (across == 1) {
        for (size_t k = 0; k < depth; k++, into += width) {
            memcpy(into, from + k * along, count * sizeof(float));
            memset(into + count, 0, (width - count) * sizeof(float));
        }
        return;
    }
    if (count < width)
        memset(into, 0, depth * width * sizeof(float));
    for (size_t block = 0; block < depth; block += 16) /* blocks keep the lines that are written in the first cache */
        for (size_t j = 0; j < count; j++)
            for (size_t k = block; k < TS_MIN(block + 16, depth); k++)
                into[k * width + j] = from[k + j * across];
}

/* Pairs of `count` lines as unit after unit of `width` lines (by_line false) or line after line of `units` (true); zeros for what is beyond. */
static void pack_pairs(const ts_kernels *kernels, uint32_t *into, bool by_line, size_t width, const float *from, size_t across, size_t along, size_t count,
                       size_t depth, size_t units)
{
    static const float zeros[SQUARE];
    uint32_t square[SQUARE * SQUARE], turned[SQUARE * SQUARE];
    for (size_t u = 0; u < units; u += SQUARE)
        for (size_t j = 0; j < width; j += SQUARE) {
            size_t lines = j < count ? TS_MIN((size_t)SQUARE, count - j) : 0, unit_count = TS_MIN((size_t)SQUARE, units - u), line_count = TS_MIN((size_t)SQUARE, width - j);
            bool is_by_line = across != 1; /* how the square is filled */
            memset(square, 0, sizeof square);
            for (size_t i = 0; is_by_line && i < lines; i++) {
                const float *x = from + (j + i) * across + 2 * u;
                size_t whole = depth / 2 > u ? TS_MIN(unit_count, depth / 2 - u) : 0;
                kernels->pair_neighbours(square + i * SQUARE, x, whole);
                if (whole < unit_count && 2 * (u + whole) + 1 == depth)
                    kernels->pair_rows(square + i * SQUARE + whole, x + 2 * whole, zeros, 1);
            }
            for (size_t i = 0; !is_by_line && i < unit_count && 2 * (u + i) < depth; i++) {
                const float *even = from + 2 * (u + i) * along + j;
                kernels->pair_rows(square + i * SQUARE, even, 2 * (u + i) + 1 < depth ? even + along : zeros, lines);
            }
            const uint32_t *right = square;
            if (is_by_line != by_line) {
                kernels->transpose_16(turned, SQUARE, square, SQUARE);
                right = turned;
            }
            size_t outer = by_line ? line_count : unit_count, inner = by_line ? unit_count : line_count;
            uint32_t *to = by_line ? into + j * units + u : into + u * width + j;
            for (size_t i = 0; i < outer; i++, to += by_line ? units : width)
                memcpy(to, right + i * SQUARE, inner * sizeof *to);
        }
}

static void pack(const product *p, uint32_t *into, bool by_line, size_t width, const float *from, size_t across, size_t along, size_t count, size_t depth,
                 size_t units)
{
    if (p->space->bf16)
        pack_pairs(p->space->kernels, into, by_line, width, from, across, along, count, depth, units);
    else
        pack_floats(into, width, from, across, along, count, depth);
}

/* Packs panels [begin, end) of b: panel p holds columns [p * width, ...) as units of `width`. */
static void pack_panels(void *argument, size_t begin, size_t end, size_t worker)
{
    const product *p = argument;
    size_t width = p->width;
    (void)worker;
    for (size_t panel = begin; panel < end; panel++) {
        size_t first = panel * width;
        pack(p, p->space->packed_b + first * p->units, false, width, p->b.data + first * p->b.column, p->b.column, p->b.row, TS_MIN(width, p->n - first), p->k,
             p->units);
    }
}

/* Packs `rows` rows of a from `first` on, `depth` elements from k0 on: tiles of tile_rows rows, in each unit after unit. */
static void pack_rows(const product *p, uint32_t *into, size_t first, size_t rows, size_t k0, size_t depth, size_t units)
{
    for (size_t tile = 0; tile < rows; tile += p->height, into += p->height * units)
        pack(p, into, p->space->kernels->pair_lines, p->height, p->a.data + (first + tile) * p->a.row + k0 * p->a.column, p->a.row, p->a.column,
             TS_MIN(p->height, rows - tile), depth, units);
}

static void tile(const ts_gemm_space *space, float *c, size_t c_row, const uint32_t *a, const uint32_t *b, size_t units, bool add)
{
    if (space->bf16)
        space->kernels->tile_pairs(c, c_row, a, b, units, add);
    else
        space->kernels->tile(c, c_row, (const float *)a, (const float *)b, units, add);
}

/* One tile of c, at an edge through a whole tile beside it. */
static void one_tile(const product *p, size_t row, size_t column, const uint32_t *a, const uint32_t *b, size_t units, bool add)
{
    size_t rows = TS_MIN(p->height, p->m - row), columns = TS_MIN(p->width, p->n - column);
    float *c = p->c + row * p->c_row + column;
    if (rows == p->height && columns == p->width) {
        tile(p->space, c, p->c_row, a, b, units, add);
        return;
    }
    float edge[MOST_TILE];
    tile(p->space, edge, p->width, a, b, units, false);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            c[i * p->c_row + j] = (add ? c[i * p->c_row + j] : 0) + edge[i * p->width + j];
}

static void work_out(void *argument, size_t begin, size_t end, size_t worker)
{
    const product *p = argument;
    const ts_kernels *kernels = p->space->kernels;
    size_t width = p->width, height = p->height, panels = (p->n + width - 1) / width, in_unit = p->space->bf16 ? 2 : 1;
    bool begun = p->space->bf16 && kernels->begin_pairs != NULL;
    uint32_t *packed = p->space->packed_a + worker * MOST_ROWS * DEPTH;
    if (begun)
        kernels->begin_pairs();
    for (size_t piece = begin; piece < end; piece++) {
        size_t first_row = piece / p->groups * p->piece_rows, rows = TS_MIN(p->piece_rows, p->m - first_row);
        size_t first_panel = piece % p->groups * p->piece_panels, last_panel = TS_MIN(first_panel + p->piece_panels, panels);
        for (size_t u0 = 0; u0 < p->units; u0 += DEPTH) {
            size_t units = TS_MIN(DEPTH, p->units - u0), k0 = u0 * in_unit;
            pack_rows(p, packed, first_row, rows, k0, TS_MIN(units * in_unit, p->k - k0), units);
            for (size_t panel = first_panel; panel < last_panel; panel++) {
                const uint32_t *b = p->space->packed_b + panel * width * p->units + u0 * width;
                for (size_t row = 0; row < rows; row += height)
                    one_tile(p, first_row + row, panel * width, packed + row * units, b, units, p->add || u0 > 0);
            }
        }
    }
    if (begun)
        kernels->end_pairs();
}

void ts_gemm(ts_gemm_space *space, float *c, size_t c_row, ts_matrix a, ts_matrix b, size_t m, size_t n, size_t k, bool add)
{
    const ts_kernels *kernels = space->kernels;
    if (kernels->tile_rows == 0) {
        ts_blas_product(c, c_row, a, b, m, n, k, add);
        return;
    }
    product p = {.space = space, .c = c, .c_row = c_row, .m = m, .n = n, .k = k, .units = k, .a = a, .b = b, .add = add};
    p.height = kernels->tile_rows, p.width = kernels->tile_columns;
    if (space->bf16) {
        p.height = kernels->pair_tile_rows, p.width = kernels->pair_tile_columns;
        p.units = ((k + 1) / 2 + kernels->pair_step - 1) / kernels->pair_step * kernels->pair_step;
    }
    size_t panels = (n + p.width - 1) / p.width;
    /* Few rows: smaller pieces, so that there is work for many threads. Rows of a that lie across are dear to pack: more panels for each. */
    p.piece_rows = m >= 1024 ? MOST_ROWS : (MOST_ROWS / 2 + p.height - 1) / p.height * p.height;
    p.piece_panels = a.row == 1 ? 128 / p.width : 512 / p.width;
    p.groups = (panels + p.piece_panels - 1) / p.piece_panels;
    ts_parallel(space->runtime, panels, panels >= 64 ? 8 : 1, pack_panels, &p);
    ts_parallel(space->runtime, (m + p.piece_rows - 1) / p.piece_rows * p.groups, 1, work_out, &p);
}

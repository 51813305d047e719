/*
 * The matrix product of training. b is packed once into panels as wide as a tile, then blocks of rows of c are worked out by any thread: each packs its
 * rows of a and walks the panels. An element's sum goes over k in blocks of DEPTH, each added up by itself, whatever the split: the same bits for any
 * number of threads.
 */
#include "tensor/gemm_blas.h"
#include "tensor/tensor.h"

#define DEPTH 256    /* of a packed block: 256 x 32 floats of b are 32 KiB and stay in the first cache */
#define MOST_ROWS 96 /* of c that one piece of work covers; a multiple of every tile's rows */
#define MOST_TILE (16 * 64)

ts_status ts_gemm_space_init(ts_gemm_space *space, ts_runtime *runtime, const ts_kernels *kernels, size_t largest_b)
{
    *space = (ts_gemm_space){.runtime = runtime, .kernels = kernels, .packed_b_size = largest_b};
    if (kernels->tile_rows == 0)
        return TS_OK;
    space->packed_b = ts_allocate_array(runtime, largest_b, sizeof(float));
    space->packed_a = ts_allocate_array(runtime, (size_t)ts_runtime_threads(runtime) * MOST_ROWS * DEPTH, sizeof(float));
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
    ts_matrix a, b;
    bool add;
    size_t piece_rows, piece_panels, groups; /* a piece: so many rows by so many panels; groups of panels side by side */
} product;

/* Packs panels [begin, end) of b: panel p holds columns [p * width, ...) as k rows of `width` floats, zeros beyond the last column. */
static void pack_panels(void *argument, size_t begin, size_t end, size_t worker)
{
    const product *p = argument;
    size_t width = p->space->kernels->tile_columns;
    (void)worker;
    for (size_t panel = begin; panel < end; panel++) {
        float *into = p->space->packed_b + panel * width * p->k;
        size_t first = panel * width, columns = TS_MIN(width, p->n - first);
        const float *from = p->b.data + first * p->b.column;
        if (p->b.column == 1) {
            for (size_t k = 0; k < p->k; k++, into += width) {
                memcpy(into, from + k * p->b.row, columns * sizeof(float));
                memset(into + columns, 0, (width - columns) * sizeof(float));
            }
            continue;
        }
        if (columns < width)
            memset(into, 0, p->k * width * sizeof(float));
        for (size_t block = 0; block < p->k; block += 16) /* blocks keep the lines that are written in the first cache */
            for (size_t j = 0; j < columns; j++)
                for (size_t k = block; k < TS_MIN(block + 16, p->k); k++)
                    into[k * width + j] = from[k * p->b.row + j * p->b.column];
    }
}

/* Packs `rows` rows of a from `first` on, k from k0 on: tiles of tile_rows rows, in each k after k, zeros beyond the last row. */
static void pack_rows(const product *p, float *into, size_t first, size_t rows, size_t k0, size_t depth)
{
    size_t height = p->space->kernels->tile_rows;
    for (size_t tile = 0; tile < rows; tile += height, into += height * depth) {
        size_t count = TS_MIN(height, rows - tile);
        const float *from = p->a.data + (first + tile) * p->a.row + k0 * p->a.column;
        if (count < height)
            memset(into, 0, height * depth * sizeof(float));
        if (p->a.row == 1) {
            for (size_t k = 0; k < depth; k++)
                memcpy(into + k * height, from + k * p->a.column, count * sizeof(float));
            continue;
        }
        for (size_t block = 0; block < depth; block += 16)
            for (size_t i = 0; i < count; i++)
                for (size_t k = block; k < TS_MIN(block + 16, depth); k++)
                    into[k * height + i] = from[i * p->a.row + k * p->a.column];
    }
}

/* One tile of c, at an edge through a whole tile beside it. */
static void one_tile(const product *p, size_t row, size_t column, const float *a, const float *b, size_t depth, bool add)
{
    const ts_kernels *kernels = p->space->kernels;
    size_t rows = TS_MIN(kernels->tile_rows, p->m - row), columns = TS_MIN(kernels->tile_columns, p->n - column);
    float *c = p->c + row * p->c_row + column;
    if (rows == kernels->tile_rows && columns == kernels->tile_columns) {
        kernels->tile(c, p->c_row, a, b, depth, add);
        return;
    }
    float edge[MOST_TILE];
    kernels->tile(edge, kernels->tile_columns, a, b, depth, false);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            c[i * p->c_row + j] = (add ? c[i * p->c_row + j] : 0) + edge[i * kernels->tile_columns + j];
}

static void work_out(void *argument, size_t begin, size_t end, size_t worker)
{
    const product *p = argument;
    const ts_kernels *kernels = p->space->kernels;
    size_t width = kernels->tile_columns, height = kernels->tile_rows, panels = (p->n + width - 1) / width;
    float *packed = p->space->packed_a + worker * MOST_ROWS * DEPTH;
    for (size_t piece = begin; piece < end; piece++) {
        size_t first_row = piece / p->groups * p->piece_rows, rows = TS_MIN(p->piece_rows, p->m - first_row);
        size_t first_panel = piece % p->groups * p->piece_panels, last_panel = TS_MIN(first_panel + p->piece_panels, panels);
        for (size_t k0 = 0; k0 < p->k; k0 += DEPTH) {
            size_t depth = TS_MIN(DEPTH, p->k - k0);
            pack_rows(p, packed, first_row, rows, k0, depth);
            for (size_t panel = first_panel; panel < last_panel; panel++) {
                const float *b = p->space->packed_b + panel * width * p->k + k0 * width;
                for (size_t row = 0; row < rows; row += height)
                    one_tile(p, first_row + row, panel * width, packed + row * depth, b, depth, p->add || k0 > 0);
            }
        }
    }
}

void ts_gemm(ts_gemm_space *space, float *c, size_t c_row, ts_matrix a, ts_matrix b, size_t m, size_t n, size_t k, bool add)
{
    const ts_kernels *kernels = space->kernels;
    if (kernels->tile_rows == 0) {
        ts_blas_product(c, c_row, a, b, m, n, k, add);
        return;
    }
    size_t panels = (n + kernels->tile_columns - 1) / kernels->tile_columns;
    product p = {.space = space, .c = c, .c_row = c_row, .m = m, .n = n, .k = k, .a = a, .b = b, .add = add};
    /* Few rows: smaller pieces, so that there is work for many threads. Rows of a that lie across are dear to pack: more panels for each. */
    p.piece_rows = m >= 1024 ? MOST_ROWS : MOST_ROWS / 2;
    p.piece_panels = a.row == 1 ? 128 / kernels->tile_columns : 512 / kernels->tile_columns;
    p.groups = (panels + p.piece_panels - 1) / p.piece_panels;
    ts_parallel(space->runtime, panels, panels >= 64 ? 8 : 1, pack_panels, &p);
    ts_parallel(space->runtime, (m + p.piece_rows - 1) / p.piece_rows * p.groups, 1, work_out, &p);
}

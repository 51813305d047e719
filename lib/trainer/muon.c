/*
 * Muon for the matrices within layers (Jordan et al. 2024): the momentum of the gradient is made nearly orthogonal by a Newton-Schulz iteration, and is scaled so that its
 * elements are about as large as AdamW's (Liu et al. 2025, "Muon is scalable for LLM training"), so that one learning rate serves both. Each matrix is
 * worked out by one thread: the same bits for any number of threads.
 */
#include <math.h>

#include "trainer/trainer.h"

#define ITERATIONS 5
#define MATCH 0.2 /* AdamW's usual root mean square of an update */

/* The quintic's coefficients that Jordan found: singular values from 0 to 1 end near 1, quickly rather than exactly. */
static const float A = 3.4445f, B = -4.7750f, C = 2.0315f;

/* A matrix: of the table, or a third of a fused one. */
typedef struct item {
    size_t offset, rows, columns;
} item;

typedef struct workspace {
    ts_gemm_space gemm;
    float *x, *next; /* the matrix, no more rows than columns */
    float *square, *sum;
} workspace;

struct ts_muon {
    ts_runtime *runtime;
    const ts_kernels *kernels;
    item *items;
    size_t count, largest, longest; /* elements, and the smaller side */
    workspace *spaces;              /* one a thread */
    size_t threads;
    /* of the step at hand */
    float *parameters, *momentum;
    const float *gradients;
    float clip, rate, beta, decay;
};

bool ts_muon_takes(const ts_parameter *p)
{
    return p->rank == 2 && p->slot != TS_SLOT_TOKENS && p->slot != TS_SLOT_POSITIONS && p->slot != TS_SLOT_OUTPUT;
}

static void list_items(ts_muon *m, const ts_parameter *table, size_t table_count, const ts_shape *shape)
{
    for (size_t i = 0; i < table_count; i++) {
        const ts_parameter *p = &table[i];
        size_t parts = p->slot == TS_SLOT_QKV && p->rows == 3 * shape->C ? 3 : 1, rows = p->rows / parts;
        for (size_t part = 0; ts_muon_takes(p) && part < parts; part++) {
            m->items[m->count++] = (item){p->offset + part * rows * p->columns, rows, p->columns};
            m->largest = TS_MAX(m->largest, rows * p->columns);
            m->longest = TS_MAX(m->longest, TS_MIN(rows, p->columns));
        }
    }
}

static ts_status make_workspace(ts_muon *m, workspace *w, bool bf16)
{
    const struct {
        float **where;
        size_t count;
    } arrays[] = {{&w->x, m->largest}, {&w->next, m->largest}, {&w->square, m->longest * m->longest}, {&w->sum, m->longest * m->longest}};
    for (size_t i = 0; i < TS_COUNT_OF(arrays); i++)
        if ((*arrays[i].where = ts_allocate_array(m->runtime, arrays[i].count, sizeof(float))) == NULL)
            return TS_ERROR_OUT_OF_MEMORY;
    size_t packed = ts_gemm_packed_size(m->kernels, bf16, m->longest, m->longest);
    for (size_t i = 0; i < m->count; i++) {
        size_t rows = TS_MIN(m->items[i].rows, m->items[i].columns), columns = TS_MAX(m->items[i].rows, m->items[i].columns);
        packed = TS_MAX(packed, ts_gemm_packed_size(m->kernels, bf16, rows, columns));
        packed = TS_MAX(packed, ts_gemm_packed_size(m->kernels, bf16, columns, rows));
    }
    return ts_gemm_space_init(&w->gemm, m->runtime, m->kernels, 0, packed, bf16, true);
}

ts_status ts_muon_make(ts_muon **out, ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_parameter *table, size_t table_count, bool bf16)
{
    ts_muon *m = ts_allocate(runtime, sizeof *m);
    if (m == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    m->runtime = runtime;
    m->kernels = kernels;
    m->threads = ts_runtime_threads(runtime);
    m->items = ts_allocate_array(runtime, 3 * table_count, sizeof *m->items);
    m->spaces = ts_allocate_array(runtime, m->threads, sizeof *m->spaces);
    ts_status status = m->items && m->spaces ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK)
        list_items(m, table, table_count, shape);
    for (size_t i = 0; i < m->threads && status == TS_OK; i++)
        status = make_workspace(m, &m->spaces[i], bf16);
    if (status != TS_OK) {
        ts_muon_free(m);
        return status;
    }
    *out = m;
    return TS_OK;
}

void ts_muon_free(ts_muon *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->threads && m->spaces != NULL; i++) {
        workspace *w = &m->spaces[i];
        ts_release(m->runtime, w->x);
        ts_release(m->runtime, w->next);
        ts_release(m->runtime, w->square);
        ts_release(m->runtime, w->sum);
        ts_gemm_space_free(&w->gemm);
    }
    ts_release(m->runtime, m->items);
    ts_release(m->runtime, m->spaces);
    ts_release(m->runtime, m);
}

/* momentum = beta momentum + gradient; x = gradient + beta momentum (Nesterov), turned if it has more rows than columns, over its norm. */
static void begin(const ts_muon *m, const item *it, workspace *w)
{
    const float *gradient = m->gradients + it->offset;
    float *momentum = m->momentum + it->offset;
    bool turned = it->rows > it->columns;
    for (size_t i = 0; i < it->rows; i++)
        for (size_t j = 0; j < it->columns; j++) {
            size_t at = i * it->columns + j;
            float g = gradient[at] * m->clip;
            momentum[at] = m->beta * momentum[at] + g;
            w->x[turned ? j * it->rows + i : at] = g + m->beta * momentum[at];
        }
    double norm = sqrt(m->kernels->square_sum(w->x, it->rows * it->columns));
    m->kernels->multiply(w->x, (float)(1 / (norm + 1e-7)), it->rows * it->columns);
}

/* x = a x + (b x x' + c (x x')^2) x, where x' is x turned. */
static void iterate(workspace *w, size_t rows, size_t columns)
{
    const ts_matrix x = {w->x, columns, 1}, turned = {w->x, 1, columns}, square = {w->square, rows, 1};
    ts_gemm(&w->gemm, w->square, rows, x, turned, rows, rows, columns, (ts_start){0});
    ts_gemm(&w->gemm, w->sum, rows, square, square, rows, rows, rows, (ts_start){0});
    for (size_t i = 0; i < rows * rows; i++)
        w->sum[i] = B * w->square[i] + C * w->sum[i];
    ts_gemm(&w->gemm, w->next, columns, (ts_matrix){w->sum, rows, 1}, x, rows, columns, rows, (ts_start){0});
    for (size_t i = 0; i < rows * columns; i++)
        w->x[i] = A * w->x[i] + w->next[i];
}

static void update(void *argument, size_t first, size_t end, size_t worker)
{
    const ts_muon *m = argument;
    workspace *w = &m->spaces[worker];
    for (const item *it = m->items + first; it < m->items + end; it++) {
        size_t rows = TS_MIN(it->rows, it->columns), columns = TS_MAX(it->rows, it->columns);
        float *parameters = m->parameters + it->offset, scale = (float)(MATCH * sqrt((double)columns)) * m->rate, keep = 1 - m->rate * m->decay;
        bool turned = it->rows > it->columns;
        begin(m, it, w);
        for (int i = 0; i < ITERATIONS; i++)
            iterate(w, rows, columns);
        for (size_t i = 0; i < it->rows; i++)
            for (size_t j = 0; j < it->columns; j++) {
                size_t at = i * it->columns + j;
                parameters[at] = keep * parameters[at] - scale * w->x[turned ? j * it->rows + i : at];
            }
    }
}

void ts_muon_step(ts_muon *m, float *parameters, float *momentum, const float *gradients, double clip, double rate, double beta, double decay)
{
    m->parameters = parameters;
    m->momentum = momentum;
    m->gradients = gradients;
    m->clip = (float)clip, m->rate = (float)rate, m->beta = (float)beta, m->decay = (float)decay;
    ts_parallel(m->runtime, m->count, 1, update, m);
}

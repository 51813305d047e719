/* Muon against its definition in doubles, on tall, wide and fused matrices; its bits for any number of threads; and what it leaves to AdamW. */
#include <math.h>

#include "support/support.h"
#include "trainer/trainer.h"

static ts_architecture shape_of(int32_t kind)
{
    ts_architecture a;
    assert_ok(ts_architecture_init(&a, sizeof a));
    a.kind = kind;
    a.vocabulary_size = 64;
    a.context_length = 16;
    a.width = 24;
    a.layers = 2;
    a.heads = 4;
    a.key_value_heads = kind == TS_ARCHITECTURE_LLAMA ? 2 : 0;
    a.hidden = 40;
    a.window = kind == TS_ARCHITECTURE_GPT_NEO ? 5 : 0;
    assert_ok(ts_architecture_complete(&a));
    return a;
}

/* One step for a matrix by the definition: nothing is shared with the code under test. */
static void plain_step(double *w, double *momentum, const float *gradient, size_t rows, size_t columns, double rate)
{
    size_t count = rows * columns, small = TS_MIN(rows, columns), large = TS_MAX(rows, columns);
    double *x = calloc(count, sizeof *x), *next = calloc(count, sizeof *next), *s = calloc(small * small, sizeof *s), *p = calloc(small * small, sizeof *p), norm = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = rows <= columns ? i : i % columns * rows + i / columns;
        momentum[i] = 0.95 * momentum[i] + 0.5 * (double)gradient[i];
        x[at] = 0.5 * (double)gradient[i] + 0.95 * momentum[i];
        norm += x[at] * x[at];
    }
    for (size_t i = 0; i < count; i++)
        x[i] /= sqrt(norm);
    for (int iteration = 0; iteration < 5; iteration++) {
        for (size_t i = 0; i < small; i++)
            for (size_t j = 0; j < small; j++) {
                s[i * small + j] = 0;
                for (size_t k = 0; k < large; k++)
                    s[i * small + j] += x[i * large + k] * x[j * large + k];
            }
        for (size_t i = 0; i < small; i++)
            for (size_t j = 0; j < small; j++) {
                double square = 0;
                for (size_t k = 0; k < small; k++)
                    square += s[i * small + k] * s[k * small + j];
                p[i * small + j] = -4.7750 * s[i * small + j] + 2.0315 * square;
            }
        for (size_t i = 0; i < small; i++)
            for (size_t j = 0; j < large; j++) {
                next[i * large + j] = 3.4445 * x[i * large + j];
                for (size_t k = 0; k < small; k++)
                    next[i * large + j] += p[i * small + k] * x[k * large + j];
            }
        memcpy(x, next, count * sizeof *x);
    }
    for (size_t i = 0; i < count; i++)
        w[i] = (1 - rate * 0.1) * w[i] - rate * 0.2 * sqrt((double)large) * x[rows <= columns ? i : i % columns * rows + i / columns];
    free(x), free(next), free(s), free(p);
}

typedef struct arrays {
    ts_parameter *table;
    size_t count, total;
    float *parameters, *momentum, *gradients;
} arrays;

static arrays make_arrays(ts_runtime *runtime, const ts_shape *shape)
{
    arrays a;
    assert_ok(ts_parameters_make(runtime, shape, &a.table, &a.count, &a.total));
    a.parameters = malloc(a.total * sizeof(float));
    a.momentum = calloc(a.total, sizeof(float));
    a.gradients = malloc(a.total * sizeof(float));
    ts_random random = {.seed = 5};
    for (size_t i = 0; i < a.total; i++) {
        a.parameters[i] = (float)(0.05 * ts_random_normal(&random));
        a.gradients[i] = (float)(0.01 * ts_random_normal(&random));
    }
    return a;
}

static void free_arrays(ts_runtime *runtime, arrays *a)
{
    ts_release(runtime, a->table);
    free(a->parameters), free(a->momentum), free(a->gradients);
}

static void by_definition(void **state)
{
    (void)state;
    for (int32_t kind = 1; kind <= 3; kind++) {
        ts_runtime *runtime = make_runtime(2, TS_CPU_LEVEL_BEST);
        ts_architecture architecture = shape_of(kind);
        ts_shape shape;
        ts_muon *muon;
        ts_shape_of(&shape, &architecture);
        arrays a = make_arrays(runtime, &shape);
        double *w = malloc(a.total * sizeof *w), *momentum = calloc(a.total, sizeof *momentum), most = 0;
        size_t matrices = 0, changed = 0;
        for (size_t i = 0; i < a.total; i++)
            w[i] = (double)a.parameters[i];
        assert_ok(ts_muon_make(&muon, runtime, ts_kernels_at(ts_runtime_cpu_level(runtime)), &shape, a.table, a.count, false));
        for (int step = 0; step < 3; step++) {
            ts_muon_step(muon, a.parameters, a.momentum, a.gradients, 0.5, 0.01, 0.95, 0.1);
            for (size_t i = 0; i < a.count; i++) {
                const ts_parameter *p = &a.table[i];
                size_t parts = strstr(p->name, "attn_qkv.weight") != NULL ? 3 : 1, rows = p->rows / parts;
                bool within = strncmp(p->name, "blk.", 4) == 0 && p->rank == 2;
                assert_int_equal(ts_muon_takes(p), within);
                for (size_t part = 0; within && part < parts; part++, matrices++) {
                    size_t at = p->offset + part * rows * p->columns;
                    plain_step(w + at, momentum + at, a.gradients + at, rows, p->columns, 0.01);
                }
            }
        }
        for (size_t i = 0; i < a.total; i++) {
            most = TS_MAX(most, fabs(w[i] - (double)a.parameters[i]));
            changed += a.momentum[i] != 0;
        }
        assert_true(matrices == 3 * 2 * (kind == TS_ARCHITECTURE_LLAMA ? 7 : 6));
        assert_true(most < 2e-5); /* of elements that moved by about 0.03 */
        assert_true(changed > 0 && changed < a.total);
        free(w), free(momentum);
        ts_muon_free(muon);
        free_arrays(runtime, &a);
        ts_runtime_free(runtime);
    }
}

static void same_bits_by_any_threads(void **state)
{
    (void)state;
    ts_architecture architecture = shape_of(TS_ARCHITECTURE_GPT2);
    ts_shape shape;
    float *first = NULL;
    size_t size = 0;
    ts_shape_of(&shape, &architecture);
    for (uint32_t threads = 1; threads <= 4; threads *= 2) {
        ts_runtime *runtime = make_runtime(threads, TS_CPU_LEVEL_BEST);
        ts_muon *muon;
        arrays a = make_arrays(runtime, &shape);
        assert_ok(ts_muon_make(&muon, runtime, ts_kernels_at(ts_runtime_cpu_level(runtime)), &shape, a.table, a.count, false));
        for (int step = 0; step < 3; step++)
            ts_muon_step(muon, a.parameters, a.momentum, a.gradients, 1, 0.02, 0.95, 0);
        size = a.total * sizeof(float);
        if (first == NULL)
            first = memcpy(malloc(size), a.parameters, size);
        assert_memory_equal(first, a.parameters, size);
        ts_muon_free(muon);
        free_arrays(runtime, &a);
        ts_runtime_free(runtime);
    }
    free(first);
}

/* A gradient of zeros moves nothing but by decay. */
static void no_gradient(void **state)
{
    (void)state;
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    ts_architecture architecture = shape_of(TS_ARCHITECTURE_LLAMA);
    ts_shape shape;
    ts_muon *muon;
    ts_shape_of(&shape, &architecture);
    arrays a = make_arrays(runtime, &shape);
    float *before = memcpy(malloc(a.total * sizeof(float)), a.parameters, a.total * sizeof(float));
    memset(a.gradients, 0, a.total * sizeof(float));
    assert_ok(ts_muon_make(&muon, runtime, ts_kernels_at(ts_runtime_cpu_level(runtime)), &shape, a.table, a.count, false));
    ts_muon_step(muon, a.parameters, a.momentum, a.gradients, 1, 0.02, 0.95, 0);
    assert_memory_equal(before, a.parameters, a.total * sizeof(float));
    free(before);
    ts_muon_free(muon);
    free_arrays(runtime, &a);
    ts_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_definition), cmocka_unit_test(same_bits_by_any_threads), cmocka_unit_test(no_gradient)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

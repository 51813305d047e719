/* The network against PyTorch's numbers (tests/golden), against finite differences for every switch, and inference against training. */
#include "support/support.h"

#include <math.h>

#include "network/network.h"

/* A small network with its parameters and gradients. */
typedef struct subject {
    ts_runtime *runtime;
    ts_architecture architecture;
    ts_shape shape;
    ts_parameter *table;
    size_t count, total;
    float *parameters, *gradients;
    ts_weights weights, gradient_weights;
    ts_network *network;
    size_t B, T;
} subject;

static void make_at(subject *s, ts_architecture architecture, size_t B, size_t T, uint32_t threads, int32_t level, bool bf16)
{
    *s = (subject){.architecture = architecture, .B = B, .T = T};
    s->architecture.struct_size = sizeof s->architecture;
    s->runtime = make_runtime(threads, level);
    assert_int_equal(ts_architecture_complete(&s->architecture), TS_OK);
    ts_shape_of(&s->shape, &s->architecture);
    assert_int_equal(ts_parameters_make(s->runtime, &s->shape, &s->table, &s->count, &s->total), TS_OK);
    s->parameters = ts_allocate_array(s->runtime, s->total, sizeof(float));
    s->gradients = ts_allocate_array(s->runtime, s->total, sizeof(float));
    assert_int_equal(ts_weights_make(&s->weights, s->runtime, &s->shape, s->table, s->count, s->parameters), TS_OK);
    assert_int_equal(ts_weights_make(&s->gradient_weights, s->runtime, &s->shape, s->table, s->count, s->gradients), TS_OK);
    assert_int_equal(ts_network_make(&s->network, s->runtime, &s->shape, B, T, bf16, false), TS_OK);
}

static void make(subject *s, ts_architecture architecture, size_t B, size_t T, uint32_t threads, int32_t level)
{
    make_at(s, architecture, B, T, threads, level, false);
}

static void unmake(subject *s)
{
    ts_network_free(s->network);
    ts_weights_free(&s->weights, s->runtime);
    ts_weights_free(&s->gradient_weights, s->runtime);
    ts_release(s->runtime, s->parameters);
    ts_release(s->runtime, s->gradients);
    ts_release(s->runtime, s->table);
    assert_int_equal(ts_runtime_memory(s->runtime), 0);
    ts_runtime_free(s->runtime);
}

/* The generator that tests/golden/make_golden.py uses too. */
static uint32_t lcg(uint32_t *x)
{
    return *x = *x * 1664525u + 1013904223u;
}

static float lcg_weight(uint32_t *x)
{
    return (float)(((double)(lcg(x) >> 8) / 16777216.0 - 0.5) * 0.4);
}

static void draw_parameters(subject *s, uint32_t *x)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->table[i].rows * s->table[i].columns; j++)
            s->parameters[s->table[i].offset + j] = lcg_weight(x) + (s->table[i].initial == TS_INITIAL_ONE ? 1 : 0);
}

#define SMALL_LLAMA                                                                                                                                  \
    {                                                                                                                                                \
        .kind = TS_ARCHITECTURE_LLAMA, .vocabulary_size = 29, .context_length = 12, .width = 16, .layers = 2, .heads = 4, .key_value_heads = 2,      \
        .hidden = 24                                                                                                                                 \
    }
#define SMALL_UNTIED                                                                                                                                 \
    {                                                                                                                                                \
        .kind = TS_ARCHITECTURE_LLAMA, .vocabulary_size = 29, .context_length = 12, .width = 16, .layers = 2, .heads = 4, .key_value_heads = 4,      \
        .hidden = 24, .untied_head = 1, .rotary_base = 500000                                                                                        \
    }
#define SMALL_GPT2                                                                                                                                   \
    {                                                                                                                                                \
        .kind = TS_ARCHITECTURE_GPT2, .vocabulary_size = 29, .context_length = 12, .width = 16, .layers = 2, .heads = 4, .hidden = 64                \
    }
#define SMALL_GPT_NEO                                                                                                                                \
    {                                                                                                                                                \
        .kind = TS_ARCHITECTURE_GPT_NEO, .vocabulary_size = 29, .context_length = 12, .width = 16, .layers = 2, .heads = 4, .hidden = 64,            \
        .window = 5                                                                                                                                  \
    }

static const ts_architecture small[] = {SMALL_LLAMA, SMALL_UNTIED, SMALL_GPT2, SMALL_GPT_NEO};

static double loss_of(subject *s, const uint32_t *ids, const uint32_t *targets)
{
    double loss;
    size_t counted;
    ts_network_step(s->network, &s->weights, NULL, ids, targets, 1, &loss, &counted);
    return loss;
}

/* Central differences of the loss along each tensor's gradient direction and along random single parameters. `divider`: stories begin there, or
 * TS_IGNORE. */
static void check_differences(uint32_t divider)
{
    uint32_t ids[2 * 12], targets[2 * 12];
    for (size_t kind = 0; kind < TS_COUNT_OF(small); kind++) {
        subject s;
        uint32_t x = 7;
        double loss;
        size_t counted;
        make(&s, small[kind], 2, 12, 2, TS_CPU_LEVEL_BEST);
        draw_parameters(&s, &x);
        for (int i = 0; i < 24; i++) {
            ids[i] = lcg(&x) % 29;
            targets[i] = i == 5 ? TS_IGNORE : lcg(&x) % 29;
            if (divider != TS_IGNORE && (i == 4 || i == 9 || i == 10))
                ids[i] = divider;
        }
        if (divider != TS_IGNORE)
            ts_network_divide(s.network, ids, divider);
        ts_network_step(s.network, &s.weights, &s.gradient_weights, ids, targets, 1, &loss, &counted);
        assert_int_equal(counted, 23);
        for (size_t i = 0; i < s.count; i++) {
            const ts_parameter *p = &s.table[i];
            float *at = s.parameters + p->offset, *g = s.gradients + p->offset, saved[64 * 29];
            size_t n = p->rows * p->columns;
            double norm = 0;
            for (size_t j = 0; j < n; j++)
                norm += (double)g[j] * (double)g[j];
            norm = sqrt(norm);
            assert_true(n <= TS_COUNT_OF(saved) && norm > 1e-4);
            memcpy(saved, at, n * sizeof(float));
            double losses[2], step = 2e-3;
            for (int side = 0; side < 2; side++) {
                for (size_t j = 0; j < n; j++)
                    at[j] = (float)((double)saved[j] + (side ? -step : step) * (double)g[j] / norm);
                losses[side] = loss_of(&s, ids, targets);
            }
            memcpy(at, saved, n * sizeof(float));
            double slope = (losses[0] - losses[1]) / (2 * step);
            if (fabs(slope - norm) > 0.01 * norm + 2e-3)
                fail_msg("%s of kind %zu: slope %g, gradient %g", p->name, kind, slope, norm);
            for (int single = 0; single < 4; single++) {
                size_t j = lcg(&x) % n;
                step = 5e-3;
                for (int side = 0; side < 2; side++) {
                    at[j] = (float)((double)saved[j] + (side ? -step : step));
                    losses[side] = loss_of(&s, ids, targets);
                }
                at[j] = saved[j];
                slope = (losses[0] - losses[1]) / (2 * step);
                if (fabs(slope - (double)g[j]) > 0.02 * fabs((double)g[j]) + 4e-3)
                    fail_msg("%s[%zu] of kind %zu: slope %g, gradient %g", p->name, j, kind, slope, (double)g[j]);
            }
        }
        unmake(&s);
    }
}

static void test_finite_differences(void **state)
{
    (void)state;
    check_differences(TS_IGNORE);
    check_differences(3);
}

/* ---- spans ---- */

/* Stories packed into two sequences, one of them over the edge and one longer than a sequence, give the logits, losses and gradients of each alone.
 */
static void test_spans_alone(void **state)
{
    static const size_t spans[] = {5, 1, 11, 12, 7}; /* the fourth is a story's first T rows, the fifth its rest */
    (void)state;
    for (size_t kind = 0; kind < TS_COUNT_OF(small); kind++) {
        subject s;
        uint32_t x = 17, ids[36], targets[36];
        double whole, sum = 0;
        size_t counted, begin = 0;
        float *gradients, packed[29], alone[29];
        make(&s, small[kind], 3, 12, 2, TS_CPU_LEVEL_BEST);
        draw_parameters(&s, &x);
        for (size_t i = 0; i < 36; i++)
            ids[i] = 1 + lcg(&x) % 28, targets[i] = lcg(&x) % 29;
        ids[0] = ids[5] = ids[6] = ids[17] = 0;
        ts_network_divide(s.network, ids, 0);
        ts_network_step(s.network, &s.weights, &s.gradient_weights, ids, targets, 1, &whole, &counted);
        gradients = calloc(s.total, sizeof *gradients);
        for (size_t i = 0; i < TS_COUNT_OF(spans); begin += spans[i++]) {
            subject one;
            double loss;
            make(&one, small[kind], 1, spans[i], 1, TS_CPU_LEVEL_BEST);
            memcpy(one.parameters, s.parameters, s.total * sizeof(float));
            ts_network_step(one.network, &one.weights, &one.gradient_weights, ids + begin, targets + begin, 1, &loss, &counted);
            sum += loss;
            for (size_t j = 0; j < s.total; j++)
                gradients[j] += one.gradients[j];
            for (size_t row = 0; row < spans[i]; row++) {
                ts_network_logits(s.network, &s.weights, begin + row, packed);
                ts_network_logits(one.network, &one.weights, row, alone);
                if (ts_kernels_at(ts_runtime_cpu_level(s.runtime))->tile_rows != 0)
                    assert_memory_equal(packed, alone, sizeof packed);
                for (int v = 0; v < 29; v++)
                    assert_true(fabsf(packed[v] - alone[v]) < 1e-5f);
            }
            unmake(&one);
        }
        assert_int_equal(begin, 36);
        assert_true(fabs(whole - sum) < 1e-4);
        for (size_t j = 0; j < s.total; j++)
            assert_true(fabsf(gradients[j] - s.gradients[j]) < 2e-5f + 2e-5f * fabsf(gradients[j]));
        free(gradients);
        ts_network_divide(s.network, NULL, 0); /* and back */
        ts_network_step(s.network, &s.weights, NULL, ids, targets, 1, &sum, &counted);
        assert_true(fabs(whole - sum) > 1e-3);
        unmake(&s);
    }
}

/* The inference path, fed in chunks of every size, gives the logits of the training path. */
static void test_inference(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < TS_COUNT_OF(small); kind++)
        for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= ts_cpu_level_best(); level++) {
            subject s;
            uint32_t x = 11, ids[12], targets[12];
            float whole[12 * 29], logits[29];
            double loss;
            size_t counted, memory = 0;
            make(&s, small[kind], 1, 12, 2, level);
            draw_parameters(&s, &x);
            for (int i = 0; i < 12; i++)
                ids[i] = lcg(&x) % 29, targets[i] = 0;
            ts_network_step(s.network, &s.weights, NULL, ids, targets, 1, &loss, &counted);
            ts_arena arena;
            ts_cache cache;
            ts_scratch scratch;
            assert_true(ts_inference_plan(&s.shape, 5, 12, 2, &memory));
            assert_int_equal(ts_arena_init(&arena, s.runtime, memory), TS_OK);
            ts_inference_take(&s.shape, 5, 12, 2, &arena, &cache, &scratch);
            for (size_t chunk = 1; chunk <= 5; chunk++) {
                cache.used = 0;
                for (size_t at = 0; at < 12; at += chunk) {
                    size_t count = TS_MIN(chunk, 12 - at);
                    ts_inference_rows(s.runtime, ts_kernels_at(level), &s.shape, &s.weights, ids + at, count, &cache, &scratch);
                    for (size_t row = 0; row < count; row++) {
                        ts_inference_logits(s.runtime, ts_kernels_at(level), &s.shape, &s.weights, scratch.norm + row * 16, 1, logits, &scratch);
                        if (chunk == 1)
                            memcpy(whole + at * 29, logits, sizeof logits);
                        else /* the same bits, however many rows are read together */
                            assert_memory_equal(whole + (at + row) * 29, logits, sizeof logits);
                    }
                }
            }
            for (size_t row = 0; row < 12; row++) {
                ts_network_logits(s.network, &s.weights, row, logits);
                for (int v = 0; v < 29; v++)
                    assert_true(fabsf(logits[v] - whole[row * 29 + (size_t)v]) < 2e-5f);
            }
            ts_arena_free(&arena);
            unmake(&s);
        }
}

/* Losses and gradients are the same bits for 1, 2 and 4 threads, on a shape with several pieces of everything; with spans of stories too. */
static void test_threads_same_bits(void **state)
{
    (void)state;
    for (int kind = 1; kind <= 6; kind++) {
        bool spans = kind > 3;
        ts_architecture a = {.kind = spans ? kind - 3 : kind, .vocabulary_size = 500, .context_length = 70, .width = 72, .layers = 2, .heads = 6};
        float *gradients[3];
        double losses[3];
        size_t total = 0;
        for (int i = 0; i < 3; i++) {
            subject s;
            uint32_t x = 3, ids[3 * 70], targets[3 * 70];
            size_t counted;
            make(&s, a, 3, 70, 1u << i, TS_CPU_LEVEL_BEST);
            ts_parameters_initialize(s.table, s.count, &s.shape, s.parameters, 5);
            for (int j = 0; j < 210; j++)
                ids[j] = lcg(&x) % (spans ? 40 : 500), targets[j] = lcg(&x) % 500;
            if (spans)
                ts_network_divide(s.network, ids, 7);
            ts_network_step(s.network, &s.weights, &s.gradient_weights, ids, targets, 0.01f, &losses[i], &counted);
            total = s.total;
            gradients[i] = malloc(total * sizeof(float));
            memcpy(gradients[i], s.gradients, total * sizeof(float));
            bool own = ts_kernels_at(ts_runtime_cpu_level(s.runtime))->tile_rows != 0;
            unmake(&s);
            if (i > 0 && own) {
                assert_memory_equal(&losses[0], &losses[i], sizeof(double));
                assert_memory_equal(gradients[0], gradients[i], total * sizeof(float));
            }
        }
        for (int i = 0; i < 3; i++)
            free(gradients[i]);
    }
}

/* Activations that are worked out again give the same bits in less memory. */
static void test_recompute(void **state)
{
    (void)state;
    for (int kind = 1; kind <= 3; kind++) {
        subject s;
        uint32_t x = 3, ids[140], targets[140];
        double losses[2];
        size_t counted, memory[2];
        make(&s, (ts_architecture){.kind = kind, .vocabulary_size = 60, .context_length = 70, .width = 72, .layers = 5, .heads = 6}, 2, 70, 2, TS_CPU_LEVEL_BEST);
        ts_parameters_initialize(s.table, s.count, &s.shape, s.parameters, 5);
        for (int i = 0; i < 140; i++)
            ids[i] = lcg(&x) % 60, targets[i] = lcg(&x) % 60;
        float *kept = malloc(s.total * sizeof *kept);
        for (int again = 0; again < 2; again++) {
            ts_network_free(s.network);
            s.network = NULL;
            memory[again] = ts_runtime_memory(s.runtime);
            assert_int_equal(ts_network_make(&s.network, s.runtime, &s.shape, 2, 70, false, again), TS_OK);
            memory[again] = ts_runtime_memory(s.runtime) - memory[again];
            memset(s.gradients, 0, s.total * sizeof(float));
            ts_network_step(s.network, &s.weights, &s.gradient_weights, ids, targets, 0.01f, &losses[again], &counted);
            if (!again)
                memcpy(kept, s.gradients, s.total * sizeof *kept);
        }
        assert_memory_equal(&losses[0], &losses[1], sizeof *losses);
        assert_memory_equal(kept, s.gradients, s.total * sizeof *kept);
        size_t spared = 4 * 140 * 4 * (2 * s.shape.C + s.shape.up + s.shape.F); /* of all layers but one */
        assert_true(memory[0] >= memory[1] + spared && memory[0] <= memory[1] + spared + 4096);
        free(kept);
        unmake(&s);
    }
}

/* ---- PyTorch ---- */

#ifndef TS_GOLDEN
#define TS_GOLDEN "tests/golden"
#endif

static const char *const golden_names[] = {"llama", "llama_untied", "gpt2", "gpt_neo"};

/* Finds "name count" in the file and reads its values. */
static void golden_values(FILE *file, const char *name, float *values, size_t expected)
{
    char word[64];
    size_t count;
    rewind(file);
    char line[65536];
    while (fgets(line, sizeof line, file)) {
        int used;
        if (line[0] == '#' || sscanf(line, "%63s %zu%n", word, &count, &used) != 2 || strcmp(word, name) != 0)
            continue;
        assert_int_equal(count, expected);
        char *at = line + used;
        for (size_t i = 0; i < count; i++)
            values[i] = strtof(at, &at);
        return;
    }
    fail_msg("no %s in the golden file", name);
}

static void test_pytorch(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < TS_COUNT_OF(small); kind++)
        for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= ts_cpu_level_best(); level++) {
            subject s;
            uint32_t x = 1, ids[24], targets[24];
            char path[512];
            float values[64 * 29], logits[29], loss_value;
            double loss;
            size_t counted;
            snprintf(path, sizeof path, "%s/%s.txt", TS_GOLDEN, golden_names[kind]);
            FILE *file = fopen(path, "r");
            assert_non_null(file);
            make(&s, small[kind], 2, 12, 2, level);
            draw_parameters(&s, &x);
            golden_values(file, "ids", values, 24);
            for (int i = 0; i < 24; i++)
                ids[i] = (uint32_t)values[i];
            golden_values(file, "targets", values, 24);
            for (int i = 0; i < 24; i++)
                targets[i] = values[i] < 0 ? TS_IGNORE : (uint32_t)values[i];
            size_t targets_counted = 0;
            for (int i = 0; i < 24; i++)
                targets_counted += targets[i] != TS_IGNORE;
            ts_network_step(s.network, &s.weights, &s.gradient_weights, ids, targets, 1.0f / (float)targets_counted, &loss, &counted);
            assert_int_equal(counted, targets_counted);
            golden_values(file, "loss", &loss_value, 1);
            assert_true(fabs(loss / (double)counted - (double)loss_value) < 2e-6);
            golden_values(file, "logits", values, 2 * 29);
            for (size_t b = 0; b < 2; b++) {
                ts_network_logits(s.network, &s.weights, b * 12 + 11, logits);
                for (int v = 0; v < 29; v++)
                    assert_true(fabsf(logits[v] - values[b * 29 + (size_t)v]) < 1e-5f);
            }
            for (size_t i = 0; i < s.count; i++) {
                const ts_parameter *p = &s.table[i];
                size_t n = p->rows * p->columns;
                golden_values(file, p->name, values, n);
                for (size_t j = 0; j < n; j++)
                    if (!(fabsf(s.gradients[p->offset + j] - values[j]) < 2e-6f + 2e-5f * fabsf(values[j])))
                        fail_msg("%s: d%s[%zu] is %.9g, PyTorch %.9g", golden_names[kind], p->name, j, (double)s.gradients[p->offset + j],
                                 (double)values[j]);
            }
            fclose(file);
            unmake(&s);
        }
}

/* How far b is from a, relative to a. */
static double distance(const float *a, const float *b, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)a[i] * (double)a[i];
    }
    return sqrt(difference / norm);
}

/* Contexts of several blocks of queries, windows smaller and larger than a block, heads of 4 to 128: the reference's gradients, finite differences
 * along each tensor's gradient, bf16 within its rounding, and the same bits for 1 and 3 threads. */
static void test_long_contexts(void **state)
{
    static const ts_architecture cases[] = {
        {.kind = TS_ARCHITECTURE_LLAMA, .width = 32, .heads = 2, .key_value_heads = 1, .context_length = 70},
        {.kind = TS_ARCHITECTURE_GPT2, .width = 32, .heads = 4, .context_length = 70},
        {.kind = TS_ARCHITECTURE_GPT_NEO, .width = 32, .heads = 4, .context_length = 100, .window = 40},
        {.kind = TS_ARCHITECTURE_GPT_NEO, .width = 16, .heads = 4, .context_length = 70, .window = 5},
        {.kind = TS_ARCHITECTURE_LLAMA, .width = 128, .heads = 1, .context_length = 40},
        {.kind = TS_ARCHITECTURE_LLAMA, .width = 16, .heads = 4, .key_value_heads = 2, .context_length = 66},
    };
    const struct run {
        int32_t level;
        uint32_t threads;
        bool bf16;
    } runs[] = {{TS_CPU_LEVEL_REFERENCE, 1, false}, {0, 1, false}, {0, 3, false}, {0, 1, true}, {0, 3, true}};
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        float *gradients[TS_COUNT_OF(runs)] = {NULL};
        size_t total = 0;
        for (size_t r = 0; r < TS_COUNT_OF(runs); r++) {
            subject s;
            uint32_t x = 5, ids[300], targets[300];
            double loss, slopes[2];
            size_t counted;
            ts_runtime *best = make_runtime(1, 0);
            const ts_kernels *kernels = ts_kernels_at(ts_runtime_cpu_level(best));
            ts_runtime_free(best);
            if ((runs[r].bf16 && kernels->tile_pairs == NULL) || (runs[r].level == 0 && kernels->tile_rows == 0))
                continue;
            ts_architecture architecture = cases[i];
            architecture.vocabulary_size = 50, architecture.layers = 2;
            make_at(&s, architecture, 2, architecture.context_length, runs[r].threads, runs[r].level, runs[r].bf16);
            draw_parameters(&s, &x);
            for (size_t at = 0; at < 2 * s.T; at++)
                ids[at] = lcg(&x) % 50, targets[at] = lcg(&x) % 50;
            ts_network_step(s.network, &s.weights, &s.gradient_weights, ids, targets, 1, &loss, &counted);
            total = s.total;
            gradients[r] = malloc(total * sizeof(float));
            memcpy(gradients[r], s.gradients, total * sizeof(float));
            for (size_t t = 0; r == 1 && t < s.count; t++) {
                size_t count = s.table[t].rows * s.table[t].columns;
                float *at = s.parameters + s.table[t].offset, *gradient = s.gradients + s.table[t].offset, *saved = malloc(count * sizeof(float));
                double norm = 0, step = 2e-3;
                memcpy(saved, at, count * sizeof(float));
                for (size_t j = 0; j < count; j++)
                    norm += (double)gradient[j] * (double)gradient[j];
                norm = sqrt(norm);
                for (int side = 0; side < 2; side++) {
                    for (size_t j = 0; j < count; j++)
                        at[j] = (float)((double)saved[j] + (side ? -step : step) * (double)gradient[j] / norm);
                    ts_network_step(s.network, &s.weights, NULL, ids, targets, 1, &slopes[side], &counted);
                }
                memcpy(at, saved, count * sizeof(float));
                free(saved);
                assert_true(fabs((slopes[0] - slopes[1]) / (2 * step) - norm) < 1e-3 * norm);
            }
            unmake(&s);
        }
        for (size_t r = 1; r < 3 && gradients[r] != NULL; r++)
            assert_true(distance(gradients[0], gradients[r], total) < 1e-5);
        if (gradients[2] != NULL)
            assert_memory_equal(gradients[1], gradients[2], total * sizeof(float));
        if (gradients[3] != NULL) {
            assert_true(distance(gradients[0], gradients[3], total) < 3e-2);
            assert_true(distance(gradients[0], gradients[3], total) > 1e-4); /* it is bf16 */
            assert_memory_equal(gradients[3], gradients[4], total * sizeof(float));
        }
        for (size_t r = 0; r < TS_COUNT_OF(runs); r++)
            free(gradients[r]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finite_differences), cmocka_unit_test(test_spans_alone), cmocka_unit_test(test_inference),
        cmocka_unit_test(test_threads_same_bits),  cmocka_unit_test(test_recompute),   cmocka_unit_test(test_pytorch),
        cmocka_unit_test(test_long_contexts),
    };
    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}

/* Top-k, top-p and drawing against sorting and adding up, on awkward logits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sampler/distribution.h"

enum { MOST = 700 };

static uint32_t ids[MOST];
static float kept_logits[MOST], weights[MOST];

static ts_candidates candidates_of(const float *logits, size_t count, uint32_t banned)
{
    ts_candidates c = {.ids = ids, .logits = kept_logits, .weights = weights, .capacity = MOST};
    assert_int_equal(ts_candidates_fill(&c, logits, count), TS_OK);
    if (banned < count)
        c.logits[banned] = -INFINITY;
    assert_true(ts_candidates_drop(&c));
    assert_int_equal(c.count, count - (banned < count));
    return c;
}

typedef struct entry {
    float logit;
    uint32_t id;
} entry;

static int likelier(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* Several kinds of logits, many of them equal. */
static void make_logits(float *logits, size_t count, uint64_t kind)
{
    ts_random random = {.seed = 5, .stream = kind};
    for (size_t i = 0; i < count; i++) {
        double normal = ts_random_normal(&random);
        logits[i] = kind % 5 == 0   ? (float)normal
                    : kind % 5 == 1 ? (float)(int)(2 * normal)
                    : kind % 5 == 2 ? 3
                    : kind % 5 == 3 ? (float)(1e30 * normal)
                                    : (float)(1e-30 * (double)(int)(3 * normal));
    }
    if (kind % 7 == 0)
        logits[count / 2] = -0.0f;
}

static void sorted(entry *entries, const float *logits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        entries[i] = (entry){logits[i], (uint32_t)i};
    qsort(entries, count, sizeof *entries, likelier);
}

static void assert_kept(const ts_candidates *c, const entry *entries, size_t expected)
{
    assert_int_equal(c->count, expected);
    char in[MOST] = {0};
    for (size_t i = 0; i < expected; i++)
        in[entries[i].id] = 1;
    for (size_t i = 0; i < c->count; i++) {
        assert_true(in[c->ids[i]]);
        assert_true(i == 0 || c->ids[i] > c->ids[i - 1]);
    }
}

static void top_k(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 17, 256, 257, MOST};
    for (uint64_t kind = 0; kind < 35; kind++) {
        for (size_t n = 0; n < TS_COUNT_OF(counts); n++) {
            float logits[MOST];
            entry entries[MOST];
            size_t count = counts[n];
            make_logits(logits, count, kind);
            sorted(entries, logits, count);
            const size_t ks[] = {1, 2, 3, count / 2 + 1, count, count + 1, 5 * count};
            for (size_t k = 0; k < TS_COUNT_OF(ks); k++) {
                ts_candidates c = candidates_of(logits, count, UINT32_MAX);
                assert_int_equal(ts_candidates_likeliest(&c), entries[0].id);
                ts_candidates_keep_top_k(&c, ks[k]);
                assert_kept(&c, entries, TS_MIN(ks[k], count));
            }
        }
    }
}

static void top_p(void **state)
{
    (void)state;
    static const float shares[] = {1e-6f, 0.1f, 0.5f, 0.9f, 0.999f};
    static const float temperatures[] = {1e-30f, 0.3f, 1, 100};
    const ts_kernels *kernels = ts_kernels_at(ts_cpu_level_best());
    for (uint64_t kind = 0; kind < 35; kind++) {
        float logits[MOST];
        entry entries[MOST];
        make_logits(logits, MOST, kind);
        sorted(entries, logits, MOST);
        for (size_t t = 0; t < TS_COUNT_OF(temperatures); t++) {
            for (size_t s = 0; s < TS_COUNT_OF(shares); s++) {
                ts_candidates c = candidates_of(logits, MOST, UINT32_MAX);
                ts_candidates_weigh(&c, kernels, temperatures[t]);
                double by_id[MOST], total = 0, sum = 0;
                for (size_t i = 0; i < MOST; i++) {
                    assert_int_equal(c.ids[i], i);
                    by_id[i] = c.weights[i];
                    total += by_id[i];
                }
                ts_candidates_keep_top_p(&c, shares[s]);
                /* Sums in another order: the number that is kept may differ where the share is reached by a hair. */
                size_t least = 0, most = 0;
                for (size_t i = 0; i < MOST; i++) {
                    sum += by_id[entries[i].id];
                    least += sum < shares[s] * total * (1 - 1e-12);
                    most += sum < shares[s] * total * (1 + 1e-12);
                }
                assert_in_range(c.count, TS_MIN(least + 1, MOST), TS_MIN(most + 1, MOST));
                assert_kept(&c, entries, c.count);
            }
        }
    }
}

static void weights_are_probabilities(void **state)
{
    (void)state;
    const int32_t levels[] = {TS_CPU_LEVEL_REFERENCE, ts_cpu_level_best()};
    for (size_t l = 0; l < 2; l++) {
        float logits[100];
        make_logits(logits, 100, 0);
        ts_candidates c = candidates_of(logits, 100, 13);
        ts_candidates_weigh(&c, ts_kernels_at(levels[l]), 0.7f);
        assert_int_equal(c.count, 99);
        double greatest = -1e9;
        for (size_t i = 0; i < 100; i++)
            if (i != 13 && logits[i] > greatest)
                greatest = logits[i];
        for (size_t i = 0; i < c.count; i++) {
            assert_int_not_equal(c.ids[i], 13);
            double expected = exp((logits[c.ids[i]] - greatest) / 0.7f);
            assert_true(fabs(c.weights[i] - expected) < 1e-5 * expected);
        }
    }
}

static void drawing(void **state)
{
    (void)state;
    float logits[5] = {0, 1, -1, 2, 0.5f};
    ts_candidates c = candidates_of(logits, 5, UINT32_MAX);
    ts_candidates_weigh(&c, ts_kernels_at(TS_CPU_LEVEL_REFERENCE), 1);
    double total = 0, below = 0;
    for (size_t i = 0; i < 5; i++)
        total += c.weights[i];
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(ts_candidates_draw(&c, (below + 1e-9) / total), i);
        below += c.weights[i];
        assert_int_equal(ts_candidates_draw(&c, (below - 1e-9) / total), i);
    }
    assert_int_equal(ts_candidates_draw(&c, 0), 0);
    assert_int_equal(ts_candidates_draw(&c, 1 - 0x1p-53), 4);
}

static void not_finite(void **state)
{
    (void)state;
    ts_candidates c = {.ids = ids, .logits = kept_logits, .weights = weights, .capacity = MOST};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        float logits[3] = {1, 2, bad[i]};
        assert_int_equal(ts_candidates_fill(&c, logits, 3), TS_ERROR_DIVERGED);
    }
    float one = 1;
    assert_int_equal(ts_candidates_fill(&c, &one, 1), TS_OK);
    c.logits[0] = -INFINITY;
    assert_false(ts_candidates_drop(&c));
    assert_int_equal(c.count, 0);
}

/* Those whose probability is at least a share of the likeliest one's; at 1 the likeliest and its equals. */
static void min_p(void **state)
{
    (void)state;
    const ts_kernels *kernels = ts_kernels_at(TS_CPU_LEVEL_REFERENCE);
    static const float logits[] = {0, 1, 3, 2.5f, 3, -4}, shares[] = {1, 0.9f, 0.6f, 0.5f, 0.1f, 0.001f};
    static const size_t left[] = {2, 2, 3, 3, 4, 5}; /* e^-0.5 = 0.61, e^-2 = 0.14, e^-3 = 0.05, e^-7 = 0.0009 */
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        ts_candidates c = candidates_of(logits, 6, UINT32_MAX);
        ts_candidates_weigh(&c, kernels, 1);
        ts_candidates_keep_min_p(&c, shares[i]);
        assert_int_equal(c.count, left[i]);
        for (size_t k = 0; k < c.count; k++)
            assert_true(c.logits[k] == logits[c.ids[k]] && (k == 0 || c.ids[k] > c.ids[k - 1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_k),   cmocka_unit_test(top_p),      cmocka_unit_test(weights_are_probabilities),
        cmocka_unit_test(drawing), cmocka_unit_test(not_finite), cmocka_unit_test(min_p),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

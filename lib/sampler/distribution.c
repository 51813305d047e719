/* Temperature, top-k, top-p and min-p over the logits of one position. */
#include "sampler/distribution.h"

#include <math.h>

bool ts_candidates_plan(size_t capacity, size_t *total)
{
    return ts_arena_plan(total, capacity, sizeof(uint32_t)) && ts_arena_plan(total, capacity, sizeof(float)) &&
           ts_arena_plan(total, capacity, sizeof(float));
}

void ts_candidates_take(ts_candidates *candidates, size_t capacity, ts_arena *arena)
{
    candidates->ids = ts_arena_take(arena, capacity, sizeof(uint32_t));
    candidates->logits = ts_arena_take(arena, capacity, sizeof(float));
    candidates->weights = ts_arena_take(arena, capacity, sizeof(float));
    candidates->capacity = capacity;
    candidates->count = 0;
}

ts_status ts_candidates_fill(ts_candidates *candidates, const float *logits, size_t count)
{
    for (size_t id = 0; id < count; id++) {
        if (!isfinite(logits[id]))
            return ts_fail(TS_ERROR_DIVERGED, "the model's logit of token %zu is not a finite number", id);
        candidates->ids[id] = (uint32_t)id;
        candidates->logits[id] = logits[id];
    }
    candidates->count = count;
    return TS_OK;
}

bool ts_candidates_drop(ts_candidates *candidates)
{
    size_t kept = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        candidates->ids[kept] = candidates->ids[i];
        candidates->logits[kept] = candidates->logits[i];
        kept += candidates->logits[i] > -INFINITY;
    }
    candidates->count = kept;
    return kept > 0;
}

uint32_t ts_candidates_likeliest(const ts_candidates *candidates)
{
    size_t best = 0;
    for (size_t i = 1; i < candidates->count; i++)
        if (candidates->logits[i] > candidates->logits[best])
            best = i;
    return candidates->ids[best];
}

/* A finite float as an integer of the same order; -0 counts as 0. */
static uint32_t rank_of(float value)
{
    uint32_t bits;
    value += 0.0f;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/*
 * Keeps the fewest likeliest candidates whose worths (1 each where `worths` is NULL) reach `target` together. A search for the rank of the last of
 * them, a byte at a time from the highest: sum the worth of each value of the byte among the candidates that share the bytes found so far, and go
 * down to the value in which the target is reached. Four passes whatever the logits are, and nothing is moved until the end.
 */
static void keep_likeliest(ts_candidates *candidates, const float *worths, double target)
{
    uint32_t found = 0, mask = 0;
    double above = 0; /* worth of all candidates that rank above the bytes found */
    for (int shift = 24; shift >= 0; shift -= 8) {
        double sums[256] = {0};
        uint32_t counts[256] = {0};
        for (size_t i = 0; i < candidates->count; i++) {
            uint32_t rank = rank_of(candidates->logits[i]);
            if ((rank & mask) != found)
                continue;
            sums[rank >> shift & 255] += worths ? worths[i] : 1;
            counts[rank >> shift & 255]++;
        }
        /* The last value that occurs is taken in any case: rounding must not carry the search beyond the candidates. */
        uint32_t chosen = 0;
        double before = above;
        for (int value = 255; value >= 0; value--) {
            if (counts[value] == 0)
                continue;
            chosen = (uint32_t)value;
            above = before;
            before += sums[value];
            if (before >= target)
                break;
        }
        found |= chosen << shift;
        mask |= 255u << shift;
    }
    size_t kept = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        uint32_t rank = rank_of(candidates->logits[i]);
        if (rank < found || (rank == found && above >= target))
            continue;
        if (rank == found)
            above += worths ? worths[i] : 1;
        candidates->ids[kept] = candidates->ids[i];
        candidates->logits[kept] = candidates->logits[i];
        candidates->weights[kept] = candidates->weights[i];
        kept++;
    }
    candidates->count = kept;
}

void ts_candidates_keep_top_k(ts_candidates *candidates, size_t k)
{
    if (k < candidates->count)
        keep_likeliest(candidates, NULL, (double)k);
}

static double total_weight(const ts_candidates *candidates)
{
    double total = 0;
    for (size_t i = 0; i < candidates->count; i++)
        total += candidates->weights[i];
    return total;
}

/* The inverse of a temperature of almost 0 must stay finite, as 0 times it must be 0. */
static float inverse_of(float temperature)
{
    return temperature < 1e-20f ? 1e20f : 1 / temperature;
}

void ts_candidates_divide(ts_candidates *candidates, float temperature)
{
    float scale = inverse_of(temperature);
    for (size_t i = 0; i < candidates->count && temperature != 1; i++)
        candidates->logits[i] = ts_bounded(candidates->logits[i] * scale);
}

void ts_candidates_weigh(ts_candidates *candidates, const ts_kernels *kernels, float temperature)
{
    float greatest = kernels->maximum(candidates->logits, candidates->count);
    for (size_t i = 0; i < candidates->count; i++)
        candidates->weights[i] = candidates->logits[i] - greatest;
    kernels->exp_sum(candidates->weights, candidates->count, inverse_of(temperature), 0);
}

void ts_candidates_keep_top_p(ts_candidates *candidates, float p)
{
    keep_likeliest(candidates, candidates->weights, p * total_weight(candidates));
}

void ts_candidates_keep_min_p(ts_candidates *candidates, float p)
{
    size_t kept = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        if (candidates->weights[i] < p) /* the greatest weight is 1 */
            continue;
        candidates->ids[kept] = candidates->ids[i];
        candidates->logits[kept] = candidates->logits[i];
        candidates->weights[kept] = candidates->weights[i];
        kept++;
    }
    candidates->count = kept;
}

uint32_t ts_candidates_draw(const ts_candidates *candidates, double unit)
{
    double target = unit * total_weight(candidates), sum = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        sum += candidates->weights[i];
        if (sum > target)
            return candidates->ids[i];
    }
    return candidates->ids[candidates->count - 1]; /* only by rounding */
}

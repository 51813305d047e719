/*
 * Choosing a token from logits. Nothing here allocates; candidates keep the order of their ids throughout, so that every sum has one order and ties
 * go to the lower id.
 */
#ifndef TS_DISTRIBUTION_H
#define TS_DISTRIBUTION_H

#include "base/base.h"
#include "tensor/tensor.h"

/* Logits that no division may bring beyond what differences of two stay finite with. */
#define TS_GREATEST_LOGIT 1e30f

static inline float ts_bounded(float logit)
{
    return TS_MAX(-TS_GREATEST_LOGIT, TS_MIN(logit, TS_GREATEST_LOGIT));
}

/* The tokens that may still be drawn. */
typedef struct ts_candidates {
    uint32_t *ids;  /* ascending */
    float *logits;  /* of each */
    float *weights; /* of each: e^((logit - greatest) / temperature), set by ts_candidates_weigh */
    size_t count, capacity;
} ts_candidates;

/* Adds the memory of `capacity` candidates to an arena's plan; false on overflow. Then takes it. */
bool ts_candidates_plan(size_t capacity, size_t *total);
void ts_candidates_take(ts_candidates *candidates, size_t capacity, ts_arena *arena);

/* Begins with all ids below `count`, each at its own place, so that logits[id] may be changed. DIVERGED: a logit is not finite. */
ts_status ts_candidates_fill(ts_candidates *candidates, const float *logits, size_t count);

/* Takes out those whose logit is -INFINITY (or no number); false if none are left. */
bool ts_candidates_drop(ts_candidates *candidates);

/* The likeliest candidate. */
uint32_t ts_candidates_likeliest(const ts_candidates *candidates);

/* Keeps the k likeliest; k at least 1. */
void ts_candidates_keep_top_k(ts_candidates *candidates, size_t k);

/* Divides the logits by a temperature above 0. */
void ts_candidates_divide(ts_candidates *candidates, float temperature);

/* Sets the weights; temperature above 0. To be called again when the candidates' logits or the temperature change. */
void ts_candidates_weigh(ts_candidates *candidates, const ts_kernels *kernels, float temperature);

/* Keeps those whose weight is at least the share p of the greatest, above 0 and up to 1. */
void ts_candidates_keep_min_p(ts_candidates *candidates, float p);

/* Keeps the fewest likeliest candidates that hold the share p, above 0 and below 1, of all weight. */
void ts_candidates_keep_top_p(ts_candidates *candidates, float p);

/* Draws one in proportion to the weights; `unit` is uniform in [0, 1). */
uint32_t ts_candidates_draw(const ts_candidates *candidates, double unit);

#endif

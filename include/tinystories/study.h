/*
 * What studies of several models need beside an evaluator's results: power laws through losses (paper section 6, figure 23), and the sign test.
 *
 * A study trains or takes several models and sets them side by side. It is made of trainers, samplers and evaluators by the caller, as the command line's
 * `study grid` does; here is its arithmetic. Functions keep nothing and may be called by any thread at any time.
 */
#ifndef TINYSTORIES_STUDY_H
#define TINYSTORIES_STUDY_H

#include "tinystories/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = factor x^exponent, the least squares of the logarithms. */
typedef struct ts_power_law {
    size_t struct_size;
    double factor;         /* above 0: y where x is 1, mostly far outside of what was measured */
    double exponent;
    double exponent_low;   /* its interval by the least squares' covariance and Student's t with count - 2 degrees of freedom; NaN with two points, as the high end */
    double exponent_high;
    double deviation;      /* standard deviation of ln y around the line, by count - 2; NaN with two points */
    double explained;      /* share of the variance of ln y that the line explains, 0 to 1; NaN if every y is the same */
    uint64_t count;        /* points */
} ts_power_law;

/*
 * Fits a power law to `count` points. `confidence` of the interval is above 0 and below 1. The interval takes the points for independent and ln y for evenly
 * scattered: of models that one seed trained it tells how well the line fits, not what other seeds would give. INVALID_ARGUMENT: fewer than two points, all x the
 * same, or a number that is not finite or not above 0, which the detail names.
 */
TS_API ts_status ts_power_law_fit(const double *x, const double *y, size_t count, double confidence, ts_power_law *law);

/*
 * Marks the lower envelope of points: frontier[i] becomes 1 if no point has a y at most as large at an x at most as large (of equal points the first is
 * marked), else 0. So of models at several moments of their training it takes, for each amount of compute, the best that there was (figure 23).
 * INVALID_ARGUMENT: a number is NaN.
 */
TS_API ts_status ts_frontier_mark(const double *x, const double *y, size_t count, uint8_t *frontier);

/*
 * The two-sided sign test: *p becomes the probability that of wins + losses fair throws at least as many fall on one side as the larger of both; 1
 * without any. Ties are left out by the caller. Exact up to 2^20 throws, a normal approximation beyond.
 */
TS_API ts_status ts_sign_test(uint64_t wins, uint64_t losses, double *p);

#ifdef __cplusplus
}
#endif

#endif

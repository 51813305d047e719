/* Studies' arithmetic: power laws by least squares, envelopes, and the sign test. */
#include "tinystories/study.h"

#include "base/base.h"

#include <math.h>

/* ---- Student's t ---- */

/* The probability that |T| is at most t for whole degrees of freedom, by the finite series in the angle (Abramowitz and Stegun 26.7.3 and 26.7.4). */
static double student_within(double t, uint64_t freedom)
{
    double angle = atan(t / sqrt((double)freedom)), c = cos(angle), s = sin(angle), sum = 0, term = freedom % 2 ? c : 1;
    for (uint64_t i = freedom % 2 ? 3 : 2; i <= freedom; i += 2) {
        sum += term;
        term *= c * c * (double)(i - 1) / (double)i;
    }
    return freedom % 2 ? 2 / acos(-1.0) * (angle + s * sum) : s * sum;
}

/* The t that |T| stays within with probability `confidence`. */
static double student_bound(double confidence, uint64_t freedom)
{
    double low = 0, high = 1;
    while (student_within(high, freedom) < confidence && high < 1e300)
        high *= 2;
    for (int i = 0; i < 200; i++) {
        double middle = low + (high - low) / 2;
        *(student_within(middle, freedom) < confidence ? &low : &high) = middle;
    }
    return high;
}

/* ---- the law ---- */

static ts_status check_points(const double *x, const double *y, size_t count, double confidence)
{
    bool differ = false;
    if (!x || !y)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_power_law_fit: %s is NULL", x ? "y" : "x");
    if (!(confidence > 0 && confidence < 1))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "confidence is %g, expected a number between 0 and 1", confidence);
    if (count < 2)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "a power law needs two points or more, not %zu", count);
    for (size_t i = 0; i < count; i++) {
        if (!(x[i] > 0 && isfinite(x[i])) || !(y[i] > 0 && isfinite(y[i])))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "point %zu is (%g, %g), expected finite numbers above 0", i, x[i], y[i]);
        differ = differ || log(x[i]) != log(x[0]);
    }
    return differ ? TS_OK : ts_fail(TS_ERROR_INVALID_ARGUMENT, "x is %g for all of the %zu points", x[0], count);
}

ts_status ts_power_law_fit(const double *x, const double *y, size_t count, double confidence, ts_power_law *law)
{
    ts_power_law out = {.struct_size = sizeof out, .exponent_low = NAN, .exponent_high = NAN, .deviation = NAN, .explained = NAN, .count = count};
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0, left = 0;
    TS_TRY(ts_report_check(law, "ts_power_law"));
    TS_TRY(check_points(x, y, count, confidence));
    for (size_t i = 0; i < count; i++) {
        mean_x += log(x[i]) / (double)count;
        mean_y += log(y[i]) / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        double a = log(x[i]) - mean_x, b = log(y[i]) - mean_y;
        xx += a * a;
        xy += a * b;
        yy += b * b;
    }
    out.exponent = xy / xx;
    out.factor = exp(mean_y - out.exponent * mean_x);
    for (size_t i = 0; i < count; i++) {
        double residual = log(y[i]) - mean_y - out.exponent * (log(x[i]) - mean_x);
        left += residual * residual;
    }
    if (yy > 0)
        out.explained = fmax(1 - left / yy, 0);
    if (count > 2) {
        double half = student_bound(confidence, count - 2) * sqrt(left / (double)(count - 2) / xx);
        out.deviation = sqrt(left / (double)(count - 2));
        out.exponent_low = out.exponent - half;
        out.exponent_high = out.exponent + half;
    }
    return ts_report_write(law, &out, sizeof out, "ts_power_law");
}

/* ---- the envelope ---- */

ts_status ts_frontier_mark(const double *x, const double *y, size_t count, uint8_t *frontier)
{
    if ((!x || !y || !frontier) && count > 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_frontier_mark: an argument is NULL");
    for (size_t i = 0; i < count; i++)
        if (isnan(x[i]) || isnan(y[i]))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "point %zu is (%g, %g), expected numbers", i, x[i], y[i]);
    for (size_t i = 0; i < count; i++) {
        frontier[i] = 1;
        for (size_t j = 0; j < count && frontier[i]; j++) {
            bool same = x[j] == x[i] && y[j] == y[i];
            frontier[i] = !(x[j] <= x[i] && y[j] <= y[i] && (!same || j < i));
        }
    }
    return TS_OK;
}

/* ---- the sign test ---- */

ts_status ts_sign_test(uint64_t wins, uint64_t losses, double *p)
{
    enum { MOST_EXACT = 1 << 20 }; /* throws; of more the normal approximation errs by less than a millionth */
    double few = (double)TS_MIN(wins, losses), throws = (double)wins + (double)losses, tail = 0, logarithm = -throws * log(2.0);
    if (!p)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_sign_test: p is NULL");
    if (throws > MOST_EXACT) {
        *p = fmin(erfc(fmax(throws - 2 * few - 1, 0) / sqrt(2 * throws)), 1);
        return TS_OK;
    }
    for (double i = 1; i <= few; i++) /* the logarithm of throws over few */
        logarithm += log((throws - few + i) / i);
    double term = exp(logarithm);
    for (double k = few; k >= 0 && term > tail * 1e-17; k--) { /* terms only get smaller */
        tail += term;
        term *= k / (throws - k + 1);
    }
    *p = fmin(2 * tail, 1);
    return TS_OK;
}

/* The arithmetic of studies: power laws against numbers worked out by hand and printed in tables, envelopes, the sign test. */
#include "support/support.h"

#include "tinystories/study.h"

#include <math.h>

static void near(double value, double expected, double error)
{
    if (!(fabs(value - expected) <= error))
        fail_msg("%.12g, expected %.12g", value, expected);
}

static ts_power_law fit(const double *x, const double *y, size_t count, double confidence)
{
    ts_power_law law = {.struct_size = sizeof law};
    assert_ok(ts_power_law_fit(x, y, count, confidence, &law));
    return law;
}

static void laws_that_hold_are_found(void **state)
{
    (void)state;
    double x[8], y[8];
    for (int i = 0; i < 8; i++) {
        x[i] = 1e5 * pow(3, i);
        y[i] = 12.5 * pow(x[i], -0.21);
    }
    ts_power_law law = fit(x, y, 8, 0.95);
    near(law.factor, 12.5, 1e-9);
    near(law.exponent, -0.21, 1e-12);
    near(law.exponent_low, -0.21, 1e-9);
    near(law.exponent_high, -0.21, 1e-9);
    near(law.explained, 1, 1e-12);
    assert_int_equal(law.count, 8);
    law = fit(x, y, 2, 0.95);
    near(law.exponent, -0.21, 1e-12);
    assert_true(isnan(law.exponent_low) && isnan(law.exponent_high) && isnan(law.deviation));
}

/* Residuals 1/6, -1/3, 1/6 at x -1, 0, 1: the standard error of the slope is the square root of 1/12. Student's t from printed tables. */
static void intervals_are_those_of_students_t(void **state)
{
    (void)state;
    static const struct {
        double confidence, t;
    } one[] = {{0.5, 1.0}, {0.9, 6.313752}, {0.95, 12.706205}, {0.99, 63.656741}};
    const double x[] = {1, exp(1), exp(2)}, y[] = {1, exp(1), exp(3)};
    for (size_t i = 0; i < TS_COUNT_OF(one); i++) {
        ts_power_law law = fit(x, y, 3, one[i].confidence);
        near(law.exponent, 1.5, 1e-12);
        near(law.deviation, sqrt(1.0 / 6), 1e-12);
        near(law.exponent_high - 1.5, one[i].t * sqrt(1.0 / 12), 1e-5);
        near(law.exponent_low + law.exponent_high, 3, 1e-9);
    }
    static const struct {
        size_t count;
        double t;
    } many[] = {{4, 4.302653}, {5, 3.182446}, {6, 2.776445}, {7, 2.570582}, {12, 2.228139}, {32, 2.042272}, {122, 1.979930}, {1002, 1.962339}};
    for (size_t i = 0; i < TS_COUNT_OF(many); i++) {
        double a[1002], b[1002], square = 0;
        for (size_t j = 0; j < many[i].count; j++) {
            double at = (double)j - ((double)many[i].count - 1) / 2;
            a[j] = exp(at / 100);
            b[j] = exp(j % 2 ? 0.1 : -0.1);
            square += at * at / 1e4;
        }
        ts_power_law law = fit(a, b, many[i].count, 0.95);
        near((law.exponent_high - law.exponent) / (law.deviation / sqrt(square)), many[i].t, 2e-6);
    }
}

static void points_that_have_no_law_are_refused(void **state)
{
    (void)state;
    ts_power_law law = {.struct_size = sizeof law};
    const double x[] = {1, 2, 3}, same[] = {2, 2, 2}, zero[] = {1, 0, 3}, infinite[] = {1, 2, INFINITY};
    assert_status(ts_power_law_fit(x, same, 1, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("not 1");
    assert_status(ts_power_law_fit(same, x, 3, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("x is 2");
    assert_status(ts_power_law_fit(x, zero, 3, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("point 1 is (2, 0)");
    assert_status(ts_power_law_fit(infinite, x, 3, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("point 2");
    assert_status(ts_power_law_fit(x, x, 3, 1, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("confidence");
    assert_status(ts_power_law_fit(NULL, x, 3, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    law = fit(x, same, 3, 0.95);
    near(law.exponent, 0, 1e-15);
    assert_true(isnan(law.explained));
}

static void the_frontier_is_what_nothing_beats(void **state)
{
    (void)state;
    const double x[] = {1, 2, 2, 3, 4, 5, 5, 6}, y[] = {9, 7, 7, 8, 5, 5, 4, 4};
    const uint8_t expected[] = {1, 1, 0, 0, 1, 0, 1, 0};
    uint8_t found[8];
    assert_ok(ts_frontier_mark(x, y, 8, found));
    assert_memory_equal(found, expected, sizeof expected);
    assert_ok(ts_frontier_mark(NULL, NULL, 0, NULL));
    assert_status(ts_frontier_mark(x, (const double[]){NAN}, 1, found), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_frontier_mark(x, NULL, 1, found), TS_ERROR_INVALID_ARGUMENT);
}

static void signs_are_tested(void **state)
{
    (void)state;
    static const struct {
        uint64_t wins, losses;
        double p, error;
    } cases[] = {{0, 0, 1, 0},          {1, 0, 1, 1e-12},         {5, 5, 1, 1e-12},           {6, 0, 0.03125, 1e-12},        {0, 6, 0.03125, 1e-12},
                 {8, 2, 0.109375, 1e-9}, {15, 5, 0.04138946533203, 1e-12}, {530, 470, 0.06202319509836, 1e-12}, {1000000, 1000000, 1, 1e-9}};
    double p;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        assert_ok(ts_sign_test(cases[i].wins, cases[i].losses, &p));
        near(p, cases[i].p, cases[i].error);
    }
    double exact, approximate; /* either side of the bound */
    assert_ok(ts_sign_test(525288, 523288, &exact));
    assert_ok(ts_sign_test(525289, 523289, &approximate));
    near(approximate, exact, 1e-4);
    assert_ok(ts_sign_test(UINT64_MAX, 1, &p));
    near(p, 0, 1e-300);
    assert_status(ts_sign_test(1, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laws_that_hold_are_found),           cmocka_unit_test(intervals_are_those_of_students_t),
        cmocka_unit_test(points_that_have_no_law_are_refused), cmocka_unit_test(the_frontier_is_what_nothing_beats),
        cmocka_unit_test(signs_are_tested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

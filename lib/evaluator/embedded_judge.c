/* The embedded judge: a linear function of measures, whose weights tests/evaluator/calibrate.py found. */
#include "evaluator/evaluator.h"

#include "evaluator/embedded_weights.h"

#include <math.h>

/*
 * What the graded stories could not show, set by hand and calibrated on nothing. They have no prompts: a completion gains two grades of consistency
 * from none to all of its prompt's names and longer words coming again, around the third that usually do. And hardly anything in them is said over
 * and over: what repeats itself more than they do loses grades in proportion, on every axis.
 */
static const double carried_grades = 2, carried_usual = 1.0 / 3, repetition_grades = 8;

/* The sum is over measures within what the graded stories had: beyond that nothing is known. */
static double grade(const double *weights, const double measures[TS_MEASURE_COUNT])
{
    double sum = weights[TS_MEASURE_COUNT];
    for (size_t i = 0; i < TS_MEASURE_COUNT; i++)
        sum += weights[i] * fmin(fmax(measures[i], measured_least[i]), measured_most[i]);
    return sum;
}

void ts_embedded_grade(const double measures[TS_MEASURE_COUNT], bool with_language, const ts_record *record, ts_kept_judgment *judgment)
{
    double excess = fmax(measures[TS_MEASURE_REPETITION] - measured_most[TS_MEASURE_REPETITION], 0);
    *judgment = (ts_kept_judgment){.outcome = TS_JUDGED_SCORED, .grades = {NAN, NAN, NAN, NAN}};
    for (uint32_t axis = 0; axis < GRADED_AXES; axis++) {
        double value = grade(with_language ? weights_with_language[axis] : weights_without[axis], measures) - repetition_grades * excess;
        if (axis == TS_AXIS_CONSISTENCY && record->prompt_size > 0)
            value += carried_grades * (measures[TS_MEASURE_CARRIED] - carried_usual);
        judgment->grades[axis] = fmin(fmax(value, 1), 10);
    }
}

/* The embedded judge: a linear function of measures and gates for what is no story, whose weights tests/evaluator/calibrate.py found. */
#include "evaluator/evaluator.h"

#include "evaluator/embedded_weights.h"

#include <math.h>

/*
 * What the graded stories could not show, set by hand and calibrated on nothing. They have no prompts: a completion gains two grades of consistency
 * from none to all of its prompt's names and longer words coming again, around the third that usually do. Hardly anything in them is said over and
 * over: what repeats itself more than they do loses grades in proportion, on every axis. And none of them is copied: what stands in the n-gram
 * model's text as it is loses creativity, beyond the fifth that a true story may share with others.
 */
static const double carried_grades = 2, carried_usual = 1.0 / 3, repetition_grades = 8, copied_grades = 6, copied_usual = 0.2;

#define MOST_IN_A_GATE 12.0

/* The sum is over measures within what the graded stories had: beyond that nothing is known. */
static double grade(const double *weights, const double measures[TS_MEASURE_COUNT])
{
    double sum = weights[TS_MEASURE_COUNT];
    for (size_t i = 0; i < TS_MEASURE_COUNT; i++)
        sum += weights[i] * fmin(fmax(measures[i], measured_least[i]), measured_most[i]);
    return sum;
}

/* 1 for what is whole, towards 0 for a jumble. */
static double gate(const double *weights, double usual, const double measures[TS_MEASURE_COUNT])
{
    double sum = weights[TS_MEASURE_COUNT];
    for (size_t i = 0; i < TS_MEASURE_COUNT; i++)
        sum += weights[i] * fmin(fmax(measures[i], -MOST_IN_A_GATE), MOST_IN_A_GATE);
    return fmin(1 / (1 + exp(-sum)) / usual, 1);
}

void ts_embedded_grade(const double measures[TS_MEASURE_COUNT], bool with_language, const ts_record *record, ts_kept_judgment *judgment)
{
    double excess = fmax(measures[TS_MEASURE_REPETITION] - measured_most[TS_MEASURE_REPETITION], 0);
    double copied = fmax(measures[TS_MEASURE_COPIED] - copied_usual, 0), together = gate(coherence, coherence_usual, measures);
    double whole =
        with_language ? gate(fluency_with_language, fluency_with_language_usual, measures) : gate(fluency_without, fluency_without_usual, measures);
    *judgment = (ts_kept_judgment){.outcome = TS_JUDGED_SCORED, .grades = {NAN, NAN, NAN, NAN}};
    for (uint32_t axis = 0; axis < GRADED_AXES; axis++) {
        double value = grade(with_language ? weights_with_language[axis] : weights_without[axis], measures) - repetition_grades * excess;
        if (axis == TS_AXIS_CONSISTENCY && record->prompt_size > 0)
            value += carried_grades * (measures[TS_MEASURE_CARRIED] - carried_usual);
        if (axis == TS_AXIS_CREATIVITY)
            value -= copied_grades * copied;
        value = 1 + fmax(value - 1, 0) * whole * (axis == TS_AXIS_CONSISTENCY ? together : 1);
        judgment->grades[axis] = fmin(fmax(value, 1), 10);
    }
}

/* What judgments add up to: means, intervals by resampling prompts, and two models side by side. */
#include "evaluator/evaluator.h"

#include <math.h>
#include <stdlib.h>

/* What means are taken of: grades by axis, and shares of an instruction by part. */
enum { COLUMNS = TS_AXIS_COUNT + TS_FOLLOWED_COUNT, PART_STREAM = 16 /* random numbers behind those of comparisons and duels */ };

/* What one prompt's completions were given. */
typedef struct cluster {
    uint64_t group, first; /* first: a record of it, so that the order is always the same */
    double sum[COLUMNS], count[COLUMNS];
} cluster;

typedef struct clusters {
    cluster *items;
    size_t count;
} clusters;

/* ---- prompts ---- */

static int by_group(const void *a, const void *b)
{
    const cluster *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static const ts_kept_judgment *judgment_of(const ts_evaluator *e, size_t record, uint32_t repeat)
{
    static const ts_kept_judgment pending = {.outcome = TS_JUDGED_PENDING};
    return record < e->judged ? &e->judgments[(size_t)repeat * e->judged + record] : &pending;
}

static bool is_of(const ts_evaluator *e, size_t record, uint32_t model)
{
    return model == UINT32_MAX || e->records[record].model == model;
}

static double share_of(const ts_kept_record *record, size_t part)
{
    return (double)record->followed.found[part] / (double)record->followed.asked[part];
}

static cluster cluster_of(const ts_evaluator *e, size_t record)
{
    cluster c = {.group = e->records[record].group, .first = record};
    for (uint32_t repeat = 0; repeat < ts_evaluator_repeats(e); repeat++) {
        const ts_kept_judgment *j = judgment_of(e, record, repeat);
        for (size_t axis = 0; axis < TS_AXIS_COUNT; axis++)
            if (j->outcome == TS_JUDGED_SCORED && !isnan(j->grades[axis])) {
                c.sum[axis] += j->grades[axis];
                c.count[axis]++;
            }
    }
    for (size_t part = 0; part < TS_FOLLOWED_COUNT; part++)
        if (e->records[record].followed.asked[part] > 0) {
            c.sum[TS_AXIS_COUNT + part] = share_of(&e->records[record], part);
            c.count[TS_AXIS_COUNT + part] = 1;
        }
    return c;
}

/* The prompts of a model, in the order of their hashes. */
static ts_status gather(clusters *out, const ts_evaluator *e, uint32_t model)
{
    size_t count = 0;
    *out = (clusters){.items = ts_allocate_array(e->runtime, e->count, sizeof *out->items)};
    if (!out->items)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < e->count; i++)
        if (is_of(e, i, model))
            out->items[count++] = cluster_of(e, i);
    qsort(out->items, count, sizeof *out->items, by_group);
    for (size_t i = 0; i < count; i++) {
        cluster *last = out->count > 0 ? &out->items[out->count - 1] : NULL;
        if (!last || last->group != out->items[i].group) {
            out->items[out->count++] = out->items[i];
            continue;
        }
        for (size_t column = 0; column < COLUMNS; column++) {
            last->sum[column] += out->items[i].sum[column];
            last->count[column] += out->items[i].count[column];
        }
    }
    return TS_OK;
}

/* ---- resampling ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const double *sorted, size_t count, double share)
{
    double at = share * (double)(count - 1);
    size_t below = (size_t)at;
    return below + 1 < count ? sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]) : sorted[count - 1];
}

void ts_summary_interval(const ts_evaluator *e, const double *sums, const double *counts, size_t prompts, uint64_t stream, double *values, double *low,
                         double *high)
{
    const ts_evaluator_options *o = &e->options;
    ts_random random = {o->seed, stream, 0};
    size_t kept = 0;
    *low = *high = NAN;
    if (prompts < 2)
        return;
    for (uint32_t i = 0; i < o->resamples; i++) {
        double sum = 0, count = 0;
        for (size_t j = 0; j < prompts; j++) {
            size_t drawn = (size_t)ts_random_below(&random, prompts);
            sum += sums[drawn];
            count += counts[drawn];
        }
        if (count > 0)
            values[kept++] = sum / count;
    }
    if (kept == 0)
        return;
    qsort(values, kept, sizeof *values, by_value);
    *low = quantile(values, kept, (1 - o->confidence) / 2);
    *high = quantile(values, kept, 1 - (1 - o->confidence) / 2);
}

/* ---- one model ---- */

static void count_outcomes(const ts_evaluator *e, uint32_t model, ts_evaluation *out, double squares[COLUMNS])
{
    double words = 0;
    for (size_t i = 0; i < e->count; i++) {
        if (!is_of(e, i, model))
            continue;
        out->records++;
        words += e->records[i].words;
        out->suspicious += e->records[i].suspicion != 0;
        for (size_t part = 0; part < TS_FOLLOWED_COUNT; part++)
            if (e->records[i].followed.asked[part] > 0)
                squares[TS_AXIS_COUNT + part] += share_of(&e->records[i], part) * share_of(&e->records[i], part);
        for (uint32_t repeat = 0; repeat < ts_evaluator_repeats(e); repeat++) {
            const ts_kept_judgment *j = judgment_of(e, i, repeat);
            out->judgments++;
            out->outcomes[j->outcome]++;
            out->asked_again += j->asks > 1 ? j->asks - 1u : 0;
            out->ages[j->age] += j->outcome == TS_JUDGED_SCORED;
            for (size_t axis = 0; axis < TS_AXIS_COUNT && j->outcome == TS_JUDGED_SCORED; axis++)
                if (!isnan(j->grades[axis]))
                    squares[axis] += j->grades[axis] * j->grades[axis];
        }
    }
    uint64_t settled = out->judgments - out->outcomes[TS_JUDGED_PENDING];
    out->scored_share = settled > 0 ? (double)out->outcomes[TS_JUDGED_SCORED] / (double)settled : NAN;
    out->trusted = settled > 0 && out->scored_share >= e->options.least_scored;
    out->mean_words = out->records > 0 ? words / (double)out->records : NAN;
}

/* Prompts that have the column, one after another. */
static size_t pick(const clusters *all, size_t column, double *sums, double *counts)
{
    size_t picked = 0;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].count[column] > 0) {
            sums[picked] = all->items[i].sum[column];
            counts[picked++] = all->items[i].count[column];
        }
    return picked;
}

static void average(const ts_evaluator *e, const clusters *all, size_t column, double square, bool trusted, double *room, ts_grade_mean *out)
{
    double *sums = room, *counts = room + all->count, *values = room + 2 * all->count, sum = 0, count = 0;
    size_t prompts = pick(all, column, sums, counts);
    for (size_t i = 0; i < prompts; i++) {
        sum += sums[i];
        count += counts[i];
    }
    *out = (ts_grade_mean){.mean = NAN, .low = NAN, .high = NAN, .deviation = NAN, .count = (uint64_t)count};
    if (!trusted || count == 0)
        return;
    out->mean = sum / count;
    if (count > 1)
        out->deviation = sqrt(fmax(square - sum * sum / count, 0) / (count - 1));
    ts_summary_interval(e, sums, counts, prompts, column < TS_AXIS_COUNT ? column : PART_STREAM + column, values, &out->low, &out->high);
}

static double *make_room(const ts_evaluator *e, size_t prompts)
{
    return ts_allocate_array(e->runtime, 2 * prompts + e->options.resamples, sizeof(double));
}

ts_status ts_summary_of(const ts_evaluator *e, uint32_t model, ts_evaluation *out)
{
    double squares[COLUMNS] = {0};
    clusters all;
    *out = (ts_evaluation){.struct_size = sizeof *out};
    TS_TRY(gather(&all, e, model));
    double *room = make_room(e, all.count);
    if (room) {
        count_outcomes(e, model, out, squares);
        out->prompts = all.count;
        for (size_t axis = 0; axis < TS_AXIS_COUNT; axis++)
            average(e, &all, axis, squares[axis], out->trusted, room, &out->axes[axis]);
        for (size_t part = 0; part < TS_FOLLOWED_COUNT; part++)
            average(e, &all, TS_AXIS_COUNT + part, squares[TS_AXIS_COUNT + part], true, room, &out->followed[part]);
    }
    ts_release(e->runtime, room);
    ts_release(e->runtime, all.items);
    return room ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
}

/* ---- two models ---- */

#define ROUNDING 1e-9 /* the same grades in another order do not add up to the same */

static bool is_trusted(const ts_evaluator *e, uint32_t model)
{
    double squares[COLUMNS] = {0};
    ts_evaluation counted = {0};
    count_outcomes(e, model, &counted, squares);
    return counted.trusted;
}

static void compare(const ts_evaluator *e, const clusters *left, const clusters *right, size_t axis, double *room, ts_comparison *out)
{
    size_t most = TS_MIN(left->count, right->count), prompts = 0;
    double *differences = room, *ones = room + most, *values = room + 2 * most, sum = 0;
    for (size_t i = 0, j = 0; i < left->count && j < right->count;) {
        const cluster *l = &left->items[i], *r = &right->items[j];
        if (l->group == r->group && l->count[axis] > 0 && r->count[axis] > 0) {
            double difference = l->sum[axis] / l->count[axis] - r->sum[axis] / r->count[axis];
            out->wins[axis] += difference > ROUNDING;
            out->losses[axis] += difference < -ROUNDING;
            sum += difference;
            differences[prompts] = difference;
            ones[prompts++] = 1;
        }
        i += l->group <= r->group;
        j += r->group <= l->group;
    }
    out->prompts[axis] = prompts;
    if (prompts > 0)
        out->difference[axis] = sum / (double)prompts;
    ts_summary_interval(e, differences, ones, prompts, TS_AXIS_COUNT + axis, values, &out->low[axis], &out->high[axis]);
}

ts_status ts_summary_compare(const ts_evaluator *e, uint32_t left, uint32_t right, ts_comparison *out)
{
    clusters l, r;
    *out = (ts_comparison){.struct_size = sizeof *out};
    for (size_t axis = 0; axis < TS_AXIS_COUNT; axis++)
        out->difference[axis] = out->low[axis] = out->high[axis] = NAN;
    if (!is_trusted(e, left) || !is_trusted(e, right))
        return TS_OK;
    TS_TRY(gather(&l, e, left));
    ts_status status = gather(&r, e, right);
    double *room = status == TS_OK ? make_room(e, TS_MIN(l.count, r.count)) : NULL;
    for (size_t axis = 0; room && axis < TS_AXIS_COUNT; axis++)
        compare(e, &l, &r, axis, room, out);
    ts_release(e->runtime, room);
    ts_release(e->runtime, r.items);
    ts_release(e->runtime, l.items);
    return status == TS_OK && !room ? TS_ERROR_OUT_OF_MEMORY : status;
}

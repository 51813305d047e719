/* Verdicts of the chat judge by a word: which of two completions is better, and whether one is right. */
#include "evaluator/chat_judge.h"

#include "tinystories/study.h"

#include <math.h>
#include <stdlib.h>

/*
 * Numbers of jobs beyond those of grades: marks begin at 2^51, duels at 2^52, where each pair of models has 2^38: 10 bits of repeats, 24 of pairs of
 * completions, one of the order and three of asks. So what is in the journal of one duel stays that of this duel, whatever else is asked.
 */
enum { MODEL_BITS = 6, REPEAT_BITS = 10, PAIR_BITS = 24, ASK_BITS = 3, REPEAT_SHIFT = PAIR_BITS + 1 + ASK_BITS };
#define MARK_BASE (UINT64_C(1) << 51)
#define DUEL_BASE (UINT64_C(1) << 52)

/* ---- pairs ---- */

typedef struct place {
    uint64_t group, record;
} place;

typedef struct pair {
    uint64_t group, left, right; /* records */
} pair;

typedef struct contest {
    ts_evaluator *e;
    pair *pairs; /* the left one's model is the first of the two among the evaluator's */
    size_t count;
    ts_asking asking;
} contest;

static int by_group(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return x->record < y->record ? -1 : x->record > y->record;
}

static size_t places_of(const ts_evaluator *e, uint32_t model, place *places)
{
    size_t count = 0;
    for (size_t i = 0; i < e->count; i++)
        if (e->records[i].model == model)
            places[count++] = (place){e->records[i].group, i};
    qsort(places, count, sizeof *places, by_group);
    return count;
}

/* Of each prompt the n-th completion of the one with the n-th of the other. */
static ts_status make_pairs(contest *d, uint32_t left, uint32_t right)
{
    ts_runtime *runtime = d->e->runtime;
    place *places = ts_allocate_array(runtime, 2 * d->e->count, sizeof *places);
    d->pairs = ts_allocate_array(runtime, d->e->count, sizeof *d->pairs);
    if (!places || !d->pairs) {
        ts_release(runtime, places);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    place *others = places + d->e->count;
    size_t lefts = places_of(d->e, left, places), rights = places_of(d->e, right, others);
    for (size_t i = 0, j = 0; i < lefts && j < rights;) {
        uint64_t group = places[i].group, other = others[j].group;
        if (group == other)
            d->pairs[d->count++] = (pair){group, places[i].record, others[j].record};
        i += group <= other;
        j += other <= group;
    }
    ts_release(runtime, places);
    return d->count > 0 ? TS_OK
                        : ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no prompt that both '%.100s' and '%.100s' completed", d->e->models[left],
                                  d->e->models[right]);
}

/* ---- asking ---- */

static const char *const better[] = {"first", "second", "neither", NULL};
enum { FIRST, SECOND, NEITHER };

/* Number 2 i has the left one of pair i first, 2 i + 1 the right one. */
static ts_status write_pair(void *user, uint64_t number, const ts_judge_template *judge, ts_bytes *out)
{
    const contest *d = user;
    const pair *p = &d->pairs[number / 2];
    const ts_kept_record *left = &d->e->records[p->left], *right = &d->e->records[p->right];
    return ts_judge_template_compare(judge, number % 2 ? right : left, number % 2 ? left : right, d->e->options.seed, out);
}

/* ---- what came of it ---- */

/* What one prompt's pairs were given: verdicts for the caller's left, and verdicts. */
typedef struct score {
    double *sums, *counts;
    size_t prompts;
} score;

static void count_pair(const int32_t heard[2], bool swapped, score *s, bool same, ts_duel *out)
{
    double left = 0;
    for (int order = 0; order < 2; order++) {
        out->firsts += heard[order] == FIRST;
        out->seconds += heard[order] == SECOND;
        out->neithers += heard[order] == NEITHER;
        left += heard[order] == NEITHER ? 0.5 : heard[order] == (order == (int)swapped ? FIRST : SECOND);
    }
    out->judged++;
    if (!same)
        s->prompts++;
    s->sums[s->prompts - 1] += left;
    s->counts[s->prompts - 1] += 2;
}

/* Pairs of a prompt stand together, its repeats are counted one behind another. */
static ts_status count_all(contest *d, bool swapped, score *s, ts_duel *out)
{
    uint64_t last = 0; /* the prompt that was counted last, if there is any */
    for (size_t i = 0; i < d->count; i++)
        for (uint32_t repeat = 0; repeat < d->asking.repeats; repeat++) {
            int32_t heard[2];
            out->pairs++;
            for (uint64_t order = 0; order < 2; order++) {
                uint32_t asks = 0;
                TS_TRY(ts_chat_judge_hear(d->e->chat, &d->asking, repeat, 2 * i + order, &heard[order], &asks));
                out->pending += heard[order] == TS_HEARD_PENDING;
                out->unread += heard[order] == TS_HEARD_NOTHING;
                out->asked_again += asks > 1 ? asks - 1 : 0;
            }
            if (heard[0] < 0 || heard[1] < 0)
                continue;
            count_pair(heard, swapped, s, s->prompts > 0 && last == d->pairs[i].group, out);
            last = d->pairs[i].group;
        }
    return TS_OK;
}

static ts_status summarize(contest *d, bool swapped, ts_duel *out)
{
    const ts_evaluator *e = d->e;
    double *room = ts_allocate_array(e->runtime, 2 * d->count + e->options.resamples, sizeof *room), sum = 0, count = 0;
    score s = {.sums = room, .counts = room + d->count};
    if (!room)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = count_all(d, swapped, &s, out);
    out->prompts = s.prompts;
    for (size_t i = 0; i < s.prompts; i++) {
        out->wins += s.sums[i] > s.counts[i] / 2;
        out->losses += s.sums[i] < s.counts[i] / 2;
        sum += s.sums[i];
        count += s.counts[i];
    }
    out->share = count > 0 ? sum / count : NAN;
    ts_summary_interval(e, s.sums, s.counts, s.prompts, 2 * TS_AXIS_COUNT, room + 2 * d->count, &out->low, &out->high);
    ts_release(e->runtime, room);
    return status == TS_OK ? ts_sign_test(out->wins, out->losses, &out->p) : status;
}

static ts_status run_duel(ts_evaluator *e, uint32_t left, uint32_t right, ts_progress progress, void *user, ts_duel *out)
{
    uint32_t first = TS_MIN(left, right), second = TS_MAX(left, right); /* the same questions whoever is called left */
    contest d = {.e = e,
                 .asking = {.first = DUEL_BASE + (((uint64_t)first << MODEL_BITS | second) << (REPEAT_SHIFT + REPEAT_BITS)),
                            .stride = (uint64_t)1 << REPEAT_SHIFT,
                            .repeats = ts_evaluator_repeats(e),
                            .words = better,
                            .write = write_pair}};
    ts_detail detail;
    ts_duel told = {.struct_size = sizeof told, .share = NAN, .low = NAN, .high = NAN, .p = 1};
    if (left == right)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the model '%.200s' cannot be set against itself", e->models[left]);
    if (second >> MODEL_BITS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the model '%.200s' is none of the first %d", e->models[second], 1 << MODEL_BITS);
    ts_status status = make_pairs(&d, first, second), counted = TS_OK;
    if (status == TS_OK) {
        d.asking.user = &d;
        d.asking.count = 2 * (uint64_t)d.count;
        status = ts_chat_judge_ask(e->chat, &d.asking, progress, user);
        ts_detail_keep(&detail);
        counted = summarize(&d, left > right, &told);
        if (counted == TS_OK)
            *out = told;
        if (status != TS_OK)
            ts_detail_put_back(&detail);
        else
            status = counted;
    }
    ts_release(e->runtime, d.pairs);
    return status;
}

/* ---- marks ---- */

static const char *const marks[] = {"right", "partly", "wrong", NULL};

static ts_status write_record(void *user, uint64_t number, const ts_judge_template *judge, ts_bytes *out)
{
    const ts_evaluator *e = user;
    return ts_judge_template_mark(judge, &e->records[number], e->options.seed, out);
}

static ts_asking asking_of(ts_evaluator *e)
{
    return (ts_asking){.first = MARK_BASE, .count = e->count, .stride = MARK_BASE, .repeats = 1, .words = marks, .user = e, .write = write_record};
}

static ts_status run_marks(ts_evaluator *e, ts_progress progress, void *user)
{
    ts_asking asking = asking_of(e);
    return e->count > 0 ? ts_chat_judge_ask(e->chat, &asking, progress, user) : TS_OK;
}

static ts_status get_mark(ts_evaluator *e, uint64_t index, uint32_t *mark)
{
    int32_t heard;
    ts_asking asking = asking_of(e);
    TS_TRY(ts_chat_judge_hear(e->chat, &asking, 0, index, &heard, NULL));
    *mark = heard < 0 ? TS_MARK_NONE : TS_MARK_RIGHT + (uint32_t)heard;
    return TS_OK;
}

/* ---- the interface ---- */

ts_status ts_evaluator_duel(ts_evaluator *evaluator, const char *left, const char *right, ts_progress progress, void *progress_user, ts_duel *duel)
{
    uint32_t indices[2] = {0};
    ts_duel out = {.struct_size = 0};
    ts_detail detail;
    if (!left || !right)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_evaluator_duel: a model is NULL");
    TS_TRY(ts_report_check(duel, "ts_duel"));
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_duel", duel));
    ts_status status = ts_evaluator_by_chat(evaluator);
    status = status ? status : ts_evaluator_model_index(evaluator, left, &indices[0]);
    status = status ? status : ts_evaluator_model_index(evaluator, right, &indices[1]);
    status = status ? status : run_duel(evaluator, indices[0], indices[1], progress, progress_user, &out);
    ts_detail_keep(&detail);
    if (out.struct_size == 0) /* there is nothing to tell */
        return ts_evaluator_leave(evaluator, status);
    ts_status written = ts_report_write(duel, &out, sizeof out, "ts_duel");
    if (status != TS_OK)
        ts_detail_put_back(&detail);
    return ts_evaluator_leave(evaluator, status ? status : written);
}

ts_status ts_evaluator_mark(ts_evaluator *evaluator, ts_progress progress, void *progress_user)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_mark", evaluator));
    ts_status status = ts_evaluator_by_chat(evaluator);
    return ts_evaluator_leave(evaluator, status ? status : run_marks(evaluator, progress, progress_user));
}

ts_status ts_evaluator_mark_of(ts_evaluator *evaluator, uint64_t index, uint32_t *mark)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_mark_of", mark));
    ts_status status = ts_evaluator_by_chat(evaluator);
    status = status ? status : ts_evaluator_check_index(evaluator, index);
    return ts_evaluator_leave(evaluator, status ? status : get_mark(evaluator, index, mark));
}

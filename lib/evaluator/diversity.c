/* The paper's measures of diversity: of two texts, and of a set of completions, each against its true ending, the others, and the training text. */
#include "tinystories/diversity.h"

#include "evaluator/novelty.h"

#include <math.h>

enum { MOST_K = 64 };

#define NOT_A_NUMBER ((double)NAN)

_Static_assert(TS_NOVELTY_GRAM == TS_COUNT_OF(((ts_diversity_report *)0)->grams), "the header says how many k there are");
_Static_assert(TS_NOVELTY_GRAM == TS_COUNT_OF(((ts_novelty_about *)0)->grams), "the header says how many k there are");
_Static_assert(TS_NOVELTY_GRAM *TS_DIVERSITY_BINS == TS_COUNT_OF(((ts_diversity_report *)0)->histogram), "the header says how many bins there are");

/* ---- two texts ---- */

static double share_of(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NOT_A_NUMBER;
}

static double symmetric(uint64_t common, uint64_t first, uint64_t second)
{
    double precision = share_of(common, first), recall = share_of(common, second);
    return common > 0 ? 2 * precision * recall / (precision + recall) : first > 0 && second > 0 ? 0 : NOT_A_NUMBER;
}

static ts_status check_k(uint32_t k)
{
    return k >= 1 && k <= MOST_K ? TS_OK : ts_fail(TS_ERROR_INVALID_ARGUMENT, "k is %u, expected 1 to %d", k, MOST_K);
}

static uint64_t count_common(const ts_grams *grams, const ts_phrase *own, const ts_grams *others, const ts_phrase *phrase)
{
    uint64_t common = 0;
    for (size_t i = 0; i < others->count; i++)
        common += ts_grams_find(grams, own, phrase, others->first[i]) != UINT32_MAX;
    return common;
}

/* Two texts with their k-grams. */
typedef struct pair {
    ts_phrase phrases[2];
    ts_grams grams[2];
} pair;

static void pair_init(pair *p, ts_runtime *runtime)
{
    *p = (pair){.phrases = {{.folded = {.runtime = runtime}}, {.folded = {.runtime = runtime}}}, .grams = {{.runtime = runtime}, {.runtime = runtime}}};
}

static ts_status pair_read(pair *p, size_t which, const char *text, size_t size, uint32_t k)
{
    TS_TRY(ts_phrase_read(&p->phrases[which], size > 0 ? text : "", size));
    return ts_grams_read(&p->grams[which], &p->phrases[which], k);
}

static void pair_free(pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        ts_phrase_free(&p->phrases[i]);
        ts_grams_free(&p->grams[i]);
    }
}

ts_status ts_overlap_measure(ts_runtime *runtime, const char *first, size_t first_size, const char *second, size_t second_size, uint32_t k,
                             ts_overlap *overlap)
{
    pair p;
    ts_overlap found = {.struct_size = sizeof found};
    TS_TRY(ts_report_check(overlap, "ts_overlap"));
    TS_TRY(check_k(k));
    if ((first == NULL && first_size > 0) || (second == NULL && second_size > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_overlap_measure: a text is NULL");
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    pair_init(&p, runtime);
    ts_status status = pair_read(&p, 0, first, first_size, k);
    if (status == TS_OK)
        status = pair_read(&p, 1, second, second_size, k);
    if (status == TS_OK) {
        found.first = p.grams[0].count;
        found.second = p.grams[1].count;
        found.common = count_common(&p.grams[1], &p.phrases[1], &p.grams[0], &p.phrases[0]);
        found.precision = share_of(found.common, found.first);
        found.recall = share_of(found.common, found.second);
        found.f = symmetric(found.common, found.first, found.second);
        status = ts_report_write(overlap, &found, sizeof found, "ts_overlap");
    }
    pair_free(&p);
    ts_runtime_release(runtime);
    return status;
}

ts_status ts_repeat_cut(ts_runtime *runtime, const char *text, size_t text_size, uint32_t k, size_t *size)
{
    pair p;
    if (size == NULL || (text == NULL && text_size > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_repeat_cut: an argument is NULL");
    TS_TRY(check_k(k));
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    pair_init(&p, runtime);
    ts_status status = pair_read(&p, 0, text, text_size, k);
    if (status == TS_OK) {
        const char *kept = text;
        *size = text_size;
        for (size_t i = 0; i < p.grams[0].total; i++)
            if (p.grams[0].first[p.grams[0].names[i]] != i) {
                *size = p.phrases[0].begins[i];
                ts_trim(&kept, size);
                *size += (size_t)(kept - text);
                break;
            }
    }
    pair_free(&p);
    ts_runtime_release(runtime);
    return status;
}

/* ---- a set of completions ---- */

typedef struct completion {
    ts_phrase phrase;
    ts_grams grams;
    uint32_t *names; /* of its 2-grams among all completions' */
    ts_diversity_item item;
} completion;

/* A 2-gram that some completion has, and those that have it. */
typedef struct shared_gram {
    uint64_t hash;
    uint32_t owner, first; /* the completion that had it first, and the word where */
    uint32_t *completions;
    size_t count, capacity;
} shared_gram;

struct ts_diversity {
    ts_runtime *runtime;
    ts_novelty *novelty;
    ts_busy busy;
    completion **completions;
    size_t count, capacity;
    shared_gram *grams;
    size_t gram_count, gram_capacity;
    uint32_t *places; /* open addressing: gram + 1, 0 empty */
    size_t place_count, place_capacity;
    uint32_t *common; /* by completion, 0 between two uses */
    size_t common_capacity;
    size_t compared; /* completions whose nearest one is known among as many; all or none are */
    ts_diversity_report report; /* sums that grow with each completion */
};

static void free_completion(ts_runtime *runtime, completion *c)
{
    if (c == NULL)
        return;
    ts_phrase_free(&c->phrase);
    ts_grams_free(&c->grams);
    ts_release(runtime, c->names);
    ts_release(runtime, c);
}

ts_status ts_diversity_new(ts_diversity **out, ts_runtime *runtime, ts_novelty *novelty)
{
    if (out == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_diversity_new: out is NULL");
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_diversity *d = ts_allocate(runtime, sizeof *d);
    if (d == NULL) {
        ts_runtime_release(runtime);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    *d = (ts_diversity){.runtime = runtime, .novelty = novelty, .report = {.struct_size = sizeof d->report}};
    *out = d;
    return TS_OK;
}

void ts_diversity_free(ts_diversity *d)
{
    if (d == NULL)
        return;
    ts_runtime *runtime = d->runtime;
    for (size_t i = 0; i < d->count; i++)
        free_completion(runtime, d->completions[i]);
    for (size_t i = 0; i < d->gram_count; i++)
        ts_release(runtime, d->grams[i].completions);
    ts_release(runtime, d->completions);
    ts_release(runtime, d->grams);
    ts_release(runtime, d->places);
    ts_release(runtime, d->common);
    ts_release(runtime, d);
    ts_runtime_release(runtime);
}

ts_runtime *ts_diversity_runtime(const ts_diversity *diversity)
{
    return diversity->runtime;
}

/* ---- adding ---- */

static ts_status measure_ending(completion *c, ts_runtime *runtime, const char *ending, size_t size)
{
    pair p;
    c->item.ending_precision = NOT_A_NUMBER;
    if (ending == NULL)
        return TS_OK;
    pair_init(&p, runtime);
    ts_status status = pair_read(&p, 0, ending, size, 2);
    if (status == TS_OK)
        c->item.ending_precision = share_of(count_common(&p.grams[0], &p.phrases[0], &c->grams, &c->phrase), c->grams.count);
    pair_free(&p);
    return status;
}

/* Counts g of all k-grams of a completion, whose ranges the index has just found. */
static ts_status count_grams(ts_novelty *n, const ts_phrase *phrase, ts_diversity_report *r)
{
    for (uint32_t k = 1; k <= TS_NOVELTY_GRAM; k++) {
        TS_TRY(ts_grams_read(&n->grams, phrase, k));
        r->grams[k - 1] += n->grams.count;
        for (size_t i = 0; i < n->grams.count; i++) {
            ts_range range = n->ranges[(size_t)n->grams.first[i] * TS_NOVELTY_GRAM + k - 1];
            uint64_t count = range.end - range.begin, bin = 0;
            if (count == 0)
                r->never[k - 1]++;
            else
                bin = (uint64_t)fmin(fmax(floor((log10((double)count / (double)n->about.grams[k - 1]) + 10) * 2) + 1, 1), TS_DIVERSITY_BINS - 1);
            r->histogram[(k - 1) * TS_DIVERSITY_BINS + bin]++;
        }
    }
    return TS_OK;
}

static ts_status measure_novelty(ts_diversity *d, completion *c, const char *text, size_t size, ts_diversity_report *r)
{
    ts_novelty *n = d->novelty;
    if (n == NULL)
        return TS_OK;
    if (!ts_busy_enter(&n->busy))
        return ts_fail(TS_ERROR_BUSY, "the index is in use by another thread");
    ts_status status = ts_phrase_read(&n->phrase, text, size);
    if (status == TS_OK)
        status = ts_novelty_find_phrase(n, &c->item.match);
    if (status == TS_OK)
        status = count_grams(n, &n->phrase, r);
    ts_busy_leave(&n->busy);
    return status;
}

static ts_status grow_places(ts_diversity *d, size_t wanted)
{
    if (2 * wanted <= d->place_count)
        return TS_OK;
    size_t count = TS_MAX((size_t)1024, d->place_count);
    while (count < 2 * wanted)
        count *= 2;
    TS_TRY(ts_reserve(d->runtime, &d->places, &d->place_capacity, count, sizeof *d->places));
    d->place_count = count;
    memset(d->places, 0, count * sizeof *d->places);
    for (size_t i = 0; i < d->gram_count; i++) {
        size_t at = (size_t)d->grams[i].hash & (count - 1);
        while (d->places[at] != 0)
            at = (at + 1) & (count - 1);
        d->places[at] = (uint32_t)i + 1;
    }
    return TS_OK;
}

/* Names the 2-grams of a completion that will be number d->count. Names that are given stay when a later step fails: nobody has them then. */
static ts_status name_grams(ts_diversity *d, completion *c)
{
    TS_TRY(grow_places(d, d->gram_count + c->grams.count));
    TS_TRY(ts_reserve(d->runtime, &d->grams, &d->gram_capacity, d->gram_count + c->grams.count, sizeof *d->grams));
    for (size_t i = 0; i < c->grams.count; i++) {
        uint32_t first = c->grams.first[i];
        uint64_t hash = ts_phrase_hash(&c->phrase, first, 2);
        size_t mask = d->place_count - 1, at = (size_t)hash & mask;
        for (; d->places[at] != 0; at = (at + 1) & mask) {
            const shared_gram *known = &d->grams[d->places[at] - 1];
            const ts_phrase *phrase = known->owner == d->count ? &c->phrase : &d->completions[known->owner]->phrase;
            if (known->hash == hash && ts_phrase_same(phrase, known->first, &c->phrase, first, 2))
                break;
        }
        if (d->places[at] == 0) {
            d->grams[d->gram_count++] = (shared_gram){.hash = hash, .owner = (uint32_t)d->count, .first = first};
            d->places[at] = (uint32_t)d->gram_count;
        }
        c->names[i] = d->places[at] - 1;
    }
    return TS_OK;
}

/* Takes back the names that were given for the completion that could not be added: they are the last ones. */
static void forget_names(ts_diversity *d)
{
    size_t before = d->gram_count;
    while (d->gram_count > 0 && d->grams[d->gram_count - 1].owner == d->count)
        ts_release(d->runtime, d->grams[--d->gram_count].completions);
    if (d->gram_count == before)
        return;
    memset(d->places, 0, d->place_count * sizeof *d->places);
    d->place_count = 0;
    grow_places(d, d->gram_count); /* there is room: it cannot fail */
}

static ts_status enter_lists(ts_diversity *d, completion *c)
{
    TS_TRY(ts_reserve(d->runtime, &d->completions, &d->capacity, d->count + 1, sizeof *d->completions));
    for (size_t i = 0; i < c->grams.count; i++) { /* first room for all, so that nothing is entered by halves */
        shared_gram *gram = &d->grams[c->names[i]];
        TS_TRY(ts_reserve(d->runtime, &gram->completions, &gram->capacity, gram->count + 1, sizeof *gram->completions));
    }
    for (size_t i = 0; i < c->grams.count; i++) {
        shared_gram *gram = &d->grams[c->names[i]];
        gram->completions[gram->count++] = (uint32_t)d->count;
    }
    d->completions[d->count++] = c;
    return TS_OK;
}

static ts_status add(ts_diversity *d, completion *c, const char *text, size_t size, const char *ending, size_t ending_size)
{
    ts_diversity_report report = d->report;
    c->phrase.folded.runtime = c->grams.runtime = d->runtime;
    c->item.struct_size = sizeof c->item;
    c->item.match.struct_size = sizeof c->item.match;
    if (d->count == UINT32_MAX - 1)
        return ts_fail(TS_ERROR_LIMIT, "there are %zu completions, which is as many as a set takes", d->count);
    TS_TRY(ts_phrase_read(&c->phrase, text, size));
    TS_TRY(ts_grams_read(&c->grams, &c->phrase, 2));
    c->item.words = c->phrase.count;
    TS_TRY(measure_ending(c, d->runtime, ending, ending_size));
    TS_TRY(measure_novelty(d, c, text, size, &report));
    if ((c->names = ts_allocate_array(d->runtime, c->grams.count, sizeof *c->names)) == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = name_grams(d, c);
    if (status == TS_OK)
        status = enter_lists(d, c);
    if (status != TS_OK)
        forget_names(d);
    else
        d->report = report;
    return status;
}

ts_status ts_diversity_add(ts_diversity *diversity, const char *completion_text, size_t size, const char *ending, size_t ending_size)
{
    if (diversity == NULL || (completion_text == NULL && size > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_diversity_add: an argument is NULL");
    if (!ts_busy_enter(&diversity->busy))
        return ts_fail(TS_ERROR_BUSY, "the set of completions is in use by another thread");
    completion *c = ts_allocate(diversity->runtime, sizeof *c);
    ts_status status = c == NULL ? TS_ERROR_OUT_OF_MEMORY : add(diversity, c, size > 0 ? completion_text : "", size, ending, ending_size);
    if (status != TS_OK)
        free_completion(diversity->runtime, c);
    ts_busy_leave(&diversity->busy);
    return status;
}

/* ---- what comes out ---- */

static void find_nearest(ts_diversity *d, uint32_t index)
{
    completion *c = d->completions[index];
    c->item.nearest_f = NOT_A_NUMBER;
    c->item.nearest = UINT64_MAX;
    for (size_t i = 0; i < c->grams.count; i++) {
        const shared_gram *gram = &d->grams[c->names[i]];
        for (size_t j = 0; j < gram->count; j++)
            d->common[gram->completions[j]]++;
    }
    for (size_t j = 0; j < d->count; j++) {
        double f = symmetric(d->common[j], c->grams.count, d->completions[j]->grams.count);
        d->common[j] = 0;
        if (j != index && !isnan(f) && (c->item.nearest == UINT64_MAX || f > c->item.nearest_f)) {
            c->item.nearest_f = f;
            c->item.nearest = j;
        }
    }
}

static ts_status compare_all(ts_diversity *d)
{
    if (d->compared == d->count)
        return TS_OK;
    ts_release(d->runtime, d->common);
    d->common = ts_allocate_array(d->runtime, d->count, sizeof *d->common);
    if (d->common == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < d->count; i++)
        find_nearest(d, (uint32_t)i);
    d->compared = d->count;
    return TS_OK;
}

ts_status ts_diversity_item_at(ts_diversity *diversity, uint64_t index, ts_diversity_item *item)
{
    if (diversity == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_diversity_item_at: diversity is NULL");
    if (!ts_busy_enter(&diversity->busy))
        return ts_fail(TS_ERROR_BUSY, "the set of completions is in use by another thread");
    ts_status status = TS_OK;
    if (index >= diversity->count)
        status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no completion %llu, there are %zu", (unsigned long long)index, diversity->count);
    if (status == TS_OK)
        status = compare_all(diversity);
    if (status == TS_OK)
        status = ts_report_write(item, &diversity->completions[index]->item, sizeof *item, "ts_diversity_item");
    ts_busy_leave(&diversity->busy);
    return status;
}

/* A mean of those that are numbers. */
typedef struct mean {
    double sum;
    uint64_t count;
} mean;

static void mean_add(mean *m, double value)
{
    if (isnan(value))
        return;
    m->sum += value;
    m->count++;
}

static double mean_of(const mean *m)
{
    return m->count > 0 ? m->sum / (double)m->count : NOT_A_NUMBER;
}

static void sum_up(const ts_diversity *d, ts_diversity_report *r)
{
    mean endings = {0}, nearest = {0}, precision = {0}, copied = {0};
    r->completions = d->count;
    for (size_t i = 0; i < d->count; i++) {
        const ts_diversity_item *item = &d->completions[i]->item;
        r->words += item->words;
        mean_add(&endings, item->ending_precision);
        mean_add(&nearest, item->nearest_f);
        if (d->novelty == NULL)
            continue;
        mean_add(&precision, item->match.nearest_precision);
        mean_add(&copied, (double)item->match.copied_words);
        r->max_copied_words = TS_MAX(r->max_copied_words, item->match.copied_words);
        r->copied_whole += item->words >= TS_NOVELTY_GRAM && item->match.copied_words == item->words;
    }
    r->endings = endings.count;
    r->mean_ending_precision = mean_of(&endings);
    r->mean_nearest_f = mean_of(&nearest);
    r->mean_nearest_precision = mean_of(&precision);
    r->mean_copied_words = mean_of(&copied);
}

ts_status ts_diversity_measure(ts_diversity *diversity, ts_diversity_report *report)
{
    if (diversity == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_diversity_measure: diversity is NULL");
    if (!ts_busy_enter(&diversity->busy))
        return ts_fail(TS_ERROR_BUSY, "the set of completions is in use by another thread");
    ts_status status = compare_all(diversity);
    if (status == TS_OK) {
        ts_diversity_report summed = diversity->report;
        sum_up(diversity, &summed);
        status = ts_report_write(report, &summed, sizeof summed, "ts_diversity_report");
    }
    ts_busy_leave(&diversity->busy);
    return status;
}

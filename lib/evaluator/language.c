/* The n-gram model: counts of three, two and one tokens in hash tables, and what a text costs by them. */
#include "evaluator/measures.h"

#include "format/stories.h"

#include <math.h>
#include <stdlib.h>

#define DISCOUNT 0.75                     /* of Kneser and Ney, all orders alike: the weight that is kept for what was not seen */
#define EDGE UINT64_C(0x9e3779b97f4a7c15) /* the token before and behind a story */
#define SURPRISE 8.0
#define LEAST_DEVIATION 0.01 /* of small texts, whose stories held out are all alike */

enum { HELD_OUT = 20, FEWEST_STORIES = 40, BEGINNING = 12, SURPRISES = sizeof(ts_surprise) / sizeof(double) };

/* Tokens in a row. As the end of a longer row it counts the kinds of tokens before it (`before`; of three its occurrences), as a beginning the sum
 * (`sum`) and the kinds (`kinds`) of what follows. */
typedef struct gram {
    uint64_t key;
    uint32_t before, sum, kinds;
    bool used;
} gram;

typedef struct table {
    gram *grams;
    size_t count, capacity;
} table;

struct ts_language {
    ts_runtime *runtime;
    table orders[3]; /* one, two and three tokens */
    uint64_t pairs;  /* kinds of two tokens */
    uint64_t stories;
    double mean[SURPRISES], deviation[SURPRISES]; /* of the stories held out */
};

/* ---- tables ---- */

static uint64_t key_of(const uint64_t *tokens, size_t count)
{
    return ts_hash(tokens, count * sizeof *tokens, count);
}

static gram *place_of(const table *t, uint64_t key)
{
    size_t mask = t->capacity - 1, at = (size_t)key & mask;
    while (t->grams[at].used && t->grams[at].key != key)
        at = (at + 1) & mask;
    return &t->grams[at];
}

static const gram *find(const table *t, uint64_t key)
{
    static const gram none = {0};
    const gram *found = t->capacity > 0 ? place_of(t, key) : &none;
    return found->used ? found : &none;
}

/* The table is never more than half full. */
static ts_status grow(ts_runtime *runtime, table *t)
{
    table larger = {.count = t->count, .capacity = TS_MAX(2 * t->capacity, (size_t)1024)};
    larger.grams = ts_allocate_array(runtime, larger.capacity, sizeof *larger.grams);
    if (!larger.grams)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->grams[i].used)
            *place_of(&larger, t->grams[i].key) = t->grams[i];
    ts_release(runtime, t->grams);
    *t = larger;
    return TS_OK;
}

static ts_status find_or_make(ts_runtime *runtime, table *t, uint64_t key, gram **out)
{
    if (2 * (t->count + 1) > t->capacity)
        TS_TRY(grow(runtime, t));
    *out = place_of(t, key);
    t->count += !(*out)->used;
    (*out)->used = true;
    (*out)->key = key;
    return TS_OK;
}

/* ---- learning ---- */

static uint64_t token_at(const ts_token_list *tokens, size_t at)
{
    return at >= 2 && at < tokens->count + 2 ? tokens->items[at - 2].hash : EDGE;
}

/* Counts three tokens. What is new counts as another token before the two behind, and what of these is new before the last one. */
static ts_status count_three(ts_language *language, const uint64_t t[3])
{
    gram *three, *two, *pair, *one, *last;
    ts_runtime *runtime = language->runtime;
    table *orders = language->orders;
    TS_TRY(find_or_make(runtime, &orders[2], key_of(t, 3), &three));
    TS_TRY(find_or_make(runtime, &orders[1], key_of(t, 2), &two));
    two->sum++;
    if (three->before++ > 0)
        return TS_OK;
    two->kinds++;
    TS_TRY(find_or_make(runtime, &orders[1], key_of(t + 1, 2), &pair));
    TS_TRY(find_or_make(runtime, &orders[0], key_of(t + 1, 1), &one));
    one->sum++;
    if (pair->before++ > 0)
        return TS_OK;
    one->kinds++;
    TS_TRY(find_or_make(runtime, &orders[0], key_of(t + 2, 1), &last));
    last->before++;
    language->pairs++;
    return TS_OK;
}

static ts_status learn_story(ts_language *language, const ts_token_list *tokens)
{
    for (size_t i = 0; i <= tokens->count; i++) {
        const uint64_t three[3] = {token_at(tokens, i), token_at(tokens, i + 1), token_at(tokens, i + 2)};
        TS_TRY(count_three(language, three));
    }
    return TS_OK;
}

/* ---- surprise ---- */

/* The probability of t[2] behind t[0] and t[1]: what was seen, less the discount, which goes to the model of fewer tokens. */
static double probability(const ts_language *language, const uint64_t t[3])
{
    const table *orders = language->orders;
    const gram *last = find(&orders[0], key_of(t + 2, 1)), *one = find(&orders[0], key_of(t + 1, 1)), *pair = find(&orders[1], key_of(t + 1, 2)),
               *two = find(&orders[1], key_of(t, 2)), *three = find(&orders[2], key_of(t, 3));
    double kinds = (double)orders[0].count, p = 1 / (kinds + 1);
    p = (fmax(last->before - DISCOUNT, 0) + DISCOUNT * kinds * p) / (double)language->pairs;
    if (one->sum > 0)
        p = (fmax(pair->before - DISCOUNT, 0) + DISCOUNT * one->kinds * p) / one->sum;
    if (two->sum > 0)
        p = (fmax(three->before - DISCOUNT, 0) + DISCOUNT * two->kinds * p) / two->sum;
    return p;
}

static int by_size_down(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x > y ? -1 : x < y;
}

static double mean_of(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return count > 0 ? sum / (double)count : 0;
}

static void add_up(const ts_language *language, const ts_token_list *tokens, size_t known, double *losses, ts_surprise *s)
{
    size_t count = tokens->count - known + 1, unknown = 0, novel = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t three[3] = {token_at(tokens, known + i), token_at(tokens, known + i + 1), token_at(tokens, known + i + 2)};
        losses[i] = -log(probability(language, three));
        s->surprises += losses[i] > SURPRISE;
        unknown += find(&language->orders[0], key_of(three + 2, 1))->before == 0;
        novel += find(&language->orders[2], key_of(three, 3))->before == 0;
    }
    s->loss = mean_of(losses, count);
    s->beginning = mean_of(losses, TS_MIN(count, (size_t)BEGINNING));
    s->surprises /= (double)count;
    s->unknown = (double)unknown / (double)count;
    s->novelty = (double)novel / (double)count;
    qsort(losses, count, sizeof *losses, by_size_down);
    s->worst = mean_of(losses, (count + 9) / 10);
}

static ts_status raw_surprise(const ts_language *language, const ts_token_list *tokens, size_t known, ts_surprise *surprise)
{
    *surprise = (ts_surprise){0};
    double *losses = ts_allocate_array(language->runtime, tokens->count - known + 1, sizeof *losses);
    if (!losses)
        return TS_ERROR_OUT_OF_MEMORY;
    add_up(language, tokens, known, losses, surprise);
    ts_release(language->runtime, losses);
    return TS_OK;
}

ts_status ts_language_surprise(const ts_language *language, const ts_token_list *tokens, size_t known, ts_surprise *surprise)
{
    double values[SURPRISES];
    TS_TRY(raw_surprise(language, tokens, known, surprise));
    memcpy(values, surprise, sizeof values);
    for (size_t i = 0; i < SURPRISES; i++)
        values[i] = (values[i] - language->mean[i]) / language->deviation[i];
    memcpy(surprise, values, sizeof values);
    return TS_OK;
}

/* ---- the two readings ---- */

/* Every HELD_OUT-th story is for the units, the others for the counts. */
static ts_status take_story(ts_language *language, const ts_token_list *tokens, bool measure, double *squares)
{
    ts_surprise surprise;
    double values[SURPRISES];
    if (!measure)
        return learn_story(language, tokens);
    TS_TRY(raw_surprise(language, tokens, 0, &surprise));
    memcpy(values, &surprise, sizeof values);
    for (size_t i = 0; i < SURPRISES; i++) {
        language->mean[i] += values[i];
        squares[i] += values[i] * values[i];
    }
    return TS_OK;
}

static ts_status read_stories(ts_language *language, ts_stories *stories, bool measure, double *squares)
{
    ts_token_list tokens = {0};
    const char *text;
    size_t size, bytes = 0;
    ts_status status = TS_OK;
    language->stories = 0;
    while (status == TS_OK && (status = ts_stories_next(stories, &text, &size)) == TS_OK && text) {
        tokens.count = 0;
        bytes += size;
        if (bytes > TS_LANGUAGE_MOST_TEXT)
            break;
        if ((language->stories++ % HELD_OUT == HELD_OUT - 1) != measure)
            continue;
        status = ts_tokens_add(language->runtime, &tokens, text, size);
        if (status == TS_OK)
            status = take_story(language, &tokens, measure, squares);
    }
    ts_release(language->runtime, tokens.items);
    return status;
}

static ts_status learn(ts_language *language, const char *const *paths, size_t count)
{
    double squares[SURPRISES] = {0};
    for (int measure = 0; measure <= 1; measure++) {
        ts_stories *stories;
        TS_TRY(ts_stories_open(&stories, language->runtime, paths, count));
        ts_status status = read_stories(language, stories, measure, squares);
        ts_stories_close(stories);
        TS_TRY(status);
        if (language->stories < FEWEST_STORIES)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.text has %llu stories, expected at least %d", (unsigned long long)language->stories,
                           FEWEST_STORIES);
    }
    double held = (double)(language->stories / HELD_OUT);
    for (size_t i = 0; i < SURPRISES; i++) {
        language->mean[i] /= held;
        language->deviation[i] = fmax(sqrt(fmax(squares[i] / held - language->mean[i] * language->mean[i], 0)), LEAST_DEVIATION);
    }
    return TS_OK;
}

ts_status ts_language_learn(ts_language **out, ts_runtime *runtime, const char *const *paths, size_t count)
{
    ts_language *language = ts_allocate(runtime, sizeof *language);
    if (!language)
        return TS_ERROR_OUT_OF_MEMORY;
    language->runtime = runtime;
    ts_status status = learn(language, paths, count);
    if (status != TS_OK)
        ts_language_free(language);
    else
        *out = language;
    return status;
}

void ts_language_free(ts_language *language)
{
    if (!language)
        return;
    for (size_t i = 0; i < TS_COUNT_OF(language->orders); i++)
        ts_release(language->runtime, language->orders[i].grams);
    ts_release(language->runtime, language);
}

uint64_t ts_language_stories(const ts_language *language)
{
    return language->stories;
}

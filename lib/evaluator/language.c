/* The n-gram model: counts of three, two and one tokens in hash tables, and what a text costs by them. */
#include "evaluator/measures.h"

#include "format/stories.h"

#include <math.h>
#include <stdlib.h>

#define DISCOUNT 0.75                     /* of Kneser and Ney, all orders alike: the weight that is kept for what was not seen */
#define EDGE UINT64_C(0x9e3779b97f4a7c15) /* the token before and behind a story */
#define SURPRISE 8.0
#define LEAST_DEVIATION 0.01 /* of small texts, whose stories held out are all alike */

enum {
    HELD_OUT = 20,
    FEWEST_STORIES = 40,
    BEGINNING = 12,
    OPENING = 5,
    SURPRISES = (sizeof(ts_surprise) - sizeof(double)) / sizeof(double),
    COMMON = 200,
    COMMONEST = 1000
};

/* Copies are found by runs of RUN tokens that begin at every STEP-th token of the text: each run of RUN + STEP - 1 that is copied holds one. */
enum { RUN = 13, STEP = 4 };

/* Tokens in a row. As the end of a longer row it counts the kinds of tokens before it (`before`; of three its occurrences), as a beginning the sum
 * (`sum`) and the kinds (`kinds`) of what follows. */
typedef struct gram {
    uint64_t key; /* 0: an empty place */
    uint32_t before, sum, kinds;
    uint32_t seen; /* of one token: its occurrences */
} gram;

typedef struct table {
    gram *grams;
    size_t count, capacity;
} table;

/* Runs of tokens, as nothing but their hashes. */
typedef struct runs {
    uint64_t *keys; /* 0: an empty place */
    size_t count, capacity;
} runs;

struct ts_language {
    ts_runtime *runtime;
    table orders[3]; /* one, two and three tokens */
    runs copied;
    uint64_t pairs; /* kinds of two tokens */
    uint64_t tokens;
    uint64_t stories;
    double mean[SURPRISES], deviation[SURPRISES]; /* of the stories held out */
};

/* ---- tables ---- */

static uint64_t key_of(const uint64_t *tokens, size_t count)
{
    uint64_t key = ts_hash(tokens, count * sizeof *tokens, count);
    return key != 0 ? key : 1;
}

static gram *place_of(const table *t, uint64_t key)
{
    size_t mask = t->capacity - 1, at = (size_t)key & mask;
    while (t->grams[at].key != 0 && t->grams[at].key != key)
        at = (at + 1) & mask;
    return &t->grams[at];
}

static const gram *find(const table *t, uint64_t key)
{
    static const gram none = {0};
    const gram *found = t->capacity > 0 ? place_of(t, key) : &none;
    return found->key != 0 ? found : &none;
}

/* The table is never more than half full. */
static ts_status grow(ts_runtime *runtime, table *t)
{
    table larger = {.count = t->count, .capacity = TS_MAX(2 * t->capacity, (size_t)1024)};
    larger.grams = ts_allocate_array(runtime, larger.capacity, sizeof *larger.grams);
    if (!larger.grams)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->grams[i].key != 0)
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
    t->count += (*out)->key == 0;
    (*out)->key = key;
    return TS_OK;
}

/* ---- runs ---- */

static uint64_t *run_place(const runs *r, uint64_t key)
{
    size_t mask = r->capacity - 1, at = (size_t)key & mask;
    while (r->keys[at] != 0 && r->keys[at] != key)
        at = (at + 1) & mask;
    return &r->keys[at];
}

static ts_status grow_runs(ts_runtime *runtime, runs *r)
{
    runs larger = {.count = r->count, .capacity = TS_MAX(2 * r->capacity, (size_t)1024)};
    larger.keys = ts_allocate_array(runtime, larger.capacity, sizeof *larger.keys);
    if (!larger.keys)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < r->capacity; i++)
        if (r->keys[i] != 0)
            *run_place(&larger, r->keys[i]) = r->keys[i];
    ts_release(runtime, r->keys);
    *r = larger;
    return TS_OK;
}

static uint64_t run_key(const ts_token_list *tokens, size_t at)
{
    uint64_t hashes[RUN];
    for (size_t i = 0; i < RUN; i++)
        hashes[i] = tokens->items[at + i].hash;
    return key_of(hashes, RUN);
}

static ts_status learn_runs(ts_language *language, const ts_token_list *tokens)
{
    runs *r = &language->copied;
    for (size_t at = 0; at + RUN <= tokens->count; at += STEP) {
        uint64_t key = run_key(tokens, at), *place;
        if (2 * (r->count + 1) > r->capacity)
            TS_TRY(grow_runs(language->runtime, r));
        place = run_place(r, key);
        r->count += *place == 0;
        *place = key;
    }
    return TS_OK;
}

/* Share of tokens[known ..) that are in runs which the text has. */
static double copied_share(const ts_language *language, const ts_token_list *tokens, size_t known)
{
    size_t covered = known, copied = 0;
    for (size_t at = known; language->copied.count > 0 && at + RUN <= tokens->count; at++)
        if (*run_place(&language->copied, run_key(tokens, at)) != 0) {
            copied += at + RUN - TS_MAX(covered, at);
            covered = at + RUN;
        }
    return tokens->count > known ? (double)copied / (double)(tokens->count - known) : 0;
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
    language->tokens += tokens->count + 1;
    for (size_t i = 0; i <= tokens->count; i++) {
        uint64_t token = token_at(tokens, i + 2);
        gram *one;
        TS_TRY(find_or_make(language->runtime, &language->orders[0], key_of(&token, 1), &one));
        one->seen++;
    }
    return learn_runs(language, tokens);
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

/* The mean loss of the first sentence. */
static double first_loss(const ts_token_list *tokens, size_t known, const double *losses)
{
    size_t end = known;
    while (end < tokens->count && !ts_token_ends_sentence(&tokens->items[end]))
        end++;
    return mean_of(losses, TS_MIN(end, tokens->count) - known + 1);
}

/* The mean loss of the tenth of the common words that are the least likely where they stand: endings, articles and tenses go wrong there. `losses` of
 * common words are put into `room`. */
static double common_loss(const ts_language *language, const ts_token_list *tokens, size_t known, const double *losses, double *room)
{
    size_t common = 0;
    for (size_t i = known; i < tokens->count; i++)
        if (tokens->items[i].word && find(&language->orders[0], key_of(&tokens->items[i].hash, 1))->seen > language->tokens / COMMONEST)
            room[common++] = losses[i - known];
    qsort(room, common, sizeof *room, by_size_down);
    return mean_of(room, (common + 9) / 10);
}

/* Share of pairs of neighbours that are both common, so much that chance alone would have put them side by side, and that the text never has so. */
static double odd_pairs(const ts_language *language, const ts_token_list *tokens, size_t known)
{
    size_t odd = 0;
    for (size_t i = TS_MAX(known, (size_t)1); i < tokens->count; i++) {
        const uint64_t pair[2] = {tokens->items[i - 1].hash, tokens->items[i].hash};
        double left = find(&language->orders[0], key_of(pair, 1))->seen, right = find(&language->orders[0], key_of(pair + 1, 1))->seen;
        odd += left > COMMON && right > COMMON && left * right > (double)language->tokens && find(&language->orders[1], key_of(pair, 2))->sum == 0;
    }
    return tokens->count > known ? (double)odd / (double)(tokens->count - known) : 0;
}

static const double *most_of(const double *values, size_t count)
{
    const double *most = values;
    for (size_t i = 1; i < count; i++)
        if (values[i] > *most)
            most = values + i;
    return most;
}

/* The median over the tokens of what one costs where it stands beyond what its rarity alone would cost: a rare word is no fault, a common one out of
 * place is. The room gets these costs. */
static double misplaced_loss(const ts_language *language, const ts_token_list *tokens, size_t known, const double *losses, double *room)
{
    size_t count = tokens->count - known;
    for (size_t i = 0; i < count; i++) {
        double seen = find(&language->orders[0], key_of(&tokens->items[known + i].hash, 1))->seen;
        room[i] = losses[i] - log((double)language->tokens / (seen + 0.5));
    }
    qsort(room, count, sizeof *room, by_size_down);
    return count > 0 ? (room[(count - 1) / 2] + room[count / 2]) / 2 : 0;
}

/* `losses` has room for a loss of each token and for as many more. */
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
    s->first = first_loss(tokens, known, losses);
    s->common = common_loss(language, tokens, known, losses, losses + count);
    s->odd = odd_pairs(language, tokens, known);
    s->opening = *most_of(losses, TS_MIN(count, (size_t)OPENING));
    s->misplaced = misplaced_loss(language, tokens, known, losses, losses + count);
    s->copied = copied_share(language, tokens, known);
    qsort(losses, count, sizeof *losses, by_size_down);
    s->worst = mean_of(losses, (count + 9) / 10);
}

static ts_status raw_surprise(const ts_language *language, const ts_token_list *tokens, size_t known, ts_surprise *surprise)
{
    *surprise = (ts_surprise){0};
    double *losses = ts_allocate_array(language->runtime, 2 * (tokens->count - known + 1), sizeof *losses);
    if (!losses)
        return TS_ERROR_OUT_OF_MEMORY;
    add_up(language, tokens, known, losses, surprise);
    ts_release(language->runtime, losses);
    return TS_OK;
}

ts_status ts_language_surprise(const ts_language *language, const ts_token_list *tokens, size_t known, ts_surprise *surprise)
{
    double values[SURPRISES]; /* `copied`, the last one, stays as it is */
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
    ts_release(language->runtime, language->copied.keys);
    ts_release(language->runtime, language);
}

uint64_t ts_language_stories(const ts_language *language)
{
    return language->stories;
}

/* What heads look at: measures over a corpus, and over sequences that say the same twice. tinystories/analysis.h says what each means. */
#include <math.h>

#include "evaluator/corpus.h"

#define TRIALS 16      /* repeated sequences */
#define CONTENT 0.1     /* share of a head's choosing that its keys' tokens must explain */
#define TRIAL_TOKENS 64 /* of which each holds so many at most, twice */

/* Pairs of a query and a key with some token: a - m / t, summed up. */
typedef struct cell {
    double sum, count;
} cell;

/* Sums over queries. */
typedef struct head_sums {
    double previous, previous_chance, duplicate, duplicate_chance, induction, induction_chance, first, focus, mass, distances;
    double squares, departure; /* of a, and of a - m / t */
    double *products, *masses; /* for each distance the sums of a m and of m m */
    cell *cells;               /* (2, distinct, 2): of every other window, by the key's token, and whether it is the query's */
} head_sums;

struct ts_heads {
    ts_corpus corpus;
    ts_tapped *tapped;
    head_sums *sums; /* (L, H) */
    double *tables;  /* what their products and masses point into */
    cell *cells;     /* and their cells */
    uint32_t *names; /* of the corpus's ids: which of its distinct tokens each is */
    size_t distinct;
    uint64_t queries, trial_queries;
    ts_head *heads; /* (L, H), once all is read */
};

/* A pass at hand. */
typedef struct look {
    ts_heads *heads;
    const ts_tap *tap;
    const ts_window *window; /* of the corpus */
    size_t trial, skip;      /* or a trial of so many tokens behind `skip`; 0: none */
} look;

/* The first key that a query of the layer sees. */
static size_t first_key(const look *l, size_t query)
{
    size_t window = ts_layer_window(&l->heads->corpus.model->shape, l->tap->layer);
    return query + 1 > window ? query + 1 - window : 0;
}

/* One query of the corpus: `weights` to the keys up to it, whose tokens are names[0 .. query]; `half` of the cells takes it. */
static void add_query(head_sums *s, const float *weights, size_t query, size_t from, const uint32_t *names, cell *half)
{
    size_t begin = TS_MAX(from, (size_t)1), keys = query + 1 - begin;
    double mass = 0, even, moved = 0;
    for (size_t j = begin; j <= query; j++)
        mass += weights[j];
    even = mass / (double)keys;
    for (size_t j = begin; j <= query; j++) {
        double a = weights[j], off = a - even;
        moved += fabs(off) / 2;
        s->squares += a * a;
        s->departure += off * off;
        s->products[query - j] += a * mass;
        s->masses[query - j] += mass * mass;
        s->distances += a * (double)(query - j);
        cell *c = &half[2 * names[j] + (names[j] == names[query])];
        c->sum += off;
        c->count++;
    }
    s->focus += moved;
    s->mass += mass;
    s->first += from == 0 ? weights[0] : 0;
    s->previous += query - 1 >= from ? weights[query - 1] : 0;
    s->previous_chance += query - 1 >= from ? 1 / (double)(query + 1 - from) : 0;
}

/* The second saying of a trial's tokens: where the first saying of each lies, and what followed it there. The last has no other follower. */
static void add_trial(const look *l, head_sums *s, const float *square, size_t stride)
{
    for (size_t i = 0; i + 1 < l->trial; i++) {
        size_t first = l->skip + i, query = first + l->trial, from = first_key(l, query);
        const float *weights = square + query * stride;
        double chance = 1 / (double)(query + 1 - from);
        s->duplicate += first >= from ? weights[first] : 0;
        s->duplicate_chance += first >= from ? chance : 0;
        s->induction += first + 1 >= from ? weights[first + 1] : 0;
        s->induction_chance += first + 1 >= from ? chance : 0;
    }
}

static void look_at_heads(void *argument, size_t begin, size_t end, size_t worker)
{
    const look *l = argument;
    (void)worker;
    for (size_t head = begin; head < end; head++) {
        head_sums *s = &l->heads->sums[l->tap->layer * l->tap->shape[0] + head];
        const float *square = l->tap->data + head * l->tap->strides[0];
        if (l->trial > 0)
            add_trial(l, s, square, l->tap->strides[1]);
        const ts_corpus *corpus = &l->heads->corpus;
        cell *half = l->trial == 0 ? s->cells + 2 * l->heads->distinct * ((size_t)(l->window - corpus->windows) % 2) : NULL;
        for (size_t query = 2; l->trial == 0 && query < l->tap->shape[1]; query++)
            add_query(s, square + query * l->tap->strides[1], query, first_key(l, query), l->heads->names + l->window->begin, half);
    }
}

static int32_t look_at_weights(void *user, const ts_tap *tap)
{
    look *l = user;
    if (tap->point != TS_TAP_WEIGHTS)
        return 0;
    l->tap = tap;
    ts_parallel(l->heads->corpus.model->runtime, tap->shape[0], 1, look_at_heads, l);
    return 0;
}

/* ---- trials ---- */

/* Draws different tokens of the corpus into `ids`; how many came. */
static size_t draw(const ts_corpus *corpus, uint32_t *ids, size_t wanted, ts_random *random)
{
    size_t count = 0;
    for (size_t tries = 0; tries < 64 * wanted && count < wanted; tries++) {
        uint32_t id = corpus->ids[ts_random_below(random, corpus->count)];
        bool seen = ts_tokenizer_is_special(corpus->model->tokenizer, id) != 0;
        for (size_t i = 0; i < count && !seen; i++)
            seen = ids[i] == id;
        if (!seen)
            ids[count++] = id;
    }
    return count;
}

static ts_status run_trials(ts_heads *heads)
{
    const ts_corpus *corpus = &heads->corpus;
    uint32_t ids[1 + 2 * TRIAL_TOKENS], begin = ts_tokenizer_begin_of_text(corpus->model->tokenizer);
    look l = {.heads = heads, .skip = begin != TS_TOKENIZER_NONE};
    ids[0] = begin;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        ts_random random = {.seed = corpus->options.seed, .stream = trial};
        l.trial = draw(corpus, ids + l.skip, TS_MIN((size_t)TRIAL_TOKENS, (corpus->model->shape.T - l.skip) / 2), &random);
        if (l.trial < 2)
            continue;
        memcpy(ids + l.skip + l.trial, ids + l.skip, l.trial * sizeof *ids);
        TS_TRY(ts_tapped_run(heads->tapped, ids, l.skip + 2 * l.trial, look_at_weights, &l, NULL));
        heads->trial_queries += l.trial - 1;
    }
    return TS_OK;
}

/* ---- what the sums say ---- */

static bool above_chance(double score, double chance, double threshold)
{
    return chance < 1 && (score - chance) / (1 - chance) >= threshold;
}

static double explained_by_distance(const head_sums *s, size_t T)
{
    double left = s->squares;
    for (size_t d = 0; d < T; d++)
        left -= s->masses[d] > 0 ? s->products[d] * s->products[d] / s->masses[d] : 0;
    double share = s->departure > 1e-12 ? 1 - left / s->departure : 0;
    return share < 0 ? 0 : share;
}

/* Of what one half of the windows says of a token only that counts which the other half says too. */
static double explained_by_content(const head_sums *s, size_t distinct)
{
    double explained = 0;
    for (size_t i = 0; i < 2 * distinct; i++) {
        const cell *a = &s->cells[i], *b = a + 2 * distinct;
        if (a->count > 0 && b->count > 0)
            explained += (a->count + b->count) * (a->sum / a->count) * (b->sum / b->count);
    }
    double share = s->departure > 1e-12 ? explained / s->departure : 0;
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static void conclude(ts_heads *heads, size_t index)
{
    const ts_shape *shape = &heads->corpus.model->shape;
    const head_sums *s = &heads->sums[index];
    double threshold = heads->corpus.options.threshold, n = heads->queries > 0 ? (double)heads->queries : 1;
    double trials = heads->trial_queries > 0 ? (double)heads->trial_queries : 1;
    ts_head h = {.struct_size = sizeof h, .layer = (uint32_t)(index / shape->H), .head = (uint32_t)(index % shape->H)};
    h.previous = s->previous / n;
    h.previous_chance = s->previous_chance / n;
    h.duplicate = s->duplicate / trials;
    h.duplicate_chance = s->duplicate_chance / trials;
    h.induction = s->induction / trials;
    h.induction_chance = s->induction_chance / trials;
    h.first = s->first / n;
    h.focus = s->focus / n;
    h.distance = explained_by_distance(s, shape->T);
    h.content = explained_by_content(s, heads->distinct);
    h.mean_distance = s->mass > 0 ? s->distances / s->mass : 0;
    h.kinds |= above_chance(h.previous, h.previous_chance, threshold) ? TS_HEAD_PREVIOUS : 0;
    h.kinds |= above_chance(h.duplicate, h.duplicate_chance, threshold) ? TS_HEAD_DUPLICATE : 0;
    h.kinds |= above_chance(h.induction, h.induction_chance, threshold) ? TS_HEAD_INDUCTION : 0;
    h.kinds |= h.focus < threshold ? 0 : h.distance >= 0.5 ? TS_HEAD_DISTANCE : h.content >= CONTENT ? TS_HEAD_SEMANTIC : 0;
    h.kinds |= h.first >= 0.5 ? TS_HEAD_RESTING : 0;
    heads->heads[index] = h;
}

static ts_status measure(ts_heads *heads)
{
    const ts_shape *shape = &heads->corpus.model->shape;
    look l = {.heads = heads};
    TS_TRY(ts_corpus_run(&heads->corpus, heads->tapped, look_at_weights, &l, &l.window));
    for (size_t i = 0; i < heads->corpus.window_count; i++)
        heads->queries += heads->corpus.windows[i].count > 2 ? heads->corpus.windows[i].count - 2 : 0;
    TS_TRY(run_trials(heads));
    for (size_t i = 0; i < shape->L * shape->H; i++) {
        const head_sums *s = &heads->sums[i];
        if (!isfinite(s->squares + s->first + s->duplicate + s->induction))
            return ts_fail(TS_ERROR_DIVERGED, "head %zu of layer %zu gives attention that is not a finite number", i % shape->H, i / shape->H);
        conclude(heads, i);
    }
    return TS_OK;
}

/* ---- the handle ---- */

/* Numbers the corpus's tokens as they come up. */
static ts_status name_tokens(ts_heads *heads)
{
    const ts_corpus *corpus = &heads->corpus;
    ts_runtime *runtime = corpus->model->runtime;
    size_t V = corpus->model->shape.V;
    uint32_t *known = ts_allocate_array(runtime, V, sizeof *known); /* name + 1 */
    heads->names = ts_allocate_array(runtime, corpus->count, sizeof *heads->names);
    ts_status status = known != NULL && heads->names != NULL ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < corpus->count && status == TS_OK; i++) {
        uint32_t *name = &known[corpus->ids[i]];
        if (*name == 0)
            *name = (uint32_t)++heads->distinct;
        heads->names[i] = *name - 1;
    }
    ts_release(runtime, known);
    return status;
}

static ts_status allocate(ts_heads *heads)
{
    const ts_model *model = heads->corpus.model;
    const ts_shape *shape = &model->shape;
    size_t count = shape->L * shape->H, skip = ts_tokenizer_begin_of_text(model->tokenizer) != TS_TOKENIZER_NONE;
    size_t trial = skip + 2 * TS_MIN((size_t)TRIAL_TOKENS, (shape->T - skip) / 2);
    heads->sums = ts_allocate_array(model->runtime, count, sizeof *heads->sums);
    heads->heads = ts_allocate_array(model->runtime, count, sizeof *heads->heads);
    heads->tables = ts_allocate_array(model->runtime, count, 2 * shape->T * sizeof *heads->tables);
    TS_TRY(name_tokens(heads));
    heads->cells = ts_allocate_array(model->runtime, count, 4 * heads->distinct * sizeof *heads->cells);
    if (heads->sums == NULL || heads->heads == NULL || heads->tables == NULL || heads->cells == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) {
        heads->sums[i].products = heads->tables + 2 * i * shape->T;
        heads->sums[i].masses = heads->sums[i].products + shape->T;
        heads->sums[i].cells = heads->cells + 4 * i * heads->distinct;
    }
    return ts_tapped_make(&heads->tapped, model, TS_MAX(heads->corpus.longest, trial));
}

ts_status ts_heads_new(ts_heads **out, const ts_model *model, const char *const *paths, size_t path_count, const ts_analysis_options *options)
{
    if (out == NULL || model == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and model must not be NULL");
    ts_heads *heads = ts_allocate(model->runtime, sizeof *heads);
    if (heads == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    heads->corpus.model = ts_model_acquire(model);
    ts_status status = ts_corpus_read(&heads->corpus, paths, path_count, options);
    if (status == TS_OK)
        status = allocate(heads);
    if (status == TS_OK)
        status = measure(heads);
    ts_tapped_free(heads->tapped);
    heads->tapped = NULL;
    if (status != TS_OK) {
        ts_heads_free(heads);
        return status;
    }
    *out = heads;
    return TS_OK;
}

void ts_heads_free(ts_heads *heads)
{
    if (heads == NULL)
        return;
    /* The model keeps the runtime that the memory goes back to, so it goes last. */
    ts_model *model = heads->corpus.model;
    ts_release(model->runtime, heads->sums);
    ts_release(model->runtime, heads->heads);
    ts_release(model->runtime, heads->tables);
    ts_release(model->runtime, heads->cells);
    ts_release(model->runtime, heads->names);
    ts_corpus_free(&heads->corpus);
    ts_release(model->runtime, heads);
    ts_model_free(model);
}

size_t ts_heads_count(const ts_heads *heads)
{
    return heads == NULL ? 0 : heads->corpus.model->shape.L * heads->corpus.model->shape.H;
}

uint64_t ts_heads_tokens(const ts_heads *heads)
{
    return heads == NULL ? 0 : heads->corpus.tokens;
}

ts_status ts_heads_get(const ts_heads *heads, size_t index, ts_head *head)
{
    if (heads == NULL || head == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "heads and head must not be NULL");
    if (index >= ts_heads_count(heads))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "head %zu of a model that has %zu", index, ts_heads_count(heads));
    return ts_report_write(head, &heads->heads[index], sizeof *head, "ts_head");
}

/*
 * Beam search: of all continuations of a story's `beams` likeliest beginnings the likeliest are kept, token after token. A beginning that ends competes by its mean
 * log-probability, the end counted, and the search is over when none that still grows could have a better one (Hugging Face's rule without early stopping).
 */
#include <math.h>

#include "sampler/inside.h"

bool ts_beams_plan(const ts_shape *shape, size_t beams, size_t positions, size_t *total)
{
    size_t cache;
    if (beams < 2)
        return true;
    return ts_multiply(shape->L * shape->kv, positions, &cache) && ts_multiply(cache, 2 * sizeof(float), &cache) && ts_arena_plan(total, beams, cache) &&
           ts_arena_plan(total, beams, sizeof(ts_beam)) && ts_arena_plan(total, beams, sizeof(ts_beam)) && ts_arena_plan(total, beams, sizeof(ts_beam)) &&
           ts_arena_plan(total, 2 * beams, sizeof(ts_extension)) && ts_arena_plan(total, 2 * beams, positions * sizeof(uint32_t));
}

void ts_beams_take(ts_beams *b, const ts_shape *shape, size_t beams, size_t positions, ts_arena *arena)
{
    if (beams < 2)
        return;
    size_t cache = shape->L * shape->kv * positions;
    float *floats = ts_arena_take(arena, beams, 2 * cache * sizeof(float));
    b->beams = ts_arena_take(arena, beams, sizeof *b->beams);
    b->next = ts_arena_take(arena, beams, sizeof *b->next);
    b->finished = ts_arena_take(arena, beams, sizeof *b->finished);
    b->extensions = ts_arena_take(arena, 2 * beams, sizeof *b->extensions);
    uint32_t *tokens = ts_arena_take(arena, 2 * beams, positions * sizeof(uint32_t));
    for (size_t i = 0; i < beams; i++) {
        b->beams[i].cache = (ts_cache){.keys = floats + 2 * i * cache, .values = floats + (2 * i + 1) * cache, .capacity = positions};
        b->beams[i].tokens = tokens + i * positions;
        b->finished[i].tokens = tokens + (beams + i) * positions;
    }
}

/* ---- extensions ---- */

/* Puts one into the list, best first, which keeps the 2 x beams best; the one that came first among equals. */
static void offer(ts_beams *b, size_t most, ts_extension extension)
{
    size_t at = b->extension_count;
    while (at > 0 && extension.sum > b->extensions[at - 1].sum)
        at--;
    if (at == most)
        return;
    b->extension_count += b->extension_count < most;
    memmove(b->extensions + at + 1, b->extensions + at, (b->extension_count - at - 1) * sizeof extension);
    b->extensions[at] = extension;
}

/* Every token behind a beam that its constraints allow. */
static ts_status extend(ts_sampler *s, size_t beam, const float *logits)
{
    ts_beams *b = &s->beams;
    ts_candidates *candidates = &s->candidates;
    uint32_t *tokens = s->tokens;
    size_t count = s->token_count;
    TS_TRY(ts_candidates_fill(candidates, logits, candidates->capacity));
    s->tokens = b->beams[beam].tokens; /* constraints look at the sampler's story */
    s->token_count = b->beams[beam].count;
    ts_telling_review(s);
    ts_constrain(s);
    s->tokens = tokens;
    s->token_count = count;
    float most = s->model->kernels->maximum(candidates->logits, candidates->capacity);
    double sum = 0;
    for (size_t i = 0; i < candidates->capacity; i++)
        sum += exp((double)(candidates->logits[i] - most));
    double total = (double)most + log(sum);
    for (uint32_t id = 0; most > -INFINITY && id < candidates->capacity; id++)
        if (candidates->logits[id] > -INFINITY)
            offer(b, 2 * (size_t)s->options.beams,
                  (ts_extension){.sum = b->beams[beam].sum + (double)candidates->logits[id] - total, .beam = (uint32_t)beam, .token = id});
    return TS_OK;
}

/* ---- stories that have ended ---- */

static void finish(ts_sampler *s, const ts_beam *beam, double score, int32_t why)
{
    ts_beams *b = &s->beams;
    size_t at = b->finished_count, most = s->options.beams;
    while (at > 0 && score > b->finished[at - 1].sum)
        at--;
    if (at == most)
        return;
    b->finished_count += b->finished_count < most;
    ts_beam last = b->finished[b->finished_count - 1];
    memmove(b->finished + at + 1, b->finished + at, (b->finished_count - at - 1) * sizeof last);
    b->finished[at] = (ts_beam){.tokens = last.tokens, .count = beam->count, .sum = score, .why = why};
    memcpy(last.tokens, beam->tokens, beam->count * sizeof *beam->tokens);
}

/* ---- a step ---- */

static void copy_beam(const ts_shape *shape, ts_beam *to, const ts_beam *from)
{
    ts_cache cache = to->cache;
    uint32_t *tokens = to->tokens;
    ts_cache_copy(shape, &cache, &from->cache);
    memcpy(tokens, from->tokens, from->count * sizeof *tokens);
    *to = *from;
    to->cache = cache;
    to->tokens = tokens;
}

/* The chosen extensions become the beams. The first one of each beam grows in its place, the others in those of beams that are given up. */
static void grow(ts_sampler *s, const ts_extension *chosen, size_t count)
{
    ts_beams *b = &s->beams;
    size_t beams = s->options.beams, used = 0;
    for (size_t i = 0; i < beams; i++)
        b->beams[i].kept = false;
    for (size_t i = 0; i < count; i++) {
        ts_beam *parent = &b->beams[chosen[i].beam];
        b->next[i].why = parent->kept ? 1 : 0; /* 1: needs a place */
        parent->kept = true;
    }
    for (size_t i = 0; i < count; i++) {
        const ts_beam *parent = &b->beams[chosen[i].beam];
        if (b->next[i].why == 0) {
            b->next[i] = *parent;
            continue;
        }
        while (b->beams[used].kept)
            used++;
        copy_beam(&s->model->shape, &b->beams[used], parent);
        b->next[i] = b->beams[used++];
    }
    for (size_t i = 0; i < count; i++) {
        b->next[i].tokens[b->next[i].count++] = chosen[i].token;
        b->next[i].sum = chosen[i].sum;
    }
    while (used < beams && count < beams) { /* places that nobody grows in stay known */
        if (!b->beams[used].kept)
            b->next[count++] = b->beams[used];
        used++;
    }
    memcpy(b->beams, b->next, beams * sizeof *b->beams);
}

static ts_status read_beams(ts_sampler *s)
{
    const ts_model *model = s->model;
    ts_beams *b = &s->beams;
    b->extension_count = 0;
    for (size_t i = 0; i < b->count; i++) {
        ts_beam *beam = &b->beams[i];
        if (atomic_load(&s->cancelled) != 0)
            return TS_ERROR_CANCELLED; /* ts_telling_next tells */
        if (beam->cache.used < beam->count) {
            ts_inference_rows(model->runtime, model->kernels, &model->shape, &model->weights, beam->tokens + beam->cache.used, beam->count - beam->cache.used,
                              &beam->cache, &s->scratch);
            ts_inference_logits(model->runtime, model->kernels, &model->shape, &model->weights, s->scratch.norm, 1, s->ahead, &s->scratch);
        }
        TS_TRY(extend(s, i, s->ahead));
    }
    return TS_OK;
}

/* Ends or grows the beams by their best extensions. False: nothing that still grows can be better than what has ended. */
static bool step(ts_sampler *s, size_t prompt)
{
    ts_beams *b = &s->beams;
    const ts_tokenizer *tokenizer = s->model->tokenizer;
    ts_extension *chosen = b->extensions; /* in place: never ahead of what is read */
    size_t beams = s->options.beams, count = 0, length = b->beams[0].count + 1 - prompt;
    double best = b->extension_count > 0 ? b->extensions[0].sum : -INFINITY;
    for (size_t rank = 0; rank < b->extension_count && count < beams; rank++) {
        ts_extension e = b->extensions[rank];
        if (e.token != ts_tokenizer_end_of_text(tokenizer) && e.token != ts_tokenizer_begin_of_text(tokenizer))
            chosen[count++] = e;
        else if (rank < beams)
            finish(s, &b->beams[e.beam], e.sum / (double)length, TS_FINISH_END);
    }
    if (count == 0)
        return false;
    grow(s, chosen, count);
    b->count = count;
    return b->finished_count < beams || b->finished[beams - 1].sum < best / (double)length;
}

ts_status ts_beams_search(ts_sampler *s)
{
    const ts_sampler_options *o = &s->options;
    ts_beams *b = &s->beams;
    size_t prompt = s->token_count, most = o->context_length;
    int32_t why = TS_FINISH_CONTEXT;
    if (o->max_tokens > 0 && o->max_tokens < most - prompt) {
        most = prompt + o->max_tokens;
        why = TS_FINISH_MAX_TOKENS;
    }
    ts_beam start = {.cache = s->cache, .tokens = s->tokens, .count = prompt};
    copy_beam(&s->model->shape, &b->beams[0], &start);
    memcpy(s->ahead, s->logits, s->model->shape.V * sizeof(float));
    b->count = 1;
    b->finished_count = 0;
    bool grows = true;
    while (grows && b->beams[0].count < most) {
        ts_status status = read_beams(s);
        if (status == TS_ERROR_CANCELLED)
            return TS_OK; /* not found */
        TS_TRY(status);
        grows = step(s, prompt);
    }
    for (size_t i = 0; i < b->count && grows; i++)
        finish(s, &b->beams[i], b->beams[i].sum / (double)TS_MAX(b->beams[i].count - prompt, (size_t)1), why);
    ts_telling_review(s);
    b->found = true;
    return TS_OK;
}

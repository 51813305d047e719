/* Telling a story: the prompt read in chunks, then a token a call, drawn by constraints and steps; stop strings held back. */
#include "sampler/inside.h"

/* ---- reading ---- */

static ts_status check_cancelled(ts_sampler *sampler)
{
    if (atomic_exchange(&sampler->cancelled, 0) == 0)
        return TS_OK;
    return ts_fail(TS_ERROR_CANCELLED, "the sampler was cancelled after %llu tokens of the story", (unsigned long long)sampler->told);
}

/* Reads what the network has not seen yet; given up between two layers when the sampler is cancelled. */
static ts_status read_tokens(ts_sampler *sampler)
{
    const ts_model *model = sampler->model;
    ts_cache *cache = &sampler->cache;
    size_t rows = 0;
    while (cache->used < sampler->token_count) {
        TS_TRY(check_cancelled(sampler));
        rows = TS_MIN(sampler->scratch.rows, sampler->token_count - cache->used);
        bool last = cache->used + rows == sampler->token_count;
        ts_inference_prompt(model->runtime, model->kernels, &model->shape, &model->weights, sampler->tokens + cache->used, rows, last, cache,
                            &sampler->scratch);
    }
    ts_inference_logits(model->runtime, model->kernels, &model->shape, &model->weights, sampler->scratch.norm + (rows - 1) * model->shape.C, 1,
                        sampler->logits, &sampler->scratch);
    return TS_OK;
}

ts_status ts_telling_read(ts_sampler *sampler)
{
    if (sampler->cache.used == sampler->token_count)
        return TS_OK;
    sampler->drawn = TS_TOKENIZER_NONE;
    sampler->scratch.stop = &sampler->cancelled;
    ts_status status = read_tokens(sampler);
    sampler->scratch.stop = NULL;
    return status;
}

void ts_telling_review(ts_sampler *sampler)
{
    sampler->tail_size = 0;
    ts_required_begin(&sampler->required);
    bool marked = sampler->token_count > 0 && sampler->tokens[0] == ts_tokenizer_begin_of_text(sampler->model->tokenizer);
    for (size_t i = marked; i < sampler->token_count; i++) {
        size_t size;
        const char *bytes = ts_tokenizer_token(sampler->model->tokenizer, sampler->tokens[i], &size);
        ts_tail_add(sampler, bytes, size);
    }
}

void ts_telling_mark(ts_sampler *sampler)
{
    const ts_tokenizer *tokenizer = sampler->model->tokenizer;
    size_t size;
    sampler->stream = (ts_decode_stream){.count = 0};
    if (sampler->token_count == 1 && sampler->tokens[0] == ts_tokenizer_begin_of_text(tokenizer))
        ts_tokenizer_decode_next(tokenizer, &sampler->stream, sampler->tokens[0], sampler->text, sampler->text_capacity, &size);
}

void ts_telling_from(ts_sampler *sampler, size_t count, uint64_t seed)
{
    sampler->token_count = count;
    /* The last token is read again if need be: its logits are what comes next. */
    sampler->cache.used = TS_MIN(sampler->cache.used, count - 1);
    sampler->finish = TS_FINISH_NONE;
    sampler->drawn = TS_TOKENIZER_NONE;
    sampler->held_size = 0;
    sampler->beams.found = false;
    sampler->seed = seed;
    sampler->told = 0;
    sampler->started = true;
    ts_telling_review(sampler);
    ts_telling_mark(sampler);
}

/* Whether a story begins with the token for that: as many as are put before its prompt. */
static size_t begins(const ts_sampler *sampler, size_t prompt_size)
{
    uint32_t option = sampler->options.begin_of_text;
    return prompt_size == 0 || option == TS_BEGIN_OF_TEXT_ALWAYS ||
           (option == TS_BEGIN_OF_TEXT_FILE && ts_tokenizer_adds_begin(sampler->model->tokenizer));
}

/* Puts a story's beginning into its place (ids NULL: the prompt is there), and gives how many of the `read` tokens of the last story it has in common
 * with it. */
static size_t take_prompt(ts_sampler *sampler, size_t marks, const uint32_t *ids, size_t count, size_t read)
{
    uint32_t begin = ts_tokenizer_begin_of_text(sampler->model->tokenizer);
    size_t same = 0;
    while (ids != NULL && same < read && same < count + marks && sampler->tokens[same] == (same < marks ? begin : ids[same - marks]))
        same++;
    if (marks > 0)
        sampler->tokens[0] = begin;
    if (ids != NULL)
        memcpy(sampler->tokens + marks, ids, count * sizeof *ids);
    return same;
}

ts_status ts_telling_start(ts_sampler *sampler, const char *prompt, size_t size, uint64_t seed)
{
    const ts_tokenizer *tokenizer = sampler->model->tokenizer;
    size_t marks = begins(sampler, size), most = sampler->options.context_length - marks, count = 0,
           read = sampler->started ? sampler->cache.used : 0;
    uint32_t *ids = sampler->candidates.ids; /* free between draws, and as long as the vocabulary */
    sampler->started = false;
    sampler->finish = TS_FINISH_NONE;
    if (prompt == NULL && size > 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "prompt is NULL, but its size is %zu", size);
    /* A prompt as long as the vocabulary goes straight into its place, and all of it is read. */
    bool apart = most <= sampler->candidates.capacity;
    if (!apart) {
        ids = sampler->tokens + marks;
        read = 0;
    }
    if (size > 0) {
        ts_status status = ts_tokenizer_encode(tokenizer, prompt, size, 0, ids, most, &count);
        if (status == TS_ERROR_BUFFER_TOO_SMALL)
            return ts_fail(TS_ERROR_LIMIT, "the prompt has %zu tokens, the context takes at most %zu", count, most);
        TS_TRY(status);
    }
    sampler->cache.used = take_prompt(sampler, marks, apart ? ids : NULL, count, read);
    ts_telling_from(sampler, count + marks, seed);
    ts_status status = ts_telling_read(sampler);
    sampler->started = status == TS_OK;
    return status;
}

/* Forgets the older half of the context; ts_telling_read then reads the newer half again, from the first position on. */
static void slide(ts_sampler *sampler)
{
    size_t keep = sampler->token_count / 2;
    memmove(sampler->tokens, sampler->tokens + sampler->token_count - keep, keep * sizeof *sampler->tokens);
    sampler->token_count = keep;
    sampler->cache.used = 0;
}

/* ---- drawing ---- */

/* *id is TS_TOKENIZER_NONE where the constraints leave nothing. */
static ts_status draw(ts_sampler *sampler, uint32_t *id)
{
    const ts_sampler_options *o = &sampler->options;
    ts_candidates *candidates = &sampler->candidates;
    /* The network may have more rows than there are tokens; those have no text and are never drawn. */
    if (ts_required_next(sampler, id))
        return TS_OK;
    TS_TRY(ts_candidates_fill(candidates, sampler->logits, candidates->capacity));
    ts_constrain(sampler);
    *id = TS_TOKENIZER_NONE;
    if (!ts_candidates_drop(candidates))
        return TS_OK;
    float temperature = 1;
    bool weighed = false;
    for (size_t i = 0; i < sizeof o->steps && o->steps[i] != TS_STEP_NONE; i++) {
        uint8_t step = o->steps[i];
        if (step == TS_STEP_PENALTIES && sampler->counts != NULL) {
            ts_candidates_divide(candidates,
                                 temperature); /* what penalties are taken off must be divided by then; else the weights' own division will do */
            temperature = 1;
            ts_penalize(sampler);
            weighed = false;
        } else if (step == TS_STEP_TEMPERATURE && o->temperature > 0) {
            temperature = o->temperature;
            weighed = false;
        } else if (step == TS_STEP_TOP_K && o->top_k > 0 && o->top_k < candidates->count) {
            ts_candidates_keep_top_k(candidates, o->top_k);
        } else if ((step == TS_STEP_TOP_P && o->top_p < 1) || (step == TS_STEP_MIN_P && o->min_p > 0)) {
            if (o->temperature == 0)
                continue; /* the likeliest stays in any case */
            if (!weighed)
                ts_candidates_weigh(candidates, sampler->model->kernels, temperature);
            weighed = true;
            if (step == TS_STEP_TOP_P)
                ts_candidates_keep_top_p(candidates, o->top_p);
            else
                ts_candidates_keep_min_p(candidates, o->min_p);
        }
    }
    if (o->temperature == 0) {
        *id = ts_candidates_likeliest(candidates);
        return TS_OK;
    }
    if (!weighed)
        ts_candidates_weigh(candidates, sampler->model->kernels, temperature);
    ts_random random = {.seed = sampler->seed, .counter = sampler->told};
    *id = ts_candidates_draw(candidates, ts_random_unit(&random));
    return TS_OK;
}

/* ---- stop strings ---- */

/* The bytes at the end of a text that are the beginning of a stop string. */
static size_t may_become_stop(const ts_sampler *sampler, const char *text, size_t size)
{
    size_t most = 0;
    for (size_t i = 0; i < sampler->options.stop_count; i++) {
        const ts_stop *stop = &sampler->stops[i];
        for (size_t length = TS_MIN(size, stop->size - 1); length > most; length--)
            if (memcmp(text + size - length, stop->text, length) == 0)
                most = length;
    }
    return most;
}

/* Where the first stop string begins that a text holds; `size` if it holds none. */
static size_t find_stop(const ts_sampler *sampler, const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++)
        for (size_t i = 0; i < sampler->options.stop_count; i++)
            if (sampler->stops[i].size <= size - at && memcmp(text + at, sampler->stops[i].text, sampler->stops[i].size) == 0)
                return at;
    return size;
}

/* sampler->text has new text: gives what can no more be part of a stop string. */
static void hold_back(ts_sampler *sampler, size_t *size)
{
    memcpy(sampler->held + sampler->held_size, sampler->text, *size);
    size_t all = sampler->held_size + *size, told = find_stop(sampler, sampler->held, all);
    if (told < all) {
        sampler->finish = TS_FINISH_STOP;
        all = told;
    }
    size_t kept = sampler->finish == TS_FINISH_STOP ? 0 : may_become_stop(sampler, sampler->held, all);
    *size = all - kept;
    memcpy(sampler->text, sampler->held, *size);
    sampler->text[*size] = 0;
    memmove(sampler->held, sampler->held + *size, kept);
    sampler->held_size = kept;
    if (sampler->finish == TS_FINISH_STOP)
        sampler->stream = (ts_decode_stream){.count = 0};
}

/* ---- the next token ---- */

/* The story is over; what was held back, and a character that it broke off, is given first, and then NULL by the next call. */
static ts_status end(ts_sampler *sampler, int32_t why, const char **text, size_t *size)
{
    sampler->finish = why;
    *text = NULL;
    *size = 0;
    if (sampler->stream.count == 0 && sampler->held_size == 0)
        return TS_OK;
    size_t held = sampler->held_size;
    if (held > 0)
        memcpy(sampler->text, sampler->held, held);
    sampler->text[held] = 0;
    sampler->held_size = 0;
    if (sampler->stream.count > 0)
        TS_TRY(ts_tokenizer_decode_next(sampler->model->tokenizer, &sampler->stream, TS_TOKENIZER_NONE, sampler->text + held,
                                        sampler->text_capacity - held, size));
    *size += held;
    size_t told = find_stop(sampler, sampler->text, *size);
    if (told < *size)
        sampler->finish = TS_FINISH_STOP;
    *size = told;
    sampler->text[told] = 0;
    *text = sampler->text;
    return TS_OK;
}

static ts_status add_token(ts_sampler *sampler, uint32_t id, const char **text, size_t *size)
{
    const ts_tokenizer *tokenizer = sampler->model->tokenizer;
    size_t byte_count;
    const char *bytes = ts_tokenizer_token(tokenizer, id, &byte_count);
    TS_TRY(ts_tokenizer_decode_next(tokenizer, &sampler->stream, id, sampler->text, sampler->text_capacity, size));
    sampler->tokens[sampler->token_count++] = id;
    sampler->told++;
    ts_tail_add(sampler, bytes, byte_count);
    if (sampler->options.stop_count > 0)
        hold_back(sampler, size);
    *text = sampler->text;
    return TS_OK;
}

/* The story is found as a whole with its first token. */
static ts_status next_of_beams(ts_sampler *sampler, const char **text, size_t *size)
{
    if (!sampler->beams.found) {
        TS_TRY(ts_telling_read(sampler));
        TS_TRY(ts_beams_search(sampler));
        TS_TRY(check_cancelled(sampler));
    }
    const ts_beam *story = &sampler->beams.finished[0];
    if (sampler->beams.finished_count == 0)
        return end(sampler, TS_FINISH_FORBIDDEN, text, size);
    if (sampler->token_count == story->count)
        return end(sampler, story->why, text, size);
    return add_token(sampler, story->tokens[sampler->token_count], text, size);
}

ts_status ts_telling_prepare(ts_sampler *sampler, const char **text, size_t *size, bool *over)
{
    const ts_sampler_options *o = &sampler->options;
    *over = true;
    if (!sampler->started)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "no story was started: call ts_sampler_start first");
    TS_TRY(check_cancelled(sampler));
    if (sampler->finish != TS_FINISH_NONE)
        return end(sampler, sampler->finish, text, size);
    if (o->beams > 1)
        return next_of_beams(sampler, text, size);
    if (o->max_tokens > 0 && sampler->told >= o->max_tokens)
        return end(sampler, TS_FINISH_MAX_TOKENS, text, size);
    if (sampler->token_count == o->context_length) {
        if (o->context_full == TS_CONTEXT_FULL_STOP)
            return end(sampler, TS_FINISH_CONTEXT, text, size);
        slide(sampler);
    }
    *over = false;
    return TS_OK;
}

ts_status ts_telling_draw(ts_sampler *sampler, const char **text, size_t *size)
{
    const ts_tokenizer *tokenizer = sampler->model->tokenizer;
    uint32_t id;
    ts_status status = draw(sampler, &id);
    if (status != TS_OK) {
        sampler->started = false;
        return status;
    }
    if (id == TS_TOKENIZER_NONE)
        return end(sampler, TS_FINISH_FORBIDDEN, text, size);
    sampler->drawn = id;
    if (id == ts_tokenizer_end_of_text(tokenizer) || id == ts_tokenizer_begin_of_text(tokenizer))
        return end(sampler, TS_FINISH_END, text, size);
    return add_token(sampler, id, text, size);
}

ts_status ts_telling_next(ts_sampler *sampler, const char **text, size_t *size)
{
    bool over;
    TS_TRY(ts_telling_prepare(sampler, text, size, &over));
    if (over)
        return TS_OK;
    TS_TRY(ts_telling_read(sampler));
    return ts_telling_draw(sampler, text, size);
}

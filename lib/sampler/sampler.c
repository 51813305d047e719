/* The sampler: all memory planned at once, the prompt read in chunks, then a token a call. */
#include "tinystories/sampler.h"

#include "base/base.h"
#include "model/model.h"
#include "network/network.h"
#include "sampler/distribution.h"
#include "tensor/tensor.h"
#include "tokenizer/tokenizer.h"

#define ROWS_AT_ONCE 32 /* of a prompt: enough to share each weight that is loaded, while the scratch memory stays small */
#define LEAST_CONTEXT 2
#define GREATEST_CONTEXT (1u << 20)

struct ts_sampler {
    ts_arena arena; /* holds all of this, the struct itself included */
    ts_model *model;
    ts_sampler_options options;
    ts_busy busy;
    ts_cache cache;
    ts_scratch scratch;
    float *logits; /* (V), for the token after tokens[cache.used - 1] */
    ts_candidates candidates;
    uint32_t *tokens; /* end-of-text, prompt, story: what is in the context */
    size_t token_count;
    char *text; /* the piece that was given last */
    size_t text_capacity;
    ts_decode_stream stream;
    uint64_t seed, told; /* told: tokens drawn, which is also the counter of the random numbers */
    int32_t finish;
    bool started;
};

/* ---- options ---- */

static const ts_sampler_options defaults = {.struct_size = sizeof defaults, .temperature = 0.8f, .top_p = 1};

ts_status ts_sampler_options_init(ts_sampler_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_sampler_options");
}

/* Reads and checks the options; context_length becomes the number of positions. */
static ts_status read_options(ts_sampler_options *into, const ts_model *model, const ts_sampler_options *options)
{
    *into = defaults;
    TS_TRY(ts_options_read(into, sizeof *into, options, "ts_sampler_options"));
    /* Written so that a NaN fails. */
    if (!(into->temperature >= 0 && into->temperature <= 100))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.temperature is out of range, expected 0 to 100");
    if (!(into->top_p > 0 && into->top_p <= 1))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.top_p is out of range, expected above 0 and up to 1");
    if (into->context_full > TS_CONTEXT_FULL_SLIDE)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.context_full is %u, expected 0 (stop) or 1 (slide)", into->context_full);
    if (into->ignore_end > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.ignore_end is %u, expected 0 or 1", into->ignore_end);
    if (into->reserved != 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.reserved is %u, expected 0", into->reserved);
    if (into->context_length == 0)
        into->context_length = (uint32_t)model->shape.T;
    uint32_t most = model->shape.switches->learned_positions ? (uint32_t)model->shape.T : GREATEST_CONTEXT;
    if (into->context_length < LEAST_CONTEXT || into->context_length > most)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.context_length is %u, expected %u to %u", into->context_length, LEAST_CONTEXT, most);
    if (ts_tokenizer_end_of_text(model->tokenizer) == TS_TOKENIZER_NONE)
        return ts_fail(TS_ERROR_UNSUPPORTED, "the model's tokenizer has no end-of-text token, with which stories begin");
    return TS_OK;
}

/* ---- making ---- */

/* Space for the text of any token and of a character that waits for its end. */
static size_t text_capacity(const ts_tokenizer *tokenizer)
{
    return 3 * (ts_tokenizer_longest(tokenizer) + 3) + 1;
}

static ts_status plan(const ts_model *model, const ts_sampler_options *options, size_t *total)
{
    size_t workers = ts_runtime_threads(model->runtime), positions = options->context_length, rows = TS_MIN((size_t)ROWS_AT_ONCE, positions);
    *total = 0;
    if (!ts_arena_plan(total, 1, sizeof(ts_sampler)) || !ts_inference_plan(&model->shape, rows, positions, workers, total) ||
        !ts_arena_plan(total, model->shape.V, sizeof(float)) || !ts_candidates_plan(ts_tokenizer_size(model->tokenizer), total) ||
        !ts_arena_plan(total, positions, sizeof(uint32_t)) || !ts_arena_plan(total, text_capacity(model->tokenizer), 1))
        return ts_fail(TS_ERROR_LIMIT, "a sampler with a context of %u is too large", options->context_length);
    return TS_OK;
}

ts_status ts_sampler_memory(const ts_model *model, const ts_sampler_options *options, uint64_t *bytes)
{
    if (model == NULL || bytes == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model and bytes must not be NULL");
    ts_sampler_options read;
    size_t total;
    TS_TRY(read_options(&read, model, options));
    TS_TRY(plan(model, &read, &total));
    *bytes = total;
    return TS_OK;
}

static void do_nothing(void *argument, size_t begin, size_t end, size_t worker)
{
    (void)argument, (void)begin, (void)end, (void)worker;
}

ts_status ts_sampler_new(ts_sampler **out, const ts_model *model, const ts_sampler_options *options)
{
    if (out == NULL || model == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and model must not be NULL");
    ts_sampler_options read;
    size_t total;
    ts_arena arena;
    TS_TRY(read_options(&read, model, options));
    TS_TRY(plan(model, &read, &total));
    TS_TRY(ts_arena_init(&arena, model->runtime, total));

    ts_sampler *sampler = ts_arena_take(&arena, 1, sizeof *sampler);
    size_t workers = ts_runtime_threads(model->runtime), positions = read.context_length, rows = TS_MIN((size_t)ROWS_AT_ONCE, positions);
    ts_inference_take(&model->shape, rows, positions, workers, &arena, &sampler->cache, &sampler->scratch);
    sampler->logits = ts_arena_take(&arena, model->shape.V, sizeof(float));
    ts_candidates_take(&sampler->candidates, ts_tokenizer_size(model->tokenizer), &arena);
    sampler->tokens = ts_arena_take(&arena, positions, sizeof(uint32_t));
    sampler->text_capacity = text_capacity(model->tokenizer);
    sampler->text = ts_arena_take(&arena, sampler->text_capacity, 1);
    sampler->model = ts_model_acquire(model);
    sampler->options = read;
    sampler->seed = read.seed;
    sampler->arena = arena;
    ts_parallel(model->runtime, 2, 1, do_nothing, NULL); /* the runtime's threads are made with the first loop: here, not in a step */
    *out = sampler;
    return TS_OK;
}

void ts_sampler_free(ts_sampler *sampler)
{
    if (sampler == NULL)
        return;
    /* The model keeps the runtime that the memory goes back to, so it goes last. */
    ts_model *model = sampler->model;
    ts_arena arena = sampler->arena;
    ts_arena_free(&arena);
    ts_model_free(model);
}

/* ---- telling ---- */

static ts_status enter(ts_sampler *sampler)
{
    if (sampler == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "sampler must not be NULL");
    if (!ts_busy_enter(&sampler->busy))
        return ts_fail(TS_ERROR_BUSY, "the sampler is in use, by another thread or by the call that called this one");
    return TS_OK;
}

/* Reads the tokens that the network has not seen yet; the logits are then those for the next. */
static void read_tokens(ts_sampler *sampler)
{
    const ts_model *model = sampler->model;
    ts_cache *cache = &sampler->cache;
    size_t rows = 0;
    if (cache->used == sampler->token_count)
        return;
    while (cache->used < sampler->token_count) {
        rows = TS_MIN(sampler->scratch.rows, sampler->token_count - cache->used);
        ts_inference_rows(model->runtime, model->kernels, &model->shape, &model->weights, sampler->tokens + cache->used, rows, cache,
                          &sampler->scratch);
    }
    ts_inference_logits(model->runtime, model->kernels, &model->shape, &model->weights, sampler->scratch.norm + (rows - 1) * model->shape.C, 1,
                        sampler->logits);
}

static ts_status start(ts_sampler *sampler, const char *prompt, size_t size, uint64_t seed)
{
    const ts_tokenizer *tokenizer = sampler->model->tokenizer;
    size_t most = sampler->options.context_length - 1, count = 0;
    sampler->started = false;
    sampler->finish = TS_FINISH_NONE;
    sampler->stream = (ts_decode_stream){.count = 0};
    sampler->seed = seed;
    sampler->told = 0;
    sampler->cache.used = 0;
    sampler->token_count = 0;
    if (prompt == NULL && size > 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "prompt is NULL, but its size is %zu", size);
    if (size > 0) {
        ts_status status = ts_tokenizer_encode(tokenizer, prompt, size, 0, sampler->tokens + 1, most, &count);
        if (status == TS_ERROR_BUFFER_TOO_SMALL)
            return ts_fail(TS_ERROR_LIMIT, "the prompt has %zu tokens, the context takes at most %zu", count, most);
        if (status != TS_OK)
            return status;
    }
    sampler->tokens[0] = ts_tokenizer_end_of_text(tokenizer);
    sampler->token_count = count + 1;
    sampler->started = true;
    read_tokens(sampler);
    return TS_OK;
}

/* Forgets the older half of the context; read_tokens then reads the newer half again, from the first position on. */
static void slide(ts_sampler *sampler)
{
    size_t keep = sampler->token_count / 2;
    memmove(sampler->tokens, sampler->tokens + sampler->token_count - keep, keep * sizeof *sampler->tokens);
    sampler->token_count = keep;
    sampler->cache.used = 0;
}

static ts_status draw(ts_sampler *sampler, uint32_t *id)
{
    const ts_sampler_options *options = &sampler->options;
    ts_candidates *candidates = &sampler->candidates;
    uint32_t banned = options->ignore_end ? ts_tokenizer_end_of_text(sampler->model->tokenizer) : TS_TOKENIZER_NONE;
    /* The network may have more rows than there are tokens; those have no text and are never drawn. */
    TS_TRY(ts_candidates_fill(candidates, sampler->logits, candidates->capacity, banned));
    if (options->temperature == 0) {
        *id = ts_candidates_likeliest(candidates);
        return TS_OK;
    }
    if (options->top_k > 0)
        ts_candidates_keep_top_k(candidates, options->top_k);
    ts_candidates_weigh(candidates, sampler->model->kernels, options->temperature);
    if (options->top_p < 1)
        ts_candidates_keep_top_p(candidates, options->top_p);
    ts_random random = {.seed = sampler->seed, .counter = sampler->told};
    *id = ts_candidates_draw(candidates, ts_random_unit(&random));
    return TS_OK;
}

/* The story is over; a character that it broke off is given first, and then NULL by the next call. */
static ts_status end(ts_sampler *sampler, int32_t why, const char **text, size_t *size)
{
    sampler->finish = why;
    if (sampler->stream.count > 0) {
        TS_TRY(ts_tokenizer_decode_next(sampler->model->tokenizer, &sampler->stream, TS_TOKENIZER_NONE, sampler->text, sampler->text_capacity, size));
        *text = sampler->text;
        return TS_OK;
    }
    *text = NULL;
    *size = 0;
    return TS_OK;
}

static ts_status next(ts_sampler *sampler, const char **text, size_t *size)
{
    const ts_sampler_options *options = &sampler->options;
    if (!sampler->started)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "no story was started: call ts_sampler_start first");
    if (sampler->finish != TS_FINISH_NONE)
        return end(sampler, sampler->finish, text, size);
    if (options->max_tokens > 0 && sampler->told >= options->max_tokens)
        return end(sampler, TS_FINISH_MAX_TOKENS, text, size);
    if (sampler->token_count == options->context_length) {
        if (options->context_full == TS_CONTEXT_FULL_STOP)
            return end(sampler, TS_FINISH_CONTEXT, text, size);
        slide(sampler);
    }
    read_tokens(sampler);

    uint32_t id;
    ts_status status = draw(sampler, &id);
    if (status != TS_OK) {
        sampler->started = false;
        return status;
    }
    if (id == ts_tokenizer_end_of_text(sampler->model->tokenizer))
        return end(sampler, TS_FINISH_END, text, size);
    TS_TRY(ts_tokenizer_decode_next(sampler->model->tokenizer, &sampler->stream, id, sampler->text, sampler->text_capacity, size));
    sampler->tokens[sampler->token_count++] = id;
    sampler->told++;
    *text = sampler->text;
    return TS_OK;
}

static ts_status run(ts_sampler *sampler, const char *prompt, size_t prompt_size, ts_sampler_text call, void *user)
{
    const char *text;
    size_t size;
    TS_TRY(start(sampler, prompt, prompt_size, sampler->options.seed));
    for (;;) {
        TS_TRY(next(sampler, &text, &size));
        if (text == NULL)
            return TS_OK;
        if (call != NULL && call(user, text, size) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "the callback stopped the story after %llu tokens", (unsigned long long)sampler->told);
    }
}

/* ---- the calls: each holds the sampler's flag from beginning to end ---- */

ts_status ts_sampler_start_seeded(ts_sampler *sampler, const char *prompt, size_t size, uint64_t seed)
{
    TS_TRY(enter(sampler));
    ts_status status = start(sampler, prompt, size, seed);
    ts_busy_leave(&sampler->busy);
    return status;
}

ts_status ts_sampler_start(ts_sampler *sampler, const char *prompt, size_t size)
{
    if (sampler == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "sampler must not be NULL");
    return ts_sampler_start_seeded(sampler, prompt, size, sampler->options.seed);
}

ts_status ts_sampler_next(ts_sampler *sampler, const char **text, size_t *size)
{
    if (text == NULL || size == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "text and size must not be NULL");
    TS_TRY(enter(sampler));
    ts_status status = next(sampler, text, size);
    ts_busy_leave(&sampler->busy);
    return status;
}

ts_status ts_sampler_run(ts_sampler *sampler, const char *prompt, size_t size, ts_sampler_text text, void *user)
{
    TS_TRY(enter(sampler));
    ts_status status = run(sampler, prompt, size, text, user);
    ts_busy_leave(&sampler->busy);
    return status;
}

int32_t ts_sampler_finish(const ts_sampler *sampler)
{
    return sampler == NULL ? TS_FINISH_NONE : sampler->finish;
}

const uint32_t *ts_sampler_tokens(const ts_sampler *sampler, size_t *count)
{
    if (count != NULL)
        *count = sampler == NULL ? 0 : sampler->token_count;
    return sampler == NULL ? NULL : sampler->tokens;
}

uint64_t ts_sampler_seed(const ts_sampler *sampler)
{
    return sampler == NULL ? 0 : sampler->seed;
}

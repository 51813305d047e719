/* The sampler: options, all memory planned at once, and the calls, each of which holds the sampler's flag from beginning to end. */
#include <math.h>
#include <time.h>

#include "sampler/inside.h"

#define ROWS_AT_ONCE 64 /* of a prompt: enough to share each weight that is loaded, while the scratch memory stays small */
#define LEAST_CONTEXT 2
#define GREATEST_CONTEXT (1u << 20)
#define USUAL_WITHIN 160 /* tokens in which required words come: stories of TinyStories have about 200 */
#define MOST_BEAMS 1024
#define MOST_STRINGS 65536 /* stop strings, banned words */

/* ---- options ---- */

static const ts_sampler_options defaults = {
    .struct_size = sizeof defaults, .temperature = 0.8f, .top_p = 1, .repetition_penalty = 1, .penalty_window = 64};

ts_status ts_sampler_options_init(ts_sampler_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_sampler_options");
}

static ts_status check_strings(const char *const *strings, size_t count, size_t most, const char *name)
{
    if (count > MOST_STRINGS || (count > 0 && strings == NULL))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.%s has %zu entries, expected at most %d, and not NULL", name, count, MOST_STRINGS);
    for (size_t i = 0; i < count; i++)
        if (strings[i] == NULL || strings[i][0] == 0 || strlen(strings[i]) > most)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.%s[%zu] has %zu bytes, expected 1 to %zu", name, i, strings[i] ? strlen(strings[i]) : 0, most);
    return TS_OK;
}

static ts_status check_biases(const ts_sampler_options *o, const ts_model *model)
{
    uint32_t size = ts_tokenizer_size(model->tokenizer);
    if (o->bias_count > size || (o->bias_count > 0 && o->biases == NULL))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.biases has %zu entries, expected at most %u, and not NULL", o->bias_count, size);
    for (size_t i = 0; i < o->bias_count; i++) {
        if (o->biases[i].token >= size)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.biases[%zu].token is %u, the vocabulary has %u tokens", i, o->biases[i].token, size);
        if (!(o->biases[i].bias <= 1e6f))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.biases[%zu].bias is %g, expected -INFINITY to 1e6", i, (double)o->biases[i].bias);
    }
    return TS_OK;
}

/* An order of its own, or the usual one. */
static ts_status check_steps(ts_sampler_options *o)
{
    static const uint8_t usual[sizeof o->steps] = {TS_STEP_PENALTIES, TS_STEP_TOP_K, TS_STEP_TEMPERATURE, TS_STEP_TOP_P, TS_STEP_MIN_P};
    uint32_t seen = 0;
    bool ended = false;
    for (size_t i = 0; i < sizeof o->steps; i++) {
        uint8_t step = o->steps[i];
        ended = ended || step == TS_STEP_NONE;
        if (step >= TS_STEP_COUNT || (ended && step != TS_STEP_NONE) || (step != TS_STEP_NONE && seen >> step & 1))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.steps[%zu] is %u, expected each of 1 to %d at most once, then zeros", i, step, TS_STEP_COUNT - 1);
        seen |= 1u << step;
    }
    if (o->steps[0] == TS_STEP_NONE)
        memcpy(o->steps, usual, sizeof usual);
    return TS_OK;
}

/* Reads and checks the options; context_length becomes the number of positions. */
static ts_status read_options(ts_sampler_options *into, const ts_model *model, const ts_sampler_options *options)
{
    *into = defaults;
    TS_TRY(ts_options_read(into, sizeof *into, options, "ts_sampler_options"));
    const ts_bounds ranges[] = {
        {"temperature", into->temperature, 0, 100},
        {"min_p", into->min_p, 0, 1},
        {"frequency_penalty", into->frequency_penalty, -100, 100},
        {"presence_penalty", into->presence_penalty, -100, 100},
    };
    const ts_bounds above[] = {{"top_p", into->top_p, 0, 1}, {"repetition_penalty", into->repetition_penalty, 0, 100}};
    TS_TRY(ts_bounds_check("options", ranges, TS_COUNT_OF(ranges), false));
    TS_TRY(ts_bounds_check("options", above, TS_COUNT_OF(above), true));
    if (into->context_full > TS_CONTEXT_FULL_SLIDE)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.context_full is %u, expected 0 (stop) or 1 (slide)", into->context_full);
    if (into->begin_of_text > TS_BEGIN_OF_TEXT_NEVER)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.begin_of_text is %u, expected 0 (as the file says), 1 (always) or 2 (never)", into->begin_of_text);
    if (into->reserved != 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.reserved is %u, expected 0", into->reserved);
    if (into->ignore_end > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.ignore_end is %u, expected 0 or 1", into->ignore_end);
    if (into->no_repeat_ngram == 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.no_repeat_ngram is 1, expected 0 or at least 2");
    if (into->beams > MOST_BEAMS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.beams is %u, expected 0 to %d", into->beams, MOST_BEAMS);
    TS_TRY(check_steps(into));
    TS_TRY(check_biases(into, model));
    TS_TRY(check_strings(into->banned_words, into->banned_word_count, TS_MOST_WORD, "banned_words"));
    TS_TRY(check_strings(into->stops, into->stop_count, TS_MOST_STOP, "stops"));
    if (into->context_length == 0)
        into->context_length = (uint32_t)model->shape.T;
    uint32_t most = model->shape.switches->learned_positions ? (uint32_t)model->shape.T : GREATEST_CONTEXT;
    if (into->context_length < LEAST_CONTEXT || into->context_length > most)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.context_length is %u, expected %u to %u", into->context_length, LEAST_CONTEXT, most);
    if (ts_tokenizer_end_of_text(model->tokenizer) == TS_TOKENIZER_NONE)
        return ts_fail(TS_ERROR_UNSUPPORTED, "the model's tokenizer has no end-of-text token, with which stories end");
    return TS_OK;
}

static bool has_penalties(const ts_sampler_options *o)
{
    return o->repetition_penalty != 1 || o->frequency_penalty != 0 || o->presence_penalty != 0;
}

/* ---- making ---- */

/* Space for the text of any token and of a character that waits for its end, behind what is held back. */
static size_t text_capacity(const ts_tokenizer *tokenizer, const ts_sampler_options *o)
{
    return 3 * (ts_tokenizer_longest(tokenizer) + 3) + 1 + (o->stop_count ? TS_MOST_STOP : 0);
}

static size_t bytes_of(const char *const *strings, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += strlen(strings[i]) + 1;
    return total;
}

/* One list of what is in the arena, for the plan and for the taking. */
typedef struct piece {
    void *where; /* of a pointer */
    size_t count, size;
} piece;

enum { PIECES = 15 };

static void list_pieces(const ts_model *model, const ts_sampler_options *o, const ts_word_bans *bans, ts_sampler *s, piece pieces[PIECES])
{
    size_t text = text_capacity(model->tokenizer, o);
    const piece list[PIECES] = {
        {&s->logits, model->shape.V, sizeof(float)},
        {&s->tokens, o->context_length, sizeof(uint32_t)},
        {&s->counts, has_penalties(o) ? ts_tokenizer_size(model->tokenizer) : 0, sizeof(uint16_t)},
        {&s->bans.always, bans->always_count, sizeof(uint32_t)},
        {&s->bans.completions, bans->completion_count, sizeof(ts_completion)},
        {&s->bans.tokens, bans->token_count, sizeof(uint32_t)},
        {&s->bans.words, bytes_of(o->banned_words, o->banned_word_count), 1},
        {&s->stops, o->stop_count, sizeof(ts_stop)},
        {&s->options.biases, o->bias_count, sizeof(ts_token_bias)},
        {&s->held, o->stop_count ? text : 0, 1},
        {&s->text, text, 1},
        {&s->run_text, TS_RUN_TEXT + text, 1},
        {&s->options.stops, bytes_of(o->stops, o->stop_count), 1}, /* the strings' bytes; the pointers are in s->stops */
        {&s->ahead, model->shape.V, sizeof(float)},
        {NULL, 0, 0},
    };
    memcpy(pieces, list, sizeof list);
}

static ts_status plan(const ts_model *model, const ts_sampler_options *o, const ts_word_bans *bans, size_t *total)
{
    size_t workers = ts_runtime_threads(model->runtime), positions = o->context_length, rows = TS_MIN((size_t)ROWS_AT_ONCE, positions);
    static ts_sampler nowhere; /* only its members' addresses are taken */
    piece pieces[PIECES];
    list_pieces(model, o, bans, &nowhere, pieces);
    *total = 0;
    bool fits = ts_arena_plan(total, 1, sizeof(ts_sampler)) && ts_inference_plan(&model->shape, rows, positions, workers, total) &&
                ts_candidates_plan(ts_tokenizer_size(model->tokenizer), total) && ts_beams_plan(&model->shape, o->beams, positions, total);
    for (size_t i = 0; i < PIECES; i++)
        fits = fits && (pieces[i].count == 0 || ts_arena_plan(total, pieces[i].count, pieces[i].size));
    return fits ? TS_OK : ts_fail(TS_ERROR_LIMIT, "a sampler with a context of %u is too large", o->context_length);
}

ts_status ts_sampler_memory(const ts_model *model, const ts_sampler_options *options, uint64_t *bytes)
{
    if (model == NULL || bytes == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model and bytes must not be NULL");
    ts_sampler_options read;
    ts_word_bans bans = {0};
    ts_ban_index *index;
    size_t total;
    TS_TRY(read_options(&read, model, options));
    TS_TRY(ts_ban_index_make(&index, model->runtime, model->tokenizer, read.banned_words, read.banned_word_count));
    ts_word_bans_find(&bans, index, read.banned_words, read.banned_word_count);
    ts_ban_index_free(&index, model->runtime);
    TS_TRY(plan(model, &read, &bans, &total));
    *bytes = total;
    return TS_OK;
}

static void do_nothing(void *argument, size_t begin, size_t end, size_t worker)
{
    (void)argument, (void)begin, (void)end, (void)worker;
}

/* Copies what the options point to; `bytes` takes the stop strings. */
static void copy_arrays(ts_sampler *s, const ts_sampler_options *o, const ts_ban_index *index, char *bytes)
{
    if (o->bias_count > 0)
        memcpy((void *)(uintptr_t)s->options.biases, o->biases, o->bias_count * sizeof *o->biases);
    for (size_t i = 0; i < o->stop_count; i++) {
        size_t size = strlen(o->stops[i]);
        memcpy(bytes, o->stops[i], size + 1);
        s->stops[i] = (ts_stop){bytes, size};
        bytes += size + 1;
    }
    ts_word_bans_find(&s->bans, index, o->banned_words, o->banned_word_count);
    s->options.banned_words = NULL;
    s->options.stops = NULL;
}

/* Of options that are read and checked. */
static ts_status make(ts_sampler **out, const ts_model *model, const ts_sampler_options *options, const ts_ban_index *index)
{
    ts_sampler_options read = *options;
    ts_word_bans bans = {0};
    size_t total;
    ts_arena arena;
    ts_word_bans_find(&bans, index, read.banned_words, read.banned_word_count);
    TS_TRY(plan(model, &read, &bans, &total));
    TS_TRY(ts_arena_init(&arena, model->runtime, total));

    ts_sampler *s = ts_arena_take(&arena, 1, sizeof *s);
    size_t workers = ts_runtime_threads(model->runtime), positions = read.context_length, rows = TS_MIN((size_t)ROWS_AT_ONCE, positions);
    piece pieces[PIECES];
    ts_inference_take(&model->shape, rows, positions, workers, &arena, &s->cache, &s->scratch);
    ts_candidates_take(&s->candidates, ts_tokenizer_size(model->tokenizer), &arena);
    ts_beams_take(&s->beams, &model->shape, read.beams, positions, &arena);
    s->options = read;
    list_pieces(model, &read, &bans, s, pieces);
    for (size_t i = 0; i < PIECES; i++) {
        void *memory = pieces[i].count > 0 ? ts_arena_take(&arena, pieces[i].count, pieces[i].size) : NULL;
        if (pieces[i].where != NULL)
            memcpy(pieces[i].where, &memory, sizeof memory);
    }
    s->model = ts_model_acquire(model);
    copy_arrays(s, &read, index, (char *)(uintptr_t)s->options.stops);
    s->text_capacity = text_capacity(model->tokenizer, &read);
    s->seed = read.seed;
    s->drawn = TS_TOKENIZER_NONE;
    s->arena = arena;
    ts_parallel(model->runtime, 2, 1, do_nothing, NULL); /* the runtime's threads are made with the first loop: here, not in a step */
    *out = s;
    return TS_OK;
}

ts_status ts_sampler_new(ts_sampler **out, const ts_model *model, const ts_sampler_options *options)
{
    if (out == NULL || model == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and model must not be NULL");
    ts_sampler_options read;
    ts_ban_index *index;
    TS_TRY(read_options(&read, model, options));
    TS_TRY(ts_ban_index_make(&index, model->runtime, model->tokenizer, read.banned_words, read.banned_word_count));
    ts_status status = make(out, model, &read, index);
    ts_ban_index_free(&index, model->runtime);
    return status;
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

/* ---- the calls ---- */

ts_status ts_sampler_enter(ts_sampler *sampler)
{
    if (sampler == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "sampler must not be NULL");
    if (!ts_busy_enter(&sampler->busy))
        return ts_fail(TS_ERROR_BUSY, "the sampler is in use, by another thread or by the call that called this one");
    return TS_OK;
}

ts_status ts_sampler_start_seeded(ts_sampler *sampler, const char *prompt, size_t size, uint64_t seed)
{
    TS_TRY(ts_sampler_enter(sampler));
    ts_status status = ts_telling_start(sampler, prompt, size, seed);
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
    TS_TRY(ts_sampler_enter(sampler));
    ts_status status = ts_telling_next(sampler, text, size);
    ts_busy_leave(&sampler->busy);
    return status;
}

static ts_status run(ts_sampler *sampler, const char *prompt, size_t prompt_size, ts_sampler_text call, void *user)
{
    const char *text;
    size_t size;
    TS_TRY(ts_telling_start(sampler, prompt, prompt_size, sampler->options.seed));
    for (;;) {
        TS_TRY(ts_telling_next(sampler, &text, &size));
        if (text == NULL)
            return TS_OK;
        if (call != NULL && call(user, text, size) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "the callback stopped the story after %llu tokens", (unsigned long long)sampler->told);
    }
}

ts_status ts_sampler_run(ts_sampler *sampler, const char *prompt, size_t size, ts_sampler_text text, void *user)
{
    TS_TRY(ts_sampler_enter(sampler));
    ts_status status = run(sampler, prompt, size, text, user);
    ts_busy_leave(&sampler->busy);
    return status;
}

static ts_status run_for(ts_sampler *sampler, double seconds, const char **text, size_t *size)
{
    double end = ts_clock() + seconds;
    size_t used = 0, piece_size;
    const char *part;
    do {
        ts_status status = ts_telling_next(sampler, &part, &piece_size);
        if (status != TS_OK && used == 0)
            return status;
        if (status == TS_ERROR_CANCELLED)
            atomic_store(&sampler->cancelled, 1);
        if (status != TS_OK) { /* what was told is not lost: the next call meets the same */
            sampler->started = true;
            break;
        }
        if (part == NULL)
            break;
        memcpy(sampler->run_text + used, part, piece_size);
        used += piece_size;
    } while (used < TS_RUN_TEXT && ts_clock() < end);
    sampler->run_text[used] = 0;
    *text = part == NULL && used == 0 ? NULL : sampler->run_text;
    *size = used;
    return TS_OK;
}

ts_status ts_sampler_run_for(ts_sampler *sampler, uint64_t microseconds, const char **text, size_t *size)
{
    if (text == NULL || size == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "text and size must not be NULL");
    TS_TRY(ts_sampler_enter(sampler));
    ts_status status = run_for(sampler, (double)microseconds * 1e-6, text, size);
    ts_busy_leave(&sampler->busy);
    return status;
}

void ts_sampler_cancel(ts_sampler *sampler)
{
    if (sampler != NULL)
        atomic_store(&sampler->cancelled, 1);
}

/* ---- what the model thought ---- */

/* The `capacity` likeliest, likeliest first, lower ids first among equals; insertion into a short list. */
static size_t likeliest(const float *logits, size_t count, uint32_t *tokens, size_t capacity)
{
    size_t used = 0;
    for (size_t id = 0; id < count; id++) {
        size_t at = used;
        while (at > 0 && logits[id] > logits[tokens[at - 1]])
            at--;
        if (at == capacity)
            continue;
        used += used < capacity;
        memmove(tokens + at + 1, tokens + at, (used - at - 1) * sizeof *tokens);
        tokens[at] = (uint32_t)id;
    }
    return used;
}

static ts_status alternatives(ts_sampler *s, uint32_t *token, float *log_probability, uint32_t *tokens, float *log_probabilities, size_t capacity, size_t *count)
{
    size_t size = s->candidates.capacity, found = 0;
    if (s->options.beams > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "a sampler with %u beams draws no tokens, so that there are no alternatives to them", s->options.beams);
    if (s->drawn == TS_TOKENIZER_NONE)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "no token was drawn since the story began");
    double sum = 0;
    float most = s->model->kernels->maximum(s->logits, size);
    for (size_t i = 0; i < size; i++)
        sum += exp((double)s->logits[i] - (double)most);
    double total = (double)most + log(sum);
    if (token != NULL)
        *token = s->drawn;
    if (log_probability != NULL)
        *log_probability = (float)((double)s->logits[s->drawn] - total);
    if (tokens != NULL)
        found = likeliest(s->logits, size, tokens, capacity);
    for (size_t i = 0; i < found && log_probabilities != NULL; i++)
        log_probabilities[i] = (float)((double)s->logits[tokens[i]] - total);
    if (count != NULL)
        *count = found;
    return TS_OK;
}

ts_status ts_sampler_alternatives(ts_sampler *sampler, uint32_t *token, float *log_probability, uint32_t *tokens, float *log_probabilities, size_t capacity,
                                  size_t *count)
{
    TS_TRY(ts_sampler_enter(sampler));
    ts_status status = alternatives(sampler, token, log_probability, tokens, log_probabilities, capacity, count);
    ts_busy_leave(&sampler->busy);
    return status;
}

/* ---- required words ---- */

static ts_status require(ts_sampler *sampler, const char *const *words, size_t count, uint32_t within)
{
    if (count > 0 && sampler->options.beams > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "words are required of a sampler with %u beams, whose stories nothing is drawn for", sampler->options.beams);
    TS_TRY(ts_required_read(&sampler->required, sampler->model->tokenizer, words, count, within ? within : USUAL_WITHIN));
    if (!sampler->started)
        return TS_OK;
    ts_telling_review(sampler);
    sampler->required.since = sampler->told;
    return TS_OK;
}

ts_status ts_sampler_require(ts_sampler *sampler, const char *const *words, size_t count, uint32_t within)
{
    TS_TRY(ts_sampler_enter(sampler));
    ts_status status = require(sampler, words, count, within);
    ts_busy_leave(&sampler->busy);
    return status;
}

size_t ts_sampler_missing(const ts_sampler *sampler)
{
    return sampler == NULL ? 0 : ts_required_missing(&sampler->required);
}

/* ---- what is told ---- */

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

/*
 * Sessions: a story's state copied, cut, and kept in a file. A file has the tokens and not the cache of keys and values: they are read again when the
 * story goes on, which gives the same bits, and a session takes kilobytes.
 */
#include <math.h>

#include "format/gguf.h"
#include "sampler/inside.h"

/* ---- sessions ---- */

/* Everything that is of the story and not of the options. */
static void copy_story(ts_sampler *to, const ts_sampler *from)
{
    const ts_shape *shape = &from->model->shape;
    ts_cache_copy(shape, &to->cache, &from->cache);
    memcpy(to->tokens, from->tokens, from->token_count * sizeof *to->tokens);
    memcpy(to->logits, from->logits, shape->V * sizeof(float));
    memcpy(to->tail, from->tail, sizeof to->tail);
    if (from->held_size > 0)
        memcpy(to->held, from->held, from->held_size);
    to->token_count = from->token_count;
    to->tail_size = from->tail_size;
    to->held_size = from->held_size;
    to->stream = from->stream;
    to->seed = from->seed;
    to->told = from->told;
    to->drawn = from->drawn;
    to->finish = from->finish;
    to->started = from->started;
    to->required = from->required;
    to->beams.found = from->beams.found;
    if (from->beams.found) {
        const ts_beam *found = &from->beams.finished[0];
        ts_beam *into = &to->beams.finished[0];
        into->count = found->count;
        into->why = found->why;
        memcpy(into->tokens, found->tokens, found->count * sizeof *found->tokens);
        to->beams.finished_count = from->beams.finished_count;
    }
}

/* A sampler of the same options. The banned words are in `bans`, the stop strings in `stops`: pointers to them are made for a moment. */
static ts_status make_alike(ts_sampler **out, const ts_sampler *sampler)
{
    ts_sampler_options options = sampler->options;
    ts_runtime *runtime = sampler->model->runtime;
    const char **strings = ts_allocate_array(runtime, options.banned_word_count + options.stop_count + 1, sizeof *strings);
    if (strings == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    const char *word = sampler->bans.words;
    for (size_t i = 0; i < options.banned_word_count; i++, word += strlen(word) + 1)
        strings[i] = word;
    for (size_t i = 0; i < options.stop_count; i++)
        strings[options.banned_word_count + i] = sampler->stops[i].text;
    options.banned_words = strings;
    options.stops = strings + options.banned_word_count;
    ts_status status = ts_sampler_new(out, sampler->model, &options);
    ts_release(runtime, strings);
    return status;
}

ts_status ts_sampler_clone(ts_sampler **out, const ts_sampler *sampler)
{
    if (out == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out must not be NULL");
    ts_sampler *from = (ts_sampler *)(uintptr_t)sampler, *copy; /* its flag is taken, nothing else of it changes */
    TS_TRY(ts_sampler_enter(from));
    ts_status status = make_alike(&copy, sampler);
    if (status == TS_OK) {
        copy_story(copy, sampler);
        *out = copy;
    }
    ts_busy_leave(&from->busy);
    return status;
}

ts_status ts_sampler_cut(ts_sampler *sampler, size_t count, uint64_t seed)
{
    TS_TRY(ts_sampler_enter(sampler));
    ts_status status = TS_OK;
    if (!sampler->started || count == 0 || count > sampler->token_count)
        status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "the story cannot be cut to %zu tokens, it has %zu", count,
                         sampler->started ? sampler->token_count : 0);
    else
        ts_telling_from(sampler, count, seed);
    ts_busy_leave(&sampler->busy);
    return status;
}

/* ---- files ---- */

#define SESSION_VERSION 1
#define MOST_SESSION (64u << 20) /* bytes of a file */
#define GGUF_HEADER 24           /* bytes before its first pair */
#define LEAST_LIMIT (16u << 20)  /* bytes that a sampler from a file may hold in any case */
#define USUAL_TIMES 8            /* what one of default options holds may be held besides: five beams are six times that */

enum { UNSIGNED = 4, LONG = 8, REAL = 0 }; /* of scalars: u32, u64, f32 */

typedef struct scalar {
    const char *key;
    int kind;
    size_t offset;
} scalar;

#define OPTION(member, kind)                                                                                                                         \
    {                                                                                                                                                \
        "session.options." #member, kind, offsetof(ts_sampler_options, member)                                                                       \
    }
static const scalar option_scalars[] = {
    OPTION(seed, LONG),
    OPTION(temperature, REAL),
    OPTION(top_p, REAL),
    OPTION(top_k, UNSIGNED),
    OPTION(max_tokens, UNSIGNED),
    OPTION(context_length, UNSIGNED),
    OPTION(context_full, UNSIGNED),
    OPTION(ignore_end, UNSIGNED),
    OPTION(min_p, REAL),
    OPTION(repetition_penalty, REAL),
    OPTION(frequency_penalty, REAL),
    OPTION(presence_penalty, REAL),
    OPTION(penalty_window, UNSIGNED),
    OPTION(no_repeat_ngram, UNSIGNED),
    OPTION(beams, UNSIGNED),
    OPTION(begin_of_text, UNSIGNED),
};

/* What a story is besides its text. */
typedef struct story {
    uint64_t seed, told, since;
    uint32_t finish, started, within, forced, forced_count, forced_word, forced_spelling, words_told, words_at_end;
} story;

#define STORY(member, kind)                                                                                                                          \
    {                                                                                                                                                \
        "session.story." #member, kind, offsetof(story, member)                                                                                      \
    }
static const scalar story_scalars[] = {
    STORY(seed, LONG),
    STORY(told, LONG),
    STORY(since, LONG),
    STORY(finish, UNSIGNED),
    STORY(started, UNSIGNED),
    STORY(within, UNSIGNED),
    STORY(forced, UNSIGNED),
    STORY(forced_count, UNSIGNED),
    STORY(forced_word, UNSIGNED),
    STORY(forced_spelling, UNSIGNED),
    STORY(words_told, UNSIGNED),
    STORY(words_at_end, UNSIGNED),
};

static void add_scalars(ts_gguf_writer *gguf, const scalar *scalars, size_t count, const void *from)
{
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)from + scalars[i].offset;
        if (scalars[i].kind == LONG)
            ts_gguf_add_u64(gguf, scalars[i].key, *(const uint64_t *)at);
        else if (scalars[i].kind == UNSIGNED)
            ts_gguf_add_u32(gguf, scalars[i].key, *(const uint32_t *)at);
        else
            ts_gguf_add_f32(gguf, scalars[i].key, *(const float *)at);
    }
}

static ts_status get_scalars(ts_gguf *gguf, const scalar *scalars, size_t count, void *into)
{
    for (size_t i = 0; i < count; i++) {
        void *at = (char *)into + scalars[i].offset;
        if (scalars[i].kind == LONG)
            TS_TRY(ts_gguf_get_u64(gguf, scalars[i].key, at));
        else if (scalars[i].kind == UNSIGNED)
            TS_TRY(ts_gguf_get_u32(gguf, scalars[i].key, at));
        else
            TS_TRY(ts_gguf_get_f32(gguf, scalars[i].key, at));
    }
    return TS_OK;
}

static story story_of(const ts_sampler *s)
{
    const ts_required *r = &s->required;
    story state = {.seed = s->seed,
                   .told = s->told,
                   .since = r->since,
                   .finish = (uint32_t)s->finish,
                   .started = s->started,
                   .within = r->within,
                   .forced = r->forced,
                   .forced_count = r->forced_count,
                   .forced_word = r->forced_word,
                   .forced_spelling = r->forced_spelling};
    for (size_t i = 0; i < r->count; i++) {
        state.words_told |= (uint32_t)r->words[i].told << i;
        state.words_at_end |= (uint32_t)r->words[i].at_end << i;
    }
    return state;
}

static void add_strings(ts_gguf_writer *gguf, const char *key, const char *first, size_t count)
{
    ts_gguf_add_strings(gguf, key, count);
    for (; count > 0; count--, first += strlen(first) + 1)
        ts_gguf_add_element(gguf, first, strlen(first));
}

static void add_pairs(const ts_sampler *s, ts_gguf_writer *gguf)
{
    static const char architecture[] = "tinystories-session";
    const ts_sampler_options *o = &s->options;
    const ts_beam *found = s->beams.found && s->beams.finished_count > 0 ? &s->beams.finished[0] : NULL;
    story state = story_of(s);
    int32_t steps[sizeof o->steps];
    for (size_t i = 0; i < sizeof o->steps; i++)
        steps[i] = o->steps[i];
    ts_gguf_add_string(gguf, "general.architecture", architecture, sizeof architecture - 1);
    ts_gguf_add_u32(gguf, "session.version", SESSION_VERSION);
    ts_gguf_add_u64(gguf, "session.model", ts_model_fingerprint(s->model));
    add_scalars(gguf, option_scalars, TS_COUNT_OF(option_scalars), o);
    ts_gguf_add_i32s(gguf, "session.options.steps", steps, sizeof o->steps);
    ts_gguf_add_strings(gguf, "session.options.biases", o->bias_count); /* each a token and a float, 8 bytes */
    for (size_t i = 0; i < o->bias_count; i++)
        ts_gguf_add_element(gguf, (const char *)&o->biases[i], sizeof o->biases[i]);
    add_strings(gguf, "session.options.banned_words", s->bans.words, o->banned_word_count);
    add_strings(gguf, "session.options.stops", o->stop_count ? s->stops[0].text : NULL, o->stop_count);
    add_scalars(gguf, story_scalars, TS_COUNT_OF(story_scalars), &state);
    ts_gguf_add_i32s(gguf, "session.story.tokens", (const int32_t *)s->tokens, s->started ? s->token_count : 0);
    ts_gguf_add_i32s(gguf, "session.story.found", found ? (const int32_t *)found->tokens : NULL, found ? found->count : 0);
    ts_gguf_add_u32(gguf, "session.story.found_finish", found ? (uint32_t)found->why : 0);
    ts_gguf_add_string(gguf, "session.story.held", s->held, s->held_size);
    ts_gguf_add_string(gguf, "session.story.tail", s->tail, s->tail_size);
    ts_gguf_add_string(gguf, "session.story.unfinished", (const char *)s->stream.bytes, s->stream.count);
    ts_gguf_add_strings(gguf, "session.story.required", s->required.count);
    for (size_t i = 0; i < s->required.count; i++)
        ts_gguf_add_element(gguf, s->required.words[i].given, s->required.words[i].size);
    if (gguf->status == TS_OK) /* last, over all that stands before it */
        ts_gguf_add_u64(gguf, "session.checksum", ts_hash(gguf->pairs.data, gguf->pairs.size, SESSION_VERSION));
}

static ts_status write_session(const ts_sampler *sampler, ts_writer *file)
{
    ts_gguf_writer gguf;
    ts_gguf_writer_init(&gguf, sampler->model->runtime);
    add_pairs(sampler, &gguf);
    ts_status status = ts_gguf_write_start(&gguf, file);
    if (status == TS_OK)
        status = ts_gguf_write_finish(&gguf);
    ts_gguf_writer_free(&gguf);
    return status;
}

/* Holds the sampler while it is written. */
static ts_status write_held(const ts_sampler *sampler, ts_writer *file)
{
    ts_sampler *held = (ts_sampler *)(uintptr_t)sampler; /* its flag is taken, nothing else of it changes */
    ts_status status = ts_sampler_enter(held);
    if (status == TS_OK) {
        status = write_session(sampler, file);
        ts_busy_leave(&held->busy);
    }
    if (status != TS_OK)
        ts_writer_fail(file, status);
    return ts_writer_commit(file);
}

ts_status ts_sampler_save(const ts_sampler *sampler, const char *path)
{
    ts_writer file;
    if (sampler == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "sampler and path must not be NULL");
    TS_TRY(ts_writer_open(&file, sampler->model->runtime, path));
    return write_held(sampler, &file);
}

ts_status ts_sampler_save_memory(const ts_sampler *sampler, void *buffer, size_t capacity, size_t *size)
{
    ts_writer file;
    if (sampler == NULL || size == NULL || (buffer == NULL && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "sampler, size and, unless capacity is 0, buffer must not be NULL");
    ts_writer_memory(&file, sampler->model->runtime, buffer, capacity);
    ts_status status = write_held(sampler, &file);
    *size = (size_t)file.written;
    return status;
}

/* ---- loading ---- */

/* The checksum is the last pair; it covers the file from the first pair to its own key. */
static ts_status check_sum(ts_gguf *gguf, ts_source *source)
{
    static const char key[] = "session.checksum";
    uint64_t expected;
    TS_TRY(ts_gguf_get_u64(gguf, key, &expected));
    const ts_gguf_pair *pair = ts_gguf_find(gguf, key);
    uint64_t before = sizeof(uint64_t) + sizeof key - 1 + sizeof(uint32_t); /* the key's length, the key, the type */
    if (pair != ts_gguf_pair_at(gguf, ts_gguf_pair_count(gguf) - 1) || pair->offset < GGUF_HEADER + before)
        return ts_fail(TS_ERROR_FORMAT, "%s: session.checksum is not the last key", source->name);
    size_t size = (size_t)(pair->offset - before - GGUF_HEADER);
    void *bytes = ts_allocate(source->runtime, size + 1);
    if (bytes == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = ts_source_read(source, GGUF_HEADER, bytes, size);
    if (status == TS_OK && ts_hash(bytes, size, SESSION_VERSION) != expected)
        status = ts_fail(TS_ERROR_FORMAT, "%s: session.checksum does not fit, the file is damaged", source->name);
    ts_release(source->runtime, bytes);
    return status;
}

/* Strings of a key as NUL-terminated ones behind one another, and pointers to them. */
static ts_status get_strings(ts_gguf *gguf, const char *key, ts_bytes *text, const char ***pointers, size_t *count)
{
    ts_gguf_strings strings;
    const char *bytes;
    size_t size;
    TS_TRY(ts_gguf_get_strings(gguf, key, &strings));
    *count = strings.count;
    *pointers = ts_allocate_array(text->runtime, strings.count + 1, sizeof **pointers);
    if (*pointers == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    while (ts_gguf_strings_next(&strings, &bytes, &size)) {
        TS_TRY(ts_bytes_add(text, bytes, size));
        TS_TRY(ts_bytes_add(text, "", 1));
    }
    const char *at = text->data;
    for (size_t i = 0; i < *count; i++, at += strlen(at) + 1) {
        if (at >= text->data + text->size)
            return ts_fail(TS_ERROR_FORMAT, "%s has a NUL within a string", key);
        (*pointers)[i] = at;
    }
    return TS_OK;
}

/* What is read before a sampler can be made. */
typedef struct loading {
    ts_source *source;
    uint64_t memory_limit;
    ts_gguf *gguf;
    ts_sampler_options options;
    ts_token_bias *biases;
    ts_bytes banned, stops, required;
    const char **banned_pointers, **stop_pointers, **required_pointers;
    size_t required_count;
    story state;
} loading;

static ts_status get_biases(loading *l)
{
    ts_gguf_strings strings;
    const char *bytes;
    size_t size;
    TS_TRY(ts_gguf_get_strings(l->gguf, "session.options.biases", &strings));
    l->biases = ts_allocate_array(l->source->runtime, strings.count + 1, sizeof *l->biases);
    if (l->biases == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (l->options.bias_count = 0; ts_gguf_strings_next(&strings, &bytes, &size); l->options.bias_count++) {
        if (size != sizeof *l->biases)
            return ts_fail(TS_ERROR_FORMAT, "%s: session.options.biases has an entry of %zu bytes, expected 8", l->source->name, size);
        memcpy(&l->biases[l->options.bias_count], bytes, size);
    }
    l->options.biases = l->biases;
    return TS_OK;
}

static ts_status get_options(loading *l)
{
    const int32_t *steps;
    size_t count;
    TS_TRY(ts_sampler_options_init(&l->options, sizeof l->options));
    TS_TRY(get_scalars(l->gguf, option_scalars, TS_COUNT_OF(option_scalars), &l->options));
    TS_TRY(get_scalars(l->gguf, story_scalars, TS_COUNT_OF(story_scalars), &l->state));
    TS_TRY(ts_gguf_get_i32s(l->gguf, "session.options.steps", &steps, &count));
    if (count != sizeof l->options.steps)
        return ts_fail(TS_ERROR_FORMAT, "%s: session.options.steps has %zu entries, expected 8", l->source->name, count);
    for (size_t i = 0; i < count; i++)
        l->options.steps[i] = (uint8_t)TS_MIN((uint32_t)steps[i], 255u);
    TS_TRY(get_biases(l));
    TS_TRY(get_strings(l->gguf, "session.options.banned_words", &l->banned, &l->banned_pointers, &l->options.banned_word_count));
    TS_TRY(get_strings(l->gguf, "session.options.stops", &l->stops, &l->stop_pointers, &l->options.stop_count));
    TS_TRY(get_strings(l->gguf, "session.story.required", &l->required, &l->required_pointers, &l->required_count));
    l->options.banned_words = l->banned_pointers;
    l->options.stops = l->stop_pointers;
    return TS_OK;
}

static ts_status get_tokens(const loading *l, ts_sampler *s)
{
    const int32_t *tokens;
    size_t count;
    TS_TRY(ts_gguf_get_i32s(l->gguf, "session.story.tokens", &tokens, &count));
    if (count > s->options.context_length || (count == 0) != (l->state.started == 0) || l->state.started > 1)
        return ts_fail(TS_ERROR_FORMAT, "%s: session.story.tokens has %zu entries, the context takes %u", l->source->name, count,
                       s->options.context_length);
    for (size_t i = 0; i < count; i++)
        if ((uint32_t)tokens[i] >= s->candidates.capacity)
            return ts_fail(TS_ERROR_FORMAT, "%s: session.story.tokens[%zu] is %d, the vocabulary has %zu tokens", l->source->name, i, (int)tokens[i],
                           s->candidates.capacity);
    if (count > 0)
        memcpy(s->tokens, tokens, count * sizeof *tokens);
    s->token_count = count;
    s->started = count > 0;
    return TS_OK;
}

/* The story that beams found, which begins with the tokens told so far. */
static ts_status get_found(const loading *l, ts_sampler *s)
{
    const int32_t *tokens;
    size_t count;
    uint32_t why;
    TS_TRY(ts_gguf_get_i32s(l->gguf, "session.story.found", &tokens, &count));
    TS_TRY(ts_gguf_get_u32(l->gguf, "session.story.found_finish", &why));
    if (count == 0)
        return TS_OK;
    if (s->options.beams < 2 || count < s->token_count || count > s->options.context_length || why > TS_FINISH_FORBIDDEN ||
        memcmp(tokens, s->tokens, s->token_count * sizeof *tokens) != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: session.story.found has %zu tokens that don't go on with the story's %zu", l->source->name, count,
                       s->token_count);
    for (size_t i = 0; i < count; i++)
        if ((uint32_t)tokens[i] >= s->candidates.capacity)
            return ts_fail(TS_ERROR_FORMAT, "%s: session.story.found[%zu] is %d", l->source->name, i, (int)tokens[i]);
    memcpy(s->beams.finished[0].tokens, tokens, count * sizeof *tokens);
    s->beams.finished[0].count = count;
    s->beams.finished[0].why = (int32_t)why;
    s->beams.finished_count = 1;
    s->beams.found = true;
    return TS_OK;
}

/* A string of at most `capacity` bytes. */
static ts_status get_bytes(const loading *l, const char *key, void *into, size_t capacity, size_t *size)
{
    const char *text;
    TS_TRY(ts_gguf_get_string(l->gguf, key, &text, size));
    if (*size > capacity)
        return ts_fail(TS_ERROR_FORMAT, "%s: %s has %zu bytes, expected at most %zu", l->source->name, key, *size, capacity);
    if (*size > 0)
        memcpy(into, text, *size);
    return TS_OK;
}

static ts_status get_required(const loading *l, ts_sampler *s)
{
    const story *state = &l->state;
    ts_required *r = &s->required;
    TS_TRY(ts_required_read(r, s->model->tokenizer, l->required_pointers, l->required_count, state->within ? state->within : 1));
    for (size_t i = 0; i < r->count; i++) {
        r->words[i].told = state->words_told >> i & 1;
        r->words[i].at_end = state->words_at_end >> i & 1;
    }
    r->since = TS_MIN(state->since, state->told);
    if (state->forced == state->forced_count)
        return TS_OK;
    if (state->forced_word >= r->count || state->forced_spelling >= TS_SPELLINGS || state->forced > state->forced_count ||
        state->forced_count != r->words[state->forced_word].spellings[state->forced_spelling].count)
        return ts_fail(TS_ERROR_FORMAT, "%s: session.story.forced is %u of %u, which is no place within a required word", l->source->name,
                       state->forced, state->forced_count);
    r->forced = state->forced, r->forced_count = state->forced_count;
    r->forced_word = (uint8_t)state->forced_word, r->forced_spelling = (uint8_t)state->forced_spelling;
    return TS_OK;
}

static ts_status get_story(const loading *l, ts_sampler *s)
{
    size_t unfinished;
    TS_TRY(get_tokens(l, s));
    TS_TRY(get_found(l, s));
    TS_TRY(get_bytes(l, "session.story.held", s->held, s->held ? TS_MOST_STOP : 0, &s->held_size));
    TS_TRY(get_bytes(l, "session.story.tail", s->tail, sizeof s->tail, &s->tail_size));
    ts_telling_mark(s);
    TS_TRY(get_bytes(l, "session.story.unfinished", s->stream.bytes, sizeof s->stream.bytes - 1, &unfinished));
    TS_TRY(get_required(l, s));
    if (l->state.finish > TS_FINISH_FORBIDDEN)
        return ts_fail(TS_ERROR_FORMAT, "%s: session.story.finish is %u", l->source->name, l->state.finish);
    s->stream.count = (uint32_t)unfinished;
    s->finish = (int32_t)l->state.finish;
    s->seed = l->state.seed;
    s->told = l->state.told;
    return TS_OK;
}

static const ts_sampler_load_options load_defaults = {.struct_size = sizeof load_defaults};

ts_status ts_sampler_load_options_init(ts_sampler_load_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &load_defaults, sizeof load_defaults, "ts_sampler_load_options");
}

/* What the model, and a file with so many tokens, account for. */
static ts_status usual_memory(const ts_model *model, size_t tokens, uint64_t *bytes)
{
    ts_sampler_options options;
    uint64_t usual, needed = 0;
    TS_TRY(ts_sampler_options_init(&options, sizeof options));
    TS_TRY(ts_sampler_memory(model, &options, &usual));
    options.context_length = (uint32_t)tokens;
    if (tokens > model->shape.T)
        TS_TRY(ts_sampler_memory(model, &options, &needed));
    *bytes = LEAST_LIMIT + USUAL_TIMES * usual + needed;
    return TS_OK;
}

/* A few bytes of a file can ask for any context and any number of beams; what they would take is known before it is taken. */
static ts_status check_memory(const loading *l, const ts_model *model)
{
    const int32_t *tokens;
    size_t count;
    uint64_t bytes, limit = l->memory_limit;
    TS_TRY(ts_gguf_get_i32s(l->gguf, "session.story.tokens", &tokens, &count));
    if (count > l->options.context_length)
        return ts_fail(TS_ERROR_FORMAT, "%s: session.story.tokens has %zu entries, the context takes %u", l->source->name, count,
                       l->options.context_length);
    TS_TRY(ts_sampler_memory(model, &l->options, &bytes));
    if (limit == 0)
        TS_TRY(usual_memory(model, count, &limit));
    if (bytes > limit)
        return ts_fail(TS_ERROR_LIMIT, "%s: a context of %u with %u beams takes %llu bytes, options.memory_limit allows %llu", l->source->name,
                       l->options.context_length, l->options.beams, (unsigned long long)bytes, (unsigned long long)limit);
    return TS_OK;
}

static ts_status load(loading *l, ts_sampler **sampler, const ts_model *model)
{
    const char *architecture;
    uint32_t version;
    uint64_t fingerprint;
    if (l->source->size > MOST_SESSION)
        return ts_fail(TS_ERROR_LIMIT, "%s has %llu bytes, a session has at most %u", l->source->name, (unsigned long long)l->source->size,
                       MOST_SESSION);
    TS_TRY(ts_gguf_open(&l->gguf, l->source));
    TS_TRY(ts_gguf_get_string(l->gguf, "general.architecture", &architecture, NULL));
    if (strcmp(architecture, "tinystories-session") != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: general.architecture is '%.40s', expected 'tinystories-session'", l->source->name, architecture);
    TS_TRY(ts_gguf_get_u32(l->gguf, "session.version", &version));
    if (version != SESSION_VERSION)
        return ts_fail(TS_ERROR_VERSION, "%s: session.version is %u, this library reads %u", l->source->name, version, SESSION_VERSION);
    TS_TRY(check_sum(l->gguf, l->source));
    TS_TRY(ts_gguf_get_u64(l->gguf, "session.model", &fingerprint));
    if (fingerprint != ts_model_fingerprint(model))
        return ts_fail(TS_ERROR_MISMATCH, "%s: the session was saved with another model", l->source->name);
    TS_TRY(get_options(l));
    TS_TRY(check_memory(l, model));
    TS_TRY(ts_sampler_new(sampler, model, &l->options));
    return get_story(l, *sampler);
}

/* Takes the source and closes it. */
static ts_status load_source(ts_sampler **out, const ts_model *model, ts_source *source, const ts_sampler_load_options *options)
{
    ts_runtime *runtime = model->runtime;
    loading l = {
        .source = source, .memory_limit = options->memory_limit, .banned.runtime = runtime, .stops.runtime = runtime, .required.runtime = runtime};
    ts_sampler *sampler = NULL;
    ts_status status = load(&l, &sampler, model);
    ts_gguf_close(l.gguf);
    ts_bytes_free(&l.banned);
    ts_bytes_free(&l.stops);
    ts_bytes_free(&l.required);
    ts_release(runtime, l.banned_pointers);
    ts_release(runtime, l.stop_pointers);
    ts_release(runtime, l.required_pointers);
    ts_release(runtime, l.biases);
    ts_source_close(source);
    if (status != TS_OK) {
        ts_sampler_free(sampler);
        return status;
    }
    *out = sampler;
    return TS_OK;
}

ts_status ts_sampler_load(ts_sampler **out, const ts_model *model, const char *path, const ts_sampler_load_options *options)
{
    ts_source source;
    ts_sampler_load_options read = load_defaults;
    if (out == NULL || model == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out, model and path must not be NULL");
    TS_TRY(ts_options_read(&read, sizeof read, options, "ts_sampler_load_options"));
    TS_TRY(ts_source_open(&source, model->runtime, path, false));
    return load_source(out, model, &source, &read);
}

ts_status ts_sampler_load_memory(ts_sampler **out, const ts_model *model, const void *data, size_t size, const ts_sampler_load_options *options)
{
    ts_source source;
    ts_sampler_load_options read = load_defaults;
    if (out == NULL || model == NULL || data == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out, model and data must not be NULL");
    TS_TRY(ts_options_read(&read, sizeof read, options, "ts_sampler_load_options"));
    ts_source_memory(&source, model->runtime, data, size, "session");
    return load_source(out, model, &source, &read);
}

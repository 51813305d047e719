/* Beginnings of training stories: drawn at random in one pass of those that may be, and cut. */
#include "evaluator/novelty.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_COUNT = 1 << 24, FEWEST_WORDS = 10 };

typedef struct kept_story {
    char *beginning, *ending; /* one block of memory, NUL-terminated each */
    size_t beginning_size, ending_size;
    uint64_t story;
} kept_story;

struct ts_beginnings {
    ts_runtime *runtime;
    kept_story *items;
    size_t count, capacity;
};

static const ts_beginnings_options defaults = {.struct_size = sizeof defaults, .count = 100, .share = 0.4};

ts_status ts_beginnings_options_init(ts_beginnings_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_beginnings_options");
}

/* ---- one story ---- */

/* The bytes of a text up to the end of its first `words` words. */
static size_t size_of_words(const char *text, size_t size, size_t words)
{
    const char *at = text, *word = text;
    size_t left = size, word_size = 0;
    while (words-- > 0)
        ts_plain_word(&at, &left, &word, &word_size);
    return (size_t)(word + word_size - text);
}

static ts_status keep(const ts_beginnings *b, kept_story *kept, const char *text, size_t size, size_t beginning_size, uint64_t story)
{
    char *memory = ts_allocate(b->runtime, size + 2);
    if (memory == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_release(b->runtime, kept->beginning);
    *kept = (kept_story){memory, memory + beginning_size + 1, beginning_size, size - beginning_size, story};
    memcpy(kept->beginning, text, beginning_size);
    memcpy(kept->ending, text + beginning_size, kept->ending_size);
    kept->beginning[beginning_size] = kept->ending[kept->ending_size] = 0;
    return TS_OK;
}

/* ---- the draw: of `seen` stories each is kept with the same chance ---- */

typedef struct drawing {
    const ts_beginnings_options *options;
    ts_random random;
    uint64_t story, seen;
    uint32_t *ids; /* of a story that is counted */
    size_t ids_capacity;
} drawing;

/* Whether a story has no more tokens than it may. */
static ts_status count_tokens(const ts_beginnings *b, drawing *d, const char *text, size_t size, bool *fits)
{
    const ts_beginnings_options *o = d->options;
    size_t count = 0;
    *fits = true;
    if (o->tokenizer == NULL)
        return TS_OK;
    TS_TRY(ts_reserve(b->runtime, &d->ids, &d->ids_capacity, size + 1, sizeof *d->ids));
    TS_TRY(ts_tokenizer_encode(o->tokenizer, text, size, 0, d->ids, d->ids_capacity, &count));
    *fits = count <= o->max_tokens;
    return TS_OK;
}

static ts_status draw_story(ts_beginnings *b, drawing *d, const char *text, size_t size)
{
    size_t words = ts_plain_word_count(text, size), place = b->count;
    uint64_t story = d->story++;
    bool fits;
    if (words < FEWEST_WORDS || !ts_utf8_valid(text, size) || memchr(text, 0, size) != NULL)
        return TS_OK;
    TS_TRY(count_tokens(b, d, text, size, &fits));
    if (!fits)
        return TS_OK;
    if (d->seen++ >= d->options->count && (place = (size_t)ts_random_below(&d->random, d->seen)) >= b->count)
        return TS_OK;
    if (place == b->count)
        TS_TRY(ts_reserve(b->runtime, &b->items, &b->capacity, b->count + 1, sizeof *b->items));
    if (place == b->count)
        b->items[b->count++] = (kept_story){.beginning = NULL};
    double share = fmin(fmax(rint(d->options->share * (double)words), 1), (double)(words - 1));
    return keep(b, &b->items[place], text, size, size_of_words(text, size, (size_t)share), story);
}

static int by_story(const void *a, const void *b)
{
    uint64_t left = ((const kept_story *)a)->story, right = ((const kept_story *)b)->story;
    return (left > right) - (left < right);
}

static ts_status draw(ts_beginnings *b, const char *const *paths, size_t path_count, const ts_beginnings_options *options)
{
    ts_stories *stories = NULL;
    drawing d = {.options = options, .random = {options->seed, 0, 0}};
    const char *text = NULL;
    size_t size = 0;
    TS_TRY(ts_stories_open(&stories, b->runtime, paths, path_count));
    ts_status status;
    while ((status = ts_stories_next(stories, &text, &size)) == TS_OK && text != NULL && (status = draw_story(b, &d, text, size)) == TS_OK)
        ;
    ts_stories_close(stories);
    ts_release(b->runtime, d.ids);
    TS_TRY(status);
    if (b->count == 0 && options->tokenizer != NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there is no story of %d words or more and %llu tokens or fewer", paths[0], FEWEST_WORDS,
                       (unsigned long long)options->max_tokens);
    if (b->count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there is no story of %d words or more", paths[0], FEWEST_WORDS);
    qsort(b->items, b->count, sizeof *b->items, by_story);
    return TS_OK;
}

/* ---- the handle ---- */

ts_status ts_beginnings_open(ts_beginnings **out, ts_runtime *runtime, const char *const *paths, size_t path_count, const ts_beginnings_options *options)
{
    ts_beginnings_options own = defaults;
    if (out == NULL || paths == NULL || path_count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_beginnings_open: %s", out == NULL ? "out is NULL" : "there is no path");
    TS_TRY(ts_options_read(&own, sizeof own, options, "ts_beginnings_options"));
    if (own.count < 1 || own.count > MOST_COUNT)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_beginnings_options.count is %llu, expected 1 to %d", (unsigned long long)own.count, MOST_COUNT);
    if (!(own.share > 0 && own.share < 1))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_beginnings_options.share is %g, expected a number between 0 and 1", own.share);
    if (own.tokenizer != NULL && own.max_tokens == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_beginnings_options.max_tokens is 0, expected 1 or more with a tokenizer");
    for (size_t i = 0; i < path_count; i++)
        if (paths[i] == NULL || ts_path_is_shard(paths[i]))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: is %s, expected stories", paths[i] == NULL ? "a path" : paths[i],
                           paths[i] == NULL ? "NULL" : "a token shard");
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_beginnings *b = ts_allocate(runtime, sizeof *b);
    if (b == NULL) {
        ts_runtime_release(runtime);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    *b = (ts_beginnings){.runtime = runtime};
    ts_status status = draw(b, paths, path_count, &own);
    if (status != TS_OK)
        ts_beginnings_free(b);
    else
        *out = b;
    return status;
}

void ts_beginnings_free(ts_beginnings *b)
{
    if (b == NULL)
        return;
    ts_runtime *runtime = b->runtime;
    for (size_t i = 0; i < b->count; i++)
        ts_release(runtime, b->items[i].beginning);
    ts_release(runtime, b->items);
    ts_release(runtime, b);
    ts_runtime_release(runtime);
}

size_t ts_beginnings_count(const ts_beginnings *b)
{
    return b != NULL ? b->count : 0;
}

ts_status ts_beginnings_get(const ts_beginnings *b, size_t index, ts_beginning *beginning)
{
    if (b == NULL || index >= b->count)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no beginning %zu of %zu", index, ts_beginnings_count(b));
    const kept_story *s = &b->items[index];
    const ts_beginning out = {sizeof out, s->beginning, s->beginning_size, s->ending, s->ending_size, s->story};
    return ts_report_write(beginning, &out, sizeof out, "ts_beginning");
}

/* Stories, encoded and cut into windows of the model's context. */
#include "evaluator/corpus.h"
#include "format/format.h"

static const ts_analysis_options defaults = {.struct_size = sizeof defaults, .max_tokens = 20000, .examples = 10, .threshold = 0.4f};

ts_status ts_analysis_options_init(ts_analysis_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_analysis_options");
}

static ts_status read_options(ts_analysis_options *into, const ts_analysis_options *options)
{
    *into = defaults;
    TS_TRY(ts_options_read(into, sizeof *into, options, "ts_analysis_options"));
    if (into->max_tokens == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "max_tokens is 0, expected at least 1");
    if (into->examples < 1 || into->examples > 1000)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "examples is %u, expected 1 to 1000", into->examples);
    if (!(into->threshold > 0 && into->threshold <= 1))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "threshold is not a number above 0 and at most 1");
    return TS_OK;
}

/* A window of what `ids` begins with; *count becomes what of it went in. */
static ts_status add_window(ts_corpus *corpus, const uint32_t *ids, size_t *count, bool first, uint64_t story)
{
    ts_runtime *runtime = corpus->model->runtime;
    uint32_t begin = ts_tokenizer_begin_of_text(corpus->model->tokenizer);
    size_t skip = first && begin != TS_TOKENIZER_NONE, fits = TS_MIN(*count, corpus->model->shape.T - skip);
    TS_TRY(ts_reserve(runtime, &corpus->ids, &corpus->capacity, corpus->count + fits + skip, sizeof *corpus->ids));
    TS_TRY(ts_reserve(runtime, &corpus->windows, &corpus->window_capacity, corpus->window_count + 1, sizeof *corpus->windows));
    if (skip)
        corpus->ids[corpus->count] = begin;
    memcpy(corpus->ids + corpus->count + skip, ids, fits * sizeof *ids);
    corpus->windows[corpus->window_count++] = (ts_window){corpus->count, fits + skip, skip, story};
    corpus->longest = TS_MAX(corpus->longest, fits + skip);
    corpus->count += fits + skip;
    corpus->tokens += fits;
    *count = fits;
    return TS_OK;
}

typedef struct reading {
    ts_corpus *corpus;
    ts_stories *stories;
    uint32_t *ids; /* of the story at hand */
    size_t capacity;
} reading;

static ts_status encode(reading *r, const char *text, size_t size, size_t *count)
{
    const ts_tokenizer *tokenizer = r->corpus->model->tokenizer;
    TS_TRY(ts_reserve(r->corpus->model->runtime, &r->ids, &r->capacity, size + 1, sizeof *r->ids)); /* always enough */
    return ts_tokenizer_encode(tokenizer, text, size, 0, r->ids, r->capacity, count);
}

static ts_status read_stories(reading *r)
{
    ts_corpus *corpus = r->corpus;
    for (uint64_t story = 0; corpus->tokens < corpus->options.max_tokens; story++) {
        const char *text;
        size_t size, count = 0;
        TS_TRY(ts_stories_next(r->stories, &text, &size));
        if (text == NULL)
            break;
        TS_TRY(encode(r, text, size, &count));
        uint64_t left = corpus->options.max_tokens - corpus->tokens;
        count = left < count ? (size_t)left : count;
        for (size_t at = 0; at < count;) {
            size_t n = count - at;
            TS_TRY(add_window(corpus, r->ids + at, &n, at == 0, story));
            at += n;
        }
    }
    return TS_OK;
}

ts_status ts_corpus_read(ts_corpus *corpus, const char *const *paths, size_t path_count, const ts_analysis_options *options)
{
    ts_runtime *runtime = corpus->model->runtime;
    if (paths == NULL || path_count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "paths must not be NULL, and there must be a path");
    TS_TRY(read_options(&corpus->options, options));
    reading r = {.corpus = corpus};
    TS_TRY(ts_stories_open(&r.stories, runtime, paths, path_count));
    ts_status status = read_stories(&r);
    if (status == TS_OK && corpus->tokens == 0)
        status = ts_stories_fail(TS_ERROR_INVALID_ARGUMENT, paths, path_count, "there is no story to read");
    ts_stories_close(r.stories);
    ts_release(runtime, r.ids);
    return status;
}

void ts_corpus_free(ts_corpus *corpus)
{
    ts_release(corpus->model->runtime, corpus->ids);
    ts_release(corpus->model->runtime, corpus->windows);
}

ts_status ts_corpus_run(ts_corpus *corpus, ts_tapped *tapped, ts_tap_callback call, void *user, const ts_window **window)
{
    uint64_t done = 0;
    for (size_t i = 0; i < corpus->window_count; i++) {
        *window = &corpus->windows[i];
        TS_TRY(ts_tapped_run(tapped, corpus->ids + (*window)->begin, (*window)->count, call, user, NULL));
        done += (*window)->count - (*window)->skip;
        if (corpus->options.progress != NULL && corpus->options.progress(corpus->options.progress_user, done, corpus->tokens) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "the callback stopped the analysis after %llu tokens", (unsigned long long)done);
    }
    return TS_OK;
}

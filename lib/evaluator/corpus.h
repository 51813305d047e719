/* Texts as a model reads them for an analysis; private to this room. */
#ifndef TS_CORPUS_H
#define TS_CORPUS_H

#include "model/model.h"
#include "tinystories/analysis.h"

/* What is read at once: a story's first window begins with the token that stories begin with, if there is one, which is none of the text. */
typedef struct ts_window {
    size_t begin, count; /* among the corpus's ids */
    size_t skip;         /* ids that are no text: 0 or 1 */
    uint64_t story;
} ts_window;

typedef struct ts_corpus {
    ts_model *model; /* of the handle that the corpus is part of, set before */
    ts_analysis_options options;
    uint32_t *ids; /* all windows behind one another */
    size_t count, capacity;
    ts_window *windows;
    size_t window_count, window_capacity, longest; /* the most ids of a window */
    uint64_t tokens;                               /* of the text */
} ts_corpus;

/* Reads up to options->max_tokens of the files' stories into a corpus of nothing but a model. What fails leaves what ts_corpus_free frees. */
ts_status ts_corpus_read(ts_corpus *corpus, const char *const *paths, size_t path_count, const ts_analysis_options *options);
void ts_corpus_free(ts_corpus *corpus);

/* Runs all windows; `window` is set to the one at hand before the callback is called for it. */
ts_status ts_corpus_run(ts_corpus *corpus, ts_tapped *tapped, ts_tap_callback call, void *user, const ts_window **window);

#endif

/* The inside of a sampler, private to this room. */
#ifndef TS_SAMPLER_INSIDE_H
#define TS_SAMPLER_INSIDE_H

#include <stdatomic.h>

#include "base/base.h"
#include "model/model.h"
#include "network/network.h"
#include "sampler/distribution.h"
#include "tensor/tensor.h"
#include "text/text.h"
#include "tinystories/sampler.h"
#include "tokenizer/tokenizer.h"

enum {
    TS_MOST_WORD = 63,     /* bytes of a banned word */
    TS_MOST_STOP = 255,    /* of a stop string */
    TS_MOST_REQUIRED = 31, /* of a required word */
    TS_MOST_REQUIRED_WORDS = 16,
    TS_SPELLINGS = 4,  /* after a space and not, as given and with a capital */
    TS_RUN_TEXT = 4096 /* that ts_sampler_run_for gives at most, but for its last token */
};

/* Tokens that complete a banned word of which its first `done` bytes stand at the end of the story: tokens[first .. first + count). */
typedef struct ts_completion {
    const char *word; /* lower case */
    uint8_t done;
    char last; /* of these bytes, the one that is looked at first */
    uint32_t first, count;
} ts_completion;

/* Tokens that may not come: always, or where a word was begun. */
typedef struct ts_word_bans {
    uint32_t *always;
    size_t always_count;
    ts_completion *completions;
    size_t completion_count;
    uint32_t *tokens;
    size_t token_count;
    char *words; /* the words, each with its NUL */
} ts_word_bans;

/* How a word is told: its tokens; none if it cannot be told so. */
typedef struct ts_spelling {
    uint32_t count, ids[TS_MOST_REQUIRED + 1];
} ts_spelling;

typedef struct ts_required_word {
    char given[TS_MOST_REQUIRED + 1];
    char text[TS_MOST_REQUIRED + 1]; /* lower case */
    size_t size;
    bool told;
    bool at_end; /* the story ends with it: told unless it grows */
    ts_spelling spellings[TS_SPELLINGS];
} ts_required_word;

typedef struct ts_required {
    size_t count;
    uint64_t since; /* tokens told when the last of the words came */
    uint32_t within;
    uint32_t forced, forced_count; /* tokens told and in all of the word that is being told */
    uint8_t forced_word, forced_spelling;
    ts_required_word words[TS_MOST_REQUIRED_WORDS];
} ts_required;

typedef struct ts_stop {
    const char *text;
    size_t size;
} ts_stop;

/* A beginning that grows, or a story that has ended. */
typedef struct ts_beam {
    ts_cache cache;
    uint32_t *tokens;
    size_t count;
    double sum;  /* of log-probabilities; of a finished story their mean */
    int32_t why; /* TS_FINISH_ */
    bool kept;
} ts_beam;

/* A beam with a token more. */
typedef struct ts_extension {
    double sum;
    uint32_t beam, token;
} ts_extension;

typedef struct ts_beams {
    ts_beam *beams, *next, *finished; /* options.beams of each; finished ones best first */
    size_t count, finished_count, extension_count;
    ts_extension *extensions; /* best first, at most twice as many as beams */
    bool found;               /* finished[0] is being told */
} ts_beams;

struct ts_sampler {
    ts_arena arena; /* holds all of this, the struct itself included */
    ts_model *model;
    ts_sampler_options options; /* its arrays are the arena's */
    ts_busy busy;
    atomic_int cancelled;
    ts_cache cache;
    ts_scratch scratch;
    float *logits; /* (V), for the token after tokens[cache.used - 1] */
    ts_candidates candidates;
    uint32_t *tokens; /* beginning of text, prompt, story: what is in the context */
    size_t token_count;
    uint16_t *counts; /* of each token in the penalties' window; all 0 between draws. NULL: no penalties */
    ts_word_bans bans;
    ts_required required;
    ts_beams beams;
    float *ahead;                /* (V), of a word that is read ahead */
    char tail[TS_MOST_WORD + 1]; /* the story's last bytes, lower case: the newest at tail[tail_size - 1] */
    size_t tail_size;
    ts_stop *stops;
    char *held; /* text that may be the beginning of a stop string */
    size_t held_size;
    char *text; /* the piece that was given last */
    size_t text_capacity;
    char *run_text; /* of ts_sampler_run_for */
    ts_decode_stream stream;
    uint64_t seed, told; /* told: tokens drawn, which is also the counter of the random numbers */
    uint32_t drawn;      /* last; TS_TOKENIZER_NONE: the logits are not those it was drawn from */
    int32_t finish;
    bool started;
};

/* ---- sampler.c ---- */

/* Takes the sampler for a call; to be left with ts_busy_leave. */
ts_status ts_sampler_enter(ts_sampler *sampler);

/* ---- constraints.c ---- */

/* What finds the tokens of banned words: made for a moment, NULL without words. */
typedef struct ts_ban_index ts_ban_index;
ts_status ts_ban_index_make(ts_ban_index **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const char *const *words, size_t count);
void ts_ban_index_free(ts_ban_index **index, ts_runtime *runtime);

/* Finds how many entries the banned words make, or fills them: `bans` with arrays of that size, or NULLs and counts alone. */
void ts_word_bans_find(ts_word_bans *bans, const ts_ban_index *index, const char *const *words, size_t count);

/* Applies biases, bans and repeated n-grams to candidates that hold every token. */
void ts_constrain(ts_sampler *sampler);
/* Only where there are penalties: sampler->counts is not NULL. */
void ts_penalize(ts_sampler *sampler);

/* The story goes on with these bytes: what bans look back at. */
void ts_tail_add(ts_sampler *sampler, const char *bytes, size_t size);

/* ---- required.c ---- */

ts_status ts_required_read(ts_required *required, const ts_tokenizer *tokenizer, const char *const *words, size_t count, uint32_t within);
/* A story begins: no word was told. */
void ts_required_begin(ts_required *required);
/* The tail has grown by a token. */
void ts_required_note(ts_sampler *sampler);
size_t ts_required_missing(const ts_required *required);
/* The next token, if a required word is to be told now. The logits are those after the story's last token. */
bool ts_required_next(ts_sampler *sampler, uint32_t *id);
void ts_required_constrain(ts_sampler *sampler);

/* ---- beam.c ---- */

/* Adds the memory of so many beams to an arena's plan, false on overflow, and takes it. Fewer than 2 need none. */
bool ts_beams_plan(const ts_shape *shape, size_t beams, size_t positions, size_t *total);
void ts_beams_take(ts_beams *beams, const ts_shape *shape, size_t beam_count, size_t positions, ts_arena *arena);
/* Finds the whole story that goes on from the sampler's tokens, whose logits are read: then beams.found, unless it was cancelled. */
ts_status ts_beams_search(ts_sampler *sampler);

/* ---- telling.c ---- */

ts_status ts_telling_start(ts_sampler *sampler, const char *prompt, size_t size, uint64_t seed);
ts_status ts_telling_next(ts_sampler *sampler, const char **text, size_t *size);
/* Its three steps. *over: the story ended before a token, and text and size are what is given; else the tokens that the network has not seen yet are
 * read, after which the logits are those for the next, and that is drawn. */
ts_status ts_telling_prepare(ts_sampler *sampler, const char **text, size_t *size, bool *over);
ts_status ts_telling_read(ts_sampler *sampler);
ts_status ts_telling_draw(ts_sampler *sampler, const char **text, size_t *size);
/* The stream of a story whose last token is whole; one that has only begun takes off the space which SentencePiece puts before a text. */
void ts_telling_mark(ts_sampler *sampler);
/* Begins to tell after the first `count` tokens, which are in place. */
void ts_telling_from(ts_sampler *sampler, size_t count, uint64_t seed);
/* Looks through the whole story again, for bans and required words. */
void ts_telling_review(ts_sampler *sampler);

#endif

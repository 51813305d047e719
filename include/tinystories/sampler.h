/*
 * Samplers: tell a story a token at a time.
 *
 * Any number of samplers share one model. A sampler allocates when it is made; after that nothing does but a prompt with a word above 48 bytes. A step takes no
 * lock, calls no BLAS and prints nothing, so it can run in a game's frame. The same model, prompt, options and CPU level give the same story, whatever the
 * number of threads.
 *
 *     ts_sampler_start(sampler, "Once upon a time", 16);
 *     while ((status = ts_sampler_next(sampler, &text, &size)) == TS_OK && text)
 *         fwrite(text, 1, size, stdout);
 */
#ifndef TINYSTORIES_SAMPLER_H
#define TINYSTORIES_SAMPLER_H

#include "tinystories/base.h"
#include "tinystories/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_sampler ts_sampler;

enum {
    TS_CONTEXT_FULL_STOP = 0, /* the story ends when the context is full */
    TS_CONTEXT_FULL_SLIDE = 1 /* the older half is forgotten, the newer half read again, and the story goes on */
};

enum {
    TS_FINISH_NONE = 0,       /* not finished */
    TS_FINISH_END = 1,        /* the model ended the story (end-of-text) */
    TS_FINISH_MAX_TOKENS = 2, /* options.max_tokens were told */
    TS_FINISH_CONTEXT = 3     /* the context was full */
};

typedef struct ts_sampler_options {
    size_t struct_size;
    uint64_t seed;           /* any value; default 0. The same seed tells the same story */
    float temperature;       /* 0: always the likeliest token (the lowest id among equals); 0 to 100; default 0.8 */
    float top_p;             /* keep the likeliest tokens that hold this share of the probability together: (0, 1]; 1 (the default): all */
    uint32_t top_k;          /* keep the k likeliest tokens; 0 (the default): all. Applied before top_p; ties go to the lower id */
    uint32_t max_tokens;     /* tokens to tell after the prompt; 0: no limit; default 0 */
    uint32_t context_length; /* positions to hold; 0: the model's context length, which is also the most for learned positions; rotary may go to 2^20 */
    uint32_t context_full;   /* TS_CONTEXT_FULL_; default STOP */
    uint32_t ignore_end;     /* 1: end-of-text is never drawn, so that only max_tokens or the context ends the story; default 0 */
    uint32_t reserved;       /* 0 */
} ts_sampler_options;

TS_API ts_status ts_sampler_options_init(ts_sampler_options *options, size_t struct_size);

/* Makes a sampler with all the memory it will ever need. INVALID_ARGUMENT names the option that is out of range (NaN included). */
TS_API ts_status ts_sampler_new(ts_sampler **out, const ts_model *model, const ts_sampler_options *options);
TS_API void ts_sampler_free(ts_sampler *sampler);

/* The bytes that a sampler with these options would hold, without making it. */
TS_API ts_status ts_sampler_memory(const ts_model *model, const ts_sampler_options *options, uint64_t *bytes);

/*
 * Begins a new story: end-of-text, then the prompt (`size` bytes, may be 0; special tokens in it stay plain text), and reads them in. A prompt that ends in
 * spaces is continued best without them. The random numbers begin again from `seed`: a story is a function of (model, prompt, options, seed).
 * LIMIT: the prompt is longer than the context allows (context length - 1 tokens); the sampler then has no story.
 */
TS_API ts_status ts_sampler_start(ts_sampler *sampler, const char *prompt, size_t size);

/* The same with another seed than the options'. */
TS_API ts_status ts_sampler_start_seeded(ts_sampler *sampler, const char *prompt, size_t size, uint64_t seed);

/*
 * Draws the next token and gives its text: whole UTF-8 characters, NUL-terminated, *size bytes, borrowed until the next call; it may be empty while a
 * character is unfinished. When the story has ended *text is NULL and *size 0; ts_sampler_finish() says why. (The last non-NULL text may hold U+FFFD for a
 * character that the story broke off.) INVALID_ARGUMENT: no story was started. DIVERGED: the model gave a NaN; the story is over.
 */
TS_API ts_status ts_sampler_next(ts_sampler *sampler, const char **text, size_t *size);

/* Receives each piece of a story; returns nonzero to stop with TS_ERROR_CANCELLED, after which ts_sampler_next goes on where it stopped. */
typedef int32_t (*ts_sampler_text)(void *user, const char *text, size_t size);

/* Starts a story with the options' seed and calls `text` (may be NULL) with every piece until it ends. The prompt is not repeated. */
TS_API ts_status ts_sampler_run(ts_sampler *sampler, const char *prompt, size_t size, ts_sampler_text text, void *user);

/* TS_FINISH_: why the story ended. */
TS_API int32_t ts_sampler_finish(const ts_sampler *sampler);

/* The tokens of the story so far, the prompt's and the end-of-text before it included; *count of them, borrowed until the next call. With
 * TS_CONTEXT_FULL_SLIDE those that are still in the context. */
TS_API const uint32_t *ts_sampler_tokens(const ts_sampler *sampler, size_t *count);

/* The seed that the story was started with. */
TS_API uint64_t ts_sampler_seed(const ts_sampler *sampler);

#ifdef __cplusplus
}
#endif

#endif

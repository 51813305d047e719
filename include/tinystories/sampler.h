/*
 * Samplers: tell a story a token at a time.
 *
 * Any number of samplers share one model. A sampler allocates when it is made; after that nothing does but a prompt with a word above 48 bytes. A
 * step takes no lock, calls no BLAS and prints nothing, so it can run in a game's frame. The same model, prompt, options and CPU level give the same
 * story, whatever the number of threads.
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

/* Stories that are divided by a token are told best after it, as models of TinyStories were trained. A model that never saw it, or a comparison with
 * Hugging Face's generate() or llama.cpp, which don't put it before GPT-2's and GPT-Neo's prompts, wants none. */
enum {
    TS_BEGIN_OF_TEXT_FILE = 0, /* as the tokenizer's file says (tokenizer.ggml.add_bos_token, tokenizer_config.json's add_bos_token); always where it
                                  says nothing */
    TS_BEGIN_OF_TEXT_ALWAYS = 1,
    TS_BEGIN_OF_TEXT_NEVER = 2 /* but for an empty prompt, as the model needs a token to go on from */
};

enum {
    TS_FINISH_NONE = 0,       /* not finished */
    TS_FINISH_END = 1,        /* the model ended the story (end-of-text) */
    TS_FINISH_MAX_TOKENS = 2, /* options.max_tokens were told */
    TS_FINISH_CONTEXT = 3,    /* the context was full */
    TS_FINISH_STOP = 4,       /* a stop string came; it and what follows it are not told */
    TS_FINISH_FORBIDDEN = 5   /* bans and biases left no token that could be drawn */
};

/*
 * How a token is drawn. First come the constraints, whatever the order of the steps: logit biases, banned words, repeated n-grams, ignore_end. Then
 * the steps, each on what the one before has left. Where nothing is left by the constraints the story ends (TS_FINISH_FORBIDDEN); steps always leave
 * a token.
 */
enum {
    TS_STEP_NONE = 0,        /* ends the list */
    TS_STEP_PENALTIES = 1,   /* repetition_penalty, frequency_penalty, presence_penalty */
    TS_STEP_TEMPERATURE = 2, /* divides the logits as they are then: penalties before it are divided with them, those after it are not. 0 divides
                                nothing; the likeliest token that the last step left is told */
    TS_STEP_TOP_K = 3,
    TS_STEP_TOP_P = 4, /* nucleus (Holtzman et al. 2020) */
    TS_STEP_MIN_P = 5, /* (Nguyen et al. 2024) */
    TS_STEP_COUNT = 6
};

/*
 * Added to the logit of a token; -INFINITY bans it. Biases of the same token add up. To bias a text, bias each token that ts_tokenizer_encode makes of it, as
 * llama.cpp's server does with the strings of its logit_bias, and the command line and Python do with a text. That is for words of one token, which within a
 * sentence begin with their space, " dragon": the pieces of a longer text are pieces of other words too. banned_words and ts_sampler_require know words.
 */
typedef struct ts_token_bias {
    uint32_t token;
    float bias;
} ts_token_bias;

typedef struct ts_sampler_options {
    size_t struct_size;
    uint64_t seed;       /* any value; default 0. The same seed tells the same story */
    float temperature;   /* 0: always the likeliest token (the lowest id among equals); 0 to 100; default 0.8 */
    float top_p;         /* keep the likeliest tokens that hold this share of the probability together: (0, 1]; 1 (the default): all */
    uint32_t top_k;      /* keep the k likeliest tokens; 0 (the default): all. Ties go to the lower id */
    uint32_t max_tokens; /* tokens to tell after the prompt; 0: no limit; default 0 */
    uint32_t context_length; /* positions to hold; 0: the model's context length, which is also the most for learned positions; rotary may go to
                                2^20 */
    uint32_t context_full; /* TS_CONTEXT_FULL_; default STOP */
    uint32_t ignore_end;   /* 1: end-of-text is never drawn, so that only max_tokens or the context ends the story; default 0 */
    float min_p;           /* keep the tokens at least so likely as this share of the likeliest one's probability: [0, 1]; 0 (the default): all */
    float repetition_penalty; /* of tokens in the window: positive logits are divided by it, negative ones multiplied (Keskar et al. 2019); (0, 100];
                                 default 1 */
    float frequency_penalty;  /* taken off the logit for each time that the token is in the window; -100 to 100; default 0 */
    float presence_penalty;   /* taken off once if it is there at all; -100 to 100; default 0 */
    uint32_t penalty_window;  /* the last tokens that penalties look at, the prompt's among them; 0: all in the context; default 64 */
    uint32_t no_repeat_ngram; /* no run of so many tokens comes twice in the context; 0 (the default): no matter; at least 2 */
    uint32_t beams; /* above 1, to 1,024: the story is found by beam search, nothing is drawn. The first ts_sampler_next finds all of it. Constraints
                       apply, steps don't; the context is not slid. Each beam holds a cache of its own. 0 (the default), 1: none. The paper's authors
                       used 5 */
    /* Copied when the sampler is made. */
    const ts_token_bias *biases;
    size_t bias_count;
    const char *const *banned_words; /* no word of the story begins with one of these (1 to 63 bytes, compared without regard to the case of ASCII
                                        letters), however it would be made of tokens; a word begins after anything but letters, digits and
                                        apostrophes */
    size_t banned_word_count;
    const char *const *stops; /* strings (1 to 255 bytes) that end the story; text that may be the beginning of one is held back */
    size_t stop_count;
    uint8_t steps[8]; /* TS_STEP_, each at most once, in the order in which they are done; all 0 (the default): penalties, top-k, temperature, top-p,
                         min-p, which is Hugging Face's order (top-k does not depend on the temperature) */
    uint32_t begin_of_text; /* TS_BEGIN_OF_TEXT_: whether a story begins with the token that ts_tokenizer_begin_of_text gives; default FILE */
    uint32_t reserved;      /* 0 */
} ts_sampler_options;

TS_API ts_status ts_sampler_options_init(ts_sampler_options *options, size_t struct_size);

/* Makes a sampler with all the memory it will ever need. INVALID_ARGUMENT names the option that is out of range (NaN included). */
TS_API ts_status ts_sampler_new(ts_sampler **out, const ts_model *model, const ts_sampler_options *options);
TS_API void ts_sampler_free(ts_sampler *sampler);

/* The bytes that a sampler with these options would hold, without making it. With banned words, making it and this call sort the vocabulary for a
 * moment: about 60 bytes a token more. */
TS_API ts_status ts_sampler_memory(const ts_model *model, const ts_sampler_options *options, uint64_t *bytes);

/*
 * Begins a new story: the token that stories begin with (options.begin_of_text), then the prompt (`size` bytes, may be 0; special tokens in it stay
 * plain text), and reads them in. A prompt that ends in spaces is continued best without them. The random numbers begin again from `seed`: a story is
 * a function of (model, prompt, options, seed). LIMIT: the prompt is longer than the context allows (context length tokens, that which stories begin
 * with among them); the sampler then has no story. CANCELLED: by ts_sampler_cancel; no story either. What the new story has in common with the
 * beginning of the last one is not read again.
 */
TS_API ts_status ts_sampler_start(ts_sampler *sampler, const char *prompt, size_t size);

/* The same with another seed than the options'. */
TS_API ts_status ts_sampler_start_seeded(ts_sampler *sampler, const char *prompt, size_t size, uint64_t seed);

/*
 * Draws the next token and gives its text: whole UTF-8 characters, NUL-terminated, *size bytes, borrowed until the next call; it may be empty while a
 * character is unfinished. When the story has ended *text is NULL and *size 0; ts_sampler_finish() says why. (The last non-NULL text may hold U+FFFD
 * for a character that the story broke off.) INVALID_ARGUMENT: no story was started. DIVERGED: the model gave a NaN; the story is over.
 */
TS_API ts_status ts_sampler_next(ts_sampler *sampler, const char **text, size_t *size);

/* Receives each piece of a story; returns nonzero to stop with TS_ERROR_CANCELLED, after which ts_sampler_next goes on where it stopped. */
typedef int32_t (*ts_sampler_text)(void *user, const char *text, size_t size);

/* Starts a story with the options' seed and calls `text` (may be NULL) with every piece until it ends. The prompt is not repeated. */
TS_API ts_status ts_sampler_run(ts_sampler *sampler, const char *prompt, size_t size, ts_sampler_text text, void *user);

/* TS_FINISH_: why the story ended; TS_FINISH_NONE while it goes on, and for NULL. */
TS_API int32_t ts_sampler_finish(const ts_sampler *sampler);

/* The tokens of the story so far: the token that stories begin with (unless options.begin_of_text leaves it out), the prompt's and those told,
 * without the end-of-text that ends it; *count of them (may be NULL), borrowed until the next call. With TS_CONTEXT_FULL_SLIDE those that are still
 * in the context. */
TS_API const uint32_t *ts_sampler_tokens(const ts_sampler *sampler, size_t *count);

/* The seed that the story was started with. */
TS_API uint64_t ts_sampler_seed(const ts_sampler *sampler);

/* ---- what the model thought ---- */

/*
 * The token that ts_sampler_next drew last (end-of-text included) and its log-probability, and the `capacity` likeliest tokens of that position with
 * theirs, the likeliest first: nats, under the model itself, before constraints and steps. Any pointer may be NULL. *count tokens are filled.
 * INVALID_ARGUMENT: none was drawn since the story began, was cut or loaded; or the sampler has beams, which draw nothing (ts_model_logits over
 * ts_sampler_tokens gives the same).
 */
TS_API ts_status ts_sampler_alternatives(ts_sampler *sampler, uint32_t *token, float *log_probability, uint32_t *tokens, float *log_probabilities,
                                         size_t capacity, size_t *count);

/* ---- required words ---- */

/*
 * The stories that are told from now on, the present one among them, shall hold these `count` words (at most 16, of 1 to 31 bytes, phrases too; count
 * 0: none any more), compared without regard to the case of ASCII letters, as whole words: not followed by a letter or digit. The prompt counts. Each
 * is told where the model finds it least surprising; the longer none has come the less that matters, so that all come within about `within` tokens
 * (0: 160). A story does not end before its words have come, unless by max_tokens or the context. INVALID_ARGUMENT: too many or too long; the words
 * are as before. A word of several tokens is read ahead where it may come, which costs about a token's time there.
 * A word that is both required and banned (by a banned word, a bias of -INFINITY or no_repeat_ngram) is told: the requirement wins, in the place it
 * is told for, and the ban holds everywhere else. INVALID_ARGUMENT: the sampler has beams.
 */
TS_API ts_status ts_sampler_require(ts_sampler *sampler, const char *const *words, size_t count, uint32_t within);

/* The required words that have not come yet. */
TS_API size_t ts_sampler_missing(const ts_sampler *sampler);

/* ---- sessions ---- */

/* Another sampler of the same model, options and required words at the same point of the same story: both go on by themselves, with the same random
 * numbers until one is cut to another seed. It allocates as ts_sampler_new does, and is freed by ts_sampler_free, in any order. */
TS_API ts_status ts_sampler_clone(ts_sampler **out, const ts_sampler *sampler);

/*
 * Writes the story's state, the options among it, to a small file (GGUF, replaced as a whole), or into memory (`capacity` bytes in, *size out, also
 * for BUFFER_TOO_SMALL; capacity 0 asks for the size). Numbers are little-endian: a session goes from machine to machine with its model.
 */
TS_API ts_status ts_sampler_save(const ts_sampler *sampler, const char *path);
TS_API ts_status ts_sampler_save_memory(const ts_sampler *sampler, void *buffer, size_t capacity, size_t *size);

typedef struct ts_sampler_load_options {
    size_t struct_size;
    uint64_t memory_limit; /* bytes that the sampler may hold, as ts_sampler_memory counts them. 0 (the default): 16 MiB, eight times what a sampler
                              of default options holds and, for a story longer than the model's context, what one for its tokens holds */
} ts_sampler_load_options;

TS_API ts_status ts_sampler_load_options_init(ts_sampler_load_options *options, size_t struct_size);

/*
 * A sampler that goes on with a saved story exactly as the saved one would have. The tokens are read again by the first ts_sampler_next, which takes
 * as long as a prompt. FORMAT: damaged (the file has a checksum), or no session. VERSION: of a later library. MISMATCH: saved with another model.
 * LIMIT: its options (a long context, many beams) ask for more memory than `options` (NULL: the default) allow, so that a small file cannot take all
 * of it; the detail says how much. `data` is not needed after the call.
 */
TS_API ts_status ts_sampler_load(ts_sampler **out, const ts_model *model, const char *path, const ts_sampler_load_options *options);
TS_API ts_status ts_sampler_load_memory(ts_sampler **out, const ts_model *model, const void *data, size_t size,
                                        const ts_sampler_load_options *options);

/*
 * Goes back to the first `count` tokens of the story, at least 1, as ts_sampler_tokens counts them, and goes on from there with the random numbers of
 * `seed`; a story that had ended goes on too, and options.max_tokens is counted from here. All of its tokens and another seed: the same story so far,
 * another way on. INVALID_ARGUMENT: there is no story, or it has fewer tokens.
 */
TS_API ts_status ts_sampler_cut(ts_sampler *sampler, size_t count, uint64_t seed);

/*
 * Tells for about so many microseconds: a token at least, then more until one ends beyond them, 4 KiB are told or the story ends. Gives all of that
 * text, borrowed until the next call; *text is NULL when the story had ended before. For a frame of a game. What stops it (CANCELLED, DIVERGED) after
 * some text was told leaves that text to be given with TS_OK, and is the answer of the next call.
 */
TS_API ts_status ts_sampler_run_for(ts_sampler *sampler, uint64_t microseconds, const char **text, size_t *size);

/* From any thread, at any time between ts_sampler_new and ts_sampler_free: the call in progress ends with TS_ERROR_CANCELLED within about a layer's
 * time for 64 tokens, in the midst of a long prompt too (the story then has no beginning: start again), or the next one does. One call is cancelled;
 * the next goes on. */
TS_API void ts_sampler_cancel(ts_sampler *sampler);

/* ---- many stories at once ---- */

/*
 * A batch steps samplers of one model together: each weight is read once for all of them, where sampler after sampler would read it for each. Every
 * story is the one, bit by bit, that its sampler tells alone; samplers may come and go between steps, and each may have options of its own.
 *
 *     while (telling > 0) {
 *         status = ts_batch_next(batch, samplers, telling, texts, sizes, statuses);
 *         ... write texts[i]; take out samplers whose texts[i] is NULL
 *     }
 */
typedef struct ts_batch ts_batch;

typedef struct ts_batch_options {
    size_t struct_size;
    uint32_t capacity;       /* samplers of a step at most: 1 to 4,096; default 64 */
    uint32_t context_length; /* no sampler holds more positions; 0: the model's context length; at most 2^20 */
} ts_batch_options;

TS_API ts_status ts_batch_options_init(ts_batch_options *options, size_t struct_size);

/* Makes a batch with all the memory it will ever need. */
TS_API ts_status ts_batch_new(ts_batch **out, const ts_model *model, const ts_batch_options *options);
TS_API void ts_batch_free(ts_batch *batch);

/*
 * Does what ts_sampler_next does, for each of `count` samplers: texts[i], sizes[i] and statuses[i] are samplers[i]'s, borrowed as ts_sampler_next
 * says. A prompt was read by ts_sampler_start. Gives the first status that is not TS_OK, and the detail names that sampler; the others have gone on
 * all the same. INVALID_ARGUMENT, with nothing done: too many samplers, one of another model or with a longer context. BUSY: the batch, or a sampler
 * (also one that is there twice), is in use.
 */
TS_API ts_status ts_batch_next(ts_batch *batch, ts_sampler *const *samplers, size_t count, const char **texts, size_t *sizes, ts_status *statuses);

#ifdef __cplusplus
}
#endif

#endif

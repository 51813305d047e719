/*
 * A look inside models: every intermediate value of a pass, what heads attend to, what makes neurons fire, and who is to blame for a logit.
 *
 * All of it works for every architecture and for every model that ts_model_open reads (attribution takes floats: see there). Layers, heads and neurons
 * count from 0. Letters: T positions, C width, H heads, K key-value heads, D = C / H, F hidden width of the MLP, L layers, V vocabulary. No threshold of
 * this file was fitted to a model but one: a head's content of at least 0.1 was chosen with the numbers of two small models in view.
 */
#ifndef TINYSTORIES_ANALYSIS_H
#define TINYSTORIES_ANALYSIS_H

#include "tinystories/base.h"
#include "tinystories/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- taps: the intermediate values of a pass, by names that never change ---- */

/* The values in the order in which a pass comes by them, with their shapes. "*" stands for the layer: "blocks.3.attention.weights". */
enum {
    TS_TAP_EMBEDDING = 0,        /* "embedding" (T, C): token and, if learned, position embeddings */
    TS_TAP_ATTENTION_INPUT = 1,  /* "blocks.*.attention.input" (T, C): the residual stream, normed */
    TS_TAP_QUERIES = 2,          /* "blocks.*.attention.queries" (T, H, D): turned by their positions, if those are rotary */
    TS_TAP_KEYS = 3,             /* "blocks.*.attention.keys" (T, K, D): the same */
    TS_TAP_VALUES = 4,           /* "blocks.*.attention.values" (T, K, D) */
    TS_TAP_SCORES = 5,           /* "blocks.*.attention.scores" (H, T, T): head, query, key; scaled; minus infinity where the key is not seen */
    TS_TAP_WEIGHTS = 6,          /* "blocks.*.attention.weights" (H, T, T): their softmax; 0 where the key is not seen, whatever is written there */
    TS_TAP_HEADS = 7,            /* "blocks.*.attention.heads" (T, H, D): the values that each head gathered, before the output matrix */
    TS_TAP_ATTENTION_OUTPUT = 8, /* "blocks.*.attention.output" (T, C): what attention adds to the residual stream, its bias included */
    TS_TAP_MIDDLE = 9,           /* "blocks.*.middle" (T, C): the residual stream between attention and MLP */
    TS_TAP_MLP_INPUT = 10,       /* "blocks.*.mlp.input" (T, C): the same, normed */
    TS_TAP_GATE = 11,            /* "blocks.*.mlp.gate" (T, F): of SwiGLU alone, before its activation */
    TS_TAP_HIDDEN = 12,          /* "blocks.*.mlp.hidden" (T, F): before the activation; of SwiGLU the other factor */
    TS_TAP_NEURONS = 13,         /* "blocks.*.mlp.neurons" (T, F): the neurons' activations: gelu(hidden), or silu(gate) hidden */
    TS_TAP_MLP_OUTPUT = 14,      /* "blocks.*.mlp.output" (T, C): what the MLP adds, its bias included */
    TS_TAP_OUTPUT = 15,          /* "blocks.*.output" (T, C): the residual stream after the block */
    TS_TAP_NORMED = 16,          /* "normed" (T, C): after the last norm */
    TS_TAP_LOGITS = 17,          /* "logits" (T, V) */
    TS_TAP_COUNT = 18
};

/* The name of a point with "*" for the layer; NULL for a value that is none. A constant string. */
TS_API const char *ts_tap_name(uint32_t point);

/* A value on its way, valid during the callback. Element (i, j, k) is data[i * strides[0] + j * strides[1] + k * strides[2]]. */
typedef struct ts_tap {
    size_t struct_size;
    const char *name; /* "blocks.3.attention.weights" */
    float *data;      /* in the pass's own memory: what is written there is what the pass goes on with */
    uint64_t rank;    /* 2 or 3 */
    uint64_t shape[3];   /* 1 beyond the rank */
    uint64_t strides[3]; /* in floats; 0 beyond the rank */
    uint32_t point;   /* TS_TAP_ */
    uint32_t layer;   /* 0 where there is none */
} ts_tap;

/* Reads a value or overwrites it: setting a head of TS_TAP_HEADS to 0 ablates it, writing what another pass had there patches it. Returns nonzero to end the
 * pass with TS_ERROR_CANCELLED. Called on the caller's thread. */
typedef int32_t (*ts_tap_callback)(void *user, const ts_tap *tap);

/*
 * One sequence through the model, with `callback` at every point. `logits` takes (count, V) floats as in ts_model_logits, or is NULL: then they are not
 * computed, and TS_TAP_LOGITS does not come. Without overwriting the logits are those of ts_model_logits but for rounding: a tapped pass
 * divides attention weights before it sums values, an ordinary one after. An ordinary pass pays nothing for taps.
 * INVALID_ARGUMENT: no ids, more than the context length, one out of range. BUFFER_TOO_SMALL, LIMIT, OUT_OF_MEMORY: attention takes H count^2 floats.
 */
TS_API ts_status ts_model_tap(const ts_model *model, const uint32_t *ids, size_t count, ts_tap_callback callback, void *user, float *logits,
                              size_t capacity);

/* ---- what a corpus is read for ---- */

typedef struct ts_analysis_options {
    size_t struct_size;
    ts_progress progress; /* counts tokens of max_tokens; may be NULL */
    void *progress_user;
    uint64_t max_tokens;  /* read so many tokens of the texts and no more; default 20,000 (the paper's neurons were read off 8,000). Kept: 4 bytes
                           * each, of heads 4 more, and 64 for each head and each token of the vocabulary that comes up */
    uint64_t seed;        /* of the repeated sequences that heads are tried on; default 0 */
    uint32_t examples;    /* top activating tokens kept of each neuron; default 10, at most 1,000 */
    float threshold;      /* what a score above chance must reach to name a head by it, above 0 to 1; default 0.4 */
} ts_analysis_options;

TS_API ts_status ts_analysis_options_init(ts_analysis_options *options, size_t struct_size);

/* ---- heads ---- */

/* What a head may be called, several at once. Each score of ts_head says how it is found. */
enum {
    TS_HEAD_PREVIOUS = 1,  /* looks at the token before */
    TS_HEAD_DUPLICATE = 2, /* looks at earlier occurrences of the same token */
    TS_HEAD_INDUCTION = 4, /* looks at what followed earlier occurrences of the same token (Olsson et al. 2022) */
    TS_HEAD_DISTANCE = 8,  /* looks at fixed distances, whatever the tokens are: focused, and `distance` is at least a half */
    TS_HEAD_SEMANTIC = 16, /* chooses by what the tokens are: focused, `distance` below a half, and `content` at least a tenth */
    TS_HEAD_RESTING = 32   /* looks at the first position, which is what heads do that have nothing to say: `first` is at least a half */
};

/*
 * A head over a corpus, which is read in windows of T tokens; before each story's first stands the token that stories begin with. A score is the mean of
 * attention weights over the queries that it speaks of (of a window those from position 2 on), chance what even attention would have there. A head bears
 * the name of a score when (score - chance) / (1 - chance) reaches options->threshold.
 *
 * Induction and duplicate tokens are tried on sequences that tell the head nothing else: 16 times up to 64 tokens of the corpus, all different
 * and shuffled, said twice in a row.
 *
 * Distance heads and semantic heads (the paper's section 5.1 tells them apart by eye; here by measure). The first position, where attention rests, is left out;
 * a is the attention to the t keys j = 1 to t of query t, m its sum. `focus` is the mean of sum |a - m / t| / 2: the share of attention that would have to
 * move to be even. `distance` is the share of the departure from even attention, sum of (a - m / t)^2 over all queries and keys, that is
 * explained by attention m p(t - j), where p, a number for each distance, is fitted by least squares. It is 1 for a head that looks at prescribed distances
 * whatever the tokens are. A head is focused when `focus` reaches options->threshold.
 *
 * `content` is the share of the same departure that is explained by what the keys' tokens are: each token v has two numbers, the mean of a - m / t over the
 * keys that are v where the query is v too, and where it is not. These are counted in every other window of the corpus, once among the even ones (e) and
 * once among the odd (o), and content is the sum of n e o over all tokens and both cases, over the departure, n being the keys of both; below 0 it is 0.
 * What one half of the texts does not confirm so counts for nothing: a token that came once explains nothing, however much it drew. It is the least that
 * content can explain, since what a query looks for depends on more than whether the key is the same token. Weights that are random but large choose by
 * content too. A head that is focused and neither looks for distances nor for tokens has no name of these two.
 */
typedef struct ts_head {
    size_t struct_size;
    uint32_t layer;
    uint32_t head;
    uint32_t kinds;          /* TS_HEAD_, ored; 0: none */
    uint32_t reserved;
    double previous;         /* attention to the token before, over the corpus */
    double previous_chance;
    double duplicate;        /* on the repeated sequences: from a token said again to where it was said first */
    double duplicate_chance;
    double induction;        /* the same to the token behind */
    double induction_chance;
    double first;            /* attention to the first position */
    double focus;
    double distance;
    double mean_distance;    /* tokens between query and key, weighted by attention, the first position left out */
    double content;          /* share of the head's choosing that its keys' tokens explain, 0 to 1; 0 for a corpus of one window */
} ts_head;

typedef struct ts_heads ts_heads;

/* Measures all heads over files of stories (.txt, .jsonl, .gz). INVALID_ARGUMENT: an empty corpus, an option out of range; CANCELLED: by options->progress;
 * DIVERGED: attention is not finite; IO, FORMAT, UNSUPPORTED (a kind of file that this build cannot read), LIMIT, OUT_OF_MEMORY. */
TS_API ts_status ts_heads_new(ts_heads **out, const ts_model *model, const char *const *paths, size_t path_count, const ts_analysis_options *options);
TS_API void ts_heads_free(ts_heads *heads);

/* L H heads, layer after layer; the tokens that were read. */
TS_API size_t ts_heads_count(const ts_heads *heads);
TS_API ts_status ts_heads_get(const ts_heads *heads, size_t index, ts_head *head);
TS_API uint64_t ts_heads_tokens(const ts_heads *heads);

/* ---- neurons ---- */

/* A neuron is a coordinate of the MLP after its activation, TS_TAP_NEURONS (paper, section 5.2). */
typedef struct ts_neuron {
    size_t struct_size;
    uint32_t layer;
    uint32_t neuron;
    uint64_t active; /* of the tokens that were read, those where it is above 0 */
    double mean;
    double most;     /* its greatest activation */
    size_t examples; /* kept top activating tokens */
} ts_neuron;

/* A token that activates a neuron, with its window. */
typedef struct ts_neuron_example {
    size_t struct_size;
    const uint32_t *ids; /* the window that the model read up to this token and beyond; borrowed as long as the neurons live */
    size_t count;
    size_t at;           /* ids[at] is the token */
    uint64_t story;      /* which story of the corpus, from 0 */
    double activation;
} ts_neuron_example;

typedef struct ts_neurons ts_neurons;

/* Reads a corpus as ts_heads_new does and keeps of every neuron the tokens that activate it most, in one pass and memory that grows with the neurons and
 * 4 bytes a token. */
TS_API ts_status ts_neurons_new(ts_neurons **out, const ts_model *model, const char *const *paths, size_t path_count,
                                const ts_analysis_options *options);
TS_API void ts_neurons_free(ts_neurons *neurons);

/* L F neurons, layer after layer. */
TS_API size_t ts_neurons_count(const ts_neurons *neurons);
TS_API ts_status ts_neurons_get(const ts_neurons *neurons, size_t index, ts_neuron *neuron);
/* Example `rank` of neuron `index`, 0 being the greatest activation; among equal ones the earlier token. */
TS_API ts_status ts_neurons_example(const ts_neurons *neurons, size_t index, size_t rank, ts_neuron_example *example);
TS_API uint64_t ts_neurons_tokens(const ts_neurons *neurons);

/* ---- direct logit attribution ---- */

/* A logit as the sum of what the parts of the model wrote into the residual stream, read through the last norm, whose mean and scale are those of the
 * pass. logit = embedding + heads + neurons + biases but for rounding. */
typedef struct ts_attribution {
    size_t struct_size;
    double logit;
    double embedding; /* of the token at the last position, and of the position */
    double heads;     /* the sum over all of them */
    double neurons;   /* the same */
    double biases;    /* of attention outputs, MLP outputs and the last norm */
} ts_attribution;

/*
 * Who is for `token` after `ids`: `heads` takes L H floats, `neurons` L F, each its direct contribution to the token's logit at the last position; either
 * may be NULL. A contribution says nothing of what a part does through later layers. Contributions are worth comparing between tokens: what adds to all
 * logits alike changes no probability.
 * INVALID_ARGUMENT: as ts_model_tap, or token out of range; UNSUPPORTED: the model's matrices are quantized, open it with options.widen;
 * BUFFER_TOO_SMALL; LIMIT and OUT_OF_MEMORY as ts_model_tap.
 */
TS_API ts_status ts_model_attribute(const ts_model *model, const uint32_t *ids, size_t count, uint32_t token, ts_attribution *attribution,
                                    float *heads, size_t head_capacity, float *neurons, size_t neuron_capacity);

#ifdef __cplusplus
}
#endif

#endif

/*
 * The network: one decoder with switches, forward and backward.
 *
 * Letters: B sequences, T positions, C width, H heads, K key-value heads, D = C / H head size, F hidden width of the MLP, V vocabulary, N = B T rows.
 * All arrays are row major; matrices are (outputs, inputs).
 */
#ifndef TS_NETWORK_H
#define TS_NETWORK_H

#include <stdatomic.h>

#include "tensor/tensor.h"
#include "tinystories/analysis.h"
#include "tinystories/model.h"

/* What distinguishes the architectures: a row each in switches.c. */
typedef struct ts_switches {
    int32_t kind;             /* TS_ARCHITECTURE_ */
    const char *name;         /* as GGUF names it: "llama", "gpt2", "gptneo" */
    bool layer_norm;          /* layer norm with bias; else RMS norm */
    bool learned_positions;   /* a table of positions; else rotary */
    bool swiglu;              /* else GELU */
    bool fused_qkv;           /* one tensor for q, k, v, with a bias; else three without */
    bool bias;                /* attention output and MLP have biases */
    bool scaled;              /* scores are divided by sqrt(D) */
    bool local_layers;        /* odd layers see `window` keys alone */
} ts_switches;

/* NULL for an unknown kind or name. */
const ts_switches *ts_switches_of(int32_t kind);
const ts_switches *ts_switches_named(const char *name);

/* Fills the zeros of an architecture and checks it: every size within its limits, divisibility, finite numbers. The detail names the field. */
ts_status ts_architecture_complete(ts_architecture *architecture);

/* The shape as the layers need it; a pure function of a complete architecture. */
typedef struct ts_shape {
    const ts_switches *switches;
    size_t T, C, H, K, D, F, L, V;
    size_t kv;     /* K D: floats of a key */
    size_t qkv;    /* C + 2 kv: a row of q, k, v */
    size_t up;     /* outputs of the MLP's first product: F, or 2 F for gate and up */
    size_t window;
    float scale;   /* of the scores */
    float epsilon, rotary_base;
    bool untied;
} ts_shape;

void ts_shape_of(ts_shape *shape, const ts_architecture *architecture);

/* How many keys a position of this layer sees at most, itself included: the window, or SIZE_MAX. */
size_t ts_layer_window(const ts_shape *shape, size_t layer);

/* ---- parameters: the ONE table (parameters.c) for allocation, initialization, saving, loading, counting, the optimizer and names ---- */

typedef enum ts_slot {
    TS_SLOT_TOKENS,    /* (V, C) */
    TS_SLOT_POSITIONS, /* (T, C) */
    TS_SLOT_ATTN_NORM,
    TS_SLOT_ATTN_NORM_BIAS,
    TS_SLOT_QKV, /* (C + 2 kv, C): q, k and v lie behind one another where we allocate; else TS_SLOT_Q, K, V point to each */
    TS_SLOT_QKV_BIAS,
    TS_SLOT_Q,
    TS_SLOT_K,
    TS_SLOT_V,
    TS_SLOT_ATTN_OUTPUT,
    TS_SLOT_ATTN_OUTPUT_BIAS,
    TS_SLOT_FFN_NORM,
    TS_SLOT_FFN_NORM_BIAS,
    TS_SLOT_GATE,
    TS_SLOT_UP,
    TS_SLOT_UP_BIAS,
    TS_SLOT_DOWN,
    TS_SLOT_DOWN_BIAS,
    TS_SLOT_OUTPUT_NORM,
    TS_SLOT_OUTPUT_NORM_BIAS,
    TS_SLOT_OUTPUT, /* (V, C) */
    TS_SLOT_COUNT
} ts_slot;

typedef enum ts_initial { TS_INITIAL_ZERO, TS_INITIAL_ONE, TS_INITIAL_NORMAL, TS_INITIAL_RESIDUAL } ts_initial;

typedef struct ts_parameter {
    char name[40];      /* GGUF's */
    ts_slot slot;
    uint32_t layer;     /* 0 for those of no layer */
    uint32_t rank;      /* 1 or 2 */
    size_t rows, columns; /* a vector is one row */
    int32_t blocks;     /* TS_BLOCKS_: how a matrix is quantized; floats unless a file or ts_model_quantize says so */
    int32_t file_type;  /* TS_MODEL_TYPE_ of its tensor in the file that it was read from; F32 and of no meaning before */
    size_t offset;      /* floats from the start of a flat array that holds all parameters behind one another; panels count as floats too */
    ts_initial initial;
    bool decay;         /* matrices decay, vectors don't */
    const char *llama2c;     /* as llama2.c names it: "wq"; NULL: not in its files */
    const char *huggingface; /* as Hugging Face's files name it, "*" for the layer: "model.layers.*.self_attn.q_proj.weight" */
    bool transposed;         /* there it lies as (inputs, outputs) */
    bool rotary;             /* there a head's rows are in another order: first those of the pairs' first halves, then the others */
} ts_parameter;

#define TS_PARAMETER_NAME 80 /* bytes of a name of any kind */

/* Writes a name of the table with the layer in place of its "*". */
void ts_parameter_name(const char *pattern, uint32_t layer, char name[TS_PARAMETER_NAME]);

/* The table of a shape: *count entries in *table (release it with ts_release), *total floats in all. q, k, v are neighbours in it, and so are gate, up. */
ts_status ts_parameters_make(ts_runtime *runtime, const ts_shape *shape, ts_parameter **table, size_t *count, size_t *total);
/* The number of floats without making the table; false if it overflows. */
bool ts_parameters_count(const ts_shape *shape, uint64_t *total);
/* Says how every matrix is to be quantized (TS_BLOCKS_), those whose rows are no whole blocks and the table of positions stay floats, and places the parameters:
 * *size floats of memory in all, which takes every panel at a multiple of 64 bytes. */
void ts_parameters_quantize(ts_parameter *table, size_t count, int32_t blocks);
bool ts_parameter_takes_blocks(const ts_parameter *parameter);
ts_status ts_parameters_place(ts_parameter *table, size_t count, size_t *size);
/* Draws initial values into `data`. The same everywhere for the same seed. */
void ts_parameters_initialize(const ts_parameter *table, size_t count, const ts_shape *shape, float *data, uint64_t seed);

/* Where each parameter is: all[layer][slot]; those of no layer are in every row. Also holds gradients. A quantized matrix is in `panels` at the same place, and
 * `all` has NULL for it. */
typedef struct ts_weights {
    float *(*all)[TS_SLOT_COUNT];
    ts_panels (*panels)[TS_SLOT_COUNT];
} ts_weights;

/* Allocates the pointers and sets them into one flat array; ts_weights_free releases them. QKV, Q, K, V and the tied OUTPUT (= TOKENS) are all set. */
ts_status ts_weights_make(ts_weights *weights, ts_runtime *runtime, const ts_shape *shape, const ts_parameter *table, size_t count, float *data);
void ts_weights_free(ts_weights *weights, ts_runtime *runtime);

/* ---- inference: rows of sequences against caches; never enters BLAS; one summation order ---- */

/* Keys and values of the positions so far: keys[layer][position][kv], values the same. */
typedef struct ts_cache {
    float *keys, *values;
    size_t capacity; /* positions */
    size_t used;
} ts_cache;

/* Where a row stands in its sequence. */
typedef struct ts_place {
    ts_cache *cache;
    size_t position;
} ts_place;

/* Who wants to see a pass's values, and what memory that takes. A pass with taps reads one whole sequence: the cache is empty and the rows are all of it. */
typedef struct ts_taps {
    ts_tap_callback call;
    void *user;
    float *weights; /* (H, rows, rows) of a layer: scores, then weights */
    float *added;   /* (rows, C): what a block adds */
    float *packed;  /* (H, rows, D) and (K, rows, D): queries and keys by heads */
    bool stopped;   /* the callback said so: the rest of the pass is left out */
} ts_taps;

#define TS_QUERIES 4 /* rows of a sequence whose scores are worked out together */

/* Scratch memory for `rows` rows at once. All pointers are set by ts_scratch_plan's caller through ts_scratch_take. */
typedef struct ts_scratch {
    size_t rows;
    float *x, *norm, *qkv, *attended, *hidden, *activated; /* (rows, C), (rows, C), (rows, qkv), (rows, C), (rows, up), (rows, F) */
    ts_place *places; /* (rows) */
    ts_byte_rows bytes; /* (rows, the greater of C and F): what quantized matrices are multiplied by */
    float *scores;  /* (workers, TS_QUERIES, capacity) */
    size_t capacity;
    float *turns;   /* (capacity, D): cos, sin of rotary positions */
    const atomic_int *stop; /* NULL, or not 0 once rows shall be given up: between two layers, with no position of a cache used */
    ts_taps *taps;  /* NULL: nobody looks, at the cost of asking a few times a layer */
} ts_scratch;

/* Adds the memory of a cache and a scratch (for `rows` rows at once, `capacity` positions, `workers` threads) to an arena's plan; false on overflow. */
bool ts_inference_plan(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, size_t *total);
/* The scratch alone, for rows of other caches with at most this capacity. */
bool ts_scratch_plan(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, size_t *total);
void ts_scratch_take(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, ts_arena *arena, ts_scratch *scratch);
/* Takes what was planned out of the arena, and fills the rotary table. */
void ts_inference_take(const ts_shape *shape, size_t rows, size_t capacity, size_t workers, ts_arena *arena, ts_cache *cache, ts_scratch *scratch);

/*
 * Reads `count` ids (at most scratch->rows) as the next positions of the cache, whose capacity must hold them, and leaves the last layer's normed rows in
 * scratch->norm (count, C). With learned positions the capacity is at most T.
 */
void ts_inference_rows(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const uint32_t *ids, size_t count,
                       ts_cache *cache, ts_scratch *scratch);
/* The same where no row is wanted but the last one's, row count - 1 of scratch->norm; with `last` false not even that. */
void ts_inference_prompt(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const uint32_t *ids, size_t count,
                         bool last, ts_cache *cache, ts_scratch *scratch);
/* The same for `count` sequences of the same model at once, the next id of each; the caches all differ, and none has a larger capacity than the scratch was
 * made for. Every row has the bits that it would have by itself. */
void ts_inference_step(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const uint32_t *ids,
                       ts_cache *const *caches, size_t count, ts_scratch *scratch);
/* Makes one cache, whose capacity is at least what the other holds, hold the same. */
void ts_cache_copy(const ts_shape *shape, ts_cache *to, const ts_cache *from);
/* logits (count, V) of normed rows */
void ts_inference_logits(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, const float *norm, size_t count,
                         float *logits, ts_scratch *scratch);
/* logits[row] (V) of each of the scratch's normed rows */
void ts_inference_logits_apart(ts_runtime *runtime, const ts_kernels *kernels, const ts_shape *shape, const ts_weights *weights, size_t count,
                               float *const *logits, ts_scratch *scratch);

/* The same for taps on `rows` rows. */
bool ts_taps_plan(const ts_shape *shape, size_t rows, size_t *total);
void ts_taps_take(const ts_shape *shape, size_t rows, ts_arena *arena, ts_taps *taps);

/* Tells a callback of `rows` rows of `heads` pieces (0: none) of `columns` floats, `stride` from row to row. Does nothing once it stopped. */
void ts_tap_rows(ts_taps *taps, uint32_t point, size_t layer, float *data, size_t rows, size_t heads, size_t columns, size_t stride);

/* ---- training ---- */

/* a target that is not counted */
#define TS_IGNORE UINT32_MAX

typedef struct ts_network ts_network;

/* A network ready to train on micro batches of B sequences of T positions: all activations in one arena. `T` is at most the shape's. `bf16`: the precision
 * of matrix products; UNSUPPORTED where the level has none. `recompute`: layers keep (3 C + qkv + H + 4) floats a row instead of (5 C + qkv + up + F + H + 4), and work out the
 * others once more on the way back, to the same bits. */
ts_status ts_network_make(ts_network **out, ts_runtime *runtime, const ts_shape *shape, size_t B, size_t T, bool bf16, bool recompute);
void ts_network_free(ts_network *network);

/*
 * Says which rows of the steps to come see one another: a span begins at every id `first` of ids (B, T), at row 0 and after T rows of a span, wherever a sequence
 * ends. Positions, of either kind, count from its beginning: each span has the bits that it would have alone. With ids NULL, and before the first call, spans are
 * the B sequences.
 */
void ts_network_divide(ts_network *network, const uint32_t *ids, uint32_t first);

/*
 * Forward and backward over one micro batch: ids and targets (B, T). Adds `weight` times the gradient of the SUM of the targets' losses to `gradients` (flat array
 * as the table says, through `gradient_weights`) and gives that sum in nats, and the number of targets that are not TS_IGNORE. With gradients NULL: forward alone.
 */
void ts_network_step(ts_network *network, const ts_weights *weights, const ts_weights *gradients, const uint32_t *ids, const uint32_t *targets, float weight,
                     double *loss, size_t *counted);

/* `call` (NULL: none) is told by the steps to come when the gradients of a layer are whole, of the last layer first; those of no layer are when the step is done. */
void ts_network_on_layer(ts_network *network, void (*call)(void *user, size_t layer), void *user);

/* Copies the logits (V) of row `row` (0 to B T - 1) of the last step; for tests. */
void ts_network_logits(ts_network *network, const ts_weights *weights, size_t row, float *logits);

#endif

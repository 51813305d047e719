/*
 * Models: a network's weights together with the tokenizer they belong to.
 *
 * One decoder-only transformer with switches (norm, positions, MLP, attention scale, window, biases, grouped heads, tied head); `llama`, `gpt2` and
 * `gpt_neo` are settings of those switches. A model never changes once made; any number of threads, samplers and evaluators may share one.
 * Letters: B sequences, T positions, C width, H heads, L layers, V vocabulary.
 */
#ifndef TINYSTORIES_MODEL_H
#define TINYSTORIES_MODEL_H

#include "tinystories/base.h"
#include "tinystories/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_model ts_model;

/* ---- architecture ---- */

enum {
    TS_ARCHITECTURE_LLAMA = 1,  /* RMS norm, rotary positions, SwiGLU, no biases, grouped key-value heads (Touvron et al. 2023) */
    TS_ARCHITECTURE_GPT2 = 2,   /* layer norm, learned positions, tanh-GELU, biases everywhere (Radford et al. 2019) */
    TS_ARCHITECTURE_GPT_NEO = 3 /* GPT-2 with unscaled attention, no biases on q, k, v, and every second layer with a local window (Black et al. 2021) */
};

/* The shape of a network. What is 0 after ts_architecture_init and stays 0 is derived as the comment says. */
typedef struct ts_architecture {
    size_t struct_size;
    int32_t kind;               /* TS_ARCHITECTURE_; default LLAMA */
    uint32_t vocabulary_size;   /* V; 0: the tokenizer's size */
    uint32_t context_length;    /* positions that the network is made for; default 256 */
    uint32_t width;             /* C; a multiple of heads */
    uint32_t layers;            /* L */
    uint32_t heads;             /* H; C / H is the head size, even for rotary positions */
    uint32_t key_value_heads;   /* divides H; 0: H */
    uint32_t hidden;            /* width inside the MLP; 0: 4 C, or for SwiGLU 8 C / 3 rounded up to a multiple of 32 */
    uint32_t window;            /* gpt_neo: keys that a position of a local layer sees, itself included; 0: 256. Others: 0 */
    uint32_t untied_head;       /* 1: the output matrix is a tensor of its own; 0: it is the token embedding */
    float rotary_base;          /* llama: theta of the rotary positions; 0: 10,000 */
    float norm_epsilon;         /* 0: 1e-5 */
} ts_architecture;

TS_API ts_status ts_architecture_init(ts_architecture *architecture, size_t struct_size);

/*
 * Fills an architecture from a named preset: "laptop-0.3m", "laptop-1m" (the default of training), "laptop-5m", llama shapes for a laptop with a
 * vocabulary of 4,096; and the paper's GPT-Neo shapes "paper-1m", "paper-3m", "paper-8m", "paper-28m", "paper-33m", "paper-1layer-21m",
 * "paper-2layers-33m" (context 512, window 256, vocabulary 10,000; paper section 4 and the published configs).
 * INVALID_ARGUMENT: an unknown name; the detail lists the known ones.
 */
TS_API ts_status ts_architecture_preset(ts_architecture *architecture, const char *name);

/* The name of preset `index` (0, 1, ...), NULL after the last. Constant strings. */
TS_API const char *ts_architecture_preset_name(size_t index);

/* Checks a shape (with its zeros filled in, in place) and gives its number of parameters, without allocating anything. */
TS_API ts_status ts_architecture_parameters(ts_architecture *architecture, uint64_t *parameters);

/* ---- making, opening, saving ---- */

typedef struct ts_model_options {
    size_t struct_size;
    uint64_t memory_limit;   /* bytes that the weights may take once loaded; 0: 2^40 */
    uint32_t map;            /* 1: map the file instead of reading it. Opens in no time, but a file that is cut meanwhile kills the host; default 0 */
    uint32_t context_length; /* use at most (learned positions) or exactly (rotary) this many positions; 0: what the file says */
    const char *tokenizer;   /* path of the tokenizer, as ts_tokenizer_open takes it, where it is not in the file: llama2.c, Hugging Face; NULL: beside it */
    uint32_t widen;          /* 1: matrices of Q8_0 and Q4_0 become floats; 0 (the default): they stay as they are and are multiplied in 8 bits */
    uint32_t reserved;       /* 0 */
} ts_model_options;

TS_API ts_status ts_model_options_init(ts_model_options *options, size_t struct_size);

/*
 * Opens a model, whatever of these it is:
 *   GGUF version 3 (or 2), architecture llama, gpt2 or gptneo, tensors of F32, F16, BF16, Q8_0 or Q4_0, with the
 *   tokenizer inside: gpt2 (byte-level BPE), llama (SentencePiece) or wordpiece (a name of our own);
 *   a llama2.c checkpoint, version 0 (legacy), 1 or 2 (8 bits, widened to what its numbers and scales say). The tokenizer is options->tokenizer, or of
 *   NAME.bin the first that is there: NAME.tokenizer.bin, tokV.bin of V entries, tokenizer.bin, in the same folder;
 *   a Hugging Face directory: config.json with model.safetensors (or its parts by model.safetensors.index.json), architecture gpt_neo, gpt2 or llama. The
 *   tokenizer is options->tokenizer, or the folder's tokenizer.json, or vocab.json with merges.txt. What a config asks for and the network has no
 *   switch for is UNSUPPORTED, with its name and value. The published TinyStories models state 2,048 positions but were trained on 512: a gpt_neo directory
 *   of 2,048 positions and at most 8 layers is opened with 512 unless options->context_length says otherwise, and a warning is logged.
 * Floats of 16 bits are widened exactly. Matrices of Q8_0 and Q4_0 stay so (options->widen: are widened exactly too): a quarter or an eighth of the memory, and as much less
 * to read a token. What they are multiplied by is rounded to 8 bits, blocks of 32 to a scale, for which the whole numbers of a block are added up exactly.
 * IO, FORMAT (names tensor or key and its offset), VERSION, UNSUPPORTED (another architecture, type or tokenizer; a map of anything but a GGUF of F32),
 * MISMATCH (a tokenizer with more entries than the model), LIMIT, OUT_OF_MEMORY.
 */
TS_API ts_status ts_model_open(ts_model **out, ts_runtime *runtime, const char *path, const ts_model_options *options);

/* The same of a file in memory (a llama2.c checkpoint needs options->tokenizer). With options->map = 1 the weights are used where they are: `data`
 * (32-byte aligned, else INVALID_ARGUMENT) must outlive the model; else it is not needed after the call. */
TS_API ts_status ts_model_open_memory(ts_model **out, ts_runtime *runtime, const void *data, size_t size, const ts_model_options *options);

/* A host's own files, game archives for instance. Used during the opening call alone. */
typedef struct ts_read_callbacks {
    size_t struct_size;
    /* Reads exactly `count` bytes from `offset` on into `buffer`; the two never reach beyond `size`. Returns 0, or nonzero for TS_ERROR_IO. */
    int32_t (*read)(void *user, uint64_t offset, void *buffer, size_t count);
    void *user;
    uint64_t size;    /* of the whole file, bytes */
    const char *name; /* for error details; may be NULL */
} ts_read_callbacks;

TS_API ts_status ts_model_open_callbacks(ts_model **out, ts_runtime *runtime, const ts_read_callbacks *callbacks, const ts_model_options *options);

/* Makes an untrained model: matrices normal with deviation 0.02 (those that write into the residual 0.02 / sqrt(2 L)), norms 1, biases 0. The same seed
 * gives the same weights everywhere. MISMATCH: a vocabulary smaller than the tokenizer's. */
TS_API ts_status ts_model_new(ts_model **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture, uint64_t seed);

TS_API void ts_model_free(ts_model *model);

/* Writes a GGUF file, replaced as a whole. llama.cpp reads it when the architecture is llama or gpt2. */
TS_API ts_status ts_model_save(const ts_model *model, const char *path);

/* ---- saving in other formats ---- */

enum {
    TS_MODEL_FORMAT_GGUF = 1,
    TS_MODEL_FORMAT_HUGGINGFACE = 2, /* a folder, made if it is not there: config.json, model.safetensors, tokenizer.json, tokenizer_config.json;
                                        transformers' AutoModelForCausalLM and AutoTokenizer open it */
    TS_MODEL_FORMAT_LLAMA2C_V0 = 3,  /* NAME.bin, and the tokenizer as NAME.tokenizer.bin beside it */
    TS_MODEL_FORMAT_LLAMA2C_V1 = 4,
    TS_MODEL_FORMAT_LLAMA2C_V2 = 5 /* matrices in 8 bits, with a scale for each 64 of their numbers or fewer; its type is Q8_0 */
};

enum {
    TS_MODEL_TYPE_F32 = 0,
    TS_MODEL_TYPE_F16 = 1, /* rounded to the nearest; matrices alone in GGUF, all tensors in a Hugging Face folder */
    TS_MODEL_TYPE_BF16 = 2,
    TS_MODEL_TYPE_Q8_0 = 3, /* GGUF: matrices in blocks of 32 numbers of 8 bits with a scale of 16, rounded as ggml does; what is no whole block stays F32 */
    TS_MODEL_TYPE_Q4_0 = 4  /* the same with 4 bits */
};

typedef struct ts_model_save_options {
    size_t struct_size;
    int32_t format; /* TS_MODEL_FORMAT_; default GGUF */
    int32_t type;   /* TS_MODEL_TYPE_ of the tensors; default F32, which alone llama2.c has but for LLAMA2C_V2, whose type is Q8_0 */
} ts_model_save_options;

TS_API ts_status ts_model_save_options_init(ts_model_save_options *options, size_t struct_size);

/*
 * Writes the model in a format of the options' choice; every file is replaced as a whole. UNSUPPORTED: what the format cannot hold, named in the detail:
 * llama2.c takes llama models with rotary_base 10,000 and norm_epsilon 1e-5 and SentencePiece tokenizers.
 */
TS_API ts_status ts_model_save_as(const ts_model *model, const char *path, const ts_model_save_options *options);

/*
 * Makes a model in memory whose matrices are Q8_0 or Q4_0 (TS_MODEL_TYPE_), or F32 again; what is so already is kept as it is. It tells what the file that
 * ts_model_save_as writes with this type tells. INVALID_ARGUMENT: another type, or a tensor with a number that has no place in a block (NaN, infinite, too large).
 */
TS_API ts_status ts_model_quantize(ts_model **out, const ts_model *model, int32_t type);

/* The same as ts_model_save into memory, floats always: `capacity` bytes in, *size out, also for BUFFER_TOO_SMALL (capacity 0 asks for the size). */
TS_API ts_status ts_model_save_memory(const ts_model *model, void *buffer, size_t capacity, size_t *size);

/* ---- what is in it ---- */

/* Fills `architecture` (its struct_size set by the caller); nothing in it is 0 that has a meaning. */
TS_API ts_status ts_model_architecture(const ts_model *model, ts_architecture *architecture);

/* The tokenizer; borrowed as long as the model lives. */
TS_API const ts_tokenizer *ts_model_tokenizer(const ts_model *model);

/* Parameters in all, the tied head counted once. */
TS_API uint64_t ts_model_parameters(const ts_model *model);

typedef struct ts_tensor {
    size_t struct_size;
    const char *name;   /* as in GGUF, "blk.0.attn_q.weight"; borrowed as long as the model lives */
    const float *data;  /* row major; borrowed as long as the model lives. NULL: quantized, see ts_model_tensor_read */
    uint64_t rank;      /* 1 or 2 */
    uint64_t shape[4];  /* slowest dimension first: (rows out, columns in) for matrices, the rest 1 */
    int32_t type;       /* TS_MODEL_TYPE_ in memory: F32, Q8_0 or Q4_0 */
    int32_t file_type;  /* TS_MODEL_TYPE_ in the file that the model was opened from (llama2.c's groups of 8 bits are Q8_0); `type` where it is from none */
} ts_tensor;

/* The parameters one by one, `index` from 0 to ts_model_tensor_count() - 1; beyond it INVALID_ARGUMENT. */
TS_API size_t ts_model_tensor_count(const ts_model *model);
TS_API ts_status ts_model_tensor(const ts_model *model, size_t index, ts_tensor *tensor);

/* Copies a tensor's numbers as floats, exactly, whatever its type: `capacity` floats, at least the product of its shape (else BUFFER_TOO_SMALL). */
TS_API ts_status ts_model_tensor_read(const ts_model *model, size_t index, float *values, size_t capacity);

/* ---- evaluation ---- */

/*
 * The logits of every position of one sequence: `logits` takes (count, V) floats row major; row t is for the token after ids[t]. `count` is 1 to the
 * context length. `capacity` in floats. INVALID_ARGUMENT: an id out of range.
 */
TS_API ts_status ts_model_logits(const ts_model *model, const uint32_t *ids, size_t count, float *logits, size_t capacity);

/*
 * How well a model foretells texts. Bits per byte are counted story by story: windows of T tokens that advance by T / 2 (T the context length), each
 * token counted once with the context its first window gives it, before the story the token that stories begin with as context, and the end of text
 * after it included in the count; nats over the bytes of the trimmed stories, divided by ln 2.
 */
typedef struct ts_score {
    size_t struct_size;
    double nats;           /* the sum over all tokens */
    double nats_per_token;
    double bits_per_byte;
    double perplexity;     /* exp(nats_per_token) */
    uint64_t tokens;       /* counted tokens: those of the stories and an end each */
    uint64_t bytes;
    uint64_t stories;
} ts_score;

/* Scores texts that are pulled one by one, each a story (trimmed as ts_tokenizer_train_files says). INVALID_ARGUMENT: none. */
TS_API ts_status ts_model_score(const ts_model *model, ts_next_text next, void *user, ts_score *score);

/* Scores files of stories or token shards (.bin); `progress` (may be NULL) counts stories. */
TS_API ts_status ts_model_score_files(const ts_model *model, const char *const *paths, size_t path_count, ts_score *score, ts_progress progress,
                                      void *progress_user);

#ifdef __cplusplus
}
#endif

#endif

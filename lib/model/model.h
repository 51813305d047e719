/*
 * Models as the rooms above see them: weights, their table and the tokenizer, immutable and shared.
 */
#ifndef TS_MODEL_H
#define TS_MODEL_H

#include "base/base.h"
#include "network/network.h"
#include "tinystories/model.h"
#include "tokenizer/tokenizer.h"

struct ts_model {
    ts_runtime *runtime;
    const ts_tokenizer *tokenizer; /* a reference of the model's own */
    const ts_kernels *kernels;
    ts_architecture architecture; /* complete */
    ts_shape shape;
    ts_parameter *table;
    size_t table_count, total; /* entries; parameters */
    size_t size;               /* of `data`, floats: those of the parameters, or less where they are quantized */
    ts_weights weights;        /* into `data`, or into a mapping */
    float *data;               /* all parameters behind one another; NULL when mapped: then the table's offsets count from the mapping's start */
    ts_source mapping;         /* kept open while mapped */
    bool mapped;
    size_t references; /* atomic */
};

/* A new reference; release with ts_model_free. */
ts_model *ts_model_acquire(const ts_model *model);

/* A model of a complete architecture and a copy of `data` (the table's total of floats); what ts_trainer_snapshot gives. */
ts_status ts_model_from_parameters(ts_model **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture,
                                   const float *data);

/* A number that tells models apart: of their shapes, tokenizers and vectors (of norms and biases, which any training changes), and the beginnings of their matrices. */
uint64_t ts_model_fingerprint(const ts_model *model);

/* The shape that training takes for architecture NULL. */
#define TS_PRESET_DEFAULT "laptop-1m"

/* Reads a caller's architecture (NULL: the default preset with the tokenizer's vocabulary) and completes it. MISMATCH: fewer entries than the
 * tokenizer has. */
ts_status ts_architecture_read(ts_architecture *into, const ts_architecture *from, const ts_tokenizer *tokenizer);

/* ---- quantized parameters (quantize.c) ---- */

/* Row `row` of a parameter as floats. */
void ts_model_row(const ts_model *model, const ts_parameter *parameter, size_t row, float *values);
/* Whether the matrices that can be quantized all are as TS_BLOCKS_ says. */
bool ts_model_has_blocks(const ts_model *model, int32_t blocks);
/* A model of the same parameters in other blocks, or floats. INVALID_ARGUMENT: a weight that no block can hold, named. */
ts_status ts_model_in_blocks(ts_model **out, const ts_model *model, int32_t blocks);
/* TS_BLOCKS_ of a TS_MODEL_TYPE_, and the other way round. */
int32_t ts_model_blocks_of(int32_t type);
int32_t ts_model_type_of(int32_t blocks);

/* The two steps of making one: the handle and the table of a complete architecture, then the memory of its parameters (zeros) and the pointers
 * into it. A failed step leaves what ts_model_free frees. */
ts_status ts_model_make(ts_model **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture);
ts_status ts_model_allocate(ts_model *model);

/* What calls on one sequence check: INVALID_ARGUMENT; room for the logits of `count` positions: BUFFER_TOO_SMALL. */
ts_status ts_model_check_ids(const ts_model *model, const uint32_t *ids, size_t count);
ts_status ts_model_check_logits(const ts_model *model, size_t count, size_t capacity);

/* ---- passes with taps (tapped.c) ---- */

/* Runs sequences of at most `capacity` ids (at most the context length), which the caller has checked, as ts_model_tap does. One thread at a time. */
typedef struct ts_tapped ts_tapped;
ts_status ts_tapped_make(ts_tapped **out, const ts_model *model, size_t capacity);
ts_status ts_tapped_run(ts_tapped *tapped, const uint32_t *ids, size_t count, ts_tap_callback call, void *user, float *logits);
void ts_tapped_free(ts_tapped *tapped);

/* ---- scoring (score.c) ---- */

/* Scores stories of ids, the ends of text not among them, as ts_score says. ts_scorer_add adds to score->nats, tokens, bytes and stories; `bytes` is
 * the story's size, which the ids don't tell. DIVERGED: a logit is not finite; nothing was added. One thread at a time. */
typedef struct ts_scorer ts_scorer;
ts_status ts_scorer_make(ts_scorer **out, const ts_model *model);
ts_status ts_scorer_add(ts_scorer *scorer, const uint32_t *ids, size_t count, uint64_t bytes, ts_score *score);
void ts_scorer_free(ts_scorer *scorer);
/* Works out the means once all stories are added. */
void ts_score_finish(ts_score *score);

#endif

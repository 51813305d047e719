/*
 * Checkpoints of llama2.c: version 0 (legacy, without a magic), 1 (float32) and 2 (8 bits with a scale a group). The tensors lie in a
 * fixed order with nothing between them, so the header says all; it is checked against the file's size before anything is read.
 *
 * Tensors are named as llama2.c's exporter names them: "tok_embeddings", "attention_norm", "wq", "wk", "wv", "wo", "ffn_norm", "w1" (gate), "w2"
 * (down), "w3" (up), "norm", "output". Matrices are (outputs, inputs) row major, rotary positions turn adjacent pairs.
 */
#ifndef TS_LLAMA2C_H
#define TS_LLAMA2C_H

#include "base/base.h"

enum { TS_LLAMA2C_MAGIC = 0x616b3432, TS_LLAMA2C_TENSORS = 13 };

typedef struct ts_llama2c_shape {
    uint32_t width, hidden, layers, heads, key_value_heads, vocabulary, context;
    bool untied; /* "output" is there */
} ts_llama2c_shape;

/* An open file; nothing to be freed. */
typedef struct ts_llama2c {
    ts_source *source; /* borrowed */
    ts_llama2c_shape shape;
    uint32_t version;
    uint32_t group;                       /* version 2: elements of a scale */
    uint64_t offsets[TS_LLAMA2C_TENSORS]; /* of the first layer, by place in the table of tensors; 0: not there */
} ts_llama2c;

/* Reads and checks the header. FORMAT names the field, or both sizes; VERSION: a magic, but neither 1 nor 2. */
ts_status ts_llama2c_open(ts_llama2c *file, ts_source *source);

/* Reads all elements of a tensor, those of version 2 as scale times number. `layer` is 0 for tensors of no layer. INVALID_ARGUMENT: no such tensor,
 * or `count` is not its size. */
ts_status ts_llama2c_read(const ts_llama2c *file, const char *name, uint32_t layer, float *values, size_t count);

/* Gives the tensor of this name and layer, as ts_llama2c_read would. */
typedef const float *(*ts_llama2c_tensor)(void *user, const char *name, uint32_t layer);

/* Writes a whole checkpoint; ts_writer_commit is the caller's. INVALID_ARGUMENT: version 2, and a number is not finite. */
ts_status ts_llama2c_write(ts_writer *file, uint32_t version, const ts_llama2c_shape *shape, ts_llama2c_tensor tensor, void *user);

#endif

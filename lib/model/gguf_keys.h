/* What a model's shape is called in a GGUF file, private to this room. */
#ifndef TS_GGUF_KEYS_H
#define TS_GGUF_KEYS_H

#include "format/format.h"
#include "model/model.h"

/*
 * Reads the shape from keys and tensors, completes and checks it. `context_length` is the caller's wish (ts_model_options) or 0; *positions are the
 * rows that the file's position table must have, which may be more than the shape's context. FORMAT: a value is missing or impossible; UNSUPPORTED:
 * a setting that the network has no switch for; MISMATCH: two that disagree.
 */
ts_status ts_gguf_read_architecture(ts_gguf *gguf, const char *file, uint32_t context_length, ts_architecture *architecture, uint32_t *positions);

/* Adds all keys but the tokenizer's; `file_type` is what most tensors are, in llama.cpp's numbers. */
void ts_gguf_add_architecture(ts_gguf_writer *writer, const ts_architecture *architecture, uint32_t file_type);

#endif

/*
 * Tokenizers as the rooms above see them, and the vocabulary that every way of getting one ends in.
 */
#ifndef TS_TOKENIZER_H
#define TS_TOKENIZER_H

#include "base/base.h"
#include "format/format.h"
#include "tinystories/tokenizer.h"

enum {
    TS_TOKENIZER_MAX_TOKENS = 1 << 20,
    TS_TOKENIZER_MAX_TOKEN = 4096 /* bytes */
};

/* A new reference; release with ts_tokenizer_free. */
ts_tokenizer *ts_tokenizer_acquire(const ts_tokenizer *tokenizer);

/* The same tokenizer, with the beginning and the end of text that a model's file names (TS_TOKENIZER_NONE: none) where it names none itself and they
 * are special tokens. */
ts_status ts_tokenizer_with_marks(ts_tokenizer **out, const ts_tokenizer *tokenizer, uint32_t begin, uint32_t end);

/* Reads tokenizer.ggml.* of a GGUF file; tokens of the type "unused" at its end are left out. UNSUPPORTED: another model than "gpt2" and "llama". */
ts_status ts_tokenizer_from_gguf(ts_tokenizer **out, ts_runtime *runtime, ts_gguf *gguf);
/* Adds the same keys. `vocabulary_size`, at least the tokenizer's: what is beyond it becomes tokens of the type "unused". */
void ts_tokenizer_to_gguf(const ts_tokenizer *tokenizer, ts_gguf_writer *writer, uint32_t vocabulary_size);

/* A tokenizer.bin of llama2.c; ts_writer_commit is the caller's. `vocabulary_size`, at least the tokenizer's, as above. UNSUPPORTED: a byte-level
 * BPE, or tokens in another order than llama2.c counts on. */
ts_status ts_tokenizer_write_llama2c(const ts_tokenizer *tokenizer, uint32_t vocabulary_size, ts_writer *file);

/* The text of a tokenizer.json, added to `json`. */
ts_status ts_tokenizer_to_json(const ts_tokenizer *tokenizer, ts_bytes *json);
/* The text of a tokenizer_config.json for it, with which transformers' AutoTokenizer takes it as it is. */
ts_status ts_tokenizer_config_to_json(const ts_tokenizer *tokenizer, uint32_t context_length, ts_bytes *json);

/* Whether texts for a model begin with ts_tokenizer_begin_of_text, as its file says; true where it says nothing. */
bool ts_tokenizer_adds_begin(const ts_tokenizer *tokenizer);

/* The longest token's bytes. */
size_t ts_tokenizer_longest(const ts_tokenizer *tokenizer);

#endif

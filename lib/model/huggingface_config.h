/* What a model's shape is called in Hugging Face's config.json, private to this room. */
#ifndef TS_HUGGINGFACE_CONFIG_H
#define TS_HUGGINGFACE_CONFIG_H

#include "format/format.h"
#include "model/model.h"

typedef struct ts_huggingface_config {
    ts_architecture architecture; /* complete */
    uint32_t positions;           /* rows that the table of positions has in the file */
    uint32_t begin, end;          /* ids of the beginning and the end of a text; TS_TOKENIZER_NONE: not stated */
} ts_huggingface_config;

/*
 * Reads the shape from a config, completes and checks it; `context_length` is the caller's wish (ts_model_options) or 0. FORMAT: a value is missing
 * or impossible; UNSUPPORTED: a setting that the network has no switch for. A context that is cut to what a model was trained on is logged.
 */
ts_status ts_huggingface_read_config(ts_huggingface_config *config, ts_runtime *runtime, const ts_json *json, const char *file,
                                     uint32_t context_length);

/* The text of a config.json. `dtype` is "float32" and so on; ids as above. */
ts_status ts_huggingface_write_config(ts_bytes *json, const ts_architecture *architecture, const char *dtype, uint32_t begin, uint32_t end);

#endif

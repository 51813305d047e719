/* Models in files, private to this room: what each format does for ts_model_open and ts_model_save_as. */
#ifndef TS_MODEL_FILES_H
#define TS_MODEL_FILES_H

#include "format/format.h"
#include "model/model.h"

/* LIMIT: the weights take more than options->memory_limit. */
ts_status ts_model_check_size(const ts_model_options *options, const ts_architecture *architecture, const char *name);
/* MISMATCH: the tokenizer has more entries than the model. */
ts_status ts_model_check_tokenizer(const ts_tokenizer *tokenizer, const ts_architecture *architecture, const char *name);

/* Gives the floats of a parameter, rows x columns of them, and notes its file_type. */
typedef ts_status (*ts_parameter_reader)(void *user, ts_parameter *parameter, float *values);

/* Makes a model of a complete architecture, once size and tokenizer are checked, and reads every parameter. */
ts_status ts_model_load(ts_model **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture,
                        ts_parameter_reader read, void *user);

/* The `options` are complete. A mapped GGUF model keeps a copy of the source, which must then not be closed. `path` may be NULL. */
ts_status ts_gguf_model_open(ts_model **out, ts_runtime *runtime, ts_source *source, const ts_model_options *options);
ts_status ts_llama2c_model_open(ts_model **out, ts_runtime *runtime, ts_source *source, const char *path, const ts_model_options *options);
ts_status ts_huggingface_model_open(ts_model **out, ts_runtime *runtime, const char *folder, const ts_model_options *options);

/* ts_writer_commit is the caller's. */
ts_status ts_gguf_model_save(const ts_model *model, ts_writer *file, int32_t type);
ts_status ts_llama2c_model_save(const ts_model *model, const char *path, uint32_t version);
ts_status ts_huggingface_model_save(const ts_model *model, const char *folder, int32_t type);

#endif

/* Models in files: finding out what a path is, opening from a file, a mapping, memory or a host's callbacks, and saving. */
#include "model/model_files.h"

#define MEMORY_LIMIT_DEFAULT ((uint64_t)1 << 40)
#define MEMORY_ALIGNMENT 32 /* of a whole file in the caller's memory, so that its tensors are aligned */

/* ---- options ---- */

static const ts_model_options option_defaults = {.struct_size = sizeof option_defaults};

ts_status ts_model_options_init(ts_model_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &option_defaults, sizeof option_defaults, "ts_model_options");
}

static ts_status read_options(ts_model_options *into, const ts_model_options *options)
{
    *into = option_defaults;
    TS_TRY(ts_options_read(into, sizeof *into, options, "ts_model_options"));
    if (into->map > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.map is %u, expected 0 or 1", into->map);
    if (into->widen > 1 || into->reserved != 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.widen is %u and reserved %u, expected 0 or 1, and 0", into->widen, into->reserved);
    if (into->context_length == 1 || into->context_length > 1 << 20)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.context_length is %u, expected 0 or 2 to %u", into->context_length, 1u << 20);
    if (into->memory_limit == 0)
        into->memory_limit = MEMORY_LIMIT_DEFAULT;
    return TS_OK;
}

static const ts_model_save_options save_defaults = {.struct_size = sizeof save_defaults, .format = TS_MODEL_FORMAT_GGUF};

ts_status ts_model_save_options_init(ts_model_save_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &save_defaults, sizeof save_defaults, "ts_model_save_options");
}

/* ---- what the formats share ---- */

ts_status ts_model_check_size(const ts_model_options *options, const ts_architecture *architecture, const char *name)
{
    uint64_t parameters;
    ts_shape shape;
    ts_shape_of(&shape, architecture);
    if (!ts_parameters_count(&shape, &parameters) || parameters > options->memory_limit / sizeof(float))
        return ts_fail(TS_ERROR_LIMIT, "%s: the weights would take %llu floats, more than the limit of %llu bytes", name,
                       (unsigned long long)parameters, (unsigned long long)options->memory_limit);
    return TS_OK;
}

ts_status ts_model_check_tokenizer(const ts_tokenizer *tokenizer, const ts_architecture *architecture, const char *name)
{
    if (ts_tokenizer_size(tokenizer) > architecture->vocabulary_size)
        return ts_fail(TS_ERROR_MISMATCH, "%s: the tokenizer has %u tokens, but the model's vocabulary %u", name, ts_tokenizer_size(tokenizer),
                       architecture->vocabulary_size);
    return TS_OK;
}

ts_status ts_model_load(ts_model **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture,
                        ts_parameter_reader read, void *user)
{
    ts_model *model;
    TS_TRY(ts_model_make(&model, runtime, tokenizer, architecture));
    ts_status status = ts_model_allocate(model);
    for (size_t i = 0; i < model->table_count && status == TS_OK; i++)
        status = read(user, &model->table[i], model->data + model->table[i].offset);
    if (status != TS_OK) {
        ts_model_free(model);
        return status;
    }
    *out = model;
    return TS_OK;
}

/* ---- opening ---- */

/* Opens a model of a source, which it closes, or keeps when it is mapped. */
static ts_status open_source(ts_model **out, ts_runtime *runtime, ts_source *source, const char *path, const ts_model_options *options)
{
    char magic[4] = {0};
    ts_status status = source->size >= sizeof magic ? ts_source_read(source, 0, magic, sizeof magic) : TS_OK;
    bool gguf = source->size < sizeof magic || memcmp(magic, "GGUF", sizeof magic) == 0;
    if (status == TS_OK && !gguf && options->map)
        status = ts_fail(TS_ERROR_UNSUPPORTED, "%s: options.map is 1, but only a GGUF file can be mapped", source->name);
    if (status == TS_OK)
        status = gguf ? ts_gguf_model_open(out, runtime, source, options) : ts_llama2c_model_open(out, runtime, source, path, options);
    if (status != TS_OK || !options->map)
        ts_source_close(source);
    return status;
}

ts_status ts_model_open(ts_model **out, ts_runtime *runtime, const char *path, const ts_model_options *options)
{
    if (out == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and path must not be NULL");
    ts_model_options read;
    ts_source source;
    TS_TRY(read_options(&read, options));
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    bool folder = ts_path_is_directory(path);
    ts_status status = folder ? ts_huggingface_model_open(out, runtime, path, &read) : ts_source_open(&source, runtime, path, read.map != 0);
    if (!folder && status == TS_OK)
        status = open_source(out, runtime, &source, path, &read);
    ts_runtime_release(runtime);
    return status;
}

ts_status ts_model_open_memory(ts_model **out, ts_runtime *runtime, const void *data, size_t size, const ts_model_options *options)
{
    if (out == NULL || data == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and data must not be NULL");
    ts_model_options read;
    ts_source source;
    TS_TRY(read_options(&read, options));
    if (read.map && (uintptr_t)data % MEMORY_ALIGNMENT != 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "data is not aligned to %d bytes, as options.map asks for", MEMORY_ALIGNMENT);
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_source_memory(&source, runtime, data, size, "model in memory");
    ts_status status = open_source(out, runtime, &source, NULL, &read);
    ts_runtime_release(runtime);
    return status;
}

ts_status ts_model_open_callbacks(ts_model **out, ts_runtime *runtime, const ts_read_callbacks *callbacks, const ts_model_options *options)
{
    if (out == NULL || callbacks == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and callbacks must not be NULL");
    ts_model_options read;
    ts_read_callbacks from = {.struct_size = sizeof from};
    ts_source source;
    TS_TRY(read_options(&read, options));
    TS_TRY(ts_options_read(&from, sizeof from, callbacks, "ts_read_callbacks"));
    if (from.read == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "callbacks.read must not be NULL");
    if (read.map)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.map is 1, but callbacks cannot be mapped");
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_source_callbacks(&source, runtime, from.read, from.user, from.size, from.name != NULL ? from.name : "model from callbacks");
    ts_status status = open_source(out, runtime, &source, NULL, &read);
    ts_runtime_release(runtime);
    return status;
}

/* ---- saving ---- */

/* Writes a GGUF file into an open one and ends that. */
static ts_status save_gguf(const ts_model *model, ts_writer *file, int32_t type)
{
    ts_status status = ts_gguf_model_save(model, file, type);
    if (status == TS_OK)
        return ts_writer_commit(file);
    ts_writer_abandon(file);
    return status;
}

ts_status ts_model_save(const ts_model *model, const char *path)
{
    return ts_model_save_as(model, path, NULL);
}

static ts_status check_save_options(const ts_model_save_options *o)
{
    if (o->format < TS_MODEL_FORMAT_GGUF || o->format > TS_MODEL_FORMAT_LLAMA2C_V2)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.format is %d, expected 1 (GGUF), 2 (Hugging Face), 3, 4 or 5 (llama2.c)", (int)o->format);
    if (o->type < TS_MODEL_TYPE_F32 || o->type > TS_MODEL_TYPE_Q4_0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.type is %d, expected 0 (F32), 1 (F16), 2 (BF16), 3 (Q8_0) or 4 (Q4_0)", (int)o->type);
    bool llama2c = o->format == TS_MODEL_FORMAT_LLAMA2C_V0 || o->format == TS_MODEL_FORMAT_LLAMA2C_V1;
    if (llama2c && o->type != TS_MODEL_TYPE_F32)
        return ts_fail(TS_ERROR_UNSUPPORTED, "options.type is %d, but llama2.c has float32 alone", (int)o->type);
    if (o->format == TS_MODEL_FORMAT_LLAMA2C_V2)
        return o->type == TS_MODEL_TYPE_Q8_0 ? TS_OK
                                             : ts_fail(TS_ERROR_UNSUPPORTED, "options.type is %d, but llama2.c's version 2 is Q8_0", (int)o->type);
    if (o->format != TS_MODEL_FORMAT_GGUF && ts_model_blocks_of(o->type) != TS_BLOCKS_NONE)
        return ts_fail(TS_ERROR_UNSUPPORTED, "options.type is %d, but only GGUF and llama2.c's version 2 have blocks", (int)o->type);
    return TS_OK;
}

/* The model's matrices are in the blocks that the format takes. */
static ts_status save_in(const ts_model *model, const char *path, const ts_model_save_options *o)
{
    ts_writer file;
    if (o->format == TS_MODEL_FORMAT_HUGGINGFACE)
        return ts_huggingface_model_save(model, path, o->type);
    if (o->format != TS_MODEL_FORMAT_GGUF)
        return ts_llama2c_model_save(model, path, (uint32_t)(o->format - TS_MODEL_FORMAT_LLAMA2C_V0));
    TS_TRY(ts_writer_open(&file, model->runtime, path));
    return save_gguf(model, &file, o->type);
}

ts_status ts_model_save_as(const ts_model *model, const char *path, const ts_model_save_options *options)
{
    ts_model_save_options o = save_defaults;
    if (model == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model and path must not be NULL");
    TS_TRY(ts_options_read(&o, sizeof o, options, "ts_model_save_options"));
    TS_TRY(check_save_options(&o));
    int32_t blocks = o.format == TS_MODEL_FORMAT_GGUF ? ts_model_blocks_of(o.type) : TS_BLOCKS_NONE;
    if (ts_model_has_blocks(model, blocks))
        return save_in(model, path, &o);
    ts_model *converted;
    TS_TRY(ts_model_in_blocks(&converted, model, blocks));
    ts_status status = save_in(converted, path, &o);
    ts_model_free(converted);
    return status;
}

ts_status ts_model_save_memory(const ts_model *model, void *buffer, size_t capacity, size_t *size)
{
    if (model == NULL || size == NULL || (buffer == NULL && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model, size and (with a capacity) buffer must not be NULL");
    ts_writer file;
    ts_model *converted = NULL;
    if (!ts_model_has_blocks(model, TS_BLOCKS_NONE))
        TS_TRY(ts_model_in_blocks(&converted, model, TS_BLOCKS_NONE));
    ts_writer_memory(&file, model->runtime, buffer, capacity);
    ts_status status = save_gguf(converted != NULL ? converted : model, &file, TS_MODEL_TYPE_F32);
    if (status == TS_OK || status == TS_ERROR_BUFFER_TOO_SMALL)
        *size = (size_t)file.written;
    ts_model_free(converted);
    return status;
}

/* Models in GGUF files: opening from a file, a mapping, memory or a host's callbacks, and saving. */
#include "format/format.h"
#include "model/gguf_keys.h"
#include "model/model.h"

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
    if (into->context_length == 1 || into->context_length > 1 << 20)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.context_length is %u, expected 0 or 2 to %u", into->context_length, 1u << 20);
    if (into->memory_limit == 0)
        into->memory_limit = MEMORY_LIMIT_DEFAULT;
    return TS_OK;
}

/* ---- opening ---- */

/* What opening works with; closed by the caller. */
typedef struct opening {
    ts_source *source;
    ts_gguf *gguf;
    ts_tokenizer *tokenizer;
    ts_model_options options;
    uint32_t positions; /* rows of the file's position table */
} opening;

/* A parameter's tensor in the file, checked for shape and type and cut to the positions that are used. */
static ts_status find_tensor(const opening *o, const ts_parameter *p, ts_gguf_tensor *found)
{
    const ts_gguf_tensor *tensor;
    size_t rows = p->slot == TS_SLOT_POSITIONS ? o->positions : p->rows;
    uint64_t shape[2] = {p->rank == 1 ? p->columns : rows, p->columns};
    TS_TRY(ts_gguf_get_tensor(o->gguf, p->name, p->rank, shape, &tensor));
    if (tensor->type != TS_GGML_F32)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: tensor %s is of type %s, only F32 is supported", o->source->name, p->name,
                       ts_ggml_type_name(tensor->type));
    *found = *tensor;
    found->elements = (uint64_t)p->rows * p->columns;
    found->size = found->elements * sizeof(float);
    return TS_OK;
}

/* Every tensor of the table is in the file and no other. */
static ts_status check_tensors(const opening *o, const ts_model *model)
{
    ts_gguf_tensor tensor;
    for (size_t i = 0; i < model->table_count; i++)
        TS_TRY(find_tensor(o, &model->table[i], &tensor));
    size_t count = ts_gguf_tensor_count(o->gguf);
    if (count == model->table_count)
        return TS_OK;
    for (size_t i = 0; i < count; i++) {
        const char *name = ts_gguf_tensor_at(o->gguf, i)->name;
        size_t at = 0;
        while (at < model->table_count && strcmp(model->table[at].name, name) != 0)
            at++;
        if (at == model->table_count)
            return ts_fail(TS_ERROR_FORMAT, "%s: tensor %s has no place in a %s model of %zu layers", o->source->name, name,
                           model->shape.switches->name, model->shape.L);
    }
    return TS_OK;
}

static ts_status load_tensors(const opening *o, ts_model *model)
{
    ts_gguf_tensor tensor;
    TS_TRY(ts_model_allocate(model));
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        TS_TRY(find_tensor(o, p, &tensor));
        TS_TRY(ts_gguf_tensor_read_f32(o->gguf, &tensor, model->data + p->offset));
    }
    return TS_OK;
}

/* The weights stay where they are: the whole file is the flat array, and the table's offsets become those of the file. */
static ts_status map_tensors(const opening *o, ts_model *model)
{
    ts_gguf_tensor tensor;
    for (size_t i = 0; i < model->table_count; i++) {
        ts_parameter *p = &model->table[i];
        TS_TRY(find_tensor(o, p, &tensor));
        if (tensor.offset % sizeof(float) != 0)
            return ts_fail(TS_ERROR_UNSUPPORTED, "%s: tensor %s is not aligned and cannot be mapped", o->source->name, p->name);
        p->offset = (size_t)(tensor.offset / sizeof(float));
    }
    return ts_weights_make(&model->weights, model->runtime, &model->shape, model->table, model->table_count, (float *)(uintptr_t)o->source->memory);
}

static ts_status open_parts(opening *o, ts_runtime *runtime, ts_model **model)
{
    ts_architecture architecture;
    uint64_t parameters;
    ts_shape shape;
    TS_TRY(ts_gguf_open(&o->gguf, o->source));
    TS_TRY(ts_gguf_read_architecture(o->gguf, o->source->name, o->options.context_length, &architecture, &o->positions));
    ts_shape_of(&shape, &architecture);
    if (!ts_parameters_count(&shape, &parameters) || parameters > o->options.memory_limit / sizeof(float))
        return ts_fail(TS_ERROR_LIMIT, "%s: the weights would take %llu floats, more than the limit of %llu bytes", o->source->name,
                       (unsigned long long)parameters, (unsigned long long)o->options.memory_limit);
    TS_TRY(ts_tokenizer_from_gguf(&o->tokenizer, runtime, o->gguf));
    if (ts_tokenizer_size(o->tokenizer) > architecture.vocabulary_size)
        return ts_fail(TS_ERROR_MISMATCH, "%s: the tokenizer has %u tokens, but tensor token_embd.weight has %u rows", o->source->name,
                       ts_tokenizer_size(o->tokenizer), architecture.vocabulary_size);
    TS_TRY(ts_model_make(model, runtime, o->tokenizer, &architecture));
    TS_TRY(check_tensors(o, *model));
    return o->options.map ? map_tensors(o, *model) : load_tensors(o, *model);
}

/* Opens a model of a source, which it closes, or keeps when it is mapped. */
static ts_status open_source(ts_model **out, ts_runtime *runtime, ts_source *source, const ts_model_options *options)
{
    opening o = {.source = source, .options = *options};
    ts_model *model = NULL;
    ts_status status = open_parts(&o, runtime, &model);
    ts_gguf_close(o.gguf);
    ts_tokenizer_free(o.tokenizer);
    if (status != TS_OK) {
        ts_model_free(model);
        ts_source_close(source);
        return status;
    }
    if (options->map) {
        model->mapping = *source;
        model->mapped = true;
    } else {
        ts_source_close(source);
    }
    *out = model;
    return TS_OK;
}

ts_status ts_model_open(ts_model **out, ts_runtime *runtime, const char *path, const ts_model_options *options)
{
    if (out == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and path must not be NULL");
    ts_model_options read;
    ts_source source;
    TS_TRY(read_options(&read, options));
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_status status = ts_source_open(&source, runtime, path, read.map != 0);
    if (status == TS_OK)
        status = open_source(out, runtime, &source, &read);
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
    ts_status status = open_source(out, runtime, &source, &read);
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
    ts_status status = open_source(out, runtime, &source, &read);
    ts_runtime_release(runtime);
    return status;
}

/* ---- saving ---- */

static ts_status write_gguf(const ts_model *model, ts_gguf_writer *gguf, ts_writer *file)
{
    ts_gguf_add_architecture(gguf, &model->architecture);
    ts_tokenizer_to_gguf(model->tokenizer, gguf, model->architecture.vocabulary_size);
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        uint64_t shape[2] = {p->rank == 1 ? p->columns : p->rows, p->columns};
        ts_gguf_add_tensor(gguf, p->name, TS_GGML_F32, p->rank, shape);
    }
    TS_TRY(ts_gguf_write_start(gguf, file));
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        ts_gguf_write_data(gguf, model->weights.all[p->layer][p->slot], p->rows * p->columns * sizeof(float));
    }
    return ts_gguf_write_finish(gguf);
}

/* Writes the model into an open file and ends that. */
static ts_status save(const ts_model *model, ts_writer *file)
{
    ts_gguf_writer gguf;
    ts_gguf_writer_init(&gguf, model->runtime);
    ts_status status = write_gguf(model, &gguf, file);
    ts_gguf_writer_free(&gguf);
    if (status != TS_OK) {
        ts_writer_abandon(file);
        return status;
    }
    return ts_writer_commit(file);
}

ts_status ts_model_save(const ts_model *model, const char *path)
{
    if (model == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model and path must not be NULL");
    ts_writer file;
    TS_TRY(ts_writer_open(&file, model->runtime, path));
    return save(model, &file);
}

ts_status ts_model_save_memory(const ts_model *model, void *buffer, size_t capacity, size_t *size)
{
    if (model == NULL || size == NULL || (buffer == NULL && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model, size and (with a capacity) buffer must not be NULL");
    ts_writer file;
    ts_writer_memory(&file, model->runtime, buffer, capacity);
    ts_status status = save(model, &file);
    if (status == TS_OK || status == TS_ERROR_BUFFER_TOO_SMALL)
        *size = (size_t)file.written;
    return status;
}

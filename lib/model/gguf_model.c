/* Models in GGUF files. */
#include "format/format.h"
#include "model/gguf_keys.h"
#include "model/model_files.h"

/* How the numbers of a tensor are stored, by TS_MODEL_TYPE_. */
static const uint32_t types[] = {
    [TS_MODEL_TYPE_F32] = TS_GGML_F32,   [TS_MODEL_TYPE_F16] = TS_GGML_F16,   [TS_MODEL_TYPE_BF16] = TS_GGML_BF16,
    [TS_MODEL_TYPE_Q8_0] = TS_GGML_Q8_0, [TS_MODEL_TYPE_Q4_0] = TS_GGML_Q4_0,
};

/* ---- opening ---- */

/* What opening works with; closed by the caller. */
typedef struct opening {
    ts_source *source;
    ts_gguf *gguf;
    ts_tokenizer *tokenizer;
    const ts_model_options *options;
    uint32_t positions; /* rows of the file's position table */
} opening;

/* A parameter's tensor in the file, checked for shape and type and cut to the positions that are used. */
static ts_status find_tensor(const opening *o, const ts_parameter *p, ts_gguf_tensor *found)
{
    const ts_gguf_tensor *tensor;
    size_t rows = p->slot == TS_SLOT_POSITIONS ? o->positions : p->rows;
    uint64_t shape[2] = {p->rank == 1 ? p->columns : rows, p->columns};
    TS_TRY(ts_gguf_get_tensor(o->gguf, p->name, p->rank, shape, &tensor));
    uint32_t elements, bytes;
    if (!ts_ggml_type_is_real(tensor->type) || !ts_ggml_type_block(tensor->type, &elements, &bytes))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: tensor %s is of type %s, expected F32, F16, BF16, Q8_0 or Q4_0", o->source->name, p->name,
                       ts_ggml_type_name(tensor->type));
    if (o->options->map && tensor->type != TS_GGML_F32)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: tensor %s is of type %s, only F32 can be mapped", o->source->name, p->name,
                       ts_ggml_type_name(tensor->type));
    *found = *tensor;
    found->elements = (uint64_t)p->rows * p->columns;
    found->size = found->elements / elements * bytes;
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

/* The types of the tensors, those that stay in their blocks, and what memory that takes. */
static ts_status place_tensors(const opening *o, ts_model *model)
{
    ts_gguf_tensor tensor;
    for (size_t i = 0; i < model->table_count; i++) {
        ts_parameter *p = &model->table[i];
        TS_TRY(find_tensor(o, p, &tensor));
        while (p->file_type < TS_MODEL_TYPE_Q4_0 && types[p->file_type] != tensor.type)
            p->file_type++;
        if (ts_parameter_takes_blocks(p) && !o->options->widen && !o->options->map)
            p->blocks = ts_model_blocks_of(p->file_type);
    }
    TS_TRY(ts_parameters_place(model->table, model->table_count, &model->size));
    if (model->size > o->options->memory_limit / sizeof(float))
        return ts_fail(TS_ERROR_LIMIT, "%s: the weights would take %zu floats, more than the limit of %llu bytes", o->source->name, model->size,
                       (unsigned long long)o->options->memory_limit);
    return TS_OK;
}

/* Many rows at a time into their places. */
static ts_status load_blocks(const opening *o, ts_model *model, const ts_parameter *p, const ts_gguf_tensor *tensor)
{
    size_t row_size = ts_blocks_row(p->blocks, p->columns), rows = TS_MIN(((size_t)1 << 16) / row_size + 1, p->rows);
    uint8_t *panels = (uint8_t *)(model->data + p->offset), *bytes = ts_allocate_array(model->runtime, rows, row_size);
    ts_status status = bytes != NULL ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    for (size_t row = 0; row < p->rows && status == TS_OK; row += rows) {
        size_t count = TS_MIN(rows, p->rows - row);
        status = ts_source_read(o->source, tensor->offset + row * row_size, bytes, count * row_size);
        for (size_t i = 0; i < count && status == TS_OK; i++)
            ts_panels_pack(p->blocks, panels, p->columns, row + i, bytes + i * row_size);
    }
    ts_release(model->runtime, bytes);
    return status;
}

static ts_status load_tensors(const opening *o, ts_model *model)
{
    ts_gguf_tensor tensor;
    TS_TRY(ts_model_allocate(model));
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        TS_TRY(find_tensor(o, p, &tensor));
        if (p->blocks != TS_BLOCKS_NONE)
            TS_TRY(load_blocks(o, model, p, &tensor));
        else
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
    TS_TRY(ts_gguf_open(&o->gguf, o->source));
    if (o->options->tokenizer != NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: options.tokenizer is given, but a GGUF file has its own", o->source->name);
    TS_TRY(ts_gguf_read_architecture(o->gguf, o->source->name, o->options->context_length, &architecture, &o->positions));
    TS_TRY(ts_tokenizer_from_gguf(&o->tokenizer, runtime, o->gguf));
    TS_TRY(ts_model_check_tokenizer(o->tokenizer, &architecture, o->source->name));
    TS_TRY(ts_model_make(model, runtime, o->tokenizer, &architecture));
    TS_TRY(check_tensors(o, *model));
    TS_TRY(place_tensors(o, *model));
    return o->options->map ? map_tensors(o, *model) : load_tensors(o, *model);
}

ts_status ts_gguf_model_open(ts_model **out, ts_runtime *runtime, ts_source *source, const ts_model_options *options)
{
    opening o = {.source = source, .options = options};
    ts_model *model = NULL;
    ts_status status = open_parts(&o, runtime, &model);
    ts_gguf_close(o.gguf);
    ts_tokenizer_free(o.tokenizer);
    if (status != TS_OK) {
        ts_model_free(model);
        return status;
    }
    if (options->map) {
        model->mapping = *source;
        model->mapped = true;
    }
    *out = model;
    return TS_OK;
}

/* ---- saving ---- */

/* Vectors stay F32, and so do matrices whose rows are no whole blocks, and the table of positions, which llama.cpp adds as it is. */
static uint32_t type_of(const ts_parameter *p, int32_t type)
{
    if (p->blocks != TS_BLOCKS_NONE)
        return types[ts_model_type_of(p->blocks)];
    return p->rank == 1 || p->slot == TS_SLOT_POSITIONS || ts_model_blocks_of(type) != TS_BLOCKS_NONE ? TS_GGML_F32 : types[type];
}

static void write_tensor(ts_gguf_writer *gguf, const float *values, size_t count, uint32_t type)
{
    uint16_t piece[2048];
    if (type == TS_GGML_F32) {
        ts_gguf_write_data(gguf, values, count * sizeof *values);
        return;
    }
    for (size_t done = 0; done < count;) {
        size_t size = TS_MIN(count - done, TS_COUNT_OF(piece));
        for (size_t i = 0; i < size; i++)
            piece[i] = type == TS_GGML_F16 ? ts_f32_to_f16(values[done + i]) : ts_f32_to_bf16(values[done + i]);
        ts_gguf_write_data(gguf, piece, size * sizeof *piece);
        done += size;
    }
}

static ts_status write_blocks(ts_gguf_writer *gguf, const ts_model *model, const ts_parameter *p)
{
    size_t size = ts_blocks_row(p->blocks, p->columns);
    uint8_t *blocks = ts_allocate(model->runtime, size);
    if (blocks == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t row = 0; row < p->rows; row++) {
        ts_panels_unpack(p->blocks, model->weights.panels[p->layer][p->slot].data, p->columns, row, blocks);
        ts_gguf_write_data(gguf, blocks, size);
    }
    ts_release(model->runtime, blocks);
    return TS_OK;
}

static ts_status write_gguf(const ts_model *model, int32_t type, ts_gguf_writer *gguf, ts_writer *file)
{
    static const uint32_t file_types[] = {[TS_MODEL_TYPE_F32] = 0, [TS_MODEL_TYPE_F16] = 1, [TS_MODEL_TYPE_BF16] = 32,
                                          [TS_MODEL_TYPE_Q8_0] = 7, [TS_MODEL_TYPE_Q4_0] = 2}; /* llama.cpp's numbers */
    ts_gguf_add_architecture(gguf, &model->architecture, file_types[type]);
    ts_tokenizer_to_gguf(model->tokenizer, gguf, model->architecture.vocabulary_size);
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        uint64_t shape[2] = {p->rank == 1 ? p->columns : p->rows, p->columns};
        ts_gguf_add_tensor(gguf, p->name, type_of(p, type), p->rank, shape);
    }
    TS_TRY(ts_gguf_write_start(gguf, file));
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        if (p->blocks != TS_BLOCKS_NONE)
            TS_TRY(write_blocks(gguf, model, p));
        else
            write_tensor(gguf, model->weights.all[p->layer][p->slot], p->rows * p->columns, type_of(p, type));
    }
    return ts_gguf_write_finish(gguf);
}

ts_status ts_gguf_model_save(const ts_model *model, ts_writer *file, int32_t type)
{
    ts_gguf_writer gguf;
    ts_gguf_writer_init(&gguf, model->runtime);
    ts_status status = write_gguf(model, type, &gguf, file);
    ts_gguf_writer_free(&gguf);
    return status;
}

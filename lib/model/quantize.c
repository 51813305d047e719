/* Models whose matrices are kept in blocks of 8 or 4 bits, and reading them as floats again. */
#include "model/model.h"

int32_t ts_model_blocks_of(int32_t type)
{
    return type == TS_MODEL_TYPE_Q8_0 ? TS_BLOCKS_Q8_0 : type == TS_MODEL_TYPE_Q4_0 ? TS_BLOCKS_Q4_0 : TS_BLOCKS_NONE;
}

int32_t ts_model_type_of(int32_t blocks)
{
    return blocks == TS_BLOCKS_Q8_0 ? TS_MODEL_TYPE_Q8_0 : blocks == TS_BLOCKS_Q4_0 ? TS_MODEL_TYPE_Q4_0 : TS_MODEL_TYPE_F32;
}

bool ts_model_has_blocks(const ts_model *model, int32_t blocks)
{
    for (size_t i = 0; i < model->table_count; i++)
        if (model->table[i].blocks != (ts_parameter_takes_blocks(&model->table[i]) ? blocks : TS_BLOCKS_NONE))
            return false;
    return true;
}

void ts_model_row(const ts_model *model, const ts_parameter *p, size_t row, float *values)
{
    const ts_panels *panels = &model->weights.panels[p->layer][p->slot];
    if (p->blocks != TS_BLOCKS_NONE)
        ts_panels_floats(panels->type, panels->data, p->columns, row, values);
    else
        memcpy(values, model->weights.all[p->layer][p->slot] + row * p->columns, p->columns * sizeof *values);
}

/* A parameter of `from` into its place in `to`; `row` has room for a row of floats and one of blocks. */
static ts_status convert(ts_model *to, const ts_parameter *p, const ts_model *from, const ts_parameter *source, float *row)
{
    uint8_t *panels = (uint8_t *)(to->data + p->offset), *blocks = (uint8_t *)(row + p->columns);
    for (size_t r = 0; r < p->rows; r++) {
        if (p->blocks == TS_BLOCKS_NONE) {
            ts_model_row(from, source, r, to->data + p->offset + r * p->columns);
            continue;
        }
        if (source->blocks == p->blocks) {
            ts_panels_unpack(p->blocks, from->weights.panels[p->layer][p->slot].data, p->columns, r, blocks);
        } else {
            ts_model_row(from, source, r, row);
            if (!ts_blocks_make(p->blocks, blocks, row, p->columns))
                return ts_fail(TS_ERROR_INVALID_ARGUMENT, "tensor %s has a number in row %zu that cannot be quantized: it is not finite or too large", p->name, r);
        }
        ts_panels_pack(p->blocks, panels, p->columns, r, blocks);
    }
    return TS_OK;
}

static ts_status convert_all(ts_model *to, const ts_model *from)
{
    size_t most = 0;
    ts_status status = TS_OK;
    for (size_t i = 0; i < to->table_count; i++)
        most = TS_MAX(most, to->table[i].columns);
    float *row = ts_allocate_array(to->runtime, most, 3 * sizeof *row); /* a row of blocks is at most twice its floats */
    if (row == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < to->table_count && status == TS_OK; i++)
        status = convert(to, &to->table[i], from, &from->table[i], row);
    ts_release(to->runtime, row);
    return status;
}

ts_status ts_model_in_blocks(ts_model **out, const ts_model *model, int32_t blocks)
{
    ts_model *made;
    TS_TRY(ts_model_make(&made, model->runtime, model->tokenizer, &model->architecture));
    ts_parameters_quantize(made->table, made->table_count, blocks);
    for (size_t i = 0; i < made->table_count; i++)
        made->table[i].file_type = ts_model_type_of(made->table[i].blocks);
    ts_status status = ts_parameters_place(made->table, made->table_count, &made->size);
    if (status == TS_OK)
        status = ts_model_allocate(made);
    if (status == TS_OK)
        status = convert_all(made, model);
    if (status != TS_OK) {
        ts_model_free(made);
        return status;
    }
    *out = made;
    return TS_OK;
}

ts_status ts_model_quantize(ts_model **out, const ts_model *model, int32_t type)
{
    if (out == NULL || model == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and model must not be NULL");
    if (type != TS_MODEL_TYPE_F32 && ts_model_blocks_of(type) == TS_BLOCKS_NONE)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "type is %d, expected 0 (F32), 3 (Q8_0) or 4 (Q4_0)", (int)type);
    return ts_model_in_blocks(out, model, ts_model_blocks_of(type));
}

ts_status ts_model_tensor_read(const ts_model *model, size_t index, float *values, size_t capacity)
{
    if (model == NULL || values == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model and values must not be NULL");
    if (index >= model->table_count)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "tensor %zu of a model that has %zu", index, model->table_count);
    const ts_parameter *p = &model->table[index];
    if (capacity / p->columns < p->rows)
        return ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "%zu floats are too few for tensor %s of %zu x %zu", capacity, p->name, p->rows, p->columns);
    for (size_t row = 0; row < p->rows; row++)
        ts_model_row(model, p, row, values + row * p->columns);
    return TS_OK;
}

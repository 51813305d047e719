/* The tensors of a GGUF file: their types, and their data read and converted. */
#include "format/gguf_reader.h"
#include "format/shape.h"

/* A block of 0 elements: known by name alone. Numbers without a name were given up or never given. */
static const struct {
    const char *name;
    uint32_t elements, bytes;
} types[] = {
    [TS_GGML_F32] = {"F32", 1, 4},
    [TS_GGML_F16] = {"F16", 1, 2},
    [TS_GGML_Q4_0] = {"Q4_0", 32, 18},
    [3] = {"Q4_1", 0, 0},
    [6] = {"Q5_0", 0, 0},
    [7] = {"Q5_1", 0, 0},
    [TS_GGML_Q8_0] = {"Q8_0", 32, 34},
    [9] = {"Q8_1", 0, 0},
    [10] = {"Q2_K", 0, 0},
    [11] = {"Q3_K", 0, 0},
    [12] = {"Q4_K", 0, 0},
    [13] = {"Q5_K", 0, 0},
    [14] = {"Q6_K", 0, 0},
    [15] = {"Q8_K", 0, 0},
    [16] = {"IQ2_XXS", 0, 0},
    [17] = {"IQ2_XS", 0, 0},
    [18] = {"IQ3_XXS", 0, 0},
    [19] = {"IQ1_S", 0, 0},
    [20] = {"IQ4_NL", 0, 0},
    [21] = {"IQ3_S", 0, 0},
    [22] = {"IQ2_S", 0, 0},
    [23] = {"IQ4_XS", 0, 0},
    [TS_GGML_I8] = {"I8", 1, 1},
    [TS_GGML_I16] = {"I16", 1, 2},
    [TS_GGML_I32] = {"I32", 1, 4},
    [TS_GGML_I64] = {"I64", 1, 8},
    [TS_GGML_F64] = {"F64", 1, 8},
    [29] = {"IQ1_M", 0, 0},
    [TS_GGML_BF16] = {"BF16", 1, 2},
    [34] = {"TQ1_0", 0, 0},
    [35] = {"TQ2_0", 0, 0},
    [39] = {"MXFP4", 0, 0},
};

const char *ts_ggml_type_name(uint32_t type)
{
    return type < TS_COUNT_OF(types) ? types[type].name : NULL;
}

bool ts_ggml_type_block(uint32_t type, uint32_t *elements, uint32_t *bytes)
{
    if (type >= TS_COUNT_OF(types) || types[type].elements == 0)
        return false;
    *elements = types[type].elements;
    *bytes = types[type].bytes;
    return true;
}

size_t ts_gguf_tensor_count(const ts_gguf *gguf)
{
    return gguf->tensor_count;
}

const ts_gguf_tensor *ts_gguf_tensor_at(const ts_gguf *gguf, size_t index)
{
    return &gguf->tensors[index];
}

ts_status ts_gguf_get_tensor(const ts_gguf *gguf, const char *name, uint32_t rank, const uint64_t *shape, const ts_gguf_tensor **tensor)
{
    const ts_gguf_tensor *found = ts_gguf_find_tensor(gguf, name);
    if (found == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is missing", gguf->source->name, name);
    bool same = true;
    for (uint32_t i = 0; i < TS_GGUF_MAX_RANK; i++)
        same = same && found->shape[i] == (i < rank ? shape[i] : 1);
    if (!same) {
        char is[TS_SHAPE_TEXT_SIZE], expected[TS_SHAPE_TEXT_SIZE];
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' has shape %s, expected %s", gguf->source->name, name,
                       ts_shape_text(is, found->rank, found->shape), ts_shape_text(expected, rank, shape));
    }
    *tensor = found;
    return TS_OK;
}

ts_status ts_gguf_tensor_read(ts_gguf *gguf, const ts_gguf_tensor *tensor, void *bytes)
{
    if (tensor->size > SIZE_MAX)
        return ts_fail(TS_ERROR_LIMIT, "%s: tensor '%s' does not fit in memory", gguf->source->name, tensor->name);
    return ts_source_read(gguf->source, tensor->offset, bytes, (size_t)tensor->size);
}

/* 16-bit floats piece by piece through a small buffer. */
static ts_status read_halves(ts_gguf *gguf, const ts_gguf_tensor *tensor, float (*convert)(uint16_t), float *values)
{
    uint16_t piece[2048];
    for (uint64_t done = 0; done < tensor->elements;) {
        size_t count = (size_t)TS_MIN(tensor->elements - done, (uint64_t)TS_COUNT_OF(piece));
        TS_TRY(ts_source_read(gguf->source, tensor->offset + done * sizeof *piece, piece, count * sizeof *piece));
        for (size_t i = 0; i < count; i++)
            values[done + i] = convert(piece[i]);
        done += count;
    }
    return TS_OK;
}

ts_status ts_gguf_tensor_read_f32(ts_gguf *gguf, const ts_gguf_tensor *tensor, float *values)
{
    switch (tensor->type) {
    case TS_GGML_F32:
        return ts_gguf_tensor_read(gguf, tensor, values);
    case TS_GGML_F16:
        return read_halves(gguf, tensor, ts_f16_to_f32, values);
    case TS_GGML_BF16:
        return read_halves(gguf, tensor, ts_bf16_to_f32, values);
    default:
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: tensor '%s' is of type %s, expected F32, F16 or BF16", gguf->source->name, tensor->name,
                       ts_ggml_type_name(tensor->type));
    }
}

const void *ts_gguf_tensor_memory(const ts_gguf *gguf, const ts_gguf_tensor *tensor)
{
    return gguf->source->memory != NULL ? gguf->source->memory + tensor->offset : NULL;
}

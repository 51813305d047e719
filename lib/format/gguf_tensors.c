/* The tensors of a GGUF file: their types, and their data read and converted. */
#include "format/gguf_reader.h"
#include "format/shape.h"

/* ---- blocks widened to floats: exact, as a product of a 16-bit float and a number of 8 bits fits a float ---- */

static uint16_t half_at(const unsigned char *block)
{
    return (uint16_t)(block[0] | block[1] << 8);
}

static void widen_f16(const unsigned char *block, float *values)
{
    *values = ts_f16_to_f32(half_at(block));
}

static void widen_bf16(const unsigned char *block, float *values)
{
    *values = ts_bf16_to_f32(half_at(block));
}

static void widen_f32(const unsigned char *block, float *values)
{
    memcpy(values, block, sizeof *values);
}

/* A scale, then 32 signed numbers. */
static void widen_q8_0(const unsigned char *block, float *values)
{
    float scale = ts_f16_to_f32(half_at(block));
    for (size_t i = 0; i < 32; i++)
        values[i] = (float)(int8_t)block[2 + i] * scale;
}

/* A scale, then 16 bytes: numbers 0 to 15 above -8 in their lower halves, numbers 16 to 31 in the upper ones. */
static void widen_q4_0(const unsigned char *block, float *values)
{
    float scale = ts_f16_to_f32(half_at(block));
    for (size_t i = 0; i < 16; i++) {
        values[i] = (float)((block[2 + i] & 15) - 8) * scale;
        values[16 + i] = (float)((block[2 + i] >> 4) - 8) * scale;
    }
}

/* ---- types ---- */

/* A block of 0 elements: known by name alone. Numbers without a name were given up or never given. */
static const struct {
    const char *name;
    uint32_t elements, bytes;
    void (*widen)(const unsigned char *block, float *values); /* NULL: not a type of weights */
} types[] = {
    [TS_GGML_F32] = {"F32", 1, 4, widen_f32},
    [TS_GGML_F16] = {"F16", 1, 2, widen_f16},
    [TS_GGML_Q4_0] = {"Q4_0", 32, 18, widen_q4_0},
    [3] = {"Q4_1", 0, 0, NULL},
    [6] = {"Q5_0", 0, 0, NULL},
    [7] = {"Q5_1", 0, 0, NULL},
    [TS_GGML_Q8_0] = {"Q8_0", 32, 34, widen_q8_0},
    [9] = {"Q8_1", 0, 0, NULL},
    [10] = {"Q2_K", 0, 0, NULL},
    [11] = {"Q3_K", 0, 0, NULL},
    [12] = {"Q4_K", 0, 0, NULL},
    [13] = {"Q5_K", 0, 0, NULL},
    [14] = {"Q6_K", 0, 0, NULL},
    [15] = {"Q8_K", 0, 0, NULL},
    [16] = {"IQ2_XXS", 0, 0, NULL},
    [17] = {"IQ2_XS", 0, 0, NULL},
    [18] = {"IQ3_XXS", 0, 0, NULL},
    [19] = {"IQ1_S", 0, 0, NULL},
    [20] = {"IQ4_NL", 0, 0, NULL},
    [21] = {"IQ3_S", 0, 0, NULL},
    [22] = {"IQ2_S", 0, 0, NULL},
    [23] = {"IQ4_XS", 0, 0, NULL},
    [TS_GGML_I8] = {"I8", 1, 1, NULL},
    [TS_GGML_I16] = {"I16", 1, 2, NULL},
    [TS_GGML_I32] = {"I32", 1, 4, NULL},
    [TS_GGML_I64] = {"I64", 1, 8, NULL},
    [TS_GGML_F64] = {"F64", 1, 8, NULL},
    [29] = {"IQ1_M", 0, 0, NULL},
    [TS_GGML_BF16] = {"BF16", 1, 2, widen_bf16},
    [34] = {"TQ1_0", 0, 0, NULL},
    [35] = {"TQ2_0", 0, 0, NULL},
    [39] = {"MXFP4", 0, 0, NULL},
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

bool ts_ggml_type_is_real(uint32_t type)
{
    return type < TS_COUNT_OF(types) && types[type].widen != NULL;
}

ts_status ts_gguf_tensor_read_f32(ts_gguf *gguf, const ts_gguf_tensor *tensor, float *values)
{
    unsigned char piece[4096];
    if (tensor->type == TS_GGML_F32)
        return ts_gguf_tensor_read(gguf, tensor, values);
    if (!ts_ggml_type_is_real(tensor->type))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: tensor '%s' is of type %s, expected F32, F16, BF16, Q8_0 or Q4_0", gguf->source->name, tensor->name,
                       ts_ggml_type_name(tensor->type));
    uint32_t elements = types[tensor->type].elements, bytes = types[tensor->type].bytes;
    uint64_t blocks = tensor->elements / elements;
    for (uint64_t done = 0; done < blocks;) {
        size_t count = (size_t)TS_MIN(blocks - done, (uint64_t)(sizeof piece / bytes));
        TS_TRY(ts_source_read(gguf->source, tensor->offset + done * bytes, piece, count * bytes));
        for (size_t i = 0; i < count; i++)
            types[tensor->type].widen(piece + i * bytes, values + (done + i) * elements);
        done += count;
    }
    return TS_OK;
}

const void *ts_gguf_tensor_memory(const ts_gguf *gguf, const ts_gguf_tensor *tensor)
{
    return gguf->source->memory != NULL ? gguf->source->memory + tensor->offset : NULL;
}

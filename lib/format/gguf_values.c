/* The values of a GGUF file: scalars as they were read, strings and arrays loaded when asked for. */
#include "format/gguf_reader.h"

static const struct {
    const char *name;
    uint32_t size;
} types[TS_GGUF_TYPE_COUNT] = {
    [TS_GGUF_U8] = {"u8", 1},         [TS_GGUF_I8] = {"i8", 1},       [TS_GGUF_U16] = {"u16", 2}, [TS_GGUF_I16] = {"i16", 2},
    [TS_GGUF_U32] = {"u32", 4},       [TS_GGUF_I32] = {"i32", 4},     [TS_GGUF_F32] = {"f32", 4}, [TS_GGUF_BOOL] = {"bool", 1},
    [TS_GGUF_STRING] = {"string", 0}, [TS_GGUF_ARRAY] = {"array", 0}, [TS_GGUF_U64] = {"u64", 8}, [TS_GGUF_I64] = {"i64", 8},
    [TS_GGUF_F64] = {"f64", 8},
};

const char *ts_gguf_type_name(uint32_t type)
{
    return type < TS_GGUF_TYPE_COUNT ? types[type].name : "none";
}

uint32_t ts_gguf_type_size(uint32_t type)
{
    return type < TS_GGUF_TYPE_COUNT ? types[type].size : 0;
}

size_t ts_gguf_pair_count(const ts_gguf *gguf)
{
    return gguf->pair_count;
}

const ts_gguf_pair *ts_gguf_pair_at(const ts_gguf *gguf, size_t index)
{
    return &gguf->pairs[index];
}

bool ts_gguf_has(const ts_gguf *gguf, const char *key)
{
    return ts_gguf_find(gguf, key) != NULL;
}

static ts_status require(const ts_gguf *gguf, const char *key, ts_gguf_pair **pair)
{
    *pair = (ts_gguf_pair *)ts_gguf_find(gguf, key);
    if (*pair == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: key '%s' is missing", gguf->source->name, key);
    return TS_OK;
}

static ts_status wrong_type(const ts_gguf *gguf, const ts_gguf_pair *pair, const char *expected)
{
    bool array = pair->type == TS_GGUF_ARRAY;
    return ts_fail(TS_ERROR_FORMAT, "%s: key '%s' is of type %s%s, expected %s", gguf->source->name, pair->key, array ? "array of " : "",
                   ts_gguf_type_name(array ? pair->element_type : pair->type), expected);
}

/* Any integer type into 64 bits; negative values are out of range for all that ask. */
static ts_status get_integer(ts_gguf *gguf, const char *key, uint64_t limit, uint64_t *out)
{
    ts_gguf_pair *pair;
    TS_TRY(require(gguf, key, &pair));
    int64_t value;
    switch (pair->type) {
    case TS_GGUF_I8:
        value = (int8_t)pair->bits;
        break;
    case TS_GGUF_I16:
        value = (int16_t)pair->bits;
        break;
    case TS_GGUF_I32:
        value = (int32_t)pair->bits;
        break;
    case TS_GGUF_I64:
        value = (int64_t)pair->bits;
        break;
    case TS_GGUF_U8:
    case TS_GGUF_U16:
    case TS_GGUF_U32:
    case TS_GGUF_U64:
        value = 0;
        break;
    default:
        return wrong_type(gguf, pair, "an integer");
    }
    if (value < 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: key '%s' is %lld, expected 0 to %llu", gguf->source->name, key, (long long)value,
                       (unsigned long long)limit);
    if (pair->bits > limit)
        return ts_fail(TS_ERROR_FORMAT, "%s: key '%s' is %llu, expected 0 to %llu", gguf->source->name, key, (unsigned long long)pair->bits,
                       (unsigned long long)limit);
    *out = pair->bits;
    return TS_OK;
}

ts_status ts_gguf_get_u32(ts_gguf *gguf, const char *key, uint32_t *out)
{
    uint64_t value;
    TS_TRY(get_integer(gguf, key, UINT32_MAX, &value));
    *out = (uint32_t)value;
    return TS_OK;
}

ts_status ts_gguf_get_u64(ts_gguf *gguf, const char *key, uint64_t *out)
{
    return get_integer(gguf, key, UINT64_MAX, out);
}

ts_status ts_gguf_get_f32(ts_gguf *gguf, const char *key, float *out)
{
    ts_gguf_pair *pair;
    TS_TRY(require(gguf, key, &pair));
    if (pair->type == TS_GGUF_F32) {
        memcpy(out, &pair->bits, sizeof *out);
    } else if (pair->type == TS_GGUF_F64) {
        double value;
        memcpy(&value, &pair->bits, sizeof value);
        *out = (float)value;
    } else {
        return wrong_type(gguf, pair, "f32");
    }
    return TS_OK;
}

static ts_status check_bool(const ts_gguf *gguf, const char *key, uint8_t value)
{
    return value <= 1 ? TS_OK : ts_fail(TS_ERROR_FORMAT, "%s: key '%s' holds the truth value %u, expected 0 or 1", gguf->source->name, key, value);
}

ts_status ts_gguf_get_bool(ts_gguf *gguf, const char *key, bool *out)
{
    ts_gguf_pair *pair;
    TS_TRY(require(gguf, key, &pair));
    if (pair->type != TS_GGUF_BOOL)
        return wrong_type(gguf, pair, "bool");
    TS_TRY(check_bool(gguf, key, (uint8_t)pair->bits));
    *out = pair->bits != 0;
    return TS_OK;
}

/* Loads the value's bytes and a NUL behind them, once. */
static ts_status load(ts_gguf *gguf, ts_gguf_pair *pair)
{
    if (pair->data != NULL)
        return TS_OK;
    size_t size;
    if (pair->size > SIZE_MAX || !ts_add((size_t)pair->size, 1, &size))
        return ts_fail(TS_ERROR_LIMIT, "%s: key '%s' does not fit in memory", gguf->source->name, pair->key);
    char *data = ts_allocate(gguf->runtime, size);
    if (data == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = ts_source_read(gguf->source, pair->offset, data, size - 1);
    if (status != TS_OK) {
        ts_release(gguf->runtime, data);
        return status;
    }
    pair->data = data;
    return TS_OK;
}

ts_status ts_gguf_get_string(ts_gguf *gguf, const char *key, const char **text, size_t *size)
{
    ts_gguf_pair *pair;
    TS_TRY(require(gguf, key, &pair));
    if (pair->type != TS_GGUF_STRING)
        return wrong_type(gguf, pair, "string");
    TS_TRY(load(gguf, pair));
    if (size == NULL && memchr(pair->data, 0, (size_t)pair->size) != NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: key '%s' holds a string with a zero byte", gguf->source->name, key);
    *text = pair->data;
    if (size != NULL)
        *size = (size_t)pair->size;
    return TS_OK;
}

static ts_status get_array(ts_gguf *gguf, const char *key, uint32_t element_type, const char *expected, ts_gguf_pair **pair)
{
    TS_TRY(require(gguf, key, pair));
    if ((*pair)->type != TS_GGUF_ARRAY || (*pair)->element_type != element_type)
        return wrong_type(gguf, *pair, expected);
    return load(gguf, *pair);
}

ts_status ts_gguf_get_i32s(ts_gguf *gguf, const char *key, const int32_t **values, size_t *count)
{
    ts_gguf_pair *pair;
    TS_TRY(get_array(gguf, key, TS_GGUF_I32, "array of i32", &pair));
    *values = pair->data;
    *count = (size_t)pair->count;
    return TS_OK;
}

ts_status ts_gguf_get_f32s(ts_gguf *gguf, const char *key, const float **values, size_t *count)
{
    ts_gguf_pair *pair;
    TS_TRY(get_array(gguf, key, TS_GGUF_F32, "array of f32", &pair));
    *values = pair->data;
    *count = (size_t)pair->count;
    return TS_OK;
}

ts_status ts_gguf_get_bools(ts_gguf *gguf, const char *key, const uint8_t **values, size_t *count)
{
    ts_gguf_pair *pair;
    TS_TRY(get_array(gguf, key, TS_GGUF_BOOL, "array of bool", &pair));
    const uint8_t *bools = pair->data;
    for (size_t i = 0; i < pair->count; i++)
        TS_TRY(check_bool(gguf, key, bools[i]));
    *values = bools;
    *count = (size_t)pair->count;
    return TS_OK;
}

ts_status ts_gguf_get_strings(ts_gguf *gguf, const char *key, ts_gguf_strings *strings)
{
    ts_gguf_pair *pair;
    TS_TRY(get_array(gguf, key, TS_GGUF_STRING, "array of string", &pair));
    ts_gguf_strings loaded = {.bytes = pair->data, .size = (size_t)pair->size, .count = (size_t)pair->count}, walk = loaded;
    /* what was loaded need not be what was checked when the file was opened */
    const char *text;
    size_t size;
    while (ts_gguf_strings_next(&walk, &text, &size))
        ;
    if (walk.index != walk.count)
        return ts_fail(TS_ERROR_FORMAT, "%s: key '%s' changed while the file was read", gguf->source->name, key);
    *strings = loaded;
    return TS_OK;
}

bool ts_gguf_strings_next(ts_gguf_strings *strings, const char **text, size_t *size)
{
    if (strings->index == strings->count || strings->size - strings->position < 8)
        return false;
    uint64_t length;
    memcpy(&length, strings->bytes + strings->position, sizeof length);
    if (length > strings->size - strings->position - 8)
        return false;
    *text = (const char *)strings->bytes + strings->position + 8;
    *size = (size_t)length;
    strings->position += 8 + (size_t)length;
    strings->index++;
    return true;
}

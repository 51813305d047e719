/* Reads safetensors files. The header is checked character by character before it is parsed, then entry by entry. */
#include "format/safetensors.h"

#include <stdio.h>

#include "format/gzip.h"
#include "format/json.h"
#include "format/order.h"
#include "format/shape.h"

enum {
    MAX_VALUES = 1 << 19 /* values in the header: what parsing it may cost in memory */
};

struct ts_safetensors {
    ts_runtime *runtime; /* the source's */
    ts_source *source;
    ts_json *header;
    const ts_json *metadata;
    ts_safetensor *tensors; /* in the order of their data */
    size_t tensor_count;
    const void **tensors_sorted; /* to ts_safetensor, by name */
    uint64_t buffer_start;
};

static const struct {
    const char *name;
    size_t size;
} dtypes[TS_DTYPE_COUNT] = {
    [TS_DTYPE_BOOL] = {"BOOL", 1}, [TS_DTYPE_U8] = {"U8", 1},   [TS_DTYPE_I8] = {"I8", 1},     [TS_DTYPE_U16] = {"U16", 2},
    [TS_DTYPE_I16] = {"I16", 2},   [TS_DTYPE_F16] = {"F16", 2}, [TS_DTYPE_BF16] = {"BF16", 2}, [TS_DTYPE_U32] = {"U32", 4},
    [TS_DTYPE_I32] = {"I32", 4},   [TS_DTYPE_F32] = {"F32", 4}, [TS_DTYPE_U64] = {"U64", 8},   [TS_DTYPE_I64] = {"I64", 8},
    [TS_DTYPE_F64] = {"F64", 8},
};

const char *ts_dtype_name(uint32_t dtype)
{
    return dtype < TS_DTYPE_COUNT ? dtypes[dtype].name : NULL;
}

size_t ts_dtype_size(uint32_t dtype)
{
    return dtype < TS_DTYPE_COUNT ? dtypes[dtype].size : 0;
}

static uint32_t dtype_of(const char *name)
{
    uint32_t dtype = 0;
    while (dtype < TS_DTYPE_COUNT && strcmp(dtypes[dtype].name, name) != 0)
        dtype++;
    return dtype;
}

/* ---- the header ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Outside of strings a header has plain whole numbers, punctuation and white space, nothing else; and not too many values. */
static ts_status check_characters(const ts_safetensors *file, const char *text, size_t size)
{
    bool in_string = false;
    size_t values = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        in_string = c == '"';
        values += c == ',' || c == '{' || c == '[';
        bool leading_zero = c == '0' && i + 1 < size && is_digit(text[i + 1]) && (i == 0 || !is_digit(text[i - 1]));
        if ((!is_digit(c) && memchr("\"{}[],: \n\r\t", c, 11) == NULL) || leading_zero)
            return ts_fail(TS_ERROR_FORMAT, "%s: the header holds 0x%02x at byte %zu, expected strings and whole numbers", file->source->name,
                           (unsigned char)c, i + 8);
    }
    if (values > MAX_VALUES)
        return ts_fail(TS_ERROR_LIMIT, "%s: the header holds %zu values, at most %d are read", file->source->name, values, MAX_VALUES);
    return TS_OK;
}

/* Against the header's own checksum, if it begins with one. */
static ts_status check_header_crc(const ts_safetensors *file, const char *text, size_t size)
{
    enum { PREFIX = sizeof TS_SAFETENSORS_CRC_PREFIX - 1 };
    if (size < PREFIX + 8 || memcmp(text, TS_SAFETENSORS_CRC_PREFIX, PREFIX) != 0)
        return TS_OK;
    char is[9];
    uint32_t crc = ts_crc32(0, text, PREFIX);
    crc = ts_crc32(crc, "00000000", 8);
    crc = ts_crc32(crc, text + PREFIX + 8, size - PREFIX - 8);
    snprintf(is, sizeof is, "%08x", crc);
    if (memcmp(is, text + PREFIX, 8) != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: the header is damaged: its CRC32 is %s, expected %.8s", file->source->name, is, text + PREFIX);
    return TS_OK;
}

static ts_status parse_header(ts_safetensors *file, const char *text, size_t size)
{
    if (size == 0 || text[0] != '{')
        return ts_fail(TS_ERROR_FORMAT, "%s: the header does not begin with '{'", file->source->name);
    TS_TRY(check_header_crc(file, text, size));
    TS_TRY(check_characters(file, text, size));
    TS_TRY(ts_json_parse_many(&file->header, file->runtime, text, size, TS_SAFETENSORS_MAX_HEADER, 32 * TS_SAFETENSORS_MAX_TENSORS, file->source->name));
    return ts_json_check_unique(file->header, file->runtime, file->source->name);
}

static ts_status read_header(ts_safetensors *file)
{
    ts_reader reader;
    ts_reader_init(&reader, file->source, 0);
    uint64_t size = ts_reader_u64(&reader);
    if (ts_reader_status(&reader) == TS_OK && size > ts_reader_remaining(&reader))
        ts_reader_fail(&reader, TS_ERROR_FORMAT, "claims a header of %llu bytes, more than are left", (unsigned long long)size);
    if (size > TS_SAFETENSORS_MAX_HEADER)
        ts_reader_fail(&reader, TS_ERROR_LIMIT, "has a header of %llu bytes, at most %d are read", (unsigned long long)size,
                       TS_SAFETENSORS_MAX_HEADER);
    TS_TRY(ts_reader_status(&reader));
    char *text = ts_allocate(file->runtime, (size_t)size);
    if (text == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_reader_bytes(&reader, text, (size_t)size);
    ts_status status = ts_reader_status(&reader);
    if (status == TS_OK)
        status = parse_header(file, text, (size_t)size);
    ts_release(file->runtime, text);
    file->buffer_start = 8 + size;
    return status;
}

/* ---- entries ---- */

static ts_status read_shape(const ts_safetensors *file, const ts_json *shape, ts_safetensor *tensor)
{
    if (ts_json_kind_of(shape) != TS_JSON_ARRAY || ts_json_count(shape) > TS_SAFETENSORS_MAX_RANK)
        return ts_fail(TS_ERROR_FORMAT, "%s: the shape of tensor '%s' is no array of at most %d numbers", file->source->name, tensor->name,
                       TS_SAFETENSORS_MAX_RANK);
    for (uint32_t i = 0; i < TS_SAFETENSORS_MAX_RANK; i++)
        tensor->shape[i] = 1;
    tensor->elements = 1;
    for (const ts_json *dimension = ts_json_first(shape); dimension != NULL; dimension = ts_json_next(dimension)) {
        uint64_t *value = &tensor->shape[tensor->rank++];
        if (!ts_json_whole(dimension, value) || __builtin_mul_overflow(tensor->elements, *value, &tensor->elements))
            return ts_fail(TS_ERROR_FORMAT, "%s: dimension %u of tensor '%s' is no number or too large", file->source->name, tensor->rank - 1,
                           tensor->name);
    }
    return TS_OK;
}

static ts_status read_range(const ts_safetensors *file, const ts_json *range, ts_safetensor *tensor)
{
    uint64_t begin, end, size;
    const ts_json *first = ts_json_first(range);
    if (ts_json_kind_of(range) != TS_JSON_ARRAY || ts_json_count(range) != 2 || !ts_json_whole(first, &begin) ||
        !ts_json_whole(ts_json_next(first), &end) || begin > end)
        return ts_fail(TS_ERROR_FORMAT, "%s: data_offsets of tensor '%s' are no two rising numbers", file->source->name, tensor->name);
    if (__builtin_mul_overflow(tensor->elements, (uint64_t)ts_dtype_size(tensor->dtype), &size) || size != end - begin)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' has %llu bytes of data, which its shape and dtype don't need", file->source->name,
                       tensor->name, (unsigned long long)(end - begin));
    tensor->offset = begin;
    tensor->size = size;
    return TS_OK;
}

static ts_status read_entry(const ts_safetensors *file, const ts_json *entry, ts_safetensor *tensor)
{
    const char *dtype = ts_json_text(ts_json_get(entry, "dtype"));
    tensor->name = ts_json_key(entry);
    size_t name_size = strlen(tensor->name);
    if (name_size == 0 || name_size > TS_SAFETENSORS_MAX_NAME)
        return ts_fail(name_size == 0 ? TS_ERROR_FORMAT : TS_ERROR_LIMIT, "%s: a tensor's name has %zu bytes, expected 1 to %d", file->source->name,
                       name_size, TS_SAFETENSORS_MAX_NAME);
    if (dtype == NULL || ts_json_count(entry) != 3)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is no object of dtype, shape and data_offsets", file->source->name, tensor->name);
    tensor->dtype = dtype_of(dtype);
    if (tensor->dtype == TS_DTYPE_COUNT)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: tensor '%s' has the dtype '%.32s', which is not read", file->source->name, tensor->name, dtype);
    TS_TRY(read_shape(file, ts_json_get(entry, "shape"), tensor));
    return read_range(file, ts_json_get(entry, "data_offsets"), tensor);
}

static ts_status check_metadata(ts_safetensors *file)
{
    file->metadata = ts_json_get(file->header, "__metadata__");
    if (file->metadata == NULL)
        return TS_OK;
    if (ts_json_kind_of(file->metadata) != TS_JSON_OBJECT)
        return ts_fail(TS_ERROR_FORMAT, "%s: __metadata__ is no object", file->source->name);
    for (const ts_json *member = ts_json_first(file->metadata); member != NULL; member = ts_json_next(member))
        if (ts_json_text(member) == NULL)
            return ts_fail(TS_ERROR_FORMAT, "%s: '%s' of __metadata__ is no string", file->source->name, ts_json_key(member));
    return ts_json_check_unique(file->metadata, file->runtime, file->source->name);
}

/* ---- order ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const ts_safetensor *)a)->name, ((const ts_safetensor *)b)->name);
}

/* Empty tensors before the one that begins where they lie. */
static int compare_ranges(const void *a, const void *b)
{
    const ts_safetensor *left = a, *right = b;
    if (left->offset != right->offset)
        return left->offset < right->offset ? -1 : 1;
    return left->size < right->size ? -1 : left->size > right->size;
}

/* Puts the tensors into the order of their data, and checks that they fill the buffer without holes; offsets then count from the file's start. */
static ts_status place_tensors(ts_safetensors *file, const ts_safetensor *unordered)
{
    uint64_t buffer_size = file->source->size - file->buffer_start, end = 0;
    for (size_t i = 0; i < file->tensor_count; i++)
        file->tensors_sorted[i] = &unordered[i];
    ts_order_sort(file->tensors_sorted, file->tensor_count, compare_ranges);
    for (size_t i = 0; i < file->tensor_count; i++) {
        ts_safetensor *tensor = &file->tensors[i];
        *tensor = *(const ts_safetensor *)file->tensors_sorted[i];
        if (tensor->offset != end)
            return ts_fail(TS_ERROR_FORMAT, "%s: data of tensor '%s' begin at %llu, expected %llu: holes and overlaps are not allowed",
                           file->source->name, tensor->name, (unsigned long long)tensor->offset, (unsigned long long)end);
        end += tensor->size; /* both at most 2^53 */
        tensor->offset += file->buffer_start;
    }
    if (end != buffer_size)
        return ts_fail(TS_ERROR_FORMAT, "%s: has %llu bytes of data, its tensors take %llu", file->source->name, (unsigned long long)buffer_size,
                       (unsigned long long)end);
    for (size_t i = 0; i < file->tensor_count; i++)
        file->tensors_sorted[i] = &file->tensors[i];
    ts_order_sort(file->tensors_sorted, file->tensor_count, compare_names);
    return TS_OK;
}

static ts_status read_entries(ts_safetensors *file)
{
    size_t count = ts_json_count(file->header) - (file->metadata != NULL), at = 0;
    if (count > TS_SAFETENSORS_MAX_TENSORS)
        return ts_fail(TS_ERROR_LIMIT, "%s: has %zu tensors, at most %d are read", file->source->name, count, TS_SAFETENSORS_MAX_TENSORS);
    file->tensors = ts_allocate_array(file->runtime, count, sizeof *file->tensors);
    file->tensors_sorted = ts_allocate_array(file->runtime, count, sizeof *file->tensors_sorted);
    ts_safetensor *unordered = ts_allocate_array(file->runtime, count, sizeof *unordered);
    ts_status status = file->tensors != NULL && file->tensors_sorted != NULL && unordered != NULL ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    for (const ts_json *entry = ts_json_first(file->header); entry != NULL && status == TS_OK; entry = ts_json_next(entry))
        if (entry != file->metadata)
            status = read_entry(file, entry, &unordered[at++]);
    file->tensor_count = count;
    if (status == TS_OK)
        status = place_tensors(file, unordered);
    ts_release(file->runtime, unordered);
    return status;
}

/* ---- the file ---- */

static ts_status read_file(ts_safetensors *file)
{
    TS_TRY(read_header(file));
    TS_TRY(check_metadata(file));
    return read_entries(file);
}

ts_status ts_safetensors_open(ts_safetensors **out, ts_source *source)
{
    ts_safetensors *file = ts_allocate(source->runtime, sizeof *file);
    if (file == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    file->runtime = source->runtime;
    file->source = source;
    ts_status status = read_file(file);
    if (status != TS_OK) {
        ts_safetensors_close(file);
        return status;
    }
    *out = file;
    return TS_OK;
}

void ts_safetensors_close(ts_safetensors *file)
{
    if (file == NULL)
        return;
    ts_json_free(file->header);
    ts_release(file->runtime, file->tensors);
    ts_release(file->runtime, file->tensors_sorted);
    ts_release(file->runtime, file);
}

size_t ts_safetensors_count(const ts_safetensors *file)
{
    return file->tensor_count;
}

const ts_safetensor *ts_safetensors_at(const ts_safetensors *file, size_t index)
{
    return &file->tensors[index];
}

const ts_safetensor *ts_safetensors_find(const ts_safetensors *file, const char *name)
{
    ts_safetensor wanted = {.name = name};
    return ts_order_find(file->tensors_sorted, file->tensor_count, compare_names, &wanted);
}

const char *ts_safetensors_metadata(const ts_safetensors *file, const char *key)
{
    return ts_json_text(ts_json_get(file->metadata, key));
}

ts_status ts_safetensors_get(const ts_safetensors *file, const char *name, uint32_t dtype, uint32_t rank, const uint64_t *shape,
                             const ts_safetensor **tensor)
{
    const ts_safetensor *found = ts_safetensors_find(file, name);
    if (found == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is missing", file->source->name, name);
    bool same = found->dtype == dtype && found->rank == rank;
    for (uint32_t i = 0; same && i < rank; i++)
        same = found->shape[i] == shape[i];
    if (!same) {
        char is[TS_SHAPE_TEXT_SIZE], expected[TS_SHAPE_TEXT_SIZE];
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is %s %s, expected %s %s", file->source->name, name, ts_dtype_name(found->dtype),
                       ts_shape_text(is, found->rank, found->shape), ts_dtype_name(dtype), ts_shape_text(expected, rank, shape));
    }
    *tensor = found;
    return TS_OK;
}

ts_status ts_safetensors_read(ts_safetensors *file, const ts_safetensor *tensor, void *bytes)
{
    char key[TS_SAFETENSORS_MAX_NAME + 8], is[9];
    if (tensor->size > SIZE_MAX)
        return ts_fail(TS_ERROR_LIMIT, "%s: tensor '%s' does not fit in memory", file->source->name, tensor->name);
    TS_TRY(ts_source_read(file->source, tensor->offset, bytes, (size_t)tensor->size));
    snprintf(key, sizeof key, "crc32:%s", tensor->name);
    const char *expected = ts_safetensors_metadata(file, key);
    if (expected == NULL)
        return TS_OK;
    snprintf(is, sizeof is, "%08x", ts_crc32(0, bytes, (size_t)tensor->size));
    if (strcmp(is, expected) != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is damaged: its CRC32 is %s, expected %.8s", file->source->name, tensor->name, is, expected);
    return TS_OK;
}

ts_status ts_safetensors_read_f32(ts_safetensors *file, const ts_safetensor *tensor, float *values)
{
    if (tensor->dtype == TS_DTYPE_F32)
        return ts_safetensors_read(file, tensor, values);
    if (tensor->dtype != TS_DTYPE_F16 && tensor->dtype != TS_DTYPE_BF16)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: tensor '%s' is of dtype %s, expected F32, F16 or BF16", file->source->name, tensor->name,
                       ts_dtype_name(tensor->dtype));
    /* Read into the upper half of the floats' place, then widened from below: no float is written over what is not read yet. */
    unsigned char *halves = (unsigned char *)values + tensor->size;
    TS_TRY(ts_safetensors_read(file, tensor, halves));
    for (uint64_t i = 0; i < tensor->elements; i++) {
        uint16_t bits;
        memcpy(&bits, halves + i * sizeof bits, sizeof bits);
        values[i] = tensor->dtype == TS_DTYPE_F16 ? ts_f16_to_f32(bits) : ts_bf16_to_f32(bits);
    }
    return TS_OK;
}

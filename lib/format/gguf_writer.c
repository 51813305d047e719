/* Writes GGUF version 3: pairs and tensor descriptions are collected in memory, data are streamed. */
#include "format/gguf.h"

enum { HEADER_SIZE = 4 + 4 + 8 + 8 };

void ts_gguf_writer_init(ts_gguf_writer *writer, ts_runtime *runtime)
{
    *writer = (ts_gguf_writer){.runtime = runtime, .pairs = {.runtime = runtime}, .tensors = {.runtime = runtime}};
}

void ts_gguf_writer_free(ts_gguf_writer *writer)
{
    ts_bytes_free(&writer->pairs);
    ts_bytes_free(&writer->tensors);
    ts_release(writer->runtime, writer->sizes);
    writer->sizes = NULL;
}

/* ---- pairs ---- */

static void add(ts_gguf_writer *writer, ts_bytes *bytes, const void *data, size_t size)
{
    if (writer->status == TS_OK && size > 0)
        writer->status = ts_bytes_add(bytes, data, size);
}

static void add_u32(ts_gguf_writer *writer, ts_bytes *bytes, uint32_t value)
{
    add(writer, bytes, &value, sizeof value);
}

static void add_u64(ts_gguf_writer *writer, ts_bytes *bytes, uint64_t value)
{
    add(writer, bytes, &value, sizeof value);
}

static void add_name(ts_gguf_writer *writer, ts_bytes *bytes, const char *name, size_t limit)
{
    size_t size = strlen(name);
    if (writer->status == TS_OK && (size == 0 || size > limit))
        writer->status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "GGUF name '%.64s' has %zu bytes, expected 1 to %zu", name, size, limit);
    add_u64(writer, bytes, size);
    add(writer, bytes, name, size);
}

static void add_key(ts_gguf_writer *writer, const char *key, uint32_t type)
{
    if (writer->status == TS_OK && writer->strings_due > 0)
        writer->status =
            ts_fail(TS_ERROR_INVALID_ARGUMENT, "GGUF key '%s' was added while %zu strings of the last array are missing", key, writer->strings_due);
    if (writer->status == TS_OK && writer->pair_count == TS_GGUF_MAX_PAIRS)
        writer->status = ts_fail(TS_ERROR_LIMIT, "GGUF key '%s' is one more than %d", key, TS_GGUF_MAX_PAIRS);
    add_name(writer, &writer->pairs, key, TS_GGUF_MAX_KEY);
    add_u32(writer, &writer->pairs, type);
    writer->pair_count++;
}

static void add_array(ts_gguf_writer *writer, const char *key, uint32_t element_type, size_t count)
{
    add_key(writer, key, TS_GGUF_ARRAY);
    if (writer->status == TS_OK && count > TS_GGUF_MAX_ARRAY)
        writer->status = ts_fail(TS_ERROR_LIMIT, "GGUF key '%s' has %zu elements, at most %d are written", key, count, TS_GGUF_MAX_ARRAY);
    add_u32(writer, &writer->pairs, element_type);
    add_u64(writer, &writer->pairs, count);
}

static void add_text(ts_gguf_writer *writer, const char *text, size_t size)
{
    if (writer->status == TS_OK && size > TS_GGUF_MAX_STRING)
        writer->status = ts_fail(TS_ERROR_LIMIT, "a GGUF string has %zu bytes, at most %d are written", size, TS_GGUF_MAX_STRING);
    add_u64(writer, &writer->pairs, size);
    add(writer, &writer->pairs, text, size);
}

void ts_gguf_add_u32(ts_gguf_writer *writer, const char *key, uint32_t value)
{
    add_key(writer, key, TS_GGUF_U32);
    add_u32(writer, &writer->pairs, value);
}

void ts_gguf_add_u64(ts_gguf_writer *writer, const char *key, uint64_t value)
{
    add_key(writer, key, TS_GGUF_U64);
    add_u64(writer, &writer->pairs, value);
}

void ts_gguf_add_f32(ts_gguf_writer *writer, const char *key, float value)
{
    add_key(writer, key, TS_GGUF_F32);
    add(writer, &writer->pairs, &value, sizeof value);
}

void ts_gguf_add_bool(ts_gguf_writer *writer, const char *key, bool value)
{
    add_key(writer, key, TS_GGUF_BOOL);
    add(writer, &writer->pairs, &(uint8_t){value}, 1);
}

void ts_gguf_add_string(ts_gguf_writer *writer, const char *key, const char *text, size_t size)
{
    add_key(writer, key, TS_GGUF_STRING);
    add_text(writer, text, size);
}

void ts_gguf_add_i32s(ts_gguf_writer *writer, const char *key, const int32_t *values, size_t count)
{
    add_array(writer, key, TS_GGUF_I32, count);
    add(writer, &writer->pairs, values, count * sizeof *values);
}

void ts_gguf_add_f32s(ts_gguf_writer *writer, const char *key, const float *values, size_t count)
{
    add_array(writer, key, TS_GGUF_F32, count);
    add(writer, &writer->pairs, values, count * sizeof *values);
}

void ts_gguf_add_bools(ts_gguf_writer *writer, const char *key, const uint8_t *values, size_t count)
{
    add_array(writer, key, TS_GGUF_BOOL, count);
    for (size_t i = 0; i < count && writer->status == TS_OK; i++)
        add(writer, &writer->pairs, &(uint8_t){values[i] != 0}, 1);
}

void ts_gguf_add_strings(ts_gguf_writer *writer, const char *key, size_t count)
{
    add_array(writer, key, TS_GGUF_STRING, count);
    writer->strings_due = count;
}

void ts_gguf_add_element(ts_gguf_writer *writer, const char *text, size_t size)
{
    if (writer->strings_due == 0) {
        if (writer->status == TS_OK)
            writer->status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "a string was added to a GGUF array that is full");
        return;
    }
    writer->strings_due--;
    add_text(writer, text, size);
}

/* ---- tensors ---- */

/* The bytes of a tensor, 0 when its shape or type is wrong. */
static uint64_t tensor_size(uint32_t type, uint32_t rank, const uint64_t *shape)
{
    uint32_t block_elements, block_bytes;
    if (rank == 0 || rank > TS_GGUF_MAX_RANK || !ts_ggml_type_block(type, &block_elements, &block_bytes) || shape[rank - 1] % block_elements != 0)
        return 0;
    uint64_t size = block_bytes;
    for (uint32_t i = 0; i < rank; i++)
        if (__builtin_mul_overflow(size, i == rank - 1 ? shape[i] / block_elements : shape[i], &size))
            return 0;
    return size;
}

static uint64_t padded(uint64_t size)
{
    return (size + TS_GGUF_ALIGNMENT - 1) & ~(uint64_t)(TS_GGUF_ALIGNMENT - 1);
}

void ts_gguf_add_tensor(ts_gguf_writer *writer, const char *name, uint32_t type, uint32_t rank, const uint64_t *shape)
{
    uint64_t size = tensor_size(type, rank, shape);
    if (writer->status == TS_OK && (size == 0 || size > INT64_MAX - writer->data_size - TS_GGUF_ALIGNMENT))
        writer->status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "GGUF tensor '%s' has a wrong type or shape", name);
    if (writer->status == TS_OK && writer->tensor_count == TS_GGUF_MAX_TENSORS)
        writer->status = ts_fail(TS_ERROR_LIMIT, "GGUF tensor '%s' is one more than %d", name, TS_GGUF_MAX_TENSORS);
    if (writer->status == TS_OK)
        writer->status =
            ts_reserve(writer->runtime, &writer->sizes, &writer->sizes_capacity, (size_t)writer->tensor_count + 1, sizeof *writer->sizes);
    if (writer->status != TS_OK)
        return;
    add_name(writer, &writer->tensors, name, TS_GGUF_MAX_NAME);
    add_u32(writer, &writer->tensors, rank);
    for (uint32_t i = rank; i-- > 0;)
        add_u64(writer, &writer->tensors, shape[i]);
    add_u32(writer, &writer->tensors, type);
    add_u64(writer, &writer->tensors, writer->data_size);
    writer->sizes[writer->tensor_count++] = size;
    writer->data_size += padded(size);
}

/* ---- the file ---- */

uint64_t ts_gguf_write_size(const ts_gguf_writer *writer)
{
    return padded(HEADER_SIZE + writer->pairs.size + writer->tensors.size) + writer->data_size;
}

static void write_padding(ts_writer *file, uint64_t size)
{
    static const unsigned char zeros[TS_GGUF_ALIGNMENT];
    ts_writer_bytes(file, zeros, (size_t)(padded(size) - size));
}

ts_status ts_gguf_write_start(ts_gguf_writer *writer, ts_writer *file)
{
    if (writer->status == TS_OK && writer->strings_due > 0)
        writer->status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "%zu strings of a GGUF array are missing", writer->strings_due);
    TS_TRY(writer->status);
    writer->file = file;
    ts_writer_bytes(file, "GGUF", 4);
    ts_writer_u32(file, 3);
    ts_writer_u64(file, writer->tensor_count);
    ts_writer_u64(file, writer->pair_count);
    ts_writer_bytes(file, writer->pairs.data, writer->pairs.size);
    ts_writer_bytes(file, writer->tensors.data, writer->tensors.size);
    write_padding(file, HEADER_SIZE + writer->pairs.size + writer->tensors.size);
    return TS_OK;
}

void ts_gguf_write_data(ts_gguf_writer *writer, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    while (size > 0 && writer->status == TS_OK) {
        if (writer->tensor_at == writer->tensor_count) {
            writer->status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "%zu bytes were written behind the last GGUF tensor", size);
            return;
        }
        uint64_t tensor = writer->sizes[writer->tensor_at];
        size_t piece = (size_t)TS_MIN((uint64_t)size, tensor - writer->tensor_written);
        ts_writer_bytes(writer->file, bytes, piece);
        bytes += piece;
        size -= piece;
        writer->tensor_written += piece;
        if (writer->tensor_written == tensor) {
            write_padding(writer->file, tensor);
            writer->tensor_at++;
            writer->tensor_written = 0;
        }
    }
}

ts_status ts_gguf_write_finish(ts_gguf_writer *writer)
{
    if (writer->status == TS_OK && writer->tensor_at != writer->tensor_count)
        writer->status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "%llu of %llu GGUF tensors were written", (unsigned long long)writer->tensor_at,
                                 (unsigned long long)writer->tensor_count);
    return writer->status;
}

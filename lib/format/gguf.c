/* Reads and checks the description of a GGUF file. Nothing is allocated that the bytes read so far don't pay for. */
#include "format/gguf_reader.h"
#include "format/order.h"

enum {
    MAGIC = 0x46554747, /* "GGUF" */
    SMALLEST_PAIR = 8 + 1 + 4 + 1,
    SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8
};

/* Reads a key or name into the pool of names; it becomes a pointer when all have been read (name_pointers). */
static void read_name(ts_gguf *gguf, ts_reader *reader, uint64_t limit, const char *what)
{
    char name[TS_GGUF_MAX_KEY + 1] = "";
    uint64_t size = ts_reader_u64(reader);
    if (ts_reader_status(reader) != TS_OK)
        return;
    if (size > ts_reader_remaining(reader)) {
        ts_reader_fail(reader, TS_ERROR_FORMAT, "a %s of %llu bytes is cut off", what, (unsigned long long)size);
        return;
    }
    if (size == 0 || size > limit) {
        ts_reader_fail(reader, size == 0 ? TS_ERROR_FORMAT : TS_ERROR_LIMIT, "a %s of %llu bytes, expected 1 to %llu", what, (unsigned long long)size,
                       (unsigned long long)limit);
        return;
    }
    ts_reader_bytes(reader, name, (size_t)size);
    if (ts_reader_status(reader) != TS_OK)
        return;
    for (size_t i = 0; i < size; i++)
        if (name[i] < 0x20 || name[i] > 0x7e) {
            ts_reader_fail(reader, TS_ERROR_FORMAT, "a %s holds the byte 0x%02x, expected printable ASCII", what, (unsigned char)name[i]);
            return;
        }
    ts_status status = ts_bytes_add(&gguf->names, name, (size_t)size + 1);
    if (status != TS_OK)
        reader->status = status;
}

/* Checks that `count` values of `size` bytes follow and passes them over. */
static void skip_values(ts_reader *reader, const char *key, uint64_t count, uint32_t size)
{
    if (count > ts_reader_remaining(reader) / size)
        ts_reader_fail(reader, TS_ERROR_FORMAT, "key '%s' claims %llu values of %u bytes, more than are left", key, (unsigned long long)count, size);
    else
        ts_reader_skip(reader, count * size);
}

/* Passes over a string and gives its size. */
static uint64_t skip_string(ts_reader *reader, const char *key)
{
    uint64_t size = ts_reader_u64(reader);
    if (size > ts_reader_remaining(reader))
        ts_reader_fail(reader, TS_ERROR_FORMAT, "key '%s' claims a string of %llu bytes, more than are left", key, (unsigned long long)size);
    else if (size > TS_GGUF_MAX_STRING)
        ts_reader_fail(reader, TS_ERROR_LIMIT, "key '%s' has a string of %llu bytes, at most %d are read", key, (unsigned long long)size,
                       TS_GGUF_MAX_STRING);
    else
        ts_reader_skip(reader, size);
    return size;
}

static void read_array(ts_reader *reader, const char *key, ts_gguf_pair *pair)
{
    pair->element_type = ts_reader_u32(reader);
    pair->count = ts_reader_u64(reader);
    pair->offset = reader->position;
    if (ts_reader_status(reader) != TS_OK)
        return;
    if (pair->element_type >= TS_GGUF_TYPE_COUNT || pair->element_type == TS_GGUF_ARRAY) {
        ts_reader_fail(reader, TS_ERROR_FORMAT, "key '%s' is an array of type %u, expected a scalar type or string", key, pair->element_type);
        return;
    }
    if (pair->element_type != TS_GGUF_STRING) {
        skip_values(reader, key, pair->count, ts_gguf_type_size(pair->element_type));
    } else if (pair->count > ts_reader_remaining(reader) / 8) {
        ts_reader_fail(reader, TS_ERROR_FORMAT, "key '%s' claims %llu strings, more than are left", key, (unsigned long long)pair->count);
    } else if (pair->count <= TS_GGUF_MAX_ARRAY) {
        for (uint64_t i = 0; i < pair->count && ts_reader_status(reader) == TS_OK; i++)
            skip_string(reader, key);
    }
    if (pair->count > TS_GGUF_MAX_ARRAY)
        ts_reader_fail(reader, TS_ERROR_LIMIT, "key '%s' is an array of %llu elements, at most %d are read", key, (unsigned long long)pair->count,
                       TS_GGUF_MAX_ARRAY);
    pair->size = reader->position - pair->offset;
}

static void read_pair(ts_gguf *gguf, ts_reader *reader, ts_gguf_pair *pair)
{
    size_t name_at = gguf->names.size;
    read_name(gguf, reader, TS_GGUF_MAX_KEY, "key");
    pair->type = ts_reader_u32(reader);
    if (ts_reader_status(reader) != TS_OK)
        return;
    const char *key = gguf->names.data + name_at;
    pair->count = 1;
    if (pair->type == TS_GGUF_ARRAY) {
        read_array(reader, key, pair);
    } else if (pair->type == TS_GGUF_STRING) {
        pair->offset = reader->position + 8;
        pair->count = pair->size = skip_string(reader, key);
    } else if (pair->type < TS_GGUF_TYPE_COUNT) {
        pair->offset = reader->position;
        pair->size = ts_gguf_type_size(pair->type);
        ts_reader_bytes(reader, &pair->bits, (size_t)pair->size);
    } else {
        ts_reader_fail(reader, TS_ERROR_FORMAT, "key '%s' has type %u, expected 0 to %d", key, pair->type, TS_GGUF_TYPE_COUNT - 1);
    }
}

/* Fills elements and size. No decision is taken from an unchecked product. */
static void measure_tensor(ts_reader *reader, const char *name, ts_gguf_tensor *tensor)
{
    uint32_t block_elements = 0, block_bytes = 0;
    if (!ts_ggml_type_block(tensor->type, &block_elements, &block_bytes)) {
        const char *type = ts_ggml_type_name(tensor->type);
        ts_reader_fail(reader, type != NULL ? TS_ERROR_UNSUPPORTED : TS_ERROR_FORMAT, "tensor '%s' is of type %u (%s), which is not read", name,
                       tensor->type, type != NULL ? type : "unknown");
        return;
    }
    uint64_t elements = 1;
    for (uint32_t i = 0; i < TS_GGUF_MAX_RANK; i++)
        if (tensor->shape[i] == 0 || __builtin_mul_overflow(elements, tensor->shape[i], &elements)) {
            ts_reader_fail(reader, TS_ERROR_FORMAT, "tensor '%s' has dimension %llu at %u, %s", name, (unsigned long long)tensor->shape[i], i,
                           tensor->shape[i] == 0 ? "expected at least 1" : "more elements than 2^64");
            return;
        }
    uint64_t columns = tensor->shape[tensor->rank - 1];
    if (columns % block_elements != 0) {
        ts_reader_fail(reader, TS_ERROR_FORMAT, "tensor '%s' has rows of %llu elements, expected a multiple of %u", name, (unsigned long long)columns,
                       block_elements);
        return;
    }
    tensor->elements = elements;
    if (__builtin_mul_overflow(elements / block_elements, (uint64_t)block_bytes, &tensor->size))
        ts_reader_fail(reader, TS_ERROR_FORMAT, "tensor '%s' has more bytes than 2^64", name);
}

static void read_tensor(ts_gguf *gguf, ts_reader *reader, ts_gguf_tensor *tensor)
{
    size_t name_at = gguf->names.size;
    read_name(gguf, reader, TS_GGUF_MAX_NAME, "tensor name");
    tensor->rank = ts_reader_u32(reader);
    if (ts_reader_status(reader) != TS_OK)
        return;
    const char *name = gguf->names.data + name_at;
    if (tensor->rank == 0 || tensor->rank > TS_GGUF_MAX_RANK) {
        ts_reader_fail(reader, TS_ERROR_FORMAT, "tensor '%s' has %u dimensions, expected 1 to %d", name, tensor->rank, TS_GGUF_MAX_RANK);
        return;
    }
    for (uint32_t i = 0; i < TS_GGUF_MAX_RANK; i++)
        tensor->shape[i] = 1;
    for (uint32_t i = tensor->rank; i-- > 0;)
        tensor->shape[i] = ts_reader_u64(reader);
    tensor->type = ts_reader_u32(reader);
    tensor->offset = ts_reader_u64(reader);
    if (ts_reader_status(reader) == TS_OK)
        measure_tensor(reader, name, tensor);
}

/* The pool does not move any more: gives every record its name. */
static void name_pointers(ts_gguf *gguf)
{
    const char *name = gguf->names.data;
    for (size_t i = 0; i < gguf->pair_count; i++) {
        gguf->pairs[i].key = name;
        name += strlen(name) + 1;
    }
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        gguf->tensors[i].name = name;
        name += strlen(name) + 1;
    }
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const ts_gguf_pair *)a)->key, ((const ts_gguf_pair *)b)->key);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const ts_gguf_tensor *)a)->name, ((const ts_gguf_tensor *)b)->name);
}

static int compare_offsets(const void *a, const void *b)
{
    uint64_t left = ((const ts_gguf_tensor *)a)->offset, right = ((const ts_gguf_tensor *)b)->offset;
    return left < right ? -1 : left > right;
}

static ts_status index_names(ts_gguf *gguf)
{
    gguf->pairs_sorted = ts_allocate_array(gguf->runtime, gguf->pair_count, sizeof *gguf->pairs_sorted);
    gguf->tensors_sorted = ts_allocate_array(gguf->runtime, gguf->tensor_count, sizeof *gguf->tensors_sorted);
    if (gguf->pairs_sorted == NULL || gguf->tensors_sorted == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < gguf->pair_count; i++)
        gguf->pairs_sorted[i] = &gguf->pairs[i];
    for (size_t i = 0; i < gguf->tensor_count; i++)
        gguf->tensors_sorted[i] = &gguf->tensors[i];
    ts_order_sort(gguf->pairs_sorted, gguf->pair_count, compare_keys);
    ts_order_sort(gguf->tensors_sorted, gguf->tensor_count, compare_names);
    const ts_gguf_pair *pair = ts_order_duplicate(gguf->pairs_sorted, gguf->pair_count, compare_keys);
    if (pair != NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: key '%s' is there twice", gguf->source->name, pair->key);
    const ts_gguf_tensor *tensor = ts_order_duplicate(gguf->tensors_sorted, gguf->tensor_count, compare_names);
    if (tensor != NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is there twice", gguf->source->name, tensor->name);
    return TS_OK;
}

static ts_status read_alignment(ts_gguf *gguf)
{
    const ts_gguf_pair *pair = ts_gguf_find(gguf, "general.alignment");
    gguf->alignment = TS_GGUF_ALIGNMENT;
    if (pair == NULL)
        return TS_OK;
    if (pair->type != TS_GGUF_U32)
        return ts_fail(TS_ERROR_FORMAT, "%s: key 'general.alignment' is of type %s, expected u32", gguf->source->name, ts_gguf_type_name(pair->type));
    if (pair->bits < 8 || pair->bits > TS_GGUF_MAX_ALIGNMENT || (pair->bits & (pair->bits - 1)) != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: key 'general.alignment' is %u, expected a power of two from 8 to %d", gguf->source->name,
                       (uint32_t)pair->bits, TS_GGUF_MAX_ALIGNMENT);
    gguf->alignment = (uint32_t)pair->bits;
    return TS_OK;
}

/* Turns the tensors' offsets, which count from the start of the data, into those in the file, and checks that they lie there and apart. */
static ts_status place_tensors(ts_gguf *gguf, uint64_t description_end)
{
    if (gguf->tensor_count == 0)
        return TS_OK;
    const char *file = gguf->source->name;
    uint64_t mask = gguf->alignment - 1, file_size = gguf->source->size;
    uint64_t start = description_end + ((0 - description_end) & mask);
    if (start > file_size || start < description_end)
        return ts_fail(TS_ERROR_FORMAT, "%s: is cut off before the data of its %zu tensors", file, gguf->tensor_count);
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        ts_gguf_tensor *tensor = &gguf->tensors[i];
        if ((tensor->offset & mask) != 0)
            return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' has offset %llu, expected a multiple of %u", file, tensor->name,
                           (unsigned long long)tensor->offset, gguf->alignment);
        if (tensor->offset > file_size - start || tensor->size > file_size - start - tensor->offset)
            return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' of %llu bytes at data offset %llu reaches beyond the file's %llu bytes", file,
                           tensor->name, (unsigned long long)tensor->size, (unsigned long long)tensor->offset, (unsigned long long)file_size);
        tensor->offset += start;
    }
    const void **by_offset = ts_allocate_array(gguf->runtime, gguf->tensor_count, sizeof *by_offset);
    if (by_offset == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(by_offset, gguf->tensors_sorted, gguf->tensor_count * sizeof *by_offset);
    ts_order_sort(by_offset, gguf->tensor_count, compare_offsets);
    ts_status status = TS_OK;
    for (size_t i = 1; i < gguf->tensor_count && status == TS_OK; i++) {
        const ts_gguf_tensor *left = by_offset[i - 1], *right = by_offset[i];
        if (right->offset - left->offset < left->size)
            status = ts_fail(TS_ERROR_FORMAT, "%s: tensors '%s' and '%s' overlap", file, left->name, right->name);
    }
    ts_release(gguf->runtime, by_offset);
    return status;
}

static void check_magic(ts_gguf *gguf, ts_reader *reader)
{
    uint32_t magic = ts_reader_u32(reader);
    gguf->version = ts_reader_u32(reader);
    if (ts_reader_status(reader) != TS_OK)
        return;
    if (magic != MAGIC)
        ts_reader_fail(reader, TS_ERROR_FORMAT, "is not a GGUF file: begins with 0x%08x", magic);
    else if (__builtin_bswap32(gguf->version) == 2 || __builtin_bswap32(gguf->version) == 3)
        ts_reader_fail(reader, TS_ERROR_VERSION, "is a big-endian GGUF file, expected a little-endian one");
    else if (gguf->version != 2 && gguf->version != 3)
        ts_reader_fail(reader, TS_ERROR_VERSION, "is GGUF version %u, expected 2 or 3", gguf->version);
}

static void check_counts(ts_reader *reader, uint64_t tensor_count, uint64_t pair_count)
{
    uint64_t remaining = ts_reader_remaining(reader);
    if (ts_reader_status(reader) != TS_OK)
        return;
    if (pair_count > remaining / SMALLEST_PAIR || tensor_count > remaining / SMALLEST_TENSOR)
        ts_reader_fail(reader, TS_ERROR_FORMAT, "claims %llu keys and %llu tensors, more than are left", (unsigned long long)pair_count,
                       (unsigned long long)tensor_count);
    else if (pair_count > TS_GGUF_MAX_PAIRS || tensor_count > TS_GGUF_MAX_TENSORS)
        ts_reader_fail(reader, TS_ERROR_LIMIT, "has %llu keys and %llu tensors, at most %d and %d are read", (unsigned long long)pair_count,
                       (unsigned long long)tensor_count, TS_GGUF_MAX_PAIRS, TS_GGUF_MAX_TENSORS);
}

static ts_status read_description(ts_gguf *gguf)
{
    ts_reader reader;
    ts_reader_init(&reader, gguf->source, 0);
    check_magic(gguf, &reader);
    uint64_t tensor_count = ts_reader_u64(&reader), pair_count = ts_reader_u64(&reader);
    check_counts(&reader, tensor_count, pair_count);
    for (uint64_t i = 0; i < pair_count && ts_reader_status(&reader) == TS_OK; i++) {
        TS_TRY(ts_reserve(gguf->runtime, &gguf->pairs, &gguf->pairs_capacity, gguf->pair_count + 1, sizeof *gguf->pairs));
        memset(&gguf->pairs[gguf->pair_count], 0, sizeof *gguf->pairs);
        read_pair(gguf, &reader, &gguf->pairs[gguf->pair_count++]);
    }
    for (uint64_t i = 0; i < tensor_count && ts_reader_status(&reader) == TS_OK; i++) {
        TS_TRY(ts_reserve(gguf->runtime, &gguf->tensors, &gguf->tensors_capacity, gguf->tensor_count + 1, sizeof *gguf->tensors));
        memset(&gguf->tensors[gguf->tensor_count], 0, sizeof *gguf->tensors);
        read_tensor(gguf, &reader, &gguf->tensors[gguf->tensor_count++]);
    }
    TS_TRY(ts_reader_status(&reader));
    name_pointers(gguf);
    TS_TRY(index_names(gguf));
    TS_TRY(read_alignment(gguf));
    return place_tensors(gguf, reader.position);
}

ts_status ts_gguf_open(ts_gguf **out, ts_source *source)
{
    ts_gguf *gguf = ts_allocate(source->runtime, sizeof *gguf);
    if (gguf == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    gguf->runtime = source->runtime;
    gguf->source = source;
    gguf->names.runtime = source->runtime;
    ts_status status = read_description(gguf);
    if (status != TS_OK) {
        ts_gguf_close(gguf);
        return status;
    }
    *out = gguf;
    return TS_OK;
}

void ts_gguf_close(ts_gguf *gguf)
{
    if (gguf == NULL)
        return;
    for (size_t i = 0; i < gguf->pair_count; i++)
        ts_release(gguf->runtime, gguf->pairs[i].data);
    ts_release(gguf->runtime, gguf->pairs);
    ts_release(gguf->runtime, gguf->tensors);
    ts_release(gguf->runtime, gguf->pairs_sorted);
    ts_release(gguf->runtime, gguf->tensors_sorted);
    ts_bytes_free(&gguf->names);
    ts_release(gguf->runtime, gguf);
}

uint32_t ts_gguf_version(const ts_gguf *gguf)
{
    return gguf->version;
}

uint32_t ts_gguf_alignment(const ts_gguf *gguf)
{
    return gguf->alignment;
}

const ts_gguf_pair *ts_gguf_find(const ts_gguf *gguf, const char *key)
{
    ts_gguf_pair wanted = {.key = key};
    return ts_order_find(gguf->pairs_sorted, gguf->pair_count, compare_keys, &wanted);
}

const ts_gguf_tensor *ts_gguf_find_tensor(const ts_gguf *gguf, const char *name)
{
    ts_gguf_tensor wanted = {.name = name};
    return ts_order_find(gguf->tensors_sorted, gguf->tensor_count, compare_names, &wanted);
}

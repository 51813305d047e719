/* Writes safetensors files: the header is made in memory, the tensors are streamed from where they are. */
#include "format/gzip.h"
#include "format/order.h"
#include "format/safetensors.h"
#include "text/text.h"

enum { HEADER_ALIGNMENT = 8 };

/* By falling size of the elements, so that every tensor is aligned, then by name. */
static int compare_entries(const void *a, const void *b)
{
    const ts_safetensors_entry *left = a, *right = b;
    size_t left_size = ts_dtype_size(left->dtype), right_size = ts_dtype_size(right->dtype);
    if (left_size != right_size)
        return left_size > right_size ? -1 : 1;
    return strcmp(left->name, right->name);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const ts_safetensors_entry *)a)->name, ((const ts_safetensors_entry *)b)->name);
}

static ts_status entry_size(const ts_safetensors_entry *entry, uint64_t *size)
{
    *size = ts_dtype_size(entry->dtype);
    bool right = *size > 0 && entry->rank <= TS_SAFETENSORS_MAX_RANK && entry->name[0] != '\0' && strlen(entry->name) <= TS_SAFETENSORS_MAX_NAME;
    for (uint32_t i = 0; right && i < entry->rank; i++)
        right = !__builtin_mul_overflow(*size, entry->shape[i], size);
    if (!right || *size > INT64_MAX)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "tensor '%.64s' has a dtype, shape or name that safetensors cannot have", entry->name);
    return TS_OK;
}

static ts_status add_string(ts_bytes *header, const char *text)
{
    return ts_json_string(header, text, strlen(text));
}

static ts_status add_pair(ts_bytes *header, const char *key, const char *value, bool first)
{
    TS_TRY(ts_bytes_add(header, ",", first ? 0 : 1));
    TS_TRY(add_string(header, key));
    TS_TRY(ts_bytes_format(header, ":"));
    return add_string(header, value);
}

static void put_hexadecimal(char digits[8], uint32_t value)
{
    for (int i = 0; i < 8; i++)
        digits[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
}

/* "crc32:NAME": "89abcdef" */
static ts_status add_checksum(ts_bytes *header, const ts_safetensors_entry *entry)
{
    char key[TS_SAFETENSORS_MAX_NAME + 8] = "crc32:", value[9] = "";
    uint64_t size;
    TS_TRY(entry_size(entry, &size));
    memcpy(key + 6, entry->name, strlen(entry->name) + 1);
    put_hexadecimal(value, ts_crc32(0, entry->data, (size_t)size));
    return add_pair(header, key, value, false);
}

static ts_status add_entry(ts_bytes *header, const ts_safetensors_entry *entry, uint64_t *offset)
{
    uint64_t size;
    TS_TRY(entry_size(entry, &size));
    TS_TRY(add_string(header, entry->name));
    TS_TRY(ts_bytes_format(header, ":{\"dtype\":\"%s\",\"shape\":[", ts_dtype_name(entry->dtype)));
    for (uint32_t i = 0; i < entry->rank; i++)
        TS_TRY(ts_bytes_format(header, i == 0 ? "%llu" : ",%llu", (unsigned long long)entry->shape[i]));
    TS_TRY(ts_bytes_format(header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)*offset, (unsigned long long)(*offset + size)));
    *offset += size;
    return TS_OK;
}

static ts_status make_header(ts_bytes *header, const ts_safetensors_entry *const *entries, size_t entry_count, const ts_safetensors_pair *pairs,
                             size_t pair_count, bool checksums)
{
    uint64_t offset = 0;
    if (checksums)
        TS_TRY(ts_bytes_format(header, TS_SAFETENSORS_CRC_PREFIX "00000000\""));
    else
        TS_TRY(ts_bytes_format(header, pair_count > 0 ? "{\"__metadata__\":{" : "{"));
    for (size_t i = 0; i < pair_count; i++)
        TS_TRY(add_pair(header, pairs[i].key, pairs[i].value, i == 0 && !checksums));
    for (size_t i = 0; checksums && i < entry_count; i++)
        TS_TRY(add_checksum(header, entries[i]));
    if (checksums || pair_count > 0)
        TS_TRY(ts_bytes_format(header, entry_count > 0 ? "}," : "}"));
    for (size_t i = 0; i < entry_count; i++) {
        TS_TRY(ts_bytes_add(header, ",", i == 0 ? 0 : 1));
        TS_TRY(add_entry(header, entries[i], &offset));
    }
    TS_TRY(ts_bytes_format(header, "}"));
    while (header->size % HEADER_ALIGNMENT != 0)
        TS_TRY(ts_bytes_add(header, " ", 1));
    if (checksums)
        put_hexadecimal(header->data + sizeof TS_SAFETENSORS_CRC_PREFIX - 1, ts_crc32(0, header->data, header->size));
    return TS_OK;
}

static ts_status write_file(ts_writer *file, ts_bytes *header, const ts_safetensors_entry **sorted, size_t entry_count,
                            const ts_safetensors_pair *pairs, size_t pair_count, bool checksums)
{
    ts_order_sort((const void **)sorted, entry_count, compare_names);
    const ts_safetensors_entry *twice = ts_order_duplicate((const void *const *)sorted, entry_count, compare_names);
    if (twice != NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "tensor '%s' is to be written twice", twice->name);
    ts_order_sort((const void **)sorted, entry_count, compare_entries);
    TS_TRY(make_header(header, sorted, entry_count, pairs, pair_count, checksums));
    if (header->size > TS_SAFETENSORS_MAX_HEADER)
        return ts_fail(TS_ERROR_LIMIT, "a safetensors header of %zu bytes, at most %d are written", header->size, TS_SAFETENSORS_MAX_HEADER);
    ts_writer_u64(file, header->size);
    ts_writer_bytes(file, header->data, header->size);
    for (size_t i = 0; i < entry_count; i++) {
        uint64_t size;
        TS_TRY(entry_size(sorted[i], &size));
        if (size > 0)
            ts_writer_bytes(file, sorted[i]->data, (size_t)size);
    }
    return TS_OK;
}

ts_status ts_safetensors_write(ts_writer *file, ts_runtime *runtime, const ts_safetensors_entry *entries, size_t entry_count,
                               const ts_safetensors_pair *pairs, size_t pair_count, bool checksums)
{
    if (entry_count > TS_SAFETENSORS_MAX_TENSORS)
        return ts_fail(TS_ERROR_LIMIT, "%zu tensors, at most %d are written into a safetensors file", entry_count, TS_SAFETENSORS_MAX_TENSORS);
    const ts_safetensors_entry **sorted = ts_allocate_array(runtime, entry_count, sizeof *sorted);
    if (sorted == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < entry_count; i++)
        sorted[i] = &entries[i];
    ts_bytes header = {.runtime = runtime};
    ts_status status = write_file(file, &header, sorted, entry_count, pairs, pair_count, checksums);
    ts_bytes_free(&header);
    ts_release(runtime, sorted);
    return status;
}

/* Token shards: read or mapped whole, written as a stream whose header is completed at the end. */
#include "format/tokens.h"

enum { WORD_MAGIC = 0, WORD_VERSION = 1, WORD_COUNT = 2, WORD_FINGERPRINT = 8, WORD_BYTES = 10, WORD_STORIES = 12, HEADER_WORDS = 256 };

static bool ends_with(const char *path, const char *end)
{
    size_t size = strlen(path), end_size = strlen(end);
    return size >= end_size && strcmp(path + size - end_size, end) == 0;
}

/* ---- reading ---- */

static uint64_t wide_word(const uint32_t *words, size_t at)
{
    return words[at] | (uint64_t)words[at + 1] << 32;
}

static ts_status read_header(ts_shard *shard)
{
    uint32_t words[HEADER_WORDS];
    uint64_t size = shard->source.size;
    if (size < sizeof words)
        return ts_fail(TS_ERROR_FORMAT, "%s: is no token shard: %llu bytes, expected at least %zu", shard->name, (unsigned long long)size,
                       sizeof words);
    TS_TRY(ts_source_read(&shard->source, 0, words, sizeof words));
    bool narrow = words[WORD_MAGIC] == TS_SHARD_MAGIC_U16;
    if (!narrow && words[WORD_MAGIC] != TS_SHARD_MAGIC_U32)
        return ts_fail(TS_ERROR_FORMAT, "%s: is no token shard: begins with %u, expected %d or %d", shard->name, words[WORD_MAGIC],
                       TS_SHARD_MAGIC_U16, TS_SHARD_MAGIC_U32);
    uint32_t version = narrow ? TS_SHARD_VERSION_U16 : TS_SHARD_VERSION_U32;
    if (words[WORD_VERSION] != version)
        return ts_fail(TS_ERROR_VERSION, "%s: is a token shard of version %u, expected %u", shard->name, words[WORD_VERSION], version);
    shard->width = narrow ? 2 : 4;
    uint64_t count = words[WORD_COUNT];
    if (count > TS_SHARD_MAX_TOKENS || size - sizeof words != count * shard->width)
        return ts_fail(TS_ERROR_FORMAT, "%s: has %llu bytes, but its header says %llu tokens of %u bytes", shard->name, (unsigned long long)size,
                       (unsigned long long)count, shard->width);
    shard->count = (size_t)count;
    shard->fingerprint = wide_word(words, WORD_FINGERPRINT);
    shard->bytes = wide_word(words, WORD_BYTES);
    shard->stories = wide_word(words, WORD_STORIES);
    return TS_OK;
}

static ts_status measure_headerless(ts_shard *shard)
{
    uint64_t size = shard->source.size;
    if (size % 2 != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: has %llu bytes, expected an even number (ids of 2 bytes)", shard->name, (unsigned long long)size);
    if (size / 2 > TS_SHARD_MAX_TOKENS)
        return ts_fail(TS_ERROR_LIMIT, "%s: has %llu tokens, at most %llu are read", shard->name, (unsigned long long)(size / 2),
                       (unsigned long long)TS_SHARD_MAX_TOKENS);
    shard->width = 2;
    shard->count = (size_t)(size / 2);
    return TS_OK;
}

static ts_status load(ts_shard *shard, bool headerless)
{
    TS_TRY(headerless ? measure_headerless(shard) : read_header(shard));
    size_t start = headerless ? 0 : TS_SHARD_HEADER_SIZE, size;
    if (shard->source.memory != NULL) {
        shard->ids = shard->source.memory + start;
        return TS_OK;
    }
    if (!ts_multiply(shard->count, shard->width, &size))
        return ts_fail(TS_ERROR_LIMIT, "%s: does not fit in memory", shard->name);
    shard->memory = ts_allocate(shard->runtime, size);
    if (shard->memory == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    shard->ids = shard->memory;
    return ts_source_read(&shard->source, start, shard->memory, size);
}

ts_status ts_shard_open(ts_shard *shard, ts_runtime *runtime, const char *path, bool map)
{
    *shard = (ts_shard){.runtime = runtime};
    TS_TRY(ts_source_open(&shard->source, runtime, path, map));
    memcpy(shard->name, shard->source.name, sizeof shard->name);
    ts_status status = load(shard, ends_with(path, ".u16") || ends_with(path, ".u16.bin"));
    if (status != TS_OK || shard->memory != NULL)
        ts_source_close(&shard->source);
    if (status != TS_OK) {
        ts_release(runtime, shard->memory);
        *shard = (ts_shard){0};
    }
    return status;
}

void ts_shard_close(ts_shard *shard)
{
    if (shard->memory != NULL)
        ts_release(shard->runtime, shard->memory);
    else if (shard->ids != NULL)
        ts_source_close(&shard->source);
    *shard = (ts_shard){0};
}

ts_status ts_shard_check_ids(const ts_shard *shard, uint32_t vocabulary_size)
{
    for (size_t i = 0; i < shard->count; i++)
        if (ts_shard_id(shard, i) >= vocabulary_size)
            return ts_fail(TS_ERROR_FORMAT, "%s: token %zu has the id %u, expected below %u", shard->name, i, ts_shard_id(shard, i), vocabulary_size);
    return TS_OK;
}

ts_status ts_shard_check_fingerprint(const ts_shard *shard, uint64_t fingerprint)
{
    if (shard->fingerprint != 0 && shard->fingerprint != fingerprint)
        return ts_fail(TS_ERROR_MISMATCH, "%s: was made with the tokenizer %016llx, expected %016llx", shard->name,
                       (unsigned long long)shard->fingerprint, (unsigned long long)fingerprint);
    return TS_OK;
}

/* ---- writing ---- */

static void set_wide_word(uint32_t *words, size_t at, uint64_t value)
{
    words[at] = (uint32_t)value;
    words[at + 1] = (uint32_t)(value >> 32);
}

ts_status ts_shard_writer_open(ts_shard_writer *writer, ts_runtime *runtime, const char *path, uint32_t vocabulary_size)
{
    static const unsigned char no_header[TS_SHARD_HEADER_SIZE];
    *writer = (ts_shard_writer){.width = vocabulary_size <= 65536 ? 2 : 4};
    TS_TRY(ts_writer_open(&writer->file, runtime, path));
    if (writer->file.plain) {
        ts_writer_abandon(&writer->file);
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: a token shard can only be written to a regular file", path);
    }
    ts_writer_bytes(&writer->file, no_header, sizeof no_header);
    return TS_OK;
}

static void add_narrow(ts_shard_writer *writer, const uint32_t *ids, size_t count)
{
    uint16_t piece[1024];
    while (count > 0) {
        size_t size = TS_MIN(count, TS_COUNT_OF(piece));
        for (size_t i = 0; i < size; i++)
            piece[i] = (uint16_t)ids[i];
        ts_writer_bytes(&writer->file, piece, size * sizeof *piece);
        ids += size;
        count -= size;
    }
}

void ts_shard_writer_add(ts_shard_writer *writer, const uint32_t *ids, size_t count)
{
    if (writer->status == TS_OK && count > TS_SHARD_MAX_TOKENS - writer->count)
        writer->status =
            ts_fail(TS_ERROR_LIMIT, "%s: a token shard holds at most %llu tokens", writer->file.path, (unsigned long long)TS_SHARD_MAX_TOKENS);
    if (writer->status != TS_OK)
        return;
    writer->count += count;
    if (writer->width == 2)
        add_narrow(writer, ids, count);
    else
        ts_writer_bytes(&writer->file, ids, count * sizeof *ids);
}

ts_status ts_shard_writer_status(const ts_shard_writer *writer)
{
    return writer->status != TS_OK ? writer->status : writer->file.status;
}

ts_status ts_shard_writer_commit(ts_shard_writer *writer, uint64_t fingerprint, uint64_t bytes, uint64_t stories)
{
    uint32_t words[HEADER_WORDS] = {0};
    words[WORD_MAGIC] = writer->width == 2 ? TS_SHARD_MAGIC_U16 : TS_SHARD_MAGIC_U32;
    words[WORD_VERSION] = writer->width == 2 ? TS_SHARD_VERSION_U16 : TS_SHARD_VERSION_U32;
    words[WORD_COUNT] = (uint32_t)writer->count;
    set_wide_word(words, WORD_FINGERPRINT, fingerprint);
    set_wide_word(words, WORD_BYTES, bytes);
    set_wide_word(words, WORD_STORIES, stories);
    if (writer->status != TS_OK)
        ts_writer_fail(&writer->file, writer->status);
    ts_writer_patch_start(&writer->file, words, sizeof words);
    return ts_writer_commit(&writer->file);
}

void ts_shard_writer_abandon(ts_shard_writer *writer)
{
    ts_writer_abandon(&writer->file);
}

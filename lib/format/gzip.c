/* Text files read and written through zlib; the only file that knows of it. */
#include "format/gzip.h"

#include <errno.h>

#ifndef TS_WITH_GZIP
#define TS_WITH_GZIP 1
#endif

#if TS_WITH_GZIP
#define ZLIB_CONST
#include <zlib.h>
#endif

enum {
    INPUT_SIZE = 1 << 16,
    STANDARD_INPUT = 0,
    GZIP_WINDOW = 15 + 16, /* zlib: the largest window, with gzip's header and trailer */
    LEVEL = 6,
    MEMORY_LEVEL = 8
};

#if TS_WITH_GZIP
static void *stream_allocate(void *runtime, unsigned count, unsigned size)
{
    return ts_allocate_array(runtime, count, size);
}

static void stream_release(void *runtime, void *memory)
{
    ts_release(runtime, memory);
}
#endif

/* ---- reading ---- */

struct ts_gzip_reader {
    ts_runtime *runtime; /* borrowed */
    ts_source source;    /* unless standard input, or pulled */
    ts_gzip_pull pull;   /* or NULL */
    void *pull_user;
    const char *pull_name;
    bool standard_input;
    bool source_open;
    bool input_end; /* the file has no more bytes than those in `input` */
    bool compressed;
    bool member_end; /* compressed: between two members */
    bool end;
    uint64_t position; /* bytes of the file that were read */
    size_t input_at, input_size;
    unsigned char input[INPUT_SIZE];
#if TS_WITH_GZIP
    bool stream_made;
    z_stream stream;
#endif
};

/* One read from the file into memory; *count is 0 at its end. */
static ts_status read_some(ts_gzip_reader *reader, void *buffer, size_t capacity, size_t *count)
{
    if (reader->pull != NULL) {
        TS_TRY(reader->pull(reader->pull_user, buffer, capacity, count));
    } else if (!reader->standard_input) {
        *count = (size_t)TS_MIN((uint64_t)capacity, reader->source.size - reader->position);
        TS_TRY(ts_source_read(&reader->source, reader->position, buffer, *count));
    } else {
        const ts_io *io = ts_runtime_io(reader->runtime);
        int64_t got;
        do
            got = io->read(io->user, STANDARD_INPUT, buffer, capacity);
        while (got < 0 && errno == EINTR);
        if (got < 0)
            return ts_fail(TS_ERROR_IO, "standard input cannot be read: error %d", errno);
        *count = (size_t)got;
    }
    reader->position += *count;
    return TS_OK;
}

/* Makes at least `wanted` bytes of input available unless the file ends before. */
static ts_status fill(ts_gzip_reader *reader, size_t wanted)
{
    if (reader->input_at > 0) {
        memmove(reader->input, reader->input + reader->input_at, reader->input_size - reader->input_at);
        reader->input_size -= reader->input_at;
        reader->input_at = 0;
    }
    while (reader->input_size < wanted && !reader->input_end) {
        size_t count;
        TS_TRY(read_some(reader, reader->input + reader->input_size, INPUT_SIZE - reader->input_size, &count));
        reader->input_size += count;
        reader->input_end = count == 0;
    }
    return TS_OK;
}

static bool at_member(const ts_gzip_reader *reader)
{
    return reader->input_size >= 2 && reader->input[0] == 0x1f && reader->input[1] == 0x8b;
}

#if TS_WITH_GZIP
static ts_status start_inflating(ts_gzip_reader *reader)
{
    reader->stream = (z_stream){.zalloc = stream_allocate, .zfree = stream_release, .opaque = reader->runtime};
    if (inflateInit2(&reader->stream, GZIP_WINDOW) != Z_OK)
        return TS_ERROR_OUT_OF_MEMORY;
    reader->stream_made = true;
    return TS_OK;
}

/* Between two members: goes on to the next one, or to the end. */
static ts_status next_member(ts_gzip_reader *reader)
{
    TS_TRY(fill(reader, 2));
    if (reader->input_size == 0) {
        reader->end = true;
        return TS_OK;
    }
    if (!at_member(reader))
        return ts_fail(TS_ERROR_FORMAT, "%s: something that is not gzip follows the compressed text", ts_gzip_name(reader));
    inflateReset(&reader->stream);
    reader->member_end = false;
    return TS_OK;
}

static ts_status inflate_some(ts_gzip_reader *reader, void *buffer, size_t capacity, size_t *count)
{
    z_stream *stream = &reader->stream;
    unsigned piece = (unsigned)TS_MIN(capacity, (size_t)1 << 30);
    *count = 0;
    while (*count == 0 && !reader->end) {
        if (reader->member_end) {
            TS_TRY(next_member(reader));
            continue;
        }
        if (reader->input_at == reader->input_size)
            TS_TRY(fill(reader, 1));
        unsigned input = (unsigned)(reader->input_size - reader->input_at);
        stream->next_in = reader->input + reader->input_at;
        stream->avail_in = input;
        stream->next_out = buffer;
        stream->avail_out = piece;
        int result = inflate(stream, Z_NO_FLUSH);
        reader->input_at += input - stream->avail_in;
        *count = piece - stream->avail_out;
        if (result == Z_STREAM_END)
            reader->member_end = true;
        else if (result == Z_MEM_ERROR)
            return TS_ERROR_OUT_OF_MEMORY;
        else if (result == Z_BUF_ERROR && reader->input_end && input == 0)
            return ts_fail(TS_ERROR_FORMAT, "%s: the compressed text is cut off", ts_gzip_name(reader));
        else if (result != Z_OK)
            return ts_fail(TS_ERROR_FORMAT, "%s: the compressed text is damaged near byte %llu: %s", ts_gzip_name(reader),
                           (unsigned long long)(reader->position - (reader->input_size - reader->input_at)),
                           stream->msg != NULL ? stream->msg : "no progress");
    }
    return TS_OK;
}
#else
static ts_status start_inflating(ts_gzip_reader *reader)
{
    return ts_fail(TS_ERROR_UNSUPPORTED, "%s: is compressed by gzip, which this build does not read", ts_gzip_name(reader));
}

static ts_status inflate_some(ts_gzip_reader *reader, void *buffer, size_t capacity, size_t *count)
{
    (void)buffer, (void)capacity, (void)count;
    return start_inflating(reader);
}
#endif

static ts_status open_file(ts_gzip_reader *reader, const char *path)
{
    reader->standard_input = reader->pull == NULL && strcmp(path, "-") == 0;
    reader->source_open = false;
    if (reader->pull == NULL && !reader->standard_input) {
        TS_TRY(ts_source_open(&reader->source, reader->runtime, path, false));
        reader->source_open = true;
    }
    ts_status status = fill(reader, 2);
    reader->compressed = at_member(reader);
    if (status == TS_OK && reader->compressed)
        status = start_inflating(reader);
    return status;
}

ts_status ts_gzip_open(ts_gzip_reader **out, ts_runtime *runtime, const char *path)
{
    return ts_gzip_open_pull(out, runtime, path, NULL, NULL);
}

ts_status ts_gzip_open_pull(ts_gzip_reader **out, ts_runtime *runtime, const char *name, ts_gzip_pull pull, void *user)
{
    ts_gzip_reader *reader = ts_allocate(runtime, sizeof *reader);
    if (reader == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    reader->runtime = runtime;
    reader->pull = pull;
    reader->pull_user = user;
    reader->pull_name = name;
    ts_status status = open_file(reader, name);
    if (status != TS_OK) {
        ts_gzip_close(reader);
        return status;
    }
    *out = reader;
    return TS_OK;
}

void ts_gzip_close(ts_gzip_reader *reader)
{
    if (reader == NULL)
        return;
#if TS_WITH_GZIP
    if (reader->stream_made)
        inflateEnd(&reader->stream);
#endif
    if (reader->source_open)
        ts_source_close(&reader->source);
    ts_release(reader->runtime, reader);
}

ts_status ts_gzip_read(ts_gzip_reader *reader, void *buffer, size_t capacity, size_t *count)
{
    if (reader->compressed)
        return inflate_some(reader, buffer, capacity, count);
    size_t held = reader->input_size - reader->input_at;
    if (held == 0)
        return read_some(reader, buffer, capacity, count);
    *count = TS_MIN(held, capacity);
    memcpy(buffer, reader->input + reader->input_at, *count);
    reader->input_at += *count;
    return TS_OK;
}

uint64_t ts_gzip_position(const ts_gzip_reader *reader)
{
    return reader->position;
}

uint64_t ts_gzip_size(const ts_gzip_reader *reader)
{
    return reader->source_open ? reader->source.size : 0;
}

const char *ts_gzip_name(const ts_gzip_reader *reader)
{
    return reader->pull != NULL ? reader->pull_name : reader->standard_input ? "standard input" : reader->source.name;
}

/* ---- writing ---- */

struct ts_gzip_writer {
    ts_writer file;
#if TS_WITH_GZIP
    bool compressed;
    z_stream stream;
    unsigned char output[INPUT_SIZE];
#endif
};

static bool ends_with_gz(const char *path)
{
    size_t size = strlen(path);
    return size >= 3 && strcmp(path + size - 3, ".gz") == 0;
}

#if TS_WITH_GZIP
/* zlib's header for deflateInit2 has no name and no time, so that equal texts give equal files. */
static ts_status start_deflating(ts_gzip_writer *writer, ts_runtime *runtime, const char *path)
{
    (void)path;
    writer->stream = (z_stream){.zalloc = stream_allocate, .zfree = stream_release, .opaque = runtime};
    if (deflateInit2(&writer->stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return TS_ERROR_OUT_OF_MEMORY;
    writer->compressed = true;
    return TS_OK;
}

static void deflate_bytes(ts_gzip_writer *writer, const void *data, size_t size, int flush)
{
    z_stream *stream = &writer->stream;
    const unsigned char *bytes = data;
    do {
        unsigned piece = (unsigned)TS_MIN(size, (size_t)1 << 30);
        stream->next_in = bytes;
        stream->avail_in = piece;
        do {
            stream->next_out = writer->output;
            stream->avail_out = sizeof writer->output;
            deflate(stream, size == piece ? flush : Z_NO_FLUSH);
            ts_writer_bytes(&writer->file, writer->output, sizeof writer->output - stream->avail_out);
        } while (stream->avail_out == 0);
        bytes += piece;
        size -= piece;
    } while (size > 0);
}
#else
static ts_status start_deflating(ts_gzip_writer *writer, ts_runtime *runtime, const char *path)
{
    (void)writer, (void)runtime;
    return ts_fail(TS_ERROR_UNSUPPORTED, "%s: this build does not write gzip", path);
}
#endif

ts_status ts_gzip_writer_open(ts_gzip_writer **out, ts_runtime *runtime, const char *path)
{
    ts_gzip_writer *writer = ts_allocate(runtime, sizeof *writer);
    if (writer == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = ts_writer_open(&writer->file, runtime, path);
    if (status != TS_OK) {
        ts_release(runtime, writer);
        return status;
    }
    if (ends_with_gz(path))
        status = start_deflating(writer, runtime, path);
    if (status != TS_OK) {
        ts_gzip_writer_abandon(writer);
        return status;
    }
    *out = writer;
    return TS_OK;
}

void ts_gzip_writer_bytes(ts_gzip_writer *writer, const void *data, size_t size)
{
#if TS_WITH_GZIP
    if (writer->compressed) {
        if (size > 0)
            deflate_bytes(writer, data, size, Z_NO_FLUSH);
        return;
    }
#endif
    ts_writer_bytes(&writer->file, data, size);
}

ts_status ts_gzip_writer_status(const ts_gzip_writer *writer)
{
    return writer->file.status;
}

static void free_writer(ts_gzip_writer *writer, ts_runtime *runtime)
{
#if TS_WITH_GZIP
    if (writer->compressed)
        deflateEnd(&writer->stream);
#endif
    ts_release(runtime, writer);
}

ts_status ts_gzip_writer_commit(ts_gzip_writer *writer)
{
    ts_runtime *runtime = writer->file.runtime;
#if TS_WITH_GZIP
    if (writer->compressed)
        deflate_bytes(writer, "", 0, Z_FINISH);
#endif
    ts_status status = ts_writer_commit(&writer->file);
    free_writer(writer, runtime);
    return status;
}

void ts_gzip_writer_abandon(ts_gzip_writer *writer)
{
    if (writer == NULL)
        return;
    ts_runtime *runtime = writer->file.runtime;
    ts_writer_abandon(&writer->file);
    free_writer(writer, runtime);
}

ts_status ts_gzip_measure_open(ts_gzip_writer **out, ts_runtime *runtime)
{
    ts_gzip_writer *writer = ts_allocate(runtime, sizeof *writer);
    if (writer == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_writer_memory(&writer->file, runtime, NULL, 0);
    ts_status status = start_deflating(writer, runtime, "a text that is measured");
    if (status != TS_OK)
        ts_gzip_writer_abandon(writer);
    else
        *out = writer;
    return status;
}

void ts_gzip_measure_end(ts_gzip_writer *writer, uint64_t *size)
{
#if TS_WITH_GZIP
    deflate_bytes(writer, "", 0, Z_FINISH);
#endif
    *size = writer->file.written;
    ts_gzip_writer_abandon(writer);
}

/* ---- CRC32 ---- */

uint32_t ts_crc32(uint32_t crc, const void *data, size_t size)
{
#if TS_WITH_GZIP
    return size > 0 ? (uint32_t)crc32_z(crc, data, size) : crc;
#else
    /* the reflected polynomial 0xedb88320, four bits at a time */
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const unsigned char *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ bytes[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ bytes[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
#endif
}

/* Files to be read at random: regular files (read or mapped), memory, a host's callbacks; and the bounds-checked reader over them. */
#define _GNU_SOURCE
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void set_name(ts_source *source, const char *name)
{
    size_t size = strlen(name);
    const char *end = size < sizeof source->name ? name : name + size - (sizeof source->name - 1);
    snprintf(source->name, sizeof source->name, "%s", end);
}

ts_status ts_source_open(ts_source *source, ts_runtime *runtime, const char *path, bool map)
{
    const ts_io *io = ts_runtime_io(runtime);
    struct stat about;
    *source = (ts_source){.runtime = runtime, .file = -1};
    if (path == NULL || path[0] == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "a path is missing");
    set_name(source, path);
    /* O_NONBLOCK: a FIFO must be refused, not waited for */
    source->file = io->open(io->user, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (source->file < 0)
        return ts_fail(TS_ERROR_IO, "%s: cannot be opened: %s", source->name, strerrordesc_np(errno));
    if (fstat(source->file, &about) != 0 || !S_ISREG(about.st_mode)) {
        ts_source_close(source);
        return ts_fail(TS_ERROR_IO, "%s: is not a regular file", source->name);
    }
    source->size = (uint64_t)about.st_size;
    if (map && source->size > 0) {
        void *mapping = mmap(NULL, (size_t)source->size, PROT_READ, MAP_PRIVATE, source->file, 0);
        if (mapping == MAP_FAILED) {
            int reason = errno;
            ts_source_close(source);
            return ts_fail(TS_ERROR_IO, "%s: cannot be mapped: %s", source->name, strerrordesc_np(reason));
        }
        source->mapping = mapping;
        source->memory = mapping;
    }
    return TS_OK;
}

void ts_source_memory(ts_source *source, ts_runtime *runtime, const void *data, size_t size, const char *name)
{
    *source = (ts_source){.runtime = runtime, .file = -1, .memory = data, .size = size};
    set_name(source, name);
}

void ts_source_callbacks(ts_source *source, ts_runtime *runtime, int32_t (*read)(void *, uint64_t, void *, size_t), void *user, uint64_t size,
                         const char *name)
{
    *source = (ts_source){.runtime = runtime, .file = -1, .read = read, .user = user, .size = size};
    set_name(source, name);
}

static ts_status read_file(ts_source *source, uint64_t offset, unsigned char *buffer, size_t size)
{
    const ts_io *io = ts_runtime_io(source->runtime);
    while (size > 0) {
        int64_t count = io->read_at(io->user, source->file, buffer, size, offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return ts_fail(TS_ERROR_IO, "%s: cannot be read at byte %llu: %s", source->name, (unsigned long long)offset, strerrordesc_np(errno));
        if (count == 0)
            return ts_fail(TS_ERROR_IO, "%s: became shorter while it was read, at byte %llu", source->name, (unsigned long long)offset);
        buffer += count;
        offset += (uint64_t)count;
        size -= (size_t)count;
    }
    return TS_OK;
}

ts_status ts_source_read(ts_source *source, uint64_t offset, void *buffer, size_t size)
{
    if (offset > source->size || size > source->size - offset)
        return ts_fail(TS_ERROR_FORMAT, "%s: is cut off, %zu bytes at byte %llu are wanted of %llu", source->name, size, (unsigned long long)offset,
                       (unsigned long long)source->size);
    if (size == 0)
        return TS_OK;
    if (source->memory != NULL) {
        memcpy(buffer, source->memory + offset, size);
        return TS_OK;
    }
    if (source->read == NULL)
        return read_file(source, offset, buffer, size);
    int32_t answer = source->read(source->user, offset, buffer, size);
    if (answer != 0)
        return ts_fail(TS_ERROR_IO, "%s: the host's callback could not read %zu bytes at byte %llu (%d)", source->name, size, (unsigned long long)offset,
                       (int)answer);
    return TS_OK;
}

void ts_source_close(ts_source *source)
{
    if (source->mapping != NULL)
        munmap(source->mapping, (size_t)source->size);
    if (source->file >= 0 && source->runtime != NULL) {
        const ts_io *io = ts_runtime_io(source->runtime);
        io->close(io->user, source->file);
    }
    source->mapping = NULL;
    source->memory = NULL;
    source->file = -1;
}

/* ---- reader ---- */

void ts_reader_init(ts_reader *reader, ts_source *source, uint64_t position)
{
    reader->source = source;
    reader->position = position;
    reader->status = TS_OK;
    reader->window_size = 0;
    reader->window_at = 0;
    if (position > source->size)
        ts_reader_fail(reader, TS_ERROR_FORMAT, "begins beyond the end, %llu bytes", (unsigned long long)source->size);
}

uint64_t ts_reader_remaining(const ts_reader *reader)
{
    return reader->status == TS_OK ? reader->source->size - reader->position : 0;
}

void ts_reader_fail(ts_reader *reader, ts_status status, const char *format, ...)
{
    char message[400];
    va_list arguments;
    if (reader->status != TS_OK)
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    reader->status = ts_fail(status, "%s: %s at byte %llu", reader->source->name, message, (unsigned long long)reader->position);
}

ts_status ts_reader_status(const ts_reader *reader)
{
    return reader->status;
}

/* Small reads come out of the window, which is filled anew when they leave it. */
void ts_reader_bytes(ts_reader *reader, void *into, size_t size)
{
    if (reader->status == TS_OK && size > ts_reader_remaining(reader))
        ts_reader_fail(reader, TS_ERROR_FORMAT, "is cut off, %zu more bytes are wanted", size);
    if (reader->status != TS_OK) {
        memset(into, 0, size);
        return;
    }
    if (size > sizeof reader->window / 2) {
        reader->status = ts_source_read(reader->source, reader->position, into, size);
    } else {
        uint64_t at = reader->position - reader->window_at;
        if (reader->position < reader->window_at || at > reader->window_size || size > reader->window_size - at) {
            reader->window_size = (size_t)TS_MIN(ts_reader_remaining(reader), sizeof reader->window);
            reader->window_at = reader->position;
            at = 0;
            reader->status = ts_source_read(reader->source, reader->position, reader->window, reader->window_size);
        }
        if (reader->status == TS_OK)
            memcpy(into, reader->window + at, size);
    }
    if (reader->status == TS_OK)
        reader->position += size;
    else
        memset(into, 0, size);
}

static uint64_t read_little_endian(ts_reader *reader, size_t size)
{
    unsigned char bytes[8];
    uint64_t value = 0;
    ts_reader_bytes(reader, bytes, size);
    for (size_t i = size; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

uint8_t ts_reader_u8(ts_reader *reader)
{
    return (uint8_t)read_little_endian(reader, 1);
}

uint16_t ts_reader_u16(ts_reader *reader)
{
    return (uint16_t)read_little_endian(reader, 2);
}

uint32_t ts_reader_u32(ts_reader *reader)
{
    return (uint32_t)read_little_endian(reader, 4);
}

uint64_t ts_reader_u64(ts_reader *reader)
{
    return read_little_endian(reader, 8);
}

float ts_reader_f32(ts_reader *reader)
{
    uint32_t bits = ts_reader_u32(reader);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void ts_reader_skip(ts_reader *reader, uint64_t size)
{
    if (reader->status == TS_OK && size > ts_reader_remaining(reader))
        ts_reader_fail(reader, TS_ERROR_FORMAT, "is cut off, %llu more bytes are wanted", (unsigned long long)size);
    if (reader->status == TS_OK)
        reader->position += size;
}

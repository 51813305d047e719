/* A file without a name, for what does not fit into memory: appended to, read at random, gone when it is closed or the process dies. */
#define _GNU_SOURCE
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { BUFFER_SIZE = 1 << 20 };

ts_status ts_spill_open(ts_spill *spill, ts_runtime *runtime, const char *folder)
{
    const ts_io *io = ts_runtime_io(runtime);
    ts_bytes path = {.runtime = runtime};
    *spill = (ts_spill){.runtime = runtime, .file = -1};
    snprintf(spill->folder, sizeof spill->folder, "%s", folder);
    spill->buffer = ts_allocate(runtime, BUFFER_SIZE);
    if (spill->buffer == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = TS_OK;
    for (unsigned attempt = 0; status == TS_OK && attempt < 100; attempt++) {
        path.size = 0;
        status = ts_bytes_format(&path, "%s/.tinystories.%ld-%u.tmp", folder, (long)getpid(), attempt);
        if (status == TS_OK)
            spill->file = io->open(io->user, path.data, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (spill->file >= 0 || errno != EEXIST)
            break;
    }
    if (status == TS_OK && spill->file < 0)
        status = ts_fail(TS_ERROR_IO, "%s: a scratch file cannot be made there: %s", folder, strerrordesc_np(errno));
    if (spill->file >= 0)
        io->unlink(io->user, path.data);
    ts_bytes_free(&path);
    if (status != TS_OK)
        ts_spill_close(spill);
    return status;
}

static ts_status flush(ts_spill *spill)
{
    const ts_io *io = ts_runtime_io(spill->runtime);
    for (size_t done = 0; done < spill->used;) {
        int64_t count = io->write(io->user, spill->file, spill->buffer + done, spill->used - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return ts_fail(TS_ERROR_IO, "%s: the scratch file cannot be written: %s", spill->folder, strerrordesc_np(count == 0 ? EIO : errno));
        done += (size_t)count;
    }
    spill->used = 0;
    return TS_OK;
}

ts_status ts_spill_add(ts_spill *spill, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    spill->size += size;
    while (size > 0) {
        size_t piece = TS_MIN(size, (size_t)BUFFER_SIZE - spill->used);
        memcpy(spill->buffer + spill->used, bytes, piece);
        spill->used += piece;
        bytes += piece;
        size -= piece;
        if (spill->used == BUFFER_SIZE)
            TS_TRY(flush(spill));
    }
    return TS_OK;
}

ts_status ts_spill_read(ts_spill *spill, uint64_t offset, void *buffer, size_t size)
{
    const ts_io *io = ts_runtime_io(spill->runtime);
    uint64_t written = spill->size - spill->used; /* behind it is what waits in the buffer */
    unsigned char *bytes = buffer;
    while (size > 0 && offset < written) {
        int64_t count = io->read_at(io->user, spill->file, bytes, (size_t)TS_MIN((uint64_t)size, written - offset), offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return ts_fail(TS_ERROR_IO, "%s: the scratch file cannot be read: %s", spill->folder, strerrordesc_np(count == 0 ? EIO : errno));
        bytes += count;
        offset += (uint64_t)count;
        size -= (size_t)count;
    }
    if (size > 0)
        memcpy(bytes, spill->buffer + (offset - written), size);
    return TS_OK;
}

void ts_spill_close(ts_spill *spill)
{
    if (spill->runtime == NULL)
        return;
    const ts_io *io = ts_runtime_io(spill->runtime);
    if (spill->file >= 0)
        io->close(io->user, spill->file);
    ts_release(spill->runtime, spill->buffer);
    *spill = (ts_spill){.file = -1};
}

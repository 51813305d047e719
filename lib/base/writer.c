/* The one way to write a file: a temporary of the same directory that takes the old file's place once it is whole and on the disk. */
#define _GNU_SOURCE
#include "base/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE 65536

enum { NO_FILE = -1, INTO_MEMORY = -2, SETTLED = -3 };

static void fail_system(ts_writer *writer, const char *what)
{
    if (writer->status == TS_OK)
        writer->status = ts_fail(TS_ERROR_IO, "%s: %s: %s", writer->path, what, strerrordesc_np(errno));
}

/* What is written in place: standard output, and what exists and is no regular file. */
static bool is_plain(const char *path)
{
    struct stat about;
    return strcmp(path, "-") == 0 || (stat(path, &about) == 0 && !S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode));
}

/* A temporary is locked as long as its writer lives, so that whoever sweeps can tell it from one that was left behind. Between the opening and the lock it may
 * have been taken for such a one: then it is gone, or about to go. */
static bool keep(int file)
{
    struct stat about;
    return (flock(file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && (fstat(file, &about) != 0 || about.st_nlink > 0);
}

/* A name of its own in the same directory: ".name.<process>-<n>.tmp". The mode is that of the file whose place it takes, if there is one. */
static void open_temporary(ts_writer *writer)
{
    struct stat old;
    bool replaces = stat(writer->path, &old) == 0;
    const ts_io *io = ts_runtime_io(writer->runtime);
    const char *slash = strrchr(writer->path, '/');
    size_t directory = slash ? (size_t)(slash - writer->path) + 1 : 0;
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        snprintf(writer->temporary, strlen(writer->path) + 40, "%.*s.%.200s.%ld-%u.tmp", (int)directory, writer->path, writer->path + directory, (long)getpid(),
                 attempt);
        writer->file = io->open(io->user, writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, replaces ? old.st_mode & 0777 : 0666);
        if (writer->file < 0 && errno != EEXIST)
            break;
        if (writer->file >= 0 && keep(writer->file))
            break;
        if (writer->file >= 0)
            io->close(io->user, writer->file);
        writer->file = NO_FILE;
    }
    if (writer->file < 0)
        fail_system(writer, "cannot be written");
    else if (replaces)
        (void)!fchmod(writer->file, old.st_mode & 0777); /* what the process masks; it is open to nobody else until then */
}

/* Whether a name is one that open_temporary gives to `file`: ".file.<digits>-<digits>.tmp". */
static bool is_temporary(const char *name, const char *file)
{
    size_t size = strlen(file);
    if (name[0] != '.' || strncmp(name + 1, file, size) != 0 || name[size + 1] != '.')
        return false;
    const char *process = name + size + 2, *number = process + strspn(process, "0123456789");
    return number > process && *number == '-' && strcmp(number + 1 + strspn(number + 1, "0123456789"), ".tmp") == 0;
}

/* Removes a temporary that nobody holds any more. */
static void remove_stale(ts_runtime *runtime, const char *path)
{
    const ts_io *io = ts_runtime_io(runtime);
    int file = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return;
    if (flock(file, LOCK_EX | LOCK_NB) == 0)
        io->unlink(io->user, path);
    close(file);
}

void ts_writer_sweep(ts_runtime *runtime, const char *path)
{
    char name[PATH_MAX]; /* without memory of the runtime, for it is done on the way to something else */
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t folder = slash ? (size_t)(file - path) : 2;
    if (folder >= sizeof name)
        return;
    snprintf(name, sizeof name, "%.*s", (int)folder, slash ? path : "./");
    DIR *directory = opendir(name);
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        if (is_temporary(entry->d_name, file) && (size_t)snprintf(name + folder, sizeof name - folder, "%s", entry->d_name) < sizeof name - folder)
            remove_stale(runtime, name);
    if (directory != NULL)
        closedir(directory);
}

static void release_all(ts_writer *writer)
{
    if (writer->file != INTO_MEMORY)
        ts_release(writer->runtime, writer->buffer);
    ts_release(writer->runtime, writer->path);
    ts_release(writer->runtime, writer->temporary);
    writer->buffer = NULL;
    writer->path = writer->temporary = NULL;
    writer->file = NO_FILE;
}

ts_status ts_writer_open(ts_writer *writer, ts_runtime *runtime, const char *path)
{
    *writer = (ts_writer){.runtime = runtime, .file = NO_FILE};
    if (path == NULL || path[0] == 0)
        return writer->status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "a path is missing");
    char target[PATH_MAX];
    struct stat about;
    if (lstat(path, &about) == 0 && S_ISLNK(about.st_mode) && realpath(path, target) != NULL)
        path = target; /* the link stays and its file is replaced; one that leads nowhere is replaced itself */
    size_t length = strlen(path);
    writer->path = ts_allocate(runtime, length + 1);
    writer->temporary = ts_allocate(runtime, length + 40);
    writer->buffer = ts_allocate(runtime, BUFFER_SIZE);
    if (writer->path == NULL || writer->temporary == NULL || writer->buffer == NULL) {
        release_all(writer);
        return writer->status = TS_ERROR_OUT_OF_MEMORY;
    }
    memcpy(writer->path, path, length + 1);
    writer->plain = is_plain(path);
    if (ts_path_is_directory(path)) {
        writer->status = ts_fail(TS_ERROR_IO, "%s: is a folder, expected a file's name", path);
    } else if (!writer->plain) {
        ts_writer_sweep(runtime, path);
        open_temporary(writer);
    } else if (strcmp(path, "-") == 0) {
        writer->file = STDOUT_FILENO;
    } else {
        const ts_io *io = ts_runtime_io(runtime);
        writer->file = io->open(io->user, path, O_WRONLY | O_CLOEXEC, 0);
        if (writer->file < 0)
            fail_system(writer, "cannot be written");
    }
    ts_status status = writer->status;
    if (status != TS_OK)
        release_all(writer);
    return status;
}

void ts_writer_memory(ts_writer *writer, ts_runtime *runtime, void *memory, size_t capacity)
{
    *writer = (ts_writer){.runtime = runtime, .file = INTO_MEMORY, .plain = true, .buffer = memory, .used = capacity};
}

static void write_all(ts_writer *writer, int file, const unsigned char *bytes, size_t size)
{
    const ts_io *io = ts_runtime_io(writer->runtime);
    for (size_t done = 0; done < size && writer->status == TS_OK;) {
        int64_t count = io->write(io->user, file, bytes + done, size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0)
            errno = EIO;
        if (count <= 0)
            fail_system(writer, "cannot be written");
        else
            done += (size_t)count;
    }
}

static void flush(ts_writer *writer)
{
    write_all(writer, writer->file, writer->buffer, writer->used);
    writer->used = 0;
}

void ts_writer_bytes(ts_writer *writer, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    if (writer->status != TS_OK)
        return;
    if (writer->file == INTO_MEMORY) { /* `used` is the capacity here */
        if (writer->written < writer->used && size > 0)
            memcpy(writer->buffer + writer->written, bytes, TS_MIN(size, writer->used - (size_t)writer->written));
        writer->written += size;
        return;
    }
    writer->written += size;
    while (size > 0 && writer->status == TS_OK) {
        size_t part = TS_MIN(size, BUFFER_SIZE - writer->used);
        memcpy(writer->buffer + writer->used, bytes, part);
        writer->used += part;
        bytes += part;
        size -= part;
        if (writer->used == BUFFER_SIZE)
            flush(writer);
    }
}

void ts_writer_patch_start(ts_writer *writer, const void *data, size_t size)
{
    if (writer->status != TS_OK)
        return;
    if (writer->file == INTO_MEMORY) {
        memcpy(writer->buffer, data, TS_MIN(size, writer->used));
        return;
    }
    if (writer->plain) {
        writer->status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: is no regular file, its beginning cannot be completed at the end", writer->path);
        return;
    }
    flush(writer);
    const ts_io *io = ts_runtime_io(writer->runtime);
    int file = io->open(io->user, writer->temporary, O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0); /* a descriptor that stands at the start */
    if (file < 0) {
        fail_system(writer, "cannot be written");
        return;
    }
    write_all(writer, file, data, size);
    if (io->close(io->user, file) != 0)
        fail_system(writer, "cannot be closed");
}

static void write_little_endian(ts_writer *writer, uint64_t value, size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    ts_writer_bytes(writer, bytes, size);
}

void ts_writer_u32(ts_writer *writer, uint32_t value)
{
    write_little_endian(writer, value, 4);
}

void ts_writer_u64(ts_writer *writer, uint64_t value)
{
    write_little_endian(writer, value, 8);
}

void ts_writer_fail(ts_writer *writer, ts_status status)
{
    if (writer->status == TS_OK)
        writer->status = status;
}

/* After a failed fsync the file is given up: a second one would lie about what the first one lost. */
static void settle(ts_writer *writer)
{
    const ts_io *io = ts_runtime_io(writer->runtime);
    if (writer->status == TS_OK && io->sync(io->user, writer->file) != 0)
        fail_system(writer, "cannot be synced");
    (void)posix_fadvise(writer->file, 0, 0, POSIX_FADV_DONTNEED); /* so that who reads it back sees the disk and not the memory */
    if (io->close(io->user, writer->file) != 0)
        fail_system(writer, "cannot be closed");
    writer->file = SETTLED;
}

ts_status ts_writer_settle(ts_writer *writer)
{
    if (writer->plain)
        ts_writer_fail(writer, ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: is no regular file, it cannot be read back", writer->path));
    if (writer->file < 0)
        return writer->status;
    flush(writer);
    settle(writer);
    return writer->status;
}

static void replace(ts_writer *writer)
{
    const ts_io *io = ts_runtime_io(writer->runtime);
    if (writer->file != SETTLED)
        settle(writer);
    if (writer->status == TS_OK && io->rename(io->user, writer->temporary, writer->path) != 0)
        fail_system(writer, "cannot be replaced");
    if (writer->status != TS_OK)
        io->unlink(io->user, writer->temporary);
    else
        writer->status = ts_directory_sync(writer->runtime, writer->path);
}

ts_status ts_writer_commit(ts_writer *writer)
{
    const ts_io *io = ts_runtime_io(writer->runtime);
    if (writer->file == INTO_MEMORY) {
        if (writer->status == TS_OK && writer->written > writer->used)
            writer->status = ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "the buffer has %zu bytes, %llu are wanted", writer->used, (unsigned long long)writer->written);
        return writer->status;
    }
    if (writer->file == NO_FILE)
        return writer->status;
    if (writer->file != SETTLED)
        flush(writer);
    if (!writer->plain)
        replace(writer);
    else if (writer->file != STDOUT_FILENO && io->close(io->user, writer->file) != 0)
        fail_system(writer, "cannot be closed");
    release_all(writer);
    return writer->status;
}

void ts_writer_abandon(ts_writer *writer)
{
    if (writer->file < 0 && writer->file != SETTLED)
        return;
    const ts_io *io = ts_runtime_io(writer->runtime);
    if (writer->file != SETTLED && !(writer->plain && writer->file == STDOUT_FILENO))
        io->close(io->user, writer->file);
    if (!writer->plain)
        io->unlink(io->user, writer->temporary);
    release_all(writer);
}

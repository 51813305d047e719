/* POSIX files: the table of calls that everything goes through, whole files, append-only logs, folders and locks. */
#define _GNU_SOURCE
#include "base/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int system_open(void *user, const char *path, int flags, unsigned mode)
{
    (void)user;
    return open(path, flags, mode);
}

static int64_t system_read_at(void *user, int file, void *buffer, size_t size, uint64_t offset)
{
    (void)user;
    return pread(file, buffer, size, (off_t)offset);
}

static int64_t system_read(void *user, int file, void *buffer, size_t size)
{
    (void)user;
    return read(file, buffer, size);
}

static int64_t system_write(void *user, int file, const void *buffer, size_t size)
{
    (void)user;
    return write(file, buffer, size);
}

static int system_sync(void *user, int file)
{
    (void)user;
    return fsync(file);
}

static int system_close(void *user, int file)
{
    (void)user;
    return close(file);
}

static int system_rename(void *user, const char *from, const char *to)
{
    (void)user;
    return rename(from, to);
}

static int system_unlink(void *user, const char *path)
{
    (void)user;
    return unlink(path);
}

const ts_io ts_io_system = {
    .open = system_open,
    .read_at = system_read_at,
    .read = system_read,
    .write = system_write,
    .sync = system_sync,
    .close = system_close,
    .rename = system_rename,
    .unlink = system_unlink,
};

ts_status ts_file_read(ts_runtime *runtime, const char *path, uint64_t limit, char **data, size_t *size)
{
    ts_source source;
    TS_TRY(ts_source_open(&source, runtime, path, false));
    ts_status status = TS_OK;
    char *text = NULL;
    if (source.size > limit)
        status = ts_fail(TS_ERROR_LIMIT, "%s: has %llu bytes, expected at most %llu", path, (unsigned long long)source.size, (unsigned long long)limit);
    else if ((text = ts_allocate(runtime, (size_t)source.size + 1)) == NULL)
        status = TS_ERROR_OUT_OF_MEMORY;
    else
        status = ts_source_read(&source, 0, text, (size_t)source.size);
    if (status == TS_OK) {
        *data = text;
        *size = (size_t)source.size;
    } else {
        ts_release(runtime, text);
    }
    ts_source_close(&source);
    return status;
}

ts_status ts_append_open(ts_runtime *runtime, const char *path, int *file)
{
    const ts_io *io = ts_runtime_io(runtime);
    int opened = io->open(io->user, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    if (opened < 0)
        return ts_fail(TS_ERROR_IO, "%s: cannot be opened for appending: %s", path, strerrordesc_np(errno));
    *file = opened;
    return TS_OK;
}

ts_status ts_append_line(ts_runtime *runtime, int file, const char *line, size_t size)
{
    const ts_io *io = ts_runtime_io(runtime);
    ts_bytes whole = {.runtime = runtime};
    ts_status status = ts_bytes_add(&whole, line, size);
    if (status == TS_OK)
        status = ts_bytes_add(&whole, "\n", 1);
    for (size_t done = 0; status == TS_OK && done < whole.size;) {
        int64_t count = io->write(io->user, file, whole.data + done, whole.size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            status = ts_fail(TS_ERROR_IO, "a log line cannot be written: %s", strerrordesc_np(errno));
        else
            done += (size_t)count;
    }
    ts_bytes_free(&whole);
    return status;
}

ts_status ts_append_sync(ts_runtime *runtime, int file)
{
    const ts_io *io = ts_runtime_io(runtime);
    return io->sync(io->user, file) == 0 ? TS_OK : ts_fail(TS_ERROR_IO, "it cannot be synced: %s", strerrordesc_np(errno));
}

void ts_append_close(ts_runtime *runtime, int file)
{
    const ts_io *io = ts_runtime_io(runtime);
    if (file >= 0)
        io->close(io->user, file);
}

ts_status ts_directory_sync(ts_runtime *runtime, char *path)
{
    const ts_io *io = ts_runtime_io(runtime);
    char *slash = strrchr(path, '/'), *end = slash == path ? path + 1 : slash, first = end ? *end : 0;
    int failure = 0;
    if (end != NULL)
        *end = 0;
    int directory = io->open(io->user, end ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (end != NULL)
        *end = first;
    if (directory < 0)
        return TS_OK;
    if (io->sync(io->user, directory) != 0)
        failure = errno;
    io->close(io->user, directory);
    if (failure != 0 && failure != EINVAL)
        return ts_fail(TS_ERROR_IO, "%s: its folder cannot be synced: %s", path, strerrordesc_np(failure));
    return TS_OK;
}

ts_status ts_directory_make(ts_runtime *runtime, const char *path)
{
    ts_bytes own = {.runtime = runtime};
    TS_TRY(ts_bytes_add(&own, path, strlen(path) + 1));
    while (own.size > 2 && own.data[own.size - 2] == '/') /* "run/" is the folder "run" */
        own.data[--own.size - 1] = 0;
    ts_status status = TS_OK;
    if (mkdir(own.data, 0777) == 0)
        status = ts_directory_sync(runtime, own.data);
    else if (errno != EEXIST || !ts_path_is_directory(path))
        status = ts_fail(TS_ERROR_IO, "%s: the folder cannot be made: %s", path, strerrordesc_np(errno));
    ts_bytes_free(&own);
    return status;
}

static bool number_of(const char *name, const char *prefix, const char *suffix, uint64_t *number)
{
    size_t size = strlen(prefix);
    if (strncmp(name, prefix, size) != 0 || name[size] < '0' || name[size] > '9')
        return false;
    *number = 0;
    for (name += size; *name >= '0' && *name <= '9'; name++)
        if (__builtin_mul_overflow(*number, 10, number) || __builtin_add_overflow(*number, (uint64_t)(*name - '0'), number))
            return false;
    return strcmp(name, suffix) == 0;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left < right ? 1 : left > right ? -1 : 0;
}

ts_status ts_directory_numbers(ts_runtime *runtime, const char *path, const char *prefix, const char *suffix, uint64_t **numbers, size_t *count)
{
    size_t capacity = 0;
    ts_status status = TS_OK;
    DIR *directory = opendir(path);
    *numbers = NULL;
    *count = 0;
    for (const struct dirent *entry; directory != NULL && status == TS_OK && (entry = readdir(directory)) != NULL;) {
        uint64_t number;
        if (number_of(entry->d_name, prefix, suffix, &number) && (status = ts_reserve(runtime, numbers, &capacity, *count + 1, sizeof **numbers)) == TS_OK)
            (*numbers)[(*count)++] = number;
    }
    if (directory != NULL)
        closedir(directory);
    if (status != TS_OK) {
        ts_release(runtime, *numbers);
        *numbers = NULL;
        *count = 0;
    } else if (*count > 0) {
        qsort(*numbers, *count, sizeof **numbers, compare_numbers);
    }
    return status;
}

bool ts_path_is_directory(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

bool ts_path_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

ts_status ts_lock_take(ts_runtime *runtime, const char *path, int *file)
{
    const ts_io *io = ts_runtime_io(runtime);
    int opened = io->open(io->user, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (opened < 0)
        return ts_fail(TS_ERROR_IO, "%s: cannot be opened: %s", path, strerrordesc_np(errno));
    if (flock(opened, LOCK_EX | LOCK_NB) != 0) {
        int reason = errno;
        io->close(io->user, opened);
        if (reason == EWOULDBLOCK)
            return ts_fail(TS_ERROR_BUSY, "%s: is locked, another trainer works in this folder", path);
        return ts_fail(TS_ERROR_IO, "%s: cannot be locked: %s", path, strerrordesc_np(reason));
    }
    *file = opened;
    return TS_OK;
}

void ts_lock_release(ts_runtime *runtime, int file)
{
    ts_append_close(runtime, file);
}

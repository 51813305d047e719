/* What the tests of this room share: a runtime that counts its memory, and reading one byte at a time. */
#ifndef FORMAT_FILES_H
#define FORMAT_FILES_H

#include "support/support.h"

#include <unistd.h>

#include "format/format.h"

static ts_runtime *runtime;

/* Whether this build has gzip and JSON; what tests them has nothing to do in one that has not. */
static inline bool has_all_formats(void)
{
    ts_json *json = NULL;
    ts_gzip_writer *writer = NULL;
    ts_runtime *any;
    if (ts_runtime_acquire(&any, NULL) != TS_OK)
        return true;
    bool all = ts_json_parse(&json, any, "{}", 2, 0, "") != TS_ERROR_UNSUPPORTED;
    ts_json_free(json);
    all = all && ts_gzip_writer_open(&writer, any, "/tmp/tinystories-format.gz") != TS_ERROR_UNSUPPORTED;
    ts_gzip_writer_abandon(writer);
    ts_runtime_release(any);
    if (!all)
        printf("skipped: a build without gzip or JSON\n");
    return all;
}

static inline int set_up(void **state)
{
    return make_folder(state) != 0 || ts_runtime_new(&runtime, NULL) != TS_OK;
}

/* Everything was released, and the folder is empty. */
static inline int tear_down(void **state)
{
    (void)state;
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    if (left != 0)
        fprintf(stderr, "%llu bytes were not released\n", (unsigned long long)left);
    return remove_empty_folder() != 0 || left != 0;
}

/* A copy of exactly `size` bytes, so that the address sanitizer sees every read behind it. */
static inline unsigned char *exact_copy(const void *data, size_t size)
{
    unsigned char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

static inline int64_t one_byte_read_at(void *user, int file, void *buffer, size_t size, uint64_t offset)
{
    (void)user;
    return ts_io_system.read_at(ts_io_system.user, file, buffer, size > 1 ? 1 : size, offset);
}

static inline int64_t one_byte_read(void *user, int file, void *buffer, size_t size)
{
    (void)user;
    return ts_io_system.read(ts_io_system.user, file, buffer, size > 1 ? 1 : size);
}

/* From now on every read gives one byte at most. */
static inline void read_single_bytes(ts_runtime *of)
{
    static ts_io io;
    io = ts_io_system;
    io.read_at = one_byte_read_at;
    io.read = one_byte_read;
    ts_runtime_set_io(of, &io);
}

#endif

/* What the tests of this room share: a runtime that counts its memory, files in a directory of their own, and reading one byte at a time. */
#ifndef FORMAT_FILES_H
#define FORMAT_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/format.h"

#define assert_ok(call)                                                                                                                              \
    do {                                                                                                                                             \
        ts_status status_ = (call);                                                                                                                  \
        if (status_ != TS_OK)                                                                                                                        \
            fail_msg("%s: %s: %s", #call, ts_status_name(status_), ts_error_detail());                                                               \
    } while (0)

#define assert_status(call, expected)                                                                                                                \
    do {                                                                                                                                             \
        ts_status status_ = (call);                                                                                                                  \
        if (status_ != (expected))                                                                                                                   \
            fail_msg("%s: %s, expected %s: %s", #call, ts_status_name(status_), ts_status_name(expected), ts_error_detail());                        \
    } while (0)

/* The last failure's detail holds `text`. */
#define assert_detail(text)                                                                                                                          \
    do {                                                                                                                                             \
        if (strstr(ts_error_detail(), text) == NULL)                                                                                                 \
            fail_msg("'%s' is not in the detail '%s'", text, ts_error_detail());                                                                     \
    } while (0)

static ts_runtime *runtime;
static char directory[64];

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
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/tinystories-format-XXXXXX");
    return mkdtemp(directory) == NULL || ts_runtime_new(&runtime, NULL) != TS_OK;
}

/* Everything was released, and the directory is empty. */
static inline int tear_down(void **state)
{
    (void)state;
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    if (left != 0)
        fprintf(stderr, "%llu bytes were not released\n", (unsigned long long)left);
    return rmdir(directory) != 0 || left != 0;
}

/* A path in the directory; static, the last four stay valid. */
static inline const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned at;
    char *path = paths[at++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static inline const char *put_file(const char *name, const void *data, size_t size)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* The whole file, to be freed by free(). */
static inline unsigned char *get_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, file), *size);
    data[*size] = 0;
    fclose(file);
    return data;
}

static inline void remove_file(const char *name)
{
    assert_int_equal(unlink(path_of(name)), 0);
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

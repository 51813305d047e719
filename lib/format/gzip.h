/*
 * Text files, plain or compressed by gzip, one after another byte; and CRC32. gzip.c is the only file that knows of zlib.
 *
 * In a build without zlib (TS_WITH_GZIP 0) plain files work and compressed ones are answered with UNSUPPORTED.
 */
#ifndef TS_GZIP_H
#define TS_GZIP_H

#include "base/base.h"

/* ---- reading ---- */

typedef struct ts_gzip_reader ts_gzip_reader;

/*
 * Opens a file, or standard input for "-". It is compressed when its first two bytes say so, whatever its name.
 */
ts_status ts_gzip_open(ts_gzip_reader **out, ts_runtime *runtime, const char *path);
void ts_gzip_close(ts_gzip_reader *reader);

/* Reads up to `capacity` bytes of something that is no file; *count is 0 at its end alone. */
typedef ts_status (*ts_gzip_pull)(void *user, void *buffer, size_t capacity, size_t *count);

/* The same over what `pull` gives, in order; `name`, for error details, and `user` are borrowed. Its size is not known. */
ts_status ts_gzip_open_pull(ts_gzip_reader **out, ts_runtime *runtime, const char *name, ts_gzip_pull pull, void *user);

/*
 * Reads up to `capacity` bytes, at least 1; *count is 0 at the end alone. Several gzip members behind one another are one text. FORMAT: damaged
 * (CRC32, length), cut off, or followed by something else. Memory does not grow with the text, and deflate cannot expand more than 1,032 times.
 */
ts_status ts_gzip_read(ts_gzip_reader *reader, void *buffer, size_t capacity, size_t *count);

/* Bytes of the file (compressed ones if it is) that were read so far, and that it has in all; 0 when that is not known. */
uint64_t ts_gzip_position(const ts_gzip_reader *reader);
uint64_t ts_gzip_size(const ts_gzip_reader *reader);

/* The name for error details: the path, "standard input" for "-". */
const char *ts_gzip_name(const ts_gzip_reader *reader);

/* ---- writing ---- */

typedef struct ts_gzip_writer ts_gzip_writer;

/*
 * Writes a file, replaced as a whole, or standard output for "-"; compressed when the path ends in ".gz", the same bytes for the same text every
 * time. Errors are sticky: write on, ts_gzip_writer_commit tells.
 */
ts_status ts_gzip_writer_open(ts_gzip_writer **out, ts_runtime *runtime, const char *path);
void ts_gzip_writer_bytes(ts_gzip_writer *writer, const void *data, size_t size);
/* What went wrong so far: TS_OK, or what commit will answer. */
ts_status ts_gzip_writer_status(const ts_gzip_writer *writer);
/* Both end the writer. After a failed commit, as after abandon, the old file is still there and nothing else. NULL is fine for abandon. */
ts_status ts_gzip_writer_commit(ts_gzip_writer *writer);
void ts_gzip_writer_abandon(ts_gzip_writer *writer);

/* A writer that compresses and keeps nothing; ts_gzip_measure_end ends it and gives how many bytes a file would have. */
ts_status ts_gzip_measure_open(ts_gzip_writer **out, ts_runtime *runtime);
void ts_gzip_measure_end(ts_gzip_writer *writer, uint64_t *size);

/* ---- CRC32 (the one of gzip and PNG) ---- */

/* Chainable: the CRC of a and then b is ts_crc32(ts_crc32(0, a), b). In every build. */
uint32_t ts_crc32(uint32_t crc, const void *data, size_t size);

#endif

/*
 * Tape archives as streams: the regular files of a .tar one after another, compressed by gzip or not. POSIX ustar and pax, and GNU's long names; sparse
 * files and volumes are refused.
 */
#ifndef TS_TAR_H
#define TS_TAR_H

#include "format/gzip.h"

typedef struct ts_tar ts_tar;

/* Reads an archive out of `file`, which is borrowed. */
ts_status ts_tar_open(ts_tar **out, ts_runtime *runtime, ts_gzip_reader *file);
void ts_tar_close(ts_tar *tar);

/*
 * Goes to the next regular file, over what is left of the present one and everything that is none. *name is its path within the archive, borrowed until the
 * next call; NULL at the archive's end. FORMAT: a header whose sum is wrong, a size that is no number, an archive that is cut off.
 */
ts_status ts_tar_next(ts_tar *tar, const char **name);

/* Reads up to `capacity` bytes of the present file, at least 1; *count is 0 at its end alone. FORMAT: cut off. */
ts_status ts_tar_read(ts_tar *tar, void *buffer, size_t capacity, size_t *count);

/* Whether a path ends in .tar, .tar.gz or .tgz. */
bool ts_path_is_tar(const char *path);

#endif

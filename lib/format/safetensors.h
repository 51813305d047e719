/*
 * safetensors: a JSON header, then one buffer that the tensors fill without holes. Needs JSON: UNSUPPORTED in a build without it.
 */
#ifndef TS_SAFETENSORS_H
#define TS_SAFETENSORS_H

#include "base/base.h"

enum {
    TS_SAFETENSORS_MAX_HEADER = 100000000, /* bytes */
    TS_SAFETENSORS_MAX_TENSORS = 16384,
    TS_SAFETENSORS_MAX_NAME = 256, /* bytes */
    TS_SAFETENSORS_MAX_RANK = 8
};

/* What a header with checksums begins with; 8 hexadecimal digits follow. */
#define TS_SAFETENSORS_CRC_PREFIX "{\"__metadata__\":{\"crc32\":\""

enum {
    TS_DTYPE_BOOL = 0,
    TS_DTYPE_U8 = 1,
    TS_DTYPE_I8 = 2,
    TS_DTYPE_U16 = 3,
    TS_DTYPE_I16 = 4,
    TS_DTYPE_F16 = 5,
    TS_DTYPE_BF16 = 6,
    TS_DTYPE_U32 = 7,
    TS_DTYPE_I32 = 8,
    TS_DTYPE_F32 = 9,
    TS_DTYPE_U64 = 10,
    TS_DTYPE_I64 = 11,
    TS_DTYPE_F64 = 12,
    TS_DTYPE_COUNT = 13
};

/* "F32" and so on; NULL for what is none. */
const char *ts_dtype_name(uint32_t dtype);
/* Bytes of an element; 0 for what is none. */
size_t ts_dtype_size(uint32_t dtype);

typedef struct ts_safetensor {
    const char *name;  /* NUL-terminated UTF-8 */
    uint32_t dtype;    /* TS_DTYPE_ */
    uint32_t rank;     /* 0 (a scalar) to 8 */
    uint64_t shape[8]; /* slowest dimension first, the rest 1; a dimension may be 0 */
    uint64_t elements;
    uint64_t offset, size; /* bytes, in the file */
} ts_safetensor;

/* ---- reading ---- */

typedef struct ts_safetensors ts_safetensors;

/*
 * Reads and checks the header. The source is borrowed and must outlive the reader.
 * FORMAT: anything that the format forbids, names the tensor, or a header that is not of its checksum (see below); UNSUPPORTED: a dtype; LIMIT:
 * beyond a number above.
 */
ts_status ts_safetensors_open(ts_safetensors **out, ts_source *source);
void ts_safetensors_close(ts_safetensors *file);

/* The tensors in the order of their data. */
size_t ts_safetensors_count(const ts_safetensors *file);
const ts_safetensor *ts_safetensors_at(const ts_safetensors *file, size_t index);
/* NULL: there is none. */
const ts_safetensor *ts_safetensors_find(const ts_safetensors *file, const char *name);

/* The string of a key of `__metadata__`, NUL-terminated and borrowed until the reader is closed; NULL: there is none. */
const char *ts_safetensors_metadata(const ts_safetensors *file, const char *key);

/* The tensor with this name, dtype and shape. FORMAT, naming file, tensor and what was expected: it is missing or otherwise. */
ts_status ts_safetensors_get(const ts_safetensors *file, const char *name, uint32_t dtype, uint32_t rank, const uint64_t *shape,
                             const ts_safetensor **tensor);

/* Reads tensor->size bytes. FORMAT: the file carries a CRC32 of this tensor (see below) and the bytes have another. */
ts_status ts_safetensors_read(ts_safetensors *file, const ts_safetensor *tensor, void *bytes);

/* Reads tensor->elements floats: F32, F16 and BF16 (exact); others UNSUPPORTED. */
ts_status ts_safetensors_read_f32(ts_safetensors *file, const ts_safetensor *tensor, float *values);

/* ---- writing ---- */

/* A tensor to be written; all is borrowed during the call. */
typedef struct ts_safetensors_entry {
    const char *name;
    uint32_t dtype, rank;
    const uint64_t *shape;
    const void *data;
} ts_safetensors_entry;

typedef struct ts_safetensors_pair {
    const char *key, *value; /* NUL-terminated UTF-8 */
} ts_safetensors_pair;

/*
 * Writes a whole file into `file` (ts_writer_commit is the caller's): tensors by falling size of their elements, then by name, as the format's own
 * library orders them. With `checksums` the metadata get a pair "crc32:NAME" of 8 hexadecimal digits for every tensor, which ts_safetensors_read
 * checks, and begin with "crc32", that of the whole header with zeros for these digits, which ts_safetensors_open checks. Whoever insists on
 * checksums asks for "crc32". INVALID_ARGUMENT: two of the same name, a wrong dtype or rank.
 */
ts_status ts_safetensors_write(ts_writer *file, ts_runtime *runtime, const ts_safetensors_entry *entries, size_t entry_count,
                               const ts_safetensors_pair *pairs, size_t pair_count, bool checksums);

#endif

/*
 * GGUF (versions 2 and 3, little-endian; written as version 3): key-value pairs, then tensors. Files: gguf.c reads, gguf_values.c gets values,
 * gguf_tensors.c gets tensors, gguf_writer.c writes.
 *
 * Everything is checked when the file is opened and before memory is taken: what was opened has distinct names, whole values, and tensors that are
 * aligned, within the file and apart from one another. Opening reads the description alone; strings, arrays and tensors are read when asked for.
 */
#ifndef TS_GGUF_H
#define TS_GGUF_H

#include "base/base.h"

enum {
    TS_GGUF_MAX_PAIRS = 65536,
    TS_GGUF_MAX_TENSORS = 16384,
    TS_GGUF_MAX_KEY = 256,         /* bytes */
    TS_GGUF_MAX_NAME = 64,         /* of a tensor, bytes */
    TS_GGUF_MAX_STRING = 16 << 20, /* bytes */
    TS_GGUF_MAX_ARRAY = 1 << 24,   /* elements */
    TS_GGUF_MAX_RANK = 4,
    TS_GGUF_ALIGNMENT = 32, /* unless general.alignment says otherwise: 8 to 65,536 */
    TS_GGUF_MAX_ALIGNMENT = 65536
};

/* Types of values, as in the file. */
enum {
    TS_GGUF_U8 = 0,
    TS_GGUF_I8 = 1,
    TS_GGUF_U16 = 2,
    TS_GGUF_I16 = 3,
    TS_GGUF_U32 = 4,
    TS_GGUF_I32 = 5,
    TS_GGUF_F32 = 6,
    TS_GGUF_BOOL = 7,
    TS_GGUF_STRING = 8,
    TS_GGUF_ARRAY = 9,
    TS_GGUF_U64 = 10,
    TS_GGUF_I64 = 11,
    TS_GGUF_F64 = 12,
    TS_GGUF_TYPE_COUNT = 13
};

/* Types of tensors, as in the file. Others are known by name alone and refused with UNSUPPORTED when a file is opened. */
enum {
    TS_GGML_F32 = 0,
    TS_GGML_F16 = 1,
    TS_GGML_Q4_0 = 2,
    TS_GGML_Q8_0 = 8,
    TS_GGML_I8 = 24,
    TS_GGML_I16 = 25,
    TS_GGML_I32 = 26,
    TS_GGML_I64 = 27,
    TS_GGML_F64 = 28,
    TS_GGML_BF16 = 30
};

/* "u32", "array" and so on; "none" for a number that is no type. */
const char *ts_gguf_type_name(uint32_t type);

/* "F32", "Q8_0" and so on; NULL for a number that is no type. */
const char *ts_ggml_type_name(uint32_t type);

/* How many elements a block of this type has and how many bytes it takes; false for a type whose blocks this library does not know. */
bool ts_ggml_type_block(uint32_t type, uint32_t *elements, uint32_t *bytes);

/* Whether ts_gguf_tensor_read_f32 reads this type. */
bool ts_ggml_type_is_real(uint32_t type);

typedef struct ts_gguf_pair {
    const char *key;       /* NUL-terminated printable ASCII */
    uint32_t type;         /* TS_GGUF_ */
    uint32_t element_type; /* of an array, else 0 */
    uint64_t count;        /* elements of an array, bytes of a string, else 1 */
    uint64_t bits;         /* the little-endian value of a scalar, the rest 0 */
    uint64_t offset, size; /* where the value's bytes lie in the file: without a string's length or an array's type and count */
    void *data;            /* those bytes once they were asked for; the reader's own */
} ts_gguf_pair;

typedef struct ts_gguf_tensor {
    const char *name;  /* NUL-terminated printable ASCII */
    uint32_t type;     /* TS_GGML_ */
    uint32_t rank;     /* 1 to 4 */
    uint64_t shape[4]; /* slowest dimension first, (rows, columns) for a matrix; the rest 1; no dimension is 0 */
    uint64_t elements;
    uint64_t offset, size; /* bytes, in the file */
} ts_gguf_tensor;

/* One thread at a time: getters load what they give. */
typedef struct ts_gguf ts_gguf;

/*
 * Reads the description of a file. The source is borrowed and must outlive the reader.
 * FORMAT names the key or tensor and the byte; VERSION: neither 2 nor 3, or big-endian; UNSUPPORTED: a type of tensor; LIMIT: beyond a number above.
 */
ts_status ts_gguf_open(ts_gguf **out, ts_source *source);
void ts_gguf_close(ts_gguf *gguf);

uint32_t ts_gguf_version(const ts_gguf *gguf);
uint32_t ts_gguf_alignment(const ts_gguf *gguf);

/* ---- values ---- */

/* The pairs in the order of the file. */
size_t ts_gguf_pair_count(const ts_gguf *gguf);
const ts_gguf_pair *ts_gguf_pair_at(const ts_gguf *gguf, size_t index);

/* NULL: there is none. */
const ts_gguf_pair *ts_gguf_find(const ts_gguf *gguf, const char *key);
bool ts_gguf_has(const ts_gguf *gguf, const char *key);

/*
 * Values by key. FORMAT, naming file and key: it is missing (ask ts_gguf_has before for what may be), of another type, or out of range. *out is
 * written on success alone, so that it may hold a default. Any integer type is read as u32 or u64 when its value fits; F64 is read as f32 by
 * rounding.
 */
ts_status ts_gguf_get_u32(ts_gguf *gguf, const char *key, uint32_t *out);
ts_status ts_gguf_get_u64(ts_gguf *gguf, const char *key, uint64_t *out);
ts_status ts_gguf_get_f32(ts_gguf *gguf, const char *key, float *out);
ts_status ts_gguf_get_bool(ts_gguf *gguf, const char *key, bool *out);
/* Borrowed until the reader is closed; a NUL follows the bytes (there may be others within). size may be NULL: then a NUL within is FORMAT. */
ts_status ts_gguf_get_string(ts_gguf *gguf, const char *key, const char **text, size_t *size);

/* Whole arrays, borrowed until the reader is closed. The array must be declared with exactly this type of elements. */
ts_status ts_gguf_get_i32s(ts_gguf *gguf, const char *key, const int32_t **values, size_t *count);
ts_status ts_gguf_get_f32s(ts_gguf *gguf, const char *key, const float **values, size_t *count);
ts_status ts_gguf_get_bools(ts_gguf *gguf, const char *key, const uint8_t **values, size_t *count); /* each 0 or 1 */

/* An array of strings, one after another. `count` strings in all; `index` of them were given. */
typedef struct ts_gguf_strings {
    const unsigned char *bytes;
    size_t size, position; /* bytes */
    size_t count, index;
} ts_gguf_strings;

ts_status ts_gguf_get_strings(ts_gguf *gguf, const char *key, ts_gguf_strings *strings);
/* The next string, borrowed until the reader is closed; no NUL follows it. False at the end. */
bool ts_gguf_strings_next(ts_gguf_strings *strings, const char **text, size_t *size);

/* ---- tensors ---- */

/* The tensors in the order of the file. */
size_t ts_gguf_tensor_count(const ts_gguf *gguf);
const ts_gguf_tensor *ts_gguf_tensor_at(const ts_gguf *gguf, size_t index);

/* NULL: there is none. */
const ts_gguf_tensor *ts_gguf_find_tensor(const ts_gguf *gguf, const char *name);

/* The tensor with this name and shape (slowest dimension first). FORMAT, naming file, tensor and both shapes: it is missing or otherwise shaped.
 * A vector may have trailing dimensions of 1. */
ts_status ts_gguf_get_tensor(const ts_gguf *gguf, const char *name, uint32_t rank, const uint64_t *shape, const ts_gguf_tensor **tensor);

/* Reads tensor->elements floats: F32, F16, BF16, Q8_0 and Q4_0, all exact; others UNSUPPORTED. */
ts_status ts_gguf_tensor_read_f32(ts_gguf *gguf, const ts_gguf_tensor *tensor, float *values);

/* Reads the tensor->size bytes as they are in the file. */
ts_status ts_gguf_tensor_read(ts_gguf *gguf, const ts_gguf_tensor *tensor, void *bytes);

/* Where the tensor lies in memory when the source is memory or mapped, aligned as the file is relative to the memory's start; else NULL. */
const void *ts_gguf_tensor_memory(const ts_gguf *gguf, const ts_gguf_tensor *tensor);

/* ---- writing ----
 *
 *     ts_gguf_writer writer;
 *     ts_gguf_writer_init(&writer, runtime);
 *     ts_gguf_add_string(&writer, "general.architecture", "llama", 5);     all pairs, then all tensors
 *     ts_gguf_add_tensor(&writer, "token_embd.weight", TS_GGML_F32, 2, shape);
 *     status = ts_gguf_write_start(&writer, file);                         everything but the data
 *     ts_gguf_write_data(&writer, values, size);                           the tensors' bytes in the order of their declaration, in any pieces
 *     status = ts_gguf_write_finish(&writer);                              then ts_writer_commit(file)
 *     ts_gguf_writer_free(&writer);
 *
 * Failures are sticky: the functions without a status do nothing after one, and the next function with a status tells it.
 */

typedef struct ts_gguf_writer {
    ts_runtime *runtime;
    ts_status status;
    ts_bytes pairs, tensors; /* as they will be in the file */
    uint64_t pair_count, tensor_count;
    uint64_t data_size; /* of all tensors declared so far, padding included */
    size_t strings_due; /* strings that ts_gguf_add_element must still give */
    uint64_t *sizes;    /* of each tensor, without padding */
    size_t sizes_capacity;
    ts_writer *file;                    /* since ts_gguf_write_start; borrowed */
    uint64_t tensor_at, tensor_written; /* the tensor that is being written, and how many bytes of it are */
} ts_gguf_writer;

void ts_gguf_writer_init(ts_gguf_writer *writer, ts_runtime *runtime);
void ts_gguf_writer_free(ts_gguf_writer *writer);

void ts_gguf_add_u32(ts_gguf_writer *writer, const char *key, uint32_t value);
void ts_gguf_add_u64(ts_gguf_writer *writer, const char *key, uint64_t value);
void ts_gguf_add_f32(ts_gguf_writer *writer, const char *key, float value);
void ts_gguf_add_bool(ts_gguf_writer *writer, const char *key, bool value);
void ts_gguf_add_string(ts_gguf_writer *writer, const char *key, const char *text, size_t size);
void ts_gguf_add_i32s(ts_gguf_writer *writer, const char *key, const int32_t *values, size_t count);
void ts_gguf_add_f32s(ts_gguf_writer *writer, const char *key, const float *values, size_t count);
void ts_gguf_add_bools(ts_gguf_writer *writer, const char *key, const uint8_t *values, size_t count); /* not 0 is true */
/* Declares an array of `count` strings; ts_gguf_add_element must follow `count` times. */
void ts_gguf_add_strings(ts_gguf_writer *writer, const char *key, size_t count);
void ts_gguf_add_element(ts_gguf_writer *writer, const char *text, size_t size);

/* Declares a tensor; `shape` has `rank` dimensions (1 to 4), slowest first. */
void ts_gguf_add_tensor(ts_gguf_writer *writer, const char *name, uint32_t type, uint32_t rank, const uint64_t *shape);

/* The size of the whole file, as declared so far. */
uint64_t ts_gguf_write_size(const ts_gguf_writer *writer);

ts_status ts_gguf_write_start(ts_gguf_writer *writer, ts_writer *file);
void ts_gguf_write_data(ts_gguf_writer *writer, const void *data, size_t size);
/* INVALID_ARGUMENT: data were missing or too many. A failure of the file itself is ts_writer_commit's to tell. */
ts_status ts_gguf_write_finish(ts_gguf_writer *writer);

#endif

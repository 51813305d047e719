/*
 * Token shards as llm.c reads them: 256 little-endian int32 (magic, version, number of tokens), then ids of 2 or 4 bytes. Words 8 and 9 of the header
 * hold the tokenizer's fingerprint, 10 and 11 the bytes of the stories, 12 and 13 the number of stories, low word first; 0 in files of other
 * programs. A file whose name ends in ".u16" or ".u16.bin" has no header: ids of 2 bytes alone.
 */
#ifndef TS_TOKENS_H
#define TS_TOKENS_H

#include "base/base.h"

enum {
    TS_SHARD_HEADER_SIZE = 1024,
    TS_SHARD_MAGIC_U16 = 20240520,
    TS_SHARD_VERSION_U16 = 1,
    TS_SHARD_MAGIC_U32 = 20240801,
    TS_SHARD_VERSION_U32 = 7
};

#define TS_SHARD_MAX_TOKENS ((uint64_t)INT32_MAX)

/* ---- reading ---- */

typedef struct ts_shard {
    ts_runtime *runtime;  /* borrowed */
    const void *ids;      /* uint16_t or uint32_t */
    size_t count;         /* tokens */
    uint32_t width;       /* bytes of an id: 2 or 4 */
    uint64_t fingerprint; /* of the tokenizer; 0: not known */
    uint64_t bytes;       /* of the stories' text; 0: not known */
    uint64_t stories;     /* 0: not known */
    ts_source source;     /* open while mapped */
    void *memory;         /* the ids when they were read */
    char name[256];       /* for error details */
} ts_shard;

/* Reads or maps a whole shard. FORMAT: not a shard, or not of the length that its header says; VERSION: another version of it. */
ts_status ts_shard_open(ts_shard *shard, ts_runtime *runtime, const char *path, bool map);
void ts_shard_close(ts_shard *shard);

/* index < shard->count */
static inline uint32_t ts_shard_id(const ts_shard *shard, size_t index)
{
    return shard->width == 2 ? ((const uint16_t *)shard->ids)[index] : ((const uint32_t *)shard->ids)[index];
}

/* FORMAT, naming the first one: an id that is not below `vocabulary_size`. */
ts_status ts_shard_check_ids(const ts_shard *shard, uint32_t vocabulary_size);
/* MISMATCH: the shard names another tokenizer than the one with this fingerprint. */
ts_status ts_shard_check_fingerprint(const ts_shard *shard, uint64_t fingerprint);

/* ---- writing ---- */

typedef struct ts_shard_writer {
    ts_writer file;
    ts_status status;
    uint32_t width;
    uint64_t count; /* tokens so far */
} ts_shard_writer;

/* Ids of 2 bytes when vocabulary_size is at most 65,536, else of 4. The file is replaced as a whole. INVALID_ARGUMENT: a path that is no regular
 * file, as the header is completed at the end. */
ts_status ts_shard_writer_open(ts_shard_writer *writer, ts_runtime *runtime, const char *path, uint32_t vocabulary_size);
/* LIMIT: 2^31 tokens or more. Errors are sticky: ts_shard_writer_commit tells. */
void ts_shard_writer_add(ts_shard_writer *writer, const uint32_t *ids, size_t count);
/* What went wrong so far: TS_OK, or what commit will answer. */
ts_status ts_shard_writer_status(const ts_shard_writer *writer);
/* Both end the writer. */
ts_status ts_shard_writer_commit(ts_shard_writer *writer, uint64_t fingerprint, uint64_t bytes, uint64_t stories);
void ts_shard_writer_abandon(ts_shard_writer *writer);

#endif

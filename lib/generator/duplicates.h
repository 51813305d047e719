/*
 * Which stories were there before: the same ones by a hash of their bytes, and nearly the same ones by MinHash, whose proposals are decided by their sets of
 * shingles.
 */
#ifndef TS_GENERATOR_DUPLICATES_H
#define TS_GENERATOR_DUPLICATES_H

#include "text/text.h"

/* What is known of a story before it is compared with others. */
typedef struct ts_print {
    uint64_t hash;      /* of its bytes */
    uint32_t *shingles; /* sorted; NULL: near duplicates are not wanted */
    size_t shingle_count;
    uint32_t keys[TS_SIGNATURE_BANDS];
} ts_print;

/* A table of a band: number of a story << 32 | key, growing by a quarter, for these tables are most of the memory. */
typedef struct ts_band {
    uint64_t *places;
    size_t capacity, count;
} ts_band;

/* Zero-initialized, then `runtime` (borrowed) set; ts_duplicates_free frees. */
typedef struct ts_duplicates {
    ts_runtime *runtime;
    bool near;
    double jaccard; /* the least similarity of near duplicates */
    ts_hash_map same;
    ts_band bands[TS_SIGNATURE_BANDS];
    uint64_t *ends; /* near: where the shingles of each story end in the scratch file */
    size_t end_capacity;
    uint32_t count; /* stories that were added */
    ts_spill spill;
    uint32_t *shingles; /* of the story that one is compared with */
    size_t shingle_capacity;
    uint64_t candidates; /* pairs that were compared */
} ts_duplicates;

#define TS_DUPLICATES_NONE UINT32_MAX

/* Prepares for near duplicates too, with a scratch file in `folder`. */
ts_status ts_duplicates_near(ts_duplicates *duplicates, double jaccard, const char *folder);

/* The number of a story that is the same, or nearly the same (then *similarity is below 2), TS_DUPLICATES_NONE for none; numbers count the stories added. */
ts_status ts_duplicates_find(ts_duplicates *duplicates, const ts_print *print, bool same, uint32_t *number, double *similarity);
/* Adds a story. */
ts_status ts_duplicates_add(ts_duplicates *duplicates, const ts_print *print);
void ts_duplicates_free(ts_duplicates *duplicates);

#endif

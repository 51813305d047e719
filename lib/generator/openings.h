/* Which phrases open stories, and which words of lists stories use: the parts of the statistics that remember words. */
#ifndef TS_GENERATOR_OPENINGS_H
#define TS_GENERATOR_OPENINGS_H

#include "text/text.h"
#include "tinystories/dataset.h"

typedef struct ts_opening {
    uint64_t stories;
    size_t text; /* in the texts, with a NUL */
} ts_opening;

/* Zero-initialized, then the three runtimes set; ts_openings_free frees. */
typedef struct ts_openings {
    ts_runtime *runtime;
    ts_hash_map map; /* to numbers of kinds */
    ts_opening *kinds;
    size_t count, capacity;
    ts_bytes texts;
} ts_openings;

/* Counts how a story begins, by so many words; a story without any has no opening. */
ts_status ts_openings_add(ts_openings *openings, const char *story, size_t size, uint32_t words);
/* Puts the most frequent ones into the statistics; of equal ones those that came first. */
void ts_openings_report(const ts_openings *openings, ts_dataset_statistics *statistics);
void ts_openings_free(ts_openings *openings);

/* Zero-initialized, then both runtimes set; ts_listed_free frees. */
typedef struct ts_listed {
    ts_runtime *runtime;
    ts_hash_map map; /* a word: its number */
    bool *used;
    size_t capacity;
} ts_listed;

/* Reads the words of files, whatever divides them. INVALID_ARGUMENT: there are none. */
ts_status ts_listed_read(ts_listed *listed, const char *const *paths, size_t count);
/* Whether a word (by ts_plain_word_hash) is in the lists; it is used now. */
bool ts_listed_use(ts_listed *listed, uint64_t word);
uint64_t ts_listed_used(const ts_listed *listed);
void ts_listed_free(ts_listed *listed);

#endif

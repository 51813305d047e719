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

/* Words by the hashes of their forms. */
typedef struct ts_listed_words {
    ts_hash_map forms; /* the number of the word */
    bool *used;
    size_t count, capacity;
    uint64_t occurrences;
} ts_listed_words;

enum { TS_LISTED_ALL = TS_DATASET_KINDS, TS_LISTED_SETS }; /* verbs, nouns, adjectives, all words of the lists */

/* Zero-initialized; ts_listed_free frees. */
typedef struct ts_listed {
    ts_runtime *runtime;
    ts_listed_words sets[TS_LISTED_SETS];
} ts_listed;

/* Reads the words of files, the built-in vocabulary if there are none. INVALID_ARGUMENT: there is no word in them. */
ts_status ts_listed_read(ts_listed *listed, ts_runtime *runtime, const char *const *paths, size_t count);
/* A word (by ts_plain_word_hash) occurs. */
void ts_listed_use(ts_listed *listed, uint64_t word);
/* Puts what was counted into the statistics. */
void ts_listed_report(const ts_listed *listed, ts_dataset_statistics *statistics);
void ts_listed_free(ts_listed *listed);

#endif

/* What a story is dropped for by itself: the published rules, and words of a prompt. */
#ifndef TS_GENERATOR_RULES_H
#define TS_GENERATOR_RULES_H

#include "text/text.h"
#include "tinystories/dataset.h"

/* The defaults, and what the caller's options say over them; INVALID_ARGUMENT for what is out of its range. */
ts_status ts_clean_options_read(ts_clean_options *own, const ts_clean_options *options);

/* The first rule that a mended story breaks, TS_DROP_NONE for none. */
uint32_t ts_rules_judge(const ts_clean_options *options, const char *story, size_t size);

/* The n-grams of prompts. Zero-initialized, then both runtimes set; ts_hash_map_free(&prompts.ngrams) frees. */
typedef struct ts_excluded {
    ts_hash_map ngrams;
    uint64_t lengths; /* bit n - 1: there are n-grams of n words */
    uint64_t *words;  /* scratch */
    size_t word_capacity;
} ts_excluded;

ts_status ts_excluded_read(ts_excluded *prompts, ts_runtime *runtime, const ts_clean_options *options);
/* Whether a story with these words has one of them. */
bool ts_excluded_within(const ts_excluded *prompts, const uint64_t *words, size_t count);

#endif

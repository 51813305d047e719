/* The distinct words of a text and how often each occurs; what the tokenizer's training begins with. */
#ifndef TS_WORD_COUNTS_H
#define TS_WORD_COUNTS_H

#include "base/base.h"
#include "tinystories/tokenizer.h"

typedef struct ts_counted_word {
    size_t offset; /* into the bytes of all words; UINT32_MAX bytes at most a word */
    uint32_t size;
    uint32_t hash;
    uint64_t count;
} ts_counted_word;

typedef struct ts_word_counts {
    ts_runtime *runtime;
    ts_bytes bytes;
    ts_counted_word *words;
    size_t count, capacity;
    uint32_t *places; /* open addressing: index + 1, 0 empty */
    size_t place_count, place_capacity;
    ts_status status; /* of the thread that counts */
} ts_word_counts;

void ts_word_counts_init(ts_word_counts *w, ts_runtime *runtime);
void ts_word_counts_free(ts_word_counts *w);

/*
 * Counts the words of all texts of a source, each trimmed, with all threads of the table's runtime; of the options max_words and progress are used.
 * Words of one byte are left out. INVALID_ARGUMENT: there is no text. CANCELLED: the source or the progress callback said stop.
 */
ts_status ts_count_words(ts_word_counts *words, ts_next_text next, void *user, const ts_tokenizer_train_options *o);

#endif

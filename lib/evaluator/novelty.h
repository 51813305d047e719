/*
 * The index of a training text, private to its files: novelty_words.c reads the text into numbers, novelty_sort.c and novelty_records.c put its places in
 * order, novelty_build.c writes the file; novelty.c opens it and finds rows of words, novelty_nearest.c the nearest story, novelty_find.c the longest copy.
 * gram_sets.c cuts texts into words.
 *
 * The file: a GGUF of
 *     text            I8   every story and a NUL after each
 *     places.N        I32  where the words of the text begin, in the order of the five words that begin there (compared as bytes once folded, the end of
 *                          a story before every word), then of the text; in parts 0, 1, ... behind one another
 *     lists.N         I32  of the 2-grams with more than TS_NOVELTY_FEW places in part N, in their order: the first of them (counted from the part's
 *                          beginning), the stories that have it, and a u64: where its list of stories begins in stories.N
 *     stories.N       I8   those lists: for each block of TS_NOVELTY_BLOCK stories a u16, how many of it the list has, and then all of them, each as a u16
 *                          within its block; or where there are many (TS_NOVELTY_SPARSE) a bit for each story of the text, the lowest bits first, filled
 *                          up to 16 bytes
 *     starts          I32  where the stories begin in the text, and the text's size
 *     words           I32  for each distinct word in order its first place's index, and the number of places
 * Integers are unsigned though GGUF has no such tensors.
 */
#ifndef TS_NOVELTY_H
#define TS_NOVELTY_H

#include "base/base.h"
#include "format/format.h"
#include "text/text.h"
#include "tinystories/diversity.h"

enum {
    TS_NOVELTY_VERSION = 2,
    TS_NOVELTY_FEW = 32,        /* places of a 2-gram that has no list: their stories are looked up */
    TS_NOVELTY_SPARSE = 64,     /* a list with more than one in so many stories is a row of bits */
    TS_NOVELTY_BLOCK = 1 << 15, /* stories */
    TS_NOVELTY_MAX_PARTS = 512,
    TS_NOVELTY_MAX_WORDS = 2000000, /* distinct ones; three of them and the end of a story fit in 63 bits */
    TS_NOVELTY_LIST = 4             /* numbers of an element of lists.N */
};

#define TS_NOVELTY_MAX_TEXT 4294000000u

/* Whether a list with so many of all stories is a row of bits, and the bytes that it has then. */
static inline bool ts_novelty_is_dense(uint64_t count, uint64_t stories)
{
    return count > stories / TS_NOVELTY_SPARSE;
}

static inline size_t ts_novelty_dense_size(uint64_t stories)
{
    return (size_t)((stories + 127) / 128 * 16);
}

static inline size_t ts_novelty_blocks(uint64_t stories)
{
    return (size_t)((stories + TS_NOVELTY_BLOCK - 1) / TS_NOVELTY_BLOCK);
}

/* ---- gram_sets.c: the words of a text, folded ---- */

typedef struct ts_phrase {
    ts_bytes folded;
    size_t *ends;   /* of the words in `folded` */
    size_t *begins; /* of the words in the text */
    size_t *stops;  /* their ends there */
    size_t count, ends_capacity, begins_capacity, stops_capacity;
} ts_phrase;

/* Cuts a text into words. Zero-initialized, then folded.runtime set; may be read again. */
ts_status ts_phrase_read(ts_phrase *phrase, const char *text, size_t size);
void ts_phrase_free(ts_phrase *phrase);
/* The folded word `index`. */
const char *ts_phrase_word(const ts_phrase *phrase, size_t index, size_t *size);

/* The k-grams of a phrase as a set: `first` holds the index of the first word of each distinct one, `names` for every k-gram of the phrase (words - k + 1)
 * which of them it is. */
typedef struct ts_grams {
    ts_runtime *runtime;
    uint32_t *first, *names, *places;
    size_t count, total, place_count, first_capacity, names_capacity, places_capacity;
    uint32_t k;
} ts_grams;

ts_status ts_grams_read(ts_grams *grams, const ts_phrase *phrase, uint32_t k);
void ts_grams_free(ts_grams *grams);
/* The hash of the k words from `index`, and whether two rows of k words are the same. */
uint64_t ts_phrase_hash(const ts_phrase *phrase, size_t index, uint32_t k);
bool ts_phrase_same(const ts_phrase *a, size_t at, const ts_phrase *b, size_t bt, uint32_t k);
/* Which of the set the k words from `index` of another (or the same) phrase are; UINT32_MAX: none. */
uint32_t ts_grams_find(const ts_grams *grams, const ts_phrase *own, const ts_phrase *phrase, size_t index);

/* ---- novelty_words.c: the text as numbers ---- */

/* A piece of the text: what follows one another is a number for each word, with what is skipped between them. */
typedef struct ts_novelty_chunk {
    uint16_t *codes;
    size_t count;
    uint64_t start; /* where it begins in the text */
} ts_novelty_chunk;

enum { CODE_END = 0, CODE_MOST_SKIPPED = 62, CODE_SKIP = 63, CODE_WORD = 64, CODE_LONG_WORD = 65535 };

typedef struct ts_novelty_words {
    ts_runtime *runtime;
    ts_novelty_chunk *chunks;
    size_t chunk_count, chunk_capacity;
    ts_bytes bytes; /* of all distinct words, folded */
    uint64_t *ends; /* of each there */
    uint32_t *hashes;
    uint32_t *places; /* open addressing: word + 1, 0 empty */
    size_t count, ends_capacity, hashes_capacity, place_count, place_capacity;
    uint32_t *starts; /* of the stories in the text */
    size_t story_count, starts_capacity;
    uint64_t text_size, story_bytes;
    uint64_t grams[TS_NOVELTY_GRAM];
    uint64_t longest_step; /* bytes from the beginning of a word to that of the next one in its story, at most */
} ts_novelty_words;

/* Reads all stories, writes their text to `file`, and keeps the words as numbers. `total` is what the progress is told of. */
ts_status ts_novelty_read(ts_novelty_words *words, ts_stories *stories, ts_writer *file, const ts_novelty_options *options, uint64_t total);
void ts_novelty_words_free(ts_novelty_words *words);

/* ---- novelty_records.c ---- */

/* A place and the words behind its first one. */
typedef struct ts_novelty_record {
    uint64_t rest; /* third to fifth word */
    uint32_t second, place;
} ts_novelty_record;

/* Sorts by the second word, or by the rest; what is equal keeps its order. `scratch` has place for as many. */
void ts_novelty_sort_records(ts_novelty_record *records, ts_novelty_record *scratch, size_t count, bool by_second);

/* ---- novelty_sort.c: the places in order ---- */

/* Writes the parts; `sizes` gets three numbers a part: places, numbers of lists, bytes of stories. */
typedef struct ts_novelty_parts {
    uint64_t sizes[TS_NOVELTY_MAX_PARTS][3];
    size_t count;
    uint32_t *first_places; /* the tensor `words` */
} ts_novelty_parts;

/* Sorts all places and writes them to `file`, each tensor padded as GGUF wants it. */
ts_status ts_novelty_sort(ts_novelty_words *words, ts_novelty_parts *parts, ts_writer *file, const ts_novelty_options *options, uint64_t total);

/* Fills up to the alignment of a tensor of `size` bytes. */
void ts_novelty_pad(ts_writer *file, uint64_t size);

/* ---- novelty.c: an open index ---- */

typedef struct ts_novelty_part {
    const uint32_t *places, *lists;
    const unsigned char *stories;
    uint64_t first; /* index of its first place */
    uint64_t count, list_count, stories_size;
} ts_novelty_part;

/* Indices of places in order, [begin, end). */
typedef struct ts_range {
    uint64_t begin, end;
} ts_range;

struct ts_novelty_term;
struct ts_novelty_probe;
struct ts_novelty_block;

struct ts_novelty {
    ts_runtime *runtime;
    ts_source source;
    ts_busy busy;
    ts_novelty_about about;
    const char *text;
    uint64_t text_size, longest_step;
    const uint32_t *starts, *words;
    ts_novelty_part *parts;
    size_t part_count;
    ts_phrase phrase; /* the text that is looked for */
    ts_range *ranges; /* of its words, see ts_novelty_find_phrase */
    struct ts_novelty_probe *probes;
    bool *used;
    size_t ranges_capacity, probes_capacity, used_capacity;
    /* of novelty_nearest.c */
    ts_grams grams;  /* the phrase's 2-grams */
    ts_phrase story; /* one that is compared with it */
    uint32_t *seen;  /* by 2-gram: the last comparison that met it */
    uint32_t comparison;
    uint8_t *marks; /* a number a story, filled up to whole blocks; 0 between two calls */
    struct ts_novelty_block *blocks;
    struct ts_novelty_term *terms;
    uint32_t *begins; /* of all terms */
    const void **order;
    size_t seen_capacity, terms_capacity, begins_capacity, order_capacity;
};

/* The place of an index (< words), checked to lie in the text. */
ts_status ts_novelty_place(const ts_novelty *n, uint64_t index, uint32_t *place);
/* The places of a range within one 2-gram, which are never in two parts, checked to lie there. */
ts_status ts_novelty_places(const ts_novelty *n, ts_range range, const uint32_t **places);
/* Which story a place lies in. FORMAT: in none. */
ts_status ts_novelty_story_at(const ts_novelty *n, uint32_t place, uint32_t *story);
/* The places where the words [i, i + k) of a phrase stand, for each i < `count` and k = 1 to TS_NOVELTY_GRAM: ranges[i * TS_NOVELTY_GRAM + k - 1],
 * empty where they do not occur or reach beyond the phrase's end. */
ts_status ts_novelty_ranges(ts_novelty *n, const ts_phrase *phrase, size_t count, ts_range *ranges);
/* The list of the stories of a 2-gram with this range of places, more than TS_NOVELTY_FEW, and where the memory ends that it must lie in. */
ts_status ts_novelty_list(const ts_novelty *n, ts_range range, const void **list, const unsigned char **end, uint32_t *count);
/* Whether a word of the text is this folded one. */
bool ts_novelty_same_word(const char *raw, size_t raw_size, const char *folded, size_t size);

/* ---- diversity.c ---- */

/* The runtime of a set, borrowed. */
ts_runtime *ts_diversity_runtime(const ts_diversity *diversity);

/* ---- novelty_nearest.c ---- */

/* What the search needs of an index that is open. */
ts_status ts_novelty_init_nearest(ts_novelty *novelty);
void ts_novelty_free_nearest(ts_novelty *novelty);
/* Finds the story with most 2-grams of novelty->phrase, whose ranges were found, and sets the fields of *match that tell of it. */
ts_status ts_novelty_find_nearest(ts_novelty *novelty, ts_novelty_match *match);

/* ---- novelty_find.c ---- */

/* Looks for novelty->phrase, which was read, the caller being the index's one thread. Leaves novelty->ranges as of ts_novelty_ranges. */
ts_status ts_novelty_find_phrase(ts_novelty *novelty, ts_novelty_match *match);

#endif

/*
 * Text: UTF-8, Unicode classes, words, sentences and n-grams, cleaning, the layout of TinyStories-Instruct, and numbers and JSON strings as they are written;
 * all independent of the locale.
 */
#ifndef TS_TEXT_H
#define TS_TEXT_H

#include "base/base.h"

/* ---- utf8.c ---- */

/* what an invalid byte decodes to: no character */
#define TS_UTF8_INVALID UINT32_MAX

/* Decodes the character at `text` (size > 0) and gives its length, 1 to 4; for an invalid byte 1 and TS_UTF8_INVALID. Strict: no overlong forms, no
 * surrogates. */
size_t ts_utf8_decode(const char *text, size_t size, uint32_t *code);

/* How many bytes at `text` (size > 0) make one U+FFFD when they are replaced as Unicode recommends (the longest beginning of a character, else 1); 0
 * if a character that may still become valid was cut off by the end. Only for text where ts_utf8_decode gave TS_UTF8_INVALID. */
size_t ts_utf8_broken(const char *text, size_t size);

/* Writes a character (at most U+10FFFF) and gives its length. */
size_t ts_utf8_encode(uint32_t code, char out[4]);

bool ts_utf8_valid(const char *text, size_t size);

/* An ASCII capital as its small letter; any other byte as it is. */
static inline char ts_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* ---- unicode.c: \p{L}, \p{N} and \s as regular expressions mean them ---- */

typedef enum ts_class { TS_CLASS_OTHER, TS_CLASS_LETTER, TS_CLASS_NUMBER, TS_CLASS_SPACE } ts_class;

/* Of ASCII, a ts_class each: most text needs no call. */
extern const uint8_t ts_ascii_classes[128];

/* TS_CLASS_OTHER for TS_UTF8_INVALID. */
ts_class ts_unicode_class(uint32_t code);

/* \p{M}, joiners and alphabetic symbols: with letters, numbers and "_" what regular expressions call \w. */
bool ts_unicode_is_mark(uint32_t code);
/* \p{P}, and all of ASCII's signs. */
bool ts_unicode_is_punctuation(uint32_t code);

/* ---- words.c ---- */

/* Takes ASCII white space off both ends: *text and *size become those of the rest. */
void ts_trim(const char **text, size_t *size);

/* The length of the first word of `text` (size > 0) by GPT-2's rule (see tinystories/tokenizer.h). Looks no further than the word's end and one
 * character. */
size_t ts_word(const char *text, size_t size);

/* The next word as readers count them: letters and digits, with apostrophes (' or U+2019) between them. *text (of *size bytes) moves behind it. False when
 * there is none left. */
bool ts_plain_word(const char **text, size_t *size, const char **word, size_t *word_size);
/* How many of them a text has. */
size_t ts_plain_word_count(const char *text, size_t size);
/* The last such word of a text: the one that ts_plain_word gives last. False when there is none. */
bool ts_plain_word_before(const char *text, size_t size, const char **word, size_t *word_size);
/* Writes at most `capacity` bytes of such a word in the form in which words are compared (small ASCII letters, straight apostrophes) and gives how many;
 * *word (of *size bytes) moves behind what was written. */
size_t ts_plain_word_fold(const char **word, size_t *size, char *folded, size_t capacity);
/* A hash of such a word that is the same for ASCII capitals and small letters, and for both apostrophes. */
uint64_t ts_plain_word_hash(const char *word, size_t size);

/* ---- tally.c ---- */

/* Distinct things counted by 63 bits of their hashes, 8 bytes a place. Zero-initialized, then `runtime` (borrowed) set; ts_tally_free frees. */
typedef struct ts_tally {
    ts_runtime *runtime;
    uint64_t *keys;
    size_t capacity;
    uint64_t seen, kinds, once; /* things, distinct ones, and those that were seen once */
} ts_tally;

ts_status ts_tally_add(ts_tally *tally, uint64_t hash);
void ts_tally_free(ts_tally *tally);

/* ---- template.c: {name} is a placeholder, [...] is left out if a placeholder in it has nothing to say, {{ }} [[ ]] stand for { } [ ] ---- */

typedef struct ts_template_names {
    void *user;
    bool (*known)(void *user, const char *name, size_t size);
    ts_status (*say)(void *user, const char *name, size_t size, ts_bytes *out); /* appends what stands for a placeholder */
    const char *what;                                                          /* what error details call the template: "prompt" */
    const char *expected;                                                      /* and the known names */
} ts_template_names;

/* FORMAT, with `name` for the file: not UTF-8, a NUL, brackets that do not fit together, brackets within brackets, an unknown placeholder. */
ts_status ts_template_check(const char *text, size_t size, const char *name, const ts_template_names *names);

/* Appends a template that was checked, without white space at the end. */
ts_status ts_template_write(const char *text, size_t size, const ts_template_names *names, ts_bytes *out);
/* ---- hash_map.c ---- */

/* Numbers by 64-bit hashes, 12 bytes a place. Zero-initialized, then `runtime` (borrowed) set; ts_hash_map_free frees. */
typedef struct ts_hash_map {
    ts_runtime *runtime;
    uint64_t *keys;
    uint32_t *values;
    size_t capacity, count;
} ts_hash_map;

#define TS_HASH_MAP_NONE UINT32_MAX

/* TS_HASH_MAP_NONE: it is not there. */
uint32_t ts_hash_map_find(const ts_hash_map *map, uint64_t hash);
/* `hash` must not be there, `value` not TS_HASH_MAP_NONE. */
ts_status ts_hash_map_add(ts_hash_map *map, uint64_t hash, uint32_t value);
void ts_hash_map_free(ts_hash_map *map);

/* ---- ngrams.c: words in a row, and which texts share most of them ---- */

/* Adds the hashes of a text's words (as ts_plain_word divides it) to *hashes; *count becomes their number. */
ts_status ts_word_hashes(ts_runtime *runtime, const char *text, size_t size, uint64_t **hashes, size_t *capacity, size_t *count);

/* A hash of `length` words in a row. */
uint64_t ts_ngram_hash(const uint64_t *words, size_t length);

enum {
    TS_SIGNATURE_BANDS = 16,
    TS_SIGNATURE_ROWS = 5,
    TS_SIGNATURE_SIZE = TS_SIGNATURE_BANDS * TS_SIGNATURE_ROWS
};

/*
 * The shingles of a text: the different n-grams of `length` words among `count` word hashes (fewer words than that make one shingle, none none), as sorted
 * 32-bit hashes in `shingles`, which has room for max(count, 1). `keys` gets a hash for each band of a MinHash signature: texts whose sets of shingles
 * have a Jaccard similarity s agree in at least one band with probability 1 - (1 - s^5)^16: 0.998 for 0.8, 0.9999994 for 0.9, 3e-6 for 0.05. The signature
 * is a one-permutation MinHash with optimal densification (Shrivastava 2017). Gives the number of shingles; 0 leaves `keys` alone.
 */
size_t ts_shingles(const uint64_t *words, size_t count, size_t length, uint32_t *shingles, uint32_t keys[TS_SIGNATURE_BANDS]);

/* The Jaccard similarity of two sorted sets, of which one at least is not empty. */
double ts_jaccard(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count);

/* ---- cleaning.c ---- */

typedef struct ts_cleaning {
    ts_bytes text;  /* the cleaned text */
    ts_bytes other; /* scratch */
    uint64_t repaired, punctuation; /* characters that were repaired, and written in ASCII */
    bool spaces;                    /* white space was changed */
} ts_cleaning;

/* Cleans `text` into cleaning->text by the TS_CLEAN_ steps of tinystories/dataset.h. Both runtimes set, the buffers are used again. */
ts_status ts_clean_text(ts_cleaning *cleaning, const char *text, size_t size, uint32_t steps);
void ts_cleaning_free(ts_cleaning *cleaning);

/* ---- sentences.c ---- */

/*
 * The next sentence of *text, which moves behind it: up to a full stop, exclamation or question mark (with the quotes and brackets behind it) that white space
 * and no small letter follows, or to an empty line; "Mr.", "Mrs.", "Ms.", "Dr." and "St." end none. Trimmed. False when there is none left.
 */
bool ts_sentence(const char **text, size_t *size, const char **sentence, size_t *sentence_size);

/* The syllables of an English word by its groups of vowels, at least 1. */
size_t ts_syllables(const char *word, size_t size);

/* Adds the one or two sentences that say most of what a story is about, on one line: those whose words the rest of it repeats most, its beginning favoured. */
ts_status ts_summarize(ts_bytes *summary, const char *story, size_t size);

/* ---- instruct.c: see tinystories/dataset.h ---- */

struct ts_instruct;

/* The layout's headers in their order up to and with "Story:"; white space within a value becomes single spaces. */
ts_status ts_instruct_headers(ts_bytes *bytes, const struct ts_instruct *fields);
ts_status ts_instruct_read(struct ts_instruct *fields, const char *text, size_t size);
/* Whether a text begins with one of the headers. */
bool ts_instruct_begins(const char *text, size_t size);

/* ---- written.c ---- */

#define TS_DOUBLE_SIZE 40

/* The shortest decimal that reads back as the same double, with '.', NUL-terminated; "null" for what is not finite. `out` has TS_DOUBLE_SIZE
 * bytes. */
void ts_format_double(char *out, double value);

/* Appends a JSON string literal. Control characters are escaped, bytes that are no UTF-8 become \ufffd, U+2028 and U+2029 are escaped. */
ts_status ts_json_string(ts_bytes *bytes, const char *data, size_t size);

#endif

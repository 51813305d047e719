/*
 * Diversity and novelty (paper section 4.4): how much of what a model writes is copied, from the training text, from the true endings, from itself.
 *
 * A word is a run of Unicode letters and digits, with apostrophes (straight or typographers') between them, compared without regard to the case of ASCII
 * letters, as in tinystories/dataset.h; the paper does not say what its words are. G_k(T) is the set of the k-grams of a text T: k words in a row.
 *
 *     R_k,p(T1, T2) = |G_k(T1) and G_k(T2)| / |G_k(T1)|                     the precision: the share of T1's k-grams that T2 has
 *     R_k(T1, T2)   = 2 R_k,p(T1, T2) R_k,p(T2, T1) / (R_k,p(T1, T2) + R_k,p(T2, T1))       its symmetric form
 *     s_i = R_2,p(T_i, T'_i)              of a completion and the true ending of the same beginning
 *     r_i = max over j != i of R_2(T_i, T_j)                                of a completion and the one that is most like it
 *     h_i = max over j of R_2,p(T_i, S_j)                                   of a completion and the training story that is most like it
 *     g   = count_S(r) / sum of count_S   of a k-gram r that was written, over the whole training text S
 *
 * A training text of gigabytes is made into an index once: a file (GGUF) of the text and of the places of all its words in the order of the five words that
 * begin there, so that counts are exact and not estimates by hashes. It is mapped, and answers a story in milliseconds.
 */
#ifndef TINYSTORIES_DIVERSITY_H
#define TINYSTORIES_DIVERSITY_H

#include "tinystories/base.h"
#include "tinystories/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- two texts ---- */

typedef struct ts_overlap {
    size_t struct_size;
    uint64_t first;    /* |G_k| of the first text */
    uint64_t second;   /* |G_k| of the second */
    uint64_t common;   /* k-grams that both have */
    double precision;  /* R_k,p(first, second): common / first; NaN when the first text has no k-gram */
    double recall;     /* R_k,p(second, first): common / second; NaN when the second has none */
    double f;          /* R_k; 0 when nothing is common, NaN when either text has no k-gram */
} ts_overlap;

/* Compares two texts by their k-grams, k from 1 to 64. INVALID_ARGUMENT: another k; OUT_OF_MEMORY. */
TS_API ts_status ts_overlap_measure(ts_runtime *runtime, const char *first, size_t first_size, const char *second, size_t second_size, uint32_t k,
                                    ts_overlap *overlap);

/*
 * Where the paper's baselines are cut (figure 4): *size becomes the bytes of the text before the first k-gram (k from 1 to 64, the paper's is 4) that the
 * text had before, without the white space at the end; all of the text when no k-gram is repeated.
 */
TS_API ts_status ts_repeat_cut(ts_runtime *runtime, const char *text, size_t text_size, uint32_t k, size_t *size);

/* ---- an index of the training text ---- */

enum { TS_NOVELTY_GRAM = 5 }; /* k-grams up to this k are counted by the index */

typedef struct ts_novelty_options {
    size_t struct_size;
    ts_progress progress;    /* bytes of the files, then as much again for the sorting; may be NULL */
    void *progress_user;
    uint64_t working_memory; /* bytes to sort in; default 512 MiB. The less, the slower. Besides it about 0.5 bytes for each byte of text are held */
} ts_novelty_options;

TS_API ts_status ts_novelty_options_init(ts_novelty_options *options, size_t struct_size);

/*
 * Makes an index of files of stories (.txt, .jsonl, each also .gz; "-" is standard input), read once, as ts_tokenizer_train_files says, with all threads of
 * the runtime. `out` is replaced as a whole when the index is done: whoever is stopped before leaves the old file. The same text gives the same bytes for
 * the same working_memory, whatever the number of threads. The file has two to three times the bytes of the text, which it holds (a NUL in it becomes a space);
 * more if there are tens of millions of very short stories.
 *
 * INVALID_ARGUMENT: no path, a token shard, no word at all, or `out` is "-" or no regular file; CANCELLED: by the progress; LIMIT: more than 4,294,000,000
 * bytes of text, or more than 2,000,000 distinct words; IO, FORMAT and LIMIT name file and line.
 */
TS_API ts_status ts_novelty_build(ts_runtime *runtime, const char *const *paths, size_t path_count, const char *out, const ts_novelty_options *options);

/* An open index. One thread at a time, BUSY for a second one; open it once a thread, the file's pages are shared. */
typedef struct ts_novelty ts_novelty;

/*
 * Maps an index. A file that is cut off while it is mapped kills the process: leave it alone meanwhile. The description is checked here; the content,
 * of gigabytes, where it is read: a damaged one gives FORMAT there or wrong answers, never a fault. IO; FORMAT: no such index; VERSION.
 */
TS_API ts_status ts_novelty_open(ts_novelty **out, ts_runtime *runtime, const char *path);
TS_API void ts_novelty_free(ts_novelty *novelty);

typedef struct ts_novelty_about {
    size_t struct_size;
    uint64_t stories;
    uint64_t bytes;          /* of the trimmed stories */
    uint64_t words;
    uint64_t distinct_words;
    uint64_t grams[5];       /* element k - 1: occurrences of k-grams, the sum of count_S; they do not reach from one story into the next */
} ts_novelty_about;

TS_API ts_status ts_novelty_describe(const ts_novelty *novelty, ts_novelty_about *about);

/* A training story, 0 to stories - 1 in the order of the files; borrowed until the index is freed; a NUL follows it. */
TS_API ts_status ts_novelty_story(const ts_novelty *novelty, uint64_t index, const char **text, size_t *size);

/* How often the words of `text` stand in a row in the training text: exact for any number of words; beyond five in a time that grows with the count of the
 * first five. 0 for a text without words. */
TS_API ts_status ts_novelty_count(ts_novelty *novelty, const char *text, size_t size, uint64_t *count);

/* What the training text has of a text. */
typedef struct ts_novelty_match {
    size_t struct_size;
    uint64_t words;              /* of the text */
    uint64_t bigrams;            /* |G_2| of the text */
    uint64_t nearest_common;     /* how many of them the nearest story has */
    uint64_t nearest_story;      /* its index; of equally near ones always the same one, but any. UINT64_MAX when no story has a 2-gram of the text */
    double nearest_precision;    /* h: nearest_common / bigrams; NaN without 2-grams */
    uint64_t copied_words;       /* the longest run of words that is in the training text too; 0: no word of the text is */
    uint64_t copied_begin;       /* where it begins in the text, bytes; of equally long ones always the same one, but any */
    uint64_t copied_size;        /* bytes */
    uint64_t source_story;       /* a story that it stands in; UINT64_MAX without any */
    uint64_t source_begin;       /* where in that story, bytes */
    uint64_t source_size;        /* bytes; it may differ from copied_size, since words are what is compared */
} ts_novelty_match;

/* Finds the nearest training story and the longest copied run, both exactly. FORMAT: the index is damaged; BUSY; OUT_OF_MEMORY. */
TS_API ts_status ts_novelty_find(ts_novelty *novelty, const char *text, size_t size, ts_novelty_match *match);

/* ---- beginnings of training stories ---- */

/* Stories of the training text to be told anew: their beginnings are the prompts, and how they truly go on is what completions are compared with (s). */
typedef struct ts_beginnings ts_beginnings;

typedef struct ts_beginnings_options {
    size_t struct_size;
    uint64_t count; /* stories that are drawn; default 100, as in the paper. A text that has fewer gives all */
    double share;   /* of a story's words that its beginning has, above 0 and below 1; default 0.4 */
    uint64_t seed;  /* of the draw; default 0 */
    const ts_tokenizer *tokenizer; /* not NULL: stories of more than max_tokens of its tokens are passed over, as a model's context holds no more; borrowed */
    uint64_t max_tokens;           /* 1 or more; not used without a tokenizer */
} ts_beginnings_options;

TS_API ts_status ts_beginnings_options_init(ts_beginnings_options *options, size_t struct_size);

/*
 * Draws stories of files (as ts_tokenizer_train_files reads them) at random, in one pass and memory for those that are drawn, and cuts each behind the word
 * that the share comes nearest to, so that a beginning and an ending of at least a word are left; stories of fewer than ten words, and what is no UTF-8 or
 * holds a NUL, are passed over, and so is what has too many tokens. They come in the order of the files. INVALID_ARGUMENT: an option out of range, a token
 * shard, or no story that is left; IO, FORMAT, LIMIT name file and line.
 */
TS_API ts_status ts_beginnings_open(ts_beginnings **out, ts_runtime *runtime, const char *const *paths, size_t path_count, const ts_beginnings_options *options);
TS_API void ts_beginnings_free(ts_beginnings *beginnings);
TS_API size_t ts_beginnings_count(const ts_beginnings *beginnings);

/* Strings are NUL-terminated and borrowed from the beginnings; beginning and ending are the whole story. */
typedef struct ts_beginning {
    size_t struct_size;
    const char *beginning;
    size_t beginning_size; /* bytes */
    const char *ending;
    size_t ending_size;
    uint64_t story;        /* its number among all of the files, from 0 */
} ts_beginning;

TS_API ts_status ts_beginnings_get(const ts_beginnings *beginnings, size_t index, ts_beginning *beginning);

/* ---- a set of completions ---- */

/* One thread at a time, BUSY for a second one. */
typedef struct ts_diversity ts_diversity;

/* Makes an empty set. `novelty` (may be NULL: then there are no h, g and copied runs) is borrowed and must outlive the set. */
TS_API ts_status ts_diversity_new(ts_diversity **out, ts_runtime *runtime, ts_novelty *novelty);
TS_API void ts_diversity_free(ts_diversity *diversity);

/* Adds a completion: what the model wrote, without the prompt. `ending` is how the story that the prompt was taken from truly goes on; NULL: not known. The
 * texts are copied. After a failure the set is as before. */
TS_API ts_status ts_diversity_add(ts_diversity *diversity, const char *completion, size_t size, const char *ending, size_t ending_size);

/*
 * Adds all completions of a file: of .jsonl the string `completion` of each line, or else `story` or `text`, with the true ending in `ending`; of any other a
 * completion a story, as ts_tokenizer_train_files divides it; each also .gz. `cut` from 1 to 64 cuts each at its first repeated k-gram (ts_repeat_cut), 0
 * does not. *count (may be NULL) is how many were added, those before a failure included. FORMAT names file and line; LIMIT: a line of more than 8 MiB;
 * UNSUPPORTED: .gz or .jsonl in a build without them.
 */
TS_API ts_status ts_diversity_add_file(ts_diversity *diversity, const char *path, uint32_t cut, uint64_t *count);

typedef struct ts_diversity_item {
    size_t struct_size;
    uint64_t words;
    double ending_precision;  /* s; NaN without an ending, or without a 2-gram */
    double nearest_f;         /* r; NaN without another completion that has a 2-gram, or without a 2-gram */
    uint64_t nearest;         /* which completion that is, the first of equally near ones; UINT64_MAX without any */
    ts_novelty_match match;   /* h, and the longest copied run; zeros without an index. Its struct_size is the library's */
} ts_diversity_item;

/* What was measured of completion `index`, 0-based in the order in which they were added. */
TS_API ts_status ts_diversity_item_at(ts_diversity *diversity, uint64_t index, ts_diversity_item *item);

enum { TS_DIVERSITY_BINS = 21 }; /* elements of a histogram of g */

/* Means are over the completions that have the measure, and NaN when none has. */
typedef struct ts_diversity_report {
    size_t struct_size;
    uint64_t completions;
    uint64_t words;
    uint64_t endings;              /* completions with an s */
    double mean_ending_precision;  /* of s */
    double mean_nearest_f;         /* of r */
    double mean_nearest_precision; /* of h */
    double mean_copied_words;
    uint64_t max_copied_words;
    uint64_t copied_whole;         /* completions that stand in the training text from their first word to their last, 5 words or more */
    uint64_t grams[5];             /* element k - 1: k-grams of the completions, each once a completion; those that g is counted of */
    uint64_t never[5];             /* those that never occur in the training text: log10 g = -10 in the paper's figure 16 */
    uint64_t histogram[105];       /* element 21 (k - 1) + 0: never; + i: -10 + (i - 1) / 2 <= log10 g < -10 + i / 2, the last with g = 1 */
} ts_diversity_report;

/* What was measured of all completions. With none, counts are 0 and means NaN. */
TS_API ts_status ts_diversity_measure(ts_diversity *diversity, ts_diversity_report *report);

#ifdef __cplusplus
}
#endif

#endif

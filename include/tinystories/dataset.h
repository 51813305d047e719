/*
 * Datasets: what is in files of stories, counted in one pass.
 *
 * A word is a run of Unicode letters and digits, with apostrophes (straight or typographers') between them: "don't" is one word, "'tis" is "tis". Words are
 * compared without regard to the case of ASCII letters. A 4-gram is four words in a row of one story.
 */
#ifndef TINYSTORIES_DATASET_H
#define TINYSTORIES_DATASET_H

#include "tinystories/base.h"
#include "tinystories/generator.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_dataset_options {
    size_t struct_size;
    const char *const *against; /* files of stories to compare with (not "-": they are read twice); NULL (the default): none */
    size_t against_count;
    ts_progress progress;       /* bytes of the files (compressed ones if they are) that were read; may be NULL */
    void *progress_user;
} ts_dataset_options;

TS_API ts_status ts_dataset_options_init(ts_dataset_options *options, size_t struct_size);

enum {
    TS_DATASET_BIN_WORDS = 25, /* words of a story that one element of the histogram covers */
    TS_DATASET_BINS = 41       /* its elements, the last of which has all longer stories */
};

typedef struct ts_dataset_statistics {
    size_t struct_size;
    uint64_t stories;
    uint64_t distinct_stories;       /* stories that differ in at least a byte, once trimmed */
    uint64_t bytes;                  /* of the trimmed stories */
    uint64_t words;
    uint64_t distinct_words;
    uint64_t min_words;              /* of a story */
    uint64_t p5_words;               /* the least length that 5 % of the stories do not exceed */
    uint64_t median_words;           /* the same for 50 % */
    uint64_t p95_words;              /* and for 95 % */
    uint64_t max_words;
    uint64_t histogram[41];          /* element i: stories of 25 i to 25 i + 24 words; the last: of 1,000 words and more */
    uint64_t fourgrams;              /* occurrences */
    uint64_t distinct_fourgrams;     /* kinds */
    uint64_t fourgrams_once;         /* kinds that occur once */
    uint64_t dialogue_stories;       /* stories with a quotation: text between two straight double quotes, or an opening and a closing one */
    uint64_t records;                /* stories of .jsonl lines that have a list `features`, in `instruction` or beside it */
    uint64_t features[6];            /* stories of those that have feature 1 << i (TS_FEATURE_) */
    uint64_t other_features;         /* entries of those lists that are none of the six */
    uint64_t text_bytes;             /* of the text that is compressed: each story and a newline */
    uint64_t gzip_bytes;             /* of that text compressed by gzip, level 6 */
    uint64_t compared_bytes;         /* how much from the beginning of either text is compared: what the shorter one has; 0 without `against` */
    uint64_t compared_gzip_bytes;    /* of this text's beginning, compressed */
    uint64_t against_gzip_bytes;     /* of the other one's */
    double mean_words;               /* of a story */
    double once_share;               /* of the kinds of 4-grams that occur once: fourgrams_once / distinct_fourgrams; NaN without 4-grams */
    double once_occurrence_share;    /* of the occurrences that are the only one of their kind: fourgrams_once / fourgrams; NaN without 4-grams */
    double dialogue_share;           /* of the stories */
    double gzip_share;               /* gzip_bytes / text_bytes: the lower, the more the text repeats itself within 32 KiB */
    double gzip_ratio;               /* compared_gzip_bytes / against_gzip_bytes: below 1 this text is the more repetitive one; NaN without `against` */
} ts_dataset_statistics;

/*
 * Counts files of stories (.txt, .jsonl, each also .gz; "-" is standard input), read as ts_tokenizer_train_files says. `options` may be NULL.
 *
 * Stories, words and 4-grams are told apart by 63 bits of a hash, so that a count of n distinct ones is exact but with a probability below n^2 / 2^64.
 * Files are streamed: memory holds the longest story, 4 bytes a story, and 8 bytes times the next power of two above 4/3 of the number of distinct
 * 4-grams (of words and stories alike; half as much again while a table grows). The runtime's memory_limit bounds it (OUT_OF_MEMORY).
 *
 * INVALID_ARGUMENT: no path, a token shard, or no story at all; CANCELLED: by the progress; IO, FORMAT and LIMIT name file and line; UNSUPPORTED: a build
 * without gzip.
 */
TS_API ts_status ts_dataset_stats(ts_dataset_statistics *statistics, ts_runtime *runtime, const char *const *paths, size_t path_count,
                                  const ts_dataset_options *options);

#ifdef __cplusplus
}
#endif

#endif

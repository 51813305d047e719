/*
 * Datasets: what is in files of stories, counted in one pass; cleaning them and taking out what is there twice; and TinyStories-Instruct.
 *
 * Files of stories are .txt (stories divided by `<|endoftext|>`), .jsonl (an object a line with a string `story` or `text`), .json (one array of such objects, as the
 * shards of the original release are), each also with .gz, and archives of those (.tar, .tar.gz, .tgz); "-" is standard input, as .txt.
 *
 * A word is a run of Unicode letters and digits, with apostrophes (straight or typographers') between them: "don't" is one word, "'tis" is "tis". Words are
 * compared without regard to the case of ASCII letters. A 4-gram is four words in a row of one story.
 */
#ifndef TINYSTORIES_DATASET_H
#define TINYSTORIES_DATASET_H

#include "tinystories/base.h"
#include "tinystories/chat.h"
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
    const char *const *word_lists; /* files of words whose share is counted: a vocabulary as ts_generator_options has it (a file whose first
                                      section, [verb move] or so, comes before any word), or words divided by anything that is no word; NULL (the default): the
                                      built-in vocabulary. Of a vocabulary the verbs, nouns and adjectives count, in any of their forms */
    size_t word_list_count;
    uint32_t opening_words;     /* words that make an opening phrase, 1 to 16; default 4 */
    uint32_t reserved;
} ts_dataset_options;

TS_API ts_status ts_dataset_options_init(ts_dataset_options *options, size_t struct_size);

enum {
    TS_DATASET_BIN_WORDS = 25, /* words of a story that one element of the histogram covers */
    TS_DATASET_BINS = 41,      /* its elements, the last of which has all longer stories */
    TS_DATASET_OPENINGS = 10,  /* opening phrases that are told */
    TS_DATASET_OPENING_SIZE = 64, /* bytes of one, with its NUL */
    TS_DATASET_NGRAMS = 4,     /* n-grams of 1 to so many words are counted */
    TS_DATASET_GROWTH = 3,     /* points at which the growth of the vocabulary is told */
    TS_DATASET_KINDS = 3       /* of words in a vocabulary: verbs, nouns, adjectives */
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
    uint64_t sentences;
    uint64_t syllables;              /* of the words, counted by groups of vowels */
    uint64_t distinct_openings;      /* of the first opening_words words of stories, or all of those that have fewer */
    uint64_t opening_stories[10];    /* stories that begin with the most frequent openings, falling */
    char openings[10][64];           /* those, in small letters with single spaces, cut at 63 bytes; "" where there are no more */
    uint64_t list_words;             /* distinct words of the word lists */
    uint64_t list_words_used;        /* of those that occur in a story, in any form that the list gives */
    uint64_t listed_words;           /* occurrences of words that are in the lists */
    double words_per_sentence;
    double syllables_per_word;
    double flesch_reading_ease;      /* 206.835 - 1.015 words / sentences - 84.6 syllables / words: the higher, the easier (Flesch 1948) */
    double flesch_kincaid_grade;     /* 0.39 words / sentences + 11.8 syllables / words - 15.59: years at school (Kincaid 1975) */
    double opening_share;            /* of the stories, that the most frequent opening has */
    double listed_share;             /* listed_words / words; NaN without a word */
    double list_share_used;          /* list_words_used / list_words */
    uint64_t ngrams[4];              /* occurrences of n + 1 words in a row of one story */
    uint64_t distinct_ngrams[4];     /* their kinds */
    double distinct_ngram_share[4];  /* distinct_ngrams / ngrams: the higher, the more varied; falls with the length of a text. NaN without n-grams */
    uint64_t growth_words[3];        /* distinct words among the first 10,000, 100,000 and 1,000,000; 0 where there are fewer */
    uint64_t kind_words[3];          /* verbs, nouns and adjectives of the lists that are vocabularies; a word may be of several kinds */
    uint64_t kind_words_used[3];     /* of those that occur in a story, in any of their forms */
    uint64_t kind_occurrences[3];    /* words of the stories that are a form of one */
    double kind_share_used[3];       /* kind_words_used / kind_words; NaN without a vocabulary */
} ts_dataset_statistics;

/*
 * Counts files of stories, read as ts_tokenizer_train_files says. `options` may be NULL.
 *
 * Stories, words and 4-grams are told apart by 63 bits of a hash, so that a count of n distinct ones is exact but with a probability below n^2 / 2^64.
 * Files are streamed: memory holds the longest story, 4 bytes a story, the distinct openings with 30 bytes each, and 8 bytes times the next power of
 * two above 4/3 of the number of distinct 4-grams (of 3-grams, 2-grams, words and stories alike; half as much again while a table grows). The runtime's memory_limit bounds it (OUT_OF_MEMORY).
 *
 * INVALID_ARGUMENT: no path, a token shard, or no story at all; CANCELLED: by the progress; IO, FORMAT and LIMIT name file and line; UNSUPPORTED: a build
 * without gzip.
 */
TS_API ts_status ts_dataset_stats(ts_dataset_statistics *statistics, ts_runtime *runtime, const char *const *paths, size_t path_count,
                                  const ts_dataset_options *options);

/* ---- cleaning ---- */

/* What is mended, a bit each. */
enum {
    TS_CLEAN_MOJIBAKE = 1,    /* UTF-8 that was read as windows-1252, several times too and with bytes lost; and bytes that are windows-1252 */
    TS_CLEAN_PUNCTUATION = 2, /* quotes, dashes, ellipses and spaces to ASCII; invisible characters and backslashes are taken out */
    TS_CLEAN_SPACES = 4       /* no white space at the ends of lines, single spaces, at most one empty line */
};

/* Why a story was dropped: the first of these that is true of it, once it was mended. The rules are those published for the GPT-4 part of
 * TinyStories: what karpathy/tinystories-gpt4-clean rejects (short ones, other characters, symbols), and the ending that ad8e/TinyStories-cleaner asks for. */
enum {
    TS_DROP_NONE = 0,
    TS_DROP_SOURCE = 1,         /* its record's `source` is another one than options.source */
    TS_DROP_SHORT = 2,          /* fewer than min_characters */
    TS_DROP_CHARACTER = 3,      /* a character that is not printable ASCII, or a control character */
    TS_DROP_SYMBOL = 4,         /* one of options.symbols */
    TS_DROP_ENDING = 5,         /* it does not end in one of options.endings: it was cut off */
    TS_DROP_PROMPT = 6,         /* it holds prompt_words words in a row of a prompt */
    TS_DROP_OVERLAP = 7,        /* the same bytes are a story of `against` */
    TS_DROP_NEAR_OVERLAP = 8,   /* a story of `against` is nearly the same */
    TS_DROP_DUPLICATE = 9,      /* the same bytes were kept before */
    TS_DROP_NEAR_DUPLICATE = 10 /* a story that was kept before is nearly the same */
};

/* "short", "near_duplicate", ... as reports have it; NULL for a value that is none. A constant string. */
TS_API const char *ts_drop_name(uint32_t reason);

typedef struct ts_clean_options {
    size_t struct_size;
    uint32_t steps;            /* TS_CLEAN_ bits; default all */
    uint32_t rules;            /* 1 << TS_DROP_ of those from SHORT to ENDING that are asked for; default all four */
    const char *symbols;       /* ASCII characters that a story must not have; default "|<>/\\`*=_&@~#%[]+()": karpathy/tinystories-gpt4-clean's, and the backslash */
    const char *endings;       /* ASCII characters that a story may end in; default ".!\"?" */
    const char *source;        /* keep only records of this `source`, such as "GPT-4"; NULL (the default): all */
    uint64_t min_characters;   /* default 100 */
    uint32_t keep_duplicates;  /* 1: stories that are the same are kept; default 0 */
    uint32_t near_duplicates;  /* 1: drop what is nearly the same; default 0 */
    double jaccard;            /* the least similarity of near duplicates, 0.5 to 1; default 0.8 */
    uint32_t shingle_words;    /* words in a row that the similarity is counted by, 1 to 32; default 5 */
    uint32_t prompt_words;     /* 1 to 64; default 13 */
    const char *const *against; /* files of stories (a validation text) that no kept story may be the same as; NULL (the default): none */
    size_t against_count;
    const char *const *prompts; /* files of stories, or plain text with a prompt a line, that no kept story may have words in a row with; NULL: none */
    size_t prompt_count;
    const char *dropped;       /* a .jsonl (.gz) to write with an object {index, reason, of, jaccard, story} for each dropped story; NULL: none */
    const char *scratch;       /* folder for the file that near duplicates need, as large as the text; NULL (the default): that of the output, "." for "-" */
    ts_progress progress;      /* bytes of the files (compressed ones if they are) that were read; may be NULL */
    void *progress_user;
} ts_clean_options;

TS_API ts_status ts_clean_options_init(ts_clean_options *options, size_t struct_size);

typedef struct ts_clean_report {
    size_t struct_size;
    uint64_t stories;             /* that were read */
    uint64_t bytes;               /* of them */
    uint64_t kept;
    uint64_t kept_bytes;
    uint64_t dropped[16];         /* stories by TS_DROP_ reason */
    uint64_t repaired_stories;    /* with mojibake that was mended; this and the next three count dropped stories too */
    uint64_t repaired_characters;
    uint64_t punctuation_stories; /* with punctuation that was written in ASCII */
    uint64_t spaced_stories;      /* with white space that was changed */
    uint64_t against_stories;     /* of `against`, that are different */
    uint64_t prompt_ngrams;       /* of the prompts, that are looked for */
    uint64_t candidates;          /* pairs of stories whose similarity was counted */
    uint64_t scratch_bytes;
} ts_clean_report;

/*
 * Mends the stories of files, drops what the rules say and what is there already, and writes the others to `out` in their order: .txt or .jsonl, each also
 * with .gz, "-" as .txt to standard output; the file is replaced as a whole. A .jsonl gets the records that stories come from with their other fields.
 * `report` may be NULL. Works with all threads of the runtime; the same files give the same bytes for any number of them. An entry of TinyStories-Instruct is
 * mended as any text is, which takes the space behind its "Story:"; ts_dataset_instruct gives it back.
 *
 * Stories are the same when their mended bytes are, by 64 bits of a hash. They are nearly the same when the Jaccard similarity of their sets of shingles
 * (shingle_words words in a row, compared as ts_dataset_stats does) is at least options.jaccard: MinHash with 16 bands of 5 proposes the pairs (0.998 of
 * those at 0.8, 0.9999994 at 0.9, fewer below), up to 64 of them for a story, and the sets themselves decide, which wait in a file in the folder of
 * options.scratch that has no name. A prompt of fewer than prompt_words words is looked for as a whole if it has at least 6.
 *
 * Files are streamed: memory holds a few megabytes, 20 to 30 bytes a kept story, and with near_duplicates 150 to 230 more; 2 GB of TinyStories are about
 * 2.5 million stories.
 *
 * INVALID_ARGUMENT: no path, an option out of its range, no story at all in `against` or no words in the prompts; CANCELLED: by the progress; IO, FORMAT and LIMIT
 * name file and line; UNSUPPORTED: a build without gzip or JSON. On failure no file is left behind.
 */
TS_API ts_status ts_dataset_clean(ts_clean_report *report, ts_runtime *runtime, const char *const *paths, size_t path_count, const char *out,
                                  const ts_clean_options *options);

/*
 * Mends one story and says why the rules would drop it (*reason; may be NULL), TS_DROP_NONE to TS_DROP_ENDING. `text` gets the mended story and a NUL;
 * capacity at least *mended_size + 1, set also for BUFFER_TOO_SMALL. The files and the source of the options are not used.
 */
TS_API ts_status ts_story_clean(const char *story, size_t size, const ts_clean_options *options, char *text, size_t capacity, size_t *mended_size,
                                uint32_t *reason);

/* ---- TinyStories-Instruct ---- */

/* What an entry may have before its story, a bit each. */
enum {
    TS_INSTRUCT_WORDS = 1,    /* "Words: quit, oak, gloomy" */
    TS_INSTRUCT_FEATURES = 2, /* "Features: Dialogue, BadEnding" */
    TS_INSTRUCT_SUMMARY = 4,  /* "Summary: ..." */
    TS_INSTRUCT_SENTENCE = 8, /* "Random sentence: ...", one of the story but its first */
    TS_INSTRUCT_ALL = 15,
    TS_INSTRUCT_COUNT = 4
};

/* An entry. Sizes are bytes; a text that is NULL is not there. */
typedef struct ts_instruct {
    size_t struct_size;
    const char *words;    /* divided by a comma and a space */
    size_t words_size;
    const char *features; /* the same */
    size_t features_size;
    const char *summary;
    size_t summary_size;
    const char *sentence;
    size_t sentence_size;
    const char *story;
    size_t story_size;
    uint32_t order[4];    /* TS_INSTRUCT_ bits in the order of the headers, 0: no more */
} ts_instruct;

/*
 * What a model of TinyStories-Instruct is to be prompted with: the headers that are there, a line each, in the order that fields->order begins (the others follow
 * as features, words, summary, sentence), and "Story:". With fields->story the whole entry, "Story: " and an empty line before the story. NUL-terminated;
 * capacity at least *size + 1, *size set also for BUFFER_TOO_SMALL.
 *
 * The prompt ends at "Story:" since tokens are not divided at its end: the space and newlines that follow in the published files are the model's to write, and are
 * to be trimmed off its story. INVALID_ARGUMENT: a bit twice in the order, or something else; a NUL or `<|endoftext|>` in a field.
 */
TS_API ts_status ts_instruct_prompt(const ts_instruct *fields, char *text, size_t capacity, size_t *size);

/*
 * Reads an entry as the published files have it: headers in any order, values of several lines, "Sentence:" for "Random sentence:", headers behind the story. The
 * fields are trimmed parts of `text`, borrowed; those that are not there become NULL. fields->struct_size is set before the call. FORMAT: no "Story:", or a
 * header twice.
 */
TS_API ts_status ts_instruct_parse(ts_instruct *fields, const char *text, size_t size);

/*
 * Says what a story is about, in a line of at most `capacity` - 1 bytes: sets *size to its bytes, 0 if it has nothing to say, and writes it without a NUL.
 * Returns nonzero to stop with CANCELLED.
 */
typedef int32_t (*ts_summarizer)(void *user, const char *story, size_t story_size, char *text, size_t capacity, size_t *size);

typedef struct ts_instruct_options {
    size_t struct_size;
    uint64_t seed;           /* default 0 */
    uint32_t fields;         /* TS_INSTRUCT_ bits that may be drawn; default all */
    uint32_t always;         /* those that every entry has whose story allows it; default 0. SUMMARY gives what the published file looks like */
    uint32_t hold_out;       /* entries with all of these are kept out of the file; 0 (the default): none. The paper's: WORDS | SUMMARY (section 4.3) */
    uint32_t reserved;
    const char *held_out;    /* a file for those entries; NULL: they are dropped */
    ts_summarizer summarize; /* for stories without a summary; NULL (the default): chat's, or one or two sentences of the story itself */
    void *summarize_user;
    ts_progress progress;    /* bytes of the files (compressed ones if they are) that were read; may be NULL */
    void *progress_user;
    const ts_chat_options *chat; /* a service that writes the summaries of stories without one; NULL (the default): none. See below */
    ts_progress asking;      /* stories that need no summary of the service any more, of all; 1 waits for what is in flight, 2 gives it up; may be NULL */
    void *asking_user;
    ts_chat_report *chat_report; /* becomes what the journal holds, before each call of asking and however the call ends; struct_size set; may be NULL */
    const char *prompt;      /* what chat is asked: path of a file that replaces the built-in prompt, at most 64 KiB, in which {story}, which must be there, {words} and
                                {features} are those of the story, [...] is left out if a placeholder in it has nothing to say, and {{ }} [[ ]] are { } [ ] */
    uint32_t shard;          /* only stories whose number is `shard` modulo `shards`; default 0. Each shard needs a journal of its own */
    uint32_t shards;         /* default 1. Bounds and paces of `chat` are of all shards: each takes its part */
} ts_instruct_options;

TS_API ts_status ts_instruct_options_init(ts_instruct_options *options, size_t struct_size);

typedef struct ts_instruct_report {
    size_t struct_size;
    uint64_t stories;     /* that were read, of a shard its own */
    uint64_t entries;     /* that were written */
    uint64_t held_out;
    uint64_t without;     /* stories that none of the fields can be had of, which are left out */
    uint64_t combinations[16]; /* entries, held out ones too, by the sum of their TS_INSTRUCT_ bits */
    uint64_t summarized;   /* stories whose summary is of options.chat */
    uint64_t unsummarized; /* stories whose entry has none since what options.chat wrote cannot be used */
} ts_instruct_report;

/*
 * Makes entries of TinyStories-Instruct out of files of stories, one a story, and writes them to `out`: .txt in the published layout, or .jsonl with an object {text,
 * instruction {words, features}, summary, sentence} each, where text is the entry; each also with .gz, "-" as .txt to standard output.
 *
 * Each entry has a random subset of the fields that its story allows, every one that is not empty as likely, and its headers in random order; both are a
 * function of (seed, number of the story) alone. Words and features are those of the story's record (`instruction`, or `words` and `features`). Of a
 * story without them the words are up to three of the built-in vocabulary that are in it, a verb, a noun and an adjective, and the features what can
 * be read off it: Dialogue, and MoralValue if it says such as "the moral is", "the lesson is" or "learned that". A list that is empty stays so. The summary is the record's, else options.summarize's. The sentence is any but the first.
 * What is an entry already (the published file) keeps its fields and their order, so that it can be divided by hold_out.
 *
 * With options.chat the entries that draw a summary which no record has are asked for first, options.chat.in_flight at a time, and the files are written when
 * all are answered, as a function of files, options and journal. A journal belongs to these stories and options: MISMATCH if it was made for others. What it
 * has is never asked for again, so that the same call goes on after any end. A summary that is cut off, filtered or empty leaves its entry without one. The files
 * are read three times ("-" is refused); memory holds a bit a story besides. Statuses are those of ts_generator_new and ts_generator_write with a chat author.
 * The journals of shards are of the same stories and options: ts_summaries_merge makes one of them.
 *
 * INVALID_ARGUMENT: no path, options out of range; CANCELLED: by the progress or the summarizer; IO, FORMAT and LIMIT name file and line; UNSUPPORTED: a build
 * without gzip or JSON. On failure no file is left behind. `report` may be NULL.
 */
TS_API ts_status ts_dataset_instruct(ts_instruct_report *report, ts_runtime *runtime, const char *const *paths, size_t path_count, const char *out,
                                     const ts_instruct_options *options);

/*
 * The summaries that ts_dataset_instruct with the same files and options asks options.chat for: to be looked at before, or asked for in another way. What is in
 * the journal then ts_dataset_instruct does not ask for; free the handle before, a journal is one's at a time. A handle is one thread's at a time (BUSY).
 */
typedef struct ts_summaries ts_summaries;

/*
 * Reads the files and opens the journal; nothing is sent. Of the options those count that ts_dataset_instruct draws and asks by: seed, fields, always, chat, prompt,
 * shard and shards. INVALID_ARGUMENT: no chat, and what ts_dataset_instruct says of files and options; FORMAT: the prompt, with file and placeholder; and
 * what opening a journal may answer (ts_generator_new).
 */
TS_API ts_status ts_summaries_new(ts_summaries **out, ts_runtime *runtime, const char *const *paths, size_t path_count, const ts_instruct_options *options);
TS_API void ts_summaries_free(ts_summaries *summaries);

/* How many there are, those that the journal has included; of a shard its own. 0 for NULL. */
TS_API uint64_t ts_summaries_count(const ts_summaries *summaries);

/* What number `place` of these, from 0 on, is asked by; NUL-terminated, capacity at least *size + 1, *size set also for BUFFER_TOO_SMALL. */
TS_API ts_status ts_summaries_prompt(ts_summaries *summaries, uint64_t place, char *text, size_t capacity, size_t *size);

/* What they would cost at most, those that the journal has left out: requests, tokens and money of the report. Nothing is sent. */
TS_API ts_status ts_summaries_estimate(ts_summaries *summaries, ts_chat_report *report);

/* What the journal holds and has cost. */
TS_API ts_status ts_summaries_chat_report(ts_summaries *summaries, ts_chat_report *report);

/* Takes the replies of another shard's journal: as ts_generator_merge. */
TS_API ts_status ts_summaries_merge(ts_summaries *summaries, const char *journal, uint64_t *taken);

/* By batches, as ts_generator_batch_step, _write and _read are for stories: report.left is 0 once ts_dataset_instruct would ask for nothing. */
TS_API ts_status ts_summaries_batch_step(ts_summaries *summaries, ts_batch_report *report);
TS_API ts_status ts_summaries_batch_write(ts_summaries *summaries, const char *path, ts_batch_report *report);
TS_API ts_status ts_summaries_batch_read(ts_summaries *summaries, const char *path, ts_batch_report *report);

#ifdef __cplusplus
}
#endif

#endif

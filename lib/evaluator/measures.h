/*
 * What the embedded judge sees of a text: words, rules, and an n-gram model of some other text.
 */
#ifndef TS_EVALUATOR_MEASURES_H
#define TS_EVALUATOR_MEASURES_H

#include "tinystories/evaluator.h"

#include "base/base.h"

/* ---- measures.c ---- */

/* The measures in their order; each has a name in measures.c, where it is told what it counts. */
typedef enum ts_measure {
    TS_MEASURE_LENGTH,
    TS_MEASURE_VARIETY,
    TS_MEASURE_SENTENCE,
    TS_MEASURE_PARAGRAPHS,
    TS_MEASURE_SPEECH,
    TS_MEASURE_EXCLAMATIONS,
    TS_MEASURE_DOUBLED,
    TS_MEASURE_SMALL_STARTS,
    TS_MEASURE_OPEN_QUOTE,
    TS_MEASURE_UNFINISHED,
    TS_MEASURE_ARTICLES,
    TS_MEASURE_REPETITION,
    TS_MEASURE_NAMES,
    TS_MEASURE_NAMED,
    TS_MEASURE_GENDERS,
    TS_MEASURE_PRONOUNS,
    TS_MEASURE_CARRIED,
    TS_MEASURE_CLOSE,
    TS_MEASURE_FOLLOWED,
    TS_MEASURE_ASKED,
    TS_MEASURE_BAD_ENDING,
    TS_MEASURE_LOSS,
    TS_MEASURE_BEGINNING,
    TS_MEASURE_WORST,
    TS_MEASURE_SURPRISES,
    TS_MEASURE_UNKNOWN,
    TS_MEASURE_NOVELTY,
    TS_MEASURE_FIRST,
    TS_MEASURE_COMMON_WORST,
    TS_MEASURE_ODD_PAIRS,
    TS_MEASURE_OPENING,
    TS_MEASURE_MISPLACED,
    TS_MEASURE_COPIED,
    TS_MEASURE_RETURNS,
    TS_MEASURE_NEWCOMERS,
    TS_MEASURE_LITTLE_WORDS,
    TS_MEASURE_PRESENT
} ts_measure;

typedef struct ts_language ts_language;

/* Measures a record; `language` may be NULL. OUT_OF_MEMORY alone. */
ts_status ts_measure_record(ts_runtime *runtime, const ts_language *language, const ts_record *record, double measures[TS_MEASURE_COUNT]);

/* What a completion has of its instruction. OUT_OF_MEMORY alone. */
ts_status ts_measure_followed(ts_runtime *runtime, const ts_record *record, ts_followed *followed);

/* ---- passage.c: a text as words and marks ---- */

enum { SHORTEST_CONTENT = 4 }; /* characters of a word that is likely to carry meaning */

typedef struct ts_token {
    uint64_t hash;    /* the same for ASCII capitals and small letters */
    const char *text; /* borrowed */
    uint32_t size;
    bool word, capital; /* letters or digits; begins with an ASCII capital */
    bool breaks;        /* a line ends before it */
} ts_token;

typedef struct ts_token_list {
    ts_token *items;
    size_t count, capacity;
} ts_token_list;

/* Appends the words and marks of a text. */
ts_status ts_tokens_add(ts_runtime *runtime, ts_token_list *list, const char *text, size_t size);
bool ts_tokens_have(const ts_token *tokens, size_t from, size_t to, uint64_t hash);

bool ts_token_is(const ts_token *token, const char *word);
bool ts_token_is_any(const ts_token *token, const char *const *words, size_t count);
bool ts_token_ends_sentence(const ts_token *token);
bool ts_token_is_quote(const ts_token *token);

/* ---- followed.c: instructions ---- */

/* A completion behind its prompt: tokens[0 .. known) are the prompt. */
typedef struct ts_passage {
    const ts_token *tokens;
    size_t known, count;
} ts_passage;

/* OUT_OF_MEMORY alone. */
ts_status ts_passage_followed(const ts_passage *passage, ts_runtime *runtime, const ts_record *record, ts_followed *followed);
/* A bad ending is asked for, and no sad word is in the last third. */
bool ts_passage_misses_bad_ending(const ts_passage *passage, const ts_record *record);

/* ---- language.c: an interpolated Kneser-Ney model of words and marks, three at a time ---- */

enum { TS_LANGUAGE_MOST_TEXT = 16 << 20 }; /* bytes that it learns from */

/* What of a text the model finds how likely. */
typedef struct ts_surprise {
    double loss;      /* mean nats of a token, the end included */
    double beginning; /* of the first 12 tokens */
    double worst;     /* mean of the tenth of the tokens that are the least likely */
    double surprises; /* share of tokens of more than 8 nats */
    double unknown;   /* share of tokens that the text has not */
    double novelty;   /* share of three tokens in a row that the text has not */
    double first;     /* mean nats of the first sentence */
    double common;    /* mean of the tenth of the common words (more than one of 1,000 tokens of the text) that are the least likely */
    double odd;       /* share of pairs of neighbours, both of them common, that the text never has */
    double opening;   /* the most of the first 5 tokens */
    double misplaced; /* median nats of a token beyond those of its frequency alone */
    double copied;    /* share of tokens in runs of 13 that begin at every fourth token of the text: all but the ends of longer copies; no deviation, but the share itself */
} ts_surprise;

/* Learns from files of stories. Every 20th story is held out; of those the mean and the deviation of each surprise are kept, and surprises given in
 * these units, but for `copied`. INVALID_ARGUMENT: fewer than 40 stories. */
ts_status ts_language_learn(ts_language **out, ts_runtime *runtime, const char *const *paths, size_t count);
void ts_language_free(ts_language *language);

/* Of `tokens`, the first `known` of which are only what stands before. */
ts_status ts_language_surprise(const ts_language *language, const ts_token_list *tokens, size_t known, ts_surprise *surprise);
uint64_t ts_language_stories(const ts_language *language);

#endif

/*
 * The embedded author: the plots (plots.txt) and how a story is told from them.
 */
#ifndef TS_GENERATOR_AUTHOR_H
#define TS_GENERATOR_AUTHOR_H

#include "generator/word_list.h"

enum {
    TS_MOST_STORY = 8192,  /* bytes of a story */
    TS_MOST_SUMMARY = 1024 /* bytes of a summary */
};

/* A phrase has alternatives, one a line; a plot has paragraphs, one a line, the first of which is its summary. */
typedef struct ts_phrase {
    const char *name;
    size_t name_size, first, count; /* lines[first..first + count) */
    uint32_t things;                /* plots: classes of nouns that its thing may be, a bit each; 0: it has none */
    uint32_t roles;                 /* plots: the other actors and places that it surely speaks of, a bit each: 1 << TS_ROLE_ */
    bool child;                     /* plots: the hero is a child */
} ts_phrase;

typedef struct ts_line {
    const char *text;
    size_t size;
} ts_line;

typedef struct ts_grammar {
    ts_runtime *runtime; /* borrowed */
    ts_phrase *phrases;
    ts_line *lines;
    size_t phrase_count, phrase_capacity, line_count, line_capacity;
    size_t *plots; /* numbers of the phrases that are plots */
    size_t plot_count, plot_capacity;
} ts_grammar;

/* Reads plots; `text` is borrowed. FORMAT: a line is wrong, or a word of it is not in the vocabulary. Frees what it made on failure. */
ts_status ts_grammar_read(ts_grammar *grammar, ts_runtime *runtime, const ts_word_list *vocabulary, const char *text, size_t size);
void ts_grammar_free(ts_grammar *grammar);
const ts_phrase *ts_grammar_find(const ts_grammar *grammar, const char *name, size_t size);

enum { TS_ROLE_HERO, TS_ROLE_FRIEND, TS_ROLE_GROWN, TS_ROLE_ANIMAL, TS_ROLE_PERSON, TS_ACTORS, TS_ROLE_PLACE = TS_ACTORS, TS_ROLE_FOOD };

typedef struct ts_actor {
    const char *name;    /* a name; NULL: "the owl" */
    const ts_entry *word; /* what it is; NULL: a child or a grown-up */
    bool she;
} ts_actor;

enum { TS_DRAWN_VERB, TS_DRAWN_NOUN, TS_DRAWN_ADJECTIVE };

/* A story while it is told. */
typedef struct ts_telling {
    const ts_word_list *vocabulary;
    const ts_grammar *grammar;
    ts_random random;
    uint32_t features;
    const ts_phrase *plot;
    ts_actor actors[TS_ACTORS];
    const ts_entry *drawn[3]; /* TS_DRAWN_ */
    const ts_entry *thing, *thing_adjective, *hero_adjective, *place, *food;
    bool placed[3]; /* the drawn word has a part in the plot, so that it needs no sentence of its own */
    bool used[3];   /* it was said */
    uint32_t dice[2]; /* 0 to 3: choices that several sentences must agree on */
    /* discourse */
    int focus[2]; /* whom "he" and "she" mean; -1: nobody */
    int subject;  /* of the last sentence */
    bool thing_told;
    char *out; /* raw text, of `capacity` bytes */
    size_t size, capacity;
    bool failed; /* too long or too deep */
} ts_telling;

/* ---- phrase.c ---- */

/* Tells a line: alternatives, guards, phrases and references. `depth` counts from 0. */
void ts_tell(ts_telling *telling, const char *text, size_t size, uint32_t depth);

/* Makes raw text fit to print: spaces, capitals, a and an. `out` holds `capacity` bytes; gives the size, 0 if it did not fit. */
size_t ts_polish(char *out, size_t capacity, const char *raw, size_t size);

/* ---- reference.c ---- */

/* Says [reference.form]; false if there is no such reference. */
bool ts_say(ts_telling *telling, const char *text, size_t size);
void ts_say_text(ts_telling *telling, const char *text, size_t size);

/* ---- author.c ---- */

typedef struct ts_draft {
    char story[TS_MOST_STORY], summary[TS_MOST_SUMMARY], raw[TS_MOST_STORY];
    size_t story_size, summary_size;
    const ts_entry *drawn[3];
    uint32_t features;
} ts_draft;

/* Writes story `index` of `seed`; a function of these, the vocabulary, the plots and the features that may be drawn. */
ts_status ts_author_write(ts_draft *draft, const ts_word_list *vocabulary, const ts_grammar *grammar, uint64_t seed, uint64_t index, uint32_t allowed);

#endif

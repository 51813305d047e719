/*
 * The embedded author: the plots (plots.txt), the small world that a story happens in, and how it is told.
 *
 * A plot asks for people, a place, a thing and a need (something out of reach, a dark cave, a hungry animal ...). Casting fills these with words
 * whose tags fit, so that events have reasons: what is broken can break, what helps is good for that. The drawn words take parts in the plot where
 * they fit. Telling keeps the facts that a line sets, and later lines ask for them.
 */
#ifndef TS_GENERATOR_AUTHOR_H
#define TS_GENERATOR_AUTHOR_H

#include "generator/draw.h"

enum {
    TS_MOST_STORY = 8192,   /* bytes of a story */
    TS_MOST_SUMMARY = 1024, /* bytes of a summary */
    TS_MOST_FACTS = 64,
    TS_MOST_LINES = 2048,
    TS_MOST_RECENT = 16 /* words drawn in passing that are not drawn again soon */
};

/* Which words may play a part: of one of these classes, with all of these tags, any of those (0: no matter) and none of the last. */
typedef struct ts_part {
    uint32_t kind, classes;
    uint64_t all, any, none;
    bool counted; /* no mass noun */
} ts_part;

enum { TS_ROLE_HERO, TS_ROLE_FRIEND, TS_ROLE_GROWN, TS_ROLE_ANIMAL, TS_ROLE_PERSON, TS_ACTORS };
enum { TS_PART_THING, TS_PART_TOOL, TS_PART_PLACE, TS_PART_FOOD, TS_PART_ANIMAL, TS_PART_PERSON, TS_PART_TEMPER, TS_PART_WEATHER, TS_PART_COUNT };

/* A phrase has alternatives, one a line; a plot has paragraphs, one a line, the first of which is its summary. */
typedef struct ts_phrase {
    const char *name;
    size_t name_size, first, count; /* lines[first..first + count) */
    ts_part parts[TS_PART_COUNT];   /* plots: who plays what */
    uint32_t asked;                 /* plots: the parts that the plot surely speaks of, 1 << TS_PART_ */
    bool child;                     /* plots: the hero is a child */
} ts_phrase;

typedef struct ts_line {
    const char *text;
    size_t size;
    uint32_t mentions; /* 1 << TS_MENTION_: references that it, or a phrase that it tells, may say */
    uint32_t says;     /* of these, its own */
} ts_line;

typedef struct ts_grammar {
    ts_runtime *runtime; /* borrowed */
    char *text;          /* the built-in plots, or NULL */
    char *words;         /* of them, those that the vocabulary lacked, or NULL */
    ts_phrase *phrases;
    ts_line *lines;
    size_t phrase_count, phrase_capacity, line_count, line_capacity;
    size_t *plots; /* numbers of the phrases that are plots */
    size_t plot_count, plot_capacity;
    ts_line facts[TS_MOST_FACTS]; /* names */
    size_t fact_count;
} ts_grammar;

/* Reads plots; `text` is borrowed. FORMAT: a line is wrong, or a word of it is not in the vocabulary, or no plot is left. Plots
 * for whose parts the vocabulary has no word are left out, which is logged. Frees what it made on failure. */
ts_status ts_grammar_read(ts_grammar *grammar, ts_runtime *runtime, const ts_word_list *vocabulary, const char *text, size_t size);
/* Reads the built-in plots, and adds the words that they are told with to the forms of a vocabulary that lacks them. */
ts_status ts_grammar_open(ts_grammar *grammar, ts_runtime *runtime, ts_word_list *vocabulary);
void ts_grammar_free(ts_grammar *grammar);
const ts_phrase *ts_grammar_find(const ts_grammar *grammar, const char *name, size_t size);
int ts_fact_find(const ts_grammar *grammar, const char *name, size_t size);

enum { TS_HE, TS_SHE, TS_IT, TS_GENDERS };

typedef struct ts_actor {
    const char *name;     /* a name; NULL: "the owl" */
    const ts_entry *word; /* what it is; NULL: a child or a grown-up */
    uint32_t gender;
} ts_actor;

/* A story while it is told. */
typedef struct ts_telling {
    const ts_word_list *vocabulary;
    const ts_grammar *grammar;
    ts_random random;
    uint32_t features;
    const ts_entry *const *names; /* of hero and friend; NULL: one is drawn */
    const ts_phrase *plot;
    /* the world */
    ts_actor actors[TS_ACTORS];
    const ts_entry *parts[TS_PART_COUNT]; /* TEMPER: the hero's, or NULL */
    const ts_entry *thing_adjective;      /* or NULL */
    bool noun_has_part;                   /* the drawn noun is one of these: it needs no place of its own */
    uint64_t facts;                       /* 1 << number in the grammar */
    uint32_t dice[2];                     /* 0 to 7: choices that several sentences must agree on */
    /* what was drawn and what was told of it */
    const ts_entry *drawn[TS_DRAWN_COUNT];
    uint32_t used[TS_DRAWN_COUNT];           /* how often it was said */
    uint32_t told;                           /* features */
    bool fallback;                           /* the drawn words may get sentences of their own */
    uint64_t lines_told[TS_MOST_LINES / 64]; /* lines of phrases: none is told twice while there are others */
    /* discourse */
    int focus[TS_GENDERS];         /* whom he, she and it mean; -1: nobody */
    int before[TS_GENDERS];        /* whom they meant before the last name; -1: nobody */
    size_t subject_at[TS_GENDERS]; /* where the focus was named as a subject; SIZE_MAX: otherwise than that */
    int subject;                   /* of the last sentence */
    uint32_t named;                /* 1 << role: those that this paragraph has named: a name comes before its pronouns */
    const ts_entry *recent[TS_MOST_RECENT];
    size_t recent_count;
    char *out; /* raw text, of `capacity` bytes */
    size_t size, capacity;
    bool failed; /* too long or too deep */
} ts_telling;

/* ---- cast.c ---- */

/* Draws a word that may play a part; NULL if there is none. */
const ts_entry *ts_draw_part(ts_telling *telling, const ts_part *part);
bool ts_part_fits(const ts_part *part, const ts_entry *word);

/* Chooses who and what is in the plot. */
void ts_cast(ts_telling *telling);

/* ---- phrase.c ---- */

/* Tells a line: alternatives, guards, phrases and references. `depth` counts from 0. */
void ts_tell(ts_telling *telling, const char *text, size_t size, uint32_t depth);

/* Whether a guard may ask this: what a plot can ask is told in plots.txt. */
bool ts_condition_known(const ts_grammar *grammar, const char *name, size_t size);

/* ---- polish.c ---- */

/* Makes raw text fit to print: spaces, capitals, a and an. `out` holds `capacity` bytes; gives the size, 0 if it did not fit. */
size_t ts_polish(char *out, size_t capacity, const char *raw, size_t size);

/* ---- slots.c ---- */

/* A paragraph begins: whoever it speaks of is named first. */
void ts_say_paragraph(ts_telling *telling);

/* Says [reference.form]; false if there is no such reference. */
bool ts_say(ts_telling *telling, const char *text, size_t size);
void ts_say_text(ts_telling *telling, const char *text, size_t size);

/* References that may say a drawn word. */
enum {
    TS_MENTION_VERB,
    TS_MENTION_NOUN,
    TS_MENTION_ADJECTIVE,
    TS_MENTION_WEATHER,
    TS_MENTION_ACTOR,                               /* and on, in the order of roles */
    TS_MENTION_PART = TS_MENTION_ACTOR + TS_ACTORS, /* thing, tool, place, food */
    TS_MENTION_COUNT = TS_MENTION_PART + 4
};

/* The mention of [reference.form], TS_MENTION_COUNT if it never says a drawn word. */
uint32_t ts_mention(const char *text, size_t size);

/* The mentions, a bit each, that would say a drawn word which was not said yet. */
uint32_t ts_wanted(const ts_telling *telling);

/* ---- author.c ---- */

typedef struct ts_draft {
    char story[TS_MOST_STORY], summary[TS_MOST_SUMMARY], raw[TS_MOST_STORY];
    size_t story_size, summary_size;
    const ts_entry *drawn[TS_DRAWN_COUNT];
    const ts_phrase *plot;
    uint32_t features;
} ts_draft;

/* Writes story `index` of `seed`; a function of these, the vocabulary, the plots, the features that may be drawn and the names of hero and friend, NULL for drawn
 * ones. */
ts_status ts_author_write(ts_draft *draft, const ts_word_list *vocabulary, const ts_grammar *grammar, uint64_t seed, uint64_t index,
                          uint32_t allowed, const ts_entry *const names[2]);

#endif

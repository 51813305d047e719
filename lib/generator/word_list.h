/*
 * The vocabulary of stories: words.txt read into tables. Never changes once made.
 */
#ifndef TS_GENERATOR_VOCABULARY_H
#define TS_GENERATOR_VOCABULARY_H

#include "base/base.h"

enum { TS_KIND_VERB, TS_KIND_NOUN, TS_KIND_ADJECTIVE, TS_KIND_NAME, TS_KIND_FUNCTION, TS_KIND_COUNT };

enum {
    TS_MOST_CLASSES = 16, /* of one kind */
    TS_MOST_FORM = 48     /* bytes of a word's form with its NUL */
};

typedef struct ts_entry {
    const char *base;
    const char *s;      /* plural of a noun, third person of a verb; NULL for the others */
    const char *past;   /* of a verb */
    const char *ing;    /* of a verb */
    const char *object; /* what a verb is said with, "the floor" or "[his] hands"; or NULL */
    uint8_t kind, class_;
    bool mass;     /* a noun that is not counted: some milk */
    uint64_t tags; /* what it is good for and what it is like, a bit each: see ts_tag_find */
} ts_entry;

typedef struct ts_word_list {
    ts_runtime *runtime; /* borrowed */
    char *pool;          /* all strings */
    size_t pool_used, pool_size;
    ts_entry *words; /* sorted by kind, class, then as they were read */
    size_t word_count, word_capacity;
    /* of words: those of a kind, and of a class of it */
    size_t kind_start[TS_KIND_COUNT + 1], class_start[TS_KIND_COUNT][TS_MOST_CLASSES + 1];
    const char **bases[3]; /* verbs, nouns, adjectives */
    const char **forms;    /* every form, lower case, sorted, each once */
    size_t form_count, form_capacity;
} ts_word_list;

/* Reads a vocabulary; `name` is for the details of failures. FORMAT names line and word. Frees what it made on failure. */
ts_status ts_word_list_read(ts_word_list *vocabulary, ts_runtime *runtime, const char *text, size_t size, const char *name);
/* The built-in vocabulary. */
ts_status ts_word_list_open(ts_word_list *vocabulary, ts_runtime *runtime);
void ts_word_list_free(ts_word_list *vocabulary);

/* Adds `count` forms (lower case), one behind another with a NUL after each, borrowed as long as the vocabulary lives. */
ts_status ts_word_list_add(ts_word_list *vocabulary, const char *words, size_t count);

/* Whether a form (lower case) is known. */
bool ts_word_list_has(const ts_word_list *vocabulary, const char *form, size_t size);

/* The number of the class of a kind that is called so, -1 for none; and its name. */
int ts_class_find(uint32_t kind, const char *name, size_t size);
const char *ts_class_name(uint32_t kind, uint32_t number);

/* The number of a tag, -1 if there is none of this name. */
int ts_tag_find(const char *name, size_t size);

/* ---- inflect.c: English by rule; irregular forms are in the file. `out` holds TS_MOST_FORM bytes, `base` at most TS_MOST_FORM - 8 ---- */

void ts_inflect_s(char *out, const char *base);
void ts_inflect_past(char *out, const char *base);
void ts_inflect_ing(char *out, const char *base);

/* Whether "an" goes before this word (lower or upper case). */
bool ts_takes_an(const char *word, size_t size);

#endif

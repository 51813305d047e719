/*
 * What a chat service is asked for: a function of (seed, index), the vocabulary and a template.
 */
#ifndef TS_GENERATOR_PROMPT_H
#define TS_GENERATOR_PROMPT_H

#include "generator/draw.h"

/* A list of entries, borrowed from a template's text. */
typedef struct ts_prompt_list {
    const char *name;
    size_t name_size, first, count; /* entries[first..first + count) */
} ts_prompt_list;

typedef struct ts_prompt_entry {
    const char *text;
    size_t size;
} ts_prompt_entry;

typedef struct ts_prompt {
    ts_runtime *runtime; /* borrowed */
    char *text;          /* the user's file, or NULL */
    ts_prompt_list *lists;
    ts_prompt_entry *entries;
    size_t list_count, list_capacity, entry_count, entry_capacity;
    const char *template; /* the prompt, `template_size` bytes */
    size_t template_size;
    uint64_t fingerprint; /* of everything above */
} ts_prompt;

/* Reads the template file `path`, NULL: the built-in one. FORMAT names the file, the line or the placeholder. Frees what it made on failure. */
ts_status ts_prompt_read(ts_prompt *prompt, ts_runtime *runtime, const char *path);
void ts_prompt_free(ts_prompt *prompt);

/* Appends the prompt of story `index`. */
ts_status ts_prompt_write(const ts_prompt *prompt, const ts_drawn *drawn, uint64_t seed, uint64_t index, ts_bytes *out);

#endif

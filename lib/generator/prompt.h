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

/* PAPER asks for a story as the paper does, VARIED for more besides; SEVERAL frames the prompts of several stories that are asked for in one call. */
enum { TS_TEMPLATE_PAPER, TS_TEMPLATE_VARIED, TS_TEMPLATE_SEVERAL, TS_TEMPLATE_COUNT };

enum { TS_PROMPT_MOST_LISTS = 256 };

#define TS_PROMPT_DIVIDER "+++++" /* a line between two stories of one reply */

typedef struct ts_prompt {
    ts_runtime *runtime; /* borrowed */
    char *text;          /* the user's file, or NULL */
    char *built_in;
    ts_prompt_list *lists;
    ts_prompt_entry *entries;
    size_t list_count, list_capacity, entry_count, entry_capacity;
    ts_prompt_entry templates[TS_TEMPLATE_COUNT];
    uint64_t fingerprint; /* of everything above */
} ts_prompt;

/* Reads the template file `path`, NULL: the built-in one. FORMAT names the file, the line or the placeholder. Frees what it made on failure. */
ts_status ts_prompt_read(ts_prompt *prompt, ts_runtime *runtime, const char *path);
void ts_prompt_free(ts_prompt *prompt);

/* Whose story a prompt is for. */
typedef struct ts_asked {
    const ts_drawn *drawn;
    uint64_t seed, index;
    uint32_t template; /* TS_TEMPLATE_PAPER or VARIED */
} ts_asked;

/* Appends the prompt of one story. */
ts_status ts_prompt_write(const ts_prompt *prompt, const ts_asked *asked, ts_bytes *out);

/* Appends the prompt that asks for all of these stories, `count` of them. */
ts_status ts_prompt_write_several(const ts_prompt *prompt, const ts_asked *asked, size_t count, ts_bytes *out);

/* Appends what was drawn for a story's prompt besides words and features: {"theme": "..."}, a member for each list that the template draws from. */
ts_status ts_prompt_describe(const ts_prompt *prompt, const ts_asked *asked, ts_bytes *out);

#endif

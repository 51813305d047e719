/* Summaries by a chat service: asked for before the entries are written, and kept in its journal. */
#ifndef TS_GENERATOR_INSTRUCT_SUMMARIES_H
#define TS_GENERATOR_INSTRUCT_SUMMARIES_H

#include "chat/chat.h"
#include "generator/instruct_entry.h"

typedef struct ts_summaries {
    ts_runtime *runtime;
    const char *const *paths;
    size_t path_count;
    const ts_instruct_options *options;
    ts_maker maker;
    ts_stories *stories;
    uint64_t next;   /* number of the story that is read next */
    uint64_t *asked; /* a bit a story: its entry has a summary that only the service can give */
    size_t capacity;
    uint64_t count;
    ts_chat *chat;
} ts_summaries;

/*
 * Reads the files, opens options->chat for the stories whose entries need a summary, and has them answered: as ts_chat_open and ts_chat_run. Zero-initialized
 * before; ts_summaries_close also after a failure.
 */
ts_status ts_summaries_ask(ts_summaries *summaries, ts_runtime *runtime, const char *const *paths, size_t path_count, const ts_instruct_options *options);
void ts_summaries_close(ts_summaries *summaries);

/* Appends the summary of story `index` in one line, nothing if there is none that can be used. `user` are the summaries. */
ts_status ts_summaries_text(void *user, uint64_t index, ts_bytes *summary);

#endif

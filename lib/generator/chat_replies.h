/*
 * Replies of the chat author: the stories in them, what the journal keeps of each besides, and the records that they make.
 *
 * With a call's result the journal keeps {"source": model, "seed": "3", "stories": [{"words": [...], "features": [...], "drawn": {...}, "unfit":
 * [...]}]}, a story for each that was asked for, so that records are a function of the journal alone.
 */
#ifndef TS_GENERATOR_CHAT_REPLIES_H
#define TS_GENERATOR_CHAT_REPLIES_H

#include "chat/chat.h"
#include "generator/prompt.h"
#include "tinystories/generator.h"

enum {
    TS_MOST_A_CALL = 64, /* stories */
    TS_UNFIT_MISSING = 4 /* besides the TS_UNFIT_ bits: a reply of several stories has no such part */
};

typedef struct ts_piece {
    const char *text;
    size_t size; /* 0: there is none */
} ts_piece;

/* The stories of a reply to a call for `count` of them, in its text; trimmed. */
void ts_pieces_find(ts_piece *pieces, size_t count, const char *text, size_t size);

/* Appends what the journal keeps; pieces NULL: nothing came that can be used. *unfit becomes the number of stories that do not fit or are missing. */
ts_status ts_reply_describe(ts_bytes *object, const ts_prompt *prompt, const char *source, const ts_asked *asked, size_t count,
                            const ts_piece *pieces, uint32_t *unfit);

/* A line of the journal and the stories in it. Zero-initialized, then the runtimes set. */
typedef struct ts_reply {
    ts_runtime *runtime; /* borrowed */
    ts_json *line;       /* NULL: none is open */
    ts_json *about;      /* of a line that keeps nothing, or NULL */
    const ts_json *stories;
    ts_piece pieces[TS_MOST_A_CALL];
    size_t count;
    ts_bytes story, drawn, provenance;
} ts_reply;

/* Takes over a line. `about` (may be NULL) is what stands for what the line does not keep. */
ts_status ts_reply_open(ts_reply *reply, ts_json *line, const char *about);
void ts_reply_close(ts_reply *reply);

/* The TS_UNFIT_ bits of a story of the reply, TS_UNFIT_MISSING for one that is not there. */
uint32_t ts_reply_unfit(const ts_reply *reply, size_t place);

/* The record of a story that is there; the index is the caller's to set. Borrowed until the next one. */
ts_status ts_reply_story(ts_reply *reply, size_t place, ts_story *story);

#endif

/* An entry of TinyStories-Instruct made of a story: what can be had of it, and what is drawn of that. */
#ifndef TS_GENERATOR_INSTRUCT_ENTRY_H
#define TS_GENERATOR_INSTRUCT_ENTRY_H

#include "format/format.h"
#include "generator/word_list.h"
#include "text/text.h"
#include "tinystories/dataset.h"

typedef struct ts_maker {
    const ts_instruct_options *options;
    ts_word_list vocabulary;
    ts_hash_map forms; /* a form of a word: its number in the vocabulary */
    ts_bytes words, features, summary, entry;
    ts_instruct fields; /* what was drawn of the present story: parts of the buffers above, of its record, and of itself */
    uint32_t drawn;     /* TS_INSTRUCT_ bits */
    bool asks;          /* with options->chat: a summary was drawn that the service has to give */
    ts_status (*answer)(void *user, uint64_t index, ts_bytes *summary); /* what it gave, nothing if that cannot be used; NULL: not asked yet */
    void *answer_user;
} ts_maker;

/* Zero-initialized before; ts_maker_free also after a failure. */
ts_status ts_maker_start(ts_maker *maker, ts_runtime *runtime, const ts_instruct_options *options);
void ts_maker_free(ts_maker *maker);

/* Draws what the entry of story `index` has; `record` may be NULL. maker->drawn is 0 when nothing can be had. */
ts_status ts_maker_draw(ts_maker *maker, const ts_json *record, const char *story, size_t size, uint64_t index);

/* Writes the entry into maker->entry: in the published layout, or as a line of JSON. */
ts_status ts_maker_write(ts_maker *maker, bool lines);

#endif

/*
 * The chat author: prompts drawn from vocabulary and template, asked of a chat service, and the stories that its journal holds.
 */
#ifndef TS_GENERATOR_CHAT_AUTHOR_H
#define TS_GENERATOR_CHAT_AUTHOR_H

#include "generator/prompt.h"
#include "tinystories/generator.h"

typedef struct ts_chat_author ts_chat_author;

/* `vocabulary` is borrowed for as long as the author lives. Nothing is sent yet. */
ts_status ts_chat_author_open(ts_chat_author **out, ts_runtime *runtime, const ts_word_list *vocabulary, const ts_generator_options *options);
/* For ts_chat_author_calls, _story and _report alone: of whatever journal, which says itself what its stories were asked for. */
ts_status ts_chat_author_open_to_read(ts_chat_author **out, ts_runtime *runtime, const char *journal, uint32_t reject);
/* Stories a call. */
uint32_t ts_chat_author_group(const ts_chat_author *author);
void ts_chat_author_close(ts_chat_author *author);

/*
 * Has `range->count` stories that can be used in the journal, asking for what it lacks; for each one that cannot be used, however often it was asked for
 * as options.asks allows, the range grows by one.
 * LIMIT if more than half of them cannot.
 */
ts_status ts_chat_author_ask(ts_chat_author *author, ts_story_range *range, ts_progress progress, void *progress_user);

/* The same by batches, which end after any number of steps: report->left is 0 once the journal has what the range wants. Each adds to the report. */
ts_status ts_chat_author_batch_step(ts_chat_author *author, const ts_story_range *range, ts_batch_report *report);
ts_status ts_chat_author_batch_write(ts_chat_author *author, const ts_story_range *range, const char *path, ts_batch_report *report);
ts_status ts_chat_author_batch_read(ts_chat_author *author, const ts_story_range *range, const char *path, ts_batch_report *report);

ts_status ts_chat_author_merge(ts_chat_author *author, const char *path, uint64_t *taken);

/* Has the calls made that bring one story, unless it is in the journal; whether it can be used does not matter. */
ts_status ts_chat_author_ask_one(ts_chat_author *author, uint64_t index);

/* Whether the journal has story `index` and it can be used; it is borrowed until the next call. *usable is false for those that cannot. */
ts_status ts_chat_author_story(ts_chat_author *author, uint64_t index, ts_story *story, bool *usable);

/* The calls that the journal has a reply of, ascending: *calls is the caller's to release by the runtime, NULL for none. */
ts_status ts_chat_author_calls(const ts_chat_author *author, uint64_t **calls, size_t *count);

/* Appends the prompt of the call that asks for a story. */
ts_status ts_chat_author_prompt(ts_chat_author *author, uint64_t index, ts_bytes *text);

ts_status ts_chat_author_estimate(ts_chat_author *author, const ts_story_range *range, ts_chat_report *report);
void ts_chat_author_report(const ts_chat_author *author, ts_chat_report *report);

#endif

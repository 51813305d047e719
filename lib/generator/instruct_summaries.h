/* Summaries by a chat service: asked for before the entries are written, and kept in its journal. The handle is public, tinystories/dataset.h. */
#ifndef TS_GENERATOR_INSTRUCT_SUMMARIES_H
#define TS_GENERATOR_INSTRUCT_SUMMARIES_H

#include "base/base.h"
#include "tinystories/dataset.h"

/* Of files and options, read over their defaults, for the public function `call`. */
ts_status ts_instruct_check(const char *call, const char *const *paths, size_t path_count, const ts_instruct_options *options);
extern const ts_instruct_options ts_instruct_defaults;

/* Has all of them answered; tells options->asking and options->chat_report meanwhile. */
ts_status ts_summaries_ask(ts_summaries *summaries, const ts_instruct_options *options);

/* Appends the summary of story `index` in one line, nothing if there is none that can be used. `user` are the summaries. */
ts_status ts_summaries_text(void *user, uint64_t index, ts_bytes *summary);

#endif

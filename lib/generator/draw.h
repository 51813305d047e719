/*
 * What a story is to be made of, whoever writes it: a function of (seed, index), the vocabulary and the features that may be drawn.
 */
#ifndef TS_GENERATOR_DRAW_H
#define TS_GENERATOR_DRAW_H

#include "generator/word_list.h"

enum { TS_DRAWN_VERB, TS_DRAWN_NOUN, TS_DRAWN_ADJECTIVE, TS_DRAWN_COUNT };

typedef struct ts_drawn {
    const ts_entry *words[TS_DRAWN_COUNT];
    uint32_t features; /* of those allowed */
} ts_drawn;

/* Uses the first numbers of (seed, index), those of counters below 2^20. */
void ts_draw(ts_drawn *drawn, const ts_word_list *vocabulary, uint64_t seed, uint64_t index, uint32_t allowed);

/*
 * `count` stories from `first` on. A call of the service asks for `group` stories that follow one another, index / group is the number of the call, and
 * every `step`-th call belongs to the shard.
 */
typedef struct ts_story_range {
    uint64_t first, count, step, group;
} ts_story_range;

/* The index of story number `i` of the range. */
uint64_t ts_story_range_at(const ts_story_range *range, uint64_t i);

#endif

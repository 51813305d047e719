/* Words and features of a story. */
#include "generator/draw.h"

/* 0 to 3 (all counts alike), then as many different ones of those that are allowed. */
static uint32_t draw_features(ts_random *random, uint32_t allowed)
{
    uint32_t count = (uint32_t)ts_random_below(random, 4), left = (uint32_t)__builtin_popcount(allowed), features = 0;
    for (count = TS_MIN(count, left); count > 0; count--, left--) {
        uint32_t bits = allowed & ~features;
        for (uint64_t skip = ts_random_below(random, left); skip > 0; skip--)
            bits &= bits - 1;
        features |= bits & -bits;
    }
    return features;
}

void ts_draw(ts_drawn *drawn, const ts_word_list *vocabulary, uint64_t seed, uint64_t index, uint32_t allowed)
{
    ts_random random = {seed, index, 0};
    for (uint32_t kind = 0; kind < TS_DRAWN_COUNT; kind++) { /* TS_KIND_ and TS_DRAWN_ are in one order */
        size_t start = vocabulary->kind_start[kind], count = vocabulary->kind_start[kind + 1] - start;
        drawn->words[kind] = &vocabulary->words[start + ts_random_below(&random, count)];
    }
    drawn->features = draw_features(&random, allowed);
}

uint64_t ts_story_range_at(const ts_story_range *range, uint64_t i)
{
    uint64_t place = range->first % range->group + i;
    return (range->first / range->group + place / range->group * range->step) * range->group + place % range->group;
}

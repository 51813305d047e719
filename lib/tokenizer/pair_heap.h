/* What is joined next, for both encoders, private to this room: the best rank first, and the leftmost piece of a rank. */
#ifndef TS_PAIR_HEAP_H
#define TS_PAIR_HEAP_H

#include "base/base.h"

/* Candidates, the smallest first: the rank above 32 bits of the left piece, so that the leftmost of a rank comes up first. */
typedef struct ts_pair_heap {
    uint64_t *items;
    size_t count;
} ts_pair_heap;

static inline void ts_pair_push(ts_pair_heap *h, uint64_t item)
{
    size_t at = h->count++;
    while (at > 0 && item < h->items[(at - 1) / 2]) {
        h->items[at] = h->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    h->items[at] = item;
}

static inline uint64_t ts_pair_pop(ts_pair_heap *h)
{
    uint64_t top = h->items[0], last = h->items[--h->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->items[child + 1] < h->items[child])
            child++;
        if (last <= h->items[child])
            break;
        h->items[at] = h->items[child];
        at = child;
    }
    h->items[at] = last;
    return top;
}

#endif

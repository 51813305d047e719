/* Counts distinct things by their hashes: an open-addressing table with one number a thing. */
#include "text/text.h"

enum { FIRST_CAPACITY = 1024 };

/* The lowest bit of a key says that it was seen again; a key is never 0, which is a free place. */
#define AGAIN ((uint64_t)1)

static size_t place_of(const uint64_t *keys, size_t capacity, uint64_t key)
{
    size_t at = (size_t)(key >> 1) & (capacity - 1);
    while (keys[at] != 0 && (keys[at] | AGAIN) != (key | AGAIN))
        at = (at + 1) & (capacity - 1);
    return at;
}

static ts_status grow(ts_tally *tally)
{
    size_t capacity = tally->capacity == 0 ? FIRST_CAPACITY : tally->capacity;
    if (tally->capacity != 0 && !ts_multiply(tally->capacity, 2, &capacity))
        return ts_fail(TS_ERROR_LIMIT, "there are too many distinct words or 4-grams: %llu", (unsigned long long)tally->kinds);
    uint64_t *keys = ts_allocate_array(tally->runtime, capacity, sizeof *keys);
    if (keys == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < tally->capacity; i++)
        if (tally->keys[i] != 0)
            keys[place_of(keys, capacity, tally->keys[i])] = tally->keys[i];
    ts_release(tally->runtime, tally->keys);
    tally->keys = keys;
    tally->capacity = capacity;
    return TS_OK;
}

ts_status ts_tally_add(ts_tally *tally, uint64_t hash)
{
    uint64_t key = hash & ~AGAIN;
    if (key == 0)
        key = 2;
    if (tally->kinds >= tally->capacity / 4 * 3)
        TS_TRY(grow(tally));
    uint64_t *found = &tally->keys[place_of(tally->keys, tally->capacity, key)];
    if (*found == 0) {
        *found = key;
        tally->kinds++;
        tally->once++;
    } else if ((*found & AGAIN) == 0) {
        *found |= AGAIN;
        tally->once--;
    }
    tally->seen++;
    return TS_OK;
}

void ts_tally_free(ts_tally *tally)
{
    ts_release(tally->runtime, tally->keys);
    tally->keys = NULL;
    tally->capacity = 0;
}

/* The stories that were there before. */
#include "generator/duplicates.h"

enum {
    FIRST_CAPACITY = 1024,
    MOST_CANDIDATES = 64 /* of a story: texts that are made by a template would compare everything with everything */
};

#define NUMBER(place) ((uint32_t)((place) >> 32) - 1)

static size_t start_of(size_t capacity, uint32_t key)
{
    return (size_t)((uint64_t)key * capacity >> 32);
}

static size_t next_of(size_t capacity, size_t at)
{
    return at + 1 < capacity ? at + 1 : 0;
}

static ts_status grow(ts_runtime *runtime, ts_band *band)
{
    size_t capacity = band->capacity == 0 ? FIRST_CAPACITY : band->capacity + band->capacity / 4;
    uint64_t *places = ts_allocate_array(runtime, capacity, sizeof *places);
    if (places == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < band->capacity; i++)
        if (band->places[i] != 0) {
            size_t at = start_of(capacity, (uint32_t)band->places[i]);
            while (places[at] != 0)
                at = next_of(capacity, at);
            places[at] = band->places[i];
        }
    ts_release(runtime, band->places);
    band->places = places;
    band->capacity = capacity;
    return TS_OK;
}

ts_status ts_duplicates_near(ts_duplicates *d, double jaccard, const char *folder)
{
    d->near = true;
    d->jaccard = jaccard;
    return ts_spill_open(&d->spill, d->runtime, folder);
}

/* ---- finding ---- */

static uint64_t begin_of(const ts_duplicates *d, uint32_t number)
{
    return number > 0 ? d->ends[number - 1] : 0;
}

/* Counts the similarity to a story that was added. Sets whose sizes differ too much are not even read. */
static ts_status compare(ts_duplicates *d, const ts_print *print, uint32_t number, double *similarity)
{
    uint64_t begin = begin_of(d, number);
    size_t count = (size_t)(d->ends[number] - begin);
    *similarity = 0;
    if ((double)TS_MIN(count, print->shingle_count) < d->jaccard * (double)TS_MAX(count, print->shingle_count))
        return TS_OK;
    TS_TRY(ts_reserve(d->runtime, &d->shingles, &d->shingle_capacity, count, sizeof *d->shingles));
    TS_TRY(ts_spill_read(&d->spill, begin * sizeof *d->shingles, d->shingles, count * sizeof *d->shingles));
    *similarity = ts_jaccard(d->shingles, count, print->shingles, print->shingle_count);
    d->candidates++;
    return TS_OK;
}

static bool is_among(const uint32_t *numbers, size_t count, uint32_t number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

static ts_status find_near(ts_duplicates *d, const ts_print *print, uint32_t *number, double *similarity)
{
    uint32_t seen[MOST_CANDIDATES];
    size_t seen_count = 0;
    for (size_t i = 0; i < TS_SIGNATURE_BANDS; i++) {
        const ts_band *band = &d->bands[i];
        if (band->count == 0)
            continue;
        for (size_t at = start_of(band->capacity, print->keys[i]); band->places[at] != 0; at = next_of(band->capacity, at)) {
            uint32_t candidate = NUMBER(band->places[at]);
            if ((uint32_t)band->places[at] != print->keys[i] || is_among(seen, seen_count, candidate))
                continue;
            if (seen_count == MOST_CANDIDATES)
                return TS_OK;
            seen[seen_count++] = candidate;
            TS_TRY(compare(d, print, candidate, similarity));
            if (*similarity >= d->jaccard) {
                *number = candidate;
                return TS_OK;
            }
        }
    }
    return TS_OK;
}

ts_status ts_duplicates_find(ts_duplicates *d, const ts_print *print, bool same, uint32_t *number, double *similarity)
{
    *number = same ? ts_hash_map_find(&d->same, print->hash) : TS_DUPLICATES_NONE;
    *similarity = 2;
    if (*number != TS_DUPLICATES_NONE || !d->near || print->shingle_count == 0)
        return TS_OK;
    return find_near(d, print, number, similarity);
}

/* ---- adding ---- */

static ts_status add_near(ts_duplicates *d, const ts_print *print)
{
    uint64_t end = begin_of(d, d->count) + print->shingle_count;
    if (d->count == d->end_capacity) { /* by a quarter, as the bands */
        size_t capacity = d->end_capacity + d->end_capacity / 4 + FIRST_CAPACITY;
        uint64_t *ends = ts_reallocate(d->runtime, d->ends, capacity * sizeof *ends);
        if (ends == NULL)
            return TS_ERROR_OUT_OF_MEMORY;
        d->ends = ends;
        d->end_capacity = capacity;
    }
    TS_TRY(ts_spill_add(&d->spill, print->shingles, print->shingle_count * sizeof *print->shingles));
    for (size_t i = 0; print->shingle_count > 0 && i < TS_SIGNATURE_BANDS; i++) {
        ts_band *band = &d->bands[i];
        if (band->count >= band->capacity / 8 * 7)
            TS_TRY(grow(d->runtime, band));
        size_t at = start_of(band->capacity, print->keys[i]), alike = 0;
        for (; band->places[at] != 0 && alike < MOST_CANDIDATES; at = next_of(band->capacity, at))
            alike += (uint32_t)band->places[at] == print->keys[i];
        if (alike == MOST_CANDIDATES) /* nobody would look so far */
            continue;
        band->places[at] = ((uint64_t)d->count + 1) << 32 | print->keys[i];
        band->count++;
    }
    d->ends[d->count] = end;
    return TS_OK;
}

ts_status ts_duplicates_add(ts_duplicates *d, const ts_print *print)
{
    if (d->count >= UINT32_MAX - 2)
        return ts_fail(TS_ERROR_LIMIT, "there are more than %u stories to keep apart", d->count);
    if (ts_hash_map_find(&d->same, print->hash) == TS_HASH_MAP_NONE)
        TS_TRY(ts_hash_map_add(&d->same, print->hash, d->count));
    if (d->near)
        TS_TRY(add_near(d, print));
    d->count++;
    return TS_OK;
}

void ts_duplicates_free(ts_duplicates *d)
{
    if (d->runtime == NULL)
        return;
    ts_hash_map_free(&d->same);
    for (size_t i = 0; i < TS_SIGNATURE_BANDS; i++)
        ts_release(d->runtime, d->bands[i].places);
    ts_release(d->runtime, d->ends);
    ts_release(d->runtime, d->shingles);
    ts_spill_close(&d->spill);
}

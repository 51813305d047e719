/* Sorts places by the words behind them, each number of them in the way that is the quickest. All of these are stable. */
#include "evaluator/novelty.h"

enum {
    SMALL = 24,  /* records that are sorted by insertion, */
    SOME = 160,  /* by merging, */
    MANY = 2048, /* by digits of SOME_BITS, and of MANY_BITS */
    SOME_BITS = 8,
    MANY_BITS = 11
};

static inline uint64_t key_of(const ts_novelty_record *r, bool by_second)
{
    return by_second ? r->second : r->rest;
}

static inline void sort_few(ts_novelty_record *records, size_t count, bool by_second)
{
    for (size_t i = 1; i < count; i++) {
        ts_novelty_record moved = records[i];
        size_t at = i;
        for (; at > 0 && key_of(&records[at - 1], by_second) > key_of(&moved, by_second); at--)
            records[at] = records[at - 1];
        records[at] = moved;
    }
}

static inline void merge_sort(ts_novelty_record *records, ts_novelty_record *scratch, size_t count, bool by_second)
{
    for (size_t i = 0; i < count; i += SMALL)
        sort_few(records + i, TS_MIN((size_t)SMALL, count - i), by_second);
    ts_novelty_record *from = records, *to = scratch;
    for (size_t run = SMALL; run < count; run *= 2) {
        for (size_t i = 0; i < count; i += 2 * run) {
            size_t a = i, middle = TS_MIN(i + run, count), b = middle, end = TS_MIN(i + 2 * run, count);
            for (size_t at = i; at < end; at++) {
                bool left = a < middle && (b == end || key_of(&from[a], by_second) <= key_of(&from[b], by_second));
                to[at] = left ? from[a++] : from[b++];
            }
        }
        ts_novelty_record *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != records)
        memcpy(records, from, count * sizeof *records);
}

/* By digits of so many bits, lowest first; what all keys share is left out. */
static inline void radix_sort(ts_novelty_record *records, ts_novelty_record *scratch, size_t count, bool by_second, int bits)
{
    uint32_t starts[(1 << MANY_BITS) + 1], digits = UINT32_C(1) << bits;
    uint64_t differing = 0;
    ts_novelty_record *from = records, *to = scratch;
    for (size_t i = 1; i < count; i++)
        differing |= key_of(&records[i], by_second) ^ key_of(&records[0], by_second);
    for (int shift = 0; shift < 64; shift += bits) {
        if ((differing >> shift & (digits - 1)) == 0)
            continue;
        memset(starts, 0, (digits + 1) * sizeof *starts);
        for (size_t i = 0; i < count; i++)
            starts[(key_of(&from[i], by_second) >> shift & (digits - 1)) + 1]++;
        for (size_t i = 0; i < digits; i++)
            starts[i + 1] += starts[i];
        for (size_t i = 0; i < count; i++)
            to[starts[key_of(&from[i], by_second) >> shift & (digits - 1)]++] = from[i];
        ts_novelty_record *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != records)
        memcpy(records, from, count * sizeof *records);
}

static inline void sort(ts_novelty_record *records, ts_novelty_record *scratch, size_t count, bool by_second)
{
    if (count <= SMALL)
        sort_few(records, count, by_second);
    else if (count < SOME)
        merge_sort(records, scratch, count, by_second);
    else if (count < MANY)
        radix_sort(records, scratch, count, by_second, SOME_BITS);
    else
        radix_sort(records, scratch, count, by_second, MANY_BITS);
}

void ts_novelty_sort_records(ts_novelty_record *records, ts_novelty_record *scratch, size_t count, bool by_second)
{
    if (by_second)
        sort(records, scratch, count, true);
    else
        sort(records, scratch, count, false);
}

/*
 * Sorting and finding records through pointers: n log n at worst, whatever names a hostile file has; no allocation, no recursion.
 */
#ifndef TS_ORDER_H
#define TS_ORDER_H

#include "base/base.h"

/* Below 0, 0 or above 0, as of strcmp. */
typedef int (*ts_compare)(const void *a, const void *b);

/* Sorts pointers to records; equal ones in no particular order. */
void ts_order_sort(const void **records, size_t count, ts_compare compare);

/* The first record that equals its successor in sorted pointers; NULL: all are distinct. */
const void *ts_order_duplicate(const void *const *records, size_t count, ts_compare compare);

/* The record that equals `key`, a record of which only the compared fields need be set; NULL: there is none. */
const void *ts_order_find(const void *const *records, size_t count, ts_compare compare, const void *key);

#endif

/* Heap sort and binary search. */
#include "format/order.h"

static void sift_down(const void **records, size_t root, size_t count, ts_compare compare)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(records[child], records[child + 1]) < 0)
            child++;
        if (compare(records[root], records[child]) >= 0)
            return;
        const void *lower = records[root];
        records[root] = records[child];
        records[child] = lower;
    }
}

void ts_order_sort(const void **records, size_t count, ts_compare compare)
{
    for (size_t root = count / 2; root-- > 0;)
        sift_down(records, root, count, compare);
    for (size_t end = count; end-- > 1;) {
        const void *greatest = records[0];
        records[0] = records[end];
        records[end] = greatest;
        sift_down(records, 0, end, compare);
    }
}

const void *ts_order_duplicate(const void *const *records, size_t count, ts_compare compare)
{
    for (size_t i = 1; i < count; i++)
        if (compare(records[i - 1], records[i]) == 0)
            return records[i - 1];
    return NULL;
}

const void *ts_order_find(const void *const *records, size_t count, ts_compare compare, const void *key)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(key, records[middle]);
        if (order == 0)
            return records[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

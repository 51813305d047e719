/* Words in a row as hashes, sets of them, and MinHash signatures. */
#include <stdlib.h>

#include "text/text.h"

ts_status ts_word_hashes(ts_runtime *runtime, const char *text, size_t size, uint64_t **hashes, size_t *capacity, size_t *count)
{
    const char *word;
    size_t word_size;
    *count = 0;
    while (ts_plain_word(&text, &size, &word, &word_size)) {
        if (*count == *capacity)
            TS_TRY(ts_reserve(runtime, hashes, capacity, *count + 1, sizeof **hashes));
        (*hashes)[(*count)++] = ts_plain_word_hash(word, word_size);
    }
    return TS_OK;
}

/* MurmurHash3's finalizer: every bit of the result depends on every bit of the number. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

uint64_t ts_ngram_hash(const uint64_t *words, size_t length)
{
    uint64_t sum = length;
    for (size_t i = 0; i < length; i++)
        sum = sum * 0x9e3779b97f4a7c15u + words[i];
    return mix(sum);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts 32-bit hashes, which are spread evenly: by their highest byte into place, then each small group by insertion. */
static void sort_hashes(uint32_t *hashes, size_t count)
{
    uint32_t copy[512];
    uint16_t start[257] = {0};
    if (count > TS_COUNT_OF(copy)) {
        qsort(hashes, count, sizeof *hashes, by_value);
        return;
    }
    for (size_t i = 0; i < count; i++)
        start[(hashes[i] >> 24) + 1]++;
    for (size_t i = 0; i < 256; i++)
        start[i + 1] = (uint16_t)(start[i + 1] + start[i]);
    for (size_t i = 0; i < count; i++)
        copy[start[hashes[i] >> 24]++] = hashes[i];
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && hashes[at - 1] > copy[i]; at--)
            hashes[at] = hashes[at - 1];
        hashes[at] = copy[i];
    }
}

static size_t take_out_repeated(uint32_t *sorted, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || sorted[i] != sorted[kept - 1])
            sorted[kept++] = sorted[i];
    return kept;
}

/* A bin that no shingle fell into takes what another one has, which is found by the bin's number alone, so that equal sets stay equal. */
static void fill_empty_bins(uint32_t *bins, const bool *full)
{
    for (uint32_t i = 0; i < TS_SIGNATURE_SIZE; i++) {
        uint64_t from = i;
        for (uint64_t attempt = 1; !full[from]; attempt++)
            from = mix((uint64_t)i << 32 | attempt) % TS_SIGNATURE_SIZE;
        bins[i] = bins[from];
    }
}

size_t ts_shingles(const uint64_t *words, size_t count, size_t length, uint32_t *shingles, uint32_t keys[TS_SIGNATURE_BANDS])
{
    uint32_t bins[TS_SIGNATURE_SIZE];
    bool full[TS_SIGNATURE_SIZE] = {false};
    if (count == 0)
        return 0;
    length = TS_MIN(length, count);
    memset(bins, 0xff, sizeof bins);
    for (size_t i = 0; i + length <= count; i++) {
        uint64_t hash = ts_ngram_hash(words + i, length);
        size_t bin = (size_t)((hash >> 32) * TS_SIGNATURE_SIZE >> 32);
        shingles[i] = (uint32_t)hash;
        bins[bin] = TS_MIN(bins[bin], (uint32_t)hash);
        full[bin] = true;
    }
    fill_empty_bins(bins, full);
    for (size_t band = 0; band < TS_SIGNATURE_BANDS; band++) {
        uint64_t hash = band;
        for (size_t row = 0; row < TS_SIGNATURE_ROWS; row++)
            hash = mix(hash ^ bins[band * TS_SIGNATURE_ROWS + row]);
        keys[band] = (uint32_t)hash;
    }
    size_t made = count - length + 1;
    sort_hashes(shingles, made);
    return take_out_repeated(shingles, made);
}

double ts_jaccard(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count)
{
    size_t i = 0, j = 0, both = 0;
    while (i < a_count && j < b_count) {
        both += a[i] == b[j];
        uint32_t x = a[i], y = b[j];
        i += x <= y;
        j += y <= x;
    }
    return (double)both / (double)(a_count + b_count - both);
}

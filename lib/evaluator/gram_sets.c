/* Texts as rows of folded words, and sets of k-grams, both compared by their words and never by hashes alone. */
#include "evaluator/novelty.h"

ts_status ts_phrase_read(ts_phrase *phrase, const char *text, size_t size)
{
    ts_runtime *runtime = phrase->folded.runtime;
    const char *begin = text, *word;
    size_t word_size;
    phrase->count = phrase->folded.size = 0;
    while (ts_plain_word(&text, &size, &word, &word_size)) {
        size_t wanted = phrase->count + 1;
        TS_TRY(ts_reserve(runtime, &phrase->ends, &phrase->ends_capacity, wanted, sizeof *phrase->ends));
        TS_TRY(ts_reserve(runtime, &phrase->begins, &phrase->begins_capacity, wanted, sizeof *phrase->begins));
        TS_TRY(ts_reserve(runtime, &phrase->stops, &phrase->stops_capacity, wanted, sizeof *phrase->stops));
        phrase->begins[phrase->count] = (size_t)(word - begin);
        phrase->stops[phrase->count] = (size_t)(word - begin) + word_size;
        while (word_size > 0) {
            char folded[64];
            size_t used = ts_plain_word_fold(&word, &word_size, folded, sizeof folded);
            TS_TRY(ts_bytes_add(&phrase->folded, folded, used));
        }
        phrase->ends[phrase->count++] = phrase->folded.size;
    }
    if (phrase->count >= UINT32_MAX)
        return ts_fail(TS_ERROR_LIMIT, "the text has %zu words, expected fewer than 2^32", phrase->count);
    return TS_OK;
}

void ts_phrase_free(ts_phrase *phrase)
{
    ts_runtime *runtime = phrase->folded.runtime;
    if (runtime == NULL)
        return;
    ts_bytes_free(&phrase->folded);
    ts_release(runtime, phrase->ends);
    ts_release(runtime, phrase->begins);
    ts_release(runtime, phrase->stops);
    *phrase = (ts_phrase){.folded = {.runtime = runtime}};
}

const char *ts_phrase_word(const ts_phrase *phrase, size_t index, size_t *size)
{
    size_t begin = index > 0 ? phrase->ends[index - 1] : 0;
    *size = phrase->ends[index] - begin;
    return phrase->folded.data + begin;
}

/* ---- sets of k-grams ---- */

uint64_t ts_phrase_hash(const ts_phrase *phrase, size_t index, uint32_t k)
{
    uint64_t hash = k;
    for (uint32_t i = 0; i < k; i++) {
        size_t size;
        const char *word = ts_phrase_word(phrase, index + i, &size);
        hash = ts_hash(word, size, hash);
    }
    return hash;
}

bool ts_phrase_same(const ts_phrase *a, size_t at, const ts_phrase *b, size_t bt, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++) {
        size_t a_size, b_size;
        const char *left = ts_phrase_word(a, at + i, &a_size), *right = ts_phrase_word(b, bt + i, &b_size);
        if (a_size != b_size || memcmp(left, right, a_size) != 0)
            return false;
    }
    return true;
}

/* Where in the table a k-gram is or would be. */
static size_t place_of(const ts_grams *grams, const ts_phrase *own, const ts_phrase *phrase, size_t index)
{
    size_t mask = grams->place_count - 1, at = (size_t)ts_phrase_hash(phrase, index, grams->k) & mask;
    while (grams->places[at] != 0 && !ts_phrase_same(own, grams->first[grams->places[at] - 1], phrase, index, grams->k))
        at = (at + 1) & mask;
    return at;
}

ts_status ts_grams_read(ts_grams *grams, const ts_phrase *phrase, uint32_t k)
{
    grams->k = k;
    grams->count = 0;
    grams->total = phrase->count >= k ? phrase->count - k + 1 : 0;
    size_t wanted = 16;
    while (wanted < 2 * grams->total)
        wanted *= 2;
    TS_TRY(ts_reserve(grams->runtime, &grams->places, &grams->places_capacity, wanted, sizeof *grams->places));
    TS_TRY(ts_reserve(grams->runtime, &grams->first, &grams->first_capacity, grams->total, sizeof *grams->first));
    TS_TRY(ts_reserve(grams->runtime, &grams->names, &grams->names_capacity, grams->total, sizeof *grams->names));
    grams->place_count = wanted;
    memset(grams->places, 0, wanted * sizeof *grams->places);
    for (size_t i = 0; i < grams->total; i++) {
        size_t at = place_of(grams, phrase, phrase, i);
        if (grams->places[at] == 0) {
            grams->first[grams->count++] = (uint32_t)i;
            grams->places[at] = (uint32_t)grams->count;
        }
        grams->names[i] = grams->places[at] - 1;
    }
    return TS_OK;
}

uint32_t ts_grams_find(const ts_grams *grams, const ts_phrase *own, const ts_phrase *phrase, size_t index)
{
    if (grams->count == 0)
        return UINT32_MAX;
    return grams->places[place_of(grams, own, phrase, index)] - 1; /* an empty place becomes UINT32_MAX */
}

void ts_grams_free(ts_grams *grams)
{
    if (grams->runtime == NULL)
        return;
    ts_release(grams->runtime, grams->places);
    ts_release(grams->runtime, grams->first);
    ts_release(grams->runtime, grams->names);
    *grams = (ts_grams){.runtime = grams->runtime};
}

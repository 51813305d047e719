/*
 * The longest run of words that the training text has too: five words that occur are looked at in all their places, the rarest first, and followed to
 * both sides; what is left to be looked at is only what could be longer than the longest run so far.
 */
#define _GNU_SOURCE /* memrchr */
#include "evaluator/novelty.h"

/* ---- the longest run ---- */

typedef struct run {
    size_t first, count; /* words of the text */
    uint32_t begin, end; /* of the source, in the training text */
} run;

static ts_range range_at(const ts_novelty *n, size_t word, uint32_t k)
{
    return n->ranges[word * TS_NOVELTY_GRAM + k - 1];
}

/* Follows the words from `word` on, which stand at a place, to both sides as far as they are the same. */
static void follow(const ts_novelty *n, size_t word, uint32_t place, run *longest)
{
    const ts_phrase *p = &n->phrase;
    const char *text = n->text + place, *raw, *before = memrchr(n->text, 0, place);
    size_t rest = strnlen(text, (size_t)n->text_size - place), raw_size, folded_size;
    run found = {word, 0, place, place};
    const char *folded;
    while (found.first + found.count < p->count && ts_plain_word(&text, &rest, &raw, &raw_size)) {
        folded = ts_phrase_word(p, found.first + found.count, &folded_size);
        if (!ts_novelty_same_word(raw, raw_size, folded, folded_size))
            break;
        found.count++;
        found.end = (uint32_t)(raw + raw_size - n->text);
    }
    before = before == NULL ? n->text : before + 1;
    while (found.first > 0 && ts_plain_word_before(before, (size_t)(n->text + found.begin - before), &raw, &raw_size)) {
        folded = ts_phrase_word(p, found.first - 1, &folded_size);
        if (!ts_novelty_same_word(raw, raw_size, folded, folded_size))
            break;
        found.first--;
        found.count++;
        found.begin = (uint32_t)(raw - n->text);
    }
    if (found.count > longest->count)
        *longest = found;
}

/* A row of five words each that occur and were not followed yet, and the rarest of them. */
typedef struct row {
    size_t begin, end, rarest;
    uint64_t places;
} row;

/* Of the rows that are long enough for a longer run the one with the rarest five words; false: there is none. */
static bool next_row(const ts_novelty *n, const run *longest, row *chosen)
{
    row now = {.places = UINT64_MAX};
    chosen->places = UINT64_MAX;
    for (size_t i = 0; i <= n->phrase.count; i++) {
        ts_range range = i < n->phrase.count && !n->used[i] ? range_at(n, i, TS_NOVELTY_GRAM) : (ts_range){0, 0};
        if (range.begin == range.end) {
            now.end = i;
            if (now.end - now.begin + TS_NOVELTY_GRAM - 1 > longest->count && now.places < chosen->places)
                *chosen = now;
            now = (row){.begin = i + 1, .places = UINT64_MAX};
        } else if (range.end - range.begin < now.places) {
            now.places = range.end - range.begin;
            now.rarest = i;
        }
    }
    return chosen->places != UINT64_MAX;
}

/* The first of the sorted places from `at` on that is not below `place`. */
static uint64_t skip_to(const uint32_t *places, uint64_t at, uint64_t count, uint64_t place)
{
    uint64_t step = 1;
    while (at + step < count && places[at + step] < place)
        step *= 2;
    uint64_t low = at + step / 2, high = TS_MIN(at + step, count);
    low = step == 1 ? at : low;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (places[middle] < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Follows the five words from `word` on in those places that have the five words of `other` near enough for a run that has both. */
static ts_status follow_both(const ts_novelty *n, size_t word, size_t other, run *longest)
{
    ts_range range = range_at(n, word, TS_NOVELTY_GRAM), other_range = range_at(n, other, TS_NOVELTY_GRAM);
    uint64_t count = range.end - range.begin, other_count = other_range.end - other_range.begin, at = 0;
    uint64_t words = other > word ? other - word : word - other, reach;
    const uint32_t *places, *others;
    TS_TRY(ts_novelty_places(n, range, &places));
    TS_TRY(ts_novelty_places(n, other_range, &others));
    if (__builtin_mul_overflow(words, n->longest_step, &reach) || reach > n->text_size)
        reach = n->text_size;
    for (uint64_t i = 0; i < count && at < other_count; i++) {
        uint64_t place = places[i], least = other > word ? place : place - TS_MIN(place, reach);
        at = skip_to(others, at, other_count, least);
        if (at < other_count && others[at] <= (other > word ? place + reach : place) && place < n->text_size)
            follow(n, word, (uint32_t)place, longest);
    }
    return TS_OK;
}

/* Of a run that is longer than the longest so far and goes through the rarest five words of a row at least half lies on one side of them, and has all
 * the five words up to there. */
static ts_status follow_row(const ts_novelty *n, const row *r, run *longest)
{
    size_t half = (TS_MAX(longest->count, (size_t)TS_NOVELTY_GRAM) + 1 - TS_NOVELTY_GRAM + 1) / 2;
    if (r->rarest + half < r->end)
        TS_TRY(follow_both(n, r->rarest, r->rarest + half, longest));
    if (r->rarest >= r->begin + half)
        TS_TRY(follow_both(n, r->rarest, r->rarest - half, longest));
    return TS_OK;
}

static ts_status find_longest(ts_novelty *n, run *longest)
{
    row r;
    for (size_t i = 0; i < n->phrase.count; i++)
        for (uint32_t k = TS_NOVELTY_GRAM; k >= 1 && k > longest->count; k--) {
            ts_range range = range_at(n, i, k);
            uint32_t place;
            if (range.begin == range.end)
                continue;
            TS_TRY(ts_novelty_place(n, range.begin, &place));
            follow(n, i, place, longest);
        }
    TS_TRY(ts_reserve(n->runtime, &n->used, &n->used_capacity, n->phrase.count, sizeof *n->used));
    if (n->phrase.count > 0)
        memset(n->used, 0, n->phrase.count * sizeof *n->used);
    while (next_row(n, longest, &r)) {
        TS_TRY(follow_row(n, &r, longest));
        n->used[r.rarest] = true;
    }
    return TS_OK;
}

static ts_status find_copy(ts_novelty *n, ts_novelty_match *match)
{
    run longest = {0};
    uint32_t story;
    TS_TRY(find_longest(n, &longest));
    match->copied_words = longest.count;
    match->source_story = UINT64_MAX;
    if (longest.count == 0)
        return TS_OK;
    TS_TRY(ts_novelty_story_at(n, longest.begin, &story));
    match->copied_begin = n->phrase.begins[longest.first];
    match->copied_size = n->phrase.stops[longest.first + longest.count - 1] - n->phrase.begins[longest.first];
    match->source_story = story;
    match->source_begin = longest.begin - n->starts[story];
    match->source_size = longest.end - longest.begin;
    return TS_OK;
}

/* ---- the calls ---- */

ts_status ts_novelty_find_phrase(ts_novelty *novelty, ts_novelty_match *match)
{
    const ts_phrase *p = &novelty->phrase;
    *match = (ts_novelty_match){.struct_size = sizeof *match, .words = p->count};
    TS_TRY(ts_reserve(novelty->runtime, &novelty->ranges, &novelty->ranges_capacity, p->count * TS_NOVELTY_GRAM, sizeof *novelty->ranges));
    TS_TRY(ts_novelty_ranges(novelty, p, p->count, novelty->ranges));
    TS_TRY(ts_novelty_find_nearest(novelty, match));
    return find_copy(novelty, match);
}

ts_status ts_novelty_find(ts_novelty *novelty, const char *text, size_t size, ts_novelty_match *match)
{
    ts_novelty_match found;
    if (novelty == NULL || (text == NULL && size > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_novelty_find: an argument is NULL");
    TS_TRY(ts_report_check(match, "ts_novelty_match"));
    if (!ts_busy_enter(&novelty->busy))
        return ts_fail(TS_ERROR_BUSY, "the index is in use by another thread");
    ts_status status = ts_phrase_read(&novelty->phrase, size > 0 ? text : "", size);
    if (status == TS_OK)
        status = ts_novelty_find_phrase(novelty, &found);
    ts_busy_leave(&novelty->busy);
    return status == TS_OK ? ts_report_write(match, &found, sizeof found, "ts_novelty_match") : status;
}

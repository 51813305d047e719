/*
 * The training story that has most of a text's 2-grams, and the longest run of words that the training text has too.
 *
 * Nearest story: a mark is made at every story of the rarest 2-grams, and the story with the most marks is compared, word by word, so that it is known how
 * much the nearest one has at least. Then the lists of the other 2-grams are read, block by block of stories, but not the longest ones: as many as are left
 * out a story can have more than its marks, and only those that can reach the best one are compared.
 *
 * Longest run: five words that occur are looked at in all their places, the rarest first, and followed to both sides; what is left to be looked at is only
 * what could be longer than the longest run so far.
 */
#define _GNU_SOURCE /* memrchr */
#include "evaluator/novelty.h"

enum {
    BLOCK = 1 << 15 /* stories whose marks stay in the first cache while all lists are read through them */
};

typedef struct ts_novelty_term {
    ts_range range;
    uint64_t size; /* of its list, or of the range where there is none */
    const unsigned char *bytes, *end; /* of the list: what was not read yet */
    uint64_t unread, story;           /* stories of it that were not marked, and the next of them */
} term;

static ts_status damaged(const ts_novelty *n)
{
    return ts_fail(TS_ERROR_FORMAT, "%s: is damaged: a list of stories is cut off or out of order", n->source.name);
}

/* ---- the nearest story ---- */

typedef struct search {
    ts_novelty *n;
    size_t term_count, taken;
    uint32_t best, best_story; /* best 0: none */
} search;

/* Those without a list come first, for search_rare takes them all. */
static int compare_terms(const void *a, const void *b)
{
    const term *left = a, *right = b;
    if ((left->bytes == NULL) != (right->bytes == NULL))
        return left->bytes == NULL ? -1 : 1;
    if (left->size != right->size)
        return left->size < right->size ? -1 : 1;
    return left->range.begin < right->range.begin ? -1 : left->range.begin > right->range.begin;
}

/* Reads the next story of a list. */
static inline ts_status next_story(const ts_novelty *n, term *t, bool first)
{
    uint64_t distance = 0;
    unsigned char byte = 0x80;
    for (unsigned shift = 0; byte & 0x80; shift += 7) {
        if (t->bytes == t->end || shift > 28)
            return damaged(n);
        byte = *t->bytes++;
        distance |= (uint64_t)(byte & 0x7f) << shift;
    }
    t->story += distance;
    return t->story < n->about.stories && (first || distance > 0) ? TS_OK : damaged(n);
}

static ts_status find_terms(search *s)
{
    ts_novelty *n = s->n;
    size_t count = n->grams.count;
    TS_TRY(ts_reserve(n->runtime, &n->terms, &n->terms_capacity, count, sizeof *n->terms));
    TS_TRY(ts_reserve(n->runtime, &n->order, &n->order_capacity, count, sizeof *n->order));
    size_t seen_before = n->seen_capacity;
    TS_TRY(ts_reserve(n->runtime, &n->seen, &n->seen_capacity, count, sizeof *n->seen));
    if (n->seen_capacity > seen_before)
        memset(n->seen + seen_before, 0, (n->seen_capacity - seen_before) * sizeof *n->seen);
    for (size_t i = 0; i < count; i++) {
        term *t = &n->terms[s->term_count];
        *t = (term){.range = n->ranges[(size_t)n->grams.first[i] * TS_NOVELTY_GRAM + 1]};
        t->size = t->range.end - t->range.begin;
        if (t->size == 0)
            continue;
        if (t->size > TS_NOVELTY_FEW) {
            uint32_t stories;
            TS_TRY(ts_novelty_list(n, t->range, &t->bytes, &t->end, &stories));
            if (stories == 0 || stories > t->size || stories > n->about.stories)
                return damaged(n);
            t->size = t->unread = stories;
            TS_TRY(next_story(n, t, true));
        }
        n->order[s->term_count++] = t;
    }
    ts_order_sort(n->order, s->term_count, compare_terms);
    return TS_OK;
}

/* The stories of the few places of a 2-gram, each once. */
static ts_status mark_few(search *s, ts_range range)
{
    uint32_t stories[TS_NOVELTY_FEW], count = 0;
    for (uint64_t i = range.begin; i < range.end; i++) {
        uint32_t place, story, at = 0;
        TS_TRY(ts_novelty_place(s->n, i, &place));
        TS_TRY(ts_novelty_story_at(s->n, place, &story));
        while (at < count && stories[at] != story)
            at++;
        if (at < count)
            continue;
        stories[count++] = story;
        s->n->marks[story] += s->n->marks[story] < UINT8_MAX; /* 255: that or more */
    }
    return TS_OK;
}

/* Marks the stories of a list below `end`. Nearly all distances have one byte, so that these are read here, out of registers. */
static ts_status mark_list(search *s, term *t, uint64_t end)
{
    uint8_t *marks = s->n->marks;
    uint64_t story = t->story, unread = t->unread;
    const unsigned char *at = t->bytes;
    end = TS_MIN(end, s->n->about.stories);
    while (unread > 0 && story < end) {
        marks[story] += marks[story] < UINT8_MAX;
        if (--unread == 0)
            break;
        if (at < t->end && *at - 1u < 0x7f) {
            story += *at++;
            continue;
        }
        t->story = story;
        t->bytes = at;
        TS_TRY(next_story(s->n, t, false));
        story = t->story;
        at = t->bytes;
    }
    t->story = story;
    t->unread = unread;
    t->bytes = at;
    return unread == 0 || story < s->n->about.stories ? TS_OK : damaged(s->n);
}

/* Counts the 2-grams of the text that a story has. */
static ts_status compare_story(search *s, uint32_t story)
{
    ts_novelty *n = s->n;
    const char *text;
    size_t size;
    uint32_t common = 0;
    TS_TRY(ts_novelty_story(n, story, &text, &size));
    TS_TRY(ts_phrase_read(&n->story, text, size));
    if (++n->comparison == 0) { /* after 2^32 of them */
        memset(n->seen, 0, n->seen_capacity * sizeof *n->seen);
        n->comparison = 1;
    }
    for (size_t i = 0; i + 1 < n->story.count; i++) {
        uint32_t name = ts_grams_find(&n->grams, &n->phrase, &n->story, i);
        if (name == UINT32_MAX || n->seen[name] == n->comparison)
            continue;
        n->seen[name] = n->comparison;
        common++;
    }
    if (common > s->best) {
        s->best = common;
        s->best_story = story;
    }
    return TS_OK;
}

/* How many marks a story needs to be better than the best one. */
static uint32_t needed(const search *s)
{
    uint32_t left = (uint32_t)(s->term_count - s->taken);
    return s->best + 1 > left ? TS_MIN(s->best + 1 - left, (uint32_t)UINT8_MAX) : 0;
}

/* Compares the stories from `begin` on that have enough marks. Eight at once are passed over when adding to their marks makes no highest bit; those that
 * have it already are looked at one by one. */
static ts_status compare_reachable(search *s, uint64_t begin, uint64_t end)
{
    const uint64_t high = 0x8080808080808080u, ones = 0x0101010101010101u;
    const uint8_t *marks = s->n->marks;
    uint64_t eight;
    for (uint64_t i = begin; i < end; i++) {
        uint32_t least = needed(s);
        uint64_t add = (0x80 - (uint64_t)TS_MIN(least, 0x80u)) * ones;
        while (i + 8 <= end && (memcpy(&eight, marks + i, sizeof eight), ((((eight & ~high) + add) | eight) & high) == 0))
            i += 8;
        if (i < end && marks[i] >= least)
            TS_TRY(compare_story(s, (uint32_t)i));
    }
    return TS_OK;
}

/* Marks the rarest 2-grams and compares the story with the most marks: it is near, if not the nearest. */
static ts_status search_rare(search *s)
{
    uint64_t marked = 0, enough = s->n->about.stories / 4;
    for (; s->taken < s->term_count; s->taken++) {
        term *t = &s->n->terms[(const term *)s->n->order[s->taken] - s->n->terms];
        if (t->bytes != NULL && (marked += t->size) > enough)
            break;
        TS_TRY(t->bytes == NULL ? mark_few(s, t->range) : mark_list(s, t, UINT64_MAX));
    }
    uint64_t most = 0;
    for (uint64_t i = 1; i < s->n->about.stories; i++)
        if (s->n->marks[i] > s->n->marks[most])
            most = i;
    return s->n->marks[most] > 0 ? compare_story(s, (uint32_t)most) : TS_OK;
}

/* Reads the other lists, but for as many of the longest as leave a story that can be the nearest with half of the best one's marks at least. */
static ts_status search_blocks(search *s)
{
    ts_novelty *n = s->n;
    size_t first = s->taken;
    s->taken = TS_MAX(first, s->term_count - TS_MIN(s->term_count, (size_t)s->best / 2));
    for (uint64_t begin = 0; begin < n->about.stories; begin += BLOCK) {
        uint64_t end = TS_MIN(begin + BLOCK, n->about.stories);
        for (size_t i = first; i < s->taken; i++)
            TS_TRY(mark_list(s, &n->terms[(const term *)n->order[i] - n->terms], end));
        TS_TRY(compare_reachable(s, begin, end));
    }
    return TS_OK;
}

static ts_status find_nearest(ts_novelty *n, ts_novelty_match *match)
{
    search s = {.n = n};
    TS_TRY(ts_grams_read(&n->grams, &n->phrase, 2));
    TS_TRY(find_terms(&s));
    ts_status status = search_rare(&s);
    if (status == TS_OK && s.term_count > 0)
        status = search_blocks(&s);
    memset(n->marks, 0, (size_t)n->about.stories * sizeof *n->marks);
    TS_TRY(status);
    match->bigrams = n->grams.count;
    match->nearest_common = s.best;
    match->nearest_story = s.best > 0 ? s.best_story : UINT64_MAX;
    match->nearest_precision = n->grams.count > 0 ? (double)s.best / (double)n->grams.count : (double)__builtin_nanf("");
    return TS_OK;
}

/* ---- the longest run ---- */

typedef struct run {
    size_t first, count; /* words of the text */
    uint32_t begin, end; /* of the source, in the training text */
} run;

static ts_range range_at(const ts_novelty *n, size_t word, uint32_t k)
{
    if (word + k > n->phrase.count)
        return (ts_range){0, 0};
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

/* Of a run that is longer than the longest so far and goes through the rarest five words of a row at least half lies on one side of them, and has all the
 * five words up to there. */
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
    for (size_t i = 0; i < p->count; i++)
        TS_TRY(ts_novelty_ranges(novelty, p, i, (uint32_t)TS_MIN(p->count - i, (size_t)TS_NOVELTY_GRAM), novelty->ranges + i * TS_NOVELTY_GRAM));
    TS_TRY(find_nearest(novelty, match));
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

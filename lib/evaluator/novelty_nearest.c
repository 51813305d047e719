/*
 * The training story that has most of a text's 2-grams.
 *
 * A mark is made at every story of the rarest 2-grams, and the story with the most marks is compared, word by word, so that it is known how much the
 * nearest one has at least. Then blocks of stories are looked at side by side, with nearly all 2-grams: where a list is a row of bits 64 stories are
 * counted at a time, in binary numbers whose digits lie in `planes`; stories of other lists are marked. The longest of these are left out: as many as
 * are left out a story can have more than was counted, and only those that can be nearer than the first one are compared, the most promising first.
 */
#include "evaluator/novelty.h"

enum {
    STRIPE = 1 << 14, /* stories whose digits stay in the nearest cache while all rows of bits are read through them */
    STRIPE_WORDS = STRIPE / 64,
    LEFT_OUT = 8 /* of as many 2-grams as the first story has one in so many is left out */
};

typedef struct ts_novelty_term {
    ts_range range;
    uint64_t size;           /* of its list, or of the range where there is none */
    const void *list;        /* NULL: there is none */
    const uint16_t *stories; /* of a list that is no row of bits, else NULL */
    uint32_t *begins;        /* where those of each block begin, and where the last ones end */
} term;

/* A story, and how many of the 2-grams it has at most. */
typedef struct candidate {
    uint32_t story, most;
} candidate;

/* What a thread finds in a block. */
typedef struct ts_novelty_block {
    uint64_t *planes;
    candidate *found;
    size_t planes_capacity, found_count, found_capacity;
    uint32_t surely; /* 2-grams that a story is known to have */
    ts_status status;
} block;

typedef struct search {
    ts_novelty *n;
    size_t term_count, sparse, taken; /* of the terms in order: all, those that are no rows of bits, those of these that are not left out */
    size_t marked;                    /* of them those that search_rare has marked */
    uint32_t plane_count;             /* digits of the number of rows of bits */
    uint32_t best, best_story;        /* best 0: none */
} search;

static ts_status damaged(const ts_novelty *n)
{
    return ts_fail(TS_ERROR_FORMAT, "%s: is damaged: a list of stories is cut off or has another length", n->source.name);
}

static const term *term_at(const search *s, size_t index)
{
    return s->n->order[index];
}

/* ---- the 2-grams ---- */

/* Those without a list come first, for search_rare takes them all, and the rows of bits last. */
static int compare_terms(const void *a, const void *b)
{
    const term *left = a, *right = b;
    bool left_row = left->list != NULL && left->stories == NULL, right_row = right->list != NULL && right->stories == NULL;
    if ((left->list == NULL) != (right->list == NULL))
        return left->list == NULL ? -1 : 1;
    if (left_row != right_row)
        return right_row ? -1 : 1;
    if (left->size != right->size)
        return left->size < right->size ? -1 : 1;
    return left->range.begin < right->range.begin ? -1 : left->range.begin > right->range.begin;
}

/* Finds where the stories of each block begin, and checks that they are there. */
static ts_status find_blocks(const ts_novelty *n, term *t, const unsigned char *end)
{
    const uint16_t *counts = t->list;
    size_t blocks = ts_novelty_blocks(n->about.stories);
    uint64_t begin = 0;
    if ((uintptr_t)t->list % sizeof *counts != 0 || (size_t)(end - (const unsigned char *)t->list) < (blocks + t->size) * sizeof *counts)
        return damaged(n);
    for (size_t i = 0; i < blocks; i++) {
        t->begins[i] = (uint32_t)begin;
        begin += counts[i];
    }
    t->begins[blocks] = (uint32_t)begin;
    t->stories = counts + blocks;
    return begin == t->size ? TS_OK : damaged(n);
}

static ts_status find_term(ts_novelty *n, term *t, uint32_t *begins)
{
    const unsigned char *end;
    uint32_t stories;
    if (t->size <= TS_NOVELTY_FEW)
        return TS_OK;
    TS_TRY(ts_novelty_list(n, t->range, &t->list, &end, &stories));
    if (stories == 0 || stories > t->size || stories > n->about.stories)
        return damaged(n);
    t->size = stories;
    t->begins = begins;
    if (!ts_novelty_is_dense(stories, n->about.stories))
        return find_blocks(n, t, end);
    return (size_t)(end - (const unsigned char *)t->list) >= ts_novelty_dense_size(n->about.stories) ? TS_OK : damaged(n);
}

static ts_status find_terms(search *s)
{
    ts_novelty *n = s->n;
    size_t count = n->grams.count, blocks = ts_novelty_blocks(n->about.stories);
    TS_TRY(ts_reserve(n->runtime, &n->terms, &n->terms_capacity, count, sizeof *n->terms));
    TS_TRY(ts_reserve(n->runtime, &n->order, &n->order_capacity, count, sizeof *n->order));
    TS_TRY(ts_reserve(n->runtime, &n->begins, &n->begins_capacity, count * (blocks + 1), sizeof *n->begins));
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
        TS_TRY(find_term(n, t, n->begins + s->term_count * (blocks + 1)));
        s->sparse += t->list == NULL || t->stories != NULL;
        n->order[s->term_count++] = t;
    }
    while ((s->term_count - s->sparse) >> s->plane_count != 0)
        s->plane_count++;
    ts_order_sort(n->order, s->term_count, compare_terms);
    return TS_OK;
}

/* ---- marks ---- */

static inline void mark(uint8_t *marks, size_t story)
{
    marks[story] = (uint8_t)(marks[story] + (marks[story] < UINT8_MAX)); /* 255: that or more */
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
        mark(s->n->marks, story);
    }
    return TS_OK;
}

/* The stories of a list in one block; those of a damaged list are of it too. */
static void mark_block(const search *s, const term *t, size_t index)
{
    uint8_t *marks = s->n->marks + index * TS_NOVELTY_BLOCK;
    for (uint32_t i = t->begins[index]; i < t->begins[index + 1]; i++)
        mark(marks, t->stories[i] % TS_NOVELTY_BLOCK);
}

/* Of 64 stories those that have more than `most` marks (most < 128). Eight at once have none when adding to their marks makes no highest bit. */
static inline uint64_t marked_more(const uint8_t *marks, uint32_t most)
{
    const uint64_t high = 0x8080808080808080u, add = (0x7f - most) * UINT64_C(0x0101010101010101);
    uint64_t any = 0, found = 0, eight;
    for (size_t i = 0; i < 64; i += 8) {
        memcpy(&eight, marks + i, sizeof eight);
        any |= (((eight & ~high) + add) | eight) & high;
    }
    for (size_t i = 0; any != 0 && i < 64; i++)
        found |= (uint64_t)(marks[i] > most) << i;
    return found;
}

/* The first story with the most marks. */
static uint64_t most_marked(const uint8_t *marks, uint64_t count)
{
    uint64_t best = 0;
    for (uint64_t i = 0; i < count; i += 64)
        for (uint64_t found = marked_more(marks + i, TS_MIN(marks[best], (uint8_t)0x7f)); found != 0; found &= found - 1) {
            uint64_t story = i + (unsigned)__builtin_ctzll(found);
            best = marks[story] > marks[best] && story < count ? story : best;
        }
    return best;
}

/* ---- counting rows of bits ---- */

/* What processors of today work with at once, at least. */
typedef uint64_t pair __attribute__((vector_size(16)));

static inline pair pair_at(const void *bits, size_t index)
{
    pair value;
    memcpy(&value, (const char *)bits + index * sizeof value, sizeof value);
    return value;
}

/* The sum of three bits: the lower digit is given, the higher one is in *carry. */
static inline pair add_bits(pair a, pair b, pair c, pair *carry)
{
    pair differ = a ^ b;
    *carry = (a & b) | (differ & c);
    return differ ^ c;
}

/* Adds seven rows of bits to the numbers in the planes, which are STRIPE_WORDS apart. */
static void add_rows(uint64_t *planes, uint32_t plane_count, const unsigned char *const rows[7], size_t pairs)
{
    for (size_t i = 0; i < pairs; i++) {
        pair twos[3], digits[3], carry = {0};
        uint64_t *plane = planes + 2 * i;
        digits[0] = add_bits(pair_at(rows[0], i), pair_at(rows[1], i), pair_at(rows[2], i), &twos[0]);
        digits[0] = add_bits(pair_at(rows[3], i), pair_at(rows[4], i), digits[0], &twos[1]);
        digits[0] = add_bits(pair_at(rows[5], i), pair_at(rows[6], i), digits[0], &twos[2]);
        digits[1] = add_bits(twos[0], twos[1], twos[2], &digits[2]);
        for (uint32_t j = 0; j < plane_count; j++, plane += STRIPE_WORDS) {
            pair old = pair_at(plane, 0), sum = old ^ carry;
            carry &= old;
            if (j < 3) {
                carry |= sum & digits[j];
                sum ^= digits[j];
            }
            memcpy(plane, &sum, sizeof sum);
        }
    }
}

/* Counts in the planes how many rows of bits the stories of a stripe have. */
static void count_rows(const search *s, uint64_t *planes, uint64_t begin, uint64_t end)
{
    static const unsigned char nothing[STRIPE / 8];
    memset(planes, 0, (size_t)s->plane_count * STRIPE_WORDS * sizeof *planes);
    for (size_t first = s->sparse; first < s->term_count; first += 7) {
        const unsigned char *rows[7];
        for (size_t i = 0; i < 7; i++)
            rows[i] = first + i < s->term_count ? (const unsigned char *)term_at(s, first + i)->list + begin / 8 : nothing;
        add_rows(planes, s->plane_count, rows, (size_t)(end - begin + 127) / 128);
    }
}

/* Of 64 stories those whose number is `least` at least. */
static inline uint64_t reaching(const uint64_t *planes, uint32_t plane_count, uint32_t least)
{
    uint64_t greater = 0, equal = UINT64_MAX;
    if (least >> plane_count != 0)
        return 0;
    for (uint32_t j = plane_count; j-- > 0;) {
        uint64_t plane = planes[(size_t)j * STRIPE_WORDS];
        if ((least >> j & 1) != 0) {
            equal &= plane;
        } else {
            greater |= equal & plane;
            equal &= ~plane;
        }
    }
    return greater | equal;
}

static inline uint32_t number_of(const uint64_t *planes, uint32_t plane_count, unsigned bit)
{
    uint32_t number = 0;
    for (uint32_t j = 0; j < plane_count; j++)
        number |= (uint32_t)(planes[(size_t)j * STRIPE_WORDS] >> bit & 1) << j;
    return number;
}

/* ---- blocks ---- */

static ts_status add_candidate(const search *s, block *b, uint64_t story, uint32_t most)
{
    TS_TRY(ts_reserve(s->n->runtime, &b->found, &b->found_capacity, b->found_count + 1, sizeof *b->found));
    b->found[b->found_count++] = (candidate){(uint32_t)story, most};
    return TS_OK;
}

/* Adds the stories of a stripe that may have more than the best one and than others surely have. What a story needs for that it has more than a quarter of in
 * marks (or more marks than are told apart at once), or else the rest in rows of bits, of which every story has some. */
static ts_status find_candidates(const search *s, block *b, uint64_t begin, uint64_t end)
{
    const uint8_t *marks = s->n->marks + begin;
    b->surely = TS_MAX(b->surely, s->best);
    uint32_t left_out = (uint32_t)(s->sparse - s->taken), needed = b->surely + 1 - left_out, most = TS_MIN(needed / 4, 0x7fu);
    for (size_t word = 0; begin + 64 * word < end; word++) {
        const uint64_t *planes = b->planes + word;
        uint64_t left = end - begin - 64 * word, valid = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
        uint64_t found = (marked_more(marks + 64 * word, most) | reaching(planes, s->plane_count, needed - most)) & valid;
        for (; found != 0; found &= found - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(found);
            size_t story = 64 * word + bit;
            uint32_t counted = marks[story] + number_of(planes, s->plane_count, bit);
            uint32_t at_most = marks[story] == UINT8_MAX ? UINT32_MAX : counted + left_out;
            if (at_most <= b->surely)
                continue;
            b->surely = TS_MAX(b->surely, counted);
            TS_TRY(add_candidate(s, b, begin + story, at_most));
        }
    }
    return TS_OK;
}

static ts_status search_block(const search *s, block *b, size_t index)
{
    uint64_t begin = (uint64_t)index * TS_NOVELTY_BLOCK, end = TS_MIN(begin + TS_NOVELTY_BLOCK, s->n->about.stories);
    b->found_count = b->surely = 0;
    TS_TRY(ts_reserve(s->n->runtime, &b->planes, &b->planes_capacity, (size_t)TS_MAX(s->plane_count, 1u) * STRIPE_WORDS, sizeof *b->planes));
    for (size_t i = s->marked; i < s->taken; i++)
        mark_block(s, term_at(s, i), index);
    for (uint64_t stripe = begin; stripe < end; stripe += STRIPE) {
        uint64_t stripe_end = TS_MIN(stripe + STRIPE, end);
        count_rows(s, b->planes, stripe, stripe_end);
        TS_TRY(find_candidates(s, b, stripe, stripe_end));
    }
    return TS_OK;
}

static void search_blocks(void *argument, size_t begin, size_t end, size_t worker)
{
    const search *s = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        s->n->blocks[i].status = search_block(s, &s->n->blocks[i], i);
}

/* ---- comparing ---- */

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

static int compare_candidates(const void *a, const void *b)
{
    const candidate *left = a, *right = b;
    if (left->most != right->most)
        return left->most > right->most ? -1 : 1;
    return left->story < right->story ? -1 : left->story > right->story;
}

/* Compares the candidates of all blocks, the most promising first, until none can have more than the best. */
static ts_status compare_best(search *s)
{
    ts_novelty *n = s->n;
    size_t count = 0, blocks = ts_novelty_blocks(n->about.stories);
    for (size_t i = 0; i < blocks; i++)
        count += n->blocks[i].found_count;
    TS_TRY(ts_reserve(n->runtime, &n->order, &n->order_capacity, count, sizeof *n->order));
    count = 0;
    for (size_t i = 0; i < blocks; i++)
        for (size_t j = 0; j < n->blocks[i].found_count; j++)
            n->order[count++] = &n->blocks[i].found[j];
    ts_order_sort(n->order, count, compare_candidates);
    for (size_t i = 0; i < count && ((const candidate *)n->order[i])->most > s->best; i++)
        TS_TRY(compare_story(s, ((const candidate *)n->order[i])->story));
    return TS_OK;
}

/* Marks the rarest 2-grams and compares the story with the most marks: it is near, if not the nearest. */
static ts_status search_rare(search *s)
{
    uint64_t marks = 0, enough = s->n->about.stories / 32;
    for (; s->marked < s->sparse; s->marked++) {
        const term *t = term_at(s, s->marked);
        if (t->list == NULL)
            TS_TRY(mark_few(s, t->range));
        else if ((marks += t->size) > enough)
            break;
        for (size_t i = 0; t->list != NULL && i < ts_novelty_blocks(s->n->about.stories); i++)
            mark_block(s, t, i);
    }
    uint64_t most = most_marked(s->n->marks, s->n->about.stories);
    return s->n->marks[most] > 0 ? compare_story(s, (uint32_t)most) : TS_OK;
}

static ts_status search_all(search *s)
{
    size_t blocks = ts_novelty_blocks(s->n->about.stories);
    s->taken = TS_MAX(s->marked, s->sparse - TS_MIN(s->sparse, (size_t)s->best / LEFT_OUT));
    ts_parallel(s->n->runtime, blocks, 1, search_blocks, s);
    for (size_t i = 0; i < blocks; i++)
        if (s->n->blocks[i].status != TS_OK)
            return ts_fail(s->n->blocks[i].status, "the nearest story could not be looked for: out of memory");
    return compare_best(s);
}

ts_status ts_novelty_find_nearest(ts_novelty *n, ts_novelty_match *match)
{
    search s = {.n = n};
    TS_TRY(ts_grams_read(&n->grams, &n->phrase, 2));
    TS_TRY(find_terms(&s));
    ts_status status = search_rare(&s);
    if (status == TS_OK && s.term_count > 0)
        status = search_all(&s);
    memset(n->marks, 0, ts_novelty_blocks(n->about.stories) * TS_NOVELTY_BLOCK * sizeof *n->marks);
    TS_TRY(status);
    match->bigrams = n->grams.count;
    match->nearest_common = s.best;
    match->nearest_story = s.best > 0 ? s.best_story : UINT64_MAX;
    match->nearest_precision = n->grams.count > 0 ? (double)s.best / (double)n->grams.count : (double)__builtin_nanf("");
    return TS_OK;
}

void ts_novelty_free_nearest(ts_novelty *n)
{
    for (size_t i = 0; n->blocks != NULL && i < ts_novelty_blocks(n->about.stories); i++) {
        ts_release(n->runtime, n->blocks[i].planes);
        ts_release(n->runtime, n->blocks[i].found);
    }
    ts_release(n->runtime, n->blocks);
    ts_release(n->runtime, n->begins);
    ts_release(n->runtime, n->seen);
    ts_release(n->runtime, n->terms);
    ts_release(n->runtime, n->order);
    ts_release(n->runtime, n->marks);
}

ts_status ts_novelty_init_nearest(ts_novelty *n)
{
    size_t blocks = ts_novelty_blocks(n->about.stories);
    n->marks = ts_allocate_array(n->runtime, blocks * TS_NOVELTY_BLOCK, sizeof *n->marks);
    n->blocks = ts_allocate_array(n->runtime, blocks, sizeof *n->blocks);
    return n->marks != NULL && n->blocks != NULL ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
}

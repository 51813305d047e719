/*
 * Encoding: a word's bytes become tokens, and the pair of neighbours with the best rank is joined until none has a rank; the leftmost one among equals.
 * Short words look for the best pair by going through them, long ones keep a heap: n log n whatever the text.
 */
#include "text/text.h"
#include "tokenizer/vocabulary.h"

#define SHORT_WORD 48       /* bytes; measured: beyond it the heap wins */
#define NEVER UINT32_MAX    /* the rank of a pair that is not joined */
#define MAX_TEXT ((size_t)1 << 30)

/* Where ids go: counted always, stored as long as they fit. */
typedef struct output {
    uint32_t *ids;
    size_t capacity, count;
} output;

static inline void put(output *out, uint32_t id)
{
    if (out->count < out->capacity)
        out->ids[out->count] = id;
    out->count++;
}

/* ---- short words ---- */

static inline uint32_t rank_of(const ts_tokenizer *t, uint32_t left, uint32_t right, uint32_t *result)
{
    const ts_merge *merge = ts_merge_find(t, left, right);
    if (merge == NULL)
        return NEVER;
    *result = merge->result;
    return merge->rank;
}

static void encode_short(const ts_tokenizer *t, const char *word, size_t size, output *out)
{
    uint32_t ids[SHORT_WORD], ranks[SHORT_WORD], results[SHORT_WORD]; /* ranks[i], results[i]: of the pair i, i + 1 */
    size_t count = size;
    for (size_t i = 0; i < count; i++)
        ids[i] = t->bytes[(unsigned char)word[i]];
    for (size_t i = 0; i + 1 < count; i++)
        ranks[i] = rank_of(t, ids[i], ids[i + 1], &results[i]);
    for (;;) {
        uint32_t best = NEVER;
        size_t at = 0;
        for (size_t i = 0; i + 1 < count; i++)
            if (ranks[i] < best) {
                best = ranks[i];
                at = i;
            }
        if (best == NEVER)
            break;
        ids[at] = results[at];
        count--;
        for (size_t i = at + 1; i < count; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
            results[i - 1] = results[i];
        }
        if (at > 0)
            ranks[at - 1] = rank_of(t, ids[at - 1], ids[at], &results[at - 1]);
        if (at + 1 < count)
            ranks[at] = rank_of(t, ids[at], ids[at + 1], &results[at]);
    }
    for (size_t i = 0; i < count; i++)
        put(out, ids[i]);
}

/* ---- long words: a linked list of tokens and a heap of pairs ---- */

typedef struct piece {
    uint32_t id;
    uint32_t previous, next; /* NEVER: none */
} piece;

typedef struct candidate {
    uint32_t rank, at;    /* `at`: the left piece */
    uint32_t left, right; /* what the pair was when it was noted */
    uint32_t result;
} candidate;

typedef struct heap {
    candidate *items;
    size_t count;
} heap;

static bool before(const candidate *a, const candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(heap *h, candidate item)
{
    size_t at = h->count++;
    while (at > 0 && before(&item, &h->items[(at - 1) / 2])) {
        h->items[at] = h->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    h->items[at] = item;
}

static candidate heap_pop(heap *h)
{
    candidate top = h->items[0], last = h->items[--h->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!before(&h->items[child], &last))
            break;
        h->items[at] = h->items[child];
        at = child;
    }
    h->items[at] = last;
    return top;
}

static void note_pair(const ts_tokenizer *t, heap *h, const piece *pieces, uint32_t at)
{
    candidate c = {.at = at, .left = pieces[at].id};
    if (pieces[at].next == NEVER)
        return;
    c.right = pieces[pieces[at].next].id;
    c.rank = rank_of(t, c.left, c.right, &c.result);
    if (c.rank != NEVER)
        heap_push(h, c);
}

/* Every join removes a piece and notes two pairs at most: 3 n candidates are enough. */
static ts_status encode_long(const ts_tokenizer *t, const char *word, size_t size, output *out)
{
    piece *pieces = ts_allocate_array(t->runtime, size, sizeof *pieces);
    heap h = {ts_allocate_array(t->runtime, 3 * size, sizeof *h.items), 0};
    ts_status status = pieces && h.items ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; status == TS_OK && i < size; i++)
        pieces[i] = (piece){t->bytes[(unsigned char)word[i]], i > 0 ? (uint32_t)i - 1 : NEVER, i + 1 < size ? (uint32_t)i + 1 : NEVER};
    for (size_t i = 0; status == TS_OK && i + 1 < size; i++)
        note_pair(t, &h, pieces, (uint32_t)i);
    while (status == TS_OK && h.count > 0) {
        candidate c = heap_pop(&h);
        piece *left = &pieces[c.at];
        if (left->id != c.left || left->next == NEVER || pieces[left->next].id != c.right)
            continue; /* joined otherwise meanwhile */
        piece *right = &pieces[left->next];
        left->id = c.result;
        left->next = right->next;
        right->id = NEVER;
        if (left->next != NEVER)
            pieces[left->next].previous = c.at;
        if (left->previous != NEVER)
            note_pair(t, &h, pieces, left->previous);
        note_pair(t, &h, pieces, c.at);
    }
    for (uint32_t at = 0; status == TS_OK && at != NEVER; at = pieces[at].next)
        put(out, pieces[at].id);
    ts_release(t->runtime, pieces);
    ts_release(t->runtime, h.items);
    return status;
}

/* ---- text ---- */

static ts_status encode_plain(const ts_tokenizer *t, const char *text, size_t size, output *out)
{
    while (size > 0) {
        size_t length = ts_word(text, size);
        if (length <= SHORT_WORD)
            encode_short(t, text, length, out);
        else
            TS_TRY(encode_long(t, text, length, out));
        text += length;
        size -= length;
    }
    return TS_OK;
}

/* The first special token in the text: the earliest, of those the longest. */
static uint32_t first_special(const ts_tokenizer *t, const char *text, size_t size, size_t *at)
{
    const ts_vocabulary *v = &t->vocabulary;
    uint32_t found = TS_TOKENIZER_NONE;
    size_t found_size = 0;
    *at = size;
    for (uint32_t id = 0; id < v->count; id++) {
        size_t length;
        const char *bytes = ts_vocabulary_bytes(v, id, &length);
        if (!v->special[id])
            continue;
        for (const char *place = text; length <= (size_t)(text + size - place); place++) {
            place = memchr(place, bytes[0], (size_t)(text + size - place) - length + 1);
            if (place == NULL || (size_t)(place - text) > *at)
                break;
            if (memcmp(place, bytes, length) != 0)
                continue;
            if ((size_t)(place - text) < *at || length > found_size) {
                *at = (size_t)(place - text);
                found = id;
                found_size = length;
            }
            break;
        }
    }
    return found;
}

ts_status ts_tokenizer_encode(const ts_tokenizer *tokenizer, const char *text, size_t size, uint32_t flags, uint32_t *ids, size_t capacity, size_t *count)
{
    output out = {ids, capacity, 0};
    if (tokenizer == NULL || count == NULL || (text == NULL && size > 0) || (ids == NULL && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_encode: a pointer is NULL");
    if (flags & ~(uint32_t)TS_ENCODE_SPECIALS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_encode: flags are 0x%x, expected 0 or TS_ENCODE_SPECIALS", flags);
    if (size > MAX_TEXT)
        return ts_fail(TS_ERROR_LIMIT, "ts_tokenizer_encode: the text has %zu bytes, expected at most %zu", size, MAX_TEXT);
    while (size > 0) {
        size_t plain = size;
        uint32_t special = flags & TS_ENCODE_SPECIALS ? first_special(tokenizer, text, size, &plain) : TS_TOKENIZER_NONE;
        TS_TRY(encode_plain(tokenizer, text, plain, &out));
        if (special != TS_TOKENIZER_NONE) {
            size_t length;
            ts_vocabulary_bytes(&tokenizer->vocabulary, special, &length);
            put(&out, special);
            plain += length;
        }
        text += plain;
        size -= plain;
    }
    *count = out.count;
    if (out.count > capacity)
        return ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "ts_tokenizer_encode: %zu ids are wanted, the buffer has %zu", out.count, capacity);
    return TS_OK;
}

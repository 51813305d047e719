/*
 * Encoding of long words: neighbours that a merge joins are candidates, and the one of the best rank is joined next, the leftmost among equals. A heap of candidates
 * finds it, n log n whatever the merges are. Where no merge makes a token that a better one joins, as training gives them, all candidates of a rank can be joined
 * before any other, in any order but within a run of one token: then lists of candidates by rank do, linear in the word.
 */
#include "tokenizer/pair_heap.h"
#include "tokenizer/vocabulary.h"

#define BEGINS ((uint32_t)1 << 31) /* above all ids */
#define NEVER UINT32_MAX

typedef struct candidate {
    uint32_t at, next;
} candidate;

typedef struct joining {
    const ts_tokenizer *t;
    size_t size;             /* a text has 2^30 bytes at most, so that nothing wraps */
    uint32_t *slots;         /* one a byte: a token is at its first byte, with BEGINS, and at its last; between them is what was there before */
    ts_pair_heap heap;       /* of candidates, the rank above 32 bits of the place; with lists of ranks that have some */
    uint32_t *lists;         /* by rank, the newest candidate; NULL: without lists */
    candidate *candidates;   /* of the lists */
    uint32_t count, unused;  /* candidates; those that may be used again */
} joining;

static inline size_t next_of(const joining *j, size_t at)
{
    size_t size;
    ts_vocabulary_bytes(&j->t->vocabulary, j->slots[at] & ~BEGINS, &size);
    return at + size;
}

/* Of a token that is not the first. */
static inline size_t previous_of(const joining *j, size_t at)
{
    size_t size;
    ts_vocabulary_bytes(&j->t->vocabulary, j->slots[at - 1] & ~BEGINS, &size);
    return at - size;
}

/* The merge of a token and the next; NULL: none. */
static inline const ts_merge *merge_at(const joining *j, size_t at)
{
    size_t next = next_of(j, at);
    return next < j->size ? ts_merge_find(j->t, j->slots[at] & ~BEGINS, j->slots[next] & ~BEGINS) : NULL;
}

static void note_pair(joining *j, size_t at)
{
    const ts_merge *merge = merge_at(j, at);
    if (merge == NULL)
        return;
    if (j->lists == NULL) {
        ts_pair_push(&j->heap, (uint64_t)merge->rank << 32 | at);
        return;
    }
    uint32_t made = j->unused != NEVER ? j->unused : j->count++, *list = &j->lists[merge->rank];
    if (j->unused != NEVER)
        j->unused = j->candidates[made].next;
    if (*list == NEVER)
        ts_pair_push(&j->heap, merge->rank);
    j->candidates[made] = (candidate){(uint32_t)at, *list};
    *list = made;
}

/* Makes one token of one and the next. */
static void join(joining *j, size_t at, uint32_t result)
{
    size_t right = next_of(j, at), end = next_of(j, right);
    j->slots[right] = 0;
    j->slots[end - 1] = result;
    j->slots[at] = result | BEGINS;
    if (at > 0)
        note_pair(j, previous_of(j, at));
    note_pair(j, at);
}

static void join_by_heap(joining *j)
{
    while (j->heap.count > 0) {
        uint64_t best = ts_pair_pop(&j->heap);
        size_t at = (uint32_t)best;
        const ts_merge *merge = j->slots[at] & BEGINS ? merge_at(j, at) : NULL;
        if (merge != NULL && merge->rank == best >> 32) /* else it was joined otherwise meanwhile */
            join(j, at, merge->result);
    }
}

/* Joins at a candidate of a merge, if it still is one; in a run of one token from the run's beginning to its end. */
static void join_run(joining *j, size_t at, const ts_merge *merge)
{
    uint32_t left = merge->left | BEGINS, right = merge->right | BEGINS;
    if (j->slots[at] != left)
        return;
    while (left == right && at > 0 && j->slots[previous_of(j, at)] == left)
        at = previous_of(j, at);
    while (at < j->size && j->slots[at] == left) {
        size_t next = next_of(j, at);
        if (next == j->size || j->slots[next] != right)
            return;
        join(j, at, merge->result);
        at = next_of(j, at);
    }
}

static void join_by_ranks(joining *j)
{
    while (j->heap.count > 0) {
        uint32_t rank = (uint32_t)ts_pair_pop(&j->heap), first = j->lists[rank];
        const uint32_t *pair = j->t->vocabulary.merges[rank];
        const ts_merge *merge = ts_merge_find(j->t, pair[0], pair[1]);
        j->lists[rank] = NEVER;
        for (uint32_t i = first, next; i != NEVER; i = next) {
            next = j->candidates[i].next;
            j->candidates[i].next = j->unused;
            j->unused = i;
            join_run(j, j->candidates[i].at, merge);
        }
    }
}

/* Takes memory: what nothing comes to is not touched. A join takes a piece away and notes two pairs at most; those of a heap take a candidate away too. */
static bool take_memory(joining *j, bool by_ranks)
{
    ts_runtime *runtime = j->t->runtime;
    uint32_t ranks = j->t->vocabulary.merge_count;
    j->slots = ts_allocate_unset(runtime, j->size * sizeof *j->slots);
    j->heap.items = ts_allocate_unset(runtime, (by_ranks ? ranks + (size_t)1 : 2 * j->size) * sizeof *j->heap.items);
    if (!by_ranks)
        return j->slots != NULL && j->heap.items != NULL;
    j->lists = ts_allocate_unset(runtime, (ranks + (size_t)1) * sizeof *j->lists);
    j->candidates = ts_allocate_unset(runtime, 3 * j->size * sizeof *j->candidates);
    if (j->lists != NULL)
        memset(j->lists, 0xff, ranks * sizeof *j->lists);
    return j->slots != NULL && j->heap.items != NULL && j->lists != NULL && j->candidates != NULL;
}

ts_status ts_encode_long(const ts_tokenizer *tokenizer, const char *word, size_t size, bool by_ranks, ts_ids *out)
{
    joining j = {.t = tokenizer, .size = size, .unused = NEVER};
    ts_status status = take_memory(&j, by_ranks) ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK) {
        for (size_t i = 0; i < size; i++)
            j.slots[i] = tokenizer->bytes[(unsigned char)word[i]] | BEGINS;
        for (size_t i = 0; i < size; i++)
            note_pair(&j, i);
        if (by_ranks)
            join_by_ranks(&j);
        else
            join_by_heap(&j);
        for (size_t at = 0; at < size; at = next_of(&j, at))
            ts_ids_put(out, j.slots[at] & ~BEGINS);
    }
    void *const all[] = {j.slots, j.heap.items, j.lists, j.candidates};
    for (size_t i = 0; i < TS_COUNT_OF(all); i++)
        ts_release(tokenizer->runtime, all[i]);
    return status;
}

/*
 * Training a byte-level BPE. First the distinct words of the text are counted (word_counts.c); then, as long as there is room in the vocabulary, the
 * most frequent pair of neighbouring tokens becomes a token. Pairs know the words that they are in, so that a merge touches those alone; a heap gives
 * the most frequent pair, and its entries are put right when they come up.
 */
#include "tokenizer/vocabulary.h"
#include "tokenizer/word_counts.h"

/* ---- merging ---- */

typedef struct pair {
    uint32_t left, right;
    uint64_t count;
    uint32_t *words; /* that may hold it; some may not any more */
    size_t word_count, word_capacity;
    bool noted; /* in this round's list of pairs that grew */
} pair;

/* An entry of the heap: what a pair's count was when it was put there. */
typedef struct entry {
    uint64_t count;
    uint32_t pair;
} entry;

typedef struct merger {
    ts_runtime *runtime;
    ts_vocabulary *vocabulary;
    uint32_t *ids;  /* tokens of all words behind one another */
    size_t *begins; /* of each word */
    uint32_t *lengths;
    uint64_t *counts;
    pair *pairs;
    size_t pair_count, pair_capacity;
    uint32_t *places; /* of pairs, open addressing: index + 1 */
    size_t place_count, place_capacity;
    entry *heap;
    size_t heap_count, heap_capacity;
    uint32_t *grown; /* pairs to be put into the heap after this round */
    size_t grown_count, grown_capacity;
} merger;

static int compare_tokens(const merger *m, uint32_t a, uint32_t b)
{
    size_t a_size, b_size;
    const char *a_bytes = ts_vocabulary_bytes(m->vocabulary, a, &a_size), *b_bytes = ts_vocabulary_bytes(m->vocabulary, b, &b_size);
    int order = memcmp(a_bytes, b_bytes, TS_MIN(a_size, b_size));
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* The order of merging: the greater count, then the greater left token's bytes, then the greater right one's. */
static bool ahead(const merger *m, const entry *a, const entry *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    const pair *p = &m->pairs[a->pair], *q = &m->pairs[b->pair];
    int order = compare_tokens(m, p->left, q->left);
    return order != 0 ? order > 0 : compare_tokens(m, p->right, q->right) > 0;
}

static ts_status push(merger *m, entry item)
{
    TS_TRY(ts_reserve(m->runtime, &m->heap, &m->heap_capacity, m->heap_count + 1, sizeof *m->heap));
    size_t at = m->heap_count++;
    while (at > 0 && ahead(m, &item, &m->heap[(at - 1) / 2])) {
        m->heap[at] = m->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    m->heap[at] = item;
    return TS_OK;
}

static entry pop(merger *m)
{
    entry top = m->heap[0], last = m->heap[--m->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= m->heap_count)
            break;
        if (child + 1 < m->heap_count && ahead(m, &m->heap[child + 1], &m->heap[child]))
            child++;
        if (!ahead(m, &m->heap[child], &last))
            break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = last;
    return top;
}

static size_t pair_place(const merger *m, uint32_t left, uint32_t right)
{
    size_t mask = m->place_count - 1, at = ts_pair_hash(left, right, 32) & mask;
    while (m->places[at] != 0 && (m->pairs[m->places[at] - 1].left != left || m->pairs[m->places[at] - 1].right != right))
        at = (at + 1) & mask;
    return at;
}

static ts_status grow_pair_places(merger *m)
{
    size_t wanted = TS_MAX((size_t)65536, m->place_count * 2);
    TS_TRY(ts_reserve(m->runtime, &m->places, &m->place_capacity, wanted, sizeof *m->places));
    m->place_count = wanted;
    memset(m->places, 0, wanted * sizeof *m->places);
    for (size_t i = 0; i < m->pair_count; i++)
        m->places[pair_place(m, m->pairs[i].left, m->pairs[i].right)] = (uint32_t)i + 1;
    return TS_OK;
}

/* Counts `times` more of a pair in a word. */
static ts_status add_pair(merger *m, uint32_t left, uint32_t right, uint32_t in_word, uint64_t times)
{
    if (2 * (m->pair_count + 1) > m->place_count)
        TS_TRY(grow_pair_places(m));
    size_t at = pair_place(m, left, right);
    if (m->places[at] == 0) {
        TS_TRY(ts_reserve(m->runtime, &m->pairs, &m->pair_capacity, m->pair_count + 1, sizeof *m->pairs));
        m->pairs[m->pair_count++] = (pair){.left = left, .right = right};
        m->places[at] = (uint32_t)m->pair_count;
    }
    pair *p = &m->pairs[m->places[at] - 1];
    p->count += times;
    if (p->word_count == 0 || p->words[p->word_count - 1] != in_word) {
        TS_TRY(ts_reserve(m->runtime, &p->words, &p->word_capacity, p->word_count + 1, sizeof *p->words));
        p->words[p->word_count++] = in_word;
    }
    if (!p->noted) {
        TS_TRY(ts_reserve(m->runtime, &m->grown, &m->grown_capacity, m->grown_count + 1, sizeof *m->grown));
        m->grown[m->grown_count++] = m->places[at] - 1;
        p->noted = true;
    }
    return TS_OK;
}

static void drop_pair(merger *m, uint32_t left, uint32_t right, uint64_t times)
{
    size_t at = pair_place(m, left, right);
    if (m->places[at] != 0)
        m->pairs[m->places[at] - 1].count -= times;
}

static ts_status push_grown(merger *m, uint64_t least)
{
    for (size_t i = 0; i < m->grown_count; i++) {
        pair *p = &m->pairs[m->grown[i]];
        p->noted = false;
        if (p->count >= least)
            TS_TRY(push(m, (entry){p->count, m->grown[i]}));
    }
    m->grown_count = 0;
    return TS_OK;
}

/* Joins every left, right in a word into `joined`, and moves the counts of the pairs around them. */
static ts_status join_in_word(merger *m, uint32_t index, uint32_t left, uint32_t right, uint32_t joined)
{
    uint32_t *ids = m->ids + m->begins[index], length = m->lengths[index], to = 0;
    uint64_t times = m->counts[index];
    for (uint32_t from = 0; from < length; to++) {
        if (from + 1 >= length || ids[from] != left || ids[from + 1] != right) {
            ids[to] = ids[from++];
            continue;
        }
        if (to > 0) {
            drop_pair(m, ids[to - 1], left, times);
            TS_TRY(add_pair(m, ids[to - 1], joined, index, times));
        }
        if (from + 2 < length) {
            drop_pair(m, right, ids[from + 2], times);
            TS_TRY(add_pair(m, joined, ids[from + 2], index, times));
        }
        ids[to] = joined;
        from += 2;
    }
    m->lengths[index] = to;
    return TS_OK;
}

static ts_status merge_pair(merger *m, uint32_t best)
{
    ts_vocabulary *v = m->vocabulary;
    uint32_t left = m->pairs[best].left, right = m->pairs[best].right, joined = v->count;
    char bytes[2 * TS_TOKENIZER_MAX_TOKEN];
    size_t left_size, right_size;
    const char *left_bytes = ts_vocabulary_bytes(v, left, &left_size), *right_bytes = ts_vocabulary_bytes(v, right, &right_size);
    memcpy(bytes, left_bytes, left_size);
    memcpy(bytes + left_size, right_bytes, right_size);
    TS_TRY(ts_vocabulary_token(v, bytes, left_size + right_size, false));
    TS_TRY(ts_vocabulary_merge(v, left, right));
    /* The pair's own list is done with: taken out, so that growing pairs cannot move it. */
    uint32_t *words = m->pairs[best].words;
    size_t count = m->pairs[best].word_count;
    m->pairs[best].words = NULL;
    m->pairs[best].word_count = m->pairs[best].word_capacity = 0;
    ts_status status = TS_OK;
    for (size_t i = 0; i < count && status == TS_OK; i++)
        status = join_in_word(m, words[i], left, right, joined);
    ts_release(m->runtime, words);
    m->pairs[best].count = 0;
    return status;
}

/* Tokens of more bytes than a tokenizer takes are not made. */
static bool too_long(const merger *m, const pair *p)
{
    size_t left, right;
    ts_vocabulary_bytes(m->vocabulary, p->left, &left);
    ts_vocabulary_bytes(m->vocabulary, p->right, &right);
    return left + right > TS_TOKENIZER_MAX_TOKEN;
}

static ts_status merge_all(merger *m, const ts_tokenizer_train_options *o)
{
    uint32_t first = m->vocabulary->count;
    TS_TRY(push_grown(m, o->min_frequency));
    while (m->vocabulary->count < o->vocabulary_size && m->heap_count > 0) {
        entry best = pop(m);
        uint64_t count = m->pairs[best.pair].count;
        if (count != best.count) { /* fewer by now: it has to wait for its turn */
            if (count >= o->min_frequency && count < best.count)
                TS_TRY(push(m, (entry){count, best.pair}));
            continue;
        }
        if (too_long(m, &m->pairs[best.pair]))
            continue;
        TS_TRY(merge_pair(m, best.pair));
        TS_TRY(push_grown(m, o->min_frequency));
        uint32_t made = m->vocabulary->count - first;
        if (o->progress && made % 64 == 0 && o->progress(o->progress_user, made, o->vocabulary_size - first) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "the training of the tokenizer was stopped");
    }
    return TS_OK;
}

static void free_merger(merger *m)
{
    for (size_t i = 0; i < m->pair_count; i++)
        ts_release(m->runtime, m->pairs[i].words);
    void *const all[] = {m->ids, m->begins, m->lengths, m->counts, m->pairs, m->places, m->heap, m->grown};
    for (size_t i = 0; i < TS_COUNT_OF(all); i++)
        ts_release(m->runtime, all[i]);
}

/* Words become sequences of byte tokens; every pair in them is counted. Takes the words' memory away as soon as it can. */
static ts_status begin_merger(merger *m, ts_word_counts *w, const uint32_t byte_ids[256])
{
    m->ids = ts_allocate_array(m->runtime, w->bytes.size, sizeof *m->ids);
    m->begins = ts_allocate_array(m->runtime, w->count, sizeof *m->begins);
    m->lengths = ts_allocate_array(m->runtime, w->count, sizeof *m->lengths);
    m->counts = ts_allocate_array(m->runtime, w->count, sizeof *m->counts);
    if (!m->ids || !m->begins || !m->lengths || !m->counts)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < w->bytes.size; i++)
        m->ids[i] = byte_ids[(unsigned char)w->bytes.data[i]];
    for (size_t i = 0; i < w->count; i++) {
        m->begins[i] = w->words[i].offset;
        m->lengths[i] = w->words[i].size;
        m->counts[i] = w->words[i].count;
        const uint32_t *ids = m->ids + m->begins[i];
        for (uint32_t j = 0; j + 1 < m->lengths[i]; j++)
            TS_TRY(add_pair(m, ids[j], ids[j + 1], (uint32_t)i, m->counts[i]));
    }
    return TS_OK;
}

static ts_status begin_vocabulary(ts_vocabulary *v, uint32_t byte_ids[256])
{
    static const char marker[] = "<|endoftext|>";
    TS_TRY(ts_vocabulary_token(v, marker, sizeof marker - 1, true));
    v->end_of_text = 0;
    for (uint32_t i = 0; i < 256; i++) {
        char byte = (char)ts_alphabet_order(i);
        byte_ids[(unsigned char)byte] = v->count;
        TS_TRY(ts_vocabulary_token(v, &byte, 1, false));
    }
    return TS_OK;
}

static ts_status train(ts_tokenizer **out, ts_runtime *runtime, ts_word_counts *words, const ts_tokenizer_train_options *o)
{
    ts_vocabulary vocabulary;
    merger m = {.runtime = runtime, .vocabulary = &vocabulary};
    uint32_t byte_ids[256];
    ts_vocabulary_init(&vocabulary, runtime);
    ts_status status = begin_vocabulary(&vocabulary, byte_ids);
    if (status == TS_OK)
        status = begin_merger(&m, words, byte_ids);
    if (status == TS_OK)
        status = merge_all(&m, o);
    free_merger(&m);
    if (status != TS_OK) {
        ts_vocabulary_free(&vocabulary);
        return status;
    }
    if (vocabulary.count < o->vocabulary_size)
        ts_log(runtime, TS_LOG_WARNING, "the text gives %u tokens, not %u: no other pair occurs %u times", vocabulary.count, o->vocabulary_size,
               o->min_frequency);
    return ts_tokenizer_make(out, &vocabulary, "the new tokenizer");
}

/* ---- the interface ---- */

static const ts_tokenizer_train_options defaults = {
    .struct_size = sizeof(ts_tokenizer_train_options), .max_words = 1 << 24, .vocabulary_size = 4096, .min_frequency = 2};

ts_status ts_tokenizer_train_options_init(ts_tokenizer_train_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_tokenizer_train_options");
}

static ts_status check_options(const ts_tokenizer_train_options *o)
{
    if (o->vocabulary_size < 257 || o->vocabulary_size > TS_TOKENIZER_MAX_TOKENS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_train_options.vocabulary_size is %u, expected 257 to %d", o->vocabulary_size,
                       TS_TOKENIZER_MAX_TOKENS);
    if (o->min_frequency < 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_train_options.min_frequency is 0, expected at least 1");
    if (o->max_words < 1024 || o->max_words > 1u << 30)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_train_options.max_words is %llu, expected 1,024 to 2^30",
                       (unsigned long long)o->max_words);
    return TS_OK;
}

ts_status ts_tokenizer_train(ts_tokenizer **out, ts_runtime *runtime, ts_next_text next, void *user, const ts_tokenizer_train_options *options)
{
    ts_tokenizer_train_options o = defaults;
    if (out == NULL || next == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_train: a pointer is NULL");
    TS_TRY(ts_options_read(&o, sizeof o, options, "ts_tokenizer_train_options"));
    TS_TRY(check_options(&o));
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_word_counts words;
    ts_word_counts_init(&words, runtime);
    ts_status status = ts_count_words(&words, next, user, &o);
    if (status == TS_OK)
        status = train(out, runtime, &words, &o);
    ts_word_counts_free(&words);
    ts_runtime_release(runtime);
    return status;
}

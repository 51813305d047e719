/*
 * Encoding: a word's bytes become tokens, and the pair of neighbours with the best rank is joined until none has a rank; the leftmost one among
 * equals. Short words look for the best pair by going through them, long ones as encode_long.c says. Words that are known to become one token are
 * found in a table instead.
 */
#include "text/text.h"
#include "tokenizer/vocabulary.h"

#define SHORT_WORD 48    /* bytes; measured: beyond it the heap wins */
#define LONG_WORD 1024   /* the same of lists by rank, whose heads are many */
#define NEVER UINT32_MAX /* the rank of a pair that is not joined */
#define MAX_TEXT ((size_t)1 << 30)
#define MUCH_TEXT ((size_t)64 << 10) /* bytes, after which the table of whole words pays for itself */

/* ---- short words ---- */

static inline uint32_t rank_of(const ts_tokenizer *t, uint32_t left, uint32_t right, uint32_t *result)
{
    const ts_merge *merge = ts_merge_find(t, left, right);
    if (merge == NULL)
        return NEVER;
    *result = merge->result;
    return merge->rank;
}

static void encode_short(const ts_tokenizer *t, const char *word, size_t size, ts_ids *out)
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
        ts_ids_put(out, ids[i]);
}

/* ---- words of one token ---- */

/* The word as it is compared: everything but the id. 0 < size <= TS_WHOLE_SIZE; `readable` bytes from `word` on may be looked at. */
static inline ts_whole whole_key(const char *word, size_t size, size_t readable)
{
    ts_whole key = {0};
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && readable >= sizeof key.first + sizeof key.rest) {
        uint32_t beyond = size > 8 ? (uint32_t)size - 8 : 0;
        memcpy(&key.first, word, sizeof key.first);
        memcpy(&key.rest, word + sizeof key.first, sizeof key.rest);
        key.first &= ~(uint64_t)0 >> 8 * (8 - TS_MIN(size, (size_t)8));
        key.rest = (key.rest & ((1u << 8 * beyond) - 1)) | (uint32_t)size << 24;
        return key;
    }
    unsigned char bytes[TS_WHOLE_SIZE + 1] = {0};
    memcpy(bytes, word, size);
    bytes[TS_WHOLE_SIZE] = (unsigned char)size;
    memcpy(&key.first, bytes, sizeof key.first);
    memcpy(&key.rest, bytes + sizeof key.first, sizeof key.rest);
    return key;
}

/* Where the word is, or the empty place where it would be; NULL when that is too far away: such words are encoded the long way. */
static inline ts_whole *find_whole(ts_whole *table, uint32_t bits, ts_whole key)
{
    uint32_t mask = (1u << bits) - 1;
    uint64_t hash = (key.first * 0x9e3779b97f4a7c15u ^ key.rest) * 0xd1b54a32d192ed03u;
    uint32_t at = (uint32_t)(hash >> (64 - bits));
    for (uint32_t probe = 0; probe < TS_MAX_PROBES; probe++, at = (at + 1) & mask) {
        ts_whole *place = &table[at];
        if ((place->first == key.first && place->rest == key.rest) || place->rest == 0)
            return place;
    }
    return NULL;
}

static inline uint32_t whole_bits(const ts_tokenizer *t)
{
    return ts_table_bits(t->vocabulary.merge_count + 256);
}

/* A token's bytes as a word need not become that token: merges of other ranks may come between. So each is tried;
 * those that do are bytes or what a merge gives. */
static void fill_whole(const ts_tokenizer *t, ts_whole *table)
{
    const ts_vocabulary *v = &t->vocabulary;
    for (uint32_t id = 0; id < v->count; id++) {
        size_t size;
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        uint32_t got = TS_TOKENIZER_NONE;
        ts_ids one = {&got, 1, 0};
        if (v->kinds[id] != TS_TOKEN_NORMAL || size > TS_WHOLE_SIZE || (size > 1 && v->merge_count == 0))
            continue;
        encode_short(t, bytes, size, &one);
        if (one.count == 1) {
            ts_whole key = whole_key(bytes, size, size), *place = find_whole(table, whole_bits(t), key);
            if (place == NULL)
                continue;
            *place = key;
            place->id = got;
        }
    }
}

/* The table, made when so much text was encoded that it pays; NULL before, and when there is no memory for it: all goes on without. */
static ts_whole *whole_table(const ts_tokenizer *tokenizer, size_t size)
{
    ts_tokenizer *t = (ts_tokenizer *)tokenizer; /* the same ids with and without: nobody sees it change */
    ts_whole *table = __atomic_load_n(&t->whole, __ATOMIC_ACQUIRE), *other = NULL;
    if (table != NULL || __atomic_add_fetch(&t->encoded, size, __ATOMIC_RELAXED) < MUCH_TEXT)
        return table;
    table = ts_allocate_array(t->runtime, (size_t)1 << whole_bits(t), sizeof *table);
    if (table == NULL)
        return NULL;
    fill_whole(t, table);
    if (__atomic_compare_exchange_n(&t->whole, &other, table, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return table;
    ts_release(t->runtime, table); /* another thread was faster */
    return other;
}

ts_status ts_encode_word(const ts_tokenizer *tokenizer, const char *word, size_t size, ts_ids *out)
{
    if (size > SHORT_WORD)
        return ts_encode_long(tokenizer, word, size, size >= LONG_WORD && tokenizer->ranks_rise, out);
    encode_short(tokenizer, word, size, out);
    return TS_OK;
}

/* ---- text ---- */

static ts_status encode_plain(const ts_tokenizer *t, const char *text, size_t size, ts_ids *out)
{
    ts_whole *table = whole_table(t, size);
    uint32_t bits = table != NULL ? whole_bits(t) : 0;
    while (size > 0) {
        size_t length = ts_word(text, size);
        const ts_whole *whole = table != NULL && length <= TS_WHOLE_SIZE ? find_whole(table, bits, whole_key(text, length, size)) : NULL;
        if (whole != NULL && whole->rest != 0)
            ts_ids_put(out, whole->id);
        else
            TS_TRY(ts_encode_word(t, text, length, out));
        text += length;
        size -= length;
    }
    return TS_OK;
}

/* The longest special token that the text begins with. */
static uint32_t special_at(const ts_tokenizer *t, const char *text, size_t size)
{
    uint32_t found = TS_TOKENIZER_NONE;
    size_t found_size = 0, length;
    for (uint32_t i = 0; i < t->special_count; i++) {
        const char *bytes = ts_vocabulary_bytes(&t->vocabulary, t->specials[i], &length);
        if (length > found_size && length <= size && memcmp(text, bytes, length) == 0) {
            found = t->specials[i];
            found_size = length;
        }
    }
    return found;
}

/* The first special token in the text and where it begins; looks at no byte behind it, so that all of a text is gone through once. */
static uint32_t first_special(const ts_tokenizer *t, const char *text, size_t size, size_t *at)
{
    for (*at = 0; *at < size; (*at)++) {
        uint32_t found = t->begins_special[(unsigned char)text[*at]] ? special_at(t, text + *at, size - *at) : TS_TOKENIZER_NONE;
        if (found != TS_TOKENIZER_NONE)
            return found;
    }
    return TS_TOKENIZER_NONE;
}

ts_status ts_tokenizer_encode(const ts_tokenizer *tokenizer, const char *text, size_t size, uint32_t flags, uint32_t *ids, size_t capacity,
                              size_t *count)
{
    ts_ids out = {ids, capacity, 0};
    if (tokenizer == NULL || count == NULL || (text == NULL && size > 0) || (ids == NULL && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_encode: a pointer is NULL");
    if (flags & ~(uint32_t)TS_ENCODE_SPECIALS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_encode: flags are 0x%x, expected 0 or TS_ENCODE_SPECIALS", flags);
    if (size > MAX_TEXT)
        return ts_fail(TS_ERROR_LIMIT, "ts_tokenizer_encode: the text has %zu bytes, expected at most %zu", size, MAX_TEXT);
    bool begins = true;
    while (size > 0) {
        size_t plain = size;
        uint32_t special = flags & TS_ENCODE_SPECIALS ? first_special(tokenizer, text, size, &plain) : TS_TOKENIZER_NONE;
        if (tokenizer->vocabulary.wordpiece)
            ts_wordpiece_encode(tokenizer, text, plain, &out);
        else
            TS_TRY(tokenizer->vocabulary.sentencepiece ? ts_sentencepiece_encode(tokenizer, text, plain, begins, &out)
                                                       : encode_plain(tokenizer, text, plain, &out));
        begins = special != TS_TOKENIZER_NONE && special == tokenizer->begin_of_text;
        if (special != TS_TOKENIZER_NONE) {
            size_t length;
            ts_vocabulary_bytes(&tokenizer->vocabulary, special, &length);
            ts_ids_put(&out, special);
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

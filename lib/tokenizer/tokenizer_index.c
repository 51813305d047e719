/* Making a tokenizer of a vocabulary: what finds tokens by their bytes and merges by their parts, and all the checks that the others rely on. */
#include "text/text.h"
#include "tokenizer/vocabulary.h"

uint32_t ts_table_bits(uint32_t count)
{
    uint32_t bits = 4;
    while ((1u << bits) < 2 * count)
        bits++;
    return bits;
}

/* What a file chose so that looking things up would take for ever. */
static ts_status too_crowded(const char *name, const char *what, uint32_t number)
{
    return ts_fail(TS_ERROR_LIMIT, "%s: %s %u is the one too many of those with much the same hash, at most %d are read", name, what, number,
                   TS_MAX_PROBES);
}

/* ---- tokens by their bytes ---- */

/* `place`: where the token is or would be; TS_TOKENIZER_NONE if that is farther away than anything may be. */
static uint32_t find(const ts_tokenizer *tokenizer, const char *bytes, size_t size, uint32_t *place)
{
    uint32_t mask = (1u << tokenizer->find_bits) - 1, at = (uint32_t)ts_hash(bytes, size, 0) & mask;
    for (uint32_t probe = 0; probe < TS_MAX_PROBES; probe++, at = (at + 1) & mask) {
        uint32_t id = tokenizer->by_bytes[at];
        size_t other_size;
        *place = at;
        if (id == TS_TOKENIZER_NONE)
            return id;
        const char *other = ts_vocabulary_bytes(&tokenizer->vocabulary, id, &other_size);
        if (other_size == size && memcmp(other, bytes, size) == 0)
            return id;
    }
    *place = TS_TOKENIZER_NONE;
    return TS_TOKENIZER_NONE;
}

uint32_t ts_tokenizer_find(const ts_tokenizer *tokenizer, const char *bytes, size_t size)
{
    uint32_t place;
    return tokenizer == NULL || bytes == NULL ? TS_TOKENIZER_NONE : find(tokenizer, bytes, size, &place);
}

static ts_status index_token(ts_tokenizer *t, uint32_t id, const char *name)
{
    const ts_vocabulary *v = &t->vocabulary;
    const uint8_t kind = v->kinds[id], bytes_are = v->sentencepiece ? TS_TOKEN_BYTE : TS_TOKEN_NORMAL;
    size_t size;
    uint32_t place;
    const char *bytes = ts_vocabulary_bytes(v, id, &size);
    uint32_t other = find(t, bytes, size, &place);
    t->longest = TS_MAX(t->longest, size);
    if (kind == TS_TOKEN_NORMAL)
        t->longest_normal = TS_MAX(t->longest_normal, size);
    if (size == 1 && kind == bytes_are)
        t->bytes[(unsigned char)bytes[0]] = id;
    if (place == TS_TOKENIZER_NONE)
        return too_crowded(name, "token", id);
    if (other == TS_TOKENIZER_NONE)
        t->by_bytes[place] = id;
    else if (kind == v->kinds[other])
        return ts_fail(TS_ERROR_FORMAT, "%s: tokens %u and %u are the same, \"%.*s\"", name, other, id, (int)TS_MIN(size, 100), bytes);
    return TS_OK;
}

/* Normal tokens first, so that a special one or a byte of the same bytes is found by no word. */
static ts_status index_tokens(ts_tokenizer *t, const char *name)
{
    static const uint8_t order[] = {TS_TOKEN_NORMAL, TS_TOKEN_BYTE, TS_TOKEN_SPECIAL};
    const ts_vocabulary *v = &t->vocabulary;
    t->find_bits = ts_table_bits(v->count);
    t->by_bytes = ts_allocate_unset(t->runtime, sizeof *t->by_bytes << t->find_bits);
    if (t->by_bytes == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    memset(t->by_bytes, 0xff, sizeof *t->by_bytes << t->find_bits);
    memset(t->bytes, 0xff, sizeof t->bytes);
    for (size_t i = 0; i < TS_COUNT_OF(order); i++)
        for (uint32_t id = 0; id < v->count; id++)
            if (v->kinds[id] == order[i])
                TS_TRY(index_token(t, id, name));
    for (int byte = 0; byte < 256 && !v->wordpiece; byte++)
        if (t->bytes[byte] == TS_TOKENIZER_NONE)
            return ts_fail(TS_ERROR_FORMAT, "%s: has no token for the byte 0x%02x", name, byte);
    return TS_OK;
}

static ts_status index_specials(ts_tokenizer *t)
{
    const ts_vocabulary *v = &t->vocabulary;
    size_t count = 0, size;
    for (uint32_t id = 0; id < v->count; id++)
        count += v->kinds[id] == TS_TOKEN_SPECIAL;
    t->specials = ts_allocate_array(t->runtime, count, sizeof *t->specials);
    if (t->specials == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (uint32_t id = 0; id < v->count; id++)
        if (v->kinds[id] == TS_TOKEN_SPECIAL) {
            t->begins_special[(unsigned char)*ts_vocabulary_bytes(v, id, &size)] = true;
            t->specials[t->special_count++] = id;
        }
    return TS_OK;
}

/* ---- merges by their parts ---- */

ts_status ts_merges_make_room(ts_tokenizer *t, uint32_t count)
{
    ts_release(t->runtime, t->merges);
    t->merge_bits = ts_table_bits(count);
    t->merges = ts_allocate_unset(t->runtime, sizeof *t->merges << t->merge_bits);
    if (t->merges == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    memset(t->merges, 0xff, sizeof *t->merges << t->merge_bits);
    return TS_OK;
}

ts_status ts_merge_learn(ts_tokenizer *t, ts_merge merge, const char *name)
{
    uint32_t mask = (1u << t->merge_bits) - 1, at = ts_pair_hash(merge.left, merge.right, t->merge_bits);
    for (uint32_t probe = 0; probe < TS_MAX_PROBES; probe++, at = (at + 1) & mask) {
        ts_merge *place = &t->merges[at];
        if (place->left == merge.left && place->right == merge.right)
            return TS_OK; /* the first one counts, as it has the better rank */
        if (place->left == TS_TOKENIZER_NONE) {
            *place = merge;
            return TS_OK;
        }
    }
    return too_crowded(name, "merge", merge.rank);
}

/* Whether a token is two others behind one another. */
static bool is_join(const ts_vocabulary *v, uint32_t id, const char *left, size_t left_size, const char *right, size_t right_size)
{
    size_t size;
    const char *bytes = id < v->count && v->kinds[id] == TS_TOKEN_NORMAL ? ts_vocabulary_bytes(v, id, &size) : NULL;
    return bytes != NULL && size == left_size + right_size && memcmp(bytes, left, left_size) == 0 &&
           memcmp(bytes + left_size, right, right_size) == 0;
}

/* The token that two normal tokens give; mostly it is the one behind that of the merge before. TS_TOKENIZER_NONE: none. */
static uint32_t join_of(const ts_tokenizer *t, uint32_t left, uint32_t right, uint32_t guess)
{
    const ts_vocabulary *v = &t->vocabulary;
    char joined[2 * TS_TOKENIZER_MAX_TOKEN];
    size_t left_size, right_size;
    const char *left_bytes = ts_vocabulary_bytes(v, left, &left_size), *right_bytes = ts_vocabulary_bytes(v, right, &right_size);
    if (is_join(v, guess, left_bytes, left_size, right_bytes, right_size))
        return guess;
    memcpy(joined, left_bytes, left_size);
    memcpy(joined + left_size, right_bytes, right_size);
    uint32_t result = ts_tokenizer_find(t, joined, left_size + right_size);
    return result != TS_TOKENIZER_NONE && v->kinds[result] == TS_TOKEN_NORMAL ? result : TS_TOKENIZER_NONE;
}

static ts_status no_token(const ts_vocabulary *v, uint32_t rank, const char *name)
{
    size_t left_size, right_size;
    const char *left = ts_vocabulary_bytes(v, v->merges[rank][0], &left_size), *right = ts_vocabulary_bytes(v, v->merges[rank][1], &right_size);
    return ts_fail(TS_ERROR_FORMAT, "%s: merge %u gives \"%.*s%.*s\", which is no token", name, rank, (int)TS_MIN(left_size, 100), left,
                   (int)TS_MIN(right_size, 100), right);
}

/* `joined` has a zero for each token. */
static ts_status learn_merges(ts_tokenizer *t, bool *joined, const char *name)
{
    const ts_vocabulary *v = &t->vocabulary;
    t->ranks_rise = true;
    for (uint32_t rank = 0, result = 0; rank < v->merge_count; rank++) {
        uint32_t left = v->merges[rank][0], right = v->merges[rank][1];
        if (left >= v->count || right >= v->count || v->kinds[left] || v->kinds[right])
            return ts_fail(TS_ERROR_FORMAT, "%s: merge %u joins %u and %u, expected normal tokens below %u", name, rank, left, right, v->count);
        result = join_of(t, left, right, result + 1);
        if (result == TS_TOKENIZER_NONE)
            return no_token(v, rank, name);
        TS_TRY(ts_merge_learn(t, (ts_merge){left, right, rank, result}, name));
        joined[left] = joined[right] = true;
        t->ranks_rise = t->ranks_rise && !joined[result];
    }
    return TS_OK;
}

static ts_status index_merges(ts_tokenizer *t, const char *name)
{
    TS_TRY(ts_merges_make_room(t, t->vocabulary.merge_count));
    bool *joined = ts_allocate(t->runtime, t->vocabulary.count);
    ts_status status = joined != NULL ? learn_merges(t, joined, name) : TS_ERROR_OUT_OF_MEMORY;
    ts_release(t->runtime, joined);
    return status;
}

/* ---- what divides texts ---- */

/* By its usual name, where a file says nothing. */
static uint32_t find_special(const ts_tokenizer *t, const char *text)
{
    uint32_t id = ts_tokenizer_find(t, text, strlen(text));
    return ts_tokenizer_is_special(t, id) ? id : TS_TOKENIZER_NONE;
}

static ts_status check_special(const ts_tokenizer *t, uint32_t id, const char *what, const char *name)
{
    if (id != TS_TOKENIZER_NONE && !ts_tokenizer_is_special(t, id))
        return ts_fail(TS_ERROR_FORMAT, "%s: its %s of text, %u, is no special token", name, what, id);
    return TS_OK;
}

static ts_status find_marks(ts_tokenizer *t, const char *name)
{
    static const char marker[] = "<|endoftext|>";
    const ts_vocabulary *v = &t->vocabulary;
    t->end_of_text = v->end_of_text;
    if (t->end_of_text == TS_TOKENIZER_NONE)
        t->end_of_text = ts_tokenizer_find(t, marker, sizeof marker - 1);
    if (t->end_of_text == TS_TOKENIZER_NONE && v->sentencepiece)
        t->end_of_text = find_special(t, "</s>");
    if (t->end_of_text == TS_TOKENIZER_NONE && v->wordpiece)
        t->end_of_text = find_special(t, "[EOS]");
    TS_TRY(check_special(t, t->end_of_text, "end", name));
    t->begin_of_text = v->begin_of_text;
    if (t->begin_of_text == TS_TOKENIZER_NONE && v->end_of_text == TS_TOKENIZER_NONE && v->sentencepiece)
        t->begin_of_text = find_special(t, "<s>");
    if (t->begin_of_text == TS_TOKENIZER_NONE)
        t->begin_of_text = t->end_of_text;
    return check_special(t, t->begin_of_text, "beginning", name);
}

/* ---- making ---- */

static ts_status begin(ts_tokenizer *t, const char *name)
{
    if (t->vocabulary.count == 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: has no tokens", name);
    TS_TRY(index_tokens(t, name));
    return index_specials(t);
}

ts_status ts_tokenizer_begin(ts_tokenizer **out, ts_vocabulary *vocabulary, const char *name)
{
    ts_tokenizer *t = ts_allocate(vocabulary->runtime, sizeof *t);
    if (t == NULL) {
        ts_vocabulary_free(vocabulary);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    ts_status status = ts_runtime_acquire(&t->runtime, vocabulary->runtime);
    t->references = 1;
    t->vocabulary = *vocabulary;
    ts_vocabulary_init(vocabulary, vocabulary->runtime);
    if (status == TS_OK)
        status = begin(t, name);
    if (status != TS_OK) {
        ts_tokenizer_free(t);
        return status;
    }
    *out = t;
    return TS_OK;
}

static ts_status finish(ts_tokenizer *t, const char *name)
{
    const ts_vocabulary *v = &t->vocabulary;
    if (v->wordpiece && !ts_tokenizer_is_special(t, v->unknown)) /* what text becomes that is no token */
        return ts_fail(TS_ERROR_FORMAT, "%s: the token for unknown words, %u, is no special token", name, v->unknown);
    TS_TRY(index_merges(t, name));
    if (v->sentencepiece)
        ts_sentencepiece_index(t);
    return find_marks(t, name);
}

ts_status ts_tokenizer_finish(ts_tokenizer **out, ts_tokenizer *tokenizer, ts_status status, const char *name)
{
    if (status == TS_OK)
        status = finish(tokenizer, name);
    if (status != TS_OK) {
        ts_tokenizer_free(tokenizer);
        return status;
    }
    *out = tokenizer;
    return TS_OK;
}

ts_status ts_tokenizer_make(ts_tokenizer **out, ts_vocabulary *vocabulary, const char *name)
{
    ts_tokenizer *t;
    TS_TRY(ts_tokenizer_begin(&t, vocabulary, name));
    return ts_tokenizer_finish(out, t, TS_OK, name);
}

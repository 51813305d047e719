/* The handle: making it with all its checks, what is in it, decoding. */
#include <math.h>

#include "text/text.h"
#include "tokenizer/vocabulary.h"

/* ---- vocabulary ---- */

void ts_vocabulary_init(ts_vocabulary *vocabulary, ts_runtime *runtime)
{
    *vocabulary =
        (ts_vocabulary){.runtime = runtime, .bytes = {.runtime = runtime}, .end_of_text = TS_TOKENIZER_NONE, .begin_of_text = TS_TOKENIZER_NONE};
}

void ts_vocabulary_free(ts_vocabulary *vocabulary)
{
    ts_bytes_free(&vocabulary->bytes);
    ts_release(vocabulary->runtime, vocabulary->ends);
    ts_release(vocabulary->runtime, vocabulary->kinds);
    ts_release(vocabulary->runtime, vocabulary->scores);
    ts_release(vocabulary->runtime, vocabulary->merges);
    ts_vocabulary_init(vocabulary, vocabulary->runtime);
}

ts_status ts_vocabulary_token(ts_vocabulary *v, const char *bytes, size_t size, uint8_t kind)
{
    if (v->count >= TS_TOKENIZER_MAX_TOKENS)
        return ts_fail(TS_ERROR_LIMIT, "more than %d tokens", TS_TOKENIZER_MAX_TOKENS);
    if (size == 0 || size > TS_TOKENIZER_MAX_TOKEN)
        return ts_fail(size ? TS_ERROR_LIMIT : TS_ERROR_FORMAT, "token %u has %zu bytes, expected 1 to %d", v->count, size, TS_TOKENIZER_MAX_TOKEN);
    TS_TRY(ts_reserve(v->runtime, &v->ends, &v->ends_capacity, (size_t)v->count + 1, sizeof *v->ends));
    TS_TRY(ts_reserve(v->runtime, &v->kinds, &v->kinds_capacity, (size_t)v->count + 1, 1));
    TS_TRY(ts_bytes_add(&v->bytes, bytes, size));
    if (v->bytes.size > UINT32_MAX)
        return ts_fail(TS_ERROR_LIMIT, "the tokens have more than 4 GiB");
    v->ends[v->count] = (uint32_t)v->bytes.size;
    v->kinds[v->count++] = kind;
    return TS_OK;
}

ts_status ts_vocabulary_piece(ts_vocabulary *v, const char *bytes, size_t size, uint8_t kind, float score)
{
    if (!isfinite(score))
        return ts_fail(TS_ERROR_FORMAT, "the score of token %u is no finite number", v->count);
    TS_TRY(ts_reserve(v->runtime, &v->scores, &v->scores_capacity, (size_t)v->count + 1, sizeof *v->scores));
    v->scores[v->count] = score;
    return ts_vocabulary_token(v, bytes, size, kind);
}

ts_status ts_vocabulary_merge(ts_vocabulary *v, uint32_t left, uint32_t right)
{
    if (v->merge_count >= TS_TOKENIZER_MAX_TOKENS)
        return ts_fail(TS_ERROR_LIMIT, "more than %d merges", TS_TOKENIZER_MAX_TOKENS);
    TS_TRY(ts_reserve(v->runtime, &v->merges, &v->merges_capacity, (size_t)v->merge_count + 1, sizeof *v->merges));
    v->merges[v->merge_count][0] = left;
    v->merges[v->merge_count++][1] = right;
    return TS_OK;
}

/* ---- finding tokens by their bytes ---- */

static uint32_t find(const ts_tokenizer *tokenizer, const char *bytes, size_t size, uint32_t *place)
{
    uint32_t mask = (1u << tokenizer->find_bits) - 1, at = (uint32_t)ts_hash(bytes, size, 0) & mask;
    for (; tokenizer->by_bytes[at] != TS_TOKENIZER_NONE; at = (at + 1) & mask) {
        size_t other_size;
        const char *other = ts_vocabulary_bytes(&tokenizer->vocabulary, tokenizer->by_bytes[at], &other_size);
        if (other_size == size && memcmp(other, bytes, size) == 0)
            break;
    }
    *place = at;
    return tokenizer->by_bytes[at];
}

uint32_t ts_tokenizer_find(const ts_tokenizer *tokenizer, const char *bytes, size_t size)
{
    uint32_t place;
    return tokenizer == NULL || bytes == NULL ? TS_TOKENIZER_NONE : find(tokenizer, bytes, size, &place);
}

uint32_t ts_table_bits(uint32_t count)
{
    uint32_t bits = 4;
    while ((1u << bits) < 2 * count)
        bits++;
    return bits;
}

/* Normal tokens first, so that a special one or a byte of the same bytes is found by no word. */
static ts_status index_tokens(ts_tokenizer *t, const char *name)
{
    const ts_vocabulary *v = &t->vocabulary;
    t->find_bits = ts_table_bits(v->count);
    t->by_bytes = ts_allocate_array(t->runtime, (size_t)1 << t->find_bits, sizeof *t->by_bytes);
    if (t->by_bytes == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    memset(t->by_bytes, 0xff, sizeof *t->by_bytes << t->find_bits);
    memset(t->bytes, 0xff, sizeof t->bytes);
    static const uint8_t order[] = {TS_TOKEN_NORMAL, TS_TOKEN_BYTE, TS_TOKEN_SPECIAL};
    const uint8_t bytes_are = v->sentencepiece ? TS_TOKEN_BYTE : TS_TOKEN_NORMAL;
    for (size_t i = 0; i < TS_COUNT_OF(order); i++)
        for (uint32_t id = 0; id < v->count; id++) {
            size_t size;
            uint32_t place;
            const char *bytes = ts_vocabulary_bytes(v, id, &size);
            if (v->kinds[id] != order[i])
                continue;
            t->longest = TS_MAX(t->longest, size);
            if (order[i] == TS_TOKEN_NORMAL)
                t->longest_normal = TS_MAX(t->longest_normal, size);
            uint32_t other = find(t, bytes, size, &place);
            if (other == TS_TOKENIZER_NONE)
                t->by_bytes[place] = id;
            else if (order[i] == v->kinds[other])
                return ts_fail(TS_ERROR_FORMAT, "%s: tokens %u and %u are the same, \"%.*s\"", name, other, id, (int)TS_MIN(size, 100), bytes);
            if (size == 1 && order[i] == bytes_are)
                t->bytes[(unsigned char)bytes[0]] = id;
        }
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

ts_status ts_merges_make_room(ts_tokenizer *t, uint32_t count)
{
    ts_release(t->runtime, t->merges);
    t->merge_bits = ts_table_bits(count);
    t->merges = ts_allocate_array(t->runtime, (size_t)1 << t->merge_bits, sizeof *t->merges);
    if (t->merges == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    memset(t->merges, 0xff, sizeof *t->merges << t->merge_bits);
    return TS_OK;
}

void ts_merge_learn(ts_tokenizer *t, ts_merge merge)
{
    uint32_t mask = (1u << t->merge_bits) - 1;
    if (ts_merge_find(t, merge.left, merge.right) != NULL)
        return; /* the first one counts, as it has the better rank */
    uint32_t at = ts_pair_hash(merge.left, merge.right, t->merge_bits);
    while (t->merges[at].left != TS_TOKENIZER_NONE)
        at = (at + 1) & mask;
    t->merges[at] = merge;
}

static ts_status index_merges(ts_tokenizer *t, const char *name)
{
    const ts_vocabulary *v = &t->vocabulary;
    TS_TRY(ts_merges_make_room(t, v->merge_count));
    for (uint32_t rank = 0; rank < v->merge_count; rank++) {
        uint32_t left = v->merges[rank][0], right = v->merges[rank][1];
        char joined[2 * TS_TOKENIZER_MAX_TOKEN];
        size_t left_size, right_size;
        if (left >= v->count || right >= v->count || v->kinds[left] || v->kinds[right])
            return ts_fail(TS_ERROR_FORMAT, "%s: merge %u joins %u and %u, expected normal tokens below %u", name, rank, left, right, v->count);
        const char *left_bytes = ts_vocabulary_bytes(v, left, &left_size), *right_bytes = ts_vocabulary_bytes(v, right, &right_size);
        memcpy(joined, left_bytes, left_size);
        memcpy(joined + left_size, right_bytes, right_size);
        uint32_t result = ts_tokenizer_find(t, joined, left_size + right_size);
        if (result == TS_TOKENIZER_NONE || v->kinds[result])
            return ts_fail(TS_ERROR_FORMAT, "%s: merge %u gives \"%.*s\", which is no token", name, rank, (int)TS_MIN(left_size + right_size, 100),
                           joined);
        ts_merge_learn(t, (ts_merge){left, right, rank, result});
    }
    return TS_OK;
}

static uint64_t hash_number(uint64_t hash, uint32_t number)
{
    const unsigned char bytes[4] = {(unsigned char)number, (unsigned char)(number >> 8), (unsigned char)(number >> 16),
                                    (unsigned char)(number >> 24)};
    return ts_hash(bytes, sizeof bytes, hash);
}

static uint64_t fingerprint(const ts_vocabulary *v)
{
    uint64_t hash = hash_number(v->wordpiece ? 0x7473746f6b656e33u : v->sentencepiece ? 0x7473746f6b656e32u : 0x7473746f6b656e31u, v->count);
    for (uint32_t id = 0; id < v->count; id++) {
        size_t size;
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        hash = ts_hash(bytes, size, hash_number(hash, v->kinds[id]));
        if (v->sentencepiece) {
            uint32_t bits;
            memcpy(&bits, &v->scores[id], sizeof bits);
            hash = hash_number(hash, bits);
        }
    }
    for (uint32_t rank = 0; rank < v->merge_count && !v->sentencepiece; rank++) /* there the scores say the same */
        hash = hash_number(hash_number(hash, v->merges[rank][0]), v->merges[rank][1]);
    return hash ? hash : 1; /* 0 means "not known" in a shard */
}

/* By its usual name, where a file says nothing. */
static uint32_t find_special(const ts_tokenizer *t, const char *text)
{
    uint32_t id = ts_tokenizer_find(t, text, strlen(text));
    return ts_tokenizer_is_special(t, id) ? id : TS_TOKENIZER_NONE;
}

/* What text becomes that is no token. */
static ts_status check_unknown(const ts_vocabulary *v, const char *name)
{
    if (v->wordpiece && (v->unknown >= v->count || v->kinds[v->unknown] != TS_TOKEN_SPECIAL))
        return ts_fail(TS_ERROR_FORMAT, "%s: the token for unknown words, %u, is no special token", name, v->unknown);
    return TS_OK;
}

static ts_status complete(ts_tokenizer *t, const char *name)
{
    static const char marker[] = "<|endoftext|>";
    const ts_vocabulary *v = &t->vocabulary;
    if (v->count == 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: has no tokens", name);
    TS_TRY(check_unknown(v, name));
    TS_TRY(index_tokens(t, name));
    TS_TRY(index_specials(t));
    TS_TRY(index_merges(t, name));
    if (v->sentencepiece)
        ts_sentencepiece_index(t);
    else if (!v->wordpiece)
        TS_TRY(ts_tokenizer_index_whole(t));
    t->end_of_text = v->end_of_text;
    if (t->end_of_text == TS_TOKENIZER_NONE)
        t->end_of_text = ts_tokenizer_find(t, marker, sizeof marker - 1);
    if (t->end_of_text == TS_TOKENIZER_NONE && v->sentencepiece)
        t->end_of_text = find_special(t, "</s>");
    if (t->end_of_text == TS_TOKENIZER_NONE && v->wordpiece)
        t->end_of_text = find_special(t, "[EOS]");
    if (t->end_of_text != TS_TOKENIZER_NONE && (t->end_of_text >= v->count || v->kinds[t->end_of_text] != TS_TOKEN_SPECIAL))
        return ts_fail(TS_ERROR_FORMAT, "%s: its end of text, %u, is no special token", name, t->end_of_text);
    t->begin_of_text = v->begin_of_text;
    if (t->begin_of_text == TS_TOKENIZER_NONE && v->end_of_text == TS_TOKENIZER_NONE && v->sentencepiece)
        t->begin_of_text = find_special(t, "<s>");
    if (t->begin_of_text == TS_TOKENIZER_NONE)
        t->begin_of_text = t->end_of_text;
    if (t->begin_of_text != TS_TOKENIZER_NONE && (t->begin_of_text >= v->count || v->kinds[t->begin_of_text] != TS_TOKEN_SPECIAL))
        return ts_fail(TS_ERROR_FORMAT, "%s: its beginning of text, %u, is no special token", name, t->begin_of_text);
    t->fingerprint = fingerprint(v);
    return TS_OK;
}

ts_status ts_tokenizer_make(ts_tokenizer **out, ts_vocabulary *vocabulary, const char *name)
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
        status = complete(t, name);
    if (status != TS_OK) {
        ts_tokenizer_free(t);
        return status;
    }
    *out = t;
    return TS_OK;
}

ts_status ts_vocabulary_copy(ts_vocabulary *copy, const ts_vocabulary *from)
{
    ts_status status = TS_OK;
    ts_vocabulary_init(copy, from->runtime);
    copy->sentencepiece = from->sentencepiece;
    copy->wordpiece = from->wordpiece;
    copy->unknown = from->unknown;
    copy->begin_of_text = from->begin_of_text;
    copy->end_of_text = from->end_of_text;
    copy->no_begin = from->no_begin;
    for (uint32_t id = 0; id < from->count && status == TS_OK; id++) {
        size_t size;
        const char *bytes = ts_vocabulary_bytes(from, id, &size);
        status = from->sentencepiece ? ts_vocabulary_piece(copy, bytes, size, from->kinds[id], from->scores[id])
                                     : ts_vocabulary_token(copy, bytes, size, from->kinds[id]);
    }
    for (uint32_t rank = 0; rank < from->merge_count && status == TS_OK; rank++)
        status = ts_vocabulary_merge(copy, from->merges[rank][0], from->merges[rank][1]);
    if (status != TS_OK)
        ts_vocabulary_free(copy);
    return status;
}

ts_status ts_tokenizer_with_marks(ts_tokenizer **out, const ts_tokenizer *tokenizer, uint32_t begin, uint32_t end)
{
    ts_vocabulary copy;
    const ts_vocabulary *v = &tokenizer->vocabulary;
    end = v->end_of_text == TS_TOKENIZER_NONE && ts_tokenizer_is_special(tokenizer, end) ? end : tokenizer->end_of_text;
    begin = v->begin_of_text == TS_TOKENIZER_NONE && ts_tokenizer_is_special(tokenizer, begin) ? begin : tokenizer->begin_of_text;
    if (end == tokenizer->end_of_text && begin == tokenizer->begin_of_text) {
        *out = ts_tokenizer_acquire(tokenizer);
        return TS_OK;
    }
    TS_TRY(ts_vocabulary_copy(&copy, v));
    copy.end_of_text = end;
    copy.begin_of_text = begin;
    return ts_tokenizer_make(out, &copy, "the tokenizer with the model's marks");
}

void ts_tokenizer_free(ts_tokenizer *t)
{
    if (t == NULL || __atomic_sub_fetch(&t->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    ts_runtime *runtime = t->runtime;
    ts_vocabulary_free(&t->vocabulary);
    ts_release(runtime, t->merges);
    ts_release(runtime, t->by_bytes);
    ts_release(runtime, t->specials);
    ts_release(runtime, t->whole);
    ts_release(runtime, t);
    ts_runtime_release(runtime);
}

ts_tokenizer *ts_tokenizer_acquire(const ts_tokenizer *tokenizer)
{
    ts_tokenizer *shared = (ts_tokenizer *)tokenizer; /* only the count of references changes */
    __atomic_add_fetch(&shared->references, 1, __ATOMIC_RELAXED);
    return shared;
}

/* ---- what is in it ---- */

uint32_t ts_tokenizer_size(const ts_tokenizer *tokenizer)
{
    return tokenizer ? tokenizer->vocabulary.count : 0;
}

uint32_t ts_tokenizer_end_of_text(const ts_tokenizer *tokenizer)
{
    return tokenizer ? tokenizer->end_of_text : TS_TOKENIZER_NONE;
}

bool ts_tokenizer_adds_begin(const ts_tokenizer *tokenizer)
{
    return !tokenizer->vocabulary.no_begin;
}

uint32_t ts_tokenizer_begin_of_text(const ts_tokenizer *tokenizer)
{
    return tokenizer ? tokenizer->begin_of_text : TS_TOKENIZER_NONE;
}

const char *ts_tokenizer_token(const ts_tokenizer *tokenizer, uint32_t id, size_t *size)
{
    if (tokenizer == NULL || size == NULL || id >= tokenizer->vocabulary.count)
        return NULL;
    return ts_vocabulary_bytes(&tokenizer->vocabulary, id, size);
}

int32_t ts_tokenizer_is_special(const ts_tokenizer *tokenizer, uint32_t id)
{
    return tokenizer != NULL && id < tokenizer->vocabulary.count && tokenizer->vocabulary.kinds[id] == TS_TOKEN_SPECIAL;
}

uint64_t ts_tokenizer_fingerprint(const ts_tokenizer *tokenizer)
{
    return tokenizer ? tokenizer->fingerprint : 0;
}

size_t ts_tokenizer_longest(const ts_tokenizer *tokenizer)
{
    return tokenizer->longest;
}

/* ---- decoding ---- */

ts_status ts_tokenizer_decode(const ts_tokenizer *tokenizer, const uint32_t *ids, size_t count, char *text, size_t capacity, size_t *size)
{
    if (tokenizer == NULL || size == NULL || (ids == NULL && count > 0) || (text == NULL && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_decode: a pointer is NULL");
    size_t total = 0, token_size;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] >= tokenizer->vocabulary.count)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_decode: ids[%zu] is %u, expected below %u", i, ids[i],
                           tokenizer->vocabulary.count);
        ts_tokenizer_text(tokenizer, ids[i], i == 0 || ids[i - 1] == tokenizer->begin_of_text, &token_size);
        total += token_size;
    }
    *size = total;
    if (total >= capacity)
        return ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "ts_tokenizer_decode: the text has %zu bytes and a NUL, the buffer %zu", total, capacity);
    for (size_t i = 0; i < count; i++) {
        const char *bytes = ts_tokenizer_text(tokenizer, ids[i], i == 0 || ids[i - 1] == tokenizer->begin_of_text, &token_size);
        memcpy(text, bytes, token_size);
        text += token_size;
    }
    *text = 0;
    return TS_OK;
}

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Moves whole characters from `bytes` to `text` (room for 3 bytes each); gives how many bytes are left over as an unfinished character. */
static size_t take_characters(const char *bytes, size_t size, bool ends, char *text, size_t *text_size)
{
    size_t at = 0, written = 0;
    while (at < size) {
        uint32_t code;
        size_t length = ts_utf8_decode(bytes + at, size - at, &code);
        if (code != TS_UTF8_INVALID) {
            memcpy(text + written, bytes + at, length);
            written += length;
        } else {
            length = ts_utf8_broken(bytes + at, size - at);
            if (length == 0 && !ends)
                break;
            if (length == 0)
                length = size - at;
            memcpy(text + written, replacement, 3);
            written += 3;
        }
        at += length;
    }
    *text_size = written;
    return size - at;
}

enum { BEGINS = 3 }; /* the byte of a stream that says that its last token was the beginning of a text: a character that is held back has 3 at most */

ts_status ts_tokenizer_decode_next(const ts_tokenizer *tokenizer, ts_decode_stream *stream, uint32_t id, char *text, size_t capacity, size_t *size)
{
    if (tokenizer == NULL || stream == NULL || text == NULL || size == NULL || stream->count > 3)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_decode_next: a pointer is NULL or the stream is not zeroed");
    bool ends = id == TS_TOKENIZER_NONE;
    if (!ends && id >= tokenizer->vocabulary.count)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_decode_next: the id is %u, expected below %u", id, tokenizer->vocabulary.count);
    char bytes[TS_TOKENIZER_MAX_TOKEN + 4];
    size_t count = stream->count, token_size = 0;
    bool begins = stream->bytes[BEGINS] != 0;
    const char *token = ends ? NULL : ts_tokenizer_text(tokenizer, id, begins, &token_size);
    memcpy(bytes, stream->bytes, count);
    if (token != NULL)
        memcpy(bytes + count, token, token_size);
    count += token_size;
    if (capacity < 3 * count + 1)
        return ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "ts_tokenizer_decode_next: up to %zu bytes are wanted, the buffer has %zu", 3 * count + 1,
                       capacity);
    size_t left = take_characters(bytes, count, ends, text, size);
    text[*size] = 0;
    memset(stream, 0, sizeof *stream);
    memcpy(stream->bytes, bytes + count - left, left);
    stream->count = (uint32_t)left;
    stream->bytes[BEGINS] = !ends && id == tokenizer->begin_of_text;
    return TS_OK;
}

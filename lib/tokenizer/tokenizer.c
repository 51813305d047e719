/* The handle: the vocabulary that it is made of, what is in it, decoding. */
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

int32_t ts_tokenizer_kind(const ts_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return 0;
    return tokenizer->vocabulary.wordpiece ? TS_TOKENIZER_WORDS : tokenizer->vocabulary.sentencepiece ? TS_TOKENIZER_PIECES : TS_TOKENIZER_BYTES;
}

uint32_t ts_tokenizer_merge_count(const ts_tokenizer *tokenizer)
{
    return tokenizer ? tokenizer->vocabulary.merge_count : 0;
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

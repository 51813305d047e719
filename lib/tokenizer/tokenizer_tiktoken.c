/*
 * Rank files as tiktoken reads them: a token a line, its bytes in base64, a space and its rank, which is its id. Merges are not in the file: a token
 * is the join of the two that its own bytes become by the ranks before it. Neither is the rule of words: what is known here is GPT-2's, and a file
 * with a token that this rule would cut in two was made for another. Special tokens are not in it either: the end of text is the id without a line,
 * or the one behind all ranks.
 */
#include "text/text.h"
#include "tokenizer/vocabulary.h"

static const char marker[] = "<|endoftext|>";
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- base64 ---- */

static int value_of(char c)
{
    const char *at = c != 0 ? strchr(letters, c) : NULL;
    return at != NULL ? (int)(at - letters) : -1;
}

/* The bytes that `size` characters stand for, -1 if they are no base64. `into` has room for 3 bytes of every 4. */
static ptrdiff_t decode(const char *text, size_t size, char *into)
{
    ptrdiff_t count = 0;
    if (size % 4 != 0)
        return -1;
    for (size_t at = 0; at < size; at += 4) {
        size_t filled = 4;
        uint32_t bits = 0;
        while (at + 4 == size && filled > 2 && text[at + filled - 1] == '=')
            filled--;
        for (size_t i = 0; i < filled; i++) {
            int value = value_of(text[at + i]);
            if (value < 0)
                return -1;
            bits |= (uint32_t)value << (18 - 6 * i);
        }
        if ((bits & (filled == 2 ? 0xffffu : filled == 3 ? 0xffu : 0)) != 0)
            return -1; /* bits that say nothing: two texts would be the same bytes */
        for (size_t i = 0; i + 1 < filled; i++)
            into[count++] = (char)(bits >> (16 - 8 * i));
    }
    return count;
}

static ts_status encode(ts_bytes *into, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += 3) {
        char group[4];
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++)
            bits |= (uint32_t)(at + i < size ? (unsigned char)bytes[at + i] : 0) << (16 - 8 * i);
        for (size_t i = 0; i < 4; i++)
            group[i] = at + i <= size ? letters[bits >> (18 - 6 * i) & 63] : '=';
        TS_TRY(ts_bytes_add(into, group, 4));
    }
    return TS_OK;
}

/* ---- reading ---- */

enum { LONGEST = (TS_TOKENIZER_MAX_TOKEN + 2) / 3 * 4 }; /* characters of a token in base64 */

bool ts_tiktoken_begins(const char *text, size_t size)
{
    char bytes[3];
    return size >= 6 && decode(text, 4, bytes) == 1 && text[4] == ' ' && text[5] >= '0' && text[5] <= '9'; /* the first one is a byte */
}

/* The one id that has no line is the end of text. */
static ts_status fill_hole(ts_vocabulary *v, uint64_t rank, const char *name)
{
    if (rank == (uint64_t)v->count + 1 && v->end_of_text == TS_TOKENIZER_NONE) {
        v->end_of_text = v->count;
        return ts_vocabulary_token(v, marker, sizeof marker - 1, TS_TOKEN_SPECIAL);
    }
    return rank == v->count ? TS_OK
                            : ts_fail(TS_ERROR_FORMAT, "%s: the rank of token %u is %llu, expected %u: ids go up without a hole but one", name,
                                      v->count, (unsigned long long)rank, v->count);
}

static ts_status add_line(ts_vocabulary *v, const char *line, size_t size, const char *name)
{
    char bytes[LONGEST / 4 * 3];
    const char *space = memchr(line, ' ', size);
    size_t length = space ? (size_t)(space - line) : size;
    uint64_t rank = 0;
    if (length > LONGEST)
        return ts_fail(TS_ERROR_LIMIT, "%s: token %u has %zu characters in base64, expected at most %d", name, v->count, length, LONGEST);
    ptrdiff_t count = decode(line, length, bytes);
    if (space == NULL || count <= 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: token %u is no base64, a space and a rank", name, v->count);
    for (const char *at = space + 1; at < line + size; at++) {
        if (*at < '0' || *at > '9' || at > space + 10)
            return ts_fail(TS_ERROR_FORMAT, "%s: the rank of token %u is no whole number", name, v->count);
        rank = 10 * rank + (uint64_t)(*at - '0');
    }
    if (space + 1 == line + size)
        return ts_fail(TS_ERROR_FORMAT, "%s: token %u has no rank", name, v->count);
    TS_TRY(fill_hole(v, rank, name));
    if (ts_utf8_valid(bytes, (size_t)count) && ts_word(bytes, (size_t)count) != (size_t)count)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: token %u, \"%.*s\", is no word or part of one by GPT-2's rule: the file is for another rule", name,
                       v->count, (int)TS_MIN(count, 100), bytes);
    return ts_vocabulary_token(v, bytes, (size_t)count, TS_TOKEN_NORMAL);
}

static ts_status add_lines(ts_vocabulary *v, const char *text, size_t size, const char *name)
{
    const char *end = text + size;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
        size_t length = (size_t)(stop - text);
        if (length > 0 && text[length - 1] == '\r')
            length--;
        if (length > 0)
            TS_TRY(add_line(v, text, length, name));
        text = stop + 1;
    }
    return fill_hole(v, (uint64_t)v->count + (v->end_of_text == TS_TOKENIZER_NONE), name); /* GPT-2 has it behind all ranks */
}

/* The tokenizer knows the tokens and learns their merges one after another. */
static ts_status find_merges(ts_tokenizer *t, const char *name)
{
    ts_vocabulary *v = &t->vocabulary;
    TS_TRY(ts_merges_make_room(t, v->count));
    for (uint32_t id = 0; id < v->count; id++) {
        size_t size;
        uint32_t parts[2];
        ts_ids found = {parts, 2, 0};
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        if (size == 1 || v->kinds[id] != TS_TOKEN_NORMAL)
            continue;
        TS_TRY(ts_encode_word(t, bytes, size, &found));
        if (found.count != 2)
            return ts_fail(TS_ERROR_UNSUPPORTED, "%s: token %u, \"%.*s\", is not the join of two tokens before it", name, id, (int)TS_MIN(size, 100),
                           bytes);
        TS_TRY(ts_merge_learn(t, (ts_merge){parts[0], parts[1], v->merge_count, id}, name));
        TS_TRY(ts_vocabulary_merge(v, parts[0], parts[1]));
    }
    return TS_OK;
}

ts_status ts_tokenizer_read_tiktoken(ts_tokenizer **out, ts_runtime *runtime, const char *text, size_t size, const char *name)
{
    ts_vocabulary vocabulary;
    ts_tokenizer *t = NULL;
    ts_vocabulary_init(&vocabulary, runtime);
    ts_status status = add_lines(&vocabulary, text, size, name);
    if (status != TS_OK) {
        ts_vocabulary_free(&vocabulary);
        return status;
    }
    TS_TRY(ts_tokenizer_begin(&t, &vocabulary, name));
    return ts_tokenizer_finish(out, t, find_merges(t, name), name);
}

/* ---- writing ---- */

static ts_status write_lines(ts_bytes *text, const ts_tokenizer *tokenizer)
{
    const ts_vocabulary *v = &tokenizer->vocabulary;
    for (uint32_t id = 0; id < v->count; id++) {
        size_t size;
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        if (v->kinds[id] != TS_TOKEN_NORMAL)
            continue;
        TS_TRY(encode(text, bytes, size));
        TS_TRY(ts_bytes_format(text, " %u\n", id));
    }
    return TS_OK;
}

/* What the lines don't say must follow from them: they are read again and must be the same tokenizer. */
ts_status ts_tokenizer_to_tiktoken(const ts_tokenizer *tokenizer, ts_bytes *text)
{
    ts_tokenizer *again = NULL;
    if (!ts_tokenizer_is_byte_level(tokenizer))
        return ts_fail(TS_ERROR_UNSUPPORTED, "a rank file takes a byte-level BPE alone, this is another kind of tokenizer");
    TS_TRY(write_lines(text, tokenizer));
    ts_status status = ts_tokenizer_read_tiktoken(&again, tokenizer->runtime, text->data, text->size, "a rank file of this tokenizer");
    bool same = status == TS_OK && ts_tokenizer_fingerprint(again) == ts_tokenizer_fingerprint(tokenizer);
    ts_tokenizer_free(again);
    if (status == TS_ERROR_OUT_OF_MEMORY || same)
        return status;
    return ts_fail(TS_ERROR_UNSUPPORTED,
                   "a rank file cannot say all of this tokenizer: it takes ids in the order of merges, each token joined of what is "
                   "before it, and one special token, %s",
                   marker);
}

/*
 * Encoding as SentencePiece's BPE does it (Kudo and Richardson 2018), by the rule of llama2.c and llama.cpp: a space before the text, characters
 * become tokens or, where there is none, the tokens of their bytes; then the two neighbours that give the token of the best score are joined until
 * none give one, the leftmost among equals. A heap keeps the candidates: n log n whatever the text.
 */
#include "tokenizer/pair_heap.h"
#include "tokenizer/vocabulary.h"

#define NONE UINT32_MAX
#define SMALL 96 /* characters of a segment that needs no memory */

/* A token so far. */
typedef struct symbol {
    uint32_t begin, size; /* in the text; size 0: joined to the left one */
    uint32_t id;
    uint32_t previous, next; /* NONE: none */
    uint32_t joined, rank;   /* the token that this one and the next give, NONE: none; the better the smaller */
} symbol;

/* A piece of text whose tokens are joined with no others. */
typedef struct segment {
    const ts_tokenizer *tokenizer;
    const char *text;
    symbol *symbols;
    ts_pair_heap heap;
    uint32_t count;
} segment;

/* ---- tokens ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int ts_byte_token(const char *text, size_t size)
{
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>' || digit(text[3]) < 0 || digit(text[4]) < 0)
        return -1;
    return digit(text[3]) * 16 + digit(text[4]);
}

static const char mark[] = "\xe2\x96\x81";
enum { MARK_SIZE = sizeof mark - 1 };

void ts_marks_take(const char *text, size_t *size, char *into)
{
    size_t written = 0;
    for (size_t at = 0; at < *size;)
        if (*size - at >= MARK_SIZE && memcmp(text + at, mark, MARK_SIZE) == 0) {
            into[written++] = ' ';
            at += MARK_SIZE;
        } else {
            into[written++] = text[at++];
        }
    *size = written;
}

ts_status ts_marks_put(ts_bytes *into, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        TS_TRY(bytes[i] == ' ' ? ts_bytes_add(into, mark, MARK_SIZE) : ts_bytes_add(into, bytes + i, 1));
    return TS_OK;
}

void ts_sentencepiece_index(ts_tokenizer *tokenizer)
{
    const ts_vocabulary *v = &tokenizer->vocabulary;
    tokenizer->cuts_at_spaces = true;
    for (uint32_t id = 0; id < v->count; id++) {
        size_t size;
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        for (size_t i = 1; i < size && v->kinds[id] == TS_TOKEN_NORMAL; i++)
            if (bytes[i] == ' ' && bytes[i - 1] != ' ')
                tokenizer->cuts_at_spaces = false;
    }
}

const char *ts_tokenizer_text(const ts_tokenizer *tokenizer, uint32_t id, bool begins, size_t *size)
{
    const ts_vocabulary *v = &tokenizer->vocabulary;
    const char *bytes = ts_vocabulary_bytes(v, id, size);
    bool tight = begins || (v->wordpiece && ts_wordpiece_is_tight(bytes, *size));
    if (!tight || ts_tokenizer_is_byte_level(tokenizer) || v->kinds[id] != TS_TOKEN_NORMAL || bytes[0] != ' ')
        return bytes;
    --*size;
    return bytes + 1;
}

static uint32_t find_normal(const ts_tokenizer *t, const char *bytes, size_t size)
{
    uint32_t id = size <= t->longest_normal ? ts_tokenizer_find(t, bytes, size) : TS_TOKENIZER_NONE;
    return id != TS_TOKENIZER_NONE && t->vocabulary.kinds[id] == TS_TOKEN_NORMAL ? id : NONE;
}

/* A number that is smaller when the score is better. */
static uint32_t rank_of_score(const ts_tokenizer *t, uint32_t id)
{
    float score = t->vocabulary.scores[id] + 0.0f; /* there is one zero */
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? bits : 0x7fffffffu - bits;
}

/* ---- segments ---- */

static void add_symbol(segment *s, uint32_t begin, uint32_t size, uint32_t id)
{
    uint32_t at = s->count++;
    s->symbols[at] = (symbol){begin, size, id, at > 0 ? at - 1 : NONE, NONE, NONE, 0};
    if (at > 0)
        s->symbols[at - 1].next = at;
}

/* A byte and the continuation bytes behind it, 4 at most, are a character, whether they are one in UTF-8 or not; the space that was put there is one.
 */
static void add_characters(segment *s, uint32_t size, bool spaced)
{
    for (uint32_t at = 0; at < size;) {
        uint32_t length = 1;
        while (length < 4 && (at > 0 || !spaced) && at + length < size && ((unsigned char)s->text[at + length] & 0xc0) == 0x80)
            length++;
        uint32_t id = find_normal(s->tokenizer, s->text + at, length);
        if (id != NONE)
            add_symbol(s, at, length, id);
        for (uint32_t i = 0; id == NONE && i < length; i++)
            add_symbol(s, at + i, 1, s->tokenizer->bytes[(unsigned char)s->text[at + i]]);
        at += length;
    }
}

/* What two neighbours give: by a merge where there are merges, else whatever token their bytes are. */
static void join_of(const segment *s, symbol *left, const symbol *right)
{
    const ts_tokenizer *t = s->tokenizer;
    left->joined = NONE;
    if (t->vocabulary.merge_count > 0) {
        const ts_merge *merge = ts_merge_find(t, left->id, right->id);
        left->joined = merge != NULL ? merge->result : NONE;
        left->rank = merge != NULL ? merge->rank : 0;
    } else if (t->vocabulary.kinds[left->id] == TS_TOKEN_NORMAL && t->vocabulary.kinds[right->id] == TS_TOKEN_NORMAL) {
        left->joined = find_normal(t, s->text + left->begin, (size_t)left->size + right->size);
        left->rank = left->joined != NONE ? rank_of_score(t, left->joined) : 0;
    }
}

static void note_pair(segment *s, uint32_t at)
{
    symbol *left = &s->symbols[at];
    left->joined = NONE;
    if (left->next != NONE)
        join_of(s, left, &s->symbols[left->next]);
    if (left->joined != NONE)
        ts_pair_push(&s->heap, (uint64_t)left->rank << 32 | at);
}

/* A join takes a candidate and a symbol away and notes two pairs at most: there are never 2 n candidates. */
static void join_all(segment *s)
{
    for (uint32_t i = 0; i + 1 < s->count; i++)
        note_pair(s, i);
    while (s->heap.count > 0) {
        uint64_t best = ts_pair_pop(&s->heap);
        uint32_t at = (uint32_t)best;
        symbol *left = &s->symbols[at];
        if (left->size == 0 || left->joined == NONE || left->rank != best >> 32)
            continue; /* joined otherwise meanwhile */
        symbol *right = &s->symbols[left->next];
        left->id = left->joined;
        left->size += right->size;
        left->next = right->next;
        right->size = 0;
        if (left->next != NONE)
            s->symbols[left->next].previous = at;
        if (left->previous != NONE)
            note_pair(s, left->previous);
        note_pair(s, at);
    }
}

static ts_status encode_segment(const ts_tokenizer *t, const char *text, size_t size, bool spaced, ts_ids *out)
{
    symbol few[SMALL];
    uint64_t candidates[2 * SMALL];
    segment s = {.tokenizer = t, .text = text, .symbols = few, .heap = {candidates, 0}};
    if (size > SMALL) {
        s.symbols = ts_allocate_unset(t->runtime, size * sizeof *s.symbols);
        s.heap.items = ts_allocate_unset(t->runtime, 2 * size * sizeof *s.heap.items);
    }
    ts_status status = s.symbols && s.heap.items ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK) {
        add_characters(&s, (uint32_t)size, spaced);
        join_all(&s);
        for (uint32_t at = 0; at != NONE; at = s.symbols[at].next)
            ts_ids_put(out, s.symbols[at].id);
    }
    if (size > SMALL) {
        ts_release(t->runtime, s.symbols);
        ts_release(t->runtime, s.heap.items);
    }
    return status;
}

/* ---- text ---- */

/* Up to the next space behind something else, where no join reaches over. */
static size_t segment_size(const ts_tokenizer *t, const char *text, size_t size)
{
    size_t at = 1;
    if (!t->cuts_at_spaces)
        return size;
    while (at < size && (text[at] != ' ' || text[at - 1] == ' '))
        at++;
    return at;
}

/* The first segment with a space before it. */
static ts_status encode_first(const ts_tokenizer *t, const char *text, size_t size, ts_ids *out)
{
    char few[SMALL], *joined = size < sizeof few ? few : ts_allocate(t->runtime, size + 1);
    if (joined == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    joined[0] = ' ';
    memcpy(joined + 1, text, size);
    ts_status status = encode_segment(t, joined, size + 1, true, out);
    if (joined != few)
        ts_release(t->runtime, joined);
    return status;
}

ts_status ts_sentencepiece_encode(const ts_tokenizer *t, const char *text, size_t size, bool begins, ts_ids *out)
{
    while (size > 0) {
        size_t length = segment_size(t, text, size);
        TS_TRY(begins ? encode_first(t, text, length, out) : encode_segment(t, text, length, false, out));
        begins = false;
        text += length;
        size -= length;
    }
    return TS_OK;
}

/*
 * WordPiece (Schuster and Nakajima 2012), by the rule of the SimpleStories models: small letters; words are runs of letters, marks and joiners or runs of
 * symbols, punctuation and digits stand alone; a word becomes the longest token that it begins with, then the longest that the rest begins with, and so
 * on; one that does not come out even is one unknown token. White space and capitals are lost: decoding gives a text that reads alike, not the same.
 *
 * Tokens that begin a word have a space before them, as those of SentencePiece have; "##" is not in their bytes. All are ASCII: other characters count
 * for where a word ends, and make it unknown.
 */
#include "text/text.h"
#include "tokenizer/vocabulary.h"

enum { LONGEST_WORD = 100 }; /* characters; a longer one is unknown */

typedef enum place { IN_WORD, IN_SYMBOLS, ALONE, BETWEEN } place;

static place place_of(uint32_t code)
{
    ts_class class = ts_unicode_class(code);
    if (class == TS_CLASS_SPACE)
        return BETWEEN;
    if (class == TS_CLASS_NUMBER || ts_unicode_is_punctuation(code))
        return ALONE;
    return class == TS_CLASS_LETTER || ts_unicode_is_mark(code) ? IN_WORD : IN_SYMBOLS;
}

/* A word so far, a space before it. */
typedef struct word {
    char text[1 + LONGEST_WORD];
    size_t characters;
    place place;
    bool unknown; /* it has a character that no token has */
} word;

/* The longest token that `text` begins with; its size without the space before a word. */
static uint32_t longest(const ts_tokenizer *t, const char *text, size_t size)
{
    for (size = TS_MIN(size, t->longest_normal); size > 0; size--) {
        uint32_t id = ts_tokenizer_find(t, text, size);
        if (id != TS_TOKENIZER_NONE && t->vocabulary.kinds[id] == TS_TOKEN_NORMAL)
            return id;
    }
    return TS_TOKENIZER_NONE;
}

static void end_word(const ts_tokenizer *t, word *w, ts_ids *out)
{
    uint32_t ids[LONGEST_WORD];
    size_t count = 0, size = 1 + w->characters, length;
    bool unknown = w->unknown || w->characters > LONGEST_WORD;
    for (size_t at = 0; at < size && w->characters > 0 && !unknown; at += length) {
        uint32_t id = longest(t, w->text + at, size - at);
        unknown = id == TS_TOKENIZER_NONE || (at == 0 && t->vocabulary.ends[id] - (id > 0 ? t->vocabulary.ends[id - 1] : 0) < 2);
        if (unknown)
            break;
        ts_vocabulary_bytes(&t->vocabulary, id, &length);
        ids[count++] = id;
    }
    if (unknown) {
        ids[0] = t->vocabulary.unknown;
        count = 1;
    }
    for (size_t i = 0; i < count; i++)
        ts_ids_put(out, ids[i]);
    *w = (word){.text = " ", .place = BETWEEN};
}

void ts_wordpiece_encode(const ts_tokenizer *t, const char *text, size_t size, ts_ids *out)
{
    word w = {.text = " ", .place = BETWEEN};
    for (size_t at = 0, length; at < size; at += length) {
        uint32_t code;
        length = ts_utf8_decode(text + at, size - at, &code);
        if ((code == '`' || code == '\'') && at + 1 < size && text[at + 1] == (char)code) { /* quotation marks as plain text has them */
            code = '"';
            length = 2;
        }
        if (code == 0x212a) /* the sign for kelvin is the one other character whose small letter is in ASCII */
            code = 'k';
        place next = place_of(code);
        if (next != w.place || next == ALONE)
            end_word(t, &w, out);
        w.place = next;
        if (next == BETWEEN)
            continue;
        if (w.characters < LONGEST_WORD)
            w.text[1 + w.characters] = (char)(code >= 'A' && code <= 'Z' ? code + 'a' - 'A' : code);
        w.unknown |= code >= 0x80;
        w.characters++;
    }
    end_word(t, &w, out);
}

/* ".", "?", "!" and "," are written without the space that begins other words. */
bool ts_wordpiece_is_tight(const char *bytes, size_t size)
{
    return size > 1 && bytes[0] == ' ' && (bytes[1] == '.' || bytes[1] == '?' || bytes[1] == '!' || bytes[1] == ',');
}

ts_status ts_wordpiece_add(ts_vocabulary *v, const char *text, size_t size, const char *name)
{
    char bytes[TS_TOKENIZER_MAX_TOKEN + 1] = " ";
    bool goes_on = size > 2 && memcmp(text, "##", 2) == 0;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] >= 0x80)
            return ts_fail(TS_ERROR_UNSUPPORTED, "%s: token %u, \"%.*s\", is not in ASCII, as all of a WordPiece vocabulary must be here", name, v->count,
                           (int)TS_MIN(size, 100), text);
    if (goes_on)
        return ts_vocabulary_token(v, text + 2, size - 2, TS_TOKEN_NORMAL);
    if (size == 0 || size >= sizeof bytes - 1)
        return ts_fail(TS_ERROR_LIMIT, "%s: token %u has %zu bytes, expected 1 to %d", name, v->count, size, TS_TOKENIZER_MAX_TOKEN - 1);
    memcpy(bytes + 1, text, size);
    return ts_vocabulary_token(v, bytes, size + 1, TS_TOKEN_NORMAL);
}

ts_status ts_wordpiece_text(ts_bytes *text, const ts_vocabulary *v, uint32_t id)
{
    size_t size;
    const char *bytes = ts_vocabulary_bytes(v, id, &size);
    if (v->kinds[id] == TS_TOKEN_SPECIAL)
        return ts_bytes_add(text, bytes, size);
    if (bytes[0] == ' ')
        return ts_bytes_add(text, bytes + 1, size - 1);
    TS_TRY(ts_bytes_add(text, "##", 2));
    return ts_bytes_add(text, bytes, size);
}

/*
 * Words by GPT-2's rule, and as readers count them. GPT-2's without a regular expression:
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 */
#include "text/text.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void ts_trim(const char **text, size_t *size)
{
    while (*size > 0 && is_space((*text)[*size - 1]))
        (*size)--;
    while (*size > 0 && is_space(**text)) {
        (*text)++;
        (*size)--;
    }
}

static inline ts_class class_at(const char *text, size_t size, size_t *length)
{
    unsigned char byte = (unsigned char)*text;
    uint32_t code;
    *length = 1;
    if (byte < 0x80)
        return ts_ascii_classes[byte];
    *length = ts_utf8_decode(text, size, &code);
    return ts_unicode_class(code);
}

/* 's 't 'm 'd 're 've 'll; 0 if there is none */
static size_t contraction(const char *text, size_t size)
{
    if (size < 2)
        return 0;
    char a = text[1], b = size > 2 ? text[2] : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

size_t ts_word(const char *text, size_t size)
{
    size_t length, at = 0;
    if (text[0] == '\'' && (length = contraction(text, size)) != 0)
        return length;
    ts_class first = class_at(text, size, &length);
    if (text[0] == ' ' && size > 1) { /* one space belongs to the word behind it */
        ts_class next = class_at(text + 1, size - 1, &length);
        if (next != TS_CLASS_SPACE) {
            first = next;
            at = 1;
        } else {
            length = 1;
        }
    }
    size_t last = at; /* where the last character begins */
    at += length;
    while (at < size && class_at(text + at, size - at, &length) == first) {
        last = at;
        at += length;
    }
    /* Of white space before a word the last character is left to the word, unless it is the only one. */
    if (first == TS_CLASS_SPACE && at < size && last > 0)
        return last;
    return at;
}

/* ---- words as readers count them ---- */

/* The length of the letter or digit that `text` begins with, 0 for anything else. */
static inline size_t letter(const char *text, size_t size)
{
    size_t length = 0;
    ts_class class = size > 0 ? class_at(text, size, &length) : TS_CLASS_OTHER;
    return class == TS_CLASS_LETTER || class == TS_CLASS_NUMBER ? length : 0;
}

/* The length of the apostrophe that `text` begins with, 0 for anything else. */
static size_t apostrophe(const char *text, size_t size)
{
    if (size > 0 && text[0] == '\'')
        return 1;
    return size >= 3 && memcmp(text, "\xe2\x80\x99", 3) == 0 ? 3 : 0;
}

bool ts_plain_word(const char **text, size_t *size, const char **word, size_t *word_size)
{
    const char *at = *text, *end = *text + *size;
    size_t length;
    while (at < end && letter(at, (size_t)(end - at)) == 0) {
        class_at(at, (size_t)(end - at), &length);
        at += length;
    }
    *word = at;
    while ((length = letter(at, (size_t)(end - at))) > 0) {
        do /* no apostrophe is a letter */
            at += length;
        while ((length = letter(at, (size_t)(end - at))) > 0);
        length = apostrophe(at, (size_t)(end - at));
        if (length > 0 && letter(at + length, (size_t)(end - at) - length) > 0)
            at += length;
    }
    *word_size = (size_t)(at - *word);
    *text = at;
    *size = (size_t)(end - at);
    return *word_size > 0;
}

size_t ts_plain_word_count(const char *text, size_t size)
{
    const char *word;
    size_t word_size, count = 0;
    while (ts_plain_word(&text, &size, &word, &word_size))
        count++;
    return count;
}

/* The length of the character that ends at `end` and begins at `begin` or later, as decoding from the front would cut it; 0 at the beginning. */
static size_t length_before(const char *begin, const char *end)
{
    for (size_t length = 1; length <= 4 && length <= (size_t)(end - begin); length++) {
        uint32_t code;
        if (ts_utf8_decode(end - length, length, &code) == length && code != TS_UTF8_INVALID)
            return length;
    }
    return end > begin ? 1 : 0;
}

/* The length of the letter or digit that ends there, 0 for anything else. */
static size_t letter_before(const char *begin, const char *end)
{
    size_t length = length_before(begin, end);
    return letter(end - length, length);
}

bool ts_plain_word_before(const char *text, size_t size, const char **word, size_t *word_size)
{
    const char *at = text + size, *end;
    size_t length;
    while (at > text && letter_before(text, at) == 0)
        at -= length_before(text, at);
    end = at;
    while ((length = letter_before(text, at)) > 0) {
        at -= length;
        length = length_before(text, at);
        if (apostrophe(at - length, length) > 0 && letter_before(text, at - length) > 0)
            at -= length;
    }
    *word = at;
    *word_size = (size_t)(end - at);
    return *word_size > 0;
}

size_t ts_plain_word_fold(const char **word, size_t *size, char *folded, size_t capacity)
{
    size_t used = 0;
    while (*size > 0 && used < capacity) {
        size_t length = apostrophe(*word, *size);
        char c = length > 0 ? '\'' : **word;
        folded[used++] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
        length = TS_MAX(length, (size_t)1);
        *word += length;
        *size -= length;
    }
    return used;
}

uint64_t ts_plain_word_hash(const char *word, size_t size)
{
    char folded[64];
    uint64_t hash = 0;
    while (size > 0) {
        size_t used = ts_plain_word_fold(&word, &size, folded, sizeof folded);
        hash = ts_hash(folded, used, hash);
    }
    return hash;
}

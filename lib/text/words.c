/*
 * Words by GPT-2's rule, without a regular expression: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
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

static ts_class class_at(const char *text, size_t size, size_t *length)
{
    unsigned char byte = (unsigned char)*text;
    uint32_t code = byte;
    *length = 1;
    if (byte >= 0x80)
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

/* UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "text/text.h"

/* The length that a first byte announces and the range of the second byte that keeps it valid; length 0 for what begins no character. */
typedef struct lead {
    unsigned length;
    unsigned char low, high;
} lead;

static lead lead_of(unsigned char byte)
{
    if (byte < 0x80)
        return (lead){1, 0, 0};
    if (byte < 0xc2 || byte > 0xf4)
        return (lead){0, 0, 0};
    if (byte < 0xe0)
        return (lead){2, 0x80, 0xbf};
    if (byte < 0xf0)
        return (lead){3, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
    return (lead){4, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
}

/* How many bytes at `text` fit into the character that begins there. */
static size_t fitting(const unsigned char *bytes, size_t size, lead first)
{
    size_t count = 1;
    while (count < first.length && count < size) {
        unsigned char low = count == 1 ? first.low : 0x80, high = count == 1 ? first.high : 0xbf;
        if (bytes[count] < low || bytes[count] > high)
            break;
        count++;
    }
    return count;
}

size_t ts_utf8_decode(const char *text, size_t size, uint32_t *code)
{
    const unsigned char *bytes = (const unsigned char *)text;
    lead first = lead_of(bytes[0]);
    if (first.length == 1) {
        *code = bytes[0];
        return 1;
    }
    if (first.length == 0 || fitting(bytes, size, first) < first.length) {
        *code = TS_UTF8_INVALID;
        return 1;
    }
    uint32_t value = bytes[0] & (0xffu >> (first.length + 1));
    for (size_t i = 1; i < first.length; i++)
        value = value << 6 | (bytes[i] & 0x3f);
    *code = value;
    return first.length;
}

size_t ts_utf8_broken(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    lead first = lead_of(bytes[0]);
    if (first.length == 0)
        return 1;
    size_t count = fitting(bytes, size, first);
    return count == size && count < first.length ? 0 : count;
}

size_t ts_utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00u >> length & 0xff) | code);
    return length;
}

bool ts_utf8_valid(const char *text, size_t size)
{
    uint32_t code;
    for (size_t at = 0; at < size;) {
        at += ts_utf8_decode(text + at, size - at, &code);
        if (code == TS_UTF8_INVALID)
            return false;
    }
    return true;
}

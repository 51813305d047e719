/* GPT-2 writes bytes as printable characters: a byte that is printable in Latin-1 stands for itself, the others for U+0100 onwards in order. */
#include "text/text.h"
#include "tokenizer/vocabulary.h"

static bool stands_for_itself(unsigned char byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
}

/* The place of a byte that does not stand for itself among those: 0 to 0x20, 0x7f to 0xa0, 0xad. */
static uint32_t place_of_other(unsigned char byte)
{
    return byte < 0x21 ? byte : byte == 0xad ? 67u : 33u + (byte - 0x7fu);
}

uint32_t ts_alphabet_character(unsigned char byte)
{
    return stands_for_itself(byte) ? byte : 0x100 + place_of_other(byte);
}

static unsigned char other(uint32_t index)
{
    return (unsigned char)(index < 33 ? index : index < 67 ? 0x7f + (index - 33) : 0xad);
}

int ts_alphabet_byte(uint32_t code)
{
    if (code < 0x100)
        return stands_for_itself((unsigned char)code) ? (int)code : -1;
    return code < 0x100 + 68 ? other(code - 0x100) : -1;
}

unsigned char ts_alphabet_order(uint32_t index)
{
    if (index < 94)
        return (unsigned char)(0x21 + index);
    if (index < 94 + 12)
        return (unsigned char)(0xa1 + (index - 94));
    if (index < 188)
        return (unsigned char)(0xae + (index - 106));
    return other(index - 188);
}

ts_status ts_alphabet_decode(const char *text, size_t size, char *into, size_t *into_size, const char *name)
{
    size_t count = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code = (unsigned char)text[at];
        at += code > ' ' && code < 0x7f ? 1 : ts_utf8_decode(text + at, size - at, &code);
        int byte = ts_alphabet_byte(code);
        if (byte < 0)
            return ts_fail(TS_ERROR_FORMAT, "%s: the token \"%.*s\" has a character that stands for no byte", name, (int)TS_MIN(size, 100), text);
        into[count++] = (char)byte;
    }
    *into_size = count;
    return TS_OK;
}

ts_status ts_alphabet_encode(ts_bytes *into, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char character[4];
        size_t length = ts_utf8_encode(ts_alphabet_character((unsigned char)bytes[i]), character);
        TS_TRY(ts_bytes_add(into, character, length));
    }
    return TS_OK;
}

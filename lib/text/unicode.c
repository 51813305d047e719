/* Classes of characters by binary search in tables of ranges, each a first character in 21 bits and how many more in 11; ASCII by a table of its own. */
#include "text/text.h"
#include "text/unicode_tables.h"

const uint8_t ts_ascii_classes[128] = {
    ['\t' ... '\r'] = TS_CLASS_SPACE, [' '] = TS_CLASS_SPACE, ['0' ... '9'] = TS_CLASS_NUMBER, ['A' ... 'Z'] = TS_CLASS_LETTER, ['a' ... 'z'] = TS_CLASS_LETTER,
};

static bool within(const uint32_t *ranges, size_t count, uint32_t code)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > (ranges[middle] >> 11) + (ranges[middle] & 0x7ff))
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && code >= ranges[low] >> 11;
}

ts_class ts_unicode_class(uint32_t code)
{
    if (code < 0x80)
        return ts_ascii_classes[code];
    if (code > 0x10ffff)
        return TS_CLASS_OTHER;
    if (within(letters, TS_COUNT_OF(letters), code))
        return TS_CLASS_LETTER;
    if (within(numbers, TS_COUNT_OF(numbers), code))
        return TS_CLASS_NUMBER;
    return within(spaces, TS_COUNT_OF(spaces), code) ? TS_CLASS_SPACE : TS_CLASS_OTHER;
}

bool ts_unicode_is_mark(uint32_t code)
{
    return within(marks, TS_COUNT_OF(marks), code);
}

/* That of ASCII is whatever is printable and neither letter nor digit, symbols too. */
bool ts_unicode_is_punctuation(uint32_t code)
{
    if (code < 0x80)
        return code > ' ' && code < 0x7f && ts_unicode_class(code) == TS_CLASS_OTHER;
    return within(punctuation, TS_COUNT_OF(punctuation), code);
}

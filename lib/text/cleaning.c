/*
 * Cleans the text of stories: UTF-8 that was read as windows-1252 and written as UTF-8 again (once or several times, with bytes lost on the way),
 * punctuation that is not ASCII, and white space.
 */
#include "text/text.h"
#include "tinystories/dataset.h"

enum {
    MOST_PASSES = 4, /* of repair: damage upon damage */
    NO_BYTE = -1
};

/* The characters of the bytes 0x80 to 0x9f in windows-1252; the five that it lacks pass as they are, as browsers do it. */
static const uint16_t windows_1252[32] = {0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
                                          0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
                                          0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178};

/* What is written for a character, sorted by it. */
static const struct {
    uint16_t code;
    char text[6];
} in_ascii[] = {
    {0x0085, "\n"}, {0x00a0, " "},  {0x00ab, "\""}, {0x00ad, ""},   {0x00b4, "'"},  {0x00bb, "\""},  {0x02b9, "'"},  {0x02bc, "'"},    {0x02c8, "'"},
    {0x2000, " "},  {0x2001, " "},  {0x2002, " "},  {0x2003, " "},  {0x2004, " "},  {0x2005, " "},   {0x2006, " "},  {0x2007, " "},    {0x2008, " "},
    {0x2009, " "},  {0x200a, " "},  {0x200b, ""},   {0x200c, ""},   {0x200d, ""},   {0x200e, ""},    {0x200f, ""},   {0x2010, "-"},    {0x2011, "-"},
    {0x2012, "-"},  {0x2013, "-"},  {0x2014, "-"},  {0x2015, "-"},  {0x2018, "'"},  {0x2019, "'"},   {0x201a, "'"},  {0x201b, "'"},    {0x201c, "\""},
    {0x201d, "\""}, {0x201e, "\""}, {0x201f, "\""}, {0x2024, "."},  {0x2025, ".."}, {0x2026, "..."}, {0x2028, "\n"}, {0x2029, "\n\n"}, {0x202f, " "},
    {0x2032, "'"},  {0x2033, "\""}, {0x2035, "'"},  {0x2036, "\""}, {0x2039, "'"},  {0x203a, "'"},   {0x205f, " "},  {0x2060, ""},     {0x2212, "-"},
    {0x3000, " "},  {0xfe0f, ""},   {0xfeff, ""},
};

/* ---- mojibake ---- */

/* The byte that the character at `text` was before it was misread, NO_BYTE for one that never was; a byte that is no UTF-8 is itself. */
static int byte_at(const char *text, size_t size, size_t *length)
{
    uint32_t code;
    *length = 1;
    if (size == 0 || (unsigned char)*text < 0x80)
        return NO_BYTE;
    *length = ts_utf8_decode(text, size, &code);
    if (code == TS_UTF8_INVALID)
        return (unsigned char)*text;
    if (code >= 0xa0 && code <= 0xff)
        return (int)code;
    for (int i = 0; i < 32; i++)
        if (windows_1252[i] == code)
            return 0x80 + i;
    return NO_BYTE;
}

/*
 * How many bytes the character has whose first byte this is, 0 if it is none of those that English texts are damaged in: Latin letters, modifiers,
 * punctuation with the currencies, the byte order mark, and what lies beyond the first plane. Other first bytes are real letters more often than
 * damage.
 */
static size_t damaged_length(int byte)
{
    if ((byte >= 0xc2 && byte <= 0xc6) || byte == 0xcb)
        return 2;
    return byte == 0xe2 || byte == 0xef ? 3 : byte == 0xf0 ? 4 : 0;
}

/* Decodes the damaged character that begins at `text`: *used bytes of it give *whole, *whole_size bytes. False: there is none. */
static bool decode_damaged(const char *text, size_t size, char whole[4], size_t *whole_size, size_t *used)
{
    uint32_t code;
    size_t at = 0, length;
    int first = byte_at(text, size, &length);
    *whole_size = damaged_length(first);
    for (size_t i = 0; i < *whole_size; i++, at += length) {
        int byte = byte_at(text + at, size - at, &length);
        if (byte == NO_BYTE)
            return false;
        whole[i] = (char)byte;
    }
    *used = at;
    return *whole_size > 0 && ts_utf8_decode(whole, *whole_size, &code) == *whole_size && code != TS_UTF8_INVALID;
}

static bool is_letter(const char *text, size_t size)
{
    uint32_t code;
    if (size == 0)
        return false;
    ts_utf8_decode(text, size, &code);
    return ts_unicode_class(code) == TS_CLASS_LETTER;
}

/*
 * What is left of a character whose last byte was lost: of a closing quote, whose third byte windows-1252 does not have, of a dash whose third was
 * made a straight quote, or of a space that does not break, whose second was made a common one. NULL: nothing of the kind, else what is to be
 * written.
 */
static const char *decode_cut(const char *text, size_t size, size_t *used)
{
    size_t first, second;
    int lead = byte_at(text, size, &first), next = byte_at(text + first, size - first, &second);
    *used = first;
    if (lead == 0xc2 && next == NO_BYTE && !is_letter(text + first, size - first))
        return "";
    if (lead != 0xe2 || next != 0x80)
        return NULL;
    *used = first + second;
    if (*used < size && text[*used] == '"') {
        (*used)++;
        return "\xe2\x80\x94";
    }
    if (size - *used >= 3 && memcmp(text + *used, "\xef\xbf\xbd", 3) == 0)
        *used += 3;
    return "\xe2\x80\x9d";
}

/* Writes one character that is not ASCII, repaired if it is damaged; *used becomes the bytes that it took. */
static ts_status repair_character(ts_cleaning *cleaning, ts_bytes *out, const char *text, size_t size, size_t *used)
{
    char whole[4];
    size_t whole_size;
    cleaning->repaired++;
    if (decode_damaged(text, size, whole, &whole_size, used))
        return ts_bytes_add(out, whole, whole_size);
    const char *cut = decode_cut(text, size, used);
    if (cut != NULL)
        return ts_bytes_add(out, cut, strlen(cut));
    uint32_t code;
    *used = ts_utf8_decode(text, size, &code);
    if (code != TS_UTF8_INVALID) {
        cleaning->repaired--;
        return ts_bytes_add(out, text, *used);
    }
    unsigned char byte = (unsigned char)*text; /* a single byte of a text that was windows-1252 all along */
    return ts_bytes_add(out, whole, ts_utf8_encode(byte < 0xa0 ? windows_1252[byte - 0x80] : byte, whole));
}

/* The length of the run of ASCII at `text`. */
static size_t ascii_run(const char *text, size_t size)
{
    size_t at = 0;
    for (uint64_t eight; size - at >= 8; at += 8) {
        memcpy(&eight, text + at, 8);
        if (eight & 0x8080808080808080u)
            break;
    }
    while (at < size && (unsigned char)text[at] < 0x80)
        at++;
    return at;
}

static void swap(ts_cleaning *cleaning)
{
    ts_bytes text = cleaning->text;
    cleaning->text = cleaning->other;
    cleaning->other = text;
}

/* One pass over cleaning->text. */
static ts_status repair(ts_cleaning *cleaning)
{
    const char *text = cleaning->text.data;
    size_t size = cleaning->text.size;
    cleaning->other.size = 0;
    for (size_t at = 0; at < size;) {
        size_t run = ascii_run(text + at, size - at), used;
        TS_TRY(ts_bytes_add(&cleaning->other, text + at, run));
        at += run;
        if (at < size) {
            TS_TRY(repair_character(cleaning, &cleaning->other, text + at, size - at, &used));
            at += used;
        }
    }
    swap(cleaning);
    return TS_OK;
}

/* ---- punctuation ---- */

static const char *ascii_of(uint32_t code)
{
    size_t low = 0, high = TS_COUNT_OF(in_ascii);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (in_ascii[middle].code == code)
            return in_ascii[middle].text;
        if (in_ascii[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Adds ASCII without backslashes: those that are in stories are what escapes left behind. */
static ts_status add_unescaped(ts_cleaning *cleaning, const char *text, size_t size)
{
    const char *slash;
    while ((slash = memchr(text, '\\', size)) != NULL) {
        TS_TRY(ts_bytes_add(&cleaning->other, text, (size_t)(slash - text)));
        size -= (size_t)(slash - text) + 1;
        text = slash + 1;
        cleaning->punctuation++;
    }
    return ts_bytes_add(&cleaning->other, text, size);
}

static ts_status write_ascii(ts_cleaning *cleaning)
{
    const char *text = cleaning->text.data;
    size_t size = cleaning->text.size;
    cleaning->other.size = 0;
    for (size_t at = 0; at < size;) {
        size_t run = ascii_run(text + at, size - at);
        TS_TRY(add_unescaped(cleaning, text + at, run));
        at += run;
        if (at == size)
            break;
        uint32_t code;
        size_t length = ts_utf8_decode(text + at, size - at, &code);
        const char *ascii = ascii_of(code);
        TS_TRY(ts_bytes_add(&cleaning->other, ascii != NULL ? ascii : text + at, ascii != NULL ? strlen(ascii) : length));
        cleaning->punctuation += ascii != NULL;
        at += length;
    }
    swap(cleaning);
    return TS_OK;
}

/* ---- white space ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* How much of a text that begins with no white space is in order: nearly always most of it. */
static size_t ordered_run(const char *text, size_t size)
{
    size_t at = 0;
    for (; at + 1 < size; at++) {
        unsigned char c = (unsigned char)text[at];
        if (c <= ' ' && ((c != ' ' && c != '\n') || (unsigned char)text[at + 1] <= ' '))
            return at;
    }
    return at + (size > 0 && (unsigned char)text[at] > ' ');
}

/* Single spaces, none at a line's ends, one newline or an empty line between lines; in place, for it never grows. */
static void order_spaces(ts_cleaning *cleaning)
{
    char *text = cleaning->text.data;
    size_t size = cleaning->text.size, out = 0;
    for (size_t at = 0; at < size;) {
        if (!is_space(text[at])) {
            size_t run = TS_MAX(ordered_run(text + at, size - at), (size_t)1);
            if (out != at)
                memmove(text + out, text + at, run);
            out += run;
            at += run;
            continue;
        }
        size_t newlines = 0, begin = at;
        for (; at < size && is_space(text[at]); at++)
            newlines += text[at] == '\n' || (text[at] == '\r' && !(at + 1 < size && text[at + 1] == '\n'));
        const char *space = out == 0 || at == size ? "" : newlines == 0 ? " " : newlines == 1 ? "\n" : "\n\n";
        size_t space_size = strlen(space);
        cleaning->spaces |= space_size != at - begin || memcmp(text + begin, space, space_size) != 0;
        memcpy(text + out, space, space_size);
        out += space_size;
    }
    cleaning->text.size = out;
    text[out] = 0;
}

ts_status ts_clean_text(ts_cleaning *cleaning, const char *text, size_t size, uint32_t steps)
{
    cleaning->text.size = 0;
    cleaning->repaired = cleaning->punctuation = 0;
    cleaning->spaces = false;
    TS_TRY(ts_bytes_add(&cleaning->text, text, size));
    bool ascii = ascii_run(text, size) == size;
    if (!ascii && (steps & TS_CLEAN_MOJIBAKE)) {
        uint64_t before = UINT64_MAX;
        for (int pass = 0; pass < MOST_PASSES && before != cleaning->repaired; pass++) {
            before = cleaning->repaired;
            TS_TRY(repair(cleaning));
        }
    }
    if ((steps & TS_CLEAN_PUNCTUATION) && (!ascii || memchr(cleaning->text.data, '\\', cleaning->text.size) != NULL))
        TS_TRY(write_ascii(cleaning));
    if (steps & TS_CLEAN_SPACES)
        order_spaces(cleaning);
    return TS_OK;
}

void ts_cleaning_free(ts_cleaning *cleaning)
{
    ts_bytes_free(&cleaning->text);
    ts_bytes_free(&cleaning->other);
}

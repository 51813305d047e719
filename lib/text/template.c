/* Texts with placeholders, and with parts that are left out when these have nothing to say. */
#include "text/text.h"

typedef enum part_kind { PART_TEXT, PART_PLACEHOLDER, PART_OPEN, PART_CLOSE, PART_BAD } part_kind;

/* The next part at `at`: text up to a brace or bracket (a doubled one is text), or what stands in braces. Gives the bytes that it takes. */
static size_t next_part(const char *text, size_t size, size_t at, part_kind *kind, const char **content, size_t *length)
{
    char c = text[at];
    *content = text + at;
    *length = 1;
    if (!strchr("{}[]", c) || c == 0) {
        while (at + *length < size && (!strchr("{}[]", text[at + *length]) || text[at + *length] == 0))
            ++*length;
        *kind = PART_TEXT;
        return *length;
    }
    if (at + 1 < size && text[at + 1] == c) {
        *kind = PART_TEXT;
        return 2;
    }
    const char *close = c == '{' ? memchr(text + at, '}', size - at) : NULL;
    *kind = c == '[' ? PART_OPEN : c == ']' ? PART_CLOSE : close ? PART_PLACEHOLDER : PART_BAD;
    if (!close)
        return 1;
    *content = text + at + 1;
    *length = (size_t)(close - *content);
    return *length + 2;
}

ts_status ts_template_check(const char *text, size_t size, const char *name, const ts_template_names *names)
{
    const char *content;
    size_t depth = 0, length;
    part_kind kind;
    if (!ts_utf8_valid(text, size) || memchr(text, 0, size))
        return ts_fail(TS_ERROR_FORMAT, "%s: the %s is not UTF-8, or has a NUL in it", name, names->what);
    for (size_t at = 0; at < size;) {
        at += next_part(text, size, at, &kind, &content, &length);
        if (kind == PART_BAD || (kind == PART_OPEN && depth++ > 0) || (kind == PART_CLOSE && depth-- == 0))
            return ts_fail(TS_ERROR_FORMAT, "%s: the %s's brackets do not fit together near '%.20s'", name, names->what, content);
        if (kind == PART_PLACEHOLDER && !names->known(names->user, content, length))
            return ts_fail(TS_ERROR_FORMAT, "%s: the %s has the placeholder {%.*s}, expected %s", name, names->what, (int)TS_MIN(length, (size_t)60),
                           content, names->expected);
    }
    return depth == 0 ? TS_OK : ts_fail(TS_ERROR_FORMAT, "%s: the %s's '[' is not closed", name, names->what);
}

ts_status ts_template_write(const char *text, size_t size, const ts_template_names *names, ts_bytes *out)
{
    const char *content;
    size_t length, opened = 0, begin = out->size;
    bool empty = false; /* something in these brackets has nothing to say */
    part_kind kind;
    for (size_t at = 0; at < size;) {
        at += next_part(text, size, at, &kind, &content, &length);
        size_t before = out->size;
        if (kind == PART_TEXT)
            TS_TRY(ts_bytes_add(out, content, length));
        if (kind == PART_PLACEHOLDER)
            TS_TRY(names->say(names->user, content, length, out));
        empty = empty || (kind == PART_PLACEHOLDER && out->size == before);
        if (kind == PART_OPEN)
            opened = out->size;
        if (kind == PART_CLOSE && empty)
            out->size = opened;
        if (kind == PART_OPEN || kind == PART_CLOSE)
            empty = false;
    }
    while (out->size > begin && strchr(" \t\r\n", out->data[out->size - 1])) /* before brackets that were left out */
        out->size--;
    return ts_bytes_add(out, "", 0); /* with a NUL behind what is left */
}

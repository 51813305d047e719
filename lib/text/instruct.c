/* The layout of TinyStories-Instruct: headers in any order, then the story. */
#include "text/text.h"
#include "tinystories/dataset.h"

/* The headers as they are written, and as the paper prints one of them. Field i is TS_INSTRUCT_ bit i. */
static const struct header {
    const char *name;
    uint32_t field; /* 0: the story */
} headers[] = {{"Words:", TS_INSTRUCT_WORDS},       {"Features:", TS_INSTRUCT_FEATURES}, {"Summary:", TS_INSTRUCT_SUMMARY},
               {"Random sentence:", TS_INSTRUCT_SENTENCE}, {"Sentence:", TS_INSTRUCT_SENTENCE}, {"Story:", 0}};

static const uint32_t usual_order[TS_INSTRUCT_COUNT] = {TS_INSTRUCT_FEATURES, TS_INSTRUCT_WORDS, TS_INSTRUCT_SUMMARY, TS_INSTRUCT_SENTENCE};

typedef struct value {
    const char **text;
    size_t *size;
} value;

static value value_of(ts_instruct *fields, uint32_t field)
{
    switch (field) {
    case TS_INSTRUCT_WORDS:
        return (value){&fields->words, &fields->words_size};
    case TS_INSTRUCT_FEATURES:
        return (value){&fields->features, &fields->features_size};
    case TS_INSTRUCT_SUMMARY:
        return (value){&fields->summary, &fields->summary_size};
    case TS_INSTRUCT_SENTENCE:
        return (value){&fields->sentence, &fields->sentence_size};
    default:
        return (value){&fields->story, &fields->story_size};
    }
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- writing ---- */

static ts_status add_on_one_line(ts_bytes *bytes, const char *text, size_t size)
{
    ts_trim(&text, &size);
    for (size_t at = 0; at < size;) {
        size_t run = at;
        while (run < size && !is_space(text[run]))
            run++;
        TS_TRY(ts_bytes_add(bytes, text + at, run - at));
        for (at = run; at < size && is_space(text[at]);)
            at++;
        if (at < size)
            TS_TRY(ts_bytes_add(bytes, " ", 1));
    }
    return TS_OK;
}

static ts_status add_header(ts_bytes *bytes, const ts_instruct *fields, uint32_t field)
{
    ts_instruct copy = *fields;
    value v = value_of(&copy, field);
    for (size_t i = 0; *v.text != NULL && i < TS_COUNT_OF(headers); i++)
        if (headers[i].field == field) {
            TS_TRY(ts_bytes_format(bytes, "%s ", headers[i].name));
            TS_TRY(add_on_one_line(bytes, *v.text, *v.size));
            return ts_bytes_add(bytes, "\n", 1);
        }
    return TS_OK;
}

ts_status ts_instruct_headers(ts_bytes *bytes, const ts_instruct *fields)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < TS_INSTRUCT_COUNT; i++) {
        uint32_t field = fields->order[i];
        if (field == 0)
            continue;
        if ((field & (field - 1)) != 0 || field > TS_INSTRUCT_SENTENCE || (seen & field))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "fields.order[%zu] is %u, expected a TS_INSTRUCT_ bit that is not there before, or 0", i, field);
        seen |= field;
        TS_TRY(add_header(bytes, fields, field));
    }
    for (size_t i = 0; i < TS_INSTRUCT_COUNT; i++) /* those that the order does not name */
        if (!(seen & usual_order[i]))
            TS_TRY(add_header(bytes, fields, usual_order[i]));
    return ts_bytes_add(bytes, "Story:", 6);
}

/* ---- reading ---- */

/* The header that a line begins with, NULL for none. */
static const struct header *header_of(const char *line, size_t size)
{
    for (size_t i = 0; i < TS_COUNT_OF(headers); i++) {
        size_t length = strlen(headers[i].name);
        if (size >= length && memcmp(line, headers[i].name, length) == 0)
            return &headers[i];
    }
    return NULL;
}

bool ts_instruct_begins(const char *text, size_t size)
{
    return header_of(text, size) != NULL;
}

/* The last line of a story, if it is a header that was not there before it. */
static const struct header *trailing_header(const ts_instruct *fields, uint32_t seen, size_t *line)
{
    size_t at = fields->story_size;
    while (at > 0 && fields->story[at - 1] != '\n')
        at--;
    const struct header *header = header_of(fields->story + at, fields->story_size - at);
    *line = at;
    return header != NULL && header->field != 0 && !(seen & header->field) ? header : NULL;
}

/* Some published entries have headers behind the story. */
static void take_trailing(ts_instruct *fields, uint32_t seen, size_t count)
{
    size_t line;
    for (const struct header *header; (header = trailing_header(fields, seen, &line)) != NULL;) {
        value v = value_of(fields, header->field);
        *v.text = fields->story + line + strlen(header->name);
        *v.size = fields->story_size - line - strlen(header->name);
        ts_trim(v.text, v.size);
        fields->story_size = line;
        ts_trim(&fields->story, &fields->story_size);
        fields->order[count++] = header->field;
        seen |= header->field;
    }
}

ts_status ts_instruct_read(ts_instruct *fields, const char *text, size_t size)
{
    uint32_t seen = 0;
    size_t count = 0;
    value present = {NULL, NULL};
    *fields = (ts_instruct){.struct_size = sizeof *fields};
    while (size > 0) {
        const char *newline = memchr(text, '\n', size);
        size_t line = newline != NULL ? (size_t)(newline - text) : size, taken = TS_MIN(line + 1, size);
        const struct header *header = header_of(text, line);
        if (header != NULL) {
            if (seen & header->field)
                return ts_fail(TS_ERROR_FORMAT, "the entry has the header '%s' twice", header->name);
            seen |= header->field;
            present = value_of(fields, header->field);
            *present.text = text + strlen(header->name);
            *present.size = line - strlen(header->name);
            if (header->field != 0)
                fields->order[count++] = header->field;
            if (header->field == 0) { /* the story goes on to the end */
                *present.size = size - strlen(header->name);
                ts_trim(present.text, present.size);
                take_trailing(fields, seen, count);
                return TS_OK;
            }
        } else if (present.text != NULL) { /* a value of several lines */
            *present.size = (size_t)(text + line - *present.text);
        }
        if (present.text != NULL)
            ts_trim(present.text, present.size);
        text += taken;
        size -= taken;
    }
    return ts_fail(TS_ERROR_FORMAT, "the entry has no line 'Story:'");
}

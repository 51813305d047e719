/* Files of beginnings: YAML as far as a list of strings needs it, or text. */
#include "tinystories/evaluator.h"

#include "base/base.h"
#include "format/stories.h"
#include "text/text.h"

enum { MOST_FILE = 64 << 20 };

/* A beginning lies in `text`, a NUL behind it. */
typedef struct beginning {
    size_t at, size;
} beginning;

struct ts_prompts {
    ts_runtime *runtime;
    ts_bytes text;
    beginning *items;
    size_t count, capacity;
};

static ts_status add(ts_prompts *prompts, const char *text, size_t size)
{
    ts_trim(&text, &size);
    if (size == 0)
        return TS_OK;
    TS_TRY(ts_reserve(prompts->runtime, &prompts->items, &prompts->capacity, prompts->count + 1, sizeof *prompts->items));
    prompts->items[prompts->count] = (beginning){prompts->text.size, size};
    TS_TRY(ts_bytes_add(&prompts->text, text, size));
    TS_TRY(ts_bytes_add(&prompts->text, "", 1));
    prompts->count++;
    return TS_OK;
}

/* ---- text ---- */

/* Adds what stands between dividers; the divider is found again and again by `find`. */
static ts_status add_divided(ts_prompts *prompts, const char *text, size_t size, const char *divider)
{
    const char *end = text + size;
    size_t length = strlen(divider);
    for (const char *next; text <= end; text = next) {
        const char *found = text;
        while (found + length <= end && memcmp(found, divider, length) != 0)
            found++;
        found = found + length <= end ? found : end;
        TS_TRY(add(prompts, text, (size_t)(found - text)));
        next = found < end ? found + length : end + 1;
    }
    return TS_OK;
}

/* Whether there is an empty line between others. */
static bool has_empty_line(const char *text, size_t size)
{
    ts_trim(&text, &size);
    size_t newlines = 0;
    for (size_t i = 0; i < size; i++) {
        newlines = text[i] == '\n' ? newlines + 1 : text[i] == ' ' || text[i] == '\t' || text[i] == '\r' ? newlines : 0;
        if (newlines == 2)
            return true;
    }
    return false;
}

/* Lines up to one that is empty. */
static ts_status add_paragraphs(ts_prompts *prompts, const char *text, size_t size)
{
    const char *end = text + size, *begin = text;
    for (const char *line = text, *next; line < end; line = next) {
        const char *newline = memchr(line, '\n', (size_t)(end - line)), *content = line;
        size_t length = (size_t)((newline ? newline : end) - line);
        next = newline ? newline + 1 : end;
        ts_trim(&content, &length);
        if (length > 0)
            continue;
        TS_TRY(add(prompts, begin, (size_t)(line - begin)));
        begin = next;
    }
    return add(prompts, begin, (size_t)(end - begin));
}

static ts_status read_text(ts_prompts *prompts, const char *text, size_t size)
{
    if (strstr(text, TS_STORIES_MARKER))
        return add_divided(prompts, text, size, TS_STORIES_MARKER);
    return has_empty_line(text, size) ? add_paragraphs(prompts, text, size) : add_divided(prompts, text, size, "\n");
}

/* ---- YAML ---- */

typedef struct yaml {
    ts_prompts *prompts;
    const char *name, *at, *end;
    size_t number; /* of the line at `at` */
    ts_bytes item;
} yaml;

static ts_status fail_line(const yaml *y, const char *what)
{
    return ts_fail(TS_ERROR_FORMAT, "%s: line %zu: %s", y->name, y->number, what);
}

static const char *take_line(yaml *y, size_t *size)
{
    const char *line = y->at, *newline = memchr(line, '\n', (size_t)(y->end - line));
    y->at = newline ? newline + 1 : y->end;
    *size = (size_t)((newline ? newline : y->end) - line);
    *size -= *size > 0 && line[*size - 1] == '\r';
    y->number++;
    return line;
}

static size_t indent_of(const char *line, size_t size)
{
    size_t indent = 0;
    while (indent < size && line[indent] == ' ')
        indent++;
    return indent;
}

static bool is_blank(const char *line, size_t size)
{
    ts_trim(&line, &size);
    return size == 0;
}

/* The line that comes next, without taking it. */
static const char *peek_line(const yaml *y, size_t *size)
{
    yaml copy = *y;
    return take_line(&copy, size);
}

/* A block behind | or >: lines that are indented; '>' folds lines into one, empty lines divide. How newlines at its end count is no matter: they are
 * trimmed. */
static ts_status read_block(yaml *y, const char *head, size_t size)
{
    size_t block = 0;
    bool fold = *head == '>', folded = false; /* folded: the text ends in a line that may go on */
    bool chomped = size > 1 && (head[1] == '+' || head[1] == '-');
    const char *rest = head + 1 + chomped;
    size -= 1 + (size_t)chomped;
    ts_trim(&rest, &size);
    if (size > 0 && *rest != '#')
        return fail_line(y, "text behind the | or > of a block");
    for (const char *line; y->at < y->end; folded = fold && !is_blank(line, size)) {
        line = peek_line(y, &size);
        size_t indent = indent_of(line, size);
        block = block == 0 && !is_blank(line, size) ? indent : block;
        if (!is_blank(line, size) && (indent == 0 || indent < block))
            break;
        take_line(y, &size);
        if (folded && !is_blank(line, size))
            TS_TRY(ts_bytes_add(&y->item, " ", 1));
        if (size > block && block > 0)
            TS_TRY(ts_bytes_add(&y->item, line + block, size - block));
        if (!fold || is_blank(line, size))
            TS_TRY(ts_bytes_add(&y->item, "\n", 1));
    }
    return TS_OK;
}

/* What a backslash in double quotes stands for; 0: we do not know it. */
static char unescape(char c)
{
    static const char from[] = "nt\"\\/ ", to[] = "\n\t\"\\/ ";
    const char *found = c ? strchr(from, c) : NULL;
    return found ? to[found - from] : 0;
}

/* The inside of quotation marks; *closed becomes whether they end in this line. */
static ts_status add_quoted(yaml *y, const char *text, size_t size, char quote, bool *closed)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == quote && quote == '\'' && i + 1 < size && text[i + 1] == '\'') {
            i++;
        } else if (c == quote) {
            *closed = true;
            return is_blank(text + i + 1, size - i - 1) ? TS_OK : fail_line(y, "text behind a quoted item");
        } else if (c == '\\' && quote == '"') {
            c = i + 1 < size ? unescape(text[++i]) : 0;
            if (c == 0)
                return fail_line(y, "an escape that is not known, expected one of \\n \\t \\\" \\\\ \\/");
        }
        TS_TRY(ts_bytes_add(&y->item, &c, 1));
    }
    return TS_OK;
}

static ts_status read_quoted(yaml *y, const char *text, size_t size)
{
    char quote = *text;
    bool closed = false;
    TS_TRY(add_quoted(y, text + 1, size - 1, quote, &closed));
    while (!closed) {
        if (y->at == y->end)
            return fail_line(y, "a quoted item without its end");
        text = take_line(y, &size);
        ts_trim(&text, &size);
        TS_TRY(ts_bytes_add(&y->item, size > 0 ? " " : "\n", 1));
        TS_TRY(add_quoted(y, text, size, quote, &closed));
    }
    return TS_OK;
}

/* A plain item goes on in the lines that are indented. */
static ts_status read_plain(yaml *y, const char *text, size_t size)
{
    if (strchr("{}[]&*!%@`#?", *text))
        return fail_line(y, "expected a string: plain, quoted, or a block behind | or >");
    TS_TRY(ts_bytes_add(&y->item, text, size));
    while (y->at < y->end) {
        text = peek_line(y, &size);
        if (is_blank(text, size) || indent_of(text, size) == 0)
            return TS_OK;
        take_line(y, &size);
        ts_trim(&text, &size);
        TS_TRY(ts_bytes_add(&y->item, " ", 1));
        TS_TRY(ts_bytes_add(&y->item, text, size));
    }
    return TS_OK;
}

static ts_status read_item(yaml *y, const char *text, size_t size)
{
    y->item.size = 0;
    ts_trim(&text, &size);
    if (size == 0)
        return fail_line(y, "an item without text");
    if (*text == '|' || *text == '>')
        TS_TRY(read_block(y, text, size));
    else if (*text == '"' || *text == '\'')
        TS_TRY(read_quoted(y, text, size));
    else
        TS_TRY(read_plain(y, text, size));
    return add(y->prompts, y->item.data, y->item.size);
}

static ts_status read_yaml(yaml *y)
{
    while (y->at < y->end) {
        size_t size;
        const char *line = take_line(y, &size);
        if (is_blank(line, size) || line[0] == '#' || (size >= 3 && (memcmp(line, "---", 3) == 0 || memcmp(line, "...", 3) == 0)))
            continue;
        if (size < 2 || line[0] != '-' || line[1] != ' ')
            return fail_line(y, "expected an item of the list, '- ' and a text");
        TS_TRY(read_item(y, line + 2, size - 2));
    }
    return TS_OK;
}

/* ---- the file ---- */

/* Behind comments, if there are any. */
static bool is_yaml(const char *text, size_t size)
{
    ts_trim(&text, &size);
    while (size > 0 && *text == '#') {
        const char *newline = memchr(text, '\n', size);
        size -= newline ? (size_t)(newline - text) : size;
        text = newline ? newline : text;
        ts_trim(&text, &size);
    }
    return (size >= 3 && memcmp(text, "---", 3) == 0 && (size == 3 || strchr("\r\n", text[3]))) || (size > 2 && text[0] == '-' && text[1] == ' ');
}

static ts_status read_file(ts_prompts *prompts, const char *path)
{
    char *data;
    size_t size;
    TS_TRY(ts_file_read(prompts->runtime, path, MOST_FILE, &data, &size));
    size_t skip = size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    yaml y = {.prompts = prompts, .name = path, .at = data + skip, .end = data + size, .item = {.runtime = prompts->runtime}};
    ts_status status = TS_OK;
    if (!ts_utf8_valid(data, size) || memchr(data, 0, size))
        status = ts_fail(TS_ERROR_FORMAT, "%s: is not UTF-8 text", path);
    else
        status = is_yaml(y.at, size - skip) ? read_yaml(&y) : read_text(prompts, y.at, size - skip);
    ts_bytes_free(&y.item);
    ts_release(prompts->runtime, data);
    if (status == TS_OK && prompts->count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there is no prompt in it", path);
    return status;
}

ts_status ts_prompts_open(ts_prompts **out, ts_runtime *runtime, const char *path)
{
    ts_runtime *acquired;
    if (!out || !path)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_prompts_open: %s is NULL", out ? "path" : "out");
    TS_TRY(ts_runtime_acquire(&acquired, runtime));
    ts_prompts *prompts = ts_allocate(acquired, sizeof *prompts);
    if (!prompts) {
        ts_runtime_release(acquired);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    prompts->runtime = prompts->text.runtime = acquired;
    ts_status status = read_file(prompts, path);
    if (status != TS_OK)
        ts_prompts_free(prompts);
    else
        *out = prompts;
    return status;
}

void ts_prompts_free(ts_prompts *prompts)
{
    if (!prompts)
        return;
    ts_runtime *runtime = prompts->runtime;
    ts_bytes_free(&prompts->text);
    ts_release(runtime, prompts->items);
    ts_release(runtime, prompts);
    ts_runtime_release(runtime);
}

size_t ts_prompts_count(const ts_prompts *prompts)
{
    return prompts ? prompts->count : 0;
}

const char *ts_prompts_get(const ts_prompts *prompts, size_t index, size_t *size)
{
    bool there = prompts && index < prompts->count;
    if (size)
        *size = there ? prompts->items[index].size : 0;
    return there ? prompts->text.data + prompts->items[index].at : NULL;
}

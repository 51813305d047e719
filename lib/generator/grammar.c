/* Reads plots.txt: "= name" begins a phrase, "== name options" a plot; the form of their lines is told there. */
#include "generator/author.h"

#include "tinystories/generator.h"

static const char *const role_names[] = {"hero", "friend", "grown", "animal", "person", "place", "food"};

const ts_phrase *ts_grammar_find(const ts_grammar *grammar, const char *name, size_t size)
{
    for (size_t i = 0; i < grammar->phrase_count; i++)
        if (grammar->phrases[i].name_size == size && memcmp(grammar->phrases[i].name, name, size) == 0)
            return &grammar->phrases[i];
    return NULL;
}

/* One option of a plot: child, a role, or thing=class,class. */
static bool read_option(ts_phrase *phrase, const char *text, size_t size)
{
    if (size == 5 && memcmp(text, "child", 5) == 0)
        return phrase->child = true;
    for (size_t i = 0; i < TS_COUNT_OF(role_names); i++)
        if (strlen(role_names[i]) == size && memcmp(role_names[i], text, size) == 0) {
            phrase->roles |= 1u << i;
            return true;
        }
    if (size < 7 || memcmp(text, "thing=", 6) != 0)
        return false;
    for (size_t i = 6; i < size;) {
        const char *comma = memchr(text + i, ',', size - i);
        size_t length = comma ? (size_t)(comma - text) - i : size - i;
        int number = ts_class_find(TS_KIND_NOUN, text + i, length);
        if (number < 0)
            return false;
        phrase->things |= 1u << number;
        i += length + 1;
    }
    return true;
}

static ts_status read_header(ts_grammar *grammar, const char *text, size_t size, size_t line)
{
    bool plot = size > 1 && text[1] == '=';
    ts_phrase phrase = {.first = grammar->line_count};
    size_t i = plot ? 2 : 1;
    while (i < size) {
        while (i < size && text[i] == ' ')
            i++;
        size_t start = i;
        while (i < size && text[i] != ' ')
            i++;
        if (!phrase.name) {
            phrase.name = text + start;
            phrase.name_size = i - start;
        } else if (i > start && (!plot || !read_option(&phrase, text + start, i - start)))
            return ts_fail(TS_ERROR_FORMAT, "plots: line %zu: unknown option '%.*s'", line, (int)(i - start), text + start);
    }
    if (!phrase.name || ts_grammar_find(grammar, phrase.name, phrase.name_size))
        return ts_fail(TS_ERROR_FORMAT, "plots: line %zu: a phrase needs a name of its own", line);
    if (plot) {
        TS_TRY(ts_reserve(grammar->runtime, &grammar->plots, &grammar->plot_capacity, grammar->plot_count + 1, sizeof *grammar->plots));
        grammar->plots[grammar->plot_count++] = grammar->phrase_count;
    }
    TS_TRY(ts_reserve(grammar->runtime, &grammar->phrases, &grammar->phrase_capacity, grammar->phrase_count + 1, sizeof *grammar->phrases));
    grammar->phrases[grammar->phrase_count++] = phrase;
    return TS_OK;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'';
}

/* Every plain word must be one of the vocabulary; brackets must be balanced. */
static ts_status check_line(const ts_word_list *vocabulary, const char *text, size_t size, size_t line)
{
    int depth = 0;
    bool guard = true;
    for (size_t i = 0; i < size;) {
        char close = text[i] == '[' ? ']' : text[i] == '<' ? '>' : text[i] == '(' && guard ? ')' : 0;
        if (close) {
            const char *end = memchr(text + i, close, size - i);
            if (!end)
                return ts_fail(TS_ERROR_FORMAT, "plots: line %zu: '%c' is not closed", line, text[i]);
            i = (size_t)(end - text) + 1;
            guard = false;
            continue;
        }
        depth += (text[i] == '{') - (text[i] == '}');
        guard = text[i] == '{' || text[i] == '|';
        size_t start = i;
        char word[TS_MOST_FORM];
        while (i < size && is_letter(text[i]) && i - start < sizeof word) {
            word[i - start] = (char)(text[i] == '\'' ? '\'' : text[i] | 0x20);
            i++;
        }
        if (i > start && !ts_word_list_has(vocabulary, word, i - start))
            return ts_fail(TS_ERROR_FORMAT, "plots: line %zu: the plots are told with the word '%.*s', which the vocabulary lacks", line, (int)(i - start),
                           word);
        i += i == start;
    }
    return depth == 0 ? TS_OK : ts_fail(TS_ERROR_FORMAT, "plots: line %zu: braces are not balanced", line);
}

static ts_status read_lines(ts_grammar *grammar, const ts_word_list *vocabulary, const char *text, size_t size)
{
    size_t line = 0;
    for (size_t i = 0; i < size;) {
        const char *start = text + i, *end = memchr(start, '\n', size - i);
        size_t length = end ? (size_t)(end - start) : size - i;
        i += length + 1;
        line++;
        if (length == 0 || start[0] == '#')
            continue;
        if (start[0] == '=') {
            TS_TRY(read_header(grammar, start, length, line));
            continue;
        }
        if (grammar->phrase_count == 0)
            return ts_fail(TS_ERROR_FORMAT, "plots: line %zu: text before the first phrase", line);
        TS_TRY(check_line(vocabulary, start, length, line));
        TS_TRY(ts_reserve(grammar->runtime, &grammar->lines, &grammar->line_capacity, grammar->line_count + 1, sizeof *grammar->lines));
        grammar->lines[grammar->line_count++] = (ts_line){start, length};
        grammar->phrases[grammar->phrase_count - 1].count++;
    }
    return grammar->plot_count > 0 ? TS_OK : ts_fail(TS_ERROR_FORMAT, "plots: there is no plot");
}

ts_status ts_grammar_read(ts_grammar *grammar, ts_runtime *runtime, const ts_word_list *vocabulary, const char *text, size_t size)
{
    *grammar = (ts_grammar){.runtime = runtime};
    ts_status status = read_lines(grammar, vocabulary, text, size);
    if (status != TS_OK)
        ts_grammar_free(grammar);
    return status;
}

void ts_grammar_free(ts_grammar *grammar)
{
    ts_release(grammar->runtime, grammar->phrases);
    ts_release(grammar->runtime, grammar->lines);
    ts_release(grammar->runtime, grammar->plots);
    *grammar = (ts_grammar){0};
}

/* Reads plots.txt: "= name" begins a phrase, "== name parts" a plot; the form of their lines is told there. */
#include "generator/author.h"

#include "generator/data.h"
#include "tinystories/generator.h"

const ts_phrase *ts_grammar_find(const ts_grammar *grammar, const char *name, size_t size)
{
    for (size_t i = 0; i < grammar->phrase_count; i++)
        if (grammar->phrases[i].name_size == size && memcmp(grammar->phrases[i].name, name, size) == 0)
            return &grammar->phrases[i];
    return NULL;
}

int ts_fact_find(const ts_grammar *grammar, const char *name, size_t size)
{
    for (size_t i = 0; i < grammar->fact_count; i++)
        if (grammar->facts[i].size == size && memcmp(grammar->facts[i].text, name, size) == 0)
            return (int)i;
    return -1;
}

/* ---- the parts of a plot ---- */

static const struct {
    const char *name;
    uint32_t number, kind;
    const char *classes[4]; /* without a wish: any of these */
} part_names[] = {
    {"thing", TS_PART_THING, TS_KIND_NOUN, {"toy"}},         {"tool", TS_PART_TOOL, TS_KIND_NOUN, {"tool", "toy", "clothing", "furniture"}},
    {"place", TS_PART_PLACE, TS_KIND_NOUN, {"place"}},       {"food", TS_PART_FOOD, TS_KIND_NOUN, {"food"}},
    {"animal", TS_PART_ANIMAL, TS_KIND_NOUN, {"animal"}},    {"person", TS_PART_PERSON, TS_KIND_NOUN, {"person"}},
    {"hero", TS_PART_TEMPER, TS_KIND_ADJECTIVE, {"temper"}}, {"weather", TS_PART_WEATHER, TS_KIND_ADJECTIVE, {"weather"}},
};

/* What may play a part: classes and tags divided by commas; '+' before a tag: it must be there, '!': it must not, else one of the tags must. */
static bool read_wishes(ts_part *part, const char *text, size_t size)
{
    uint32_t classes = 0;
    for (size_t i = 0; i < size;) {
        const char *comma = memchr(text + i, ',', size - i);
        size_t length = comma ? (size_t)(comma - text) - i : size - i, sign = text[i] == '+' || text[i] == '!';
        int class_ = sign ? -1 : ts_class_find(part->kind, text + i, length), tag = ts_tag_find(text + i + sign, length - sign);
        if (class_ < 0 && tag < 0)
            return false;
        if (class_ >= 0)
            classes |= 1u << class_;
        else if (text[i] == '+')
            part->all |= (uint64_t)1 << tag;
        else if (text[i] == '!')
            part->none |= (uint64_t)1 << tag;
        else
            part->any |= (uint64_t)1 << tag;
        i += length + 1;
    }
    part->classes = classes ? classes : part->classes;
    return true;
}

/* One option of a plot: child, or a part that it speaks of, "animal" or "place=water,dark". */
static bool read_option(ts_phrase *plot, const char *text, size_t size)
{
    const char *equals = memchr(text, '=', size);
    size_t name = equals ? (size_t)(equals - text) : size;
    if (name == 5 && memcmp(text, "child", 5) == 0)
        return plot->child = true;
    for (size_t i = 0; i < TS_COUNT_OF(part_names); i++) {
        if (strlen(part_names[i].name) != name || memcmp(part_names[i].name, text, name) != 0)
            continue;
        ts_part *part = &plot->parts[part_names[i].number];
        *part = (ts_part){.kind = part_names[i].kind};
        for (size_t k = 0; k < TS_COUNT_OF(part_names[i].classes) && part_names[i].classes[k]; k++)
            part->classes |= 1u << ts_class_find(part->kind, part_names[i].classes[k], strlen(part_names[i].classes[k]));
        plot->asked |= 1u << part_names[i].number;
        return !equals || read_wishes(part, equals + 1, size - name - 1);
    }
    return false;
}

/* The first part that no word of the vocabulary can play, NULL: every part has one. */
static const char *part_without_word(const ts_phrase *plot, const ts_word_list *vocabulary)
{
    for (size_t k = 0; k < TS_COUNT_OF(part_names); k++) {
        const ts_part *part = &plot->parts[part_names[k].number];
        bool found = part->classes == 0;
        for (size_t word = 0; word < vocabulary->word_count && !found; word++)
            found = ts_part_fits(part, &vocabulary->words[word]) && !vocabulary->words[word].mass;
        if (!found)
            return part_names[k].name;
    }
    return NULL;
}

/* A vocabulary of the user's may lack what a plot needs: such plots are not told, which is logged once with all that is missing. */
static ts_status leave_out_plots(ts_grammar *grammar, const ts_word_list *vocabulary)
{
    ts_bytes lacking = {.runtime = grammar->runtime};
    ts_status status = TS_OK;
    size_t kept = 0, all = grammar->plot_count;
    for (size_t i = 0; i < all && status == TS_OK; i++) {
        const ts_phrase *plot = &grammar->phrases[grammar->plots[i]];
        const char *part = part_without_word(plot, vocabulary);
        if (part == NULL)
            grammar->plots[kept++] = grammar->plots[i];
        else
            status = ts_bytes_format(&lacking, "%s%.*s (%s)", lacking.size > 0 ? ", " : "", (int)plot->name_size, plot->name, part);
    }
    grammar->plot_count = kept;
    if (status == TS_OK && kept == 0)
        status = ts_fail(TS_ERROR_FORMAT, "no plot has a word for each of its parts; without one are: %s", lacking.data);
    else if (status == TS_OK && kept < all)
        ts_log(grammar->runtime, TS_LOG_WARNING, "%zu of %zu plots are left out, for no word of the vocabulary can play a part of them: %s",
               all - kept, all, lacking.data);
    ts_bytes_free(&lacking);
    return status;
}

/* ---- lines ---- */

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

/* A fact is known from the line that sets it: <+wet>. */
static ts_status add_fact(ts_grammar *grammar, const char *name, size_t size, size_t line)
{
    if (ts_fact_find(grammar, name, size) >= 0)
        return TS_OK;
    if (grammar->fact_count == TS_MOST_FACTS)
        return ts_fail(TS_ERROR_LIMIT, "plots: line %zu: more than %d facts", line, TS_MOST_FACTS);
    grammar->facts[grammar->fact_count++] = (ts_line){.text = name, .size = size};
    return TS_OK;
}

static ts_status add_facts(ts_grammar *grammar, const char *text, size_t size, size_t line)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (text[i] != '<' || text[i + 1] != '+')
            continue;
        const char *end = memchr(text + i, '>', size - i);
        if (!end)
            return ts_fail(TS_ERROR_FORMAT, "plots: line %zu: '<' is not closed", line);
        TS_TRY(add_fact(grammar, text + i + 2, (size_t)(end - text) - i - 2, line));
    }
    return TS_OK;
}

/* The conditions of a guard "(a !b)", of which `text` is the inside. */
static ts_status check_guard(const ts_grammar *grammar, const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        const char *space = memchr(text + i, ' ', size - i);
        size_t length = space ? (size_t)(space - text) - i : size - i, negated = text[i] == '!';
        if (!ts_condition_known(grammar, text + i + negated, length - negated))
            return ts_fail(TS_ERROR_FORMAT, "plots: nothing can be asked by the name '%.*s'", (int)length, text + i);
        i += length + 1;
    }
    return TS_OK;
}

/* What guards ask and phrases that are told must be known; only after the last line all of them are. */
static ts_status check_names(const ts_grammar *grammar)
{
    for (size_t i = 0; i < grammar->line_count; i++) {
        const char *text = grammar->lines[i].text, *stop = text + grammar->lines[i].size;
        for (const char *at = text; at < stop; at++) {
            bool guard = *at == '(' && (at == text || at[-1] == '{' || at[-1] == '|');
            if (guard)
                TS_TRY(check_guard(grammar, at + 1, (size_t)((const char *)memchr(at, ')', (size_t)(stop - at)) - at) - 1));
            if (*at != '<' || at[1] == '+')
                continue;
            size_t size = (size_t)((const char *)memchr(at, '>', (size_t)(stop - at)) - at) - 1;
            bool known = at[1] == '-' ? ts_fact_find(grammar, at + 2, size - 1) >= 0 : ts_grammar_find(grammar, at + 1, size) != NULL;
            if (!known)
                return ts_fail(TS_ERROR_FORMAT, "plots: there is no phrase '%.*s'", (int)size, at + 1);
        }
    }
    return TS_OK;
}

/* What a line says by itself. */
static uint32_t says_of(const ts_line *line)
{
    uint32_t says = 0;
    for (size_t i = 0; i < line->size; i++) {
        const char *inside = line->text + i + 1;
        if (line->text[i] == '[')
            says |= 1u << ts_mention(inside, (size_t)((const char *)memchr(inside, ']', line->size - i) - inside));
    }
    return says;
}

/* What it may say with the phrases that it tells, as far as that is known of these. */
static uint32_t mentions_of(const ts_grammar *grammar, const ts_line *line)
{
    uint32_t mentions = line->mentions;
    for (size_t i = 0; i < line->size; i++) {
        const char *inside = line->text + i + 1;
        if (line->text[i] != '<' || *inside == '+' || *inside == '-')
            continue;
        const ts_phrase *phrase = ts_grammar_find(grammar, inside, (size_t)((const char *)memchr(inside, '>', line->size - i) - inside));
        for (size_t k = 0; k < phrase->count; k++)
            mentions |= grammar->lines[phrase->first + k].mentions;
    }
    return mentions;
}

/* Phrases tell phrases: until nothing changes any more. */
static void find_mentions(ts_grammar *grammar)
{
    for (size_t i = 0; i < grammar->line_count; i++) {
        grammar->lines[i].says = says_of(&grammar->lines[i]);
        grammar->lines[i].mentions |= grammar->lines[i].says;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < grammar->line_count; i++) {
            uint32_t mentions = mentions_of(grammar, &grammar->lines[i]);
            changed = changed || mentions != grammar->lines[i].mentions;
            grammar->lines[i].mentions = mentions;
        }
    }
}

/* Takes the next plain word of a line, in lower case, from *at on; its size, 0: there stands none. */
static size_t take_word(const char *text, size_t size, size_t *at, char word[TS_MOST_FORM])
{
    size_t start = *at;
    while (*at < size && is_letter(text[*at]) && *at - start < TS_MOST_FORM) {
        word[*at - start] = (char)(text[*at] == '\'' ? '\'' : text[*at] | 0x20);
        ++*at;
    }
    return *at - start;
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
        char word[TS_MOST_FORM];
        size_t length = take_word(text, size, &i, word);
        if (length > 0 && !ts_word_list_has(vocabulary, word, length))
            return ts_fail(TS_ERROR_FORMAT, "plots: line %zu: the plots are told with the word '%.*s', which the vocabulary lacks", line, (int)length,
                           word);
        i += length == 0;
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
        if (grammar->line_count == TS_MOST_LINES)
            return ts_fail(TS_ERROR_LIMIT, "plots: line %zu: more than %d lines", line, TS_MOST_LINES);
        TS_TRY(check_line(vocabulary, start, length, line));
        TS_TRY(add_facts(grammar, start, length, line));
        TS_TRY(ts_reserve(grammar->runtime, &grammar->lines, &grammar->line_capacity, grammar->line_count + 1, sizeof *grammar->lines));
        grammar->lines[grammar->line_count++] = (ts_line){.text = start, .size = length, .mentions = 1u << 31};
        grammar->phrases[grammar->phrase_count - 1].count++;
    }
    if (grammar->plot_count == 0)
        return ts_fail(TS_ERROR_FORMAT, "plots: there is no plot");
    TS_TRY(leave_out_plots(grammar, vocabulary));
    TS_TRY(check_names(grammar));
    find_mentions(grammar);
    return TS_OK;
}

ts_status ts_grammar_read(ts_grammar *grammar, ts_runtime *runtime, const ts_word_list *vocabulary, const char *text, size_t size)
{
    *grammar = (ts_grammar){.runtime = runtime};
    ts_status status = read_lines(grammar, vocabulary, text, size);
    if (status != TS_OK)
        ts_grammar_free(grammar);
    return status;
}

/* The plain words of a line that the vocabulary lacks go behind `words`. What else is in the line, and whether it is well formed, is not asked here.
 */
static ts_status gather_words(ts_bytes *words, size_t *count, const ts_word_list *vocabulary, const char *text, size_t size)
{
    bool guard = true;
    for (size_t i = 0; i < size;) {
        char word[TS_MOST_FORM], close = text[i] == '[' ? ']' : text[i] == '<' ? '>' : text[i] == '(' && guard ? ')' : 0;
        const char *end = close ? memchr(text + i, close, size - i) : NULL;
        guard = end == NULL && (text[i] == '{' || text[i] == '|');
        if (end != NULL) {
            i = (size_t)(end - text) + 1;
            continue;
        }
        size_t length = take_word(text, size, &i, word);
        if (length > 0 && length < sizeof word && !ts_word_list_has(vocabulary, word, length)) {
            TS_TRY(ts_bytes_format(words, "%.*s", (int)length, word));
            TS_TRY(ts_bytes_add(words, "", 1));
            ++*count;
        }
        i += length == 0;
    }
    return TS_OK;
}

/* The words that the plots are told with belong to any vocabulary, as function words. */
static ts_status complete(ts_grammar *grammar, ts_runtime *runtime, ts_word_list *vocabulary, const char *text, size_t size)
{
    ts_bytes words = {.runtime = runtime};
    ts_status status = TS_OK;
    size_t count = 0;
    for (size_t i = 0; i < size && status == TS_OK;) {
        const char *start = text + i, *end = memchr(start, '\n', size - i);
        size_t length = end ? (size_t)(end - start) : size - i;
        i += length + 1;
        if (length > 0 && start[0] != '#' && start[0] != '=')
            status = gather_words(&words, &count, vocabulary, start, length);
    }
    if (status == TS_OK && count > 0)
        status = ts_word_list_add(vocabulary, words.data, count);
    if (status != TS_OK)
        ts_bytes_free(&words);
    grammar->words = words.data;
    return status;
}

ts_status ts_grammar_open(ts_grammar *grammar, ts_runtime *runtime, ts_word_list *vocabulary)
{
    char *text;
    *grammar = (ts_grammar){0};
    TS_TRY(ts_unpack(runtime, &ts_plots_data, &text));
    ts_status status = complete(grammar, runtime, vocabulary, text, ts_plots_data.size);
    char *words = grammar->words;
    if (status == TS_OK)
        status = ts_grammar_read(grammar, runtime, vocabulary, text, ts_plots_data.size);
    if (status == TS_OK) {
        grammar->text = text;
        grammar->words = words;
    } else {
        ts_release(runtime, words);
        ts_release(runtime, text);
    }
    return status;
}

void ts_grammar_free(ts_grammar *grammar)
{
    ts_release(grammar->runtime, grammar->text);
    ts_release(grammar->runtime, grammar->words);
    ts_release(grammar->runtime, grammar->phrases);
    ts_release(grammar->runtime, grammar->lines);
    ts_release(grammar->runtime, grammar->plots);
    *grammar = (ts_grammar){0};
}

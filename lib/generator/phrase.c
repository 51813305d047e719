/* The expander of plots.txt, and the last touch: spaces, capitals, a and an. */
#include "generator/author.h"

#include "tinystories/generator.h"

#define MOST_DEPTH 16

/* ---- guards ---- */

static bool is_text(const char *text, size_t size, const char *expected)
{
    return strlen(expected) == size && memcmp(text, expected, size) == 0;
}

static bool has_class(const ts_entry *word, const char *name, size_t size)
{
    return word && is_text(name, size, ts_class_name(word->kind, word->class_));
}

/* One condition: a feature, the hero's kind, a drawn word's class (n.food) or whether it has its part already (un), a die (p2). */
static bool holds(const ts_telling *telling, const char *name, size_t size)
{
    static const char *const features[] = {"dialogue", "bad", "moral", "twist", "plant", "conflict"};
    for (uint32_t i = 0; i < TS_COUNT_OF(features); i++)
        if (is_text(name, size, features[i]))
            return (telling->features >> i & 1) != 0;
    if (is_text(name, size, "child"))
        return !telling->actors[TS_ROLE_HERO].word;
    if (size == 2 && name[0] == 'u')
        return telling->placed[name[1] == 'v' ? TS_DRAWN_VERB : name[1] == 'n' ? TS_DRAWN_NOUN : TS_DRAWN_ADJECTIVE];
    if (size == 2 && (name[0] == 'p' || name[0] == 'q'))
        return telling->dice[name[0] == 'q'] == (uint32_t)(name[1] - '0');
    if (is_text(name, size, "mass"))
        return telling->drawn[TS_DRAWN_NOUN]->mass;
    if (size > 2 && name[1] == '.') {
        const ts_entry *word = name[0] == 't' ? telling->thing : telling->drawn[name[0] == 'v' ? TS_DRAWN_VERB : name[0] == 'n' ? TS_DRAWN_NOUN
                                                                                                                           : TS_DRAWN_ADJECTIVE];
        return has_class(word, name + 2, size - 2);
    }
    return false;
}

/* Takes a guard "(a !b)" off the front of a text; whether all of it holds. */
static bool guarded(const ts_telling *telling, const char **text, size_t *size)
{
    if (*size == 0 || **text != '(')
        return true;
    const char *end = memchr(*text, ')', *size), *at = *text + 1;
    bool all = true;
    while (at < end) {
        const char *space = memchr(at, ' ', (size_t)(end - at)), *stop = space ? space : end;
        bool negated = *at == '!';
        all = all && holds(telling, at + negated, (size_t)(stop - at) - negated) != negated;
        at = stop + 1;
    }
    *size -= (size_t)(end + 1 - *text);
    *text = end + 1;
    return all;
}

/* ---- expansion ---- */

/* The size of what is up to the '}' or (if `bar`) '|' of this level. */
static size_t span(const char *text, size_t size, bool bar)
{
    int depth = 0;
    size_t i = 0;
    for (; i < size; i++) {
        if (depth == 0 && (text[i] == '}' || (bar && text[i] == '|')))
            break;
        depth += (text[i] == '{') - (text[i] == '}');
    }
    return i;
}

/* One of {a|b|c} whose guard holds; nothing if none does. */
static void tell_choice(ts_telling *telling, const char *text, size_t size, uint32_t depth)
{
    const char *open[64];
    size_t sizes[64], count = 0;
    for (size_t i = 0; i <= size && count < TS_COUNT_OF(open);) {
        size_t length = span(text + i, size - i, true);
        const char *part = text + i;
        size_t part_size = length;
        if (guarded(telling, &part, &part_size)) {
            open[count] = part;
            sizes[count++] = part_size;
        }
        i += length + 1;
    }
    if (count > 0) {
        size_t chosen = (size_t)ts_random_below(&telling->random, count);
        ts_tell(telling, open[chosen], sizes[chosen], depth + 1);
    }
}

static void tell_phrase(ts_telling *telling, const char *name, size_t size, uint32_t depth)
{
    const ts_phrase *phrase = ts_grammar_find(telling->grammar, name, size);
    ts_line open[64];
    size_t count = 0;
    if (!phrase) {
        telling->failed = true;
        return;
    }
    for (size_t i = 0; i < phrase->count && count < TS_COUNT_OF(open); i++) {
        ts_line line = telling->grammar->lines[phrase->first + i];
        if (guarded(telling, &line.text, &line.size))
            open[count++] = line;
    }
    if (count > 0) {
        ts_line line = open[ts_random_below(&telling->random, count)];
        ts_tell(telling, line.text, line.size, depth + 1);
    }
}

void ts_tell(ts_telling *telling, const char *text, size_t size, uint32_t depth)
{
    if (depth > MOST_DEPTH) {
        telling->failed = true;
        return;
    }
    if (depth == 0 && !guarded(telling, &text, &size))
        return;
    for (size_t i = 0; i < size && !telling->failed;) {
        size_t length;
        switch (text[i]) {
        case '{':
            length = span(text + i + 1, size - i - 1, false);
            tell_choice(telling, text + i + 1, length, depth);
            i += length + 2;
            break;
        case '<':
        case '[': {
            const char *end = memchr(text + i, text[i] == '<' ? '>' : ']', size - i);
            length = (size_t)(end - text) - i - 1;
            if (text[i] == '<')
                tell_phrase(telling, text + i + 1, length, depth);
            else if (!ts_say(telling, text + i + 1, length))
                telling->failed = true;
            i += length + 2;
            break;
        }
        default:
            length = 1;
            while (i + length < size && !strchr("{<[", text[i + length]))
                length++;
            ts_say_text(telling, text + i, length);
            i += length;
        }
    }
}

/* ---- the last touch ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The article itself, not the end of a word. */
static bool is_article(const char *raw, size_t size, size_t i)
{
    return (raw[i] == 'a' || raw[i] == 'A') && i + 2 < size && raw[i + 1] == ' ' && (i == 0 || (!is_letter(raw[i - 1]) && raw[i - 1] != '\''));
}

size_t ts_polish(char *out, size_t capacity, const char *raw, size_t size)
{
    size_t used = 0;
    bool capital = true, quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = raw[i];
        if (used + 4 > capacity)
            return 0;
        if (c == '~') { /* what was said goes on after the quote: "Help!"~ said Tom */
            capital = false;
            continue;
        }
        if (c == ' ' && (used == 0 || out[used - 1] == ' ' || out[used - 1] == '\n' || (quoted && out[used - 1] == '"')))
            continue;
        if (strchr(".,!?\n", c) && used > 0 && out[used - 1] == ' ')
            used--;
        if (c == '\n' && (used < 2 || out[used - 1] == '\n')) {
            if (used > 1 && out[used - 2] != '\n')
                out[used++] = '\n';
            continue;
        }
        if (c == '"')
            quoted = !quoted;
        bool article = is_article(raw, size, i);
        out[used++] = capital && c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
        if (article) {
            size_t start = i + 2, end;
            while (start < size && raw[start] == ' ')
                start++;
            for (end = start; end < size && is_letter(raw[end]);)
                end++;
            if (ts_takes_an(raw + start, end - start))
                out[used++] = 'n';
        }
        if (strchr(".!?\n", c) || (c == '"' && quoted))
            capital = true;
        else if (is_letter(c) || c == ',')
            capital = false;
    }
    while (used > 0 && (out[used - 1] == '\n' || out[used - 1] == ' '))
        used--;
    out[used] = 0;
    return used;
}

/* The expander of plots.txt: guards, alternatives, phrases, facts. Alternatives that say a drawn word are preferred until it was said. */
#include "generator/author.h"

#include "tinystories/generator.h"

#define MOST_DEPTH 16
#define PROMISE_DEPTH 6 /* how deep to look for a drawn word */

static bool is_text(const char *text, size_t size, const char *expected)
{
    return size > 0 && text[0] == expected[0] && strlen(expected) == size && memcmp(text, expected, size) == 0;
}

/* ---- guards ---- */

static const char *const feature_names[] = {"dialogue", "bad", "moral", "twist", "plant", "conflict"};

static int feature_find(const char *name, size_t size)
{
    for (int i = 0; i < TS_FEATURE_COUNT; i++)
        if (is_text(name, size, feature_names[i]))
            return i;
    return -1;
}

/* The words that guards ask about, by the letter before the '.' or ':'. */
static const char subjects[] = "vnatkpfmow";

static const ts_entry *subject_of(const ts_telling *telling, char letter)
{
    static const uint8_t parts[] = {TS_PART_THING, TS_PART_TOOL, TS_PART_PLACE, TS_PART_FOOD, TS_PART_ANIMAL, TS_PART_PERSON, TS_PART_WEATHER};
    size_t number = (size_t)(strchr(subjects, letter) - subjects);
    if (letter == 'h')
        return telling->parts[TS_PART_TEMPER];
    if (letter == 'v') /* what was said is not said again elsewhere */
        return telling->used[TS_DRAWN_VERB] ? NULL : telling->drawn[TS_DRAWN_VERB];
    if (number < TS_DRAWN_COUNT)
        return telling->drawn[number];
    uint8_t part = parts[number - TS_DRAWN_COUNT];
    return part == TS_PART_WEATHER || telling->plot->asked >> part & 1 ? telling->parts[part] : NULL;
}

static bool asks_word(const char *name, size_t size)
{
    return size > 2 && (name[1] == '.' || name[1] == ':') && (strchr(subjects, name[0]) || name[0] == 'h');
}

bool ts_condition_known(const ts_grammar *grammar, const char *name, size_t size)
{
    static const char *const others[] = {"child", "fallback", "mass", "said", "object"};
    for (size_t i = 0; i < TS_COUNT_OF(others); i++)
        if (is_text(name, size, others[i]))
            return true;
    if (size == 2 && (name[0] == 'd' || name[0] == 'e'))
        return name[1] >= '0' && name[1] <= '7';
    if (!asks_word(name, size))
        return feature_find(name, size) >= 0 || ts_fact_find(grammar, name, size) >= 0;
    for (uint32_t kind = 0; name[1] == '.' && kind < TS_KIND_NAME; kind++)
        if (ts_class_find(kind, name + 2, size - 2) >= 0)
            return true;
    return name[1] == ':' && ts_tag_find(name + 2, size - 2) >= 0;
}

/* One condition: a feature, the hero's kind, a word's class (n.food) or tag (t:breaks), a die (d2), a fact. */
static bool holds(const ts_telling *telling, const char *name, size_t size)
{
    if (asks_word(name, size)) {
        const ts_entry *word = subject_of(telling, name[0]);
        if (!word)
            return false;
        return name[1] == '.' ? is_text(name + 2, size - 2, ts_class_name(word->kind, word->class_))
                              : word->tags >> ts_tag_find(name + 2, size - 2) & 1;
    }
    if (size == 2 && (name[0] == 'd' || name[0] == 'e'))
        return telling->dice[name[0] == 'e'] == (uint32_t)(name[1] - '0');
    int feature = feature_find(name, size);
    if (feature >= 0)
        return (telling->features >> feature & 1) != 0;
    if (is_text(name, size, "child"))
        return !telling->actors[TS_ROLE_HERO].word;
    if (is_text(name, size, "fallback"))
        return telling->fallback;
    if (is_text(name, size, "mass"))
        return telling->drawn[TS_DRAWN_NOUN]->mass;
    if (is_text(name, size, "said"))
        return telling->used[TS_DRAWN_VERB] > 0;
    if (is_text(name, size, "object"))
        return telling->drawn[TS_DRAWN_VERB]->object != NULL;
    return telling->facts >> ts_fact_find(telling->grammar, name, size) & 1;
}

/* Takes a guard "(a !b)" off the front of a text; whether all of it holds. `told`, unless NULL, gets the features that it asks for. */
static bool guarded(const ts_telling *telling, const char **text, size_t *size, uint32_t *told)
{
    if (*size == 0 || **text != '(')
        return true;
    const char *end = memchr(*text, ')', *size), *at = *text + 1;
    bool all = true;
    uint32_t features = 0;
    while (at < end && all) {
        const char *space = memchr(at, ' ', (size_t)(end - at)), *stop = space ? space : end;
        bool negated = *at == '!';
        size_t length = (size_t)(stop - at) - negated;
        all = holds(telling, at + negated, length) != negated;
        int feature = negated ? -1 : feature_find(at, length);
        features |= feature >= 0 ? 1u << feature : 0;
        at = stop + 1;
    }
    *size -= (size_t)(end + 1 - *text);
    *text = end + 1;
    if (all && told)
        *told |= features;
    return all;
}

/* ---- walking a text ---- */

enum { MARK_CHOICE = 1, MARK_PIECE = 2 };

static const uint8_t marks[256] = {
    ['{'] = MARK_CHOICE | MARK_PIECE, ['}'] = MARK_CHOICE, ['|'] = MARK_CHOICE, ['<'] = MARK_PIECE, ['['] = MARK_PIECE};

/* The size of what is up to the '}' or (if `bar`) '|' of this level. Telling is mostly this: a look-up a byte. */
static size_t span(const char *text, size_t size, bool bar)
{
    int depth = 0;
    for (size_t i = 0; i < size; i++) {
        if (!(marks[(uint8_t)text[i]] & MARK_CHOICE))
            continue;
        if (depth == 0 && (text[i] == '}' || (bar && text[i] == '|')))
            return i;
        depth += (text[i] == '{') - (text[i] == '}');
    }
    return size;
}

/* The size of the piece that a text begins with: plain text, or {...}, <...>, [...] with their brackets. */
static size_t piece(const char *text, size_t size)
{
    size_t length = 1;
    switch (text[0]) {
    case '{':
        return span(text + 1, size - 1, false) + 2;
    case '<':
        return (size_t)((const char *)memchr(text, '>', size) - text) + 1;
    case '[':
        return (size_t)((const char *)memchr(text, ']', size) - text) + 1;
    default:
        while (length < size && !(marks[(uint8_t)text[length]] & MARK_PIECE))
            length++;
        return length;
    }
}

/* Alternatives whose guards hold. */
typedef struct alternatives {
    ts_line lines[64];
    uint32_t told[64];  /* features that the guard asked for */
    size_t numbers[64]; /* of the grammar's lines; those of a phrase alone */
    size_t count;
} alternatives;

static void add(alternatives *open, const ts_telling *telling, const char *text, size_t size, size_t number)
{
    uint32_t told = 0;
    if (open->count == TS_COUNT_OF(open->lines) || !guarded(telling, &text, &size, &told))
        return;
    open->told[open->count] = told;
    open->numbers[open->count] = number;
    open->lines[open->count++] = (ts_line){.text = text, .size = size};
}

static void open_choice(alternatives *open, const ts_telling *telling, const char *text, size_t size)
{
    open->count = 0;
    for (size_t i = 0; i <= size;) {
        size_t length = span(text + i, size - i, true);
        add(open, telling, text + i, length, TS_MOST_LINES);
        i += length + 1;
    }
}

/* The lines of a phrase that mention one of `wanted`. */
static bool open_phrase(alternatives *open, const ts_telling *telling, uint32_t wanted, const char *name, size_t size)
{
    const ts_phrase *phrase = ts_grammar_find(telling->grammar, name, size);
    open->count = 0;
    for (size_t i = 0; phrase && i < phrase->count; i++) {
        const ts_line *line = &telling->grammar->lines[phrase->first + i];
        if (line->mentions & wanted)
            add(open, telling, line->text, line->size, phrase->first + i);
    }
    return phrase != NULL;
}

/* ---- what a text promises ---- */

/* Whether there is anything in a text but words and choices of words. */
static bool refers(const char *text, size_t size)
{
    return memchr(text, '[', size) || memchr(text, '<', size);
}

/* Whether telling a text may say what is wanted, a bit for each mention. */
static bool promises(const ts_telling *telling, uint32_t wanted, const char *text, size_t size, uint32_t depth)
{
    for (size_t i = 0, length; i < size; i += length) {
        const char *inside = text + i + 1;
        length = piece(text + i, size - i);
        if (text[i] == '[' && wanted & (1u << ts_mention(inside, length - 2)))
            return true;
        if ((text[i] != '{' && text[i] != '<') || depth == 0 || (text[i] == '{' && !refers(inside, length - 2)))
            continue;
        alternatives open;
        if (text[i] == '{')
            open_choice(&open, telling, inside, length - 2);
        else
            open_phrase(&open, telling, wanted, inside, length - 2);
        for (size_t k = 0; k < open.count; k++)
            if (promises(telling, wanted, open.lines[k].text, open.lines[k].size, depth - 1))
                return true;
    }
    return false;
}

static void keep(alternatives *open, size_t from, size_t to)
{
    open->told[to] = open->told[from];
    open->numbers[to] = open->numbers[from];
    open->lines[to] = open->lines[from];
}

static bool was_told(const ts_telling *telling, size_t number)
{
    return number < TS_MOST_LINES && telling->lines_told[number / 64] >> number % 64 & 1;
}

/* Whether a line of a phrase has nothing new: it was told, or it is there for a drawn word that the story has by now. A verb may come back once. */
static bool is_stale(const ts_telling *telling, size_t number)
{
    if (number >= TS_MOST_LINES)
        return false;
    uint32_t says = telling->grammar->lines[number].says;
    return was_told(telling, number) || (says >> TS_MENTION_VERB & 1 && telling->used[TS_DRAWN_VERB] > 1) ||
           (says >> TS_MENTION_NOUN & 1 && (telling->used[TS_DRAWN_NOUN] || telling->noun_has_part)) ||
           (says >> TS_MENTION_ADJECTIVE & 1 && telling->used[TS_DRAWN_ADJECTIVE]);
}

/* What is stale is not told while there is something else. */
static void drop_told(alternatives *open, const ts_telling *telling)
{
    size_t count = 0;
    for (size_t i = 0; i < open->count; i++)
        count += !is_stale(telling, open->numbers[i]);
    if (count == 0 || count == open->count)
        return;
    count = 0;
    for (size_t i = 0; i < open->count; i++)
        if (!is_stale(telling, open->numbers[i]))
            keep(open, i, count++);
    open->count = count;
}

/* Those that say a drawn word which was not said yet are preferred, if there are any; nearly always, or every story would hold them at the same spot.
 */
static void prefer(alternatives *open, ts_telling *telling)
{
    uint32_t wanted = ts_wanted(telling);
    if (open->count < 2 || wanted == 0 || ts_random_below(&telling->random, 8) == 0)
        return;
    size_t count = 0;
    for (size_t i = 0; i < open->count; i++)
        if (promises(telling, wanted, open->lines[i].text, open->lines[i].size, PROMISE_DEPTH))
            keep(open, i, count++);
    if (count > 0)
        open->count = count;
}

static void tell_one(ts_telling *telling, alternatives *open, uint32_t depth)
{
    drop_told(open, telling);
    prefer(open, telling);
    if (open->count == 0)
        return;
    size_t chosen = (size_t)ts_random_below(&telling->random, open->count);
    size_t number = open->numbers[chosen];
    if (number < TS_MOST_LINES)
        telling->lines_told[number / 64] |= (uint64_t)1 << number % 64;
    if (open->lines[chosen].size > 0)
        telling->told |= open->told[chosen];
    ts_tell(telling, open->lines[chosen].text, open->lines[chosen].size, depth + 1);
}

static void set_fact(ts_telling *telling, const char *name, size_t size)
{
    uint64_t bit = (uint64_t)1 << ts_fact_find(telling->grammar, name + 1, size - 1);
    telling->facts = name[0] == '+' ? telling->facts | bit : telling->facts & ~bit;
}

void ts_tell(ts_telling *telling, const char *text, size_t size, uint32_t depth)
{
    if (depth > MOST_DEPTH) {
        telling->failed = true;
        return;
    }
    if (depth == 0 && !guarded(telling, &text, &size, &telling->told))
        return;
    alternatives open;
    for (size_t i = 0, length; i < size && !telling->failed; i += length) {
        const char *inside = text + i + 1;
        length = piece(text + i, size - i);
        switch (text[i]) {
        case '{':
            open_choice(&open, telling, inside, length - 2);
            tell_one(telling, &open, depth);
            break;
        case '<':
            if (*inside == '+' || *inside == '-')
                set_fact(telling, inside, length - 2);
            else if (open_phrase(&open, telling, UINT32_MAX, inside, length - 2))
                tell_one(telling, &open, depth);
            else
                telling->failed = true;
            break;
        case '[':
            telling->failed = !ts_say(telling, inside, length - 2) || telling->failed;
            break;
        default:
            ts_say_text(telling, text + i, length);
        }
    }
}

/* Reads a vocabulary file: sections of words, irregular forms after slashes, tags after ':', a verb's object after '>'. */
#include "generator/word_list.h"

#include "generator/data.h"

#include <stdlib.h>

static const char *const kind_names[TS_KIND_COUNT] = {"verb", "noun", "adjective", "name", "function"};

static const char *const class_names[TS_KIND_COUNT][TS_MOST_CLASSES] = {
    {"move", "voice", "mind", "work", "play", "face", "rest", "hand", "mishap"},
    {"animal", "food", "toy", "tool", "clothing", "furniture", "vehicle", "place", "plant", "body", "nature", "person", "idea"},
    {"size", "color", "look", "touch", "state", "taste", "temper", "feeling", "weather", "way"},
    {"boy", "girl", "grown"},
    {"word"},
};

/* What plots ask for; words.txt tells what they mean. */
static const char *const tag_names[] = {
    "reach", "cross", "light", "warm",  "clean",  "mend",   "dig",  "tie",  "carry",  "loud", "shelter", "soft",  "cook",  "breaks", "flies",
    "made",  "wild",  "grows", "water", "high",   "inside", "dark", "on",   "at",     "big",  "tiny",    "wings", "sea",   "flower", "hide",
    "tall",  "sight", "sit",   "tell",  "event",  "ever",   "jump", "fast", "quiet",  "push", "good",    "bad",   "dirt",  "sun",    "rain",
    "wind",  "snow",  "cloud", "leafy", "mindly", "taught", "duty", "gift", "homely", "wear", "ridden",  "part",  "fixed", "headly", "falls",
};

/* Where the parser is. */
typedef struct reading {
    ts_word_list *vocabulary;
    const char *name;
    size_t line;
    int kind, class_; /* kind -1: before the first section */
    bool mass;
} reading;

int ts_class_find(uint32_t kind, const char *name, size_t size)
{
    for (int i = 0; i < TS_MOST_CLASSES && class_names[kind][i]; i++)
        if (strlen(class_names[kind][i]) == size && memcmp(class_names[kind][i], name, size) == 0)
            return i;
    return -1;
}

const char *ts_class_name(uint32_t kind, uint32_t number)
{
    return class_names[kind][number];
}

int ts_tag_find(const char *name, size_t size)
{
    for (size_t i = 0; i < TS_COUNT_OF(tag_names); i++)
        if (strlen(tag_names[i]) == size && memcmp(tag_names[i], name, size) == 0)
            return (int)i;
    return -1;
}

/* ---- strings ---- */

/* A copy in the pool, which was made large enough for every form that the file can give. */
static const char *keep(ts_word_list *vocabulary, const char *text, size_t size)
{
    char *copy = vocabulary->pool + vocabulary->pool_used;
    memcpy(copy, text, size);
    copy[size] = 0;
    vocabulary->pool_used += size + 1;
    return copy;
}

static ts_status add_form(ts_word_list *vocabulary, const char *form)
{
    TS_TRY(ts_reserve(vocabulary->runtime, &vocabulary->forms, &vocabulary->form_capacity, vocabulary->form_count + 1, sizeof *vocabulary->forms));
    vocabulary->forms[vocabulary->form_count++] = form;
    return TS_OK;
}

/* A form with "'s", in lower case. */
static ts_status add_possessive(ts_word_list *vocabulary, const char *base)
{
    char text[TS_MOST_FORM];
    size_t size = strlen(base);
    memcpy(text, base, size);
    memcpy(text + size, "'s", 2);
    text[0] = (char)(text[0] | 0x20);
    return add_form(vocabulary, keep(vocabulary, text, size + 2));
}

/* ---- one entry ---- */

static ts_status bad_word(const reading *at, const char *word, size_t size, const char *what)
{
    return ts_fail(TS_ERROR_FORMAT, "%s: line %zu: '%.*s': %s", at->name, at->line, (int)TS_MIN(size, (size_t)64), word, what);
}

static ts_status check_form(const reading *at, const char *form, size_t size)
{
    if (size == 0 || size > TS_MOST_FORM - 8)
        return bad_word(at, form, size, "a word has 1 to 40 letters");
    for (size_t i = 0; i < size; i++) {
        bool upper = form[i] >= 'A' && form[i] <= 'Z', lower = form[i] >= 'a' && form[i] <= 'z';
        bool expected = at->kind == TS_KIND_NAME && i == 0 ? upper : lower || (i > 0 && i + 1 < size && form[i] == '\'');
        if (!expected)
            return bad_word(at, form, size, at->kind == TS_KIND_NAME ? "a name is a capital and small letters" : "a word is of the letters a to z");
    }
    return TS_OK;
}

/* Adds the words of an object to the forms; "the_floor" becomes "the floor". */
static ts_status read_object(reading *at, ts_entry *word, const char *text, size_t size)
{
    if (at->kind != TS_KIND_VERB || size == 0)
        return bad_word(at, word->base, strlen(word->base), "only a verb has an object, which is not empty");
    char *object = (char *)keep(at->vocabulary, text, size);
    word->object = object;
    for (size_t i = 0, start = 0; i <= size; i++) {
        if (i < size && object[i] != '_')
            continue;
        if (i - start != 5 || memcmp(object + start, "[his]", 5) != 0) {
            TS_TRY(check_form(at, object + start, i - start));
            TS_TRY(add_form(at->vocabulary, keep(at->vocabulary, text + start, i - start)));
        }
        object[i] = i < size ? ' ' : 0;
        start = i + 1;
    }
    return TS_OK;
}

static ts_status add_forms(reading *at, ts_entry *word)
{
    char form[TS_MOST_FORM];
    if (at->kind == TS_KIND_NAME) {
        memcpy(form, word->base, strlen(word->base) + 1);
        form[0] = (char)(form[0] | 0x20);
        TS_TRY(add_form(at->vocabulary, keep(at->vocabulary, form, strlen(form))));
    } else
        TS_TRY(add_form(at->vocabulary, word->base));
    if (at->kind == TS_KIND_NAME || at->kind == TS_KIND_NOUN)
        TS_TRY(add_possessive(at->vocabulary, word->base));
    if (word->s)
        TS_TRY(add_form(at->vocabulary, word->s));
    if (word->past)
        TS_TRY(add_form(at->vocabulary, word->past));
    return word->ing ? add_form(at->vocabulary, word->ing) : TS_OK;
}

/* The tags of a word, "light,high". */
static ts_status read_tags(const reading *at, ts_entry *word, const char *text, size_t size)
{
    for (size_t i = 0; i <= size;) {
        const char *comma = memchr(text + i, ',', size - i);
        size_t length = comma ? (size_t)(comma - text) - i : size - i;
        int tag = ts_tag_find(text + i, length);
        if (tag < 0)
            return bad_word(at, text + i, length, "is no tag");
        word->tags |= (uint64_t)1 << tag;
        i += length + 1;
    }
    return TS_OK;
}

/* base/second/third:tags>object: second is a noun's plural or a verb's past, third a verb's -ing form. */
static ts_status read_word(reading *at, const char *text, size_t size)
{
    ts_word_list *vocabulary = at->vocabulary;
    const char *end = text + size, *object = memchr(text, '>', size), *tags_end = object ? object : end;
    const char *tags = memchr(text, ':', (size_t)(tags_end - text)), *forms_end = tags ? tags : tags_end;
    const char *parts[3] = {NULL};
    size_t count = 0;
    ts_entry word = {.kind = (uint8_t)at->kind, .class_ = (uint8_t)at->class_, .mass = at->mass};
    if (at->kind < 0)
        return bad_word(at, text, size, "comes before the first section, expected one such as [noun toy]");
    for (const char *part = text; part <= forms_end; count++) {
        const char *slash = memchr(part, '/', (size_t)(forms_end - part)), *stop = slash ? slash : forms_end;
        if (count == (at->kind == TS_KIND_VERB ? 3u : at->kind == TS_KIND_NOUN && !at->mass ? 2u : 1u))
            return bad_word(at, text, size, "has too many forms");
        TS_TRY(check_form(at, part, (size_t)(stop - part)));
        parts[count] = keep(vocabulary, part, (size_t)(stop - part));
        part = stop + 1;
    }
    word.base = parts[0];
    char form[TS_MOST_FORM];
    if (at->kind == TS_KIND_VERB || (at->kind == TS_KIND_NOUN && !at->mass)) {
        ts_inflect_s(form, word.base);
        word.s = at->kind == TS_KIND_NOUN && parts[1] ? parts[1] : keep(vocabulary, form, strlen(form));
    }
    if (at->kind == TS_KIND_VERB) {
        ts_inflect_past(form, word.base);
        word.past = parts[1] ? parts[1] : keep(vocabulary, form, strlen(form));
        ts_inflect_ing(form, word.base);
        word.ing = parts[2] ? parts[2] : keep(vocabulary, form, strlen(form));
    }
    if (tags)
        TS_TRY(read_tags(at, &word, tags + 1, (size_t)(tags_end - tags - 1)));
    if (object)
        TS_TRY(read_object(at, &word, object + 1, (size_t)(end - object - 1)));
    TS_TRY(add_forms(at, &word));
    for (size_t i = 0; i < vocabulary->word_count && at->kind != TS_KIND_FUNCTION; i++)
        if (vocabulary->words[i].kind == word.kind && strcmp(vocabulary->words[i].base, word.base) == 0)
            return bad_word(at, text, size, "is there twice");
    TS_TRY(ts_reserve(vocabulary->runtime, &vocabulary->words, &vocabulary->word_capacity, vocabulary->word_count + 1, sizeof *vocabulary->words));
    vocabulary->words[vocabulary->word_count++] = word;
    return TS_OK;
}

/* ---- the file ---- */

/* [kind class] or [noun class mass]; the text is without the brackets. */
static ts_status read_section(reading *at, const char *text, size_t size)
{
    const char *parts[3];
    size_t sizes[3], count = 0;
    for (size_t i = 0; i < size;) {
        while (i < size && text[i] == ' ')
            i++;
        size_t start = i;
        while (i < size && text[i] != ' ')
            i++;
        if (i == start)
            break;
        if (count == 3)
            return bad_word(at, text, size, "is no section, expected [kind class]");
        parts[count] = text + start;
        sizes[count++] = i - start;
    }
    at->kind = -1;
    for (int kind = 0; count > 0 && kind < TS_KIND_COUNT; kind++)
        if (strlen(kind_names[kind]) == sizes[0] && memcmp(kind_names[kind], parts[0], sizes[0]) == 0)
            at->kind = kind;
    if (at->kind < 0)
        return bad_word(at, text, size, "is no section, expected a verb, noun, adjective, name or function");
    at->class_ = at->kind == TS_KIND_FUNCTION && count == 1 ? 0 : count < 2 ? -1 : ts_class_find((uint32_t)at->kind, parts[1], sizes[1]);
    if (at->class_ < 0)
        return bad_word(at, text, size, "names no class that this kind of words has");
    at->mass = count == 3 && at->kind == TS_KIND_NOUN && sizes[2] == 4 && memcmp(parts[2], "mass", 4) == 0;
    if (count == 3 && !at->mass)
        return bad_word(at, text, size, "has a third word, expected only 'mass', of nouns");
    return TS_OK;
}

static ts_status read_line(reading *at, const char *text, size_t size)
{
    const char *comment = memchr(text, '#', size);
    if (comment)
        size = (size_t)(comment - text);
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t' || text[size - 1] == '\r'))
        size--;
    if (size > 0 && text[0] == '[') {
        if (text[size - 1] != ']')
            return bad_word(at, text, size, "is a section without its ']'");
        return read_section(at, text + 1, size - 2);
    }
    for (size_t i = 0; i < size;) {
        size_t start = i;
        while (i < size && text[i] != ' ' && text[i] != '\t')
            i++;
        if (i > start)
            TS_TRY(read_word(at, text + start, i - start));
        else
            i++;
    }
    return TS_OK;
}

static int compare_forms(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sections that lack words are told all at once. */
static ts_status check_sections(const ts_word_list *vocabulary, const char *name)
{
    ts_bytes lacking = {.runtime = vocabulary->runtime};
    ts_status status = TS_OK;
    for (uint32_t kind = 0; kind < TS_KIND_COUNT; kind++)
        for (uint32_t class_ = 0; class_ < TS_MOST_CLASSES && class_names[kind][class_] && status == TS_OK; class_++) {
            /* A friend is not called as the hero is; the plots bring the function words that they are told with. */
            size_t least = kind == TS_KIND_VERB || kind == TS_KIND_FUNCTION ? 0 : kind == TS_KIND_NAME ? 3 : 1;
            size_t count = vocabulary->class_start[kind][class_ + 1] - vocabulary->class_start[kind][class_];
            if (count < least)
                status = ts_bytes_format(&lacking, "%s[%s %s] has %zu of %zu", lacking.size > 0 ? ", " : "", kind_names[kind],
                                         class_names[kind][class_], count, least);
        }
    if (status == TS_OK && vocabulary->kind_start[TS_KIND_VERB] == vocabulary->kind_start[TS_KIND_VERB + 1])
        status = ts_bytes_format(&lacking, "%ssections such as [verb move] have 0 of 1", lacking.size > 0 ? ", " : "");
    if (status == TS_OK && lacking.size > 0)
        status = ts_fail(TS_ERROR_FORMAT, "%s: too few words: %s", name, lacking.data);
    ts_bytes_free(&lacking);
    return status;
}

static void sort_forms(ts_word_list *vocabulary);

/* Sorts the words by kind and class, keeping their order, and the forms. */
static ts_status arrange(ts_word_list *vocabulary, const char *name)
{
    ts_entry *sorted = ts_allocate_array(vocabulary->runtime, vocabulary->word_count, sizeof *sorted);
    if (!sorted)
        return TS_ERROR_OUT_OF_MEMORY;
    size_t at = 0;
    for (uint32_t kind = 0; kind < TS_KIND_COUNT; kind++) {
        vocabulary->kind_start[kind] = at;
        for (uint32_t class_ = 0; class_ < TS_MOST_CLASSES; class_++) {
            vocabulary->class_start[kind][class_] = at;
            for (size_t i = 0; i < vocabulary->word_count; i++)
                if (vocabulary->words[i].kind == kind && vocabulary->words[i].class_ == class_)
                    sorted[at++] = vocabulary->words[i];
        }
        vocabulary->class_start[kind][TS_MOST_CLASSES] = at;
    }
    vocabulary->kind_start[TS_KIND_COUNT] = at;
    ts_release(vocabulary->runtime, vocabulary->words);
    vocabulary->words = sorted;
    TS_TRY(check_sections(vocabulary, name));
    sort_forms(vocabulary);
    return TS_OK;
}

/* Sorts the forms, each once. */
static void sort_forms(ts_word_list *vocabulary)
{
    qsort(vocabulary->forms, vocabulary->form_count, sizeof *vocabulary->forms, compare_forms);
    size_t count = 0;
    for (size_t i = 0; i < vocabulary->form_count; i++)
        if (count == 0 || strcmp(vocabulary->forms[count - 1], vocabulary->forms[i]) != 0)
            vocabulary->forms[count++] = vocabulary->forms[i];
    vocabulary->form_count = count;
}

ts_status ts_word_list_add(ts_word_list *vocabulary, const char *words, size_t count)
{
    TS_TRY(
        ts_reserve(vocabulary->runtime, &vocabulary->forms, &vocabulary->form_capacity, vocabulary->form_count + count, sizeof *vocabulary->forms));
    for (size_t i = 0; i < count; i++) {
        vocabulary->forms[vocabulary->form_count++] = words;
        words += strlen(words) + 1;
    }
    sort_forms(vocabulary);
    return TS_OK;
}

static ts_status list_bases(ts_word_list *vocabulary)
{
    for (uint32_t kind = 0; kind < 3; kind++) {
        size_t start = vocabulary->kind_start[kind], count = vocabulary->kind_start[kind + 1] - start;
        vocabulary->bases[kind] = ts_allocate_array(vocabulary->runtime, count, sizeof *vocabulary->bases[kind]);
        if (!vocabulary->bases[kind])
            return TS_ERROR_OUT_OF_MEMORY;
        for (size_t i = 0; i < count; i++)
            vocabulary->bases[kind][i] = vocabulary->words[start + i].base;
    }
    return TS_OK;
}

static ts_status read_all(reading *at, const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        const char *end = memchr(text + i, '\n', size - i);
        size_t length = end ? (size_t)(end - text) - i : size - i;
        at->line++;
        TS_TRY(read_line(at, text + i, length));
        i += length + 1;
    }
    TS_TRY(arrange(at->vocabulary, at->name));
    return list_bases(at->vocabulary);
}

ts_status ts_word_list_read(ts_word_list *vocabulary, ts_runtime *runtime, const char *text, size_t size, const char *name)
{
    *vocabulary = (ts_word_list){.runtime = runtime};
    reading at = {.vocabulary = vocabulary, .name = name, .kind = -1};
    /* A word of n letters and its delimiter give at most six strings of n + 6 bytes. */
    if (!ts_multiply(size + 1, 24, &vocabulary->pool_size))
        return ts_fail(TS_ERROR_LIMIT, "%s: is too large", name);
    vocabulary->pool = ts_allocate(runtime, vocabulary->pool_size);
    ts_status status = vocabulary->pool ? read_all(&at, text, size) : TS_ERROR_OUT_OF_MEMORY;
    if (status != TS_OK)
        ts_word_list_free(vocabulary);
    return status;
}

ts_status ts_word_list_open(ts_word_list *vocabulary, ts_runtime *runtime)
{
    char *text;
    TS_TRY(ts_unpack(runtime, &ts_words_data, &text));
    ts_status status = ts_word_list_read(vocabulary, runtime, text, ts_words_data.size, "the built-in vocabulary");
    ts_release(runtime, text);
    return status;
}

void ts_word_list_free(ts_word_list *vocabulary)
{
    ts_release(vocabulary->runtime, vocabulary->pool);
    ts_release(vocabulary->runtime, vocabulary->words);
    ts_release(vocabulary->runtime, vocabulary->forms);
    for (int i = 0; i < 3; i++)
        ts_release(vocabulary->runtime, vocabulary->bases[i]);
    *vocabulary = (ts_word_list){0};
}

bool ts_word_list_has(const ts_word_list *vocabulary, const char *form, size_t size)
{
    size_t low = 0, high = vocabulary->form_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strncmp(vocabulary->forms[middle], form, size);
        if (order == 0 && vocabulary->forms[middle][size] == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Stories that do not fit what was asked: drawn words are looked for in all their forms, and a language is known by its commonest words. */
#include "generator/unfit.h"

#include "text/text.h"
#include "tinystories/generator.h"

enum {
    MOST_PARTS = 4,    /* of a drawn word */
    FEWEST_WORDS = 12, /* of a text whose language can be told */
    LEAST_SHARE =
        12, /* of so many words one at least is a common one: in real stories it is one of seven or more, in other languages' of forty or fewer */
    LONGEST_RUN = 50, /* words in a row without a common one: of 9,234 real stories one has more than 39, and counts to fifty there */
    OTHER_LETTERS = 8 /* that are not Latin: beyond a name or a sign */
};

#define FIRST_OTHER_LETTER 0x370 /* Greek; Latin letters are below */

/* ---- words ---- */

/* A token of a story in the form in which words are compared, without a possessive's end. */
typedef struct token {
    char text[TS_MOST_FORM];
    size_t size;
} token;

static void fold(token *t, const char *word, size_t size)
{
    t->size = ts_plain_word_fold(&word, &size, t->text, sizeof t->text - 1);
    if (t->size > 2 && memcmp(t->text + t->size - 2, "'s", 2) == 0)
        t->size -= 2;
    t->text[t->size] = 0;
}

static bool ends_with(const char *word, size_t size, const char *end)
{
    size_t length = strlen(end);
    return size > length && memcmp(word + size - length, end, length) == 0;
}

/* Whether `rest` is one of the endings, which a space divides. */
static bool is_ending(const char *rest, const char *endings)
{
    size_t length = strlen(rest);
    for (const char *at = endings; *at; at += strcspn(at, " "), at += *at == ' ')
        if (strcspn(at, " ") == length && memcmp(at, rest, length) == 0)
            return true;
    return false;
}

/* Of a word that ends so: what is cut off, whether the last letter of what is left is doubled, and what may follow. */
typedef struct inflection {
    const char *when;
    size_t cut;
    bool doubled;
    const char *endings;
} inflection;

static const inflection inflections[] = {
    {"", 0, false, "s es ed ing er est ly n en"}, /* cats, boxes, jumped, taller, sadly, known, eaten */
    {"e", 1, false, "ed ing er est en"},          /* baked, nicer, taken */
    {"e", 1, true, "en"},                         /* ridden, written */
    {"le", 1, false, "y"},                        /* gently */
    {"y", 1, false, "ies ied ier iest ily"},      /* berries, happily */
    {"ie", 2, false, "ying"},                     /* lying */
    {"f", 1, false, "ves"},                       /* leaves */
    {"fe", 2, false, "ves"},                      /* knives */
    {"", 0, true, "ed ing er est en"},            /* hopped, bigger, travelled */
};
/* And of a verb's past, for its participle: broken, hidden. */
static const inflection participles[] = {{"", 0, false, "n en"}, {"", 0, true, "en"}};

static bool is_inflected(const char *word, const token *t, const inflection *rules, size_t count)
{
    size_t size = strlen(word);
    for (size_t i = 0; i < count; i++) {
        const inflection *rule = &rules[i];
        size_t stem = size - TS_MIN(rule->cut, size), used = stem + rule->doubled;
        if (stem < 2 || !ends_with(word, size, rule->when) || t->size < used || memcmp(t->text, word, stem) != 0)
            continue;
        if ((!rule->doubled || t->text[stem] == word[stem - 1]) && is_ending(t->text + used, rule->endings))
            return true;
    }
    return false;
}

/* Participles that no rule makes of the word or its past. */
static const char *const irregular[][2] = {{"begin", "begun"}, {"bear", "born"}, {"bear", "borne"},    {"do", "done"},     {"drink", "drunk"},
                                           {"fly", "flown"},   {"go", "gone"},   {"lie", "lain"},      {"ring", "rung"},   {"shrink", "shrunk"},
                                           {"sing", "sung"},   {"sink", "sunk"}, {"spring", "sprung"}, {"swear", "sworn"}, {"swim", "swum"},
                                           {"tear", "torn"},   {"wear", "worn"}};

/* Whether a token is a form of the last part of a word. */
static bool is_form(const ts_entry *entry, const char *part, bool alone, const token *t)
{
    const char *const known[] = {part, alone ? entry->s : NULL, alone ? entry->past : NULL, alone ? entry->ing : NULL};
    for (size_t i = 0; i < TS_COUNT_OF(known); i++)
        if (known[i] && strcmp(known[i], t->text) == 0)
            return true;
    for (size_t i = 0; i < TS_COUNT_OF(irregular); i++)
        if (strcmp(irregular[i][0], part) == 0 && strcmp(irregular[i][1], t->text) == 0)
            return true;
    return is_inflected(part, t, inflections, TS_COUNT_OF(inflections)) ||
           (alone && entry->past && is_inflected(entry->past, t, participles, TS_COUNT_OF(participles)));
}

/* A drawn word in its parts: those of "ice-cream" stand behind one another in a story. */
typedef struct wanted {
    const ts_entry *entry;
    token parts[MOST_PARTS];
    size_t count;
    bool found;
} wanted;

static void take_apart(wanted *w, const ts_entry *entry)
{
    const char *text = entry->base, *part;
    size_t size = strlen(text), part_size;
    *w = (wanted){.entry = entry};
    while (w->count < MOST_PARTS && ts_plain_word(&text, &size, &part, &part_size))
        fold(&w->parts[w->count++], part, part_size);
}

/* Whether the last of these tokens, with those before it, is the word; the newest is last[at]. */
static bool is_here(const wanted *w, const token last[MOST_PARTS], size_t at)
{
    if (w->count == 0 || !is_form(w->entry, w->parts[w->count - 1].text, w->count == 1, &last[at]))
        return false;
    for (size_t back = 1; back < w->count; back++)
        if (strcmp(w->parts[w->count - 1 - back].text, last[(at + MOST_PARTS - back) % MOST_PARTS].text) != 0)
            return false;
    return true;
}

static bool has_words(const ts_drawn *drawn, const char *text, size_t size)
{
    wanted all[TS_DRAWN_COUNT];
    token last[MOST_PARTS] = {{"", 0}};
    const char *word;
    size_t word_size, at = 0;
    for (size_t i = 0; i < TS_DRAWN_COUNT; i++)
        take_apart(&all[i], drawn->words[i]);
    for (; ts_plain_word(&text, &size, &word, &word_size); at = (at + 1) % MOST_PARTS) {
        fold(&last[at], word, word_size);
        for (size_t i = 0; i < TS_DRAWN_COUNT; i++)
            all[i].found = all[i].found || is_here(&all[i], last, at);
    }
    for (size_t i = 0; i < TS_DRAWN_COUNT; i++)
        if (!all[i].found)
            return false;
    return true;
}

/* ---- language ---- */

/* Common words that no other language has that is written in Latin letters and that a service may fall into: "was", "in", "he", "so" are not among
 * them. */
static const char common[] =
    "the and to they it she her said with his you but had that very there were are when from this what him them would could did who "
    "your their then because";

static bool is_english(const char *text, size_t size)
{
    size_t words = 0, hits = 0, run = 0, longest = 0, others = 0, length;
    const char *word, *at = text;
    for (size_t left = size; left > 0; at += length, left -= length) {
        uint32_t code;
        length = ts_utf8_decode(at, left, &code);
        others += code >= FIRST_OTHER_LETTER && ts_unicode_class(code) == TS_CLASS_LETTER;
    }
    for (size_t word_size; ts_plain_word(&text, &size, &word, &word_size); words++) {
        token t;
        fold(&t, word, word_size);
        bool hit = is_ending(t.text, common);
        hits += hit;
        run = hit ? 0 : run + 1;
        longest = TS_MAX(longest, run);
    }
    return others < OTHER_LETTERS && (words < FEWEST_WORDS || (hits * LEAST_SHARE >= words && longest < LONGEST_RUN));
}

uint32_t ts_story_unfit(const ts_drawn *drawn, const char *text, size_t size)
{
    return (has_words(drawn, text, size) ? 0u : TS_UNFIT_WORDS) | (is_english(text, size) ? 0u : TS_UNFIT_LANGUAGE);
}

/* References of plots.txt: who and what the story speaks of, by name or pronoun as the discourse allows. */
#include "generator/author.h"

void ts_say_text(ts_telling *telling, const char *text, size_t size)
{
    if (size >= telling->capacity - telling->size) {
        telling->failed = true;
        return;
    }
    memcpy(telling->out + telling->size, text, size);
    telling->size += size;
}

static void say(ts_telling *telling, const char *text)
{
    ts_say_text(telling, text, strlen(text));
}

static bool is_text(const char *text, size_t size, const char *expected)
{
    return strlen(expected) == size && memcmp(text, expected, size) == 0;
}

static void note(ts_telling *telling, const ts_entry *word)
{
    for (int i = 0; i < 3; i++)
        telling->used[i] = telling->used[i] || telling->drawn[i] == word;
}

/* ---- words ---- */

static const ts_entry *any_of(ts_telling *telling, uint32_t kind, int class_)
{
    size_t start = telling->vocabulary->class_start[kind][class_], count = telling->vocabulary->class_start[kind][class_ + 1] - start;
    return &telling->vocabulary->words[start + ts_random_below(&telling->random, count)];
}

/* `form`: "a" with its article, "s" the plural, else bare. */
static void say_noun(ts_telling *telling, const ts_entry *word, const char *form, size_t size)
{
    if (is_text(form, size, "a"))
        say(telling, word->mass ? "some " : "a ");
    say(telling, is_text(form, size, "s") && word->s ? word->s : word->base);
    note(telling, word);
}

static void say_verb(ts_telling *telling, const char *form, size_t size)
{
    const ts_entry *word = telling->drawn[TS_DRAWN_VERB];
    say(telling, is_text(form, size, "past") ? word->past : is_text(form, size, "ing") ? word->ing : word->base);
    note(telling, word);
    if (!word->object)
        return;
    say(telling, " ");
    const char *his = strstr(word->object, "[his]");
    if (his) {
        ts_say_text(telling, word->object, (size_t)(his - word->object));
        say(telling, telling->actors[TS_ROLE_HERO].she ? "her" : "his");
        say(telling, his + 5);
    } else
        say(telling, word->object);
}

/* ---- actors ---- */

static void say_name(ts_telling *telling, int role)
{
    const ts_actor *actor = &telling->actors[role];
    if (!actor->name) {
        say(telling, "the ");
        say(telling, actor->word->base);
    } else
        say(telling, actor->name);
    if (actor->word)
        note(telling, actor->word);
    telling->focus[actor->she] = role;
    if (telling->subject != role)
        telling->subject = -1; /* somebody else was named: a pronoun would be unclear */
}

/* "a kind little girl named Lily", without the name. */
static void say_kind(ts_telling *telling, int role, bool article)
{
    const ts_actor *actor = &telling->actors[role];
    if (article)
        say(telling, "a ");
    if (role == TS_ROLE_HERO && telling->hero_adjective) {
        say(telling, telling->hero_adjective->base);
        say(telling, " ");
        note(telling, telling->hero_adjective);
    }
    if (role == TS_ROLE_HERO && ts_random_below(&telling->random, 2) && !(telling->hero_adjective && strcmp(telling->hero_adjective->base, "little") == 0))
        say(telling, "little ");
    say(telling, actor->word ? actor->word->base : actor->she ? "girl" : "boy");
    if (actor->word)
        note(telling, actor->word);
}

static bool starts_paragraph(const ts_telling *telling)
{
    size_t size = telling->size;
    while (size > 0 && (telling->out[size - 1] == ' ' || telling->out[size - 1] == '"'))
        size--;
    return size == 0 || telling->out[size - 1] == '\n';
}

static bool say_actor(ts_telling *telling, int role, const char *form, size_t size)
{
    static const char *const pronouns[][3] = {{"he", "he", "she"}, {"him", "him", "her"}, {"his", "his", "her"}, {"self", "himself", "herself"}};
    const ts_actor *actor = &telling->actors[role];
    bool clear = telling->focus[actor->she] == role;
    for (size_t i = 0; i < TS_COUNT_OF(pronouns); i++) {
        if (!is_text(form, size, pronouns[i][0]))
            continue;
        if (clear || i == 3)
            say(telling, pronouns[i][1 + actor->she]);
        else {
            say_name(telling, role);
            say(telling, i == 2 ? "'s" : "");
        }
        return true;
    }
    if (is_text(form, size, "a") || is_text(form, size, "kind")) {
        say_kind(telling, role, size == 1);
        telling->focus[actor->she] = role;
    } else if (size == 0 && clear && telling->subject == role && !starts_paragraph(telling) && ts_random_below(&telling->random, 3) > 0)
        say(telling, actor->she ? "she" : "he");
    else if (size == 0 || is_text(form, size, "n") || is_text(form, size, "poss")) {
        say_name(telling, role);
        say(telling, size == 4 ? "'s" : "");
    } else
        return false;
    if (size == 0)
        telling->subject = role;
    return true;
}

/* ---- things ---- */

static void say_thing(ts_telling *telling, const char *form, size_t size)
{
    bool article = is_text(form, size, "a"), adjective = article || is_text(form, size, "new");
    if (article)
        say(telling, "a ");
    else if (size == 0)
        say(telling, "the ");
    if (telling->thing_adjective && (adjective || (size == 0 && ts_random_below(&telling->random, 6) == 0))) {
        say(telling, telling->thing_adjective->base);
        say(telling, " ");
        note(telling, telling->thing_adjective);
    }
    say_noun(telling, telling->thing, is_text(form, size, "s") ? "s" : "", is_text(form, size, "s") ? 1 : 0);
}

bool ts_say(ts_telling *telling, const char *text, size_t size)
{
    static const char *const actors[TS_ACTORS] = {"hero", "friend", "grown", "animal", "person"};
    const char *dot = memchr(text, '.', size), *form = dot ? dot + 1 : text + size;
    size_t name = dot ? (size_t)(dot - text) : size, left = (size_t)(text + size - form);
    for (int i = 0; i < TS_ACTORS; i++)
        if (is_text(text, name, actors[i]))
            return say_actor(telling, i, form, left);
    const ts_entry *drawn_noun = telling->drawn[TS_DRAWN_NOUN];
    if (is_text(text, name, "thing"))
        say_thing(telling, form, left);
    else if (is_text(text, name, "place"))
        say_noun(telling, telling->place, form, left);
    else if (is_text(text, name, "food"))
        say_noun(telling, telling->food, form, left);
    else if (is_text(text, name, "noun"))
        say_noun(telling, drawn_noun, form, left);
    else if (is_text(text, name, "verb"))
        say_verb(telling, form, left);
    else if (is_text(text, name, "adj")) {
        say(telling, telling->drawn[TS_DRAWN_ADJECTIVE]->base);
        note(telling, telling->drawn[TS_DRAWN_ADJECTIVE]);
    } else if (is_text(text, name, "is")) {
        int class_ = ts_class_find(TS_KIND_ADJECTIVE, form, left);
        if (class_ < 0)
            return false;
        say(telling, any_of(telling, TS_KIND_ADJECTIVE, class_)->base);
    } else if (is_text(text, name, "any") || is_text(text, name, "all") || is_text(text, name, "one")) {
        int class_ = ts_class_find(TS_KIND_NOUN, form, left);
        if (class_ < 0)
            return false;
        say_noun(telling, any_of(telling, TS_KIND_NOUN, class_), is_text(text, name, "any") ? "a" : is_text(text, name, "one") ? "n" : "s", 1);
    } else
        return false;
    return true;
}

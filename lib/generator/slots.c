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
        telling->used[i] += telling->drawn[i] == word;
}

/* ---- words ---- */

/* A word said in passing: not one that was said so lately, nor one that plays a part. NULL if there is none. */
static const ts_entry *any_of(ts_telling *telling, const ts_part *part)
{
    const ts_entry *word = NULL;
    for (int tries = 0; tries < 8; tries++) {
        word = ts_draw_part(telling, part);
        bool known = word == telling->actors[TS_ROLE_HERO].word;
        for (size_t i = 0; i < TS_PART_COUNT; i++)
            known = known || word == telling->parts[i];
        for (size_t i = 0; i < TS_MIN(telling->recent_count, (size_t)TS_MOST_RECENT); i++)
            known = known || word == telling->recent[i];
        if (!known)
            break;
    }
    if (word)
        telling->recent[telling->recent_count++ % TS_MOST_RECENT] = word;
    return word;
}

/* `form`: "a" with its article, "s" the plural, "in" with the preposition of a place, else bare. */
static void say_noun(ts_telling *telling, const ts_entry *word, const char *form, size_t size)
{
    if (is_text(form, size, "a"))
        say(telling, word->mass ? "some " : "a ");
    if (is_text(form, size, "in"))
        say(telling, word->tags >> ts_tag_find("on", 2) & 1 ? "on the " : word->tags >> ts_tag_find("at", 2) & 1 ? "at the " : "in the ");
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
        say(telling, telling->actors[TS_ROLE_HERO].gender == TS_SHE ? "her" : "his");
        say(telling, his + 5);
    } else
        say(telling, word->object);
}

/* ---- actors ---- */

/* Whom a pronoun means from now on. `subject`: of this sentence. */
static void focus_on(ts_telling *telling, int role, bool subject)
{
    uint32_t gender = telling->actors[role].gender;
    if (telling->focus[gender] != role)
        telling->before[gender] = telling->focus[gender];
    telling->focus[gender] = role;
    telling->subject_at[gender] = subject ? telling->size : SIZE_MAX;
    telling->named |= 1u << role;
}

static void say_name(ts_telling *telling, int role, bool subject)
{
    const ts_actor *actor = &telling->actors[role];
    if (!actor->name) {
        say(telling, "the ");
        say(telling, actor->word->base);
        note(telling, actor->word);
    } else
        say(telling, actor->name);
    focus_on(telling, role, subject);
}

void ts_say_paragraph(ts_telling *telling)
{
    telling->named = 0;
}

/* "a kind little girl named Lily", without the name. */
static void say_kind(ts_telling *telling, int role, bool article)
{
    const ts_actor *actor = &telling->actors[role];
    const ts_entry *temper = role == TS_ROLE_HERO ? telling->parts[TS_PART_TEMPER] : NULL;
    if (article)
        say(telling, "a ");
    if (temper) {
        say(telling, temper->base);
        say(telling, " ");
        note(telling, temper);
    }
    if (role == TS_ROLE_HERO && ts_random_below(&telling->random, 2))
        say(telling, "little ");
    say(telling, actor->word ? actor->word->base : actor->gender == TS_SHE ? "girl" : "boy");
    if (actor->word)
        note(telling, actor->word);
}

static bool is_clear(const ts_telling *telling, int role)
{
    return telling->focus[telling->actors[role].gender] == role && telling->named >> role & 1;
}

/* In "the cup that Ann gave her" she is not Ann: whoever he or she meant before the subject of this sentence is clear as its object. */
static bool is_clear_object(const ts_telling *telling, int role)
{
    uint32_t gender = telling->actors[role].gender;
    size_t start = telling->size;
    while (start > 0 && !strchr(".!?\n", telling->out[start - 1]))
        start--;
    return is_clear(telling, role) || (gender != TS_IT && telling->before[gender] == role && telling->named >> role & 1 &&
                                       telling->subject_at[gender] != SIZE_MAX && telling->subject_at[gender] >= start);
}

/* A subject that is clear is most often a pronoun where it was the subject before, now and then where it was not and nobody else is meant by it. */
static bool takes_pronoun(ts_telling *telling, int role)
{
    int subject = telling->subject, before = telling->before[telling->actors[role].gender];
    if (!is_clear(telling, role) || subject < 0)
        return false;
    if (subject != role && (!telling->actors[subject].name || (before >= 0 && telling->named >> before & 1)))
        return false;
    return ts_random_below(&telling->random, 8) < (subject == role ? 7 : 2);
}

/* After a quote: who said it, in a word that fits how it ends. The sentence goes on: '~'. */
static void say_said(ts_telling *telling, int role)
{
    static const char *const words[][4] = {
        {"said", "said", "said", "answered"}, {"asked", "asked", "asked", "wanted to know"}, {"said", "cried", "called", "shouted"}};
    size_t size = telling->size;
    while (size > 0 && strchr(" \"~", telling->out[size - 1]))
        size--;
    char end = size > 0 ? telling->out[size - 1] : ',';
    const char *word = words[end == '?' ? 1 : end == '!' ? 2 : 0][ts_random_below(&telling->random, 4)];
    bool pronoun = is_clear(telling, role) && telling->subject == role && ts_random_below(&telling->random, 2) == 0;
    say(telling, "~");
    if (!pronoun && telling->actors[role].name && !strchr(word, ' ') && ts_random_below(&telling->random, 2)) {
        say(telling, word);
        say(telling, " ");
        say_name(telling, role, true);
    } else {
        if (pronoun)
            say(telling, telling->actors[role].gender == TS_HE ? "he" : telling->actors[role].gender == TS_SHE ? "she" : "it");
        else
            say_name(telling, role, true);
        say(telling, " ");
        say(telling, word);
    }
    telling->subject = role;
}

static bool say_actor(ts_telling *telling, int role, const char *form, size_t size)
{
    static const char *const pronouns[][1 + TS_GENDERS] = {
        {"he", "he", "she", "it"}, {"him", "him", "her", "it"}, {"his", "his", "her", "its"}, {"self", "himself", "herself", "itself"}};
    const ts_actor *actor = &telling->actors[role];
    for (size_t i = 0; i < TS_COUNT_OF(pronouns); i++) {
        if (!is_text(form, size, pronouns[i][0]))
            continue;
        if (i == 3 || (i == 1 ? is_clear_object(telling, role) : is_clear(telling, role)))
            say(telling, pronouns[i][1 + actor->gender]);
        else {
            say_name(telling, role, i == 0);
            say(telling, i == 2 ? "'s" : "");
        }
        return true;
    }
    if (is_text(form, size, "said")) {
        say_said(telling, role);
        return true;
    }
    if (is_text(form, size, "a") || is_text(form, size, "kind")) {
        say_kind(telling, role, size == 1);
        focus_on(telling, role, false);
    } else if (size == 0 && takes_pronoun(telling, role))
        say(telling, pronouns[0][1 + actor->gender]);
    else if (size == 0 || is_text(form, size, "n"))
        say_name(telling, role, size == 0);
    else if (is_text(form, size, "s") && actor->word)
        say_noun(telling, actor->word, form, size);
    else
        return false;
    if (size == 0)
        telling->subject = role;
    return true;
}

/* ---- things ---- */

/* "thing": the red ball (now and then with its adjective); "thing.a": a red ball; "thing.n" and "thing.s": ball, balls. */
static void say_thing(ts_telling *telling, const char *form, size_t size)
{
    bool article = is_text(form, size, "a"), adjective = article || is_text(form, size, "new");
    if (article)
        say(telling, "a ");
    else if (size == 0)
        say(telling, "the ");
    if (telling->thing_adjective && (adjective || (size == 0 && ts_random_below(&telling->random, 8) == 0))) {
        say(telling, telling->thing_adjective->base);
        say(telling, " ");
        note(telling, telling->thing_adjective);
    }
    say_noun(telling, telling->parts[TS_PART_THING], is_text(form, size, "s") ? "s" : "", is_text(form, size, "s") ? 1 : 0);
}

static const char *const actor_names[TS_ACTORS] = {"hero", "friend", "grown", "animal", "person"};
static const char *const part_names[] = {"thing", "tool", "place", "food"}; /* TS_PART_THING and on */

/* "any.food" a pear, "all.food" pears, "one.food" pear; "is.color" red. After a ':' a tag that the word must have or, after '!', must not:
 * any.plant:flower. */
static bool say_any(ts_telling *telling, const char *what, const char *form, size_t size)
{
    static const struct {
        const char *what, *form;
    } forms[] = {{"any", "a"}, {"all", "s"}, {"one", ""}};
    const char *colon = memchr(form, ':', size);
    size_t name = colon ? (size_t)(colon - form) : size;
    size_t negated = colon && colon + 1 < form + size && colon[1] == '!';
    int tag = colon ? ts_tag_find(colon + 1 + negated, size - name - 1 - negated) : -1;
    uint32_t kind = *what == 'i' ? TS_KIND_ADJECTIVE : TS_KIND_NOUN;
    int class_ = ts_class_find(kind, form, name);
    if (class_ < 0 || (colon && tag < 0))
        return false;
    ts_part part = {.kind = kind, .classes = 1u << class_, .counted = *what == 'o'};
    *(negated ? &part.none : &part.any) = tag < 0 ? 0 : (uint64_t)1 << tag;
    const ts_entry *word = any_of(telling, &part);
    if (!word) { /* a vocabulary of the user's may lack the tag */
        part = (ts_part){.kind = kind, .classes = 1u << class_};
        word = any_of(telling, &part);
    }
    if (is_text(form, name, "person")) /* a stranger: "he" would not be clear */
        telling->subject = -1;
    if (kind == TS_KIND_ADJECTIVE)
        say(telling, word->base);
    else
        for (size_t i = 0; i < TS_COUNT_OF(forms); i++)
            if (memcmp(what, forms[i].what, 3) == 0)
                say_noun(telling, word, forms[i].form, strlen(forms[i].form));
    return true;
}

bool ts_say(ts_telling *telling, const char *text, size_t size)
{
    const char *dot = memchr(text, '.', size), *form = dot ? dot + 1 : text + size;
    size_t name = dot ? (size_t)(dot - text) : size, left = (size_t)(text + size - form);
    for (int i = 0; i < TS_ACTORS; i++)
        if (is_text(text, name, actor_names[i]))
            return say_actor(telling, i, form, left);
    if (is_text(text, name, "thing"))
        say_thing(telling, form, left);
    else if (is_text(text, name, "noun"))
        say_noun(telling, telling->drawn[TS_DRAWN_NOUN], form, left);
    else if (is_text(text, name, "verb"))
        say_verb(telling, form, left);
    else if (is_text(text, name, "adj")) {
        say(telling, telling->drawn[TS_DRAWN_ADJECTIVE]->base);
        note(telling, telling->drawn[TS_DRAWN_ADJECTIVE]);
    } else if (is_text(text, name, "weather")) {
        say(telling, telling->parts[TS_PART_WEATHER]->base);
        note(telling, telling->parts[TS_PART_WEATHER]);
    } else if (is_text(text, name, "is") || is_text(text, name, "any") || is_text(text, name, "all") || is_text(text, name, "one"))
        return say_any(telling, text, form, left);
    else {
        for (uint32_t i = TS_PART_TOOL; i < TS_COUNT_OF(part_names); i++)
            if (is_text(text, name, part_names[i])) {
                say_noun(telling, telling->parts[i], form, left);
                return true;
            }
        return false;
    }
    return true;
}

uint32_t ts_mention(const char *text, size_t size)
{
    static const char *const words[] = {"verb", "noun", "adj", "weather"};
    const char *dot = memchr(text, '.', size);
    size_t name = dot ? (size_t)(dot - text) : size;
    for (uint32_t i = 0; i < TS_COUNT_OF(words); i++)
        if (is_text(text, name, words[i]))
            return i;
    for (uint32_t i = 0; i < TS_COUNT_OF(part_names); i++)
        if (is_text(text, name, part_names[i]))
            return TS_MENTION_PART + i;
    for (uint32_t i = 0; i < TS_ACTORS; i++)
        if (is_text(text, name, actor_names[i])) /* the hero has a name: only "a kind owl" tells what the hero is */
            return i == TS_ROLE_HERO && !is_text(text, size, "hero.a") && !is_text(text, size, "hero.kind") ? TS_MENTION_COUNT : TS_MENTION_ACTOR + i;
    return TS_MENTION_COUNT;
}

uint32_t ts_wanted(const ts_telling *telling)
{
    const ts_entry *noun = telling->used[TS_DRAWN_NOUN] ? NULL : telling->drawn[TS_DRAWN_NOUN];
    const ts_entry *adjective = telling->used[TS_DRAWN_ADJECTIVE] ? NULL : telling->drawn[TS_DRAWN_ADJECTIVE];
    uint32_t wanted = (uint32_t)!telling->used[TS_DRAWN_VERB] << TS_MENTION_VERB;
    if (noun) {
        wanted |= (uint32_t)!telling->noun_has_part << TS_MENTION_NOUN;
        for (uint32_t i = 0; i < TS_COUNT_OF(part_names); i++)
            wanted |= (uint32_t)(telling->parts[i] == noun) << (TS_MENTION_PART + i);
        for (uint32_t i = 0; i < TS_ACTORS; i++)
            wanted |= (uint32_t)(telling->actors[i].word == noun) << (TS_MENTION_ACTOR + i);
    }
    if (adjective) {
        wanted |= 1u << TS_MENTION_ADJECTIVE;
        wanted |= (uint32_t)(telling->parts[TS_PART_WEATHER] == adjective) << TS_MENTION_WEATHER;
        wanted |= (uint32_t)(telling->parts[TS_PART_TEMPER] == adjective) << (TS_MENTION_ACTOR + TS_ROLE_HERO);
        wanted |= (uint32_t)(telling->thing_adjective == adjective) << TS_MENTION_PART;
    }
    return wanted;
}

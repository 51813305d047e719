/* Casting: a plot, and people, places and things whose tags fit what it asks for. The drawn words take parts where they fit. */
#include "generator/author.h"

static const struct {
    uint32_t kind;
    const char *class_;
} part_defaults[TS_PART_COUNT] = {
    [TS_PART_THING] = {TS_KIND_NOUN, "toy"},          [TS_PART_TOOL] = {TS_KIND_NOUN, "tool"},
    [TS_PART_PLACE] = {TS_KIND_NOUN, "place"},        [TS_PART_FOOD] = {TS_KIND_NOUN, "food"},
    [TS_PART_ANIMAL] = {TS_KIND_NOUN, "animal"},      [TS_PART_PERSON] = {TS_KIND_NOUN, "person"},
    [TS_PART_TEMPER] = {TS_KIND_ADJECTIVE, "temper"}, [TS_PART_WEATHER] = {TS_KIND_ADJECTIVE, "weather"},
};

bool ts_part_fits(const ts_part *part, const ts_entry *word)
{
    return word->kind == part->kind && part->classes >> word->class_ & 1 && (word->tags & part->all) == part->all &&
           (!part->any || word->tags & part->any) && !(word->tags & part->none) && !(part->counted && word->mass);
}

const ts_entry *ts_draw_part(ts_telling *telling, const ts_part *part)
{
    const ts_word_list *vocabulary = telling->vocabulary;
    if (!part->classes)
        return NULL;
    const size_t *starts = vocabulary->class_start[part->kind];
    size_t start = starts[__builtin_ctz(part->classes)], end = starts[32 - __builtin_clz(part->classes)], count = 0;
    for (size_t i = start; i < end; i++)
        count += ts_part_fits(part, &vocabulary->words[i]);
    if (count == 0)
        return NULL;
    size_t left = (size_t)ts_random_below(&telling->random, count);
    for (size_t i = start;; i++)
        if (ts_part_fits(part, &vocabulary->words[i]) && left-- == 0)
            return &vocabulary->words[i];
}

static ts_part part_of(uint32_t kind, const char *class_)
{
    return (ts_part){.kind = kind, .classes = 1u << ts_class_find(kind, class_, strlen(class_))};
}

/* A name: the first of the list are drawn the most, as some names are common. A small model then learns sooner who is who. */
static const char *name_of(ts_telling *telling, uint32_t gender)
{
    const ts_word_list *vocabulary = telling->vocabulary;
    int class_ = ts_class_find(TS_KIND_NAME, gender == TS_SHE ? "girl" : "boy", gender == TS_SHE ? 4 : 3);
    size_t start = vocabulary->class_start[TS_KIND_NAME][class_], count = vocabulary->class_start[TS_KIND_NAME][class_ + 1] - start;
    uint64_t one = ts_random_below(&telling->random, count), other = ts_random_below(&telling->random, count) + 1;
    return vocabulary->words[start + (size_t)(one * other / count)].base;
}

static uint32_t gender_of(const ts_entry *name)
{
    return name->class_ == ts_class_find(TS_KIND_NAME, "girl", 4) ? TS_SHE : TS_HE;
}

static const char *name_for(ts_telling *telling, uint32_t role)
{
    return telling->names[role] ? telling->names[role]->base : name_of(telling, telling->actors[role].gender);
}

/* What the plot asks of a part; without a wish any word of the usual class. */
static ts_part asked_of(const ts_phrase *plot, uint32_t number)
{
    return plot->parts[number].classes ? plot->parts[number] : part_of(part_defaults[number].kind, part_defaults[number].class_);
}

/* A drawn word plays a part that the plot surely speaks of; else any word that fits plays it. */
static void cast_part(ts_telling *telling, uint32_t number)
{
    ts_part part = asked_of(telling->plot, number);
    const ts_entry *drawn = telling->drawn[part.kind == TS_KIND_NOUN ? TS_DRAWN_NOUN : TS_DRAWN_ADJECTIVE];
    bool taken = false, counted = number == TS_PART_THING || number == TS_PART_FOOD; /* plots speak of many of these */
    for (uint32_t i = 0; i < number; i++)
        taken = taken || telling->parts[i] == drawn;
    uint32_t asked = telling->plot->asked | 1u << TS_PART_WEATHER; /* the opening speaks of it */
    if (asked >> number & 1 && !taken && ts_part_fits(&part, drawn) && !(counted && drawn->mass)) {
        telling->parts[number] = drawn;
        return;
    }
    do
        telling->parts[number] = ts_draw_part(telling, &part);
    while (counted && telling->parts[number] && telling->parts[number]->mass);
}

/* The hero is a child or an animal with a name; the friend is a child. Their names differ. */
static void cast_actors(ts_telling *telling)
{
    ts_actor *hero = &telling->actors[TS_ROLE_HERO], *friend_ = &telling->actors[TS_ROLE_FRIEND], *grown = &telling->actors[TS_ROLE_GROWN];
    ts_part animals = part_of(TS_KIND_NOUN, "animal"), grown_ups = part_of(TS_KIND_NAME, "grown");
    const ts_entry *noun = telling->drawn[TS_DRAWN_NOUN];
    for (int i = 0; i < TS_ACTORS; i++)
        telling->actors[i] = (ts_actor){.gender = (uint32_t)ts_random_below(&telling->random, 2)};
    if (telling->names[TS_ROLE_HERO])
        hero->gender = gender_of(telling->names[TS_ROLE_HERO]);
    if (ts_random_below(&telling->random, 2)) /* most pairs are a boy and a girl: then he and she are clear */
        friend_->gender = hero->gender == TS_SHE ? TS_HE : TS_SHE;
    if (telling->names[TS_ROLE_FRIEND])
        friend_->gender = gender_of(telling->names[TS_ROLE_FRIEND]);
    do
        hero->name = name_for(telling, TS_ROLE_HERO);
    while (telling->names[TS_ROLE_FRIEND] && strcmp(hero->name, telling->names[TS_ROLE_FRIEND]->base) == 0);
    do
        friend_->name = name_for(telling, TS_ROLE_FRIEND);
    while (strcmp(friend_->name, hero->name) == 0);
    animals.none = (uint64_t)1 << ts_tag_find("sea", 3) | (uint64_t)1 << ts_tag_find("tiny", 4); /* they walk, and have arms or the like */
    bool drawn = ts_part_fits(&animals, noun) && !(telling->plot->asked >> TS_PART_ANIMAL & 1);
    if (!telling->plot->child && ts_random_below(&telling->random, drawn ? 2 : 6) == 0)
        hero->word = drawn ? noun : ts_draw_part(telling, &animals);
    grown->name = ts_draw_part(telling, &grown_ups)->base;
    grown->gender = strstr(grown->name, "ma") || strcmp(grown->name, "Mom") == 0;
    telling->actors[TS_ROLE_PERSON].word = telling->parts[TS_PART_PERSON];
    telling->actors[TS_ROLE_ANIMAL].word = telling->parts[TS_PART_ANIMAL];
    telling->actors[TS_ROLE_ANIMAL].gender = TS_IT;
}

/* A drawn adjective that a thing can have is the thing's. */
static void cast_adjectives(ts_telling *telling)
{
    static const char *const of_things[] = {"size", "color", "look"};
    const ts_entry *adjective = telling->drawn[TS_DRAWN_ADJECTIVE];
    ts_part kinds = {.kind = TS_KIND_ADJECTIVE};
    for (size_t i = 0; i < TS_COUNT_OF(of_things); i++)
        kinds.classes |= part_of(TS_KIND_ADJECTIVE, of_things[i]).classes;
    bool thing = telling->plot->asked >> TS_PART_THING & 1;
    telling->thing_adjective = thing && ts_part_fits(&kinds, adjective)   ? adjective
                               : ts_random_below(&telling->random, 4) > 0 ? ts_draw_part(telling, &kinds)
                                                                          : NULL;
    bool asked = telling->plot->asked >> TS_PART_TEMPER & 1;
    if (!asked && telling->parts[TS_PART_TEMPER] != adjective && ts_random_below(&telling->random, 3) > 0)
        telling->parts[TS_PART_TEMPER] = NULL;
}

void ts_cast(ts_telling *telling)
{
    for (uint32_t i = 0; i < TS_PART_COUNT; i++)
        cast_part(telling, i);
    cast_actors(telling);
    cast_adjectives(telling);
    const ts_entry *noun = telling->drawn[TS_DRAWN_NOUN];
    telling->noun_has_part = telling->actors[TS_ROLE_HERO].word == noun;
    for (uint32_t i = 0; i < TS_PART_COUNT; i++)
        telling->noun_has_part = telling->noun_has_part || (telling->parts[i] == noun && telling->plot->asked >> i & 1);
    for (int i = 0; i < 2; i++)
        telling->dice[i] = (uint32_t)ts_random_below(&telling->random, 8);
}

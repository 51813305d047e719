/* The author: draws words and features, casts a plot that they fit, tells it, and keeps only a story that has used what was drawn. */
#include "generator/author.h"

#include "tinystories/generator.h"

#define MOST_ATTEMPTS 64
#define ATTEMPTS_WITH_PARTS 24 /* after these the drawn words get sentences of their own, whatever the plot does with them */

static const ts_entry *draw(ts_telling *telling, uint32_t kind)
{
    size_t start = telling->vocabulary->kind_start[kind], count = telling->vocabulary->kind_start[kind + 1] - start;
    return &telling->vocabulary->words[start + ts_random_below(&telling->random, count)];
}

static const ts_entry *draw_class(ts_telling *telling, uint32_t kind, const char *name)
{
    int class_ = ts_class_find(kind, name, strlen(name));
    size_t start = telling->vocabulary->class_start[kind][class_], count = telling->vocabulary->class_start[kind][class_ + 1] - start;
    return &telling->vocabulary->words[start + ts_random_below(&telling->random, count)];
}

static bool is_class(const ts_entry *word, const char *name)
{
    return strcmp(ts_class_name(word->kind, word->class_), name) == 0;
}

/* 0 to 3 (all counts alike), then as many different ones of those that are allowed. */
static uint32_t draw_features(ts_random *random, uint32_t allowed)
{
    uint32_t count = (uint32_t)ts_random_below(random, 4), features = 0, left = (uint32_t)__builtin_popcount(allowed);
    for (count = TS_MIN(count, left); count > 0; count--, left--) {
        uint32_t skip = (uint32_t)ts_random_below(random, left), bits = allowed & ~features;
        for (; skip > 0; skip--)
            bits &= bits - 1;
        features |= bits & -bits;
    }
    return features;
}

/* ---- casting ---- */

static const char *name_of(ts_telling *telling, bool she)
{
    return draw_class(telling, TS_KIND_NAME, she ? "girl" : "boy")->base;
}

/* The hero is a child or an animal with a name; the friend is a child or an animal like it. Their names differ. */
static void cast_actors(ts_telling *telling)
{
    const ts_entry *noun = telling->drawn[TS_DRAWN_NOUN];
    ts_actor *hero = &telling->actors[TS_ROLE_HERO], *friend_ = &telling->actors[TS_ROLE_FRIEND];
    for (int i = 0; i < TS_ACTORS; i++)
        telling->actors[i] = (ts_actor){.she = ts_random_below(&telling->random, 2) != 0};
    hero->name = name_of(telling, hero->she);
    do
        friend_->name = name_of(telling, friend_->she);
    while (strcmp(friend_->name, hero->name) == 0);
    if (!telling->plot->child && ts_random_below(&telling->random, 4) == 0)
        hero->word = is_class(noun, "animal") ? noun : draw_class(telling, TS_KIND_NOUN, "animal");
    if (hero->word == noun)
        telling->placed[TS_DRAWN_NOUN] = true;
    ts_actor *grown = &telling->actors[TS_ROLE_GROWN];
    grown->name = draw_class(telling, TS_KIND_NAME, "grown")->base;
    grown->she = strstr(grown->name, "ma") || strcmp(grown->name, "Mom") == 0;
    telling->actors[TS_ROLE_PERSON].word = draw_class(telling, TS_KIND_NOUN, "person");
    do
        telling->actors[TS_ROLE_ANIMAL].word = draw_class(telling, TS_KIND_NOUN, "animal");
    while (telling->actors[TS_ROLE_ANIMAL].word == hero->word && telling->vocabulary->class_start[TS_KIND_NOUN][1] > 1 + telling->vocabulary->kind_start[TS_KIND_NOUN]);
}

/* Gives the drawn noun its part, if the plot has one for it. */
static void place_noun(ts_telling *telling)
{
    const ts_entry *noun = telling->drawn[TS_DRAWN_NOUN];
    uint32_t roles = telling->plot->roles;
    bool *placed = &telling->placed[TS_DRAWN_NOUN];
    if (*placed)
        return;
    if (telling->plot->things >> noun->class_ & 1 && !noun->mass) {
        telling->thing = noun;
        *placed = true;
    } else if (roles >> TS_ROLE_ANIMAL & 1 && is_class(noun, "animal")) {
        telling->actors[TS_ROLE_ANIMAL].word = noun;
        *placed = true;
    } else if (roles >> TS_ROLE_PERSON & 1 && is_class(noun, "person")) {
        telling->actors[TS_ROLE_PERSON].word = noun;
        *placed = true;
    } else if (roles >> TS_ROLE_PLACE & 1 && is_class(noun, "place")) {
        telling->place = noun;
        *placed = true;
    } else if (roles >> TS_ROLE_FOOD & 1 && is_class(noun, "food")) {
        telling->food = noun;
        *placed = true;
    }
}

/* A thing of a class that the plot takes; each class has one at least, of which some may not be counted. */
static const ts_entry *draw_thing(ts_telling *telling)
{
    for (;;) {
        uint32_t class_ = (uint32_t)ts_random_below(&telling->random, TS_MOST_CLASSES);
        if (telling->plot->things >> class_ & 1)
            return draw_class(telling, TS_KIND_NOUN, ts_class_name(TS_KIND_NOUN, class_));
    }
}

static void place_adjective(ts_telling *telling)
{
    static const char *const of_things[] = {"size", "color", "look"};
    const ts_entry *adjective = telling->drawn[TS_DRAWN_ADJECTIVE];
    if (is_class(adjective, "temper")) {
        telling->hero_adjective = adjective;
        telling->placed[TS_DRAWN_ADJECTIVE] = true;
    } else if (ts_random_below(&telling->random, 3) == 0)
        telling->hero_adjective = draw_class(telling, TS_KIND_ADJECTIVE, "temper");
    const char *chosen = of_things[ts_random_below(&telling->random, 3)];
    bool fits = false;
    for (size_t i = 0; i < TS_COUNT_OF(of_things); i++)
        fits = fits || is_class(adjective, of_things[i]);
    telling->thing_adjective = ts_random_below(&telling->random, 4) > 0 ? draw_class(telling, TS_KIND_ADJECTIVE, chosen) : NULL;
    if (fits && telling->plot->things) {
        telling->thing_adjective = adjective;
        telling->placed[TS_DRAWN_ADJECTIVE] = true;
    }
}

static void cast(ts_telling *telling, uint32_t attempt)
{
    const ts_grammar *grammar = telling->grammar;
    telling->plot = &grammar->phrases[grammar->plots[ts_random_below(&telling->random, grammar->plot_count)]];
    cast_actors(telling);
    telling->thing = telling->plot->things ? draw_thing(telling) : NULL;
    telling->place = draw_class(telling, TS_KIND_NOUN, "place");
    telling->food = draw_class(telling, TS_KIND_NOUN, "food");
    place_noun(telling);
    place_adjective(telling);
    for (int i = 0; i < 2; i++)
        telling->dice[i] = (uint32_t)ts_random_below(&telling->random, 4);
    telling->focus[0] = telling->focus[1] = telling->subject = -1;
    if (attempt >= ATTEMPTS_WITH_PARTS)
        memset(telling->placed, 0, sizeof telling->placed);
}

/* ---- telling ---- */

/* Tells lines [first, count) of the plot, each a paragraph. */
static size_t tell_lines(ts_telling *telling, size_t first, size_t count, char *raw, size_t raw_size, char *out, size_t capacity)
{
    telling->out = raw;
    telling->size = 0;
    telling->capacity = raw_size;
    for (size_t i = first; i < count; i++) {
        const ts_line *line = &telling->grammar->lines[telling->plot->first + i];
        ts_tell(telling, line->text, line->size, 0);
        ts_say_text(telling, "\n\n", 2);
    }
    return telling->failed ? 0 : ts_polish(out, capacity, raw, telling->size);
}

ts_status ts_author_write(ts_draft *draft, const ts_word_list *vocabulary, const ts_grammar *grammar, uint64_t seed, uint64_t index, uint32_t allowed)
{
    ts_telling start = {.vocabulary = vocabulary, .grammar = grammar, .random = {seed, index, 0}};
    for (uint32_t kind = 0; kind < 3; kind++)
        draft->drawn[kind] = start.drawn[kind] = draw(&start, kind);
    draft->features = start.features = draw_features(&start.random, allowed);
    for (uint32_t attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
        ts_telling telling = start;
        telling.random.counter = (uint64_t)(attempt + 1) << 20;
        cast(&telling, attempt);
        draft->story_size = tell_lines(&telling, 1, telling.plot->count, draft->raw, sizeof draft->raw, draft->story, sizeof draft->story);
        bool all = telling.used[0] && telling.used[1] && telling.used[2];
        telling.focus[0] = telling.focus[1] = telling.subject = -1;
        draft->summary_size = tell_lines(&telling, 0, 1, draft->raw, sizeof draft->raw, draft->summary, sizeof draft->summary);
        if (telling.failed)
            return ts_fail(TS_ERROR_LIMIT, "story %llu: the plot '%.*s' is too long or refers to nothing", (unsigned long long)index,
                           (int)telling.plot->name_size, telling.plot->name);
        if (all && draft->story_size > 0 && draft->summary_size > 0)
            return TS_OK;
    }
    return ts_fail(TS_ERROR_LIMIT, "story %llu: no plot uses '%s', '%s' and '%s'", (unsigned long long)index, start.drawn[0]->base, start.drawn[1]->base,
                   start.drawn[2]->base);
}

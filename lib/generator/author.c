/* The author: draws words and features, casts a plot that they fit, tells it, and keeps only a story that has used all that was drawn. */
#include "generator/author.h"

#include "tinystories/generator.h"

#define MOST_ATTEMPTS 256
#define MOST_SENTENCES 128     /* that are compared with each other */
#define LEAST_SENTENCE 12      /* bytes of a sentence that is not to be said twice */
#define ATTEMPTS_WITH_PLOT 4   /* before another plot is tried */
#define ATTEMPTS_WITH_PARTS 48 /* after these the drawn words may get sentences of their own */

/* Tells lines [first, count) of the plot, each a paragraph, into the draft's raw text. */
static void tell_lines(ts_telling *telling, size_t first, size_t count, ts_draft *draft)
{
    telling->out = draft->raw;
    telling->size = 0;
    telling->capacity = sizeof draft->raw;
    telling->subject = -1;
    for (int i = 0; i < TS_GENDERS; i++)
        telling->focus[i] = telling->before[i] = -1;
    for (size_t i = first; i < count; i++) {
        const ts_line *line = &telling->grammar->lines[telling->plot->first + i];
        ts_say_paragraph(telling);
        ts_tell(telling, line->text, line->size, 0);
        ts_say_text(telling, "\n\n", 2);
    }
}

static bool says_all(const ts_telling *telling)
{
    return telling->used[0] && telling->used[1] && telling->used[2] && telling->told == telling->features;
}

static bool ends_sentence(const char *text, size_t i)
{
    return strchr(".!?", text[i]) && (text[i + 1] == 0 || strchr(" \n", text[i + 1]));
}

/* Whether a sentence, which is more than a word or two, stands there twice. `text` ends with a NUL. */
static bool says_twice(const char *text, size_t size)
{
    uint64_t seen[MOST_SENTENCES];
    size_t count = 0, start = 0;
    for (size_t i = 0; i < size && count < MOST_SENTENCES; i++) {
        if (!ends_sentence(text, i))
            continue;
        while (start < i && strchr(" \n", text[start]))
            start++;
        if (i - start >= LEAST_SENTENCE) {
            seen[count] = ts_hash(text + start, i - start, 0);
            for (size_t k = 0; k < count; k++)
                if (seen[k] == seen[count])
                    return true;
            count++;
        }
        start = i + 1;
    }
    return false;
}

/* A plot is tried several times: else those that take in many words would be told the most. Its numbers are apart from those of attempts. */
static const ts_phrase *plot_of(const ts_grammar *grammar, uint64_t seed, uint64_t index, uint32_t attempt)
{
    ts_random random = {seed, index, (uint64_t)(attempt / ATTEMPTS_WITH_PLOT + 1) << 40};
    return &grammar->phrases[grammar->plots[ts_random_below(&random, grammar->plot_count)]];
}

ts_status ts_author_write(ts_draft *draft, const ts_word_list *vocabulary, const ts_grammar *grammar, uint64_t seed, uint64_t index, uint32_t allowed,
                          const ts_entry *const names[2])
{
    ts_telling start = {.vocabulary = vocabulary, .grammar = grammar, .random = {seed, index, 0}, .names = names};
    ts_drawn drawn;
    ts_draw(&drawn, vocabulary, seed, index, allowed);
    for (uint32_t kind = 0; kind < TS_DRAWN_COUNT; kind++)
        draft->drawn[kind] = start.drawn[kind] = drawn.words[kind];
    draft->features = start.features = drawn.features;
    for (uint32_t attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
        ts_telling telling = start;
        telling.random.counter = (uint64_t)(attempt + 1) << 20;
        telling.plot = plot_of(grammar, seed, index, attempt);
        telling.fallback = attempt >= ATTEMPTS_WITH_PARTS;
        ts_cast(&telling);
        tell_lines(&telling, 1, telling.plot->count, draft);
        if (!telling.failed) {
            if (!says_all(&telling))
                continue;
            draft->story_size = ts_polish(draft->story, sizeof draft->story, draft->raw, telling.size);
            if (says_twice(draft->story, draft->story_size))
                continue;
            tell_lines(&telling, 0, 1, draft);
            draft->summary_size = ts_polish(draft->summary, sizeof draft->summary, draft->raw, telling.size);
        }
        if (telling.failed)
            return ts_fail(TS_ERROR_LIMIT, "story %llu: the plot '%.*s' is too long or refers to nothing", (unsigned long long)index,
                           (int)telling.plot->name_size, telling.plot->name);
        draft->plot = telling.plot;
        if (draft->story_size > 0 && draft->summary_size > 0)
            return TS_OK;
    }
    return ts_fail(TS_ERROR_LIMIT, "story %llu: no plot uses '%s', '%s' and '%s'", (unsigned long long)index, start.drawn[0]->base,
                   start.drawn[1]->base, start.drawn[2]->base);
}

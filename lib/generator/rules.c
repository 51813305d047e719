/* Options of cleaning, the rules by which single stories are dropped, and the n-grams of prompts. */
#include "generator/rules.h"

#include "format/format.h"

enum {
    ALL_RULES = 1 << TS_DROP_SHORT | 1 << TS_DROP_CHARACTER | 1 << TS_DROP_SYMBOL | 1 << TS_DROP_ENDING,
    ALL_STEPS = TS_CLEAN_MOJIBAKE | TS_CLEAN_PUNCTUATION | TS_CLEAN_SPACES,
    LEAST_PROMPT_WORDS = 6, /* of a prompt that is looked for as a whole: the overlap that the paper's own prompts were checked for */
    MOST_SHINGLE_WORDS = 32,
    MOST_PROMPT_WORDS = 64
};

static const ts_clean_options defaults = {.struct_size = sizeof defaults,
                                          .steps = ALL_STEPS,
                                          .rules = ALL_RULES,
                                          .symbols = "|<>/\\`*=_&@~#%[]+()",
                                          .endings = ".!\"?",
                                          .min_characters = 100,
                                          .jaccard = 0.8,
                                          .shingle_words = 5,
                                          .prompt_words = 13};

ts_status ts_clean_options_init(ts_clean_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_clean_options");
}

const char *ts_drop_name(uint32_t reason)
{
    static const char *const names[] = {"none",   "source",  "short",        "character", "symbol",        "ending",
                                        "prompt", "overlap", "near_overlap", "duplicate", "near_duplicate"};
    return reason < TS_COUNT_OF(names) ? names[reason] : NULL;
}

static ts_status check_characters(const char *text, const char *name)
{
    for (const char *c = text != NULL ? text : ""; *c != 0; c++)
        if ((unsigned char)*c >= 0x7f)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.%s has a character that is not ASCII", name);
    return text != NULL ? TS_OK : ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.%s is NULL, expected ASCII characters", name);
}

ts_status ts_clean_options_read(ts_clean_options *own, const ts_clean_options *options)
{
    *own = defaults;
    TS_TRY(ts_options_read(own, sizeof *own, options, "ts_clean_options"));
    TS_TRY(check_characters(own->symbols, "symbols"));
    TS_TRY(check_characters(own->endings, "endings"));
    if (own->steps & ~(uint32_t)ALL_STEPS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.steps is %u, expected TS_CLEAN_ bits, at most %d", own->steps, ALL_STEPS);
    if (own->rules & ~(uint32_t)ALL_RULES)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.rules is %u, expected 1 << TS_DROP_SHORT to 1 << TS_DROP_ENDING", own->rules);
    if (own->keep_duplicates > 1 || own->near_duplicates > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.keep_duplicates and near_duplicates are %u and %u, expected 0 or 1", own->keep_duplicates,
                       own->near_duplicates);
    if (!(own->jaccard >= 0.5 && own->jaccard <= 1))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.jaccard is %g, expected 0.5 to 1", own->jaccard);
    if (own->shingle_words < 1 || own->shingle_words > MOST_SHINGLE_WORDS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.shingle_words is %u, expected 1 to %d", own->shingle_words, MOST_SHINGLE_WORDS);
    if (own->prompt_words < 1 || own->prompt_words > MOST_PROMPT_WORDS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.prompt_words is %u, expected 1 to %d", own->prompt_words, MOST_PROMPT_WORDS);
    return TS_OK;
}

/* ---- rules ---- */

static uint64_t count_characters(const char *story, size_t size)
{
    uint64_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)story[i] & 0xc0) != 0x80;
    return count;
}

uint32_t ts_rules_judge(const ts_clean_options *o, const char *story, size_t size)
{
    enum { SYMBOL = 1, CHARACTER = 2 };
    unsigned char kinds[256] = {0}, found = 0;
    memset(kinds, CHARACTER, ' ');
    memset(kinds + 0x7f, CHARACTER, sizeof kinds - 0x7f);
    kinds['\n'] = 0;
    if (!(o->steps & TS_CLEAN_SPACES)) /* then they are as the user wants them */
        memset(&kinds['\t'], 0, '\r' - '\t' + 1);
    for (const char *c = o->symbols; *c != 0; c++)
        kinds[(unsigned char)*c] |= SYMBOL;
    for (size_t i = 0; i < size; i++)
        found |= kinds[(unsigned char)story[i]];
    if ((o->rules & 1 << TS_DROP_SHORT) && count_characters(story, size) < o->min_characters)
        return TS_DROP_SHORT;
    if ((o->rules & 1 << TS_DROP_CHARACTER) && (found & CHARACTER))
        return TS_DROP_CHARACTER;
    if ((o->rules & 1 << TS_DROP_SYMBOL) && (found & SYMBOL))
        return TS_DROP_SYMBOL;
    if ((o->rules & 1 << TS_DROP_ENDING) && (size == 0 || story[size - 1] == 0 || strchr(o->endings, story[size - 1]) == NULL))
        return TS_DROP_ENDING;
    return size == 0 ? TS_DROP_SHORT : TS_DROP_NONE; /* nothing is no story, whatever the rules */
}

/* ---- prompts ---- */

static ts_status add_prompt(ts_excluded *p, ts_runtime *runtime, const char *text, size_t size, size_t length)
{
    size_t count;
    TS_TRY(ts_word_hashes(runtime, text, size, &p->words, &p->word_capacity, &count));
    if (count < TS_MIN((size_t)LEAST_PROMPT_WORDS, length))
        return TS_OK;
    length = TS_MIN(length, count);
    p->lengths |= (uint64_t)1 << (length - 1);
    for (size_t i = 0; i + length <= count; i++) {
        uint64_t hash = ts_ngram_hash(p->words + i, length);
        if (ts_hash_map_find(&p->ngrams, hash) == TS_HASH_MAP_NONE)
            TS_TRY(ts_hash_map_add(&p->ngrams, hash, 0));
    }
    return TS_OK;
}

/* A text without a marker is a prompt a line. */
static ts_status add_lines(ts_excluded *p, ts_runtime *runtime, const ts_bytes *text, size_t length)
{
    for (size_t at = 0; at < text->size;) {
        const char *newline = memchr(text->data + at, '\n', text->size - at);
        size_t line = newline != NULL ? (size_t)(newline - text->data) - at : text->size - at;
        TS_TRY(add_prompt(p, runtime, text->data + at, line, length));
        at += line + 1;
    }
    return TS_OK;
}

static ts_status read_file(ts_excluded *p, ts_runtime *runtime, ts_stories *stories, ts_cleaning *cleaning, const ts_clean_options *o)
{
    const char *text;
    size_t size;
    bool record = false;
    for (uint64_t count = 0;; count++) {
        TS_TRY(ts_stories_next(stories, &text, &size));
        if (count == 1) /* the first one waited for this */
            TS_TRY(text == NULL && !record ? add_lines(p, runtime, &cleaning->text, o->prompt_words)
                                           : add_prompt(p, runtime, cleaning->text.data, cleaning->text.size, o->prompt_words));
        if (text == NULL)
            return TS_OK;
        record = ts_stories_record(stories) != NULL;
        TS_TRY(ts_clean_text(cleaning, text, size, o->steps));
        if (count > 0)
            TS_TRY(add_prompt(p, runtime, cleaning->text.data, cleaning->text.size, o->prompt_words));
    }
}

ts_status ts_excluded_read(ts_excluded *p, ts_runtime *runtime, const ts_clean_options *o)
{
    ts_cleaning cleaning = {.text.runtime = runtime, .other.runtime = runtime};
    ts_status status = TS_OK;
    for (size_t i = 0; i < o->prompt_count && status == TS_OK; i++) {
        ts_stories *stories = NULL;
        status = ts_stories_open(&stories, runtime, &o->prompts[i], 1);
        if (status == TS_OK)
            status = read_file(p, runtime, stories, &cleaning, o);
        ts_stories_close(stories);
    }
    ts_cleaning_free(&cleaning);
    ts_release(runtime, p->words);
    p->words = NULL;
    if (status == TS_OK && o->prompt_count > 0 && p->ngrams.count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: no prompt has %d words", o->prompts[0], LEAST_PROMPT_WORDS);
    return status;
}

bool ts_excluded_within(const ts_excluded *p, const uint64_t *words, size_t count)
{
    for (size_t length = 1; p->lengths >> (length - 1) != 0; length++) {
        for (size_t i = 0; (p->lengths >> (length - 1) & 1) && i + length <= count; i++)
            if (ts_hash_map_find(&p->ngrams, ts_ngram_hash(words + i, length)) != TS_HASH_MAP_NONE)
                return true;
        if (length == MOST_PROMPT_WORDS)
            break;
    }
    return false;
}

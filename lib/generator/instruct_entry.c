/* Makes entries of TinyStories-Instruct. */
#include "generator/instruct_entry.h"

enum { SUMMARY_SIZE = 4096 }; /* what a summarizer of the host's may write */

/* ---- the vocabulary that words are looked up in ---- */

static ts_status add_form(ts_maker *m, const char *form, uint32_t number)
{
    uint64_t hash = form != NULL ? ts_plain_word_hash(form, strlen(form)) : 0;
    return form != NULL && ts_hash_map_find(&m->forms, hash) == TS_HASH_MAP_NONE ? ts_hash_map_add(&m->forms, hash, number) : TS_OK;
}

ts_status ts_maker_start(ts_maker *m, ts_runtime *runtime, const ts_instruct_options *options)
{
    m->options = options;
    m->vocabulary.runtime = m->forms.runtime = runtime;
    m->words.runtime = m->features.runtime = m->summary.runtime = m->entry.runtime = runtime;
    TS_TRY(ts_word_list_open(&m->vocabulary, runtime));
    for (size_t i = 0; i < m->vocabulary.kind_start[TS_KIND_ADJECTIVE + 1]; i++) {
        const ts_entry *word = &m->vocabulary.words[i];
        TS_TRY(add_form(m, word->base, (uint32_t)i));
        TS_TRY(add_form(m, word->s, (uint32_t)i));
        TS_TRY(add_form(m, word->past, (uint32_t)i));
        TS_TRY(add_form(m, word->ing, (uint32_t)i));
    }
    return TS_OK;
}

void ts_maker_free(ts_maker *m)
{
    if (m->vocabulary.runtime != NULL)
        ts_word_list_free(&m->vocabulary);
    if (m->forms.runtime != NULL)
        ts_hash_map_free(&m->forms);
    ts_bytes_free(&m->words);
    ts_bytes_free(&m->features);
    ts_bytes_free(&m->summary);
    ts_bytes_free(&m->entry);
}

/* ---- what can be had of a story ---- */

/* The list `name` of a record's instruction, or beside it; NULL if it has none. */
static const ts_json *list_of(const ts_json *record, const char *name)
{
    const ts_json *list = ts_json_get(ts_json_get(record, "instruction"), name);
    if (ts_json_kind_of(list) != TS_JSON_ARRAY)
        list = ts_json_get(record, name);
    return ts_json_kind_of(list) == TS_JSON_ARRAY ? list : NULL;
}

/* Such a list divided by commas. */
static ts_status join_list(ts_bytes *bytes, const ts_json *list)
{
    for (const ts_json *one = ts_json_first(list); one != NULL; one = ts_json_next(one)) {
        const char *text = ts_json_text(one);
        if (text == NULL || text[0] == 0)
            continue;
        TS_TRY(ts_bytes_format(bytes, "%s%s", bytes->size > 0 ? ", " : "", text));
    }
    return TS_OK;
}

/* A verb, a noun and an adjective of the vocabulary that are in the story, each occurrence as likely. */
static ts_status find_words(ts_maker *m, const char *story, size_t size, ts_random *random)
{
    const ts_entry *found[TS_KIND_ADJECTIVE + 1] = {NULL};
    uint64_t seen[TS_KIND_ADJECTIVE + 1] = {0};
    const char *word;
    size_t word_size;
    while (ts_plain_word(&story, &size, &word, &word_size)) {
        uint32_t number = ts_hash_map_find(&m->forms, ts_plain_word_hash(word, word_size));
        const ts_entry *entry = number != TS_HASH_MAP_NONE ? &m->vocabulary.words[number] : NULL;
        if (entry != NULL && ts_random_below(random, ++seen[entry->kind]) == 0)
            found[entry->kind] = entry;
    }
    for (size_t kind = 0; kind < TS_COUNT_OF(found); kind++)
        if (found[kind] != NULL)
            TS_TRY(ts_bytes_format(&m->words, "%s%s", m->words.size > 0 ? ", " : "", found[kind]->base));
    return TS_OK;
}

static bool holds(const char *text, size_t size, const char *wanted)
{
    size_t length = strlen(wanted);
    for (const char *at = text, *end = text + size; (size_t)(end - at) >= length; at++) {
        at = memchr(at, wanted[0], (size_t)(end - at) - length + 1);
        if (at == NULL)
            return false;
        if (memcmp(at, wanted, length) == 0)
            return true;
    }
    return false;
}

/* What only a story with a moral says: "a piano lesson" is none. */
static const char *const morals[] = {"moral of", "moral is", "moral:", "lesson is", "lesson was", "lesson of", "lesson that", "learned that"};

/* What can be read off a story that no record tells of. */
static ts_status find_features(ts_maker *m, const char *story, size_t size)
{
    const char *quote = memchr(story, '"', size);
    bool dialogue = quote != NULL && memchr(quote + 1, '"', size - (size_t)(quote + 1 - story)) != NULL;
    dialogue = dialogue || (holds(story, size, "\xe2\x80\x9c") && holds(story, size, "\xe2\x80\x9d"));
    if (dialogue)
        TS_TRY(ts_bytes_format(&m->features, "%s", ts_feature_name(TS_FEATURE_DIALOGUE)));
    bool moral = false;
    for (size_t i = 0; i < TS_COUNT_OF(morals); i++)
        moral = moral || holds(story, size, morals[i]);
    if (moral)
        TS_TRY(ts_bytes_format(&m->features, "%s%s", dialogue ? ", " : "", ts_feature_name(TS_FEATURE_MORAL_VALUE)));
    return TS_OK;
}

static ts_status summarize(ts_maker *m, const ts_json *record, const char *story, size_t size)
{
    const char *given = ts_json_text(ts_json_get(record, "summary"));
    const ts_instruct_options *o = m->options;
    if (given != NULL && given[0] != 0)
        return ts_bytes_add(&m->summary, given, strlen(given));
    if (o->chat != NULL)
        return TS_OK;
    if (o->summarize == NULL)
        return ts_summarize(&m->summary, story, size);
    char text[SUMMARY_SIZE];
    size_t written = 0;
    if (o->summarize(o->summarize_user, story, size, text, sizeof text, &written) != 0)
        return ts_fail(TS_ERROR_CANCELLED, "stopped by the summarizer");
    if (written >= sizeof text || memchr(text, 0, written) != NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the summarizer wrote %zu bytes or a NUL, expected at most %zu", written, sizeof text - 1);
    return ts_bytes_add(&m->summary, text, written);
}

/* A sentence of the story but its first; NULL: it has no other. */
static const char *draw_sentence(const char *story, size_t size, ts_random *random, size_t *sentence_size)
{
    const char *sentence, *drawn = NULL;
    size_t length;
    for (uint64_t count = 0; ts_sentence(&story, &size, &sentence, &length); count++)
        if (count > 0 && ts_random_below(random, count) == 0) {
            drawn = sentence;
            *sentence_size = length;
        }
    return drawn;
}

/* A text that a header can hold: not empty, and no marker in it. */
static bool fits(const char *text, size_t size)
{
    ts_trim(&text, &size);
    return size > 0 && !holds(text, size, TS_STORIES_MARKER);
}

/* ---- drawing ---- */

/* A subset of what is there, all that are not empty as likely, with what must always be. */
static uint32_t draw_subset(uint32_t there, uint32_t always, ts_random *random)
{
    uint32_t free_bits = there & ~always, subset = there & always, bits[TS_INSTRUCT_COUNT];
    size_t count = 0;
    for (uint32_t bit = 1; bit <= TS_INSTRUCT_SENTENCE; bit <<= 1)
        if (free_bits & bit)
            bits[count++] = bit;
    if (count == 0)
        return subset;
    uint64_t number = subset != 0 ? ts_random_below(random, (uint64_t)1 << count) : 1 + ts_random_below(random, ((uint64_t)1 << count) - 1);
    for (size_t i = 0; i < count; i++)
        subset |= number >> i & 1 ? bits[i] : 0;
    return subset;
}

static void draw_order(uint32_t subset, uint32_t order[TS_INSTRUCT_COUNT], ts_random *random)
{
    size_t count = 0;
    for (uint32_t bit = 1; bit <= TS_INSTRUCT_SENTENCE; bit <<= 1)
        if (subset & bit)
            order[count++] = bit;
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)ts_random_below(random, i);
        uint32_t swapped = order[i - 1];
        order[i - 1] = order[other];
        order[other] = swapped;
    }
}

/* What is an entry already stays what it is. */
static bool take_entry(ts_maker *m, const char *text, size_t size)
{
    ts_instruct *f = &m->fields;
    if (!ts_instruct_begins(text, size) || ts_instruct_read(f, text, size) != TS_OK || f->story_size == 0)
        return false;
    m->drawn = (f->words != NULL ? TS_INSTRUCT_WORDS : 0) | (f->features != NULL ? TS_INSTRUCT_FEATURES : 0) |
               (f->summary != NULL ? TS_INSTRUCT_SUMMARY : 0) | (f->sentence != NULL ? TS_INSTRUCT_SENTENCE : 0);
    return m->drawn != 0;
}

/* Takes the summary that the service gave; a field without one is not there after all. */
static ts_status take_answer(ts_maker *m, uint64_t index)
{
    size_t kept = 0;
    TS_TRY(m->answer(m->answer_user, index, &m->summary));
    if (fits(m->summary.data, m->summary.size))
        return TS_OK;
    m->drawn &= ~(uint32_t)TS_INSTRUCT_SUMMARY;
    for (size_t i = 0; i < TS_INSTRUCT_COUNT; i++)
        if (m->fields.order[i] != TS_INSTRUCT_SUMMARY)
            m->fields.order[kept++] = m->fields.order[i];
    if (kept < TS_INSTRUCT_COUNT)
        m->fields.order[kept] = 0;
    return TS_OK;
}

ts_status ts_maker_draw(ts_maker *m, const ts_json *record, const char *story, size_t size, uint64_t index)
{
    ts_random random = {.seed = m->options->seed, .stream = index};
    ts_instruct *f = &m->fields;
    m->asks = false;
    if (take_entry(m, story, size))
        return TS_OK;
    *f = (ts_instruct){.struct_size = sizeof *f, .story = story, .story_size = size};
    m->words.size = m->features.size = m->summary.size = 0;
    TS_TRY(join_list(&m->words, list_of(record, "words")));
    if (m->words.size == 0)
        TS_TRY(find_words(m, story, size, &random));
    const ts_json *features = list_of(record, "features");
    TS_TRY(features != NULL ? join_list(&m->features, features) : find_features(m, story, size));
    size_t sentence_size = 0;
    const char *sentence = draw_sentence(story, size, &random, &sentence_size);
    uint32_t there = m->options->fields & ~(uint32_t)TS_INSTRUCT_SUMMARY;
    there &= fits(m->words.data, m->words.size) ? TS_INSTRUCT_ALL : ~(uint32_t)TS_INSTRUCT_WORDS;
    there &= fits(m->features.data, m->features.size) ? TS_INSTRUCT_ALL : ~(uint32_t)TS_INSTRUCT_FEATURES;
    there &= sentence != NULL ? TS_INSTRUCT_ALL : ~(uint32_t)TS_INSTRUCT_SENTENCE;
    if (m->options->fields & TS_INSTRUCT_SUMMARY) {
        TS_TRY(summarize(m, record, story, size));
        m->asks = m->options->chat != NULL && m->summary.size == 0;
        there |= m->asks || fits(m->summary.data, m->summary.size) ? TS_INSTRUCT_SUMMARY : 0;
    }
    m->drawn = draw_subset(there, m->options->always, &random);
    draw_order(m->drawn, f->order, &random);
    m->asks = m->asks && (m->drawn & TS_INSTRUCT_SUMMARY);
    if (m->asks && m->answer != NULL)
        TS_TRY(take_answer(m, index));
    if (m->drawn & TS_INSTRUCT_WORDS)
        f->words = m->words.data, f->words_size = m->words.size;
    if (m->drawn & TS_INSTRUCT_FEATURES)
        f->features = m->features.data, f->features_size = m->features.size;
    if (m->drawn & TS_INSTRUCT_SUMMARY)
        f->summary = m->summary.data, f->summary_size = m->summary.size;
    if (m->drawn & TS_INSTRUCT_SENTENCE)
        f->sentence = sentence, f->sentence_size = sentence_size;
    return TS_OK;
}

/* ---- writing ---- */

/* "a, b" as ["a", "b"]. */
static ts_status write_list(ts_bytes *bytes, const char *name, const char *text, size_t size)
{
    TS_TRY(ts_bytes_format(bytes, "\"%s\": [", name));
    for (size_t at = 0; at < size;) {
        size_t end = at;
        while (end < size && text[end] != ',')
            end++;
        const char *one = text + at;
        size_t one_size = end - at;
        ts_trim(&one, &one_size);
        TS_TRY(ts_bytes_add(bytes, ", ", at > 0 ? 2 : 0));
        TS_TRY(ts_json_string(bytes, one, one_size));
        at = end + 1;
    }
    return ts_bytes_add(bytes, "]", 1);
}

static ts_status write_text(ts_bytes *bytes, const char *name, const char *text, size_t size)
{
    if (text == NULL)
        return TS_OK;
    TS_TRY(ts_bytes_format(bytes, ", \"%s\": ", name));
    return ts_json_string(bytes, text, size);
}

ts_status ts_maker_write(ts_maker *m, bool lines)
{
    const ts_instruct *f = &m->fields;
    m->entry.size = 0;
    TS_TRY(ts_instruct_headers(&m->entry, f));
    TS_TRY(ts_bytes_add(&m->entry, " \n\n", 3));
    TS_TRY(ts_bytes_add(&m->entry, f->story, f->story_size));
    if (!lines)
        return TS_OK;
    ts_bytes line = {.runtime = m->entry.runtime};
    ts_status status = ts_bytes_format(&line, "{\"text\": ");
    if (status == TS_OK)
        status = ts_json_string(&line, m->entry.data, m->entry.size);
    if (status == TS_OK)
        status = ts_bytes_format(&line, ", \"instruction\": {");
    if (status == TS_OK)
        status = write_list(&line, "words", f->words, f->words != NULL ? f->words_size : 0);
    if (status == TS_OK)
        status = ts_bytes_format(&line, ", ");
    if (status == TS_OK)
        status = write_list(&line, "features", f->features, f->features != NULL ? f->features_size : 0);
    if (status == TS_OK)
        status = ts_bytes_format(&line, "}");
    if (status == TS_OK)
        status = write_text(&line, "summary", f->summary, f->summary_size);
    if (status == TS_OK)
        status = write_text(&line, "sentence", f->sentence, f->sentence_size);
    if (status == TS_OK)
        status = ts_bytes_format(&line, "}");
    ts_bytes_free(&m->entry);
    m->entry = line;
    return status;
}

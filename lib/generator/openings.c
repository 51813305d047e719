/* Opening phrases and word lists. */
#include "generator/openings.h"

#include "format/format.h"
#include "generator/word_list.h"

enum { MOST_LIST_SIZE = 64 << 20 };

_Static_assert(TS_DATASET_OPENINGS == TS_COUNT_OF(((ts_dataset_statistics *)0)->openings), "the header says how many openings there are");
_Static_assert(TS_KIND_VERB == 0 && TS_KIND_NOUN == 1 && TS_KIND_ADJECTIVE == 2, "sets of words are in the order of kinds");
_Static_assert(TS_DATASET_OPENING_SIZE == sizeof((ts_dataset_statistics *)0)->openings[0], "the header says how long they are");

/* ---- opening phrases ---- */

/* Adds a word in small letters to a phrase of at most TS_DATASET_OPENING_SIZE - 1 bytes, cut between characters. */
static void add_word(char *phrase, size_t *used, const char *word, size_t size)
{
    uint32_t code;
    size_t length;
    if (*used > 0 && *used + 1 < TS_DATASET_OPENING_SIZE)
        phrase[(*used)++] = ' ';
    for (size_t at = 0; at < size; at += length) {
        length = ts_utf8_decode(word + at, size - at, &code);
        if (*used + length >= TS_DATASET_OPENING_SIZE)
            break;
        for (size_t i = 0; i < length; i++) {
            char c = word[at + i];
            phrase[(*used)++] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
        }
    }
    phrase[*used] = 0;
}

ts_status ts_openings_add(ts_openings *o, const char *story, size_t size, uint32_t words)
{
    char phrase[TS_DATASET_OPENING_SIZE];
    uint64_t hashes[16]; /* options.opening_words is at most that */
    size_t count = 0, used = 0, word_size;
    const char *word;
    while (count < words && ts_plain_word(&story, &size, &word, &word_size)) {
        hashes[count++] = ts_plain_word_hash(word, word_size);
        add_word(phrase, &used, word, word_size);
    }
    if (count == 0)
        return TS_OK;
    uint64_t hash = ts_ngram_hash(hashes, count);
    uint32_t number = ts_hash_map_find(&o->map, hash);
    if (number == TS_HASH_MAP_NONE) {
        if (o->count >= UINT32_MAX - 1)
            return ts_fail(TS_ERROR_LIMIT, "there are too many opening phrases: %zu", o->count);
        number = (uint32_t)o->count;
        TS_TRY(ts_reserve(o->runtime, &o->kinds, &o->capacity, o->count + 1, sizeof *o->kinds));
        o->kinds[number] = (ts_opening){.text = o->texts.size};
        TS_TRY(ts_bytes_add(&o->texts, phrase, used + 1));
        TS_TRY(ts_hash_map_add(&o->map, hash, number));
        o->count++;
    }
    o->kinds[number].stories++;
    return TS_OK;
}

void ts_openings_report(const ts_openings *o, ts_dataset_statistics *s)
{
    s->distinct_openings = o->count;
    for (size_t i = 0; i < o->count; i++) {
        const ts_opening *one = &o->kinds[i];
        size_t at = TS_DATASET_OPENINGS;
        while (at > 0 && one->stories > s->opening_stories[at - 1])
            at--;
        if (at == TS_DATASET_OPENINGS)
            continue;
        memmove(&s->opening_stories[at + 1], &s->opening_stories[at], (TS_DATASET_OPENINGS - 1 - at) * sizeof s->opening_stories[0]);
        memmove(&s->openings[at + 1], &s->openings[at], (TS_DATASET_OPENINGS - 1 - at) * sizeof s->openings[0]);
        const char *text = o->texts.data + one->text;
        s->opening_stories[at] = one->stories;
        memset(s->openings[at], 0, sizeof s->openings[at]);
        memcpy(s->openings[at], text, strlen(text));
    }
}

void ts_openings_free(ts_openings *o)
{
    ts_hash_map_free(&o->map);
    ts_release(o->runtime, o->kinds);
    ts_bytes_free(&o->texts);
}

/* ---- word lists ---- */

/* Adds a form of word `number`, unless it is a form of another one already. */
static ts_status add_form(ts_listed_words *words, const char *form, size_t size, size_t number)
{
    uint64_t hash = ts_plain_word_hash(form, size);
    return ts_hash_map_find(&words->forms, hash) == TS_HASH_MAP_NONE ? ts_hash_map_add(&words->forms, hash, (uint32_t)number) : TS_OK;
}

/* Adds a word that is not there yet. */
static ts_status add_listed(ts_listed *l, ts_listed_words *words, const char *word, size_t size)
{
    if (ts_hash_map_find(&words->forms, ts_plain_word_hash(word, size)) != TS_HASH_MAP_NONE)
        return TS_OK;
    TS_TRY(ts_reserve(l->runtime, &words->used, &words->capacity, words->count + 1, sizeof *words->used));
    words->used[words->count] = false;
    return add_form(words, word, size, words->count++);
}

static ts_status add_forms(ts_listed_words *words, const ts_entry *entry)
{
    const char *const forms[] = {entry->s, entry->past, entry->ing};
    size_t number = ts_hash_map_find(&words->forms, ts_plain_word_hash(entry->base, strlen(entry->base)));
    for (size_t i = 0; i < TS_COUNT_OF(forms); i++)
        if (forms[i] != NULL)
            TS_TRY(add_form(words, forms[i], strlen(forms[i]), number));
    return TS_OK;
}

/* The verbs, nouns and adjectives. First all words, then their other forms: "saw" is the tool before it is a form of "see". */
static ts_status add_vocabulary(ts_listed *l, const ts_word_list *vocabulary)
{
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < vocabulary->kind_start[TS_DATASET_KINDS]; i++) {
            const ts_entry *entry = &vocabulary->words[i];
            ts_listed_words *const sets[] = {&l->sets[entry->kind], &l->sets[TS_LISTED_ALL]};
            for (size_t k = 0; k < TS_COUNT_OF(sets); k++)
                TS_TRY(pass == 0 ? add_listed(l, sets[k], entry->base, strlen(entry->base)) : add_forms(sets[k], entry));
        }
    return TS_OK;
}

/* Whether a file is a vocabulary: what comes first, but for comments, is a section. */
static bool is_vocabulary(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '#') {
            const char *end = memchr(text + i, '\n', size - i);
            if (end == NULL)
                return false;
            i = (size_t)(end - text);
        } else if (text[i] != ' ' && (text[i] < '\t' || text[i] > '\r'))
            return text[i] == '[';
    }
    return false;
}

static ts_status add_list(ts_listed *l, const char *text, size_t size, const char *name)
{
    const char *word;
    size_t word_size;
    if (is_vocabulary(text, size)) {
        ts_word_list vocabulary;
        TS_TRY(ts_word_list_read(&vocabulary, l->runtime, text, size, name));
        ts_status status = add_vocabulary(l, &vocabulary);
        ts_word_list_free(&vocabulary);
        return status;
    }
    while (ts_plain_word(&text, &size, &word, &word_size))
        TS_TRY(add_listed(l, &l->sets[TS_LISTED_ALL], word, word_size));
    return TS_OK;
}

static ts_status add_built_in(ts_listed *l)
{
    ts_word_list vocabulary;
    TS_TRY(ts_word_list_open(&vocabulary, l->runtime));
    ts_status status = add_vocabulary(l, &vocabulary);
    ts_word_list_free(&vocabulary);
    return status;
}

ts_status ts_listed_read(ts_listed *l, ts_runtime *runtime, const char *const *paths, size_t count)
{
    l->runtime = runtime;
    for (size_t i = 0; i < TS_LISTED_SETS; i++)
        l->sets[i].forms.runtime = runtime;
    if (count == 0)
        return add_built_in(l);
    for (size_t i = 0; i < count; i++) {
        char *text;
        size_t size;
        TS_TRY(ts_file_read(runtime, paths[i], MOST_LIST_SIZE, &text, &size));
        ts_status status = add_list(l, text, size, paths[i]);
        ts_release(runtime, text);
        TS_TRY(status);
    }
    if (l->sets[TS_LISTED_ALL].count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there is no word in it", paths[0]);
    return TS_OK;
}

void ts_listed_use(ts_listed *l, uint64_t word)
{
    for (size_t i = 0; i < TS_LISTED_SETS; i++) {
        ts_listed_words *words = &l->sets[i];
        uint32_t number = words->count > 0 ? ts_hash_map_find(&words->forms, word) : TS_HASH_MAP_NONE;
        if (number == TS_HASH_MAP_NONE)
            continue;
        words->used[number] = true;
        words->occurrences++;
    }
}

static uint64_t count_used(const ts_listed_words *words)
{
    uint64_t count = 0;
    for (size_t i = 0; i < words->count; i++)
        count += words->used[i];
    return count;
}

void ts_listed_report(const ts_listed *l, ts_dataset_statistics *s)
{
    s->list_words = l->sets[TS_LISTED_ALL].count;
    s->list_words_used = count_used(&l->sets[TS_LISTED_ALL]);
    s->listed_words = l->sets[TS_LISTED_ALL].occurrences;
    for (size_t i = 0; i < TS_DATASET_KINDS; i++) {
        s->kind_words[i] = l->sets[i].count;
        s->kind_words_used[i] = count_used(&l->sets[i]);
        s->kind_occurrences[i] = l->sets[i].occurrences;
    }
}

void ts_listed_free(ts_listed *l)
{
    for (size_t i = 0; i < TS_LISTED_SETS && l->runtime != NULL; i++) {
        ts_hash_map_free(&l->sets[i].forms);
        ts_release(l->runtime, l->sets[i].used);
    }
}

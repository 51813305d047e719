/* Opening phrases and word lists. */
#include "generator/openings.h"

#include "format/format.h"

enum { MOST_LIST_SIZE = 64 << 20 };

_Static_assert(TS_DATASET_OPENINGS == TS_COUNT_OF(((ts_dataset_statistics *)0)->openings), "the header says how many openings there are");
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

static ts_status read_list(ts_listed *l, const char *text, size_t size)
{
    const char *word;
    size_t word_size;
    while (ts_plain_word(&text, &size, &word, &word_size)) {
        uint64_t hash = ts_plain_word_hash(word, word_size);
        if (ts_hash_map_find(&l->map, hash) != TS_HASH_MAP_NONE)
            continue;
        TS_TRY(ts_reserve(l->runtime, &l->used, &l->capacity, l->map.count + 1, sizeof *l->used));
        l->used[l->map.count] = false;
        TS_TRY(ts_hash_map_add(&l->map, hash, (uint32_t)l->map.count));
    }
    return TS_OK;
}

ts_status ts_listed_read(ts_listed *l, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *text;
        size_t size;
        TS_TRY(ts_file_read(l->runtime, paths[i], MOST_LIST_SIZE, &text, &size));
        ts_status status = read_list(l, text, size);
        ts_release(l->runtime, text);
        TS_TRY(status);
    }
    if (count > 0 && l->map.count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there is no word in it", paths[0]);
    return TS_OK;
}

bool ts_listed_use(ts_listed *l, uint64_t word)
{
    uint32_t number = ts_hash_map_find(&l->map, word);
    if (number != TS_HASH_MAP_NONE)
        l->used[number] = true;
    return number != TS_HASH_MAP_NONE;
}

uint64_t ts_listed_used(const ts_listed *l)
{
    uint64_t count = 0;
    for (size_t i = 0; i < l->map.count; i++)
        count += l->used[i];
    return count;
}

void ts_listed_free(ts_listed *l)
{
    ts_hash_map_free(&l->map);
    ts_release(l->runtime, l->used);
}

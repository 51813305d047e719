/* What may not be drawn, whatever the model thinks of it: biases, banned words, repeated n-grams; and the penalties of what was told lately. */
#include "sampler/inside.h"

#include <math.h>
#include <stdlib.h>

/* Part of a word: letters of any language, digits and apostrophes. */
static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\'' || (unsigned char)c >= 0x80;
}

/* ---- banned words ---- */

/* Places of tokens in the order of what stands there, lower case, so that those which begin with a word are neighbours: each token's beginning, and
 * apart from them where a word begins within one. */
typedef struct place {
    uint64_t key; /* the first 8 bytes, the first highest; 0 after the end */
    uint32_t id, at;
} place;

typedef struct places {
    const ts_tokenizer *tokenizer;
    place *list;
    size_t count;
} places;

/* qsort passes nothing on, so that what it compares holds its own bytes. */
typedef struct keyed {
    place place;
    const char *bytes;
    size_t size;
} keyed;

static int compare_bytes(const char *a, size_t a_size, const char *b, size_t b_size)
{
    for (size_t i = 0; i < a_size && i < b_size; i++) {
        unsigned char x = (unsigned char)ts_ascii_lower(a[i]), y = (unsigned char)ts_ascii_lower(b[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a_size > b_size) - (a_size < b_size);
}

static int compare_keyed(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->place.key != y->place.key)
        return x->place.key < y->place.key ? -1 : 1;
    int order = compare_bytes(x->bytes, x->size, y->bytes, y->size);
    return order != 0 ? order : (x->place.id > y->place.id) - (x->place.id < y->place.id);
}

static uint64_t key_of(const char *bytes, size_t size)
{
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof key; i++)
        key = key << 8 | (i < size ? (unsigned char)ts_ascii_lower(bytes[i]) : 0);
    return key;
}

/* The places of all tokens that begin with one of these letters, only counted where `into` is NULL: their beginnings, or those of words within them. */
static size_t list_places(const ts_tokenizer *tokenizer, bool within, const bool letters[256], keyed *into)
{
    uint32_t tokens = ts_tokenizer_size(tokenizer);
    size_t count = 0;
    for (uint32_t id = 0; id < tokens; id++) {
        size_t size;
        const char *token = ts_tokenizer_token(tokenizer, id, &size);
        if (ts_tokenizer_is_special(tokenizer, id))
            continue;
        for (size_t at = within; at < (within ? size : TS_MIN(size, (size_t)1)); at++) {
            if (!letters[(unsigned char)ts_ascii_lower(token[at])] || (within && in_word(token[at - 1])))
                continue;
            if (into)
                into[count] = (keyed){{key_of(token + at, size - at), id, (uint32_t)at}, token + at, size - at};
            count++;
        }
    }
    return count;
}

static ts_status make_places(places *p, ts_runtime *runtime, const ts_tokenizer *tokenizer, bool within, const bool letters[256])
{
    *p = (places){.tokenizer = tokenizer, .count = list_places(tokenizer, within, letters, NULL)};
    p->list = ts_allocate_array(runtime, p->count + 1, sizeof *p->list);
    keyed *all = ts_allocate_array(runtime, p->count + 1, sizeof *all);
    if (all != NULL && p->list != NULL) {
        list_places(tokenizer, within, letters, all);
        qsort(all, p->count, sizeof *all, compare_keyed);
        for (size_t i = 0; i < p->count; i++)
            p->list[i] = all[i].place;
    }
    ts_status status = all != NULL && p->list != NULL ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    ts_release(runtime, all);
    return status;
}

/* What stands at a place, no more bytes of it than the text has, against a text and its key. */
static int compare_place(const places *p, const place *one, const char *text, size_t size, uint64_t key)
{
    size_t token_size, beyond = size < sizeof key ? 8 * (sizeof key - size) : 0;
    uint64_t begins = one->key >> beyond << beyond;
    if (begins != key || size <= sizeof key)
        return (begins > key) - (begins < key);
    const char *token = ts_tokenizer_token(p->tokenizer, one->id, &token_size);
    return compare_bytes(token + one->at, TS_MIN(token_size - one->at, size), text, size);
}

/* The first place that is not before a text of at least a byte (after: none that begins with it either). */
static size_t find_place(const places *p, const char *text, size_t size, bool after)
{
    size_t low = 0, high = p->count;
    uint64_t key = key_of(text, size);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_place(p, &p->list[middle], text, size, key) < (after ? 1 : 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct ts_ban_index {
    places begins, within;
};

ts_status ts_ban_index_make(ts_ban_index **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const char *const *words, size_t count)
{
    bool first[256] = {false}, any[256] = {false}; /* letters that a word begins with, and goes on with */
    *out = NULL;
    if (count == 0)
        return TS_OK;
    for (size_t i = 0; i < count; i++) {
        first[(unsigned char)ts_ascii_lower(words[i][0])] = true;
        for (const char *c = words[i]; *c != 0; c++)
            any[(unsigned char)ts_ascii_lower(*c)] = true;
    }
    ts_ban_index *index = ts_allocate(runtime, sizeof *index);
    if (index == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = make_places(&index->begins, runtime, tokenizer, false, any);
    if (status == TS_OK)
        status = make_places(&index->within, runtime, tokenizer, true, first);
    *out = index;
    if (status != TS_OK)
        ts_ban_index_free(out, runtime);
    return status;
}

void ts_ban_index_free(ts_ban_index **index, ts_runtime *runtime)
{
    if (*index != NULL) {
        ts_release(runtime, (*index)->begins.list);
        ts_release(runtime, (*index)->within.list);
    }
    ts_release(runtime, *index);
    *index = NULL;
}

/* Adds the tokens of the places that begin with a text. */
static void add_tokens(const places *p, const char *text, size_t size, uint32_t *tokens, size_t *count)
{
    size_t first = find_place(p, text, size, false), end = find_place(p, text, size, true);
    for (size_t i = first; i < end && tokens != NULL; i++)
        tokens[*count + i - first] = p->list[i].id;
    *count += end - first;
}

static void find_of_word(ts_word_bans *bans, const ts_ban_index *index, const char *word, size_t length)
{
    add_tokens(&index->within, word, length, bans->always, &bans->always_count);
    for (size_t done = 0; done < length; done++) {
        uint32_t first = (uint32_t)bans->token_count;
        add_tokens(&index->begins, word + done, length - done, bans->tokens, &bans->token_count);
        if (bans->token_count == first)
            continue;
        if (bans->completions)
            bans->completions[bans->completion_count] = (ts_completion){
                .word = word, .done = (uint8_t)done, .last = done > 0 ? word[done - 1] : 0, .first = first, .count = (uint32_t)bans->token_count - first};
        bans->completion_count++;
    }
}

void ts_word_bans_find(ts_word_bans *bans, const ts_ban_index *index, const char *const *words, size_t count)
{
    char *at = bans->words;
    bans->always_count = bans->completion_count = bans->token_count = 0;
    for (size_t i = 0; i < count; i++) {
        char word[TS_MOST_WORD + 1];
        size_t length = strlen(words[i]);
        for (size_t k = 0; k <= length; k++)
            word[k] = ts_ascii_lower(words[i][k]);
        if (at)
            memcpy(at, word, length + 1);
        find_of_word(bans, index, at ? at : word, length);
        at = at ? at + length + 1 : NULL;
    }
}

void ts_tail_add(ts_sampler *sampler, const char *bytes, size_t size)
{
    if (sampler->options.banned_word_count == 0 && sampler->required.count == 0)
        return;
    size_t taken = TS_MIN(size, sizeof sampler->tail), kept = TS_MIN(sampler->tail_size, sizeof sampler->tail - taken);
    memmove(sampler->tail, sampler->tail + sampler->tail_size - kept, kept);
    for (size_t i = 0; i < taken; i++)
        sampler->tail[kept + i] = ts_ascii_lower(bytes[size - taken + i]);
    sampler->tail_size = kept + taken;
    ts_required_note(sampler);
}

/* Whether the story ends with the first bytes of the word, which begin a word of it. */
static bool is_begun(const ts_sampler *sampler, const ts_completion *c)
{
    size_t size = sampler->tail_size;
    if (c->done > 0 && (size < c->done || sampler->tail[size - 1] != c->last || memcmp(sampler->tail + size - c->done, c->word, c->done) != 0))
        return false;
    return size == c->done || !in_word(sampler->tail[size - c->done - 1]);
}

static void ban_words(ts_sampler *sampler)
{
    const ts_word_bans *bans = &sampler->bans;
    float *logits = sampler->candidates.logits;
    for (size_t i = 0; i < bans->always_count; i++)
        logits[bans->always[i]] = -INFINITY;
    for (size_t i = 0; i < bans->completion_count; i++) {
        const ts_completion *c = &bans->completions[i];
        if (!is_begun(sampler, c))
            continue;
        for (uint32_t k = 0; k < c->count; k++)
            logits[bans->tokens[c->first + k]] = -INFINITY;
    }
}

/* ---- repeated n-grams ---- */

/* What followed the last n - 1 tokens before does not follow them again. */
static void ban_repeats(ts_sampler *sampler, size_t n)
{
    size_t count = sampler->token_count, given = n - 1;
    if (count < n)
        return;
    const uint32_t *last = sampler->tokens + count - given;
    for (size_t at = 0; at + given < count; at++)
        if (memcmp(sampler->tokens + at, last, given * sizeof *last) == 0)
            sampler->candidates.logits[sampler->tokens[at + given]] = -INFINITY;
}

void ts_constrain(ts_sampler *sampler)
{
    const ts_sampler_options *o = &sampler->options;
    float *logits = sampler->candidates.logits;
    for (size_t i = 0; i < o->bias_count; i++)
        logits[o->biases[i].token] += o->biases[i].bias;
    if (o->ignore_end) {
        logits[ts_tokenizer_end_of_text(sampler->model->tokenizer)] = -INFINITY;
        logits[ts_tokenizer_begin_of_text(sampler->model->tokenizer)] = -INFINITY;
    }
    ban_words(sampler);
    ts_required_constrain(sampler);
    if (o->no_repeat_ngram > 0)
        ban_repeats(sampler, o->no_repeat_ngram);
}

/* ---- penalties ---- */

void ts_penalize(ts_sampler *sampler)
{
    const ts_sampler_options *o = &sampler->options;
    ts_candidates *candidates = &sampler->candidates;
    size_t window = o->penalty_window ? TS_MIN((size_t)o->penalty_window, sampler->token_count) : sampler->token_count;
    const uint32_t *tokens = sampler->tokens + sampler->token_count - window;
    for (size_t i = 0; i < window; i++)
        if (sampler->counts[tokens[i]] < UINT16_MAX)
            sampler->counts[tokens[i]]++;
    for (size_t i = 0; i < candidates->count; i++) {
        float count = sampler->counts[candidates->ids[i]], *logit = &candidates->logits[i];
        if (count == 0)
            continue;
        *logit = *logit > 0 ? *logit / o->repetition_penalty : *logit * o->repetition_penalty;
        *logit = ts_bounded(*logit - (count * o->frequency_penalty + o->presence_penalty));
    }
    for (size_t i = 0; i < window; i++)
        sampler->counts[tokens[i]] = 0;
}

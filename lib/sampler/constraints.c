/* What may not be drawn, whatever the model thinks of it: biases, banned words, repeated n-grams; and the penalties of what was told lately. */
#include "sampler/inside.h"

#include <math.h>

/* Part of a word: letters of any language, digits and apostrophes. */
static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\'' || (unsigned char)c >= 0x80;
}

/* ---- banned words ---- */

static bool begins(const char *text, size_t size, const char *with, size_t length)
{
    if (size < length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (ts_ascii_lower(text[i]) != with[i])
            return false;
    return true;
}

/* Whether a token has the word within it, not at its beginning. */
static bool holds_word(const char *token, size_t size, const char *word, size_t length)
{
    for (size_t at = 1; at + length <= size; at++)
        if (!in_word(token[at - 1]) && begins(token + at, size - at, word, length))
            return true;
    return false;
}

static void find_of_word(ts_word_bans *bans, const ts_tokenizer *tokenizer, const char *word, size_t length)
{
    uint32_t count = ts_tokenizer_size(tokenizer);
    for (uint32_t id = 0; id < count; id++) {
        size_t size;
        const char *token = ts_tokenizer_token(tokenizer, id, &size);
        if (ts_tokenizer_is_special(tokenizer, id) || !holds_word(token, size, word, length))
            continue;
        if (bans->always)
            bans->always[bans->always_count] = id;
        bans->always_count++;
    }
    for (size_t done = 0; done < length; done++) {
        uint32_t first = (uint32_t)bans->token_count;
        for (uint32_t id = 0; id < count; id++) {
            size_t size;
            const char *token = ts_tokenizer_token(tokenizer, id, &size);
            if (ts_tokenizer_is_special(tokenizer, id) || !begins(token, size, word + done, length - done))
                continue;
            if (bans->tokens)
                bans->tokens[bans->token_count] = id;
            bans->token_count++;
        }
        if (bans->token_count == first)
            continue;
        if (bans->completions)
            bans->completions[bans->completion_count] =
                (ts_completion){.word = word, .done = (uint8_t)done, .first = first, .count = (uint32_t)bans->token_count - first};
        bans->completion_count++;
    }
}

void ts_word_bans_find(ts_word_bans *bans, const ts_tokenizer *tokenizer, const char *const *words, size_t count)
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
        find_of_word(bans, tokenizer, at ? at : word, length);
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
    if (size < c->done || memcmp(sampler->tail + size - c->done, c->word, c->done) != 0)
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
        for (uint32_t k = 0; is_begun(sampler, c) && k < c->count; k++)
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

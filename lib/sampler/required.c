/*
 * Words that a story must hold. Where one is missing, each place is weighed: the probability p that the model itself goes on with the whole word there, against
 * e^-bias, which falls the longer no word has come. The word is told with the odds (p e^bias)^SHARPNESS, so it comes where it is least surprising among the
 * places of a stretch, rather than at a fixed place. A word of several tokens is read ahead to know its probability.
 */
#include <math.h>

#include "sampler/inside.h"

#define LEAST_BIAS 2.0     /* nats: at once a word is told only where it is likely anyway */
#define RISE 12.0          /* nats over a word's share of `within`: then nearly any place will do */
#define LATE_RISE 40.0     /* times the square of what is beyond it, for words that the model would hardly ever tell */
#define SHARPNESS 4        /* 1 would often take a place well before the best one: it cost a tenth more bits for 200 triples of words */
#define WORTH_READING 0.01 /* odds by the first token alone that are worth reading the others ahead */

/* What a word cannot be followed by. An apostrophe may: the dog's. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

/* ---- the words ---- */

/* The tokens of a word as they come after `before`. */
static ts_status encode_after(const ts_tokenizer *tokenizer, const char *before, const char *word, ts_spelling *into)
{
    uint32_t all[TS_MOST_REQUIRED + 8], alone[8];
    char text[TS_MOST_REQUIRED + 8];
    size_t prefix, count, size = strlen(before);
    memcpy(text, before, size);
    memcpy(text + size, word, strlen(word) + 1);
    into->count = 0;
    /* The space belongs to the word's token. */
    TS_TRY(ts_tokenizer_encode(tokenizer, before, size - (before[size - 1] == ' '), 0, alone, TS_COUNT_OF(alone), &prefix));
    TS_TRY(ts_tokenizer_encode(tokenizer, text, strlen(text), 0, all, TS_COUNT_OF(all), &count));
    if (count <= prefix || count - prefix > TS_COUNT_OF(into->ids) || memcmp(all, alone, prefix * sizeof *all) != 0)
        return TS_OK;
    memcpy(into->ids, all + prefix, (count - prefix) * sizeof *all);
    into->count = (uint32_t)(count - prefix);
    return TS_OK;
}

static ts_status read_word(ts_required_word *into, const ts_tokenizer *tokenizer, const char *word)
{
    static const char *const before[] = {"a ", "\n"};
    char text[TS_MOST_REQUIRED + 1];
    memset(into, 0, sizeof *into);
    into->size = strlen(word);
    memcpy(into->given, word, into->size);
    for (size_t i = 0; i < into->size; i++)
        into->text[i] = ts_ascii_lower(word[i]);
    memcpy(text, word, into->size + 1);
    for (size_t i = 0; i < TS_COUNT_OF(into->spellings); i++) { /* as given, then as a sentence begins */
        if (i == TS_COUNT_OF(before))
            text[0] = text[0] >= 'a' && text[0] <= 'z' ? (char)(text[0] - 32) : text[0];
        if (i < TS_COUNT_OF(before) || text[0] != word[0])
            TS_TRY(encode_after(tokenizer, before[i % TS_COUNT_OF(before)], text, &into->spellings[i]));
    }
    return TS_OK;
}

ts_status ts_required_read(ts_required *required, const ts_tokenizer *tokenizer, const char *const *words, size_t count, uint32_t within)
{
    ts_required read = {.count = count, .within = within};
    if (count > TS_MOST_REQUIRED_WORDS || (count > 0 && words == NULL))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%zu words are required, expected at most %d, and not NULL", count, TS_MOST_REQUIRED_WORDS);
    for (size_t i = 0; i < count; i++) {
        size_t size = words[i] ? strlen(words[i]) : 0;
        if (size == 0 || size > TS_MOST_REQUIRED)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "words[%zu] has %zu bytes, expected 1 to %d", i, size, TS_MOST_REQUIRED);
        TS_TRY(read_word(&read.words[i], tokenizer, words[i]));
    }
    *required = read;
    return TS_OK;
}

void ts_required_begin(ts_required *required)
{
    for (size_t i = 0; i < required->count; i++)
        required->words[i].told = required->words[i].at_end = false;
    required->since = 0;
    required->forced = required->forced_count = 0;
}

size_t ts_required_missing(const ts_required *required)
{
    size_t missing = 0;
    for (size_t i = 0; i < required->count; i++)
        missing += !required->words[i].told && !required->words[i].at_end;
    return missing;
}

/* ---- what was told ---- */

void ts_required_note(ts_sampler *sampler)
{
    ts_required *required = &sampler->required;
    const char *tail = sampler->tail;
    size_t size = sampler->tail_size, missing = ts_required_missing(required);
    for (size_t i = 0; i < required->count; i++) {
        ts_required_word *word = &required->words[i];
        word->at_end = false;
        for (size_t at = 0; !word->told && at + word->size <= size; at++) {
            size_t end = at + word->size;
            if ((at > 0 ? is_letter(tail[at - 1]) : size == sizeof sampler->tail) || memcmp(tail + at, word->text, word->size) != 0)
                continue;
            word->at_end = end == size;
            word->told = end < size && !is_letter(tail[end]);
        }
    }
    if (ts_required_missing(required) < missing)
        required->since = sampler->told;
}

/* A story does not end before its words have come, and a word that has just come is not made longer. */
void ts_required_constrain(ts_sampler *sampler)
{
    const ts_required *required = &sampler->required;
    const ts_tokenizer *tokenizer = sampler->model->tokenizer;
    float *logits = sampler->candidates.logits;
    bool at_end = false;
    for (size_t i = 0; i < required->count; i++)
        at_end = at_end || required->words[i].at_end;
    if (ts_required_missing(required) > 0) {
        logits[ts_tokenizer_end_of_text(tokenizer)] = -INFINITY;
        logits[ts_tokenizer_begin_of_text(tokenizer)] = -INFINITY;
    }
    for (uint32_t id = 0; at_end && id < sampler->candidates.capacity; id++) {
        size_t size;
        const char *bytes = ts_tokenizer_token(tokenizer, id, &size);
        if (size > 0 && is_letter(bytes[0]) && !ts_tokenizer_is_special(tokenizer, id))
            logits[id] = -INFINITY;
    }
}

/* ---- weighing ---- */

static double log_of_sum(const ts_sampler *sampler, const float *logits)
{
    size_t count = sampler->candidates.capacity;
    float most = sampler->model->kernels->maximum(logits, count);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += exp((double)(logits[i] - most));
    return (double)most + log(sum);
}

/* The log-probability of a spelling's tokens after its first, read ahead; the cache is as it was afterwards. -INFINITY: there is no room. */
static double read_ahead(ts_sampler *sampler, const ts_spelling *spelling)
{
    const ts_model *model = sampler->model;
    size_t used = sampler->cache.used, rows = spelling->count - 1;
    double sum = 0;
    if (rows > sampler->scratch.rows || used + spelling->count >= sampler->options.context_length)
        return -INFINITY;
    ts_inference_rows(model->runtime, model->kernels, &model->shape, &model->weights, spelling->ids, rows, &sampler->cache, &sampler->scratch);
    sampler->cache.used = used;
    for (size_t i = 0; i < rows; i++) {
        ts_inference_logits(model->runtime, model->kernels, &model->shape, &model->weights, sampler->scratch.norm + i * model->shape.C, 1, sampler->ahead,
                            &sampler->scratch);
        sum += (double)sampler->ahead[spelling->ids[i + 1]] - log_of_sum(sampler, sampler->ahead);
    }
    return sum;
}

static bool fits_here(const ts_sampler *sampler, const ts_spelling *spelling)
{
    if (spelling->count == 0)
        return false;
    size_t size;
    const char *bytes = ts_tokenizer_token(sampler->model->tokenizer, spelling->ids[0], &size);
    char last = sampler->tail_size > 0 ? sampler->tail[sampler->tail_size - 1] : '\n';
    return size > 0 && !(is_letter(bytes[0]) && is_letter(last)) && !(bytes[0] == ' ' && (last == ' ' || last == '\n'));
}

/* (p e^bias)^SHARPNESS, bounded so that sums of them stay finite. */
static double odds_of(ts_sampler *sampler, const ts_spelling *spelling, double total, double bias)
{
    double log_odds = (double)sampler->logits[spelling->ids[0]] - total + bias;
    if (!(log_odds > log(WORTH_READING)))
        return 0;
    if (spelling->count > 1)
        log_odds += read_ahead(sampler, spelling);
    return exp(TS_MIN(SHARPNESS * log_odds, 20.0));
}

/* Chooses a word to be told here, or none. Greedy: the likeliest once it is even with going on freely. */
static void choose(ts_sampler *sampler)
{
    ts_required *required = &sampler->required;
    double odds[TS_MOST_REQUIRED_WORDS * TS_SPELLINGS], sum = 0, most = 0, total = log_of_sum(sampler, sampler->logits);
    double shares = (double)(sampler->told - required->since) * (double)required->count / required->within, late = TS_MAX(shares - 1, 0.0);
    double bias = LEAST_BIAS + RISE * shares + LATE_RISE * late * late;
    ts_random random = {.seed = sampler->seed, .stream = 1, .counter = sampler->told};
    for (size_t i = 0; i < required->count * TS_SPELLINGS; i++) {
        ts_required_word *word = &required->words[i / TS_SPELLINGS];
        const ts_spelling *spelling = &word->spellings[i % TS_SPELLINGS];
        odds[i] = !word->told && !word->at_end && fits_here(sampler, spelling) ? odds_of(sampler, spelling, total, bias) : 0;
        sum += odds[i];
        most = TS_MAX(most, odds[i]);
    }
    double point = ts_random_unit(&random) * (1 + sum);
    bool greedy = sampler->options.temperature == 0;
    if (greedy ? sum < 1 : point >= sum)
        return;
    size_t chosen = 0;
    while (greedy ? odds[chosen] < most : point >= odds[chosen] && chosen + 1 < required->count * TS_SPELLINGS)
        point -= odds[chosen++];
    required->forced_word = (uint8_t)(chosen / TS_SPELLINGS);
    required->forced_spelling = (uint8_t)(chosen % TS_SPELLINGS);
    required->forced = 0;
    required->forced_count = required->words[required->forced_word].spellings[required->forced_spelling].count;
}

bool ts_required_next(ts_sampler *sampler, uint32_t *id)
{
    ts_required *required = &sampler->required;
    if (required->forced == required->forced_count && ts_required_missing(required) > 0)
        choose(sampler);
    if (required->forced == required->forced_count)
        return false;
    *id = required->words[required->forced_word].spellings[required->forced_spelling].ids[required->forced++];
    if (required->forced == required->forced_count)
        required->forced = required->forced_count = 0;
    return true;
}

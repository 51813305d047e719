#define _GNU_SOURCE
/* Constraints, penalties, stop strings and sessions, each against its definition worked out from ts_model_logits and whole texts. */
#include "../model/model_fixture.h"

#include "sampler/inside.h"

#include <ctype.h>
#include <math.h>
#include <pthread.h>
#include <time.h>

enum { CONTEXT = 48, MOST_TEXT = 4096 };

static ts_model *model;
static size_t V, token_count;
static uint32_t end_id;

static int make_model(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    architecture.context_length = CONTEXT;
    model = fixture_model_of(NULL, tokenizer, &architecture, 7);
    ts_tokenizer_free(tokenizer);
    V = model->shape.V;
    token_count = ts_tokenizer_size(model->tokenizer);
    end_id = ts_tokenizer_end_of_text(model->tokenizer);
    return 0;
}

static int free_model(void **state)
{
    (void)state;
    ts_model_free(model);
    return 0;
}

static ts_sampler_options options_of(float temperature)
{
    ts_sampler_options options;
    assert_int_equal(ts_sampler_options_init(&options, sizeof options), TS_OK);
    options.temperature = temperature;
    options.context_length = CONTEXT;
    return options;
}

static ts_sampler *sampler_of(const ts_sampler_options *options)
{
    ts_sampler *sampler;
    assert_ok(ts_sampler_new(&sampler, model, options));
    return sampler;
}

typedef struct story {
    char text[MOST_TEXT];
    size_t size;
    uint32_t ids[CONTEXT];
    size_t count;
    int32_t finish;
} story;

static void tell_on(ts_sampler *sampler, story *s)
{
    const char *text;
    size_t size;
    for (;;) {
        assert_ok(ts_sampler_next(sampler, &text, &size));
        if (text == NULL)
            break;
        assert_true(s->size + size < MOST_TEXT);
        memcpy(s->text + s->size, text, size);
        s->size += size;
    }
    s->text[s->size] = 0;
    const uint32_t *ids = ts_sampler_tokens(sampler, &s->count);
    memcpy(s->ids, ids, s->count * sizeof *ids);
    s->finish = ts_sampler_finish(sampler);
}

static story tell(ts_sampler *sampler, const char *prompt, uint64_t seed)
{
    story s = {.size = 0};
    assert_ok(ts_sampler_start_seeded(sampler, prompt, strlen(prompt), seed));
    tell_on(sampler, &s);
    return s;
}

static void assert_same(const story *a, const story *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->ids, b->ids, a->count * sizeof *a->ids);
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->finish, b->finish);
}

/* ---- greedy stories by definition ---- */

typedef void change_logits(const uint32_t *ids, size_t count, float *logits);

/* The prompt's and the story's tokens when each next one is the likeliest after `change`. */
static size_t greedy_by(change_logits *change, const char *prompt, uint32_t *ids)
{
    size_t count;
    float *all = malloc(CONTEXT * V * sizeof *all), *last = malloc(V * sizeof *last);
    ids[0] = ts_tokenizer_begin_of_text(model->tokenizer);
    assert_ok(ts_tokenizer_encode(model->tokenizer, prompt, strlen(prompt), 0, ids + 1, CONTEXT - 1, &count));
    for (count++; count < CONTEXT; count++) {
        assert_ok(ts_model_logits(model, ids, count, all, CONTEXT * V));
        memcpy(last, all + (count - 1) * V, V * sizeof *last);
        change(ids, count, last);
        uint32_t best = 0;
        for (uint32_t id = 1; id < token_count; id++)
            if (last[id] > last[best])
                best = id;
        if (best == end_id)
            break;
        ids[count] = best;
    }
    free(all);
    free(last);
    return count;
}

static void compare_greedy(const ts_sampler_options *options, change_logits *change)
{
    static const char *const prompts[] = {"", "The cat", "Lily and Ben, Lily and", "a b c d e"};
    ts_sampler *sampler = sampler_of(options);
    for (size_t i = 0; i < TS_COUNT_OF(prompts); i++) {
        uint32_t ids[CONTEXT];
        story s = tell(sampler, prompts[i], 0);
        size_t count = greedy_by(change, prompts[i], ids);
        assert_int_equal(s.count, count);
        assert_memory_equal(s.ids, ids, count * sizeof *ids);
    }
    ts_sampler_free(sampler);
}

static const ts_token_bias biases[] = {{'e', -INFINITY}, {'q', 3.5f}, {'t', -2}, {'a', -INFINITY}, {260, 1}};

static void add_biases(const uint32_t *ids, size_t count, float *logits)
{
    (void)ids, (void)count;
    for (size_t i = 0; i < TS_COUNT_OF(biases); i++)
        logits[biases[i].token] += biases[i].bias;
}

static void biases_are_added(void **state)
{
    (void)state;
    ts_sampler_options options = options_of(0);
    options.biases = biases;
    options.bias_count = TS_COUNT_OF(biases);
    compare_greedy(&options, add_biases);
}

/* Every kind of penalty, over a window and over all. */
static uint32_t window;

static void penalize(const uint32_t *ids, size_t count, float *logits)
{
    for (uint32_t id = 0; id < token_count; id++) {
        size_t times = 0;
        for (size_t i = window && count > window ? count - window : 0; i < count; i++)
            times += ids[i] == id;
        if (times > 0) {
            logits[id] = logits[id] > 0 ? logits[id] / 1.3f : logits[id] * 1.3f;
            logits[id] -= (float)times * 0.4f + 0.7f;
        }
    }
}

static void penalties(void **state)
{
    (void)state;
    for (window = 0; window <= 9; window += 3) {
        ts_sampler_options options = options_of(0);
        options.repetition_penalty = 1.3f;
        options.frequency_penalty = 0.4f;
        options.presence_penalty = 0.7f;
        options.penalty_window = window;
        compare_greedy(&options, penalize);
    }
}

static void forbid_third(const uint32_t *ids, size_t count, float *logits)
{
    for (size_t i = 0; count >= 3 && i + 2 < count; i++)
        if (ids[i] == ids[count - 2] && ids[i + 1] == ids[count - 1])
            logits[ids[i + 2]] = -INFINITY;
}

static void repeated_ngrams(void **state)
{
    (void)state;
    ts_sampler_options options = options_of(0);
    options.no_repeat_ngram = 3;
    compare_greedy(&options, forbid_third);
}

/* ---- banned words ---- */

static const char *const banned[] = {"t", "Wa", "\xc3\xa9", "o'", "he"};

static bool in_word(unsigned char c)
{
    return isalnum(c) || c == '\'' || c >= 0x80;
}

/* Whether a word that begins at or after `from` begins with a banned one. */
static bool has_banned(const char *text, size_t size, size_t from)
{
    for (size_t at = from; at < size; at++)
        for (size_t i = 0; i < TS_COUNT_OF(banned) && (at == 0 || !in_word((unsigned char)text[at - 1])); i++) {
            size_t length = strlen(banned[i]);
            if (at + length <= size && strncasecmp(text + at, banned[i], length) == 0)
                return true;
        }
    return false;
}

static size_t text_of(const uint32_t *ids, size_t count, char *text)
{
    size_t size;
    assert_ok(ts_tokenizer_decode(model->tokenizer, ids + 1, count - 1, text, MOST_TEXT, &size));
    return size;
}

/* A token is forbidden if the text with it has a banned beginning that the text without it had not. */
static void forbid_words(const uint32_t *ids, size_t count, float *logits)
{
    char before[MOST_TEXT], after[MOST_TEXT];
    uint32_t more[CONTEXT + 1];
    size_t size = text_of(ids, count, before);
    memcpy(more, ids, count * sizeof *ids);
    for (uint32_t id = 0; id < token_count; id++) {
        if (ts_tokenizer_is_special(model->tokenizer, id))
            continue;
        more[count] = id;
        size_t all = text_of(more, count + 1, after);
        for (size_t at = 0; at < all; at++) /* a banned beginning at `at` that ends in the new bytes */
            for (size_t i = 0; i < TS_COUNT_OF(banned) && (at == 0 || !in_word((unsigned char)after[at - 1])); i++) {
                size_t end = at + strlen(banned[i]);
                if (end > size && end <= all && strncasecmp(after + at, banned[i], end - at) == 0)
                    logits[id] = -INFINITY;
            }
    }
}

static void banned_words(void **state)
{
    (void)state;
    ts_sampler_options options = options_of(0);
    options.banned_words = banned;
    options.banned_word_count = TS_COUNT_OF(banned);
    compare_greedy(&options, forbid_words);
    options.temperature = 3;
    ts_sampler *sampler = sampler_of(&options);
    options.banned_word_count = 0;
    ts_sampler *free_one = sampler_of(&options);
    size_t would_have = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        char text[MOST_TEXT];
        story s = tell(sampler, "So", seed);
        size_t size = text_of(s.ids, s.count, text);
        assert_false(has_banned(text, size, 0));
        s = tell(free_one, "So", seed);
        size = text_of(s.ids, s.count, text);
        would_have += has_banned(text, size, 0);
    }
    assert_true(would_have > 100); /* the constraint had something to do */
    ts_sampler_free(sampler);
    ts_sampler_free(free_one);
}

static bool goes_on(const char *bytes, size_t size, const char *text)
{
    return size >= strlen(text) && strncasecmp(bytes, text, strlen(text)) == 0;
}

/* How many tokens begin with a text, or (within) have a word in them, not at their beginning, that does. */
static size_t count_tokens(const ts_tokenizer *tokenizer, const char *text, bool within)
{
    size_t count = 0;
    for (uint32_t id = 0; id < ts_tokenizer_size(tokenizer); id++) {
        size_t size;
        const char *bytes = ts_tokenizer_token(tokenizer, id, &size);
        for (size_t at = within; at < (within ? size : 1) && !ts_tokenizer_is_special(tokenizer, id); at++)
            count += goes_on(bytes + at, size - at, text) && !(within && in_word((unsigned char)bytes[at - 1]));
    }
    return count;
}

/* Short words and long ones, of which many tokens begin alike: each is forbidden the tokens that complete it, and those that hold it. */
static void check_bans(const ts_model *large)
{
    static const char *const words[] = {"The", "everything", "Unfortunately", "it's", "a", "extraordinary", "themsel", "new york"};
    ts_sampler_options options = options_of(1);
    ts_sampler *sampler;
    options.context_length = 0;
    options.banned_words = words;
    options.banned_word_count = TS_COUNT_OF(words);
    assert_ok(ts_sampler_new(&sampler, large, &options));
    const ts_word_bans *bans = &sampler->bans;
    size_t always = 0, next = 0;
    for (size_t i = 0; i < TS_COUNT_OF(words); i++) {
        always += count_tokens(large->tokenizer, words[i], true);
        for (size_t done = 0; words[i][done] != 0; done++) {
            size_t count = count_tokens(large->tokenizer, words[i] + done, false);
            const ts_completion *c = &bans->completions[next];
            if (count == 0)
                continue;
            assert_true(next++ < bans->completion_count && strcasecmp(c->word, words[i]) == 0 && c->done == done && c->count == count);
            for (size_t k = 0; k < count; k++) {
                size_t size;
                const char *bytes = ts_tokenizer_token(large->tokenizer, bans->tokens[c->first + k], &size);
                assert_true(goes_on(bytes, size, words[i] + done));
            }
        }
    }
    assert_true(always > 1000);
    assert_int_equal(always, bans->always_count);
    assert_int_equal(next, bans->completion_count);
    ts_sampler_free(sampler);
}

/* A thousand words cost a model of many tokens no more than a moment; the tokens that they forbid are tried against the definition above. */
static void many_banned_words(void **state)
{
    (void)state;
    enum { WORDS = 1000 };
    ts_tokenizer *tokenizer;
    ts_model *large;
    ts_sampler *sampler;
    ts_sampler_options options = options_of(1);
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    char(*words)[24] = malloc(WORDS * sizeof *words);
    const char **pointers = malloc(WORDS * sizeof *pointers);
    double best = 1e9;
    ts_status opened = ts_tokenizer_open(&tokenizer, NULL, test_data("tokenizers/gpt2"));
    if (opened == TS_ERROR_UNSUPPORTED) { /* a build without JSON */
        free(words);
        free(pointers);
        skip();
    }
    assert_int_equal(opened, TS_OK);
    a.width = 8, a.heads = 1, a.key_value_heads = 1, a.layers = 1;
    assert_ok(ts_model_new(&large, NULL, tokenizer, &a, 1));
    for (size_t i = 0; i < WORDS; i++) {
        snprintf(words[i], sizeof *words, "bannedword%zu", i * 7919);
        pointers[i] = words[i];
    }
    options.context_length = 0;
    options.banned_words = pointers;
    options.banned_word_count = WORDS;
    for (int i = 0; i < 3; i++) {
        double start = ts_clock();
        assert_ok(ts_sampler_new(&sampler, large, &options));
        best = TS_MIN(best, ts_clock() - start);
        ts_sampler_free(sampler);
    }
    if (best > 4) /* a scan of the vocabulary for each letter took 20 s; a sanitizer takes a while as well */
        fail_msg("%d words took %.0f ms", WORDS, 1e3 * best);
    check_bans(large);
    ts_model_free(large);
    ts_tokenizer_free(tokenizer);
    free(words);
    free(pointers);
}

static void nothing_left(void **state)
{
    (void)state;
    ts_token_bias *all = malloc(token_count * sizeof *all);
    for (uint32_t i = 0; i < token_count; i++)
        all[i] = (ts_token_bias){i, -INFINITY};
    ts_sampler_options options = options_of(1);
    options.biases = all;
    options.bias_count = token_count;
    ts_sampler *sampler = sampler_of(&options);
    story s = tell(sampler, "The", 3);
    assert_int_equal(s.size, 0);
    assert_int_equal(s.finish, TS_FINISH_FORBIDDEN);
    ts_sampler_free(sampler);
    all[7].bias = 0; /* one is left: it is drawn whatever the steps are */
    options.top_p = 0.01f, options.min_p = 1, options.top_k = 1, options.presence_penalty = 100;
    sampler = sampler_of(&options);
    s = tell(sampler, "", 3);
    for (size_t i = 1; i < s.count; i++)
        assert_int_equal(s.ids[i], 7);
    assert_int_equal(s.count, CONTEXT);
    ts_sampler_free(sampler);
    free(all);
}

/* ---- the order of steps ---- */

/* The tokens that may be drawn first after a prompt: those that 400 seeds draw. */
static size_t drawn_set(const ts_sampler_options *options, bool *set)
{
    ts_sampler *sampler = sampler_of(options);
    size_t count = 0;
    memset(set, 0, token_count);
    for (uint64_t seed = 0; seed < 400; seed++) {
        const char *text;
        size_t size;
        uint32_t id;
        assert_ok(ts_sampler_start_seeded(sampler, "The", 3, seed));
        assert_ok(ts_sampler_next(sampler, &text, &size));
        assert_ok(ts_sampler_alternatives(sampler, &id, NULL, NULL, NULL, 0, NULL));
        count += !set[id];
        set[id] = true;
    }
    ts_sampler_free(sampler);
    return count;
}

/* How many of the likeliest hold a share p together at a temperature. */
static size_t nucleus(double p, double temperature)
{
    float *logits = malloc(CONTEXT * V * sizeof *logits);
    uint32_t ids[CONTEXT];
    size_t count;
    double *weights = malloc(token_count * sizeof *weights), total = 0, held = 0;
    ids[0] = ts_tokenizer_begin_of_text(model->tokenizer);
    assert_ok(ts_tokenizer_encode(model->tokenizer, "The", 3, 0, ids + 1, CONTEXT - 1, &count));
    assert_ok(ts_model_logits(model, ids, count + 1, logits, CONTEXT * V));
    for (size_t i = 0; i < token_count; i++)
        total += weights[i] = exp((double)logits[count * V + i] / temperature);
    size_t kept = 0;
    for (; held < p * total; kept++) {
        size_t best = 0;
        for (size_t i = 1; i < token_count; i++)
            if (weights[i] > weights[best])
                best = i;
        held += weights[best];
        weights[best] = -1;
    }
    free(logits);
    free(weights);
    return kept;
}

/* The logits after "The" and the tokens that penalties then look at. */
static size_t after_the(float *last, uint32_t *ids)
{
    float *logits = malloc(CONTEXT * V * sizeof *logits);
    size_t count;
    ids[0] = ts_tokenizer_begin_of_text(model->tokenizer);
    assert_ok(ts_tokenizer_encode(model->tokenizer, "The", 3, 0, ids + 1, CONTEXT - 1, &count));
    assert_ok(ts_model_logits(model, ids, count + 1, logits, CONTEXT * V));
    memcpy(last, logits + count * V, V * sizeof *last);
    free(logits);
    return count + 1;
}

/* A penalty is divided by a temperature that comes after it, and not by one before it: min-p then keeps what the definition says, no more and no
 * less. */
static void temperature_and_penalties(void **state)
{
    (void)state;
    static const uint8_t orders[2][8] = {{TS_STEP_TEMPERATURE, TS_STEP_PENALTIES, TS_STEP_MIN_P},
                                         {TS_STEP_PENALTIES, TS_STEP_TEMPERATURE, TS_STEP_MIN_P}};
    const float temperature = 4, min_p = 0.3f;
    float *last = malloc(V * sizeof *last);
    uint32_t ids[CONTEXT];
    size_t count = after_the(last, ids), kept[2];
    bool set[2][1024];
    ts_sampler_options options = options_of(temperature);
    options.min_p = min_p;
    options.repetition_penalty = 1.2f;
    options.presence_penalty = -3; /* as a reward, so that what it is given to is surely drawn */
    options.penalty_window = 0;
    for (size_t k = 0; k < 2; k++) {
        double most = -INFINITY, logits[1024];
        memcpy(options.steps, orders[k], 8);
        kept[k] = drawn_set(&options, set[k]);
        for (uint32_t id = 0; id < token_count; id++) {
            double logit = (double)last[id] / (k == 0 ? (double)temperature : 1);
            bool there = false;
            for (size_t i = 0; i < count; i++)
                there = there || ids[i] == id;
            if (there)
                logit = (logit > 0 ? logit / 1.2 : logit * 1.2) + 3;
            logits[id] = logit / (k == 1 ? (double)temperature : 1);
            most = TS_MAX(most, logits[id]);
        }
        size_t expected = 0;
        for (uint32_t id = 0; id < token_count; id++) {
            expected += logits[id] >= most + log((double)min_p);
            assert_true(!set[k][id] || logits[id] >= most + log((double)min_p) - 1e-4);
        }
        assert_in_range(kept[k], expected * 3 / 4, expected);
    }
    assert_true(kept[0] * 2 < kept[1]); /* the orders differ */
    /* The likeliest is what it was: no division moves it, and none makes it infinite. */
    memcpy(options.steps, orders[0], 8);
    options.presence_penalty = 0, options.repetition_penalty = 1e-44f;
    for (int k = 0; k < 2; k++) {
        options.temperature = k == 0 ? 0 : 1e-44f;
        ts_sampler *sampler = sampler_of(&options);
        story s = tell(sampler, "The", 1);
        assert_true(s.count > count);
        ts_sampler_free(sampler);
    }
    free(last);
}

static void order_of_steps(void **state)
{
    (void)state;
    bool set[1024];
    assert_true(token_count <= sizeof set);
    ts_sampler_options options = options_of(4);
    options.top_p = 0.4f;
    size_t hot = drawn_set(&options, set);
    assert_in_range(hot, nucleus(0.4, 4) * 3 / 4, nucleus(0.4, 4));
    memcpy(options.steps, (uint8_t[8]){TS_STEP_TOP_P, TS_STEP_TEMPERATURE}, 8);
    size_t cold = drawn_set(&options, set);
    assert_int_equal(cold, nucleus(0.4, 1));
    assert_true(cold < hot);
    memcpy(options.steps, (uint8_t[8]){TS_STEP_TEMPERATURE}, 8); /* what is not in the list is not done */
    assert_true(drawn_set(&options, set) > hot);
}

/* ---- stop strings ---- */

static void stop_strings(void **state)
{
    (void)state;
    ts_sampler_options options = options_of(2);
    options.max_tokens = 40;
    size_t stopped = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        ts_sampler *plain = sampler_of(&options);
        story whole = tell(plain, "The", seed);
        ts_sampler_free(plain);
        if (whole.size < 12)
            continue;
        for (size_t at = 0; at + 7 < whole.size; at += 3) {
            char cut[8] = {0}, never[] = "\x01\x02 never";
            memcpy(cut, whole.text + at, 1 + at % 7);
            if (strlen(cut) != 1 + at % 7)
                continue; /* a story of this model may have NULs */
            const char *stops[] = {never, cut, "The end of all stories that were never told"};
            ts_sampler_options with = options;
            with.stops = stops;
            with.stop_count = 3;
            ts_sampler *sampler = sampler_of(&with);
            memset(cut, 'x', sizeof cut - 1); /* the sampler has its own copy */
            memcpy(cut, whole.text + at, 1 + at % 7);
            cut[1 + at % 7] = 0;
            story s = tell(sampler, "The", seed);
            char *first = memmem(whole.text, whole.size, cut, strlen(cut));
            assert_non_null(first);
            assert_int_equal(s.finish, TS_FINISH_STOP);
            assert_int_equal(s.size, first - whole.text);
            assert_memory_equal(s.text, whole.text, s.size);
            ts_sampler_free(sampler);
            stopped++;
        }
        /* A stop string that only begins: what was held back is told at the end. */
        char almost[16] = {0};
        memcpy(almost, whole.text + whole.size - 3, 3);
        strcat(almost, "\x01\x02");
        const char *one = almost;
        ts_sampler_options with = options;
        with.stops = &one;
        with.stop_count = 1;
        ts_sampler *sampler = sampler_of(&with);
        story s = tell(sampler, "The", seed);
        assert_same(&s, &whole);
        ts_sampler_free(sampler);
    }
    assert_true(stopped > 300);
}

/* ---- sessions ---- */

static void skip_pieces(ts_sampler *sampler, story *s, size_t pieces)
{
    const char *text;
    size_t size;
    for (size_t i = 0; i < pieces; i++) {
        assert_ok(ts_sampler_next(sampler, &text, &size));
        if (text == NULL)
            return;
        memcpy(s->text + s->size, text, size);
        s->size += size;
    }
}

static void clones_go_on_alike(void **state)
{
    (void)state;
    ts_sampler_options options = options_of(1.5f);
    const char *stops[] = {"zzz", "the end"}, *words[] = {"dog"};
    options.stops = stops, options.stop_count = 2;
    options.banned_words = words, options.banned_word_count = 1;
    options.frequency_penalty = 0.2f;
    options.biases = biases, options.bias_count = TS_COUNT_OF(biases);
    ts_sampler *sampler = sampler_of(&options), *copy;
    for (uint64_t seed = 0; seed < 20; seed++) {
        story one = {.size = 0}, other;
        assert_ok(ts_sampler_start_seeded(sampler, "The cat", 7, seed));
        skip_pieces(sampler, &one, seed);
        assert_ok(ts_sampler_clone(&copy, sampler));
        other = one;
        tell_on(sampler, &one);
        tell_on(copy, &other);
        assert_same(&one, &other);
        assert_int_equal(ts_sampler_seed(copy), seed);
        ts_sampler_free(copy);
    }
    assert_int_equal(ts_sampler_clone(NULL, sampler), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_clone(&copy, NULL), TS_ERROR_INVALID_ARGUMENT);
    ts_sampler_free(sampler);
}

/* After a cut the greedy story is what it was; a new start that shares a beginning gives the same bits as one that shares none. */
static void cuts_and_shared_prefixes(void **state)
{
    (void)state;
    ts_sampler_options options = options_of(0);
    ts_sampler *sampler = sampler_of(&options), *fresh = sampler_of(&options);
    story whole = tell(sampler, "Lily and", 0);
    size_t prompt;
    assert_ok(ts_tokenizer_encode(model->tokenizer, "Lily and", 8, 0, (uint32_t[CONTEXT]){0}, CONTEXT, &prompt));
    for (size_t count = whole.count; count > 0; count--) {
        story again = {.size = 0};
        assert_ok(ts_sampler_cut(sampler, count, 0));
        tell_on(sampler, &again);
        if (count > prompt) { /* within the story; before, the prompt is another */
            assert_int_equal(again.count, whole.count);
            assert_memory_equal(again.ids, whole.ids, whole.count * sizeof *whole.ids);
        }
        assert_ok(ts_sampler_cut(sampler, again.count, 0));
        again = tell(sampler, "Lily and", 0);
        assert_same(&again, &whole);
    }
    assert_int_equal(ts_sampler_cut(sampler, 0, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_cut(sampler, 1000, 0), TS_ERROR_INVALID_ARGUMENT);
    static const char *const prompts[] = {"Lily and Ben", "Lily", "", "Lily and Ben went to the", "The", "Lily and Ben went to"};
    ts_sampler_free(sampler);
    options.temperature = 1;
    sampler = sampler_of(&options);
    for (size_t i = 0; i < 4 * TS_COUNT_OF(prompts); i++) {
        const char *beginning = prompts[i * 5 % TS_COUNT_OF(prompts)];
        ts_sampler_free(fresh);
        fresh = sampler_of(&options);
        story a = tell(sampler, beginning, i), b = tell(fresh, beginning, i);
        assert_same(&a, &b);
    }
    ts_sampler_free(sampler);
    ts_sampler_free(fresh);
}

static void in_frames(void **state)
{
    (void)state;
    ts_sampler_options options = options_of(1);
    ts_sampler *sampler = sampler_of(&options);
    story whole = tell(sampler, "The", 5);
    for (uint64_t microseconds = 0; microseconds < 4000; microseconds += 1500) {
        const char *text;
        size_t size, calls = 0;
        story s = {.size = 0};
        assert_ok(ts_sampler_start_seeded(sampler, "The", 3, 5));
        for (;; calls++) {
            assert_ok(ts_sampler_run_for(sampler, microseconds, &text, &size));
            if (text == NULL)
                break;
            assert_int_equal(strlen(text), size);
            memcpy(s.text + s.size, text, size);
            s.size += size;
        }
        tell_on(sampler, &s);
        assert_same(&s, &whole);
        assert_true(microseconds > 0 || calls >= whole.count - 3); /* a token a call when there is no time */
    }
    ts_sampler_free(sampler);
}

static void cancelled(void **state)
{
    (void)state;
    ts_sampler_options options = options_of(1);
    ts_sampler *sampler = sampler_of(&options);
    const char *text;
    size_t size;
    story whole = tell(sampler, "The", 1), s = {.size = 0};
    ts_sampler_cancel(sampler);
    assert_int_equal(ts_sampler_start(sampler, "The cat", 7), TS_ERROR_CANCELLED);
    assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_ERROR_INVALID_ARGUMENT); /* no story began */
    assert_ok(ts_sampler_start_seeded(sampler, "The", 3, 1));
    ts_sampler_cancel(sampler);
    ts_sampler_cancel(NULL);
    assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_ERROR_CANCELLED);
    tell_on(sampler, &s); /* one call is cancelled, the story is not */
    assert_same(&s, &whole);
    ts_sampler_free(sampler);
}

/* ---- cancelled from another thread ---- */

/* A model whose prompts take a while: about a millisecond a layer for 64 tokens. */
static ts_model *slow_model(uint32_t context_length)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_model *slow;
    a.context_length = context_length, a.width = 128, a.layers = 4, a.heads = 4, a.key_value_heads = 4, a.hidden = 384;
    assert_ok(ts_model_new(&slow, NULL, tokenizer, &a, 1));
    ts_tokenizer_free(tokenizer);
    return slow;
}

typedef struct canceller {
    ts_sampler *sampler;
    double after, at; /* seconds to wait, and when it was cancelled */
} canceller;

static void *cancel_later(void *argument)
{
    canceller *c = argument;
    struct timespec wait = {.tv_nsec = (long)(c->after * 1e9)};
    nanosleep(&wait, NULL);
    c->at = ts_clock();
    ts_sampler_cancel(c->sampler);
    return NULL;
}

/* A prompt of 2,000 tokens is given up soon: the best of some tries is far below what reading all of it takes. */
static void cancelled_in_a_prompt(void **state)
{
    (void)state;
    enum { TOKENS = 2000 };
    ts_model *slow = slow_model(2048);
    ts_sampler *sampler;
    ts_sampler_options options;
    char prompt[TOKENS];
    assert_ok(ts_sampler_options_init(&options, sizeof options));
    assert_ok(ts_sampler_new(&sampler, slow, &options));
    for (size_t i = 0; i < TOKENS; i++)
        prompt[i] = (char)('0' + i * 7 % 10);
    double start = ts_clock();
    assert_ok(ts_sampler_start(sampler, prompt, TOKENS));
    double whole = ts_clock() - start, latency = 1e9;
    size_t count;
    ts_sampler_tokens(sampler, &count);
    assert_true(count > TOKENS * 3 / 4);
    for (int i = 0; i < 5; i++) {
        canceller c = {sampler, whole / 8 * (i + 1), 0};
        pthread_t thread;
        prompt[0] = (char)('a' + i); /* nothing of the last prompt is there */
        assert_int_equal(pthread_create(&thread, NULL, cancel_later, &c), 0);
        ts_status status = ts_sampler_start(sampler, prompt, TOKENS);
        double end = ts_clock();
        pthread_join(thread, NULL);
        const char *text;
        size_t size;
        if (status == TS_OK) { /* the machine was busy elsewhere, and the cancel came late: it is the next call's */
            assert_status(ts_sampler_next(sampler, &text, &size), TS_ERROR_CANCELLED);
            continue;
        }
        assert_int_equal(status, TS_ERROR_CANCELLED);
        assert_status(ts_sampler_next(sampler, &text, &size), TS_ERROR_INVALID_ARGUMENT);
        latency = TS_MIN(latency, end - c.at);
    }
    if (!(latency < whole / 20))
        fail_msg("cancelled after %.1f ms at best, the whole prompt takes %.1f ms", 1e3 * latency, 1e3 * whole);
    assert_ok(ts_sampler_start(sampler, prompt, 20));
    ts_sampler_free(sampler);
    ts_model_free(slow);
}

/* What a frame told before it was cancelled is given, and the next call is the cancelled one. */
static void cancelled_in_a_frame(void **state)
{
    (void)state;
    static char all[1 << 16], whole[1 << 16];
    ts_model *slow = slow_model(512);
    ts_sampler *sampler;
    ts_sampler_options options;
    const char *text;
    size_t size, used = 0, told = 0;
    assert_ok(ts_sampler_options_init(&options, sizeof options));
    options.ignore_end = 1, options.max_tokens = 200;
    assert_ok(ts_sampler_new(&sampler, slow, &options));
    assert_ok(ts_sampler_start(sampler, "The", 3));
    while (ts_sampler_next(sampler, &text, &size) == TS_OK && text != NULL) {
        memcpy(whole + told, text, size);
        told += size;
    }
    assert_ok(ts_sampler_start(sampler, "The", 3));
    for (int i = 0; i < 4; i++) {
        canceller c = {sampler, 0.003, 0};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_later, &c), 0);
        ts_status status = ts_sampler_run_for(sampler, 10000000, &text, &size);
        pthread_join(thread, NULL);
        if (status == TS_OK) { /* the text that came before it, or on a fast machine the end */
            if (text != NULL)
                memcpy(all + used, text, size);
            used += size;
            status = ts_sampler_run_for(sampler, 1000, &text, &size);
        }
        assert_int_equal(status, TS_ERROR_CANCELLED);
    }
    for (;;) {
        assert_ok(ts_sampler_run_for(sampler, 10000000, &text, &size));
        if (text == NULL)
            break;
        memcpy(all + used, text, size);
        used += size;
    }
    assert_int_equal(used, told);
    assert_memory_equal(all, whole, told);
    assert_int_equal(ts_sampler_finish(sampler), TS_FINISH_MAX_TOKENS);
    ts_sampler_free(sampler);
    ts_model_free(slow);
}

static void alternatives(void **state)
{
    (void)state;
    ts_sampler_options options = options_of(1.2f);
    ts_sampler *sampler = sampler_of(&options);
    float *logits = malloc(CONTEXT * V * sizeof *logits);
    const char *text;
    size_t size, count, found;
    uint32_t token, tokens[5];
    float chosen, log_probabilities[5];
    assert_ok(ts_sampler_start_seeded(sampler, "The", 3, 9));
    assert_int_equal(ts_sampler_alternatives(sampler, &token, NULL, NULL, NULL, 0, NULL), TS_ERROR_INVALID_ARGUMENT);
    for (int step = 0; step < 10; step++) {
        const uint32_t *ids = ts_sampler_tokens(sampler, &count);
        assert_ok(ts_model_logits(model, ids, count, logits, CONTEXT * V));
        const float *last = logits + (count - 1) * V;
        assert_ok(ts_sampler_next(sampler, &text, &size));
        assert_ok(ts_sampler_alternatives(sampler, &token, &chosen, tokens, log_probabilities, 5, &found));
        if (text == NULL)
            break;
        double total = 0;
        for (size_t i = 0; i < token_count; i++)
            total += exp((double)last[i]);
        assert_int_equal(token, ts_sampler_tokens(sampler, &count)[count - 1]);
        assert_float_equal(chosen, (double)last[token] - log(total), 1e-4);
        assert_int_equal(found, 5);
        for (size_t i = 0; i < 5; i++) {
            size_t better = 0;
            for (size_t k = 0; k < token_count; k++)
                better += last[k] > last[tokens[i]] || (last[k] == last[tokens[i]] && k < tokens[i]);
            assert_int_equal(better, i);
            assert_float_equal(log_probabilities[i], (double)last[tokens[i]] - log(total), 1e-4);
        }
    }
    free(logits);
    ts_sampler_free(sampler);
}

/* ---- memory ---- */

static ts_status use_everything(ts_runtime *runtime, void *user)
{
    (void)user;
    ts_tokenizer *tokenizer;
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_model *own;
    ts_sampler *sampler = NULL, *copy = NULL;
    text_list list = {fixture_stories, TS_COUNT_OF(fixture_stories), 0};
    ts_tokenizer_train_options training;
    assert_ok(ts_tokenizer_train_options_init(&training, sizeof training));
    training.vocabulary_size = 280;
    TS_TRY(ts_tokenizer_train(&tokenizer, runtime, next_of_list, &list, &training));
    ts_status status = ts_model_new(&own, runtime, tokenizer, &architecture, 1);
    ts_tokenizer_free(tokenizer);
    TS_TRY(status);
    const char *stops[] = {"zzz"};
    ts_sampler_options options = options_of(1);
    options.stops = stops, options.stop_count = 1;
    options.banned_words = banned, options.banned_word_count = TS_COUNT_OF(banned);
    options.presence_penalty = 1;
    status = ts_sampler_new(&sampler, own, &options);
    if (status == TS_OK)
        status = ts_sampler_start(sampler, "The", 3);
    if (status == TS_OK)
        status = ts_sampler_clone(&copy, sampler);
    ts_sampler_free(copy);
    ts_sampler_free(sampler);
    ts_model_free(own);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(sweep_memory_alone(use_everything, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(biases_are_added),
        cmocka_unit_test(penalties),
        cmocka_unit_test(repeated_ngrams),
        cmocka_unit_test(banned_words),
        cmocka_unit_test(nothing_left),
        cmocka_unit_test(order_of_steps),
        cmocka_unit_test(many_banned_words),
        cmocka_unit_test(cancelled_in_a_prompt),
        cmocka_unit_test(cancelled_in_a_frame),
        cmocka_unit_test(temperature_and_penalties),
        cmocka_unit_test(stop_strings),
        cmocka_unit_test(clones_go_on_alike),
        cmocka_unit_test(cuts_and_shared_prefixes),
        cmocka_unit_test(in_frames),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(alternatives),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_model, free_model);
}

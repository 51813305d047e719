/* Beam search against a plain one that works everything out anew from ts_model_logits, and against all stories where there are few. */
#include <math.h>

#include "../model/model_fixture.h"

enum { CONTEXT = 24, MOST_BEAMS = 8, MOST_TEXT = 4096 };

static ts_model *model;
static size_t V, token_count;
static uint32_t end_id;

static int make_model(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    architecture.context_length = CONTEXT;
    model = fixture_model_of(NULL, tokenizer, &architecture, 21);
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

static ts_sampler *sampler_of(uint32_t beams, uint32_t max_tokens, const ts_token_bias *bias)
{
    ts_sampler_options options;
    ts_sampler *sampler;
    assert_ok(ts_sampler_options_init(&options, sizeof options));
    options.beams = beams;
    options.max_tokens = max_tokens;
    options.no_repeat_ngram = 3;
    options.biases = bias;
    options.bias_count = bias != NULL;
    assert_ok(ts_sampler_new(&sampler, model, &options));
    return sampler;
}

/* ---- the plain search ---- */

typedef struct hypothesis {
    uint32_t ids[CONTEXT];
    size_t count;
    double score;
    int32_t finish;
} hypothesis;

/* Log-probabilities of what follows, after the constraints. */
static void follow(const hypothesis *h, const ts_token_bias *bias, double *into)
{
    static float logits[CONTEXT * 2048];
    assert_ok(ts_model_logits(model, h->ids, h->count, logits, TS_COUNT_OF(logits)));
    float *last = logits + (h->count - 1) * V;
    double sum = 0;
    if (bias != NULL)
        last[bias->token] += bias->bias;
    for (size_t i = 0; h->count >= 3 && i + 2 < h->count; i++)
        if (h->ids[i] == h->ids[h->count - 2] && h->ids[i + 1] == h->ids[h->count - 1])
            last[h->ids[i + 2]] = -INFINITY;
    for (size_t i = 0; i < token_count; i++)
        sum += exp((double)last[i]);
    for (size_t i = 0; i < token_count; i++)
        into[i] = (double)last[i] - log(sum);
}

static void keep(hypothesis *list, size_t *count, size_t most, const hypothesis *h)
{
    size_t at = *count;
    while (at > 0 && h->score > list[at - 1].score)
        at--;
    if (at == most)
        return;
    *count += *count < most;
    memmove(list + at + 1, list + at, (*count - at - 1) * sizeof *list);
    list[at] = *h;
}

static hypothesis plain_search(const hypothesis *prompt, size_t beams, size_t max_tokens, const ts_token_bias *bias)
{
    hypothesis running[MOST_BEAMS], finished[MOST_BEAMS], best[2 * MOST_BEAMS];
    double *next = malloc(token_count * sizeof *next);
    size_t run = 1, done = 0, most = TS_MIN((size_t)CONTEXT, prompt->count + max_tokens);
    bool goes_on = true;
    running[0] = *prompt;
    while (goes_on && running[0].count < most) {
        size_t found = 0, rank = 0, grown = 0, length = running[0].count + 1 - prompt->count;
        for (size_t i = 0; i < run; i++) {
            follow(&running[i], bias, next);
            for (uint32_t id = 0; id < token_count; id++) {
                hypothesis h = running[i];
                h.ids[h.count++] = id;
                h.score += next[id];
                if (next[id] > -INFINITY)
                    keep(best, &found, 2 * beams, &h);
            }
        }
        for (; rank < found && grown < beams; rank++) {
            hypothesis h = best[rank];
            if (h.ids[h.count - 1] != end_id) {
                running[grown++] = h;
            } else if (rank < beams) {
                h.count--;
                h.score /= (double)length;
                h.finish = TS_FINISH_END;
                keep(finished, &done, beams, &h);
            }
        }
        run = grown;
        goes_on = grown > 0 && (done < beams || finished[beams - 1].score < best[0].score / (double)length);
    }
    for (size_t i = 0; i < run && goes_on; i++) {
        running[i].score /= (double)(running[i].count - prompt->count);
        running[i].finish = most == prompt->count + max_tokens && max_tokens < CONTEXT - prompt->count ? TS_FINISH_MAX_TOKENS : TS_FINISH_CONTEXT;
        keep(finished, &done, beams, &running[i]);
    }
    free(next);
    assert_true(done > 0);
    return finished[0];
}

static hypothesis prompt_of(const char *text)
{
    hypothesis h = {.count = 0};
    size_t count;
    h.ids[0] = ts_tokenizer_begin_of_text(model->tokenizer);
    assert_ok(ts_tokenizer_encode(model->tokenizer, text, strlen(text), 0, h.ids + 1, CONTEXT - 1, &count));
    h.count = count + 1;
    return h;
}

/* ---- comparing ---- */

static size_t tell(ts_sampler *sampler, char *into)
{
    size_t all = 0, size;
    const char *text;
    for (;;) {
        assert_ok(ts_sampler_next(sampler, &text, &size));
        if (text == NULL)
            return all;
        assert_true(all + size < MOST_TEXT);
        memcpy(into + all, text, size);
        all += size;
    }
}

static void assert_finds(ts_sampler *sampler, const char *prompt, const hypothesis *expected)
{
    char text[MOST_TEXT];
    size_t count;
    assert_ok(ts_sampler_start(sampler, prompt, strlen(prompt)));
    tell(sampler, text);
    const uint32_t *ids = ts_sampler_tokens(sampler, &count);
    assert_int_equal(count, expected->count);
    assert_memory_equal(ids, expected->ids, count * sizeof *ids);
    assert_int_equal(ts_sampler_finish(sampler), expected->finish);
}

static const char *const prompts[] = {"", "The cat", "Lily and Ben", "a b"};

/* Ends are made likely for half of the searches, so that finished stories compete. */
static void as_the_plain_search(void **state)
{
    (void)state;
    const ts_token_bias likely = {end_id, 2.5f}, *biases[] = {NULL, &likely};
    size_t ended = 0, differ = 0;
    for (size_t b = 0; b < 2; b++)
        for (uint32_t beams = 2; beams <= MOST_BEAMS; beams += 3)
            for (uint32_t max_tokens = 0; max_tokens <= 9; max_tokens += 3) {
                ts_sampler *sampler = sampler_of(beams, max_tokens, biases[b]);
                for (size_t i = 0; i < TS_COUNT_OF(prompts); i++) {
                    hypothesis prompt = prompt_of(prompts[i]);
                    hypothesis expected = plain_search(&prompt, beams, max_tokens ? max_tokens : CONTEXT, biases[b]);
                    hypothesis greedy = plain_search(&prompt, 1, max_tokens ? max_tokens : CONTEXT, biases[b]);
                    assert_finds(sampler, prompts[i], &expected);
                    ended += expected.finish == TS_FINISH_END;
                    differ += memcmp(expected.ids, greedy.ids, sizeof greedy.ids) != 0;
                }
                ts_sampler_free(sampler);
            }
    assert_true(ended > 10);
    assert_true(differ > 30);
}

/* With as many beams as tokens, stories of two tokens are all tried. */
static void the_best_of_all(void **state)
{
    (void)state;
    hypothesis prompt = prompt_of("The"), best = {.score = -INFINITY};
    double *first = malloc(token_count * sizeof *first), *second = malloc(token_count * sizeof *second);
    follow(&prompt, NULL, first);
    for (uint32_t id = 0; id < token_count; id++) {
        hypothesis h = prompt;
        if (id == end_id) {
            h.finish = TS_FINISH_END;
            h.score = first[id];
            if (h.score > best.score)
                best = h;
            continue;
        }
        h.ids[h.count++] = id;
        follow(&h, NULL, second);
        for (uint32_t next = 0; next < token_count; next++) {
            hypothesis two = h;
            two.score = (first[id] + second[next]) / 2;
            two.finish = next == end_id ? TS_FINISH_END : TS_FINISH_MAX_TOKENS;
            if (next != end_id)
                two.ids[two.count++] = next;
            if (two.score > best.score)
                best = two;
        }
    }
    free(first);
    free(second);
    ts_sampler *sampler = sampler_of(512, 2, NULL);
    assert_true(token_count <= 512);
    assert_finds(sampler, "The", &best);
    ts_sampler_free(sampler);
}

/* Clones and saved sessions tell the rest of what was found; words cannot be required; a cancelled search can be begun again. */
static void sessions(void **state)
{
    (void)state;
    static unsigned char file[1 << 16];
    static const char *const words[] = {"cat"};
    ts_sampler *sampler = sampler_of(4, 0, NULL), *clone, *loaded;
    char a[MOST_TEXT], b[MOST_TEXT];
    const char *text;
    size_t size, saved;
    assert_status(ts_sampler_require(sampler, words, 1, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_ok(ts_sampler_start(sampler, "The", 3));
    assert_ok(ts_sampler_next(sampler, &text, &size));
    assert_status(ts_sampler_alternatives(sampler, NULL, NULL, NULL, NULL, 0, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("4 beams");
    for (size_t told = 0; told < 6; told++) {
        assert_ok(ts_sampler_start(sampler, "The", 3));
        for (size_t i = 0; i < told; i++)
            assert_ok(ts_sampler_next(sampler, &text, &size));
        assert_ok(ts_sampler_clone(&clone, sampler));
        assert_ok(ts_sampler_save_memory(sampler, file, sizeof file, &saved));
        assert_ok(ts_sampler_load_memory(&loaded, model, file, saved, NULL));
        size = tell(sampler, a);
        assert_int_equal(tell(clone, b), size);
        assert_memory_equal(a, b, size);
        assert_int_equal(tell(loaded, b), size);
        assert_memory_equal(a, b, size);
        ts_sampler_free(clone);
        ts_sampler_free(loaded);
    }
    assert_ok(ts_sampler_start(sampler, "The", 3));
    ts_sampler_cancel(sampler);
    assert_status(ts_sampler_next(sampler, &text, &size), TS_ERROR_CANCELLED);
    hypothesis prompt = prompt_of("The"), expected = plain_search(&prompt, 4, CONTEXT, NULL);
    assert_finds(sampler, "The", &expected);
    ts_sampler_free(sampler);
}

/* Nothing may be told at all. */
static void nothing_left(void **state)
{
    (void)state;
    ts_token_bias *all = malloc(token_count * sizeof *all);
    ts_sampler_options options;
    ts_sampler *sampler;
    const char *text;
    size_t size;
    for (uint32_t i = 0; i < token_count; i++)
        all[i] = (ts_token_bias){i, -INFINITY};
    assert_ok(ts_sampler_options_init(&options, sizeof options));
    options.beams = 3;
    options.biases = all;
    options.bias_count = token_count;
    assert_ok(ts_sampler_new(&sampler, model, &options));
    assert_ok(ts_sampler_start(sampler, "The", 3));
    assert_ok(ts_sampler_next(sampler, &text, &size));
    assert_null(text);
    assert_int_equal(ts_sampler_finish(sampler), TS_FINISH_FORBIDDEN);
    ts_sampler_free(sampler);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_plain_search),
        cmocka_unit_test(the_best_of_all),
        cmocka_unit_test(sessions),
        cmocka_unit_test(nothing_left),
    };
    return cmocka_run_group_tests(tests, make_model, free_model);
}

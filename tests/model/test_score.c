/* Scores against a slow recomputation from the definition, through ts_model_logits alone. */
#define _GNU_SOURCE
#include "model_fixture.h"

#include <math.h>

static double slow_nats_of(const float *logits, size_t V, uint32_t target)
{
    double greatest = logits[0], sum = 0;
    for (size_t i = 1; i < V; i++)
        greatest = logits[i] > greatest ? logits[i] : greatest;
    for (size_t i = 0; i < V; i++)
        sum += exp(logits[i] - greatest);
    return log(sum) + greatest - logits[target];
}

/* Marks every predicted token of a window; what was marked before is not counted again. */
static double slow_score(const ts_model *model, const uint32_t *ids, size_t count, size_t *counted)
{
    size_t T = model->shape.T, V = model->shape.V, length = count + 2;
    uint32_t end = ts_tokenizer_end_of_text(ts_model_tokenizer(model)), *sequence = malloc(length * sizeof *sequence);
    char *marked = calloc(length, 1);
    float *logits = malloc(T * V * sizeof *logits);
    double nats = 0;
    sequence[0] = sequence[length - 1] = end;
    memcpy(sequence + 1, ids, count * sizeof *ids);
    *counted = 0;
    for (size_t at = 0; at < length - 1; at += T / 2) {
        size_t inputs = length - 1 - at < T ? length - 1 - at : T;
        assert_int_equal(ts_model_logits(model, sequence + at, inputs, logits, T * V), TS_OK);
        for (size_t i = 0; i < inputs; i++) {
            if (marked[at + i + 1])
                continue;
            marked[at + i + 1] = 1;
            nats += slow_nats_of(logits + i * V, V, sequence[at + i + 1]);
            ++*counted;
        }
    }
    assert_int_equal(*counted, length - 1);
    free(sequence);
    free(marked);
    free(logits);
    return nats;
}

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-6 * (1 + fabs(b))))
        fail_msg("%.12g is not %.12g", a, b);
}

static void windows(void **state)
{
    (void)state;
    static const uint32_t contexts[] = {2, 3, 7, 16, 270}; /* the last: more than is read at once */
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    uint32_t tokens = ts_tokenizer_size(tokenizer);
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++) {
        for (size_t c = 0; c < sizeof contexts / sizeof *contexts; c++) {
            uint32_t T = contexts[c];
            ts_architecture a = fixture_architecture(kind);
            ts_scorer *scorer;
            a.context_length = T;
            a.layers = T > 100 ? 1 : 2;
            ts_model *model = fixture_model_of(NULL, tokenizer, &a, T);
            assert_int_equal(ts_scorer_make(&scorer, model), TS_OK);
            const size_t lengths[] = {1, T - 2 + (T == 2), T - 1, T, T + 1, 2 * T - 1, T < 100 ? 5 * T + 3 : 1};
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                size_t count = lengths[i], counted;
                uint32_t *ids = malloc(count * sizeof *ids);
                for (size_t j = 0; j < count; j++)
                    ids[j] = (uint32_t)(ts_random_at(1, i, j) % tokens);
                ts_score score = {.struct_size = sizeof score};
                assert_int_equal(ts_scorer_add(scorer, ids, count, 3 * count, &score), TS_OK);
                assert_near(score.nats, slow_score(model, ids, count, &counted));
                assert_int_equal(score.tokens, counted);
                assert_int_equal(score.bytes, 3 * count);
                assert_int_equal(score.stories, 1);
                ts_score_finish(&score);
                assert_near(score.nats_per_token, score.nats / (double)counted);
                assert_near(score.bits_per_byte, score.nats / (double)(3 * count) / log(2));
                assert_near(score.perplexity, exp(score.nats / (double)counted));
                free(ids);
            }
            ts_scorer_free(scorer);
            ts_model_free(model);
        }
    }
    ts_tokenizer_free(tokenizer);
}

static const char *const texts[] = {
    "  \n\tOnce upon a time there was a dog.\r\n ", " \n", "", "Lily played in the park. <|endoftext|>, said the bird.", "The end",
};

static void pulled_texts(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_GPT_NEO);
    text_list list = {texts, 5, 0};
    ts_score score = {.struct_size = sizeof score};
    static const char *const trimmed[] = {"Once upon a time there was a dog.", "Lily played in the park. <|endoftext|>, said the bird.", "The end"};
    double nats = 0;
    uint64_t bytes = 0, tokens = 0;
    for (size_t i = 0; i < 3; i++) {
        uint32_t ids[200];
        size_t count, counted;
        assert_int_equal(ts_tokenizer_encode(ts_model_tokenizer(model), trimmed[i], strlen(trimmed[i]), 0, ids, 200, &count), TS_OK);
        nats += slow_score(model, ids, count, &counted);
        tokens += count + 1;
        bytes += strlen(trimmed[i]);
    }
    assert_int_equal(ts_model_score(model, next_of_list, &list, &score), TS_OK);
    assert_near(score.nats, nats);
    assert_near(score.bits_per_byte, nats / (double)bytes / log(2));
    assert_int_equal(score.bytes, bytes);
    assert_int_equal(score.tokens, tokens);
    assert_int_equal(score.stories, 3);

    list = (text_list){texts + 1, 2, 0}; /* nothing but white space */
    assert_int_equal(ts_model_score(model, next_of_list, &list, &score), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_model_score(model, NULL, NULL, &score), TS_ERROR_INVALID_ARGUMENT);
    ts_model_free(model);
}

static int32_t stop_at_once(void *user, uint64_t done, uint64_t total)
{
    (void)total;
    *(uint64_t *)user = done;
    return done == 2;
}

static void files(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    char all[1000] = "";
    for (size_t i = 0; i < 4; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), " %s\n<|endoftext|>\n", fixture_stories[i]);
    const char *text = put_file("stories.txt", all, strlen(all)), *nothing = put_file("nothing.txt", "", 0), *shard = in_work("stories.bin");

    const char *paths[2] = {text, shard};
    ts_score of_text = {.struct_size = sizeof of_text}, of_shard = of_text, of_both = of_text, of_list = of_text;
    text_list list = {fixture_stories, 4, 0};
    uint64_t done = 0;
    assert_int_equal(ts_tokenizer_encode_files(ts_model_tokenizer(model), paths, 1, shard, NULL, NULL, NULL), TS_OK);
    assert_int_equal(ts_model_score_files(model, paths, 1, &of_text, NULL, NULL), TS_OK);
    assert_int_equal(ts_model_score_files(model, paths + 1, 1, &of_shard, NULL, NULL), TS_OK);
    assert_int_equal(ts_model_score_files(model, paths, 2, &of_both, NULL, NULL), TS_OK);
    assert_int_equal(ts_model_score(model, next_of_list, &list, &of_list), TS_OK);
    assert_memory_equal(&of_text, &of_shard, sizeof of_text);
    assert_memory_equal(&of_text, &of_list, sizeof of_text);
    assert_int_equal(of_text.stories, 4);
    assert_int_equal(of_both.tokens, 2 * of_text.tokens);
    assert_near(of_both.nats, 2 * of_text.nats);

    assert_int_equal(ts_model_score_files(model, paths, 1, &of_text, stop_at_once, &done), TS_ERROR_CANCELLED);
    assert_int_equal(done, 2);
    paths[0] = nothing;
    assert_int_equal(ts_model_score_files(model, paths, 1, &of_text, NULL, NULL), TS_ERROR_INVALID_ARGUMENT);
    paths[0] = "/nonexistent/stories.txt";
    assert_int_equal(ts_model_score_files(model, paths, 1, &of_text, NULL, NULL), TS_ERROR_IO);

    /* Another tokenizer made the shard. */
    text_list other_list = {texts + 3, 1, 0};
    ts_tokenizer *other;
    ts_tokenizer_train_options options;
    assert_int_equal(ts_tokenizer_train_options_init(&options, sizeof options), TS_OK);
    options.vocabulary_size = 258;
    options.min_frequency = 1;
    assert_int_equal(ts_tokenizer_train(&other, NULL, next_of_list, &other_list, &options), TS_OK);
    paths[0] = text;
    assert_int_equal(ts_tokenizer_encode_files(other, paths, 1, shard, NULL, NULL, NULL), TS_OK);
    assert_int_equal(ts_model_score_files(model, paths + 1, 1, &of_text, NULL, NULL), TS_ERROR_MISMATCH);
    ts_tokenizer_free(other);

    ts_model_free(model);
}

static void not_finite(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    text_list list = {texts, 5, 0};
    ts_score score = {.struct_size = sizeof score, .tokens = 77};
    model->weights.all[0][TS_SLOT_OUTPUT_NORM][3] = NAN;
    assert_int_equal(ts_model_score(model, next_of_list, &list, &score), TS_ERROR_DIVERGED);
    assert_int_equal(score.tokens, 77);
    ts_model_free(model);
}

static ts_status attempt_score(ts_runtime *runtime, void *user)
{
    ts_model *model;
    const ts_model *from = user;
    ts_score score = {.struct_size = sizeof score};
    text_list list = {texts, 5, 0};
    ts_status status = ts_model_from_parameters(&model, runtime, from->tokenizer, &from->architecture, from->data);
    if (status != TS_OK)
        return status;
    status = ts_model_score(model, next_of_list, &list, &score);
    ts_model_free(model);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    sweep_memory(attempt_score, model);
    ts_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows),    cmocka_unit_test(pulled_texts),  cmocka_unit_test(files),
        cmocka_unit_test(not_finite), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

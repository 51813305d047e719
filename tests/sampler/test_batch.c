/* Stories told together: the same, token by token, as each alone. */
#include "../model/model_fixture.h"

enum { STORIES = 11, MOST_TEXT = 4096 };

typedef struct told {
    char text[MOST_TEXT];
    size_t size;
    int32_t finish;
    uint32_t ids[512];
    size_t id_count;
} told;

/* Each of its own kind: greedy or not, long or short, sliding, stopped by a string, with penalties, with another context. */
static ts_sampler *make_sampler(const ts_model *model, size_t which)
{
    static const char *const stops[] = {"e"};
    ts_sampler_options o;
    ts_sampler *sampler;
    assert_ok(ts_sampler_options_init(&o, sizeof o));
    o.seed = which;
    o.temperature = which % 4 == 0 ? 0 : 1;
    o.top_k = which % 3 == 0 ? 20 : 0;
    o.max_tokens = (uint32_t)(5 + 7 * which);
    o.context_full = TS_CONTEXT_FULL_SLIDE;
    o.repetition_penalty = which % 5 == 1 ? 1.3f : 1;
    o.context_length = which % 2 ? 0 : 9;
    o.ignore_end = which != 7;
    if (which == 8) {
        o.stops = stops;
        o.stop_count = 1;
    }
    assert_ok(ts_sampler_new(&sampler, model, &o));
    static const char *const prompts[] = {"", "On", "The", "a cat"};
    assert_ok(ts_sampler_start(sampler, prompts[which % 4], strlen(prompts[which % 4])));
    return sampler;
}

static void add(told *t, const char *text, size_t size)
{
    assert_true(t->size + size <= sizeof t->text);
    memcpy(t->text + t->size, text, size);
    t->size += size;
}

static void keep_end(told *t, const ts_sampler *sampler)
{
    const uint32_t *ids = ts_sampler_tokens(sampler, &t->id_count);
    memcpy(t->ids, ids, t->id_count * sizeof *ids);
    t->finish = ts_sampler_finish(sampler);
}

static void tell_alone(const ts_model *model, told all[STORIES])
{
    memset(all, 0, STORIES * sizeof *all);
    for (size_t i = 0; i < STORIES; i++) {
        ts_sampler *sampler = make_sampler(model, i);
        const char *text = "";
        size_t size = 0;
        while (text != NULL) {
            add(&all[i], text, size);
            assert_ok(ts_sampler_next(sampler, &text, &size));
        }
        keep_end(&all[i], sampler);
        ts_sampler_free(sampler);
    }
}

/* Samplers leave when their story is over. */
static void tell_together(const ts_model *model, told all[STORIES])
{
    ts_batch *batch;
    ts_sampler *samplers[STORIES];
    size_t which[STORIES], sizes[STORIES], telling = STORIES;
    const char *texts[STORIES];
    ts_status statuses[STORIES];
    memset(all, 0, STORIES * sizeof *all);
    assert_ok(ts_batch_new(&batch, model, NULL));
    for (size_t i = 0; i < STORIES; i++) {
        samplers[i] = make_sampler(model, i);
        which[i] = i;
    }
    while (telling > 0) {
        assert_ok(ts_batch_next(batch, samplers, telling, texts, sizes, statuses));
        size_t kept = 0;
        for (size_t i = 0; i < telling; i++) {
            assert_int_equal(statuses[i], TS_OK);
            if (texts[i] == NULL) {
                keep_end(&all[which[i]], samplers[i]);
                ts_sampler_free(samplers[i]);
                continue;
            }
            add(&all[which[i]], texts[i], sizes[i]);
            samplers[kept] = samplers[i];
            which[kept++] = which[i];
        }
        telling = kept;
    }
    ts_batch_free(batch);
}

static void test_same_stories(void **state)
{
    static told alone[STORIES], together[STORIES];
    static const int32_t kinds[] = {TS_ARCHITECTURE_LLAMA, TS_ARCHITECTURE_GPT2, TS_ARCHITECTURE_GPT_NEO};
    (void)state;
    for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= ts_cpu_level_best(); level++)
        for (size_t k = 0; k < 3; k++)
            for (uint32_t threads = 1; threads <= 3; threads += 2) {
                ts_runtime *runtime = make_runtime(threads, level);
                ts_model *model = fixture_model(runtime, kinds[k]);
                tell_alone(model, alone);
                tell_together(model, together);
                assert_memory_equal(alone, together, sizeof alone);
                ts_model_free(model);
                ts_runtime_free(runtime);
            }
}

static void test_quantized(void **state)
{
    static told alone[STORIES], together[STORIES];
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_model *quantized;
    (void)state;
    a.width = 96;
    a.hidden = 64;
    ts_model *model = fixture_model_of(NULL, tokenizer, &a, 3);
    assert_ok(ts_model_quantize(&quantized, model, TS_MODEL_TYPE_Q8_0));
    tell_alone(quantized, alone);
    tell_together(quantized, together);
    assert_memory_equal(alone, together, sizeof alone);
    ts_model_free(quantized);
    ts_model_free(model);
    ts_tokenizer_free(tokenizer);
}

/* One sampler's failure is its own: the others go on, and the flags are given back. */
static void test_failures(void **state)
{
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA), *other = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    ts_batch *batch;
    ts_batch_options options;
    ts_sampler *samplers[3], *foreign = make_sampler(other, 1);
    const char *texts[4];
    size_t sizes[4];
    ts_status statuses[4];
    (void)state;
    assert_ok(ts_batch_options_init(&options, sizeof options));
    options.capacity = 0;
    assert_status(ts_batch_new(&batch, model, &options), TS_ERROR_INVALID_ARGUMENT);
    options.capacity = 3;
    options.context_length = (1 << 20) + 1;
    assert_status(ts_batch_new(&batch, model, &options), TS_ERROR_INVALID_ARGUMENT);
    options.context_length = 9;
    assert_ok(ts_batch_new(&batch, model, &options));
    for (size_t i = 0; i < 3; i++)
        samplers[i] = make_sampler(model, 2 * i);
    ts_sampler *const strange[] = {samplers[0], foreign}, *const longer[] = {make_sampler(model, 1)}, *const missing[] = {NULL};
    ts_sampler *const many[] = {samplers[0], samplers[1], samplers[2], samplers[0]}, *const twice[] = {samplers[0], samplers[1], samplers[0]};
    assert_status(ts_batch_next(batch, strange, 2, texts, sizes, statuses), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("samplers[1]");
    assert_status(ts_batch_next(batch, longer, 1, texts, sizes, statuses), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_batch_next(batch, missing, 1, texts, sizes, statuses), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_batch_next(batch, many, 4, texts, sizes, statuses), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_batch_next(batch, samplers, 3, NULL, sizes, statuses), TS_ERROR_INVALID_ARGUMENT);
    assert_ok(ts_batch_next(batch, NULL, 0, NULL, NULL, NULL));
    assert_status(ts_batch_next(batch, twice, 3, texts, sizes, statuses), TS_ERROR_BUSY);
    assert_detail("samplers[2]");
    assert_true(statuses[0] == TS_OK && statuses[1] == TS_OK && texts[0] != NULL && texts[1] != NULL);
    assert_int_equal(statuses[2], TS_ERROR_BUSY);
    ts_sampler_cancel(samplers[1]);
    assert_status(ts_batch_next(batch, samplers, 3, texts, sizes, statuses), TS_ERROR_CANCELLED);
    assert_true(statuses[0] == TS_OK && statuses[2] == TS_OK && statuses[1] == TS_ERROR_CANCELLED && texts[1] == NULL);
    assert_ok(ts_batch_next(batch, samplers, 3, texts, sizes, statuses)); /* it was cancelled once */
    model->weights.all[0][TS_SLOT_OUTPUT_NORM][3] = (float)__builtin_nan("");
    assert_status(ts_batch_next(batch, samplers, 3, texts, sizes, statuses), TS_ERROR_DIVERGED);
    assert_detail("samplers[0]");
    assert_status(ts_sampler_next(samplers[0], &texts[0], &sizes[0]), TS_ERROR_INVALID_ARGUMENT); /* the story is over, and nobody holds the sampler */
    for (size_t i = 0; i < 3; i++)
        ts_sampler_free(samplers[i]);
    ts_sampler_free(longer[0]);
    ts_sampler_free(foreign);
    ts_batch_free(batch);
    ts_batch_free(NULL);
    ts_model_free(model);
    ts_model_free(other);
}

static ts_status make_batch(ts_runtime *runtime, void *user)
{
    ts_model *model;
    ts_batch *batch = NULL;
    (void)user;
    TS_TRY(ts_model_open(&model, runtime, in_work("m.gguf"), NULL));
    ts_status status = ts_batch_new(&batch, model, NULL);
    ts_batch_free(batch);
    ts_model_free(model);
    return status;
}

static void test_memory(void **state)
{
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    (void)state;
    assert_ok(ts_model_save(model, in_work("m.gguf")));
    ts_model_free(model);
    assert_true(sweep_memory_alone(make_batch, NULL) > 3);
    remove_file("m.gguf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_stories),
        cmocka_unit_test(test_quantized),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("batch", tests, make_folder, remove_folder);
}

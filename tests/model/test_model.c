/* Presets, making models, what is in them, logits. */
#include "model_fixture.h"

#include <math.h>

static void presets(void **state)
{
    (void)state;
    /* The published shapes with 10,000 tokens and 512 positions: see the formula for a block, 12 C^2 + 10 C, and 2 C at the end. */
    static const struct {
        const char *name;
        uint64_t least, most;
    } expected[] = {
        {"laptop-0.3m", 280000, 380000},
        {"laptop-1m", 900000, 1300000},
        {"laptop-5m", 4700000, 5300000},
        {"paper-1m", 398464 + 10512 * 64, 398464 + 10512 * 64},
        {"paper-3m", 1583360 + 10512 * 128, 1583360 + 10512 * 128},
        {"paper-8m", 6312448 + 10512 * 256, 6312448 + 10512 * 256},
        {"paper-28m", 25207808 + 10512 * 512, 25207808 + 10512 * 512},
        {"paper-33m", 28343808 + 10512 * 768, 28343808 + 10512 * 768},
        {"paper-1layer-21m", 12595200 + 10512 * 1024, 12595200 + 10512 * 1024},
        {"paper-2layers-33m", 25188352 + 10512 * 1024, 25188352 + 10512 * 1024},
    };
    size_t count = sizeof expected / sizeof *expected;
    for (size_t i = 0; i < count; i++) {
        ts_architecture a = {.struct_size = sizeof a};
        uint64_t parameters = 0;
        assert_string_equal(ts_architecture_preset_name(i), expected[i].name);
        assert_int_equal(ts_architecture_preset(&a, expected[i].name), TS_OK);
        assert_int_equal(a.struct_size, sizeof a);
        assert_int_equal(ts_architecture_parameters(&a, &parameters), TS_OK);
        assert_in_range(parameters, expected[i].least, expected[i].most);
        assert_int_equal(a.width / a.heads * a.heads, a.width);
        if (a.kind == TS_ARCHITECTURE_LLAMA) {
            assert_int_equal(a.width / a.heads % 16, 0);
            assert_int_equal(a.vocabulary_size, 4096);
            assert_int_equal(a.context_length, 256);
        } else {
            assert_int_equal(a.kind, TS_ARCHITECTURE_GPT_NEO);
            assert_int_equal(a.heads, 16);
            assert_int_equal(a.hidden, 4 * a.width);
            assert_int_equal(a.window, 256);
            assert_int_equal(a.context_length, 512);
            assert_int_equal(a.vocabulary_size, 10000);
        }
    }
    assert_null(ts_architecture_preset_name(count));

    ts_architecture a = {.struct_size = sizeof a, .width = 5};
    assert_int_equal(ts_architecture_preset(&a, "paper-2m"), TS_ERROR_INVALID_ARGUMENT);
    assert_detail_has("paper-2m");
    assert_detail_has("laptop-0.3m");
    assert_detail_has("paper-2layers-33m");
    assert_int_equal(a.width, 5);
    assert_int_equal(ts_architecture_preset(&a, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_architecture_preset(NULL, "paper-1m"), TS_ERROR_INVALID_ARGUMENT);
}

static void wrong_shapes(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_model *model = NULL;
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    uint64_t parameters;
    assert_int_equal(ts_architecture_parameters(&a, &parameters), TS_ERROR_INVALID_ARGUMENT); /* no vocabulary */
    a.vocabulary_size = ts_tokenizer_size(tokenizer) - 1;
    assert_int_equal(ts_model_new(&model, NULL, tokenizer, &a, 0), TS_ERROR_MISMATCH);
    a.vocabulary_size = 0;
    a.width = 25;
    assert_int_equal(ts_model_new(&model, NULL, tokenizer, &a, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_detail_has("width");
    a = fixture_architecture(TS_ARCHITECTURE_GPT2);
    a.kind = 4;
    assert_int_equal(ts_model_new(&model, NULL, tokenizer, &a, 0), TS_ERROR_INVALID_ARGUMENT);
    a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    a.rotary_base = NAN;
    assert_int_equal(ts_model_new(&model, NULL, tokenizer, &a, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_model_new(&model, NULL, NULL, &a, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_null(model);
    ts_tokenizer_free(tokenizer);
}

static void new_models(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++) {
        ts_architecture a = fixture_architecture(kind), got = {.struct_size = sizeof got};
        ts_model *one, *same, *other;
        uint64_t parameters, sum = 0;
        a.untied_head = kind == TS_ARCHITECTURE_GPT2;
        assert_int_equal(ts_model_new(&one, NULL, tokenizer, &a, 3), TS_OK);
        assert_int_equal(ts_model_new(&same, NULL, tokenizer, &a, 3), TS_OK);
        assert_int_equal(ts_model_new(&other, NULL, tokenizer, &a, 4), TS_OK);
        assert_int_equal(ts_model_architecture(one, &got), TS_OK);
        assert_int_equal(got.vocabulary_size, ts_tokenizer_size(tokenizer));
        assert_int_equal(got.kind, kind);
        assert_int_equal(got.key_value_heads, kind == TS_ARCHITECTURE_LLAMA ? 2 : 6);
        assert_int_equal(ts_architecture_parameters(&got, &parameters), TS_OK);
        assert_int_equal(ts_model_parameters(one), parameters);
        assert_int_equal(ts_tokenizer_fingerprint(ts_model_tokenizer(one)), ts_tokenizer_fingerprint(tokenizer));
        for (size_t i = 0; i < ts_model_tensor_count(one); i++) {
            ts_tensor x = {.struct_size = sizeof x}, y = x, z = x;
            assert_int_equal(ts_model_tensor(one, i, &x), TS_OK);
            assert_int_equal(ts_model_tensor(same, i, &y), TS_OK);
            assert_int_equal(ts_model_tensor(other, i, &z), TS_OK);
            uint64_t elements = x.shape[0] * x.shape[1];
            sum += elements;
            assert_int_equal(x.shape[2] * x.shape[3], 1);
            assert_string_equal(x.name, y.name);
            assert_memory_equal(x.data, y.data, elements * sizeof(float));
            if (x.rank == 2) {
                assert_memory_not_equal(x.data, z.data, elements * sizeof(float));
                double square = 0;
                for (uint64_t j = 0; j < elements; j++)
                    square += (double)x.data[j] * x.data[j];
                double deviation = sqrt(square / (double)elements);
                int residual = strstr(x.name, "attn_output") != NULL || strstr(x.name, "ffn_down") != NULL;
                double expected = residual ? 0.02 / sqrt(6) : 0.02;
                assert_true(deviation > 0.85 * expected && deviation < 1.15 * expected);
            } else {
                float expected = strstr(x.name, "norm.weight") != NULL;
                for (uint64_t j = 0; j < elements; j++)
                    assert_true(x.data[j] == expected);
            }
        }
        assert_int_equal(sum, parameters);
        ts_tensor beyond = {.struct_size = sizeof beyond};
        assert_int_equal(ts_model_tensor(one, ts_model_tensor_count(one), &beyond), TS_ERROR_INVALID_ARGUMENT);
        ts_model_free(one);
        ts_model_free(same);
        ts_model_free(other);
    }
    /* No architecture: the default preset with the tokenizer's vocabulary. */
    ts_model *model;
    ts_architecture got = {.struct_size = sizeof got};
    assert_int_equal(ts_model_new(&model, NULL, tokenizer, NULL, 0), TS_OK);
    assert_int_equal(ts_model_architecture(model, &got), TS_OK);
    assert_int_equal(got.width, 128);
    assert_int_equal(got.vocabulary_size, ts_tokenizer_size(tokenizer));
    ts_model_free(model);
    ts_model_free(NULL);
    ts_tokenizer_free(tokenizer);
}

static void logits(void **state)
{
    (void)state;
    ts_runtime *three = make_runtime(3, TS_CPU_LEVEL_BEST);
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++) {
        ts_model *model = fixture_model(NULL, kind), *threaded = fixture_model(three, kind);
        enum { T = 16 };
        size_t V = model->shape.V;
        uint32_t ids[T];
        float *all = malloc(T * V * sizeof *all), *part = malloc(T * V * sizeof *part);
        for (uint32_t t = 0; t < T; t++)
            ids[t] = t * 37 % (uint32_t)V;
        assert_int_equal(ts_model_logits(model, ids, T, all, T * V), TS_OK);
        for (size_t i = 0; i < T * V; i++)
            assert_true(isfinite(all[i]));
        /* A position knows nothing of later ones; threads change nothing. */
        for (size_t count = 1; count <= T; count++) {
            assert_int_equal(ts_model_logits(count % 2 ? model : threaded, ids, count, part, count * V), TS_OK);
            assert_memory_equal(part, all, count * V * sizeof *part);
        }
        /* What is said depends on what was said before. */
        ids[0]++;
        assert_int_equal(ts_model_logits(model, ids, T, part, T * V), TS_OK);
        assert_memory_not_equal(part + 3 * V, all + 3 * V, V * sizeof *part);

        assert_int_equal(ts_model_logits(model, ids, 0, part, T * V), TS_ERROR_INVALID_ARGUMENT);
        assert_int_equal(ts_model_logits(model, ids, T + 1, part, T * V), TS_ERROR_INVALID_ARGUMENT);
        assert_int_equal(ts_model_logits(model, ids, T, part, T * V - 1), TS_ERROR_BUFFER_TOO_SMALL);
        ids[5] = (uint32_t)V;
        assert_int_equal(ts_model_logits(model, ids, T, part, T * V), TS_ERROR_INVALID_ARGUMENT);
        assert_detail_has("ids[5]");
        free(all);
        free(part);
        ts_model_free(model);
        ts_model_free(threaded);
    }
    ts_runtime_free(three);
}

static ts_status attempt_new(ts_runtime *runtime, void *user)
{
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_GPT2);
    ts_model *model;
    ts_status status = ts_model_new(&model, runtime, user, &a, 1);
    if (status != TS_OK)
        return status;
    uint32_t ids[3] = {1, 2, 3};
    float *logits = malloc(3 * model->shape.V * sizeof *logits);
    status = ts_model_logits(model, ids, 3, logits, 3 * model->shape.V);
    free(logits);
    ts_model_free(model);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    sweep_memory(attempt_new, tokenizer);
    ts_tokenizer_free(tokenizer);
}

/* The order of freeing is free. */
static void lifetimes(void **state)
{
    (void)state;
    memory_probe probe;
    ts_runtime *runtime = probed_runtime(&probe, 1);
    ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_model *model;
    assert_int_equal(ts_model_new(&model, runtime, tokenizer, &a, 1), TS_OK);
    ts_runtime_free(runtime);
    ts_tokenizer_free(tokenizer);
    ts_model *second = ts_model_acquire(model);
    ts_model_free(model);
    assert_true(ts_tokenizer_size(ts_model_tokenizer(second)) > 257);
    assert_true(probe.live > 0);
    ts_model_free(second);
    assert_int_equal(probe.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets), cmocka_unit_test(wrong_shapes),  cmocka_unit_test(new_models),
        cmocka_unit_test(logits),  cmocka_unit_test(out_of_memory), cmocka_unit_test(lifetimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Models in blocks of 8 and 4 bits: in memory and in files, read as floats again, and what they tell. */
#include "model_fixture.h"

#include <math.h>

static const int32_t kinds[] = {TS_ARCHITECTURE_LLAMA, TS_ARCHITECTURE_GPT2, TS_ARCHITECTURE_GPT_NEO};
static const int32_t types[] = {TS_MODEL_TYPE_Q8_0, TS_MODEL_TYPE_Q4_0};

static ts_architecture wide_architecture(int32_t kind)
{
    ts_architecture a = fixture_architecture(kind);
    a.width = 96;
    a.hidden = 72;
    return a;
}

/* Rows of whole blocks, but for one matrix: the MLP's second has rows of 72. */
static ts_model *wide_model(ts_runtime *runtime, int32_t kind)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
    ts_architecture a = wide_architecture(kind);
    ts_model *model = fixture_model_of(runtime, tokenizer, &a, 3);
    ts_tokenizer_free(tokenizer);
    return model;
}

static float *logits_of(const ts_model *model, size_t count)
{
    static const uint32_t ids[] = {0, 17, 200, 45, 9, 131, 77, 262, 3, 3, 90, 41};
    size_t V = model->shape.V;
    float *logits = malloc(count * V * sizeof *logits);
    assert_non_null(logits);
    assert_ok(ts_model_logits(model, ids, count, logits, count * V));
    return logits;
}

static void same_logits(const ts_model *a, const ts_model *b)
{
    float *first = logits_of(a, 12), *second = logits_of(b, 12);
    assert_memory_equal(first, second, 12 * a->shape.V * sizeof *first);
    free(first);
    free(second);
}

static void save(const ts_model *model, const char *path, int32_t type)
{
    ts_model_save_options options;
    assert_ok(ts_model_save_options_init(&options, sizeof options));
    options.type = type;
    assert_ok(ts_model_save_as(model, path, &options));
}

static ts_model *reopen(ts_runtime *runtime, const char *path, uint32_t widen)
{
    ts_model *model;
    ts_model_options options;
    assert_ok(ts_model_options_init(&options, sizeof options));
    options.widen = widen;
    assert_ok(ts_model_open(&model, runtime, path, &options));
    return model;
}

/* Every tensor of both, read as floats, is the same. */
static void same_tensors(const ts_model *a, const ts_model *b)
{
    for (size_t i = 0; i < ts_model_tensor_count(a); i++) {
        ts_tensor tensor = {.struct_size = sizeof tensor};
        assert_ok(ts_model_tensor(a, i, &tensor));
        size_t count = (size_t)(tensor.shape[0] * tensor.shape[1]);
        float *first = malloc(count * sizeof *first), *second = malloc(count * sizeof *second);
        assert_ok(ts_model_tensor_read(a, i, first, count));
        assert_ok(ts_model_tensor_read(b, i, second, count));
        assert_memory_equal(first, second, count * sizeof *first);
        free(first);
        free(second);
    }
}

static size_t quantized_tensors(const ts_model *model, int32_t type)
{
    size_t count = 0;
    for (size_t i = 0; i < ts_model_tensor_count(model); i++) {
        ts_tensor tensor = {.struct_size = sizeof tensor};
        assert_ok(ts_model_tensor(model, i, &tensor));
        assert_int_equal(tensor.data == NULL, tensor.type != TS_MODEL_TYPE_F32);
        count += tensor.type == type;
    }
    return count;
}

/* In memory, in a file, opened, and written again: one model. Widened it has the same numbers. */
static void test_files(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (size_t t = 0; t < 2; t++) {
            ts_model *model = wide_model(NULL, kinds[k]), *quantized, *floats;
            const char *first = in_work("first.gguf"), *second = in_work("second.gguf");
            size_t first_size, second_size;
            assert_ok(ts_model_quantize(&quantized, model, types[t]));
            assert_int_equal(quantized_tensors(quantized, types[t]), kinds[k] == TS_ARCHITECTURE_LLAMA ? 19 : kinds[k] == TS_ARCHITECTURE_GPT2 ? 10 : 16);
            assert_int_equal(ts_model_parameters(quantized), ts_model_parameters(model));
            save(model, first, types[t]); /* rounds on the way */
            ts_model *opened = reopen(NULL, first, 0), *widened = reopen(NULL, first, 1);
            assert_int_equal(quantized_tensors(widened, types[t]), 0);
            assert_types(quantized, "blk.1.ffn_up.weight", types[t], types[t]);
            assert_types(opened, "blk.1.ffn_up.weight", types[t], types[t]);
            assert_types(widened, "blk.1.ffn_up.weight", TS_MODEL_TYPE_F32, types[t]);
            assert_types(opened, "blk.1.ffn_down.weight", TS_MODEL_TYPE_F32, TS_MODEL_TYPE_F32);
            assert_types(widened, "output_norm.weight", TS_MODEL_TYPE_F32, TS_MODEL_TYPE_F32);
            same_logits(quantized, opened);
            same_tensors(quantized, opened);
            same_tensors(quantized, widened);
            save(opened, second, types[t]);
            void *a = read_file(first, &first_size), *b = read_file(second, &second_size);
            assert_int_equal(first_size, second_size);
            assert_memory_equal(a, b, first_size);
            free(a);
            free(b);
            assert_ok(ts_model_quantize(&floats, opened, TS_MODEL_TYPE_F32));
            same_tensors(floats, widened);
            assert_types(floats, "blk.1.ffn_up.weight", TS_MODEL_TYPE_F32, TS_MODEL_TYPE_F32);
            same_logits(floats, widened);
            assert_ok(ts_model_save(opened, second)); /* floats */
            ts_model *again = reopen(NULL, second, 0);
            assert_int_equal(quantized_tensors(again, types[t]), 0);
            same_tensors(again, widened);
            ts_model *const all[] = {model, quantized, opened, widened, floats, again};
            for (size_t i = 0; i < TS_COUNT_OF(all); i++)
                ts_model_free(all[i]);
            remove_file("first.gguf");
            remove_file("second.gguf");
        }
}

/* The logits are near those of the widened weights: what 8 bits of the activations cost. */
static void test_near_floats(void **state)
{
    (void)state;
    for (int32_t level = TS_CPU_LEVEL_REFERENCE; level <= ts_cpu_level_best(); level++)
        for (size_t k = 0; k < 3; k++)
            for (size_t t = 0; t < 2; t++) {
                ts_runtime *runtime = make_runtime(1, level);
                ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
                ts_architecture architecture = wide_architecture(kinds[k]);
                ts_model *model, *quantized, *floats;
                assert_ok(ts_model_new(&model, runtime, tokenizer, &architecture, 1)); /* small weights, that don't make much of little */
                ts_tokenizer_free(tokenizer);
                assert_ok(ts_model_quantize(&quantized, model, types[t]));
                assert_ok(ts_model_quantize(&floats, quantized, TS_MODEL_TYPE_F32));
                size_t count = 12 * model->shape.V;
                float *a = logits_of(quantized, 12), *b = logits_of(floats, 12);
                double error = 0, size = 0;
                for (size_t i = 0; i < count; i++) {
                    error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
                    size += (double)b[i] * (double)b[i];
                }
                if (!(error > 0 && sqrt(error / size) < 0.02))
                    fail_msg("level %d, kind %zu, type %zu: %g of the logits", (int)level, k, t, sqrt(error / size));
                free(a);
                free(b);
                ts_model_free(floats);
                ts_model_free(quantized);
                ts_model_free(model);
                ts_runtime_free(runtime);
            }
}

/* A story has the same tokens on any number of threads, and a sequence the same logits however it is cut. */
static void test_same_bits(void **state)
{
    (void)state;
    float *expected = NULL;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        ts_runtime *runtime = make_runtime(threads, TS_CPU_LEVEL_BEST);
        ts_model *model = wide_model(runtime, TS_ARCHITECTURE_LLAMA), *quantized;
        assert_ok(ts_model_quantize(&quantized, model, TS_MODEL_TYPE_Q8_0));
        float *logits = logits_of(quantized, 12);
        if (expected != NULL)
            assert_memory_equal(logits, expected, 12 * model->shape.V * sizeof *logits);
        for (size_t count = 1; count < 12; count++) {
            float *fewer = logits_of(quantized, count);
            assert_memory_equal(fewer, logits, count * model->shape.V * sizeof *logits);
            free(fewer);
        }
        free(expected);
        expected = logits;
        ts_model_free(quantized);
        ts_model_free(model);
        ts_runtime_free(runtime);
    }
    free(expected);
}

static void test_refusals(void **state)
{
    ts_model *model = wide_model(NULL, TS_ARCHITECTURE_LLAMA), *out;
    ts_model_save_options options;
    ts_model_options opening;
    float value;
    (void)state;
    assert_status(ts_model_quantize(NULL, model, TS_MODEL_TYPE_Q8_0), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_model_quantize(&out, model, TS_MODEL_TYPE_F16), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_model_quantize(&out, model, 5), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_model_tensor_read(model, 0, &value, 1), TS_ERROR_BUFFER_TOO_SMALL);
    assert_status(ts_model_tensor_read(model, 9999, &value, 1), TS_ERROR_INVALID_ARGUMENT);
    assert_ok(ts_model_save_options_init(&options, sizeof options));
    options.type = TS_MODEL_TYPE_Q8_0;
    options.format = TS_MODEL_FORMAT_LLAMA2C_V0;
    assert_status(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_UNSUPPORTED);
    options.format = TS_MODEL_FORMAT_HUGGINGFACE;
    assert_status(ts_model_save_as(model, in_work("no"), &options), TS_ERROR_UNSUPPORTED);
    assert_ok(ts_model_options_init(&opening, sizeof opening));
    opening.widen = 2;
    assert_status(ts_model_open(&out, NULL, in_work("no.gguf"), &opening), TS_ERROR_INVALID_ARGUMENT);
    model->weights.all[0][TS_SLOT_ATTN_OUTPUT][5] = NAN;
    assert_status(ts_model_quantize(&out, model, TS_MODEL_TYPE_Q4_0), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("blk.0.attn_output.weight");
    ts_model_free(model);
}

/* What the weights take once loaded is counted in their blocks. */
static void test_memory_limit(void **state)
{
    ts_model *model = wide_model(NULL, TS_ARCHITECTURE_LLAMA), *opened;
    ts_model_options options;
    (void)state;
    save(model, in_work("q.gguf"), TS_MODEL_TYPE_Q4_0);
    assert_ok(ts_model_options_init(&options, sizeof options));
    options.memory_limit = ts_model_parameters(model) * 2;
    assert_ok(ts_model_open(&opened, NULL, in_work("q.gguf"), &options));
    ts_model_free(opened);
    options.widen = 1;
    assert_status(ts_model_open(&opened, NULL, in_work("q.gguf"), &options), TS_ERROR_LIMIT);
    options.map = 1;
    options.memory_limit = 0;
    assert_status(ts_model_open(&opened, NULL, in_work("q.gguf"), &options), TS_ERROR_UNSUPPORTED);
    remove_file("q.gguf");
    ts_model_free(model);
}

static ts_status quantize_and_reopen(ts_runtime *runtime, void *user)
{
    ts_model *quantized = NULL, *opened = NULL, *model = NULL;
    ts_model_save_options options;
    (void)user;
    ts_status status = ts_model_open(&model, runtime, in_work("plain.gguf"), NULL);
    if (status == TS_OK)
        status = ts_model_quantize(&quantized, model, TS_MODEL_TYPE_Q8_0);
    if (status == TS_OK)
        status = ts_model_save_options_init(&options, sizeof options);
    options.type = TS_MODEL_TYPE_Q8_0;
    if (status == TS_OK)
        status = ts_model_save_as(quantized, in_work("small.gguf"), &options);
    if (status == TS_OK)
        status = ts_model_open(&opened, runtime, in_work("small.gguf"), NULL);
    ts_model_free(opened);
    ts_model_free(quantized);
    ts_model_free(model);
    return status;
}

static void test_memory(void **state)
{
    ts_model *model = wide_model(NULL, TS_ARCHITECTURE_LLAMA);
    (void)state;
    assert_ok(ts_model_save(model, in_work("plain.gguf")));
    ts_model_free(model);
    assert_true(sweep_memory_alone(quantize_and_reopen, NULL) > 20);
    remove_file("plain.gguf");
    remove_file("small.gguf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),    cmocka_unit_test(test_near_floats),  cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_memory_limit), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("quantize", tests, make_folder, remove_folder);
}

/* llama2.c checkpoints: real weights tell llama2.c's own story, every version comes back from what is written, and what is damaged is refused. */
#include <math.h>

#include "file_fixture.h"

/* What llama2.c's own test expects of stories260K at temperature 0 and 200 steps. */
static const char gold[] =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to "
    "play "
    "with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She said, \"I want to "
    "play "
    "with your ball, but I can't find it.\"\nLily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to do.\"\nLily "
    "didn't want to help her mom, so she";

static const char real[] = "models/stories260K.bin", real_quantized[] = "models/stories260K_v2_q80_gs8.bin", real_tokenizer[] = "models/tok512.bin";

static ts_model *open_file(const char *path, const char *tokenizer)
{
    ts_model *model;
    ts_model_options options = {.struct_size = sizeof options, .tokenizer = tokenizer};
    ts_status status = ts_model_open(&model, NULL, path, &options);
    if (status != TS_OK)
        fail_msg("%s: %s", path, ts_error_detail());
    return model;
}

/* ---- real weights ---- */

static void greedy(const ts_model *model, uint32_t *ids, size_t count)
{
    size_t V = model->shape.V;
    float *logits = malloc(count * V * sizeof *logits);
    assert_non_null(logits);
    ids[0] = ts_tokenizer_begin_of_text(model->tokenizer);
    for (size_t t = 0; t + 1 < count; t++) {
        assert_int_equal(ts_model_logits(model, ids, t + 1, logits, count * V), TS_OK);
        ids[t + 1] = 0;
        for (uint32_t v = 1; v < V; v++)
            if (logits[t * V + v] > logits[t * V + ids[t + 1]])
                ids[t + 1] = v;
    }
    free(logits);
}

static void test_story(void **state)
{
    (void)state;
    enum { STEPS = 200 };
    uint32_t ids[STEPS + 1];
    char text[2048];
    size_t size;
    ts_model *model = open_file(test_data(real), NULL); /* tok512.bin lies beside it */
    greedy(model, ids, STEPS + 1);
    assert_int_equal(ts_tokenizer_decode(model->tokenizer, ids, STEPS + 1, text, sizeof text, &size), TS_OK);
    assert_string_equal(text + strlen("<s>"), gold);

    ts_sampler *sampler;
    ts_sampler_options options;
    assert_int_equal(ts_sampler_options_init(&options, sizeof options), TS_OK);
    options.temperature = 0;
    options.max_tokens = STEPS;
    assert_int_equal(ts_sampler_new(&sampler, model, &options), TS_OK);
    assert_int_equal(ts_sampler_run(sampler, "", 0, NULL, NULL), TS_OK);
    const uint32_t *told = ts_sampler_tokens(sampler, &size);
    assert_int_equal(size, STEPS + 1);
    assert_memory_equal(told, ids, sizeof ids);
    ts_sampler_free(sampler);
    ts_model_free(model);
}

/* Version 2: the floats are the file's own numbers times its scales, and the network says nearly what the exact one says. */
static void test_quantized(void **state)
{
    (void)state;
    ts_model *exact = open_file(test_data(real), NULL), *model = open_file(test_data(real_quantized), test_data(real_tokenizer));
    file_bytes file = get_file(test_data(real_quantized));
    static const ts_slot order[] = {TS_SLOT_TOKENS, TS_SLOT_Q, TS_SLOT_K, TS_SLOT_V, TS_SLOT_ATTN_OUTPUT, TS_SLOT_GATE, TS_SLOT_DOWN, TS_SLOT_UP};
    size_t at = 256 + (2 * 5 + 1) * 64 * sizeof(float), group = 8;
    double worst = 0;
    for (size_t i = 0; i < TS_COUNT_OF(order); i++)
        for (uint32_t layer = 0; layer < (order[i] == TS_SLOT_TOKENS ? 1 : 5); layer++) {
            const ts_parameter *p = model->table;
            while (p->slot != order[i] || p->layer != layer)
                p++;
            size_t count = p->rows * p->columns;
            const float *values = model->weights.all[layer][order[i]], *near = exact->weights.all[layer][order[i]];
            for (size_t j = 0; j < count; j++) {
                float scale;
                memcpy(&scale, file.data + at + count + j / group * sizeof scale, sizeof scale);
                float expected = (float)(int8_t)file.data[at + j] * scale;
                assert_memory_equal(&values[j], &expected, sizeof expected);
                assert_true(fabs((double)expected - near[j]) <= 0.501 * scale);
                worst = fmax(worst, fabs((double)expected - near[j]));
            }
            at += count + count / group * sizeof(float);
        }
    assert_int_equal(at, file.size);
    assert_true(worst > 0);
    assert_same_logits(exact, model, 0.25f);
    uint32_t one[60], two[60];
    greedy(exact, one, 60);
    greedy(model, two, 60);
    assert_memory_equal(one, two, 40 * sizeof *one);
    free(file.data);
    ts_model_free(exact);
    ts_model_free(model);
}

/* The legacy file is written again, byte for byte but for the tables of cosines and sines, which nobody reads. */
static void test_real_again(void **state)
{
    (void)state;
    ts_model *model = open_file(test_data(real), NULL), *again;
    ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_LLAMA2C_V0};
    assert_int_equal(ts_model_save_as(model, in_work("again.bin"), &options), TS_OK);
    file_bytes one = get_file(test_data(real)), two = get_file(in_work("again.bin"));
    assert_int_equal(one.size, two.size);
    size_t turns = one.size - 512 * 8 * sizeof(float);
    assert_memory_equal(one.data, two.data, turns);
    for (size_t i = turns; i < one.size; i += sizeof(float)) {
        float a, b;
        memcpy(&a, one.data + i, sizeof a);
        memcpy(&b, two.data + i, sizeof b);
        assert_true(fabsf(a - b) < 1e-3f);
    }
    assert_same_file(test_data(real_tokenizer), in_work("again.tokenizer.bin"));
    again = open_file(in_work("again.bin"), NULL);
    assert_same_model(model, again);
    ts_model_free(again);
    free(one.data);
    free(two.data);
    ts_model_free(model);
}

/* ---- what is written comes back ---- */

static ts_architecture shape_of(bool untied)
{
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    a.untied_head = untied;
    return a;
}

static void test_round_trips(void **state)
{
    (void)state;
    for (int untied = 0; untied < 2; untied++)
        for (int32_t format = TS_MODEL_FORMAT_LLAMA2C_V0; format <= TS_MODEL_FORMAT_LLAMA2C_V1; format++) {
            ts_architecture a = shape_of(untied);
            ts_model *model = sentencepiece_model(NULL, &a), *again;
            ts_model_save_options options = {.struct_size = sizeof options, .format = format};
            assert_int_equal(ts_model_save_as(model, in_work("one.bin"), &options), TS_OK);
            again = open_file(in_work("one.bin"), NULL);
            assert_same_model(model, again);
            assert_types(again, "blk.1.ffn_up.weight", TS_MODEL_TYPE_F32, TS_MODEL_TYPE_F32);
            assert_int_equal(ts_model_save_as(again, in_work("two.bin"), &options), TS_OK);
            assert_same_file(in_work("one.bin"), in_work("two.bin"));
            assert_same_file(in_work("made.bin"), in_work("two.tokenizer.bin"));
            ts_model_free(again);
            ts_model_options shorter = {.struct_size = sizeof shorter, .context_length = 9};
            assert_int_equal(ts_model_open(&again, NULL, in_work("one.bin"), &shorter), TS_OK);
            assert_int_equal(again->shape.T, 9);
            ts_model_free(again);
            ts_model_free(model);
        }
}

/* Version 2: norms as they are, every number of a matrix within half a step of its group's scale; numbers and scales again when it is written again. */
static void test_quantized_round_trips(void **state)
{
    (void)state;
    for (int untied = 0; untied < 2; untied++) {
        ts_architecture a = shape_of(untied);
        ts_model *model = sentencepiece_model(NULL, &a), *again, *third;
        ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_LLAMA2C_V2, .type = TS_MODEL_TYPE_Q8_0};
        assert_int_equal(ts_model_save_as(model, in_work("one.bin"), &options), TS_OK);
        again = open_file(in_work("one.bin"), NULL);
        assert_int_equal(ts_model_save_as(again, in_work("two.bin"), &options), TS_OK);
        third = open_file(in_work("two.bin"), NULL);
        size_t rounded = 0;
        assert_types(again, "blk.1.ffn_up.weight", TS_MODEL_TYPE_F32, TS_MODEL_TYPE_Q8_0);
        assert_types(again, "output_norm.weight", TS_MODEL_TYPE_F32, TS_MODEL_TYPE_F32);
        for (size_t i = 0; i < ts_model_tensor_count(model); i++) {
            ts_tensor one = {.struct_size = sizeof one}, two = {.struct_size = sizeof two}, three = {.struct_size = sizeof three};
            assert_int_equal(ts_model_tensor(model, i, &one), TS_OK);
            assert_int_equal(ts_model_tensor(again, i, &two), TS_OK);
            assert_int_equal(ts_model_tensor(third, i, &three), TS_OK);
            float most = 0;
            for (uint64_t k = 0; k < one.shape[0] * one.shape[1]; k++)
                most = fmaxf(most, fabsf(one.data[k]));
            for (uint64_t k = 0; k < one.shape[0] * one.shape[1]; k++) {
                float bound = one.rank == 2 ? most / 253 : 0;
                if (fabsf(one.data[k] - two.data[k]) > bound || fabsf(two.data[k] - three.data[k]) > 1e-6f * fabsf(two.data[k]))
                    fail_msg("%s[%llu] is %g, then %g, then %g", one.name, (unsigned long long)k, (double)one.data[k], (double)two.data[k], (double)three.data[k]);
                rounded += one.data[k] != two.data[k];
            }
        }
        assert_true(rounded > 0);
        ts_model_free(again);
        ts_model_free(third);
        options.type = TS_MODEL_TYPE_F32;
        assert_int_equal(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_UNSUPPORTED);
        options.type = TS_MODEL_TYPE_Q8_0;
        model->weights.all[0][TS_SLOT_DOWN][3] = NAN;
        assert_int_equal(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_INVALID_ARGUMENT);
        assert_detail_has("w2");
        assert_false(ts_path_exists(in_work("no.bin")));
        ts_model_free(model);
    }
}

static void test_not_written(void **state)
{
    (void)state;
    ts_architecture a = shape_of(false);
    ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_LLAMA2C_V1};
    a.rotary_base = 500000;
    ts_model *model = sentencepiece_model(NULL, &a);
    assert_int_equal(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_UNSUPPORTED);
    assert_detail_has("500000");
    ts_model_free(model);
    model = fixture_model(NULL, TS_ARCHITECTURE_GPT2);
    assert_int_equal(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_UNSUPPORTED);
    assert_detail_has("gpt2");
    ts_model_free(model);
    model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    assert_int_equal(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_UNSUPPORTED);
    assert_detail_has("SentencePiece");
    options.type = TS_MODEL_TYPE_F16;
    assert_int_equal(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_UNSUPPORTED);
    options.type = TS_MODEL_TYPE_Q8_0;
    assert_int_equal(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_UNSUPPORTED);
    options.type = 5;
    assert_int_equal(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_INVALID_ARGUMENT);
    options = (ts_model_save_options){.struct_size = sizeof options, .format = 9};
    assert_int_equal(ts_model_save_as(model, in_work("no.bin"), &options), TS_ERROR_INVALID_ARGUMENT);
    assert_false(ts_path_exists(in_work("no.bin")));
    assert_false(ts_path_exists(in_work("no.tokenizer.bin")));
    ts_model_free(model);
}

/* ---- version 2 of any group size ---- */

static void test_group_sizes(void **state)
{
    (void)state;
    ts_architecture a = shape_of(true);
    ts_model *model = sentencepiece_model(NULL, &a);
    ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_LLAMA2C_V1};
    assert_int_equal(ts_model_save_as(model, in_work("plain.bin"), &options), TS_OK);
    file_bytes plain = get_file(in_work("plain.bin"));
    size_t counts[3 * 7 + 2], count = 0, C = 24, kv = 8, F = 40, V = 271;
    const size_t layer_counts[] = {C * C, kv * C, kv * C, C * C, F * C, F * C, F * C};
    counts[count++] = V * C;
    for (size_t i = 0; i < 7; i++)
        for (size_t layer = 0; layer < 3; layer++)
            counts[count++] = layer_counts[i];
    counts[count++] = V * C;
    static const uint32_t groups[] = {1, 2, 3, 4, 6, 8, 12, 24, 5, 7, 0, 64, 0xffffffffu};
    for (size_t g = 0; g < TS_COUNT_OF(groups); g++) {
        bool fits = g < 8;
        file_bytes file = quantized_file(&plain, fits ? groups[g] : 1, (2 * 3 + 1) * C, counts, count);
        memcpy(file.data + 37, &groups[g], 4);
        ts_model *read = NULL;
        ts_model_options open = {.struct_size = sizeof open, .tokenizer = in_work("made.bin")};
        assert_int_equal(ts_model_open_memory(&read, NULL, file.data, file.size, &open), fits ? TS_OK : TS_ERROR_FORMAT);
        if (fits) { /* the last element of the last tensor */
            const float *output = read->weights.all[0][TS_SLOT_OUTPUT];
            float scale;
            memcpy(&scale, file.data + file.size - sizeof scale, sizeof scale);
            size_t scales = counts[count - 1] / groups[g] * sizeof scale;
            assert_true(output[V * C - 1] == (float)(int8_t)file.data[file.size - scales - 1] * scale);
        } else {
            assert_detail_has("group size");
        }
        ts_model_free(read);
        free(file.data);
    }
    free(plain.data);
    ts_model_free(model);
}

/* ---- damage ---- */

static void test_tokenizers(void **state)
{
    (void)state;
    ts_architecture a = shape_of(false);
    ts_model *model = sentencepiece_model(NULL, &a), *again = NULL;
    ts_model_save_options save = {.struct_size = sizeof save, .format = TS_MODEL_FORMAT_LLAMA2C_V0};
    assert_int_equal(ts_model_save_as(model, in_work("alone.bin"), &save), TS_OK);
    ts_model_free(model);
    assert_int_equal(rename(in_work("alone.tokenizer.bin"), in_work("tok271.bin")), 0);
    ts_model_free(open_file(in_work("alone.bin"), NULL));
    assert_int_equal(rename(in_work("tok271.bin"), in_work("tokenizer.bin")), 0);
    ts_model_free(open_file(in_work("alone.bin"), NULL));
    assert_int_equal(rename(in_work("tokenizer.bin"), in_work("elsewhere.bin")), 0);
    assert_int_equal(ts_model_open(&again, NULL, in_work("alone.bin"), NULL), TS_ERROR_IO);
    assert_detail_has("tok271.bin");
    ts_model_free(open_file(in_work("alone.bin"), in_work("elsewhere.bin")));
    ts_model_options map = {.struct_size = sizeof map, .map = 1, .tokenizer = in_work("elsewhere.bin")};
    assert_int_equal(ts_model_open(&again, NULL, in_work("alone.bin"), &map), TS_ERROR_UNSUPPORTED);
    assert_int_equal(ts_model_open(&again, NULL, in_work("elsewhere.bin"), NULL), TS_ERROR_FORMAT); /* a tokenizer is no model */
    file_bytes longer = get_file(in_work("elsewhere.bin"));
    add_token(longer.data = realloc(longer.data, longer.size + 100), &longer.size, -99, "xyz");
    write_file(in_work("longer.bin"), longer.data, longer.size);
    free(longer.data);
    ts_model_options wrong = {.struct_size = sizeof wrong, .tokenizer = in_work("longer.bin")};
    assert_int_equal(ts_model_open(&again, NULL, in_work("alone.bin"), &wrong), TS_ERROR_MISMATCH);
    assert_detail_has("272");
}

static ts_status open_bytes(ts_runtime *runtime, const void *content, size_t size)
{
    ts_model *model = NULL;
    ts_model_options options = {.struct_size = sizeof options, .tokenizer = in_work("made.bin")};
    unsigned char *copy = malloc(size + 1); /* of its own size, so that a read behind it is seen */
    memcpy(copy, content, size);
    ts_status status = ts_model_open_memory(&model, runtime, copy, size, &options);
    ts_model_free(model);
    free(copy);
    return status;
}

static void test_fields(void **state)
{
    (void)state;
    static const struct {
        int32_t version;
        size_t field; /* of the seven */
        int32_t value;
        const char *detail;
    } cases[] = {
        {0, 0, 0, "dim is 0"},       {1, 0, -24, "dim is -24"},       {0, 1, 0, "hidden_dim"},   {1, 1, INT32_MAX, "hidden_dim"},
        {0, 2, 0, "n_layers"},       {1, 2, 513, "n_layers is 513"},  {0, 3, 0, "n_heads is 0"}, {1, 3, 5, "multiple of"},
        {1, 3, 24, "even multiple"}, {1, 4, 0, "n_kv_heads is 0"},    {1, 4, 4, "divisor"},      {0, 5, 0, "vocab_size is 0"},
        {1, 5, -271, "vocab"},       {0, 5, INT32_MIN, "vocab_size"}, {1, 6, 1, "max_seq_len"},  {0, 6, -1, "max_seq_len is -1"},
        {1, 5, 270, "asks for"},     {0, 5, -271, "asks for"},        {1, 2, 4, "the file has"}, {0, 6, 17, "the file has"},
    };
    ts_architecture a = shape_of(false);
    ts_model *model = sentencepiece_model(NULL, &a);
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_model_save_options save = {.struct_size = sizeof save,
                                      .format = cases[i].version ? TS_MODEL_FORMAT_LLAMA2C_V1 : TS_MODEL_FORMAT_LLAMA2C_V0};
        assert_int_equal(ts_model_save_as(model, in_work("fields.bin"), &save), TS_OK);
        file_bytes file = get_file(in_work("fields.bin"));
        memcpy(file.data + (cases[i].version ? 8 : 0) + 4 * cases[i].field, &cases[i].value, 4);
        assert_int_equal(open_bytes(NULL, file.data, file.size), TS_ERROR_FORMAT);
        assert_detail_has(cases[i].detail);
        free(file.data);
    }
    ts_model_save_options save = {.struct_size = sizeof save, .format = TS_MODEL_FORMAT_LLAMA2C_V1};
    assert_int_equal(ts_model_save_as(model, in_work("fields.bin"), &save), TS_OK);
    file_bytes file = get_file(in_work("fields.bin"));
    file.data[4] = 3;
    assert_int_equal(open_bytes(NULL, file.data, file.size), TS_ERROR_VERSION);
    file.data[4] = 1;
    file.data[36] = 2;
    assert_int_equal(open_bytes(NULL, file.data, file.size), TS_ERROR_FORMAT);
    assert_detail_has("shared classifier is 2");
    free(file.data);
    ts_model_free(model);
}

/* A tiny checkpoint, cut everywhere and changed at random: never more memory than one MiB, never anything but an answer. */
static void test_damaged(void **state)
{
    (void)state;
    ts_architecture a = shape_of(false);
    a.width = 4;
    a.layers = 1;
    a.heads = 2;
    a.key_value_heads = 1;
    a.hidden = 2;
    a.context_length = 2;
    ts_model *model = sentencepiece_model(NULL, &a);
    ts_runtime *runtime = small_runtime();
    size_t accepted = 0;
    for (int32_t version = 0; version < 3; version++) {
        ts_model_save_options save = {.struct_size = sizeof save, .format = version ? TS_MODEL_FORMAT_LLAMA2C_V1 : TS_MODEL_FORMAT_LLAMA2C_V0};
        assert_int_equal(ts_model_save_as(model, in_work("tiny.bin"), &save), TS_OK);
        file_bytes file = get_file(in_work("tiny.bin"));
        if (version == 2) {
            const size_t counts[] = {271 * 4, 16, 8, 8, 16, 8, 8, 8};
            file_bytes plain = file;
            file = quantized_file(&plain, 4, 12, counts, TS_COUNT_OF(counts));
            free(plain.data);
        }
        assert_int_equal(open_bytes(runtime, file.data, file.size), TS_OK);
        for (size_t size = 0; size < file.size; size++)
            assert_int_equal(open_bytes(runtime, file.data, size), TS_ERROR_FORMAT);
        ts_random random = {.seed = (uint64_t)version};
        for (int i = 0; i < 4000; i++) {
            size_t at = (size_t)ts_random_below(&random, i % 4 ? 42u : (uint64_t)file.size);
            unsigned char kept = file.data[at];
            file.data[at] = i % 3 ? (unsigned char)ts_random_next(&random) : (unsigned char)(kept ^ 1 << i % 8);
            ts_status status = open_bytes(runtime, file.data, file.size);
            assert_true(status == TS_OK || status == TS_ERROR_FORMAT || status == TS_ERROR_VERSION || status == TS_ERROR_MISMATCH);
            accepted += status == TS_OK;
            file.data[at] = kept;
        }
        free(file.data);
    }
    assert_in_range(accepted, 2000, 8000);
    unsigned char noise[200]; /* 200 bytes that claim anything */
    ts_random random = {.seed = 9};
    for (int i = 0; i < 20000; i++) {
        for (size_t j = 0; j < sizeof noise; j++)
            noise[j] = (unsigned char)ts_random_next(&random);
        for (size_t j = 0; j < 7 && i % 2; j++)
            memcpy(noise + 8 + 4 * j, &(uint32_t){(uint32_t)ts_random_below(&random, 1u << (1 + i % 20))}, 4);
        memcpy(noise, (uint32_t[]){TS_LLAMA2C_MAGIC, 1 + (uint32_t)i % 2}, i % 4 < 2 ? 8 : 0);
        ts_status status = open_bytes(runtime, noise, sizeof noise);
        assert_true(status == TS_ERROR_FORMAT || status == TS_ERROR_VERSION);
    }
    ts_runtime_free(runtime);
    ts_model_free(model);
}

/* Whatever allocation fails, nothing is left. */
static void test_out_of_memory(void **state)
{
    (void)state;
    ts_architecture a = shape_of(false);
    ts_model *model = sentencepiece_model(NULL, &a);
    ts_model_save_options save = {.struct_size = sizeof save, .format = TS_MODEL_FORMAT_LLAMA2C_V1};
    assert_int_equal(ts_model_save_as(model, in_work("memory.bin"), &save), TS_OK);
    ts_model_free(model);
    for (size_t at = 0;; at++) {
        memory_probe probe = {.fail_at = at};
        ts_runtime *runtime = NULL;
        ts_model *read = NULL;
        ts_runtime_options options = probed_options(&probe, 1);
        ts_status status = ts_runtime_new(&runtime, &options);
        if (status == TS_OK)
            status = ts_model_open(&read, runtime, in_work("memory.bin"), NULL);
        assert_int_equal(status, probe.failed ? TS_ERROR_OUT_OF_MEMORY : TS_OK);
        ts_model_free(read);
        ts_runtime_free(runtime);
        assert_int_equal(probe.live, 0);
        if (!probe.failed)
            break;
        assert_true(at < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_story),         cmocka_unit_test(test_quantized),   cmocka_unit_test(test_real_again),
        cmocka_unit_test(test_round_trips),   cmocka_unit_test(test_not_written), cmocka_unit_test(test_group_sizes),
        cmocka_unit_test(test_quantized_round_trips),
        cmocka_unit_test(test_tokenizers),    cmocka_unit_test(test_fields),      cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

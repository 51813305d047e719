/* Hugging Face folders: the logits that transformers gives, bit-exact round trips, and clear answers to all that is not supported or damaged. */
#include <math.h>

#include "file_fixture.h"

#define GOLDEN(name) TS_GOLDEN "/huggingface/" name

static const struct {
    const char *folder;
    int32_t type;
} goldens[] = {
    {GOLDEN("gpt_neo"), TS_MODEL_TYPE_F32},         {GOLDEN("gpt_neo_parts"), TS_MODEL_TYPE_F16}, {GOLDEN("gpt2"), TS_MODEL_TYPE_F32},
    {GOLDEN("gpt_neo_untied"), TS_MODEL_TYPE_BF16}, {GOLDEN("gpt2_untied"), TS_MODEL_TYPE_BF16},  {GOLDEN("llama"), TS_MODEL_TYPE_F32},
    {GOLDEN("llama_grouped"), TS_MODEL_TYPE_BF16},
};

/* The tokenizer of all models here, of 272 tokens. */
static const char *words(void)
{
    const char *path = in_work("words.json");
    ts_tokenizer_train_options options;
    ts_tokenizer *tokenizer;
    text_list list = {fixture_stories, TS_COUNT_OF(fixture_stories), 0};
    if (ts_path_exists(path))
        return path;
    assert_int_equal(ts_tokenizer_train_options_init(&options, sizeof options), TS_OK);
    options.vocabulary_size = 272;
    assert_int_equal(ts_tokenizer_train(&tokenizer, NULL, next_of_list, &list, &options), TS_OK);
    assert_int_equal(ts_tokenizer_save(tokenizer, path), TS_OK);
    ts_tokenizer_free(tokenizer);
    return path;
}

static ts_status open_as(ts_model **model, ts_runtime *runtime, const char *folder)
{
    ts_model_options options = {.struct_size = sizeof options, .tokenizer = words()};
    return ts_model_open(model, runtime, folder, &options);
}

static ts_model *open_folder(const char *folder)
{
    ts_model *model = NULL;
    if (open_as(&model, NULL, folder) != TS_OK)
        fail_msg("%s: %s", folder, ts_error_detail());
    return model;
}

static void save_folder(const ts_model *model, const char *folder, int32_t type)
{
    ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_HUGGINGFACE, .type = type};
    if (ts_model_save_as(model, folder, &options) != TS_OK)
        fail_msg("%s: %s", folder, ts_error_detail());
}

static const char *file_in(const char *folder, const char *name)
{
    static char paths[4][400];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* ---- what transformers says ---- */

enum { T = 24, STEP = 34, TEXTS = 20 };

static void assert_gold_logits(const ts_model *model, const char *folder)
{
    FILE *file = fopen(file_in(folder, "logits.txt"), "r");
    size_t V = model->shape.V;
    float *logits = malloc(T * V * sizeof *logits);
    assert_non_null(file);
    for (int text = 0; text < TEXTS; text++) {
        uint32_t ids[T];
        for (size_t t = 0; t < T; t++)
            assert_int_equal(fscanf(file, "%u", &ids[t]), 1);
        assert_int_equal(ts_model_logits(model, ids, T, logits, T * V), TS_OK);
        for (size_t t = 0; t < T; t++)
            for (size_t v = 0; v < V; v += STEP) {
                float expected;
                assert_int_equal(fscanf(file, "%f", &expected), 1);
                if (!(fabsf(logits[t * V + v] - expected) < 1e-4f))
                    fail_msg("%s: text %d, position %zu: the logit of %zu is %g, expected %g", folder, text, t, v, (double)logits[t * V + v],
                             (double)expected);
            }
    }
    free(logits);
    fclose(file);
}

/* Every logit of the first text, so that no row of the head goes unseen. */
static void assert_all_logits(const ts_model *model, const char *folder)
{
    FILE *texts = fopen(file_in(folder, "logits.txt"), "r"), *file = fopen(file_in(folder, "all.txt"), "r");
    size_t V = model->shape.V;
    uint32_t ids[T];
    float *logits = malloc(T * V * sizeof *logits), expected;
    assert_true(texts != NULL && file != NULL && logits != NULL);
    for (size_t t = 0; t < T; t++)
        assert_int_equal(fscanf(texts, "%u", &ids[t]), 1);
    assert_int_equal(ts_model_logits(model, ids, T, logits, T * V), TS_OK);
    for (size_t i = 0; i < T * V; i++) {
        assert_int_equal(fscanf(file, "%f", &expected), 1);
        if (!(fabsf(logits[i] - expected) < 1e-4f))
            fail_msg("%s: position %zu: the logit of %zu is %g, expected %g", folder, i / V, i % V, (double)logits[i], (double)expected);
    }
    free(logits);
    fclose(texts);
    fclose(file);
}

static void test_gold(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(goldens); i++) {
        ts_model *model = open_folder(goldens[i].folder);
        assert_int_equal(model->shape.T, T);
        assert_gold_logits(model, goldens[i].folder);
        assert_all_logits(model, goldens[i].folder);
        assert_int_equal(ts_tokenizer_end_of_text(model->tokenizer), 0);
        ts_model_free(model);
    }
}

/* Without the beginning of text the likeliest stories are those of transformers' generate(). */
static void test_gold_stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(goldens); i++) {
        FILE *file = ts_path_exists(file_in(goldens[i].folder, "generate.txt")) ? fopen(file_in(goldens[i].folder, "generate.txt"), "r") : NULL;
        if (file == NULL)
            continue;
        ts_model *model = open_folder(goldens[i].folder);
        ts_sampler *sampler;
        ts_sampler_options options;
        unsigned given, lines = 0;
        char line[512];
        assert_int_equal(ts_sampler_options_init(&options, sizeof options), TS_OK);
        options.temperature = 0;
        options.begin_of_text = TS_BEGIN_OF_TEXT_NEVER;
        assert_int_equal(ts_sampler_new(&sampler, model, &options), TS_OK);
        for (; fgets(line, sizeof line, file) != NULL; lines++) {
            uint32_t ids[T];
            char prompt[256];
            const char *text;
            size_t count = 0, size;
            char *at = line;
            given = (unsigned)strtoul(at, &at, 10);
            for (char *end; count < T && (ids[count] = (uint32_t)strtoul(at, &end, 10), end != at); at = end)
                count++;
            assert_int_equal(ts_tokenizer_decode(model->tokenizer, ids, given, prompt, sizeof prompt, &size), TS_OK);
            assert_int_equal(ts_sampler_start(sampler, prompt, size), TS_OK);
            do
                assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_OK);
            while (text != NULL);
            const uint32_t *told = ts_sampler_tokens(sampler, &size);
            assert_int_equal(size, count);
            assert_memory_equal(told, ids, count * sizeof *ids);
        }
        assert_int_equal(lines, 4);
        fclose(file);
        ts_sampler_free(sampler);
        ts_model_free(model);
    }
}

/* The first token of a story that is told after "The" as the file says. */
static uint32_t first_token(const ts_model *model)
{
    ts_sampler *sampler;
    size_t count;
    assert_int_equal(ts_sampler_new(&sampler, model, NULL), TS_OK);
    assert_int_equal(ts_sampler_start(sampler, "The", 3), TS_OK);
    uint32_t first = ts_sampler_tokens(sampler, &count)[0];
    assert_int_equal(ts_sampler_start(sampler, "", 0), TS_OK); /* a model needs a token */
    assert_int_equal(ts_sampler_tokens(sampler, &count)[0], 0);
    assert_int_equal(count, 1);
    ts_sampler_free(sampler);
    return first;
}

/* add_bos_token is read from a folder, kept in a GGUF file, and damage is told. */
static void test_begin_of_text(void **state)
{
    (void)state;
    static const char *const configs[] = {"{}", "{\"add_bos_token\": true}", "{\"add_bos_token\": null}", "{\"add_bos_token\": false}"};
    size_t size;
    char *json = read_file(words(), &size);
    assert_int_equal(mkdir(in_work("spoken"), 0700), 0);
    write_file(in_work("spoken/tokenizer.json"), json, size);
    free(json);
    ts_model_options options = {.struct_size = sizeof options, .tokenizer = in_work("spoken")};
    char folder[400];
    snprintf(folder, sizeof folder, "%s", options.tokenizer);
    options.tokenizer = folder;
    for (size_t i = 0; i < TS_COUNT_OF(configs); i++) {
        ts_model *model, *again;
        write_file(in_work("spoken/tokenizer_config.json"), configs[i], strlen(configs[i]));
        assert_ok(ts_model_open(&model, NULL, goldens[0].folder, &options));
        assert_int_equal(first_token(model) == 0, i < 3);
        assert_ok(ts_model_save(model, in_work("spoken.gguf")));
        assert_ok(ts_model_open(&again, NULL, in_work("spoken.gguf"), NULL));
        assert_int_equal(first_token(again) == 0, i < 3);
        ts_model_free(again);
        save_folder(model, in_work("told"), TS_MODEL_TYPE_F32);
        assert_ok(ts_model_open(&again, NULL, in_work("told"), NULL));
        assert_int_equal(first_token(again) == 0, i < 3);
        ts_model_free(model);
        ts_model_free(again);
    }
    ts_model *model;
    write_file(in_work("spoken/tokenizer_config.json"), "{\"add_bos_token\": 3}", 20);
    assert_status(ts_model_open(&model, NULL, goldens[0].folder, &options), TS_ERROR_FORMAT);
    assert_detail("add_bos_token");
    remove_file("spoken.gguf");
    remove_file("spoken/tokenizer.json");
    remove_file("spoken/tokenizer_config.json");
    assert_int_equal(rmdir(in_work("spoken")), 0);
}

/* ---- round trips ---- */

/* Every tensor of `file` is in `other` with the same bytes. */
static void assert_same_tensors(const char *file, const char *other)
{
    ts_runtime *runtime;
    ts_source one_source, two_source;
    ts_safetensors *one, *two;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    assert_int_equal(ts_source_open(&one_source, runtime, file, false), TS_OK);
    assert_int_equal(ts_source_open(&two_source, runtime, other, false), TS_OK);
    assert_int_equal(ts_safetensors_open(&one, &one_source), TS_OK);
    assert_int_equal(ts_safetensors_open(&two, &two_source), TS_OK);
    for (size_t i = 0; i < ts_safetensors_count(one); i++) {
        const ts_safetensor *a = ts_safetensors_at(one, i), *b;
        assert_int_equal(ts_safetensors_get(two, a->name, a->dtype, a->rank, a->shape, &b), TS_OK);
        unsigned char *left = malloc(a->size), *right = malloc(a->size);
        assert_int_equal(ts_safetensors_read(one, a, left), TS_OK);
        assert_int_equal(ts_safetensors_read(two, b, right), TS_OK);
        assert_memory_equal(left, right, a->size);
        free(left);
        free(right);
    }
    ts_safetensors_close(one);
    ts_safetensors_close(two);
    ts_source_close(&one_source);
    ts_source_close(&two_source);
    ts_runtime_free(runtime);
}

/* The folder, a GGUF file of it and a folder of that: the same tensors bit for bit. */
static void test_gold_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(goldens); i++) {
        ts_model *model = open_folder(goldens[i].folder), *again;
        assert_int_equal(ts_model_save(model, in_work("model.gguf")), TS_OK);
        ts_model_free(model);
        assert_int_equal(ts_model_open(&model, NULL, in_work("model.gguf"), NULL), TS_OK);
        save_folder(model, in_work("again"), goldens[i].type);
        static const char *const files[] = {"model.safetensors", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                                            "model-00003-of-00003.safetensors"};
        size_t compared = 0;
        for (size_t j = 0; j < TS_COUNT_OF(files); j++)
            if (ts_path_exists(file_in(goldens[i].folder, files[j]))) {
                assert_same_tensors(file_in(goldens[i].folder, files[j]), file_in(in_work("again"), "model.safetensors"));
                compared++;
            }
        assert_true(compared == 1 || compared == 3);
        assert_int_equal(ts_model_open(&again, NULL, in_work("again"), NULL), TS_OK); /* with the tokenizer inside */
        assert_same_model(model, again);
        assert_gold_logits(again, goldens[i].folder);
        ts_model_free(again);
        ts_model_free(model);
    }
}

static void test_round_trips(void **state)
{
    (void)state;
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++)
        for (uint32_t untied = 0; untied < 2; untied++)
            for (int32_t type = TS_MODEL_TYPE_F32; type <= TS_MODEL_TYPE_BF16; type++) {
                ts_architecture a = fixture_architecture(kind);
                ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
                a.untied_head = untied;
                a.norm_epsilon = untied ? 3.14159e-7f : 1e-5f;
                a.rotary_base = kind == TS_ARCHITECTURE_LLAMA ? 12345.678f : 0;
                a.vocabulary_size = 300; /* more rows than tokens */
                ts_model *model = fixture_model_of(NULL, tokenizer, &a, 3), *again, *third;
                ts_tokenizer_free(tokenizer);
                save_folder(model, in_work("one"), type);
                assert_int_equal(ts_model_open(&again, NULL, in_work("one"), NULL), TS_OK);
                if (type == TS_MODEL_TYPE_F32)
                    assert_same_model(model, again);
                else
                    assert_same_logits(model, again, type == TS_MODEL_TYPE_F16 ? 0.2f : 2);
                assert_types(again, "blk.1.ffn_up.weight", TS_MODEL_TYPE_F32, type);
                assert_types(again, "output_norm.weight", TS_MODEL_TYPE_F32, type);
                save_folder(again, in_work("two"), type);
                assert_same_file(file_in(in_work("one"), "model.safetensors"), file_in(in_work("two"), "model.safetensors"));
                assert_same_file(file_in(in_work("one"), "config.json"), file_in(in_work("two"), "config.json"));
                assert_same_file(file_in(in_work("one"), "tokenizer.json"), file_in(in_work("two"), "tokenizer.json"));
                assert_int_equal(ts_model_open(&third, NULL, in_work("two"), NULL), TS_OK);
                assert_same_model(again, third);
                ts_model_free(third);
                ts_model_free(again);
                ts_model_free(model);
            }
}

/* By way of a folder the tokenizer stays what it is, its marks included, which config.json states. */
static void test_sentencepiece(void **state)
{
    (void)state;
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_model *model = sentencepiece_model(NULL, &a), *again;
    save_folder(model, in_work("pieces"), TS_MODEL_TYPE_F32);
    assert_int_equal(ts_model_open(&again, NULL, in_work("pieces"), NULL), TS_OK);
    assert_same_model(model, again);
    assert_int_equal(ts_tokenizer_begin_of_text(again->tokenizer), 1);
    assert_int_equal(ts_tokenizer_end_of_text(again->tokenizer), 1);
    ts_model_save_options checkpoint = {.struct_size = sizeof checkpoint, .format = TS_MODEL_FORMAT_LLAMA2C_V1};
    assert_int_equal(ts_model_save_as(again, in_work("pieces.bin"), &checkpoint), TS_OK);
    assert_same_file(in_work("made.bin"), in_work("pieces.tokenizer.bin"));
    ts_model_free(again);
    ts_model_free(model);
}

/* ---- configs ---- */

/* Writes the golden config of an architecture with one text replaced by another ("" at the front: right after the brace) beside its tensors. */
static void put_config(const char *folder, const char *from, const char *to)
{
    file_bytes config = get_file(file_in(folder, "config.json"));
    char *text = malloc(config.size + strlen(to) + 2), *at = strstr((char *)config.data, from[0] ? from : "{");
    if (at == NULL)
        fail_msg("'%s' is not in the config", from);
    size_t front = (size_t)(at - (char *)config.data) + (from[0] ? 0 : 1), skip = strlen(from);
    int size = sprintf(text, "%.*s%s%s%s", (int)front, (char *)config.data, to, from[0] ? "" : ",", (char *)config.data + front + skip);
    mkdir(in_work("config"), 0777);
    write_file(file_in(in_work("config"), "config.json"), text, (size_t)size);
    file_bytes tensors = get_file(file_in(folder, "model.safetensors"));
    write_file(file_in(in_work("config"), "model.safetensors"), tensors.data, tensors.size);
    free(tensors.data);
    free(config.data);
    free(text);
}

static void test_configs(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *from, *to;
        ts_status status;
        const char *detail;
    } cases[] = {
        {GOLDEN("gpt_neo"), "\"gelu_new\"", "\"relu\"", TS_ERROR_UNSUPPORTED, "activation_function is \"relu\""},
        {GOLDEN("gpt_neo"), "\"gelu_new\"", "\"gelu_pytorch_tanh\"", TS_OK, NULL},
        {GOLDEN("gpt_neo"), "\"gpt_neo\"", "\"gpt_neox\"", TS_ERROR_UNSUPPORTED, "model_type is \"gpt_neox\""},
        {GOLDEN("gpt_neo"), "\"model_type\": \"gpt_neo\",", "", TS_ERROR_UNSUPPORTED, "model_type is null"},
        {GOLDEN("gpt_neo"), "GPTNeoForCausalLM", "GPTNeoForQuestionAnswering", TS_ERROR_UNSUPPORTED, "GPTNeoForQuestionAnswering"},
        {GOLDEN("gpt_neo"), "\"hidden_size\": 16", "\"hidden_size\": 15", TS_ERROR_FORMAT, "width is 15"},
        {GOLDEN("gpt_neo"), "\"hidden_size\": 16", "\"hidden_size\": -16", TS_ERROR_FORMAT, "hidden_size is -16"},
        {GOLDEN("gpt_neo"), "\"hidden_size\": 16", "\"hidden_size\": \"16\"", TS_ERROR_FORMAT, "hidden_size is \"16\""},
        {GOLDEN("gpt_neo"), "\"hidden_size\": 16", "\"hidden_size\": 1e300", TS_ERROR_FORMAT, "hidden_size is 1"},
        {GOLDEN("gpt_neo"), "\"hidden_size\": 16", "\"hidden_size\": 32", TS_ERROR_FORMAT, "(272, 16), expected"},
        {GOLDEN("gpt_neo"), "\"hidden_size\": 16,", "", TS_ERROR_FORMAT, "hidden_size is null"},
        {GOLDEN("gpt_neo"), "\"num_heads\": 4", "\"num_heads\": 0", TS_ERROR_FORMAT, "num_heads is 0"},
        {GOLDEN("gpt_neo"), "\"num_layers\": 4", "\"num_layers\": 3", TS_ERROR_FORMAT, "attention_types has more layers than num_layers, 3"},
        {GOLDEN("gpt_neo"), "\"num_layers\": 4", "\"num_layers\": 6", TS_ERROR_FORMAT, "attention_types has 4 layers"},
        {GOLDEN("gpt_neo"), "\"attention_types\": [", "\"attention_types\": [[[\"local\"], 1],", TS_ERROR_UNSUPPORTED, "layer 0 \"local\""},
        {GOLDEN("gpt_neo"), "\"attention_types\": [", "\"attention_types\": [[[\"global\"], 99999999999],", TS_ERROR_UNSUPPORTED,
         "layer 1 \"global\""},
        {GOLDEN("gpt_neo"), "\"attention_types\": [", "\"attention_types\": [[[], 5],", TS_ERROR_FORMAT, "attention_types"},
        {GOLDEN("gpt_neo"), "\"num_layers\": 4", "\"num_layers\": 4294967294", TS_ERROR_FORMAT, "layers is 4294967294"},
        {GOLDEN("gpt_neo"), "\"attention_types\": [", "\"attention_types\": [7,", TS_ERROR_FORMAT, "attention_types"},
        {GOLDEN("gpt_neo"), "\"layer_norm_epsilon\": 1e-05", "\"layer_norm_epsilon\": 0", TS_ERROR_FORMAT, "layer_norm_epsilon is 0"},
        {GOLDEN("gpt_neo"), "\"layer_norm_epsilon\": 1e-05", "\"layer_norm_epsilon\": 1e-400", TS_ERROR_FORMAT, "layer_norm_epsilon is 0"},
        {GOLDEN("gpt_neo"), "", "\"hidden_size\": 16", TS_ERROR_FORMAT, "hidden_size"},
        {GOLDEN("gpt_neo"), "", "\"quantization_config\": {\"bits\": 4}", TS_ERROR_UNSUPPORTED, "quantization_config is an object"},
        {GOLDEN("gpt2"), "", "\"scale_attn_by_inverse_layer_idx_\": true", TS_OK, NULL},
        {GOLDEN("gpt2"), "\"scale_attn_by_inverse_layer_idx\": false", "\"scale_attn_by_inverse_layer_idx\": true", TS_ERROR_UNSUPPORTED,
         "scale_attn_by_inverse_layer_idx is true"},
        {GOLDEN("gpt2"), "\"scale_attn_weights\": true", "\"scale_attn_weights\": false", TS_ERROR_UNSUPPORTED, "scale_attn_weights is false"},
        {GOLDEN("gpt2"), "\"n_positions\": 24", "\"n_ctx\": 24", TS_OK, NULL},
        {GOLDEN("gpt2"), "", "\"add_cross_attention\": true", TS_ERROR_UNSUPPORTED, "add_cross_attention is true"},
        {GOLDEN("gpt2"), "", "\"tie_word_embeddings\": 7", TS_ERROR_FORMAT, "tie_word_embeddings is 7"},
        {GOLDEN("gpt2"), "", "\"tie_word_embeddings\": false", TS_ERROR_FORMAT, "lm_head.weight' is missing"},
        {GOLDEN("llama"), "\"silu\"", "\"gelu\"", TS_ERROR_UNSUPPORTED, "hidden_act is \"gelu\""},
        {GOLDEN("llama"), "\"attention_bias\": false", "\"attention_bias\": true", TS_ERROR_UNSUPPORTED, "attention_bias is true"},
        {GOLDEN("llama"), "", "\"mlp_bias\": true", TS_ERROR_UNSUPPORTED, "mlp_bias is true"},
        {GOLDEN("llama"), "", "\"head_dim\": 8", TS_ERROR_UNSUPPORTED, "head_dim is 8"},
        {GOLDEN("llama"), "", "\"head_dim\": 4611686018427387908", TS_ERROR_UNSUPPORTED, "head_dim is 4"}, /* wraps to 16 times 4 */
        {GOLDEN("llama"), "", "\"head_dim\": 4", TS_OK, NULL},
        {GOLDEN("llama"), "", "\"sliding_window\": 4096", TS_ERROR_UNSUPPORTED, "sliding_window is 4096"},
        {GOLDEN("llama"), "\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}", TS_ERROR_UNSUPPORTED, "\"linear\""},
        {GOLDEN("llama"), "\"rope_scaling\": null", "\"rope_scaling\": {\"factor\": 2.0}", TS_ERROR_UNSUPPORTED, "rope_scaling.factor is 2"},
        {GOLDEN("llama"), "\"rope_scaling\": null", "\"rope_scaling\": 3", TS_ERROR_UNSUPPORTED, "rope_scaling is 3"},
        {GOLDEN("llama"), "\"rope_scaling\": null", "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 10000.0}", TS_OK, NULL},
        {GOLDEN("llama"), "\"rope_scaling\": null", "\"rope_parameters\": {\"rope_type\": \"yarn\", \"rope_theta\": 10000.0}", TS_ERROR_UNSUPPORTED,
         "yarn"},
        {GOLDEN("llama"), "\"rope_theta\": 10000.0", "\"rope_theta\": -1", TS_ERROR_FORMAT, "rope_theta is -1"},
        {GOLDEN("llama"), "\"num_key_value_heads\": 4", "\"num_key_value_heads\": 3", TS_ERROR_FORMAT, "key_value_heads is 3"},
        {GOLDEN("llama"), "\"num_key_value_heads\": 4", "\"num_key_value_heads\": 2", TS_ERROR_FORMAT, "k_proj.weight"},
        {GOLDEN("llama"), "\"num_key_value_heads\": 4", "\"num_key_value_heads\": null", TS_OK, NULL},
        {GOLDEN("llama"), "\"vocab_size\": 272", "\"vocab_size\": 273", TS_ERROR_FORMAT, "(272, 16), expected F32 (273, 16)"},
        {GOLDEN("llama"), "\"model_type\": \"llama\"", "\"model_type\": \"mistral\"", TS_ERROR_UNSUPPORTED, "mistral"},
        {GOLDEN("llama"), "{", "[", TS_ERROR_FORMAT, "config.json"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_model *model = NULL;
        put_config(cases[i].folder, cases[i].from, cases[i].to);
        ts_status status = open_as(&model, NULL, in_work("config"));
        if (status != cases[i].status)
            fail_msg("case %zu: %s, expected %s: %s", i, ts_status_name(status), ts_status_name(cases[i].status), ts_error_detail());
        if (status != TS_OK)
            assert_detail_has(cases[i].detail);
        else
            assert_gold_logits(model, cases[i].folder);
        ts_model_free(model);
    }
}

/* ---- the published models' positions ---- */

static int warnings;

static void count_warnings(void *user, int32_t level, const char *line)
{
    (void)user;
    warnings += level == TS_LOG_WARNING && strstr(line, "512") != NULL;
}

static void test_positions(void **state)
{
    (void)state;
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_GPT_NEO);
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_runtime_options with_log;
    ts_runtime *runtime;
    a.context_length = 2048;
    a.window = 256;
    ts_model *model = fixture_model_of(NULL, tokenizer, &a, 1), *again;
    ts_tokenizer_free(tokenizer);
    save_folder(model, in_work("long"), TS_MODEL_TYPE_F32);
    assert_int_equal(ts_runtime_options_init(&with_log, sizeof with_log), TS_OK);
    with_log.log = count_warnings;
    assert_int_equal(ts_runtime_new(&runtime, &with_log), TS_OK);
    assert_int_equal(ts_model_open(&again, runtime, in_work("long"), NULL), TS_OK);
    assert_int_equal(again->shape.T, 512);
    assert_int_equal(warnings, 1);
    assert_same_logits(model, again, 0);
    ts_model_free(again);
    ts_model_options options = {.struct_size = sizeof options, .context_length = 2048};
    assert_int_equal(ts_model_open(&again, runtime, in_work("long"), &options), TS_OK);
    assert_int_equal(warnings, 1);
    assert_same_model(model, again);
    ts_model_free(again);
    ts_runtime_free(runtime);
    ts_model_free(model);
}

/* ---- tensors ---- */

static const ts_model *entries_model;
static ts_safetensors_entry entries[64];
static char entry_names[64][TS_PARAMETER_NAME];
static uint64_t entry_shapes[64][2];

/* The tensors of a gpt_neo model, whose file order is ours, as entries to be changed. */
static size_t make_entries(const ts_model *model)
{
    entries_model = model;
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        ts_parameter_name(p->huggingface, p->layer, entry_names[i]);
        entry_shapes[i][0] = p->rank == 1 ? p->columns : p->rows;
        entry_shapes[i][1] = p->columns;
        entries[i] = (ts_safetensors_entry){entry_names[i], TS_DTYPE_F32, p->rank, entry_shapes[i], model->weights.all[p->layer][p->slot]};
    }
    return model->table_count;
}

static void put_entries(const char *path, const ts_safetensors_entry *first, size_t count)
{
    ts_writer file;
    assert_int_equal(ts_writer_open(&file, entries_model->runtime, path), TS_OK);
    assert_int_equal(ts_safetensors_write(&file, entries_model->runtime, first, count, NULL, 0, false), TS_OK);
    assert_int_equal(ts_writer_commit(&file), TS_OK);
}

static void test_tensors(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_GPT_NEO), *again = NULL;
    static const float zeros[4096];
    const char *folder = in_work("tensors");
    save_folder(model, folder, TS_MODEL_TYPE_F32);
    char path[400];
    snprintf(path, sizeof path, "%s", file_in(folder, "model.safetensors"));

    size_t count = make_entries(model);
    for (size_t i = 0; i < count; i++) /* a bare model, with what older versions stored and a tied head */
        entries[i].name += strlen("transformer.");
    entries[count] = (ts_safetensors_entry){"h.0.attn.attention.bias", TS_DTYPE_U8, 2, (const uint64_t[]){16, 16}, zeros};
    entries[count + 1] = (ts_safetensors_entry){"h.0.attn.attention.masked_bias", TS_DTYPE_F32, 0, NULL, zeros};
    entries[count + 2] = (ts_safetensors_entry){"lm_head.weight", TS_DTYPE_F32, 1, (const uint64_t[]){3}, zeros};
    put_entries(path, entries, count + 3);
    assert_int_equal(ts_model_open(&again, NULL, folder, NULL), TS_OK);
    assert_same_model(model, again);
    ts_model_free(again);
    again = NULL;

    entries[count].name = "h.0.attn.attention.q_proj.bias";
    put_entries(path, entries, count + 1);
    assert_int_equal(ts_model_open(&again, NULL, folder, NULL), TS_ERROR_UNSUPPORTED);
    assert_detail_has("q_proj.bias");

    for (size_t i = 0; i < count; i++) {
        ts_safetensors_entry kept = entries[i];
        char name[TS_PARAMETER_NAME + 2];
        snprintf(name, sizeof name, "%s", kept.name);
        entries[i] = entries[count - 1]; /* missing */
        put_entries(path, entries, count - 1);
        assert_int_equal(ts_model_open(&again, NULL, folder, NULL), TS_ERROR_FORMAT);
        assert_detail_has(name);
        entries[i] = kept;
        entries[i].dtype = TS_DTYPE_I32;
        put_entries(path, entries, count);
        assert_int_equal(ts_model_open(&again, NULL, folder, NULL), TS_ERROR_UNSUPPORTED);
        assert_detail_has("I32");
        entries[i].dtype = TS_DTYPE_F32;
        uint64_t last = entry_shapes[i][kept.rank - 1]--;
        put_entries(path, entries, count);
        assert_int_equal(ts_model_open(&again, NULL, folder, NULL), TS_ERROR_FORMAT);
        assert_detail_has(name);
        entry_shapes[i][kept.rank - 1] = last;
    }
    ts_model_free(model);
}

/* ---- parts ---- */

static void put_index(const char *folder, const char *text)
{
    write_file(file_in(folder, "model.safetensors.index.json"), text, strlen(text));
}

static void test_parts(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_GPT_NEO), *again = NULL;
    const char *folder = in_work("parts");
    char path[400];
    save_folder(model, folder, TS_MODEL_TYPE_F32);
    assert_int_equal(unlink(file_in(folder, "model.safetensors")), 0);
    assert_int_equal(ts_model_open(&again, NULL, folder, NULL), TS_ERROR_IO);
    assert_detail_has("pytorch_model.bin");
    size_t count = make_entries(model);
    snprintf(path, sizeof path, "%s", file_in(folder, "a.safetensors"));
    put_entries(path, entries, 10);
    snprintf(path, sizeof path, "%s", file_in(folder, "b.safetensors"));
    put_entries(path, entries + 10, count - 10);
    put_index(folder, "{\"metadata\": {}, \"weight_map\": {\"x\": \"a.safetensors\", \"y\": \"b.safetensors\", \"z\": \"a.safetensors\"}}");
    assert_int_equal(ts_model_open(&again, NULL, folder, NULL), TS_OK);
    assert_same_model(model, again);
    ts_model_free(again);
    again = NULL;
    put_entries(path, entries + 9, count - 9); /* one tensor in both */
    assert_int_equal(ts_model_open(&again, NULL, folder, NULL), TS_ERROR_FORMAT);
    assert_detail_has("is in a.safetensors and in b.safetensors");
    static const struct {
        const char *index;
        ts_status status;
        const char *detail;
    } cases[] = {
        {"{\"weight_map\": {\"x\": \"a.safetensors\"}}", TS_ERROR_FORMAT, "is missing"},
        {"{\"weight_map\": {\"x\": \"c.safetensors\"}}", TS_ERROR_IO, "c.safetensors"},
        {"{\"weight_map\": {\"x\": \"../parts/a.safetensors\"}}", TS_ERROR_FORMAT, "same folder"},
        {"{\"weight_map\": {\"x\": \"/etc/passwd\"}}", TS_ERROR_FORMAT, "same folder"},
        {"{\"weight_map\": {\"x\": \"\"}}", TS_ERROR_FORMAT, "same folder"},
        {"{\"weight_map\": {\"x\": 7}}", TS_ERROR_FORMAT, "same folder"},
        {"{\"weight_map\": {}}", TS_ERROR_FORMAT, "weight_map"},
        {"{\"weight_map\": []}", TS_ERROR_FORMAT, "weight_map"},
        {"[]", TS_ERROR_FORMAT, "weight_map"},
        {"{\"weight_map\": {", TS_ERROR_FORMAT, "index.json"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        put_index(folder, cases[i].index);
        assert_int_equal(ts_model_open(&again, NULL, folder, NULL), cases[i].status);
        assert_detail_has(cases[i].detail);
    }
    ts_model_free(model);
}

/* ---- tokenizers and options ---- */

static void test_options(void **state)
{
    (void)state;
    ts_model *model = open_folder(GOLDEN("gpt2")), *again = NULL;
    assert_int_equal(ts_model_open(&again, NULL, GOLDEN("gpt2"), NULL), TS_ERROR_IO); /* without a tokenizer */
    assert_detail_has("tokenizer.json");
    ts_model_options options = {.struct_size = sizeof options, .tokenizer = words(), .map = 1};
    assert_int_equal(ts_model_open(&again, NULL, GOLDEN("gpt2"), &options), TS_ERROR_UNSUPPORTED);
    options.map = 0;
    options.memory_limit = ts_model_parameters(model) * 4 - 1;
    assert_int_equal(ts_model_open(&again, NULL, GOLDEN("gpt2"), &options), TS_ERROR_LIMIT);
    options.memory_limit = 0;
    options.context_length = 7;
    assert_int_equal(ts_model_open(&again, NULL, GOLDEN("gpt2"), &options), TS_OK);
    assert_int_equal(again->shape.T, 7);
    ts_model_free(again);
    options.context_length = 700;
    assert_int_equal(ts_model_open(&again, NULL, GOLDEN("gpt2"), &options), TS_OK);
    assert_int_equal(again->shape.T, T);
    ts_model_free(again);
    assert_int_equal(ts_model_open(&again, NULL, GOLDEN("llama"), &options), TS_OK);
    assert_int_equal(again->shape.T, 700);
    ts_model_free(again);
    ts_tokenizer *longer = fixture_tokenizer(NULL);
    assert_int_equal(ts_tokenizer_save(longer, in_work("longer.json")), TS_OK);
    ts_tokenizer_free(longer);
    options.tokenizer = in_work("longer.json");
    assert_int_equal(ts_model_open(&again, NULL, GOLDEN("llama"), &options), TS_ERROR_MISMATCH);
    ts_model_free(model);
    ts_model_save_options save = {.struct_size = sizeof save, .format = TS_MODEL_FORMAT_HUGGINGFACE};
    model = open_folder(GOLDEN("gpt2"));
    assert_int_equal(ts_model_save_as(model, file_in(work_folder(), "no/such/folder"), &save), TS_ERROR_IO);
    ts_model_free(model);
}

/* ---- damage ---- */

static void test_damaged(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA), *again = NULL;
    ts_runtime *runtime = small_runtime();
    char folder[200];
    snprintf(folder, sizeof folder, "%s", in_work("damaged"));
    save_folder(model, folder, TS_MODEL_TYPE_BF16);
    ts_model_free(model);
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    size_t accepted = 0;

    static const char claim[] = "{\"model_type\":\"gpt2\",\"vocab_size\":1048576,\"n_positions\":1048576,\"n_embd\":%d,\"n_layer\":%d,\"n_head\":1}";
    static const unsigned char nothing[] = "\x02\0\0\0\0\0\0\0{}";
    for (int width = 1; width <= 65536; width *= 16) /* 200 bytes that claim up to 512 layers and 2^47 parameters */
        for (int layers = 1; layers <= 512; layers *= 8) {
            char text[200];
            mkdir(in_work("claim"), 0777);
            write_file(file_in(in_work("claim"), "config.json"), text, (size_t)snprintf(text, sizeof text, claim, width, layers));
            write_file(file_in(in_work("claim"), "model.safetensors"), nothing, 10);
            ts_status status = ts_model_open(&again, runtime, in_work("claim"), NULL);
            assert_true(status == TS_ERROR_FORMAT || status == TS_ERROR_LIMIT);
        }
    for (size_t i = 0; i < TS_COUNT_OF(names); i++) {
        char path[400];
        snprintf(path, sizeof path, "%s", file_in(folder, names[i]));
        file_bytes file = get_file(path);
        ts_random random = {.seed = i};
        size_t step = file.size > 4000 ? 13 : 1;
        for (size_t size = 0; size < file.size; size += step) {
            write_file(path, file.data, size);
            ts_status status = ts_model_open(&again, runtime, folder, NULL);
            assert_true(status == TS_ERROR_FORMAT || (status == TS_OK && file.data[size] == '\n'));
            if (status == TS_OK)
                ts_model_free(again);
        }
        for (int change = 0; change < 3000; change++) {
            size_t at = (size_t)ts_random_below(&random, TS_MIN(file.size, (size_t)5000));
            unsigned char kept = file.data[at];
            file.data[at] =
                change % 2 ? (unsigned char)ts_random_next(&random) : (unsigned char)"0123456789\",:[]{}-ef"[ts_random_below(&random, 20)];
            write_file(path, file.data, file.size);
            again = NULL;
            ts_status status = ts_model_open(&again, runtime, folder, NULL);
            if (status != TS_OK && status != TS_ERROR_FORMAT && status != TS_ERROR_UNSUPPORTED && status != TS_ERROR_LIMIT &&
                status != TS_ERROR_MISMATCH)
                fail_msg("%s: %s", ts_status_name(status), ts_error_detail());
            accepted += status == TS_OK;
            ts_model_free(again);
            file.data[at] = kept;
        }
        write_file(path, file.data, file.size);
        free(file.data);
    }
    assert_in_range(accepted, 300, 8000);
    ts_runtime_free(runtime);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    ts_model *model = open_folder(GOLDEN("gpt2"));
    save_folder(model, in_work("memory"), TS_MODEL_TYPE_F32);
    ts_model_free(model);
    size_t at = 0;
    for (bool done = false; !done; at += at < 300 ? 1 : 37) {
        memory_probe probe = {.fail_at = at};
        ts_runtime *runtime = NULL;
        ts_model *read = NULL;
        ts_runtime_options options = probed_options(&probe, 1);
        ts_status status = ts_runtime_new(&runtime, &options);
        if (status == TS_OK)
            status = ts_model_open(&read, runtime, in_work("memory"), NULL);
        if (status == TS_OK) {
            ts_model_save_options save = {.struct_size = sizeof save, .format = TS_MODEL_FORMAT_HUGGINGFACE, .type = TS_MODEL_TYPE_F16};
            status = ts_model_save_as(read, in_work("memory2"), &save);
        }
        assert_int_equal(status, probe.failed ? TS_ERROR_OUT_OF_MEMORY : TS_OK);
        ts_model_free(read);
        ts_runtime_free(runtime);
        assert_int_equal(probe.live, 0);
        done = !probe.failed;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gold),          cmocka_unit_test(test_gold_stories),
        cmocka_unit_test(test_begin_of_text), cmocka_unit_test(test_gold_round_trips),
        cmocka_unit_test(test_round_trips),   cmocka_unit_test(test_configs),
        cmocka_unit_test(test_positions),     cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_parts),         cmocka_unit_test(test_options),
        cmocka_unit_test(test_damaged),       cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_sentencepiece),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

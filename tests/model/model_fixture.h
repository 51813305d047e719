/* Small models for the tests of models and samplers. */
#ifndef MODEL_FIXTURE_H
#define MODEL_FIXTURE_H

#include "support/support.h"

#include "model/model.h"
#include "tinystories.h"

#define FIXTURE __attribute__((unused)) static

/* ---- texts ---- */

static const char *const fixture_stories[] = {
    "Once upon a time there was a little cat. The cat liked to play in the garden with a red ball.",
    "Lily and Ben went to the park. They saw a big dog. \"Hello, dog!\" said Lily. The dog was happy.",
    "One day a bird could not fly. The little cat said: \"Do not be sad.\" They played all day, and the bird was happy.",
    "Na\xc3\xafve caf\xc3\xa9 \xe2\x80\x9cwow\xe2\x80\x9d \xf0\x9f\x98\x80 the end.",
};

FIXTURE ts_tokenizer *fixture_tokenizer(ts_runtime *runtime)
{
    ts_tokenizer_train_options options;
    ts_tokenizer *tokenizer;
    text_list list = {fixture_stories, sizeof fixture_stories / sizeof *fixture_stories, 0};
    assert_int_equal(ts_tokenizer_train_options_init(&options, sizeof options), TS_OK);
    options.vocabulary_size = 280;
    assert_int_equal(ts_tokenizer_train(&tokenizer, runtime, next_of_list, &list, &options), TS_OK);
    return tokenizer;
}

/* ---- models ---- */

FIXTURE ts_architecture fixture_architecture(int32_t kind)
{
    ts_architecture a;
    assert_int_equal(ts_architecture_init(&a, sizeof a), TS_OK);
    a.kind = kind;
    a.context_length = 16;
    a.width = 24;
    a.layers = 3;
    a.heads = 6;
    a.key_value_heads = kind == TS_ARCHITECTURE_LLAMA ? 2 : 0;
    a.hidden = 40;
    a.window = kind == TS_ARCHITECTURE_GPT_NEO ? 5 : 0;
    return a;
}

/* A model whose weights are large enough that its opinions are strong, none of them a default. */
FIXTURE ts_model *fixture_model_of(ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture, uint64_t seed)
{
    ts_architecture complete;
    ts_shape shape;
    ts_parameter *table;
    ts_model *model;
    size_t count, total;
    assert_int_equal(ts_architecture_read(&complete, architecture, tokenizer), TS_OK);
    ts_shape_of(&shape, &complete);
    ts_runtime *own;
    assert_int_equal(ts_runtime_acquire(&own, runtime), TS_OK);
    assert_int_equal(ts_parameters_make(own, &shape, &table, &count, &total), TS_OK);
    float *data = malloc(total * sizeof *data);
    assert_non_null(data);
    ts_random random = {.seed = seed};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < table[i].rows * table[i].columns; j++)
            data[table[i].offset + j] = (float)((table[i].initial == TS_INITIAL_ONE) + (table[i].rank == 1 ? 0.1 : 0.3) * ts_random_normal(&random));
    assert_int_equal(ts_model_from_parameters(&model, runtime, tokenizer, &complete, data), TS_OK);
    free(data);
    ts_release(own, table);
    ts_runtime_release(own);
    return model;
}

FIXTURE ts_model *fixture_model(ts_runtime *runtime, int32_t kind)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
    ts_architecture architecture = fixture_architecture(kind);
    ts_model *model = fixture_model_of(runtime, tokenizer, &architecture, 7);
    ts_tokenizer_free(tokenizer);
    return model;
}

FIXTURE void assert_detail_has(const char *part)
{
    if (strstr(ts_error_detail(), part) == NULL)
        fail_msg("the detail '%s' lacks '%s'", ts_error_detail(), part);
}

/* How the numbers of a tensor are stored in memory, and in the file that its model is of. */
FIXTURE void assert_types(const ts_model *model, const char *name, int32_t type, int32_t file_type)
{
    ts_tensor tensor = {.struct_size = sizeof tensor};
    size_t i = 0;
    do
        assert_int_equal(ts_model_tensor(model, i++, &tensor), TS_OK);
    while (strcmp(tensor.name, name) != 0);
    assert_int_equal(tensor.type, type);
    assert_int_equal(tensor.file_type, file_type);
}

#endif

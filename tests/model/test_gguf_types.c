/* GGUF files of other types and of SentencePiece tokenizers: what is written comes back, llama2.c's model tells its story from one, damage is
 * refused. */
#include "file_fixture.h"

#include "model/gguf_keys.h"

static ts_model *open_file(const char *path)
{
    ts_model *model = NULL;
    if (ts_model_open(&model, NULL, path, NULL) != TS_OK)
        fail_msg("%s: %s", path, ts_error_detail());
    return model;
}

/* Matrices rounded to 16 bits, the rest as it was; then nothing changes any more. */
static void test_halves(void **state)
{
    (void)state;
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++)
        for (int32_t type = TS_MODEL_TYPE_F16; type <= TS_MODEL_TYPE_BF16; type++) {
            ts_model *model = fixture_model(NULL, kind), *again, *third = NULL;
            ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_GGUF, .type = type};
            assert_int_equal(ts_model_save_as(model, in_work("half.gguf"), &options), TS_OK);
            again = open_file(in_work("half.gguf"));
            for (size_t i = 0; i < model->table_count; i++) {
                const ts_parameter *p = &model->table[i];
                const float *one = model->data + p->offset, *two = again->data + p->offset;
                for (size_t j = 0; j < p->rows * p->columns; j++) {
                    float half = type == TS_MODEL_TYPE_F16 ? ts_f16_to_f32(ts_f32_to_f16(one[j])) : ts_bf16_to_f32(ts_f32_to_bf16(one[j]));
                    assert_true(two[j] == (p->rank == 1 || p->slot == TS_SLOT_POSITIONS ? one[j] : half));
                }
            }
            assert_types(model, "blk.1.ffn_up.weight", TS_MODEL_TYPE_F32, TS_MODEL_TYPE_F32);
            assert_types(again, "blk.1.ffn_up.weight", TS_MODEL_TYPE_F32, type);
            assert_types(again, "output_norm.weight", TS_MODEL_TYPE_F32, TS_MODEL_TYPE_F32);
            assert_int_equal(ts_model_save_as(again, in_work("half2.gguf"), &options), TS_OK);
            assert_same_file(in_work("half.gguf"), in_work("half2.gguf"));
            ts_model_options map = {.struct_size = sizeof map, .map = 1};
            assert_int_equal(ts_model_open(&third, NULL, in_work("half.gguf"), &map), TS_ERROR_UNSUPPORTED);
            assert_detail_has("only F32 can be mapped");
            ts_model_free(again);
            ts_model_free(model);
        }
}

/* ---- blocks ---- */

/* Bytes of a pattern as blocks of a type, and the floats that they stand for by the type's definition. */
static size_t make_blocks(uint32_t type, size_t count, unsigned char *blocks, float *floats)
{
    size_t size = 0;
    static uint32_t x = 1;
    for (size_t block = 0; block < count / 32; block++) {
        uint16_t scale = (uint16_t)(0x2000 + block % 512); /* about 2^-7 */
        memcpy(blocks + size, &scale, sizeof scale);
        size += sizeof scale;
        for (size_t i = 0; i < (type == TS_GGML_Q8_0 ? 32u : 16u); i++) {
            unsigned char byte = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
            blocks[size++] = byte;
            if (type == TS_GGML_Q8_0) {
                floats[block * 32 + i] = (float)(int8_t)byte * ts_f16_to_f32(scale);
            } else {
                floats[block * 32 + i] = (float)(byte % 16 - 8) * ts_f16_to_f32(scale);
                floats[block * 32 + 16 + i] = (float)(byte / 16 - 8) * ts_f16_to_f32(scale);
            }
        }
    }
    return size;
}

/* A file whose matrices are of a type of blocks, the table of positions too; `all` gets what they stand for, as the model's table has it. */
static void put_blocks(const ts_model *model, uint32_t type, const char *path, float *all)
{
    ts_gguf_writer gguf;
    ts_writer file;
    unsigned char *blocks = malloc(model->total * 2);
    ts_gguf_writer_init(&gguf, model->runtime);
    ts_gguf_add_architecture(&gguf, &model->architecture, 0);
    ts_tokenizer_to_gguf(model->tokenizer, &gguf, model->architecture.vocabulary_size);
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        ts_gguf_add_tensor(&gguf, p->name, p->rank == 1 ? TS_GGML_F32 : type, p->rank,
                           (const uint64_t[]){p->rank == 1 ? p->columns : p->rows, p->columns});
    }
    assert_int_equal(ts_writer_open(&file, model->runtime, path), TS_OK);
    assert_int_equal(ts_gguf_write_start(&gguf, &file), TS_OK);
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        size_t count = p->rows * p->columns;
        memcpy(all + p->offset, model->data + p->offset, count * sizeof(float));
        if (p->rank == 1)
            ts_gguf_write_data(&gguf, model->data + p->offset, count * sizeof(float));
        else
            ts_gguf_write_data(&gguf, blocks, make_blocks(type, count, blocks, all + p->offset));
    }
    assert_int_equal(ts_gguf_write_finish(&gguf), TS_OK);
    assert_int_equal(ts_writer_commit(&file), TS_OK);
    ts_gguf_writer_free(&gguf);
    free(blocks);
}

/* Every number is what the file stands for, in blocks and widened; of the table of positions the rows that are used. */
static void check_numbers(const ts_model *read, const ts_model *model, const float *all, float *values)
{
    for (size_t i = 0; i < read->table_count; i++) {
        const ts_parameter *p = &read->table[i];
        assert_int_equal(ts_model_tensor_read(read, i, values, p->rows * p->columns), TS_OK);
        assert_memory_equal(values, all + model->table[i].offset, p->rows * p->columns * sizeof *all);
    }
}

static void test_block_types(void **state)
{
    (void)state;
    static const uint32_t types[] = {TS_GGML_Q8_0, TS_GGML_Q4_0};
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++)
        for (size_t t = 0; t < TS_COUNT_OF(types); t++) {
            ts_architecture a = fixture_architecture(kind);
            ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
            a.width = 96;
            a.hidden = 64;
            ts_model *model = fixture_model_of(NULL, tokenizer, &a, 2), *read;
            ts_tokenizer_free(tokenizer);
            float *all = malloc(model->total * sizeof *all), *values = malloc(model->total * sizeof *values);
            put_blocks(model, types[t], in_work("blocks.gguf"), all);
            for (uint32_t widen = 0; widen < 2; widen++)
                for (uint32_t context = 0; context <= 7; context += 7) { /* with learned positions: their first rows */
                    ts_model_options options = {.struct_size = sizeof options, .context_length = context, .widen = widen};
                    assert_int_equal(ts_model_open(&read, NULL, in_work("blocks.gguf"), &options), TS_OK);
                    assert_int_equal(read->weights.all[0][TS_SLOT_TOKENS] != NULL, widen);
                    check_numbers(read, model, all, values);
                    ts_model_free(read);
                }
            free(values);
            free(all);
            ts_model_free(model);
        }
}

static void test_sentencepiece(void **state)
{
    (void)state;
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    a.vocabulary_size = 280; /* more rows than the tokenizer's 271 tokens */
    ts_model *model = sentencepiece_model(NULL, &a);
    assert_int_equal(ts_model_save(model, in_work("pieces.gguf")), TS_OK);
    ts_model *again = open_file(in_work("pieces.gguf"));
    assert_same_model(model, again);
    assert_int_equal(ts_tokenizer_size(again->tokenizer), 271);
    assert_int_equal(ts_tokenizer_begin_of_text(again->tokenizer), 1);
    assert_int_equal(ts_tokenizer_end_of_text(again->tokenizer), 1);
    assert_int_equal(ts_model_save(again, in_work("pieces2.gguf")), TS_OK);
    assert_same_file(in_work("pieces.gguf"), in_work("pieces2.gguf"));
    ts_tokenizer *alone; /* a tokenizer is taken out of a model */
    assert_int_equal(ts_tokenizer_open(&alone, NULL, in_work("pieces.gguf")), TS_OK);
    assert_int_equal(ts_tokenizer_save(alone, in_work("out.bin")), TS_OK);
    assert_same_file(in_work("made.bin"), in_work("out.bin"));
    ts_tokenizer_free(alone);
    ts_model_free(again);
    ts_model_free(model);
}

/* Real weights by way of GGUF and back into a checkpoint. */
static void test_real(void **state)
{
    (void)state;
    ts_model *model = open_file(test_data("models/stories260K.bin")), *again;
    ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_LLAMA2C_V0};
    assert_int_equal(ts_model_save(model, in_work("real.gguf")), TS_OK);
    again = open_file(in_work("real.gguf"));
    assert_same_model(model, again);
    assert_int_equal(ts_model_save_as(model, in_work("one.bin"), &options), TS_OK);
    assert_int_equal(ts_model_save_as(again, in_work("two.bin"), &options), TS_OK);
    assert_same_file(in_work("one.bin"), in_work("two.bin"));
    assert_same_file(test_data("models/tok512.bin"), in_work("two.tokenizer.bin"));
    ts_model_free(again);
    ts_model_free(model);
}

/* ---- tokenizers that others write, and wrong ones ---- */

typedef struct token {
    const char *text;
    int32_t type;
} token;

typedef struct vocabulary {
    token first[3];
    int32_t byte_type;
    const char *byte_ten;
    token last;
    float score;
    const char *flag; /* a bool key that is set to `flag_value` */
    bool flag_value;
    int32_t begin, end; /* -1: not stated */
    ts_status status;
    const char *detail;
} vocabulary;

#define USUAL                                                                                                                                        \
    {                                                                                                                                                \
        {"<unk>", 2}, {"<s>", 3},                                                                                                                    \
        {                                                                                                                                            \
            "</s>", 3                                                                                                                                \
        }                                                                                                                                            \
    }

static ts_status open_vocabulary(ts_tokenizer **tokenizer, const vocabulary *v)
{
    ts_runtime *runtime;
    ts_gguf_writer gguf;
    ts_writer file;
    enum { COUNT = 3 + 256 + 1 };
    int32_t types[COUNT];
    float scores[COUNT] = {0};
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    ts_gguf_writer_init(&gguf, runtime);
    ts_gguf_add_string(&gguf, "tokenizer.ggml.model", "llama", 5);
    ts_gguf_add_strings(&gguf, "tokenizer.ggml.tokens", COUNT);
    for (int id = 0; id < COUNT; id++) {
        char text[16];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)(id - 3) & 255);
        const char *at = id < 3 ? v->first[id].text : id == COUNT - 1 ? v->last.text : id == 13 ? v->byte_ten : text;
        types[id] = id < 3 ? v->first[id].type : id == COUNT - 1 ? v->last.type : v->byte_type;
        ts_gguf_add_element(&gguf, at, strlen(at));
    }
    scores[COUNT - 1] = v->score;
    ts_gguf_add_i32s(&gguf, "tokenizer.ggml.token_type", types, COUNT);
    ts_gguf_add_f32s(&gguf, "tokenizer.ggml.scores", scores, COUNT);
    if (v->flag != NULL)
        ts_gguf_add_bool(&gguf, v->flag, v->flag_value);
    if (v->begin >= 0)
        ts_gguf_add_u32(&gguf, "tokenizer.ggml.bos_token_id", (uint32_t)v->begin);
    if (v->end >= 0)
        ts_gguf_add_u32(&gguf, "tokenizer.ggml.eos_token_id", (uint32_t)v->end);
    assert_int_equal(ts_writer_open(&file, runtime, in_work("v.gguf")), TS_OK);
    assert_int_equal(ts_gguf_write_start(&gguf, &file), TS_OK);
    assert_int_equal(ts_gguf_write_finish(&gguf), TS_OK);
    assert_int_equal(ts_writer_commit(&file), TS_OK);
    ts_gguf_writer_free(&gguf);
    ts_runtime_free(runtime);
    return ts_tokenizer_open(tokenizer, NULL, in_work("v.gguf"));
}

static void test_vocabularies(void **state)
{
    (void)state;
    static const char mark_a[] = "\xe2\x96\x81"
                                 "a";
    static const vocabulary cases[] = {
        {USUAL, 6, "<0x0A>", {mark_a, 1}, -1, NULL, false, -1, -1, TS_OK, ""},
        {USUAL, 6, "<0x0a>", {mark_a, 1}, -1, "tokenizer.ggml.add_space_prefix", true, 1, 2, TS_OK, ""},
        {USUAL, 6, "<0x0A>", {mark_a, 1}, -1, "tokenizer.ggml.add_space_prefix", false, 1, 2, TS_ERROR_UNSUPPORTED, "add_space_prefix"},
        {USUAL, 6, "<0x0A>", {mark_a, 1}, -1, "tokenizer.ggml.remove_extra_whitespaces", true, 1, 2, TS_ERROR_UNSUPPORTED, "remove_extra"},
        {USUAL, 6, "<0x-1>", {mark_a, 1}, -1, NULL, false, 1, 2, TS_ERROR_FORMAT, "<0x-1>"},
        {USUAL, 6, "<0xZZ>", {mark_a, 1}, -1, NULL, false, 1, 2, TS_ERROR_FORMAT, "<0xZZ>"},
        {USUAL, 6, "<0x0B>", {mark_a, 1}, -1, NULL, false, 1, 2, TS_ERROR_FORMAT, "are the same"},
        {USUAL, 1, "<0x0A>", {mark_a, 1}, -1, NULL, false, 1, 2, TS_ERROR_FORMAT, "no token for the byte"},
        {USUAL, 6, "<0x0A>", {"", 1}, -1, NULL, false, 1, 2, TS_ERROR_LIMIT, "tokens[259]"},
        {USUAL, 6, "<0x0A>", {mark_a, 1}, 1.0f / 0.0f, NULL, false, 1, 2, TS_ERROR_FORMAT, "score of token 259"},
        {USUAL, 6, "<0x0A>", {mark_a, 1}, -1, NULL, false, 1, 259, TS_ERROR_FORMAT, "end of text, 259"},
        {USUAL, 6, "<0x0A>", {mark_a, 1}, -1, NULL, false, 260, 2, TS_ERROR_FORMAT, "beginning of text, 260"},
        {USUAL, 6, "<0x0A>", {mark_a, 1}, -1, NULL, false, 1, INT32_MAX, TS_ERROR_FORMAT, "end of text"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_tokenizer *tokenizer = NULL;
        ts_status status = open_vocabulary(&tokenizer, &cases[i]);
        if (status != cases[i].status)
            fail_msg("case %zu: %s, expected %s: %s", i, ts_status_name(status), ts_status_name(cases[i].status), ts_error_detail());
        if (status != TS_OK) {
            assert_detail_has(cases[i].detail);
            continue;
        }
        uint32_t ids[4];
        size_t count;
        assert_int_equal(ts_tokenizer_begin_of_text(tokenizer), 1);
        assert_int_equal(ts_tokenizer_end_of_text(tokenizer), 2);
        assert_int_equal(ts_tokenizer_find(tokenizer, " a", 2), 259);
        assert_int_equal(ts_tokenizer_encode(tokenizer, "\n", 1, 0, ids, 4, &count), TS_OK);
        assert_int_equal(count, 2);
        assert_int_equal(ids[0], 3 + ' ');
        assert_int_equal(ids[1], 3 + '\n');
        ts_tokenizer_free(tokenizer);
    }
}

/* ---- damage ---- */

static void test_damaged(void **state)
{
    (void)state;
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    a.layers = 1;
    ts_model *model = sentencepiece_model(NULL, &a);
    ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_GGUF, .type = TS_MODEL_TYPE_F16};
    assert_int_equal(ts_model_save_as(model, in_work("damaged.gguf"), &options), TS_OK);
    ts_model_free(model);
    file_bytes file = get_file(in_work("damaged.gguf"));
    ts_runtime *runtime = small_runtime();
    ts_random random = {.seed = 4};
    size_t accepted = 0, description = file.size - 2 * 271 * 24; /* nearly: most of the rest is weights */
    for (size_t size = 0; size < file.size; size += size < 600 ? 1 : 7) {
        unsigned char *copy = malloc(size + 1);
        memcpy(copy, file.data, size);
        ts_status status = ts_model_open_memory(&model, runtime, copy, size, NULL);
        assert_int_equal(status, TS_ERROR_FORMAT);
        free(copy);
    }
    for (int i = 0; i < 6000; i++) {
        size_t at = (size_t)ts_random_below(&random, i % 8 ? description : file.size);
        unsigned char kept = file.data[at];
        file.data[at] = i % 2 ? (unsigned char)ts_random_next(&random) : (unsigned char)(kept ^ 1 << i / 2 % 8);
        model = NULL;
        ts_status status = ts_model_open_memory(&model, runtime, file.data, file.size, NULL);
        if (status != TS_OK && status != TS_ERROR_FORMAT && status != TS_ERROR_UNSUPPORTED && status != TS_ERROR_LIMIT &&
            status != TS_ERROR_MISMATCH && status != TS_ERROR_VERSION)
            fail_msg("%s: %s", ts_status_name(status), ts_error_detail());
        accepted += status == TS_OK;
        ts_model_free(model);
        file.data[at] = kept;
    }
    assert_in_range(accepted, 1000, 5000);
    ts_runtime_free(runtime);
    free(file.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves), cmocka_unit_test(test_block_types),  cmocka_unit_test(test_sentencepiece),
        cmocka_unit_test(test_real),   cmocka_unit_test(test_vocabularies), cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

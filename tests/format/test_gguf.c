/* GGUF: what is written is read back, typed getters, every truncation, mapping, many names. */
#include "format_files.h"

#include <math.h>
#include <time.h>

static const float matrix[6] = {1.5f, -2, 0, 3e-40f, 1e30f, -0.0f};
static const float vector[3] = {7, 8, 9};
static const uint16_t halves[4] = {0x3c00, 0x0001, 0xfbff, 0x7c00};

static void declare(ts_gguf_writer *writer)
{
    const uint64_t matrix_shape[2] = {2, 3}, vector_shape[1] = {3}, half_shape[1] = {4};
    ts_gguf_writer_init(writer, runtime);
    ts_gguf_add_string(writer, "general.architecture", "llama", 5);
    ts_gguf_add_u32(writer, "llama.block_count", 5);
    ts_gguf_add_u64(writer, "big", UINT64_MAX);
    ts_gguf_add_f32(writer, "epsilon", 1e-5f);
    ts_gguf_add_bool(writer, "yes", true);
    ts_gguf_add_string(writer, "empty", "", 0);
    ts_gguf_add_string(writer, "zero", "a\0b", 3);
    ts_gguf_add_i32s(writer, "types", (const int32_t[]){-1, 2, INT32_MIN}, 3);
    ts_gguf_add_f32s(writer, "scores", (const float[]){0.5f, -0.25f}, 2);
    ts_gguf_add_bools(writer, "pattern", (const uint8_t[]){1, 0, 7}, 3);
    ts_gguf_add_strings(writer, "tokens", 3);
    ts_gguf_add_element(writer, "<|endoftext|>", 13);
    ts_gguf_add_element(writer, "", 0);
    ts_gguf_add_element(writer, "\xc4\xa0the", 5);
    ts_gguf_add_strings(writer, "none", 0);
    ts_gguf_add_tensor(writer, "token_embd.weight", TS_GGML_F32, 2, matrix_shape);
    ts_gguf_add_tensor(writer, "output_norm.weight", TS_GGML_F32, 1, vector_shape);
    ts_gguf_add_tensor(writer, "half", TS_GGML_F16, 1, half_shape);
}

/* A whole small file; free() it. */
static unsigned char *make_file(size_t *size)
{
    ts_gguf_writer writer;
    declare(&writer);
    assert_int_equal(writer.status, TS_OK);
    *size = (size_t)ts_gguf_write_size(&writer);
    unsigned char *memory = malloc(*size);
    ts_writer file;
    ts_writer_memory(&file, runtime, memory, *size);
    assert_ok(ts_gguf_write_start(&writer, &file));
    ts_gguf_write_data(&writer, matrix, 5); /* any pieces, across tensors too */
    ts_gguf_write_data(&writer, (const char *)matrix + 5, sizeof matrix - 5);
    ts_gguf_write_data(&writer, vector, sizeof vector);
    ts_gguf_write_data(&writer, halves, sizeof halves);
    assert_ok(ts_gguf_write_finish(&writer));
    assert_int_equal(file.written, *size);
    assert_ok(ts_writer_commit(&file));
    ts_gguf_writer_free(&writer);
    return memory;
}

static void check_values(ts_gguf *gguf)
{
    const char *text;
    size_t size, count;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    float f32 = 0;
    bool yes = false;
    assert_ok(ts_gguf_get_string(gguf, "general.architecture", &text, NULL));
    assert_string_equal(text, "llama");
    assert_ok(ts_gguf_get_u32(gguf, "llama.block_count", &u32));
    assert_int_equal(u32, 5);
    assert_ok(ts_gguf_get_u64(gguf, "llama.block_count", &u64));
    assert_int_equal(u64, 5);
    assert_ok(ts_gguf_get_u64(gguf, "big", &u64));
    assert_true(u64 == UINT64_MAX);
    assert_ok(ts_gguf_get_f32(gguf, "epsilon", &f32));
    assert_true(f32 == 1e-5f);
    assert_ok(ts_gguf_get_bool(gguf, "yes", &yes));
    assert_true(yes);
    assert_ok(ts_gguf_get_string(gguf, "empty", &text, &size));
    assert_int_equal(size, 0);
    assert_ok(ts_gguf_get_string(gguf, "zero", &text, &size));
    assert_int_equal(size, 3);
    assert_memory_equal(text, "a\0b", 4);
    assert_status(ts_gguf_get_string(gguf, "zero", &text, NULL), TS_ERROR_FORMAT);

    const int32_t *types;
    const float *scores;
    const uint8_t *pattern;
    assert_ok(ts_gguf_get_i32s(gguf, "types", &types, &count));
    assert_int_equal(count, 3);
    assert_int_equal(types[2], INT32_MIN);
    assert_ok(ts_gguf_get_f32s(gguf, "scores", &scores, &count));
    assert_int_equal(count, 2);
    assert_true(scores[1] == -0.25f);
    assert_ok(ts_gguf_get_bools(gguf, "pattern", &pattern, &count));
    assert_int_equal(count, 3);
    assert_memory_equal(pattern, "\1\0\1", 3);

    ts_gguf_strings strings;
    assert_ok(ts_gguf_get_strings(gguf, "tokens", &strings));
    assert_int_equal(strings.count, 3);
    assert_true(ts_gguf_strings_next(&strings, &text, &size));
    assert_int_equal(size, 13);
    assert_memory_equal(text, "<|endoftext|>", 13);
    assert_true(ts_gguf_strings_next(&strings, &text, &size));
    assert_int_equal(size, 0);
    assert_true(ts_gguf_strings_next(&strings, &text, &size));
    assert_memory_equal(text, "\xc4\xa0the", 5);
    assert_false(ts_gguf_strings_next(&strings, &text, &size));
    assert_ok(ts_gguf_get_strings(gguf, "none", &strings));
    assert_false(ts_gguf_strings_next(&strings, &text, &size));
}

static void check_tensors(ts_gguf *gguf)
{
    assert_int_equal(ts_gguf_tensor_count(gguf), 3);
    const ts_gguf_tensor *tensor = ts_gguf_tensor_at(gguf, 0);
    assert_string_equal(tensor->name, "token_embd.weight");
    assert_int_equal(tensor->rank, 2);
    assert_int_equal(tensor->shape[0], 2);
    assert_int_equal(tensor->shape[1], 3);
    assert_int_equal(tensor->shape[3], 1);
    assert_int_equal(tensor->offset % 32, 0);
    float values[6];
    assert_ok(ts_gguf_tensor_read_f32(gguf, tensor, values));
    assert_memory_equal(values, matrix, sizeof matrix);
    assert_ok(ts_gguf_get_tensor(gguf, "output_norm.weight", 1, (const uint64_t[]){3}, &tensor));
    assert_ok(ts_gguf_tensor_read_f32(gguf, tensor, values));
    assert_memory_equal(values, vector, sizeof vector);
    assert_ok(ts_gguf_get_tensor(gguf, "half", 1, (const uint64_t[]){4}, &tensor));
    assert_ok(ts_gguf_tensor_read_f32(gguf, tensor, values));
    assert_true(values[0] == 1 && values[1] == 0x1p-24f && values[2] == -65504 && isinf(values[3]));
    assert_null(ts_gguf_find_tensor(gguf, "hal"));
    assert_status(ts_gguf_get_tensor(gguf, "output.weight", 1, (const uint64_t[]){4}, &tensor), TS_ERROR_FORMAT);
    assert_detail("output.weight");
    assert_status(ts_gguf_get_tensor(gguf, "token_embd.weight", 2, (const uint64_t[]){3, 2}, &tensor), TS_ERROR_FORMAT);
    assert_detail("(2, 3)");
    assert_detail("(3, 2)");
}

static void test_round_trip(void **state)
{
    (void)state;
    size_t size;
    unsigned char *memory = make_file(&size);
    ts_source source;
    ts_gguf *gguf;
    ts_source_memory(&source, runtime, memory, size, "story.gguf");
    assert_ok(ts_gguf_open(&gguf, &source));
    assert_int_equal(ts_gguf_version(gguf), 3);
    assert_int_equal(ts_gguf_pair_count(gguf), 12);
    assert_string_equal(ts_gguf_pair_at(gguf, 1)->key, "llama.block_count");
    check_values(gguf);
    check_tensors(gguf);
    assert_memory_equal(ts_gguf_tensor_memory(gguf, ts_gguf_tensor_at(gguf, 0)), matrix, sizeof matrix);
    ts_gguf_close(gguf);
    ts_source_close(&source);

    memory[4] = 2; /* version 2 has the same layout */
    ts_source_memory(&source, runtime, memory, size, "story.gguf");
    assert_ok(ts_gguf_open(&gguf, &source));
    check_values(gguf);
    ts_gguf_close(gguf);
    ts_source_close(&source);
    free(memory);
}

static int32_t read_back(void *user, uint64_t offset, void *buffer, size_t count)
{
    memcpy(buffer, (const char *)user + offset, count);
    return 0;
}

static int32_t cannot_read(void *user, uint64_t offset, void *buffer, size_t count)
{
    int *left = user;
    (void)offset;
    memset(buffer, 0, count);
    return (*left)-- > 0 ? 0 : 5;
}

static void test_callbacks(void **state)
{
    (void)state;
    size_t size;
    unsigned char *memory = make_file(&size);
    ts_source source;
    ts_gguf *gguf;
    ts_source_callbacks(&source, runtime, read_back, memory, size, "archive");
    assert_ok(ts_gguf_open(&gguf, &source));
    check_values(gguf);
    check_tensors(gguf);
    assert_null(ts_gguf_tensor_memory(gguf, ts_gguf_tensor_at(gguf, 0)));
    ts_gguf_close(gguf);
    ts_source_close(&source);
    int left = 0;
    ts_source_callbacks(&source, runtime, cannot_read, &left, size, "archive");
    assert_status(ts_gguf_open(&gguf, &source), TS_ERROR_IO);
    assert_detail("archive");
    free(memory);
}

static void test_files(void **state)
{
    (void)state;
    size_t size;
    unsigned char *memory = make_file(&size);
    const char *path = put_file("story.gguf", memory, size);
    for (int map = 0; map < 2; map++) {
        ts_source source;
        ts_gguf *gguf;
        assert_ok(ts_source_open(&source, runtime, path, map != 0));
        assert_ok(ts_gguf_open(&gguf, &source));
        check_values(gguf);
        check_tensors(gguf);
        assert_int_equal(ts_gguf_tensor_memory(gguf, ts_gguf_tensor_at(gguf, 0)) != NULL, map);
        ts_gguf_close(gguf);
        ts_source_close(&source);
    }
    remove_file("story.gguf");
    free(memory);
}

static void test_getters_refuse(void **state)
{
    (void)state;
    size_t size, count;
    unsigned char *memory = make_file(&size);
    ts_source source;
    ts_gguf *gguf;
    ts_source_memory(&source, runtime, memory, size, "story.gguf");
    assert_ok(ts_gguf_open(&gguf, &source));
    uint32_t u32 = 77;
    float f32;
    bool yes;
    const char *text;
    const int32_t *types;
    const float *scores;
    const uint8_t *pattern;
    ts_gguf_strings strings;
    assert_false(ts_gguf_has(gguf, "llama.context_length"));
    assert_status(ts_gguf_get_u32(gguf, "llama.context_length", &u32), TS_ERROR_FORMAT);
    assert_detail("story.gguf");
    assert_detail("llama.context_length");
    assert_status(ts_gguf_get_u32(gguf, "big", &u32), TS_ERROR_FORMAT);
    assert_detail("18446744073709551615");
    assert_status(ts_gguf_get_u32(gguf, "epsilon", &u32), TS_ERROR_FORMAT);
    assert_int_equal(u32, 77);
    assert_status(ts_gguf_get_f32(gguf, "big", &f32), TS_ERROR_FORMAT);
    assert_status(ts_gguf_get_bool(gguf, "big", &yes), TS_ERROR_FORMAT);
    assert_status(ts_gguf_get_string(gguf, "tokens", &text, NULL), TS_ERROR_FORMAT);
    assert_detail("array of string");
    /* every array with every other getter: a declared type is never read as another */
    assert_status(ts_gguf_get_i32s(gguf, "scores", &types, &count), TS_ERROR_FORMAT);
    assert_status(ts_gguf_get_i32s(gguf, "pattern", &types, &count), TS_ERROR_FORMAT);
    assert_status(ts_gguf_get_f32s(gguf, "types", &scores, &count), TS_ERROR_FORMAT);
    assert_status(ts_gguf_get_bools(gguf, "types", &pattern, &count), TS_ERROR_FORMAT);
    assert_status(ts_gguf_get_strings(gguf, "types", &strings), TS_ERROR_FORMAT);
    assert_status(ts_gguf_get_strings(gguf, "empty", &strings), TS_ERROR_FORMAT);
    ts_gguf_close(gguf);
    ts_source_close(&source);
    free(memory);
}

static void test_truncations(void **state)
{
    (void)state;
    size_t size;
    unsigned char *memory = make_file(&size);
    size_t needed = size - (32 - sizeof halves); /* the last padding may be missing */
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *copy = exact_copy(memory, cut);
        ts_source source;
        ts_gguf *gguf = NULL;
        ts_source_memory(&source, runtime, copy, cut, "cut.gguf");
        ts_status status = ts_gguf_open(&gguf, &source);
        if (status != (cut < needed ? TS_ERROR_FORMAT : TS_OK))
            fail_msg("cut at %zu of %zu: %s: %s", cut, size, ts_status_name(status), ts_error_detail());
        ts_gguf_close(gguf);
        ts_source_close(&source);
        free(copy);
    }
    free(memory);
}

/* Any flipped bit gives an error or a file all of whose values can be read. */
static void test_flipped_bits(void **state)
{
    (void)state;
    size_t size;
    unsigned char *memory = make_file(&size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        unsigned char *copy = exact_copy(memory, size);
        copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
        ts_source source;
        ts_gguf *gguf = NULL;
        ts_source_memory(&source, runtime, copy, size, "flipped.gguf");
        if (ts_gguf_open(&gguf, &source) == TS_OK) {
            for (size_t i = 0; i < ts_gguf_pair_count(gguf); i++) {
                const char *key = ts_gguf_pair_at(gguf, i)->key, *text;
                size_t count;
                ts_gguf_strings strings;
                ts_gguf_get_string(gguf, key, &text, &count);
                if (ts_gguf_get_strings(gguf, key, &strings) == TS_OK)
                    while (ts_gguf_strings_next(&strings, &text, &count))
                        ;
            }
            for (size_t i = 0; i < ts_gguf_tensor_count(gguf); i++) {
                const ts_gguf_tensor *tensor = ts_gguf_tensor_at(gguf, i);
                float *values = malloc(tensor->elements * sizeof *values);
                ts_gguf_tensor_read_f32(gguf, tensor, values);
                free(values);
            }
        }
        ts_gguf_close(gguf);
        ts_source_close(&source);
        free(copy);
    }
    free(memory);
}

static void test_writer_refuses(void **state)
{
    (void)state;
    ts_gguf_writer writer;
    ts_writer file;
    unsigned char memory[512];
    ts_writer_memory(&file, runtime, memory, sizeof memory);

    ts_gguf_writer_init(&writer, runtime);
    ts_gguf_add_strings(&writer, "tokens", 2);
    ts_gguf_add_element(&writer, "a", 1);
    assert_status(ts_gguf_write_start(&writer, &file), TS_ERROR_INVALID_ARGUMENT);
    ts_gguf_writer_free(&writer);

    ts_gguf_writer_init(&writer, runtime);
    ts_gguf_add_u32(&writer, "", 1);
    assert_status(ts_gguf_write_start(&writer, &file), TS_ERROR_INVALID_ARGUMENT);
    ts_gguf_writer_free(&writer);

    static const uint64_t shapes[][2] = {{3, 0}, {UINT64_MAX, 2}, {1ull << 62, 4}};
    for (size_t i = 0; i < TS_COUNT_OF(shapes); i++) {
        ts_gguf_writer_init(&writer, runtime);
        ts_gguf_add_tensor(&writer, "w", TS_GGML_F32, 2, shapes[i]);
        assert_status(ts_gguf_write_start(&writer, &file), TS_ERROR_INVALID_ARGUMENT);
        ts_gguf_writer_free(&writer);
    }

    ts_gguf_writer_init(&writer, runtime);
    ts_gguf_add_tensor(&writer, "w", TS_GGML_F32, 1, (const uint64_t[]){2});
    assert_ok(ts_gguf_write_start(&writer, &file));
    ts_gguf_write_data(&writer, matrix, 7);
    assert_status(ts_gguf_write_finish(&writer), TS_ERROR_INVALID_ARGUMENT);
    ts_gguf_writer_free(&writer);
    ts_writer_abandon(&file);
}

/* As many tensors as are allowed, in little time; one more is too many. */
static void test_many_tensors(void **state)
{
    (void)state;
    ts_gguf_writer writer;
    ts_gguf_writer_init(&writer, runtime);
    char name[32];
    for (int i = 0; i < TS_GGUF_MAX_TENSORS; i++) {
        snprintf(name, sizeof name, "t%d", (int)(i * 7919ll % TS_GGUF_MAX_TENSORS));
        ts_gguf_add_tensor(&writer, name, TS_GGML_F32, 1, (const uint64_t[]){1});
    }
    size_t size = (size_t)ts_gguf_write_size(&writer);
    unsigned char *memory = malloc(size);
    ts_writer file;
    ts_writer_memory(&file, runtime, memory, size);
    assert_ok(ts_gguf_write_start(&writer, &file));
    for (int i = 0; i < TS_GGUF_MAX_TENSORS; i++)
        ts_gguf_write_data(&writer, &(float){(float)i}, 4);
    assert_ok(ts_gguf_write_finish(&writer));
    assert_ok(ts_writer_commit(&file));
    ts_gguf_add_tensor(&writer, "more", TS_GGML_F32, 1, (const uint64_t[]){1});
    assert_int_equal(writer.status, TS_ERROR_LIMIT);
    ts_gguf_writer_free(&writer);

    ts_source source;
    ts_gguf *gguf;
    ts_source_memory(&source, runtime, memory, size, "many.gguf");
    clock_t start = clock();
    assert_ok(ts_gguf_open(&gguf, &source));
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 1);
    for (int i = 0; i < TS_GGUF_MAX_TENSORS; i += 997) {
        snprintf(name, sizeof name, "t%d", (int)(i * 7919ll % TS_GGUF_MAX_TENSORS));
        float value;
        assert_non_null(ts_gguf_find_tensor(gguf, name));
        assert_ok(ts_gguf_tensor_read_f32(gguf, ts_gguf_find_tensor(gguf, name), &value));
        assert_true(value == (float)i);
    }
    ts_gguf_close(gguf);
    ts_source_close(&source);
    free(memory);
}

/* All 65,536 halves against arithmetic. */
static void test_halves(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        int exponent = bits >> 10 & 31, fraction = bits & 1023;
        float value = ts_f16_to_f32((uint16_t)bits), sign = bits & 0x8000 ? -1 : 1;
        if (exponent == 31)
            assert_true(fraction != 0 ? isnan(value) : value == sign * INFINITY);
        else
            assert_true(value == sign * (exponent == 0 ? ldexpf((float)fraction, -24) : ldexpf((float)(1024 + fraction), exponent - 25)));
        assert_int_equal(signbit(value) != 0, bits >> 15);
    }
    assert_true(ts_bf16_to_f32(0x3f80) == 1 && ts_bf16_to_f32(0xc049) == -3.140625f && isnan(ts_bf16_to_f32(0x7fc0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_files),        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_getters_refuse), cmocka_unit_test(test_truncations),  cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_writer_refuses), cmocka_unit_test(test_many_tensors), cmocka_unit_test(test_halves),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

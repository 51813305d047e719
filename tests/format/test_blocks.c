/* Tensors of 16, 8 and 4 bits: what llama.cpp's own library reads in them, and 16-bit floats to and fro. */
#include "format_files.h"

#include <math.h>

/* ---- 16-bit floats ---- */

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void test_every_half(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float half = ts_f16_to_f32((uint16_t)bits), brain = ts_bf16_to_f32((uint16_t)bits);
        if (isnan(half))
            assert_true(isnan(ts_f16_to_f32(ts_f32_to_f16(half))));
        else
            assert_int_equal(ts_f32_to_f16(half), bits);
        if (isnan(brain))
            assert_true(isnan(ts_bf16_to_f32(ts_f32_to_bf16(brain))));
        else
            assert_int_equal(ts_f32_to_bf16(brain), bits);
        uint32_t exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
        double expected = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, (int)exponent - 25);
        if (exponent < 31)
            assert_true(same_bits(half, (float)(bits & 0x8000 ? -expected : expected)));
    }
}

/* No neighbour is nearer, and of two that are as near it is the even one. */
static void assert_nearest(float value, uint16_t (*narrow)(float), float (*widen)(uint16_t))
{
    uint16_t bits = narrow(value);
    double distance = fabs((double)widen(bits) - value);
    for (int step = -1; step <= 1; step += 2) {
        uint16_t other = (uint16_t)(bits + step);
        double further = fabs((double)widen(other) - value);
        if (isfinite(widen(other)) && ((other ^ bits) & 0x8000) == 0)
            assert_true(distance < further || (distance == further && bits % 2 == 0));
    }
}

static void test_rounding(void **state)
{
    (void)state;
    ts_random random = {.seed = 1};
    for (int i = 0; i < 1000000; i++) {
        uint32_t bits = (uint32_t)ts_random_next(&random);
        if (i % 2)
            bits = (bits & 0x87ffffff) | 0x38000000; /* where f16 has its numbers */
        if (i % 3 == 0)
            bits &= 0xfffff000; /* ties */
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        if (fabsf(value) < 65520)
            assert_nearest(value, ts_f32_to_f16, ts_f16_to_f32);
        else
            assert_true(isinf(ts_f16_to_f32(ts_f32_to_f16(value))));
        if (fabsf(value) < 3.38e38f)
            assert_nearest(value, ts_f32_to_bf16, ts_bf16_to_f32);
    }
    assert_int_equal(ts_f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(ts_f32_to_f16(65520), 0x7c00);
    assert_int_equal(ts_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(ts_f32_to_f16(0x1p-25f), 0);
    assert_int_equal(ts_f32_to_f16(0x1.000002p-25f), 1);
    assert_int_equal(ts_f32_to_bf16(INFINITY), 0x7f80);
    uint32_t low = 0x7f800001; /* a NaN by its lowest bit alone */
    float value;
    memcpy(&value, &low, sizeof value);
    assert_true(isnan(ts_bf16_to_f32(ts_f32_to_bf16(value))) && isnan(ts_f16_to_f32(ts_f32_to_f16(value))));
}

/* ---- blocks ---- */

static void read_hexadecimal(FILE *file, unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned byte;
        assert_int_equal(fscanf(file, "%2x", &byte), 1);
        bytes[i] = (unsigned char)byte;
    }
}

static uint32_t type_named(const char *name)
{
    uint32_t type = 0;
    while (ts_ggml_type_name(type) == NULL || strcmp(ts_ggml_type_name(type), name) != 0)
        type++;
    return type;
}

static void test_blocks(void **state)
{
    (void)state;
    FILE *gold = fopen(TS_GOLDEN "/blocks.txt", "r");
    char name[16];
    size_t bytes, floats, types = 0;
    assert_non_null(gold);
    while (fscanf(gold, "%15s %zu %zu", name, &bytes, &floats) == 3) {
        static unsigned char blocks[4096], expected[4096];
        static float values[1024];
        ts_gguf_writer writer;
        ts_writer file;
        ts_source source;
        ts_gguf *gguf;
        assert_true(bytes <= sizeof blocks && floats * 4 <= sizeof expected);
        read_hexadecimal(gold, blocks, bytes);
        read_hexadecimal(gold, expected, floats * 4);
        ts_gguf_writer_init(&writer, runtime);
        ts_gguf_add_tensor(&writer, "w", type_named(name), 2, (const uint64_t[]){floats / 64, 64});
        assert_ok(ts_writer_open(&file, runtime, in_work("w.gguf")));
        assert_ok(ts_gguf_write_start(&writer, &file));
        ts_gguf_write_data(&writer, blocks, bytes);
        assert_ok(ts_gguf_write_finish(&writer));
        assert_ok(ts_writer_commit(&file));
        ts_gguf_writer_free(&writer);

        assert_ok(ts_source_open(&source, runtime, in_work("w.gguf"), false));
        assert_ok(ts_gguf_open(&gguf, &source));
        const ts_gguf_tensor *tensor = ts_gguf_find_tensor(gguf, "w");
        assert_int_equal(tensor->size, bytes);
        assert_ok(ts_gguf_tensor_read_f32(gguf, tensor, values));
        assert_memory_equal(values, expected, floats * 4);
        ts_gguf_close(gguf);
        ts_source_close(&source);
        remove_file("w.gguf");
        types++;
    }
    fclose(gold);
    assert_int_equal(types, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_half), cmocka_unit_test(test_rounding), cmocka_unit_test(test_blocks)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

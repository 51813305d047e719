/* What the tests of models in foreign formats share: folders of their own, a small SentencePiece tokenizer, damaged copies. */
#ifndef FILE_FIXTURE_H
#define FILE_FIXTURE_H

#include "model_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "format/format.h"

typedef struct file_bytes {
    unsigned char *data;
    size_t size;
} file_bytes;

FIXTURE file_bytes get_file(const char *path)
{
    file_bytes b;
    b.data = read_file(path, &b.size);
    return b;
}

FIXTURE void assert_same_file(const char *one, const char *two)
{
    file_bytes a = get_file(one), b = get_file(two);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    free(a.data);
    free(b.data);
}

FIXTURE void add_token(unsigned char *file, size_t *size, float score, const char *text)
{
    uint32_t length = (uint32_t)strlen(text);
    memcpy(file + *size, &score, 4);
    memcpy(file + *size + 4, &length, 4);
    memcpy(file + *size + 8, text, length);
    *size += 8 + length;
}

/* Writes a tokenizer.bin of 271 tokens. */
FIXTURE void put_sentencepiece(const char *path)
{
    static const char *const texts[] = {" ", "a", "b", "t", "h", "e", " t", "he", " the", " a", "ab", "\xc3\xa9"};
    static unsigned char file[8192];
    size_t size = 4;
    memcpy(file, &(uint32_t){6}, 4);
    add_token(file, &size, 0, "<unk>");
    add_token(file, &size, 0, "\n<s>\n");
    add_token(file, &size, 0, "\n</s>\n");
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
        add_token(file, &size, 0, text);
    }
    for (size_t i = 0; i < TS_COUNT_OF(texts); i++)
        add_token(file, &size, -(float)i, texts[i]);
    write_file(path, file, size);
}

/* A llama model with a SentencePiece tokenizer. */
FIXTURE ts_model *sentencepiece_model(ts_runtime *runtime, const ts_architecture *architecture)
{
    ts_tokenizer *tokenizer;
    put_sentencepiece(in_work("made.bin"));
    assert_int_equal(ts_tokenizer_open(&tokenizer, runtime, in_work("made.bin")), TS_OK);
    ts_model *model = fixture_model_of(runtime, tokenizer, architecture, 5);
    ts_tokenizer_free(tokenizer);
    return model;
}

FIXTURE void assert_same_logits(const ts_model *a, const ts_model *b, float tolerance)
{
    enum { T = 16 };
    uint32_t ids[T];
    size_t V = a->shape.V;
    float *one = malloc(T * V * sizeof *one), *two = malloc(T * V * sizeof *two);
    assert_int_equal(a->shape.V, b->shape.V);
    for (uint32_t t = 0; t < T; t++)
        ids[t] = t * 71 % (uint32_t)V;
    assert_int_equal(ts_model_logits(a, ids, T, one, T * V), TS_OK);
    assert_int_equal(ts_model_logits(b, ids, T, two, T * V), TS_OK);
    for (size_t i = 0; i < T * V; i++)
        if (!(one[i] - two[i] <= tolerance && two[i] - one[i] <= tolerance))
            fail_msg("logit %zu is %g and %g", i, (double)one[i], (double)two[i]);
    free(one);
    free(two);
}

/* Makes a version 2 of a version 1: numbers of a pattern, scales of another. */
FIXTURE file_bytes quantized_file(const file_bytes *plain, uint32_t group, size_t norms, const size_t *counts, size_t tensors)
{
    file_bytes b = {malloc(2 * plain->size), 256 + norms * sizeof(float)};
    memcpy(b.data, plain->data, b.size);
    b.data[4] = 2;
    memcpy(b.data + 37, &group, sizeof group);
    uint32_t x = 1;
    for (size_t i = 0; i < tensors; i++) {
        for (size_t j = 0; j < counts[i]; j++)
            b.data[b.size++] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
        for (size_t j = 0; j < counts[i] / group; j++) {
            float scale = (float)((x = x * 1664525 + 1013904223) >> 20) * 1e-6f;
            memcpy(b.data + b.size, &scale, sizeof scale);
            b.size += sizeof scale;
        }
    }
    return b;
}

/* The same architecture, tokenizer and weights, bit for bit. */
FIXTURE void assert_same_model(const ts_model *a, const ts_model *b)
{
    ts_architecture x = {.struct_size = sizeof x}, y = {.struct_size = sizeof y};
    assert_int_equal(ts_model_architecture(a, &x), TS_OK);
    assert_int_equal(ts_model_architecture(b, &y), TS_OK);
    assert_memory_equal(&x, &y, sizeof x);
    assert_int_equal(ts_tokenizer_fingerprint(ts_model_tokenizer(a)), ts_tokenizer_fingerprint(ts_model_tokenizer(b)));
    assert_int_equal(ts_model_tensor_count(a), ts_model_tensor_count(b));
    for (size_t i = 0; i < ts_model_tensor_count(a); i++) {
        ts_tensor one = {.struct_size = sizeof one}, two = {.struct_size = sizeof two};
        assert_int_equal(ts_model_tensor(a, i, &one), TS_OK);
        assert_int_equal(ts_model_tensor(b, i, &two), TS_OK);
        assert_string_equal(one.name, two.name);
        assert_memory_equal(one.data, two.data, one.shape[0] * one.shape[1] * sizeof(float));
    }
}

/* A runtime that gives one MiB at most, so that OUT_OF_MEMORY tells of more. */
FIXTURE ts_runtime *small_runtime(void)
{
    ts_runtime *runtime;
    ts_runtime_options options;
    assert_int_equal(ts_runtime_options_init(&options, sizeof options), TS_OK);
    options.memory_limit = 1 << 20;
    assert_int_equal(ts_runtime_new(&runtime, &options), TS_OK);
    return runtime;
}

#endif

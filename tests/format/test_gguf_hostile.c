/*
 * GGUF files that lie, after the faults that loaders of this format were found to have: every one is answered with an error of the right kind, and
 * with less than a megabyte of memory whatever it claims. The names of the cases say which weakness they are after.
 */
#include "format_files.h"

typedef struct hostile {
    unsigned char bytes[1024];
    size_t size;
} hostile;

static void put(hostile *file, const void *data, size_t size)
{
    assert_true(size <= sizeof file->bytes - file->size);
    memcpy(file->bytes + file->size, data, size);
    file->size += size;
}

static void put_u32(hostile *file, uint32_t value)
{
    put(file, &value, 4);
}

static void put_u64(hostile *file, uint64_t value)
{
    put(file, &value, 8);
}

static void put_string(hostile *file, const char *text)
{
    put_u64(file, strlen(text));
    put(file, text, strlen(text));
}

static hostile begin(uint64_t tensors, uint64_t pairs)
{
    hostile file = {.size = 0};
    put(&file, "GGUF\3\0\0\0", 8);
    put_u64(&file, tensors);
    put_u64(&file, pairs);
    return file;
}

static void put_tensor(hostile *file, const char *name, uint32_t rank, const uint64_t *dimensions, uint32_t type, uint64_t offset)
{
    put_string(file, name);
    put_u32(file, rank);
    for (uint32_t i = 0; i < rank && i < 8; i++)
        put_u64(file, dimensions[i]);
    put_u32(file, type);
    put_u64(file, offset);
}

/* Space for data behind the description: `size` bytes after the padding. */
static void put_data(hostile *file, size_t size)
{
    size_t start = (file->size + 31) / 32 * 32;
    file->size = start + size;
    assert_true(file->size <= sizeof file->bytes);
}

static ts_status open_hostile(const hostile *file, ts_gguf **gguf, ts_source *source, unsigned char **copy)
{
    *copy = exact_copy(file->bytes, file->size);
    ts_source_memory(source, runtime, *copy, file->size, "hostile.gguf");
    *gguf = NULL;
    return ts_gguf_open(gguf, source);
}

static void expect(const hostile *file, ts_status expected, const char *what)
{
    ts_source source;
    ts_gguf *gguf;
    unsigned char *copy;
    ts_status status = open_hostile(file, &gguf, &source, &copy);
    if (status != expected)
        fail_msg("%s: %s, expected %s: %s", what, ts_status_name(status), ts_status_name(expected), status != TS_OK ? ts_error_detail() : "");
    if (status != TS_OK)
        assert_detail("hostile.gguf");
    ts_gguf_close(gguf);
    ts_source_close(&source);
    free(copy);
    assert_true(ts_runtime_memory_peak(runtime) < 1 << 20);
}

static const uint64_t huge[] = {UINT64_MAX, UINT64_MAX - 7, 1ull << 63, 1ull << 61, 1ull << 60, (1ull << 32) + 1, 1ull << 31, 1 << 20, 200};

static void test_header(void **state)
{
    (void)state;
    hostile file = begin(0, 0);
    expect(&file, TS_OK, "no keys, no tensors");
    for (size_t size = 0; size < 24; size++) {
        file.size = size;
        expect(&file, TS_ERROR_FORMAT, "cut header");
    }
    file = begin(0, 0);
    file.bytes[0] = 'g';
    expect(&file, TS_ERROR_FORMAT, "magic");
    static const uint32_t versions[] = {0, 1, 4, 0x7fffffff, 0xffffffff, 0x03000000, 0x02000000};
    for (size_t i = 0; i < TS_COUNT_OF(versions); i++) {
        file = begin(0, 0);
        memcpy(file.bytes + 4, &versions[i], 4);
        expect(&file, TS_ERROR_VERSION, "version");
    }
    assert_detail("big-endian");
    for (size_t i = 0; i < TS_COUNT_OF(huge); i++) {
        file = begin(huge[i], 0);
        expect(&file, TS_ERROR_FORMAT, "tensor count");
        file = begin(0, huge[i]);
        expect(&file, TS_ERROR_FORMAT, "pair count");
        file.size = 200;
        expect(&file, TS_ERROR_FORMAT, "pair count in 200 bytes");
    }
}

static void test_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(huge); i++) {
        hostile file = begin(0, 1);
        put_u64(&file, huge[i]);
        put(&file, "key key key key", 16);
        expect(&file, TS_ERROR_FORMAT, "key length");

        file = begin(0, 1);
        put_string(&file, "s");
        put_u32(&file, TS_GGUF_STRING);
        put_u64(&file, huge[i]);
        file.size += 64;
        expect(&file, TS_ERROR_FORMAT, "string length");

        for (uint32_t type = 0; type < 16; type++) {
            file = begin(0, 1);
            put_string(&file, "a");
            put_u32(&file, TS_GGUF_ARRAY);
            put_u32(&file, type);
            put_u64(&file, huge[i]);
            file.size += 64;
            expect(&file, TS_ERROR_FORMAT, "array length");
        }

        file = begin(0, 1);
        put_string(&file, "a");
        put_u32(&file, TS_GGUF_ARRAY);
        put_u32(&file, TS_GGUF_STRING);
        put_u64(&file, 2);
        put_string(&file, "first");
        put_u64(&file, huge[i]);
        file.size += 64;
        expect(&file, TS_ERROR_FORMAT, "length of a string in an array");
    }
    hostile file = begin(0, 1);
    put_u64(&file, 0);
    put_u32(&file, TS_GGUF_U8);
    put(&file, "\1\0\0\0\0\0\0\0", 8);
    expect(&file, TS_ERROR_FORMAT, "empty key");
    file = begin(0, 1);
    put_u64(&file, 3);
    put(&file, "a\0b", 3);
    put_u32(&file, TS_GGUF_U8);
    put(&file, "\1", 1);
    expect(&file, TS_ERROR_FORMAT, "zero byte in a key");
    file = begin(0, 1);
    put_string(&file, "k");
    put_u32(&file, TS_GGUF_TYPE_COUNT);
    put_u64(&file, 0);
    expect(&file, TS_ERROR_FORMAT, "unknown type");
    file = begin(0, 1); /* arrays within arrays, however deep */
    put_string(&file, "a");
    for (int depth = 0; depth < 60; depth++) {
        put_u32(&file, TS_GGUF_ARRAY);
        if (depth > 0)
            put_u64(&file, 1);
    }
    file.size += 64;
    expect(&file, TS_ERROR_FORMAT, "nested arrays");
    file = begin(0, 1);
    put_u64(&file, 300);
    file.size += 400;
    expect(&file, TS_ERROR_LIMIT, "long key");
}

static void test_twice(void **state)
{
    (void)state;
    hostile file = begin(0, 3);
    for (int i = 0; i < 3; i++) {
        put_string(&file, i == 1 ? "other" : "same");
        put_u32(&file, TS_GGUF_U32);
        put_u32(&file, 1);
    }
    expect(&file, TS_ERROR_FORMAT, "key twice");
    assert_detail("same");
    file = begin(2, 0);
    put_tensor(&file, "w", 1, (const uint64_t[]){4}, TS_GGML_F32, 0);
    put_tensor(&file, "w", 1, (const uint64_t[]){4}, TS_GGML_F32, 32);
    put_data(&file, 64);
    expect(&file, TS_ERROR_FORMAT, "tensor twice");
}

static void test_alignment(void **state)
{
    (void)state;
    static const struct {
        uint32_t alignment;
        ts_status status;
    } cases[] = {
        {0, TS_ERROR_FORMAT},  {1, TS_ERROR_FORMAT}, {3, TS_ERROR_FORMAT},      {4, TS_ERROR_FORMAT},          {8, TS_OK},
        {24, TS_ERROR_FORMAT}, {64, TS_OK},          {131072, TS_ERROR_FORMAT}, {0x80000000, TS_ERROR_FORMAT}, {0xffffffff, TS_ERROR_FORMAT}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        hostile file = begin(1, 1);
        put_string(&file, "general.alignment");
        put_u32(&file, TS_GGUF_U32);
        put_u32(&file, cases[i].alignment);
        put_tensor(&file, "w", 1, (const uint64_t[]){4}, TS_GGML_F32, 0);
        file.size = 512;
        expect(&file, cases[i].status, "alignment");
    }
    hostile file = begin(0, 1);
    put_string(&file, "general.alignment");
    put_u32(&file, TS_GGUF_STRING);
    put_string(&file, "32");
    expect(&file, TS_ERROR_FORMAT, "alignment of a wrong type");
}

static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        uint32_t rank, type;
        uint64_t dimensions[5];
        ts_status status;
        const char *what;
    } cases[] = {
        {0, TS_GGML_F32, {0}, TS_ERROR_FORMAT, "rank 0"},
        {5, TS_GGML_F32, {1, 1, 1, 1, 1}, TS_ERROR_FORMAT, "rank 5"},
        {0xffffffff, TS_GGML_F32, {1, 1, 1, 1, 1}, TS_ERROR_FORMAT, "rank 2^32 - 1"},
        {1, TS_GGML_F32, {0}, TS_ERROR_FORMAT, "dimension 0"},
        {2, TS_GGML_F32, {4, 0}, TS_ERROR_FORMAT, "second dimension 0"},
        {2, TS_GGML_F32, {1ull << 32, 1ull << 32}, TS_ERROR_FORMAT, "a product that wraps to 0"},
        {2, TS_GGML_F32, {1ull << 62, 4}, TS_ERROR_FORMAT, "elements wrap"},
        {1, TS_GGML_F32, {1ull << 62}, TS_ERROR_FORMAT, "bytes wrap though elements fit"},
        {1, TS_GGML_F32, {UINT64_MAX / 4}, TS_ERROR_FORMAT, "padding wraps"},
        {1, TS_GGML_Q8_0, {UINT64_MAX / 32 * 32}, TS_ERROR_FORMAT, "bytes of blocks wrap"},
        {1, TS_GGML_Q8_0, {33}, TS_ERROR_FORMAT, "half a block"},
        {4, TS_GGML_F32, {65536, 65536, 65536, 65535}, TS_ERROR_FORMAT, "exabytes"},
        {1, 4, {32}, TS_ERROR_FORMAT, "a type that was given up"},
        {1, 5, {32}, TS_ERROR_FORMAT, "another one"},
        {1, 0xffffffff, {32}, TS_ERROR_FORMAT, "no type"},
        {1, 12, {256}, TS_ERROR_UNSUPPORTED, "Q4_K"},
        {1, TS_GGML_Q8_0, {32}, TS_OK, "one block"},
        {4, TS_GGML_F32, {2, 1, 2, 1}, TS_OK, "rank 4"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        hostile file = begin(1, 0);
        put_tensor(&file, "w", cases[i].rank, cases[i].dimensions, cases[i].type, 0);
        put_data(&file, 64);
        expect(&file, cases[i].status, cases[i].what);
    }
    hostile file = begin(1, 0);
    put_tensor(&file, "0123456789012345678901234567890123456789012345678901234567890123x", 1, (const uint64_t[]){1}, TS_GGML_F32, 0);
    put_data(&file, 64);
    expect(&file, TS_ERROR_LIMIT, "a name of 65 bytes");
}

static void test_offsets(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset;
        ts_status status;
    } cases[] = {{0, TS_OK},
                 {64, TS_OK},
                 {4, TS_ERROR_FORMAT},
                 {96, TS_ERROR_FORMAT},
                 {128, TS_ERROR_FORMAT},
                 {160, TS_ERROR_FORMAT},
                 {1ull << 63, TS_ERROR_FORMAT},
                 {UINT64_MAX - 31, TS_ERROR_FORMAT},
                 {UINT64_MAX, TS_ERROR_FORMAT}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        hostile file = begin(1, 0);
        put_tensor(&file, "w", 1, (const uint64_t[]){16}, TS_GGML_F32, cases[i].offset);
        put_data(&file, 128);
        expect(&file, cases[i].status, "offset");
    }
    for (uint64_t offset = 0; offset <= 96; offset += 32) {
        hostile file = begin(2, 0);
        put_tensor(&file, "late", 1, (const uint64_t[]){12}, TS_GGML_F32, 64);
        put_tensor(&file, "early", 1, (const uint64_t[]){12}, TS_GGML_F32, offset);
        put_data(&file, 160);
        expect(&file, offset == 0 ? TS_OK : TS_ERROR_FORMAT, "overlap");
    }
    hostile file = begin(3, 0); /* sizes whose sum wraps */
    put_tensor(&file, "a", 1, (const uint64_t[]){1ull << 61}, TS_GGML_F32, 0);
    put_tensor(&file, "b", 1, (const uint64_t[]){1ull << 61}, TS_GGML_F32, 1ull << 63);
    put_tensor(&file, "c", 1, (const uint64_t[]){1}, TS_GGML_F32, 0);
    put_data(&file, 128);
    expect(&file, TS_ERROR_FORMAT, "sum of sizes wraps");
}

/* Every type of array that is declared, with every getter: only the declared one reads it. */
static void test_declared_types(void **state)
{
    (void)state;
    for (uint32_t type = 0; type < TS_GGUF_TYPE_COUNT; type++) {
        if (type == TS_GGUF_ARRAY)
            continue;
        hostile file = begin(0, 1);
        put_string(&file, "scores");
        put_u32(&file, TS_GGUF_ARRAY);
        put_u32(&file, type);
        put_u64(&file, 2);
        static const unsigned char zeros[16];
        static const size_t sizes[TS_GGUF_TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
        put(&file, zeros, 2 * sizes[type]);
        ts_source source;
        ts_gguf *gguf;
        unsigned char *copy;
        assert_ok(open_hostile(&file, &gguf, &source, &copy));
        const int32_t *i32s;
        const float *f32s;
        const uint8_t *bools;
        ts_gguf_strings strings;
        size_t count;
        uint32_t u32;
        assert_status(ts_gguf_get_i32s(gguf, "scores", &i32s, &count), type == TS_GGUF_I32 ? TS_OK : TS_ERROR_FORMAT);
        assert_status(ts_gguf_get_f32s(gguf, "scores", &f32s, &count), type == TS_GGUF_F32 ? TS_OK : TS_ERROR_FORMAT);
        assert_status(ts_gguf_get_bools(gguf, "scores", &bools, &count), type == TS_GGUF_BOOL ? TS_OK : TS_ERROR_FORMAT);
        assert_status(ts_gguf_get_strings(gguf, "scores", &strings), type == TS_GGUF_STRING ? TS_OK : TS_ERROR_FORMAT);
        assert_status(ts_gguf_get_u32(gguf, "scores", &u32), TS_ERROR_FORMAT);
        ts_gguf_close(gguf);
        ts_source_close(&source);
        free(copy);
    }
}

/* Integers of every width, negative ones too. */
static void test_integers(void **state)
{
    (void)state;
    static const struct {
        uint32_t type;
        size_t size;
        uint64_t bits;
        ts_status status;
    } cases[] = {{TS_GGUF_U8, 1, 255, TS_OK},
                 {TS_GGUF_I8, 1, 127, TS_OK},
                 {TS_GGUF_I8, 1, 0x80, TS_ERROR_FORMAT},
                 {TS_GGUF_I16, 2, 0xffff, TS_ERROR_FORMAT},
                 {TS_GGUF_I32, 4, 0x7fffffff, TS_OK},
                 {TS_GGUF_I32, 4, 0x80000000, TS_ERROR_FORMAT},
                 {TS_GGUF_U64, 8, UINT32_MAX, TS_OK},
                 {TS_GGUF_U64, 8, 1ull << 32, TS_ERROR_FORMAT},
                 {TS_GGUF_I64, 8, UINT64_MAX, TS_ERROR_FORMAT},
                 {TS_GGUF_BOOL, 1, 1, TS_ERROR_FORMAT}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        hostile file = begin(0, 1);
        put_string(&file, "n");
        put_u32(&file, cases[i].type);
        put(&file, &cases[i].bits, cases[i].size);
        ts_source source;
        ts_gguf *gguf;
        unsigned char *copy;
        assert_ok(open_hostile(&file, &gguf, &source, &copy));
        uint32_t value;
        assert_status(ts_gguf_get_u32(gguf, "n", &value), cases[i].status);
        if (cases[i].status == TS_OK)
            assert_int_equal(value, cases[i].bits);
        ts_gguf_close(gguf);
        ts_source_close(&source);
        free(copy);
    }
}

/* 100,000 tensors are refused at once. */
static void test_too_many(void **state)
{
    (void)state;
    size_t size = 24 + 100000 * 40;
    unsigned char *bytes = calloc(1, size);
    memcpy(bytes, "GGUF\3\0\0\0\xa0\x86\1\0", 12);
    ts_source source;
    ts_gguf *gguf = NULL;
    ts_source_memory(&source, runtime, bytes, size, "hostile.gguf");
    assert_status(ts_gguf_open(&gguf, &source), TS_ERROR_LIMIT);
    ts_source_close(&source);
    free(bytes);
    assert_true(ts_runtime_memory_peak(runtime) < 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),         cmocka_unit_test(test_pairs),    cmocka_unit_test(test_twice),
        cmocka_unit_test(test_alignment),      cmocka_unit_test(test_shapes),   cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_declared_types), cmocka_unit_test(test_integers), cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

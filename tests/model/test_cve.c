/*
 * The faults that other loaders of these formats were found to have, row by row in the order of the list that they were taken from: GGUF, llama2.c,
 * tokenizers. Every row says what its files are, how each is answered, and none may take a megabyte. Elsewhere, as the rooms' own tests have them: a
 * restored session (tests/sampler), settings of no sense (tests/sampler/test_sampler.c), a hundred thousand tensors (tests/format/test_gguf_hostile.c),
 * safetensors (tests/format/test_safetensors.c), JSON (tests/text/test_json.c), texts that take long to encode (tests/tokenizer).
 */
#include "file_fixture.h"

#include <limits.h>

#include "tokenizer/vocabulary.h"

enum { CAPACITY = 1 << 20, PEAK = 1 << 20 };

typedef struct file {
    unsigned char bytes[CAPACITY];
    size_t size;
} file;

static file model_file, tokenizer_file, checkpoint_file; /* sound ones, to be damaged */
static size_t description;                               /* where the tensors of model_file begin */

/* ---- building ---- */

static void put(file *f, const void *data, size_t size)
{
    assert_true(size <= CAPACITY - f->size);
    memcpy(f->bytes + f->size, data, size);
    f->size += size;
}

static void put_u32(file *f, uint32_t value)
{
    put(f, &value, 4);
}

static void put_u64(file *f, uint64_t value)
{
    put(f, &value, 8);
}

static void put_string(file *f, const char *text)
{
    put_u64(f, strlen(text));
    put(f, text, strlen(text));
}

static void begin(file *f, uint64_t tensors, uint64_t pairs)
{
    f->size = 0;
    put(f, "GGUF\3\0\0\0", 8);
    put_u64(f, tensors);
    put_u64(f, pairs);
}

/* A tensor of up to two dimensions; `rank` is what it claims. */
static void put_tensor(file *f, const char *name, uint32_t rank, uint64_t columns, uint64_t rows, uint32_t type, uint64_t offset)
{
    put_string(f, name);
    put_u32(f, rank);
    put_u64(f, columns);
    if (rank > 1)
        put_u64(f, rows);
    put_u32(f, type);
    put_u64(f, offset);
}

static void copy_file(file *f, const file *from)
{
    memcpy(f->bytes, from->bytes, from->size);
    f->size = from->size;
}

/* Where a key of a GGUF file begins, with its length before it. */
static unsigned char *key_in(file *f, const char *key)
{
    size_t length = strlen(key);
    for (size_t at = 0; at + length + 16 < f->size; at++) {
        uint64_t size;
        memcpy(&size, f->bytes + at, 8);
        if (size == length && memcmp(f->bytes + at + 8, key, length) == 0)
            return f->bytes + at;
    }
    fail_msg("the sound file has no key %s", key);
    return NULL;
}

static unsigned char *value_of(file *f, const char *key)
{
    return key_in(f, key) + 8 + strlen(key) + 4; /* behind the type */
}

static void set_u32(unsigned char *at, uint32_t value)
{
    memcpy(at, &value, 4);
}

/* ---- rows: each fills in the file of a variant, up to `variants` ---- */

static const uint64_t counts[] = {1ull << 61, UINT64_MAX, (1ull << 32) + 1, 1ull << 31, 1ull << 60};

static void array_size(file *f, size_t variant)
{
    begin(f, 0, 1);
    put_string(f, "tokenizer.ggml.tokens");
    put_u32(f, TS_GGUF_ARRAY);
    put_u32(f, variant % 2 ? TS_GGUF_STRING : TS_GGUF_U64);
    put_u64(f, counts[variant / 2]);
    put(f, (char[64]){0}, 64);
}

static void string_length(file *f, size_t variant)
{
    begin(f, 0, 1);
    if (variant % 2 == 0) { /* of a key */
        put_u64(f, counts[variant / 2]);
    } else {
        put_string(f, "general.name");
        put_u32(f, TS_GGUF_STRING);
        put_u64(f, counts[variant / 2]);
    }
    put(f, (char[64]){0}, 64);
}

static void rank(file *f, size_t variant)
{
    static const uint32_t ranks[] = {0, 5, 0x80000000, 0xffffffff};
    begin(f, 1, 0);
    put_tensor(f, "a", ranks[variant], 1, 1, 0, 0);
    put(f, (char[128]){0}, 128);
}

static void how_many(file *f, size_t variant)
{
    begin(f, variant % 2 ? counts[variant / 2] : 0, variant % 2 ? 0 : counts[variant / 2]);
    put(f, (char[64]){0}, 64);
}

static void cut(file *f, size_t variant)
{
    copy_file(f, &model_file);
    f->size = variant;
}

static void nothing(file *f, size_t variant)
{
    (void)variant;
    begin(f, 0, 0);
}

static const char *const required[] = {"general.architecture",
                                       "llama.context_length",
                                       "llama.embedding_length",
                                       "llama.block_count",
                                       "llama.feed_forward_length",
                                       "llama.attention.head_count",
                                       "llama.attention.layer_norm_rms_epsilon",
                                       "tokenizer.ggml.model",
                                       "tokenizer.ggml.tokens",
                                       "tokenizer.ggml.token_type",
                                       "tokenizer.ggml.scores"};

static void missing_key(file *f, size_t variant)
{
    copy_file(f, &model_file);
    key_in(f, required[variant])[8 + 3] ^= 0x20; /* of another name */
}

static void token_length(file *f, size_t variant)
{
    copy_file(f, &model_file);
    memcpy(value_of(f, "tokenizer.ggml.tokens") + 12, &counts[variant], 8);
}

static void sizes_together(file *f, size_t variant)
{
    begin(f, 4, 0);
    for (uint64_t i = 0; i < 4; i++) /* a quarter of 2^64 bytes each, behind one another or all at the start */
        put_tensor(f, (char[]){(char)('a' + i), 0}, 2, 1ull << 30, 1ull << 30, 0, variant ? i << 62 : 0);
    put(f, (char[128]){0}, 128);
}

static void size_wraps(file *f, size_t variant)
{
    static const struct {
        uint64_t columns, rows;
        uint32_t type;
    } of[] = {
        {1ull << 32, 1ull << 32, 0}, /* as many elements as 2^64 */
        {UINT64_MAX - 31, 1, 8},     /* Q8_0: the elements fit, the bytes do not */
        {1ull << 59, 32, 8},         /* likewise */
        {UINT64_MAX / 4, 1, 0},      /* with padding */
        {UINT64_MAX / 4 + 1, 1, 0},  /* 2^64 bytes */
        {0, 1, 0},                   /* divides the check itself */
        {1, 0, 0},
    };
    begin(f, 1, 0);
    put_tensor(f, "a", 2, of[variant].columns, of[variant].rows, of[variant].type, 0);
    put(f, (char[128]){0}, 128);
}

static void removed_type(file *f, size_t variant)
{
    static const uint32_t types[] = {4, 5, 31, 32, 33, 36, 1000, 0xffffffff};
    begin(f, 1, 0);
    put_tensor(f, "a", 2, 32, 1, types[variant], 0);
    put(f, (char[256]){0}, 256);
}

static void zero_size(file *f, size_t variant)
{
    copy_file(f, &model_file);
    set_u32(value_of(f, required[1 + variant]), 0);
}

static void alignment(file *f, size_t variant)
{
    static const uint32_t values[] = {0, 1, 3, 48, 0x80000000, 0xffffffff};
    begin(f, 1, 1);
    put_string(f, "general.alignment");
    put_u32(f, TS_GGUF_U32);
    put_u32(f, values[variant]);
    put_tensor(f, "a", 1, 1, 1, 0, 0);
    put(f, (char[128]){0}, 128);
}

/* A number as text, as a float, as a truth value; 4 bytes each. */
static void key_type(file *f, size_t variant)
{
    static const uint32_t types[] = {TS_GGUF_F32, TS_GGUF_ARRAY, TS_GGUF_STRING, TS_GGUF_BOOL, 13, 0xffffffff};
    copy_file(f, &model_file);
    set_u32(value_of(f, required[1 + variant / 6]) - 4, types[variant % 6]);
}

/* Every numeric array with every type that it may declare but its own. */
static void array_type(file *f, size_t variant)
{
    const char *key = variant / 13 ? "tokenizer.ggml.scores" : "tokenizer.ggml.token_type";
    uint32_t type = (uint32_t)variant % 13, own = variant / 13 ? TS_GGUF_F32 : TS_GGUF_I32;
    copy_file(f, &model_file);
    set_u32(value_of(f, key), type == own ? TS_GGUF_I8 : type);
}

/* "<0x-1>", "<0xZZ>" and others, those of bytes that are there already among them: all bodies of two characters from a few. */
static const char digits[] = "04aFfgGz-+ x\0\n\x80\xff";

static void byte_token(file *f, size_t variant)
{
    enum { TOKEN = 3 + 0x42 };
    copy_file(f, &model_file);
    unsigned char *at = value_of(f, "tokenizer.ggml.tokens") + 12;
    for (int id = 0; id < TOKEN; id++) {
        uint64_t size;
        memcpy(&size, at, 8);
        at += 8 + size;
    }
    assert_memory_equal(at + 8, "<0x42>", 6);
    at[8 + 3] = (unsigned char)digits[variant / 16];
    at[8 + 4] = (unsigned char)digits[variant % 16];
}

static void block_count(file *f, size_t variant)
{
    static const uint32_t values[] = {2, 512, 513, 0x7fffffff, 0x80000000, 0xffffffff};
    copy_file(f, &model_file);
    set_u32(value_of(f, "llama.block_count"), values[variant]);
}

static void empty_name(file *f, size_t variant)
{
    begin(f, variant, 1 - variant);
    put_u64(f, 0);
    put(f, (char[128]){0}, 128);
}

static void claims(file *f, size_t variant)
{
    array_size(f, variant);
    memcpy(f->bytes + 24 + 8 + 21 + 8, &(uint64_t){1ull << 33}, 8);
    f->size = 200;
}

static void tensor_offset(file *f, size_t variant)
{
    static const uint64_t offsets[] = {96, 128, 1ull << 63, UINT64_MAX - 31, 0x7fffffffffffffe0};
    begin(f, 1, 0);
    put_tensor(f, "a", 1, 16, 1, 0, offsets[variant]);
    f->size = (f->size + 31) / 32 * 32 + 128; /* 64 bytes of a tensor in 128 of data */
}

static void same_name(file *f, size_t variant)
{
    begin(f, variant ? 2 : 0, variant ? 0 : 2);
    for (int i = 0; i < 2; i++) {
        if (variant) {
            put_tensor(f, "a", 1, 1, 1, 0, 32 * (uint64_t)i);
            continue;
        }
        put_string(f, "a");
        put_u32(f, TS_GGUF_U32);
        put_u32(f, 1);
    }
    put(f, (char[256]){0}, 256);
}

static void nested(file *f, size_t variant)
{
    begin(f, 0, 1);
    put_string(f, "a");
    put_u32(f, TS_GGUF_ARRAY);
    for (size_t depth = variant ? 10000 : 1; depth > 0; depth--) {
        put_u32(f, TS_GGUF_ARRAY);
        put_u64(f, 1);
    }
    put(f, (char[64]){0}, 64);
}

/* What a llama2.c header says: of seven numbers one is another. */
static const struct {
    size_t at;
    int32_t value;
} lies[] = {{3, 0},  {4, 0},  {0, 0},       {5, INT_MIN}, {5, INT_MAX}, {5, 0},       {0, -1},      {1, -1},      {2, -1}, {3, -1},
            {4, -1}, {6, -1}, {6, INT_MAX}, {3, 5},       {4, 4},       {0, 1 << 30}, {1, 1 << 30}, {2, 1 << 30}, {6, 0}};

static void checkpoint(file *f, size_t variant)
{
    copy_file(f, &checkpoint_file);
    memcpy(f->bytes + 4 * lies[variant].at, &lies[variant].value, 4);
}

static void short_checkpoint(file *f, size_t variant)
{
    copy_file(f, &checkpoint_file);
    f->size = variant < 64 ? variant : f->size - (variant - 63);
}

static void newer_header(file *f, size_t variant)
{
    copy_file(f, &checkpoint_file);
    memcpy(f->bytes, &(uint32_t){0x616b3432}, 4);
    set_u32(f->bytes + 4, (uint32_t)variant + 1); /* then the numbers stand two words too early */
}

/* The size of one token, or of the longest. */
static void piece_length(file *f, size_t variant)
{
    static const uint32_t sizes[] = {0, 0x80000000, 0xffffffff, 0x7fffffff, 4097};
    copy_file(f, &tokenizer_file);
    set_u32(f->bytes + (variant < 5 ? 8 : 0), variant < 5 ? sizes[variant] : (uint32_t)variant - 5); /* 5 and up: the longest is a lie */
}

static void piece_twice(file *f, size_t variant)
{
    (void)variant;
    copy_file(f, &tokenizer_file);
    add_token(f->bytes, &f->size, -1, "ab");
}

/* ---- running ---- */

static ts_status open_model(const file *f)
{
    ts_model *model = NULL;
    ts_model_options options = {.struct_size = sizeof options, .tokenizer = in_work("made.bin")};
    ts_runtime *runtime;
    unsigned char *exact = malloc(f->size ? f->size : 1);
    assert_non_null(exact);
    memcpy(exact, f->bytes, f->size);
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    ts_status status = ts_model_open_memory(&model, runtime, exact, f->size, f->bytes[0] == 'G' ? NULL : &options);
    ts_model_free(model);
    free(exact);
    assert_true(status == TS_OK || ts_error_detail()[0] != 0);
    assert_true(ts_runtime_memory_peak(runtime) < PEAK);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
    return status;
}

static ts_status open_tokenizer(const file *f)
{
    ts_tokenizer *tokenizer = NULL;
    ts_runtime *runtime;
    write_file(in_work("cve.bin"), f->bytes, f->size);
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    ts_status status = ts_tokenizer_open(&tokenizer, runtime, in_work("cve.bin"));
    ts_tokenizer_free(tokenizer);
    assert_true(ts_runtime_memory_peak(runtime) < PEAK);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
    return status;
}

typedef struct row {
    const char *id;
    void (*build)(file *f, size_t variant);
    size_t variants;
    ts_status expected;
    ts_status other; /* that some variants are answered with, TS_OK: none */
    ts_status (*open)(const file *f);
} row;

static const row rows[] = {
    {"CVE-2024-21825", array_size, 10, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2024-23496", string_length, 10, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2024-21802", rank, 4, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2024-21836, CVE-2024-23605", how_many, 10, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2024-32878: cut after every byte", cut, 0, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2024-41130: nothing in it", nothing, 1, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2024-41130: a key is missing", missing_key, TS_COUNT_OF(required), TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2025-49847", token_length, TS_COUNT_OF(counts), TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2025-53630, CVE-2026-27940", sizes_together, 2, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2026-33298, the padding, divisions by zero", size_wraps, 7, TS_ERROR_FORMAT, TS_OK, open_model},
    {"#8816: types without a size", removed_type, 8, TS_ERROR_FORMAT, TS_ERROR_UNSUPPORTED, open_model},
    {"#2247: sizes of 0", zero_size, 5, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2025-0317, #24997: alignment", alignment, 6, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2024-8063: keys of another type", key_type, 30, TS_ERROR_FORMAT, TS_ERROR_LIMIT, open_model},
    {"#26690: arrays of another type", array_type, 26, TS_ERROR_FORMAT, TS_ERROR_LIMIT, open_model},
    {"#25969, #27226: byte tokens", byte_token, 256, TS_ERROR_FORMAT, TS_OK, open_model},
    {"#25821: blocks", block_count, 6, TS_ERROR_FORMAT, TS_ERROR_LIMIT, open_model},
    {"CWE-617: empty names", empty_name, 2, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2025-0315, CVE-2025-66960: 200 bytes", claims, 10, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2025-0312, CVE-2024-39720: cut at 0 to 32", cut, 33, TS_ERROR_FORMAT, TS_OK, open_model},
    {"CVE-2026-7482: offsets", tensor_offset, 5, TS_ERROR_FORMAT, TS_OK, open_model},
    {"names that come twice", same_name, 2, TS_ERROR_FORMAT, TS_OK, open_model},
    {"arrays in arrays", nested, 2, TS_ERROR_FORMAT, TS_OK, open_model},
    {"llama2.c: numbers of the header", checkpoint, TS_COUNT_OF(lies), TS_ERROR_FORMAT, TS_ERROR_LIMIT, open_model},
    {"llama2.c: short files", short_checkpoint, 128, TS_ERROR_FORMAT, TS_OK, open_model},
    {"llama2.c: versions that are none", newer_header, 4, TS_ERROR_FORMAT, TS_ERROR_VERSION, open_model},
    {"tokenizer.bin: sizes", piece_length, 11, TS_ERROR_FORMAT, TS_OK, open_tokenizer},
    {"tokenizer.bin: a token twice", piece_twice, 1, TS_ERROR_FORMAT, TS_OK, open_tokenizer},
};

static void test_rows(void **state)
{
    static file f;
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(rows); i++)
        for (size_t variant = 0; variant < (rows[i].variants ? rows[i].variants : description); variant++) {
            rows[i].build(&f, variant);
            ts_status status = rows[i].open(&f);
            if (status != rows[i].expected && (rows[i].other == TS_OK || status != rows[i].other))
                fail_msg("%s, variant %zu: %s, expected %s: %s", rows[i].id, variant, ts_status_name(status), ts_status_name(rows[i].expected),
                         ts_error_detail());
        }
    remove_file("cve.bin");
}

/* All bodies of a byte token: two hexadecimal digits, and nothing else, are one. */
static void test_byte_tokens(void **state)
{
    (void)state;
    for (int body = 0; body < 65536; body++) {
        char text[] = {'<', '0', 'x', (char)(body >> 8), (char)body, '>'};
        static const char hexadecimal[] = "0123456789abcdefABCDEF";
        const char *high = memchr(hexadecimal, text[3], 22), *low = memchr(hexadecimal, text[4], 22);
        int expected = -1;
        if (high != NULL && low != NULL)
            expected = (int)((high - hexadecimal < 16 ? high - hexadecimal : high - hexadecimal - 6) * 16 +
                             (low - hexadecimal < 16 ? low - hexadecimal : low - hexadecimal - 6));
        assert_int_equal(ts_byte_token(text, sizeof text), expected);
    }
}

/* CVE-2025-52566: more tokens than there is room for, and more text than is taken. */
static void test_encoding(void **state)
{
    ts_tokenizer *tokenizer;
    uint32_t ids[4] = {0, 0, 7, 7};
    size_t count;
    (void)state;
    assert_int_equal(ts_tokenizer_open(&tokenizer, NULL, in_work("made.bin")), TS_OK);
    for (size_t capacity = 0; capacity < 3; capacity++) {
        assert_int_equal(ts_tokenizer_encode(tokenizer, "xyz xyz", 7, 0, ids, capacity, &count), TS_ERROR_BUFFER_TOO_SMALL);
        assert_int_equal(count, 8);
    }
    assert_true(ids[2] == 7 && ids[3] == 7);
    assert_int_equal(ts_tokenizer_encode(tokenizer, "x", SIZE_MAX, 0, ids, 4, &count), TS_ERROR_LIMIT);
    ts_tokenizer_free(tokenizer);
}

/* CVE-2024-34359: a template in a file is text like any other; it is not even read. */
static void test_template(void **state)
{
    static file f;
    static const char key[] = "tokenizer.chat_template", value[] = "{{ ''.__class__.__mro__[1].__subclasses__() }} %s%n $(reboot) ../../etc";
    (void)state;
    copy_file(&f, &model_file);
    size_t more = 8 + sizeof key - 1 + 4 + 8 + sizeof value - 1;
    more += 32 - more % 32; /* the tensors stay aligned: the value has spaces behind it */
    memmove(f.bytes + 24 + more, f.bytes + 24, f.size - 24);
    f.size += more;
    file pair = {.size = 0};
    put_string(&pair, key);
    put_u32(&pair, TS_GGUF_STRING);
    put_u64(&pair, more - 8 - (sizeof key - 1) - 4 - 8);
    put(&pair, value, sizeof value - 1);
    memset(f.bytes + 24, ' ', more);
    memcpy(f.bytes + 24, pair.bytes, pair.size);
    f.bytes[16]++;
    if (open_model(&f) != TS_OK)
        fail_msg("%s", ts_error_detail());
}

static void load(file *f, const char *path)
{
    file_bytes b = get_file(path);
    f->size = 0;
    put(f, b.data, b.size);
    free(b.data);
}

static int prepare(void **state)
{
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_LLAMA2C_V0};
    if (make_folder(state) != 0)
        return 1;
    a.layers = 1;
    ts_model *model = sentencepiece_model(NULL, &a);
    assert_int_equal(ts_model_save(model, in_work("a.gguf")), TS_OK);
    assert_int_equal(ts_model_save_as(model, in_work("a.bin"), &options), TS_OK);
    load(&model_file, in_work("a.gguf"));
    load(&checkpoint_file, in_work("a.bin"));
    load(&tokenizer_file, in_work("made.bin"));
    description = model_file.size - model->total * sizeof(float);
    ts_model_free(model);
    return open_model(&model_file) != TS_OK || open_model(&checkpoint_file) != TS_OK || open_tokenizer(&tokenizer_file) != TS_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_byte_tokens), cmocka_unit_test(test_encoding),
                                       cmocka_unit_test(test_template)};
    return cmocka_run_group_tests_name("cve", tests, prepare, remove_folder);
}

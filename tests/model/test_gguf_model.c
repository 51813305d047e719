/* Models in GGUF files: what was saved comes back from everywhere, and what is damaged is refused. */
#define _GNU_SOURCE
#include "model_fixture.h"

#include "format/format.h"

typedef struct bytes {
    unsigned char *data; /* aligned to 64 */
    size_t size;
} bytes;

static void *aligned_memory(size_t size)
{
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, 64, size == 0 ? 1 : size), 0);
    return memory;
}

static bytes saved(const ts_model *model)
{
    bytes b = {NULL, 0};
    assert_int_equal(ts_model_save_memory(model, NULL, 0, &b.size), TS_ERROR_BUFFER_TOO_SMALL);
    assert_true(b.size > 1000);
    b.data = aligned_memory(b.size);
    size_t size = 0;
    assert_int_equal(ts_model_save_memory(model, b.data, b.size - 1, &size), TS_ERROR_BUFFER_TOO_SMALL);
    assert_int_equal(size, b.size);
    assert_int_equal(ts_model_save_memory(model, b.data, b.size, &size), TS_OK);
    assert_int_equal(size, b.size);
    return b;
}

static int32_t read_bytes(void *user, uint64_t offset, void *buffer, size_t count)
{
    bytes *b = user;
    assert_true(offset <= b->size && count <= b->size - offset);
    memcpy(buffer, b->data + offset, count);
    return 0;
}

static int32_t read_nothing(void *user, uint64_t offset, void *buffer, size_t count)
{
    (void)user, (void)offset, (void)buffer, (void)count;
    return 1;
}

static ts_status open_bytes(ts_model **model, const void *data, size_t size)
{
    return ts_model_open_memory(model, NULL, data, size, NULL);
}

static void assert_same_model(const ts_model *a, const ts_model *b)
{
    ts_architecture x = {.struct_size = sizeof x}, y = {.struct_size = sizeof y};
    enum { T = 16 };
    uint32_t ids[T];
    size_t V = a->shape.V;
    float *one = malloc(T * V * sizeof *one), *two = malloc(T * V * sizeof *two);
    assert_int_equal(ts_model_architecture(a, &x), TS_OK);
    assert_int_equal(ts_model_architecture(b, &y), TS_OK);
    assert_memory_equal(&x, &y, sizeof x);
    assert_int_equal(ts_model_parameters(a), ts_model_parameters(b));
    assert_int_equal(ts_tokenizer_fingerprint(ts_model_tokenizer(a)), ts_tokenizer_fingerprint(ts_model_tokenizer(b)));
    for (uint32_t t = 0; t < T; t++)
        ids[t] = t * 71 % (uint32_t)V;
    assert_int_equal(ts_model_logits(a, ids, T, one, T * V), TS_OK);
    assert_int_equal(ts_model_logits(b, ids, T, two, T * V), TS_OK);
    assert_memory_equal(one, two, T * V * sizeof *one);
    free(one);
    free(two);
}

static void round_trip(const ts_architecture *architecture)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_model *model = fixture_model_of(NULL, tokenizer, architecture, 11), *again;
    bytes b = saved(model);
    ts_model_options map = {.struct_size = sizeof map, .map = 1};

    const char *path = in_work("model.gguf");
    assert_int_equal(ts_model_save(model, path), TS_OK);
    assert_int_equal(ts_model_open(&again, NULL, path, NULL), TS_OK);
    assert_same_model(model, again);
    ts_model_free(again);
    assert_int_equal(ts_model_open(&again, NULL, path, &map), TS_OK);
    assert_null(again->data);
    remove_file("model.gguf");
    assert_same_model(model, again);
    bytes second = saved(again); /* from a mapping, and the same bytes */
    assert_int_equal(second.size, b.size);
    assert_memory_equal(second.data, b.data, b.size);
    ts_model_free(again);
    free(second.data);

    assert_int_equal(open_bytes(&again, b.data, b.size), TS_OK);
    assert_same_model(model, again);
    ts_model_free(again);
    assert_int_equal(ts_model_open_memory(&again, NULL, b.data, b.size, &map), TS_OK);
    assert_same_model(model, again);
    ts_model_free(again);
    unsigned char *moved = aligned_memory(b.size + 1); /* no alignment is needed without a map */
    memcpy(moved + 1, b.data, b.size);
    assert_int_equal(open_bytes(&again, moved + 1, b.size), TS_OK);
    assert_same_model(model, again);
    ts_model_free(again);
    assert_int_equal(ts_model_open_memory(&again, NULL, moved + 1, b.size, &map), TS_ERROR_INVALID_ARGUMENT);
    free(moved);

    ts_read_callbacks callbacks = {.struct_size = sizeof callbacks, .read = read_bytes, .user = &b, .size = b.size, .name = "archive/model"};
    assert_int_equal(ts_model_open_callbacks(&again, NULL, &callbacks, NULL), TS_OK);
    assert_same_model(model, again);
    ts_model_free(again);
    assert_int_equal(ts_model_open_callbacks(&again, NULL, &callbacks, &map), TS_ERROR_INVALID_ARGUMENT);
    callbacks.read = read_nothing;
    assert_int_equal(ts_model_open_callbacks(&again, NULL, &callbacks, NULL), TS_ERROR_IO);
    assert_detail_has("archive/model");

    free(b.data);
    ts_model_free(model);
    ts_tokenizer_free(tokenizer);
}

static void round_trips(void **state)
{
    (void)state;
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++) {
        ts_architecture a = fixture_architecture(kind);
        round_trip(&a);
        a.untied_head = 1;
        a.norm_epsilon = 3e-6f;
        a.vocabulary_size = 300; /* more rows than there are tokens */
        if (kind == TS_ARCHITECTURE_LLAMA)
            a.rotary_base = 500;
        round_trip(&a);
    }
}

/* Fewer positions than the file has. */
static void context_option(void **state)
{
    (void)state;
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++) {
        ts_model *model = fixture_model(NULL, kind), *shorter;
        bytes b = saved(model);
        int learned = kind != TS_ARCHITECTURE_LLAMA;
        for (uint32_t map = 0; map < 2; map++) {
            ts_model_options options = {.struct_size = sizeof options, .map = map, .context_length = 9};
            uint32_t ids[9] = {5, 6, 7, 8, 9, 10, 11, 12, 13};
            size_t V = model->shape.V;
            float *one = malloc(9 * V * sizeof *one), *two = malloc(9 * V * sizeof *two);
            assert_int_equal(ts_model_open_memory(&shorter, NULL, b.data, b.size, &options), TS_OK);
            assert_int_equal(shorter->shape.T, 9);
            assert_int_equal(ts_model_parameters(model) - ts_model_parameters(shorter), learned ? 7 * 24 : 0);
            assert_int_equal(ts_model_logits(model, ids, 9, one, 9 * V), TS_OK);
            assert_int_equal(ts_model_logits(shorter, ids, 9, two, 9 * V), TS_OK);
            assert_memory_equal(one, two, 9 * V * sizeof *one);
            bytes cut = saved(shorter); /* a whole file of its own */
            ts_model *reopened;
            assert_int_equal(open_bytes(&reopened, cut.data, cut.size), TS_OK);
            assert_int_equal(reopened->shape.T, 9);
            ts_model_free(reopened);
            ts_model_free(shorter);
            free(cut.data);
            free(one);
            free(two);
            options.context_length = 64;
            assert_int_equal(ts_model_open_memory(&shorter, NULL, b.data, b.size, &options), TS_OK);
            assert_int_equal(shorter->shape.T, learned ? 16 : 64);
            ts_model_free(shorter);
            options.context_length = 1;
            assert_int_equal(ts_model_open_memory(&shorter, NULL, b.data, b.size, &options), TS_ERROR_INVALID_ARGUMENT);
        }
        free(b.data);
        ts_model_free(model);
    }
}

static void limits(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA), *again = NULL;
    bytes b = saved(model);
    ts_model_options options = {.struct_size = sizeof options, .memory_limit = ts_model_parameters(model) * sizeof(float)};
    assert_int_equal(ts_model_open_memory(&again, NULL, b.data, b.size, &options), TS_OK);
    ts_model_free(again);
    options.memory_limit--;
    assert_int_equal(ts_model_open_memory(&again, NULL, b.data, b.size, &options), TS_ERROR_LIMIT);
    options = (ts_model_options){.struct_size = sizeof options, .map = 2};
    assert_int_equal(ts_model_open_memory(&again, NULL, b.data, b.size, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_model_open_memory(&again, NULL, NULL, 0, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_model_open(&again, NULL, "/nonexistent/model.gguf", NULL), TS_ERROR_IO);
    assert_detail_has("model.gguf");
    ts_status folder = ts_model_open(&again, NULL, "/", NULL); /* a Hugging Face directory without its config.json, which needs a build with JSON */
    assert_true(folder == TS_ERROR_IO || folder == TS_ERROR_UNSUPPORTED);
    assert_detail_has(folder == TS_ERROR_IO ? "config.json" : "JSON");
    assert_int_equal(ts_model_save(model, "/nonexistent/model.gguf"), TS_ERROR_IO);
    free(b.data);
    ts_model_free(model);
}

/* ---- damage ---- */

static unsigned char *find(bytes b, const char *text)
{
    unsigned char *at = memmem(b.data, b.size, text, strlen(text));
    assert_non_null(at);
    return at;
}

/* The value of a pair whose type takes 4 bytes. */
static void set_u32(bytes b, const char *key, uint32_t value)
{
    memcpy(find(b, key) + strlen(key) + 4, &value, 4);
}

static bytes copy_of(bytes b)
{
    bytes copy = {aligned_memory(b.size), b.size};
    memcpy(copy.data, b.data, b.size);
    return copy;
}

static void refuse(bytes b, ts_status expected, const char *detail)
{
    ts_model *model = NULL;
    ts_status status = open_bytes(&model, b.data, b.size);
    if (status != expected)
        fail_msg("status %s (%s), expected %s (%s)", ts_status_name(status), ts_error_detail(), ts_status_name(expected), detail);
    assert_null(model);
    assert_detail_has(detail);
    free(b.data);
}

static void wrong_keys(void **state)
{
    (void)state;
    static const struct {
        int32_t kind;
        const char *key;
        uint32_t value;
        ts_status status;
        const char *detail;
    } cases[] = {
        {TS_ARCHITECTURE_LLAMA, "llama.block_count", 2, TS_ERROR_FORMAT, "blk.2."},
        {TS_ARCHITECTURE_LLAMA, "llama.block_count", 4, TS_ERROR_FORMAT, "blk.3."},
        {TS_ARCHITECTURE_LLAMA, "llama.block_count", 0, TS_ERROR_FORMAT, "llama.block_count"},
        {TS_ARCHITECTURE_LLAMA, "llama.block_count", UINT32_MAX, TS_ERROR_FORMAT, "layers"},
        {TS_ARCHITECTURE_LLAMA, "llama.block_count", 513, TS_ERROR_FORMAT, "layers"},
        {TS_ARCHITECTURE_LLAMA, "llama.block_count", 1u << 31, TS_ERROR_FORMAT, "layers"},
        {TS_ARCHITECTURE_LLAMA, "llama.attention.head_count", 0, TS_ERROR_FORMAT, "head_count"},
        {TS_ARCHITECTURE_LLAMA, "llama.embedding_length", 48, TS_ERROR_UNSUPPORTED, "rope.dimension_count"},
        {TS_ARCHITECTURE_GPT2, "gpt2.embedding_length", 48, TS_ERROR_FORMAT, "token_embd.weight"},
        {TS_ARCHITECTURE_LLAMA, "llama.embedding_length", UINT32_MAX, TS_ERROR_UNSUPPORTED, "rope.dimension_count"},
        {TS_ARCHITECTURE_GPT2, "gpt2.embedding_length", UINT32_MAX, TS_ERROR_FORMAT, "width"},
        {TS_ARCHITECTURE_LLAMA, "llama.feed_forward_length", 41, TS_ERROR_FORMAT, "blk.0.ffn_"},
        {TS_ARCHITECTURE_LLAMA, "llama.feed_forward_length", 1u << 31, TS_ERROR_FORMAT, "hidden"},
        {TS_ARCHITECTURE_GPT2, "gpt2.attention.head_count", 5, TS_ERROR_FORMAT, "heads"},
        {TS_ARCHITECTURE_LLAMA, "llama.attention.head_count_kv", 4, TS_ERROR_FORMAT, "key_value_heads"},
        {TS_ARCHITECTURE_LLAMA, "llama.attention.head_count_kv", 3, TS_ERROR_FORMAT, "blk.0.attn_k.weight"},
        {TS_ARCHITECTURE_LLAMA, "llama.rope.dimension_count", 2, TS_ERROR_UNSUPPORTED, "rope.dimension_count"},
        {TS_ARCHITECTURE_LLAMA, "llama.rope.freq_base", 0, TS_ERROR_FORMAT, "rope.freq_base"},
        {TS_ARCHITECTURE_LLAMA, "llama.attention.layer_norm_rms_epsilon", 0x7fc00000, TS_ERROR_FORMAT, "layer_norm_rms_epsilon"},
        {TS_ARCHITECTURE_LLAMA, "llama.attention.layer_norm_rms_epsilon", 0x7f800000, TS_ERROR_FORMAT, "epsilon"},
        {TS_ARCHITECTURE_LLAMA, "llama.vocab_size", 17, TS_ERROR_MISMATCH, "llama.vocab_size"},
        {TS_ARCHITECTURE_LLAMA, "llama.context_length", UINT32_MAX, TS_ERROR_FORMAT, "context_length"},
        {TS_ARCHITECTURE_GPT2, "gpt2.context_length", 17, TS_ERROR_FORMAT, "position_embd.weight"},
        {TS_ARCHITECTURE_GPT_NEO, "gptneo.attention.sliding_window", 0, TS_ERROR_FORMAT, "sliding_window"},
        {TS_ARCHITECTURE_GPT_NEO, "gptneo.attention.scale", 0x3f000000, TS_ERROR_UNSUPPORTED, "attention.scale"},
        {TS_ARCHITECTURE_GPT_NEO, "gptneo.block_count", 2, TS_ERROR_FORMAT, "sliding_window_pattern"},
    };
    bytes files[4] = {{0}};
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++) {
        ts_model *model = fixture_model(NULL, kind);
        files[kind] = saved(model);
        ts_model_free(model);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b = copy_of(files[cases[i].kind]);
        set_u32(b, cases[i].key, cases[i].value);
        refuse(b, cases[i].status, cases[i].detail);
    }
    bytes b = copy_of(files[TS_ARCHITECTURE_GPT_NEO]); /* all layers local; behind the key: array, bool, 3, then the bools */
    memcpy(find(b, "gptneo.attention.sliding_window_pattern") + strlen("gptneo.attention.sliding_window_pattern") + 16, "\1\1\1", 3);
    refuse(b, TS_ERROR_UNSUPPORTED, "layer 0 local");
    b = copy_of(files[TS_ARCHITECTURE_GPT2]);
    memcpy(find(b, "gpt2"), "gptj", 4); /* the first is general.architecture's value */
    refuse(b, TS_ERROR_UNSUPPORTED, "gptj");
    b = copy_of(files[TS_ARCHITECTURE_GPT2]);
    find(b, "gpt2.context_length")[5] = 'x';
    refuse(b, TS_ERROR_FORMAT, "gpt2.context_length");
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++)
        free(files[kind].data);
}

static void wrong_tensors(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    bytes file = saved(model), b = copy_of(file);
    find(b, "output_norm.weight")[17] = 'x';
    refuse(b, TS_ERROR_FORMAT, "output_norm.weight");
    b = copy_of(file);
    find(b, "token_embd.weight")[0] = 'x';
    refuse(b, TS_ERROR_FORMAT, "token_embd.weight");

    /* Behind a name: the rank, the dimensions, the type. The same number of elements in another shape: */
    const char *name = "blk.1.ffn_down.weight";
    b = copy_of(file);
    unsigned char *at = find(b, name) + strlen(name) + 4;
    unsigned char columns[8];
    memcpy(columns, at, 8);
    memcpy(at, at + 8, 8);
    memcpy(at + 8, columns, 8);
    refuse(b, TS_ERROR_FORMAT, name);
    /* Numbers of the same size, but of another type: */
    b = copy_of(file);
    find(b, name)[strlen(name) + 4 + 16] = 26;
    refuse(b, TS_ERROR_UNSUPPORTED, name);
    free(file.data);
    ts_model_free(model);

    /* A tensor too many, where none is too few: an untied head of a file that says what it is by another name. */
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_GPT2);
    a.untied_head = 1;
    model = fixture_model_of(NULL, tokenizer, &a, 1);
    b = saved(model);
    memcpy(memmem(b.data, b.size, "\15\0\0\0\0\0\0\0output.weight", 21), "\15\0\0\0\0\0\0\0uotput.weight", 21); /* not attn_output.weight */
    refuse(b, TS_ERROR_FORMAT, "uotput.weight");
    ts_model_free(model);
    ts_tokenizer_free(tokenizer);
}

static bytes small_file(void)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    a.width = 8;
    a.heads = 2;
    a.layers = 1;
    a.hidden = 8;
    ts_model *model = fixture_model_of(NULL, tokenizer, &a, 2);
    bytes b = saved(model);
    ts_model_free(model);
    ts_tokenizer_free(tokenizer);
    return b;
}

/* Where the tensors' data begin: all of the description lies before. */
static size_t description_size(bytes b)
{
    ts_source source;
    ts_gguf *gguf;
    ts_runtime *runtime;
    assert_int_equal(ts_runtime_acquire(&runtime, NULL), TS_OK);
    ts_source_memory(&source, runtime, b.data, b.size, "test");
    assert_int_equal(ts_gguf_open(&gguf, &source), TS_OK);
    size_t size = (size_t)ts_gguf_tensor_at(gguf, 0)->offset;
    ts_gguf_close(gguf);
    ts_source_close(&source);
    ts_runtime_release(runtime);
    return size;
}

static void truncations(void **state)
{
    (void)state;
    bytes b = small_file();
    size_t description = description_size(b);
    for (size_t size = 0; size < b.size; size += size < description ? 1 : 61) {
        unsigned char *cut = malloc(size == 0 ? 1 : size); /* so that the sanitizer sees a byte too much */
        ts_model *model = NULL;
        memcpy(cut, b.data, size);
        ts_status status = open_bytes(&model, cut, size);
        if (status != TS_ERROR_FORMAT)
            fail_msg("cut to %zu bytes of %zu: %s, %s", size, b.size, ts_status_name(status), ts_error_detail());
        assert_null(model);
        free(cut);
    }
    free(b.data);
}

static void flipped_bytes(void **state)
{
    (void)state;
    bytes b = small_file();
    size_t description = description_size(b), opened = 0;
    static const unsigned char masks[] = {0xff, 0x01, 0x80};
    for (size_t at = 0; at < description; at++) {
        unsigned char mask = masks[at % sizeof masks];
        ts_model *model = NULL;
        b.data[at] ^= mask;
        ts_status status = open_bytes(&model, b.data, b.size);
        b.data[at] ^= mask;
        if (status != TS_OK) {
            assert_null(model);
            assert_true(status == TS_ERROR_FORMAT || status == TS_ERROR_VERSION || status == TS_ERROR_UNSUPPORTED || status == TS_ERROR_MISMATCH ||
                        status == TS_ERROR_LIMIT);
            continue;
        }
        uint32_t ids[2] = {0, 1};
        float *logits = malloc(2 * model->shape.V * sizeof *logits);
        assert_int_equal(ts_model_logits(model, ids, 2, logits, 2 * model->shape.V), TS_OK);
        free(logits);
        ts_model_free(model);
        opened++;
    }
    assert_true(opened < description / 2);
    free(b.data);
}

/* ---- memory ---- */

static ts_status attempt_open(ts_runtime *runtime, void *user)
{
    bytes *b = user;
    ts_model *model;
    ts_status status = ts_model_open_memory(&model, runtime, b->data, b->size, NULL);
    if (status == TS_OK)
        ts_model_free(model);
    return status;
}

static ts_status attempt_save(ts_runtime *runtime, void *user)
{
    bytes *b = user;
    ts_model *model;
    ts_model_options map = {.struct_size = sizeof map, .map = 1};
    ts_status status = ts_model_open_memory(&model, runtime, b->data, b->size, &map);
    if (status != TS_OK)
        return status;
    bytes again = {aligned_memory(b->size), 0};
    status = ts_model_save_memory(model, again.data, b->size, &again.size);
    if (status == TS_OK) {
        assert_int_equal(again.size, b->size);
        assert_memory_equal(again.data, b->data, b->size);
    }
    free(again.data);
    ts_model_free(model);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    bytes b = small_file();
    sweep_memory(attempt_open, &b);
    sweep_memory(attempt_save, &b);
    free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),   cmocka_unit_test(context_option), cmocka_unit_test(limits),        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(wrong_tensors), cmocka_unit_test(truncations),    cmocka_unit_test(flipped_bytes), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/*
 * The shape of a model as keys of a GGUF file: those that llama.cpp reads for `llama` and `gpt2`, and our own for `gptneo`, which it does not know.
 * A setting that the network has no switch for is refused, never passed over.
 */
#include <stdio.h>

#include "model/gguf_keys.h"

/* Sizes that every architecture has. */
static const struct {
    const char *suffix;
    size_t field;
} sizes[] = {
    {"context_length", offsetof(ts_architecture, context_length)},
    {"embedding_length", offsetof(ts_architecture, width)},
    {"block_count", offsetof(ts_architecture, layers)},
    {"feed_forward_length", offsetof(ts_architecture, hidden)},
    {"attention.head_count", offsetof(ts_architecture, heads)},
};

static uint32_t *size_at(ts_architecture *architecture, size_t field)
{
    return (uint32_t *)(void *)((unsigned char *)architecture + field);
}

typedef struct key_name {
    char text[96];
} key_name;

/* "llama.context_length" of the architecture and "context_length" */
static key_name key_of(const char *architecture, const char *suffix)
{
    key_name key;
    snprintf(key.text, sizeof key.text, "%s.%s", architecture, suffix);
    return key;
}

static const char *epsilon_suffix(const ts_switches *switches)
{
    return switches->layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
}

/* ---- reading ---- */

typedef struct keys {
    ts_gguf *gguf;
    const char *file;
    const ts_switches *switches;
} keys;

/* A size that must be there and not 0, as a 0 would be filled in. */
static ts_status read_size(const keys *k, const char *suffix, uint32_t *out)
{
    key_name key = key_of(k->switches->name, suffix);
    uint32_t value;
    TS_TRY(ts_gguf_get_u32(k->gguf, key.text, &value));
    if (value == 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: %s is 0, expected a size", k->file, key.text);
    *out = value;
    return TS_OK;
}

/* A number that may be missing, but if it is there must be this one. */
static ts_status expect_u32(const keys *k, const char *suffix, uint32_t expected)
{
    key_name key = key_of(k->switches->name, suffix);
    uint32_t value = expected;
    if (ts_gguf_has(k->gguf, key.text))
        TS_TRY(ts_gguf_get_u32(k->gguf, key.text, &value));
    if (value != expected)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: %s is %u, only %u is supported", k->file, key.text, value, expected);
    return TS_OK;
}

static ts_status expect_one(const keys *k, const char *suffix)
{
    key_name key = key_of(k->switches->name, suffix);
    float value = 1;
    if (ts_gguf_has(k->gguf, key.text))
        TS_TRY(ts_gguf_get_f32(k->gguf, key.text, &value));
    if (value != 1)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: %s is not 1, which is not supported", k->file, key.text);
    return TS_OK;
}

/* A number above 0 that a 0 must not stand for; where it may be missing *out holds the default. */
static ts_status read_positive(const keys *k, const char *suffix, bool required, float *out)
{
    key_name key = key_of(k->switches->name, suffix);
    if (!required && !ts_gguf_has(k->gguf, key.text))
        return TS_OK;
    TS_TRY(ts_gguf_get_f32(k->gguf, key.text, out));
    if (!(*out > 0))
        return ts_fail(TS_ERROR_FORMAT, "%s: %s is not a number above 0", k->file, key.text);
    return TS_OK;
}

static ts_status read_rotary(const keys *k, ts_architecture *a)
{
    key_name key = key_of(k->switches->name, "attention.head_count_kv");
    a->key_value_heads = a->heads;
    if (ts_gguf_has(k->gguf, key.text))
        TS_TRY(read_size(k, "attention.head_count_kv", &a->key_value_heads));
    a->rotary_base = 10000;
    TS_TRY(read_positive(k, "rope.freq_base", false, &a->rotary_base));
    uint32_t head_size = a->width / a->heads;
    TS_TRY(expect_u32(k, "rope.dimension_count", head_size));
    TS_TRY(expect_u32(k, "attention.key_length", head_size));
    TS_TRY(expect_u32(k, "attention.value_length", head_size));
    TS_TRY(expect_u32(k, "attention.sliding_window", 0));
    TS_TRY(expect_u32(k, "expert_count", 0));
    TS_TRY(expect_one(k, "rope.scaling.factor"));
    return expect_one(k, "rope.scale_linear");
}

/* The local layers of our gptneo: every second one, from the second on. */
static ts_status read_window(const keys *k, ts_architecture *a)
{
    key_name key = key_of(k->switches->name, "attention.sliding_window_pattern");
    const uint8_t *local = NULL;
    size_t count = 0;
    TS_TRY(read_size(k, "attention.sliding_window", &a->window));
    TS_TRY(expect_one(k, "attention.scale"));
    TS_TRY(ts_gguf_get_bools(k->gguf, key.text, &local, &count));
    if (count != a->layers)
        return ts_fail(TS_ERROR_FORMAT, "%s: %s has %zu layers, expected %u", k->file, key.text, count, a->layers);
    for (size_t layer = 0; layer < count; layer++)
        if (local[layer] != layer % 2)
            return ts_fail(TS_ERROR_UNSUPPORTED, "%s: %s makes layer %zu %s, only every second layer may be local", k->file, key.text, layer,
                           local[layer] ? "local" : "global");
    return TS_OK;
}

/* The vocabulary is what the embedding has rows for. */
static ts_status read_vocabulary(const keys *k, ts_architecture *a)
{
    const ts_gguf_tensor *tokens = ts_gguf_find_tensor(k->gguf, "token_embd.weight");
    key_name key = key_of(k->switches->name, "vocab_size");
    if (tokens == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor token_embd.weight is missing", k->file);
    if (tokens->shape[0] > UINT32_MAX)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor token_embd.weight has %llu rows", k->file, (unsigned long long)tokens->shape[0]);
    a->vocabulary_size = (uint32_t)tokens->shape[0];
    a->untied_head = ts_gguf_find_tensor(k->gguf, "output.weight") != NULL;
    uint32_t stated = a->vocabulary_size;
    if (ts_gguf_has(k->gguf, key.text))
        TS_TRY(ts_gguf_get_u32(k->gguf, key.text, &stated));
    if (stated != a->vocabulary_size)
        return ts_fail(TS_ERROR_MISMATCH, "%s: %s is %u, but tensor token_embd.weight has %u rows", k->file, key.text, stated, a->vocabulary_size);
    return TS_OK;
}

/* How many of the file's positions are used. */
static ts_status read_context(const keys *k, uint32_t wish, ts_architecture *a, uint32_t *positions)
{
    key_name trained = key_of(k->switches->name, "trained_context_length");
    *positions = a->context_length;
    if (wish == 0 && ts_gguf_has(k->gguf, trained.text))
        TS_TRY(read_size(k, "trained_context_length", &wish)); /* later positions exist, but mean nothing */
    if (wish != 0)
        a->context_length = k->switches->learned_positions ? TS_MIN(wish, a->context_length) : wish;
    return TS_OK;
}

ts_status ts_gguf_read_architecture(ts_gguf *gguf, const char *file, uint32_t context_length, ts_architecture *architecture, uint32_t *positions)
{
    const char *name;
    TS_TRY(ts_gguf_get_string(gguf, "general.architecture", &name, NULL));
    keys k = {gguf, file, ts_switches_named(name)};
    if (k.switches == NULL)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: the architecture is '%.64s', expected llama, gpt2 or gptneo", file, name);
    ts_architecture a = {.struct_size = sizeof a, .kind = k.switches->kind};
    for (size_t i = 0; i < TS_COUNT_OF(sizes); i++)
        TS_TRY(read_size(&k, sizes[i].suffix, size_at(&a, sizes[i].field)));
    TS_TRY(read_positive(&k, epsilon_suffix(k.switches), true, &a.norm_epsilon));
    if (!k.switches->learned_positions)
        TS_TRY(read_rotary(&k, &a));
    if (k.switches->local_layers)
        TS_TRY(read_window(&k, &a));
    TS_TRY(read_vocabulary(&k, &a));
    TS_TRY(read_context(&k, context_length, &a, positions));
    ts_status status = ts_architecture_complete(&a);
    if (status != TS_OK)
        return ts_fail_context(status == TS_ERROR_INVALID_ARGUMENT ? TS_ERROR_FORMAT : status, file);
    *architecture = a;
    return TS_OK;
}

/* ---- writing ---- */

void ts_gguf_add_architecture(ts_gguf_writer *writer, const ts_architecture *architecture, uint32_t file_type)
{
    const ts_switches *switches = ts_switches_of(architecture->kind);
    const char *name = switches->name;
    ts_architecture a = *architecture;
    ts_gguf_add_string(writer, "general.architecture", name, strlen(name));
    ts_gguf_add_string(writer, "general.name", "TinyStories", strlen("TinyStories"));
    ts_gguf_add_u32(writer, "general.file_type", file_type);
    for (size_t i = 0; i < TS_COUNT_OF(sizes); i++)
        ts_gguf_add_u32(writer, key_of(name, sizes[i].suffix).text, *size_at(&a, sizes[i].field));
    ts_gguf_add_f32(writer, key_of(name, epsilon_suffix(switches)).text, a.norm_epsilon);
    if (!switches->learned_positions) {
        ts_gguf_add_u32(writer, key_of(name, "attention.head_count_kv").text, a.key_value_heads);
        ts_gguf_add_u32(writer, key_of(name, "rope.dimension_count").text, a.width / a.heads);
        ts_gguf_add_f32(writer, key_of(name, "rope.freq_base").text, a.rotary_base);
        ts_gguf_add_u32(writer, key_of(name, "vocab_size").text, a.vocabulary_size);
    }
    if (switches->local_layers) {
        uint8_t local[512]; /* a shape has no more layers */
        for (uint32_t layer = 0; layer < a.layers; layer++)
            local[layer] = layer % 2;
        ts_gguf_add_u32(writer, key_of(name, "attention.sliding_window").text, a.window);
        ts_gguf_add_bools(writer, key_of(name, "attention.sliding_window_pattern").text, local, a.layers);
        ts_gguf_add_f32(writer, key_of(name, "attention.scale").text, 1);
        ts_gguf_add_u32(writer, key_of(name, "trained_context_length").text, a.context_length);
    }
}

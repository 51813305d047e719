/*
 * config.json of Hugging Face transformers for gpt_neo, gpt2 and llama: tables of what is a size, what may be left out, and what may have one value
 * alone because the network has no switch for another.
 */
#include <math.h>
#include <stdio.h>

#include "model/huggingface_config.h"
#include "text/text.h"

enum { LLAMA = 1 << TS_ARCHITECTURE_LLAMA, GPT2 = 1 << TS_ARCHITECTURE_GPT2, GPT_NEO = 1 << TS_ARCHITECTURE_GPT_NEO, ALL = LLAMA | GPT2 | GPT_NEO };

/* ---- what is in a config ---- */

static const struct {
    const char *model_type;
    int32_t kind;
    const char *whole, *bare; /* of "architectures": with the output matrix and without */
    bool tied;                /* unless tie_word_embeddings says otherwise */
} kinds[] = {
    {"gpt_neo", TS_ARCHITECTURE_GPT_NEO, "GPTNeoForCausalLM", "GPTNeoModel", true},
    {"gpt2", TS_ARCHITECTURE_GPT2, "GPT2LMHeadModel", "GPT2Model", true},
    {"llama", TS_ARCHITECTURE_LLAMA, "LlamaForCausalLM", "LlamaModel", false},
};

/* Sizes: one name, or an older one. */
static const struct {
    unsigned kinds;
    const char *key, *older;
    size_t field;
    bool optional; /* null or missing: derived */
} sizes[] = {
    {ALL, "vocab_size", NULL, offsetof(ts_architecture, vocabulary_size), false},
    {GPT_NEO | LLAMA, "max_position_embeddings", NULL, offsetof(ts_architecture, context_length), false},
    {GPT2, "n_positions", "n_ctx", offsetof(ts_architecture, context_length), false},
    {GPT_NEO | LLAMA, "hidden_size", NULL, offsetof(ts_architecture, width), false},
    {GPT2, "n_embd", "hidden_size", offsetof(ts_architecture, width), false},
    {GPT_NEO, "num_layers", "num_hidden_layers", offsetof(ts_architecture, layers), false},
    {GPT2, "n_layer", "num_hidden_layers", offsetof(ts_architecture, layers), false},
    {LLAMA, "num_hidden_layers", NULL, offsetof(ts_architecture, layers), false},
    {GPT_NEO, "num_heads", "num_attention_heads", offsetof(ts_architecture, heads), false},
    {GPT2, "n_head", "num_attention_heads", offsetof(ts_architecture, heads), false},
    {LLAMA, "num_attention_heads", NULL, offsetof(ts_architecture, heads), false},
    {LLAMA, "num_key_value_heads", NULL, offsetof(ts_architecture, key_value_heads), true},
    {GPT_NEO, "intermediate_size", NULL, offsetof(ts_architecture, hidden), true},
    {GPT2, "n_inner", NULL, offsetof(ts_architecture, hidden), true},
    {LLAMA, "intermediate_size", NULL, offsetof(ts_architecture, hidden), false},
    {GPT_NEO, "window_size", NULL, offsetof(ts_architecture, window), false},
};

/* Settings that have one value here, as JSON writes it, or an equal one; missing or null is that value too. */
static const struct {
    unsigned kinds;
    const char *key, *value, *equal;
} fixed[] = {
    {GPT_NEO | GPT2, "activation_function", "\"gelu_new\"", "\"gelu_pytorch_tanh\""},
    {LLAMA, "hidden_act", "\"silu\"", "\"swish\""},
    {GPT2, "scale_attn_weights", "true", NULL},
    {GPT2, "scale_attn_by_inverse_layer_idx", "false", NULL},
    {LLAMA, "attention_bias", "false", NULL},
    {LLAMA, "mlp_bias", "false", NULL},
    {LLAMA, "partial_rotary_factor", "1", NULL},
    {LLAMA, "sliding_window", "null", NULL},
    {ALL, "add_cross_attention", "false", NULL},
    {ALL, "is_encoder_decoder", "false", NULL},
    {ALL, "quantization_config", "null", NULL},
    {ALL, "attn_logit_softcapping", "null", NULL},
    {ALL, "final_logit_softcapping", "null", NULL},
};

static uint32_t *size_at(ts_architecture *architecture, size_t field)
{
    return (uint32_t *)(void *)((unsigned char *)architecture + field);
}

/* ---- reading ---- */

typedef struct config_reader {
    const ts_json *json;
    const char *file;
    ts_architecture a;
    uint32_t wish, positions;
} config_reader;

/* How an error calls a value. */
typedef struct value_text {
    char text[80];
} value_text;

static value_text describe(const ts_json *value)
{
    value_text v = {"null"};
    bool on;
    double number;
    if (ts_json_bool(value, &on))
        snprintf(v.text, sizeof v.text, "%s", on ? "true" : "false");
    else if (ts_json_double(value, &number))
        ts_format_double(v.text, number);
    else if (ts_json_text(value) != NULL)
        snprintf(v.text, sizeof v.text, "\"%.60s\"", ts_json_text(value));
    else if (ts_json_kind_of(value) != TS_JSON_NULL)
        snprintf(v.text, sizeof v.text, "%s", ts_json_kind_of(value) == TS_JSON_ARRAY ? "an array" : "an object");
    return v;
}

static bool is_null(const ts_json *value)
{
    return ts_json_kind_of(value) == TS_JSON_NULL;
}

static ts_status read_sizes(config_reader *r)
{
    for (size_t i = 0; i < TS_COUNT_OF(sizes); i++) {
        uint64_t size = 0;
        const ts_json *value = ts_json_get(r->json, sizes[i].key);
        if ((sizes[i].kinds & 1u << r->a.kind) == 0)
            continue;
        if (is_null(value) && sizes[i].older != NULL)
            value = ts_json_get(r->json, sizes[i].older);
        if (is_null(value) && sizes[i].optional)
            continue;
        if (!ts_json_whole(value, &size) || size == 0 || size > UINT32_MAX)
            return ts_fail(TS_ERROR_FORMAT, "%s: %s is %s, expected a size", r->file, sizes[i].key, describe(value).text);
        *size_at(&r->a, sizes[i].field) = (uint32_t)size;
    }
    return TS_OK;
}

static ts_status check_fixed(const config_reader *r)
{
    for (size_t i = 0; i < TS_COUNT_OF(fixed); i++) {
        const ts_json *value = ts_json_get(r->json, fixed[i].key);
        if ((fixed[i].kinds & 1u << r->a.kind) == 0 || is_null(value))
            continue;
        value_text is = describe(value);
        if (strcmp(is.text, fixed[i].value) != 0 && (fixed[i].equal == NULL || strcmp(is.text, fixed[i].equal) != 0))
            return ts_fail(TS_ERROR_UNSUPPORTED, "%s: %s is %s, only %s is supported", r->file, fixed[i].key, is.text, fixed[i].value);
    }
    return TS_OK;
}

/* A number above 0; missing or null leaves the default that *out holds. */
static ts_status read_positive(const config_reader *r, const ts_json *value, const char *key, float *out)
{
    double number;
    if (is_null(value))
        return TS_OK;
    if (!ts_json_double(value, &number) || !((float)number > 0) || !isfinite((float)number))
        return ts_fail(TS_ERROR_FORMAT, "%s: %s is %s, expected a number above 0", r->file, key, describe(value).text);
    *out = (float)number;
    return TS_OK;
}

/* rope_scaling, or the newer rope_parameters that hold rope_theta too: plain rotary positions alone. */
static ts_status read_rope_object(config_reader *r, const char *key)
{
    const ts_json *rope = ts_json_get(r->json, key);
    if (is_null(rope))
        return TS_OK;
    const ts_json *type = ts_json_get(rope, "rope_type");
    if (is_null(type))
        type = ts_json_get(rope, "type");
    if (ts_json_kind_of(rope) != TS_JSON_OBJECT || (!is_null(type) && (ts_json_text(type) == NULL || strcmp(ts_json_text(type), "default") != 0)))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: %s is %s of type %s, only \"default\" is supported", r->file, key, describe(rope).text,
                       describe(type).text);
    if (is_null(type) && !is_null(ts_json_get(rope, "factor")))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: %s.factor is %s, which is not supported", r->file, key, describe(ts_json_get(rope, "factor")).text);
    return read_positive(r, ts_json_get(rope, "rope_theta"), "rope_theta", &r->a.rotary_base);
}

static ts_status read_rotary(config_reader *r)
{
    uint64_t head;
    const ts_json *value = ts_json_get(r->json, "head_dim");
    r->a.rotary_base = 10000;
    TS_TRY(read_positive(r, ts_json_get(r->json, "rope_theta"), "rope_theta", &r->a.rotary_base));
    TS_TRY(read_rope_object(r, "rope_scaling"));
    TS_TRY(read_rope_object(r, "rope_parameters"));
    if (!is_null(value) && (!ts_json_whole(value, &head) || r->a.width % r->a.heads != 0 || head != r->a.width / r->a.heads))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: head_dim is %s, only hidden_size / num_attention_heads is supported, %u / %u", r->file,
                       describe(value).text, r->a.width, r->a.heads);
    return TS_OK;
}

/* Layer `layer` is "global" or "local"; every second one, from the second on, must be local. */
static ts_status check_layer(const config_reader *r, const ts_json *name, uint32_t layer)
{
    const char *text = ts_json_text(name), *expected = layer % 2 ? "local" : "global";
    if (layer >= r->a.layers)
        return ts_fail(TS_ERROR_FORMAT, "%s: attention_types has more layers than num_layers, %u", r->file, r->a.layers);
    if (text == NULL || strcmp(text, expected) != 0)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: attention_types makes layer %u %s, only \"%s\" is supported there", r->file, layer,
                       describe(name).text, expected);
    return TS_OK;
}

/* [[["global", "local"], 4]]: each list of names so many times. */
static ts_status read_attention_types(const config_reader *r)
{
    const ts_json *types = ts_json_get(r->json, "attention_types");
    uint32_t layer = 0;
    if (r->a.layers > 512)
        return TS_OK; /* more than there may be, which is told with the other sizes */
    for (const ts_json *type = ts_json_first(types); type != NULL; type = ts_json_next(type)) {
        const ts_json *names = ts_json_first(type), *times = names ? ts_json_next(names) : NULL;
        uint64_t count;
        if (ts_json_count(type) != 2 || ts_json_kind_of(names) != TS_JSON_ARRAY || ts_json_count(names) == 0 || !ts_json_whole(times, &count))
            return ts_fail(TS_ERROR_FORMAT, "%s: attention_types is not made of [names, count]", r->file);
        for (uint64_t i = 0; i < count; i++)
            for (const ts_json *name = ts_json_first(names); name != NULL; name = ts_json_next(name))
                TS_TRY(check_layer(r, name, layer++));
    }
    if (layer != r->a.layers)
        return ts_fail(TS_ERROR_FORMAT, "%s: attention_types has %u layers, num_layers is %u", r->file, layer, r->a.layers);
    return TS_OK;
}

/* The published TinyStories models state the 2,048 positions of the GPT-Neo that they come from, whose own models have 12 layers and more. */
static void limit_positions(config_reader *r, ts_runtime *runtime)
{
    enum { STATED = 2048, TRAINED = 512, MOST_LAYERS = 8 };
    if (r->a.kind != TS_ARCHITECTURE_GPT_NEO || r->wish != 0 || r->a.context_length != STATED || r->a.layers > MOST_LAYERS)
        return;
    r->a.context_length = TRAINED;
    ts_log(runtime, TS_LOG_WARNING, "%s: states %d positions, but TinyStories models were trained on %d; a context of %d is used", r->file, STATED,
           TRAINED, TRAINED);
}

static ts_status read_kind(config_reader *r)
{
    const ts_json *type = ts_json_get(r->json, "model_type"), *names = ts_json_get(r->json, "architectures");
    size_t i = 0;
    while (i < TS_COUNT_OF(kinds) && (ts_json_text(type) == NULL || strcmp(ts_json_text(type), kinds[i].model_type) != 0))
        i++;
    if (i == TS_COUNT_OF(kinds))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: model_type is %s, expected \"gpt_neo\", \"gpt2\" or \"llama\"", r->file, describe(type).text);
    const char *name = ts_json_text(ts_json_first(names));
    if (!is_null(names) && (name == NULL || (strcmp(name, kinds[i].whole) != 0 && strcmp(name, kinds[i].bare) != 0)))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: architectures is %s, expected [\"%s\"]", r->file,
                       describe(name ? ts_json_first(names) : names).text, kinds[i].whole);
    r->a.kind = kinds[i].kind;
    bool tied = kinds[i].tied;
    const ts_json *tie = ts_json_get(r->json, "tie_word_embeddings");
    if (!is_null(tie) && !ts_json_bool(tie, &tied))
        return ts_fail(TS_ERROR_FORMAT, "%s: tie_word_embeddings is %s, expected true or false", r->file, describe(tie).text);
    r->a.untied_head = !tied;
    return TS_OK;
}

static ts_status read_shape(config_reader *r)
{
    bool llama = r->a.kind == TS_ARCHITECTURE_LLAMA;
    const char *epsilon = llama ? "rms_norm_eps" : "layer_norm_epsilon";
    TS_TRY(read_sizes(r));
    TS_TRY(check_fixed(r));
    r->a.norm_epsilon = llama ? 1e-6f : 1e-5f;
    TS_TRY(read_positive(r, ts_json_get(r->json, epsilon), epsilon, &r->a.norm_epsilon));
    if (llama)
        TS_TRY(read_rotary(r));
    if (r->a.kind == TS_ARCHITECTURE_GPT_NEO)
        TS_TRY(read_attention_types(r));
    r->positions = r->a.context_length;
    if (r->wish != 0)
        r->a.context_length = llama ? r->wish : TS_MIN(r->wish, r->a.context_length);
    return TS_OK;
}

/* An id, or the first of a list of them. */
static uint32_t read_id(const config_reader *r, const char *key)
{
    const ts_json *value = ts_json_get(r->json, key);
    uint64_t id;
    if (ts_json_kind_of(value) == TS_JSON_ARRAY)
        value = ts_json_first(value);
    return ts_json_whole(value, &id) && id < r->a.vocabulary_size ? (uint32_t)id : TS_TOKENIZER_NONE;
}

ts_status ts_huggingface_read_config(ts_huggingface_config *config, ts_runtime *runtime, const ts_json *json, const char *file,
                                     uint32_t context_length)
{
    config_reader r = {.json = json, .file = file, .a = {.struct_size = sizeof r.a}, .wish = context_length};
    if (ts_json_kind_of(json) != TS_JSON_OBJECT)
        return ts_fail(TS_ERROR_FORMAT, "%s: is no object", file);
    TS_TRY(ts_json_check_unique(json, runtime, file));
    TS_TRY(read_kind(&r));
    TS_TRY(read_shape(&r));
    ts_status status = ts_architecture_complete(&r.a);
    if (status != TS_OK)
        return ts_fail_context(status == TS_ERROR_INVALID_ARGUMENT ? TS_ERROR_FORMAT : status, file);
    limit_positions(&r, runtime);
    *config = (ts_huggingface_config){r.a, r.positions, read_id(&r, "bos_token_id"), read_id(&r, "eos_token_id")};
    return TS_OK;
}

/* ---- writing ---- */

/* The shortest decimal that reads back as the same float: 1e-5, where as a double it would be 9.99999974737875e-06. */
static void format_float(char out[TS_DOUBLE_SIZE], float value)
{
    int exponent = (int)floor(log10(value));
    for (int digits = 1; digits <= 9; digits++) {
        int power = exponent - digits + 1;
        long long number = llround(power < 0 ? value * pow(10, -power) : value / pow(10, power));
        double back = power < 0 ? (double)number / pow(10, -power) : (double)number * pow(10, power);
        if ((float)back != value)
            continue;
        ts_format_double(out, back);
        return;
    }
    ts_format_double(out, value);
}

static ts_status add_float(ts_bytes *json, const char *key, float value)
{
    char text[TS_DOUBLE_SIZE];
    format_float(text, value);
    return ts_bytes_format(json, "  \"%s\": %s,\n", key, text);
}

static ts_status add_attention_types(ts_bytes *json, uint32_t layers)
{
    TS_TRY(ts_bytes_format(json, "  \"attention_types\": ["));
    if (layers / 2 > 0)
        TS_TRY(ts_bytes_format(json, "[[\"global\", \"local\"], %u]", layers / 2));
    if (layers % 2 > 0)
        TS_TRY(ts_bytes_format(json, "%s[[\"global\"], 1]", layers > 1 ? ", " : ""));
    TS_TRY(ts_bytes_format(json, "],\n  \"attention_layers\": ["));
    for (uint32_t layer = 0; layer < layers; layer++)
        TS_TRY(ts_bytes_format(json, "%s\"%s\"", layer > 0 ? ", " : "", layer % 2 ? "local" : "global"));
    return ts_bytes_format(json, "],\n");
}

static ts_status add_ids(ts_bytes *json, uint32_t begin, uint32_t end)
{
    if (begin != TS_TOKENIZER_NONE)
        TS_TRY(ts_bytes_format(json, "  \"bos_token_id\": %u,\n", begin));
    if (end != TS_TOKENIZER_NONE)
        TS_TRY(ts_bytes_format(json, "  \"eos_token_id\": %u,\n", end));
    return TS_OK;
}

ts_status ts_huggingface_write_config(ts_bytes *json, const ts_architecture *architecture, const char *dtype, uint32_t begin, uint32_t end)
{
    ts_architecture a = *architecture;
    size_t kind = 0;
    bool llama = a.kind == TS_ARCHITECTURE_LLAMA;
    while (kinds[kind].kind != a.kind)
        kind++;
    TS_TRY(ts_bytes_format(json, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n", kinds[kind].whole, kinds[kind].model_type));
    for (size_t i = 0; i < TS_COUNT_OF(sizes); i++)
        if (sizes[i].kinds & 1u << a.kind)
            TS_TRY(ts_bytes_format(json, "  \"%s\": %u,\n", sizes[i].key, *size_at(&a, sizes[i].field)));
    for (size_t i = 0; i < 2; i++) /* the activations; the other settings are what a config that leaves them out means */
        if (fixed[i].kinds & 1u << a.kind)
            TS_TRY(ts_bytes_format(json, "  \"%s\": %s,\n", fixed[i].key, fixed[i].value));
    TS_TRY(add_float(json, llama ? "rms_norm_eps" : "layer_norm_epsilon", a.norm_epsilon));
    if (llama)
        TS_TRY(add_float(json, "rope_theta", a.rotary_base));
    if (a.kind == TS_ARCHITECTURE_GPT_NEO)
        TS_TRY(add_attention_types(json, a.layers));
    TS_TRY(add_ids(json, begin, end));
    return ts_bytes_format(json, "  \"tie_word_embeddings\": %s,\n  \"torch_dtype\": \"%s\"\n}\n", a.untied_head ? "false" : "true", dtype);
}

/* What distinguishes the architectures, and what a shape may be. */
#include <math.h>

#include "network/network.h"

static const ts_switches table[] = {
    /* kind                    name      layer_norm learned swiglu fused_qkv bias   scaled local */
    {TS_ARCHITECTURE_LLAMA,    "llama",  false,     false,  true,  false,    false, true,  false},
    {TS_ARCHITECTURE_GPT2,     "gpt2",   true,      true,   false, true,     true,  true,  false},
    {TS_ARCHITECTURE_GPT_NEO,  "gptneo", true,      true,   false, false,    true,  false, true},
};

const ts_switches *ts_switches_of(int32_t kind)
{
    for (size_t i = 0; i < TS_COUNT_OF(table); i++)
        if (table[i].kind == kind)
            return &table[i];
    return NULL;
}

const ts_switches *ts_switches_named(const char *name)
{
    for (size_t i = 0; i < TS_COUNT_OF(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static ts_status within(const char *field, uint64_t value, uint64_t least, uint64_t most)
{
    if (value < least || value > most)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture.%s is %llu, expected %llu to %llu", field, (unsigned long long)value,
                       (unsigned long long)least, (unsigned long long)most);
    return TS_OK;
}

ts_status ts_architecture_complete(ts_architecture *architecture)
{
    ts_architecture a = *architecture;
    const ts_switches *switches = ts_switches_of(a.kind);
    if (switches == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture.kind is %d, expected 1 (llama), 2 (gpt2) or 3 (gpt_neo)", (int)a.kind);
    TS_TRY(within("vocabulary_size", a.vocabulary_size, 1, 1 << 20));
    TS_TRY(within("context_length", a.context_length, 2, 1 << 20));
    TS_TRY(within("width", a.width, 1, 65536));
    TS_TRY(within("layers", a.layers, 1, 512));
    TS_TRY(within("heads", a.heads, 1, 4096));
    if (a.width % a.heads != 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture.width is %u, expected a multiple of heads, %u", a.width, a.heads);
    if (!switches->learned_positions && a.width / a.heads % 2 != 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture.width / heads is %u, expected an even number for rotary positions", a.width / a.heads);
    if (a.key_value_heads == 0)
        a.key_value_heads = a.heads;
    if (a.heads % a.key_value_heads != 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture.key_value_heads is %u, expected a divisor of heads, %u", a.key_value_heads, a.heads);
    if (switches->fused_qkv && a.key_value_heads != a.heads)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture.key_value_heads is %u, expected %u: gpt2 has no grouped heads", a.key_value_heads, a.heads);
    if (a.hidden == 0)
        a.hidden = switches->swiglu ? (uint32_t)(((uint64_t)a.width * 8 / 3 + 31) / 32 * 32) : 4 * a.width;
    TS_TRY(within("hidden", a.hidden, 1, 1 << 20));
    if (switches->local_layers && a.window == 0)
        a.window = 256;
    if (!switches->local_layers && a.window != 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture.window is %u, expected 0: only gpt_neo has local layers", a.window);
    TS_TRY(within("untied_head", a.untied_head, 0, 1));
    if (!switches->learned_positions && a.rotary_base == 0)
        a.rotary_base = 10000;
    if (!switches->learned_positions && !(isfinite(a.rotary_base) && a.rotary_base >= 1))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture.rotary_base is not a number of at least 1");
    if (a.norm_epsilon == 0)
        a.norm_epsilon = 1e-5f;
    if (!(a.norm_epsilon > 0 && a.norm_epsilon < 1))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture.norm_epsilon is not a number between 0 and 1");
    *architecture = a;
    return TS_OK;
}

void ts_shape_of(ts_shape *shape, const ts_architecture *architecture)
{
    const ts_architecture *a = architecture;
    *shape = (ts_shape){
        .switches = ts_switches_of(a->kind),
        .T = a->context_length,
        .C = a->width,
        .H = a->heads,
        .K = a->key_value_heads,
        .D = a->width / a->heads,
        .F = a->hidden,
        .L = a->layers,
        .V = a->vocabulary_size,
        .window = a->window,
        .epsilon = a->norm_epsilon,
        .rotary_base = a->rotary_base,
        .untied = a->untied_head != 0,
    };
    shape->kv = shape->K * shape->D;
    shape->qkv = shape->C + 2 * shape->kv;
    shape->up = shape->switches->swiglu ? 2 * shape->F : shape->F;
    shape->scale = shape->switches->scaled ? 1 / sqrtf((float)shape->D) : 1;
}

size_t ts_layer_window(const ts_shape *shape, size_t layer)
{
    return shape->switches->local_layers && layer % 2 == 1 ? shape->window : SIZE_MAX;
}

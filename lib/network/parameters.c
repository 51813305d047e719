/* The one table of parameters: names, shapes, initial values and decay of every tensor; all other code walks it. */
#include "network/network.h"

#include <math.h>
#include <stdio.h>

typedef enum extent { ONE, WIDTH, KEYS, QKV_ROWS, HIDDEN, VOCABULARY, CONTEXT } extent;
typedef enum condition { ALWAYS, IF_LAYER_NORM, IF_LEARNED, IF_FUSED, IF_SEPARATE, IF_BIAS, IF_SWIGLU, IF_UNTIED } condition;
typedef enum place { FRONT, LAYER, BACK } place;

/* What a tensor is called in the other formats: in llama2.c's, and in Hugging Face's of each architecture, where * is the layer. */
typedef struct parameter_names {
    const char *llama2c, *llama, *gpt2, *gpt_neo;
} parameter_names;

typedef struct parameter_row {
    const char *name;
    ts_slot slot;
    place place;
    condition condition;
    extent rows, columns;
    ts_initial initial;
    parameter_names names;
    bool conv1d; /* Hugging Face's gpt2 stores (inputs, outputs) */
    bool rotary; /* Hugging Face's llama turns the halves of a head, we and llama2.c adjacent pairs */
} parameter_row;

/* clang-format off */
static const parameter_row rows[] = {
    {"token_embd.weight", TS_SLOT_TOKENS, FRONT, ALWAYS, VOCABULARY, WIDTH, TS_INITIAL_NORMAL,
     .names = {"tok_embeddings", "model.embed_tokens.weight", "transformer.wte.weight", "transformer.wte.weight"}},
    {"position_embd.weight", TS_SLOT_POSITIONS, FRONT, IF_LEARNED, CONTEXT, WIDTH, TS_INITIAL_NORMAL,
     .names = {NULL, NULL, "transformer.wpe.weight", "transformer.wpe.weight"}},
    {"attn_norm.weight", TS_SLOT_ATTN_NORM, LAYER, ALWAYS, ONE, WIDTH, TS_INITIAL_ONE,
     .names = {"attention_norm", "model.layers.*.input_layernorm.weight", "transformer.h.*.ln_1.weight", "transformer.h.*.ln_1.weight"}},
    {"attn_norm.bias", TS_SLOT_ATTN_NORM_BIAS, LAYER, IF_LAYER_NORM, ONE, WIDTH, TS_INITIAL_ZERO,
     .names = {NULL, NULL, "transformer.h.*.ln_1.bias", "transformer.h.*.ln_1.bias"}},
    {"attn_qkv.weight", TS_SLOT_QKV, LAYER, IF_FUSED, QKV_ROWS, WIDTH, TS_INITIAL_NORMAL,
     .names = {NULL, NULL, "transformer.h.*.attn.c_attn.weight", NULL}, .conv1d = true},
    {"attn_qkv.bias", TS_SLOT_QKV_BIAS, LAYER, IF_FUSED, ONE, QKV_ROWS, TS_INITIAL_ZERO,
     .names = {NULL, NULL, "transformer.h.*.attn.c_attn.bias", NULL}},
    {"attn_q.weight", TS_SLOT_Q, LAYER, IF_SEPARATE, WIDTH, WIDTH, TS_INITIAL_NORMAL,
     .names = {"wq", "model.layers.*.self_attn.q_proj.weight", NULL, "transformer.h.*.attn.attention.q_proj.weight"}, .rotary = true},
    {"attn_k.weight", TS_SLOT_K, LAYER, IF_SEPARATE, KEYS, WIDTH, TS_INITIAL_NORMAL,
     .names = {"wk", "model.layers.*.self_attn.k_proj.weight", NULL, "transformer.h.*.attn.attention.k_proj.weight"}, .rotary = true},
    {"attn_v.weight", TS_SLOT_V, LAYER, IF_SEPARATE, KEYS, WIDTH, TS_INITIAL_NORMAL,
     .names = {"wv", "model.layers.*.self_attn.v_proj.weight", NULL, "transformer.h.*.attn.attention.v_proj.weight"}},
    {"attn_output.weight", TS_SLOT_ATTN_OUTPUT, LAYER, ALWAYS, WIDTH, WIDTH, TS_INITIAL_RESIDUAL,
     .names = {"wo", "model.layers.*.self_attn.o_proj.weight", "transformer.h.*.attn.c_proj.weight", "transformer.h.*.attn.attention.out_proj.weight"}, .conv1d = true},
    {"attn_output.bias", TS_SLOT_ATTN_OUTPUT_BIAS, LAYER, IF_BIAS, ONE, WIDTH, TS_INITIAL_ZERO,
     .names = {NULL, NULL, "transformer.h.*.attn.c_proj.bias", "transformer.h.*.attn.attention.out_proj.bias"}},
    {"ffn_norm.weight", TS_SLOT_FFN_NORM, LAYER, ALWAYS, ONE, WIDTH, TS_INITIAL_ONE,
     .names = {"ffn_norm", "model.layers.*.post_attention_layernorm.weight", "transformer.h.*.ln_2.weight", "transformer.h.*.ln_2.weight"}},
    {"ffn_norm.bias", TS_SLOT_FFN_NORM_BIAS, LAYER, IF_LAYER_NORM, ONE, WIDTH, TS_INITIAL_ZERO,
     .names = {NULL, NULL, "transformer.h.*.ln_2.bias", "transformer.h.*.ln_2.bias"}},
    {"ffn_gate.weight", TS_SLOT_GATE, LAYER, IF_SWIGLU, HIDDEN, WIDTH, TS_INITIAL_NORMAL,
     .names = {"w1", "model.layers.*.mlp.gate_proj.weight", NULL, NULL}},
    {"ffn_up.weight", TS_SLOT_UP, LAYER, ALWAYS, HIDDEN, WIDTH, TS_INITIAL_NORMAL,
     .names = {"w3", "model.layers.*.mlp.up_proj.weight", "transformer.h.*.mlp.c_fc.weight", "transformer.h.*.mlp.c_fc.weight"}, .conv1d = true},
    {"ffn_up.bias", TS_SLOT_UP_BIAS, LAYER, IF_BIAS, ONE, HIDDEN, TS_INITIAL_ZERO,
     .names = {NULL, NULL, "transformer.h.*.mlp.c_fc.bias", "transformer.h.*.mlp.c_fc.bias"}},
    {"ffn_down.weight", TS_SLOT_DOWN, LAYER, ALWAYS, WIDTH, HIDDEN, TS_INITIAL_RESIDUAL,
     .names = {"w2", "model.layers.*.mlp.down_proj.weight", "transformer.h.*.mlp.c_proj.weight", "transformer.h.*.mlp.c_proj.weight"}, .conv1d = true},
    {"ffn_down.bias", TS_SLOT_DOWN_BIAS, LAYER, IF_BIAS, ONE, WIDTH, TS_INITIAL_ZERO,
     .names = {NULL, NULL, "transformer.h.*.mlp.c_proj.bias", "transformer.h.*.mlp.c_proj.bias"}},
    {"output_norm.weight", TS_SLOT_OUTPUT_NORM, BACK, ALWAYS, ONE, WIDTH, TS_INITIAL_ONE,
     .names = {"norm", "model.norm.weight", "transformer.ln_f.weight", "transformer.ln_f.weight"}},
    {"output_norm.bias", TS_SLOT_OUTPUT_NORM_BIAS, BACK, IF_LAYER_NORM, ONE, WIDTH, TS_INITIAL_ZERO,
     .names = {NULL, NULL, "transformer.ln_f.bias", "transformer.ln_f.bias"}},
    {"output.weight", TS_SLOT_OUTPUT, BACK, IF_UNTIED, VOCABULARY, WIDTH, TS_INITIAL_NORMAL,
     .names = {"output", "lm_head.weight", "lm_head.weight", "lm_head.weight"}},
};
/* clang-format on */

static bool present(const ts_shape *shape, condition when)
{
    const ts_switches *s = shape->switches;
    switch (when) {
    case IF_LAYER_NORM:
        return s->layer_norm;
    case IF_LEARNED:
        return s->learned_positions;
    case IF_FUSED:
        return s->fused_qkv;
    case IF_SEPARATE:
        return !s->fused_qkv;
    case IF_BIAS:
        return s->bias;
    case IF_SWIGLU:
        return s->swiglu;
    case IF_UNTIED:
        return shape->untied;
    default:
        return true;
    }
}

static size_t length(const ts_shape *shape, extent which)
{
    const size_t lengths[] = {[ONE] = 1,           [WIDTH] = shape->C,      [KEYS] = shape->kv,  [QKV_ROWS] = shape->qkv,
                              [HIDDEN] = shape->F, [VOCABULARY] = shape->V, [CONTEXT] = shape->T};
    return lengths[which];
}

/* Calls for every parameter in order: the front, layer after layer, the back. */
typedef void (*visitor)(void *argument, const ts_shape *shape, const parameter_row *row, uint32_t layer);

static void visit(const ts_shape *shape, visitor call, void *argument)
{
    for (place where = FRONT; where <= BACK; where++)
        for (uint32_t layer = 0; layer < (where == LAYER ? shape->L : 1); layer++)
            for (size_t i = 0; i < TS_COUNT_OF(rows); i++)
                if (rows[i].place == where && present(shape, rows[i].condition))
                    call(argument, shape, &rows[i], layer);
}

/* Limits of a shape keep every product below 2^64: at most 2^20 x 2^16 floats in a tensor, 21 x 512 tensors. */
typedef struct parameter_tally {
    uint64_t floats;
    size_t entries;
} parameter_tally;

static void count_one(void *argument, const ts_shape *shape, const parameter_row *row, uint32_t layer)
{
    parameter_tally *tally = argument;
    (void)layer;
    tally->floats += (uint64_t)length(shape, row->rows) * length(shape, row->columns);
    tally->entries++;
}

bool ts_parameters_count(const ts_shape *shape, uint64_t *total)
{
    parameter_tally tally = {0};
    visit(shape, count_one, &tally);
    *total = tally.floats;
    return tally.floats <= SIZE_MAX / sizeof(float);
}

typedef struct parameter_filler {
    ts_parameter *next;
    size_t offset;
} parameter_filler;

static const char *huggingface_name(const parameter_names *names, int32_t kind)
{
    return kind == TS_ARCHITECTURE_LLAMA ? names->llama : kind == TS_ARCHITECTURE_GPT2 ? names->gpt2 : names->gpt_neo;
}

void ts_parameter_name(const char *pattern, uint32_t layer, char name[TS_PARAMETER_NAME])
{
    const char *star = strchr(pattern, '*');
    if (star == NULL)
        snprintf(name, TS_PARAMETER_NAME, "%s", pattern);
    else
        snprintf(name, TS_PARAMETER_NAME, "%.*s%u%s", (int)(star - pattern), pattern, (unsigned)layer, star + 1);
}

static void fill_one(void *argument, const ts_shape *shape, const parameter_row *row, uint32_t layer)
{
    parameter_filler *filler = argument;
    ts_parameter *p = filler->next++;
    *p = (ts_parameter){
        .slot = row->slot,
        .layer = layer,
        .rank = row->rows == ONE ? 1 : 2,
        .rows = length(shape, row->rows),
        .columns = length(shape, row->columns),
        .offset = filler->offset,
        .initial = row->initial,
        .decay = row->rows != ONE,
        .llama2c = row->names.llama2c,
        .huggingface = huggingface_name(&row->names, shape->switches->kind),
        .transposed = row->conv1d && shape->switches->kind == TS_ARCHITECTURE_GPT2,
        .rotary = row->rotary && !shape->switches->learned_positions,
    };
    if (row->place == LAYER)
        snprintf(p->name, sizeof p->name, "blk.%u.%s", (unsigned)layer, row->name);
    else
        snprintf(p->name, sizeof p->name, "%s", row->name);
    filler->offset += p->rows * p->columns;
}

ts_status ts_parameters_make(ts_runtime *runtime, const ts_shape *shape, ts_parameter **table, size_t *count, size_t *total)
{
    parameter_tally tally = {0};
    visit(shape, count_one, &tally);
    if (tally.floats > SIZE_MAX / sizeof(float))
        return ts_fail(TS_ERROR_LIMIT, "a model of %llu parameters is too large", (unsigned long long)tally.floats);
    *table = ts_allocate_array(runtime, tally.entries, sizeof **table);
    if (*table == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    parameter_filler filler = {.next = *table};
    visit(shape, fill_one, &filler);
    *count = tally.entries;
    *total = filler.offset;
    return TS_OK;
}

bool ts_parameter_takes_blocks(const ts_parameter *p)
{
    return p->rank == 2 && p->slot != TS_SLOT_POSITIONS && p->columns % TS_BLOCK == 0;
}

void ts_parameters_quantize(ts_parameter *table, size_t count, int32_t blocks)
{
    for (size_t i = 0; i < count; i++)
        table[i].blocks = ts_parameter_takes_blocks(&table[i]) ? blocks : TS_BLOCKS_NONE;
}

ts_status ts_parameters_place(ts_parameter *table, size_t count, size_t *size)
{
    enum { LINE = 64 / sizeof(float) };
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        ts_parameter *p = &table[i];
        size_t floats = p->rows * p->columns, bytes = 0;
        bool fits = p->blocks == TS_BLOCKS_NONE || (ts_panels_size(p->blocks, p->rows, p->columns, &bytes) && ts_align(at, LINE, &at));
        if (p->blocks != TS_BLOCKS_NONE)
            floats = bytes / sizeof(float);
        p->offset = at;
        if (!fits || !ts_add(at, floats, &at) || at > SIZE_MAX / sizeof(float))
            return ts_fail(TS_ERROR_LIMIT, "the model is too large");
    }
    *size = at;
    return TS_OK;
}

void ts_parameters_initialize(const ts_parameter *table, size_t count, const ts_shape *shape, float *data, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        const ts_parameter *p = &table[i];
        ts_random random = {.seed = seed, .stream = i};
        float *values = data + p->offset;
        double deviation = p->initial == TS_INITIAL_RESIDUAL ? 0.02 / sqrt(2.0 * (double)shape->L) : 0.02;
        for (size_t j = 0; j < p->rows * p->columns; j++)
            values[j] = p->initial == TS_INITIAL_ZERO ? 0 : p->initial == TS_INITIAL_ONE ? 1 : (float)(deviation * ts_random_normal(&random));
    }
}

static void set_weight(ts_weights *weights, const ts_parameter *p, size_t layer, float *data)
{
    float *at = data + p->offset;
    weights->all[layer][p->slot] = p->blocks == TS_BLOCKS_NONE ? at : NULL;
    weights->panels[layer][p->slot] = (ts_panels){p->blocks, p->blocks == TS_BLOCKS_NONE ? NULL : (const uint8_t *)at};
}

ts_status ts_weights_make(ts_weights *weights, ts_runtime *runtime, const ts_shape *shape, const ts_parameter *table, size_t count, float *data)
{
    weights->all = ts_allocate_array(runtime, shape->L, sizeof *weights->all);
    weights->panels = ts_allocate_array(runtime, shape->L, sizeof *weights->panels);
    if (weights->all == NULL || weights->panels == NULL) {
        ts_weights_free(weights, runtime);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const ts_parameter *p = &table[i];
        bool everywhere = p->slot == TS_SLOT_TOKENS || p->slot == TS_SLOT_POSITIONS || p->slot >= TS_SLOT_OUTPUT_NORM;
        for (size_t layer = everywhere ? 0 : p->layer; layer < (everywhere ? shape->L : p->layer + 1); layer++)
            set_weight(weights, p, layer, data);
    }
    for (size_t layer = 0; layer < shape->L; layer++) {
        float **at = weights->all[layer];
        if (shape->switches->fused_qkv && at[TS_SLOT_QKV] != NULL) {
            at[TS_SLOT_Q] = at[TS_SLOT_QKV];
            at[TS_SLOT_K] = at[TS_SLOT_Q] + shape->C * shape->C;
            at[TS_SLOT_V] = at[TS_SLOT_K] + shape->kv * shape->C;
        } else if (!shape->switches->fused_qkv) {
            at[TS_SLOT_QKV] = at[TS_SLOT_Q];
        }
        if (!shape->untied) {
            at[TS_SLOT_OUTPUT] = at[TS_SLOT_TOKENS];
            weights->panels[layer][TS_SLOT_OUTPUT] = weights->panels[layer][TS_SLOT_TOKENS];
        }
    }
    return TS_OK;
}

void ts_weights_free(ts_weights *weights, ts_runtime *runtime)
{
    ts_release(runtime, weights->all);
    ts_release(runtime, weights->panels);
    *weights = (ts_weights){0};
}

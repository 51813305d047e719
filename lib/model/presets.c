/* Shapes by name, and the calls on architectures that need no model. */
#include <stdio.h>

#include "model/model.h"

typedef struct preset {
    const char *name;
    int32_t kind;
    uint32_t vocabulary_size, context_length, width, layers, heads, hidden, window;
} preset;

/* The paper's: section 4 and the published configurations; all have 16 heads and an MLP of 4 C. The heads of the laptop's are 16 or 32 floats. */
/* clang-format off */
static const preset presets[] = {
    /* name                 kind                      V       T    C     L  H   F    window   parameters */
    {"laptop-0.3m",         TS_ARCHITECTURE_LLAMA,    4096,   256, 64,   2, 4,  128, 0},      /* 0.34M */
    {"laptop-1m",           TS_ARCHITECTURE_LLAMA,    4096,   256, 128,  4, 4,  320, 0},      /* 1.28M */
    {"laptop-5m",           TS_ARCHITECTURE_LLAMA,    4096,   256, 256,  5, 8,  704, 0},      /* 5.07M */
    {"paper-1m",            TS_ARCHITECTURE_GPT_NEO,  10000,  512, 64,   8, 16, 0,   256},    /* 1.07M */
    {"paper-3m",            TS_ARCHITECTURE_GPT_NEO,  10000,  512, 128,  8, 16, 0,   256},    /* 2.93M */
    {"paper-8m",            TS_ARCHITECTURE_GPT_NEO,  10000,  512, 256,  8, 16, 0,   256},    /* 9.00M */
    {"paper-28m",           TS_ARCHITECTURE_GPT_NEO,  10000,  512, 512,  8, 16, 0,   256},    /* 30.6M */
    {"paper-33m",           TS_ARCHITECTURE_GPT_NEO,  10000,  512, 768,  4, 16, 0,   256},    /* 36.4M */
    {"paper-1layer-21m",    TS_ARCHITECTURE_GPT_NEO,  10000,  512, 1024, 1, 16, 0,   256},    /* 23.4M */
    {"paper-2layers-33m",   TS_ARCHITECTURE_GPT_NEO,  10000,  512, 1024, 2, 16, 0,   256},    /* 36.0M */
};
/* clang-format on */

static const ts_architecture defaults = {.struct_size = sizeof defaults, .kind = TS_ARCHITECTURE_LLAMA, .context_length = 256};

ts_status ts_architecture_init(ts_architecture *architecture, size_t struct_size)
{
    return ts_options_defaults(architecture, struct_size, &defaults, sizeof defaults, "ts_architecture");
}

const char *ts_architecture_preset_name(size_t index)
{
    return index < TS_COUNT_OF(presets) ? presets[index].name : NULL;
}

static ts_architecture architecture_of(const preset *p)
{
    ts_architecture a = defaults;
    a.kind = p->kind;
    a.vocabulary_size = p->vocabulary_size;
    a.context_length = p->context_length;
    a.width = p->width;
    a.layers = p->layers;
    a.heads = p->heads;
    a.hidden = p->hidden;
    a.window = p->window;
    return a;
}

static ts_status fail_unknown(const char *name)
{
    char known[TS_COUNT_OF(presets) * 24] = "";
    size_t used = 0;
    for (size_t i = 0; i < TS_COUNT_OF(presets); i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", presets[i].name);
    return ts_fail(TS_ERROR_INVALID_ARGUMENT, "no preset is named '%.64s'; there are %s", name, known);
}

ts_status ts_architecture_preset(ts_architecture *architecture, const char *name)
{
    if (architecture == NULL || name == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture and name must not be NULL");
    for (size_t i = 0; i < TS_COUNT_OF(presets); i++)
        if (strcmp(presets[i].name, name) == 0) {
            ts_architecture a = architecture_of(&presets[i]);
            return ts_report_write(architecture, &a, sizeof a, "ts_architecture");
        }
    return fail_unknown(name);
}

ts_status ts_architecture_parameters(ts_architecture *architecture, uint64_t *parameters)
{
    if (architecture == NULL || parameters == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "architecture and parameters must not be NULL");
    ts_architecture a = defaults;
    ts_shape shape;
    uint64_t count;
    TS_TRY(ts_options_read(&a, sizeof a, architecture, "ts_architecture"));
    TS_TRY(ts_architecture_complete(&a));
    ts_shape_of(&shape, &a);
    if (!ts_parameters_count(&shape, &count))
        return ts_fail(TS_ERROR_LIMIT, "a model of %llu parameters is too large", (unsigned long long)count);
    TS_TRY(ts_report_write(architecture, &a, sizeof a, "ts_architecture"));
    *parameters = count;
    return TS_OK;
}

ts_status ts_architecture_read(ts_architecture *into, const ts_architecture *from, const ts_tokenizer *tokenizer)
{
    ts_architecture a = defaults;
    uint32_t tokens = ts_tokenizer_size(tokenizer);
    if (from != NULL) {
        TS_TRY(ts_options_read(&a, sizeof a, from, "ts_architecture"));
    } else {
        TS_TRY(ts_architecture_preset(&a, TS_PRESET_DEFAULT));
        a.vocabulary_size = 0;
    }
    if (a.vocabulary_size == 0)
        a.vocabulary_size = tokens;
    if (a.vocabulary_size < tokens)
        return ts_fail(TS_ERROR_MISMATCH, "architecture.vocabulary_size is %u, but the tokenizer has %u tokens", a.vocabulary_size, tokens);
    TS_TRY(ts_architecture_complete(&a));
    *into = a;
    return TS_OK;
}

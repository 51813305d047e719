/* model convert, evaluate loss */
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* ---- model convert ---- */

typedef struct convert_values {
    cli_common common;
    const char *from, *to;
    ts_model_options open;
    uint32_t format, type;
} convert_values;

enum { BY_NAME = 0, LAST_FORMAT = TS_MODEL_FORMAT_LLAMA2C_V2 };

static const char *format_name(size_t index)
{
    static const char *const names[LAST_FORMAT + 2] = {"by-name", "gguf", "huggingface", "llama2c-v0", "llama2c-v1", "llama2c-v2"};
    return names[index];
}

static const char *type_name(size_t index)
{
    static const char *const names[] = {"f32", "f16", "bf16", NULL}; /* q8_0 is for model quantize, and llama2c-v2 is nothing else */
    return names[index];
}

static bool ends_in(const char *path, const char *ending)
{
    size_t length = strlen(path), size = strlen(ending);
    return length > size && strcmp(path + length - size, ending) == 0;
}

static void convert_defaults(void *values)
{
    convert_values *v = values;
    ts_model_options_init(&v->open, sizeof v->open);
}

static ts_status convert(void *values)
{
    convert_values *v = values;
    ts_model *model = NULL;
    ts_model_save_options save;
    CLI_TRY(ts_model_save_options_init(&save, sizeof save));
    save.type = (int32_t)v->type;
    save.format = v->format != BY_NAME      ? (int32_t)v->format
                  : ends_in(v->to, ".gguf") ? TS_MODEL_FORMAT_GGUF
                  : ends_in(v->to, ".bin")  ? TS_MODEL_FORMAT_LLAMA2C_V0
                                            : TS_MODEL_FORMAT_HUGGINGFACE;
    if (save.format == TS_MODEL_FORMAT_LLAMA2C_V2)
        save.type = TS_MODEL_TYPE_Q8_0;
    if (save.format != TS_MODEL_FORMAT_HUGGINGFACE)
        CLI_TRY(cli_check_out(&v->common, v->to, false));
    CLI_TRY(ts_model_open(&model, v->common.runtime, v->from, &v->open));
    ts_status status = ts_model_save_as(model, v->to, &save);
    if (status == TS_OK) {
        cli_output o = cli_output_start(&v->common);
        cli_text(&o, "file", v->to);
        cli_text(&o, "format", format_name((size_t)save.format));
        cli_text(&o, "type", save.type == TS_MODEL_TYPE_Q8_0 ? "q8_0" : type_name(v->type));
        cli_integer(&o, "parameters", ts_model_parameters(model));
        cli_output_end(&o);
    }
    ts_model_free(model);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(convert_values, member)
static const cli_argument convert_arguments[] = {
    {"A", NULL, CLI_TEXT, CLI_REQUIRED, OFFSET(from), 0, 0, NULL, "a model: a GGUF, a llama2.c checkpoint or a Hugging Face folder"},
    {"B", NULL, CLI_TEXT, CLI_REQUIRED, OFFSET(to), 0, 0, NULL, "what to write: NAME.gguf, NAME.bin (llama2.c, as its run.c reads it) or a folder"},
    {"--tokenizer", "T", CLI_TEXT, 0, OFFSET(open.tokenizer), 0, 0, NULL, "the tokenizer of A, where it is neither in the file nor beside it"},
    {"--type", "TYPE", CLI_CHOICE, 0, OFFSET(type), 0, 0, type_name, "numbers of the tensors"},
    {"--format", "FORMAT", CLI_CHOICE, 0, OFFSET(format), 0, 0, format_name, "the format of B, where its name does not say it"},
    {"--context", "T", CLI_UINT32, CLI_QUIET, OFFSET(open.context_length), 1, 0, NULL, "positions to keep; default: what A says"},
};
#undef OFFSET

const cli_command cli_model_commands[] = {
    {"model", "convert", "write a model in another format", NULL, convert_arguments, CLI_COUNT_OF(convert_arguments), sizeof(convert_values),
     convert_defaults, convert},
    {0},
};
/* clang-format on */

/* ---- evaluate loss ---- */

typedef struct loss_values {
    cli_common common;
    const char *model;
    ts_model_options opening;
    cli_paths text;
} loss_values;

static void loss_defaults(void *values)
{
    loss_values *v = values;
    ts_model_options_init(&v->opening, sizeof v->opening);
}

static ts_status loss(void *values)
{
    loss_values *v = values;
    ts_model *model = NULL;
    ts_score score = {.struct_size = sizeof score};
    cli_progress progress;
    CLI_TRY(ts_model_open(&model, v->common.runtime, v->model, &v->opening));
    cli_progress_start(&progress, &v->common, "scoring", "stories");
    ts_status status = ts_model_score_files(model, v->text.items, v->text.count, &score, cli_progress_tell, &progress);
    cli_progress_end(&progress);
    ts_model_free(model);
    CLI_TRY(status);
    cli_output o = cli_output_start(&v->common);
    cli_number(&o, "nats_per_token", score.nats_per_token, 4);
    cli_number(&o, "bits_per_byte", score.bits_per_byte, 4);
    cli_number(&o, "perplexity", score.perplexity, 4);
    cli_integer(&o, "tokens", score.tokens);
    cli_integer(&o, "bytes", score.bytes);
    cli_integer(&o, "stories", score.stories);
    cli_output_end(&o);
    return TS_OK;
}

/* clang-format off */
#define OFFSET(member) offsetof(loss_values, member)
static const cli_argument loss_arguments[] = {
    {"--model", "MODEL", CLI_TEXT, CLI_REQUIRED, OFFSET(model), 0, 0, NULL, "the model to measure"},
    {"--tokenizer", "T", CLI_TEXT, 0, OFFSET(opening.tokenizer), 0, 0, NULL, "the tokenizer, where it is neither in the model's file nor beside it"},
    {"--text", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(text), 0, 0, NULL, "files of stories, or token shards (.bin); - for standard input"},
};

const cli_command cli_evaluate_commands[] = {
    {"evaluate", "loss", "measure how well a model foretells stories",
     "Counted story by story in windows of T tokens that advance by T / 2 (T the context length): each token once, with the context its first window gives\n"
     "it, the end of the story included. Bits per byte are the nats over the bytes of the trimmed stories, divided by ln 2.",
     loss_arguments, CLI_COUNT_OF(loss_arguments), sizeof(loss_values), loss_defaults, loss},
    {0},
};

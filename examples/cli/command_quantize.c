/* model quantize */
#include <stdio.h>

#include "cli.h"

typedef struct quantize_values {
    cli_common common;
    const char *in, *out;
    uint32_t type; /* of the table below */
    ts_model_options opening;
    cli_paths text;
} quantize_values;

static const char *type_name(size_t index)
{
    static const char *const names[] = {"q8_0", "q4_0"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static void quantize_defaults(void *values)
{
    quantize_values *v = values;
    ts_model_options_init(&v->opening, sizeof v->opening);
    cli_choose("--type", "q8_0", type_name, &v->type);
}

static ts_status score_model(const quantize_values *v, const ts_model *model, const char *what, ts_score *score)
{
    cli_progress progress;
    score->struct_size = sizeof *score;
    cli_progress_start(&progress, &v->common, what, "stories");
    ts_status status = ts_model_score_files(model, v->text.items, v->text.count, score, cli_progress_tell, &progress);
    cli_progress_end(&progress);
    return status;
}

static ts_status print_loss(const quantize_values *v, const ts_model *before, const ts_model *after)
{
    ts_score first = {0}, second = {0};
    bool scored = v->text.count > 0;
    if (scored)
        CLI_TRY(score_model(v, before, "scoring before", &first));
    if (scored)
        CLI_TRY(score_model(v, after, "scoring after", &second));
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_text(&o, "type", type_name(v->type));
    cli_integer(&o, "parameters", ts_model_parameters(after));
    if (scored) {
        cli_number(&o, "bits_per_byte_before", first.bits_per_byte, 4);
        cli_number(&o, "bits_per_byte_after", second.bits_per_byte, 4);
        cli_integer(&o, "bytes", first.bytes);
    }
    cli_output_end(&o);
    return TS_OK;
}

static ts_status quantize(void *values)
{
    const quantize_values *v = values;
    ts_model *model = NULL, *quantized = NULL;
    ts_model_save_options options;
    CLI_TRY(cli_check_out(&v->common, v->out, false));
    CLI_TRY(ts_model_save_options_init(&options, sizeof options));
    options.type = v->type == 0 ? TS_MODEL_TYPE_Q8_0 : TS_MODEL_TYPE_Q4_0;
    CLI_TRY(ts_model_open(&model, v->common.runtime, v->in, &v->opening));
    ts_status status = ts_model_quantize(&quantized, model, options.type);
    if (status == TS_OK)
        status = ts_model_save_as(quantized, v->out, &options);
    if (status == TS_OK)
        status = print_loss(v, model, quantized);
    ts_model_free(quantized);
    ts_model_free(model);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(quantize_values, member)
static const cli_argument quantize_arguments[] = {
    {"IN", NULL, CLI_TEXT, CLI_REQUIRED, OFFSET(in), 0, 0, NULL, "a model"},
    {"OUT", NULL, CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "the GGUF file to write"},
    {"--tokenizer", "T", CLI_TEXT, 0, OFFSET(opening.tokenizer), 0, 0, NULL, "the tokenizer, where it is neither in the model's file nor beside it"},
    {"--type", "TYPE", CLI_CHOICE, 0, OFFSET(type), 0, 0, type_name, "of the matrices"},
    {"--text", "TEXT", CLI_PATHS, 0, OFFSET(text), 0, 0, NULL, "files of stories, or token shards (.bin), to measure the loss on, before and after"},
};

const cli_command cli_quantize_commands[] = {
    {"model", "quantize", "write a model with matrices of 8 or 4 bits",
     "Numbers are rounded in blocks of 32 that share a scale; matrices whose rows are no whole blocks, and vectors, stay floats. Such a file is a quarter or an\n"
     "eighth of the size, is told from about as much faster, and opens in llama.cpp like any other.",
     quantize_arguments, CLI_COUNT_OF(quantize_arguments), sizeof(quantize_values), quantize_defaults, quantize},
    {0},
};
/* clang-format on */

/* model inspect: what is in the file of a model, or of a tokenizer alone */
#include <stdio.h>
#include <string.h>

#include "cli.h"

typedef struct inspect_values {
    cli_common common;
    const char *file, *tokenizer;
    uint32_t tensors;
} inspect_values;

static const char *kind_name(int32_t kind)
{
    static const char *const names[] = {"unknown", "llama", "gpt2", "gpt_neo"};
    return kind >= 0 && kind < (int32_t)CLI_COUNT_OF(names) ? names[kind] : names[0];
}

/* ---- what file it is ---- */

static bool ends_in(const char *path, const char *ending)
{
    size_t length = strlen(path), size = strlen(ending);
    return length > size && strcmp(path + length - size, ending) == 0;
}

typedef struct file_format {
    const char *name;
    uint64_t version; /* 0: the format has none */
    bool has_model;   /* so that a failure is the model's own */
} file_format;

static uint64_t number_at(const unsigned char *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

/* The file's first bytes, 0 for what is none; whether it can be opened. */
static bool begins(const char *path, unsigned char bytes[16])
{
    FILE *file = fopen(path, "rb");
    memset(bytes, 0, 16);
    if (file == NULL)
        return false;
    if (fread(bytes, 1, 16, file) < 16)
        clearerr(file); /* a short file, or a folder */
    fclose(file);
    return true;
}

static file_format format_of(const char *path)
{
    unsigned char bytes[16];
    char config[4096];
    snprintf(config, sizeof config, "%.4000s/config.json", path);
    if (begins(config, bytes))
        return (file_format){"Hugging Face folder", 0, true};
    if (!begins(path, bytes))
        return (file_format){"none", 0, true};
    if (memcmp(bytes, "GGUF", 4) == 0)
        return (file_format){"GGUF", number_at(bytes + 4, 4), number_at(bytes + 8, 8) > 0};
    if (number_at(bytes, 4) == 0x616b3432)
        return (file_format){"llama2.c", number_at(bytes + 4, 4), true};
    if (bytes[2] == 0 && bytes[3] == 0 && bytes[0] != 0)
        return (file_format){"llama2.c", 0, false};
    if (bytes[0] == 0)
        return (file_format){"vocab.json and merges.txt", 0, false};
    return (file_format){ends_in(path, ".tiktoken") ? "tiktoken" : "tokenizer.json", 0, false};
}

static void print_format(cli_output *o, const file_format *format)
{
    cli_text(o, "format", format->name);
    if (format->version > 0)
        cli_integer(o, "version", format->version);
}

/* ---- a tokenizer ---- */

static void print_token(cli_output *o, const char *key, const ts_tokenizer *tokenizer, uint32_t id)
{
    size_t size;
    const char *bytes = ts_tokenizer_token(tokenizer, id, &size);
    if (bytes == NULL)
        return;
    cli_open(o, key, '{');
    cli_integer(o, "id", id);
    cli_text_sized(o, "text", bytes, size);
    cli_close(o, '}');
}

static void print_tokenizer(cli_output *o, const ts_tokenizer *tokenizer)
{
    static const char *const kinds[] = {"unknown", [TS_TOKENIZER_BYTES] = "byte-level BPE", [TS_TOKENIZER_PIECES] = "SentencePiece",
                                        [TS_TOKENIZER_WORDS] = "WordPiece"};
    char fingerprint[32];
    uint64_t specials = 0;
    for (uint32_t id = 0; id < ts_tokenizer_size(tokenizer); id++)
        specials += (uint64_t)ts_tokenizer_is_special(tokenizer, id);
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)ts_tokenizer_fingerprint(tokenizer));
    cli_open(o, "tokenizer", '{');
    cli_text(o, "kind", kinds[ts_tokenizer_kind(tokenizer)]);
    cli_integer(o, "size", ts_tokenizer_size(tokenizer));
    cli_integer(o, "specials", specials);
    cli_integer(o, "merges", ts_tokenizer_merge_count(tokenizer));
    cli_text(o, "fingerprint", fingerprint);
    print_token(o, "begin_of_text", tokenizer, ts_tokenizer_begin_of_text(tokenizer));
    print_token(o, "end_of_text", tokenizer, ts_tokenizer_end_of_text(tokenizer));
    cli_close(o, '}');
}

/* For what cannot be opened as a model; what is wrong with it as such is told if it is no tokenizer either. */
static ts_status inspect_tokenizer(const inspect_values *v, const file_format *format)
{
    ts_tokenizer *tokenizer = NULL;
    char detail[600];
    snprintf(detail, sizeof detail, "%s", ts_error_detail());
    if (ts_tokenizer_open(&tokenizer, v->common.runtime, v->file) != TS_OK)
        return cli_fail("%s", detail);
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->file);
    print_format(&o, format);
    print_tokenizer(&o, tokenizer);
    cli_output_end(&o);
    ts_tokenizer_free(tokenizer);
    return TS_OK;
}

/* ---- a model ---- */

static const char *tensor_type(int32_t type)
{
    static const char *const names[] = {[TS_MODEL_TYPE_F32] = "f32", [TS_MODEL_TYPE_F16] = "f16", [TS_MODEL_TYPE_BF16] = "bf16",
                                        [TS_MODEL_TYPE_Q8_0] = "q8_0", [TS_MODEL_TYPE_Q4_0] = "q4_0"};
    return type >= 0 && type < (int32_t)CLI_COUNT_OF(names) && names[type] ? names[type] : "unknown";
}

/* As it is in the file, and what it is in memory where that is something else. */
static void print_tensor_line(const ts_tensor *t)
{
    printf(t->rank == 1 ? "  %-27s %-5s %llu" : "  %-27s %-5s %llu x %llu", t->name, tensor_type(t->file_type), (unsigned long long)t->shape[0],
           (unsigned long long)t->shape[1]);
    if (t->type != t->file_type)
        printf(" (%s in memory)", tensor_type(t->type));
    printf("\n");
}

static void print_tensors(cli_output *o, const ts_model *model)
{
    cli_open(o, "tensors", '[');
    for (size_t i = 0; i < ts_model_tensor_count(model); i++) {
        ts_tensor tensor = {.struct_size = sizeof tensor};
        if (ts_model_tensor(model, i, &tensor) != TS_OK)
            break;
        if (!o->json) {
            print_tensor_line(&tensor);
            continue;
        }
        cli_open(o, NULL, '{');
        cli_text(o, "name", tensor.name);
        cli_text(o, "type", tensor_type(tensor.type));
        cli_text(o, "file_type", tensor_type(tensor.file_type));
        cli_open(o, "shape", '[');
        for (uint64_t d = 0; d < tensor.rank; d++)
            cli_integer(o, NULL, tensor.shape[d]);
        cli_close(o, ']');
        cli_close(o, '}');
    }
    cli_close(o, ']');
}

static void print_model(const ts_model *model, const inspect_values *v, const ts_architecture *a, const file_format *format)
{
    const struct {
        const char *key;
        uint32_t value;
    } sizes[] = {{"vocabulary_size", a->vocabulary_size},
                 {"context_length", a->context_length},
                 {"width", a->width},
                 {"layers", a->layers},
                 {"heads", a->heads},
                 {"key_value_heads", a->key_value_heads},
                 {"hidden", a->hidden},
                 {"window", a->window}};
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->file);
    print_format(&o, format);
    cli_text(&o, "architecture", kind_name(a->kind));
    cli_integer(&o, "parameters", ts_model_parameters(model));
    for (size_t i = 0; i < CLI_COUNT_OF(sizes); i++)
        if (o.json || sizes[i].value > 0)
            cli_integer(&o, sizes[i].key, sizes[i].value);
    cli_truth(&o, "untied_head", a->untied_head != 0);
    if (a->kind == TS_ARCHITECTURE_LLAMA)
        cli_number(&o, "rotary_base", (double)a->rotary_base, 0);
    cli_number(&o, "norm_epsilon", (double)a->norm_epsilon, 6);
    print_tokenizer(&o, ts_model_tokenizer(model));
    if (o.json || v->tensors)
        print_tensors(&o, model);
    cli_output_end(&o);
}

static ts_status inspect(void *values)
{
    inspect_values *v = values;
    ts_model *model = NULL;
    ts_architecture architecture = {.struct_size = sizeof architecture};
    ts_model_options options;
    CLI_TRY(ts_model_options_init(&options, sizeof options));
    options.tokenizer = v->tokenizer;
    file_format format = format_of(v->file);
    ts_status status = ts_model_open(&model, v->common.runtime, v->file, &options);
    if (status != TS_OK && !format.has_model)
        return inspect_tokenizer(v, &format);
    if (status == TS_OK)
        status = ts_model_architecture(model, &architecture);
    if (status == TS_OK)
        print_model(model, v, &architecture, &format);
    ts_model_free(model);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(inspect_values, member)
static const cli_argument inspect_arguments[] = {
    {"FILE", NULL, CLI_TEXT, CLI_REQUIRED, OFFSET(file), 0, 0, NULL, "a model: a GGUF, a llama2.c checkpoint or a Hugging Face folder; or a tokenizer"},
    {"--tokenizer", "T", CLI_TEXT, 0, OFFSET(tokenizer), 0, 0, NULL, "its tokenizer, where it is neither in the file nor beside it"},
    {"--tensors", NULL, CLI_FLAG, 0, OFFSET(tensors), 0, 0, NULL, "list the tensors too, with their types in the file (JSON always does: file_type, and type in memory)"},
};
#undef OFFSET

const cli_command cli_inspect_commands[] = {
    {"model", "inspect", "say what is in a model's or a tokenizer's file", NULL, inspect_arguments, CLI_COUNT_OF(inspect_arguments), sizeof(inspect_values),
     NULL, inspect},
    {0},
};
/* clang-format on */

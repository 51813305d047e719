/* Models in llama2.c's checkpoints, each with the tokenizer that lies beside it. */
#include <stdio.h>

#include "model/model_files.h"

/* What llama2.c computes with, which is in no file. */
static const float rotary_base = 10000, norm_epsilon = 1e-5f;

/* ---- the tokenizer beside a checkpoint ---- */

typedef struct path_text {
    char text[4096];
} path_text;

/* "folder/name.bin" with "ending" gives "folder/name.tokenizer.bin", with a name of its own "folder/ending". */
static ts_status path_beside(const char *path, const char *ending, bool own_name, path_text *out)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    size_t folder = slash != NULL ? (size_t)(slash + 1 - path) : 0;
    size_t keep = own_name ? folder : dot != NULL && dot > path + folder ? (size_t)(dot - path) : strlen(path);
    if (keep + strlen(ending) >= sizeof out->text)
        return ts_fail(TS_ERROR_LIMIT, "%s: the path is too long", path);
    memcpy(out->text, path, keep);
    memcpy(out->text + keep, ending, strlen(ending) + 1);
    return TS_OK;
}

static ts_status open_tokenizer(ts_tokenizer **out, ts_runtime *runtime, const char *name, const char *path, uint32_t vocabulary,
                                const ts_model_options *options)
{
    char sized[32];
    snprintf(sized, sizeof sized, "tok%u.bin", vocabulary);
    const struct {
        const char *ending;
        bool own_name;
    } places[] = {{".tokenizer.bin", false}, {sized, true}, {"tokenizer.bin", true}};
    path_text at;
    if (options->tokenizer != NULL)
        return ts_tokenizer_open(out, runtime, options->tokenizer);
    for (size_t i = 0; path != NULL && i < TS_COUNT_OF(places); i++) {
        TS_TRY(path_beside(path, places[i].ending, places[i].own_name, &at));
        if (ts_path_exists(at.text))
            return ts_tokenizer_open(out, runtime, at.text);
    }
    return ts_fail(
        TS_ERROR_IO,
        "%s: a llama2.c checkpoint has no tokenizer inside; expected options.tokenizer, or beside it NAME.tokenizer.bin, %s or tokenizer.bin", name,
        sized);
}

/* ---- opening ---- */

static ts_status read_parameter(void *user, ts_parameter *p, float *values)
{
    const ts_llama2c *file = user;
    p->file_type = file->version == 2 && p->rank == 2 ? TS_MODEL_TYPE_Q8_0 : TS_MODEL_TYPE_F32;
    return ts_llama2c_read(file, p->llama2c, p->layer, values, p->rows * p->columns);
}

static ts_status read_architecture(const ts_llama2c *file, const ts_model_options *options, ts_architecture *architecture)
{
    const ts_llama2c_shape *s = &file->shape;
    *architecture = (ts_architecture){
        .struct_size = sizeof *architecture,
        .kind = TS_ARCHITECTURE_LLAMA,
        .vocabulary_size = s->vocabulary,
        .context_length = options->context_length != 0 ? options->context_length : s->context,
        .width = s->width,
        .layers = s->layers,
        .heads = s->heads,
        .key_value_heads = s->key_value_heads,
        .hidden = s->hidden,
        .untied_head = s->untied,
        .rotary_base = rotary_base,
        .norm_epsilon = norm_epsilon,
    };
    ts_status status = ts_architecture_complete(architecture);
    return status == TS_OK ? TS_OK : ts_fail_context(status == TS_ERROR_INVALID_ARGUMENT ? TS_ERROR_FORMAT : status, file->source->name);
}

ts_status ts_llama2c_model_open(ts_model **out, ts_runtime *runtime, ts_source *source, const char *path, const ts_model_options *options)
{
    ts_llama2c file;
    ts_architecture architecture;
    ts_tokenizer *tokenizer;
    TS_TRY(ts_llama2c_open(&file, source));
    TS_TRY(read_architecture(&file, options, &architecture));
    TS_TRY(ts_model_check_size(options, &architecture, source->name));
    TS_TRY(open_tokenizer(&tokenizer, runtime, source->name, path, architecture.vocabulary_size, options));
    ts_status status = ts_model_check_tokenizer(tokenizer, &architecture, source->name);
    if (status == TS_OK)
        status = ts_model_load(out, runtime, tokenizer, &architecture, read_parameter, &file);
    ts_tokenizer_free(tokenizer);
    return status;
}

/* ---- saving ---- */

static const float *tensor_of(void *user, const char *name, uint32_t layer)
{
    const ts_model *model = user;
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        if (p->layer == layer && p->llama2c != NULL && strcmp(p->llama2c, name) == 0)
            return model->weights.all[p->layer][p->slot];
    }
    return NULL; /* not reached: the table has them all */
}

static ts_status check_architecture(const ts_architecture *a)
{
    if (a->kind != TS_ARCHITECTURE_LLAMA)
        return ts_fail(TS_ERROR_UNSUPPORTED, "llama2.c's checkpoints hold llama models alone, this one is %s", ts_switches_of(a->kind)->name);
    if (a->rotary_base != rotary_base || a->norm_epsilon != norm_epsilon)
        return ts_fail(TS_ERROR_UNSUPPORTED, "llama2.c computes with rotary_base %g and norm_epsilon %g, the model with %g and %g",
                       (double)rotary_base, (double)norm_epsilon, (double)a->rotary_base, (double)a->norm_epsilon);
    return TS_OK;
}

static ts_status save_tokenizer(const ts_model *model, const char *path)
{
    path_text at;
    ts_writer file;
    TS_TRY(path_beside(path, ".tokenizer.bin", false, &at));
    TS_TRY(ts_writer_open(&file, model->runtime, at.text));
    ts_status status = ts_tokenizer_write_llama2c(model->tokenizer, model->architecture.vocabulary_size, &file);
    if (status == TS_OK)
        return ts_writer_commit(&file);
    ts_writer_abandon(&file);
    return status;
}

ts_status ts_llama2c_model_save(const ts_model *model, const char *path, uint32_t version)
{
    const ts_architecture *a = &model->architecture;
    ts_writer file;
    TS_TRY(check_architecture(a));
    ts_llama2c_shape shape = {
        .width = a->width,
        .hidden = a->hidden,
        .layers = a->layers,
        .heads = a->heads,
        .key_value_heads = a->key_value_heads,
        .vocabulary = a->vocabulary_size,
        .context = a->context_length,
        .untied = a->untied_head != 0,
    };
    TS_TRY(save_tokenizer(model, path));
    TS_TRY(ts_writer_open(&file, model->runtime, path));
    ts_status status = ts_llama2c_write(&file, version, &shape, tensor_of, (void *)(uintptr_t)model);
    if (status == TS_OK)
        return ts_writer_commit(&file);
    ts_writer_abandon(&file);
    return status;
}

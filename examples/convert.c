/*
 * Converts a model from any format that is read into any that is written, and says what it is.
 *
 * usage: convert MODEL OUT [TOKENIZER]
 *
 * MODEL is a GGUF file, a llama2.c checkpoint or a Hugging Face folder. OUT ends in ".gguf", in ".bin" for a llama2.c checkpoint, or is a folder's
 * name.
 */
#include <stdio.h>
#include <string.h>
#include <tinystories.h>

static int ends_in(const char *path, const char *ending)
{
    size_t size = strlen(path), end = strlen(ending);
    return size > end && strcmp(path + size - end, ending) == 0;
}

static void print_model(const ts_model *model)
{
    static const char *const kinds[] = {"", "llama", "gpt2", "gpt_neo"};
    ts_architecture a = {.struct_size = sizeof a};
    if (ts_model_architecture(model, &a) == TS_OK)
        printf("%s: %llu parameters, %u layers, width %u, %u heads, context %u, vocabulary %u\n", kinds[a.kind],
               (unsigned long long)ts_model_parameters(model), a.layers, a.width, a.heads, a.context_length, a.vocabulary_size);
}

static void print_log(void *user, int32_t level, const char *line)
{
    (void)user;
    if (level <= TS_LOG_WARNING)
        fprintf(stderr, "convert: %s\n", line);
}

int main(int count, char **values)
{
    if (count < 3) {
        fprintf(stderr, "usage: convert MODEL OUT(.gguf|.bin|FOLDER) [TOKENIZER]\n");
        return 2;
    }
    ts_runtime *runtime = NULL;
    ts_model *model = NULL;
    ts_runtime_options settings;
    ts_model_options options;
    ts_model_save_options save;
    ts_runtime_options_init(&settings, sizeof settings);
    ts_model_options_init(&options, sizeof options);
    ts_model_save_options_init(&save, sizeof save);
    settings.log = print_log;
    options.tokenizer = count > 3 ? values[3] : NULL;
    save.format = ends_in(values[2], ".gguf")  ? TS_MODEL_FORMAT_GGUF
                  : ends_in(values[2], ".bin") ? TS_MODEL_FORMAT_LLAMA2C_V0
                                               : TS_MODEL_FORMAT_HUGGINGFACE;
    ts_status status = ts_runtime_new(&runtime, &settings);
    if (status == TS_OK)
        status = ts_model_open(&model, runtime, values[1], &options);
    if (status == TS_OK) {
        print_model(model);
        status = ts_model_save_as(model, values[2], &save);
    }
    if (status != TS_OK)
        fprintf(stderr, "convert: %s\n", ts_error_detail());
    ts_model_free(model);
    ts_runtime_free(runtime);
    return status != TS_OK;
}

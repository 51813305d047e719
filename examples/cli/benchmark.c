/* bench: how fast this machine trains and tells with a preset, on text without meaning. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Words of random letters: any text is as much work as any other. */
static int32_t next_text(void *user, const char **text, size_t *size)
{
    static char words[200000];
    int *calls = user;
    uint32_t x = 1;
    *text = NULL;
    if ((*calls)++ > 0)
        return 0;
    for (size_t i = 0; i < sizeof words; i++) {
        x = x * 1664525u + 1013904223u;
        words[i] = (x >> 24) % 6 == 0 ? ' ' : (char)('a' + (x >> 16) % 26);
    }
    *text = words;
    *size = sizeof words;
    return 0;
}

static ts_status bench_training(const arguments *a, const ts_tokenizer *tokenizer, const ts_architecture *shape, const char *path, ts_model **model,
                                double *tokens_per_second)
{
    ts_trainer *trainer = NULL;
    ts_trainer_options options;
    ts_trainer_options_init(&options, sizeof options);
    options.text = &path;
    options.text_count = 1;
    options.valid_share = 0;
    options.max_steps = 1000;
    options.batch_tokens = (uint32_t)a->batch_tokens;
    ts_status status = ts_trainer_new(&trainer, a->runtime, tokenizer, shape, &options);
    double best = 0;
    for (double start = seconds_now(); status == TS_OK && (best == 0 || seconds_now() - start < 5);) {
        ts_trainer_report before = {.struct_size = sizeof before}, after = {.struct_size = sizeof after};
        ts_trainer_state(trainer, &before);
        double from = seconds_now();
        status = ts_trainer_step(trainer, &after);
        double rate = (double)(after.tokens - before.tokens) / (seconds_now() - from);
        best = rate > best ? rate : best;
    }
    *tokens_per_second = best;
    if (status == TS_OK)
        status = ts_trainer_snapshot(trainer, model);
    ts_trainer_free(trainer);
    return status;
}

static ts_status bench_telling(const ts_model *model, double *tokens_per_second)
{
    ts_sampler *sampler;
    ts_sampler_options options;
    const char *text;
    size_t size, count = 0;
    ts_sampler_options_init(&options, sizeof options);
    options.ignore_end = 1;
    ts_status status = ts_sampler_new(&sampler, model, &options);
    if (status != TS_OK)
        return status;
    double start = seconds_now();
    for (int story = 0; status == TS_OK && (story < 2 || seconds_now() - start < 3); story++) {
        status = ts_sampler_start(sampler, "", 0);
        while (status == TS_OK && (status = ts_sampler_next(sampler, &text, &size)) == TS_OK && text != NULL)
            count++;
    }
    *tokens_per_second = (double)count / (seconds_now() - start);
    ts_sampler_free(sampler);
    return status;
}

int run_bench(arguments *a)
{
    ts_architecture shape;
    ts_tokenizer *tokenizer;
    ts_tokenizer_train_options options;
    ts_model *model = NULL;
    int calls = 0;
    double training = 0, telling = 0;
    char path[] = "/tmp/tinystories-bench-XXXXXX.txt";
    ts_architecture_init(&shape, sizeof shape);
    if (ts_architecture_preset(&shape, a->preset ? a->preset : "laptop-1m") != TS_OK)
        return failed();
    if (a->context > 0)
        shape.context_length = (uint32_t)a->context;
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = 512;
    if (ts_tokenizer_train(&tokenizer, a->runtime, next_text, &calls, &options) != TS_OK)
        return failed();
    int file = mkstemps(path, 4);
    const char *text;
    size_t size;
    calls = 0;
    next_text(&calls, &text, &size);
    bool written = file >= 0 && write(file, text, size) == (ssize_t)size && close(file) == 0;
    ts_status status = written ? bench_training(a, tokenizer, &shape, path, &model, &training) : TS_ERROR_IO;
    if (file >= 0)
        unlink(path);
    if (status == TS_OK)
        status = bench_telling(model, &telling);
    ts_model_free(model);
    ts_tokenizer_free(tokenizer);
    if (!written)
        return failed_because("%s cannot be written", path);
    if (status != TS_OK)
        return failed();
    if (a->json)
        printf("{\"training_tokens_per_second\": %.0f, \"telling_tokens_per_second\": %.0f, \"memory_peak\": %llu}\n", training, telling,
               (unsigned long long)ts_runtime_memory_peak(a->runtime));
    else
        printf("training %.0f tokens/s, telling %.0f tokens/s, %.1f MB at most\n", training, telling, (double)ts_runtime_memory_peak(a->runtime) / 1e6);
    return 0;
}

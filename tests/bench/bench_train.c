/*
 * Our training speed on one shape, as the peers' scripts measure theirs: the median of ten steps (forward, backward, clip, AdamW).
 *
 * usage: bench_train KIND(1 llama, 2 gpt2, 3 gpt_neo) WIDTH DEPTH HEADS VOCABULARY T BATCH THREADS [f32|bf16|amx]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tinystories.h>
#include <unistd.h>

static char text[1 << 20];

static int32_t next_text(void *user, const char **out, size_t *size)
{
    int *calls = user;
    *out = (*calls)++ ? NULL : text;
    *size = sizeof text;
    return 0;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **values)
{
    if (count != 9 && count != 10) {
        fprintf(stderr, "usage: bench_train KIND WIDTH DEPTH HEADS VOCABULARY T BATCH THREADS [f32|bf16|amx]\n");
        return 2;
    }
    char path[] = "/tmp/bench-train-XXXXXX";
    const char *paths[1] = {path};
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        x = x * 1664525u + 1013904223u;
        text[i] = (x >> 24) % 6 == 0 ? ' ' : (char)('a' + (x >> 16) % 26);
    }
    int file = mkstemp(path), calls = 0;
    if (file < 0 || write(file, text, sizeof text) != (ssize_t)sizeof text || close(file) != 0)
        return 1;
    ts_runtime *runtime;
    ts_runtime_options runtime_options;
    ts_tokenizer *tokenizer;
    ts_tokenizer_train_options tokenizer_options;
    ts_trainer *trainer;
    ts_trainer_options options;
    ts_architecture shape;
    ts_runtime_options_init(&runtime_options, sizeof runtime_options);
    runtime_options.threads = (uint32_t)atoi(values[8]);
    if (count == 10 && strcmp(values[9], "amx") == 0)
        runtime_options.cpu_level = TS_CPU_LEVEL_AMX;
    ts_tokenizer_train_options_init(&tokenizer_options, sizeof tokenizer_options);
    tokenizer_options.vocabulary_size = 1024;
    ts_architecture_init(&shape, sizeof shape);
    shape.kind = atoi(values[1]);
    shape.width = (uint32_t)atoi(values[2]);
    shape.layers = (uint32_t)atoi(values[3]);
    shape.heads = (uint32_t)atoi(values[4]);
    shape.vocabulary_size = (uint32_t)atoi(values[5]);
    shape.context_length = (uint32_t)atoi(values[6]);
    ts_trainer_options_init(&options, sizeof options);
    options.text = paths;
    options.text_count = 1;
    options.valid_share = 0;
    const char *precision = count == 10 ? values[9] : "f32";
    options.precision = strcmp(precision, "f32") == 0 ? TS_PRECISION_F32 : TS_PRECISION_BF16;
    options.optimizer = TS_OPTIMIZER_ADAMW; /* as the peers */
    options.max_steps = 1000;
    options.batch_tokens = shape.context_length * (uint32_t)atoi(values[7]);
    options.micro_batch = (uint32_t)atoi(values[7]);
    if (ts_runtime_new(&runtime, &runtime_options) != TS_OK || ts_tokenizer_train(&tokenizer, runtime, next_text, &calls, &tokenizer_options) != TS_OK ||
        ts_trainer_new(&trainer, runtime, tokenizer, &shape, &options) != TS_OK) {
        fprintf(stderr, "%s\n", ts_error_detail());
        return 1;
    }
    unlink(path);
    double times[12];
    for (int step = 0; step < 12; step++) {
        double start = now();
        if (ts_trainer_step(trainer, NULL) != TS_OK)
            return 1;
        times[step] = now() - start;
    }
    qsort(times + 2, 10, sizeof *times, by_value);
    uint64_t parameters = 0;
    ts_architecture_parameters(&shape, &parameters);
    double rate = options.batch_tokens / times[7];
    printf("libtinystories kind %s width %s depth %s V %s T %s B %s threads %s %s: %.2fM parameters, %.0f tokens/s, %.0f GFLOP/s, %.0f MB at most\n", values[1],
           values[2], values[3], values[5], values[6], values[7], values[8], precision, (double)parameters / 1e6, rate, 6e-9 * (double)parameters * rate,
           (double)ts_runtime_memory_peak(runtime) / 1e6);
    ts_trainer_free(trainer);
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
    return 0;
}

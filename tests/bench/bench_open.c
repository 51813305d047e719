/*
 * How long a GGUF of about 60 MB takes to open, mapped and read, and the memory that stays.
 *
 * usage: bench_open TOKENIZER FOLDER. The model is of stories15M's shape, made in FOLDER and removed again; medians of 21.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <tinystories.h>

enum { TIMES = 21 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ts_status make(const char *tokenizer_path, const char *path)
{
    ts_tokenizer *tokenizer = NULL;
    ts_model *model = NULL;
    ts_architecture a;
    ts_architecture_init(&a, sizeof a);
    a.width = 288;
    a.hidden = 768;
    a.layers = a.heads = 6;
    ts_status status = ts_tokenizer_open(&tokenizer, NULL, tokenizer_path);
    if (status == TS_OK)
        status = ts_model_new(&model, NULL, tokenizer, &a, 1);
    if (status == TS_OK)
        status = ts_model_save(model, path);
    ts_model_free(model);
    ts_tokenizer_free(tokenizer);
    return status;
}

static ts_status measure(const char *path, uint32_t map)
{
    double seconds[TIMES];
    uint64_t bytes = 0;
    for (int i = 0; i < TIMES; i++) {
        ts_runtime *runtime = NULL;
        ts_model *model = NULL;
        ts_model_options options;
        ts_model_options_init(&options, sizeof options);
        options.map = map;
        ts_status status = ts_runtime_new(&runtime, NULL);
        double start = now();
        if (status == TS_OK)
            status = ts_model_open(&model, runtime, path, &options);
        seconds[i] = now() - start;
        bytes = ts_runtime_memory(runtime);
        ts_model_free(model);
        ts_runtime_free(runtime);
        if (status != TS_OK)
            return status;
    }
    qsort(seconds, TIMES, sizeof *seconds, by_size);
    printf("%-7s %7.2f ms (fastest %.2f), %.1f MB held\n", map ? "mapped" : "read", 1e3 * seconds[TIMES / 2], 1e3 * seconds[0], 1e-6 * (double)bytes);
    return TS_OK;
}

int main(int count, char **values)
{
    char path[4096];
    if (count != 3) {
        fprintf(stderr, "usage: bench_open TOKENIZER FOLDER\n");
        return 2;
    }
    snprintf(path, sizeof path, "%.4000s/bench_open.gguf", values[2]);
    ts_status status = make(values[1], path);
    for (uint32_t map = 0; map < 2 && status == TS_OK; map++)
        status = measure(path, map);
    if (status != TS_OK)
        fprintf(stderr, "bench_open: %s\n", ts_error_detail());
    remove(path);
    return status != TS_OK;
}

/*
 * How fast a model tells and reads: prints tokens a second, the median of several runs in one process.
 *
 * usage: bench_inference MODEL THREADS LEVEL tell|greedy|read|COUNT      LEVEL 0: the best; COUNT: so many stories at once
 *        bench_inference make MODEL OUT                                  a random model of the 15M llama shape with that model's tokenizer: OUT.gguf, OUT.bin
 *        bench_inference BYTES THREADS pass                             passes over so many bytes of memory a second: what reading the weights costs
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tinystories.h"

enum { RUNS = 5, TOKENS = 128, MOST = 256, HUGE_PAGE = 2 << 20 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(ts_status status)
{
    if (status == TS_OK)
        return;
    fprintf(stderr, "%s\n", ts_error_detail());
    exit(1);
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* ---- memory ---- */

typedef struct share {
    const char *from;
    size_t size;
    int passes;
    pthread_t thread;
} share;

static void *pass(void *argument)
{
    typedef long long line __attribute__((vector_size(64), aligned(64)));
    const share *s = argument;
    for (int i = 0; i < s->passes; i++) {
        line sum[4] = {{0}};
        for (size_t at = 0; at + 256 <= s->size; at += 256)
            for (int j = 0; j < 4; j++)
                sum[j] |= *(const line *)(s->from + at + 64 * j);
        sum[0] |= sum[1] | sum[2] | sum[3];
        __asm__ volatile("" : : "m"(sum[0]) : "memory");
    }
    return NULL;
}

static double passes_a_second(size_t bytes, int threads)
{
    share shares[64];
    int passes = (int)(((size_t)256 << 20) / bytes) + 2;
    size_t part = bytes / (size_t)threads / 256 * 256;
    size_t room = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    char *memory = aligned_alloc(HUGE_PAGE, room);
    madvise(memory, room, MADV_HUGEPAGE); /* as the library's own memory */
    memset(memory, 1, bytes);
    double start = now();
    for (int i = 0; i < threads; i++) {
        shares[i] = (share){memory + (size_t)i * part, part, passes, 0};
        pthread_create(&shares[i].thread, NULL, pass, &shares[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(shares[i].thread, NULL);
    double rate = passes / (now() - start);
    free(memory);
    return rate;
}

/* ---- the model ---- */

static ts_sampler *make_sampler(const ts_model *model, float temperature)
{
    ts_sampler *sampler;
    ts_sampler_options options;
    check(ts_sampler_options_init(&options, sizeof options));
    options.temperature = temperature;
    options.ignore_end = 1;
    options.max_tokens = TOKENS;
    check(ts_sampler_new(&sampler, model, &options));
    return sampler;
}

static double tell(ts_sampler *sampler)
{
    const char *text;
    size_t size, count = 0;
    check(ts_sampler_start(sampler, "", 0));
    double start = now();
    for (;;) {
        check(ts_sampler_next(sampler, &text, &size));
        if (text == NULL)
            return (double)count / (now() - start);
        count++;
    }
}

/* So many stories at once, all as long. */
static double tell_together(const ts_model *model, size_t count)
{
    ts_batch *batch;
    ts_batch_options options;
    ts_sampler *samplers[MOST];
    const char *texts[MOST];
    size_t sizes[MOST], told = 0;
    ts_status statuses[MOST];
    check(ts_batch_options_init(&options, sizeof options));
    options.capacity = (uint32_t)count;
    check(ts_batch_new(&batch, model, &options));
    for (size_t i = 0; i < count; i++) {
        samplers[i] = make_sampler(model, 1);
        check(ts_sampler_start_seeded(samplers[i], "", 0, i));
    }
    double start = now();
    for (int token = 0; token < TOKENS; token++) {
        check(ts_batch_next(batch, samplers, count, texts, sizes, statuses));
        told += count;
    }
    double spent = now() - start;
    for (size_t i = 0; i < count; i++)
        ts_sampler_free(samplers[i]);
    ts_batch_free(batch);
    return (double)told / spent;
}

/* A prompt of TOKENS tokens, the begin among them; another first word each time, or it would not be read again. */
static double read_prompt(ts_sampler *sampler, const ts_tokenizer *tokenizer, int run)
{
    uint32_t ids[TOKENS], size = ts_tokenizer_size(tokenizer);
    char text[TOKENS * 64];
    size_t length, count;
    for (uint32_t i = 0; i < TOKENS; i++)
        ids[i] = (300 + i * 97 + (uint32_t)run * 31) % (size - 300) + 259;
    check(ts_tokenizer_decode(tokenizer, ids, TOKENS - 30, text, sizeof text, &length));
    double start = now();
    check(ts_sampler_start(sampler, text, length));
    double end = now();
    ts_sampler_tokens(sampler, &count);
    return (double)count / (end - start);
}

/* Random weights do for speed. */
static void make(const char *words, const char *out)
{
    char path[4096];
    ts_model *from, *model;
    ts_architecture a;
    ts_model_save_options options;
    check(ts_model_open(&from, NULL, words, NULL));
    check(ts_architecture_init(&a, sizeof a));
    a.vocabulary_size = 32000;
    a.width = 288;
    a.layers = a.heads = 6;
    a.hidden = 768;
    a.context_length = 256;
    check(ts_model_new(&model, NULL, ts_model_tokenizer(from), &a, 1));
    snprintf(path, sizeof path, "%s.gguf", out);
    check(ts_model_save(model, path));
    check(ts_model_save_options_init(&options, sizeof options));
    options.format = TS_MODEL_FORMAT_LLAMA2C_V0;
    snprintf(path, sizeof path, "%s.bin", out);
    check(ts_model_save_as(model, path, &options));
    ts_model_free(model);
    ts_model_free(from);
}

int main(int count, char **arguments)
{
    double rates[RUNS];
    if (count < 4)
        return 2;
    if (strcmp(arguments[1], "make") == 0) {
        make(arguments[2], arguments[3]);
        return 0;
    }
    if (strcmp(arguments[3], "pass") == 0) {
        for (int i = 0; i < RUNS; i++)
            rates[i] = passes_a_second(strtoull(arguments[1], NULL, 10), atoi(arguments[2]));
        qsort(rates, RUNS, sizeof *rates, ascending);
        printf("%.0f\n", rates[RUNS - 1]); /* the best: a bound */
        return 0;
    }
    ts_runtime *runtime;
    ts_runtime_options options;
    ts_model *model;
    check(ts_runtime_options_init(&options, sizeof options));
    options.threads = (uint32_t)atoi(arguments[2]);
    options.cpu_level = atoi(arguments[3]);
    check(ts_runtime_new(&runtime, &options));
    check(ts_model_open(&model, runtime, arguments[1], NULL));
    ts_sampler *sampler = make_sampler(model, strcmp(arguments[4], "tell") == 0 ? 1 : 0);
    size_t stories = strtoull(arguments[4], NULL, 10);
    for (int i = 0; i < RUNS; i++)
        rates[i] = stories > 0                              ? tell_together(model, stories < MOST ? stories : MOST)
                   : strcmp(arguments[4], "read") == 0 ? read_prompt(sampler, ts_model_tokenizer(model), i)
                                                       : tell(sampler);
    qsort(rates, RUNS, sizeof *rates, ascending);
    printf("%.0f\n", rates[RUNS / 2]);
    ts_sampler_free(sampler);
    ts_model_free(model);
    ts_runtime_free(runtime);
    return 0;
}

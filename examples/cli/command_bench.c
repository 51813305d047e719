/* bench */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

typedef struct bench_values {
    cli_common common;
    const char *model;
    uint32_t preset, micro_batch, context;
    double seconds;
} bench_values;

static void bench_defaults(void *values)
{
    bench_values *v = values;
    cli_choose("--preset", "laptop-1m", ts_architecture_preset_name, &v->preset);
    v->micro_batch = 8;
    v->seconds = 5;
}

/* What is measured, and what came out: tokens a second, milliseconds of a step, bytes. */
typedef struct bench {
    const bench_values *values;
    cli_progress progress;
    ts_architecture architecture;
    ts_tokenizer *tokenizer; /* of a shape that has no model yet */
    ts_model *model;         /* opened, or what training made */
    uint64_t training_memory, decoding_memory, steps, told;
    double training, prompt, decoding, milliseconds;
} bench;

/* Stories, and a model or a shape with a tokenizer. The vocabulary stays the preset's even if the tokenizer is smaller: unused rows cost the same. */
static ts_status prepare(bench *b, const char *text)
{
    const bench_values *v = b->values;
    ts_generator *generator = NULL;
    ts_tokenizer_train_options options;
    CLI_TRY(ts_generator_new(&generator, v->common.runtime, NULL));
    ts_status status = ts_generator_write(generator, 2000, text, NULL, NULL);
    ts_generator_free(generator);
    CLI_TRY(status);
    CLI_TRY(ts_architecture_init(&b->architecture, sizeof b->architecture));
    if (v->model != NULL) {
        CLI_TRY(ts_model_open(&b->model, v->common.runtime, v->model, NULL));
        CLI_TRY(ts_model_architecture(b->model, &b->architecture));
    } else {
        CLI_TRY(ts_architecture_preset(&b->architecture, ts_architecture_preset_name(v->preset)));
        CLI_TRY(ts_tokenizer_train_options_init(&options, sizeof options));
        options.vocabulary_size = 1024;
        CLI_TRY(ts_tokenizer_train_files(&b->tokenizer, v->common.runtime, &text, 1, &options));
    }
    if (v->context != 0)
        b->architecture.context_length = v->context;
    return TS_OK;
}

static ts_status make_trainer(ts_trainer **out, bench *b, const char *text)
{
    ts_trainer_options options;
    CLI_TRY(ts_trainer_options_init(&options, sizeof options));
    options.text = &text;
    options.text_count = 1;
    options.valid_share = 0;
    options.micro_batch = b->values->micro_batch;
    options.batch_tokens = b->values->micro_batch * b->architecture.context_length;
    const ts_tokenizer *tokenizer = b->model != NULL ? ts_model_tokenizer(b->model) : b->tokenizer;
    return ts_trainer_new(out, b->values->common.runtime, tokenizer, &b->architecture, &options);
}

static ts_status measure_training(bench *b, const char *text)
{
    ts_trainer *trainer = NULL;
    ts_trainer_report before = {.struct_size = sizeof before}, after = {.struct_size = sizeof after};
    uint64_t held = ts_runtime_memory(b->values->common.runtime);
    ts_status status = make_trainer(&trainer, b, text);
    if (status == TS_OK)
        status = ts_trainer_step(trainer, &before); /* warms up */
    double start = cli_clock(), spent = 0;
    while (status == TS_OK && spent < b->values->seconds && !cli_interrupted()) {
        status = ts_trainer_step(trainer, &after);
        spent = cli_clock() - start;
        b->steps++;
        if (cli_progress_due(&b->progress))
            cli_progress_line(&b->progress, "training: %llu steps", (unsigned long long)b->steps);
    }
    if (status == TS_OK && b->steps > 0) {
        b->training = (double)(after.tokens - before.tokens) / spent;
        b->milliseconds = 1000 * spent / (double)b->steps;
        b->training_memory = ts_runtime_memory(b->values->common.runtime) - held;
    }
    if (status == TS_OK && b->model == NULL)
        status = ts_trainer_snapshot(trainer, &b->model);
    ts_trainer_free(trainer);
    return status;
}

/* One stream, every story as long as the context. */
static ts_status measure_decoding(bench *b)
{
    static const char prompt[] = "Once upon a time, there was a little girl who lived in a small house near the forest. Every day she went to the park with "
                                 "her mom. One day she saw a big dog. The dog was sad because it had lost its ball. The girl wanted to help.";
    ts_sampler *sampler = NULL;
    ts_sampler_options options;
    size_t count = 0, size;
    uint64_t prompt_tokens = 0;
    double reading = 0, telling = 0;
    CLI_TRY(ts_sampler_options_init(&options, sizeof options));
    options.ignore_end = 1;
    options.context_length = b->architecture.context_length;
    size_t prompt_size = options.context_length / 2 < sizeof prompt ? options.context_length / 2 : sizeof prompt - 1; /* a token has a byte at least */
    CLI_TRY(ts_sampler_memory(b->model, &options, &b->decoding_memory));
    ts_status status = ts_sampler_new(&sampler, b->model, &options);
    for (uint64_t seed = 0; status == TS_OK && telling + reading < b->values->seconds && !cli_interrupted(); seed++) {
        const char *text = prompt;
        double start = cli_clock();
        status = ts_sampler_start_seeded(sampler, prompt, prompt_size, seed);
        double begun = cli_clock();
        ts_sampler_tokens(sampler, &count);
        prompt_tokens += count;
        while (status == TS_OK && text != NULL && !cli_interrupted()) {
            status = ts_sampler_next(sampler, &text, &size);
            b->told += text != NULL;
        }
        reading += begun - start;
        telling += cli_clock() - begun;
        if (cli_progress_due(&b->progress))
            cli_progress_line(&b->progress, "decoding: %llu tokens", (unsigned long long)b->told);
    }
    b->prompt = reading > 0 ? (double)prompt_tokens / reading : 0;
    b->decoding = telling > 0 ? (double)b->told / telling : 0;
    ts_sampler_free(sampler);
    return status;
}

static void print_figures(const bench *b)
{
    const bench_values *v = b->values;
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, v->model != NULL ? "model" : "preset", v->model != NULL ? v->model : ts_architecture_preset_name(v->preset));
    cli_integer(&o, "parameters", ts_model_parameters(b->model));
    cli_integer(&o, "threads", ts_runtime_threads(v->common.runtime));
    cli_text(&o, "cpu_level", ts_cpu_level_name(ts_runtime_cpu_level(v->common.runtime)));
    cli_number(&o, "training_tokens_per_second", b->training, 0);
    cli_number(&o, "training_step_milliseconds", b->milliseconds, 1);
    cli_integer(&o, "training_memory_bytes", b->training_memory);
    cli_number(&o, "prompt_tokens_per_second", b->prompt, 0);
    cli_number(&o, "decoding_tokens_per_second", b->decoding, 0);
    cli_integer(&o, "decoding_memory_bytes", b->decoding_memory);
    cli_output_end(&o);
}

static ts_status run_bench(void *values)
{
    const bench_values *v = values;
    bench b = {.values = v};
    char text[1024];
    const char *folder = getenv("TMPDIR");
    if (v->model != NULL && cli_given(&v->common, "--preset"))
        return cli_usage("--preset and --model cannot stand together");
    snprintf(text, sizeof text, "%s/tinystories-XXXXXX.txt", folder != NULL && *folder != 0 ? folder : "/tmp");
    cli_progress_start(&b.progress, &v->common, "bench", "steps");
    int file = mkstemps(text, 4);
    if (file < 0)
        return cli_fail("%s: cannot be made: %s", text, strerror(errno));
    close(file);
    ts_status status = prepare(&b, text);
    if (status == TS_OK)
        status = measure_training(&b, text);
    unlink(text);
    if (status == TS_OK)
        status = measure_decoding(&b);
    cli_progress_end(&b.progress);
    if (status == TS_OK && cli_interrupted())
        status = TS_ERROR_CANCELLED;
    if (status == TS_OK)
        print_figures(&b);
    ts_model_free(b.model);
    ts_tokenizer_free(b.tokenizer);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(bench_values, member)
static const cli_argument bench_arguments[] = {
    {"--preset", "NAME", CLI_CHOICE, 0, OFFSET(preset), 0, 0, ts_architecture_preset_name, "shape to measure"},
    {"--model", "MODEL", CLI_TEXT, 0, OFFSET(model), 0, 0, NULL, "model to measure instead"},
    {"--seconds", "X", CLI_DOUBLE, CLI_ABOVE, OFFSET(seconds), 0, 3600, NULL, "of training, and of decoding"},
    {"--micro-batch", "N", CLI_UINT32, 0, OFFSET(micro_batch), 1, 1024, NULL, "sequences of a training step"},
    {"--context", "N", CLI_UINT32, CLI_QUIET, OFFSET(context), 1, 65536, NULL, "tokens of a sequence (default: the preset's or model's)"},
};

const cli_command cli_bench_commands[] = {
    {"bench", NULL, "measure the speed of training and of decoding on this machine", "Decoding is of one stream, in f32; stories are as long as the context.",
     bench_arguments, CLI_COUNT_OF(bench_arguments), sizeof(bench_values), bench_defaults, run_bench},
    {0},
};

/*
 * Trains a tokenizer and a model on a text file, telling a line of a story now and then, and saves the model.
 *
 * usage: train TEXT.txt MODEL.gguf [MINUTES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <tinystories.h>

/* The beginning of a story by the present weights: a snapshot is a model like any other. */
static ts_status tell(ts_trainer *trainer)
{
    ts_model *model = NULL;
    ts_sampler *sampler = NULL;
    ts_sampler_options options;
    const char *text;
    size_t size;
    ts_sampler_options_init(&options, sizeof options);
    options.max_tokens = 30;
    ts_status status = ts_trainer_snapshot(trainer, &model);
    if (status == TS_OK)
        status = ts_sampler_new(&sampler, model, &options);
    if (status == TS_OK)
        status = ts_sampler_start(sampler, "", 0);
    while (status == TS_OK && (status = ts_sampler_next(sampler, &text, &size)) == TS_OK && text != NULL)
        fwrite(text, 1, size, stdout);
    putchar('\n');
    ts_sampler_free(sampler);
    ts_model_free(model);
    return status;
}

static ts_status train(ts_runtime *runtime, const char *text, const char *model_path, double minutes)
{
    ts_tokenizer *tokenizer = NULL;
    ts_trainer *trainer = NULL;
    ts_model *model = NULL;
    ts_trainer_options options;
    ts_trainer_report report = {.struct_size = sizeof report};
    ts_trainer_options_init(&options, sizeof options);
    options.text = &text;
    options.text_count = 1;
    options.max_seconds = minutes * 60;

    ts_status status = ts_tokenizer_train_files(&tokenizer, runtime, &text, 1, NULL);
    if (status == TS_OK) /* NULL: the default shape, about a million parameters */
        status = ts_trainer_new(&trainer, runtime, tokenizer, NULL, &options);
    while (status == TS_OK && !ts_trainer_done(trainer)) {
        status = ts_trainer_step(trainer, &report);
        if (status == TS_OK && report.step % 100 == 0) {
            printf("step %llu: %.3f nats per token, %.3f bits per byte, %.0f tokens/s: ", (unsigned long long)report.step, report.loss, report.bits_per_byte,
                   report.tokens_per_second);
            status = tell(trainer);
        }
    }
    if (status == TS_OK)
        status = ts_trainer_snapshot(trainer, &model);
    if (status == TS_OK)
        status = ts_model_save(model, model_path);
    ts_model_free(model);
    ts_trainer_free(trainer);
    ts_tokenizer_free(tokenizer);
    return status;
}

int main(int count, char **values)
{
    if (count < 3) {
        fprintf(stderr, "usage: train TEXT.txt MODEL.gguf [MINUTES]\n");
        return 2;
    }
    ts_runtime *runtime = NULL;
    ts_runtime_options options;
    ts_runtime_options_init(&options, sizeof options);
    options.threads = 0; /* all processors */
    ts_status status = ts_runtime_new(&runtime, &options);
    if (status == TS_OK)
        status = train(runtime, values[1], values[2], count > 3 ? atof(values[3]) : 5);
    if (status != TS_OK)
        fprintf(stderr, "train: %s\n", ts_error_detail());
    ts_runtime_free(runtime);
    return status != TS_OK;
}

/* train: a tokenizer if there is none, then a trainer until its end or a signal. Signals are handled here, never in the library. */
#include "cli.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static int32_t show_report(void *user, const ts_trainer_report *r)
{
    const arguments *a = user;
    char line[300], valid[60] = "", left[40] = "", total[32] = "";
    if (a->quiet || !r->due)
        return stop_asked();
    if (isfinite(r->valid_bits_per_byte))
        snprintf(valid, sizeof valid, ", valid %.4f bits/byte", r->valid_bits_per_byte);
    if (isfinite(r->remaining_seconds))
        snprintf(left, sizeof left, ", %.0f s left", r->remaining_seconds);
    if (r->total_steps > 0)
        snprintf(total, sizeof total, " of %llu", (unsigned long long)r->total_steps);
    snprintf(line, sizeof line, "step %llu%s, loss %.4f nats/token, %.4f bits/byte%s, %.0f tokens/s%s", (unsigned long long)r->step, total, r->loss,
             r->bits_per_byte, valid, r->tokens_per_second, left);
    show_progress(line);
    return stop_asked();
}

static bool choose_shape(const arguments *a, ts_architecture *shape)
{
    ts_architecture_init(shape, sizeof *shape);
    if (ts_architecture_preset(shape, a->preset ? a->preset : "laptop-1m") != TS_OK)
        return false;
    if (a->context > 0)
        shape->context_length = (uint32_t)a->context;
    return true;
}

static ts_status make_tokenizer(const arguments *a, ts_tokenizer **tokenizer)
{
    ts_tokenizer_train_options options;
    if (a->tokenizer != NULL)
        return ts_tokenizer_open(tokenizer, a->runtime, a->tokenizer);
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = (uint32_t)a->size;
    if (!a->quiet)
        fprintf(stderr, "training a tokenizer of %u tokens\n", options.vocabulary_size);
    return ts_tokenizer_train_files(tokenizer, a->runtime, a->text, a->text_count, &options);
}

static bool choose_schedule(const arguments *a, ts_trainer_options *o)
{
    static const char *const names[] = {"cosine", "linear", "constant", "wsd"};
    for (uint32_t i = 0; a->schedule != NULL && i < 4; i++)
        if (strcmp(names[i], a->schedule) == 0) {
            o->schedule = i;
            return true;
        }
    return a->schedule == NULL;
}

static void fill_options(const arguments *a, ts_trainer_options *o)
{
    ts_trainer_options_init(o, sizeof *o);
    o->text = a->text;
    o->text_count = a->text_count;
    o->valid = a->valid;
    o->valid_count = a->valid_count;
    o->run_directory = a->run;
    o->seed = a->seed;
    o->max_steps = a->steps;
    o->max_tokens = a->tokens;
    o->max_epochs = a->epochs;
    o->max_seconds = a->minutes * 60;
    o->valid_share = a->valid_share;
    o->learning_rate = a->learning_rate;
    o->final_rate = a->final_rate;
    o->warmup = a->warmup;
    o->weight_decay = a->weight_decay;
    o->clip = a->clip;
    o->batch_tokens = (uint32_t)a->batch_tokens;
    o->micro_batch = (uint32_t)a->micro_batch;
    o->valid_interval = (uint32_t)a->valid_interval;
}

static ts_status make_trainer(const arguments *a, ts_trainer **trainer)
{
    ts_trainer_options options;
    ts_architecture shape;
    ts_tokenizer *tokenizer;
    fill_options(a, &options);
    choose_schedule(a, &options);
    if (a->resume)
        return ts_trainer_resume(trainer, a->runtime, a->run, &options);
    if (!choose_shape(a, &shape))
        return TS_ERROR_INVALID_ARGUMENT;
    ts_status status = make_tokenizer(a, &tokenizer);
    if (status != TS_OK)
        return status;
    shape.vocabulary_size = ts_tokenizer_size(tokenizer);
    status = ts_trainer_new(trainer, a->runtime, tokenizer, &shape, &options);
    ts_tokenizer_free(tokenizer);
    return status;
}

static ts_status save_model(const arguments *a, ts_trainer *trainer)
{
    ts_model *model;
    if (a->out == NULL)
        return TS_OK;
    ts_status status = ts_trainer_snapshot(trainer, &model);
    if (status == TS_OK) {
        status = ts_model_save(model, a->out);
        ts_model_free(model);
    }
    return status;
}

static void print_result(const arguments *a, ts_trainer *trainer)
{
    ts_trainer_report r = {.struct_size = sizeof r};
    ts_trainer_state(trainer, &r);
    if (a->json) {
        printf("{\"steps\": %llu, \"tokens\": %llu, \"skipped_steps\": %llu, ", (unsigned long long)r.step, (unsigned long long)r.tokens,
               (unsigned long long)r.skipped_steps);
        print_json_number("epochs", r.epoch, false);
        print_json_number("nats_per_token", r.loss, false);
        print_json_number("bits_per_byte", r.bits_per_byte, false);
        print_json_number("valid_nats_per_token", r.valid_nats_per_token, false);
        print_json_number("valid_bits_per_byte", r.valid_bits_per_byte, false);
        print_json_number("seconds", r.seconds, false);
        print_json_number("tokens_per_second", (double)r.tokens / r.seconds, true);
        printf("}\n");
        return;
    }
    printf("%llu steps, %.2f epochs, %.0f seconds: last batch %.4f nats per token, %.4f bits per byte", (unsigned long long)r.step, r.epoch, r.seconds, r.loss,
           r.bits_per_byte);
    if (isfinite(r.valid_bits_per_byte))
        printf("; validation %.4f nats per token, %.4f bits per byte", r.valid_nats_per_token, r.valid_bits_per_byte);
    printf("\n");
    if (a->out != NULL)
        printf("model: %s\n", a->out);
}

static bool names_shard(const arguments *a)
{
    for (size_t i = 0; i < a->text_count; i++) {
        size_t size = strlen(a->text[i]);
        if (size >= 4 && (strcmp(a->text[i] + size - 4, ".bin") == 0 || strcmp(a->text[i] + size - 4, ".u16") == 0))
            return true;
    }
    return false;
}

int run_train(arguments *a)
{
    ts_trainer *trainer;
    ts_trainer_options unused;
    if (a->preset != NULL && strcmp(a->preset, "list") == 0) {
        for (size_t i = 0; ts_architecture_preset_name(i) != NULL; i++)
            printf("%s\n", ts_architecture_preset_name(i));
        return 0;
    }
    if (a->text_count == 0)
        return failed_because("--text is needed");
    if (a->resume && a->run == NULL)
        return failed_because("--resume needs --run DIR");
    if (a->out == NULL && a->run == NULL)
        return failed_because("--out MODEL.gguf or --run DIR is needed, or all work would be lost");
    if (a->resume && (a->preset != NULL || a->tokenizer != NULL || a->seed_given))
        return failed_because("--preset, --tokenizer and --seed are the checkpoint's and cannot stand beside --resume");
    if (!a->resume && a->tokenizer == NULL && names_shard(a))
        return failed_because("--text: a token shard needs the --tokenizer that it was made with");
    if (!can_write(a->out))
        return 1;
    if (!choose_schedule(a, &unused))
        return failed_because("--schedule is \"%s\", expected cosine, linear, constant or wsd", a->schedule);
    if (make_trainer(a, &trainer) != TS_OK)
        return failed();
    catch_signals();
    ts_status status = ts_trainer_run(trainer, show_report, a);
    bool stopped = status == TS_ERROR_CANCELLED;
    if (status == TS_OK || stopped)
        status = save_model(a, trainer);
    show_progress(NULL);
    if (status != TS_OK) {
        ts_trainer_free(trainer);
        return failed();
    }
    print_result(a, trainer);
    if (stopped && a->run != NULL)
        printf("stopped; to go on: tinystories train --resume --run %s --text ... with the same text\n", a->run);
    ts_trainer_free(trainer);
    return 0;
}

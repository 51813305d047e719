/* train */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define STORY_TOKENS 250 /* of a story that is told while it trains, at most */

#ifdef CLI_MPI
#include <tinystories/mpi.h>
#endif

typedef struct train_values {
    cli_common common;
    cli_paths text, valid;
    const char *tokenizer, *initial, *run, *out, *prompt;
    uint32_t preset, resume, mpi, stories;
    ts_communicator ranks;
    double minutes;
    ts_tokenizer_train_options vocabulary;
    ts_architecture shape; /* what stays 0 is the preset's */
    ts_trainer_options options;
} train_values;

static const char *schedule_name(size_t index)
{
    static const char *const names[] = {"cosine", "linear", "constant", "wsd"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static const char *optimizer_name(size_t index)
{
    static const char *const names[] = {"adamw", "muon"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static const char *packing_name(size_t index)
{
    static const char *const names[] = {"stream", "stories"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static const char *precision_name(size_t index)
{
    static const char *const names[] = {"auto", "f32", "bf16"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static void train_defaults(void *values)
{
    train_values *v = values;
    cli_choose("--preset", "laptop-1m", ts_architecture_preset_name, &v->preset);
    v->prompt = "Once upon a time";
    ts_tokenizer_train_options_init(&v->vocabulary, sizeof v->vocabulary);
    v->vocabulary.vocabulary_size = 0;
    ts_trainer_options_init(&v->options, sizeof v->options);
}

/* ---- what goes in ---- */

static bool is_shard(const char *path)
{
    size_t size = strlen(path);
    return size >= 4 && (strcmp(path + size - 4, ".bin") == 0 || strcmp(path + size - 4, ".u16") == 0);
}

static ts_status check_paths(const char *option, const cli_paths *paths, bool shards)
{
    for (size_t i = 0; i < paths->count; i++) {
        if (strcmp(paths->items[i], "-") == 0)
            return cli_usage("%s is '-', expected a file: the text is read more than once", option);
        if (!shards && is_shard(paths->items[i]))
            return cli_usage("%s has %s, which is a token shard and needs the --tokenizer that it was made with", option, paths->items[i]);
    }
    return TS_OK;
}

/* A resumed run takes everything but data, folder, ends and intervals from its checkpoint. */
static ts_status check_resume(const train_values *v)
{
    const cli_command *command = v->common.command;
    if (!v->resume)
        return TS_OK;
    if (v->run == NULL)
        return cli_usage("--resume needs --run DIR, the folder of the run to go on with");
    for (size_t i = 0; i < command->argument_count; i++)
        if ((command->arguments[i].flags & CLI_FIXED) && (v->common.given >> i & 1))
            return cli_usage("%s is the checkpoint's and cannot stand beside --resume", command->arguments[i].name);
    return TS_OK;
}

static ts_status check_values(train_values *v)
{
    CLI_TRY(check_paths("--text", &v->text, v->tokenizer != NULL || v->resume));
    CLI_TRY(check_paths("--valid", &v->valid, v->tokenizer != NULL || v->resume));
    CLI_TRY(check_resume(v));
    if (v->run == NULL && v->out == NULL)
        return cli_usage("nothing would be kept: expected --out MODEL.gguf, --run DIR or both");
    if (v->tokenizer != NULL && cli_given(&v->common, "--size"))
        return cli_usage("--size is of a tokenizer that is trained here and cannot stand beside --tokenizer");
    v->options.text = v->text.items;
    v->options.text_count = v->text.count;
    v->options.valid = v->valid.count > 0 ? v->valid.items : NULL;
    v->options.valid_count = v->valid.count;
    v->options.run_directory = v->run;
    v->options.max_seconds = v->minutes * 60;
    return cli_check_out(&v->common, v->out, false);
}

/* The preset's shape with what the command line says otherwise; *vocabulary is the preset's, the network's is the tokenizer's. */
static ts_status choose_shape(const train_values *v, ts_architecture *a, uint32_t *vocabulary)
{
    const ts_architecture *given = &v->shape;
    const uint32_t wanted[] = {given->context_length, given->width, given->layers, given->heads, given->hidden, given->key_value_heads};
    uint32_t *const members[] = {&a->context_length, &a->width, &a->layers, &a->heads, &a->hidden, &a->key_value_heads};
    CLI_TRY(ts_architecture_init(a, sizeof *a));
    CLI_TRY(ts_architecture_preset(a, ts_architecture_preset_name(v->preset)));
    *vocabulary = a->vocabulary_size;
    a->vocabulary_size = 0;
    if (given->width != 0)
        a->hidden = 0; /* the preset's belongs to its width */
    if (given->heads != 0)
        a->key_value_heads = 0; /* likewise */
    for (size_t i = 0; i < CLI_COUNT_OF(members); i++)
        if (wanted[i] != 0)
            *members[i] = wanted[i];
    return TS_OK;
}

static ts_status make_tokenizer(ts_tokenizer **out, const train_values *v, uint32_t size, cli_progress *progress)
{
    ts_tokenizer_train_options options = v->vocabulary;
    if (v->tokenizer != NULL)
        return ts_tokenizer_open(out, v->common.runtime, v->tokenizer);
    if (options.vocabulary_size == 0)
        options.vocabulary_size = size;
    options.progress = cli_progress_tokenizer;
    options.progress_user = progress;
    ts_status status = ts_tokenizer_train_files(out, v->common.runtime, v->text.items, v->text.count, &options);
    cli_progress_end(progress);
    if (status == TS_OK && !v->common.quiet)
        fprintf(stderr, "trained a tokenizer of %u tokens\n", ts_tokenizer_size(*out));
    return status;
}

/* Shape and tokenizer are the model's. */
static ts_status begin_with_model(ts_trainer **out, const train_values *v)
{
    static const char *const shaped[] = {"--preset", "--tokenizer", "--size", "--width", "--layers", "--heads", "--kv-heads", "--hidden"};
    ts_trainer_options options = v->options;
    ts_model *model;
    for (size_t i = 0; i < CLI_COUNT_OF(shaped); i++)
        if (cli_given(&v->common, shaped[i]))
            return cli_usage("%s cannot stand beside --init, whose model has its own", shaped[i]);
    CLI_TRY(ts_model_open(&model, v->common.runtime, v->initial, &(ts_model_options){.struct_size = sizeof(ts_model_options), .context_length = v->shape.context_length}));
    options.initial = model;
    ts_status status = ts_trainer_new(out, v->common.runtime, NULL, NULL, &options);
    ts_model_free(model);
    return status;
}

static ts_status check_readable(const char *option, const cli_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        FILE *file = fopen(paths->items[i], "rb");
        if (file == NULL)
            return cli_fail("%s: %s cannot be opened: %s", option, paths->items[i], strerror(errno));
        fclose(file);
    }
    return TS_OK;
}

/* What would be refused after the tokenizer is told before it, for that takes its time. */
static ts_status check_before(const train_values *v, const ts_architecture *architecture, uint32_t vocabulary)
{
    ts_architecture shape = *architecture;
    uint64_t parameters;
    shape.vocabulary_size = vocabulary;
    CLI_TRY(ts_architecture_parameters(&shape, &parameters));
    CLI_TRY(check_readable("--text", &v->text));
    CLI_TRY(check_readable("--valid", &v->valid));
    if (v->run != NULL && cli_has_checkpoint(v->run))
        return cli_fail("--run: %s holds a run already: --resume it or choose another folder", v->run);
    return TS_OK;
}

static int32_t tell_encoding(void *user, uint64_t done, uint64_t total)
{
    cli_progress *progress = user;
    progress->what = "encoding the text";
    progress->unit = "bytes";
    return cli_progress_tell(progress, done, total);
}

static ts_status begin(ts_trainer **out, train_values *v, cli_progress *progress)
{
    ts_tokenizer *tokenizer = NULL;
    ts_architecture architecture;
    uint32_t vocabulary;
    v->options.progress = tell_encoding;
    v->options.progress_user = progress;
    if (v->resume)
        return ts_trainer_resume(out, v->common.runtime, v->run, &v->options);
    if (v->initial != NULL)
        return begin_with_model(out, v);
    CLI_TRY(choose_shape(v, &architecture, &vocabulary));
    CLI_TRY(check_before(v, &architecture, vocabulary));
    CLI_TRY(make_tokenizer(&tokenizer, v, vocabulary, progress));
    ts_status status = ts_trainer_new(out, v->common.runtime, tokenizer, &architecture, &v->options);
    ts_tokenizer_free(tokenizer);
    return status;
}

/* ---- what comes out ---- */

typedef struct telling {
    const train_values *values;
    ts_trainer *trainer;
    cli_progress progress;
    uint64_t told; /* the validation that the last stories were told after */
} telling;

static ts_status tell_story(const telling *t, ts_sampler *sampler, uint64_t step, uint64_t seed)
{
    char *story = NULL;
    const char *prompt = t->values->prompt, *text = prompt;
    size_t length = 0, size = strlen(prompt);
    FILE *whole = open_memstream(&story, &length);
    if (whole == NULL)
        return cli_fail("there is no memory for a story");
    ts_status status = ts_sampler_start_seeded(sampler, prompt, size, seed);
    while (status == TS_OK && text != NULL) {
        fwrite(text, 1, size, whole);
        status = ts_sampler_next(sampler, &text, &size);
    }
    if (fclose(whole) != 0 && status == TS_OK)
        status = cli_fail("there is no memory for a story");
    if (status == TS_OK)
        status = ts_trainer_log_story(t->trainer, story, length);
    if (status == TS_OK && !t->values->common.quiet)
        fprintf(stderr, "a story by step %llu: %s\n", (unsigned long long)step, story);
    free(story);
    return status;
}

/* Stories by the present weights, after a validation. One that cannot be told is told as a warning: the training goes on. */
static void tell_stories(telling *t, const ts_trainer_report *report)
{
    ts_model *model = NULL;
    ts_sampler *sampler = NULL;
    ts_sampler_options options;
    t->told = report->valid_step;
    cli_progress_end(&t->progress);
    ts_sampler_options_init(&options, sizeof options);
    options.max_tokens = STORY_TOKENS;
    ts_status status = ts_trainer_snapshot(t->trainer, &model);
    if (status == TS_OK)
        status = ts_sampler_new(&sampler, model, &options);
    for (uint32_t i = 0; i < t->values->stories && status == TS_OK && !cli_interrupted(); i++)
        status = tell_story(t, sampler, report->step, i + 1);
    if (status != TS_OK)
        fprintf(stderr, "tinystories: warning: no story at step %llu: %s\n", (unsigned long long)report->step, ts_error_detail());
    ts_sampler_free(sampler);
    ts_model_free(model);
}

static int32_t tell(void *user, const ts_trainer_report *report)
{
    telling *t = user;
    cli_progress *progress = &t->progress;
    if (t->values->stories > 0 && t->values->ranks.rank == 0 && report->due && report->valid_step == report->step && report->step != t->told)
        tell_stories(t, report);
    char steps[32] = "", left[64] = "", valid[64] = "", duration[40];
    if (!cli_progress_due(progress))
        return cli_interrupted();
    if (report->total_steps > 0)
        snprintf(steps, sizeof steps, " of %llu", (unsigned long long)report->total_steps);
    if (isfinite(report->remaining_seconds))
        snprintf(left, sizeof left, ", %s left", cli_duration(report->remaining_seconds, duration, sizeof duration));
    if (isfinite(report->valid_bits_per_byte))
        snprintf(valid, sizeof valid, ", valid %.3f bits/byte", report->valid_bits_per_byte);
    cli_progress_line(progress, "step %llu%s: %.3f nats/token, %.3f bits/byte%s, %.0f tokens/s%s", (unsigned long long)report->step, steps, report->loss,
                      report->bits_per_byte, valid, report->tokens_per_second, left);
    return cli_interrupted();
}

/* A word as a shell reads it: between single quotes unless it is plain. */
static void print_word(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+,:=@%";
    if (word[0] != 0 && word[strspn(word, plain)] == 0) {
        fprintf(stderr, " %s", word);
        return;
    }
    fputs(" '", stderr);
    for (; *word != 0; word++)
        fprintf(stderr, *word == '\'' ? "'\\''" : "%c", *word);
    fputc('\'', stderr);
}

static void print_words(const char *option, const char *const *words, size_t count)
{
    if (count > 0)
        fprintf(stderr, " %s", option);
    for (size_t i = 0; i < count; i++)
        print_word(words[i]);
}

/* The whole command that goes on with the run, to be copied into a shell. */
static void print_resume(const train_values *v)
{
    fputs("to go on: ", stderr);
    if (v->mpi)
        fprintf(stderr, "mpirun -n %d ", (int)v->ranks.size);
    fprintf(stderr, "tinystories train --resume%s", v->mpi ? " --mpi" : "");
    print_words("--run", &v->run, 1);
    print_words("--text", v->text.items, v->text.count);
    print_words("--valid", v->valid.items, v->valid.count);
    print_words("--out", &v->out, v->out != NULL);
    fputc('\n', stderr);
}

static void print_result(const train_values *v, const ts_trainer_report *r, const char *path, uint64_t parameters, bool interrupted)
{
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "model", path);
    if (v->run != NULL)
        cli_text(&o, "run", v->run);
    cli_integer(&o, "parameters", parameters);
    cli_integer(&o, "steps", r->step);
    cli_integer(&o, "tokens", r->tokens);
    cli_number(&o, "epochs", r->epoch, 2);
    cli_number(&o, "seconds", r->seconds, 1);
    cli_number(&o, "tokens_per_second", r->seconds > 0 ? (double)r->tokens / r->seconds : NAN, 0);
    cli_number(&o, "nats_per_token", r->loss, 4);
    cli_number(&o, "bits_per_byte", r->bits_per_byte, 4);
    cli_number(&o, "valid_nats_per_token", r->valid_nats_per_token, 4);
    cli_number(&o, "valid_bits_per_byte", r->valid_bits_per_byte, 4);
    cli_integer(&o, "skipped_steps", r->skipped_steps);
    if (v->mpi) {
        cli_integer(&o, "ranks", (uint64_t)v->ranks.size);
        cli_integer(&o, "exchange_bytes", r->exchange_bytes);
        cli_number(&o, "exchange_seconds", r->exchange_seconds, 3);
    }
    cli_integer(&o, "memory_peak_bytes", ts_runtime_memory_peak(v->common.runtime));
    cli_truth(&o, "interrupted", interrupted);
    cli_output_end(&o);
    if (interrupted && v->run != NULL && !v->common.quiet && cli_has_checkpoint(v->run))
        print_resume(v);
}

/* Writes the model, of an interrupted run as it is now, and says how the training went. Without --out it lies beside the checkpoint. */
static ts_status finish(ts_trainer *trainer, const train_values *v, bool interrupted)
{
    char beside[4096];
    const char *path = v->out;
    ts_model *model = NULL;
    ts_trainer_report report = {.struct_size = sizeof report};
    if (path == NULL && snprintf(beside, sizeof beside, "%s/model.gguf", v->run) >= (int)sizeof beside)
        return cli_fail("--run: the path is too long");
    if (path == NULL)
        path = beside;
    CLI_TRY(ts_trainer_state(trainer, &report));
    CLI_TRY(ts_trainer_snapshot(trainer, &model));
    ts_status status = ts_model_save(model, path);
    if (status == TS_OK)
        print_result(v, &report, path, ts_model_parameters(model), interrupted);
    ts_model_free(model);
    return status;
}

/* Writes the model of a run whose last checkpoint could not be written; the failure stays the run's. */
static void keep_model(ts_trainer *trainer, const train_values *v)
{
    char detail[512];
    ts_model *model = NULL;
    snprintf(detail, sizeof detail, "%s", ts_error_detail());
    ts_status status = ts_trainer_snapshot(trainer, &model);
    if (status == TS_OK)
        status = ts_model_save(model, v->out);
    ts_model_free(model);
    if (status == TS_OK)
        (void)cli_fail("no last checkpoint: %s; the model is whole in %s", detail, v->out);
    else
        (void)cli_fail("no last checkpoint: %s; nor a model: %s", detail, ts_error_detail());
}

/* ---- over several machines ---- */

#ifdef CLI_MPI
/* Rank 0 alone speaks and keeps what comes out. */
static ts_status begin_ranks(train_values *v)
{
    if (!v->mpi)
        return TS_OK;
    if (ts_mpi_begin(&v->ranks, NULL) != TS_OK)
        return cli_fail("--mpi: MPI does not begin");
    v->options.communicator = &v->ranks;
    v->common.quiet |= v->ranks.rank != 0;
    return TS_OK;
}

/* A rank that failed leaves MPI as it is: its end then ends the others. */
static void end_ranks(train_values *v, ts_status status)
{
    if (v->mpi && (status == TS_OK || status == TS_ERROR_CANCELLED))
        ts_mpi_end(&v->ranks);
}
#else
static ts_status begin_ranks(const train_values *v)
{
    return v->mpi ? cli_fail("--mpi: this tinystories was built without MPI (TINYSTORIES_MPI=ON)") : TS_OK;
}

static void end_ranks(const train_values *v, ts_status status)
{
    (void)v, (void)status;
}
#endif

static ts_status train(void *values)
{
    train_values *v = values;
    ts_trainer *trainer = NULL;
    telling t = {.values = v};
    CLI_TRY(check_values(v));
    CLI_TRY(begin_ranks(v));
    cli_progress_start(&t.progress, &v->common, "training the tokenizer", "merges");
    ts_status status = begin(&trainer, v, &t.progress);
    cli_progress_end(&t.progress);
    if (status == TS_OK) {
        t.trainer = trainer;
        status = ts_trainer_run(trainer, tell, &t);
        cli_progress_end(&t.progress);
        bool interrupted = status == TS_ERROR_CANCELLED && (cli_interrupted() || v->mpi);
        if (v->ranks.rank == 0 && (status == TS_OK || interrupted))
            status = finish(trainer, v, interrupted);
        else if (v->ranks.rank == 0 && status != TS_ERROR_DIVERGED && v->out != NULL && ts_trainer_done(trainer))
            keep_model(trainer, v); /* it is trained, only its last checkpoint failed */
        else if (interrupted)
            status = TS_OK;
    }
    ts_trainer_free(trainer);
    end_ranks(v, status);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(train_values, member)
static const cli_argument train_arguments[] = {
    {"--text", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(text), 0, 0, NULL, "files or patterns of stories, or token shards (.bin) made with --tokenizer"},
    {"--valid", "TEXT", CLI_PATHS, 0, OFFSET(valid), 0, 0, NULL, "stories to validate with; without it a share of the text is held out"},
    {"--out", "MODEL", CLI_TEXT, 0, OFFSET(out), 0, 0, NULL, "the model.gguf to write (default: model.gguf in the run folder)"},
    {"--run", "DIR", CLI_TEXT, 0, OFFSET(run), 0, 0, NULL, "folder for checkpoint and log, made if missing; without it no run can be resumed"},
    {"--resume", NULL, CLI_FLAG, 0, OFFSET(resume), 0, 0, NULL, "go on from the run folder's checkpoint, with the same text"},
    {"--preset", "NAME", CLI_CHOICE, CLI_FIXED, OFFSET(preset), 0, 0, ts_architecture_preset_name, "shape of the network"},
    {"--init", "MODEL", CLI_TEXT, CLI_FIXED, OFFSET(initial), 0, 0, NULL, "begin with this model's weights, shape and tokenizer (fine-tuning)"},
    {"--tokenizer", "T", CLI_TEXT, CLI_FIXED, OFFSET(tokenizer), 0, 0, NULL, "tokenizer to use; without it one is trained on the text"},
    {"--size", "N", CLI_UINT32, CLI_QUIET | CLI_FIXED, OFFSET(vocabulary.vocabulary_size), 257, 1048576, NULL, "tokens of a new one (default: the preset's)"},
    {"--minutes", "N", CLI_DOUBLE, CLI_ABOVE | CLI_QUIET, OFFSET(minutes), 0, 1e7, NULL, "stop after so many minutes of training"},
    {"--steps", "N", CLI_UINT64, CLI_QUIET, OFFSET(options.max_steps), 1, 1e15, NULL, "or after so many steps"},
    {"--tokens", "N", CLI_UINT64, CLI_QUIET, OFFSET(options.max_tokens), 1, 1e15, NULL, "or after so many tokens"},
    {"--epochs", "N", CLI_DOUBLE, CLI_ABOVE | CLI_QUIET, OFFSET(options.max_epochs), 0, 1e9, NULL, "or after so many passes (default: 1 without another end)"},
    {"--seed", "S", CLI_UINT64, CLI_FIXED, OFFSET(options.seed), 0, 0, NULL, "of the weights and the order of the data"},
    {"--context", "N", CLI_UINT32, CLI_QUIET | CLI_FIXED, OFFSET(shape.context_length), 1, 1048576, NULL, "tokens of a sequence (default: the preset's)"},
    {"--width", "N", CLI_UINT32, CLI_QUIET | CLI_FIXED, OFFSET(shape.width), 1, 65536, NULL, "width of the network (default: the preset's)"},
    {"--layers", "N", CLI_UINT32, CLI_QUIET | CLI_FIXED, OFFSET(shape.layers), 1, 1024, NULL, "layers (default: the preset's)"},
    {"--heads", "N", CLI_UINT32, CLI_QUIET | CLI_FIXED, OFFSET(shape.heads), 1, 65536, NULL, "attention heads (default: the preset's)"},
    {"--kv-heads", "N", CLI_UINT32, CLI_QUIET | CLI_FIXED, OFFSET(shape.key_value_heads), 1, 65536, NULL, "heads for keys and values (default: the preset's)"},
    {"--hidden", "N", CLI_UINT32, CLI_QUIET | CLI_FIXED, OFFSET(shape.hidden), 1, 1048576, NULL, "width inside the MLP (default: the preset's)"},
    {"--learning-rate", "X", CLI_DOUBLE, 0, OFFSET(options.learning_rate), 0, 1e6, NULL, "at its peak; 0: chosen by width, or the checkpoint's"},
    {"--final-rate", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.final_rate), 0, 1, NULL, "share of the peak that is left at the end"},
    {"--warmup", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.warmup), 0, 1, NULL, "share of the run in which the rate rises"},
    {"--schedule", "NAME", CLI_CHOICE, CLI_FIXED, OFFSET(options.schedule), 0, 0, schedule_name, "how the rate falls"},
    {"--beta1", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.beta1), 0, 0.999999, NULL, "decay of AdamW's first moment"},
    {"--beta2", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.beta2), 0, 0.999999, NULL, "decay of AdamW's second moment"},
    {"--epsilon", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.epsilon), 0, 1, NULL, "of AdamW"},
    {"--weight-decay", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.weight_decay), 0, 100, NULL, "of matrices alone"},
    {"--clip", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.clip), 0, 1e9, NULL, "largest norm of the gradient; 0: none"},
    {"--batch-tokens", "N", CLI_UINT32, CLI_FIXED, OFFSET(options.batch_tokens), 0, 1 << 30, NULL, "tokens of a step; 0: 8 sequences"},
    {"--micro-batch", "N", CLI_UINT32, CLI_FIXED, OFFSET(options.micro_batch), 0, 65536, NULL, "sequences in memory at once; 0: 8"},
    {"--optimizer", "NAME", CLI_CHOICE, CLI_FIXED, OFFSET(options.optimizer), 0, 0, optimizer_name, "muon: for the matrices within layers, AdamW for the rest"},
    {"--precision", "NAME", CLI_CHOICE, 0, OFFSET(options.precision), 0, 0, precision_name, "of matrix products; auto: bf16 where the processor has AVX-512 BF16 or AMX"},
    {"--packing", "NAME", CLI_CHOICE, CLI_FIXED, OFFSET(options.packing), 0, 0, packing_name, "stories: shuffled one by one, and none sees another"},
    {"--average", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.average), 0, 0.999999, NULL, "decay of a moving average of the weights; 0: none"},
    {"--use-average", "N", CLI_UINT32, CLI_FIXED, OFFSET(options.use_average), 0, 1, NULL, "1: validations and models are of the average; 0: of the weights"},
    {"--spike", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.spike), 0, 1e6, NULL, "skip a step whose loss is so many deviations above the mean; 0: none"},
    {"--spike-window", "N", CLI_UINT32, CLI_FIXED, OFFSET(options.spike_window), 2, 1000000, NULL, "steps that the mean and deviation are of"},
    {"--one-batch", NULL, CLI_FLAG, CLI_FIXED, OFFSET(options.one_batch), 0, 0, NULL, "every step sees the first batch: a check that it can be learned"},
    {"--decay", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.decay), 0, 1, NULL, "share of the run in which the schedule wsd falls"},
    {"--muon-beta", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.muon_beta), 0, 0.999999, NULL, "decay of Muon's momentum"},
    {"--recompute", NULL, CLI_FLAG, CLI_FIXED, OFFSET(options.recompute), 0, 0, NULL, "work activations out twice instead of keeping them: less memory, the same bits"},
    {"--slices", "N", CLI_UINT32, CLI_FIXED, OFFSET(options.slices), 0, 256, NULL, "parts of a batch, a power of two, whose gradients are added pairwise; 0: one"},
    {"--mpi", NULL, CLI_FLAG, 0, OFFSET(mpi), 0, 0, NULL, "this is one of the ranks that mpirun has started; --slices is at least their number"},
    {"--valid-share", "X", CLI_DOUBLE, CLI_FIXED, OFFSET(options.valid_share), 0, 0.5, NULL, "share of the stories that is held out without --valid"},
    {"--valid-interval", "N", CLI_UINT32, 0, OFFSET(options.valid_interval), 0, 0, NULL, "steps between validations; 0: 100, or more where much is held out"},
    {"--stories", "N", CLI_UINT32, 0, OFFSET(stories), 0, 1000, NULL, "tell so many stories after each validation, which go into the run's log too"},
    {"--story-prompt", "P", CLI_TEXT, 0, OFFSET(prompt), 0, 0, NULL, "how they begin"},
    {"--checkpoint-interval", "N", CLI_UINT32, 0, OFFSET(options.checkpoint_interval), 0, 0, NULL, "steps between checkpoints; 0: every minute"},
    {"--keep-last", "N", CLI_UINT32, CLI_QUIET, OFFSET(options.keep_last), 1, 0, NULL, "checkpoints in the run folder, the newest and those before it (default: 2)"},
    {"--keep-every", "N", CLI_UINT32, CLI_QUIET, OFFSET(options.keep_every), 1, 0, NULL, "make a checkpoint at every multiple of N steps, and never remove it"},
    {"--max-skips", "N", CLI_UINT32, CLI_QUIET, OFFSET(options.max_skips), 1, 0, NULL, "steps in a row with numbers that are not finite that end the run (default: 5)"},
    {"--keep-best", NULL, CLI_FLAG, 0, OFFSET(options.keep_best), 0, 0, NULL, "keep the model of the lowest validation as best.gguf in the run folder"},
    {"--csv-log", NULL, CLI_FLAG, 0, OFFSET(options.csv_log), 0, 0, NULL, "keep the log as a table too, log.csv in the run folder"},
    {"--log-interval", "N", CLI_UINT32, 0, OFFSET(options.log_interval), 1, 0, NULL, "steps between lines of the log and of the progress"},
};

const cli_command cli_train_commands[] = {
    {"train", NULL, "train a model on stories",
     "Losses are of the last batch, in nats per token and bits per byte. SIGINT (Ctrl-C) and SIGTERM end the run in order: the model is written as it is, and\n"
     "with --run a checkpoint from which --resume goes on. A run by steps, tokens or epochs gives the same model whether or not it was interrupted.",
     train_arguments, CLI_COUNT_OF(train_arguments), sizeof(train_values), train_defaults, train},
    {0},
};

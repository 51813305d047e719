/* study grid: many shapes trained alike, and how their losses go with size and compute */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "study.h"

enum { MOST_MODELS = 256, MOST_SHAPES = 32 };

typedef struct grid_values {
    cli_common common;
    cli_paths text, valid, widths, depths, heads, judge_text;
    const char *tokenizer, *run, *prompts;
    uint32_t preset, size, context, per_prompt;
    double minutes, confidence;
    ts_trainer_options options;
    ts_sampler_options sampling;
    ts_evaluator_options judging;
    cli_chat chat;
} grid_values;

/* The study while it is made. */
typedef struct grid {
    const grid_values *v;
    ts_prompts *prompts; /* NULL: nothing is graded */
    ts_tokenizer *tokenizer;
    ts_architecture base; /* the preset's */
    uint32_t widths[MOST_SHAPES], depths[MOST_SHAPES], heads[MOST_SHAPES];
    study_model *models;
    size_t count, left_out;
    ts_evaluator *evaluator; /* of the grading that is going on */
    uint64_t judge_requests, judge_tokens;
    double judge_money;
    ts_power_law by_size, by_inner, by_compute; /* count 0: there is none */
    cli_progress progress;
} grid;

static const char *schedule_name(size_t index)
{
    static const char *const names[] = {"cosine", "linear", "constant", "wsd"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static void grid_defaults(void *values)
{
    grid_values *v = values;
    cli_choose("--preset", "laptop-1m", ts_architecture_preset_name, &v->preset);
    ts_trainer_options_init(&v->options, sizeof v->options);
    ts_sampler_options_init(&v->sampling, sizeof v->sampling);
    v->sampling.temperature = 1; /* as the paper grades */
    v->sampling.max_tokens = 200;
    v->per_prompt = 3;
    v->confidence = 0.95;
    ts_evaluator_options_init(&v->judging, sizeof v->judging);
    cli_chat_defaults(&v->chat);
}

/* ---- the grid ---- */

static ts_status read_numbers(const char *option, const cli_paths *texts, uint32_t *numbers)
{
    if (texts->count > MOST_SHAPES)
        return cli_fail("%s has %zu numbers, expected at most %d", option, texts->count, MOST_SHAPES);
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->items[i];
        unsigned long number = strspn(text, "0123456789") == strlen(text) && strlen(text) < 6 ? strtoul(text, NULL, 10) : 0;
        if (number == 0)
            return cli_fail("%s has '%s', expected whole numbers from 1 to 99999", option, text);
        numbers[i] = (uint32_t)number;
    }
    return TS_OK;
}

/* Heads that were not asked for are as wide as the preset's, or what is left where the width is no multiple. */
static uint32_t heads_for(const ts_architecture *base, uint32_t width)
{
    uint32_t size = base->width / base->heads, heads = width / size > 0 ? width / size : 1;
    while (heads > 1 && (width % heads != 0 || width / heads % 2 != 0))
        heads--;
    return heads;
}

static ts_status add_model(grid *g, uint32_t width, uint32_t depth, uint32_t heads)
{
    ts_architecture a = g->base;
    a.vocabulary_size = ts_tokenizer_size(g->tokenizer);
    a.width = width;
    a.layers = depth;
    a.heads = heads;
    a.hidden = a.key_value_heads = 0;
    if (g->v->context > 0)
        a.context_length = g->v->context;
    if (g->count == MOST_MODELS)
        return cli_usage("the grid has more than %d models", MOST_MODELS);
    study_model *m = &g->models[g->count];
    *m = (study_model){.shape = a};
    snprintf(m->name, sizeof m->name, "width%u-depth%u-heads%u", width, depth, heads);
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(g->models[i].name, m->name) == 0) /* a number that was given twice */
            return TS_OK;
    if (ts_architecture_parameters(&m->shape, &m->parameters) != TS_OK) { /* such a width has no such heads */
        g->left_out++;
        return TS_OK;
    }
    m->inner = m->parameters - (uint64_t)m->shape.vocabulary_size * width * (m->shape.untied_head ? 2 : 1);
    CLI_TRY(study_path(m->folder, sizeof m->folder, g->v->run, m->name));
    g->count++;
    return study_read_model(m);
}

static ts_status make_grid(grid *g)
{
    const grid_values *v = g->v;
    g->models = calloc(MOST_MODELS, sizeof *g->models);
    if (g->models == NULL)
        return cli_fail("there is no memory");
    for (size_t i = 0; i < (v->widths.count > 0 ? v->widths.count : 1); i++)
        for (size_t j = 0; j < (v->depths.count > 0 ? v->depths.count : 1); j++)
            for (size_t k = 0; k < (v->heads.count > 0 ? v->heads.count : 1); k++) {
                uint32_t width = v->widths.count > 0 ? g->widths[i] : g->base.width, depth = v->depths.count > 0 ? g->depths[j] : g->base.layers;
                CLI_TRY(add_model(g, width, depth, v->heads.count > 0 ? g->heads[k] : heads_for(&g->base, width)));
            }
    return g->count > 0 ? TS_OK : cli_usage("no shape of the grid can be made: a width must be a multiple of its heads");
}

/* ---- the folder ---- */

/* That of the study. One that is given to a command for the same folder must be the same. */
static ts_status open_tokenizer(grid *g, const char *path)
{
    const grid_values *v = g->v;
    ts_tokenizer *given = NULL;
    CLI_TRY(ts_tokenizer_open(&g->tokenizer, v->common.runtime, path));
    if (v->tokenizer == NULL)
        return TS_OK;
    CLI_TRY(ts_tokenizer_open(&given, v->common.runtime, v->tokenizer));
    bool same = ts_tokenizer_fingerprint(given) == ts_tokenizer_fingerprint(g->tokenizer);
    ts_tokenizer_free(given);
    return same ? TS_OK : cli_fail("%s has a study with another tokenizer than %s: expected the same, or another folder", v->run, v->tokenizer);
}

static ts_status make_tokenizer(grid *g)
{
    const grid_values *v = g->v;
    char path[4096];
    ts_tokenizer_train_options options;
    CLI_TRY(study_path(path, sizeof path, v->run, "tokenizer.json"));
    if (access(path, F_OK) == 0)
        return open_tokenizer(g, path);
    if (v->tokenizer != NULL) {
        CLI_TRY(ts_tokenizer_open(&g->tokenizer, v->common.runtime, v->tokenizer));
        return ts_tokenizer_save(g->tokenizer, path);
    }
    CLI_TRY(ts_tokenizer_train_options_init(&options, sizeof options));
    options.vocabulary_size = v->size > 0 ? v->size : g->base.vocabulary_size;
    options.progress = cli_progress_tokenizer;
    options.progress_user = &g->progress;
    ts_status status = ts_tokenizer_train_files(&g->tokenizer, v->common.runtime, v->text.items, v->text.count, &options);
    cli_progress_end(&g->progress);
    return status == TS_OK ? ts_tokenizer_save(g->tokenizer, path) : status;
}

static ts_status check_settings(const grid *g)
{
    const grid_values *v = g->v;
    const ts_trainer_options *o = &v->options;
    char text[1024], texts[64], valid[64];
    CLI_TRY(study_fingerprint(texts, sizeof texts, &v->text));
    CLI_TRY(study_fingerprint(valid, sizeof valid, &v->valid));
    snprintf(text, sizeof text,
             "preset %s\ncontext %u\nminutes %.15g\nsteps %llu\ntokens %llu\nseed %llu\nlearning rate %.15g\nschedule %s\nbatch tokens %u\nvocabulary %u\n"
             "text %s\nvalid %s\n",
             ts_architecture_preset_name(v->preset), v->context, v->minutes, (unsigned long long)o->max_steps, (unsigned long long)o->max_tokens,
             (unsigned long long)o->seed, o->learning_rate, schedule_name(o->schedule), o->batch_tokens,
             v->size > 0 ? v->size : ts_tokenizer_size(g->tokenizer), texts, valid);
    return study_check_settings(v->run, text);
}

/* ---- training ---- */

static ts_status train_all(grid *g)
{
    ts_status status = TS_OK;
    size_t finished = 0;
    for (size_t i = 0; i < g->count; i++)
        finished += g->models[i].finished;
    for (size_t i = 0; i < g->count && status == TS_OK; i++) {
        char title[128];
        if (g->models[i].finished)
            continue;
        snprintf(title, sizeof title, "%s (%zu of %zu)", g->models[i].name, i + 1, g->count);
        status = study_train_model(&g->models[i], g->v->common.runtime, g->tokenizer, &g->v->options, &g->progress, title);
        finished += status == TS_OK;
    }
    if (status == TS_ERROR_CANCELLED && cli_interrupted())
        return cli_fail("interrupted; %zu of %zu models are finished in %s: the same command goes on", finished, g->count, g->v->run);
    return status;
}

/* ---- grades ---- */

static ts_status grade_model(grid *g, const study_model *m)
{
    char path[4096];
    ts_model *model = NULL;
    cli_completions telling = {.get = cli_prompts_get, .prompts = g->prompts, .count = ts_prompts_count(g->prompts), .per_prompt = g->v->per_prompt,
                               .seed = g->v->options.seed, .sampling = &g->v->sampling, .name = m->name};
    CLI_TRY(study_path(path, sizeof path, m->folder, "model.gguf"));
    CLI_TRY(ts_model_open(&model, g->v->common.runtime, path, NULL));
    ts_status status = cli_complete(model, &telling, g->evaluator, &g->progress);
    ts_model_free(model);
    return status;
}

/* The embedded judge reads its text once, and grades the completions of all models together. */
static ts_status grade_embedded(grid *g, ts_evaluator_options *options)
{
    const grid_values *v = g->v;
    char path[4096];
    options->text = v->judge_text.count > 0 ? v->judge_text.items : v->text.items;
    options->text_count = v->judge_text.count > 0 ? v->judge_text.count : v->text.count;
    CLI_TRY(ts_evaluator_new(&g->evaluator, v->common.runtime, options));
    for (size_t i = 0; i < g->count; i++)
        CLI_TRY(grade_model(g, &g->models[i]));
    CLI_TRY(ts_evaluator_run(g->evaluator, cli_progress_tell, &g->progress));
    cli_progress_end(&g->progress);
    for (size_t i = 0; i < g->count; i++)
        CLI_TRY(ts_evaluator_evaluate(g->evaluator, g->models[i].name, &g->models[i].grades));
    CLI_TRY(study_path(path, sizeof path, v->run, "grades.json"));
    return ts_evaluator_write(g->evaluator, path);
}

/* What was paid for is in a journal of the model's own, so that further models leave it as it is. */
static ts_status grade_by_chat(grid *g, study_model *m, ts_evaluator_options *options)
{
    const grid_values *v = g->v;
    char path[4096], detail[512];
    ts_chat_options chat = v->chat.options;
    ts_chat_report report = {.struct_size = sizeof report};
    CLI_TRY(study_path(path, sizeof path, m->folder, "judge.journal"));
    chat.journal = path;
    options->chat = &chat;
    CLI_TRY(ts_evaluator_new(&g->evaluator, v->common.runtime, options));
    CLI_TRY(grade_model(g, m));
    cli_chat_progress_start(&g->progress, &v->common, "judging", "replies");
    ts_status status = ts_evaluator_run(g->evaluator, cli_progress_tell, &g->progress);
    snprintf(detail, sizeof detail, "%s", ts_error_detail());
    cli_progress_end(&g->progress);
    if (ts_evaluator_chat_report(g->evaluator, &report) == TS_OK) {
        g->judge_requests += report.requests;
        g->judge_tokens += report.prompt_tokens + report.completion_tokens;
        g->judge_money += report.money;
    }
    if (status != TS_OK)
        return cli_fail("%s: %s; %s has %llu replies: the same command goes on", m->name, status == TS_ERROR_CANCELLED ? "interrupted" : detail, path,
                        (unsigned long long)(report.answered + report.cut + report.filtered + report.invalid));
    CLI_TRY(ts_evaluator_evaluate(g->evaluator, m->name, &m->grades));
    CLI_TRY(study_path(path, sizeof path, m->folder, "grades.json"));
    CLI_TRY(ts_evaluator_write(g->evaluator, path));
    ts_evaluator_free(g->evaluator);
    g->evaluator = NULL;
    return TS_OK;
}

static ts_status grade_all(grid *g)
{
    const grid_values *v = g->v;
    ts_evaluator_options options = v->judging;
    ts_status status = TS_OK;
    if (g->prompts == NULL)
        return TS_OK;
    options.seed = v->options.seed;
    options.confidence = v->confidence;
    for (size_t i = 0; i < g->count; i++)
        g->models[i].grades.struct_size = sizeof g->models[i].grades;
    if (options.judge == TS_JUDGE_EMBEDDED)
        status = grade_embedded(g, &options);
    for (size_t i = 0; i < g->count && status == TS_OK && options.judge == TS_JUDGE_CHAT; i++)
        status = grade_by_chat(g, &g->models[i], &options);
    if (status != TS_OK && options.judge == TS_JUDGE_EMBEDDED && cli_interrupted())
        return cli_fail("interrupted; all %zu models are finished in %s and not graded: the same command goes on", g->count, v->run);
    return status;
}

/* ---- laws ---- */

static double compute_of(const study_model *m, double tokens)
{
    return 6 * (double)m->parameters * tokens;
}

/* A law needs three different sizes; without them it stays empty. */
static ts_status fit(ts_power_law *law, const double *x, const double *y, size_t count, double confidence)
{
    size_t different = 0;
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t j = 0; j < i; j++)
            seen = seen || x[j] == x[i];
        different += !seen;
    }
    *law = (ts_power_law){.struct_size = sizeof *law};
    return different >= 3 ? ts_power_law_fit(x, y, count, confidence, law) : TS_OK;
}

/* Against compute the law goes through the best that there was for each amount: of every validation of every model, those that none beats with less. */
static ts_status fit_compute(grid *g, double *x, double *y, uint8_t *best)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < g->count; i++)
        for (size_t j = 0; j < g->models[i].point_count; j++) {
            x[count] = compute_of(&g->models[i], g->models[i].points[j].tokens);
            y[count++] = g->models[i].points[j].bits_per_byte;
        }
    CLI_TRY(ts_frontier_mark(x, y, count, best));
    for (size_t i = 0; i < count; i++)
        if (best[i]) {
            x[kept] = x[i];
            y[kept++] = y[i];
        }
    return fit(&g->by_compute, x, y, kept, g->v->confidence);
}

static ts_status fit_all(grid *g)
{
    size_t points = g->count;
    for (size_t i = 0; i < g->count; i++)
        points += g->models[i].point_count;
    double *x = calloc(points, sizeof *x), *y = calloc(points, sizeof *y);
    uint8_t *best = calloc(points, 1);
    ts_status status = x != NULL && y != NULL && best != NULL ? TS_OK : cli_fail("there is no memory");
    for (size_t i = 0; i < g->count && status == TS_OK; i++) {
        x[i] = (double)g->models[i].parameters;
        y[i] = g->models[i].bits_per_byte;
    }
    if (status == TS_OK)
        status = fit(&g->by_size, x, y, g->count, g->v->confidence);
    for (size_t i = 0; i < g->count && status == TS_OK; i++)
        x[i] = (double)g->models[i].inner;
    if (status == TS_OK)
        status = fit(&g->by_inner, x, y, g->count, g->v->confidence);
    if (status == TS_OK)
        status = fit_compute(g, x, y, best);
    free(x);
    free(y);
    free(best);
    return status;
}

/* ---- results ---- */

static void print_law(cli_output *o, const char *name, const char *x, const ts_power_law *law)
{
    char line[160];
    if (law->count == 0)
        return;
    if (!o->json) {
        snprintf(line, sizeof line, "%.4g x^%.4f (%.4f to %.4f), %llu points, %.0f %% of the variance", law->factor, law->exponent, law->exponent_low,
                 law->exponent_high, (unsigned long long)law->count, 100 * law->explained);
        cli_text(o, name, line);
        return;
    }
    cli_open(o, NULL, '{');
    cli_text(o, "x", x);
    cli_text(o, "y", "bits_per_byte");
    cli_number(o, "factor", law->factor, 6);
    cli_number(o, "exponent", law->exponent, 4);
    cli_number(o, "exponent_low", law->exponent_low, 4);
    cli_number(o, "exponent_high", law->exponent_high, 4);
    cli_number(o, "deviation", law->deviation, 4);
    cli_number(o, "explained", law->explained, 4);
    cli_integer(o, "points", law->count);
    cli_text(o, "interval", "least squares of the logarithms, Student's t");
    cli_close(o, '}');
}

static void print_grade(cli_output *o, const char *axis, const ts_grade_mean *grade)
{
    char low[32], high[32];
    snprintf(low, sizeof low, "%s_low", axis);
    snprintf(high, sizeof high, "%s_high", axis);
    cli_number(o, axis, grade->mean, 2);
    cli_number(o, low, grade->low, 2);
    cli_number(o, high, grade->high, 2);
}

static void print_model(cli_output *o, const study_model *m)
{
    cli_open(o, NULL, '{');
    cli_text(o, "name", m->name);
    cli_integer(o, "width", m->shape.width);
    cli_integer(o, "depth", m->shape.layers);
    cli_integer(o, "heads", m->shape.heads);
    cli_integer(o, "parameters", m->parameters);
    cli_integer(o, "inner_parameters", m->inner);
    cli_integer(o, "steps", m->steps);
    cli_integer(o, "tokens", m->tokens);
    cli_number(o, "seconds", m->seconds, 1);
    cli_number(o, "compute", compute_of(m, (double)m->tokens), 0);
    cli_number(o, "nats_per_token", m->valid_nats_per_token, 4);
    cli_number(o, "bits_per_byte", m->bits_per_byte, 4);
    for (uint32_t axis = 0; axis < TS_AXIS_PLOT && m->grades.records > 0; axis++)
        print_grade(o, ts_axis_name(axis), &m->grades.axes[axis]);
    cli_open(o, "points", '[');
    for (size_t i = 0; i < m->point_count; i++) {
        cli_open(o, NULL, '{');
        cli_number(o, "tokens", m->points[i].tokens, 0);
        cli_number(o, "compute", compute_of(m, m->points[i].tokens), 0);
        cli_number(o, "bits_per_byte", m->points[i].bits_per_byte, 4);
        cli_close(o, '}');
    }
    cli_close(o, ']');
    cli_close(o, '}');
}

/* As JSON. */
static void print_study(const grid *g, cli_output *o)
{
    cli_text(o, "study", "grid");
    cli_text(o, "text", g->v->text.items[0]);
    cli_text(o, "valid", g->v->valid.count > 0 ? g->v->valid.items[0] : "held out");
    if (g->v->prompts != NULL)
        cli_text(o, "judge", ts_judge_name(g->v->judging.judge));
    if (g->v->prompts != NULL && g->v->judging.judge == TS_JUDGE_CHAT) {
        cli_text(o, "judge_model", g->v->chat.options.model);
        cli_integer(o, "judge_requests", g->judge_requests);
        cli_integer(o, "judge_tokens", g->judge_tokens);
        cli_number(o, "judge_money", g->judge_money, 6);
    } else if (g->v->prompts != NULL) {
        cli_text(o, "judge_text", g->v->judge_text.count > 0 ? g->v->judge_text.items[0] : g->v->text.items[0]);
    }
    cli_number(o, "confidence", g->v->confidence, 2);
    cli_open(o, "models", '[');
    for (size_t i = 0; i < g->count; i++)
        print_model(o, &g->models[i]);
    cli_close(o, ']');
    cli_open(o, "laws", '[');
    print_law(o, "size", "parameters", &g->by_size);
    print_law(o, "inner", "inner_parameters", &g->by_inner);
    print_law(o, "compute", "compute", &g->by_compute);
    cli_close(o, ']');
    cli_output_end(o);
}

static ts_status write_study(const grid *g)
{
    char path[4096];
    cli_file file;
    CLI_TRY(study_path(path, sizeof path, g->v->run, "study.json"));
    CLI_TRY(cli_file_open(&file, path));
    cli_output o = cli_output_to(file.stream);
    print_study(g, &o);
    return cli_file_close(&file, TS_OK);
}

static void print_cell(const ts_grade_mean *grade)
{
    char cell[48] = "none";
    if (!isnan(grade->low))
        snprintf(cell, sizeof cell, "%.2f (%.2f to %.2f)", grade->mean, grade->low, grade->high);
    else if (!isnan(grade->mean))
        snprintf(cell, sizeof cell, "%.2f", grade->mean);
    printf(" %19s", cell);
}

/* For people: a line a model. */
static void print_table(const grid *g)
{
    bool graded = g->v->prompts != NULL, chat = g->v->judging.judge == TS_JUDGE_CHAT;
    cli_output o = cli_output_start(&g->v->common);
    printf("%6s %6s %6s %12s %12s %12s %9s%s\n", "width", "depth", "heads", "parameters", "inner", "tokens", "bits/byte", 
           graded ? "            grammar          creativity         consistency" : "");
    for (size_t i = 0; i < g->count; i++) {
        const study_model *m = &g->models[i];
        printf("%6u %6u %6u %12llu %12llu %12llu %9.4f", m->shape.width, m->shape.layers, m->shape.heads, (unsigned long long)m->parameters,
               (unsigned long long)m->inner, (unsigned long long)m->tokens, m->bits_per_byte);
        for (uint32_t axis = 0; axis < TS_AXIS_PLOT && graded; axis++)
            print_cell(&m->grades.axes[axis]);
        putchar('\n');
    }
    if (graded)
        printf("Grades are %s%s; their intervals are by resampling prompts.\n", chat ? "those of " : "the embedded judge's", chat ? g->v->chat.options.model : "");
    print_law(&o, "bits_per_byte_by_parameters", NULL, &g->by_size);
    print_law(&o, "by_inner_parameters", NULL, &g->by_inner);
    print_law(&o, "by_compute_at_best", NULL, &g->by_compute);
}

/* ---- the command ---- */

static ts_status check_judge(grid_values *v)
{
    static const char *const graded[] = {"--judge-text", "--completions-per-prompt", "--completion-tokens", "--temperature", "--judge"};
    for (size_t i = 0; v->prompts == NULL && i < CLI_COUNT_OF(graded); i++)
        if (cli_given(&v->common, graded[i]))
            return cli_usage("%s needs --prompts FILE: nothing is graded without", graded[i]);
    if (v->judging.judge == TS_JUDGE_EMBEDDED) {
        CLI_TRY(cli_chat_refuse(&v->common, &v->chat, "--judge embedded"));
        bool asked = v->judging.templates != NULL || v->judging.schema || cli_given(&v->common, "--repeats") || cli_given(&v->common, "--asks");
        return asked ? cli_usage("--templates, --schema, --repeats and --asks are for a chat service, but this is --judge embedded") : TS_OK;
    }
    if (v->judge_text.count > 0)
        return cli_usage("--judge-text is for the embedded judge, but this is --judge chat");
    if (v->chat.options.model == NULL)
        return cli_usage("--judge-model is missing: what the service calls the model that judges");
    if (v->chat.options.journal != NULL)
        return cli_usage("--journal cannot be chosen: every model's folder gets one of its own, judge.journal");
    v->chat.options.journal = v->run; /* in place of those */
    return cli_chat_begin(&v->common, &v->chat, false);
}

static ts_status check_call(grid_values *v, grid *g)
{
    CLI_TRY(read_numbers("--widths", &v->widths, g->widths));
    CLI_TRY(read_numbers("--depths", &v->depths, g->depths));
    CLI_TRY(read_numbers("--heads", &v->heads, g->heads));
    if (v->minutes == 0 && v->options.max_tokens == 0 && v->options.max_steps == 0)
        return cli_usage("expected --minutes, --tokens or --steps: what each model may have");
    if (v->tokenizer != NULL && v->size > 0)
        return cli_usage("--size is of a tokenizer that is trained here and cannot stand beside --tokenizer");
    CLI_TRY(check_judge(v));
    for (size_t i = 0; i < v->text.count + v->valid.count; i++)
        if (strcmp(i < v->text.count ? v->text.items[i] : v->valid.items[i - v->text.count], "-") == 0)
            return cli_usage("a text is '-', expected a file: each model reads it");
    v->options.text = v->text.items;
    v->options.text_count = v->text.count;
    v->options.valid = v->valid.count > 0 ? v->valid.items : NULL;
    v->options.valid_count = v->valid.count;
    v->options.max_seconds = v->minutes * 60;
    return TS_OK;
}

/* What grades are made of, which is looked at long before. */
static ts_status open_grading(grid *g)
{
    const grid_values *v = g->v;
    const char *const files[] = {v->judging.templates, v->chat.options.key_file, v->chat.options.prices, v->chat.options.ca_file};
    if (v->prompts == NULL)
        return TS_OK;
    for (size_t i = 0; i < CLI_COUNT_OF(files) + v->judge_text.count; i++) {
        const char *file = i < CLI_COUNT_OF(files) ? files[i] : v->judge_text.items[i - CLI_COUNT_OF(files)];
        if (file != NULL && strcmp(file, "-") != 0 && access(file, R_OK) != 0)
            return cli_fail("%s: cannot be read: %s", file, strerror(errno));
    }
    return ts_prompts_open(&g->prompts, v->common.runtime, v->prompts);
}

static ts_status make_study(grid *g)
{
    const grid_values *v = g->v;
    CLI_TRY(open_grading(g));
    CLI_TRY(ts_architecture_init(&g->base, sizeof g->base));
    CLI_TRY(ts_architecture_preset(&g->base, ts_architecture_preset_name(v->preset)));
    CLI_TRY(study_make_folder(v->run));
    cli_progress_start(&g->progress, &v->common, "working", "steps");
    CLI_TRY(make_tokenizer(g));
    CLI_TRY(check_settings(g));
    CLI_TRY(make_grid(g));
    if (g->left_out > 0 && !v->common.quiet)
        fprintf(stderr, "%zu shapes are left out: their width is no multiple of their heads, or a head has an odd width\n", g->left_out);
    CLI_TRY(train_all(g));
    CLI_TRY(grade_all(g));
    CLI_TRY(fit_all(g));
    return write_study(g);
}

static ts_status study_grid(void *values)
{
    grid_values *v = values;
    grid g = {.v = v};
    CLI_TRY(check_call(v, &g));
    ts_status status = make_study(&g);
    cli_progress_end(&g.progress);
    if (status == TS_OK && v->common.json) {
        cli_output o = cli_output_start(&v->common);
        print_study(&g, &o);
    } else if (status == TS_OK) {
        print_table(&g);
    }
    for (size_t i = 0; i < g.count; i++)
        free(g.models[i].points);
    free(g.models);
    ts_evaluator_free(g.evaluator);
    ts_prompts_free(g.prompts);
    cli_chat_end(&v->chat);
    ts_tokenizer_free(g.tokenizer);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(grid_values, member)
static const cli_argument grid_arguments[] = {
    {"--text", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(text), 0, 0, NULL, "files of stories that every model learns from"},
    {"--valid", "TEXT", CLI_PATHS, 0, OFFSET(valid), 0, 0, NULL, "stories to measure with; without it a share of the text is held out"},
    {"--run", "DIR", CLI_TEXT, CLI_REQUIRED, OFFSET(run), 0, 0, NULL, "folder of the study: a folder a model, study.json, grades.json"},
    {"--widths", "N", CLI_PATHS, 0, OFFSET(widths), 0, 0, NULL, "widths of the networks (default: the preset's)"},
    {"--depths", "N", CLI_PATHS, 0, OFFSET(depths), 0, 0, NULL, "numbers of layers (default: the preset's)"},
    {"--heads", "N", CLI_PATHS, 0, OFFSET(heads), 0, 0, NULL, "numbers of heads (default: heads as wide as the preset's)"},
    {"--minutes", "N", CLI_DOUBLE, CLI_ABOVE | CLI_QUIET, OFFSET(minutes), 0, 1e7, NULL, "minutes of training that each model has"},
    {"--tokens", "N", CLI_UINT64, CLI_QUIET, OFFSET(options.max_tokens), 1, 1e15, NULL, "or tokens"},
    {"--steps", "N", CLI_UINT64, CLI_QUIET, OFFSET(options.max_steps), 1, 1e15, NULL, "or steps"},
    {"--preset", "NAME", CLI_CHOICE, 0, OFFSET(preset), 0, 0, ts_architecture_preset_name, "what the grid does not say: kind, context, vocabulary"},
    {"--tokenizer", "T", CLI_TEXT, 0, OFFSET(tokenizer), 0, 0, NULL, "tokenizer of all models; without it one is trained on the text"},
    {"--size", "N", CLI_UINT32, CLI_QUIET, OFFSET(size), 257, 1048576, NULL, "tokens of a new one (default: the preset's)"},
    {"--context", "N", CLI_UINT32, CLI_QUIET, OFFSET(context), 1, 1048576, NULL, "tokens of a sequence (default: the preset's)"},
    {"--seed", "S", CLI_UINT64, 0, OFFSET(options.seed), 0, 0, NULL, "of the weights, the order of the data, and the completions"},
    {"--learning-rate", "X", CLI_DOUBLE, 0, OFFSET(options.learning_rate), 0, 1e6, NULL, "at its peak; 0: chosen by width"},
    {"--schedule", "NAME", CLI_CHOICE, 0, OFFSET(options.schedule), 0, 0, schedule_name, "of the learning rate; constant as in the paper"},
    {"--batch-tokens", "N", CLI_UINT32, 0, OFFSET(options.batch_tokens), 0, 0, NULL, "tokens a step; 0: 8 sequences"},
    {"--valid-interval", "N", CLI_UINT32, 0, OFFSET(options.valid_interval), 0, 0, NULL, "steps between validations, points for the law of compute; 0: at the end alone"},
    {"--prompts", "FILE", CLI_TEXT, 0, OFFSET(prompts), 0, 0, NULL, "beginnings to complete, for grades (as evaluate judge)"},
    {"--completions-per-prompt", "N", CLI_UINT32, 0, OFFSET(per_prompt), 1, 100000, NULL, "of each beginning"},
    {"--completion-tokens", "N", CLI_UINT32, 0, OFFSET(sampling.max_tokens), 0, 0, NULL, "most tokens of a completion; 0: until the story or the context ends"},
    {"--temperature", "T", CLI_FLOAT, 0, OFFSET(sampling.temperature), 0, 100, NULL, "of completions"},
    {"--judge-text", "TEXT", CLI_PATHS, 0, OFFSET(judge_text), 0, 0, NULL, "embedded: stories that its n-gram model learns from (default: the text)"},
    {"--confidence", "C", CLI_DOUBLE, CLI_ABOVE, OFFSET(confidence), 0, 0.9999, NULL, "of intervals"},
    {"--judge", "NAME", CLI_CHOICE, 0, OFFSET(judging.judge), 0, 0, cli_judge_name, "who grades"},
    {"--repeats", "K", CLI_UINT32, 0, OFFSET(judging.repeats), 1, 1000, NULL, "chat, as all that follow: judgments of each completion"},
    {"--asks", "N", CLI_UINT32, 0, OFFSET(judging.asks), 1, 7, NULL, "times that grades are asked for until they can be read"},
    {"--schema", NULL, CLI_FLAG, 0, OFFSET(judging.schema), 0, 0, NULL, "ask for grades as JSON by a schema, where the service has that"},
    {"--templates", "FILE", CLI_TEXT, 0, OFFSET(judging.templates), 0, 0, NULL, "what the service is asked; the form is told in judge.txt"},
    CLI_CHAT_ARGUMENTS(grid_values, chat, "judge-"),
};
#undef OFFSET

const cli_command cli_study_commands[] = {
    {"study", "grid", "train models of many shapes alike, and fit how loss goes with size and compute",
     "Every width with every depth and every number of heads is trained in a folder of its own; the same command goes on with what was stopped (Ctrl-C) or killed,\n"
     "and with further widths, depths and heads trains only these. Afterwards the losses on the valid text, grades if there are --prompts, and three power laws\n"
     "of the loss in bits per byte: by all parameters, by those without the token embedding, and by compute (6 x parameters x tokens) through the validations that no\n"
     "other one beats with as little compute. Each exponent has an interval by the covariance of the least squares. 'tinystories report DIR' draws them.\n"
     "A chat service (--judge chat) keeps its replies and bounds (--max-requests, ...) for each model in the model's folder, judge.journal and grades.json: further models leave\n"
     "what was paid for as it is. The key comes from --key-file, or from the environment as of 'tinystories evaluate judge'.",
     grid_arguments, CLI_COUNT_OF(grid_arguments), sizeof(grid_values), grid_defaults, study_grid},
    {0},
};

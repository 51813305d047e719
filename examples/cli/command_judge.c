/* evaluate judge: completions of models, graded */
#include <math.h>
#include <stdio.h>

#include "cli.h"

typedef struct judge_values {
    cli_common common;
    cli_paths completions, text, cut_models;
    const char *model, *name, *prompts, *instruct, *save, *out;
    uint32_t per_prompt, dry;
    uint64_t seed;
    ts_sampler_options sampling;
    ts_evaluator_options options;
    cli_chat chat;
} judge_values;

static void judge_defaults(void *values)
{
    judge_values *v = values;
    v->per_prompt = 10;
    ts_sampler_options_init(&v->sampling, sizeof v->sampling);
    v->sampling.temperature = 1; /* as the paper grades */
    ts_evaluator_options_init(&v->options, sizeof v->options);
    cli_chat_defaults(&v->chat);
}

/* ---- completions of a model ---- */

static ts_status tell(const judge_values *v, ts_evaluator *evaluator)
{
    ts_model *model = NULL;
    ts_prompts *prompts = NULL;
    cli_instructions *instructions = NULL;
    cli_progress progress;
    cli_completions telling = {.get = cli_prompts_get, .per_prompt = v->per_prompt, .seed = v->seed, .sampling = &v->sampling};
    telling.name = v->name != NULL ? v->name : cli_file_name(v->model);
    cli_progress_start(&progress, &v->common, "telling", "completions");
    ts_status status = v->instruct != NULL ? cli_instructions_open(&instructions, v->common.runtime, v->instruct)
                                           : ts_prompts_open(&prompts, v->common.runtime, v->prompts);
    telling.prompts = prompts;
    telling.count = status == TS_OK && prompts != NULL ? ts_prompts_count(prompts) : 0;
    if (instructions != NULL) {
        telling.get = cli_instructions_get;
        telling.prompts = &instructions;
        telling.count = cli_instructions_count(instructions);
        telling.instructed = true;
    }
    if (status == TS_OK)
        status = ts_model_open(&model, v->common.runtime, v->model, NULL);
    if (status == TS_OK)
        status = cli_complete(model, &telling, evaluator, &progress);
    if (status == TS_OK && v->save != NULL)
        status = cli_save_records(v->save, evaluator);
    ts_model_free(model);
    ts_prompts_free(prompts);
    cli_instructions_free(instructions);
    return status;
}

/* ---- results ---- */

static void print_grades(cli_output *o, const ts_evaluation *e)
{
    for (uint32_t axis = 0; axis < TS_AXIS_COUNT; axis++) {
        const ts_grade_mean *m = &e->axes[axis];
        char line[80];
        if (m->count == 0 || isnan(m->mean))
            continue;
        if (isnan(m->low))
            snprintf(line, sizeof line, "%.2f", m->mean);
        else
            snprintf(line, sizeof line, "%.2f (%.2f to %.2f)", m->mean, m->low, m->high);
        cli_text(o, ts_axis_name(axis), line);
    }
    for (uint32_t part = 0; part < TS_FOLLOWED_COUNT; part++) {
        const ts_grade_mean *m = &e->followed[part];
        char key[40], line[80], interval[40] = "";
        if (m->count == 0)
            continue;
        if (!isnan(m->low))
            snprintf(interval, sizeof interval, " (%.1f to %.1f)", 100 * m->low, 100 * m->high);
        snprintf(key, sizeof key, "%s_followed", ts_followed_name(part));
        snprintf(line, sizeof line, "%.1f %%%s", 100 * m->mean, interval);
        cli_text(o, key, line);
    }
}

static ts_status print_model(cli_output *o, ts_evaluator *evaluator, const char *model)
{
    ts_evaluation e = {.struct_size = sizeof e};
    CLI_TRY(ts_evaluator_evaluate(evaluator, model, &e));
    cli_open_named(o, *model ? model : "a model without a name");
    cli_integer(o, "completions", e.records);
    cli_integer(o, "prompts", e.prompts);
    cli_number(o, "words_of_a_completion", e.mean_words, 1);
    for (uint32_t i = 0; i < TS_JUDGED_COUNT; i++)
        if (e.outcomes[i] > 0)
            cli_integer(o, ts_judged_name(i), e.outcomes[i]);
    if (e.suspicious > 0)
        cli_integer(o, "suspicious", e.suspicious);
    if (!e.trusted)
        cli_text(o, "no_means", "too few judgments are scored");
    print_grades(o, &e);
    if (e.outcomes[TS_JUDGED_SCORED] > e.ages[0]) {
        char ages[120];
        size_t size = 0;
        for (uint32_t i = 1; i <= TS_AGE_COUNT; i++)
            size += (size_t)snprintf(ages + size, sizeof ages - size, "%s%c %llu", i > 1 ? ", " : "", (char)('A' + i - 1), (unsigned long long)e.ages[i]);
        cli_text(o, "age_groups", ages);
    }
    cli_close(o, '}');
    return TS_OK;
}

static ts_status print_comparison(cli_output *o, ts_evaluator *evaluator, const char *left, const char *right)
{
    ts_comparison c = {.struct_size = sizeof c};
    char heading[400];
    CLI_TRY(ts_evaluator_compare(evaluator, left, right, &c));
    snprintf(heading, sizeof heading, "%.180s less %.180s", left, right);
    cli_open_named(o, heading);
    for (uint32_t axis = 0; axis < TS_AXIS_COUNT; axis++) {
        char line[160], interval[40] = "";
        if (c.prompts[axis] == 0)
            continue;
        if (!isnan(c.low[axis]))
            snprintf(interval, sizeof interval, " (%+.2f to %+.2f)", c.low[axis], c.high[axis]);
        snprintf(line, sizeof line, "%+.2f%s, better on %llu and worse on %llu of %llu prompts", c.difference[axis], interval, (unsigned long long)c.wins[axis],
                 (unsigned long long)c.losses[axis], (unsigned long long)c.prompts[axis]);
        cli_text(o, ts_axis_name(axis), line);
    }
    cli_close(o, '}');
    return TS_OK;
}

static ts_status print_results(const judge_values *v, ts_evaluator *evaluator)
{
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "judge", v->options.judge == TS_JUDGE_CHAT ? v->chat.options.model : "embedded: no language model's grades; see evaluate judge --help");
    if (v->options.judge == TS_JUDGE_EMBEDDED)
        cli_text(&o, "language_text", v->text.count > 0 ? v->options.text_name != NULL ? v->options.text_name : v->text.items[0] : "none");
    for (size_t i = 0; ts_evaluator_model(evaluator, i) != NULL; i++)
        CLI_TRY(print_model(&o, evaluator, ts_evaluator_model(evaluator, i)));
    for (size_t i = 1; ts_evaluator_model(evaluator, i) != NULL; i++)
        CLI_TRY(print_comparison(&o, evaluator, ts_evaluator_model(evaluator, 0), ts_evaluator_model(evaluator, i)));
    if (v->options.judge == TS_JUDGE_CHAT) {
        ts_chat_report report = {.struct_size = sizeof report};
        CLI_TRY(ts_evaluator_chat_report(evaluator, &report));
        cli_chat_report(&o, &report);
    }
    cli_output_end(&o);
    return TS_OK;
}

/* ---- what would be asked first: both turns about the first completion ---- */

static ts_status show_turn(void *user, uint64_t turn, char *text, size_t capacity, size_t *size)
{
    return ts_evaluator_prompt(user, 0, (uint32_t)turn, text, capacity, size);
}

static ts_status estimate(void *user, ts_chat_report *report)
{
    return ts_evaluator_estimate(user, report);
}

/* ---- the command ---- */

static ts_status check_call(judge_values *v)
{
    static const char *const telling[] = {"--save", "--name", "--completions-per-prompt", "--temperature", "--top-p", "--tokens"};
    if ((v->model == NULL) == (v->completions.count == 0))
        return cli_usage("expected --completions FILE, or --model MODEL with --prompts FILE or --instruct FILE");
    if (v->prompts != NULL && v->instruct != NULL)
        return cli_usage("--prompts and --instruct are two ways to prompt the model, expected one of them");
    if ((v->model == NULL) != (v->prompts == NULL && v->instruct == NULL))
        return cli_usage("--model and --prompts (or --instruct) belong together");
    if (v->cut_models.count > 0 && v->options.cut == 0)
        return cli_usage("--cut-models needs --cut K");
    for (size_t i = 0; v->model == NULL && i < CLI_COUNT_OF(telling); i++)
        if (cli_given(&v->common, telling[i]))
            return cli_usage("%s is for the completions of --model", telling[i]);
    if (v->options.text_name != NULL && v->text.count == 0)
        return cli_usage("--text-name needs --text TEXT");
    CLI_TRY(cli_check_out(&v->common, v->out, false));
    CLI_TRY(cli_check_out(&v->common, v->save, false));
    if (v->options.judge == TS_JUDGE_CHAT) {
        if (v->text.count > 0)
            return cli_usage("--text is for the embedded judge, but this is --judge chat");
        if (v->chat.options.model == NULL)
            return cli_usage("--judge-model is missing: what the service calls the model that judges");
        v->options.chat = &v->chat.options;
        return cli_chat_begin(&v->common, &v->chat, v->dry != 0);
    }
    CLI_TRY(cli_chat_refuse(&v->common, &v->chat, "--judge embedded"));
    if (v->dry || v->options.templates != NULL || v->options.schema || cli_given(&v->common, "--repeats") || cli_given(&v->common, "--asks"))
        return cli_usage("--dry-run, --templates, --schema, --repeats and --asks are for a chat service, but this is --judge embedded");
    return TS_OK;
}

static ts_status judge_all(judge_values *v, ts_evaluator *evaluator)
{
    cli_progress progress;
    ts_chat_report report = {.struct_size = sizeof report};
    bool chat = v->options.judge == TS_JUDGE_CHAT;
    (chat ? cli_chat_progress_start : cli_progress_start)(&progress, &v->common, "judging", chat ? "replies" : "completions");
    ts_status status = ts_evaluator_run(evaluator, cli_progress_tell, &progress);
    cli_progress_end(&progress);
    if (status == TS_OK || !chat)
        return status;
    char detail[512];
    snprintf(detail, sizeof detail, "%s", ts_error_detail());
    if (ts_evaluator_chat_report(evaluator, &report) != TS_OK)
        return cli_fail("%s", detail);
    return cli_chat_failed(status == TS_ERROR_CANCELLED ? "interrupted" : detail, &v->chat, &report);
}

static ts_status gather(judge_values *v, ts_evaluator *evaluator)
{
    for (size_t i = 0; i < v->completions.count; i++)
        CLI_TRY(ts_evaluator_add_file(evaluator, v->completions.items[i]));
    CLI_TRY(v->model != NULL ? tell(v, evaluator) : TS_OK);
    return ts_evaluator_count(evaluator) > 0 ? TS_OK : cli_fail("there is no completion to judge");
}

static ts_status judge(void *values)
{
    judge_values *v = values;
    ts_evaluator *evaluator = NULL;
    v->options.text = v->text.items;
    v->options.text_count = v->text.count;
    v->options.cut_models = v->cut_models.items;
    v->options.cut_model_count = v->cut_models.count;
    v->options.seed = v->seed;
    ts_status status = check_call(v);
    if (status == TS_OK)
        status = ts_evaluator_new(&evaluator, v->common.runtime, &v->options);
    if (status == TS_OK)
        status = gather(v, evaluator);
    if (status == TS_OK && v->dry) {
        const cli_asked asked = {.common = &v->common, .chat = &v->chat, .user = evaluator, .prompts = 2, .prompt = show_turn, .estimate = estimate};
        status = cli_show_plan(&asked, "messages");
    } else if (status == TS_OK) {
        status = judge_all(v, evaluator);
        if (status == TS_OK && v->out != NULL)
            status = ts_evaluator_write(evaluator, v->out);
        if (status == TS_OK)
            status = v->common.json ? ts_evaluator_write(evaluator, "-") : print_results(v, evaluator);
    }
    ts_evaluator_free(evaluator);
    cli_chat_end(&v->chat);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(judge_values, member)
static const cli_argument judge_arguments[] = {
    {"--completions", "FILE", CLI_PATHS, 0, OFFSET(completions), 0, 0, NULL, "JSON lines with prompt, completion, model; of instructions words, features, sentence, summary"},
    {"--model", "MODEL", CLI_TEXT, 0, OFFSET(model), 0, 0, NULL, "or: the model whose completions are judged"},
    {"--prompts", "FILE", CLI_TEXT, 0, OFFSET(prompts), 0, 0, NULL, "beginnings for it to complete: text (lines, paragraphs, or divided by <|endoftext|>), or a list in YAML"},
    {"--instruct", "FILE", CLI_TEXT, 0, OFFSET(instruct), 0, 0, NULL, "or entries of TinyStories-Instruct (dataset instruct --held-out writes some), told anew from what they ask for"},
    {"--completions-per-prompt", "N", CLI_UINT32, 0, OFFSET(per_prompt), 1, 100000, NULL, "of each beginning, with seeds S, S + 1, ..."},
    {"--temperature", "T", CLI_FLOAT, 0, OFFSET(sampling.temperature), 0, 100, NULL, "of the model that is judged; 0: always the likeliest token"},
    {"--top-p", "P", CLI_FLOAT, CLI_ABOVE, OFFSET(sampling.top_p), 0, 1, NULL, "draw among the likeliest tokens that hold this share together; 1: all"},
    {"--tokens", "N", CLI_UINT32, 0, OFFSET(sampling.max_tokens), 0, 0, NULL, "most tokens of a completion; 0: until the story or the context ends"},
    {"--seed", "S", CLI_UINT64, 0, OFFSET(seed), 0, 0, NULL, "of the completions, of fences and of intervals"},
    {"--name", "NAME", CLI_TEXT, 0, OFFSET(name), 0, 0, NULL, "what to call the model (default: its file's name)"},
    {"--save", "FILE", CLI_TEXT, 0, OFFSET(save), 0, 0, NULL, "write its completions as JSON lines, for --completions"},
    {"--out", "FILE", CLI_TEXT, 0, OFFSET(out), 0, 0, NULL, "write the whole report as JSON; --json prints it"},
    {"--cut", "K", CLI_UINT32, 0, OFFSET(options.cut), 0, 64, NULL, "cut completions at their first repeated K-gram of words, the paper's baselines at 4; 0: do not"},
    {"--cut-models", "NAME", CLI_PATHS, 0, OFFSET(cut_models), 0, 0, NULL, "cut those of these models alone (default: all)"},
    {"--confidence", "C", CLI_DOUBLE, CLI_ABOVE, OFFSET(options.confidence), 0, 0.9999, NULL, "of the intervals"},
    {"--least-scored", "SHARE", CLI_DOUBLE, 0, OFFSET(options.least_scored), 0, 1, NULL, "of the judgments that must have grades, or no mean is given"},
    {"--judge", "NAME", CLI_CHOICE, 0, OFFSET(options.judge), 0, 0, cli_judge_name, "who judges"},
    {"--text", "TEXT", CLI_PATHS, 0, OFFSET(text), 0, 0, NULL, "embedded: stories that its n-gram model learns from (not the model that is judged)"},
    {"--text-name", "NAME", CLI_TEXT, 0, OFFSET(options.text_name), 0, 0, NULL, "what reports call that text (default: the first file)"},
    {"--repeats", "K", CLI_UINT32, 0, OFFSET(options.repeats), 1, 1000, NULL, "chat, as all that follow: judgments of each completion"},
    {"--asks", "N", CLI_UINT32, 0, OFFSET(options.asks), 1, 7, NULL, "times that grades are asked for until they can be read"},
    {"--schema", NULL, CLI_FLAG, 0, OFFSET(options.schema), 0, 0, NULL, "ask for grades as JSON by a schema, where the service has that"},
    {"--templates", "FILE", CLI_TEXT, 0, OFFSET(options.templates), 0, 0, NULL, "what the service is asked; the form is told in judge.txt"},
    {"--dry-run", NULL, CLI_FLAG, 0, OFFSET(dry), 0, 0, NULL, "send nothing: show the messages, and what it would cost at most"},
    CLI_CHAT_ARGUMENTS(judge_values, chat, "judge-"),
};
#undef OFFSET
/* clang-format on */

const cli_command cli_judge_commands[] = {
    {"evaluate", "judge", "grade what a model writes: with the embedded judge, which needs no network, or a chat service",
     "The embedded judge is a linear function of what can be counted in a text, calibrated on stories that a language model had graded. Its rank correlation\n"
     "with grades that it was not calibrated on is about 0.42 for grammar, 0.35 for creativity and 0.30 for consistency with --text (TinyStories), and less\n"
     "without: it tells models apart by the mean of many completions, not one story from another. Means stand with 95 % intervals over prompts.\n"
     "A chat service is asked for an assessment, then for grades. What it says that is no grade is never a number: it is counted.\n"
     "'suspicious' counts completions that seem to speak to the judge (grades, orders, marks of chats); it lowers no grade. Of instructions 'followed' says what rules find in the\n"
     "completions: words that are there, the sentence, features, words of the summary. Completions of other models come from files, or from 'evaluate complete'.\n"
     "The paper's experiment out of distribution: dataset instruct --in STORIES --hold-out words summary --held-out held.txt --out train.txt; train --text train.txt;\n"
     "evaluate judge --model MODEL --instruct held.txt asks for combinations that the model never saw together.\n"
     "The key comes from --key-file, or from the environment variable TINYSTORIES_API_KEY, or for the default --base-url OPENAI_API_KEY.",
     judge_arguments, CLI_COUNT_OF(judge_arguments), sizeof(judge_values), judge_defaults, judge},
    {0},
};

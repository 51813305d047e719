/* evaluate duel: two models' completions set against each other by a chat service */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

typedef struct duel_values {
    cli_common common;
    cli_paths completions, cut_models;
    const char *left, *right;
    ts_evaluator_options options;
    cli_chat chat;
} duel_values;

static void duel_defaults(void *values)
{
    duel_values *v = values;
    ts_evaluator_options_init(&v->options, sizeof v->options);
    cli_chat_defaults(&v->chat);
}

static ts_status print_duel(const duel_values *v, ts_evaluator *evaluator, const ts_duel *d)
{
    ts_chat_report report = {.struct_size = sizeof report};
    CLI_TRY(ts_evaluator_chat_report(evaluator, &report));
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "duel", v->chat.options.model);
    cli_text(&o, "left", v->left);
    cli_text(&o, "right", v->right);
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {{"prompts", d->prompts}, {"wins", d->wins},       {"losses", d->losses},   {"pairs", d->pairs},     {"judged", d->judged},
                  {"unread", d->unread},   {"pending", d->pending}, {"asked_again", d->asked_again}, {"for_first", d->firsts}, {"for_second", d->seconds}, {"for_neither", d->neithers}};
    for (size_t i = 0; i < CLI_COUNT_OF(counts); i++)
        cli_integer(&o, counts[i].key, counts[i].value);
    cli_number(&o, "share", d->share, 3);
    cli_number(&o, "low", d->low, 3);
    cli_number(&o, "high", d->high, 3);
    cli_number(&o, "sign_test_p", d->p, 4);
    cli_number(&o, "confidence", v->options.confidence, 2);
    cli_chat_report(&o, &report);
    cli_output_end(&o);
    return TS_OK;
}

static ts_status fight(duel_values *v, ts_evaluator *evaluator)
{
    cli_progress progress;
    char detail[512];
    ts_duel result = {.struct_size = sizeof result};
    ts_chat_report report = {.struct_size = sizeof report};
    for (size_t i = 0; i < v->completions.count; i++)
        CLI_TRY(ts_evaluator_add_file(evaluator, v->completions.items[i]));
    v->left = v->left != NULL ? v->left : ts_evaluator_model(evaluator, 0);
    v->right = v->right != NULL ? v->right : ts_evaluator_model(evaluator, 1);
    if (v->left == NULL || v->right == NULL)
        return cli_fail("expected completions of two models");
    cli_chat_progress_start(&progress, &v->common, "judging", "replies at most");
    ts_status status = ts_evaluator_duel(evaluator, v->left, v->right, cli_progress_tell, &progress, &result);
    snprintf(detail, sizeof detail, "%s", ts_error_detail());
    cli_progress_end(&progress);
    if (status != TS_OK && status != TS_ERROR_INVALID_ARGUMENT && ts_evaluator_chat_report(evaluator, &report) == TS_OK)
        return cli_chat_failed(status == TS_ERROR_CANCELLED ? "interrupted" : detail, &v->chat, &report);
    if (status != TS_OK)
        return cli_fail("%s", detail);
    return print_duel(v, evaluator, &result);
}

static ts_status duel(void *values)
{
    duel_values *v = values;
    ts_evaluator *evaluator = NULL;
    if (v->chat.options.model == NULL)
        return cli_usage("--judge-model is missing: what the service calls the model that judges");
    if (v->cut_models.count > 0 && v->options.cut == 0)
        return cli_usage("--cut-models needs --cut K");
    CLI_TRY(cli_chat_begin(&v->common, &v->chat, false));
    v->options.judge = TS_JUDGE_CHAT;
    v->options.cut_models = v->cut_models.items;
    v->options.cut_model_count = v->cut_models.count;
    v->options.chat = &v->chat.options;
    ts_status status = ts_evaluator_new(&evaluator, v->common.runtime, &v->options);
    if (status == TS_OK)
        status = fight(v, evaluator);
    ts_evaluator_free(evaluator);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(duel_values, member)
static const cli_argument duel_arguments[] = {
    {"--completions", "FILE", CLI_PATHS, CLI_REQUIRED, OFFSET(completions), 0, 0, NULL, "JSON lines with prompt, completion, model, as evaluate judge --save writes them"},
    {"--left", "NAME", CLI_TEXT, 0, OFFSET(left), 0, 0, NULL, "the one model (default: the first among the completions)"},
    {"--right", "NAME", CLI_TEXT, 0, OFFSET(right), 0, 0, NULL, "the other (default: the second)"},
    {"--seed", "S", CLI_UINT64, 0, OFFSET(options.seed), 0, 0, NULL, "of fences and of intervals"},
    {"--cut", "K", CLI_UINT32, 0, OFFSET(options.cut), 0, 64, NULL, "cut completions at their first repeated K-gram of words, the paper's baselines at 4; 0: do not"},
    {"--cut-models", "NAME", CLI_PATHS, 0, OFFSET(cut_models), 0, 0, NULL, "cut those of these models alone (default: all)"},
    {"--confidence", "C", CLI_DOUBLE, CLI_ABOVE, OFFSET(options.confidence), 0, 0.9999, NULL, "of the interval"},
    {"--repeats", "K", CLI_UINT32, 0, OFFSET(options.repeats), 1, 1000, NULL, "times that each pair is judged in each order"},
    {"--asks", "N", CLI_UINT32, 0, OFFSET(options.asks), 1, 7, NULL, "times that a verdict is asked for until it can be read"},
    {"--templates", "FILE", CLI_TEXT, 0, OFFSET(options.templates), 0, 0, NULL, "what the service is asked; the form is told in judge.txt"},
    CLI_CHAT_ARGUMENTS(duel_values, chat, "judge-"),
};
#undef OFFSET
/* clang-format on */

const cli_command cli_duel_commands[] = {
    {"evaluate", "duel", "set two models' completions of the same prompts against each other by a chat service",
     "The n-th completion of a prompt by one model against the n-th by the other, in both orders. share: of the verdicts, those for left, and half of those for neither, with an\n"
     "interval by resampling prompts; sign test p: over prompts that left wins or loses. Where 'for first' is far from 'for second', the judge goes by the order.\n"
     "Every reply is in the journal before it is used, and the same command goes on. The key comes from --key-file, or from the environment as of evaluate judge.",
     duel_arguments, CLI_COUNT_OF(duel_arguments), sizeof(duel_values), duel_defaults, duel},
    {0},
};

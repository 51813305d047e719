/* study prompts: what several models make of short prompts that ask for facts, reasoning and context */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { BY_RULE, BY_CHAT };

typedef struct prompts_values {
    cli_common common;
    cli_paths models, names;
    const char *prompts, *out;
    uint32_t per_prompt, judge;
    uint64_t seed;
    ts_sampler_options sampling;
    ts_evaluator_options options;
    cli_chat chat;
} prompts_values;

/* How often a model got which mark for prompts of a kind. */
typedef struct tally {
    uint64_t marks[TS_MARK_COUNT], all;
} tally;

typedef struct asking {
    prompts_values *v;
    ts_questions *questions;
    ts_evaluator *evaluator; /* keeps the completions: model by model, question by question */
    tally (*tallies)[TS_QUESTION_COUNT + 1]; /* by model and kind; the last: all */
    cli_progress progress;
} asking;

static const char *judge_name(size_t index)
{
    static const char *const names[] = {"rule", "chat"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static void prompts_defaults(void *values)
{
    prompts_values *v = values;
    v->per_prompt = 1;
    ts_sampler_options_init(&v->sampling, sizeof v->sampling);
    v->sampling.temperature = 0; /* as in the paper's figures 9 to 11 */
    v->sampling.max_tokens = 40;
    ts_evaluator_options_init(&v->options, sizeof v->options);
    cli_chat_defaults(&v->chat);
}

/* ---- completions ---- */

static ts_status get_question(const void *questions, size_t index, ts_record *record)
{
    ts_question q = {.struct_size = sizeof q};
    CLI_TRY(ts_questions_get(questions, index, &q));
    record->prompt = q.prompt;
    record->prompt_size = q.prompt_size;
    return TS_OK;
}

static const char *name_of(const prompts_values *v, size_t model)
{
    return v->names.count > 0 ? v->names.items[model] : cli_file_name(v->models.items[model]);
}

static ts_status complete_all(asking *a)
{
    const prompts_values *v = a->v;
    ts_status status = TS_OK;
    for (size_t i = 0; i < v->models.count && status == TS_OK; i++) {
        ts_model *model = NULL;
        cli_completions telling = {.get = get_question, .prompts = a->questions, .count = ts_questions_count(a->questions), .per_prompt = v->per_prompt, .seed = v->seed,
                                   .sampling = &v->sampling, .name = name_of(v, i)};
        status = ts_model_open(&model, v->common.runtime, v->models.items[i], NULL);
        if (status == TS_OK)
            status = cli_complete(model, &telling, a->evaluator, &a->progress);
        ts_model_free(model);
    }
    return status;
}

/* ---- marks ---- */

/* Where a record stands: its model and question. */
static void place_of(const asking *a, uint64_t index, size_t *model, size_t *question)
{
    uint64_t count = ts_questions_count(a->questions), per_prompt = a->v->per_prompt;
    *model = (size_t)(index / (count * per_prompt));
    *question = (size_t)(index / per_prompt % count);
}

static ts_status mark_of(const asking *a, uint64_t index, uint32_t *mark)
{
    ts_record r = {.struct_size = sizeof r};
    size_t model, question;
    if (a->v->judge == BY_CHAT)
        return ts_evaluator_mark_of(a->evaluator, index, mark);
    place_of(a, index, &model, &question);
    CLI_TRY(ts_evaluator_record(a->evaluator, index, &r));
    return ts_questions_mark(a->questions, question, r.completion, r.completion_size, mark);
}

static ts_status mark_all(asking *a)
{
    prompts_values *v = a->v;
    ts_chat_report report = {.struct_size = sizeof report};
    if (v->judge == BY_CHAT) {
        cli_chat_progress_start(&a->progress, &v->common, "marking", "replies");
        ts_status status = ts_evaluator_mark(a->evaluator, cli_progress_tell, &a->progress);
        char detail[512];
        snprintf(detail, sizeof detail, "%s", ts_error_detail());
        cli_progress_end(&a->progress);
        if (status != TS_OK && ts_evaluator_chat_report(a->evaluator, &report) == TS_OK)
            return cli_chat_failed(status == TS_ERROR_CANCELLED ? "interrupted" : detail, &v->chat, &report);
        CLI_TRY(status);
    }
    a->tallies = calloc(v->models.count, sizeof *a->tallies);
    if (a->tallies == NULL)
        return cli_fail("there is no memory");
    for (uint64_t i = 0; i < ts_evaluator_count(a->evaluator); i++) {
        ts_question q = {.struct_size = sizeof q};
        size_t model, question;
        uint32_t mark;
        place_of(a, i, &model, &question);
        CLI_TRY(ts_questions_get(a->questions, question, &q));
        CLI_TRY(mark_of(a, i, &mark));
        tally *both[] = {&a->tallies[model][q.kind], &a->tallies[model][TS_QUESTION_COUNT]};
        for (size_t k = 0; k < 2; k++) {
            both[k]->marks[mark]++;
            both[k]->all++;
        }
    }
    return TS_OK;
}

/* ---- results ---- */

static const char *kind_name(uint32_t kind)
{
    return kind < TS_QUESTION_COUNT ? ts_question_name(kind) : "all";
}

static void print_models(const asking *a, cli_output *o)
{
    cli_open(o, "models", '[');
    for (size_t i = 0; i < a->v->models.count; i++) {
        cli_open(o, NULL, '{');
        cli_text(o, "model", name_of(a->v, i));
        for (uint32_t kind = 0; kind <= TS_QUESTION_COUNT; kind++) {
            const tally *t = &a->tallies[i][kind];
            if (t->all == 0)
                continue;
            cli_open(o, kind_name(kind), '{');
            for (uint32_t mark = 0; mark < TS_MARK_COUNT; mark++)
                cli_integer(o, ts_mark_name(mark), t->marks[mark]);
            cli_number(o, "share_right", (double)t->marks[TS_MARK_RIGHT] / (double)t->all, 3);
            cli_close(o, '}');
        }
        cli_close(o, '}');
    }
    cli_close(o, ']');
}

static ts_status print_question(const asking *a, size_t question, cli_output *o)
{
    uint64_t count = ts_questions_count(a->questions), per_prompt = a->v->per_prompt;
    ts_question q = {.struct_size = sizeof q};
    CLI_TRY(ts_questions_get(a->questions, question, &q));
    cli_open(o, NULL, '{');
    cli_text(o, "kind", ts_question_name(q.kind));
    cli_text_sized(o, "prompt", q.prompt, q.prompt_size);
    cli_open(o, "completions", '[');
    for (uint64_t i = 0; i < a->v->models.count * per_prompt; i++) {
        uint64_t index = (i / per_prompt * count + question) * per_prompt + i % per_prompt;
        ts_record r = {.struct_size = sizeof r};
        uint32_t mark;
        CLI_TRY(ts_evaluator_record(a->evaluator, index, &r));
        CLI_TRY(mark_of(a, index, &mark));
        cli_open(o, NULL, '{');
        cli_text(o, "model", r.model);
        cli_text_sized(o, "text", r.completion, r.completion_size);
        cli_text(o, "mark", ts_mark_name(mark));
        cli_close(o, '}');
    }
    cli_close(o, ']');
    cli_close(o, '}');
    return TS_OK;
}

/* As JSON. */
static ts_status print_study(const asking *a, cli_output *o)
{
    const prompts_values *v = a->v;
    ts_status status = TS_OK;
    cli_text(o, "study", "prompts");
    cli_text(o, "file", v->prompts);
    cli_text(o, "judge", judge_name(v->judge));
    if (v->judge == BY_CHAT)
        cli_text(o, "judge_model", v->chat.options.model);
    cli_number(o, "temperature", v->sampling.temperature, 2);
    print_models(a, o);
    cli_open(o, "prompts", '[');
    for (size_t i = 0; i < ts_questions_count(a->questions) && status == TS_OK; i++)
        status = print_question(a, i, o);
    cli_close(o, ']');
    cli_output_end(o);
    return status;
}

static ts_status write_study(const asking *a)
{
    cli_file file;
    if (a->v->out == NULL)
        return TS_OK;
    CLI_TRY(cli_file_open(&file, a->v->out));
    cli_output o = cli_output_to(file.stream);
    return cli_file_close(&file, print_study(a, &o));
}

/* For people: right of all, and behind it what is partly right, kind by kind. */
static void print_table(const asking *a)
{
    printf("%-24s", "right (+ partly) of");
    for (uint32_t kind = 0; kind <= TS_QUESTION_COUNT; kind++)
        if (a->tallies[0][kind].all > 0)
            printf(" %16s", kind_name(kind));
    putchar('\n');
    for (size_t i = 0; i < a->v->models.count; i++) {
        const char *name = name_of(a->v, i);
        cli_print_plain(stdout, name, strlen(name));
        printf("%*s", strlen(name) < 24 ? 24 - (int)strlen(name) : 0, "");
        for (uint32_t kind = 0; kind <= TS_QUESTION_COUNT; kind++) {
            const tally *t = &a->tallies[i][kind];
            char cell[64];
            snprintf(cell, sizeof cell, "%llu (+ %llu) of %llu", (unsigned long long)t->marks[TS_MARK_RIGHT], (unsigned long long)t->marks[TS_MARK_PARTLY],
                     (unsigned long long)t->all);
            if (a->tallies[0][kind].all > 0)
                printf(" %16s", cell);
        }
        putchar('\n');
    }
    puts(a->v->judge == BY_RULE ? "Marked by the words in the first sentence; --json tells every completion." : "Marked by a chat service; --json tells every completion.");
}

/* ---- the command ---- */

static ts_status check_call(prompts_values *v)
{
    if (v->names.count > 0 && v->names.count != v->models.count)
        return cli_usage("--names has %zu names for %zu models", v->names.count, v->models.count);
    CLI_TRY(cli_check_out(&v->common, v->out, false));
    if (v->judge == BY_RULE) {
        CLI_TRY(cli_chat_refuse(&v->common, &v->chat, "--judge rule"));
        return v->options.templates == NULL && !cli_given(&v->common, "--asks") ? TS_OK : cli_usage("--templates and --asks are for --judge chat");
    }
    if (v->chat.options.model == NULL)
        return cli_usage("--judge-model is missing: what the service calls the model that judges");
    v->options.judge = TS_JUDGE_CHAT;
    v->options.chat = &v->chat.options;
    return cli_chat_begin(&v->common, &v->chat, false);
}

static ts_status study_prompts(void *values)
{
    prompts_values *v = values;
    asking a = {.v = v};
    CLI_TRY(check_call(v));
    v->options.seed = v->seed;
    cli_progress_start(&a.progress, &v->common, "telling", "completions");
    ts_status status = ts_questions_open(&a.questions, v->common.runtime, v->prompts);
    if (status == TS_OK)
        status = ts_evaluator_new(&a.evaluator, v->common.runtime, &v->options);
    if (status == TS_OK)
        status = complete_all(&a);
    if (status == TS_OK)
        status = mark_all(&a);
    if (status == TS_OK)
        status = write_study(&a);
    if (status == TS_OK && v->common.json) {
        cli_output o = cli_output_start(&v->common);
        status = print_study(&a, &o);
    } else if (status == TS_OK) {
        print_table(&a);
    }
    free(a.tallies);
    ts_evaluator_free(a.evaluator);
    ts_questions_free(a.questions);
    cli_chat_end(&v->chat);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(prompts_values, member)
static const cli_argument prompts_arguments[] = {
    {"--models", "MODEL", CLI_PATHS, CLI_REQUIRED, OFFSET(models), 0, 0, NULL, "models to set side by side"},
    {"--names", "NAME", CLI_PATHS, 0, OFFSET(names), 0, 0, NULL, "what to call them, as many (default: their files' names)"},
    {"--prompts", "FILE", CLI_TEXT, CLI_REQUIRED, OFFSET(prompts), 0, 0, NULL, "short prompts and their answers, such as examples/study_prompts.txt, which tells the form"},
    {"--completions-per-prompt", "N", CLI_UINT32, 0, OFFSET(per_prompt), 1, 100000, NULL, "of each prompt, with seeds S, S + 1, ..."},
    {"--temperature", "T", CLI_FLOAT, 0, OFFSET(sampling.temperature), 0, 100, NULL, "of the models; 0: always the likeliest token"},
    {"--tokens", "N", CLI_UINT32, 0, OFFSET(sampling.max_tokens), 0, 0, NULL, "most tokens of a completion; 0: until the story or the context ends"},
    {"--seed", "S", CLI_UINT64, 0, OFFSET(seed), 0, 0, NULL, "of the completions"},
    {"--out", "FILE", CLI_TEXT, 0, OFFSET(out), 0, 0, NULL, "write everything as JSON; --json prints it"},
    {"--judge", "NAME", CLI_CHOICE, 0, OFFSET(judge), 0, 0, judge_name, "who marks: the file's answers in the first sentence, or a chat service"},
    {"--asks", "N", CLI_UINT32, 0, OFFSET(options.asks), 1, 7, NULL, "chat, as all that follow: times that a mark is asked for until it can be read"},
    {"--templates", "FILE", CLI_TEXT, 0, OFFSET(options.templates), 0, 0, NULL, "what the service is asked; the form is told in judge.txt"},
    CLI_CHAT_ARGUMENTS(prompts_values, chat, "judge-"),
};
#undef OFFSET
/* clang-format on */

const cli_command cli_study_prompts_commands[] = {
    {"study", "prompts", "set models side by side on short prompts of facts, reasoning and context",
     "Every model goes on with every prompt, greedily unless --temperature says otherwise. The rule looks for answers of the file in the first sentence: right, wrong, partly\n"
     "(both, or one that the file calls so), or none, which is not counted as right. It reads words, not sense. Prompts without answers, such as the paper's, can be\n"
     "marked by a chat service alone. The key comes from --key-file, or from the environment as of 'tinystories evaluate judge'.",
     prompts_arguments, CLI_COUNT_OF(prompts_arguments), sizeof(prompts_values), prompts_defaults, study_prompts},
    {0},
};

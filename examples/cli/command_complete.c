/* evaluate complete: completions of prompts by a model behind a chat service */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct complete_values {
    cli_common common;
    const char *prompts, *instruct, *out;
    uint32_t cut, dry;
    ts_completer_options options;
    cli_chat chat;
} complete_values;

static void complete_defaults(void *values)
{
    complete_values *v = values;
    ts_completer_options_init(&v->options, sizeof v->options);
    cli_chat_defaults(&v->chat);
}

/* ---- prompts as records ---- */

typedef ts_status (*getter)(const void *prompts, size_t index, ts_record *record);

/*
 * The evaluator keeps them: what cli_instructions_get gives lives until the next one. Its prompt is the instruction as a model of TinyStories-Instruct goes on
 * with it; a chat, which is told in other words, has none (`drop`).
 */
static ts_status gather(ts_evaluator *kept, size_t count, getter get, const void *prompts, bool drop)
{
    for (size_t i = 0; i < count; i++) {
        ts_record record = {.struct_size = sizeof record};
        CLI_TRY(get(prompts, i, &record));
        if (drop) {
            record.prompt = NULL;
            record.prompt_size = 0;
        }
        CLI_TRY(ts_evaluator_add(kept, &record));
    }
    return TS_OK;
}

static ts_status read_prompts(const complete_values *v, ts_evaluator *kept)
{
    ts_prompts *prompts = NULL;
    cli_instructions *instructions = NULL;
    ts_status status = v->instruct != NULL ? cli_instructions_open(&instructions, v->common.runtime, v->instruct) : ts_prompts_open(&prompts, v->common.runtime, v->prompts);
    if (status == TS_OK && instructions != NULL)
        status = gather(kept, cli_instructions_count(instructions), cli_instructions_get, &instructions, !v->options.raw);
    else if (status == TS_OK)
        status = gather(kept, ts_prompts_count(prompts), cli_prompts_get, prompts, false);
    ts_prompts_free(prompts);
    cli_instructions_free(instructions);
    return status;
}

/* ---- asking ---- */

static ts_status ask(complete_values *v, const ts_evaluator *kept, ts_evaluator *evaluator, ts_completer_report *report)
{
    size_t count = (size_t)ts_evaluator_count(kept);
    ts_record *records = calloc(count, sizeof *records);
    const ts_record **prompts = calloc(count, sizeof *prompts);
    cli_progress progress;
    ts_status status = records != NULL && prompts != NULL ? TS_OK : cli_fail("there is no memory for %zu prompts", count);
    for (size_t i = 0; i < count && status == TS_OK; i++) {
        records[i].struct_size = sizeof records[i];
        prompts[i] = &records[i];
        status = ts_evaluator_record(kept, i, &records[i]);
    }
    if (status == TS_OK) {
        cli_chat_progress_start(&progress, &v->common, "asking", "completions");
        status = ts_evaluator_complete(evaluator, prompts, count, &v->options, cli_progress_tell, &progress, report);
        cli_progress_end(&progress);
        if (status != TS_OK && report->wanted > 0)
            status = cli_chat_failed(status == TS_ERROR_CANCELLED ? "interrupted" : ts_error_detail(), &v->chat, &report->chat);
    }
    free(records);
    free(prompts);
    return status;
}

/* ---- results ---- */

static void print_report(const complete_values *v, const ts_completer_report *r)
{
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "model", v->options.model != NULL ? v->options.model : v->chat.options.model);
    cli_integer(&o, "wanted", r->wanted);
    if (v->dry) {
        cli_chat_estimate(&o, &v->chat, &r->chat);
    } else {
        cli_integer(&o, "completions", r->added);
        cli_integer(&o, "cut_by_reply_tokens", r->ended);
        cli_integer(&o, "unusable", r->unusable);
        cli_chat_report(&o, &r->chat);
    }
    cli_output_end(&o);
}

/* ---- the command ---- */

static ts_status check_call(complete_values *v)
{
    if ((v->prompts == NULL) == (v->instruct == NULL))
        return cli_usage("expected --prompts FILE or --instruct FILE");
    if (v->options.raw && v->options.templates != NULL)
        return cli_usage("--templates is what a chat is asked, but --raw sends the beginning as it is");
    if (v->out == NULL && !v->dry)
        return cli_usage("--out is missing: the file that the completions are written to");
    CLI_TRY(cli_check_out(&v->common, v->out, true));
    CLI_TRY(cli_chat_begin(&v->common, &v->chat, v->dry != 0));
    v->options.chat = &v->chat.options;
    v->options.estimate = v->dry;
    return TS_OK;
}

static ts_status complete(void *values)
{
    complete_values *v = values;
    ts_evaluator *kept = NULL, *evaluator = NULL;
    ts_evaluator_options options;
    ts_completer_report report = {.struct_size = sizeof report};
    CLI_TRY(ts_evaluator_options_init(&options, sizeof options));
    ts_status status = check_call(v);
    if (status == TS_OK)
        status = ts_evaluator_new(&kept, v->common.runtime, &options);
    options.cut = v->cut;
    if (status == TS_OK)
        status = ts_evaluator_new(&evaluator, v->common.runtime, &options);
    if (status == TS_OK)
        status = read_prompts(v, kept);
    if (status == TS_OK)
        status = ask(v, kept, evaluator, &report);
    if (status == TS_OK && !v->dry)
        status = cli_save_records(v->out, evaluator);
    if (status == TS_OK && (v->dry || strcmp(v->out, "-") != 0))
        print_report(v, &report);
    ts_evaluator_free(evaluator);
    ts_evaluator_free(kept);
    cli_chat_end(&v->chat);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(complete_values, member)
static const cli_argument complete_arguments[] = {
    {"--prompts", "FILE", CLI_TEXT, 0, OFFSET(prompts), 0, 0, NULL, "beginnings to complete: text (lines, paragraphs, or divided by <|endoftext|>), or a list in YAML"},
    {"--instruct", "FILE", CLI_TEXT, 0, OFFSET(instruct), 0, 0, NULL, "or entries of TinyStories-Instruct, told anew from what they ask for"},
    {"--out", "FILE", CLI_TEXT, 0, OFFSET(out), 0, 0, NULL, "the completions, as JSON lines for --completions of other commands"},
    {"--name", "NAME", CLI_TEXT, 0, OFFSET(options.model), 0, 0, NULL, "what to call the model in them (default: --model)"},
    {"--completions-per-prompt", "N", CLI_UINT32, 0, OFFSET(options.per_prompt), 1, 100000, NULL, "of each; more of them later keep those that the journal has"},
    {"--cut", "K", CLI_UINT32, 0, OFFSET(cut), 0, 64, NULL, "cut completions at their first repeated K-gram of words, as the paper does at 4; 0: do not"},
    {"--templates", "FILE", CLI_TEXT, 0, OFFSET(options.templates), 0, 0, NULL, "what the service is asked: 'complete' and 'complete instruction' of judge.txt"},
    {"--raw", NULL, CLI_FLAG, 0, OFFSET(options.raw), 0, 0, NULL, "for models that know no chat: the service's /completions go on with the beginning itself"},
    {"--dry-run", NULL, CLI_FLAG, 0, OFFSET(dry), 0, 0, NULL, "send nothing: show what it would cost at most"},
    CLI_CHAT_ARGUMENTS(complete_values, chat, ""),
};
#undef OFFSET
/* clang-format on */

const cli_command cli_complete_commands[] = {
    {"evaluate", "complete", "have a model behind a chat service complete prompts, as a baseline",
     "The service is told to write each story out from its first word; what repeats the beginning is taken off. Base models, such as GPT-2 behind llama-server or vLLM, know no\n"
     "chat: with --raw the beginning is all that is sent (of --instruct the entry up to its story), and what comes is the completion, to the byte. A reply that ends at\n"
     "--reply-tokens is kept as far as it goes: models that know no end are cut by that and by --cut. The paper has ten completions of each prompt, --temperature 1.\n"
     "Every reply is in the journal before it is used, and the same command goes on. The key comes from --key-file, or from the environment variable TINYSTORIES_API_KEY, or\n"
     "for the default --base-url OPENAI_API_KEY. Then: evaluate judge --completions ours.jsonl FILE; evaluate duel --completions ours.jsonl FILE.",
     complete_arguments, CLI_COUNT_OF(complete_arguments), sizeof(complete_values), complete_defaults, complete},
    {0},
};

/* Completions of a model as records of an evaluator, and as JSON lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

ts_status cli_save_record(FILE *file, const ts_evaluator *evaluator, uint64_t index, const char *ending)
{
    ts_record r = {.struct_size = sizeof r};
    CLI_TRY(ts_evaluator_record(evaluator, index, &r));
    const struct {
        const char *key, *text;
    } all[] = {{"model", r.model},       {"prompt", r.prompt},     {"completion", r.completion}, {"words", r.words},
               {"sentence", r.sentence}, {"features", r.features}, {"summary", r.summary}, {"ending", ending}};
    cli_output o = cli_output_to(file);
    for (size_t i = 0; i < CLI_COUNT_OF(all); i++)
        if (all[i].text != NULL)
            cli_text(&o, all[i].key, all[i].text);
    cli_output_end(&o);
    return TS_OK;
}

ts_status cli_save_records(const char *path, const ts_evaluator *evaluator)
{
    cli_file file;
    ts_status status = TS_OK;
    CLI_TRY(cli_file_open(&file, path));
    for (uint64_t i = 0; i < ts_evaluator_count(evaluator) && status == TS_OK; i++)
        status = cli_save_record(file.stream, evaluator, i, NULL);
    return cli_file_close(&file, status);
}

/* The prompt is no part of a completion: the sampler gives what comes behind it alone. */
static ts_status tell_one(ts_sampler *sampler, const cli_completions *c, ts_record *record, uint64_t seed, ts_evaluator *evaluator)
{
    char *completion = NULL;
    const char *text;
    size_t piece, length = 0;
    FILE *kept = open_memstream(&completion, &length);
    if (kept == NULL)
        return cli_fail("there is no memory for a story");
    ts_status status = ts_sampler_start_seeded(sampler, record->prompt, record->prompt_size, seed);
    while (status == TS_OK && (status = ts_sampler_next(sampler, &text, &piece)) == TS_OK && text != NULL)
        fwrite(text, 1, piece, kept);
    if (fclose(kept) != 0 && status == TS_OK)
        status = cli_fail("there is no memory for a story");
    size_t blank = c->instructed ? strspn(completion, " \n") : 0; /* what stands behind "Story:" */
    record->completion = completion + blank;
    record->completion_size = length - (blank < length ? blank : length);
    if (c->instructed) {
        record->prompt = NULL;
        record->prompt_size = 0;
    }
    record->model = c->name;
    if (status == TS_OK)
        status = ts_evaluator_add(evaluator, record);
    free(completion);
    return status;
}

ts_status cli_prompts_get(const void *prompts, size_t index, ts_record *record)
{
    record->prompt = ts_prompts_get(prompts, index, &record->prompt_size);
    return TS_OK;
}

/* ---- instructions ---- */

struct cli_instructions {
    ts_prompts *entries;
    char *kept[5]; /* of the entry that was taken last: words, sentence, features, summary, prompt */
};

ts_status cli_instructions_open(cli_instructions **out, ts_runtime *runtime, const char *path)
{
    cli_instructions *i = calloc(1, sizeof *i);
    if (i == NULL)
        return cli_fail("there is no memory");
    ts_status status = ts_prompts_open(&i->entries, runtime, path);
    if (status != TS_OK)
        cli_instructions_free(i);
    else
        *out = i;
    return status;
}

static void forget(cli_instructions *i)
{
    for (size_t k = 0; k < CLI_COUNT_OF(i->kept); k++) {
        free(i->kept[k]);
        i->kept[k] = NULL;
    }
}

void cli_instructions_free(cli_instructions *i)
{
    if (i == NULL)
        return;
    forget(i);
    ts_prompts_free(i->entries);
    free(i);
}

size_t cli_instructions_count(const cli_instructions *i)
{
    return ts_prompts_count(i->entries);
}

ts_status cli_instructions_get(const void *instructions, size_t index, ts_record *record)
{
    cli_instructions *i = *(cli_instructions *const *)instructions;
    ts_instruct fields = {.struct_size = sizeof fields};
    size_t size, wanted;
    const char *entry = ts_prompts_get(i->entries, index, &size);
    forget(i);
    if (ts_instruct_parse(&fields, entry, size) != TS_OK || (!fields.words && !fields.sentence && !fields.features && !fields.summary))
        return cli_fail("entry %zu has no Words:, Features:, Summary: or Random sentence: before its Story:", index + 1);
    const struct {
        const char *text, **to;
        size_t size;
    } all[] = {{fields.words, &record->words, fields.words_size},
               {fields.sentence, &record->sentence, fields.sentence_size},
               {fields.features, &record->features, fields.features_size},
               {fields.summary, &record->summary, fields.summary_size}};
    for (size_t k = 0; k < CLI_COUNT_OF(all); k++)
        if (all[k].text != NULL && (*all[k].to = i->kept[k] = strndup(all[k].text, all[k].size)) == NULL)
            return cli_fail("there is no memory");
    fields.story = NULL; /* that is the model's to write */
    fields.story_size = 0;
    if ((i->kept[4] = malloc(wanted = size + 256)) == NULL)
        return cli_fail("there is no memory");
    CLI_TRY(ts_instruct_prompt(&fields, i->kept[4], wanted, &record->prompt_size));
    record->prompt = i->kept[4];
    return TS_OK;
}

ts_status cli_complete(const ts_model *model, const cli_completions *c, ts_evaluator *evaluator, cli_progress *progress)
{
    ts_sampler *sampler = NULL;
    uint64_t total = (uint64_t)c->count * c->per_prompt;
    ts_status status = ts_sampler_new(&sampler, model, c->sampling);
    progress->what = "telling";
    progress->unit = "completions";
    for (uint64_t i = 0; i < total && status == TS_OK; i++) {
        ts_record record = {.struct_size = sizeof record};
        status = c->get(c->prompts, (size_t)(i / c->per_prompt), &record);
        if (status == TS_OK)
            status = tell_one(sampler, c, &record, c->seed + i, evaluator);
        if (status == TS_OK && cli_progress_tell(progress, i + 1, total) != 0)
            status = cli_fail("interrupted");
    }
    cli_progress_end(progress);
    ts_sampler_free(sampler);
    return status;
}

const char *cli_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != 0 ? slash + 1 : path;
}

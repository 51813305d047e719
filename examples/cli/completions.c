/* Completions of a model as records of an evaluator, and as JSON lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void save_string(FILE *file, const char *key, const char *text, bool more)
{
    fprintf(file, "%s\"%s\": \"", more ? ", " : "", key);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < 0x20)
            fprintf(file, "\\u%04x", c);
        else
            fputc(c, file);
    }
    fputc('"', file);
}

/* What the evaluator keeps: what is no text in a completion was replaced there. */
static ts_status save_record(FILE *file, const ts_evaluator *evaluator)
{
    ts_record r = {.struct_size = sizeof r};
    CLI_TRY(ts_evaluator_record(evaluator, ts_evaluator_count(evaluator) - 1, &r));
    const struct {
        const char *key, *text;
    } all[] = {{"model", r.model}, {"prompt", r.prompt}, {"completion", r.completion}, {"words", r.words}, {"sentence", r.sentence}, {"features", r.features},
               {"summary", r.summary}};
    fputc('{', file);
    for (size_t i = 0; i < CLI_COUNT_OF(all); i++)
        if (all[i].text != NULL)
            save_string(file, all[i].key, all[i].text, i > 0);
    fputs("}\n", file);
    return TS_OK;
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
    record->completion = completion;
    record->completion_size = length;
    record->model = c->name;
    if (status == TS_OK)
        status = ts_evaluator_add(evaluator, record);
    if (status == TS_OK && c->save != NULL)
        status = save_record(c->save, evaluator);
    free(completion);
    return status;
}

ts_status cli_prompts_get(const void *prompts, size_t index, ts_record *record)
{
    record->prompt = ts_prompts_get(prompts, index, &record->prompt_size);
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

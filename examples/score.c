/*
 * Grades what a model writes: by GPT-4 when OPENAI_API_KEY is set, else by the embedded judge, which needs no network (and whose grades are another thing).
 *
 * usage: score MODEL PROMPTS [STORIES]      STORIES: text that the embedded judge learns its language from, such as the training text
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <tinystories.h>

enum { COMPLETIONS = 3, MOST_TEXT = 1 << 16 };

/* Tells one completion into `text`; what does not fit is dropped. */
static ts_status complete(ts_sampler *sampler, ts_record *record, uint64_t seed, char *text)
{
    const char *piece;
    size_t count;
    ts_status status = ts_sampler_start_seeded(sampler, record->prompt, record->prompt_size, seed);
    while (status == TS_OK && (status = ts_sampler_next(sampler, &piece, &count)) == TS_OK && piece != NULL)
        for (size_t i = 0; i < count && record->completion_size < MOST_TEXT; i++)
            text[record->completion_size++] = piece[i];
    return status;
}

static ts_status add_completions(ts_evaluator *evaluator, ts_sampler *sampler, const ts_prompts *prompts, const char *model)
{
    static char text[MOST_TEXT];
    for (size_t i = 0; i < ts_prompts_count(prompts) * COMPLETIONS; i++) {
        ts_record record = {.struct_size = sizeof record, .completion = text, .model = model};
        record.prompt = ts_prompts_get(prompts, i / COMPLETIONS, &record.prompt_size);
        ts_status status = complete(sampler, &record, i, text);
        if (status == TS_OK)
            status = ts_evaluator_add(evaluator, &record);
        if (status != TS_OK)
            return status;
    }
    return TS_OK;
}

static ts_status print_grades(ts_evaluator *evaluator, const char *judge)
{
    ts_evaluation result = {.struct_size = sizeof result};
    ts_status status = ts_evaluator_evaluate(evaluator, NULL, &result);
    if (status != TS_OK)
        return status;
    printf("%llu of %llu completions graded by %s\n", (unsigned long long)result.outcomes[TS_JUDGED_SCORED], (unsigned long long)result.records, judge);
    for (uint32_t axis = 0; axis < TS_AXIS_COUNT; axis++) {
        const ts_grade_mean *grade = &result.axes[axis];
        if (isnan(grade->mean)) /* too few have grades */
            continue;
        printf("%-12s %5.2f of 10   ", ts_axis_name(axis), grade->mean);
        if (!isnan(grade->low)) /* two prompts make an interval */
            printf("(%.2f to %.2f)", grade->low, grade->high);
        putchar('\n');
    }
    return TS_OK;
}

/* The key's owner pays: replies are kept in score.journal, and the same call again asks for nothing that is there. */
static ts_status make_evaluator(ts_evaluator **evaluator, ts_chat_options *chat, const char *const *stories)
{
    ts_evaluator_options options;
    const char *key = getenv("OPENAI_API_KEY"), *url = getenv("OPENAI_BASE_URL");
    ts_evaluator_options_init(&options, sizeof options);
    if (key != NULL && *key != 0) {
        ts_status status = ts_chat_options_init(chat, sizeof *chat);
        if (status != TS_OK) /* a library without chat services */
            return status;
        chat->model = "gpt-4";
        chat->journal = "score.journal";
        chat->key = key;
        if (url != NULL && *url != 0)
            chat->base_url = url;
        options.judge = TS_JUDGE_CHAT;
        options.chat = chat;
    } else if (*stories != NULL) {
        options.text = stories;
        options.text_count = 1;
    }
    return ts_evaluator_new(evaluator, NULL, &options);
}

int main(int count, char **values)
{
    if (count < 3) {
        fprintf(stderr, "usage: score MODEL PROMPTS [STORIES]\n");
        return 2;
    }
    ts_evaluator *evaluator = NULL;
    ts_prompts *prompts = NULL;
    ts_model *model = NULL;
    ts_sampler *sampler = NULL;
    ts_sampler_options sampling;
    ts_chat_options chat = {0};
    const char *stories = count > 3 ? values[3] : NULL;
    ts_sampler_options_init(&sampling, sizeof sampling);
    sampling.temperature = 1; /* as the paper grades */
    ts_status status = make_evaluator(&evaluator, &chat, &stories);
    if (status == TS_OK)
        status = ts_prompts_open(&prompts, NULL, values[2]);
    if (status == TS_OK)
        status = ts_model_open(&model, NULL, values[1], NULL);
    if (status == TS_OK)
        status = ts_sampler_new(&sampler, model, &sampling);
    if (status == TS_OK)
        status = add_completions(evaluator, sampler, prompts, values[1]);
    if (status == TS_OK)
        status = ts_evaluator_run(evaluator, NULL, NULL);
    if (status == TS_OK)
        status = print_grades(evaluator, chat.model != NULL ? chat.model : "the embedded judge");
    if (status != TS_OK)
        fprintf(stderr, "score: %s\n", ts_error_detail());
    ts_sampler_free(sampler);
    ts_model_free(model);
    ts_prompts_free(prompts);
    ts_evaluator_free(evaluator);
    return status != TS_OK;
}

/*
 * Sets models side by side: their losses on a text and the power law through them (paper section 6), and what they make of short prompts that ask for
 * facts, reasoning and context (figures 9 to 11), marked by rule, with a sign test between the first model and each other.
 *
 * usage: study TEXT QUESTIONS MODEL...      QUESTIONS: such as examples/study_prompts.txt
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <tinystories.h>

enum { MOST_MODELS = 32, MOST_QUESTIONS = 1000, MOST_TEXT = 1 << 12, TOKENS = 40 };

static uint32_t marks[MOST_MODELS][MOST_QUESTIONS]; /* TS_MARK_ */
static double sizes[MOST_MODELS], losses[MOST_MODELS];

/* Goes on from a prompt, always with the likeliest token. */
static ts_status mark_one(ts_sampler *sampler, const ts_questions *questions, size_t index, uint32_t *mark)
{
    char text[MOST_TEXT];
    const char *piece;
    size_t count, size = 0;
    ts_question q = {.struct_size = sizeof q};
    ts_status status = ts_questions_get(questions, index, &q);
    if (status == TS_OK)
        status = ts_sampler_start(sampler, q.prompt, q.prompt_size);
    while (status == TS_OK && (status = ts_sampler_next(sampler, &piece, &count)) == TS_OK && piece != NULL)
        for (size_t i = 0; i < count && size < MOST_TEXT; i++)
            text[size++] = piece[i];
    return status == TS_OK ? ts_questions_mark(questions, index, text, size, mark) : status;
}

static ts_status look_at(size_t index, const char *path, const char *const *text, const ts_questions *questions)
{
    ts_model *model = NULL;
    ts_sampler *sampler = NULL;
    ts_sampler_options sampling;
    ts_score score = {.struct_size = sizeof score};
    ts_sampler_options_init(&sampling, sizeof sampling);
    sampling.temperature = 0;
    sampling.max_tokens = TOKENS;
    ts_status status = ts_model_open(&model, NULL, path, NULL);
    if (status == TS_OK)
        status = ts_model_score_files(model, text, 1, &score, NULL, NULL);
    if (status == TS_OK)
        status = ts_sampler_new(&sampler, model, &sampling);
    for (size_t i = 0; i < ts_questions_count(questions) && status == TS_OK; i++)
        status = mark_one(sampler, questions, i, &marks[index][i]);
    sizes[index] = (double)ts_model_parameters(model);
    losses[index] = score.bits_per_byte;
    ts_sampler_free(sampler);
    ts_model_free(model);
    return status;
}

static void print_marks(size_t index, const char *path, size_t questions)
{
    size_t right = 0, partly = 0;
    uint64_t wins = 0, losses_of = 0;
    double p = 1;
    for (size_t i = 0; i < questions; i++) {
        right += marks[index][i] == TS_MARK_RIGHT;
        partly += marks[index][i] == TS_MARK_PARTLY;
        wins += marks[index][i] == TS_MARK_RIGHT && marks[0][i] != TS_MARK_RIGHT;
        losses_of += marks[index][i] != TS_MARK_RIGHT && marks[0][i] == TS_MARK_RIGHT;
    }
    ts_sign_test(wins, losses_of, &p);
    printf("%s: %.0f parameters, %.4f bits per byte, %zu right and %zu partly of %zu", path, sizes[index], losses[index], right, partly, questions);
    if (index > 0)
        printf(", against the first p = %.3f", p);
    putchar('\n');
}

/* Whether there are three different sizes: two make no law. */
static bool have_three_sizes(size_t models)
{
    size_t different = 0;
    for (size_t i = 0; i < models; i++) {
        size_t j = 0;
        while (sizes[j] != sizes[i])
            j++;
        different += j == i; /* the first of its size */
    }
    return different >= 3;
}

int main(int count, char **values)
{
    ts_questions *questions = NULL;
    ts_power_law law = {.struct_size = sizeof law};
    size_t models = count > 3 ? (size_t)count - 3 : 0;
    if (models == 0 || models > MOST_MODELS) {
        fprintf(stderr, "usage: study TEXT QUESTIONS MODEL...\n");
        return 2;
    }
    ts_status status = ts_questions_open(&questions, NULL, values[2]);
    size_t asked = ts_questions_count(questions);
    if (asked > MOST_QUESTIONS) {
        fprintf(stderr, "study: %s has %zu prompts, expected at most %d\n", values[2], asked, MOST_QUESTIONS);
        ts_questions_free(questions);
        return 1;
    }
    for (size_t i = 0; i < models && status == TS_OK; i++) {
        status = look_at(i, values[3 + i], (const char *const *)&values[1], questions);
        if (status == TS_OK)
            print_marks(i, values[3 + i], asked);
    }
    if (status == TS_OK && have_three_sizes(models) && ts_power_law_fit(sizes, losses, models, 0.95, &law) == TS_OK)
        printf("bits per byte = %.4g parameters^%.4f (%.4f to %.4f)\n", law.factor, law.exponent, law.exponent_low, law.exponent_high);
    if (status != TS_OK)
        fprintf(stderr, "study: %s\n", ts_error_detail());
    ts_questions_free(questions);
    return status != TS_OK;
}

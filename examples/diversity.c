/*
 * How much of what a model writes is copied (paper section 4.4): stories that it learned from are drawn and cut, it goes on from their beginnings, and
 * what it writes is set against how they truly go on, against each other, and against the whole text.
 *
 * usage: diversity MODEL STORIES [COUNT]      STORIES: the text that the model learned from
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <tinystories.h>

enum { MOST_TEXT = 1 << 16 };

/* Tells one completion into `text`; what does not fit is dropped. */
static ts_status complete(ts_sampler *sampler, const ts_beginning *story, uint64_t seed, char *text, size_t *size)
{
    const char *piece;
    size_t count;
    ts_status status = ts_sampler_start_seeded(sampler, story->beginning, story->beginning_size, seed);
    *size = 0;
    while (status == TS_OK && (status = ts_sampler_next(sampler, &piece, &count)) == TS_OK && piece != NULL)
        for (size_t i = 0; i < count && *size < MOST_TEXT; i++)
            text[(*size)++] = piece[i];
    return status;
}

static ts_status add_completions(ts_diversity *set, ts_sampler *sampler, const ts_beginnings *drawn)
{
    static char text[MOST_TEXT];
    for (size_t i = 0; i < ts_beginnings_count(drawn); i++) {
        ts_beginning story = {.struct_size = sizeof story};
        size_t size;
        ts_status status = ts_beginnings_get(drawn, i, &story);
        if (status == TS_OK)
            status = complete(sampler, &story, i, text, &size);
        if (status == TS_OK)
            status = ts_diversity_add(set, text, size, story.ending, story.ending_size);
        if (status != TS_OK)
            return status;
    }
    return TS_OK;
}

static ts_status print_measures(ts_diversity *set)
{
    ts_diversity_report r = {.struct_size = sizeof r};
    ts_status status = ts_diversity_measure(set, &r);
    if (status != TS_OK)
        return status;
    printf("%llu completions\n", (unsigned long long)r.completions);
    if (isnan(r.mean_nearest_precision)) {
        puts("of which none has two words");
        return TS_OK;
    }
    printf("of their pairs of words %.1f %% are in the true ending, %.1f %% in the nearest story of the text\n", 100 * r.mean_ending_precision,
           100 * r.mean_nearest_precision);
    printf("the longest run of words that the text has too: %.1f words, at most %llu\n", r.mean_copied_words, (unsigned long long)r.max_copied_words);
    for (size_t k = 1; k <= TS_NOVELTY_GRAM; k++)
        printf("%zu words in a row that the text never has: %.1f %%\n", k, 100.0 * (double)r.never[k - 1] / (double)(r.grams[k - 1] > 0 ? r.grams[k - 1] : 1));
    return TS_OK;
}

/* Stories that the model's context holds whole, before which stands the token that stories begin with. */
static ts_status draw(ts_beginnings **drawn, const ts_model *model, const char *const *stories, uint64_t count)
{
    ts_beginnings_options options;
    ts_architecture shape = {.struct_size = sizeof shape};
    ts_beginnings_options_init(&options, sizeof options); /* 100 stories, 40 % of each, as the paper has it */
    options.count = count > 0 ? count : options.count;
    options.tokenizer = ts_model_tokenizer(model);
    ts_status status = ts_model_architecture(model, &shape);
    options.max_tokens = shape.context_length - 1;
    return status == TS_OK ? ts_beginnings_open(drawn, NULL, stories, 1, &options) : status;
}

int main(int count, char **values)
{
    static const char index[] = "stories.index.gguf"; /* made once, for every model that learned from the text */
    ts_beginnings *drawn = NULL;
    ts_novelty *novelty = NULL;
    ts_diversity *set = NULL;
    ts_model *model = NULL;
    ts_sampler *sampler = NULL;
    ts_sampler_options sampling;
    if (count < 3) {
        fprintf(stderr, "usage: diversity MODEL STORIES [COUNT]\n");
        return 2;
    }
    const char *const *stories = (const char *const *)&values[2];
    ts_sampler_options_init(&sampling, sizeof sampling);
    sampling.temperature = 1;
    ts_status status = ts_novelty_build(NULL, stories, 1, index, NULL);
    if (status == TS_OK)
        status = ts_novelty_open(&novelty, NULL, index);
    if (status == TS_OK)
        status = ts_model_open(&model, NULL, values[1], NULL);
    if (status == TS_OK)
        status = draw(&drawn, model, stories, count > 3 ? strtoull(values[3], NULL, 10) : 0);
    if (status == TS_OK)
        status = ts_sampler_new(&sampler, model, &sampling);
    if (status == TS_OK)
        status = ts_diversity_new(&set, NULL, novelty);
    if (status == TS_OK)
        status = add_completions(set, sampler, drawn);
    if (status == TS_OK)
        status = print_measures(set);
    if (status != TS_OK)
        fprintf(stderr, "diversity: %s\n", ts_error_detail());
    ts_diversity_free(set);
    ts_sampler_free(sampler);
    ts_model_free(model);
    ts_beginnings_free(drawn);
    ts_novelty_free(novelty);
    return status != TS_OK;
}

/*
 * Opens a model and tells a story.
 *
 * usage: story MODEL.gguf [PROMPT] [SEED]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tinystories.h>

int main(int count, char **values)
{
    if (count < 2) {
        fprintf(stderr, "usage: story MODEL.gguf [PROMPT] [SEED]\n");
        return 2;
    }
    const char *prompt = count > 2 ? values[2] : "Once upon a time";
    ts_model *model = NULL;
    ts_sampler *sampler = NULL;
    ts_sampler_options options;
    const char *text;
    size_t size;

    ts_sampler_options_init(&options, sizeof options);
    options.seed = count > 3 ? strtoull(values[3], NULL, 10) : 1;
    ts_status status = ts_model_open(&model, NULL, values[1], NULL);
    if (status == TS_OK)
        status = ts_sampler_new(&sampler, model, &options);
    if (status == TS_OK)
        status = ts_sampler_start(sampler, prompt, strlen(prompt));
    if (status == TS_OK)
        fputs(prompt, stdout);
    /* Each piece is whole UTF-8 characters; NULL is the end of the story. */
    while (status == TS_OK && (status = ts_sampler_next(sampler, &text, &size)) == TS_OK && text != NULL)
        fwrite(text, 1, size, stdout);
    putchar('\n');
    if (status != TS_OK)
        fprintf(stderr, "story: %s\n", ts_error_detail());
    ts_sampler_free(sampler);
    ts_model_free(model);
    return status != TS_OK;
}

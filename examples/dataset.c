/*
 * Writes a dataset with the embedded author, and shows its first story with what was asked for.
 *
 * usage: dataset COUNT FILE(.txt|.jsonl)(.gz) [SEED]
 */
#include <stdio.h>
#include <stdlib.h>
#include <tinystories.h>

int main(int count, char **values)
{
    if (count < 3) {
        fprintf(stderr, "usage: dataset COUNT FILE(.txt|.jsonl)(.gz) [SEED]\n");
        return 2;
    }
    ts_generator *generator = NULL;
    ts_generator_options options;
    ts_story story = {.struct_size = sizeof story};
    ts_generator_options_init(&options, sizeof options);
    options.seed = count > 3 ? strtoull(values[3], NULL, 10) : 0;
    ts_status status = ts_generator_new(&generator, NULL, &options);
    if (status == TS_OK)
        status = ts_generator_next(generator, &story);
    if (status == TS_OK) {
        printf("words: %s, %s, %s\nfeatures:", story.words[0], story.words[1], story.words[2]);
        for (uint32_t bit = 0; bit < TS_FEATURE_COUNT; bit++)
            if (story.features >> bit & 1)
                printf(" %s", ts_feature_name(1u << bit));
        printf("\nsummary: %s\n\n%s\n", story.summary, story.story);
        status = ts_generator_seek(generator, 0);
    }
    if (status == TS_OK)
        status = ts_generator_write(generator, strtoull(values[1], NULL, 10), values[2], NULL, NULL);
    if (status != TS_OK)
        fprintf(stderr, "dataset: %s\n", ts_error_detail());
    ts_generator_free(generator);
    return status != TS_OK;
}

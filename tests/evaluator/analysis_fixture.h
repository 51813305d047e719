/* What the tests of taps, heads and neurons share. */
#ifndef ANALYSIS_FIXTURE_H
#define ANALYSIS_FIXTURE_H

#include "model/model_fixture.h"

#include <math.h>

static const int32_t every_kind[] = {TS_ARCHITECTURE_LLAMA, TS_ARCHITECTURE_GPT2, TS_ARCHITECTURE_GPT_NEO};

/* Where a parameter of a model lies in its flat array. */
FIXTURE float *parameter(ts_model *model, ts_slot slot, size_t layer)
{
    return model->weights.all[layer][slot];
}

FIXTURE const char *corpus_file(void)
{
    char all[2000] = "";
    for (size_t i = 0; i < TS_COUNT_OF(fixture_stories); i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s\n<|endoftext|>\n", fixture_stories[i]);
    return put_file("corpus.txt", all, strlen(all));
}

FIXTURE ts_analysis_options analysis_options(void)
{
    ts_analysis_options options;
    assert_ok(ts_analysis_options_init(&options, sizeof options));
    return options;
}

#endif

/* Stories told together by a batch, each kept until it is whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* What a group of stories needs; the arrays have `count` entries. */
typedef struct group {
    ts_batch *batch;
    ts_sampler **telling; /* those whose stories are not over */
    size_t *which;        /* the story of each */
    const char **texts;
    size_t *sizes;
    ts_status *statuses;
    FILE **files;
} group;

static ts_status make_group(group *g, const ts_model *model, cli_story *stories, size_t count)
{
    ts_batch_options options;
    CLI_TRY(ts_batch_options_init(&options, sizeof options));
    options.capacity = (uint32_t)count;
    for (size_t i = 0; i < count; i++) /* a sampler's context may be longer than the model's */
        options.context_length = stories[i].context_length > options.context_length ? stories[i].context_length : options.context_length;
    g->telling = calloc(count, sizeof *g->telling);
    g->which = calloc(count, sizeof *g->which);
    g->texts = calloc(count, sizeof *g->texts);
    g->sizes = calloc(count, sizeof *g->sizes);
    g->statuses = calloc(count, sizeof *g->statuses);
    g->files = calloc(count, sizeof *g->files);
    if (g->telling == NULL || g->which == NULL || g->texts == NULL || g->sizes == NULL || g->statuses == NULL || g->files == NULL)
        return cli_fail("there is no memory for %zu stories", count);
    for (size_t i = 0; i < count; i++) {
        g->telling[i] = stories[i].sampler;
        g->which[i] = i;
        if ((g->files[i] = open_memstream(&stories[i].text, &stories[i].size)) == NULL)
            return cli_fail("there is no memory for a story");
    }
    return ts_batch_new(&g->batch, model, &options);
}

/* A token of every story; gives how many are not over. */
static ts_status step(group *g, cli_story *stories, size_t *count)
{
    size_t kept = 0;
    CLI_TRY(ts_batch_next(g->batch, g->telling, *count, g->texts, g->sizes, g->statuses));
    for (size_t i = 0; i < *count; i++) {
        if (g->texts[i] == NULL)
            continue;
        fwrite(g->texts[i], 1, g->sizes[i], g->files[g->which[i]]);
        stories[g->which[i]].tokens++;
        g->telling[kept] = g->telling[i];
        g->which[kept++] = g->which[i];
    }
    *count = kept;
    return TS_OK;
}

ts_status cli_tell_together(const ts_model *model, cli_story *stories, size_t count)
{
    group g = {0};
    size_t left = count;
    ts_status status = make_group(&g, model, stories, count);
    while (status == TS_OK && left > 0)
        status = step(&g, stories, &left);
    for (size_t i = 0; i < count && g.files != NULL; i++)
        if (g.files[i] != NULL && fclose(g.files[i]) != 0 && status == TS_OK)
            status = cli_fail("there is no memory for a story");
    ts_batch_free(g.batch);
    free(g.telling);
    free(g.which);
    free(g.texts);
    free(g.sizes);
    free(g.statuses);
    free(g.files);
    return status;
}

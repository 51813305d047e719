/*
 * A choose-your-own story: after every sentence three ways on are told, by copies of the story with seeds of their own; the one that is chosen
 * becomes the story. A choice can be taken back, and the story saved, to go on another day.
 *
 * usage: branches MODEL.gguf [SESSION]     then lines: 1, 2 or 3 chooses, b goes back, s saves to SESSION, q ends
 */
#include <stdio.h>
#include <string.h>
#include <tinystories.h>

enum { WAYS = 3, MOST_CHOICES = 256, MOST_SENTENCE = 1024 };

typedef struct game {
    ts_sampler *story, *ways[WAYS];
    size_t lengths[MOST_CHOICES]; /* of the story before each choice, in tokens */
    size_t choices;
    uint64_t seed; /* a new one for every way */
} game;

/* Tells up to the end of a sentence. Nothing is told when the story is over. */
static ts_status tell_sentence(ts_sampler *sampler, char sentence[MOST_SENTENCE])
{
    size_t used = 0, size = 0;
    const char *text = "";
    while (used == 0 || strchr(".!?", sentence[used - 1]) == NULL) {
        ts_status status = ts_sampler_next(sampler, &text, &size);
        if (status != TS_OK || text == NULL || used + size >= MOST_SENTENCE) {
            sentence[used] = 0;
            return status;
        }
        memcpy(sentence + used, text, size);
        used += size;
        sentence[used] = 0;
    }
    return TS_OK;
}

static void forget_ways(game *g)
{
    for (int i = 0; i < WAYS; i++) {
        ts_sampler_free(g->ways[i]);
        g->ways[i] = NULL;
    }
}

/* Copies are at the same point of the story; a cut to the tokens it has gives each the random numbers of its own seed. */
static ts_status offer_ways(game *g)
{
    char sentence[MOST_SENTENCE];
    size_t length;
    ts_sampler_tokens(g->story, &length);
    for (int i = 0; i < WAYS; i++) {
        ts_status status = ts_sampler_clone(&g->ways[i], g->story);
        if (status == TS_OK)
            status = ts_sampler_cut(g->ways[i], length, ++g->seed);
        if (status == TS_OK)
            status = tell_sentence(g->ways[i], sentence);
        if (status != TS_OK)
            return status;
        printf("%d:%s\n", i + 1, sentence);
    }
    return TS_OK;
}

static void choose(game *g, int way)
{
    if (g->choices < MOST_CHOICES)
        ts_sampler_tokens(g->story, &g->lengths[g->choices++]);
    ts_sampler_free(g->story);
    g->story = g->ways[way];
    g->ways[way] = NULL;
}

static ts_status play(game *g, const char *session)
{
    char line[16];
    ts_status status = offer_ways(g);
    while (status == TS_OK && fgets(line, sizeof line, stdin) != NULL && line[0] != 'q') {
        if (line[0] == 's' && session != NULL) {
            status = ts_sampler_save(g->story, session);
            continue;
        }
        if (line[0] >= '1' && line[0] <= '0' + WAYS)
            choose(g, line[0] - '1');
        else if (line[0] == 'b' && g->choices > 0)
            status = ts_sampler_cut(g->story, g->lengths[--g->choices], ++g->seed);
        forget_ways(g);
        if (status == TS_OK)
            status = offer_ways(g);
    }
    return status;
}

int main(int count, char **values)
{
    static const char beginning[] = "Once upon a time";
    static game g;
    ts_model *model = NULL;
    FILE *saved = count > 2 ? fopen(values[2], "rb") : NULL;
    if (count < 2) {
        fprintf(stderr, "usage: branches MODEL.gguf [SESSION]\n");
        return 2;
    }
    ts_status status = ts_model_open(&model, NULL, values[1], NULL);
    if (status == TS_OK && saved != NULL)
        status = ts_sampler_load(&g.story, model, values[2], NULL);
    else if (status == TS_OK && (status = ts_sampler_new(&g.story, model, NULL)) == TS_OK)
        status = ts_sampler_start(g.story, beginning, sizeof beginning - 1);
    if (status == TS_OK)
        status = play(&g, count > 2 ? values[2] : NULL);
    if (status != TS_OK)
        fprintf(stderr, "branches: %s\n", ts_error_detail());
    if (saved != NULL)
        fclose(saved);
    forget_ways(&g);
    ts_sampler_free(g.story);
    ts_model_free(model);
    return status != TS_OK;
}

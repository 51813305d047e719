/*
 * A story in a game: at most one token a frame, so that no frame is late, with a report of memory. The game counts all allocations itself: after the story has
 * begun there are none.
 *
 * usage: game_loop MODEL.gguf [FRAMES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <tinystories.h>

/* The game's own allocator, which counts. */
static unsigned long allocations;

static void *game_allocate(void *user, size_t size)
{
    (void)user;
    allocations++;
    return malloc(size);
}

static void *game_reallocate(void *user, void *memory, size_t size)
{
    (void)user;
    allocations++;
    return realloc(memory, size);
}

static void game_release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static ts_status play(ts_runtime *runtime, const char *path, int frames)
{
    ts_model *model = NULL;
    ts_sampler *sampler = NULL;
    uint64_t sampler_bytes = 0;
    const char *text = "";
    size_t size;
    double slowest = 0;
    ts_status status = ts_model_open(&model, runtime, path, NULL);
    if (status == TS_OK)
        status = ts_sampler_memory(model, NULL, &sampler_bytes); /* known before anything is allocated */
    if (status == TS_OK)
        status = ts_sampler_new(&sampler, model, NULL);
    if (status == TS_OK)
        status = ts_sampler_start(sampler, "One day, a little knight", 24);
    if (status != TS_OK) {
        ts_sampler_free(sampler);
        ts_model_free(model);
        return status;
    }
    printf("model and story: %.2f MB, of which the story %.2f MB\n", (double)ts_runtime_memory(runtime) / 1e6, (double)sampler_bytes / 1e6);
    printf("One day, a little knight");
    unsigned long before = allocations;
    int frame = 0;
    for (; status == TS_OK && frame < frames && text != NULL; frame++) {
        double start = milliseconds();
        status = ts_sampler_next(sampler, &text, &size); /* one token: the rest of the frame is the game's */
        if (status == TS_OK && text != NULL)
            fwrite(text, 1, size, stdout);
        double took = milliseconds() - start;
        slowest = took > slowest ? took : slowest;
    }
    printf("\n%d frames, the slowest token took %.2f ms, %lu allocations while telling\n", frame, slowest, allocations - before);
    ts_sampler_free(sampler);
    ts_model_free(model);
    return status;
}

int main(int count, char **values)
{
    if (count < 2) {
        fprintf(stderr, "usage: game_loop MODEL.gguf [FRAMES]\n");
        return 2;
    }
    ts_runtime *runtime = NULL;
    ts_runtime_options options;
    ts_runtime_options_init(&options, sizeof options);
    options.allocate = game_allocate;
    options.reallocate = game_reallocate;
    options.release = game_release;
    ts_status status = ts_runtime_new(&runtime, &options);
    if (status == TS_OK)
        status = play(runtime, values[1], count > 2 ? atoi(values[2]) : 200);
    if (status != TS_OK)
        fprintf(stderr, "game_loop: %s\n", ts_error_detail());
    ts_runtime_free(runtime);
    return status != TS_OK;
}

/* Makes an index: the text goes into the file as it is read, the places follow part by part, and the description is put before them at the end. */
#include "evaluator/novelty.h"

#include <stdio.h>

/* Kept free before the data for the description, which is filled up to this size: 512 parts of three tensors fit. */
#define DESCRIPTION_SIZE ((size_t)128 << 10)

static const ts_novelty_options defaults = {.struct_size = sizeof defaults, .working_memory = (uint64_t)512 << 20};

ts_status ts_novelty_options_init(ts_novelty_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_novelty_options");
}

static void add_vector(ts_gguf_writer *gguf, uint32_t type, uint64_t size, const char *name, size_t part)
{
    char text[TS_GGUF_MAX_NAME];
    snprintf(text, sizeof text, part == SIZE_MAX ? "%s" : "%s.%zu", name, part);
    ts_gguf_add_tensor(gguf, text, type, 1, &size);
}

static void describe(ts_gguf_writer *gguf, const ts_novelty_words *w, const ts_novelty_parts *parts, const char *filler, size_t filler_size)
{
    char key[32];
    ts_gguf_add_string(gguf, "general.architecture", "tinystories.novelty", 19);
    ts_gguf_add_u32(gguf, "novelty.version", TS_NOVELTY_VERSION);
    ts_gguf_add_u32(gguf, "novelty.parts", (uint32_t)parts->count);
    ts_gguf_add_u64(gguf, "novelty.stories", w->story_count);
    ts_gguf_add_u64(gguf, "novelty.bytes", w->story_bytes);
    ts_gguf_add_u64(gguf, "novelty.distinct_words", w->count);
    ts_gguf_add_u64(gguf, "novelty.longest_step", w->longest_step);
    for (size_t k = 0; k < TS_NOVELTY_GRAM; k++) {
        snprintf(key, sizeof key, "novelty.grams.%zu", k + 1);
        ts_gguf_add_u64(gguf, key, w->grams[k]);
    }
    ts_gguf_add_string(gguf, "novelty.filler", filler, filler_size);
    add_vector(gguf, TS_GGML_I8, w->text_size, "text", SIZE_MAX);
    for (size_t i = 0; i < parts->count; i++) {
        add_vector(gguf, TS_GGML_I32, parts->sizes[i][0], "places", i);
        add_vector(gguf, TS_GGML_I32, parts->sizes[i][1], "lists", i);
        add_vector(gguf, TS_GGML_I8, parts->sizes[i][2], "stories", i);
    }
    add_vector(gguf, TS_GGML_I32, w->story_count + 1, "starts", SIZE_MAX);
    add_vector(gguf, TS_GGML_I32, w->count + 1, "words", SIZE_MAX);
}

/* The description with a filler of so many bytes, in `memory` of DESCRIPTION_SIZE. */
static ts_status make_description(const ts_novelty_words *w, const ts_novelty_parts *parts, unsigned char *memory, const char *filler, size_t filler_size,
                                  size_t *size)
{
    ts_gguf_writer gguf;
    ts_writer into;
    ts_gguf_writer_init(&gguf, w->runtime);
    ts_writer_memory(&into, w->runtime, memory, DESCRIPTION_SIZE);
    describe(&gguf, w, parts, filler, filler_size);
    ts_status status = ts_gguf_write_start(&gguf, &into);
    *size = (size_t)into.written;
    if (status == TS_OK)
        status = ts_writer_commit(&into);
    ts_gguf_writer_free(&gguf);
    return status;
}

static ts_status patch_description(const ts_novelty_words *w, const ts_novelty_parts *parts, ts_writer *file)
{
    size_t size = 0;
    unsigned char *memory = ts_allocate(w->runtime, DESCRIPTION_SIZE);
    char *filler = ts_allocate(w->runtime, DESCRIPTION_SIZE);
    ts_status status = memory != NULL && filler != NULL ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK) {
        memset(filler, ' ', DESCRIPTION_SIZE);
        status = make_description(w, parts, memory, filler, 0, &size); /* its size is a multiple of the alignment, and so is the filler's */
    }
    if (status == TS_OK)
        status = make_description(w, parts, memory, filler, DESCRIPTION_SIZE - size, &size);
    if (status == TS_OK)
        ts_writer_patch_start(file, memory, DESCRIPTION_SIZE);
    ts_release(w->runtime, memory);
    ts_release(w->runtime, filler);
    return status;
}

static ts_status write_index(ts_novelty_words *w, ts_novelty_parts *parts, ts_stories *stories, ts_writer *file, const ts_novelty_options *o)
{
    static const unsigned char nothing[4096];
    uint64_t total = 2 * ts_stories_total(stories);
    for (size_t at = 0; at < DESCRIPTION_SIZE; at += sizeof nothing)
        ts_writer_bytes(file, nothing, sizeof nothing);
    TS_TRY(ts_novelty_read(w, stories, file, o, total));
    if (w->count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no word to make an index of");
    ts_novelty_pad(file, w->text_size);
    TS_TRY(ts_novelty_sort(w, parts, file, o, total));
    ts_writer_bytes(file, w->starts, (w->story_count + 1) * sizeof *w->starts);
    ts_novelty_pad(file, (w->story_count + 1) * sizeof *w->starts);
    ts_writer_bytes(file, parts->first_places, (w->count + 1) * sizeof *parts->first_places);
    ts_novelty_pad(file, (w->count + 1) * sizeof *parts->first_places);
    return patch_description(w, parts, file);
}

static ts_status build(ts_runtime *runtime, ts_stories *stories, const char *out, const ts_novelty_options *o)
{
    ts_writer file;
    ts_novelty_words words = {.runtime = runtime};
    ts_novelty_parts *parts = ts_allocate(runtime, sizeof *parts);
    if (parts == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_status status = ts_writer_open(&file, runtime, out);
    if (status == TS_OK && file.plain)
        status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: is no regular file, an index is not written from front to back", out);
    if (status == TS_OK)
        status = write_index(&words, parts, stories, &file, o);
    if (status == TS_OK)
        status = ts_writer_commit(&file);
    else
        ts_writer_abandon(&file);
    ts_novelty_words_free(&words);
    ts_release(runtime, parts->first_places);
    ts_release(runtime, parts);
    return status;
}

ts_status ts_novelty_build(ts_runtime *runtime, const char *const *paths, size_t path_count, const char *out, const ts_novelty_options *options)
{
    ts_novelty_options own = defaults;
    ts_stories *stories = NULL;
    TS_TRY(ts_options_read(&own, sizeof own, options, "ts_novelty_options"));
    if (paths == NULL || path_count == 0 || out == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_novelty_build: paths or out names no file");
    for (size_t i = 0; i < path_count; i++)
        if (paths[i] == NULL || ts_path_is_shard(paths[i]))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: is no file of stories, expected .txt, .jsonl or .gz", paths[i] == NULL ? "NULL" : paths[i]);
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_status status = ts_stories_open(&stories, runtime, paths, path_count);
    if (status == TS_OK)
        status = build(runtime, stories, out, &own);
    ts_stories_close(stories);
    ts_runtime_release(runtime);
    return status;
}

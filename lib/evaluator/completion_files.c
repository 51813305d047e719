/* Completions out of files: lines of JSON with what the model wrote and how the story truly ends, or stories as they are. */
#include "evaluator/novelty.h"

#include <stdio.h>

typedef struct adding {
    ts_runtime *runtime;
    ts_diversity *diversity;
    uint32_t cut;
    uint64_t count;
} adding;

static ts_status add(adding *a, const char *text, size_t size, const char *ending)
{
    if (a->cut > 0)
        TS_TRY(ts_repeat_cut(a->runtime, text, size, a->cut, &size));
    TS_TRY(ts_diversity_add(a->diversity, text, size, ending, ending != NULL ? strlen(ending) : 0));
    a->count++;
    return TS_OK;
}

static ts_status add_line(adding *a, const char *name, const char *line, size_t size)
{
    static const char *const fields[] = {"completion", "story", "text"};
    ts_json *json = NULL;
    const char *text = NULL;
    TS_TRY(ts_json_parse(&json, a->runtime, line, size, 0, name));
    for (size_t i = 0; i < TS_COUNT_OF(fields) && text == NULL; i++)
        text = ts_json_text(ts_json_get(json, fields[i]));
    ts_status status = text != NULL ? add(a, text, strlen(text), ts_json_text(ts_json_get(json, "ending")))
                                    : ts_fail(TS_ERROR_FORMAT, "%s: is no object with a string 'completion', 'story' or 'text'", name);
    ts_json_free(json);
    return status;
}

static ts_status add_lines(adding *a, const char *path, const char *text, size_t size)
{
    const char *end = text + size;
    for (uint64_t number = 1; text < end; number++) {
        char name[320];
        const char *stop = memchr(text, '\n', (size_t)(end - text)), *line = text;
        stop = stop != NULL ? stop : end;
        size_t line_size = (size_t)(stop - line);
        ts_trim(&line, &line_size);
        snprintf(name, sizeof name, "%.280s: line %llu", path, (unsigned long long)number);
        if (line_size > 0)
            TS_TRY(add_line(a, name, line, line_size));
        text = stop + 1;
    }
    return TS_OK;
}

static ts_status read_whole(ts_gzip_reader *reader, ts_bytes *bytes)
{
    char part[16384];
    for (size_t count = 1; count > 0;) {
        TS_TRY(ts_gzip_read(reader, part, sizeof part, &count));
        TS_TRY(ts_bytes_add(bytes, part, count));
    }
    return TS_OK;
}

static ts_status add_jsonl(adding *a, const char *path)
{
    ts_gzip_reader *reader = NULL;
    ts_bytes bytes = {.runtime = a->runtime};
    TS_TRY(ts_gzip_open(&reader, a->runtime, path));
    ts_status status = read_whole(reader, &bytes);
    if (status == TS_OK)
        status = add_lines(a, path, bytes.data, bytes.size);
    ts_bytes_free(&bytes);
    ts_gzip_close(reader);
    return status;
}

static ts_status add_stories(adding *a, const char *path)
{
    ts_stories *stories = NULL;
    const char *text = NULL;
    size_t size = 0;
    TS_TRY(ts_stories_open(&stories, a->runtime, &path, 1));
    ts_status status;
    while ((status = ts_stories_next(stories, &text, &size)) == TS_OK && text != NULL && (status = add(a, text, size, NULL)) == TS_OK)
        ;
    ts_stories_close(stories);
    return status;
}

ts_status ts_diversity_add_file(ts_diversity *diversity, const char *path, uint32_t cut, uint64_t *count)
{
    adding a = {.diversity = diversity, .cut = cut};
    if (diversity == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_diversity_add_file: an argument is NULL");
    if (ts_path_is_shard(path))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: is a token shard, expected completions (.txt, .jsonl, .gz)", path);
    TS_TRY(ts_runtime_acquire(&a.runtime, ts_diversity_runtime(diversity)));
    ts_status status = ts_path_is_jsonl(path) ? add_jsonl(&a, path) : add_stories(&a, path);
    ts_runtime_release(a.runtime);
    if (count != NULL)
        *count = a.count;
    return status;
}

/* Completions out of files: lines of JSON with what the model wrote and how the story truly ends, or stories as they are. */
#include "evaluator/novelty.h"

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

static ts_status take_object(void *user, const ts_json *object)
{
    static const char *const fields[] = {"completion", "story", "text"};
    const ts_json *ending = ts_json_get(object, "ending");
    const char *text = NULL;
    for (size_t i = 0; i < TS_COUNT_OF(fields) && text == NULL; i++)
        text = ts_json_text(ts_json_get(object, fields[i]));
    if (text == NULL)
        return ts_fail(TS_ERROR_FORMAT, "has no string \"completion\", \"story\" or \"text\"");
    if (ts_json_kind_of(ending) != TS_JSON_NULL && ts_json_text(ending) == NULL)
        return ts_fail(TS_ERROR_FORMAT, "\"ending\" is no string");
    return add(user, text, strlen(text), ts_json_text(ending));
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
    ts_status status = ts_path_is_jsonl(path) ? ts_json_lines_read(a.runtime, path, take_object, &a) : add_stories(&a, path);
    ts_runtime_release(a.runtime);
    if (count != NULL)
        *count = a.count;
    return status;
}

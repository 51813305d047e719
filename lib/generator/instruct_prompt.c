/* Single entries of TinyStories-Instruct, and prompts: written and parsed. */
#include "base/base.h"
#include "format/format.h"
#include "text/text.h"
#include "tinystories/dataset.h"

/* A field must not end the text that it is in. */
static ts_status check_field(const char *text, size_t size, const char *name)
{
    const char *marker = text;
    if (text == NULL)
        return TS_OK;
    if (memchr(text, 0, size) != NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "fields.%s has a NUL", name);
    for (size_t left = size; left >= sizeof TS_STORIES_MARKER - 1 && (marker = memchr(text + size - left, '<', left)) != NULL;) {
        left = size - (size_t)(marker - text);
        if (left >= sizeof TS_STORIES_MARKER - 1 && memcmp(marker, TS_STORIES_MARKER, sizeof TS_STORIES_MARKER - 1) == 0)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "fields.%s has the marker %s", name, TS_STORIES_MARKER);
        left--;
    }
    return TS_OK;
}

static ts_status write_prompt(ts_bytes *bytes, const ts_instruct *fields)
{
    TS_TRY(check_field(fields->words, fields->words_size, "words"));
    TS_TRY(check_field(fields->features, fields->features_size, "features"));
    TS_TRY(check_field(fields->summary, fields->summary_size, "summary"));
    TS_TRY(check_field(fields->sentence, fields->sentence_size, "sentence"));
    TS_TRY(check_field(fields->story, fields->story_size, "story"));
    TS_TRY(ts_instruct_headers(bytes, fields));
    if (fields->story == NULL)
        return TS_OK;
    TS_TRY(ts_bytes_add(bytes, " \n\n", 3));
    return ts_bytes_add(bytes, fields->story, fields->story_size);
}

ts_status ts_instruct_prompt(const ts_instruct *fields, char *text, size_t capacity, size_t *size)
{
    ts_instruct own = {.struct_size = sizeof own};
    ts_runtime *runtime;
    if (fields == NULL || size == NULL || (text == NULL && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_instruct_prompt: fields, text or size is NULL");
    TS_TRY(ts_options_read(&own, sizeof own, fields, "ts_instruct"));
    TS_TRY(ts_runtime_acquire(&runtime, NULL));
    ts_bytes bytes = {.runtime = runtime};
    ts_status status = write_prompt(&bytes, &own);
    if (status == TS_OK)
        status = ts_bytes_give(&bytes, "the prompt", text, capacity, size);
    ts_bytes_free(&bytes);
    ts_runtime_release(runtime);
    return status;
}

ts_status ts_instruct_parse(ts_instruct *fields, const char *text, size_t size)
{
    ts_instruct own;
    if (fields == NULL || (text == NULL && size > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_instruct_parse: fields or text is NULL");
    TS_TRY(ts_report_check(fields, "ts_instruct"));
    TS_TRY(ts_instruct_read(&own, text, size));
    return ts_report_write(fields, &own, sizeof own, "ts_instruct");
}

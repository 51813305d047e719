/* Writes files of stories. */
#define _GNU_SOURCE
#include "format/gzip.h"
#include "format/stories.h"

struct ts_story_writer {
    ts_runtime *runtime; /* borrowed */
    ts_gzip_writer *file;
    bool jsonl;
    ts_status status;
};

/* A name that says another format than those that are written; what has no ending, and what is no regular file, takes text. */
static ts_status check_name(const char *path)
{
    static const char *const endings[] = {"", ".txt", ".jsonl"};
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    size_t size = strlen(name);
    if (size > 3 && strcmp(name + size - 3, ".gz") == 0)
        size -= 3;
    const char *dot = size > 1 ? memrchr(name + 1, '.', size - 1) : NULL; /* ".name" is hidden */
    size_t ending_size = dot != NULL ? (size_t)(name + size - dot) : 0;
    for (size_t i = 0; i < TS_COUNT_OF(endings); i++)
        if (strlen(endings[i]) == ending_size && (ending_size == 0 || memcmp(dot, endings[i], ending_size) == 0))
            return TS_OK;
    return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: stories are written as .txt or .jsonl, each also with .gz, not as %.*s", path,
                   (int)TS_MIN(ending_size, (size_t)32), dot);
}

ts_status ts_story_writer_open(ts_story_writer **out, ts_runtime *runtime, const char *path)
{
    TS_TRY(check_name(path));
    ts_story_writer *writer = ts_allocate(runtime, sizeof *writer);
    if (writer == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    writer->runtime = runtime;
    writer->jsonl = ts_path_is_jsonl(path);
    ts_status status = ts_gzip_writer_open(&writer->file, runtime, path);
    if (status != TS_OK) {
        ts_release(runtime, writer);
        return status;
    }
    *out = writer;
    return TS_OK;
}

bool ts_story_writer_is_jsonl(const ts_story_writer *writer)
{
    return writer->jsonl;
}

void ts_story_writer_add(ts_story_writer *writer, const char *text, size_t size)
{
    if (writer->status != TS_OK)
        return;
    if (writer->jsonl && size > 0 && memchr(text, '\n', size) != NULL) {
        writer->status = ts_fail(TS_ERROR_INVALID_ARGUMENT, "a line of JSON with a newline in it was to be written to a .jsonl file");
        return;
    }
    ts_gzip_writer_bytes(writer->file, text, size);
    if (writer->jsonl)
        ts_gzip_writer_bytes(writer->file, "\n", 1);
    else
        ts_gzip_writer_bytes(writer->file, "\n" TS_STORIES_MARKER "\n", sizeof TS_STORIES_MARKER + 1);
}

ts_status ts_story_writer_status(const ts_story_writer *writer)
{
    return writer->status != TS_OK ? writer->status : ts_gzip_writer_status(writer->file);
}

ts_status ts_story_writer_commit(ts_story_writer *writer)
{
    ts_status status = writer->status;
    if (status != TS_OK) {
        ts_story_writer_abandon(writer);
        return status;
    }
    status = ts_gzip_writer_commit(writer->file);
    ts_release(writer->runtime, writer);
    return status;
}

void ts_story_writer_abandon(ts_story_writer *writer)
{
    if (writer == NULL)
        return;
    ts_gzip_writer_abandon(writer->file);
    ts_release(writer->runtime, writer);
}

/* JSON lines: files of one object a line, read piece by piece, so that memory grows with the longest line alone. */
#include "format/gzip.h"
#include "format/json.h"
#include "text/text.h"

#include <stdio.h>

enum { MOST_LINE = 8 << 20, PIECE = 64 << 10 };

typedef struct reading {
    ts_runtime *runtime;
    const char *name;
    uint64_t number; /* of the line that was taken last */
    ts_json_take take;
    void *user;
} reading;

static ts_status read_line(reading *r, const char *text, size_t size)
{
    char where[300];
    ts_json *object;
    ts_trim(&text, &size);
    if (size == 0)
        return TS_OK;
    snprintf(where, sizeof where, "%.200s: line %llu", r->name, (unsigned long long)r->number);
    TS_TRY(ts_json_parse(&object, r->runtime, text, size, MOST_LINE, where));
    ts_status status = ts_json_kind_of(object) == TS_JSON_OBJECT ? TS_OK : ts_fail(TS_ERROR_FORMAT, "is no object");
    status = status ? status : ts_json_check_unique(object, r->runtime, "the object");
    status = status ? status : r->take(r->user, object);
    ts_json_free(object);
    return status == TS_OK || status == TS_ERROR_OUT_OF_MEMORY
               ? status
               : ts_fail_context(status == TS_ERROR_INVALID_ARGUMENT ? TS_ERROR_FORMAT : status, where);
}

/* Takes whole lines off the front of `bytes`; at the end of the file what is left is a line too. */
static ts_status take_lines(reading *r, ts_bytes *bytes, bool end)
{
    char *line = bytes->data, *stop = bytes->data + bytes->size;
    while (line < stop) {
        char *newline = memchr(line, '\n', (size_t)(stop - line));
        if (!newline && !end)
            break;
        r->number++;
        TS_TRY(read_line(r, line, (size_t)((newline ? newline : stop) - line)));
        line = newline ? newline + 1 : stop;
    }
    if (stop - line > MOST_LINE)
        return ts_fail(TS_ERROR_LIMIT, "%s: line %llu has more than %d bytes", r->name, (unsigned long long)r->number + 1, MOST_LINE);
    bytes->size = (size_t)(stop - line);
    memmove(bytes->data, line, bytes->size);
    return TS_OK;
}

ts_status ts_json_lines_read(ts_runtime *runtime, const char *path, ts_json_take take, void *user)
{
    ts_gzip_reader *reader;
    ts_bytes bytes = {.runtime = runtime};
    size_t count = 1;
    TS_TRY(ts_gzip_open(&reader, runtime, path));
    reading r = {.runtime = runtime, .name = ts_gzip_name(reader), .take = take, .user = user};
    char *piece = ts_allocate(runtime, PIECE);
    ts_status status = piece ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    while (status == TS_OK && count > 0) {
        status = ts_gzip_read(reader, piece, PIECE, &count);
        status = status ? status : ts_bytes_add(&bytes, piece, count);
        status = status ? status : take_lines(&r, &bytes, count == 0);
    }
    ts_release(runtime, piece);
    ts_bytes_free(&bytes);
    ts_gzip_close(reader);
    return status;
}

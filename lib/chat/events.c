/* Server-sent events: lines that end in LF, CR LF or CR; an empty one ends an event. Read from a whole body, so that no cut of it can matter. */
#include "chat/completions.h"

/* The next line, without its end; false at the end of the text, where a line that nothing ends is none. */
static bool next_line(ts_events *events, const char **line, size_t *size)
{
    size_t end = events->at;
    while (end < events->size && events->text[end] != '\n' && events->text[end] != '\r')
        end++;
    if (end == events->size)
        return false;
    *line = events->text + events->at;
    *size = end - events->at;
    bool both = events->text[end] == '\r' && end + 1 < events->size && events->text[end + 1] == '\n';
    events->at = end + 1 + both;
    return true;
}

/* Adds what a line of data says; other fields (event, retry) and comments say nothing to us. */
static void add_data(ts_events *events, const char *line, size_t size, bool *any)
{
    if (size < 4 || strncmp(line, "data", 4) != 0 || (size > 4 && line[4] != ':'))
        return;
    size_t from = size > 4 ? 5 + (size > 5 && line[5] == ' ') : 4;
    if (*any && events->status == TS_OK)
        events->status = ts_bytes_add(&events->data, "\n", 1);
    if (events->status == TS_OK)
        events->status = ts_bytes_add(&events->data, line + from, size - from);
    *any = true;
}

/* A hash of the id that a line gives, 0 if it gives none. */
static uint64_t id_of(const char *line, size_t size)
{
    return size > 3 && strncmp(line, "id:", 3) == 0 ? ts_hash(line, size, 1) | 1 : 0;
}

bool ts_events_next(ts_events *events)
{
    const char *line;
    size_t size;
    bool any = false;
    uint64_t id = 0;
    events->data.size = 0;
    if (events->at == 0 && events->size >= 3 && memcmp(events->text, "\xef\xbb\xbf", 3) == 0)
        events->at = 3;
    while (events->status == TS_OK && next_line(events, &line, &size)) {
        if (size == 0 && any && (id == 0 || id != events->id)) {
            events->id = id;
            return true;
        }
        if (size == 0) {
            any = false;
            id = 0;
            events->data.size = 0;
        }
        id = id_of(line, size) ? id_of(line, size) : id;
        add_data(events, line, size, &any);
    }
    return false;
}

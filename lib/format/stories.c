/* Reads files of stories as streams: one buffer that holds what was read of the present story. */
#include "format/stories.h"

#include <stdio.h>

#include "format/gzip.h"
#include "format/json.h"
#include "format/tar.h"
#include "text/text.h"

/* How stories stand in a file. */
typedef enum layout { LAYOUT_TEXT, LAYOUT_LINES, LAYOUT_ARRAY } layout;

/* Where in an array of JSON the next byte is. */
typedef enum place { BEFORE_ARRAY, AT_FIRST, BEHIND_ELEMENT, BEHIND_COMMA, BEHIND_ARRAY } place;

enum { READ_SIZE = 1 << 16, MARKER_SIZE = sizeof TS_STORIES_MARKER - 1 };

struct ts_stories {
    ts_runtime *runtime; /* borrowed */
    char **paths;
    size_t path_count, path_index; /* path_index: of the file that is open, or that is opened next */
    ts_gzip_reader *file;          /* NULL between two files */
    ts_tar *archive;               /* of the file, if it is one */
    const char *member;            /* of the archive, the one that is read; NULL: none */
    ts_gzip_reader *packed;        /* over the member if it is compressed itself; or NULL */
    bool file_end, at_start;       /* nothing of the file was read */
    layout layout;
    place place;              /* of LAYOUT_ARRAY */
    uint64_t line;            /* of LAYOUT_LINES, or the element of LAYOUT_ARRAY, from 1 */
    uint64_t position, total; /* of the files before, of all */
    char *buffer;             /* [begin, end) was read and not given out; up to `scanned` there is no delimiter */
    size_t capacity, begin, scanned, end;
    ts_json *json;    /* the line or element that `rest` belongs to */
    const char *rest; /* of its text; NULL: go on to the next one */
    size_t rest_size;
    uint64_t given; /* stories */
    bool ended;
    ts_status status;
    char detail[512];
};

/* Whether a path ends so, or so and with .gz behind it. */
static bool has_ending(const char *path, const char *ending)
{
    size_t size = strlen(path), ending_size = strlen(ending);
    if (size >= 3 && strcmp(path + size - 3, ".gz") == 0)
        size -= 3;
    return size >= ending_size && memcmp(path + size - ending_size, ending, ending_size) == 0;
}

bool ts_path_is_jsonl(const char *path)
{
    return has_ending(path, ".jsonl");
}

static layout layout_of(const char *path)
{
    return ts_path_is_jsonl(path) ? LAYOUT_LINES : has_ending(path, ".json") ? LAYOUT_ARRAY : LAYOUT_TEXT;
}

bool ts_path_is_shard(const char *path)
{
    size_t size = strlen(path);
    return size >= 4 && (strcmp(path + size - 4, ".bin") == 0 || strcmp(path + size - 4, ".u16") == 0);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The first marker in the text, NULL: there is none. */
static const char *find_marker(const char *text, size_t size)
{
    const char *end = text + size;
    while (text != NULL && (size_t)(end - text) >= MARKER_SIZE) {
        text = memchr(text, TS_STORIES_MARKER[0], (size_t)(end - text) - MARKER_SIZE + 1);
        if (text != NULL && memcmp(text, TS_STORIES_MARKER, MARKER_SIZE) == 0)
            return text;
        if (text != NULL)
            text++;
    }
    return NULL;
}

/* ---- files ---- */

static ts_status count_bytes(ts_stories *stories)
{
    bool known = true;
    for (size_t i = 0; i < stories->path_count; i++) {
        if (strcmp(stories->paths[i], "-") == 0) {
            known = false;
            continue;
        }
        ts_gzip_reader *file;
        TS_TRY(ts_gzip_open(&file, stories->runtime, stories->paths[i]));
        stories->total += ts_gzip_size(file);
        ts_gzip_close(file);
    }
    if (!known)
        stories->total = 0;
    return TS_OK;
}

static ts_status copy_paths(ts_stories *stories, const char *const *paths, size_t count)
{
    if (paths == NULL || count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no path of a file of stories");
    stories->paths = ts_allocate_array(stories->runtime, count, sizeof *stories->paths);
    if (stories->paths == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) {
        if (paths[i] == NULL || paths[i][0] == 0)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "path %zu of %zu files of stories is %s", i, count, paths[i] == NULL ? "NULL" : "empty");
        size_t size = strlen(paths[i]) + 1;
        stories->paths[i] = ts_allocate(stories->runtime, size);
        if (stories->paths[i] == NULL)
            return TS_ERROR_OUT_OF_MEMORY;
        memcpy(stories->paths[i], paths[i], size);
        stories->path_count++;
    }
    return TS_OK;
}

ts_status ts_stories_open(ts_stories **out, ts_runtime *runtime, const char *const *paths, size_t count)
{
    ts_stories *stories = ts_allocate(runtime, sizeof *stories);
    if (stories == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    stories->runtime = runtime;
    ts_status status = copy_paths(stories, paths, count);
    if (status == TS_OK)
        status = count_bytes(stories);
    if (status != TS_OK) {
        ts_stories_close(stories);
        return status;
    }
    *out = stories;
    return TS_OK;
}

void ts_stories_close(ts_stories *stories)
{
    if (stories == NULL)
        return;
    for (size_t i = 0; i < stories->path_count; i++)
        ts_release(stories->runtime, stories->paths[i]);
    ts_release(stories->runtime, stories->paths);
    ts_gzip_close(stories->packed);
    ts_tar_close(stories->archive);
    ts_gzip_close(stories->file);
    ts_json_free(stories->json);
    ts_release(stories->runtime, stories->buffer);
    ts_release(stories->runtime, stories);
}

/* Files of other kinds begin so; as text they would be one long story of nonsense. */
static ts_status refuse_others(ts_stories *stories)
{
    static const struct {
        const char *start;
        const char *what;
    } kinds[] = {
        {"GGUF", "a GGUF model"}, {"\x88\xd8\x34\x01", "a token shard"}, {"\xa1\xd9\x34\x01", "a token shard"}, {"PK\x03\x04", "a zip archive"}};
    stories->at_start = false;
    for (size_t i = 0; i < TS_COUNT_OF(kinds); i++)
        if (stories->end >= 4 && memcmp(stories->buffer, kinds[i].start, 4) == 0)
            return ts_fail(TS_ERROR_FORMAT, "%s: is %s, expected a file of stories", ts_gzip_name(stories->file), kinds[i].what);
    return TS_OK;
}

/* Reads more of the file behind what the buffer holds. */
static ts_status read_more(ts_stories *stories)
{
    if (stories->begin > 0) {
        memmove(stories->buffer, stories->buffer + stories->begin, stories->end - stories->begin);
        stories->scanned -= stories->begin;
        stories->end -= stories->begin;
        stories->begin = 0;
    }
    if (stories->end > TS_STORIES_MAX_STORY)
        return ts_fail(TS_ERROR_LIMIT, "%s: a story or line has more than %d bytes: divide the text into stories by lines of " TS_STORIES_MARKER,
                       ts_gzip_name(stories->file), TS_STORIES_MAX_STORY);
    TS_TRY(ts_reserve(stories->runtime, &stories->buffer, &stories->capacity, stories->end + READ_SIZE, 1));
    size_t count;
    if (stories->packed != NULL)
        TS_TRY(ts_gzip_read(stories->packed, stories->buffer + stories->end, READ_SIZE, &count));
    else if (stories->archive != NULL)
        TS_TRY(ts_tar_read(stories->archive, stories->buffer + stories->end, READ_SIZE, &count));
    else
        TS_TRY(ts_gzip_read(stories->file, stories->buffer + stories->end, READ_SIZE, &count));
    stories->end += count;
    if (stories->at_start)
        TS_TRY(refuse_others(stories));
    stories->file_end = count == 0;
    return TS_OK;
}

/* Begins to read a file, or a member of an archive. */
static ts_status start_reading(ts_stories *stories, layout of)
{
    stories->layout = of;
    stories->place = BEFORE_ARRAY;
    stories->line = 0;
    stories->file_end = false;
    stories->at_start = true;
    stories->begin = stories->scanned = stories->end = 0;
    while (stories->end < 3 && !stories->file_end)
        TS_TRY(read_more(stories));
    if (stories->end >= 3 && memcmp(stories->buffer, "\xef\xbb\xbf", 3) == 0)
        stories->begin = stories->scanned = 3;
    return TS_OK;
}

/* Whether a member of an archive holds stories, by its name: no hidden file. */
static bool is_member(const char *name)
{
    const char *slash = strrchr(name, '/');
    if ((slash != NULL ? slash[1] : name[0]) == '.')
        return false;
    return layout_of(name) != LAYOUT_TEXT || has_ending(name, ".txt");
}

static ts_status pull_member(void *user, void *buffer, size_t capacity, size_t *count)
{
    return ts_tar_read(user, buffer, capacity, count);
}

static bool is_packed(const char *name)
{
    size_t size = strlen(name);
    return size >= 3 && strcmp(name + size - 3, ".gz") == 0;
}

/* Goes to the next member of an archive; stories->member is NULL at the end. */
static ts_status next_member(ts_stories *stories)
{
    bool none = stories->member == NULL;
    ts_gzip_close(stories->packed);
    stories->packed = NULL;
    do
        TS_TRY(ts_tar_next(stories->archive, &stories->member));
    while (stories->member != NULL && !is_member(stories->member));
    if (stories->member != NULL && is_packed(stories->member))
        TS_TRY(ts_gzip_open_pull(&stories->packed, stories->runtime, stories->member, pull_member, stories->archive));
    if (stories->member != NULL)
        return start_reading(stories, layout_of(stories->member));
    return none ? ts_fail(TS_ERROR_FORMAT, "%s: the archive holds no .json, .jsonl or .txt", ts_gzip_name(stories->file)) : TS_OK;
}

static ts_status open_next_file(ts_stories *stories)
{
    const char *path = stories->paths[stories->path_index];
    TS_TRY(ts_gzip_open(&stories->file, stories->runtime, path));
    if (!ts_path_is_tar(path))
        return start_reading(stories, layout_of(path));
    stories->member = NULL;
    TS_TRY(ts_tar_open(&stories->archive, stories->runtime, stories->file));
    return next_member(stories);
}

/* Leaves what was read to its end: for the archive's next member if there is one, else for the next file. */
static ts_status close_file(ts_stories *stories)
{
    if (stories->archive != NULL)
        TS_TRY(next_member(stories));
    if (stories->archive != NULL && stories->member != NULL)
        return TS_OK;
    stories->position += ts_gzip_position(stories->file);
    ts_tar_close(stories->archive);
    ts_gzip_close(stories->file);
    stories->archive = NULL;
    stories->file = NULL;
    stories->path_index++;
    return TS_OK;
}

/* ---- pieces of a file ---- */

/* The next piece of text up to a marker or the file's end; *text is NULL when nothing is left. */
static ts_status next_marked(ts_stories *stories, const char **text, size_t *size)
{
    for (;;) {
        while (stories->begin < stories->end && is_space(stories->buffer[stories->begin]))
            stories->begin++;
        stories->scanned = TS_MAX(stories->scanned, stories->begin);
        const char *piece = stories->buffer + stories->begin;
        const char *marker = find_marker(stories->buffer + stories->scanned, stories->end - stories->scanned);
        if (marker != NULL || stories->file_end) {
            *size = marker != NULL ? (size_t)(marker - piece) : stories->end - stories->begin;
            *text = marker != NULL || *size > 0 ? piece : NULL;
            stories->begin = stories->scanned = marker != NULL ? stories->begin + *size + MARKER_SIZE : stories->end;
            return TS_OK;
        }
        /* a marker may begin in the last bytes */
        size_t held = TS_MIN(stories->end - stories->scanned, (size_t)MARKER_SIZE - 1);
        stories->scanned = stories->end - held;
        TS_TRY(read_more(stories));
    }
}

/* The next line without its newline; *text is NULL when nothing is left. */
static ts_status next_line(ts_stories *stories, const char **text, size_t *size)
{
    for (;;) {
        const char *piece = stories->buffer + stories->begin;
        const char *newline =
            stories->scanned < stories->end ? memchr(stories->buffer + stories->scanned, '\n', stories->end - stories->scanned) : NULL;
        if (newline != NULL || stories->file_end) {
            *size = newline != NULL ? (size_t)(newline - piece) : stories->end - stories->begin;
            *text = newline != NULL || *size > 0 ? piece : NULL;
            stories->begin = stories->scanned = newline != NULL ? stories->begin + *size + 1 : stories->end;
            stories->line++;
            return TS_OK;
        }
        stories->scanned = stories->end;
        TS_TRY(read_more(stories));
    }
}

/* Takes the next piece off the text of the present line. */
static void divide_rest(ts_stories *stories, const char **text, size_t *size)
{
    const char *marker = find_marker(stories->rest, stories->rest_size);
    *text = stories->rest;
    *size = marker != NULL ? (size_t)(marker - stories->rest) : stories->rest_size;
    stories->rest = marker != NULL ? marker + MARKER_SIZE : NULL;
    stories->rest_size -= marker != NULL ? *size + MARKER_SIZE : *size;
}

/* What details call the place: the file, the archive's member, the line or element; 512 bytes. */
static void name_place(const ts_stories *stories, char *name)
{
    snprintf(name, 512, "%s%s%.100s: %s %llu", ts_gzip_name(stories->file), stories->archive != NULL ? ": " : "",
             stories->archive != NULL ? stories->member : "", stories->layout == LAYOUT_LINES ? "line" : "element",
             (unsigned long long)stories->line);
}

/* Parses a line or an element and lets `rest` be its text. */
static ts_status parse_record(ts_stories *stories, const char *record, size_t size)
{
    char name[512];
    name_place(stories, name);
    ts_json_free(stories->json);
    stories->json = NULL;
    TS_TRY(ts_json_parse(&stories->json, stories->runtime, record, size, 0, name));
    const char *text = ts_json_text(ts_json_get(stories->json, "story"));
    if (text == NULL)
        text = ts_json_text(ts_json_get(stories->json, "text"));
    if (text == NULL && stories->layout == LAYOUT_ARRAY)
        text = ts_json_text(stories->json);
    if (text == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: is no object with a string 'story' or 'text'", name);
    stories->rest = text;
    stories->rest_size = strlen(text);
    return TS_OK;
}

/* ---- arrays of JSON: element by element, for a whole one may have hundreds of megabytes ---- */

static ts_status fail_array(const ts_stories *stories, const char *problem)
{
    char name[512];
    name_place(stories, name);
    return ts_fail(TS_ERROR_FORMAT, "%s: %s", name, problem);
}

/* The first byte that is no white space, not taken; 0 at the end. */
static ts_status peek(ts_stories *stories, char *c)
{
    *c = 0;
    for (;;) {
        while (stories->begin < stories->end && is_space(stories->buffer[stories->begin]))
            stories->begin++;
        stories->scanned = stories->begin;
        if (stories->begin < stories->end) {
            *c = stories->buffer[stories->begin];
            return *c != 0 ? TS_OK : fail_array(stories, "a NUL in an array of JSON");
        }
        if (stories->file_end)
            return TS_OK;
        TS_TRY(read_more(stories));
    }
}

/* Finds the end of the element that begins at `begin`: brackets are counted outside strings, the rest is the parser's to check. */
static ts_status take_element(ts_stories *stories, const char **text, size_t *size)
{
    size_t depth = 0;
    bool string = false, escaped = false;
    for (;;) {
        for (; stories->scanned < stories->end; stories->scanned++) {
            char c = stories->buffer[stories->scanned];
            if (string) {
                string = escaped || c != '"';
                escaped = !escaped && c == '\\';
            } else {
                string = c == '"';
                depth += c == '{' || c == '[';
                depth -= c == '}' || c == ']';
            }
            if (!string && depth == 0) {
                *text = stories->buffer + stories->begin;
                *size = ++stories->scanned - stories->begin;
                stories->begin = stories->scanned;
                return TS_OK;
            }
        }
        if (stories->file_end)
            return fail_array(stories, "is cut off");
        TS_TRY(read_more(stories));
    }
}

/* The next element of the array; *text is NULL behind the last. */
static ts_status next_element(ts_stories *stories, const char **text, size_t *size)
{
    for (;;) {
        char c;
        TS_TRY(peek(stories, &c));
        *text = NULL;
        if (c == 0)
            return stories->place == BEHIND_ARRAY ? TS_OK : fail_array(stories, "the array of JSON is cut off");
        if ((stories->place == AT_FIRST || stories->place == BEHIND_COMMA) && (c == '{' || c == '"')) {
            stories->place = BEHIND_ELEMENT;
            stories->line++;
            return take_element(stories, text, size);
        }
        if (stories->place == BEFORE_ARRAY && c == '[')
            stories->place = AT_FIRST;
        else if ((stories->place == AT_FIRST || stories->place == BEHIND_ELEMENT) && c == ']')
            stories->place = BEHIND_ARRAY;
        else if (stories->place == BEHIND_ELEMENT && c == ',')
            stories->place = BEHIND_COMMA;
        else
            return fail_array(stories, "is no array of JSON objects or strings");
        stories->begin++;
    }
}

/* The next piece of the lines or the array that is open; *text is NULL when nothing is left. */
static ts_status next_of_records(ts_stories *stories, const char **text, size_t *size)
{
    while (stories->rest == NULL) {
        TS_TRY(stories->layout == LAYOUT_LINES ? next_line(stories, text, size) : next_element(stories, text, size));
        if (*text == NULL)
            return TS_OK;
        ts_trim(text, size);
        if (*size > 0)
            TS_TRY(parse_record(stories, *text, *size));
    }
    divide_rest(stories, text, size);
    return TS_OK;
}

/* ---- stories ---- */

static ts_status find_next(ts_stories *stories, const char **text, size_t *size)
{
    while (stories->file != NULL || stories->path_index < stories->path_count) {
        if (stories->file == NULL)
            TS_TRY(open_next_file(stories));
        TS_TRY(stories->layout == LAYOUT_TEXT ? next_marked(stories, text, size) : next_of_records(stories, text, size));
        if (*text == NULL) {
            TS_TRY(close_file(stories));
            continue;
        }
        ts_trim(text, size);
        if (*size > TS_STORIES_MAX_STORY)
            return ts_fail(TS_ERROR_LIMIT, "%s: a story has more than %d bytes", ts_gzip_name(stories->file), TS_STORIES_MAX_STORY);
        if (*size > 0)
            return TS_OK;
    }
    *text = NULL;
    *size = 0;
    return TS_OK;
}

ts_status ts_stories_next(ts_stories *stories, const char **text, size_t *size)
{
    const char *found = NULL;
    size_t found_size = 0;
    if (stories->status != TS_OK)
        return ts_stories_status(stories);
    stories->status = find_next(stories, &found, &found_size);
    if (stories->status != TS_OK) {
        snprintf(stories->detail, sizeof stories->detail, "%s", ts_error_detail());
        return stories->status;
    }
    stories->ended = found == NULL;
    stories->given += found != NULL;
    *text = found;
    *size = found_size;
    return TS_OK;
}

bool ts_stories_none(const ts_stories *stories)
{
    return stories->ended && stories->given == 0;
}

ts_status ts_stories_fail(ts_status status, const char *const *paths, size_t count, const char *format, ...)
{
    char what[256], more[40] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (count > 1)
        snprintf(more, sizeof more, " and %zu more", count - 1);
    return ts_fail(status, "%s%s: %s", count > 0 ? paths[0] : "no file", more, what);
}

const ts_json *ts_stories_record(const ts_stories *stories)
{
    return stories->layout != LAYOUT_TEXT ? stories->json : NULL;
}

int32_t ts_stories_pull(void *user, const char **text, size_t *size)
{
    return ts_stories_next(user, text, size) != TS_OK;
}

ts_status ts_stories_status(const ts_stories *stories)
{
    return stories->status == TS_OK ? TS_OK : ts_fail(stories->status, "%s", stories->detail);
}

uint64_t ts_stories_position(const ts_stories *stories)
{
    return stories->position + (stories->file != NULL ? ts_gzip_position(stories->file) : 0);
}

uint64_t ts_stories_total(const ts_stories *stories)
{
    return stories->total;
}

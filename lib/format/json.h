/*
 * JSON: parsing with limits of our own before cJSON sees a byte, and getters that name file and field. json.c is the only file that knows of cJSON,
 * which allocates for itself. In a build without it (TS_WITH_JSON 0) parsing answers UNSUPPORTED.
 *
 * To be written JSON needs no library: ts_json_string and ts_format_double of text/text.h.
 */
#ifndef TS_JSON_H
#define TS_JSON_H

#include "base/base.h"

#ifndef TS_WITH_JSON
#define TS_WITH_JSON 1
#endif

enum {
    TS_JSON_MAX_SIZE = 64 << 20, /* bytes of a document */
    TS_JSON_MAX_VALUES = 1 << 17,  /* of a document: cJSON then takes 12 MiB beside the texts */
    TS_JSON_MAX_DEPTH = 32,
    TS_JSON_MAX_DIGITS = 32 /* characters of a number */
};

/* A value: part of a document, borrowed until the document is freed. Names are compared exactly. */
typedef struct ts_json ts_json;

/*
 * Parses a whole document; `name` is for error details. FORMAT, with the byte: not JSON, not UTF-8, a \u0000 or a broken surrogate in a string,
 * anything behind the document, too deep, a number too long. LIMIT: larger than `limit` bytes (0: TS_JSON_MAX_SIZE), or of more than
 * TS_JSON_MAX_VALUES values. OUT_OF_MEMORY: also when what cJSON would allocate is beyond the runtime's limit.
 */
ts_status ts_json_parse(ts_json **out, ts_runtime *runtime, const char *text, size_t size, size_t limit, const char *name);
/* The same for documents that may have more values than that: fewer than `most_values`, for which cJSON takes 96 bytes each. */
ts_status ts_json_parse_many(ts_json **out, ts_runtime *runtime, const char *text, size_t size, size_t limit, size_t most_values, const char *name);
void ts_json_free(ts_json *document);
/* For what is nothing without JSON: UNSUPPORTED where there is none, so that the compiler leaves out the rest; else TS_OK. */
static inline ts_status ts_json_expected(const char *name)
{
    if (TS_WITH_JSON)
        return TS_OK;
    ts_fail(TS_ERROR_UNSUPPORTED, "%s: this build has no JSON", name);
    return TS_ERROR_UNSUPPORTED;
}

typedef enum ts_json_kind { TS_JSON_NULL, TS_JSON_BOOL, TS_JSON_NUMBER, TS_JSON_STRING, TS_JSON_ARRAY, TS_JSON_OBJECT } ts_json_kind;

/* TS_JSON_NULL for NULL too. */
ts_json_kind ts_json_kind_of(const ts_json *value);

/* The member of an object, the first of that name; NULL: there is none, or `object` is none. Linear in the members. */
const ts_json *ts_json_get(const ts_json *object, const char *key);

/* The members of an object or elements of an array one after another; NULL at the end, or if `value` is neither. */
const ts_json *ts_json_first(const ts_json *value);
const ts_json *ts_json_next(const ts_json *value);
size_t ts_json_count(const ts_json *value);
/* The name of a member of an object, NUL-terminated; NULL for other values. */
const char *ts_json_key(const ts_json *member);

/* NUL-terminated (no NUL within); NULL if it is not a string. */
const char *ts_json_text(const ts_json *value);
/* False if it is not a finite number; not a whole one of 0 to 2^53 - 1, where no two numbers read alike; not a bool. */
bool ts_json_double(const ts_json *value, double *out);
bool ts_json_whole(const ts_json *value, uint64_t *out);
bool ts_json_bool(const ts_json *value, bool *out);

/* FORMAT, naming the key: an object with the same key twice. n log n. */
ts_status ts_json_check_unique(const ts_json *object, ts_runtime *runtime, const char *name);

/* What is done with one object of a file of JSON lines. INVALID_ARGUMENT is answered as FORMAT. */
typedef ts_status (*ts_json_take)(void *user, const ts_json *object);

/*
 * Has every line of a file (or one compressed by gzip) taken that is not empty. Details of failures name file and line. FORMAT: a line that is no object, or one
 * with the same key twice; LIMIT: one of more than 8 MiB. What was taken before a failure stays taken.
 */
ts_status ts_json_lines_read(ts_runtime *runtime, const char *path, ts_json_take take, void *user);

/* Appends a value as it is written in a line. Numbers are those that a double holds. */
ts_status ts_json_write(ts_bytes *bytes, const ts_json *value);
/* The members of an object, each with ", " before it, but those that are called `story` and `text`. Nothing for what is no object. */
ts_status ts_json_write_others(ts_bytes *bytes, const ts_json *object);

#endif

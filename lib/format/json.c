/* The prescan that protects cJSON from hostile documents, and thin getters over its nodes. */
#include "format/json.h"

#include <math.h>

#include "format/order.h"
#include "text/text.h"

/* ---- prescan: depth, numbers, UTF-8 and escapes; the rest of the grammar is cJSON's to check ---- */

typedef struct scan {
    const char *text;
    size_t size, at;
    size_t values; /* at least as many as there are: each begins with a bracket or stands behind one or a comma */
    const char *problem;
} scan;

static int hexadecimal(const char *digits)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i], lower = (char)(c | 0x20);
        if (!((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f')))
            return -1;
        value = value * 16 + (c <= '9' ? c - '0' : lower - 'a' + 10);
    }
    return value;
}

/* An escape behind its backslash; surrogates only in pairs, no NUL. */
static bool scan_escape(scan *s)
{
    if (s->at >= s->size)
        return false;
    if (s->text[s->at++] != 'u')
        return true; /* which letters are allowed cJSON knows */
    int code = s->size - s->at >= 4 ? hexadecimal(s->text + s->at) : -1;
    if (code <= 0 || (code >= 0xdc00 && code < 0xe000))
        return false;
    s->at += 4;
    if (code < 0xd800 || code >= 0xdc00)
        return true;
    int low = s->size - s->at >= 6 && s->text[s->at] == '\\' && s->text[s->at + 1] == 'u' ? hexadecimal(s->text + s->at + 2) : -1;
    s->at += 6;
    return low >= 0xdc00 && low < 0xe000;
}

static bool scan_string(scan *s)
{
    s->at++;
    while (s->at < s->size && s->text[s->at] != '"') {
        unsigned char c = (unsigned char)s->text[s->at];
        if (c == '\\') {
            s->at++;
            if (!scan_escape(s)) {
                s->problem = "a wrong escape in a string";
                return false;
            }
        } else if (c < 0x20) {
            s->problem = "a control character in a string";
            return false;
        } else {
            uint32_t code;
            s->at += ts_utf8_decode(s->text + s->at, s->size - s->at, &code);
            if (code == TS_UTF8_INVALID) {
                s->problem = "bytes that are not UTF-8";
                return false;
            }
        }
    }
    if (s->at >= s->size) {
        s->problem = "a string without its end";
        return false;
    }
    s->at++;
    return true;
}

static bool is_number_part(char c)
{
    return (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
}

static size_t count_digits(const char *text, size_t size)
{
    size_t count = 0;
    while (count < size && text[count] >= '0' && text[count] <= '9')
        count++;
    return count;
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? and no more; cJSON takes more than that. */
static bool is_number(const char *text, size_t size)
{
    size_t at = text[0] == '-', digits = count_digits(text + at, size - at);
    if (digits == 0 || (digits > 1 && text[at] == '0'))
        return false;
    at += digits;
    if (at < size && text[at] == '.') {
        at++;
        if ((digits = count_digits(text + at, size - at)) == 0)
            return false;
        at += digits;
    }
    if (at < size && (text[at] | 0x20) == 'e') {
        at++;
        at += at < size && (text[at] == '+' || text[at] == '-');
        if ((digits = count_digits(text + at, size - at)) == 0)
            return false;
        at += digits;
    }
    return at == size;
}

/* What stands where a value may begin: a number, or the letters of true, false and null, whose 'e' is no exponent. */
static size_t number_length(const scan *s)
{
    size_t length = 0;
    char c = s->text[s->at];
    if (c != '-' && c != '+' && c != '.' && (c < '0' || c > '9'))
        return 0;
    while (length < s->size - s->at && is_number_part(s->text[s->at + length]))
        length++;
    return length;
}

static bool prescan(scan *s)
{
    size_t depth = 0;
    while (s->at < s->size) {
        char c = s->text[s->at];
        if (c == '"') {
            if (!scan_string(s))
                return false;
            continue;
        }
        s->values += c == ',' || c == '[' || c == '{';
        size_t length = number_length(s);
        if (length > TS_JSON_MAX_DIGITS)
            s->problem = "a number of too many digits";
        else if (length > 0 && !is_number(s->text + s->at, length))
            s->problem = "a malformed number";
        else if ((unsigned char)c >= 0x7f || (c < 0x20 && c != '\n' && c != '\r' && c != '\t'))
            s->problem = "a byte that JSON does not allow there";
        else if ((c == '[' || c == '{') && ++depth > TS_JSON_MAX_DEPTH)
            s->problem = "values nested too deeply";
        else if ((c == ']' || c == '}') && depth-- == 0)
            s->problem = "a bracket that closes nothing";
        if (s->problem != NULL)
            return false;
        s->at += length > 0 ? length : 1;
    }
    return true;
}

ts_status ts_json_parse(ts_json **out, ts_runtime *runtime, const char *text, size_t size, size_t limit, const char *name)
{
    return ts_json_parse_many(out, runtime, text, size, limit, TS_JSON_MAX_VALUES, name);
}

#if TS_WITH_JSON

#include <cjson/cJSON.h>

struct ts_json {
    cJSON node;
};

enum { VALUE_BYTES = 96 }; /* what cJSON takes for a value beside its text, with what the allocator adds */

/* cJSON allocates for itself, many times the size of a document of small values: what it will take is held against the limits before it begins. */
static ts_status check_values(ts_runtime *runtime, const scan *s, size_t most_values, const char *name)
{
    if (s->values >= most_values)
        return ts_fail(TS_ERROR_LIMIT, "%s: has %zu values of JSON, expected fewer than %zu", name, s->values, most_values);
    return ts_memory_expect(runtime, s->values * VALUE_BYTES + s->size);
}

ts_status ts_json_parse_many(ts_json **out, ts_runtime *runtime, const char *text, size_t size, size_t limit, size_t most_values, const char *name)
{
    scan s = {.text = text, .size = size};
    if (size > (limit ? limit : TS_JSON_MAX_SIZE))
        return ts_fail(TS_ERROR_LIMIT, "%s: has %zu bytes of JSON, expected at most %zu", name, size, limit ? limit : (size_t)TS_JSON_MAX_SIZE);
    if (!prescan(&s))
        return ts_fail(TS_ERROR_FORMAT, "%s: is not JSON: %s at byte %zu", name, s.problem, s.at);
    TS_TRY(check_values(runtime, &s, most_values, name));
    /* cJSON reads a byte or two beyond some cut documents: it gets a copy with a NUL behind it. */
    char *copy = ts_allocate(runtime, size + 1);
    if (copy == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(copy, text, size);
    const char *end = copy;
    cJSON *root = cJSON_ParseWithLengthOpts(copy, size + 1, &end, true);
    size_t at = (size_t)(end - copy);
    ts_release(runtime, copy);
    if (root == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: is not JSON, at byte %zu", name, at);
    *out = (ts_json *)root;
    return TS_OK;
}

void ts_json_free(ts_json *document)
{
    cJSON_Delete(document ? &document->node : NULL);
}

ts_json_kind ts_json_kind_of(const ts_json *value)
{
    if (value == NULL)
        return TS_JSON_NULL;
    switch (value->node.type & 0xff) {
    case cJSON_True:
    case cJSON_False:
        return TS_JSON_BOOL;
    case cJSON_Number:
        return TS_JSON_NUMBER;
    case cJSON_String:
        return TS_JSON_STRING;
    case cJSON_Array:
        return TS_JSON_ARRAY;
    case cJSON_Object:
        return TS_JSON_OBJECT;
    default:
        return TS_JSON_NULL;
    }
}

const ts_json *ts_json_first(const ts_json *value)
{
    ts_json_kind kind = ts_json_kind_of(value);
    return kind == TS_JSON_ARRAY || kind == TS_JSON_OBJECT ? (const ts_json *)value->node.child : NULL;
}

const ts_json *ts_json_next(const ts_json *value)
{
    return (const ts_json *)value->node.next;
}

const char *ts_json_key(const ts_json *member)
{
    return member->node.string;
}

const char *ts_json_text(const ts_json *value)
{
    return ts_json_kind_of(value) == TS_JSON_STRING ? value->node.valuestring : NULL;
}

bool ts_json_double(const ts_json *value, double *out)
{
    if (ts_json_kind_of(value) != TS_JSON_NUMBER || !isfinite(value->node.valuedouble))
        return false;
    *out = value->node.valuedouble;
    return true;
}

bool ts_json_bool(const ts_json *value, bool *out)
{
    if (ts_json_kind_of(value) != TS_JSON_BOOL)
        return false;
    *out = (value->node.type & 0xff) == cJSON_True;
    return true;
}

#else

ts_status ts_json_parse_many(ts_json **out, ts_runtime *runtime, const char *text, size_t size, size_t limit, size_t most_values, const char *name)
{
    scan s = {.text = text, .size = size};
    (void)out, (void)runtime, (void)limit, (void)most_values;
    if (!prescan(&s))
        return ts_fail(TS_ERROR_FORMAT, "%s: is not JSON: %s at byte %zu", name, s.problem, s.at);
    return ts_fail(TS_ERROR_UNSUPPORTED, "%s: this build has no JSON", name);
}

void ts_json_free(ts_json *document)
{
    (void)document;
}

ts_json_kind ts_json_kind_of(const ts_json *value)
{
    (void)value;
    return TS_JSON_NULL;
}

const ts_json *ts_json_first(const ts_json *value)
{
    (void)value;
    return NULL;
}

const ts_json *ts_json_next(const ts_json *value)
{
    (void)value;
    return NULL;
}

const char *ts_json_key(const ts_json *member)
{
    (void)member;
    return NULL;
}

const char *ts_json_text(const ts_json *value)
{
    (void)value;
    return NULL;
}

bool ts_json_double(const ts_json *value, double *out)
{
    (void)value, (void)out;
    return false;
}

bool ts_json_bool(const ts_json *value, bool *out)
{
    (void)value, (void)out;
    return false;
}

#endif

const ts_json *ts_json_get(const ts_json *object, const char *key)
{
    if (ts_json_kind_of(object) != TS_JSON_OBJECT)
        return NULL;
    for (const ts_json *member = ts_json_first(object); member != NULL; member = ts_json_next(member))
        if (strcmp(ts_json_key(member), key) == 0)
            return member;
    return NULL;
}

size_t ts_json_count(const ts_json *value)
{
    size_t count = 0;
    for (const ts_json *member = ts_json_first(value); member != NULL; member = ts_json_next(member))
        count++;
    return count;
}

bool ts_json_whole(const ts_json *value, uint64_t *out)
{
    double number;
    if (!ts_json_double(value, &number) || !(number >= 0 && number < 9007199254740992.0) || number != (double)(uint64_t)number)
        return false;
    *out = (uint64_t)number;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

ts_status ts_json_check_unique(const ts_json *object, ts_runtime *runtime, const char *name)
{
    size_t count = 0;
    if (ts_json_kind_of(object) != TS_JSON_OBJECT)
        return TS_OK; /* nothing in it has a key */
    const void **keys = ts_allocate_array(runtime, ts_json_count(object), sizeof *keys);
    if (keys == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (const ts_json *member = ts_json_first(object); member != NULL; member = ts_json_next(member))
        keys[count++] = ts_json_key(member);
    ts_order_sort(keys, count, by_name);
    const char *twice = ts_order_duplicate(keys, count, by_name);
    ts_status status = twice ? ts_fail(TS_ERROR_FORMAT, "%s: has the key \"%.100s\" twice", name, twice) : TS_OK;
    ts_release(runtime, keys);
    return status;
}

/* ---- writing: as deep as the parser allows ---- */

static ts_status write_member(ts_bytes *bytes, const ts_json *member)
{
    TS_TRY(ts_json_string(bytes, ts_json_key(member), strlen(ts_json_key(member))));
    TS_TRY(ts_bytes_add(bytes, ": ", 2));
    return ts_json_write(bytes, member);
}

static ts_status write_children(ts_bytes *bytes, const ts_json *value, bool object)
{
    TS_TRY(ts_bytes_add(bytes, object ? "{" : "[", 1));
    for (const ts_json *child = ts_json_first(value); child != NULL; child = ts_json_next(child)) {
        if (child != ts_json_first(value))
            TS_TRY(ts_bytes_add(bytes, ", ", 2));
        TS_TRY(object ? write_member(bytes, child) : ts_json_write(bytes, child));
    }
    return ts_bytes_add(bytes, object ? "}" : "]", 1);
}

ts_status ts_json_write(ts_bytes *bytes, const ts_json *value)
{
    double number = 0;
    bool truth = false;
    char text[TS_DOUBLE_SIZE];
    switch (ts_json_kind_of(value)) {
    case TS_JSON_ARRAY:
    case TS_JSON_OBJECT:
        return write_children(bytes, value, ts_json_kind_of(value) == TS_JSON_OBJECT);
    case TS_JSON_STRING:
        return ts_json_string(bytes, ts_json_text(value), strlen(ts_json_text(value)));
    case TS_JSON_NUMBER:
        ts_json_double(value, &number);
        ts_format_double(text, number);
        return ts_bytes_add(bytes, text, strlen(text));
    case TS_JSON_BOOL:
        ts_json_bool(value, &truth);
        return ts_bytes_format(bytes, "%s", truth ? "true" : "false");
    default:
        return ts_bytes_format(bytes, "null");
    }
}

ts_status ts_json_write_others(ts_bytes *bytes, const ts_json *object)
{
    if (ts_json_kind_of(object) != TS_JSON_OBJECT)
        return TS_OK;
    for (const ts_json *member = ts_json_first(object); member != NULL; member = ts_json_next(member)) {
        if (strcmp(ts_json_key(member), "story") == 0 || strcmp(ts_json_key(member), "text") == 0)
            continue;
        TS_TRY(ts_bytes_add(bytes, ", ", 2));
        TS_TRY(write_member(bytes, member));
    }
    return TS_OK;
}

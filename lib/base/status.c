/* Statuses and the thread's error detail: a fixed buffer, so that telling of a failure cannot fail. */
#include <stdio.h>

#include "base/base.h"
#include "tinystories/version.h"

#define DETAIL_SIZE TS_DETAIL_SIZE

static _Thread_local char detail[DETAIL_SIZE];

const char *ts_error_detail(void)
{
    return detail;
}

/* The length of the UTF-8 character that `at` begins with; 0: none (a control character, C1 included, a bad or overlong sequence, a surrogate),
 * SIZE_MAX: it is cut by the end. */
static size_t printable(const unsigned char *at, const unsigned char *end)
{
    if (at[0] < 0x80)
        return at[0] >= 0x20 && at[0] != 0x7f;
    size_t length = at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : at[0] >= 0xe0 && at[0] < 0xf0 ? 3 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : 0;
    uint32_t code = at[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (at + i == end)
            return SIZE_MAX;
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};
    return code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : length;
}

/* One line of printable UTF-8: what is none becomes '?' byte by byte, and a character that was cut at the end goes. */
static void make_printable(void)
{
    unsigned char *bytes = (unsigned char *)detail, *end = bytes + strlen(detail);
    bool full = end - bytes == DETAIL_SIZE - 1;
    for (unsigned char *at = bytes; at < end;) {
        size_t length = printable(at, end);
        if (length == SIZE_MAX && full) {
            *at = 0;
            return;
        }
        if (length == 0 || length == SIZE_MAX) {
            *at = '?';
            length = 1;
        }
        at += length;
    }
}

void ts_detail_keep(ts_detail *kept)
{
    memcpy(kept->text, detail, sizeof kept->text);
}

void ts_detail_put_back(const ts_detail *kept)
{
    memcpy(detail, kept->text, sizeof detail);
}

ts_status ts_fail(ts_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    make_printable();
    return status;
}

ts_status ts_fail_context(ts_status status, const char *context)
{
    char before[DETAIL_SIZE];
    memcpy(before, detail, sizeof before);
    return ts_fail(status, "%s: %s", context, before);
}

static const char *const names[] = {
    "TS_OK",
    "TS_ERROR_INVALID_ARGUMENT",
    "TS_ERROR_OUT_OF_MEMORY",
    "TS_ERROR_IO",
    "TS_ERROR_FORMAT",
    "TS_ERROR_VERSION",
    "TS_ERROR_MISMATCH",
    "TS_ERROR_BUFFER_TOO_SMALL",
    "TS_ERROR_NETWORK",
    "TS_ERROR_CANCELLED",
    "TS_ERROR_UNSUPPORTED",
    "TS_ERROR_BUSY",
    "TS_ERROR_LIMIT",
    "TS_ERROR_DIVERGED",
};

const char *ts_status_name(ts_status status)
{
    return status <= 0 && status > -(ts_status)TS_COUNT_OF(names) ? names[-status] : "TS_ERROR_UNKNOWN";
}

#define TEXT_OF(x) #x
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

uint32_t ts_version_number(void)
{
    return TS_VERSION_NUMBER;
}

const char *ts_version(void)
{
    return VERSION_TEXT(TS_VERSION_MAJOR, TS_VERSION_MINOR, TS_VERSION_PATCH);
}

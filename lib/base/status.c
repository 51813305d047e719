/* Statuses and the thread's error detail: a fixed buffer, so that telling of a failure cannot fail. */
#include <stdio.h>

#include "base/base.h"
#include "tinystories/version.h"

#define DETAIL_SIZE 512

static _Thread_local char detail[DETAIL_SIZE];

const char *ts_error_detail(void)
{
    return detail;
}

/* One line of printable UTF-8: control characters become '?', and a character that was cut at the end goes. */
static void make_printable(void)
{
    size_t size = strlen(detail), start = size;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)detail[i] < 0x20 || detail[i] == 0x7f)
            detail[i] = '?';
    if (size + 1 < DETAIL_SIZE)
        return;
    while (start > 0 && size - start < 4 && ((unsigned char)detail[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0 || (unsigned char)detail[start - 1] < 0xc0)
        return;
    unsigned char lead = (unsigned char)detail[--start];
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (size - start < length)
        detail[start] = 0;
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

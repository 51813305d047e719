/* Numbers and JSON strings as they are written, whatever the locale. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/text.h"

void ts_format_double(char *out, double value)
{
    if (!isfinite(value)) {
        snprintf(out, TS_DOUBLE_SIZE, "null");
        return;
    }
    /* Any 15 digits survive a normal double; the sparse ones next to zero may need fewer. */
    for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(out, TS_DOUBLE_SIZE, "%.*g", digits, value);
        if (strtod(out, NULL) == value) /* in the locale that it was written in */
            break;
    }
    char *point = out + strspn(out, "-0123456789");
    if (*point == 0 || *point == 'e')
        return;
    size_t length = strcspn(point, "0123456789"); /* the locale's point may be several bytes */
    *point = '.';
    memmove(point + 1, point + length, strlen(point + length) + 1);
}

ts_status ts_json_string(ts_bytes *bytes, const char *data, size_t size)
{
    size_t plain = 0, at = 0; /* [plain, at) goes out as it is */
    TS_TRY(ts_bytes_add(bytes, "\"", 1));
    while (at < size) {
        char escape[8];
        uint32_t code;
        size_t length = ts_utf8_decode(data + at, size - at, &code);
        if (code == '"' || code == '\\')
            snprintf(escape, sizeof escape, "\\%c", (char)code);
        else if (code == '\n')
            snprintf(escape, sizeof escape, "\\n");
        else if (code == '\t')
            snprintf(escape, sizeof escape, "\\t");
        else if (code < 0x20 || code == 0x7f || code == 0x2028 || code == 0x2029)
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code);
        else if (code == TS_UTF8_INVALID)
            snprintf(escape, sizeof escape, "\\ufffd");
        else
            escape[0] = 0;
        if (escape[0] != 0) {
            TS_TRY(ts_bytes_add(bytes, data + plain, at - plain));
            TS_TRY(ts_bytes_add(bytes, escape, strlen(escape)));
            plain = at + length;
        }
        at += length;
    }
    TS_TRY(ts_bytes_add(bytes, data + plain, at - plain));
    return ts_bytes_add(bytes, "\"", 1);
}

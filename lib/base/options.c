/* The rule of all option structs: they only grow, shorter ones get defaults, an unknown tail must be zero. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

ts_status ts_options_defaults(void *options, size_t struct_size, const void *defaults, size_t size, const char *name)
{
    if (options == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s is NULL", name);
    if (struct_size < sizeof struct_size)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s.struct_size is %zu, expected the size of the struct", name, struct_size);
    memset(options, 0, struct_size);
    memcpy(options, defaults, TS_MIN(struct_size, size));
    memcpy(options, &struct_size, sizeof struct_size);
    return TS_OK;
}

ts_status ts_options_read(void *into, size_t size, const void *options, const char *name)
{
    size_t given = 0;
    if (options != NULL) {
        memcpy(&given, options, sizeof given);
        if (given < sizeof given || given > 65536)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s.struct_size is %zu, expected the size of the struct", name, given);
        for (size_t i = size; i < given; i++)
            if (((const unsigned char *)options)[i] != 0)
                return ts_fail(TS_ERROR_UNSUPPORTED, "%s has an option at byte %zu that this version does not know", name, i);
        memcpy(into, options, TS_MIN(given, size));
    }
    memcpy(into, &size, sizeof size);
    return TS_OK;
}

ts_status ts_report_check(const void *report, const char *name)
{
    size_t given;
    if (report == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s is NULL", name);
    memcpy(&given, report, sizeof given);
    if (given < sizeof given || given > 65536)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s.struct_size is %zu, set it to the size of the struct before the call", name, given);
    return TS_OK;
}

ts_status ts_report_write(void *report, const void *from, size_t size, const char *name)
{
    size_t given;
    TS_TRY(ts_report_check(report, name));
    memcpy(&given, report, sizeof given);
    memset(report, 0, given);
    memcpy(report, from, TS_MIN(given, size));
    memcpy(report, &given, sizeof given);
    return TS_OK;
}

enum { NUMBER_SIZE = 32 };

/* As short as it reads back, for values that came as floats too, with a point whatever the locale. */
static const char *write_number(char text[NUMBER_SIZE], double value)
{
    if (isnan(value) || (fabs(value) < 1e15 && value == floor(value))) {
        snprintf(text, NUMBER_SIZE, isnan(value) ? "not a number" : "%.0f", value);
        return text;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, NUMBER_SIZE, "%.*g", digits, value);
        double read = strtod(text, NULL);
        if (read == value || ((double)(float)value == value && (float)read == (float)value))
            break;
    }
    char *point = text + strspn(text, "-0123456789");
    size_t length = strcspn(point, "0123456789einf");
    if (length > 0) {
        *point = '.';
        memmove(point + 1, point + length, strlen(point + length) + 1);
    }
    return text;
}

ts_status ts_bounds_check(const char *name, const ts_bounds *ranges, size_t count, bool above)
{
    for (size_t i = 0; i < count; i++) {
        const ts_bounds *r = &ranges[i];
        char value[NUMBER_SIZE], least[NUMBER_SIZE], most[NUMBER_SIZE];
        if ((above ? r->value > r->least : r->value >= r->least) && r->value <= r->most) /* a NaN is neither */
            continue;
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s.%s is %s, expected %s%s to %s", name, r->name, write_number(value, r->value),
                       above ? "above " : "", write_number(least, r->least), write_number(most, r->most));
    }
    return TS_OK;
}

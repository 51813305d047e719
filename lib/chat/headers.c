/* What is read of URLs and reply headers, and the hiding of keys: plain text work, without a network. */
#include "chat/http.h"

#include "text/text.h"

enum { MOST_NUMBER = 32, MOST_RETRY_AFTER = 1000000000 };

/* ---- URLs ---- */

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* localhost, 127.x.x.x and [::1], with or without a port */
static bool is_this_machine(const char *host, size_t size)
{
    static const char *const names[] = {"localhost", "[::1]"};
    for (size_t i = 0; i < TS_COUNT_OF(names); i++)
        if (size >= strlen(names[i]) && starts(host, names[i]) && (size == strlen(names[i]) || host[strlen(names[i])] == ':'))
            return true;
    size_t digits = strspn(host, "0123456789.");
    return size > 4 && starts(host, "127.") && (digits == size || host[digits] == ':');
}

ts_status ts_url_check(const char *url, bool with_key)
{
    bool plain = starts(url, "http://");
    const char *host = url + (plain ? 7 : 8);
    if (!plain && !starts(url, "https://"))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.base_url begins with neither https:// nor http://");
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr("@?#\\\"<>", *c))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT,
                           "options.base_url has a character at %zu that is not of a host, port and path (no user, query or fragment)",
                           (size_t)(c - url));
    size_t size = strcspn(host, "/");
    if (size == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.base_url '%.200s' names no host", url);
    if (plain && with_key && !is_this_machine(host, size))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.base_url '%.200s' is plain http: a key goes over https alone, or to this machine", url);
    return TS_OK;
}

/* ---- numbers and times ---- */

/* A plain decimal, all of it digits with at most one '.'; -1 if it is none. */
static double decimal(const char *text, size_t size)
{
    double value = 0, place = 0;
    if (size == 0 || size > MOST_NUMBER || (size == 1 && *text == '.'))
        return -1;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.' && place == 0) {
            place = 1;
        } else if (text[i] >= '0' && text[i] <= '9') {
            value = value * 10 + (text[i] - '0');
            place *= 10;
        } else {
            return -1;
        }
    }
    return place > 1 ? value / place : value;
}

double ts_duration_read(const char *text, size_t size)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    double sum = 0;
    for (size_t at = 0; at < size;) {
        size_t digits = 0, unit = 0;
        while (at + digits < size && strchr("0123456789.", text[at + digits]) && text[at + digits])
            digits++;
        double number = decimal(text + at, digits);
        at += digits;
        while (unit < TS_COUNT_OF(units) && !(size - at >= strlen(units[unit].name) && starts(text + at, units[unit].name)))
            unit++;
        if (number < 0 || unit == TS_COUNT_OF(units))
            return digits == size && number >= 0 ? number : -1; /* a plain number is seconds */
        at += strlen(units[unit].name);
        sum += number * units[unit].seconds;
    }
    return size > 0 ? sum : -1;
}

/* Days since 1970 of a day of the Gregorian calendar, month 1 to 12 (the year begins in March, so that the leap day is its last). */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400, of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int two_digits(const char *text)
{
    return text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9' ? (text[0] - '0') * 10 + text[1] - '0' : -1;
}

/* Seconds since 1970 of "Sun, 06 Nov 1994 08:49:37 GMT", the form of RFC 9110 that may be sent; -1 for anything else. */
static double date(const char *text, size_t size)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (size != 29 || text[3] != ',' || text[19] != ':' || text[22] != ':' || strncmp(text + 25, " GMT", 4) != 0)
        return -1;
    int month = 0, day = two_digits(text + 5), century = two_digits(text + 12), year = two_digits(text + 14);
    int hour = two_digits(text + 17), minute = two_digits(text + 20), second = two_digits(text + 23);
    while (month < 12 && strncmp(months + 3 * month, text + 8, 3) != 0)
        month++;
    if (month == 12 || day < 1 || century < 0 || year < 0 || hour < 0 || minute < 0 || second < 0)
        return -1;
    return (double)(days_of(century * 100 + year, month + 1, day) * 86400 + hour * 3600 + minute * 60 + second);
}

/* ---- headers ---- */

void ts_http_limits_init(ts_http_limits *limits)
{
    *limits = (ts_http_limits){-1, -1, -1, -1, -1, -1, -1, -1};
}

static bool is_name(const char *line, size_t size, const char *name)
{
    for (size_t i = 0; i < size; i++)
        if (ts_ascii_lower(line[i]) != name[i])
            return false;
    return name[size] == 0;
}

/* Seconds to wait of Retry-After: a number or a date; dates in the past are 0, what is far off is a long time. */
static double retry_after(const char *value, size_t size, double now)
{
    double seconds = decimal(value, size);
    if (seconds < 0) {
        double then = date(value, size);
        seconds = then < 0 ? -1 : TS_MAX(then - now, 0);
    }
    return TS_MIN(seconds, (double)MOST_RETRY_AFTER);
}

void ts_http_limits_read(ts_http_limits *limits, const char *line, size_t size, double now)
{
    const char *colon = size > 0 ? memchr(line, ':', size) : NULL;
    if (!colon)
        return;
    const char *value = colon + 1;
    size_t name = (size_t)(colon - line), length = size - name - 1;
    ts_trim(&value, &length);
    const struct {
        const char *name;
        double *into;
        double value;
    } all[] = {
        {"x-ratelimit-limit-requests", &limits->limit_requests, decimal(value, length)},
        {"x-ratelimit-limit-tokens", &limits->limit_tokens, decimal(value, length)},
        {"x-ratelimit-remaining-requests", &limits->remaining_requests, decimal(value, length)},
        {"x-ratelimit-remaining-tokens", &limits->remaining_tokens, decimal(value, length)},
        {"x-ratelimit-reset-requests", &limits->reset_requests, ts_duration_read(value, length)},
        {"x-ratelimit-reset-tokens", &limits->reset_tokens, ts_duration_read(value, length)},
    };
    for (size_t i = 0; i < TS_COUNT_OF(all); i++)
        if (is_name(line, name, all[i].name))
            *all[i].into = all[i].value;
    if (is_name(line, name, "retry-after-ms") && decimal(value, length) >= 0)
        limits->retry_after = decimal(value, length) / 1000;
    if (is_name(line, name, "retry-after") && limits->retry_after < 0)
        limits->retry_after = retry_after(value, length, now);
    if (is_name(line, name, "x-should-retry"))
        limits->should_retry = is_name(value, length, "true") ? 1 : is_name(value, length, "false") ? 0 : -1;
}

/* ---- keys ---- */

size_t ts_key_hide(char *text, size_t size, const char *key)
{
    enum { TELLING = 12 }; /* so many characters of a key are a secret */
    size_t key_size = strlen(key), window = TS_MIN(key_size, (size_t)TELLING), hidden = 0;
    bool first[256] = {false};
    if (window == 0)
        return 0;
    for (size_t i = 0; i + window <= key_size; i++)
        first[(unsigned char)key[i]] = true;
    for (size_t at = 0; at + window <= size;) {
        size_t longest = 0;
        for (size_t i = 0; first[(unsigned char)text[at]] && i + window <= key_size; i++) {
            size_t common = 0, most = TS_MIN(key_size - i, size - at);
            while (common < most && text[at + common] == key[i + common])
                common++;
            longest = common >= window ? TS_MAX(longest, common) : longest;
        }
        memset(text + at, '*', longest);
        hidden += longest;
        at += longest ? longest : 1;
    }
    return hidden;
}

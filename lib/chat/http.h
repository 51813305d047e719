/*
 * HTTPS requests through libcurl, many at a time on the caller's thread. http.c is the only file that knows of curl.
 *
 * A transport is a table of calls, so that the client above can be tested with replies and a clock of the test's own.
 */
#ifndef TS_CHAT_HTTP_H
#define TS_CHAT_HTTP_H

#include "base/base.h"

enum { TS_HTTP_MOST_BODY = 16 << 20, TS_HTTP_MOST_HEADERS = 64 << 10, TS_HTTP_MOST_KEY = 4096, TS_HTTP_MOST_IN_FLIGHT = 1024 };

/* What came of a request. */
typedef enum ts_http_end {
    TS_HTTP_REPLIED, /* a whole reply */
    TS_HTTP_UNSENT,  /* no byte of the request left: it cannot have been paid */
    TS_HTTP_UNKNOWN, /* it was sent, or part of it, and no whole reply came */
    TS_HTTP_REFUSED  /* nothing can be sent to this host: its certificate, its name in the certificate, the CA file. Not to be tried again */
} ts_http_end;

/* What the headers say about limits; negative numbers: nothing. */
typedef struct ts_http_limits {
    double retry_after;   /* seconds */
    int32_t should_retry; /* x-should-retry: 1, 0, or -1 */
    double limit_requests, limit_tokens, remaining_requests, remaining_tokens, reset_requests, reset_tokens;
} ts_http_limits;

/* Strings are borrowed until the slot is started again. The body is whatever was sent, the key perhaps included: what is read out of it goes
 * through `hide` before it is kept or told. A NUL follows it. */
typedef struct ts_http_reply {
    size_t slot;
    ts_http_end end;
    const char *detail; /* why there is no whole reply */
    long code;
    bool events; /* the body is a text/event-stream */
    const char *body;
    size_t size;
    ts_http_limits limits;
} ts_http_reply;

/* A request that is made alone and waited for. */
typedef struct ts_http_request {
    const char *url;
    const char *body; /* JSON to post, NUL-terminated; NULL: nothing is posted */
    const char *key;  /* Idempotency-Key, or NULL */
    /* Instead of a body: what is posted as the form of a files endpoint, file and purpose. */
    const char *upload, *purpose;
    /* Given each line of a reply of 200 as it comes in, without its newline and with a NUL; the reply's body stays empty. */
    ts_status (*line)(void *user, char *line, size_t size);
    void *user;
} ts_http_request;

typedef struct ts_transport {
    void *user;
    double (*now)(void *user);
    /* Sends `body` (borrowed until the slot's reply or cancellation) from a slot that is free. */
    ts_status (*start)(void *user, size_t slot, const char *body, size_t size, const char *idempotency_key);
    /* Works on what is in flight for at most `seconds`, less if something ends. */
    ts_status (*wait)(void *user, double seconds);
    /* Takes one of the replies that came in; false: there is none. */
    bool (*take)(void *user, ts_http_reply *reply);
    /* Gives a slot up: nothing is known of its request. */
    void (*cancel)(void *user, size_t slot);
    /* Makes a request while nothing else is in flight; the reply is borrowed until the next one. What line answered is passed on. */
    ts_status (*call)(void *user, const ts_http_request *request, ts_http_reply *reply);
    /*
     * Takes the key out of a text that was read out of a reply. Not out of the reply's bytes: escapes and the pieces of a stream hide it there, and what is
     * half escaped would be no JSON any more. NULL: there is no key.
     */
    void (*hide)(void *user, char *text, size_t size);
    void (*free)(void *user);
} ts_transport;

typedef struct ts_http_options {
    const char *url; /* of the requests: https, or http where that is allowed */
    const char *key; /* or NULL */
    const char *ca_file, *proxy;
    double connect_seconds, silent_seconds, total_seconds;
    size_t slots;
} ts_http_options;

/* INVALID_ARGUMENT: the URL or the key cannot be used. UNSUPPORTED: this libcurl is not thread-safe. */
ts_status ts_http_open(ts_transport *out, ts_runtime *runtime, const ts_http_options *options);

/* ---- headers.c: what needs no network ---- */

/* Whether a URL may be used: https, or plain http to this machine, or plain http when there is no key; nothing but host, port and path. */
ts_status ts_url_check(const char *url, bool with_key);

/* One line of a header, its newline included or not; `now` are seconds since 1970, for dates. Lines that say nothing of limits change nothing. */
void ts_http_limits_init(ts_http_limits *limits);
void ts_http_limits_read(ts_http_limits *limits, const char *line, size_t size, double now);

/* Seconds of "1s", "6m0s", "120ms", "22.564s", "1h2m"; -1: it is no duration. */
double ts_duration_read(const char *text, size_t size);

/* Puts '*' over every stretch of `text` that stands in the key and has 12 characters of it, or all of a shorter key. Gives the number of bytes
 * hidden. */
size_t ts_key_hide(char *text, size_t size, const char *key);

#endif

/*
 * How fast to send: buckets of requests and tokens that the service's headers fill, the number in flight, and how long to wait before sending again.
 * Every function is told the time, so that a test can let it pass as it likes.
 */
#ifndef TS_CHAT_LIMITS_H
#define TS_CHAT_LIMITS_H

#include "chat/http.h"

/* Fills at `rate` a second up to `capacity`; not known: it holds nothing back. */
typedef struct ts_bucket {
    bool known;
    double level, capacity, rate, at;
} ts_bucket;

typedef struct ts_limits {
    ts_bucket requests, tokens;
    ts_bucket retries;   /* what may be sent again: a fifth of all requests, and always some, so that a service that is back is found */
    double window, most; /* how many may be in flight: halved by a 429, then slowly more again; and at most */
    double halved;       /* when it was halved last */
    double cool_until;   /* nothing is sent before */
} ts_limits;

/* A minute's requests and tokens may be 0: nothing is known of them. */
void ts_limits_init(ts_limits *limits, double requests_per_minute, double tokens_per_minute, uint32_t in_flight, double now);

/* Seconds until a request of so many tokens may be sent, 0: at once; infinite: not before a reply comes. */
double ts_limits_wait(ts_limits *limits, double now, double tokens, size_t in_flight);

/* The same for a request that was sent before, besides the above. A service that is in trouble is not flooded by what failed there: over ten seconds
 * one request in five may be a retry, and besides these ten a second. */
double ts_limits_wait_again(ts_limits *limits, double now);

/* A request was sent; `again`: not for the first time. */
void ts_limits_sent(ts_limits *limits, double now, double tokens, bool again);

/* A reply's headers; what is in flight besides it may not be counted in them yet. `limited`: it was a 429, to be waited out for `delay`. */
void ts_limits_replied(ts_limits *limits, double now, const ts_http_limits *said, size_t in_flight, double tokens_in_flight);
void ts_limits_limited(ts_limits *limits, double now, double delay);

/* Seconds to wait before attempt number `attempt` (from 1 on) of a job: what the service asked for, at most 120 s, or else from 0.5 s on twice as
 * long each time up to 60 s; scattered by a number drawn from (seed, job, attempt). */
double ts_retry_delay(uint64_t seed, uint64_t job, uint32_t attempt, double retry_after);

#endif

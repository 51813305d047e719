/* Buckets, window and backoff. */
#include "chat/limits.h"

#include <math.h>

#define LONGEST_ASKED 120.0 /* seconds that Retry-After may ask for */
#define FIRST_BACKOFF 0.5
#define LONGEST_BACKOFF 60.0
#define RETRY_SECONDS 10.0     /* over which retries are held against requests */
#define RETRIES_A_SECOND 10.0  /* that are always allowed */
#define RETRIES_A_REQUEST 0.25 /* that a first request earns: then one of five is a retry */
#define BETWEEN_HALVINGS 1.0   /* seconds: the 429s of one moment are one message */

static void refill(ts_bucket *bucket, double now)
{
    if (bucket->known && now > bucket->at)
        bucket->level = fmin(bucket->capacity, bucket->level + bucket->rate * (now - bucket->at));
    bucket->at = now;
}

static ts_bucket bucket_of(double per_minute, double now)
{
    return (ts_bucket){.known = per_minute > 0, .level = per_minute, .capacity = per_minute, .rate = per_minute / 60, .at = now};
}

void ts_limits_init(ts_limits *limits, double requests_per_minute, double tokens_per_minute, uint32_t in_flight, double now)
{
    *limits = (ts_limits){.requests = bucket_of(requests_per_minute, now),
                          .tokens = bucket_of(tokens_per_minute, now),
                          .retries = {.known = true,
                                      .level = RETRIES_A_SECOND * RETRY_SECONDS,
                                      .capacity = RETRIES_A_SECOND * RETRY_SECONDS,
                                      .rate = RETRIES_A_SECOND,
                                      .at = now},
                          .window = in_flight,
                          .most = in_flight,
                          .halved = now - BETWEEN_HALVINGS,
                          .cool_until = now};
}

/* What is larger than the whole bucket goes when the bucket is full. */
static double wait_for(ts_bucket *bucket, double now, double need)
{
    refill(bucket, now);
    need = fmin(need, bucket->capacity);
    return !bucket->known || bucket->level >= need ? 0 : (need - bucket->level) / bucket->rate;
}

double ts_limits_wait(ts_limits *limits, double now, double tokens, size_t in_flight)
{
    if ((double)in_flight + 1 > fmax(limits->window, 1))
        return INFINITY;
    double wait = fmax(wait_for(&limits->requests, now, 1), wait_for(&limits->tokens, now, tokens));
    return fmax(wait, fmax(limits->cool_until - now, 0));
}

void ts_limits_sent(ts_limits *limits, double now, double tokens, bool again)
{
    refill(&limits->requests, now);
    refill(&limits->tokens, now);
    limits->requests.level -= 1;
    limits->tokens.level -= tokens;
    refill(&limits->retries, now);
    limits->retries.level = fmin(limits->retries.capacity, limits->retries.level + (again ? -1 : RETRIES_A_REQUEST));
}

double ts_limits_wait_again(ts_limits *limits, double now)
{
    return wait_for(&limits->retries, now, 1);
}

/* Our own count knows what the service has not seen yet, the service's knows what others use: the lower one holds. */
static void heed(ts_bucket *bucket, double now, double limit, double remaining, double reset, double in_flight)
{
    if (!(limit > 0) || !(remaining >= 0))
        return;
    refill(bucket, now);
    if (!bucket->known || bucket->capacity != limit) {
        bucket->level = fmin(remaining, limit) - in_flight;
        bucket->rate = limit / 60;
    }
    if (reset > 0 && remaining < limit)
        bucket->rate = (limit - remaining) / reset;
    bucket->level = fmin(bucket->level, remaining);
    bucket->capacity = limit;
    bucket->known = true;
}

void ts_limits_replied(ts_limits *limits, double now, const ts_http_limits *said, size_t in_flight, double tokens_in_flight)
{
    heed(&limits->requests, now, said->limit_requests, said->remaining_requests, said->reset_requests, (double)in_flight);
    heed(&limits->tokens, now, said->limit_tokens, said->remaining_tokens, said->reset_tokens, tokens_in_flight);
    limits->window = fmin(limits->most, limits->window + 1 / fmax(limits->window, 1));
}

void ts_limits_limited(ts_limits *limits, double now, double delay)
{
    limits->cool_until = fmax(limits->cool_until, now + delay);
    if (now - limits->halved < BETWEEN_HALVINGS)
        return;
    limits->window = fmax(1, limits->window / 2);
    limits->halved = now;
}

double ts_retry_delay(uint64_t seed, uint64_t job, uint32_t attempt, double retry_after)
{
    double scatter = (double)(ts_random_at(seed, job, attempt) >> 11) * 0x1p-53;
    double backoff = fmin(ldexp(FIRST_BACKOFF, (int)TS_MIN(attempt, 30u) - 1), LONGEST_BACKOFF);
    if (retry_after < 0)
        return backoff * (1 - 0.25 * scatter);
    return fmax(fmin(retry_after, LONGEST_ASKED), backoff / 10) * (1 + 0.1 * scatter);
}

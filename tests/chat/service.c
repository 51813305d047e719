/* The service. */
#define _GNU_SOURCE
#include "chat/service.h"

static double service_now(void *user)
{
    return ((service *)user)->clock;
}

static void bill(service *s, uint64_t job)
{
    if (!s->honours || s->ledger->billed[job] == 0)
        s->ledger->billed[job]++;
}

static ts_status service_start(void *user, size_t slot, const char *body, size_t size, const char *key)
{
    service *s = user;
    uint64_t job = strtoull(strrchr(key, '-') + 1, NULL, 10);
    char wanted[64];
    assert_true(slot < SERVICE_SLOTS && !s->slots[slot].active && job < SERVICE_JOBS);
    snprintf(wanted, sizeof wanted, "tell story %llu\"", (unsigned long long)job);
    assert_non_null(memmem(body, size, wanted, strlen(wanted)));
    if (!s->keys[job][0])
        snprintf(s->keys[job], sizeof s->keys[job], "%s", key);
    assert_string_equal(s->keys[job], key);
    outcome out = {.end = TS_HTTP_REPLIED, .code = 200, .retry_after = -1};
    if (s->script)
        s->script(s, job, s->ledger->attempts[job], &out);
    s->ledger->attempts[job]++;
    if (s->ledger->requests < SERVICE_JOBS)
        s->sent_at[s->ledger->requests] = s->clock;
    s->ledger->requests++;
    if (out.paid || (out.end == TS_HTTP_REPLIED && out.code == 200 && !out.unpaid))
        bill(s, job);
    s->slots[slot].active = true;
    s->slots[slot].due = s->clock + out.delay;
    s->slots[slot].outcome = out;
    if (out.body)
        snprintf(s->slots[slot].body, sizeof s->slots[slot].body, "%s", out.body);
    else
        snprintf(s->slots[slot].body, sizeof s->slots[slot].body,
                 "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"\\n\\nStory \\\"%llu\\\".\\n\"},\"finish_reason\":\"stop\"}],"
                 "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":20}}",
                 (unsigned long long)job);
    s->in_flight++;
    s->ledger->most_in_flight = TS_MAX(s->ledger->most_in_flight, s->in_flight);
    return TS_OK;
}

/* Time passes to the next reply, or by `seconds`. */
static ts_status service_wait(void *user, double seconds)
{
    service *s = user;
    double then = s->clock + (seconds > 0 ? seconds : 0) + 1e-6;
    for (size_t i = 0; i < SERVICE_SLOTS; i++)
        if (s->slots[i].active && s->slots[i].due < then)
            then = s->slots[i].due;
    s->clock = then > s->clock ? then : s->clock;
    return TS_OK;
}

static bool service_take(void *user, ts_http_reply *reply)
{
    service *s = user;
    for (size_t i = 0; i < SERVICE_SLOTS; i++) {
        const outcome *out = &s->slots[i].outcome;
        if (!s->slots[i].active || s->slots[i].due > s->clock)
            continue;
        s->slots[i].active = false;
        s->in_flight--;
        *reply = (ts_http_reply){.slot = i,
                                 .end = out->end,
                                 .detail = "the connection broke",
                                 .code = out->code,
                                 .body = s->slots[i].body,
                                 .size = strlen(s->slots[i].body)};
        ts_http_limits_init(&reply->limits);
        if (out->limited)
            reply->limits = out->limits;
        reply->limits.retry_after = out->retry_after;
        return true;
    }
    return false;
}

static void service_cancel(void *user, size_t slot)
{
    service *s = user;
    s->in_flight -= s->slots[slot].active;
    s->slots[slot].active = false;
}

static void service_free(void *user)
{
    service *s = user;
    for (size_t i = 0; i < SERVICE_SLOTS; i++)
        s->slots[i].active = false;
    s->in_flight = 0;
}

void service_init(service *s, ledger *paid)
{
    memset(s, 0, sizeof *s);
    s->clock = 1000;
    s->ledger = paid;
    s->honours = true;
}

ts_transport service_transport(service *s)
{
    return (ts_transport){.user = s,
                          .now = service_now,
                          .start = service_start,
                          .wait = service_wait,
                          .take = service_take,
                          .cancel = service_cancel,
                          .free = service_free};
}

uint64_t service_billed(const ledger *paid)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SERVICE_JOBS; i++)
        sum += paid->billed[i];
    return sum;
}

ts_status service_prompt(void *user, uint64_t job, ts_bytes *prompt)
{
    (void)user;
    return ts_bytes_format(prompt, "tell story %llu", (unsigned long long)job);
}

/* A chat service and a clock of the test's own, in place of the network: a script says what comes of each attempt, a ledger in shared memory what was
 * paid. */
#ifndef TESTS_CHAT_SERVICE_H
#define TESTS_CHAT_SERVICE_H

#include "support/support.h"

#include "chat/client.h"

enum { SERVICE_JOBS = 4096, SERVICE_SLOTS = 64 };

typedef struct outcome {
    double delay; /* until the reply; 0: as good as at once */
    ts_http_end end;
    long code;
    const char *body;      /* NULL: a story of the job's */
    double retry_after;    /* negative: not said */
    bool unpaid;           /* a whole reply of 200 that is not billed */
    bool paid;             /* no reply, but billed */
    ts_http_limits limits; /* used if `limited` */
    bool limited;
} outcome;

/* Survives the process that is killed. */
typedef struct ledger {
    uint32_t billed[SERVICE_JOBS];
    uint32_t attempts[SERVICE_JOBS];
    uint64_t requests, most_in_flight;
    double first_sent, last_sent;
} ledger;

typedef struct service {
    double clock;
    bool honours; /* bills one Idempotency-Key once */
    ledger *ledger;
    void (*script)(struct service *service, uint64_t job, uint32_t attempt, outcome *out);
    void *user;
    double sent_at[SERVICE_JOBS]; /* of each request, in turn */
    struct {
        bool active;
        double due;
        outcome outcome;
        char body[512];
    } slots[SERVICE_SLOTS];
    size_t in_flight;
    char keys[SERVICE_JOBS][64]; /* the key that each job came with first */
} service;

void service_init(service *s, ledger *paid);
ts_transport service_transport(service *s);
uint64_t service_billed(const ledger *paid);

/* Prompts of jobs: "tell story N". */
ts_status service_prompt(void *user, uint64_t job, ts_bytes *prompt);

#endif

/*
 * The journal of paid work: an append-only file of lines of JSON. An intent is on the disk before its request is sent, a result before it is used.
 *
 * The first line names the journal's form, a number of the run (part of every idempotency key), the fingerprint of what the requests are made of and
 * the endpoint that they go to (where it is not named: chat/completions).
 * Each line ends in a checksum of itself. A line that a killed process left torn is closed by a newline and passed over as damaged, like any line
 * whose checksum is wrong: no byte of the file is ever changed. What the file says is the whole state: events are applied in the same way when they
 * are read as when they happen.
 */
#ifndef TS_CHAT_JOURNAL_H
#define TS_CHAT_JOURNAL_H

#include "chat/completions.h"
#include "chat/cost.h"
#include "format/json.h"
#include "text/text.h"

#define TS_JOURNAL_MOST_JOB ((uint64_t)1 << 53) /* where JSON's numbers stop being exact */

enum { TS_JOURNAL_RUN_SIZE = 33, TS_JOURNAL_KEY_SIZE = 64 };

typedef enum ts_event_kind {
    TS_EVENT_INTENT, /* is about to be sent; tokens and money are what it may cost at most */
    TS_EVENT_FAILED, /* surely not paid */
    TS_EVENT_DOUBT,  /* perhaps paid, and no text came of it; tokens and money if they are known, else what the intent reserved stays reserved */
    TS_EVENT_RESULT,
    TS_EVENT_KINDS
} ts_event_kind;

typedef struct ts_event {
    ts_event_kind kind;
    uint64_t job;
    ts_verdict verdict; /* of a result */
    bool counted;       /* the service said how many tokens */
    ts_cost cost;
    uint64_t prompt; /* a hash of what was asked, of an intent and a result; 0: none */
    uint32_t unfit;  /* of a result: how many parts of its text do not fit what was asked */
    const char *finish, *model, *fingerprint, *detail, *text; /* NULL: none */
    size_t text_size;
    const char *about; /* a JSON object that a result's line keeps for those who asked; NULL: none */
} ts_event;

typedef enum ts_job_state {
    TS_JOB_NEW,  /* not in the journal, or surely not paid */
    TS_JOB_OPEN, /* sent; without an answer when the journal is opened: in doubt */
    TS_JOB_DOUBT,
    TS_JOB_DONE
} ts_job_state;

typedef struct ts_job {
    uint64_t number;
    uint64_t offset; /* of the line with its result */
    ts_cost reserve;  /* of what is open */
    ts_cost doubtful; /* reserved for attempts before that, of which nobody knows what came */
    uint32_t doubts;  /* their number */
    uint32_t size, attempts;
    uint8_t state, verdict, unfit;
    bool doubled : 1, used : 1; /* counted as possibly paid twice; this place of the table is taken */
} ts_job;

typedef struct ts_journal {
    ts_runtime *runtime; /* borrowed */
    char *path;
    char run[TS_JOURNAL_RUN_SIZE];
    ts_chat_endpoint endpoint;
    uint64_t configuration;
    int lock, file;
    ts_source source; /* what was read of it last */
    bool source_open, only_read; /* only_read: whatever requests it was made for, and nothing is written */
    ts_status broken; /* a sync failed: the file is given up */
    ts_bytes pending; /* lines that are not on the disk yet */
    size_t written;   /* bytes of pending that are in the file, but not synced */
    uint64_t end;     /* bytes of the file that are synced */
    ts_job *jobs;     /* hash table, a power of two */
    size_t job_count, job_capacity;
    ts_tally texts; /* of results */
    ts_chat_report totals;
    struct ts_journal_merge *merge; /* while its lines are read for another journal */
} ts_journal;

/*
 * BUSY: another process has it. MISMATCH: it was made for other requests (`endpoint`, `configuration`). VERSION: it is of a later library. FORMAT: it is
 * none.
 */
ts_status ts_journal_open(ts_journal *journal, ts_runtime *runtime, const char *path, ts_chat_endpoint endpoint, uint64_t configuration);
/* The same for reading alone, whatever requests it was made for, also while a run is at work on it. IO: there is none. */
ts_status ts_journal_open_to_read(ts_journal *journal, ts_runtime *runtime, const char *path);
void ts_journal_close(ts_journal *journal);

/* What is known of a job; a job that is not in the journal is NEW. */
ts_job ts_journal_job(const ts_journal *journal, uint64_t number);

/* Notes an event: it counts at once, and is on the disk after ts_journal_sync. */
ts_status ts_journal_add(ts_journal *journal, const ts_event *event);

/* IO: not everything could be written; it stays pending, and a later call goes on where this one stopped. If syncing failed all later calls fail too.
 */
ts_status ts_journal_sync(ts_journal *journal);

/* The line with the result of a job that is DONE; *line is the caller's to free. FORMAT: the line was damaged since. */
ts_status ts_journal_result(ts_journal *journal, uint64_t number, ts_json **line);

/*
 * Takes from the journal `path` all that has to do with jobs that are done there and not here, and puts it on the disk; *taken becomes their number. What
 * has no result there stays there alone. IO: there is no such journal; else as ts_journal_open.
 */
ts_status ts_journal_merge_from(ts_journal *journal, const char *path, uint64_t *taken);

/*
 * The key by which a service may know that a request was sent before: the same for every attempt with the same body. `bare` is of a request that goes
 * without the members that its job could have: another body has another key, or the service answers with the refusal that it gave to the first.
 */
void ts_journal_key(const ts_journal *journal, uint64_t number, bool bare, char key[TS_JOURNAL_KEY_SIZE]);

#endif

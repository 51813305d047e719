/*
 * The room of chat services: work that is paid for, asked for once, and kept. What the generator and the evaluator may use of it.
 *
 * A job is a number; its prompt is a function of it. Once a job is answered its text stands in the journal for good.
 */
#ifndef TS_CHAT_H
#define TS_CHAT_H

#include "tinystories/chat.h"

#include "base/base.h"
#include "format/json.h"

typedef struct ts_chat ts_chat;

enum { TS_CHAT_UNBOUNDED_REPLY = 4096 /* tokens that a reply without a bound is counted for beforehand */ };

/* What a service is to do with a prompt. */
typedef enum ts_chat_endpoint {
    TS_CHAT_CONVERSATION, /* answer it: chat/completions */
    TS_CHAT_CONTINUATION, /* go on with it from its last byte, as models that know no chat do: completions */
    TS_CHAT_ENDPOINTS
} ts_chat_endpoint;

typedef enum ts_chat_answer {
    TS_CHAT_NONE,    /* not asked, or not answered yet */
    TS_CHAT_TEXT,    /* ts_chat_text has it */
    TS_CHAT_CUT,     /* it stopped at its bound of tokens; ts_chat_text has what there is */
    TS_CHAT_UNUSABLE /* filtered, refused or not to be read: it will not be asked again, nor what was cut */
} ts_chat_answer;

/*
 * Jobs first, first + step, ...: `count` of them, all below 2^53. A prompt is one message of the user's; NULs in it divide a conversation, whose messages
 * are the user's and the assistant's in turn; one to go on with has none and is sent as it is. `members` gives further members of a request's JSON
 * (", \"name\": value"), or NULL for none; it may be NULL itself. Services that refuse a request with them (400 or 422) are asked without, and once one was
 * answered so, none has them any more.
 */
typedef struct ts_chat_jobs {
    uint64_t first, count, step;
    void *user;
    ts_status (*prompt)(void *user, uint64_t job, ts_bytes *prompt); /* appends the prompt, always the same one for a job */
    bool (*wanted)(void *user, uint64_t job);                        /* NULL: all are; others count as answered and are not asked */
    const char *(*members)(void *user, uint64_t job);
    /*
     * Appends a JSON object that the journal keeps with a job's result: what was asked, and what came of it. `text`, not NUL-terminated, NULL for what cannot
     * be used. *unfit (0 before) becomes the number of its parts, at most 255, that do not fit what was asked. NULL: nothing is kept.
     */
    ts_status (*about)(void *user, uint64_t job, const char *text, size_t size, ts_bytes *object, uint32_t *unfit);
    bool goes_on; /* the call goes on that the last run was a part of: its time counts on, and what stopped it at its very end stops these jobs too */
} ts_chat_jobs;

/* The options of one shard of several: it takes its part of the bounds and paces, which are of all of them. INVALID_ARGUMENT: a bound is below their number. */
ts_status ts_chat_options_divide(ts_chat_options *own, const ts_chat_options *options, uint32_t shard, uint32_t shards);

/*
 * Opens the journal and prepares the connections; nothing is sent. `configuration` is a fingerprint of everything that the prompts are made of:
 * MISMATCH if the journal was made for others, or for the other endpoint. INVALID_ARGUMENT names the option.
 */
ts_status ts_chat_open(ts_chat **out, ts_runtime *runtime, const ts_chat_options *options, ts_chat_endpoint endpoint, uint64_t configuration);
/* A chat that is read alone, whatever its journal was made for, also while a run is at work on it: for ts_chat_answered, _result, _text and _totals. */
ts_status ts_chat_open_to_read(ts_chat **out, ts_runtime *runtime, const char *journal);
void ts_chat_close(ts_chat *chat);

/*
 * Has every one of the jobs answered that is not yet. On every way out what is in flight was waited for and is in the journal, but for progress that
 * returns 2 or more: that gives up at once what is in flight. LIMIT: a bound of the options; NETWORK: the service said no for good, or too often; IO:
 * the journal cannot be written, so that nothing more may be paid; CANCELLED. The next call goes on. progress counts answered jobs.
 */
ts_status ts_chat_run(ts_chat *chat, const ts_chat_jobs *jobs, ts_progress progress, void *progress_user);

/* INVALID_ARGUMENT: a job is too large a number. */
ts_status ts_chat_jobs_check(const ts_chat_jobs *jobs);

/*
 * Batches. Each call adds to *report; what it means tinystories/chat.h tells. Write: the requests of jobs without an answer into files `path`, and on with
 * .2, .3 before the ending; each has its intent in the journal. Read: the results of a file into the journal. Step: by the service's endpoints, collects what
 * is there and submits what is missing, unless the service is at work on a batch of this journal.
 */
ts_status ts_chat_batch_write(ts_chat *chat, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report);
ts_status ts_chat_batch_read(ts_chat *chat, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report);
ts_status ts_chat_batch_step(ts_chat *chat, const ts_chat_jobs *jobs, ts_batch_report *report);

/* Takes the answers of another journal of the same configuration that this one lacks, with what they cost; *taken becomes their number. */
ts_status ts_chat_merge(ts_chat *chat, const char *path, uint64_t *taken);

ts_chat_answer ts_chat_answer_of(const ts_chat *chat, uint64_t job);
/* How many parts of a job's text do not fit, as `about` said. */
uint32_t ts_chat_unfit(const ts_chat *chat, uint64_t job);
/* How many of the jobs are wanted and not answered. */
uint64_t ts_chat_left(const ts_chat *chat, const ts_chat_jobs *jobs);
/* The journal's line of a job that is answered, which has members text, about, model, system_fingerprint, prompt and more. The caller's to free. */
ts_status ts_chat_result(ts_chat *chat, uint64_t job, ts_json **line);
/* Appends the text of a job that has one: a continuation as it came, else without white space at its ends. */
ts_status ts_chat_text(ts_chat *chat, uint64_t job, ts_bytes *text);

/* The jobs that have a text, ascending: *jobs is the caller's to release by the runtime, NULL for none. */
ts_status ts_chat_answered(const ts_chat *chat, uint64_t **jobs, size_t *count);

/* What is in the journal so far. */
void ts_chat_totals(const ts_chat *chat, ts_chat_report *report);
/* What the jobs that are not answered would cost at most: tokens, requests and money alone. */
ts_status ts_chat_estimate(ts_chat *chat, const ts_chat_jobs *jobs, ts_chat_report *report);

const char *ts_chat_model(const ts_chat *chat);

#endif

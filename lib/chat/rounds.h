/*
 * A run in rounds: jobs go through slots, each from its intent in the journal to its result in the journal. One round takes the replies that came,
 * chooses what to send next, puts all of that on the disk at once, sends, and waits. Private to the client.
 */
#ifndef TS_CHAT_ROUNDS_H
#define TS_CHAT_ROUNDS_H

#include "chat/chat.h"
#include "chat/completions.h"
#include "chat/cost.h"
#include "chat/http.h"
#include "chat/journal.h"
#include "chat/limits.h"

enum { TS_CHAT_DETAIL_SIZE = 512 };

/* HELD: the service did not take it, and takes others perhaps no more */
typedef enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_READY, SLOT_SENT, SLOT_HELD } slot_state;

typedef struct slot {
    slot_state state;
    uint64_t job;
    double due; /* WAITING: when to send it */
    ts_bytes body;
    size_t prompt_size;
    uint64_t prompt; /* its hash */
    ts_cost reserve;
    uint32_t failures, limited, invalid;
    bool extended, refused; /* has the job's further members; was refused with them, and goes without */
} slot;

struct ts_chat {
    ts_runtime *runtime;
    ts_chat_options options;
    char *model, *extra, *base_url, *journal_path;
    ts_transport transport;
    ts_journal journal;
    ts_prices prices;
    ts_limits limits;
    ts_completion completion; /* of the reply that is looked at */
    ts_bytes prompt, about; /* the prompt that is written, and what is said of a result */
    slot *slots;
    size_t in_flight;
    double tokens_in_flight;
    uint64_t run_seed; /* scatters waits */
    bool plain;        /* the service takes no further members */
    uint32_t wrong;    /* in a row */
    /* of the run that is going on */
    const ts_chat_jobs *jobs;
    uint64_t next, answered, settled; /* jobs looked at; answered, on the disk; answered, on their way there */
    ts_status stop;                   /* why nothing more is sent */
    char detail[TS_CHAT_DETAIL_SIZE];
    double began, disk_failed, told; /* disk_failed: since when the journal cannot be written, or -1 */
};

/* Whether a job is still to be asked for. */
static inline bool ts_chat_needs(const ts_chat *chat, const ts_chat_jobs *jobs, uint64_t job)
{
    return ts_journal_job(&chat->journal, job).state != TS_JOB_DONE && (!jobs->wanted || jobs->wanted(jobs->user, job));
}

/* The further members of a job's request; NULL: none. */
static inline const char *ts_chat_members(const ts_chat *chat, const ts_chat_jobs *jobs, uint64_t job)
{
    return jobs->members && !chat->plain ? jobs->members(jobs->user, job) : NULL;
}

/*
 * Reads a reply, or one that is a document already, into chat->completion, and takes the key out of what was read: a service may repeat it escaped, or
 * in pieces of a stream. Only memory can fail.
 */
ts_status ts_chat_read(ts_chat *chat, const ts_http_reply *reply);
ts_status ts_chat_read_json(ts_chat *chat, long code, const ts_json *body);

/* A hash of the prompt that is in chat->prompt. */
uint64_t ts_chat_prompt_hash(const ts_chat *chat);

/*
 * Notes that a job has the result that is in chat->completion, and what it cost. `prompt` is the hash of what was asked; what the text is about those say
 * who asked. A reply of a request that the service did not take has no text.
 */
ts_status ts_chat_note_result(ts_chat *chat, const ts_chat_jobs *jobs, uint64_t job, uint64_t prompt, const ts_cost *cost, bool counted);

/* Only the transport can fail; what else goes wrong stops the run: chat->stop. */
ts_status ts_chat_round(ts_chat *chat);

/* Whether there is nothing left to do: all jobs are answered and on the disk, or the run was stopped and nothing is in flight. */
bool ts_chat_is_over(const ts_chat *chat);
bool ts_chat_all_answered(const ts_chat *chat);

/* From now on nothing is sent; the first reason is the one that is told. */
void ts_chat_stop(ts_chat *chat, ts_status status, const char *detail);
/* The same for a failure of ours whose detail is set; TS_OK stops nothing. */
void ts_chat_stop_on(ts_chat *chat, ts_status status);

/* Gives up what is in flight, and frees all slots. */
void ts_chat_abandon(ts_chat *chat);

#endif

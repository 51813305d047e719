/*
 * Completions as OpenAI and those compatible with it speak, of a chat and of a text: a request as JSON, a reply of JSON or of server-sent events, and
 * what a reply that is none means for the run.
 */
#ifndef TS_CHAT_COMPLETIONS_H
#define TS_CHAT_COMPLETIONS_H

#include "chat/chat.h"
#include "chat/http.h"

/* What stands behind a base URL: "chat/completions". */
const char *ts_completion_path(ts_chat_endpoint endpoint);

/* ---- request ---- */

/*
 * Appends the body of a request; `prompt` and `members` (may be NULL) as in ts_chat_jobs; `seed` is sent if options->send_seed. extra was checked by
 * ts_completion_check_extra.
 */
ts_status ts_completion_write(ts_bytes *body, const ts_chat_options *options, ts_chat_endpoint endpoint, const char *prompt, size_t size, const char *members,
                              uint64_t seed);

/* INVALID_ARGUMENT: extra is no JSON object, or holds a member that the library writes itself, or that would change how a reply must be read. */
ts_status ts_completion_check_extra(ts_runtime *runtime, const ts_chat_options *options);

/* ---- reply ---- */

typedef enum ts_verdict {
    TS_VERDICT_TEXT,     /* a text that can be used */
    TS_VERDICT_CUT,      /* stopped at its bound of tokens: paid, not used */
    TS_VERDICT_FILTERED, /* refused or filtered: not used */
    TS_VERDICT_INVALID,  /* a reply of 200 that cannot be read, or is empty: perhaps paid; to be asked again a few times */
    TS_VERDICT_RETRY,    /* not paid, to be sent again: 409, 429, 503, 529 */
    TS_VERDICT_DOUBT,    /* to be sent again, but it may have been paid: 408, 500, 502, 504, no whole reply */
    TS_VERDICT_WRONG,    /* not paid; the service does not take this request: 400, 413, 422 and other 4xx */
    TS_VERDICT_STOP      /* not paid, and nor will any other request be: key, quota, model, redirect, certificate */
} ts_verdict;

typedef struct ts_completion {
    ts_chat_endpoint endpoint; /* that was asked */
    ts_verdict verdict;
    bool has_text;    /* there was one, though it may be empty */
    ts_bytes text;    /* what was written, also if it is not used */
    char finish[24];  /* finish_reason, "" if there was none */
    char model[96], fingerprint[64]; /* model and system_fingerprint as the service names them, "" if it does not */
    char detail[320]; /* of a failure: code, type and message */
    bool counted;     /* the service said how many tokens */
    uint64_t prompt_tokens, completion_tokens;
} ts_completion;

/* Reads a reply into a completion whose endpoint and text.runtime are set; the text is emptied first. Only memory can fail. */
ts_status ts_completion_read(ts_completion *completion, ts_runtime *runtime, const ts_http_reply *reply);

/* The same of a reply that is a document already, or part of one: with what status code it came, and its body. */
ts_status ts_completion_read_json(ts_completion *completion, ts_runtime *runtime, long code, const ts_json *body);

/* ---- events.c: server-sent events ---- */

/*
 * Takes the next event's data (lines joined by newlines) out of a stream; false at its end. An event that the end cuts off is none. One with the id of
 * the event before it is that event once more (a proxy that sends again what it is not sure of), and is passed over; without ids nobody can tell.
 */
typedef struct ts_events {
    const char *text;
    size_t size, at;
    uint64_t id; /* a hash of the last event's; 0: it had none */
    ts_bytes data;
    ts_status status; /* of memory */
} ts_events;

bool ts_events_next(ts_events *events);

#endif

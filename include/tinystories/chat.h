/*
 * Chat services: how a generator (or an evaluator) reaches one, what it may spend, and where what was paid for is kept.
 *
 * Any service that speaks OpenAI's chat completions will do: OpenAI itself, or the servers of llama.cpp, vLLM and Ollama. For baselines by models that
 * know no chat its older completions, of a text, will do too (ts_completer_options.raw, tinystories/evaluator.h). Requests are sent
 * from the caller's thread, hundreds at a time. TLS is always verified (1.2 or later) and redirects are never followed. A key never travels over plain
 * http but to this machine itself, and is never in a log, a journal or an error detail: where a service repeats it, it is taken out of the reply.
 *
 * The journal is an append-only file of lines of JSON. Before a request is sent its intent is on the disk, before a reply is used the reply is. A run
 * that was stopped in any way, by kill -9 too, goes on with the same journal: what has a reply is never asked for again; a request whose outcome is
 * unknown is sent again with the same Idempotency-Key. A service that honours the key bills it once; from others it is possibly paid twice, and counted
 * so. One process at a time may use a journal.
 *
 * What fails in passing is sent again after a growing wait; over ten seconds at most one request in five is such a retry, and ten a second besides.
 *
 * The library uses libcurl (7.84 or later, thread-safe) and calls curl_global_init once, at the first chat service of the process; it never
 * calls curl_global_cleanup. It takes no proxy and no certificates from the environment and installs no signal handler (SIGPIPE is blocked for the
 * calling thread while it is at work). A handle must not be used in a child made by fork: TS_ERROR_UNSUPPORTED.
 */
#ifndef TINYSTORIES_CHAT_H
#define TINYSTORIES_CHAT_H

#include "tinystories/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_chat_options {
    size_t struct_size;
    const char *base_url;   /* what comes before "/chat/completions"; default "https://api.openai.com/v1"; no user, password, query or fragment */
    const char *model;      /* required: the service's name for the model */
    const char *journal;    /* required: path of the journal; it is made if there is none */
    const char *key;        /* the service's key: printable ASCII; at most one of key, key_file and read_key; none: no Authorization is sent */
    const char *key_file;   /* path of a file whose only line is the key; a warning is logged if others than its owner may read it */
    /* Asked once for the key: writes it with a NUL into `key`, which has `capacity` bytes; nonzero: there is none, and the call fails with CANCELLED. */
    int32_t (*read_key)(void *key_user, char *key, size_t capacity);
    void *key_user;
    const char *ca_file;    /* PEM file of the only certificates to trust; NULL: the system's */
    const char *proxy;      /* URL of a proxy; NULL: none, whatever the environment says. It never gets the key */
    const char *prices;     /* path of a JSON file {"model": {"prompt": P, "completion": C}}, money a million tokens; NULL: cost is not known */
    const char *extra;      /* a JSON object whose members go into every request: "{\"top_k\": 40}" */
    double temperature;     /* negative (the default): not sent, the service decides */
    double top_p;           /* likewise */
    double connect_seconds; /* until a connection stands, finding the name's address included (before libcurl 7.87 that is waited for); default 10 */
    double silent_seconds;  /* a stream may keep silent for so long, default 120; without `stream` a reply may take all of total_seconds: it comes when it is done */
    double total_seconds;   /* for one request in all; default 600. What takes longer is asked for again, and may be paid twice */
    double max_money;       /* of the whole journal, with all that is reserved or doubtful; 0 (the default): no bound. Needs prices */
    double max_seconds;     /* of each call that sends; 0: no bound */
    double requests_per_minute; /* at first: what the service says takes its place; 0: none */
    double tokens_per_minute;
    uint64_t max_requests;  /* of the whole journal, retries counted; 0: no bound */
    uint64_t max_tokens;    /* of the whole journal; 0: no bound. What is in flight counts with all it may cost, what is doubtful too: it is never passed */
    uint32_t reply_tokens;  /* a reply's bound (a generator's: for each story), sent as max_completion_tokens; default 1024; 0: not sent */
    uint32_t old_names;     /* 1: send it as max_tokens, as older servers want it, and the completions of a text in any case */
    uint32_t in_flight;     /* requests at a time, 1 to 1024; default 16 */
    uint32_t attempts;      /* for one request before the run stops, 1 to 1000; default 8 */
    uint32_t stream;        /* 1: ask for a stream of events; replies are read either way */
    uint32_t send_seed;     /* 1: send a seed, different for each story */
} ts_chat_options;

TS_API ts_status ts_chat_options_init(ts_chat_options *options, size_t struct_size);

/* What a journal holds and what it has cost; of the whole journal, all runs together. */
typedef struct ts_chat_report {
    size_t struct_size;
    uint64_t requests;            /* sent, retries counted */
    uint64_t answered;            /* with a text that can be used */
    uint64_t cut;                 /* replies that stopped at their bound of tokens: paid, not used */
    uint64_t filtered;            /* refused or filtered by the service: not used */
    uint64_t invalid;             /* replies that could not be read, again and again: not used */
    uint64_t retries;             /* requests that were sent again, for whatever reason */
    uint64_t unknown;             /* sent, and nobody knows what came of it; they will be sent again */
    uint64_t possibly_paid_twice; /* stories that were asked for again while the outcome before was unknown */
    uint64_t prompt_tokens;       /* of replies, as the service counted them */
    uint64_t completion_tokens;
    uint64_t estimated_tokens;    /* those of the two above that the service did not count and that were estimated, 4 bytes a token */
    uint64_t reserved_tokens;     /* set aside for what is in flight or unknown */
    uint64_t damaged_lines;       /* of the journal, which were passed over */
    double money;                 /* by the price file, what is reserved included; 0 without one */
    double reserved_money;        /* the part of it that is reserved */
    /*
     * What attempts of unknown outcome (no whole reply, 408, 500, 502, 504, a process that died) may have cost besides, of stories that have their reply
     * now: as much as that reply for each. A service that honours the Idempotency-Key, or bills no failures, has billed none of it; others may have billed
     * all. It is not in the fields above, but the bounds count it. While a story has no reply its attempts are in reserved_tokens and reserved_money.
     */
    uint64_t doubtful_tokens;
    double doubtful_money;
    uint64_t unfit; /* stories of what was answered that lack a drawn word, are in another language, or are missing in a reply of several; see generator.h */
    uint64_t repeated; /* replies that are the same as another one's, byte for byte: used like others, but a service that repeats itself is worth a look */
} ts_chat_report;

/* What a call for batches did. */
typedef struct ts_batch_report {
    size_t struct_size;
    uint64_t left;     /* stories that are still wanted after it; 0: ts_generator_write asks for nothing more */
    uint64_t files;    /* written or submitted */
    uint64_t requests; /* in them */
    uint64_t results;  /* read that the journal did not have */
    uint64_t known;    /* read that it had */
    uint64_t failed;   /* requests that were not done (expired, refused): they will be asked again */
    uint64_t foreign;  /* lines that are no results of this journal */
    uint64_t waiting;  /* batches that the service is at work on */
    uint64_t done;     /* requests of these that are done, as the service counts */
    uint64_t total;    /* and of how many */
} ts_batch_report;

#ifdef __cplusplus
}
#endif

#endif

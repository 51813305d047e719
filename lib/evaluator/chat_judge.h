/*
 * The chat judge: two turns for each judgment, asked of a chat service, and the judgments that its journal holds.
 */
#ifndef TS_EVALUATOR_CHAT_JUDGE_H
#define TS_EVALUATOR_CHAT_JUDGE_H

#include "evaluator/evaluator.h"

extern const ts_packed ts_judge_data; /* judge.txt */

/* ---- judge_template.c ---- */

enum {
    TS_JUDGE_ASSESS,
    TS_JUDGE_GRADE,
    TS_JUDGE_TURNS,
    TS_JUDGE_COMPARE = 2 * TS_JUDGE_TURNS, /* behind the same for instructions */
    TS_JUDGE_MARK,
    TS_JUDGE_COMPLETE,
    TS_JUDGE_COMPLETE_INSTRUCTION,
    TS_JUDGE_TEXTS
};

typedef struct ts_judge_template {
    ts_runtime *runtime; /* borrowed */
    char *file;          /* the user's, or NULL */
    char *built_in;
    struct {
        const char *text;
        size_t size;
    } texts[TS_JUDGE_TEXTS];
} ts_judge_template;

/* Reads the file `path`, NULL: the built-in texts alone. FORMAT names the file, the line or the placeholder. Frees what it made on failure. */
ts_status ts_judge_template_read(ts_judge_template *judge, ts_runtime *runtime, const char *path);
void ts_judge_template_free(ts_judge_template *judge);

/* A hash of the texts first to end - 1: what a journal's questions are made of, and not what a file says beside them. */
uint64_t ts_judge_template_hash(const ts_judge_template *judge, uint32_t first, uint32_t end);

/* Appends a message about a record; `turn` is TS_JUDGE_ASSESS or TS_JUDGE_GRADE. */
ts_status ts_judge_template_write(const ts_judge_template *judge, const ts_kept_record *record, uint64_t seed, uint32_t turn, ts_bytes *out);

/* Appends the message TS_JUDGE_COMPARE about two completions of the same thing, that of `first` as the first. */
ts_status ts_judge_template_compare(const ts_judge_template *judge, const ts_kept_record *first, const ts_kept_record *second, uint64_t seed, ts_bytes *out);
/* Appends the message TS_JUDGE_MARK. */
ts_status ts_judge_template_mark(const ts_judge_template *judge, const ts_kept_record *record, uint64_t seed, ts_bytes *out);

/* Appends the message by which a model is asked for a completion. */
ts_status ts_judge_template_complete(const ts_judge_template *judge, const ts_kept_record *record, ts_bytes *out);

/* ---- chat_judge.c ---- */

/* `evaluator` is borrowed for as long as the judge lives. Nothing is opened or sent yet; UNSUPPORTED in a build without chat services. */
ts_status ts_chat_judge_make(ts_chat_judge **out, const ts_evaluator *evaluator);
void ts_chat_judge_free(ts_chat_judge *judge);

/* Whether the journal is open: from then on the records may not change. */
bool ts_chat_judge_is_open(const ts_chat_judge *judge);

/* The service's name for its model; the caller's string until the journal is open. */
const char *ts_chat_judge_model(const ts_chat_judge *judge);

/* Has every judgment made that is not yet. */
ts_status ts_chat_judge_run(ts_chat_judge *judge, ts_progress progress, void *progress_user);

/* A judgment as the journal has it, and its texts, appended to bytes that are not NULL. */
ts_status ts_chat_judge_judgment(ts_chat_judge *judge, uint64_t record, uint32_t repeat, ts_kept_judgment *judgment, ts_bytes *assessment,
                                 ts_bytes *reply);

ts_status ts_chat_judge_prompt(ts_chat_judge *judge, uint64_t record, uint32_t turn, ts_bytes *out);
ts_status ts_chat_judge_estimate(ts_chat_judge *judge, ts_chat_report *report);
ts_status ts_chat_judge_report(ts_chat_judge *judge, ts_chat_report *report);

/*
 * Questions that are answered by a word: `count` of them, asked `repeats` times, each time until the answer can be read or options.asks are spent. Number i of
 * repeat r is jobs first + r stride + 8 i, first + r stride + 8 i + 1, ..., which no others may be.
 */
typedef struct ts_asking {
    uint64_t first, count, stride;
    uint32_t repeats;
    const char *const *words; /* NULL after the last */
    void *user;
    ts_status (*write)(void *user, uint64_t number, const ts_judge_template *judge, ts_bytes *out); /* appends the message */
} ts_asking;

enum { TS_HEARD_PENDING = -2, TS_HEARD_NOTHING = -1 };

ts_status ts_chat_judge_ask(ts_chat_judge *judge, const ts_asking *asking, ts_progress progress, void *progress_user);
/* The word that was answered, by its index, or TS_HEARD_; *asks (may be NULL) becomes how often it was asked for. */
ts_status ts_chat_judge_hear(ts_chat_judge *judge, const ts_asking *asking, uint32_t repeat, uint64_t number, int32_t *word, uint32_t *asks);

#endif

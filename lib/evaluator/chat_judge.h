/*
 * The chat judge: two turns for each judgment, asked of a chat service, and the judgments that its journal holds.
 */
#ifndef TS_EVALUATOR_CHAT_JUDGE_H
#define TS_EVALUATOR_CHAT_JUDGE_H

#include "evaluator/evaluator.h"

extern const ts_packed ts_judge_data; /* judge.txt */

/* ---- judge_template.c ---- */

enum { TS_JUDGE_ASSESS, TS_JUDGE_GRADE, TS_JUDGE_TURNS, TS_JUDGE_TEXTS = 2 * TS_JUDGE_TURNS /* the same again for instructions */ };

typedef struct ts_judge_template {
    ts_runtime *runtime; /* borrowed */
    char *file;          /* the user's, or NULL */
    char *built_in;
    struct {
        const char *text;
        size_t size;
    } texts[TS_JUDGE_TEXTS];
    uint64_t fingerprint;
} ts_judge_template;

/* Reads the file `path`, NULL: the built-in texts alone. FORMAT names the file, the line or the placeholder. Frees what it made on failure. */
ts_status ts_judge_template_read(ts_judge_template *judge, ts_runtime *runtime, const char *path);
void ts_judge_template_free(ts_judge_template *judge);

/* Appends a message about a record; `turn` is TS_JUDGE_ASSESS or TS_JUDGE_GRADE. */
ts_status ts_judge_template_write(const ts_judge_template *judge, const ts_kept_record *record, uint64_t seed, uint32_t turn, ts_bytes *out);

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

#endif

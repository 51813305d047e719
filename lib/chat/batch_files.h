/*
 * Batches: requests in files of lines of JSON instead of one by one, and their results. Private to the room.
 *
 * A line's custom_id is the Idempotency-Key that its request would have; so a result finds its job, and that of another journal is known for one. Every
 * request has its intent in the journal before its file is out of our hands. Results come in any order, in part, and as often as one likes.
 */
#ifndef TS_CHAT_BATCH_FILES_H
#define TS_CHAT_BATCH_FILES_H

#include "chat/rounds.h"

/* ---- batch_files.c ---- */

/* Jobs of a file that is being written. */
typedef struct ts_batch_part {
    char *path;
    uint64_t *jobs;
    size_t job_count, job_capacity;
    ts_status bound; /* LIMIT: a bound of the options ended it, the detail is set */
} ts_batch_part;

/*
 * Writes the next file: requests of jobs that have no answer, from number *next on, as many as a file may have; *next becomes the number after them.
 * Nothing is noted in the journal yet. No jobs: no file was written.
 */
ts_status ts_batch_part_write(ts_batch_part *part, ts_chat *chat, const ts_chat_jobs *jobs, uint64_t *next, const char *path);
void ts_batch_part_free(ts_batch_part *part, ts_runtime *runtime);
/* Notes the intents of a part, or that its requests were never sent; and puts that on the disk. */
ts_status ts_batch_part_note(const ts_batch_part *part, ts_chat *chat, const ts_chat_jobs *jobs, bool sent);

/* What a line is good for. RESULTS: replies alone. ALL: failures too, which say that a request was not done. UNDONE: a line of requests, of which
 * those without an answer were not done. */
typedef enum ts_batch_use { TS_BATCH_RESULTS, TS_BATCH_ALL, TS_BATCH_UNDONE } ts_batch_use;

typedef struct ts_batch_reader {
    ts_chat *chat;
    const ts_chat_jobs *jobs;
    ts_batch_use use;
    ts_batch_report *report;
    char detail[320]; /* of the first failure */
} ts_batch_reader;

/* Takes a line; the journal is synced now and then, and is to be synced at the end. `user` is the reader. */
ts_status ts_batch_read_line(void *user, char *line, size_t size);

#endif

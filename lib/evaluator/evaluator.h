/*
 * The evaluator's own parts: records, the two judges, and what their judgments add up to.
 */
#ifndef TS_EVALUATOR_H
#define TS_EVALUATOR_H

#include "tinystories/evaluator.h"

#include "base/base.h"

typedef struct ts_language ts_language;
typedef struct ts_chat_judge ts_chat_judge;

/* A record as it is kept: what `fields` points to is in `memory`. */
typedef struct ts_kept_record {
    ts_record fields;
    char *memory;
    uint64_t hash;  /* of all fields */
    uint64_t group; /* of prompt and instruction: records of one group are completions of one thing */
    uint32_t words; /* of the completion */
    uint32_t model; /* index among the models */
    ts_followed followed; /* of the instruction */
    uint32_t suspicion;
} ts_kept_record;

/* A judgment as it is kept, without its texts. */
typedef struct ts_kept_judgment {
    double grades[TS_AXIS_COUNT];
    uint8_t outcome, age, asks;
} ts_kept_judgment;

struct ts_evaluator {
    ts_runtime *runtime;
    ts_busy busy;
    ts_evaluator_options options; /* strings of the caller's are not kept, but for options.chat until the chat judge is opened */
    char *text_name;              /* NULL: there is no n-gram model */
    ts_kept_record *records;
    size_t count, capacity;
    char **models;
    size_t model_count, model_capacity;
    char **cut_models; /* those of options.cut_models */
    size_t cut_count;
    ts_kept_judgment *judgments; /* of record i in repeat r: r * count + i; NULL before the first run */
    size_t judged;               /* records that `judgments` is for */
    ts_language *language;
    ts_chat_judge *chat;        /* NULL: the embedded judge */
    ts_bytes assessment, reply; /* of the judgment that was read last */
};

/* Judgments of each record. */
uint32_t ts_evaluator_repeats(const ts_evaluator *evaluator);

/* What functions of the interface begin and end with. INVALID_ARGUMENT: the evaluator or the argument is NULL; BUSY. Leave gives `status`. */
ts_status ts_evaluator_enter(ts_evaluator *evaluator, const char *function, const void *argument);
ts_status ts_evaluator_leave(ts_evaluator *evaluator, ts_status status);
/* INVALID_ARGUMENT: there is no such record, no record of the model; the judge is embedded; the judging has begun. */
ts_status ts_evaluator_check_index(const ts_evaluator *evaluator, uint64_t index);
ts_status ts_evaluator_model_index(const ts_evaluator *evaluator, const char *name, uint32_t *index);
ts_status ts_evaluator_by_chat(const ts_evaluator *evaluator);
ts_status ts_evaluator_may_add(const ts_evaluator *evaluator);

static inline bool ts_record_is_instructed(const ts_record *record)
{
    return record->words || record->sentence || record->features || record->summary;
}

/* The axes that a record is graded on by the chat judge, 1 << TS_AXIS_. */
uint32_t ts_record_axes(const ts_record *record);

/* ---- records.c ---- */

enum { TS_MOST_RECORDS = 1 << 24 };

ts_status ts_records_add(ts_evaluator *evaluator, const ts_record *record);
ts_status ts_records_read(ts_evaluator *evaluator, const char *path);
/* A fingerprint of all records. */
uint64_t ts_records_hash(const ts_evaluator *evaluator);
void ts_records_free(ts_evaluator *evaluator);

/* ---- suspicion.c ---- */

/* As ts_evaluator_suspicion. OUT_OF_MEMORY alone. */
ts_status ts_suspicion_find(ts_runtime *runtime, const char *text, size_t size, uint32_t *suspicion);

/* ---- grades.c ---- */

/* As ts_grades_read, of which only grades, age and outcome are set. OUT_OF_MEMORY alone. */
ts_status ts_grades_parse(ts_runtime *runtime, const char *reply, size_t size, uint32_t axes, ts_kept_judgment *judgment);

/* ---- embedded_judge.c ---- */

/* `measures` of a record as measures.c has them. */
void ts_embedded_grade(const double measures[TS_MEASURE_COUNT], bool with_language, const ts_record *record, ts_kept_judgment *judgment);

/* ---- summary.c ---- */

/* A model's results; UINT32_MAX: everyone's. */
ts_status ts_summary_of(const ts_evaluator *evaluator, uint32_t model, ts_evaluation *evaluation);
ts_status ts_summary_compare(const ts_evaluator *evaluator, uint32_t left, uint32_t right, ts_comparison *comparison);

/* The interval of sum / count over prompts drawn with replacement; NaN with fewer than two. `values` has room for options.resamples. */
void ts_summary_interval(const ts_evaluator *evaluator, const double *sums, const double *counts, size_t prompts, uint64_t stream, double *values, double *low,
                         double *high);

/* ---- evaluation_report.c ---- */

ts_status ts_evaluation_write(ts_evaluator *evaluator, const char *path);

#endif

/* Evaluators: the handle, its options, and the judging. */
#include "evaluator/chat_judge.h"
#include "evaluator/measures.h"

#include <math.h>

enum { MOST_REPEATS = 1000, MOST_ASKS = 7, MOST_CUT = 64, LEAST_RESAMPLES = 100, MOST_RESAMPLES = 1000000 };

static const char *const judge_names[] = {"embedded", "chat"};
static const char *const part_names[TS_FOLLOWED_COUNT] = {"words", "sentence", "features", "summary"};
static const char *const outcome_names[TS_JUDGED_COUNT] = {"pending", "scored", "no_assessment", "no_reply", "missing",
                                                           "range",   "twice",  "form",          "empty"};

const char *ts_judge_name(uint32_t judge)
{
    return judge < TS_COUNT_OF(judge_names) ? judge_names[judge] : NULL;
}

const char *ts_judged_name(uint32_t outcome)
{
    return outcome < TS_JUDGED_COUNT ? outcome_names[outcome] : NULL;
}

const char *ts_followed_name(uint32_t part)
{
    return part < TS_FOLLOWED_COUNT ? part_names[part] : NULL;
}

uint32_t ts_record_axes(const ts_record *record)
{
    uint32_t axes = 1u << TS_AXIS_GRAMMAR | 1u << TS_AXIS_CREATIVITY | 1u << TS_AXIS_CONSISTENCY;
    return ts_record_is_instructed(record) ? axes | 1u << TS_AXIS_PLOT : axes;
}

uint32_t ts_evaluator_repeats(const ts_evaluator *evaluator)
{
    return evaluator->chat ? evaluator->options.repeats : 1;
}

/* ---- options ---- */

static const ts_evaluator_options defaults = {
    .struct_size = sizeof defaults, .confidence = 0.95, .least_scored = 0.5, .repeats = 1, .asks = 3, .resamples = 2000};

ts_status ts_evaluator_options_init(ts_evaluator_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_evaluator_options");
}

static ts_status check_options(const ts_evaluator_options *o)
{
    const ts_bounds numbers[] = {{"judge", o->judge, 0, TS_JUDGE_CHAT},
                                 {"repeats", o->repeats, 1, MOST_REPEATS},
                                 {"asks", o->asks, 1, MOST_ASKS},
                                 {"schema", o->schema, 0, 1},
                                 {"resamples", o->resamples, LEAST_RESAMPLES, MOST_RESAMPLES},
                                 {"cut", o->cut, 0, MOST_CUT},
                                 {"least_scored", o->least_scored, 0, 1}};
    TS_TRY(ts_bounds_check("options", numbers, TS_COUNT_OF(numbers), false));
    if (!(o->confidence > 0 && o->confidence < 1))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.confidence is %g, expected a number between 0 and 1", o->confidence);
    if (!o->text && o->text_count > 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.text is NULL, but options.text_count is %zu", o->text_count);
    if (o->cut_model_count > 0 && (o->cut == 0 || !o->cut_models))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.cut_model_count is %zu, but options.%s", o->cut_model_count,
                       o->cut == 0 ? "cut is 0" : "cut_models is NULL");
    for (size_t i = 0; i < o->cut_model_count; i++)
        if (!o->cut_models[i])
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.cut_models[%zu] is NULL", i);
    for (size_t i = 0; o->text && i < o->text_count; i++)
        if (!o->text[i] || strcmp(o->text[i], "-") == 0)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.text[%zu] is %s, expected a file: it is read twice", i, o->text[i] ? "\"-\"" : "NULL");
    return TS_OK;
}

/* ---- making ---- */

static ts_status copy_name(char **out, ts_runtime *runtime, const char *name)
{
    size_t size = strlen(name) + 1;
    *out = ts_allocate(runtime, size);
    if (!*out)
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(*out, name, size);
    return TS_OK;
}

static ts_status copy_cut_models(ts_evaluator *e)
{
    const ts_evaluator_options *o = &e->options;
    if (o->cut_model_count == 0)
        return TS_OK;
    e->cut_models = ts_allocate_array(e->runtime, o->cut_model_count, sizeof *e->cut_models);
    if (!e->cut_models)
        return TS_ERROR_OUT_OF_MEMORY;
    for (; e->cut_count < o->cut_model_count; e->cut_count++)
        TS_TRY(copy_name(&e->cut_models[e->cut_count], e->runtime, o->cut_models[e->cut_count]));
    return TS_OK;
}

static ts_status learn_text(ts_evaluator *e)
{
    const ts_evaluator_options *o = &e->options;
    if (o->text_count == 0 || o->judge != TS_JUDGE_EMBEDDED)
        return TS_OK;
    TS_TRY(copy_name(&e->text_name, e->runtime, o->text_name ? o->text_name : o->text[0]));
    return ts_language_learn(&e->language, e->runtime, o->text, o->text_count);
}

static ts_status start(ts_evaluator *e)
{
    if (e->options.judge == TS_JUDGE_CHAT)
        TS_TRY(ts_chat_judge_make(&e->chat, e));
    TS_TRY(copy_cut_models(e));
    TS_TRY(learn_text(e));
    e->options.chat = NULL;
    e->options.templates = e->options.text_name = NULL; /* strings of the caller's are not kept */
    e->options.text = e->options.cut_models = NULL;
    return TS_OK;
}

ts_status ts_evaluator_new(ts_evaluator **out, ts_runtime *runtime, const ts_evaluator_options *options)
{
    ts_evaluator_options own = defaults;
    ts_runtime *acquired;
    if (!out)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_evaluator_new: out is NULL");
    TS_TRY(ts_options_read(&own, sizeof own, options, "ts_evaluator_options"));
    TS_TRY(check_options(&own));
    TS_TRY(ts_runtime_acquire(&acquired, runtime));
    ts_evaluator *e = ts_allocate(acquired, sizeof *e);
    if (!e) {
        ts_runtime_release(acquired);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    e->runtime = e->assessment.runtime = e->reply.runtime = acquired;
    e->options = own;
    ts_status status = start(e);
    if (status != TS_OK)
        ts_evaluator_free(e);
    else
        *out = e;
    return status;
}

void ts_evaluator_free(ts_evaluator *e)
{
    if (!e)
        return;
    ts_runtime *runtime = e->runtime;
    ts_chat_judge_free(e->chat);
    ts_language_free(e->language);
    ts_records_free(e);
    ts_bytes_free(&e->assessment);
    ts_bytes_free(&e->reply);
    ts_release(runtime, e->judgments);
    ts_release(runtime, e->text_name);
    for (size_t i = 0; i < e->cut_count; i++)
        ts_release(runtime, e->cut_models[i]);
    ts_release(runtime, e->cut_models);
    ts_release(runtime, e);
    ts_runtime_release(runtime);
}

/* ---- entering ---- */

ts_status ts_evaluator_enter(ts_evaluator *e, const char *function, const void *argument)
{
    if (!e || !argument)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: %s is NULL", function, e ? "an argument" : "the evaluator");
    return ts_busy_enter(&e->busy) ? TS_OK : ts_fail(TS_ERROR_BUSY, "the evaluator is used by another thread");
}

ts_status ts_evaluator_leave(ts_evaluator *e, ts_status status)
{
    ts_busy_leave(&e->busy);
    return status;
}

ts_status ts_evaluator_check_index(const ts_evaluator *e, uint64_t index)
{
    return index < e->count ? TS_OK : ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no record %llu of %zu", (unsigned long long)index, e->count);
}

ts_status ts_evaluator_by_chat(const ts_evaluator *e)
{
    return e->chat ? TS_OK : ts_fail(TS_ERROR_INVALID_ARGUMENT, "the judge is embedded: it asks no chat service");
}

/* ---- records ---- */

ts_status ts_evaluator_may_add(const ts_evaluator *e)
{
    if (e->chat && ts_chat_judge_is_open(e->chat))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the judging has begun: the journal belongs to the records that were there");
    return TS_OK;
}

ts_status ts_evaluator_add(ts_evaluator *evaluator, const ts_record *record)
{
    ts_record own = {.struct_size = sizeof own};
    TS_TRY(ts_options_read(&own, sizeof own, record, "ts_record"));
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_add", record));
    ts_status status = ts_evaluator_may_add(evaluator);
    return ts_evaluator_leave(evaluator, status ? status : ts_records_add(evaluator, &own));
}

ts_status ts_evaluator_add_file(ts_evaluator *evaluator, const char *path)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_add_file", path));
    ts_status status = ts_evaluator_may_add(evaluator);
    return ts_evaluator_leave(evaluator, status ? status : ts_records_read(evaluator, path));
}

uint64_t ts_evaluator_count(const ts_evaluator *evaluator)
{
    return evaluator ? evaluator->count : 0;
}

ts_status ts_evaluator_record(const ts_evaluator *evaluator, uint64_t index, ts_record *record)
{
    if (!evaluator)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_evaluator_record: the evaluator is NULL");
    TS_TRY(ts_evaluator_check_index(evaluator, index));
    return ts_report_write(record, &evaluator->records[index].fields, sizeof(ts_record), "ts_record");
}

ts_status ts_evaluator_suspicion(const ts_evaluator *evaluator, uint64_t index, uint32_t *suspicion)
{
    if (!evaluator || !suspicion)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_evaluator_suspicion: an argument is NULL");
    TS_TRY(ts_evaluator_check_index(evaluator, index));
    *suspicion = evaluator->records[index].suspicion;
    return TS_OK;
}

ts_status ts_evaluator_followed(const ts_evaluator *evaluator, uint64_t index, ts_followed *followed)
{
    if (!evaluator)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_evaluator_followed: the evaluator is NULL");
    TS_TRY(ts_evaluator_check_index(evaluator, index));
    return ts_report_write(followed, &evaluator->records[index].followed, sizeof(ts_followed), "ts_followed");
}

const char *ts_evaluator_model(const ts_evaluator *evaluator, size_t index)
{
    return evaluator && index < evaluator->model_count ? evaluator->models[index] : NULL;
}

/* ---- judging ---- */

static ts_status judge_one(const ts_evaluator *e, ts_kept_judgment *judgment, size_t index)
{
    double measures[TS_MEASURE_COUNT];
    *judgment = (ts_kept_judgment){.outcome = TS_JUDGED_EMPTY};
    if (e->records[index].words == 0)
        return TS_OK;
    TS_TRY(ts_measure_record(e->runtime, e->language, &e->records[index].fields, measures));
    ts_embedded_grade(measures, e->language != NULL, &e->records[index].fields, judgment);
    return TS_OK;
}

/* Has the embedded judge grade the records that it has not yet; what was graded before it is stopped stays. */
static ts_status judge_records(ts_evaluator *e, ts_progress progress, void *user)
{
    ts_kept_judgment *judgments = ts_allocate_array(e->runtime, e->count, sizeof *judgments);
    if (!judgments)
        return TS_ERROR_OUT_OF_MEMORY;
    if (e->judged > 0)
        memcpy(judgments, e->judgments, e->judged * sizeof *judgments);
    ts_release(e->runtime, e->judgments);
    e->judgments = judgments;
    while (e->judged < e->count) {
        TS_TRY(judge_one(e, &judgments[e->judged], e->judged));
        e->judged++;
        if (progress && progress(user, e->judged, e->count) != 0 && e->judged < e->count)
            return ts_fail(TS_ERROR_CANCELLED, "stopped by the progress callback");
    }
    return TS_OK;
}

/* Notes the chat judge's judgments of all records as they stand. */
static ts_status note_judgments(ts_evaluator *e)
{
    size_t count = (size_t)e->options.repeats * e->count;
    ts_kept_judgment *judgments = ts_allocate_array(e->runtime, count, sizeof *judgments);
    ts_status status = judgments ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; status == TS_OK && i < count; i++)
        status = ts_chat_judge_judgment(e->chat, i % e->count, (uint32_t)(i / e->count), &judgments[i], NULL, NULL);
    if (status != TS_OK) {
        ts_release(e->runtime, judgments);
        return status;
    }
    ts_release(e->runtime, e->judgments);
    e->judgments = judgments;
    e->judged = e->count;
    return TS_OK;
}

static ts_status run(ts_evaluator *e, ts_progress progress, void *user)
{
    if (e->count == 0)
        return TS_OK;
    if (!e->chat)
        return judge_records(e, progress, user);
    ts_status status = ts_chat_judge_run(e->chat, progress, user), noted = TS_OK;
    ts_detail detail;
    ts_detail_keep(&detail);
    if (ts_chat_judge_is_open(e->chat))
        noted = note_judgments(e);
    if (status == TS_OK)
        return noted;
    ts_detail_put_back(&detail);
    return status;
}

ts_status ts_evaluator_run(ts_evaluator *evaluator, ts_progress progress, void *progress_user)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_run", evaluator));
    return ts_evaluator_leave(evaluator, run(evaluator, progress, progress_user));
}

/* ---- judgments ---- */

static ts_status read_judgment(ts_evaluator *e, uint64_t index, uint32_t repeat, ts_judgment *judgment)
{
    ts_kept_judgment kept = {.outcome = TS_JUDGED_PENDING};
    TS_TRY(ts_report_check(judgment, "ts_judgment"));
    TS_TRY(ts_evaluator_check_index(e, index));
    if (repeat >= ts_evaluator_repeats(e))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no judgment %u of %u", repeat, ts_evaluator_repeats(e));
    e->assessment.size = e->reply.size = 0;
    if (e->chat)
        TS_TRY(ts_chat_judge_judgment(e->chat, index, repeat, &kept, &e->assessment, &e->reply));
    else if (index < e->judged)
        kept = e->judgments[index];
    ts_judgment out = {.struct_size = sizeof out,
                       .assessment = e->assessment.size ? e->assessment.data : "",
                       .reply = e->reply.size ? e->reply.data : "",
                       .outcome = kept.outcome,
                       .age = kept.age,
                       .asks = kept.asks};
    for (size_t i = 0; i < TS_AXIS_COUNT; i++)
        out.grades[i] = kept.outcome == TS_JUDGED_SCORED ? kept.grades[i] : NAN;
    return ts_report_write(judgment, &out, sizeof out, "ts_judgment");
}

ts_status ts_evaluator_judgment(ts_evaluator *evaluator, uint64_t index, uint32_t repeat, ts_judgment *judgment)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_judgment", judgment));
    return ts_evaluator_leave(evaluator, read_judgment(evaluator, index, repeat, judgment));
}

ts_status ts_evaluator_measures(ts_evaluator *evaluator, uint64_t index, double *measures)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_measures", measures));
    ts_status status = ts_evaluator_check_index(evaluator, index);
    return ts_evaluator_leave(
        evaluator, status ? status : ts_measure_record(evaluator->runtime, evaluator->language, &evaluator->records[index].fields, measures));
}

/* ---- results ---- */

ts_status ts_evaluator_model_index(const ts_evaluator *e, const char *name, uint32_t *index)
{
    for (*index = 0; *index < e->model_count; ++*index)
        if (strcmp(e->models[*index], name) == 0)
            return TS_OK;
    return ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no record of the model '%.200s'", name);
}

ts_status ts_evaluator_evaluate(ts_evaluator *evaluator, const char *model, ts_evaluation *evaluation)
{
    uint32_t index = UINT32_MAX;
    ts_evaluation out;
    TS_TRY(ts_report_check(evaluation, "ts_evaluation"));
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_evaluate", evaluation));
    ts_status status = model ? ts_evaluator_model_index(evaluator, model, &index) : TS_OK;
    status = status ? status : ts_summary_of(evaluator, index, &out);
    return ts_evaluator_leave(evaluator, status ? status : ts_report_write(evaluation, &out, sizeof out, "ts_evaluation"));
}

ts_status ts_evaluator_compare(ts_evaluator *evaluator, const char *left, const char *right, ts_comparison *comparison)
{
    uint32_t indices[2];
    ts_comparison out;
    if (!left || !right)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_evaluator_compare: a model is NULL");
    TS_TRY(ts_report_check(comparison, "ts_comparison"));
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_compare", comparison));
    ts_status status = ts_evaluator_model_index(evaluator, left, &indices[0]);
    status = status ? status : ts_evaluator_model_index(evaluator, right, &indices[1]);
    status = status ? status : ts_summary_compare(evaluator, indices[0], indices[1], &out);
    return ts_evaluator_leave(evaluator, status ? status : ts_report_write(comparison, &out, sizeof out, "ts_comparison"));
}

ts_status ts_evaluator_write(ts_evaluator *evaluator, const char *path)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_write", path));
    return ts_evaluator_leave(evaluator, ts_evaluation_write(evaluator, path));
}

/* ---- the chat judge alone ---- */

static ts_status read_prompt(ts_evaluator *e, uint64_t index, uint32_t turn, char *text, size_t capacity, size_t *size)
{
    TS_TRY(ts_evaluator_by_chat(e));
    TS_TRY(ts_evaluator_check_index(e, index));
    if (turn >= TS_JUDGE_TURNS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "turn is %u, expected 0 (the assessment) or 1 (the grades)", turn);
    e->reply.size = 0;
    TS_TRY(ts_chat_judge_prompt(e->chat, index, turn, &e->reply));
    *size = e->reply.size;
    if (!text || capacity < *size + 1)
        return ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "the message has %zu bytes and a NUL, the buffer %zu", *size, text ? capacity : 0);
    memcpy(text, e->reply.data, *size + 1);
    return TS_OK;
}

ts_status ts_evaluator_prompt(ts_evaluator *evaluator, uint64_t index, uint32_t turn, char *text, size_t capacity, size_t *size)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_prompt", size));
    return ts_evaluator_leave(evaluator, read_prompt(evaluator, index, turn, text, capacity, size));
}

static ts_status read_report(ts_evaluator *e, ts_status (*read)(ts_chat_judge *, ts_chat_report *), ts_chat_report *report)
{
    ts_chat_report out = {.struct_size = sizeof out};
    TS_TRY(ts_report_check(report, "ts_chat_report"));
    TS_TRY(ts_evaluator_by_chat(e));
    if (e->count > 0)
        TS_TRY(read(e->chat, &out));
    return ts_report_write(report, &out, sizeof out, "ts_chat_report");
}

ts_status ts_evaluator_estimate(ts_evaluator *evaluator, ts_chat_report *report)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_estimate", report));
    return ts_evaluator_leave(evaluator, read_report(evaluator, ts_chat_judge_estimate, report));
}

ts_status ts_evaluator_chat_report(ts_evaluator *evaluator, ts_chat_report *report)
{
    TS_TRY(ts_evaluator_enter(evaluator, "ts_evaluator_chat_report", report));
    return ts_evaluator_leave(evaluator, read_report(evaluator, ts_chat_judge_report, report));
}

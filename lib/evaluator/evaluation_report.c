/* The report: everything that an evaluator knows, as one JSON object. */
#include "evaluator/chat_judge.h"
#include "evaluator/measures.h"

#include "text/text.h"

#include <math.h>

enum { MOST_COMPARED = 16 };

typedef struct report {
    ts_evaluator *e;
    ts_bytes bytes; /* what is not written yet */
    ts_writer writer;
} report;

/* ---- values ---- */

static ts_status add(report *r, const char *text)
{
    return ts_bytes_add(&r->bytes, text, strlen(text));
}

static ts_status add_string(report *r, const char *name, const char *text)
{
    TS_TRY(ts_bytes_format(&r->bytes, "\"%s\": ", name));
    return text ? ts_json_string(&r->bytes, text, strlen(text)) : add(r, "null");
}

static ts_status add_number(report *r, const char *name, double value)
{
    char text[TS_DOUBLE_SIZE];
    ts_format_double(text, value);
    return ts_bytes_format(&r->bytes, "\"%s\": %s", name, text);
}

static ts_status add_whole(report *r, const char *name, uint64_t value)
{
    return ts_bytes_format(&r->bytes, "\"%s\": %llu", name, (unsigned long long)value);
}

/* Hands over what is ready, so that memory does not grow with the records. */
static void pass_on(report *r)
{
    if (r->bytes.size > 0)
        ts_writer_bytes(&r->writer, r->bytes.data, r->bytes.size);
    r->bytes.size = 0;
}

/* ---- results ---- */

static ts_status add_mean(report *r, bool more, const char *name, const ts_grade_mean *mean)
{
    TS_TRY(ts_bytes_format(&r->bytes, "%s\"%s\": {", more ? ", " : "", name));
    TS_TRY(add_number(r, "mean", mean->mean));
    TS_TRY(add(r, ", "));
    TS_TRY(add_number(r, "low", mean->low));
    TS_TRY(add(r, ", "));
    TS_TRY(add_number(r, "high", mean->high));
    TS_TRY(add(r, ", "));
    TS_TRY(add_number(r, "deviation", mean->deviation));
    return ts_bytes_format(&r->bytes, ", \"count\": %llu}", (unsigned long long)mean->count);
}

static ts_status add_counts(report *r, const ts_evaluation *result)
{
    TS_TRY(add(r, "\"outcomes\": {"));
    for (uint32_t i = 0; i < TS_JUDGED_COUNT; i++) {
        TS_TRY(add(r, i > 0 ? ", " : ""));
        TS_TRY(add_whole(r, ts_judged_name(i), result->outcomes[i]));
    }
    TS_TRY(add(r, "}, \"ages\": {"));
    for (uint32_t i = 1; i <= TS_AGE_COUNT; i++) {
        const char name[2] = {(char)('A' + i - 1), 0};
        TS_TRY(add_whole(r, name, result->ages[i]));
        TS_TRY(add(r, ", "));
    }
    TS_TRY(add_whole(r, "none", result->ages[0]));
    return add(r, "}");
}

static ts_status add_result(report *r, uint32_t model)
{
    ts_evaluation result;
    TS_TRY(ts_summary_of(r->e, model, &result));
    TS_TRY(add(r, "{"));
    if (model != UINT32_MAX) {
        TS_TRY(add_string(r, "model", r->e->models[model]));
        TS_TRY(add(r, ", "));
    }
    TS_TRY(ts_bytes_format(&r->bytes, "\"records\": %llu, \"prompts\": %llu, \"judgments\": %llu, \"asked_again\": %llu, \"suspicious\": %llu, \"trusted\": %s, ",
                           (unsigned long long)result.records, (unsigned long long)result.prompts, (unsigned long long)result.judgments,
                           (unsigned long long)result.asked_again, (unsigned long long)result.suspicious, result.trusted ? "true" : "false"));
    TS_TRY(add_number(r, "scored_share", result.scored_share));
    TS_TRY(add(r, ", "));
    TS_TRY(add_number(r, "mean_words", result.mean_words));
    TS_TRY(add(r, ", "));
    TS_TRY(add_counts(r, &result));
    TS_TRY(add(r, ", \"grades\": {"));
    for (uint32_t axis = 0; axis < TS_AXIS_COUNT; axis++)
        TS_TRY(add_mean(r, axis > 0, ts_axis_name(axis), &result.axes[axis]));
    TS_TRY(add(r, "}, \"followed\": {"));
    for (uint32_t part = 0; part < TS_FOLLOWED_COUNT; part++)
        TS_TRY(add_mean(r, part > 0, ts_followed_name(part), &result.followed[part]));
    return add(r, "}}");
}

static ts_status add_comparison(report *r, uint32_t left, uint32_t right)
{
    ts_comparison c;
    TS_TRY(ts_summary_compare(r->e, left, right, &c));
    TS_TRY(add(r, "{"));
    TS_TRY(add_string(r, "left", r->e->models[left]));
    TS_TRY(add(r, ", "));
    TS_TRY(add_string(r, "right", r->e->models[right]));
    for (uint32_t axis = 0; axis < TS_AXIS_COUNT; axis++) {
        TS_TRY(ts_bytes_format(&r->bytes, ", \"%s\": {\"prompts\": %llu, \"wins\": %llu, \"losses\": %llu, ", ts_axis_name(axis),
                               (unsigned long long)c.prompts[axis], (unsigned long long)c.wins[axis], (unsigned long long)c.losses[axis]));
        TS_TRY(add_number(r, "difference", c.difference[axis]));
        TS_TRY(add(r, ", "));
        TS_TRY(add_number(r, "low", c.low[axis]));
        TS_TRY(add(r, ", "));
        TS_TRY(add_number(r, "high", c.high[axis]));
        TS_TRY(add(r, "}"));
    }
    return add(r, "}");
}

static ts_status add_results(report *r)
{
    size_t models = r->e->model_count, compared = models <= MOST_COMPARED ? models : 0;
    TS_TRY(add(r, "\"all\": "));
    TS_TRY(add_result(r, UINT32_MAX));
    TS_TRY(add(r, ",\n\"models\": ["));
    for (uint32_t i = 0; i < models; i++) {
        TS_TRY(add(r, i > 0 ? ",\n" : ""));
        TS_TRY(add_result(r, i));
        pass_on(r);
    }
    TS_TRY(add(r, "],\n\"comparisons\": ["));
    for (uint32_t i = 0, count = 0; i < compared; i++)
        for (uint32_t j = i + 1; j < compared; j++) {
            TS_TRY(add(r, count++ > 0 ? ",\n" : ""));
            TS_TRY(add_comparison(r, i, j));
        }
    return add(r, "],\n");
}

/* ---- the judge ---- */

static ts_status add_judge(report *r)
{
    const ts_evaluator *e = r->e;
    ts_chat_report cost;
    TS_TRY(add(r, "{"));
    TS_TRY(add_string(r, "judge", ts_judge_name(e->options.judge)));
    TS_TRY(ts_bytes_format(&r->bytes, ", \"repeats\": %u, \"resamples\": %u, \"seed\": \"%llu\", ", ts_evaluator_repeats(e), e->options.resamples,
                           (unsigned long long)e->options.seed));
    TS_TRY(add_number(r, "confidence", e->options.confidence));
    TS_TRY(add(r, ", "));
    TS_TRY(add_number(r, "least_scored", e->options.least_scored));
    if (!e->chat) {
        TS_TRY(add(r, ", "));
        TS_TRY(add_string(r, "language_text", e->text_name));
        return ts_bytes_format(&r->bytes, ", \"language_stories\": %llu,\n", e->language ? (unsigned long long)ts_language_stories(e->language) : 0);
    }
    TS_TRY(add(r, ", "));
    TS_TRY(add_string(r, "judge_model", ts_chat_judge_model(e->chat)));
    if (ts_chat_judge_is_open(e->chat)) {
        TS_TRY(ts_chat_judge_report(e->chat, &cost));
        TS_TRY(ts_bytes_format(
            &r->bytes,
            ", \"cost\": {\"requests\": %llu, \"retries\": %llu, \"unknown\": %llu, \"possibly_paid_twice\": %llu, \"prompt_tokens\": %llu, "
            "\"completion_tokens\": %llu, \"estimated_tokens\": %llu, ",
            (unsigned long long)cost.requests, (unsigned long long)cost.retries, (unsigned long long)cost.unknown,
            (unsigned long long)cost.possibly_paid_twice, (unsigned long long)cost.prompt_tokens, (unsigned long long)cost.completion_tokens,
            (unsigned long long)cost.estimated_tokens));
        TS_TRY(add_number(r, "money", cost.money));
        TS_TRY(add(r, "}"));
    }
    return add(r, ",\n");
}

/* ---- records ---- */

static ts_status add_judgment(report *r, size_t index, uint32_t repeat)
{
    ts_evaluator *e = r->e;
    ts_kept_judgment j = {.outcome = TS_JUDGED_PENDING};
    e->assessment.size = e->reply.size = 0;
    if (e->chat)
        TS_TRY(ts_chat_judge_judgment(e->chat, index, repeat, &j, &e->assessment, &e->reply));
    else if (index < e->judged)
        j = e->judgments[index];
    TS_TRY(add(r, repeat > 0 ? ", {" : "{"));
    TS_TRY(add_string(r, "outcome", ts_judged_name(j.outcome)));
    for (uint32_t axis = 0; axis < TS_AXIS_COUNT; axis++) {
        TS_TRY(add(r, ", "));
        TS_TRY(add_number(r, ts_axis_name(axis), j.outcome == TS_JUDGED_SCORED ? j.grades[axis] : NAN));
    }
    const char age[2] = {(char)('A' + j.age - 1), 0};
    TS_TRY(add(r, ", "));
    TS_TRY(add_string(r, "age_group", j.age > 0 ? age : NULL));
    if (e->chat) {
        TS_TRY(ts_bytes_format(&r->bytes, ", \"asks\": %u, ", j.asks));
        TS_TRY(add_string(r, "assessment", e->assessment.size ? e->assessment.data : ""));
        TS_TRY(add(r, ", "));
        TS_TRY(add_string(r, "reply", e->reply.size ? e->reply.data : ""));
    }
    return add(r, "}");
}

/* What is asked for and found of an instruction, and why a completion is suspicious, where there is something to say. */
static ts_status add_findings(report *r, const ts_kept_record *record)
{
    size_t parts = 0, bits = 0;
    for (uint32_t part = 0; part < TS_FOLLOWED_COUNT; part++)
        if (record->followed.asked[part] > 0)
            TS_TRY(ts_bytes_format(&r->bytes, "%s\"%s\": {\"asked\": %llu, \"found\": %llu}", parts++ > 0 ? ", " : ", \"followed\": {", ts_followed_name(part),
                                   (unsigned long long)record->followed.asked[part], (unsigned long long)record->followed.found[part]));
    TS_TRY(add(r, parts > 0 ? "}" : ""));
    for (uint32_t bit = 1; bit <= record->suspicion; bit <<= 1)
        if (record->suspicion & bit)
            TS_TRY(ts_bytes_format(&r->bytes, "%s\"%s\"", bits++ > 0 ? ", " : ", \"suspicion\": [", ts_suspicion_name(bit)));
    return add(r, bits > 0 ? "]" : "");
}

static ts_status add_record(report *r, size_t index)
{
    const ts_record *record = &r->e->records[index].fields;
    const struct {
        const char *name, *text;
    } asked[] = {{"words", record->words}, {"sentence", record->sentence}, {"features", record->features}, {"summary", record->summary}};
    TS_TRY(add(r, "{"));
    TS_TRY(add_string(r, "model", record->model));
    TS_TRY(add(r, ", "));
    TS_TRY(add_string(r, "prompt", record->prompt));
    TS_TRY(add(r, ", "));
    TS_TRY(add_string(r, "completion", record->completion));
    for (size_t i = 0; i < TS_COUNT_OF(asked); i++)
        if (asked[i].text) {
            TS_TRY(add(r, ", "));
            TS_TRY(add_string(r, asked[i].name, asked[i].text));
        }
    TS_TRY(add_findings(r, &r->e->records[index]));
    TS_TRY(add(r, ", \"judgments\": ["));
    for (uint32_t repeat = 0; repeat < ts_evaluator_repeats(r->e); repeat++)
        TS_TRY(add_judgment(r, index, repeat));
    return add(r, "]}");
}

static ts_status add_all(report *r)
{
    TS_TRY(add_judge(r));
    TS_TRY(add_results(r));
    TS_TRY(add(r, "\"completions\": [\n"));
    for (size_t i = 0; i < r->e->count; i++) {
        TS_TRY(add(r, i > 0 ? ",\n" : ""));
        TS_TRY(add_record(r, i));
        pass_on(r);
    }
    TS_TRY(add(r, "]}\n"));
    pass_on(r);
    return TS_OK;
}

ts_status ts_evaluation_write(ts_evaluator *e, const char *path)
{
    report r = {.e = e, .bytes = {.runtime = e->runtime}};
    TS_TRY(ts_writer_open(&r.writer, e->runtime, path));
    ts_status status = add_all(&r);
    ts_bytes_free(&r.bytes);
    if (status != TS_OK) {
        ts_writer_abandon(&r.writer);
        return status;
    }
    return ts_writer_commit(&r.writer);
}

/* The chat judge: jobs and what their replies come to. */
#include "evaluator/chat_judge.h"

#include "chat/chat.h"
#include "text/text.h"

/*
 * Job numbers: (repeat * records + record) * TURNS + turn, turn 0 being the assessment and 1, 2, ... the asks for grades. More repeats and more asks
 * leave the numbers of those before as they are.
 */
enum { TURNS = 8 };

struct ts_chat_judge {
    const ts_evaluator *evaluator;
    ts_judge_template template;
    ts_chat_options options; /* the caller's, whose strings are borrowed until the chat is open */
    ts_chat *chat;           /* NULL: not open yet */
    ts_bytes text;
    bool estimating;
    /* of the run that is going on */
    ts_progress progress;
    void *progress_user;
    uint64_t done, total;
    const ts_asking *asking; /* of a run of ts_chat_judge_ask */
};

/* The form of the grades, for services that can be held to one: of a beginning and, with the plot, of an instruction. */
#define SCHEMA_GRADE(name) "\"" name "\": {\"type\": \"integer\", \"enum\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}, "
#define SCHEMA(properties, names)                                                                                                                    \
    ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"grades\", \"strict\": true, \"schema\": {\"type\": "           \
    "\"object\", "                                                                                                                                   \
    "\"properties\": {" properties "\"age_group\": {\"type\": \"string\", \"enum\": [\"A\", \"B\", \"C\", \"D\", \"E\", \"F\"]}}, "                  \
    "\"required\": [" names "\"age_group\"], \"additionalProperties\": false}}}"
#define SCHEMA_GRADES SCHEMA_GRADE("grammar") SCHEMA_GRADE("creativity") SCHEMA_GRADE("consistency")
#define SCHEMA_NAMES "\"grammar\", \"creativity\", \"consistency\", "

static const char schema[] = SCHEMA(SCHEMA_GRADES, SCHEMA_NAMES);
static const char schema_of_instructions[] = SCHEMA(SCHEMA_GRADES SCHEMA_GRADE("plot"), SCHEMA_NAMES "\"plot\", ");

/* ---- making ---- */

ts_status ts_chat_judge_make(ts_chat_judge **out, const ts_evaluator *evaluator)
{
    ts_chat_options options;
    ts_runtime *runtime = evaluator->runtime;
    TS_TRY(ts_chat_options_init(&options, sizeof options)); /* UNSUPPORTED where there are no chat services */
    if (!evaluator->options.chat)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.judge is 1 (chat), but options.chat is NULL");
    TS_TRY(ts_options_read(&options, sizeof options, evaluator->options.chat, "ts_chat_options"));
    if (evaluator->options.schema && options.extra && strstr(options.extra, "\"response_format\""))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.schema is 1, but options.chat.extra holds \"response_format\" too");
    ts_chat_judge *judge = ts_allocate(runtime, sizeof *judge);
    if (!judge)
        return TS_ERROR_OUT_OF_MEMORY;
    judge->evaluator = evaluator;
    judge->options = options;
    judge->text.runtime = judge->template.runtime = runtime;
    ts_status status = ts_judge_template_read(&judge->template, runtime, evaluator->options.templates);
    if (status != TS_OK)
        ts_chat_judge_free(judge);
    else
        *out = judge;
    return status;
}

void ts_chat_judge_free(ts_chat_judge *judge)
{
    if (!judge)
        return;
    ts_chat_close(judge->chat);
    ts_judge_template_free(&judge->template);
    ts_bytes_free(&judge->text);
    ts_release(judge->evaluator->runtime, judge);
}

bool ts_chat_judge_is_open(const ts_chat_judge *judge)
{
    return judge->chat != NULL;
}

const char *ts_chat_judge_model(const ts_chat_judge *judge)
{
    return judge->chat ? ts_chat_model(judge->chat) : judge->options.model;
}

/* The journal belongs to everything that requests are made of. */
static ts_status open_chat(ts_chat_judge *judge)
{
    const ts_evaluator *e = judge->evaluator;
    const uint64_t numbers[] = {e->options.seed, e->options.schema, ts_judge_template_hash(&judge->template, 0, TS_JUDGE_COMPLETE),
                                ts_records_hash(e), e->count};
    return judge->chat ? TS_OK : ts_chat_open(&judge->chat, e->runtime, &judge->options, TS_CHAT_CONVERSATION, ts_hash(numbers, sizeof numbers, 0));
}

/* ---- jobs ---- */

static const ts_kept_record *record_of(const ts_chat_judge *judge, uint64_t job)
{
    return &judge->evaluator->records[job / TURNS % judge->evaluator->count];
}

/* Adds the two turns of a conversation, or its first one. */
static ts_status write_prompt(void *user, uint64_t job, ts_bytes *out)
{
    ts_chat_judge *judge = user;
    const ts_kept_record *record = record_of(judge, job);
    uint64_t turn = job % TURNS, seed = judge->evaluator->options.seed;
    TS_TRY(ts_judge_template_write(&judge->template, record, seed, TS_JUDGE_ASSESS, out));
    if (turn == 0)
        return TS_OK;
    TS_TRY(ts_bytes_add(out, "", 1));
    if (!judge->estimating)
        TS_TRY(ts_chat_text(judge->chat, job - turn, out));
    uint32_t most = judge->options.reply_tokens ? judge->options.reply_tokens : TS_CHAT_UNBOUNDED_REPLY;
    for (uint32_t i = 0; judge->estimating && i < most; i++) /* an assessment of the largest size */
        TS_TRY(ts_bytes_add(out, "word", 4));
    TS_TRY(ts_bytes_add(out, "", 1));
    return ts_judge_template_write(&judge->template, record, seed, TS_JUDGE_GRADE, out);
}

/* Reads the grades of a job that was answered; NO_REPLY if the service gave none. */
static ts_status read_grades(ts_chat_judge *judge, uint64_t job, ts_kept_judgment *judgment)
{
    uint32_t axes = ts_record_axes(&record_of(judge, job)->fields);
    judgment->outcome = TS_JUDGED_NO_REPLY;
    if (ts_chat_answer_of(judge->chat, job) != TS_CHAT_TEXT)
        return TS_OK;
    judge->text.size = 0;
    TS_TRY(ts_chat_text(judge->chat, job, &judge->text));
    return ts_grades_parse(judge->evaluator->runtime, judge->text.data, judge->text.size, axes, judgment);
}

/* An assessment of whatever has words; grades where there is an assessment, and again where the grades before could not be read. */
static bool is_wanted(void *user, uint64_t job)
{
    ts_chat_judge *judge = user;
    ts_kept_judgment before;
    uint64_t turn = job % TURNS;
    if (record_of(judge, job)->words == 0)
        return false;
    if (turn == 0 || judge->estimating)
        return true;
    if (ts_chat_answer_of(judge->chat, job - turn) != TS_CHAT_TEXT)
        return false;
    if (turn == 1)
        return true;
    return ts_chat_answer_of(judge->chat, job - 1) != TS_CHAT_NONE && read_grades(judge, job - 1, &before) == TS_OK &&
           before.outcome != TS_JUDGED_SCORED && is_wanted(judge, job - 1);
}

static const char *schema_of(void *user, uint64_t job)
{
    return ts_record_is_instructed(&record_of(user, job)->fields) ? schema_of_instructions : schema;
}

static ts_chat_jobs jobs_of(ts_chat_judge *judge, uint32_t turn)
{
    const ts_evaluator *e = judge->evaluator;
    return (ts_chat_jobs){.first = turn,
                          .count = (uint64_t)ts_evaluator_repeats(e) * e->count,
                          .step = TURNS,
                          .user = judge,
                          .prompt = write_prompt,
                          .wanted = is_wanted,
                          .goes_on = turn > 0,
                          .members = turn > 0 && e->options.schema ? schema_of : NULL};
}

static int32_t tell(void *user, uint64_t done, uint64_t total)
{
    const ts_chat_judge *judge = user;
    (void)total;
    return judge->progress ? judge->progress(judge->progress_user, judge->done + done, judge->total) : 0;
}

ts_status ts_chat_judge_run(ts_chat_judge *judge, ts_progress progress, void *progress_user)
{
    uint32_t turns = judge->evaluator->options.asks + 1;
    TS_TRY(open_chat(judge));
    judge->progress = progress;
    judge->progress_user = progress_user;
    judge->done = 0;
    judge->total = jobs_of(judge, 0).count * turns;
    for (uint32_t turn = 0; turn < turns; turn++) {
        ts_chat_jobs jobs = jobs_of(judge, turn);
        TS_TRY(ts_chat_run(judge->chat, &jobs, tell, judge));
        judge->done += jobs.count;
    }
    return TS_OK;
}

/* ---- what came of it ---- */

static ts_status add_text(ts_chat_judge *judge, uint64_t job, ts_bytes *out)
{
    return out && ts_chat_answer_of(judge->chat, job) == TS_CHAT_TEXT ? ts_chat_text(judge->chat, job, out) : TS_OK;
}

ts_status ts_chat_judge_judgment(ts_chat_judge *judge, uint64_t record, uint32_t repeat, ts_kept_judgment *judgment, ts_bytes *assessment,
                                 ts_bytes *reply)
{
    const ts_evaluator *e = judge->evaluator;
    uint64_t job = ((uint64_t)repeat * e->count + record) * TURNS;
    *judgment = (ts_kept_judgment){.outcome = TS_JUDGED_PENDING};
    if (e->records[record].words == 0)
        judgment->outcome = TS_JUDGED_EMPTY;
    ts_chat_answer answer = judge->chat ? ts_chat_answer_of(judge->chat, job) : TS_CHAT_NONE;
    if (judgment->outcome == TS_JUDGED_PENDING && answer != TS_CHAT_NONE && answer != TS_CHAT_TEXT)
        judgment->outcome = TS_JUDGED_NO_ASSESSMENT;
    if (judgment->outcome != TS_JUDGED_PENDING || answer == TS_CHAT_NONE)
        return TS_OK;
    TS_TRY(add_text(judge, job, assessment));
    for (uint32_t ask = 1; ask <= e->options.asks && judgment->outcome != TS_JUDGED_SCORED; ask++) {
        if (ts_chat_answer_of(judge->chat, job + ask) == TS_CHAT_NONE) {
            judgment->outcome = TS_JUDGED_PENDING;
            return TS_OK;
        }
        TS_TRY(read_grades(judge, job + ask, judgment));
        judgment->asks = (uint8_t)ask;
    }
    return add_text(judge, job + judgment->asks, reply);
}

ts_status ts_chat_judge_prompt(ts_chat_judge *judge, uint64_t record, uint32_t turn, ts_bytes *out)
{
    return ts_judge_template_write(&judge->template, &judge->evaluator->records[record], judge->evaluator->options.seed, turn, out);
}

static void add_report(ts_chat_report *report, const ts_chat_report *more)
{
    report->requests += more->requests;
    report->prompt_tokens += more->prompt_tokens;
    report->completion_tokens += more->completion_tokens;
    report->estimated_tokens += more->estimated_tokens;
    report->money += more->money;
}

ts_status ts_chat_judge_estimate(ts_chat_judge *judge, ts_chat_report *report)
{
    ts_chat_report turn_report;
    ts_status status = TS_OK;
    TS_TRY(open_chat(judge));
    *report = (ts_chat_report){.struct_size = sizeof *report};
    judge->estimating = true;
    for (uint32_t turn = 0; turn < 2 && status == TS_OK; turn++) {
        ts_chat_jobs jobs = jobs_of(judge, turn);
        status = ts_chat_estimate(judge->chat, &jobs, &turn_report);
        if (status == TS_OK)
            add_report(report, &turn_report);
    }
    judge->estimating = false;
    return status;
}

ts_status ts_chat_judge_report(ts_chat_judge *judge, ts_chat_report *report)
{
    TS_TRY(open_chat(judge));
    ts_chat_totals(judge->chat, report);
    return TS_OK;
}

/* ---- questions that are answered by a word ---- */

/* The index of the word that a reply is and nothing else, whatever its case, type and full stop; TS_HEARD_NOTHING: it is none. */
static int32_t word_of(const char *reply, size_t size, const char *const *words)
{
    ts_trim(&reply, &size);
    for (; size > 0 && strchr("*_\"'", *reply); size--)
        reply++;
    while (size > 0 && strchr("*_\"'.", reply[size - 1]))
        size--;
    for (int32_t i = 0; words[i]; i++) {
        size_t at = 0;
        while (at < size && words[i][at] && (reply[at] == words[i][at] || reply[at] == words[i][at] - 'a' + 'A'))
            at++;
        if (at == size && !words[i][at])
            return i;
    }
    return TS_HEARD_NOTHING;
}

static ts_status hear_job(ts_chat_judge *judge, const ts_asking *asking, uint64_t job, int32_t *word)
{
    ts_chat_answer answer = ts_chat_answer_of(judge->chat, job);
    *word = answer == TS_CHAT_NONE ? TS_HEARD_PENDING : TS_HEARD_NOTHING;
    if (answer != TS_CHAT_TEXT)
        return TS_OK;
    judge->text.size = 0;
    TS_TRY(ts_chat_text(judge->chat, job, &judge->text));
    *word = word_of(judge->text.data, judge->text.size, asking->words);
    return TS_OK;
}

ts_status ts_chat_judge_hear(ts_chat_judge *judge, const ts_asking *asking, uint32_t repeat, uint64_t number, int32_t *word, uint32_t *asks)
{
    *word = TS_HEARD_PENDING;
    for (uint32_t ask = 0; judge->chat && ask < judge->evaluator->options.asks; ask++) {
        TS_TRY(hear_job(judge, asking, asking->first + repeat * asking->stride + number * TURNS + ask, word));
        if (asks && *word != TS_HEARD_PENDING)
            *asks = ask + 1;
        if (*word != TS_HEARD_NOTHING)
            return TS_OK;
    }
    return TS_OK;
}

static ts_status write_question(void *user, uint64_t job, ts_bytes *out)
{
    ts_chat_judge *judge = user;
    return judge->asking->write(judge->asking->user, (job - judge->asking->first) % judge->asking->stride / TURNS, &judge->template, out);
}

static bool is_asked(void *user, uint64_t job)
{
    ts_chat_judge *judge = user;
    int32_t word;
    uint64_t first = job - (job - judge->asking->first) % TURNS;
    for (; first < job; first++)
        if (hear_job(judge, judge->asking, first, &word) != TS_OK || word != TS_HEARD_NOTHING)
            return false;
    return true;
}

ts_status ts_chat_judge_ask(ts_chat_judge *judge, const ts_asking *asking, ts_progress progress, void *progress_user)
{
    uint32_t asks = judge->evaluator->options.asks;
    TS_TRY(open_chat(judge));
    judge->asking = asking;
    judge->progress = progress;
    judge->progress_user = progress_user;
    judge->done = 0;
    judge->total = asking->count * asks * asking->repeats;
    for (uint32_t run = 0; run < asks * asking->repeats; run++) {
        ts_chat_jobs jobs = {.first = asking->first + run / asks * asking->stride + run % asks,
                             .count = asking->count,
                             .step = TURNS,
                             .user = judge,
                             .prompt = write_question,
                             .wanted = is_asked,
                             .goes_on = run > 0};
        TS_TRY(ts_chat_run(judge->chat, &jobs, tell, judge));
        judge->done += jobs.count;
    }
    return TS_OK;
}

/* TinyStories-Instruct: files of entries made of files of stories. */
#include "base/base.h"
#include "generator/instruct_entry.h"
#include "generator/instruct_summaries.h"

const ts_instruct_options ts_instruct_defaults = {.struct_size = sizeof ts_instruct_defaults, .fields = TS_INSTRUCT_ALL, .shards = 1};

ts_status ts_instruct_options_init(ts_instruct_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &ts_instruct_defaults, sizeof ts_instruct_defaults, "ts_instruct_options");
}

typedef struct making {
    ts_runtime *runtime;
    const ts_instruct_options *options;
    ts_stories *stories;
    ts_story_writer *out, *held_out;
    ts_maker maker;
    ts_summaries *summaries; /* NULL: not by a chat service */
    uint64_t told, next; /* bytes that progress was told of; number of the next story */
    ts_instruct_report report;
} making;

ts_status ts_instruct_check(const char *call, const char *const *paths, size_t count, const ts_instruct_options *o)
{
    if (paths == NULL || count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there are no paths", call);
    for (size_t i = 0; i < count; i++)
        if (paths[i] == NULL || ts_path_is_shard(paths[i]))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: paths[%zu] is %s, expected stories (.txt, .jsonl, .json, .gz, .tar)", call, i,
                           paths[i] == NULL ? "NULL" : paths[i]);
    const struct {
        const char *name;
        uint32_t bits;
    } masks[] = {{"fields", o->fields}, {"always", o->always}, {"hold_out", o->hold_out}};
    for (size_t i = 0; i < TS_COUNT_OF(masks); i++)
        if (masks[i].bits & ~(uint32_t)TS_INSTRUCT_ALL)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.%s is %u, expected TS_INSTRUCT_ bits, at most %d", masks[i].name, masks[i].bits,
                           TS_INSTRUCT_ALL);
    if (o->fields == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.fields is 0, expected TS_INSTRUCT_ bits");
    for (size_t i = 0; i < count; i++)
        if (o->chat != NULL && strcmp(paths[i], "-") == 0)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: paths[%zu] is '-', expected files: with options.chat they are read several times", call, i);
    if (o->chat != NULL && o->summarize != NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: at most one of options.chat and options.summarize may be given", call);
    if (o->chat == NULL && o->prompt != NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.prompt is '%s', but options.chat, which it is for, is NULL", o->prompt);
    if (o->shards == 0 || o->shard >= o->shards)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.shard is %u of %u shards, expected one below their number", o->shard, o->shards);
    if (o->chat_report != NULL)
        TS_TRY(ts_report_check(o->chat_report, "ts_chat_report"));
    if (o->held_out != NULL && o->hold_out == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.held_out is '%s', but options.hold_out is 0", o->held_out);
    return TS_OK;
}

static ts_status tell(making *m)
{
    uint64_t done = ts_stories_position(m->stories);
    if (m->options->progress == NULL || done == m->told)
        return TS_OK;
    m->told = done;
    if (m->options->progress(m->options->progress_user, done, ts_stories_total(m->stories)) != 0)
        return ts_fail(TS_ERROR_CANCELLED, "stopped by the progress callback after %llu bytes", (unsigned long long)done);
    return TS_OK;
}

static ts_status make_entry(making *m, const char *text, size_t size)
{
    ts_instruct_report *r = &m->report;
    uint64_t number = m->next++;
    if (number % m->options->shards != m->options->shard)
        return TS_OK;
    TS_TRY(ts_maker_draw(&m->maker, ts_stories_record(m->stories), text, size, number));
    r->stories++;
    uint32_t drawn = m->maker.drawn, hold_out = m->options->hold_out;
    bool held = hold_out != 0 && (drawn & hold_out) == hold_out;
    ts_story_writer *writer = held ? m->held_out : m->out;
    r->summarized += m->maker.asks && (drawn & TS_INSTRUCT_SUMMARY) != 0;
    r->unsummarized += m->maker.asks && (drawn & TS_INSTRUCT_SUMMARY) == 0;
    r->without += drawn == 0;
    r->combinations[drawn] += drawn != 0;
    r->held_out += held;
    r->entries += drawn != 0 && !held;
    if (drawn == 0 || writer == NULL)
        return TS_OK;
    TS_TRY(ts_maker_write(&m->maker, ts_story_writer_is_jsonl(writer)));
    ts_story_writer_add(writer, m->maker.entry.data, m->maker.entry.size);
    return ts_story_writer_status(writer);
}

static ts_status commit(ts_story_writer **writer)
{
    ts_story_writer *own = *writer;
    *writer = NULL;
    return own != NULL ? ts_story_writer_commit(own) : TS_OK;
}

static ts_status run(making *m, const char *const *paths, size_t count, const char *out)
{
    const char *text;
    size_t size;
    TS_TRY(ts_maker_start(&m->maker, m->runtime, m->options));
    if (m->options->chat != NULL) {
        TS_TRY(ts_summaries_new(&m->summaries, m->runtime, paths, count, m->options));
        TS_TRY(ts_summaries_ask(m->summaries, m->options));
        m->maker.answer = ts_summaries_text;
        m->maker.answer_user = m->summaries;
    }
    TS_TRY(ts_stories_open(&m->stories, m->runtime, paths, count));
    TS_TRY(ts_story_writer_open(&m->out, m->runtime, out));
    if (m->options->held_out != NULL)
        TS_TRY(ts_story_writer_open(&m->held_out, m->runtime, m->options->held_out));
    for (;;) {
        TS_TRY(ts_stories_next(m->stories, &text, &size));
        if (text == NULL)
            break;
        TS_TRY(make_entry(m, text, size));
        TS_TRY(tell(m));
    }
    TS_TRY(commit(&m->held_out));
    return commit(&m->out);
}

ts_status ts_dataset_instruct(ts_instruct_report *report, ts_runtime *runtime, const char *const *paths, size_t path_count, const char *out,
                              const ts_instruct_options *options)
{
    ts_instruct_options own = ts_instruct_defaults;
    making m = {.options = &own, .report = {.struct_size = sizeof m.report}};
    TS_TRY(ts_options_read(&own, sizeof own, options, "ts_instruct_options"));
    if (report != NULL)
        TS_TRY(ts_report_check(report, "ts_instruct_report"));
    TS_TRY(ts_instruct_check("ts_dataset_instruct", paths, path_count, &own));
    if (out == NULL || out[0] == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_instruct: out is missing");
    TS_TRY(ts_runtime_acquire(&m.runtime, runtime));
    ts_status status = run(&m, paths, path_count, out);
    if (status == TS_OK && report != NULL)
        status = ts_report_write(report, &m.report, sizeof m.report, "ts_instruct_report");
    ts_stories_close(m.stories);
    ts_story_writer_abandon(m.out);
    ts_story_writer_abandon(m.held_out);
    ts_maker_free(&m.maker);
    ts_summaries_free(m.summaries);
    ts_runtime_release(m.runtime);
    return status;
}

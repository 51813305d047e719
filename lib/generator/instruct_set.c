/* TinyStories-Instruct: files of entries made of files of stories. */
#include "base/base.h"
#include "format/format.h"
#include "generator/instruct_summaries.h"
#include "tinystories/dataset.h"

static const ts_instruct_options defaults = {.struct_size = sizeof defaults, .fields = TS_INSTRUCT_ALL};

ts_status ts_instruct_options_init(ts_instruct_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_instruct_options");
}

typedef struct making {
    ts_runtime *runtime;
    const ts_instruct_options *options;
    ts_stories *stories;
    ts_story_writer *out, *held_out;
    ts_maker maker;
    ts_summaries summaries;
    uint64_t told;
    ts_instruct_report report;
} making;

static ts_status check(const char *const *paths, size_t count, const char *out, const ts_instruct_options *o)
{
    if (paths == NULL || count == 0 || out == NULL || out[0] == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_instruct: paths or out is missing");
    for (size_t i = 0; i < count; i++)
        if (paths[i] == NULL || ts_path_is_shard(paths[i]))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_instruct: paths[%zu] is %s, expected stories (.txt, .jsonl, .json, .gz, .tar)", i,
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
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_instruct: paths[%zu] is '-', expected files: with options.chat they are read twice", i);
    if (o->chat != NULL && o->summarize != NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_instruct: at most one of options.chat and options.summarize may be given");
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
    TS_TRY(ts_maker_draw(&m->maker, ts_stories_record(m->stories), text, size, r->stories++));
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
        TS_TRY(ts_summaries_ask(&m->summaries, m->runtime, paths, count, m->options));
        m->maker.answer = ts_summaries_text;
        m->maker.answer_user = &m->summaries;
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
    ts_instruct_options own = defaults;
    making m = {.options = &own, .report = {.struct_size = sizeof m.report}};
    TS_TRY(ts_options_read(&own, sizeof own, options, "ts_instruct_options"));
    if (report != NULL)
        TS_TRY(ts_report_check(report, "ts_instruct_report"));
    TS_TRY(check(paths, path_count, out, &own));
    TS_TRY(ts_runtime_acquire(&m.runtime, runtime));
    ts_status status = run(&m, paths, path_count, out);
    if (status == TS_OK && report != NULL)
        status = ts_report_write(report, &m.report, sizeof m.report, "ts_instruct_report");
    ts_stories_close(m.stories);
    ts_story_writer_abandon(m.out);
    ts_story_writer_abandon(m.held_out);
    ts_maker_free(&m.maker);
    ts_summaries_close(&m.summaries);
    ts_runtime_release(m.runtime);
    return status;
}

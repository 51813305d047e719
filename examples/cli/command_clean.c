/* dataset clean, dataset instruct */
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* ---- clean ---- */

typedef struct clean_values {
    cli_common common;
    cli_paths in, against, prompts, keep, leave;
    const char *out;
    ts_clean_options options;
} clean_values;

static void clean_defaults(void *values)
{
    ts_clean_options_init(&((clean_values *)values)->options, sizeof(ts_clean_options));
}

static const char *step_name(size_t index)
{
    static const char *const names[] = {"mojibake", "punctuation", "spaces"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static const char *rule_name(size_t index)
{
    return index <= TS_DROP_ENDING - TS_DROP_SHORT ? ts_drop_name((uint32_t)index + TS_DROP_SHORT) : NULL;
}

/* Takes the named steps and rules out of those that are on. */
static ts_status choose(clean_values *v)
{
    uint32_t index;
    for (size_t i = 0; i < v->leave.count; i++) {
        CLI_TRY(cli_choose("--no-step", v->leave.items[i], step_name, &index));
        v->options.steps &= ~(1u << index);
    }
    for (size_t i = 0; i < v->keep.count; i++) {
        CLI_TRY(cli_choose("--no-rule", v->keep.items[i], rule_name, &index));
        v->options.rules &= ~(1u << (index + TS_DROP_SHORT));
    }
    return TS_OK;
}

static void print_report(const clean_values *v, const ts_clean_report *r, double seconds)
{
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_integer(&o, "stories", r->stories);
    cli_integer(&o, "bytes", r->bytes);
    cli_integer(&o, "kept", r->kept);
    cli_integer(&o, "kept_bytes", r->kept_bytes);
    cli_open(&o, "dropped", '{');
    for (uint32_t reason = TS_DROP_SOURCE; ts_drop_name(reason) != NULL; reason++)
        if (o.json || r->dropped[reason] > 0)
            cli_integer(&o, ts_drop_name(reason), r->dropped[reason]);
    cli_close(&o, '}');
    cli_integer(&o, "repaired_stories", r->repaired_stories);
    cli_integer(&o, "repaired_characters", r->repaired_characters);
    cli_integer(&o, "punctuation_stories", r->punctuation_stories);
    cli_integer(&o, "spaced_stories", r->spaced_stories);
    if (o.json || v->against.count > 0)
        cli_integer(&o, "against_stories", r->against_stories);
    if (o.json || v->prompts.count > 0)
        cli_integer(&o, "prompt_ngrams", r->prompt_ngrams);
    if (o.json || v->options.near_duplicates) {
        cli_integer(&o, "candidates", r->candidates);
        cli_integer(&o, "scratch_bytes", r->scratch_bytes);
    }
    cli_integer(&o, "memory_peak", ts_runtime_memory_peak(v->common.runtime));
    cli_number(&o, "seconds", seconds, 2);
    cli_output_end(&o);
}

static ts_status clean(void *values)
{
    clean_values *v = values;
    cli_progress progress;
    ts_clean_report report = {.struct_size = sizeof report};
    CLI_TRY(cli_check_out(&v->common, v->out, true));
    CLI_TRY(choose(v));
    v->options.against = v->against.count > 0 ? v->against.items : NULL;
    v->options.against_count = v->against.count;
    v->options.prompts = v->prompts.count > 0 ? v->prompts.items : NULL;
    v->options.prompt_count = v->prompts.count;
    v->options.progress = cli_progress_tell;
    v->options.progress_user = &progress;
    cli_progress_start(&progress, &v->common, "cleaning", "bytes");
    ts_status status = ts_dataset_clean(&report, v->common.runtime, v->in.items, v->in.count, v->out, &v->options);
    cli_progress_end(&progress);
    if (status == TS_OK && strcmp(v->out, "-") != 0)
        print_report(v, &report, cli_clock() - progress.started);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(clean_values, member)
static const cli_argument clean_arguments[] = {
    {"--in", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(in), 0, 0, NULL, "files of stories (.txt, .jsonl, .json, .gz, .tar, .tgz); - for standard input"},
    {"--out", "FILE", CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "file to write: .txt or .jsonl, each also with .gz; - for standard output"},
    {"--near-duplicates", NULL, CLI_FLAG, 0, OFFSET(options.near_duplicates), 0, 0, NULL, "drop stories that are nearly the same as one before"},
    {"--jaccard", "J", CLI_DOUBLE, 0, OFFSET(options.jaccard), 0.5, 1, NULL, "the least similarity of near duplicates"},
    {"--shingle", "N", CLI_UINT32, 0, OFFSET(options.shingle_words), 1, 32, NULL, "words in a row that the similarity is counted by"},
    {"--keep-duplicates", NULL, CLI_FLAG, 0, OFFSET(options.keep_duplicates), 0, 0, NULL, "keep stories that are the same"},
    {"--against", "TEXT", CLI_PATHS, 0, OFFSET(against), 0, 0, NULL, "stories that none may be the same as: the validation text"},
    {"--exclude-prompts", "TEXT", CLI_PATHS, 0, OFFSET(prompts), 0, 0, NULL, "prompts that none may have words in a row with"},
    {"--prompt-words", "N", CLI_UINT32, 0, OFFSET(options.prompt_words), 1, 64, NULL, "how many words in a row"},
    {"--min-characters", "N", CLI_UINT64, 0, OFFSET(options.min_characters), 0, 0, NULL, "of a story"},
    {"--source", "NAME", CLI_TEXT, 0, OFFSET(options.source), 0, 0, NULL, "keep only records of this source, such as GPT-4"},
    {"--symbols", "TEXT", CLI_TEXT, 0, OFFSET(options.symbols), 0, 0, NULL, "characters that a story must not have (default |<>/\\`*=_&@~#%[]+())"},
    {"--endings", "TEXT", CLI_TEXT, 0, OFFSET(options.endings), 0, 0, NULL, "characters that a story may end in (default .!\"?)"},
    {"--no-step", "NAME", CLI_PATHS, 0, OFFSET(leave), 0, 0, step_name, "what is not to be mended"},
    {"--no-rule", "NAME", CLI_PATHS, 0, OFFSET(keep), 0, 0, rule_name, "rules that are not asked for"},
    {"--dropped", "FILE", CLI_TEXT, 0, OFFSET(options.dropped), 0, 0, NULL, "a .jsonl (.gz) for what was dropped, and why"},
    {"--scratch", "DIR", CLI_TEXT, 0, OFFSET(options.scratch), 0, 0, NULL, "folder for what near duplicates need on disk (default: that of --out)"},
};
#undef OFFSET
/* clang-format on */

/* ---- instruct ---- */

typedef struct instruct_values {
    cli_common common;
    cli_paths in, fields, always, hold_out;
    const char *out, *shard;
    uint32_t summaries;
    ts_instruct_options options;
    cli_asking asking;
    ts_chat_report report;
    cli_chat chat;
} instruct_values;

static void instruct_defaults(void *values)
{
    instruct_values *v = values;
    ts_instruct_options_init(&v->options, sizeof v->options);
    v->asking.poll = CLI_POLL;
    cli_chat_defaults(&v->chat);
}

static const char *summaries_name(size_t index)
{
    static const char *const names[] = {"story", "chat"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

typedef struct asking_progress {
    cli_progress progress;
    const instruct_values *values;
} asking_progress;

static int32_t tell_asking(void *user, uint64_t done, uint64_t total)
{
    asking_progress *a = user;
    const ts_chat_report *r = &a->values->report;
    if (cli_progress_due(&a->progress))
        cli_progress_line(&a->progress, "asking: %llu of %llu stories, %llu requests, %llu tokens, money %.4g%s", (unsigned long long)done,
                          (unsigned long long)total, (unsigned long long)r->requests, (unsigned long long)(r->prompt_tokens + r->completion_tokens),
                          r->money, cli_interrupted() > 0 ? "; waiting for what is in flight" : "");
    return cli_interrupted();
}

static const char *field_name(size_t index)
{
    static const char *const names[] = {"words", "features", "summary", "sentence"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static ts_status choose_fields(const char *name, const cli_paths *names, uint32_t *fields)
{
    if (names->count > 0)
        *fields = 0;
    for (size_t i = 0; i < names->count; i++) {
        uint32_t index;
        CLI_TRY(cli_choose(name, names->items[i], field_name, &index));
        *fields |= 1u << index;
    }
    return TS_OK;
}

static void print_instruct(const instruct_values *v, const ts_instruct_report *r)
{
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_integer(&o, "stories", r->stories);
    cli_integer(&o, "entries", r->entries);
    cli_integer(&o, "held_out", r->held_out);
    cli_integer(&o, "without", r->without);
    if (v->summaries) {
        cli_integer(&o, "summarized", r->summarized);
        cli_integer(&o, "unsummarized", r->unsummarized);
        cli_chat_report(&o, &v->report);
    }
    cli_open(&o, "combinations", '{');
    for (uint32_t drawn = 1; drawn <= TS_INSTRUCT_ALL; drawn++) {
        char name[40] = "";
        if (drawn == TS_INSTRUCT_ALL)
            snprintf(name, sizeof name, "all");
        for (uint32_t i = 0; i < TS_INSTRUCT_COUNT; i++)
            if (drawn != TS_INSTRUCT_ALL && (drawn >> i & 1)) {
                size_t used = strlen(name);
                snprintf(name + used, sizeof name - used, "%s%s", used > 0 ? "+" : "", field_name(i));
            }
        cli_integer(&o, name, r->combinations[drawn]);
    }
    cli_close(&o, '}');
    cli_output_end(&o);
}

static ts_status make_entries(instruct_values *v)
{
    asking_progress a = {.values = v};
    ts_instruct_report report = {.struct_size = sizeof report};
    v->options.progress = cli_progress_tell;
    v->options.progress_user = &a.progress;
    if (v->summaries) {
        v->report.struct_size = sizeof v->report;
        v->options.chat_report = &v->report;
        v->options.asking = tell_asking;
        v->options.asking_user = &a;
    }
    (v->summaries ? cli_chat_progress_start : cli_progress_start)(&a.progress, &v->common, "writing", "bytes");
    ts_status status = ts_dataset_instruct(&report, v->common.runtime, v->in.items, v->in.count, v->out, &v->options);
    cli_progress_end(&a.progress);
    if (status == TS_OK && strcmp(v->out, "-") != 0)
        print_instruct(v, &report);
    if (status != TS_OK && v->report.requests > 0) {
        char detail[512];
        snprintf(detail, sizeof detail, "%s", ts_error_detail());
        return cli_chat_failed(status == TS_ERROR_CANCELLED ? "interrupted" : detail, &v->chat, &v->report);
    }
    return status;
}

/* ---- what is asked of a service: `user` are the summaries ---- */

static ts_status show_prompt(void *user, uint64_t place, char *text, size_t capacity, size_t *size)
{
    return ts_summaries_prompt(user, place, text, capacity, size);
}

static ts_status estimate(void *user, ts_chat_report *report)
{
    return ts_summaries_estimate(user, report);
}

static ts_status bill(void *user, ts_chat_report *report)
{
    return ts_summaries_chat_report(user, report);
}

static ts_status step(void *user, ts_batch_report *report)
{
    return ts_summaries_batch_step(user, report);
}

static ts_status write_requests(void *user, const char *path, ts_batch_report *report)
{
    return ts_summaries_batch_write(user, path, report);
}

static ts_status read_results(void *user, const char *path, ts_batch_report *report)
{
    return ts_summaries_batch_read(user, path, report);
}

static ts_status merge(void *user, const char *journal)
{
    return ts_summaries_merge(user, journal, NULL);
}

/* The journal is let go of before the entries are made: that opens it anew. */
static ts_status ask_before(instruct_values *v, bool *complete)
{
    ts_summaries *summaries = NULL;
    CLI_TRY(ts_summaries_new(&summaries, v->common.runtime, v->in.items, v->in.count, &v->options));
    const cli_asked asked = {&v->common, &v->asking, &v->chat, summaries, ts_summaries_count(summaries), show_prompt, estimate, bill, step,
                             write_requests, read_results, merge};
    ts_status status = cli_asking_run(&asked, complete);
    ts_summaries_free(summaries);
    return status;
}

static ts_status run_instruct(instruct_values *v)
{
    bool complete = true;
    if (v->asking.dry || v->asking.merge.count > 0 || cli_asking_batches(&v->asking))
        CLI_TRY(ask_before(v, &complete));
    return complete ? make_entries(v) : TS_OK;
}

static ts_status choose_summaries(instruct_values *v)
{
    if (v->summaries) {
        v->options.chat = &v->chat.options;
        return cli_chat_begin(&v->common, &v->chat, v->asking.dry != 0);
    }
    CLI_TRY(cli_chat_refuse(&v->common, &v->chat, "--summaries story"));
    CLI_TRY(cli_refuse_part(&v->common, &v->asking, sizeof v->asking, "--summaries story"));
    return v->options.prompt == NULL ? TS_OK : cli_usage("--prompt is for a chat service, but this is --summaries story");
}

static ts_status instruct(void *values)
{
    instruct_values *v = values;
    CLI_TRY(cli_check_out(&v->common, v->asking.dry ? NULL : v->out, true));
    CLI_TRY(cli_check_out(&v->common, v->options.held_out, false));
    CLI_TRY(choose_fields("--fields", &v->fields, &v->options.fields));
    CLI_TRY(choose_fields("--always", &v->always, &v->options.always));
    CLI_TRY(choose_fields("--hold-out", &v->hold_out, &v->options.hold_out));
    if (v->options.held_out != NULL && v->options.hold_out == 0)
        return cli_usage("--held-out is a file for what --hold-out names, which is missing");
    CLI_TRY(cli_shard(v->shard, &v->options.shard, &v->options.shards));
    ts_status status = choose_summaries(v);
    if (status == TS_OK)
        status = run_instruct(v);
    cli_chat_end(&v->chat);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(instruct_values, member)
static const cli_argument instruct_arguments[] = {
    {"--in", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(in), 0, 0, NULL, "files of stories (.txt, .jsonl, .json, .gz, .tar, .tgz); - for standard input"},
    {"--out", "FILE", CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "file to write: .txt or .jsonl, each also with .gz; - for standard output"},
    {"--seed", "S", CLI_UINT64, 0, OFFSET(options.seed), 0, 0, NULL, "the same seed draws the same"},
    {"--fields", "NAME", CLI_PATHS, 0, OFFSET(fields), 0, 0, field_name, "what may be drawn (default: all)"},
    {"--always", "NAME", CLI_PATHS, 0, OFFSET(always), 0, 0, field_name, "what every entry has whose story allows it"},
    {"--hold-out", "NAME", CLI_PATHS, 0, OFFSET(hold_out), 0, 0, field_name, "keep entries out that have all of these (the paper's split: words summary)"},
    {"--held-out", "FILE", CLI_TEXT, 0, OFFSET(options.held_out), 0, 0, NULL, "file for those entries"},
    {"--shard", "i/N", CLI_TEXT, 0, OFFSET(shard), 0, 0, NULL, "only the stories whose number is i modulo N; bounds and paces are divided by N"},
    {"--summaries", "NAME", CLI_CHOICE, 0, OFFSET(summaries), 0, 0, summaries_name, "whose, of stories that have none: sentences of the story, or a chat service; what follows is for chat"},
    {"--prompt", "FILE", CLI_TEXT, 0, OFFSET(options.prompt), 0, 0, NULL, "template of what the service is asked, with {story}, {words} and {features}; [...] is left out if one in it is empty"},
    {"--merge", "JOURNAL", CLI_PATHS, 0, OFFSET(asking.merge), 0, 0, NULL, "take the replies of other shards' journals into this one; what none has is asked for"},
    CLI_ASKING_ARGUMENTS(instruct_values, asking, "entries"),
    CLI_CHAT_ARGUMENTS(instruct_values, chat, ""),
};
#undef OFFSET

const cli_command cli_clean_commands[] = {
    {"dataset", "clean", "mend stories, drop what is broken, cut off or there twice",
     "Mended are UTF-8 that was read as windows-1252, punctuation that is not ASCII, and white space. Dropped is what then is short, has other characters or\n"
     "symbols, does not end like a story, or is there already. Near duplicates have the same words in a row (--shingle) for the most part (--jaccard).",
     clean_arguments, CLI_COUNT_OF(clean_arguments), sizeof(clean_values), clean_defaults, clean},
    {"dataset", "instruct", "make entries of TinyStories-Instruct out of stories",
     "An entry has a random subset of words, features, a summary and a sentence of the story before it. Words and features are those of the story's record, or\n"
     "what is found in the story. What is an entry already keeps its fields.", instruct_arguments,
     CLI_COUNT_OF(instruct_arguments), sizeof(instruct_values), instruct_defaults, instruct},
    {0},
};

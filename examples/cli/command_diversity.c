/* evaluate index, evaluate diversity: how much of what a model wrote is copied */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- index ---- */

typedef struct index_values {
    cli_common common;
    cli_paths text;
    const char *out;
    ts_novelty_options options;
} index_values;

static void index_defaults(void *values)
{
    ts_novelty_options_init(&((index_values *)values)->options, sizeof(ts_novelty_options));
}

static ts_status build_index(const cli_common *common, const cli_paths *text, const char *out, ts_novelty_options *options)
{
    cli_progress progress;
    options->progress = cli_progress_tell;
    options->progress_user = &progress;
    cli_progress_start(&progress, common, "indexing", "bytes");
    ts_status status = ts_novelty_build(common->runtime, text->items, text->count, out, options);
    cli_progress_end(&progress);
    return status;
}

static ts_status make_index(void *values)
{
    index_values *v = values;
    ts_novelty *novelty = NULL;
    ts_novelty_about about = {.struct_size = sizeof about};
    double started = cli_clock();
    CLI_TRY(cli_check_out(&v->common, v->out, false));
    CLI_TRY(build_index(&v->common, &v->text, v->out, &v->options));
    double seconds = cli_clock() - started;
    CLI_TRY(ts_novelty_open(&novelty, v->common.runtime, v->out));
    ts_status status = ts_novelty_describe(novelty, &about);
    ts_novelty_free(novelty);
    CLI_TRY(status);
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_integer(&o, "stories", about.stories);
    cli_integer(&o, "bytes", about.bytes);
    cli_integer(&o, "words", about.words);
    cli_integer(&o, "distinct_words", about.distinct_words);
    cli_number(&o, "seconds", seconds, 2);
    cli_output_end(&o);
    return TS_OK;
}

/* clang-format off */
#define OFFSET(member) offsetof(index_values, member)
static const cli_argument index_arguments[] = {
    {"--text", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(text), 0, 0, NULL, "files of stories that the model learned from; - for standard input"},
    {"--out", "FILE", CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "the index to write, about twice as large as the text"},
    {"--working-memory", "BYTES", CLI_UINT64, 0, OFFSET(options.working_memory), 0, 0, NULL, "memory to sort in"},
};
#undef OFFSET
/* clang-format on */

/* ---- diversity ---- */

typedef struct diversity_values {
    cli_common common;
    cli_paths completions, text;
    const char *index;
    uint32_t cut;
} diversity_values;

static void print_match(cli_output *o, const ts_novelty *novelty, const ts_novelty_match *m)
{
    const char *story = NULL;
    size_t size = 0;
    cli_number(o, "nearest_precision", m->nearest_precision, 4);
    if (m->nearest_story != UINT64_MAX) {
        cli_integer(o, "nearest_story", m->nearest_story);
        if (ts_novelty_story(novelty, m->nearest_story, &story, &size) == TS_OK)
            cli_text_sized(o, "nearest_text", story, size);
    }
    cli_integer(o, "copied_words", m->copied_words);
    if (m->copied_words == 0 || ts_novelty_story(novelty, m->source_story, &story, &size) != TS_OK)
        return;
    cli_integer(o, "copied_begin", m->copied_begin);
    cli_integer(o, "copied_size", m->copied_size);
    cli_integer(o, "source_story", m->source_story);
    cli_text_sized(o, "source", story + m->source_begin, (size_t)m->source_size);
}

static ts_status print_items(cli_output *o, ts_diversity *diversity, const ts_novelty *novelty, uint64_t count)
{
    cli_open(o, "items", '[');
    for (uint64_t i = 0; i < count; i++) {
        ts_diversity_item item = {.struct_size = sizeof item};
        CLI_TRY(ts_diversity_item_at(diversity, i, &item));
        cli_open(o, o->json ? NULL : "completion", '{');
        cli_integer(o, "words", item.words);
        cli_number(o, "ending_precision", item.ending_precision, 4);
        cli_number(o, "nearest_f", item.nearest_f, 4);
        if (item.nearest != UINT64_MAX)
            cli_integer(o, "nearest", item.nearest);
        if (novelty != NULL)
            print_match(o, novelty, &item.match);
        cli_close(o, '}');
    }
    cli_close(o, ']');
    return TS_OK;
}

static void print_grams(cli_output *o, const ts_diversity_report *r)
{
    cli_open(o, "grams", '[');
    for (size_t k = 0; k < TS_NOVELTY_GRAM; k++) {
        char name[32];
        snprintf(name, sizeof name, "%zu-grams", k + 1);
        cli_open(o, o->json ? NULL : name, '{');
        cli_integer(o, "k", k + 1);
        cli_integer(o, "count", r->grams[k]);
        cli_integer(o, "never", r->never[k]);
        if (r->grams[k] > 0)
            cli_number(o, "never_share", (double)r->never[k] / (double)r->grams[k], 4);
        if (o->json) {
            cli_open(o, "histogram", '[');
            for (size_t i = 0; i < TS_DIVERSITY_BINS; i++)
                cli_integer(o, NULL, r->histogram[k * TS_DIVERSITY_BINS + i]);
            cli_close(o, ']');
        }
        cli_close(o, '}');
    }
    cli_close(o, ']');
}

static ts_status print_diversity(const diversity_values *v, ts_diversity *diversity, const ts_novelty *novelty)
{
    ts_diversity_report r = {.struct_size = sizeof r};
    CLI_TRY(ts_diversity_measure(diversity, &r));
    cli_output o = cli_output_start(&v->common);
    cli_integer(&o, "completions", r.completions);
    cli_integer(&o, "words", r.words);
    cli_integer(&o, "endings", r.endings);
    cli_number(&o, "mean_ending_precision", r.mean_ending_precision, 4);
    cli_number(&o, "mean_nearest_f", r.mean_nearest_f, 4);
    if (novelty != NULL) {
        cli_number(&o, "mean_nearest_precision", r.mean_nearest_precision, 4);
        cli_number(&o, "mean_copied_words", r.mean_copied_words, 2);
        cli_integer(&o, "max_copied_words", r.max_copied_words);
        cli_integer(&o, "copied_whole", r.copied_whole);
        print_grams(&o, &r);
    }
    ts_status status = o.json ? print_items(&o, diversity, novelty, r.completions) : TS_OK;
    cli_output_end(&o);
    return status;
}

/* An index made for the occasion, beside the place where the folder for temporary files is. */
static ts_status make_temporary(const diversity_values *v, char *path, size_t capacity)
{
    const char *folder = getenv("TMPDIR");
    ts_novelty_options options;
    CLI_TRY(ts_novelty_options_init(&options, sizeof options));
    snprintf(path, capacity, "%s/tinystories-index-%.0f.gguf", folder != NULL && *folder != 0 ? folder : "/tmp", cli_clock() * 1e6);
    return build_index(&v->common, &v->text, path, &options);
}

static ts_status add_completions(const diversity_values *v, ts_diversity *diversity)
{
    uint64_t all = 0, count;
    for (size_t i = 0; i < v->completions.count; i++) {
        CLI_TRY(ts_diversity_add_file(diversity, v->completions.items[i], v->cut, &count));
        all += count;
    }
    return all > 0 ? TS_OK : cli_fail("%s: there is no completion", v->completions.items[0]);
}

static ts_status diversity(void *values)
{
    diversity_values *v = values;
    char temporary[4096] = "";
    ts_novelty *novelty = NULL;
    ts_diversity *set = NULL;
    ts_status status = TS_OK;
    if (v->index != NULL && v->text.count > 0)
        return cli_usage("--index and --text both say what the model learned from, expected one of them");
    if (v->text.count > 0)
        status = make_temporary(v, temporary, sizeof temporary);
    if (status == TS_OK && (v->index != NULL || temporary[0] != 0))
        status = ts_novelty_open(&novelty, v->common.runtime, v->index != NULL ? v->index : temporary);
    if (temporary[0] != 0)
        remove(temporary); /* its pages stay until the index is freed */
    if (status == TS_OK)
        status = ts_diversity_new(&set, v->common.runtime, novelty);
    if (status == TS_OK)
        status = add_completions(v, set);
    if (status == TS_OK)
        status = print_diversity(v, set, novelty);
    ts_diversity_free(set);
    ts_novelty_free(novelty);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(diversity_values, member)
static const cli_argument diversity_arguments[] = {
    {"--completions", "FILE", CLI_PATHS, CLI_REQUIRED, OFFSET(completions), 0, 0, NULL, "what the model wrote: .jsonl with completion (and ending), or stories"},
    {"--index", "FILE", CLI_TEXT, 0, OFFSET(index), 0, 0, NULL, "an index of the training text (evaluate index)"},
    {"--text", "TEXT", CLI_PATHS, 0, OFFSET(text), 0, 0, NULL, "the training text, when there is no index: one is made in TMPDIR and removed"},
    {"--cut", "K", CLI_UINT32, 0, OFFSET(cut), 0, 64, NULL, "cut completions at the first repeated K-gram; the paper cuts GPT-2's at 4, 0 does not"},
};
#undef OFFSET

const cli_command cli_diversity_commands[] = {
    {"evaluate", "index", "make an index of a training text, for evaluate diversity", NULL, index_arguments, CLI_COUNT_OF(index_arguments),
     sizeof(index_values), index_defaults, make_index},
    {"evaluate", "diversity", "measure how much of what a model wrote is copied",
     "Of words, without regard to case. ending_precision: the share of a completion's 2-grams that the true ending has. nearest_f: how like it is the completion\n"
     "that is most like it. nearest_precision: the share of its 2-grams that the nearest training story has. copied_words: the longest run of words that is in\n"
     "the training text too. never: k-grams that the training text does not have. --json tells each completion's and the histograms of log10 g.",
     diversity_arguments, CLI_COUNT_OF(diversity_arguments), sizeof(diversity_values), NULL, diversity},
    {0},
};

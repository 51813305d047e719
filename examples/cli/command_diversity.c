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
    cli_paths completions, text, from;
    const char *index, *model, *name, *save;
    uint32_t cut, per_prompt;
    ts_beginnings_options drawing;
    ts_sampler_options sampling;
} diversity_values;

/* What is measured: completions, and the true endings by themselves, where stories are told anew. */
typedef struct measured {
    const diversity_values *v;
    ts_novelty *novelty; /* NULL: there is no index */
    ts_diversity *set, *endings;
} measured;

static void diversity_defaults(void *values)
{
    diversity_values *v = values;
    v->per_prompt = 1;
    ts_beginnings_options_init(&v->drawing, sizeof v->drawing);
    ts_sampler_options_init(&v->sampling, sizeof v->sampling);
    v->sampling.temperature = 1;
}

/* ---- training stories told anew ---- */

static ts_status get_beginning(const void *beginnings, size_t index, ts_record *record)
{
    ts_beginning one = {.struct_size = sizeof one};
    CLI_TRY(ts_beginnings_get(beginnings, index, &one));
    record->prompt = one.beginning;
    record->prompt_size = one.beginning_size;
    return TS_OK;
}

/* Completions stand beginning by beginning in the evaluator, which is asked for no grades. */
static ts_status add_told(measured *m, const ts_evaluator *told, const ts_beginnings *beginnings, FILE *save)
{
    for (uint64_t i = 0; i < ts_evaluator_count(told); i++) {
        ts_record r = {.struct_size = sizeof r};
        ts_beginning one = {.struct_size = sizeof one};
        CLI_TRY(ts_evaluator_record(told, i, &r));
        CLI_TRY(ts_beginnings_get(beginnings, (size_t)(i / m->v->per_prompt), &one));
        CLI_TRY(ts_diversity_add(m->set, r.completion, r.completion_size, one.ending, one.ending_size));
        if (i % m->v->per_prompt == 0)
            CLI_TRY(ts_diversity_add(m->endings, one.ending, one.ending_size, NULL, 0));
        if (save != NULL)
            CLI_TRY(cli_save_record(save, told, i, one.ending));
    }
    return TS_OK;
}

static ts_status tell_with(measured *m, const ts_model *model, const ts_beginnings *beginnings, ts_evaluator *told)
{
    const diversity_values *v = m->v;
    cli_progress progress;
    cli_file save = {0};
    cli_completions telling = {.get = get_beginning, .prompts = beginnings, .count = ts_beginnings_count(beginnings), .per_prompt = v->per_prompt, .seed = v->drawing.seed,
                               .sampling = &v->sampling, .name = v->name != NULL ? v->name : cli_file_name(v->model)};
    cli_progress_start(&progress, &v->common, "telling", "completions");
    CLI_TRY(cli_complete(model, &telling, told, &progress));
    CLI_TRY(v->save != NULL ? cli_file_open(&save, v->save) : TS_OK);
    ts_status status = add_told(m, told, beginnings, save.stream);
    return v->save != NULL ? cli_file_close(&save, status) : status;
}

/* Of the stories that the model's context holds whole, before which stands the token that stories begin with. */
static ts_status draw_for(ts_beginnings **beginnings, const diversity_values *v, const ts_model *model)
{
    ts_beginnings_options drawing = v->drawing;
    ts_architecture shape = {.struct_size = sizeof shape};
    CLI_TRY(ts_model_architecture(model, &shape));
    drawing.tokenizer = ts_model_tokenizer(model);
    drawing.max_tokens = shape.context_length - 1;
    return ts_beginnings_open(beginnings, v->common.runtime, v->from.items, v->from.count, &drawing);
}

static ts_status tell_anew(measured *m)
{
    const diversity_values *v = m->v;
    ts_beginnings *beginnings = NULL;
    ts_model *model = NULL;
    ts_evaluator *told = NULL;
    ts_evaluator_options options;
    CLI_TRY(ts_evaluator_options_init(&options, sizeof options));
    options.cut = v->cut;
    ts_status status = ts_model_open(&model, v->common.runtime, v->model, NULL);
    if (status == TS_OK)
        status = draw_for(&beginnings, v, model);
    if (status == TS_OK)
        status = ts_evaluator_new(&told, v->common.runtime, &options);
    if (status == TS_OK)
        status = tell_with(m, model, beginnings, told);
    ts_evaluator_free(told);
    ts_model_free(model);
    ts_beginnings_free(beginnings);
    return status;
}

/* ---- results ---- */

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

/* In JSON alone. */
static ts_status print_items(cli_output *o, const measured *m, uint64_t count)
{
    cli_open(o, "items", '[');
    for (uint64_t i = 0; i < count; i++) {
        ts_diversity_item item = {.struct_size = sizeof item}, ending = {.struct_size = sizeof ending};
        CLI_TRY(ts_diversity_item_at(m->set, i, &item));
        cli_open(o, NULL, '{');
        cli_integer(o, "words", item.words);
        cli_number(o, "ending_precision", item.ending_precision, 4);
        cli_number(o, "nearest_f", item.nearest_f, 4);
        if (item.nearest != UINT64_MAX)
            cli_integer(o, "nearest", item.nearest);
        if (m->endings != NULL) {
            CLI_TRY(ts_diversity_item_at(m->endings, i / m->v->per_prompt, &ending));
            cli_number(o, "ending_nearest_f", ending.nearest_f, 4);
        }
        if (m->novelty != NULL)
            print_match(o, m->novelty, &item.match);
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

static ts_status print_diversity(const measured *m)
{
    ts_diversity_report r = {.struct_size = sizeof r}, endings = {.struct_size = sizeof endings};
    CLI_TRY(ts_diversity_measure(m->set, &r));
    cli_output o = cli_output_start(&m->v->common);
    cli_integer(&o, "completions", r.completions);
    cli_integer(&o, "words", r.words);
    cli_integer(&o, "endings", r.endings);
    if (m->endings != NULL)
        cli_number(&o, "share", m->v->drawing.share, 2);
    cli_number(&o, "mean_ending_precision", r.mean_ending_precision, 4);
    cli_number(&o, "mean_nearest_f", r.mean_nearest_f, 4);
    if (m->endings != NULL) {
        CLI_TRY(ts_diversity_measure(m->endings, &endings));
        cli_number(&o, "mean_nearest_f_of_endings", endings.mean_nearest_f, 4);
    }
    if (m->novelty != NULL) {
        cli_number(&o, "mean_nearest_precision", r.mean_nearest_precision, 4);
        cli_number(&o, "mean_copied_words", r.mean_copied_words, 2);
        cli_integer(&o, "max_copied_words", r.max_copied_words);
        cli_integer(&o, "copied_whole", r.copied_whole);
        print_grams(&o, &r);
    }
    ts_status status = o.json ? print_items(&o, m, r.completions) : TS_OK;
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

static ts_status check_call(const diversity_values *v)
{
    if (v->index != NULL && v->text.count > 0)
        return cli_usage("--index and --text both say what the model learned from, expected one of them");
    if ((v->model == NULL) == (v->completions.count == 0))
        return cli_usage("expected --completions FILE, or --model MODEL with --from STORIES");
    if ((v->model == NULL) != (v->from.count == 0))
        return cli_usage("--model and --from belong together: the model goes on from the beginnings of those stories");
    for (size_t i = 0; v->model == NULL && i < v->common.command->argument_count; i++) {
        size_t offset = v->common.command->arguments[i].offset;
        if ((offset >= offsetof(diversity_values, per_prompt) || offset == offsetof(diversity_values, name) || offset == offsetof(diversity_values, save)) &&
            cli_given(&v->common, v->common.command->arguments[i].name))
            return cli_usage("%s is for the completions of --model", v->common.command->arguments[i].name);
    }
    return cli_check_out(&v->common, v->save, false);
}

static ts_status measure(measured *m)
{
    const diversity_values *v = m->v;
    CLI_TRY(ts_diversity_new(&m->set, v->common.runtime, m->novelty));
    if (v->model != NULL)
        CLI_TRY(ts_diversity_new(&m->endings, v->common.runtime, NULL));
    CLI_TRY(v->model != NULL ? tell_anew(m) : add_completions(v, m->set));
    return print_diversity(m);
}

static ts_status diversity(void *values)
{
    diversity_values *v = values;
    char temporary[4096] = "";
    measured m = {.v = v};
    ts_status status = check_call(v);
    if (status == TS_OK && v->text.count > 0)
        status = make_temporary(v, temporary, sizeof temporary);
    if (status == TS_OK && (v->index != NULL || temporary[0] != 0))
        status = ts_novelty_open(&m.novelty, v->common.runtime, v->index != NULL ? v->index : temporary);
    if (temporary[0] != 0)
        remove(temporary); /* its pages stay until the index is freed */
    if (status == TS_OK)
        status = measure(&m);
    ts_diversity_free(m.endings);
    ts_diversity_free(m.set);
    ts_novelty_free(m.novelty);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(diversity_values, member)
static const cli_argument diversity_arguments[] = {
    {"--completions", "FILE", CLI_PATHS, 0, OFFSET(completions), 0, 0, NULL, "what the model wrote: .jsonl with completion (and ending), or stories"},
    {"--model", "MODEL", CLI_TEXT, 0, OFFSET(model), 0, 0, NULL, "or: the model, which goes on from the beginnings of stories that it learned from"},
    {"--from", "STORIES", CLI_PATHS, 0, OFFSET(from), 0, 0, NULL, "files of those stories"},
    {"--stories", "N", CLI_UINT64, 0, OFFSET(drawing.count), 1, 1 << 24, NULL, "of them that are drawn"},
    {"--share", "S", CLI_DOUBLE, CLI_ABOVE, OFFSET(drawing.share), 0, 0.999, NULL, "of a story's words that the model is given"},
    {"--completions-per-story", "N", CLI_UINT32, 0, OFFSET(per_prompt), 1, 100000, NULL, "of each beginning, with seeds S, S + 1, ..."},
    {"--seed", "S", CLI_UINT64, 0, OFFSET(drawing.seed), 0, 0, NULL, "of the draw and of the completions"},
    {"--temperature", "T", CLI_FLOAT, 0, OFFSET(sampling.temperature), 0, 100, NULL, "of the model; 0: always the likeliest token"},
    {"--top-p", "P", CLI_FLOAT, CLI_ABOVE, OFFSET(sampling.top_p), 0, 1, NULL, "draw among the likeliest tokens that hold this share together; 1: all"},
    {"--tokens", "N", CLI_UINT32, 0, OFFSET(sampling.max_tokens), 0, 0, NULL, "most tokens of a completion; 0: until the story or the context ends"},
    {"--name", "NAME", CLI_TEXT, 0, OFFSET(name), 0, 0, NULL, "what --save calls the model (default: its file's name)"},
    {"--save", "FILE", CLI_TEXT, 0, OFFSET(save), 0, 0, NULL, "write prompts, completions and true endings as JSON lines"},
    {"--index", "FILE", CLI_TEXT, 0, OFFSET(index), 0, 0, NULL, "an index of the training text (evaluate index)"},
    {"--text", "TEXT", CLI_PATHS, 0, OFFSET(text), 0, 0, NULL, "the training text, when there is no index: one is made in TMPDIR and removed"},
    {"--cut", "K", CLI_UINT32, 0, OFFSET(cut), 0, 64, NULL, "cut completions at the first repeated K-gram; the paper cuts GPT-2's at 4, 0 does not"},
};
#undef OFFSET

const cli_command cli_diversity_commands[] = {
    {"evaluate", "index", "make an index of a training text, for evaluate diversity", NULL, index_arguments, CLI_COUNT_OF(index_arguments),
     sizeof(index_values), index_defaults, make_index},
    {"evaluate", "diversity", "measure how much of what a model wrote is copied",
     "With --model as the paper does it: of the stories that it learned from and that its context holds whole some are drawn and cut, it goes on from their beginnings, and what\n"
     "it writes is set against how they truly go on. What the other true endings have of each other (nearest_f_of_endings) is what to hold nearest_f against.\n"
     "Of words, without regard to case. ending_precision: the share of a completion's 2-grams that the true ending has. nearest_f: how like it is the completion\n"
     "that is most like it. nearest_precision: the share of its 2-grams that the nearest training story has. copied_words: the longest run of words that is in\n"
     "the training text too. never: k-grams that the training text does not have. --json tells each completion's and the histograms of log10 g.",
     diversity_arguments, CLI_COUNT_OF(diversity_arguments), sizeof(diversity_values), diversity_defaults, diversity},
    {0},
};

/* dataset generate, dataset stats */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- generate ---- */

typedef struct generate_values {
    cli_common common;
    uint64_t count;
    const char *out;
    cli_paths features;
    uint32_t format;
    ts_generator_options options;
} generate_values;

static const char *format_name(size_t index)
{
    static const char *const names[] = {"txt", "jsonl"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static void generate_defaults(void *values)
{
    generate_values *v = values;
    v->count = 1000;
    ts_generator_options_init(&v->options, sizeof v->options);
}

static const char *feature_name(size_t index)
{
    return index < TS_FEATURE_COUNT ? ts_feature_name(1u << index) : NULL;
}

static ts_status choose_features(generate_values *v)
{
    if (v->features.count > 0)
        v->options.features = 0;
    for (size_t i = 0; i < v->features.count; i++) {
        uint32_t index;
        CLI_TRY(cli_choose("--features", v->features.items[i], feature_name, &index));
        v->options.features |= 1u << index;
    }
    return TS_OK;
}

static ts_status print_stories(ts_generator *generator, const generate_values *v)
{
    char *line = NULL;
    ts_status status = TS_OK;
    for (uint64_t i = 0; i < v->count && status == TS_OK && !ferror(stdout); i++) {
        ts_story story = {.struct_size = sizeof story};
        size_t size = 0;
        status = ts_generator_next(generator, &story);
        if (status == TS_OK && v->format == 0) {
            printf("%s\n<|endoftext|>\n", story.story);
        } else if (status == TS_OK) {
            ts_story_json(&story, NULL, 0, &size); /* asks for the size alone */
            free(line);
            line = malloc(size + 1);
            status = line != NULL ? ts_story_json(&story, line, size + 1, &size) : cli_fail("there is no memory for a story of %zu bytes", size);
            if (status == TS_OK)
                puts(line);
        }
    }
    free(line);
    return status;
}

static ts_status write_stories(ts_generator *generator, const generate_values *v)
{
    cli_progress progress;
    cli_progress_start(&progress, &v->common, "writing", "stories");
    ts_status status = ts_generator_write(generator, v->count, v->out, cli_progress_tell, &progress);
    cli_progress_end(&progress);
    if (status != TS_OK)
        return status;
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_integer(&o, "stories", v->count);
    cli_integer(&o, "seed", v->options.seed);
    cli_number(&o, "seconds", cli_clock() - progress.started, 2);
    cli_output_end(&o);
    return TS_OK;
}

static ts_status generate(void *values)
{
    generate_values *v = values;
    ts_generator *generator = NULL;
    bool stream = strcmp(v->out, "-") == 0;
    if (!stream && cli_given(&v->common, "--format"))
        return cli_usage("--format is for --out -; a file's name tells its format");
    CLI_TRY(cli_check_out(&v->common, v->out, true));
    CLI_TRY(choose_features(v));
    CLI_TRY(ts_generator_new(&generator, v->common.runtime, &v->options));
    ts_status status = stream ? print_stories(generator, v) : write_stories(generator, v);
    ts_generator_free(generator);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(generate_values, member)
static const cli_argument generate_arguments[] = {
    {"--out", "FILE", CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "file to write: .txt or .jsonl, each also with .gz; - for standard output"},
    {"--count", "N", CLI_UINT64, 0, OFFSET(count), 1, 1e12, NULL, "stories to write"},
    {"--seed", "S", CLI_UINT64, 0, OFFSET(options.seed), 0, 0, NULL, "the same seed gives the same stories everywhere"},
    {"--first", "N", CLI_UINT64, 0, OFFSET(options.first), 0, 0, NULL, "index of the first story"},
    {"--features", "NAME", CLI_PATHS, 0, OFFSET(features), 0, 0, feature_name, "features that may be drawn (default: all)"},
    {"--vocabulary", "FILE", CLI_TEXT, 0, OFFSET(options.vocabulary), 0, 0, NULL, "words to use instead of the built-in ones"},
    {"--format", "NAME", CLI_CHOICE, 0, OFFSET(format), 0, 0, format_name, "of standard output"},
};
#undef OFFSET
/* clang-format on */

/* ---- stats ---- */

typedef struct stats_values {
    cli_common common;
    cli_paths files, against, word_lists;
    ts_dataset_options options;
} stats_values;

static void stats_defaults(void *values)
{
    ts_dataset_options_init(&((stats_values *)values)->options, sizeof(ts_dataset_options));
}

/* As lines a bar for every length between the shortest and the longest stories, at most 16 of them. */
static void print_histogram(cli_output *o, const ts_dataset_statistics *s)
{
    uint64_t most = 1, sums[TS_DATASET_BINS] = {0};
    size_t first = TS_DATASET_BINS, last = 0;
    for (size_t i = 0; i < TS_DATASET_BINS; i++) {
        first = s->histogram[i] > 0 && i < first ? i : first;
        last = s->histogram[i] > 0 ? i : last;
    }
    size_t fold = o->json ? 1 : (last - first) / 16 + 1;
    for (size_t i = 0; i < TS_DATASET_BINS; i++) {
        sums[i / fold] += s->histogram[i];
        most = sums[i / fold] > most ? sums[i / fold] : most;
    }
    cli_open(o, o->json ? "histogram" : "stories_by_words", '[');
    for (size_t i = o->json ? 0 : first / fold; i <= (o->json ? TS_DATASET_BINS - 1 : last / fold); i++) {
        int bar = (int)(50 * (double)sums[i] / (double)most + 0.5);
        if (o->json)
            cli_integer(o, NULL, sums[i]);
        else
            printf("  from %5zu %10llu %.*s\n", i * fold * TS_DATASET_BIN_WORDS, (unsigned long long)sums[i], bar,
                   "##################################################");
    }
    cli_close(o, ']');
}

static void print_features(cli_output *o, const ts_dataset_statistics *s)
{
    cli_open(o, "features", '{');
    for (uint32_t i = 0; i < TS_FEATURE_COUNT; i++)
        cli_integer(o, ts_feature_name(1u << i), s->features[i]);
    cli_integer(o, "other", s->other_features);
    cli_close(o, '}');
}

static void print_openings(cli_output *o, const ts_dataset_statistics *s)
{
    cli_integer(o, "distinct_openings", s->distinct_openings);
    cli_number(o, "opening_share", s->opening_share, 4);
    cli_open(o, "openings", o->json ? '[' : '{');
    for (size_t i = 0; i < TS_DATASET_OPENINGS && s->opening_stories[i] > 0; i++) {
        if (!o->json) {
            printf("  %12llu %s\n", (unsigned long long)s->opening_stories[i], s->openings[i]);
            continue;
        }
        cli_open(o, NULL, '{');
        cli_text(o, "text", s->openings[i]);
        cli_integer(o, "stories", s->opening_stories[i]);
        cli_close(o, '}');
    }
    cli_close(o, o->json ? ']' : '}');
}

static void print_readability(cli_output *o, const ts_dataset_statistics *s)
{
    cli_integer(o, "sentences", s->sentences);
    cli_integer(o, "syllables", s->syllables);
    cli_number(o, "words_per_sentence", s->words_per_sentence, 2);
    cli_number(o, "syllables_per_word", s->syllables_per_word, 3);
    cli_number(o, "flesch_reading_ease", s->flesch_reading_ease, 1);
    cli_number(o, "flesch_kincaid_grade", s->flesch_kincaid_grade, 2);
}

static void print_lists(cli_output *o, const ts_dataset_statistics *s)
{
    cli_integer(o, "list_words", s->list_words);
    cli_integer(o, "list_words_used", s->list_words_used);
    cli_integer(o, "listed_words", s->listed_words);
    cli_number(o, "listed_share", s->listed_share, 4);
    cli_number(o, "list_share_used", s->list_share_used, 4);
}

static void print_statistics(const stats_values *v, const ts_dataset_statistics *s)
{
    const struct {
        const char *key;
        uint64_t value;
    } lengths[] = {{"min", s->min_words}, {"p5", s->p5_words}, {"median", s->median_words}, {"p95", s->p95_words}, {"max", s->max_words}};
    cli_output o = cli_output_start(&v->common);
    cli_integer(&o, "stories", s->stories);
    cli_integer(&o, "distinct_stories", s->distinct_stories);
    cli_integer(&o, "bytes", s->bytes);
    cli_integer(&o, "words", s->words);
    cli_integer(&o, "distinct_words", s->distinct_words);
    cli_open(&o, "words_per_story", '{');
    for (size_t i = 0; i < CLI_COUNT_OF(lengths); i++)
        cli_integer(&o, lengths[i].key, lengths[i].value);
    cli_number(&o, "mean", s->mean_words, 1);
    cli_close(&o, '}');
    print_histogram(&o, s);
    cli_integer(&o, "fourgrams", s->fourgrams);
    cli_integer(&o, "distinct_fourgrams", s->distinct_fourgrams);
    cli_integer(&o, "fourgrams_once", s->fourgrams_once);
    cli_number(&o, "once_share", s->once_share, 4);
    cli_number(&o, "once_occurrence_share", s->once_occurrence_share, 4);
    cli_integer(&o, "dialogue_stories", s->dialogue_stories);
    cli_number(&o, "dialogue_share", s->dialogue_share, 4);
    cli_integer(&o, "records", s->records);
    if (o.json || s->records > 0)
        print_features(&o, s);
    cli_integer(&o, "text_bytes", s->text_bytes);
    cli_integer(&o, "gzip_bytes", s->gzip_bytes);
    cli_number(&o, "gzip_share", s->gzip_share, 4);
    if (o.json || v->against.count > 0) {
        cli_integer(&o, "compared_bytes", s->compared_bytes);
        cli_integer(&o, "compared_gzip_bytes", s->compared_gzip_bytes);
        cli_integer(&o, "against_gzip_bytes", s->against_gzip_bytes);
    }
    cli_number(&o, "gzip_ratio", s->gzip_ratio, 4);
    print_readability(&o, s);
    print_openings(&o, s);
    if (o.json || v->word_lists.count > 0)
        print_lists(&o, s);
    cli_output_end(&o);
}

static ts_status stats(void *values)
{
    stats_values *v = values;
    cli_progress progress;
    ts_dataset_options options = v->options;
    ts_dataset_statistics statistics = {.struct_size = sizeof statistics};
    for (size_t i = 0; i < v->against.count; i++)
        if (strcmp(v->against.items[i], "-") == 0)
            return cli_usage("--against is '-', expected files: they are read twice");
    options.against = v->against.count > 0 ? v->against.items : NULL;
    options.against_count = v->against.count;
    options.word_lists = v->word_lists.count > 0 ? v->word_lists.items : NULL;
    options.word_list_count = v->word_lists.count;
    options.progress = cli_progress_tell;
    options.progress_user = &progress;
    cli_progress_start(&progress, &v->common, "counting", "bytes");
    ts_status status = ts_dataset_stats(&statistics, v->common.runtime, v->files.items, v->files.count, &options);
    cli_progress_end(&progress);
    if (status == TS_OK)
        print_statistics(v, &statistics);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(stats_values, member)
static const cli_argument stats_arguments[] = {
    {"FILE", NULL, CLI_PATHS, CLI_REQUIRED, OFFSET(files), 0, 0, NULL, "files of stories (.txt, .jsonl, .json, .gz, .tar, .tgz); - for standard input"},
    {"--against", "TEXT", CLI_PATHS, 0, OFFSET(against), 0, 0, NULL, "stories to compare with: how well either text compresses, at equal bytes"},
    {"--word-list", "FILE", CLI_PATHS, 0, OFFSET(word_lists), 0, 0, NULL, "words to count: how many of them the stories use, and how much of the text they are"},
    {"--opening", "N", CLI_UINT32, 0, OFFSET(options.opening_words), 1, 16, NULL, "words of an opening phrase"},
};
#undef OFFSET

const cli_command cli_dataset_commands[] = {
    {"dataset", "generate", "write stories with the embedded author, which needs no network", NULL, generate_arguments, CLI_COUNT_OF(generate_arguments),
     sizeof(generate_values), generate_defaults, generate},
    {"dataset", "stats", "count stories and words, and how much of it is said twice",
     "A word is a run of letters and digits, with apostrophes between them; the case of ASCII letters is ignored. A 4-gram is four words in a row of a story.\n"
     "once_share: of the kinds of 4-grams those that occur once. once_occurrence_share: the same of their occurrences.\n"
     "gzip_share: the compressed text over the text. gzip_ratio: below 1 the text repeats itself more than the one it is compared with.\n"
     "flesch_reading_ease: the higher, the easier; flesch_kincaid_grade: years at school. opening_share: of the stories, that begin in the most frequent way.",
     stats_arguments, CLI_COUNT_OF(stats_arguments), sizeof(stats_values), stats_defaults, stats},
    {0},
};

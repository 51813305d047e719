/* dataset generate, dataset stats */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { BLOCKS_AHEAD = 4 };

/* ---- generate ---- */

typedef struct generate_values {
    cli_common common;
    uint64_t count;
    const char *out;
    cli_paths features;
    uint32_t format, offline;
    const char *shard;
    cli_paths keep_unfit;
    cli_asking asking;
    ts_generator_options options;
    cli_chat chat;
} generate_values;

static const char *format_name(size_t index)
{
    static const char *const names[] = {"txt", "jsonl"};
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static const char *author_name(size_t index)
{
    static const char *const names[] = {"embedded", "chat"}; /* in the order of TS_AUTHOR_ */
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static void generate_defaults(void *values)
{
    generate_values *v = values;
    v->count = 1000;
    v->asking.poll = CLI_POLL;
    cli_chat_defaults(&v->chat);
    ts_generator_options_init(&v->options, sizeof v->options);
}

static const char *feature_name(size_t index)
{
    return index < TS_FEATURE_COUNT ? ts_feature_name(1u << index) : NULL;
}

static const char *unfit_name(size_t index)
{
    static const char *const names[] = {"words", "language"}; /* in the order of the TS_UNFIT_ bits */
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

/* Takes the named reasons out of those that a story is not used for. */
static ts_status choose_reject(const cli_paths *keep, uint32_t *reject)
{
    for (size_t i = 0; i < keep->count; i++) {
        uint32_t index;
        CLI_TRY(cli_choose("--keep-unfit", keep->items[i], unfit_name, &index));
        *reject &= ~(1u << index);
    }
    return TS_OK;
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

static int32_t heed_signals(void *user, uint64_t done, uint64_t total)
{
    (void)user, (void)done, (void)total;
    return cli_interrupted();
}

/* A chat service is asked for a block of stories at a time, and they are printed when it has come. */
static ts_status ask_ahead(ts_generator *generator, const generate_values *v, uint64_t done)
{
    uint64_t block = (uint64_t)BLOCKS_AHEAD * v->chat.options.in_flight, left = v->count - done;
    if (v->options.author != TS_AUTHOR_CHAT || done % block != 0)
        return TS_OK;
    fflush(stdout);
    return ts_generator_ask(generator, left < block ? left : block, heed_signals, NULL);
}

static ts_status print_stories(ts_generator *generator, const generate_values *v)
{
    char *line = NULL;
    ts_status status = TS_OK;
    for (uint64_t i = 0; i < v->count && status == TS_OK && !ferror(stdout); i++) {
        ts_story story = {.struct_size = sizeof story};
        size_t size = 0;
        status = ask_ahead(generator, v, i);
        status = status == TS_OK ? ts_generator_next(generator, &story) : status;
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

typedef struct chat_progress {
    cli_progress progress; /* first: it is one */
    ts_generator *generator;
} chat_progress;

/* How many of the stories before index `end` belong to the shard, which has whole calls. */
static uint64_t count_before(const generate_values *v, uint64_t end)
{
    uint64_t group = v->options.stories_a_call, calls = end / group, shard = v->options.shard, shards = v->options.shards;
    return (calls > shard ? (calls - shard - 1) / shards + 1 : 0) * group + (calls % shards == shard ? end % group : 0);
}

/* A story of call number `i` of those that will be made. */
static uint64_t story_of_call(const generate_values *v, uint64_t i)
{
    uint64_t group = v->options.stories_a_call, call = v->options.first / group, shards = v->options.shards;
    return (call + (v->options.shard + shards - call % shards) % shards + i * shards) * group;
}

/* The running total stands in the line too; the generator answers that within its own callback. */
static int32_t tell_chat(void *user, uint64_t done, uint64_t total)
{
    chat_progress *c = user;
    ts_chat_report report = {.struct_size = sizeof report};
    if (!cli_progress_due(&c->progress) || ts_generator_chat_report(c->generator, &report) != TS_OK)
        return cli_interrupted();
    cli_progress_line(&c->progress, "asking: %llu of %llu stories, %llu requests, %llu tokens, money %.4g%s", (unsigned long long)done,
                      (unsigned long long)total, (unsigned long long)report.requests,
                      (unsigned long long)(report.prompt_tokens + report.completion_tokens), report.money,
                      cli_interrupted() > 0 ? "; waiting for what is in flight" : "");
    return cli_interrupted();
}

static ts_status write_stories(ts_generator *generator, const generate_values *v)
{
    chat_progress c = {.generator = generator};
    ts_chat_report report = {.struct_size = sizeof report};
    bool chat = v->options.author == TS_AUTHOR_CHAT;
    (chat ? cli_chat_progress_start : cli_progress_start)(&c.progress, &v->common, "writing", "stories");
    ts_status status = ts_generator_write(generator, v->count, v->out, chat ? tell_chat : cli_progress_tell, &c);
    cli_progress_end(&c.progress);
    if (status != TS_OK && !chat)
        return status;
    if (chat) {
        char detail[512];
        snprintf(detail, sizeof detail, "%s", ts_error_detail());
        CLI_TRY(ts_generator_chat_report(generator, &report));
        if (status != TS_OK)
            return cli_chat_failed(status == TS_ERROR_CANCELLED ? "interrupted" : detail, &v->chat, &report);
    }
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_integer(&o, "stories", v->count);
    cli_integer(&o, "seed", v->options.seed);
    cli_number(&o, "seconds", cli_clock() - c.progress.started, 2);
    if (chat)
        cli_chat_report(&o, &report);
    cli_output_end(&o);
    return TS_OK;
}

/* What the journal has, and nothing else. */
static ts_status write_offline(ts_generator *generator, const generate_values *v)
{
    ts_chat_report report = {.struct_size = sizeof report};
    uint64_t written = 0;
    CLI_TRY(ts_generator_export(generator, v->out, &written));
    CLI_TRY(ts_generator_chat_report(generator, &report));
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_integer(&o, "stories", written);
    cli_integer(&o, "seed", v->options.seed);
    cli_chat_report(&o, &report);
    cli_output_end(&o);
    return TS_OK;
}

/* ---- what is asked of a service ---- */

typedef struct asked_stories {
    ts_generator *generator;
    const generate_values *values;
} asked_stories;

static ts_status show_call(void *user, uint64_t place, char *text, size_t capacity, size_t *size)
{
    const asked_stories *a = user;
    return ts_generator_prompt(a->generator, story_of_call(a->values, place), text, capacity, size);
}

static ts_status estimate(void *user, ts_chat_report *report)
{
    const asked_stories *a = user;
    return ts_generator_estimate(a->generator, a->values->count, report);
}

static ts_status bill(void *user, ts_chat_report *report)
{
    return ts_generator_chat_report(((asked_stories *)user)->generator, report);
}

static ts_status step(void *user, ts_batch_report *report)
{
    const asked_stories *a = user;
    return ts_generator_batch_step(a->generator, a->values->count, report);
}

static ts_status write_requests(void *user, const char *path, ts_batch_report *report)
{
    const asked_stories *a = user;
    return ts_generator_batch_write(a->generator, a->values->count, path, report);
}

static ts_status read_results(void *user, const char *path, ts_batch_report *report)
{
    const asked_stories *a = user;
    return ts_generator_batch_read(a->generator, a->values->count, path, report);
}

static ts_status merge(void *user, const char *journal)
{
    return ts_generator_merge(((asked_stories *)user)->generator, journal, NULL);
}

static ts_status run_asking(ts_generator *generator, const generate_values *v, bool *complete)
{
    asked_stories user = {generator, v};
    const cli_asked asked = {&v->common, &v->asking, &v->chat, &user, (v->count - 1) / v->options.stories_a_call + 1, show_call, estimate, bill, step,
                             write_requests, read_results, merge};
    return cli_asking_run(&asked, complete);
}

/* The library divides the bounds. */
static ts_status choose_shard(generate_values *v)
{
    CLI_TRY(cli_shard(v->shard, &v->options.shard, &v->options.shards));
    v->count = count_before(v, v->options.first + v->count) - count_before(v, v->options.first);
    return v->count > 0 ? TS_OK : cli_fail("--shard is '%s', but there are fewer stories than shards", v->shard);
}

static ts_status choose_author(generate_values *v)
{
    CLI_TRY(choose_shard(v));
    if (v->options.author == TS_AUTHOR_CHAT) {
        v->options.chat = &v->chat.options;
        return cli_chat_begin(&v->common, &v->chat, v->asking.dry != 0);
    }
    CLI_TRY(cli_chat_refuse(&v->common, &v->chat, "--author embedded"));
    CLI_TRY(cli_refuse_part(&v->common, &v->asking, sizeof v->asking, "--author embedded"));
    static const char *const others[] = {"--prompt", "--varied", "--stories-a-call", "--keep-unfit", "--asks", "--offline"};
    for (size_t i = 0; i < CLI_COUNT_OF(others); i++)
        if (cli_given(&v->common, others[i]))
            return cli_usage("%s is for a chat service, but this is --author embedded", others[i]);
    return TS_OK;
}

static ts_status run_generate(generate_values *v)
{
    ts_generator *generator = NULL;
    bool stream = strcmp(v->out, "-") == 0, complete = true;
    CLI_TRY(ts_generator_new(&generator, v->common.runtime, &v->options));
    ts_status status = v->options.author == TS_AUTHOR_CHAT ? run_asking(generator, v, &complete) : TS_OK;
    if (status == TS_OK && complete)
        status = v->offline || v->asking.merge.count > 0 ? write_offline(generator, v) : (stream ? print_stories : write_stories)(generator, v);
    ts_generator_free(generator);
    return status;
}

static ts_status generate(void *values)
{
    generate_values *v = values;
    if (cli_given(&v->common, "--format") && strcmp(v->out, "-") != 0)
        return cli_usage("--format is for --out -; a file's name tells its format");
    if (v->offline || v->asking.merge.count > 0) {
        static const char *const others[] = {"--count", "--first", "--shard", "--dry-run", "--batch", "--batch-write", "--batch-read"};
        for (size_t i = 0; i < CLI_COUNT_OF(others); i++)
            if (cli_given(&v->common, others[i]))
                return cli_usage("%s is for asking, but --merge and --offline write what the journal has", others[i]);
        if (strcmp(v->out, "-") == 0)
            return cli_usage("--out is '-', expected a file for --merge and --offline");
    }
    CLI_TRY(cli_check_out(&v->common, v->asking.dry ? NULL : v->out, !cli_asking_batches(&v->asking)));
    CLI_TRY(choose_features(v));
    CLI_TRY(choose_reject(&v->keep_unfit, &v->options.reject));
    ts_status status = choose_author(v);
    if (status == TS_OK)
        status = run_generate(v);
    cli_chat_end(&v->chat);
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
    {"--hero", "NAME", CLI_TEXT, 0, OFFSET(options.hero_name), 0, 0, NULL, "of the vocabulary's: the hero's name in every story (default: drawn for each)"},
    {"--friend", "NAME", CLI_TEXT, 0, OFFSET(options.friend_name), 0, 0, NULL, "the same of the hero's friend"},
    {"--plots", "N", CLI_UINT64, 0, OFFSET(options.plots), 0, 0, NULL, "tell only the first N plots; 0: all"},
    {"--format", "NAME", CLI_CHOICE, 0, OFFSET(format), 0, 0, format_name, "of standard output"},
    {"--shard", "i/N", CLI_TEXT, 0, OFFSET(shard), 0, 0, NULL, "only the stories whose index is i modulo N; bounds and paces are divided by N"},
    {"--author", "NAME", CLI_CHOICE, 0, OFFSET(options.author), 0, 0, author_name, "who writes; what follows is for chat"},
    {"--prompt", "FILE", CLI_TEXT, 0, OFFSET(options.prompt), 0, 0, NULL, "template of what the service is asked; its form is told in prompt.txt"},
    {"--varied", NULL, CLI_FLAG, 0, OFFSET(options.varied), 0, 0, NULL, "draw a theme, a topic, a style, a narrator, a first word and a length too"},
    {"--stories-a-call", "N", CLI_UINT32, 0, OFFSET(options.stories_a_call), 1, 64, NULL, "ask for several stories at a time"},
    {"--keep-unfit", "NAME", CLI_PATHS, 0, OFFSET(keep_unfit), 0, 0, unfit_name, "use stories too that lack a drawn word, or are not in English (default: neither)"},
    {"--asks", "N", CLI_UINT32, 0, OFFSET(options.asks), 1, 8, NULL, "ask so often at most for a story that cannot be used; each time is paid for"},
    {"--merge", "JOURNAL", CLI_PATHS, 0, OFFSET(asking.merge), 0, 0, NULL, "take the replies of other shards' journals into this one, then as --offline"},
    {"--offline", NULL, CLI_FLAG, 0, OFFSET(offline), 0, 0, NULL, "send nothing: write every story that the journal has, in the order of their indices"},
    CLI_ASKING_ARGUMENTS(generate_values, asking, "stories"),
    CLI_CHAT_ARGUMENTS(generate_values, chat, ""),
};
#undef OFFSET
/* clang-format on */

/* ---- export ---- */

typedef struct export_values {
    cli_common common;
    const char *journal, *out;
    cli_paths keep_unfit;
} export_values;

static ts_status export_journal(void *values)
{
    export_values *v = values;
    ts_chat_report report = {.struct_size = sizeof report};
    uint32_t reject = TS_UNFIT_WORDS | TS_UNFIT_LANGUAGE;
    uint64_t written = 0;
    if (strcmp(v->out, "-") == 0)
        return cli_usage("--out is '-', expected a file");
    CLI_TRY(cli_check_out(&v->common, v->out, false));
    CLI_TRY(choose_reject(&v->keep_unfit, &reject));
    CLI_TRY(ts_journal_export(v->common.runtime, v->journal, v->out, reject, &written, &report));
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_integer(&o, "stories", written);
    cli_chat_report(&o, &report);
    cli_output_end(&o);
    return TS_OK;
}

/* clang-format off */
#define OFFSET(member) offsetof(export_values, member)
static const cli_argument export_arguments[] = {
    {"--journal", "FILE", CLI_TEXT, CLI_REQUIRED, OFFSET(journal), 0, 0, NULL, "of dataset generate; it is read and not changed"},
    {"--out", "FILE", CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "file to write: .txt or .jsonl, each also with .gz"},
    {"--keep-unfit", "NAME", CLI_PATHS, 0, OFFSET(keep_unfit), 0, 0, unfit_name, "write stories too that lack a drawn word, or are not in English (default: neither)"},
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

static const char *const kind_names[TS_DATASET_KINDS] = {"verbs", "nouns", "adjectives"};

static void print_lists(cli_output *o, const ts_dataset_statistics *s)
{
    cli_integer(o, "list_words", s->list_words);
    cli_integer(o, "list_words_used", s->list_words_used);
    cli_integer(o, "listed_words", s->listed_words);
    cli_number(o, "listed_share", s->listed_share, 4);
    cli_number(o, "list_share_used", s->list_share_used, 4);
    cli_open(o, "kinds", '{');
    for (size_t i = 0; i < TS_DATASET_KINDS && (o->json || s->kind_words[i] > 0); i++) {
        if (!o->json) {
            printf("  %-12s %8llu words, %llu used (%.4f), %llu occurrences\n", kind_names[i], (unsigned long long)s->kind_words[i],
                   (unsigned long long)s->kind_words_used[i], s->kind_share_used[i], (unsigned long long)s->kind_occurrences[i]);
            continue;
        }
        cli_open(o, kind_names[i], '{');
        cli_integer(o, "words", s->kind_words[i]);
        cli_integer(o, "used", s->kind_words_used[i]);
        cli_integer(o, "occurrences", s->kind_occurrences[i]);
        cli_number(o, "share_used", s->kind_share_used[i], 4);
        cli_close(o, '}');
    }
    cli_close(o, '}');
}

/* How many of 1 to 4 words in a row are different ones, and how many words there are in ever longer beginnings of the text. */
static void print_variety(cli_output *o, const ts_dataset_statistics *s)
{
    static const char *const points[TS_DATASET_GROWTH] = {"10000", "100000", "1000000"};
    cli_open(o, "ngrams", o->json ? '[' : '{');
    for (size_t n = 0; n < TS_DATASET_NGRAMS; n++) {
        if (!o->json) {
            printf("  %zu word%s %12llu, %llu distinct (%.4f)\n", n + 1, n > 0 ? "s" : " ", (unsigned long long)s->ngrams[n],
                   (unsigned long long)s->distinct_ngrams[n], s->distinct_ngram_share[n]);
            continue;
        }
        cli_open(o, NULL, '{');
        cli_integer(o, "words", n + 1);
        cli_integer(o, "occurrences", s->ngrams[n]);
        cli_integer(o, "distinct", s->distinct_ngrams[n]);
        cli_number(o, "distinct_share", s->distinct_ngram_share[n], 4);
        cli_close(o, '}');
    }
    cli_close(o, o->json ? ']' : '}');
    cli_open(o, "growth_words", '{');
    for (size_t i = 0; i < TS_DATASET_GROWTH; i++)
        if (o->json || s->growth_words[i] > 0)
            cli_integer(o, points[i], s->growth_words[i]);
    cli_close(o, '}');
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
    print_variety(&o, s);
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
    {"--word-list", "FILE", CLI_PATHS, 0, OFFSET(word_lists), 0, 0, NULL, "words to count: how many of them the stories use, and how much of the text they are (default: the built-in vocabulary)"},
    {"--opening", "N", CLI_UINT32, 0, OFFSET(options.opening_words), 1, 16, NULL, "words of an opening phrase"},
};
#undef OFFSET

const cli_command cli_dataset_commands[] = {
    {"dataset", "generate", "write stories: with the embedded author, which needs no network, or a chat service", cli_chat_notes, generate_arguments, CLI_COUNT_OF(generate_arguments),
     sizeof(generate_values), generate_defaults, generate},
    {"dataset", "export", "write the stories that a chat service's journal holds, whatever they were asked with",
     "For a journal that 'dataset generate' does not take any more, since the template, the words, the sampling or the library are others now. Nothing is sent.",
     export_arguments, CLI_COUNT_OF(export_arguments), sizeof(export_values), NULL, export_journal},
    {"dataset", "stats", "count stories and words, and how much of it is said twice",
     "A word is a run of letters and digits, with apostrophes between them; the case of ASCII letters is ignored. A 4-gram is four words in a row of a story.\n"
     "once_share: of the kinds of 4-grams those that occur once. once_occurrence_share: the same of their occurrences.\n"
     "gzip_share: the compressed text over the text. gzip_ratio: below 1 the text repeats itself more than the one it is compared with.\n"
     "distinct share of n-grams: kinds over occurrences. growth_words: distinct words among the first 10,000, 100,000 and 1,000,000 words.\n"
     "list_words: words of --word-list, a vocabulary as --vocabulary of 'dataset generate' has it (counted in any form) or just words.\n"
     "flesch_reading_ease: the higher, the easier; flesch_kincaid_grade: years at school. opening_share: of the stories, that begin in the most frequent way.",
     stats_arguments, CLI_COUNT_OF(stats_arguments), sizeof(stats_values), stats_defaults, stats},
    {0},
};

/* What is in files of stories: one pass that counts, and one more over a text that is compared with. */
#include "tinystories/dataset.h"

#include "base/base.h"
#include "format/format.h"
#include "generator/openings.h"
#include "text/text.h"

#include <math.h>

#define NOT_A_NUMBER ((double)NAN)

_Static_assert(TS_DATASET_BINS == TS_COUNT_OF(((ts_dataset_statistics *)0)->histogram), "the header says how many bins there are");
_Static_assert(TS_FEATURE_COUNT == TS_COUNT_OF(((ts_dataset_statistics *)0)->features), "the header says how many features there are");

static const ts_dataset_options defaults = {.struct_size = sizeof defaults, .opening_words = 4};

ts_status ts_dataset_options_init(ts_dataset_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_dataset_options");
}

/* The beginning of a text that is compressed, to know its size. */
typedef struct measure {
    ts_gzip_writer *writer;
    uint64_t room; /* bytes that it still takes */
} measure;

typedef struct counting {
    ts_runtime *runtime;
    const ts_dataset_options *options;
    ts_stories *stories, *against;
    uint64_t total, base, told;                /* bytes of all passes, of those that are done, and that progress was told of */
    ts_tally texts, ngrams[TS_DATASET_NGRAMS]; /* ngrams[n]: of n + 1 words */
    ts_openings openings;
    ts_listed listed;
    uint32_t *lengths; /* words of each story */
    size_t length_capacity;
    measure whole, compared;
    ts_dataset_statistics result;
} counting;

/* ---- texts that are compressed ---- */

static ts_status measure_open(measure *m, ts_runtime *runtime, uint64_t room)
{
    m->room = room;
    return ts_gzip_measure_open(&m->writer, runtime);
}

static void measure_bytes(measure *m, const char *data, size_t size)
{
    size_t taken = (size_t)TS_MIN(m->room, (uint64_t)size);
    if (m->writer != NULL && taken > 0)
        ts_gzip_writer_bytes(m->writer, data, taken);
    m->room -= taken;
}

static void measure_story(measure *m, const char *story, size_t size)
{
    measure_bytes(m, story, size);
    measure_bytes(m, "\n", 1);
}

static uint64_t measure_end(measure *m)
{
    uint64_t size;
    ts_gzip_measure_end(m->writer, &size);
    m->writer = NULL;
    return size;
}

/* ---- one story ---- */

static const char *find(const char *text, const char *end, const char *wanted)
{
    size_t size = strlen(wanted);
    for (; text != NULL && (size_t)(end - text) >= size; text++) {
        text = memchr(text, wanted[0], (size_t)(end - text) - size + 1);
        if (text == NULL || memcmp(text, wanted, size) == 0)
            return text;
    }
    return NULL;
}

/* Whether there is text between an opening mark and the first closing one behind it. */
static bool has_quotation(const char *text, size_t size, const char *opening, const char *closing)
{
    const char *end = text + size, *begin = find(text, end, opening);
    while (begin != NULL) {
        begin += strlen(opening);
        const char *stop = find(begin, end, closing);
        if (stop == NULL)
            return false;
        if (stop > begin)
            return true;
        begin = find(stop + strlen(closing), end, opening);
    }
    return false;
}

static void count_feature(ts_dataset_statistics *s, const char *name)
{
    for (uint32_t i = 0; name != NULL && i < TS_FEATURE_COUNT; i++)
        if (strcmp(name, ts_feature_name(1u << i)) == 0) {
            s->features[i]++;
            return;
        }
    s->other_features++;
}

static void count_record(ts_dataset_statistics *s, const ts_json *record)
{
    const ts_json *list = ts_json_get(ts_json_get(record, "instruction"), "features");
    if (ts_json_kind_of(list) != TS_JSON_ARRAY)
        list = ts_json_get(record, "features");
    if (ts_json_kind_of(list) != TS_JSON_ARRAY)
        return;
    s->records++;
    for (const ts_json *feature = ts_json_first(list); feature != NULL; feature = ts_json_next(feature))
        count_feature(s, ts_json_text(feature));
}

/* The vocabulary at 10,000 words and ten times as many, twice. */
static void note_growth(counting *c)
{
    static const uint64_t points[TS_DATASET_GROWTH] = {10000, 100000, 1000000};
    for (size_t i = 0; i < TS_DATASET_GROWTH; i++)
        if (c->ngrams[0].seen == points[i])
            c->result.growth_words[i] = c->ngrams[0].kinds;
}

/* Counts words and n-grams; gives the words of the story. */
static ts_status count_words(counting *c, const char *text, size_t size, uint32_t *length)
{
    enum { MOST = TS_DATASET_NGRAMS };
    uint64_t recent[MOST] = {0}; /* the hashes of the last words */
    const char *word;
    size_t word_size;
    *length = 0;
    while (ts_plain_word(&text, &size, &word, &word_size)) {
        memmove(recent, recent + 1, sizeof recent - sizeof recent[0]);
        recent[MOST - 1] = ts_plain_word_hash(word, word_size);
        TS_TRY(ts_tally_add(&c->ngrams[0], recent[MOST - 1]));
        note_growth(c);
        c->result.syllables += ts_syllables(word, word_size);
        ts_listed_use(&c->listed, recent[MOST - 1]);
        ++*length;
        for (size_t n = 2; n <= TS_MIN((size_t)*length, (size_t)MOST); n++)
            TS_TRY(ts_tally_add(&c->ngrams[n - 1], ts_hash(recent + MOST - n, n * sizeof recent[0], 0)));
    }
    return TS_OK;
}

/* Sentences that have a word: a line of stars is none. */
static void count_sentences(ts_dataset_statistics *s, const char *text, size_t size)
{
    const char *sentence, *word;
    size_t sentence_size, word_size;
    while (ts_sentence(&text, &size, &sentence, &sentence_size))
        s->sentences += ts_plain_word(&sentence, &sentence_size, &word, &word_size);
}

static ts_status count_story(counting *c, const char *text, size_t size)
{
    ts_dataset_statistics *s = &c->result;
    uint32_t length;
    TS_TRY(ts_tally_add(&c->texts, ts_hash(text, size, 0)));
    TS_TRY(count_words(c, text, size, &length));
    count_sentences(s, text, size);
    TS_TRY(ts_openings_add(&c->openings, text, size, c->options->opening_words));
    TS_TRY(ts_reserve(c->runtime, &c->lengths, &c->length_capacity, (size_t)s->stories + 1, sizeof *c->lengths));
    c->lengths[s->stories++] = length;
    s->histogram[TS_MIN(length / TS_DATASET_BIN_WORDS, TS_DATASET_BINS - 1)]++;
    s->bytes += size;
    s->dialogue_stories += has_quotation(text, size, "\"", "\"") || has_quotation(text, size, "\xe2\x80\x9c", "\xe2\x80\x9d");
    count_record(s, ts_stories_record(c->stories));
    measure_story(&c->whole, text, size);
    measure_story(&c->compared, text, size);
    return TS_OK;
}

/* ---- the passes ---- */

/* Tells the progress once a piece of the file was read, which is not at every story. */
static ts_status tell(counting *c, const ts_stories *stories)
{
    uint64_t done = c->base + ts_stories_position(stories);
    if (c->options->progress == NULL || done == c->told)
        return TS_OK;
    c->told = done;
    if (c->options->progress(c->options->progress_user, done, c->total) != 0)
        return ts_fail(TS_ERROR_CANCELLED, "stopped by the progress callback after %llu bytes", (unsigned long long)done);
    return TS_OK;
}

/* Reads `against`: counts the bytes of its text, and compresses them if there is something to compress with. */
static ts_status read_against(counting *c, measure *m, uint64_t *bytes)
{
    const char *text;
    size_t size;
    *bytes = 0;
    while (m->writer == NULL || m->room > 0) {
        TS_TRY(ts_stories_next(c->against, &text, &size));
        if (text == NULL)
            break;
        *bytes += (uint64_t)size + 1;
        measure_story(m, text, size);
        TS_TRY(tell(c, c->against));
    }
    c->base += ts_stories_position(c->against);
    return TS_OK;
}

static ts_status count_stories(counting *c)
{
    const char *text;
    size_t size;
    for (;;) {
        TS_TRY(ts_stories_next(c->stories, &text, &size));
        if (text == NULL)
            break;
        TS_TRY(count_story(c, text, size));
        TS_TRY(tell(c, c->stories));
    }
    c->base += ts_stories_position(c->stories);
    return TS_OK;
}

/* How long `against` is must be known before the stories are read, and how long these are before `against` is compressed. */
static ts_status count_all(counting *c, const char *const *paths)
{
    const ts_dataset_options *o = c->options;
    ts_dataset_statistics *s = &c->result;
    measure other = {0};
    uint64_t against_bytes = 0, unused;
    if (c->against != NULL) {
        TS_TRY(read_against(c, &other, &against_bytes));
        if (against_bytes == 0)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there is no story to compare with", o->against[0]);
        TS_TRY(measure_open(&c->compared, c->runtime, against_bytes));
    }
    TS_TRY(measure_open(&c->whole, c->runtime, UINT64_MAX));
    TS_TRY(count_stories(c));
    if (s->stories == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there is no story to count", paths[0]);
    s->text_bytes = s->bytes + s->stories;
    s->gzip_bytes = measure_end(&c->whole);
    if (c->against == NULL)
        return TS_OK;
    s->compared_bytes = TS_MIN(against_bytes, s->text_bytes);
    s->compared_gzip_bytes = measure_end(&c->compared);
    ts_stories_close(c->against);
    c->against = NULL;
    TS_TRY(ts_stories_open(&c->against, c->runtime, o->against, o->against_count));
    TS_TRY(measure_open(&c->compared, c->runtime, s->compared_bytes));
    TS_TRY(read_against(c, &c->compared, &unused));
    s->against_gzip_bytes = measure_end(&c->compared);
    return TS_OK;
}

/* ---- results ---- */

/* The least length that `share` of the stories do not exceed, found by halving: no order, no more memory. */
static uint64_t length_at(const counting *c, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)c->result.stories), low = 0, high = UINT32_MAX;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, within = 0;
        for (uint64_t i = 0; i < c->result.stories; i++)
            within += c->lengths[i] <= middle;
        if (within >= TS_MAX(wanted, (uint64_t)1))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static double share_of(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NOT_A_NUMBER;
}

static void finish(counting *c)
{
    ts_dataset_statistics *s = &c->result;
    s->distinct_stories = c->texts.kinds;
    for (size_t n = 0; n < TS_DATASET_NGRAMS; n++) {
        s->ngrams[n] = c->ngrams[n].seen;
        s->distinct_ngrams[n] = c->ngrams[n].kinds;
        s->distinct_ngram_share[n] = share_of(s->distinct_ngrams[n], s->ngrams[n]);
    }
    s->words = s->ngrams[0];
    s->distinct_words = s->distinct_ngrams[0];
    s->fourgrams = s->ngrams[3];
    s->distinct_fourgrams = s->distinct_ngrams[3];
    s->fourgrams_once = c->ngrams[3].once;
    s->min_words = length_at(c, 0);
    s->p5_words = length_at(c, 0.05);
    s->median_words = length_at(c, 0.5);
    s->p95_words = length_at(c, 0.95);
    s->max_words = length_at(c, 1);
    s->mean_words = share_of(s->words, s->stories);
    s->once_share = share_of(s->fourgrams_once, s->distinct_fourgrams);
    s->once_occurrence_share = share_of(s->fourgrams_once, s->fourgrams);
    s->dialogue_share = share_of(s->dialogue_stories, s->stories);
    s->gzip_share = share_of(s->gzip_bytes, s->text_bytes);
    s->gzip_ratio = share_of(s->compared_gzip_bytes, s->against_gzip_bytes);
    s->words_per_sentence = share_of(s->words, s->sentences);
    s->syllables_per_word = share_of(s->syllables, s->words);
    s->flesch_reading_ease = 206.835 - 1.015 * s->words_per_sentence - 84.6 * s->syllables_per_word;
    s->flesch_kincaid_grade = 0.39 * s->words_per_sentence + 11.8 * s->syllables_per_word - 15.59;
    ts_openings_report(&c->openings, s);
    s->opening_share = share_of(s->opening_stories[0], s->stories);
    ts_listed_report(&c->listed, s);
    s->listed_share = share_of(s->listed_words, s->words);
    s->list_share_used = share_of(s->list_words_used, s->list_words);
    for (size_t i = 0; i < TS_DATASET_KINDS; i++)
        s->kind_share_used[i] = share_of(s->kind_words_used[i], s->kind_words[i]);
}

/* ---- the call ---- */

static ts_status check_paths(const char *const *paths, size_t count, const char *name)
{
    if (paths == NULL || count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_stats: %s names no file", name);
    for (size_t i = 0; i < count; i++) {
        if (paths[i] == NULL)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_stats: %s[%zu] is NULL", name, i);
        if (ts_path_is_shard(paths[i]))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: is a token shard, expected stories (.txt, .jsonl, .gz)", paths[i]);
    }
    return TS_OK;
}

static ts_status check_against(const ts_dataset_options *o)
{
    if (o->against == NULL && o->against_count == 0)
        return TS_OK;
    TS_TRY(check_paths(o->against, o->against_count, "options.against"));
    for (size_t i = 0; i < o->against_count; i++)
        if (strcmp(o->against[i], "-") == 0)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.against is \"-\", expected files: they are read twice");
    return TS_OK;
}

static ts_status check_lists(const ts_dataset_options *o)
{
    if (o->opening_words < 1 || o->opening_words > 16)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.opening_words is %u, expected 1 to 16", o->opening_words);
    if ((o->word_lists == NULL) != (o->word_list_count == 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.word_lists and word_list_count disagree");
    for (size_t i = 0; i < o->word_list_count; i++)
        if (o->word_lists[i] == NULL)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.word_lists[%zu] is NULL", i);
    return TS_OK;
}

static ts_status open_all(counting *c, const char *const *paths, size_t count)
{
    TS_TRY(ts_listed_read(&c->listed, c->runtime, c->options->word_lists, c->options->word_list_count));
    TS_TRY(ts_stories_open(&c->stories, c->runtime, paths, count));
    c->total = ts_stories_total(c->stories);
    if (c->options->against == NULL)
        return TS_OK;
    TS_TRY(ts_stories_open(&c->against, c->runtime, c->options->against, c->options->against_count));
    if (c->total > 0) /* read whole the first time, and the second at most */
        c->total += 2 * ts_stories_total(c->against);
    return TS_OK;
}

static void free_counting(counting *c)
{
    ts_stories_close(c->stories);
    ts_stories_close(c->against);
    ts_gzip_writer_abandon(c->whole.writer);
    ts_gzip_writer_abandon(c->compared.writer);
    ts_tally_free(&c->texts);
    for (size_t n = 0; n < TS_DATASET_NGRAMS; n++)
        ts_tally_free(&c->ngrams[n]);
    ts_openings_free(&c->openings);
    ts_listed_free(&c->listed);
    ts_release(c->runtime, c->lengths);
    ts_runtime_release(c->runtime);
}

ts_status ts_dataset_stats(ts_dataset_statistics *statistics, ts_runtime *runtime, const char *const *paths, size_t path_count,
                           const ts_dataset_options *options)
{
    ts_dataset_options own = defaults;
    TS_TRY(ts_options_read(&own, sizeof own, options, "ts_dataset_options"));
    TS_TRY(check_paths(paths, path_count, "paths"));
    TS_TRY(check_against(&own));
    TS_TRY(check_lists(&own));
    counting c = {.options = &own, .result = {.struct_size = sizeof c.result}};
    TS_TRY(ts_runtime_acquire(&c.runtime, runtime));
    c.texts.runtime = c.openings.runtime = c.openings.map.runtime = c.openings.texts.runtime = c.runtime;
    for (size_t n = 0; n < TS_DATASET_NGRAMS; n++)
        c.ngrams[n].runtime = c.runtime;
    ts_status status = open_all(&c, paths, path_count);
    if (status == TS_OK)
        status = count_all(&c, paths);
    if (status == TS_OK) {
        finish(&c);
        status = ts_report_write(statistics, &c.result, sizeof c.result, "ts_dataset_statistics");
    }
    free_counting(&c);
    return status;
}

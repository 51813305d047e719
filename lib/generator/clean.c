/* Cleans files of stories: batches are read in order, mended and hashed by all threads, then kept or dropped in order. */
#include "base/base.h"
#include "format/format.h"
#include "generator/duplicates.h"
#include "generator/rules.h"
#include "tinystories/dataset.h"

enum { BATCH_STORIES = 512, BATCH_BYTES = 4 << 20 };

/* A story of a batch: where it lies, and what becomes of it. Its buffers serve one batch after another. */
typedef struct slot {
    size_t text, text_size;     /* of the batch's texts */
    size_t record, record_size; /* of the batch's records: the other members of its object */
    bool other_source;
    ts_cleaning cleaning;
    uint64_t *words;
    size_t word_capacity;
    size_t shingle_capacity;
    ts_print print;
    uint32_t reason;
    ts_status status;
} slot;

typedef struct clean {
    ts_runtime *runtime;
    const ts_clean_options *options;
    ts_stories *against, *stories;
    ts_story_writer *out, *dropped;
    bool lines; /* the output takes records */
    uint64_t total, base, told;
    ts_excluded prompts;
    ts_duplicates known;
    uint32_t against_count; /* stories of `known` that are those of `against` */
    uint64_t *indices;      /* of the stories in `known` within their files */
    size_t index_capacity;
    slot *slots;
    size_t count; /* slots in use */
    ts_bytes texts, records;
    ts_bytes line;    /* of JSON */
    bool against_now; /* what is read is `against` */
    uint64_t index;   /* of the batch's first story */
    ts_clean_report report;
} clean;

/* ---- a story, on any thread ---- */

static ts_status hash_story(clean *c, slot *s)
{
    const ts_clean_options *o = c->options;
    const ts_bytes *text = &s->cleaning.text;
    size_t count;
    s->print.hash = ts_hash(text->data, text->size, 0);
    s->print.shingle_count = 0;
    if (!o->near_duplicates && c->prompts.ngrams.count == 0)
        return TS_OK;
    TS_TRY(ts_word_hashes(c->runtime, text->data, text->size, &s->words, &s->word_capacity, &count));
    if (!c->against_now && ts_excluded_within(&c->prompts, s->words, count)) {
        s->reason = TS_DROP_PROMPT;
        return TS_OK;
    }
    if (!o->near_duplicates)
        return TS_OK;
    TS_TRY(ts_reserve(c->runtime, &s->print.shingles, &s->shingle_capacity, TS_MAX(count, (size_t)1), sizeof *s->print.shingles));
    s->print.shingle_count = ts_shingles(s->words, count, o->shingle_words, s->print.shingles, s->print.keys);
    return TS_OK;
}

static ts_status prepare_story(clean *c, slot *s)
{
    TS_TRY(ts_clean_text(&s->cleaning, c->texts.data + s->text, s->text_size, c->options->steps));
    s->reason = TS_DROP_NONE;
    if (!c->against_now)
        s->reason = s->other_source ? TS_DROP_SOURCE : ts_rules_judge(c->options, s->cleaning.text.data, s->cleaning.text.size);
    return s->reason == TS_DROP_NONE ? hash_story(c, s) : TS_OK;
}

static void prepare(void *argument, size_t begin, size_t end, size_t worker)
{
    clean *c = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        c->slots[i].status = prepare_story(c, &c->slots[i]);
}

/* ---- keeping and dropping, in order ---- */

static ts_status remember(clean *c, const slot *s, uint64_t index)
{
    TS_TRY(ts_reserve(c->runtime, &c->indices, &c->index_capacity, (size_t)c->known.count + 1, sizeof *c->indices));
    c->indices[c->known.count] = index;
    return ts_duplicates_add(&c->known, &s->print);
}

static ts_status tell_dropped(clean *c, const slot *s, uint64_t index, uint32_t number, double similarity)
{
    ts_bytes *line = &c->line;
    char text[TS_DOUBLE_SIZE];
    if (c->dropped == NULL)
        return TS_OK;
    line->size = 0;
    TS_TRY(ts_bytes_format(line, "{\"index\": %llu, \"reason\": \"%s\"", (unsigned long long)index, ts_drop_name(s->reason)));
    if (number != TS_DUPLICATES_NONE) {
        ts_format_double(text, TS_MIN(similarity, 1.0));
        TS_TRY(ts_bytes_format(line, ", \"of\": %llu, \"jaccard\": %s", (unsigned long long)c->indices[number], text));
    }
    TS_TRY(ts_bytes_format(line, ", \"story\": "));
    TS_TRY(ts_json_string(line, s->cleaning.text.data, s->cleaning.text.size));
    TS_TRY(ts_bytes_add(line, "}", 1));
    ts_story_writer_add(c->dropped, line->data, line->size);
    return ts_story_writer_status(c->dropped);
}

static ts_status write_story(clean *c, const slot *s)
{
    const ts_bytes *text = &s->cleaning.text;
    c->report.kept++;
    c->report.kept_bytes += text->size;
    if (!c->lines) {
        ts_story_writer_add(c->out, text->data, text->size);
        return ts_story_writer_status(c->out);
    }
    c->line.size = 0;
    TS_TRY(ts_bytes_add(&c->line, "{\"story\": ", 10));
    TS_TRY(ts_json_string(&c->line, text->data, text->size));
    TS_TRY(ts_bytes_add(&c->line, c->records.data + s->record, s->record_size));
    TS_TRY(ts_bytes_add(&c->line, "}", 1));
    ts_story_writer_add(c->out, c->line.data, c->line.size);
    return ts_story_writer_status(c->out);
}

/* Looks whether the story is there already; the reason says as what. */
static ts_status compare_story(clean *c, slot *s, uint32_t *number, double *similarity)
{
    TS_TRY(ts_duplicates_find(&c->known, &s->print, true, number, similarity));
    bool same = *similarity > 1, overlaps = *number < c->against_count;
    if (*number != TS_DUPLICATES_NONE && same && !overlaps && c->options->keep_duplicates) {
        *number = TS_DUPLICATES_NONE; /* what is near a story that is kept twice was dropped when it came first */
        return TS_OK;
    }
    if (*number != TS_DUPLICATES_NONE)
        s->reason = overlaps ? (same ? TS_DROP_OVERLAP : TS_DROP_NEAR_OVERLAP) : (same ? TS_DROP_DUPLICATE : TS_DROP_NEAR_DUPLICATE);
    return TS_OK;
}

static ts_status decide(clean *c, slot *s, uint64_t index)
{
    uint32_t number = TS_DUPLICATES_NONE;
    double similarity = 0;
    ts_clean_report *r = &c->report;
    r->stories++;
    r->bytes += s->text_size;
    r->repaired_stories += s->cleaning.repaired > 0;
    r->repaired_characters += s->cleaning.repaired;
    r->punctuation_stories += s->cleaning.punctuation > 0;
    r->spaced_stories += s->cleaning.spaces;
    if (s->reason == TS_DROP_NONE)
        TS_TRY(compare_story(c, s, &number, &similarity));
    if (s->reason != TS_DROP_NONE) {
        r->dropped[s->reason]++;
        return tell_dropped(c, s, index, number, similarity);
    }
    TS_TRY(remember(c, s, index));
    return write_story(c, s);
}

/* A story of `against`. */
static ts_status take_against(clean *c, const slot *s, uint64_t index)
{
    return ts_hash_map_find(&c->known.same, s->print.hash) == TS_HASH_MAP_NONE ? remember(c, s, index) : TS_OK;
}

static ts_status finish_batch(clean *c)
{
    ts_parallel(c->runtime, c->count, 16, prepare, c);
    for (size_t i = 0; i < c->count; i++) {
        slot *s = &c->slots[i];
        if (s->status != TS_OK)
            return ts_fail(s->status, "no memory for a story of %zu bytes", s->text_size);
        TS_TRY(c->against_now ? take_against(c, s, c->index) : decide(c, s, c->index));
        c->index++;
    }
    c->count = c->texts.size = c->records.size = 0;
    return TS_OK;
}

/* ---- reading ---- */

static ts_status tell(clean *c, const ts_stories *stories)
{
    uint64_t done = c->base + ts_stories_position(stories);
    if (c->options->progress == NULL || done == c->told)
        return TS_OK;
    c->told = done;
    if (c->options->progress(c->options->progress_user, done, c->total) != 0)
        return ts_fail(TS_ERROR_CANCELLED, "stopped by the progress callback after %llu bytes", (unsigned long long)done);
    return TS_OK;
}

static ts_status take_story(clean *c, const ts_json *record, const char *text, size_t size)
{
    slot *s = &c->slots[c->count];
    const char *source = ts_json_text(ts_json_get(record, "source"));
    s->other_source = c->options->source != NULL && (source == NULL || strcmp(source, c->options->source) != 0);
    s->text = c->texts.size;
    s->text_size = size;
    TS_TRY(ts_bytes_add(&c->texts, text, size));
    s->record = c->records.size;
    if (c->lines && !c->against_now)
        TS_TRY(ts_json_write_others(&c->records, record));
    s->record_size = c->records.size - s->record;
    c->count++;
    return TS_OK;
}

static ts_status read_all(clean *c, ts_stories *stories)
{
    const char *text;
    size_t size;
    c->index = 0;
    for (;;) {
        TS_TRY(ts_stories_next(stories, &text, &size));
        if (text == NULL)
            break;
        TS_TRY(take_story(c, ts_stories_record(stories), text, size));
        if (c->count < BATCH_STORIES && c->texts.size < BATCH_BYTES)
            continue;
        TS_TRY(finish_batch(c));
        TS_TRY(tell(c, stories));
    }
    TS_TRY(finish_batch(c));
    TS_TRY(tell(c, stories));
    c->base += ts_stories_position(stories);
    return TS_OK;
}

/* ---- the call ---- */

static ts_status check_paths(const char *const *paths, size_t count, const char *name)
{
    if (paths == NULL || count == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_clean: %s names no file", name);
    for (size_t i = 0; i < count; i++) {
        if (paths[i] == NULL)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_clean: %s[%zu] is NULL", name, i);
        if (ts_path_is_shard(paths[i]))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: is a token shard, expected stories (.txt, .jsonl, .json, .gz, .tar)", paths[i]);
    }
    return TS_OK;
}

static ts_status check(const char *const *paths, size_t count, const char *out, const ts_clean_options *o)
{
    TS_TRY(check_paths(paths, count, "paths"));
    if (out == NULL || out[0] == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_dataset_clean: out is missing");
    if (o->against != NULL || o->against_count > 0)
        TS_TRY(check_paths(o->against, o->against_count, "options.against"));
    if (o->prompts != NULL || o->prompt_count > 0)
        TS_TRY(check_paths(o->prompts, o->prompt_count, "options.prompts"));
    if (o->dropped != NULL && !ts_path_is_jsonl(o->dropped))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.dropped is '%s', expected a .jsonl or .jsonl.gz", o->dropped);
    return TS_OK;
}

/* The folder for the scratch file of near duplicates. */
static ts_status start_near(clean *c, const char *out)
{
    ts_bytes folder = {.runtime = c->runtime};
    const char *slash = strrchr(out, '/');
    if (!c->options->near_duplicates)
        return TS_OK;
    ts_status status = c->options->scratch != NULL ? ts_bytes_format(&folder, "%s", c->options->scratch)
                       : slash == NULL             ? ts_bytes_format(&folder, ".")
                                                   : ts_bytes_add(&folder, out, TS_MAX((size_t)(slash - out), (size_t)1));
    if (status == TS_OK)
        status = ts_duplicates_near(&c->known, c->options->jaccard, folder.data);
    ts_bytes_free(&folder);
    return status;
}

static ts_status open_all(clean *c, const char *const *paths, size_t count, const char *out)
{
    const ts_clean_options *o = c->options;
    c->slots = ts_allocate_array(c->runtime, BATCH_STORIES, sizeof *c->slots);
    if (c->slots == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < BATCH_STORIES; i++)
        c->slots[i].cleaning.text.runtime = c->slots[i].cleaning.other.runtime = c->runtime;
    TS_TRY(ts_stories_open(&c->stories, c->runtime, paths, count));
    c->total = ts_stories_total(c->stories);
    if (o->against != NULL) {
        TS_TRY(ts_stories_open(&c->against, c->runtime, o->against, o->against_count));
        c->total += c->total > 0 ? ts_stories_total(c->against) : 0;
    }
    TS_TRY(ts_excluded_read(&c->prompts, c->runtime, o));
    c->report.prompt_ngrams = c->prompts.ngrams.count;
    TS_TRY(ts_story_writer_open(&c->out, c->runtime, out));
    c->lines = ts_story_writer_is_jsonl(c->out);
    if (o->dropped != NULL)
        TS_TRY(ts_story_writer_open(&c->dropped, c->runtime, o->dropped));
    return start_near(c, out);
}

static ts_status commit(ts_story_writer **writer)
{
    ts_story_writer *own = *writer;
    *writer = NULL;
    return own != NULL ? ts_story_writer_commit(own) : TS_OK;
}

static ts_status run(clean *c)
{
    if (c->against != NULL) {
        c->against_now = true;
        TS_TRY(read_all(c, c->against));
        c->against_now = false;
        c->against_count = c->known.count;
        c->report.against_stories = c->against_count;
        if (c->against_count == 0)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there is no story to compare with", c->options->against[0]);
    }
    TS_TRY(read_all(c, c->stories));
    c->report.candidates = c->known.candidates;
    c->report.scratch_bytes = c->known.spill.size;
    TS_TRY(commit(&c->dropped));
    return commit(&c->out);
}

static void free_clean(clean *c)
{
    ts_stories_close(c->stories);
    ts_stories_close(c->against);
    ts_story_writer_abandon(c->out);
    ts_story_writer_abandon(c->dropped);
    ts_hash_map_free(&c->prompts.ngrams);
    ts_duplicates_free(&c->known);
    for (size_t i = 0; c->slots != NULL && i < BATCH_STORIES; i++) {
        ts_cleaning_free(&c->slots[i].cleaning);
        ts_release(c->runtime, c->slots[i].words);
        ts_release(c->runtime, c->slots[i].print.shingles);
    }
    ts_release(c->runtime, c->slots);
    ts_release(c->runtime, c->indices);
    ts_bytes_free(&c->texts);
    ts_bytes_free(&c->records);
    ts_bytes_free(&c->line);
    ts_runtime_release(c->runtime);
}

ts_status ts_dataset_clean(ts_clean_report *report, ts_runtime *runtime, const char *const *paths, size_t path_count, const char *out,
                           const ts_clean_options *options)
{
    ts_clean_options own;
    clean c = {.options = &own, .report = {.struct_size = sizeof c.report}};
    TS_TRY(ts_clean_options_read(&own, options));
    if (report != NULL)
        TS_TRY(ts_report_check(report, "ts_clean_report"));
    TS_TRY(check(paths, path_count, out, &own));
    TS_TRY(ts_runtime_acquire(&c.runtime, runtime));
    c.prompts.ngrams.runtime = c.known.runtime = c.known.same.runtime = c.runtime;
    c.texts.runtime = c.records.runtime = c.line.runtime = c.runtime;
    ts_status status = open_all(&c, paths, path_count, out);
    if (status == TS_OK)
        status = run(&c);
    if (status == TS_OK && report != NULL)
        status = ts_report_write(report, &c.report, sizeof c.report, "ts_clean_report");
    free_clean(&c);
    return status;
}

ts_status ts_story_clean(const char *story, size_t size, const ts_clean_options *options, char *text, size_t capacity, size_t *mended_size,
                         uint32_t *reason)
{
    ts_clean_options own;
    ts_cleaning cleaning = {0};
    ts_runtime *runtime;
    if (story == NULL || mended_size == NULL || (text == NULL && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_story_clean: story, text or mended_size is NULL");
    TS_TRY(ts_clean_options_read(&own, options));
    TS_TRY(ts_runtime_acquire(&runtime, NULL));
    cleaning.text.runtime = cleaning.other.runtime = runtime;
    ts_trim(&story, &size);
    ts_status status = ts_clean_text(&cleaning, story, size, own.steps);
    if (status == TS_OK && reason != NULL)
        *reason = ts_rules_judge(&own, cleaning.text.data, cleaning.text.size);
    if (status == TS_OK)
        status = ts_bytes_give(&cleaning.text, "the story", text, capacity, mended_size);
    ts_cleaning_free(&cleaning);
    ts_runtime_release(runtime);
    return status;
}

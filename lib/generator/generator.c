/* Generators: the handle, the records, and files written in blocks by all threads. */
#include "tinystories/generator.h"

#include "base/base.h"
#include "format/stories.h"
#include "generator/author.h"
#include "generator/chat_author.h"
#include "text/text.h"

#include <stdio.h>

#define STORIES_IN_BLOCK 256
#define STORIES_IN_PIECE 8
#define ALL_FEATURES ((1u << TS_FEATURE_COUNT) - 1)
#define ALL_UNFIT (TS_UNFIT_WORDS | TS_UNFIT_LANGUAGE)
#define MOST_VOCABULARY (4u << 20) /* bytes of a vocabulary file */
#define MOST_PASSED 16             /* stories of a chat service that cannot be used, in a row, before ts_generator_next gives up */

struct ts_generator {
    ts_runtime *runtime;
    ts_busy busy;
    uint64_t seed, next;
    uint32_t features, shard, shards, group; /* group: stories a call of the chat author, else 1 */
    ts_word_list vocabulary;
    const ts_entry *names[2]; /* of hero and friend; NULL: drawn */
    ts_grammar grammar;
    ts_draft *draft;
    ts_chat_author *chat; /* NULL: the embedded author writes */
};

static const char *const feature_names[TS_FEATURE_COUNT] = {"Dialogue", "BadEnding", "MoralValue", "Twist", "Foreshadowing", "Conflict"};

const char *ts_feature_name(uint32_t feature)
{
    for (uint32_t i = 0; i < TS_FEATURE_COUNT; i++)
        if (feature == 1u << i)
            return feature_names[i];
    return NULL;
}

/* ---- making ---- */

static const ts_generator_options defaults = {
    .struct_size = sizeof defaults, .features = ALL_FEATURES, .shards = 1, .stories_a_call = 1, .asks = 1, .reject = ALL_UNFIT};

ts_status ts_generator_options_init(ts_generator_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_generator_options");
}

static ts_status read_vocabulary(ts_generator *generator, const char *path)
{
    if (!path)
        return ts_word_list_open(&generator->vocabulary, generator->runtime);
    char *data;
    size_t size;
    TS_TRY(ts_file_read(generator->runtime, path, MOST_VOCABULARY, &data, &size));
    ts_status status = ts_word_list_read(&generator->vocabulary, generator->runtime, data, size, path);
    ts_release(generator->runtime, data);
    return status;
}

/* The first index of the shard that is not before `index`. Groups are dealt out to shards whole. */
static uint64_t in_shard(const ts_generator *generator, uint64_t index)
{
    uint64_t shards = generator->shards, group = index / generator->group, ahead = (generator->shard + shards - group % shards) % shards;
    return ahead == 0 ? index : (group + ahead) * generator->group;
}

/* `count` stories of the shard from the next one on. */
static ts_story_range range_of(const ts_generator *generator, uint64_t count)
{
    return (ts_story_range){.first = generator->next, .count = count, .step = generator->shards, .group = generator->group};
}

/* Goes on by so many stories of the shard. */
static void advance(ts_generator *generator, uint64_t count)
{
    ts_story_range range = range_of(generator, count);
    generator->next = ts_story_range_at(&range, count);
}

static ts_status find_name(const ts_entry **found, const ts_word_list *vocabulary, const char *name, const char *field)
{
    const size_t *starts = vocabulary->class_start[TS_KIND_NAME];
    int girls = ts_class_find(TS_KIND_NAME, "girl", 4), boys = ts_class_find(TS_KIND_NAME, "boy", 3);
    for (size_t i = vocabulary->kind_start[TS_KIND_NAME]; name && i < vocabulary->kind_start[TS_KIND_NAME + 1]; i++)
        if (((i >= starts[girls] && i < starts[girls + 1]) || (i >= starts[boys] && i < starts[boys + 1])) &&
            strcmp(vocabulary->words[i].base, name) == 0)
            *found = &vocabulary->words[i];
    if (name && !*found)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.%s is '%.40s', which is no girl's or boy's name of the vocabulary", field, name);
    return TS_OK;
}

static ts_status start(ts_generator *generator, const ts_generator_options *options)
{
    generator->seed = options->seed;
    generator->features = options->features;
    generator->shard = options->shard;
    generator->shards = options->shards;
    generator->group = options->author == TS_AUTHOR_CHAT ? TS_MAX(options->stories_a_call, 1u) : 1;
    generator->next = in_shard(generator, options->first);
    if (options->author == TS_AUTHOR_CHAT) {
        TS_TRY(read_vocabulary(generator, options->vocabulary));
        return ts_chat_author_open(&generator->chat, generator->runtime, &generator->vocabulary, options);
    }
    generator->draft = ts_allocate(generator->runtime, sizeof *generator->draft);
    if (!generator->draft)
        return TS_ERROR_OUT_OF_MEMORY;
    TS_TRY(read_vocabulary(generator, options->vocabulary));
    TS_TRY(find_name(&generator->names[0], &generator->vocabulary, options->hero_name, "hero_name"));
    TS_TRY(find_name(&generator->names[1], &generator->vocabulary, options->friend_name, "friend_name"));
    ts_status status = ts_grammar_open(&generator->grammar, generator->runtime, &generator->vocabulary);
    if (options->plots > 0 && options->plots < generator->grammar.plot_count)
        generator->grammar.plot_count = (size_t)options->plots;
    return status != TS_OK && options->vocabulary ? ts_fail_context(status, options->vocabulary) : status;
}

static ts_status check_reject(uint32_t reject, const char *name)
{
    if (reject & ~(uint32_t)ALL_UNFIT)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s is %u, expected TS_UNFIT_ bits, at most %d", name, reject, ALL_UNFIT);
    return TS_OK;
}

ts_status ts_generator_new(ts_generator **out, ts_runtime *runtime, const ts_generator_options *options)
{
    if (!out)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_new: out is NULL");
    ts_generator_options own = defaults;
    TS_TRY(ts_options_read(&own, sizeof own, options, "ts_generator_options"));
    if (own.author != TS_AUTHOR_EMBEDDED && own.author != TS_AUTHOR_CHAT)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.author is %u, expected 0 (embedded) or 1 (chat)", own.author);
    if (own.shards == 0 || own.shard >= own.shards)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.shard is %u of %u shards, expected one below their number", own.shard, own.shards);
    if (own.features & ~ALL_FEATURES)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.features is %u, expected TS_FEATURE_ bits, at most %u", own.features, ALL_FEATURES);
    TS_TRY(check_reject(own.reject, "options.reject"));
    if (own.author == TS_AUTHOR_CHAT && (own.hero_name || own.friend_name || own.plots))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.%s is for the embedded author alone",
                       own.hero_name ? "hero_name" : own.friend_name ? "friend_name" : "plots");
    if (own.hero_name && own.friend_name && strcmp(own.hero_name, own.friend_name) == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.friend_name is '%.40s', as options.hero_name is: expected another name", own.friend_name);
    ts_runtime *acquired;
    TS_TRY(ts_runtime_acquire(&acquired, runtime));
    ts_generator *generator = ts_allocate(acquired, sizeof *generator);
    if (!generator) {
        ts_runtime_release(acquired);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    generator->runtime = acquired;
    generator->vocabulary.runtime = generator->grammar.runtime = acquired;
    ts_status status = start(generator, &own);
    if (status != TS_OK)
        ts_generator_free(generator);
    else
        *out = generator;
    return status;
}

void ts_generator_free(ts_generator *generator)
{
    if (!generator)
        return;
    ts_runtime *runtime = generator->runtime;
    ts_chat_author_close(generator->chat);
    if (generator->grammar.runtime)
        ts_grammar_free(&generator->grammar);
    if (generator->vocabulary.runtime)
        ts_word_list_free(&generator->vocabulary);
    ts_release(runtime, generator->draft);
    ts_release(runtime, generator);
    ts_runtime_release(runtime);
}

/* ---- stories ---- */

static ts_story record_of(const ts_generator *generator, const ts_draft *draft, uint64_t index)
{
    return (ts_story){.struct_size = sizeof(ts_story),
                      .story = draft->story,
                      .story_size = draft->story_size,
                      .words = {draft->drawn[0]->base, draft->drawn[1]->base, draft->drawn[2]->base},
                      .summary = draft->summary,
                      .source = "embedded",
                      .seed = generator->seed,
                      .index = index,
                      .features = draft->features,
                      .drawn = "",
                      .provenance = ""};
}

static ts_status next_embedded(ts_generator *generator, ts_story *record)
{
    TS_TRY(ts_author_write(generator->draft, &generator->vocabulary, &generator->grammar, generator->seed, generator->next, generator->features,
                           generator->names));
    *record = record_of(generator, generator->draft, generator->next);
    return TS_OK;
}

/* Passes over stories that cannot be used. */
static ts_status next_by_chat(ts_generator *generator, ts_story *record)
{
    bool usable = false;
    for (uint32_t passed = 0; passed < MOST_PASSED; passed++) {
        TS_TRY(ts_chat_author_ask_one(generator->chat, generator->next));
        TS_TRY(ts_chat_author_story(generator->chat, generator->next, record, &usable));
        if (usable)
            return TS_OK;
        advance(generator, 1);
    }
    return ts_fail(TS_ERROR_LIMIT, "%d stories of the chat service in a row cannot be used: they are cut off, filtered, empty, missing or unfit",
                   MOST_PASSED);
}

ts_status ts_generator_next(ts_generator *generator, ts_story *story)
{
    if (!generator || !story)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_next: generator or story is NULL");
    if (!ts_busy_enter(&generator->busy))
        return ts_fail(TS_ERROR_BUSY, "the generator is used by another thread");
    ts_story record;
    ts_status status = generator->chat ? next_by_chat(generator, &record) : next_embedded(generator, &record);
    if (status == TS_OK) {
        status = ts_report_write(story, &record, sizeof record, "ts_story");
        if (status == TS_OK)
            advance(generator, 1);
    }
    ts_busy_leave(&generator->busy);
    return status;
}

ts_status ts_generator_seek(ts_generator *generator, uint64_t index)
{
    if (!generator)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_seek: generator is NULL");
    if (!ts_busy_enter(&generator->busy))
        return ts_fail(TS_ERROR_BUSY, "the generator is used by another thread");
    generator->next = in_shard(generator, index);
    ts_busy_leave(&generator->busy);
    return TS_OK;
}

const char *const *ts_generator_words(const ts_generator *generator, uint32_t kind, size_t *count)
{
    if (count)
        *count = 0;
    if (!generator || !count || kind > 3)
        return NULL;
    const ts_word_list *vocabulary = &generator->vocabulary;
    *count = kind == 3 ? vocabulary->form_count : vocabulary->kind_start[kind + 1] - vocabulary->kind_start[kind];
    return kind == 3 ? vocabulary->forms : vocabulary->bases[kind];
}

/* ---- JSON ---- */

static ts_status add_string(ts_bytes *bytes, const char *text)
{
    return ts_json_string(bytes, text, strlen(text));
}

static ts_status add_json(ts_bytes *bytes, const ts_story *story)
{
    TS_TRY(ts_bytes_add(bytes, "{\"story\": ", 10));
    TS_TRY(ts_json_string(bytes, story->story, story->story_size));
    TS_TRY(ts_bytes_format(bytes, ", \"instruction\": {\"words\": ["));
    const char *comma = "";
    for (int i = 0; i < 3; i++) {
        if (!story->words[i][0])
            continue; /* an old journal does not tell */
        TS_TRY(ts_bytes_format(bytes, "%s", comma));
        TS_TRY(add_string(bytes, story->words[i]));
        comma = ", ";
    }
    TS_TRY(ts_bytes_format(bytes, "], \"features\": ["));
    comma = "";
    for (uint32_t i = 0; i < TS_FEATURE_COUNT; i++)
        if (story->features >> i & 1) {
            TS_TRY(ts_bytes_format(bytes, "%s\"%s\"", comma, feature_names[i]));
            comma = ", ";
        }
    TS_TRY(ts_bytes_format(bytes, "]}, \"summary\": "));
    TS_TRY(add_string(bytes, story->summary));
    TS_TRY(ts_bytes_format(bytes, ", \"source\": "));
    TS_TRY(add_string(bytes, story->source));
    const struct {
        const char *name, *object;
    } objects[] = {{"drawn", story->drawn}, {"provenance", story->provenance}};
    for (size_t i = 0; i < TS_COUNT_OF(objects); i++) {
        if (!objects[i].object || !objects[i].object[0])
            continue;
        TS_TRY(ts_bytes_format(bytes, ", \"%s\": ", objects[i].name));
        TS_TRY(ts_bytes_add(bytes, objects[i].object, strlen(objects[i].object)));
    }
    if (story->unfit & ALL_UNFIT)
        TS_TRY(ts_bytes_format(bytes, ", \"unfit\": [%s%s%s]", story->unfit & TS_UNFIT_WORDS ? "\"words\"" : "",
                               (story->unfit & ALL_UNFIT) == ALL_UNFIT ? ", " : "", story->unfit & TS_UNFIT_LANGUAGE ? "\"language\"" : ""));
    return ts_bytes_format(bytes, ", \"seed\": %llu, \"index\": %llu}", (unsigned long long)story->seed, (unsigned long long)story->index);
}

ts_status ts_story_json(const ts_story *story, char *text, size_t capacity, size_t *size)
{
    if (!story || !size || (!text && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_story_json: story, text or size is NULL");
    ts_story own = {0};
    TS_TRY(ts_options_read(&own, sizeof own, story, "ts_story"));
    if (!own.story || !own.words[0] || !own.words[1] || !own.words[2] || !own.summary || !own.source)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_story_json: the story lacks a string");
    ts_runtime *runtime;
    TS_TRY(ts_runtime_acquire(&runtime, NULL));
    ts_bytes bytes = {.runtime = runtime};
    ts_status status = add_json(&bytes, &own);
    if (status == TS_OK)
        status = ts_bytes_give(&bytes, "ts_story_json: the line", text, capacity, size);
    ts_bytes_free(&bytes);
    ts_runtime_release(runtime);
    return status;
}

/* ---- files ---- */

typedef struct block {
    const ts_generator *generator;
    ts_draft *drafts;    /* one a worker */
    ts_bytes *lines;     /* one a story */
    ts_status *statuses; /* one a story */
    uint64_t first, step;
    bool json;
} block;

static void write_stories(void *argument, size_t begin, size_t end, size_t worker)
{
    block *b = argument;
    const ts_generator *generator = b->generator;
    ts_draft *draft = &b->drafts[worker];
    for (size_t i = begin; i < end; i++) {
        b->lines[i].size = 0;
        uint64_t index = b->first + i * b->step;
        b->statuses[i] =
            ts_author_write(draft, &generator->vocabulary, &generator->grammar, generator->seed, index, generator->features, generator->names);
        if (b->statuses[i] != TS_OK)
            continue;
        ts_story record = record_of(generator, draft, index);
        b->statuses[i] = b->json ? add_json(&b->lines[i], &record) : ts_bytes_add(&b->lines[i], draft->story, draft->story_size);
    }
}

static ts_status write_blocks(ts_generator *generator, block *b, ts_story_writer *writer, uint64_t count, ts_progress progress, void *user)
{
    for (uint64_t done = 0; done < count;) {
        size_t now = (size_t)TS_MIN(count - done, (uint64_t)STORIES_IN_BLOCK);
        b->first = generator->next + done * b->step;
        ts_parallel(generator->runtime, now, STORIES_IN_PIECE, write_stories, b);
        for (size_t i = 0; i < now; i++) {
            if (b->statuses[i] != TS_OK)
                return ts_fail(b->statuses[i], "story %llu could not be written", (unsigned long long)(b->first + i * b->step));
            ts_story_writer_add(writer, b->lines[i].data, b->lines[i].size);
        }
        TS_TRY(ts_story_writer_status(writer)); /* a full disk */
        done += now;
        if (progress && progress(user, done, count) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "stopped by the progress callback after %llu stories", (unsigned long long)done);
    }
    return TS_OK;
}

static ts_status write_file(ts_generator *generator, uint64_t count, const char *path, ts_progress progress, void *user)
{
    ts_runtime *runtime = generator->runtime;
    ts_story_writer *writer;
    TS_TRY(ts_story_writer_open(&writer, runtime, path));
    block b = {.generator = generator, .step = generator->shards, .json = ts_story_writer_is_jsonl(writer)};
    b.drafts = ts_allocate_array(runtime, ts_runtime_threads(runtime), sizeof *b.drafts);
    b.lines = ts_allocate_array(runtime, STORIES_IN_BLOCK, sizeof *b.lines);
    b.statuses = ts_allocate_array(runtime, STORIES_IN_BLOCK, sizeof *b.statuses);
    ts_status status = b.drafts && b.lines && b.statuses ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; status == TS_OK && i < STORIES_IN_BLOCK; i++)
        b.lines[i].runtime = runtime;
    if (status == TS_OK)
        status = write_blocks(generator, &b, writer, count, progress, user);
    if (status == TS_OK)
        status = ts_story_writer_commit(writer);
    else
        ts_story_writer_abandon(writer);
    for (size_t i = 0; b.lines && i < STORIES_IN_BLOCK; i++)
        if (b.lines[i].runtime)
            ts_bytes_free(&b.lines[i]);
    ts_release(runtime, b.drafts);
    ts_release(runtime, b.lines);
    ts_release(runtime, b.statuses);
    if (status == TS_OK)
        advance(generator, count);
    return status;
}

/* Adds story `index` if the journal has it and it can be used; *written counts. */
static ts_status write_answer(ts_chat_author *author, ts_story_writer *writer, uint64_t index, ts_bytes *line, uint64_t *written)
{
    ts_story story;
    bool usable;
    TS_TRY(ts_chat_author_story(author, index, &story, &usable));
    if (!usable)
        return TS_OK;
    line->size = 0;
    TS_TRY(ts_story_writer_is_jsonl(writer) ? add_json(line, &story) : ts_bytes_add(line, story.story, story.story_size));
    ts_story_writer_add(writer, line->data, line->size);
    ++*written;
    return ts_story_writer_status(writer); /* a full disk */
}

/* The first `count` stories of the range that can be used; the range ends behind the last one of them. */
static ts_status write_answers(ts_generator *generator, ts_story_writer *writer, ts_story_range *range, uint64_t count)
{
    ts_bytes line = {.runtime = generator->runtime};
    uint64_t written = 0, i = 0;
    ts_status status = TS_OK;
    for (; status == TS_OK && i < range->count && written < count; i++)
        status = write_answer(generator->chat, writer, ts_story_range_at(range, i), &line, &written);
    range->count = i;
    ts_bytes_free(&line);
    return status;
}

/* All stories of all calls that the journal has. */
static ts_status write_all_answers(ts_runtime *runtime, ts_chat_author *author, ts_story_writer *writer, uint64_t *written)
{
    ts_bytes line = {.runtime = runtime};
    uint64_t *calls = NULL;
    size_t count = 0;
    uint32_t group = ts_chat_author_group(author);
    ts_status status = ts_chat_author_calls(author, &calls, &count);
    for (size_t i = 0; status == TS_OK && i < count; i++)
        for (uint32_t place = 0; status == TS_OK && place < group; place++)
            status = write_answer(author, writer, calls[i] * group + place, &line, written);
    ts_release(runtime, calls);
    ts_bytes_free(&line);
    return status;
}

static ts_status export_answers(ts_runtime *runtime, ts_chat_author *author, const char *path, uint64_t *written)
{
    ts_story_writer *writer;
    *written = 0;
    TS_TRY(ts_story_writer_open(&writer, runtime, path));
    ts_status status = write_all_answers(runtime, author, writer, written);
    if (status == TS_OK)
        return ts_story_writer_commit(writer);
    ts_story_writer_abandon(writer);
    return status;
}

/* Progress may ask for the report of the generator that tells it: this thread has the handle. */
static _Thread_local const ts_generator *telling;

typedef struct listener {
    const ts_generator *generator;
    ts_progress progress;
    void *user;
} listener;

static int32_t tell(void *user, uint64_t done, uint64_t total)
{
    const listener *l = user;
    const ts_generator *outer = telling;
    telling = l->generator;
    int32_t answer = l->progress(l->user, done, total);
    telling = outer;
    return answer;
}

static ts_status write_by_chat(ts_generator *generator, uint64_t count, const char *path, ts_progress progress, void *user)
{
    ts_story_range range = range_of(generator, count);
    listener all = {generator, progress, user};
    ts_story_writer *writer;
    TS_TRY(ts_chat_author_ask(generator->chat, &range, progress ? tell : NULL, &all));
    TS_TRY(ts_story_writer_open(&writer, generator->runtime, path));
    ts_status status = write_answers(generator, writer, &range, count);
    if (status == TS_OK)
        status = ts_story_writer_commit(writer);
    else
        ts_story_writer_abandon(writer);
    if (status == TS_OK)
        advance(generator, range.count);
    return status;
}

ts_status ts_generator_write(ts_generator *generator, uint64_t count, const char *path, ts_progress progress, void *progress_user)
{
    if (!generator || !path)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_write: generator or path is NULL");
    if (strcmp(path, "-") == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_write: the path is '-', expected a file; for output elsewhere use ts_generator_next");
    if (!ts_busy_enter(&generator->busy))
        return ts_fail(TS_ERROR_BUSY, "the generator is used by another thread");
    ts_status status = generator->chat ? write_by_chat(generator, count, path, progress, progress_user)
                                       : write_file(generator, count, path, progress, progress_user);
    ts_busy_leave(&generator->busy);
    return status;
}

/* ---- the chat author alone ---- */

/* Takes the generator for a call that only the chat author has; ts_busy_leave gives it back. */
static ts_status enter_chat(ts_generator *generator, const char *call)
{
    if (!generator)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: generator is NULL", call);
    if (!generator->chat)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: the generator's author is no chat service", call);
    return ts_busy_enter(&generator->busy) ? TS_OK : ts_fail(TS_ERROR_BUSY, "the generator is used by another thread");
}

ts_status ts_generator_prompt(ts_generator *generator, uint64_t index, char *text, size_t capacity, size_t *size)
{
    if (!size || (!text && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_prompt: text or size is NULL");
    TS_TRY(enter_chat(generator, "ts_generator_prompt"));
    ts_bytes prompt = {.runtime = generator->runtime};
    ts_status status = ts_chat_author_prompt(generator->chat, index, &prompt);
    if (status == TS_OK)
        status = ts_bytes_give(&prompt, "ts_generator_prompt: the prompt", text, capacity, size);
    ts_bytes_free(&prompt);
    ts_busy_leave(&generator->busy);
    return status;
}

ts_status ts_generator_ask(ts_generator *generator, uint64_t count, ts_progress progress, void *progress_user)
{
    TS_TRY(enter_chat(generator, "ts_generator_ask"));
    listener all = {generator, progress, progress_user};
    ts_story_range range = range_of(generator, count);
    ts_status status = ts_chat_author_ask(generator->chat, &range, progress ? tell : NULL, &all);
    ts_busy_leave(&generator->busy);
    return status;
}

ts_status ts_generator_estimate(ts_generator *generator, uint64_t count, ts_chat_report *report)
{
    ts_chat_report own;
    TS_TRY(enter_chat(generator, "ts_generator_estimate"));
    ts_story_range range = range_of(generator, count);
    ts_status status = ts_chat_author_estimate(generator->chat, &range, &own);
    if (status == TS_OK)
        status = ts_report_write(report, &own, sizeof own, "ts_chat_report");
    ts_busy_leave(&generator->busy);
    return status;
}

ts_status ts_generator_chat_report(ts_generator *generator, ts_chat_report *report)
{
    ts_chat_report own;
    bool within = generator && telling == generator;
    if (!within)
        TS_TRY(enter_chat(generator, "ts_generator_chat_report"));
    ts_chat_author_report(generator->chat, &own);
    ts_status status = ts_report_write(report, &own, sizeof own, "ts_chat_report");
    if (!within)
        ts_busy_leave(&generator->busy);
    return status;
}

static ts_status finish_batch(ts_generator *generator, ts_status status, ts_batch_report *report, const ts_batch_report *own)
{
    if (status == TS_OK)
        status = ts_report_write(report, own, sizeof *own, "ts_batch_report");
    ts_busy_leave(&generator->busy);
    return status;
}

ts_status ts_generator_batch_step(ts_generator *generator, uint64_t count, ts_batch_report *report)
{
    ts_batch_report own = {.struct_size = sizeof own};
    TS_TRY(ts_report_check(report, "ts_batch_report"));
    TS_TRY(enter_chat(generator, "ts_generator_batch_step"));
    ts_story_range range = range_of(generator, count);
    return finish_batch(generator, ts_chat_author_batch_step(generator->chat, &range, &own), report, &own);
}

ts_status ts_generator_batch_write(ts_generator *generator, uint64_t count, const char *path, ts_batch_report *report)
{
    ts_batch_report own = {.struct_size = sizeof own};
    TS_TRY(ts_report_check(report, "ts_batch_report"));
    if (!path || strcmp(path, "-") == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_batch_write: the path is %s, expected a file", path ? "'-'" : "NULL");
    TS_TRY(enter_chat(generator, "ts_generator_batch_write"));
    ts_story_range range = range_of(generator, count);
    return finish_batch(generator, ts_chat_author_batch_write(generator->chat, &range, path, &own), report, &own);
}

ts_status ts_generator_batch_read(ts_generator *generator, uint64_t count, const char *path, ts_batch_report *report)
{
    ts_batch_report own = {.struct_size = sizeof own};
    TS_TRY(ts_report_check(report, "ts_batch_report"));
    if (!path)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_batch_read: the path is NULL");
    TS_TRY(enter_chat(generator, "ts_generator_batch_read"));
    ts_story_range range = range_of(generator, count);
    return finish_batch(generator, ts_chat_author_batch_read(generator->chat, &range, path, &own), report, &own);
}

ts_status ts_generator_merge(ts_generator *generator, const char *journal, uint64_t *taken)
{
    uint64_t own = 0;
    if (!journal)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_merge: the journal is NULL");
    TS_TRY(enter_chat(generator, "ts_generator_merge"));
    ts_status status = ts_chat_author_merge(generator->chat, journal, &own);
    if (taken)
        *taken = own;
    ts_busy_leave(&generator->busy);
    return status;
}

ts_status ts_generator_export(ts_generator *generator, const char *path, uint64_t *written)
{
    uint64_t own = 0;
    if (!path || strcmp(path, "-") == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_generator_export: the path is %s, expected a file", path ? "'-'" : "NULL");
    TS_TRY(enter_chat(generator, "ts_generator_export"));
    ts_status status = export_answers(generator->runtime, generator->chat, path, &own);
    if (status == TS_OK && written)
        *written = own;
    ts_busy_leave(&generator->busy);
    return status;
}

ts_status ts_journal_export(ts_runtime *runtime, const char *journal, const char *path, uint32_t reject, uint64_t *written, ts_chat_report *report)
{
    ts_runtime *acquired;
    ts_chat_author *author = NULL;
    uint64_t own = 0;
    ts_chat_report totals;
    if (!journal || !path || strcmp(path, "-") == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_journal_export: the %s is %s, expected a file", journal ? "path" : "journal",
                       journal && path ? "'-'" : "NULL");
    TS_TRY(check_reject(reject, "ts_journal_export: reject"));
    if (report)
        TS_TRY(ts_report_check(report, "ts_chat_report"));
    TS_TRY(ts_runtime_acquire(&acquired, runtime));
    ts_status status = ts_chat_author_open_to_read(&author, acquired, journal, reject);
    if (status == TS_OK)
        status = export_answers(acquired, author, path, &own);
    if (status == TS_OK && written)
        *written = own;
    if (status == TS_OK && report) {
        ts_chat_author_report(author, &totals);
        status = ts_report_write(report, &totals, sizeof totals, "ts_chat_report");
    }
    ts_chat_author_close(author);
    ts_runtime_release(acquired);
    return status;
}

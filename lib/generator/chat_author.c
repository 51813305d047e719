/* The chat author. */
#define _GNU_SOURCE
#include "generator/chat_author.h"

#include "chat/chat.h"
#include "format/stories.h"
#include "text/text.h"

enum {
    SPARE_STORIES = 16, /* so many that cannot be used say nothing yet of the service */
    MOST_A_CALL = 64
};

struct ts_chat_author {
    ts_runtime *runtime;
    const ts_word_list *vocabulary;
    ts_chat *chat;
    ts_prompt prompt;
    uint64_t seed;
    uint32_t features, template, group;
    ts_drawn drawn[MOST_A_CALL];
    ts_asked asked[MOST_A_CALL];
    ts_bytes text, story, description;
    uint64_t reply; /* the number of the call whose reply `text` is, or NO_REPLY */
};

#define NO_REPLY UINT64_MAX

/* Everything that prompts are made of, besides what ts_chat_open adds. */
static uint64_t fingerprint_of(const ts_chat_author *author)
{
    const uint64_t numbers[] = {author->seed, author->features, author->template, author->group};
    uint64_t hash = ts_hash(numbers, sizeof numbers, author->prompt.fingerprint);
    for (size_t i = 0; i < author->vocabulary->kind_start[3]; i++)
        hash = ts_hash(author->vocabulary->words[i].base, strlen(author->vocabulary->words[i].base), hash);
    return hash;
}

/* A shard's part of a bound of all shards: what does not divide goes to the first ones. 0 stays 0, which is no bound. */
static ts_status divide_bound(uint64_t *bound, const char *name, const ts_generator_options *options)
{
    if (*bound > 0 && *bound < options->shards)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.chat.%s is %llu, expected at least one for each of %u shards", name,
                       (unsigned long long)*bound, options->shards);
    *bound = *bound / options->shards + (options->shard < *bound % options->shards);
    return TS_OK;
}

static ts_status divide_bounds(ts_chat_options *chat, const ts_generator_options *options)
{
    TS_TRY(divide_bound(&chat->max_requests, "max_requests", options));
    TS_TRY(divide_bound(&chat->max_tokens, "max_tokens", options));
    chat->max_money /= options->shards;
    chat->requests_per_minute /= options->shards;
    chat->tokens_per_minute /= options->shards;
    return TS_OK;
}

static ts_status open_author(ts_chat_author *author, const ts_generator_options *options)
{
    if (!options->chat)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.author is 1 (chat), but options.chat is NULL");
    if (options->stories_a_call == 0 || options->stories_a_call > MOST_A_CALL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.stories_a_call is %u, expected 1 to %d", options->stories_a_call, MOST_A_CALL);
    if (options->varied > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.varied is %u, expected 0 or 1", options->varied);
    author->group = options->stories_a_call;
    author->template = options->varied ? TS_TEMPLATE_VARIED : TS_TEMPLATE_PAPER;
    TS_TRY(ts_prompt_read(&author->prompt, author->runtime, options->prompt));
    ts_chat_options chat;
    TS_TRY(ts_chat_options_init(&chat, sizeof chat));
    TS_TRY(ts_options_read(&chat, sizeof chat, options->chat, "ts_chat_options"));
    chat.reply_tokens = chat.reply_tokens > UINT32_MAX / author->group ? UINT32_MAX : chat.reply_tokens * author->group; /* it is a story's */
    TS_TRY(divide_bounds(&chat, options));
    return ts_chat_open(&author->chat, author->runtime, &chat, fingerprint_of(author));
}

ts_status ts_chat_author_open(ts_chat_author **out, ts_runtime *runtime, const ts_word_list *vocabulary, const ts_generator_options *options)
{
    ts_chat_author *author = ts_allocate(runtime, sizeof *author);
    if (!author)
        return TS_ERROR_OUT_OF_MEMORY;
    author->runtime = author->text.runtime = author->story.runtime = author->description.runtime = author->prompt.runtime = runtime;
    author->reply = NO_REPLY;
    author->vocabulary = vocabulary;
    author->seed = options->seed;
    author->features = options->features;
    ts_status status = open_author(author, options);
    if (status != TS_OK)
        ts_chat_author_close(author);
    else
        *out = author;
    return status;
}

void ts_chat_author_close(ts_chat_author *author)
{
    if (!author)
        return;
    ts_chat_close(author->chat);
    ts_prompt_free(&author->prompt);
    ts_bytes_free(&author->text);
    ts_bytes_free(&author->story);
    ts_bytes_free(&author->description);
    ts_release(author->runtime, author);
}

/* ---- asking ---- */

/* What story `index` is asked for, at place `i` of its call. */
static const ts_asked *draw_story(ts_chat_author *author, uint64_t index, uint32_t i)
{
    ts_draw(&author->drawn[i], author->vocabulary, author->seed, index, author->features);
    author->asked[i] = (ts_asked){&author->drawn[i], author->seed, index, author->template};
    return &author->asked[i];
}

static ts_status write_prompt(void *user, uint64_t call, ts_bytes *out)
{
    ts_chat_author *author = user;
    for (uint32_t i = 0; i < author->group; i++)
        draw_story(author, call * author->group + i, i);
    return author->group == 1 ? ts_prompt_write(&author->prompt, author->asked, out)
                              : ts_prompt_write_several(&author->prompt, author->asked, author->group, out);
}

static ts_chat_jobs jobs_of(ts_chat_author *author, const ts_story_range *range)
{
    uint64_t first = range->first / range->group, count = (range->first % range->group + range->count + range->group - 1) / range->group;
    return (ts_chat_jobs){.first = first, .count = range->count > 0 ? count : 0, .step = range->step, .user = author, .prompt = write_prompt};
}

/* ---- what came of it ---- */

/* Whether a line divides two stories: three or more of the divider's sign and nothing else, or the marker that divides them in files. */
static bool is_divider(const char *line, size_t size)
{
    ts_trim(&line, &size);
    if (size == sizeof TS_STORIES_MARKER - 1 && memcmp(line, TS_STORIES_MARKER, size) == 0)
        return true;
    for (size_t i = 0; i < size; i++)
        if (line[i] != TS_PROMPT_DIVIDER[0])
            return false;
    return size >= 3;
}

/* Takes the next story of a reply of several, trimmed and not empty; false at its end. */
static bool next_piece(const char **text, size_t *left, const char **story, size_t *size)
{
    do {
        const char *start = *text, *end = start + *left, *line = start, *after = end;
        for (; line < end; line = after) {
            const char *newline = memchr(line, '\n', (size_t)(end - line));
            after = newline ? newline + 1 : end;
            if (is_divider(line, (size_t)(after - line)))
                break;
        }
        *story = start;
        *size = (size_t)(line - start);
        *text = line < end ? after : end;
        *left = (size_t)(end - *text);
        ts_trim(story, size);
    } while (*size == 0 && *left > 0);
    return *size > 0;
}

/* A model that writes the marker between stories itself has begun another one: the first is the story. */
static void cut_at_marker(const char **story, size_t *size)
{
    static const size_t marker = sizeof TS_STORIES_MARKER - 1;
    while (*size >= marker && memcmp(*story, TS_STORIES_MARKER, marker) == 0) {
        *story += marker;
        *size -= marker;
        ts_trim(story, size);
    }
    const char *end = memmem(*story, *size, TS_STORIES_MARKER, marker);
    if (end)
        *size = (size_t)(end - *story);
    ts_trim(story, size);
}

/* The text of a story, *size 0 if there is none that can be used. Borrowed, and without a NUL behind it. */
static ts_status find_story(ts_chat_author *author, uint64_t index, const char **story, size_t *size)
{
    uint64_t call = index / author->group;
    *size = 0;
    if (ts_chat_answer_of(author->chat, call) != TS_CHAT_TEXT)
        return TS_OK;
    if (author->reply != call) {
        author->reply = NO_REPLY;
        author->text.size = 0;
        TS_TRY(ts_chat_text(author->chat, call, &author->text));
        author->reply = call;
    }
    const char *text = author->text.size ? author->text.data : "";
    size_t left = author->text.size;
    if (author->group == 1) {
        *story = text;
        *size = left;
        cut_at_marker(story, size);
        return TS_OK;
    }
    for (uint64_t i = 0; i <= index % author->group; i++)
        if (!next_piece(&text, &left, story, size))
            return TS_OK;
    return TS_OK;
}

/* Stories of a range that were looked at, and how many of them can be used. */
typedef struct tally {
    uint64_t wanted, seen, usable;
} tally;

/* Looks at the stories of a range whose calls are answered, and lets it grow by those that cannot be used. */
static ts_status extend(ts_chat_author *author, ts_story_range *range, tally *t)
{
    for (; t->seen < range->count; t->seen++) {
        const char *story;
        size_t size;
        TS_TRY(find_story(author, ts_story_range_at(range, t->seen), &story, &size));
        t->usable += size > 0;
    }
    if (t->usable < t->wanted && range->count - t->usable > t->usable + SPARE_STORIES)
        return ts_fail(TS_ERROR_LIMIT, "%llu of %llu stories of the chat service cannot be used: they are cut off, filtered, empty or missing",
                       (unsigned long long)(range->count - t->usable), (unsigned long long)range->count);
    range->count += t->wanted - TS_MIN(t->usable, t->wanted);
    return TS_OK;
}

ts_status ts_chat_author_ask(ts_chat_author *author, ts_story_range *range, ts_progress progress, void *progress_user)
{
    tally t = {.wanted = range->count};
    do {
        ts_chat_jobs jobs = jobs_of(author, range);
        TS_TRY(ts_chat_run(author->chat, &jobs, progress, progress_user));
        TS_TRY(extend(author, range, &t));
    } while (t.usable < t.wanted);
    return TS_OK;
}

static uint64_t count_unanswered(const ts_chat_author *author, const ts_chat_jobs *jobs)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < jobs->count; i++)
        count += ts_chat_answer_of(author->chat, jobs->first + i * jobs->step) == TS_CHAT_NONE;
    return count;
}

/* What is left of a range as far as it is answered: it grows by what cannot be used, until something in it is not answered. */
static ts_status grow_answered(ts_chat_author *author, ts_story_range *range, tally *t, uint64_t *left)
{
    for (;;) {
        ts_chat_jobs jobs = jobs_of(author, range);
        *left = TS_MIN(count_unanswered(author, &jobs) * range->group, t->wanted);
        if (*left > 0)
            return TS_OK;
        TS_TRY(extend(author, range, t));
        if (t->usable >= t->wanted)
            return TS_OK;
    }
}

ts_status ts_chat_author_batch_step(ts_chat_author *author, const ts_story_range *range, ts_batch_report *report)
{
    ts_story_range own = *range;
    tally t = {.wanted = range->count};
    TS_TRY(grow_answered(author, &own, &t, &report->left));
    while (report->left > 0 && report->waiting == 0) {
        ts_chat_jobs jobs = jobs_of(author, &own);
        TS_TRY(ts_chat_batch_step(author->chat, &jobs, report));
        TS_TRY(grow_answered(author, &own, &t, &report->left));
    }
    return TS_OK;
}

ts_status ts_chat_author_batch_write(ts_chat_author *author, const ts_story_range *range, const char *path, ts_batch_report *report)
{
    ts_story_range own = *range;
    tally t = {.wanted = range->count};
    TS_TRY(grow_answered(author, &own, &t, &report->left));
    ts_chat_jobs jobs = jobs_of(author, &own);
    return report->left > 0 ? ts_chat_batch_write(author->chat, &jobs, path, report) : TS_OK;
}

ts_status ts_chat_author_batch_read(ts_chat_author *author, const ts_story_range *range, const char *path, ts_batch_report *report)
{
    ts_story_range own = *range;
    tally t = {.wanted = range->count};
    ts_chat_jobs jobs = jobs_of(author, range);
    TS_TRY(ts_chat_batch_read(author->chat, &jobs, path, report));
    return grow_answered(author, &own, &t, &report->left);
}

ts_status ts_chat_author_merge(ts_chat_author *author, const char *path, uint64_t *taken)
{
    return ts_chat_merge(author->chat, path, taken);
}

ts_status ts_chat_author_ask_one(ts_chat_author *author, uint64_t index)
{
    ts_story_range one = {.first = index, .count = 1, .step = 1, .group = author->group};
    ts_chat_jobs jobs = jobs_of(author, &one);
    return ts_chat_run(author->chat, &jobs, NULL, NULL);
}

ts_status ts_chat_author_story(ts_chat_author *author, uint64_t index, ts_story *story, bool *usable)
{
    const char *text;
    size_t size;
    TS_TRY(find_story(author, index, &text, &size));
    *usable = size > 0;
    if (!*usable)
        return TS_OK;
    author->story.size = author->description.size = 0;
    TS_TRY(ts_bytes_add(&author->story, text, size));
    const ts_asked *asked = draw_story(author, index, 0);
    const ts_drawn *drawn = asked->drawn;
    TS_TRY(ts_prompt_describe(&author->prompt, asked, &author->description));
    *story = (ts_story){.struct_size = sizeof *story,
                        .story = author->story.data,
                        .story_size = size,
                        .words = {drawn->words[0]->base, drawn->words[1]->base, drawn->words[2]->base},
                        .summary = "",
                        .source = ts_chat_model(author->chat),
                        .seed = author->seed,
                        .index = index,
                        .features = drawn->features,
                        .drawn = author->description.data};
    return TS_OK;
}

ts_status ts_chat_author_calls(const ts_chat_author *author, uint64_t **calls, size_t *count)
{
    return ts_chat_answered(author->chat, calls, count);
}

ts_status ts_chat_author_prompt(ts_chat_author *author, uint64_t index, const char **text, size_t *size)
{
    author->reply = NO_REPLY;
    author->text.size = 0;
    TS_TRY(write_prompt(author, index / author->group, &author->text));
    *text = author->text.size ? author->text.data : "";
    *size = author->text.size;
    return TS_OK;
}

ts_status ts_chat_author_estimate(ts_chat_author *author, const ts_story_range *range, ts_chat_report *report)
{
    ts_chat_jobs jobs = jobs_of(author, range);
    return ts_chat_estimate(author->chat, &jobs, report);
}

void ts_chat_author_report(const ts_chat_author *author, ts_chat_report *report)
{
    ts_chat_totals(author->chat, report);
}

/* The chat author. */
#include "generator/chat_author.h"

#include "chat/chat.h"
#include "format/stories.h"
#include "text/text.h"

enum { SPARE_STORIES = 16 }; /* so many that cannot be used say nothing yet of the service */

struct ts_chat_author {
    ts_runtime *runtime;
    const ts_word_list *vocabulary;
    ts_chat *chat;
    ts_prompt prompt;
    uint64_t seed;
    uint32_t features;
    ts_bytes text;
};

/* Everything that prompts are made of, besides what ts_chat_open adds. */
static uint64_t fingerprint_of(const ts_chat_author *author)
{
    const uint64_t numbers[] = {author->seed, author->features};
    uint64_t hash = ts_hash(numbers, sizeof numbers, author->prompt.fingerprint);
    for (size_t i = 0; i < author->vocabulary->kind_start[3]; i++)
        hash = ts_hash(author->vocabulary->words[i].base, strlen(author->vocabulary->words[i].base), hash);
    return hash;
}

static ts_status open_author(ts_chat_author *author, const ts_generator_options *options)
{
    if (!options->chat)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.author is 1 (chat), but options.chat is NULL");
    TS_TRY(ts_prompt_read(&author->prompt, author->runtime, options->prompt));
    return ts_chat_open(&author->chat, author->runtime, options->chat, fingerprint_of(author));
}

ts_status ts_chat_author_open(ts_chat_author **out, ts_runtime *runtime, const ts_word_list *vocabulary, const ts_generator_options *options)
{
    ts_chat_author *author = ts_allocate(runtime, sizeof *author);
    if (!author)
        return TS_ERROR_OUT_OF_MEMORY;
    author->runtime = author->text.runtime = author->prompt.runtime = runtime;
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
    ts_release(author->runtime, author);
}

static ts_status write_prompt(void *user, uint64_t index, ts_bytes *out)
{
    const ts_chat_author *author = user;
    ts_drawn drawn;
    ts_draw(&drawn, author->vocabulary, author->seed, index, author->features);
    return ts_prompt_write(&author->prompt, &drawn, author->seed, index, out);
}

static ts_chat_jobs jobs_of(ts_chat_author *author, const ts_story_range *range)
{
    return (ts_chat_jobs){.first = range->first, .count = range->count, .step = range->step, .user = author, .prompt = write_prompt};
}

ts_status ts_chat_author_ask(ts_chat_author *author, ts_story_range *range, ts_progress progress, void *progress_user)
{
    uint64_t wanted = range->count, seen = 0, usable = 0;
    for (;;) {
        ts_chat_jobs jobs = jobs_of(author, range);
        TS_TRY(ts_chat_run(author->chat, &jobs, progress, progress_user));
        for (; seen < range->count; seen++)
            usable += ts_chat_answer_of(author->chat, range->first + seen * range->step) == TS_CHAT_TEXT;
        if (usable >= wanted)
            return TS_OK;
        if (range->count - usable > usable + SPARE_STORIES)
            return ts_fail(TS_ERROR_LIMIT, "%llu of %llu replies of the chat service cannot be used: they are cut off, filtered or empty",
                           (unsigned long long)(range->count - usable), (unsigned long long)range->count);
        range->count += wanted - usable;
    }
}

ts_status ts_chat_author_ask_one(ts_chat_author *author, uint64_t index)
{
    ts_story_range one = {.first = index, .count = 1, .step = 1};
    ts_chat_jobs jobs = jobs_of(author, &one);
    return ts_chat_run(author->chat, &jobs, NULL, NULL);
}

/* A model that writes the marker between stories itself has begun another one: the first is the story. */
static void cut_at_marker(ts_chat_author *author, const char **story, size_t *size)
{
    static const size_t marker = sizeof TS_STORIES_MARKER - 1;
    *story = author->text.size ? author->text.data : "";
    *size = author->text.size;
    while (*size >= marker && memcmp(*story, TS_STORIES_MARKER, marker) == 0) {
        *story += marker;
        *size -= marker;
        ts_trim(story, size);
    }
    char *end = strstr(*story, TS_STORIES_MARKER);
    if (!end)
        return;
    *size = (size_t)(end - *story);
    ts_trim(story, size);
    author->text.data[*story + *size - author->text.data] = 0;
}

ts_status ts_chat_author_story(ts_chat_author *author, uint64_t index, ts_story *story, bool *usable)
{
    ts_drawn drawn;
    const char *text;
    size_t size;
    *usable = ts_chat_answer_of(author->chat, index) == TS_CHAT_TEXT;
    if (!*usable)
        return TS_OK;
    author->text.size = 0;
    TS_TRY(ts_chat_text(author->chat, index, &author->text));
    ts_draw(&drawn, author->vocabulary, author->seed, index, author->features);
    cut_at_marker(author, &text, &size);
    *story = (ts_story){.struct_size = sizeof *story,
                        .story = text,
                        .story_size = size,
                        .words = {drawn.words[0]->base, drawn.words[1]->base, drawn.words[2]->base},
                        .summary = "",
                        .source = ts_chat_model(author->chat),
                        .seed = author->seed,
                        .index = index,
                        .features = drawn.features};
    return TS_OK;
}

ts_status ts_chat_author_prompt(ts_chat_author *author, uint64_t index, const char **text, size_t *size)
{
    author->text.size = 0;
    TS_TRY(write_prompt(author, index, &author->text));
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

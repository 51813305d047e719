/* The chat author: calls are asked for, and stories taken out of their replies. */
#include "generator/chat_author.h"

#include "generator/chat_replies.h"

#include <stdlib.h>

enum {
    SPARE_STORIES = 16, /* so many that cannot be used say nothing yet of the service */
    MOST_ASKS = 8,
    CALL_BITS = 48 /* of a job's number, above which stands how often its call was asked for before */
};

struct ts_chat_author {
    ts_runtime *runtime;
    const ts_word_list *vocabulary; /* NULL: the journal is read alone */
    ts_chat *chat;
    ts_prompt prompt;
    uint64_t seed;
    uint32_t features, template, group, reject, asks;
    ts_drawn drawn[TS_MOST_A_CALL];
    ts_asked asked[TS_MOST_A_CALL];
    ts_bytes text; /* what a call is about */
    ts_reply reply;
    uint64_t job; /* whose reply it is, or NO_JOB */
};

#define NO_JOB UINT64_MAX

/* Everything that prompts are made of, besides what ts_chat_open adds. */
static uint64_t fingerprint_of(const ts_chat_author *author)
{
    const uint64_t numbers[] = {author->seed, author->features, author->template, author->group};
    uint64_t hash = ts_hash(numbers, sizeof numbers, author->prompt.fingerprint);
    for (size_t i = 0; i < author->vocabulary->kind_start[3]; i++)
        hash = ts_hash(author->vocabulary->words[i].base, strlen(author->vocabulary->words[i].base), hash);
    return hash;
}

static ts_status open_author(ts_chat_author *author, const ts_generator_options *options)
{
    if (!options->chat)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.author is 1 (chat), but options.chat is NULL");
    if (options->stories_a_call == 0 || options->stories_a_call > TS_MOST_A_CALL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.stories_a_call is %u, expected 1 to %d", options->stories_a_call, TS_MOST_A_CALL);
    if (options->varied > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.varied is %u, expected 0 or 1", options->varied);
    if (options->asks == 0 || options->asks > MOST_ASKS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.asks is %u, expected 1 to %d", options->asks, MOST_ASKS);
    author->group = options->stories_a_call;
    author->asks = options->asks;
    author->reject = options->reject;
    author->template = options->varied ? TS_TEMPLATE_VARIED : TS_TEMPLATE_PAPER;
    TS_TRY(ts_prompt_read(&author->prompt, author->runtime, options->prompt));
    ts_chat_options chat;
    TS_TRY(ts_chat_options_divide(&chat, options->chat, options->shard, options->shards));
    chat.reply_tokens = chat.reply_tokens > UINT32_MAX / author->group ? UINT32_MAX : chat.reply_tokens * author->group; /* it is a story's */
    return ts_chat_open(&author->chat, author->runtime, &chat, TS_CHAT_CONVERSATION, fingerprint_of(author));
}

static ts_chat_author *make(ts_runtime *runtime)
{
    ts_chat_author *author = ts_allocate(runtime, sizeof *author);
    if (author) {
        author->runtime = author->text.runtime = author->prompt.runtime = runtime;
        author->reply.runtime = author->reply.story.runtime = author->reply.drawn.runtime = author->reply.provenance.runtime = runtime;
        author->job = NO_JOB;
    }
    return author;
}

static ts_status give(ts_chat_author **out, ts_chat_author *author, ts_status status)
{
    if (status != TS_OK)
        ts_chat_author_close(author);
    else
        *out = author;
    return status;
}

ts_status ts_chat_author_open(ts_chat_author **out, ts_runtime *runtime, const ts_word_list *vocabulary, const ts_generator_options *options)
{
    ts_chat_author *author = make(runtime);
    if (!author)
        return TS_ERROR_OUT_OF_MEMORY;
    author->vocabulary = vocabulary;
    author->seed = options->seed;
    author->features = options->features;
    return give(out, author, open_author(author, options));
}

static ts_status open_reply(ts_chat_author *author, uint64_t job);

/* How many stories a call asks for any of its results tells. */
static ts_status read_group(ts_chat_author *author)
{
    uint64_t *jobs;
    size_t count;
    TS_TRY(ts_chat_answered(author->chat, &jobs, &count));
    ts_status status = count > 0 ? open_reply(author, jobs[0]) : TS_OK;
    ts_release(author->runtime, jobs);
    author->group = count > 0 && status == TS_OK ? (uint32_t)author->reply.count : 1;
    return status;
}

ts_status ts_chat_author_open_to_read(ts_chat_author **out, ts_runtime *runtime, const char *journal, uint32_t reject)
{
    ts_chat_author *author = make(runtime);
    if (!author)
        return TS_ERROR_OUT_OF_MEMORY;
    author->reject = reject;
    ts_status status = ts_chat_open_to_read(&author->chat, runtime, journal);
    return give(out, author, status ? status : read_group(author));
}

uint32_t ts_chat_author_group(const ts_chat_author *author)
{
    return author->group;
}

void ts_chat_author_close(ts_chat_author *author)
{
    if (!author)
        return;
    ts_chat_close(author->chat);
    ts_prompt_free(&author->prompt);
    ts_bytes_free(&author->text);
    ts_reply_close(&author->reply);
    ts_release(author->runtime, author);
}

/* ---- calls ---- */

/* A call's jobs: one for each time that it may be asked for. The first one has the call's own number. */
static uint64_t job_of(uint64_t call, uint32_t ask)
{
    return call + ((uint64_t)ask << CALL_BITS);
}

static uint64_t call_of(uint64_t job)
{
    return job & (((uint64_t)1 << CALL_BITS) - 1);
}

/* What the stories of a call are asked for. */
static void draw_call(ts_chat_author *author, uint64_t call)
{
    for (uint32_t i = 0; i < author->group; i++) {
        uint64_t index = call * author->group + i;
        ts_draw(&author->drawn[i], author->vocabulary, author->seed, index, author->features);
        author->asked[i] = (ts_asked){&author->drawn[i], author->seed, index, author->template};
    }
}

static ts_status write_prompt(void *user, uint64_t job, ts_bytes *out)
{
    ts_chat_author *author = user;
    draw_call(author, call_of(job));
    return author->group == 1 ? ts_prompt_write(&author->prompt, author->asked, out)
                              : ts_prompt_write_several(&author->prompt, author->asked, author->group, out);
}

static ts_status describe(void *user, uint64_t job, const char *text, size_t size, ts_bytes *object, uint32_t *unfit)
{
    ts_chat_author *author = user;
    ts_piece pieces[TS_MOST_A_CALL];
    draw_call(author, call_of(job));
    if (text)
        ts_pieces_find(pieces, author->group, text, size);
    return ts_reply_describe(object, &author->prompt, ts_chat_model(author->chat), author->asked, author->group, text ? pieces : NULL, unfit);
}

/* Opens the reply of a job that has a text. What the library did not keep yet when it came is drawn again, unless that cannot be known. */
static ts_status open_reply(ts_chat_author *author, uint64_t job)
{
    ts_json *line;
    uint32_t unfit = 0;
    if (author->job == job)
        return TS_OK;
    author->job = NO_JOB;
    TS_TRY(ts_chat_result(author->chat, job, &line));
    const char *text = ts_json_text(ts_json_get(line, "text")), *about = NULL;
    ts_status status = TS_OK;
    if (!ts_json_get(line, "about") && author->vocabulary) {
        author->text.size = 0;
        status = describe(author, job, text ? text : "", text ? strlen(text) : 0, &author->text, &unfit);
        about = author->text.data;
    }
    if (status != TS_OK) {
        ts_json_free(line);
        return status;
    }
    TS_TRY(ts_reply_open(&author->reply, line, about));
    author->job = job;
    return TS_OK;
}

/* Opens the first reply in which a story is and fits, as far as it must; *found: there is one. */
static ts_status find_story(ts_chat_author *author, uint64_t index, bool *found)
{
    uint64_t call = index / author->group;
    *found = false;
    for (uint32_t ask = 0; ask < MOST_ASKS && !*found; ask++) {
        ts_chat_answer answer = ts_chat_answer_of(author->chat, job_of(call, ask));
        if (answer == TS_CHAT_NONE)
            return TS_OK;
        if (answer != TS_CHAT_TEXT)
            continue;
        TS_TRY(open_reply(author, job_of(call, ask)));
        *found = (ts_reply_unfit(&author->reply, (size_t)(index % author->group)) & (author->reject | TS_UNFIT_MISSING)) == 0;
    }
    return TS_OK;
}

/* ---- asking ---- */

/* Whether a call is to be asked for once more: it was asked before, and one of its stories cannot be used yet. */
static bool is_wanted(void *user, uint64_t job)
{
    ts_chat_author *author = user;
    uint64_t call = call_of(job), before = job - job_of(0, 1);
    ts_chat_answer answer = ts_chat_answer_of(author->chat, before);
    if (answer == TS_CHAT_NONE || (before == call && answer == TS_CHAT_TEXT && ts_chat_unfit(author->chat, before) == 0))
        return false;
    for (uint64_t i = 0; i < author->group; i++) {
        bool found = false;
        if (find_story(author, call * author->group + i, &found) != TS_OK || !found)
            return true;
    }
    return false;
}

/* The calls of a range, to be asked for the first time or, ask > 0, again. */
static ts_chat_jobs jobs_of(ts_chat_author *author, const ts_story_range *range, uint32_t ask)
{
    uint64_t count = (range->first % range->group + range->count + range->group - 1) / range->group;
    return (ts_chat_jobs){.first = job_of(range->first / range->group, ask),
                          .count = range->count > 0 ? count : 0,
                          .step = range->step,
                          .user = author,
                          .prompt = write_prompt,
                          .wanted = ask > 0 ? is_wanted : NULL,
                          .about = describe};
}

/* The numbers of calls are followed by that of the ask. */
static ts_status check_range(const ts_story_range *range)
{
    uint64_t calls = range->count / range->group + 1, first = range->first / range->group, most = (uint64_t)1 << CALL_BITS;
    if (first < most && calls <= (most - first) / range->step)
        return TS_OK;
    return ts_fail(TS_ERROR_INVALID_ARGUMENT, "stories %llu and on, %llu of them, are beyond call 2^%d, the last one",
                   (unsigned long long)range->first, (unsigned long long)range->count, CALL_BITS);
}

/* Those of the asks that have something left; *left is 0 if none has. */
static ts_chat_jobs jobs_left(ts_chat_author *author, const ts_story_range *range, uint64_t *left)
{
    ts_chat_jobs jobs = jobs_of(author, range, 0);
    *left = ts_chat_left(author->chat, &jobs);
    for (uint32_t ask = 1; ask < author->asks && *left == 0; ask++) {
        jobs = jobs_of(author, range, ask);
        *left = ts_chat_left(author->chat, &jobs);
    }
    return jobs;
}

/* Stories of a range that were looked at, and how many of them can be used. */
typedef struct tally {
    uint64_t wanted, seen, usable;
} tally;

/* Looks at the stories of a range whose calls are answered, and lets it grow by those that cannot be used. */
static ts_status extend(ts_chat_author *author, ts_story_range *range, tally *t)
{
    for (; t->seen < range->count; t->seen++) {
        bool found;
        TS_TRY(find_story(author, ts_story_range_at(range, t->seen), &found));
        t->usable += found;
    }
    if (t->usable < t->wanted && range->count - t->usable > t->usable + SPARE_STORIES)
        return ts_fail(TS_ERROR_LIMIT, "%llu of %llu stories of the chat service cannot be used: they are cut off, filtered, empty, missing or unfit",
                       (unsigned long long)(range->count - t->usable), (unsigned long long)range->count);
    range->count += t->wanted - TS_MIN(t->usable, t->wanted);
    return TS_OK;
}

ts_status ts_chat_author_ask(ts_chat_author *author, ts_story_range *range, ts_progress progress, void *progress_user)
{
    tally t = {.wanted = range->count};
    bool asked = false;
    do {
        uint64_t left;
        TS_TRY(check_range(range));
        ts_chat_jobs jobs = jobs_of(author, range, 0);
        do {
            jobs.goes_on = asked;
            TS_TRY(ts_chat_run(author->chat, &jobs, progress, progress_user));
            jobs = jobs_left(author, range, &left);
            asked = true;
        } while (left > 0);
        TS_TRY(extend(author, range, &t));
    } while (t.usable < t.wanted);
    return TS_OK;
}

/* What is left of a range as far as it is answered, *jobs: it grows by what cannot be used, until something in it is not answered. */
static ts_status grow_answered(ts_chat_author *author, ts_story_range *range, tally *t, ts_chat_jobs *jobs, uint64_t *left)
{
    for (;;) {
        TS_TRY(check_range(range));
        *jobs = jobs_left(author, range, left);
        *left = TS_MIN(*left * range->group, t->wanted);
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
    ts_chat_jobs jobs;
    TS_TRY(grow_answered(author, &own, &t, &jobs, &report->left));
    while (report->left > 0 && report->waiting == 0) {
        TS_TRY(ts_chat_batch_step(author->chat, &jobs, report));
        TS_TRY(grow_answered(author, &own, &t, &jobs, &report->left));
    }
    return TS_OK;
}

ts_status ts_chat_author_batch_write(ts_chat_author *author, const ts_story_range *range, const char *path, ts_batch_report *report)
{
    ts_story_range own = *range;
    tally t = {.wanted = range->count};
    ts_chat_jobs jobs;
    TS_TRY(grow_answered(author, &own, &t, &jobs, &report->left));
    return report->left > 0 ? ts_chat_batch_write(author->chat, &jobs, path, report) : TS_OK;
}

ts_status ts_chat_author_batch_read(ts_chat_author *author, const ts_story_range *range, const char *path, ts_batch_report *report)
{
    ts_story_range own = *range;
    tally t = {.wanted = range->count};
    ts_chat_jobs jobs = jobs_of(author, range, 0);
    TS_TRY(ts_chat_batch_read(author->chat, &jobs, path, report));
    return grow_answered(author, &own, &t, &jobs, &report->left);
}

ts_status ts_chat_author_merge(ts_chat_author *author, const char *path, uint64_t *taken)
{
    return ts_chat_merge(author->chat, path, taken);
}

ts_status ts_chat_author_ask_one(ts_chat_author *author, uint64_t index)
{
    ts_story_range one = {.first = index, .count = 1, .step = 1, .group = author->group};
    uint64_t left;
    TS_TRY(check_range(&one));
    ts_chat_jobs jobs = jobs_left(author, &one, &left);
    for (; left > 0; jobs = jobs_left(author, &one, &left))
        TS_TRY(ts_chat_run(author->chat, &jobs, NULL, NULL));
    return TS_OK;
}

ts_status ts_chat_author_story(ts_chat_author *author, uint64_t index, ts_story *story, bool *usable)
{
    TS_TRY(find_story(author, index, usable));
    if (!*usable)
        return TS_OK;
    TS_TRY(ts_reply_story(&author->reply, (size_t)(index % author->group), story));
    story->index = index;
    return TS_OK;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

ts_status ts_chat_author_calls(const ts_chat_author *author, uint64_t **calls, size_t *count)
{
    size_t kept = 0;
    TS_TRY(ts_chat_answered(author->chat, calls, count));
    for (size_t i = 0; i < *count; i++)
        (*calls)[i] = call_of((*calls)[i]);
    if (*count > 0)
        qsort(*calls, *count, sizeof **calls, by_number);
    for (size_t i = 0; i < *count; i++) /* one that was asked for more than once is one */
        if (kept == 0 || (*calls)[kept - 1] != (*calls)[i])
            (*calls)[kept++] = (*calls)[i];
    *count = kept;
    return TS_OK;
}

ts_status ts_chat_author_prompt(ts_chat_author *author, uint64_t index, ts_bytes *text)
{
    return write_prompt(author, index / author->group, text);
}

ts_status ts_chat_author_estimate(ts_chat_author *author, const ts_story_range *range, ts_chat_report *report)
{
    ts_chat_jobs jobs = jobs_of(author, range, 0);
    TS_TRY(check_range(range));
    return ts_chat_estimate(author->chat, &jobs, report);
}

void ts_chat_author_report(const ts_chat_author *author, ts_chat_report *report)
{
    ts_chat_totals(author->chat, report);
}

/* Asks a chat service for the summaries of stories. The files are read anew for each pass: memory holds a bit a story, and one story. */
#include "generator/instruct_summaries.h"

#include "chat/chat.h"
#include "generator/instruct_entry.h"

enum { MOST_PROMPT = 64 << 10 };

struct ts_summaries {
    ts_runtime *runtime;
    ts_busy busy;
    char **paths; /* copied */
    size_t path_count;
    ts_instruct_options options; /* what drawing goes by; nothing of the caller's memory */
    char *prompt;           /* a template of the user's, or NULL */
    size_t prompt_size;
    ts_maker maker;
    ts_stories *stories;
    uint64_t next;   /* number of the story that is read next */
    uint64_t *asked; /* a bit a story: its entry has a summary that only the service can give */
    size_t capacity;
    uint64_t count, wanted; /* stories; summaries of this shard */
    ts_chat *chat;
};

/* ---- the prompt ---- */

static const char built_in[] = "Summarize the following story for children in one or two short sentences, in simple words. Say what happens and how it ends. "
                               "Write only the summary, in one line.\n\n{story}";
static const char *const names[] = {"story", "words", "features"};

static size_t name_of(const char *name, size_t size)
{
    size_t i = 0;
    while (i < TS_COUNT_OF(names) && (strlen(names[i]) != size || memcmp(names[i], name, size) != 0))
        i++;
    return i;
}

/* `user` is a bit for each name that was seen. */
static bool is_known(void *user, const char *name, size_t size)
{
    size_t number = name_of(name, size);
    *(uint32_t *)user |= 1u << number;
    return number < TS_COUNT_OF(names);
}

static ts_status read_prompt(ts_summaries *s, const char *path)
{
    uint32_t seen = 0;
    ts_template_names known = {.user = &seen, .known = is_known, .what = "prompt", .expected = "story, words or features"};
    if (path == NULL)
        return TS_OK;
    TS_TRY(ts_file_read(s->runtime, path, MOST_PROMPT, &s->prompt, &s->prompt_size));
    TS_TRY(ts_template_check(s->prompt, s->prompt_size, path, &known));
    return seen & 1 ? TS_OK : ts_fail(TS_ERROR_FORMAT, "%s: the prompt has no {story}", path);
}

static ts_status say(void *user, const char *name, size_t size, ts_bytes *out)
{
    const ts_maker *m = user;
    const struct {
        const char *text;
        size_t size;
    } all[] = {{m->fields.story, m->fields.story_size}, {m->words.data, m->words.size}, {m->features.data, m->features.size}};
    size_t number = name_of(name, size);
    return ts_bytes_add(out, all[number].text, all[number].size);
}

/* ---- the stories ---- */

static bool is_asked(void *user, uint64_t index)
{
    const ts_summaries *s = user;
    return s->asked[index / 64] >> index % 64 & 1;
}

static ts_status open_stories(ts_summaries *s)
{
    ts_stories_close(s->stories);
    s->stories = NULL;
    s->next = 0;
    return ts_stories_open(&s->stories, s->runtime, (const char *const *)s->paths, s->path_count);
}

/* Notes which stories are asked about. *hash becomes a fingerprint of them, whatever the shard: a journal belongs to these. */
static ts_status scan(ts_summaries *s, uint64_t *hash)
{
    const char *text;
    size_t size;
    for (;; s->count++) {
        TS_TRY(ts_stories_next(s->stories, &text, &size));
        if (text == NULL)
            return TS_OK;
        size_t word = (size_t)(s->count / 64), before = s->capacity;
        TS_TRY(ts_reserve(s->runtime, &s->asked, &s->capacity, word + 1, sizeof *s->asked));
        memset(s->asked + before, 0, (s->capacity - before) * sizeof *s->asked);
        TS_TRY(ts_maker_draw(&s->maker, ts_stories_record(s->stories), text, size, s->count));
        if (!s->maker.asks)
            continue;
        s->asked[word] |= UINT64_C(1) << s->count % 64;
        s->wanted += s->count % s->options.shards == s->options.shard;
        *hash = ts_hash(text, size, *hash ^ s->count);
    }
}

/* Prompts are asked for in the order of the stories, so that the files are seldom opened anew. */
static ts_status write_prompt(void *user, uint64_t index, ts_bytes *prompt)
{
    ts_summaries *s = user;
    const char *text = NULL;
    size_t size = 0;
    if (s->stories == NULL || index < s->next)
        TS_TRY(open_stories(s));
    while (s->next <= index) {
        TS_TRY(ts_stories_next(s->stories, &text, &size));
        if (text == NULL)
            return ts_fail(TS_ERROR_IO, "the files have %llu stories, there were %llu before", (unsigned long long)s->next, (unsigned long long)s->count);
        s->next++;
    }
    TS_TRY(ts_maker_draw(&s->maker, ts_stories_record(s->stories), text, size, index));
    ts_template_names filling = {.user = &s->maker, .say = say};
    return s->prompt != NULL ? ts_template_write(s->prompt, s->prompt_size, &filling, prompt)
                             : ts_template_write(built_in, sizeof built_in - 1, &filling, prompt);
}

static ts_chat_jobs jobs_of(ts_summaries *s)
{
    uint64_t first = s->options.shard, step = s->options.shards;
    return (ts_chat_jobs){.first = first, .count = s->count > first ? (s->count - first - 1) / step + 1 : 0, .step = step, .user = s,
                          .prompt = write_prompt, .wanted = is_asked};
}

/* ---- the handle ---- */

static const ts_chat_options some_chat; /* drawing asks no more than whether there is a service */

static ts_status copy_paths(ts_summaries *s, const char *const *paths, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += strlen(paths[i]) + 1;
    s->paths = ts_allocate(s->runtime, count * sizeof *s->paths + size);
    if (s->paths == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    s->path_count = count;
    char *at = (char *)(s->paths + count);
    for (size_t i = 0; i < count; i++) {
        s->paths[i] = memcpy(at, paths[i], strlen(paths[i]) + 1);
        at += strlen(at) + 1;
    }
    return TS_OK;
}

static ts_status start(ts_summaries *s, const char *const *paths, size_t path_count, const ts_instruct_options *options)
{
    const uint64_t numbers[] = {options->seed, options->fields, options->always};
    ts_chat_options shared;
    TS_TRY(ts_chat_options_divide(&shared, options->chat, options->shard, options->shards));
    s->options = (ts_instruct_options){.seed = options->seed, .fields = options->fields, .always = options->always, .chat = &some_chat,
                                       .shard = options->shard, .shards = options->shards};
    TS_TRY(copy_paths(s, paths, path_count));
    TS_TRY(read_prompt(s, options->prompt));
    TS_TRY(ts_maker_start(&s->maker, s->runtime, &s->options));
    uint64_t hash = s->prompt != NULL ? ts_hash(s->prompt, s->prompt_size, 0) : ts_hash(built_in, sizeof built_in - 1, 0);
    hash = ts_hash(numbers, sizeof numbers, hash);
    TS_TRY(open_stories(s));
    TS_TRY(scan(s, &hash));
    ts_stories_close(s->stories); /* at their end */
    s->stories = NULL;
    return ts_chat_open(&s->chat, s->runtime, &shared, TS_CHAT_CONVERSATION, hash);
}

ts_status ts_summaries_new(ts_summaries **out, ts_runtime *runtime, const char *const *paths, size_t path_count, const ts_instruct_options *options)
{
    ts_instruct_options own = ts_instruct_defaults;
    ts_runtime *acquired;
    if (out == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_summaries_new: out is NULL");
    TS_TRY(ts_options_read(&own, sizeof own, options, "ts_instruct_options"));
    TS_TRY(ts_instruct_check("ts_summaries_new", paths, path_count, &own));
    if (own.chat == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_summaries_new: options.chat is NULL");
    TS_TRY(ts_runtime_acquire(&acquired, runtime));
    ts_summaries *s = ts_allocate(acquired, sizeof *s);
    if (s == NULL) {
        ts_runtime_release(acquired);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    s->runtime = acquired;
    ts_status status = start(s, paths, path_count, &own);
    if (status == TS_OK)
        *out = s;
    else
        ts_summaries_free(s);
    return status;
}

void ts_summaries_free(ts_summaries *s)
{
    if (s == NULL)
        return;
    ts_runtime *runtime = s->runtime;
    ts_chat_close(s->chat);
    ts_stories_close(s->stories);
    ts_maker_free(&s->maker);
    ts_release(runtime, s->asked);
    ts_release(runtime, s->prompt);
    ts_release(runtime, s->paths);
    ts_release(runtime, s);
    ts_runtime_release(runtime);
}

/* ---- asking ---- */

static void tell_report(const ts_summaries *s, ts_chat_report *report)
{
    ts_chat_report own;
    ts_chat_totals(s->chat, &own);
    if (report != NULL)
        ts_report_write(report, &own, sizeof own, "ts_chat_report");
}

typedef struct listener {
    const ts_summaries *summaries;
    const ts_instruct_options *options;
} listener;

static int32_t tell(void *user, uint64_t done, uint64_t total)
{
    const listener *l = user;
    tell_report(l->summaries, l->options->chat_report);
    return l->options->asking != NULL ? l->options->asking(l->options->asking_user, done, total) : 0;
}

ts_status ts_summaries_ask(ts_summaries *s, const ts_instruct_options *options)
{
    ts_chat_jobs jobs = jobs_of(s);
    listener all = {s, options};
    ts_status status = ts_chat_run(s->chat, &jobs, tell, &all);
    tell_report(s, options->chat_report);
    return status;
}

/* Takes the handle for a call; ts_busy_leave gives it back. */
static ts_status enter(ts_summaries *s, const char *call)
{
    if (s == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: summaries is NULL", call);
    return ts_busy_enter(&s->busy) ? TS_OK : ts_fail(TS_ERROR_BUSY, "%s: the summaries are used by another thread", call);
}

uint64_t ts_summaries_count(const ts_summaries *s)
{
    return s != NULL ? s->wanted : 0;
}

static ts_status prompt_of(ts_summaries *s, uint64_t place, ts_bytes *prompt)
{
    ts_chat_jobs jobs = jobs_of(s);
    if (place >= s->wanted)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_summaries_prompt: place is %llu, but there are %llu summaries", (unsigned long long)place,
                       (unsigned long long)s->wanted);
    uint64_t index = jobs.first;
    for (uint64_t passed = 0; passed < place || !is_asked(s, index); index += jobs.step)
        passed += is_asked(s, index);
    return write_prompt(s, index, prompt);
}

ts_status ts_summaries_prompt(ts_summaries *s, uint64_t place, char *text, size_t capacity, size_t *size)
{
    if (size == NULL || (text == NULL && capacity > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_summaries_prompt: text or size is NULL");
    TS_TRY(enter(s, "ts_summaries_prompt"));
    ts_bytes prompt = {.runtime = s->runtime};
    ts_status status = prompt_of(s, place, &prompt);
    if (status == TS_OK)
        status = ts_bytes_give(&prompt, "ts_summaries_prompt: the prompt", text, capacity, size);
    ts_bytes_free(&prompt);
    ts_busy_leave(&s->busy);
    return status;
}

ts_status ts_summaries_estimate(ts_summaries *s, ts_chat_report *report)
{
    ts_chat_report own;
    TS_TRY(enter(s, "ts_summaries_estimate"));
    ts_chat_jobs jobs = jobs_of(s);
    ts_status status = ts_chat_estimate(s->chat, &jobs, &own);
    if (status == TS_OK)
        status = ts_report_write(report, &own, sizeof own, "ts_chat_report");
    ts_busy_leave(&s->busy);
    return status;
}

ts_status ts_summaries_chat_report(ts_summaries *s, ts_chat_report *report)
{
    ts_chat_report own;
    TS_TRY(enter(s, "ts_summaries_chat_report"));
    ts_chat_totals(s->chat, &own);
    ts_status status = ts_report_write(report, &own, sizeof own, "ts_chat_report");
    ts_busy_leave(&s->busy);
    return status;
}

ts_status ts_summaries_merge(ts_summaries *s, const char *journal, uint64_t *taken)
{
    uint64_t own = 0;
    if (journal == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_summaries_merge: the journal is NULL");
    TS_TRY(enter(s, "ts_summaries_merge"));
    ts_status status = ts_chat_merge(s->chat, journal, &own);
    if (taken != NULL)
        *taken = own;
    ts_busy_leave(&s->busy);
    return status;
}

/* ---- batches ---- */

/* One step after another until the service is at work, or nothing is left. */
static ts_status take_steps(ts_summaries *s, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report)
{
    (void)path;
    while (report->waiting == 0 && ts_chat_left(s->chat, jobs) > 0)
        TS_TRY(ts_chat_batch_step(s->chat, jobs, report));
    return TS_OK;
}

static ts_status write_requests(ts_summaries *s, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report)
{
    return ts_chat_left(s->chat, jobs) > 0 ? ts_chat_batch_write(s->chat, jobs, path, report) : TS_OK;
}

static ts_status read_results(ts_summaries *s, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report)
{
    return ts_chat_batch_read(s->chat, jobs, path, report);
}

typedef ts_status (*batch_work)(ts_summaries *s, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report);

static ts_status work_on_batches(ts_summaries *s, const char *call, batch_work work, const char *path, ts_batch_report *report)
{
    ts_batch_report own = {.struct_size = sizeof own};
    TS_TRY(ts_report_check(report, "ts_batch_report"));
    TS_TRY(enter(s, call));
    ts_chat_jobs jobs = jobs_of(s);
    ts_status status = work(s, &jobs, path, &own);
    own.left = ts_chat_left(s->chat, &jobs);
    if (status == TS_OK)
        status = ts_report_write(report, &own, sizeof own, "ts_batch_report");
    ts_busy_leave(&s->busy);
    return status;
}

ts_status ts_summaries_batch_step(ts_summaries *s, ts_batch_report *report)
{
    return work_on_batches(s, "ts_summaries_batch_step", take_steps, NULL, report);
}

ts_status ts_summaries_batch_write(ts_summaries *s, const char *path, ts_batch_report *report)
{
    if (path == NULL || strcmp(path, "-") == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_summaries_batch_write: the path is %s, expected a file", path != NULL ? "'-'" : "NULL");
    return work_on_batches(s, "ts_summaries_batch_write", write_requests, path, report);
}

ts_status ts_summaries_batch_read(ts_summaries *s, const char *path, ts_batch_report *report)
{
    if (path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_summaries_batch_read: the path is NULL");
    return work_on_batches(s, "ts_summaries_batch_read", read_results, path, report);
}

/* ---- what came of it ---- */

static bool is_white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

ts_status ts_summaries_text(void *user, uint64_t index, ts_bytes *summary)
{
    static const char label[] = "Summary:";
    ts_summaries *s = user;
    ts_bytes text = {.runtime = s->runtime};
    if (!is_asked(s, index) || ts_chat_answer_of(s->chat, index) != TS_CHAT_TEXT)
        return TS_OK;
    ts_status status = ts_chat_text(s->chat, index, &text);
    size_t from = text.size >= sizeof label - 1 && memcmp(text.data, label, sizeof label - 1) == 0 ? sizeof label - 1 : 0;
    for (size_t at = from; status == TS_OK && at < text.size;) { /* words, a space between them */
        size_t end = at;
        while (end < text.size && !is_white(text.data[end]))
            end++;
        if (end > at && summary->size > 0)
            status = ts_bytes_add(summary, " ", 1);
        if (status == TS_OK && end > at)
            status = ts_bytes_add(summary, text.data + at, end - at);
        at = end + (end < text.size);
    }
    ts_bytes_free(&text);
    return status;
}

/* Asks a chat service for the summaries of stories. The files are read twice at least: memory holds a bit a story, and one story. */
#include "generator/instruct_summaries.h"

static const char request[] = "Summarize the following story for children in one or two short sentences, in simple words. Say what happens and how it ends. "
                              "Write only the summary, in one line.\n\n";

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
    return ts_stories_open(&s->stories, s->runtime, s->paths, s->path_count);
}

/* Notes which stories are asked about. *hash becomes a fingerprint of them: a journal belongs to these. */
static ts_status scan(ts_summaries *s, uint64_t *hash)
{
    const char *text;
    size_t size;
    for (;;) {
        TS_TRY(ts_stories_next(s->stories, &text, &size));
        if (text == NULL)
            return TS_OK;
        size_t word = (size_t)(s->count / 64), before = s->capacity;
        TS_TRY(ts_reserve(s->runtime, &s->asked, &s->capacity, word + 1, sizeof *s->asked));
        memset(s->asked + before, 0, (s->capacity - before) * sizeof *s->asked);
        TS_TRY(ts_maker_draw(&s->maker, ts_stories_record(s->stories), text, size, s->count));
        if (s->maker.asks) {
            s->asked[word] |= UINT64_C(1) << s->count % 64;
            *hash = ts_hash(text, size, *hash ^ s->count);
        }
        s->count++;
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
            return ts_fail(TS_ERROR_IO, "ts_dataset_instruct: the files have %llu stories, there were %llu before", (unsigned long long)s->next,
                           (unsigned long long)s->count);
        s->next++;
    }
    TS_TRY(ts_bytes_add(prompt, request, sizeof request - 1));
    return ts_bytes_add(prompt, text, size);
}

static void report(const ts_summaries *s)
{
    ts_chat_report own;
    if (s->options->chat_report == NULL || s->chat == NULL)
        return;
    ts_chat_totals(s->chat, &own);
    ts_report_write(s->options->chat_report, &own, sizeof own, "ts_chat_report");
}

static int32_t tell(void *user, uint64_t done, uint64_t total)
{
    const ts_summaries *s = user;
    report(s);
    return s->options->asking != NULL ? s->options->asking(s->options->asking_user, done, total) : 0;
}

ts_status ts_summaries_ask(ts_summaries *s, ts_runtime *runtime, const char *const *paths, size_t path_count, const ts_instruct_options *options)
{
    const uint64_t numbers[] = {options->seed, options->fields, options->always};
    uint64_t hash = ts_hash(numbers, sizeof numbers, ts_hash(request, sizeof request, 0));
    *s = (ts_summaries){.runtime = runtime, .paths = paths, .path_count = path_count, .options = options};
    TS_TRY(ts_maker_start(&s->maker, runtime, options));
    TS_TRY(open_stories(s));
    TS_TRY(scan(s, &hash));
    ts_stories_close(s->stories);
    s->stories = NULL;
    TS_TRY(ts_chat_open(&s->chat, runtime, options->chat, hash));
    ts_chat_jobs jobs = {.first = 0, .count = s->count, .step = 1, .user = s, .prompt = write_prompt, .wanted = is_asked};
    ts_status status = ts_chat_run(s->chat, &jobs, tell, s);
    report(s);
    return status;
}

void ts_summaries_close(ts_summaries *s)
{
    ts_chat_close(s->chat);
    ts_stories_close(s->stories);
    if (s->runtime != NULL) {
        ts_maker_free(&s->maker);
        ts_release(s->runtime, s->asked);
    }
    *s = (ts_summaries){.chat = NULL};
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

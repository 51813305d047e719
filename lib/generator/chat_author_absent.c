/* The chat author's interface in a build without chat services. */
#include "generator/chat_author.h"

static ts_status absent(void)
{
    return ts_fail(TS_ERROR_UNSUPPORTED, "this build of the library reaches no chat services");
}

ts_status ts_chat_author_open(ts_chat_author **out, ts_runtime *runtime, const ts_word_list *vocabulary, const ts_generator_options *options)
{
    (void)out, (void)runtime, (void)vocabulary, (void)options;
    return absent();
}

ts_status ts_chat_author_open_to_read(ts_chat_author **out, ts_runtime *runtime, const char *journal, uint32_t reject)
{
    (void)out, (void)runtime, (void)journal, (void)reject;
    return absent();
}

uint32_t ts_chat_author_group(const ts_chat_author *author)
{
    (void)author;
    return 1;
}

void ts_chat_author_close(ts_chat_author *author)
{
    (void)author;
}

ts_status ts_chat_author_ask(ts_chat_author *author, ts_story_range *range, ts_progress progress, void *progress_user)
{
    (void)author, (void)range, (void)progress, (void)progress_user;
    return absent();
}

ts_status ts_chat_author_batch_step(ts_chat_author *author, const ts_story_range *range, ts_batch_report *report)
{
    (void)author, (void)range, (void)report;
    return absent();
}

ts_status ts_chat_author_batch_write(ts_chat_author *author, const ts_story_range *range, const char *path, ts_batch_report *report)
{
    (void)author, (void)range, (void)path, (void)report;
    return absent();
}

ts_status ts_chat_author_batch_read(ts_chat_author *author, const ts_story_range *range, const char *path, ts_batch_report *report)
{
    (void)author, (void)range, (void)path, (void)report;
    return absent();
}

ts_status ts_chat_author_merge(ts_chat_author *author, const char *path, uint64_t *taken)
{
    (void)author, (void)path, (void)taken;
    return absent();
}

ts_status ts_chat_author_ask_one(ts_chat_author *author, uint64_t index)
{
    (void)author, (void)index;
    return absent();
}

ts_status ts_chat_author_story(ts_chat_author *author, uint64_t index, ts_story *story, bool *usable)
{
    (void)author, (void)index, (void)story, (void)usable;
    return absent();
}

ts_status ts_chat_author_calls(const ts_chat_author *author, uint64_t **calls, size_t *count)
{
    (void)author, (void)calls, (void)count;
    return absent();
}

ts_status ts_chat_author_prompt(ts_chat_author *author, uint64_t index, ts_bytes *text)
{
    (void)author, (void)index, (void)text;
    return absent();
}

ts_status ts_chat_author_estimate(ts_chat_author *author, const ts_story_range *range, ts_chat_report *report)
{
    (void)author, (void)range, (void)report;
    return absent();
}

void ts_chat_author_report(const ts_chat_author *author, ts_chat_report *report)
{
    (void)author, (void)report;
}

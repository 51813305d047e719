/* The room's interface in a build without chat services: the same symbols, one answer. */
#include "chat/chat.h"

static ts_status absent(void)
{
    return ts_fail(TS_ERROR_UNSUPPORTED, "this build of the library reaches no chat services");
}

ts_status ts_chat_options_init(ts_chat_options *options, size_t struct_size)
{
    (void)options, (void)struct_size;
    return absent();
}

ts_status ts_chat_options_divide(ts_chat_options *own, const ts_chat_options *options, uint32_t shard, uint32_t shards)
{
    (void)own, (void)options, (void)shard, (void)shards;
    return absent();
}

ts_status ts_chat_open(ts_chat **out, ts_runtime *runtime, const ts_chat_options *options, ts_chat_endpoint endpoint, uint64_t configuration)
{
    (void)out, (void)runtime, (void)options, (void)endpoint, (void)configuration;
    return absent();
}

ts_status ts_chat_open_to_read(ts_chat **out, ts_runtime *runtime, const char *journal)
{
    (void)out, (void)runtime, (void)journal;
    return absent();
}

void ts_chat_close(ts_chat *chat)
{
    (void)chat;
}

ts_status ts_chat_run(ts_chat *chat, const ts_chat_jobs *jobs, ts_progress progress, void *progress_user)
{
    (void)chat, (void)jobs, (void)progress, (void)progress_user;
    return absent();
}

ts_status ts_chat_batch_write(ts_chat *chat, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report)
{
    (void)chat, (void)jobs, (void)path, (void)report;
    return absent();
}

ts_status ts_chat_batch_read(ts_chat *chat, const ts_chat_jobs *jobs, const char *path, ts_batch_report *report)
{
    (void)chat, (void)jobs, (void)path, (void)report;
    return absent();
}

ts_status ts_chat_batch_step(ts_chat *chat, const ts_chat_jobs *jobs, ts_batch_report *report)
{
    (void)chat, (void)jobs, (void)report;
    return absent();
}

ts_status ts_chat_merge(ts_chat *chat, const char *path, uint64_t *taken)
{
    (void)chat, (void)path, (void)taken;
    return absent();
}

ts_chat_answer ts_chat_answer_of(const ts_chat *chat, uint64_t job)
{
    (void)chat, (void)job;
    return TS_CHAT_NONE;
}

uint32_t ts_chat_unfit(const ts_chat *chat, uint64_t job)
{
    (void)chat, (void)job;
    return 0;
}

uint64_t ts_chat_left(const ts_chat *chat, const ts_chat_jobs *jobs)
{
    (void)chat, (void)jobs;
    return 0;
}

ts_status ts_chat_result(ts_chat *chat, uint64_t job, ts_json **line)
{
    (void)chat, (void)job, (void)line;
    return absent();
}

ts_status ts_chat_text(ts_chat *chat, uint64_t job, ts_bytes *text)
{
    (void)chat, (void)job, (void)text;
    return absent();
}

ts_status ts_chat_answered(const ts_chat *chat, uint64_t **jobs, size_t *count)
{
    (void)chat, (void)jobs, (void)count;
    return absent();
}

void ts_chat_totals(const ts_chat *chat, ts_chat_report *report)
{
    (void)chat;
    *report = (ts_chat_report){.struct_size = sizeof *report};
}

ts_status ts_chat_estimate(ts_chat *chat, const ts_chat_jobs *jobs, ts_chat_report *report)
{
    (void)chat, (void)jobs, (void)report;
    return absent();
}

const char *ts_chat_model(const ts_chat *chat)
{
    (void)chat;
    return "";
}

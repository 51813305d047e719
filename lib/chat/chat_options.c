/* The options of a chat service: defaults, checks, the key. */
#define _GNU_SOURCE
#include "chat/client.h"
#include "chat/completions.h"

#include "text/text.h"

#include <math.h>
#include <sys/stat.h>

enum { MOST_URL = 2048, MOST_ATTEMPTS = 1000, MOST_SECONDS = 7 * 86400, MOST_REPLY_TOKENS = 1 << 20 };

static const ts_chat_options defaults = {.struct_size = sizeof defaults,
                                         .base_url = "https://api.openai.com/v1",
                                         .temperature = -1,
                                         .top_p = -1,
                                         .connect_seconds = 10,
                                         .silent_seconds = 120,
                                         .total_seconds = 600,
                                         .reply_tokens = 1024,
                                         .in_flight = 16,
                                         .attempts = 8};

ts_status ts_chat_options_init(ts_chat_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_chat_options");
}

static ts_status check_number(const char *name, double value, double least, double most)
{
    if (value >= least && value <= most)
        return TS_OK;
    return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_chat_options.%s is %g, expected %g to %g", name, value, least, most);
}

static ts_status check_numbers(const ts_chat_options *o)
{
    const struct {
        const char *name;
        double value, least, most;
    } all[] = {
        {"temperature", o->temperature, -INFINITY, 100},
        {"top_p", o->top_p, -INFINITY, 1},
        {"connect_seconds", o->connect_seconds, 0.001, MOST_SECONDS},
        {"silent_seconds", o->silent_seconds, 1, MOST_SECONDS},
        {"total_seconds", o->total_seconds, 0.001, MOST_SECONDS},
        {"max_money", o->max_money, 0, 1e12},
        {"max_seconds", o->max_seconds, 0, 1e12},
        {"requests_per_minute", o->requests_per_minute, 0, 1e12},
        {"tokens_per_minute", o->tokens_per_minute, 0, 1e12},
        {"reply_tokens", o->reply_tokens, 0, MOST_REPLY_TOKENS},
        {"old_names", o->old_names, 0, 1},
        {"in_flight", o->in_flight, 1, TS_HTTP_MOST_IN_FLIGHT},
        {"attempts", o->attempts, 1, MOST_ATTEMPTS},
        {"stream", o->stream, 0, 1},
        {"send_seed", o->send_seed, 0, 1},
    };
    for (size_t i = 0; i < TS_COUNT_OF(all); i++)
        TS_TRY(check_number(all[i].name, all[i].value, all[i].least, all[i].most));
    return TS_OK;
}

ts_status ts_chat_options_check(ts_chat_options *own, ts_runtime *runtime, const ts_chat_options *options)
{
    *own = defaults;
    TS_TRY(ts_options_read(own, sizeof *own, options, "ts_chat_options"));
    if (!own->base_url)
        own->base_url = defaults.base_url;
    if (!own->model || !own->model[0] || !ts_utf8_valid(own->model, strlen(own->model)))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_chat_options.model is %s, expected the service's name for a model",
                       own->model ? "not a name" : "NULL");
    if (strlen(own->base_url) > MOST_URL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_chat_options.base_url has %zu characters, expected at most %d", strlen(own->base_url),
                       MOST_URL);
    if (!own->journal || !own->journal[0])
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_chat_options.journal is missing: what is paid for must be kept");
    if ((own->key != NULL) + (own->key_file != NULL) + (own->read_key != NULL) > 1)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_chat_options: at most one of key, key_file and read_key may be given");
    TS_TRY(check_numbers(own));
    return ts_completion_check_extra(runtime, own);
}

/* A shard's part of a bound: what does not divide goes to the first ones. 0 stays 0, which is no bound. */
static ts_status divide_bound(uint64_t *bound, const char *name, uint32_t shard, uint32_t shards)
{
    if (*bound > 0 && *bound < shards)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.chat.%s is %llu, expected at least one for each of %u shards", name, (unsigned long long)*bound,
                       shards);
    *bound = *bound / shards + (shard < *bound % shards);
    return TS_OK;
}

ts_status ts_chat_options_divide(ts_chat_options *own, const ts_chat_options *options, uint32_t shard, uint32_t shards)
{
    *own = defaults;
    TS_TRY(ts_options_read(own, sizeof *own, options, "ts_chat_options"));
    TS_TRY(divide_bound(&own->max_requests, "max_requests", shard, shards));
    TS_TRY(divide_bound(&own->max_tokens, "max_tokens", shard, shards));
    own->max_money /= shards;
    own->requests_per_minute /= shards;
    own->tokens_per_minute /= shards;
    return TS_OK;
}

/* That of a conversation knows of no endpoint: journals are older than the choice. */
uint64_t ts_chat_options_fingerprint(const ts_chat_options *options, ts_chat_endpoint endpoint, uint64_t configuration)
{
    const char *path = ts_completion_path(endpoint);
    const double numbers[] = {options->temperature < 0 ? -1 : options->temperature, options->top_p < 0 ? -1 : options->top_p, options->reply_tokens,
                              options->send_seed};
    uint64_t hash = ts_hash(options->model, strlen(options->model), configuration);
    hash = ts_hash(options->extra, options->extra ? strlen(options->extra) : 0, hash);
    hash = ts_hash(numbers, sizeof numbers, hash);
    return endpoint == TS_CHAT_CONVERSATION ? hash : ts_hash(path, strlen(path), hash);
}

/* A key that others on the machine may read is used all the same: it may be a machine of one's own. */
static void warn_of_readers(ts_runtime *runtime, const char *path)
{
    struct stat about;
    if (stat(path, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & (S_IRGRP | S_IROTH)))
        ts_log(runtime, TS_LOG_WARNING, "%s: others may read this key, its mode is %03o, expected 600", path, (unsigned)(about.st_mode & 0777));
}

/* The only line of a file. */
static ts_status read_key_file(char *key, size_t capacity, ts_runtime *runtime, const char *path)
{
    char *text;
    size_t size;
    TS_TRY(ts_file_read(runtime, path, capacity, &text, &size));
    warn_of_readers(runtime, path);
    const char *line = text;
    size_t length = size;
    ts_trim(&line, &length);
    if (length < capacity)
        memcpy(key, line, length);
    explicit_bzero(text, size);
    ts_release(runtime, text);
    if (length == 0 || length >= capacity)
        return ts_fail(TS_ERROR_FORMAT, "%s: holds %zu characters, expected a key of 1 to %zu", path, length, capacity - 1);
    return TS_OK;
}

ts_status ts_chat_key_read(char key[TS_HTTP_MOST_KEY + 1], ts_runtime *runtime, const ts_chat_options *options)
{
    memset(key, 0, TS_HTTP_MOST_KEY + 1);
    if (options->key_file)
        return read_key_file(key, TS_HTTP_MOST_KEY + 1, runtime, options->key_file);
    if (options->read_key) {
        if (options->read_key(options->key_user, key, TS_HTTP_MOST_KEY + 1) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "ts_chat_options.read_key gave no key");
        key[TS_HTTP_MOST_KEY] = 0;
    } else if (options->key) {
        size_t size = strlen(options->key);
        if (size == 0 || size > TS_HTTP_MOST_KEY)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_chat_options.key has %zu characters, expected 1 to %d", size, TS_HTTP_MOST_KEY);
        memcpy(key, options->key, size);
    }
    return TS_OK;
}

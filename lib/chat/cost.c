/* Prices and bounds. */
#include "chat/cost.h"

#include "chat/chat.h"

#include "format/json.h"

enum {
    MOST_PRICES = 1 << 20,   /* bytes of a price file */
    BYTES_A_TOKEN = 4,       /* of English, usually */
    LEAST_BYTES_A_TOKEN = 2, /* of what is reserved: English is never so dense */
    TOKENS_OF_A_MESSAGE = 16 /* what a service adds to each */
};

static ts_status read_price(double *price, const ts_json *model, const char *member, const char *path, const char *name)
{
    double value;
    if (!ts_json_double(ts_json_get(model, member), &value) || value < 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: \"%s\".\"%s\" is no price, expected a number of money a million tokens", path, name, member);
    *price = value / 1e6;
    return TS_OK;
}

static ts_status read_model(ts_prices *prices, const ts_json *document, const ts_chat_options *options)
{
    const ts_json *model = ts_json_get(document, options->model);
    if (!model)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: has no price of the model \"%.100s\"", options->prices, options->model);
    TS_TRY(read_price(&prices->prompt, model, "prompt", options->prices, options->model));
    TS_TRY(read_price(&prices->completion, model, "completion", options->prices, options->model));
    prices->known = true;
    return TS_OK;
}

ts_status ts_prices_read(ts_prices *prices, ts_runtime *runtime, const ts_chat_options *options)
{
    char *text;
    size_t size;
    ts_json *document;
    *prices = (ts_prices){false, 0, 0};
    if (!options->prices && options->max_money > 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "options.max_money is set, but options.prices names no price file");
    if (!options->prices)
        return TS_OK;
    TS_TRY(ts_file_read(runtime, options->prices, MOST_PRICES, &text, &size));
    ts_status status = ts_json_parse(&document, runtime, text, size, 0, options->prices);
    ts_release(runtime, text);
    TS_TRY(status);
    status = read_model(prices, document, options);
    ts_json_free(document);
    return status;
}

ts_cost ts_cost_of(const ts_prices *prices, uint64_t prompt_tokens, uint64_t completion_tokens)
{
    return (ts_cost){prompt_tokens, completion_tokens, (double)prompt_tokens * prices->prompt + (double)completion_tokens * prices->completion};
}

ts_cost ts_cost_reserve(const ts_prices *prices, const ts_chat_options *options, size_t prompt_size)
{
    return ts_cost_of(prices, prompt_size / LEAST_BYTES_A_TOKEN + TOKENS_OF_A_MESSAGE,
                      options->reply_tokens ? options->reply_tokens : TS_CHAT_UNBOUNDED_REPLY);
}

ts_cost ts_cost_estimate(const ts_prices *prices, size_t prompt_size, size_t reply_size)
{
    return ts_cost_of(prices, prompt_size / BYTES_A_TOKEN + TOKENS_OF_A_MESSAGE / 2, (reply_size + BYTES_A_TOKEN - 1) / BYTES_A_TOKEN);
}

ts_status ts_cost_allow(const ts_chat_options *options, const ts_chat_report *report, const ts_cost *cost)
{
    uint64_t tokens = report->prompt_tokens + report->completion_tokens + report->reserved_tokens + report->doubtful_tokens;
    if (options->max_requests > 0 && report->requests >= options->max_requests)
        return ts_fail(TS_ERROR_LIMIT, "options.max_requests is reached: %llu requests were sent", (unsigned long long)report->requests);
    if (options->max_tokens > 0 && tokens + cost->prompt_tokens + cost->completion_tokens > options->max_tokens)
        return ts_fail(TS_ERROR_LIMIT, "options.max_tokens of %llu is reached: %llu are spent, reserved or doubtful, the next request may need %llu",
                       (unsigned long long)options->max_tokens, (unsigned long long)tokens,
                       (unsigned long long)(cost->prompt_tokens + cost->completion_tokens));
    double money = report->money + report->doubtful_money;
    if (options->max_money > 0 && money + cost->money > options->max_money)
        return ts_fail(TS_ERROR_LIMIT, "options.max_money of %g is reached: %g is spent, reserved or doubtful, the next request may cost %g",
                       options->max_money, money, cost->money);
    return TS_OK;
}

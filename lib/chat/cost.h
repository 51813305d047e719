/*
 * What requests cost: a price table, what one request may cost at most, and whether the bounds still allow it.
 */
#ifndef TS_CHAT_COST_H
#define TS_CHAT_COST_H

#include "tinystories/chat.h"

#include "base/base.h"

/* Money a token; all 0 without a price file. */
typedef struct ts_prices {
    bool known;
    double prompt, completion;
} ts_prices;

typedef struct ts_cost {
    uint64_t prompt_tokens, completion_tokens;
    double money;
} ts_cost;

/* Reads the model's line of the price file options->prices, if there is one. FORMAT names the member that is wrong. INVALID_ARGUMENT: the file lacks
 * the model, or there is a bound of money and no file. */
ts_status ts_prices_read(ts_prices *prices, ts_runtime *runtime, const ts_chat_options *options);

ts_cost ts_cost_of(const ts_prices *prices, uint64_t prompt_tokens, uint64_t completion_tokens);

/* What a prompt of so many bytes may cost at most: a token to 2 bytes, and all the tokens that a reply may have. */
ts_cost ts_cost_reserve(const ts_prices *prices, const ts_chat_options *options, size_t prompt_size);

/* What it probably cost when the service does not say: a token to 4 bytes. */
ts_cost ts_cost_estimate(const ts_prices *prices, size_t prompt_size, size_t reply_size);

/* LIMIT names the bound of the options that this cost would pass, on top of what the report holds. */
ts_status ts_cost_allow(const ts_chat_options *options, const ts_chat_report *report, const ts_cost *cost);

#endif

/* The client's making with a transport of the caller's; private to the room and its tests. */
#ifndef TS_CHAT_CLIENT_H
#define TS_CHAT_CLIENT_H

#include "chat/chat.h"
#include "chat/http.h"

/* As ts_chat_open with `transport` in place of the network; it is freed with the client, and on failure. */
ts_status ts_chat_open_on(ts_chat **out, ts_runtime *runtime, const ts_chat_options *options, ts_chat_endpoint endpoint, uint64_t configuration,
                          const ts_transport *transport);

/* ---- chat_options.c ---- */

/* Reads the caller's options over the defaults and checks them. INVALID_ARGUMENT names the option, its value and what was expected. */
ts_status ts_chat_options_check(ts_chat_options *own, ts_runtime *runtime, const ts_chat_options *options);

/* A fingerprint of the endpoint and the options that a request's body depends on, chained to `configuration`. */
uint64_t ts_chat_options_fingerprint(const ts_chat_options *options, ts_chat_endpoint endpoint, uint64_t configuration);

/* The key from wherever the options have it; "" for none. The caller wipes it. */
ts_status ts_chat_key_read(char key[TS_HTTP_MOST_KEY + 1], ts_runtime *runtime, const ts_chat_options *options);

#endif

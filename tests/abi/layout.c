/*
 * The layout of everything public, locked: where each field of each struct lies, how large and of what type it is, and what each constant is. It is
 * never run: what does not hold does not compile. tests/checks/check_abi.py tells what of the headers is missing here. A struct may grow at its end:
 * then its SIZE changes and FIELDs are added. Any other change breaks programs that are linked already, and bindings that restate the structs.
 */
#include <assert.h>
#include <stddef.h>

#include "tinystories.h"

/* The sizes are those of x86-64 and aarch64 Linux, where long and pointers have 64 bits. */
#if defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))
#define LP64 1
#else
#define LP64 0
#endif

#ifdef __cplusplus
#include <type_traits>
#define SAME_TYPE(struct_name, field, ...) std::is_same<decltype(struct_name::field), __VA_ARGS__>::value
#else
#define SAME_TYPE(struct_name, field, ...) __builtin_types_compatible_p(__typeof__(((struct_name *)0)->field), __VA_ARGS__)
#endif

#define VALUE(name, value) static_assert(name == (value), #name " has another value")
#define SIZE(struct_name, size) static_assert(sizeof(struct_name) == (size), #struct_name " has another size")
#define FIELD(struct_name, field, type, offset, size)                                                                                                \
    static_assert(offsetof(struct_name, field) == (offset), #struct_name "." #field " lies elsewhere");                                              \
    static_assert(sizeof(((struct_name *)0)->field) == (size), #struct_name "." #field " has another size");                                         \
    static_assert(SAME_TYPE(struct_name, field, type), #struct_name "." #field " has another type")

/* ---- base.h ---- */

SIZE(ts_status, 4);

VALUE(TS_OK, 0);
VALUE(TS_ERROR_INVALID_ARGUMENT, -1);
VALUE(TS_ERROR_OUT_OF_MEMORY, -2);
VALUE(TS_ERROR_IO, -3);
VALUE(TS_ERROR_FORMAT, -4);
VALUE(TS_ERROR_VERSION, -5);
VALUE(TS_ERROR_MISMATCH, -6);
VALUE(TS_ERROR_BUFFER_TOO_SMALL, -7);
VALUE(TS_ERROR_NETWORK, -8);
VALUE(TS_ERROR_CANCELLED, -9);
VALUE(TS_ERROR_UNSUPPORTED, -10);
VALUE(TS_ERROR_BUSY, -11);
VALUE(TS_ERROR_LIMIT, -12);
VALUE(TS_ERROR_DIVERGED, -13);
VALUE(TS_CPU_LEVEL_BEST, 0);
VALUE(TS_CPU_LEVEL_REFERENCE, 1);
VALUE(TS_CPU_LEVEL_AVX2, 2);
VALUE(TS_CPU_LEVEL_AVX512, 3);
VALUE(TS_CPU_LEVEL_AVX512_BF16, 4);
VALUE(TS_CPU_LEVEL_AMX, 5);
VALUE(TS_LOG_WARNING, 1);
VALUE(TS_LOG_INFO, 2);

#if LP64
SIZE(ts_runtime_options, 72);
FIELD(ts_runtime_options, struct_size, size_t, 0, 8);
FIELD(ts_runtime_options, allocate, void *(*)(void *, size_t), 8, 8);
FIELD(ts_runtime_options, reallocate, void *(*)(void *, void *, size_t), 16, 8);
FIELD(ts_runtime_options, release, void (*)(void *, void *), 24, 8);
FIELD(ts_runtime_options, allocator_user, void *, 32, 8);
FIELD(ts_runtime_options, log, void (*)(void *, int32_t, const char *), 40, 8);
FIELD(ts_runtime_options, log_user, void *, 48, 8);
FIELD(ts_runtime_options, memory_limit, uint64_t, 56, 8);
FIELD(ts_runtime_options, threads, uint32_t, 64, 4);
FIELD(ts_runtime_options, cpu_level, int32_t, 68, 4);
#endif

/* ---- tokenizer.h ---- */

VALUE(TS_ENCODE_SPECIALS, 1);
VALUE(TS_TOKENIZER_NONE, 0xffffffffu);
VALUE(TS_TOKENIZER_BYTES, 1);
VALUE(TS_TOKENIZER_PIECES, 2);
VALUE(TS_TOKENIZER_WORDS, 3);

#if LP64
SIZE(ts_tokenizer_train_options, 40);
FIELD(ts_tokenizer_train_options, struct_size, size_t, 0, 8);
FIELD(ts_tokenizer_train_options, progress, ts_progress, 8, 8);
FIELD(ts_tokenizer_train_options, progress_user, void *, 16, 8);
FIELD(ts_tokenizer_train_options, max_words, uint64_t, 24, 8);
FIELD(ts_tokenizer_train_options, vocabulary_size, uint32_t, 32, 4);
FIELD(ts_tokenizer_train_options, min_frequency, uint32_t, 36, 4);

SIZE(ts_decode_stream, 8);
FIELD(ts_decode_stream, bytes, uint8_t[4], 0, 4);
FIELD(ts_decode_stream, count, uint32_t, 4, 4);

SIZE(ts_shard_report, 32);
FIELD(ts_shard_report, struct_size, size_t, 0, 8);
FIELD(ts_shard_report, stories, uint64_t, 8, 8);
FIELD(ts_shard_report, tokens, uint64_t, 16, 8);
FIELD(ts_shard_report, bytes, uint64_t, 24, 8);
#endif

/* ---- model.h ---- */

VALUE(TS_ARCHITECTURE_LLAMA, 1);
VALUE(TS_ARCHITECTURE_GPT2, 2);
VALUE(TS_ARCHITECTURE_GPT_NEO, 3);
VALUE(TS_MODEL_FORMAT_GGUF, 1);
VALUE(TS_MODEL_FORMAT_HUGGINGFACE, 2);
VALUE(TS_MODEL_FORMAT_LLAMA2C_V0, 3);
VALUE(TS_MODEL_FORMAT_LLAMA2C_V1, 4);
VALUE(TS_MODEL_FORMAT_LLAMA2C_V2, 5);
VALUE(TS_MODEL_TYPE_F32, 0);
VALUE(TS_MODEL_TYPE_F16, 1);
VALUE(TS_MODEL_TYPE_BF16, 2);
VALUE(TS_MODEL_TYPE_Q8_0, 3);
VALUE(TS_MODEL_TYPE_Q4_0, 4);

#if LP64
SIZE(ts_architecture, 56);
FIELD(ts_architecture, struct_size, size_t, 0, 8);
FIELD(ts_architecture, kind, int32_t, 8, 4);
FIELD(ts_architecture, vocabulary_size, uint32_t, 12, 4);
FIELD(ts_architecture, context_length, uint32_t, 16, 4);
FIELD(ts_architecture, width, uint32_t, 20, 4);
FIELD(ts_architecture, layers, uint32_t, 24, 4);
FIELD(ts_architecture, heads, uint32_t, 28, 4);
FIELD(ts_architecture, key_value_heads, uint32_t, 32, 4);
FIELD(ts_architecture, hidden, uint32_t, 36, 4);
FIELD(ts_architecture, window, uint32_t, 40, 4);
FIELD(ts_architecture, untied_head, uint32_t, 44, 4);
FIELD(ts_architecture, rotary_base, float, 48, 4);
FIELD(ts_architecture, norm_epsilon, float, 52, 4);
#endif

#if LP64
SIZE(ts_model_options, 40);
FIELD(ts_model_options, struct_size, size_t, 0, 8);
FIELD(ts_model_options, memory_limit, uint64_t, 8, 8);
FIELD(ts_model_options, map, uint32_t, 16, 4);
FIELD(ts_model_options, context_length, uint32_t, 20, 4);
FIELD(ts_model_options, tokenizer, const char *, 24, 8);
FIELD(ts_model_options, widen, uint32_t, 32, 4);
FIELD(ts_model_options, reserved, uint32_t, 36, 4);
#endif

#if LP64
SIZE(ts_read_callbacks, 40);
FIELD(ts_read_callbacks, struct_size, size_t, 0, 8);
FIELD(ts_read_callbacks, read, int32_t (*)(void *user, uint64_t offset, void *buffer, size_t count), 8, 8);
FIELD(ts_read_callbacks, user, void *, 16, 8);
FIELD(ts_read_callbacks, size, uint64_t, 24, 8);
FIELD(ts_read_callbacks, name, const char *, 32, 8);
#endif

#if LP64
SIZE(ts_model_save_options, 16);
FIELD(ts_model_save_options, struct_size, size_t, 0, 8);
FIELD(ts_model_save_options, format, int32_t, 8, 4);
FIELD(ts_model_save_options, type, int32_t, 12, 4);
#endif

#if LP64
SIZE(ts_tensor, 72);
FIELD(ts_tensor, struct_size, size_t, 0, 8);
FIELD(ts_tensor, name, const char *, 8, 8);
FIELD(ts_tensor, data, const float *, 16, 8);
FIELD(ts_tensor, rank, uint64_t, 24, 8);
FIELD(ts_tensor, shape, uint64_t[4], 32, 32);
FIELD(ts_tensor, type, int32_t, 64, 4);
FIELD(ts_tensor, file_type, int32_t, 68, 4);
#endif

#if LP64
SIZE(ts_score, 64);
FIELD(ts_score, struct_size, size_t, 0, 8);
FIELD(ts_score, nats, double, 8, 8);
FIELD(ts_score, nats_per_token, double, 16, 8);
FIELD(ts_score, bits_per_byte, double, 24, 8);
FIELD(ts_score, perplexity, double, 32, 8);
FIELD(ts_score, tokens, uint64_t, 40, 8);
FIELD(ts_score, bytes, uint64_t, 48, 8);
FIELD(ts_score, stories, uint64_t, 56, 8);
#endif

/* ---- sampler.h ---- */

#if LP64
SIZE(ts_batch_options, 16);
FIELD(ts_batch_options, struct_size, size_t, 0, 8);
FIELD(ts_batch_options, capacity, uint32_t, 8, 4);
FIELD(ts_batch_options, context_length, uint32_t, 12, 4);
#endif

VALUE(TS_CONTEXT_FULL_STOP, 0);
VALUE(TS_CONTEXT_FULL_SLIDE, 1);
VALUE(TS_BEGIN_OF_TEXT_FILE, 0);
VALUE(TS_BEGIN_OF_TEXT_ALWAYS, 1);
VALUE(TS_BEGIN_OF_TEXT_NEVER, 2);
VALUE(TS_FINISH_NONE, 0);
VALUE(TS_FINISH_END, 1);
VALUE(TS_FINISH_MAX_TOKENS, 2);
VALUE(TS_FINISH_CONTEXT, 3);
VALUE(TS_FINISH_STOP, 4);
VALUE(TS_FINISH_FORBIDDEN, 5);
VALUE(TS_STEP_NONE, 0);
VALUE(TS_STEP_PENALTIES, 1);
VALUE(TS_STEP_TEMPERATURE, 2);
VALUE(TS_STEP_TOP_K, 3);
VALUE(TS_STEP_TOP_P, 4);
VALUE(TS_STEP_MIN_P, 5);
VALUE(TS_STEP_COUNT, 6);

#if LP64
SIZE(ts_token_bias, 8);
FIELD(ts_token_bias, token, uint32_t, 0, 4);
FIELD(ts_token_bias, bias, float, 4, 4);
#endif

#if LP64
SIZE(ts_sampler_options, 136);
FIELD(ts_sampler_options, struct_size, size_t, 0, 8);
FIELD(ts_sampler_options, seed, uint64_t, 8, 8);
FIELD(ts_sampler_options, temperature, float, 16, 4);
FIELD(ts_sampler_options, top_p, float, 20, 4);
FIELD(ts_sampler_options, top_k, uint32_t, 24, 4);
FIELD(ts_sampler_options, max_tokens, uint32_t, 28, 4);
FIELD(ts_sampler_options, context_length, uint32_t, 32, 4);
FIELD(ts_sampler_options, context_full, uint32_t, 36, 4);
FIELD(ts_sampler_options, ignore_end, uint32_t, 40, 4);
FIELD(ts_sampler_options, min_p, float, 44, 4);
FIELD(ts_sampler_options, repetition_penalty, float, 48, 4);
FIELD(ts_sampler_options, frequency_penalty, float, 52, 4);
FIELD(ts_sampler_options, presence_penalty, float, 56, 4);
FIELD(ts_sampler_options, penalty_window, uint32_t, 60, 4);
FIELD(ts_sampler_options, no_repeat_ngram, uint32_t, 64, 4);
FIELD(ts_sampler_options, beams, uint32_t, 68, 4);
FIELD(ts_sampler_options, biases, const ts_token_bias *, 72, 8);
FIELD(ts_sampler_options, bias_count, size_t, 80, 8);
FIELD(ts_sampler_options, banned_words, const char *const *, 88, 8);
FIELD(ts_sampler_options, banned_word_count, size_t, 96, 8);
FIELD(ts_sampler_options, stops, const char *const *, 104, 8);
FIELD(ts_sampler_options, stop_count, size_t, 112, 8);
FIELD(ts_sampler_options, steps, uint8_t[8], 120, 8);
FIELD(ts_sampler_options, begin_of_text, uint32_t, 128, 4);
FIELD(ts_sampler_options, reserved, uint32_t, 132, 4);
SIZE(ts_sampler_load_options, 16);
FIELD(ts_sampler_load_options, struct_size, size_t, 0, 8);
FIELD(ts_sampler_load_options, memory_limit, uint64_t, 8, 8);
#endif

/* ---- trainer.h ---- */

VALUE(TS_SCHEDULE_COSINE, 0);
VALUE(TS_SCHEDULE_LINEAR, 1);
VALUE(TS_SCHEDULE_CONSTANT, 2);
VALUE(TS_SCHEDULE_WSD, 3);

#if LP64
VALUE(TS_OPTIMIZER_ADAMW, 0);
VALUE(TS_OPTIMIZER_MUON, 1);
VALUE(TS_PRECISION_AUTO, 0);
VALUE(TS_PRECISION_F32, 1);
VALUE(TS_PRECISION_BF16, 2);
VALUE(TS_PACKING_STREAM, 0);
VALUE(TS_PACKING_STORIES, 1);
VALUE(TS_COMMUNICATOR_SLOTS, 16);

SIZE(ts_communicator, 56);
FIELD(ts_communicator, struct_size, size_t, 0, 8);
FIELD(ts_communicator, user, void *, 8, 8);
FIELD(ts_communicator, rank, int32_t, 16, 4);
FIELD(ts_communicator, size, int32_t, 20, 4);
FIELD(ts_communicator, exchange, ts_exchange, 24, 8);
FIELD(ts_communicator, broadcast, ts_broadcast, 32, 8);
FIELD(ts_communicator, start, ts_exchange_start, 40, 8);
FIELD(ts_communicator, wait, ts_exchange_wait, 48, 8);
SIZE(ts_trainer_options, 304);
FIELD(ts_trainer_options, struct_size, size_t, 0, 8);
FIELD(ts_trainer_options, text, const char *const *, 8, 8);
FIELD(ts_trainer_options, text_count, size_t, 16, 8);
FIELD(ts_trainer_options, valid, const char *const *, 24, 8);
FIELD(ts_trainer_options, valid_count, size_t, 32, 8);
FIELD(ts_trainer_options, run_directory, const char *, 40, 8);
FIELD(ts_trainer_options, seed, uint64_t, 48, 8);
FIELD(ts_trainer_options, max_steps, uint64_t, 56, 8);
FIELD(ts_trainer_options, max_tokens, uint64_t, 64, 8);
FIELD(ts_trainer_options, max_epochs, double, 72, 8);
FIELD(ts_trainer_options, max_seconds, double, 80, 8);
FIELD(ts_trainer_options, valid_share, double, 88, 8);
FIELD(ts_trainer_options, learning_rate, double, 96, 8);
FIELD(ts_trainer_options, final_rate, double, 104, 8);
FIELD(ts_trainer_options, warmup, double, 112, 8);
FIELD(ts_trainer_options, beta1, double, 120, 8);
FIELD(ts_trainer_options, beta2, double, 128, 8);
FIELD(ts_trainer_options, epsilon, double, 136, 8);
FIELD(ts_trainer_options, weight_decay, double, 144, 8);
FIELD(ts_trainer_options, clip, double, 152, 8);
FIELD(ts_trainer_options, schedule, uint32_t, 160, 4);
FIELD(ts_trainer_options, batch_tokens, uint32_t, 164, 4);
FIELD(ts_trainer_options, micro_batch, uint32_t, 168, 4);
FIELD(ts_trainer_options, valid_interval, uint32_t, 172, 4);
FIELD(ts_trainer_options, checkpoint_interval, uint32_t, 176, 4);
FIELD(ts_trainer_options, log_interval, uint32_t, 180, 4);
FIELD(ts_trainer_options, precision, uint32_t, 184, 4);
FIELD(ts_trainer_options, optimizer, uint32_t, 188, 4);
FIELD(ts_trainer_options, initial, const ts_model *, 192, 8);
FIELD(ts_trainer_options, keep_best, uint32_t, 200, 4);
FIELD(ts_trainer_options, slices, uint32_t, 204, 4);
FIELD(ts_trainer_options, communicator, const ts_communicator *, 208, 8);
FIELD(ts_trainer_options, packing, uint32_t, 216, 4);
FIELD(ts_trainer_options, use_average, uint32_t, 220, 4);
FIELD(ts_trainer_options, average, double, 224, 8);
FIELD(ts_trainer_options, spike, double, 232, 8);
FIELD(ts_trainer_options, spike_window, uint32_t, 240, 4);
FIELD(ts_trainer_options, one_batch, uint32_t, 244, 4);
FIELD(ts_trainer_options, decay, double, 248, 8);
FIELD(ts_trainer_options, recompute, uint32_t, 256, 4);
FIELD(ts_trainer_options, max_skips, uint32_t, 260, 4);
FIELD(ts_trainer_options, muon_beta, double, 264, 8);
FIELD(ts_trainer_options, keep_last, uint32_t, 272, 4);
FIELD(ts_trainer_options, keep_every, uint32_t, 276, 4);
FIELD(ts_trainer_options, progress, ts_progress, 280, 8);
FIELD(ts_trainer_options, progress_user, void *, 288, 8);
FIELD(ts_trainer_options, csv_log, uint32_t, 296, 4);
FIELD(ts_trainer_options, reserved, uint32_t, 300, 4);

SIZE(ts_trainer_report, 152);
FIELD(ts_trainer_report, struct_size, size_t, 0, 8);
FIELD(ts_trainer_report, step, uint64_t, 8, 8);
FIELD(ts_trainer_report, total_steps, uint64_t, 16, 8);
FIELD(ts_trainer_report, tokens, uint64_t, 24, 8);
FIELD(ts_trainer_report, skipped_steps, uint64_t, 32, 8);
FIELD(ts_trainer_report, epoch, double, 40, 8);
FIELD(ts_trainer_report, loss, double, 48, 8);
FIELD(ts_trainer_report, bits_per_byte, double, 56, 8);
FIELD(ts_trainer_report, gradient_norm, double, 64, 8);
FIELD(ts_trainer_report, learning_rate, double, 72, 8);
FIELD(ts_trainer_report, valid_nats_per_token, double, 80, 8);
FIELD(ts_trainer_report, valid_bits_per_byte, double, 88, 8);
FIELD(ts_trainer_report, tokens_per_second, double, 96, 8);
FIELD(ts_trainer_report, seconds, double, 104, 8);
FIELD(ts_trainer_report, remaining_seconds, double, 112, 8);
FIELD(ts_trainer_report, due, uint32_t, 120, 4);
FIELD(ts_trainer_report, reserved, uint32_t, 124, 4);
FIELD(ts_trainer_report, valid_step, uint64_t, 128, 8);
FIELD(ts_trainer_report, exchange_bytes, uint64_t, 136, 8);
FIELD(ts_trainer_report, exchange_seconds, double, 144, 8);
#endif

/* ---- chat.h ---- */

#if LP64
SIZE(ts_chat_options, 208);
FIELD(ts_chat_options, struct_size, size_t, 0, 8);
FIELD(ts_chat_options, base_url, const char *, 8, 8);
FIELD(ts_chat_options, model, const char *, 16, 8);
FIELD(ts_chat_options, journal, const char *, 24, 8);
FIELD(ts_chat_options, key, const char *, 32, 8);
FIELD(ts_chat_options, key_file, const char *, 40, 8);
FIELD(ts_chat_options, read_key, int32_t (*)(void *, char *, size_t), 48, 8);
FIELD(ts_chat_options, key_user, void *, 56, 8);
FIELD(ts_chat_options, ca_file, const char *, 64, 8);
FIELD(ts_chat_options, proxy, const char *, 72, 8);
FIELD(ts_chat_options, prices, const char *, 80, 8);
FIELD(ts_chat_options, extra, const char *, 88, 8);
FIELD(ts_chat_options, temperature, double, 96, 8);
FIELD(ts_chat_options, top_p, double, 104, 8);
FIELD(ts_chat_options, connect_seconds, double, 112, 8);
FIELD(ts_chat_options, silent_seconds, double, 120, 8);
FIELD(ts_chat_options, total_seconds, double, 128, 8);
FIELD(ts_chat_options, max_money, double, 136, 8);
FIELD(ts_chat_options, max_seconds, double, 144, 8);
FIELD(ts_chat_options, requests_per_minute, double, 152, 8);
FIELD(ts_chat_options, tokens_per_minute, double, 160, 8);
FIELD(ts_chat_options, max_requests, uint64_t, 168, 8);
FIELD(ts_chat_options, max_tokens, uint64_t, 176, 8);
FIELD(ts_chat_options, reply_tokens, uint32_t, 184, 4);
FIELD(ts_chat_options, old_names, uint32_t, 188, 4);
FIELD(ts_chat_options, in_flight, uint32_t, 192, 4);
FIELD(ts_chat_options, attempts, uint32_t, 196, 4);
FIELD(ts_chat_options, stream, uint32_t, 200, 4);
FIELD(ts_chat_options, send_seed, uint32_t, 204, 4);

SIZE(ts_chat_report, 160);
FIELD(ts_chat_report, struct_size, size_t, 0, 8);
FIELD(ts_chat_report, requests, uint64_t, 8, 8);
FIELD(ts_chat_report, answered, uint64_t, 16, 8);
FIELD(ts_chat_report, cut, uint64_t, 24, 8);
FIELD(ts_chat_report, filtered, uint64_t, 32, 8);
FIELD(ts_chat_report, invalid, uint64_t, 40, 8);
FIELD(ts_chat_report, retries, uint64_t, 48, 8);
FIELD(ts_chat_report, unknown, uint64_t, 56, 8);
FIELD(ts_chat_report, possibly_paid_twice, uint64_t, 64, 8);
FIELD(ts_chat_report, prompt_tokens, uint64_t, 72, 8);
FIELD(ts_chat_report, completion_tokens, uint64_t, 80, 8);
FIELD(ts_chat_report, estimated_tokens, uint64_t, 88, 8);
FIELD(ts_chat_report, reserved_tokens, uint64_t, 96, 8);
FIELD(ts_chat_report, damaged_lines, uint64_t, 104, 8);
FIELD(ts_chat_report, money, double, 112, 8);
FIELD(ts_chat_report, reserved_money, double, 120, 8);
FIELD(ts_chat_report, doubtful_tokens, uint64_t, 128, 8);
FIELD(ts_chat_report, doubtful_money, double, 136, 8);
FIELD(ts_chat_report, unfit, uint64_t, 144, 8);
FIELD(ts_chat_report, repeated, uint64_t, 152, 8);

SIZE(ts_batch_report, 88);
FIELD(ts_batch_report, struct_size, size_t, 0, 8);
FIELD(ts_batch_report, left, uint64_t, 8, 8);
FIELD(ts_batch_report, files, uint64_t, 16, 8);
FIELD(ts_batch_report, requests, uint64_t, 24, 8);
FIELD(ts_batch_report, results, uint64_t, 32, 8);
FIELD(ts_batch_report, known, uint64_t, 40, 8);
FIELD(ts_batch_report, failed, uint64_t, 48, 8);
FIELD(ts_batch_report, foreign, uint64_t, 56, 8);
FIELD(ts_batch_report, waiting, uint64_t, 64, 8);
FIELD(ts_batch_report, done, uint64_t, 72, 8);
FIELD(ts_batch_report, total, uint64_t, 80, 8);
#endif

/* ---- generator.h ---- */

VALUE(TS_FEATURE_DIALOGUE, 1);
VALUE(TS_FEATURE_BAD_ENDING, 2);
VALUE(TS_FEATURE_MORAL_VALUE, 4);
VALUE(TS_FEATURE_TWIST, 8);
VALUE(TS_FEATURE_FORESHADOWING, 16);
VALUE(TS_FEATURE_CONFLICT, 32);
VALUE(TS_FEATURE_COUNT, 6);
VALUE(TS_AUTHOR_EMBEDDED, 0);
VALUE(TS_AUTHOR_CHAT, 1);
VALUE(TS_UNFIT_WORDS, 1);
VALUE(TS_UNFIT_LANGUAGE, 2);

#if LP64
SIZE(ts_generator_options, 104);
FIELD(ts_generator_options, struct_size, size_t, 0, 8);
FIELD(ts_generator_options, seed, uint64_t, 8, 8);
FIELD(ts_generator_options, first, uint64_t, 16, 8);
FIELD(ts_generator_options, vocabulary, const char *, 24, 8);
FIELD(ts_generator_options, author, uint32_t, 32, 4);
FIELD(ts_generator_options, features, uint32_t, 36, 4);
FIELD(ts_generator_options, chat, const ts_chat_options *, 40, 8);
FIELD(ts_generator_options, prompt, const char *, 48, 8);
FIELD(ts_generator_options, shard, uint32_t, 56, 4);
FIELD(ts_generator_options, shards, uint32_t, 60, 4);
FIELD(ts_generator_options, varied, uint32_t, 64, 4);
FIELD(ts_generator_options, stories_a_call, uint32_t, 68, 4);
FIELD(ts_generator_options, reject, uint32_t, 72, 4);
FIELD(ts_generator_options, asks, uint32_t, 76, 4);
FIELD(ts_generator_options, hero_name, const char *, 80, 8);
FIELD(ts_generator_options, friend_name, const char *, 88, 8);
FIELD(ts_generator_options, plots, uint64_t, 96, 8);

SIZE(ts_story, 112);
FIELD(ts_story, struct_size, size_t, 0, 8);
FIELD(ts_story, story, const char *, 8, 8);
FIELD(ts_story, story_size, size_t, 16, 8);
FIELD(ts_story, words, const char *[3], 24, 24);
FIELD(ts_story, summary, const char *, 48, 8);
FIELD(ts_story, source, const char *, 56, 8);
FIELD(ts_story, seed, uint64_t, 64, 8);
FIELD(ts_story, index, uint64_t, 72, 8);
FIELD(ts_story, features, uint64_t, 80, 8);
FIELD(ts_story, drawn, const char *, 88, 8);
FIELD(ts_story, provenance, const char *, 96, 8);
FIELD(ts_story, unfit, uint64_t, 104, 8);
#endif

/* ---- dataset.h ---- */

VALUE(TS_DATASET_BIN_WORDS, 25);
VALUE(TS_DATASET_BINS, 41);
VALUE(TS_DATASET_OPENINGS, 10);
VALUE(TS_DATASET_OPENING_SIZE, 64);
VALUE(TS_DATASET_NGRAMS, 4);
VALUE(TS_DATASET_GROWTH, 3);
VALUE(TS_DATASET_KINDS, 3);
VALUE(TS_CLEAN_MOJIBAKE, 1);
VALUE(TS_CLEAN_PUNCTUATION, 2);
VALUE(TS_CLEAN_SPACES, 4);
VALUE(TS_DROP_NONE, 0);
VALUE(TS_DROP_SOURCE, 1);
VALUE(TS_DROP_SHORT, 2);
VALUE(TS_DROP_CHARACTER, 3);
VALUE(TS_DROP_SYMBOL, 4);
VALUE(TS_DROP_ENDING, 5);
VALUE(TS_DROP_PROMPT, 6);
VALUE(TS_DROP_OVERLAP, 7);
VALUE(TS_DROP_NEAR_OVERLAP, 8);
VALUE(TS_DROP_DUPLICATE, 9);
VALUE(TS_DROP_NEAR_DUPLICATE, 10);
VALUE(TS_INSTRUCT_WORDS, 1);
VALUE(TS_INSTRUCT_FEATURES, 2);
VALUE(TS_INSTRUCT_SUMMARY, 4);
VALUE(TS_INSTRUCT_SENTENCE, 8);
VALUE(TS_INSTRUCT_ALL, 15);
VALUE(TS_INSTRUCT_COUNT, 4);

#if LP64
SIZE(ts_dataset_options, 64);
FIELD(ts_dataset_options, struct_size, size_t, 0, 8);
FIELD(ts_dataset_options, against, const char *const *, 8, 8);
FIELD(ts_dataset_options, against_count, size_t, 16, 8);
FIELD(ts_dataset_options, progress, ts_progress, 24, 8);
FIELD(ts_dataset_options, progress_user, void *, 32, 8);
FIELD(ts_dataset_options, word_lists, const char *const *, 40, 8);
FIELD(ts_dataset_options, word_list_count, size_t, 48, 8);
FIELD(ts_dataset_options, opening_words, uint32_t, 56, 4);
FIELD(ts_dataset_options, reserved, uint32_t, 60, 4);

SIZE(ts_dataset_statistics, 1640);
FIELD(ts_dataset_statistics, struct_size, size_t, 0, 8);
FIELD(ts_dataset_statistics, stories, uint64_t, 8, 8);
FIELD(ts_dataset_statistics, distinct_stories, uint64_t, 16, 8);
FIELD(ts_dataset_statistics, bytes, uint64_t, 24, 8);
FIELD(ts_dataset_statistics, words, uint64_t, 32, 8);
FIELD(ts_dataset_statistics, distinct_words, uint64_t, 40, 8);
FIELD(ts_dataset_statistics, min_words, uint64_t, 48, 8);
FIELD(ts_dataset_statistics, p5_words, uint64_t, 56, 8);
FIELD(ts_dataset_statistics, median_words, uint64_t, 64, 8);
FIELD(ts_dataset_statistics, p95_words, uint64_t, 72, 8);
FIELD(ts_dataset_statistics, max_words, uint64_t, 80, 8);
FIELD(ts_dataset_statistics, histogram, uint64_t[41], 88, 328);
FIELD(ts_dataset_statistics, fourgrams, uint64_t, 416, 8);
FIELD(ts_dataset_statistics, distinct_fourgrams, uint64_t, 424, 8);
FIELD(ts_dataset_statistics, fourgrams_once, uint64_t, 432, 8);
FIELD(ts_dataset_statistics, dialogue_stories, uint64_t, 440, 8);
FIELD(ts_dataset_statistics, records, uint64_t, 448, 8);
FIELD(ts_dataset_statistics, features, uint64_t[6], 456, 48);
FIELD(ts_dataset_statistics, other_features, uint64_t, 504, 8);
FIELD(ts_dataset_statistics, text_bytes, uint64_t, 512, 8);
FIELD(ts_dataset_statistics, gzip_bytes, uint64_t, 520, 8);
FIELD(ts_dataset_statistics, compared_bytes, uint64_t, 528, 8);
FIELD(ts_dataset_statistics, compared_gzip_bytes, uint64_t, 536, 8);
FIELD(ts_dataset_statistics, against_gzip_bytes, uint64_t, 544, 8);
FIELD(ts_dataset_statistics, mean_words, double, 552, 8);
FIELD(ts_dataset_statistics, once_share, double, 560, 8);
FIELD(ts_dataset_statistics, once_occurrence_share, double, 568, 8);
FIELD(ts_dataset_statistics, dialogue_share, double, 576, 8);
FIELD(ts_dataset_statistics, gzip_share, double, 584, 8);
FIELD(ts_dataset_statistics, gzip_ratio, double, 592, 8);
FIELD(ts_dataset_statistics, sentences, uint64_t, 600, 8);
FIELD(ts_dataset_statistics, syllables, uint64_t, 608, 8);
FIELD(ts_dataset_statistics, distinct_openings, uint64_t, 616, 8);
FIELD(ts_dataset_statistics, opening_stories, uint64_t[10], 624, 80);
FIELD(ts_dataset_statistics, openings, char[10][64], 704, 640);
FIELD(ts_dataset_statistics, list_words, uint64_t, 1344, 8);
FIELD(ts_dataset_statistics, list_words_used, uint64_t, 1352, 8);
FIELD(ts_dataset_statistics, listed_words, uint64_t, 1360, 8);
FIELD(ts_dataset_statistics, words_per_sentence, double, 1368, 8);
FIELD(ts_dataset_statistics, syllables_per_word, double, 1376, 8);
FIELD(ts_dataset_statistics, flesch_reading_ease, double, 1384, 8);
FIELD(ts_dataset_statistics, flesch_kincaid_grade, double, 1392, 8);
FIELD(ts_dataset_statistics, opening_share, double, 1400, 8);
FIELD(ts_dataset_statistics, listed_share, double, 1408, 8);
FIELD(ts_dataset_statistics, list_share_used, double, 1416, 8);
FIELD(ts_dataset_statistics, ngrams, uint64_t[4], 1424, 32);
FIELD(ts_dataset_statistics, distinct_ngrams, uint64_t[4], 1456, 32);
FIELD(ts_dataset_statistics, distinct_ngram_share, double[4], 1488, 32);
FIELD(ts_dataset_statistics, growth_words, uint64_t[3], 1520, 24);
FIELD(ts_dataset_statistics, kind_words, uint64_t[3], 1544, 24);
FIELD(ts_dataset_statistics, kind_words_used, uint64_t[3], 1568, 24);
FIELD(ts_dataset_statistics, kind_occurrences, uint64_t[3], 1592, 24);
FIELD(ts_dataset_statistics, kind_share_used, double[3], 1616, 24);

SIZE(ts_clean_options, 136);
FIELD(ts_clean_options, struct_size, size_t, 0, 8);
FIELD(ts_clean_options, steps, uint32_t, 8, 4);
FIELD(ts_clean_options, rules, uint32_t, 12, 4);
FIELD(ts_clean_options, symbols, const char *, 16, 8);
FIELD(ts_clean_options, endings, const char *, 24, 8);
FIELD(ts_clean_options, source, const char *, 32, 8);
FIELD(ts_clean_options, min_characters, uint64_t, 40, 8);
FIELD(ts_clean_options, keep_duplicates, uint32_t, 48, 4);
FIELD(ts_clean_options, near_duplicates, uint32_t, 52, 4);
FIELD(ts_clean_options, jaccard, double, 56, 8);
FIELD(ts_clean_options, shingle_words, uint32_t, 64, 4);
FIELD(ts_clean_options, prompt_words, uint32_t, 68, 4);
FIELD(ts_clean_options, against, const char *const *, 72, 8);
FIELD(ts_clean_options, against_count, size_t, 80, 8);
FIELD(ts_clean_options, prompts, const char *const *, 88, 8);
FIELD(ts_clean_options, prompt_count, size_t, 96, 8);
FIELD(ts_clean_options, dropped, const char *, 104, 8);
FIELD(ts_clean_options, scratch, const char *, 112, 8);
FIELD(ts_clean_options, progress, ts_progress, 120, 8);
FIELD(ts_clean_options, progress_user, void *, 128, 8);

SIZE(ts_clean_report, 232);
FIELD(ts_clean_report, struct_size, size_t, 0, 8);
FIELD(ts_clean_report, stories, uint64_t, 8, 8);
FIELD(ts_clean_report, bytes, uint64_t, 16, 8);
FIELD(ts_clean_report, kept, uint64_t, 24, 8);
FIELD(ts_clean_report, kept_bytes, uint64_t, 32, 8);
FIELD(ts_clean_report, dropped, uint64_t[16], 40, 128);
FIELD(ts_clean_report, repaired_stories, uint64_t, 168, 8);
FIELD(ts_clean_report, repaired_characters, uint64_t, 176, 8);
FIELD(ts_clean_report, punctuation_stories, uint64_t, 184, 8);
FIELD(ts_clean_report, spaced_stories, uint64_t, 192, 8);
FIELD(ts_clean_report, against_stories, uint64_t, 200, 8);
FIELD(ts_clean_report, prompt_ngrams, uint64_t, 208, 8);
FIELD(ts_clean_report, candidates, uint64_t, 216, 8);
FIELD(ts_clean_report, scratch_bytes, uint64_t, 224, 8);

SIZE(ts_instruct, 104);
FIELD(ts_instruct, struct_size, size_t, 0, 8);
FIELD(ts_instruct, words, const char *, 8, 8);
FIELD(ts_instruct, words_size, size_t, 16, 8);
FIELD(ts_instruct, features, const char *, 24, 8);
FIELD(ts_instruct, features_size, size_t, 32, 8);
FIELD(ts_instruct, summary, const char *, 40, 8);
FIELD(ts_instruct, summary_size, size_t, 48, 8);
FIELD(ts_instruct, sentence, const char *, 56, 8);
FIELD(ts_instruct, sentence_size, size_t, 64, 8);
FIELD(ts_instruct, story, const char *, 72, 8);
FIELD(ts_instruct, story_size, size_t, 80, 8);
FIELD(ts_instruct, order, uint32_t[4], 88, 16);

SIZE(ts_instruct_options, 120);
FIELD(ts_instruct_options, struct_size, size_t, 0, 8);
FIELD(ts_instruct_options, seed, uint64_t, 8, 8);
FIELD(ts_instruct_options, fields, uint32_t, 16, 4);
FIELD(ts_instruct_options, always, uint32_t, 20, 4);
FIELD(ts_instruct_options, hold_out, uint32_t, 24, 4);
FIELD(ts_instruct_options, reserved, uint32_t, 28, 4);
FIELD(ts_instruct_options, held_out, const char *, 32, 8);
FIELD(ts_instruct_options, summarize, ts_summarizer, 40, 8);
FIELD(ts_instruct_options, summarize_user, void *, 48, 8);
FIELD(ts_instruct_options, progress, ts_progress, 56, 8);
FIELD(ts_instruct_options, progress_user, void *, 64, 8);
FIELD(ts_instruct_options, chat, const ts_chat_options *, 72, 8);
FIELD(ts_instruct_options, asking, ts_progress, 80, 8);
FIELD(ts_instruct_options, asking_user, void *, 88, 8);
FIELD(ts_instruct_options, chat_report, ts_chat_report *, 96, 8);
FIELD(ts_instruct_options, prompt, const char *, 104, 8);
FIELD(ts_instruct_options, shard, uint32_t, 112, 4);
FIELD(ts_instruct_options, shards, uint32_t, 116, 4);

SIZE(ts_instruct_report, 184);
FIELD(ts_instruct_report, struct_size, size_t, 0, 8);
FIELD(ts_instruct_report, stories, uint64_t, 8, 8);
FIELD(ts_instruct_report, entries, uint64_t, 16, 8);
FIELD(ts_instruct_report, held_out, uint64_t, 24, 8);
FIELD(ts_instruct_report, without, uint64_t, 32, 8);
FIELD(ts_instruct_report, combinations, uint64_t[16], 40, 128);
FIELD(ts_instruct_report, summarized, uint64_t, 168, 8);
FIELD(ts_instruct_report, unsummarized, uint64_t, 176, 8);
#endif

/* ---- evaluator.h ---- */

VALUE(TS_AXIS_GRAMMAR, 0);
VALUE(TS_AXIS_CREATIVITY, 1);
VALUE(TS_AXIS_CONSISTENCY, 2);
VALUE(TS_AXIS_PLOT, 3);
VALUE(TS_AXIS_COUNT, 4);
VALUE(TS_SUSPICION_GRADE, 1);
VALUE(TS_SUSPICION_ORDER, 2);
VALUE(TS_SUSPICION_MARKUP, 4);
VALUE(TS_SUSPICION_HIDDEN, 8);
VALUE(TS_SUSPICION_CODE, 16);
VALUE(TS_FOLLOWED_WORDS, 0);
VALUE(TS_FOLLOWED_SENTENCE, 1);
VALUE(TS_FOLLOWED_FEATURES, 2);
VALUE(TS_FOLLOWED_SUMMARY, 3);
VALUE(TS_FOLLOWED_COUNT, 4);
VALUE(TS_AGE_COUNT, 6);
VALUE(TS_JUDGE_EMBEDDED, 0);
VALUE(TS_JUDGE_CHAT, 1);
VALUE(TS_JUDGED_PENDING, 0);
VALUE(TS_JUDGED_SCORED, 1);
VALUE(TS_JUDGED_NO_ASSESSMENT, 2);
VALUE(TS_JUDGED_NO_REPLY, 3);
VALUE(TS_JUDGED_MISSING, 4);
VALUE(TS_JUDGED_RANGE, 5);
VALUE(TS_JUDGED_TWICE, 6);
VALUE(TS_JUDGED_FORM, 7);
VALUE(TS_JUDGED_EMPTY, 8);
VALUE(TS_JUDGED_COUNT, 9);
VALUE(TS_MEASURE_COUNT, 37);

#if LP64
SIZE(ts_record, 80);
FIELD(ts_record, struct_size, size_t, 0, 8);
FIELD(ts_record, prompt, const char *, 8, 8);
FIELD(ts_record, prompt_size, size_t, 16, 8);
FIELD(ts_record, completion, const char *, 24, 8);
FIELD(ts_record, completion_size, size_t, 32, 8);
FIELD(ts_record, model, const char *, 40, 8);
FIELD(ts_record, words, const char *, 48, 8);
FIELD(ts_record, sentence, const char *, 56, 8);
FIELD(ts_record, features, const char *, 64, 8);
FIELD(ts_record, summary, const char *, 72, 8);

SIZE(ts_evaluator_options, 112);
FIELD(ts_evaluator_options, struct_size, size_t, 0, 8);
FIELD(ts_evaluator_options, chat, const ts_chat_options *, 8, 8);
FIELD(ts_evaluator_options, templates, const char *, 16, 8);
FIELD(ts_evaluator_options, text, const char *const *, 24, 8);
FIELD(ts_evaluator_options, text_count, size_t, 32, 8);
FIELD(ts_evaluator_options, text_name, const char *, 40, 8);
FIELD(ts_evaluator_options, seed, uint64_t, 48, 8);
FIELD(ts_evaluator_options, confidence, double, 56, 8);
FIELD(ts_evaluator_options, least_scored, double, 64, 8);
FIELD(ts_evaluator_options, judge, uint32_t, 72, 4);
FIELD(ts_evaluator_options, repeats, uint32_t, 76, 4);
FIELD(ts_evaluator_options, asks, uint32_t, 80, 4);
FIELD(ts_evaluator_options, schema, uint32_t, 84, 4);
FIELD(ts_evaluator_options, resamples, uint32_t, 88, 4);
FIELD(ts_evaluator_options, cut, uint32_t, 92, 4);
FIELD(ts_evaluator_options, cut_models, const char *const *, 96, 8);
FIELD(ts_evaluator_options, cut_model_count, size_t, 104, 8);

SIZE(ts_judgment, 72);
FIELD(ts_judgment, struct_size, size_t, 0, 8);
FIELD(ts_judgment, grades, double[4], 8, 32);
FIELD(ts_judgment, assessment, const char *, 40, 8);
FIELD(ts_judgment, reply, const char *, 48, 8);
FIELD(ts_judgment, outcome, uint32_t, 56, 4);
FIELD(ts_judgment, age, uint32_t, 60, 4);
FIELD(ts_judgment, asks, uint32_t, 64, 4);
FIELD(ts_judgment, reserved, uint32_t, 68, 4);

SIZE(ts_grade_mean, 40);
FIELD(ts_grade_mean, mean, double, 0, 8);
FIELD(ts_grade_mean, low, double, 8, 8);
FIELD(ts_grade_mean, high, double, 16, 8);
FIELD(ts_grade_mean, deviation, double, 24, 8);
FIELD(ts_grade_mean, count, uint64_t, 32, 8);

SIZE(ts_evaluation, 520);
FIELD(ts_evaluation, struct_size, size_t, 0, 8);
FIELD(ts_evaluation, records, uint64_t, 8, 8);
FIELD(ts_evaluation, prompts, uint64_t, 16, 8);
FIELD(ts_evaluation, judgments, uint64_t, 24, 8);
FIELD(ts_evaluation, outcomes, uint64_t[9], 32, 72);
FIELD(ts_evaluation, ages, uint64_t[7], 104, 56);
FIELD(ts_evaluation, asked_again, uint64_t, 160, 8);
FIELD(ts_evaluation, scored_share, double, 168, 8);
FIELD(ts_evaluation, mean_words, double, 176, 8);
FIELD(ts_evaluation, axes, ts_grade_mean[4], 184, 160);
FIELD(ts_evaluation, trusted, uint64_t, 344, 8);
FIELD(ts_evaluation, suspicious, uint64_t, 352, 8);
FIELD(ts_evaluation, followed, ts_grade_mean[4], 360, 160);

SIZE(ts_followed, 72);
FIELD(ts_followed, struct_size, size_t, 0, 8);
FIELD(ts_followed, asked, uint64_t[4], 8, 32);
FIELD(ts_followed, found, uint64_t[4], 40, 32);

SIZE(ts_completer_options, 48);
FIELD(ts_completer_options, struct_size, size_t, 0, 8);
FIELD(ts_completer_options, chat, const ts_chat_options *, 8, 8);
FIELD(ts_completer_options, model, const char *, 16, 8);
FIELD(ts_completer_options, templates, const char *, 24, 8);
FIELD(ts_completer_options, per_prompt, uint32_t, 32, 4);
FIELD(ts_completer_options, estimate, uint32_t, 36, 4);
FIELD(ts_completer_options, raw, uint32_t, 40, 4);
FIELD(ts_completer_options, reserved, uint32_t, 44, 4);

SIZE(ts_completer_report, 208);
FIELD(ts_completer_report, struct_size, size_t, 0, 8);
FIELD(ts_completer_report, wanted, uint64_t, 8, 8);
FIELD(ts_completer_report, added, uint64_t, 16, 8);
FIELD(ts_completer_report, ended, uint64_t, 24, 8);
FIELD(ts_completer_report, unusable, uint64_t, 32, 8);
FIELD(ts_completer_report, pending, uint64_t, 40, 8);
FIELD(ts_completer_report, chat, ts_chat_report, 48, 160);

SIZE(ts_comparison, 200);
FIELD(ts_comparison, struct_size, size_t, 0, 8);
FIELD(ts_comparison, prompts, uint64_t[4], 8, 32);
FIELD(ts_comparison, wins, uint64_t[4], 40, 32);
FIELD(ts_comparison, losses, uint64_t[4], 72, 32);
FIELD(ts_comparison, difference, double[4], 104, 32);
FIELD(ts_comparison, low, double[4], 136, 32);
FIELD(ts_comparison, high, double[4], 168, 32);
#endif

/* ---- study.h ---- */

VALUE(TS_QUESTION_OTHER, 0);
VALUE(TS_QUESTION_FACT, 1);
VALUE(TS_QUESTION_REASONING, 2);
VALUE(TS_QUESTION_CONTEXT, 3);
VALUE(TS_QUESTION_COUNT, 4);
VALUE(TS_MARK_NONE, 0);
VALUE(TS_MARK_RIGHT, 1);
VALUE(TS_MARK_PARTLY, 2);
VALUE(TS_MARK_WRONG, 3);
VALUE(TS_MARK_COUNT, 4);

#if LP64
SIZE(ts_duel, 128);
FIELD(ts_duel, struct_size, size_t, 0, 8);
FIELD(ts_duel, pairs, uint64_t, 8, 8);
FIELD(ts_duel, judged, uint64_t, 16, 8);
FIELD(ts_duel, unread, uint64_t, 24, 8);
FIELD(ts_duel, pending, uint64_t, 32, 8);
FIELD(ts_duel, asked_again, uint64_t, 40, 8);
FIELD(ts_duel, firsts, uint64_t, 48, 8);
FIELD(ts_duel, seconds, uint64_t, 56, 8);
FIELD(ts_duel, neithers, uint64_t, 64, 8);
FIELD(ts_duel, prompts, uint64_t, 72, 8);
FIELD(ts_duel, wins, uint64_t, 80, 8);
FIELD(ts_duel, losses, uint64_t, 88, 8);
FIELD(ts_duel, share, double, 96, 8);
FIELD(ts_duel, low, double, 104, 8);
FIELD(ts_duel, high, double, 112, 8);
FIELD(ts_duel, p, double, 120, 8);

SIZE(ts_question, 32);
FIELD(ts_question, struct_size, size_t, 0, 8);
FIELD(ts_question, prompt, const char *, 8, 8);
FIELD(ts_question, prompt_size, size_t, 16, 8);
FIELD(ts_question, kind, uint32_t, 24, 4);
FIELD(ts_question, answers, uint32_t, 28, 4);

SIZE(ts_power_law, 64);
FIELD(ts_power_law, struct_size, size_t, 0, 8);
FIELD(ts_power_law, factor, double, 8, 8);
FIELD(ts_power_law, exponent, double, 16, 8);
FIELD(ts_power_law, exponent_low, double, 24, 8);
FIELD(ts_power_law, exponent_high, double, 32, 8);
FIELD(ts_power_law, deviation, double, 40, 8);
FIELD(ts_power_law, explained, double, 48, 8);
FIELD(ts_power_law, count, uint64_t, 56, 8);
#endif

/* ---- analysis.h ---- */

VALUE(TS_TAP_EMBEDDING, 0);
VALUE(TS_TAP_ATTENTION_INPUT, 1);
VALUE(TS_TAP_QUERIES, 2);
VALUE(TS_TAP_KEYS, 3);
VALUE(TS_TAP_VALUES, 4);
VALUE(TS_TAP_SCORES, 5);
VALUE(TS_TAP_WEIGHTS, 6);
VALUE(TS_TAP_HEADS, 7);
VALUE(TS_TAP_ATTENTION_OUTPUT, 8);
VALUE(TS_TAP_MIDDLE, 9);
VALUE(TS_TAP_MLP_INPUT, 10);
VALUE(TS_TAP_GATE, 11);
VALUE(TS_TAP_HIDDEN, 12);
VALUE(TS_TAP_NEURONS, 13);
VALUE(TS_TAP_MLP_OUTPUT, 14);
VALUE(TS_TAP_OUTPUT, 15);
VALUE(TS_TAP_NORMED, 16);
VALUE(TS_TAP_LOGITS, 17);
VALUE(TS_TAP_COUNT, 18);
VALUE(TS_HEAD_PREVIOUS, 1);
VALUE(TS_HEAD_DUPLICATE, 2);
VALUE(TS_HEAD_INDUCTION, 4);
VALUE(TS_HEAD_DISTANCE, 8);
VALUE(TS_HEAD_SEMANTIC, 16);
VALUE(TS_HEAD_RESTING, 32);

#if LP64
SIZE(ts_tap, 88);
FIELD(ts_tap, struct_size, size_t, 0, 8);
FIELD(ts_tap, name, const char *, 8, 8);
FIELD(ts_tap, data, float *, 16, 8);
FIELD(ts_tap, rank, uint64_t, 24, 8);
FIELD(ts_tap, shape, uint64_t[3], 32, 24);
FIELD(ts_tap, strides, uint64_t[3], 56, 24);
FIELD(ts_tap, point, uint32_t, 80, 4);
FIELD(ts_tap, layer, uint32_t, 84, 4);

SIZE(ts_analysis_options, 48);
FIELD(ts_analysis_options, struct_size, size_t, 0, 8);
FIELD(ts_analysis_options, progress, ts_progress, 8, 8);
FIELD(ts_analysis_options, progress_user, void *, 16, 8);
FIELD(ts_analysis_options, max_tokens, uint64_t, 24, 8);
FIELD(ts_analysis_options, seed, uint64_t, 32, 8);
FIELD(ts_analysis_options, examples, uint32_t, 40, 4);
FIELD(ts_analysis_options, threshold, float, 44, 4);

SIZE(ts_head, 112);
FIELD(ts_head, struct_size, size_t, 0, 8);
FIELD(ts_head, layer, uint32_t, 8, 4);
FIELD(ts_head, head, uint32_t, 12, 4);
FIELD(ts_head, kinds, uint32_t, 16, 4);
FIELD(ts_head, reserved, uint32_t, 20, 4);
FIELD(ts_head, previous, double, 24, 8);
FIELD(ts_head, previous_chance, double, 32, 8);
FIELD(ts_head, duplicate, double, 40, 8);
FIELD(ts_head, duplicate_chance, double, 48, 8);
FIELD(ts_head, induction, double, 56, 8);
FIELD(ts_head, induction_chance, double, 64, 8);
FIELD(ts_head, first, double, 72, 8);
FIELD(ts_head, focus, double, 80, 8);
FIELD(ts_head, distance, double, 88, 8);
FIELD(ts_head, mean_distance, double, 96, 8);
FIELD(ts_head, content, double, 104, 8);

SIZE(ts_neuron, 48);
FIELD(ts_neuron, struct_size, size_t, 0, 8);
FIELD(ts_neuron, layer, uint32_t, 8, 4);
FIELD(ts_neuron, neuron, uint32_t, 12, 4);
FIELD(ts_neuron, active, uint64_t, 16, 8);
FIELD(ts_neuron, mean, double, 24, 8);
FIELD(ts_neuron, most, double, 32, 8);
FIELD(ts_neuron, examples, size_t, 40, 8);

SIZE(ts_neuron_example, 48);
FIELD(ts_neuron_example, struct_size, size_t, 0, 8);
FIELD(ts_neuron_example, ids, const uint32_t *, 8, 8);
FIELD(ts_neuron_example, count, size_t, 16, 8);
FIELD(ts_neuron_example, at, size_t, 24, 8);
FIELD(ts_neuron_example, story, uint64_t, 32, 8);
FIELD(ts_neuron_example, activation, double, 40, 8);

SIZE(ts_attribution, 48);
FIELD(ts_attribution, struct_size, size_t, 0, 8);
FIELD(ts_attribution, logit, double, 8, 8);
FIELD(ts_attribution, embedding, double, 16, 8);
FIELD(ts_attribution, heads, double, 24, 8);
FIELD(ts_attribution, neurons, double, 32, 8);
FIELD(ts_attribution, biases, double, 40, 8);
#endif

/* ---- diversity.h ---- */

VALUE(TS_NOVELTY_GRAM, 5);
VALUE(TS_DIVERSITY_BINS, 21);

#if LP64
SIZE(ts_overlap, 56);
FIELD(ts_overlap, struct_size, size_t, 0, 8);
FIELD(ts_overlap, first, uint64_t, 8, 8);
FIELD(ts_overlap, second, uint64_t, 16, 8);
FIELD(ts_overlap, common, uint64_t, 24, 8);
FIELD(ts_overlap, precision, double, 32, 8);
FIELD(ts_overlap, recall, double, 40, 8);
FIELD(ts_overlap, f, double, 48, 8);

SIZE(ts_novelty_options, 32);
FIELD(ts_novelty_options, struct_size, size_t, 0, 8);
FIELD(ts_novelty_options, progress, ts_progress, 8, 8);
FIELD(ts_novelty_options, progress_user, void *, 16, 8);
FIELD(ts_novelty_options, working_memory, uint64_t, 24, 8);

SIZE(ts_novelty_about, 80);
FIELD(ts_novelty_about, struct_size, size_t, 0, 8);
FIELD(ts_novelty_about, stories, uint64_t, 8, 8);
FIELD(ts_novelty_about, bytes, uint64_t, 16, 8);
FIELD(ts_novelty_about, words, uint64_t, 24, 8);
FIELD(ts_novelty_about, distinct_words, uint64_t, 32, 8);
FIELD(ts_novelty_about, grams, uint64_t[5], 40, 40);

SIZE(ts_novelty_match, 96);
FIELD(ts_novelty_match, struct_size, size_t, 0, 8);
FIELD(ts_novelty_match, words, uint64_t, 8, 8);
FIELD(ts_novelty_match, bigrams, uint64_t, 16, 8);
FIELD(ts_novelty_match, nearest_common, uint64_t, 24, 8);
FIELD(ts_novelty_match, nearest_story, uint64_t, 32, 8);
FIELD(ts_novelty_match, nearest_precision, double, 40, 8);
FIELD(ts_novelty_match, copied_words, uint64_t, 48, 8);
FIELD(ts_novelty_match, copied_begin, uint64_t, 56, 8);
FIELD(ts_novelty_match, copied_size, uint64_t, 64, 8);
FIELD(ts_novelty_match, source_story, uint64_t, 72, 8);
FIELD(ts_novelty_match, source_begin, uint64_t, 80, 8);
FIELD(ts_novelty_match, source_size, uint64_t, 88, 8);

SIZE(ts_beginnings_options, 48);
FIELD(ts_beginnings_options, struct_size, size_t, 0, 8);
FIELD(ts_beginnings_options, count, uint64_t, 8, 8);
FIELD(ts_beginnings_options, share, double, 16, 8);
FIELD(ts_beginnings_options, seed, uint64_t, 24, 8);
FIELD(ts_beginnings_options, tokenizer, const ts_tokenizer *, 32, 8);
FIELD(ts_beginnings_options, max_tokens, uint64_t, 40, 8);

SIZE(ts_beginning, 48);
FIELD(ts_beginning, struct_size, size_t, 0, 8);
FIELD(ts_beginning, beginning, const char *, 8, 8);
FIELD(ts_beginning, beginning_size, size_t, 16, 8);
FIELD(ts_beginning, ending, const char *, 24, 8);
FIELD(ts_beginning, ending_size, size_t, 32, 8);
FIELD(ts_beginning, story, uint64_t, 40, 8);

SIZE(ts_diversity_item, 136);
FIELD(ts_diversity_item, struct_size, size_t, 0, 8);
FIELD(ts_diversity_item, words, uint64_t, 8, 8);
FIELD(ts_diversity_item, ending_precision, double, 16, 8);
FIELD(ts_diversity_item, nearest_f, double, 24, 8);
FIELD(ts_diversity_item, nearest, uint64_t, 32, 8);
FIELD(ts_diversity_item, match, ts_novelty_match, 40, 96);

SIZE(ts_diversity_report, 1000);
FIELD(ts_diversity_report, struct_size, size_t, 0, 8);
FIELD(ts_diversity_report, completions, uint64_t, 8, 8);
FIELD(ts_diversity_report, words, uint64_t, 16, 8);
FIELD(ts_diversity_report, endings, uint64_t, 24, 8);
FIELD(ts_diversity_report, mean_ending_precision, double, 32, 8);
FIELD(ts_diversity_report, mean_nearest_f, double, 40, 8);
FIELD(ts_diversity_report, mean_nearest_precision, double, 48, 8);
FIELD(ts_diversity_report, mean_copied_words, double, 56, 8);
FIELD(ts_diversity_report, max_copied_words, uint64_t, 64, 8);
FIELD(ts_diversity_report, copied_whole, uint64_t, 72, 8);
FIELD(ts_diversity_report, grams, uint64_t[5], 80, 40);
FIELD(ts_diversity_report, never, uint64_t[5], 120, 40);
FIELD(ts_diversity_report, histogram, uint64_t[105], 160, 840);
#endif

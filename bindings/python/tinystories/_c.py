"""The C interface: every type, constant and function of the headers under its own name, and the search for the library.

No other module declares anything of C. The tests hold this file against the headers: argument types, results, offsets, values.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import pathlib
import threading
from ctypes import CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p

from . import errors

VERSION = (0, 1)  # of the headers that this file was written from; the library must have the same major and at least this minor number

# ---- constants ----

TS_OK = 0
TS_ERROR_INVALID_ARGUMENT = -1
TS_ERROR_OUT_OF_MEMORY = -2
TS_ERROR_IO = -3
TS_ERROR_FORMAT = -4
TS_ERROR_VERSION = -5
TS_ERROR_MISMATCH = -6
TS_ERROR_BUFFER_TOO_SMALL = -7
TS_ERROR_NETWORK = -8
TS_ERROR_CANCELLED = -9
TS_ERROR_UNSUPPORTED = -10
TS_ERROR_BUSY = -11
TS_ERROR_LIMIT = -12
TS_ERROR_DIVERGED = -13

TS_CPU_LEVEL_BEST = 0
TS_CPU_LEVEL_REFERENCE = 1
TS_CPU_LEVEL_AVX2 = 2
TS_CPU_LEVEL_AVX512 = 3
TS_CPU_LEVEL_AVX512_BF16 = 4
TS_CPU_LEVEL_AMX = 5

TS_LOG_WARNING = 1
TS_LOG_INFO = 2

TS_TOKENIZER_NONE = 2**32 - 1
TS_ENCODE_SPECIALS = 1
TS_TOKENIZER_BYTES, TS_TOKENIZER_PIECES, TS_TOKENIZER_WORDS = 1, 2, 3

TS_ARCHITECTURE_LLAMA = 1
TS_ARCHITECTURE_GPT2 = 2
TS_ARCHITECTURE_GPT_NEO = 3

TS_MODEL_FORMAT_GGUF = 1
TS_MODEL_FORMAT_HUGGINGFACE = 2
TS_MODEL_FORMAT_LLAMA2C_V0 = 3
TS_MODEL_FORMAT_LLAMA2C_V1 = 4
TS_MODEL_FORMAT_LLAMA2C_V2 = 5

TS_MODEL_TYPE_F32 = 0
TS_MODEL_TYPE_F16 = 1
TS_MODEL_TYPE_BF16 = 2
TS_MODEL_TYPE_Q8_0 = 3
TS_MODEL_TYPE_Q4_0 = 4

TS_OPTIMIZER_ADAMW = 0
TS_OPTIMIZER_MUON = 1

TS_PRECISION_AUTO = 0
TS_PRECISION_F32 = 1
TS_PRECISION_BF16 = 2

TS_PACKING_STREAM = 0
TS_PACKING_STORIES = 1

TS_SCHEDULE_COSINE = 0
TS_SCHEDULE_LINEAR = 1
TS_SCHEDULE_CONSTANT = 2
TS_SCHEDULE_WSD = 3

TS_CONTEXT_FULL_STOP = 0
TS_CONTEXT_FULL_SLIDE = 1

TS_BEGIN_OF_TEXT_FILE = 0
TS_BEGIN_OF_TEXT_ALWAYS = 1
TS_BEGIN_OF_TEXT_NEVER = 2
TS_FINISH_NONE = 0
TS_FINISH_END = 1
TS_FINISH_MAX_TOKENS = 2
TS_FINISH_CONTEXT = 3
TS_FINISH_STOP = 4
TS_FINISH_FORBIDDEN = 5
TS_STEP_NONE = 0
TS_STEP_PENALTIES = 1
TS_STEP_TEMPERATURE = 2
TS_STEP_TOP_K = 3
TS_STEP_TOP_P = 4
TS_STEP_MIN_P = 5
TS_STEP_COUNT = 6

TS_FEATURE_DIALOGUE = 1
TS_FEATURE_BAD_ENDING = 2
TS_FEATURE_MORAL_VALUE = 4
TS_FEATURE_TWIST = 8
TS_FEATURE_FORESHADOWING = 16
TS_FEATURE_CONFLICT = 32
TS_FEATURE_COUNT = 6

TS_AUTHOR_EMBEDDED = 0
TS_AUTHOR_CHAT = 1

TS_UNFIT_WORDS = 1
TS_UNFIT_LANGUAGE = 2

TS_DATASET_BIN_WORDS = 25
TS_DATASET_BINS = 41
TS_DATASET_OPENINGS = 10
TS_DATASET_OPENING_SIZE = 64
TS_DATASET_NGRAMS = 4
TS_DATASET_GROWTH = 3
TS_DATASET_KINDS = 3

TS_CLEAN_MOJIBAKE = 1
TS_CLEAN_PUNCTUATION = 2
TS_CLEAN_SPACES = 4

TS_DROP_NONE = 0
TS_DROP_SOURCE = 1
TS_DROP_SHORT = 2
TS_DROP_CHARACTER = 3
TS_DROP_SYMBOL = 4
TS_DROP_ENDING = 5
TS_DROP_PROMPT = 6
TS_DROP_OVERLAP = 7
TS_DROP_NEAR_OVERLAP = 8
TS_DROP_DUPLICATE = 9
TS_DROP_NEAR_DUPLICATE = 10

TS_INSTRUCT_WORDS = 1
TS_INSTRUCT_FEATURES = 2
TS_INSTRUCT_SUMMARY = 4
TS_INSTRUCT_SENTENCE = 8
TS_INSTRUCT_ALL = 15
TS_INSTRUCT_COUNT = 4

TS_NOVELTY_GRAM = 5
TS_DIVERSITY_BINS = 21
TS_AXIS_GRAMMAR = 0
TS_AXIS_CREATIVITY = 1
TS_AXIS_CONSISTENCY = 2
TS_AXIS_PLOT = 3
TS_AXIS_COUNT = 4

TS_AGE_COUNT = 6

TS_JUDGE_EMBEDDED = 0
TS_JUDGE_CHAT = 1

TS_SUSPICION_GRADE, TS_SUSPICION_ORDER, TS_SUSPICION_MARKUP, TS_SUSPICION_HIDDEN, TS_SUSPICION_CODE = 1, 2, 4, 8, 16
TS_FOLLOWED_WORDS, TS_FOLLOWED_SENTENCE, TS_FOLLOWED_FEATURES, TS_FOLLOWED_SUMMARY, TS_FOLLOWED_COUNT = 0, 1, 2, 3, 4

TS_JUDGED_PENDING = 0
TS_JUDGED_SCORED = 1
TS_JUDGED_NO_ASSESSMENT = 2
TS_JUDGED_NO_REPLY = 3
TS_JUDGED_MISSING = 4
TS_JUDGED_RANGE = 5
TS_JUDGED_TWICE = 6
TS_JUDGED_FORM = 7
TS_JUDGED_EMPTY = 8
TS_JUDGED_COUNT = 9
TS_QUESTION_OTHER = 0
TS_QUESTION_FACT = 1
TS_QUESTION_REASONING = 2
TS_QUESTION_CONTEXT = 3
TS_QUESTION_COUNT = 4
TS_MARK_NONE = 0
TS_MARK_RIGHT = 1
TS_MARK_PARTLY = 2
TS_MARK_WRONG = 3
TS_MARK_COUNT = 4

TS_MEASURE_COUNT = 37
TS_TAP_EMBEDDING = 0
TS_TAP_ATTENTION_INPUT = 1
TS_TAP_QUERIES = 2
TS_TAP_KEYS = 3
TS_TAP_VALUES = 4
TS_TAP_SCORES = 5
TS_TAP_WEIGHTS = 6
TS_TAP_HEADS = 7
TS_TAP_ATTENTION_OUTPUT = 8
TS_TAP_MIDDLE = 9
TS_TAP_MLP_INPUT = 10
TS_TAP_GATE = 11
TS_TAP_HIDDEN = 12
TS_TAP_NEURONS = 13
TS_TAP_MLP_OUTPUT = 14
TS_TAP_OUTPUT = 15
TS_TAP_NORMED = 16
TS_TAP_LOGITS = 17
TS_TAP_COUNT = 18

TS_HEAD_PREVIOUS = 1
TS_HEAD_DUPLICATE = 2
TS_HEAD_INDUCTION = 4
TS_HEAD_DISTANCE = 8
TS_HEAD_SEMANTIC = 16
TS_HEAD_RESTING = 32

# ---- types ----

ts_status = c_int32


def _handle(name: str) -> type:
    """An opaque type: there are only pointers to it."""
    return type(name, (Structure,), {})


ts_runtime = _handle("ts_runtime")
ts_tokenizer = _handle("ts_tokenizer")
ts_model = _handle("ts_model")
ts_trainer = _handle("ts_trainer")
ts_sampler = _handle("ts_sampler")
ts_batch = _handle("ts_batch")
ts_generator = _handle("ts_generator")
ts_summaries = _handle("ts_summaries")
ts_novelty = _handle("ts_novelty")
ts_diversity = _handle("ts_diversity")
ts_evaluator = _handle("ts_evaluator")
ts_beginnings = _handle("ts_beginnings")
ts_prompts = _handle("ts_prompts")
ts_questions = _handle("ts_questions")
ts_heads = _handle("ts_heads")
ts_neurons = _handle("ts_neurons")

ts_allocate_hook = CFUNCTYPE(c_void_p, c_void_p, c_size_t)
ts_reallocate_hook = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_size_t)
ts_release_hook = CFUNCTYPE(None, c_void_p, c_void_p)
ts_log_hook = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
ts_read_hook = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_void_p, c_size_t)
ts_read_key = CFUNCTYPE(c_int32, c_void_p, POINTER(c_char), c_size_t)
ts_next_text = CFUNCTYPE(c_int32, c_void_p, POINTER(c_char_p), POINTER(c_size_t))
ts_progress = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64)


class ts_runtime_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("allocate", ts_allocate_hook), ("reallocate", ts_reallocate_hook), ("release", ts_release_hook),
                ("allocator_user", c_void_p), ("log", ts_log_hook), ("log_user", c_void_p), ("memory_limit", c_uint64), ("threads", c_uint32),
                ("cpu_level", c_int32)]


class ts_tokenizer_train_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("progress", ts_progress), ("progress_user", c_void_p), ("max_words", c_uint64),
                ("vocabulary_size", c_uint32), ("min_frequency", c_uint32)]


class ts_decode_stream(Structure):
    _fields_ = [("bytes", c_uint8 * 4), ("count", c_uint32)]


class ts_shard_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("stories", c_uint64), ("tokens", c_uint64), ("bytes", c_uint64)]


class ts_architecture(Structure):
    _fields_ = [("struct_size", c_size_t), ("kind", c_int32), ("vocabulary_size", c_uint32), ("context_length", c_uint32), ("width", c_uint32),
                ("layers", c_uint32), ("heads", c_uint32), ("key_value_heads", c_uint32), ("hidden", c_uint32), ("window", c_uint32),
                ("untied_head", c_uint32), ("rotary_base", c_float), ("norm_epsilon", c_float)]


class ts_model_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("memory_limit", c_uint64), ("map", c_uint32), ("context_length", c_uint32),
                ("tokenizer", c_char_p), ("widen", c_uint32), ("reserved", c_uint32)]


class ts_model_save_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("format", c_int32), ("type", c_int32)]


class ts_read_callbacks(Structure):
    _fields_ = [("struct_size", c_size_t), ("read", ts_read_hook), ("user", c_void_p), ("size", c_uint64), ("name", c_char_p)]


class ts_tensor(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("data", POINTER(c_float)), ("rank", c_uint64), ("shape", c_uint64 * 4),
                ("type", c_int32), ("file_type", c_int32)]


class ts_score(Structure):
    _fields_ = [("struct_size", c_size_t), ("nats", c_double), ("nats_per_token", c_double), ("bits_per_byte", c_double), ("perplexity", c_double),
                ("tokens", c_uint64), ("bytes", c_uint64), ("stories", c_uint64)]


ts_exchange = CFUNCTYPE(c_int32, c_void_p, c_int32, c_void_p, c_size_t, c_void_p, c_size_t)
ts_broadcast = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)
ts_exchange_start = CFUNCTYPE(c_int32, c_void_p, c_int32, c_int32, c_void_p, c_size_t, c_void_p, c_size_t)
ts_exchange_wait = CFUNCTYPE(c_int32, c_void_p, c_int32)
TS_COMMUNICATOR_SLOTS = 16


class ts_communicator(Structure):
    _fields_ = [("struct_size", c_size_t), ("user", c_void_p), ("rank", c_int32), ("size", c_int32),
                ("exchange", ts_exchange), ("broadcast", ts_broadcast), ("start", ts_exchange_start), ("wait", ts_exchange_wait)]


class ts_trainer_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("text", POINTER(c_char_p)), ("text_count", c_size_t), ("valid", POINTER(c_char_p)),
                ("valid_count", c_size_t), ("run_directory", c_char_p), ("seed", c_uint64), ("max_steps", c_uint64), ("max_tokens", c_uint64),
                ("max_epochs", c_double), ("max_seconds", c_double), ("valid_share", c_double), ("learning_rate", c_double),
                ("final_rate", c_double), ("warmup", c_double), ("beta1", c_double), ("beta2", c_double), ("epsilon", c_double),
                ("weight_decay", c_double), ("clip", c_double), ("schedule", c_uint32), ("batch_tokens", c_uint32), ("micro_batch", c_uint32),
                ("valid_interval", c_uint32), ("checkpoint_interval", c_uint32), ("log_interval", c_uint32), ("precision", c_uint32),
                ("optimizer", c_uint32), ("initial", POINTER(ts_model)), ("keep_best", c_uint32), ("slices", c_uint32), ("communicator", POINTER(ts_communicator)),
                ("packing", c_uint32), ("use_average", c_uint32), ("average", c_double),
                ("spike", c_double), ("spike_window", c_uint32), ("one_batch", c_uint32),
                ("decay", c_double), ("recompute", c_uint32), ("max_skips", c_uint32), ("muon_beta", c_double), ("keep_last", c_uint32), ("keep_every", c_uint32),
                ("progress", ts_progress), ("progress_user", c_void_p), ("csv_log", c_uint32), ("reserved", c_uint32)]


class ts_trainer_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("step", c_uint64), ("total_steps", c_uint64), ("tokens", c_uint64), ("skipped_steps", c_uint64),
                ("epoch", c_double), ("loss", c_double), ("bits_per_byte", c_double), ("gradient_norm", c_double), ("learning_rate", c_double),
                ("valid_nats_per_token", c_double), ("valid_bits_per_byte", c_double), ("tokens_per_second", c_double), ("seconds", c_double),
                ("remaining_seconds", c_double), ("due", c_uint32), ("reserved", c_uint32), ("valid_step", c_uint64),
                ("exchange_bytes", c_uint64), ("exchange_seconds", c_double)]


class ts_token_bias(Structure):
    _fields_ = [("token", c_uint32), ("bias", c_float)]


class ts_batch_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("capacity", c_uint32), ("context_length", c_uint32)]


class ts_sampler_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("seed", c_uint64), ("temperature", c_float), ("top_p", c_float), ("top_k", c_uint32),
                ("max_tokens", c_uint32), ("context_length", c_uint32), ("context_full", c_uint32), ("ignore_end", c_uint32), ("min_p", c_float),
                ("repetition_penalty", c_float), ("frequency_penalty", c_float), ("presence_penalty", c_float), ("penalty_window", c_uint32),
                ("no_repeat_ngram", c_uint32), ("beams", c_uint32), ("biases", POINTER(ts_token_bias)), ("bias_count", c_size_t),
                ("banned_words", POINTER(c_char_p)), ("banned_word_count", c_size_t), ("stops", POINTER(c_char_p)), ("stop_count", c_size_t),
                ("steps", c_uint8 * 8), ("begin_of_text", c_uint32), ("reserved", c_uint32)]


class ts_sampler_load_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("memory_limit", c_uint64)]


class ts_dataset_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("against", POINTER(c_char_p)), ("against_count", c_size_t), ("progress", ts_progress),
                ("progress_user", c_void_p), ("word_lists", POINTER(c_char_p)), ("word_list_count", c_size_t), ("opening_words", c_uint32),
                ("reserved", c_uint32)]


class ts_dataset_statistics(Structure):
    _fields_ = [("struct_size", c_size_t), ("stories", c_uint64), ("distinct_stories", c_uint64), ("bytes", c_uint64), ("words", c_uint64),
                ("distinct_words", c_uint64), ("min_words", c_uint64), ("p5_words", c_uint64), ("median_words", c_uint64), ("p95_words", c_uint64),
                ("max_words", c_uint64), ("histogram", c_uint64 * 41), ("fourgrams", c_uint64), ("distinct_fourgrams", c_uint64),
                ("fourgrams_once", c_uint64), ("dialogue_stories", c_uint64), ("records", c_uint64), ("features", c_uint64 * 6),
                ("other_features", c_uint64), ("text_bytes", c_uint64), ("gzip_bytes", c_uint64), ("compared_bytes", c_uint64),
                ("compared_gzip_bytes", c_uint64), ("against_gzip_bytes", c_uint64), ("mean_words", c_double), ("once_share", c_double),
                ("once_occurrence_share", c_double), ("dialogue_share", c_double), ("gzip_share", c_double), ("gzip_ratio", c_double),
                ("sentences", c_uint64), ("syllables", c_uint64), ("distinct_openings", c_uint64), ("opening_stories", c_uint64 * 10),
                ("openings", (c_char * 64) * 10), ("list_words", c_uint64), ("list_words_used", c_uint64), ("listed_words", c_uint64),
                ("words_per_sentence", c_double), ("syllables_per_word", c_double), ("flesch_reading_ease", c_double),
                ("flesch_kincaid_grade", c_double), ("opening_share", c_double), ("listed_share", c_double), ("list_share_used", c_double),
                ("ngrams", c_uint64 * 4), ("distinct_ngrams", c_uint64 * 4), ("distinct_ngram_share", c_double * 4), ("growth_words", c_uint64 * 3),
                ("kind_words", c_uint64 * 3), ("kind_words_used", c_uint64 * 3), ("kind_occurrences", c_uint64 * 3), ("kind_share_used", c_double * 3)]


class ts_clean_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("steps", c_uint32), ("rules", c_uint32), ("symbols", c_char_p), ("endings", c_char_p), ("source", c_char_p),
                ("min_characters", c_uint64), ("keep_duplicates", c_uint32), ("near_duplicates", c_uint32), ("jaccard", c_double),
                ("shingle_words", c_uint32), ("prompt_words", c_uint32), ("against", POINTER(c_char_p)), ("against_count", c_size_t),
                ("prompts", POINTER(c_char_p)), ("prompt_count", c_size_t), ("dropped", c_char_p), ("scratch", c_char_p), ("progress", ts_progress),
                ("progress_user", c_void_p)]


class ts_clean_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("stories", c_uint64), ("bytes", c_uint64), ("kept", c_uint64), ("kept_bytes", c_uint64),
                ("dropped", c_uint64 * 16), ("repaired_stories", c_uint64), ("repaired_characters", c_uint64), ("punctuation_stories", c_uint64),
                ("spaced_stories", c_uint64), ("against_stories", c_uint64), ("prompt_ngrams", c_uint64), ("candidates", c_uint64),
                ("scratch_bytes", c_uint64)]


class ts_instruct(Structure):
    _fields_ = [("struct_size", c_size_t), ("words", POINTER(c_char)), ("words_size", c_size_t), ("features", POINTER(c_char)),
                ("features_size", c_size_t), ("summary", POINTER(c_char)), ("summary_size", c_size_t), ("sentence", POINTER(c_char)),
                ("sentence_size", c_size_t), ("story", POINTER(c_char)), ("story_size", c_size_t), ("order", c_uint32 * 4)]


ts_summarizer = CFUNCTYPE(c_int32, c_void_p, POINTER(c_char), c_size_t, POINTER(c_char), c_size_t, POINTER(c_size_t))


class ts_overlap(Structure):
    _fields_ = [("struct_size", c_size_t), ("first", c_uint64), ("second", c_uint64), ("common", c_uint64), ("precision", c_double), ("recall",
                c_double), ("f", c_double)]


class ts_novelty_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("progress", ts_progress), ("progress_user", c_void_p), ("working_memory", c_uint64)]


class ts_novelty_about(Structure):
    _fields_ = [("struct_size", c_size_t), ("stories", c_uint64), ("bytes", c_uint64), ("words", c_uint64), ("distinct_words", c_uint64),
                ("grams", c_uint64 * 5)]


class ts_novelty_match(Structure):
    _fields_ = [("struct_size", c_size_t), ("words", c_uint64), ("bigrams", c_uint64), ("nearest_common", c_uint64), ("nearest_story", c_uint64),
                ("nearest_precision", c_double), ("copied_words", c_uint64), ("copied_begin", c_uint64), ("copied_size", c_uint64),
                ("source_story", c_uint64), ("source_begin", c_uint64), ("source_size", c_uint64)]


class ts_beginnings_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("count", c_uint64), ("share", c_double), ("seed", c_uint64), ("tokenizer", POINTER(ts_tokenizer)), ("max_tokens", c_uint64)]


class ts_beginning(Structure):
    _fields_ = [("struct_size", c_size_t), ("beginning", c_char_p), ("beginning_size", c_size_t), ("ending", c_char_p), ("ending_size", c_size_t), ("story", c_uint64)]


class ts_diversity_item(Structure):
    _fields_ = [("struct_size", c_size_t), ("words", c_uint64), ("ending_precision", c_double), ("nearest_f", c_double), ("nearest", c_uint64),
                ("match", ts_novelty_match)]


class ts_diversity_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("completions", c_uint64), ("words", c_uint64), ("endings", c_uint64), ("mean_ending_precision",
                c_double), ("mean_nearest_f", c_double), ("mean_nearest_precision", c_double), ("mean_copied_words", c_double),
                ("max_copied_words", c_uint64), ("copied_whole", c_uint64), ("grams", c_uint64 * 5), ("never", c_uint64 * 5), ("histogram",
                c_uint64 * 105)]


class ts_chat_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("base_url", c_char_p), ("model", c_char_p), ("journal", c_char_p), ("key", c_char_p),
                ("key_file", c_char_p), ("read_key", ts_read_key), ("key_user", c_void_p), ("ca_file", c_char_p), ("proxy", c_char_p),
                ("prices", c_char_p), ("extra", c_char_p), ("temperature", c_double), ("top_p", c_double), ("connect_seconds", c_double),
                ("silent_seconds", c_double), ("total_seconds", c_double), ("max_money", c_double), ("max_seconds", c_double),
                ("requests_per_minute", c_double), ("tokens_per_minute", c_double), ("max_requests", c_uint64), ("max_tokens", c_uint64),
                ("reply_tokens", c_uint32), ("old_names", c_uint32), ("in_flight", c_uint32), ("attempts", c_uint32), ("stream", c_uint32),
                ("send_seed", c_uint32)]


class ts_chat_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("requests", c_uint64), ("answered", c_uint64), ("cut", c_uint64), ("filtered", c_uint64),
                ("invalid", c_uint64), ("retries", c_uint64), ("unknown", c_uint64), ("possibly_paid_twice", c_uint64),
                ("prompt_tokens", c_uint64), ("completion_tokens", c_uint64), ("estimated_tokens", c_uint64), ("reserved_tokens", c_uint64),
                ("damaged_lines", c_uint64), ("money", c_double), ("reserved_money", c_double), ("doubtful_tokens", c_uint64),
                ("doubtful_money", c_double), ("unfit", c_uint64), ("repeated", c_uint64)]


class ts_instruct_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("seed", c_uint64), ("fields", c_uint32), ("always", c_uint32), ("hold_out", c_uint32),
                ("reserved", c_uint32), ("held_out", c_char_p), ("summarize", ts_summarizer), ("summarize_user", c_void_p), ("progress", ts_progress),
                ("progress_user", c_void_p), ("chat", POINTER(ts_chat_options)), ("asking", ts_progress), ("asking_user", c_void_p),
                ("chat_report", POINTER(ts_chat_report)), ("prompt", c_char_p), ("shard", c_uint32), ("shards", c_uint32)]


class ts_instruct_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("stories", c_uint64), ("entries", c_uint64), ("held_out", c_uint64), ("without", c_uint64),
                ("combinations", c_uint64 * 16), ("summarized", c_uint64), ("unsummarized", c_uint64)]


class ts_batch_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("left", c_uint64), ("files", c_uint64), ("requests", c_uint64), ("results", c_uint64), ("known", c_uint64),
                ("failed", c_uint64), ("foreign", c_uint64), ("waiting", c_uint64), ("done", c_uint64), ("total", c_uint64)]


class ts_generator_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("seed", c_uint64), ("first", c_uint64), ("vocabulary", c_char_p), ("author", c_uint32),
                ("features", c_uint32), ("chat", POINTER(ts_chat_options)), ("prompt", c_char_p), ("shard", c_uint32), ("shards", c_uint32),
                ("varied", c_uint32), ("stories_a_call", c_uint32), ("reject", c_uint32), ("asks", c_uint32),
                ("hero_name", c_char_p), ("friend_name", c_char_p), ("plots", c_uint64)]


class ts_story(Structure):
    _fields_ = [("struct_size", c_size_t), ("story", c_char_p), ("story_size", c_size_t), ("words", c_char_p * 3), ("summary", c_char_p),
                ("source", c_char_p), ("seed", c_uint64), ("index", c_uint64), ("features", c_uint64), ("drawn", c_char_p),
                ("provenance", c_char_p), ("unfit", c_uint64)]


class ts_record(Structure):
    _fields_ = [("struct_size", c_size_t), ("prompt", c_char_p), ("prompt_size", c_size_t), ("completion", c_char_p), ("completion_size", c_size_t),
                ("model", c_char_p), ("words", c_char_p), ("sentence", c_char_p), ("features", c_char_p), ("summary", c_char_p)]

class ts_evaluator_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("chat", POINTER(ts_chat_options)), ("templates", c_char_p), ("text", POINTER(c_char_p)),
                ("text_count", c_size_t), ("text_name", c_char_p), ("seed", c_uint64), ("confidence", c_double), ("least_scored", c_double),
                ("judge", c_uint32), ("repeats", c_uint32), ("asks", c_uint32), ("schema", c_uint32), ("resamples", c_uint32),
                ("cut", c_uint32), ("cut_models", POINTER(c_char_p)), ("cut_model_count", c_size_t)]

class ts_judgment(Structure):
    _fields_ = [("struct_size", c_size_t), ("grades", c_double * 4), ("assessment", c_char_p), ("reply", c_char_p), ("outcome", c_uint32),
                ("age", c_uint32), ("asks", c_uint32), ("reserved", c_uint32)]

class ts_grade_mean(Structure):
    _fields_ = [("mean", c_double), ("low", c_double), ("high", c_double), ("deviation", c_double), ("count", c_uint64)]

class ts_evaluation(Structure):
    _fields_ = [("struct_size", c_size_t), ("records", c_uint64), ("prompts", c_uint64), ("judgments", c_uint64), ("outcomes", c_uint64 * 9),
                ("ages", c_uint64 * 7), ("asked_again", c_uint64), ("scored_share", c_double), ("mean_words", c_double), ("axes", ts_grade_mean * 4),
                ("trusted", c_uint64), ("suspicious", c_uint64), ("followed", ts_grade_mean * 4)]

class ts_followed(Structure):
    _fields_ = [("struct_size", c_size_t), ("asked", c_uint64 * 4), ("found", c_uint64 * 4)]

class ts_completer_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("chat", POINTER(ts_chat_options)), ("model", c_char_p), ("templates", c_char_p), ("per_prompt", c_uint32),
                ("estimate", c_uint32), ("raw", c_uint32), ("reserved", c_uint32)]

class ts_completer_report(Structure):
    _fields_ = [("struct_size", c_size_t), ("wanted", c_uint64), ("added", c_uint64), ("ended", c_uint64), ("unusable", c_uint64), ("pending", c_uint64),
                ("chat", ts_chat_report)]

class ts_comparison(Structure):
    _fields_ = [("struct_size", c_size_t), ("prompts", c_uint64 * 4), ("wins", c_uint64 * 4), ("losses", c_uint64 * 4), ("difference", c_double * 4),
                ("low", c_double * 4), ("high", c_double * 4)]


class ts_duel(Structure):
    _fields_ = [("struct_size", c_size_t), ("pairs", c_uint64), ("judged", c_uint64), ("unread", c_uint64), ("pending", c_uint64), ("asked_again", c_uint64),
                ("firsts", c_uint64), ("seconds", c_uint64), ("neithers", c_uint64), ("prompts", c_uint64), ("wins", c_uint64), ("losses", c_uint64),
                ("share", c_double), ("low", c_double), ("high", c_double), ("p", c_double)]


class ts_question(Structure):
    _fields_ = [("struct_size", c_size_t), ("prompt", c_char_p), ("prompt_size", c_size_t), ("kind", c_uint32), ("answers", c_uint32)]


class ts_power_law(Structure):
    _fields_ = [("struct_size", c_size_t), ("factor", c_double), ("exponent", c_double), ("exponent_low", c_double), ("exponent_high", c_double),
                ("deviation", c_double), ("explained", c_double), ("count", c_uint64)]


class ts_tap(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("data", POINTER(c_float)), ("rank", c_uint64), ("shape", c_uint64 * 3),
                ("strides", c_uint64 * 3), ("point", c_uint32), ("layer", c_uint32)]


class ts_analysis_options(Structure):
    _fields_ = [("struct_size", c_size_t), ("progress", ts_progress), ("progress_user", c_void_p), ("max_tokens", c_uint64), ("seed", c_uint64),
                ("examples", c_uint32), ("threshold", c_float)]


class ts_head(Structure):
    _fields_ = [("struct_size", c_size_t), ("layer", c_uint32), ("head", c_uint32), ("kinds", c_uint32), ("reserved", c_uint32),
                ("previous", c_double), ("previous_chance", c_double), ("duplicate", c_double), ("duplicate_chance", c_double),
                ("induction", c_double), ("induction_chance", c_double), ("first", c_double), ("focus", c_double), ("distance", c_double),
                ("mean_distance", c_double), ("content", c_double)]


class ts_neuron(Structure):
    _fields_ = [("struct_size", c_size_t), ("layer", c_uint32), ("neuron", c_uint32), ("active", c_uint64), ("mean", c_double), ("most", c_double),
                ("examples", c_size_t)]


class ts_neuron_example(Structure):
    _fields_ = [("struct_size", c_size_t), ("ids", POINTER(c_uint32)), ("count", c_size_t), ("at", c_size_t), ("story", c_uint64),
                ("activation", c_double)]


class ts_attribution(Structure):
    _fields_ = [("struct_size", c_size_t), ("logit", c_double), ("embedding", c_double), ("heads", c_double), ("neurons", c_double),
                ("biases", c_double)]


ts_tap_callback = CFUNCTYPE(c_int32, c_void_p, POINTER(ts_tap))
ts_trainer_progress = CFUNCTYPE(c_int32, c_void_p, POINTER(ts_trainer_report))
ts_sampler_text = CFUNCTYPE(c_int32, c_void_p, POINTER(c_char), c_size_t)

# ---- functions: name -> (result, arguments). Text of a given size is POINTER(c_char) where C gives it; strings that end in NUL are c_char_p ----

_runtime, _tokenizer, _model = POINTER(ts_runtime), POINTER(ts_tokenizer), POINTER(ts_model)
_trainer, _sampler, _generator = POINTER(ts_trainer), POINTER(ts_sampler), POINTER(ts_generator)
_summaries = POINTER(ts_summaries)
_batch = POINTER(ts_batch)
_novelty, _diversity = POINTER(ts_novelty), POINTER(ts_diversity)
_evaluator, _prompts, _questions, _beginnings = POINTER(ts_evaluator), POINTER(ts_prompts), POINTER(ts_questions), POINTER(ts_beginnings)
_heads, _neurons = POINTER(ts_heads), POINTER(ts_neurons)
_strings, _ids, _size = POINTER(c_char_p), POINTER(c_uint32), POINTER(c_size_t)

FUNCTIONS = {
    "ts_version_number": (c_uint32, []),
    "ts_version": (c_char_p, []),
    "ts_status_name": (c_char_p, [ts_status]),
    "ts_error_detail": (c_char_p, []),
    "ts_cpu_level_name": (c_char_p, [c_int32]),
    "ts_runtime_options_init": (ts_status, [POINTER(ts_runtime_options), c_size_t]),
    "ts_runtime_new": (ts_status, [POINTER(_runtime), POINTER(ts_runtime_options)]),
    "ts_runtime_free": (None, [_runtime]),
    "ts_runtime_threads": (c_uint32, [_runtime]),
    "ts_runtime_cpu_level": (c_int32, [_runtime]),
    "ts_runtime_memory": (c_uint64, [_runtime]),
    "ts_runtime_memory_peak": (c_uint64, [_runtime]),
    "ts_tokenizer_open": (ts_status, [POINTER(_tokenizer), _runtime, c_char_p]),
    "ts_tokenizer_open_memory": (ts_status, [POINTER(_tokenizer), _runtime, c_void_p, c_size_t]),
    "ts_tokenizer_free": (None, [_tokenizer]),
    "ts_tokenizer_save": (ts_status, [_tokenizer, c_char_p]),
    "ts_tokenizer_train_options_init": (ts_status, [POINTER(ts_tokenizer_train_options), c_size_t]),
    "ts_tokenizer_train": (ts_status, [POINTER(_tokenizer), _runtime, ts_next_text, c_void_p, POINTER(ts_tokenizer_train_options)]),
    "ts_tokenizer_train_files": (ts_status, [POINTER(_tokenizer), _runtime, _strings, c_size_t, POINTER(ts_tokenizer_train_options)]),
    "ts_tokenizer_prune_files": (ts_status, [POINTER(_tokenizer), _tokenizer, c_uint32, _strings, c_size_t]),
    "ts_tokenizer_encode": (ts_status, [_tokenizer, c_char_p, c_size_t, c_uint32, _ids, c_size_t, _size]),
    "ts_tokenizer_decode": (ts_status, [_tokenizer, _ids, c_size_t, POINTER(c_char), c_size_t, _size]),
    "ts_tokenizer_decode_next": (ts_status, [_tokenizer, POINTER(ts_decode_stream), c_uint32, POINTER(c_char), c_size_t, _size]),
    "ts_tokenizer_size": (c_uint32, [_tokenizer]),
    "ts_tokenizer_end_of_text": (c_uint32, [_tokenizer]),
    "ts_tokenizer_begin_of_text": (c_uint32, [_tokenizer]),
    "ts_tokenizer_token": (POINTER(c_char), [_tokenizer, c_uint32, _size]),
    "ts_tokenizer_find": (c_uint32, [_tokenizer, c_char_p, c_size_t]),
    "ts_tokenizer_is_special": (c_int32, [_tokenizer, c_uint32]),
    "ts_tokenizer_fingerprint": (c_uint64, [_tokenizer]),
    "ts_tokenizer_kind": (c_int32, [_tokenizer]),
    "ts_tokenizer_merge_count": (c_uint32, [_tokenizer]),
    "ts_tokenizer_encode_files": (ts_status, [_tokenizer, _strings, c_size_t, c_char_p, POINTER(ts_shard_report), ts_progress, c_void_p]),
    "ts_tokenizer_decode_shard": (ts_status, [_tokenizer, c_char_p, c_char_p]),
    "ts_architecture_init": (ts_status, [POINTER(ts_architecture), c_size_t]),
    "ts_architecture_preset": (ts_status, [POINTER(ts_architecture), c_char_p]),
    "ts_architecture_preset_name": (c_char_p, [c_size_t]),
    "ts_architecture_parameters": (ts_status, [POINTER(ts_architecture), POINTER(c_uint64)]),
    "ts_model_options_init": (ts_status, [POINTER(ts_model_options), c_size_t]),
    "ts_model_open": (ts_status, [POINTER(_model), _runtime, c_char_p, POINTER(ts_model_options)]),
    "ts_model_open_memory": (ts_status, [POINTER(_model), _runtime, c_void_p, c_size_t, POINTER(ts_model_options)]),
    "ts_model_open_callbacks": (ts_status, [POINTER(_model), _runtime, POINTER(ts_read_callbacks), POINTER(ts_model_options)]),
    "ts_model_new": (ts_status, [POINTER(_model), _runtime, _tokenizer, POINTER(ts_architecture), c_uint64]),
    "ts_model_free": (None, [_model]),
    "ts_model_save": (ts_status, [_model, c_char_p]),
    "ts_model_save_options_init": (ts_status, [POINTER(ts_model_save_options), c_size_t]),
    "ts_model_save_as": (ts_status, [_model, c_char_p, POINTER(ts_model_save_options)]),
    "ts_model_quantize": (ts_status, [POINTER(_model), _model, c_int32]),
    "ts_model_save_memory": (ts_status, [_model, c_void_p, c_size_t, _size]),
    "ts_model_architecture": (ts_status, [_model, POINTER(ts_architecture)]),
    "ts_model_tokenizer": (_tokenizer, [_model]),
    "ts_model_parameters": (c_uint64, [_model]),
    "ts_model_tensor_count": (c_size_t, [_model]),
    "ts_model_tensor": (ts_status, [_model, c_size_t, POINTER(ts_tensor)]),
    "ts_model_tensor_read": (ts_status, [_model, c_size_t, POINTER(c_float), c_size_t]),
    "ts_model_logits": (ts_status, [_model, _ids, c_size_t, POINTER(c_float), c_size_t]),
    "ts_model_score": (ts_status, [_model, ts_next_text, c_void_p, POINTER(ts_score)]),
    "ts_model_score_files": (ts_status, [_model, _strings, c_size_t, POINTER(ts_score), ts_progress, c_void_p]),
    "ts_trainer_options_init": (ts_status, [POINTER(ts_trainer_options), c_size_t]),
    "ts_trainer_new": (ts_status, [POINTER(_trainer), _runtime, _tokenizer, POINTER(ts_architecture), POINTER(ts_trainer_options)]),
    "ts_trainer_resume": (ts_status, [POINTER(_trainer), _runtime, c_char_p, POINTER(ts_trainer_options)]),
    "ts_trainer_free": (None, [_trainer]),
    "ts_trainer_step": (ts_status, [_trainer, POINTER(ts_trainer_report)]),
    "ts_trainer_done": (c_int32, [_trainer]),
    "ts_trainer_run": (ts_status, [_trainer, ts_trainer_progress, c_void_p]),
    "ts_trainer_validate": (ts_status, [_trainer, POINTER(ts_score)]),
    "ts_trainer_save": (ts_status, [_trainer, c_char_p]),
    "ts_trainer_snapshot": (ts_status, [_trainer, POINTER(_model)]),
    "ts_trainer_log_story": (ts_status, [_trainer, c_char_p, c_size_t]),
    "ts_trainer_state": (ts_status, [_trainer, POINTER(ts_trainer_report)]),
    "ts_sampler_options_init": (ts_status, [POINTER(ts_sampler_options), c_size_t]),
    "ts_sampler_new": (ts_status, [POINTER(_sampler), _model, POINTER(ts_sampler_options)]),
    "ts_sampler_free": (None, [_sampler]),
    "ts_sampler_memory": (ts_status, [_model, POINTER(ts_sampler_options), POINTER(c_uint64)]),
    "ts_sampler_start": (ts_status, [_sampler, c_char_p, c_size_t]),
    "ts_sampler_start_seeded": (ts_status, [_sampler, c_char_p, c_size_t, c_uint64]),
    "ts_sampler_next": (ts_status, [_sampler, POINTER(POINTER(c_char)), _size]),
    "ts_sampler_run": (ts_status, [_sampler, c_char_p, c_size_t, ts_sampler_text, c_void_p]),
    "ts_sampler_finish": (c_int32, [_sampler]),
    "ts_sampler_tokens": (_ids, [_sampler, _size]),
    "ts_sampler_seed": (c_uint64, [_sampler]),
    "ts_sampler_alternatives": (ts_status, [_sampler, POINTER(c_uint32), POINTER(c_float), POINTER(c_uint32), POINTER(c_float), c_size_t, _size]),
    "ts_sampler_clone": (ts_status, [POINTER(_sampler), _sampler]),
    "ts_sampler_cut": (ts_status, [_sampler, c_size_t, c_uint64]),
    "ts_sampler_require": (ts_status, [_sampler, POINTER(c_char_p), c_size_t, c_uint32]),
    "ts_sampler_missing": (c_size_t, [_sampler]),
    "ts_sampler_save": (ts_status, [_sampler, c_char_p]),
    "ts_sampler_save_memory": (ts_status, [_sampler, c_void_p, c_size_t, _size]),
    "ts_sampler_load_options_init": (ts_status, [POINTER(ts_sampler_load_options), c_size_t]),
    "ts_sampler_load": (ts_status, [POINTER(_sampler), _model, c_char_p, POINTER(ts_sampler_load_options)]),
    "ts_sampler_load_memory": (ts_status, [POINTER(_sampler), _model, c_void_p, c_size_t, POINTER(ts_sampler_load_options)]),
    "ts_sampler_run_for": (ts_status, [_sampler, c_uint64, POINTER(POINTER(c_char)), _size]),
    "ts_sampler_cancel": (None, [_sampler]),
    "ts_batch_options_init": (ts_status, [POINTER(ts_batch_options), c_size_t]),
    "ts_batch_new": (ts_status, [POINTER(_batch), _model, POINTER(ts_batch_options)]),
    "ts_batch_free": (None, [_batch]),
    "ts_batch_next": (ts_status, [_batch, POINTER(_sampler), c_size_t, POINTER(POINTER(c_char)), _size, POINTER(ts_status)]),
    "ts_feature_name": (c_char_p, [c_uint32]),
    "ts_chat_options_init": (ts_status, [POINTER(ts_chat_options), c_size_t]),
    "ts_generator_options_init": (ts_status, [POINTER(ts_generator_options), c_size_t]),
    "ts_generator_new": (ts_status, [POINTER(_generator), _runtime, POINTER(ts_generator_options)]),
    "ts_generator_free": (None, [_generator]),
    "ts_generator_next": (ts_status, [_generator, POINTER(ts_story)]),
    "ts_generator_seek": (ts_status, [_generator, c_uint64]),
    "ts_generator_write": (ts_status, [_generator, c_uint64, c_char_p, ts_progress, c_void_p]),
    "ts_generator_prompt": (ts_status, [_generator, c_uint64, POINTER(c_char), c_size_t, _size]),
    "ts_generator_estimate": (ts_status, [_generator, c_uint64, POINTER(ts_chat_report)]),
    "ts_generator_chat_report": (ts_status, [_generator, POINTER(ts_chat_report)]),
    "ts_generator_ask": (ts_status, [_generator, c_uint64, ts_progress, c_void_p]),
    "ts_generator_export": (ts_status, [_generator, c_char_p, POINTER(c_uint64)]),
    "ts_journal_export": (ts_status, [_runtime, c_char_p, c_char_p, c_uint32, POINTER(c_uint64), POINTER(ts_chat_report)]),
    "ts_generator_merge": (ts_status, [_generator, c_char_p, POINTER(c_uint64)]),
    "ts_generator_batch_step": (ts_status, [_generator, c_uint64, POINTER(ts_batch_report)]),
    "ts_generator_batch_write": (ts_status, [_generator, c_uint64, c_char_p, POINTER(ts_batch_report)]),
    "ts_generator_batch_read": (ts_status, [_generator, c_uint64, c_char_p, POINTER(ts_batch_report)]),
    "ts_story_json": (ts_status, [POINTER(ts_story), POINTER(c_char), c_size_t, _size]),
    "ts_generator_words": (_strings, [_generator, c_uint32, _size]),
    "ts_dataset_options_init": (ts_status, [POINTER(ts_dataset_options), c_size_t]),
    "ts_tap_name": (c_char_p, [c_uint32]),
    "ts_model_tap": (ts_status, [_model, _ids, c_size_t, ts_tap_callback, c_void_p, POINTER(c_float), c_size_t]),
    "ts_analysis_options_init": (ts_status, [POINTER(ts_analysis_options), c_size_t]),
    "ts_heads_new": (ts_status, [POINTER(_heads), _model, _strings, c_size_t, POINTER(ts_analysis_options)]),
    "ts_heads_free": (None, [_heads]),
    "ts_heads_count": (c_size_t, [_heads]),
    "ts_heads_get": (ts_status, [_heads, c_size_t, POINTER(ts_head)]),
    "ts_heads_tokens": (c_uint64, [_heads]),
    "ts_neurons_new": (ts_status, [POINTER(_neurons), _model, _strings, c_size_t, POINTER(ts_analysis_options)]),
    "ts_neurons_free": (None, [_neurons]),
    "ts_neurons_count": (c_size_t, [_neurons]),
    "ts_neurons_get": (ts_status, [_neurons, c_size_t, POINTER(ts_neuron)]),
    "ts_neurons_example": (ts_status, [_neurons, c_size_t, c_size_t, POINTER(ts_neuron_example)]),
    "ts_neurons_tokens": (c_uint64, [_neurons]),
    "ts_model_attribute": (ts_status, [_model, _ids, c_size_t, c_uint32, POINTER(ts_attribution), POINTER(c_float), c_size_t, POINTER(c_float),
                                       c_size_t]),
    "ts_dataset_stats": (ts_status, [POINTER(ts_dataset_statistics), _runtime, _strings, c_size_t, POINTER(ts_dataset_options)]),
    "ts_overlap_measure": (ts_status, [_runtime, c_char_p, c_size_t, c_char_p, c_size_t, c_uint32, POINTER(ts_overlap)]),
    "ts_repeat_cut": (ts_status, [_runtime, c_char_p, c_size_t, c_uint32, _size]),
    "ts_novelty_options_init": (ts_status, [POINTER(ts_novelty_options), c_size_t]),
    "ts_novelty_build": (ts_status, [_runtime, _strings, c_size_t, c_char_p, POINTER(ts_novelty_options)]),
    "ts_novelty_open": (ts_status, [POINTER(_novelty), _runtime, c_char_p]),
    "ts_novelty_free": (None, [_novelty]),
    "ts_novelty_describe": (ts_status, [_novelty, POINTER(ts_novelty_about)]),
    "ts_novelty_story": (ts_status, [_novelty, c_uint64, POINTER(POINTER(c_char)), _size]),
    "ts_novelty_count": (ts_status, [_novelty, c_char_p, c_size_t, POINTER(c_uint64)]),
    "ts_novelty_find": (ts_status, [_novelty, c_char_p, c_size_t, POINTER(ts_novelty_match)]),
    "ts_beginnings_options_init": (ts_status, [POINTER(ts_beginnings_options), c_size_t]),
    "ts_beginnings_open": (ts_status, [POINTER(_beginnings), _runtime, POINTER(c_char_p), c_size_t, POINTER(ts_beginnings_options)]),
    "ts_beginnings_free": (None, [_beginnings]),
    "ts_beginnings_count": (c_size_t, [_beginnings]),
    "ts_beginnings_get": (ts_status, [_beginnings, c_size_t, POINTER(ts_beginning)]),
    "ts_diversity_new": (ts_status, [POINTER(_diversity), _runtime, _novelty]),
    "ts_diversity_free": (None, [_diversity]),
    "ts_diversity_add": (ts_status, [_diversity, c_char_p, c_size_t, c_char_p, c_size_t]),
    "ts_diversity_add_file": (ts_status, [_diversity, c_char_p, c_uint32, POINTER(c_uint64)]),
    "ts_diversity_item_at": (ts_status, [_diversity, c_uint64, POINTER(ts_diversity_item)]),
    "ts_diversity_measure": (ts_status, [_diversity, POINTER(ts_diversity_report)]),
    "ts_axis_name": (c_char_p, [c_uint32]),
    "ts_judge_name": (c_char_p, [c_uint32]),
    "ts_judged_name": (c_char_p, [c_uint32]),
    "ts_measure_name": (c_char_p, [c_uint32]),
    "ts_evaluator_options_init": (ts_status, [POINTER(ts_evaluator_options), c_size_t]),
    "ts_evaluator_new": (ts_status, [POINTER(_evaluator), _runtime, POINTER(ts_evaluator_options)]),
    "ts_evaluator_free": (None, [_evaluator]),
    "ts_evaluator_add": (ts_status, [_evaluator, POINTER(ts_record)]),
    "ts_evaluator_add_file": (ts_status, [_evaluator, c_char_p]),
    "ts_evaluator_count": (c_uint64, [_evaluator]),
    "ts_evaluator_record": (ts_status, [_evaluator, c_uint64, POINTER(ts_record)]),
    "ts_suspicion_name": (c_char_p, [c_uint32]),
    "ts_followed_name": (c_char_p, [c_uint32]),
    "ts_evaluator_suspicion": (ts_status, [_evaluator, c_uint64, POINTER(c_uint32)]),
    "ts_evaluator_followed": (ts_status, [_evaluator, c_uint64, POINTER(ts_followed)]),
    "ts_completer_options_init": (ts_status, [POINTER(ts_completer_options), c_size_t]),
    "ts_evaluator_complete": (ts_status, [_evaluator, POINTER(POINTER(ts_record)), c_size_t, POINTER(ts_completer_options), ts_progress, c_void_p,
                                          POINTER(ts_completer_report)]),
    "ts_evaluator_run": (ts_status, [_evaluator, ts_progress, c_void_p]),
    "ts_evaluator_judgment": (ts_status, [_evaluator, c_uint64, c_uint32, POINTER(ts_judgment)]),
    "ts_grades_read": (ts_status, [c_char_p, c_size_t, c_uint32, POINTER(ts_judgment)]),
    "ts_evaluator_evaluate": (ts_status, [_evaluator, c_char_p, POINTER(ts_evaluation)]),
    "ts_evaluator_model": (c_char_p, [_evaluator, c_size_t]),
    "ts_evaluator_compare": (ts_status, [_evaluator, c_char_p, c_char_p, POINTER(ts_comparison)]),
    "ts_evaluator_write": (ts_status, [_evaluator, c_char_p]),
    "ts_evaluator_measures": (ts_status, [_evaluator, c_uint64, POINTER(c_double)]),
    "ts_evaluator_prompt": (ts_status, [_evaluator, c_uint64, c_uint32, POINTER(c_char), c_size_t, _size]),
    "ts_evaluator_estimate": (ts_status, [_evaluator, POINTER(ts_chat_report)]),
    "ts_evaluator_chat_report": (ts_status, [_evaluator, POINTER(ts_chat_report)]),
    "ts_evaluator_duel": (ts_status, [_evaluator, c_char_p, c_char_p, ts_progress, c_void_p, POINTER(ts_duel)]),
    "ts_evaluator_mark": (ts_status, [_evaluator, ts_progress, c_void_p]),
    "ts_evaluator_mark_of": (ts_status, [_evaluator, c_uint64, POINTER(c_uint32)]),
    "ts_question_name": (c_char_p, [c_uint32]),
    "ts_mark_name": (c_char_p, [c_uint32]),
    "ts_questions_open": (ts_status, [POINTER(_questions), _runtime, c_char_p]),
    "ts_questions_free": (None, [_questions]),
    "ts_questions_count": (c_size_t, [_questions]),
    "ts_questions_get": (ts_status, [_questions, c_size_t, POINTER(ts_question)]),
    "ts_questions_mark": (ts_status, [_questions, c_size_t, c_char_p, c_size_t, POINTER(c_uint32)]),
    "ts_power_law_fit": (ts_status, [POINTER(c_double), POINTER(c_double), c_size_t, c_double, POINTER(ts_power_law)]),
    "ts_frontier_mark": (ts_status, [POINTER(c_double), POINTER(c_double), c_size_t, POINTER(c_uint8)]),
    "ts_sign_test": (ts_status, [c_uint64, c_uint64, POINTER(c_double)]),
    "ts_prompts_open": (ts_status, [POINTER(_prompts), _runtime, c_char_p]),
    "ts_prompts_free": (None, [_prompts]),
    "ts_prompts_count": (c_size_t, [_prompts]),
    "ts_prompts_get": (c_char_p, [_prompts, c_size_t, _size]),
    "ts_drop_name": (c_char_p, [c_uint32]),
    "ts_clean_options_init": (ts_status, [POINTER(ts_clean_options), c_size_t]),
    "ts_dataset_clean": (ts_status, [POINTER(ts_clean_report), _runtime, _strings, c_size_t, c_char_p, POINTER(ts_clean_options)]),
    "ts_story_clean": (ts_status, [c_char_p, c_size_t, POINTER(ts_clean_options), POINTER(c_char), c_size_t, _size, POINTER(c_uint32)]),
    "ts_instruct_prompt": (ts_status, [POINTER(ts_instruct), POINTER(c_char), c_size_t, _size]),
    "ts_instruct_parse": (ts_status, [POINTER(ts_instruct), c_char_p, c_size_t]),
    "ts_instruct_options_init": (ts_status, [POINTER(ts_instruct_options), c_size_t]),
    "ts_summaries_new": (ts_status, [POINTER(_summaries), _runtime, _strings, c_size_t, POINTER(ts_instruct_options)]),
    "ts_summaries_free": (None, [_summaries]),
    "ts_summaries_count": (c_uint64, [_summaries]),
    "ts_summaries_prompt": (ts_status, [_summaries, c_uint64, POINTER(c_char), c_size_t, _size]),
    "ts_summaries_estimate": (ts_status, [_summaries, POINTER(ts_chat_report)]),
    "ts_summaries_chat_report": (ts_status, [_summaries, POINTER(ts_chat_report)]),
    "ts_summaries_merge": (ts_status, [_summaries, c_char_p, POINTER(c_uint64)]),
    "ts_summaries_batch_step": (ts_status, [_summaries, POINTER(ts_batch_report)]),
    "ts_summaries_batch_write": (ts_status, [_summaries, c_char_p, POINTER(ts_batch_report)]),
    "ts_summaries_batch_read": (ts_status, [_summaries, c_char_p, POINTER(ts_batch_report)]),
    "ts_dataset_instruct": (ts_status, [POINTER(ts_instruct_report), _runtime, _strings, c_size_t, c_char_p, POINTER(ts_instruct_options)]),
}

# Functions whose int32 is an answer and not a status.
ANSWERS = {"ts_runtime_cpu_level", "ts_tokenizer_is_special", "ts_tokenizer_kind", "ts_trainer_done", "ts_sampler_finish"}

# What a callback of this thread raised while C ran; the check after the call raises it.
pending = threading.local()


def _check(status: int, function: object, arguments: tuple) -> int:
    """Runs after every function that returns a status: raises what a callback raised, else what the status says."""
    raised = pending.__dict__.pop("error", None)
    if raised is not None:
        raise raised
    if status != TS_OK:
        raise errors.from_status(status, library.ts_error_detail().decode("utf-8", "replace"))
    return status


# ---- the library ----


def _candidates() -> list[str]:
    """Where the library may be, best place first. What TINYSTORIES_LIBRARY names is taken or nothing."""
    named = os.environ.get("TINYSTORIES_LIBRARY")
    if named:
        return [named]
    here = pathlib.Path(__file__).resolve().parent
    installed = ctypes.util.find_library("tinystories")
    return [str(here / "libtinystories.so")] + ([installed] if installed else []) + [str(here.parents[2] / "build" / "libtinystories.so")]


def _load_one(path: str) -> ctypes.CDLL:
    """Loads a library and declares its functions. OSError says why it won't do."""
    loaded = ctypes.CDLL(path)
    missing = [name for name in FUNCTIONS if not hasattr(loaded, name)]
    if missing:
        raise OSError(f"it lacks {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""))
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
        if result is ts_status and name not in ANSWERS:
            function.errcheck = _check
    major, minor = divmod(loaded.ts_version_number() // 100, 100)
    if major != VERSION[0] or minor < VERSION[1]:
        raise OSError(f"it is version {loaded.ts_version().decode()}, these bindings need {VERSION[0]}.{VERSION[1]} or a later {VERSION[0]}.x")
    return loaded


def _load() -> ctypes.CDLL:
    tried = []
    for path in _candidates():
        try:
            return _load_one(path)
        except OSError as error:
            tried.append(f"  {path}: {error}")
    raise ImportError("no usable libtinystories; tried\n" + "\n".join(tried) + "\nTINYSTORIES_LIBRARY=/path/to/libtinystories.so names one")


library = _load()

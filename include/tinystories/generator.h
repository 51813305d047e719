/*
 * Generators: write a dataset of stories (paper section 2).
 *
 * For each story a verb, a noun and an adjective are drawn from a small child's vocabulary and a random subset of features (dialogue, twist, ...) is asked
 * for, and an author writes it. The embedded author needs no network: it keeps a small world of people, places and things with properties, casts them into
 * plots whose needs they can meet (something that gives light for a dark cave), and tells what happened.
 * Story `index` is a function of (seed, index, vocabulary, options.features) alone: the same bytes on every machine, in any order, by any number of threads.
 *
 * The chat author asks a chat service (tinystories/chat.h): the prompt of story `index` is a function of (seed, index, vocabulary, options.features, template), and so is
 * what of it is drawn: the same words and features that the embedded author would use. What the service wrote is kept in the journal of
 * options.chat, and the stories are a function of that: whatever is in it is never asked for again, and files are written from it with the
 * same bytes each time. Stories that were cut off, filtered or empty are not used; their indices are passed over. So are, unless options.reject says
 * otherwise, those that do not fit what was asked: a drawn word is not in them, in any inflection, or they are not in English. Whether they fit is found
 * out once, when the reply comes, and stands in the journal, which keeps them all, and what was drawn for each, the prompt's hash and who answered.
 *
 * With several stories a call, stories index / stories_a_call are asked for together, each by a prompt of its own, and the reply is split at the lines that
 * divide it: the first part is the first story. When there are too few parts the last stories are missing and passed over; parts too many are not used. A
 * reply's bound of tokens is that many times options.chat.reply_tokens, and shards take whole calls: those whose number is `shard` modulo `shards`.
 */
#ifndef TINYSTORIES_GENERATOR_H
#define TINYSTORIES_GENERATOR_H

#include "tinystories/base.h"
#include "tinystories/chat.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_generator ts_generator;

/* Features of a story, a bit each; the names that records carry are those of the published dataset. */
enum {
    TS_FEATURE_DIALOGUE = 1,       /* "Dialogue" */
    TS_FEATURE_BAD_ENDING = 2,     /* "BadEnding" */
    TS_FEATURE_MORAL_VALUE = 4,    /* "MoralValue" */
    TS_FEATURE_TWIST = 8,          /* "Twist" */
    TS_FEATURE_FORESHADOWING = 16, /* "Foreshadowing" */
    TS_FEATURE_CONFLICT = 32,      /* "Conflict" */
    TS_FEATURE_COUNT = 6
};

/* The name of one feature bit, NULL for any other value. A constant string. */
TS_API const char *ts_feature_name(uint32_t feature);

enum {
    TS_AUTHOR_EMBEDDED = 0, /* writes by itself */
    TS_AUTHOR_CHAT = 1      /* a chat service; TS_ERROR_UNSUPPORTED in a build without them */
};

/* In what a chat service's story does not fit what was asked, a bit each. */
enum {
    TS_UNFIT_WORDS = 1,   /* it has not all the drawn words. Forms count as their word: running and ran as run, tinier as tiny, dog's as dog */
    TS_UNFIT_LANGUAGE = 2 /* it is not in English: it lacks English's commonest words, or fifty words in a row do, or eight of its letters are not Latin */
};

typedef struct ts_generator_options {
    size_t struct_size;
    uint64_t seed;              /* default 0 */
    uint64_t first;             /* index of the first story; default 0 */
    const char *vocabulary;     /* path of a vocabulary file that replaces the built-in one; NULL (the default): the built-in. See words.txt for the
                                   form: at least a noun and an adjective of each class, a verb, three names of each class, 4 MiB at most. The words that the
                                   embedded author's plots are told with need not be in it and count as function words; a plot for whose parts it has no word
                                   is left out, which is logged as a warning */
    uint32_t author;            /* TS_AUTHOR_; default EMBEDDED */
    uint32_t features;          /* the features that may be drawn, TS_FEATURE_ bits; default all */
    const ts_chat_options *chat; /* the service of the chat author, required for it; copied */
    const char *prompt;         /* the chat author's template: path of a file that replaces the built-in one. See prompt.txt for the form */
    uint32_t shard;             /* only stories whose index is `shard` modulo `shards`; default 0. Each shard needs a journal of its own */
    uint32_t shards;            /* default 1. Bounds and paces of `chat` (max_money, max_requests, max_tokens, ..._per_minute) are of all shards: each takes its part */
    uint32_t varied;            /* 1: the chat author's template "varied", which draws a theme, a topic, a style, a narrator, a first word and a length too */
    uint32_t stories_a_call;    /* that the chat author asks for in one call, 1 to 64; default 1. Cheaper, and they are unlike each other; see below */
    uint32_t reject;            /* TS_UNFIT_ bits: the chat author's stories that do not fit in these ways are not used; default all. With 0, say for a prompt that asks
                                   for stories in another language, they are, and their records tell how they do not fit */
    uint32_t asks;              /* how often the chat author makes a call at most, until all its stories can be used: 1 to 8; default 1, what cannot be used is passed
                                   over. Each time is paid for */
    const char *hero_name;      /* what the embedded author calls the hero of every story, and by that a girl or a boy: one of the vocabulary's names; NULL (the
                                   default): drawn anew for each. A small model learns stories of the same few much sooner */
    const char *friend_name;    /* the same of the hero's friend, another name */
    uint64_t plots;             /* the embedded author tells only so many of its plots, the first; 0 (the default), or more than there are: all. Few are learned sooner
                                   than many, and make a dataset that is less varied */
} ts_generator_options;

TS_API ts_status ts_generator_options_init(ts_generator_options *options, size_t struct_size);

/*
 * FORMAT: the vocabulary file or the template is wrong; the detail names file, line and word or placeholder, or all sections that lack words. LIMIT: a
 * vocabulary above 4 MiB. INVALID_ARGUMENT: a name that is not in the vocabulary, or is both; names or plots
 * for the chat author. For the chat author also what opening its
 * journal may answer: BUSY (another run has it), MISMATCH (it was made with another seed, model, template, vocabulary, features or sampling), VERSION, FORMAT.
 */
TS_API ts_status ts_generator_new(ts_generator **out, ts_runtime *runtime, const ts_generator_options *options);
TS_API void ts_generator_free(ts_generator *generator);

/* A story and how it came about. Strings are NUL-terminated UTF-8 (in fact ASCII), borrowed until the generator's next call. */
typedef struct ts_story {
    size_t struct_size;
    const char *story;    /* paragraphs divided by an empty line */
    size_t story_size;    /* bytes */
    const char *words[3]; /* the drawn verb, noun and adjective, as in the vocabulary; each is used in the story, perhaps inflected (or was asked for) */
    const char *summary;  /* one or two sentences; "" of the chat author */
    const char *source;   /* "embedded", or the service's model */
    uint64_t seed;        /* the generator's */
    uint64_t index;
    uint64_t features;    /* TS_FEATURE_ bits that the story has; of the chat author: that were asked for */
    const char *drawn;    /* JSON object of what else was drawn for the prompt: {"theme": "being brave", ...}; "" of the embedded author */
    const char *provenance; /* JSON object, as far as it is known: {"model": that answered, "system_fingerprint": its, "prompt": a hash of it, "prompt_tokens": of the
                               call, "completion_tokens": of the call}; "" of the embedded author */
    uint64_t unfit;       /* TS_UNFIT_ bits; 0 of the embedded author */
} ts_story;

/*
 * Writes the next story. The chat author asks for this one alone, unless the journal has it: nothing is paid for that was not asked for. It answers
 * NETWORK (no service, or it said no), LIMIT (a bound of options.chat, or many replies in a row that cannot be used) or IO (the journal).
 * The embedded author answers LIMIT when no plot can use the drawn words, which a small vocabulary of one's own may lead to.
 */
TS_API ts_status ts_generator_next(ts_generator *generator, ts_story *story);

/* Goes to story `index`, or the first one after it that is of this shard; the next ts_generator_next gives it. */
TS_API ts_status ts_generator_seek(ts_generator *generator, uint64_t index);

/*
 * Writes `count` stories into a file, replaced as a whole: .txt (stories divided by a line `<|endoftext|>`) or .jsonl (an object a line: story, instruction
 * {words, features}, summary, source, of the chat author drawn, provenance and (if it does not fit) unfit, seed, index), each also with .gz. "-" as path is refused here: use ts_generator_next.
 * Works with all threads of the runtime. `progress` (may be NULL) counts stories. CANCELLED leaves no file.
 *
 * The chat author asks for all stories that the journal lacks, options.chat.in_flight at a time, and writes the file when it has them. When progress returns
 * 1 what is in flight is waited for and kept, 2 gives it up at once. On every failure what was paid for is in the journal: the next call goes on.
 */
TS_API ts_status ts_generator_write(ts_generator *generator, uint64_t count, const char *path, ts_progress progress, void *progress_user);

/* ---- the chat author alone: INVALID_ARGUMENT for the others ---- */

/* The prompt of the call that asks for story `index`; NUL-terminated, capacity at least *size + 1, *size set also for BUFFER_TOO_SMALL. */
TS_API ts_status ts_generator_prompt(ts_generator *generator, uint64_t index, char *text, size_t capacity, size_t *size);

/*
 * Has the next `count` stories that can be used in the journal, asked for options.chat.in_flight at a time: ts_generator_next then gives them and asks for
 * nothing. Progress and statuses are those of ts_generator_write.
 */
TS_API ts_status ts_generator_ask(ts_generator *generator, uint64_t count, ts_progress progress, void *progress_user);

/* What the next `count` stories would cost at most, those that the journal has left out: requests, tokens and money of the report. Nothing is sent. */
TS_API ts_status ts_generator_estimate(ts_generator *generator, uint64_t count, ts_chat_report *report);

/* What the journal holds and has cost. May be called from the progress of this generator's own ts_generator_write, too. */
TS_API ts_status ts_generator_chat_report(ts_generator *generator, ts_chat_report *report);

/*
 * Takes the replies of another shard's journal that this one lacks, with what they cost; *taken (may be NULL) becomes their number. What has no reply there
 * stays there alone. A second time takes nothing. IO: there is no such journal; else what ts_generator_new says of journals.
 */
TS_API ts_status ts_generator_merge(ts_generator *generator, const char *journal, uint64_t *taken);

/*
 * Writes every story that the journal has and that can be used, in the order of their indices and of whatever shard, as ts_generator_write does; *written
 * (may be NULL) becomes their number. Nothing is sent, whatever is missing: this is how the merged journals of shards become one dataset, the
 * stories of all shards' own files together. INVALID_ARGUMENT: "-" as path; IO.
 */
TS_API ts_status ts_generator_export(ts_generator *generator, const char *path, uint64_t *written);

/*
 * The same of a journal without its generator, whatever it was made for: another seed, model, template or vocabulary, or an earlier library, for which
 * ts_generator_new answers MISMATCH. The journal alone says what its stories were asked for. It is read and not changed, also while a run is at work on it.
 * `reject` are TS_UNFIT_ bits as in the options; `report` (may be NULL) becomes what the journal holds and has cost. FORMAT, VERSION; IO: there is none.
 */
TS_API ts_status ts_journal_export(ts_runtime *runtime, const char *journal, const char *path, uint32_t reject, uint64_t *written, ts_chat_report *report);

/*
 * Batches: requests as files of lines of JSON in OpenAI's form, which a service works off within a day for less money, and `vllm run-batch` at home. A file has
 * at most 50,000 requests and 200 MB. Results may come in any order, in parts and more than once. The prices of options.chat are to be those of batches.
 *
 * Step: one step of having the next `count` stories written by the service's files and batches endpoints. It collects what is there and submits what is
 * missing, unless the service is still at work on batches of this journal (report.waiting): call it again, a minute later or on another day, until
 * report.left is 0; then ts_generator_write has all it needs. Nothing but the journal must be kept between: what was submitted the service's own list tells.
 * NETWORK: the service said no, or did nothing of a whole batch. LIMIT: a bound of options.chat.
 */
TS_API ts_status ts_generator_batch_step(ts_generator *generator, uint64_t count, ts_batch_report *report);

/*
 * The same by hand: writes the requests of the next `count` stories that the journal lacks into the file `path`, and beyond a file's bound into others whose
 * names have .2, .3 ... before the ending. The journal counts them as sent from then on, of unknown outcome: writing them again means asking again.
 */
TS_API ts_status ts_generator_batch_write(ts_generator *generator, uint64_t count, const char *path, ts_batch_report *report);

/* Reads a file of results, or of errors, into the journal. report.left tells what of the next `count` stories is missing then. */
TS_API ts_status ts_generator_batch_read(ts_generator *generator, uint64_t count, const char *path, ts_batch_report *report);

/*
 * One story as a line of JSON (no newline), as ts_generator_write writes it (`drawn` and `provenance` are put there as they are); NUL-terminated, capacity at least *size + 1, *size set also for
 * BUFFER_TOO_SMALL.
 */
TS_API ts_status ts_story_json(const ts_story *story, char *text, size_t capacity, size_t *size);

/* The words that stories are made of: `kind` 0 verbs, 1 nouns, 2 adjectives, 3 every form of every word that a story may hold. *count strings; borrowed. */
TS_API const char *const *ts_generator_words(const ts_generator *generator, uint32_t kind, size_t *count);

#ifdef __cplusplus
}
#endif

#endif

/* What the files of the command-line tool share: options, failures, progress and results. The tool uses the public headers alone. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <tinystories.h>

#if defined(__GNUC__)
#define CLI_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CLI_PRINTF(text, first)
#endif

#define CLI_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Passes a failure on, where nothing is to be freed. */
#define CLI_TRY(call)                                                                                                                                          \
    do {                                                                                                                                                       \
        ts_status try_status_ = (call);                                                                                                                        \
        if (try_status_ != TS_OK)                                                                                                                              \
            return try_status_;                                                                                                                                \
    } while (0)

/*
 * ---- arguments.c: options, driven by tables ----
 *
 * A row says what an option is called, what it takes and where its value goes. Defaults are whatever the values struct holds before parsing, so that they
 * come from the library's own option structs, and help prints them from there.
 */

/* What an option takes, and the type of its member in the values struct. */
enum {
    CLI_FLAG,   /* nothing; uint32_t becomes 1 */
    CLI_TEXT,   /* const char * */
    CLI_PATHS,  /* cli_paths: all arguments up to the next option; may be given more than once */
    CLI_UINT32, /* uint32_t */
    CLI_UINT64, /* uint64_t */
    CLI_FLOAT,  /* float */
    CLI_DOUBLE, /* double */
    CLI_CHOICE  /* uint32_t: the index of the name among the choices */
};

enum {
    CLI_REQUIRED = 1, /* flag: must be given */
    CLI_ABOVE = 2,    /* flag: `least` itself is too little */
    CLI_QUIET = 4,    /* flag: help does not print the default */
    CLI_FIXED = 8     /* flag: of a run that is resumed its checkpoint says it */
};

typedef struct cli_paths {
    const char **items;
    size_t count;
} cli_paths;

/* patterns.c: whether a run folder holds a checkpoint that can be resumed from: the newest, or one before it, which is alone there for the moment in which
 * a newer one takes its name. */
bool cli_has_checkpoint(const char *folder);

/* Adds a path, or the files of a pattern (*, ?, [...]) that is no file itself. cli_paths_end frees what those are. */
ts_status cli_paths_add(cli_paths *paths, const char *text);
void cli_paths_end(void);

typedef struct cli_argument {
    const char *name;  /* "--seed"; without dashes a positional argument, "FILE" */
    const char *value; /* what help calls its value; NULL for flags and positional arguments */
    int32_t type, flags;
    size_t offset;                       /* of the member in the values struct */
    double least, most;                  /* of numbers; `most` 0: whatever the type holds */
    const char *(*choice)(size_t index); /* names of a CLI_CHOICE, NULL after the last; of others for help alone */
    const char *help;
} cli_argument;

typedef struct cli_command cli_command;

/* What every command has; the first member of every values struct. */
typedef struct cli_common {
    const cli_command *command;
    uint64_t given; /* bit i: arguments[i] of the command stood on the command line */
    ts_runtime *runtime;
    uint32_t threads, json, quiet, verbose, help;
} cli_common;

struct cli_command {
    const char *noun, *verb; /* verb NULL: the noun alone is the command; noun NULL: the end of a table */
    const char *summary;
    const char *notes;             /* further paragraphs of help; may be NULL */
    const cli_argument *arguments; /* at most 64 */
    size_t argument_count, values_size;
    void (*defaults)(void *values); /* fills the zeroed values; may be NULL */
    ts_status (*run)(void *values); /* after a failure of its own it has called cli_fail or cli_usage */
};

/* Reads `count` arguments over the defaults. TS_OK, or what cli_fail and cli_usage return. */
ts_status cli_arguments_parse(const cli_command *command, int count, char **arguments, void *values);

void cli_arguments_help(const cli_command *command);

/* The index of the choice that `text` names; a failure speaks of `name` and lists all. */
ts_status cli_choose(const char *name, const char *text, const char *(*choice)(size_t index), uint32_t *chosen);

/* A `choice`: the judges. */
const char *cli_judge_name(size_t index);

/* Whether an option of the command stood on the command line. */
bool cli_given(const cli_common *common, const char *name);

/* "noun verb"; static, the last sixteen stay valid. */
const char *cli_command_name(const cli_command *command);

/* The name that was probably meant, among those that were considered. */
typedef struct cli_nearest {
    char name[48]; /* "": none is near */
    size_t distance;
} cli_nearest;

void cli_nearest_consider(cli_nearest *nearest, const char *given, const char *name);

/* ---- together.c ---- */

/* A story that a started sampler tells; text (to be freed by free, whatever comes out) and tokens are filled. */
typedef struct cli_story {
    ts_sampler *sampler;
    uint32_t context_length; /* as its options said */
    char *text;
    size_t size;
    uint64_t tokens;
} cli_story;

/* Tells stories to their ends, all together. */
ts_status cli_tell_together(const ts_model *model, cli_story *stories, size_t count);

/* Tables of commands, one a noun; each ends with a row whose noun is NULL. */
extern const cli_command cli_dataset_commands[], cli_clean_commands[], cli_tokenizer_commands[], cli_inspect_commands[], cli_model_commands[], cli_train_commands[], cli_sample_commands[],
    cli_evaluate_commands[], cli_judge_commands[], cli_diversity_commands[], cli_analyze_commands[], cli_bench_commands[], cli_quantize_commands[],
    cli_report_commands[], cli_study_commands[], cli_study_prompts_commands[], cli_duel_commands[],
    cli_complete_commands[];

/* ---- main.c ---- */

/* Notes the line that standard error will show and the exit status, and returns a failure. Without it the library's error detail is shown, and 1. */
ts_status cli_refuse(int status, const char *format, ...) CLI_PRINTF(2, 3);
#define cli_fail(...) cli_refuse(1, __VA_ARGS__)
#define cli_usage(...) cli_refuse(2, __VA_ARGS__) /* the command line itself is wrong */

/* Before any work: whether a file could be written at `path` (NULL can), and "-" only where `stream` allows it and --json does not need it. */
ts_status cli_check_out(const cli_common *common, const char *path, bool stream);

/* ---- progress.c ---- */

/* A line on standard error: rewritten on a terminal, a new one every ten seconds elsewhere. */
typedef struct cli_progress {
    const char *what, *unit; /* "encoding", "bytes" */
    bool quiet, terminal, open;
    double started, shown; /* seconds */
} cli_progress;

/* Begins a piece of work that SIGINT and SIGTERM end in order: the progress asks the library to stop. A second signal ends the program at once. */
void cli_progress_start(cli_progress *progress, const cli_common *common, const char *what, const char *unit);
/* Whether it is time for another line. */
bool cli_progress_due(const cli_progress *progress);
void cli_progress_line(cli_progress *progress, const char *format, ...) CLI_PRINTF(2, 3);
/* A ts_progress; `user` is the cli_progress. */
int32_t cli_progress_tell(void *user, uint64_t done, uint64_t total);
/* The same for the training of a tokenizer, which counts bytes, then merges. */
int32_t cli_progress_tokenizer(void *user, uint64_t done, uint64_t total);
/* Takes the line off the terminal. */
void cli_progress_end(cli_progress *progress);
/* How many signals came. */
int cli_interrupted(void);
double cli_clock(void);
/* "3 min 20 s"; `text` is filled and returned. */
const char *cli_duration(double seconds, char *text, size_t capacity);

/* ---- completions.c ---- */

/* How a model completes prompts: `per_prompt` times each, with seeds seed, seed + 1, ... */
typedef struct cli_completions {
    ts_status (*get)(const void *prompts, size_t index, ts_record *record); /* fills the record's prompt, and its instruction if it has one */
    const void *prompts;
    size_t count;
    uint32_t per_prompt;
    uint64_t seed;
    const ts_sampler_options *sampling;
    const char *name; /* of the model in the records */
    bool instructed;  /* the prompt is an instruction: it stands in the record's other fields, and the story has nothing before it */
} cli_completions;

/* A `get` for ts_prompts. */
ts_status cli_prompts_get(const void *prompts, size_t index, ts_record *record);

/* Entries of a file as TinyStories-Instruct, to be told anew: what they ask for as fields of a record. `instructions` of _get is a cli_instructions **. */
typedef struct cli_instructions cli_instructions;
ts_status cli_instructions_open(cli_instructions **out, ts_runtime *runtime, const char *path);
void cli_instructions_free(cli_instructions *instructions);
size_t cli_instructions_count(const cli_instructions *instructions);
ts_status cli_instructions_get(const void *instructions, size_t index, ts_record *record);

/* Writes a record as a line of JSON, as the evaluator keeps it: what is no text in a completion was replaced there. With how the story truly ends,
 * if that is not NULL. */
ts_status cli_save_record(FILE *file, const ts_evaluator *evaluator, uint64_t index, const char *ending);
/* Writes all of them into a file. */
ts_status cli_save_records(const char *path, const ts_evaluator *evaluator);

/* Adds the model's completions to the evaluator's records. The progress is started. */
ts_status cli_complete(const ts_model *model, const cli_completions *completions, ts_evaluator *evaluator, cli_progress *progress);

/* What stands behind the last slash. */
const char *cli_file_name(const char *path);

/* ---- output.c: files, and results on standard output, as lines for people or one JSON object for machines, from the same calls ---- */

/* A file that is replaced as a whole or not at all. Behind a link it is what that leads to; what is no regular file, and "-", is written as it stands. */
typedef struct cli_file {
    FILE *stream;
    char path[4096], temporary[4400]; /* temporary "": written as it stands */
} cli_file;

ts_status cli_file_open(cli_file *file, const char *path);
/* Puts it in place if `status`, of what was written into it, is TS_OK and the disk has it; gives that status or its own. */
ts_status cli_file_close(cli_file *file, ts_status status);

typedef struct cli_output {
    FILE *file;
    bool json, more;
    int depth;
} cli_output;

/* Keys are those of JSON; as a line "bits_per_byte" is called "bits per byte". A key NULL is an element of an array. */
cli_output cli_output_start(const cli_common *common);
/* A JSON object in a file, whatever --json says. */
cli_output cli_output_to(FILE *file);
void cli_output_end(cli_output *output);
void cli_text(cli_output *output, const char *key, const char *text);
void cli_text_sized(cli_output *output, const char *key, const char *text, size_t size);
void cli_integer(cli_output *output, const char *key, uint64_t value);
/* A text as it is, but that no terminal takes orders from it. */
void cli_print_plain(FILE *file, const char *text, size_t size);
/* What is not finite is null in JSON and no line. */
void cli_number(cli_output *output, const char *key, double value, int decimals);
void cli_truth(cli_output *output, const char *key, bool value);
/* An object '{' or array '[' within; as lines the key is a heading. */
void cli_open(cli_output *output, const char *key, char bracket);
/* As lines alone: a heading that is a name of the user's and stands as it is, however long. */
void cli_open_named(cli_output *output, const char *name);
void cli_close(cli_output *output, char bracket);

/*
 * ---- chat_options.c: the options of a chat service, the same for every command that can use one ----
 */

typedef struct cli_chat {
    ts_chat_options options;
    double max_minutes;
    char folder[64], scratch[80]; /* of a dry run without a journal */
} cli_chat;

/* Rows of a command's table; `chat` is the cli_chat in the values struct `values`, `prefix` stands before the names that the command has for something else too. */
/* clang-format off */
#define CLI_CHAT_ARGUMENTS(values, chat, prefix)                                                                                                                     \
    {"--base-url", "URL", CLI_TEXT, 0, offsetof(values, chat.options.base_url), 0, 0, NULL, "of the service (default https://api.openai.com/v1)"},             \
    {"--" prefix "model", "NAME", CLI_TEXT, 0, offsetof(values, chat.options.model), 0, 0, NULL, "the service's name for the model to ask"},                             \
    {"--journal", "FILE", CLI_TEXT, 0, offsetof(values, chat.options.journal), 0, 0, NULL, "keeps every reply; with it a run that was stopped goes on"},       \
    {"--key-file", "FILE", CLI_TEXT, 0, offsetof(values, chat.options.key_file), 0, 0, NULL, "file whose only line is the key (default: the environment's)"},  \
    {"--ca-file", "FILE", CLI_TEXT, 0, offsetof(values, chat.options.ca_file), 0, 0, NULL, "PEM file of the only certificates to trust"},                      \
    {"--proxy", "URL", CLI_TEXT, 0, offsetof(values, chat.options.proxy), 0, 0, NULL, "proxy to go through (default: none)"},                                  \
    {"--prices", "FILE", CLI_TEXT, 0, offsetof(values, chat.options.prices), 0, 0, NULL, "JSON: {\"model\": {\"prompt\": P, \"completion\": C}}, money a million tokens"}, \
    {"--max-money", "M", CLI_DOUBLE, CLI_QUIET | CLI_ABOVE, offsetof(values, chat.options.max_money), 0, 1e12, NULL, "stop before the journal costs more; needs --prices"}, \
    {"--max-tokens", "N", CLI_UINT64, CLI_QUIET, offsetof(values, chat.options.max_tokens), 1, 0, NULL, "stop before the journal has more tokens"},           \
    {"--max-requests", "N", CLI_UINT64, CLI_QUIET, offsetof(values, chat.options.max_requests), 1, 0, NULL, "stop before the journal has more requests"},      \
    {"--max-minutes", "N", CLI_DOUBLE, CLI_QUIET | CLI_ABOVE, offsetof(values, chat.max_minutes), 0, 1e9, NULL, "stop sending after so long"},                 \
    {"--requests-per-minute", "N", CLI_DOUBLE, CLI_QUIET, offsetof(values, chat.options.requests_per_minute), 0, 1e12, NULL, "at first; then as the service says"}, \
    {"--tokens-per-minute", "N", CLI_DOUBLE, CLI_QUIET, offsetof(values, chat.options.tokens_per_minute), 0, 1e12, NULL, "at first; then as the service says"}, \
    {"--in-flight", "N", CLI_UINT32, 0, offsetof(values, chat.options.in_flight), 1, 1024, NULL, "requests at a time"},                                        \
    {"--connect-seconds", "S", CLI_DOUBLE, CLI_ABOVE, offsetof(values, chat.options.connect_seconds), 0, 604800, NULL, "until a connection stands"},             \
    {"--silent-seconds", "S", CLI_DOUBLE, 0, offsetof(values, chat.options.silent_seconds), 1, 604800, NULL, "that a stream may keep silent"},                 \
    {"--total-seconds", "S", CLI_DOUBLE, CLI_ABOVE, offsetof(values, chat.options.total_seconds), 0, 604800, NULL, "for one request in all; what takes longer is asked for again"}, \
    {"--attempts", "N", CLI_UINT32, 0, offsetof(values, chat.options.attempts), 1, 1000, NULL, "for one request before the run stops"},                        \
    {"--" prefix "temperature", "T", CLI_DOUBLE, CLI_QUIET, offsetof(values, chat.options.temperature), 0, 100, NULL, "of the model (default: not sent)"},               \
    {"--" prefix "top-p", "P", CLI_DOUBLE, CLI_QUIET, offsetof(values, chat.options.top_p), 0, 1, NULL, "of the model (default: not sent)"},                             \
    {"--reply-tokens", "N", CLI_UINT32, 0, offsetof(values, chat.options.reply_tokens), 0, 1 << 20, NULL, "tokens that a reply may have; 0: no bound is sent"}, \
    {"--old-names", NULL, CLI_FLAG, 0, offsetof(values, chat.options.old_names), 0, 0, NULL, "send that as max_tokens, as older servers want it"},             \
    {"--stream", NULL, CLI_FLAG, 0, offsetof(values, chat.options.stream), 0, 0, NULL, "ask for a stream of events"},                                          \
    {"--send-seed", NULL, CLI_FLAG, 0, offsetof(values, chat.options.send_seed), 0, 0, NULL, "send a seed, different for each request"},                       \
    {"--extra", "JSON", CLI_TEXT, 0, offsetof(values, chat.options.extra), 0, 0, NULL, "object whose members go into every request"}
/* clang-format on */

/* ---- asking.c: what a command asks a chat service for before it writes ---- */

enum { CLI_POLL = 60 }; /* seconds between two looks at batches */

typedef struct cli_asking {
    uint32_t dry, batch;
    double poll;
    const char *batch_write;
    cli_paths batch_read, merge; /* merge: for a row of the command's own */
} cli_asking;

/* Rows of a command's table; `asking` is the cli_asking in the values struct `values`, `what` is asked for: "stories". */
/* clang-format off */
#define CLI_ASKING_ARGUMENTS(values, asking, what)                                                                                                                  \
    {"--batch", NULL, CLI_FLAG, 0, offsetof(values, asking.batch), 0, 0, NULL, "by the service's batch endpoints: submit, wait, collect; may be stopped and run again"}, \
    {"--poll", "SECONDS", CLI_DOUBLE, 0, offsetof(values, asking.poll), 0, 86400, NULL, "between two looks at the batches; 0: do not wait"},                        \
    {"--batch-write", "FILE", CLI_TEXT, 0, offsetof(values, asking.batch_write), 0, 0, NULL, "write the requests as OpenAI batch files, and no " what},             \
    {"--batch-read", "FILE", CLI_PATHS, 0, offsetof(values, asking.batch_read), 0, 0, NULL, "read results of such files; the " what " are written if none is missing"}, \
    {"--dry-run", NULL, CLI_FLAG, 0, offsetof(values, asking.dry), 0, 0, NULL, "send nothing: show prompts, and what it would cost at most"}
/* clang-format on */

/* How that is done with the command's handle, `user`. */
typedef struct cli_asked {
    const cli_common *common;
    const cli_asking *asking;
    const cli_chat *chat;
    void *user;
    uint64_t prompts; /* how many there are */
    ts_status (*prompt)(void *user, uint64_t place, char *text, size_t capacity, size_t *size);
    ts_status (*estimate)(void *user, ts_chat_report *report);
    ts_status (*bill)(void *user, ts_chat_report *report);
    ts_status (*step)(void *user, ts_batch_report *report);
    ts_status (*write)(void *user, const char *path, ts_batch_report *report);
    ts_status (*read)(void *user, const char *path, ts_batch_report *report);
    ts_status (*merge)(void *user, const char *journal);
} cli_asked;

/* What would be asked first, an array of that name in JSON, and what it all would cost at most. Of `asked` common, chat, prompts, prompt and estimate. */
ts_status cli_show_plan(const cli_asked *asked, const char *key);

/* Does what the options say; *complete: what is missing then, if anything, is to be asked for, and the file to be written. */
ts_status cli_asking_run(const cli_asked *asked, bool *complete);

/* Whether they are for batches, which standard output is not written by. */
bool cli_asking_batches(const cli_asking *asking);

/* "i/N"; NULL changes nothing. */
ts_status cli_shard(const char *text, uint32_t *shard, uint32_t *shards);

/* For the `notes` of a command: where the key comes from, and what a signal does. */
extern const char cli_chat_notes[];

void cli_chat_defaults(cli_chat *chat);

/* Refuses options of the chat service that were given where `author` (an option and its value, "--author embedded") uses none: those of `part`, in the command's values. */
ts_status cli_refuse_part(const cli_common *common, const void *part, size_t size, const char *author);
ts_status cli_chat_refuse(const cli_common *common, const cli_chat *chat, const char *author);

/* Completes and checks the options before use: the key of the environment; for a dry run without a journal a scratch one. cli_chat_end always follows. */
ts_status cli_chat_begin(const cli_common *common, cli_chat *chat, bool dry);
void cli_chat_end(cli_chat *chat);

/* As cli_progress_start, but the first signal lets what is in flight come in and only the second gives it up; a third ends the program. */
void cli_chat_progress_start(cli_progress *progress, const cli_common *common, const char *what, const char *unit);

/* What requests would cost at most, as lines or members. */
void cli_chat_estimate(cli_output *output, const cli_chat *chat, const ts_chat_report *report);

/* The total of a journal, as lines or members. */
void cli_chat_report(cli_output *output, const ts_chat_report *report);

/* Fails with how far a run came: the reason that it stopped, what the journal holds, and that the same command goes on. */
ts_status cli_chat_failed(const char *reason, const cli_chat *chat, const ts_chat_report *report);

#endif

/* What the files of the command-line tool share: the commands, failures, progress and results. The tool uses the public headers alone. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <tinystories.h>

#include "arguments.h"

#if defined(__GNUC__)
#define CLI_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CLI_PRINTF(text, first)
#endif

#define CLI_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Tables of commands, one a noun; each ends with a row whose noun is NULL. */
extern const cli_command cli_dataset_commands[], cli_tokenizer_commands[], cli_model_commands[], cli_train_commands[], cli_sample_commands[],
    cli_evaluate_commands[], cli_bench_commands[];

/* ---- main.c ---- */

/* Notes the line that standard error will show and the exit status, and returns a failure. Without it the library's error detail is shown, and 1. */
ts_status cli_refuse(int status, const char *format, ...) CLI_PRINTF(2, 3);
#define cli_fail(...) cli_refuse(1, __VA_ARGS__)
#define cli_usage(...) cli_refuse(2, __VA_ARGS__) /* the command line itself is wrong */

/* Before any work: whether a file could be written at `path` (NULL can), and "-" only where `stream` allows it and --json does not need it. */
ts_status cli_check_out(const cli_common *common, const char *path, bool stream);

/* Index of the preset that training takes by default, among the library's. */
uint32_t cli_preset_default(void);

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
/* Takes the line off the terminal. */
void cli_progress_end(cli_progress *progress);
bool cli_interrupted(void);
double cli_clock(void);
/* "3 min 20 s"; `text` is filled and returned. */
const char *cli_duration(double seconds, char *text, size_t capacity);

/* ---- output.c: results on standard output, as lines for people or one JSON object for machines, from the same calls ---- */

typedef struct cli_output {
    bool json, more;
    int depth;
} cli_output;

/* Keys are those of JSON; as a line "bits_per_byte" is called "bits per byte". A key NULL is an element of an array. */
cli_output cli_output_start(const cli_common *common);
void cli_output_end(cli_output *output);
void cli_text(cli_output *output, const char *key, const char *text);
void cli_text_sized(cli_output *output, const char *key, const char *text, size_t size);
void cli_integer(cli_output *output, const char *key, uint64_t value);
/* What is not finite is null in JSON and no line. */
void cli_number(cli_output *output, const char *key, double value, int decimals);
void cli_truth(cli_output *output, const char *key, bool value);
/* An object '{' or array '[' within; as lines the key is a heading. */
void cli_open(cli_output *output, const char *key, char bracket);
void cli_close(cli_output *output, char bracket);

#endif

/* The command-line tool: what its files share. It uses the public headers alone. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdio.h>
#include <tinystories.h>

/* Values of all options of all commands; each command reads those that its row names. Paths and texts belong to argv. */
typedef struct arguments {
    const char **in, **text, **valid;
    size_t in_count, text_count, valid_count;
    const char *file; /* the one argument without an option's name */
    const char *out, *tokenizer, *model, *preset, *prompt, *run, *vocabulary, *schedule, *shard;
    uint64_t count, seed, first, steps, tokens, size, threads, top_k, batch_tokens, micro_batch, context, valid_interval, min_frequency;
    double minutes, epochs, temperature, top_p, learning_rate, weight_decay, warmup, final_rate, clip, valid_share;
    bool json, resume, quiet, ignore_end, seed_given, steps_given;
    ts_runtime *runtime;
} arguments;

typedef struct command {
    const char *noun, *verb; /* verb NULL: the noun alone */
    const char *operand;     /* what the argument without a name is; NULL: there is none */
    const char *options;     /* names, divided by spaces; those with a ! must be given */
    const char *help;
    int (*run)(arguments *arguments); /* the exit status */
} command;

extern const command commands[];
extern const size_t command_count;

/* Fills `arguments` from argv behind the command's own words. Gives 0, or prints a line and gives the exit status: 1 for a wrong value, 2 for a wrong call. */
int read_arguments(const command *c, int count, char **values, arguments *arguments);
void print_options(const command *c);

/* Prints "tinystories: <what the library said>" and gives 1. */
int failed(void);
/* Prints "tinystories: ..." and gives 1. */
int failed_because(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A number as JSON has it, "null" for what is not finite. */
void print_json_number(const char *name, double value, bool last);
void print_json_text(const char *text, size_t size);

/* One line of progress on standard error: rewritten on a terminal, a line every few seconds elsewhere. NULL ends it. */
void show_progress(const char *line);
double seconds_now(void);

/* Lets SIGINT and SIGTERM end the work in order: progress callbacks return stop_asked(). A second signal ends the program at once. */
void catch_signals(void);
int32_t stop_asked(void);

/* Whether a file could be written at `path`, so that no long work is lost for it; prints a line if not. NULL and "-" can. */
bool can_write(const char *path);

int run_dataset_generate(arguments *arguments);
int run_tokenizer_train(arguments *arguments);
int run_tokenizer_prune(arguments *arguments);
int run_tokenizer_encode(arguments *arguments);
int run_tokenizer_decode(arguments *arguments);
int run_model_inspect(arguments *arguments);
int run_train(arguments *arguments);
int run_sample(arguments *arguments);
int run_evaluate_loss(arguments *arguments);
int run_bench(arguments *arguments);

#endif

/*
 * tinystories: the whole way from words to told stories on the command line.
 *
 *     tinystories <noun> <verb> [option...]
 *
 * Exit status 0, or 1 with one line on standard error, or 2 when the command line itself is wrong (an unknown command or option, a missing one).
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static const cli_command *const nouns[] = {cli_dataset_commands, cli_clean_commands,    cli_tokenizer_commands, cli_train_commands,
                                           cli_sample_commands,  cli_evaluate_commands, cli_complete_commands, cli_judge_commands,     cli_diversity_commands,
                                           cli_inspect_commands, cli_model_commands,   cli_quantize_commands, cli_analyze_commands,   cli_bench_commands,
                                           cli_study_commands,   cli_study_prompts_commands, cli_duel_commands, cli_report_commands};

/* ---- failures ---- */

static char failure[1024];
static int exit_status = 1;

ts_status cli_refuse(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure, sizeof failure, format, arguments);
    va_end(arguments);
    exit_status = status;
    return TS_ERROR_INVALID_ARGUMENT;
}

/* A failure's detail, in which the tokenizer is called as on the command line. */
static const char *with_flags(const char *detail, char *into, size_t capacity)
{
    static const char name[] = "options.tokenizer";
    const char *at = strstr(detail, name);
    if (at == NULL)
        return detail;
    snprintf(into, capacity, "%.*s--tokenizer%s", (int)(at - detail), detail, at + sizeof name - 1);
    return into;
}

static int tell_failure(void)
{
    char detail[600], line[sizeof failure];
    snprintf(line, sizeof line, "%s", failure[0] != 0 ? failure : with_flags(ts_error_detail(), detail, sizeof detail));
    for (char *at = line; (at = strpbrk(at, "\n\t")) != NULL;)
        *at = '?'; /* names of files may have anything in them */
    fprintf(stderr, "tinystories: ");
    cli_print_plain(stderr, line, strlen(line));
    fputc('\n', stderr);
    return exit_status;
}

/* The option whose value `path` is. */
static const char *option_of(const cli_common *common, const char *path)
{
    for (const cli_argument *a = common->command->arguments; a < common->command->arguments + common->command->argument_count; a++)
        if (a->type == CLI_TEXT && *(const char *const *)(const void *)((const char *)common + a->offset) == path)
            return a->name;
    return "--out";
}

ts_status cli_check_out(const cli_common *common, const char *path, bool stream)
{
    char folder[4096], target[4096];
    struct stat about;
    if (path == NULL)
        return TS_OK;
    const char *option = option_of(common, path), *file = path;
    if (strcmp(path, "-") == 0 && !stream)
        return cli_usage("%s is '-', expected a file: it is not written from front to back", option);
    if (strcmp(path, "-") == 0)
        return common->json ? cli_usage("--json and %s - would both be standard output", option) : TS_OK;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return cli_fail("%s is '%s', which is a directory, expected a file", option, path);
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) /* it is written as it stands */
        return access(path, W_OK) == 0 ? TS_OK : cli_fail("%s is '%s', which cannot be written: %s", option, path, strerror(errno));
    if (realpath(path, target) != NULL)
        file = target;
    const char *slash = strrchr(file, '/');
    if (snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - file) + 1, slash == NULL ? "." : file) >= (int)sizeof folder)
        return cli_fail("%s: the path is too long", option);
    if (access(folder, W_OK | X_OK) != 0)
        return cli_fail("%s is '%s', but the folder '%s' cannot be written to: %s", option, path, folder, strerror(errno));
    return TS_OK;
}

/* ---- the runtime ---- */

static void show_log(void *user, int32_t level, const char *line)
{
    const cli_common *common = user;
    if (level == TS_LOG_WARNING || common->verbose) {
        fprintf(stderr, "%s%s", isatty(STDERR_FILENO) == 1 ? "\r\033[K" : "", level == TS_LOG_WARNING ? "tinystories: warning: " : "");
        cli_print_plain(stderr, line, strlen(line));
        fputc('\n', stderr);
    }
}

static const char *level_name(size_t index)
{
    return ts_cpu_level_name((int32_t)index + TS_CPU_LEVEL_REFERENCE);
}

static ts_status make_runtime(cli_common *common)
{
    ts_runtime_options options;
    const char *level = getenv("TINYSTORIES_CPU"); /* the library never reads the environment */
    uint32_t index = 0;
    CLI_TRY(ts_runtime_options_init(&options, sizeof options));
    options.threads = common->threads;
    options.log = show_log;
    options.log_user = common;
    if (level != NULL && *level != 0) {
        CLI_TRY(cli_choose("TINYSTORIES_CPU", level, level_name, &index));
        options.cpu_level = (int32_t)index + TS_CPU_LEVEL_REFERENCE;
        return ts_runtime_new(&common->runtime, &options);
    }
    /* The process is ours, so the permission that AMX takes is ours to ask for. */
    options.cpu_level = TS_CPU_LEVEL_AMX;
    ts_status status = ts_runtime_new(&common->runtime, &options);
    if (status != TS_ERROR_UNSUPPORTED)
        return status;
    options.cpu_level = TS_CPU_LEVEL_BEST;
    return ts_runtime_new(&common->runtime, &options);
}

/* ---- finding and running a command ---- */

static void print_commands(const cli_command *commands)
{
    for (const cli_command *c = commands; c->noun != NULL; c++)
        printf("  tinystories %-20s %s\n", cli_command_name(c), c->summary);
}

static void print_help(void)
{
    printf("tinystories %s: write stories, train a small language model on them, and let it tell its own.\n\n", ts_version());
    for (size_t i = 0; i < CLI_COUNT_OF(nouns); i++)
        print_commands(nouns[i]);
    printf("\n'--help' behind a command tells its options, 'tinystories --version' the version.\n\n"
           "TEXT is a .txt, .jsonl or .json file, each also as .gz, or a .tar, .tar.gz or .tgz of them; '-' is standard input or output where a file\n"
           "makes sense. A .txt file is divided into stories at every <|endoftext|>; a line of .jsonl and an element of the array in a .json is an\n"
           "object with a field 'story' or 'text'.\n"
           "The environment variable TINYSTORIES_CPU (reference, avx2, avx512, avx512_bf16, amx) forces a CPU level.\n");
}

static ts_status run_command(const cli_command *command, int count, char **arguments)
{
    cli_common *common = calloc(1, command->values_size);
    if (common == NULL)
        return cli_fail("there is no memory");
    if (command->defaults != NULL)
        command->defaults(common);
    common->command = command;
    ts_status status = cli_arguments_parse(command, count, arguments, common);
    if (status == TS_OK && common->help) {
        cli_arguments_help(command);
    } else if (status == TS_OK) {
        status = make_runtime(common);
        if (status == TS_OK)
            status = command->run(common);
        ts_runtime_free(common->runtime);
    }
    for (size_t i = 0; i < command->argument_count; i++)
        if (command->arguments[i].type == CLI_PATHS)
            free(((cli_paths *)(void *)((char *)common + command->arguments[i].offset))->items);
    cli_paths_end();
    free(common);
    return status;
}

static bool asks_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0 || strcmp(text, "help") == 0;
}

/* No command fits: what was meant, or where help is. */
static ts_status fail_command(int count, char **arguments)
{
    char given[128];
    cli_nearest nearest = {"", 0};
    bool noun = false;
    for (size_t i = 0; i < CLI_COUNT_OF(nouns); i++)
        for (const cli_command *c = nouns[i]; c->noun != NULL; c++) {
            noun = strcmp(c->noun, arguments[0]) == 0 || noun;
            snprintf(given, sizeof given, "%s%s%s", arguments[0], c->verb && count > 1 ? " " : "", c->verb && count > 1 ? arguments[1] : "");
            cli_nearest_consider(&nearest, given, cli_command_name(c));
        }
    if (noun && count == 1)
        return cli_usage("'%s' needs a verb; see 'tinystories %s --help'", arguments[0], arguments[0]);
    snprintf(given, sizeof given, "%s%s%s", arguments[0], noun ? " " : "", noun ? arguments[1] : "");
    if (nearest.name[0] != 0)
        return cli_usage("'%s' is no command; did you mean '%s'?", given, nearest.name);
    return cli_usage("'%s' is no command; see 'tinystories --help'", given);
}

static ts_status run(int count, char **arguments)
{
    bool helped = false; /* several tables may be of one noun */
    if (count == 0)
        return cli_usage("a command is missing; see 'tinystories --help'");
    for (size_t i = 0; i < CLI_COUNT_OF(nouns); i++) {
        if (strcmp(nouns[i]->noun, arguments[0]) != 0)
            continue;
        for (const cli_command *c = nouns[i]; c->noun != NULL; c++)
            if (c->verb == NULL || (count > 1 && strcmp(c->verb, arguments[1]) == 0))
                return run_command(c, count - (c->verb ? 2 : 1), arguments + (c->verb ? 2 : 1));
        if (count > 1 && asks_help(arguments[1])) {
            print_commands(nouns[i]);
            helped = true;
        }
    }
    if (helped)
        return TS_OK;
    if (strcmp(arguments[0], "--version") == 0)
        printf("tinystories %s\n", ts_version());
    else if (asks_help(arguments[0]))
        print_help();
    else
        return fail_command(count, arguments);
    return TS_OK;
}

int main(int count, char **arguments)
{
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* a line at once: under mpirun others write beside it */
    ts_status status = run(count - 1, arguments + 1);
    if (status == TS_ERROR_CANCELLED && cli_interrupted() > 0)
        cli_fail("interrupted, nothing was written");
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == TS_OK)
        status = cli_fail("standard output cannot be written: %s", strerror(errno));
    return status == TS_OK ? 0 : tell_failure();
}

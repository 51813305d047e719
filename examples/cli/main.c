/* tinystories <noun> <verb>: finds the command and runs it. Exit status 0, 1 for a failure, 2 for a wrong call. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const command commands[] = {
    {"dataset", "generate", NULL, "count seed first out! vocabulary threads quiet", "write stories with the embedded author", run_dataset_generate},
    {"tokenizer", "train", NULL, "in! size min-frequency out! threads quiet", "train a byte-level BPE", run_tokenizer_train},
    {"tokenizer", "prune", NULL, "tokenizer! in! size out! threads quiet", "keep the tokens that a text uses most", run_tokenizer_prune},
    {"tokenizer", "encode", NULL, "tokenizer! in! out! threads json quiet", "encode stories into a token shard", run_tokenizer_encode},
    {"tokenizer", "decode", NULL, "tokenizer! shard in out! threads", "decode a token shard into text", run_tokenizer_decode},
    {"model", "inspect", "FILE", "json", "say what is in a model file", run_model_inspect},
    {"train", NULL, NULL,
     "text valid valid-share preset tokenizer size context minutes steps tokens epochs threads seed run out resume learning-rate schedule warmup final-rate "
     "weight-decay clip batch-tokens micro-batch valid-interval json quiet",
     "train a model on text", run_train},
    {"sample", NULL, NULL, "model! prompt tokens temperature top-k top-p seed threads count context ignore-end", "tell a story", run_sample},
    {"evaluate", "loss", NULL, "model! text! threads json quiet", "measure how well a model foretells a text", run_evaluate_loss},
    {"bench", NULL, NULL, "preset context batch-tokens threads json", "measure training and telling on this machine", run_bench},
};
const size_t command_count = sizeof commands / sizeof commands[0];

int failed(void)
{
    show_progress(NULL);
    fprintf(stderr, "tinystories: %s\n", ts_error_detail());
    return 1;
}

int failed_because(const char *format, ...)
{
    va_list values;
    show_progress(NULL);
    fputs("tinystories: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    return 1;
}

void print_json_number(const char *name, double value, bool last)
{
    if (isfinite(value))
        printf("\"%s\": %.10g%s", name, value, last ? "" : ", ");
    else
        printf("\"%s\": null%s", name, last ? "" : ", ");
}

void print_json_text(const char *text, size_t size)
{
    putchar('"');
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void show_progress(const char *line)
{
    static double last;
    static bool open_line;
    bool terminal = isatty(STDERR_FILENO);
    if (line == NULL) {
        if (open_line)
            fputc('\n', stderr);
        open_line = false;
        return;
    }
    if (seconds_now() - last < (terminal ? 0.1 : 10))
        return;
    last = seconds_now();
    if (terminal)
        fprintf(stderr, "\r\033[K%s", line);
    else
        fprintf(stderr, "%s\n", line);
    open_line = terminal;
}

static volatile sig_atomic_t stop;

static void ask_stop(int signal_number)
{
    stop = 1;
    signal(signal_number, SIG_DFL);
}

void catch_signals(void)
{
    signal(SIGINT, ask_stop);
    signal(SIGTERM, ask_stop);
}

int32_t stop_asked(void)
{
    return stop;
}

bool can_write(const char *path)
{
    char folder[4096];
    if (path == NULL || strcmp(path, "-") == 0)
        return true;
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    if (access(folder, W_OK | X_OK) == 0)
        return true;
    failed_because("%s: cannot be written: %s", path, strerror(errno));
    return false;
}

static int print_usage(FILE *file)
{
    fprintf(file, "usage: tinystories COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < command_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s", commands[i].noun, commands[i].verb ? commands[i].verb : "");
        fprintf(file, "  %-20s %s\n", name, commands[i].help);
    }
    fprintf(file, "\n`tinystories COMMAND --help` lists a command's options, --version prints the version.\n");
    return file == stdout ? 0 : 2;
}

/* The library's warnings go to standard error, a line each. */
static void print_log(void *user, int32_t level, const char *line)
{
    (void)user;
    if (level == TS_LOG_WARNING) {
        show_progress(NULL);
        fprintf(stderr, "tinystories: %s\n", line);
    }
}

static bool make_runtime(arguments *a)
{
    ts_runtime_options options;
    const char *level = getenv("TINYSTORIES_CPU");
    ts_runtime_options_init(&options, sizeof options);
    options.threads = (uint32_t)a->threads;
    options.log = print_log;
    if (level != NULL && level[0] != 0) {
        int32_t number = 1;
        while (ts_cpu_level_name(number) != NULL && strcmp(ts_cpu_level_name(number), level) != 0)
            number++;
        if (ts_cpu_level_name(number) == NULL) {
            failed_because("TINYSTORIES_CPU is \"%s\", expected reference, avx2, avx512 or avx512_bf16", level);
            return false;
        }
        options.cpu_level = number;
    }
    if (ts_runtime_new(&a->runtime, &options) == TS_OK)
        return true;
    failed();
    return false;
}

static bool asks_help(int count, char **values)
{
    for (int i = 0; i < count; i++)
        if (strcmp(values[i], "--help") == 0 || strcmp(values[i], "-h") == 0)
            return true;
    return false;
}

int main(int count, char **values)
{
    if (count >= 2 && strcmp(values[1], "--version") == 0) {
        printf("tinystories %s\n", ts_version());
        return 0;
    }
    if (count < 2)
        return print_usage(stderr);
    for (size_t i = 0; i < command_count; i++) {
        const command *c = &commands[i];
        arguments a = {0};
        int words = c->verb ? 3 : 2;
        if (strcmp(c->noun, values[1]) != 0 || (c->verb && (count < 3 || strcmp(c->verb, values[2]) != 0)))
            continue;
        if (asks_help(count - words, values + words)) {
            printf("usage: tinystories %s%s%s%s%s [OPTION...]\n%s\n\n", c->noun, c->verb ? " " : "", c->verb ? c->verb : "", c->operand ? " " : "",
                   c->operand ? c->operand : "", c->help);
            print_options(c);
            return 0;
        }
        int wrong = read_arguments(c, count - words, values + words, &a);
        if (wrong != 0)
            return wrong;
        if (!make_runtime(&a))
            return 1;
        int status = c->run(&a);
        show_progress(NULL);
        ts_runtime_free(a.runtime);
        if (fflush(stdout) != 0 && status == 0)
            status = failed_because("standard output cannot be written");
        return status;
    }
    if (asks_help(count - 1, values + 1))
        return print_usage(stdout);
    fprintf(stderr, "tinystories: there is no command \"%s%s%s\"; --help lists all\n", values[1], count > 2 ? " " : "", count > 2 ? values[2] : "");
    return 2;
}

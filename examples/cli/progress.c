/* Progress on standard error, and signals that end the work in order. The library touches no signals: only a program may. */
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define TERMINAL_INTERVAL 0.1 /* seconds between two versions of the line */
#define PLAIN_INTERVAL 10.0   /* seconds between two plain lines */

static volatile sig_atomic_t interrupted;

static volatile sig_atomic_t patience; /* signals that are heeded in order; the next one ends the program */

static void note_signal(int number)
{
    if (++interrupted >= patience)
        signal(number, SIG_DFL);
}

int cli_interrupted(void)
{
    return interrupted;
}

double cli_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

const char *cli_duration(double seconds, char *text, size_t capacity)
{
    double whole = isfinite(seconds) && seconds > 0 ? fmin(ceil(seconds), 1e9) : 0;
    unsigned long s = (unsigned long)whole;
    if (s < 60)
        snprintf(text, capacity, "%lu s", s);
    else if (s < 3600)
        snprintf(text, capacity, "%lu min %lu s", s / 60, s % 60);
    else
        snprintf(text, capacity, "%lu h %lu min", s / 3600, s / 60 % 60);
    return text;
}

static void start(cli_progress *progress, const cli_common *common, const char *what, const char *unit, int signals)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART;
    patience = signals;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    *progress = (cli_progress){.what = what, .unit = unit, .quiet = common->quiet != 0, .terminal = isatty(STDERR_FILENO) == 1};
    progress->started = cli_clock();
    progress->shown = progress->terminal ? 0 : progress->started;
}

void cli_progress_start(cli_progress *progress, const cli_common *common, const char *what, const char *unit)
{
    start(progress, common, what, unit, 1);
}

void cli_chat_progress_start(cli_progress *progress, const cli_common *common, const char *what, const char *unit)
{
    start(progress, common, what, unit, 2);
}

bool cli_progress_due(const cli_progress *progress)
{
    return !progress->quiet && cli_clock() - progress->shown >= (progress->terminal ? TERMINAL_INTERVAL : PLAIN_INTERVAL);
}

void cli_progress_line(cli_progress *progress, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    progress->shown = cli_clock();
    progress->open = progress->terminal;
    fprintf(stderr, progress->terminal ? "\r%s\033[K" : "%s\n", line);
    fflush(stderr);
}

int32_t cli_progress_tell(void *user, uint64_t done, uint64_t total)
{
    cli_progress *progress = user;
    if (cli_progress_due(progress) && total > 0)
        cli_progress_line(progress, "%s: %llu of %llu %s (%.0f %%)", progress->what, (unsigned long long)done, (unsigned long long)total, progress->unit,
                          100.0 * (double)done / (double)total);
    else if (cli_progress_due(progress))
        cli_progress_line(progress, "%s: %llu %s", progress->what, (unsigned long long)done, progress->unit);
    return cli_interrupted();
}

int32_t cli_progress_tokenizer(void *user, uint64_t done, uint64_t total)
{
    cli_progress *progress = user;
    progress->unit = total > 0 ? "merges" : "bytes of text";
    return cli_progress_tell(user, done, total);
}

void cli_progress_end(cli_progress *progress)
{
    if (progress->open) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->open = false;
}

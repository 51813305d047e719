/* report: hands over to the Python package, which draws the page. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

typedef struct report_values {
    cli_common common;
    cli_paths runs, text;
    const char *out, *title;
    uint64_t tokens;
    uint32_t files_alone;
} report_values;

/* The same as python3 -m tinystories.report, but that no module is taken from the current folder, and a missing package is told in one line. */
static const char start[] = "import sys\n"
                            "sys.path[:] = [path for path in sys.path if path]\n"
                            "try:\n"
                            "    from tinystories.report import main\n"
                            "except ImportError as error:\n"
                            "    sys.exit(f'tinystories: report needs the Python package tinystories: {error}')\n"
                            "sys.exit(main(sys.argv[1:]))\n";

static void report_defaults(void *values)
{
    ((report_values *)values)->tokens = 10000;
}

/* "--name=value", whatever the value begins with; to be freed by free. NULL: there is no memory. */
static char *option(const char *name, const char *value)
{
    size_t size = strlen(name) + strlen(value) + 2;
    char *text = malloc(size);
    if (text != NULL)
        snprintf(text, size, "%s=%s", name, value);
    return text;
}

/* Comes back only if Python cannot be started. `arguments` has room for all. */
static ts_status start_python(const report_values *v, const char **arguments, const char *out, const char *title)
{
    size_t count = 0;
    char tokens[32], threads[32];
    snprintf(tokens, sizeof tokens, "--tokens=%llu", (unsigned long long)v->tokens);
    snprintf(threads, sizeof threads, "--threads=%u", (unsigned)v->common.threads);
    arguments[count++] = "python3";
    arguments[count++] = "-c";
    arguments[count++] = start;
    arguments[count++] = out;
    arguments[count++] = tokens;
    arguments[count++] = threads;
    if (v->title != NULL)
        arguments[count++] = title;
    if (v->files_alone)
        arguments[count++] = "--no-model";
    if (v->text.count > 0)
        arguments[count++] = "--text";
    for (size_t i = 0; i < v->text.count; i++)
        arguments[count++] = v->text.items[i];
    if (v->common.quiet)
        arguments[count++] = "--quiet";
    if (v->common.verbose)
        arguments[count++] = "--verbose";
    if (v->common.json)
        arguments[count++] = "--json";
    arguments[count++] = "--";
    for (size_t i = 0; i < v->runs.count; i++)
        arguments[count++] = v->runs.items[i];
    fflush(stdout);
    execvp("python3", (char *const *)arguments);
    return cli_fail("report needs python3, which cannot be started: %s", strerror(errno));
}

static ts_status report(void *values)
{
    const report_values *v = values;
    if (v->out == NULL)
        return cli_usage("-o is missing; see 'tinystories report --help'");
    const char **arguments = calloc(v->runs.count + v->text.count + 16, sizeof *arguments);
    char *out = option("--out", v->out), *title = option("--title", v->title != NULL ? v->title : "");
    ts_status status = arguments != NULL && out != NULL && title != NULL ? start_python(v, arguments, out, title) : cli_fail("there is no memory");
    free(title);
    free(out);
    free(arguments);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(report_values, member)
static const cli_argument report_arguments[] = {
    {"RUN", NULL, CLI_PATHS, CLI_REQUIRED, OFFSET(runs), 0, 0, NULL, "run folders, and JSON files that other commands printed"},
    {"-o", "FILE", CLI_TEXT, 0, OFFSET(out), 0, 0, NULL, "the page to write, .html (required)"},
    {"--out", "FILE", CLI_TEXT, 0, OFFSET(out), 0, 0, NULL, "the same"},
    {"--text", "TEXT", CLI_PATHS, 0, OFFSET(text), 0, 0, NULL, "stories to read for heads and neurons (default: those that the model tells)"},
    {"--tokens", "N", CLI_UINT64, 0, OFFSET(tokens), 1, 0, NULL, "read so many tokens of them"},
    {"--no-model", NULL, CLI_FLAG, 0, OFFSET(files_alone), 0, 0, NULL, "show what is in files alone: let no model tell stories, and look into none"},
    {"--title", "TEXT", CLI_TEXT, 0, OFFSET(title), 0, 0, NULL, "the page's heading"},
};

const cli_command cli_report_commands[] = {
    {"report", NULL, "make one HTML page of runs and results, with plots",
     "Needs Python with the package tinystories, matplotlib and Jinja2. A run's folder holds its log, its model if it was written there, and whatever other\n"
     "commands printed with --json into it; each kind has its section of the page. The page needs no network and no scripts.", report_arguments,
     CLI_COUNT_OF(report_arguments), sizeof(report_values), report_defaults, report},
    {0},
};

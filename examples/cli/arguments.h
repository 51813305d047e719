/*
 * Command-line options, driven by tables: a row says what an option is called, what it takes and where its value goes. Defaults are whatever the values
 * struct holds before parsing, so that they come from the library's own option structs, and help prints them from there.
 */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tinystories.h>

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

typedef struct cli_argument {
    const char *name;  /* "--seed"; without dashes a positional argument, "FILE" */
    const char *value; /* what help calls its value; NULL for flags and positional arguments */
    int32_t type, flags;
    size_t offset;                       /* of the member in the values struct */
    double least, most;                  /* of numbers; both 0: whatever the type holds, from 0 on */
    const char *(*choice)(size_t index); /* names of a CLI_CHOICE; NULL after the last */
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

/* Whether an option of the command stood on the command line. */
bool cli_given(const cli_common *common, const char *name);

/* "noun verb"; static, the last sixteen stay valid. */
const char *cli_command_name(const cli_command *command);

/* The name that was probably meant, among those that were considered. */
typedef struct cli_nearest {
    const char *name; /* NULL: none is near */
    size_t distance;
} cli_nearest;

void cli_nearest_consider(cli_nearest *nearest, const char *given, const char *name);

#endif

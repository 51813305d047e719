/* Parses options by the commands' tables and prints their help from the same rows. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define COMMON(member) offsetof(cli_common, member)

static const cli_argument common_arguments[] = {
    {"--threads", "N", CLI_UINT32, 0, COMMON(threads), 0, 256, NULL, "threads to work with, 0: one a processor; results don't depend on it"},
    {"--json", NULL, CLI_FLAG, 0, COMMON(json), 0, 0, NULL, "print the result as JSON"},
    {"--quiet", NULL, CLI_FLAG, 0, COMMON(quiet), 0, 0, NULL, "no progress"},
    {"--verbose", NULL, CLI_FLAG, 0, COMMON(verbose), 0, 0, NULL, "say what is being done"},
    {"--help", NULL, CLI_FLAG, 0, COMMON(help), 0, 0, NULL, "print this"},
};

bool cli_given(const cli_common *common, const char *name)
{
    for (size_t i = 0; i < common->command->argument_count; i++)
        if (strcmp(common->command->arguments[i].name, name) == 0)
            return (common->given >> i & 1) != 0;
    return false;
}

const char *cli_command_name(const cli_command *command)
{
    static char names[16][32];
    static unsigned next;
    char *name = names[next++ % CLI_COUNT_OF(names)];
    snprintf(name, sizeof names[0], "%s%s%s", command->noun, command->verb ? " " : "", command->verb ? command->verb : "");
    return name;
}

/* ---- what was meant ---- */

/* Letters to insert, drop or change to make one name of the other (Levenshtein); names that are longer than the table are never near. */
static size_t distance_of(const char *a, const char *b)
{
    size_t row[64], length = strlen(b);
    if (length >= CLI_COUNT_OF(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != 0; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t change = diagonal + (a[i] != b[j]), step = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = change < step ? change : step;
        }
    }
    return row[length];
}

void cli_nearest_consider(cli_nearest *nearest, const char *given, const char *name)
{
    size_t bare = strspn(given, "-"), size = strlen(given + bare), distance = distance_of(given, name);
    if (size > 1 && strncmp(given + bare, name + strspn(name, "-"), size) == 0)
        distance = 1; /* only its beginning */
    size_t most = size < 4 ? 1 : size < 8 ? 2 : 3;
    if (distance <= most && (nearest->name[0] == 0 || distance < nearest->distance)) {
        snprintf(nearest->name, sizeof nearest->name, "%s", name);
        nearest->distance = distance;
    }
}

static ts_status fail_unknown(const cli_command *command, const char *given)
{
    char option[64];
    cli_nearest nearest = {"", 0};
    snprintf(option, sizeof option, "%.*s", (int)strcspn(given, "="), given);
    for (size_t i = 0; i < command->argument_count; i++)
        if (command->arguments[i].name[0] == '-')
            cli_nearest_consider(&nearest, option, command->arguments[i].name);
    for (size_t i = 0; i < CLI_COUNT_OF(common_arguments); i++)
        cli_nearest_consider(&nearest, option, common_arguments[i].name);
    if (nearest.name[0] != 0)
        return cli_usage("'%s' is no option of 'tinystories %s'; did you mean %s?", given, cli_command_name(command), nearest.name);
    return cli_usage("'%s' is no option of 'tinystories %s'; see its --help", given, cli_command_name(command));
}

/* ---- values ---- */

static ts_status fail_number(const cli_argument *a, const char *text, bool whole)
{
    const char *low = a->flags & CLI_ABOVE ? "above" : "from";
    char most[48] = "";
    if (whole)
        snprintf(most, sizeof most, " to %llu", a->type == CLI_UINT32 ? (unsigned long long)UINT32_MAX : (unsigned long long)UINT64_MAX);
    if (a->most > 0)
        snprintf(most, sizeof most, "%s%.15g", a->flags & CLI_ABOVE ? " and at most " : " to ", a->most);
    return cli_fail("%s is '%s', expected a%s number %s %.15g%s", a->name, text, whole ? " whole" : "", low, a->least, most);
}

/* The program never calls setlocale, so strtod and printf use the point whatever the user's language is. */
static ts_status set_number(const cli_argument *a, const char *text, void *member)
{
    bool whole = a->type == CLI_UINT32 || a->type == CLI_UINT64;
    bool plain = *text != 0 && text[strspn(text, whole ? "0123456789" : "0123456789.eE+-")] == 0; /* neither "nan" nor "inf" nor hexadecimal */
    char *end;
    double value = strtod(text, &end), most = a->most > 0 ? a->most : a->type == CLI_UINT32 ? UINT32_MAX : HUGE_VAL;
    errno = 0;
    uint64_t integer = whole && plain ? strtoull(text, NULL, 10) : 0;
    bool within = (a->flags & CLI_ABOVE ? value > a->least : value >= a->least) && value <= most;
    if (!plain || *end != 0 || !isfinite(value) || errno != 0 || !within)
        return fail_number(a, text, whole);
    if (a->type == CLI_UINT32)
        *(uint32_t *)member = (uint32_t)integer;
    else if (a->type == CLI_UINT64)
        *(uint64_t *)member = integer;
    else if (a->type == CLI_FLOAT)
        *(float *)member = (float)value;
    else
        *(double *)member = value;
    return TS_OK;
}

ts_status cli_choose(const char *name, const char *text, const char *(*choice)(size_t index), uint32_t *chosen)
{
    char known[512] = "";
    for (size_t i = 0; choice(i) != NULL; i++) {
        if (strcmp(choice(i), text) == 0) {
            *chosen = (uint32_t)i;
            return TS_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", choice(i));
    }
    return cli_fail("%s is '%s', expected one of %s", name, text, known);
}

const char *cli_judge_name(size_t index)
{
    return ts_judge_name((uint32_t)index);
}

static ts_status set_value(const cli_argument *a, const char *text, void *values)
{
    void *member = (char *)values + a->offset;
    switch (a->type) {
    case CLI_TEXT:
        *(const char **)member = text;
        return TS_OK;
    case CLI_CHOICE:
        return cli_choose(a->name, text, a->choice, member);
    case CLI_PATHS:
        return cli_paths_add(member, text);
    default:
        return set_number(a, text, member);
    }
}

/* ---- parsing ---- */

/* "-" alone is a file. */
static bool is_option(const char *text)
{
    return text[0] == '-' && text[1] != 0;
}

/* The row of an option "--name" or "--name=value"; *value is what follows the '=', NULL without one. A text without dashes finds the positional row. */
static const cli_argument *find(const cli_argument *rows, size_t count, const char *text, const char **value)
{
    bool option = is_option(text);
    size_t size = strcspn(text, "=");
    *value = !option ? text : text[size] == '=' ? text + size + 1 : NULL;
    for (size_t i = 0; i < count; i++) {
        bool row_is_option = rows[i].name[0] == '-';
        if (option ? row_is_option && strlen(rows[i].name) == size && memcmp(rows[i].name, text, size) == 0 : !row_is_option)
            return &rows[i];
    }
    return NULL;
}

/* Lists of paths are never NULL, even empty ones. */
static ts_status make_room(const cli_command *command, void *values)
{
    for (size_t i = 0; i < command->argument_count; i++) {
        cli_paths *paths = (cli_paths *)((char *)values + command->arguments[i].offset);
        if (command->arguments[i].type == CLI_PATHS && (paths->items = calloc(1, sizeof *paths->items)) == NULL)
            return cli_fail("there is no memory");
    }
    return TS_OK;
}

static ts_status check_required(const cli_command *command, const cli_common *common)
{
    for (size_t i = 0; i < command->argument_count; i++)
        if ((command->arguments[i].flags & CLI_REQUIRED) && !(common->given >> i & 1))
            return cli_usage("%s is missing; see 'tinystories %s --help'", command->arguments[i].name, cli_command_name(command));
    return TS_OK;
}

/* Positional arguments fill their rows one after another: the row behind one that is filled, or the last of them. */
static const cli_argument *next_positional(const cli_command *command, uint64_t given, const cli_argument *a)
{
    for (const cli_argument *row = a; a->name[0] != '-' && row < command->arguments + command->argument_count; row++)
        if (row->name[0] != '-' && !(given >> (row - command->arguments) & 1))
            return row;
    return a;
}

/* Takes one option and its values, *at standing on it; leaves *at behind them. */
static ts_status take(const cli_argument *a, const char *value, int *at, int count, char **arguments, void *values)
{
    (*at)++;
    if (a->type == CLI_FLAG) {
        *(uint32_t *)((char *)values + a->offset) = 1;
        return value == NULL ? TS_OK : cli_usage("%s takes no value", a->name);
    }
    bool more = value == NULL && a->type == CLI_PATHS;
    if (value == NULL && *at < count && strncmp(arguments[*at], "--", 2) != 0)
        value = arguments[(*at)++];
    if (value == NULL)
        return cli_usage("%s needs a value", a->name);
    ts_status status = set_value(a, value, values);
    while (more && status == TS_OK && *at < count && !is_option(arguments[*at]))
        status = set_value(a, arguments[(*at)++], values);
    return status;
}

ts_status cli_arguments_parse(const cli_command *command, int count, char **arguments, void *values)
{
    cli_common *common = values;
    ts_status status = make_room(command, values);
    for (int at = 0; at < count && status == TS_OK && !common->help;) {
        const char *value;
        const cli_argument *a = find(command->arguments, command->argument_count, arguments[at], &value);
        if (a != NULL) {
            a = next_positional(command, common->given, a);
            uint64_t bit = UINT64_C(1) << (a - command->arguments);
            if ((common->given & bit) && a->name[0] != '-' && a->type != CLI_PATHS)
                return cli_usage("'%s' is one %s too many", arguments[at], a->name);
            common->given |= bit;
        } else {
            a = find(common_arguments, CLI_COUNT_OF(common_arguments), strcmp(arguments[at], "-h") == 0 ? "--help" : arguments[at], &value);
        }
        status = a == NULL ? fail_unknown(command, arguments[at]) : take(a, value, &at, count, arguments, values);
    }
    return status != TS_OK || common->help ? status : check_required(command, common);
}

/* ---- help ---- */

static void print_default(const cli_argument *a, const void *values)
{
    const void *member = (const char *)values + a->offset;
    if (a->flags & (CLI_QUIET | CLI_REQUIRED))
        return;
    if (a->type == CLI_UINT32)
        printf(" (default %u)", *(const uint32_t *)member);
    else if (a->type == CLI_UINT64)
        printf(" (default %llu)", (unsigned long long)*(const uint64_t *)member);
    else if (a->type == CLI_FLOAT)
        printf(" (default %g)", (double)*(const float *)member);
    else if (a->type == CLI_DOUBLE)
        printf(" (default %g)", *(const double *)member);
    else if (a->type == CLI_CHOICE)
        printf(" (default %s)", a->choice(*(const uint32_t *)member));
}

/* "--seed S", "--text TEXT..."; static. */
static const char *call_of(const cli_argument *a)
{
    static char text[64];
    snprintf(text, sizeof text, "%s%s%s%s", a->name, a->value ? " " : "", a->value ? a->value : "", a->type == CLI_PATHS ? "..." : "");
    return text;
}

static void print_row(const cli_argument *a, const void *values)
{
    printf("  %-26s %s", call_of(a), a->help);
    print_default(a, values);
    printf("%s\n", a->flags & CLI_REQUIRED ? " (required)" : "");
    for (size_t i = 0; a->choice != NULL && a->choice(i) != NULL; i++)
        printf("%*s%s%s", i == 0 ? 29 : 0, "", a->choice(i), a->choice(i + 1) != NULL ? ", " : "\n");
}

void cli_arguments_help(const cli_command *command)
{
    void *values = calloc(1, command->values_size);
    if (values == NULL)
        return;
    if (command->defaults != NULL)
        command->defaults(values);
    printf("usage: tinystories %s", cli_command_name(command));
    for (size_t i = 0; i < command->argument_count; i++)
        if (command->arguments[i].flags & CLI_REQUIRED)
            printf(" %s", call_of(&command->arguments[i]));
    printf(" [option...]\n\n%s\n\n%s%s", command->summary, command->notes ? command->notes : "", command->notes ? "\n\n" : "");
    for (size_t i = 0; i < command->argument_count; i++)
        print_row(&command->arguments[i], values);
    for (size_t i = 0; i < CLI_COUNT_OF(common_arguments); i++)
        print_row(&common_arguments[i], values);
    free(values);
}

/* The options of all commands in one table, and the reader that obeys it. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { FLAG, TEXT, LIST, WHOLE, NUMBER } kind;

typedef struct option {
    const char *name;
    kind kind;
    size_t offset;  /* into arguments; of a LIST the array, whose count is at count_offset */
    size_t count_offset;
    double least, most;
    const char *value; /* how help names the value */
    const char *help;
    double initial;
} option;

#define AT(field) offsetof(arguments, field)
#define BIG 18446744073709551615.0

static const option options[] = {
    {"in", LIST, AT(in), AT(in_count), 0, 0, "TEXT...", "files of stories: .txt, .jsonl, each also .gz; - is standard input", 0},
    {"text", LIST, AT(text), AT(text_count), 0, 0, "TEXT...", "files of stories (.txt, .jsonl, .gz) or token shards (.bin)", 0},
    {"valid", LIST, AT(valid), AT(valid_count), 0, 0, "TEXT...", "files to validate with; without it a share of the stories is held out", 0},
    {"out", TEXT, AT(out), 0, 0, 0, "FILE", "the file to write", 0},
    {"shard", TEXT, AT(shard), 0, 0, 0, "SHARD.bin", "the token shard to read", 0},
    {"tokenizer", TEXT, AT(tokenizer), 0, 0, 0, "T", "tokenizer.json, a folder with vocab.json and merges.txt, or a GGUF", 0},
    {"model", TEXT, AT(model), 0, 0, 0, "MODEL.gguf", "the model file", 0},
    {"preset", TEXT, AT(preset), 0, 0, 0, "NAME", "the shape of the network, laptop-1m by default; --preset list names all", 0},
    {"prompt", TEXT, AT(prompt), 0, 0, 0, "TEXT", "how the story begins", 0},
    {"run", TEXT, AT(run), 0, 0, 0, "DIR", "the folder of the run: checkpoint and log", 0},
    {"vocabulary", TEXT, AT(vocabulary), 0, 0, 0, "FILE", "a file of words instead of the built-in ones", 0},
    {"schedule", TEXT, AT(schedule), 0, 0, 0, "NAME", "cosine (default), linear, constant or wsd", 0},
    {"count", WHOLE, AT(count), 0, 1, 1e12, "N", "how many", 1},
    {"seed", WHOLE, AT(seed), 0, 0, BIG, "S", "where the random numbers begin", 0},
    {"first", WHOLE, AT(first), 0, 0, BIG, "N", "index of the first story", 0},
    {"steps", WHOLE, AT(steps), 0, 0, BIG, "N", "stop after so many steps", 0},
    {"tokens", WHOLE, AT(tokens), 0, 0, BIG, "N", "stop after so many tokens", 0},
    {"size", WHOLE, AT(size), 0, 1, 1048576, "N", "tokens of the vocabulary, 4,096 by default", 4096},
    {"min-frequency", WHOLE, AT(min_frequency), 0, 1, 1e9, "N", "a pair must occur so often to be merged, 2 by default", 2},
    {"threads", WHOLE, AT(threads), 0, 0, 256, "N", "threads to work with; 0 (default): one a processor", 0},
    {"top-k", WHOLE, AT(top_k), 0, 0, 1048576, "K", "draw from the K likeliest tokens; 0 (default): all", 0},
    {"batch-tokens", WHOLE, AT(batch_tokens), 0, 0, 1073741824, "N", "tokens of a step; 0 (default): 8 sequences", 0},
    {"micro-batch", WHOLE, AT(micro_batch), 0, 0, 65536, "N", "sequences in memory at once, 8 by default", 0},
    {"context", WHOLE, AT(context), 0, 0, 1048576, "T", "positions of a context; 0 (default): the preset's or model's", 0},
    {"valid-interval", WHOLE, AT(valid_interval), 0, 0, BIG, "N", "steps between validations; 0 (default): at the end", 0},
    {"minutes", NUMBER, AT(minutes), 0, 0, 1e7, "N", "stop after so many minutes of training", 0},
    {"epochs", NUMBER, AT(epochs), 0, 0, 1e9, "N", "stop after so many passes over the text", 0},
    {"temperature", NUMBER, AT(temperature), 0, 0, 100, "T", "0 is greedy; 0.8 by default", 0.8},
    {"top-p", NUMBER, AT(top_p), 0, 1e-9, 1, "P", "draw from the likeliest tokens of this share; 1 (default): all", 1},
    {"learning-rate", NUMBER, AT(learning_rate), 0, 0, 1e6, "R", "at the peak; 0 (default): by width", 0},
    {"weight-decay", NUMBER, AT(weight_decay), 0, 0, 100, "D", "of matrices, 0.1 by default", 0.1},
    {"warmup", NUMBER, AT(warmup), 0, 0, 1, "SHARE", "of the run, 0.03 by default", 0.03},
    {"final-rate", NUMBER, AT(final_rate), 0, 0, 1, "SHARE", "of the peak that is left at the end, 0.05 by default", 0.05},
    {"clip", NUMBER, AT(clip), 0, 0, 1e9, "NORM", "largest norm of the gradient, 1 by default; 0: none", 1},
    {"valid-share", NUMBER, AT(valid_share), 0, 0, 0.5, "SHARE", "of the stories that are held out, 0.02 by default", 0.02},
    {"json", FLAG, AT(json), 0, 0, 0, NULL, "print JSON", 0},
    {"resume", FLAG, AT(resume), 0, 0, 0, NULL, "go on with the run in --run DIR", 0},
    {"quiet", FLAG, AT(quiet), 0, 0, 0, NULL, "no progress", 0},
    {"ignore-end", FLAG, AT(ignore_end), 0, 0, 0, NULL, "tell on where the story would end", 0},
};

#define OPTION_COUNT (sizeof options / sizeof options[0])

/* Whether the command's list names the option; *needed: with a '!'. */
static bool takes(const command *c, const char *name, size_t size, bool *needed)
{
    const char *at = c->options;
    while (*at) {
        size_t length = strcspn(at, " !");
        bool same = length == size && memcmp(at, name, size) == 0;
        at += length;
        *needed = *at == '!';
        at += *needed;
        at += *at == ' ';
        if (same)
            return true;
    }
    *needed = false;
    return false;
}

void print_options(const command *c)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char left[64];
        bool needed;
        if (!takes(c, options[i].name, strlen(options[i].name), &needed))
            continue;
        snprintf(left, sizeof left, "--%s %s", options[i].name, options[i].value ? options[i].value : "");
        printf("  %-26s %s%s\n", left, options[i].help, needed ? " (needed)" : "");
    }
}

static void set_initial(arguments *a, const option *o)
{
    char *at = (char *)a + o->offset;
    if (o->kind == WHOLE)
        *(uint64_t *)at = (uint64_t)o->initial;
    else if (o->kind == NUMBER)
        *(double *)at = o->initial;
}

static bool set_number(arguments *a, const option *o, const char *text)
{
    bool whole = o->kind == WHOLE;
    const char *form = whole ? "0123456789" : "0123456789.eE+-"; /* neither "nan" nor "inf" nor hexadecimal */
    bool good = *text != 0 && text[strspn(text, form)] == 0;
    char *end = NULL;
    errno = 0;
    uint64_t integer = whole && good ? strtoull(text, NULL, 10) : 0;
    double value = whole ? (double)integer : strtod(text, &end);
    if (!good || (whole ? errno != 0 : *end != 0) || !(value >= o->least && value <= o->most)) {
        fprintf(stderr, "tinystories: --%s is \"%s\", expected a%s number from %.12g to %.12g\n", o->name, text, whole ? " whole" : "", o->least, o->most);
        return false;
    }
    if (whole)
        *(uint64_t *)((char *)a + o->offset) = integer;
    else
        *(double *)((char *)a + o->offset) = value;
    return true;
}

/* Takes the value or values of an option; gives how many arguments they were, or the negative exit status. */
static int take(arguments *a, const option *o, int count, char **values)
{
    char *at = (char *)a + o->offset;
    if (o->kind == FLAG) {
        *(bool *)at = true;
        return 0;
    }
    if (count == 0 || (strncmp(values[0], "--", 2) == 0 && o->kind != TEXT)) {
        fprintf(stderr, "tinystories: --%s needs a value\n", o->name);
        return -2;
    }
    if (o->kind == TEXT) {
        *(const char **)at = values[0];
        return 1;
    }
    if (o->kind == LIST) {
        int taken = 0;
        while (taken < count && strncmp(values[taken], "--", 2) != 0)
            taken++;
        *(char ***)at = values;
        *(size_t *)((char *)a + o->count_offset) = (size_t)taken;
        return taken;
    }
    return set_number(a, o, values[0]) ? 1 : -1;
}

static const option *find_option(const command *c, const char *name)
{
    bool needed;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strcmp(options[i].name, name) == 0 && takes(c, name, strlen(name), &needed))
            return &options[i];
    return NULL;
}

static bool check_needed(const command *c, const bool given[OPTION_COUNT])
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        bool needed;
        if (takes(c, options[i].name, strlen(options[i].name), &needed) && needed && !given[i]) {
            fprintf(stderr, "tinystories: --%s is needed\n", options[i].name);
            return false;
        }
    }
    return true;
}

int read_arguments(const command *c, int count, char **values, arguments *a)
{
    bool given[OPTION_COUNT] = {false};
    for (size_t i = 0; i < OPTION_COUNT; i++)
        set_initial(a, &options[i]);
    for (int i = 0; i < count; i++) {
        if (strncmp(values[i], "--", 2) != 0 && c->operand != NULL && a->file == NULL) {
            a->file = values[i];
            continue;
        }
        const option *o = strncmp(values[i], "--", 2) == 0 ? find_option(c, values[i] + 2) : NULL;
        if (o == NULL) {
            fprintf(stderr, "tinystories: \"%s\" is no option of this command; --help lists them\n", values[i]);
            return 2;
        }
        int taken = take(a, o, count - i - 1, values + i + 1);
        if (taken < 0)
            return -taken;
        given[o - options] = true;
        a->seed_given = a->seed_given || strcmp(o->name, "seed") == 0;
        i += taken;
    }
    if (c->operand != NULL && a->file == NULL) {
        fprintf(stderr, "tinystories: %s is needed\n", c->operand);
        return 2;
    }
    return check_needed(c, given) ? 0 : 2;
}

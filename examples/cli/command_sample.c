/* sample */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"

typedef struct sample_values {
    cli_common common;
    const char *model, *prompt;
    uint32_t count;
    ts_model_options opening;
    ts_sampler_options options;
} sample_values;

static void sample_defaults(void *values)
{
    sample_values *v = values;
    v->prompt = "";
    v->count = 1;
    ts_model_options_init(&v->opening, sizeof v->opening);
    ts_sampler_options_init(&v->options, sizeof v->options);
}

/* A growing text. */
typedef struct piece {
    char *text;
    size_t size, capacity;
} piece;

static bool append(piece *p, const char *text, size_t size)
{
    if (size > p->capacity - p->size) {
        size_t capacity = 2 * (p->size + size) + 1024;
        char *larger = realloc(p->text, capacity);
        if (larger == NULL)
            return false;
        p->text = larger;
        p->capacity = capacity;
    }
    if (size > 0)
        memcpy(p->text + p->size, text, size);
    p->size += size;
    return true;
}

/* The prompt, from standard input for "-", whose white space at the end is no part of it: a word is told with the space before it. */
static ts_status read_prompt(const char *given, piece *prompt)
{
    char block[4096];
    size_t size;
    if (strcmp(given, "-") != 0)
        return append(prompt, given, strlen(given)) ? TS_OK : cli_fail("there is no memory");
    while ((size = fread(block, 1, sizeof block, stdin)) > 0)
        if (!append(prompt, block, size))
            return cli_fail("--prompt -: there is no memory for it");
    if (ferror(stdin))
        return cli_fail("--prompt -: standard input cannot be read: %s", strerror(errno));
    while (prompt->size > 0 && strchr(" \t\r\n", prompt->text[prompt->size - 1]) != NULL)
        prompt->size--;
    return TS_OK;
}

/* A story, printed as it comes; for JSON it is kept. Nothing is printed before it could be started. */
static ts_status tell(ts_sampler *sampler, const piece *prompt, uint64_t seed, piece *kept, uint64_t *tokens)
{
    const char *text = prompt->text;
    size_t size = prompt->size;
    bool terminal = isatty(STDOUT_FILENO) == 1;
    ts_status status = ts_sampler_start_seeded(sampler, prompt->text, prompt->size, seed);
    *tokens = 0;
    for (text = text != NULL ? text : ""; status == TS_OK && text != NULL && !ferror(stdout); *tokens += text != NULL) {
        if (kept != NULL && !append(kept, text, size))
            return cli_fail("there is no memory for the story");
        if (kept == NULL)
            fwrite(text, 1, size, stdout);
        if (terminal)
            fflush(stdout);
        status = ts_sampler_next(sampler, &text, &size);
        if (status != TS_OK)
            break;
    }
    return status;
}

static const char *finish_name(int32_t finish)
{
    static const char *const names[] = {"none", "end", "max_tokens", "context"};
    return finish >= 0 && finish < (int32_t)CLI_COUNT_OF(names) ? names[finish] : names[0];
}

/* Several stories are divided by a line <|endoftext|>, so that the output is itself a file of stories. */
static ts_status tell_lines(ts_sampler *sampler, const sample_values *v, const piece *prompt)
{
    uint64_t tokens;
    ts_status status = TS_OK;
    for (uint32_t i = 0; i < v->count && status == TS_OK && !ferror(stdout); i++) {
        double start = cli_clock();
        if (i > 0)
            printf("<|endoftext|>\n");
        status = tell(sampler, prompt, v->options.seed + i, NULL, &tokens);
        if (status != TS_OK)
            break;
        putchar('\n');
        if (v->common.verbose)
            fprintf(stderr, "seed %llu, %llu tokens, %.0f tokens/s, finish: %s\n", (unsigned long long)(v->options.seed + i), (unsigned long long)tokens,
                    (double)tokens / (cli_clock() - start), finish_name(ts_sampler_finish(sampler)));
    }
    return status;
}

static ts_status tell_json(ts_sampler *sampler, const sample_values *v, const piece *prompt)
{
    piece told = {0};
    uint64_t tokens;
    cli_output o;
    ts_status status = TS_OK;
    for (uint32_t i = 0; i < v->count && status == TS_OK && !ferror(stdout); i++) {
        uint64_t seed = v->options.seed + i;
        double start = cli_clock();
        told.size = 0;
        status = tell(sampler, prompt, seed, &told, &tokens);
        if (status != TS_OK)
            break;
        if (i == 0) {
            o = cli_output_start(&v->common);
            cli_text(&o, "model", v->model);
            cli_text_sized(&o, "prompt", prompt->text, prompt->size);
            cli_open(&o, "stories", '[');
        }
        cli_open(&o, NULL, '{');
        cli_text_sized(&o, "text", told.text, told.size);
        cli_integer(&o, "seed", seed);
        cli_integer(&o, "tokens", tokens);
        cli_text(&o, "finish", finish_name(ts_sampler_finish(sampler)));
        cli_number(&o, "tokens_per_second", (double)tokens / (cli_clock() - start), 0);
        cli_close(&o, '}');
    }
    if (status == TS_OK) {
        cli_close(&o, ']');
        cli_output_end(&o);
    }
    free(told.text);
    return status;
}

static ts_status sample(void *values)
{
    sample_values *v = values;
    ts_model *model = NULL;
    ts_sampler *sampler = NULL;
    piece prompt = {0};
    if (v->options.ignore_end && v->options.max_tokens == 0)
        return cli_usage("--ignore-end needs --tokens N, or the story would have no end");
    if (!cli_given(&v->common, "--seed"))
        v->options.seed = ((uint64_t)time(NULL) << 16 ^ (uint64_t)getpid()) & UINT64_C(0x1fffffffffffff); /* JSON readers have 53 bits */
    if (v->options.max_tokens > 0)
        v->options.context_full = TS_CONTEXT_FULL_SLIDE; /* so many were asked for */
    ts_status status = read_prompt(v->prompt, &prompt);
    if (status == TS_OK)
        status = ts_model_open(&model, v->common.runtime, v->model, &v->opening);
    if (status == TS_OK)
        status = ts_sampler_new(&sampler, model, &v->options);
    if (status == TS_OK)
        status = (v->common.json ? tell_json : tell_lines)(sampler, v, &prompt);
    ts_sampler_free(sampler);
    ts_model_free(model);
    free(prompt.text);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(sample_values, member)
static const cli_argument sample_arguments[] = {
    {"--model", "MODEL", CLI_TEXT, CLI_REQUIRED, OFFSET(model), 0, 0, NULL, "the model that tells"},
    {"--prompt", "P", CLI_TEXT, 0, OFFSET(prompt), 0, 0, NULL, "how the story begins; - reads it from standard input (default: the model begins)"},
    {"--count", "N", CLI_UINT32, 0, OFFSET(count), 1, 4294967295.0, NULL, "stories to tell, the i-th with seed S + i; divided by a line <|endoftext|>"},
    {"--seed", "S", CLI_UINT64, CLI_QUIET, OFFSET(options.seed), 0, 0, NULL, "the same seed tells the same story (default: by the clock; --verbose says it)"},
    {"--tokens", "N", CLI_UINT32, 0, OFFSET(options.max_tokens), 0, 4294967295.0, NULL, "most tokens after the prompt, even beyond the context; 0: until the story or the context ends"},
    {"--temperature", "T", CLI_FLOAT, 0, OFFSET(options.temperature), 0, 100, NULL, "0: always the likeliest token"},
    {"--top-k", "K", CLI_UINT32, 0, OFFSET(options.top_k), 0, 4294967295.0, NULL, "draw among the K likeliest tokens; 0: all"},
    {"--top-p", "P", CLI_FLOAT, CLI_ABOVE, OFFSET(options.top_p), 0, 1, NULL, "draw among the likeliest tokens that hold this share together; 1: all"},
    {"--context", "N", CLI_UINT32, 0, OFFSET(options.context_length), 0, 1048576, NULL, "tokens to remember; 0: the model's context"},
    {"--ignore-end", NULL, CLI_FLAG, 0, OFFSET(options.ignore_end), 0, 0, NULL, "never draw the end of the story"},
    {"--map", NULL, CLI_FLAG, 0, OFFSET(opening.map), 0, 0, NULL, "map the model file instead of reading it"},
};

const cli_command cli_sample_commands[] = {
    {"sample", NULL, "let a model tell stories",
     "Standard output has the prompt and how it goes on, nothing else. The same model, prompt, options, seed and CPU level tell the same story, whatever\n"
     "the number of threads.", sample_arguments, CLI_COUNT_OF(sample_arguments), sizeof(sample_values), sample_defaults, sample},
    {0},
};

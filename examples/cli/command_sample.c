/* sample */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define MOST_TOGETHER 64
#define TOGETHER_BYTES ((uint64_t)512 << 20) /* of their samplers */

typedef struct sample_values {
    cli_common common;
    const char *model, *prompt;
    size_t prompt_size;
    char *input; /* what --prompt - read */
    uint32_t count, together;
    ts_model_options opening;
    ts_sampler_options options;
    cli_paths banned, stops, required, biases, steps;
    ts_token_bias *bias_values;
    const char *save, *load;
    ts_sampler_load_options loading;
    uint32_t within; /* of the required words */
    uint32_t most; /* tokens to tell of a story that is saved or was; 0: all. The session has no limit of its own, so that it can go on */
    uint32_t best; /* likeliest tokens of each place that JSON tells */
} sample_values;

static const char *begin_name(size_t index)
{
    static const char *const names[] = {"file", "always", "never"}; /* TS_BEGIN_OF_TEXT_ */
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static const char *full_name(size_t index)
{
    static const char *const names[] = {"stop", "slide"}; /* TS_CONTEXT_FULL_ */
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static void sample_defaults(void *values)
{
    sample_values *v = values;
    v->prompt = "";
    v->count = 1;
    ts_model_options_init(&v->opening, sizeof v->opening);
    ts_sampler_options_init(&v->options, sizeof v->options);
    ts_sampler_load_options_init(&v->loading, sizeof v->loading);
}

/* The prompt, from standard input for "-", whose white space at the end is no part of it: a word is told with the space before it. */
static ts_status read_prompt(sample_values *v)
{
    size_t capacity = 0;
    v->prompt_size = strlen(v->prompt);
    if (strcmp(v->prompt, "-") != 0)
        return TS_OK;
    ssize_t size = getdelim(&v->input, &capacity, 0, stdin);
    if (ferror(stdin) || (size < 0 && !feof(stdin)))
        return cli_fail("--prompt -: standard input cannot be read: %s", strerror(errno));
    v->prompt = size > 0 ? v->input : "";
    v->prompt_size = strlen(v->prompt);
    while (v->prompt_size > 0 && strchr(" \t\r\n", v->prompt[v->prompt_size - 1]) != NULL)
        v->prompt_size--;
    return TS_OK;
}

static ts_status add_bias(sample_values *v, uint32_t token, float bias)
{
    ts_token_bias *grown = realloc(v->bias_values, (v->options.bias_count + 1) * sizeof *grown);
    if (grown == NULL)
        return cli_fail("there is no memory for %zu biases", v->options.bias_count + 1);
    grown[v->options.bias_count++] = (ts_token_bias){token, bias};
    v->options.biases = v->bias_values = grown;
    return TS_OK;
}

/* Every token that a text becomes, once. */
static ts_status add_text_bias(sample_values *v, const ts_tokenizer *tokenizer, const char *text, size_t size, float bias)
{
    uint32_t *ids = malloc((size + 1) * sizeof *ids);
    size_t count = 0;
    ts_status status = ids != NULL ? ts_tokenizer_encode(tokenizer, text, size, 0, ids, size + 1, &count) : cli_fail("there is no memory for a bias");
    for (size_t i = 0; i < count && status == TS_OK; i++) {
        size_t first = 0;
        while (ids[first] != ids[i])
            first++;
        if (first == i)
            status = add_bias(v, ids[i], bias);
    }
    free(ids);
    return status;
}

/* "WHAT=BIAS", each a token's number or a text, and what is added to the logits; "-inf" bans. */
static ts_status read_biases(sample_values *v, const ts_tokenizer *tokenizer)
{
    for (size_t i = 0; i < v->biases.count; i++) {
        const char *what = v->biases.items[i], *equals = strrchr(what, '=');
        size_t size = equals != NULL ? (size_t)(equals - what) : 0;
        char *end = NULL;
        float bias = size > 0 ? strtof(equals + 1, &end) : 0;
        if (end == NULL || end == equals + 1 || *end != 0)
            return cli_fail("--bias is '%.40s', expected TOKEN=BIAS or TEXT=BIAS, as 17=-2.5 or ' dragon=-inf'", what);
        bool number = strspn(what, "0123456789") == size;
        unsigned long token = number ? strtoul(what, NULL, 10) : 0;
        if (token > UINT32_MAX)
            return cli_fail("--bias is '%.40s', but no token has that number", what);
        CLI_TRY(number ? add_bias(v, (uint32_t)token, bias) : add_text_bias(v, tokenizer, what, size, bias));
    }
    return TS_OK;
}

static const char *step_name(size_t index)
{
    static const char *const names[] = {"penalties", "temperature", "top-k", "top-p", "min-p"}; /* TS_STEP_ from 1 on */
    return index < CLI_COUNT_OF(names) ? names[index] : NULL;
}

static ts_status read_steps(sample_values *v)
{
    uint32_t step;
    if (v->steps.count > sizeof v->options.steps)
        return cli_fail("--steps has %zu names, expected at most 5", v->steps.count);
    for (size_t i = 0; i < v->steps.count; i++) {
        CLI_TRY(cli_choose("--steps", v->steps.items[i], step_name, &step));
        v->options.steps[i] = (uint8_t)(step + 1);
    }
    return TS_OK;
}

/* A saved story goes on: what is told after it, and nothing before. */
static ts_status go_on(const ts_model *model, const sample_values *v)
{
    ts_sampler *sampler = NULL;
    const char *text = "";
    size_t size = 0;
    ts_status status = ts_sampler_load(&sampler, model, v->load, &v->loading);
    for (uint64_t told = 0; status == TS_OK && text != NULL && !ferror(stdout); told++) {
        fwrite(text, 1, size, stdout);
        if (v->most > 0 && told == v->most)
            break;
        status = ts_sampler_next(sampler, &text, &size);
    }
    if (status == TS_OK)
        putchar('\n');
    if (status == TS_OK && v->save != NULL)
        status = ts_sampler_save(sampler, v->save);
    ts_sampler_free(sampler);
    return status;
}

/* What the model thought of the tokens of a story. */
typedef struct choice {
    uint32_t token, count;
    float log_probability;
    uint32_t tokens[20];
    float log_probabilities[20];
} choice;

typedef struct choices {
    choice *list;
    size_t count, capacity;
} choices;

static ts_status keep_choice(choices *kept, ts_sampler *sampler, uint32_t best)
{
    size_t found = 0;
    if (kept->count == kept->capacity) {
        size_t capacity = 2 * kept->capacity + 64;
        choice *list = realloc(kept->list, capacity * sizeof *list);
        if (list == NULL)
            return cli_fail("there is no memory for %zu tokens", capacity);
        kept->list = list;
        kept->capacity = capacity;
    }
    choice *one = &kept->list[kept->count];
    /* None where the story gave the rest of a text, and drew nothing. */
    if (ts_sampler_finish(sampler) == TS_FINISH_NONE) {
        CLI_TRY(ts_sampler_alternatives(sampler, &one->token, &one->log_probability, one->tokens, one->log_probabilities, best, &found));
        one->count = (uint32_t)found;
        kept->count++;
    }
    return TS_OK;
}

static void print_choices(const choices *kept, cli_output *o)
{
    cli_open(o, "choices", '[');
    for (size_t i = 0; i < kept->count; i++) {
        const choice *one = &kept->list[i];
        cli_open(o, NULL, '{');
        cli_integer(o, "token", one->token);
        cli_number(o, "log_probability", (double)one->log_probability, 6);
        cli_open(o, "best", '[');
        for (uint32_t k = 0; k < one->count; k++) {
            cli_open(o, NULL, '{');
            cli_integer(o, "token", one->tokens[k]);
            cli_number(o, "log_probability", (double)one->log_probabilities[k], 6);
            cli_close(o, '}');
        }
        cli_close(o, ']');
        cli_close(o, '}');
    }
    cli_close(o, ']');
}

/* Writes a story as it comes. Nothing is written before it could be started. */
static ts_status tell(ts_sampler *sampler, const sample_values *v, uint64_t seed, FILE *file, uint64_t *tokens, choices *kept)
{
    const char *text = v->prompt;
    size_t size = v->prompt_size;
    bool terminal = file == stdout && isatty(STDOUT_FILENO) == 1;
    ts_status status = ts_sampler_start_seeded(sampler, text, size, seed);
    *tokens = 0;
    while (status == TS_OK && text != NULL && !ferror(file)) {
        fwrite(text, 1, size, file);
        if (terminal)
            fflush(file);
        if (v->most > 0 && *tokens == v->most)
            break;
        status = ts_sampler_next(sampler, &text, &size);
        *tokens += status == TS_OK && text != NULL;
        if (status == TS_OK && text != NULL && kept != NULL)
            status = keep_choice(kept, sampler, v->best);
    }
    return status;
}

static const char *finish_name(int32_t finish)
{
    static const char *const names[] = {"none", "end", "max_tokens", "context", "stop", "forbidden"};
    return finish >= 0 && finish < (int32_t)CLI_COUNT_OF(names) ? names[finish] : names[0];
}

/* The object begins with the first story, once that could be told. */
static void print_record(const ts_sampler *sampler, const sample_values *v, const char *text, size_t size, uint64_t tokens, double seconds,
                         const choices *kept, cli_output *o)
{
    if (!o->json) {
        *o = cli_output_start(&v->common);
        cli_text(o, "model", v->model);
        cli_text_sized(o, "prompt", v->prompt, v->prompt_size);
        cli_open(o, "stories", '[');
    }
    cli_open(o, NULL, '{');
    cli_text_sized(o, "text", text, size);
    cli_integer(o, "seed", ts_sampler_seed(sampler));
    cli_integer(o, "tokens", tokens);
    cli_integer(o, "missing_words", ts_sampler_missing(sampler));
    cli_text(o, "finish", finish_name(ts_sampler_finish(sampler)));
    cli_number(o, "tokens_per_second", (double)tokens / seconds, 0);
    if (kept != NULL)
        print_choices(kept, o);
    cli_close(o, '}');
}

/* As JSON the story is kept until it is whole. */
static ts_status tell_record(ts_sampler *sampler, const sample_values *v, uint64_t seed, cli_output *o)
{
    char *text = NULL;
    size_t size = 0;
    uint64_t tokens = 0;
    choices list = {0}, *choices_kept = v->best > 0 ? &list : NULL;
    double start = cli_clock();
    FILE *kept = open_memstream(&text, &size);
    ts_status status = kept != NULL ? tell(sampler, v, seed, kept, &tokens, choices_kept) : TS_OK;
    if (kept == NULL || (fclose(kept) != 0 && status == TS_OK))
        status = cli_fail("there is no memory for a story");
    if (status == TS_OK)
        print_record(sampler, v, text, size, tokens, cli_clock() - start, choices_kept, o);
    free(list.list);
    free(text);
    return status;
}

static ts_status tell_line(ts_sampler *sampler, const sample_values *v, uint64_t seed)
{
    uint64_t tokens;
    double start = cli_clock();
    ts_status status = tell(sampler, v, seed, stdout, &tokens, NULL);
    if (status == TS_OK)
        putchar('\n');
    if (status == TS_OK && v->common.verbose)
        fprintf(stderr, "seed %llu, %llu tokens, %.0f tokens/s, finish: %s\n", (unsigned long long)seed, (unsigned long long)tokens,
                (double)tokens / (cli_clock() - start), finish_name(ts_sampler_finish(sampler)));
    return status;
}

/* Makes a sampler with what the options cannot hold. */
static ts_status make_sampler(ts_sampler **out, const ts_model *model, const sample_values *v)
{
    CLI_TRY(ts_sampler_new(out, model, &v->options));
    return ts_sampler_require(*out, v->required.items, v->required.count, v->within);
}

/* Stories first, first + 1, ... at once. The text of each begins with the prompt, as if it were told alone. */
static ts_status tell_group(const ts_model *model, const sample_values *v, uint32_t first, size_t count, cli_output *o)
{
    cli_story *stories = calloc(count, sizeof *stories);
    double start = cli_clock();
    ts_status status = stories != NULL ? TS_OK : cli_fail("there is no memory for %zu stories", count);
    for (size_t i = 0; i < count && status == TS_OK; i++) {
        stories[i].context_length = v->options.context_length;
        status = make_sampler(&stories[i].sampler, model, v);
        if (status == TS_OK)
            status = ts_sampler_start_seeded(stories[i].sampler, v->prompt, v->prompt_size, v->options.seed + first + i);
    }
    if (status == TS_OK)
        status = cli_tell_together(model, stories, count);
    double seconds = cli_clock() - start;
    for (size_t i = 0; i < count && status == TS_OK; i++) {
        const cli_story *s = &stories[i];
        if (!v->common.json) {
            printf("%s%.*s%.*s\n", first + i > 0 ? "<|endoftext|>\n" : "", (int)v->prompt_size, v->prompt, (int)s->size, s->text);
            continue;
        }
        char *whole = malloc(v->prompt_size + s->size + 1);
        if (whole == NULL) {
            status = cli_fail("there is no memory for a story");
            break;
        }
        memcpy(whole, v->prompt, v->prompt_size);
        memcpy(whole + v->prompt_size, s->text, s->size);
        print_record(s->sampler, v, whole, v->prompt_size + s->size, s->tokens, seconds, NULL, o);
        free(whole);
    }
    for (size_t i = 0; i < count && stories != NULL; i++) {
        ts_sampler_free(stories[i].sampler);
        free(stories[i].text);
    }
    free(stories);
    return status;
}

/* Several stories are divided by a line <|endoftext|>, so that the output is itself a file of stories. */
static ts_status tell_all(const ts_model *model, ts_sampler *sampler, const sample_values *v)
{
    cli_output o = {0};
    ts_status status = TS_OK;
    for (uint32_t i = 0; v->together > 1 && i < v->count && status == TS_OK && !ferror(stdout); i += v->together)
        status = tell_group(model, v, i, v->count - i < v->together ? v->count - i : v->together, &o);
    for (uint32_t i = 0; v->together == 1 && i < v->count && status == TS_OK && !ferror(stdout); i++) {
        if (i > 0 && !v->common.json)
            printf("<|endoftext|>\n");
        uint64_t seed = v->options.seed + i;
        status = v->common.json ? tell_record(sampler, v, seed, &o) : tell_line(sampler, v, seed);
    }
    if (status == TS_OK && v->common.json) {
        cli_close(&o, ']');
        cli_output_end(&o);
    }
    return status;
}

/* How many stories are told at once where nobody said: as many as there are, within 64 and some memory; one after another on a terminal, where each
 * is seen as it comes. */
static ts_status choose_together(sample_values *v, const ts_model *model)
{
    uint64_t bytes;
    if (v->together > 0)
        return TS_OK;
    v->together = 1;
    if (v->count == 1 || v->best > 0 || v->options.beams > 1 || isatty(STDOUT_FILENO) == 1)
        return TS_OK;
    CLI_TRY(ts_sampler_memory(model, &v->options, &bytes));
    while (v->together < v->count && v->together < MOST_TOGETHER && (v->together + 1) * bytes <= TOGETHER_BYTES)
        v->together++;
    return TS_OK;
}

static ts_status sample(void *values)
{
    sample_values *v = values;
    ts_model *model = NULL;
    ts_sampler *sampler = NULL;
    if (v->options.ignore_end && v->options.max_tokens == 0)
        return cli_usage("--ignore-end needs --tokens N, or the story would have no end");
    if (!cli_given(&v->common, "--seed"))
        v->options.seed = ((uint64_t)time(NULL) << 16 ^ (uint64_t)getpid()) & UINT64_C(0x1fffffffffffff); /* JSON readers have 53 bits */
    if (v->options.max_tokens > 0 && !cli_given(&v->common, "--context-full"))
        v->options.context_full = TS_CONTEXT_FULL_SLIDE; /* so many were asked for */
    v->options.banned_words = v->banned.items;
    v->options.banned_word_count = v->banned.count;
    v->options.stops = v->stops.items;
    v->options.stop_count = v->stops.count;
    if (v->best > 0 && (!v->common.json || v->together > 1 || v->options.beams > 1))
        return cli_usage("--best needs --json, and neither --together nor --beams");
    if ((v->save != NULL || v->load != NULL) && (v->count > 1 || v->together > 1 || v->common.json))
        return cli_usage("--save-session and --load-session take one story as text, without --count, --together and --json");
    if (v->save != NULL || v->load != NULL) {
        v->most = v->options.max_tokens;
        v->options.max_tokens = 0;
    }
    ts_status status = read_prompt(v);
    if (status == TS_OK)
        status = read_steps(v);
    if (status == TS_OK)
        status = ts_model_open(&model, v->common.runtime, v->model, &v->opening);
    if (status == TS_OK)
        status = read_biases(v, ts_model_tokenizer(model));
    if (status == TS_OK)
        status = choose_together(v, model);
    if (status == TS_OK && v->load != NULL) {
        status = go_on(model, v);
    } else if (status == TS_OK) {
        status = make_sampler(&sampler, model, v);
        if (status == TS_OK)
            status = tell_all(model, sampler, v);
        if (status == TS_OK && v->save != NULL)
            status = ts_sampler_save(sampler, v->save);
    }
    ts_sampler_free(sampler);
    ts_model_free(model);
    free(v->input);
    free(v->bias_values);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(sample_values, member)
static const cli_argument sample_arguments[] = {
    {"--model", "MODEL", CLI_TEXT, CLI_REQUIRED, OFFSET(model), 0, 0, NULL, "the model that tells"},
    {"--prompt", "P", CLI_TEXT, 0, OFFSET(prompt), 0, 0, NULL, "how the story begins; - reads it from standard input (default: the model begins)"},
    {"--count", "N", CLI_UINT32, 0, OFFSET(count), 1, 0, NULL, "stories to tell, the i-th with seed S + i; divided by a line <|endoftext|>"},
    {"--together", "N", CLI_UINT32, 0, OFFSET(together), 0, 4096, NULL, "tell so many of them at once: the same stories, each printed when it is whole, many times faster; 0: as many as fit, up to 64, but 1 on a terminal"},
    {"--seed", "S", CLI_UINT64, CLI_QUIET, OFFSET(options.seed), 0, 0, NULL, "the same seed tells the same story (default: by the clock; --verbose says it)"},
    {"--tokens", "N", CLI_UINT32, 0, OFFSET(options.max_tokens), 0, 0, NULL, "most tokens, even beyond the context; 0: until the story or the context ends"},
    {"--temperature", "T", CLI_FLOAT, 0, OFFSET(options.temperature), 0, 100, NULL, "0: always the likeliest token"},
    {"--top-k", "K", CLI_UINT32, 0, OFFSET(options.top_k), 0, 0, NULL, "draw among the K likeliest tokens; 0: all"},
    {"--top-p", "P", CLI_FLOAT, CLI_ABOVE, OFFSET(options.top_p), 0, 1, NULL, "draw among the likeliest tokens that hold this share together; 1: all"},
    {"--min-p", "P", CLI_FLOAT, 0, OFFSET(options.min_p), 0, 1, NULL, "draw among tokens at least so likely as this share of the likeliest one's probability; 0: all"},
    {"--repetition-penalty", "R", CLI_FLOAT, CLI_ABOVE, OFFSET(options.repetition_penalty), 0, 100, NULL, "of tokens in the window: divides positive logits, multiplies negative ones"},
    {"--frequency-penalty", "F", CLI_FLOAT, 0, OFFSET(options.frequency_penalty), -100, 100, NULL, "taken off for each time that a token is in the window"},
    {"--presence-penalty", "F", CLI_FLOAT, 0, OFFSET(options.presence_penalty), -100, 100, NULL, "taken off once for a token in the window"},
    {"--penalty-window", "N", CLI_UINT32, 0, OFFSET(options.penalty_window), 0, 0, NULL, "tokens that penalties look back at; 0: all"},
    {"--no-repeat", "N", CLI_UINT32, 0, OFFSET(options.no_repeat_ngram), 0, 0, NULL, "no run of N tokens comes twice; 0: no matter, else at least 2"},
    {"--beams", "N", CLI_UINT32, 0, OFFSET(options.beams), 0, 1024, NULL, "find the likeliest story by so many beams instead of drawing; 0: draw"},
    {"--ban", "WORD", CLI_PATHS, 0, OFFSET(banned), 0, 0, NULL, "no word of the story begins with one of these"},
    {"--require", "WORD", CLI_PATHS, 0, OFFSET(required), 0, 0, NULL, "words that the story holds, each told where it fits best"},
    {"--within", "N", CLI_UINT32, 0, OFFSET(within), 0, 0, NULL, "tokens in which about all required words come; 0: 160"},
    {"--stop", "TEXT", CLI_PATHS, 0, OFFSET(stops), 0, 0, NULL, "end the story before one of these"},
    {"--context", "N", CLI_UINT32, 0, OFFSET(options.context_length), 0, 1048576, NULL, "tokens to remember; 0: the model's context"},
    {"--context-full", "HOW", CLI_CHOICE, CLI_QUIET, OFFSET(options.context_full), 0, 0, full_name, "when it is full: stop ends the story, slide forgets the older half (default: slide with --tokens, else stop)"},
    {"--ignore-end", NULL, CLI_FLAG, 0, OFFSET(options.ignore_end), 0, 0, NULL, "never draw the end of the story"},
    {"--bias", "WHAT=B", CLI_PATHS, 0, OFFSET(biases), 0, 0, NULL, "add B to the logits of a token, by its number, or of every token that a text becomes, as in llama.cpp's server; -inf: never draw it. A word within a sentence is a text with its space, ' dragon=-5'"},
    {"--steps", "STEP", CLI_PATHS, 0, OFFSET(steps), 0, 0, NULL, "how a token is drawn, in this order: penalties, temperature, top-k, top-p, min-p; what is left out is not done (default: Hugging Face's order)"},
    {"--save-session", "FILE", CLI_TEXT, 0, OFFSET(save), 0, 0, NULL, "save the story where it stopped, with all options"},
    {"--load-session", "FILE", CLI_TEXT, 0, OFFSET(load), 0, 0, NULL, "go on with a saved story under its own options, for --tokens tokens more at most"},
    {"--session-memory", "BYTES", CLI_UINT64, 0, OFFSET(loading.memory_limit), 0, 0, NULL, "that a loaded story may take; 0: some times what one of the usual options takes"},
    {"--best", "K", CLI_UINT32, 0, OFFSET(best), 0, 20, NULL, "with --json: the log-probability of each token told, and of the K likeliest of its place; not with --together; 0: none"},
    {"--begin-of-text", "WHEN", CLI_CHOICE, 0, OFFSET(options.begin_of_text), 0, 0, begin_name, "put the token that divides stories before the prompt: as the tokenizer's file says, always, never"},
    {"--tokenizer", "T", CLI_TEXT, 0, OFFSET(opening.tokenizer), 0, 0, NULL, "the tokenizer, where it is neither in the model's file nor beside it"},
    {"--map", NULL, CLI_FLAG, 0, OFFSET(opening.map), 0, 0, NULL, "map the model file instead of reading it"},
    {"--widen", NULL, CLI_FLAG, 0, OFFSET(opening.widen), 0, 0, NULL, "make floats of matrices of 8 and 4 bits instead of multiplying them so"},
};

const cli_command cli_sample_commands[] = {
    {"sample", NULL, "let a model tell stories",
     "Standard output has the prompt and how it goes on, nothing else. The same model, prompt, options, seed and CPU level tell the same story, whatever\n"
     "the number of threads.", sample_arguments, CLI_COUNT_OF(sample_arguments), sizeof(sample_values), sample_defaults, sample},
    {0},
};

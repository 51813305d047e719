/* analyze heads, analyze neurons */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct analyze_values {
    cli_common common;
    const char *model, *prompt;
    cli_paths text;
    uint32_t layer, neuron, count;
    ts_analysis_options options;
} analyze_values;

static void analyze_defaults(void *values)
{
    analyze_values *v = values;
    v->count = 10;
    ts_analysis_options_init(&v->options, sizeof v->options);
}

/* Four decimals are all that an attention map or an attribution is read for. */
static double rounded(double value)
{
    return rint(value * 1e4) / 1e4;
}

static void print_token(cli_output *o, const char *key, const ts_model *model, uint32_t id)
{
    size_t size = 0;
    const char *text = ts_tokenizer_token(ts_model_tokenizer(model), id, &size);
    cli_text_sized(o, key, text != NULL ? text : "", size);
}

static void start_reading(analyze_values *v, cli_progress *progress)
{
    cli_progress_start(progress, &v->common, "reading", "tokens");
    v->options.progress = cli_progress_tell;
    v->options.progress_user = progress;
}

/* ---- a prompt: who is for the next token, and what heads look at ---- */

typedef struct prompt_ids {
    uint32_t *ids; /* NULL: there is no prompt */
    size_t count;
    ts_architecture shape;
} prompt_ids;

/* The token that stories begin with, then the prompt's, which must fit into the context. */
static ts_status encode_prompt(const ts_model *model, const char *prompt, prompt_ids *p)
{
    const ts_tokenizer *tokenizer = ts_model_tokenizer(model);
    uint32_t begin = ts_tokenizer_begin_of_text(tokenizer);
    size_t skip = begin != TS_TOKENIZER_NONE, size = strlen(prompt);
    p->shape.struct_size = sizeof p->shape;
    CLI_TRY(ts_model_architecture(model, &p->shape));
    p->ids = malloc((size + 2) * sizeof *p->ids); /* a token has a byte at least, and some tokenizers put a space before the first */
    if (p->ids == NULL)
        return cli_fail("there is no memory for a prompt of %zu bytes", size);
    p->ids[0] = begin;
    CLI_TRY(ts_tokenizer_encode(tokenizer, prompt, size, 0, p->ids + skip, size + 2 - skip, &p->count));
    p->count += skip;
    if (p->count == 0 || p->count > p->shape.context_length)
        return cli_fail("--prompt has %zu tokens, expected 1 to %u, the model's context", p->count, p->shape.context_length);
    return TS_OK;
}

/* The weights of a layer as arrays of heads, of queries, of the keys up to the query. */
static int32_t print_map(void *user, const ts_tap *tap)
{
    cli_output *o = user;
    if (tap->point != TS_TAP_WEIGHTS)
        return 0;
    cli_open(o, NULL, '[');
    for (uint64_t head = 0; head < tap->shape[0]; head++) {
        cli_open(o, NULL, '[');
        for (uint64_t query = 0; query < tap->shape[1]; query++) {
            cli_open(o, NULL, '[');
            for (uint64_t key = 0; key <= query; key++)
                cli_number(o, NULL, rounded((double)tap->data[head * tap->strides[0] + query * tap->strides[1] + key]), 4);
            cli_close(o, ']');
        }
        cli_close(o, ']');
    }
    cli_close(o, ']');
    return 0;
}

static ts_status print_maps(cli_output *o, const ts_model *model, const prompt_ids *p)
{
    cli_open(o, "maps", '{');
    cli_open(o, "tokens", '[');
    for (size_t i = 0; i < p->count; i++)
        print_token(o, NULL, model, p->ids[i]);
    cli_close(o, ']');
    cli_open(o, "weights", '[');
    ts_status status = ts_model_tap(model, p->ids, p->count, print_map, o, NULL, 0);
    cli_close(o, ']');
    cli_close(o, '}');
    return status;
}

/* The likeliest token after the prompt. */
static ts_status likeliest(const ts_model *model, const prompt_ids *p, uint32_t *token)
{
    uint32_t V = p->shape.vocabulary_size;
    float *logits = malloc(p->count * V * sizeof *logits);
    if (logits == NULL)
        return cli_fail("there is no memory for the logits");
    ts_status status = ts_model_logits(model, p->ids, p->count, logits, p->count * V);
    const float *last = logits + (p->count - 1) * V;
    *token = 0;
    for (uint32_t id = 1; status == TS_OK && id < V; id++)
        *token = last[id] > last[*token] ? id : *token;
    free(logits);
    return status;
}

/* The `count` of `values` that are largest either way, the largest first; `width` a layer. */
static void print_largest(cli_output *o, const char *key, const char *what, float *values, size_t size, size_t width, size_t count)
{
    cli_open(o, key, '[');
    for (size_t i = 0; i < count && i < size; i++) {
        size_t most = 0;
        char line[64];
        for (size_t j = 1; j < size; j++)
            most = fabsf(values[j]) > fabsf(values[most]) ? j : most;
        if (o->json) {
            cli_open(o, NULL, '{');
            cli_integer(o, "layer", most / width);
            cli_integer(o, what, most % width);
            cli_number(o, "logit", rounded((double)values[most]), 4);
            cli_close(o, '}');
        } else {
            snprintf(line, sizeof line, "layer %zu, %s %zu", most / width, what, most % width);
            cli_number(o, line, (double)values[most], 4);
        }
        values[most] = 0;
    }
    cli_close(o, ']');
}

static ts_status print_attribution(cli_output *o, const ts_model *model, const prompt_ids *p)
{
    const ts_architecture *a = &p->shape;
    size_t head_count = (size_t)a->layers * a->heads, neuron_count = (size_t)a->layers * a->hidden;
    float *heads = malloc(head_count * sizeof *heads), *neurons = malloc(neuron_count * sizeof *neurons);
    ts_attribution of = {.struct_size = sizeof of};
    uint32_t token = 0;
    ts_status status = heads == NULL || neurons == NULL ? cli_fail("there is no memory for the attribution") : likeliest(model, p, &token);
    if (status == TS_OK)
        status = ts_model_attribute(model, p->ids, p->count, token, &of, heads, head_count, neurons, neuron_count);
    if (status == TS_OK) {
        cli_open(o, "attribution", '{');
        print_token(o, "token", model, token);
        cli_number(o, "logit", rounded(of.logit), 4);
        cli_number(o, "from_embedding", rounded(of.embedding), 4);
        cli_number(o, "from_heads", rounded(of.heads), 4);
        cli_number(o, "from_neurons", rounded(of.neurons), 4);
        cli_number(o, "from_biases", rounded(of.biases), 4);
        print_largest(o, "heads", "head", heads, head_count, a->heads, 10);
        print_largest(o, "neurons", "neuron", neurons, neuron_count, a->hidden, 10);
        cli_close(o, '}');
    }
    free(heads);
    free(neurons);
    return status;
}

/* ---- heads ---- */

static const struct {
    uint32_t kind;
    const char *name;
} kinds[] = {{TS_HEAD_PREVIOUS, "previous"}, {TS_HEAD_DUPLICATE, "duplicate"}, {TS_HEAD_INDUCTION, "induction"},
             {TS_HEAD_DISTANCE, "distance"}, {TS_HEAD_SEMANTIC, "semantic"},   {TS_HEAD_RESTING, "resting"}};

static void print_head_line(const ts_head *h)
{
    char names[80] = "";
    for (size_t i = 0; i < CLI_COUNT_OF(kinds); i++)
        if (h->kinds & kinds[i].kind) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", kinds[i].name);
        }
    printf("  %5u %4u %9.3f %9.3f %9.3f %7.3f %7.3f %9.3f %9.3f %9.1f  %s\n", h->layer, h->head, h->previous, h->duplicate, h->induction, h->first, h->focus,
           h->distance, h->content, h->mean_distance, names);
}

static void print_head(cli_output *o, const ts_head *h)
{
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"previous", h->previous},
                   {"previous_chance", h->previous_chance},
                   {"duplicate", h->duplicate},
                   {"duplicate_chance", h->duplicate_chance},
                   {"induction", h->induction},
                   {"induction_chance", h->induction_chance},
                   {"first", h->first},
                   {"focus", h->focus},
                   {"distance", h->distance},
                   {"content", h->content},
                   {"mean_distance", h->mean_distance}};
    cli_open(o, NULL, '{');
    cli_integer(o, "layer", h->layer);
    cli_integer(o, "head", h->head);
    cli_open(o, "kinds", '[');
    for (size_t i = 0; i < CLI_COUNT_OF(kinds); i++)
        if (h->kinds & kinds[i].kind)
            cli_text(o, NULL, kinds[i].name);
    cli_close(o, ']');
    for (size_t i = 0; i < CLI_COUNT_OF(numbers); i++)
        cli_number(o, numbers[i].key, numbers[i].value, 4);
    cli_close(o, '}');
}

static ts_status print_heads(const analyze_values *v, const ts_model *model, const ts_heads *heads, const prompt_ids *p)
{
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "model", v->model);
    cli_integer(&o, "tokens", ts_heads_tokens(heads));
    cli_number(&o, "threshold", (double)v->options.threshold, 2);
    cli_open(&o, "heads", '[');
    if (!o.json)
        printf("  layer head  previous duplicate induction   first   focus  distance   content   mean of  called\n");
    for (size_t i = 0; i < ts_heads_count(heads); i++) {
        ts_head h = {.struct_size = sizeof h};
        CLI_TRY(ts_heads_get(heads, i, &h));
        if (o.json)
            print_head(&o, &h);
        else
            print_head_line(&h);
    }
    cli_close(&o, ']');
    if (p->ids != NULL)
        CLI_TRY(print_attribution(&o, model, p));
    if (p->ids != NULL && o.json)
        CLI_TRY(print_maps(&o, model, p));
    cli_output_end(&o);
    return TS_OK;
}

static ts_status read_heads(analyze_values *v, const ts_model *model, const prompt_ids *p)
{
    ts_heads *measured = NULL;
    cli_progress progress;
    start_reading(v, &progress);
    ts_status status = ts_heads_new(&measured, model, v->text.items, v->text.count, &v->options);
    cli_progress_end(&progress);
    if (status == TS_OK)
        status = print_heads(v, model, measured, p);
    ts_heads_free(measured);
    return status;
}

static ts_status heads(void *values)
{
    analyze_values *v = values;
    ts_model *model = NULL;
    prompt_ids p = {.ids = NULL};
    CLI_TRY(ts_model_open(&model, v->common.runtime, v->model, NULL));
    ts_status status = v->prompt != NULL ? encode_prompt(model, v->prompt, &p) : TS_OK;
    if (status == TS_OK)
        status = read_heads(v, model, &p);
    free(p.ids);
    ts_model_free(model);
    return status;
}

/* ---- neurons ---- */

#define TOKENS_BEFORE 24
#define TOKENS_AFTER 12

static void print_plain_token(const ts_model *model, uint32_t id, bool marked)
{
    size_t size = 0;
    const char *text = ts_tokenizer_token(ts_model_tokenizer(model), id, &size);
    bool space = marked && size > 0 && text[0] == ' ';
    printf("%s", marked ? (space ? " [" : "[") : "");
    for (size_t i = space; i < size; i++)
        putchar((unsigned char)text[i] < 0x20 ? ' ' : text[i]);
    printf("%s", marked ? "]" : "");
}

static void print_example(cli_output *o, const ts_model *model, const ts_neuron_example *e)
{
    size_t begin = e->at > TOKENS_BEFORE ? e->at - TOKENS_BEFORE : 0, end = e->at + TOKENS_AFTER < e->count ? e->at + TOKENS_AFTER + 1 : e->count;
    begin += ts_tokenizer_is_special(ts_model_tokenizer(model), e->ids[begin]) != 0 && begin < e->at;
    if (!o->json) {
        printf("    %8.3f  ", e->activation);
        for (size_t i = begin; i < end; i++)
            print_plain_token(model, e->ids[i], i == e->at);
        putchar('\n');
        return;
    }
    cli_open(o, NULL, '{');
    cli_number(o, "activation", rounded(e->activation), 4);
    cli_integer(o, "story", e->story);
    cli_integer(o, "at", e->at - begin);
    cli_open(o, "tokens", '[');
    for (size_t i = begin; i < end; i++)
        print_token(o, NULL, model, e->ids[i]);
    cli_close(o, ']');
    cli_close(o, '}');
}

static ts_status print_neuron(cli_output *o, const ts_model *model, const ts_neurons *neurons, size_t index)
{
    ts_neuron n = {.struct_size = sizeof n};
    char heading[64];
    CLI_TRY(ts_neurons_get(neurons, index, &n));
    snprintf(heading, sizeof heading, "layer %u, neuron %u, %.0f %% active", n.layer, n.neuron,
             100 * (double)n.active / (double)ts_neurons_tokens(neurons));
    cli_open(o, o->json ? NULL : heading, '{');
    if (o->json) {
        cli_integer(o, "layer", n.layer);
        cli_integer(o, "neuron", n.neuron);
        cli_integer(o, "active", n.active);
        cli_number(o, "mean", rounded(n.mean), 4);
        cli_number(o, "most", rounded(n.most), 4);
        cli_open(o, "examples", '[');
    }
    for (size_t rank = 0; rank < n.examples; rank++) {
        ts_neuron_example e = {.struct_size = sizeof e};
        CLI_TRY(ts_neurons_example(neurons, index, rank, &e));
        print_example(o, model, &e);
    }
    if (o->json)
        cli_close(o, ']');
    cli_close(o, '}');
    return TS_OK;
}

/* The layer's neuron that is not yet chosen and has the greatest activation. */
static ts_status next_neuron(const ts_neurons *neurons, size_t begin, size_t end, bool *chosen, size_t *index)
{
    double greatest = -HUGE_VAL;
    for (size_t i = begin; i < end; i++) {
        ts_neuron n = {.struct_size = sizeof n};
        CLI_TRY(ts_neurons_get(neurons, i, &n));
        if (!chosen[i - begin] && n.most > greatest) {
            greatest = n.most;
            *index = i;
        }
    }
    chosen[*index - begin] = true;
    return TS_OK;
}

static ts_status print_chosen(cli_output *o, const analyze_values *v, const ts_model *model, const ts_neurons *neurons, const ts_architecture *a)
{
    size_t begin = (size_t)v->layer * a->hidden, count = v->count < a->hidden ? v->count : a->hidden;
    if (cli_given(&v->common, "--neuron"))
        return print_neuron(o, model, neurons, begin + v->neuron);
    bool *chosen = calloc(a->hidden, sizeof *chosen);
    ts_status status = chosen != NULL ? TS_OK : cli_fail("there is no memory");
    for (size_t i = 0; i < count && status == TS_OK; i++) {
        size_t index = begin;
        status = next_neuron(neurons, begin, begin + a->hidden, chosen, &index);
        if (status == TS_OK)
            status = print_neuron(o, model, neurons, index);
    }
    free(chosen);
    return status;
}

static ts_status print_neurons(const analyze_values *v, const ts_model *model, const ts_neurons *neurons, const ts_architecture *a)
{
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "model", v->model);
    cli_integer(&o, "tokens", ts_neurons_tokens(neurons));
    cli_integer(&o, "layer", v->layer);
    cli_open(&o, "neurons", '[');
    CLI_TRY(print_chosen(&o, v, model, neurons, a));
    cli_close(&o, ']');
    cli_output_end(&o);
    return TS_OK;
}

static ts_status read_neurons(analyze_values *v, const ts_model *model, const ts_architecture *a)
{
    ts_neurons *neurons = NULL;
    cli_progress progress;
    start_reading(v, &progress);
    ts_status status = ts_neurons_new(&neurons, model, v->text.items, v->text.count, &v->options);
    cli_progress_end(&progress);
    if (status == TS_OK)
        status = print_neurons(v, model, neurons, a);
    ts_neurons_free(neurons);
    return status;
}

static ts_status neurons(void *values)
{
    analyze_values *v = values;
    ts_model *model = NULL;
    ts_architecture a = {.struct_size = sizeof a};
    CLI_TRY(ts_model_open(&model, v->common.runtime, v->model, NULL));
    ts_status status = ts_model_architecture(model, &a);
    if (!cli_given(&v->common, "--layer"))
        v->layer = a.layers > 1 ? a.layers - 2 : 0; /* where the paper looked */
    if (status == TS_OK && v->layer >= a.layers)
        status = cli_fail("--layer is %u, but the model's last is %u", v->layer, a.layers - 1);
    if (status == TS_OK && v->neuron >= a.hidden)
        status = cli_fail("--neuron is %u, but a layer's last is %u", v->neuron, a.hidden - 1);
    if (status == TS_OK)
        status = read_neurons(v, model, &a);
    ts_model_free(model);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(analyze_values, member)
#define COMMON_ARGUMENTS \
    {"--model", "MODEL", CLI_TEXT, CLI_REQUIRED, OFFSET(model), 0, 0, NULL, "the model to look into"}, \
    {"--text", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(text), 0, 0, NULL, "files of stories to read; - for standard input"}, \
    {"--tokens", "N", CLI_UINT64, 0, OFFSET(options.max_tokens), 1, 0, NULL, "read so many tokens of them"}

static const cli_argument heads_arguments[] = {
    COMMON_ARGUMENTS,
    {"--threshold", "X", CLI_FLOAT, CLI_ABOVE, OFFSET(options.threshold), 0, 1, NULL, "what a score above chance must reach to name a head by it"},
    {"--seed", "S", CLI_UINT64, 0, OFFSET(options.seed), 0, 0, NULL, "of the repeated sequences"},
    {"--prompt", "P", CLI_TEXT, 0, OFFSET(prompt), 0, 0, NULL, "say too which parts are for the likeliest next token; with --json also the attention maps"},
};

static const cli_argument neurons_arguments[] = {
    COMMON_ARGUMENTS,
    {"--layer", "N", CLI_UINT32, CLI_QUIET, OFFSET(layer), 0, 0, NULL, "from 0 (default: the one before the last)"},
    {"--neuron", "N", CLI_UINT32, CLI_QUIET, OFFSET(neuron), 0, 0, NULL, "this one alone, from 0 (default: those of the greatest activations)"},
    {"--count", "N", CLI_UINT32, 0, OFFSET(count), 1, 0, NULL, "neurons to show"},
    {"--examples", "N", CLI_UINT32, 0, OFFSET(options.examples), 1, 1000, NULL, "top activating tokens of each"},
};

const cli_command cli_analyze_commands[] = {
    {"analyze", "heads", "tell heads that look at distances from heads that look at meanings",
     "previous: attention to the token before. duplicate, induction: on tokens said twice in a row, attention to where a token was said first, and to the one\n"
     "behind. first: attention to the first position, where heads rest. focus: the share of the other attention that would have to move to be even.\n"
     "distance: the share of its unevenness that the distance alone explains, content that what the keys' tokens are explains; a focused head\n"
     "is called a distance head from a half of the one on, else semantic from a tenth of the other on.",
     heads_arguments, CLI_COUNT_OF(heads_arguments), sizeof(analyze_values), analyze_defaults, heads},
    {"analyze", "neurons", "show the tokens that activate neurons most, in their sentences",
     "A neuron is a coordinate of the MLP after its activation.", neurons_arguments, CLI_COUNT_OF(neurons_arguments), sizeof(analyze_values),
     analyze_defaults, neurons},
    {0},
};

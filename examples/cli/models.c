/* model inspect, sample, evaluate loss. */
#include "cli.h"

#include <string.h>
#include <time.h>

static const char *kind_name(int32_t kind)
{
    static const char *const names[] = {"", "llama", "gpt2", "gpt_neo"};
    return kind >= 1 && kind <= 3 ? names[kind] : "unknown";
}

static void inspect_json(const ts_model *model, const ts_architecture *s)
{
    printf("{\"architecture\": \"%s\", \"parameters\": %llu, ", kind_name(s->kind), (unsigned long long)ts_model_parameters(model));
    const struct {
        const char *name;
        double value;
    } fields[] = {{"vocabulary_size", s->vocabulary_size}, {"context_length", s->context_length}, {"width", s->width},
                  {"layers", s->layers},                   {"heads", s->heads},                   {"key_value_heads", s->key_value_heads},
                  {"hidden", s->hidden},                   {"window", s->window},                 {"untied_head", s->untied_head},
                  {"rotary_base", (double)s->rotary_base}, {"norm_epsilon", (double)s->norm_epsilon}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        print_json_number(fields[i].name, fields[i].value, false);
    printf("\"tokenizer\": {\"size\": %u, \"fingerprint\": \"%016llx\"}, \"tensors\": [", ts_tokenizer_size(ts_model_tokenizer(model)),
           (unsigned long long)ts_tokenizer_fingerprint(ts_model_tokenizer(model)));
    for (size_t i = 0; i < ts_model_tensor_count(model); i++) {
        ts_tensor t = {.struct_size = sizeof t};
        ts_model_tensor(model, i, &t);
        printf("%s{\"name\": \"%s\", \"shape\": [%llu", i ? ", " : "", t.name, (unsigned long long)t.shape[0]);
        if (t.rank == 2)
            printf(", %llu", (unsigned long long)t.shape[1]);
        printf("]}");
    }
    printf("]}\n");
}

static void inspect_text(const ts_model *model, const ts_architecture *s)
{
    printf("architecture  %s\nparameters    %llu\nvocabulary    %u (tokenizer %u)\ncontext       %u\nwidth         %u\nlayers        %u\nheads         %u\n",
           kind_name(s->kind), (unsigned long long)ts_model_parameters(model), s->vocabulary_size, ts_tokenizer_size(ts_model_tokenizer(model)),
           s->context_length, s->width, s->layers, s->heads);
    printf("kv heads      %u\nhidden        %u\n", s->key_value_heads, s->hidden);
    for (size_t i = 0; i < ts_model_tensor_count(model); i++) {
        ts_tensor t = {.struct_size = sizeof t};
        ts_model_tensor(model, i, &t);
        printf("  %-32s %llu", t.name, (unsigned long long)t.shape[0]);
        if (t.rank == 2)
            printf(" x %llu", (unsigned long long)t.shape[1]);
        putchar('\n');
    }
}

int run_model_inspect(arguments *a)
{
    ts_model *model;
    ts_architecture shape = {.struct_size = sizeof shape};
    if (ts_model_open(&model, a->runtime, a->file, NULL) != TS_OK)
        return failed();
    ts_model_architecture(model, &shape);
    if (a->json)
        inspect_json(model, &shape);
    else
        inspect_text(model, &shape);
    ts_model_free(model);
    return 0;
}

/* The prompt and how it goes on; nothing is printed before the story could be started. */
static ts_status tell(ts_sampler *sampler, const char *prompt, uint64_t seed)
{
    const char *text = prompt;
    size_t size = strlen(prompt);
    ts_status status = ts_sampler_start_seeded(sampler, prompt, size, seed);
    while (status == TS_OK && text != NULL && fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0)
        status = ts_sampler_next(sampler, &text, &size);
    return status;
}

int run_sample(arguments *a)
{
    ts_model *model;
    ts_sampler *sampler = NULL;
    ts_sampler_options options;
    const char *prompt = a->prompt ? a->prompt : "";
    ts_sampler_options_init(&options, sizeof options);
    options.temperature = (float)a->temperature;
    options.top_p = (float)a->top_p;
    options.top_k = (uint32_t)a->top_k;
    options.max_tokens = (uint32_t)(a->tokens < UINT32_MAX ? a->tokens : UINT32_MAX);
    options.context_length = (uint32_t)a->context;
    options.ignore_end = a->ignore_end;
    if (options.max_tokens > 0)
        options.context_full = TS_CONTEXT_FULL_SLIDE; /* so many were asked for */
    if (a->ignore_end && options.max_tokens == 0)
        return failed_because("--ignore-end needs --tokens, or the story would have no end");
    if (ts_model_open(&model, a->runtime, a->model, NULL) != TS_OK)
        return failed();
    uint64_t seed = a->seed_given ? a->seed : (uint64_t)time(NULL);
    ts_status status = ts_sampler_new(&sampler, model, &options);
    for (uint64_t i = 0; i < a->count && status == TS_OK && !ferror(stdout); i++) {
        if (i > 0)
            printf("<|endoftext|>\n");
        status = tell(sampler, prompt, seed + i);
        if (status == TS_OK)
            putchar('\n');
    }
    ts_sampler_free(sampler);
    ts_model_free(model);
    return status == TS_OK ? 0 : failed();
}

static int32_t show_stories(void *user, uint64_t done, uint64_t total)
{
    const arguments *a = user;
    char line[64];
    (void)total;
    snprintf(line, sizeof line, "scored %llu", (unsigned long long)done);
    if (!a->quiet)
        show_progress(line);
    return 0;
}

int run_evaluate_loss(arguments *a)
{
    ts_model *model;
    ts_score score = {.struct_size = sizeof score};
    if (ts_model_open(&model, a->runtime, a->model, NULL) != TS_OK)
        return failed();
    ts_status status = ts_model_score_files(model, a->text, a->text_count, &score, show_stories, a);
    ts_model_free(model);
    if (status != TS_OK)
        return failed();
    if (a->json) {
        putchar('{');
        print_json_number("nats_per_token", score.nats_per_token, false);
        print_json_number("bits_per_byte", score.bits_per_byte, false);
        print_json_number("perplexity", score.perplexity, false);
        printf("\"tokens\": %llu, \"bytes\": %llu, \"stories\": %llu}\n", (unsigned long long)score.tokens, (unsigned long long)score.bytes,
               (unsigned long long)score.stories);
    } else {
        printf("%.4f nats per token, %.4f bits per byte, perplexity %.3f (%llu tokens, %llu bytes, %llu stories)\n", score.nats_per_token,
               score.bits_per_byte, score.perplexity, (unsigned long long)score.tokens, (unsigned long long)score.bytes, (unsigned long long)score.stories);
    }
    return 0;
}

/* dataset generate, and the commands of tokenizers. */
#include "cli.h"

#include <string.h>

static int32_t show_count(void *user, uint64_t done, uint64_t total)
{
    const arguments *a = user;
    char line[100];
    if (a->quiet)
        return stop_asked();
    if (total > 0)
        snprintf(line, sizeof line, "%llu of %llu", (unsigned long long)done, (unsigned long long)total);
    else
        snprintf(line, sizeof line, "%llu", (unsigned long long)done);
    show_progress(line);
    return stop_asked();
}

/* Stories to standard output as text, one after another. */
static ts_status print_stories(ts_generator *generator, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        ts_story story = {.struct_size = sizeof story};
        ts_status status = ts_generator_next(generator, &story);
        if (status != TS_OK)
            return status;
        printf("%s\n<|endoftext|>\n", story.story);
    }
    return TS_OK;
}

int run_dataset_generate(arguments *a)
{
    ts_generator *generator;
    ts_generator_options options;
    ts_generator_options_init(&options, sizeof options);
    options.seed = a->seed;
    options.first = a->first;
    options.vocabulary = a->vocabulary;
    if (ts_generator_new(&generator, a->runtime, &options) != TS_OK)
        return failed();
    ts_status status = strcmp(a->out, "-") == 0 ? print_stories(generator, a->count) : ts_generator_write(generator, a->count, a->out, show_count, a);
    ts_generator_free(generator);
    return status == TS_OK ? 0 : failed();
}

static int save_tokenizer(const arguments *a, ts_tokenizer *tokenizer)
{
    ts_status status = ts_tokenizer_save(tokenizer, a->out);
    if (status == TS_OK && !a->quiet)
        fprintf(stderr, "%s: %u tokens\n", a->out, ts_tokenizer_size(tokenizer));
    ts_tokenizer_free(tokenizer);
    return status == TS_OK ? 0 : failed();
}

int run_tokenizer_train(arguments *a)
{
    ts_tokenizer *tokenizer;
    ts_tokenizer_train_options options;
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = (uint32_t)a->size;
    options.min_frequency = (uint32_t)a->min_frequency;
    options.progress = show_count;
    options.progress_user = a;
    if (!can_write(a->out))
        return 1;
    catch_signals();
    if (ts_tokenizer_train_files(&tokenizer, a->runtime, a->in, a->in_count, &options) != TS_OK)
        return failed();
    return save_tokenizer(a, tokenizer);
}

int run_tokenizer_prune(arguments *a)
{
    ts_tokenizer *whole, *pruned;
    if (ts_tokenizer_open(&whole, a->runtime, a->tokenizer) != TS_OK)
        return failed();
    ts_status status = ts_tokenizer_prune_files(&pruned, whole, (uint32_t)a->size, a->in, a->in_count);
    ts_tokenizer_free(whole);
    return status == TS_OK ? save_tokenizer(a, pruned) : failed();
}

int run_tokenizer_encode(arguments *a)
{
    ts_tokenizer *tokenizer;
    ts_shard_report report = {.struct_size = sizeof report};
    if (ts_tokenizer_open(&tokenizer, a->runtime, a->tokenizer) != TS_OK)
        return failed();
    catch_signals();
    ts_status status = ts_tokenizer_encode_files(tokenizer, a->in, a->in_count, a->out, &report, show_count, a);
    ts_tokenizer_free(tokenizer);
    if (status != TS_OK)
        return failed();
    if (a->json)
        printf("{\"stories\": %llu, \"tokens\": %llu, \"bytes\": %llu}\n", (unsigned long long)report.stories, (unsigned long long)report.tokens,
               (unsigned long long)report.bytes);
    else
        printf("%llu stories, %llu tokens, %llu bytes\n", (unsigned long long)report.stories, (unsigned long long)report.tokens,
               (unsigned long long)report.bytes);
    return 0;
}

int run_tokenizer_decode(arguments *a)
{
    ts_tokenizer *tokenizer;
    const char *shard = a->shard ? a->shard : a->in_count == 1 ? a->in[0] : NULL;
    if (shard == NULL)
        return failed_because("--in needs one token shard");
    if (ts_tokenizer_open(&tokenizer, a->runtime, a->tokenizer) != TS_OK)
        return failed();
    ts_status status = ts_tokenizer_decode_shard(tokenizer, shard, a->out);
    ts_tokenizer_free(tokenizer);
    return status == TS_OK ? 0 : failed();
}

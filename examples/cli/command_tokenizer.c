/* tokenizer train, prune, encode, decode, convert */
#include <stdio.h>
#include <string.h>

#include "cli.h"

typedef struct tokenizer_values {
    cli_common common;
    cli_paths in;
    const char *tokenizer, *shard, *out;
    uint32_t size;
    ts_tokenizer_train_options options;
} tokenizer_values;

static void tokenizer_defaults(void *values)
{
    tokenizer_values *v = values;
    ts_tokenizer_train_options_init(&v->options, sizeof v->options);
}

/* Saves a new tokenizer and says what it is, unless it went to standard output itself. */
static ts_status save(const ts_tokenizer *tokenizer, const tokenizer_values *v)
{
    char fingerprint[32];
    ts_status status = ts_tokenizer_save(tokenizer, v->out);
    if (status != TS_OK || strcmp(v->out, "-") == 0)
        return status;
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)ts_tokenizer_fingerprint(tokenizer));
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_integer(&o, "tokens", ts_tokenizer_size(tokenizer));
    cli_text(&o, "fingerprint", fingerprint);
    cli_output_end(&o);
    return TS_OK;
}

static ts_status train(void *values)
{
    tokenizer_values *v = values;
    cli_progress progress;
    ts_tokenizer *tokenizer = NULL;
    CLI_TRY(cli_check_out(&v->common, v->out, true));
    cli_progress_start(&progress, &v->common, "training the tokenizer", "merges");
    v->options.progress = cli_progress_tokenizer;
    v->options.progress_user = &progress;
    ts_status status = ts_tokenizer_train_files(&tokenizer, v->common.runtime, v->in.items, v->in.count, &v->options);
    cli_progress_end(&progress);
    if (status == TS_OK)
        status = save(tokenizer, v);
    ts_tokenizer_free(tokenizer);
    return status;
}

static ts_status prune(void *values)
{
    tokenizer_values *v = values;
    cli_progress progress;
    ts_tokenizer *tokenizer = NULL, *smaller = NULL;
    CLI_TRY(cli_check_out(&v->common, v->out, true));
    CLI_TRY(ts_tokenizer_open(&tokenizer, v->common.runtime, v->tokenizer));
    cli_progress_start(&progress, &v->common, "pruning", "bytes"); /* a signal lets the file become whole */
    ts_status status = ts_tokenizer_prune_files(&smaller, tokenizer, v->size, v->in.items, v->in.count);
    if (status == TS_OK)
        status = save(smaller, v);
    ts_tokenizer_free(smaller);
    ts_tokenizer_free(tokenizer);
    return status;
}

static ts_status encode(void *values)
{
    tokenizer_values *v = values;
    cli_progress progress;
    ts_tokenizer *tokenizer = NULL;
    ts_shard_report report = {.struct_size = sizeof report};
    CLI_TRY(cli_check_out(&v->common, v->out, false));
    CLI_TRY(ts_tokenizer_open(&tokenizer, v->common.runtime, v->tokenizer));
    cli_progress_start(&progress, &v->common, "encoding", "bytes");
    ts_status status = ts_tokenizer_encode_files(tokenizer, v->in.items, v->in.count, v->out, &report, cli_progress_tell, &progress);
    cli_progress_end(&progress);
    ts_tokenizer_free(tokenizer);
    CLI_TRY(status);
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_integer(&o, "stories", report.stories);
    cli_integer(&o, "tokens", report.tokens);
    cli_integer(&o, "bytes", report.bytes);
    cli_number(&o, "bytes_per_token", (double)report.bytes / (double)report.tokens, 2);
    cli_output_end(&o);
    return TS_OK;
}

static ts_status decode(void *values)
{
    tokenizer_values *v = values;
    cli_progress progress;
    ts_tokenizer *tokenizer = NULL;
    CLI_TRY(cli_check_out(&v->common, v->out, true));
    CLI_TRY(ts_tokenizer_open(&tokenizer, v->common.runtime, v->tokenizer));
    cli_progress_start(&progress, &v->common, "decoding", "bytes"); /* likewise */
    ts_status status = ts_tokenizer_decode_shard(tokenizer, v->shard, v->out);
    ts_tokenizer_free(tokenizer);
    if (status != TS_OK || strcmp(v->out, "-") == 0)
        return status;
    cli_output o = cli_output_start(&v->common);
    cli_text(&o, "file", v->out);
    cli_output_end(&o);
    return TS_OK;
}

static ts_status convert(void *values)
{
    tokenizer_values *v = values;
    ts_tokenizer *tokenizer = NULL;
    CLI_TRY(cli_check_out(&v->common, strcmp(v->out, "-") == 0 ? v->out : NULL, true)); /* folders are fine */
    CLI_TRY(ts_tokenizer_open(&tokenizer, v->common.runtime, v->tokenizer));
    ts_status status = save(tokenizer, v);
    ts_tokenizer_free(tokenizer);
    return status;
}

/* clang-format off */
#define OFFSET(member) offsetof(tokenizer_values, member)
static const cli_argument train_arguments[] = {
    {"--in", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(in), 0, 0, NULL, "files of stories; - for standard input"},
    {"--out", "FILE", CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "the tokenizer.json to write; - for standard output"},
    {"--size", "N", CLI_UINT32, 0, OFFSET(options.vocabulary_size), 257, 1048576, NULL, "tokens in all, bytes and end of text included"},
    {"--min-frequency", "N", CLI_UINT32, 0, OFFSET(options.min_frequency), 1, 0, NULL, "a pair must occur this often to be merged"},
    {"--max-words", "N", CLI_UINT64, 0, OFFSET(options.max_words), 1024, 1 << 30, NULL, "distinct words held at once; beyond it the rarest are forgotten"},
};

static const cli_argument prune_arguments[] = {
    {"--tokenizer", "T", CLI_TEXT, CLI_REQUIRED, OFFSET(tokenizer), 0, 0, NULL, "the tokenizer to begin with: a file, folder or model"},
    {"--in", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(in), 0, 0, NULL, "files of stories in which its tokens are counted; - for standard input"},
    {"--size", "N", CLI_UINT32, CLI_REQUIRED, OFFSET(size), 257, 1048576, NULL, "tokens to keep; bytes, specials and merge ancestors count"},
    {"--out", "FILE", CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "the tokenizer.json to write; - for standard output"},
};

static const cli_argument encode_arguments[] = {
    {"--tokenizer", "T", CLI_TEXT, CLI_REQUIRED, OFFSET(tokenizer), 0, 0, NULL, "tokenizer.json, a folder with vocab.json and merges.txt, or a model"},
    {"--in", "TEXT", CLI_PATHS, CLI_REQUIRED, OFFSET(in), 0, 0, NULL, "files of stories; - for standard input"},
    {"--out", "SHARD", CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "the token shard to write, a .bin as llm.c reads it"},
};

static const cli_argument decode_arguments[] = {
    {"--tokenizer", "T", CLI_TEXT, CLI_REQUIRED, OFFSET(tokenizer), 0, 0, NULL, "the tokenizer that the shard was made with"},
    {"--in", "SHARD", CLI_TEXT, CLI_REQUIRED, OFFSET(shard), 0, 0, NULL, "a token shard (.bin); .u16 and .u16.bin are read as ids without a header"},
    {"--out", "TEXT", CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "the .txt or .txt.gz to write; - for standard output"},
};

static const cli_argument convert_arguments[] = {
    {"A", NULL, CLI_TEXT, CLI_REQUIRED, OFFSET(tokenizer), 0, 0, NULL, "the tokenizer: a file, folder or model"},
    {"B", NULL, CLI_TEXT, CLI_REQUIRED, OFFSET(out), 0, 0, NULL, "what to write; - for a tokenizer.json on standard output"},
};

#define ROWS(verb) verb##_arguments, CLI_COUNT_OF(verb##_arguments)
#define COMMAND(verb, summary) {"tokenizer", #verb, summary, NULL, ROWS(verb), sizeof(tokenizer_values), tokenizer_defaults, verb}
const cli_command cli_tokenizer_commands[] = {
    COMMAND(train, "train a byte-level BPE tokenizer on stories"),
    COMMAND(prune, "keep the tokens that a text uses most"),
    COMMAND(encode, "turn stories into a token shard"),
    COMMAND(decode, "turn a token shard into stories"),
    {"tokenizer", "convert", "write a tokenizer in another format",
     "B says the format: NAME.json is a tokenizer.json, NAME.gguf a GGUF file of the vocabulary alone, NAME.tiktoken a rank file as tiktoken reads it,\n"
     "NAME.bin a tokenizer.bin of llama2.c, and a folder that is there gets vocab.json and merges.txt.",
     ROWS(convert), sizeof(tokenizer_values), tokenizer_defaults, convert},
    {0},
};

/* Chat services on the command line: the key of the environment, dry runs, and what a run came to. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

const char cli_chat_notes[] =
    "The key comes from --key-file, or from the environment variable TINYSTORIES_API_KEY; for the default --base-url, and for no other, OPENAI_API_KEY\n"
    "will do too. Without a key none is sent. Every reply is in the journal before it is used: after an interruption of any kind the same command goes\n"
    "on, and nothing is paid for twice that the journal has. The first Ctrl-C lets what is in flight come in, the second gives it up.";

void cli_chat_defaults(cli_chat *chat)
{
    ts_chat_options_init(&chat->options, sizeof chat->options);
}

ts_status cli_refuse_part(const cli_common *common, const void *part, size_t size, const char *author)
{
    const cli_command *command = common->command;
    size_t begin = (size_t)((const char *)part - (const char *)common);
    for (size_t i = 0; i < command->argument_count; i++) {
        const cli_argument *argument = &command->arguments[i];
        if (argument->offset >= begin && argument->offset < begin + size && cli_given(common, argument->name))
            return cli_usage("%s is for a chat service, but this is %s", argument->name, author);
    }
    return TS_OK;
}

ts_status cli_chat_refuse(const cli_common *common, const cli_chat *chat, const char *author)
{
    return cli_refuse_part(common, chat, sizeof *chat, author);
}

/* The library never reads the environment. A key for one service is not shown to another. */
static const char *key_of_environment(const cli_common *common)
{
    const char *key = getenv("TINYSTORIES_API_KEY");
    if ((key == NULL || *key == 0) && !cli_given(common, "--base-url"))
        key = getenv("OPENAI_API_KEY");
    return key != NULL && *key != 0 ? key : NULL;
}

/* A dry run leaves nothing behind: where there is no journal yet it works with one of its own. */
static ts_status make_scratch(cli_chat *chat)
{
    const char *parent = getenv("TMPDIR");
    snprintf(chat->folder, sizeof chat->folder, "%s/tinystories-XXXXXX", parent != NULL && strlen(parent) < 32 ? parent : "/tmp");
    if (mkdtemp(chat->folder) == NULL) {
        chat->folder[0] = 0;
        return cli_fail("no folder for a dry run can be made in '%s': %s", parent != NULL ? parent : "/tmp", strerror(errno));
    }
    snprintf(chat->scratch, sizeof chat->scratch, "%s/journal", chat->folder);
    chat->options.journal = chat->scratch;
    return TS_OK;
}

ts_status cli_chat_begin(const cli_common *common, cli_chat *chat, bool dry)
{
    ts_chat_options *o = &chat->options;
    if (o->model == NULL)
        return cli_usage("--model is missing: what the service calls the model to ask");
    if (o->journal == NULL && !dry)
        return cli_usage("--journal is missing: the file that keeps what is paid for");
    if (o->key_file == NULL)
        o->key = key_of_environment(common);
    o->max_seconds = chat->max_minutes * 60;
    return dry && (o->journal == NULL || access(o->journal, F_OK) != 0) ? make_scratch(chat) : TS_OK;
}

void cli_chat_end(cli_chat *chat)
{
    if (chat->folder[0] == 0)
        return;
    unlink(chat->scratch);
    rmdir(chat->folder);
}

void cli_chat_estimate(cli_output *o, const cli_chat *chat, const ts_chat_report *r)
{
    cli_integer(o, "requests", r->requests);
    cli_integer(o, "prompt_tokens", r->prompt_tokens);
    cli_integer(o, "most_completion_tokens", r->completion_tokens);
    if (chat->options.prices != NULL)
        cli_number(o, "most_money", r->money, 6);
}

void cli_chat_report(cli_output *o, const ts_chat_report *r)
{
    const struct {
        const char *key;
        uint64_t value;
    } all[] = {{"requests", r->requests},           {"answered", r->answered},
               {"cut", r->cut},                     {"filtered", r->filtered},
               {"invalid", r->invalid},             {"retries", r->retries},
               {"unknown", r->unknown},             {"possibly_paid_twice", r->possibly_paid_twice},
               {"prompt_tokens", r->prompt_tokens}, {"completion_tokens", r->completion_tokens},
               {"estimated_tokens", r->estimated_tokens}, {"reserved_tokens", r->reserved_tokens},
               {"doubtful_tokens", r->doubtful_tokens}, {"damaged_lines", r->damaged_lines},
               {"unfit", r->unfit},                 {"repeated", r->repeated}};
    cli_open(o, "journal", '{');
    for (size_t i = 0; i < CLI_COUNT_OF(all); i++)
        if (o->json || all[i].value > 0)
            cli_integer(o, all[i].key, all[i].value);
    if (o->json || r->money > 0)
        cli_number(o, "money", r->money, 6);
    if (o->json || r->reserved_money > 0)
        cli_number(o, "reserved_money", r->reserved_money, 6);
    if (o->json || r->doubtful_money > 0)
        cli_number(o, "doubtful_money", r->doubtful_money, 6);
    cli_close(o, '}');
}

ts_status cli_chat_failed(const char *reason, const cli_chat *chat, const ts_chat_report *r)
{
    char money[64] = "", unknown[96] = "";
    if (r->money > 0)
        snprintf(money, sizeof money, ", %.6g of money", r->money);
    if (r->unknown > 0)
        snprintf(unknown, sizeof unknown, ", %llu requests of unknown outcome", (unsigned long long)r->unknown);
    return cli_fail("%s; %s has %llu replies, %llu tokens%s%s: the same command goes on", reason, chat->options.journal,
                    (unsigned long long)(r->answered + r->cut + r->filtered + r->invalid),
                    (unsigned long long)(r->prompt_tokens + r->completion_tokens), money, unknown);
}

/* What a command asks a chat service for before it writes: shown, asked for by batches, and divided into shards. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli.h"

enum { PROMPTS_SHOWN = 3, MOST_PROMPT = 4 << 20 };

ts_status cli_shard(const char *text, uint32_t *shard, uint32_t *shards)
{
    unsigned number, count;
    char more;
    if (text == NULL)
        return TS_OK;
    if (sscanf(text, "%9u/%9u%c", &number, &count, &more) != 2 || count == 0 || number >= count)
        return cli_fail("--shard is '%s', expected i/N with i from 0 to N - 1", text);
    *shard = number;
    *shards = count;
    return TS_OK;
}

/* ---- what would be asked first, and what it all would cost at most ---- */

static ts_status show_prompt(cli_output *o, const cli_asked *a, uint64_t place, char *text)
{
    size_t size = 0;
    CLI_TRY(a->prompt(a->user, place, text, MOST_PROMPT, &size));
    if (o->json)
        cli_text_sized(o, NULL, text, size);
    else
        cli_print_plain(o->file, text, size);
    if (!o->json)
        fputs("\n\n", o->file);
    return TS_OK;
}

ts_status cli_show_plan(const cli_asked *a, const char *key)
{
    ts_chat_report report = {.struct_size = sizeof report};
    char *text = malloc(MOST_PROMPT);
    cli_output o = cli_output_start(a->common);
    ts_status status = text != NULL ? a->estimate(a->user, &report) : cli_fail("there is no memory");
    cli_open(&o, key, '[');
    for (uint64_t i = 0; i < a->prompts && i < PROMPTS_SHOWN && status == TS_OK; i++)
        status = show_prompt(&o, a, i, text);
    cli_close(&o, ']');
    if (status == TS_OK) {
        cli_chat_estimate(&o, a->chat, &report);
        cli_output_end(&o);
    }
    free(text);
    return status;
}

/* ---- batches ---- */

static void show_batches(const cli_asked *a, const ts_batch_report *r)
{
    const struct {
        const char *key;
        uint64_t value;
    } all[] = {{"left", r->left}, {"files", r->files}, {"requests", r->requests}, {"results", r->results}, {"known", r->known},
               {"failed", r->failed}, {"foreign", r->foreign}, {"waiting", r->waiting}, {"done", r->done}, {"total", r->total}};
    cli_output o = cli_output_start(a->common);
    for (size_t i = 0; i < CLI_COUNT_OF(all); i++)
        cli_integer(&o, all[i].key, all[i].value);
    cli_output_end(&o);
}

/* Sleeps in short pieces, so that a signal is heeded. */
static bool wait_for_poll(const cli_asked *a, cli_progress *progress, const ts_batch_report *report)
{
    double until = cli_clock() + a->asking->poll;
    while (cli_clock() < until && cli_interrupted() == 0) {
        const struct timespec moment = {0, 100000000};
        if (cli_progress_due(progress))
            cli_progress_line(progress, "batches: %llu at work, %llu of %llu requests done", (unsigned long long)report->waiting,
                              (unsigned long long)report->done, (unsigned long long)report->total);
        nanosleep(&moment, NULL);
    }
    return cli_interrupted() == 0;
}

/* By the service's endpoints until nothing is missing; with --poll 0 one step. */
static ts_status run_batches(const cli_asked *a, bool *complete)
{
    ts_batch_report report = {.struct_size = sizeof report};
    ts_chat_report bill = {.struct_size = sizeof bill};
    cli_progress progress;
    cli_progress_start(&progress, a->common, "batches", "requests");
    ts_status status;
    do {
        status = a->step(a->user, &report);
    } while (status == TS_OK && report.left > 0 && a->asking->poll > 0 && wait_for_poll(a, &progress, &report));
    cli_progress_end(&progress);
    *complete = status == TS_OK && report.left == 0;
    if (status != TS_OK || *complete)
        return status;
    if (cli_interrupted() > 0 && a->bill(a->user, &bill) == TS_OK)
        return cli_chat_failed("interrupted; the service works on", a->chat, &bill);
    show_batches(a, &report);
    return TS_OK;
}

/* Results that were fetched by hand; then the requests that are missing, if they are asked for. */
static ts_status run_batch_files(const cli_asked *a, bool *complete)
{
    ts_batch_report sum = {.struct_size = sizeof sum}, one = sum;
    for (size_t i = 0; i < a->asking->batch_read.count; i++) {
        CLI_TRY(a->read(a->user, a->asking->batch_read.items[i], &one));
        sum.results += one.results;
        sum.known += one.known;
        sum.failed += one.failed;
        sum.foreign += one.foreign;
        sum.left = one.left;
    }
    *complete = a->asking->batch_write == NULL && sum.left == 0;
    if (*complete)
        return TS_OK;
    if (a->asking->batch_write != NULL) {
        CLI_TRY(a->write(a->user, a->asking->batch_write, &one));
        sum.files = one.files;
        sum.requests = one.requests;
        sum.left = one.left;
    }
    show_batches(a, &sum);
    return TS_OK;
}

bool cli_asking_batches(const cli_asking *asking)
{
    return asking->batch || asking->batch_write != NULL || asking->batch_read.count > 0;
}

ts_status cli_asking_run(const cli_asked *a, bool *complete)
{
    *complete = !a->asking->dry && !cli_asking_batches(a->asking);
    for (size_t i = 0; i < a->asking->merge.count; i++)
        CLI_TRY(a->merge(a->user, a->asking->merge.items[i]));
    if (*complete)
        return TS_OK;
    return a->asking->dry ? cli_show_plan(a, "prompts") : a->asking->batch ? run_batches(a, complete) : run_batch_files(a, complete);
}

/* The trainer's interface in a build without it: the same symbols, one answer. */
#include "base/base.h"
#include "tinystories/trainer.h"

static ts_status absent(void)
{
    return ts_fail(TS_ERROR_UNSUPPORTED, "this build of the library has no trainer");
}

ts_status ts_trainer_options_init(ts_trainer_options *options, size_t struct_size)
{
    (void)options, (void)struct_size;
    return absent();
}

ts_status ts_trainer_new(ts_trainer **out, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture,
                         const ts_trainer_options *options)
{
    (void)out, (void)runtime, (void)tokenizer, (void)architecture, (void)options;
    return absent();
}

ts_status ts_trainer_resume(ts_trainer **out, ts_runtime *runtime, const char *path, const ts_trainer_options *options)
{
    (void)out, (void)runtime, (void)path, (void)options;
    return absent();
}

void ts_trainer_free(ts_trainer *trainer)
{
    (void)trainer;
}

ts_status ts_trainer_step(ts_trainer *trainer, ts_trainer_report *report)
{
    (void)trainer, (void)report;
    return absent();
}

int32_t ts_trainer_done(const ts_trainer *trainer)
{
    (void)trainer;
    return 1;
}

ts_status ts_trainer_run(ts_trainer *trainer, ts_trainer_progress progress, void *user)
{
    (void)trainer, (void)progress, (void)user;
    return absent();
}

ts_status ts_trainer_validate(ts_trainer *trainer, ts_score *score)
{
    (void)trainer, (void)score;
    return absent();
}

ts_status ts_trainer_save(ts_trainer *trainer, const char *path)
{
    (void)trainer, (void)path;
    return absent();
}

ts_status ts_trainer_snapshot(ts_trainer *trainer, ts_model **out)
{
    (void)trainer, (void)out;
    return absent();
}

ts_status ts_trainer_state(const ts_trainer *trainer, ts_trainer_report *report)
{
    (void)trainer, (void)report;
    return absent();
}

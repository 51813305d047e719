#include "model/model_files.h"
ts_status ts_huggingface_model_open(ts_model **out, ts_runtime *runtime, const char *folder, const ts_model_options *options)
{
    (void)out, (void)runtime, (void)options;
    return ts_fail(TS_ERROR_UNSUPPORTED, "%s: is a directory", folder);
}
ts_status ts_huggingface_model_save(const ts_model *model, const char *folder, int32_t type)
{
    (void)model, (void)type;
    return ts_fail(TS_ERROR_UNSUPPORTED, "%s: not written", folder);
}

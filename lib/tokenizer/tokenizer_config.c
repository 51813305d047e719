/* tokenizer_config.json, which lies beside a tokenizer.json: how transformers is to use it, and whether texts begin with a token. */
#include <stdio.h>

#include "text/text.h"
#include "tokenizer/vocabulary.h"

ts_status ts_tokenizer_read_config(const char *folder, ts_runtime *runtime, bool *begins)
{
    char path[4096], *text;
    size_t size;
    ts_json *json;
    *begins = true;
    snprintf(path, sizeof path, "%.4000s/tokenizer_config.json", folder);
    if (!ts_path_exists(path))
        return TS_OK;
    TS_TRY(ts_file_read(runtime, path, TS_TOKENIZER_MAX_FILE, &text, &size));
    ts_status status = ts_json_parse(&json, runtime, text, size, TS_TOKENIZER_MAX_FILE, path);
    ts_release(runtime, text);
    TS_TRY(status);
    const ts_json *value = ts_json_get(json, "add_bos_token");
    bool null = value != NULL && ts_json_kind_of(value) == TS_JSON_NULL;
    if (value != NULL && !null && !ts_json_bool(value, begins))
        status = ts_fail(TS_ERROR_FORMAT, "%s: add_bos_token is neither true nor false", path);
    ts_json_free(json);
    return status;
}

/* The special token that text without a token becomes; TS_TOKENIZER_NONE: with all bytes there is none such. */
static uint32_t unknown_of(const ts_tokenizer *t)
{
    return t->vocabulary.wordpiece ? t->vocabulary.unknown : t->vocabulary.sentencepiece ? ts_tokenizer_find(t, "<unk>", 5) : TS_TOKENIZER_NONE;
}

/* The class reads any tokenizer.json as it is: those that are named for models put their own rules in place of the file's. */
ts_status ts_tokenizer_config_to_json(const ts_tokenizer *tokenizer, uint32_t context_length, ts_bytes *json)
{
    const struct {
        const char *key;
        uint32_t id;
    } tokens[] = {{"bos_token", tokenizer->begin_of_text}, {"eos_token", tokenizer->end_of_text}, {"unk_token", unknown_of(tokenizer)}};
    TS_TRY(ts_bytes_format(json, "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"model_max_length\": %u,\n", context_length));
    for (size_t i = 0; i < TS_COUNT_OF(tokens); i++) {
        size_t size;
        if (!ts_tokenizer_is_special(tokenizer, tokens[i].id))
            continue;
        const char *bytes = ts_tokenizer_token(tokenizer, tokens[i].id, &size);
        TS_TRY(ts_bytes_format(json, "  \"%s\": ", tokens[i].key));
        TS_TRY(ts_json_string(json, bytes, size));
        TS_TRY(ts_bytes_format(json, ",\n"));
    }
    if (tokenizer->vocabulary.no_begin)
        TS_TRY(ts_bytes_format(json, "  \"add_bos_token\": false,\n"));
    return ts_bytes_format(json, "  \"clean_up_tokenization_spaces\": false\n}\n");
}

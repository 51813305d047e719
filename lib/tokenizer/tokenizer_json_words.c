/* WordPiece as Hugging Face's tokenizer.json has it, with the normalizer and the pre-tokenizer of the SimpleStories models and no others. */
#include "format/format.h"
#include "text/text.h"
#include "tokenizer/vocabulary.h"

static bool text_is(const ts_json *value, const char *text)
{
    return ts_json_text(value) != NULL && strcmp(ts_json_text(value), text) == 0;
}

static bool type_is(const ts_json *value, const char *type)
{
    return text_is(ts_json_get(value, "type"), type);
}

static bool replaces(const ts_json *step, const char *what)
{
    return type_is(step, "Replace") && text_is(ts_json_get(ts_json_get(step, "pattern"), "String"), what) && text_is(ts_json_get(step, "content"), "\"");
}

/* [Lowercase, Replace `` by ", Replace '' by "] */
static bool makes_small(const ts_json *normalizer)
{
    const ts_json *steps = ts_json_get(normalizer, "normalizers"), *one = ts_json_first(steps), *two = one ? ts_json_next(one) : NULL,
                  *three = two ? ts_json_next(two) : NULL;
    return type_is(normalizer, "Sequence") && ts_json_count(steps) == 3 && type_is(one, "Lowercase") && replaces(two, "``") && replaces(three, "''");
}

/* Whitespace, Punctuation and Digits, in any order: each of them cuts what the others left. */
static bool cuts_words(const ts_json *pre)
{
    const ts_json *steps = ts_json_get(pre, "pretokenizers");
    bool spaces = false, punctuation = false, digits = false;
    for (const ts_json *step = ts_json_first(steps); step != NULL; step = ts_json_next(step)) {
        bool single = false;
        spaces |= type_is(step, "Whitespace");
        punctuation |= type_is(step, "Punctuation") && text_is(ts_json_get(step, "behavior"), "Isolated");
        digits |= type_is(step, "Digits") && ts_json_bool(ts_json_get(step, "individual_digits"), &single) && single;
    }
    return type_is(pre, "Sequence") && ts_json_count(steps) == 3 && spaces && punctuation && digits;
}

ts_status ts_words_check_json(const ts_json *root, const char *name)
{
    const ts_json *model = ts_json_get(root, "model"), *decoder = ts_json_get(root, "decoder");
    uint64_t longest = 0;
    bool cleanup = false;
    if (!makes_small(ts_json_get(root, "normalizer")))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: model.type is \"WordPiece\"; then the normalizer must be Lowercase and the Replace of `` and '' by \"", name);
    if (!cuts_words(ts_json_get(root, "pre_tokenizer")))
        return ts_fail(TS_ERROR_UNSUPPORTED,
                       "%s: model.type is \"WordPiece\"; then the pre_tokenizer must be Whitespace, Punctuation (isolated) and Digits (individual)", name);
    if (!text_is(ts_json_get(model, "continuing_subword_prefix"), "##"))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: model.continuing_subword_prefix is not \"##\"", name);
    if (!ts_json_whole(ts_json_get(model, "max_input_chars_per_word"), &longest) || longest != 100)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: model.max_input_chars_per_word is not 100", name);
    if (!type_is(decoder, "WordPiece") || !text_is(ts_json_get(decoder, "prefix"), "##") || !ts_json_bool(ts_json_get(decoder, "cleanup"), &cleanup) || !cleanup)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: the decoder is not WordPiece with the prefix \"##\" and cleanup", name);
    return ts_json_text(ts_json_get(model, "unk_token")) != NULL ? TS_OK : ts_fail(TS_ERROR_FORMAT, "%s: model.unk_token is no string", name);
}

static ts_status write_all(ts_bytes *json, ts_bytes *scratch, const ts_vocabulary *v)
{
    TS_TRY(ts_bytes_format(json, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n"));
    TS_TRY(ts_json_write_added(json, v));
    TS_TRY(ts_bytes_format(json, "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [\n    {\"type\": \"Lowercase\"},\n"
                                 "    {\"type\": \"Replace\", \"pattern\": {\"String\": \"``\"}, \"content\": \"\\\"\"},\n"
                                 "    {\"type\": \"Replace\", \"pattern\": {\"String\": \"''\"}, \"content\": \"\\\"\"}\n  ]},\n"
                                 "  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n    {\"type\": \"Whitespace\"},\n"
                                 "    {\"type\": \"Punctuation\", \"behavior\": \"Isolated\"},\n    {\"type\": \"Digits\", \"individual_digits\": true}\n  ]},\n"
                                 "  \"post_processor\": null,\n  \"decoder\": {\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true},\n"
                                 "  \"model\": {\n    \"type\": \"WordPiece\",\n    \"unk_token\": "));
    TS_TRY(ts_wordpiece_text(scratch, v, v->unknown));
    TS_TRY(ts_json_string(json, scratch->data, scratch->size));
    TS_TRY(ts_bytes_format(json, ",\n    \"continuing_subword_prefix\": \"##\",\n    \"max_input_chars_per_word\": 100,\n    \"vocab\": {"));
    for (uint32_t id = 0; id < v->count; id++) {
        scratch->size = 0;
        TS_TRY(ts_wordpiece_text(scratch, v, id));
        TS_TRY(ts_bytes_format(json, "%s\n      ", id ? "," : ""));
        TS_TRY(ts_json_string(json, scratch->data, scratch->size));
        TS_TRY(ts_bytes_format(json, ": %u", id));
    }
    return ts_bytes_format(json, "\n    }\n  }\n}\n");
}

ts_status ts_words_write_json(ts_bytes *json, const ts_tokenizer *tokenizer)
{
    ts_bytes scratch = {.runtime = json->runtime};
    ts_status status = write_all(json, &scratch, &tokenizer->vocabulary);
    ts_bytes_free(&scratch);
    return status;
}

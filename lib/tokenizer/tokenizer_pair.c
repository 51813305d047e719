/* vocab.json with merges.txt, written as GPT-2's own files are. */
#include <stdio.h>

#include "text/text.h"
#include "tokenizer/vocabulary.h"

static const char marker[] = "<|endoftext|>"; /* the one special token that these files know */

static ts_status add_text(ts_bytes *text, const ts_vocabulary *v, uint32_t id)
{
    size_t size;
    const char *bytes = ts_vocabulary_bytes(v, id, &size);
    return v->kinds[id] == TS_TOKEN_SPECIAL ? ts_bytes_add(text, bytes, size) : ts_alphabet_encode(text, bytes, size);
}

static ts_status vocabulary_text(ts_bytes *json, ts_bytes *scratch, const ts_vocabulary *v)
{
    TS_TRY(ts_bytes_add(json, "{", 1));
    for (uint32_t id = 0; id < v->count; id++) {
        scratch->size = 0;
        TS_TRY(add_text(scratch, v, id));
        if (v->kinds[id] == TS_TOKEN_SPECIAL && (scratch->size != sizeof marker - 1 || memcmp(scratch->data, marker, scratch->size) != 0))
            return ts_fail(TS_ERROR_UNSUPPORTED, "vocab.json knows no special token but %s, this tokenizer has \"%.*s\"", marker,
                           (int)TS_MIN(scratch->size, 100), scratch->data);
        TS_TRY(ts_bytes_add(json, ", ", id > 0 ? 2 : 0));
        TS_TRY(ts_json_string(json, scratch->data, scratch->size));
        TS_TRY(ts_bytes_format(json, ": %u", id));
    }
    return ts_bytes_add(json, "}", 1);
}

static ts_status merges_text(ts_bytes *text, const ts_vocabulary *v)
{
    TS_TRY(ts_bytes_format(text, "#version: 0.2\n"));
    for (uint32_t rank = 0; rank < v->merge_count; rank++) {
        TS_TRY(add_text(text, v, v->merges[rank][0]));
        TS_TRY(ts_bytes_add(text, " ", 1));
        TS_TRY(add_text(text, v, v->merges[rank][1]));
        TS_TRY(ts_bytes_add(text, "\n", 1));
    }
    return TS_OK;
}

static ts_status write_in(const char *folder, const char *file, const ts_bytes *text)
{
    char path[4096];
    ts_writer writer;
    snprintf(path, sizeof path, "%.4000s/%s", folder, file);
    TS_TRY(ts_writer_open(&writer, text->runtime, path));
    ts_writer_bytes(&writer, text->data, text->size);
    return ts_writer_commit(&writer);
}

ts_status ts_tokenizer_write_pair(const ts_tokenizer *tokenizer, const char *folder)
{
    const ts_vocabulary *v = &tokenizer->vocabulary;
    ts_bytes json = {.runtime = tokenizer->runtime}, merges = {.runtime = tokenizer->runtime}, scratch = {.runtime = tokenizer->runtime};
    if (!ts_tokenizer_is_byte_level(tokenizer))
        return ts_fail(TS_ERROR_UNSUPPORTED, "vocab.json with merges.txt takes a byte-level BPE alone, this is another kind of tokenizer");
    ts_status status = vocabulary_text(&json, &scratch, v);
    if (status == TS_OK)
        status = merges_text(&merges, v);
    if (status == TS_OK)
        status = write_in(folder, "merges.txt", &merges);
    if (status == TS_OK)
        status = write_in(folder, "vocab.json", &json);
    ts_bytes_free(&json);
    ts_bytes_free(&merges);
    ts_bytes_free(&scratch);
    return status;
}

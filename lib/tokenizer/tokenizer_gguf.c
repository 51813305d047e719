/* The vocabulary inside a GGUF file: tokens in the byte alphabet, their types, merges as "left right". */
#include <stdio.h>

#include "tokenizer/vocabulary.h"

enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4, TYPE_UNUSED = 5 };

static ts_status read_tokens(ts_vocabulary *v, ts_gguf *gguf)
{
    ts_gguf_strings tokens;
    const int32_t *types;
    size_t type_count, size;
    const char *text;
    TS_TRY(ts_gguf_get_strings(gguf, "tokenizer.ggml.tokens", &tokens));
    TS_TRY(ts_gguf_get_i32s(gguf, "tokenizer.ggml.token_type", &types, &type_count));
    if (type_count != tokens.count)
        return ts_fail(TS_ERROR_FORMAT, "tokenizer.ggml.token_type has %zu elements, tokenizer.ggml.tokens %zu", type_count, tokens.count);
    while (type_count > 0 && types[type_count - 1] == TYPE_UNUSED)
        type_count--; /* rows of the embedding beyond the tokenizer's tokens */
    for (size_t id = 0; id < type_count && ts_gguf_strings_next(&tokens, &text, &size); id++) {
        char bytes[TS_TOKENIZER_MAX_TOKEN];
        bool special = types[id] == TYPE_CONTROL || types[id] == TYPE_USER_DEFINED;
        if (size == 0 || size > sizeof bytes)
            return ts_fail(TS_ERROR_LIMIT, "tokenizer.ggml.tokens[%zu] has %zu bytes, expected 1 to %zu", id, size, sizeof bytes);
        if (!special) {
            TS_TRY(ts_alphabet_decode(text, size, bytes, &size, "tokenizer.ggml.tokens"));
            text = bytes;
        }
        TS_TRY(ts_vocabulary_token(v, text, size, special));
    }
    return TS_OK;
}

/* Merges name tokens by their text: found in an index of the tokens alone. */
static ts_status read_merges(ts_vocabulary *v, ts_gguf *gguf, const ts_tokenizer *index)
{
    ts_gguf_strings merges;
    const char *text;
    size_t size;
    TS_TRY(ts_gguf_get_strings(gguf, "tokenizer.ggml.merges", &merges));
    while (ts_gguf_strings_next(&merges, &text, &size)) {
        const char *space = size > 2 && size <= 2 * TS_TOKENIZER_MAX_TOKEN ? memchr(text + 1, ' ', size - 1) : NULL;
        uint32_t ids[2];
        if (space == NULL)
            return ts_fail(TS_ERROR_FORMAT, "tokenizer.ggml.merges[%u] is not two tokens with a space between", v->merge_count);
        for (int side = 0; side < 2; side++) {
            char bytes[2 * TS_TOKENIZER_MAX_TOKEN];
            const char *part = side ? space + 1 : text;
            size_t part_size = side ? size - (size_t)(space - text) - 1 : (size_t)(space - text);
            TS_TRY(ts_alphabet_decode(part, part_size, bytes, &part_size, "tokenizer.ggml.merges"));
            ids[side] = ts_tokenizer_find(index, bytes, part_size);
        }
        if (ids[0] == TS_TOKENIZER_NONE || ids[1] == TS_TOKENIZER_NONE)
            return ts_fail(TS_ERROR_FORMAT, "tokenizer.ggml.merges[%u] joins what is no token", v->merge_count);
        TS_TRY(ts_vocabulary_merge(v, ids[0], ids[1]));
    }
    return TS_OK;
}

static ts_status read_vocabulary(ts_vocabulary *v, ts_vocabulary *tokens, ts_gguf *gguf)
{
    const char *model;
    ts_tokenizer *index;
    uint32_t end = TS_TOKENIZER_NONE;
    TS_TRY(ts_gguf_get_string(gguf, "tokenizer.ggml.model", &model, NULL));
    if (strcmp(model, "gpt2") != 0)
        return ts_fail(TS_ERROR_UNSUPPORTED, "tokenizer.ggml.model is \"%.60s\", expected \"gpt2\"", model);
    if (ts_gguf_has(gguf, "tokenizer.ggml.pre")) {
        TS_TRY(ts_gguf_get_string(gguf, "tokenizer.ggml.pre", &model, NULL));
        if (strcmp(model, "gpt-2") != 0 && strcmp(model, "gpt2") != 0 && strcmp(model, "default") != 0)
            return ts_fail(TS_ERROR_UNSUPPORTED, "tokenizer.ggml.pre is \"%.60s\", expected \"gpt-2\"", model);
    }
    TS_TRY(read_tokens(v, gguf));
    TS_TRY(read_tokens(tokens, gguf));
    TS_TRY(ts_tokenizer_make(&index, tokens, "tokenizer.ggml.tokens"));
    ts_status status = read_merges(v, gguf, index);
    ts_tokenizer_free(index);
    TS_TRY(status);
    if (ts_gguf_has(gguf, "tokenizer.ggml.eos_token_id"))
        TS_TRY(ts_gguf_get_u32(gguf, "tokenizer.ggml.eos_token_id", &end));
    v->end_of_text = end;
    return TS_OK;
}

ts_status ts_tokenizer_from_gguf(ts_tokenizer **out, ts_runtime *runtime, ts_gguf *gguf)
{
    ts_vocabulary vocabulary, tokens;
    ts_vocabulary_init(&vocabulary, runtime);
    ts_vocabulary_init(&tokens, runtime);
    ts_status status = read_vocabulary(&vocabulary, &tokens, gguf);
    ts_vocabulary_free(&tokens);
    if (status != TS_OK) {
        ts_vocabulary_free(&vocabulary);
        return status;
    }
    return ts_tokenizer_make(out, &vocabulary, "tokenizer.ggml");
}

/* Failures are the writer's to tell. */
void ts_tokenizer_to_gguf(const ts_tokenizer *tokenizer, ts_gguf_writer *writer, uint32_t vocabulary_size)
{
    const ts_vocabulary *v = &tokenizer->vocabulary;
    ts_bytes text = {.runtime = writer->runtime};
    int32_t *types = ts_allocate_array(writer->runtime, vocabulary_size, sizeof *types);
    ts_status status = types ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    ts_gguf_add_string(writer, "tokenizer.ggml.model", "gpt2", 4);
    ts_gguf_add_string(writer, "tokenizer.ggml.pre", "gpt-2", 5);
    ts_gguf_add_strings(writer, "tokenizer.ggml.tokens", vocabulary_size);
    for (uint32_t id = 0; id < vocabulary_size && status == TS_OK; id++) {
        size_t size = 0;
        const char *bytes = id < v->count ? ts_vocabulary_bytes(v, id, &size) : "";
        text.size = 0;
        types[id] = id >= v->count ? TYPE_UNUSED : v->kinds[id] == TS_TOKEN_SPECIAL ? TYPE_CONTROL : TYPE_NORMAL;
        if (types[id] == TYPE_UNUSED)
            status = ts_bytes_format(&text, "[PAD%u]", id);
        else if (types[id] == TYPE_CONTROL)
            status = ts_bytes_add(&text, bytes, size);
        else
            status = ts_alphabet_encode(&text, bytes, size);
        if (status == TS_OK)
            ts_gguf_add_element(writer, text.data, text.size);
    }
    if (status == TS_OK)
        ts_gguf_add_i32s(writer, "tokenizer.ggml.token_type", types, vocabulary_size);
    if (status == TS_OK)
        ts_gguf_add_strings(writer, "tokenizer.ggml.merges", v->merge_count);
    for (uint32_t rank = 0; rank < v->merge_count && status == TS_OK; rank++) {
        text.size = 0;
        for (int side = 0; side < 2 && status == TS_OK; side++) {
            size_t size;
            const char *bytes = ts_vocabulary_bytes(v, v->merges[rank][side], &size);
            status = ts_alphabet_encode(&text, bytes, size);
            if (status == TS_OK && side == 0)
                status = ts_bytes_add(&text, " ", 1);
        }
        if (status == TS_OK)
            ts_gguf_add_element(writer, text.data, text.size);
    }
    if (status == TS_OK && tokenizer->end_of_text != TS_TOKENIZER_NONE) {
        ts_gguf_add_u32(writer, "tokenizer.ggml.bos_token_id", tokenizer->end_of_text);
        ts_gguf_add_u32(writer, "tokenizer.ggml.eos_token_id", tokenizer->end_of_text);
        ts_gguf_add_bool(writer, "tokenizer.ggml.add_bos_token", true);
    }
    if (status != TS_OK && writer->status == TS_OK)
        writer->status = status;
    ts_release(writer->runtime, types);
    ts_bytes_free(&text);
}

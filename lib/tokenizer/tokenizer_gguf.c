/* The vocabulary inside a GGUF file: of byte-level BPE tokens in the byte alphabet and merges as "left right", of SentencePiece tokens with scores.
 */
#include <stdio.h>

#include "tokenizer/vocabulary.h"

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4, TYPE_UNUSED = 5, TYPE_BYTE = 6 };

/* ---- byte-level BPE: reading ---- */

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

/* Merges name tokens by their text. */
static ts_status read_merges(ts_tokenizer *t, ts_gguf *gguf)
{
    ts_vocabulary *v = &t->vocabulary;
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
            ids[side] = ts_tokenizer_find(t, bytes, part_size);
        }
        if (ids[0] == TS_TOKENIZER_NONE || ids[1] == TS_TOKENIZER_NONE)
            return ts_fail(TS_ERROR_FORMAT, "tokenizer.ggml.merges[%u] joins what is no token", v->merge_count);
        TS_TRY(ts_vocabulary_merge(v, ids[0], ids[1]));
    }
    return TS_OK;
}

/* "default", and nothing at all, mean another rule of words to llama.cpp, though some old files that say nothing were made for GPT-2's. */
static ts_status check_rule(const ts_vocabulary *v, ts_gguf *gguf)
{
    const char *rule;
    if (!ts_gguf_has(gguf, "tokenizer.ggml.pre")) {
        ts_log(v->runtime, TS_LOG_WARNING,
               "key 'tokenizer.ggml.pre' is missing: text is divided into words as GPT-2 does, other programs may do otherwise");
        return TS_OK;
    }
    TS_TRY(ts_gguf_get_string(gguf, "tokenizer.ggml.pre", &rule, NULL));
    if (strcmp(rule, "gpt-2") == 0 || strcmp(rule, "gpt2") == 0)
        return TS_OK;
    return ts_fail(TS_ERROR_UNSUPPORTED, "tokenizer.ggml.pre is \"%.60s\", which is another rule of words than GPT-2's, expected \"gpt-2\"", rule);
}

static ts_status read_bpe(ts_vocabulary *v, ts_gguf *gguf)
{
    uint32_t begin = TS_TOKENIZER_NONE, end = TS_TOKENIZER_NONE;
    TS_TRY(check_rule(v, gguf));
    TS_TRY(read_tokens(v, gguf));
    if (ts_gguf_has(gguf, "tokenizer.ggml.eos_token_id"))
        TS_TRY(ts_gguf_get_u32(gguf, "tokenizer.ggml.eos_token_id", &end));
    if (ts_gguf_has(gguf, "tokenizer.ggml.bos_token_id"))
        TS_TRY(ts_gguf_get_u32(gguf, "tokenizer.ggml.bos_token_id", &begin));
    v->end_of_text = end;
    if (begin < v->count && v->kinds[begin] == TS_TOKEN_SPECIAL)
        v->begin_of_text = begin;
    return TS_OK;
}

/* ---- SentencePiece: reading ---- */

static ts_status add_piece(ts_vocabulary *v, const char *text, size_t size, int32_t type, float score)
{
    char bytes[TS_TOKENIZER_MAX_TOKEN];
    if (size == 0 || size > sizeof bytes)
        return ts_fail(TS_ERROR_LIMIT, "tokenizer.ggml.tokens[%u] has %zu bytes, expected 1 to %zu", v->count, size, sizeof bytes);
    if (type == TYPE_BYTE) {
        int byte = ts_byte_token(text, size);
        if (byte < 0)
            return ts_fail(TS_ERROR_FORMAT, "tokenizer.ggml.tokens[%u] is \"%.*s\", expected a byte like \"<0x41>\"", v->count,
                           (int)TS_MIN(size, 100), text);
        return ts_vocabulary_piece(v, &(char){(char)byte}, 1, TS_TOKEN_BYTE, score);
    }
    if (type != TYPE_NORMAL)
        return ts_vocabulary_piece(v, text, size, TS_TOKEN_SPECIAL, score);
    ts_marks_take(text, &size, bytes);
    return ts_vocabulary_piece(v, bytes, size, TS_TOKEN_NORMAL, score);
}

static ts_status read_pieces(ts_vocabulary *v, ts_gguf *gguf)
{
    ts_gguf_strings tokens;
    const int32_t *types;
    const float *scores;
    size_t type_count, score_count, size;
    const char *text;
    TS_TRY(ts_gguf_get_strings(gguf, "tokenizer.ggml.tokens", &tokens));
    TS_TRY(ts_gguf_get_i32s(gguf, "tokenizer.ggml.token_type", &types, &type_count));
    TS_TRY(ts_gguf_get_f32s(gguf, "tokenizer.ggml.scores", &scores, &score_count));
    if (type_count != tokens.count || score_count != tokens.count)
        return ts_fail(TS_ERROR_FORMAT, "tokenizer.ggml.token_type has %zu elements, scores %zu, tokens %zu", type_count, score_count, tokens.count);
    while (type_count > 0 && types[type_count - 1] == TYPE_UNUSED)
        type_count--; /* rows of the embedding beyond the tokenizer's tokens */
    for (size_t id = 0; id < type_count && ts_gguf_strings_next(&tokens, &text, &size); id++)
        TS_TRY(add_piece(v, text, size, types[id], scores[id]));
    return TS_OK;
}

/* What llama.cpp does by default is all that is done here. */
static ts_status expect_bool(ts_gguf *gguf, const char *key, bool expected)
{
    bool value = expected;
    if (ts_gguf_has(gguf, key))
        TS_TRY(ts_gguf_get_bool(gguf, key, &value));
    if (value != expected)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s is %s, only %s is supported", key, value ? "true" : "false", expected ? "true" : "false");
    return TS_OK;
}

static ts_status read_mark(const ts_vocabulary *v, ts_gguf *gguf, const char *key, uint32_t usual, uint32_t *id)
{
    *id = usual < v->count && v->kinds[usual] == TS_TOKEN_SPECIAL ? usual : TS_TOKENIZER_NONE;
    return ts_gguf_has(gguf, key) ? ts_gguf_get_u32(gguf, key, id) : TS_OK;
}

static ts_status read_sentencepiece(ts_vocabulary *v, ts_gguf *gguf)
{
    v->sentencepiece = true;
    TS_TRY(expect_bool(gguf, "tokenizer.ggml.add_space_prefix", true));
    TS_TRY(expect_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", false));
    if (ts_gguf_has(gguf, "tokenizer.ggml.precompiled_charsmap"))
        return ts_fail(TS_ERROR_UNSUPPORTED, "tokenizer.ggml.precompiled_charsmap is there, but no normalization is supported");
    TS_TRY(read_pieces(v, gguf));
    TS_TRY(read_mark(v, gguf, "tokenizer.ggml.bos_token_id", 1, &v->begin_of_text));
    return read_mark(v, gguf, "tokenizer.ggml.eos_token_id", 2, &v->end_of_text);
}

/* ---- WordPiece: reading ---- */

/* As its own files write it, "word" and "##ing". A name of our own: no other program has this rule of words. */
static ts_status read_wordpiece(ts_vocabulary *v, ts_gguf *gguf)
{
    ts_gguf_strings tokens;
    const int32_t *types;
    size_t type_count, size;
    const char *text;
    v->wordpiece = true;
    TS_TRY(ts_gguf_get_strings(gguf, "tokenizer.ggml.tokens", &tokens));
    TS_TRY(ts_gguf_get_i32s(gguf, "tokenizer.ggml.token_type", &types, &type_count));
    if (type_count != tokens.count)
        return ts_fail(TS_ERROR_FORMAT, "tokenizer.ggml.token_type has %zu elements, tokenizer.ggml.tokens %zu", type_count, tokens.count);
    while (type_count > 0 && types[type_count - 1] == TYPE_UNUSED)
        type_count--; /* rows of the embedding beyond the tokenizer's tokens */
    for (size_t id = 0; id < type_count && ts_gguf_strings_next(&tokens, &text, &size); id++)
        TS_TRY(types[id] == TYPE_NORMAL ? ts_wordpiece_add(v, text, size, "tokenizer.ggml.tokens")
                                        : ts_vocabulary_token(v, text, size, TS_TOKEN_SPECIAL));
    TS_TRY(ts_gguf_get_u32(gguf, "tokenizer.ggml.unknown_token_id", &v->unknown));
    TS_TRY(read_mark(v, gguf, "tokenizer.ggml.bos_token_id", TS_TOKENIZER_NONE, &v->begin_of_text));
    return read_mark(v, gguf, "tokenizer.ggml.eos_token_id", TS_TOKENIZER_NONE, &v->end_of_text);
}

/* ---- any of them ---- */

static ts_status read_vocabulary(ts_vocabulary *v, ts_gguf *gguf)
{
    const char *model;
    bool begins = true;
    if (ts_gguf_has(gguf, "tokenizer.ggml.add_bos_token"))
        TS_TRY(ts_gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", &begins));
    v->no_begin = !begins;
    TS_TRY(ts_gguf_get_string(gguf, "tokenizer.ggml.model", &model, NULL));
    if (strcmp(model, "llama") == 0)
        return read_sentencepiece(v, gguf);
    if (strcmp(model, "gpt2") == 0)
        return read_bpe(v, gguf);
    if (strcmp(model, "wordpiece") == 0)
        return read_wordpiece(v, gguf);
    return ts_fail(TS_ERROR_UNSUPPORTED, "tokenizer.ggml.model is \"%.60s\", expected \"gpt2\", \"llama\" or \"wordpiece\"", model);
}

ts_status ts_tokenizer_from_gguf(ts_tokenizer **out, ts_runtime *runtime, ts_gguf *gguf)
{
    ts_vocabulary vocabulary;
    ts_tokenizer *t;
    ts_vocabulary_init(&vocabulary, runtime);
    ts_status status = read_vocabulary(&vocabulary, gguf);
    if (status != TS_OK) {
        ts_vocabulary_free(&vocabulary);
        return status;
    }
    TS_TRY(ts_tokenizer_begin(&t, &vocabulary, "tokenizer.ggml"));
    return ts_tokenizer_finish(out, t, ts_tokenizer_is_byte_level(t) ? read_merges(t, gguf) : TS_OK, "tokenizer.ggml");
}

/* ---- writing ---- */

/* How a token stands in the file. */
static int32_t type_of(const ts_vocabulary *v, uint32_t id)
{
    size_t size;
    if (id >= v->count)
        return TYPE_UNUSED;
    const char *bytes = ts_vocabulary_bytes(v, id, &size);
    if (v->kinds[id] == TS_TOKEN_SPECIAL)
        return v->sentencepiece && size == 5 && memcmp(bytes, "<unk>", 5) == 0 ? TYPE_UNKNOWN : TYPE_CONTROL;
    return v->kinds[id] == TS_TOKEN_BYTE ? TYPE_BYTE : TYPE_NORMAL;
}

static ts_status token_text(ts_bytes *text, const ts_vocabulary *v, uint32_t id, int32_t type)
{
    size_t size;
    text->size = 0;
    if (type == TYPE_UNUSED)
        return ts_bytes_format(text, "[PAD%u]", id);
    const char *bytes = ts_vocabulary_bytes(v, id, &size);
    if (type == TYPE_BYTE)
        return ts_bytes_format(text, "<0x%02X>", (unsigned char)bytes[0]);
    if (type != TYPE_NORMAL)
        return ts_bytes_add(text, bytes, size);
    if (v->wordpiece)
        return ts_wordpiece_text(text, v, id);
    return v->sentencepiece ? ts_marks_put(text, bytes, size) : ts_alphabet_encode(text, bytes, size);
}

static ts_status add_merges(const ts_vocabulary *v, ts_gguf_writer *writer, ts_bytes *text)
{
    ts_gguf_add_strings(writer, "tokenizer.ggml.merges", v->merge_count);
    for (uint32_t rank = 0; rank < v->merge_count; rank++) {
        text->size = 0;
        for (int side = 0; side < 2; side++) {
            size_t size;
            const char *bytes = ts_vocabulary_bytes(v, v->merges[rank][side], &size);
            TS_TRY(ts_alphabet_encode(text, bytes, size));
            TS_TRY(ts_bytes_add(text, " ", side == 0 ? 1 : 0));
        }
        ts_gguf_add_element(writer, text->data, text->size);
    }
    return TS_OK;
}

/* `types` and `scores` have room for the whole vocabulary. */
static ts_status add_vocabulary(const ts_vocabulary *v, ts_gguf_writer *writer, uint32_t vocabulary_size, ts_bytes *text, int32_t *types,
                                float *scores)
{
    const char *model = v->wordpiece ? "wordpiece" : v->sentencepiece ? "llama" : "gpt2", *pre = v->sentencepiece ? "default" : "gpt-2";
    ts_gguf_add_string(writer, "tokenizer.ggml.model", model, strlen(model));
    if (v->wordpiece)
        ts_gguf_add_u32(writer, "tokenizer.ggml.unknown_token_id", v->unknown);
    else
        ts_gguf_add_string(writer, "tokenizer.ggml.pre", pre, strlen(pre));
    ts_gguf_add_strings(writer, "tokenizer.ggml.tokens", vocabulary_size);
    for (uint32_t id = 0; id < vocabulary_size; id++) {
        types[id] = type_of(v, id);
        scores[id] = v->sentencepiece && id < v->count ? v->scores[id] : 0;
        TS_TRY(token_text(text, v, id, types[id]));
        ts_gguf_add_element(writer, text->data, text->size);
    }
    ts_gguf_add_i32s(writer, "tokenizer.ggml.token_type", types, vocabulary_size);
    if (v->wordpiece)
        return TS_OK;
    if (!v->sentencepiece)
        return add_merges(v, writer, text);
    ts_gguf_add_f32s(writer, "tokenizer.ggml.scores", scores, vocabulary_size);
    ts_gguf_add_bool(writer, "tokenizer.ggml.add_space_prefix", true);
    return TS_OK;
}

/* Failures are the writer's to tell. */
void ts_tokenizer_to_gguf(const ts_tokenizer *tokenizer, ts_gguf_writer *writer, uint32_t vocabulary_size)
{
    ts_bytes text = {.runtime = writer->runtime};
    int32_t *types = ts_allocate_array(writer->runtime, vocabulary_size, sizeof *types);
    float *scores = ts_allocate_array(writer->runtime, vocabulary_size, sizeof *scores);
    ts_status status =
        types && scores ? add_vocabulary(&tokenizer->vocabulary, writer, vocabulary_size, &text, types, scores) : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK && tokenizer->end_of_text != TS_TOKENIZER_NONE) {
        ts_gguf_add_u32(writer, "tokenizer.ggml.bos_token_id", tokenizer->begin_of_text);
        ts_gguf_add_u32(writer, "tokenizer.ggml.eos_token_id", tokenizer->end_of_text);
        ts_gguf_add_bool(writer, "tokenizer.ggml.add_bos_token", ts_tokenizer_adds_begin(tokenizer));
    }
    if (status != TS_OK && writer->status == TS_OK)
        writer->status = status;
    ts_release(writer->runtime, types);
    ts_release(writer->runtime, scores);
    ts_bytes_free(&text);
}

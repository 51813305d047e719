/*
 * tokenizer.bin of llama2.c: the longest token's size, then of each token a score, a size and its bytes, with no count. Spaces stand as they are;
 * <s> and </s> (1 and 2) stand between line ends, the byte tokens are written "<0x41>".
 */
#include <stdio.h>

#include "tokenizer/vocabulary.h"

enum { BEGIN = 1, END = 2, SPECIALS = 3, SMALLEST_TOKEN = 8 };

static const char *const marks[][2] = {[BEGIN] = {"\n<s>\n", "<s>"}, [END] = {"\n</s>\n", "</s>"}};

/* ---- reading ---- */

static ts_status add_piece(ts_vocabulary *v, const char *text, size_t size, float score)
{
    uint32_t id = v->count;
    int byte = ts_byte_token(text, size);
    for (uint32_t mark = BEGIN; mark <= END; mark++)
        if (id == mark && size == strlen(marks[mark][0]) && memcmp(text, marks[mark][0], size) == 0)
            return ts_vocabulary_piece(v, marks[mark][1], strlen(marks[mark][1]), TS_TOKEN_SPECIAL, score);
    if (id < SPECIALS)
        return ts_vocabulary_piece(v, text, size, TS_TOKEN_SPECIAL, score);
    if (byte >= 0)
        return ts_vocabulary_piece(v, &(char){(char)byte}, 1, TS_TOKEN_BYTE, score);
    return ts_vocabulary_piece(v, text, size, TS_TOKEN_NORMAL, score);
}

static ts_status read_pieces(ts_vocabulary *v, ts_source *source)
{
    ts_reader reader;
    char text[TS_TOKENIZER_MAX_TOKEN];
    ts_reader_init(&reader, source, 0);
    uint32_t longest = ts_reader_u32(&reader);
    while (ts_reader_status(&reader) == TS_OK && ts_reader_remaining(&reader) > 0) {
        float score = ts_reader_f32(&reader);
        uint32_t size = ts_reader_u32(&reader);
        if (ts_reader_status(&reader) == TS_OK && (size == 0 || size > longest || size > sizeof text))
            ts_reader_fail(&reader, TS_ERROR_FORMAT, "token %u has %u bytes, expected 1 to %u", v->count, size,
                           (unsigned)TS_MIN(longest, (uint32_t)sizeof text));
        TS_TRY(ts_reader_status(&reader));
        ts_reader_bytes(&reader, text, size);
        TS_TRY(ts_reader_status(&reader));
        ts_status status = add_piece(v, text, size, score);
        if (status != TS_OK)
            return ts_fail_context(status, source->name);
    }
    TS_TRY(ts_reader_status(&reader));
    if (v->count < SPECIALS + 256)
        return ts_fail(TS_ERROR_FORMAT, "%s: has %u tokens, expected at least %d", source->name, v->count, SPECIALS + 256);
    return TS_OK;
}

ts_status ts_tokenizer_read_llama2c(ts_tokenizer **out, ts_source *source)
{
    ts_vocabulary vocabulary;
    ts_vocabulary_init(&vocabulary, source->runtime);
    vocabulary.sentencepiece = true;
    vocabulary.begin_of_text = vocabulary.end_of_text = BEGIN; /* as these models are trained: <s> divides the stories, </s> never comes */
    ts_status status = read_pieces(&vocabulary, source);
    if (status != TS_OK) {
        ts_vocabulary_free(&vocabulary);
        return status;
    }
    return ts_tokenizer_make(out, &vocabulary, source->name);
}

/* ---- writing ---- */

/* A token as llama2.c writes it. */
static const char *written(const ts_vocabulary *v, uint32_t id, char byte[8], size_t *size)
{
    const char *text = ts_vocabulary_bytes(v, id, size);
    if (v->kinds[id] == TS_TOKEN_BYTE) {
        *size = (size_t)snprintf(byte, 8, "<0x%02X>", (unsigned char)text[0]);
        return byte;
    }
    for (uint32_t mark = BEGIN; mark <= END; mark++)
        if (id == mark && *size == strlen(marks[mark][1]) && memcmp(text, marks[mark][1], *size) == 0) {
            *size = strlen(marks[mark][0]);
            return marks[mark][0];
        }
    return text;
}

/* llama2.c counts on the places of <s>, </s> and the bytes. */
static ts_status check_places(const ts_tokenizer *t)
{
    const ts_vocabulary *v = &t->vocabulary;
    if (!v->sentencepiece)
        return ts_fail(TS_ERROR_UNSUPPORTED, "llama2.c's tokenizer.bin takes a SentencePiece tokenizer alone, this one is of another kind");
    for (uint32_t id = 0; id < v->count; id++) {
        uint8_t expected = id < SPECIALS ? TS_TOKEN_SPECIAL : id < SPECIALS + 256 ? TS_TOKEN_BYTE : TS_TOKEN_NORMAL;
        size_t size;
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        if (v->kinds[id] != expected || (expected == TS_TOKEN_BYTE && (unsigned char)bytes[0] != id - SPECIALS) ||
            (expected == TS_TOKEN_NORMAL && ts_byte_token(bytes, size) >= 0))
            return ts_fail(TS_ERROR_UNSUPPORTED,
                           "token %u, \"%.*s\", has no such place in llama2.c's tokenizer.bin: 3 special ones, 256 bytes, then the rest", id,
                           (int)TS_MIN(size, 100), bytes);
    }
    if (t->begin_of_text != BEGIN)
        return ts_fail(TS_ERROR_UNSUPPORTED, "the beginning of text is token %u, llama2.c expects %d", t->begin_of_text, BEGIN);
    return TS_OK;
}

ts_status ts_tokenizer_write_llama2c(const ts_tokenizer *tokenizer, uint32_t vocabulary_size, ts_writer *file)
{
    const ts_vocabulary *v = &tokenizer->vocabulary;
    char byte[8], padding[24];
    size_t size, longest = 0;
    TS_TRY(check_places(tokenizer));
    for (uint32_t id = 0; id < v->count; id++) {
        written(v, id, byte, &size);
        longest = TS_MAX(longest, size);
    }
    ts_writer_u32(file, (uint32_t)TS_MAX(longest, vocabulary_size > v->count ? sizeof padding : 0));
    for (uint32_t id = 0; id < vocabulary_size; id++) {
        const char *text = id < v->count ? written(v, id, byte, &size) : padding;
        if (id >= v->count)
            size = (size_t)snprintf(padding, sizeof padding, "[PAD%u]", id);
        float score = id < v->count ? v->scores[id] : -1e9f;
        ts_writer_bytes(file, &score, sizeof score);
        ts_writer_u32(file, (uint32_t)size);
        ts_writer_bytes(file, text, size);
    }
    return TS_OK;
}

/* Which kind of tokenizer a path is, to be opened or to be written. */
#include <stdio.h>

#include "tokenizer/vocabulary.h"

static ts_status read_text(ts_tokenizer **out, ts_runtime *runtime, const char *text, size_t size, const char *name)
{
    return ts_tiktoken_begins(text, size) ? ts_tokenizer_read_tiktoken(out, runtime, text, size, name)
                                          : ts_tokenizer_read_json(out, runtime, text, size, name);
}

static ts_status open_file(ts_tokenizer **out, ts_runtime *runtime, const char *path)
{
    ts_source source;
    ts_gguf *gguf;
    char magic[4] = {0};
    TS_TRY(ts_source_open(&source, runtime, path, false));
    ts_status status = source.size >= 4 ? ts_source_read(&source, 0, magic, 4) : TS_OK;
    if (status == TS_OK && memcmp(magic, "GGUF", 4) == 0) {
        status = ts_gguf_open(&gguf, &source);
        if (status == TS_OK) {
            status = ts_tokenizer_from_gguf(out, runtime, gguf);
            ts_gguf_close(gguf);
        }
    } else if (status == TS_OK && source.size >= 4 && magic[2] == 0 && magic[3] == 0) { /* a size; JSON has no NUL */
        status = ts_tokenizer_read_llama2c(out, &source);
    } else if (status == TS_OK) {
        char *text;
        size_t size;
        status = ts_file_read(runtime, path, TS_TOKENIZER_MAX_FILE, &text, &size);
        if (status == TS_OK) {
            status = read_text(out, runtime, text, size, path);
            ts_release(runtime, text);
        }
    }
    ts_source_close(&source);
    return status;
}

static ts_status open_vocabulary(ts_tokenizer **out, ts_runtime *runtime, const char *folder)
{
    static const char *const pairs[][2] = {{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}};
    char paths[2][4096];
    snprintf(paths[0], sizeof paths[0], "%.4000s/tokenizer.json", folder);
    if (ts_path_exists(paths[0]))
        return open_file(out, runtime, paths[0]);
    for (size_t i = 0; i < TS_COUNT_OF(pairs); i++) {
        for (size_t j = 0; j < 2; j++)
            snprintf(paths[j], sizeof paths[j], "%.4000s/%s", folder, pairs[i][j]);
        if (ts_path_exists(paths[0]))
            return ts_tokenizer_read_pair(out, runtime, paths[0], paths[1]);
    }
    return ts_fail(TS_ERROR_IO, "%s: the folder has no tokenizer.json, and no vocab.json with merges.txt", folder);
}

static ts_status open_folder(ts_tokenizer **out, ts_runtime *runtime, const char *folder)
{
    bool begins;
    TS_TRY(ts_tokenizer_read_config(folder, runtime, &begins));
    TS_TRY(open_vocabulary(out, runtime, folder));
    (*out)->vocabulary.no_begin = !begins; /* not shared yet */
    return TS_OK;
}

ts_status ts_tokenizer_open(ts_tokenizer **out, ts_runtime *runtime, const char *path)
{
    if (out == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_open: a pointer is NULL");
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_status status = ts_path_is_directory(path) ? open_folder(out, runtime, path) : open_file(out, runtime, path);
    ts_runtime_release(runtime);
    return status;
}

ts_status ts_tokenizer_open_memory(ts_tokenizer **out, ts_runtime *runtime, const void *json, size_t size)
{
    if (out == NULL || json == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_open_memory: a pointer is NULL");
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_status status = read_text(out, runtime, json, size, "the tokenizer in memory");
    ts_runtime_release(runtime);
    return status;
}

/* ---- saving ---- */

static ts_status save_llama2c(const ts_tokenizer *tokenizer, const char *path)
{
    ts_writer writer;
    TS_TRY(ts_writer_open(&writer, tokenizer->runtime, path));
    ts_status status = ts_tokenizer_write_llama2c(tokenizer, tokenizer->vocabulary.count, &writer);
    if (status == TS_OK)
        return ts_writer_commit(&writer);
    ts_writer_abandon(&writer);
    return status;
}

/* A GGUF file without tensors, as those of llama.cpp that hold a vocabulary alone: it wants an architecture all the same. */
static ts_status save_gguf(const ts_tokenizer *tokenizer, const char *path)
{
    const char *architecture = ts_tokenizer_is_byte_level(tokenizer) ? "gpt2" : "llama";
    ts_writer file;
    ts_gguf_writer gguf;
    TS_TRY(ts_writer_open(&file, tokenizer->runtime, path));
    ts_gguf_writer_init(&gguf, tokenizer->runtime);
    ts_gguf_add_string(&gguf, "general.architecture", architecture, strlen(architecture));
    ts_tokenizer_to_gguf(tokenizer, &gguf, tokenizer->vocabulary.count);
    ts_status status = ts_gguf_write_start(&gguf, &file);
    if (status == TS_OK)
        status = ts_gguf_write_finish(&gguf);
    ts_gguf_writer_free(&gguf);
    if (status == TS_OK)
        return ts_writer_commit(&file);
    ts_writer_abandon(&file);
    return status;
}

static ts_status save_text(const ts_tokenizer *tokenizer, const char *path, ts_status (*write)(const ts_tokenizer *, ts_bytes *))
{
    ts_writer writer;
    ts_bytes text = {.runtime = tokenizer->runtime};
    ts_status status = write(tokenizer, &text);
    if (status == TS_OK)
        status = ts_writer_open(&writer, tokenizer->runtime, path);
    if (status == TS_OK) {
        ts_writer_bytes(&writer, text.data, text.size);
        status = ts_writer_commit(&writer);
    }
    ts_bytes_free(&text);
    return status;
}

static ts_status save_json(const ts_tokenizer *tokenizer, const char *path)
{
    return save_text(tokenizer, path, ts_tokenizer_to_json);
}

static ts_status save_tiktoken(const ts_tokenizer *tokenizer, const char *path)
{
    return save_text(tokenizer, path, ts_tokenizer_to_tiktoken);
}

ts_status ts_tokenizer_save(const ts_tokenizer *tokenizer, const char *path)
{
    static const struct {
        const char *ending;
        ts_status (*save)(const ts_tokenizer *, const char *);
    } formats[] = {{".json", save_json}, {".gguf", save_gguf}, {".bin", save_llama2c}, {".tiktoken", save_tiktoken}};
    if (tokenizer == NULL || path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_save: a pointer is NULL");
    if (ts_path_is_directory(path))
        return ts_tokenizer_write_pair(tokenizer, path);
    const char *slash = strrchr(path, '/'), *ending = strrchr(slash ? slash : path, '.');
    if (ending == NULL)
        return save_json(tokenizer, path);
    for (size_t i = 0; i < TS_COUNT_OF(formats); i++)
        if (strcmp(ending, formats[i].ending) == 0)
            return formats[i].save(tokenizer, path);
    return ts_fail(TS_ERROR_INVALID_ARGUMENT,
                   "%.200s: no format of tokenizers has this ending, expected .json, .gguf, .bin, .tiktoken or a folder that is there", path);
}

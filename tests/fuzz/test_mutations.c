/*
 * Mutated files of every format that is read, most of them damaged behind what is looked at first: whatever comes, a status that is meant for files,
 * a detail, and all memory given back. What still opens is used.
 *
 * usage: test_mutations [COUNT [SEED]]. COUNT mutants over all formats, 6,000 without; the suite runs those, a person a million or more.
 */
#include "model/file_fixture.h"

#include <fcntl.h>
#include <time.h>

#include "format/tar.h"
#include "text/text.h"
#include "tinystories/diversity.h"
#include "tinystories/evaluator.h"
#include "tinystories/study.h"
#include "tinystories/trainer.h"
#include "tokenizer/vocabulary.h"

typedef struct format {
    const char *name;
    ts_status (*use)(const struct format *format, const unsigned char *data, size_t size);
    bool (*passes)(const struct format *format, const unsigned char *data, size_t size); /* the first check: a header, or that it is JSON at all */
    bool text;
    file_bytes file;
    size_t description;                             /* bytes at the start that say what the rest is */
    void (*mend)(unsigned char *data, size_t size); /* puts right the sums of a mutant, three times of four; NULL: it has none */
    const char *path;                               /* where a mutant is written for readers of files; NULL: read from memory */
    uint64_t mutants, passed, opened;
    double slowest; /* seconds */
} format;

enum { FORMATS = 56, DEFAULT_COUNT = 6000 };

static format formats[FORMATS];
static size_t format_count;
static ts_runtime *runtime;
static ts_model *session_model;
static ts_random numbers;

static size_t below(size_t bound)
{
    return bound > 0 ? (size_t)ts_random_below(&numbers, bound) : 0;
}

static const char *kept(const char *path)
{
    char *copy = malloc(strlen(path) + 1);
    assert_non_null(copy);
    strcpy(copy, path);
    return copy;
}

/* ---- the first check ---- */

static bool passes_gguf(const format *f, const unsigned char *data, size_t size)
{
    ts_source source;
    ts_gguf *gguf = NULL;
    (void)f;
    ts_source_memory(&source, runtime, data, size, "mutant");
    bool does = ts_gguf_open(&gguf, &source) == TS_OK;
    ts_gguf_close(gguf);
    ts_source_close(&source);
    return does;
}

static bool passes_llama2c(const format *f, const unsigned char *data, size_t size)
{
    ts_source source;
    ts_llama2c checkpoint;
    (void)f;
    ts_source_memory(&source, runtime, data, size, "mutant");
    bool does = ts_llama2c_open(&checkpoint, &source) == TS_OK;
    ts_source_close(&source);
    return does;
}

static bool passes_safetensors(const format *f, const unsigned char *data, size_t size)
{
    ts_source source;
    ts_safetensors *file = NULL;
    (void)f;
    ts_source_memory(&source, runtime, data, size, "mutant");
    bool does = ts_safetensors_open(&file, &source) == TS_OK;
    ts_safetensors_close(file);
    ts_source_close(&source);
    return does;
}

static bool passes_json(const format *f, const unsigned char *data, size_t size)
{
    ts_json *json = NULL;
    (void)f;
    bool does = ts_json_parse(&json, runtime, (const char *)data, size, 0, "mutant") == TS_OK;
    ts_json_free(json);
    return does;
}

/* ---- using what a file became ---- */

static void use_tokenizer(const ts_tokenizer *tokenizer)
{
    static const char text[] = "The little cat's 12 caf\xc3\xa9s \xf0\x9f\x98\x80\xff  <|endoftext|> end";
    uint32_t ids[256];
    char back[65536];
    size_t count, size;
    if (ts_tokenizer_encode(tokenizer, text, sizeof text - 1, TS_ENCODE_SPECIALS, ids, TS_COUNT_OF(ids), &count) == TS_OK)
        (void)ts_tokenizer_decode(tokenizer, ids, count, back, sizeof back, &size);
}

static void use_model(const ts_model *model)
{
    const uint32_t ids[3] = {1 % (uint32_t)model->shape.V, 0, (uint32_t)model->shape.V - 1};
    size_t count = TS_MIN(3, model->shape.T);
    float *logits = malloc(3 * model->shape.V * sizeof *logits);
    assert_non_null(logits);
    (void)ts_model_logits(model, ids, count, logits, count * model->shape.V);
    free(logits);
    use_tokenizer(model->tokenizer);
}

static ts_status model_in_memory(const format *f, const unsigned char *data, size_t size)
{
    ts_model *model = NULL;
    ts_model_options options = {.struct_size = sizeof options, .tokenizer = f->passes == passes_llama2c ? in_work("made.bin") : NULL};
    ts_status status = ts_model_open_memory(&model, runtime, data, size, &options);
    if (status == TS_OK)
        use_model(model);
    ts_model_free(model);
    return status;
}

/* One file of a Hugging Face folder is the mutant, the others are sound. */
static ts_status model_in_folder(const format *f, const unsigned char *data, size_t size)
{
    ts_model *model = NULL;
    char folder[4096];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(f->path, '/') - f->path), f->path);
    (void)data, (void)size;
    ts_status status = ts_model_open(&model, runtime, folder, NULL);
    if (status == TS_OK)
        use_model(model);
    ts_model_free(model);
    return status;
}

static ts_status tokenizer_in_memory(const format *f, const unsigned char *data, size_t size)
{
    ts_tokenizer *tokenizer = NULL;
    (void)f;
    ts_status status = ts_tokenizer_open_memory(&tokenizer, runtime, data, size);
    if (status == TS_OK)
        use_tokenizer(tokenizer);
    ts_tokenizer_free(tokenizer);
    return status;
}

/* One file of a pair in its folder. */
static ts_status tokenizer_in_file(const format *f, const unsigned char *data, size_t size)
{
    ts_tokenizer *tokenizer = NULL;
    char folder[4096];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(f->path, '/') - f->path), f->path);
    (void)data, (void)size;
    ts_status status = ts_tokenizer_open(&tokenizer, runtime, folder);
    if (status == TS_OK)
        use_tokenizer(tokenizer);
    ts_tokenizer_free(tokenizer);
    return status;
}

static ts_status tokenizer_alone(const format *f, const unsigned char *data, size_t size)
{
    ts_tokenizer *tokenizer = NULL;
    (void)data, (void)size;
    ts_status status = ts_tokenizer_open(&tokenizer, runtime, f->path);
    if (status == TS_OK)
        use_tokenizer(tokenizer);
    ts_tokenizer_free(tokenizer);
    return status;
}

static ts_status shard_in_file(const format *f, const unsigned char *data, size_t size)
{
    ts_shard shard;
    (void)data;
    ts_status status = ts_shard_open(&shard, runtime, f->path, size % 2 != 0);
    if (status == TS_OK) {
        status = ts_tokenizer_decode_shard(session_model->tokenizer, f->path, in_work("decoded.txt"));
        ts_shard_close(&shard);
    }
    return status;
}

static ts_status stories_in_file(const format *f, const unsigned char *data, size_t size)
{
    ts_stories *stories = NULL;
    const char *text = "";
    (void)data;
    ts_status status = ts_stories_open(&stories, runtime, (const char *const[]){f->path}, 1);
    while (status == TS_OK && text != NULL)
        status = ts_stories_next(stories, &text, &size);
    ts_stories_close(stories);
    return status;
}

static ts_status session_in_memory(const format *f, const unsigned char *data, size_t size)
{
    ts_sampler *sampler = NULL;
    const char *text;
    (void)f;
    ts_status status = ts_sampler_load_memory(&sampler, session_model, data, size, NULL);
    if (status == TS_OK)
        (void)ts_sampler_next(sampler, &text, &size);
    ts_sampler_free(sampler);
    return status;
}

/* ---- the formats ---- */

static void add(const char *name, const char *path, size_t description, bool text, bool in_file,
                ts_status (*use)(const format *, const unsigned char *, size_t), bool (*passes)(const format *, const unsigned char *, size_t))
{
    assert_true(format_count < FORMATS);
    format *f = &formats[format_count++];
    *f = (format){.name = name, .use = use, .passes = passes, .text = text, .file = get_file(path), .path = in_file ? kept(path) : NULL};
    f->description = description > 0 && description < f->file.size ? description : f->file.size;
}

static size_t size_of(const char *path)
{
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    return (size_t)about.st_size;
}

/* Where the tensors begin. */
static size_t data_of(const char *path)
{
    file_bytes b = get_file(path);
    uint64_t header;
    memcpy(&header, b.data, sizeof header);
    free(b.data);
    return 8 + (size_t)header;
}

#include "more_formats.h"

static void add_ggufs(void)
{
    static const char *const names[][3] = {{"gguf llama", "gguf llama f16", "gguf llama bf16"},
                                           {"gguf gpt2", "gguf gpt2 f16", "gguf gpt2 bf16"},
                                           {"gguf gpt_neo", "gguf gpt_neo f16", "gguf gpt_neo bf16"}};
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++)
        for (int32_t type = TS_MODEL_TYPE_F32; type <= (kind == TS_ARCHITECTURE_LLAMA ? TS_MODEL_TYPE_BF16 : TS_MODEL_TYPE_F32); type++) {
            ts_model *model = fixture_model(NULL, kind);
            ts_model_save_options options = {.struct_size = sizeof options, .format = TS_MODEL_FORMAT_GGUF, .type = type};
            assert_ok(ts_model_save_as(model, in_work("a.gguf"), &options));
            add(names[kind - 1][type], in_work("a.gguf"), size_of(in_work("a.gguf")) - model->total * (type ? 2 : 4), false, false, model_in_memory,
                passes_gguf);
            ts_model_free(model);
        }
}

static void add_checkpoints(void)
{
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    a.layers = 1;
    a.key_value_heads = 0;
    ts_model *model = sentencepiece_model(NULL, &a);
    ts_model_save_options options = {.struct_size = sizeof options};
    assert_ok(ts_model_save(model, in_work("pieces.gguf")));
    add("gguf llama, SentencePiece", in_work("pieces.gguf"), 12000, false, false, model_in_memory, passes_gguf);
    static const char *const names[] = {"llama2.c version 0", "llama2.c version 1"};
    for (int version = 0; version < 2; version++) {
        options.format = version ? TS_MODEL_FORMAT_LLAMA2C_V1 : TS_MODEL_FORMAT_LLAMA2C_V0;
        assert_ok(ts_model_save_as(model, in_work("a.bin"), &options));
        add(names[version], in_work("a.bin"), version ? 42 : 28, false, false, model_in_memory, passes_llama2c);
    }
    const size_t C = 24, D = 40, V = model->shape.V, counts[] = {V * C, C * C, C * C, C * C, C * C, D * C, C * D, D * C};
    file_bytes plain = get_file(in_work("a.bin")), quantized = quantized_file(&plain, 8, 3 * C, counts, TS_COUNT_OF(counts));
    write_file(in_work("q.bin"), quantized.data, quantized.size);
    add("llama2.c version 2", in_work("q.bin"), 42, false, false, model_in_memory, passes_llama2c);
    put_sentencepiece(in_work("mutant.bin"));
    add("llama2.c tokenizer.bin", in_work("mutant.bin"), 0, false, true, tokenizer_alone, passes_pieces);
    assert_ok(ts_tokenizer_save(model->tokenizer, in_work("pieces.json")));
    add("tokenizer.json, SentencePiece", in_work("pieces.json"), 0, true, false, tokenizer_in_memory, passes_json);
    free(plain.data);
    free(quantized.data);
    ts_model_free(model);
}

static void add_folders(void)
{
    static const char *const folders[] = {"huggingface/gpt_neo_parts", "huggingface/llama_grouped", "huggingface/gpt2_untied"};
    static const char *const files[][4] = {{"config.json", "model.safetensors.index.json", "model-00003-of-00003.safetensors", NULL},
                                           {"config.json", "model.safetensors", "tokenizer.json", NULL},
                                           {"config.json", "model.safetensors", NULL, NULL}};
    static const char *const names[][4] = {{"gpt_neo config.json", "gpt_neo index.json", "gpt_neo part of safetensors", NULL},
                                           {"llama config.json", "llama safetensors", "tokenizer.json in a folder", NULL},
                                           {"gpt2 config.json", "gpt2 safetensors", NULL, NULL}};
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    for (size_t i = 0; i < TS_COUNT_OF(folders); i++) {
        char from[4096], folder[64], to[4096];
        snprintf(folder, sizeof folder, "hub%zu", i);
        mkdir(in_work(folder), 0777);
        static const char *const all[] = {"config.json",
                                          "model.safetensors",
                                          "model.safetensors.index.json",
                                          "model-00001-of-00003.safetensors",
                                          "model-00002-of-00003.safetensors",
                                          "model-00003-of-00003.safetensors"};
        for (size_t j = 0; j < TS_COUNT_OF(all); j++) {
            snprintf(from, sizeof from, "%s/%s/%s", TS_GOLDEN, folders[i], all[j]);
            snprintf(to, sizeof to, "%s/%s", in_work(folder), all[j]);
            if (access(from, F_OK) == 0) {
                file_bytes b = get_file(from);
                write_file(to, b.data, b.size);
                free(b.data);
            }
        }
        snprintf(to, sizeof to, "%s/tokenizer.json", in_work(folder));
        ts_tokenizer *small; /* these have 272 tokens */
        assert_ok(ts_tokenizer_prune_files(&small, tokenizer, 270, (const char *const[]){put_file("s.txt", fixture_stories[0], 80)}, 1));
        assert_ok(ts_tokenizer_save(small, to));
        ts_tokenizer_free(small);
        for (size_t j = 0; files[i][j] != NULL; j++) {
            snprintf(to, sizeof to, "%s/%s", in_work(folder), files[i][j]);
            bool text = strstr(to, "json") != NULL;
            add(names[i][j], to, text ? 0 : data_of(to), text, true, model_in_folder, text ? passes_json : passes_safetensors);
        }
    }
    ts_tokenizer_free(tokenizer);
}

static void add_tokenizers(void)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL), *words;
    add("tokenizer.json, WordPiece", TS_GOLDEN "/wordpiece/tokenizer.json", 0, true, false, tokenizer_in_memory, passes_json);
    assert_ok(ts_tokenizer_open(&words, NULL, TS_GOLDEN "/wordpiece/tokenizer.json"));
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_model *model = fixture_model_of(NULL, words, &a, 3);
    assert_ok(ts_model_save(model, in_work("words.gguf")));
    add("gguf llama, WordPiece", in_work("words.gguf"), 12000, false, false, model_in_memory, passes_gguf);
    ts_model_free(model);
    ts_tokenizer_free(words);
    assert_ok(ts_tokenizer_save(tokenizer, in_work("t.json")));
    add("tokenizer.json", in_work("t.json"), 0, true, false, tokenizer_in_memory, passes_json);
    assert_ok(ts_tokenizer_save(tokenizer, in_work("t.tiktoken")));
    add("tiktoken", in_work("t.tiktoken"), 0, true, false, tokenizer_in_memory, passes_ranks);
    mkdir(in_work("pair"), 0777);
    assert_ok(ts_tokenizer_save(tokenizer, in_work("pair")));
    add("vocab.json", in_work("pair/vocab.json"), 0, true, true, tokenizer_in_file, passes_json);
    add("merges.txt", in_work("pair/merges.txt"), 0, true, true, tokenizer_in_file, passes_lines);
    ts_tokenizer_free(tokenizer);
}

static void add_data(void)
{
    static const char text[] =
        "{\"story\": \"One day a cat\\nran.\", \"n\": [1, 2.5, null, true]}\n{\"text\": \"caf\\u00e9 \\ud83d\\ude00 end\"}\n\n";
    ts_story_writer *writer;
    ts_shard_report report = {.struct_size = sizeof report};
    const char *path = put_file("stories.txt", fixture_stories[0], strlen(fixture_stories[0]));
    assert_ok(ts_tokenizer_encode_files(session_model->tokenizer, &path, 1, in_work("shard.bin"), &report, NULL, NULL));
    add("token shard", in_work("shard.bin"), 64, false, true, shard_in_file, passes_shard);
    add("stories .jsonl", put_file("stories.jsonl", text, sizeof text - 1), 0, true, true, stories_in_file, passes_first_line);
    assert_ok(ts_story_writer_open(&writer, runtime, in_work("stories.txt.gz")));
    for (size_t i = 0; i < TS_COUNT_OF(fixture_stories); i++)
        ts_story_writer_add(writer, fixture_stories[i], strlen(fixture_stories[i]));
    assert_ok(ts_story_writer_commit(writer));
    add("stories .txt.gz", in_work("stories.txt.gz"), 0, false, true, stories_in_file, passes_gzip);
    ts_sampler *sampler;
    const char *told;
    size_t size;
    assert_ok(ts_sampler_new(&sampler, session_model, NULL));
    assert_ok(ts_sampler_start(sampler, "The cat", 7));
    for (int i = 0; i < 5; i++)
        assert_ok(ts_sampler_next(sampler, &told, &size));
    assert_ok(ts_sampler_save(sampler, in_work("session.gguf")));
    ts_sampler_free(sampler);
    add("session", in_work("session.gguf"), 0, false, false, session_in_memory, passes_gguf);
    formats[format_count - 1].mend = mend_session;
}

/* ---- mutation ---- */

static const uint64_t interesting[] = {0,          1,          2,          3,          UINT64_MAX, 127,        128,         255,
                                       256,        0x7fff,     0x8000,     0xffff,     0x10000,    0x7fffffff, 0x80000000u, 0xffffffffu,
                                       1ull << 32, 1ull << 53, 1ull << 61, 1ull << 63, 31,         32,         33,          0x7fc00000};

static void mutate_bytes(unsigned char *data, size_t *size, size_t capacity, size_t at)
{
    size_t left = *size - at, length = 1 + below(32), from = below(*size);
    uint64_t value = interesting[below(TS_COUNT_OF(interesting))];
    uint32_t word = 0;
    switch (below(9)) {
    case 0:
        data[at] = (unsigned char)ts_random_next(&numbers);
        break;
    case 1:
        data[at] ^= (unsigned char)(1 << below(8));
        break;
    case 2:
        memcpy(data + at, &value, TS_MIN(left, 4));
        break;
    case 3:
        memcpy(data + at, &value, TS_MIN(left, 8));
        break;
    case 4: /* a number that is a little more or less */
        memcpy(&word, data + at, TS_MIN(left, 4));
        word += (uint32_t)below(5) - 2;
        memcpy(data + at, &word, TS_MIN(left, 4));
        break;
    case 5: /* something from elsewhere in the same file */
        memmove(data + at, data + from, TS_MIN(length, TS_MIN(left, *size - from)));
        break;
    case 6:
        length = TS_MIN(length, left);
        memmove(data + at, data + at + length, left - length);
        *size -= length;
        break;
    case 7:
        length = TS_MIN(length, TS_MIN(left, capacity - *size));
        memmove(data + at + length, data + at, left);
        *size += length;
        break;
    default:
        if (below(4) == 0)
            *size = at;
        break;
    }
}

static void mutate_text(unsigned char *data, size_t *size, size_t capacity, size_t at)
{
    static const char marks[] = "{}[]\",:0123456789-.eE\\/ \nutf##<|>=";
    static const char *const words[] = {"4294967296",       "-1",      "1e3",     "0.5", "null",      "true", "\"\"", "[]", "{}", "0",
                                        "9007199254740993", "\\u0000", "\\ud800", "BPE", "WordPiece", "NaN"};
    const char *word = words[below(TS_COUNT_OF(words))];
    size_t left = *size - at, length = strlen(word);
    unsigned char *line = memchr(data + at, '\n', left), *end = line ? memchr(line + 1, '\n', *size - (size_t)(line + 1 - data)) : NULL;
    switch (below(8)) {
    case 0:
        data[at] = (unsigned char)marks[below(sizeof marks - 1)];
        break;
    case 1: /* a letter or digit by its neighbour in the alphabet: the text stays sound */
        if (data[at] > '0' && data[at] < 'z')
            data[at]++;
        break;
    case 2:
        memcpy(data + at, word, TS_MIN(left, length));
        break;
    case 3: /* the next number becomes another */
        while (at + length < *size && (data[at] < '0' || data[at] > '9'))
            at++;
        data[at] = (unsigned char)('0' + below(10));
        break;
    case 4: /* a line goes, or comes twice */
    case 5:
        if (end == NULL)
            break;
        length = (size_t)(end - line);
        left = *size - (size_t)(end - data);
        if (below(2) == 0) {
            memmove(line, end, left);
            *size -= length;
        } else if (length <= capacity - *size) {
            memmove(end + length, end, left);
            memcpy(end, line, length);
            *size += length;
        }
        break;
    default:
        mutate_bytes(data, size, capacity, at);
        break;
    }
}

/* The bytes of a mutant, exactly so many of them, that the address sanitizer sees the end. */
static unsigned char *mutant_of(const format *f, size_t *size)
{
    enum { MORE = 4096 };
    size_t capacity = f->file.size + MORE;
    unsigned char *data = malloc(capacity);
    assert_non_null(data);
    memcpy(data, f->file.data, f->file.size);
    *size = f->file.size;
    for (size_t i = 1 + below(3); i > 0 && *size > 0; i--) {
        size_t at = below(below(5) > 0 ? TS_MIN(f->description, *size) : *size);
        if (f->text)
            mutate_text(data, size, capacity, at);
        else
            mutate_bytes(data, size, capacity, at);
    }
    unsigned char *exact = malloc(*size > 0 ? *size : 1);
    assert_non_null(exact);
    memcpy(exact, data, *size);
    free(data);
    return exact;
}

/* Written over what is there: quicker than a new file. */
static void put_mutant(const char *path, const unsigned char *data, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_true(file >= 0 && pwrite(file, data, size, 0) == (ssize_t)size && ftruncate(file, (off_t)size) == 0);
    close(file);
}

/* Every second mutant should be one that passes the first check: it gets several chances. */
static unsigned char *choose_mutant(const format *f, size_t *size, bool *passed)
{
    size_t chances = below(2) ? 12 : 1;
    for (;;) {
        unsigned char *data = mutant_of(f, size);
        if (f->mend != NULL && below(4) > 0)
            f->mend(data, *size);
        *passed = f->passes(f, data, *size);
        if (*passed || --chances == 0)
            return data;
        free(data);
    }
}

static void run_one(format *f)
{
    struct timespec begin, end;
    bool passed;
    size_t size;
    unsigned char *exact = choose_mutant(f, &size, &passed);
    if (f->path != NULL)
        put_mutant(f->path, exact, size);
    uint64_t before = ts_runtime_memory(runtime);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    ts_status status = f->use(f, exact, size);
    clock_gettime(CLOCK_MONOTONIC, &end);
    bool expected = status == TS_OK || status == TS_ERROR_FORMAT || status == TS_ERROR_VERSION || status == TS_ERROR_UNSUPPORTED ||
                    status == TS_ERROR_LIMIT || status == TS_ERROR_MISMATCH || status == TS_ERROR_OUT_OF_MEMORY ||
                    (status == TS_ERROR_IO && strstr(f->name, "index.json") != NULL) ||
                    (status == TS_ERROR_INVALID_ARGUMENT && f->mend != NULL) /* options in a session or checkpoint whose sum fits */;
    if (!expected || ts_runtime_memory(runtime) != before || (status != TS_OK && ts_error_detail()[0] == 0)) {
        write_file("/tmp/tinystories-mutant", exact, size);
        fail_msg("%s, mutant %llu: %s: %s; %llu bytes kept (it is /tmp/tinystories-mutant)", f->name, (unsigned long long)f->mutants,
                 ts_status_name(status), ts_error_detail(), (unsigned long long)(ts_runtime_memory(runtime) - before));
    }
    free(exact);
    if (f->path != NULL)
        put_mutant(f->path, f->file.data, f->file.size); /* sound again, for the mutants of its neighbours */
    f->mutants++;
    f->passed += passed;
    f->opened += status == TS_OK;
    f->slowest = TS_MAX(f->slowest, (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec));
}

/* ---- running ---- */

static uint64_t wanted = DEFAULT_COUNT, first_seed = 1;

static void report(void)
{
    uint64_t mutants = 0, passed = 0, opened = 0;
    printf("%-32s %9s %8s %8s %12s\n", "format", "mutants", "behind", "opened", "slowest");
    for (size_t i = 0; i < format_count; i++) {
        const format *f = &formats[i];
        printf("%-32s %9llu %7.0f%% %7.0f%% %9.1f ms\n", f->name, (unsigned long long)f->mutants, 100 * (double)f->passed / (double)f->mutants,
               100 * (double)f->opened / (double)f->mutants, 1e3 * f->slowest);
        mutants += f->mutants;
        passed += f->passed;
        opened += f->opened;
    }
    printf("%-32s %9llu %7.0f%% %7.0f%%\n", "all", (unsigned long long)mutants, 100 * (double)passed / (double)mutants,
           100 * (double)opened / (double)mutants);
}

static void test_mutations(void **state)
{
    (void)state;
    numbers.seed = first_seed;
    for (uint64_t i = 0; i < wanted; i++) {
        run_one(&formats[i % format_count]);
        if (i % 65536 == 65535)
            printf("%llu\n", (unsigned long long)i + 1), fflush(stdout);
    }
    report();
    for (size_t i = 0; i < format_count; i++)
        if (formats[i].mutants > 100 && formats[i].passed * 100 < formats[i].mutants * 30)
            fail_msg("%s: of %llu mutants %llu passed the first check, expected 30 %%", formats[i].name, (unsigned long long)formats[i].mutants,
                     (unsigned long long)formats[i].passed);
}

static int set_up(void **state)
{
    ts_runtime_options options;
    if (make_folder(state) != 0 || ts_runtime_options_init(&options, sizeof options) != TS_OK)
        return 1;
    options.memory_limit = 16 << 20;
    session_model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    if (ts_runtime_new(&runtime, &options) != TS_OK)
        return 1;
    add_ggufs();
    add_checkpoints();
    add_folders();
    add_tokenizers();
    add_data();
    add_quantized();
    add_archives();
    add_runs();
    add_evaluations();
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < format_count; i++) {
        free(formats[i].file.data);
        free((void *)formats[i].path);
    }
    ts_model_free(session_model);
    ts_runtime_free(runtime);
    return remove_folder(state);
}

int main(int count, char **values)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};
    wanted = count > 1 ? strtoull(values[1], NULL, 10) : wanted;
    first_seed = count > 2 ? strtoull(values[2], NULL, 10) : first_seed;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

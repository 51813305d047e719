/* Every file format of byte-level BPE: GPT-2's gold in each, rank files of tiktoken and pairs of files in all their damage. */
#include "support/support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "format/format.h"
#include "tinystories.h"
#include "tokenizer/tokenizer.h"

static ts_tokenizer *open_it(const char *path)
{
    ts_tokenizer *tokenizer = NULL;
    assert_ok(ts_tokenizer_open(&tokenizer, NULL, path));
    return tokenizer;
}

/* ---- gold ---- */

static void assert_gold_ids(const ts_tokenizer *tokenizer)
{
    size_t size, at = 0, stories = 0;
    uint16_t *gold = (uint16_t *)(void *)read_file(test_data("tokens/gpt2-ids.u16.bin"), &size);
    uint32_t *ids = malloc(1 << 20), *encoded = malloc(1 << 20);
    char *text = malloc(1 << 20);
    while (at < size / 2) {
        size_t count = 0, bytes, got;
        while (at < size / 2 && gold[at] != 50256)
            ids[count++] = gold[at++];
        at++;
        assert_int_equal(ts_tokenizer_decode(tokenizer, ids, count, text, 1 << 20, &bytes), TS_OK);
        assert_int_equal(ts_tokenizer_encode(tokenizer, text, bytes, 0, encoded, 1 << 18, &got), TS_OK);
        assert_int_equal(got, count);
        assert_memory_equal(ids, encoded, count * sizeof *ids);
        stories++;
    }
    assert_int_equal(stories, 3117);
    assert_int_equal(ts_tokenizer_end_of_text(tokenizer), 50256);
    free(gold), free(ids), free(encoded), free(text);
}

static void assert_gold_strings(const ts_tokenizer *tokenizer)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    size_t size, lines = 0;
    char *strings = read_file(test_data("conformance/gpt2/strings.inp"), &size), *expected = read_file(test_data("conformance/gpt2/ids.out"), &size);
    char *at = strings, *line = expected;
    while (*line) {
        char *end = strstr(at, mark);
        size_t length = end ? (size_t)(end - at) : strlen(at), got, count = 0;
        uint32_t ids[4096];
        assert_int_equal(ts_tokenizer_encode(tokenizer, at, length, 0, ids, 4096, &got), TS_OK);
        while (*line != '\n' && *line) {
            char *rest;
            unsigned long id = strtoul(line, &rest, 10);
            if (rest == line)
                break;
            assert_true(count < got);
            assert_int_equal(ids[count++], id);
            for (line = rest; *line == ' '; line++)
                ;
        }
        assert_int_equal(count, got);
        line += strcspn(line, "\n");
        line += *line == '\n';
        lines++;
        if (end == NULL)
            break;
        at = end + sizeof mark - 1;
    }
    assert_int_equal(lines, 46);
    free(strings), free(expected);
}

static void test_gold(void **state)
{
    (void)state;
    ts_tokenizer *gpt2 = open_it(test_data("tokenizers/gpt2"));
    ts_architecture shape;
    ts_model *model;
    assert_gold_ids(gpt2);
    assert_gold_strings(gpt2);
    assert_ok(ts_architecture_init(&shape, sizeof shape));
    shape.width = shape.hidden = 2;
    shape.layers = shape.heads = 1;
    shape.context_length = 8;
    assert_ok(ts_model_new(&model, NULL, gpt2, &shape, 1));
    assert_ok(ts_model_save(model, in_work("gpt2.gguf")));
    ts_model_free(model);
    const char *const names[] = {"gpt2.json", "gpt2.tiktoken", "gpt2.gguf", "pair"};
    mkdir(in_work("pair"), 0777);
    for (size_t i = 0; i < TS_COUNT_OF(names); i++) {
        if (i != 2)
            assert_ok(ts_tokenizer_save(gpt2, in_work(names[i])));
        ts_tokenizer *again = open_it(in_work(names[i]));
        assert_gold_ids(again);
        assert_gold_strings(again);
        assert_int_equal(ts_tokenizer_fingerprint(again), ts_tokenizer_fingerprint(gpt2));
        ts_tokenizer_free(again);
    }
    ts_tokenizer_free(gpt2);
}

/* ---- rank files ---- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* A line for up to three bytes. */
static void add_line(char *file, const char *bytes, size_t size, unsigned rank)
{
    unsigned bits = 0;
    for (size_t i = 0; i < 3; i++)
        bits |= (i < size ? (unsigned char)bytes[i] : 0u) << (16 - 8 * i);
    sprintf(file + strlen(file), "%c%c%c%c %u\n", letters[bits >> 18], letters[bits >> 12 & 63], size > 1 ? letters[bits >> 6 & 63] : '=',
            size > 2 ? letters[bits & 63] : '=', rank);
}

/* The 256 bytes in their own order and five joins. */
static void make_file(char *file)
{
    static const char *const joins[] = {"ab", "abc", " a", "th", "the"};
    file[0] = 0;
    for (unsigned byte = 0; byte < 256; byte++)
        add_line(file, &(char){(char)byte}, 1, byte);
    for (unsigned i = 0; i < TS_COUNT_OF(joins); i++)
        add_line(file, joins[i], strlen(joins[i]), 256 + i);
}

static ts_status open_text(const char *text)
{
    ts_tokenizer *tokenizer = NULL;
    ts_status status = ts_tokenizer_open_memory(&tokenizer, NULL, text, strlen(text));
    ts_tokenizer_free(tokenizer);
    return status;
}

static void test_ranks(void **state)
{
    static char file[1 << 14], again[1 << 14];
    static const uint32_t expected[] = {257, 'x', ' ', 256, ' ', 260, 261, 256};
    static const char text[] = "abcx ab the<|endoftext|>ab";
    ts_tokenizer *tokenizer;
    uint32_t ids[32];
    size_t count, size;
    (void)state;
    make_file(file);
    assert_ok(ts_tokenizer_open_memory(&tokenizer, NULL, file, strlen(file)));
    assert_int_equal(ts_tokenizer_size(tokenizer), 262);
    assert_int_equal(ts_tokenizer_end_of_text(tokenizer), 261);
    assert_ok(ts_tokenizer_encode(tokenizer, text, sizeof text - 1, TS_ENCODE_SPECIALS, ids, 32, &count));
    assert_int_equal(count, TS_COUNT_OF(expected));
    assert_memory_equal(ids, expected, sizeof expected);
    assert_ok(ts_tokenizer_save(tokenizer, in_work("small.tiktoken")));
    char *written = read_file(in_work("small.tiktoken"), &size);
    assert_string_equal(written, file);
    free(written);
    ts_tokenizer_free(tokenizer);
    size = 0; /* with the line ends of other systems, and empty lines */
    for (const char *at = file; *at; at++)
        size += (size_t)sprintf(again + size, *at == '\n' ? "\r\n\n" : "%c", *at);
    assert_ok(open_text(again));
    file[strlen(file) - 1] = 0; /* and without the last one */
    assert_ok(open_text(file));
    strcpy(strstr(file, "dGhl 260"), "dGhl 261\n"); /* the end of text is where there is a hole */
    assert_ok(ts_tokenizer_open_memory(&tokenizer, NULL, file, strlen(file)));
    assert_int_equal(ts_tokenizer_end_of_text(tokenizer), 260);
    assert_int_equal(ts_tokenizer_size(tokenizer), 262);
    ts_tokenizer_free(tokenizer);
    strcat(file, "YmI= 263\n"); /* of one id */
    assert_status(open_text(file), TS_ERROR_FORMAT);
}

static void test_ranks_refused(void **state)
{
    static const struct {
        const char *line;
        ts_status status;
        const char *detail;
    } rows[] = {
        {"YWI= 263", TS_ERROR_FORMAT, "263, expected 261"},      {"YWI= 260", TS_ERROR_FORMAT, "260, expected 261"},
        {"YWI= 4294967557", TS_ERROR_FORMAT, "4294967557"},      {"YWI= 99999999999999999999", TS_ERROR_FORMAT, "no whole number"},
        {"YWI= -1", TS_ERROR_FORMAT, "no whole number"},         {"YWI= 261 ", TS_ERROR_FORMAT, "no whole number"},
        {"YWI= ", TS_ERROR_FORMAT, "token 261"},                  {"YWI=", TS_ERROR_FORMAT, "token 261"},
        {" 261", TS_ERROR_FORMAT, "token 261"},                   {"YWI 261", TS_ERROR_FORMAT, "base64"},
        {"YW=I 261", TS_ERROR_FORMAT, "base64"},                 {"Y=== 261", TS_ERROR_FORMAT, "base64"},
        {"==== 261", TS_ERROR_FORMAT, "base64"},                 {"Y*I= 261", TS_ERROR_FORMAT, "base64"},
        {"YWJ= 261", TS_ERROR_FORMAT, "base64"},                 {"YWI= 261", TS_ERROR_FORMAT, "the same"},
        {"YiB4 261", TS_ERROR_UNSUPPORTED, "by GPT-2's rule"},   {"eHl6 261", TS_ERROR_UNSUPPORTED, "not the join of two"},
        {"Mwo= 261", TS_ERROR_UNSUPPORTED, "by GPT-2's rule"}, /* "3\n", of a rule where line ends follow */
    };
    static char file[1 << 14], longer[1 << 15];
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(rows); i++) {
        make_file(file);
        strcat(file, rows[i].line);
        assert_status(open_text(file), rows[i].status);
        assert_detail(rows[i].detail);
    }
    make_file(file); /* a byte that is not there */
    assert_status(open_text(strchr(file, '\n') + 1), TS_ERROR_FORMAT);
    size_t size = (size_t)sprintf(longer, "%s", file);
    memset(longer + size, 'Y', 5468);
    sprintf(longer + size + 5468, " 261\n");
    assert_status(open_text(longer), TS_ERROR_LIMIT);
}

/* Cut at every byte: what is left is a smaller file or none, never a fault. */
static void test_ranks_cut(void **state)
{
    static char file[1 << 14];
    ts_tokenizer *tokenizer;
    (void)state;
    make_file(file);
    for (size_t cut = strlen(file); cut-- > 0;) {
        char *copy = malloc(cut ? cut : 1);
        memcpy(copy, file, cut);
        tokenizer = NULL;
        ts_status status = ts_tokenizer_open_memory(&tokenizer, NULL, copy, cut);
        if (status != TS_OK && status != TS_ERROR_FORMAT)
            fail_msg("cut at %zu: %s", cut, ts_error_detail());
        ts_tokenizer_free(tokenizer);
        free(copy);
    }
}

/* A token of one letter again and again is the join of its halves: found in time that grows with its size, not with the square. */
static void test_ranks_long(void **state)
{
    static char file[1 << 17];
    size_t size;
    (void)state;
    make_file(file);
    size = strlen(file);
    for (unsigned length = 2, rank = 261; length <= 4096; length *= 2, rank++) {
        for (unsigned at = 0; at + 3 <= length; at += 3)
            size += (size_t)sprintf(file + size, "eHh4");
        size += (size_t)sprintf(file + size, length % 3 == 2 ? "eHg= %u\n" : "eA== %u\n", rank);
    }
    assert_ok(open_text(file));
}

/* ---- what cannot be written ---- */

static ts_tokenizer *without_json(const char *path, const char *what, const char *with)
{
    size_t size;
    ts_tokenizer *tokenizer;
    char *json = read_file(path, &size), *at = strstr(json, what);
    assert_non_null(at);
    assert_int_equal(strlen(what), strlen(with));
    memcpy(at, with, strlen(with));
    at = strstr(at, what);
    if (at != NULL)
        memcpy(at, with, strlen(with));
    assert_ok(ts_tokenizer_open_memory(&tokenizer, NULL, json, size));
    free(json);
    return tokenizer;
}

static void test_not_written(void **state)
{
    static char file[1 << 14];
    (void)state;
    make_file(file);
    ts_tokenizer *tokenizer = NULL, *other;
    assert_ok(ts_tokenizer_open_memory(&tokenizer, NULL, file, strlen(file)));
    assert_ok(ts_tokenizer_save(tokenizer, in_work("small.json")));
    mkdir(in_work("other"), 0777);
    other = without_json(in_work("small.json"), "<|endoftext|>", "<|endofpage|>"); /* another special token */
    assert_status(ts_tokenizer_save(other, in_work("other")), TS_ERROR_UNSUPPORTED);
    assert_detail("<|endofpage|>");
    assert_status(ts_tokenizer_save(other, in_work("other.tiktoken")), TS_ERROR_UNSUPPORTED);
    ts_tokenizer_free(other);
    assert_int_equal(files_in(in_work("other")), 0);
    assert_status(ts_tokenizer_save(tokenizer, in_work("other.bin")), TS_ERROR_UNSUPPORTED);
    assert_int_equal(access(in_work("other.tiktoken"), F_OK), -1);
    ts_tokenizer_free(tokenizer);
}

/* ---- no memory ---- */

static ts_status use_once(ts_runtime *runtime, void *file)
{
    ts_tokenizer *tokenizer = NULL;
    ts_status status = ts_tokenizer_open_memory(&tokenizer, runtime, file, strlen(file));
    if (status == TS_OK)
        status = ts_tokenizer_save(tokenizer, in_work("memory.tiktoken"));
    if (status == TS_OK)
        status = ts_tokenizer_save(tokenizer, in_work("memory"));
    ts_tokenizer_free(tokenizer);
    return status;
}

static void test_out_of_memory(void **state)
{
    static char file[1 << 14];
    (void)state;
    make_file(file);
    mkdir(in_work("memory"), 0777);
    assert_true(sweep_memory_alone(use_once, file) > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gold),       cmocka_unit_test(test_ranks),      cmocka_unit_test(test_ranks_refused), cmocka_unit_test(test_ranks_cut),
        cmocka_unit_test(test_ranks_long), cmocka_unit_test(test_not_written), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* Vocabularies from every kind of file: what is refused and with which words, pairs of files, GGUF, and pruning to every possible size. */
#include "support/support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tokenizer/vocabulary.h"

enum { LARGEST = 287 }; /* tokens that the sample gives */

static ts_runtime *runtime;
static const char sample[] =
    "the cat sat on the mat. the cat saw the rat, and the rat ran. That's the cat's hat! the hat, the mat, the cat; 12 cats 123 hats";

static int set_up(void **state)
{
    return make_folder(state) != 0 || ts_runtime_new(&runtime, NULL) != TS_OK;
}

/* Nothing is left of memory, and no file that a test did not take away. */
static int tear_down(void **state)
{
    (void)state;
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    return remove_empty_folder() != 0 || left != 0;
}

/* ---- a small tokenizer and its JSON ---- */

static ts_tokenizer *train(uint32_t size)
{
    ts_tokenizer_train_options options;
    ts_tokenizer *tokenizer = NULL;
    text_list list = {(const char *const[]){sample}, 1, 0};
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = size;
    options.min_frequency = 1;
    if (ts_tokenizer_train(&tokenizer, runtime, next_of_list, &list, &options) != TS_OK)
        fail_msg("%s", ts_error_detail());
    assert_int_equal(ts_tokenizer_size(tokenizer), size);
    return tokenizer;
}

static ts_bytes json_of(const ts_tokenizer *tokenizer)
{
    ts_bytes json = {.runtime = runtime};
    assert_int_equal(ts_tokenizer_to_json(tokenizer, &json), TS_OK);
    return json;
}

/* Opens a copy of exactly these bytes. In a build without JSON the test is skipped. */
static ts_status open_text(ts_tokenizer **out, const char *text, size_t size)
{
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    *out = NULL;
    ts_status status = ts_tokenizer_open_memory(out, runtime, copy, size);
    free(copy);
    if (status == TS_ERROR_UNSUPPORTED && strstr(ts_error_detail(), "no JSON") != NULL) {
        print_message("skipped: a build without JSON\n");
        skip();
    }
    assert_true(status == TS_OK || *out == NULL);
    return status;
}

/* The small tokenizer's JSON with `from` replaced by `to`. */
static char *changed(const char *from, const char *to)
{
    ts_tokenizer *tokenizer = train(262);
    ts_bytes json = json_of(tokenizer);
    ts_tokenizer_free(tokenizer);
    const char *at = strstr(json.data, from);
    if (at == NULL)
        fail_msg("'%s' is not in the JSON", from);
    size_t before = (size_t)(at - json.data), size = json.size + strlen(to) + 1;
    char *text = malloc(size);
    assert_non_null(text);
    snprintf(text, size, "%.*s%s%s", (int)before, json.data, to, at + strlen(from));
    ts_bytes_free(&json);
    return text;
}

static void expect(const char *from, const char *to, ts_status expected, const char *detail)
{
    ts_tokenizer *tokenizer;
    char *text = changed(from, to);
    ts_status status = open_text(&tokenizer, text, strlen(text));
    if (status != expected)
        fail_msg("%s: %s, expected %s: %s", to, ts_status_name(status), ts_status_name(expected), ts_error_detail());
    if (detail != NULL && strstr(ts_error_detail(), detail) == NULL)
        fail_msg("%s: '%s' is not in the detail '%s'", to, detail, ts_error_detail());
    ts_tokenizer_free(tokenizer);
    free(text);
}

static void test_settings(void **state)
{
    (void)state;
    expect("\"dropout\": null", "\"dropout\": 0.5", TS_ERROR_UNSUPPORTED, "model.dropout");
    expect("\"dropout\": null", "\"dropout\": true", TS_ERROR_UNSUPPORTED, "model.dropout");
    expect("\"dropout\": null", "\"dropout\": 0.0", TS_OK, NULL);
    expect("\"ignore_merges\": false", "\"ignore_merges\": true", TS_ERROR_UNSUPPORTED, "model.ignore_merges");
    expect("\"byte_fallback\": false", "\"byte_fallback\": true", TS_ERROR_UNSUPPORTED, "model.byte_fallback");
    expect("\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"##\"", TS_ERROR_UNSUPPORTED, "model.continuing_subword_prefix");
    expect("\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"\"", TS_OK, NULL);
    expect("\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"", TS_ERROR_UNSUPPORTED, "model.end_of_word_suffix");
    expect("\"unk_token\": null", "\"unk_token\": \"<|endoftext|>\"", TS_OK, NULL); /* with all bytes nothing is unknown */
    expect("\"fuse_unk\": false", "\"fuse_unk\": true", TS_OK, NULL);
    expect("\"type\": \"BPE\"", "\"type\": \"Unigram\"", TS_ERROR_UNSUPPORTED, "Unigram");
    expect("\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}", TS_ERROR_UNSUPPORTED, "normalizer");
    expect("\"use_regex\": true", "\"use_regex\": false", TS_ERROR_UNSUPPORTED, "use_regex");
    expect("\"add_prefix_space\": false", "\"add_prefix_space\": true", TS_ERROR_UNSUPPORTED, "add_prefix_space");
    expect("\"pre_tokenizer\": {\"type\": \"ByteLevel\"", "\"pre_tokenizer\": {\"type\": \"Metaspace\"", TS_ERROR_UNSUPPORTED, "Metaspace");
    expect("\"pre_tokenizer\"", "\"pre\"", TS_ERROR_UNSUPPORTED, "pre_tokenizer");
    expect("\"decoder\": {\"type\": \"ByteLevel\"", "\"decoder\": {\"type\": \"WordPiece\"", TS_ERROR_UNSUPPORTED, "WordPiece");
    expect("\"decoder\"", "\"no\"", TS_OK, NULL);
    expect("\"lstrip\": false", "\"lstrip\": true", TS_ERROR_UNSUPPORTED, "lstrip");
    expect("\"rstrip\": false", "\"rstrip\": true", TS_ERROR_UNSUPPORTED, "rstrip");
    expect("\"single_word\": false", "\"single_word\": true", TS_ERROR_UNSUPPORTED, "single_word");
    expect("\"normalized\": false", "\"normalized\": true", TS_OK, NULL); /* without a normalizer no difference */
}

static void test_values(void **state)
{
    (void)state;
    expect("\"model\"", "\"Model\"", TS_ERROR_FORMAT, "has no model");
    expect("\"vocab\": {", "\"vocab\": [], \"old\": {", TS_ERROR_FORMAT, "model.vocab");
    expect("\"vocab\": {", "\"vocab\": {}, \"old\": {", TS_ERROR_FORMAT, NULL);
    expect("\"merges\": [", "\"merges\": 7, \"old\": [", TS_ERROR_FORMAT, "model.merges");
    expect("\"merges\"", "\"old\"", TS_ERROR_FORMAT, "model.merges");
    expect("\"merges\": [", "\"merges\": [null, ", TS_ERROR_FORMAT, "merge 0");
    expect("\"merges\": [", "\"merges\": [[\"a\", \"b\", \"c\"], ", TS_ERROR_FORMAT, "merge 0");
    expect("\"merges\": [", "\"merges\": [[\"a\", 1], ", TS_ERROR_FORMAT, "merge 0");
    expect("\"merges\": [", "\"merges\": [\"q q\", ", TS_ERROR_FORMAT, "which is no token"); /* both parts exist, what they give does not */
    expect("\"merges\": [", "\"merges\": [\"q  q\", ", TS_ERROR_FORMAT, NULL);
    expect("\"merges\": [", "\"merges\": [\" q\", ", TS_ERROR_FORMAT, NULL);
    expect("\"merges\": [", "\"merges\": [\"q \", ", TS_ERROR_FORMAT, NULL);
    expect("\"merges\": [", "\"merges\": [\"\\u4e2d q\", ", TS_ERROR_FORMAT, "stands for no byte");
    expect("\"!\": 1,", "\"!\": 4294967297,", TS_ERROR_FORMAT, "\"!\"");
    expect("\"!\": 1,", "\"!\": 2147483648,", TS_ERROR_FORMAT, "\"!\"");
    expect("\"!\": 1,", "\"!\": null,", TS_ERROR_FORMAT, "\"!\"");
    expect("\"!\": 1,", "\"!\": 1, \"!\": 1,", TS_ERROR_FORMAT, NULL);
    expect("\"!\": 1,", "\"!\": 1, \"qq\": 262, \"qq\": 263,", TS_ERROR_FORMAT, "are the same");
    expect("\"!\": 1,", "\"!\": 1, \"qq\": 400,", TS_ERROR_FORMAT, "\"qq\"");
    expect("\"!\": 1,", "\"!\": 1, \"\": 262,", TS_ERROR_FORMAT, NULL);
    expect("\"!\": 1,", "\"!\": 1, \"\\u4e2d\": 262,", TS_ERROR_FORMAT, "stands for no byte");
    expect("\"!\": 1,", "\"!!\": 1,", TS_ERROR_FORMAT, "no token for the byte 0x21");
    expect("\"added_tokens\": [", "\"added_tokens\": 1, \"old\": [", TS_ERROR_FORMAT, "added_tokens");
    expect("\"added_tokens\": [", "\"added_tokens\": [1, ", TS_ERROR_FORMAT, "no content");
    expect("\"added_tokens\": [", "\"added_tokens\": [{\"content\": \"<x>\"}, ", TS_ERROR_FORMAT, "<x>");
    expect("\"added_tokens\": [", "\"added_tokens\": [{\"content\": \"<x>\", \"id\": 5}, ", TS_ERROR_FORMAT, "<x>");
    expect("\"added_tokens\": [", "\"added_tokens\": [{\"content\": \"<x>\", \"id\": 263}, ", TS_ERROR_FORMAT, "<x>");
    expect("\"added_tokens\": [", "\"added_tokens\": [{\"content\": \"<x>\", \"id\": 262}, {\"content\": \"<y>\", \"id\": 262}, ", TS_ERROR_FORMAT,
           NULL);
    expect("\"added_tokens\": [", "\"added_tokens\": [{\"content\": \"<x>\", \"id\": 262}, {\"content\": \"<x>\", \"id\": 263}, ", TS_ERROR_FORMAT,
           NULL);
}

static void test_added_tokens(void **state)
{
    ts_tokenizer *tokenizer;
    (void)state;
    char *text = changed("\"added_tokens\": [", "\"added_tokens\": [{\"content\": \"<|pad|> \xc3\xa9\", \"id\": 262}, ");
    assert_int_equal(open_text(&tokenizer, text, strlen(text)), TS_OK);
    assert_int_equal(ts_tokenizer_size(tokenizer), 263);
    assert_int_equal(ts_tokenizer_find(tokenizer, "<|pad|> \xc3\xa9", 10), 262); /* its text as it stands, not in the byte alphabet */
    assert_true(ts_tokenizer_is_special(tokenizer, 262) && ts_tokenizer_is_special(tokenizer, 0) && !ts_tokenizer_is_special(tokenizer, 1));
    assert_int_equal(ts_tokenizer_is_special(tokenizer, 263), 0);
    assert_int_equal(ts_tokenizer_end_of_text(tokenizer), 0);
    ts_tokenizer_free(tokenizer);
    free(text);
    text = changed("\"content\": \"<|endoftext|>\"", "\"content\": \"<|other|>\"");
    assert_int_equal(open_text(&tokenizer, text, strlen(text)), TS_ERROR_FORMAT); /* id 0 is another token in the vocabulary */
    free(text);
}

/* Merges as pairs, as we write them, and as strings are the same. */
static void test_merge_forms(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = train(262), *again;
    ts_bytes json = json_of(tokenizer);
    char *merges = strstr(json.data, "\"merges\"");
    assert_non_null(merges);
    for (char *at; (at = strstr(merges, "\", \"")) != NULL;) { /* ["a", "b"] -> "a b" */
        char *open = at;
        while (*open != '[')
            open--;
        *open = ' ';
        memmove(at, at + 3, strlen(at + 3) + 1);
        *at = ' ';
        char *close = strchr(at, ']');
        *close = ' ';
    }
    assert_int_equal(open_text(&again, json.data, strlen(json.data)), TS_OK);
    assert_true(ts_tokenizer_fingerprint(tokenizer) == ts_tokenizer_fingerprint(again));
    ts_tokenizer_free(again);
    ts_tokenizer_free(tokenizer);
    ts_bytes_free(&json);
}

static void test_truncations(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = train(259), *none;
    ts_bytes json = json_of(tokenizer);
    size_t size = json.size;
    while (json.data[size - 1] != '}')
        size--;
    for (size_t cut = 0; cut < size; cut++)
        if (open_text(&none, json.data, cut) != TS_ERROR_FORMAT)
            fail_msg("cut at %zu of %zu: %s", cut, size, ts_error_detail());
    assert_int_equal(open_text(&none, json.data, size), TS_OK);
    ts_tokenizer_free(none);
    ts_tokenizer_free(tokenizer);
    ts_bytes_free(&json);
}

/* ---- vocabularies made by hand ---- */

static void begin(ts_vocabulary *v, int without)
{
    ts_vocabulary_init(v, runtime);
    for (int byte = 0; byte < 256; byte++)
        if (byte != without)
            assert_int_equal(ts_vocabulary_token(v, (char[]){(char)byte}, 1, false), TS_OK);
}

static void expect_vocabulary(ts_vocabulary *v, ts_status expected)
{
    ts_tokenizer *tokenizer = NULL;
    ts_status status = ts_tokenizer_make(&tokenizer, v, "by hand");
    if (status != expected)
        fail_msg("%s, expected %s: %s", ts_status_name(status), ts_status_name(expected), ts_error_detail());
    assert_true((tokenizer != NULL) == (status == TS_OK));
    ts_tokenizer_free(tokenizer);
}

static void test_parts(void **state)
{
    static char longest[TS_TOKENIZER_MAX_TOKEN + 1];
    ts_vocabulary v;
    (void)state;
    begin(&v, -1);
    expect_vocabulary(&v, TS_OK);
    ts_vocabulary_init(&v, runtime);
    expect_vocabulary(&v, TS_ERROR_FORMAT);
    begin(&v, 0xff);
    expect_vocabulary(&v, TS_ERROR_FORMAT);
    begin(&v, 'a');
    assert_int_equal(ts_vocabulary_token(&v, "a", 1, true), TS_OK); /* a special token is no byte */
    expect_vocabulary(&v, TS_ERROR_FORMAT);
    begin(&v, -1);
    assert_int_equal(ts_vocabulary_token(&v, "a", 1, true), TS_OK); /* beside one it may be */
    expect_vocabulary(&v, TS_OK);
    begin(&v, -1);
    assert_int_equal(ts_vocabulary_token(&v, "a", 1, false), TS_OK);
    expect_vocabulary(&v, TS_ERROR_FORMAT);
    static const uint32_t wrong[][2] = {{'a', 259}, {UINT32_MAX, 'a'}, {'a', 'c'}, {257, 'a'}};
    for (size_t i = 0; i < TS_COUNT_OF(wrong); i++) {
        begin(&v, -1);
        assert_int_equal(ts_vocabulary_token(&v, "ab", 2, false), TS_OK);
        assert_int_equal(ts_vocabulary_token(&v, "<s>", 3, true), TS_OK);
        assert_int_equal(ts_vocabulary_token(&v, "<s>a", 4, false), TS_OK); /* which {257, 'a'} would give */
        assert_int_equal(ts_vocabulary_merge(&v, 'a', 'b'), TS_OK);
        assert_int_equal(ts_vocabulary_merge(&v, wrong[i][0], wrong[i][1]), TS_OK);
        expect_vocabulary(&v, TS_ERROR_FORMAT);
    }
    begin(&v, -1);
    v.end_of_text = 5; /* no special token */
    expect_vocabulary(&v, TS_ERROR_FORMAT);
    begin(&v, -1);
    v.end_of_text = 256;
    expect_vocabulary(&v, TS_ERROR_FORMAT);
    begin(&v, -1);
    memset(longest, 'x', sizeof longest);
    assert_int_equal(ts_vocabulary_token(&v, longest, TS_TOKENIZER_MAX_TOKEN, false), TS_OK);
    assert_int_equal(ts_vocabulary_token(&v, longest, TS_TOKENIZER_MAX_TOKEN + 1, false), TS_ERROR_LIMIT);
    assert_int_equal(ts_vocabulary_token(&v, "", 0, false), TS_ERROR_FORMAT);
    expect_vocabulary(&v, TS_OK);
}

/* What makes two tokenizers differ: a token, its kind, a merge, the order of merges. */
static void test_fingerprints(void **state)
{
    uint64_t seen[6];
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(seen); i++) {
        ts_vocabulary v;
        ts_tokenizer *tokenizer;
        begin(&v, -1);
        assert_int_equal(ts_vocabulary_token(&v, i == 1 ? "ac" : "ab", 2, i == 2), TS_OK);
        assert_int_equal(ts_vocabulary_token(&v, "bc", 2, false), TS_OK);
        if (i == 3 || i == 4)
            assert_int_equal(ts_vocabulary_merge(&v, 'a', 'b'), TS_OK);
        if (i >= 3)
            assert_int_equal(ts_vocabulary_merge(&v, 'b', 'c'), TS_OK);
        if (i == 5)
            assert_int_equal(ts_vocabulary_merge(&v, 'a', 'b'), TS_OK);
        if (i == 3)
            v.merge_count = 1;
        assert_int_equal(ts_tokenizer_make(&tokenizer, &v, "by hand"), TS_OK);
        seen[i] = ts_tokenizer_fingerprint(tokenizer);
        for (size_t j = 0; j < i; j++)
            assert_true(seen[j] != seen[i]);
        ts_tokenizer_free(tokenizer);
    }
}

/* ---- vocab.json and merges.txt ---- */

static void write_pair(const ts_tokenizer *tokenizer, const char *vocabulary_name, const char *merges_name, const char *newline)
{
    const ts_vocabulary *v = &tokenizer->vocabulary;
    ts_bytes json = json_of(tokenizer), merges = {.runtime = runtime};
    char *vocab = strstr(json.data, "\"vocab\": ") + 9, *end = strchr(vocab, '\n');
    while (end[1] != ' ' || end[5] != '}') /* the line that closes it */
        end = strchr(end + 1, '\n');
    put_file(vocabulary_name, vocab, (size_t)(end + 6 - vocab));
    assert_int_equal(ts_bytes_format(&merges, "#version: 0.2%s", newline), TS_OK);
    for (uint32_t rank = 0; rank < v->merge_count; rank++)
        for (int side = 0; side < 2; side++) {
            size_t size;
            const char *bytes = ts_vocabulary_bytes(v, v->merges[rank][side], &size);
            assert_int_equal(ts_alphabet_encode(&merges, bytes, size), TS_OK);
            assert_int_equal(ts_bytes_format(&merges, "%s", side ? newline : " "), TS_OK);
        }
    put_file(merges_name, merges.data, merges.size);
    ts_bytes_free(&merges);
    ts_bytes_free(&json);
}

static void test_pairs_of_files(void **state)
{
    static const char *const names[][3] = {{"vocab.json", "merges.txt", "\n"}, {"encoder.json", "vocab.bpe", "\r\n"}};
    (void)state;
    ts_tokenizer *tokenizer = train(280), *again = NULL;
    ts_bytes json = json_of(tokenizer);
    assert_int_equal(open_text(&again, json.data, json.size), TS_OK); /* or skipped */
    ts_tokenizer_free(again);
    ts_bytes_free(&json);
    assert_int_equal(ts_tokenizer_open(&again, runtime, work_folder()), TS_ERROR_IO); /* none of the files */
    for (size_t i = 0; i < TS_COUNT_OF(names); i++) {
        write_pair(tokenizer, names[i][0], names[i][1], names[i][2]);
        if (ts_tokenizer_open(&again, runtime, work_folder()) != TS_OK)
            fail_msg("%s", ts_error_detail());
        assert_true(ts_tokenizer_fingerprint(tokenizer) == ts_tokenizer_fingerprint(again));
        ts_tokenizer_free(again);
        put_file(names[i][1], "#version: 0.2\nt h\nq q\n", 22);
        assert_int_equal(ts_tokenizer_open(&again, runtime, work_folder()), TS_ERROR_FORMAT);
        assert_non_null(strstr(ts_error_detail(), names[i][1]));
        put_file(names[i][1], "th\n", 3);
        assert_int_equal(ts_tokenizer_open(&again, runtime, work_folder()), TS_ERROR_FORMAT);
        remove_file(names[i][1]);
        assert_int_equal(ts_tokenizer_open(&again, runtime, work_folder()), TS_ERROR_IO);
        assert_int_equal(ts_tokenizer_open(&again, runtime, in_work(names[i][0])), TS_ERROR_FORMAT); /* no tokenizer.json */
        remove_file(names[i][0]);
    }
    ts_tokenizer_free(tokenizer);
}

/* ---- GGUF ---- */

static ts_status write_gguf(ts_gguf_writer *writer, const char *name)
{
    ts_writer file;
    ts_status status = ts_writer_open(&file, runtime, in_work(name));
    if (status == TS_OK)
        status = ts_gguf_write_start(writer, &file);
    if (status == TS_OK)
        status = ts_gguf_write_finish(writer);
    if (status == TS_OK)
        status = ts_writer_commit(&file);
    else
        ts_writer_abandon(&file);
    ts_gguf_writer_free(writer);
    return status;
}

static void test_gguf(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = train(280), *again = NULL;
    for (uint32_t padding = 0; padding < 20; padding += 13) {
        ts_gguf_writer writer;
        ts_gguf_writer_init(&writer, runtime);
        ts_tokenizer_to_gguf(tokenizer, &writer, 280 + padding);
        assert_int_equal(write_gguf(&writer, "a.gguf"), TS_OK);
        if (ts_tokenizer_open(&again, runtime, in_work("a.gguf")) != TS_OK)
            fail_msg("%s", ts_error_detail());
        assert_int_equal(ts_tokenizer_size(again), 280);
        assert_true(ts_tokenizer_fingerprint(tokenizer) == ts_tokenizer_fingerprint(again));
        ts_tokenizer_free(again);
    }
    remove_file("a.gguf");
    ts_tokenizer_free(tokenizer);
}

static void test_gguf_refused(void **state)
{
    static const struct {
        const char *model, *pre, *merge;
        int32_t type;
        ts_status status;
    } cases[] = {{"gpt2", "gpt-2", "a b", 1, TS_OK},
                 {"bert", "gpt-2", "a b", 1, TS_ERROR_UNSUPPORTED},
                 {"llama", "gpt-2", "a b", 1, TS_ERROR_FORMAT}, /* no scores */
                 {"gpt2", "llama-bpe", "a b", 1, TS_ERROR_UNSUPPORTED},
                 {"gpt2", "gpt2", "a c", 1, TS_ERROR_FORMAT},
                 {"gpt2", "default", "a b", 1, TS_ERROR_UNSUPPORTED},
                 {"gpt2", NULL, "a b", 1, TS_OK}, /* with a warning */
                 {"gpt2", "gpt-2", "ab", 1, TS_ERROR_FORMAT},
                 {"gpt2", "gpt-2", "a  b", 1, TS_ERROR_FORMAT},
                 {"gpt2", "gpt-2", " ", 1, TS_ERROR_FORMAT},
                 {"gpt2", "gpt-2", "a b", 3, TS_ERROR_FORMAT}}; /* "ab" is a special token: no word's part */
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_gguf_writer writer;
        int32_t types[257];
        ts_tokenizer *tokenizer = NULL;
        ts_gguf_writer_init(&writer, runtime);
        ts_gguf_add_string(&writer, "tokenizer.ggml.model", cases[i].model, strlen(cases[i].model));
        if (cases[i].pre != NULL)
            ts_gguf_add_string(&writer, "tokenizer.ggml.pre", cases[i].pre, strlen(cases[i].pre));
        ts_gguf_add_strings(&writer, "tokenizer.ggml.tokens", 257);
        for (int id = 0; id < 257; id++) {
            ts_bytes token = {.runtime = runtime};
            assert_int_equal(id < 256 ? ts_alphabet_encode(&token, (char[]){(char)id}, 1) : ts_bytes_format(&token, "ab"), TS_OK);
            ts_gguf_add_element(&writer, token.data, token.size);
            ts_bytes_free(&token);
            types[id] = id < 256 ? 1 : cases[i].type;
        }
        ts_gguf_add_i32s(&writer, "tokenizer.ggml.token_type", types, 257);
        ts_gguf_add_strings(&writer, "tokenizer.ggml.merges", 1);
        ts_gguf_add_element(&writer, cases[i].merge, strlen(cases[i].merge));
        assert_int_equal(write_gguf(&writer, "a.gguf"), TS_OK);
        ts_status status = ts_tokenizer_open(&tokenizer, runtime, in_work("a.gguf"));
        if (status != cases[i].status)
            fail_msg("case %zu: %s, expected %s: %s", i, ts_status_name(status), ts_status_name(cases[i].status), ts_error_detail());
        ts_tokenizer_free(tokenizer);
    }
    remove_file("a.gguf");
}

/* ---- pruning ---- */

/* To every size that is possible: exactly that many, all bytes and the special token, every token reachable, any text the same after encoding and
 * decoding. */
static void test_prune_sizes(void **state)
{
    (void)state;
    ts_tokenizer *whole = train(LARGEST), *pruned;
    const char *paths[] = {put_file("a.txt", "the rat's hat<|endoftext|>that cat, that cat<|endoftext|>123 hats", 65)};
    for (uint32_t size = 257; size <= LARGEST; size++) {
        uint32_t ids[256], last = 0;
        char text[256];
        size_t count, bytes;
        if (ts_tokenizer_prune_files(&pruned, whole, size, paths, 1) != TS_OK)
            fail_msg("%u: %s", size, ts_error_detail());
        assert_int_equal(ts_tokenizer_size(pruned), size);
        assert_int_equal(ts_tokenizer_end_of_text(pruned), 0);
        for (uint32_t id = 0; id < size; id++) { /* in the old order, and each token encodes to itself: its ancestors are there */
            const char *token = ts_tokenizer_token(pruned, id, &bytes);
            uint32_t old = ts_tokenizer_find(whole, token, bytes);
            assert_true(old != TS_TOKENIZER_NONE && (id == 0 || old > last));
            last = old;
            assert_int_equal(ts_tokenizer_encode(pruned, token, bytes, 0, ids, 256, &count), TS_OK);
            assert_true(ts_tokenizer_is_special(pruned, id) || (count == 1 && ids[0] == id));
        }
        for (int byte = 0; byte < 256; byte++)
            assert_true(ts_tokenizer_find(pruned, (char[]){(char)byte}, 1) != TS_TOKENIZER_NONE);
        assert_int_equal(ts_tokenizer_encode(pruned, sample, sizeof sample - 1, 0, ids, 256, &count), TS_OK);
        assert_int_equal(ts_tokenizer_decode(pruned, ids, count, text, sizeof text, &bytes), TS_OK);
        assert_string_equal(text, sample);
        if (size == LARGEST)
            assert_true(ts_tokenizer_fingerprint(pruned) == ts_tokenizer_fingerprint(whole));
        ts_tokenizer_free(pruned);
    }
    assert_int_equal(ts_tokenizer_prune_files(&pruned, whole, 256, paths, 1), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_tokenizer_prune_files(&pruned, whole, LARGEST + 1, paths, 1), TS_ERROR_INVALID_ARGUMENT);
    remove_file("a.txt");
    assert_int_equal(ts_tokenizer_prune_files(&pruned, whole, LARGEST + 1, paths, 1), TS_ERROR_INVALID_ARGUMENT); /* before any file is read */
    assert_int_equal(ts_tokenizer_prune_files(&pruned, whole, 270, paths, 1), TS_ERROR_IO);
    ts_tokenizer_free(whole);
}

/* A report of a wrong size is refused before the shard is written. */
static void test_report(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = train(280);
    const char *paths[] = {put_file("a.txt", "the cat", 7)};
    ts_shard_report report = {.struct_size = 0};
    assert_int_equal(ts_tokenizer_encode_files(tokenizer, paths, 1, in_work("a.bin"), &report, NULL, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_int_not_equal(access(in_work("a.bin"), F_OK), 0);
    report.struct_size = sizeof report;
    assert_int_equal(ts_tokenizer_encode_files(tokenizer, paths, 1, in_work("a.bin"), &report, NULL, NULL), TS_OK);
    assert_true(report.stories == 1 && report.bytes == 7 && report.tokens >= 3);
    remove_file("a.bin");
    remove_file("a.txt");
    assert_int_equal(ts_tokenizer_save(tokenizer, NULL), TS_ERROR_INVALID_ARGUMENT);
    ts_tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),     cmocka_unit_test(test_values),         cmocka_unit_test(test_added_tokens),
        cmocka_unit_test(test_merge_forms),  cmocka_unit_test(test_truncations),    cmocka_unit_test(test_parts),
        cmocka_unit_test(test_fingerprints), cmocka_unit_test(test_pairs_of_files), cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_gguf_refused), cmocka_unit_test(test_prune_sizes),    cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests_name("vocabularies", tests, set_up, tear_down);
}

/* Byte-level BPE: gold encodings and merges, any bytes back and forth, streams, files that are damaged, pruning, shards. */
#include "support/support.h"

#include <time.h>
#include <unistd.h>

#include "format/format.h"
#include "tinystories/tokenizer.h"
#include "tokenizer/tokenizer.h"

static ts_tokenizer *open_it(const char *path)
{
    ts_tokenizer *tokenizer = NULL;
    if (ts_tokenizer_open(&tokenizer, NULL, path) != TS_OK)
        fail_msg("%s", ts_error_detail());
    return tokenizer;
}

static ts_tokenizer *train_on(const char *text, uint32_t vocabulary, uint32_t threads)
{
    ts_runtime *runtime = make_runtime(threads, TS_CPU_LEVEL_BEST);
    ts_tokenizer_train_options options;
    ts_tokenizer *tokenizer = NULL;
    text_list one = {&text, 1, 0};
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = vocabulary;
    assert_int_equal(ts_tokenizer_train(&tokenizer, runtime, next_of_list, &one, &options), TS_OK);
    ts_runtime_free(runtime);
    return tokenizer;
}

static const char sample[] = "the cat sat on the mat. the cat saw the rat, and the rat ran. That's the cat's hat! the hat, the mat, the cat; 12 cats 123 hats";

/* ---- gold ---- */

static void test_gold_training(void **state)
{
    (void)state;
    const char *paths[1] = {test_data("conformance/bpe-training/corpus.en")};
    ts_tokenizer_train_options options;
    ts_tokenizer *tokenizer;
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = 500;
    assert_int_equal(ts_tokenizer_train_files(&tokenizer, NULL, paths, 1, &options), TS_OK);
    assert_int_equal(ts_tokenizer_size(tokenizer), 500);
    assert_int_equal(ts_tokenizer_save(tokenizer, in_work("500.json")), TS_OK);
    size_t size;
    char *gold = read_file(test_data("conformance/bpe-training/train-bpe-reference-merges.txt"), &size), *json = read_file(in_work("500.json"), &size);
    char *at = strstr(json, "\"merges\"");
    int merges = 0;
    for (char *line = strtok(gold, "\n"); line != NULL; line = strtok(NULL, "\n"), merges++) {
        char *space = strchr(line, ' '), expected[300];
        snprintf(expected, sizeof expected, "[\"%.*s\", \"%s\"]", (int)(space - line), line, space + 1);
        at = strchr(at + 1, '\n');
        assert_non_null(at);
        at += strspn(at, "\n ");
        assert_memory_equal(at, expected, strlen(expected));
    }
    assert_int_equal(merges, 243);
    free(gold), free(json);
    ts_tokenizer_free(tokenizer);
}

/* ---- bytes ---- */

static void round_trip(const ts_tokenizer *tokenizer, const char *text, size_t size)
{
    uint32_t ids[1024];
    char back[4096];
    size_t count, bytes;
    assert_int_equal(ts_tokenizer_encode(tokenizer, text, size, 0, ids, 1024, &count), TS_OK);
    assert_int_equal(ts_tokenizer_decode(tokenizer, ids, count, back, sizeof back, &bytes), TS_OK);
    assert_int_equal(bytes, size);
    assert_memory_equal(back, text, size);
}

static void test_any_bytes(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = train_on(sample, 300, 1);
    for (unsigned pair = 0; pair < 65536; pair++)
        round_trip(tokenizer, (char[]){(char)(pair >> 8), (char)pair}, 2);
    ts_random random = {.seed = 1};
    for (int i = 0; i < 2000; i++) {
        char text[600];
        size_t size = ts_random_below(&random, sizeof text);
        bool words = i % 2; /* every other one of few letters, so that merges happen */
        for (size_t j = 0; j < size; j++)
            text[j] = words ? "the cat,' 1"[ts_random_below(&random, 11)] : (char)ts_random_next(&random);
        round_trip(tokenizer, text, size);
    }
    ts_tokenizer_free(tokenizer);
}

/* The heap of long words gives what going through them gives: against a plain restatement of the rule. */
static size_t encode_plainly(const ts_tokenizer *tokenizer, const char *text, size_t size, char tokens[][64])
{
    size_t count = size;
    for (size_t i = 0; i < size; i++)
        snprintf(tokens[i], 64, "%c", text[i]);
    for (;;) {
        size_t best = count;
        uint32_t best_id = UINT32_MAX;
        for (size_t i = 0; i + 1 < count; i++) {
            char joined[128];
            snprintf(joined, sizeof joined, "%s%s", tokens[i], tokens[i + 1]);
            uint32_t id = strlen(joined) < 63 ? ts_tokenizer_find(tokenizer, joined, strlen(joined)) : TS_TOKENIZER_NONE;
            if (id != TS_TOKENIZER_NONE && id < best_id) { /* of a trained tokenizer ids grow with ranks */
                best = i;
                best_id = id;
            }
        }
        if (best == count)
            return count;
        char joined[128];
        snprintf(joined, sizeof joined, "%s%s", tokens[best], tokens[best + 1]);
        memcpy(tokens[best], joined, 64);
        memmove(tokens[best + 1], tokens[best + 2], (count - best - 2) * 64);
        count--;
    }
}

static void test_long_words(void **state)
{
    static char tokens[400][64];
    (void)state;
    ts_tokenizer *tokenizer = train_on("aaaaaaaa abababab aab abb aabb bbaa abba baab aaab bbbb", 275, 1);
    ts_random random = {.seed = 2};
    for (int i = 0; i < 100; i++) {
        char text[300];
        uint32_t ids[300];
        size_t size = 1 + ts_random_below(&random, 250), count;
        for (size_t j = 0; j < size; j++)
            text[j] = "ab"[ts_random_below(&random, 2)];
        size_t expected = encode_plainly(tokenizer, text, size, tokens);
        assert_int_equal(ts_tokenizer_encode(tokenizer, text, size, 0, ids, 300, &count), TS_OK);
        assert_int_equal(count, expected);
        for (size_t j = 0; j < count; j++) {
            size_t bytes;
            const char *token = ts_tokenizer_token(tokenizer, ids[j], &bytes);
            assert_int_equal(bytes, strlen(tokens[j]));
            assert_memory_equal(token, tokens[j], bytes);
        }
    }
    ts_tokenizer_free(tokenizer);
}

/* A megabyte of one character or of alternating ones: about ten times the work of a tenth. */
static void test_hostile_text(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = train_on("^^^^^^^^ ababababab ^^^^^^^^^^^^^^^^ aaaaaaaaaaaaaaaaa ababab", 280, 1);
    size_t size = 1 << 20, count;
    char *text = malloc(size);
    uint32_t *ids = malloc(size * sizeof *ids);
    const char *const patterns[] = {"^", "ab", "a", "_"};
    for (size_t p = 0; p < 4; p++) {
        double times[2];
        for (size_t i = 0; i < size; i++)
            text[i] = patterns[p][i % strlen(patterns[p])];
        for (int whole = 0; whole < 2; whole++) {
            clock_t start = clock(); /* of this process alone, however many others there are */
            assert_int_equal(ts_tokenizer_encode(tokenizer, text, whole ? size : size / 10, 0, ids, size, &count), TS_OK);
            times[whole] = (double)(clock() - start) / CLOCKS_PER_SEC;
        }
        assert_true(times[1] < 30 * times[0] + 0.1);
    }
    free(text), free(ids);
    ts_tokenizer_free(tokenizer);
}

static void test_specials(void **state)
{
    static const char text[] = "the end<|endoftext|>the cat";
    (void)state;
    ts_tokenizer *tokenizer = train_on(sample, 290, 1);
    uint32_t ids[64], end = ts_tokenizer_end_of_text(tokenizer);
    size_t count, found = 0;
    assert_int_equal(end, 0);
    assert_true(ts_tokenizer_is_special(tokenizer, 0) && !ts_tokenizer_is_special(tokenizer, 1));
    assert_int_equal(ts_tokenizer_encode(tokenizer, text, sizeof text - 1, 0, ids, 64, &count), TS_OK);
    for (size_t i = 0; i < count; i++)
        found += ids[i] == end;
    assert_int_equal(found, 0);
    round_trip(tokenizer, text, sizeof text - 1);
    assert_int_equal(ts_tokenizer_encode(tokenizer, text, sizeof text - 1, TS_ENCODE_SPECIALS, ids, 64, &count), TS_OK);
    for (size_t i = 0; i < count; i++)
        found += ids[i] == end;
    assert_int_equal(found, 1);
    assert_int_equal(ts_tokenizer_encode(tokenizer, text, 5, 6, ids, 64, &count), TS_ERROR_INVALID_ARGUMENT);
    ts_tokenizer_free(tokenizer);
}

static void test_buffers(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = train_on(sample, 290, 1);
    uint32_t ids[64];
    char text[64];
    size_t count, size;
    assert_int_equal(ts_tokenizer_encode(tokenizer, "the zebra", 9, 0, NULL, 0, &count), TS_ERROR_BUFFER_TOO_SMALL);
    assert_true(count > 1 && count < 9);
    assert_int_equal(ts_tokenizer_encode(tokenizer, "the zebra", 9, 0, ids, count - 1, &size), TS_ERROR_BUFFER_TOO_SMALL);
    assert_int_equal(ts_tokenizer_encode(tokenizer, "the zebra", 9, 0, ids, count, &count), TS_OK);
    assert_int_equal(ts_tokenizer_decode(tokenizer, ids, count, text, 9, &size), TS_ERROR_BUFFER_TOO_SMALL);
    assert_int_equal(size, 9);
    assert_int_equal(ts_tokenizer_decode(tokenizer, ids, count, text, 10, &size), TS_OK);
    assert_string_equal(text, "the zebra");
    assert_int_equal(ts_tokenizer_encode(tokenizer, "", 0, 0, NULL, 0, &count), TS_OK);
    assert_int_equal(count, 0);
    ids[0] = 290;
    assert_int_equal(ts_tokenizer_decode(tokenizer, ids, 1, text, 64, &size), TS_ERROR_INVALID_ARGUMENT);
    assert_null(ts_tokenizer_token(tokenizer, 290, &size));
    ts_tokenizer_free(tokenizer);
}

/* ---- streams ---- */

/* Bytes one at a time give what Python's bytes.decode("utf-8", "replace") gives for the whole. */
static void test_stream(void **state)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"plain", "plain"},
        {"\xc3\x84pfel \xe2\x82\xac \xf0\x9f\xa6\x99!", "\xc3\x84pfel \xe2\x82\xac \xf0\x9f\xa6\x99!"},
        {"a\xff\xfe" "b", "a\xef\xbf\xbd\xef\xbf\xbd" "b"},
        {"\xe2\x82", "\xef\xbf\xbd"},
        {"\xe2\x82(", "\xef\xbf\xbd("},
        {"\xf0\x9f\xa6", "\xef\xbf\xbd"},
        {"\xf0\x9fx\xf0\x9f\xa6\x99", "\xef\xbf\xbdx\xf0\x9f\xa6\x99"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    (void)state;
    ts_tokenizer *tokenizer = train_on(sample, 290, 1);
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_decode_stream stream = {0};
        char whole[200] = "", piece[64];
        size_t size;
        for (const char *byte = cases[i].bytes; *byte; byte++) {
            uint32_t id = ts_tokenizer_find(tokenizer, byte, 1);
            assert_int_equal(ts_tokenizer_decode_next(tokenizer, &stream, id, piece, sizeof piece, &size), TS_OK);
            assert_int_equal(size, strlen(piece));
            strcat(whole, piece);
        }
        assert_int_equal(ts_tokenizer_decode_next(tokenizer, &stream, TS_TOKENIZER_NONE, piece, sizeof piece, &size), TS_OK);
        strcat(whole, piece);
        assert_string_equal(whole, cases[i].text);
        assert_int_equal(stream.count, 0);
    }
    ts_tokenizer_free(tokenizer);
}

/* ---- training ---- */

static void test_training_threads(void **state)
{
    (void)state;
    ts_tokenizer *one = train_on(sample, 300, 1);
    for (uint32_t threads = 2; threads <= 4; threads += 2) {
        ts_tokenizer *more = train_on(sample, 300, threads);
        assert_true(ts_tokenizer_fingerprint(one) == ts_tokenizer_fingerprint(more));
        ts_tokenizer_free(more);
    }
    ts_tokenizer_free(one);
}

static void test_training_refusals(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = NULL;
    ts_tokenizer_train_options options;
    text_list empty = {(const char *const[]){"  \n "}, 1, 0};
    assert_int_equal(ts_tokenizer_train(&tokenizer, NULL, next_of_list, &empty, NULL), TS_ERROR_INVALID_ARGUMENT);
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = 256;
    text_list text = {(const char *const[]){sample}, 1, 0};
    assert_int_equal(ts_tokenizer_train(&tokenizer, NULL, next_of_list, &text, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(ts_error_detail(), "vocabulary_size is 256"));
    options.vocabulary_size = 257;
    assert_int_equal(ts_tokenizer_train(&tokenizer, NULL, next_of_list, &text, &options), TS_OK);
    assert_int_equal(ts_tokenizer_size(tokenizer), 257);
    round_trip(tokenizer, "any text", 8);
    ts_tokenizer_free(tokenizer);
    const char *paths[] = {"/nonexistent.txt"};
    assert_int_equal(ts_tokenizer_train_files(&tokenizer, NULL, paths, 1, NULL), TS_ERROR_IO);
}

/* Few words at a time: the rarest are forgotten, the frequent ones keep their counts, the runtime is told. */
static void count_warnings(void *user, int32_t level, const char *line)
{
    *(int *)user += level == TS_LOG_WARNING && strstr(line, "forgotten") != NULL;
}

static void test_training_bounded(void **state)
{
    (void)state;
    size_t capacity = 400000, size = 0;
    char *text = malloc(capacity);
    for (int i = 0; i < 20000; i++)
        size += (size_t)snprintf(text + size, capacity - size, " w%dx banana", i);
    ts_runtime *runtime;
    ts_runtime_options runtime_options;
    int warnings = 0;
    ts_runtime_options_init(&runtime_options, sizeof runtime_options);
    runtime_options.log = count_warnings;
    runtime_options.log_user = &warnings;
    assert_int_equal(ts_runtime_new(&runtime, &runtime_options), TS_OK);
    ts_tokenizer_train_options options;
    ts_tokenizer_train_options_init(&options, sizeof options);
    options.vocabulary_size = 262;
    options.max_words = 1024;
    ts_tokenizer *tokenizer;
    text_list one = {(const char *const[]){text}, 1, 0};
    assert_int_equal(ts_tokenizer_train(&tokenizer, runtime, next_of_list, &one, &options), TS_OK);
    assert_int_equal(warnings, 1);
    assert_true(ts_tokenizer_find(tokenizer, " banana", 7) != TS_TOKENIZER_NONE);
    ts_tokenizer_free(tokenizer);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
    free(text);
}

/* ---- files ---- */

static void test_save_open(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = train_on("the quick \"quoted\\\" \xc3\x84pfel \xc3\x84pfel \"quoted\\\" the the quick", 290, 1), *again;
    assert_int_equal(ts_tokenizer_save(tokenizer, in_work("tokenizer.json")), TS_OK);
    again = open_it(in_work("tokenizer.json"));
    assert_true(ts_tokenizer_fingerprint(tokenizer) == ts_tokenizer_fingerprint(again));
    ts_tokenizer_free(again);
    again = open_it(work_folder()); /* the folder */
    assert_true(ts_tokenizer_fingerprint(tokenizer) == ts_tokenizer_fingerprint(again));
    ts_tokenizer_free(again);
    ts_tokenizer_free(tokenizer);
    tokenizer = open_it(test_data("tokenizers/tinystories10k_tokenizer.json"));
    assert_int_equal(ts_tokenizer_size(tokenizer), 10000);
    assert_int_equal(ts_tokenizer_save(tokenizer, in_work("10k.json")), TS_OK);
    again = open_it(in_work("10k.json"));
    assert_true(ts_tokenizer_fingerprint(tokenizer) == ts_tokenizer_fingerprint(again));
    ts_tokenizer_free(again);
    ts_tokenizer_free(tokenizer);
}

static void test_truncations(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = train_on(sample, 262, 1), *broken = NULL;
    assert_int_equal(ts_tokenizer_save(tokenizer, in_work("whole.json")), TS_OK);
    size_t size;
    char *json = read_file(in_work("whole.json"), &size);
    for (size_t cut = 0; cut + 2 < size; cut++) /* the last brace and newline */
        if (ts_tokenizer_open_memory(&broken, NULL, json, cut) != TS_ERROR_FORMAT)
            fail_msg("cut at %zu of %zu: %s", cut, size, ts_error_detail());
    free(json);
    ts_tokenizer_free(tokenizer);
}

/* Replaces `from` by `to` in the JSON of a small tokenizer and expects a status. */
static void spoil(const char *from, const char *to, ts_status expected)
{
    ts_tokenizer *tokenizer = train_on(sample, 262, 1), *broken = NULL;
    size_t size;
    assert_int_equal(ts_tokenizer_save(tokenizer, in_work("spoil.json")), TS_OK);
    char *json = read_file(in_work("spoil.json"), &size), *at = strstr(json, from), *spoiled = malloc(size + strlen(to) + 1);
    assert_non_null(at);
    size_t before = (size_t)(at - json);
    memcpy(spoiled, json, before);
    strcpy(spoiled + before, to);
    strcat(spoiled, at + strlen(from));
    ts_status status = ts_tokenizer_open_memory(&broken, NULL, spoiled, strlen(spoiled));
    if (status != expected)
        fail_msg("%s -> %s: %s, expected %s (%s)", from, to, ts_status_name(status), ts_status_name(expected), ts_error_detail());
    free(json), free(spoiled);
    ts_tokenizer_free(tokenizer);
}

static void test_bad_values(void **state)
{
    (void)state;
    spoil("\"!\": 1,", "\"!\": 2,", TS_ERROR_FORMAT);
    spoil("\"!\": 1,", "\"!\": 2147483648,", TS_ERROR_FORMAT);
    spoil("\"!\": 1,", "\"!\": -1,", TS_ERROR_FORMAT);
    spoil("\"!\": 1,", "\"!\": 1.5,", TS_ERROR_FORMAT);
    spoil("\"!\": 1,", "\"!\": \"1\",", TS_ERROR_FORMAT);
    spoil("\"!\": 1,", "", TS_ERROR_FORMAT);
    spoil("\"!\": 1,", "\"!x\": 1,", TS_ERROR_FORMAT);
    spoil("[\"t\", \"h", "[\"t\", \"q", TS_ERROR_FORMAT);
    spoil("\"merges\": [", "\"merges\": [7, ", TS_ERROR_FORMAT);
    spoil("\"merges\": [", "\"merges\": [[\"t\"], ", TS_ERROR_FORMAT);
    spoil("\"merges\": [", "\"merges\": [\"th\", ", TS_ERROR_FORMAT);
    spoil("\"BPE\"", "\"WordPiece\"", TS_ERROR_UNSUPPORTED);
    spoil("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", TS_ERROR_UNSUPPORTED);
    spoil("\"dropout\": null", "\"dropout\": 0.1", TS_ERROR_UNSUPPORTED);
    spoil("\"byte_fallback\": false", "\"byte_fallback\": true", TS_ERROR_UNSUPPORTED);
    spoil("\"add_prefix_space\": false", "\"add_prefix_space\": true", TS_ERROR_UNSUPPORTED);
    spoil("\"type\": \"ByteLevel\"", "\"type\": \"Whitespace\"", TS_ERROR_UNSUPPORTED);
    spoil("\"content\": \"<|endoftext|>\"", "\"content\": \"\"", TS_ERROR_FORMAT);
    ts_tokenizer *none = NULL;
    assert_int_equal(ts_tokenizer_open_memory(&none, NULL, "[]", 2), TS_ERROR_FORMAT);
    assert_int_equal(ts_tokenizer_open(&none, NULL, "/nonexistent"), TS_ERROR_IO);
    assert_int_equal(ts_tokenizer_open(&none, NULL, "/dev/null"), TS_ERROR_IO);
    write_file(in_work("empty.json"), "", 0);
    assert_int_equal(ts_tokenizer_open(&none, NULL, in_work("empty.json")), TS_ERROR_FORMAT);
    assert_non_null(strstr(ts_error_detail(), "empty.json"));
}

static void test_prune(void **state)
{
    (void)state;
    ts_tokenizer *whole = open_it(test_data("tokenizers/gpt2")), *pruned, *again;
    const char *paths[1] = {test_data("conformance/bpe-training/tinystories_sample.txt")};
    assert_int_equal(ts_tokenizer_prune_files(&pruned, whole, 2000, paths, 1), TS_OK);
    assert_int_equal(ts_tokenizer_size(pruned), 2000);
    for (unsigned byte = 0; byte < 256; byte++)
        assert_true(ts_tokenizer_find(pruned, (char[]){(char)byte}, 1) != TS_TOKENIZER_NONE);
    assert_true(ts_tokenizer_end_of_text(pruned) != TS_TOKENIZER_NONE);
    assert_int_equal(ts_tokenizer_save(pruned, in_work("pruned.json")), TS_OK);
    again = open_it(in_work("pruned.json"));
    assert_true(ts_tokenizer_fingerprint(pruned) == ts_tokenizer_fingerprint(again));
    /* A text of kept tokens alone encodes as before, token by token. */
    size_t size, count, pruned_count, bytes, other_bytes;
    char *text = read_file(paths[0], &size);
    uint32_t *ids = malloc(size * 4), *pruned_ids = malloc(size * 4);
    size = (size_t)(strstr(text, "<|endoftext|>") - text); /* the first story */
    assert_int_equal(ts_tokenizer_encode(whole, text, size, 0, ids, size, &count), TS_OK);
    assert_int_equal(ts_tokenizer_encode(pruned, text, size, 0, pruned_ids, size, &pruned_count), TS_OK);
    assert_int_equal(count, pruned_count);
    for (size_t i = 0; i < count; i++) {
        const char *a = ts_tokenizer_token(whole, ids[i], &bytes), *b = ts_tokenizer_token(pruned, pruned_ids[i], &other_bytes);
        assert_int_equal(bytes, other_bytes);
        assert_memory_equal(a, b, bytes);
    }
    assert_int_equal(ts_tokenizer_prune_files(&again, pruned, 256, paths, 1), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_tokenizer_prune_files(&again, pruned, 2001, paths, 1), TS_ERROR_INVALID_ARGUMENT);
    free(text), free(ids), free(pruned_ids);
    ts_tokenizer_free(again), ts_tokenizer_free(pruned), ts_tokenizer_free(whole);
}

static void test_shards(void **state)
{
    static const char text[] = " one story \n<|endoftext|>\n\n<|endoftext|>second story<|endoftext|> third\nstory\n";
    (void)state;
    ts_tokenizer *tokenizer = train_on(sample, 290, 1), *other = train_on(sample, 262, 1);
    write_file(in_work("stories.txt"), text, sizeof text - 1);
    const char *paths[1] = {in_work("stories.txt")};
    ts_shard_report report = {.struct_size = sizeof report};
    assert_int_equal(ts_tokenizer_encode_files(tokenizer, paths, 1, in_work("stories.bin"), &report, NULL, NULL), TS_OK);
    assert_int_equal(report.stories, 3);
    assert_int_equal(report.bytes, strlen("one story") + strlen("second story") + strlen("third\nstory"));
    assert_int_equal(ts_tokenizer_decode_shard(tokenizer, in_work("stories.bin"), in_work("back.txt")), TS_OK);
    size_t size;
    char *back = read_file(in_work("back.txt"), &size);
    assert_string_equal(back, "one story\n<|endoftext|>\nsecond story\n<|endoftext|>\nthird\nstory\n<|endoftext|>\n");
    free(back);
    assert_int_equal(ts_tokenizer_decode_shard(other, in_work("stories.bin"), in_work("back.txt")), TS_ERROR_MISMATCH);
    write_file(in_work("nothing.txt"), " \n", 2);
    paths[0] = in_work("nothing.txt");
    assert_int_equal(ts_tokenizer_encode_files(tokenizer, paths, 1, in_work("nothing.bin"), NULL, NULL, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_int_not_equal(access(in_work("nothing.bin"), F_OK), 0);
    ts_tokenizer_free(tokenizer), ts_tokenizer_free(other);
}

/* ---- memory ---- */

/* Words, some of them rare, and a long one. */
static const char *text_of_words(void)
{
    static char text[4001];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = i % 7 ? (char)('a' + i % 5) : ' ';
    memset(text + 500, 'a', 300);
    return text;
}

static ts_status train_small(ts_tokenizer **tokenizer, ts_runtime *runtime)
{
    ts_tokenizer_train_options train;
    const char *text = text_of_words();
    text_list one = {&text, 1, 0};
    ts_tokenizer_train_options_init(&train, sizeof train);
    train.vocabulary_size = 280;
    return ts_tokenizer_train(tokenizer, runtime, next_of_list, &one, &train);
}

static ts_status use_once(ts_runtime *runtime, void *user)
{
    ts_tokenizer *tokenizer;
    uint32_t ids[4000];
    size_t count;
    (void)user;
    TS_TRY(train_small(&tokenizer, runtime));
    ts_status status = ts_tokenizer_encode(tokenizer, text_of_words(), 4000, 0, ids, 4000, &count);
    if (status == TS_OK)
        status = ts_tokenizer_save(tokenizer, in_work("oom.json"));
    ts_tokenizer_free(tokenizer);
    TS_TRY(status);
    TS_TRY(ts_tokenizer_open(&tokenizer, runtime, in_work("oom.json")));
    ts_tokenizer_free(tokenizer);
    return TS_OK;
}

/* Every allocation of training, encoding, saving and opening fails once and for ever after: the right status, nothing left. */
static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(sweep_memory_alone(use_once, NULL) > 50);
}

static ts_status prune_it(const ts_tokenizer *tokenizer)
{
    const char *paths[] = {in_work("oom.txt"), in_work("oom.jsonl.gz")};
    ts_tokenizer *pruned = NULL;
    ts_status status = ts_tokenizer_prune_files(&pruned, tokenizer, 265, paths, 2);
    assert_true(status == TS_OK ? ts_tokenizer_size(pruned) == 265 : pruned == NULL);
    ts_tokenizer_free(pruned);
    return status;
}

static ts_status encode_it(const ts_tokenizer *tokenizer)
{
    const char *paths[] = {in_work("oom.txt"), in_work("oom.jsonl.gz")};
    ts_shard_report report = {.struct_size = sizeof report};
    ts_status status = ts_tokenizer_encode_files(tokenizer, paths, 2, in_work("oom.bin"), &report, NULL, NULL);
    assert_int_equal(report.stories, status == TS_OK ? 4 : 0);
    return status;
}

static ts_status decode_it(const ts_tokenizer *tokenizer)
{
    return ts_tokenizer_decode_shard(tokenizer, in_work("whole.bin"), in_work("oom-back.txt.gz"));
}

typedef struct file_use {
    ts_status (*use)(const ts_tokenizer *tokenizer);
    const char *written; /* the name of the file it writes */
    int failures;
} file_use;

/* A tokenizer of the runtime's does it. What failed has left neither a part of its file nor a temporary. */
static ts_status use_files(ts_runtime *runtime, void *user)
{
    file_use *f = user;
    ts_tokenizer *tokenizer;
    TS_TRY(ts_tokenizer_open(&tokenizer, runtime, in_work("oom.json")));
    unlink(in_work(f->written));
    size_t files = files_in(work_folder());
    ts_status status = f->use(tokenizer);
    if (status != TS_OK) {
        f->failures++;
        assert_int_equal(files_in(work_folder()), files);
    }
    ts_tokenizer_free(tokenizer);
    return status;
}

/* The same for pruning by files and for shards: all that reads stories, compressed ones too, and what is written. */
static void test_files_out_of_memory(void **state)
{
    static const char stories[] = "abcd abcd bcda<|endoftext|>cdab aaaa aaaa<|endoftext|>dabc", line[] = "{\"story\": \"abcd aa\"}";
    file_use uses[] = {{prune_it, "none", 0}, {encode_it, "oom.bin", 0}, {decode_it, "oom-back.txt.gz", 0}};
    ts_tokenizer *tokenizer;
    ts_story_writer *writer;
    ts_runtime *runtime;
    (void)state;
    assert_ok(ts_runtime_new(&runtime, NULL));
    assert_ok(train_small(&tokenizer, runtime));
    assert_ok(ts_tokenizer_save(tokenizer, in_work("oom.json")));
    const char *path = put_file("oom.txt", stories, sizeof stories - 1);
    assert_ok(ts_story_writer_open(&writer, runtime, in_work("oom.jsonl.gz")));
    ts_story_writer_add(writer, line, sizeof line - 1);
    assert_ok(ts_story_writer_commit(writer));
    assert_ok(ts_tokenizer_encode_files(tokenizer, &path, 1, in_work("whole.bin"), NULL, NULL, NULL));
    for (size_t i = 0; i < TS_COUNT_OF(uses); i++) {
        sweep_memory_alone(use_files, &uses[i]);
        assert_true(uses[i].failures > 5); /* of the call itself, besides those of opening the tokenizer */
    }
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gold_training),
        cmocka_unit_test(test_any_bytes),         cmocka_unit_test(test_long_words),        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_specials),          cmocka_unit_test(test_buffers),           cmocka_unit_test(test_stream),
        cmocka_unit_test(test_training_threads),  cmocka_unit_test(test_training_refusals), cmocka_unit_test(test_training_bounded),
        cmocka_unit_test(test_save_open),         cmocka_unit_test(test_truncations),       cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_prune),             cmocka_unit_test(test_shards),            cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_files_out_of_memory),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, make_folder, remove_folder);
}

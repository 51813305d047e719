/* Files of stories: how text is divided, in every way that a file can be cut into reads; JSON lines; limits; writing. */
#include "format_files.h"

static char joined[4096];

/* The stories of some files, each between brackets; NULL after a failure. */
static const char *stories_of(ts_runtime *of, const char *const *paths, size_t count, ts_status *status)
{
    ts_stories *stories;
    const char *text;
    size_t size, used = 0;
    joined[0] = 0;
    if ((*status = ts_stories_open(&stories, of, paths, count)) != TS_OK)
        return NULL;
    while ((*status = ts_stories_next(stories, &text, &size)) == TS_OK && text != NULL) {
        char *exact = (char *)exact_copy(text, size);
        used += (size_t)snprintf(joined + used, sizeof joined - used, "[%.*s]", (int)size, exact);
        free(exact);
    }
    if (*status == TS_OK) {
        assert_ok(ts_stories_next(stories, &text, &size)); /* the end stays the end */
        assert_null(text);
        assert_int_equal(ts_stories_position(stories), ts_stories_total(stories));
    } else {
        assert_status(ts_stories_next(stories, &text, &size), *status);
    }
    ts_stories_close(stories);
    return *status == TS_OK ? joined : NULL;
}

static void expect(const char *name, const char *content, size_t size, const char *expected)
{
    const char *path = put_file(name, content, size);
    ts_status status;
    ts_runtime *slow;
    const char *got = stories_of(runtime, &path, 1, &status);
    if (got == NULL)
        fail_msg("%s: %s", ts_status_name(status), ts_error_detail());
    assert_string_equal(got, expected);
    assert_ok(ts_runtime_new(&slow, NULL));
    read_single_bytes(slow);
    got = stories_of(slow, &path, 1, &status);
    assert_int_equal(status, TS_OK);
    assert_string_equal(got, expected);
    ts_runtime_free(slow);
    remove_file(name);
}

static void expect_text(const char *content, const char *expected)
{
    expect("a.txt", content, strlen(content), expected);
}

static void test_division(void **state)
{
    (void)state;
    expect_text("", "");
    expect_text(" \n\t\r\v\f ", "");
    expect_text("Once.", "[Once.]");
    expect_text("\n Once.\n\nThe end. \n", "[Once.\n\nThe end.]");
    expect_text("a\n<|endoftext|>\nb\n<|endoftext|>\n", "[a][b]");
    expect_text("<|endoftext|>a<|endoftext|><|endoftext|> \n<|endoftext|>b", "[a][b]");
    expect_text("a<|endoftext|", "[a<|endoftext|]");
    expect_text("a<|endoftext<|endoftext|>|>b", "[a<|endoftext][|>b]");
    expect_text("a<|<|<|endoftext|>", "[a<|<|]");
    expect_text("<|endoftext|>", "");
    expect_text("a <|ENDOFTEXT|> b", "[a <|ENDOFTEXT|> b]");
    expect_text("\xef\xbb\xbf"
                "a",
                "[a]");
    expect_text("\xef\xbb\xbf", "");
    expect_text("\xef\xbb", "[\xef\xbb]");
    expect_text("a<|endoftext|>\xef\xbb\xbf"
                "b",
                "[a][\xef\xbb\xbf"
                "b]");
    expect_text("\xc2\xa0"
                "a\xc2\xa0",
                "[\xc2\xa0"
                "a\xc2\xa0]");                           /* not ASCII: stays */
    expect("a.txt", "a\0b<|endoftext|>\0", 17, "[a][]"); /* %.*s stops at the zero */
}

/* A marker at every place around the end of a read. */
static void test_divided_marker(void **state)
{
    (void)state;
    static char text[70000];
    for (size_t at = 65536 - 16; at < 65536 + 4; at++) {
        memset(text, 'x', sizeof text);
        memcpy(text + at, "<|endoftext|>", 13);
        const char *path = put_file("a.txt", text, sizeof text), *story;
        ts_stories *stories;
        size_t size;
        assert_ok(ts_stories_open(&stories, runtime, &path, 1));
        assert_ok(ts_stories_next(stories, &story, &size));
        assert_int_equal(size, at);
        assert_ok(ts_stories_next(stories, &story, &size));
        assert_int_equal(size, sizeof text - at - 13);
        assert_memory_equal(story, text + at + 13, size);
        assert_ok(ts_stories_next(stories, &story, &size));
        assert_null(story);
        ts_stories_close(stories);
    }
    remove_file("a.txt");
}

static void expect_lines(const char *content, const char *expected)
{
    expect("a.jsonl", content, strlen(content), expected);
}

static void test_json_lines(void **state)
{
    (void)state;
    expect_lines("", "");
    expect_lines("\n\n \r\n", "");
    expect_lines("{\"story\": \"Once.\"}", "[Once.]");
    expect_lines("{\"story\": \" a\\n\\nb \", \"n\": 1}\r\n\n{\"text\": \"c\"}\n", "[a\n\nb][c]");
    expect_lines("{\"text\": \"t\", \"story\": \"s\"}\n", "[s]");
    expect_lines("{\"story\": null, \"text\": \"t\"}\n", "[t]");
    expect_lines("{\"story\": \"a<|endoftext|> b <|endoftext|>\"}\n{\"story\": \"\"}\n{\"story\": \"\\u00e9\"}\n", "[a][b][\xc3\xa9]");
    expect_lines("\xef\xbb\xbf{\"story\": \"a\"}\n", "[a]");

    static const struct {
        const char *content, *detail;
    } cases[] = {{"{\"story\": \"a\"}\n{\"story\": 5}\n", "line 2"},
                 {"\n\n[1]\n", "line 3"},
                 {"{\"story\": \"a\"}\nnonsense\n", "line 2"},
                 {"{\"title\": \"a\"}\n", "'story'"},
                 {"{\"story\": \"a\n", "a.jsonl"},
                 {"{\"Story\": \"a\"}", "line 1"}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        const char *path = put_file("a.jsonl", cases[i].content, strlen(cases[i].content));
        ts_status status;
        assert_null(stories_of(runtime, &path, 1, &status));
        assert_int_equal(status, TS_ERROR_FORMAT);
        assert_detail(cases[i].detail);
        remove_file("a.jsonl");
    }
}

static void test_many_files(void **state)
{
    (void)state;
    ts_status status;
    const char *paths[] = {put_file("a.txt", "a<|endoftext|>b", 15), put_file("b.jsonl", "{\"text\":\"c\"}", 12), put_file("c.txt", "", 0),
                           in_work("d.txt.gz")};
    ts_gzip_writer *writer;
    assert_ok(ts_gzip_writer_open(&writer, runtime, paths[3]));
    ts_gzip_writer_bytes(writer, "d<|endoftext|>e", 15);
    assert_ok(ts_gzip_writer_commit(writer));
    assert_string_equal(stories_of(runtime, paths, 4, &status), "[a][b][c][d][e]");
    assert_null(stories_of(runtime, NULL, 0, &status));
    assert_int_equal(status, TS_ERROR_INVALID_ARGUMENT);
    const char *none[] = {paths[0], NULL};
    assert_null(stories_of(runtime, none, 2, &status));
    assert_int_equal(status, TS_ERROR_INVALID_ARGUMENT);
    remove_file("c.txt");
    assert_null(stories_of(runtime, paths, 4, &status)); /* before any story is given out */
    assert_int_equal(status, TS_ERROR_IO);
    assert_string_equal(joined, "");
    remove_file("a.txt");
    remove_file("b.jsonl");
    remove_file("d.txt.gz");
}

static void test_pull(void **state)
{
    (void)state;
    const char *path = put_file("a.jsonl", "{\"text\":\"c\"}\n{", 14), *text;
    ts_stories *stories;
    size_t size;
    assert_ok(ts_stories_open(&stories, runtime, &path, 1));
    assert_int_equal(ts_stories_pull(stories, &text, &size), 0);
    assert_ok(ts_stories_status(stories));
    assert_int_not_equal(ts_stories_pull(stories, &text, &size), 0);
    ts_fail(TS_ERROR_CANCELLED, "something else");
    assert_status(ts_stories_status(stories), TS_ERROR_FORMAT);
    assert_detail("line 2");
    ts_stories_close(stories);
    remove_file("a.jsonl");
}

/* Small files that expand: white space without end costs no memory, a story without end is refused. */
static void test_limits(void **state)
{
    (void)state;
    static char piece[1 << 20];
    for (int letters = 0; letters < 2; letters++) {
        const char *path = in_work("bomb.txt.gz"), *text;
        ts_gzip_writer *writer;
        ts_stories *stories;
        ts_runtime *fresh;
        size_t size;
        memset(piece, letters ? 'x' : ' ', sizeof piece);
        assert_ok(ts_gzip_writer_open(&writer, runtime, path));
        for (int i = 0; i < 65; i++)
            ts_gzip_writer_bytes(writer, piece, sizeof piece);
        assert_ok(ts_gzip_writer_commit(writer));
        assert_ok(ts_runtime_new(&fresh, NULL));
        assert_ok(ts_stories_open(&stories, fresh, &path, 1));
        assert_true(ts_stories_total(stories) < 100000);
        if (letters) {
            assert_status(ts_stories_next(stories, &text, &size), TS_ERROR_LIMIT);
            assert_detail("bomb.txt.gz");
            assert_true(ts_runtime_memory_peak(fresh) < 300u << 20);
        } else {
            assert_ok(ts_stories_next(stories, &text, &size));
            assert_null(text);
            assert_true(ts_runtime_memory_peak(fresh) < 1 << 20);
        }
        ts_stories_close(stories);
        ts_runtime_free(fresh);
        remove_file("bomb.txt.gz");
    }
}

static void test_writer(void **state)
{
    (void)state;
    static const char *const names[] = {"o.txt", "o.txt.gz", "o.jsonl", "o.jsonl.gz"};
    for (size_t i = 0; i < TS_COUNT_OF(names); i++) {
        ts_story_writer *writer;
        ts_status status;
        const char *path = in_work(names[i]);
        assert_ok(ts_story_writer_open(&writer, runtime, path));
        assert_int_equal(ts_story_writer_is_jsonl(writer), i >= 2);
        ts_story_writer_add(writer, i < 2 ? "Once.\n\nEnd." : "{\"story\":\"Once.\\n\\nEnd.\"}", i < 2 ? 11 : 25);
        ts_story_writer_add(writer, i < 2 ? "b" : "{\"story\":\"b\"}", i < 2 ? 1 : 13);
        assert_int_equal(access(path, F_OK), -1); /* not there before it is whole */
        assert_ok(ts_story_writer_commit(writer));
        assert_string_equal(stories_of(runtime, &path, 1, &status), "[Once.\n\nEnd.][b]");
        if (i == 0) {
            size_t size;
            char *bytes = (char *)read_file(path, &size);
            assert_string_equal(bytes, "Once.\n\nEnd.\n<|endoftext|>\nb\n<|endoftext|>\n");
            free(bytes);
        }
        remove_file(names[i]);
    }
    ts_story_writer *writer;
    assert_ok(ts_story_writer_open(&writer, runtime, in_work("o.jsonl")));
    ts_story_writer_add(writer, "{\n}", 3);
    assert_status(ts_story_writer_commit(writer), TS_ERROR_INVALID_ARGUMENT);
    assert_ok(ts_story_writer_open(&writer, runtime, in_work("o.txt")));
    ts_story_writer_abandon(writer);
    ts_story_writer_abandon(NULL);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(ts_path_is_jsonl("a.jsonl") && ts_path_is_jsonl("/x/a.jsonl.gz") && ts_path_is_jsonl(".jsonl"));
    assert_false(ts_path_is_jsonl("a.txt") || ts_path_is_jsonl("a.jsonl.txt") || ts_path_is_jsonl("jsonl") || ts_path_is_jsonl(".gz") ||
                 ts_path_is_jsonl(""));
    assert_true(ts_path_is_shard("a.bin") && ts_path_is_shard("a.u16") && ts_path_is_shard("a.u16.bin"));
    assert_false(ts_path_is_shard("bin") || ts_path_is_shard("a.txt") || ts_path_is_shard("a.bin.gz"));
}

/* Standard input is a file of text, pipe or not. */
static void test_standard_input(void **state)
{
    (void)state;
    int ends[2], saved = dup(0);
    const char *path = "-";
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a\n<|endoftext|>b", 16), 16);
    close(ends[1]);
    dup2(ends[0], 0);
    close(ends[0]);
    ts_stories *stories;
    const char *text;
    size_t size;
    assert_ok(ts_stories_open(&stories, runtime, &path, 1));
    assert_ok(ts_stories_next(stories, &text, &size));
    assert_int_equal(size, 1);
    assert_ok(ts_stories_next(stories, &text, &size));
    assert_memory_equal(text, "b", 1);
    assert_ok(ts_stories_next(stories, &text, &size));
    assert_null(text);
    assert_int_equal(ts_stories_total(stories), 0);
    assert_int_equal(ts_stories_position(stories), 16);
    ts_stories_close(stories);
    dup2(saved, 0);
    close(saved);
}

static void test_real_stories(void **state)
{
    (void)state;
    const char *path = test_data("stories/tinystories-valid.txt");
    const char *paths[] = {path}, *text;
    ts_stories *stories;
    size_t size, count = 0, bytes = 0, whole, ends = 0;
    assert_ok(ts_stories_open(&stories, runtime, paths, 1));
    while (ts_stories_next(stories, &text, &size) == TS_OK && text != NULL) {
        assert_true(size > 0 && text[0] != ' ' && text[size - 1] != '\n');
        count++;
        bytes += size;
    }
    assert_ok(ts_stories_status(stories));
    ts_stories_close(stories);
    char *file = (char *)read_file(path, &whole);
    for (const char *at = file; (at = strstr(at, "<|endoftext|>")) != NULL; at++)
        ends++;
    free(file);
    assert_true(count == ends || count == ends + 1);
    assert_true(bytes <= whole - 13 * ends && bytes > whole - 13 * ends - 8 * count);
}

/* Other files than texts are told apart by how they begin; names of other formats are refused before anything is written. */
static void test_other_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *start, *what;
    } kinds[] = {{"GGUF\3\0\0\0", "is a GGUF model"}, {"\x88\xd8\x34\x01", "is a token shard"}, {"\xa1\xd9\x34\x01", "is a token shard"}};
    ts_status status;
    for (size_t i = 0; i < TS_COUNT_OF(kinds); i++) {
        const char *path = put_file("other.txt", kinds[i].start, 4);
        assert_null(stories_of(runtime, &path, 1, &status));
        assert_int_equal(status, TS_ERROR_FORMAT);
        assert_detail("other.txt");
        assert_detail(kinds[i].what);
    }
    remove_file("other.txt");
    static const char *const bad[] = {"x.doc", "x.json", "x.csv.gz", "x.jsonl.bz2"}, *const good[] = {"x", "x.txt", "x.gz", ".x", "x.y.jsonl.gz"};
    ts_story_writer *writer;
    for (size_t i = 0; i < TS_COUNT_OF(bad); i++) {
        assert_status(ts_story_writer_open(&writer, runtime, in_work(bad[i])), TS_ERROR_INVALID_ARGUMENT);
        assert_detail("stories are written as .txt or .jsonl, each also with .gz, not as .");
    }
    for (size_t i = 0; i < TS_COUNT_OF(good); i++) {
        assert_ok(ts_story_writer_open(&writer, runtime, in_work(good[i])));
        ts_story_writer_abandon(writer);
    }
    assert_int_equal(files_in(work_folder()), 0);
}

/* A full disk is known after the first buffer, not at the end. */
static void test_full_disk(void **state)
{
    (void)state;
    static const char story[1000] = {'x'};
    ts_story_writer *writer;
    size_t written = 0;
    assert_ok(ts_story_writer_open(&writer, runtime, "/dev/full"));
    while (ts_story_writer_status(writer) == TS_OK && written < 1000)
        ts_story_writer_add(writer, story, sizeof story), written++;
    assert_in_range(written, 1, 100);
    assert_status(ts_story_writer_status(writer), TS_ERROR_IO);
    assert_detail("/dev/full: cannot be written");
    ts_story_writer_abandon(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_division),     cmocka_unit_test(test_divided_marker), cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_many_files),   cmocka_unit_test(test_pull),           cmocka_unit_test(test_limits),
        cmocka_unit_test(test_writer),       cmocka_unit_test(test_names),          cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_real_stories), cmocka_unit_test(test_other_kinds),    cmocka_unit_test(test_full_disk),
    };
    return has_all_formats() ? cmocka_run_group_tests(tests, set_up, tear_down) : 0;
}

/* Arrays of JSON and tape archives as files of stories: what the original release has, every way to cut them, and hostile ones. */
#include "format_files.h"

#include "format/tar.h"

static char joined[1 << 16];

static ts_status read_stories(ts_runtime *of, const char *path)
{
    ts_stories *stories;
    const char *text;
    size_t size, used = 0;
    joined[0] = 0;
    ts_status status = ts_stories_open(&stories, of, &path, 1);
    if (status != TS_OK)
        return status;
    while ((status = ts_stories_next(stories, &text, &size)) == TS_OK && text != NULL) {
        char *exact = (char *)exact_copy(text, size);
        if (used + size + 3 < sizeof joined)
            used += (size_t)snprintf(joined + used, sizeof joined - used, "[%.*s]", (int)size, exact);
        free(exact);
    }
    ts_stories_close(stories);
    return status;
}

static void expect(const char *name, const void *content, size_t size, const char *expected)
{
    const char *path = put_file(name, content, size);
    ts_runtime *slow;
    assert_ok(read_stories(runtime, path));
    assert_string_equal(joined, expected);
    assert_ok(ts_runtime_new(&slow, NULL));
    read_single_bytes(slow);
    assert_ok(read_stories(slow, path));
    assert_string_equal(joined, expected);
    ts_runtime_free(slow);
    remove_file(name);
}

static void refuse(const char *name, const void *content, size_t size, ts_status expected, const char *detail)
{
    assert_status(read_stories(runtime, put_file(name, content, size)), expected);
    assert_detail(detail);
    remove_file(name);
}

/* ---- arrays ---- */

static const char shard[] = "[{\"story\": \"\\n\\nOnce [a \\\"b\\\" {.\", \"instruction\": {\"prompt:\": \"Write \\\\\", \"words\": [\"run\", \"oak\"], \"features\": [\"Dialogue\"]}, "
                            "\"summary\": \"S\", \"source\": \"GPT-4\"},\n {\"story\": \"Two.\"} , \"three<|endoftext|>four\"]\n";

static void test_arrays(void **state)
{
    (void)state;
    if (!has_all_formats())
        return;
    expect("a.json", "[]", 2, "");
    expect("a.json", " \n[ ] \n", 7, "");
    expect("a.json", "\xef\xbb\xbf[\"a\"]", 8, "[a]");
    expect("a.json", shard, sizeof shard - 1, "[Once [a \"b\" {.][Two.][three][four]");
    static const struct {
        const char *content, *detail;
    } wrong[] = {{"", "cut off"},          {"{\"story\": \"a\"}", "no array"}, {"[", "cut off"},         {"[1]", "no array"},         {"[{\"story\": 1}]", "element 1"},
                 {"[\"a\" \"b\"]", "element 1"}, {"[\"a\",]", "no array"},      {"[,\"a\"]", "no array"}, {"[\"a\"]]", "no array"},    {"[\"a\"] x", "no array"},
                 {"[\"a\", {\"x\": 1}]", "element 2"}, {"[{]", "not JSON"},  {"[{]}]", "a.json"},  {"[[\"a\"]]", "no array"},   {"[\"a\", null]", "no array"}};
    for (size_t i = 0; i < TS_COUNT_OF(wrong); i++)
        refuse("a.json", wrong[i].content, strlen(wrong[i].content), TS_ERROR_FORMAT, wrong[i].detail);
    refuse("a.json", "[\0]", 3, TS_ERROR_FORMAT, "NUL");
    for (size_t size = 0; size < sizeof shard - 3; size++) /* without the bracket and the newline */
        assert_status(read_stories(runtime, put_file("a.json", shard, size)), TS_ERROR_FORMAT);
    remove_file("a.json");
}

static void test_record(void **state)
{
    (void)state;
    if (!has_all_formats())
        return;
    const char *path = put_file("a.json", shard, sizeof shard - 1), *text;
    ts_stories *stories;
    ts_bytes bytes = {.runtime = runtime};
    size_t size;
    assert_ok(ts_stories_open(&stories, runtime, &path, 1));
    assert_ok(ts_stories_next(stories, &text, &size));
    const ts_json *record = ts_stories_record(stories);
    assert_string_equal(ts_json_text(ts_json_get(ts_json_get(record, "instruction"), "prompt:")), "Write \\");
    assert_ok(ts_json_write_others(&bytes, record));
    assert_string_equal(bytes.data, ", \"instruction\": {\"prompt:\": \"Write \\\\\", \"words\": [\"run\", \"oak\"], \"features\": [\"Dialogue\"]}, \"summary\": \"S\", \"source\": \"GPT-4\"");
    ts_bytes_free(&bytes);
    ts_stories_close(stories);
    remove_file("a.json");
}

static void test_json_writing(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": [1, -2.5, 1e+300, true, false, null, \"x\\n\\\"\", {}, []], \"b\": {\"c\": 0.1}}";
    ts_json *json, *again;
    ts_bytes bytes = {.runtime = runtime};
    if (!has_all_formats())
        return;
    assert_ok(ts_json_parse(&json, runtime, text, sizeof text - 1, 0, "text"));
    assert_ok(ts_json_write(&bytes, json));
    assert_string_equal(bytes.data, text);
    assert_ok(ts_json_parse(&again, runtime, bytes.data, bytes.size, 0, "text"));
    ts_json_free(json);
    ts_json_free(again);
    ts_bytes_free(&bytes);
}

/* ---- archives ---- */

typedef struct archive {
    unsigned char bytes[1 << 16];
    size_t size;
} archive;

static void set_sum(unsigned char *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

static unsigned char *add_header(archive *a, const char *name, size_t size, char type)
{
    unsigned char *header = a->bytes + a->size;
    memset(header, 0, 512);
    snprintf((char *)header, 100, "%s", name);
    snprintf((char *)header + 100, 8, "0000644");
    snprintf((char *)header + 124, 12, "%011zo", size);
    header[156] = (unsigned char)type;
    memcpy(header + 257, "ustar\0" "00", 8);
    set_sum(header);
    a->size += 512;
    return header;
}

static void add_content(archive *a, const char *content, size_t size)
{
    size_t padded = (size + 511) / 512 * 512;
    memset(a->bytes + a->size, 0, padded);
    memcpy(a->bytes + a->size, content, size);
    a->size += padded;
}

static void add_file(archive *a, const char *name, const char *content)
{
    add_header(a, name, strlen(content), '0');
    add_content(a, content, strlen(content));
}

static void end_archive(archive *a)
{
    memset(a->bytes + a->size, 0, 1024);
    a->size += 1024;
}

static void make_archive(archive *a)
{
    a->size = 0;
    add_header(a, "folder/", 0, '5');
    add_file(a, "folder/a.json", "[\"one\", \"two\"]");
    add_file(a, "folder/notes.md", "not read");
    add_file(a, "folder/._b.json", "hidden");
    add_file(a, "b.jsonl", "{\"text\": \"three\"}\n");
    add_header(a, "link.txt", 0, '2');
    add_file(a, "c.txt", "four<|endoftext|>five");
    add_file(a, "empty.txt", "");
    end_archive(a);
}

static archive made;

static void test_archives(void **state)
{
    (void)state;
    if (!has_all_formats())
        return;
    make_archive(&made);
    expect("a.tar", made.bytes, made.size, "[one][two][three][four][five]");
    made.size -= 512; /* one empty block */
    expect("a.tar", made.bytes, made.size, "[one][two][three][four][five]");
    made.size -= 512; /* none */
    expect("a.tar", made.bytes, made.size, "[one][two][three][four][five]");
    make_archive(&made);
    ts_gzip_writer *writer;
    for (int i = 0; i < 2; i++) {
        const char *path = in_work(i ? "a.tgz" : "a.tar.gz");
        assert_ok(ts_gzip_writer_open(&writer, runtime, in_work("z.gz")));
        ts_gzip_writer_bytes(writer, made.bytes, made.size);
        assert_ok(ts_gzip_writer_commit(writer));
        assert_int_equal(rename(in_work("z.gz"), path), 0);
        assert_ok(read_stories(runtime, path));
        assert_string_equal(joined, "[one][two][three][four][five]");
        remove_file(i ? "a.tgz" : "a.tar.gz");
    }
    made.size = 0;
    add_file(&made, "notes.md", "x");
    end_archive(&made);
    refuse("a.tar", made.bytes, made.size, TS_ERROR_FORMAT, "holds no");
    refuse("a.tar", "", 0, TS_ERROR_FORMAT, "holds no");
    made.size = 0;
    add_file(&made, "folder/a.jsonl", "{\"text\": \"x\"}\nnonsense");
    end_archive(&made);
    refuse("a.tar", made.bytes, made.size, TS_ERROR_FORMAT, "a.tar: folder/a.jsonl: line 2");
}

/* Adds a member that is compressed by itself, without its last `cut` bytes. */
static void add_packed(archive *a, const char *name, const char *content, size_t cut)
{
    ts_gzip_writer *writer;
    char *data;
    size_t size;
    assert_ok(ts_gzip_writer_open(&writer, runtime, in_work("z.gz")));
    ts_gzip_writer_bytes(writer, content, strlen(content));
    assert_ok(ts_gzip_writer_commit(writer));
    assert_ok(ts_file_read(runtime, in_work("z.gz"), 1 << 20, &data, &size));
    add_header(a, name, size - cut, '0');
    add_content(a, data, size - cut);
    ts_release(runtime, data);
    remove_file("z.gz");
}

static void test_packed_members(void **state)
{
    (void)state;
    if (!has_all_formats())
        return;
    made.size = 0;
    add_packed(&made, "folder/a.json.gz", "[\"one\", \"two\"]", 0);
    add_file(&made, "b.jsonl", "{\"text\": \"three\"}\n");
    add_packed(&made, "c.jsonl.gz", "{\"text\": \"four\"}\n", 0);
    add_packed(&made, "d.txt.gz", "five<|endoftext|>six", 0);
    add_file(&made, "plain.txt.gz", "seven"); /* only its name says that it is compressed */
    end_archive(&made);
    expect("a.tar", made.bytes, made.size, "[one][two][three][four][five][six][seven]");
    made.size = 0;
    add_packed(&made, "cut.txt.gz", "Once there was a story that somebody cut.", 12);
    end_archive(&made);
    refuse("a.tar", made.bytes, made.size, TS_ERROR_FORMAT, "cut.txt.gz: the compressed text is cut off");
}

static void test_long_names(void **state)
{
    (void)state;
    char name[300], records[400];
    memset(name, 'n', sizeof name);
    memcpy(name + 200, ".txt", 5);
    made.size = 0;
    add_header(&made, "././@LongLink", 205, 'L'); /* GNU */
    add_content(&made, name, 205);
    add_header(&made, "short", 4, '0');
    add_content(&made, "gnu.", 4);
    int length = snprintf(records, sizeof records, "214 path=%s\n19 mtime=1234567.89\n", name); /* pax */
    assert_int_equal(length, 214 + 20);
    memcpy(records + 214, "20", 2);
    add_header(&made, "pax", (size_t)length, 'x');
    add_content(&made, records, (size_t)length);
    add_header(&made, "short", 4, '0');
    add_content(&made, "pax.", 4);
    add_header(&made, "pax", 10, 'x'); /* the size of the file, which its header does not have */
    add_content(&made, "10 size=6\n", 10);
    add_header(&made, "s.txt", 0, '0');
    add_content(&made, "sized.", 6);
    add_header(&made, "global", 20, 'g');
    add_content(&made, "20 comment=any more\n", 20);
    unsigned char *header = add_header(&made, "p.txt", 7, '0'); /* ustar's prefix, and a size as a number of bytes */
    memcpy(header + 345, "prefix", 6);
    memset(header + 124, 0, 12);
    header[124] = 0x80;
    header[135] = 7;
    set_sum(header);
    add_content(&made, "prefix.", 7);
    end_archive(&made);
    expect("a.tar", made.bytes, made.size, "[gnu.][pax.][sized.][prefix.]");
}

static void test_hostile_archives(void **state)
{
    (void)state;
    static const char *const records[] = {"", "9", "9 ", "99 path=x\n", "3 x\n", "0 path=a\n", "99999999999999999999 path=a\n", "-9 path=a\n", "4 a=\n"};
    for (size_t i = 0; i < TS_COUNT_OF(records); i++) {
        made.size = 0;
        add_header(&made, "pax", strlen(records[i]), 'x');
        add_content(&made, records[i], strlen(records[i]));
        add_file(&made, "a.txt", "x");
        end_archive(&made);
        ts_status status = read_stories(runtime, put_file("a.tar", made.bytes, made.size));
        assert_true(status == TS_ERROR_FORMAT || (status == TS_OK && (i == 0 || i == 4 || i == 8)));
    }
    made.size = 0;
    add_header(&made, "a.txt", 4, 'S');
    refuse("a.tar", made.bytes, made.size, TS_ERROR_UNSUPPORTED, "sparse");
    made.size = 0;
    add_header(&made, "a", (size_t)2 << 20, 'x');
    refuse("a.tar", made.bytes, made.size, TS_ERROR_LIMIT, "pax");
    made.size = 0;
    unsigned char *header = add_header(&made, "a.txt", 4, '0');
    memset(header + 124, 0xff, 12); /* more than fits into 64 bits */
    set_sum(header);
    refuse("a.tar", made.bytes, made.size, TS_ERROR_FORMAT, "size");
    header[0] ^= 1;
    refuse("a.tar", made.bytes, made.size, TS_ERROR_FORMAT, "sum");
}

/* Every length of an archive: what was cut is told, unless it was cut between two files. */
static void test_cut_archives(void **state)
{
    (void)state;
    if (!has_all_formats())
        return;
    make_archive(&made);
    for (size_t size = 0; size < made.size; size += size % 512 < 40 || size % 512 > 500 ? 1 : 31) {
        ts_status status = read_stories(runtime, put_file("a.tar", made.bytes, size));
        if (size % 512 != 0 && size < made.size - 1024)
            assert_int_equal(status, TS_ERROR_FORMAT);
        else
            assert_true(status == TS_OK || status == TS_ERROR_FORMAT);
    }
    remove_file("a.tar");
}

/* Changed bytes, sums made right again: no reading of what is not there, no endless loop. TINYSTORIES_FUZZ_ROUNDS makes it longer. */
static void test_changed_archives(void **state)
{
    (void)state;
    ts_random random = {.seed = 11};
    const char *wanted = getenv("TINYSTORIES_FUZZ_ROUNDS");
    long rounds = wanted != NULL ? strtol(wanted, NULL, 10) : 1500;
    if (!has_all_formats())
        return;
    for (long i = 0; i < rounds; i++) {
        bool array = ts_random_below(&random, 2) == 0;
        if (array) {
            made.size = sizeof shard - 1;
            memcpy(made.bytes, shard, made.size);
        } else {
            make_archive(&made);
        }
        static const char marks[] = "[]{}\",:\\ \n0\0x\xff\x80";
        for (uint64_t left = 1 + ts_random_below(&random, 4); left > 0; left--)
            made.bytes[ts_random_below(&random, made.size)] =
                ts_random_below(&random, 2) == 0 ? (unsigned char)ts_random_next(&random) : (unsigned char)marks[ts_random_below(&random, sizeof marks)];
        for (size_t at = 0; !array && at + 512 <= made.size; at += 512)
            if (memcmp(made.bytes + at + 257, "ustar", 5) == 0)
                set_sum(made.bytes + at);
        if (ts_random_below(&random, 4) == 0)
            made.size = (size_t)ts_random_below(&random, made.size);
        read_stories(runtime, put_file(array ? "f.json" : "f.tar", made.bytes, made.size));
        remove_file(array ? "f.json" : "f.tar");
    }
}

static ts_status attempt(ts_runtime *of, void *user)
{
    return read_stories(of, user);
}

static void test_memory(void **state)
{
    (void)state;
    char path[512];
    if (!has_all_formats())
        return;
    make_archive(&made);
    snprintf(path, sizeof path, "%s", put_file("a.tar", made.bytes, made.size));
    assert_true(sweep_memory_alone(attempt, path) > 5);
    remove_file("a.tar");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_arrays),           cmocka_unit_test(test_record),       cmocka_unit_test(test_json_writing),
                                       cmocka_unit_test(test_archives),         cmocka_unit_test(test_packed_members), cmocka_unit_test(test_long_names),   cmocka_unit_test(test_hostile_archives),
                                       cmocka_unit_test(test_cut_archives),     cmocka_unit_test(test_changed_archives), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

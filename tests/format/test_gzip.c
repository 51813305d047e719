/* Text files plain and compressed: round trips, every truncation, damage, members, what cannot be written; CRC32. */
#include "format_files.h"

/* Reads all of a file in pieces of `piece` bytes; free() the text. */
static ts_status read_all(const char *path, size_t piece, char **text, size_t *size)
{
    ts_gzip_reader *reader;
    size_t capacity = 0, count = 0;
    *text = NULL;
    *size = 0;
    ts_status status = ts_gzip_open(&reader, runtime, path);
    if (status != TS_OK)
        return status;
    do {
        if (*size + piece > capacity)
            *text = realloc(*text, capacity = 2 * capacity + piece);
        status = ts_gzip_read(reader, *text + *size, piece, &count);
        *size += count;
    } while (status == TS_OK && count > 0);
    if (status == TS_OK)
        assert_int_equal(ts_gzip_position(reader), ts_gzip_size(reader));
    ts_gzip_close(reader);
    return status;
}

static void write_text(const char *path, const char *text, size_t size, size_t piece)
{
    ts_gzip_writer *writer;
    assert_ok(ts_gzip_writer_open(&writer, runtime, path));
    for (size_t at = 0; at < size; at += piece)
        ts_gzip_writer_bytes(writer, text + at, TS_MIN(piece, size - at));
    assert_ok(ts_gzip_writer_commit(writer));
}

static void expect_text(const char *path, size_t piece, const char *text, size_t size)
{
    char *got;
    size_t got_size;
    assert_ok(read_all(path, piece, &got, &got_size));
    assert_int_equal(got_size, size);
    if (size > 0)
        assert_memory_equal(got, text, size);
    free(got);
}

/* Text that deflate can do something with, but not too much. */
static char *make_text(size_t size)
{
    char *text = malloc(size + 1);
    ts_random random = {1, 2, 0};
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + ts_random_below(&random, 5));
    text[size] = 0;
    return text;
}

static void test_round_trips(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 65535, 65536, 65537, 300000}, pieces[] = {1, 4097, 1 << 20};
    static const char *const names[] = {"a.txt", "a.txt.gz"};
    for (size_t i = 0; i < TS_COUNT_OF(sizes); i++) {
        char *text = make_text(sizes[i]);
        for (size_t j = 0; j < TS_COUNT_OF(names) * TS_COUNT_OF(pieces); j++) {
            const char *name = names[j % 2];
            size_t piece = pieces[j / 2];
            write_text(in_work(name), text, sizes[i], piece);
            expect_text(in_work(name), 1 << 16, text, sizes[i]);
            if (sizes[i] < 70000)
                expect_text(in_work(name), piece, text, sizes[i]);
            remove_file(name);
        }
        free(text);
    }
}

static void test_same_bytes(void **state)
{
    (void)state;
    size_t first_size, second_size;
    write_text(in_work("a.gz"), "Once upon a time", 16, 3);
    write_text(in_work("b.gz"), "Once upon a time", 16, 16);
    unsigned char *first = read_file(in_work("a.gz"), &first_size), *second = read_file(in_work("b.gz"), &second_size);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    assert_memory_equal(first, "\x1f\x8b\x08\0\0\0\0\0", 8); /* no name, no time */
    free(first);
    free(second);
    remove_file("a.gz");
    remove_file("b.gz");
}

static void test_truncations_and_damage(void **state)
{
    (void)state;
    char *text = make_text(2000), *got;
    size_t size, got_size;
    write_text(in_work("whole.gz"), text, 2000, 2000);
    unsigned char *bytes = read_file(in_work("whole.gz"), &size);
    for (size_t cut = 2; cut < size; cut++) {
        const char *path = put_file("cut.gz", bytes, cut);
        assert_status(read_all(path, 512, &got, &got_size), TS_ERROR_FORMAT);
        assert_detail("cut.gz");
        free(got);
    }
    for (size_t at = size - 8; at < size; at++) { /* CRC32 and length */
        bytes[at] ^= 1;
        assert_status(read_all(put_file("cut.gz", bytes, size), 512, &got, &got_size), TS_ERROR_FORMAT);
        free(got);
        bytes[at] ^= 1;
    }
    for (size_t bit = 16; bit < size * 8; bit++) { /* anywhere: an error, or the same text (bits of the header that mean nothing, codes of no use) */
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (read_all(put_file("cut.gz", bytes, size), 512, &got, &got_size) == TS_OK) {
            assert_int_equal(got_size, 2000);
            assert_memory_equal(got, text, 2000);
        }
        free(got);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    free(bytes);
    free(text);
    remove_file("cut.gz");
    remove_file("whole.gz");
}

static void test_members(void **state)
{
    (void)state;
    size_t first_size, second_size, got_size;
    char *got;
    write_text(in_work("first.gz"), "Once upon ", 10, 10);
    write_text(in_work("second.gz"), "a time", 6, 6);
    unsigned char *first = read_file(in_work("first.gz"), &first_size), *second = read_file(in_work("second.gz"), &second_size);
    unsigned char both[256];
    memcpy(both, first, first_size);
    memcpy(both + first_size, second, second_size);
    expect_text(put_file("both.gz", both, first_size + second_size), 4, "Once upon a time", 16);
    for (size_t cut = first_size + 1; cut < first_size + second_size; cut++) {
        assert_status(read_all(put_file("both.gz", both, cut), 512, &got, &got_size), TS_ERROR_FORMAT);
        free(got);
    }
    memcpy(both + first_size, "rest", 4);
    assert_status(read_all(put_file("both.gz", both, first_size + 4), 512, &got, &got_size), TS_ERROR_FORMAT);
    assert_detail("not gzip");
    free(got);
    free(first);
    free(second);
    remove_file("first.gz");
    remove_file("second.gz");
    remove_file("both.gz");
}

static void test_single_bytes(void **state)
{
    (void)state;
    ts_runtime *slow, *fast = runtime;
    char *text = make_text(5000);
    write_text(in_work("slow.gz"), text, 5000, 5000);
    write_text(in_work("slow.txt"), text, 5000, 5000);
    assert_ok(ts_runtime_new(&slow, NULL));
    read_single_bytes(slow);
    runtime = slow;
    expect_text(in_work("slow.gz"), 100, text, 5000);
    expect_text(in_work("slow.txt"), 100, text, 5000);
    runtime = fast;
    ts_runtime_free(slow);
    free(text);
    remove_file("slow.gz");
    remove_file("slow.txt");
}

static void test_no_file(void **state)
{
    (void)state;
    char *got;
    size_t size;
    ts_gzip_writer *writer;
    assert_status(read_all(in_work("missing.txt"), 1, &got, &size), TS_ERROR_IO);
    assert_detail("missing.txt");
    assert_status(read_all(work_folder(), 1, &got, &size), TS_ERROR_IO);
    assert_status(ts_gzip_writer_open(&writer, runtime, in_work("no/such/folder.gz")), TS_ERROR_IO);

    write_text(in_work("old.gz"), "old", 3, 3);
    assert_ok(ts_gzip_writer_open(&writer, runtime, in_work("old.gz")));
    ts_gzip_writer_bytes(writer, "new", 3);
    ts_gzip_writer_abandon(writer);
    expect_text(in_work("old.gz"), 10, "old", 3);
    remove_file("old.gz");
    ts_gzip_writer_abandon(NULL);
    ts_gzip_close(NULL);
}

/* A text that expands a thousand times passes through in bounded memory. */
static void test_expansion(void **state)
{
    (void)state;
    char *zeros = calloc(1, 1 << 20);
    ts_gzip_writer *writer;
    ts_gzip_reader *reader;
    ts_runtime *fresh;
    size_t count;
    uint64_t size = 0;
    assert_ok(ts_gzip_writer_open(&writer, runtime, in_work("bomb.gz")));
    for (int i = 0; i < 32; i++)
        ts_gzip_writer_bytes(writer, zeros, 1 << 20);
    assert_ok(ts_gzip_writer_commit(writer));
    assert_ok(ts_runtime_new(&fresh, NULL));
    assert_ok(ts_gzip_open(&reader, fresh, in_work("bomb.gz")));
    assert_true(ts_gzip_size(reader) < 40000);
    do {
        assert_ok(ts_gzip_read(reader, zeros, 1 << 20, &count));
        size += count;
    } while (count > 0);
    assert_int_equal(size, 32 << 20);
    ts_gzip_close(reader);
    assert_true(ts_runtime_memory_peak(fresh) < 1 << 18);
    ts_runtime_free(fresh);
    free(zeros);
    remove_file("bomb.gz");
}

static void test_crc32(void **state)
{
    (void)state;
    assert_int_equal(ts_crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(ts_crc32(ts_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
    assert_int_equal(ts_crc32(0xcbf43926, NULL, 0), 0xcbf43926);
    assert_int_equal(ts_crc32(0, NULL, 0), 0);
    unsigned char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(ts_crc32(0, bytes, 256), 0x29058c73);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_same_bytes),   cmocka_unit_test(test_truncations_and_damage),
        cmocka_unit_test(test_members),     cmocka_unit_test(test_single_bytes), cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_expansion),   cmocka_unit_test(test_crc32),
    };
    return has_all_formats() ? cmocka_run_group_tests(tests, set_up, tear_down) : 0;
}

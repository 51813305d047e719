/* Options, details, memory, random numbers, files: the promises of the lowest room. */
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- options and details ---- */

static void release_nothing(void *user, void *memory)
{
    (void)user, (void)memory;
}

static void test_options(void **state)
{
    (void)state;
    struct {
        ts_runtime_options known;
        uint64_t tail;
    } longer = {.tail = 0};
    ts_runtime *runtime;
    assert_int_equal(ts_runtime_options_init(&longer.known, sizeof longer), TS_OK);
    assert_int_equal(longer.known.threads, 1);
    assert_int_equal(ts_runtime_new(&runtime, &longer.known), TS_OK); /* a tail of zeros is fine */
    ts_runtime_free(runtime);
    longer.tail = 1;
    assert_int_equal(ts_runtime_new(&runtime, &longer.known), TS_ERROR_UNSUPPORTED);
    ts_runtime_options shorter;
    assert_int_equal(ts_runtime_options_init(&shorter, offsetof(ts_runtime_options, threads)), TS_OK);
    assert_int_equal(ts_runtime_new(&runtime, &shorter), TS_OK); /* what is missing has its default */
    assert_int_equal(ts_runtime_threads(runtime), 1);
    ts_runtime_free(runtime);
    shorter.struct_size = 0;
    assert_int_equal(ts_runtime_new(&runtime, &shorter), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_runtime_options_init(NULL, sizeof shorter), TS_ERROR_INVALID_ARGUMENT);
    ts_runtime_options o;
    ts_runtime_options_init(&o, sizeof o);
    o.threads = 257;
    assert_int_equal(ts_runtime_new(&runtime, &o), TS_ERROR_INVALID_ARGUMENT);
    o.threads = 1;
    o.cpu_level = 99;
    assert_int_equal(ts_runtime_new(&runtime, &o), TS_ERROR_UNSUPPORTED);
    o.cpu_level = 0;
    o.release = release_nothing;
    assert_int_equal(ts_runtime_new(&runtime, &o), TS_ERROR_INVALID_ARGUMENT);
}

static void test_details(void **state)
{
    (void)state;
    char longest[600];
    memset(longest, 'x', sizeof longest);
    longest[509] = (char)0xc3, longest[510] = (char)0x84, longest[599] = 0; /* a character that the end cuts */
    assert_int_equal(ts_fail(TS_ERROR_IO, "%s", longest), TS_ERROR_IO);
    assert_int_equal(strlen(ts_error_detail()), 511);
    longest[509] = 'x', longest[510] = (char)0xc3;
    ts_fail(TS_ERROR_IO, "%s", longest);
    assert_int_equal(strlen(ts_error_detail()), 510);
    ts_fail(TS_ERROR_IO, "a\nb\tc\x1b[31m");
    assert_string_equal(ts_error_detail(), "a?b?c?[31m");
    ts_fail_context(TS_ERROR_IO, "file");
    assert_string_equal(ts_error_detail(), "file: a?b?c?[31m");
    assert_string_equal(ts_status_name(TS_ERROR_DIVERGED), "TS_ERROR_DIVERGED");
    assert_string_equal(ts_status_name(TS_OK), "TS_OK");
    assert_string_equal(ts_status_name(-1000), "TS_ERROR_UNKNOWN");
    assert_string_equal(ts_status_name(1), "TS_ERROR_UNKNOWN");
}

/* ---- memory ---- */

/* Whatever a path holds, the detail is printable UTF-8, and its characters stay. */
static void test_details_are_text(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\xff\xfe.txt", "??.txt"},
        {"na\xc3\xafve", "na\xc3\xafve"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\xc0\xaf", "??"},
        {"\xed\xa0\x80", "???"},
        {"\xe2\x82", "??"},
        {"\xe2\x82x", "??x"},
        {"\xc2\x9b"
         "31m",
         "??31m"},
        {"\xf4\x90\x80\x80", "????"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_fail(TS_ERROR_IO, "%s", cases[i][0]);
        assert_string_equal(ts_error_detail(), cases[i][1]);
    }
    ts_detail kept;
    ts_fail(TS_ERROR_IO, "the first");
    ts_detail_keep(&kept);
    ts_fail(TS_ERROR_IO, "the second");
    ts_detail_put_back(&kept);
    assert_string_equal(ts_error_detail(), "the first");
}

static void test_memory(void **state)
{
    (void)state;
    ts_runtime *runtime;
    ts_runtime_options o;
    ts_runtime_options_init(&o, sizeof o);
    o.memory_limit = 10000;
    assert_int_equal(ts_runtime_new(&runtime, &o), TS_OK);
    unsigned char *a = ts_allocate(runtime, 4000);
    assert_true(a != NULL && (uintptr_t)a % 64 == 0 && a[0] == 0 && a[3999] == 0);
    assert_int_equal(ts_runtime_memory(runtime), 4000);
    assert_null(ts_allocate(runtime, 6001));
    assert_null(ts_allocate_array(runtime, SIZE_MAX / 2, 3));
    assert_null(ts_allocate(runtime, SIZE_MAX));
    for (int i = 0; i < 4000; i++)
        a[i] = (unsigned char)i;
    for (size_t size = 4000; size < 9000; size += 997) { /* growing moves the alignment about */
        a = ts_reallocate(runtime, a, size);
        assert_true(a != NULL && (uintptr_t)a % 64 == 0);
        for (int i = 0; i < 4000; i++)
            assert_int_equal(a[i], (unsigned char)i);
    }
    assert_null(ts_reallocate(runtime, a, 10001));
    assert_int_equal(a[3999], (unsigned char)3999);
    a = ts_reallocate(runtime, a, 10);
    assert_int_equal(ts_runtime_memory(runtime), 10);
    ts_release(runtime, a);
    ts_release(runtime, NULL);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    assert_true(ts_runtime_memory_peak(runtime) >= 8000 && ts_runtime_memory_peak(runtime) <= 10000);
    size_t total = 0;
    assert_true(ts_arena_plan(&total, 3, 5) && ts_arena_plan(&total, 1, 100));
    assert_false(ts_arena_plan(&total, SIZE_MAX, 2));
    ts_arena arena;
    assert_int_equal(ts_arena_init(&arena, runtime, total), TS_OK);
    char *first = ts_arena_take(&arena, 3, 5), *second = ts_arena_take(&arena, 1, 100);
    assert_true(first != NULL && second == first + 64);
    assert_null(ts_arena_take(&arena, 1, 1));
    ts_arena_free(&arena);
    ts_bytes bytes = {.runtime = runtime};
    for (int i = 0; i < 100; i++)
        assert_int_equal(ts_bytes_format(&bytes, "%d,", i), TS_OK);
    assert_int_equal(bytes.size, 290);
    assert_int_equal(strlen(bytes.data), 290);
    assert_int_equal(ts_bytes_format(&bytes, "%0*d", 3000, 7), TS_OK);
    assert_int_equal(strlen(bytes.data), 3290);
    assert_int_equal(ts_bytes_format(&bytes, "%0*d", 30000, 7), TS_ERROR_OUT_OF_MEMORY);
    ts_bytes_free(&bytes);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

/* ---- random numbers ---- */

/* The first numbers of a stream are for ever: saved seeds must tell the same stories. */
static void test_random_values(void **state)
{
    (void)state;
    static const uint64_t expected[] = {0xc67aa731de5a6852u, 0xc4afb863798cf5ceu, 0x8117b8c5638ceac7u, 0xddb5906a5eec8c3du};
    for (size_t i = 0; i < TS_COUNT_OF(expected); i++)
        assert_true(ts_random_at(1, 2, i) == expected[i]);
    ts_random random = {.seed = 1, .stream = 2};
    assert_true(ts_random_next(&random) == expected[0] && ts_random_next(&random) == expected[1]);
    assert_true(ts_hash("hello", 5, 0) != ts_hash("hello", 5, 1) && ts_hash("hello", 5, 0) != ts_hash("hell", 4, 0));
    assert_true(ts_hash("\0", 1, 0) != ts_hash("\0\0", 2, 0));
}

static void test_random_spread(void **state)
{
    (void)state;
    uint64_t buckets[16] = {0}, below[7] = {0};
    double sum = 0, squares = 0, cubes = 0;
    const int n = 200000;
    for (uint64_t stream = 0; stream < 4; stream++) {
        ts_random random = {.seed = stream * 7, .stream = stream};
        for (int i = 0; i < n / 4; i++) {
            buckets[ts_random_next(&random) >> 60]++;
            below[ts_random_below(&random, 7)]++;
            double x = ts_random_normal(&random);
            sum += x, squares += x * x, cubes += x * x * x;
        }
    }
    for (int i = 0; i < 16; i++)
        assert_true(fabs((double)buckets[i] - n / 16.0) < 5 * sqrt(n / 16.0));
    for (int i = 0; i < 7; i++)
        assert_true(fabs((double)below[i] - n / 7.0) < 5 * sqrt(n / 7.0));
    assert_true(fabs(sum / n) < 5 / sqrt(n) && fabs(squares / n - 1) < 5 * sqrt(2.0 / n) && fabs(cubes / n) < 5 * sqrt(15.0 / n));
    ts_random random = {0};
    for (int i = 0; i < 100000; i++) {
        double u = ts_random_unit(&random);
        assert_true(u >= 0 && u < 1);
    }
}

/* ---- reading ---- */

static void test_reader(void **state)
{
    (void)state;
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    unsigned char bytes[6000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    for (size_t cut = 0; cut <= 24; cut++) { /* u8 u16 u32 u64 f32 and 5 bytes: 24 */
        ts_source source;
        ts_reader reader;
        unsigned char tail[5];
        ts_source_memory(&source, runtime, bytes, cut, "memory");
        ts_reader_init(&reader, &source, 0);
        uint8_t a = ts_reader_u8(&reader);
        uint16_t b = ts_reader_u16(&reader);
        uint32_t c = ts_reader_u32(&reader);
        uint64_t d = ts_reader_u64(&reader);
        ts_reader_f32(&reader);
        ts_reader_bytes(&reader, tail, sizeof tail);
        assert_int_equal(ts_reader_status(&reader), cut == 24 ? TS_OK : TS_ERROR_FORMAT);
        if (cut == 24)
            assert_true(a == bytes[0] && b == (bytes[1] | bytes[2] << 8) && c >> 24 == bytes[6] && d >> 56 == bytes[14] && tail[4] == bytes[23]);
        else
            assert_true(tail[4] == 0 && ts_reader_u64(&reader) == 0 && ts_reader_remaining(&reader) == 0);
    }
    write_file(in_work("bytes"), bytes, sizeof bytes);
    for (int map = 0; map < 2; map++) {
        ts_source source;
        ts_reader reader;
        assert_int_equal(ts_source_open(&source, runtime, in_work("bytes"), map), TS_OK);
        ts_reader_init(&reader, &source, 1);
        for (size_t i = 1; i < 5000; i++)
            assert_int_equal(ts_reader_u8(&reader), bytes[i]);
        ts_reader_skip(&reader, 500);
        unsigned char big[400];
        ts_reader_bytes(&reader, big, sizeof big);
        assert_memory_equal(big, bytes + 5500, sizeof big);
        ts_reader_skip(&reader, 101);
        assert_int_equal(ts_reader_status(&reader), TS_ERROR_FORMAT);
        assert_int_equal(ts_source_read(&source, UINT64_MAX, big, 1), TS_ERROR_FORMAT);
        assert_int_equal(ts_source_read(&source, 5999, big, 2), TS_ERROR_FORMAT);
        ts_source_close(&source);
    }
    ts_source source;
    assert_int_equal(ts_source_open(&source, runtime, in_work("missing"), false), TS_ERROR_IO);
    assert_int_equal(ts_source_open(&source, runtime, work_folder(), false), TS_ERROR_IO);
    assert_int_equal(ts_source_open(&source, runtime, "/dev/zero", false), TS_ERROR_IO);
    assert_int_equal(mkfifo(in_work("fifo"), 0600), 0);
    assert_int_equal(ts_source_open(&source, runtime, in_work("fifo"), false), TS_ERROR_IO);
    assert_int_equal(ts_source_open(&source, runtime, "", false), TS_ERROR_INVALID_ARGUMENT);
    char *text;
    size_t size;
    assert_int_equal(ts_file_read(runtime, in_work("bytes"), 5999, &text, &size), TS_ERROR_LIMIT);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

/* ---- writing ---- */

#define NEW_SIZE 200000

static ts_status write_new(ts_runtime *runtime, const char *path)
{
    static unsigned char content[NEW_SIZE];
    ts_writer writer;
    memset(content, 'n', sizeof content);
    ts_status status = ts_writer_open(&writer, runtime, path);
    if (status != TS_OK)
        return status;
    for (size_t at = 0; at < sizeof content; at += 1000)
        ts_writer_bytes(&writer, content + at, 1000);
    return ts_writer_commit(&writer);
}

/* 'o': the whole old file, 'n': the whole new one, 0: anything else. */
static char which_file(const char *path)
{
    static char text[NEW_SIZE + 1];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    if (size == 3 && memcmp(text, "old", 3) == 0)
        return 'o';
    for (size_t i = 0; i < size; i++)
        if (text[i] != 'n')
            return 0;
    return size == NEW_SIZE ? 'n' : 0;
}

static void test_writer_faults(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_work("replace"), 0755), 0);
    for (fault kind = FAULT_ERROR; kind <= FAULT_INTERRUPT; kind++)
        for (long at = 1; at < 20; at++) {
            faulty f;
            faulty_init(&f, kind, ON_CHANGES, at);
            ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
            const char *path = in_work("replace/file");
            write_file(path, "old", 3);
            ts_runtime_set_io(runtime, &f.io);
            ts_status status = write_new(runtime, path);
            bool struck = f.countdown <= 0;
            if (status == TS_OK) {
                assert_int_equal(which_file(path), 'n');
            } else {
                assert_int_equal(status, TS_ERROR_IO);
                assert_true(struck && kind == FAULT_ERROR);
                assert_non_null(strstr(ts_error_detail(), "replace/file"));
                char left = which_file(path);
                assert_true(left == 'o' || left == 'n'); /* new: the folder could not be synced after the rename */
            }
            assert_int_equal(files_in(in_work("replace")), 1); /* no temporary */
            assert_int_equal(ts_runtime_memory(runtime), 0);
            ts_runtime_free(runtime);
        }
}

/* kill -9 at every call: the old file or the new one, nothing else. */
static void test_writer_killed(void **state)
{
    (void)state;
    const char *path = in_work("killed");
    int seen_old = 0, seen_new = 0;
    for (long at = 1; at < 16; at++) {
        write_file(path, "old", 3);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            faulty f;
            faulty_init(&f, FAULT_KILL, ON_CHANGES, at);
            ts_runtime *runtime = NULL;
            if (ts_runtime_new(&runtime, NULL) != TS_OK)
                _exit(1);
            ts_runtime_set_io(runtime, &f.io);
            _exit(write_new(runtime, path) == TS_OK ? 0 : 1);
        }
        int status;
        waitpid(child, &status, 0);
        assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        char left = which_file(path);
        assert_true(left == 'o' || left == 'n');
        seen_old += left == 'o';
        seen_new += left == 'n';
    }
    assert_true(seen_old > 3 && seen_new > 0);
}

/* What killed writers left goes with the next file of that name; what a living one holds stays. */
static void test_writer_sweeps(void **state)
{
    (void)state;
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    ts_writer living, writer;
    assert_int_equal(mkdir(in_work("swept"), 0755), 0);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            faulty f;
            faulty_init(&f, FAULT_KILL, ON_SYNC, 1);
            ts_runtime_set_io(runtime, &f.io);
            write_new(runtime, in_work("swept/file"));
            _exit(1);
        }
        waitpid(child, NULL, 0);
        assert_int_equal(files_in(in_work("swept")), 1); /* the second child removed what the first one left */
    }
    assert_ok(ts_writer_open(&living, runtime, in_work("swept/file")));
    assert_int_equal(files_in(in_work("swept")), 1);
    assert_ok(ts_writer_open(&writer, runtime, in_work("swept/file")));
    assert_int_equal(files_in(in_work("swept")), 2);
    ts_writer_bytes(&writer, "new", 3);
    ts_writer_bytes(&living, "old", 3);
    assert_ok(ts_writer_commit(&writer));
    assert_ok(ts_writer_commit(&living));
    assert_int_equal(which_file(in_work("swept/file")), 'o'); /* the last one wins */
    assert_int_equal(files_in(in_work("swept")), 1);
    ts_runtime_free(runtime);
}

static unsigned mode_of(const char *path)
{
    struct stat about;
    assert_int_equal(lstat(path, &about), 0);
    return about.st_mode;
}

/* A file's place is taken with its mode, and a link to it stays a link. */
static void test_writer_modes_and_links(void **state)
{
    (void)state;
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    assert_int_equal(mkdir(in_work("kept"), 0755), 0);
    const char *path = in_work("kept/file"), *link = in_work("kept/link");
    static const unsigned modes[] = {0600, 0640, 0666};
    for (size_t i = 0; i < TS_COUNT_OF(modes); i++) {
        write_file(path, "old", 3);
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_ok(write_new(runtime, path));
        assert_int_equal(mode_of(path), S_IFREG | modes[i]);
    }
    write_file(path, "old", 3);
    assert_int_equal(symlink("file", link), 0);
    assert_ok(write_new(runtime, link));
    assert_true(S_ISLNK(mode_of(link)));
    assert_int_equal(which_file(path), 'n');
    assert_int_equal(unlink(path), 0);
    assert_ok(write_new(runtime, link)); /* it leads nowhere now */
    assert_true(S_ISREG(mode_of(link)));
    assert_int_equal(files_in(in_work("kept")), 1);
    ts_runtime_free(runtime);
}

static void test_writer_refusals(void **state)
{
    (void)state;
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    ts_writer writer;
    assert_int_equal(ts_writer_open(&writer, runtime, work_folder()), TS_ERROR_IO);
    assert_int_equal(ts_writer_open(&writer, runtime, in_work("no/such/folder")), TS_ERROR_IO);
    assert_int_equal(ts_writer_open(&writer, runtime, ""), TS_ERROR_INVALID_ARGUMENT);
    char memory[8];
    ts_writer_memory(&writer, runtime, memory, sizeof memory);
    ts_writer_u64(&writer, 0x0807060504030201u);
    assert_int_equal(ts_writer_commit(&writer), TS_OK);
    assert_memory_equal(memory, "\1\2\3\4\5\6\7\10", 8);
    ts_writer_u32(&writer, 1);
    assert_int_equal(ts_writer_commit(&writer), TS_ERROR_BUFFER_TOO_SMALL);
    assert_int_equal(writer.written, 12);
    assert_int_equal(ts_writer_open(&writer, runtime, in_work("abandoned")), TS_OK);
    ts_writer_bytes(&writer, "x", 1);
    ts_writer_abandon(&writer);
    assert_int_not_equal(access(in_work("abandoned"), F_OK), 0);
    int lock, second;
    assert_int_equal(ts_lock_take(runtime, in_work("lock"), &lock), TS_OK);
    assert_int_equal(ts_lock_take(runtime, in_work("lock"), &second), TS_ERROR_BUSY);
    ts_lock_release(runtime, lock);
    assert_int_equal(ts_lock_take(runtime, in_work("lock"), &second), TS_OK);
    ts_lock_release(runtime, second);
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),       cmocka_unit_test(test_details),       cmocka_unit_test(test_details_are_text),
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_random_values), cmocka_unit_test(test_random_spread),
        cmocka_unit_test(test_reader),        cmocka_unit_test(test_writer_sweeps), cmocka_unit_test(test_writer_modes_and_links),
        cmocka_unit_test(test_writer_faults), cmocka_unit_test(test_writer_killed), cmocka_unit_test(test_writer_refusals),
    };
    return cmocka_run_group_tests_name("base", tests, make_folder, remove_folder);
}

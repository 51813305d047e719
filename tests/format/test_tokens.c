/* Token shards: round trips of both widths, every truncation, lies in the header, headerless files, what cannot be written. */
#include "format_files.h"

static void write_shard(const char *path, uint32_t vocabulary_size, const uint32_t *ids, size_t count)
{
    ts_shard_writer writer;
    assert_ok(ts_shard_writer_open(&writer, runtime, path, vocabulary_size));
    ts_shard_writer_add(&writer, ids, count / 3);
    ts_shard_writer_add(&writer, ids + count / 3, count - count / 3);
    assert_ok(ts_shard_writer_commit(&writer, 0x123456789abcdef0, 1ull << 40, 77));
}

static void test_round_trips(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, 1023, 1024, 1025, 100000};
    static const uint32_t vocabularies[] = {300, 65536, 65537, 1 << 20};
    uint32_t *ids = malloc(100000 * sizeof *ids);
    for (size_t v = 0; v < TS_COUNT_OF(vocabularies); v++)
        for (size_t c = 0; c < TS_COUNT_OF(counts) * 2; c++) {
            size_t count = counts[c / 2], size;
            for (size_t i = 0; i < count; i++)
                ids[i] = (uint32_t)(i * 2654435761u) % vocabularies[v];
            write_shard(in_work("a.bin"), vocabularies[v], ids, count);
            unsigned char *bytes = read_file(in_work("a.bin"), &size);
            uint32_t width = vocabularies[v] <= 65536 ? 2 : 4, header[14];
            memcpy(header, bytes, sizeof header);
            assert_int_equal(size, 1024 + count * width);
            assert_int_equal(header[0], width == 2 ? 20240520 : 20240801);
            assert_int_equal(header[1], width == 2 ? 1 : 7);
            assert_int_equal(header[2], count);
            assert_int_equal(header[8], 0x9abcdef0);
            assert_int_equal(header[9], 0x12345678);
            free(bytes);
            ts_shard shard;
            assert_ok(ts_shard_open(&shard, runtime, in_work("a.bin"), c % 2 != 0));
            assert_int_equal(shard.count, count);
            assert_int_equal(shard.width, width);
            assert_true(shard.fingerprint == 0x123456789abcdef0 && shard.bytes == 1ull << 40 && shard.stories == 77);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(ts_shard_id(&shard, i), ids[i]);
            assert_ok(ts_shard_check_ids(&shard, vocabularies[v]));
            assert_ok(ts_shard_check_fingerprint(&shard, 0x123456789abcdef0));
            assert_status(ts_shard_check_fingerprint(&shard, 1), TS_ERROR_MISMATCH);
            if (count > 1) {
                assert_status(ts_shard_check_ids(&shard, ids[1]), TS_ERROR_FORMAT);
                assert_detail("token 1 ");
            }
            ts_shard_close(&shard);
            remove_file("a.bin");
        }
    free(ids);
}

static ts_status open_bytes(const char *name, const void *bytes, size_t size)
{
    ts_shard shard;
    ts_status status = ts_shard_open(&shard, runtime, put_file(name, bytes, size), false);
    if (status == TS_OK)
        ts_shard_close(&shard);
    remove_file(name);
    return status;
}

static void test_damage(void **state)
{
    (void)state;
    const uint32_t ids[5] = {1, 2, 3, 4, 5};
    size_t size;
    write_shard(in_work("a.bin"), 300, ids, 5);
    unsigned char *bytes = read_file(in_work("a.bin"), &size);
    remove_file("a.bin");
    for (size_t cut = 0; cut < size; cut++)
        assert_status(open_bytes("cut.bin", bytes, cut), TS_ERROR_FORMAT);
    assert_status(open_bytes("long.bin", bytes, size + 1), TS_ERROR_FORMAT); /* get_file adds a byte */
    static const struct {
        size_t word;
        uint32_t value;
        ts_status status;
    } cases[] = {{0, 20240522, TS_ERROR_FORMAT},   {0, 20240801, TS_ERROR_VERSION}, {1, 2, TS_ERROR_VERSION},
                 {2, 6, TS_ERROR_FORMAT},          {2, 4, TS_ERROR_FORMAT},         {2, 0xffffffff, TS_ERROR_FORMAT},
                 {2, 0x80000000, TS_ERROR_FORMAT}, {2, 0x80000005, TS_ERROR_FORMAT}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        unsigned char *copy = exact_copy(bytes, size);
        memcpy(copy + 4 * cases[i].word, &cases[i].value, 4);
        assert_status(open_bytes("lie.bin", copy, size), cases[i].status);
        free(copy);
    }
    assert_true(ts_runtime_memory_peak(runtime) < 1 << 20);
    free(bytes);
}

static void test_headerless(void **state)
{
    (void)state;
    const uint16_t ids[3] = {50256, 0, 65535};
    ts_shard shard;
    assert_ok(ts_shard_open(&shard, runtime, put_file("ids.u16.bin", ids, sizeof ids), false));
    assert_int_equal(shard.count, 3);
    assert_int_equal(ts_shard_id(&shard, 2), 65535);
    assert_int_equal(shard.fingerprint, 0);
    assert_ok(ts_shard_check_fingerprint(&shard, 5));
    ts_shard_close(&shard);
    remove_file("ids.u16.bin");
    assert_ok(open_bytes("ids.u16", ids, 0));
    assert_ok(open_bytes("ids.u16", ids, 4));
    assert_status(open_bytes("ids.u16", ids, 5), TS_ERROR_FORMAT);
    assert_status(open_bytes("ids.bin", ids, 6), TS_ERROR_FORMAT);
}

static int64_t no_space(void *user, int file, const void *buffer, size_t size)
{
    int *left = user;
    return (*left)-- > 0 ? ts_io_system.write(NULL, file, buffer, size) : -1;
}

static void test_cannot_be_written(void **state)
{
    (void)state;
    ts_shard_writer writer;
    assert_status(ts_shard_writer_open(&writer, runtime, in_work("no/folder.bin"), 300), TS_ERROR_IO);
    assert_status(ts_shard_writer_open(&writer, runtime, "/dev/null", 300), TS_ERROR_INVALID_ARGUMENT);

    /* the old shard survives a failure of any write */
    const uint32_t old[2] = {1, 2};
    uint32_t *ids = calloc(100000, sizeof *ids);
    ts_runtime *full;
    write_shard(in_work("a.bin"), 300, old, 2);
    for (int writes = 0;; writes++) {
        int left = writes;
        ts_io io = ts_io_system;
        io.user = &left;
        io.write = no_space;
        assert_ok(ts_runtime_new(&full, NULL));
        ts_runtime_set_io(full, &io);
        assert_ok(ts_shard_writer_open(&writer, full, in_work("a.bin"), 300));
        ts_shard_writer_add(&writer, ids, 100000);
        ts_status status = ts_shard_writer_commit(&writer, 1, 2, 3);
        ts_runtime_free(full);
        ts_shard shard;
        assert_ok(ts_shard_open(&shard, runtime, in_work("a.bin"), false));
        assert_int_equal(shard.count, status == TS_OK ? 100000 : 2);
        ts_shard_close(&shard);
        if (status == TS_OK) {
            assert_true(writes >= 4);
            break;
        }
        assert_int_equal(status, TS_ERROR_IO);
    }
    assert_ok(ts_shard_writer_open(&writer, runtime, in_work("b.bin"), 300));
    ts_shard_writer_add(&writer, ids, 10);
    ts_shard_writer_abandon(&writer);
    assert_int_equal(access(in_work("b.bin"), F_OK), -1);
    free(ids);
    remove_file("a.bin");
}

static void test_gold_ids(void **state)
{
    (void)state;
    const char *path = test_data("tokens/gpt2-ids.u16.bin");
    for (int map = 0; map < 2; map++) {
        ts_shard shard;
        assert_ok(ts_shard_open(&shard, runtime, path, map != 0));
        assert_int_equal(shard.count, 622159);
        assert_ok(ts_shard_check_ids(&shard, 50257));
        size_t ends = 0;
        for (size_t i = 0; i < shard.count; i++)
            ends += ts_shard_id(&shard, i) == 50256;
        assert_int_equal(ends, 3117);
        ts_shard_close(&shard);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),       cmocka_unit_test(test_damage),   cmocka_unit_test(test_headerless),
        cmocka_unit_test(test_cannot_be_written), cmocka_unit_test(test_gold_ids),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* Every allocation, read and write of the room fails once: the right status, nothing leaks, and nothing half-made is handed out. */
#include "format_files.h"

static ts_status write_gguf(ts_runtime *of, const char *path)
{
    ts_gguf_writer writer;
    ts_writer file;
    ts_gguf_writer_init(&writer, of);
    ts_gguf_add_string(&writer, "general.architecture", "llama", 5);
    ts_gguf_add_i32s(&writer, "types", (const int32_t[]){1, 2}, 2);
    ts_gguf_add_strings(&writer, "tokens", 2);
    ts_gguf_add_element(&writer, "a", 1);
    ts_gguf_add_element(&writer, "b", 1);
    ts_gguf_add_tensor(&writer, "w", TS_GGML_F32, 1, (const uint64_t[]){2});
    ts_status status = ts_writer_open(&file, of, path);
    if (status == TS_OK) {
        status = ts_gguf_write_start(&writer, &file);
        ts_gguf_write_data(&writer, (const float[]){1, 2}, 8);
        if (status == TS_OK)
            status = ts_gguf_write_finish(&writer);
        ts_writer_fail(&file, status);
        status = ts_writer_commit(&file);
    }
    ts_gguf_writer_free(&writer);
    return status;
}

static ts_status use_gguf(ts_runtime *of, void *user)
{
    (void)user;
    const char *path = in_work("a.gguf"), *text;
    TS_TRY(write_gguf(of, path));
    ts_source source;
    ts_gguf *gguf;
    ts_gguf_strings strings;
    const int32_t *types;
    size_t count;
    TS_TRY(ts_source_open(&source, of, path, false));
    ts_status status = ts_gguf_open(&gguf, &source);
    if (status == TS_OK) {
        status = ts_gguf_get_string(gguf, "general.architecture", &text, NULL);
        if (status == TS_OK)
            status = ts_gguf_get_i32s(gguf, "types", &types, &count);
        if (status == TS_OK)
            status = ts_gguf_get_strings(gguf, "tokens", &strings);
        ts_gguf_close(gguf);
    }
    ts_source_close(&source);
    return status;
}

static ts_status use_safetensors(ts_runtime *of, void *user)
{
    (void)user;
    const char *path = in_work("a.safetensors");
    const ts_safetensors_entry entries[] = {{"w", TS_DTYPE_F32, 1, (const uint64_t[]){1}, &(float){1}},
                                            {"b", TS_DTYPE_U8, 1, (const uint64_t[]){1}, "x"}};
    const ts_safetensors_pair pairs[] = {{"a", "b"}};
    ts_writer file;
    TS_TRY(ts_writer_open(&file, of, path));
    ts_writer_fail(&file, ts_safetensors_write(&file, of, entries, 2, pairs, 1, true));
    TS_TRY(ts_writer_commit(&file));
    ts_source source;
    ts_safetensors *tensors;
    TS_TRY(ts_source_open(&source, of, path, false));
    ts_status status = ts_safetensors_open(&tensors, &source);
    if (status == TS_OK)
        ts_safetensors_close(tensors);
    ts_source_close(&source);
    return status;
}

static ts_status use_stories(ts_runtime *of, void *user)
{
    (void)user;
    const char *paths[] = {in_work("a.txt.gz"), in_work("a.jsonl")}, *text;
    for (int i = 0; i < 2; i++) {
        ts_story_writer *writer;
        TS_TRY(ts_story_writer_open(&writer, of, paths[i]));
        ts_story_writer_add(writer, i == 0 ? "Once." : "{\"story\":\"Once.\"}", i == 0 ? 5 : 17);
        TS_TRY(ts_story_writer_commit(writer));
    }
    ts_stories *stories;
    size_t size, count = 0;
    TS_TRY(ts_stories_open(&stories, of, paths, 2));
    ts_status status;
    while ((status = ts_stories_next(stories, &text, &size)) == TS_OK && text != NULL)
        count++;
    ts_stories_close(stories);
    if (status == TS_OK)
        assert_int_equal(count, 2);
    return status;
}

static ts_status use_shard(ts_runtime *of, void *user)
{
    (void)user;
    ts_shard_writer writer;
    ts_shard shard;
    TS_TRY(ts_shard_writer_open(&writer, of, in_work("a.bin"), 300));
    ts_shard_writer_add(&writer, (const uint32_t[]){1, 2}, 2);
    TS_TRY(ts_shard_writer_commit(&writer, 1, 2, 3));
    TS_TRY(ts_shard_open(&shard, of, in_work("a.bin"), false));
    ts_shard_close(&shard);
    return TS_OK;
}

/* Every read and every write fails once: the status says so, and the detail which file it was. */
static void sweep_files(memory_attempt *use)
{
    ts_runtime *of;
    faulty f;
    long at = 1;
    assert_ok(ts_runtime_new(&of, NULL));
    for (;; at++) {
        faulty_init(&f, FAULT_ERROR, ON_READ | ON_WRITE, at);
        ts_runtime_set_io(of, &f.io);
        ts_status status = use(of, NULL);
        assert_int_equal(ts_runtime_memory(of), 0);
        if (f.calls < at) {
            assert_int_equal(status, TS_OK);
            break;
        }
        assert_int_equal(status, TS_ERROR_IO);
        assert_detail(work_folder());
    }
    assert_true(at > 2);
    ts_runtime_free(of);
}

static void both_sweeps(memory_attempt *use, const char *const *names)
{
    sweep_files(use);
    assert_true(sweep_memory_alone(use, NULL) >= 4);
    for (; *names != NULL; names++)
        remove_file(*names);
}

static void test_gguf(void **state)
{
    (void)state;
    both_sweeps(use_gguf, (const char *const[]){"a.gguf", NULL});
}

static void test_safetensors(void **state)
{
    (void)state;
    both_sweeps(use_safetensors, (const char *const[]){"a.safetensors", NULL});
}

static void test_stories(void **state)
{
    (void)state;
    both_sweeps(use_stories, (const char *const[]){"a.txt.gz", "a.jsonl", NULL});
}

static void test_shard(void **state)
{
    (void)state;
    both_sweeps(use_shard, (const char *const[]){"a.bin", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_safetensors),
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_shard),
    };
    return has_all_formats() ? cmocka_run_group_tests(tests, set_up, tear_down) : 0;
}

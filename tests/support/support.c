/* What tests of all rooms share. */
#include "support/support.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* ---- a folder of the program's own ---- */

static char work[] = "/tmp/tinystories-test-XXXXXX";

int make_folder(void **state)
{
    (void)state;
    return mkdtemp(work) == NULL;
}

int remove_folder(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", work);
    return system(command);
}

int remove_empty_folder(void)
{
    return rmdir(work);
}

const char *work_folder(void)
{
    return work;
}

const char *in_work(const char *name)
{
    static char paths[8][200];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", work, name);
    return path;
}

size_t files_in(const char *folder)
{
    size_t count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return count;
}

void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

const char *put_file(const char *name, const void *data, size_t size)
{
    const char *path = in_work(name);
    write_file(path, data, size);
    return path;
}

void *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, file), *size);
    data[*size] = 0;
    fclose(file);
    return data;
}

void remove_file(const char *name)
{
    assert_int_equal(unlink(in_work(name)), 0);
}

const char *test_data(const char *name)
{
    static char paths[4][1000];
    static int next;
    const char *folder = getenv("TINYSTORIES_TEST_DATA");
    if (folder == NULL) {
        print_message("skipped: no test data\n");
        skip();
    }
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* ---- an allocator that counts and fails ---- */

static int probe_refuses(memory_probe *probe)
{
    size_t call = __atomic_fetch_add(&probe->calls, 1, __ATOMIC_RELAXED);
    int refuses = call == probe->fail_at || (probe->fail_always && call > probe->fail_at);
    if (refuses)
        __atomic_store_n(&probe->failed, 1, __ATOMIC_RELAXED);
    return refuses;
}

static void *probe_allocate(void *user, size_t size)
{
    memory_probe *probe = user;
    void *memory = probe_refuses(probe) ? NULL : malloc(size);
    if (memory != NULL)
        __atomic_fetch_add(&probe->live, 1, __ATOMIC_RELAXED);
    return memory;
}

static void *probe_reallocate(void *user, void *memory, size_t size)
{
    memory_probe *probe = user;
    void *moved = probe_refuses(probe) ? NULL : realloc(memory, size);
    if (moved != NULL && memory == NULL)
        __atomic_fetch_add(&probe->live, 1, __ATOMIC_RELAXED);
    return moved;
}

static void probe_release(void *user, void *memory)
{
    memory_probe *probe = user;
    if (memory != NULL)
        __atomic_fetch_sub(&probe->live, 1, __ATOMIC_RELAXED);
    free(memory);
}

ts_runtime_options probed_options(memory_probe *probe, uint32_t threads)
{
    ts_runtime_options options;
    assert_ok(ts_runtime_options_init(&options, sizeof options));
    options.allocate = probe_allocate;
    options.reallocate = probe_reallocate;
    options.release = probe_release;
    options.allocator_user = probe;
    options.threads = threads;
    return options;
}

ts_runtime *probed_runtime(memory_probe *probe, uint32_t threads)
{
    ts_runtime_options options = probed_options(probe, threads);
    ts_runtime *runtime;
    *probe = (memory_probe){.fail_at = SIZE_MAX};
    assert_ok(ts_runtime_new(&runtime, &options));
    return runtime;
}

/* One allocation fails; true when there was none left that could. */
static bool swept(memory_attempt *attempt, void *user, uint32_t threads, size_t at, int always)
{
    memory_probe probe;
    ts_runtime *runtime = probed_runtime(&probe, threads);
    size_t live = probe.live, descriptors = files_in("/proc/self/fd");
    probe.calls = 0;
    probe.fail_at = at;
    probe.fail_always = always;
    ts_status status = attempt(runtime, user);
    int failed = probe.failed;
    probe.fail_at = SIZE_MAX;
    probe.fail_always = 0;
    if (status != TS_OK && !(failed && status == TS_ERROR_OUT_OF_MEMORY))
        fail_msg("allocation %zu: %s, %s", at, ts_status_name(status), ts_error_detail());
    if (threads == 1 && failed && status == TS_OK)
        fail_msg("allocation %zu: its failure was not noticed", at);
    if (threads == 1)
        assert_int_equal(probe.live, live);
    assert_true(probe.live >= live); /* threads may have been started meanwhile */
    assert_int_equal(ts_runtime_memory(runtime), 0);
    assert_int_equal(files_in("/proc/self/fd"), descriptors);
    assert_ok(attempt(runtime, user));
    ts_runtime_free(runtime);
    assert_int_equal(probe.live, 0);
    return !failed;
}

/* The runtime itself, whose constructor has to fail cleanly too. */
static void sweep_runtime(uint32_t threads)
{
    ts_status status = TS_ERROR_OUT_OF_MEMORY;
    for (size_t at = 0; status != TS_OK; at++) {
        memory_probe probe = {.fail_at = at};
        ts_runtime_options options = probed_options(&probe, threads);
        ts_runtime *runtime = NULL;
        status = ts_runtime_new(&runtime, &options);
        assert_int_equal(status, probe.failed ? TS_ERROR_OUT_OF_MEMORY : TS_OK);
        assert_true(status == TS_OK || runtime == NULL);
        ts_runtime_free(runtime);
        assert_int_equal(probe.live, 0);
    }
}

static size_t sweep(memory_attempt *attempt, void *user, uint32_t threads)
{
    size_t at = 0;
    sweep_runtime(threads);
    for (int always = 0; always < 2; always++)
        for (at = 0; !swept(attempt, user, threads, at, always); at++)
            assert_true(at < 10000);
    return at;
}

size_t sweep_memory_alone(memory_attempt *attempt, void *user)
{
    return sweep(attempt, user, 1);
}

size_t sweep_memory(memory_attempt *attempt, void *user)
{
    return sweep(attempt, user, 2);
}

/* ---- files that fail ---- */

/* Whether this call is the one; a process that is to be killed does not come back. */
static bool strikes(faulty *f, unsigned call)
{
    if ((f->on & call) == 0)
        return false;
    f->calls++;
    if (--f->countdown != 0)
        return false;
    if (f->kind == FAULT_KILL)
        kill(getpid(), SIGKILL);
    return true;
}

static bool fails_with(faulty *f, unsigned call, int error)
{
    if (!strikes(f, call) || f->kind != FAULT_ERROR)
        return false;
    errno = error;
    return true;
}

static int faulty_open(void *user, const char *path, int flags, unsigned mode)
{
    return fails_with(user, ON_OPEN, EACCES) ? -1 : ts_io_system.open(NULL, path, flags, mode);
}

static int64_t faulty_read_at(void *user, int file, void *buffer, size_t size, uint64_t offset)
{
    return fails_with(user, ON_READ, EIO) ? -1 : ts_io_system.read_at(NULL, file, buffer, size, offset);
}

static int64_t faulty_read(void *user, int file, void *buffer, size_t size)
{
    return fails_with(user, ON_READ, EIO) ? -1 : ts_io_system.read(NULL, file, buffer, size);
}

static int64_t faulty_write(void *user, int file, const void *buffer, size_t size)
{
    faulty *f = user;
    if (!strikes(f, ON_WRITE))
        return ts_io_system.write(NULL, file, buffer, size);
    if (f->kind == FAULT_SHORT)
        return ts_io_system.write(NULL, file, buffer, 1 + size / 3);
    errno = f->kind == FAULT_INTERRUPT ? EINTR : ENOSPC;
    return -1;
}

int sync_nothing(void *user, int file)
{
    (void)user, (void)file;
    return 0;
}

static int faulty_sync(void *user, int file)
{
    return fails_with(user, ON_SYNC, EIO) ? -1 : sync_nothing(NULL, file);
}

static int faulty_close(void *user, int file)
{
    bool fails = fails_with(user, ON_CLOSE, EIO);
    int result = ts_io_system.close(NULL, file); /* the descriptor is gone all the same */
    if (!fails)
        return result;
    errno = EIO;
    return -1;
}

static int faulty_rename(void *user, const char *from, const char *to)
{
    return fails_with(user, ON_RENAME, EIO) ? -1 : ts_io_system.rename(NULL, from, to);
}

static int sound_unlink(void *user, const char *path)
{
    (void)user;
    return ts_io_system.unlink(NULL, path);
}

void faulty_init(faulty *f, fault kind, unsigned on, long countdown)
{
    *f = (faulty){
        {f, faulty_open, faulty_read_at, faulty_read, faulty_write, faulty_sync, faulty_close, faulty_rename, sound_unlink}, kind, on, countdown, 0};
}

/* ---- runtimes and texts ---- */

ts_runtime *make_runtime(uint32_t threads, int32_t cpu_level)
{
    ts_runtime *runtime;
    ts_runtime_options options;
    assert_ok(ts_runtime_options_init(&options, sizeof options));
    options.threads = threads;
    options.cpu_level = cpu_level;
    assert_ok(ts_runtime_new(&runtime, &options));
    return runtime;
}

int32_t next_of_list(void *user, const char **text, size_t *size)
{
    text_list *list = user;
    *text = list->next < list->count ? list->texts[list->next++] : NULL;
    *size = *text == NULL ? 0 : strlen(*text);
    return 0;
}

/* ---- cases ---- */

static size_t cases;

static void tell_cases(void)
{
    fprintf(stderr, "cases: %zu\n", cases);
}

void count_cases(size_t count)
{
    if (cases == 0)
        atexit(tell_cases);
    cases += count;
}

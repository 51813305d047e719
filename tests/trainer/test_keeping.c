/* Which checkpoints a run folder keeps, that the newest is a good one, and who may have the folder. */
#include "short_run.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

static ts_trainer_options options_of(uint64_t steps, const char *folder)
{
    ts_trainer_options o;
    ts_trainer_options_init(&o, sizeof o);
    o.text = &text_path, o.text_count = 1;
    o.max_steps = steps;
    o.batch_tokens = 2 * 8;
    o.learning_rate = 5e-3;
    o.run_directory = folder;
    o.checkpoint_interval = 1;
    o.log_interval = 1;
    return o;
}

static ts_status make(ts_trainer **trainer, ts_runtime *runtime, const ts_trainer_options *options)
{
    ts_architecture shape;
    ts_architecture_init(&shape, sizeof shape);
    shape.width = 8, shape.layers = 1, shape.heads = 2, shape.hidden = 16, shape.context_length = 8;
    return ts_trainer_new(trainer, runtime, tokenizer, &shape, options);
}

static ts_trainer_options only_text(void)
{
    return (ts_trainer_options){.struct_size = sizeof(ts_trainer_options), .text = &text_path, .text_count = 1};
}

/* A log that counts lines that hold a text. */
typedef struct listener {
    const char *text;
    int heard;
} listener;

static void listen(void *user, int32_t level, const char *line)
{
    listener *l = user;
    (void)level;
    l->heard += strstr(line, l->text) != NULL;
}

static ts_runtime *listening_runtime(listener *l)
{
    ts_runtime_options options;
    ts_runtime *runtime;
    ts_runtime_options_init(&options, sizeof options);
    options.log = listen;
    options.log_user = l;
    assert_ok(ts_runtime_new(&runtime, &options));
    return runtime;
}

static size_t events(const char *path, const char *event)
{
    char wanted[64], line[2000];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    snprintf(wanted, sizeof wanted, "{\"event\": \"%s\"", event);
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        assert_true(line[0] == '{' && line[strlen(line) - 1] == '\n');
        count += strncmp(line, wanted, strlen(wanted)) == 0;
    }
    fclose(file);
    return count;
}

/* ---- what diverges ---- */

static int32_t stop_at_thirty(void *user, const ts_trainer_report *report)
{
    (void)user;
    return report->step >= 30;
}

/* The newest checkpoint of a folder: it must open with a lower rate, and train well from there. */
static uint64_t goes_on(const char *folder)
{
    ts_trainer *again = NULL;
    ts_trainer_options given = only_text();
    given.learning_rate = 1e-3;
    assert_ok(ts_trainer_resume(&again, NULL, folder, &given));
    uint64_t step = again->state.step;
    assert_true(again->options.learning_rate == 1e-3 && again->state.skipped_in_a_row == 0);
    for (int i = 0; i < 5; i++) {
        assert_ok(ts_trainer_step(again, NULL));
        assert_true(again->state.loss < 8 && again->state.gradient_norm > 0);
    }
    ts_trainer_free(again);
    return step;
}

/* A rate that destroys the weights, which stay finite for some steps: they never take the good checkpoint's place. */
static void test_destroyed_weights(void **state)
{
    (void)state;
    const char *folder = in_work("destroyed");
    ts_trainer_options o = options_of(60, folder);
    ts_trainer *t;
    o.learning_rate = 1000;
    assert_ok(make(&t, NULL, &o));
    (void)ts_trainer_run(t, stop_at_thirty, NULL);
    assert_true(t->state.step > 1);
    ts_trainer_free(t);
    assert_true(goes_on(folder) <= 1);
}

static int32_t spoil(void *user, const ts_trainer_report *report)
{
    ts_trainer *t = user;
    if (report->step == 4)
        t->parameters[20] = NAN;
    return 0;
}

/* Steps whose numbers are not finite leave no checkpoint, lines in the log, and a detail that names the last good one. */
static void test_divergence_in_a_run(void **state)
{
    (void)state;
    const char *folder = in_work("diverged");
    ts_trainer_options o = options_of(60, folder);
    ts_trainer *t, *again;
    o.max_skips = 3;
    assert_ok(make(&t, NULL, &o));
    assert_status(ts_trainer_run(t, spoil, t), TS_ERROR_DIVERGED);
    assert_detail("checkpoint.safetensors, of step 3"); /* that of step 4 comes after the call that spoils it */
    assert_detail("in 3 steps in a row");
    assert_int_equal(t->state.step, 7);
    assert_status(ts_trainer_save(t, in_work("none.safetensors")), TS_ERROR_DIVERGED);
    t->parameters[20] = 0; /* what is finite again is refused too, until a step has shown it */
    assert_status(ts_trainer_save(t, in_work("none.safetensors")), TS_ERROR_DIVERGED);
    assert_false(ts_path_exists(in_work("none.safetensors")));
    ts_trainer_free(t);
    assert_int_equal(events(in_work("diverged/log.jsonl"), "skip"), 3);
    assert_int_equal(events(in_work("diverged/log.jsonl"), "diverged"), 1);
    assert_int_equal(events(in_work("diverged/log.jsonl"), "step"), 4);
    ts_trainer_options given = only_text();
    assert_ok(ts_trainer_resume(&again, NULL, folder, &given));
    assert_true(again->state.step == 3 && again->options.max_skips == 3 && again->options.learning_rate == 5e-3);
    ts_trainer_free(again);
    assert_int_equal(goes_on(folder), 3);
}

/* Without any interval a run that diverges has its beginning. */
static void test_begins_with_a_checkpoint(void **state)
{
    (void)state;
    ts_trainer_options o = options_of(60, in_work("begun"));
    ts_trainer *t;
    o.checkpoint_interval = 0;
    assert_ok(make(&t, NULL, &o));
    assert_status(ts_trainer_run(t, spoil, t), TS_ERROR_DIVERGED);
    ts_trainer_free(t);
    assert_int_equal(goes_on(in_work("begun")), 0);
}

/* ---- which are kept ---- */

static void assert_steps(const char *folder, const uint64_t *expected, size_t expected_count)
{
    uint64_t *steps;
    size_t count;
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    assert_ok(ts_directory_numbers(runtime, folder, "checkpoint-", ".safetensors", &steps, &count));
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(steps[i], expected[i]);
    ts_release(runtime, steps);
    ts_runtime_free(runtime);
}

static void test_which_are_kept(void **state)
{
    (void)state;
    char folder[200];
    snprintf(folder, sizeof folder, "%s", in_work("kept"));
    ts_trainer_options o = options_of(11, folder), given = only_text();
    ts_trainer *t;
    o.keep_last = 3, o.keep_every = 4;
    assert_ok(make(&t, NULL, &o));
    assert_ok(ts_trainer_run(t, NULL, NULL));
    ts_trainer_free(t);
    assert_steps(folder, (uint64_t[]){10, 9, 8, 4, 0}, 5);
    given.max_steps = 13;
    given.keep_last = 1;
    assert_ok(ts_trainer_resume(&t, NULL, folder, &given));
    assert_ok(ts_trainer_run(t, NULL, NULL));
    ts_trainer_free(t);
    assert_steps(folder, (uint64_t[]){12, 8, 4, 0}, 4);
    /* Whoever goes back to an older one leaves what came after it behind. */
    given.run_directory = folder;
    given.max_steps = 10;
    assert_ok(ts_trainer_resume(&t, NULL, in_work("kept/checkpoint-8.safetensors"), &given));
    assert_int_equal(t->state.step, 8);
    assert_ok(ts_trainer_run(t, NULL, NULL));
    ts_trainer_free(t);
    assert_steps(folder, (uint64_t[]){12, 8, 4, 0}, 4);
    assert_ok(ts_trainer_resume(&t, NULL, folder, &given));
    assert_int_equal(t->state.step, 10);
    ts_trainer_free(t);
}

/* One turned bit costs one interval, and is told; the damaged file is not kept as if it were good. */
static void test_falls_back(void **state)
{
    (void)state;
    char folder[200], newest[300];
    listener l = {.text = "the run goes on from"};
    snprintf(folder, sizeof folder, "%s", in_work("fallen"));
    snprintf(newest, sizeof newest, "%s", in_work("fallen/checkpoint.safetensors"));
    ts_trainer_options o = options_of(6, folder), given = only_text();
    ts_runtime *runtime = listening_runtime(&l);
    ts_trainer *t = NULL;
    assert_ok(make(&t, runtime, &o));
    assert_ok(ts_trainer_run(t, NULL, NULL));
    ts_trainer_free(t);
    size_t size;
    char *whole = read_file(newest, &size);
    for (size_t at = 1; at < size; at += size / 23) {
        whole[at] ^= 4;
        write_file(newest, whole, size);
        whole[at] ^= 4;
        l.heard = 0;
        assert_ok(ts_trainer_resume(&t, runtime, folder, &given));
        assert_true(t->state.step == 5 && l.heard == 1);
        ts_trainer_free(t);
    }
    assert_int_equal(unlink(newest), 0);
    assert_ok(ts_trainer_resume(&t, runtime, folder, &given));
    ts_trainer_free(t);
    write_file(newest, whole, size / 2);
    ts_trainer_options more = given;
    more.max_steps = 7;
    assert_ok(ts_trainer_resume(&t, runtime, folder, &more));
    assert_ok(ts_trainer_run(t, NULL, NULL)); /* makes 6 and 7: the damaged 6 does not become an older one */
    ts_trainer_free(t);
    assert_steps(folder, (uint64_t[]){6}, 1);
    assert_ok(ts_checkpoint_check(runtime, in_work("fallen/checkpoint-6.safetensors"), NULL, 0));
    write_file(newest, whole, size / 2);
    write_file(in_work("fallen/checkpoint-6.safetensors"), whole, size / 3);
    t = NULL;
    assert_status(ts_trainer_resume(&t, runtime, folder, &given), TS_ERROR_FORMAT);
    assert_detail("checkpoint.safetensors");
    assert_null(t);
    ts_runtime_free(runtime);
    free(whole);
}

/* ---- read back ---- */

static int64_t write_wrong(void *user, int file, const void *buffer, size_t size)
{
    long *left = user;
    char *copy = malloc(size);
    memcpy(copy, buffer, size);
    if (*left >= 0 && *left < (long)size)
        copy[*left] ^= 1;
    *left -= (long)size;
    int64_t done = ts_io_system.write(NULL, file, copy, size);
    free(copy);
    return done;
}

/* A disk that answers well and keeps other bytes. */
static void test_is_read_back(void **state)
{
    (void)state;
    char folder[200];
    snprintf(folder, sizeof folder, "%s", in_work("readback"));
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    ts_trainer_options o = options_of(3, folder);
    ts_trainer *t;
    assert_ok(make(&t, runtime, &o));
    assert_ok(ts_trainer_run(t, NULL, NULL));
    assert_ok(ts_trainer_step(t, NULL));
    size_t size, files = files_in(folder);
    free(read_file(in_work("readback/checkpoint.safetensors"), &size));
    for (long at = 9; at < (long)size; at += (long)size / 11) {
        long left = at;
        ts_io io = ts_io_system;
        io.user = &left, io.write = write_wrong;
        ts_runtime_set_io(runtime, &io);
        assert_status(ts_folder_save(t), TS_ERROR_FORMAT);
        ts_runtime_set_io(runtime, &ts_io_system);
        assert_int_equal(files_in(folder), files);
        assert_ok(ts_checkpoint_check(runtime, in_work("readback/checkpoint.safetensors"), NULL, 0));
    }
    assert_steps(folder, (uint64_t[]){2}, 1);
    ts_trainer_free(t);
    ts_runtime_free(runtime);
}

/* ---- a disk that fills up ---- */

/* Takes so many bytes, and from a step of the run on any number again. */
typedef struct small_disk {
    ts_io io;
    int64_t left;
    uint64_t room_at; /* step; TS_NO_STEP: never */
    size_t refused;
} small_disk;

static int64_t write_while_room(void *user, int file, const void *buffer, size_t size)
{
    small_disk *d = user;
    if (d->left <= 0) {
        d->refused++;
        errno = ENOSPC;
        return -1;
    }
    int64_t done = ts_io_system.write(NULL, file, buffer, TS_MIN(size, (size_t)d->left));
    d->left -= done > 0 ? done : 0;
    return done;
}

static int32_t make_room(void *user, const ts_trainer_report *report)
{
    small_disk *d = user;
    if (report->step >= d->room_at)
        d->left = INT64_MAX;
    return 0;
}

/* A run of ten steps on a disk of so many bytes; gives its status and the step of the checkpoint that is left, or TS_NO_STEP. */
static ts_status run_on(small_disk *d, int64_t bytes, uint64_t room_at, const char *folder, uint64_t *left, int *told)
{
    listener l = {.text = "No space left on device"};
    ts_runtime *runtime = listening_runtime(&l);
    ts_trainer_options o = options_of(10, folder), given = only_text();
    ts_trainer *t, *again;
    *d = (small_disk){.io = ts_io_system, .left = bytes, .room_at = room_at};
    d->io.user = d, d->io.write = write_while_room, d->io.sync = sync_nothing;
    assert_ok(make(&t, runtime, &o));
    ts_runtime_set_io(runtime, &d->io);
    ts_status status = ts_trainer_run(t, make_room, d);
    char detail[512];
    snprintf(detail, sizeof detail, "%s", ts_error_detail());
    assert_int_equal(t->state.step, 10); /* no full disk ends the training */
    size_t files = files_in(folder);
    ts_runtime_set_io(runtime, &ts_io_system);
    ts_trainer_free(t);
    ts_runtime_free(runtime);
    *told = l.heard;
    *left = TS_NO_STEP;
    if (ts_trainer_resume(&again, NULL, folder, &given) == TS_OK) {
        *left = again->state.step;
        ts_trainer_free(again);
    }
    assert_int_equal(files_in(folder), files); /* nothing half written was left to sweep */
    if (status != TS_OK) {
        assert_int_equal(status, TS_ERROR_IO);
        assert_non_null(strstr(detail, "checkpoint.safetensors: cannot be written: No space left on device"));
    }
    return status;
}

/* The run goes on, says each time that a checkpoint could not be written, and ends with one error; the last that could is whole. */
static void test_disk_fills_up(void **state)
{
    (void)state;
    char folder[200];
    small_disk d;
    uint64_t left, most = 0;
    int told, run = 0;
    size_t size;
    assert_ok(run_on(&d, INT64_MAX, TS_NO_STEP, in_work("roomy"), &left, &told));
    assert_true(left == 10 && told == 0);
    free(read_file(in_work("roomy/checkpoint.safetensors"), &size));
    for (int64_t bytes = 100; bytes < (int64_t)size * 9; bytes += (int64_t)size * 5 / 7, run++) {
        snprintf(folder, sizeof folder, "%s-%d", in_work("filled"), run);
        assert_status(run_on(&d, bytes, TS_NO_STEP, folder, &left, &told), TS_ERROR_IO);
        assert_true(told >= 2 && d.refused > 0);
        assert_true((left == TS_NO_STEP) == (bytes < (int64_t)size));
        if (left != TS_NO_STEP) {
            assert_true(left >= most && left < 10);
            most = left;
        }
        snprintf(folder, sizeof folder, "%s-%d", in_work("emptied"), run);
        assert_ok(run_on(&d, bytes, 9, folder, &left, &told)); /* there is room again in time */
        assert_true(left == 10 && told >= 1);
    }
    assert_true(most >= 7);
}

/* The same on a file system that is full, where the machine lets one be made. */
static void test_full_file_system(void **state)
{
    (void)state;
    char folder[200], command[600];
    snprintf(folder, sizeof folder, "%s", in_work("tmpfs"));
    snprintf(command, sizeof command, "mkdir '%s' && mount -t tmpfs -o size=256k tmpfs '%s' 2>/dev/null", folder, folder);
    if (system(command) != 0)
        skip();
    listener l = {.text = "No space left on device"};
    ts_runtime *runtime = listening_runtime(&l);
    ts_trainer_options o = options_of(10, in_work("tmpfs/run")), given = only_text();
    ts_trainer *t, *again;
    o.keep_every = 1; /* none of them ever goes */
    assert_ok(make(&t, runtime, &o));
    assert_status(ts_trainer_run(t, NULL, NULL), TS_ERROR_IO);
    assert_detail("No space left on device");
    assert_true(t->state.step == 10 && l.heard >= 2);
    ts_trainer_free(t);
    ts_status status = ts_trainer_resume(&again, NULL, in_work("tmpfs/run"), &given);
    uint64_t step = status == TS_OK ? again->state.step : TS_NO_STEP;
    if (status == TS_OK)
        ts_trainer_free(again);
    ts_runtime_free(runtime);
    snprintf(command, sizeof command, "umount '%s'", folder);
    assert_int_equal(system(command), 0);
    assert_true(step > 0 && step < 10);
}

/* ---- the log ---- */

/* The log without the figures of the clock. */
static char *log_without_clock(const char *path)
{
    size_t size;
    char *text = read_file(path, &size), *to = text;
    for (const char *from = text; *from != 0;) {
        const char *clock = strstr(from, ", \"tokens_per_second\""), *end = clock ? strchr(clock, '}') : NULL;
        size_t part = end ? (size_t)(clock - from) : strlen(from);
        memmove(to, from, part);
        to += part;
        from = end ? end : from + part;
    }
    *to = 0;
    return text;
}

/* A log of which the end was lost loses whole lines and goes on with whole ones; what was lost is told. */
static void test_log_that_was_cut(void **state)
{
    (void)state;
    char folder[200], path[300];
    snprintf(folder, sizeof folder, "%s", in_work("cut"));
    snprintf(path, sizeof path, "%s", in_work("cut/log.jsonl"));
    ts_trainer_options o = options_of(5, folder), given = only_text();
    listener l = {.text = "are missing"};
    ts_runtime *runtime = listening_runtime(&l);
    ts_trainer *t;
    assert_ok(make(&t, runtime, &o));
    assert_ok(ts_trainer_run(t, NULL, NULL));
    ts_trainer_free(t);
    size_t size;
    char *whole = read_file(path, &size);
    given.max_steps = 7;
    for (size_t lost = 0; lost < size; lost += 100) {
        write_file(path, whole, size - lost);
        int told = l.heard;
        assert_ok(ts_trainer_resume(&t, runtime, folder, &given));
        assert_int_equal(l.heard - told, lost > 0);
        size_t kept;
        char *rest = read_file(path, &kept);
        assert_true(kept <= size - lost && (kept == 0 || rest[kept - 1] == '\n') && memcmp(rest, whole, kept) == 0);
        assert_int_equal(t->state.log_bytes, kept);
        free(rest);
        ts_trainer_note(t, "step");
        ts_trainer_free(t);
        size_t lines = events(path, "step");
        assert_true(lines > 0);
    }
    assert_int_equal(unlink(path), 0);
    assert_ok(ts_trainer_resume(&t, runtime, folder, &given));
    assert_ok(ts_trainer_run(t, NULL, NULL));
    ts_trainer_free(t);
    assert_int_equal(events(path, "step"), 2);
    free(whole);
    ts_runtime_free(runtime);
}

/* Stopped at any step and resumed, with another number of threads each time, a run has the weights and the log of one that was not. */
static int32_t stop_at_told(void *user, const ts_trainer_report *report)
{
    return report->step >= *(const uint64_t *)user;
}

static void resume_everywhere(uint32_t precision, uint64_t stride)
{
    enum { STEPS = 51 };
    static const uint32_t threads[7] = {1, 2, 1, 1, 4, 1, 1};
    char folder[200], path[300];
    ts_trainer *straight, *t;
    ts_trainer_options o = options_of(STEPS, in_work(precision == TS_PRECISION_BF16 ? "straight-bf16" : "straight-f32"));
    o.checkpoint_interval = 1000;
    o.precision = precision;
    o.valid_interval = 20; /* a stop at 20 or 40 falls into a validation */
    assert_ok(make(&straight, NULL, &o));
    snprintf(path, sizeof path, "%s/log.jsonl", straight->run_directory);
    assert_ok(ts_trainer_run(straight, NULL, NULL));
    char *expected = log_without_clock(path);
    for (uint64_t stop = 1; stop < STEPS; stop += stride) {
        char name[40];
        ts_runtime *before = make_runtime(threads[stop % 7], TS_CPU_LEVEL_BEST), *after = make_runtime(threads[(stop + 1) % 7], TS_CPU_LEVEL_BEST);
        ts_trainer_options given = only_text();
        snprintf(name, sizeof name, "stopped-%u-%u", (unsigned)precision, (unsigned)stop);
        snprintf(folder, sizeof folder, "%s", in_work(name));
        snprintf(path, sizeof path, "%s/log.jsonl", folder);
        o.run_directory = folder;
        assert_ok(make(&t, before, &o));
        assert_status(ts_trainer_run(t, stop_at_told, &stop), TS_ERROR_CANCELLED);
        ts_trainer_free(t);
        assert_ok(ts_trainer_resume(&t, after, folder, &given));
        assert_int_equal(t->state.step, stop);
        assert_ok(ts_trainer_run(t, NULL, NULL));
        size_t size = t->total * sizeof(float);
        assert_memory_equal(t->parameters, straight->parameters, size);
        assert_memory_equal(t->first, straight->first, size);
        ts_trainer_free(t);
        char *log = log_without_clock(path);
        assert_string_equal(log, expected);
        free(log);
        ts_runtime_free(before);
        ts_runtime_free(after);
    }
    free(expected);
    ts_trainer_free(straight);
}

static void test_resumes_from_fifty_steps(void **state)
{
    (void)state;
    resume_everywhere(TS_PRECISION_F32, 1);
}

static void test_resumes_in_bf16(void **state)
{
    (void)state;
    if (ts_kernels_at(ts_cpu_level_best())->tile_pairs == NULL)
        skip();
    resume_everywhere(TS_PRECISION_BF16, 7);
}

/* ---- one trainer at a time ---- */

typedef struct prying {
    const char *folder;
    bool asked;
    ts_status answer;
} prying;

/* While a trainer that resumes reads the checkpoint, another asks for the folder. */
static int pry_open(void *user, const char *path, int flags, unsigned mode)
{
    prying *p = user;
    if (strstr(path, "checkpoint.safetensors") != NULL && !p->asked) {
        ts_trainer *second = NULL;
        ts_trainer_options given = only_text();
        p->asked = true;
        p->answer = ts_trainer_resume(&second, NULL, p->folder, &given);
        ts_trainer_free(second);
    }
    return ts_io_system.open(NULL, path, flags, mode);
}

static void test_locks_before_it_reads(void **state)
{
    (void)state;
    char folder[200];
    snprintf(folder, sizeof folder, "%s", in_work("locked"));
    ts_trainer_options o = options_of(2, folder), given = only_text();
    ts_trainer *t, *second = NULL;
    assert_ok(make(&t, NULL, &o));
    assert_ok(ts_trainer_run(t, NULL, NULL));
    const char *missing = "/nonexistent.txt";
    o.text = &missing; /* told before any text is read */
    assert_status(make(&second, NULL, &o), TS_ERROR_BUSY);
    assert_status(ts_trainer_resume(&second, NULL, folder, &given), TS_ERROR_BUSY);
    ts_trainer_free(t);
    assert_status(make(&second, NULL, &o), TS_ERROR_INVALID_ARGUMENT);
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    prying p = {.folder = folder};
    ts_io io = ts_io_system;
    io.user = &p, io.open = pry_open;
    ts_runtime_set_io(runtime, &io);
    assert_ok(ts_trainer_resume(&t, runtime, folder, &given));
    assert_true(p.asked && p.answer == TS_ERROR_BUSY);
    ts_runtime_set_io(runtime, &ts_io_system);
    ts_trainer_free(t);
    ts_runtime_free(runtime);
    assert_null(second);
    assert_status(ts_trainer_resume(&second, NULL, in_work("nowhere"), &given), TS_ERROR_IO);
    assert_false(ts_path_exists(in_work("nowhere")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destroyed_weights),     cmocka_unit_test(test_divergence_in_a_run), cmocka_unit_test(test_begins_with_a_checkpoint),
        cmocka_unit_test(test_which_are_kept),        cmocka_unit_test(test_falls_back),          cmocka_unit_test(test_is_read_back),
        cmocka_unit_test(test_locks_before_it_reads), cmocka_unit_test(test_log_that_was_cut),    cmocka_unit_test(test_resumes_from_fifty_steps),
        cmocka_unit_test(test_resumes_in_bf16),       cmocka_unit_test(test_disk_fills_up),       cmocka_unit_test(test_full_file_system),
    };
    return cmocka_run_group_tests_name("keeping", tests, make_all, remove_all);
}

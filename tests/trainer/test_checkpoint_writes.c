/* A checkpoint that takes an older one's place, killed after every single byte, and what a loss of power at any moment would leave. */
#include "support/support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trainer/trainer.h"

/* ---- a run so small that it can be written thousands of times ---- */

static const char *text_path, *run, *checkpoint;

static int make_run(void **state)
{
    static const char text[] =
        "Tom saw a cake. Lily ate an egg. The cat hid a ball.\n<|endoftext|>\nThe dog found a cake. Tom hid an egg. Lily saw a ball.\n";
    static char paths[3][200];
    static const char *const names[3] = {"text.txt", "run", ("run/" TS_CHECKPOINT_NAME)};
    if (make_folder(state) != 0)
        return 1;
    for (int i = 0; i < 3; i++)
        snprintf(paths[i], sizeof paths[i], "%s", in_work(names[i]));
    text_path = paths[0], run = paths[1], checkpoint = paths[2];
    write_file(text_path, text, sizeof text - 1);
    return mkdir(run, 0700);
}

/* Two checkpoints of one run: `old` stands in the folder, `trainer` is a step ahead and writes `new`. */
typedef struct pair {
    ts_runtime *runtime;
    ts_trainer *trainer;
    char *old_file, *new_file;
    size_t old_size, new_size;
} pair;

static void make_pair(pair *p)
{
    ts_tokenizer *tokenizer;
    ts_tokenizer_train_options train;
    ts_architecture shape;
    ts_trainer_options o;
    assert_ok(ts_runtime_new(&p->runtime, NULL));
    assert_ok(ts_tokenizer_train_options_init(&train, sizeof train));
    train.vocabulary_size = 257;
    assert_ok(ts_tokenizer_train_files(&tokenizer, p->runtime, &text_path, 1, &train));
    assert_ok(ts_architecture_init(&shape, sizeof shape));
    shape.width = 2, shape.layers = 1, shape.heads = 1, shape.hidden = 8, shape.context_length = 8;
    assert_ok(ts_trainer_options_init(&o, sizeof o));
    o.text = &text_path, o.text_count = 1;
    o.valid_share = 0;
    o.batch_tokens = 8;
    o.max_steps = 100;
    assert_ok(ts_trainer_new(&p->trainer, p->runtime, tokenizer, &shape, &o));
    ts_tokenizer_free(tokenizer);
    assert_ok(ts_trainer_save(p->trainer, checkpoint));
    p->old_file = read_file(checkpoint, &p->old_size);
    assert_ok(ts_trainer_step(p->trainer, NULL));
    assert_ok(ts_trainer_save(p->trainer, checkpoint));
    p->new_file = read_file(checkpoint, &p->new_size);
    assert_true(p->old_size != p->new_size || memcmp(p->old_file, p->new_file, p->old_size) != 0);
}

static void free_pair(pair *p)
{
    ts_trainer_free(p->trainer);
    ts_runtime_free(p->runtime);
    free(p->old_file);
    free(p->new_file);
}

/* The step that the folder's checkpoint was made at; it must open. */
static uint64_t step_of_folder(void)
{
    ts_trainer *again = NULL;
    ts_trainer_report report = {.struct_size = sizeof report};
    const ts_trainer_options given = {.struct_size = sizeof given, .text = &text_path, .text_count = 1};
    assert_ok(ts_trainer_resume(&again, NULL, run, &given));
    assert_ok(ts_trainer_state(again, &report));
    ts_trainer_free(again);
    return report.step;
}

/* ---- killed after any byte ---- */

typedef struct killer {
    uint64_t left; /* bytes until the process dies */
    size_t most;   /* bytes that one call takes at most */
} killer;

static int64_t write_until_killed(void *user, int file, const void *buffer, size_t size)
{
    killer *k = user;
    size_t part = TS_MIN(TS_MIN(size, k->most), k->left);
    int64_t done = ts_io_system.write(NULL, file, buffer, part);
    if (done > 0)
        k->left -= (uint64_t)done;
    if (k->left == 0)
        kill(getpid(), SIGKILL);
    return done;
}

/* Writes the new checkpoint over the old one in a process that dies after `bytes` bytes; true when it did die. */
static bool save_until_killed(pair *p, uint64_t bytes, pid_t *child)
{
    killer k = {bytes, 1 + bytes % 1021};
    int status;
    *child = fork();
    assert_true(*child >= 0);
    if (*child == 0) {
        ts_io io = ts_io_system;
        io.user = &k;
        io.write = write_until_killed;
        ts_runtime_set_io(p->runtime, &io);
        _exit(ts_trainer_save(p->trainer, checkpoint) == TS_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(*child, &status, 0), *child);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGKILL);
    else
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

/* What the dead process left of the new file, which tells that it died where it should have. Opening the folder removes it. */
static void see_temporary(pid_t child, uint64_t bytes, bool opened)
{
    char path[300];
    struct stat about;
    snprintf(path, sizeof path, "%s/." TS_CHECKPOINT_NAME ".%ld-0.tmp", run, (long)child);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_size, bytes);
    if (opened)
        assert_int_equal(step_of_folder(), 0);
    else
        assert_int_equal(unlink(path), 0);
}

static void assert_same_file(const char *path, const char *expected, size_t expected_size)
{
    size_t size;
    char *bytes = read_file(path, &size);
    assert_int_equal(size, expected_size);
    assert_memory_equal(bytes, expected, size);
    free(bytes);
}

/*
 * Every number of bytes from 1 to all of the file and one more, with which the process lives. Each time no byte of the old file may differ; that the
 * folder opens too is seen for every byte of the header and of the last 4 KiB and for every 7th of the tensors' between. Sanitizers make processes
 * slow to copy: with them every 37th byte, and all of the first and last 64.
 */
static void test_killed_at_every_byte(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const uint64_t stride = 37, ends = 64, open_stride = 37;
#else
    const uint64_t stride = 1, ends = 0, open_stride = 7;
#endif
    pair p;
    pid_t child;
    uint64_t killed = 0, bytes = 1;
    (void)state;
    make_pair(&p);
    write_file(checkpoint, p.old_file, p.old_size);
    assert_int_equal(step_of_folder(), 0); /* which also makes the lock and the log */
    size_t files = files_in(run);
    uint64_t header;
    memcpy(&header, p.new_file, sizeof header); /* its size stands before it */
    header += sizeof header;
    assert_true(header < p.new_size);
    while (bytes <= p.new_size) {
        assert_true(save_until_killed(&p, bytes, &child));
        assert_same_file(checkpoint, p.old_file, p.old_size);
        see_temporary(child, bytes, bytes <= header || bytes + 4096 >= p.new_size || bytes % open_stride == 0);
        assert_int_equal(files_in(run), files);
        killed++;
        bytes += bytes < ends || bytes + ends + stride >= p.new_size ? 1 : stride;
    }
    assert_true(killed >= p.new_size / stride);
    assert_false(save_until_killed(&p, p.new_size + 1, &child));
    assert_same_file(checkpoint, p.new_file, p.new_size);
    assert_int_equal(step_of_folder(), 1);
    assert_int_equal(files_in(run), files);
    free_pair(&p);
}

/* ---- cut off ---- */

/* A checkpoint that is cut off is told to be damaged, by the file's name, and nothing is made of it: in the header and at the end at every length, of the
 * tensors between at every 7th. */
static void test_cut_at_every_length(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const size_t stride = 61;
#else
    const size_t stride = 7;
#endif
    (void)state;
    pair p;
    ts_trainer *trainer = NULL;
    const ts_trainer_options given = {.struct_size = sizeof given, .text = &text_path, .text_count = 1};
    make_pair(&p);
    const char *cut = in_work("cut.safetensors");
    uint64_t header;
    memcpy(&header, p.new_file, sizeof header); /* its size stands before it */
    header += sizeof header;
    write_file(cut, p.new_file, p.new_size);
    for (size_t size = p.new_size; size-- > 0;) {
        if (size > header && size + 256 < p.new_size && size % stride != 0)
            continue;
        assert_int_equal(truncate(cut, (off_t)size), 0);
        assert_status(ts_trainer_resume(&trainer, p.runtime, cut, &given), TS_ERROR_FORMAT);
        assert_detail("cut.safetensors");
        assert_null(trainer);
    }
    remove_file("cut.safetensors");
    free_pair(&p);
}

/* ---- a loss of power ---- */

/*
 * What a disk promises: bytes of a file are there after its fsync, a name after its folder's. So that a checkpoint, old or new, is whole whenever the
 * power goes, the new file's bytes must be synced when it gets the name, the old file must never be touched, and what save calls done is synced in
 * the folder.
 */
enum { OTHER, NEW_FILE, FOLDER };

typedef struct recorder {
    ts_io io;
    int roles[256]; /* of descriptors */
    bool dirty;     /* the new file has bytes that are not synced */
    bool renamed, folder_synced;
    bool sync_fails;
    size_t synced; /* calls for the new file */
    char temporary[300];
    const char *wrong; /* the first thing that a loss of power would not forgive */
} recorder;

static void blame(recorder *r, bool wrong, const char *what)
{
    if (wrong && r->wrong == NULL)
        r->wrong = what;
}

static int record_open(void *user, const char *path, int flags, unsigned mode)
{
    recorder *r = user;
    int file = ts_io_system.open(NULL, path, flags, mode);
    if (file < 0 || file >= (int)TS_COUNT_OF(r->roles))
        return file;
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    blame(r, writes && strcmp(path, checkpoint) == 0, "the old file is opened for writing");
    r->roles[file] = writes ? NEW_FILE : strcmp(path, run) == 0 ? FOLDER : OTHER;
    if (writes) {
        snprintf(r->temporary, sizeof r->temporary, "%s", path);
        r->dirty = true; /* an empty file is no checkpoint either */
    }
    return file;
}

static int64_t record_write(void *user, int file, const void *buffer, size_t size)
{
    recorder *r = user;
    r->dirty = true;
    blame(r, r->renamed, "the file is written to after it got its name");
    return ts_io_system.write(NULL, file, buffer, size);
}

static int record_sync(void *user, int file)
{
    recorder *r = user;
    if (r->roles[file] == NEW_FILE) {
        r->synced++;
        if (r->sync_fails)
            return -1;
        r->dirty = false;
    }
    if (r->roles[file] == FOLDER && r->renamed)
        r->folder_synced = true;
    return ts_io_system.sync(NULL, file);
}

static int record_rename(void *user, const char *from, const char *to)
{
    recorder *r = user;
    blame(r, r->dirty, "the file gets its name before its bytes are synced");
    blame(r, strcmp(to, checkpoint) != 0 || strcmp(from, r->temporary) != 0, "another file is renamed");
    r->renamed = true;
    return ts_io_system.rename(NULL, from, to);
}

static int record_unlink(void *user, const char *path)
{
    blame(user, strcmp(path, checkpoint) == 0, "the old file is removed");
    return ts_io_system.unlink(NULL, path);
}

static ts_status save_recorded(pair *p, recorder *r, bool sync_fails)
{
    *r = (recorder){.io = ts_io_system, .sync_fails = sync_fails};
    r->io.user = r;
    r->io.open = record_open, r->io.write = record_write, r->io.sync = record_sync, r->io.rename = record_rename, r->io.unlink = record_unlink;
    ts_runtime_set_io(p->runtime, &r->io);
    ts_status status = ts_trainer_save(p->trainer, checkpoint);
    ts_runtime_set_io(p->runtime, &ts_io_system);
    if (r->wrong != NULL)
        fail_msg("%s", r->wrong);
    return status;
}

static void test_order_of_syncs(void **state)
{
    pair p;
    recorder r;
    (void)state;
    make_pair(&p);
    write_file(checkpoint, p.old_file, p.old_size);
    assert_status(save_recorded(&p, &r, true), TS_ERROR_IO); /* bytes that may be lost never get the name */
    assert_true(r.synced == 1 && !r.renamed);
    assert_same_file(checkpoint, p.old_file, p.old_size);
    assert_ok(save_recorded(&p, &r, false));
    assert_true(r.synced == 1 && !r.dirty && r.renamed && r.folder_synced);
    assert_same_file(checkpoint, p.new_file, p.new_size);
    free_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_at_every_length), cmocka_unit_test(test_killed_at_every_byte),
        cmocka_unit_test(test_order_of_syncs),
    };
    return cmocka_run_group_tests_name("checkpoint_writes", tests, make_run, remove_folder);
}

/*
 * A loss of power at any moment of a run. What the trainer asks of the disk is written down; then for every moment all that a disk could have kept is
 * made: of a file's bytes those that were synced are there, and of the others any part; of the folder's names those before its last sync, and of the
 * later changes any of them, in any order. From each of these folders the run must go on: with the last checkpoint that was made, or the one that was
 * being made.
 */
#include "short_run.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_two_stories(void **state)
{
    static const char text[] =
        "Tom saw a cake. Lily ate an egg. The cat hid a ball.\n<|endoftext|>\nThe dog found a cake. Tom hid an egg. Lily saw a ball.\n";
    return make_run_on(state, text, sizeof text - 1, 257);
}

/* ---- what a run asks of the disk ---- */

enum { MOST_EVENTS = 600, MOST_FILES = 60, MOST_NAME = 80, MOST_PENDING = 8, FOLDER = MOST_FILES };

typedef enum { CREATED, WROTE, SYNCED, RENAMED, REMOVED, SAVED } what;

typedef struct event {
    what what;
    int file; /* FOLDER for a sync of the names */
    char name[MOST_NAME], to[MOST_NAME];
    uint64_t offset, size, step;
    char *bytes;
} event;

typedef struct name {
    char name[MOST_NAME];
    int file;
} name;

typedef struct recorder {
    ts_io io;
    const ts_trainer *trainer;
    char folder[200];
    event events[MOST_EVENTS];
    size_t count;
    name names[MOST_FILES]; /* as the process sees them */
    size_t name_count;
    int files;
    int open_files[256]; /* of descriptors; -1: not in the folder */
    uint64_t at[256];
    uint64_t sizes[MOST_FILES];
    bool appends[256];
} recorder;

static event *add_event(recorder *r, what kind, int file)
{
    assert_true(r->count < MOST_EVENTS);
    event *e = &r->events[r->count++];
    *e = (event){.what = kind, .file = file};
    return e;
}

static const char *within(const recorder *r, const char *path)
{
    size_t size = strlen(r->folder);
    return strncmp(path, r->folder, size) == 0 && path[size] == '/' ? path + size + 1 : NULL;
}

static name *find_name(name *names, size_t count, const char *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i].name, wanted) == 0)
            return &names[i];
    return NULL;
}

static void put_name(name *names, size_t *count, const char *wanted, int file)
{
    name *n = find_name(names, *count, wanted);
    assert_true(n != NULL || *count < MOST_FILES);
    if (n == NULL)
        n = &names[(*count)++];
    snprintf(n->name, sizeof n->name, "%s", wanted);
    n->file = file;
}

static void drop_name(name *names, size_t *count, const char *wanted)
{
    name *n = find_name(names, *count, wanted);
    if (n != NULL)
        *n = names[--*count];
}

static int record_open(void *user, const char *path, int flags, unsigned mode)
{
    recorder *r = user;
    int file = ts_io_system.open(NULL, path, flags, mode);
    const char *own = within(r, path);
    if (file < 0)
        return file;
    assert_true(file < 256);
    r->open_files[file] = strcmp(path, r->folder) == 0 ? FOLDER : -1;
    if (own == NULL)
        return file;
    name *n = find_name(r->names, r->name_count, own);
    if (n == NULL) {
        assert_true((flags & O_CREAT) != 0 && r->files < MOST_FILES);
        snprintf(add_event(r, CREATED, r->files)->name, MOST_NAME, "%s", own);
        put_name(r->names, &r->name_count, own, r->files++);
        n = find_name(r->names, r->name_count, own);
    }
    r->open_files[file] = n->file;
    r->at[file] = 0;
    r->appends[file] = (flags & O_APPEND) != 0;
    return file;
}

static int64_t record_write(void *user, int file, const void *buffer, size_t size)
{
    recorder *r = user;
    int64_t done = ts_io_system.write(NULL, file, buffer, size);
    if (r->open_files[file] < 0 || done <= 0)
        return done;
    event *e = add_event(r, WROTE, r->open_files[file]);
    if (r->appends[file])
        r->at[file] = r->sizes[e->file];
    e->offset = r->at[file];
    e->size = (uint64_t)done;
    e->bytes = malloc((size_t)done);
    memcpy(e->bytes, buffer, (size_t)done);
    r->at[file] += e->size;
    r->sizes[e->file] = TS_MAX(r->sizes[e->file], r->at[file]);
    return done;
}

static int record_sync(void *user, int file)
{
    recorder *r = user;
    if (r->open_files[file] >= 0)
        add_event(r, SYNCED, r->open_files[file]);
    return 0;
}

static int record_rename(void *user, const char *from, const char *to)
{
    recorder *r = user;
    int failure = ts_io_system.rename(NULL, from, to);
    const name *n = find_name(r->names, r->name_count, within(r, from));
    assert_true(failure == 0 && n != NULL);
    event *e = add_event(r, RENAMED, n->file);
    snprintf(e->name, MOST_NAME, "%s", within(r, from));
    snprintf(e->to, MOST_NAME, "%s", within(r, to));
    drop_name(r->names, &r->name_count, e->name);
    put_name(r->names, &r->name_count, e->to, e->file);
    return 0;
}

static int record_unlink(void *user, const char *path)
{
    recorder *r = user;
    const char *own = within(r, path);
    if (own != NULL && find_name(r->names, r->name_count, own) != NULL) {
        snprintf(add_event(r, REMOVED, -1)->name, MOST_NAME, "%s", own);
        drop_name(r->names, &r->name_count, own);
    }
    return ts_io_system.unlink(NULL, path);
}

/* From here on this step's checkpoint may not be lost. */
static int32_t note_saved(void *user, const ts_trainer_report *report)
{
    recorder *r = user;
    const event *last = r->count > 0 ? &r->events[r->count - 1] : NULL;
    (void)report;
    if (r->trainer->saved_step != TS_NO_STEP && !(last != NULL && last->what == SAVED && last->step == r->trainer->saved_step))
        add_event(r, SAVED, -1)->step = r->trainer->saved_step;
    return 0;
}

static void record_run(recorder *r, ts_trainer_options o)
{
    ts_architecture shape;
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    ts_trainer *t;
    *r = (recorder){.io = ts_io_system};
    snprintf(r->folder, sizeof r->folder, "%s", in_work("run"));
    assert_int_equal(mkdir(r->folder, 0700), 0);
    r->io.user = r;
    r->io.open = record_open, r->io.write = record_write, r->io.sync = record_sync, r->io.rename = record_rename, r->io.unlink = record_unlink;
    ts_architecture_init(&shape, sizeof shape);
    shape.width = 2, shape.layers = 1, shape.heads = 1, shape.hidden = 8, shape.context_length = 8;
    o.run_directory = r->folder;
    ts_runtime_set_io(runtime, &r->io);
    assert_ok(ts_trainer_new(&t, runtime, tokenizer, &shape, &o));
    r->trainer = t;
    assert_ok(ts_trainer_run(t, note_saved, r));
    note_saved(r, NULL);
    ts_trainer_free(t);
    ts_runtime_free(runtime);
}

/* ---- what a disk could have kept ---- */

typedef struct kept_file {
    char *bytes, *synced; /* as the process wrote it; as it was at its last sync */
    uint64_t size, synced_size;
} kept_file;

typedef struct disk {
    kept_file files[MOST_FILES];
    name names[MOST_FILES]; /* that are sure */
    size_t name_count;
    const event *pending[MOST_PENDING]; /* changes of names after the folder's last sync */
    size_t pending_count;
    uint64_t saved; /* step of the checkpoint that must be there, or TS_NO_STEP */
} disk;

static void change_names(name *names, size_t *count, const event *e)
{
    if (e->what != CREATED)
        drop_name(names, count, e->name);
    if (e->what != REMOVED)
        put_name(names, count, e->what == CREATED ? e->name : e->to, e->file);
}

static void happen(disk *d, const event *e)
{
    kept_file *f = e->file >= 0 && e->file < MOST_FILES ? &d->files[e->file] : NULL;
    switch (e->what) {
    case WROTE:
        f->bytes = realloc(f->bytes, (size_t)TS_MAX(f->size, e->offset + e->size));
        memcpy(f->bytes + e->offset, e->bytes, (size_t)e->size);
        f->size = TS_MAX(f->size, e->offset + e->size);
        break;
    case SYNCED:
        if (f == NULL) {
            for (size_t i = 0; i < d->pending_count; i++)
                change_names(d->names, &d->name_count, d->pending[i]);
            d->pending_count = 0;
        } else {
            f->synced = realloc(f->synced, (size_t)f->size + 1);
            if (f->size > 0)
                memcpy(f->synced, f->bytes, (size_t)f->size);
            f->synced_size = f->size;
        }
        break;
    case SAVED:
        d->saved = e->step;
        break;
    default:
        assert_true(d->pending_count < MOST_PENDING);
        d->pending[d->pending_count++] = e;
    }
}

/* What becomes of bytes that were not synced. */
enum { LOST, KEPT, HALF, HOLES, WAYS };

static void write_kept(const char *path, const kept_file *f, int way)
{
    bool same = f->size == f->synced_size && (f->size == 0 || memcmp(f->bytes, f->synced, (size_t)f->size) == 0);
    size_t half = (size_t)(f->synced_size + (f->size - f->synced_size) / 2);
    char *bytes = calloc(1, (size_t)f->size + 1);
    if (f->size > 0)
        memcpy(bytes, f->bytes, (size_t)f->size);
    if (same || way == KEPT)
        write_file(path, bytes, (size_t)f->size);
    else if (way == LOST)
        write_file(path, f->synced ? f->synced : "", (size_t)f->synced_size);
    else if (way == HALF)
        write_file(path, bytes, half);
    else { /* the later half came to the disk before the earlier one */
        memset(bytes + f->synced_size, 0, half - (size_t)f->synced_size);
        write_file(path, bytes, (size_t)f->size);
    }
    free(bytes);
}

/* Removes a folder of files. */
static void empty(const char *folder)
{
    char path[600];
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            assert_int_equal(unlink(path), 0);
        }
    closedir(directory);
    assert_int_equal(rmdir(folder), 0);
}

static int lines_missing;

static void listen(void *user, int32_t level, const char *line)
{
    (void)user, (void)level;
    lines_missing += strstr(line, "are missing") != NULL;
}

/* Goes on from a folder of these names; the step it goes on from, or TS_NO_STEP. */
static uint64_t go_on(const disk *d, const name *names, size_t count, int way, ts_runtime *runtime)
{
    const ts_trainer_options given = {.struct_size = sizeof given, .text = &text_path, .text_count = 1};
    char folder[200], path[300];
    ts_trainer *t;
    uint64_t step = TS_NO_STEP;
    snprintf(folder, sizeof folder, "%s", in_work("after"));
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%.79s", folder, names[i].name);
        write_kept(path, &d->files[names[i].file], way);
    }
    if (ts_trainer_resume(&t, runtime, folder, &given) == TS_OK) {
        step = t->state.step;
        assert_ok(ts_trainer_step(t, NULL));
        ts_trainer_free(t);
    }
    empty(folder);
    return step;
}

/* Every folder that a loss of power could leave now. */
static size_t look_at_disk(const disk *d, uint64_t next, size_t moment, ts_runtime *runtime)
{
    size_t seen = 0;
    for (unsigned mask = 0; mask < 1u << d->pending_count; mask++)
        for (int way = 0; way < WAYS; way++, seen++) {
            name names[MOST_FILES];
            size_t count = d->name_count;
            memcpy(names, d->names, sizeof names);
            for (size_t i = 0; i < d->pending_count; i++)
                if (mask >> i & 1)
                    change_names(names, &count, d->pending[i]);
            uint64_t step = go_on(d, names, count, way, runtime);
            if (d->saved == TS_NO_STEP ? step != TS_NO_STEP && step > next : step == TS_NO_STEP || step < d->saved || step > next)
                fail_msg("power lost after event %zu, names %x, bytes %d: goes on from step %lld, expected %lld to %lld: %s", moment, mask, way,
                         (long long)step, (long long)d->saved, (long long)next, ts_error_detail());
        }
    return seen;
}

/* The step of the checkpoint that is being made. */
static uint64_t next_saved(const recorder *r, size_t from)
{
    for (size_t i = from; i < r->count; i++)
        if (r->events[i].what == SAVED)
            return r->events[i].step;
    return r->events[r->count - 1].step;
}

static void lose_power_everywhere(ts_trainer_options o, uint64_t *states, size_t *renames)
{
    static recorder r;
    static disk d;
    ts_runtime_options options;
    ts_runtime *runtime;
    ts_io io = ts_io_system;
    record_run(&r, o);
    d = (disk){.saved = TS_NO_STEP};
    ts_runtime_options_init(&options, sizeof options);
    options.log = listen;
    assert_ok(ts_runtime_new(&runtime, &options));
    io.sync = sync_nothing;
    ts_runtime_set_io(runtime, &io);
    lines_missing = 0;
    *states = *renames = 0;
    for (size_t i = 0; i < r.count; i++) {
        happen(&d, &r.events[i]);
        *renames += r.events[i].what == RENAMED;
        *states += look_at_disk(&d, next_saved(&r, i), i, runtime);
    }
    assert_int_equal(lines_missing, 0); /* a checkpoint never counts on lines of the log that are not on the disk */
    for (size_t i = 0; i < r.count; i++)
        free(r.events[i].bytes);
    for (size_t i = 0; i < MOST_FILES; i++)
        free(d.files[i].bytes), free(d.files[i].synced);
    ts_runtime_free(runtime);
    empty(r.folder);
}

static ts_trainer_options options_of(uint64_t steps)
{
    ts_trainer_options o;
    ts_trainer_options_init(&o, sizeof o);
    o.text = &text_path, o.text_count = 1;
    o.valid_share = 0;
    o.batch_tokens = 8;
    o.max_steps = steps;
    o.checkpoint_interval = 1;
    o.log_interval = 1;
    return o;
}

static void test_any_moment_of_a_run(void **state)
{
    (void)state;
    uint64_t states;
    size_t renames;
    lose_power_everywhere(options_of(3), &states, &renames);
    assert_true(renames >= 4 + 3); /* four checkpoints, of which three become older ones */
    assert_true(states > 200);
}

/* With one checkpoint alone the older one goes as soon as the next is there. */
static void test_one_checkpoint_alone(void **state)
{
    (void)state;
    uint64_t states;
    size_t renames;
    ts_trainer_options o = options_of(3);
    o.keep_last = 1;
    lose_power_everywhere(o, &states, &renames);
    assert_true(states > 200);
}

/* The simulation itself: without the sync of a file's bytes, or of names, a checkpoint is lost. */
static void test_the_disk_forgets(void **state)
{
    (void)state;
    disk d = {.saved = TS_NO_STEP};
    event made = {.what = CREATED, .name = "a", .file = 0}, wrote = {.what = WROTE, .file = 0, .bytes = "xyz!", .size = 4},
          synced = {.what = SYNCED, .file = 0}, renamed = {.what = RENAMED, .file = 0, .name = "a", .to = "b"},
          folder = {.what = SYNCED, .file = FOLDER};
    const char *path = in_work("kept");
    size_t size;
    happen(&d, &made);
    happen(&d, &wrote);
    static const size_t sizes[WAYS] = {[LOST] = 0, [KEPT] = 4, [HALF] = 2, [HOLES] = 4};
    for (int way = 0; way < WAYS; way++) {
        write_kept(path, &d.files[0], way);
        char *bytes = read_file(path, &size);
        assert_int_equal(size, sizes[way]);
        assert_true(way != HOLES || memcmp(bytes, "\0\0z!", 4) == 0);
        free(bytes);
    }
    happen(&d, &synced);
    write_kept(path, &d.files[0], LOST);
    free(read_file(path, &size));
    assert_int_equal(size, 4);
    happen(&d, &renamed);
    assert_true(d.name_count == 0 && d.pending_count == 2);
    happen(&d, &folder);
    assert_true(d.name_count == 1 && d.pending_count == 0 && strcmp(d.names[0].name, "b") == 0);
    free(d.files[0].bytes), free(d.files[0].synced);
    remove_file("kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_disk_forgets),
        cmocka_unit_test(test_any_moment_of_a_run),
        cmocka_unit_test(test_one_checkpoint_alone),
    };
    return cmocka_run_group_tests_name("power_loss", tests, make_two_stories, remove_all);
}

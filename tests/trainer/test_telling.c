/* What is told of a run: stories by the weights of the moment, the logs, validations, and the progress of making a trainer. */
#include "short_run.h"

#include <math.h>
#include <pthread.h>

static ts_trainer_options options_of(uint64_t steps, const char *folder)
{
    ts_trainer_options o;
    ts_trainer_options_init(&o, sizeof o);
    o.text = &text_path, o.text_count = 1;
    o.max_steps = steps;
    o.batch_tokens = 2 * 8;
    o.run_directory = folder;
    o.valid_interval = 2;
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

static const ts_trainer_options *only_text(void)
{
    static ts_trainer_options o;
    o = (ts_trainer_options){.struct_size = sizeof o, .text = &text_path, .text_count = 1};
    return &o;
}

/* ---- within the progress ---- */

typedef struct asker {
    ts_trainer *trainer, *other;
    uint64_t stop_at; /* 0: never */
    uint64_t told;    /* the last step with a story */
    size_t stories, validating, models;
    ts_status elsewhere; /* what another thread was answered */
} asker;

static void *ask_elsewhere(void *user)
{
    asker *a = user;
    ts_model *model = NULL;
    a->elsewhere = ts_trainer_snapshot(a->trainer, &model);
    return NULL;
}

/* Snapshots at every call; of each a loss, which is that of the validation when it comes behind one; and a story after each validation. */
static int32_t ask(void *user, const ts_trainer_report *report)
{
    asker *a = user;
    ts_model *model = NULL;
    pthread_t thread;
    assert_ok(ts_trainer_snapshot(a->trainer, &model));
    a->models++;
    a->validating += report->valid_step != report->step && !report->due;
    float row[8];
    ts_model_row(model, &model->table[0], 1, row);
    assert_memory_equal(row, a->trainer->parameters + model->table[0].offset + 8, sizeof row);
    ts_model_free(model);
    if (report->due && report->valid_step == report->step && report->step != a->told) {
        char story[80];
        snprintf(story, sizeof story, "\"Story\"\n of step %d \\ caf\xc3\xa9", (int)report->step);
        assert_ok(ts_trainer_log_story(a->trainer, story, strlen(story)));
        a->stories++;
        a->told = report->step;
    }
    assert_status(ts_trainer_step(a->trainer, NULL), TS_ERROR_BUSY);
    assert_status(ts_trainer_run(a->trainer, NULL, NULL), TS_ERROR_BUSY);
    assert_status(ts_trainer_save(a->trainer, "nowhere"), TS_ERROR_BUSY);
    assert_status(ts_trainer_validate(a->trainer, NULL), TS_ERROR_BUSY);
    assert_int_equal(pthread_create(&thread, NULL, ask_elsewhere, a), 0);
    pthread_join(thread, NULL);
    assert_int_equal(a->elsewhere, TS_ERROR_BUSY);
    if (a->other != NULL && report->step == 1 && !ts_trainer_done(a->other)) { /* a run within the progress of another */
        asker within = {.trainer = a->other};
        assert_ok(ts_trainer_run(a->other, ask, &within));
        assert_true(within.models > 0);
        assert_ok(ts_trainer_snapshot(a->trainer, &model));
        ts_model_free(model);
    }
    return a->stop_at != 0 && report->step >= a->stop_at && report->due;
}

/* The log's lines of an event. */
static size_t events(const char *path, const char *event)
{
    char wanted[64], line[2000];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    snprintf(wanted, sizeof wanted, "{\"event\": \"%s\"", event);
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        count += strncmp(line, wanted, strlen(wanted)) == 0;
    fclose(file);
    return count;
}

static void test_stories_within_a_run(void **state)
{
    (void)state;
    char folder[200], path[300];
    ts_trainer *plain;
    asker a = {0};
    ts_trainer_options o = options_of(6, NULL);
    assert_ok(make(&plain, NULL, &o));
    assert_ok(ts_trainer_run(plain, NULL, NULL));
    assert_ok(make(&a.other, NULL, &o));
    snprintf(folder, sizeof folder, "%s", in_work("told"));
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    o.run_directory = folder;
    assert_ok(make(&a.trainer, NULL, &o));
    assert_ok(ts_trainer_run(a.trainer, ask, &a));
    assert_true(a.stories == 3 && a.told == 6 && a.models > 6);
    assert_memory_equal(plain->parameters, a.trainer->parameters, plain->total * sizeof(float)); /* whoever looks changes nothing */
    size_t size;
    char *log = read_file(path, &size);
    assert_non_null(strstr(log, "{\"event\": \"story\", \"step\": 4, \"text\": \"\\\"Story\\\"\\n of step 4 \\\\ caf\xc3\xa9\"}\n"));
    free(log);
    assert_int_equal(events(path, "story"), 3);
    assert_ok(ts_trainer_log_story(a.trainer, "outside of a run", 16));
    assert_int_equal(events(path, "story"), 4);
    ts_trainer_free(a.trainer), ts_trainer_free(a.other);
    assert_ok(ts_trainer_log_story(plain, "nowhere", 7)); /* without a folder */
    assert_status(ts_trainer_log_story(plain, NULL, 7), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_trainer_log_story(NULL, "", 0), TS_ERROR_INVALID_ARGUMENT);
    ts_trainer_free(plain);
}

/* ---- logs ---- */

/* Lines without the figures of the clock, which are the last two of a line of a log. */
static char *without_clock(const char *path)
{
    char line[2000];
    size_t size;
    char *text = NULL;
    FILE *from = fopen(path, "r"), *to = open_memstream(&text, &size);
    assert_non_null(from);
    while (fgets(line, sizeof line, from)) {
        for (int i = 0; i < 2 && strstr(line, "\"story\"") == NULL; i++)
            *strrchr(line, ',') = 0;
        fprintf(to, "%s\n", line);
    }
    fclose(from), fclose(to);
    return text;
}

static size_t cells(const char *line)
{
    size_t count = 1;
    for (; *line != 0; line++)
        count += *line == ',';
    return count;
}

/* A table beside the lines of JSON: the same events, stories aside; a run that was stopped in it and resumed has the bytes of one that was not, in
 * both. */
static void test_logs_of_a_stopped_run(void **state)
{
    (void)state;
    char folder[200], csv[300], json[300], line[600];
    char *expected[2];
    static const char *const columns = "event,step,tokens,skipped_steps,epoch,loss,bits_per_byte,gradient_norm,learning_rate,valid_nats_per_token,"
                                       "valid_bits_per_byte,tokens_per_second,seconds\n";
    for (uint64_t stop = 0; stop <= 8; stop++) {
        ts_trainer_options o = options_of(8, folder);
        asker a = {.stop_at = stop};
        snprintf(line, sizeof line, "stopped-%d", (int)stop);
        snprintf(folder, sizeof folder, "%s", in_work(line));
        snprintf(csv, sizeof csv, "%s/log.csv", folder);
        snprintf(json, sizeof json, "%s/log.jsonl", folder);
        o.csv_log = 1;
        assert_ok(make(&a.trainer, NULL, &o));
        ts_status status = ts_trainer_run(a.trainer, ask, &a);
        assert_int_equal(status, stop == 0 || stop == 8 ? status : TS_ERROR_CANCELLED);
        if (status != TS_OK) {
            ts_trainer_note(a.trainer, "step"); /* lost by what follows */
            ts_trainer_free(a.trainer);
            a = (asker){.told = a.told};
            assert_ok(ts_trainer_resume(&a.trainer, NULL, folder, only_text()));
            assert_ok(ts_trainer_run(a.trainer, ask, &a));
        }
        ts_trainer_free(a.trainer);
        char *texts[2] = {without_clock(csv), without_clock(json)};
        for (int i = 0; i < 2; i++) {
            if (stop == 0)
                expected[i] = texts[i];
            else
                assert_string_equal(texts[i], expected[i]);
            if (stop != 0)
                free(texts[i]);
        }
    }
    free(expected[0]), free(expected[1]);
    size_t lines = 0;
    FILE *file = fopen(csv, "r");
    while (fgets(line, sizeof line, file)) {
        if (lines++ == 0)
            assert_string_equal(line, columns);
        assert_int_equal(cells(line), 13);
        assert_null(strstr(line, "nan"));
    }
    fclose(file);
    assert_int_equal(lines, 1 + events(json, "step") + events(json, "valid") + events(json, "end"));
    assert_int_equal(events(json, "story"), 4);
}

/* ---- validations ---- */

static uint64_t chosen_interval(double share, uint32_t given, uint32_t batch)
{
    ts_trainer *t;
    ts_trainer_options o = options_of(10, NULL);
    o.valid_interval = given;
    o.valid_share = share;
    o.batch_tokens = batch;
    assert_ok(make(&t, NULL, &o));
    uint64_t interval = t->options.valid_interval;
    if (given == 0) {
        uint64_t least = (t->batches.held_count * 50 + t->options.batch_tokens - 1) / t->options.batch_tokens;
        assert_int_equal(interval, least > 100 ? least : 100);
    }
    ts_trainer_free(t);
    return interval;
}

static void test_validations_are_chosen(void **state)
{
    (void)state;
    assert_int_equal(chosen_interval(0.05, 7, 16), 7);
    assert_int_equal(chosen_interval(0.05, 0, 16384), 100);
    assert_true(chosen_interval(0.5, 0, 8) > 1000);
    assert_int_equal(chosen_interval(0, 0, 16), 100);
    ts_trainer *t;
    ts_trainer_options o = options_of(120, in_work("chosen"));
    o.valid_interval = 0;
    o.batch_tokens = 16 * 8;
    assert_ok(make(&t, NULL, &o));
    assert_ok(ts_trainer_run(t, NULL, NULL));
    ts_trainer_free(t);
    assert_int_equal(events(in_work("chosen/log.jsonl"), "valid"), 2); /* at step 100 and at the end */
}

typedef struct listener {
    int warnings;
} listener;

static void listen(void *user, int32_t level, const char *line)
{
    listener *l = user;
    l->warnings += level == TS_LOG_WARNING && strstr(line, "no story is held out, 3 are too few for a valid_share of ") != NULL;
}

static void test_nothing_held_out_is_told(void **state)
{
    (void)state;
    static const char text[] = "Tom saw a cake and a ball.<|endoftext|>Lily hid the ball and a cake.<|endoftext|>Tom and Lily saw the cake.";
    const char *few = put_file("few.txt", text, sizeof text - 1);
    ts_runtime_options options;
    ts_runtime *runtime;
    listener l = {0};
    ts_runtime_options_init(&options, sizeof options);
    options.log = listen, options.log_user = &l;
    assert_ok(ts_runtime_new(&runtime, &options));
    static const struct {
        double share;
        bool few;
        int warnings;
    } cases[] = {{0.02, true, 1}, {0, true, 0}, {0.5, true, 0}, {0.02, false, 0}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_trainer *t;
        ts_trainer_options o = options_of(2, NULL);
        if (cases[i].few)
            o.text = &few;
        o.valid_share = cases[i].share;
        l.warnings = 0;
        assert_ok(make(&t, runtime, &o));
        assert_int_equal(l.warnings, cases[i].warnings);
        assert_true(cases[i].share == 0.02 || (t->batches.held_story_count > 0) == (cases[i].share > 0));
        ts_trainer_free(t);
    }
    ts_runtime_free(runtime);
}

/* ---- the making of a trainer ---- */

typedef struct watcher {
    uint64_t calls, last, total, stop_at;
} watcher;

static int32_t watch(void *user, uint64_t done, uint64_t total)
{
    watcher *w = user;
    w->calls++;
    assert_true(done >= w->last && done <= total);
    w->last = done;
    w->total = total;
    return w->calls == w->stop_at;
}

static void test_progress_of_making(void **state)
{
    (void)state;
    size_t size;
    ts_trainer *t = NULL;
    watcher w = {0};
    const char *files[] = {text_path, text_path};
    ts_trainer_options o = options_of(2, in_work("watched"));
    free(read_file(text_path, &size));
    o.text = files, o.text_count = 2;
    o.valid = &text_path, o.valid_count = 1;
    o.progress = watch, o.progress_user = &w;
    assert_ok(make(&t, NULL, &o));
    assert_true(w.total == 3 * size && w.last == 3 * size && w.calls >= 3 * STORIES);
    assert_ok(ts_trainer_run(t, NULL, NULL));
    ts_trainer_free(t);
    uint64_t calls = w.calls;
    w = (watcher){0};
    ts_trainer_options again = *only_text();
    again.text = files, again.text_count = 2;
    again.valid = &text_path, again.valid_count = 1;
    again.progress = watch, again.progress_user = &w;
    assert_ok(ts_trainer_resume(&t, NULL, in_work("watched"), &again));
    assert_int_equal(w.calls, calls);
    ts_trainer_free(t);
    t = NULL;
    for (uint64_t stop = 1; stop <= calls; stop += 17) {
        w = (watcher){.stop_at = stop};
        o.run_directory = in_work("never");
        assert_status(make(&t, NULL, &o), TS_ERROR_CANCELLED);
        assert_detail("while its text was encoded");
        assert_int_equal(w.calls, stop);
    }
    assert_null(t);
    o.progress = NULL;
    assert_ok(make(&t, NULL, &o)); /* the folder is free again */
    ts_trainer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories_within_a_run),     cmocka_unit_test(test_logs_of_a_stopped_run), cmocka_unit_test(test_validations_are_chosen),
        cmocka_unit_test(test_nothing_held_out_is_told), cmocka_unit_test(test_progress_of_making),
    };
    return cmocka_run_group_tests_name("telling", tests, make_all, remove_all);
}

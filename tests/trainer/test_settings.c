/* What a checkpoint knows of a run's settings: other ones are refused by name, and what changes the bits is told. */
#include "short_run.h"

#include "format/format.h"

static ts_trainer_options options_of(uint64_t steps)
{
    ts_trainer_options o;
    ts_trainer_options_init(&o, sizeof o);
    o.text = &text_path, o.text_count = 1;
    o.max_steps = steps;
    o.batch_tokens = 2 * 8 + 3; /* rounded up to 4 sequences */
    o.micro_batch = 2;
    o.slices = 2;
    o.seed = 7;
    o.beta1 = 0.8;
    o.log_interval = 3;
    return o;
}

static void save_run(const ts_trainer_options *options, ts_runtime *runtime, const char *path)
{
    ts_architecture shape;
    ts_trainer *t;
    ts_architecture_init(&shape, sizeof shape);
    shape.width = 8, shape.layers = 1, shape.heads = 2, shape.hidden = 16, shape.context_length = 8;
    assert_ok(ts_trainer_new(&t, runtime, tokenizer, &shape, options));
    assert_ok(ts_trainer_step(t, NULL));
    assert_ok(ts_trainer_save(t, path));
    ts_trainer_free(t);
}

/* The log's lines that hold a text. */
typedef struct listener {
    const char *text;
    int heard;
} listener;

static void listen(void *user, int32_t level, const char *line)
{
    listener *l = user;
    l->heard += level == TS_LOG_WARNING && strstr(line, l->text) != NULL;
}

static ts_runtime *listening_runtime(listener *l, int32_t level)
{
    ts_runtime_options options;
    ts_runtime *runtime;
    ts_runtime_options_init(&options, sizeof options);
    options.log = listen, options.log_user = l;
    options.cpu_level = level;
    assert_ok(ts_runtime_new(&runtime, &options));
    return runtime;
}

/* ---- tests ---- */

/* Each of these is not the run's: it is named, with both values. */
static void test_other_settings_are_refused(void **state)
{
    (void)state;
    const ts_trainer_options run = options_of(20);
    const char *path = in_work("run.safetensors");
    ts_trainer *t = NULL;
    save_run(&run, NULL, path);
    enum { CASES = 11 };
    static const char *const names[CASES] = {"seed is 8, but the run of", "beta1 is 0.7, but",  "beta2 is 0.9, but",  "batch_tokens is 64, but",
                                             "micro_batch is 1, but",     "slices is 4, but",   "schedule is 2, but", "packing is 1, but",
                                             "average is 0.5, but",       "warmup is 0.2, but", "one_batch is 1, but"};
    for (int i = 0; i < CASES; i++) {
        ts_trainer_options o = run;
        switch (i) {
        case 0:
            o.seed = 8;
            break;
        case 1:
            o.beta1 = 0.7;
            break;
        case 2:
            o.beta2 = 0.9;
            break;
        case 3:
            o.batch_tokens = 40;
            break;
        case 4:
            o.micro_batch = 1;
            break;
        case 5:
            o.slices = 4, o.batch_tokens = 0, o.micro_batch = 0;
            break;
        case 6:
            o.schedule = TS_SCHEDULE_CONSTANT;
            break;
        case 7:
            o.packing = TS_PACKING_STORIES;
            break;
        case 8:
            o.average = 0.5;
            break;
        case 9:
            o.warmup = 0.2;
            break;
        default:
            o.one_batch = 1;
            break;
        }
        ts_status status = ts_trainer_resume(&t, NULL, path, &o);
        if (status != TS_ERROR_MISMATCH || strstr(ts_error_detail(), names[i]) == NULL || strstr(ts_error_detail(), "run.safetensors has ") == NULL)
            fail_msg("case %d: %s: %s", i, ts_status_name(status), ts_error_detail());
    }
    assert_null(t);
}

/* The same options once more, defaults, and what may change. */
static void test_same_settings_go_on(void **state)
{
    (void)state;
    const ts_trainer_options run = options_of(20);
    const char *path = in_work("same.safetensors");
    ts_trainer *t;
    save_run(&run, NULL, path);
    ts_trainer_options o = run;
    assert_ok(ts_trainer_resume(&t, NULL, path, &o));
    assert_true(t->options.beta1 == 0.8 && t->options.seed == 7 && t->options.batch_tokens == 4 * 8 && t->options.log_interval == 3);
    ts_trainer_free(t);
    ts_trainer_options_init(&o, sizeof o);
    o.text = &text_path, o.text_count = 1;
    assert_ok(ts_trainer_resume(&t, NULL, path, &o));
    assert_true(t->options.beta1 == 0.8 && t->options.max_steps == 20 && t->options.log_interval == 3);
    ts_trainer_free(t);
    o.max_steps = 30, o.learning_rate = 1e-4, o.log_interval = 2, o.keep_best = 1, o.keep_last = 5, o.valid_interval = 4, o.max_skips = 9;
    assert_ok(ts_trainer_resume(&t, NULL, path, &o));
    assert_true(t->options.max_steps == 30 && t->options.learning_rate == 1e-4 && t->options.log_interval == 2 && t->options.keep_best == 1 &&
                t->options.keep_last == 5 && t->options.valid_interval == 4 && t->options.max_skips == 9 && t->options.beta1 == 0.8);
    ts_trainer_free(t);
}

/* Another CPU level is told, and another precision; the same ones are not. */
static void test_other_arithmetic_is_told(void **state)
{
    (void)state;
    const char *path = in_work("level.safetensors");
    ts_trainer *t;
    listener level = {.text = "level.safetensors: was trained at CPU level reference and goes on at "},
             precision = {.text = "level.safetensors: was trained in bf16 and goes on in f32"};
    ts_trainer_options o = options_of(20);
    o.precision = TS_PRECISION_F32;
    ts_runtime *plain = listening_runtime(&level, TS_CPU_LEVEL_REFERENCE), *best = listening_runtime(&level, TS_CPU_LEVEL_BEST);
    save_run(&o, plain, path);
    assert_ok(ts_trainer_resume(&t, plain, path, &o));
    ts_trainer_free(t);
    assert_int_equal(level.heard, 0);
    if (ts_runtime_cpu_level(best) != TS_CPU_LEVEL_REFERENCE) {
        assert_ok(ts_trainer_resume(&t, best, path, &o));
        assert_ok(ts_trainer_save(t, path)); /* which is of the level that it goes on at */
        ts_trainer_free(t);
        assert_int_equal(level.heard, 1);
        assert_ok(ts_trainer_resume(&t, best, path, &o));
        ts_trainer_free(t);
        assert_int_equal(level.heard, 1);
    }
    ts_runtime_free(plain), ts_runtime_free(best);
    if (ts_kernels_at(ts_cpu_level_best())->tile_pairs == NULL)
        return;
    best = listening_runtime(&precision, TS_CPU_LEVEL_BEST);
    o.precision = TS_PRECISION_BF16;
    save_run(&o, best, path);
    o.precision = TS_PRECISION_AUTO;
    assert_ok(ts_trainer_resume(&t, best, path, &o));
    assert_true(t->options.precision == TS_PRECISION_BF16 && precision.heard == 0);
    ts_trainer_free(t);
    o.precision = TS_PRECISION_F32;
    assert_ok(ts_trainer_resume(&t, best, path, &o));
    assert_true(t->options.precision == TS_PRECISION_F32 && precision.heard == 1);
    ts_trainer_free(t);
    ts_runtime_free(best);
}

/* ---- the configuration's hash ---- */

static void configuration_of(const ts_trainer_options *options, char hash[17])
{
    const char *path = in_work("hash.safetensors");
    size_t size;
    save_run(options, NULL, path);
    char *bytes = read_file(path, &size), *found = strstr(bytes + 8, "\"configuration\":");
    assert_non_null(found);
    found = strchr(found + strlen("\"configuration\":"), '"');
    assert_non_null(found);
    memcpy(hash, found + 1, 16);
    hash[16] = 0;
    assert_int_equal(strspn(hash, "0123456789abcdef"), 16);
    free(bytes);
}

static void test_configuration(void **state)
{
    (void)state;
    char hash[17], again[17], longer[17], seeded[17];
    ts_trainer_options o = options_of(20);
    configuration_of(&o, hash);
    configuration_of(&o, again);
    o.max_steps = 25, o.learning_rate = 1e-3; /* what a resumed run may change is no part of it */
    configuration_of(&o, longer);
    o.seed = 8;
    configuration_of(&o, seeded);
    assert_string_equal(hash, again);
    assert_string_equal(hash, longer);
    assert_string_not_equal(hash, seeded);
}

/* Settings that are not those of the hash, though every checksum is right. */
static void test_configuration_is_compared(void **state)
{
    (void)state;
    ts_trainer_options o = options_of(20);
    const char *path = in_work("altered.safetensors");
    size_t size;
    uint64_t header;
    ts_trainer *t = NULL;
    save_run(&o, NULL, path);
    char *bytes = read_file(path, &size), crc[9];
    memcpy(&header, bytes, sizeof header);
    char *text = bytes + 8, *digits = strstr(text, "\"crc32\":\""), *configuration = strstr(text, "\"configuration\":");
    assert_true(digits != NULL && configuration != NULL);
    digits += strlen("\"crc32\":\"");
    configuration = strchr(configuration + strlen("\"configuration\":"), '"') + 1;
    configuration[5] = configuration[5] == '0' ? '1' : '0';
    memset(digits, '0', 8);
    snprintf(crc, sizeof crc, "%08x", (unsigned)ts_crc32(0, text, (size_t)header));
    memcpy(digits, crc, 8);
    write_file(path, bytes, size);
    assert_status(ts_trainer_resume(&t, NULL, path, &o), TS_ERROR_FORMAT);
    assert_detail("altered.safetensors: its configuration is ");
    assert_null(t);
    free(bytes);
}

/* A processor without bf16 is a refusal, whichever optimizer would multiply in it. */
static void test_bf16_where_there_is_none(void **state)
{
    (void)state;
    ts_architecture shape;
    ts_architecture_init(&shape, sizeof shape);
    shape.width = 8, shape.layers = 1, shape.heads = 2, shape.hidden = 16, shape.context_length = 8;
    for (int32_t level = TS_CPU_LEVEL_REFERENCE; level < TS_CPU_LEVEL_AVX512_BF16 && level <= ts_cpu_level_best(); level++)
        for (uint32_t optimizer = TS_OPTIMIZER_ADAMW; optimizer <= TS_OPTIMIZER_MUON; optimizer++) {
            ts_runtime_options options;
            ts_runtime *runtime;
            ts_trainer *t = NULL;
            ts_trainer_options o = options_of(4);
            ts_runtime_options_init(&options, sizeof options);
            options.cpu_level = level;
            assert_ok(ts_runtime_new(&runtime, &options));
            o.precision = TS_PRECISION_BF16;
            o.optimizer = optimizer;
            assert_status(ts_trainer_new(&t, runtime, tokenizer, &shape, &o), TS_ERROR_UNSUPPORTED);
            assert_detail("bf16");
            assert_null(t);
            assert_int_equal(ts_runtime_memory(runtime), 0);
            ts_runtime_free(runtime);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_settings_are_refused), cmocka_unit_test(test_same_settings_go_on),
        cmocka_unit_test(test_other_arithmetic_is_told),   cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_configuration_is_compared),  cmocka_unit_test(test_bf16_where_there_is_none),
    };
    return cmocka_run_group_tests_name("settings", tests, make_all, remove_all);
}

#define _GNU_SOURCE
/* Saved sessions: a story goes on exactly as it would have, from any point and under all options; and no damaged, foreign or cut file is taken for
 * one. */
#include <math.h>

#include "../model/model_fixture.h"

enum { CONTEXT = 40, MOST_TEXT = 8192, MOST_FILE = 1 << 16 };

static ts_model *make(uint64_t seed)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    architecture.context_length = CONTEXT;
    ts_model *model = fixture_model_of(NULL, tokenizer, &architecture, seed);
    ts_tokenizer_free(tokenizer);
    return model;
}

static ts_model *model;

static int make_all(void **state)
{
    model = make(3);
    return make_folder(state);
}

static int free_all(void **state)
{
    ts_model_free(model);
    return remove_folder(state);
}

static const ts_token_bias biases[] = {{9, -INFINITY}, {70, 1.5f}};
static const char *const banned[] = {"th", "x"}, *const stops[] = {"\x01\x02 never", "zq"}, *const words[] = {"cat", "Zebra"};

/* Everything at once. */
static ts_sampler_options rich_options(void)
{
    ts_sampler_options o;
    assert_ok(ts_sampler_options_init(&o, sizeof o));
    o.seed = UINT64_C(0xfedcba9876543210);
    o.temperature = 1.3f, o.top_p = 0.95f, o.top_k = 200, o.min_p = 0.0001f;
    o.repetition_penalty = 1.1f, o.frequency_penalty = 0.05f, o.presence_penalty = 0.1f, o.penalty_window = 20;
    o.no_repeat_ngram = 4, o.max_tokens = 90, o.context_full = TS_CONTEXT_FULL_SLIDE, o.ignore_end = 1;
    o.biases = biases, o.bias_count = 2;
    o.banned_words = banned, o.banned_word_count = 2;
    o.stops = stops, o.stop_count = 2;
    memcpy(o.steps, (uint8_t[8]){TS_STEP_TEMPERATURE, TS_STEP_PENALTIES, TS_STEP_TOP_P, TS_STEP_MIN_P, TS_STEP_TOP_K}, 8);
    return o;
}

static ts_sampler *rich_sampler(ts_model *of)
{
    ts_sampler_options options = rich_options();
    ts_sampler *sampler;
    assert_ok(ts_sampler_new(&sampler, of, &options));
    assert_ok(ts_sampler_require(sampler, words, 2, 40));
    return sampler;
}

/* Tells so many pieces, or all that is left. */
static size_t tell(ts_sampler *sampler, size_t pieces, char *into)
{
    size_t all = 0, size;
    const char *text;
    for (; pieces > 0; pieces--) {
        assert_ok(ts_sampler_next(sampler, &text, &size));
        if (text == NULL)
            break;
        assert_true(all + size < MOST_TEXT);
        memcpy(into + all, text, size);
        all += size;
    }
    into[all] = 0;
    return all;
}

static void assert_goes_on_alike(ts_sampler *a, ts_sampler *b)
{
    static char one[MOST_TEXT], other[MOST_TEXT];
    size_t size = tell(a, SIZE_MAX, one), count, other_count;
    assert_int_equal(tell(b, SIZE_MAX, other), size);
    assert_memory_equal(one, other, size);
    assert_int_equal(ts_sampler_finish(a), ts_sampler_finish(b));
    assert_int_equal(ts_sampler_missing(a), ts_sampler_missing(b));
    assert_int_equal(ts_sampler_seed(a), ts_sampler_seed(b));
    const uint32_t *tokens = ts_sampler_tokens(a, &count), *others = ts_sampler_tokens(b, &other_count);
    assert_int_equal(count, other_count);
    assert_memory_equal(tokens, others, count * sizeof *tokens);
}

static void stories_go_on(void **state)
{
    (void)state;
    static unsigned char file[MOST_FILE];
    char text[MOST_TEXT];
    const char *path = in_work("story.session");
    for (size_t pieces = 0; pieces < 95; pieces += 2) {
        ts_sampler *sampler = rich_sampler(model), *loaded, *again;
        size_t size, same;
        assert_ok(ts_sampler_start_seeded(sampler, "So they", 7, pieces));
        tell(sampler, pieces, text);
        assert_ok(ts_sampler_save(sampler, path));
        assert_ok(ts_sampler_save_memory(sampler, file, sizeof file, &size));
        assert_int_equal(ts_sampler_save_memory(sampler, NULL, 0, &same), TS_ERROR_BUFFER_TOO_SMALL);
        assert_int_equal(same, size);
        assert_ok(ts_sampler_load(&loaded, model, path, NULL));
        assert_ok(ts_sampler_load_memory(&again, model, file, size, NULL));
        assert_int_equal(ts_sampler_alternatives(loaded, NULL, NULL, NULL, NULL, 0, NULL), TS_ERROR_INVALID_ARGUMENT);
        assert_goes_on_alike(sampler, loaded);
        assert_ok(ts_sampler_start(loaded, "One", 3)); /* the options are there too */
        assert_ok(ts_sampler_start(sampler, "One", 3));
        assert_goes_on_alike(sampler, loaded);
        ts_sampler_free(loaded);
        assert_ok(ts_sampler_load_memory(&loaded, model, file, size, NULL));
        assert_goes_on_alike(again, loaded);
        ts_sampler_free(sampler);
        ts_sampler_free(loaded);
        ts_sampler_free(again);
    }
    remove_file("story.session");
}

/* No story yet, and no options but the usual. */
static void without_a_story(void **state)
{
    (void)state;
    unsigned char file[MOST_FILE];
    ts_sampler *sampler, *loaded;
    const char *text;
    size_t size, told;
    assert_ok(ts_sampler_new(&sampler, model, NULL));
    assert_ok(ts_sampler_save_memory(sampler, file, sizeof file, &size));
    assert_true(size < 2048);
    assert_ok(ts_sampler_load_memory(&loaded, model, file, size, NULL));
    assert_int_equal(ts_sampler_next(loaded, &text, &told), TS_ERROR_INVALID_ARGUMENT);
    assert_ok(ts_sampler_start(sampler, "A", 1));
    assert_ok(ts_sampler_start(loaded, "A", 1));
    assert_goes_on_alike(sampler, loaded);
    ts_sampler_free(sampler);
    ts_sampler_free(loaded);
}

static size_t saved(unsigned char *file)
{
    char text[MOST_TEXT];
    ts_sampler *sampler = rich_sampler(model);
    size_t size;
    assert_ok(ts_sampler_start(sampler, "So", 2));
    tell(sampler, 30, text);
    assert_ok(ts_sampler_save_memory(sampler, file, MOST_FILE, &size));
    ts_sampler_free(sampler);
    return size;
}

/* Every cut and every changed byte is found, but for the zeros that fill the file up to a multiple of 32 bytes. */
static void damage_is_found(void **state)
{
    (void)state;
    static unsigned char file[MOST_FILE], damaged[MOST_FILE];
    size_t size = saved(file), whole = size, harmless = 0;
    ts_sampler *loaded = NULL;
    while (file[whole - 1] == 0 && whole > size - 31)
        whole--;
    for (size_t cut = 0; cut < whole; cut++) {
        unsigned char *exact = malloc(cut + 1); /* so that reading on is found */
        memcpy(exact, file, cut);
        ts_status status = ts_sampler_load_memory(&loaded, model, exact, cut, NULL);
        free(exact);
        if (status != TS_ERROR_FORMAT && status != TS_ERROR_VERSION)
            fail_msg("cut to %zu of %zu: %s: %s", cut, size, ts_status_name(status), ts_error_detail());
    }
    for (size_t at = 0; at < whole; at++)
        for (int bit = 0; bit < 8; bit += 3) {
            memcpy(damaged, file, size);
            damaged[at] ^= (unsigned char)(1 << bit);
            if (ts_sampler_load_memory(&loaded, model, damaged, size, NULL) != TS_OK)
                continue;
            static unsigned char again[MOST_FILE]; /* GGUF's version 2 is read alike, and so is another type of integer that holds the same */
            size_t same;
            assert_ok(ts_sampler_save_memory(loaded, again, sizeof again, &same));
            if (same != size || memcmp(again, file, size) != 0)
                fail_msg("bit %d of byte %zu is changed, and nothing is noticed", bit, at);
            ts_sampler_free(loaded);
            harmless++;
        }
    assert_in_range(harmless, 0, 3);
}

/* The bytes of a key's value. */
static unsigned char *value_of(unsigned char *file, size_t size, const char *key)
{
    unsigned char *at = memmem(file, size, key, strlen(key));
    assert_non_null(at);
    return at + strlen(key) + sizeof(uint32_t);
}

static void change_u32(unsigned char *file, size_t size, const char *key, uint32_t value)
{
    static const char sum[] = "session.checksum";
    unsigned char *to = value_of(file, size, sum);
    memcpy(value_of(file, size, key), &value, sizeof value);
    size_t begin = 24, end = (size_t)(to - file) - 4 - (sizeof sum - 1) - 8; /* from the first pair to the checksum's */
    uint64_t hash = ts_hash(file + begin, end - begin, 1);
    memcpy(to, &hash, sizeof hash);
}

/* A file of two thousand bytes takes no more memory than its model and its tokens account for, unless it is allowed to. */
static void no_file_takes_all_memory(void **state)
{
    (void)state;
    static unsigned char file[MOST_FILE];
    memory_probe probe;
    ts_runtime *runtime = probed_runtime(&probe, 1);
    ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_model *own = fixture_model_of(runtime, tokenizer, &architecture, 3);
    ts_sampler *sampler, *loaded = NULL;
    ts_sampler_options options;
    ts_sampler_load_options loading;
    uint64_t needed;
    size_t size;
    assert_ok(ts_sampler_options_init(&options, sizeof options));
    assert_ok(ts_sampler_load_options_init(&loading, sizeof loading));
    assert_ok(ts_sampler_new(&sampler, own, &options));
    assert_ok(ts_sampler_start(sampler, "One", 3));
    assert_ok(ts_sampler_save_memory(sampler, file, sizeof file, &size));
    ts_sampler_free(sampler);
    static const uint32_t cases[][3] = {
        {1 << 20, 0, TS_ERROR_LIMIT}, {1 << 17, 5, TS_ERROR_LIMIT}, {20000, 1024, TS_ERROR_LIMIT}, {4096, 5, TS_OK}, {16, 1024, TS_OK}};
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        change_u32(file, size, "session.options.context_length", cases[i][0]);
        change_u32(file, size, "session.options.beams", cases[i][1]);
        options.context_length = cases[i][0], options.beams = cases[i][1];
        assert_ok(ts_sampler_memory(own, &options, &needed));
        uint64_t before = ts_runtime_memory_peak(runtime);
        ts_status status = ts_sampler_load_memory(&loaded, own, file, size, NULL);
        assert_int_equal(status, (ts_status)cases[i][2]);
        if (status == TS_OK) {
            ts_sampler_free(loaded);
            continue;
        }
        assert_detail("options.memory_limit");
        assert_true(ts_runtime_memory_peak(runtime) - before < 1 << 20);
        loading.memory_limit = needed - 1;
        assert_status(ts_sampler_load_memory(&loaded, own, file, size, &loading), TS_ERROR_LIMIT);
        if (needed > 64 << 20)
            continue;
        loading.memory_limit = needed;
        assert_ok(ts_sampler_load_memory(&loaded, own, file, size, &loading));
        ts_sampler_free(loaded);
    }
    loading.struct_size = 3;
    assert_status(ts_sampler_load_memory(&loaded, own, file, size, &loading), TS_ERROR_INVALID_ARGUMENT);
    ts_model_free(own);
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

/* After the beginning of text alone SentencePiece's first space is taken off, in a loaded story too. */
static void a_beginning_is_kept(void **state)
{
    (void)state;
    static unsigned char file[MOST_FILE];
    char text[MOST_TEXT], same[MOST_TEXT];
    ts_model *stories;
    ts_sampler *sampler, *loaded;
    ts_sampler_options options;
    size_t size;
    assert_ok(ts_model_open(&stories, NULL, test_data("models/stories260K.bin"), NULL));
    assert_ok(ts_sampler_options_init(&options, sizeof options));
    options.temperature = 0, options.max_tokens = 20;
    assert_ok(ts_sampler_new(&sampler, stories, &options));
    assert_ok(ts_sampler_start(sampler, "", 0));
    assert_ok(ts_sampler_save_memory(sampler, file, sizeof file, &size));
    assert_ok(ts_sampler_load_memory(&loaded, stories, file, size, NULL));
    assert_int_equal(tell(sampler, SIZE_MAX, text), tell(loaded, SIZE_MAX, same));
    assert_string_equal(text, same);
    assert_memory_equal(text, "Once", 4);
    ts_sampler_free(sampler);
    ts_sampler_free(loaded);
    ts_model_free(stories);
}

static void foreign_files_are_told(void **state)
{
    (void)state;
    static unsigned char file[MOST_FILE];
    size_t size = saved(file);
    ts_sampler *loaded;
    ts_model *other = make(4);
    assert_status(ts_sampler_load_memory(&loaded, other, file, size, NULL), TS_ERROR_MISMATCH);
    assert_detail("another model");
    assert_ok(ts_model_save(other, in_work("model.gguf")));
    assert_status(ts_sampler_load(&loaded, other, in_work("model.gguf"), NULL), TS_ERROR_FORMAT);
    assert_detail("general.architecture is 'llama'");
    assert_status(ts_sampler_load(&loaded, other, in_work("nothing"), NULL), TS_ERROR_IO);
    assert_status(ts_sampler_load(NULL, other, in_work("nothing"), NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_sampler_save(NULL, in_work("nothing")), TS_ERROR_INVALID_ARGUMENT);
    remove_file("model.gguf");
    ts_model_free(other);
}

/* A disk that fails leaves the old session. */
static void failing_disk(void **state)
{
    (void)state;
    faulty io;
    ts_runtime *runtime = make_runtime(1, TS_CPU_LEVEL_BEST);
    ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_model *own = fixture_model_of(runtime, tokenizer, &architecture, 3);
    ts_sampler *sampler, *loaded;
    size_t failures = 0;
    ts_status status = TS_ERROR_IO;
    assert_ok(ts_sampler_new(&sampler, own, NULL));
    assert_ok(ts_sampler_start(sampler, "One", 3));
    assert_ok(ts_sampler_save(sampler, in_work("s")));
    for (long k = 1; status != TS_OK; k++) {
        faulty_init(&io, FAULT_ERROR, ON_CHANGES, k);
        ts_runtime_set_io(runtime, &io.io);
        status = ts_sampler_save(sampler, in_work("s"));
        ts_runtime_set_io(runtime, &ts_io_system);
        failures += status == TS_ERROR_IO;
        assert_true(status == TS_OK || status == TS_ERROR_IO);
        assert_ok(ts_sampler_load(&loaded, own, in_work("s"), NULL));
        ts_sampler_free(loaded);
    }
    assert_true(failures >= 4);
    assert_int_equal(files_in(work_folder()), 1);
    remove_file("s");
    ts_sampler_free(sampler);
    ts_model_free(own);
    ts_tokenizer_free(tokenizer);
    ts_runtime_free(runtime);
}

static ts_status save_and_load(ts_runtime *runtime, void *user)
{
    unsigned char file[MOST_FILE];
    size_t size;
    ts_tokenizer *tokenizer = NULL;
    ts_model *own = NULL;
    ts_sampler *sampler = NULL, *loaded = NULL;
    ts_sampler_options options = rich_options();
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    static const char *const text = "cat cat cat";
    text_list list = {.texts = &text, .count = 1};
    ts_tokenizer_train_options training;
    (void)user;
    ts_tokenizer_train_options_init(&training, sizeof training);
    training.vocabulary_size = 260;
    architecture.vocabulary_size = 260;
    ts_status status = ts_tokenizer_train(&tokenizer, runtime, next_of_list, &list, &training);
    if (status == TS_OK)
        status = ts_model_new(&own, runtime, tokenizer, &architecture, 1);
    if (status == TS_OK)
        status = ts_sampler_new(&sampler, own, &options);
    if (status == TS_OK)
        status = ts_sampler_require(sampler, words, 2, 40);
    if (status == TS_OK)
        status = ts_sampler_start(sampler, "One", 3);
    if (status == TS_OK)
        status = ts_sampler_save_memory(sampler, file, sizeof file, &size);
    if (status == TS_OK)
        status = ts_sampler_load_memory(&loaded, own, file, size, NULL);
    ts_sampler_free(sampler);
    ts_sampler_free(loaded);
    ts_model_free(own);
    ts_tokenizer_free(tokenizer);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(sweep_memory_alone(save_and_load, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_go_on),
        cmocka_unit_test(without_a_story),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(foreign_files_are_told),
        cmocka_unit_test(failing_disk),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(no_file_takes_all_memory),
        cmocka_unit_test(a_beginning_is_kept),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}

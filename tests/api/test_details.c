/* What failures say, line by line: the file, the field, the value and what was expected. */
#include "model/model_fixture.h"
#include "support/support.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

static void assert_says(ts_status status, ts_status expected, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    assert_int_equal(status, expected);
    assert_string_equal(ts_error_detail(), line);
}

/* ---- numbers ---- */

static void test_sampler_numbers(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    ts_sampler *sampler;
    static const struct {
        size_t field;
        float value;
        const char *line;
    } cases[] = {
        {offsetof(ts_sampler_options, temperature), 100.5f, "options.temperature is 100.5, expected 0 to 100"},
        {offsetof(ts_sampler_options, temperature), NAN, "options.temperature is not a number, expected 0 to 100"},
        {offsetof(ts_sampler_options, temperature), INFINITY, "options.temperature is inf, expected 0 to 100"},
        {offsetof(ts_sampler_options, top_p), 0, "options.top_p is 0, expected above 0 to 1"},
        {offsetof(ts_sampler_options, min_p), -0.1f, "options.min_p is -0.1, expected 0 to 1"},
        {offsetof(ts_sampler_options, repetition_penalty), 1e20f, "options.repetition_penalty is 1e+20, expected above 0 to 100"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_sampler_options o;
        assert_ok(ts_sampler_options_init(&o, sizeof o));
        memcpy((char *)&o + cases[i].field, &cases[i].value, sizeof cases[i].value);
        assert_says(ts_sampler_new(&sampler, model, &o), TS_ERROR_INVALID_ARGUMENT, "%s", cases[i].line);
    }
    ts_model_free(model);
}

static void test_trainer_numbers(void **state)
{
    (void)state;
    const char *text = put_file("text.txt", "One day.", 8);
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture shape = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_trainer *trainer;
    static const struct {
        size_t field;
        double value;
        const char *line;
    } cases[] = {
        {offsetof(ts_trainer_options, beta1), 1, "ts_trainer_options.beta1 is 1, expected 0 to 0.999999"},
        {offsetof(ts_trainer_options, valid_share), 0.6, "ts_trainer_options.valid_share is 0.6, expected 0 to 0.5"},
        {offsetof(ts_trainer_options, max_seconds), 2e9, "ts_trainer_options.max_seconds is 2000000000, expected 0 to 1000000000"},
        {offsetof(ts_trainer_options, learning_rate), NAN, "ts_trainer_options.learning_rate is not a number, expected 0 to 1000000"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_trainer_options o;
        assert_ok(ts_trainer_options_init(&o, sizeof o));
        o.text = &text, o.text_count = 1;
        memcpy((char *)&o + cases[i].field, &cases[i].value, sizeof cases[i].value);
        assert_says(ts_trainer_new(&trainer, NULL, tokenizer, &shape, &o), TS_ERROR_INVALID_ARGUMENT, "%s", cases[i].line);
    }
    ts_tokenizer_free(tokenizer);
    remove_file("text.txt");
}

/* ---- texts without a story ---- */

static void test_empty_texts(void **state)
{
    (void)state;
    char first[256], second[256];
    snprintf(first, sizeof first, "%s", put_file("empty.txt", "", 0));
    snprintf(second, sizeof second, "%s", put_file("marks.txt", " <|endoftext|>\n", 15));
    const char *paths[2] = {first, second}, *text = put_file("text.txt", "One day a cat saw a dog.", 24);
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL), *made = NULL;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    ts_architecture shape = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_trainer_options o;
    ts_trainer *trainer;
    ts_score score = {.struct_size = sizeof score};
    assert_says(ts_tokenizer_train_files(&made, NULL, paths, 1, NULL), TS_ERROR_INVALID_ARGUMENT, "%s: there is no story to train a tokenizer on",
                first);
    assert_says(ts_tokenizer_train_files(&made, NULL, paths, 2, NULL), TS_ERROR_INVALID_ARGUMENT,
                "%s and 1 more: there is no story to train a tokenizer on", first);
    assert_says(ts_tokenizer_prune_files(&made, tokenizer, 270, paths + 1, 1), TS_ERROR_INVALID_ARGUMENT,
                "%s: there is no story to count the tokens of", second);
    assert_says(ts_tokenizer_encode_files(tokenizer, paths, 1, in_work("out.bin"), NULL, NULL, NULL), TS_ERROR_INVALID_ARGUMENT,
                "%s: there is no story to encode", first);
    assert_says(ts_model_score_files(model, paths, 2, &score, NULL, NULL), TS_ERROR_INVALID_ARGUMENT, "%s and 1 more: there is no story to score",
                first);
    assert_ok(ts_trainer_options_init(&o, sizeof o));
    o.text = paths, o.text_count = 1;
    assert_says(ts_trainer_new(&trainer, NULL, tokenizer, &shape, &o), TS_ERROR_INVALID_ARGUMENT, "%s: there is no story to train on", first);
    o.text = &text, o.valid = paths, o.valid_count = 1;
    assert_says(ts_trainer_new(&trainer, NULL, tokenizer, &shape, &o), TS_ERROR_INVALID_ARGUMENT, "%s: there is no story to validate with", first);
    shape.context_length = 256;
    o.valid = NULL, o.valid_count = 0, o.valid_share = 0;
    assert_int_equal(ts_trainer_new(&trainer, NULL, tokenizer, &shape, &o), TS_ERROR_LIMIT);
    assert_non_null(strstr(ts_error_detail(), "text.txt: there are "));
    assert_non_null(strstr(ts_error_detail(), " tokens to train on, expected at least 257, one more than a context"));
    ts_model_free(model);
    ts_tokenizer_free(tokenizer);
    remove_file("text.txt"), remove_file("empty.txt"), remove_file("marks.txt");
    assert_int_equal(files_in(work_folder()), 0);
}

/* ---- what succeeds ---- */

static void test_success_leaves_the_detail(void **state)
{
    (void)state;
    static const char *const texts[] = {"One day a cat saw a dog.",
                                        "A much longer story about a cat and a dog that went to the park and played with a red ball all day."};
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    text_list list = {texts, 2, 0};
    ts_score score = {.struct_size = sizeof score};
    ts_fail(TS_ERROR_IO, "untouched");
    assert_ok(ts_model_score(model, next_of_list, &list, &score));
    assert_string_equal(ts_error_detail(), "untouched");
    ts_model_free(model);
}

/* Standard output is the caller's: what goes there is what was asked for by "-", and "./-" is a file. */
static void test_standard_output(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    const char *file = in_work("output"), *named = in_work("./-");
    size_t size, named_size;
    fflush(stdout);
    int before = dup(STDOUT_FILENO), output = open(file, O_WRONLY | O_CREAT, 0600);
    assert_true(before >= 0 && output >= 0 && dup2(output, STDOUT_FILENO) >= 0);
    ts_status first = ts_tokenizer_save(tokenizer, named), second = ts_tokenizer_save(tokenizer, "-");
    assert_true(dup2(before, STDOUT_FILENO) >= 0);
    close(before), close(output);
    assert_int_equal(first, TS_OK);
    assert_int_equal(second, TS_OK);
    char *got = read_file(file, &size), *expected = read_file(named, &named_size);
    assert_int_equal(size, named_size);
    assert_memory_equal(got, expected, size);
    free(got), free(expected);
    remove_file("output"), remove_file("-");
    ts_tokenizer_free(tokenizer);
}

/* ---- marks that a model's file names ---- */

/* A tokenizer of bytes whose two special tokens mean nothing by their names, and which are the marks as a model's file names them. */
static ts_tokenizer *marked_tokenizer(ts_runtime *runtime)
{
    ts_tokenizer *plain = fixture_tokenizer(runtime), *read, *marked;
    const char *path = in_work("plain.json");
    size_t size;
    assert_ok(ts_tokenizer_save(plain, path));
    ts_tokenizer_free(plain);
    char *json = read_file(path, &size);
    for (char *at; (at = strstr(json, "<|endoftext|>")) != NULL;)
        memcpy(at, "<|somewhere|>", 13);
    assert_ok(ts_tokenizer_open_memory(&read, runtime, json, size));
    free(json);
    remove_file("plain.json");
    uint32_t id = ts_tokenizer_find(read, "<|somewhere|>", 13);
    assert_int_equal(ts_tokenizer_end_of_text(read), TS_TOKENIZER_NONE);
    assert_ok(ts_tokenizer_with_marks(&marked, read, id, id));
    assert_int_equal(ts_tokenizer_end_of_text(marked), id);
    ts_tokenizer_free(read);
    return marked;
}

/* A checkpoint holds them beside its tokenizer.json, so that a resumed run goes on with the same tokens; pruning keeps them. */
static void test_marks_are_kept(void **state)
{
    (void)state;
    static const char text[] = "One day a cat saw a dog.\n<|endoftext|>\nThe dog was happy and they played all day with a red ball.\n";
    const char *path = put_file("text.txt", text, sizeof text - 1), *checkpoint = in_work("checkpoint");
    ts_tokenizer *tokenizer = marked_tokenizer(NULL), *pruned;
    ts_architecture shape = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    ts_trainer_options o;
    ts_trainer *trainer, *resumed;
    ts_model *model;
    assert_ok(ts_trainer_options_init(&o, sizeof o));
    o.text = &path, o.text_count = 1;
    o.valid_share = 0;
    o.max_steps = 2;
    assert_ok(ts_trainer_new(&trainer, NULL, tokenizer, &shape, &o));
    assert_ok(ts_trainer_step(trainer, NULL));
    assert_ok(ts_trainer_save(trainer, checkpoint));
    assert_ok(ts_trainer_resume(&resumed, NULL, checkpoint, &o));
    assert_ok(ts_trainer_snapshot(resumed, &model));
    assert_int_equal(ts_tokenizer_end_of_text(ts_model_tokenizer(model)), ts_tokenizer_end_of_text(tokenizer));
    assert_int_equal(ts_tokenizer_begin_of_text(ts_model_tokenizer(model)), ts_tokenizer_begin_of_text(tokenizer));
    ts_model_free(model);
    ts_trainer_free(resumed);
    ts_trainer_free(trainer);
    assert_ok(ts_tokenizer_prune_files(&pruned, tokenizer, 260, &path, 1));
    uint32_t id = ts_tokenizer_find(pruned, "<|somewhere|>", 13);
    assert_int_not_equal(id, TS_TOKENIZER_NONE);
    assert_int_equal(ts_tokenizer_end_of_text(pruned), id);
    assert_int_equal(ts_tokenizer_begin_of_text(pruned), id);
    ts_tokenizer_free(pruned);
    ts_tokenizer_free(tokenizer);
    remove_file("text.txt"), remove_file("checkpoint");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sampler_numbers),           cmocka_unit_test(test_trainer_numbers), cmocka_unit_test(test_empty_texts),
        cmocka_unit_test(test_success_leaves_the_detail), cmocka_unit_test(test_standard_output), cmocka_unit_test(test_marks_are_kept),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

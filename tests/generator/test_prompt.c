/* Prompts: the same draws as the embedded author's, templates of the user's, mistakes in them told; shards. */
#include "support/support.h"

#include "generator/author.h"
#include "generator/data.h"
#include "generator/prompt.h"
#include "tinystories/generator.h"

static ts_runtime *runtime;
static ts_word_list words;

static int set_up(void **state)
{
    return ts_runtime_new(&runtime, NULL) != TS_OK || make_folder(state) ||
           ts_word_list_open(&words, runtime) != TS_OK;
}

static int tear_down(void **state)
{
    ts_word_list_free(&words);
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    return remove_folder(state) || left != 0;
}

static void draws_are_the_embedded_authors(void **state)
{
    (void)state;
    for (uint32_t features = 0; features < 64; features += 21) {
        ts_generator_options options;
        ts_generator *generator;
        assert_ok(ts_generator_options_init(&options, sizeof options));
        options.seed = 11;
        options.features = features;
        assert_ok(ts_generator_new(&generator, runtime, &options));
        for (uint64_t i = 0; i < 200; i++) {
            ts_story story = {.struct_size = sizeof story};
            ts_drawn drawn;
            assert_ok(ts_generator_next(generator, &story));
            ts_draw(&drawn, &words, 11, i, features);
            for (int k = 0; k < 3; k++)
                assert_string_equal(drawn.words[k]->base, story.words[k]);
            assert_int_equal(drawn.features, story.features);
        }
        ts_generator_free(generator);
    }
}

static char *written(const ts_prompt *prompt, uint64_t index, uint32_t features)
{
    static char text[4096];
    ts_drawn drawn;
    ts_bytes out = {.runtime = runtime};
    ts_draw(&drawn, &words, 3, index, features);
    assert_ok(ts_prompt_write(prompt, &(ts_asked){&drawn, 3, index, TS_TEMPLATE_PAPER}, &out));
    assert_true(out.size < sizeof text);
    memcpy(text, out.size ? out.data : "", out.size + 1);
    ts_bytes_free(&out);
    return text;
}

static void the_built_in_prompt(void **state)
{
    (void)state;
    ts_prompt prompt;
    char first[4096], quoted[80];
    size_t with_features = 0;
    assert_ok(ts_prompt_read(&prompt, runtime, NULL));
    snprintf(first, sizeof first, "%s", written(&prompt, 0, 63));
    assert_string_equal(written(&prompt, 0, 63), first);
    for (uint64_t i = 0; i < 1000; i++) {
        ts_drawn drawn;
        ts_draw(&drawn, &words, 3, i, 63);
        const char *text = written(&prompt, i, 63);
        for (int k = 0; k < 3; k++) {
            snprintf(quoted, sizeof quoted, "\"%s\"", drawn.words[k]->base);
            assert_non_null(strstr(text, quoted));
        }
        assert_null(strpbrk(text, "{}[]"));
        assert_null(strstr(text, "  "));
        assert_int_equal(strstr(text, "Also:") != NULL, drawn.features != 0);
        with_features += drawn.features != 0;
        assert_true(i == 0 || strcmp(text, first) != 0);
    }
    assert_true(with_features > 650 && with_features < 850); /* none is one of four counts */
    ts_prompt_free(&prompt);
}

static void templates_of_the_users(void **state)
{
    (void)state;
    static const struct {
        const char *file, *expected;
        uint32_t features;
    } cases[] = {
        {"Just this.\n", "Just this.", 63},
        {"{{a}} [[b]] [c]", "{a} [b] c", 63},
        {"= one\nx\n\n= prompt\n\n{one}[ and {one}]\n", "x and x", 63},
        {"= prompt\na[ {none}] b\n= none\n-\n", "a b", 63},
        {"# note\n= prompt\n# kept\n[{features}]", "# kept", 0},
        {"= Twist\nTWIST\n= prompt\n{features}", "TWIST", TS_FEATURE_TWIST},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_prompt prompt;
        const char *path = put_file("template", cases[i].file, strlen(cases[i].file));
        assert_ok(ts_prompt_read(&prompt, runtime, path));
        uint64_t index = 0;
        ts_drawn drawn;
        for (ts_draw(&drawn, &words, 3, index, cases[i].features); cases[i].features == TS_FEATURE_TWIST && drawn.features == 0;)
            ts_draw(&drawn, &words, 3, ++index, cases[i].features);
        assert_string_equal(written(&prompt, index, cases[i].features), cases[i].expected);
        ts_prompt_free(&prompt);
    }
}

/* Everything that SimpleStories varies is drawn, all of it evenly enough, and told. */
static void the_varied_prompt(void **state)
{
    (void)state;
    static const char *const lists[] = {"length", "style", "topic", "theme", "narrator", "beginning"};
    ts_prompt prompt;
    ts_bytes out = {.runtime = runtime}, told = {.runtime = runtime};
    size_t narrators = 0;
    assert_ok(ts_prompt_read(&prompt, runtime, NULL));
    for (uint64_t i = 0; i < 500; i++) {
        ts_drawn drawn;
        ts_draw(&drawn, &words, 3, i, 63);
        ts_asked asked = {&drawn, 3, i, TS_TEMPLATE_VARIED};
        out.size = told.size = 0;
        assert_ok(ts_prompt_write(&prompt, &asked, &out));
        assert_null(strpbrk(out.data, "{}[]"));
        assert_null(strstr(out.data, "  "));
        assert_ok(ts_prompt_describe(&prompt, &asked, &told));
        for (size_t k = 0; k < TS_COUNT_OF(lists); k++) {
            char name[40], value[200];
            snprintf(name, sizeof name, "\"%s\": \"", lists[k]);
            const char *at = strstr(told.data, name);
            assert_non_null(at);
            at += strlen(name);
            snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\\\""), at);
            assert_non_null(strstr(out.data, value));
            narrators += k == 4 && value[0] != 0;
        }
    }
    assert_true(narrators > 250 && narrators < 420); /* three of nine are none */
    ts_bytes_free(&out);
    ts_bytes_free(&told);
    ts_prompt_free(&prompt);
}

static void several_stories_in_one_call(void **state)
{
    (void)state;
    ts_prompt prompt;
    ts_bytes out = {.runtime = runtime};
    ts_drawn drawn[2];
    ts_asked asked[2];
    char expected[200];
    const char *file = "= several\n{count}, {divider}\n{stories}.\n= prompt\n{verb}\n";
    assert_ok(ts_prompt_read(&prompt, runtime, put_file("template", file, strlen(file))));
    for (uint64_t i = 0; i < 2; i++) {
        ts_draw(&drawn[i], &words, 3, 8 + i, 63);
        asked[i] = (ts_asked){&drawn[i], 3, 8 + i, TS_TEMPLATE_PAPER};
    }
    assert_ok(ts_prompt_write_several(&prompt, asked, 2, &out));
    snprintf(expected, sizeof expected, "2, +++++\nStory 1. %s\n\nStory 2. %s.", drawn[0].words[0]->base, drawn[1].words[0]->base);
    assert_string_equal(out.data, expected);
    ts_bytes_free(&out);
    ts_prompt_free(&prompt);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *file, *detail;
    } cases[] = {
        {"{nuon}", "placeholder {nuon}"},
        {"{}", "placeholder {}"},
        {"{verb", "brackets"},
        {"a } b", "brackets"},
        {"[a", "is not closed"},
        {"a]", "brackets"},
        {"[a [b] c]", "brackets"},
        {"", "there is no prompt"},
        {" \n ", "there is no prompt"},
        {"= prompt\n= x\ny\n", "there is no prompt"},
        {"= x\n= prompt\na", "the list 'x' is empty"},
        {"= x\na\n= x\nb\n", "line 3: this heading is there twice"},
        {"text\n= prompt\na", "line 1: text before the first heading"},
        {"= prompt\na\n= prompt\nb", "line 3: this heading is there twice"},
        {"\xff\xfe", "not UTF-8"},
        {"= varied\n{nuon}\n", "the varied has the placeholder {nuon}"},
        {"= several\n{verb}\n", "expected count, divider or stories"},
        {"= prompt\n{stories}\n", "placeholder {stories}"},
        {"= varied\na\n= varied\nb\n", "line 3: this heading is there twice"},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_prompt prompt;
        const char *path = put_file("template", cases[i].file, strlen(cases[i].file));
        assert_status(ts_prompt_read(&prompt, runtime, path), TS_ERROR_FORMAT);
        assert_detail(cases[i].detail);
        assert_detail("template");
    }
    ts_prompt prompt;
    assert_status(ts_prompt_read(&prompt, runtime, "/nonexistent"), TS_ERROR_IO);
}

static ts_status read_and_write(ts_runtime *own, void *user)
{
    ts_prompt prompt;
    ts_drawn drawn;
    ts_bytes out = {.runtime = own};
    (void)user;
    ts_status status = ts_prompt_read(&prompt, own, in_work("swept"));
    if (status != TS_OK)
        return status;
    ts_draw(&drawn, &words, 1, 2, 63);
    ts_asked asked[2] = {{&drawn, 1, 2, TS_TEMPLATE_PAPER}, {&drawn, 1, 3, TS_TEMPLATE_VARIED}};
    status = ts_prompt_write_several(&prompt, asked, 2, &out);
    if (status == TS_OK)
        status = ts_prompt_describe(&prompt, &asked[1], &out);
    ts_bytes_free(&out);
    ts_prompt_free(&prompt);
    return status;
}

static void memory_may_fail(void **state)
{
    (void)state;
    put_file("swept", "= a\nb\n= prompt\n{a} {verb} {features}", 36);
    assert_true(sweep_memory(read_and_write, NULL) >= 5);
}

/* The shards of the embedded author make up the whole. */
static void shards(void **state)
{
    (void)state;
    ts_generator_options options;
    ts_generator *whole, *part;
    assert_ok(ts_generator_options_init(&options, sizeof options));
    assert_ok(ts_generator_new(&whole, runtime, &options));
    options.shards = 3;
    for (options.shard = 0; options.shard < 3; options.shard++) {
        assert_ok(ts_generator_new(&part, runtime, &options));
        for (int i = 0; i < 5; i++) {
            ts_story a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
            assert_ok(ts_generator_next(part, &a));
            assert_int_equal(a.index, 3 * i + options.shard);
            assert_ok(ts_generator_seek(whole, a.index));
            assert_ok(ts_generator_next(whole, &b));
            assert_string_equal(a.story, b.story);
        }
        size_t size, other;
        assert_ok(ts_generator_seek(part, 4));
        assert_ok(ts_generator_write(part, 300, in_work("part.jsonl"), NULL, NULL));
        char *file = read_file(in_work("part.jsonl"), &size), line[64];
        snprintf(line, sizeof line, "\"index\": %u}\n", options.shard == 0 ? 6 + 3 * 299 : options.shard == 1 ? 4 + 3 * 299 : 5 + 3 * 299);
        other = strlen(line);
        assert_true(size > other && memcmp(file + size - other, line, other) == 0);
        free(file);
        ts_generator_free(part);
    }
    assert_status(ts_generator_new(&part, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
    options.shards = 0;
    assert_status(ts_generator_new(&part, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
    ts_generator_free(whole);
}

static void what_the_chat_author_needs(void **state)
{
    (void)state;
    ts_generator_options options;
    ts_generator *generator;
    ts_chat_report report = {.struct_size = sizeof report};
    size_t size;
    assert_ok(ts_generator_options_init(&options, sizeof options));
    assert_ok(ts_generator_new(&generator, runtime, &options));
    assert_status(ts_generator_prompt(generator, 0, NULL, 0, &size), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_generator_estimate(generator, 1, &report), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_generator_chat_report(generator, &report), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("no chat service");
    ts_generator_free(generator);
    options.author = TS_AUTHOR_CHAT;
    assert_status(ts_generator_new(&generator, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("options.chat is NULL");
    options.author = 2;
    assert_status(ts_generator_new(&generator, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
    ts_chat_options chat;
    if (ts_chat_options_init(&chat, sizeof chat) == TS_ERROR_UNSUPPORTED) { /* the build without chat services */
        options.author = TS_AUTHOR_CHAT;
        options.chat = &chat;
        assert_status(ts_generator_new(&generator, runtime, &options), TS_ERROR_UNSUPPORTED);
        return;
    }
    options.author = TS_AUTHOR_CHAT;
    options.chat = &chat;
    assert_status(ts_generator_new(&generator, runtime, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("model");
    chat.model = "m";
    chat.base_url = "http://127.0.0.1:1";
    chat.journal = in_work("journal");
    assert_ok(ts_generator_new(&generator, runtime, &options));
    assert_status(ts_generator_prompt(generator, 0, NULL, 0, &size), TS_ERROR_BUFFER_TOO_SMALL);
    char *text = malloc(size + 1);
    assert_ok(ts_generator_prompt(generator, 0, text, size + 1, &size));
    assert_int_equal(strlen(text), size);
    free(text);
    assert_ok(ts_generator_estimate(generator, 10, &report));
    assert_int_equal(report.requests, 10);
    assert_int_equal(report.completion_tokens, 10 * 1024);
    ts_generator_free(generator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_the_embedded_authors),
        cmocka_unit_test(the_built_in_prompt),
        cmocka_unit_test(templates_of_the_users),
        cmocka_unit_test(the_varied_prompt),
        cmocka_unit_test(several_stories_in_one_call),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(shards),
        cmocka_unit_test(what_the_chat_author_needs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

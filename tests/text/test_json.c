/* JSON: what is refused before and by the parser, and that getters give back exactly what stands there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "format/json.h"

static ts_runtime *runtime;

static int set_up(void **state)
{
    (void)state;
    return ts_runtime_new(&runtime, NULL) != TS_OK;
}

static int tear_down(void **state)
{
    (void)state;
    uint64_t left = ts_runtime_memory(runtime);
    ts_runtime_free(runtime);
    return left != 0;
}

/* Parses a copy of exactly these bytes. In a build without JSON the test is skipped. */
static ts_status parse(ts_json **json, const char *text, size_t size)
{
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    *json = NULL;
    ts_status status = ts_json_parse(json, runtime, copy, size, 0, "a.json");
    free(copy);
    if (status == TS_ERROR_UNSUPPORTED) {
        print_message("skipped: a build without JSON\n");
        skip();
    }
    return status;
}

static void expect_refused(const char *text, size_t size)
{
    ts_json *json;
    ts_status status = parse(&json, text, size);
    if (status != TS_ERROR_FORMAT)
        fail_msg("'%.60s': %s, expected TS_ERROR_FORMAT", text, ts_status_name(status));
    assert_non_null(strstr(ts_error_detail(), "a.json"));
    assert_null(json);
}

static ts_json *parsed(const char *text)
{
    ts_json *json;
    if (parse(&json, text, strlen(text)) != TS_OK)
        fail_msg("'%.60s': %s", text, ts_error_detail());
    return json;
}

static void test_refused(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        "[1",
                                        "[1,",
                                        "[1,]",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{\"a\":1,}",
                                        "{a:1}",
                                        "{'a':1}",
                                        "\"",
                                        "\"a",
                                        "nul",
                                        "nulll",
                                        "tru",
                                        "True",
                                        "1 2",
                                        "{}{}",
                                        "{} x",
                                        "[]]",
                                        "[}",
                                        "{]",
                                        "01",
                                        "-",
                                        "-01",
                                        "+1",
                                        ".5",
                                        "1.",
                                        "1.e5",
                                        "1e",
                                        "1e+",
                                        "--1",
                                        "1-2",
                                        "0x10",
                                        "1e5e5",
                                        "Infinity",
                                        "NaN",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "\"\\u12g4\"",
                                        "\"\\u0000\"",
                                        "\"\\ud800\"",
                                        "\"\\ud800\\n\"",
                                        "\"\\udc00\"",
                                        "\"\\ud800\\ud800\"",
                                        "\"\n\"",
                                        "\"\t\"",
                                        "\"\xff\"",
                                        "\"\xc0\x80\"",
                                        "\"\xed\xa0\x80\"",
                                        "\xef\xbb\xbf{}",
                                        "{\xc2\xa0}",
                                        "/**/{}",
                                        "[1] // x",
                                        "\v[]",
                                        "\"\\",
                                        "\"\\u",
                                        "123456789012345678901234567890123"};
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(texts); i++)
        expect_refused(texts[i], strlen(texts[i]));
    expect_refused("{}\0", 3);
    expect_refused("\"a\0b\"", 5);
    expect_refused("[1]\0[2]", 7);
}

static void test_limits(void **state)
{
    ts_json *json = NULL;
    char deep[200];
    (void)state;
    for (int depth = TS_JSON_MAX_DEPTH; depth <= TS_JSON_MAX_DEPTH + 1; depth++) {
        for (int i = 0; i < depth; i++) {
            deep[i] = '[';
            deep[2 * depth - 1 - i] = ']';
        }
        assert_int_equal(parse(&json, deep, (size_t)(2 * depth)), depth <= TS_JSON_MAX_DEPTH ? TS_OK : TS_ERROR_FORMAT);
        ts_json_free(json);
    }
    /* brackets within strings are no depth */
    ts_json_free(parsed("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\""));
    assert_int_equal(ts_json_parse(&json, runtime, "[1, 2]", 6, 5, "a.json"), TS_ERROR_LIMIT);
    assert_int_equal(ts_json_parse(&json, runtime, "[1, 2]", 6, 6, "a.json"), TS_OK);
    ts_json_free(json);
    ts_json_free(NULL);
    /* deeper than any stack, and never closed */
    size_t size = 1 << 22;
    char *brackets = malloc(size);
    assert_non_null(brackets);
    memset(brackets, '[', size);
    expect_refused(brackets, size);
    free(brackets);
}

/* Every beginning of a document is refused, and never read past its end. */
static void test_truncations(void **state)
{
    static const char text[] =
        "{\"a\": [1, -2.5e3, true, false, null, \"\\u00e9\\ud83e\\udd99\xc3\xa9\"], \"b\": {\"c\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}}";
    (void)state;
    for (size_t cut = 0; cut < sizeof text - 1; cut++)
        expect_refused(text, cut);
    ts_json *json = parsed(text);
    assert_string_equal(ts_json_text(ts_json_get(ts_json_get(json, "b"), "c")), "\"\\/\b\f\n\r\t");
    ts_json_free(json);
}

/* Bytes of a document changed at random: some status, no harm. */
static void test_mutations(void **state)
{
    static const char text[] =
        "{\"model\": {\"vocab\": {\"!\": 1, \"\\u0120t\": 2}, \"merges\": [[\"a\", \"b\"]], \"dropout\": null, \"x\": -1.25e-3}}";
    ts_random random = {.seed = 5};
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char changed[sizeof text];
        memcpy(changed, text, sizeof text);
        for (uint64_t changes = 1 + ts_random_below(&random, 3); changes > 0; changes--)
            changed[ts_random_below(&random, sizeof text - 1)] =
                ts_random_below(&random, 2) ? (char)ts_random_next(&random) : "{}[]\",:\\u0e-"[ts_random_below(&random, 12)];
        ts_json *json;
        ts_status status = parse(&json, changed, sizeof text - 1);
        assert_true(status == TS_OK || status == TS_ERROR_FORMAT);
        ts_json_free(json);
    }
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        bool whole;
        uint64_t value;
    } cases[] = {{"0", true, 0},
                 {"-0", true, 0},
                 {"1", true, 1},
                 {"1e3", true, 1000},
                 {"2.0", true, 2},
                 {"4294967296", true, 4294967296u},
                 {"9007199254740991", true, 9007199254740991u},
                 {"9007199254740992", false, 0},
                 {"9007199254740993", false, 0},
                 {"18446744073709551616", false, 0},
                 {"1e300", false, 0},
                 {"-1", false, 0},
                 {"0.5", false, 0},
                 {"\"1\"", false, 0},
                 {"null", false, 0},
                 {"true", false, 0},
                 {"[1]", false, 0}};
    double number = 0;
    bool flag = false;
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        uint64_t value = 77;
        ts_json *json = parsed(cases[i].text);
        if (ts_json_whole(json, &value) != cases[i].whole)
            fail_msg("%s is %sa whole number", cases[i].text, cases[i].whole ? "not " : "");
        assert_true(value == (cases[i].whole ? cases[i].value : 77));
        ts_json_free(json);
    }
    ts_json *json = parsed("[-0.1, 1e400, \"1\", true, 1]");
    const ts_json *at = ts_json_first(json);
    assert_true(ts_json_double(at, &number) && number == -0.1);
    assert_false(ts_json_double(at = ts_json_next(at), &number)); /* not finite */
    assert_false(ts_json_double(at = ts_json_next(at), &number));
    assert_false(ts_json_double(at = ts_json_next(at), &number));
    assert_true(ts_json_bool(at, &flag) && flag);
    assert_false(ts_json_bool(ts_json_next(at), &flag));
    assert_false(ts_json_double(NULL, &number) || ts_json_bool(NULL, &flag));
    ts_json_free(json);
}

static void test_objects(void **state)
{
    (void)state;
    ts_json *json = parsed("{\"Key\": 1, \"key\": 2, \"\": 3, \"list\": [4, 5]}");
    uint64_t value;
    assert_true(ts_json_whole(ts_json_get(json, "key"), &value) && value == 2); /* exactly this case */
    assert_true(ts_json_whole(ts_json_get(json, "Key"), &value) && value == 1);
    assert_true(ts_json_whole(ts_json_get(json, ""), &value) && value == 3);
    assert_null(ts_json_get(json, "KEY"));
    assert_null(ts_json_get(NULL, "key"));
    const ts_json *list = ts_json_get(json, "list");
    assert_null(ts_json_get(list, "0"));
    assert_int_equal(ts_json_count(json), 4);
    assert_int_equal(ts_json_count(list), 2);
    assert_string_equal(ts_json_key(ts_json_next(ts_json_first(json))), "key");
    assert_null(ts_json_key(ts_json_first(list)));
    assert_null(ts_json_first(ts_json_first(list)));
    assert_null(ts_json_text(list));
    assert_int_equal(ts_json_kind_of(json), TS_JSON_OBJECT);
    assert_int_equal(ts_json_kind_of(NULL), TS_JSON_NULL);
    ts_json_free(json);
}

static void test_unique(void **state)
{
    (void)state;
    ts_json *json = parsed("{\"a\": 1, \"b\": 2, \"A\": 3}");
    assert_int_equal(ts_json_check_unique(json, runtime, "a.json"), TS_OK);
    ts_json_free(json);
    json = parsed("{\"b\": 1, \"a\": 2, \"c\": 3, \"\\u0061\": 4}"); /* the same name written otherwise */
    assert_int_equal(ts_json_check_unique(json, runtime, "a.json"), TS_ERROR_FORMAT);
    assert_non_null(strstr(ts_error_detail(), "\"a\" twice"));
    ts_json_free(json);
    json = parsed("{}");
    assert_int_equal(ts_json_check_unique(json, runtime, "a.json"), TS_OK);
    ts_json_free(json);
    json = parsed("[1, 1]");
    assert_int_equal(ts_json_check_unique(json, runtime, "a.json"), TS_OK);
    ts_json_free(json);
}

/* Small values by the million, which cJSON makes 40 times as large: refused before it sees them, at the exact count. */
static void test_values(void **state)
{
    static const char *const one[] = {"1,", "[],", "{},", "\"\":1,"};
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(one); i++)
        for (int more = 0; more < 2; more++) {
            size_t size = strlen(one[i]), count = TS_JSON_MAX_VALUES / (i == 1 || i == 2 ? 2 : 1) - 1 + (size_t)more;
            char *text = malloc(count * size + 1);
            ts_json *json = NULL;
            assert_non_null(text);
            for (size_t j = 0; j < count; j++)
                memcpy(text + 1 + j * size, one[i], size);
            text[0] = i == 3 ? '{' : '[';
            text[count * size] = i == 3 ? '}' : ']'; /* for the last comma */
            ts_status status = parse(&json, text, count * size + 1);
            assert_int_equal(status, more ? TS_ERROR_LIMIT : TS_OK);
            ts_json_free(json);
            free(text);
        }
    /* what cJSON will take counts against the runtime's limit */
    ts_runtime_options options;
    ts_runtime *tight;
    ts_json *json = NULL;
    assert_int_equal(ts_runtime_options_init(&options, sizeof options), TS_OK);
    options.memory_limit = 1000;
    assert_int_equal(ts_runtime_new(&tight, &options), TS_OK);
    assert_int_equal(ts_json_parse(&json, tight, "[1,1,1,1,1,1,1,1,1,1,1,1]", 25, 0, "a.json"), TS_ERROR_OUT_OF_MEMORY);
    assert_int_equal(ts_json_parse(&json, tight, "[1,1,1]", 7, 0, "a.json"), TS_OK);
    ts_json_free(json);
    ts_runtime_free(tight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused), cmocka_unit_test(test_limits),  cmocka_unit_test(test_truncations), cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_objects), cmocka_unit_test(test_unique),      cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests_name("json", tests, set_up, tear_down);
}

/* UTF-8 against its definition, Unicode classes, GPT-2's words against Python's regex module, numbers and JSON strings in any locale. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "text/text.h"
#include "word_cases.h"

/* A copy of exactly `size` bytes, so that a sanitizer sees one byte too many. */
static char *exact(const char *text, size_t size)
{
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    return copy;
}

/* ---- UTF-8 ---- */

static void test_every_character(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char bytes[4];
        uint32_t back;
        size_t length = ts_utf8_encode(code, bytes);
        assert_int_equal(length, code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
        size_t decoded = ts_utf8_decode(bytes, length, &back);
        bool surrogate = code >= 0xd800 && code < 0xe000;
        assert_int_equal(back, surrogate ? TS_UTF8_INVALID : code);
        assert_int_equal(decoded, surrogate ? 1 : length);
        for (size_t cut = 1; cut < length; cut++) { /* every beginning of it is none */
            assert_int_equal(ts_utf8_decode(bytes, cut, &back), 1);
            assert_true(back == TS_UTF8_INVALID);
        }
    }
}

/* All sequences of two bytes, and three of the edges: valid only if encoding what they decode to gives them back. */
static void test_strictness(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff};
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++)
            for (size_t third = 0; third < sizeof edges; third++) {
                const char text[3] = {(char)first, (char)second, (char)edges[third]};
                char again[4];
                uint32_t code;
                size_t length = ts_utf8_decode(text, 3, &code);
                if (code == TS_UTF8_INVALID) {
                    assert_int_equal(length, 1);
                    assert_true(first >= 0x80);
                    continue;
                }
                assert_int_equal(ts_utf8_encode(code, again), length);
                assert_memory_equal(text, again, length);
            }
    assert_true(ts_utf8_valid("", 0) && ts_utf8_valid("\xf4\x8f\xbf\xbf", 4));
    static const char *const wrong[] = {"\x80",     "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                                        "\xf8\x88", "a\xff"};
    for (size_t i = 0; i < TS_COUNT_OF(wrong); i++)
        assert_false(ts_utf8_valid(wrong[i], strlen(wrong[i])));
}

/* How many bytes one U+FFFD stands for; 0: wait for more. */
static void test_broken(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {{"\xff", 1},         {"\x80", 1},          {"\xe2", 0},     {"\xe2\x82", 0}, {"\xe2(", 1},    {"\xe2\x82(", 2},
                 {"\xf0\x9f\xa6", 0}, {"\xf0\x9f\xa6x", 3}, {"\xed\xa0", 1}, {"\xf4\x90", 1}, {"\xc0\xaf", 1}, {"\xe0\x80", 1}};
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        char *text = exact(cases[i].text, strlen(cases[i].text));
        assert_int_equal(ts_utf8_broken(text, strlen(cases[i].text)), cases[i].length);
        free(text);
    }
}

/* ---- classes ---- */

/* How many characters of each class Unicode 14.0 has, and some of those that are easily mistaken. */
static void test_classes(void **state)
{
    static const struct {
        uint32_t code;
        ts_class class;
    } cases[] = {{'a', TS_CLASS_LETTER},
                 {'Z', TS_CLASS_LETTER},
                 {'@', TS_CLASS_OTHER},
                 {'[', TS_CLASS_OTHER},
                 {'`', TS_CLASS_OTHER},
                 {'{', TS_CLASS_OTHER},
                 {'0', TS_CLASS_NUMBER},
                 {'9', TS_CLASS_NUMBER},
                 {'/', TS_CLASS_OTHER},
                 {':', TS_CLASS_OTHER},
                 {'_', TS_CLASS_OTHER},
                 {0, TS_CLASS_OTHER},
                 {'\t', TS_CLASS_SPACE},
                 {'\v', TS_CLASS_SPACE},
                 {0x1c, TS_CLASS_OTHER},
                 {0x85, TS_CLASS_SPACE},
                 {0xa0, TS_CLASS_SPACE},
                 {0xaa, TS_CLASS_LETTER},
                 {0xb2, TS_CLASS_NUMBER},
                 {0xbd, TS_CLASS_NUMBER},
                 {0xd7, TS_CLASS_OTHER},
                 {0x301, TS_CLASS_OTHER},
                 {0x663, TS_CLASS_NUMBER},
                 {0x180e, TS_CLASS_OTHER},
                 {0x200a, TS_CLASS_SPACE},
                 {0x200b, TS_CLASS_OTHER},
                 {0x2167, TS_CLASS_NUMBER},
                 {0x3000, TS_CLASS_SPACE},
                 {0x4e2d, TS_CLASS_LETTER},
                 {0xfeff, TS_CLASS_OTHER},
                 {0x1d400, TS_CLASS_LETTER},
                 {0x1f999, TS_CLASS_OTHER},
                 {0x10ffff, TS_CLASS_OTHER},
                 {0x110000, TS_CLASS_OTHER},
                 {TS_UTF8_INVALID, TS_CLASS_OTHER}};
    size_t counts[4] = {0};
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++)
        if (ts_unicode_class(cases[i].code) != cases[i].class)
            fail_msg("U+%04X has class %d, expected %d", cases[i].code, ts_unicode_class(cases[i].code), cases[i].class);
    for (uint32_t code = 0; code <= 0x10ffff; code++)
        counts[ts_unicode_class(code)]++;
    assert_int_equal(counts[TS_CLASS_LETTER], 131756);
    assert_int_equal(counts[TS_CLASS_NUMBER], 1791);
    assert_int_equal(counts[TS_CLASS_SPACE], 25);
}

/* ---- words ---- */

static void test_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(word_cases); i++) {
        size_t size = strlen(word_cases[i].text), at = 0;
        char *text = exact(word_cases[i].text, size);
        for (size_t word = 0; at < size; word++) {
            size_t length = ts_word(text + at, size - at);
            if (length != word_cases[i].words[word])
                fail_msg("case %zu: word %zu has %zu bytes, expected %u", i, word, length, word_cases[i].words[word]);
            at += length;
        }
        free(text);
    }
}

/* Bytes that are no UTF-8 are neither letters, numbers nor spaces; any bytes make words that end with the text. */
static void test_words_of_any_bytes(void **state)
{
    ts_random random = {.seed = 3};
    (void)state;
    assert_int_equal(ts_word(" \xff\xc3!a", 5), 4);
    assert_int_equal(ts_word("a\xc3", 2), 1);
    assert_int_equal(ts_word("  \xff", 3), 1);
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t size = 1 + ts_random_below(&random, sizeof bytes), length;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)ts_random_next(&random);
        char *text = exact(bytes, size);
        for (size_t at = 0; at < size; at += length) {
            length = ts_word(text + at, size - at);
            assert_in_range(length, 1, size - at);
        }
        free(text);
    }
}

static void test_trim(void **state)
{
    static const struct {
        const char *text, *trimmed;
    } cases[] = {{"", ""},        {" \t\n\v\f\r", ""}, {"a", "a"}, {" a b ", "a b"}, {"\r\nThe end.\n", "The end."}, {"\xc2\xa0 ", "\xc2\xa0"},
                 {"\x1c", "\x1c"}};
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        size_t size = strlen(cases[i].text);
        char *copy = exact(cases[i].text, size);
        const char *text = copy;
        ts_trim(&text, &size);
        assert_int_equal(size, strlen(cases[i].trimmed));
        assert_memory_equal(text, cases[i].trimmed, size);
        free(copy);
    }
}

/* ---- what is written ---- */

static void expect_double(double value, const char *expected)
{
    char out[TS_DOUBLE_SIZE];
    ts_format_double(out, value);
    assert_string_equal(out, expected);
}

static void test_doubles(void **state)
{
    (void)state;
    expect_double(0, "0");
    expect_double(-0.0, "-0");
    expect_double(0.1, "0.1");
    expect_double(-1.5, "-1.5");
    expect_double(0.1 + 0.2, "0.30000000000000004");
    expect_double(1e21, "1e+21");
    expect_double(1.0 / 3, "0.3333333333333333");
    expect_double(DBL_MAX, "1.7976931348623157e+308");
    expect_double(-DBL_MIN, "-2.2250738585072014e-308");
    expect_double(5e-324, "5e-324");
    expect_double(9007199254740993.0, "9007199254740992");
    expect_double(NAN, "null");
    expect_double(INFINITY, "null");
    expect_double(-INFINITY, "null");
    ts_random random = {.seed = 4};
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = ts_random_next(&random);
        double value;
        char out[TS_DOUBLE_SIZE];
        memcpy(&value, &bits, sizeof value);
        ts_format_double(out, value);
        if (isfinite(value))
            assert_true(strtod(out, NULL) == value);
    }
}

/* A comma for the point changes nothing. Locales are not on every machine. */
static void test_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "ps_AF.UTF-8"};
    bool found = false;
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(names); i++) {
        if (setlocale(LC_ALL, names[i]) == NULL)
            continue;
        found = true;
        expect_double(0.1, "0.1");
        expect_double(-123456.789e-200, "-1.23456789e-195");
        expect_double(1234567, "1234567");
    }
    setlocale(LC_ALL, "C");
    if (!found) {
        print_message("skipped: no locale with another decimal point\n");
        skip();
    }
}

static void test_json_strings(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        const char *json;
    } cases[] = {
        {"", 0, "\"\""},
        {"Lily said, \"Hi!\" \\o/", 20, "\"Lily said, \\\"Hi!\\\" \\\\o/\""},
        {"a\nb\tc\r\x01\x1f\x7f", 9, "\"a\\nb\\tc\\u000d\\u0001\\u001f\\u007f\""},
        {"\0x", 2, "\"\\u0000x\""},
        {"\xc3\xa9\xf0\x9f\xa6\x99", 6, "\"\xc3\xa9\xf0\x9f\xa6\x99\""},
        {"\xe2\x80\xa8\xe2\x80\xa9", 6, "\"\\u2028\\u2029\""},
        {"a\xff\xc3z", 4, "\"a\\ufffd\\ufffdz\""},
        {"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""},
    };
    ts_runtime *runtime;
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        ts_bytes json = {.runtime = runtime};
        char *text = exact(cases[i].text, cases[i].size);
        assert_int_equal(ts_json_string(&json, text, cases[i].size), TS_OK);
        assert_string_equal(json.data, cases[i].json);
        ts_bytes_free(&json);
        free(text);
    }
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_strictness),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_words_of_any_bytes),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_json_strings),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

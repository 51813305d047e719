/* The arithmetic of studies: power laws against numbers worked out by hand and printed in tables, envelopes, the sign test. */
#include "support/support.h"

#include "tinystories/study.h"

#include <math.h>

static void near(double value, double expected, double error)
{
    if (!(fabs(value - expected) <= error))
        fail_msg("%.12g, expected %.12g", value, expected);
}

static ts_power_law fit(const double *x, const double *y, size_t count, double confidence)
{
    ts_power_law law = {.struct_size = sizeof law};
    assert_ok(ts_power_law_fit(x, y, count, confidence, &law));
    return law;
}

static void laws_that_hold_are_found(void **state)
{
    (void)state;
    double x[8], y[8];
    for (int i = 0; i < 8; i++) {
        x[i] = 1e5 * pow(3, i);
        y[i] = 12.5 * pow(x[i], -0.21);
    }
    ts_power_law law = fit(x, y, 8, 0.95);
    near(law.factor, 12.5, 1e-9);
    near(law.exponent, -0.21, 1e-12);
    near(law.exponent_low, -0.21, 1e-9);
    near(law.exponent_high, -0.21, 1e-9);
    near(law.explained, 1, 1e-12);
    assert_int_equal(law.count, 8);
    law = fit(x, y, 2, 0.95);
    near(law.exponent, -0.21, 1e-12);
    assert_true(isnan(law.exponent_low) && isnan(law.exponent_high) && isnan(law.deviation));
}

/* Residuals 1/6, -1/3, 1/6 at x -1, 0, 1: the standard error of the slope is the square root of 1/12. Student's t from printed tables. */
static void intervals_are_those_of_students_t(void **state)
{
    (void)state;
    static const struct {
        double confidence, t;
    } one[] = {{0.5, 1.0}, {0.9, 6.313752}, {0.95, 12.706205}, {0.99, 63.656741}};
    const double x[] = {1, exp(1), exp(2)}, y[] = {1, exp(1), exp(3)};
    for (size_t i = 0; i < TS_COUNT_OF(one); i++) {
        ts_power_law law = fit(x, y, 3, one[i].confidence);
        near(law.exponent, 1.5, 1e-12);
        near(law.deviation, sqrt(1.0 / 6), 1e-12);
        near(law.exponent_high - 1.5, one[i].t * sqrt(1.0 / 12), 1e-5);
        near(law.exponent_low + law.exponent_high, 3, 1e-9);
    }
    static const struct {
        size_t count;
        double t;
    } many[] = {{4, 4.302653}, {5, 3.182446}, {6, 2.776445}, {7, 2.570582}, {12, 2.228139}, {32, 2.042272}, {122, 1.979930}, {1002, 1.962339}};
    for (size_t i = 0; i < TS_COUNT_OF(many); i++) {
        double a[1002], b[1002], square = 0;
        for (size_t j = 0; j < many[i].count; j++) {
            double at = (double)j - ((double)many[i].count - 1) / 2;
            a[j] = exp(at / 100);
            b[j] = exp(j % 2 ? 0.1 : -0.1);
            square += at * at / 1e4;
        }
        ts_power_law law = fit(a, b, many[i].count, 0.95);
        near((law.exponent_high - law.exponent) / (law.deviation / sqrt(square)), many[i].t, 2e-6);
    }
}

static void points_that_have_no_law_are_refused(void **state)
{
    (void)state;
    ts_power_law law = {.struct_size = sizeof law};
    const double x[] = {1, 2, 3}, same[] = {2, 2, 2}, zero[] = {1, 0, 3}, infinite[] = {1, 2, INFINITY};
    assert_status(ts_power_law_fit(x, same, 1, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("not 1");
    assert_status(ts_power_law_fit(same, x, 3, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("x is 2");
    assert_status(ts_power_law_fit(x, zero, 3, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("point 1 is (2, 0)");
    assert_status(ts_power_law_fit(infinite, x, 3, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("point 2");
    assert_status(ts_power_law_fit(x, x, 3, 1, &law), TS_ERROR_INVALID_ARGUMENT);
    assert_detail("confidence");
    assert_status(ts_power_law_fit(NULL, x, 3, 0.95, &law), TS_ERROR_INVALID_ARGUMENT);
    law = fit(x, same, 3, 0.95);
    near(law.exponent, 0, 1e-15);
    assert_true(isnan(law.explained));
}

static void the_frontier_is_what_nothing_beats(void **state)
{
    (void)state;
    const double x[] = {1, 2, 2, 3, 4, 5, 5, 6}, y[] = {9, 7, 7, 8, 5, 5, 4, 4};
    const uint8_t expected[] = {1, 1, 0, 0, 1, 0, 1, 0};
    uint8_t found[8];
    assert_ok(ts_frontier_mark(x, y, 8, found));
    assert_memory_equal(found, expected, sizeof expected);
    assert_ok(ts_frontier_mark(NULL, NULL, 0, NULL));
    assert_status(ts_frontier_mark(x, (const double[]){NAN}, 1, found), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_frontier_mark(x, NULL, 1, found), TS_ERROR_INVALID_ARGUMENT);
}

static void signs_are_tested(void **state)
{
    (void)state;
    static const struct {
        uint64_t wins, losses;
        double p, error;
    } cases[] = {{0, 0, 1, 0},          {1, 0, 1, 1e-12},         {5, 5, 1, 1e-12},           {6, 0, 0.03125, 1e-12},        {0, 6, 0.03125, 1e-12},
                 {8, 2, 0.109375, 1e-9}, {15, 5, 0.04138946533203, 1e-12}, {530, 470, 0.06202319509836, 1e-12}, {1000000, 1000000, 1, 1e-9}};
    double p;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        assert_ok(ts_sign_test(cases[i].wins, cases[i].losses, &p));
        near(p, cases[i].p, cases[i].error);
    }
    double exact, approximate; /* either side of the bound */
    assert_ok(ts_sign_test(525288, 523288, &exact));
    assert_ok(ts_sign_test(525289, 523289, &approximate));
    near(approximate, exact, 1e-4);
    assert_ok(ts_sign_test(UINT64_MAX, 1, &p));
    near(p, 0, 1e-300);
    assert_status(ts_sign_test(1, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
}

/* ---- questions ---- */

static const char file[] = "# a remark\n"
                           "#\n"
                           "Nobody knows\r\n"
                           "= fact\n"
                           "  The sky is  \n"
                           "+ blue; light blue ; GREY\n"
                           "- green;yellow\n"
                           "~ nice; don't know\n"
                           "\n"
                           "= context\n"
                           "#1 is a number, but this is\n"
                           "+ right";

static ts_questions *open_questions(const char *text)
{
    ts_questions *q;
    assert_ok(ts_questions_open(&q, NULL, put_file("questions", text, strlen(text))));
    return q;
}

static void questions_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *prompt;
        uint32_t kind, answers;
    } expected[] = {{"Nobody knows", TS_QUESTION_OTHER, 0}, {"The sky is", TS_QUESTION_FACT, 7}, {"#1 is a number, but this is", TS_QUESTION_CONTEXT, 1}};
    ts_questions *q = open_questions(file);
    ts_question got = {.struct_size = sizeof got};
    assert_int_equal(ts_questions_count(q), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(ts_questions_get(q, i, &got));
        assert_string_equal(got.prompt, expected[i].prompt);
        assert_int_equal(got.prompt_size, strlen(expected[i].prompt));
        assert_int_equal(got.kind, expected[i].kind);
        assert_int_equal(got.answers, expected[i].answers);
    }
    assert_status(ts_questions_get(q, 3, &got), TS_ERROR_INVALID_ARGUMENT);
    ts_questions_free(q);
    assert_string_equal(ts_question_name(TS_QUESTION_REASONING), "reasoning");
    assert_null(ts_question_name(TS_QUESTION_COUNT));
    assert_string_equal(ts_mark_name(TS_MARK_PARTLY), "partly");
    assert_null(ts_mark_name(TS_MARK_COUNT));
}

static void completions_are_marked(void **state)
{
    (void)state;
    static const struct {
        const char *completion;
        uint32_t mark;
    } cases[] = {{" blue.", TS_MARK_RIGHT},
                 {" Light BLUE, said Tom. Green!", TS_MARK_RIGHT}, /* what comes later does not count */
                 {" green", TS_MARK_WRONG},
                 {" blue and green", TS_MARK_PARTLY},
                 {" nice", TS_MARK_PARTLY},
                 {" nice and blue", TS_MARK_RIGHT},
                 {" nice and yellow", TS_MARK_WRONG},
                 {" I don\xe2\x80\x99t know", TS_MARK_PARTLY},
                 {" bluebells", TS_MARK_NONE},
                 {" big", TS_MARK_NONE},
                 {"", TS_MARK_NONE},
                 {"\n\n \"Grey!\" she said", TS_MARK_RIGHT},
                 {"\xff\xff green", TS_MARK_WRONG}};
    ts_questions *q = open_questions(file);
    uint32_t mark;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        assert_ok(ts_questions_mark(q, 1, cases[i].completion, strlen(cases[i].completion), &mark));
        if (mark != cases[i].mark)
            fail_msg("'%s' is %s, expected %s", cases[i].completion, ts_mark_name(mark), ts_mark_name(cases[i].mark));
    }
    assert_ok(ts_questions_mark(q, 0, " blue", 5, &mark));
    assert_int_equal(mark, TS_MARK_NONE);
    assert_ok(ts_questions_mark(q, 1, NULL, 0, &mark));
    assert_status(ts_questions_mark(q, 1, NULL, 1, &mark), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_questions_mark(q, 9, "", 0, &mark), TS_ERROR_INVALID_ARGUMENT);
    ts_questions_free(q);
}

static void mistakes_in_questions_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *detail;
        ts_status status;
    } cases[] = {{"+ blue\n", "line 1: an answer without a prompt", TS_ERROR_FORMAT},
                 {"a\n\n= facts\n", "line 3: an unknown kind", TS_ERROR_FORMAT},
                 {"a\n+ b; ;c\n", "line 2: an answer has no word", TS_ERROR_FORMAT},
                 {"a\n+ \n", "line 2: an answer has no word", TS_ERROR_FORMAT},
                 {"= \na\n", "line 1: an unknown kind", TS_ERROR_FORMAT},
                 {"\xef\xbb\xbf= facts\na\n", "line 1: an unknown kind", TS_ERROR_FORMAT},
                 {"a\n+ b c\n- d; B  c\n", "line 3: an answer is there twice", TS_ERROR_FORMAT},
                 {"a\xff\n", "UTF-8", TS_ERROR_FORMAT},
                 {"# a\n= fact\n\n", "no prompt", TS_ERROR_INVALID_ARGUMENT},
                 {"", "no prompt", TS_ERROR_INVALID_ARGUMENT}};
    ts_questions *q;
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++) {
        assert_status(ts_questions_open(&q, NULL, put_file("bad", cases[i].text, strlen(cases[i].text))), cases[i].status);
        assert_detail(cases[i].detail);
        assert_detail("bad");
    }
    assert_status(ts_questions_open(&q, NULL, in_work("none")), TS_ERROR_IO);
    ts_questions_free(NULL);
}

static ts_status questions_attempt(ts_runtime *runtime, void *user)
{
    ts_questions *q;
    ts_status status = ts_questions_open(&q, runtime, user);
    if (status == TS_OK)
        ts_questions_free(q);
    return status;
}

static void memory_may_fail_in_questions(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s", put_file("questions", file, sizeof file - 1));
    assert_true(sweep_memory_alone(questions_attempt, path) >= 4); /* runtime, handle, file, questions, answers */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laws_that_hold_are_found),           cmocka_unit_test(intervals_are_those_of_students_t),
        cmocka_unit_test(points_that_have_no_law_are_refused), cmocka_unit_test(the_frontier_is_what_nothing_beats),
        cmocka_unit_test(signs_are_tested),
        cmocka_unit_test(questions_are_read),                 cmocka_unit_test(completions_are_marked),
        cmocka_unit_test(mistakes_in_questions_are_told),     cmocka_unit_test(memory_may_fail_in_questions),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

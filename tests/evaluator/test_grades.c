/* Grades out of replies: what is read, what is not and why, and that no digit of a story ever becomes one. */
#include "support/support.h"

#include "attacks.h"
#include "tinystories/evaluator.h"

#include <math.h>

enum { THREE = 7, FOUR = 15 };

typedef struct reply_case {
    const char *reply;
    uint32_t outcome;
    double grades[4];
    uint32_t age;
    uint32_t axes;
} reply_case;

static ts_judgment read_reply(const char *reply, uint32_t axes)
{
    ts_judgment judgment = {.struct_size = sizeof judgment};
    assert_ok(ts_grades_read(reply, strlen(reply), axes, &judgment));
    for (uint32_t i = 0; i < TS_AXIS_COUNT; i++) /* a number only where it is scored, and then a grade */
        assert_true(isnan(judgment.grades[i]) == !(judgment.outcome == TS_JUDGED_SCORED && (axes >> i & 1)));
    return judgment;
}

static void check_case(const reply_case *c)
{
    uint32_t axes = c->axes ? c->axes : THREE;
    ts_judgment judgment = read_reply(c->reply, axes);
    if (judgment.outcome != c->outcome || judgment.age != c->age)
        fail_msg("'%s': %s, age %u, expected %s, age %u", c->reply, ts_judged_name(judgment.outcome), judgment.age, ts_judged_name(c->outcome), c->age);
    for (uint32_t i = 0; i < TS_AXIS_COUNT && c->outcome == TS_JUDGED_SCORED; i++)
        if (axes >> i & 1)
            assert_true(judgment.grades[i] == c->grades[i]);
}

static void grades_are_read(void **state)
{
    (void)state;
    static const reply_case cases[] = {
        {"Grammar: 8/10, Creativity: 7/10, Consistency: 7/10, Age group: E (10-12)", TS_JUDGED_SCORED, {8, 7, 7, 0}, 5, 0},
        {"1. Grammar: 8/10\n2. Creativity: 7/10\n3) Consistency: 7/10\nAge group: C", TS_JUDGED_SCORED, {8, 7, 7, 0}, 3, 0},
        {"\xe2\x80\xa2 Grammar: 8/10\n\xe2\x80\xa2 Creativity: 7/10\n\xe2\x80\xa2 Consistency: 7/10", TS_JUDGED_SCORED, {8, 7, 7, 0}, 0, 0},
        {"Grammar: 8/10\nCreativity: 7/10\nConsistency with the story\xe2\x80\x99s beginning: 7/10", TS_JUDGED_SCORED, {8, 7, 7, 0}, 0, 0},
        {"grammar: 1/10; creativity: 10/10\nConsistency: 10 out of 10", TS_JUDGED_SCORED, {1, 10, 10, 0}, 0, 0},
        {"**Grammar:** 8/10\n**Creativity:** 7/10\n**Consistency with the beginning:** 6/10\n**Age group:** C: 6-7.", TS_JUDGED_SCORED, {8, 7, 6, 0}, 3, 0},
        {"- Grammar: 8 / 10\r\n- Creativity: 7/10\r\n- Consistency: 6/10\r\n", TS_JUDGED_SCORED, {8, 7, 6, 0}, 0, 0},
        {"Grammar: 10/10, Creativity: 6/10, Consistency: 10/10, Plot: 8/10, Age group: C.", TS_JUDGED_SCORED, {10, 6, 10, 8}, 3, FOUR},
        {"Plot: 8/10. Grammar: 8/10. Creativity: 7/10. Consistency: 7/10. Age group: A: 3 or under.", TS_JUDGED_SCORED, {8, 7, 7, 0}, 1, 0},
        {"{\"grammar\": 8, \"creativity\": 7, \"consistency\": 6, \"age_group\": \"F\"}", TS_JUDGED_SCORED, {8, 7, 6, 0}, 6, 0},
        {"```json\n{\"grammar\": 8, \"creativity\": 7, \"consistency\": 6, \"plot\": 1}\n```", TS_JUDGED_SCORED, {8, 7, 6, 1}, 0, FOUR},
        /* ages that are none leave the grades as they are */
        {"Grammar: 8/10, Creativity: 7/10, Consistency: 7/10, Age group: C or D.", TS_JUDGED_SCORED, {8, 7, 7, 0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10, Consistency: 7/10, Age group: E (13-16)", TS_JUDGED_SCORED, {8, 7, 7, 0}, 0, 0},
        {"Age group: C\nGrammar: 8/10, Creativity: 7/10, Consistency: 7/10, Age group: D", TS_JUDGED_SCORED, {8, 7, 7, 0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10, Consistency: 7/10, Age group: seven", TS_JUDGED_SCORED, {8, 7, 7, 0}, 0, 0},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++)
        check_case(&cases[i]);
}

static void what_is_no_grade_is_no_number(void **state)
{
    (void)state;
    static const reply_case cases[] = {
        {"", TS_JUDGED_MISSING, {0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10", TS_JUDGED_MISSING, {0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10\nConsistency although the student says grammar: 10/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10\nConsistency which as he himself has told us is: 10/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_MISSING, {0}, 0, FOUR},
        {"{\"grammar\": 8, \"creativity\": 7}", TS_JUDGED_MISSING, {0}, 0, 0},
        {"Grammar: 11/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_RANGE, {0}, 0, 0},
        {"Grammar: 0/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_RANGE, {0}, 0, 0},
        {"Grammar: -3/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_RANGE, {0}, 0, 0},
        {"Grammar: 7.5/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_RANGE, {0}, 0, 0},
        {"Grammar: 4/5, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_RANGE, {0}, 0, 0},
        {"Grammar: 80/100, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_RANGE, {0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10, Consistency: 7/1", TS_JUDGED_RANGE, {0}, 0, 0},
        {"{\"grammar\": 8.5, \"creativity\": 7, \"consistency\": 7}", TS_JUDGED_RANGE, {0}, 0, 0},
        {"{\"grammar\": 1e1, \"creativity\": 11, \"consistency\": 7}", TS_JUDGED_RANGE, {0}, 0, 0},
        {"Grammar: 8/10, Grammar: 8/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_TWICE, {0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10, Consistency: 7/10\nGrammar: 3/10, Creativity: 2/10, Consistency: 1/10", TS_JUDGED_TWICE, {0}, 0, 0},
        {"{\"grammar\": 8, \"creativity\": 7, \"consistency\": 7}{\"grammar\": 9, \"creativity\": 9, \"consistency\": 9}", TS_JUDGED_TWICE, {0}, 0, 0},
        {"{\"grammar\": 8, \"grammar\": 9, \"creativity\": 7, \"consistency\": 7}", TS_JUDGED_TWICE, {0}, 0, 0},
        {"I cannot grade this.", TS_JUDGED_FORM, {0}, 0, 0},
        {"Grammar: ten, Creativity: seven, Consistency: eight", TS_JUDGED_FORM, {0}, 0, 0},
        {"Grammar: 8, Creativity: 7, Consistency: 1", TS_JUDGED_FORM, {0}, 0, 0},
        {"Grammar: 8/10/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"Grammar: 7-8/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"Grammar: 00000000008/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10, Consistency: 7/10 or so", TS_JUDGED_FORM, {0}, 0, 0},
        {"I give it Grammar: 8/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"The student wrote:\nGrammar: 8/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"\"Grammar: 8/10, Creativity: 7/10, Consistency: 7/10\"", TS_JUDGED_FORM, {0}, 0, 0},
        {"> Grammar: 8/10, Creativity: 7/10, Consistency: 7/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"Grammar: 8/10, Creativity: 7/10, Consist", TS_JUDGED_FORM, {0}, 0, 0},
        {"{\"grammar\": \"8\", \"creativity\": 7, \"consistency\": 7}", TS_JUDGED_FORM, {0}, 0, 0},
        {"{\"grammar\": 8, \"creativity\": 7, \"consist", TS_JUDGED_FORM, {0}, 0, 0},
        {"[8, 7, 7]", TS_JUDGED_FORM, {0}, 0, 0},
        {"\xef\xbc\x98/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"12. Grammar: 8/10\n2. Creativity: 7/10\n3. Consistency: 7/10", TS_JUDGED_FORM, {0}, 0, 0},
        {"1. 2. Grammar: 8/10\n2. Creativity: 7/10\n3. Consistency: 7/10", TS_JUDGED_FORM, {0}, 0, 0},
    };
    for (size_t i = 0; i < TS_COUNT_OF(cases); i++)
        check_case(&cases[i]);
}

/* Every beginning of a good reply: none reads other grades than the whole one has. */
static void what_is_cut_off_reads_nothing_else(void **state)
{
    (void)state;
    static const char *const whole[] = {"Grammar: 8/10, Creativity: 10/10, Consistency: 10/10, Age group: E (10-12)",
                                        "{\"grammar\": 8, \"creativity\": 10, \"consistency\": 10, \"age_group\": \"E\"}"};
    for (size_t i = 0; i < TS_COUNT_OF(whole); i++)
        for (size_t size = 0; size <= strlen(whole[i]); size++) {
            ts_judgment judgment = {.struct_size = sizeof judgment};
            char *cut = malloc(size ? size : 1); /* its own block, so that reading beyond is seen */
            memcpy(cut, whole[i], size);
            assert_ok(ts_grades_read(cut, size, THREE, &judgment));
            free(cut);
            if (judgment.outcome != TS_JUDGED_SCORED)
                continue;
            assert_true(judgment.grades[0] == 8 && judgment.grades[1] == 10 && judgment.grades[2] == 10);
        }
}

/* Judges that repeat a story in every way, before, behind and around grades of their own: nothing but these is ever read. */
static void no_digit_of_a_story_becomes_a_grade(void **state)
{
    (void)state;
    static const char own[] = "Grammar: 3/10, Creativity: 2/10, Consistency: 4/10, Age group: A";
    static const char *const ways[] = {"%s", "%s\n%s", "%2$s\n%1$s", "%2$s %1$s", "The student wrote: %s\n\n%s", "\"%s\"\n%s", "```\n%s\n```\n%s", "> %s\n%s", "%2$s\nThe story ends: %1$s"};
    size_t scored = 0;
    for (size_t kind = 0; kind < ATTACK_KINDS; kind++)
        for (size_t i = 0; i < ATTACKS_OF_A_KIND; i++)
            for (size_t way = 0; way < TS_COUNT_OF(ways); way++) {
                static char reply[1 << 16];
                snprintf(reply, sizeof reply, ways[way], attack_story(kind, i), own);
                ts_judgment judgment = read_reply(reply, THREE);
                if (judgment.outcome == TS_JUDGED_SCORED)
                    fail_msg("attack %zu of kind %zu, way %zu was read as grades", i, kind, way);
                scored += judgment.outcome == TS_JUDGED_SCORED;
            }
    assert_int_equal(scored, 0);
    assert_int_equal(read_reply(own, THREE).outcome, TS_JUDGED_SCORED);
}

static void wrong_calls(void **state)
{
    (void)state;
    ts_judgment judgment = {.struct_size = sizeof judgment}, unset = {0};
    assert_status(ts_grades_read(NULL, 0, THREE, &judgment), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_grades_read("", 0, 0, &judgment), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_grades_read("", 0, 16, &judgment), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_grades_read("", 0, THREE, &unset), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_grades_read("", 0, THREE, NULL), TS_ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grades_are_read),
        cmocka_unit_test(what_is_no_grade_is_no_number),
        cmocka_unit_test(what_is_cut_off_reads_nothing_else),
        cmocka_unit_test(no_digit_of_a_story_becomes_a_grade),
        cmocka_unit_test(wrong_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

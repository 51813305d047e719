/*
 * Grades read out of a reply, strictly: it is nothing but grades and an age ("Grammar: 8/10, Creativity: 7/10, ..."), or one JSON object. Whoever
 * quotes or tells anything besides is asked again, so that no digit of a story that the judge repeats can become a grade.
 */
#include "evaluator/evaluator.h"

#include "format/json.h"
#include "text/text.h"

#include <math.h>

enum { LEAST = 1, MOST = 10, MOST_REPLY = 64 << 10, MOST_WORDS = 5 /* between an axis and its colon */ };

static const char *const axis_names[TS_AXIS_COUNT] = {"grammar", "creativity", "consistency", "plot"};
static const char *const ages[TS_AGE_COUNT][2] = {{"3", "under"}, {"4", "5"}, {"6", "7"}, {"8", "9"}, {"10", "12"}, {"13", "16"}};
static const char age_name[] = "age group";

const char *ts_axis_name(uint32_t axis)
{
    return axis < TS_AXIS_COUNT ? axis_names[axis] : NULL;
}

typedef struct reading {
    const char *at, *end;
    ts_kept_judgment *out;
    uint32_t outcome; /* the first thing that is wrong; SCORED: nothing yet */
    uint32_t found;   /* axes, 1 << TS_AXIS_ */
    uint32_t ages;    /* that were given */
} reading;

static void fault(reading *r, uint32_t outcome)
{
    if (r->outcome == TS_JUDGED_SCORED)
        r->outcome = outcome;
}

static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static bool is_letter(char c)
{
    return small(c) >= 'a' && small(c) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Blanks, and the marks of bold type. */
static void skip_blanks(reading *r)
{
    while (r->at < r->end && strchr(" \t\r*_", *r->at))
        r->at++;
}

static bool take(reading *r, const char *word)
{
    const char *at = r->at;
    for (; *word; word++, at++)
        if (at == r->end || small(*at) != *word)
            return false;
    r->at = at;
    return true;
}

/* ---- one grade ---- */

static const char apostrophe[] = "\xe2\x80\x99", bullet[] = "\xe2\x80\xa2";

static bool take_name(reading *r, uint32_t *axis)
{
    for (*axis = 0; *axis < TS_AXIS_COUNT; ++*axis)
        if (take(r, axis_names[*axis]))
            return true;
    return false;
}

/* A few words behind an axis, none of them an axis. False: there are more, which may quote what someone else graded. */
static bool take_words(reading *r)
{
    uint32_t words = 0, axis;
    for (bool inside = true; r->at < r->end;) {
        bool letter = is_letter(*r->at), quoted = r->end - r->at >= 3 && memcmp(r->at, apostrophe, 3) == 0;
        if (!letter && !quoted && !strchr(" \t*_'", *r->at))
            break;
        if (letter && !inside && (++words > MOST_WORDS || take_name(r, &axis)))
            return false;
        inside = letter || (inside && (quoted || *r->at == '\''));
        r->at += quoted ? 3 : 1;
    }
    return true;
}

/* The axis whose name stands here, and what may stand between it and the colon: "Consistency with the beginning:". TS_AXIS_COUNT: none. */
static uint32_t take_axis(reading *r)
{
    uint32_t axis;
    const char *begin = r->at;
    if (take_name(r, &axis) && take_words(r) && take(r, ":"))
        return axis;
    r->at = begin;
    return TS_AXIS_COUNT;
}

/* A whole number of at most three digits; -1 if it is none, -2 for one with a sign or a fraction. */
static int take_number(reading *r)
{
    int value = 0, digits = 0;
    bool signs = r->at < r->end && (*r->at == '-' || *r->at == '+');
    r->at += signs;
    for (; r->at < r->end && is_digit(*r->at) && digits < 4; digits++)
        value = 10 * value + (*r->at++ - '0');
    if (digits == 0 || digits == 4)
        return -1;
    if (r->end - r->at >= 2 && (*r->at == '.' || *r->at == ',') && is_digit(r->at[1])) {
        for (r->at++; r->at < r->end && is_digit(*r->at);)
            r->at++;
        signs = true;
    }
    return signs ? -2 : value;
}

/* "8/10" or "8 out of 10" behind the colon. False: it is no such thing. */
static bool take_grade(reading *r, uint32_t axis)
{
    skip_blanks(r);
    int value = take_number(r);
    skip_blanks(r);
    if (value == -1 || !(take(r, "/") || take(r, "out of")))
        return false;
    skip_blanks(r);
    int scale = take_number(r);
    if (scale < 0)
        return false;
    if (scale != MOST || value < LEAST || value > MOST)
        fault(r, TS_JUDGED_RANGE);
    else if (r->found >> axis & 1)
        fault(r, TS_JUDGED_TWICE);
    else
        r->out->grades[axis] = value;
    r->found |= 1u << axis;
    return true;
}

/* ---- the age ---- */

/* "C", "C (6-7)", "C: 6-7.": one letter, and if its years are told, these. Anything else is no age, and no fault. */
static uint32_t age_of(const char *text, size_t size)
{
    const char *end = text + size;
    while (text < end && strchr(" \t\r*_(", *text))
        text++;
    uint32_t age = text < end && small(*text) >= 'a' && small(*text) < 'a' + TS_AGE_COUNT ? (uint32_t)(small(*text) - 'a') : TS_AGE_COUNT;
    if (age == TS_AGE_COUNT)
        return 0;
    uint32_t numbers = 0;
    for (text++; text < end;) {
        size_t length = 0;
        while (text + length < end && (is_digit(*text) ? is_digit(text[length]) : is_letter(*text) && is_letter(text[length])))
            length++;
        bool year = false, known = false;
        for (size_t i = 0; i < 2 && length > 0; i++)
            year = year || (strlen(ages[age][i]) == length && memcmp(ages[age][i], text, length) == 0);
        known = year || (length == 2 && memcmp(text, "or", 2) == 0 && age == 0) || (length == 5 && memcmp(text, "years", 5) == 0) ||
                (length == 3 && memcmp(text, "old", 3) == 0);
        if (length > 0 ? !known : !strchr(" \t\r*_():.-", *text) && (unsigned char)*text < 0x80)
            return 0;
        numbers += year;
        text += TS_MAX(length, (size_t)1);
    }
    return numbers == 1 || numbers > 2 ? 0 : age + 1;
}

/* Up to a comma, a semicolon or the end of the line. */
static bool take_age(reading *r)
{
    if (!take(r, age_name) && !take(r, "age"))
        return false;
    skip_blanks(r);
    if (!take(r, ":"))
        return false;
    const char *begin = r->at;
    while (r->at < r->end && *r->at != ',' && *r->at != ';')
        r->at++;
    uint32_t age = age_of(begin, (size_t)(r->at - begin));
    r->out->age = r->ages++ == 0 ? (uint8_t)age : 0;
    return true;
}

/* ---- lines ---- */

/* "- ", a round bullet, "1. " or "1) " before an item. */
static void skip_bullet(reading *r)
{
    skip_blanks(r);
    size_t left = (size_t)(r->end - r->at);
    if (left >= 2 && *r->at == '-' && r->at[1] == ' ')
        r->at++;
    else if (left >= 3 && memcmp(r->at, bullet, 3) == 0)
        r->at += 3;
    else if (left >= 3 && is_digit(*r->at) && (r->at[1] == '.' || r->at[1] == ')') && r->at[2] == ' ')
        r->at += 2;
}

/* A line that is nothing but grades and an age, perhaps behind a bullet or a number. */
static bool read_items(reading *r)
{
    skip_bullet(r);
    for (;;) {
        while (r->at < r->end && strchr(" \t\r*_,;.", *r->at))
            r->at++;
        if (r->at == r->end)
            return true;
        uint32_t axis = take_axis(r);
        if (axis < TS_AXIS_COUNT ? !take_grade(r, axis) : !take_age(r))
            return false;
        if (r->at < r->end && !strchr(" \t\r*_,;.", *r->at))
            return false;
    }
}

static void read_line(reading *all, const char *line, const char *end)
{
    reading r = *all;
    r.at = line;
    r.end = end;
    if (!read_items(&r))
        fault(&r, TS_JUDGED_FORM);
    all->outcome = r.outcome;
    all->found = r.found;
    all->ages = r.ages;
}

static void read_lines(reading *r, const char *text, size_t size)
{
    const char *end = text + size;
    for (const char *line = text, *next; line < end; line = next) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        next = newline ? newline + 1 : end;
        read_line(r, line, newline ? newline : end);
    }
}

/* ---- JSON ---- */

static void read_members(reading *r, const ts_json *document)
{
    for (uint32_t axis = 0; axis < TS_AXIS_COUNT; axis++) {
        const ts_json *member = ts_json_get(document, axis_names[axis]);
        double value;
        if (!member)
            continue;
        r->found |= 1u << axis;
        if (!ts_json_double(member, &value))
            fault(r, TS_JUDGED_FORM);
        else if (!(value >= LEAST && value <= MOST) || value != floor(value))
            fault(r, TS_JUDGED_RANGE);
        else
            r->out->grades[axis] = value;
    }
    const char *age = ts_json_text(ts_json_get(document, "age_group"));
    r->out->age = age ? (uint8_t)age_of(age, strlen(age)) : 0;
}

/* Two objects behind one another are two replies. */
static bool is_two(const char *text, size_t size)
{
    for (const char *end = text + size, *close = memchr(text, '}', size); close; close = memchr(close + 1, '}', (size_t)(end - close - 1))) {
        const char *next = close + 1;
        while (next < end && strchr(" \t\r\n,", *next))
            next++;
        if (next < end && *next == '{')
            return true;
    }
    return false;
}

static ts_status read_object(reading *r, ts_runtime *runtime, const char *text, size_t size)
{
    ts_json *document = NULL;
    ts_detail detail;
    TS_TRY(ts_json_expected("the reply"));
    ts_detail_keep(&detail); /* what is wrong with a reply is no failure */
    ts_status status = ts_json_parse(&document, runtime, text, size, MOST_REPLY, "the reply");
    if (status != TS_OK)
        fault(r, is_two(text, size) ? TS_JUDGED_TWICE : TS_JUDGED_FORM);
    else if ((status = ts_json_check_unique(document, runtime, "the reply")) != TS_OK)
        fault(r, TS_JUDGED_TWICE);
    else
        read_members(r, document);
    ts_json_free(document);
    if (status == TS_ERROR_OUT_OF_MEMORY)
        return status;
    ts_detail_put_back(&detail);
    return TS_OK;
}

/* Takes a fence of three backquotes off a reply that is inside one. */
static void unwrap(const char **text, size_t *size)
{
    if (*size < 6 || memcmp(*text, "```", 3) != 0 || memcmp(*text + *size - 3, "```", 3) != 0)
        return;
    const char *newline = memchr(*text, '\n', *size - 3);
    if (!newline)
        return;
    *size -= (size_t)(newline - *text) + 3;
    *text = newline;
    ts_trim(text, size);
}

/* ---- a reply ---- */

ts_status ts_grades_parse(ts_runtime *runtime, const char *reply, size_t size, uint32_t axes, ts_kept_judgment *judgment)
{
    reading r = {.out = judgment, .outcome = TS_JUDGED_SCORED};
    for (size_t i = 0; i < TS_AXIS_COUNT; i++)
        judgment->grades[i] = NAN;
    judgment->age = 0;
    ts_trim(&reply, &size);
    unwrap(&reply, &size);
    if (size > MOST_REPLY)
        fault(&r, TS_JUDGED_FORM);
    else if (size > 0 && *reply == '{')
        TS_TRY(read_object(&r, runtime, reply, size));
    else
        read_lines(&r, reply, size);
    if ((r.found & axes) != axes)
        fault(&r, TS_JUDGED_MISSING);
    for (uint32_t i = 0; i < TS_AXIS_COUNT; i++)
        if (r.outcome != TS_JUDGED_SCORED || !(axes >> i & 1))
            judgment->grades[i] = NAN;
    judgment->age = r.outcome == TS_JUDGED_SCORED ? judgment->age : 0;
    judgment->outcome = (uint8_t)r.outcome;
    return TS_OK;
}

ts_status ts_grades_read(const char *reply, size_t size, uint32_t axes, ts_judgment *judgment)
{
    ts_runtime *runtime;
    ts_kept_judgment kept = {.outcome = TS_JUDGED_PENDING};
    if (!reply || axes == 0 || axes >> TS_AXIS_COUNT)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_grades_read: %s", reply ? "axes are not bits of 1 << TS_AXIS_" : "reply is NULL");
    TS_TRY(ts_report_check(judgment, "ts_judgment"));
    TS_TRY(ts_runtime_acquire(&runtime, NULL));
    ts_status status = ts_grades_parse(runtime, reply, size, axes, &kept);
    ts_runtime_release(runtime);
    TS_TRY(status);
    ts_judgment out = {.struct_size = sizeof out, .assessment = "", .reply = "", .outcome = kept.outcome, .age = kept.age};
    memcpy(out.grades, kept.grades, sizeof out.grades);
    return ts_report_write(judgment, &out, sizeof out, "ts_judgment");
}

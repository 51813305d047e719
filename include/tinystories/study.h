/*
 * What studies of several models need beside an evaluator's results: power laws through losses (paper section 6, figure 23), the sign test, and short prompts that
 * a model goes on with rightly or wrongly (figures 9 to 11).
 *
 * A study trains or takes several models and sets them side by side. It is made of trainers, samplers and evaluators by the caller, as the command line's
 * `study grid` does; here is its arithmetic. Functions keep nothing and may be called by any thread at any time; questions never change once they are read.
 */
#ifndef TINYSTORIES_STUDY_H
#define TINYSTORIES_STUDY_H

#include "tinystories/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = factor x^exponent, the least squares of the logarithms. */
typedef struct ts_power_law {
    size_t struct_size;
    double factor;         /* y where x is 1, mostly far outside of what was measured; 0 or infinite where a double does not reach that far */
    double exponent;
    double exponent_low;   /* its interval by the least squares' covariance and Student's t with count - 2 degrees of freedom; NaN with two points, as the high end */
    double exponent_high;
    double deviation;      /* standard deviation of ln y around the line, by count - 2; NaN with two points */
    double explained;      /* share of the variance of ln y that the line explains, 0 to 1; NaN if every y is the same */
    uint64_t count;        /* points */
} ts_power_law;

/*
 * Fits a power law to `count` points. `confidence` of the interval is above 0 and below 1. The interval takes the points for independent and ln y for evenly
 * scattered: of models that one seed trained it tells how well the line fits, not what other seeds would give. INVALID_ARGUMENT: fewer than two points, all x the
 * same, or a number that is not finite or not above 0, which the detail names.
 */
TS_API ts_status ts_power_law_fit(const double *x, const double *y, size_t count, double confidence, ts_power_law *law);

/*
 * Marks the lower envelope of points: frontier[i] becomes 1 if no point has a y at most as large at an x at most as large (of equal points the first is
 * marked), else 0. So of models at several moments of their training it takes, for each amount of compute, the best that there was (figure 23).
 * INVALID_ARGUMENT: a number is NaN.
 */
TS_API ts_status ts_frontier_mark(const double *x, const double *y, size_t count, uint8_t *frontier);

/*
 * The two-sided sign test: *p becomes the probability that of wins + losses fair throws at least as many fall on one side as the larger of both; 1
 * without any. Ties are left out by the caller. Exact up to 2^20 throws, a normal approximation beyond.
 */
TS_API ts_status ts_sign_test(uint64_t wins, uint64_t losses, double *p);

/* ---- questions: short prompts, and what is right and wrong behind them ---- */

typedef struct ts_questions ts_questions;

/* What a prompt asks of a model, as the paper has it. */
enum {
    TS_QUESTION_OTHER = 0,     /* "other" */
    TS_QUESTION_FACT = 1,      /* "fact": what everyone knows */
    TS_QUESTION_REASONING = 2, /* "reasoning": what follows */
    TS_QUESTION_CONTEXT = 3,   /* "context": what stood there before */
    TS_QUESTION_COUNT = 4
};

/* The name of a kind, NULL for any other value. A constant string. */
TS_API const char *ts_question_name(uint32_t kind);

/* What a completion is worth. */
enum {
    TS_MARK_NONE = 0,   /* "none": no answer that is known, or none yet */
    TS_MARK_RIGHT = 1,  /* "right" */
    TS_MARK_PARTLY = 2, /* "partly" */
    TS_MARK_WRONG = 3,  /* "wrong" */
    TS_MARK_COUNT = 4
};

/* The name of a mark, NULL for any other value. A constant string. */
TS_API const char *ts_mark_name(uint32_t mark);

typedef struct ts_question {
    size_t struct_size;
    const char *prompt;   /* NUL-terminated, borrowed from the questions */
    size_t prompt_size;   /* bytes */
    uint32_t kind;        /* TS_QUESTION_ */
    uint32_t answers;     /* that are known; 0: nothing can be marked by rule */
} ts_question;

/*
 * Reads a file of questions (UTF-8, at most 16 MiB). Each line that is not empty is a prompt, but for these, told by their first two characters:
 *     "# " or "#" alone   a remark
 *     "= "                the kind of the prompts that follow: fact, reasoning, context or other (as at the beginning)
 *     "+ " "- " "~ "      answers to the prompt before that are right, wrong or partly right, divided by ";"
 * A byte order mark before the first is passed over. FORMAT names the line: an unknown kind, an answer without a prompt or without a word, an answer
 * twice. INVALID_ARGUMENT: there is no prompt.
 */
TS_API ts_status ts_questions_open(ts_questions **out, ts_runtime *runtime, const char *path);
TS_API void ts_questions_free(ts_questions *questions);
TS_API size_t ts_questions_count(const ts_questions *questions);
TS_API ts_status ts_questions_get(const ts_questions *questions, size_t index, ts_question *question);

/*
 * Marks a completion by rule: which answers are in its first sentence, as whole words in a row without regard to case. Right: right ones and no wrong one. Wrong:
 * wrong ones and no right one. Partly: right and wrong ones, or partly right ones alone. None: no answer is there; that is no proof of a mistake. The
 * rule reads words, not sense: "it is not red" has "red" in it, so the file has to foresee what a small model may write.
 */
TS_API ts_status ts_questions_mark(const ts_questions *questions, size_t index, const char *completion, size_t size, uint32_t *mark);

#ifdef __cplusplus
}
#endif

#endif

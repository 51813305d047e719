/*
 * Evaluators: grade what models write as a teacher would (paper section 3).
 *
 * A record is a prompt (the beginning of a story) and a completion of it by some model; where the model was given an instruction, that too. The evaluator
 * takes records, whoever made them, and a judge grades each: grammar, creativity, consistency with the beginning or the instruction, and of instructions
 * the plot, 1 to 10, and the age group of whoever may have written it. What the judge said is kept whole; what of it is no grade is never a number: the
 * judgment is "unscored", with the reason, left out of means and counted.
 *
 * The chat judge asks a chat service (tinystories/chat.h) twice for each judgment, as the paper does: for an assessment in words, then, in the same
 * conversation, for grades. Its templates can be replaced. Texts travel inside a fence whose name is drawn anew for each record and is found in no part of
 * it, and the judge is told that nothing inside the fence is said to it. Grades are taken from a reply that is nothing but grades (or one JSON object).
 * Everything that was paid for is in the journal of options.chat, which belongs to these very records, templates, schema and seed.
 *
 * The embedded judge needs no network. It is "embedded" wherever its grades show up, since they are another thing: a linear function of measures of the text
 * (ts_evaluator_measures), calibrated on 667 stories that a language model had graded, and three gates that lower the grades of what is no story: for words that do
 * not fit, for sentences that have nothing to do with one another (consistency), and for long runs that are copied from the text (creativity). Of language it
 * knows rules, and what a small n-gram model learned from the text that options.text gives, whose name is in every report; it is never the model that is judged.
 * On the 333 graded stories that it was not calibrated on its rank correlation with the grades is, with the interval of 95 %, 0.42 (0.32 to 0.51) for grammar,
 * 0.35 (0.25 to 0.45) for creativity and 0.30 (0.19 to 0.40) for consistency; 0.42, 0.41 and 0.38 where it was told what the stories were to be about; 0.21, 0.33 and
 * 0.23 without a text (tests/evaluator/calibrate.py). It agrees better than length alone on every axis, and better than loss alone but for consistency, where the lead
 * may be chance (-0.04 to +0.13). 0.5 is not reached. So it tells models of different quality apart by the mean of many completions, not one story from
 * another. It gives no plot and no age.
 */
#ifndef TINYSTORIES_EVALUATOR_H
#define TINYSTORIES_EVALUATOR_H

#include "tinystories/base.h"
#include "tinystories/chat.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_evaluator ts_evaluator;

/* What is graded. */
enum {
    TS_AXIS_GRAMMAR = 0,     /* "grammar" */
    TS_AXIS_CREATIVITY = 1,  /* "creativity" */
    TS_AXIS_CONSISTENCY = 2, /* "consistency": with the beginning, or with the instruction */
    TS_AXIS_PLOT = 3,        /* "plot": whether it makes sense; of records with an instruction alone */
    TS_AXIS_COUNT = 4
};

/* The name of an axis, NULL for any other value. A constant string. */
TS_API const char *ts_axis_name(uint32_t axis);

enum { TS_AGE_COUNT = 6 }; /* A: 3 or under, B: 4-5, C: 6-7, D: 8-9, E: 10-12, F: 13-16 */

enum {
    TS_JUDGE_EMBEDDED = 0, /* "embedded" */
    TS_JUDGE_CHAT = 1      /* "chat"; TS_ERROR_UNSUPPORTED in a build without chat services */
};

/* The name of a judge, NULL for any other value. A constant string. */
TS_API const char *ts_judge_name(uint32_t judge);

/* What came of a judgment, or why it has no grades. */
enum {
    TS_JUDGED_PENDING = 0,       /* not asked yet, or not answered */
    TS_JUDGED_SCORED = 1,
    TS_JUDGED_NO_ASSESSMENT = 2, /* the service cut, filtered or refused the assessment */
    TS_JUDGED_NO_REPLY = 3,      /* the service cut, filtered or refused the grades */
    TS_JUDGED_MISSING = 4,       /* an axis has no grade */
    TS_JUDGED_RANGE = 5,         /* a grade is not a whole number of 1 to 10, or not out of 10 */
    TS_JUDGED_TWICE = 6,         /* an axis was graded twice, or the reply is two replies */
    TS_JUDGED_FORM = 7,          /* the reply is not grades alone: prose, words for numbers, a refusal, broken JSON */
    TS_JUDGED_EMPTY = 8,         /* the completion has no word to be graded */
    TS_JUDGED_COUNT = 9
};

/* The name of what came of a judgment ("scored", "missing", ...), NULL for any other value. A constant string. */
TS_API const char *ts_judged_name(uint32_t outcome);

/* Why a completion looks as if it spoke to whoever judges it, a bit each. */
enum {
    TS_SUSPICION_GRADE = 1,  /* "grade": a grade as judges write it: 10/10, "ten out of ten", "Grammar: 9", JSON with such a name */
    TS_SUSPICION_ORDER = 2,  /* "order": instructions that are to be ignored, someone who writes as the judge or the grader, commands about grades */
    TS_SUSPICION_MARKUP = 4, /* "markup": the marks of chats and documents: <|...|>, [INST], "### System", "Assistant:", tags, fences, a JSON object */
    TS_SUSPICION_HIDDEN = 8, /* "hidden": characters that are not seen, or that turn the direction of writing; of control characters three at least */
    TS_SUSPICION_CODE = 16   /* "code": a run of letters and digits that is no word, as base64 and hexadecimal are */
};

/* The name of one bit, NULL for any other value. A constant string. */
TS_API const char *ts_suspicion_name(uint32_t bit);

/* The parts of an instruction. */
enum {
    TS_FOLLOWED_WORDS = 0,    /* "words" */
    TS_FOLLOWED_SENTENCE = 1, /* "sentence" */
    TS_FOLLOWED_FEATURES = 2, /* "features" */
    TS_FOLLOWED_SUMMARY = 3,  /* "summary" */
    TS_FOLLOWED_COUNT = 4
};

/* The name of a part, NULL for any other value. A constant string. */
TS_API const char *ts_followed_name(uint32_t part);

/* ---- records ---- */

/* Strings are UTF-8; given ones are copied, those that come out are borrowed until the evaluator's next ts_evaluator_add or its end. */
typedef struct ts_record {
    size_t struct_size;
    const char *prompt;     /* the beginning; NULL: none, the model wrote all of it */
    size_t prompt_size;     /* bytes */
    const char *completion; /* what the model wrote behind it, its first character being the very next one */
    size_t completion_size;
    const char *model;      /* who wrote it; NULL: "" */
    const char *words;      /* of an instruction, each NULL if it was not asked: words divided by commas that the story must hold */
    const char *sentence;   /* a sentence that it must hold */
    const char *features;   /* features divided by commas: Dialogue, BadEnding, ... or in words */
    const char *summary;    /* what it must be about */
} ts_record;

/* ---- making ---- */

typedef struct ts_evaluator_options {
    size_t struct_size;
    const ts_chat_options *chat; /* the service of the chat judge, required for it; copied, but its strings must live until the first run, estimate or report */
    const char *templates;       /* the chat judge's templates: path of a file that replaces the built-in ones. See judge.txt for the form */
    const char *const *text;     /* files of stories that the embedded judge's n-gram model learns from, the first 16 MiB of them; NULL: it has none */
    size_t text_count;
    const char *text_name;       /* what reports call that text; NULL: the first path */
    uint64_t seed;               /* of bootstraps and of fences; default 0 */
    double confidence;           /* of intervals, above 0 and below 1; default 0.95 */
    double least_scored;         /* share of the judgments below which no mean is given, 0 to 1; default 0.5 */
    uint32_t judge;              /* TS_JUDGE_; default EMBEDDED */
    uint32_t repeats;            /* judgments of each record by the chat judge, 1 to 1000; default 1. The embedded judge always says the same: 1 */
    uint32_t asks;               /* times that the chat judge is asked for the grades of an assessment until they can be read, 1 to 7; default 3 */
    uint32_t schema;             /* 1: ask the service for JSON by a schema (response_format); one that refuses it (400, 422) is asked without. Default 0 */
    uint32_t resamples;          /* of bootstraps, 100 to 1,000,000; default 2000 */
    uint32_t cut;                /* completions are cut at their first repeated k-gram of so many words (ts_repeat_cut) when they are added; default 0: not */
    const char *const *cut_models; /* the models whose completions are cut, as the paper cuts its baselines alone; NULL: all. Copied */
    size_t cut_model_count;
} ts_evaluator_options;

TS_API ts_status ts_evaluator_options_init(ts_evaluator_options *options, size_t struct_size);

/* INVALID_ARGUMENT names the option; FORMAT: the templates, with the line or placeholder. What the text's files may answer is told by ts_tokenizer_train_files. */
TS_API ts_status ts_evaluator_new(ts_evaluator **out, ts_runtime *runtime, const ts_evaluator_options *options);
TS_API void ts_evaluator_free(ts_evaluator *evaluator);

/* Adds a record. A completion may be any bytes: those that are no UTF-8, and NULs, become U+FFFD. INVALID_ARGUMENT: one of the other strings is not UTF-8.
 * LIMIT: more than 256 KiB in one record, more than 1,000 words in a part of its instruction, records of more than 4,096 models, or more than 2^24. */
TS_API ts_status ts_evaluator_add(ts_evaluator *evaluator, const ts_record *record);

/*
 * Adds the records of a file of JSON lines (.gz too; "-" is standard input): objects with `completion` (or `story`), and where they have them `prompt`, `model`, `words`
 * and `features` (strings, or arrays of them), `sentence`, `summary`. FORMAT names file, line and member. After a failure the records of the lines before
 * are there.
 */
TS_API ts_status ts_evaluator_add_file(ts_evaluator *evaluator, const char *path);

TS_API uint64_t ts_evaluator_count(const ts_evaluator *evaluator);
TS_API ts_status ts_evaluator_record(const ts_evaluator *evaluator, uint64_t index, ts_record *record);

/*
 * Why a record's completion is suspicious, TS_SUSPICION_ ored; 0: it is not. A flag for whoever reads the results, by rules that look for marks and words:
 * it lowers no grade, a story may be flagged that means no harm, and whoever knows the rules gets by them. What keeps such completions from grading
 * themselves is how they are sent and read. Of the 60 attacks of tests/evaluator/attacks.h 57 are flagged, of 9,232 stories of TinyStories none.
 */
TS_API ts_status ts_evaluator_suspicion(const ts_evaluator *evaluator, uint64_t index, uint32_t *suspicion);

/*
 * What rules find in a completion of the instruction that its record has, by TS_FOLLOWED_. Words: those that are there, perhaps with an ending ("ran" is no
 * form of "run"). Sentence: whether its words stand there in a row. Features: of those that a rule can look for, Dialogue (quotation marks), BadEnding (sad
 * words at the end), MoralValue ("learned", ...), Twist ("suddenly", ...) and Conflict ("argued", ...); Foreshadowing counts as not asked. Summary: those
 * of its words of four letters and more that come up. These are counts and no judgment; what a judge makes of the instruction is in its grades, consistency
 * above all.
 */
typedef struct ts_followed {
    size_t struct_size;
    uint64_t asked[4]; /* 0: the part was not asked for, or there is no rule for it */
    uint64_t found[4];
} ts_followed;

TS_API ts_status ts_evaluator_followed(const ts_evaluator *evaluator, uint64_t index, ts_followed *followed);

/* ---- judging ---- */

/*
 * Has every record judged that is not yet. `progress` (may be NULL) counts steps: records, or of the chat judge replies wanted, at most. As for generators: 1 ends
 * in order, 2 at once, and whatever stops it (NETWORK, LIMIT, IO, CANCELLED), what was paid for is in the journal and the next call goes on; judgments that
 * are there can be read. MISMATCH: the journal was made for other records. Unreadable grades are no failure.
 */
TS_API ts_status ts_evaluator_run(ts_evaluator *evaluator, ts_progress progress, void *progress_user);

/* One judgment. Texts are borrowed until the next call of this function. */
typedef struct ts_judgment {
    size_t struct_size;
    double grades[4];       /* by TS_AXIS_, 1 to 10: whole numbers of the chat judge; NaN where there is none, all of them unless it is scored */
    const char *assessment; /* what the chat judge said of it; "" of the embedded one */
    const char *reply;      /* what it answered when last asked for grades; "" of the embedded one */
    uint32_t outcome;       /* TS_JUDGED_ */
    uint32_t age;           /* 1 to TS_AGE_COUNT for A to F; 0: none was given, or more than one. The grades stand without it */
    uint32_t asks;          /* times that grades were asked for */
    uint32_t reserved;      /* 0 */
} ts_judgment;

/* Judgment `repeat` (from 0) of a record. Before ts_evaluator_run: PENDING. */
TS_API ts_status ts_evaluator_judgment(ts_evaluator *evaluator, uint64_t index, uint32_t repeat, ts_judgment *judgment);

/* Reads grades out of a reply as the chat judge's are read: the outcome, the grades and the age; `axes` are bits 1 << TS_AXIS_ of those that must be there. */
TS_API ts_status ts_grades_read(const char *reply, size_t size, uint32_t axes, ts_judgment *judgment);

/* ---- results ---- */

/* A mean over the judgments that have the grade, with the interval of a bootstrap over prompts (completions of one prompt are not independent). */
typedef struct ts_grade_mean {
    double mean;      /* NaN: none is given, see ts_evaluation.trusted */
    double low;       /* NaN with fewer than two prompts, as the high end */
    double high;
    double deviation; /* standard deviation of single judgments; NaN with fewer than two */
    uint64_t count;   /* judgments with the grade */
} ts_grade_mean;

typedef struct ts_evaluation {
    size_t struct_size;
    uint64_t records;
    uint64_t prompts;
    uint64_t judgments;           /* records times repeats */
    uint64_t outcomes[9];         /* of the judgments, by TS_JUDGED_: their sum is `judgments` */
    uint64_t ages[7];             /* of the scored ones; ages[0]: none was given */
    uint64_t asked_again;         /* grades that were asked for once more */
    double scored_share;          /* of the judgments that are not pending; NaN without any */
    double mean_words;            /* of a completion: judges like length; NaN without records */
    ts_grade_mean axes[4];        /* by TS_AXIS_ */
    uint64_t trusted;             /* 1: scored_share is at least options.least_scored. Else the means are NaN */
    uint64_t suspicious;          /* records whose completion seems to speak to the judge (ts_evaluator_suspicion) */
    ts_grade_mean followed[4];    /* by TS_FOLLOWED_: found over asked of the records that were asked for the part, 0 to 1; trusted or not */
} ts_evaluation;

/* The results of all records, or of one model's. INVALID_ARGUMENT: there is no record of that model. */
TS_API ts_status ts_evaluator_evaluate(ts_evaluator *evaluator, const char *model, ts_evaluation *evaluation);

/* The names of the models among the records, in the order in which they came; NULL beyond the last. Borrowed as a record's strings. */
TS_API const char *ts_evaluator_model(const ts_evaluator *evaluator, size_t index);

/* Two models on the prompts that both completed: the mean over prompts of the difference of their mean grades, `left` minus `right`. Nothing is compared
 * unless both are trusted (ts_evaluation.trusted): then there are 0 prompts. */
typedef struct ts_comparison {
    size_t struct_size;
    uint64_t prompts[4];           /* by TS_AXIS_: those where both have the grade */
    uint64_t wins[4];              /* prompts where left is better */
    uint64_t losses[4];            /* where it is worse; the others are ties */
    double difference[4];          /* NaN without prompts */
    double low[4];                 /* of a bootstrap over prompts; NaN with fewer than two, as the high end */
    double high[4];
} ts_comparison;

TS_API ts_status ts_evaluator_compare(ts_evaluator *evaluator, const char *left, const char *right, ts_comparison *comparison);

/*
 * Writes everything as one JSON object: the judge and what it is, the results of all and of each model, comparisons of every pair of models (of up to 16 models),
 * every record with its judgments, what it cost. What is not a number is null. "-" is standard output; else the file is replaced as a whole.
 */
TS_API ts_status ts_evaluator_write(ts_evaluator *evaluator, const char *path);

/* ---- the embedded judge ---- */

enum { TS_MEASURE_COUNT = 37 };

/* The name of a measure, NULL for any other value. A constant string. */
TS_API const char *ts_measure_name(uint32_t measure);

/* The measures that the embedded judge grades a record by, TS_MEASURE_COUNT of them. Those of the n-gram model are in its own units (see measures.c), 0 without one. */
TS_API ts_status ts_evaluator_measures(ts_evaluator *evaluator, uint64_t index, double *measures);

/* ---- the chat judge: INVALID_ARGUMENT for the other ---- */

/*
 * What the service is asked about a record: `turn` 0 the assessment, 1 the grades. NUL-terminated, capacity at least *size + 1, *size set also for
 * BUFFER_TOO_SMALL. Nothing is sent.
 */
TS_API ts_status ts_evaluator_prompt(ts_evaluator *evaluator, uint64_t index, uint32_t turn, char *text, size_t capacity, size_t *size);

/* What judging would cost at most if every reply can be read at once, what the journal has left out. Nothing is sent, but the journal is opened. */
TS_API ts_status ts_evaluator_estimate(ts_evaluator *evaluator, ts_chat_report *report);

/* What the journal holds and has cost. */
TS_API ts_status ts_evaluator_chat_report(ts_evaluator *evaluator, ts_chat_report *report);

/* What came of setting two models against each other. A prompt is won if left has more than half of its verdicts. */
typedef struct ts_duel {
    size_t struct_size;
    uint64_t pairs;       /* completions of the same prompt that were set against each other, times repeats */
    uint64_t judged;      /* of them with a verdict in both orders */
    uint64_t unread;      /* verdicts that no ask brought: the pair counts for nothing */
    uint64_t pending;     /* verdicts that were not asked for yet */
    uint64_t asked_again;
    uint64_t firsts;      /* verdicts for what stood first, whoever wrote it, of judged pairs; far more than `seconds`: the judge goes by the order */
    uint64_t seconds;     /* for what stood second */
    uint64_t neithers;
    uint64_t prompts;     /* with a judged pair */
    uint64_t wins;        /* of them won by left */
    uint64_t losses;      /* lost; the others are ties */
    double share;         /* of the verdicts of judged pairs that are for left, those for neither by half; NaN without any */
    double low;           /* of a bootstrap over prompts; NaN with fewer than two, as the high end */
    double high;
    double p;             /* of the two-sided sign test over prompts (ts_sign_test) */
} ts_duel;

/*
 * Has the chat judge say of two models' completions which is better: the n-th completion of a prompt by one against the n-th by the other, each in both orders,
 * options.repeats times, one word as the answer. What is no such word is asked again, up to options.asks times, and then no verdict. Journal, statuses and progress
 * as ts_evaluator_run, whose journal it shares; *duel is set in any case but INVALID_ARGUMENT, OUT_OF_MEMORY and FORMAT of the templates, so that after a stop it says how far it came.
 * The duel of right and left is the same one, seen from the other side, and asks for nothing more. INVALID_ARGUMENT: no record of a model, the same model twice,
 * no prompt that both completed, or a model beyond the first 64.
 */
TS_API ts_status ts_evaluator_duel(ts_evaluator *evaluator, const char *left, const char *right, ts_progress progress, void *progress_user, ts_duel *duel);

/*
 * Has the chat judge mark every record as right, partly right or wrong (TS_MARK_, tinystories/study.h): short prompts that ask for facts, reasoning or what stood
 * before. One word is the answer, asked for and kept as in ts_evaluator_duel.
 */
TS_API ts_status ts_evaluator_mark(ts_evaluator *evaluator, ts_progress progress, void *progress_user);

/* The mark of a record; TS_MARK_NONE: not asked yet, or no answer was a mark. */
TS_API ts_status ts_evaluator_mark_of(ts_evaluator *evaluator, uint64_t index, uint32_t *mark);

/* ---- completions by a model behind a chat service: the paper's baselines ---- */

typedef struct ts_completer_options {
    size_t struct_size;
    const ts_chat_options *chat; /* the service; required. Its journal is the completions', no judge's */
    const char *model;           /* what the records call the model; NULL: chat->model */
    const char *templates;       /* as ts_evaluator_options.templates, of which "complete" and "complete instruction" are asked here */
    uint32_t per_prompt;         /* completions of each prompt, 1 to 100,000; default 10, as in the paper. More of them keep those that the journal has */
    uint32_t estimate;           /* 1: send nothing and add nothing, and report as `chat` what it would cost at most. The journal is opened */
    uint32_t raw;                /* 1: for models that know no chat, the beginning itself goes to "/completions", and what comes is the completion */
    uint32_t reserved;           /* 0 */
} ts_completer_options;

TS_API ts_status ts_completer_options_init(ts_completer_options *options, size_t struct_size);

typedef struct ts_completer_report {
    size_t struct_size;
    uint64_t wanted;     /* prompts times per_prompt */
    uint64_t added;      /* records */
    uint64_t ended;      /* of them those that the bound of tokens ended: their text stops anywhere */
    uint64_t unusable;   /* refused, filtered, not to be read, longer than a record may be, or ended by that bound before any text: no record */
    uint64_t pending;    /* not answered yet: nothing was added */
    ts_chat_report chat; /* of the journal. Its struct_size is the library's */
} ts_completer_report;

/*
 * Has a chat service complete prompts and adds its completions as records: of each of `count` prompts, whose completion and model are passed over, the
 * prompt and instruction. The service is told to write the story out from its first word; what of its reply repeats the beginning is taken off, whatever
 * quotation marks it uses, so that the completion goes on from the very next character. A reply that does not repeat it is taken for what comes behind, and
 * set off by a space where the beginning ends in a whole word or mark. Where a record has an instruction and no prompt the reply is the story.
 *
 * With options.raw the service goes on with the prompt as it is: nothing else is sent, also not the instruction, nothing is taken off or put in between, and a
 * completion may be empty: the model ended the story there. INVALID_ARGUMENT: templates, or a record without a prompt. Where
 * chat->reply_tokens is 0 each service has its own bound: OpenAI's is 16 tokens.
 *
 * Journal, progress and statuses as ts_evaluator_run; the journal belongs to these prompts and templates, and to raw completions or to others alone. Records
 * are added once every reply is there; *report (may be NULL) is set also after a stop. INVALID_ARGUMENT: no prompt, one that is not valid, or the judging
 * has begun.
 */
TS_API ts_status ts_evaluator_complete(ts_evaluator *evaluator, const ts_record *const *prompts, size_t count, const ts_completer_options *options, ts_progress progress,
                                       void *progress_user, ts_completer_report *report);

/* ---- prompts ---- */

typedef struct ts_prompts ts_prompts;

/*
 * Reads beginnings of stories. A file whose first line, behind any that are empty or begin with "#", is "---" or begins with "- " is YAML: a list of strings, plain, quoted or as blocks (| and >),
 * as the paper's authors published theirs. Other text is divided at every <|endoftext|>; without any at lines that are empty, and without these at every line.
 * Each is trimmed of ASCII white space, empty ones are dropped. FORMAT names the line; INVALID_ARGUMENT: there is none at all.
 */
TS_API ts_status ts_prompts_open(ts_prompts **out, ts_runtime *runtime, const char *path);
TS_API void ts_prompts_free(ts_prompts *prompts);
TS_API size_t ts_prompts_count(const ts_prompts *prompts);
/* NUL-terminated, borrowed from the prompts; NULL beyond the last. *size (may be NULL) in bytes. */
TS_API const char *ts_prompts_get(const ts_prompts *prompts, size_t index, size_t *size);

#ifdef __cplusplus
}
#endif

#endif

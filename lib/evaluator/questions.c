/* Short prompts with their answers, and the rule that marks completions by them. */
#include "tinystories/study.h"

#include "base/base.h"
#include "text/text.h"

enum { MOST_FILE = 16 << 20 };

static const char *const kind_names[TS_QUESTION_COUNT] = {"other", "fact", "reasoning", "context"};
static const char *const mark_names[TS_MARK_COUNT] = {"none", "right", "partly", "wrong"};

const char *ts_question_name(uint32_t kind)
{
    return kind < TS_QUESTION_COUNT ? kind_names[kind] : NULL;
}

const char *ts_mark_name(uint32_t mark)
{
    return mark < TS_MARK_COUNT ? mark_names[mark] : NULL;
}

/* Parts of the file's text. */
typedef struct question {
    const char *prompt;
    size_t size, first, count; /* of the answers */
    uint32_t kind;
} question;

typedef struct answer {
    const char *text;
    size_t size;
    uint32_t mark;
} answer;

struct ts_questions {
    ts_runtime *runtime;
    char *text; /* the file, with NULs behind prompts */
    question *items;
    size_t count, capacity;
    answer *answers;
    size_t answer_count, answer_capacity;
};

/* ---- words ---- */

/* Whether the words of `text` begin with all of those of `sought`. */
static bool begins_with(const char *text, size_t size, const char *sought, size_t sought_size)
{
    const char *word, *other;
    size_t word_size, other_size;
    while (ts_plain_word(&sought, &sought_size, &word, &word_size))
        if (!ts_plain_word(&text, &size, &other, &other_size) || ts_plain_word_hash(word, word_size) != ts_plain_word_hash(other, other_size))
            return false;
    return true;
}

static bool holds(const char *text, size_t size, const answer *a)
{
    const char *word;
    size_t word_size;
    for (;;) {
        if (begins_with(text, size, a->text, a->size))
            return true; /* an answer has a word, so the empty rest begins with none */
        if (!ts_plain_word(&text, &size, &word, &word_size))
            return false;
    }
}

/* ---- reading ---- */

static ts_status fail_line(const char *path, size_t line, const char *what)
{
    return ts_fail(TS_ERROR_FORMAT, "%s: line %zu: %s", path, line, what);
}

static ts_status add_answer(ts_questions *q, uint32_t mark, const char *text, size_t size, const char *path, size_t line)
{
    const char *word, *rest = text;
    size_t word_size, left = size;
    if (!ts_plain_word(&rest, &left, &word, &word_size))
        return fail_line(path, line, "an answer has no word");
    question *last = &q->items[q->count - 1];
    for (size_t i = last->first; i < q->answer_count; i++) {
        const answer *other = &q->answers[i];
        if (begins_with(text, size, other->text, other->size) && begins_with(other->text, other->size, text, size))
            return fail_line(path, line, "an answer is there twice");
    }
    TS_TRY(ts_reserve(q->runtime, &q->answers, &q->answer_capacity, q->answer_count + 1, sizeof *q->answers));
    q->answers[q->answer_count++] = (answer){text, size, mark};
    last->count++;
    return TS_OK;
}

static ts_status add_answers(ts_questions *q, const char *text, size_t size, const char *path, size_t line)
{
    uint32_t mark = *text == '+' ? TS_MARK_RIGHT : *text == '-' ? TS_MARK_WRONG : TS_MARK_PARTLY;
    const char *end = text + size;
    if (q->count == 0)
        return fail_line(path, line, "an answer without a prompt before it");
    if (size == 1)
        return fail_line(path, line, "an answer has no word");
    for (text += 2; text < end;) {
        const char *next = memchr(text, ';', (size_t)(end - text));
        next = next ? next : end;
        TS_TRY(add_answer(q, mark, text, (size_t)(next - text), path, line));
        text = next < end ? next + 1 : end;
    }
    return TS_OK;
}

static ts_status read_kind(uint32_t *kind, const char *text, size_t size, const char *path, size_t line)
{
    ts_trim(&text, &size);
    for (*kind = 0; *kind < TS_QUESTION_COUNT; ++*kind)
        if (strlen(kind_names[*kind]) == size && memcmp(kind_names[*kind], text, size) == 0)
            return TS_OK;
    return fail_line(path, line, "an unknown kind, expected fact, reasoning, context or other");
}

/* A line, trimmed. */
static ts_status read_line(ts_questions *q, char *text, size_t size, uint32_t *kind, const char *path, size_t line)
{
    bool marked = size == 1 || (size > 1 && text[1] == ' '); /* a sign alone had a space behind it, or should have */
    if (size == 0 || (*text == '#' && (size == 1 || text[1] == ' ')))
        return TS_OK;
    if (marked && *text == '=')
        return read_kind(kind, text + 1, size - 1, path, line);
    if (marked && strchr("+-~", *text))
        return add_answers(q, text, size, path, line);
    TS_TRY(ts_reserve(q->runtime, &q->items, &q->capacity, q->count + 1, sizeof *q->items));
    text[size] = 0; /* a newline, white space, or the NUL behind the file */
    q->items[q->count++] = (question){text, size, q->answer_count, 0, *kind};
    return TS_OK;
}

static ts_status read_all(ts_questions *q, size_t size, const char *path)
{
    uint32_t kind = TS_QUESTION_OTHER;
    size_t number = 0;
    if (!ts_utf8_valid(q->text, size) || memchr(q->text, 0, size))
        return ts_fail(TS_ERROR_FORMAT, "%s: is not UTF-8, or has a NUL in it", path);
    size_t mark = size >= 3 && memcmp(q->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (char *line = q->text + mark, *end = q->text + size, *next; line < end; line = next) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *text = line;
        size_t length = (size_t)((newline ? newline : end) - line);
        next = newline ? newline + 1 : end;
        ts_trim(&text, &length);
        TS_TRY(read_line(q, q->text + (text - q->text), length, &kind, path, ++number));
    }
    return q->count > 0 ? TS_OK : ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: there is no prompt in it", path);
}

ts_status ts_questions_open(ts_questions **out, ts_runtime *runtime, const char *path)
{
    ts_runtime *acquired;
    size_t size = 0;
    if (!out || !path)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_questions_open: %s is NULL", out ? "path" : "out");
    TS_TRY(ts_runtime_acquire(&acquired, runtime));
    ts_questions *q = ts_allocate(acquired, sizeof *q);
    if (!q) {
        ts_runtime_release(acquired);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    q->runtime = acquired;
    ts_status status = ts_file_read(acquired, path, MOST_FILE, &q->text, &size);
    if (status == TS_OK)
        status = read_all(q, size, path);
    if (status != TS_OK)
        ts_questions_free(q);
    else
        *out = q;
    return status;
}

void ts_questions_free(ts_questions *q)
{
    if (!q)
        return;
    ts_runtime *runtime = q->runtime;
    ts_release(runtime, q->text);
    ts_release(runtime, q->items);
    ts_release(runtime, q->answers);
    ts_release(runtime, q);
    ts_runtime_release(runtime);
}

/* ---- what is there ---- */

size_t ts_questions_count(const ts_questions *questions)
{
    return questions ? questions->count : 0;
}

static ts_status find(const question **out, const ts_questions *q, size_t index, const void *argument, const char *function)
{
    if (!q || !argument)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: %s is NULL", function, q ? "an argument" : "questions");
    if (index >= q->count)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "there is no question %zu of %zu", index, q->count);
    *out = &q->items[index];
    return TS_OK;
}

ts_status ts_questions_get(const ts_questions *questions, size_t index, ts_question *out)
{
    const question *q = NULL;
    TS_TRY(find(&q, questions, index, out, "ts_questions_get"));
    ts_question got = {.struct_size = sizeof got, .prompt = q->prompt, .prompt_size = q->size, .kind = q->kind, .answers = (uint32_t)q->count};
    return ts_report_write(out, &got, sizeof got, "ts_question");
}

ts_status ts_questions_mark(const ts_questions *questions, size_t index, const char *completion, size_t size, uint32_t *mark)
{
    const question *q = NULL;
    const char *sentence;
    size_t length;
    bool found[TS_MARK_COUNT] = {false};
    TS_TRY(find(&q, questions, index, mark, "ts_questions_mark"));
    if (!completion && size > 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_questions_mark: completion is NULL, but has %zu bytes", size);
    *mark = TS_MARK_NONE;
    if (!completion || !ts_sentence(&completion, &size, &sentence, &length))
        return TS_OK;
    for (size_t i = 0; i < q->count; i++) {
        const answer *a = &questions->answers[q->first + i];
        found[a->mark] = found[a->mark] || holds(sentence, length, a);
    }
    if (found[TS_MARK_WRONG])
        *mark = found[TS_MARK_RIGHT] ? TS_MARK_PARTLY : TS_MARK_WRONG;
    else if (found[TS_MARK_RIGHT] || found[TS_MARK_PARTLY])
        *mark = found[TS_MARK_RIGHT] ? TS_MARK_RIGHT : TS_MARK_PARTLY;
    return TS_OK;
}

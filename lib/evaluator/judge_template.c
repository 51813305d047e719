/* What the chat judge is asked: texts by name out of a file, with a record's texts in their places. The form is told in judge.txt. */
#include "evaluator/chat_judge.h"

#include "text/text.h"

enum { MOST_FILE = 1 << 20 };

static const char *const text_names[TS_JUDGE_TEXTS] = {"assess",  "grade", "assess instruction", "grade instruction",
                                                       "compare", "mark",  "complete",           "complete instruction"};
static const char *const placeholders[] = {"beginning", "completion", "fence", "words", "sentence", "features", "summary", "first", "second"};
enum { BEGINNING, COMPLETION, FENCE, WORDS, SENTENCE, FEATURES, SUMMARY, FIRST, SECOND };

static bool is(const char *name, size_t size, const char *other)
{
    return strlen(other) == size && memcmp(name, other, size) == 0;
}

static size_t place_of(const char *name, size_t size)
{
    size_t place = 0;
    while (place < TS_COUNT_OF(placeholders) && !is(name, size, placeholders[place]))
        place++;
    return place;
}

static bool is_known(void *user, const char *name, size_t size)
{
    (void)user;
    return place_of(name, size) < TS_COUNT_OF(placeholders);
}

/* ---- reading ---- */

static ts_status fail_line(const char *name, size_t line, const char *what)
{
    return ts_fail(TS_ERROR_FORMAT, "%s: line %zu: %s", name, line, what);
}

/* The text that a heading "= name" begins; TS_JUDGE_TEXTS: it is no such name, or one that the file had before. */
static ts_status find_text(size_t *found, const char *heading, size_t length, uint32_t seen, const char *name, size_t line)
{
    const char *title = heading + 2;
    size_t size = length - 2;
    ts_trim(&title, &size);
    for (*found = 0; *found < TS_JUDGE_TEXTS && !is(title, size, text_names[*found]);)
        ++*found;
    if (*found == TS_JUDGE_TEXTS)
        return fail_line(
            name, line,
            "an unknown heading, expected assess, grade, assess instruction, grade instruction, compare, mark, complete or complete instruction");
    return seen >> *found & 1 ? fail_line(name, line, "this heading is there twice") : TS_OK;
}

/* Takes the texts that are not there yet. */
static ts_status read_texts(ts_judge_template *judge, const char *text, size_t size, const char *name)
{
    const char *end = text + size, *begin = text;
    size_t number = 0, found = TS_JUDGE_TEXTS, wanted = TS_JUDGE_TEXTS;
    uint32_t seen = 0;
    for (const char *line = text, *next; line <= end; line = next) {
        const char *newline = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
        size_t length = (size_t)((newline ? newline : end) - line);
        bool heading = length > 2 && line[0] == '=' && line[1] == ' ';
        next = newline ? newline + 1 : end + 1;
        number++;
        if ((heading || next > end) && wanted < TS_JUDGE_TEXTS) {
            judge->texts[wanted].text = begin;
            judge->texts[wanted].size = (size_t)((heading ? line : end) - begin);
            ts_trim(&judge->texts[wanted].text, &judge->texts[wanted].size);
        }
        if (!heading && found == TS_JUDGE_TEXTS && length > 0 && line[0] != '#' && line[0] != '\r')
            return fail_line(name, number, "text before the first heading '= name'");
        if (!heading)
            continue;
        TS_TRY(find_text(&found, line, length, seen, name, number));
        seen |= 1u << found;
        wanted = judge->texts[found].text ? TS_JUDGE_TEXTS : found; /* an earlier file's stays */
        begin = next;
    }
    return TS_OK;
}

static ts_status check_texts(const ts_judge_template *judge, const char *name)
{
    ts_template_names names = {.known = is_known, .expected = "beginning, completion, fence, words, sentence, features, summary, first or second"};
    for (size_t i = 0; i < TS_JUDGE_TEXTS; i++) {
        const char *text = judge->texts[i].text;
        size_t size = judge->texts[i].size;
        if (size == 0)
            return ts_fail(TS_ERROR_FORMAT, "%s: the text '%s' is empty", name, text_names[i]);
        names.what = text_names[i];
        TS_TRY(ts_template_check(text, size, name, &names));
    }
    return TS_OK;
}

ts_status ts_judge_template_read(ts_judge_template *judge, ts_runtime *runtime, const char *path)
{
    const char *name = path ? path : "the built-in templates";
    size_t size;
    *judge = (ts_judge_template){.runtime = runtime};
    ts_status status = path ? ts_file_read(runtime, path, MOST_FILE, &judge->file, &size) : TS_OK;
    if (status == TS_OK && path)
        status = read_texts(judge, judge->file, size, path);
    if (status == TS_OK)
        status = ts_unpack(runtime, &ts_judge_data, &judge->built_in);
    if (status == TS_OK)
        status = read_texts(judge, judge->built_in, ts_judge_data.size, "the built-in templates");
    if (status == TS_OK)
        status = check_texts(judge, name);
    if (status != TS_OK)
        ts_judge_template_free(judge);
    return status;
}

uint64_t ts_judge_template_hash(const ts_judge_template *judge, uint32_t first, uint32_t end)
{
    uint64_t hash = 0;
    for (uint32_t i = first; i < end; i++) {
        const uint64_t size = judge->texts[i].size;
        hash = ts_hash(&size, sizeof size, hash);
        hash = ts_hash(judge->texts[i].text, size, hash);
    }
    return hash;
}

void ts_judge_template_free(ts_judge_template *judge)
{
    ts_release(judge->runtime, judge->file);
    ts_release(judge->runtime, judge->built_in);
    *judge = (ts_judge_template){.runtime = judge->runtime};
}

/* ---- writing ---- */

typedef struct writing {
    const char *places[TS_COUNT_OF(placeholders)];
    char fence[32];
} writing;

static ts_status say(void *user, const char *name, size_t size, ts_bytes *out)
{
    const writing *w = user;
    const char *text = w->places[place_of(name, size)];
    return text ? ts_bytes_add(out, text, strlen(text)) : TS_OK;
}

/* Draws words until one is in none of the record's texts, so that no text can end its fence. */
static void draw_fence(writing *w, uint64_t hash, uint64_t seed)
{
    static const char letters[] = "bcdfghjklmnpqrst"; /* no digits: a fence is never taken for a grade */
    bool inside = true;
    for (uint64_t counter = 0; inside; counter++) {
        uint64_t drawn = ts_random_at(seed, hash, counter);
        for (size_t i = 0; i < 16; i++)
            w->fence[i] = letters[drawn >> 4 * i & 15];
        inside = false;
        for (size_t i = 0; i < TS_COUNT_OF(w->places); i++)
            inside = inside || (w->places[i] && strstr(w->places[i], w->fence));
    }
}

static writing writing_of(const ts_record *r)
{
    return (writing){.places = {[BEGINNING] = r->prompt,
                                [COMPLETION] = r->completion,
                                [WORDS] = r->words,
                                [SENTENCE] = r->sentence,
                                [FEATURES] = r->features,
                                [SUMMARY] = r->summary}};
}

static ts_status write_text(const ts_judge_template *judge, size_t text, writing *w, uint64_t hash, uint64_t seed, ts_bytes *out)
{
    ts_template_names names = {.user = w, .say = say};
    draw_fence(w, hash, seed);
    w->places[FENCE] = w->fence;
    return ts_template_write(judge->texts[text].text, judge->texts[text].size, &names, out);
}

ts_status ts_judge_template_write(const ts_judge_template *judge, const ts_kept_record *record, uint64_t seed, uint32_t turn, ts_bytes *out)
{
    writing w = writing_of(&record->fields);
    return write_text(judge, turn + (ts_record_is_instructed(&record->fields) ? (size_t)TS_JUDGE_TURNS : 0), &w, record->hash, seed, out);
}

ts_status ts_judge_template_compare(const ts_judge_template *judge, const ts_kept_record *first, const ts_kept_record *second, uint64_t seed,
                                    ts_bytes *out)
{
    const uint64_t hashes[] = {first->hash, second->hash};
    writing w = writing_of(&first->fields);
    w.places[COMPLETION] = NULL;
    w.places[FIRST] = first->fields.completion;
    w.places[SECOND] = second->fields.completion;
    return write_text(judge, TS_JUDGE_COMPARE, &w, ts_hash(hashes, sizeof hashes, 0), seed, out);
}

ts_status ts_judge_template_mark(const ts_judge_template *judge, const ts_kept_record *record, uint64_t seed, ts_bytes *out)
{
    writing w = writing_of(&record->fields);
    return write_text(judge, TS_JUDGE_MARK, &w, record->hash, seed, out);
}

ts_status ts_judge_template_complete(const ts_judge_template *judge, const ts_kept_record *record, ts_bytes *out)
{
    writing w = writing_of(&record->fields);
    return write_text(judge, ts_record_is_instructed(&record->fields) ? TS_JUDGE_COMPLETE_INSTRUCTION : TS_JUDGE_COMPLETE, &w, record->hash, 0, out);
}

/* Records: kept as one block each, read from JSON lines. */
#include "evaluator/evaluator.h"
#include "evaluator/measures.h"

#include "tinystories/diversity.h"

#include "format/json.h"
#include "text/text.h"

/* What is looked for is compared with all of a text: bounds keep a hostile record from taking long. */
enum { MOST_RECORD = 256 << 10, MOST_ASKED = 1000, MOST_MODELS = 4096, STRINGS = 7 };

/* ---- keeping ---- */

/* The strings of a record, in the order in which they are kept. */
static void strings_of(const ts_record *record, const char *strings[STRINGS], size_t sizes[STRINGS])
{
    const char *const all[STRINGS] = {record->prompt,   record->completion, record->model,  record->words,
                                      record->sentence, record->features,   record->summary};
    for (size_t i = 0; i < STRINGS; i++) {
        strings[i] = all[i];
        sizes[i] = i == 0 ? record->prompt_size : i == 1 ? record->completion_size : all[i] ? strlen(all[i]) : 0;
    }
}

/* Copies what a model wrote, with U+FFFD for bytes that are no UTF-8 and for NULs; `out` NULL: counts alone. Gives the size. */
static size_t clean(char *out, const char *text, size_t size)
{
    size_t written = 0;
    while (size > 0) {
        uint32_t code;
        char instead[4];
        size_t length = ts_utf8_decode(text, size, &code), put = length;
        const char *from = text;
        if (code == TS_UTF8_INVALID || code == 0) {
            put = ts_utf8_encode(0xfffd, instead);
            from = instead;
        }
        if (out)
            memcpy(out + written, from, put);
        written += put;
        text += length;
        size -= length;
    }
    return written;
}

enum { COMPLETION = 1, MODEL = 2, WORDS = 3 };

static ts_status check_strings(const char *const strings[STRINGS], const size_t sizes[STRINGS], size_t *total)
{
    static const char *const names[STRINGS] = {"prompt", "completion", "model", "words", "sentence", "features", "summary"};
    *total = 0;
    for (size_t i = 0; i < STRINGS; i++) {
        if (!strings[i] && sizes[i] > 0)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the record's %s is NULL, but has %zu bytes", names[i], sizes[i]);
        if (sizes[i] > MOST_RECORD || (*total += (i == COMPLETION ? clean(NULL, strings[i], sizes[i]) : sizes[i]) + 1) > MOST_RECORD)
            return ts_fail(TS_ERROR_LIMIT, "the record has more than %d bytes", MOST_RECORD);
        if (i != COMPLETION && sizes[i] > 0 && (!ts_utf8_valid(strings[i], sizes[i]) || memchr(strings[i], 0, sizes[i])))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the record's %s is not UTF-8, or has a NUL in it", names[i]);
        if (i >= WORDS && sizes[i] > 0 && ts_plain_word_count(strings[i], sizes[i]) > MOST_ASKED)
            return ts_fail(TS_ERROR_LIMIT, "the record's %s has more than %d words", names[i], MOST_ASKED);
    }
    return TS_OK;
}

static ts_status find_model(ts_evaluator *e, const char *name, uint32_t *index)
{
    size_t size = strlen(name) + 1;
    for (size_t i = e->model_count; i > 0; i--)
        if (strcmp(e->models[i - 1], name) == 0) {
            *index = (uint32_t)i - 1;
            return TS_OK;
        }
    if (e->model_count >= MOST_MODELS)
        return ts_fail(TS_ERROR_LIMIT, "there are records of %d models already", MOST_MODELS);
    TS_TRY(ts_reserve(e->runtime, &e->models, &e->model_capacity, e->model_count + 1, sizeof *e->models));
    e->models[e->model_count] = ts_allocate(e->runtime, size);
    if (!e->models[e->model_count])
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(e->models[e->model_count], name, size);
    *index = (uint32_t)e->model_count++;
    return TS_OK;
}

/* Copies the strings into one block; what was NULL stays NULL but for prompt, completion and model. */
static void copy_strings(ts_kept_record *kept, const char *const strings[STRINGS], size_t sizes[STRINGS])
{
    const char *copies[STRINGS];
    char *at = kept->memory;
    for (size_t i = 0; i < STRINGS; i++) {
        if (i == COMPLETION)
            sizes[i] = clean(at, strings[i], sizes[i]);
        else if (sizes[i] > 0)
            memcpy(at, strings[i], sizes[i]);
        at[sizes[i]] = 0;
        copies[i] = sizes[i] > 0 || i < 3 ? at : NULL;
        kept->hash = ts_hash(at, sizes[i] + 1, kept->hash);
        if (i != COMPLETION && i != MODEL)
            kept->group = ts_hash(at, sizes[i] + 1, kept->group);
        at += sizes[i] + 1;
    }
    kept->fields = (ts_record){.struct_size = sizeof kept->fields,
                               .prompt = copies[0],
                               .prompt_size = sizes[0],
                               .completion = copies[1],
                               .completion_size = sizes[1],
                               .model = copies[2],
                               .words = copies[3],
                               .sentence = copies[4],
                               .features = copies[5],
                               .summary = copies[6]};
}

static bool is_cut(const ts_evaluator *e, const char *model)
{
    for (size_t i = 0; i < e->cut_count; i++)
        if (strcmp(e->cut_models[i], model) == 0)
            return true;
    return e->cut_count == 0;
}

/* What is found in a record by looking at it. */
static ts_status look_at(ts_evaluator *e, ts_kept_record *kept)
{
    const ts_record *r = &kept->fields;
    kept->words = (uint32_t)ts_plain_word_count(r->completion, r->completion_size);
    TS_TRY(ts_suspicion_find(e->runtime, r->completion, r->completion_size, &kept->suspicion));
    return ts_measure_followed(e->runtime, r, &kept->followed);
}

ts_status ts_records_add(ts_evaluator *e, const ts_record *record)
{
    const char *strings[STRINGS];
    size_t sizes[STRINGS], total;
    ts_kept_record kept = {.hash = 0};
    strings_of(record, strings, sizes);
    if (e->options.cut > 0 && strings[COMPLETION] && is_cut(e, strings[MODEL] ? strings[MODEL] : ""))
        TS_TRY(ts_repeat_cut(e->runtime, strings[COMPLETION], sizes[COMPLETION], e->options.cut, &sizes[COMPLETION]));
    TS_TRY(check_strings(strings, sizes, &total));
    if (e->count >= TS_MOST_RECORDS)
        return ts_fail(TS_ERROR_LIMIT, "there are %d records already", TS_MOST_RECORDS);
    TS_TRY(ts_reserve(e->runtime, &e->records, &e->capacity, e->count + 1, sizeof *e->records));
    kept.memory = ts_allocate(e->runtime, total);
    if (!kept.memory)
        return TS_ERROR_OUT_OF_MEMORY;
    copy_strings(&kept, strings, sizes);
    ts_status status = look_at(e, &kept);
    status = status ? status : find_model(e, kept.fields.model, &kept.model);
    if (status != TS_OK)
        ts_release(e->runtime, kept.memory);
    else
        e->records[e->count++] = kept;
    return status;
}

uint64_t ts_records_hash(const ts_evaluator *e)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < e->count; i++)
        hash = ts_hash(&e->records[i].hash, sizeof e->records[i].hash, hash);
    return hash;
}

void ts_records_free(ts_evaluator *e)
{
    for (size_t i = 0; i < e->count; i++)
        ts_release(e->runtime, e->records[i].memory);
    for (size_t i = 0; i < e->model_count; i++)
        ts_release(e->runtime, e->models[i]);
    ts_release(e->runtime, e->records);
    ts_release(e->runtime, e->models);
}

/* ---- JSON lines ---- */

/* A string, or strings of an array joined by ", "; *out stays NULL where there is no such member. */
static ts_status read_member(const ts_json *object, const char *name, ts_bytes *joined, const char **out)
{
    const ts_json *member = ts_json_get(object, name);
    if (!member || ts_json_kind_of(member) == TS_JSON_NULL || (*out = ts_json_text(member)))
        return TS_OK;
    if (!joined || ts_json_kind_of(member) != TS_JSON_ARRAY)
        return ts_fail(TS_ERROR_FORMAT, "\"%s\" is no string%s", name, joined ? " and no array of strings" : "");
    joined->size = 0;
    for (const ts_json *item = ts_json_first(member); item; item = ts_json_next(item)) {
        const char *text = ts_json_text(item);
        if (!text)
            return ts_fail(TS_ERROR_FORMAT, "\"%s\" has an element that is no string", name);
        if (joined->size > 0)
            TS_TRY(ts_bytes_add(joined, ", ", 2));
        TS_TRY(ts_bytes_add(joined, text, strlen(text)));
    }
    *out = joined->size > 0 ? joined->data : NULL;
    return TS_OK;
}

static ts_status read_record(ts_evaluator *e, const ts_json *object, ts_bytes joined[2])
{
    ts_record r = {.struct_size = sizeof r};
    TS_TRY(read_member(object, "completion", NULL, &r.completion));
    if (!r.completion)
        TS_TRY(read_member(object, "story", NULL, &r.completion));
    if (!r.completion)
        return ts_fail(TS_ERROR_FORMAT, "has no \"completion\"");
    TS_TRY(read_member(object, "prompt", NULL, &r.prompt));
    TS_TRY(read_member(object, "model", NULL, &r.model));
    TS_TRY(read_member(object, "words", &joined[0], &r.words));
    TS_TRY(read_member(object, "features", &joined[1], &r.features));
    TS_TRY(read_member(object, "sentence", NULL, &r.sentence));
    TS_TRY(read_member(object, "summary", NULL, &r.summary));
    r.completion_size = strlen(r.completion);
    r.prompt_size = r.prompt ? strlen(r.prompt) : 0;
    return ts_records_add(e, &r);
}

static ts_status take_object(void *user, const ts_json *object)
{
    ts_evaluator *e = user;
    ts_bytes joined[2] = {{.runtime = e->runtime}, {.runtime = e->runtime}};
    ts_status status = read_record(e, object, joined);
    ts_bytes_free(&joined[0]);
    ts_bytes_free(&joined[1]);
    return status;
}

ts_status ts_records_read(ts_evaluator *e, const char *path)
{
    return ts_json_lines_read(e->runtime, path, take_object, e);
}

/* Templates of prompts: lists to draw from, and a text with placeholders. The form is told in prompt.txt. */
#include "generator/prompt.h"

#include "generator/data.h"
#include "text/text.h"
#include "tinystories/generator.h"

enum { MOST_TEMPLATE = 1 << 20 };

#define FIRST_OF_LISTS ((uint64_t)1 << 40) /* counters of draws that are not words or features */

/* ---- reading ---- */

static const char *const word_names[3] = {"verb", "noun", "adjective"};

static bool is(const char *name, size_t size, const char *other)
{
    return strlen(other) == size && memcmp(name, other, size) == 0;
}

static const ts_prompt_list *find_list(const ts_prompt *prompt, const char *name, size_t size)
{
    for (size_t i = 0; i < prompt->list_count; i++)
        if (prompt->lists[i].name_size == size && memcmp(prompt->lists[i].name, name, size) == 0)
            return &prompt->lists[i];
    return NULL;
}

static ts_status fail_line(const char *name, size_t line, const char *what)
{
    return ts_fail(TS_ERROR_FORMAT, "%s: line %zu: %s", name, line, what);
}

static ts_status begin_list(ts_prompt *prompt, const char *name, size_t size)
{
    TS_TRY(ts_reserve(prompt->runtime, &prompt->lists, &prompt->list_capacity, prompt->list_count + 1, sizeof *prompt->lists));
    prompt->lists[prompt->list_count++] = (ts_prompt_list){.name = name, .name_size = size, .first = prompt->entry_count};
    return TS_OK;
}

static ts_status add_entry(ts_prompt *prompt, const char *text, size_t size)
{
    TS_TRY(ts_reserve(prompt->runtime, &prompt->entries, &prompt->entry_capacity, prompt->entry_count + 1, sizeof *prompt->entries));
    prompt->entries[prompt->entry_count++] = (ts_prompt_entry){text, is(text, size, "-") ? 0 : size};
    prompt->lists[prompt->list_count - 1].count++;
    return TS_OK;
}

/* The prompt goes from its line to the next "= " or the end, trimmed. */
static void take_template(ts_prompt *prompt, const char *text, size_t size)
{
    ts_trim(&text, &size);
    prompt->template = text;
    prompt->template_size = size;
}

/* Reads a file's lists and prompt. What an earlier file gave already is passed over; what one file gives twice is a mistake. */
static ts_status read_sections(ts_prompt *prompt, const char *text, size_t size, const char *name)
{
    size_t number = 0, known = prompt->list_count;
    const char *end = text + size, *template = NULL;
    bool begun = false, skip = true, prompted = false; /* there was a heading; its list is not wanted; there was a prompt */
    for (const char *line = text, *next; line < end; line = next) {
        const char *newline = memchr(line, '\n', (size_t)(end - line)), *content = line;
        size_t length = (size_t)((newline ? newline : end) - line);
        next = newline ? newline + 1 : end;
        number++;
        ts_trim(&content, &length);
        bool heading = length > 2 && content == line && content[0] == '=' && content[1] == ' ';
        if (template && heading) {
            take_template(prompt, template, (size_t)(line - template));
            template = NULL;
        }
        if (template || length == 0 || line[0] == '#')
            continue;
        if (!heading && !skip) {
            TS_TRY(add_entry(prompt, content, length));
            continue;
        }
        if (!heading && begun)
            continue;
        if (!heading)
            return fail_line(name, number, "text before the first heading '= name'");
        begun = true;
        content += 2;
        length -= 2;
        ts_trim(&content, &length);
        const ts_prompt_list *before = find_list(prompt, content, length);
        if ((before && before >= prompt->lists + known) || (is(content, length, "prompt") && prompted))
            return fail_line(name, number, "this heading is there twice");
        prompted = prompted || is(content, length, "prompt");
        skip = before != NULL || is(content, length, "prompt");
        if (is(content, length, "prompt") && !prompt->template)
            template = next;
        else if (!skip)
            TS_TRY(begin_list(prompt, content, length));
    }
    if (template)
        take_template(prompt, template, (size_t)(end - template));
    return TS_OK;
}

/* A file without any heading is a prompt alone. */
static bool has_headings(const char *text, size_t size)
{
    for (const char *at = text, *end = text + size; at < end; at++) {
        if ((size_t)(end - at) > 2 && at[0] == '=' && at[1] == ' ')
            return true;
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at)
            break;
    }
    return false;
}

/* ---- the template ---- */

static bool known_placeholder(void *user, const char *name, size_t size)
{
    for (size_t i = 0; i < TS_COUNT_OF(word_names); i++)
        if (is(name, size, word_names[i]))
            return true;
    return is(name, size, "features") || find_list(user, name, size) != NULL;
}

static ts_status check_template(ts_prompt *prompt, const char *name)
{
    ts_template_names names = {
        .user = prompt, .known = known_placeholder, .expected = "verb, noun, adjective, features or a list of the file"};
    return ts_template_check(prompt->template, prompt->template_size, name, &names);
}

static ts_status check_lists(ts_prompt *prompt, const char *name)
{
    for (size_t i = 0; i < prompt->list_count; i++)
        if (prompt->lists[i].count == 0)
            return ts_fail(TS_ERROR_FORMAT, "%s: the list '%.*s' is empty", name, (int)TS_MIN(prompt->lists[i].name_size, (size_t)60),
                           prompt->lists[i].name);
    if (prompt->template_size == 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: there is no prompt", name);
    if (!ts_utf8_valid(prompt->template, prompt->template_size) || memchr(prompt->template, 0, prompt->template_size))
        return ts_fail(TS_ERROR_FORMAT, "%s: the prompt is not UTF-8, or has a NUL in it", name);
    return check_template(prompt, name);
}

static ts_status read_own(ts_prompt *prompt, const char *path)
{
    size_t size;
    TS_TRY(ts_file_read(prompt->runtime, path, MOST_TEMPLATE, &prompt->text, &size));
    prompt->fingerprint = ts_hash(prompt->text, size, 0);
    if (has_headings(prompt->text, size))
        return read_sections(prompt, prompt->text, size, path);
    take_template(prompt, prompt->text, size);
    return TS_OK;
}

ts_status ts_prompt_read(ts_prompt *prompt, ts_runtime *runtime, const char *path)
{
    const char *name = path ? path : "the built-in prompt";
    *prompt = (ts_prompt){.runtime = runtime};
    ts_status status = path ? read_own(prompt, path) : TS_OK;
    if (status == TS_OK)
        status = read_sections(prompt, ts_prompt_data, ts_prompt_data_size, "the built-in prompt");
    prompt->fingerprint = ts_hash(ts_prompt_data, ts_prompt_data_size, prompt->fingerprint);
    if (status == TS_OK)
        status = check_lists(prompt, name);
    if (status != TS_OK)
        ts_prompt_free(prompt);
    return status;
}

void ts_prompt_free(ts_prompt *prompt)
{
    ts_release(prompt->runtime, prompt->text);
    ts_release(prompt->runtime, prompt->lists);
    ts_release(prompt->runtime, prompt->entries);
    *prompt = (ts_prompt){.runtime = prompt->runtime};
}

/* ---- writing ---- */

/* An entry of a list: number `use` of the template's draws from it. */
static const ts_prompt_entry *draw_entry(const ts_prompt *prompt, const ts_prompt_list *list, uint64_t seed, uint64_t index)
{
    ts_random random = {seed, index, FIRST_OF_LISTS + ((uint64_t)(list - prompt->lists) << 8)};
    return &prompt->entries[list->first + ts_random_below(&random, list->count)];
}

typedef struct writing {
    const ts_prompt *prompt;
    const ts_drawn *drawn;
    uint64_t seed, index;
} writing;

static ts_status add_features(const writing *w, ts_bytes *out)
{
    const char *divider = "";
    for (uint32_t i = 0; i < TS_FEATURE_COUNT; i++) {
        const char *name = ts_feature_name(1u << i);
        const ts_prompt_list *list = find_list(w->prompt, name, strlen(name));
        if (!(w->drawn->features >> i & 1) || !list)
            continue;
        const ts_prompt_entry *entry = draw_entry(w->prompt, list, w->seed, w->index);
        TS_TRY(ts_bytes_add(out, divider, strlen(divider)));
        TS_TRY(ts_bytes_add(out, entry->text, entry->size));
        divider = "; ";
    }
    return TS_OK;
}

static ts_status say_placeholder(void *user, const char *name, size_t size, ts_bytes *out)
{
    const writing *w = user;
    for (size_t i = 0; i < TS_COUNT_OF(word_names); i++)
        if (is(name, size, word_names[i]))
            return ts_bytes_add(out, w->drawn->words[i]->base, strlen(w->drawn->words[i]->base));
    if (is(name, size, "features"))
        return add_features(w, out);
    const ts_prompt_entry *entry = draw_entry(w->prompt, find_list(w->prompt, name, size), w->seed, w->index);
    return ts_bytes_add(out, entry->text, entry->size);
}

ts_status ts_prompt_write(const ts_prompt *prompt, const ts_drawn *drawn, uint64_t seed, uint64_t index, ts_bytes *out)
{
    writing w = {prompt, drawn, seed, index};
    ts_template_names names = {.user = &w, .say = say_placeholder};
    return ts_template_write(prompt->template, prompt->template_size, &names, out);
}

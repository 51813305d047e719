/* Templates of prompts: lists to draw from, and a text with placeholders. The form is told in prompt.txt. */
#include "generator/prompt.h"

#include "generator/data.h"
#include "text/text.h"
#include "tinystories/generator.h"

enum { MOST_TEMPLATE = 1 << 20 };

#define FIRST_OF_LISTS ((uint64_t)1 << 40) /* counters of draws that are not words or features */

/* ---- reading ---- */

static const char *const word_names[TS_DRAWN_COUNT] = {"verb", "noun", "adjective"};
static const char *const template_names[TS_TEMPLATE_COUNT] = {"prompt", "varied", "several"};
static const char *const frame_names[] = {"count", "divider", "stories"}; /* placeholders of the template "several" */

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
    if (prompt->list_count == TS_PROMPT_MOST_LISTS)
        return ts_fail(TS_ERROR_FORMAT, "a template has more than %d lists", TS_PROMPT_MOST_LISTS);
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

/* A template goes from its line to the next "= " or the end, trimmed. That of an earlier file stays. */
static void take_template(ts_prompt_entry *template, const char *text, size_t size)
{
    if (template->text)
        return;
    ts_trim(&text, &size);
    *template = (ts_prompt_entry){text, size};
}

/* The number of a name, `count` if it is none of these. */
static size_t find_name(const char *const *names, size_t count, const char *name, size_t size)
{
    size_t i = 0;
    while (i < count && !is(name, size, names[i]))
        i++;
    return i;
}

/* A file while its lines are read. */
typedef struct sections {
    ts_prompt *prompt;
    const char *name;
    size_t number, known;         /* of the line; lists of an earlier file, which are passed over */
    size_t open;                  /* the template that is read, TS_TEMPLATE_COUNT: none */
    const char *start;            /* of its text */
    bool begun, skip;             /* there was a heading; what stands below it is not wanted */
    bool seen[TS_TEMPLATE_COUNT]; /* in this file */
} sections;

static void close_template(sections *s, const char *end)
{
    if (s->open < TS_TEMPLATE_COUNT)
        take_template(&s->prompt->templates[s->open], s->start, (size_t)(end - s->start));
    s->open = TS_TEMPLATE_COUNT;
}

static ts_status read_heading(sections *s, const char *name, size_t size, const char *next)
{
    size_t template = find_name(template_names, TS_TEMPLATE_COUNT, name, size);
    const ts_prompt_list *before = find_list(s->prompt, name, size);
    if ((before && before >= s->prompt->lists + s->known) || (template < TS_TEMPLATE_COUNT && s->seen[template]))
        return fail_line(s->name, s->number, "this heading is there twice");
    s->begun = true;
    s->skip = before != NULL;
    if (template == TS_TEMPLATE_COUNT)
        return before ? TS_OK : begin_list(s->prompt, name, size);
    s->seen[template] = true;
    s->open = template;
    s->start = next;
    return TS_OK;
}

/* Reads a file's lists and templates. What an earlier file gave already is passed over; what one file gives twice is a mistake. */
static ts_status read_sections(ts_prompt *prompt, const char *text, size_t size, const char *name)
{
    sections s = {.prompt = prompt, .name = name, .known = prompt->list_count, .open = TS_TEMPLATE_COUNT};
    const char *end = text + size;
    for (const char *line = text, *next; line < end; line = next) {
        const char *newline = memchr(line, '\n', (size_t)(end - line)), *content = line;
        size_t length = (size_t)((newline ? newline : end) - line);
        next = newline ? newline + 1 : end;
        s.number++;
        ts_trim(&content, &length);
        if (length > 2 && content == line && content[0] == '=' && content[1] == ' ') {
            close_template(&s, line);
            content += 2;
            length -= 2;
            ts_trim(&content, &length);
            TS_TRY(read_heading(&s, content, length, next));
        } else if (s.open < TS_TEMPLATE_COUNT || length == 0 || line[0] == '#') {
            continue;
        } else if (!s.begun) {
            return fail_line(name, s.number, "text before the first heading '= name'");
        } else if (!s.skip) {
            TS_TRY(add_entry(prompt, content, length));
        }
    }
    close_template(&s, end);
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

/* ---- the templates ---- */

/* What a placeholder may be called: a drawn word, the features, a list; or what frames several stories. */
static bool is_known(const ts_prompt *prompt, size_t template, const char *name, size_t size)
{
    if (template == TS_TEMPLATE_SEVERAL)
        return find_name(frame_names, TS_COUNT_OF(frame_names), name, size) < TS_COUNT_OF(frame_names);
    return is(name, size, "features") || find_name(word_names, TS_COUNT_OF(word_names), name, size) < TS_COUNT_OF(word_names) ||
           find_list(prompt, name, size) != NULL;
}

typedef struct checking {
    const ts_prompt *prompt;
    size_t template;
} checking;

static bool known_placeholder(void *user, const char *name, size_t size)
{
    const checking *c = user;
    return is_known(c->prompt, c->template, name, size);
}

static ts_status check_template(const ts_prompt *prompt, size_t number, const char *name)
{
    const ts_prompt_entry *template = &prompt->templates[number];
    const char *what = template_names[number];
    checking c = {prompt, number};
    ts_template_names names = {.user = &c, .known = known_placeholder, .what = what};
    names.expected = number == TS_TEMPLATE_SEVERAL ? "count, divider or stories" : "verb, noun, adjective, features or a list of the file";
    if (template->size == 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: there is no %s", name, what);
    return ts_template_check(template->text, template->size, name, &names);
}

static ts_status check_lists(const ts_prompt *prompt, const char *name)
{
    for (size_t i = 0; i < prompt->list_count; i++)
        if (prompt->lists[i].count == 0)
            return ts_fail(TS_ERROR_FORMAT, "%s: the list '%.*s' is empty", name, (int)TS_MIN(prompt->lists[i].name_size, (size_t)60),
                           prompt->lists[i].name);
    for (size_t i = 0; i < TS_TEMPLATE_COUNT; i++)
        TS_TRY(check_template(prompt, i, name));
    return TS_OK;
}

static ts_status read_own(ts_prompt *prompt, const char *path)
{
    size_t size;
    TS_TRY(ts_file_read(prompt->runtime, path, MOST_TEMPLATE, &prompt->text, &size));
    prompt->fingerprint = ts_hash(prompt->text, size, 0);
    if (has_headings(prompt->text, size))
        return read_sections(prompt, prompt->text, size, path);
    take_template(&prompt->templates[TS_TEMPLATE_PAPER], prompt->text, size);
    return TS_OK;
}

ts_status ts_prompt_read(ts_prompt *prompt, ts_runtime *runtime, const char *path)
{
    const char *name = path ? path : "the built-in prompt";
    *prompt = (ts_prompt){.runtime = runtime};
    ts_status status = path ? read_own(prompt, path) : TS_OK;
    if (status == TS_OK)
        status = ts_unpack(runtime, &ts_prompt_data, &prompt->built_in);
    if (status == TS_OK) {
        prompt->fingerprint = ts_hash(prompt->built_in, ts_prompt_data.size, prompt->fingerprint);
        status = read_sections(prompt, prompt->built_in, ts_prompt_data.size, "the built-in prompt");
    }
    if (status == TS_OK)
        status = check_lists(prompt, name);
    if (status != TS_OK)
        ts_prompt_free(prompt);
    return status;
}

void ts_prompt_free(ts_prompt *prompt)
{
    ts_release(prompt->runtime, prompt->text);
    ts_release(prompt->runtime, prompt->built_in);
    ts_release(prompt->runtime, prompt->lists);
    ts_release(prompt->runtime, prompt->entries);
    *prompt = (ts_prompt){.runtime = prompt->runtime};
}

/* ---- writing ---- */

static const ts_prompt_entry *draw_entry(const ts_prompt *prompt, const ts_prompt_list *list, const ts_asked *asked)
{
    ts_random random = {asked->seed, asked->index, FIRST_OF_LISTS + ((uint64_t)(list - prompt->lists) << 8)};
    return &prompt->entries[list->first + ts_random_below(&random, list->count)];
}

static ts_status add_features(const ts_prompt *prompt, const ts_asked *asked, ts_bytes *out)
{
    const char *divider = "";
    for (uint32_t i = 0; i < TS_FEATURE_COUNT; i++) {
        const char *name = ts_feature_name(1u << i);
        const ts_prompt_list *list = find_list(prompt, name, strlen(name));
        if (!(asked->drawn->features >> i & 1) || !list)
            continue;
        const ts_prompt_entry *entry = draw_entry(prompt, list, asked);
        TS_TRY(ts_bytes_add(out, divider, strlen(divider)));
        TS_TRY(ts_bytes_add(out, entry->text, entry->size));
        divider = "; ";
    }
    return TS_OK;
}

/* The prompts of several stories, numbered. */
static ts_status add_stories(const ts_prompt *prompt, const ts_asked *asked, size_t count, ts_bytes *out)
{
    for (size_t i = 0; i < count; i++) {
        TS_TRY(ts_bytes_format(out, "%sStory %zu. ", i > 0 ? "\n\n" : "", i + 1));
        TS_TRY(ts_prompt_write(prompt, &asked[i], out));
    }
    return TS_OK;
}

typedef struct filling {
    const ts_prompt *prompt;
    const ts_asked *asked;
    size_t count; /* 0: the template is of one story's prompt, else the frame of so many */
} filling;

/* `count` 0: the placeholder is of one story's prompt, else of the frame of so many. */
static ts_status add_placeholder(const ts_prompt *prompt, const ts_asked *asked, size_t count, const char *name, size_t size, ts_bytes *out)
{
    size_t word = find_name(word_names, TS_COUNT_OF(word_names), name, size);
    if (count > 0 && is(name, size, "count"))
        return ts_bytes_format(out, "%zu", count);
    if (count > 0 && is(name, size, "divider"))
        return ts_bytes_format(out, "%s", TS_PROMPT_DIVIDER);
    if (count > 0)
        return add_stories(prompt, asked, count, out);
    if (word < TS_COUNT_OF(word_names))
        return ts_bytes_format(out, "%s", asked->drawn->words[word]->base);
    if (is(name, size, "features"))
        return add_features(prompt, asked, out);
    const ts_prompt_entry *entry = draw_entry(prompt, find_list(prompt, name, size), asked);
    return ts_bytes_add(out, entry->text, entry->size);
}

static ts_status say_placeholder(void *user, const char *name, size_t size, ts_bytes *out)
{
    const filling *f = user;
    return add_placeholder(f->prompt, f->asked, f->count, name, size, out);
}

static ts_status fill_template(const ts_prompt *prompt, size_t number, const ts_asked *asked, size_t count, ts_bytes *out)
{
    filling f = {prompt, asked, count};
    ts_template_names names = {.user = &f, .say = say_placeholder};
    return ts_template_write(prompt->templates[number].text, prompt->templates[number].size, &names, out);
}

ts_status ts_prompt_write(const ts_prompt *prompt, const ts_asked *asked, ts_bytes *out)
{
    return fill_template(prompt, asked->template, asked, 0, out);
}

ts_status ts_prompt_write_several(const ts_prompt *prompt, const ts_asked *asked, size_t count, ts_bytes *out)
{
    return fill_template(prompt, TS_TEMPLATE_SEVERAL, asked, count, out);
}

typedef struct describing {
    const ts_prompt *prompt;
    const ts_asked *asked;
    ts_bytes *out;
    const char *comma;
    uint64_t told[TS_PROMPT_MOST_LISTS / 64];
} describing;

/* Tells a list's entry to the description, and nothing to the prompt. */
static ts_status describe_placeholder(void *user, const char *name, size_t size, ts_bytes *prompt)
{
    describing *d = user;
    const ts_prompt_list *list = find_list(d->prompt, name, size);
    size_t number = list ? (size_t)(list - d->prompt->lists) : 0;
    (void)prompt;
    if (!list || (d->told[number / 64] >> number % 64 & 1))
        return TS_OK;
    d->told[number / 64] |= UINT64_C(1) << number % 64;
    const ts_prompt_entry *entry = draw_entry(d->prompt, list, d->asked);
    TS_TRY(ts_bytes_format(d->out, "%s", d->comma));
    TS_TRY(ts_json_string(d->out, list->name, list->name_size));
    TS_TRY(ts_bytes_add(d->out, ": ", 2));
    d->comma = ", ";
    return ts_json_string(d->out, entry->text, entry->size);
}

ts_status ts_prompt_describe(const ts_prompt *prompt, const ts_asked *asked, ts_bytes *out)
{
    const ts_prompt_entry *template = &prompt->templates[asked->template];
    describing d = {.prompt = prompt, .asked = asked, .out = out, .comma = ""};
    ts_template_names names = {.user = &d, .say = describe_placeholder};
    ts_bytes rest = {.runtime = prompt->runtime}; /* the text between, which nobody wants */
    TS_TRY(ts_bytes_add(out, "{", 1));
    ts_status status = ts_template_write(template->text, template->size, &names, &rest);
    ts_bytes_free(&rest);
    return status == TS_OK ? ts_bytes_add(out, "}", 1) : status;
}

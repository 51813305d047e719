/* Opens an index and finds rows of words in it. Whatever the file says is checked where it is used. */
#include "evaluator/novelty.h"

#include <stdio.h>

/* ---- opening ---- */

static ts_status find_vector(const ts_novelty *n, const ts_gguf *gguf, const char *name, size_t part, uint32_t type, const void **data,
                             uint64_t *count)
{
    char text[TS_GGUF_MAX_NAME];
    snprintf(text, sizeof text, part == SIZE_MAX ? "%s" : "%s.%zu", name, part);
    const ts_gguf_tensor *tensor = ts_gguf_find_tensor(gguf, text);
    if (tensor == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is missing", n->source.name, text);
    if (tensor->type != type || tensor->rank != 1)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is of type %s and %u dimensions, expected a vector of type %s", n->source.name, text,
                       ts_ggml_type_name(tensor->type), tensor->rank, ts_ggml_type_name(type));
    *data = ts_gguf_tensor_memory(gguf, tensor);
    if ((uintptr_t)*data % sizeof(uint32_t) != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' is not aligned", n->source.name, text);
    *count = tensor->elements;
    return TS_OK;
}

static ts_status read_keys(ts_novelty *n, ts_gguf *gguf, uint32_t *part_count)
{
    const char *architecture;
    uint32_t version = 0;
    char key[32];
    TS_TRY(ts_gguf_get_string(gguf, "general.architecture", &architecture, NULL));
    if (strcmp(architecture, "tinystories.novelty") != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: general.architecture is '%.40s', expected 'tinystories.novelty': it is no index of a text",
                       n->source.name, architecture);
    TS_TRY(ts_gguf_get_u32(gguf, "novelty.version", &version));
    if (version != TS_NOVELTY_VERSION)
        return ts_fail(TS_ERROR_VERSION, "%s: novelty.version is %u, expected %d", n->source.name, version, TS_NOVELTY_VERSION);
    TS_TRY(ts_gguf_get_u32(gguf, "novelty.parts", part_count));
    TS_TRY(ts_gguf_get_u64(gguf, "novelty.stories", &n->about.stories));
    TS_TRY(ts_gguf_get_u64(gguf, "novelty.bytes", &n->about.bytes));
    TS_TRY(ts_gguf_get_u64(gguf, "novelty.distinct_words", &n->about.distinct_words));
    TS_TRY(ts_gguf_get_u64(gguf, "novelty.longest_step", &n->longest_step));
    for (size_t k = 0; k < TS_NOVELTY_GRAM; k++) {
        snprintf(key, sizeof key, "novelty.grams.%zu", k + 1);
        TS_TRY(ts_gguf_get_u64(gguf, key, &n->about.grams[k]));
    }
    n->about.words = n->about.grams[0];
    if (*part_count == 0 || *part_count > TS_NOVELTY_MAX_PARTS)
        return ts_fail(TS_ERROR_FORMAT, "%s: novelty.parts is %u, expected 1 to %d", n->source.name, *part_count, TS_NOVELTY_MAX_PARTS);
    return TS_OK;
}

static ts_status check_size(const ts_novelty *n, const char *name, uint64_t is, uint64_t expected)
{
    if (is == expected)
        return TS_OK;
    return ts_fail(TS_ERROR_FORMAT, "%s: tensor '%s' has %llu elements, expected %llu", n->source.name, name, (unsigned long long)is,
                   (unsigned long long)expected);
}

static ts_status read_parts(ts_novelty *n, const ts_gguf *gguf, uint32_t count)
{
    uint64_t places = 0;
    n->parts = ts_allocate_array(n->runtime, count, sizeof *n->parts);
    if (n->parts == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (; n->part_count < count; n->part_count++) {
        ts_novelty_part *p = &n->parts[n->part_count];
        const void *data;
        TS_TRY(find_vector(n, gguf, "places", n->part_count, TS_GGML_I32, &data, &p->count));
        p->places = data;
        TS_TRY(find_vector(n, gguf, "lists", n->part_count, TS_GGML_I32, &data, &p->list_count));
        p->lists = data;
        p->list_count /= TS_NOVELTY_LIST;
        TS_TRY(find_vector(n, gguf, "stories", n->part_count, TS_GGML_I8, &data, &p->stories_size));
        p->stories = data;
        p->first = places;
        places += p->count; /* of one file, whose size is a u64 */
    }
    return check_size(n, "places", places, n->about.words);
}

static ts_status read_description(ts_novelty *n, ts_gguf *gguf)
{
    uint32_t part_count = 0;
    uint64_t start_count, word_count;
    const void *data;
    TS_TRY(read_keys(n, gguf, &part_count));
    TS_TRY(find_vector(n, gguf, "text", SIZE_MAX, TS_GGML_I8, &data, &n->text_size));
    n->text = data;
    TS_TRY(find_vector(n, gguf, "starts", SIZE_MAX, TS_GGML_I32, &data, &start_count));
    n->starts = data;
    TS_TRY(find_vector(n, gguf, "words", SIZE_MAX, TS_GGML_I32, &data, &word_count));
    n->words = data;
    if (n->about.stories == 0 || n->about.stories >= UINT32_MAX || n->about.distinct_words == 0 || n->about.distinct_words > TS_NOVELTY_MAX_WORDS)
        return ts_fail(TS_ERROR_FORMAT, "%s: it has %llu stories and %llu distinct words", n->source.name, (unsigned long long)n->about.stories,
                       (unsigned long long)n->about.distinct_words);
    TS_TRY(check_size(n, "starts", start_count, n->about.stories + 1));
    TS_TRY(check_size(n, "words", word_count, n->about.distinct_words + 1));
    if (n->text_size > TS_NOVELTY_MAX_TEXT || n->text[n->text_size - 1] != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: tensor 'text' is too long or does not end with a story", n->source.name);
    return read_parts(n, gguf, part_count);
}

static ts_status open_mapped(ts_novelty *n)
{
    ts_gguf *gguf = NULL;
    TS_TRY(ts_gguf_open(&gguf, &n->source));
    ts_status status = read_description(n, gguf);
    ts_gguf_close(gguf);
    return status == TS_OK ? ts_novelty_init_nearest(n) : status;
}

ts_status ts_novelty_open(ts_novelty **out, ts_runtime *runtime, const char *path)
{
    if (out == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_novelty_open: out is NULL");
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_novelty *n = ts_allocate(runtime, sizeof *n);
    if (n == NULL) {
        ts_runtime_release(runtime);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    *n = (ts_novelty){.runtime = runtime,
                      .source = {.file = -1},
                      .phrase = {.folded = {.runtime = runtime}},
                      .story = {.folded = {.runtime = runtime}},
                      .grams = {.runtime = runtime}};
    n->about.struct_size = sizeof n->about;
    ts_status status = ts_source_open(&n->source, runtime, path, true);
    if (status == TS_OK)
        status = open_mapped(n);
    if (status != TS_OK) {
        ts_novelty_free(n);
        return status;
    }
    *out = n;
    return TS_OK;
}

void ts_novelty_free(ts_novelty *n)
{
    if (n == NULL)
        return;
    ts_runtime *runtime = n->runtime;
    ts_phrase_free(&n->phrase);
    ts_phrase_free(&n->story);
    ts_grams_free(&n->grams);
    ts_novelty_free_nearest(n);
    ts_release(runtime, n->ranges);
    ts_release(runtime, n->probes);
    ts_release(runtime, n->used);
    ts_release(runtime, n->parts);
    ts_source_close(&n->source);
    ts_release(runtime, n);
    ts_runtime_release(runtime);
}

ts_status ts_novelty_describe(const ts_novelty *novelty, ts_novelty_about *about)
{
    if (novelty == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_novelty_describe: novelty is NULL");
    return ts_report_write(about, &novelty->about, sizeof novelty->about, "ts_novelty_about");
}

/* ---- stories and places ---- */

static ts_status damaged(const ts_novelty *n, const char *what)
{
    return ts_fail(TS_ERROR_FORMAT, "%s: is damaged: %s", n->source.name, what);
}

ts_status ts_novelty_story(const ts_novelty *novelty, uint64_t index, const char **text, size_t *size)
{
    if (novelty == NULL || text == NULL || size == NULL || index >= novelty->about.stories)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_novelty_story: there is no story %llu", (unsigned long long)index);
    uint32_t begin = novelty->starts[index], end = novelty->starts[index + 1];
    if (begin >= end || end > novelty->text_size || novelty->text[end - 1] != 0)
        return damaged(novelty, "a story does not lie in the text");
    *text = novelty->text + begin;
    *size = end - begin - 1;
    return TS_OK;
}

static const ts_novelty_part *part_of(const ts_novelty *n, uint64_t index)
{
    size_t low = 0, high = n->part_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (n->parts[middle].first <= index)
            low = middle;
        else
            high = middle;
    }
    return &n->parts[low];
}

static ts_status place_at(const ts_novelty *n, uint64_t index, const uint32_t **place)
{
    const ts_novelty_part *part = part_of(n, index);
    if (index - part->first >= part->count)
        return damaged(n, "a place is beyond the last one");
    *place = part->places + (index - part->first);
    return TS_OK;
}

ts_status ts_novelty_place(const ts_novelty *n, uint64_t index, uint32_t *place)
{
    const uint32_t *at = NULL;
    TS_TRY(place_at(n, index, &at));
    *place = *at;
    return *place < n->text_size ? TS_OK : damaged(n, "a place does not lie in the text");
}

ts_status ts_novelty_places(const ts_novelty *n, ts_range range, const uint32_t **places)
{
    const ts_novelty_part *part = part_of(n, range.begin);
    *places = part->places + (range.begin - part->first);
    return range.end - part->first <= part->count ? TS_OK : damaged(n, "the places of five words are in two parts");
}

ts_status ts_novelty_story_at(const ts_novelty *n, uint32_t place, uint32_t *story)
{
    uint32_t low = 0, high = (uint32_t)n->about.stories;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (n->starts[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    *story = low;
    return n->starts[low] <= place && place < n->starts[low + 1] ? TS_OK : damaged(n, "a place lies in no story");
}

/* ---- rows of words ---- */

static int compare_word(const char *raw, size_t raw_size, const char *folded, size_t size)
{
    char part[32];
    while (raw_size > 0 && size > 0) {
        size_t used = ts_plain_word_fold(&raw, &raw_size, part, sizeof part), both = TS_MIN(used, size);
        int order = memcmp(part, folded, both);
        if (order != 0)
            return order;
        if (both < used)
            return 1;
        folded += both;
        size -= both;
    }
    return raw_size > 0 ? 1 : size > 0 ? -1 : 0;
}

bool ts_novelty_same_word(const char *raw, size_t raw_size, const char *folded, size_t size)
{
    return compare_word(raw, raw_size, folded, size) == 0;
}

/* The word that stands `skip` words behind a place, false at the end of the story. Looks at a few bytes first, for stories are long: a word that may
 * go on behind them (an apostrophe and a letter take up to seven bytes) is looked for again in more. */
static bool word_behind(const ts_novelty *n, uint32_t place, uint32_t skip, const char **word, size_t *size)
{
    size_t left = (size_t)n->text_size - place;
    for (size_t window = 96;; window *= 16) {
        const char *text = n->text + place;
        size_t rest = strnlen(text, TS_MIN(window, left));
        bool whole = rest < window, found = true;
        for (uint32_t i = 0; i <= skip && found; i++)
            found = ts_plain_word(&text, &rest, word, size);
        if (whole || (found && rest > 7))
            return found;
    }
}

/*
 * Many searches by bisection at a time: each step of one waits for a place and then for the text there, which lie anywhere in gigabytes, so that all
 * of them ask for their places, then all for their texts, and then all compare.
 */
enum goal { ANY, FIRST, LAST };

typedef struct ts_novelty_probe {
    uint64_t low, high, middle; /* of the index of places, or for single words of the table of words */
    const uint32_t *place;
    uint32_t word; /* of the phrase: where the row of words begins */
    uint32_t goal; /* one with the same word, the first of them, or the one behind the last; what ANY finds bounds the two others */
} probe;

static ts_status ask_for_place(const ts_novelty *n, probe *p, bool single)
{
    p->middle = p->low + (p->high - p->low) / 2;
    TS_TRY(place_at(n, single ? n->words[p->middle] : p->middle, &p->place));
    __builtin_prefetch(p->place);
    return TS_OK;
}

static ts_status ask_for_text(const ts_novelty *n, const probe *p)
{
    if (*p->place >= n->text_size)
        return damaged(n, "a place does not lie in the text");
    __builtin_prefetch(n->text + *p->place);
    if (n->text_size - *p->place > 64)
        __builtin_prefetch(n->text + *p->place + 64);
    return TS_OK;
}

/* How word number `skip` at a probe's place compares to that of the phrase; the end of a story comes before every word. */
static int compare_there(const ts_novelty *n, const ts_phrase *phrase, const probe *p, uint32_t skip)
{
    const char *word, *folded;
    size_t word_size, size;
    folded = ts_phrase_word(phrase, p->word + skip, &size);
    return word_behind(n, *p->place, skip, &word, &word_size) ? compare_word(word, word_size, folded, size) : -1;
}

/* The places of a word that was found in the table of words. */
static ts_status find_single(const ts_novelty *n, const probe *p, ts_range *range)
{
    *range = (ts_range){n->words[p->middle], n->words[p->middle + 1]};
    return range->begin < range->end && range->end <= n->about.words ? TS_OK : damaged(n, "a word has no places");
}

/* Halves what a probe looks through; *more is the probe of the range's end when this one becomes that of its beginning. */
static void halve(probe *p, int order, probe *more)
{
    more->goal = ANY;
    if (order == 0 && p->goal == ANY) {
        *more = (probe){.low = p->middle + 1, .high = p->high, .word = p->word, .goal = LAST};
        p->goal = FIRST;
    }
    if (order < 0 || (order == 0 && p->goal == LAST))
        p->low = p->middle + 1;
    else
        p->high = p->middle;
}

/* Narrows the ranges of k - 1 words to those of k. `active` probes are there, and memory for twice as many. */
static ts_status search(const ts_novelty *n, const ts_phrase *phrase, uint32_t k, probe *probes, size_t active, ts_range *ranges)
{
    probe more;
    while (active > 0) {
        for (size_t i = active; i-- > 0;)
            TS_TRY(ask_for_place(n, &probes[i], k == 1));
        for (size_t i = active; i-- > 0;)
            TS_TRY(ask_for_text(n, &probes[i]));
        for (size_t i = active; i-- > 0;) {
            probe *p = &probes[i];
            ts_range *range = &ranges[(size_t)p->word * TS_NOVELTY_GRAM + k - 1];
            int order = compare_there(n, phrase, p, k - 1);
            if (order == 0 && k == 1) {
                TS_TRY(find_single(n, p, range));
                *p = probes[--active];
                continue;
            }
            halve(p, order, &more);
            if (more.goal == LAST) { /* at most one for each row of words */
                range->end = more.low;
                if (more.low < more.high)
                    probes[active++] = more;
            }
            if (p->low < p->high)
                continue;
            if (p->goal == FIRST)
                range->begin = p->low;
            else if (p->goal == LAST)
                range->end = p->low;
            *p = probes[--active];
        }
    }
    return TS_OK;
}

enum { TOGETHER = 48, MOST_GROUPS = 16 }; /* words whose searches go on together, but in longer texts than so many groups have */

typedef struct finding {
    ts_novelty *n;
    const ts_phrase *phrase;
    ts_range *ranges;
    size_t count, group;
    struct {
        ts_status status;
        ts_detail detail;
    } groups[MOST_GROUPS];
} finding;

static ts_status find_ranges(const finding *f, size_t begin, size_t end)
{
    probe *probes = f->n->probes + 2 * begin;
    for (uint32_t k = 1; k <= TS_NOVELTY_GRAM; k++) {
        size_t active = 0;
        for (size_t i = begin; i < end; i++) {
            ts_range *range = &f->ranges[i * TS_NOVELTY_GRAM + k - 1], from = k > 1 ? range[-1] : (ts_range){0, f->n->about.distinct_words};
            *range = (ts_range){0, 0};
            if (i + k <= f->phrase->count && from.begin < from.end)
                probes[active++] = (probe){.low = from.begin, .high = from.end, .word = (uint32_t)i, .goal = ANY};
        }
        TS_TRY(search(f->n, f->phrase, k, probes, active, f->ranges));
    }
    return TS_OK;
}

static void find_groups(void *argument, size_t begin, size_t end, size_t worker)
{
    finding *f = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        f->groups[i].status = find_ranges(f, TS_MIN(i * f->group, f->count), TS_MIN((i + 1) * f->group, f->count));
        if (f->groups[i].status != TS_OK)
            ts_detail_keep(&f->groups[i].detail); /* which is the thread's own */
    }
}

ts_status ts_novelty_ranges(ts_novelty *n, const ts_phrase *phrase, size_t count, ts_range *ranges)
{
    finding f = {.n = n, .phrase = phrase, .ranges = ranges, .count = count};
    size_t groups = TS_MIN((count + TOGETHER - 1) / TOGETHER, (size_t)MOST_GROUPS);
    f.group = groups > 0 ? (count + groups - 1) / groups : 0;
    TS_TRY(ts_reserve(n->runtime, &n->probes, &n->probes_capacity, 2 * count, sizeof *n->probes));
    ts_parallel(n->runtime, groups, 1, find_groups, &f);
    for (size_t i = 0; i < groups; i++)
        if (f.groups[i].status != TS_OK) {
            ts_detail_put_back(&f.groups[i].detail);
            return f.groups[i].status;
        }
    return TS_OK;
}

ts_status ts_novelty_list(const ts_novelty *n, ts_range range, const void **list, const unsigned char **end, uint32_t *count)
{
    const ts_novelty_part *part = part_of(n, range.begin);
    uint64_t first = range.begin - part->first, low = 0, high = part->list_count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (part->lists[middle * TS_NOVELTY_LIST] < first)
            low = middle + 1;
        else
            high = middle;
    }
    const uint32_t *numbers = part->lists + low * TS_NOVELTY_LIST;
    if (low == part->list_count || numbers[0] != first)
        return damaged(n, "a list of stories is missing");
    uint64_t offset = numbers[2] | (uint64_t)numbers[3] << 32;
    if (offset > part->stories_size)
        return damaged(n, "a list of stories lies elsewhere");
    *list = part->stories + offset;
    *end = part->stories + part->stories_size;
    *count = numbers[1];
    return TS_OK;
}

/* ---- counting ---- */

/* Whether the words of a phrase from the fifth on stand behind a place whose first five are the phrase's. */
static bool goes_on(const ts_novelty *n, uint32_t place, const ts_phrase *phrase)
{
    const char *text = n->text + place, *word;
    size_t rest = strnlen(text, (size_t)n->text_size - place), word_size;
    for (size_t i = 0; i < phrase->count; i++) {
        size_t size;
        const char *folded = ts_phrase_word(phrase, i, &size);
        if (!ts_plain_word(&text, &rest, &word, &word_size) || compare_word(word, word_size, folded, size) != 0)
            return false;
    }
    return true;
}

static ts_status count_places(ts_novelty *n, const char *text, size_t size, uint64_t *count)
{
    ts_range ranges[TS_NOVELTY_GRAM];
    uint32_t place;
    *count = 0;
    TS_TRY(ts_phrase_read(&n->phrase, text, size));
    if (n->phrase.count == 0)
        return TS_OK;
    uint32_t k = (uint32_t)TS_MIN(n->phrase.count, (size_t)TS_NOVELTY_GRAM);
    TS_TRY(ts_novelty_ranges(n, &n->phrase, 1, ranges));
    if (k == n->phrase.count) {
        *count = ranges[k - 1].end - ranges[k - 1].begin;
        return TS_OK;
    }
    for (uint64_t i = ranges[k - 1].begin; i < ranges[k - 1].end; i++) {
        TS_TRY(ts_novelty_place(n, i, &place));
        *count += goes_on(n, place, &n->phrase);
    }
    return TS_OK;
}

ts_status ts_novelty_count(ts_novelty *novelty, const char *text, size_t size, uint64_t *count)
{
    uint64_t counted = 0;
    if (novelty == NULL || count == NULL || (text == NULL && size > 0))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_novelty_count: an argument is NULL");
    if (!ts_busy_enter(&novelty->busy))
        return ts_fail(TS_ERROR_BUSY, "the index is in use by another thread");
    ts_status status = count_places(novelty, size > 0 ? text : "", size, &counted);
    ts_busy_leave(&novelty->busy);
    if (status == TS_OK)
        *count = counted;
    return status;
}

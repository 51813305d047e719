/*
 * Puts the places of all words in order, part by part so that memory is bounded.
 *
 * A cell is what is sorted on its own: the places of one word, or of a frequent word those whose second word lies in a range. The numbers of the text
 * are passed over once to count cells, then once a part to collect the places of its cells, each range of chunks at cursors of its own, so that
 * places come in the order of the text whoever collects them. Sorting by the second word keeps that order, which the lists of stories need, and then
 * each 2-gram is sorted by the other three.
 */
#include "evaluator/novelty.h"

enum {
    RANGES = 8,           /* of chunks, each passed over by one thread */
    CELL = 1 << 14,       /* places of a cell of a word that has several, on the average: few cells take in places at a time, and each fits a cache */
    CELL_GROUP = 1 << 16, /* places that are sorted together by one thread, at least */
    BLOCK_BITS = 8,       /* a table says which story each block of 256 bytes begins in */
    HITS = 256, /* words that are collected together */
    NEAR = 8,   /* codes that have five words nearly always */
    AHEAD = 12  /* records by which tables are fetched before they are asked for */
};

typedef struct word_key {
    uint32_t rank, length; /* rank: from 1 in the order of the words; length: bytes, folded */
} word_key;

/* A word's cells: the one of a second word is `first` + its rank >> `shift`. */
typedef struct word_cells {
    uint32_t first, shift;
} word_cells;

/* What a code of the text is: a rank above these. A long one goes on in two more codes. */
enum { IS_WORD = 1, IS_WANTED = 2, IS_END = 4, IS_LONG = 8, RANK_SHIFT = 4 };

/* What a thread makes of a group of cells. */
typedef struct group {
    size_t first_cell, end_cell;
    ts_bytes lists, stories;
    ts_status status;
} group;

typedef struct sorting {
    ts_novelty_words *words;
    ts_novelty_parts *parts;
    ts_writer *file;
    word_key *keys;    /* by word */
    word_cells *cells; /* by rank; behind the last one the number of cells */
    size_t cell_count;
    uint32_t rank_bits;        /* of the largest rank */
    uint32_t *cursors[RANGES]; /* by cell, and one behind: places, then where the next one goes */
    uint32_t *cell_starts;     /* of the part's records */
    uint32_t *block_stories;
    uint32_t *codes, *steps; /* by code: what it is in this pass, and how far it leads on in the text */
    size_t begin, end;       /* cells of the part */
    ts_novelty_record *records;
    uint32_t *places; /* of the part, in order */
    ts_novelty_record **scratch; /* one a worker */
    size_t largest;   /* cell */
    group *groups;
    size_t group_count, group_capacity;
    size_t unwritten; /* places of the part before that are still to be written */
} sorting;

/* ---- passing over the text ---- */

static inline uint32_t cell_at(const sorting *s, uint32_t first, uint32_t second)
{
    return s->cells[first].first + (second >> s->cells[first].shift);
}

static inline uint32_t long_value(const uint16_t *at)
{
    return at[0] | (uint32_t)at[1] << 16;
}

/* Whether any cell of a word is of the part. */
static bool is_wanted(const sorting *s, uint32_t rank)
{
    return s->cells[rank].first < s->end && s->cells[rank + 1].first > s->begin;
}

/* Says of each code what it is in this pass. */
static void describe_codes(sorting *s)
{
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        const word_key *key = code >= CODE_WORD && code - CODE_WORD < s->words->count ? &s->keys[code - CODE_WORD] : NULL;
        if (key != NULL && code != CODE_LONG_WORD) {
            s->codes[code] = key->rank << RANK_SHIFT | IS_WORD | (is_wanted(s, key->rank) ? IS_WANTED : 0);
            s->steps[code] = key->length + 1;
        } else {
            s->codes[code] = code == CODE_END ? IS_END : code < CODE_SKIP ? 0 : IS_LONG;
            s->steps[code] = code < CODE_SKIP ? code : 0;
        }
    }
}

/* Counts what the cells have. Nearly no code is branched on: what is no word counts for a cell that is of no word. */
static void count_over(const sorting *s, const ts_novelty_chunk *chunk, uint32_t *counts)
{
    const uint16_t *at = chunk->codes, *end = at + chunk->count;
    uint32_t last = 0, nowhere = (uint32_t)s->cell_count;
    while (at < end) {
        uint32_t code = s->codes[*at];
        if (code & IS_LONG) {
            code = *at == CODE_SKIP ? 0 : s->keys[long_value(at + 1)].rank << RANK_SHIFT | IS_WORD;
            at += 2;
        }
        at++;
        bool moves = (code & (IS_WORD | IS_END)) != 0;
        uint32_t cell = cell_at(s, last, code >> RANK_SHIFT);
        counts[moves && last != 0 ? cell : nowhere]++;
        last = moves ? code >> RANK_SHIFT : last;
    }
}

/* ---- collecting ---- */

/* A word whose place is wanted, as a code of its chunk. */
typedef struct hit {
    uint32_t code, place;
} hit;

/* The ranks of five words in a row; those behind the end of the story are 0. */
static void read_words(const sorting *s, const uint16_t *at, uint32_t ranks[TS_NOVELTY_GRAM])
{
    memset(ranks, 0, TS_NOVELTY_GRAM * sizeof *ranks);
    for (size_t i = 0; i < TS_NOVELTY_GRAM && *at != CODE_END; at++) {
        if (*at >= CODE_WORD)
            ranks[i++] = *at == CODE_LONG_WORD ? s->keys[long_value(at + 1)].rank : s->codes[*at] >> RANK_SHIFT;
        at += *at == CODE_LONG_WORD || *at == CODE_SKIP ? 2 : 0;
    }
}

/* Looks at NEAR codes without a branch on what they are, and again with branches where these were not enough. */
static void collect(const sorting *s, uint32_t *cursors, const ts_novelty_chunk *chunk, const hit *hits, size_t hit_count)
{
    for (size_t i = 0; i < hit_count; i++) {
        const uint16_t *at = chunk->codes + hits[i].code;
        uint32_t words[NEAR], count = 0, all = IS_LONG;
        if (chunk->count - hits[i].code >= NEAR) {
            all = 0;
            for (size_t j = 0; j < NEAR; j++) {
                uint32_t code = s->codes[at[j]];
                words[count] = code >> RANK_SHIFT;
                count += code & IS_WORD;
                all |= code;
            }
        }
        if (count < TS_NOVELTY_GRAM || (all & (IS_LONG | IS_END)) != 0)
            read_words(s, at, words);
        uint32_t cell = cell_at(s, words[0], words[1]);
        uint64_t rest = ((uint64_t)words[2] << s->rank_bits | words[3]) << s->rank_bits | words[4];
        if (cell - s->begin < s->end - s->begin)
            s->records[cursors[cell]++] = (ts_novelty_record){rest, words[1], hits[i].place};
    }
}

/* Collects the places of the part's cells. Each code is written down as a hit, and the next one upon it if it was none. */
static void collect_over(const sorting *s, const ts_novelty_chunk *chunk, uint32_t *cursors)
{
    hit hits[HITS];
    size_t hit_count = 0;
    uint64_t place = chunk->start;
    for (size_t i = 0; i < chunk->count; i++) {
        uint32_t number = chunk->codes[i], code = s->codes[number];
        if (hit_count + 1 == HITS) {
            collect(s, cursors, chunk, hits, hit_count);
            hit_count = 0;
        }
        hits[hit_count] = (hit){(uint32_t)i, (uint32_t)place};
        hit_count += (code & IS_WANTED) / IS_WANTED;
        place += s->steps[number];
        if ((code & IS_LONG) == 0)
            continue;
        uint32_t value = long_value(chunk->codes + i + 1);
        hit_count += number != CODE_SKIP && is_wanted(s, s->keys[value].rank);
        place += number == CODE_SKIP ? value : (uint64_t)s->keys[value].length + 1;
        i += 2;
    }
    collect(s, cursors, chunk, hits, hit_count);
}

/* ---- writing ---- */

void ts_novelty_pad(ts_writer *file, uint64_t size)
{
    static const unsigned char zeros[TS_GGUF_ALIGNMENT];
    ts_writer_bytes(file, zeros, (size_t)(0 - size) & (TS_GGUF_ALIGNMENT - 1));
}

/* Writes what was sorted last. GGUF knows no empty tensors: an empty list gets one element of zeros. */
static void write_part(sorting *s)
{
    static const uint32_t nothing[TS_NOVELTY_LIST];
    uint64_t *sizes = s->parts->sizes[s->parts->count], offset = 0;
    sizes[0] = s->unwritten;
    ts_writer_bytes(s->file, s->places, s->unwritten * sizeof *s->places);
    ts_novelty_pad(s->file, s->unwritten * sizeof *s->places);
    for (size_t i = 0; i < s->group_count; i++) {
        group *g = &s->groups[i];
        for (size_t at = 0; at < g->lists.size; at += sizeof nothing) {
            uint32_t list[TS_NOVELTY_LIST];
            memcpy(list, g->lists.data + at, sizeof list);
            uint64_t begin = (list[2] | (uint64_t)list[3] << 32) + offset;
            list[2] = (uint32_t)begin;
            list[3] = (uint32_t)(begin >> 32);
            ts_writer_bytes(s->file, list, sizeof list);
        }
        offset += g->stories.size;
        sizes[1] += g->lists.size / sizeof nothing[0];
    }
    if (sizes[1] == 0) {
        ts_writer_bytes(s->file, nothing, sizeof nothing);
        sizes[1] = TS_NOVELTY_LIST;
    }
    ts_novelty_pad(s->file, sizes[1] * sizeof nothing[0]);
    for (size_t i = 0; i < s->group_count; i++)
        ts_writer_bytes(s->file, s->groups[i].stories.data, s->groups[i].stories.size);
    if (offset == 0)
        ts_writer_bytes(s->file, nothing, 1);
    sizes[2] = TS_MAX(offset, (uint64_t)1);
    ts_novelty_pad(s->file, sizes[2]);
    s->parts->count++;
    s->unwritten = 0;
}

static void do_ranges(void *argument, size_t begin, size_t end, size_t worker)
{
    sorting *s = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (i == 0) { /* the part before is written meanwhile */
            if (s->unwritten > 0)
                write_part(s);
            continue;
        }
        size_t chunks = s->words->chunk_count, from = chunks * (i - 1) / RANGES, to = chunks * i / RANGES;
        for (size_t c = from; c < to; c++)
            (s->records == NULL ? count_over : collect_over)(s, &s->words->chunks[c], s->cursors[i - 1]);
    }
}

static void pass(sorting *s)
{
    describe_codes(s);
    ts_parallel(s->words->runtime, RANGES + 1, 1, do_ranges, s);
}

/* ---- sorting ---- */

/* Makes a row of bits of the list that begins at `offset`, which is the last one. */
static ts_status make_dense(group *g, size_t offset, size_t stories)
{
    ts_bytes *bytes = &g->stories;
    size_t size = ts_novelty_dense_size(stories), blocks = ts_novelty_blocks(stories);
    TS_TRY(ts_reserve(bytes->runtime, &bytes->data, &bytes->capacity, bytes->size + size, 1));
    const uint16_t *counts = (const uint16_t *)(const void *)(bytes->data + offset), *at = counts + blocks;
    char *bits = bytes->data + bytes->size;
    memset(bits, 0, size);
    for (size_t block = 0; block < blocks; block++)
        for (const uint16_t *end = at + counts[block]; at < end; at++) {
            size_t story = block * TS_NOVELTY_BLOCK + *at;
            bits[story / 8] = (char)(bits[story / 8] | 1 << story % 8);
        }
    memmove(bytes->data + offset, bits, size);
    bytes->size = offset + size;
    return TS_OK;
}

/* Adds the stories of a 2-gram whose places are in the order of the text. */
static ts_status add_list(const sorting *s, group *g, const ts_novelty_record *records, size_t count)
{
    const uint32_t *starts = s->words->starts, *blocks = s->block_stories;
    ts_bytes *bytes = &g->stories;
    size_t offset = bytes->size, header = ts_novelty_blocks(s->words->story_count);
    uint32_t stories = 0, next = 0; /* next: where the story behind the last one begins */
    TS_TRY(ts_reserve(bytes->runtime, &bytes->data, &bytes->capacity, offset + (header + count) * sizeof(uint16_t), 1));
    uint16_t *counts = (uint16_t *)(void *)(bytes->data + offset), *list = counts + header;
    memset(counts, 0, header * sizeof *counts);
    for (size_t i = 0; i < count; i++) {
        uint32_t place = records[i].place;
        if (i + 2 * AHEAD < count) { /* both tables have millions of stories */
            __builtin_prefetch(&blocks[records[i + 2 * AHEAD].place >> BLOCK_BITS]);
            __builtin_prefetch(&starts[blocks[records[i + AHEAD].place >> BLOCK_BITS]]);
        }
        if (place < next)
            continue;
        uint32_t story = blocks[place >> BLOCK_BITS];
        while (starts[story + 1] <= place)
            story++;
        next = starts[story + 1];
        counts[story / TS_NOVELTY_BLOCK]++;
        list[stories++] = (uint16_t)(story % TS_NOVELTY_BLOCK);
    }
    bytes->size = offset + (header + stories) * sizeof(uint16_t);
    if (ts_novelty_is_dense(stories, s->words->story_count))
        TS_TRY(make_dense(g, offset, s->words->story_count));
    uint32_t numbers[TS_NOVELTY_LIST] = {(uint32_t)(records - s->records), stories, (uint32_t)offset, (uint32_t)((uint64_t)offset >> 32)};
    return ts_bytes_add(&g->lists, numbers, sizeof numbers);
}

static ts_status sort_cell(sorting *s, group *g, ts_novelty_record *records, size_t count, ts_novelty_record *scratch)
{
    ts_novelty_sort_records(records, scratch, count, true);
    for (size_t begin = 0, end; begin < count; begin = end) {
        end = begin + 1;
        while (end < count && records[end].second == records[begin].second)
            end++;
        if (end - begin > TS_NOVELTY_FEW && records[begin].second != 0)
            TS_TRY(add_list(s, g, records + begin, end - begin));
        ts_novelty_sort_records(records + begin, scratch, end - begin, false);
    }
    uint32_t *places = s->places + (records - s->records);
    for (size_t i = 0; i < count; i++)
        places[i] = records[i].place;
    return TS_OK;
}

static void sort_groups(void *argument, size_t begin, size_t end, size_t worker)
{
    sorting *s = argument;
    for (size_t i = begin; i < end; i++) {
        group *g = &s->groups[i];
        for (size_t cell = g->first_cell; cell < g->end_cell && g->status == TS_OK; cell++) {
            uint32_t first = s->cell_starts[cell - s->begin], count = s->cell_starts[cell - s->begin + 1] - first;
            g->status = sort_cell(s, g, s->records + first, count, s->scratch[worker]);
        }
    }
}

/* ---- words and cells ---- */

typedef struct named_word {
    const char *text;
    size_t size;
    uint32_t word;
} named_word;

static int compare_words(const void *a, const void *b)
{
    const named_word *left = a, *right = b;
    int order = memcmp(left->text, right->text, TS_MIN(left->size, right->size));
    return order != 0 ? order : left->size < right->size ? -1 : left->size > right->size;
}

static ts_status rank_words(sorting *s)
{
    const ts_novelty_words *w = s->words;
    named_word *names = ts_allocate_array(w->runtime, w->count, sizeof *names);
    const void **order = ts_allocate_array(w->runtime, w->count, sizeof *order);
    for (size_t i = 0; names != NULL && order != NULL && i < w->count; i++) {
        uint64_t begin = i > 0 ? w->ends[i - 1] : 0;
        names[i] = (named_word){w->bytes.data + begin, (size_t)(w->ends[i] - begin), (uint32_t)i};
        order[i] = &names[i];
    }
    bool made = names != NULL && order != NULL;
    if (made) {
        ts_order_sort(order, w->count, compare_words);
        for (size_t i = 0; i < w->count; i++) {
            const named_word *name = order[i];
            s->keys[name->word] = (word_key){(uint32_t)i + 1, (uint32_t)name->size};
        }
    }
    ts_release(w->runtime, names);
    ts_release(w->runtime, order);
    return made ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
}

static ts_status count_cells(sorting *s)
{
    for (size_t i = 0; i < RANGES; i++) {
        ts_release(s->words->runtime, s->cursors[i]);
        s->cursors[i] = ts_allocate_array(s->words->runtime, s->cell_count + 1, sizeof *s->cursors[i]);
        if (s->cursors[i] == NULL)
            return TS_ERROR_OUT_OF_MEMORY;
    }
    pass(s);
    return TS_OK;
}

static uint32_t sum_of(const sorting *s, size_t index)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < RANGES; i++)
        sum += s->cursors[i][index];
    return sum;
}

/* Counts words, cuts them into cells, counts these; and the tensor `words`. */
static ts_status make_cells(sorting *s)
{
    ts_novelty_words *w = s->words;
    s->parts->first_places = ts_allocate_array(w->runtime, w->count + 1, sizeof(uint32_t));
    s->keys = ts_allocate_array(w->runtime, w->count, sizeof *s->keys);
    s->cells = ts_allocate_array(w->runtime, w->count + 2, sizeof *s->cells);
    s->codes = ts_allocate_array(w->runtime, UINT16_MAX + 1, sizeof *s->codes);
    s->steps = ts_allocate_array(w->runtime, UINT16_MAX + 1, sizeof *s->steps);
    if (s->parts->first_places == NULL || s->keys == NULL || s->cells == NULL || s->codes == NULL || s->steps == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    TS_TRY(rank_words(s));
    while (w->count >> s->rank_bits != 0)
        s->rank_bits++;
    for (uint32_t rank = 0; rank <= w->count + 1; rank++) /* a cell a word, to count words */
        s->cells[rank] = (word_cells){rank, 31};
    s->cell_count = w->count + 2;
    TS_TRY(count_cells(s));
    s->cell_count = 0;
    for (size_t rank = 1; rank <= w->count; rank++) {
        uint32_t places = sum_of(s, rank), shift = 0;
        while (w->count >> shift > places / CELL)
            shift++;
        s->cells[rank] = (word_cells){(uint32_t)s->cell_count, shift};
        s->cell_count += (w->count >> shift) + 1;
        s->parts->first_places[rank] = s->parts->first_places[rank - 1] + places;
    }
    s->cells[w->count + 1].first = (uint32_t)s->cell_count;
    TS_TRY(count_cells(s));
    for (size_t cell = 0; cell < s->cell_count; cell++)
        s->largest = TS_MAX(s->largest, (size_t)sum_of(s, cell));
    return TS_OK;
}

static ts_status find_blocks(sorting *s)
{
    const ts_novelty_words *w = s->words;
    size_t count = (size_t)(w->text_size >> BLOCK_BITS) + 1;
    uint32_t story = 0;
    s->block_stories = ts_allocate_array(w->runtime, count, sizeof *s->block_stories);
    if (s->block_stories == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t block = 0; block < count; block++) {
        while (story + 1 < w->story_count && w->starts[story + 1] <= (uint64_t)block << BLOCK_BITS)
            story++;
        s->block_stories[block] = story;
    }
    return TS_OK;
}

/* ---- parts ---- */

/* Takes cells from `begin` on until the part is full, turns their counts into cursors, and cuts them into groups. */
static ts_status plan_part(sorting *s, size_t most)
{
    size_t count = 0, grouped = 0;
    uint32_t *starts = s->cell_starts;
    s->group_count = 0;
    starts[0] = 0;
    for (s->end = s->begin; s->end < s->cell_count; s->end++) {
        uint32_t places = sum_of(s, s->end);
        if (count > 0 && count + places > most)
            break;
        uint32_t cursor = (uint32_t)count;
        for (size_t i = 0; i < RANGES; i++) {
            uint32_t own = s->cursors[i][s->end];
            s->cursors[i][s->end] = cursor;
            cursor += own;
        }
        count += places;
        starts[s->end - s->begin + 1] = (uint32_t)count;
        if (s->group_count == 0 || count - grouped > CELL_GROUP) {
            size_t known = s->group_capacity;
            TS_TRY(ts_reserve(s->words->runtime, &s->groups, &s->group_capacity, s->group_count + 1, sizeof *s->groups));
            for (; known < s->group_capacity; known++)
                s->groups[known] = (group){.lists.runtime = s->words->runtime, .stories.runtime = s->words->runtime};
            s->groups[s->group_count++].first_cell = s->end;
            grouped = count - places;
        }
        s->groups[s->group_count - 1].end_cell = s->end + 1;
    }
    return TS_OK;
}

static ts_status sort_part(sorting *s, size_t most)
{
    ts_runtime *runtime = s->words->runtime;
    if (s->parts->count + 1 == TS_NOVELTY_MAX_PARTS)
        return ts_fail(TS_ERROR_LIMIT, "the index has more than %d parts: more working memory is needed", TS_NOVELTY_MAX_PARTS);
    /* The groups of the part before are still to be written, while this one's places are collected. */
    size_t groups_before = s->group_count;
    group *before = s->groups;
    size_t capacity_before = s->group_capacity;
    s->groups = NULL;
    s->group_capacity = 0;
    ts_status status = plan_part(s, most);
    group *planned = s->groups;
    size_t planned_count = s->group_count, planned_capacity = s->group_capacity;
    s->groups = before;
    s->group_count = groups_before;
    s->group_capacity = capacity_before;
    if (status == TS_OK)
        pass(s);
    for (size_t i = 0; i < s->group_capacity; i++) {
        ts_bytes_free(&s->groups[i].lists);
        ts_bytes_free(&s->groups[i].stories);
    }
    ts_release(runtime, s->groups);
    s->groups = planned;
    s->group_count = planned_count;
    s->group_capacity = planned_capacity;
    TS_TRY(status);
    ts_parallel(runtime, s->group_count, 1, sort_groups, s);
    for (size_t i = 0; i < s->group_count; i++)
        if (s->groups[i].status != TS_OK)
            return ts_fail(s->groups[i].status, "the lists of stories could not be made: out of memory");
    s->unwritten = s->cell_starts[s->end - s->begin];
    s->begin = s->end;
    return TS_OK;
}

static ts_status sort_parts(sorting *s, const ts_novelty_options *o, uint64_t total)
{
    ts_runtime *runtime = s->words->runtime;
    uint64_t all = s->words->grams[0], done = 0;
    size_t most = (size_t)TS_MAX(o->working_memory / (sizeof *s->records + sizeof *s->places), all / (TS_NOVELTY_MAX_PARTS / 2) + 1);
    most = TS_MAX(TS_MIN(most, (size_t)all), s->largest);
    size_t workers = ts_runtime_threads(runtime);
    s->cell_starts = ts_allocate_array(runtime, s->cell_count + 1, sizeof *s->cell_starts);
    s->places = ts_allocate_array(runtime, most, sizeof *s->places);
    s->scratch = ts_allocate_array(runtime, workers, sizeof *s->scratch);
    s->records = ts_allocate_array(runtime, most, sizeof *s->records);
    if (s->cell_starts == NULL || s->records == NULL || s->places == NULL || s->scratch == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < workers; i++)
        if ((s->scratch[i] = ts_allocate_array(runtime, s->largest, sizeof *s->records)) == NULL)
            return TS_ERROR_OUT_OF_MEMORY;
    while (s->begin < s->cell_count) {
        TS_TRY(sort_part(s, most));
        TS_TRY(s->file->status);
        done += s->unwritten;
        uint64_t told = total / 2 + (uint64_t)((double)(total - total / 2) * ((double)done / (double)all));
        if (o->progress != NULL && o->progress(o->progress_user, told, total) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "stopped by the progress callback while the places were sorted");
    }
    if (s->unwritten > 0)
        write_part(s);
    return TS_OK;
}

ts_status ts_novelty_sort(ts_novelty_words *words, ts_novelty_parts *parts, ts_writer *file, const ts_novelty_options *options, uint64_t total)
{
    ts_runtime *runtime = words->runtime;
    sorting s = {.words = words, .parts = parts, .file = file};
    ts_status status = make_cells(&s);
    if (status == TS_OK)
        status = find_blocks(&s);
    if (status == TS_OK)
        status = sort_parts(&s, options, total);
    for (size_t i = 0; i < s.group_capacity; i++) {
        ts_bytes_free(&s.groups[i].lists);
        ts_bytes_free(&s.groups[i].stories);
    }
    for (size_t i = 0; s.scratch != NULL && i < ts_runtime_threads(runtime); i++)
        ts_release(runtime, s.scratch[i]);
    for (size_t i = 0; i < RANGES; i++)
        ts_release(runtime, s.cursors[i]);
    ts_release(runtime, s.scratch);
    ts_release(runtime, s.groups);
    ts_release(runtime, s.records);
    ts_release(runtime, s.places);
    ts_release(runtime, s.cell_starts);
    ts_release(runtime, s.block_stories);
    ts_release(runtime, s.cells);
    ts_release(runtime, s.codes);
    ts_release(runtime, s.steps);
    ts_release(runtime, s.keys);
    return status;
}

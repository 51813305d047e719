/*
 * Reads a training text into numbers, a batch at a time: while the words of one batch are looked up by all threads, one of them writes its text and
 * reads the next. Words that are new get their numbers between two batches, in the order of the text, so that nothing depends on who did what.
 */
#include "evaluator/novelty.h"

#include <stdio.h>

#define BATCH_SIZE ((size_t)8 << 20) /* bytes of text */
#define NO_WORD UINT32_MAX           /* in `found`: the end of a story */

enum { PIECES = 16 };

typedef struct found_word {
    uint32_t word, start; /* start: in the batch */
} found_word;

/* A word that the table did not have: which of `found` it is, and its bytes in `missed`. */
typedef struct missing_word {
    size_t index, offset;
    uint32_t size, hash;
} missing_word;

typedef struct piece {
    size_t begin, end; /* of the batch */
    found_word *found;
    missing_word *missing;
    size_t found_count, found_capacity, missing_count, missing_capacity;
    ts_bytes missed, folded;
    uint64_t grams[TS_NOVELTY_GRAM], longest_step;
    ts_novelty_chunk chunk;
    ts_status status;
} piece;

typedef struct batch {
    ts_bytes text;  /* stories, a NUL after each */
    uint64_t start; /* of the batch in the whole text */
} batch;

typedef struct reading {
    ts_novelty_words *words;
    ts_stories *stories;
    ts_writer *file;
    batch batches[2], *now, *next;
    bool last; /* there is no story left */
    piece pieces[PIECES];
    ts_status status; /* of reading and writing, which whatever thread did */
    char detail[512];
} reading;

/* ---- the table of words ---- */

/* The hash of a folded word of up to 16 bytes, read as two numbers with zeros behind it. */
static inline uint32_t short_hash(uint64_t first, uint64_t second, size_t size)
{
    uint64_t hash = (first ^ size) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 32 ^ second) * 0xd6e8feb86659fd93u;
    return (uint32_t)(hash >> 32);
}

static uint32_t hash_word(const char *folded, size_t size)
{
    uint64_t halves[2] = {0};
    if (size > sizeof halves)
        return (uint32_t)ts_hash(folded, size, 0);
    memcpy(halves, folded, size);
    return short_hash(halves[0], halves[1], size);
}

static bool is_word(const ts_novelty_words *w, size_t word, uint32_t hash, const char *folded, size_t size)
{
    uint64_t begin = word > 0 ? w->ends[word - 1] : 0;
    return w->hashes[word] == hash && w->ends[word] - begin == size && memcmp(w->bytes.data + begin, folded, size) == 0;
}

static uint32_t find_word(const ts_novelty_words *w, uint32_t hash, const char *folded, size_t size)
{
    size_t mask = w->place_count - 1;
    for (size_t at = hash & mask; w->place_count > 0 && w->places[at] != 0; at = (at + 1) & mask)
        if (is_word(w, w->places[at] - 1, hash, folded, size))
            return w->places[at] - 1;
    return NO_WORD;
}

static void put_place(ts_novelty_words *w, size_t word)
{
    size_t mask = w->place_count - 1, at = w->hashes[word] & mask;
    while (w->places[at] != 0)
        at = (at + 1) & mask;
    w->places[at] = (uint32_t)word + 1;
}

static ts_status grow_places(ts_novelty_words *w)
{
    size_t wanted = TS_MAX((size_t)4096, w->place_count * 2);
    TS_TRY(ts_reserve(w->runtime, &w->places, &w->place_capacity, wanted, sizeof *w->places));
    w->place_count = wanted;
    memset(w->places, 0, wanted * sizeof *w->places);
    for (size_t i = 0; i < w->count; i++)
        put_place(w, i);
    return TS_OK;
}

static ts_status add_word(ts_novelty_words *w, uint32_t hash, const char *folded, size_t size, uint32_t *word)
{
    *word = find_word(w, hash, folded, size);
    if (*word != NO_WORD)
        return TS_OK;
    if (w->count == TS_NOVELTY_MAX_WORDS)
        return ts_fail(TS_ERROR_LIMIT, "the text has more than %d distinct words, which is more than an index takes", TS_NOVELTY_MAX_WORDS);
    if (2 * (w->count + 1) > w->place_count)
        TS_TRY(grow_places(w));
    TS_TRY(ts_reserve(w->runtime, &w->ends, &w->ends_capacity, w->count + 1, sizeof *w->ends));
    TS_TRY(ts_reserve(w->runtime, &w->hashes, &w->hashes_capacity, w->count + 1, sizeof *w->hashes));
    TS_TRY(ts_bytes_add(&w->bytes, folded, size));
    w->ends[w->count] = w->bytes.size;
    w->hashes[w->count] = hash;
    *word = (uint32_t)w->count;
    put_place(w, w->count++);
    return TS_OK;
}

/* ---- one piece ---- */

/* Folds a word that is longer than a few letters piece by piece. */
static ts_status fold_long(ts_bytes *folded, const char *word, size_t size)
{
    char part[256];
    folded->size = 0;
    while (size > 0) {
        size_t used = ts_plain_word_fold(&word, &size, part, sizeof part);
        TS_TRY(ts_bytes_add(folded, part, used));
    }
    return TS_OK;
}

static ts_status add_missing(piece *p, uint32_t hash, const char *folded, size_t size)
{
    TS_TRY(ts_reserve(p->missed.runtime, &p->missing, &p->missing_capacity, p->missing_count + 1, sizeof *p->missing));
    p->missing[p->missing_count++] = (missing_word){p->found_count, p->missed.size, (uint32_t)size, hash};
    return ts_bytes_add(&p->missed, folded, size);
}

static ts_status add_found(piece *p, uint32_t word, size_t start)
{
    if (p->found_count == p->found_capacity)
        TS_TRY(ts_reserve(p->missed.runtime, &p->found, &p->found_capacity, p->found_count + 1, sizeof *p->found));
    p->found[p->found_count++] = (found_word){word, (uint32_t)start};
    return TS_OK;
}

/* Eight bytes with their ASCII capitals as small letters; all are below 0x80. */
static inline uint64_t small_letters(uint64_t bytes)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t from_a = bytes + (0x80 - 'A') * ones, behind_z = bytes + (0x80 - 'Z' - 1) * ones;
    return bytes | (from_a & ~behind_z & 0x80 * ones) >> 2;
}

/* Folds a short word of ASCII alone, which most are, eight bytes at a time. `raw` has 16 bytes that may be read. False: it is none. */
static inline bool fold_short(const char *raw, size_t size, uint64_t folded[2])
{
    memcpy(folded, raw, 16);
    if (size > 16)
        return false;
    const uint64_t all = UINT64_MAX;
    uint64_t first = folded[0] & (size < 8 ? ~(all << 8 * size) : all),
             second = size <= 8 ? 0 : folded[1] & (size < 16 ? ~(all << 8 * (size - 8)) : all);
    folded[0] = small_letters(first);
    folded[1] = small_letters(second);
    return ((first | second) & 0x8080808080808080u) == 0;
}

static ts_status look_up(const ts_novelty_words *w, piece *p, const char *raw, size_t raw_size, size_t start, const char *end)
{
    uint64_t few[8];
    const char *folded = (const char *)few;
    size_t size = raw_size;
    uint32_t hash;
    if (end - raw >= 16 && fold_short(raw, raw_size, few)) {
        hash = short_hash(few[0], few[1], size);
    } else if (raw_size <= sizeof few) {
        size = ts_plain_word_fold(&raw, &raw_size, (char *)few, sizeof few);
        hash = hash_word(folded, size);
    } else {
        TS_TRY(fold_long(&p->folded, raw, raw_size));
        folded = p->folded.data;
        size = p->folded.size;
        hash = hash_word(folded, size);
    }
    uint32_t word = find_word(w, hash, folded, size);
    if (word == NO_WORD)
        TS_TRY(add_missing(p, hash, folded, size));
    return add_found(p, word, start);
}

static ts_status read_piece(const ts_novelty_words *w, const batch *b, piece *p)
{
    p->found_count = p->missing_count = p->missed.size = 0;
    memset(p->grams, 0, sizeof p->grams);
    for (size_t at = p->begin; at < p->end;) {
        const char *text = b->text.data + at, *word;
        size_t size = strlen(text), word_size, count = 0, before = 0;
        at += size + 1;
        for (; ts_plain_word(&text, &size, &word, &word_size); count++) {
            size_t start = (size_t)(word - b->text.data);
            p->longest_step = TS_MAX(p->longest_step, count > 0 ? start - before : 0);
            before = start;
            TS_TRY(look_up(w, p, word, word_size, start, b->text.data + b->text.size));
        }
        TS_TRY(add_found(p, NO_WORD, 0));
        for (size_t k = 0; k < TS_NOVELTY_GRAM; k++)
            p->grams[k] += count > k ? count - k : 0;
    }
    return TS_OK;
}

/* ---- numbers ---- */

/* Puts a number where there is place for it; counts it anyway. */
static void put_code(ts_novelty_chunk *chunk, uint64_t code)
{
    if (chunk->codes != NULL)
        chunk->codes[chunk->count] = (uint16_t)code;
    chunk->count++;
}

static void put_long(ts_novelty_chunk *chunk, uint64_t code, uint64_t value)
{
    put_code(chunk, code);
    put_code(chunk, value & 0xffff);
    put_code(chunk, value >> 16);
}

/* A word tells where the next one would begin if one byte followed it; what more is skipped is a number of its own. */
static void encode(const ts_novelty_words *w, const piece *p, ts_novelty_chunk *chunk)
{
    uint64_t expected = p->begin;
    chunk->count = 0;
    for (size_t i = 0; i < p->found_count; i++) {
        uint32_t word = p->found[i].word;
        uint64_t skipped = p->found[i].start - expected;
        if (word == NO_WORD) {
            put_code(chunk, CODE_END);
            continue;
        }
        if (skipped > CODE_MOST_SKIPPED)
            put_long(chunk, CODE_SKIP, skipped);
        else if (skipped > 0)
            put_code(chunk, skipped);
        if (word < CODE_LONG_WORD - CODE_WORD)
            put_code(chunk, word + CODE_WORD);
        else
            put_long(chunk, CODE_LONG_WORD, word);
        expected = p->found[i].start + (w->ends[word] - (word > 0 ? w->ends[word - 1] : 0)) + 1;
    }
}

static void encode_pieces(void *argument, size_t begin, size_t end, size_t worker)
{
    reading *r = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        piece *p = &r->pieces[i];
        p->chunk = (ts_novelty_chunk){.start = r->now->start + p->begin};
        encode(r->words, p, &p->chunk);
        p->chunk.codes = ts_allocate_array(r->words->runtime, p->chunk.count, sizeof *p->chunk.codes);
        if (p->chunk.codes != NULL)
            encode(r->words, p, &p->chunk);
    }
}

/* ---- batches ---- */

static ts_status add_story(reading *r, const char *text, size_t size)
{
    ts_novelty_words *w = r->words;
    batch *b = r->next;
    if (size + 1 > TS_NOVELTY_MAX_TEXT - w->text_size)
        return ts_fail(TS_ERROR_LIMIT, "the text has more than %u bytes, which is more than an index takes", TS_NOVELTY_MAX_TEXT);
    TS_TRY(ts_reserve(w->runtime, &w->starts, &w->starts_capacity, w->story_count + 2, sizeof *w->starts));
    size_t at = b->text.size;
    TS_TRY(ts_bytes_add(&b->text, text, size));
    TS_TRY(ts_bytes_add(&b->text, "", 1));
    for (char *nul = b->text.data + at; (nul = memchr(nul, 0, (size_t)(b->text.data + at + size - nul))) != NULL;)
        *nul = ' ';
    w->starts[w->story_count++] = (uint32_t)w->text_size;
    w->text_size += size + 1;
    w->starts[w->story_count] = (uint32_t)w->text_size;
    w->story_bytes += size;
    return TS_OK;
}

static ts_status read_batch(reading *r)
{
    const char *text;
    size_t size;
    r->next->text.size = 0;
    r->next->start = r->words->text_size;
    while (!r->last && r->next->text.size < BATCH_SIZE) {
        TS_TRY(ts_stories_next(r->stories, &text, &size));
        if (text == NULL)
            r->last = true;
        else
            TS_TRY(add_story(r, text, size));
    }
    return TS_OK;
}

/* Writes the text of this batch and reads the next one. The detail of a failure is a thread's own, so that it is kept. */
static void read_and_write(reading *r)
{
    ts_writer_bytes(r->file, r->now->text.data, r->now->text.size);
    r->status = r->file->status;
    if (r->status == TS_OK)
        r->status = read_batch(r);
    if (r->status != TS_OK)
        snprintf(r->detail, sizeof r->detail, "%s", ts_error_detail());
}

static void do_pieces(void *argument, size_t begin, size_t end, size_t worker)
{
    reading *r = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        if (i == 0)
            read_and_write(r);
        else
            r->pieces[i - 1].status = read_piece(r->words, r->now, &r->pieces[i - 1]);
}

/* Cuts the batch between stories. */
static void cut(reading *r)
{
    size_t begin = 0, size = r->now->text.size;
    for (size_t i = 0; i < PIECES; i++) {
        size_t end = TS_MAX(begin, size / PIECES * (i + 1));
        if (i == PIECES - 1)
            end = size;
        else if (end > begin && end < size)
            end = (size_t)((const char *)memchr(r->now->text.data + end - 1, 0, size - end + 1) - r->now->text.data) + 1;
        r->pieces[i].begin = begin;
        r->pieces[i].end = begin = end;
    }
}

static ts_status name_missing(reading *r)
{
    for (size_t i = 0; i < PIECES; i++) {
        piece *p = &r->pieces[i];
        if (p->status != TS_OK) /* the detail is the other thread's */
            return ts_fail(p->status, "the words of the text could not be looked up: out of memory");
        for (size_t j = 0; j < p->missing_count; j++) {
            const missing_word *m = &p->missing[j];
            TS_TRY(add_word(r->words, m->hash, p->missed.data + m->offset, m->size, &p->found[m->index].word));
        }
        for (size_t k = 0; k < TS_NOVELTY_GRAM; k++)
            r->words->grams[k] += p->grams[k];
        r->words->longest_step = TS_MAX(r->words->longest_step, p->longest_step);
    }
    return TS_OK;
}

static ts_status keep_chunks(reading *r)
{
    ts_novelty_words *w = r->words;
    ts_status status = ts_reserve(w->runtime, &w->chunks, &w->chunk_capacity, w->chunk_count + PIECES, sizeof *w->chunks);
    if (status == TS_OK)
        ts_parallel(w->runtime, PIECES, 1, encode_pieces, r);
    for (size_t i = 0; i < PIECES && status == TS_OK; i++)
        if (r->pieces[i].chunk.codes == NULL)
            status = ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory for the words of the text");
    for (size_t i = 0; i < PIECES; i++) {
        if (status == TS_OK)
            w->chunks[w->chunk_count++] = r->pieces[i].chunk;
        else
            ts_release(w->runtime, r->pieces[i].chunk.codes);
        r->pieces[i].chunk.codes = NULL;
    }
    return status;
}

static ts_status read_all(reading *r, const ts_novelty_options *o, uint64_t total)
{
    TS_TRY(read_batch(r));
    while (r->next->text.size > 0) {
        batch *swapped = r->now;
        r->now = r->next;
        r->next = swapped;
        cut(r);
        ts_parallel(r->words->runtime, PIECES + 1, 1, do_pieces, r);
        if (r->status != TS_OK)
            return ts_fail(r->status, "%s", r->detail);
        TS_TRY(name_missing(r));
        TS_TRY(keep_chunks(r));
        if (o->progress != NULL &&
            o->progress(o->progress_user, TS_MIN(ts_stories_position(r->stories), total > 0 ? total / 2 : UINT64_MAX), total) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "stopped by the progress callback after %llu bytes",
                           (unsigned long long)ts_stories_position(r->stories));
    }
    return TS_OK;
}

ts_status ts_novelty_read(ts_novelty_words *words, ts_stories *stories, ts_writer *file, const ts_novelty_options *options, uint64_t total)
{
    ts_runtime *runtime = words->runtime;
    reading *r = ts_allocate(runtime, sizeof *r);
    if (r == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    *r = (reading){.words = words, .stories = stories, .file = file, .now = &r->batches[0], .next = &r->batches[1]};
    r->now->text.runtime = r->next->text.runtime = words->bytes.runtime = runtime;
    for (size_t i = 0; i < PIECES; i++)
        r->pieces[i].missed.runtime = r->pieces[i].folded.runtime = runtime;
    ts_status status = read_all(r, options, total);
    for (size_t i = 0; i < PIECES; i++) {
        ts_release(runtime, r->pieces[i].found);
        ts_release(runtime, r->pieces[i].missing);
        ts_bytes_free(&r->pieces[i].missed);
        ts_bytes_free(&r->pieces[i].folded);
    }
    ts_bytes_free(&r->batches[0].text);
    ts_bytes_free(&r->batches[1].text);
    ts_release(runtime, r);
    return status;
}

void ts_novelty_words_free(ts_novelty_words *words)
{
    for (size_t i = 0; i < words->chunk_count; i++)
        ts_release(words->runtime, words->chunks[i].codes);
    ts_release(words->runtime, words->chunks);
    ts_bytes_free(&words->bytes);
    ts_release(words->runtime, words->ends);
    ts_release(words->runtime, words->hashes);
    ts_release(words->runtime, words->places);
    ts_release(words->runtime, words->starts);
    *words = (ts_novelty_words){.runtime = words->runtime};
}

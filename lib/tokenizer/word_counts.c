/*
 * Counting the distinct words of a text: a table of words for all of it, and one a thread for the batch that is being read. Sums don't depend on who
 * counted what, and batches end where the text says, so that the result is the same for any number of threads.
 */
#include "tokenizer/word_counts.h"

#include "text/text.h"

#define BATCH_SIZE ((size_t)4 << 20) /* bytes of text that are counted at once */

/* ---- a table of words ---- */

void ts_word_counts_init(ts_word_counts *w, ts_runtime *runtime)
{
    *w = (ts_word_counts){.runtime = runtime, .bytes = {.runtime = runtime}};
}

static void put_place(ts_word_counts *w, size_t index)
{
    size_t mask = w->place_count - 1, at = w->words[index].hash & mask;
    while (w->places[at] != 0)
        at = (at + 1) & mask;
    w->places[at] = (uint32_t)index + 1;
}

static ts_status grow_places(ts_word_counts *w)
{
    size_t wanted = TS_MAX((size_t)4096, w->place_count * 2);
    TS_TRY(ts_reserve(w->runtime, &w->places, &w->place_capacity, wanted, sizeof *w->places));
    w->place_count = wanted;
    memset(w->places, 0, wanted * sizeof *w->places);
    for (size_t i = 0; i < w->count; i++)
        put_place(w, i);
    return TS_OK;
}

static ts_status count_word(ts_word_counts *w, const char *text, size_t size, uint64_t times)
{
    uint32_t hash = (uint32_t)ts_hash(text, size, 0);
    if (2 * (w->count + 1) > w->place_count)
        TS_TRY(grow_places(w));
    size_t mask = w->place_count - 1;
    for (size_t at = hash & mask; w->places[at] != 0; at = (at + 1) & mask) {
        ts_counted_word *known = &w->words[w->places[at] - 1];
        if (known->hash == hash && known->size == size && memcmp(w->bytes.data + known->offset, text, size) == 0) {
            known->count += times;
            return TS_OK;
        }
    }
    TS_TRY(ts_reserve(w->runtime, &w->words, &w->capacity, w->count + 1, sizeof *w->words));
    w->words[w->count] = (ts_counted_word){w->bytes.size, (uint32_t)size, hash, times};
    TS_TRY(ts_bytes_add(&w->bytes, text, size));
    put_place(w, w->count++);
    return TS_OK;
}

void ts_word_counts_free(ts_word_counts *w)
{
    ts_release(w->runtime, w->words);
    ts_release(w->runtime, w->places);
    ts_bytes_free(&w->bytes);
}

/* Adds the words of `from` that occur more than `limit` times. */
static ts_status add_counts(ts_word_counts *w, const ts_word_counts *from, uint64_t limit)
{
    for (size_t i = 0; i < from->count; i++)
        if (from->words[i].count > limit)
            TS_TRY(count_word(w, from->bytes.data + from->words[i].offset, from->words[i].size, from->words[i].count));
    return TS_OK;
}

static size_t count_above(const ts_word_counts *w, uint64_t limit)
{
    size_t count = 0;
    for (size_t i = 0; i < w->count; i++)
        count += w->words[i].count > limit;
    return count;
}

/* Leaves at most `most` words: those that occur more often than a limit, the least one that does it. Words that are equally frequent stay or go
 * together, so that the order in which they came does not matter. Gives the bytes back too. */
static ts_status forget_rarest(ts_word_counts *w, size_t most)
{
    ts_word_counts kept;
    uint64_t low = 0, high = 1; /* low is not enough, high is */
    ts_word_counts_init(&kept, w->runtime);
    while (count_above(w, high) > most) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (count_above(w, middle) > most)
            low = middle;
        else
            high = middle;
    }
    ts_status status = add_counts(&kept, w, high);
    ts_word_counts_free(w);
    *w = kept;
    return status;
}

static ts_status count_text(ts_word_counts *w, const char *text, size_t size)
{
    while (size > 0) {
        size_t length = ts_word(text, size);
        if (length > 1) {                          /* a single byte has no pair */
            size_t part = TS_MIN(length, 1 << 20); /* a word of a megabyte is no word: its parts count */
            for (size_t at = 0; at < length; at += part)
                TS_TRY(count_word(w, text + at, TS_MIN(part, length - at), 1));
        }
        text += length;
        size -= length;
    }
    return TS_OK;
}

/* ---- batches ---- */

/* Stories that are counted together, by all threads. Where a batch ends depends on the text alone, and so does what is forgotten there. */
typedef struct batch {
    ts_runtime *runtime;
    ts_bytes text; /* of the stories behind one another */
    size_t *ends;  /* of each story */
    size_t count, capacity;
    ts_word_counts *workers; /* one a thread */
    size_t worker_count;
} batch;

static void count_stories(void *argument, size_t begin, size_t end, size_t worker)
{
    batch *b = argument;
    ts_word_counts *w = &b->workers[worker];
    for (size_t i = begin; i < end && w->status == TS_OK; i++) {
        size_t start = i > 0 ? b->ends[i - 1] : 0;
        w->status = count_text(w, b->text.data + start, b->ends[i] - start);
    }
}

/* Counts the stories of a batch into `all` and empties it. Sums don't depend on who counted what. */
static ts_status count_batch(batch *b, ts_word_counts *all)
{
    ts_parallel(b->runtime, b->count, 64, count_stories, b);
    for (size_t i = 0; i < b->worker_count; i++) {
        ts_word_counts *w = &b->workers[i];
        if (w->status != TS_OK) /* the detail is the other thread's */
            return ts_fail(w->status, "the words of the text could not be counted: out of memory");
        TS_TRY(add_counts(all, w, 0));
        w->count = w->bytes.size = 0;
        if (w->place_count > 0)
            memset(w->places, 0, w->place_count * sizeof *w->places);
    }
    b->text.size = b->count = 0;
    return TS_OK;
}

static ts_status begin_batch(batch *b, ts_runtime *runtime)
{
    *b = (batch){.runtime = runtime, .text = {.runtime = runtime}, .worker_count = ts_runtime_threads(runtime)};
    b->workers = ts_allocate_array(runtime, b->worker_count, sizeof *b->workers);
    if (b->workers == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < b->worker_count; i++)
        ts_word_counts_init(&b->workers[i], runtime);
    return TS_OK;
}

static void free_batch(batch *b)
{
    for (size_t i = 0; b->workers && i < b->worker_count; i++)
        ts_word_counts_free(&b->workers[i]);
    ts_release(b->runtime, b->workers);
    ts_release(b->runtime, b->ends);
    ts_bytes_free(&b->text);
}

/* Half of the words must go when there are too many, or every next batch would have to forget again. */
static ts_status finish_batch(batch *b, ts_word_counts *words, const ts_tokenizer_train_options *o)
{
    TS_TRY(count_batch(b, words));
    if (words->count <= o->max_words)
        return TS_OK;
    ts_log(b->runtime, TS_LOG_WARNING, "the text has more than %llu distinct words: the rarest are forgotten", (unsigned long long)o->max_words);
    return forget_rarest(words, o->max_words / 2);
}

static ts_status count_all(batch *b, ts_word_counts *words, ts_next_text next, void *user, const ts_tokenizer_train_options *o)
{
    uint64_t read = 0, reported = 0;
    for (;;) {
        const char *text = NULL;
        size_t size = 0;
        if (next(user, &text, &size) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "the source of texts stopped the training of the tokenizer");
        if (text == NULL)
            break;
        ts_trim(&text, &size);
        if (size == 0)
            continue;
        TS_TRY(ts_bytes_add(&b->text, text, size));
        TS_TRY(ts_reserve(b->runtime, &b->ends, &b->capacity, b->count + 1, sizeof *b->ends));
        b->ends[b->count++] = b->text.size;
        if (b->text.size >= BATCH_SIZE)
            TS_TRY(finish_batch(b, words, o));
        read += size;
        if (o->progress && read - reported >= 1 << 20) {
            reported = read;
            if (o->progress(o->progress_user, read, 0) != 0)
                return ts_fail(TS_ERROR_CANCELLED, "the training of the tokenizer was stopped");
        }
    }
    if (read == 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the source of texts gave no text to train a tokenizer on");
    return finish_batch(b, words, o);
}

ts_status ts_count_words(ts_word_counts *words, ts_next_text next, void *user, const ts_tokenizer_train_options *o)
{
    batch b;
    ts_status status = begin_batch(&b, words->runtime);
    if (status == TS_OK)
        status = count_all(&b, words, next, user, o);
    free_batch(&b);
    return status;
}

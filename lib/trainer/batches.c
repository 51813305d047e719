/* The tokens of a run, and which of them a step sees. */
#include "trainer/trainer.h"

#include <math.h>

enum { STREAM_ORDER = 1, STREAM_OFFSET = 2 };

static uint32_t id_at(const ts_batches *b, size_t index)
{
    return b->width == 2 ? ((const uint16_t *)b->ids)[index] : ((const uint32_t *)b->ids)[index];
}

static ts_status add_id(ts_batches *b, uint32_t id)
{
    TS_TRY(ts_reserve(b->runtime, &b->ids, &b->capacity, b->count + 1, b->width));
    if (b->width == 2)
        ((uint16_t *)b->ids)[b->count++] = (uint16_t)id;
    else
        ((uint32_t *)b->ids)[b->count++] = id;
    return TS_OK;
}

/* A story's beginning is the end of text before it. */
static ts_status note_begin(ts_batches *b)
{
    TS_TRY(ts_reserve(b->runtime, &b->begins, &b->begin_capacity, b->begin_count + 1, sizeof *b->begins));
    b->begins[b->begin_count++] = b->count - 1;
    return TS_OK;
}

static ts_status hold(ts_batches *b, const uint32_t *ids, size_t count, uint64_t bytes)
{
    TS_TRY(ts_reserve(b->runtime, &b->held, &b->held_capacity, b->held_count + count, sizeof *b->held));
    TS_TRY(ts_reserve(b->runtime, &b->held_stories, &b->held_story_capacity, b->held_story_count + 1, sizeof *b->held_stories));
    if (count > 0)
        memcpy(b->held + b->held_count, ids, count * sizeof *ids);
    b->held_stories[b->held_story_count++] = (ts_held_story){b->held_count, count, bytes};
    b->held_count += count;
    return TS_OK;
}

/* Where a story goes: every `interval`-th one is held out (0: none, 1: all). */
typedef struct sorter {
    ts_batches *batches;
    const ts_tokenizer *tokenizer;
    uint64_t interval, seen;
    uint32_t *ids; /* of the story at hand */
    size_t capacity;
    ts_progress progress;
    void *progress_user;
    uint64_t done, total; /* bytes of files before the one at hand, and of all */
} sorter;

static ts_status tell(const sorter *s, uint64_t within)
{
    if (s->progress != NULL && s->progress(s->progress_user, s->done + within, s->total) != 0)
        return ts_fail(TS_ERROR_CANCELLED, "the making of the trainer was stopped while its text was encoded");
    return TS_OK;
}

/* 0 for what cannot be opened, which is told when it is its turn. */
static uint64_t file_bytes(ts_runtime *runtime, const char *path)
{
    ts_source source;
    ts_detail before;
    uint64_t size = 0;
    ts_detail_keep(&before);
    if (path != NULL && ts_source_open(&source, runtime, path, false) == TS_OK) {
        size = source.size;
        ts_source_close(&source);
    }
    ts_detail_put_back(&before);
    return size;
}

static ts_status sort_story(sorter *s, const uint32_t *ids, size_t count, uint64_t bytes)
{
    ts_batches *b = s->batches;
    uint64_t number = s->seen++;
    if (s->interval != 0 && number % s->interval == s->interval / 2)
        return hold(b, ids, count, bytes);
    if (b->by_stories)
        TS_TRY(note_begin(b));
    for (size_t i = 0; i < count; i++)
        TS_TRY(add_id(b, ids[i]));
    TS_TRY(add_id(b, ts_tokenizer_end_of_text(s->tokenizer)));
    b->stories++;
    b->bytes += bytes;
    return TS_OK;
}

static ts_status sort_text(sorter *s, const char *path)
{
    ts_stories *stories;
    ts_status status;
    TS_TRY(ts_stories_open(&stories, s->batches->runtime, &path, 1));
    for (;;) {
        const char *text;
        size_t size, count;
        if ((status = ts_stories_next(stories, &text, &size)) != TS_OK || text == NULL)
            break;
        if ((status = ts_reserve(s->batches->runtime, &s->ids, &s->capacity, size + 1, sizeof *s->ids)) != TS_OK ||
            (status = ts_tokenizer_encode(s->tokenizer, text, size, 0, s->ids, s->capacity, &count)) != TS_OK ||
            (status = sort_story(s, s->ids, count, size)) != TS_OK || (status = tell(s, ts_stories_position(stories))) != TS_OK)
            break;
    }
    ts_stories_close(stories);
    return status;
}

static ts_status sort_ids(sorter *s, const ts_shard *shard)
{
    uint32_t end = ts_tokenizer_end_of_text(s->tokenizer);
    size_t count = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i <= shard->count; i++) {
        uint32_t id = i < shard->count ? ts_shard_id(shard, i) : end;
        if (id != end) {
            size_t size;
            TS_TRY(ts_reserve(s->batches->runtime, &s->ids, &s->capacity, count + 1, sizeof *s->ids));
            s->ids[count++] = id;
            ts_tokenizer_token(s->tokenizer, id, &size);
            bytes += size;
        } else if (count > 0) {
            TS_TRY(sort_story(s, s->ids, count, bytes));
            count = 0;
            bytes = 0;
        }
    }
    return TS_OK;
}

static ts_status sort_shard(sorter *s, const char *path)
{
    ts_shard shard;
    TS_TRY(ts_shard_open(&shard, s->batches->runtime, path, false));
    ts_status status = ts_shard_check_fingerprint(&shard, ts_tokenizer_fingerprint(s->tokenizer));
    if (status == TS_OK)
        status = ts_shard_check_ids(&shard, ts_tokenizer_size(s->tokenizer));
    if (status == TS_OK)
        status = sort_ids(s, &shard);
    ts_shard_close(&shard);
    return status;
}

static ts_status sort_files(sorter *s, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (paths[i] == NULL)
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options: path %zu of the data is NULL", i);
        TS_TRY(ts_path_is_shard(paths[i]) ? sort_shard(s, paths[i]) : sort_text(s, paths[i]));
        s->done += s->progress != NULL ? file_bytes(s->batches->runtime, paths[i]) : 0;
        TS_TRY(tell(s, 0));
    }
    return TS_OK;
}

static ts_status read_all(ts_batches *b, const ts_tokenizer *tokenizer, const ts_trainer_options *o)
{
    bool own_share = o->valid_count == 0;
    sorter s = {.batches = b, .tokenizer = tokenizer, .interval = own_share && o->valid_share > 0 ? (uint64_t)llround(1 / o->valid_share) : 0,
                .progress = o->progress, .progress_user = o->progress_user};
    for (size_t i = 0; s.progress != NULL && i < o->text_count + o->valid_count; i++)
        s.total += file_bytes(b->runtime, i < o->text_count ? o->text[i] : o->valid[i - o->text_count]);
    ts_status status = add_id(b, ts_tokenizer_end_of_text(tokenizer));
    if (status == TS_OK)
        status = sort_files(&s, o->text, o->text_count);
    s.interval = 1;
    if (status == TS_OK && !own_share)
        status = sort_files(&s, o->valid, o->valid_count);
    if (status == TS_OK && !own_share && b->held_story_count == 0)
        status = ts_stories_fail(TS_ERROR_INVALID_ARGUMENT, o->valid, o->valid_count, "there is no story to validate with");
    ts_release(b->runtime, s.ids);
    return status;
}

static ts_status make_shuffle(ts_batches *b)
{
    if (b->stories >= UINT32_MAX)
        return ts_fail(TS_ERROR_LIMIT, "the text has %llu stories, expected fewer than 2^32 to pack by stories", (unsigned long long)b->stories);
    TS_TRY(note_begin(b));
    b->shuffled = ts_allocate_array(b->runtime, (size_t)b->stories, sizeof *b->shuffled);
    b->places = ts_allocate_array(b->runtime, (size_t)b->stories + 1, sizeof *b->places);
    return b->shuffled && b->places ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
}

ts_status ts_batches_make(ts_batches *batches, ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_trainer_options *options, size_t T)
{
    *batches = (ts_batches){.runtime = runtime,
                            .T = T,
                            .seed = options->seed,
                            .width = ts_tokenizer_size(tokenizer) <= 65536 ? 2 : 4,
                            .by_stories = options->packing == TS_PACKING_STORIES,
                            .epoch = UINT64_MAX};
    TS_TRY(read_all(batches, tokenizer, options));
    if (batches->stories == 0)
        return ts_stories_fail(TS_ERROR_INVALID_ARGUMENT, options->text, options->text_count, "there is no story to train on");
    if (batches->count < T + 1)
        return ts_stories_fail(
            TS_ERROR_LIMIT, options->text, options->text_count,
            "there are %zu tokens to train on, expected at least %zu, one more than a context: take more text or a shorter context", batches->count,
            T + 1);
    size_t most = (batches->count - 1) / T;
    batches->windows = most > 1 && !batches->by_stories ? most - 1 : most; /* one less, so that the offset can change */
    if (batches->by_stories)
        TS_TRY(make_shuffle(batches));
    batches->hash = ts_hash(batches->held, batches->held_count * sizeof *batches->held, ts_hash(batches->ids, batches->count * batches->width, T));
    return TS_OK;
}

void ts_batches_free(ts_batches *batches)
{
    if (batches->runtime == NULL)
        return;
    ts_release(batches->runtime, batches->ids);
    ts_release(batches->runtime, batches->held);
    ts_release(batches->runtime, batches->held_stories);
    ts_release(batches->runtime, batches->begins);
    ts_release(batches->runtime, batches->shuffled);
    ts_release(batches->runtime, batches->places);
    *batches = (ts_batches){0};
}

/* A permutation of [0, count) without memory: four rounds of a Feistel network over the next power of four, walked until the result is in range. */
static uint64_t permuted(uint64_t index, uint64_t count, uint64_t seed, uint64_t epoch)
{
    unsigned half = 1;
    while (half < 31 && (uint64_t)1 << (2 * half) < count)
        half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = index >> half, right = index & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t next = left ^ (ts_random_at(seed, STREAM_ORDER, epoch * 4 + round + (right << 32)) & mask);
            left = right;
            right = next;
        }
        index = left << half | right;
    } while (index >= count);
    return index;
}

/* ---- by stories ---- */

/* Puts the stories into the order of an epoch (Fisher and Yates). */
static void shuffle(ts_batches *b, uint64_t epoch)
{
    size_t count = (size_t)b->stories;
    for (size_t i = 0; i < count; i++)
        b->shuffled[i] = (uint32_t)i;
    ts_random random = {.seed = b->seed, .stream = ts_random_at(b->seed, STREAM_ORDER, epoch)};
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)ts_random_below(&random, i);
        uint32_t story = b->shuffled[i - 1];
        b->shuffled[i - 1] = b->shuffled[other];
        b->shuffled[other] = story;
    }
    b->places[0] = 0;
    for (size_t i = 0; i < count; i++)
        b->places[i + 1] = b->places[i] + b->begins[b->shuffled[i] + 1] - b->begins[b->shuffled[i]];
    b->epoch = epoch;
}

/* T ids and their targets of the epoch's stories behind one another, from a window of them on. */
static void packed_sequence(ts_batches *b, uint64_t epoch, uint64_t window, uint32_t *ids, uint32_t *targets)
{
    if (b->epoch != epoch)
        shuffle(b, epoch);
    uint64_t offsets = b->places[b->stories] - b->windows * b->T + 1, at = ts_random_at(b->seed, STREAM_OFFSET, epoch) % offsets + window * b->T;
    size_t low = 0, high = (size_t)b->stories; /* places[low] <= at < places[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (b->places[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    for (size_t t = 0; t <= b->T; t++, at++) {
        if (low < b->stories && at == b->places[low + 1])
            low++;
        /* behind the last story stands the text's last end of text */
        uint32_t id = low < b->stories ? id_at(b, (size_t)(b->begins[b->shuffled[low]] + at - b->places[low])) : id_at(b, b->count - 1);
        if (t < b->T)
            ids[t] = id;
        if (t > 0)
            targets[t - 1] = id;
    }
}

void ts_batches_sequence(ts_batches *batches, uint64_t index, uint32_t *ids, uint32_t *targets)
{
    size_t T = batches->T;
    if (batches->by_stories) {
        packed_sequence(batches, index / batches->windows, index % batches->windows, ids, targets);
        return;
    }
    uint64_t epoch = index / batches->windows, window = permuted(index % batches->windows, batches->windows, batches->seed, epoch);
    size_t offsets = TS_MIN(T, batches->count - batches->windows * T);
    size_t first = (size_t)(ts_random_at(batches->seed, STREAM_OFFSET, epoch) % offsets) + (size_t)window * T;
    for (size_t t = 0; t < T; t++) {
        ids[t] = id_at(batches, first + t);
        targets[t] = id_at(batches, first + t + 1);
    }
}

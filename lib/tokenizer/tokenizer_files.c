/* What tokenizers do with whole files: training, pruning, shards. */
#include "text/text.h"
#include "tokenizer/vocabulary.h"

/* The status of a call that pulled its texts out of files: what stopped it there, if something did. */
static ts_status pulled(ts_status status, const ts_stories *stories)
{
    ts_status of_files = ts_stories_status(stories);
    return status == TS_ERROR_CANCELLED && of_files != TS_OK ? of_files : status;
}

ts_status ts_tokenizer_train_files(ts_tokenizer **out, ts_runtime *runtime, const char *const *paths, size_t path_count,
                                   const ts_tokenizer_train_options *options)
{
    ts_stories *stories;
    TS_TRY(ts_runtime_acquire(&runtime, runtime));
    ts_status status = ts_stories_open(&stories, runtime, paths, path_count);
    if (status == TS_OK) {
        status = pulled(ts_tokenizer_train(out, runtime, ts_stories_pull, stories, options), stories);
        if (status == TS_ERROR_INVALID_ARGUMENT && ts_stories_none(stories))
            status = ts_stories_fail(status, paths, path_count, "there is no story to train a tokenizer on");
        ts_stories_close(stories);
    }
    ts_runtime_release(runtime);
    return status;
}

/* Ids of one text in memory that grows, which has room for one more. */
typedef struct encoder {
    const ts_tokenizer *tokenizer;
    uint32_t *ids;
    size_t count, capacity;
} encoder;

static ts_status encode(encoder *e, const char *text, size_t size)
{
    TS_TRY(ts_reserve(e->tokenizer->runtime, &e->ids, &e->capacity, size + 2, sizeof *e->ids));
    return ts_tokenizer_encode(e->tokenizer, text, size, 0, e->ids, e->capacity, &e->count);
}

/* ---- shards ---- */

static ts_status encode_stories(encoder *e, ts_stories *stories, ts_shard_writer *shard, ts_shard_report *report, ts_progress progress, void *user)
{
    uint32_t end = e->tokenizer->end_of_text;
    ts_shard_writer_add(shard, &end, 1);
    report->tokens = 1;
    for (;;) {
        const char *text;
        size_t size;
        TS_TRY(ts_stories_next(stories, &text, &size));
        if (text == NULL)
            break;
        TS_TRY(encode(e, text, size));
        e->ids[e->count++] = end; /* encode() leaves room for it */
        ts_shard_writer_add(shard, e->ids, e->count);
        TS_TRY(ts_shard_writer_status(shard)); /* a full disk, or too many tokens */
        report->stories++;
        report->tokens += e->count;
        report->bytes += size;
        if (progress && report->stories % 1024 == 0 && progress(user, ts_stories_position(stories), ts_stories_total(stories)) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "the encoding was stopped");
    }
    return TS_OK;
}

ts_status ts_tokenizer_encode_files(const ts_tokenizer *tokenizer, const char *const *paths, size_t path_count, const char *shard_path,
                                    ts_shard_report *report, ts_progress progress, void *progress_user)
{
    ts_stories *stories;
    ts_shard_writer shard;
    ts_shard_report counted = {0};
    if (tokenizer == NULL || shard_path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_encode_files: a pointer is NULL");
    if (tokenizer->end_of_text == TS_TOKENIZER_NONE)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "the tokenizer has no end of text, which divides the stories of a shard");
    if (report != NULL)
        TS_TRY(ts_report_check(report, "ts_shard_report"));
    TS_TRY(ts_stories_open(&stories, tokenizer->runtime, paths, path_count));
    encoder e = {.tokenizer = tokenizer};
    uint64_t fingerprint = 0;
    ts_status status = ts_shard_writer_open(&shard, tokenizer->runtime, shard_path, tokenizer->vocabulary.count);
    if (status == TS_OK) {
        status = encode_stories(&e, stories, &shard, &counted, progress, progress_user);
        if (status == TS_OK && counted.stories == 0)
            status = ts_stories_fail(TS_ERROR_INVALID_ARGUMENT, paths, path_count, "there is no story to encode");
        if (status == TS_OK)
            status = ts_tokenizer_identify(tokenizer, &fingerprint);
        if (status == TS_OK)
            status = ts_shard_writer_commit(&shard, fingerprint, counted.bytes, counted.stories);
        else
            ts_shard_writer_abandon(&shard);
    }
    ts_release(tokenizer->runtime, e.ids);
    ts_stories_close(stories);
    return status == TS_OK && report ? ts_report_write(report, &counted, sizeof counted, "ts_shard_report") : status;
}

/* Decodes the ids of one story and writes it. */
static ts_status write_story(const ts_tokenizer *t, const uint32_t *ids, size_t count, ts_bytes *text, ts_story_writer *writer)
{
    text->size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *bytes = ts_tokenizer_text(t, ids[i], i == 0, &size);
        TS_TRY(ts_bytes_add(text, bytes, size));
    }
    if (count > 0)
        ts_story_writer_add(writer, text->data, text->size);
    return ts_story_writer_status(writer);
}

static ts_status write_stories(const ts_tokenizer *t, const ts_shard *shard, ts_story_writer *writer)
{
    ts_bytes text = {.runtime = t->runtime};
    uint32_t *ids = NULL;
    size_t count = 0, capacity = 0;
    ts_status status = TS_OK;
    for (size_t i = 0; i <= shard->count && status == TS_OK; i++) {
        uint32_t id = i < shard->count ? ts_shard_id(shard, i) : t->end_of_text;
        if (id == t->end_of_text) {
            status = write_story(t, ids, count, &text, writer);
            count = 0;
        } else if ((status = ts_reserve(t->runtime, &ids, &capacity, count + 1, sizeof *ids)) == TS_OK) {
            ids[count++] = id;
        }
    }
    ts_release(t->runtime, ids);
    ts_bytes_free(&text);
    return status;
}

ts_status ts_tokenizer_decode_shard(const ts_tokenizer *tokenizer, const char *shard_path, const char *text_path)
{
    ts_shard shard;
    ts_story_writer *writer;
    if (tokenizer == NULL || shard_path == NULL || text_path == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_decode_shard: a pointer is NULL");
    if (ts_path_is_jsonl(text_path))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: stories are decoded into text, expected a .txt file", text_path);
    uint64_t fingerprint;
    TS_TRY(ts_tokenizer_identify(tokenizer, &fingerprint));
    TS_TRY(ts_shard_open(&shard, tokenizer->runtime, shard_path, false));
    ts_status status = ts_shard_check_fingerprint(&shard, fingerprint);
    if (status == TS_OK)
        status = ts_shard_check_ids(&shard, tokenizer->vocabulary.count);
    if (status == TS_OK)
        status = ts_story_writer_open(&writer, tokenizer->runtime, text_path);
    if (status == TS_OK) {
        status = write_stories(tokenizer, &shard, writer);
        if (status == TS_OK)
            status = ts_story_writer_commit(writer);
        else
            ts_story_writer_abandon(writer);
    }
    ts_shard_close(&shard);
    return status;
}

/* ---- pruning ---- */

typedef struct rated {
    uint64_t uses;
    uint32_t id;
} rated;

/* Which tokens stay: bytes and specials first, then the most used with all that they are made of, as long as there is room. */
typedef struct pruner {
    const ts_tokenizer *tokenizer;
    rated *order;
    uint8_t *keep;
    uint32_t *made_by; /* the first merge that gives a token, UINT32_MAX: none */
    uint32_t *results; /* of the merges */
    uint32_t *new_ids;
    uint32_t kept, size;
} pruner;

static bool rated_before(const rated *a, const rated *b)
{
    return a->uses != b->uses ? a->uses > b->uses : a->id < b->id;
}

/* Heap sort: no recursion, no memory. Afterwards the best stand first. */
static void sort_rated(rated *items, size_t count)
{
    for (size_t end = count, start = count / 2; end > 1;) {
        rated item;
        if (start > 0) {
            item = items[--start];
        } else {
            item = items[--end];
            items[end] = items[0];
        }
        size_t at = start;
        for (size_t child; (child = 2 * at + 1) < end; at = child) {
            if (child + 1 < end && rated_before(&items[child], &items[child + 1]))
                child++;
            if (!rated_before(&item, &items[child]))
                break;
            items[at] = items[child];
        }
        items[at] = item;
    }
}

/* Notes `id` and its ancestors that are not kept yet; gives how many they are. A token has fewer bytes than what it is part of, so this ends. */
static uint32_t gather(const pruner *p, uint32_t id, uint32_t *list, size_t capacity)
{
    const ts_vocabulary *v = &p->tokenizer->vocabulary;
    uint32_t count = 0;
    if (p->keep[id])
        return 0;
    list[count++] = id;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t merge = p->made_by[list[i]];
        for (int side = 0; merge != UINT32_MAX && side < 2; side++) {
            uint32_t part = v->merges[merge][side];
            bool known = p->keep[part];
            for (uint32_t j = 0; j < count && !known; j++)
                known = list[j] == part;
            if (!known && count < capacity)
                list[count++] = part;
        }
    }
    return count;
}

/* Bytes and specials always stay. */
static ts_status keep_needed(pruner *p)
{
    const ts_vocabulary *v = &p->tokenizer->vocabulary;
    for (uint32_t id = 0; id < v->count; id++) {
        size_t size;
        ts_vocabulary_bytes(v, id, &size);
        p->keep[id] = v->kinds[id] != TS_TOKEN_NORMAL || size == 1;
        p->kept += p->keep[id];
        p->made_by[id] = UINT32_MAX;
    }
    if (p->size < p->kept || p->size > v->count)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "a tokenizer of %u tokens can be pruned to %u at least and %u at most, not %u", v->count, p->kept,
                       v->count, p->size);
    return TS_OK;
}

static void choose(pruner *p)
{
    const ts_vocabulary *v = &p->tokenizer->vocabulary;
    uint32_t list[2 * TS_TOKENIZER_MAX_TOKEN];
    for (uint32_t rank = v->merge_count; rank-- > 0;) {
        p->results[rank] = ts_merge_find(p->tokenizer, v->merges[rank][0], v->merges[rank][1])->result;
        p->made_by[p->results[rank]] = rank;
    }
    sort_rated(p->order, v->count);
    for (uint32_t i = 0; i < v->count && p->kept < p->size; i++) {
        uint32_t count = gather(p, p->order[i].id, list, TS_COUNT_OF(list));
        if (count > p->size - p->kept)
            continue; /* a token with fewer ancestors may still fit */
        for (uint32_t j = 0; j < count; j++)
            p->keep[list[j]] = 1;
        p->kept += count;
    }
}

static ts_status build(ts_tokenizer **out, const pruner *p)
{
    const ts_vocabulary *v = &p->tokenizer->vocabulary;
    ts_vocabulary kept;
    ts_status status = TS_OK;
    ts_vocabulary_init(&kept, p->tokenizer->runtime);
    for (uint32_t id = 0; id < v->count && status == TS_OK; id++) {
        size_t size;
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        p->new_ids[id] = kept.count;
        if (p->keep[id])
            status = ts_vocabulary_token(&kept, bytes, size, v->kinds[id]);
    }
    for (uint32_t rank = 0; rank < v->merge_count && status == TS_OK; rank++) {
        uint32_t left = v->merges[rank][0], right = v->merges[rank][1];
        if (p->keep[left] && p->keep[right] && p->keep[p->results[rank]])
            status = ts_vocabulary_merge(&kept, p->new_ids[left], p->new_ids[right]);
    }
    if (status != TS_OK) {
        ts_vocabulary_free(&kept);
        return status;
    }
    if (p->tokenizer->end_of_text != TS_TOKENIZER_NONE)
        kept.end_of_text = p->new_ids[p->tokenizer->end_of_text];
    if (p->tokenizer->begin_of_text != TS_TOKENIZER_NONE)
        kept.begin_of_text = p->new_ids[p->tokenizer->begin_of_text];
    return ts_tokenizer_make(out, &kept, "the pruned tokenizer");
}

static ts_status count_uses(pruner *p, const char *const *paths, size_t path_count)
{
    ts_stories *stories;
    encoder e = {.tokenizer = p->tokenizer};
    for (uint32_t id = 0; id < p->tokenizer->vocabulary.count; id++)
        p->order[id].id = id;
    TS_TRY(ts_stories_open(&stories, p->tokenizer->runtime, paths, path_count));
    ts_status status;
    for (;;) {
        const char *text;
        size_t size;
        if ((status = ts_stories_next(stories, &text, &size)) != TS_OK || text == NULL || (status = encode(&e, text, size)) != TS_OK)
            break;
        for (size_t i = 0; i < e.count; i++)
            p->order[e.ids[i]].uses++;
    }
    if (status == TS_OK && ts_stories_none(stories))
        status = ts_stories_fail(TS_ERROR_INVALID_ARGUMENT, paths, path_count, "there is no story to count the tokens of");
    ts_release(p->tokenizer->runtime, e.ids);
    ts_stories_close(stories);
    return status;
}

ts_status ts_tokenizer_prune_files(ts_tokenizer **out, const ts_tokenizer *tokenizer, uint32_t size, const char *const *paths, size_t path_count)
{
    if (out == NULL || tokenizer == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_tokenizer_prune_files: a pointer is NULL");
    if (!ts_tokenizer_is_byte_level(tokenizer))
        return ts_fail(TS_ERROR_UNSUPPORTED, "a SentencePiece or WordPiece tokenizer cannot be pruned, only a byte-level BPE");
    ts_runtime *runtime = tokenizer->runtime;
    size_t count = tokenizer->vocabulary.count;
    pruner p = {.tokenizer = tokenizer, .size = size};
    p.order = ts_allocate_array(runtime, count, sizeof *p.order);
    p.keep = ts_allocate(runtime, count);
    p.made_by = ts_allocate_array(runtime, count, sizeof *p.made_by);
    p.results = ts_allocate_array(runtime, tokenizer->vocabulary.merge_count, sizeof *p.results);
    p.new_ids = ts_allocate_array(runtime, count, sizeof *p.new_ids);
    ts_status status = p.order && p.keep && p.made_by && p.results && p.new_ids ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    if (status == TS_OK)
        status = keep_needed(&p);
    if (status == TS_OK)
        status = count_uses(&p, paths, path_count);
    if (status == TS_OK) {
        choose(&p);
        status = build(out, &p);
    }
    void *const all[] = {p.order, p.keep, p.made_by, p.results, p.new_ids};
    for (size_t i = 0; i < TS_COUNT_OF(all); i++)
        ts_release(runtime, all[i]);
    return status;
}

/* How well a model foretells texts: windows of T tokens that advance by T / 2, each token counted once, in the first window that predicts it. */
#include <math.h>

#include "format/format.h"
#include "model/model.h"
#include "text/text.h"

#define ROWS_AT_ONCE 256  /* read together */
#define LOGITS_AT_ONCE 32 /* rows whose logits are held at once */

struct ts_scorer {
    ts_arena arena; /* holds all of this, the struct itself included, but for the sequence */
    ts_model *model;
    ts_cache cache;
    ts_scratch scratch;
    float *logits;      /* (LOGITS_AT_ONCE, V) */
    double *nats;       /* (LOGITS_AT_ONCE): -log p of each row's target */
    uint32_t *sequence; /* beginning of text, the story, end of text */
    size_t sequence_capacity;
    uint32_t end;
};

ts_status ts_scorer_make(ts_scorer **out, const ts_model *model)
{
    const ts_shape *shape = &model->shape;
    size_t rows = TS_MIN(shape->T, (size_t)ROWS_AT_ONCE), workers = ts_runtime_threads(model->runtime), total = 0;
    uint32_t end = ts_tokenizer_end_of_text(model->tokenizer);
    ts_arena arena;
    if (end == TS_TOKENIZER_NONE)
        return ts_fail(TS_ERROR_UNSUPPORTED, "the model's tokenizer has no end-of-text token, which divides the stories");
    if (!ts_arena_plan(&total, 1, sizeof(ts_scorer)) || !ts_inference_plan(shape, rows, shape->T, workers, &total) ||
        !ts_arena_plan(&total, LOGITS_AT_ONCE, shape->V * sizeof(float)) || !ts_arena_plan(&total, LOGITS_AT_ONCE, sizeof(double)))
        return ts_fail(TS_ERROR_LIMIT, "a context of %zu is too long", shape->T);
    TS_TRY(ts_arena_init(&arena, model->runtime, total));
    ts_scorer *scorer = ts_arena_take(&arena, 1, sizeof *scorer);
    ts_inference_take(shape, rows, shape->T, workers, &arena, &scorer->cache, &scorer->scratch);
    scorer->logits = ts_arena_take(&arena, LOGITS_AT_ONCE, shape->V * sizeof(float));
    scorer->nats = ts_arena_take(&arena, LOGITS_AT_ONCE, sizeof(double));
    scorer->model = ts_model_acquire(model);
    scorer->end = end;
    scorer->arena = arena;
    *out = scorer;
    return TS_OK;
}

void ts_scorer_free(ts_scorer *scorer)
{
    if (scorer == NULL)
        return;
    /* The model keeps the runtime that the memory goes back to, so it goes last. */
    ts_model *model = scorer->model;
    ts_arena arena = scorer->arena;
    ts_release(model->runtime, scorer->sequence);
    ts_arena_free(&arena);
    ts_model_free(model);
}

/* ---- one story ---- */

/*
 * -log softmax(logits)[target] in nats, the sum taken in double over blocks. Not a finite number when a logit is NaN or infinite (but for minus
 * infinity where it means what it says: impossible, and not what came). Overwrites the logits.
 */
static double nats_of(const ts_kernels *kernels, float *logits, size_t V, uint32_t target)
{
    enum { BLOCK = 64 };
    float greatest = kernels->maximum(logits, V);
    double below = (double)greatest - logits[target], sum = 0;
    for (size_t i = 0; i < V; i += BLOCK)
        sum += kernels->exp_sum(logits + i, TS_MIN((size_t)BLOCK, V - i), 1, greatest);
    return log(sum) + below;
}

typedef struct rows_job {
    ts_scorer *scorer;
    const uint32_t *targets;
} rows_job;

static void score_rows(void *argument, size_t begin, size_t end, size_t worker)
{
    const rows_job *job = argument;
    const ts_model *model = job->scorer->model;
    (void)worker;
    for (size_t row = begin; row < end; row++)
        job->scorer->nats[row] = nats_of(model->kernels, job->scorer->logits + row * model->shape.V, model->shape.V, job->targets[row]);
}

/* Adds the nats of `count` targets, those after the first of the scratch's normed rows from `row` on. */
static ts_status add_rows(ts_scorer *scorer, size_t row, size_t count, const uint32_t *targets, double *nats)
{
    const ts_model *model = scorer->model;
    for (size_t at = 0; at < count; at += LOGITS_AT_ONCE) {
        size_t n = TS_MIN((size_t)LOGITS_AT_ONCE, count - at);
        rows_job job = {scorer, targets + at};
        ts_inference_logits(model->runtime, model->kernels, &model->shape, &model->weights, scorer->scratch.norm + (row + at) * model->shape.C, n,
                            scorer->logits, &scorer->scratch);
        ts_parallel(model->runtime, n, 4, score_rows, &job);
        for (size_t i = 0; i < n; i++) {
            if (!isfinite(scorer->nats[i]))
                return ts_fail(TS_ERROR_DIVERGED, "the model gave a logit that is not a finite number");
            *nats += scorer->nats[i];
        }
    }
    return TS_OK;
}

/* Reads inputs [begin, end) of the sequence as a window and adds the nats of the tokens after inputs [counted, end). */
static ts_status score_window(ts_scorer *scorer, size_t begin, size_t end, size_t counted, double *nats)
{
    const ts_model *model = scorer->model;
    scorer->cache.used = 0;
    for (size_t at = begin; at < end; at += scorer->scratch.rows) {
        size_t rows = TS_MIN(scorer->scratch.rows, end - at), skip = counted > at ? TS_MIN(counted - at, rows) : 0;
        ts_inference_rows(model->runtime, model->kernels, &model->shape, &model->weights, scorer->sequence + at, rows, &scorer->cache,
                          &scorer->scratch);
        TS_TRY(add_rows(scorer, skip, rows - skip, scorer->sequence + at + skip + 1, nats));
    }
    return TS_OK;
}

ts_status ts_scorer_add(ts_scorer *scorer, const uint32_t *ids, size_t count, uint64_t bytes, ts_score *score)
{
    size_t T = scorer->model->shape.T, inputs = count + 1, counted = 0;
    double nats = 0;
    TS_TRY(ts_reserve(scorer->model->runtime, &scorer->sequence, &scorer->sequence_capacity, count + 2, sizeof *scorer->sequence));
    scorer->sequence[0] = ts_tokenizer_begin_of_text(scorer->model->tokenizer);
    memcpy(scorer->sequence + 1, ids, count * sizeof *ids);
    scorer->sequence[count + 1] = scorer->end;
    for (size_t begin = 0; counted < inputs; begin += T / 2) {
        size_t end = TS_MIN(begin + T, inputs);
        TS_TRY(score_window(scorer, begin, end, counted, &nats));
        counted = end;
    }
    score->nats += nats;
    score->tokens += inputs;
    score->bytes += bytes;
    score->stories++;
    return TS_OK;
}

void ts_score_finish(ts_score *score)
{
    score->nats_per_token = score->tokens == 0 ? 0 : score->nats / (double)score->tokens;
    score->bits_per_byte = score->bytes == 0 ? 0 : score->nats / (double)score->bytes / 0.69314718055994530942;
    score->perplexity = exp(score->nats_per_token);
}

/* ---- many stories ---- */

/* A call of ts_model_score or ts_model_score_files. */
typedef struct scoring {
    const ts_model *model;
    ts_scorer *scorer;
    uint32_t *ids; /* of the story at hand */
    size_t capacity;
    ts_score score;
    ts_progress progress;
    void *user;
} scoring;

static ts_status add_ids(scoring *s, size_t count, uint64_t bytes)
{
    TS_TRY(ts_scorer_add(s->scorer, s->ids, count, bytes, &s->score));
    if (s->progress != NULL && s->progress(s->user, s->score.stories, 0) != 0)
        return ts_fail(TS_ERROR_CANCELLED, "the callback stopped the scoring after %llu stories", (unsigned long long)s->score.stories);
    return TS_OK;
}

static ts_status add_text(scoring *s, const char *text, size_t size)
{
    size_t count = 0;
    ts_trim(&text, &size);
    if (size == 0)
        return TS_OK;
    TS_TRY(ts_reserve(s->model->runtime, &s->ids, &s->capacity, size + 1, sizeof *s->ids)); /* always enough */
    TS_TRY(ts_tokenizer_encode(s->model->tokenizer, text, size, 0, s->ids, s->capacity, &count));
    return add_ids(s, count, size);
}

static ts_status add_texts(scoring *s, ts_next_text next, void *user)
{
    for (;;) {
        const char *text = NULL;
        size_t size = 0;
        if (next(user, &text, &size) != 0)
            return ts_fail(TS_ERROR_CANCELLED, "the source of texts stopped the scoring");
        if (text == NULL)
            return TS_OK;
        TS_TRY(add_text(s, text, size));
    }
}

static ts_status add_stories(scoring *s, ts_stories *stories)
{
    for (;;) {
        const char *text;
        size_t size;
        TS_TRY(ts_stories_next(stories, &text, &size));
        if (text == NULL)
            return TS_OK;
        TS_TRY(add_text(s, text, size));
    }
}

static ts_status add_story_file(scoring *s, const char *path)
{
    ts_stories *stories;
    TS_TRY(ts_stories_open(&stories, s->model->runtime, &path, 1));
    ts_status status = add_stories(s, stories);
    ts_stories_close(stories);
    return status;
}

/* The stories of a shard are what stands between ends of text; their bytes are those of their tokens. */
static ts_status add_shard_stories(scoring *s, const ts_shard *shard)
{
    const ts_tokenizer *tokenizer = s->model->tokenizer;
    TS_TRY(ts_shard_check_fingerprint(shard, ts_tokenizer_fingerprint(tokenizer)));
    TS_TRY(ts_shard_check_ids(shard, ts_tokenizer_size(tokenizer)));
    size_t count = 0;
    uint64_t bytes = 0;
    for (size_t at = 0; at <= shard->count; at++) {
        uint32_t id = at < shard->count ? ts_shard_id(shard, at) : s->scorer->end;
        if (id != s->scorer->end) {
            size_t size = 0;
            TS_TRY(ts_reserve(s->model->runtime, &s->ids, &s->capacity, count + 1, sizeof *s->ids));
            s->ids[count++] = id;
            ts_tokenizer_token(tokenizer, id, &size);
            bytes += size;
        } else if (count > 0) {
            TS_TRY(add_ids(s, count, bytes));
            count = 0;
            bytes = 0;
        }
    }
    return TS_OK;
}

static ts_status add_shard(scoring *s, const char *path)
{
    ts_shard shard;
    TS_TRY(ts_shard_open(&shard, s->model->runtime, path, false));
    ts_status status = add_shard_stories(s, &shard);
    ts_shard_close(&shard);
    return status;
}

static ts_status begin(scoring *s, const ts_model *model)
{
    *s = (scoring){.model = model, .score = {.struct_size = sizeof s->score}};
    return ts_scorer_make(&s->scorer, model);
}

/* Frees what the call held, and reports if all went well. The paths name what was read. */
static ts_status finish(scoring *s, ts_status status, const char *const *paths, size_t count, ts_score *score)
{
    ts_release(s->model->runtime, s->ids);
    ts_scorer_free(s->scorer);
    if (status != TS_OK)
        return status;
    if (s->score.stories == 0)
        return count == 0 ? ts_fail(TS_ERROR_INVALID_ARGUMENT, "the source of texts gave no story to score")
                          : ts_stories_fail(TS_ERROR_INVALID_ARGUMENT, paths, count, "there is no story to score");
    ts_score_finish(&s->score);
    return ts_report_write(score, &s->score, sizeof s->score, "ts_score");
}

ts_status ts_model_score(const ts_model *model, ts_next_text next, void *user, ts_score *score)
{
    if (model == NULL || next == NULL || score == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model, next and score must not be NULL");
    scoring s;
    TS_TRY(begin(&s, model));
    return finish(&s, add_texts(&s, next, user), NULL, 0, score);
}

ts_status ts_model_score_files(const ts_model *model, const char *const *paths, size_t path_count, ts_score *score, ts_progress progress,
                               void *progress_user)
{
    if (model == NULL || paths == NULL || path_count == 0 || score == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "model, paths and score must not be NULL, and there must be a path");
    scoring s;
    TS_TRY(begin(&s, model));
    s.progress = progress;
    s.user = progress_user;
    ts_status status = TS_OK;
    for (size_t i = 0; i < path_count && status == TS_OK; i++)
        status = paths[i] == NULL             ? ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_model_score_files: paths[%zu] is NULL", i)
                 : ts_path_is_shard(paths[i]) ? add_shard(&s, paths[i])
                                              : add_story_file(&s, paths[i]);
    return finish(&s, status, paths, path_count, score);
}

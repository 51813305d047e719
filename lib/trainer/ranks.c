/*
 * What ranks say to one another. A stretch of the gradient is added over the ranks by halving: each keeps and adds one half of what it has with every
 * partner, the nearest first, and then all is gathered back, so that a rank moves less than twice the gradient. An exchange of a stretch that was
 * begun flies on while the stretches after it are worked out, where the communicator can start and wait.
 */
#include "trainer/trainer.h"

static const ts_communicator alone = {.struct_size = sizeof alone, .rank = 0, .size = 1};

bool ts_power_of_two(size_t count)
{
    return count > 0 && (count & (count - 1)) == 0;
}

ts_status ts_ranks_read(ts_communicator *ranks, const ts_trainer_options *options)
{
    *ranks = alone;
    if (options->communicator == NULL)
        return TS_OK;
    TS_TRY(ts_options_read(ranks, sizeof *ranks, options->communicator, "ts_communicator"));
    if (ranks->size < 1 || ranks->rank < 0 || ranks->rank >= ranks->size || ranks->exchange == NULL || ranks->broadcast == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_communicator: rank %d of %d, with functions that may not be NULL", (int)ranks->rank,
                       (int)ranks->size);
    if ((ranks->start == NULL) != (ranks->wait == NULL))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_communicator: of start and wait one is NULL, expected both or none");
    if (!ts_power_of_two((size_t)ranks->size) || ranks->size > 1 << TS_SLICE_LEVELS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_communicator.size is %d, expected a power of two up to %d", (int)ranks->size,
                       1 << TS_SLICE_LEVELS);
    return TS_OK;
}

bool ts_is_first_rank(const ts_trainer_options *options)
{
    const ts_communicator *c = options->communicator;
    return c == NULL || c->struct_size < offsetof(ts_communicator, size) || c->rank == 0;
}

/* ---- together ---- */

static ts_status exchange(const ts_communicator *c, int32_t partner, const void *send, void *receive, size_t size)
{
    if (c->exchange(c->user, partner, send, size, receive, size) != 0)
        return ts_fail(TS_ERROR_NETWORK, "rank %d cannot exchange with rank %d", (int)c->rank, (int)partner);
    return TS_OK;
}

static ts_status broadcast(const ts_communicator *c, void *data, size_t size)
{
    if (c->size > 1 && c->broadcast(c->user, data, size) != 0)
        return ts_fail(TS_ERROR_NETWORK, "rank %d hears nothing from rank 0", (int)c->rank);
    return TS_OK;
}

ts_status ts_ranks_together(const ts_communicator *c, ts_status status)
{
    struct {
        int32_t status, rank;
        ts_detail detail;
    } first = {.status = status, .rank = c->rank}, theirs = {0};
    if (c->size == 1 || status == TS_ERROR_NETWORK)
        return status;
    ts_detail_keep(&first.detail);
    for (int32_t distance = 1; distance < c->size; distance *= 2) {
        ts_status heard = exchange(c, c->rank ^ distance, &first, &theirs, sizeof first);
        if (heard != TS_OK && first.status != TS_OK)
            break; /* what was wrong says more than that nobody listens */
        TS_TRY(heard);
        if (theirs.status != TS_OK && (first.status == TS_OK || theirs.rank < first.rank))
            first = theirs;
    }
    if (first.status == TS_OK)
        return TS_OK;
    if (first.rank == c->rank) {
        ts_detail_put_back(&first.detail);
        return status;
    }
    return ts_fail(first.status, "rank %d: %.*s", (int)first.rank, (int)sizeof first.detail.text - 1, first.detail.text);
}

/* Compares what the trainer is with rank 0's. */
static ts_status compare(const ts_communicator *c, ts_trainer *t)
{
    ts_settings mine = ts_settings_of(t), theirs = {0};
    uint64_t weights = ts_hash(t->parameters, t->total * sizeof(float), 0), first = weights;
    ts_bytes text = {.runtime = t->runtime};
    ts_status status = ts_settings_write(&text, &mine); /* as many bytes on every rank */
    if (status == TS_OK)
        status = broadcast(c, text.data, text.size);
    if (status == TS_OK)
        status = broadcast(c, &first, sizeof first);
    if (status == TS_OK && ts_settings_read(&theirs, text.data, text.size) != NULL)
        status = ts_fail(TS_ERROR_NETWORK, "rank %d hears something else from rank 0 than its settings", (int)c->rank);
    if (status == TS_OK)
        status = ts_settings_same(&mine, &theirs);
    if (status == TS_OK && weights != first)
        status = ts_fail(TS_ERROR_MISMATCH, "the weights are not those of rank 0: all ranks must begin with the same model or checkpoint");
    ts_bytes_free(&text);
    return status;
}

ts_status ts_ranks_settle(const ts_communicator *c, ts_trainer *t, ts_status status)
{
    TS_TRY(ts_ranks_together(c, status));
    return c->size == 1 ? TS_OK : ts_ranks_together(c, compare(c, t));
}

ts_status ts_ranks_agree(const ts_trainer *t, void *data, size_t size)
{
    return broadcast(&t->communicator, data, size);
}

ts_status ts_ranks_gather(const ts_trainer *t, double *numbers, double *theirs, size_t count)
{
    const ts_communicator *c = &t->communicator;
    for (int32_t distance = 1; distance < c->size; distance *= 2) {
        TS_TRY(exchange(c, c->rank ^ distance, numbers, theirs, count * sizeof *numbers));
        for (size_t i = 0; i < count; i++)
            numbers[i] += theirs[i];
    }
    return TS_OK;
}

/* ---- stretches ---- */

typedef struct addition {
    float *into;
    const float *from;
} addition;

static void add_piece(void *argument, size_t begin, size_t end, size_t worker)
{
    const addition *s = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        s->into[i] += s->from[i];
}

void ts_gradient_add(ts_runtime *runtime, float *into, const float *from, size_t count)
{
    ts_parallel(runtime, count, 65536, add_piece, &(addition){into, from});
}

/* Layers from the last one down, as many in a stretch as let all have a slot; then what is before and behind them. */
void ts_stretches_make(ts_trainer *t)
{
    size_t L = t->shape.L, most = TS_COMMUNICATOR_SLOTS - 2, together = (L + most - 1) / most, front = 0, back, layer_size;
    while (t->table[front].slot == TS_SLOT_TOKENS || t->table[front].slot == TS_SLOT_POSITIONS)
        front++;
    size_t first = t->table[front].offset;
    for (back = front; t->table[back].slot != TS_SLOT_OUTPUT_NORM; back++)
        ;
    layer_size = (t->table[back].offset - first) / L;
    t->stretch_count = 0;
    for (size_t end = L; end > 0; end -= TS_MIN(together, end)) {
        size_t begin = end - TS_MIN(together, end);
        t->stretches[t->stretch_count++] = (ts_stretch){.begin = first + begin * layer_size, .end = first + end * layer_size, .layer = begin};
    }
    t->stretches[t->stretch_count++] = (ts_stretch){.begin = first + L * layer_size, .end = t->total, .layer = SIZE_MAX};
    t->stretches[t->stretch_count++] = (ts_stretch){.begin = 0, .end = first, .layer = SIZE_MAX};
    for (size_t i = 1; i < t->stretch_count; i++)
        t->stretches[i].received = t->stretches[i - 1].received + (t->stretches[i - 1].end - t->stretches[i - 1].begin + 1) / 2;
}

static size_t stages(const ts_trainer *t)
{
    size_t count = 0;
    for (size_t ranks = t->ranks; ranks > 1; ranks /= 2)
        count += 2;
    return count;
}

static float *received_of(const ts_trainer *t, const ts_stretch *s)
{
    return t->received + s->received;
}

/* Notes a failure, after which nothing is exchanged any more. */
static void note(ts_trainer *t, int32_t failure, size_t partner)
{
    if (failure != 0 && t->exchanged == TS_OK)
        t->exchanged =
            ts_fail(TS_ERROR_NETWORK, "rank %zu cannot exchange with rank %zu at step %llu", t->rank, partner, (unsigned long long)t->state.step);
}

/* The next exchange of a stretch, if there is one: on the way down half of what this rank has for the other half of its partner's; on the way back
 * all for all. */
static void fly(ts_trainer *t, ts_stretch *s)
{
    const ts_communicator *c = &t->communicator;
    size_t levels = stages(t) / 2, level = s->stage < levels ? s->stage : 2 * levels - 1 - s->stage;
    if (s->stage == 2 * levels || t->exchanged != TS_OK)
        return;
    size_t distance = (size_t)1 << level, partner = t->rank ^ distance, low = s->from[level], high = s->to[level], middle = low + (high - low) / 2;
    bool upper = (t->rank & distance) != 0, down = s->stage < levels;
    size_t own_low = upper ? middle : low, own_high = upper ? high : middle, their_low = upper ? low : middle, their_high = upper ? middle : high;
    const float *send = t->gradients + (down ? their_low : own_low);
    float *receive = down ? received_of(t, s) : t->gradients + their_low;
    size_t own = (own_high - own_low) * sizeof(float), theirs = (their_high - their_low) * sizeof(float), sent = down ? theirs : own,
           got = down ? own : theirs;
    s->from[level + 1] = own_low, s->to[level + 1] = own_high;
    s->flying = true;
    t->exchange_bytes += sent;
    double start = ts_clock();
    if (c->start != NULL)
        note(t, c->start(c->user, (int32_t)(s - t->stretches), (int32_t)partner, send, sent, receive, got), partner);
    else
        note(t, c->exchange(c->user, (int32_t)partner, send, sent, receive, got), partner);
    t->exchange_seconds += ts_clock() - start;
}

/* Ends the exchange of a stretch that flies, and begins its next. */
static void land(ts_trainer *t, ts_stretch *s)
{
    const ts_communicator *c = &t->communicator;
    size_t levels = stages(t) / 2;
    if (!s->flying || t->exchanged != TS_OK)
        return;
    double start = ts_clock();
    if (c->wait != NULL)
        note(t, c->wait(c->user, (int32_t)(s - t->stretches)), t->rank);
    t->exchange_seconds += ts_clock() - start;
    s->flying = false;
    if (t->exchanged != TS_OK)
        return;
    if (s->stage < levels) /* a + b is b + a, so both partners' order is the same */
        ts_gradient_add(t->runtime, t->gradients + s->from[s->stage + 1], received_of(t, s), s->to[s->stage + 1] - s->from[s->stage + 1]);
    s->stage++;
    fly(t, s);
}

void ts_stretch_begin(ts_trainer *t, ts_stretch *s)
{
    if (t->ranks == 1)
        return;
    if (t->communicator.start != NULL)
        for (ts_stretch *before = t->stretches; before < s; before++)
            land(t, before);
    s->stage = 0;
    s->from[0] = s->begin, s->to[0] = s->end;
    fly(t, s);
}

ts_status ts_stretches_end(ts_trainer *t, double *loss)
{
    for (size_t stage = stages(t); stage > 0; stage--)
        for (size_t i = 0; i < t->stretch_count; i++)
            land(t, &t->stretches[i]);
    for (size_t distance = 1; distance < t->ranks && t->exchanged == TS_OK; distance *= 2) {
        double theirs;
        note(t, t->communicator.exchange(t->communicator.user, (int32_t)(t->rank ^ distance), loss, sizeof *loss, &theirs, sizeof theirs),
             t->rank ^ distance);
        *loss += theirs;
    }
    return t->exchanged;
}

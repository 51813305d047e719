/*
 * The gradient of a batch. The batch is a power of two of slices, whose gradients are added pairwise: ((0 + 1) + (2 + 3)) + ... Each rank works out its part of the
 * slices, and the ranks go on with the same tree: so any number of ranks gives the same bits. Sums between ranks are reduced by halving (each keeps and adds one half of
 * what it has with every partner, the nearest first) and then gathered back, so that a rank moves less than twice the gradient.
 */
#include "trainer/trainer.h"

static size_t levels_of(size_t count)
{
    size_t levels = 0;
    while (count > 1) {
        count /= 2;
        levels++;
    }
    return levels;
}

ts_status ts_slices_make(ts_trainer *t)
{
    size_t own = t->slices / t->ranks;
    t->partial_count = levels_of(own);
    for (size_t i = 0; i < t->partial_count; i++) {
        t->partial[i] = ts_allocate_array(t->runtime, t->total, sizeof(float));
        if (t->partial[i] == NULL)
            return TS_ERROR_OUT_OF_MEMORY;
        TS_TRY(ts_weights_make(&t->partial_weights[i], t->runtime, &t->shape, t->table, t->table_count, t->partial[i]));
    }
    if (t->ranks > 1 && (t->received = ts_allocate_array(t->runtime, t->total / 2 + 1, sizeof(float))) == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    return TS_OK;
}

void ts_slices_free(ts_trainer *t)
{
    for (size_t i = 0; i < t->partial_count; i++) {
        ts_release(t->runtime, t->partial[i]);
        ts_weights_free(&t->partial_weights[i], t->runtime);
    }
    ts_release(t->runtime, t->received);
}

/* ---- within a rank ---- */

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

static void add(ts_runtime *runtime, float *into, const float *from, size_t count)
{
    ts_parallel(runtime, count, 65536, add_piece, &(addition){into, from});
}

/* Adds the gradient of the sum of some micro batches' losses over the whole batch's tokens, from zero; gives that sum. */
static double parts_gradient(ts_trainer *t, size_t slice, size_t parts, float *gradients, const ts_weights *weights)
{
    size_t T = t->shape.T, batch = t->micro * t->accumulation * t->slices,
           first = (t->options.one_batch ? 0 : t->state.step * batch) + slice * t->micro * t->accumulation;
    double sum = 0;
    memset(gradients, 0, t->total * sizeof(float));
    for (size_t part = 0; part < parts; part++) {
        double loss;
        size_t counted;
        for (size_t i = 0; i < t->micro; i++)
            ts_batches_sequence(&t->batches, first + part * t->micro + i, t->ids + i * T, t->targets + i * T);
        if (t->batches.by_stories)
            ts_network_divide(t->network, t->ids, ts_tokenizer_end_of_text(t->tokenizer));
        ts_network_step(t->network, &t->weights, weights, t->ids, t->targets, 1 / (float)(batch * T), &loss, &counted);
        sum += loss;
    }
    return sum;
}

static double slice_gradient(ts_trainer *t, size_t slice, float *gradients, const ts_weights *weights)
{
    return parts_gradient(t, slice, t->accumulation, gradients, weights);
}

double ts_slices_probe(ts_trainer *t)
{
    return parts_gradient(t, t->rank * (t->slices / t->ranks), 1, t->gradients, &t->gradient_weights) / (double)(t->micro * t->shape.T);
}

/* The tree as a binary counter: what waits is one sum for each bit of the number of slices done. */
static double own_slices(ts_trainer *t)
{
    size_t own = t->slices / t->ranks, waiting = 0;
    double losses[TS_SLICE_LEVELS + 1];
    for (size_t i = 0; i < own; i++) {
        float *into = waiting == 0 ? t->gradients : t->partial[waiting - 1];
        losses[waiting] = slice_gradient(t, t->rank * own + i, into, waiting == 0 ? &t->gradient_weights : &t->partial_weights[waiting - 1]);
        waiting++;
        for (size_t bits = i; bits & 1; bits >>= 1) {
            waiting--;
            add(t->runtime, waiting == 1 ? t->gradients : t->partial[waiting - 2], t->partial[waiting - 1], t->total);
            losses[waiting - 1] += losses[waiting];
        }
    }
    return losses[0];
}

/* ---- between ranks ---- */

static ts_status exchange(const ts_trainer *t, size_t partner, const void *send, size_t send_size, void *receive, size_t receive_size)
{
    const ts_communicator *c = &t->communicator;
    if (c->exchange(c->user, (int32_t)partner, send, send_size, receive, receive_size) != 0)
        return ts_fail(TS_ERROR_NETWORK, "rank %zu cannot exchange with rank %zu at step %llu", t->rank, partner, (unsigned long long)t->state.step);
    return TS_OK;
}

static ts_status add_ranks(ts_trainer *t, double *loss)
{
    size_t from[TS_SLICE_LEVELS], to[TS_SLICE_LEVELS], low = 0, high = t->total, level = 0;
    for (size_t distance = 1; distance < t->ranks; distance *= 2, level++) {
        size_t partner = t->rank ^ distance, middle = low + (high - low) / 2;
        bool upper = (t->rank & distance) != 0;
        double theirs;
        from[level] = low, to[level] = high;
        if (upper) {
            TS_TRY(exchange(t, partner, t->gradients + low, (middle - low) * sizeof(float), t->received, (high - middle) * sizeof(float)));
            low = middle;
        } else {
            TS_TRY(exchange(t, partner, t->gradients + middle, (high - middle) * sizeof(float), t->received, (middle - low) * sizeof(float)));
            high = middle;
        }
        add(t->runtime, t->gradients + low, t->received, high - low); /* a + b is b + a, so both partners' order is the same */
        TS_TRY(exchange(t, partner, loss, sizeof *loss, &theirs, sizeof theirs));
        *loss += theirs;
    }
    for (size_t distance = t->ranks / 2; distance > 0; distance /= 2) {
        level--;
        size_t partner = t->rank ^ distance, middle = from[level] + (to[level] - from[level]) / 2;
        bool upper = (t->rank & distance) != 0;
        size_t their_low = upper ? from[level] : middle, their_high = upper ? middle : to[level];
        TS_TRY(exchange(t, partner, t->gradients + low, (high - low) * sizeof(float), t->gradients + their_low, (their_high - their_low) * sizeof(float)));
        low = from[level], high = to[level];
    }
    return TS_OK;
}

ts_status ts_slices_gradient(ts_trainer *t, double *loss)
{
    *loss = own_slices(t);
    TS_TRY(add_ranks(t, loss));
    *loss /= (double)t->options.batch_tokens;
    return TS_OK;
}

ts_status ts_slices_agree(const ts_trainer *t, void *data, size_t size)
{
    const ts_communicator *c = &t->communicator;
    if (t->ranks > 1 && c->broadcast(c->user, data, size) != 0)
        return ts_fail(TS_ERROR_NETWORK, "rank %zu hears nothing from rank 0 at step %llu", t->rank, (unsigned long long)t->state.step);
    return TS_OK;
}

/* ---- checks ---- */

static bool power_of_two(size_t count)
{
    return count > 0 && (count & (count - 1)) == 0;
}

bool ts_is_first_rank(const ts_trainer_options *options)
{
    const ts_communicator *c = options->communicator;
    return c == NULL || c->struct_size < offsetof(ts_communicator, size) || c->rank == 0;
}

ts_status ts_slices_check(ts_trainer *t, const ts_communicator *communicator)
{
    t->ranks = 1;
    t->slices = t->options.slices ? t->options.slices : 1;
    if (!power_of_two(t->slices) || t->slices > (size_t)1 << TS_SLICE_LEVELS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.slices is %u, expected a power of two up to %d", t->options.slices, 1 << TS_SLICE_LEVELS);
    if (communicator == NULL)
        return TS_OK;
    TS_TRY(ts_options_read(&t->communicator, sizeof t->communicator, communicator, "ts_communicator"));
    const ts_communicator *c = &t->communicator;
    if (c->size < 1 || c->rank < 0 || c->rank >= c->size || c->exchange == NULL || c->broadcast == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_communicator: rank %d of %d, with functions that may not be NULL", (int)c->rank, (int)c->size);
    if (!power_of_two((size_t)c->size) || (size_t)c->size > t->slices)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_communicator.size is %d, expected a power of two of ranks, no more than the %zu slices of a batch", (int)c->size,
                       t->slices);
    t->rank = (size_t)c->rank;
    t->ranks = (size_t)c->size;
    return TS_OK;
}

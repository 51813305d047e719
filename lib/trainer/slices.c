/*
 * The gradient of a batch. The batch is a power of two of slices, whose gradients are added pairwise: ((0 + 1) + (2 + 3)) + ... Each rank works out its part of the
 * slices, and the ranks go on with the same tree: so any number of ranks gives the same bits. The last slice's gradient is finished stretch by stretch, from the last
 * layer down, and added over the ranks as soon as it is.
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
    if (t->ranks > 1 && (t->received = ts_allocate_array(t->runtime, t->total / 2 + TS_COMMUNICATOR_SLOTS + 1, sizeof(float))) == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    ts_stretches_make(t);
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

/* A stretch of the last slice's gradient is whole: with what waits for it, it is this rank's, and goes on to the others. */
static void finish_stretch(ts_trainer *t, ts_stretch *stretch)
{
    for (size_t level = t->partial_count; level > 0; level--) {
        float *into = level == 1 ? t->gradients : t->partial[level - 2];
        ts_gradient_add(t->runtime, into + stretch->begin, t->partial[level - 1] + stretch->begin, stretch->end - stretch->begin);
    }
    ts_stretch_begin(t, stretch);
}

static void finish_layer(void *user, size_t layer)
{
    ts_trainer *t = user;
    for (size_t i = 0; i < t->stretch_count; i++)
        if (t->stretches[i].layer == layer)
            finish_stretch(t, &t->stretches[i]);
}

/* Adds the gradient of the sum of some micro batches' losses over the whole batch's tokens, from zero; gives that sum. `last`: stretches are finished. */
static double parts_gradient(ts_trainer *t, size_t slice, size_t parts, float *gradients, const ts_weights *weights, bool last)
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
        ts_network_on_layer(t->network, last && part + 1 == parts ? finish_layer : NULL, t);
        ts_network_step(t->network, &t->weights, weights, t->ids, t->targets, 1 / (float)(batch * T), &loss, &counted);
        sum += loss;
    }
    if (last)
        finish_layer(t, SIZE_MAX);
    return sum;
}

double ts_slices_probe(ts_trainer *t)
{
    return parts_gradient(t, t->rank * (t->slices / t->ranks), 1, t->gradients, &t->gradient_weights, false) / (double)(t->micro * t->shape.T);
}

/* The tree as a binary counter: what waits is one sum for each bit of the number of slices done. What waits for the last slice is added by its stretches. */
static double own_slices(ts_trainer *t)
{
    size_t own = t->slices / t->ranks, waiting = 0;
    double losses[TS_SLICE_LEVELS + 1];
    for (size_t i = 0; i < own; i++) {
        float *into = waiting == 0 ? t->gradients : t->partial[waiting - 1];
        bool last = i + 1 == own;
        losses[waiting] = parts_gradient(t, t->rank * own + i, t->accumulation, into, waiting == 0 ? &t->gradient_weights : &t->partial_weights[waiting - 1], last);
        waiting++;
        for (size_t bits = i; bits & 1; bits >>= 1) {
            waiting--;
            if (!last)
                ts_gradient_add(t->runtime, waiting == 1 ? t->gradients : t->partial[waiting - 2], t->partial[waiting - 1], t->total);
            losses[waiting - 1] += losses[waiting];
        }
    }
    return losses[0];
}

ts_status ts_slices_gradient(ts_trainer *t, double *loss)
{
    *loss = own_slices(t);
    TS_TRY(ts_stretches_end(t, loss));
    *loss /= (double)t->options.batch_tokens;
    return TS_OK;
}

/* ---- checks ---- */

ts_status ts_slices_check(ts_trainer *t)
{
    t->rank = (size_t)t->communicator.rank;
    t->ranks = (size_t)t->communicator.size;
    t->slices = t->options.slices ? t->options.slices : 1;
    if (!ts_power_of_two(t->slices) || t->slices > (size_t)1 << TS_SLICE_LEVELS)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_trainer_options.slices is %u, expected a power of two up to %d", t->options.slices, 1 << TS_SLICE_LEVELS);
    if (t->ranks > t->slices)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_communicator.size is %zu, expected a power of two of ranks, no more than the %zu slices of a batch", t->ranks, t->slices);
    return TS_OK;
}

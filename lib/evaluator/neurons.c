/* What makes neurons fire: of every neuron the tokens of a corpus that activate it most, kept while the corpus goes by. */
#include <math.h>
#include <stdlib.h>

#include "evaluator/corpus.h"

typedef struct candidate {
    float activation;
    uint32_t window, at;
} candidate;

typedef struct neuron_sums {
    double sum;
    uint64_t active;
    uint32_t kept;
} neuron_sums;

struct ts_neurons {
    ts_corpus corpus;
    ts_tapped *tapped;
    neuron_sums *sums;     /* (L, F) */
    candidate *candidates; /* (L, F, options.examples): heaps with the least on top; in the end sorted, the greatest first */
};

/* A pass at hand. */
typedef struct look {
    ts_neurons *neurons;
    const ts_tap *tap;
    const ts_window *window;
} look;

/* Whether `a` gives way to `b`: activates less, or as much and later. */
static bool below(const candidate *a, const candidate *b)
{
    if (a->activation != b->activation)
        return a->activation < b->activation;
    return a->window != b->window ? a->window > b->window : a->at > b->at;
}

static void sink(candidate *heap, size_t count, candidate one)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && below(&heap[child + 1], &heap[child]);
        if (!below(&heap[child], &one))
            break;
        heap[at] = heap[child];
    }
    heap[at] = one;
}

static void keep(candidate *heap, uint32_t *kept, uint32_t room, candidate one)
{
    if (*kept == room) {
        if (below(&heap[0], &one))
            sink(heap, room, one);
        return;
    }
    size_t at = (*kept)++;
    for (; at > 0 && below(&one, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = one;
}

static void look_at_part(void *argument, size_t begin, size_t end, size_t worker)
{
    const look *l = argument;
    const ts_corpus *corpus = &l->neurons->corpus;
    size_t F = l->tap->shape[1], room = corpus->options.examples, base = l->tap->layer * F;
    (void)worker;
    for (size_t row = l->window->skip; row < l->tap->shape[0]; row++)
        for (size_t f = begin; f < end; f++) {
            float activation = l->tap->data[row * l->tap->strides[0] + f];
            neuron_sums *sums = &l->neurons->sums[base + f];
            sums->sum += activation;
            sums->active += activation > 0;
            keep(l->neurons->candidates + (base + f) * room, &sums->kept, (uint32_t)room,
                 (candidate){activation, (uint32_t)(l->window - corpus->windows), (uint32_t)row});
        }
}

static int32_t look_at_neurons(void *user, const ts_tap *tap)
{
    look *l = user;
    l->tap = tap;
    if (tap->point == TS_TAP_NEURONS)
        ts_parallel(l->neurons->corpus.model->runtime, tap->shape[1], 64, look_at_part, l);
    return 0;
}

static int greatest_first(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    return below(a, b) ? 1 : below(b, a) ? -1 : 0;
}

static ts_status measure(ts_neurons *neurons)
{
    const ts_shape *shape = &neurons->corpus.model->shape;
    look l = {.neurons = neurons};
    if (neurons->corpus.window_count > UINT32_MAX)
        return ts_fail(TS_ERROR_LIMIT, "a corpus of %zu windows is too long", neurons->corpus.window_count);
    TS_TRY(ts_corpus_run(&neurons->corpus, neurons->tapped, look_at_neurons, &l, &l.window));
    for (size_t i = 0; i < shape->L * shape->F; i++) {
        if (!isfinite(neurons->sums[i].sum))
            return ts_fail(TS_ERROR_DIVERGED, "neuron %zu of layer %zu gives an activation that is not a finite number", i % shape->F, i / shape->F);
        qsort(neurons->candidates + i * neurons->corpus.options.examples, neurons->sums[i].kept, sizeof *neurons->candidates, greatest_first);
    }
    return TS_OK;
}

/* ---- the handle ---- */

static ts_status allocate(ts_neurons *neurons)
{
    const ts_model *model = neurons->corpus.model;
    size_t count = model->shape.L * model->shape.F;
    neurons->sums = ts_allocate_array(model->runtime, count, sizeof *neurons->sums);
    neurons->candidates = ts_allocate_array(model->runtime, count, neurons->corpus.options.examples * sizeof *neurons->candidates);
    if (neurons->sums == NULL || neurons->candidates == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    return ts_tapped_make(&neurons->tapped, model, neurons->corpus.longest);
}

ts_status ts_neurons_new(ts_neurons **out, const ts_model *model, const char *const *paths, size_t path_count, const ts_analysis_options *options)
{
    if (out == NULL || model == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "out and model must not be NULL");
    ts_neurons *neurons = ts_allocate(model->runtime, sizeof *neurons);
    if (neurons == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    neurons->corpus.model = ts_model_acquire(model);
    ts_status status = ts_corpus_read(&neurons->corpus, paths, path_count, options);
    if (status == TS_OK)
        status = allocate(neurons);
    if (status == TS_OK)
        status = measure(neurons);
    ts_tapped_free(neurons->tapped);
    neurons->tapped = NULL;
    if (status != TS_OK) {
        ts_neurons_free(neurons);
        return status;
    }
    *out = neurons;
    return TS_OK;
}

void ts_neurons_free(ts_neurons *neurons)
{
    if (neurons == NULL)
        return;
    /* The model keeps the runtime that the memory goes back to, so it goes last. */
    ts_model *model = neurons->corpus.model;
    ts_release(model->runtime, neurons->sums);
    ts_release(model->runtime, neurons->candidates);
    ts_corpus_free(&neurons->corpus);
    ts_release(model->runtime, neurons);
    ts_model_free(model);
}

size_t ts_neurons_count(const ts_neurons *neurons)
{
    return neurons == NULL ? 0 : neurons->corpus.model->shape.L * neurons->corpus.model->shape.F;
}

uint64_t ts_neurons_tokens(const ts_neurons *neurons)
{
    return neurons == NULL ? 0 : neurons->corpus.tokens;
}

static ts_status check_index(const ts_neurons *neurons, size_t index)
{
    if (index >= ts_neurons_count(neurons))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "neuron %zu of a model that has %zu", index, ts_neurons_count(neurons));
    return TS_OK;
}

ts_status ts_neurons_get(const ts_neurons *neurons, size_t index, ts_neuron *neuron)
{
    if (neurons == NULL || neuron == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "neurons and neuron must not be NULL");
    TS_TRY(check_index(neurons, index));
    const neuron_sums *sums = &neurons->sums[index];
    size_t F = neurons->corpus.model->shape.F;
    ts_neuron found = {
        .struct_size = sizeof found,
        .layer = (uint32_t)(index / F),
        .neuron = (uint32_t)(index % F),
        .active = sums->active,
        .mean = sums->sum / (double)neurons->corpus.tokens,
        .most = neurons->candidates[index * neurons->corpus.options.examples].activation,
        .examples = sums->kept,
    };
    return ts_report_write(neuron, &found, sizeof found, "ts_neuron");
}

ts_status ts_neurons_example(const ts_neurons *neurons, size_t index, size_t rank, ts_neuron_example *example)
{
    if (neurons == NULL || example == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "neurons and example must not be NULL");
    TS_TRY(check_index(neurons, index));
    if (rank >= neurons->sums[index].kept)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "example %zu of a neuron that has %u", rank, neurons->sums[index].kept);
    const ts_corpus *corpus = &neurons->corpus;
    const candidate *kept = &neurons->candidates[index * corpus->options.examples + rank];
    const ts_window *window = &corpus->windows[kept->window];
    ts_neuron_example found = {
        .struct_size = sizeof found,
        .ids = corpus->ids + window->begin,
        .count = window->count,
        .at = kept->at,
        .story = window->story,
        .activation = kept->activation,
    };
    return ts_report_write(example, &found, sizeof found, "ts_neuron_example");
}

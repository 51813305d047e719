/* Top activating tokens against a sort of all, and attributions that add up to the logit. */
#include "evaluator/analysis_fixture.h"

/* ---- top activating tokens ---- */

typedef struct firing {
    float activation;
    size_t window, at;
    uint32_t id;
    uint64_t story;
} firing;

typedef struct slow {
    firing *all; /* (neurons, capacity) of a layer */
    size_t layer, neurons, capacity, count, window, skip;
    uint64_t story;
    const uint32_t *ids;
} slow;

static int32_t keep_all(void *user, const ts_tap *tap)
{
    slow *s = user;
    if (tap->point != TS_TAP_NEURONS || tap->layer != s->layer)
        return 0;
    for (size_t row = s->skip; row < tap->shape[0]; row++) {
        for (size_t f = 0; f < s->neurons; f++)
            s->all[f * s->capacity + s->count] = (firing){tap->data[row * tap->strides[0] + f], s->window, row, s->ids[row], s->story};
        s->count++;
    }
    return 0;
}

static int greatest_first(const void *left, const void *right)
{
    const firing *a = left, *b = right;
    if (a->activation != b->activation)
        return a->activation > b->activation ? -1 : 1;
    if (a->window != b->window)
        return a->window < b->window ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static void read_slowly(const ts_model *model, slow *s)
{
    for (size_t story = 0; story < TS_COUNT_OF(fixture_stories); story++) {
        uint32_t ids[300] = {ts_tokenizer_begin_of_text(model->tokenizer)};
        size_t count, T = model->shape.T;
        assert_ok(ts_tokenizer_encode(model->tokenizer, fixture_stories[story], strlen(fixture_stories[story]), 0, ids + 1, 299, &count));
        for (size_t at = 0; at < count + 1; at += T, s->window++) {
            s->skip = at == 0;
            s->ids = ids + at;
            s->story = story;
            assert_ok(ts_model_tap(model, ids + at, TS_MIN(T, count + 1 - at), keep_all, s, NULL, 0));
        }
    }
}

static void assert_neuron(const ts_neurons *neurons, size_t index, const firing *sorted, size_t count, uint32_t examples)
{
    ts_neuron found = {.struct_size = sizeof found};
    double sum = 0;
    uint64_t active = 0;
    for (size_t i = 0; i < count; i++) {
        sum += sorted[i].activation;
        active += sorted[i].activation > 0;
    }
    assert_ok(ts_neurons_get(neurons, index, &found));
    assert_int_equal(found.active, active);
    assert_true(fabs(found.mean - sum / (double)count) < 1e-6);
    assert_true((float)found.most == sorted[0].activation);
    assert_int_equal(found.examples, examples);
    for (size_t rank = 0; rank < examples; rank++) {
        ts_neuron_example example = {.struct_size = sizeof example};
        assert_ok(ts_neurons_example(neurons, index, rank, &example));
        assert_true((float)example.activation == sorted[rank].activation);
        assert_int_equal(example.at, sorted[rank].at);
        assert_int_equal(example.story, sorted[rank].story);
        assert_true(example.at < example.count);
        assert_int_equal(example.ids[example.at], sorted[rank].id);
    }
}

static void top_tokens(void **state)
{
    (void)state;
    const char *path = corpus_file();
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            ts_runtime *runtime = make_runtime(threads, TS_CPU_LEVEL_BEST);
            ts_model *model = fixture_model(runtime, every_kind[i]);
            size_t F = model->shape.F;
            ts_analysis_options options = analysis_options();
            ts_neurons *neurons;
            options.examples = threads == 1 ? 7 : 1000; /* more than there are tokens */
            assert_ok(ts_neurons_new(&neurons, model, &path, 1, &options));
            assert_int_equal(ts_neurons_count(neurons), model->shape.L * F);
            for (size_t layer = 0; layer < model->shape.L; layer++) {
                slow s = {.layer = layer, .neurons = F, .capacity = 1000};
                s.all = malloc(F * s.capacity * sizeof *s.all);
                read_slowly(model, &s);
                assert_int_equal(ts_neurons_tokens(neurons), s.count);
                for (size_t f = 0; f < F; f++) {
                    qsort(s.all + f * s.capacity, s.count, sizeof *s.all, greatest_first);
                    assert_neuron(neurons, layer * F + f, s.all + f * s.capacity, s.count, (uint32_t)TS_MIN((size_t)options.examples, s.count));
                }
                free(s.all);
            }
            ts_neurons_free(neurons);
            ts_model_free(model);
            ts_runtime_free(runtime);
        }
}

/* ---- attribution ---- */

enum { N = 9 };
static const uint32_t some_ids[N] = {3, 200, 17, 17, 90, 271, 5, 3, 200};

static float layer_of(const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return (float)sum;
}

static void attributions_add_up(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++)
        for (uint32_t untied = 0; untied < 2; untied++) {
            ts_architecture a = fixture_architecture(every_kind[i]);
            a.untied_head = untied;
            ts_model *model = fixture_model_of(NULL, tokenizer, &a, 3);
            const ts_shape *s = &model->shape;
            float *logits = malloc(N * s->V * sizeof *logits), *heads = malloc(s->L * s->H * sizeof *heads), *neurons = malloc(s->L * s->F * sizeof *neurons);
            assert_ok(ts_model_logits(model, some_ids, N, logits, N * s->V));
            for (uint32_t token = 0; token < s->V; token += 31) {
                ts_attribution of = {.struct_size = sizeof of}, alone = of;
                assert_ok(ts_model_attribute(model, some_ids, N, token, &of, heads, s->L * s->H, neurons, s->L * s->F));
                assert_ok(ts_model_attribute(model, some_ids, N, token, &alone, NULL, 0, NULL, 0));
                assert_memory_equal(&of, &alone, sizeof of);
                assert_true(fabs(of.logit - logits[(N - 1) * s->V + token]) < 1e-3);
                assert_true(fabs(of.embedding + of.heads + of.neurons + of.biases - of.logit) < 1e-3);
                assert_true(fabs(layer_of(heads, s->L * s->H) - of.heads) < 1e-3);
                assert_true(fabs(layer_of(neurons, s->L * s->F) - of.neurons) < 1e-3);
            }
            free(logits);
            free(heads);
            free(neurons);
            ts_model_free(model);
        }
    ts_tokenizer_free(tokenizer);
}

/* Takes a part out of the last position, and keeps the last norm's input as it was without it. */
typedef struct removal {
    uint32_t point, layer;
    size_t first, count; /* coordinates of the row */
    float before[64], after[64];
    bool on;
} removal;

static int32_t remove_part(void *user, const ts_tap *tap)
{
    removal *r = user;
    float *row = tap->data + (tap->shape[0] - 1) * tap->strides[0];
    if (r->on && tap->point == r->point && tap->layer == r->layer)
        memset(row + r->first, 0, r->count * sizeof *row);
    if (tap->point == TS_TAP_OUTPUT && tap->layer == r->layer)
        memcpy(r->on ? r->after : r->before, row, tap->shape[1] * sizeof *row);
    return 0;
}

/* What a part of the last layer is credited with is what the residual stream lacks without it, read through the norm as it was. */
static void a_part_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++) {
        ts_model *model = fixture_model(NULL, every_kind[i]);
        const ts_shape *s = &model->shape;
        size_t last = s->L - 1;
        const uint32_t token = 99;
        float neurons[3 * 40], heads[18], scale, mean = 0, normed[24];
        ts_attribution of = {.struct_size = sizeof of};
        removal r = {.point = TS_TAP_NEURONS, .layer = (uint32_t)last, .count = 1};
        assert_ok(ts_model_attribute(model, some_ids, N, token, &of, heads, 18, neurons, 120));
        for (size_t f = 0; f < s->F; f++) /* the one with the most to say */
            r.first = fabsf(neurons[last * s->F + f]) > fabsf(neurons[last * s->F + r.first]) ? f : r.first;
        assert_ok(ts_model_tap(model, some_ids, N, remove_part, &r, NULL, 0));
        r.on = true;
        assert_ok(ts_model_tap(model, some_ids, N, remove_part, &r, NULL, 0));
        float *const *w = model->weights.all[0];
        if (s->switches->layer_norm)
            model->kernels->layer_norm(normed, r.before, w[TS_SLOT_OUTPUT_NORM], w[TS_SLOT_OUTPUT_NORM_BIAS], s->C, s->epsilon, &mean, &scale);
        else
            model->kernels->rms_norm(normed, r.before, w[TS_SLOT_OUTPUT_NORM], s->C, s->epsilon, &scale);
        double share = 0, off = 0;
        for (size_t c = 0; c < s->C; c++)
            off += (double)(r.before[c] - r.after[c]) / (double)s->C;
        for (size_t c = 0; c < s->C; c++)
            share += (r.before[c] - r.after[c] - (s->switches->layer_norm ? off : 0)) * scale * w[TS_SLOT_OUTPUT_NORM][c] * w[TS_SLOT_OUTPUT][token * s->C + c];
        assert_true(fabs(share) > 0.01);
        assert_true(fabs(share - neurons[last * s->F + r.first]) < 1e-3 * (1 + fabs(share)));
        ts_model_free(model);
    }
}

/* ---- wrong calls, memory ---- */

static void wrong_calls(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_GPT2);
    const char *path = corpus_file();
    ts_neurons *neurons = NULL;
    ts_neuron neuron = {.struct_size = sizeof neuron};
    ts_neuron_example example = {.struct_size = sizeof example};
    ts_attribution of = {.struct_size = sizeof of};
    ts_analysis_options options = analysis_options();
    float few[4];
    options.examples = 0;
    assert_status(ts_neurons_new(&neurons, model, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    options.examples = 1001;
    assert_status(ts_neurons_new(&neurons, model, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_neurons_new(NULL, model, &path, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_neurons_new(&neurons, NULL, &path, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_ok(ts_neurons_new(&neurons, model, &path, 1, NULL));
    assert_status(ts_neurons_get(neurons, 120, &neuron), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_neurons_get(neurons, 0, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_neurons_example(neurons, 0, 10, &example), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_neurons_example(neurons, 120, 0, &example), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_neurons_example(NULL, 0, 0, &example), TS_ERROR_INVALID_ARGUMENT);
    ts_neurons_free(neurons);
    ts_neurons_free(NULL);
    assert_int_equal(ts_neurons_count(NULL), 0);
    assert_int_equal(ts_neurons_tokens(NULL), 0);
    assert_status(ts_model_attribute(model, some_ids, N, 100000, &of, NULL, 0, NULL, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_model_attribute(model, some_ids, 0, 1, &of, NULL, 0, NULL, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_model_attribute(model, some_ids, N, 1, &of, few, 4, NULL, 0), TS_ERROR_BUFFER_TOO_SMALL);
    assert_status(ts_model_attribute(model, some_ids, N, 1, &of, NULL, 0, few, 4), TS_ERROR_BUFFER_TOO_SMALL);
    assert_status(ts_model_attribute(model, some_ids, N, 1, NULL, NULL, 0, NULL, 0), TS_ERROR_INVALID_ARGUMENT);
    parameter(model, TS_SLOT_UP, 2)[0] = INFINITY;
    assert_status(ts_neurons_new(&neurons, model, &path, 1, NULL), TS_ERROR_DIVERGED);
    ts_model_free(model);
}

typedef struct attempt_values {
    const ts_tokenizer *tokenizer;
    const char *path;
} attempt_values;

static ts_status read_once(ts_runtime *runtime, void *user)
{
    const attempt_values *v = user;
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_GPT_NEO);
    ts_analysis_options options = analysis_options();
    architecture.layers = 1;
    options.max_tokens = 12;
    ts_model *model;
    ts_neurons *neurons = NULL;
    ts_attribution of = {.struct_size = sizeof of};
    TS_TRY(ts_model_new(&model, runtime, v->tokenizer, &architecture, 1));
    ts_status status = ts_model_attribute(model, some_ids, N, 1, &of, NULL, 0, NULL, 0);
    if (status == TS_OK)
        status = ts_neurons_new(&neurons, model, &v->path, 1, &options);
    ts_model_free(model);
    ts_neurons_free(neurons); /* after the model: they keep what they need */
    return status;
}

static void without_memory(void **state)
{
    (void)state;
    attempt_values v = {fixture_tokenizer(NULL), corpus_file()};
    assert_true(sweep_memory(read_once, &v) > 10);
    ts_tokenizer_free((ts_tokenizer *)v.tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_tokens),  cmocka_unit_test(attributions_add_up), cmocka_unit_test(a_part_alone),
        cmocka_unit_test(wrong_calls), cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

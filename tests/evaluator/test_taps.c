/* Taps: names and shapes, what transformers computes, and that what is written is what the pass goes on with. */
#include "evaluator/analysis_fixture.h"

enum { N = 10, LAYERS = 3 };

static const uint32_t some_ids[N] = {3, 200, 17, 17, 90, 271, 5, 3, 200, 64};

/* ---- all values of a pass, kept ---- */

typedef struct record {
    char name[48];
    uint32_t point, layer;
    uint64_t rank, shape[3];
    float *values; /* row major */
} record;

typedef struct records {
    record *items;
    size_t count;
} records;

static float *element(const ts_tap *tap, uint64_t i, uint64_t j, uint64_t k)
{
    return tap->data + i * tap->strides[0] + j * tap->strides[1] + k * tap->strides[2];
}

static int32_t keep(void *user, const ts_tap *tap)
{
    records *all = user;
    all->items = realloc(all->items, (all->count + 1) * sizeof *all->items);
    record *r = &all->items[all->count++];
    snprintf(r->name, sizeof r->name, "%s", tap->name);
    r->point = tap->point;
    r->layer = tap->layer;
    r->rank = tap->rank;
    memcpy(r->shape, tap->shape, sizeof r->shape);
    float *at = r->values = malloc(tap->shape[0] * tap->shape[1] * tap->shape[2] * sizeof *r->values);
    for (uint64_t i = 0; i < tap->shape[0]; i++)
        for (uint64_t j = 0; j < tap->shape[1]; j++)
            for (uint64_t k = 0; k < tap->shape[2]; k++)
                *at++ = *element(tap, i, j, k);
    return 0;
}

static void forget(records *all)
{
    for (size_t i = 0; i < all->count; i++)
        free(all->items[i].values);
    free(all->items);
    *all = (records){0};
}

static const record *found(const records *all, uint32_t point, uint32_t layer)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].point == point && all->items[i].layer == layer)
            return &all->items[i];
    fail_msg("point %u of layer %u did not come", point, layer);
    return NULL;
}

/* ---- names and shapes ---- */

static void assert_order(const ts_model *model, const records *all)
{
    const ts_shape *s = &model->shape;
    size_t at = 0;
    for (uint32_t point = 0; point < TS_TAP_COUNT; point++) {
        bool of_layer = strchr(ts_tap_name(point), '*') != NULL;
        if (point == TS_TAP_ATTENTION_INPUT) { /* the layers one after another */
            for (uint32_t layer = 0; layer < s->L; layer++)
                for (uint32_t inner = TS_TAP_ATTENTION_INPUT; inner <= TS_TAP_OUTPUT; inner++) {
                    char name[64];
                    if (inner == TS_TAP_GATE && !s->switches->swiglu)
                        continue;
                    snprintf(name, sizeof name, "blocks.%u%s", layer, ts_tap_name(inner) + 8);
                    assert_string_equal(all->items[at].name, name);
                    assert_int_equal(all->items[at].point, inner);
                    assert_int_equal(all->items[at].layer, layer);
                    at++;
                }
        } else if (!of_layer) {
            assert_string_equal(all->items[at].name, ts_tap_name(point));
            assert_int_equal(all->items[at++].point, point);
        }
    }
    assert_int_equal(all->count, at);
}

static void assert_shape(const records *all, uint32_t point, uint64_t a, uint64_t b, uint64_t c)
{
    const record *r = found(all, point, 0);
    assert_int_equal(r->rank, c > 0 ? 3 : 2);
    assert_int_equal(r->shape[0], a);
    assert_int_equal(r->shape[1], b);
    assert_int_equal(r->shape[2], c > 0 ? c : 1);
}

static void names_and_shapes(void **state)
{
    (void)state;
    static const char *const names[] = {
        "embedding", "blocks.*.attention.input", "blocks.*.attention.queries", "blocks.*.attention.keys", "blocks.*.attention.values",
        "blocks.*.attention.scores", "blocks.*.attention.weights", "blocks.*.attention.heads", "blocks.*.attention.output", "blocks.*.middle",
        "blocks.*.mlp.input", "blocks.*.mlp.gate", "blocks.*.mlp.hidden", "blocks.*.mlp.neurons", "blocks.*.mlp.output", "blocks.*.output", "normed",
        "logits",
    };
    for (uint32_t point = 0; point < TS_TAP_COUNT; point++)
        assert_string_equal(ts_tap_name(point), names[point]);
    assert_null(ts_tap_name(TS_TAP_COUNT));
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++) {
        ts_model *model = fixture_model(NULL, every_kind[i]);
        const ts_shape *s = &model->shape;
        records all = {0};
        float *logits = malloc(N * s->V * sizeof *logits);
        assert_ok(ts_model_tap(model, some_ids, N, keep, &all, logits, N * s->V));
        assert_order(model, &all);
        assert_shape(&all, TS_TAP_EMBEDDING, N, s->C, 0);
        assert_shape(&all, TS_TAP_QUERIES, N, s->H, s->D);
        assert_shape(&all, TS_TAP_KEYS, N, s->K, s->D);
        assert_shape(&all, TS_TAP_VALUES, N, s->K, s->D);
        assert_shape(&all, TS_TAP_SCORES, s->H, N, N);
        assert_shape(&all, TS_TAP_WEIGHTS, s->H, N, N);
        assert_shape(&all, TS_TAP_HEADS, N, s->H, s->D);
        assert_shape(&all, TS_TAP_HIDDEN, N, s->F, 0);
        assert_shape(&all, TS_TAP_NEURONS, N, s->F, 0);
        assert_shape(&all, TS_TAP_LOGITS, N, s->V, 0);
        forget(&all);
        assert_ok(ts_model_tap(model, some_ids, N, keep, &all, NULL, 0));
        assert_int_equal(all.items[all.count - 1].point, TS_TAP_NORMED);
        forget(&all);
        free(logits);
        ts_model_free(model);
    }
}

/* ---- what the values are ---- */

/* Each value follows from others as its name says. */
static void assert_consistent(const ts_model *model, const records *all, uint32_t layer)
{
    const ts_shape *s = &model->shape;
    const float *queries = found(all, TS_TAP_QUERIES, layer)->values, *keys = found(all, TS_TAP_KEYS, layer)->values;
    const float *values = found(all, TS_TAP_VALUES, layer)->values, *scores = found(all, TS_TAP_SCORES, layer)->values;
    const float *weights = found(all, TS_TAP_WEIGHTS, layer)->values, *heads = found(all, TS_TAP_HEADS, layer)->values;
    size_t window = ts_layer_window(s, layer);
    for (size_t item = 0; item < s->H * N; item++) {
        size_t head = item / N, query = item % N, group = head / (s->H / s->K);
        double sum = 0, gathered = 0;
        for (size_t key = 0; key < N; key++) {
            bool seen = key <= query && query - key < window;
            double score = 0;
            for (size_t d = 0; d < s->D; d++)
                score += (double)queries[(query * s->H + head) * s->D + d] * keys[(key * s->K + group) * s->D + d];
            if (seen)
                assert_true(fabs(scores[item * N + key] - score * s->scale) < 1e-4);
            else
                assert_true(isinf(scores[item * N + key]) && weights[item * N + key] == 0);
            sum += weights[item * N + key];
            gathered += (double)weights[item * N + key] * values[(key * s->K + group) * s->D];
        }
        assert_true(fabs(sum - 1) < 1e-5);
        assert_true(fabs(gathered - heads[(query * s->H + head) * s->D]) < 1e-4);
    }
    const float *middle = found(all, TS_TAP_MIDDLE, layer)->values, *mlp = found(all, TS_TAP_MLP_OUTPUT, layer)->values;
    const float *output = found(all, TS_TAP_OUTPUT, layer)->values, *attention = found(all, TS_TAP_ATTENTION_OUTPUT, layer)->values;
    const float *before = layer == 0 ? found(all, TS_TAP_EMBEDDING, 0)->values : found(all, TS_TAP_OUTPUT, layer - 1)->values;
    for (size_t i = 0; i < N * s->C; i++) {
        assert_true(middle[i] == before[i] + attention[i]);
        assert_true(output[i] == middle[i] + mlp[i]);
    }
}

static void logits_are_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            ts_runtime *runtime = make_runtime(threads, TS_CPU_LEVEL_BEST);
            ts_model *model = fixture_model(runtime, every_kind[i]);
            size_t count = N * model->shape.V;
            static float first[N * 300];
            float *plain = malloc(count * sizeof *plain), *tapped = malloc(count * sizeof *tapped);
            records all = {0};
            assert_ok(ts_model_logits(model, some_ids, N, plain, count));
            assert_ok(ts_model_tap(model, some_ids, N, keep, &all, tapped, count));
            for (size_t j = 0; j < count; j++)
                assert_true(fabsf(plain[j] - tapped[j]) < 2e-4f);
            for (uint32_t layer = 0; layer < LAYERS; layer++)
                assert_consistent(model, &all, layer);
            assert_true(count <= TS_COUNT_OF(first));
            if (threads == 1)
                memcpy(first, tapped, count * sizeof *first);
            assert_memory_equal(first, tapped, count * sizeof *first);
            forget(&all);
            free(plain);
            free(tapped);
            ts_model_free(model);
            ts_runtime_free(runtime);
        }
}

/* ---- what transformers says ---- */

static ts_model *open_golden(const char *name)
{
    char folder[400];
    ts_model *model;
    ts_tokenizer_train_options train;
    ts_tokenizer *tokenizer;
    text_list list = {fixture_stories, TS_COUNT_OF(fixture_stories), 0};
    ts_model_options options = {.struct_size = sizeof options, .tokenizer = in_work("words.json")};
    assert_ok(ts_tokenizer_train_options_init(&train, sizeof train));
    train.vocabulary_size = 272;
    assert_ok(ts_tokenizer_train(&tokenizer, NULL, next_of_list, &list, &train));
    assert_ok(ts_tokenizer_save(tokenizer, options.tokenizer));
    ts_tokenizer_free(tokenizer);
    snprintf(folder, sizeof folder, "%s/huggingface/%s", TS_GOLDEN, name);
    assert_ok(ts_model_open(&model, NULL, folder, &options));
    return model;
}

static void assert_line(FILE *file, const records *all)
{
    static const struct {
        const char *name;
        uint32_t point;
    } kinds[] = {{"weights", TS_TAP_WEIGHTS}, {"heads", TS_TAP_HEADS}, {"neurons", TS_TAP_NEURONS}, {"output", TS_TAP_OUTPUT}};
    char name[16];
    unsigned layer;
    assert_int_equal(fscanf(file, "%15s %u", name, &layer), 2);
    size_t kind = 0;
    while (strcmp(kinds[kind].name, name) != 0)
        assert_true(++kind < TS_COUNT_OF(kinds));
    const record *r = found(all, kinds[kind].point, layer);
    bool square = kinds[kind].point == TS_TAP_WEIGHTS;
    size_t count = r->shape[0] * r->shape[1] * r->shape[2];
    for (size_t i = 0; i < count; i++) {
        float expected;
        if (square && i % N > i / N % N)
            continue; /* a key that is not seen */
        assert_int_equal(fscanf(file, "%f", &expected), 1);
        if (!(fabsf(r->values[i] - expected) <= 1e-5f * (1 + fabsf(expected) / 10)))
            fail_msg("%s of layer %u: value %zu is %.8g, expected %.8g", name, layer, i, (double)r->values[i], (double)expected);
    }
}

static void as_transformers(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt_neo", "gpt2", "llama_grouped"};
    for (size_t i = 0; i < TS_COUNT_OF(names); i++) {
        ts_model *model = open_golden(names[i]);
        char path[400];
        uint32_t ids[N];
        records all = {0};
        snprintf(path, sizeof path, "%s/huggingface/%s/taps.txt", TS_GOLDEN, names[i]);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        for (size_t t = 0; t < N; t++)
            assert_int_equal(fscanf(file, "%u", &ids[t]), 1);
        assert_ok(ts_model_tap(model, ids, N, keep, &all, NULL, 0));
        for (size_t line = 0; line < 4 * model->shape.L; line++)
            assert_line(file, &all);
        assert_int_equal(fscanf(file, "%*s"), EOF);
        fclose(file);
        forget(&all);
        ts_model_free(model);
    }
    remove_file("words.json");
}

/* ---- overwriting ---- */

/* Sets a slice of a point to a value: index `which` of dimension `dimension`, or all (-1). */
typedef struct change {
    uint32_t point, layer;
    int dimension;
    uint64_t which;
    float value;
    int calls;
} change;

static int32_t overwrite(void *user, const ts_tap *tap)
{
    change *c = user;
    if (tap->point != c->point || tap->layer != c->layer)
        return 0;
    c->calls++;
    for (uint64_t i = 0; i < tap->shape[0]; i++)
        for (uint64_t j = 0; j < tap->shape[1]; j++)
            for (uint64_t k = 0; k < tap->shape[2]; k++)
                if (c->dimension < 0 || (c->dimension == 0 ? i : c->dimension == 1 ? j : k) == c->which)
                    *element(tap, i, j, k) = c->value;
    return 0;
}

static void logits_after(const ts_model *model, ts_tap_callback call, void *user, float *logits)
{
    assert_ok(ts_model_tap(model, some_ids, N, call, user, logits, N * model->shape.V));
}

static int32_t look_only(void *user, const ts_tap *tap)
{
    (void)user;
    (void)tap;
    return 0;
}

/* Ablating a head, by what it gathered or by its attention, or a neuron is the same as taking its columns out of the next matrix. */
static void ablation(void **state)
{
    (void)state;
    enum { LAYER = 1, HEAD = 4, NEURON = 9 };
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++) {
        ts_model *model = fixture_model(NULL, every_kind[i]);
        const ts_shape *s = &model->shape;
        size_t bytes = N * s->V * sizeof(float);
        float *plain = malloc(bytes), *changed = malloc(bytes), *without = malloc(bytes);
        change changes[] = {{TS_TAP_HEADS, LAYER, 1, HEAD, 0, 0}, {TS_TAP_WEIGHTS, LAYER, 0, HEAD, 0, 0}, {TS_TAP_NEURONS, LAYER, 1, NEURON, 0, 0}};
        logits_after(model, look_only, NULL, plain);
        for (size_t c = 0; c < TS_COUNT_OF(changes); c++) {
            bool neuron = changes[c].point == TS_TAP_NEURONS;
            size_t in = neuron ? s->F : s->C, first = neuron ? NEURON : HEAD * s->D, count = neuron ? 1 : s->D;
            float *matrix = parameter(model, neuron ? TS_SLOT_DOWN : TS_SLOT_ATTN_OUTPUT, LAYER), *kept = malloc(s->C * in * sizeof *kept);
            logits_after(model, overwrite, &changes[c], changed);
            assert_int_equal(changes[c].calls, 1);
            assert_memory_not_equal(changed, plain, bytes);
            memcpy(kept, matrix, s->C * in * sizeof *kept);
            for (size_t row = 0; row < s->C; row++)
                memset(matrix + row * in + first, 0, count * sizeof *matrix);
            logits_after(model, look_only, NULL, without);
            memcpy(matrix, kept, s->C * in * sizeof *kept);
            free(kept);
            for (size_t j = 0; j < N * s->V; j++)
                assert_true(changed[j] == without[j]);
        }
        free(plain);
        free(changed);
        free(without);
        ts_model_free(model);
    }
}

/* Every point is read by what comes after it, but for the logits, which are the caller's. */
static void every_point_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++) {
        ts_model *model = fixture_model(NULL, every_kind[i]);
        size_t count = N * model->shape.V;
        float *plain = malloc(count * sizeof *plain), *changed = malloc(count * sizeof *changed);
        logits_after(model, look_only, NULL, plain);
        for (uint32_t point = 0; point < TS_TAP_COUNT; point++) {
            change c = {point, 0, -1, 0, 0.5f, 0};
            bool comes = point != TS_TAP_GATE || model->shape.switches->swiglu;
            logits_after(model, overwrite, &c, changed);
            assert_int_equal(c.calls, comes);
            assert_int_equal(memcmp(plain, changed, count * sizeof *plain) != 0, comes);
        }
        free(plain);
        free(changed);
        ts_model_free(model);
    }
}

/* Another pass's values at one point. */
typedef struct patch {
    const records *from;
    uint32_t point, layer;
} patch;

static int32_t put_in(void *user, const ts_tap *tap)
{
    const patch *p = user;
    if (tap->point != p->point || tap->layer != p->layer)
        return 0;
    const float *at = found(p->from, p->point, p->layer)->values;
    for (uint64_t i = 0; i < tap->shape[0]; i++)
        for (uint64_t j = 0; j < tap->shape[1]; j++)
            for (uint64_t k = 0; k < tap->shape[2]; k++)
                *element(tap, i, j, k) = *at++;
    return 0;
}

/* All of the residual stream patched from another sequence's pass gives the other sequence's logits, bit by bit. */
static void patching(void **state)
{
    (void)state;
    static const patch places[] = {{NULL, TS_TAP_EMBEDDING, 0}, {NULL, TS_TAP_MIDDLE, 1}, {NULL, TS_TAP_OUTPUT, 1}, {NULL, TS_TAP_NORMED, 0}, {NULL, TS_TAP_LOGITS, 0}};
    uint32_t other[N];
    for (size_t t = 0; t < N; t++)
        other[t] = some_ids[N - 1 - t];
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++) {
        ts_model *model = fixture_model(NULL, every_kind[i]);
        size_t count = N * model->shape.V;
        float *expected = malloc(count * sizeof *expected), *patched = malloc(count * sizeof *patched);
        records all = {0};
        assert_ok(ts_model_tap(model, other, N, keep, &all, expected, count));
        for (size_t p = 0; p < TS_COUNT_OF(places); p++) {
            patch one = {&all, places[p].point, places[p].layer};
            logits_after(model, put_in, &one, patched);
            assert_memory_equal(patched, expected, count * sizeof *patched);
        }
        forget(&all);
        free(expected);
        free(patched);
        ts_model_free(model);
    }
}

/* ---- stopping, wrong calls, memory ---- */

static int32_t count_down(void *user, const ts_tap *tap)
{
    int *left = user;
    (void)tap;
    assert_true(*left > 0); /* no call after the one that stopped */
    return --*left == 0;
}

static void stopping(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    records all = {0};
    assert_ok(ts_model_tap(model, some_ids, N, keep, &all, NULL, 0));
    for (size_t at = 1; at <= all.count; at++) {
        int left = (int)at;
        assert_status(ts_model_tap(model, some_ids, N, count_down, &left, NULL, 0), TS_ERROR_CANCELLED);
        assert_int_equal(left, 0);
    }
    forget(&all);
    ts_model_free(model);
}

static void wrong_calls(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_GPT2);
    uint32_t ids[20] = {0};
    float logits[1];
    assert_status(ts_model_tap(NULL, ids, 1, look_only, NULL, NULL, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_model_tap(model, NULL, 1, look_only, NULL, NULL, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_model_tap(model, ids, 1, NULL, NULL, NULL, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_model_tap(model, ids, 0, look_only, NULL, NULL, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_model_tap(model, ids, 17, look_only, NULL, NULL, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_detail_has("17");
    assert_status(ts_model_tap(model, ids, 1, look_only, NULL, logits, 1), TS_ERROR_BUFFER_TOO_SMALL);
    ids[2] = 100000;
    assert_status(ts_model_tap(model, ids, 3, look_only, NULL, NULL, 0), TS_ERROR_INVALID_ARGUMENT);
    assert_detail_has("ids[2]");
    ts_model_free(model);
}

static ts_status tap_once(ts_runtime *runtime, void *user)
{
    static float logits[N * 300];
    const ts_tokenizer *tokenizer = user;
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_GPT_NEO);
    ts_model *model;
    TS_TRY(ts_model_new(&model, runtime, tokenizer, &architecture, 1));
    ts_status status = ts_model_tap(model, some_ids, N, look_only, NULL, logits, TS_COUNT_OF(logits));
    ts_model_free(model);
    return status;
}

static void without_memory(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    assert_true(sweep_memory(tap_once, tokenizer) > 3);
    ts_tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_shapes), cmocka_unit_test(logits_are_the_same), cmocka_unit_test(as_transformers),
        cmocka_unit_test(ablation),         cmocka_unit_test(every_point_counts),  cmocka_unit_test(patching),
        cmocka_unit_test(stopping),         cmocka_unit_test(wrong_calls),         cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* Heads that were built by hand are found out, and nobody else is. */
#include "evaluator/analysis_fixture.h"

/* ---- a network of known heads ----
 *
 * Width 96: 32 coordinates of signs that stand for the token, 32 of cosines and sines of the position, a slot of 32 for the token before. Heads of 32.
 * Layer 0: the token before (which it writes into the slot), three tokens before, the same token. Layer 1: what followed the same token, which is the
 * token whose slot is like the present token; two heads of zeros, whose attention is even. Layer 2: one word, the first position, zeros.
 */
enum { D = 32, C = 3 * D, H = 3, LAYERS = 3, T = 64, TOKEN = 0, PLACE = D, SLOT = 2 * D };

static double frequency(size_t pair)
{
    return 0.3 + 2.5 * (double)(ts_random_at(11, 0, pair) >> 11) / 9007199254740992.0;
}

/* The code of a position `by` further on is a turn of this one's: rows of a head's 32 outputs, columns of the place. */
static void put_turn(float *matrix, size_t head, double by, float scale)
{
    for (size_t pair = 0; pair < D / 2; pair++) {
        double angle = frequency(pair) * by;
        float *cosine = matrix + (head * D + 2 * pair) * C + PLACE + 2 * pair, *sine = cosine + C;
        cosine[0] = scale * (float)cos(angle);
        cosine[1] = scale * -(float)sin(angle);
        sine[0] = scale * (float)sin(angle);
        sine[1] = scale * (float)cos(angle);
    }
}

static void put_identity(float *matrix, size_t head, size_t from, float scale)
{
    for (size_t i = 0; i < D; i++)
        matrix[(head * D + i) * C + from + i] = scale;
}

/* A query of `code`, which a constant in the slot's first coordinate calls up. */
static void put_constant(float *matrix, size_t head, const float *code, float scale)
{
    for (size_t i = 0; i < D; i++)
        matrix[(head * D + i) * C + SLOT] = scale * code[i];
}

static void put_embeddings(ts_model *model)
{
    for (size_t id = 0; id < model->shape.V; id++)
        for (size_t i = 0; i < D; i++)
            parameter(model, TS_SLOT_TOKENS, 0)[id * C + TOKEN + i] = ts_random_at(5, id, i) & 1 ? 1 : -1;
    for (size_t t = 0; t < T; t++)
        for (size_t pair = 0; pair < D / 2; pair++) {
            float *code = parameter(model, TS_SLOT_POSITIONS, 0) + t * C + PLACE + 2 * pair;
            code[0] = (float)cos(frequency(pair) * (double)t);
            code[1] = (float)sin(frequency(pair) * (double)t);
        }
}

static ts_model *built_model(ts_runtime *runtime, int32_t kind, uint32_t word, bool whole)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
    ts_architecture a = fixture_architecture(kind);
    a.context_length = T;
    a.width = C;
    a.heads = H;
    a.layers = LAYERS;
    a.hidden = 4;
    a.window = 0;
    ts_model *model;
    assert_ok(ts_model_new(&model, runtime, tokenizer, &a, 1));
    ts_tokenizer_free(tokenizer);
    for (size_t i = 0; i < model->table_count; i++) {
        const ts_parameter *p = &model->table[i];
        for (size_t j = 0; j < p->rows * p->columns; j++)
            model->data[p->offset + j] = p->initial == TS_INITIAL_ONE ? 1 : 0;
    }
    put_embeddings(model);
    float sharp = 2 * (model->shape.switches->scaled ? sqrtf(D) : 1);
    put_turn(parameter(model, TS_SLOT_Q, 0), 0, -1, sharp);
    put_turn(parameter(model, TS_SLOT_K, 0), 0, 0, 1);
    put_identity(parameter(model, TS_SLOT_V, 0), 0, TOKEN, 1);
    for (size_t i = 0; whole && i < D; i++)
        parameter(model, TS_SLOT_ATTN_OUTPUT, 0)[(SLOT + i) * C + i] = 1;
    put_turn(parameter(model, TS_SLOT_Q, 0), 1, -3, sharp);
    put_turn(parameter(model, TS_SLOT_K, 0), 1, 0, 1);
    put_identity(parameter(model, TS_SLOT_Q, 0), 2, TOKEN, sharp);
    put_identity(parameter(model, TS_SLOT_K, 0), 2, TOKEN, 1);
    put_identity(parameter(model, TS_SLOT_Q, 1), 0, TOKEN, sharp);
    put_identity(parameter(model, TS_SLOT_K, 1), 0, SLOT, 1);
    for (size_t i = 0; i < D; i++)
        parameter(model, TS_SLOT_ATTN_NORM, 2)[SLOT + i] = 0;
    parameter(model, TS_SLOT_ATTN_NORM_BIAS, 2)[SLOT] = 1;
    put_constant(parameter(model, TS_SLOT_Q, 2), 0, parameter(model, TS_SLOT_TOKENS, 0) + (size_t)word * C + TOKEN, sharp);
    put_identity(parameter(model, TS_SLOT_K, 2), 0, TOKEN, 1);
    put_constant(parameter(model, TS_SLOT_Q, 2), 1, parameter(model, TS_SLOT_POSITIONS, 0) + PLACE, sharp);
    put_identity(parameter(model, TS_SLOT_K, 2), 1, PLACE, 1);
    return model;
}

static ts_head head_of(const ts_heads *heads, size_t layer, size_t head)
{
    ts_head found = {.struct_size = sizeof found};
    assert_ok(ts_heads_get(heads, layer * H + head, &found));
    assert_int_equal(found.layer, layer);
    assert_int_equal(found.head, head);
    return found;
}

/* The corpus's most frequent token. */
static uint32_t frequent_word(void)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    size_t counts[300] = {0}, most = 0;
    for (size_t i = 0; i < TS_COUNT_OF(fixture_stories); i++) {
        uint32_t ids[300];
        size_t count;
        assert_ok(ts_tokenizer_encode(tokenizer, fixture_stories[i], strlen(fixture_stories[i]), 0, ids, 300, &count));
        for (size_t j = 0; j < count; j++)
            counts[ids[j]]++;
    }
    for (size_t id = 0; id < 300; id++)
        most = counts[id] > counts[most] ? id : most;
    ts_tokenizer_free(tokenizer);
    return (uint32_t)most;
}

static ts_heads *measured(const ts_model *model)
{
    const char *path = corpus_file();
    ts_heads *heads;
    assert_ok(ts_heads_new(&heads, model, &path, 1, NULL));
    return heads;
}

#define NAMED (TS_HEAD_PREVIOUS | TS_HEAD_DUPLICATE | TS_HEAD_INDUCTION)

static void known_heads(void **state)
{
    (void)state;
    for (size_t i = 1; i < TS_COUNT_OF(every_kind); i++) {
        ts_model *model = built_model(NULL, every_kind[i], frequent_word(), true);
        ts_heads *heads = measured(model);
        ts_head previous = head_of(heads, 0, 0), third = head_of(heads, 0, 1), same = head_of(heads, 0, 2), induction = head_of(heads, 1, 0);
        ts_head word = head_of(heads, 2, 0), first = head_of(heads, 2, 1);
        assert_int_equal(ts_heads_count(heads), LAYERS * H);
        assert_int_equal(previous.kinds, TS_HEAD_PREVIOUS | TS_HEAD_DISTANCE);
        assert_true(previous.previous > 0.9 && previous.distance > 0.9 && fabs(previous.mean_distance - 1) < 0.1);
        assert_true(previous.previous_chance < 0.2);
        assert_int_equal(third.kinds, TS_HEAD_DISTANCE);
        assert_true(fabs(third.mean_distance - 3) < 0.3);
        assert_int_equal(same.kinds & NAMED, TS_HEAD_DUPLICATE);
        assert_true(fabs(same.duplicate - 0.5) < 0.1); /* it looks at itself as much */
        assert_int_equal(induction.kinds & NAMED, TS_HEAD_INDUCTION);
        assert_true(induction.induction > 0.9 && induction.duplicate < 0.1);
        assert_int_equal(word.kinds, TS_HEAD_SEMANTIC);
        assert_true(word.content > 0.5 && same.content > 0.1 && previous.content < 0.1 && third.content < 0.1);
        assert_int_equal(first.kinds, TS_HEAD_RESTING);
        for (size_t none = 0; none < 3; none++) {
            ts_head even = none < 2 ? head_of(heads, 1, 1 + none) : head_of(heads, 2, 2);
            assert_int_equal(even.kinds, 0);
            assert_true(fabs(even.previous - even.previous_chance) < 1e-6 && fabs(even.induction - even.induction_chance) < 1e-6);
            assert_true(even.focus < 1e-6);
        }
        ts_heads_free(heads);
        ts_model_free(model);

        model = built_model(NULL, every_kind[i], 0, false); /* nothing is written into the slot */
        heads = measured(model);
        induction = head_of(heads, 1, 0);
        assert_int_equal(induction.kinds & NAMED, 0);
        ts_heads_free(heads);
        ts_model_free(model);
    }
}

static void random_weights(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++)
        for (uint64_t seed = 0; seed < 2; seed++) {
            ts_architecture a = fixture_architecture(every_kind[i]);
            a.context_length = 64;
            ts_model *fresh, *large = fixture_model_of(NULL, tokenizer, &a, seed);
            assert_ok(ts_model_new(&fresh, NULL, tokenizer, &a, seed));
            ts_heads *of_fresh = measured(fresh), *of_large = measured(large);
            for (size_t head = 0; head < ts_heads_count(of_fresh); head++) {
                ts_head one = {.struct_size = sizeof one}, other = one;
                assert_ok(ts_heads_get(of_fresh, head, &one));
                assert_ok(ts_heads_get(of_large, head, &other));
                assert_int_equal(one.kinds, 0);
                assert_int_equal(other.kinds & NAMED, 0); /* weights that are random but strong choose, and stand for nothing */
            }
            ts_heads_free(of_fresh);
            ts_heads_free(of_large);
            ts_model_free(fresh);
            ts_model_free(large);
        }
    ts_tokenizer_free(tokenizer);
}

/* ---- the measures by their definition ---- */

typedef struct slow {
    double previous, first, focus, squares, departure, products[16], masses[16];
    double sums[2][300][2], counts[2][300][2]; /* by half, token and whether it is the query's */
    size_t queries, layer, head, window, half;
    const uint32_t *ids;
} slow;

static int32_t add_slowly(void *user, const ts_tap *tap)
{
    slow *s = user;
    if (tap->point != TS_TAP_WEIGHTS || tap->layer != s->layer)
        return 0;
    for (size_t query = 2; query < tap->shape[1]; query++) {
        const float *a = tap->data + s->head * tap->strides[0] + query * tap->strides[1];
        size_t begin = query + 1 > s->window ? query + 1 - s->window : 0, keys;
        begin = begin < 1 ? 1 : begin;
        keys = query + 1 - begin;
        double m = 0;
        for (size_t key = begin; key <= query; key++)
            m += a[key];
        for (size_t key = begin; key <= query; key++) {
            s->focus += fabs(a[key] - m / (double)keys) / 2;
            s->departure += pow(a[key] - m / (double)keys, 2);
            s->squares += pow(a[key], 2);
            s->sums[s->half][s->ids[key]][s->ids[key] == s->ids[query]] += a[key] - m / (double)keys;
            s->counts[s->half][s->ids[key]][s->ids[key] == s->ids[query]]++;
            s->products[query - key] += a[key] * m;
            s->masses[query - key] += m * m;
        }
        s->previous += a[query - 1];
        s->first += a[0];
        s->queries++;
    }
    return 0;
}

static void by_definition(void **state)
{
    (void)state;
    for (size_t i = 0; i < TS_COUNT_OF(every_kind); i++) {
        ts_model *model = fixture_model(NULL, every_kind[i]); /* contexts of 16: every story takes several windows */
        ts_heads *heads = measured(model);
        uint64_t tokens = 0;
        for (size_t index = 0; index < ts_heads_count(heads); index++) {
            ts_head found = {.struct_size = sizeof found};
            slow s = {.layer = index / 6, .head = index % 6, .window = ts_layer_window(&model->shape, index / 6)};
            tokens = 0;
            for (size_t story = 0; story < TS_COUNT_OF(fixture_stories); story++) {
                uint32_t ids[300] = {ts_tokenizer_begin_of_text(model->tokenizer)};
                size_t count;
                assert_ok(ts_tokenizer_encode(model->tokenizer, fixture_stories[story], strlen(fixture_stories[story]), 0, ids + 1, 299, &count));
                for (size_t at = 0; at < count + 1; at += 16, s.half = 1 - s.half) {
                    s.ids = ids + at;
                    assert_ok(ts_model_tap(model, ids + at, TS_MIN((size_t)16, count + 1 - at), add_slowly, &s, NULL, 0));
                }
                tokens += count;
            }
            double left = s.squares, n = (double)s.queries, explained = 0;
            for (size_t cell = 0; cell < 600; cell++) {
                double even = s.counts[0][cell / 2][cell % 2], odd = s.counts[1][cell / 2][cell % 2];
                if (even > 0 && odd > 0)
                    explained += (even + odd) * (s.sums[0][cell / 2][cell % 2] / even) * (s.sums[1][cell / 2][cell % 2] / odd);
            }
            for (size_t d = 0; d < 16; d++)
                left -= s.masses[d] > 0 ? s.products[d] * s.products[d] / s.masses[d] : 0;
            assert_ok(ts_heads_get(heads, index, &found));
            assert_true(fabs(found.previous - s.previous / n) < 1e-9);
            assert_true(fabs(found.first - s.first / n) < 1e-9);
            assert_true(fabs(found.focus - s.focus / n) < 1e-9);
            assert_true(fabs(found.distance - fmax(0, 1 - left / s.departure)) < 1e-9);
            assert_true(fabs(found.content - fmin(1, fmax(0, explained / s.departure))) < 1e-9);
        }
        assert_int_equal(ts_heads_tokens(heads), tokens);
        ts_heads_free(heads);
        ts_model_free(model);
    }
}

static void threads_change_nothing(void **state)
{
    (void)state;
    ts_heads *heads[2];
    for (uint32_t threads = 1; threads <= 2; threads++) {
        ts_runtime *runtime = make_runtime(threads, TS_CPU_LEVEL_BEST);
        ts_model *model = fixture_model(runtime, TS_ARCHITECTURE_GPT_NEO);
        heads[threads - 1] = measured(model);
        ts_model_free(model);
        ts_runtime_free(runtime);
    }
    for (size_t i = 0; i < ts_heads_count(heads[0]); i++) {
        ts_head one = {.struct_size = sizeof one}, other = one;
        assert_ok(ts_heads_get(heads[0], i, &one));
        assert_ok(ts_heads_get(heads[1], i, &other));
        assert_memory_equal(&one, &other, sizeof one);
    }
    ts_heads_free(heads[0]);
    ts_heads_free(heads[1]);
}

/* ---- options, wrong calls, memory ---- */

static int32_t stop(void *user, uint64_t done, uint64_t total)
{
    *(uint64_t *)user = done;
    return total > 0 && done > 30;
}

static void options_and_errors(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    const char *path = corpus_file(), *empty = put_file("empty.txt", " \n", 2), *nowhere = "/nonexistent/stories.txt";
    ts_heads *heads = NULL;
    ts_head head = {.struct_size = sizeof head};
    ts_analysis_options options = analysis_options();
    uint64_t done = 0;
    options.max_tokens = 40;
    assert_ok(ts_heads_new(&heads, model, &path, 1, &options));
    assert_int_equal(ts_heads_tokens(heads), 40);
    assert_status(ts_heads_get(heads, 18, &head), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_heads_get(heads, 0, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_heads_get(NULL, 0, &head), TS_ERROR_INVALID_ARGUMENT);
    ts_heads_free(heads);
    options = analysis_options();
    options.progress = stop;
    options.progress_user = &done;
    assert_status(ts_heads_new(&heads, model, &path, 1, &options), TS_ERROR_CANCELLED);
    assert_in_range(done, 31, 47);
    options = analysis_options();
    options.threshold = 0;
    assert_status(ts_heads_new(&heads, model, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    options.threshold = NAN;
    assert_status(ts_heads_new(&heads, model, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    options = analysis_options();
    options.max_tokens = 0;
    assert_status(ts_heads_new(&heads, model, &path, 1, &options), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_heads_new(NULL, model, &path, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_heads_new(&heads, NULL, &path, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_heads_new(&heads, model, NULL, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_heads_new(&heads, model, &path, 0, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_heads_new(&heads, model, &empty, 1, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_status(ts_heads_new(&heads, model, &nowhere, 1, NULL), TS_ERROR_IO);
    assert_int_equal(ts_heads_count(NULL), 0);
    assert_int_equal(ts_heads_tokens(NULL), 0);
    ts_heads_free(NULL);
    parameter(model, TS_SLOT_Q, 1)[0] = NAN;
    assert_status(ts_heads_new(&heads, model, &path, 1, NULL), TS_ERROR_DIVERGED);
    assert_detail_has("layer 1");
    ts_model_free(model);
}

/* The shortest contexts and texts: nothing to measure is no fault. */
static void short_texts(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    const char *path = put_file("short.txt", "a", 1);
    for (uint32_t context = 2; context < 8; context++) {
        ts_architecture a = fixture_architecture(TS_ARCHITECTURE_GPT2);
        a.context_length = context;
        ts_model *model;
        ts_heads *heads;
        ts_head head = {.struct_size = sizeof head};
        assert_ok(ts_model_new(&model, NULL, tokenizer, &a, 1));
        assert_ok(ts_heads_new(&heads, model, &path, 1, NULL));
        assert_ok(ts_heads_get(heads, 0, &head));
        assert_int_equal(head.kinds, 0);
        ts_heads_free(heads);
        heads = measured(model);
        ts_heads_free(heads);
        ts_model_free(model);
    }
    ts_tokenizer_free(tokenizer);
}

typedef struct attempt_values {
    const ts_tokenizer *tokenizer;
    const char *path;
} attempt_values;

static ts_status measure_once(ts_runtime *runtime, void *user)
{
    const attempt_values *v = user;
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_GPT_NEO);
    ts_analysis_options options = analysis_options();
    architecture.layers = 1;
    options.max_tokens = 12;
    ts_model *model;
    ts_heads *heads = NULL;
    TS_TRY(ts_model_new(&model, runtime, v->tokenizer, &architecture, 1));
    ts_status status = ts_heads_new(&heads, model, &v->path, 1, &options);
    ts_model_free(model);
    ts_heads_free(heads); /* after the model: it keeps what it needs */
    return status;
}

static void without_memory(void **state)
{
    (void)state;
    attempt_values v = {fixture_tokenizer(NULL), corpus_file()};
    assert_true(sweep_memory(measure_once, &v) > 10);
    ts_tokenizer_free((ts_tokenizer *)v.tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_heads),        cmocka_unit_test(random_weights), cmocka_unit_test(by_definition), cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(options_and_errors), cmocka_unit_test(short_texts),    cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

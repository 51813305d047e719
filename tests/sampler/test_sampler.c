/* Stories told a token at a time, against ts_model_logits of the whole sequence. */
#include "../model/model_fixture.h"

#include <math.h>
#include <pthread.h>

static ts_sampler_options options_of(void)
{
    ts_sampler_options options;
    assert_int_equal(ts_sampler_options_init(&options, sizeof options), TS_OK);
    return options;
}

static ts_sampler *sampler_of(const ts_model *model, const ts_sampler_options *options)
{
    ts_sampler *sampler;
    assert_int_equal(ts_sampler_new(&sampler, model, options), TS_OK);
    return sampler;
}

typedef struct story {
    char text[8192];
    size_t size, pieces;
    uint32_t ids[600];
    size_t id_count;
    int32_t finish;
} story;

static int whole_characters(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t length = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
        if (length == 0 || length > size - i)
            return 0;
        for (size_t j = 1; j < length; j++)
            if (((unsigned char)text[i + j] & 0xc0) != 0x80)
                return 0;
        i += length;
    }
    return 1;
}

static void add_piece(story *s, const char *text, size_t size)
{
    assert_true(whole_characters(text, size));
    assert_int_equal(text[size], 0);
    assert_true(s->size + size <= sizeof s->text);
    memcpy(s->text + s->size, text, size);
    s->size += size;
    s->pieces++;
}

static story tell(ts_sampler *sampler, const char *prompt, uint64_t seed)
{
    story s = {.size = 0};
    const char *text;
    size_t size;
    assert_int_equal(ts_sampler_start_seeded(sampler, prompt, strlen(prompt), seed), TS_OK);
    assert_int_equal(ts_sampler_seed(sampler), seed);
    for (;;) {
        assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_OK);
        if (text == NULL)
            break;
        add_piece(&s, text, size);
    }
    assert_int_equal(size, 0);
    const uint32_t *ids = ts_sampler_tokens(sampler, &s.id_count);
    assert_true(s.id_count <= 600);
    memcpy(s.ids, ids, s.id_count * sizeof *ids);
    s.finish = ts_sampler_finish(sampler);
    assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_OK); /* it stays over */
    assert_null(text);
    return s;
}

static void assert_same_story(const story *a, const story *b)
{
    assert_int_equal(a->id_count, b->id_count);
    assert_memory_equal(a->ids, b->ids, a->id_count * sizeof *a->ids);
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->text, b->text, a->size);
    assert_int_equal(a->finish, b->finish);
}

/* The story that the definition gives: all logits of the sequence so far, each time anew. */
static size_t greedy_by_logits(const ts_model *model, uint32_t *ids, size_t count, size_t most)
{
    size_t V = model->shape.V, tokens = ts_tokenizer_size(model->tokenizer);
    float *logits = malloc(most * V * sizeof *logits);
    while (count < most) {
        assert_int_equal(ts_model_logits(model, ids, count, logits, most * V), TS_OK);
        const float *last = logits + (count - 1) * V;
        uint32_t best = 0;
        for (uint32_t id = 1; id < tokens; id++)
            if (last[id] > last[best])
                best = id;
        if (best == ts_tokenizer_end_of_text(model->tokenizer))
            break;
        ids[count++] = best;
    }
    free(logits);
    return count;
}

static void greedy(void **state)
{
    (void)state;
    static const char *const prompts[] = {"", "O", "The cat", "Lily said: \"no"};
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++) {
        ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
        ts_architecture a = fixture_architecture(kind);
        a.context_length = 45; /* prompts above the rows that are read at once, too */
        a.vocabulary_size = 290;
        for (uint64_t seed = 0; seed < 2; seed++) {
            ts_model *model = fixture_model_of(NULL, tokenizer, &a, seed);
            ts_sampler_options options = options_of();
            options.temperature = 0;
            ts_sampler *sampler = sampler_of(model, &options);
            char long_prompt[38];
            for (size_t i = 0; i < 37; i++)
                long_prompt[i] = (char)('0' + i % 10);
            long_prompt[37] = 0;
            for (size_t p = 0; p < 5; p++) {
                const char *prompt = p < 4 ? prompts[p] : long_prompt;
                uint32_t ids[45];
                size_t count;
                ids[0] = ts_tokenizer_end_of_text(tokenizer);
                assert_int_equal(ts_tokenizer_encode(tokenizer, prompt, strlen(prompt), 0, ids + 1, 44, &count), TS_OK);
                count = greedy_by_logits(model, ids, count + 1, 45);
                story s = tell(sampler, prompt, p);
                assert_int_equal(s.id_count, count);
                assert_memory_equal(s.ids, ids, count * sizeof *ids);
                assert_int_equal(s.finish, count == 45 ? TS_FINISH_CONTEXT : TS_FINISH_END);
            }
            ts_sampler_free(sampler);
            ts_model_free(model);
        }
        ts_tokenizer_free(tokenizer);
    }
}

static void seeds_and_threads(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 4};
    story first[4] = {{.size = 0}};
    for (size_t t = 0; t < 3; t++) {
        memory_probe probe;
        ts_runtime *runtime = probed_runtime(&probe, threads[t]);
        ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
        ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
        a.context_length = 200;
        a.width = 96;
        a.hidden = 256; /* large enough to be divided */
        ts_model *model = fixture_model_of(runtime, tokenizer, &a, 3);
        ts_sampler_options options = options_of();
        options.seed = 1;
        options.top_k = 50;
        options.top_p = 0.9f;
        options.ignore_end = 1;
        options.max_tokens = 90;
        ts_sampler *sampler = sampler_of(model, &options), *second = sampler_of(model, &options);
        for (uint64_t seed = 0; seed < 4; seed++) {
            story s = tell(sampler, "Once upon a time", seed * 0x123456789abcdefu),
                  again = tell(seed % 2 ? second : sampler, "Once upon a time", seed * 0x123456789abcdefu);
            assert_int_equal(s.finish, TS_FINISH_MAX_TOKENS);
            assert_same_story(&s, &again);
            if (t == 0)
                first[seed] = s;
            else
                assert_same_story(&s, &first[seed]);
            if (seed > 0)
                assert_memory_not_equal(s.ids, first[0].ids, s.id_count * sizeof *s.ids);
        }
        ts_sampler_free(sampler);
        ts_sampler_free(second);
        ts_model_free(model);
        ts_tokenizer_free(tokenizer);
        ts_runtime_free(runtime);
        assert_int_equal(probe.live, 0);
    }
}

/* First tokens of many seeds occur as often as the probabilities say. */
static void frequencies(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    size_t V = model->shape.V;
    float *logits = malloc(V * sizeof *logits);
    double *weights = calloc(V, sizeof *weights), total = 0;
    size_t *counts = calloc(V, sizeof *counts);
    uint32_t end = ts_tokenizer_end_of_text(model->tokenizer);
    ts_sampler_options options = options_of();
    options.temperature = 1.7f;
    options.top_k = 12;
    options.ignore_end = 1;
    options.max_tokens = 1;
    ts_sampler *sampler = sampler_of(model, &options);
    assert_int_equal(ts_model_logits(model, &end, 1, logits, V), TS_OK);
    for (size_t kept = 0; kept < options.top_k; kept++) { /* the next likeliest, twelve times */
        size_t best = end == 0;
        while (weights[best] != 0)
            best++;
        for (size_t id = 0; id < V; id++)
            if (id != end && weights[id] == 0 && logits[id] > logits[best])
                best = id;
        total += weights[best] = exp(logits[best] / 1.7);
    }
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        const char *text;
        size_t size, count;
        assert_int_equal(ts_sampler_start_seeded(sampler, NULL, 0, seed), TS_OK);
        assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_OK);
        const uint32_t *ids = ts_sampler_tokens(sampler, &count);
        assert_int_equal(count, 2);
        counts[ids[1]]++;
    }
    for (size_t id = 0; id < V; id++) {
        double expected = DRAWS * weights[id] / total, deviation = sqrt(expected * (1 - weights[id] / total));
        if (weights[id] == 0)
            assert_int_equal(counts[id], 0);
        else
            assert_true(fabs((double)counts[id] - expected) <= 5 * deviation + 1);
    }
    ts_sampler_free(sampler);
    ts_model_free(model);
    free(logits);
    free(weights);
    free(counts);
}

static void context_full(void **state)
{
    (void)state;
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++) {
        ts_model *model = fixture_model(NULL, kind);
        ts_sampler_options options = options_of();
        options.ignore_end = 1;
        options.temperature = 0;
        for (uint32_t context = 2; context <= 16; context += 7) {
            options.context_length = context;
            options.context_full = TS_CONTEXT_FULL_STOP;
            options.max_tokens = 0;
            ts_sampler *sampler = sampler_of(model, &options);
            story s = tell(sampler, "", 0);
            assert_int_equal(s.finish, TS_FINISH_CONTEXT);
            assert_int_equal(s.id_count, context);
            ts_sampler_free(sampler);

            /* Sliding: each full context is replaced by its newer half. */
            options.context_full = TS_CONTEXT_FULL_SLIDE;
            options.max_tokens = 100;
            sampler = sampler_of(model, &options);
            s = tell(sampler, "", 0);
            assert_int_equal(s.finish, TS_FINISH_MAX_TOKENS);
            uint32_t end = ts_tokenizer_end_of_text(model->tokenizer), ids[16] = {end};
            size_t count = 1, V = model->shape.V;
            float *logits = malloc(16 * V * sizeof *logits);
            for (int told = 0; told < 100; told++) {
                if (count == context) {
                    memmove(ids, ids + context - context / 2, context / 2 * sizeof *ids);
                    count = context / 2;
                }
                assert_int_equal(ts_model_logits(model, ids, count, logits, 16 * V), TS_OK);
                const float *last = logits + (count - 1) * V;
                uint32_t best = end == 0;
                for (uint32_t id = best + 1; id < ts_tokenizer_size(model->tokenizer); id++)
                    if (id != end && last[id] > last[best])
                        best = id;
                ids[count++] = best;
            }
            assert_int_equal(s.id_count, count);
            assert_memory_equal(s.ids, ids, count * sizeof *ids);
            free(logits);
            ts_sampler_free(sampler);
        }
        /* Rotary positions may go beyond the model's context, learned ones may not. */
        options.context_length = 40;
        options.context_full = TS_CONTEXT_FULL_STOP;
        options.max_tokens = 0;
        ts_sampler *sampler = NULL;
        ts_status status = ts_sampler_new(&sampler, model, &options);
        if (kind == TS_ARCHITECTURE_LLAMA) {
            assert_int_equal(status, TS_OK);
            assert_int_equal(tell(sampler, "", 0).id_count, 40);
        } else {
            assert_int_equal(status, TS_ERROR_INVALID_ARGUMENT);
            assert_detail_has("context_length");
        }
        ts_sampler_free(sampler);
        ts_model_free(model);
    }
}

static void prompts(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_GPT2);
    ts_sampler *sampler = sampler_of(model, NULL);
    const char *text = "untouched";
    size_t size = 7, count;
    assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_ERROR_INVALID_ARGUMENT);
    assert_string_equal(text, "untouched");
    assert_int_equal(ts_sampler_start(sampler, NULL, 3), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_start(sampler, "0123456789ABCDE", 15), TS_OK); /* fills the context: nothing can follow */
    ts_sampler_tokens(sampler, &count);
    assert_int_equal(count, 16);
    assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_OK);
    assert_null(text);
    assert_int_equal(ts_sampler_finish(sampler), TS_FINISH_CONTEXT);
    assert_int_equal(ts_sampler_start(sampler, "0123456789ABCDEF", 16), TS_ERROR_LIMIT);
    assert_detail_has("16");
    assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_finish(sampler), TS_FINISH_NONE);
    /* The text of a special token is text. */
    assert_int_equal(ts_sampler_start(sampler, "<|endoftext|>", 13), TS_OK);
    const uint32_t *ids = ts_sampler_tokens(sampler, &count);
    assert_int_equal(ids[0], ts_tokenizer_end_of_text(model->tokenizer));
    assert_true(count > 2);
    for (size_t i = 1; i < count; i++)
        assert_int_not_equal(ids[i], ids[0]);
    assert_int_equal(ts_sampler_next(NULL, &text, &size), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_next(sampler, NULL, &size), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_start(NULL, "", 0), TS_ERROR_INVALID_ARGUMENT);
    ts_sampler_free(sampler);
    ts_sampler_free(NULL);
    ts_model_free(model);
}

/* A model that speaks in random bytes: pieces are whole characters, together the story's decoding with U+FFFD for what is none. */
static void whole_pieces(void **state)
{
    (void)state;
    ts_tokenizer *tokenizer = fixture_tokenizer(NULL);
    ts_architecture a = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    a.context_length = 200;
    ts_model *model = fixture_model_of(NULL, tokenizer, &a, 1);
    ts_sampler_options options = options_of();
    options.temperature = 50;
    options.ignore_end = 1;
    ts_sampler *sampler = sampler_of(model, &options);
    for (uint64_t seed = 0; seed < 8; seed++) {
        story s = tell(sampler, "a", seed);
        char expected[8192];
        size_t length = 0, size;
        ts_decode_stream stream = {.count = 0};
        assert_int_equal(s.id_count, 200);
        for (size_t i = 2; i <= s.id_count; i++) {
            uint32_t id = i < s.id_count ? s.ids[i] : TS_TOKENIZER_NONE;
            assert_int_equal(ts_tokenizer_decode_next(tokenizer, &stream, id, expected + length, sizeof expected - length, &size), TS_OK);
            length += size;
        }
        assert_int_equal(s.size, length);
        assert_memory_equal(s.text, expected, length);
        assert_true(whole_characters(s.text, s.size));
    }
    ts_sampler_free(sampler);
    ts_model_free(model);
    ts_tokenizer_free(tokenizer);
}

/* ---- run ---- */

typedef struct listener {
    story heard;
    size_t stop_after;
    ts_sampler *sampler;
} listener;

static int32_t listen_to(void *user, const char *text, size_t size)
{
    listener *l = user;
    const char *other;
    size_t other_size;
    add_piece(&l->heard, text, size);
    assert_int_equal(ts_sampler_next(l->sampler, &other, &other_size), TS_ERROR_BUSY);
    return l->heard.pieces == l->stop_after;
}

static void running(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    ts_sampler_options options = options_of();
    options.seed = 9;
    options.ignore_end = 1;
    options.context_length = 40;
    ts_sampler *sampler = sampler_of(model, &options);
    story expected = tell(sampler, "The", 9);
    listener all = {.sampler = sampler}, part = {.sampler = sampler, .stop_after = 5};
    assert_int_equal(ts_sampler_run(sampler, "The", 3, listen_to, &all), TS_OK);
    assert_int_equal(all.heard.size, expected.size);
    assert_memory_equal(all.heard.text, expected.text, expected.size);
    assert_int_equal(ts_sampler_run(sampler, "The", 3, NULL, NULL), TS_OK);
    assert_int_equal(ts_sampler_finish(sampler), TS_FINISH_CONTEXT);

    assert_int_equal(ts_sampler_run(sampler, "The", 3, listen_to, &part), TS_ERROR_CANCELLED);
    assert_int_equal(part.heard.pieces, 5);
    for (;;) { /* goes on where it stopped */
        const char *text;
        size_t size;
        assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_OK);
        if (text == NULL)
            break;
        add_piece(&part.heard, text, size);
    }
    assert_int_equal(part.heard.size, expected.size);
    assert_memory_equal(part.heard.text, expected.text, expected.size);
    ts_sampler_free(sampler);
    ts_model_free(model);
}

/* ---- two threads ---- */

typedef struct meeting {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int inside, done;
} meeting;

static int32_t wait_inside(void *user, const char *text, size_t size)
{
    meeting *m = user;
    (void)text, (void)size;
    pthread_mutex_lock(&m->mutex);
    m->inside = 1;
    pthread_cond_broadcast(&m->changed);
    while (!m->done)
        pthread_cond_wait(&m->changed, &m->mutex);
    pthread_mutex_unlock(&m->mutex);
    return 1;
}

typedef struct teller {
    ts_sampler *sampler;
    meeting *meeting;
    ts_status status;
} teller;

static void *tell_in_thread(void *argument)
{
    teller *t = argument;
    t->status = ts_sampler_run(t->sampler, "", 0, wait_inside, t->meeting);
    return NULL;
}

static void busy(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    ts_sampler_options options = options_of();
    options.ignore_end = 1;
    meeting m = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    teller t = {sampler_of(model, &options), &m, TS_OK};
    pthread_t thread;
    const char *text;
    size_t size;
    assert_int_equal(pthread_create(&thread, NULL, tell_in_thread, &t), 0);
    pthread_mutex_lock(&m.mutex);
    while (!m.inside)
        pthread_cond_wait(&m.changed, &m.mutex);
    pthread_mutex_unlock(&m.mutex);
    assert_int_equal(ts_sampler_next(t.sampler, &text, &size), TS_ERROR_BUSY);
    assert_int_equal(ts_sampler_start(t.sampler, "", 0), TS_ERROR_BUSY);
    assert_int_equal(ts_sampler_run(t.sampler, "", 0, NULL, NULL), TS_ERROR_BUSY);
    pthread_mutex_lock(&m.mutex);
    m.done = 1;
    pthread_cond_broadcast(&m.changed);
    pthread_mutex_unlock(&m.mutex);
    pthread_join(thread, NULL);
    assert_int_equal(t.status, TS_ERROR_CANCELLED);
    assert_int_equal(ts_sampler_next(t.sampler, &text, &size), TS_OK);
    ts_sampler_free(t.sampler);
    ts_model_free(model);
}

/* ---- options, memory, damage ---- */

static void wrong_options(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_GPT2);
    static const char *const strings[] = {"", NULL}, *const one[] = {"a"};
    static const ts_token_bias beyond = {1000000, 0}, nan_bias = {0, NAN};
    ts_sampler_options usual = options_of();
    const struct {
        const char *field;
        size_t offset, size;
        union {
            float number;
            uint32_t count;
            size_t size;
            uint8_t steps[8];
            const void *pointer;
        } value;
    } wrong[] = {
#define FIELD(name, ...) {#name, offsetof(ts_sampler_options, name), sizeof usual.name, {__VA_ARGS__}}
        FIELD(temperature, .number = -0.1f), FIELD(temperature, .number = 100.5f), FIELD(temperature, .number = NAN), FIELD(temperature, .number = INFINITY),
        FIELD(top_p, .number = 0), FIELD(top_p, .number = -1), FIELD(top_p, .number = 1.01f), FIELD(top_p, .number = NAN),
        FIELD(min_p, .number = -0.1f), FIELD(min_p, .number = 1.5f), FIELD(min_p, .number = NAN),
        FIELD(repetition_penalty, .number = 0), FIELD(repetition_penalty, .number = NAN), FIELD(repetition_penalty, .number = 101),
        FIELD(frequency_penalty, .number = NAN), FIELD(frequency_penalty, .number = 101), FIELD(presence_penalty, .number = -101),
        FIELD(context_length, .count = 17), FIELD(context_length, .count = 1), FIELD(context_full, .count = 2), FIELD(ignore_end, .count = 2),
        FIELD(no_repeat_ngram, .count = 1), FIELD(beams, .count = 1025), FIELD(steps, .steps = {9}), FIELD(steps, .steps = {1, 1}), FIELD(steps, .steps = {1, 0, 2}),
        FIELD(bias_count, .size = 1), FIELD(banned_word_count, .size = 1), FIELD(stop_count, .size = 1),
    };
    ts_sampler *sampler = NULL;
    uint64_t bytes = 99;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ts_sampler_options options = usual;
        memcpy((char *)&options + wrong[i].offset, &wrong[i].value, wrong[i].size);
        assert_int_equal(ts_sampler_new(&sampler, model, &options), TS_ERROR_INVALID_ARGUMENT);
        if (strstr(wrong[i].field, "_count") == NULL)
            assert_detail_has(wrong[i].field);
        assert_int_equal(ts_sampler_memory(model, &options, &bytes), TS_ERROR_INVALID_ARGUMENT);
    }
    char *long_word = malloc(300);
    memset(long_word, 'a', 299);
    long_word[299] = 0;
    const char *const longs[] = {long_word};
    const struct {
        const char *detail;
        const char *const *banned, *const *stops;
        const ts_token_bias *bias;
    } arrays[] = {
        {"banned_words[0] has 0", strings, NULL, NULL}, {"banned_words[0] has 0", strings + 1, NULL, NULL}, {"banned_words[0] has 299", longs, NULL, NULL},
        {"stops[0] has 0", NULL, strings, NULL},        {"stops[0] has 299", one, longs, NULL},             {"biases[0].token is 1000000", NULL, NULL, &beyond},
        {"biases[0].bias", NULL, NULL, &nan_bias},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        ts_sampler_options options = usual;
        options.banned_words = arrays[i].banned, options.banned_word_count = arrays[i].banned != NULL;
        options.stops = arrays[i].stops, options.stop_count = arrays[i].stops != NULL;
        options.biases = arrays[i].bias, options.bias_count = arrays[i].bias != NULL;
        assert_int_equal(ts_sampler_new(&sampler, model, &options), TS_ERROR_INVALID_ARGUMENT);
        assert_detail_has(arrays[i].detail);
    }
    free(long_word);
    assert_null(sampler);
    assert_int_equal(bytes, 99);
    assert_int_equal(ts_sampler_new(NULL, model, NULL), TS_ERROR_INVALID_ARGUMENT);
    assert_int_equal(ts_sampler_new(&sampler, NULL, NULL), TS_ERROR_INVALID_ARGUMENT);
    ts_model_free(model);
}

static void memory(void **state)
{
    (void)state;
    for (int32_t kind = TS_ARCHITECTURE_LLAMA; kind <= TS_ARCHITECTURE_GPT_NEO; kind++) {
        memory_probe probe;
        ts_runtime *runtime = probed_runtime(&probe, 2);
        ts_model *model = fixture_model(runtime, kind);
        ts_sampler_options options = options_of();
        uint64_t before = ts_runtime_memory(runtime), bytes = 0;
        options.top_k = 20;
        options.top_p = 0.8f;
        options.context_full = TS_CONTEXT_FULL_SLIDE;
        options.max_tokens = 50;
        assert_int_equal(ts_sampler_memory(model, &options, &bytes), TS_OK);
        ts_sampler *sampler = sampler_of(model, &options);
        assert_int_equal(ts_runtime_memory(runtime) - before, bytes);
        size_t calls = probe.calls;
        for (uint64_t seed = 0; seed < 3; seed++) {
            const char *text;
            size_t size;
            assert_int_equal(ts_sampler_start_seeded(sampler, "Once upon", 9, seed), TS_OK);
            size_t started = probe.calls;
            do
                assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_OK);
            while (text != NULL);
            assert_int_equal(probe.calls, started);
        }
        assert_int_equal(probe.calls, calls);
        assert_int_equal(ts_runtime_memory(runtime) - before, bytes);
        ts_model_free(model); /* the sampler keeps what it needs */
        ts_runtime_free(runtime);
        assert_int_equal(ts_sampler_run(sampler, "a", 1, NULL, NULL), TS_OK);
        ts_sampler_free(sampler);
        assert_int_equal(probe.live, 0);
    }
}

static ts_status attempt_story(ts_runtime *runtime, void *user)
{
    const ts_model *from = user;
    ts_model *model;
    ts_sampler *sampler;
    ts_sampler_options options = options_of();
    options.max_tokens = 20;
    options.context_full = TS_CONTEXT_FULL_SLIDE;
    ts_status status = ts_model_from_parameters(&model, runtime, from->tokenizer, &from->architecture, from->data);
    if (status != TS_OK)
        return status;
    status = ts_sampler_new(&sampler, model, &options);
    ts_model_free(model);
    if (status != TS_OK)
        return status;
    status = ts_sampler_run(sampler, "Once upon", 9, NULL, NULL);
    ts_sampler_free(sampler);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_GPT_NEO);
    sweep_memory(attempt_story, model);
    ts_model_free(model);
}

static void not_finite(void **state)
{
    (void)state;
    ts_model *model = fixture_model(NULL, TS_ARCHITECTURE_LLAMA);
    ts_sampler *sampler = sampler_of(model, NULL);
    const char *text;
    size_t size;
    model->weights.all[0][TS_SLOT_TOKENS][24 * 5 + 1] = NAN; /* the output row of token 5: its logit alone */
    assert_int_equal(ts_sampler_start(sampler, "", 0), TS_OK);
    assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_ERROR_DIVERGED);
    assert_int_equal(ts_sampler_next(sampler, &text, &size), TS_ERROR_INVALID_ARGUMENT);
    ts_sampler_free(sampler);
    ts_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy),        cmocka_unit_test(seeds_and_threads),
        cmocka_unit_test(frequencies),   cmocka_unit_test(context_full),
        cmocka_unit_test(prompts),       cmocka_unit_test(whole_pieces),
        cmocka_unit_test(running),       cmocka_unit_test(busy),
        cmocka_unit_test(wrong_options), cmocka_unit_test(memory),
        cmocka_unit_test(out_of_memory), cmocka_unit_test(not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

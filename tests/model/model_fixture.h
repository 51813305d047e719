/* Small models and a failing allocator for the tests of models and samplers. */
#ifndef MODEL_FIXTURE_H
#define MODEL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"
#include "tinystories.h"

#define FIXTURE __attribute__((unused)) static

/* ---- allocator ---- */

typedef struct memory_probe {
    size_t live;     /* blocks */
    size_t calls;    /* allocations and reallocations so far */
    size_t fail_at;  /* the call that fails, 0-based; SIZE_MAX: none */
    int fail_always; /* and all after it */
    int failed;
} memory_probe;

FIXTURE int probe_refuses(memory_probe *probe)
{
    size_t call = __atomic_fetch_add(&probe->calls, 1, __ATOMIC_RELAXED);
    int refuses = call == probe->fail_at || (probe->fail_always && call > probe->fail_at);
    if (refuses)
        probe->failed = 1;
    return refuses;
}

FIXTURE void *probe_allocate(void *user, size_t size)
{
    memory_probe *probe = user;
    void *memory = probe_refuses(probe) ? NULL : malloc(size);
    if (memory != NULL)
        __atomic_fetch_add(&probe->live, 1, __ATOMIC_RELAXED);
    return memory;
}

FIXTURE void *probe_reallocate(void *user, void *memory, size_t size)
{
    memory_probe *probe = user;
    void *moved = probe_refuses(probe) ? NULL : realloc(memory, size);
    if (moved != NULL && memory == NULL)
        __atomic_fetch_add(&probe->live, 1, __ATOMIC_RELAXED);
    return moved;
}

FIXTURE void probe_release(void *user, void *memory)
{
    memory_probe *probe = user;
    if (memory != NULL)
        __atomic_fetch_sub(&probe->live, 1, __ATOMIC_RELAXED);
    free(memory);
}

FIXTURE ts_runtime *probed_runtime(memory_probe *probe, uint32_t threads)
{
    ts_runtime_options options;
    ts_runtime *runtime;
    *probe = (memory_probe){.fail_at = SIZE_MAX};
    assert_int_equal(ts_runtime_options_init(&options, sizeof options), TS_OK);
    options.allocate = probe_allocate;
    options.reallocate = probe_reallocate;
    options.release = probe_release;
    options.allocator_user = probe;
    options.threads = threads;
    assert_int_equal(ts_runtime_new(&runtime, &options), TS_OK);
    return runtime;
}

/*
 * Calls `attempt` with the first, second, ... allocation failing, once and for ever after, until none fails. It makes its handles with the probed
 * runtime, must have freed whatever it made, and returns the status. A failure that can be done without (a thread) is no failure.
 */
FIXTURE void sweep_memory(ts_status (*attempt)(ts_runtime *runtime, void *user), void *user)
{
    for (int always = 0; always < 2; always++) {
        for (size_t at = 0;; at++) {
            memory_probe probe;
            ts_runtime *runtime = probed_runtime(&probe, 2);
            size_t live = probe.live;
            probe.calls = 0;
            probe.fail_at = at;
            probe.fail_always = always;
            ts_status status = attempt(runtime, user);
            int failed = probe.failed;
            probe.fail_at = SIZE_MAX;
            probe.fail_always = 0;
            if (status != TS_OK && !(failed && status == TS_ERROR_OUT_OF_MEMORY))
                fail_msg("allocation %zu: %s, %s", at, ts_status_name(status), ts_error_detail());
            assert_true(probe.live >= live); /* threads may have been started meanwhile */
            assert_int_equal(attempt(runtime, user), TS_OK);
            ts_runtime_free(runtime);
            assert_int_equal(probe.live, 0);
            if (!failed)
                break;
            assert_true(at < 10000);
        }
    }
}

/* ---- texts ---- */

static const char *const fixture_stories[] = {
    "Once upon a time there was a little cat. The cat liked to play in the garden with a red ball.",
    "Lily and Ben went to the park. They saw a big dog. \"Hello, dog!\" said Lily. The dog was happy.",
    "One day a bird could not fly. The little cat said: \"Do not be sad.\" They played all day, and the bird was happy.",
    "Na\xc3\xafve caf\xc3\xa9 \xe2\x80\x9cwow\xe2\x80\x9d \xf0\x9f\x98\x80 the end.",
};

typedef struct text_list {
    const char *const *texts;
    size_t count, next;
} text_list;

FIXTURE int32_t next_of_list(void *user, const char **text, size_t *size)
{
    text_list *list = user;
    *text = list->next < list->count ? list->texts[list->next++] : NULL;
    *size = *text == NULL ? 0 : strlen(*text);
    return 0;
}

FIXTURE ts_tokenizer *fixture_tokenizer(ts_runtime *runtime)
{
    ts_tokenizer_train_options options;
    ts_tokenizer *tokenizer;
    text_list list = {fixture_stories, sizeof fixture_stories / sizeof *fixture_stories, 0};
    assert_int_equal(ts_tokenizer_train_options_init(&options, sizeof options), TS_OK);
    options.vocabulary_size = 280;
    assert_int_equal(ts_tokenizer_train(&tokenizer, runtime, next_of_list, &list, &options), TS_OK);
    return tokenizer;
}

/* ---- models ---- */

FIXTURE ts_architecture fixture_architecture(int32_t kind)
{
    ts_architecture a;
    assert_int_equal(ts_architecture_init(&a, sizeof a), TS_OK);
    a.kind = kind;
    a.context_length = 16;
    a.width = 24;
    a.layers = 3;
    a.heads = 6;
    a.key_value_heads = kind == TS_ARCHITECTURE_LLAMA ? 2 : 0;
    a.hidden = 40;
    a.window = kind == TS_ARCHITECTURE_GPT_NEO ? 5 : 0;
    return a;
}

/* A model whose weights are large enough that its opinions are strong, none of them a default. */
FIXTURE ts_model *fixture_model_of(ts_runtime *runtime, const ts_tokenizer *tokenizer, const ts_architecture *architecture, uint64_t seed)
{
    ts_architecture complete;
    ts_shape shape;
    ts_parameter *table;
    ts_model *model;
    size_t count, total;
    assert_int_equal(ts_architecture_read(&complete, architecture, tokenizer), TS_OK);
    ts_shape_of(&shape, &complete);
    ts_runtime *own;
    assert_int_equal(ts_runtime_acquire(&own, runtime), TS_OK);
    assert_int_equal(ts_parameters_make(own, &shape, &table, &count, &total), TS_OK);
    float *data = malloc(total * sizeof *data);
    assert_non_null(data);
    ts_random random = {.seed = seed};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < table[i].rows * table[i].columns; j++)
            data[table[i].offset + j] = (float)((table[i].initial == TS_INITIAL_ONE) + (table[i].rank == 1 ? 0.1 : 0.3) * ts_random_normal(&random));
    assert_int_equal(ts_model_from_parameters(&model, runtime, tokenizer, &complete, data), TS_OK);
    free(data);
    ts_release(own, table);
    ts_runtime_release(own);
    return model;
}

FIXTURE ts_model *fixture_model(ts_runtime *runtime, int32_t kind)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
    ts_architecture architecture = fixture_architecture(kind);
    ts_model *model = fixture_model_of(runtime, tokenizer, &architecture, 7);
    ts_tokenizer_free(tokenizer);
    return model;
}

FIXTURE void assert_detail_has(const char *part)
{
    if (strstr(ts_error_detail(), part) == NULL)
        fail_msg("the detail '%s' lacks '%s'", ts_error_detail(), part);
}

#endif

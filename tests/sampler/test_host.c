#define _GNU_SOURCE
/* What a game's host may ask of a sampler: a small stack, any locale, and not one system call, lock or allocation while it tells. */
#include <locale.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/seccomp.h>

#include "../model/model_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* sanitizers need more stack, and calls of their own */
#else
#define SANITIZED 0
#endif

enum { MOST_TEXT = 4096, SMALL_STACK = 64 << 10 };

static ts_model *model_of(ts_runtime *runtime)
{
    ts_tokenizer *tokenizer = fixture_tokenizer(runtime);
    ts_architecture architecture = fixture_architecture(TS_ARCHITECTURE_LLAMA);
    architecture.context_length = 64;
    ts_model *model = fixture_model_of(runtime, tokenizer, &architecture, 2);
    ts_tokenizer_free(tokenizer);
    return model;
}

static const char *const stops[] = {"\x01 never"}, *const banned[] = {"zz"}, *const words[] = {"cat"};

static ts_status make_sampler(ts_sampler **out, const ts_model *model)
{
    ts_sampler_options o;
    ts_sampler_options_init(&o, sizeof o);
    o.temperature = 1, o.top_p = 0.9f, o.top_k = 100, o.min_p = 0.001f, o.repetition_penalty = 1.2f, o.no_repeat_ngram = 3;
    o.context_full = TS_CONTEXT_FULL_SLIDE, o.max_tokens = 200, o.ignore_end = 1, o.seed = 4;
    o.stops = stops, o.stop_count = 1, o.banned_words = banned, o.banned_word_count = 1;
    TS_TRY(ts_sampler_new(out, model, &o));
    return ts_sampler_require(*out, words, 1, 20);
}

static ts_status tell(ts_sampler *sampler, char *into, size_t *all)
{
    const char *text;
    size_t size;
    *all = 0;
    for (;;) {
        TS_TRY(ts_sampler_next(sampler, &text, &size));
        if (text == NULL)
            return TS_OK;
        if (*all + size > MOST_TEXT)
            return TS_ERROR_LIMIT;
        memcpy(into + *all, text, size);
        *all += size;
    }
}

/* ---- a small stack and another locale: the whole way from a file in memory to a story ---- */

typedef struct telling {
    const void *file;
    size_t file_size, size;
    char text[MOST_TEXT];
    ts_status status;
} telling;

static ts_status tell_from_file(telling *t)
{
    ts_model *model;
    ts_sampler *sampler = NULL, *loaded = NULL;
    static unsigned char session[1 << 16];
    size_t size;
    TS_TRY(ts_model_open_memory(&model, NULL, t->file, t->file_size, NULL));
    ts_status status = make_sampler(&sampler, model);
    if (status == TS_OK)
        status = ts_sampler_start(sampler, "One day, Lily", 13);
    if (status == TS_OK)
        status = ts_sampler_save_memory(sampler, session, sizeof session, &size);
    if (status == TS_OK)
        status = ts_sampler_load_memory(&loaded, model, session, size, NULL);
    if (status == TS_OK)
        status = tell(loaded, t->text, &t->size);
    ts_sampler_free(sampler);
    ts_sampler_free(loaded);
    ts_model_free(model);
    return status;
}

static void *in_thread(void *argument)
{
    telling *t = argument;
    t->status = tell_from_file(t);
    return NULL;
}

static void small_stack_and_locale(void **state)
{
    (void)state;
    static const char *const locales[] = {"C", "de_DE.UTF-8", "tr_TR.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
    static unsigned char file[1 << 18];
    static telling usual, small;
    size_t tried = 0;
    ts_model *model = model_of(NULL);
    assert_ok(ts_model_save_memory(model, file, sizeof file, &usual.file_size));
    ts_model_free(model);
    usual.file = file;
    assert_ok(tell_from_file(&usual));
    assert_true(usual.size > 100);
    if (SANITIZED)
        skip();
    for (size_t i = 0; i < TS_COUNT_OF(locales); i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        if (setlocale(LC_ALL, locales[i]) == NULL)
            continue;
        small = (telling){.file = file, .file_size = usual.file_size};
        pthread_attr_init(&attributes);
        assert_int_equal(pthread_attr_setstacksize(&attributes, SMALL_STACK), 0);
        assert_int_equal(pthread_create(&thread, &attributes, in_thread, &small), 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
        assert_int_equal(small.status, TS_OK);
        assert_int_equal(small.size, usual.size);
        assert_memory_equal(small.text, usual.text, usual.size);
        tried++;
    }
    setlocale(LC_ALL, "C");
    assert_true(tried > 0);
}

/* ---- no system call: a process that the kernel kills at the first one but write and exit ---- */

static void no_system_call(void **state)
{
    (void)state;
    ts_model *model = model_of(NULL);
    ts_sampler *sampler;
    int status;
    assert_ok(make_sampler(&sampler, model));
    if (SANITIZED) {
        ts_sampler_free(sampler);
        ts_model_free(model);
        skip();
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static char text[MOST_TEXT];
        size_t size;
        bool fine = ts_sampler_start(sampler, "One day", 7) == TS_OK && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0;
        fine = fine && tell(sampler, text, &size) == TS_OK && size > 100 && ts_sampler_start(sampler, "The cat", 7) == TS_OK &&
               ts_sampler_cut(sampler, 2, 1) == TS_OK && tell(sampler, text, &size) == TS_OK;
        syscall(SYS_exit, fine ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ts_sampler_free(sampler);
    ts_model_free(model);
}

/* ---- no allocation, and memory as it was foretold ---- */

static void no_allocation(void **state)
{
    (void)state;
    memory_probe probe;
    ts_runtime *runtime = probed_runtime(&probe, 1);
    ts_model *model = model_of(runtime);
    ts_sampler *sampler;
    char text[MOST_TEXT];
    size_t size;
    assert_ok(make_sampler(&sampler, model));
    size_t calls = probe.calls;
    for (uint64_t seed = 0; seed < 5; seed++) {
        assert_ok(ts_sampler_start_seeded(sampler, "One day", 7, seed));
        assert_ok(tell(sampler, text, &size));
        assert_ok(ts_sampler_cut(sampler, 2, seed));
        assert_ok(tell(sampler, text, &size));
    }
    assert_int_equal(probe.calls, calls);
    ts_sampler_free(sampler);
    ts_model_free(model);
    ts_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(small_stack_and_locale), cmocka_unit_test(no_system_call), cmocka_unit_test(no_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

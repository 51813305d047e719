/* Parallel loops: every element once, whatever the number of threads, within one another, from several threads, after a fork. */
#include "support/support.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct tally {
    unsigned char touched[5000];
    size_t grain, count, workers;
    int wrong; /* atomic */
} tally;

static void touch(void *argument, size_t begin, size_t end, size_t worker)
{
    tally *t = argument;
    if (begin % t->grain != 0 || end > t->count || (end - begin != t->grain && end != t->count) || worker >= t->workers)
        __atomic_store_n(&t->wrong, 1, __ATOMIC_RELAXED);
    for (size_t i = begin; i < end; i++)
        t->touched[i]++;
}

static void check_loop(ts_runtime *runtime, size_t count, size_t grain)
{
    tally *t = calloc(1, sizeof *t);
    t->grain = grain, t->count = count, t->workers = ts_runtime_threads(runtime);
    ts_parallel(runtime, count, grain, touch, t);
    assert_int_equal(t->wrong, 0);
    for (size_t i = 0; i < sizeof t->touched; i++)
        assert_int_equal(t->touched[i], i < count);
    free(t);
}

static void test_every_element_once(void **state)
{
    static const size_t counts[] = {0, 1, 2, 7, 64, 1000, 4999, 5000}, grains[] = {1, 3, 64, 5000};
    (void)state;
    for (uint32_t threads = 1; threads <= 5; threads++) {
        ts_runtime *runtime = make_runtime(threads, TS_CPU_LEVEL_BEST);
        for (int round = 0; round < 3; round++) {
            for (size_t i = 0; i < TS_COUNT_OF(counts); i++)
                for (size_t j = 0; j < TS_COUNT_OF(grains); j++)
                    check_loop(runtime, counts[i], grains[j]);
            usleep(3000); /* long enough for the threads to fall asleep */
        }
        ts_runtime_free(runtime);
    }
}

typedef struct nest {
    ts_runtime *runtime;
    size_t sums[8][64];
} nest;

typedef struct inner {
    size_t *sums;
} inner;

static void add_inner(void *argument, size_t begin, size_t end, size_t worker)
{
    inner *in = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        in->sums[i] += i;
}

static void run_inner(void *argument, size_t begin, size_t end, size_t worker)
{
    nest *n = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        ts_parallel(n->runtime, 64, 4, add_inner, &(inner){n->sums[i]});
}

static void test_loop_within_loop(void **state)
{
    (void)state;
    nest *n = calloc(1, sizeof *n);
    n->runtime = make_runtime(3, TS_CPU_LEVEL_BEST);
    ts_parallel(n->runtime, 8, 1, run_inner, n);
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 64; j++)
            assert_int_equal(n->sums[i][j], j);
    ts_runtime_free(n->runtime);
    free(n);
}

static void *use_runtime(void *argument)
{
    for (int i = 0; i < 300; i++)
        check_loop(argument, 1000, 16);
    return NULL;
}

/* Several threads of the host on one runtime: one gets the pool, the others work alone. */
static void test_several_hosts(void **state)
{
    (void)state;
    ts_runtime *runtime = make_runtime(3, TS_CPU_LEVEL_BEST);
    pthread_t hosts[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&hosts[i], NULL, use_runtime, runtime), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(hosts[i], NULL);
    ts_runtime_free(runtime);
}

/* A child has none of its parent's threads: it works alone and frees without waiting for them. */
static void test_fork(void **state)
{
    (void)state;
    ts_runtime *runtime = make_runtime(3, TS_CPU_LEVEL_BEST);
    check_loop(runtime, 1000, 10);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        size_t sums[64] = {0};
        ts_parallel(runtime, 64, 4, add_inner, &(inner){sums});
        bool right = true;
        for (size_t i = 0; i < 64; i++)
            right = right && sums[i] == i;
        ts_runtime_free(runtime);
        _exit(right ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_loop(runtime, 1000, 10);
    ts_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_element_once),
        cmocka_unit_test(test_loop_within_loop),
        cmocka_unit_test(test_several_hosts),
        cmocka_unit_test(test_fork),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}

/*
 * The pool of threads, and the clock. A loop is cut into pieces the same way whatever the number of threads; whoever is free takes the next one. Threads
 * wait for work by spinning for a moment, since training follows one short loop with another, and then sleep.
 */
#define _GNU_SOURCE
#include "base/runtime.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define SPINS 20000 /* about 0.2 to 1 ms */
#define MOST_THREADS 256

typedef struct ts_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    uint32_t started; /* threads besides the caller's */
    uint32_t sleepers;
    uint64_t round;   /* atomic: grows with every loop */
    int stop;         /* atomic */
    /* the loop */
    ts_parallel_body body;
    void *argument;
    size_t count, grain;
    size_t next;    /* atomic: the next piece's first element */
    size_t working; /* atomic: threads that have not finished this round */
    pthread_t threads[MOST_THREADS];
} ts_pool;

typedef struct start {
    ts_pool *pool;
    size_t worker;
    int taken;
} start;

/* A loop within a loop is done by whoever meets it, with the scratch memory of its number. */
static _Thread_local bool within_loop;
static _Thread_local size_t own_worker;

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

double ts_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int64_t ts_process(void)
{
    return (int64_t)getpid();
}

uint32_t ts_processor_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

static void do_pieces(ts_pool *pool, size_t worker)
{
    for (;;) {
        size_t begin = __atomic_fetch_add(&pool->next, pool->grain, __ATOMIC_RELAXED);
        if (begin >= pool->count)
            return;
        pool->body(pool->argument, begin, TS_MIN(begin + pool->grain, pool->count), worker);
    }
}

/* Waits until the round is no longer `seen`; false when the pool stops. */
static bool await_round(ts_pool *pool, uint64_t seen)
{
    for (int spin = 0; spin < SPINS; spin++) {
        if (__atomic_load_n(&pool->round, __ATOMIC_ACQUIRE) != seen)
            return true;
        if (__atomic_load_n(&pool->stop, __ATOMIC_ACQUIRE))
            return false;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    pool->sleepers++;
    while (__atomic_load_n(&pool->round, __ATOMIC_ACQUIRE) == seen && !__atomic_load_n(&pool->stop, __ATOMIC_ACQUIRE))
        pthread_cond_wait(&pool->wake, &pool->mutex);
    pool->sleepers--;
    pthread_mutex_unlock(&pool->mutex);
    return !__atomic_load_n(&pool->stop, __ATOMIC_ACQUIRE);
}

static void *work(void *argument)
{
    start begin = *(start *)argument;
    uint64_t seen = 0;
    within_loop = true;
    own_worker = begin.worker;
    __atomic_store_n(&((start *)argument)->taken, 1, __ATOMIC_RELEASE);
    while (await_round(begin.pool, seen)) {
        seen++;
        do_pieces(begin.pool, begin.worker);
        __atomic_sub_fetch(&begin.pool->working, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* Starts as many threads as it can, with all signals blocked: those are the host's. */
static ts_pool *make_pool(ts_runtime *runtime)
{
    ts_pool *pool = runtime->options.allocate(runtime->options.allocator_user, sizeof *pool); /* the runtime's own, not held by a handle */
    sigset_t every, before;
    if (pool == NULL)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    while (pool->started + 1 < runtime->threads) {
        start begin = {pool, pool->started + 1, 0};
        if (pthread_create(&pool->threads[pool->started], NULL, work, &begin) != 0)
            break;
        pool->started++;
        while (!__atomic_load_n(&begin.taken, __ATOMIC_ACQUIRE))
            sched_yield();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool;
}

void ts_pool_free(ts_runtime *runtime)
{
    ts_pool *pool = runtime->pool;
    if (pool == NULL)
        return;
    if (runtime->owner == ts_process()) {
        pthread_mutex_lock(&pool->mutex);
        __atomic_store_n(&pool->stop, 1, __ATOMIC_RELEASE);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
        for (uint32_t i = 0; i < pool->started; i++)
            pthread_join(pool->threads[i], NULL);
        pthread_cond_destroy(&pool->wake);
        pthread_mutex_destroy(&pool->mutex);
    }
    runtime->options.release(runtime->options.allocator_user, pool);
    runtime->pool = NULL;
}

static void do_alone(const ts_runtime *runtime, size_t count, size_t grain, ts_parallel_body body, void *argument)
{
    size_t worker = within_loop ? own_worker % runtime->threads : 0;
    for (size_t begin = 0; begin < count; begin += grain)
        body(argument, begin, TS_MIN(begin + grain, count), worker);
}

static void do_together(ts_pool *pool, size_t count, size_t grain, ts_parallel_body body, void *argument)
{
    pool->body = body;
    pool->argument = argument;
    pool->count = count;
    pool->grain = grain;
    __atomic_store_n(&pool->next, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&pool->working, pool->started, __ATOMIC_RELAXED);
    __atomic_add_fetch(&pool->round, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&pool->mutex);
    if (pool->sleepers > 0)
        pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    within_loop = true;
    do_pieces(pool, 0);
    within_loop = false;
    for (int spin = 0; __atomic_load_n(&pool->working, __ATOMIC_ACQUIRE) != 0; spin++)
        if (spin < SPINS)
            pause_briefly();
        else
            sched_yield(); /* the last piece is long, or its thread has no processor */
}

void ts_parallel(ts_runtime *runtime, size_t count, size_t grain, ts_parallel_body body, void *argument)
{
    int unlocked = 0;
    bool whole = count <= grain || runtime->threads <= 1 || within_loop;
    if (whole || runtime->owner != ts_process() ||
        !__atomic_compare_exchange_n(&runtime->pool_lock, &unlocked, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        do_alone(runtime, count, grain, body, argument);
        return;
    }
    if (runtime->pool == NULL)
        runtime->pool = make_pool(runtime);
    if (runtime->pool == NULL || runtime->pool->started == 0)
        do_alone(runtime, count, grain, body, argument);
    else
        do_together(runtime->pool, count, grain, body, argument);
    __atomic_store_n(&runtime->pool_lock, 0, __ATOMIC_RELEASE);
}

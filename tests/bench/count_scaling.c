/*
 * What more cores would give, counted on one: linked with bench_train in ts_parallel's place, it does each loop's pieces one after the other, times them, and
 * deals them out to as many workers as the runtime has, each free worker taking the next, as the library's threads do. What is in no loop stays as it is.
 *
 *     gcc -O2 -I include -I lib tests/bench/bench_train.c tests/bench/count_scaling.c -Wl,--wrap=ts_parallel -Wl,--wrap=ts_trainer_step \
 *         BUILD/libtinystories.a -lopenblas -lz -lcjson -lcurl -lm -pthread -o count_scaling
 *     ./count_scaling 2 256 8 8 10240 256 8 64 bf16
 *
 * Memory that cores share is not counted, which makes it a bound from above; a loop is charged HAND_OVER seconds, about what two threads take.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "base/runtime.h"
#include "tinystories.h"

#define HAND_OVER 2e-6
#define MOST_STEPS 64
#define MOST_WORKERS 256

void __wrap_ts_parallel(ts_runtime *runtime, size_t count, size_t grain, ts_parallel_body body, void *argument);
ts_status __wrap_ts_trainer_step(ts_trainer *trainer, ts_trainer_report *report);
ts_status __real_ts_trainer_step(ts_trainer *trainer, ts_trainer_report *report);

static int within, steps;
static double in_loops, dealt, whole[MOST_STEPS], counted[MOST_STEPS], looped[MOST_STEPS];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void __wrap_ts_parallel(ts_runtime *runtime, size_t count, size_t grain, ts_parallel_body body, void *argument)
{
    double free_at[MOST_WORKERS] = {0}, last = 0;
    size_t workers = runtime->threads;
    bool outer = within == 0 && count > grain;
    within += outer;
    for (size_t begin = 0; begin < count; begin += grain) {
        double start = now();
        body(argument, begin, TS_MIN(begin + grain, count), 0);
        double spent = now() - start;
        size_t next = 0;
        for (size_t i = 1; i < workers; i++)
            if (free_at[i] < free_at[next])
                next = i;
        free_at[next] += spent;
        last = free_at[next] > last ? free_at[next] : last;
        in_loops += outer ? spent : 0;
    }
    within -= outer;
    dealt += outer ? last + (workers > 1 ? HAND_OVER : 0) : 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static void print(void)
{
    double all = median(whole, steps), loops = median(looped, steps), then = median(counted, steps);
    printf("a step: %.1f ms in all, %.2f of them in no loop; dealt out %.1f ms: %.1f times as fast\n", 1e3 * all, 1e3 * (all - loops), 1e3 * then, all / then);
}

ts_status __wrap_ts_trainer_step(ts_trainer *trainer, ts_trainer_report *report)
{
    in_loops = dealt = 0;
    double start = now();
    ts_status status = __real_ts_trainer_step(trainer, report);
    double spent = now() - start;
    if (steps == 0)
        atexit(print);
    if (steps < MOST_STEPS) {
        whole[steps] = spent;
        looped[steps] = in_loops;
        counted[steps++] = spent - in_loops + dealt;
    }
    return status;
}

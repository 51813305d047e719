/* The host's services in one reference-counted object. */
#define _GNU_SOURCE
#include "base/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* Weights are read from end to end for every token, faster by a half from huge pages than from those of 4 KiB. */
static void *standard_allocate(void *user, size_t size)
{
    (void)user;
    if (size < 2 * HUGE_PAGE)
        return malloc(size);
    void *memory = NULL;
    if (posix_memalign(&memory, HUGE_PAGE, size) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    madvise(memory, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* where there are none, nothing is lost */
#endif
    return memory;
}

static void *standard_reallocate(void *user, void *memory, size_t size)
{
    (void)user;
    return realloc(memory, size);
}

static void standard_release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static const ts_runtime_options defaults = {.struct_size = sizeof(ts_runtime_options), .threads = 1, .cpu_level = TS_CPU_LEVEL_BEST};

ts_status ts_runtime_options_init(ts_runtime_options *options, size_t struct_size)
{
    return ts_options_defaults(options, struct_size, &defaults, sizeof defaults, "ts_runtime_options");
}

static ts_status check(ts_runtime_options *o)
{
    int hooks = (o->allocate != NULL) + (o->reallocate != NULL) + (o->release != NULL);
    if (hooks != 0 && hooks != 3)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_runtime_options: allocate, reallocate and release are given all three or not at all");
    if (hooks == 0) {
        o->allocate = standard_allocate;
        o->reallocate = standard_reallocate;
        o->release = standard_release;
    }
    if (o->threads == 0)
        o->threads = TS_MIN(ts_processor_count(), 256);
    if (o->threads > 256)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_runtime_options.threads is %u, expected 0 to 256", o->threads);
    if (o->cpu_level == TS_CPU_LEVEL_BEST)
        o->cpu_level = ts_cpu_level_best();
    if (ts_cpu_level_name(o->cpu_level) == NULL)
        return ts_fail(TS_ERROR_UNSUPPORTED, "ts_runtime_options.cpu_level is %d, which this version does not know", (int)o->cpu_level);
    if (o->cpu_level == TS_CPU_LEVEL_AMX) {
        if (!ts_cpu_take_amx())
            return ts_fail(TS_ERROR_UNSUPPORTED, "ts_runtime_options.cpu_level is amx, which this machine lacks or does not allow this process");
    } else if (o->cpu_level > ts_cpu_level_best())
        return ts_fail(TS_ERROR_UNSUPPORTED, "ts_runtime_options.cpu_level is %s, but this machine has %s at best", ts_cpu_level_name(o->cpu_level),
                       ts_cpu_level_name(ts_cpu_level_best()));
    return TS_OK;
}

ts_status ts_runtime_new(ts_runtime **out, const ts_runtime_options *options)
{
    ts_runtime_options o = defaults;
    if (out == NULL)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "ts_runtime_new: out is NULL");
    TS_TRY(ts_options_read(&o, sizeof o, options, "ts_runtime_options"));
    TS_TRY(check(&o));
    ts_runtime *runtime = o.allocate(o.allocator_user, sizeof *runtime);
    if (runtime == NULL)
        return ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory for a runtime of %zu bytes", sizeof *runtime);
    *runtime = (ts_runtime){
        .options = o, .io = &ts_io_system, .threads = o.threads, .cpu_level = o.cpu_level, .references = 1, .owner = ts_process()};
    *out = runtime;
    return TS_OK;
}

ts_status ts_runtime_acquire(ts_runtime **out, ts_runtime *runtime)
{
    if (runtime == NULL)
        return ts_runtime_new(out, NULL);
    __atomic_add_fetch(&runtime->references, 1, __ATOMIC_RELAXED);
    *out = runtime;
    return TS_OK;
}

void ts_runtime_release(ts_runtime *runtime)
{
    if (runtime == NULL || __atomic_sub_fetch(&runtime->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    ts_pool_free(runtime);
    runtime->options.release(runtime->options.allocator_user, runtime);
}

void ts_runtime_free(ts_runtime *runtime)
{
    ts_runtime_release(runtime);
}

uint32_t ts_runtime_threads(const ts_runtime *runtime)
{
    return runtime ? runtime->threads : 1;
}

int32_t ts_runtime_cpu_level(const ts_runtime *runtime)
{
    return runtime ? runtime->cpu_level : ts_cpu_level_best();
}

uint64_t ts_runtime_memory(const ts_runtime *runtime)
{
    return runtime ? __atomic_load_n(&runtime->held, __ATOMIC_RELAXED) : 0;
}

uint64_t ts_runtime_memory_peak(const ts_runtime *runtime)
{
    return runtime ? __atomic_load_n(&runtime->peak, __ATOMIC_RELAXED) : 0;
}

const ts_io *ts_runtime_io(const ts_runtime *runtime)
{
    return runtime->io;
}

void ts_runtime_set_io(ts_runtime *runtime, const ts_io *io)
{
    runtime->io = io;
}

void ts_log(ts_runtime *runtime, int32_t level, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    if (runtime->options.log == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    runtime->options.log(runtime->options.log_user, level, line);
}

/* The runtime's inside, private to this room. */
#ifndef TS_RUNTIME_H
#define TS_RUNTIME_H

#include "base/base.h"

struct ts_pool;

struct ts_runtime {
    ts_runtime_options options; /* hooks, log, limit */
    const ts_io *io;
    uint32_t threads;
    int32_t cpu_level;
    uint64_t held, peak;  /* atomic: bytes asked for, headers not counted */
    size_t references;    /* atomic */
    struct ts_pool *pool; /* made on first use, under pool_lock */
    int pool_lock;        /* atomic: 1 while a loop of some handle runs on the pool */
    int64_t owner;        /* the process that made it: a fork's child has no threads */
};

/* threads.c */
void ts_pool_free(ts_runtime *runtime);
int64_t ts_process(void);

#endif

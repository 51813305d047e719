/* What tests of all rooms share: a folder of their own, whole files, an allocator and files that fail when they are told to. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* ---- a folder of the program's own ---- */

/* Group fixtures: make the folder, and remove it with all that is in it. */
int make_folder(void **state);
int remove_folder(void **state);

/* Removes the folder, which must be empty: for programs whose tests clean up after themselves. 0 when it was. */
int remove_empty_folder(void);

/* The folder's path, and that of a name in it: static, the last eight stay valid. */
const char *work_folder(void);
const char *in_work(const char *name);

/* How many files a folder holds, hidden ones included. */
size_t files_in(const char *folder);

void write_file(const char *path, const void *data, size_t size);
/* The same for a name in the folder, whose path is returned. */
const char *put_file(const char *name, const void *data, size_t size);
/* The whole file with a NUL after it, to be freed by free(). */
void *read_file(const char *path, size_t *size);
/* Removes a name in the folder, which must be there. */
void remove_file(const char *name);

/* A path of the test data; without any the test is skipped. Static, the last four stay valid. */
const char *test_data(const char *name);

/* ---- an allocator that counts and fails ---- */

typedef struct memory_probe {
    size_t live;     /* blocks */
    size_t calls;    /* allocations and reallocations so far */
    size_t fail_at;  /* the call that fails, 0-based; SIZE_MAX: none */
    int fail_always; /* and all after it */
    int failed;
} memory_probe;

/* Options of a runtime that allocates by the probe. */
ts_runtime_options probed_options(memory_probe *probe, uint32_t threads);
/* Such a runtime, with a probe that fails nothing yet. */
ts_runtime *probed_runtime(memory_probe *probe, uint32_t threads);

typedef ts_status memory_attempt(ts_runtime *runtime, void *user);

/*
 * Calls `attempt` with the first, second, ... allocation failing, once and for ever after, until none fails. It makes its handles with the runtime
 * that it is given, must have freed and closed whatever it made, and returns the status. After each failure the same runtime must do without fault
 * what failed. On one thread every failure is an error; on two, one that can be done without (a thread) is none. Gives the number of allocations
 * swept.
 */
size_t sweep_memory_alone(memory_attempt *attempt, void *user);
size_t sweep_memory(memory_attempt *attempt, void *user);

/* ---- files that fail: the k-th call of some is an error, is short, is interrupted, or kills the process ---- */

typedef enum fault { FAULT_ERROR, FAULT_SHORT, FAULT_INTERRUPT, FAULT_KILL } fault;

enum {
    ON_OPEN = 1,
    ON_READ = 2,
    ON_WRITE = 4,
    ON_SYNC = 8,
    ON_CLOSE = 16,
    ON_RENAME = 32,
    ON_CHANGES = ON_OPEN | ON_WRITE | ON_SYNC | ON_CLOSE | ON_RENAME /* what writing a file consists of */
};

/* A sync that does nothing: what a process has written outlives it, and tests pull no plugs. */
int sync_nothing(void *user, int file);

/* To be set by ts_runtime_set_io(runtime, &faulty->io), which must be taken back before `faulty` goes. Removing a file always succeeds, or nothing
 * could be said of what is left. */
typedef struct faulty {
    ts_io io;
    fault kind;
    unsigned on;    /* the calls that count: ON_ */
    long countdown; /* 1: the next one */
    long calls;     /* that counted so far */
} faulty;

void faulty_init(faulty *f, fault kind, unsigned on, long countdown);

/* ---- runtimes and texts ---- */

/* A runtime of so many threads at a level, TS_CPU_LEVEL_. */
ts_runtime *make_runtime(uint32_t threads, int32_t cpu_level);

typedef struct text_list {
    const char *const *texts;
    size_t count, next;
} text_list;

/* The texts of a list one after another, a ts_next_text. */
int32_t next_of_list(void *user, const char **text, size_t *size);

/* ---- cases ---- */

/* Counts cases that were tried, no two of them alike; at the end of the program their number is told on standard error. */
void count_cases(size_t count);

/* ---- what is said of failures ---- */

#define assert_ok(call)                                                                                                                              \
    do {                                                                                                                                             \
        ts_status status_ = (call);                                                                                                                  \
        if (status_ != TS_OK)                                                                                                                        \
            fail_msg("%s: %s: %s", #call, ts_status_name(status_), ts_error_detail());                                                               \
    } while (0)

#define assert_status(call, expected)                                                                                                                \
    do {                                                                                                                                             \
        ts_status status_ = (call);                                                                                                                  \
        if (status_ != (expected))                                                                                                                   \
            fail_msg("%s: %s, expected %s: %s", #call, ts_status_name(status_), ts_status_name(expected), ts_error_detail());                        \
    } while (0)

/* The last failure's detail holds `text`. */
#define assert_detail(text)                                                                                                                          \
    do {                                                                                                                                             \
        if (strstr(ts_error_detail(), text) == NULL)                                                                                                 \
            fail_msg("'%s' is not in the detail '%s'", text, ts_error_detail());                                                                     \
    } while (0)

#endif

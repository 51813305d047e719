/*
 * What every part of libtinystories shares: statuses, error details, option structs and the runtime.
 *
 * Statuses. Functions that can fail return a ts_status: TS_OK (0) or one negative value, each of them a different thing that the caller would do
 * about it. After a failure ts_error_detail() says in one line what was wrong: the file, the field, the value and what was expected.
 * Output arguments are written only on success unless their comment says otherwise.
 *
 * Options. An options struct begins with `struct_size`. Call ts_x_options_init(&options, sizeof options), then set what you want otherwise. Structs
 * only ever grow at their end: a library that is newer than your header gives the fields you don't know their defaults, and one that is
 * older answers TS_ERROR_UNSUPPORTED if a field it doesn't know is not zero. NULL instead of options means all defaults. Structs that
 * the library fills (reports, stories) work alike: set `struct_size` before the call, as in `ts_story story = {sizeof story};`.
 *
 * Handles are opaque. ts_x_new and ts_x_open make one and ts_x_free unmakes it (NULL is fine). A handle keeps alive what it was made from, so the
 * order of freeing is free. ts_tokenizer and ts_model never change once made and may be used by any number of threads at once; the other handles
 * belong to one thread at a time and answer TS_ERROR_BUSY when two use one.
 *
 * Files. A path is what the operating system takes. A file that is written is written whole beside the one whose place it then takes, under a hidden
 * name, and it takes over that one's permissions: the old file stays until the new one is on the disk, and after a failure nothing else is left. A link is
 * followed to its file; a device or a pipe is written in place. The path "-" is standard output where a file is written, and standard input where files of
 * stories are read, unless a comment refuses it; a file of that name is "./-".
 *
 * The library never prints, exits, aborts, or touches locale, signals, environment or working directory; what it writes to standard output is what the
 * caller asked for by the path "-".
 */
#ifndef TINYSTORIES_BASE_H
#define TINYSTORIES_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TS_API __attribute__((visibility("default")))
#else
#define TS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* 0 or one of the TS_ERROR_ values, which never change their meaning. */
typedef int32_t ts_status;

enum {
    TS_OK = 0,
    TS_ERROR_INVALID_ARGUMENT = -1,  /* the call is wrong: mend the program or the option that it names */
    TS_ERROR_OUT_OF_MEMORY = -2,     /* the allocator said no, or the runtime's memory limit was reached */
    TS_ERROR_IO = -3,                /* the operating system could not read or write: a missing file, a full disk */
    TS_ERROR_FORMAT = -4,            /* the content of a file is damaged or not what it claims to be */
    TS_ERROR_VERSION = -5,           /* the file is whole, but of a version that this library does not read */
    TS_ERROR_MISMATCH = -6,          /* two things that must belong together don't: a shard and a tokenizer, a checkpoint and options */
    TS_ERROR_BUFFER_TOO_SMALL = -7,  /* the caller's buffer is too small; the count that was asked for is set, so that one can try again */
    TS_ERROR_NETWORK = -8,           /* a chat service could not be reached or did not keep to its protocol */
    TS_ERROR_CANCELLED = -9,         /* a callback asked to stop; everything is valid and can go on */
    TS_ERROR_UNSUPPORTED = -10,      /* this build or this version cannot do it: a part left out, an unknown option, an unknown CPU level */
    TS_ERROR_BUSY = -11,             /* another thread, or for a run folder another process, is using it */
    TS_ERROR_LIMIT = -12,            /* a size is beyond what the library takes on */
    TS_ERROR_DIVERGED = -13          /* numbers stopped being finite: a loss, a gradient or a logit */
};

/* The name of a status, such as "TS_ERROR_FORMAT"; for an unknown value "TS_ERROR_UNKNOWN". A constant string. */
TS_API const char *ts_status_name(ts_status status);

/*
 * What the last failing call of this thread had to say: one line of printable UTF-8 without its newline, at most 511 bytes. Never NULL; ""
 * before the first failure. Bytes of a path that are no UTF-8 stand there as '?'. It stays until the thread's next failing call, and no call that succeeds
 * changes it. It never holds a secret.
 */
TS_API const char *ts_error_detail(void);

/* The ABI's only notion of a CPU: a level contains the ones below it. Values beyond these belong to other machines and later versions. */
enum {
    TS_CPU_LEVEL_BEST = 0,         /* as an option: the best that this machine has */
    TS_CPU_LEVEL_REFERENCE = 1,    /* plain C */
    TS_CPU_LEVEL_AVX2 = 2,         /* x86-64 with AVX2 and FMA */
    TS_CPU_LEVEL_AVX512 = 3,       /* with AVX-512 F, BW, DQ and VL */
    TS_CPU_LEVEL_AVX512_BF16 = 4,  /* with AVX-512 BF16 and VNNI */
    TS_CPU_LEVEL_AMX = 5           /* AVX-512 with AMX tiles of bf16, which train several times faster. Never BEST: it takes a permission from Linux that
                                      the process then keeps, and with which sigaltstack() refuses stacks below getauxval(AT_MINSIGSTKSZ), about 11 KiB. So
                                      whoever owns the process asks for it; inference gains nothing */
};

/* The name of a level: "reference", "avx2", "avx512", "avx512_bf16", "amx"; NULL for a value that is none. A constant string. */
TS_API const char *ts_cpu_level_name(int32_t level);

enum {
    TS_LOG_WARNING = 1, /* something that the user may want to know: a fall-back, a doubtful file */
    TS_LOG_INFO = 2     /* what is being done */
};

/*
 * The services of the host: allocator, log, threads and CPU level. Optional everywhere: NULL instead of a runtime means malloc, silence, the
 * caller's own thread alone and the best CPU level. Handles keep their runtime alive, so that it may be freed as soon as they are made.
 */
typedef struct ts_runtime ts_runtime;

typedef struct ts_runtime_options {
    size_t struct_size;
    /*
     * The three allocator hooks: all NULL (malloc and friends) or all given, else TS_ERROR_INVALID_ARGUMENT. They are called from any of the
     * library's threads and may return NULL, which becomes TS_ERROR_OUT_OF_MEMORY. Memory is aligned as malloc's. All of the library's own memory
     * goes through them; cJSON, libcurl, zlib's streams and OpenBLAS allocate for themselves.
     */
    void *(*allocate)(void *allocator_user, size_t size);
    void *(*reallocate)(void *allocator_user, void *memory, size_t size);
    void (*release)(void *allocator_user, void *memory);
    void *allocator_user;
    /* Called with a whole line (no newline) that is valid during the call alone; from any of the library's threads; NULL: silence. */
    void (*log)(void *log_user, int32_t level, const char *line);
    void *log_user;
    uint64_t memory_limit; /* bytes that all handles of this runtime may hold together; 0 (the default): no limit */
    uint32_t threads;      /* threads to work with, the caller's own included: 1 to 256; default 1; 0: one a processor that this process may use */
    int32_t cpu_level;     /* TS_CPU_LEVEL_; default TS_CPU_LEVEL_BEST. One that this machine lacks: TS_ERROR_UNSUPPORTED, no silent other choice */
} ts_runtime_options;

TS_API ts_status ts_runtime_options_init(ts_runtime_options *options, size_t struct_size);

/*
 * Makes a runtime. No thread is started before there is work for it; a thread that cannot be started is done without. Results never depend on the
 * number of threads. Threads of one runtime serve one handle at a time; another that needs them meanwhile works on its caller's thread.
 */
TS_API ts_status ts_runtime_new(ts_runtime **out, const ts_runtime_options *options);
TS_API void ts_runtime_free(ts_runtime *runtime);

/* The number of threads and the CPU level in use: never 0 and never TS_CPU_LEVEL_BEST. For NULL: what NULL means. */
TS_API uint32_t ts_runtime_threads(const ts_runtime *runtime);
TS_API int32_t ts_runtime_cpu_level(const ts_runtime *runtime);

/* Bytes that the handles of this runtime hold now, and at most held so far. */
TS_API uint64_t ts_runtime_memory(const ts_runtime *runtime);
TS_API uint64_t ts_runtime_memory_peak(const ts_runtime *runtime);

/*
 * A source of texts that a call pulls until it ends. Sets *text and *size (bytes, no terminator needed) to the next text, which stays valid until
 * the next call, or *text to NULL at the end, and returns 0. Returns nonzero to stop the call that pulls with TS_ERROR_CANCELLED.
 */
typedef int32_t (*ts_next_text)(void *user, const char **text, size_t *size);

/*
 * Progress of a long call: `done` of `total` (0: not known) units that the call names. Returns nonzero to stop it with TS_ERROR_CANCELLED.
 * Always called on the thread that made the long call.
 */
typedef int32_t (*ts_progress)(void *user, uint64_t done, uint64_t total);

#ifdef __cplusplus
}
#endif

#endif

/*
 * The room below all others: statuses, the runtime's services, memory, checked arithmetic, random numbers, threads, files.
 */
#ifndef TS_BASE_H
#define TS_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tinystories/base.h"

#define TS_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define TS_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TS_MAX(a, b) ((a) > (b) ? (a) : (b))

#if defined(__GNUC__)
#define TS_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define TS_PRINTF(text, first)
#endif

/* ---- status.c ---- */

/* Sets the thread's error detail (control characters and what is no UTF-8 become '?') and returns `status`, so that a failure is one line: return ts_fail(...). */
ts_status ts_fail(ts_status status, const char *format, ...) TS_PRINTF(2, 3);

/* Puts "context: " before the present detail; for callers that know the file's name. Returns `status`. */
ts_status ts_fail_context(ts_status status, const char *context);

enum { TS_DETAIL_SIZE = 512 };

typedef struct ts_detail {
    char text[TS_DETAIL_SIZE];
} ts_detail;

/* For a failure that the caller never sees: what the detail was before it, and that back again, so that a call that succeeds changes nothing. */
void ts_detail_keep(ts_detail *kept);
void ts_detail_put_back(const ts_detail *kept);

/* Passes a failure on. */
#define TS_TRY(call)                                                                                                                             \
    do {                                                                                                                                         \
        ts_status try_status_ = (call);                                                                                                          \
        if (try_status_ != TS_OK)                                                                                                                \
            return try_status_;                                                                                                                  \
    } while (0)

/* ---- options.c ---- */

/* ts_x_options_init: checks the caller's size, copies as much of `defaults` as the caller's struct has, and sets its struct_size. */
ts_status ts_options_defaults(void *options, size_t struct_size, const void *defaults, size_t size, const char *name);

/* Reads a caller's options (NULL: none) over `into`, which holds the defaults and is `size` bytes: a shorter struct leaves the rest as it is; an unknown
 * tail that is not zero gives UNSUPPORTED. into->struct_size becomes `size`. */
ts_status ts_options_read(void *into, size_t size, const void *options, const char *name);

/* A struct that the library reports in: checks struct_size as the caller set it, so that a wrong one is told before the work; and fills it, copying the
 * part that both know. */
ts_status ts_report_check(const void *report, const char *name);
ts_status ts_report_write(void *report, const void *from, size_t size, const char *name);

/* An option that is a number, and its bounds. */
typedef struct ts_bounds {
    const char *name;
    double value, least, most;
} ts_bounds;

/* INVALID_ARGUMENT names the first option that is out of its range, with its value and the bounds: "name.option is 3, expected 0 to 1". NaN is in none.
 * `above`: `least` itself is out of the range. */
ts_status ts_bounds_check(const char *name, const ts_bounds *ranges, size_t count, bool above);

/* ---- arithmetic.h: all false on overflow, *out untouched ---- */

static inline bool ts_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

static inline bool ts_multiply(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

/* Rounds up to a multiple of `alignment`, a power of two. */
static inline bool ts_align(size_t a, size_t alignment, size_t *out)
{
    size_t sum;
    if (!ts_add(a, alignment - 1, &sum))
        return false;
    *out = sum & ~(alignment - 1);
    return true;
}

/* ---- runtime.c, memory.c ---- */

struct ts_io;

/* A new reference to the caller's runtime, or for NULL to a default one that is made for the occasion (malloc, one thread, silence). Never from a
 * borrowed const: every handle acquires in its constructor and releases in its free. */
ts_status ts_runtime_acquire(ts_runtime **out, ts_runtime *runtime);
void ts_runtime_release(ts_runtime *runtime);

/* Calls the host's log with one line; nothing without one. Never holds a lock meanwhile. */
void ts_log(ts_runtime *runtime, int32_t level, const char *format, ...) TS_PRINTF(3, 4);

/* The operations on files; never NULL. Tests replace it on a runtime of their own: ts_runtime_set_io. */
const struct ts_io *ts_runtime_io(const ts_runtime *runtime);
void ts_runtime_set_io(ts_runtime *runtime, const struct ts_io *io);

/* Zeroed memory, aligned to 64 bytes; NULL (with the detail set: say how much was wanted) when there is none. Size 0 gives a pointer too. Counted
 * against the runtime's limit. */
void *ts_allocate(ts_runtime *runtime, size_t size);
/* The same, not zeroed: for what is filled at once. */
void *ts_allocate_unset(ts_runtime *runtime, size_t size);
/* OUT_OF_MEMORY when so many more bytes would be beyond the runtime's limit: for what others will allocate, uncounted. */
ts_status ts_memory_expect(ts_runtime *runtime, size_t size);
/* `count` elements of `size` bytes with the multiplication checked. */
void *ts_allocate_array(ts_runtime *runtime, size_t count, size_t size);
/* Grows or shrinks, contents kept, what is new is not zeroed; on failure the old memory stays valid. memory may be NULL. */
void *ts_reallocate(ts_runtime *runtime, void *memory, size_t size);
void ts_release(ts_runtime *runtime, void *memory);

/* Makes room for `needed` elements of `size` bytes in *array, doubling; *capacity counts elements. The way every growing array grows. */
ts_status ts_reserve(ts_runtime *runtime, void *array_pointer, size_t *capacity, size_t needed, size_t size);

/* A text that embed.cmake compiled in: a block of bzip2. */
typedef struct ts_packed {
    const unsigned char *bytes;
    size_t packed_size, size;
} ts_packed;

/* unpack.c: *text becomes the text, with a NUL behind it; ts_release frees it. NULL after a failure. FORMAT: the bytes are damaged. */
ts_status ts_unpack(ts_runtime *runtime, const ts_packed *packed, char **text);

/* A handle's planned memory: add up what is needed (ts_arena_plan), make it once, take the pieces in any order. Pieces are 64-byte aligned, zeroed. */
typedef struct ts_arena {
    ts_runtime *runtime;
    unsigned char *memory;
    size_t size, used;
} ts_arena;

/* Adds a piece of count x size bytes to *total; false when that overflows. */
bool ts_arena_plan(size_t *total, size_t count, size_t size);
ts_status ts_arena_init(ts_arena *arena, ts_runtime *runtime, size_t total);
/* The next piece; NULL only if more is taken than was planned, which is a bug that tests find. */
void *ts_arena_take(ts_arena *arena, size_t count, size_t size);
void ts_arena_free(ts_arena *arena);

/* Growing bytes; zero-initialized, then `runtime` set. ts_release(runtime, bytes.data) frees. */
typedef struct ts_bytes {
    ts_runtime *runtime;
    char *data; /* NUL-terminated once anything was added */
    size_t size, capacity;
} ts_bytes;

ts_status ts_bytes_add(ts_bytes *bytes, const void *data, size_t size);
ts_status ts_bytes_format(ts_bytes *bytes, const char *format, ...) TS_PRINTF(2, 3);
void ts_bytes_free(ts_bytes *bytes);
/* Copies bytes and a NUL into a caller's buffer; *size becomes their number in any case. BUFFER_TOO_SMALL: "WHAT has N bytes and a NUL, the buffer M". */
ts_status ts_bytes_give(const ts_bytes *bytes, const char *what, char *text, size_t capacity, size_t *size);

/* ---- busy.h: one thread at a time ---- */

typedef struct ts_busy {
    int flag;
} ts_busy;

static inline bool ts_busy_enter(ts_busy *busy)
{
    return __atomic_exchange_n(&busy->flag, 1, __ATOMIC_ACQUIRE) == 0;
}

static inline void ts_busy_leave(ts_busy *busy)
{
    __atomic_store_n(&busy->flag, 0, __ATOMIC_RELEASE);
}

/* ---- float16.c: f16 (IEEE 754 binary16) and bf16 (the upper half of a float) ---- */

/* Exact. */
float ts_f16_to_f32(uint16_t bits);
float ts_bf16_to_f32(uint16_t bits);

/* To the nearest, ties to even; what is too large for an f16 becomes infinite, a NaN stays one. */
uint16_t ts_f32_to_f16(float value);
uint16_t ts_f32_to_bf16(float value);

/* ---- random.c: counter-based, so that any number can be had from (seed, stream, counter) alone ---- */

typedef struct ts_random {
    uint64_t seed, stream, counter;
} ts_random;

uint64_t ts_random_at(uint64_t seed, uint64_t stream, uint64_t counter);
uint64_t ts_random_next(ts_random *random);
/* Uniform in [0, bound), without bias; bound > 0. May use more than one counter. */
uint64_t ts_random_below(ts_random *random, uint64_t bound);
/* Uniform in [0, 1) with 53 bits. */
double ts_random_unit(ts_random *random);
/* Standard normal (Box-Muller with our own log, sine and cosine of basic operations, so that it is the same on every machine); two counters each. */
double ts_random_normal(ts_random *random);

/* 64-bit hash of bytes, chainable by `seed`; stable for ever, it is in files (fingerprints). */
uint64_t ts_hash(const void *data, size_t size, uint64_t seed);

/* ---- threads.c: the only file that knows of pthreads ---- */

/* The body of a parallel loop: does elements [begin, end). `worker` is below ts_runtime_threads, for scratch memory alone: it must not change results. */
typedef void (*ts_parallel_body)(void *argument, size_t begin, size_t end, size_t worker);

/*
 * Does all of [0, count) in pieces of `grain` elements. Pieces are cut the same way whatever the number of threads; their order is not. Without
 * other threads, within another parallel loop, or while another handle uses the pool, the caller does all pieces itself. Takes no lock in that
 * case, and never allocates.
 */
void ts_parallel(ts_runtime *runtime, size_t count, size_t grain, ts_parallel_body body, void *argument);

uint32_t ts_processor_count(void);

/* Seconds of a clock that never goes back. */
double ts_clock(void);

/* ---- cpu.c ---- */

/* The best level of this machine. Only this file asks the processor. */
int32_t ts_cpu_level_best(void);
/* Whether the processor has AMX with bf16 and the operating system allows this process its tiles; asks for that. */
bool ts_cpu_take_amx(void);

/* ---- file.c: the only file that knows of POSIX files. Everything goes through struct ts_io so that tests can make any call fail ---- */

/* Return values and errno as of the functions that they are named after; each retries nothing. */
typedef struct ts_io {
    void *user;
    int (*open)(void *user, const char *path, int flags, unsigned mode);
    int64_t (*read_at)(void *user, int file, void *buffer, size_t size, uint64_t offset);
    int64_t (*read)(void *user, int file, void *buffer, size_t size);
    int64_t (*write)(void *user, int file, const void *buffer, size_t size);
    int (*sync)(void *user, int file);
    int (*close)(void *user, int file);
    int (*rename)(void *user, const char *from, const char *to);
    int (*unlink)(void *user, const char *path);
} ts_io;

extern const ts_io ts_io_system;

/* A file to be read at random, whatever it is: a regular file, memory, or a host's callbacks. */
typedef struct ts_source {
    ts_runtime *runtime;
    uint64_t size;
    const unsigned char *memory; /* not NULL for memory and mapped files: all of it */
    void *mapping;               /* to be unmapped */
    int file;
    char name[256];              /* for error details: the path's end */
    int32_t (*read)(void *user, uint64_t offset, void *buffer, size_t count);
    void *user;
} ts_source;

/* Opens a regular file (a directory, FIFO or device is refused at once with IO); `map` maps it. */
ts_status ts_source_open(ts_source *source, ts_runtime *runtime, const char *path, bool map);
void ts_source_memory(ts_source *source, ts_runtime *runtime, const void *data, size_t size, const char *name);
void ts_source_callbacks(ts_source *source, ts_runtime *runtime, int32_t (*read)(void *, uint64_t, void *, size_t), void *user, uint64_t size,
                         const char *name);
/* Exactly `size` bytes at `offset`; beyond the end FORMAT ("is cut off"), EINTR and short reads retried. */
ts_status ts_source_read(ts_source *source, uint64_t offset, void *buffer, size_t size);
void ts_source_close(ts_source *source);
/* Reads a whole file of at most `limit` bytes into *data (ts_release it), a NUL after it. */
ts_status ts_file_read(ts_runtime *runtime, const char *path, uint64_t limit, char **data, size_t *size);

/*
 * The one bounds-checked reader: little-endian values one after another out of a source through a window. After the first failure every read gives 0 and
 * never moves, so that callers check once a block: ts_reader_status. Compares with what remains, never forms position + n.
 */
typedef struct ts_reader {
    ts_source *source;
    uint64_t position;
    ts_status status;
    size_t window_size;
    uint64_t window_at;
    unsigned char window[4096];
} ts_reader;

void ts_reader_init(ts_reader *reader, ts_source *source, uint64_t position);
uint8_t ts_reader_u8(ts_reader *reader);
uint16_t ts_reader_u16(ts_reader *reader);
uint32_t ts_reader_u32(ts_reader *reader);
uint64_t ts_reader_u64(ts_reader *reader);
float ts_reader_f32(ts_reader *reader);
void ts_reader_bytes(ts_reader *reader, void *into, size_t size);
void ts_reader_skip(ts_reader *reader, uint64_t size);
/* Bytes that are left; what a count in the file claims is compared with this before anything is allocated. */
uint64_t ts_reader_remaining(const ts_reader *reader);
/* Notes a failure of the content: FORMAT with the detail "name: <message> at byte <position>". The first one stays. */
void ts_reader_fail(ts_reader *reader, ts_status status, const char *format, ...) TS_PRINTF(3, 4);
ts_status ts_reader_status(const ts_reader *reader);

/*
 * The one way to write a file: into a temporary of the same directory, then fsync, rename, fsync of the directory. The old file stays until the new one is
 * whole, which takes over its mode. A link is followed. Errors are sticky: write on, ts_writer_commit tells. After a failed commit or ts_writer_abandon nothing is left behind.
 */
typedef struct ts_writer {
    ts_runtime *runtime;
    ts_status status;
    int file;
    bool plain; /* "-" or a device or pipe: written in place, nothing to replace */
    uint64_t written;
    size_t used;
    char *path, *temporary;
    unsigned char *buffer;
} ts_writer;

ts_status ts_writer_open(ts_writer *writer, ts_runtime *runtime, const char *path);
/* Writes into memory instead: what fits in `capacity` bytes is stored, all of it is counted in writer->written; commit answers BUFFER_TOO_SMALL. */
void ts_writer_memory(ts_writer *writer, ts_runtime *runtime, void *memory, size_t capacity);
void ts_writer_bytes(ts_writer *writer, const void *data, size_t size);
/* Overwrites the first `size` bytes, which were written before: for a header that is known at the end. Not on "-" and devices: INVALID_ARGUMENT. */
void ts_writer_patch_start(ts_writer *writer, const void *data, size_t size);
void ts_writer_u32(ts_writer *writer, uint32_t value);
void ts_writer_u64(ts_writer *writer, uint64_t value);
void ts_writer_fail(ts_writer *writer, ts_status status); /* whoever feeds it failed: commit will answer this */
/* All bytes are on the disk after this, in the file writer->temporary, which may be read back before ts_writer_commit gives it the name. Not on "-" and
 * devices: INVALID_ARGUMENT. */
ts_status ts_writer_settle(ts_writer *writer);
ts_status ts_writer_commit(ts_writer *writer);
void ts_writer_abandon(ts_writer *writer);
/* Removes the temporaries that killed processes left behind when they wrote `path`; one whose writer lives is locked and stays. ts_writer_open does it. */
void ts_writer_sweep(ts_runtime *runtime, const char *path);

/* A file without a name, for what does not fit into memory: appended to, read at random, gone when it is closed or the process dies. Zero-initialized it may
 * be closed. */
typedef struct ts_spill {
    ts_runtime *runtime;
    int file;
    uint64_t size; /* bytes that were added */
    size_t used;   /* of them that are in the buffer still */
    unsigned char *buffer;
    char folder[256]; /* for error details */
} ts_spill;

ts_status ts_spill_open(ts_spill *spill, ts_runtime *runtime, const char *folder);
ts_status ts_spill_add(ts_spill *spill, const void *data, size_t size);
/* Exactly `size` bytes at `offset`, all of which must have been added. */
ts_status ts_spill_read(ts_spill *spill, uint64_t offset, void *buffer, size_t size);
void ts_spill_close(ts_spill *spill);

/* An append-only file of whole lines (a log): each call is one write of line + newline. */
ts_status ts_append_open(ts_runtime *runtime, const char *path, int *file);
ts_status ts_append_line(ts_runtime *runtime, int file, const char *line, size_t size);
/* Its lines are on the disk after this. After a failure the file is to be given up: a second try would lie about what the first one lost. */
ts_status ts_append_sync(ts_runtime *runtime, int file);
void ts_append_close(ts_runtime *runtime, int file);

/* The entries of the directory that holds `path`, which is cut for a moment, are on the disk after this. Allocates nothing, since what was done is done. A
 * directory that cannot be opened or synced at all (some file systems) is fine. */
ts_status ts_directory_sync(ts_runtime *runtime, char *path);
/* Makes a directory unless it is there, and syncs the one that holds it. */
ts_status ts_directory_make(ts_runtime *runtime, const char *path);
/* The numbers N of the files of a directory that are called <prefix>N<suffix>, the greatest first; release *numbers. A directory that cannot be read has none. */
ts_status ts_directory_numbers(ts_runtime *runtime, const char *path, const char *prefix, const char *suffix, uint64_t **numbers, size_t *count);
bool ts_path_is_directory(const char *path);
bool ts_path_exists(const char *path);
/* Takes the lock file `path` for this process until ts_lock_release or its death; BUSY when another has it. */
ts_status ts_lock_take(ts_runtime *runtime, const char *path, int *file);
void ts_lock_release(ts_runtime *runtime, int file);

#endif

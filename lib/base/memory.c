/* All of the library's memory: through the host's hooks, aligned to 64 bytes, counted against the runtime's limit. */
#include <stdio.h>

#include "base/runtime.h"

#define ALIGNMENT 64

/* Stands right before every piece. */
typedef struct header {
    void *block; /* what the allocator gave */
    size_t size; /* what was asked for */
} header;

static header *header_of(void *memory)
{
    return (header *)((unsigned char *)memory - sizeof(header));
}

/* Counts `size` bytes more; false if that is beyond the limit. */
static bool count(ts_runtime *runtime, size_t size)
{
    uint64_t held = __atomic_add_fetch(&runtime->held, size, __ATOMIC_RELAXED), peak = __atomic_load_n(&runtime->peak, __ATOMIC_RELAXED);
    if (runtime->options.memory_limit != 0 && held > runtime->options.memory_limit) {
        __atomic_sub_fetch(&runtime->held, size, __ATOMIC_RELAXED);
        return false;
    }
    while (held > peak && !__atomic_compare_exchange_n(&runtime->peak, &peak, held, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    return true;
}

static void *place(void *block, size_t size)
{
    uintptr_t at = ((uintptr_t)block + sizeof(header) + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    void *memory = (unsigned char *)block + (at - (uintptr_t)block);
    *header_of(memory) = (header){block, size};
    return memory;
}

static void *allocate(ts_runtime *runtime, size_t size)
{
    size_t whole;
    if (!ts_add(size, sizeof(header) + ALIGNMENT, &whole)) {
        ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory: %zu bytes wanted", size);
        return NULL;
    }
    if (!count(runtime, size)) {
        ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory: %zu bytes wanted, which is beyond the runtime's limit of %llu", size,
                (unsigned long long)runtime->options.memory_limit);
        return NULL;
    }
    void *block = runtime->options.allocate(runtime->options.allocator_user, whole);
    if (block == NULL) {
        __atomic_sub_fetch(&runtime->held, size, __ATOMIC_RELAXED);
        ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory: %zu bytes wanted", size);
        return NULL;
    }
    return place(block, size);
}

ts_status ts_memory_expect(ts_runtime *runtime, size_t size)
{
    uint64_t held = __atomic_load_n(&runtime->held, __ATOMIC_RELAXED), limit = runtime->options.memory_limit;
    if (limit != 0 && (held > limit || size > limit - held))
        return ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory: %zu bytes wanted, which is beyond the runtime's limit of %llu", size, (unsigned long long)limit);
    return TS_OK;
}

void *ts_allocate_unset(ts_runtime *runtime, size_t size)
{
    return allocate(runtime, size);
}

void *ts_allocate(ts_runtime *runtime, size_t size)
{
    void *memory = allocate(runtime, size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void *ts_allocate_array(ts_runtime *runtime, size_t count_of, size_t size)
{
    size_t whole;
    if (!ts_multiply(count_of, size, &whole)) {
        ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory: %zu times %zu bytes wanted", count_of, size);
        return NULL;
    }
    return ts_allocate(runtime, whole);
}

void *ts_reallocate(ts_runtime *runtime, void *memory, size_t size)
{
    if (memory == NULL)
        return allocate(runtime, size);
    header old = *header_of(memory);
    size_t whole, offset = (size_t)((unsigned char *)memory - (unsigned char *)old.block);
    bool grows = size > old.size;
    if (!ts_add(size, sizeof(header) + ALIGNMENT, &whole) || (grows && !count(runtime, size - old.size))) {
        ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory: %zu bytes wanted", size);
        return NULL;
    }
    unsigned char *block = runtime->options.reallocate(runtime->options.allocator_user, old.block, whole);
    if (block == NULL) {
        if (grows)
            __atomic_sub_fetch(&runtime->held, size - old.size, __ATOMIC_RELAXED);
        ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory: %zu bytes wanted", size);
        return NULL;
    }
    if (!grows)
        __atomic_sub_fetch(&runtime->held, old.size - size, __ATOMIC_RELAXED);
    uintptr_t at = ((uintptr_t)block + sizeof(header) + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    memmove(block + (at - (uintptr_t)block), block + offset, TS_MIN(size, old.size));
    return place(block, size);
}

void ts_release(ts_runtime *runtime, void *memory)
{
    if (memory == NULL)
        return;
    header old = *header_of(memory);
    __atomic_sub_fetch(&runtime->held, old.size, __ATOMIC_RELAXED);
    runtime->options.release(runtime->options.allocator_user, old.block);
}

ts_status ts_reserve(ts_runtime *runtime, void *array_pointer, size_t *capacity, size_t needed, size_t size)
{
    size_t wanted, bytes;
    void *array;
    if (needed <= *capacity)
        return TS_OK;
    wanted = *capacity > SIZE_MAX / 2 ? needed : TS_MAX(TS_MAX(2 * *capacity, needed), 16);
    if (!ts_multiply(wanted, size, &bytes))
        return ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory: %zu times %zu bytes wanted", wanted, size);
    memcpy(&array, array_pointer, sizeof array);
    array = ts_reallocate(runtime, array, bytes);
    if (array == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    memcpy(array_pointer, &array, sizeof array);
    *capacity = wanted;
    return TS_OK;
}

/* ---- arena ---- */

bool ts_arena_plan(size_t *total, size_t count_of, size_t size)
{
    size_t bytes, aligned, sum;
    if (!ts_multiply(count_of, size, &bytes) || !ts_align(bytes, ALIGNMENT, &aligned) || !ts_add(*total, aligned, &sum))
        return false;
    *total = sum;
    return true;
}

ts_status ts_arena_init(ts_arena *arena, ts_runtime *runtime, size_t total)
{
    *arena = (ts_arena){.runtime = runtime, .size = total};
    arena->memory = ts_allocate(runtime, total);
    return arena->memory ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
}

void *ts_arena_take(ts_arena *arena, size_t count_of, size_t size)
{
    size_t total = 0;
    if (!ts_arena_plan(&total, count_of, size) || total > arena->size - arena->used)
        return NULL;
    void *memory = arena->memory + arena->used;
    arena->used += total;
    return memory;
}

void ts_arena_free(ts_arena *arena)
{
    if (arena->runtime != NULL)
        ts_release(arena->runtime, arena->memory);
    *arena = (ts_arena){0};
}

/* ---- growing bytes ---- */

ts_status ts_bytes_add(ts_bytes *bytes, const void *data, size_t size)
{
    size_t needed;
    if (!ts_add(bytes->size, size, &needed) || !ts_add(needed, 1, &needed))
        return ts_fail(TS_ERROR_OUT_OF_MEMORY, "no memory: %zu bytes wanted", size);
    TS_TRY(ts_reserve(bytes->runtime, &bytes->data, &bytes->capacity, needed, 1));
    if (size > 0)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    bytes->data[bytes->size] = 0;
    return TS_OK;
}

ts_status ts_bytes_format(ts_bytes *bytes, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0)
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "a text could not be formatted");
    if ((size_t)size < sizeof text)
        return ts_bytes_add(bytes, text, (size_t)size);
    TS_TRY(ts_reserve(bytes->runtime, &bytes->data, &bytes->capacity, bytes->size + (size_t)size + 1, 1));
    va_start(arguments, format);
    vsnprintf(bytes->data + bytes->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    bytes->size += (size_t)size;
    return TS_OK;
}

void ts_bytes_free(ts_bytes *bytes)
{
    if (bytes->runtime != NULL)
        ts_release(bytes->runtime, bytes->data);
    *bytes = (ts_bytes){.runtime = bytes->runtime};
}

ts_status ts_bytes_give(const ts_bytes *bytes, const char *what, char *text, size_t capacity, size_t *size)
{
    *size = bytes->size;
    if (bytes->size >= capacity)
        return ts_fail(TS_ERROR_BUFFER_TOO_SMALL, "%s has %zu bytes and a NUL, the buffer %zu", what, bytes->size, capacity);
    if (bytes->size > 0)
        memcpy(text, bytes->data, bytes->size);
    text[bytes->size] = 0;
    return TS_OK;
}

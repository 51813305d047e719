/* Numbers by hashes: an open-addressing table that grows by half, so that it never holds much more than it needs. */
#include "text/text.h"

enum { FIRST_CAPACITY = 1024 };

/* A key of 0 is a free place. */
static uint64_t key_of(uint64_t hash)
{
    return hash != 0 ? hash : 1;
}

static size_t place_of(const uint64_t *keys, size_t capacity, uint64_t key)
{
    size_t at = (size_t)(((unsigned __int128)key * capacity) >> 64);
    while (keys[at] != 0 && keys[at] != key)
        at = at + 1 < capacity ? at + 1 : 0;
    return at;
}

static ts_status grow(ts_hash_map *map)
{
    size_t capacity = map->capacity == 0 ? FIRST_CAPACITY : map->capacity + map->capacity / 2;
    uint64_t *keys = ts_allocate_array(map->runtime, capacity, sizeof *keys);
    uint32_t *values = ts_allocate_array(map->runtime, capacity, sizeof *values);
    if (keys == NULL || values == NULL) {
        ts_release(map->runtime, keys);
        ts_release(map->runtime, values);
        return TS_ERROR_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < map->capacity; i++)
        if (map->keys[i] != 0) {
            size_t at = place_of(keys, capacity, map->keys[i]);
            keys[at] = map->keys[i];
            values[at] = map->values[i];
        }
    ts_release(map->runtime, map->keys);
    ts_release(map->runtime, map->values);
    map->keys = keys;
    map->values = values;
    map->capacity = capacity;
    return TS_OK;
}

uint32_t ts_hash_map_find(const ts_hash_map *map, uint64_t hash)
{
    if (map->count == 0)
        return TS_HASH_MAP_NONE;
    uint64_t key = key_of(hash);
    size_t at = place_of(map->keys, map->capacity, key);
    return map->keys[at] == key ? map->values[at] : TS_HASH_MAP_NONE;
}

ts_status ts_hash_map_add(ts_hash_map *map, uint64_t hash, uint32_t value)
{
    if (map->count >= map->capacity / 4 * 3)
        TS_TRY(grow(map));
    uint64_t key = key_of(hash);
    size_t at = place_of(map->keys, map->capacity, key);
    map->keys[at] = key;
    map->values[at] = value;
    map->count++;
    return TS_OK;
}

void ts_hash_map_free(ts_hash_map *map)
{
    ts_release(map->runtime, map->keys);
    ts_release(map->runtime, map->values);
    map->keys = NULL;
    map->values = NULL;
    map->capacity = map->count = 0;
}

/*
 * Unpacks the texts that embed.cmake compiled in: a block of bzip2, of all that are undone by little code the one that packs prose best (a quarter
 * better than deflate). A Burrows-Wheeler transform of the text, as numbers by how long ago a byte came last, in a few canonical codes that take
 * turns.
 */
#include "base/base.h"

enum {
    MOST_BITS = 20, /* of a code */
    SYMBOLS = 258,  /* two that count runs, 255 numbers, the end */
    TABLES = 6,
    TURN = 50, /* symbols in a row of one table */
    SELECTORS = 18002,
    RUN = 4 /* bytes that are the same, behind which a byte says how many more are */
};

typedef struct reading {
    const unsigned char *bytes;
    size_t size, at;
    uint32_t bits, held; /* the last `held` bits of `bits` are not taken yet */
    bool damaged;
} reading;

/* The symbols of a code in the order of their bits, and how many there are of each length. */
typedef struct code {
    uint16_t counts[MOST_BITS + 1], symbols[SYMBOLS];
} code;

/* A block on its way: `next` first its bytes, then also the place of the byte behind each one, 24 bits above. */
typedef struct block {
    uint32_t *next;
    size_t count, capacity, first;
    unsigned char used[256]; /* bytes that occur; then the latest first */
    uint32_t used_count, table_count, selector_count;
    code tables[TABLES];
    uint8_t selectors[SELECTORS];
} block;

static uint32_t take(reading *r, uint32_t count)
{
    while (r->held < count) {
        r->damaged = r->damaged || r->at >= r->size;
        r->bits = r->bits << 8 | (r->damaged ? 0u : r->bytes[r->at++]);
        r->held += 8;
    }
    r->held -= count;
    return r->bits >> r->held & ((1u << count) - 1);
}

static uint32_t take_32(reading *r)
{
    uint32_t high = take(r, 16);
    return high << 16 | take(r, 16);
}

/* How many ones stand before a zero. */
static uint32_t take_ones(reading *r, uint32_t most)
{
    uint32_t count = 0;
    while (count < most && take(r, 1))
        count++;
    r->damaged = r->damaged || count == most;
    return r->damaged ? 0 : count;
}

static void make_code(code *c, const uint8_t *lengths, size_t count)
{
    uint16_t next[MOST_BITS + 2] = {0};
    memset(c->counts, 0, sizeof c->counts);
    for (size_t i = 0; i < count; i++)
        c->counts[lengths[i]]++;
    for (size_t i = 1; i <= MOST_BITS; i++)
        next[i + 1] = (uint16_t)(next[i] + c->counts[i]);
    for (size_t i = 0; i < count; i++)
        c->symbols[next[lengths[i]]++] = (uint16_t)i;
}

static uint32_t take_symbol(reading *r, const code *c)
{
    uint32_t bits = 0, first = 0, index = 0;
    for (size_t length = 1; length <= MOST_BITS && !r->damaged; length++) {
        bits |= take(r, 1);
        if (bits - first < c->counts[length])
            return c->symbols[index + bits - first];
        index += c->counts[length];
        first = (first + c->counts[length]) << 1;
        bits <<= 1;
    }
    r->damaged = true;
    return 0;
}

/* The byte at a place of the list of those that came last, which comes first from now on. */
static unsigned char to_front(unsigned char *list, size_t place)
{
    unsigned char byte = list[place];
    memmove(list + 1, list, place);
    list[0] = byte;
    return byte;
}

/* Which bytes occur: 16 bits for the groups of 16 that have one, then 16 for each of these. */
static void read_used(reading *r, block *b)
{
    uint32_t groups = take(r, 16);
    for (uint32_t group = 0; group < 16; group++) {
        uint32_t members = groups >> (15 - group) & 1 ? take(r, 16) : 0;
        for (uint32_t i = 0; i < 16; i++)
            if (members >> (15 - i) & 1)
                b->used[b->used_count++] = (unsigned char)(16 * group + i);
    }
    r->damaged = r->damaged || b->used_count == 0;
}

static void read_tables(reading *r, block *b)
{
    unsigned char latest[TABLES] = {0, 1, 2, 3, 4, 5};
    b->table_count = take(r, 3);
    b->selector_count = take(r, 15);
    r->damaged = r->damaged || b->table_count < 2 || b->table_count > TABLES || b->selector_count > SELECTORS;
    for (uint32_t i = 0; i < b->selector_count && !r->damaged; i++)
        b->selectors[i] = to_front(latest, take_ones(r, b->table_count));
    for (uint32_t table = 0; table < b->table_count && !r->damaged; table++) {
        uint8_t lengths[SYMBOLS];
        uint32_t length = take(r, 5);
        for (uint32_t symbol = 0; symbol < b->used_count + 2 && !r->damaged; symbol++) {
            while (!r->damaged && take(r, 1)) { /* each length by steps from the one before */
                length += take(r, 1) ? UINT32_MAX : 1;
                r->damaged = r->damaged || length < 1 || length > MOST_BITS;
            }
            r->damaged = r->damaged || length < 1 || length > MOST_BITS;
            lengths[symbol] = r->damaged ? 1 : (uint8_t)length;
        }
        make_code(&b->tables[table], lengths, r->damaged ? 0 : b->used_count + 2);
    }
}

static void put_bytes(reading *r, block *b, unsigned char byte, size_t count)
{
    r->damaged = r->damaged || count > b->capacity - b->count;
    for (; count > 0 && !r->damaged; count--)
        b->next[b->count++] = byte;
}

/* Numbers and runs of the latest byte, whose lengths are written in digits 1 and 2. */
static void read_bytes(reading *r, block *b)
{
    size_t run = 0, digit = 1;
    for (uint32_t turn = 0; turn < TURN * b->selector_count && !r->damaged; turn++) {
        uint32_t symbol = take_symbol(r, &b->tables[b->selectors[turn / TURN]]);
        if (symbol < 2) {
            run += digit << symbol;
            digit <<= 1;
            r->damaged = r->damaged || run > b->capacity;
            continue;
        }
        put_bytes(r, b, b->used[0], run);
        run = 0, digit = 1;
        if (symbol == b->used_count + 1)
            return;
        put_bytes(r, b, to_front(b->used, symbol - 1), 1);
    }
    r->damaged = true; /* without an end */
}

/* The bytes are the last column of the sorted rotations of the text: equal bytes stand in it in the order in which they stand in the first. */
static void link_bytes(reading *r, block *b)
{
    uint32_t places[256] = {0}, sum = 0;
    r->damaged = r->damaged || b->first >= b->count || b->count > 1u << 24;
    for (size_t i = 0; i < b->count && !r->damaged; i++)
        places[b->next[i] & 0xff]++;
    for (size_t byte = 0; byte < 256; byte++) {
        uint32_t count = places[byte];
        places[byte] = sum;
        sum += count;
    }
    for (size_t i = 0; i < b->count && !r->damaged; i++)
        b->next[places[b->next[i] & 0xff]++] |= (uint32_t)i << 8;
}

/* Gives the CRC of what was written, as bzip2 has it: the highest bit first. */
static uint32_t write_text(reading *r, const block *b, char *text, size_t size)
{
    uint32_t table[256], crc = UINT32_MAX, at = r->damaged ? 0 : b->next[b->first] >> 8, same = 0;
    size_t written = 0;
    for (uint32_t byte = 0; byte < 256; byte++) {
        table[byte] = byte << 24;
        for (int bit = 0; bit < 8; bit++)
            table[byte] = table[byte] << 1 ^ (table[byte] >> 31 ? 0x04c11db7u : 0);
    }
    for (size_t i = 0; i < b->count && !r->damaged; i++) {
        unsigned char byte = (unsigned char)b->next[at];
        size_t count = same == RUN ? byte : 1;
        at = b->next[at] >> 8;
        if (same == RUN)
            byte = (unsigned char)text[written - 1];
        same = same == RUN ? 0 : written > 0 && same > 0 && byte == (unsigned char)text[written - 1] ? same + 1 : 1;
        r->damaged = r->damaged || count > size - written;
        for (; count > 0 && !r->damaged; count--) {
            text[written++] = (char)byte;
            crc = crc << 8 ^ table[crc >> 24 ^ byte];
        }
    }
    r->damaged = r->damaged || written != size;
    return ~crc;
}

ts_status ts_unpack(ts_runtime *runtime, const ts_packed *packed, char **text)
{
    reading r = {.bytes = packed->bytes, .size = packed->packed_size};
    block *b = ts_allocate(runtime, sizeof *b);
    size_t capacity = packed->size + packed->size / RUN + 1;
    uint32_t *next = ts_allocate_array(runtime, capacity, sizeof *next);
    *text = ts_allocate(runtime, packed->size + 1);
    if (b == NULL || next == NULL || *text == NULL) {
        ts_release(runtime, b);
        ts_release(runtime, next);
        ts_release(runtime, *text);
        *text = NULL;
        return TS_ERROR_OUT_OF_MEMORY;
    }
    b->next = next;
    b->capacity = capacity;
    uint32_t magic[] = {take(&r, 24), take(&r, 24)}, crc = take_32(&r), randomized = take(&r, 1);
    b->first = take(&r, 24);
    r.damaged = r.damaged || magic[0] != 0x314159 || magic[1] != 0x265359 || randomized;
    read_used(&r, b);
    read_tables(&r, b);
    read_bytes(&r, b);
    link_bytes(&r, b);
    r.damaged = write_text(&r, b, *text, packed->size) != crc || r.damaged;
    ts_release(runtime, b);
    ts_release(runtime, next);
    if (!r.damaged)
        return TS_OK;
    ts_release(runtime, *text);
    *text = NULL;
    return ts_fail(TS_ERROR_FORMAT, "a text that was compiled in is damaged, before byte %zu of %zu", r.at, r.size);
}

/* Inflates the texts that embed.cmake compiled in: RFC 1951, a bit at a time by canonical codes, which is quick enough for what a handle reads once.
 */
#include "base/base.h"

enum { MOST_BITS = 15, LITERALS = 288, DISTANCES = 32, LENGTH_CODES = 19, END_OF_BLOCK = 256 };

typedef struct reading {
    const unsigned char *bytes;
    size_t size, at;
    uint32_t bits, held; /* `held` bits that were read and not taken */
    char *text;
    size_t capacity, written;
    bool damaged;
} reading;

/* The symbols of a code in the order of their bits, and how many there are of each length. */
typedef struct code {
    uint16_t counts[MOST_BITS + 1], symbols[LITERALS];
} code;

static uint32_t take(reading *r, uint32_t count)
{
    while (r->held < count) {
        r->damaged = r->damaged || r->at >= r->size;
        r->bits |= (uint32_t)(r->damaged ? 0 : r->bytes[r->at++]) << r->held;
        r->held += 8;
    }
    uint32_t value = r->bits & ((1u << count) - 1);
    r->bits >>= count;
    r->held -= count;
    return value;
}

static void make_code(code *c, const uint8_t *lengths, size_t count)
{
    uint16_t next[MOST_BITS + 2] = {0};
    memset(c->counts, 0, sizeof c->counts);
    for (size_t i = 0; i < count; i++)
        c->counts[lengths[i]]++;
    c->counts[0] = 0;
    for (size_t i = 1; i <= MOST_BITS; i++)
        next[i + 1] = (uint16_t)(next[i] + c->counts[i]);
    for (size_t i = 0; i < count; i++)
        if (lengths[i] > 0)
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
    return END_OF_BLOCK;
}

static void write_byte(reading *r, char byte)
{
    r->damaged = r->damaged || r->written >= r->capacity;
    if (!r->damaged)
        r->text[r->written++] = byte;
}

static void copy_stored(reading *r)
{
    r->bits = r->held = 0;
    uint32_t size = take(r, 16), check = take(r, 16);
    r->damaged = r->damaged || (size ^ check) != 0xffff;
    for (uint32_t i = 0; i < size && !r->damaged; i++)
        write_byte(r, (char)take(r, 8));
}

static void copy_back(reading *r, size_t distance, size_t length)
{
    r->damaged = r->damaged || distance > r->written;
    for (size_t i = 0; i < length && !r->damaged; i++)
        write_byte(r, r->text[r->written - distance]);
}

/* Extra bits: none for the first `plain` symbols of a kind, then one more every `step` symbols. What a symbol begins with is what those before it
 * span. */
static uint32_t take_number(reading *r, uint32_t symbol, uint32_t start, uint32_t step)
{
    uint32_t value = start, extra = 0;
    for (uint32_t i = 0; i < symbol; i++) {
        value += 1u << extra;
        extra = i + 1 < 2 * step ? 0 : (i + 1) / step - 1;
    }
    return value + take(r, extra);
}

static void inflate_block(reading *r, const code *literals, const code *distances)
{
    for (uint32_t symbol = 0; symbol != END_OF_BLOCK && !r->damaged;) {
        symbol = take_symbol(r, literals);
        if (symbol < END_OF_BLOCK) {
            write_byte(r, (char)symbol);
        } else if (symbol > END_OF_BLOCK) {
            size_t length = symbol == 285 ? 258 : take_number(r, symbol - 257, 3, 4);
            uint32_t distance = take_symbol(r, distances);
            r->damaged = r->damaged || symbol > 285 || distance > 29;
            if (!r->damaged)
                copy_back(r, take_number(r, distance, 1, 2), length);
        }
    }
}

static void inflate_fixed(reading *r)
{
    uint8_t lengths[LITERALS];
    code literals, distances;
    for (size_t i = 0; i < LITERALS; i++)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    make_code(&literals, lengths, LITERALS);
    memset(lengths, 5, DISTANCES);
    make_code(&distances, lengths, DISTANCES);
    inflate_block(r, &literals, &distances);
}

static void inflate_dynamic(reading *r)
{
    static const uint8_t order[LENGTH_CODES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[LITERALS + DISTANCES] = {0};
    code literals, distances;
    size_t literal_count = take(r, 5) + 257, distance_count = take(r, 5) + 1, order_count = take(r, 4) + 4, count = 0;
    for (size_t i = 0; i < order_count; i++)
        lengths[order[i]] = (uint8_t)take(r, 3);
    make_code(&literals, lengths, LENGTH_CODES);
    memset(lengths, 0, sizeof lengths);
    while (count < literal_count + distance_count && !r->damaged) {
        uint32_t symbol = take_symbol(r, &literals);
        if (symbol < 16) {
            lengths[count++] = (uint8_t)symbol;
            continue;
        }
        size_t repeat = symbol == 16 ? 3 + take(r, 2) : symbol == 17 ? 3 + take(r, 3) : 11 + take(r, 7);
        r->damaged = r->damaged || symbol > 18 || (symbol == 16 && count == 0) || repeat > literal_count + distance_count - count;
        for (; repeat > 0 && !r->damaged; repeat--, count++)
            lengths[count] = symbol == 16 ? lengths[count - 1] : 0;
    }
    r->damaged = r->damaged || literal_count > LITERALS;
    if (r->damaged)
        return;
    make_code(&literals, lengths, literal_count);
    make_code(&distances, lengths + literal_count, distance_count);
    inflate_block(r, &literals, &distances);
}

ts_status ts_unpack(ts_runtime *runtime, const ts_packed *packed, char **text)
{
    reading r = {.bytes = packed->bytes, .size = packed->packed_size, .capacity = packed->size};
    r.text = ts_allocate(runtime, packed->size + 1);
    if (!r.text)
        return TS_ERROR_OUT_OF_MEMORY;
    for (bool last = false; !last && !r.damaged;) {
        last = take(&r, 1);
        switch (take(&r, 2)) {
        case 0:
            copy_stored(&r);
            break;
        case 1:
            inflate_fixed(&r);
            break;
        case 2:
            inflate_dynamic(&r);
            break;
        default:
            r.damaged = true;
        }
    }
    if (r.damaged || r.written != r.capacity) {
        ts_release(runtime, r.text);
        return ts_fail(TS_ERROR_FORMAT, "a text that was compiled in is damaged at byte %zu of %zu", r.at, r.size);
    }
    *text = r.text;
    return TS_OK;
}

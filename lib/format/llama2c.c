/* llama2.c checkpoints: one table of tensors and two orders, for reading and for writing. */
#include <math.h>

#include "format/llama2c.h"

enum {
    HEADER_INTS = 7,
    LEGACY_HEADER = HEADER_INTS * 4,
    HEADER = 256, /* of versions 1 and 2 */
    PIECE = 1024, /* elements that are dequantized at once */
    MOST_GROUP = 64
};

/* ---- the tensors ---- */

typedef enum tensor_kind { TOKENS, ATTENTION_NORM, Q, K, V, O, FFN_NORM, GATE, DOWN, UP, NORM, TURNS, OUTPUT } tensor_kind;

static const struct {
    const char *name;
    bool layered, matrix;
} tensors[TS_LLAMA2C_TENSORS] = {
    [TOKENS] = {"tok_embeddings", false, true},
    [ATTENTION_NORM] = {"attention_norm", true, false},
    [Q] = {"wq", true, true},
    [K] = {"wk", true, true},
    [V] = {"wv", true, true},
    [O] = {"wo", true, true},
    [FFN_NORM] = {"ffn_norm", true, false},
    [GATE] = {"w1", true, true},
    [DOWN] = {"w2", true, true},
    [UP] = {"w3", true, true},
    [NORM] = {"norm", false, false},
    [TURNS] = {"", false, false},
    [OUTPUT] = {"output", false, true},
};

static const tensor_kind legacy_order[] = {TOKENS, ATTENTION_NORM, Q, K, V, O, FFN_NORM, GATE, DOWN, UP, NORM, TURNS, OUTPUT};
static const tensor_kind order[] = {ATTENTION_NORM, FFN_NORM, NORM, TOKENS, Q, K, V, O, GATE, DOWN, UP, OUTPUT};

static const tensor_kind *order_of(uint32_t version, size_t *count)
{
    *count = version == 0 ? TS_COUNT_OF(legacy_order) : TS_COUNT_OF(order);
    return version == 0 ? legacy_order : order;
}

/* Elements of one layer of a tensor. The limits of a shape keep all sums below 2^64: 2^20 x 2^16 elements, 512 layers, 13 tensors, 8 bytes. */
static uint64_t elements_of(const ts_llama2c_shape *s, tensor_kind kind)
{
    uint64_t keys = (uint64_t)s->width / s->heads * s->key_value_heads;
    switch (kind) {
    case TOKENS:
        return (uint64_t)s->vocabulary * s->width;
    case OUTPUT:
        return s->untied ? (uint64_t)s->vocabulary * s->width : 0;
    case Q:
    case O:
        return (uint64_t)s->width * s->width;
    case K:
    case V:
        return keys * s->width;
    case GATE:
    case DOWN:
    case UP:
        return (uint64_t)s->hidden * s->width;
    case TURNS: /* cosines and sines of every position and pair, which everyone works out anew */
        return (uint64_t)s->context * (s->width / s->heads);
    default:
        return s->width;
    }
}

static uint32_t layers_of(const ts_llama2c_shape *s, tensor_kind kind)
{
    return tensors[kind].layered ? s->layers : 1;
}

static bool is_quantized(const ts_llama2c *file, tensor_kind kind)
{
    return file->version == 2 && tensors[kind].matrix;
}

/* Bytes of one layer of a tensor. */
static uint64_t bytes_of(const ts_llama2c *file, tensor_kind kind)
{
    uint64_t elements = elements_of(&file->shape, kind);
    return is_quantized(file, kind) ? elements + elements / file->group * sizeof(float) : elements * sizeof(float);
}

/* ---- reading ---- */

typedef struct header_field {
    const char *name;
    uint32_t value, least, most;
} header_field;

/* `ints` as in the header, the vocabulary already positive. */
static ts_status check_shape(const ts_llama2c *file)
{
    const ts_llama2c_shape *s = &file->shape;
    const header_field fields[] = {
        {"dim", s->width, 1, 65536},
        {"hidden_dim", s->hidden, 1, 1 << 20},
        {"n_layers", s->layers, 1, 512},
        {"n_heads", s->heads, 1, 4096},
        {"n_kv_heads", s->key_value_heads, 1, 4096},
        {"vocab_size", s->vocabulary, 1, 1 << 20},
        {"max_seq_len", s->context, 2, 1 << 20},
    };
    const char *name = file->source->name,
               *kind = file->version == 0 ? "is no model file that is known; as a llama2.c checkpoint without a magic, " : "";
    for (size_t i = 0; i < TS_COUNT_OF(fields); i++)
        if (fields[i].value < fields[i].least || fields[i].value > fields[i].most)
            return ts_fail(TS_ERROR_FORMAT, "%s: %sits %s is %d, expected %u to %u", name, kind, fields[i].name, (int)fields[i].value,
                           fields[i].least, fields[i].most);
    if (s->width % s->heads != 0 || s->width / s->heads % 2 != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: %sits dim is %u, expected an even multiple of n_heads, %u", name, kind, s->width, s->heads);
    if (s->heads % s->key_value_heads != 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: %sits n_kv_heads is %u, expected a divisor of n_heads, %u", name, kind, s->key_value_heads, s->heads);
    return TS_OK;
}

/* The seven numbers; a vocabulary below 0 says in version 0 that the output matrix is one of its own. */
static void read_shape(ts_llama2c *file, ts_reader *reader)
{
    ts_llama2c_shape *s = &file->shape;
    uint32_t *const ints[HEADER_INTS] = {&s->width, &s->hidden, &s->layers, &s->heads, &s->key_value_heads, &s->vocabulary, &s->context};
    for (size_t i = 0; i < HEADER_INTS; i++)
        *ints[i] = ts_reader_u32(reader);
    if (file->version == 0 && s->vocabulary >= 0x80000000u) {
        s->untied = true;
        s->vocabulary = 0 - s->vocabulary;
    }
}

static void read_version(ts_llama2c *file, ts_reader *reader)
{
    file->version = ts_reader_u32(reader);
    if (ts_reader_status(reader) == TS_OK && file->version != 1 && file->version != 2)
        ts_reader_fail(reader, TS_ERROR_VERSION, "is version %u of a llama2.c checkpoint, expected 0 (without a magic), 1 or 2", file->version);
    read_shape(file, reader);
    uint8_t shared = ts_reader_u8(reader);
    if (ts_reader_status(reader) == TS_OK && shared > 1)
        ts_reader_fail(reader, TS_ERROR_FORMAT, "the flag of the shared classifier is %u, expected 0 or 1", shared);
    file->shape.untied = shared == 0;
    if (file->version == 2)
        file->group = ts_reader_u32(reader);
}

static ts_status check_groups(const ts_llama2c *file)
{
    for (tensor_kind kind = TOKENS; kind <= OUTPUT; kind++)
        if (is_quantized(file, kind) && (file->group == 0 || elements_of(&file->shape, kind) % file->group != 0))
            return ts_fail(TS_ERROR_FORMAT, "%s: its group size is %u, which does not divide the %llu elements of %s", file->source->name,
                           file->group, (unsigned long long)elements_of(&file->shape, kind), tensors[kind].name);
    return TS_OK;
}

/* The tensors fill the file: its size is what the header says. */
static ts_status place_tensors(ts_llama2c *file)
{
    size_t count;
    const tensor_kind *kinds = order_of(file->version, &count);
    uint64_t offset = file->version == 0 ? LEGACY_HEADER : HEADER;
    for (size_t i = 0; i < count; i++) {
        file->offsets[kinds[i]] = offset;
        offset += bytes_of(file, kinds[i]) * layers_of(&file->shape, kinds[i]);
    }
    if (offset == file->source->size)
        return TS_OK;
    const char *kind = file->version == 0 ? "is no model file that is known, or a llama2.c checkpoint that is damaged" : "is damaged";
    return ts_fail(TS_ERROR_FORMAT, "%s: %s: the header asks for %llu bytes, the file has %llu", file->source->name, kind, (unsigned long long)offset,
                   (unsigned long long)file->source->size);
}

ts_status ts_llama2c_open(ts_llama2c *file, ts_source *source)
{
    ts_reader reader;
    *file = (ts_llama2c){.source = source};
    ts_reader_init(&reader, source, 0);
    if (ts_reader_u32(&reader) == TS_LLAMA2C_MAGIC) {
        read_version(file, &reader);
    } else if (ts_reader_status(&reader) == TS_OK) {
        ts_reader_init(&reader, source, 0);
        read_shape(file, &reader);
    }
    TS_TRY(ts_reader_status(&reader));
    TS_TRY(check_shape(file));
    TS_TRY(check_groups(file));
    return place_tensors(file);
}

/* Numbers of 8 bits, then the scales of their groups, which don't end where rows end. */
static ts_status read_quantized(const ts_llama2c *file, uint64_t offset, float *values, size_t count)
{
    int8_t numbers[PIECE];
    float scales[PIECE + 1];
    for (size_t done = 0; done < count;) {
        size_t piece = TS_MIN((size_t)PIECE, count - done), first = done / file->group, last = (done + piece - 1) / file->group;
        TS_TRY(ts_source_read(file->source, offset + done, numbers, piece));
        TS_TRY(ts_source_read(file->source, offset + count + first * sizeof *scales, scales, (last - first + 1) * sizeof *scales));
        for (size_t i = 0; i < piece; i++)
            values[done + i] = (float)numbers[i] * scales[(done + i) / file->group - first];
        done += piece;
    }
    return TS_OK;
}

ts_status ts_llama2c_read(const ts_llama2c *file, const char *name, uint32_t layer, float *values, size_t count)
{
    tensor_kind kind = TOKENS;
    while (kind < OUTPUT && (kind == TURNS || strcmp(tensors[kind].name, name) != 0))
        kind++;
    if (strcmp(tensors[kind].name, name) != 0 || layer >= layers_of(&file->shape, kind) || count != elements_of(&file->shape, kind))
        return ts_fail(TS_ERROR_INVALID_ARGUMENT, "%s: has no tensor %s of layer %u and %zu elements", file->source->name, name, layer, count);
    uint64_t offset = file->offsets[kind] + layer * bytes_of(file, kind);
    return is_quantized(file, kind) ? read_quantized(file, offset, values, count)
                                    : ts_source_read(file->source, offset, values, count * sizeof *values);
}

/* ---- writing ---- */

/* Groups don't go beyond rows: llama2.c multiplies a group at a time. */
static uint32_t group_of(const ts_llama2c_shape *s)
{
    uint32_t group = MOST_GROUP;
    while (s->width % group != 0 || s->hidden % group != 0)
        group /= 2;
    return group;
}

static void write_header(ts_writer *file, uint32_t version, const ts_llama2c_shape *s)
{
    uint32_t vocabulary = version == 0 && s->untied ? 0 - s->vocabulary : s->vocabulary;
    const uint32_t ints[HEADER_INTS] = {s->width, s->hidden, s->layers, s->heads, s->key_value_heads, vocabulary, s->context};
    static const unsigned char padding[HEADER];
    if (version != 0) {
        ts_writer_u32(file, TS_LLAMA2C_MAGIC);
        ts_writer_u32(file, version);
    }
    for (size_t i = 0; i < HEADER_INTS; i++)
        ts_writer_u32(file, ints[i]);
    if (version != 0) {
        ts_writer_bytes(file, &(unsigned char){!s->untied}, 1);
        if (version == 2)
            ts_writer_u32(file, group_of(s));
        ts_writer_bytes(file, padding, HEADER - (size_t)(8 + LEGACY_HEADER + 1) - (version == 2 ? 4 : 0));
    }
}

/* Cosines of every position and pair, then sines, for readers that don't work them out. */
static void write_turns(ts_writer *file, const ts_llama2c_shape *s)
{
    uint32_t head = s->width / s->heads;
    for (int sine = 0; sine < 2; sine++)
        for (uint32_t position = 0; position < s->context; position++)
            for (uint32_t i = 0; i < head; i += 2) {
                double angle = position * pow(10000, -(double)i / head);
                float value = (float)(sine ? sin(angle) : cos(angle));
                ts_writer_bytes(file, &value, sizeof value);
            }
}

/* Each group's greatest magnitude becomes 127. */
static float scale_of(const float *values, uint32_t group)
{
    float most = 0;
    for (uint32_t i = 0; i < group; i++)
        most = fabsf(values[i]) > most || isnan(values[i]) ? fabsf(values[i]) : most;
    return most / 127;
}

static ts_status write_quantized(ts_writer *file, const float *values, size_t count, uint32_t group, const char *name)
{
    for (size_t at = 0; at < count; at += group) {
        float scale = scale_of(values + at, group);
        int8_t numbers[MOST_GROUP];
        if (!isfinite(scale))
            return ts_fail(TS_ERROR_INVALID_ARGUMENT, "a number of %s is not finite, and has no place in 8 bits", name);
        for (uint32_t i = 0; i < group; i++)
            numbers[i] = (int8_t)(scale > 0 ? fmaxf(-127, fminf(127, rintf(values[at + i] / scale))) : 0);
        ts_writer_bytes(file, numbers, group);
    }
    for (size_t at = 0; at < count; at += group) {
        float scale = scale_of(values + at, group);
        ts_writer_bytes(file, &scale, sizeof scale);
    }
    return TS_OK;
}

ts_status ts_llama2c_write(ts_writer *file, uint32_t version, const ts_llama2c_shape *shape, ts_llama2c_tensor tensor, void *user)
{
    size_t count;
    const tensor_kind *kinds = order_of(version, &count);
    write_header(file, version, shape);
    for (size_t i = 0; i < count; i++) {
        size_t elements = (size_t)elements_of(shape, kinds[i]);
        if (kinds[i] == TURNS)
            write_turns(file, shape);
        for (uint32_t layer = 0; kinds[i] != TURNS && elements > 0 && layer < layers_of(shape, kinds[i]); layer++) {
            const float *values = tensor(user, tensors[kinds[i]].name, layer);
            if (version == 2 && tensors[kinds[i]].matrix)
                TS_TRY(write_quantized(file, values, elements, group_of(shape), tensors[kinds[i]].name));
            else
                ts_writer_bytes(file, values, elements * sizeof *values);
        }
    }
    return TS_OK;
}

/* Reads tape archives: blocks of 512 bytes, a header before every file. */
#include "format/tar.h"

#include "base/base.h"

enum {
    BLOCK = 512,
    MAX_EXTENDED = 1 << 20, /* bytes of a long name or of a pax header, which hold a few names */
    /* where the fields of a header are */
    SIZE_AT = 124,
    SUM_AT = 148,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345
};

struct ts_tar {
    ts_runtime *runtime;  /* borrowed */
    ts_gzip_reader *file; /* borrowed */
    uint64_t left;        /* of the present file */
    uint64_t padding;     /* behind it, up to the next block */
    uint64_t next_size;   /* what a pax header says of the file behind it */
    bool has_size, end;
    ts_bytes name;      /* of the present file */
    ts_bytes next_name; /* what a pax header or a GNU one says of the file behind it; empty: nothing */
    ts_bytes extended;
    unsigned char block[BLOCK];
};

static bool ends_with(const char *text, const char *ending)
{
    size_t size = strlen(text), ending_size = strlen(ending);
    return size >= ending_size && memcmp(text + size - ending_size, ending, ending_size) == 0;
}

bool ts_path_is_tar(const char *path)
{
    return ends_with(path, ".tar") || ends_with(path, ".tar.gz") || ends_with(path, ".tgz");
}

ts_status ts_tar_open(ts_tar **out, ts_runtime *runtime, ts_gzip_reader *file)
{
    ts_tar *tar = ts_allocate(runtime, sizeof *tar);
    if (tar == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    tar->runtime = tar->name.runtime = tar->next_name.runtime = tar->extended.runtime = runtime;
    tar->file = file;
    *out = tar;
    return TS_OK;
}

void ts_tar_close(ts_tar *tar)
{
    if (tar == NULL)
        return;
    ts_bytes_free(&tar->name);
    ts_bytes_free(&tar->next_name);
    ts_bytes_free(&tar->extended);
    ts_release(tar->runtime, tar);
}

static ts_status fail_cut(const ts_tar *tar)
{
    return ts_fail(TS_ERROR_FORMAT, "%s: the archive is cut off", ts_gzip_name(tar->file));
}

/* Reads exactly `size` bytes; *count is less at the end of the file alone. */
static ts_status read_exactly(ts_tar *tar, void *buffer, size_t size, size_t *count)
{
    *count = 0;
    while (*count < size) {
        size_t got;
        TS_TRY(ts_gzip_read(tar->file, (char *)buffer + *count, size - *count, &got));
        if (got == 0)
            break;
        *count += got;
    }
    return TS_OK;
}

static ts_status skip(ts_tar *tar, uint64_t size)
{
    char unused[8192];
    while (size > 0) {
        size_t piece = (size_t)TS_MIN(size, (uint64_t)sizeof unused), count;
        TS_TRY(read_exactly(tar, unused, piece, &count));
        if (count < piece)
            return fail_cut(tar);
        size -= piece;
    }
    return TS_OK;
}

/* ---- headers ---- */

/* A number of a header: octal digits between spaces and NULs, or (its first bit set) a big-endian number. */
static bool read_number(const unsigned char *field, size_t size, uint64_t *value)
{
    size_t at = 0;
    *value = 0;
    if (field[0] & 0x80) {
        for (; at < size; at++) {
            if (*value >> 55)
                return false;
            *value = *value << 8 | (at == 0 ? field[at] & 0x7fu : field[at]);
        }
        return true;
    }
    while (at < size && field[at] == ' ')
        at++;
    for (; at < size && field[at] >= '0' && field[at] <= '7'; at++)
        *value = *value << 3 | (uint64_t)(field[at] - '0'); /* at most 36 bits */
    return at == size || field[at] == ' ' || field[at] == 0;
}

static bool sum_is_right(const unsigned char *block)
{
    uint64_t wanted, sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= SUM_AT && i < SUM_AT + 8 ? ' ' : block[i];
    return read_number(block + SUM_AT, 8, &wanted) && wanted == sum;
}

static bool is_empty(const unsigned char *block)
{
    for (size_t i = 0; i < BLOCK; i++)
        if (block[i] != 0)
            return false;
    return true;
}

static size_t text_size(const unsigned char *field, size_t most)
{
    const void *end = memchr(field, 0, most);
    return end != NULL ? (size_t)((const unsigned char *)end - field) : most;
}

/* The name of the file whose header `block` is, unless a header before it gave a longer one. */
static ts_status take_name(ts_tar *tar)
{
    tar->name.size = 0;
    if (tar->next_name.size > 0) {
        TS_TRY(ts_bytes_add(&tar->name, tar->next_name.data, tar->next_name.size));
    } else {
        const unsigned char *prefix = tar->block + PREFIX_AT;
        size_t size = memcmp(tar->block + MAGIC_AT, "ustar\0", 6) == 0 ? text_size(prefix, 155) : 0;
        if (size > 0)
            TS_TRY(ts_bytes_format(&tar->name, "%.*s/", (int)size, (const char *)prefix));
        TS_TRY(ts_bytes_add(&tar->name, tar->block, text_size(tar->block, 100)));
    }
    tar->next_name.size = 0;
    return TS_OK;
}

/* Takes path and size out of the records of a pax header, each "LENGTH KEY=VALUE\n". */
static ts_status read_records(ts_tar *tar)
{
    const char *at = tar->extended.data, *end = at + tar->extended.size;
    while (at < end && *at != 0) {
        size_t length = 0;
        const char *digit = at;
        for (; digit < end && *digit >= '0' && *digit <= '9' && length < MAX_EXTENDED; digit++)
            length = length * 10 + (size_t)(*digit - '0');
        if (digit == end || *digit != ' ' || length > (size_t)(end - at) || length < (size_t)(digit - at) + 3)
            return ts_fail(TS_ERROR_FORMAT, "%s: the archive has a damaged pax header", ts_gzip_name(tar->file));
        const char *key = digit + 1, *stop = at + length - 1; /* the newline */
        size_t size = (size_t)(stop - key);
        if (size > 5 && memcmp(key, "path=", 5) == 0) {
            tar->next_name.size = 0;
            TS_TRY(ts_bytes_add(&tar->next_name, key + 5, strnlen(key + 5, size - 5)));
        } else if (size > 5 && memcmp(key, "size=", 5) == 0) {
            tar->next_size = 0;
            for (key += 5; key < stop && *key >= '0' && *key <= '9' && tar->next_size < UINT64_MAX / 100; key++)
                tar->next_size = tar->next_size * 10 + (uint64_t)(*key - '0');
            tar->has_size = true;
        }
        at += length;
    }
    return TS_OK;
}

/* A header that is followed by a name or by records for the next one. */
static ts_status read_extended(ts_tar *tar, uint64_t size, char type)
{
    if (size > MAX_EXTENDED)
        return ts_fail(TS_ERROR_LIMIT, "%s: the archive has a name or pax header of %llu bytes, expected at most %d", ts_gzip_name(tar->file),
                       (unsigned long long)size, MAX_EXTENDED);
    size_t count;
    TS_TRY(ts_reserve(tar->runtime, &tar->extended.data, &tar->extended.capacity, (size_t)size + 1, 1));
    TS_TRY(read_exactly(tar, tar->extended.data, (size_t)size, &count));
    if (count < size)
        return fail_cut(tar);
    tar->extended.size = (size_t)size;
    tar->extended.data[size] = 0;
    TS_TRY(skip(tar, (BLOCK - size % BLOCK) % BLOCK));
    if (type == 'x')
        return read_records(tar);
    tar->next_name.size = 0;
    return ts_bytes_add(&tar->next_name, tar->extended.data, strlen(tar->extended.data));
}

/* Reads headers up to the one of something that has a place in the archive; *type is 0 at the end. */
static ts_status next_header(ts_tar *tar, char *type, uint64_t *size)
{
    for (;;) {
        size_t count;
        TS_TRY(read_exactly(tar, tar->block, BLOCK, &count));
        *type = 0;
        if (count == 0 || (count == BLOCK && is_empty(tar->block)))
            return TS_OK; /* one empty block and nothing at all are seen in archives that were written in a hurry */
        if (count < BLOCK)
            return fail_cut(tar);
        if (!sum_is_right(tar->block) || !read_number(tar->block + SIZE_AT, 12, size))
            return ts_fail(TS_ERROR_FORMAT, "%s: is no archive, or a damaged one: a header's sum or size is wrong", ts_gzip_name(tar->file));
        *type = tar->block[TYPE_AT] != 0 ? (char)tar->block[TYPE_AT] : '0';
        if (*type != 'x' && *type != 'L')
            break;
        TS_TRY(read_extended(tar, *size, *type));
    }
    if (tar->has_size)
        *size = tar->next_size;
    tar->has_size = false;
    return *type == 'g' ? TS_OK : take_name(tar);
}

ts_status ts_tar_next(ts_tar *tar, const char **name)
{
    *name = NULL;
    while (!tar->end) {
        char type;
        uint64_t size = 0;
        TS_TRY(skip(tar, tar->left));
        TS_TRY(skip(tar, tar->padding));
        tar->left = tar->padding = 0;
        TS_TRY(next_header(tar, &type, &size));
        if (type == 'S' || type == 'M')
            return ts_fail(TS_ERROR_UNSUPPORTED, "%s: the archive has a sparse or divided file", ts_gzip_name(tar->file));
        tar->end = type == 0;
        if (type >= '1' && type <= '6') /* links, devices, folders: whatever their size field says */
            size = 0;
        tar->left = size;
        tar->padding = (BLOCK - size % BLOCK) % BLOCK;
        if (type == '0' || type == '7') {
            *name = tar->name.data;
            return TS_OK;
        }
    }
    return TS_OK;
}

ts_status ts_tar_read(ts_tar *tar, void *buffer, size_t capacity, size_t *count)
{
    *count = 0;
    if (tar->left == 0)
        return TS_OK;
    TS_TRY(ts_gzip_read(tar->file, buffer, (size_t)TS_MIN((uint64_t)capacity, tar->left), count));
    if (*count == 0)
        return fail_cut(tar);
    tar->left -= *count;
    return TS_OK;
}

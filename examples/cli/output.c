/* Results as lines or as JSON, and the files that they are written to. Numbers have a point in every language, for the program never calls setlocale.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* ---- files, by the rule that the library has for its own (lib/base/writer.c) ---- */

static ts_status fail_to_write(const cli_file *f)
{
    return cli_fail("%s cannot be written: %s", f->path, strerror(errno));
}

/* With the library's name for a temporary and its lock, for it sweeps away those that are left behind; the mode is that of the file whose place it
 * takes. */
static int open_temporary(cli_file *f, const struct stat *old)
{
    const char *slash = strrchr(f->path, '/'), *name = slash != NULL ? slash + 1 : f->path;
    int file = -1;
    for (unsigned n = 0; n < 100 && file < 0 && (n == 0 || errno == EEXIST); n++) {
        snprintf(f->temporary, sizeof f->temporary, "%.*s.%.200s.%ld-%u.tmp", (int)(name - f->path), f->path, name, (long)getpid(), n);
        file = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, old != NULL ? old->st_mode & 0777 : 0666);
    }
    if (file < 0)
        return file;
    (void)flock(file, LOCK_EX | LOCK_NB);
    if (old != NULL)
        (void)!fchmod(file, old->st_mode & 0777); /* what the process masks */
    return file;
}

ts_status cli_file_open(cli_file *f, const char *path)
{
    struct stat old;
    *f = (cli_file){.stream = stdout};
    if (strcmp(path, "-") == 0)
        return TS_OK;
    bool exists = stat(path, &old) == 0;
    if ((!exists || realpath(path, f->path) == NULL) && snprintf(f->path, sizeof f->path, "%s", path) >= (int)sizeof f->path)
        return cli_fail("the path %.200s is too long", path);
    if (exists && !S_ISREG(old.st_mode)) {
        f->stream = fopen(f->path, "w");
        return f->stream != NULL ? TS_OK : fail_to_write(f);
    }
    int file = open_temporary(f, exists ? &old : NULL);
    if (file < 0 || (f->stream = fdopen(file, "w")) == NULL)
        return fail_to_write(f);
    return TS_OK;
}

ts_status cli_file_close(cli_file *f, ts_status status)
{
    if (f->stream == stdout)
        return status;
    errno = EIO; /* of a failure that was before */
    bool good = ferror(f->stream) == 0 && fflush(f->stream) == 0 && (f->temporary[0] == 0 || fsync(fileno(f->stream)) == 0);
    if (!good && status == TS_OK)
        status = fail_to_write(f);
    if (fclose(f->stream) != 0 && status == TS_OK)
        status = fail_to_write(f);
    if (f->temporary[0] != 0 && status == TS_OK && rename(f->temporary, f->path) != 0)
        status = fail_to_write(f);
    if (f->temporary[0] != 0 && status != TS_OK)
        unlink(f->temporary);
    return status;
}

/* ---- results ---- */

/* A line's value stands behind its key, a heading stands alone. */
static void print_key(cli_output *o, const char *key, bool line)
{
    if (o->json) {
        fputs(o->more ? ", " : "", o->file);
        if (key != NULL)
            fprintf(o->file, "\"%s\": ", key);
    } else {
        char label[40];
        snprintf(label, sizeof label, "%*s%s", 2 * o->depth, "", key != NULL ? key : "");
        for (char *at = label; *at != 0; at++)
            *at = *at == '_' ? ' ' : *at;
        fprintf(o->file, "%-*s", line ? 30 : 0, label);
    }
    o->more = true;
}

static void end_line(const cli_output *o)
{
    if (!o->json)
        putc('\n', o->file);
}

cli_output cli_output_start(const cli_common *common)
{
    if (common->json)
        putchar('{');
    return (cli_output){.file = stdout, .json = common->json != 0};
}

cli_output cli_output_to(FILE *file)
{
    putc('{', file);
    return (cli_output){.file = file, .json = true};
}

void cli_output_end(cli_output *o)
{
    if (o->json)
        fputs("}\n", o->file);
}

void cli_open(cli_output *o, const char *key, char bracket)
{
    print_key(o, key, false);
    if (o->json)
        putc(bracket, o->file);
    end_line(o);
    o->more = false;
    o->depth++;
}

void cli_close(cli_output *o, char bracket)
{
    if (o->json)
        putc(bracket, o->file);
    o->more = true;
    o->depth--;
}

/* The bytes of the UTF-8 character that `text` begins with, 0 if it begins with none (overlong forms and surrogates are none). */
static size_t character_size(const unsigned char *text, size_t size)
{
    size_t n = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;
    if (n > size || (n > 1 && ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf0 && text[1] < 0x90) ||
                               (text[0] == 0xf4 && text[1] > 0x8f))))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* C1 controls (U+0080 to U+009F) give orders as those below 0x20 do, and what is no UTF-8 some terminals take for them. */
void cli_print_plain(FILE *file, const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = character_size((const unsigned char *)text + i, size - i);
        if (n == 0 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0))
            fputs("\xef\xbf\xbd", file);
        else
            fwrite(text + i, 1, n, file);
        i += n > 0 ? n : 1;
    }
}

void cli_open_named(cli_output *o, const char *name)
{
    fprintf(o->file, "%*s", 2 * o->depth, "");
    cli_print_plain(o->file, name, strlen(name));
    putc('\n', o->file);
    o->more = false;
    o->depth++;
}

static void print_string(FILE *file, const char *text, size_t size)
{
    putc('"', file);
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = character_size((const unsigned char *)text + i, size - i);
        if (n == 0)
            fputs("\\ufffd", file);
        else if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", file);
        else if (c < 0x20 || c == 0x7f)
            fprintf(file, "\\u%04x", c);
        else
            fwrite(text + i, 1, n, file);
        i += n > 0 ? n : 1;
    }
    putc('"', file);
}

void cli_text_sized(cli_output *o, const char *key, const char *text, size_t size)
{
    print_key(o, key, true);
    if (!o->json)
        cli_print_plain(o->file, text, size);
    else
        print_string(o->file, text, size);
    end_line(o);
}

void cli_text(cli_output *o, const char *key, const char *text)
{
    cli_text_sized(o, key, text, strlen(text));
}

/* For people with a comma every three digits. */
void cli_integer(cli_output *o, const char *key, uint64_t value)
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    print_key(o, key, true);
    for (int i = 0; i < count; i++)
        fprintf(o->file, "%s%c", !o->json && i > 0 && (count - i) % 3 == 0 ? "," : "", digits[i]);
    end_line(o);
}

void cli_number(cli_output *o, const char *key, double value, int decimals)
{
    char digits[400];
    if (!o->json && !isfinite(value))
        return;
    snprintf(digits, sizeof digits, "%.*f", decimals, value);
    for (int precision = 15; o->json && precision <= 17; precision++) { /* the first that reads back as the same number */
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    print_key(o, key, true);
    fputs(isfinite(value) ? digits : "null", o->file);
    end_line(o);
}

void cli_truth(cli_output *o, const char *key, bool value)
{
    print_key(o, key, true);
    fputs(o->json ? (value ? "true" : "false") : (value ? "yes" : "no"), o->file);
    end_line(o);
}

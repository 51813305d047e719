/* Results as lines or as JSON. Numbers have a point in every language, for the program never calls setlocale. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"

static void print_key(cli_output *o, const char *key)
{
    if (o->json) {
        fputs(o->more ? ", " : "", stdout);
        if (key != NULL)
            printf("\"%s\": ", key);
    } else {
        char label[40];
        snprintf(label, sizeof label, "%*s%s", 2 * o->depth, "", key != NULL ? key : "");
        for (char *at = label; *at != 0; at++)
            *at = *at == '_' ? ' ' : *at;
        printf("%-29s ", label);
    }
    o->more = true;
}

static void end_line(const cli_output *o)
{
    if (!o->json)
        putchar('\n');
}

cli_output cli_output_start(const cli_common *common)
{
    if (common->json)
        putchar('{');
    return (cli_output){.json = common->json != 0};
}

void cli_output_end(cli_output *o)
{
    if (o->json)
        puts("}");
}

void cli_open(cli_output *o, const char *key, char bracket)
{
    print_key(o, key);
    if (o->json)
        putchar(bracket);
    end_line(o);
    o->more = false;
    o->depth++;
}

void cli_close(cli_output *o, char bracket)
{
    if (o->json)
        putchar(bracket);
    o->more = true;
    o->depth--;
}

/* The bytes of the UTF-8 character that `text` begins with, 0 if it begins with none (overlong forms and surrogates are none). */
static size_t character_size(const unsigned char *text, size_t size)
{
    static const struct {
        unsigned char first_least, first_most, second_least, second_most, size;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
        {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < CLI_COUNT_OF(forms); i++) {
        size_t n = forms[i].size;
        if (text[0] < forms[i].first_least || text[0] > forms[i].first_most || size < n)
            continue;
        bool good = n == 1 || (text[1] >= forms[i].second_least && text[1] <= forms[i].second_most);
        for (size_t j = 2; j < n; j++)
            good = good && (text[j] & 0xc0) == 0x80;
        return good ? n : 0;
    }
    return 0;
}

static void print_string(const char *text, size_t size)
{
    putchar('"');
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = character_size((const unsigned char *)text + i, size - i);
        if (n == 0)
            fputs("\\ufffd", stdout);
        else if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c == '\n')
            fputs("\\n", stdout);
        else if (c < 0x20 || c == 0x7f)
            printf("\\u%04x", c);
        else
            fwrite(text + i, 1, n, stdout);
        i += n > 0 ? n : 1;
    }
    putchar('"');
}

void cli_text_sized(cli_output *o, const char *key, const char *text, size_t size)
{
    print_key(o, key);
    if (!o->json)
        fwrite(text, 1, size, stdout);
    else
        print_string(text, size);
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
    print_key(o, key);
    for (int i = 0; i < count; i++)
        printf("%s%c", !o->json && i > 0 && (count - i) % 3 == 0 ? "," : "", digits[i]);
    end_line(o);
}

void cli_number(cli_output *o, const char *key, double value, int decimals)
{
    if (!o->json && !isfinite(value))
        return;
    print_key(o, key);
    if (!isfinite(value))
        fputs("null", stdout);
    else if (o->json)
        printf("%.15g", value);
    else
        printf("%.*f", decimals, value);
    end_line(o);
}

void cli_truth(cli_output *o, const char *key, bool value)
{
    print_key(o, key);
    fputs(o->json ? (value ? "true" : "false") : (value ? "yes" : "no"), stdout);
    end_line(o);
}

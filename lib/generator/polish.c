/* The last touch on a story: spaces, capitals, a and an. */
#include "generator/author.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The article itself, not the end of a word. */
static bool is_article(const char *raw, size_t size, size_t i)
{
    return (raw[i] == 'a' || raw[i] == 'A') && i + 2 < size && raw[i + 1] == ' ' && (i == 0 || (!is_letter(raw[i - 1]) && raw[i - 1] != '\''));
}

size_t ts_polish(char *out, size_t capacity, const char *raw, size_t size)
{
    size_t used = 0;
    bool capital = true, quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = raw[i];
        if (used + 4 > capacity)
            return 0;
        if (c == '~') { /* what was said goes on after the quote: "Help!"~ said Tom */
            capital = false;
            continue;
        }
        if (c == ' ' && (used == 0 || out[used - 1] == ' ' || out[used - 1] == '\n' || (quoted && out[used - 1] == '"')))
            continue;
        if (strchr(".,!?\n", c) && used > 0 && out[used - 1] == ' ')
            used--;
        if (c == ',' && used > 0 && strchr("!?", out[used - 1])) /* "Yes!," said Tom */
            continue;
        if (c == '\n' && (used < 2 || out[used - 1] == '\n')) {
            if (used > 1 && out[used - 2] != '\n')
                out[used++] = '\n';
            continue;
        }
        if (c == '"')
            quoted = !quoted;
        bool article = is_article(raw, size, i);
        out[used++] = capital && c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
        if (article) {
            size_t start = i + 2, end;
            while (start < size && raw[start] == ' ')
                start++;
            for (end = start; end < size && is_letter(raw[end]);)
                end++;
            if (ts_takes_an(raw + start, end - start))
                out[used++] = 'n';
        }
        if (strchr(".!?\n", c) || (c == '"' && quoted))
            capital = true;
        else if (is_letter(c) || c == ',')
            capital = false;
    }
    while (used > 0 && (out[used - 1] == '\n' || out[used - 1] == ' '))
        used--;
    out[used] = 0;
    return used;
}

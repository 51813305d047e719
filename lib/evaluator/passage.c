/* A text as words and marks, and what they are. */
#include "evaluator/measures.h"

#include "text/text.h"

static bool is_space(char c)
{
    return strchr(" \t\n\v\f\r", c) != NULL && c != 0;
}

static bool is_ascii_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* A character that is no part of a word; quotation marks of all forms are alike. */
static ts_token mark_at(const char *text, size_t size)
{
    static const char *const quotes[] = {"\xe2\x80\x9c", "\xe2\x80\x9d"};
    uint32_t code;
    size_t length = ts_utf8_decode(text, size, &code);
    for (size_t i = 0; i < TS_COUNT_OF(quotes); i++)
        if (length == 3 && memcmp(text, quotes[i], 3) == 0)
            return (ts_token){.hash = ts_plain_word_hash("\"", 1), .text = "\"", .size = 1};
    return (ts_token){.hash = ts_plain_word_hash(text, length), .text = text, .size = (uint32_t)length};
}

static ts_token token_at(const char **text, size_t *size)
{
    uint32_t code;
    const char *at = *text, *word;
    size_t length = ts_utf8_decode(at, *size, &code), left = *size, word_size;
    ts_class class = ts_unicode_class(code);
    ts_token token;
    if (class == TS_CLASS_LETTER || class == TS_CLASS_NUMBER) {
        ts_plain_word(&at, &left, &word, &word_size);
        length = word_size;
        token = (ts_token){ts_plain_word_hash(word, word_size), word, (uint32_t)word_size, true, is_ascii_capital(*word), false};
    } else {
        token = mark_at(*text, *size);
    }
    *text += length;
    *size -= length;
    return token;
}

ts_status ts_tokens_add(ts_runtime *runtime, ts_token_list *list, const char *text, size_t size)
{
    bool breaks = false;
    while (size > 0) {
        if (is_space(*text)) {
            breaks = breaks || *text == '\n';
            text++;
            size--;
            continue;
        }
        TS_TRY(ts_reserve(runtime, &list->items, &list->capacity, list->count + 1, sizeof *list->items));
        list->items[list->count] = token_at(&text, &size);
        list->items[list->count++].breaks = breaks;
        breaks = false;
    }
    return TS_OK;
}

bool ts_token_is(const ts_token *token, const char *word)
{
    return token->hash == ts_plain_word_hash(word, strlen(word));
}

bool ts_token_is_any(const ts_token *token, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ts_token_is(token, words[i]))
            return true;
    return false;
}

bool ts_token_ends_sentence(const ts_token *token)
{
    return !token->word && token->size == 1 && strchr(".!?", *token->text) != NULL;
}

bool ts_token_is_quote(const ts_token *token)
{
    return !token->word && *token->text == '"';
}

bool ts_tokens_have(const ts_token *tokens, size_t from, size_t to, uint64_t hash)
{
    for (size_t i = from; i < to; i++)
        if (tokens[i].hash == hash)
            return true;
    return false;
}

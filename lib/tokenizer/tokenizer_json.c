/* tokenizer.json of Hugging Face, read and written; vocab.json with merges.txt, read. */
#include "text/text.h"
#include "tokenizer/vocabulary.h"

#define MAX_FILE TS_TOKENIZER_MAX_FILE
#define MAX_VALUES ((size_t)5 * TS_TOKENIZER_MAX_TOKENS) /* a token is one, a merge three */

/* ---- entries of a vocabulary: token -> id in any order ---- */

typedef struct entries {
    ts_runtime *runtime;
    const char **texts; /* by id; NULL: none yet */
    uint8_t *added;     /* 1: an added token, whose text is plain */
    uint32_t count;     /* ids below it may be set */
} entries;

static void free_entries(entries *e)
{
    ts_release(e->runtime, e->texts);
    ts_release(e->runtime, e->added);
}

static ts_status make_entries(entries *e, ts_runtime *runtime, size_t count, const char *name)
{
    *e = (entries){.runtime = runtime, .count = (uint32_t)count};
    if (count == 0 || count > TS_TOKENIZER_MAX_TOKENS)
        return ts_fail(count ? TS_ERROR_LIMIT : TS_ERROR_FORMAT, "%s: has %zu tokens, expected 1 to %d", name, count, TS_TOKENIZER_MAX_TOKENS);
    e->texts = ts_allocate_array(runtime, count, sizeof *e->texts);
    e->added = ts_allocate(runtime, count);
    return e->texts && e->added ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
}

static ts_status set_entry(entries *e, const char *text, const ts_json *id_value, bool added, const char *name)
{
    uint64_t id;
    if (!ts_json_whole(id_value, &id) || id >= e->count)
        return ts_fail(TS_ERROR_FORMAT, "%s: the id of the token \"%.100s\" is no whole number below %u, the number of tokens", name, text, e->count);
    if (added && e->texts[id] != NULL && strcmp(e->texts[id], text) == 0) {
        e->added[id] = 1; /* listed in the vocabulary as well */
        return TS_OK;
    }
    if (e->texts[id] != NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: the id %llu belongs to \"%.100s\" and to \"%.100s\"", name, (unsigned long long)id, e->texts[id], text);
    e->texts[id] = text;
    e->added[id] = added;
    return TS_OK;
}

static uint32_t find_entry(const entries *e, const char *text)
{
    for (uint32_t id = 0; id < e->count; id++)
        if (strcmp(e->texts[id], text) == 0)
            return id;
    return TS_TOKENIZER_NONE;
}

/* A token of SentencePiece; its score comes with the merges. `text` has at most twice as many bytes as a token may have. */
static ts_status add_piece(ts_vocabulary *v, const char *text, size_t size, bool special)
{
    char bytes[2 * TS_TOKENIZER_MAX_TOKEN];
    int byte = special ? -1 : ts_byte_token(text, size);
    if (special)
        return ts_vocabulary_piece(v, text, size, TS_TOKEN_SPECIAL, 0);
    if (byte >= 0)
        return ts_vocabulary_piece(v, &(char){(char)byte}, 1, TS_TOKEN_BYTE, 0);
    ts_marks_take(text, &size, bytes);
    return ts_vocabulary_piece(v, bytes, size, TS_TOKEN_NORMAL, 0);
}

/* All ids are set here, since there are as many entries as ids and none twice. */
static ts_status add_tokens(ts_vocabulary *v, const entries *e, const char *name)
{
    ts_bytes bytes = {.runtime = v->runtime};
    ts_status status = TS_OK;
    for (uint32_t id = 0; id < e->count && status == TS_OK; id++) {
        size_t size = e->texts[id] ? strlen(e->texts[id]) : 0;
        if (e->texts[id] == NULL)
            status = ts_fail(TS_ERROR_FORMAT, "%s: no token has the id %u", name, id);
        else if (size > 2 * TS_TOKENIZER_MAX_TOKEN)
            status = ts_fail(TS_ERROR_LIMIT, "%s: the token %u has %zu characters", name, id, size);
        else if (v->wordpiece)
            status = e->added[id] ? ts_vocabulary_token(v, e->texts[id], size, TS_TOKEN_SPECIAL) : ts_wordpiece_add(v, e->texts[id], size, name);
        else if (v->sentencepiece)
            status = add_piece(v, e->texts[id], size, e->added[id] != 0);
        else if (e->added[id])
            status = ts_vocabulary_token(v, e->texts[id], size, true);
        else if ((status = ts_reserve(v->runtime, &bytes.data, &bytes.capacity, size + 1, 1)) == TS_OK &&
                 (status = ts_alphabet_decode(e->texts[id], size, bytes.data, &size, name)) == TS_OK)
            status = ts_vocabulary_token(v, bytes.data, size, false);
    }
    ts_bytes_free(&bytes);
    return status;
}

/* ---- merges ---- */

/* Merges name tokens by their text; the tokenizer, half made, finds them. */
typedef struct merge_reader {
    ts_tokenizer *tokenizer;
    ts_vocabulary *vocabulary; /* the tokenizer's */
    const char *name;
} merge_reader;

static ts_status find_part(const merge_reader *r, const char *text, size_t size, uint32_t *id)
{
    char bytes[TS_TOKENIZER_MAX_TOKEN];
    size_t count;
    if (size == 0 || size > sizeof bytes)
        return ts_fail(TS_ERROR_FORMAT, "%s: merge %u has a part of %zu characters", r->name, r->vocabulary->merge_count, size);
    count = size;
    if (r->vocabulary->sentencepiece)
        ts_marks_take(text, &count, bytes);
    else
        TS_TRY(ts_alphabet_decode(text, size, bytes, &count, r->name));
    *id = ts_tokenizer_find(r->tokenizer, bytes, count);
    if (*id == TS_TOKENIZER_NONE)
        return ts_fail(TS_ERROR_FORMAT, "%s: merge %u joins \"%.*s\", which is no token", r->name, r->vocabulary->merge_count, (int)TS_MIN(size, 100),
                       text);
    return TS_OK;
}

/* Whether two tokens make the text of a special token or of a byte, which no text becomes; converters list "<" and "s>" all the same. */
static bool gives_no_text(const merge_reader *r, uint32_t left, uint32_t right)
{
    char joined[2 * TS_TOKENIZER_MAX_TOKEN];
    size_t left_size, right_size;
    const char *left_bytes = ts_tokenizer_token(r->tokenizer, left, &left_size), *right_bytes = ts_tokenizer_token(r->tokenizer, right, &right_size);
    memcpy(joined, left_bytes, left_size);
    memcpy(joined + left_size, right_bytes, right_size);
    size_t size = left_size + right_size;
    return ts_byte_token(joined, size) >= 0 || ts_tokenizer_is_special(r->tokenizer, ts_tokenizer_find(r->tokenizer, joined, size));
}

static ts_status add_merge(const merge_reader *r, const char *left, size_t left_size, const char *right, size_t right_size)
{
    uint32_t left_id, right_id;
    TS_TRY(find_part(r, left, left_size, &left_id));
    TS_TRY(find_part(r, right, right_size, &right_id));
    if (r->vocabulary->sentencepiece && gives_no_text(r, left_id, right_id))
        return TS_OK;
    return ts_vocabulary_merge(r->vocabulary, left_id, right_id);
}

/* "left right" */
static ts_status add_merge_line(const merge_reader *r, const char *line, size_t size)
{
    const char *space = memchr(line, ' ', size);
    if (space == NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: merge %u is \"%.*s\", expected two tokens with a space between", r->name, r->vocabulary->merge_count,
                       (int)TS_MIN(size, 100), line);
    return add_merge(r, line, (size_t)(space - line), space + 1, size - (size_t)(space - line) - 1);
}

static ts_status add_json_merges(const merge_reader *r, const ts_json *merges)
{
    if (ts_json_kind_of(merges) != TS_JSON_ARRAY)
        return ts_fail(TS_ERROR_FORMAT, "%s: model.merges is no array", r->name);
    for (const ts_json *merge = ts_json_first(merges); merge != NULL; merge = ts_json_next(merge)) {
        const ts_json *left = ts_json_first(merge), *right = left ? ts_json_next(left) : NULL;
        const char *line = ts_json_text(merge);
        if (line != NULL)
            TS_TRY(add_merge_line(r, line, strlen(line)));
        else if (ts_json_count(merge) == 2 && ts_json_text(left) != NULL && ts_json_text(right) != NULL)
            TS_TRY(add_merge(r, ts_json_text(left), strlen(ts_json_text(left)), ts_json_text(right), strlen(ts_json_text(right))));
        else
            return ts_fail(TS_ERROR_FORMAT, "%s: merge %u is neither a string nor a pair of strings", r->name, r->vocabulary->merge_count);
    }
    return TS_OK;
}

/* ---- tokenizer.json ---- */

/* null, false, 0 and "" switch a setting off. */
static bool is_off(const ts_json *value)
{
    bool on = false;
    double number = 0;
    switch (ts_json_kind_of(value)) {
    case TS_JSON_NULL:
        return true;
    case TS_JSON_BOOL:
        return ts_json_bool(value, &on) && !on;
    case TS_JSON_NUMBER:
        return ts_json_double(value, &number) && number == 0;
    case TS_JSON_STRING:
        return ts_json_text(value)[0] == 0;
    default:
        return false;
    }
}

/* What a tokenizer.json may ask for and we don't do is refused by name. unk_token and fuse_unk are harmless: with all bytes there is nothing unknown.
 * A post_processor adds tokens around a text, which our callers do themselves. */
static ts_status refuse_others(const ts_json *root, const ts_json *model, const char *name)
{
    static const char *const settings[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"};
    const char *type = ts_json_text(ts_json_get(model, "type"));
    if (type != NULL && strcmp(type, "WordPiece") == 0)
        return ts_words_check_json(root, name);
    if (type != NULL && strcmp(type, "BPE") != 0)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: model.type is \"%.60s\", expected \"BPE\" or \"WordPiece\"", name, type);
    for (size_t i = 0; i < TS_COUNT_OF(settings); i++)
        if (!is_off(ts_json_get(model, settings[i])))
            return ts_fail(TS_ERROR_UNSUPPORTED, "%s: model.%s is set, which is neither byte-level BPE nor SentencePiece", name, settings[i]);
    if (!is_off(ts_json_get(model, "byte_fallback")))
        return ts_pieces_check_json(root, name);
    if (!is_off(ts_json_get(root, "normalizer")))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: has a normalizer, which is not byte-level BPE", name);
    const ts_json *decoder = ts_json_get(root, "decoder");
    type = ts_json_text(ts_json_get(decoder, "type"));
    if (!is_off(decoder) && (type == NULL || strcmp(type, "ByteLevel") != 0))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: decoder.type is \"%.60s\", expected \"ByteLevel\"", name, type ? type : "");
    const ts_json *pre = ts_json_get(root, "pre_tokenizer");
    type = ts_json_text(ts_json_get(pre, "type"));
    if (type == NULL || strcmp(type, "ByteLevel") != 0)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: pre_tokenizer.type is \"%.60s\", expected \"ByteLevel\"", name, type ? type : "null");
    bool on;
    if (!ts_json_bool(ts_json_get(pre, "add_prefix_space"), &on) || on)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: pre_tokenizer.add_prefix_space is not false", name);
    if (ts_json_bool(ts_json_get(pre, "use_regex"), &on) && !on)
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: pre_tokenizer.use_regex is false", name);
    return TS_OK;
}

/* Added tokens that are not in the vocabulary bring ids of their own. */
static size_t count_new(const ts_json *added, const ts_json *vocab)
{
    uint64_t known = ts_json_count(vocab), id, new_ids = 0;
    for (const ts_json *token = ts_json_first(added); token != NULL; token = ts_json_next(token))
        new_ids += ts_json_whole(ts_json_get(token, "id"), &id) && id >= known;
    return (size_t)new_ids;
}

/* An added token as it stands, of which white space and neighbours are no part. */
static ts_status add_added(entries *e, const ts_json *token, const char *name)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
    const char *content = ts_json_text(ts_json_get(token, "content"));
    if (content == NULL || content[0] == 0)
        return ts_fail(TS_ERROR_FORMAT, "%s: an added token has no content", name);
    for (size_t i = 0; i < TS_COUNT_OF(flags); i++)
        if (!is_off(ts_json_get(token, flags[i])))
            return ts_fail(TS_ERROR_UNSUPPORTED, "%s: the added token \"%.100s\" has %s set", name, content, flags[i]);
    return set_entry(e, content, ts_json_get(token, "id"), true, name);
}

static ts_status collect(ts_vocabulary *v, entries *e, const ts_json *root, const ts_json *model, const char *name)
{
    const ts_json *vocab = ts_json_get(model, "vocab"), *added = ts_json_get(root, "added_tokens");
    if (ts_json_kind_of(vocab) != TS_JSON_OBJECT)
        return ts_fail(TS_ERROR_FORMAT, "%s: model.vocab is no object", name);
    TS_TRY(make_entries(e, v->runtime, ts_json_count(vocab) + count_new(added, vocab), name));
    for (const ts_json *token = ts_json_first(vocab); token != NULL; token = ts_json_next(token))
        TS_TRY(set_entry(e, ts_json_key(token), token, false, name));
    if (added != NULL && ts_json_kind_of(added) != TS_JSON_ARRAY && ts_json_kind_of(added) != TS_JSON_NULL)
        return ts_fail(TS_ERROR_FORMAT, "%s: added_tokens is no array", name);
    for (const ts_json *token = ts_json_first(added); token != NULL; token = ts_json_next(token))
        TS_TRY(add_added(e, token, name));
    return add_tokens(v, e, name);
}

/* The token that a merge gives. */
static uint32_t result_of(const ts_tokenizer *t, uint32_t rank)
{
    const ts_vocabulary *v = &t->vocabulary;
    char joined[2 * TS_TOKENIZER_MAX_TOKEN];
    size_t left_size, right_size;
    const char *left = ts_vocabulary_bytes(v, v->merges[rank][0], &left_size), *right = ts_vocabulary_bytes(v, v->merges[rank][1], &right_size);
    memcpy(joined, left, left_size);
    memcpy(joined + left_size, right, right_size);
    return ts_tokenizer_find(t, joined, left_size + right_size);
}

/* A token is as good as its first merge is early, those that no merge gives come last. Where merges come in the order of ids, which is how
 * SentencePiece numbers what it trains, the scores are those that it gives: 0, -1, -2 and so on from the first normal token. */
static ts_status score_merges(ts_tokenizer *t, const char *name)
{
    ts_vocabulary *v = &t->vocabulary;
    uint32_t first = 0, last = 0;
    bool in_order = true;
    while (first < v->count && v->kinds[first] != TS_TOKEN_NORMAL)
        first++;
    for (uint32_t id = 0; id < v->count; id++)
        v->scores[id] = v->kinds[id] == TS_TOKEN_NORMAL ? -(float)v->merge_count : 0;
    for (uint32_t rank = 0; rank < v->merge_count; rank++) {
        uint32_t id = result_of(t, rank);
        if (id == TS_TOKENIZER_NONE)
            return ts_fail(TS_ERROR_FORMAT, "%s: merge %u gives no token", name, rank);
        in_order = in_order && id >= last;
        last = id;
        v->scores[id] = TS_MAX(v->scores[id], -(float)rank);
    }
    for (uint32_t id = first; in_order && id < v->count; id++)
        if (v->kinds[id] == TS_TOKEN_NORMAL)
            v->scores[id] = -(float)(id - first);
    return TS_OK;
}

static ts_status read_model(ts_vocabulary *v, const ts_json *root, const char *name)
{
    const ts_json *model = ts_json_get(root, "model");
    entries e = {.runtime = v->runtime};
    if (ts_json_kind_of(model) != TS_JSON_OBJECT)
        return ts_fail(TS_ERROR_FORMAT, "%s: has no model, expected a tokenizer.json", name);
    TS_TRY(refuse_others(root, model, name));
    const char *type = ts_json_text(ts_json_get(model, "type"));
    v->wordpiece = type != NULL && strcmp(type, "WordPiece") == 0;
    v->sentencepiece = !v->wordpiece && !is_off(ts_json_get(model, "byte_fallback"));
    ts_status status = collect(v, &e, root, model, name);
    if (v->wordpiece && status == TS_OK)
        v->unknown = find_entry(&e, ts_json_text(ts_json_get(model, "unk_token")));
    free_entries(&e);
    return status;
}

static ts_status read_merges(ts_tokenizer *t, const ts_json *root, const char *name)
{
    if (t->vocabulary.wordpiece)
        return TS_OK;
    TS_TRY(add_json_merges(&(merge_reader){t, &t->vocabulary, name}, ts_json_get(ts_json_get(root, "model"), "merges")));
    return t->vocabulary.sentencepiece ? score_merges(t, name) : TS_OK;
}

ts_status ts_tokenizer_read_json(ts_tokenizer **out, ts_runtime *runtime, const char *text, size_t size, const char *name)
{
    ts_json *root;
    ts_vocabulary vocabulary;
    ts_tokenizer *t = NULL;
    TS_TRY(ts_json_expected(name));
    TS_TRY(ts_json_parse_many(&root, runtime, text, size, MAX_FILE, MAX_VALUES, name));
    ts_vocabulary_init(&vocabulary, runtime);
    ts_status status = read_model(&vocabulary, root, name);
    if (status == TS_OK)
        status = ts_tokenizer_begin(&t, &vocabulary, name);
    else
        ts_vocabulary_free(&vocabulary);
    if (status == TS_OK)
        status = read_merges(t, root, name);
    ts_json_free(root);
    return t != NULL ? ts_tokenizer_finish(out, t, status, name) : status;
}

/* ---- vocab.json and merges.txt ---- */

static ts_status read_vocab(ts_vocabulary *v, const ts_json *root, const char *name)
{
    static const char marker[] = "<|endoftext|>";
    entries e = {.runtime = v->runtime};
    if (ts_json_kind_of(root) != TS_JSON_OBJECT)
        return ts_fail(TS_ERROR_FORMAT, "%s: is no object of tokens and ids", name);
    ts_status status = make_entries(&e, v->runtime, ts_json_count(root), name);
    for (const ts_json *token = ts_json_first(root); token != NULL && status == TS_OK; token = ts_json_next(token)) {
        bool special = strcmp(ts_json_key(token), marker) == 0; /* these files don't say which tokens are special */
        status = set_entry(&e, ts_json_key(token), token, special, name);
    }
    if (status == TS_OK)
        status = add_tokens(v, &e, name);
    free_entries(&e);
    return status;
}

static ts_status read_merge_lines(const merge_reader *r, const char *text, size_t size)
{
    const char *end = text + size;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
        size_t length = (size_t)(stop - text);
        if (length > 0 && text[length - 1] == '\r')
            length--;
        bool version = r->vocabulary->merge_count == 0 && length >= 8 && memcmp(text, "#version", 8) == 0;
        if (length > 0 && !version)
            TS_TRY(add_merge_line(r, text, length));
        text = stop + 1;
    }
    return TS_OK;
}

ts_status ts_tokenizer_read_pair(ts_tokenizer **out, ts_runtime *runtime, const char *vocabulary_path, const char *merges_path)
{
    char *text = NULL;
    size_t size;
    ts_json *root = NULL;
    ts_tokenizer *t = NULL;
    ts_vocabulary vocabulary;
    TS_TRY(ts_json_expected(vocabulary_path));
    ts_vocabulary_init(&vocabulary, runtime);
    ts_status status = ts_file_read(runtime, vocabulary_path, MAX_FILE, &text, &size);
    if (status == TS_OK)
        status = ts_json_parse_many(&root, runtime, text, size, MAX_FILE, MAX_VALUES, vocabulary_path);
    if (status == TS_OK)
        status = read_vocab(&vocabulary, root, vocabulary_path);
    ts_json_free(root);
    ts_release(runtime, text);
    text = NULL;
    if (status == TS_OK)
        status = ts_tokenizer_begin(&t, &vocabulary, vocabulary_path);
    else
        ts_vocabulary_free(&vocabulary);
    if (status == TS_OK)
        status = ts_file_read(runtime, merges_path, MAX_FILE, &text, &size);
    if (status == TS_OK)
        status = read_merge_lines(&(merge_reader){t, &t->vocabulary, merges_path}, text, size);
    ts_release(runtime, text);
    return t != NULL ? ts_tokenizer_finish(out, t, status, merges_path) : status;
}

/* ---- writing ---- */

static ts_status write_token(ts_bytes *json, ts_bytes *scratch, const ts_vocabulary *v, uint32_t id)
{
    size_t size;
    const char *bytes = ts_vocabulary_bytes(v, id, &size);
    if (v->kinds[id] == TS_TOKEN_SPECIAL)
        return ts_json_string(json, bytes, size);
    scratch->size = 0;
    TS_TRY(ts_alphabet_encode(scratch, bytes, size));
    return ts_json_string(json, scratch->data, scratch->size);
}

ts_status ts_json_write_added(ts_bytes *json, const ts_vocabulary *v)
{
    const char *comma = "";
    TS_TRY(ts_bytes_format(json, "  \"added_tokens\": ["));
    for (uint32_t id = 0; id < v->count; id++) {
        size_t size;
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        if (v->kinds[id] != TS_TOKEN_SPECIAL)
            continue;
        TS_TRY(ts_bytes_format(json, "%s\n    {\"id\": %u, \"content\": ", comma, id));
        TS_TRY(ts_json_string(json, bytes, size));
        TS_TRY(ts_bytes_format(json, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}"));
        comma = ",";
    }
    return ts_bytes_format(json, "\n  ],\n");
}

static ts_status write_all(ts_bytes *json, ts_bytes *scratch, const ts_vocabulary *v)
{
    TS_TRY(ts_bytes_format(json, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n"));
    TS_TRY(ts_json_write_added(json, v));
    TS_TRY(ts_bytes_format(
        json, "  \"normalizer\": null,\n"
              "  \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true},\n"
              "  \"post_processor\": null,\n"
              "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true},\n"));
    TS_TRY(ts_bytes_format(json, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
                                 "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
                                 "    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n    \"vocab\": {"));
    for (uint32_t id = 0; id < v->count; id++) {
        TS_TRY(ts_bytes_format(json, "%s\n      ", id ? "," : ""));
        TS_TRY(write_token(json, scratch, v, id));
        TS_TRY(ts_bytes_format(json, ": %u", id));
    }
    TS_TRY(ts_bytes_format(json, "\n    },\n    \"merges\": ["));
    for (uint32_t rank = 0; rank < v->merge_count; rank++) {
        TS_TRY(ts_bytes_format(json, "%s\n      [", rank ? "," : ""));
        TS_TRY(write_token(json, scratch, v, v->merges[rank][0]));
        TS_TRY(ts_bytes_format(json, ", "));
        TS_TRY(write_token(json, scratch, v, v->merges[rank][1]));
        TS_TRY(ts_bytes_format(json, "]"));
    }
    return ts_bytes_format(json, "\n    ]\n  }\n}\n");
}

ts_status ts_tokenizer_to_json(const ts_tokenizer *tokenizer, ts_bytes *json)
{
    if (tokenizer->vocabulary.sentencepiece)
        return ts_pieces_write_json(json, tokenizer);
    if (tokenizer->vocabulary.wordpiece)
        return ts_words_write_json(json, tokenizer);
    ts_bytes scratch = {.runtime = json->runtime};
    ts_status status = write_all(json, &scratch, &tokenizer->vocabulary);
    ts_bytes_free(&scratch);
    return status;
}

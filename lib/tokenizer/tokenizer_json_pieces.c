/*
 * SentencePiece as Hugging Face's tokenizer.json has it: a BPE with byte fallback whose merges are all ways to make a token of two, the tokens of the
 * best score first, between a normalizer that puts a space before the text and a decoder that takes it off.
 */
#include "format/format.h"
#include "text/text.h"
#include "tokenizer/vocabulary.h"

/* ---- reading: is it that? ---- */

static const char mark[] = "\xe2\x96\x81";

static bool text_is(const ts_json *value, const char *text)
{
    return ts_json_text(value) != NULL && strcmp(ts_json_text(value), text) == 0;
}

static bool type_is(const ts_json *value, const char *type)
{
    return text_is(ts_json_get(value, "type"), type);
}

/* [Prepend mark, Replace " " by mark] */
static bool puts_marks(const ts_json *normalizer)
{
    const ts_json *prepend = ts_json_first(ts_json_get(normalizer, "normalizers")), *replace = prepend ? ts_json_next(prepend) : NULL;
    return type_is(normalizer, "Sequence") && ts_json_count(ts_json_get(normalizer, "normalizers")) == 2 && type_is(prepend, "Prepend") &&
           text_is(ts_json_get(prepend, "prepend"), mark) && type_is(replace, "Replace") &&
           text_is(ts_json_get(ts_json_get(replace, "pattern"), "String"), " ") && text_is(ts_json_get(replace, "content"), mark);
}

/* The newer way to say the same: Metaspace before the first word, without splitting. */
static bool is_metaspace(const ts_json *pre)
{
    bool split = true;
    const ts_json *scheme = ts_json_get(pre, "prepend_scheme");
    return type_is(pre, "Metaspace") && text_is(ts_json_get(pre, "replacement"), mark) && (text_is(scheme, "first") || text_is(scheme, "always")) &&
           ts_json_bool(ts_json_get(pre, "split"), &split) && !split;
}

static bool has_byte_fallback(const ts_json *decoder)
{
    for (const ts_json *one = ts_json_first(ts_json_get(decoder, "decoders")); one != NULL; one = ts_json_next(one))
        if (type_is(one, "ByteFallback"))
            return type_is(decoder, "Sequence");
    return false;
}

ts_status ts_pieces_check_json(const ts_json *root, const char *name)
{
    const ts_json *normalizer = ts_json_get(root, "normalizer"), *pre = ts_json_get(root, "pre_tokenizer");
    bool marks = puts_marks(normalizer) && ts_json_kind_of(pre) == TS_JSON_NULL;
    bool metaspace = ts_json_kind_of(normalizer) == TS_JSON_NULL && is_metaspace(pre);
    if (!marks && !metaspace)
        return ts_fail(TS_ERROR_UNSUPPORTED,
                       "%s: model.byte_fallback is set; then the normalizer must put U+2581 for spaces and before the text (or a Metaspace without "
                       "split do so), "
                       "and nothing else",
                       name);
    if (!has_byte_fallback(ts_json_get(root, "decoder")))
        return ts_fail(TS_ERROR_UNSUPPORTED, "%s: model.byte_fallback is set, but the decoder has no ByteFallback", name);
    return TS_OK;
}

/* ---- writing ---- */

/* A way to make a token of two. */
typedef struct way {
    uint32_t left, right;
    uint32_t result;
    float score;
} way;

/* The best score first; then in the order of ids, as Hugging Face's converter does. */
static int compare_ways(const void *a, const void *b)
{
    const way *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    const uint32_t left[] = {x->result, x->left, x->right}, right[] = {y->result, y->left, y->right};
    for (size_t i = 0; i < TS_COUNT_OF(left); i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return 0;
}

typedef struct ways {
    way *all;
    size_t count, capacity;
} ways;

static ts_status find_ways(ways *found, const ts_tokenizer *index, const ts_vocabulary *v)
{
    for (uint32_t id = 0; id < v->count; id++) {
        size_t size;
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        for (size_t cut = 1; cut < size && v->kinds[id] == TS_TOKEN_NORMAL; cut++) {
            uint32_t left = ts_tokenizer_find(index, bytes, cut), right = ts_tokenizer_find(index, bytes + cut, size - cut);
            if (left == TS_TOKENIZER_NONE || right == TS_TOKENIZER_NONE || v->kinds[left] != TS_TOKEN_NORMAL || v->kinds[right] != TS_TOKEN_NORMAL)
                continue;
            TS_TRY(ts_reserve(v->runtime, &found->all, &found->capacity, found->count + 1, sizeof *found->all));
            found->all[found->count++] = (way){left, right, id, v->scores[id]};
        }
    }
    return TS_OK;
}

static ts_status write_piece(ts_bytes *json, ts_bytes *scratch, const ts_vocabulary *v, uint32_t id)
{
    size_t size;
    const char *bytes = ts_vocabulary_bytes(v, id, &size);
    scratch->size = 0;
    if (v->kinds[id] == TS_TOKEN_NORMAL)
        TS_TRY(ts_marks_put(scratch, bytes, size));
    else if (v->kinds[id] == TS_TOKEN_BYTE)
        TS_TRY(ts_bytes_format(scratch, "<0x%02X>", (unsigned char)bytes[0]));
    else
        TS_TRY(ts_bytes_add(scratch, bytes, size));
    return ts_json_string(json, scratch->data, scratch->size);
}

static ts_status write_merge(ts_bytes *json, ts_bytes *scratch, const ts_vocabulary *v, uint32_t left, uint32_t right, bool first)
{
    TS_TRY(ts_bytes_format(json, "%s\n      [", first ? "" : ","));
    TS_TRY(write_piece(json, scratch, v, left));
    TS_TRY(ts_bytes_format(json, ", "));
    TS_TRY(write_piece(json, scratch, v, right));
    return ts_bytes_format(json, "]");
}

/* Those of the file that it comes from, else all ways. */
static ts_status write_merges(ts_bytes *json, ts_bytes *scratch, const ts_vocabulary *v, const ways *found)
{
    for (uint32_t rank = 0; rank < v->merge_count; rank++)
        TS_TRY(write_merge(json, scratch, v, v->merges[rank][0], v->merges[rank][1], rank == 0));
    if (v->merge_count > 0 || found->count == 0)
        return TS_OK;
    const void **sorted = ts_allocate_array(v->runtime, found->count, sizeof *sorted);
    ts_status status = sorted ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; status == TS_OK && i < found->count; i++)
        sorted[i] = &found->all[i];
    if (status == TS_OK)
        ts_order_sort(sorted, found->count, compare_ways);
    for (size_t i = 0; status == TS_OK && i < found->count; i++) {
        const way *w = sorted[i];
        status = write_merge(json, scratch, v, w->left, w->right, i == 0);
    }
    ts_release(v->runtime, sorted);
    return status;
}

static ts_status write_all(ts_bytes *json, ts_bytes *scratch, const ts_vocabulary *v, const ways *found)
{
    TS_TRY(ts_bytes_format(json, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n"));
    TS_TRY(ts_json_write_added(json, v));
    TS_TRY(ts_bytes_format(
        json,
        "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\": \"%s\"}, "
        "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"%s\"}]},\n"
        "  \"pre_tokenizer\": null,\n  \"post_processor\": null,\n"
        "  \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"%s\"}, \"content\": \" \"}, "
        "{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}, {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}]},\n",
        mark, mark, mark));
    TS_TRY(ts_bytes_format(json, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
                                 "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": true,\n"
                                 "    \"byte_fallback\": true,\n    \"ignore_merges\": false,\n    \"vocab\": {"));
    for (uint32_t id = 0; id < v->count; id++) {
        TS_TRY(ts_bytes_format(json, "%s\n      ", id ? "," : ""));
        TS_TRY(write_piece(json, scratch, v, id));
        TS_TRY(ts_bytes_format(json, ": %u", id));
    }
    TS_TRY(ts_bytes_format(json, "\n    },\n    \"merges\": ["));
    TS_TRY(write_merges(json, scratch, v, found));
    return ts_bytes_format(json, "\n    ]\n  }\n}\n");
}

ts_status ts_pieces_write_json(ts_bytes *json, const ts_tokenizer *tokenizer)
{
    const ts_vocabulary *v = &tokenizer->vocabulary;
    ts_bytes scratch = {.runtime = v->runtime};
    ways found = {.count = 0};
    ts_status status = v->merge_count == 0 ? find_ways(&found, tokenizer, v) : TS_OK;
    if (status == TS_OK)
        status = write_all(json, &scratch, v, &found);
    ts_release(v->runtime, found.all);
    ts_bytes_free(&scratch);
    return status;
}

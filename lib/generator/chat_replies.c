/* Replies: divided into stories, described for the journal, and read back from it. */
#define _GNU_SOURCE
#include "generator/chat_replies.h"

#include "format/stories.h"
#include "generator/unfit.h"
#include "text/text.h"

#include <stdlib.h>

/* ---- stories ---- */

/* Whether a line divides two stories: three or more of the divider's sign and nothing else, or the marker that divides them in files. */
static bool is_divider(const char *line, size_t size)
{
    ts_trim(&line, &size);
    if (size == sizeof TS_STORIES_MARKER - 1 && memcmp(line, TS_STORIES_MARKER, size) == 0)
        return true;
    for (size_t i = 0; i < size; i++)
        if (line[i] != TS_PROMPT_DIVIDER[0])
            return false;
    return size >= 3;
}

/* Takes the next story of a reply of several, trimmed; one of no size at its end. */
static ts_piece next_piece(const char **text, size_t *left)
{
    ts_piece piece;
    do {
        const char *start = *text, *end = start + *left, *line = start, *after = end;
        for (; line < end; line = after) {
            const char *newline = memchr(line, '\n', (size_t)(end - line));
            after = newline ? newline + 1 : end;
            if (is_divider(line, (size_t)(after - line)))
                break;
        }
        piece = (ts_piece){start, (size_t)(line - start)};
        *text = line < end ? after : end;
        *left = (size_t)(end - *text);
        ts_trim(&piece.text, &piece.size);
    } while (piece.size == 0 && *left > 0);
    return piece;
}

/* A model that writes the marker between stories itself has begun another one: the first is the story. */
static ts_piece cut_at_marker(ts_piece piece)
{
    static const size_t marker = sizeof TS_STORIES_MARKER - 1;
    ts_trim(&piece.text, &piece.size);
    while (piece.size >= marker && memcmp(piece.text, TS_STORIES_MARKER, marker) == 0) {
        piece.text += marker;
        piece.size -= marker;
        ts_trim(&piece.text, &piece.size);
    }
    const char *end = memmem(piece.text, piece.size, TS_STORIES_MARKER, marker);
    if (end)
        piece.size = (size_t)(end - piece.text);
    ts_trim(&piece.text, &piece.size);
    return piece;
}

void ts_pieces_find(ts_piece *pieces, size_t count, const char *text, size_t size)
{
    if (count == 1)
        pieces[0] = cut_at_marker((ts_piece){text, size});
    else
        for (size_t i = 0; i < count; i++)
            pieces[i] = next_piece(&text, &size);
}

/* ---- what the journal keeps ---- */

static const char *const reasons[] = {"words", "language", "missing"}; /* TS_UNFIT_ bits in their order */

/* An array of the names whose bits are set; NULL ends the names. */
static ts_status write_names(ts_bytes *object, uint32_t bits, const char *(*name)(uint32_t bit))
{
    const char *comma = "";
    TS_TRY(ts_bytes_add(object, "[", 1));
    for (uint32_t bit = 1; name(bit); bit <<= 1) {
        if (!(bits & bit))
            continue;
        TS_TRY(ts_bytes_format(object, "%s\"%s\"", comma, name(bit)));
        comma = ",";
    }
    return ts_bytes_add(object, "]", 1);
}

/* The bits that an array of names stands for. */
static uint32_t read_names(const ts_json *array, const char *(*name)(uint32_t bit))
{
    uint32_t bits = 0;
    for (const ts_json *value = ts_json_first(array); value; value = ts_json_next(value))
        for (uint32_t bit = 1; ts_json_text(value) && name(bit); bit <<= 1)
            bits |= strcmp(ts_json_text(value), name(bit)) == 0 ? bit : 0;
    return bits;
}

static const char *reason_name(uint32_t bit)
{
    for (size_t i = 0; i < TS_COUNT_OF(reasons); i++)
        if (bit == 1u << i)
            return reasons[i];
    return NULL;
}

static ts_status describe_story(ts_bytes *object, const ts_prompt *prompt, const ts_asked *asked, uint32_t unfit)
{
    const ts_drawn *drawn = asked->drawn;
    for (size_t i = 0; i < TS_DRAWN_COUNT; i++) {
        TS_TRY(ts_bytes_format(object, "%s", i == 0 ? "{\"words\":[" : ","));
        TS_TRY(ts_json_string(object, drawn->words[i]->base, strlen(drawn->words[i]->base)));
    }
    TS_TRY(ts_bytes_format(object, "],\"features\":"));
    TS_TRY(write_names(object, drawn->features, ts_feature_name));
    TS_TRY(ts_bytes_format(object, ",\"drawn\":"));
    TS_TRY(ts_prompt_describe(prompt, asked, object));
    if (unfit != 0) {
        TS_TRY(ts_bytes_format(object, ",\"unfit\":"));
        TS_TRY(write_names(object, unfit, reason_name));
    }
    return ts_bytes_add(object, "}", 1);
}

ts_status ts_reply_describe(ts_bytes *object, const ts_prompt *prompt, const char *source, const ts_asked *asked, size_t count,
                            const ts_piece *pieces, uint32_t *unfit)
{
    TS_TRY(ts_bytes_format(object, "{\"source\":"));
    TS_TRY(ts_json_string(object, source, strlen(source)));
    TS_TRY(ts_bytes_format(object, ",\"seed\":\"%llu\",\"stories\":[", (unsigned long long)asked->seed)); /* a string: JSON's numbers have 53 bits */
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = !pieces ? 0 : pieces[i].size == 0 ? TS_UNFIT_MISSING : ts_story_unfit(asked[i].drawn, pieces[i].text, pieces[i].size);
        *unfit += bits != 0;
        TS_TRY(ts_bytes_add(object, ",", i > 0));
        TS_TRY(describe_story(object, prompt, &asked[i], bits));
    }
    return ts_bytes_add(object, "]}", 2);
}

/* ---- records ---- */

ts_status ts_reply_open(ts_reply *reply, ts_json *line, const char *about)
{
    const char *text = ts_json_text(ts_json_get(line, "text"));
    const ts_json *kept = ts_json_get(line, "about");
    ts_reply_close(reply);
    reply->line = line;
    if (!kept && about) {
        TS_TRY(ts_json_parse(&reply->about, reply->runtime, about, strlen(about), 0, "what a call is about"));
        kept = reply->about;
    }
    reply->stories = ts_json_get(kept, "stories");
    reply->count = TS_MIN(TS_MAX(ts_json_count(reply->stories), (size_t)1), (size_t)TS_MOST_A_CALL);
    ts_pieces_find(reply->pieces, reply->count, text ? text : "", text ? strlen(text) : 0);
    return TS_OK;
}

void ts_reply_close(ts_reply *reply)
{
    ts_json_free(reply->line);
    ts_json_free(reply->about);
    ts_bytes_free(&reply->story);
    ts_bytes_free(&reply->drawn);
    ts_bytes_free(&reply->provenance);
    reply->line = reply->about = NULL;
    reply->count = 0;
}

static const ts_json *element(const ts_json *array, size_t place)
{
    const ts_json *value = ts_json_first(array);
    for (; value && place > 0; place--)
        value = ts_json_next(value);
    return value;
}

uint32_t ts_reply_unfit(const ts_reply *reply, size_t place)
{
    if (place >= reply->count || reply->pieces[place].size == 0)
        return TS_UNFIT_MISSING;
    return read_names(ts_json_get(element(reply->stories, place), "unfit"), reason_name) & ~(uint32_t)TS_UNFIT_MISSING;
}

/* {"model": ..., "system_fingerprint": ..., "prompt": ..., "prompt_tokens": ..., "completion_tokens": ...}, as far as the line has them. */
static ts_status write_provenance(ts_bytes *out, const ts_json *line)
{
    static const char *const names[] = {"model", "system_fingerprint", "prompt", "prompt_tokens", "completion_tokens"};
    const char *comma = "";
    TS_TRY(ts_bytes_add(out, "{", 1));
    for (size_t i = 0; i < TS_COUNT_OF(names); i++) {
        const ts_json *value = ts_json_get(line, names[i]);
        if (!value)
            continue;
        TS_TRY(ts_bytes_format(out, "%s\"%s\": ", comma, names[i]));
        TS_TRY(ts_json_write(out, value));
        comma = ", ";
    }
    return ts_bytes_add(out, "}", 1);
}

ts_status ts_reply_story(ts_reply *reply, size_t place, ts_story *story)
{
    const ts_json *kept = ts_json_get(reply->line, "about") ? ts_json_get(reply->line, "about") : reply->about, *one = element(reply->stories, place);
    const ts_json *drawn = ts_json_get(one, "drawn");
    const char *source = ts_json_text(ts_json_get(kept, "source")), *seed = ts_json_text(ts_json_get(kept, "seed"));
    reply->story.size = reply->drawn.size = reply->provenance.size = 0;
    TS_TRY(ts_bytes_add(&reply->story, reply->pieces[place].text, reply->pieces[place].size));
    TS_TRY(drawn ? ts_json_write(&reply->drawn, drawn) : ts_bytes_add(&reply->drawn, "", 0));
    TS_TRY(write_provenance(&reply->provenance, reply->line));
    *story = (ts_story){.struct_size = sizeof *story,
                        .story = reply->story.data,
                        .story_size = reply->story.size,
                        .summary = "",
                        .source = source ? source : "",
                        .seed = seed ? strtoull(seed, NULL, 10) : 0,
                        .features = read_names(ts_json_get(one, "features"), ts_feature_name),
                        .drawn = reply->drawn.size ? reply->drawn.data : "",
                        .provenance = reply->provenance.data,
                        .unfit = ts_reply_unfit(reply, place)};
    for (size_t i = 0; i < TS_COUNT_OF(story->words); i++) {
        const char *word = ts_json_text(element(ts_json_get(one, "words"), i));
        story->words[i] = word ? word : "";
    }
    return TS_OK;
}

/*
 * Files of stories: .txt, .jsonl, .json (an array), each also with .gz; archives of them (.tar, .tar.gz, .tgz); "-" is standard input (as .txt).
 *
 * Text is divided into stories at every `<|endoftext|>`, wherever it stands; each story is trimmed of ASCII white space (space, \t, \n, \v, \f, \r)
 * and empty ones are dropped. A .txt file without a marker is one story. A line of .jsonl is an object whose string field `story` or else `text` is
 * divided in the same way; lines of nothing but white space are skipped. A .json is one array of such objects, or of strings, as the shards of the original
 * release are; it is read element by element. Of an archive the members that are called .txt, .jsonl or .json are read in their order, unless they are
 * hidden. The end of a file always ends a story. A byte order mark at a file's start is dropped.
 */
#ifndef TS_STORIES_H
#define TS_STORIES_H

#include "base/base.h"

#define TS_STORIES_MARKER "<|endoftext|>"

enum {
    TS_STORIES_MAX_STORY = 64 << 20 /* bytes of one story, and of one line of .jsonl or element of .json */
};

/* ---- reading ---- */

typedef struct ts_stories ts_stories;

/* The paths are copied. Every file is opened once, so that one that is missing is told before any work (IO, UNSUPPORTED), then read in turn.
 * INVALID_ARGUMENT: no path, or one that is NULL. */
ts_status ts_stories_open(ts_stories **out, ts_runtime *runtime, const char *const *paths, size_t count);
void ts_stories_close(ts_stories *stories);

/*
 * The next story of all files in turn, borrowed until the next call, no NUL after it; *text is NULL at the end. Memory grows to the longest story (or
 * line) alone. FORMAT names file and line; LIMIT: a story above 64 MiB; UNSUPPORTED: .gz or .jsonl in a build without them.
 * After a failure every call fails.
 */
ts_status ts_stories_next(ts_stories *stories, const char **text, size_t *size);

struct ts_json;
/* The object that the story came from, of .jsonl and .json, borrowed until the next call; NULL for a story of a text. */
const struct ts_json *ts_stories_record(const ts_stories *stories);

/* The same as a ts_next_text, `user` being the ts_stories: nonzero after a failure. */
int32_t ts_stories_pull(void *user, const char **text, size_t *size);
/* What ts_stories_next last answered; a failure's detail is set anew. For the caller of a function that pulled and answered CANCELLED. */
ts_status ts_stories_status(const ts_stories *stories);

/* Bytes of the files (compressed ones if they are) that were read so far, and of all files; 0 when that is not known. For progress. */
uint64_t ts_stories_position(const ts_stories *stories);
uint64_t ts_stories_total(const ts_stories *stories);

/* Whether all was read, and there was no story. */
bool ts_stories_none(const ts_stories *stories);

/* A failure of files of stories as a whole: "FILE: what", or "FILE and 2 more: what". */
ts_status ts_stories_fail(ts_status status, const char *const *paths, size_t count, const char *format, ...) TS_PRINTF(4, 5);

/* Whether a path is a .jsonl or .jsonl.gz; and whether it is a token shard (.bin or .u16). */
bool ts_path_is_jsonl(const char *path);
bool ts_path_is_shard(const char *path);

/* ---- writing ---- */

typedef struct ts_story_writer ts_story_writer;

/* "-": standard output, as .txt. INVALID_ARGUMENT: an ending other than .txt and .jsonl, each also with .gz; a name without one is .txt. The file is replaced as a whole by ts_story_writer_commit. */
ts_status ts_story_writer_open(ts_story_writer **out, ts_runtime *runtime, const char *path);
/* Whether it takes lines of JSON instead of text. */
bool ts_story_writer_is_jsonl(const ts_story_writer *writer);
/* One story's text, or its line of JSON without the newline (which may not hold one: INVALID_ARGUMENT). Errors are sticky: ts_story_writer_commit
 * tells. */
void ts_story_writer_add(ts_story_writer *writer, const char *text, size_t size);
/* What went wrong so far, for who would write for long: TS_OK, or what commit will answer. */
ts_status ts_story_writer_status(const ts_story_writer *writer);
/* Both end the writer. NULL is fine for abandon. */
ts_status ts_story_writer_commit(ts_story_writer *writer);
void ts_story_writer_abandon(ts_story_writer *writer);

#endif

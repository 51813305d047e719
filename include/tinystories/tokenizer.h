/*
 * Tokenizers: text to token ids and back.
 *
 * A tokenizer that is trained here is byte-level BPE as GPT-2 defined it (Radford et al. 2019): text is cut into words by a fixed rule, a word's bytes
 * are joined by the merges in their order of rank, and every byte is a token, so that any bytes at all can be encoded and decoding gives back the very
 * same bytes. Those of llama2.c and of Llama are SentencePiece BPE (Kudo and Richardson 2018): a space is put before the text, its characters are joined
 * by the scores of the tokens that they become, and a character without a token becomes the tokens of its bytes. Those of the SimpleStories models are
 * WordPiece (Schuster and Nakajima 2012) on small letters: a word becomes the longest tokens that it begins with, or one token for unknown words; white
 * space and capitals are lost, so that decoding gives a text that reads alike. Tokens of the last two that begin a word have a space before them.
 * A tokenizer never changes once made; any number of threads may use one at once. Ids are 0 .. ts_tokenizer_size() - 1.
 *
 * The word rule is that of GPT-2: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`; invalid UTF-8 counts as "neither letter,
 * number nor space".
 */
#ifndef TINYSTORIES_TOKENIZER_H
#define TINYSTORIES_TOKENIZER_H

#include "tinystories/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ts_tokenizer ts_tokenizer;

/* "no such token" wherever an id is returned */
#define TS_TOKENIZER_NONE UINT32_MAX

/*
 * Opens a tokenizer: a Hugging Face tokenizer.json with a byte-level BPE, with a SentencePiece BPE as converters write it (byte_fallback), or with a
 * WordPiece as the SimpleStories models have it (normalizer Lowercase and quotation marks; Whitespace, Punctuation, Digits; ASCII tokens); a folder
 * that holds tokenizer.json, or vocab.json (encoder.json) and merges.txt (vocab.bpe); a GGUF model file, whose tokenizer is taken; a tokenizer.bin of
 * llama2.c (SentencePiece); or a rank file of tiktoken, `base64 rank` a line, whose ranks go up from 0 (as those of r50k_base.tiktoken do,
 * which is GPT-2's): it names no special tokens, `<|endoftext|>` is the one id that has no line, else the id behind all ranks.
 * IO: cannot be read. FORMAT: damaged. UNSUPPORTED: a kind of tokenizer that is none of them, named in the detail; ranks for words
 * by another rule than GPT-2's; or JSON in a build without it. LIMIT: more than 2^20 tokens, a token above 4 KiB, a file above 64 MiB.
 */
TS_API ts_status ts_tokenizer_open(ts_tokenizer **out, ts_runtime *runtime, const char *path);

/* The same from the text of a tokenizer.json or of a rank file in memory, which is not needed after the call. */
TS_API ts_status ts_tokenizer_open_memory(ts_tokenizer **out, ts_runtime *runtime, const void *json, size_t size);

TS_API void ts_tokenizer_free(ts_tokenizer *tokenizer);

/*
 * Writes a tokenizer in the format that the path says; what the format cannot hold is UNSUPPORTED, named in the detail:
 *   a folder that is there: vocab.json and merges.txt, for a byte-level BPE whose only special token, if any, is `<|endoftext|>`;
 *   NAME.bin: a tokenizer.bin of llama2.c, for SentencePiece alone;
 *   NAME.tiktoken: a rank file of tiktoken, for a byte-level BPE whose ids come in the order of merges, with one special token,
 *   `<|endoftext|>`;
 *   NAME.gguf: a GGUF file of the vocabulary alone;
 *   NAME.json, and a name without an ending: a tokenizer.json that Hugging Face tokenizers reads. Scores become an order of merges there: tokens of
 *   equal scores are ordered by id.
 * INVALID_ARGUMENT: another ending.
 * None of them but a GGUF holds which tokens a model's file named as beginning and end of text: opened again, the end is `<|endoftext|>`, or what the kind of
 * tokenizer has. Every file is replaced as a whole: after a failure the old one is still there.
 */
TS_API ts_status ts_tokenizer_save(const ts_tokenizer *tokenizer, const char *path);

/* ---- training ---- */

typedef struct ts_tokenizer_train_options {
    size_t struct_size;
    ts_progress progress;      /* units: bytes of text read (total 0), then merges made; may be NULL */
    void *progress_user;
    uint64_t max_words;        /* distinct words held at once, 1,024 to 2^30; default 2^24; beyond it the rarest are forgotten, which is logged as a warning */
    uint32_t vocabulary_size;  /* tokens in all, bytes and end-of-text included: 257 to 2^20; default 4,096 */
    uint32_t min_frequency;    /* a pair must occur this often to be merged; at least 1; default 2 */
} ts_tokenizer_train_options;

TS_API ts_status ts_tokenizer_train_options_init(ts_tokenizer_train_options *options, size_t struct_size);

/*
 * Trains a byte-level BPE. Id 0 is `<|endoftext|>`, ids 1 to 256 are the bytes in GPT-2's order ('!' to '~' first), merges follow. The most frequent pair
 * of adjacent tokens is merged first; among equally frequent ones the pair that is greater as (bytes of the left token, bytes of the right token).
 * Counts are 64-bit, and the result does not depend on the number of threads. Memory grows with the distinct words, not with the text.
 * When no pair is frequent enough the vocabulary stays smaller, which is logged as a warning.
 * INVALID_ARGUMENT: no text at all, an option out of its range.
 */
TS_API ts_status ts_tokenizer_train(ts_tokenizer **out, ts_runtime *runtime, ts_next_text next, void *user, const ts_tokenizer_train_options *options);

/*
 * The same from files of stories: .txt, .jsonl, .json (an array), each also as .gz; archives of them (.tar, .tar.gz, .tgz); "-" is standard input, as
 * .txt. Text is divided into stories at every `<|endoftext|>`, wherever it stands; each story
 * is trimmed of ASCII white space and empty ones are dropped. Without a marker a .txt file is one story; a line of .jsonl gives its
 * field `story` or `text`. This is how every call of the library reads files of stories. The files are opened first, so that one that is missing is
 * told before any work. INVALID_ARGUMENT: no path, a path that is NULL, no story at all; IO, FORMAT and LIMIT name file and line; UNSUPPORTED: .gz or
 * JSON in a build without them. LIMIT: a story, or a line of .jsonl, above 64 MiB.
 */
TS_API ts_status ts_tokenizer_train_files(ts_tokenizer **out, ts_runtime *runtime, const char *const *paths, size_t path_count,
                                          const ts_tokenizer_train_options *options);

/*
 * Makes a smaller tokenizer of the `size` tokens that the files use most, as the paper keeps the top 10,000 of GPT-Neo's. All bytes, specials and the
 * merge ancestors of every kept token are kept and count; kept tokens get dense ids in their old order; beginning and end of text stay what they were. Ties:
 * the lower old id is kept.
 * INVALID_ARGUMENT: a size below bytes + specials or above the tokenizer's own, no story at all. UNSUPPORTED: a SentencePiece or WordPiece tokenizer,
 * which has no merges.
 */
TS_API ts_status ts_tokenizer_prune_files(ts_tokenizer **out, const ts_tokenizer *tokenizer, uint32_t size, const char *const *paths, size_t path_count);

/* ---- encoding and decoding ---- */

enum {
    TS_ENCODE_SPECIALS = 1 /* flag: the text of a special token in the input becomes that token. Never use it for text that you did not write. */
};

/*
 * Encodes `size` bytes of text. `ids` takes the first `capacity` ids and *count is set to the number of all; when they do not fit the status is
 * BUFFER_TOO_SMALL. `size` + 1 ids are always enough, for byte-level BPE `size`. Time grows as n log n at worst; as n for a byte-level BPE whose merges join
 * what earlier merges made, which is how training gives them. No end-of-text is added.
 * flags: 0 or TS_ENCODE_SPECIALS. LIMIT: a text above 1 GiB.
 */
TS_API ts_status ts_tokenizer_encode(const ts_tokenizer *tokenizer, const char *text, size_t size, uint32_t flags, uint32_t *ids, size_t capacity,
                                     size_t *count);

/*
 * Decodes ids into bytes, a terminating NUL after them: `capacity` must be at least the size + 1. *size (without the NUL) is set also for
 * BUFFER_TOO_SMALL. Special tokens give their text. The space that SentencePiece puts before a text is taken off the first token and off one that
 * follows the beginning of a text. The bytes need not be whole characters. INVALID_ARGUMENT: an id that is none.
 */
TS_API ts_status ts_tokenizer_decode(const ts_tokenizer *tokenizer, const uint32_t *ids, size_t count, char *text, size_t capacity, size_t *size);

/* The bytes of a character whose end has not come yet, and what the last token was. All zero before the first token. Belongs to the caller. */
typedef struct ts_decode_stream {
    uint8_t bytes[4];
    uint32_t count;
} ts_decode_stream;

/*
 * Decodes one more token of a stream into whole UTF-8 characters: an unfinished character is held back in `stream` until its last byte comes, and
 * bytes that cannot become a character become U+FFFD. Writes a NUL after the text. Space that is always enough: 3 * (size of the token + 3) + 1.
 * A zeroed stream stands within a text; the space that SentencePiece puts before a text is taken off the token that follows the beginning of a text.
 * BUFFER_TOO_SMALL leaves the stream as it was. With id TS_TOKENIZER_NONE it ends the stream and gives what was held back as U+FFFD.
 */
TS_API ts_status ts_tokenizer_decode_next(const ts_tokenizer *tokenizer, ts_decode_stream *stream, uint32_t id, char *text, size_t capacity, size_t *size);

/* ---- what is in it ---- */

TS_API uint32_t ts_tokenizer_size(const ts_tokenizer *tokenizer);

/* Of ts_tokenizer_kind. */
enum {
    TS_TOKENIZER_BYTES = 1,  /* a byte-level BPE, by GPT-2's rule of words */
    TS_TOKENIZER_PIECES = 2, /* SentencePiece's BPE: scores, or merges of characters */
    TS_TOKENIZER_WORDS = 3   /* WordPiece */
};

/* TS_TOKENIZER_; 0 for NULL. */
TS_API int32_t ts_tokenizer_kind(const ts_tokenizer *tokenizer);

/* How many merges its file lists; 0 where scores or the tokens alone say what is joined. */
TS_API uint32_t ts_tokenizer_merge_count(const ts_tokenizer *tokenizer);

/* The id of `<|endoftext|>` (or what the file names as end of text), TS_TOKENIZER_NONE if there is none. */
TS_API uint32_t ts_tokenizer_end_of_text(const ts_tokenizer *tokenizer);

/* The id that stories begin with: what the file names as beginning of text, else the end of text, which divides the stories where there is one mark alone. */
TS_API uint32_t ts_tokenizer_begin_of_text(const ts_tokenizer *tokenizer);

/* The bytes of a token, *size of them; borrowed as long as the tokenizer lives. NULL for an id that is none. */
TS_API const char *ts_tokenizer_token(const ts_tokenizer *tokenizer, uint32_t id, size_t *size);

/* The id of the token with exactly these bytes, specials included, or TS_TOKENIZER_NONE. */
TS_API uint32_t ts_tokenizer_find(const ts_tokenizer *tokenizer, const char *bytes, size_t size);

/* 1 for a special token, 0 for any other id. */
TS_API int32_t ts_tokenizer_is_special(const ts_tokenizer *tokenizer, uint32_t id);

/* A hash of the canonical form (bytes of every token in the order of ids, specials, merges in the order of rank; SentencePiece: the order that scores
 * give to the tokens that are joins of others): equal for equal tokenizers whatever file they came from. Shards and checkpoints carry it. Made when it is
 * first asked for, which for SentencePiece takes memory for a while: 0 if there is none, or for NULL. */
TS_API uint64_t ts_tokenizer_fingerprint(const ts_tokenizer *tokenizer);

/* ---- token shards ---- */

typedef struct ts_shard_report {
    size_t struct_size;
    uint64_t stories;
    uint64_t tokens; /* ends of text included */
    uint64_t bytes;  /* of the trimmed stories */
} ts_shard_report;

/*
 * Encodes files of stories into a token shard as llm.c reads it: 256 little-endian int32 (magic 20240520, version 1, number of tokens; for more than
 * 65,536 tokens in the vocabulary magic 20240801, version 7), then uint16 (or uint32) ids. One end-of-text stands before the first story and one after
 * each. The fingerprint lies in words 8 and 9 of the header, the bytes of the stories in words 10 and 11, the number of stories in words 12 and 13 (low
 * word first), 0 in files of other programs.
 * `report` may be NULL. INVALID_ARGUMENT: no story at all, or a tokenizer without end-of-text. LIMIT: 2^31 tokens or more.
 */
TS_API ts_status ts_tokenizer_encode_files(const ts_tokenizer *tokenizer, const char *const *paths, size_t path_count, const char *shard_path,
                                           ts_shard_report *report, ts_progress progress, void *progress_user);

/*
 * Decodes a shard into a .txt (or .txt.gz) file: stories divided by a line `<|endoftext|>`. Also reads a headerless file of uint16 ids (nanoGPT's
 * train.bin) when the path ends in ".u16.bin" or ".u16". MISMATCH: the shard names another tokenizer. FORMAT: an id that the tokenizer has not.
 */
TS_API ts_status ts_tokenizer_decode_shard(const ts_tokenizer *tokenizer, const char *shard_path, const char *text_path);

#ifdef __cplusplus
}
#endif

#endif

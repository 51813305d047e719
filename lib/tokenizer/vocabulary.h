/* The inside of a tokenizer, private to this room. */
#ifndef TS_VOCABULARY_H
#define TS_VOCABULARY_H

#include "tokenizer/tokenizer.h"

#define TS_TOKENIZER_MAX_FILE ((uint64_t)64 << 20) /* bytes */

/* What a token is. Normal ones are what text becomes; a special one has a text that is no text. */
enum {
    TS_TOKEN_NORMAL = 0,
    TS_TOKEN_SPECIAL = 1,
    TS_TOKEN_BYTE = 2 /* SentencePiece: one byte of a character that has no token */
};

/* What a tokenizer is made of. Collected by whoever reads or trains one; ts_tokenizer_begin takes it over, also when it fails. */
typedef struct ts_vocabulary {
    ts_runtime *runtime; /* borrowed */
    ts_bytes bytes;      /* of all tokens behind one another */
    uint32_t *ends;      /* where each token's bytes end */
    uint8_t *kinds;      /* TS_TOKEN_ */
    float *scores;       /* SentencePiece: the better one is joined first; else NULL */
    uint32_t count;
    bool sentencepiece;    /* characters are joined, by the scores of what they become unless there are merges; else bytes by the ranks of merges */
    bool wordpiece;        /* words become the longest tokens that they begin with */
    uint32_t unknown;      /* WordPiece: the special token of a word that no tokens make */
    uint32_t (*merges)[2]; /* in the order of rank: left and right */
    uint32_t merge_count;
    uint32_t end_of_text;   /* TS_TOKENIZER_NONE: the special token `<|endoftext|>`, if there is one */
    uint32_t begin_of_text; /* TS_TOKENIZER_NONE: the end of text */
    bool no_begin;          /* the file says that texts do not begin with it */
    size_t ends_capacity, kinds_capacity, scores_capacity, merges_capacity;
} ts_vocabulary;

void ts_vocabulary_init(ts_vocabulary *vocabulary, ts_runtime *runtime);
void ts_vocabulary_free(ts_vocabulary *vocabulary);
/* Appends the next id. LIMIT: too many, or too long. */
ts_status ts_vocabulary_token(ts_vocabulary *vocabulary, const char *bytes, size_t size, uint8_t kind);
/* The same for SentencePiece, whose tokens all have scores. FORMAT: the score is no finite number. */
ts_status ts_vocabulary_piece(ts_vocabulary *vocabulary, const char *bytes, size_t size, uint8_t kind, float score);
ts_status ts_vocabulary_merge(ts_vocabulary *vocabulary, uint32_t left, uint32_t right);

/* All of it: tokens, merges, marks. A failed copy is empty. The runtime is the original's. */
ts_status ts_vocabulary_copy(ts_vocabulary *copy, const ts_vocabulary *from);

static inline const char *ts_vocabulary_bytes(const ts_vocabulary *vocabulary, uint32_t id, size_t *size)
{
    uint32_t begin = id > 0 ? vocabulary->ends[id - 1] : 0;
    *size = vocabulary->ends[id] - begin;
    return vocabulary->bytes.data + begin;
}

/* A merge by its pair: open addressing. */
typedef struct ts_merge {
    uint32_t left, right; /* left TS_TOKENIZER_NONE: empty */
    uint32_t rank, result;
} ts_merge;

/* How far from the place that a hash gives something may lie in a table that is half full: chance puts nothing so far away (10^-16 for a million
 * tokens), so that a file which needs more was made to be slow, and is refused. */
#define TS_MAX_PROBES 256

#define TS_WHOLE_SIZE 11 /* bytes at most */

/* A word that becomes one token, found without going through its merges: open addressing. */
typedef struct ts_whole {
    uint64_t first; /* 8 bytes, zeros behind the word */
    uint32_t rest;  /* 3 bytes and the size of the word; 0: empty */
    uint32_t id;
} ts_whole;

struct ts_tokenizer {
    ts_runtime *runtime;
    size_t references; /* atomic */
    ts_vocabulary vocabulary;
    uint64_t fingerprint; /* atomic; 0: not made yet */
    uint32_t bytes[256];  /* the token of each byte */
    ts_merge *merges;     /* 2^merge_bits places */
    uint32_t *specials;   /* ids of the special tokens */
    uint32_t special_count;
    bool begins_special[256]; /* bytes that a special token begins with */
    uint32_t *by_bytes;       /* 2^find_bits places: ids by their bytes, TS_TOKENIZER_NONE empty; normal tokens before specials of the same bytes */
    ts_whole *whole;          /* atomic; 2^ts_whole_bits places, NULL until much text was encoded */
    size_t encoded;           /* atomic: bytes, counted until there is `whole` */
    uint32_t merge_bits, find_bits;
    uint32_t end_of_text, begin_of_text;
    size_t longest, longest_normal;
    bool ranks_rise;     /* no merge makes a token that a merge of a better rank joins */
    bool cuts_at_spaces; /* SentencePiece: no token has a space after something else, so that no join reaches over one */
};

/* ---- tokenizer_index.c ---- */

/*
 * The two halves of making a tokenizer. After the first ts_tokenizer_find knows the tokens, and whoever reads a file adds merges and marks to
 * out->vocabulary; the second does the rest, or frees the tokenizer if that or the reader's `status` is a failure. Both check all that the others
 * rely on: all 256 bytes, distinct tokens of a kind, merges whose parts and result exist. `name` is for error details.
 */
ts_status ts_tokenizer_begin(ts_tokenizer **out, ts_vocabulary *vocabulary, const char *name);
ts_status ts_tokenizer_finish(ts_tokenizer **out, ts_tokenizer *tokenizer, ts_status status, const char *name);
/* Both, for a vocabulary that is complete. */
ts_status ts_tokenizer_make(ts_tokenizer **out, ts_vocabulary *vocabulary, const char *name);

/* Room for `count` merges in a tokenizer that has none, which is not shared yet; and one of them, noted after those of better ranks. LIMIT: more of
 * them than chance allows have much the same hash. */
ts_status ts_merges_make_room(ts_tokenizer *tokenizer, uint32_t count);
ts_status ts_merge_learn(ts_tokenizer *tokenizer, ts_merge merge, const char *name);

static inline bool ts_tokenizer_is_byte_level(const ts_tokenizer *tokenizer)
{
    return !tokenizer->vocabulary.sentencepiece && !tokenizer->vocabulary.wordpiece;
}

static inline uint32_t ts_pair_hash(uint32_t left, uint32_t right, uint32_t bits)
{
    return (uint32_t)(((uint64_t)left * 0x9e3779b97f4a7c15u ^ (uint64_t)right * 0xd1b54a32d192ed03u) >> (64 - bits));
}

/* NULL: this pair is never merged. */
static inline const ts_merge *ts_merge_find(const ts_tokenizer *tokenizer, uint32_t left, uint32_t right)
{
    uint32_t mask = (1u << tokenizer->merge_bits) - 1, at = ts_pair_hash(left, right, tokenizer->merge_bits);
    for (uint32_t probe = 0; probe < TS_MAX_PROBES; probe++, at = (at + 1) & mask) {
        const ts_merge *merge = &tokenizer->merges[at];
        if (merge->left == left && merge->right == right)
            return merge;
        if (merge->left == TS_TOKENIZER_NONE)
            break;
    }
    return NULL;
}

/* ---- alphabet.c: GPT-2's printable stand-ins of bytes ---- */

/* The character that stands for a byte: itself for printable ones, U+0100 and up for the rest. */
uint32_t ts_alphabet_character(unsigned char byte);
/* The byte of a character, -1 if it is none of them. */
int ts_alphabet_byte(uint32_t code);
/* The bytes in the order in which GPT-2 numbers them: '!' to '~', 0xa1 to 0xac, 0xae to 0xff, then the rest. */
unsigned char ts_alphabet_order(uint32_t index);
/* Turns stand-ins into bytes; FORMAT names the token. `into` has room for `size` bytes. */
ts_status ts_alphabet_decode(const char *text, size_t size, char *into, size_t *into_size, const char *name);
ts_status ts_alphabet_encode(ts_bytes *into, const char *bytes, size_t size);

/* ---- encode.c, sentencepiece.c ---- */

/* Where ids go: counted always, stored as long as they fit. */
typedef struct ts_ids {
    uint32_t *ids;
    size_t capacity, count;
} ts_ids;

static inline void ts_ids_put(ts_ids *out, uint32_t id)
{
    if (out->count < out->capacity)
        out->ids[out->count] = id;
    out->count++;
}

/* Encodes text in which there are no special tokens; `begins`: a space is put before it, as SentencePiece does at the beginning of a text. */
ts_status ts_sentencepiece_encode(const ts_tokenizer *tokenizer, const char *text, size_t size, bool begins, ts_ids *out);
/* Sets tokenizer->cuts_at_spaces, when the tokens are there. */
void ts_sentencepiece_index(ts_tokenizer *tokenizer);
/* The bytes that a token gives in a text; at its beginning without the space that encoding put there. */
const char *ts_tokenizer_text(const ts_tokenizer *tokenizer, uint32_t id, bool begins, size_t *size);
/* "<0x41>" is the byte 0x41; -1 for what is none. */
int ts_byte_token(const char *text, size_t size);
/* In SentencePiece's own files U+2581 stands for a space: takes a token's text from there, not longer than `*size`, which becomes its size, and puts
 * it. */
void ts_marks_take(const char *text, size_t *size, char *into);
ts_status ts_marks_put(ts_bytes *into, const char *bytes, size_t size);

/* ---- wordpiece.c ---- */

/* Encodes text in which there are no special tokens. */
void ts_wordpiece_encode(const ts_tokenizer *tokenizer, const char *text, size_t size, ts_ids *out);
/* Whether a token is written right behind what is before it, though a word begins with it. */
bool ts_wordpiece_is_tight(const char *bytes, size_t size);
/* Appends a normal token as files write it, "word" or "##ing"; and that text. UNSUPPORTED: not ASCII. */
ts_status ts_wordpiece_add(ts_vocabulary *vocabulary, const char *text, size_t size, const char *name);
ts_status ts_wordpiece_text(ts_bytes *text, const ts_vocabulary *vocabulary, uint32_t id);

/* tokenizer_json_words.c: WordPiece in tokenizer.json. UNSUPPORTED names what else it asks for. */
ts_status ts_words_check_json(const ts_json *root, const char *name);
ts_status ts_words_write_json(ts_bytes *json, const ts_tokenizer *tokenizer);

/* ---- others ---- */

/* encode.c: what a word's bytes become by the merges alone; encode_long.c: by a heap, or by lists of the ranks, which wants tokenizer->ranks_rise */
ts_status ts_encode_word(const ts_tokenizer *tokenizer, const char *word, size_t size, ts_ids *out);
ts_status ts_encode_long(const ts_tokenizer *tokenizer, const char *word, size_t size, bool by_ranks, ts_ids *out);
/* fingerprint.c: ts_tokenizer_fingerprint for those who can fail */
ts_status ts_tokenizer_identify(const ts_tokenizer *tokenizer, uint64_t *fingerprint);
/* The bits of a table with room for `count` entries and as many empty places. */
uint32_t ts_table_bits(uint32_t count);

/* tokenizer_json_pieces.c: SentencePiece as tokenizer.json has it, a BPE with byte fallback. UNSUPPORTED names what else it asks for. */
ts_status ts_pieces_check_json(const ts_json *root, const char *name);
ts_status ts_pieces_write_json(ts_bytes *json, const ts_tokenizer *tokenizer);

/* tokenizer_json.c; the first writes the list of added tokens, which are the special ones */
ts_status ts_json_write_added(ts_bytes *json, const ts_vocabulary *vocabulary);
ts_status ts_tokenizer_read_json(ts_tokenizer **out, ts_runtime *runtime, const char *text, size_t size, const char *name);
/* tokenizer_llama2c.c; the source is borrowed */
ts_status ts_tokenizer_read_llama2c(ts_tokenizer **out, ts_source *source);

/* tokenizer_config.c: whether a folder's tokenizer_config.json lets texts begin with a token; true where it says nothing. FORMAT: it is damaged. */
ts_status ts_tokenizer_read_config(const char *folder, ts_runtime *runtime, bool *begins);

ts_status ts_tokenizer_read_pair(ts_tokenizer **out, ts_runtime *runtime, const char *vocabulary_path, const char *merges_path);
/* tokenizer_pair.c: vocab.json and merges.txt in a folder that is there. UNSUPPORTED: another kind of tokenizer, or other special tokens. */
ts_status ts_tokenizer_write_pair(const ts_tokenizer *tokenizer, const char *folder);

/* tokenizer_tiktoken.c; whether a text begins like a rank file, reading one, and its text, added to `text` */
bool ts_tiktoken_begins(const char *text, size_t size);
ts_status ts_tokenizer_read_tiktoken(ts_tokenizer **out, ts_runtime *runtime, const char *text, size_t size, const char *name);
ts_status ts_tokenizer_to_tiktoken(const ts_tokenizer *tokenizer, ts_bytes *text);

#endif

/* What tells tokenizers apart: a hash of all that decides on the ids of a text, made when it is first asked for. */
#include "format/format.h"
#include "format/order.h"
#include "tokenizer/vocabulary.h"

static uint64_t hash_number(uint64_t hash, uint32_t number)
{
    const unsigned char bytes[4] = {(unsigned char)number, (unsigned char)(number >> 8), (unsigned char)(number >> 16),
                                    (unsigned char)(number >> 24)};
    return ts_hash(bytes, sizeof bytes, hash);
}

/* ---- SentencePiece: not the scores but the order that they give, since files of merges have that alone ---- */

/* A token that text can become by a join. */
typedef struct joinable {
    uint32_t id;
    float score;
} joinable;

static bool is_joinable(const ts_tokenizer *t, uint32_t id)
{
    const ts_vocabulary *v = &t->vocabulary;
    size_t size;
    const char *bytes = ts_vocabulary_bytes(v, id, &size);
    for (size_t cut = 1; cut < size && v->kinds[id] == TS_TOKEN_NORMAL; cut++) {
        uint32_t left = ts_tokenizer_find(t, bytes, cut), right = left != TS_TOKENIZER_NONE ? ts_tokenizer_find(t, bytes + cut, size - cut) : left;
        if (right != TS_TOKENIZER_NONE && v->kinds[left] == TS_TOKEN_NORMAL && v->kinds[right] == TS_TOKEN_NORMAL)
            return true;
    }
    return false;
}

/* The best score first, then in the order of ids, as files of merges list tokens of one score. */
static int compare_joinable(const void *a, const void *b)
{
    const joinable *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static ts_status hash_order(const ts_tokenizer *t, uint64_t *hash)
{
    const ts_vocabulary *v = &t->vocabulary;
    joinable *all = ts_allocate_array(t->runtime, v->count, sizeof *all);
    const void **sorted = ts_allocate_array(t->runtime, v->count, sizeof *sorted);
    ts_status status = all && sorted ? TS_OK : TS_ERROR_OUT_OF_MEMORY;
    size_t count = 0;
    for (uint32_t id = 0; status == TS_OK && id < v->count; id++)
        if (is_joinable(t, id)) {
            all[count] = (joinable){id, v->scores[id]};
            sorted[count] = &all[count];
            count++;
        }
    if (status == TS_OK)
        ts_order_sort(sorted, count, compare_joinable);
    for (size_t i = 0; status == TS_OK && i < count; i++)
        *hash = hash_number(*hash, ((const joinable *)sorted[i])->id);
    ts_release(t->runtime, all);
    ts_release(t->runtime, sorted);
    return status;
}

/* ---- any of them ---- */

ts_status ts_tokenizer_identify(const ts_tokenizer *t, uint64_t *fingerprint)
{
    const ts_vocabulary *v = &t->vocabulary;
    *fingerprint = __atomic_load_n(&t->fingerprint, __ATOMIC_RELAXED);
    if (*fingerprint != 0)
        return TS_OK;
    uint64_t hash = hash_number(v->wordpiece ? 0x7473746f6b656e33u : v->sentencepiece ? 0x7473746f6b656e34u : 0x7473746f6b656e31u, v->count);
    for (uint32_t id = 0; id < v->count; id++) {
        size_t size;
        const char *bytes = ts_vocabulary_bytes(v, id, &size);
        hash = ts_hash(bytes, size, hash_number(hash, v->kinds[id]));
    }
    for (uint32_t rank = 0; rank < v->merge_count && !v->sentencepiece; rank++)
        hash = hash_number(hash_number(hash, v->merges[rank][0]), v->merges[rank][1]);
    if (v->sentencepiece)
        TS_TRY(hash_order(t, &hash));
    *fingerprint = hash ? hash : 1;                                                      /* 0 means "not known" in a shard */
    __atomic_store_n(&((ts_tokenizer *)t)->fingerprint, *fingerprint, __ATOMIC_RELAXED); /* whoever else makes it makes the same */
    return TS_OK;
}

uint64_t ts_tokenizer_fingerprint(const ts_tokenizer *tokenizer)
{
    uint64_t fingerprint = 0;
    return tokenizer != NULL && ts_tokenizer_identify(tokenizer, &fingerprint) == TS_OK ? fingerprint : 0;
}

/* Vocabularies made so that their tokens or merges all have one place in the tables: without a bound opening would take quadratic time. */
#include "support/support.h"

#include "tokenizer/vocabulary.h"

enum { FEW = 150, MANY = TS_MAX_PROBES + 64 };

static void begin(ts_vocabulary *v, ts_runtime *runtime)
{
    ts_vocabulary_init(v, runtime);
    for (int byte = 0; byte < 256; byte++)
        assert_int_equal(ts_vocabulary_token(v, (char[]){(char)byte}, 1, TS_TOKEN_NORMAL), TS_OK);
}

/* Tokens of seven bytes whose hashes end alike, in as many bits as the table of so many tokens has. */
static void add_alike(ts_vocabulary *v, uint32_t count)
{
    uint64_t mask = (1u << ts_table_bits(256 + count)) - 1;
    for (uint64_t number = (uint64_t)1 << 48; v->count < 256 + count; number++) {
        char bytes[7];
        for (int i = 0; i < 7; i++)
            bytes[i] = (char)(number >> 8 * i);
        if ((ts_hash(bytes, sizeof bytes, 0) & mask) == 0)
            assert_int_equal(ts_vocabulary_token(v, bytes, sizeof bytes, TS_TOKEN_NORMAL), TS_OK);
    }
}

static void test_tokens(void **state)
{
    static const uint32_t counts[] = {FEW, MANY};
    ts_runtime *runtime;
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    for (size_t i = 0; i < TS_COUNT_OF(counts); i++) {
        ts_vocabulary v;
        ts_tokenizer *tokenizer = NULL;
        begin(&v, runtime);
        add_alike(&v, counts[i]);
        ts_status status = ts_tokenizer_make(&tokenizer, &v, "made to be slow");
        assert_int_equal(status, counts[i] == FEW ? TS_OK : TS_ERROR_LIMIT);
        for (uint32_t id = 0; tokenizer != NULL && id < 256 + FEW; id++) {
            size_t size;
            const char *bytes = ts_tokenizer_token(tokenizer, id, &size);
            assert_int_equal(ts_tokenizer_find(tokenizer, bytes, size), id);
        }
        if (tokenizer == NULL)
            assert_non_null(strstr(ts_error_detail(), "made to be slow: token"));
        ts_tokenizer_free(tokenizer);
    }
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

/* Merges of a token of two bytes and a byte that have one place; each gives a token of three bytes. */
static void add_merges_alike(ts_vocabulary *v, uint32_t count)
{
    enum { PAIRS = 8000 };
    uint32_t bits = ts_table_bits(count), left[MANY], right[MANY], found = 0;
    for (uint32_t i = 0; i < PAIRS; i++)
        assert_int_equal(ts_vocabulary_token(v, (char[]){(char)(i >> 8), (char)i}, 2, TS_TOKEN_NORMAL), TS_OK);
    for (uint32_t i = 0; i < PAIRS && found < count; i++)
        for (uint32_t byte = 0; byte < 256 && found < count; byte++)
            if (ts_pair_hash(256 + i, byte, bits) == 3) {
                left[found] = i;
                right[found++] = byte;
            }
    assert_int_equal(found, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ts_vocabulary_token(v, (char[]){(char)(left[i] >> 8), (char)left[i], (char)right[i]}, 3, TS_TOKEN_NORMAL), TS_OK);
        assert_int_equal(ts_vocabulary_merge(v, 256 + left[i], right[i]), TS_OK);
    }
}

static void test_merges(void **state)
{
    static const uint32_t counts[] = {FEW, MANY};
    ts_runtime *runtime;
    (void)state;
    assert_int_equal(ts_runtime_new(&runtime, NULL), TS_OK);
    for (size_t i = 0; i < TS_COUNT_OF(counts); i++) {
        ts_vocabulary v;
        ts_tokenizer *tokenizer = NULL;
        begin(&v, runtime);
        add_merges_alike(&v, counts[i]);
        ts_status status = ts_tokenizer_make(&tokenizer, &v, "made to be slow");
        assert_int_equal(status, counts[i] == FEW ? TS_OK : TS_ERROR_LIMIT);
        for (uint32_t rank = 0; tokenizer != NULL && rank < FEW; rank++) {
            const uint32_t *pair = tokenizer->vocabulary.merges[rank];
            assert_int_equal(ts_merge_find(tokenizer, pair[0], pair[1])->rank, rank);
        }
        if (tokenizer == NULL)
            assert_non_null(strstr(ts_error_detail(), "made to be slow: merge"));
        ts_tokenizer_free(tokenizer);
    }
    assert_int_equal(ts_runtime_memory(runtime), 0);
    ts_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_merges)};
    return cmocka_run_group_tests_name("crowded", tests, NULL, NULL);
}

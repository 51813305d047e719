/*
 * Looks into a model: which head counts most for the next token. Each head is silenced in turn, and what that does to the likeliest token's logit is told.
 *
 * usage: look MODEL.gguf [PROMPT]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tinystories.h>

enum { MOST_TOKENS = 512 };

typedef struct head_to_silence {
    uint32_t layer, head;
} head_to_silence;

/* Sets what the head gathered to 0, at every position, before it is written into the residual stream. */
static int32_t silence(void *user, const ts_tap *tap)
{
    const head_to_silence *one = user;
    if (tap->point != TS_TAP_HEADS || tap->layer != one->layer)
        return 0;
    for (uint64_t position = 0; position < tap->shape[0]; position++)
        memset(tap->data + position * tap->strides[0] + one->head * tap->strides[1], 0, tap->shape[2] * sizeof *tap->data);
    return 0;
}

static uint32_t likeliest(const float *logits, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t id = 1; id < count; id++)
        best = logits[id] > logits[best] ? id : best;
    return best;
}

static ts_status look(const ts_model *model, const uint32_t *ids, size_t count, const ts_architecture *shape, float *logits)
{
    size_t V = shape->vocabulary_size, size = 0;
    float *last = logits + (count - 1) * V;
    ts_status status = ts_model_logits(model, ids, count, logits, count * V);
    if (status != TS_OK)
        return status;
    uint32_t token = likeliest(last, shape->vocabulary_size);
    float before = last[token];
    const char *text = ts_tokenizer_token(ts_model_tokenizer(model), token, &size);
    printf("the likeliest next token is '%.*s', its logit %.3f; without a head:\n", (int)size, text, (double)before);
    for (head_to_silence one = {0, 0}; one.layer < shape->layers && status == TS_OK; one.layer++)
        for (one.head = 0; one.head < shape->heads && status == TS_OK; one.head++) {
            status = ts_model_tap(model, ids, count, silence, &one, logits, count * V);
            if (status == TS_OK)
                printf("layer %2u, head %2u: %+.3f\n", one.layer, one.head, (double)(last[token] - before));
        }
    return status;
}

int main(int count, char **values)
{
    if (count < 2) {
        fprintf(stderr, "usage: look MODEL.gguf [PROMPT]\n");
        return 2;
    }
    const char *prompt = count > 2 ? values[2] : "Once upon a time, there was a little girl named";
    ts_model *model = NULL;
    ts_architecture shape = {.struct_size = sizeof shape};
    uint32_t ids[MOST_TOKENS];
    size_t tokens = 0, before = 0;
    float *logits = NULL;

    ts_status status = ts_model_open(&model, NULL, values[1], NULL);
    if (status == TS_OK)
        status = ts_model_architecture(model, &shape);
    if (status == TS_OK) {
        ids[0] = ts_tokenizer_begin_of_text(ts_model_tokenizer(model));
        before = ids[0] != TS_TOKENIZER_NONE; /* not every model has one */
        status = ts_tokenizer_encode(ts_model_tokenizer(model), prompt, strlen(prompt), 0, ids + before, MOST_TOKENS - before, &tokens);
    }
    if (status == TS_OK)
        logits = malloc((before + tokens) * shape.vocabulary_size * sizeof *logits);
    if (status == TS_OK && logits != NULL)
        status = look(model, ids, before + tokens, &shape, logits);
    if (status != TS_OK || logits == NULL)
        fprintf(stderr, "look: %s\n", status != TS_OK ? ts_error_detail() : "there is no memory");
    free(logits);
    ts_model_free(model);
    return status != TS_OK || logits == NULL;
}

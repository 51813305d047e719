/* A network in training: the order of the layers, there and back, and the memory of their activations. */
#include "network/layers.h"

/* What a layer leaves behind for the way back, all (N, ...). */
typedef struct activations {
    float *x;               /* (C): what comes in */
    float *norm1;           /* (C) */
    float *qkv;             /* (qkv), q and k turned */
    float *attended;        /* (C) */
    float *middle;          /* (C): x + attention */
    float *norm2;           /* (C) */
    float *hidden;          /* (up) */
    float *activated;       /* (F) */
    float *saved1, *saved2; /* (2): the norms' means and scales */
    float *sums;            /* (N, H) of attention */
} activations;

struct ts_network {
    ts_training training;
    ts_shape shape;
    ts_arena arena;
    activations *layers; /* (L + 1): the last one's x is the output of the layers, its norm1 the final norm, its saved1 that norm's */
    bool recompute;      /* norm1, norm2, hidden and activated are the same arrays in all layers, the last one's norm1 excepted */
    float *dx, *dmiddle, *dqkv, *dhidden, *dactivated;
    float *logits;
    double *losses;
    void (*on_layer)(void *user, size_t layer); /* its gradients are whole */
    void *on_layer_user;
};

/* Every array of the arena, in the order of planning and taking: one list for both. */
typedef struct piece {
    void **where;
    size_t count, size;
} piece;

#define PIECES_OF_LAYER 11

static size_t layer_pieces(const ts_network *network, size_t layer, piece *pieces)
{
    const ts_shape *s = &network->shape;
    activations *a = &network->layers[layer];
    bool last = layer == s->L;
    size_t N = network->training.N, own = network->recompute && layer > 0 && !last ? 0 : N;
    const piece list[PIECES_OF_LAYER] = {
        {(void **)&a->x, N, s->C * sizeof(float)},         {(void **)&a->norm1, own, s->C * sizeof(float)},
        {(void **)&a->saved1, N, 2 * sizeof(float)},       {(void **)&a->qkv, N, s->qkv * sizeof(float)},
        {(void **)&a->attended, N, s->C * sizeof(float)},  {(void **)&a->middle, N, s->C * sizeof(float)},
        {(void **)&a->norm2, own, s->C * sizeof(float)},     {(void **)&a->hidden, own, s->up * sizeof(float)},
        {(void **)&a->activated, own, s->F * sizeof(float)}, {(void **)&a->saved2, N, 2 * sizeof(float)},
        {(void **)&a->sums, N, s->H * sizeof(float)},
    };
    size_t count = last ? 3 : PIECES_OF_LAYER;
    memcpy(pieces, list, count * sizeof *pieces);
    return count;
}

#define SHARED_PIECES 14

static void shared_pieces(ts_network *network, piece pieces[SHARED_PIECES])
{
    const ts_shape *s = &network->shape;
    ts_training *t = &network->training;
    size_t N = t->N, rows = TS_MIN(N, TS_LOSS_ROWS), workers = ts_runtime_threads(t->runtime);
    const piece list[SHARED_PIECES] = {
        {(void **)&network->dx, N, s->C * sizeof(float)},
        {(void **)&network->dmiddle, N, s->C * sizeof(float)},
        {(void **)&network->dqkv, N, s->qkv * sizeof(float)},
        {(void **)&network->dhidden, N, s->up * sizeof(float)},
        {(void **)&network->dactivated, N, s->F * sizeof(float)},
        {(void **)&network->logits, rows, s->V * sizeof(float)},
        {(void **)&network->losses, rows, sizeof(double)},
        {(void **)&t->turns, s->switches->learned_positions ? 0 : t->T, s->D * sizeof(float)},
        {(void **)&t->partial, (N + TS_PIECE_ROWS - 1) / TS_PIECE_ROWS, TS_MAX(2 * s->C, TS_MAX(s->qkv, s->up)) * sizeof(float)},
        {(void **)&t->heads, workers, ts_attention_scratch(s, t->T) * sizeof(float)},
        {(void **)&t->packed_head[0], ts_gemm_packed_size(t->kernels, t->gemm.bf16, s->V, s->C), sizeof(uint32_t)},
        {(void **)&t->packed_head[1], ts_gemm_packed_size(t->kernels, t->gemm.bf16, s->C, s->V), sizeof(uint32_t)},
        {(void **)&t->spans, N, sizeof(ts_span)},
        {(void **)&t->positions, N, sizeof(uint32_t)},
    };
    memcpy(pieces, list, sizeof list);
}

/* What the products of layers and the head's gradient pack at most. */
static void most_packed(const ts_training *t, bool bf16, size_t *a_size, size_t *b_size)
{
    const ts_shape *s = t->shape;
    const size_t layers[][2] = {{s->qkv, s->C}, {s->C, s->C}, {s->up, s->C}, {s->C, s->F}}, rows = TS_MIN(t->N, TS_LOSS_ROWS); /* outputs, inputs */
    *a_size = ts_gemm_packed_a_size(t->kernels, bf16, s->V, rows);
    *b_size = ts_gemm_packed_size(t->kernels, bf16, s->C, rows);
    for (size_t i = 0; i < TS_COUNT_OF(layers); i++) {
        size_t out = layers[i][0], in = layers[i][1];
        *a_size = TS_MAX(*a_size, ts_gemm_packed_a_size(t->kernels, bf16, out, t->N));
        *b_size = TS_MAX(*b_size, ts_gemm_packed_size(t->kernels, bf16, out, in)); /* w turned, */
        *b_size = TS_MAX(*b_size, ts_gemm_packed_size(t->kernels, bf16, in, out)); /* w, */
        *b_size = TS_MAX(*b_size, ts_gemm_packed_size(t->kernels, bf16, in, t->N)); /* x */
    }
}

static ts_status allocate(ts_network *network, bool bf16)
{
    const ts_shape *s = &network->shape;
    ts_training *t = &network->training;
    piece pieces[PIECES_OF_LAYER], shared[SHARED_PIECES];
    size_t total = 0;
    bool fits = true;
    network->layers = ts_allocate_array(t->runtime, s->L + 1, sizeof *network->layers);
    if (network->layers == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    for (size_t layer = 0; layer <= s->L; layer++)
        for (size_t i = 0, count = layer_pieces(network, layer, pieces); i < count; i++)
            fits = fits && ts_arena_plan(&total, pieces[i].count, pieces[i].size);
    shared_pieces(network, shared);
    for (size_t i = 0; i < SHARED_PIECES; i++)
        fits = fits && ts_arena_plan(&total, shared[i].count, shared[i].size);
    if (!fits)
        return ts_fail(TS_ERROR_LIMIT, "the activations of %zu positions are too large", t->N);
    TS_TRY(ts_arena_init(&network->arena, t->runtime, total));
    for (size_t layer = 0; layer <= s->L; layer++)
        for (size_t i = 0, count = layer_pieces(network, layer, pieces); i < count; i++)
            *pieces[i].where = ts_arena_take(&network->arena, pieces[i].count, pieces[i].size);
    for (size_t layer = 1; network->recompute && layer < s->L; layer++) {
        activations *a = &network->layers[layer], *shared_by_all = &network->layers[0];
        a->norm1 = shared_by_all->norm1, a->norm2 = shared_by_all->norm2;
        a->hidden = shared_by_all->hidden, a->activated = shared_by_all->activated;
    }
    for (size_t i = 0; i < SHARED_PIECES; i++)
        *shared[i].where = ts_arena_take(&network->arena, shared[i].count, shared[i].size);
    if (s->switches->learned_positions)
        t->turns = NULL;
    else
        ts_rotary_turns(t->turns, t->T, s->D, s->rotary_base);

    size_t a_size, b_size;
    most_packed(t, bf16, &a_size, &b_size);
    return ts_gemm_space_init(&t->gemm, t->runtime, t->kernels, a_size, b_size, bf16, false);
}

ts_status ts_network_make(ts_network **out, ts_runtime *runtime, const ts_shape *shape, size_t B, size_t T, bool bf16, bool recompute)
{
    ts_network *network = ts_allocate(runtime, sizeof *network);
    if (network == NULL)
        return TS_ERROR_OUT_OF_MEMORY;
    network->shape = *shape;
    network->recompute = recompute;
    network->training = (ts_training){
        .runtime = runtime, .kernels = ts_kernels_at(ts_runtime_cpu_level(runtime)), .shape = &network->shape, .B = B, .T = T, .N = B * T, .gemm = {.bf16 = bf16}};
    ts_status status = allocate(network, bf16);
    if (status != TS_OK) {
        ts_network_free(network);
        return status;
    }
    ts_network_divide(network, NULL, 0);
    *out = network;
    return TS_OK;
}

void ts_network_divide(ts_network *network, const uint32_t *ids, uint32_t first)
{
    ts_training *t = &network->training;
    ts_span *span = NULL;
    t->span_count = 0;
    for (size_t row = 0; row < t->N; row++) {
        if (span == NULL || span->count == t->T || (ids != NULL && ids[row] == first)) {
            span = &t->spans[t->span_count++];
            *span = (ts_span){row, 0};
        }
        t->positions[row] = (uint32_t)span->count++;
    }
}

void ts_network_free(ts_network *network)
{
    if (network == NULL)
        return;
    ts_runtime *runtime = network->training.runtime;
    ts_gemm_space_free(&network->training.gemm);
    ts_arena_free(&network->arena);
    ts_release(runtime, network->layers);
    ts_release(runtime, network);
}

/* The MLP but for its last product. */
static void mlp_forward(ts_network *network, activations *a, float *const *w)
{
    const ts_shape *s = &network->shape;
    ts_training *t = &network->training;
    const float *up = s->switches->swiglu ? w[TS_SLOT_GATE] : w[TS_SLOT_UP]; /* gate and up are neighbours */
    ts_norm(t, a->norm2, a->middle, w[TS_SLOT_FFN_NORM], w[TS_SLOT_FFN_NORM_BIAS], a->saved2);
    ts_linear(t, a->hidden, a->norm2, up, w[TS_SLOT_UP_BIAS], NULL, s->up, s->C);
    ts_activation(t, a->activated, a->hidden);
}

static void layer_forward(ts_network *network, size_t layer, float *const *w)
{
    const ts_shape *s = &network->shape;
    ts_training *t = &network->training;
    activations *a = &network->layers[layer];
    ts_norm(t, a->norm1, a->x, w[TS_SLOT_ATTN_NORM], w[TS_SLOT_ATTN_NORM_BIAS], a->saved1);
    ts_linear(t, a->qkv, a->norm1, w[TS_SLOT_QKV], w[TS_SLOT_QKV_BIAS], NULL, s->qkv, s->C);
    ts_attention(t, a->attended, a->qkv, a->sums, ts_layer_window(s, layer));
    ts_linear(t, a->middle, a->attended, w[TS_SLOT_ATTN_OUTPUT], w[TS_SLOT_ATTN_OUTPUT_BIAS], a->x, s->C, s->C);
    mlp_forward(network, a, w);
    ts_linear(t, a[1].x, a->activated, w[TS_SLOT_DOWN], w[TS_SLOT_DOWN_BIAS], a->middle, s->C, s->F);
}

/* network->dx holds the gradient of the layer's output and gets that of its input. */
static void layer_backward(ts_network *network, size_t layer, float *const *w, float *const *g)
{
    const ts_shape *s = &network->shape;
    ts_training *t = &network->training;
    activations *a = &network->layers[layer];
    bool swiglu = s->switches->swiglu;
    if (network->recompute) {
        mlp_forward(network, a, w);
        ts_norm(t, a->norm1, a->x, w[TS_SLOT_ATTN_NORM], w[TS_SLOT_ATTN_NORM_BIAS], a->saved1);
    }
    ts_linear_back(t, network->dactivated, g[TS_SLOT_DOWN], g[TS_SLOT_DOWN_BIAS], network->dx, a->activated, w[TS_SLOT_DOWN], s->C, s->F, false);
    ts_activation_back(t, network->dhidden, network->dactivated, a->hidden);
    ts_linear_back(t, network->dmiddle, swiglu ? g[TS_SLOT_GATE] : g[TS_SLOT_UP], g[TS_SLOT_UP_BIAS], network->dhidden, a->norm2,
                   swiglu ? w[TS_SLOT_GATE] : w[TS_SLOT_UP], s->up, s->C, false);
    ts_norm_back(t, network->dx, g[TS_SLOT_FFN_NORM], g[TS_SLOT_FFN_NORM_BIAS], network->dmiddle, a->middle, w[TS_SLOT_FFN_NORM], a->saved2);
    ts_linear_back(t, network->dmiddle, g[TS_SLOT_ATTN_OUTPUT], g[TS_SLOT_ATTN_OUTPUT_BIAS], network->dx, a->attended, w[TS_SLOT_ATTN_OUTPUT], s->C,
                   s->C, false);
    ts_attention_back(t, network->dqkv, network->dmiddle, a->attended, a->qkv, a->sums, ts_layer_window(s, layer));
    ts_linear_back(t, network->dmiddle, g[TS_SLOT_QKV], g[TS_SLOT_QKV_BIAS], network->dqkv, a->norm1, w[TS_SLOT_QKV], s->qkv, s->C, false);
    ts_norm_back(t, network->dx, g[TS_SLOT_ATTN_NORM], g[TS_SLOT_ATTN_NORM_BIAS], network->dmiddle, a->x, w[TS_SLOT_ATTN_NORM], a->saved1);
}

void ts_network_step(ts_network *network, const ts_weights *weights, const ts_weights *gradients, const uint32_t *ids, const uint32_t *targets,
                     float weight, double *loss, size_t *counted)
{
    ts_training *t = &network->training;
    size_t L = network->shape.L;
    activations *last = &network->layers[L];
    float *const *w = weights->all[0];
    *loss = 0;
    *counted = 0;
    ts_embedding(t, network->layers[0].x, weights, ids);
    for (size_t layer = 0; layer < L; layer++)
        layer_forward(network, layer, weights->all[layer]);
    ts_norm(t, last->norm1, last->x, w[TS_SLOT_OUTPUT_NORM], w[TS_SLOT_OUTPUT_NORM_BIAS], last->saved1);
    ts_loss(t, weights, gradients, network->dmiddle, last->norm1, targets, weight, network->logits, network->losses, loss, counted);
    if (gradients == NULL)
        return;
    float *const *g = gradients->all[0];
    memset(network->dx, 0, t->N * network->shape.C * sizeof(float));
    ts_norm_back(t, network->dx, g[TS_SLOT_OUTPUT_NORM], g[TS_SLOT_OUTPUT_NORM_BIAS], network->dmiddle, last->x, w[TS_SLOT_OUTPUT_NORM],
                 last->saved1);
    for (size_t layer = L; layer-- > 0;) {
        layer_backward(network, layer, weights->all[layer], gradients->all[layer]);
        if (network->on_layer != NULL)
            network->on_layer(network->on_layer_user, layer);
    }
    ts_embedding_back(t, gradients, network->dx, ids);
}

void ts_network_on_layer(ts_network *network, void (*call)(void *user, size_t layer), void *user)
{
    network->on_layer = call;
    network->on_layer_user = user;
}

void ts_network_logits(ts_network *network, const ts_weights *weights, size_t row, float *logits)
{
    const ts_shape *s = &network->shape;
    network->training.kernels->linear(logits, s->V, network->layers[s->L].norm1 + row * s->C, s->C, weights->all[0][TS_SLOT_OUTPUT], s->C, 1, s->V,
                                      s->C);
}

/* AdamW, and Muon where that is chosen, over the flat arrays, in pieces that do not depend on the number of threads. */
#include <math.h>

#include "trainer/trainer.h"

#define PIECE 65536 /* floats */

static void sum_squares(void *argument, size_t begin, size_t end, size_t worker)
{
    const ts_trainer *t = argument;
    (void)worker;
    t->squares[begin / PIECE] = t->kernels->square_sum(t->gradients + begin, end - begin);
}

double ts_gradient_norm(const ts_trainer *trainer)
{
    double sum = 0;
    ts_parallel(trainer->runtime, trainer->total, PIECE, sum_squares, (void *)trainer);
    for (size_t i = 0; i < (trainer->total + PIECE - 1) / PIECE; i++)
        sum += trainer->squares[i];
    return sqrt(sum);
}

typedef struct update {
    ts_trainer *trainer;
    float clip, rate, correction1, correction2;
} update;

/* Elements [begin, end) of one tensor, which decays or does not. */
static void update_part(const update *u, const ts_parameter *p, size_t begin, size_t end)
{
    ts_trainer *t = u->trainer;
    const ts_trainer_options *o = &t->options;
    t->kernels->adamw(t->parameters + begin, t->first + begin, t->second + begin, t->gradients + begin, end - begin, u->clip, u->rate, (float)o->beta1,
                      (float)o->beta2, u->correction1, u->correction2, (float)o->epsilon, p->decay ? (float)o->weight_decay : 0);
}

static void update_piece(void *argument, size_t begin, size_t end, size_t worker)
{
    const update *u = argument;
    const ts_trainer *t = u->trainer;
    (void)worker;
    for (size_t i = 0; i < t->table_count; i++) {
        const ts_parameter *p = &t->table[i];
        size_t first = TS_MAX(begin, p->offset), last = TS_MIN(end, p->offset + p->rows * p->columns);
        if (first < last && (t->muon == NULL || !ts_muon_takes(p)))
            update_part(u, p, first, last);
    }
}

/* ---- the moving average ---- */

typedef struct averaging {
    float *averaged;
    const float *parameters;
    float share;
} averaging;

static void average_piece(void *argument, size_t begin, size_t end, size_t worker)
{
    const averaging *a = argument;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        a->averaged[i] += a->share * (a->parameters[i] - a->averaged[i]);
}

/* `steps` counts this one. The average of a young run is of its last tenth, however slow it is meant to become. */
static void average(ts_trainer *t, double steps)
{
    double decay = TS_MIN(t->options.average, (1 + steps) / (10 + steps));
    averaging a = {t->averaged, t->parameters, (float)(1 - decay)};
    ts_parallel(t->runtime, t->total, PIECE, average_piece, &a);
}

const float *ts_trainer_weights(const ts_trainer *trainer)
{
    return trainer->averaged != NULL && trainer->options.use_average ? trainer->averaged : trainer->parameters;
}

void ts_optimizer_step(ts_trainer *trainer, double clip, double rate)
{
    double steps = (double)(trainer->state.step - trainer->state.skipped + 1);
    update u = {trainer, (float)clip, (float)rate, (float)(1 - pow(trainer->options.beta1, steps)), (float)(1 - pow(trainer->options.beta2, steps))};
    ts_parallel(trainer->runtime, trainer->total, PIECE, update_piece, &u);
    if (trainer->muon != NULL)
        ts_muon_step(trainer->muon, trainer->parameters, trainer->first, trainer->gradients, clip, rate, trainer->options.muon_beta,
                     trainer->options.weight_decay);
    if (trainer->averaged != NULL)
        average(trainer, steps);
}

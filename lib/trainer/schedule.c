/* The learning rate over a run: warm-up, then one of four ways down. */
#include <math.h>

#include "trainer/trainer.h"

double ts_schedule_peak(size_t width)
{
    double rate = 6e-3 * sqrt(128.0 / (double)width);
    return TS_MIN(TS_MAX(rate, 5e-4), 8e-3);
}

/* The share of the peak after the warm-up; `q` from 0 to 1. */
static double way_down(const ts_trainer_options *o, double q)
{
    double last = o->final_rate, stable = 1 - o->decay;
    switch (o->schedule) {
    case TS_SCHEDULE_COSINE:
        return last + (1 - last) * 0.5 * (1 + cos(3.14159265358979323846 * q));
    case TS_SCHEDULE_LINEAR:
        return last + (1 - last) * (1 - q);
    case TS_SCHEDULE_WSD:
        return q <= stable ? 1 : last + (1 - last) * (1 - sqrt((q - stable) / o->decay));
    default:
        return 1;
    }
}

double ts_schedule_rate(const ts_trainer_options *options, double progress)
{
    double p = TS_MIN(TS_MAX(progress, 0), 1), warmup = options->warmup;
    if (p < warmup)
        return options->learning_rate * TS_MAX(p / warmup, 0.01);
    return options->learning_rate * way_down(options, warmup < 1 ? (p - warmup) / (1 - warmup) : 1);
}

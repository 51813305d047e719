/*
 * Random numbers by counting: each is a hash of (seed, stream, counter), so that any of them can be had at once and nothing needs to be saved but
 * the counter. Everything here is integer arithmetic or basic IEEE operations: the same numbers on every machine.
 */
#include "base/base.h"

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* The finalizer of SplitMix64 (Steele et al. 2014, Stafford's mix 13). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint64_t ts_random_at(uint64_t seed, uint64_t stream, uint64_t counter)
{
    uint64_t key = mix(seed + 0x9e3779b97f4a7c15u) ^ rotate(mix(stream + 0xd1b54a32d192ed03u), 32);
    return mix(mix(key + counter * 0x9e3779b97f4a7c15u) + key);
}

uint64_t ts_random_next(ts_random *random)
{
    return ts_random_at(random->seed, random->stream, random->counter++);
}

/* Multiply and shift, with the few values that would be too frequent drawn again (Lemire 2019). */
uint64_t ts_random_below(ts_random *random, uint64_t bound)
{
    uint64_t threshold = (0 - bound) % bound;
    for (;;) {
        __extension__ typedef unsigned __int128 wide;
        wide product = (wide)ts_random_next(random) * bound;
        if ((uint64_t)product >= threshold)
            return (uint64_t)(product >> 64);
    }
}

double ts_random_unit(ts_random *random)
{
    return (double)(ts_random_next(random) >> 11) * 0x1p-53;
}

/* ln x for x in (0, 1]: x = m 2^e with m in [sqrt 1/2, sqrt 2), then the series of 2 artanh((m - 1) / (m + 1)). */
static double logarithm(double x)
{
    int exponent = 0;
    while (x < 0.70710678118654752) {
        x *= 2;
        exponent--;
    }
    double t = (x - 1) / (x + 1), square = t * t, sum = 0;
    for (int k = 21; k >= 1; k -= 2)
        sum = sum * square + 1.0 / k;
    return 2 * t * sum + exponent * 0.69314718055994531;
}

/* The square root by Newton's steps from a guess that is good to a few per cent. */
static double square_root(double x)
{
    double guess = x < 1 ? 1 : x;
    for (int i = 0; i < 64; i++) {
        double next = 0.5 * (guess + x / guess);
        if (next >= guess)
            break;
        guess = next;
    }
    return guess;
}

/* cos(2 pi x) for x in [0, 1): folded onto a quarter turn, then the Taylor series. */
static double cosine_turn(double x)
{
    double sign = 1;
    if (x > 0.5)
        x = 1 - x;
    if (x > 0.25) {
        x = 0.5 - x;
        sign = -1;
    }
    double angle = x * 6.2831853071795865, square = angle * angle, sum = 0;
    for (int k = 22; k >= 2; k -= 2)
        sum = (1 - sum) * square / (k * (k - 1));
    return sign * (1 - sum);
}

double ts_random_normal(ts_random *random)
{
    double radius = 1 - ts_random_unit(random), angle = ts_random_unit(random);
    return square_root(-2 * logarithm(radius)) * cosine_turn(angle);
}

uint64_t ts_hash(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *bytes = data;
    uint64_t hash = mix(seed ^ (uint64_t)size * 0x9e3779b97f4a7c15u);
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t word = 0;
        for (int i = 7; i >= 0; i--)
            word = word << 8 | bytes[i];
        hash = rotate(hash ^ mix(word + 0x9e3779b97f4a7c15u), 27) * 5 + 0x52dce729;
    }
    uint64_t rest = size;
    for (size_t i = size; i-- > 0;)
        rest = rest << 8 | bytes[i];
    return mix(hash ^ mix(rest + 0xd1b54a32d192ed03u));
}

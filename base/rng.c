#include "base/rng.h"

#include <math.h>
#include <string.h>

#include <Random123/philox.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/math.h"

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection, so that no two op ids share a
 * key by it. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

void rng_init(struct rng *rng, uint64_t seed, uint64_t op_id, uint32_t epoch, uint64_t position)
{
    uint64_t key = mix(mix(seed + 0x9E3779B97F4A7C15u) ^ op_id);
    *rng = (struct rng){
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .counter = {0, epoch, (uint32_t)position, (uint32_t)(position >> 32)},
    };
}

static void refill(struct rng *rng)
{
    philox4x32_ctr_t counter;
    philox4x32_key_t key;
    memcpy(counter.v, rng->counter, sizeof(rng->counter));
    memcpy(key.v, rng->key, sizeof(rng->key));
    philox4x32_ctr_t words = philox4x32_R(10, counter, key);
    memcpy(rng->word, words.v, sizeof(rng->word));
    rng->counter[0]++;
    BUG_ON(rng->counter[0] == 0); /* 2^34 draws for one sample */
    rng->left = 4;
}

void rng_seek(struct rng *rng, uint64_t n)
{
    BUG_ON(n >= (uint64_t)1 << 34);
    rng->counter[0] = (uint32_t)(n / 4);
    rng->left = 0;
    if (n % 4 != 0) {
        refill(rng);
        rng->left -= (unsigned)(n % 4);
    }
}

uint32_t rng_u32(struct rng *rng)
{
    if (rng->left == 0) {
        refill(rng);
    }
    return rng->word[4 - rng->left--];
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t low = rng_u32(rng);
    return (uint64_t)rng_u32(rng) << 32 | low;
}

float rng_f32(struct rng *rng)
{
    return (float)(rng_u32(rng) >> 8) * 0x1p-24F;
}

double rng_f64(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1p-53;
}

float rng_range(struct rng *rng, float lo, float hi)
{
    return lo + (hi - lo) * rng_f32(rng);
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
    BUG_ON(n == 0);
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)rng_u64(rng) * n;
    if ((uint64_t)product < n) {
        uint64_t threshold = (0 - n) % n;
        while ((uint64_t)product < threshold) {
            product = (wide)rng_u64(rng) * n;
        }
    }
    return (uint64_t)(product >> 64);
}

float rng_normal(struct rng *rng)
{
    double u = ((double)rng_u32(rng) + 1.0) * 0x1p-32; /* (0, 1] */
    double v = (double)rng_u32(rng) * 0x1p-32;
    return (float)(sqrt(-2.0 * math_log(u)) * math_cos(6.283185307179586477 * v));
}

uint64_t rng_id(const char *name)
{
    return hash_fast(name, strlen(name), 0);
}

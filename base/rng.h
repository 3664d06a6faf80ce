/* rng - the counter-based generator (Philox4x32-10, Salmon et al. 2011, through Random123).
 *
 * Owns, Threads, Lifetime: a plain value on the caller's stack.
 * Errors:   none.
 *
 * Laws 1 and 2: a draw is a function of (seed, op id, epoch, position) and of how many were drawn before it for that
 * sample. The key is (seed, op id), the counter is (draw, epoch, position). Sample-scope ops give the position in the
 * stream, batch-scope ops the step with RNG_BATCH_SCOPE in the epoch.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint32_t key[2];
    uint32_t counter[4]; /* [0] draws, [1] epoch and scope, [2..3] position */
    uint32_t word[4];
    unsigned left;
};

#define RNG_BATCH_SCOPE 0x80000000u

void rng_init(struct rng *rng, uint64_t seed, uint64_t op_id, uint32_t epoch, uint64_t position);
/* As if n words of 32 bits had been drawn since init; n below 2^34. */
void rng_seek(struct rng *rng, uint64_t n);
uint32_t rng_u32(struct rng *rng);
uint64_t rng_u64(struct rng *rng);
/* Uniform on [0, 1): 24 bits, exact in float. */
float rng_f32(struct rng *rng);
/* Uniform on [0, 1): 53 bits. */
double rng_f64(struct rng *rng);
float rng_range(struct rng *rng, float lo, float hi); /* lo + (hi - lo) * u */
/* Uniform on 0..n-1 without bias (Lemire). n > 0. */
uint64_t rng_below(struct rng *rng, uint64_t n);
/* Standard normal, Box-Muller with our own locale- and CPU-independent log, sin, cos (base/math.h). */
float rng_normal(struct rng *rng);
/* A stable id of an op or variable from its name (a path such as "pipeline/1/RandomFlip"). */
uint64_t rng_id(const char *name);

#endif

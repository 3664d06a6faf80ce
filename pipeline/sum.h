/* sum - sums of numbers without rounding: exact, so their order does not matter.
 *
 * Owns:     nothing.
 * Threads:  one.
 * Errors:   none: sum_add takes finite numbers between 2^-384 and 2^380 and 0.
 * Lifetime: {0} ..
 *
 * The sum is one whole number of 768 bits in units of 2^-384, kept in limbs of 32 bits whose
 * carries wait; float32 numbers and their squares fit by far.
 */
#ifndef PIPELINE_SUM_H
#define PIPELINE_SUM_H

#include <stdint.h>

enum { SUM_LIMBS = 24 };

struct sum {
    int64_t limb[SUM_LIMBS];
    int64_t n; /* numbers since the carries were moved */
};

void sum_add(struct sum *sum, double value);
void sum_merge(struct sum *sum, struct sum *other);
/* Moves the carries: equal sums are equal limbs then, and n is 0. */
void sum_settle(struct sum *sum);
/* The mean of n numbers and, from the sum of their squares, their variance; each rounded once, as
 * if computed with 113 bits. */
void sum_moments(struct sum *numbers, struct sum *squares, uint64_t n, double *ret_mean,
                 double *ret_variance);

#endif

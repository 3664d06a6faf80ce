/* adapt - what Normalization learns from data: a mean and a population variance, over all axes but the kept ones.
 *
 * Owns:     its numbers live in the arena given.
 * Threads:  one.
 * Errors:   adapt_init: ERR_RANGE, ERR_INVALID (path "axis"), ERR_LIMIT; adapt_add: ERR_SHAPE for a batch of other samples.
 * Lifetime: the arena's.
 *
 * Axes are Keras's: the batch is 0, the last -1. Sums are double, in the order of the data.
 */
#ifndef PIPELINE_ADAPT_H
#define PIPELINE_ADAPT_H

#include "base/arena.h"
#include "base/doc.h"
#include "base/tensor.h"

struct adapt {
    struct shape sample;
    struct shape shape; /* of mean and variance: the kept axes */
    size_t n;           /* their numbers */
    size_t count;       /* values of a sample */
    uint32_t *index;    /* the number that each value belongs to */
    float *values;      /* one sample */
    double *mean, *squares;
    uint64_t *seen; /* values of each number so far */
};

/* axis: a number or a list of them; NULL: the last; null: none is kept. sample: without the batch. */
int adapt_init(struct adapt *adapt, const struct doc *axis, const struct shape *sample, struct arena *arena, struct err *err);
/* A batch of samples of any element type. */
int adapt_add(struct adapt *adapt, const struct tensor *batch, struct err *err);
/* n numbers each; 0 and 1 before any data. */
void adapt_result(const struct adapt *adapt, float *mean, float *variance);

#endif

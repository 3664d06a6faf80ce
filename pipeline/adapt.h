/* adapt - what Normalization learns from data: a mean and a population variance, over all axes but the kept ones.
 *
 * Owns:     its numbers live in the arena given.
 * Threads:  one.
 * Errors:   adapt_init: ERR_RANGE, ERR_INVALID (path "axis"), ERR_LIMIT; adapt_add: ERR_SHAPE for a batch of other samples, ERR_NOT_FINITE.
 *           adapt_load: ERR_CORRUPT, ERR_SHAPE.
 * Lifetime: the arena's.
 *
 * Axes are Keras's: the batch is 0, the last -1. Sums are exact (pipeline/sum.h), so neither the order of the data nor that
 * of merged parts matters. A number that is not finite is refused: no mean would be left.
 */
#ifndef PIPELINE_ADAPT_H
#define PIPELINE_ADAPT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/doc.h"
#include "base/tensor.h"
#include "pipeline/sum.h"

struct adapt {
    struct shape sample;
    struct shape shape; /* of mean and variance: the kept axes */
    size_t n;           /* their numbers */
    size_t count;       /* values of a sample */
    uint32_t *index;    /* the number that each value belongs to */
    float *values;      /* one sample */
    struct sum *sums, *squares; /* n each */
    uint64_t samples;           /* so far */
};

/* axis: a number or a list of them; NULL: the last; null: none is kept. sample: without the batch. */
int adapt_init(struct adapt *adapt, const struct doc *axis, const struct shape *sample, struct arena *arena, struct err *err);
/* A batch of samples of any element type. */
int adapt_add(struct adapt *adapt, const struct tensor *batch, struct err *err);
int adapt_add_sample(struct adapt *adapt, const struct tensor *sample, struct err *err);
int adapt_merge(struct adapt *adapt, struct adapt *other, struct err *err);
void adapt_save(struct adapt *adapt, struct buf *out);
/* Merges what was saved. */
int adapt_load(struct adapt *adapt, const void *data, size_t size, struct err *err);
/* n numbers each; 0 and 1 before any data. */
void adapt_result(const struct adapt *adapt, float *mean, float *variance);

#endif

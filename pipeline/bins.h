/* bins - boundaries of equally filled bins, from summaries of the data: Keras's, number by number.
 *
 * Owns:     its summaries and the values of the batch that is open, on the heap.
 * Threads:  one.
 * Errors:   ERR_NOT_FINITE, ERR_LIMIT, ERR_NO_MEMORY; bins_load: ERR_CORRUPT.
 * Lifetime: bins_init .. bins_fini.
 *
 * Keras summarizes each batch and folds the summaries in the order of the batches, rounding at each
 * step, so the boundaries depend on that order. Here summaries are kept with the number of their
 * batch and folded at the end: parts merge in any order to what one pass would have given.
 */
#ifndef PIPELINE_BINS_H
#define PIPELINE_BINS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct bins_summary { /* n values in ascending order and what each stands for */
    int64_t batch;
    size_t n;
    float *values, *weights;
};
struct bins {
    double epsilon;
    struct bins_summary *done;
    size_t n_done, capacity;
    int64_t batch; /* the open one */
    float *values;
    size_t n, room;
};

void bins_init(struct bins *bins, double epsilon);
void bins_fini(struct bins *bins);
int bins_add(struct bins *bins, int64_t batch, const float *values, size_t n, struct err *err);
int bins_merge(struct bins *bins, struct bins *other, struct err *err);
void bins_save(struct bins *bins, struct buf *out);
int bins_load(struct bins *bins, const void *data, size_t size, struct err *err);
/* At most n_bins - 1 boundaries, malloc'ed; fewer where there are fewer values. ERR_EMPTY. */
int bins_boundaries(struct bins *bins, int64_t n_bins, float **ret, size_t *ret_n, struct err *err);

#endif

/* fast_parts - how a long vector is cut for threads.
 *
 * Owns, Errors, Lifetime: none.
 * Threads: reads OpenMP's thread count; inside a parallel region everything is one part.
 *
 * A part's borders depend on the length and the thread count alone (law 3).
 */
#ifndef TRAINER_KERNEL_BLAS_FAST_PARTS_H
#define TRAINER_KERNEL_BLAS_FAST_PARTS_H

#include <omp.h>
#include <stddef.h>

/* Below this a barrier costs more than it gives. */
#define FAST_PARTS_FLOATS ((size_t)1 << 18)
#define FAST_PARTS_MAX    16

static inline int fast_parts(size_t count)
{
    if (count < FAST_PARTS_FLOATS || omp_in_parallel()) {
        return 1;
    }
    int threads = omp_get_max_threads();
    return threads < FAST_PARTS_MAX ? threads : FAST_PARTS_MAX;
}

/* The first element of part p, a multiple of `unit`. */
static inline size_t fast_parts_at(size_t count, int p, int parts, size_t unit)
{
    return p == parts ? count : count / (size_t)parts * (size_t)p / unit * unit;
}

#endif

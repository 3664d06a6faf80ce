/* Linked into a trainer of its own: it ends with BUG() when the fit loop's thread takes memory
 * between the second batch of an epoch and the last but one. Messages of progress, ten a second at
 * most, are left out. $COUNT_FIT_TAKE makes each such step take some: the control. */
#include <stdlib.h>

#include "trainer/fit.h"

static _Thread_local long n_taken;
static _Thread_local struct {
    long before;  /* n_taken when the last batch was asked for */
    bool is_open; /* the batch since is neither the first nor the last */
    const struct feed_plan *plan;
} loop;

/* glibc's own, so that the libraries' calls are counted too. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size)
{
    n_taken++;
    return __libc_malloc(size);
}
void *calloc(size_t n, size_t size)
{
    n_taken++;
    return __libc_calloc(n, size);
}
void *realloc(void *old, size_t size)
{
    n_taken++;
    return __libc_realloc(old, size);
}
void *aligned_alloc(size_t alignment, size_t size)
{
    n_taken++;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **ret, size_t alignment, size_t size)
{
    n_taken++;
    *ret = __libc_memalign(alignment, size);
    return *ret ? 0 : 12;
}

int __real_feeder_next(struct feeder *feeder, struct feeder_batch *ret, struct err *err);
int __wrap_feeder_next(struct feeder *feeder, struct feeder_batch *ret, struct err *err);
int __wrap_feeder_next(struct feeder *feeder, struct feeder_batch *ret, struct err *err)
{
    if (loop.is_open && n_taken != loop.before) {
        BUG("a step took memory %ld times", n_taken - loop.before);
    }
    loop.before = n_taken;
    int rc = __real_feeder_next(feeder, ret, err);
    loop.is_open =
        rc == 0 && ret->at.step > 0 && ret->at.step + 1 < loop.plan->stream[ret->at.stream].steps;
    if (loop.is_open && getenv("COUNT_FIT_TAKE") != NULL) {
        free(malloc(1));
    }
    return rc;
}

int __real_fit_run(struct fit *fit, struct err *err);
int __wrap_fit_run(struct fit *fit, struct err *err);
int __wrap_fit_run(struct fit *fit, struct err *err)
{
    loop.plan = fit->plan;
    return __real_fit_run(fit, err);
}

void __real_fit_show_progress(struct fit *fit, int64_t step, enum fit_show when);
void __wrap_fit_show_progress(struct fit *fit, int64_t step, enum fit_show when);
void __wrap_fit_show_progress(struct fit *fit, int64_t step, enum fit_show when)
{
    long before = n_taken;
    __real_fit_show_progress(fit, step, when);
    n_taken = before;
}

/* ktest - guarded, poisoned arrays and comparisons for kernel tests, in the manner of dav1d's
 * checkasm.
 *
 * Owns:     every array until ktest_free_all.
 * Threads:  one.
 * Errors:   a broken guard or a difference fails the test.
 * Lifetime: a test case's.
 *
 * An array ends where a page ends that may not be touched, so a read behind it is a crash; bytes
 * before it are checked.
 */
#ifndef TESTS_KERNEL_KTEST_H
#define TESTS_KERNEL_KTEST_H

#include "base/rng.h"
#include "tests/test.h"
#include "trainer/kernel/kernel.h"

#include <stddef.h>

struct ktest {
    struct arena arena;
    struct rng rng;
    struct ktest_array *arrays;
};

void ktest_init(struct ktest *k, uint64_t seed);
/* Checks all guards, frees all. */
void ktest_fini(struct ktest *k);

/* n floats, poisoned with NaN. */
float *ktest_floats(struct ktest *k, size_t n);
/* n floats in [-1, 1); every 16th is 0 and every 37th repeats the one before, so that ties occur.
 */
float *ktest_random(struct ktest *k, size_t n);
float *ktest_copy(struct ktest *k, const float *from, size_t n);
/* Aligned to 64, at least 64 bytes. */
void *ktest_scratch(struct ktest *k, size_t bytes);
/* lo .. hi */
int ktest_int(struct ktest *k, int lo, int hi);

/* |got - want| <= tolerance * max|want| + tiny; NaN nowhere unless in want. */
void ktest_near(const char *what, size_t n, const float *got, const float *want, double tolerance);
void ktest_same(const char *what, size_t n, const float *got, const float *want);

#endif

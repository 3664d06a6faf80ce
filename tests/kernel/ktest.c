#include "tests/kernel/ktest.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ck_assert writes a record to its parent each time it is reached: not for every element. */
#define GUARD 64

struct ktest_array {
    struct ktest_array *next;
    unsigned char *map;
    size_t map_bytes;
    unsigned char *data;
    size_t bytes;
};

void ktest_init(struct ktest *k, uint64_t seed)
{
    arena_init(&k->arena);
    rng_init(&k->rng, seed, 1, 0, 0);
    k->arrays = NULL;
}

void ktest_fini(struct ktest *k)
{
    for (struct ktest_array *a = k->arrays; a; a = a->next) {
        for (size_t i = 1; i <= GUARD; i++) {
            if (a->data[-(ptrdiff_t)i] != 0xa5) {
                ck_abort_msg("written %zu bytes before an array", i);
            }
        }
        munmap(a->map, a->map_bytes);
    }
    arena_fini(&k->arena);
}

static void *guarded(struct ktest *k, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t body = (bytes + GUARD + page - 1) / page * page;
    struct ktest_array *a = ARENA_NEW(&k->arena, struct ktest_array);
    a->map_bytes = body + page;
    a->map = mmap(NULL, a->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(a->map, MAP_FAILED);
    ck_assert_int_eq(mprotect(a->map + body, page, PROT_NONE), 0);
    memset(a->map, 0xa5, body - bytes);
    a->data = a->map + body - bytes;
    a->bytes = bytes;
    a->next = k->arrays;
    k->arrays = a;
    return a->data;
}

float *ktest_floats(struct ktest *k, size_t n)
{
    float *x = guarded(k, n * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        x[i] = NAN;
    }
    return x;
}

float *ktest_random(struct ktest *k, size_t n)
{
    float *x = ktest_floats(k, n);
    for (size_t i = 0; i < n; i++) {
        x[i] = rng_range(&k->rng, -1.0F, 1.0F);
        if (i % 16 == 15) {
            x[i] = 0.0F;
        } else if (i % 37 == 36) {
            x[i] = x[i - 1];
        }
    }
    return x;
}

float *ktest_copy(struct ktest *k, const float *from, size_t n)
{
    float *x = ktest_floats(k, n);
    memcpy(x, from, n * sizeof(float));
    return x;
}

void *ktest_scratch(struct ktest *k, size_t bytes)
{
    size_t size = (bytes + 63) / 64 * 64;
    void *p = guarded(k, size ? size : 64);
    memset(p, 0xff, size ? size : 64); /* NaN */
    return p;
}

int ktest_int(struct ktest *k, int lo, int hi)
{
    return lo + (int)rng_below(&k->rng, (uint64_t)(hi - lo + 1));
}

void ktest_near(const char *what, size_t n, const float *got, const float *want, double tolerance)
{
    double max = 0.0;
    for (size_t i = 0; i < n; i++) {
        double a = fabs((double)want[i]);
        max = a > max && isfinite(a) ? a : max;
    }
    double allowed = tolerance * max + 1e-7;
    for (size_t i = 0; i < n; i++) {
        bool same = (isnan(got[i]) && isnan(want[i])) || got[i] == want[i] ||
                    fabs((double)got[i] - (double)want[i]) <= allowed;
        if (!same) {
            ck_abort_msg("%s[%zu] of %zu: %.9g instead of %.9g (allowed %.3g)", what, i, n,
                         (double)got[i], (double)want[i], allowed);
        }
    }
}

void ktest_same(const char *what, size_t n, const float *got, const float *want)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t a;
        uint32_t b;
        memcpy(&a, got + i, 4);
        memcpy(&b, want + i, 4);
        bool both_nan = isnan(got[i]) && isnan(want[i]);
        if (a != b && !both_nan) {
            ck_abort_msg("%s[%zu] of %zu: bits of %.9g instead of %.9g", what, i, n, (double)got[i],
                         (double)want[i]);
        }
    }
}

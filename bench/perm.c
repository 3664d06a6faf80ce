/* perm N SECONDS - million positions a second of a permutation of N: in blocks of 1,024 as streams
 * ask for them, the same without vector units, and one by one. One JSON object. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/doc.h"
#include "base/perm.h"

enum { BLOCK = 1024, BLOCKS = 64 };

static void one_by_one(const struct perm *perm, uint64_t first, size_t n, int64_t *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (int64_t)perm_at(perm, first + i);
    }
}

typedef void take_fn(const struct perm *perm, uint64_t first, size_t n, int64_t *out);

/* Best of ten parts of the time; *sum keeps the work from being left out. */
static double rate(take_fn *take, const struct perm *perm, double seconds, int64_t *sum)
{
    static int64_t out[BLOCK];
    const size_t size = perm->n < BLOCK ? (size_t)perm->n : BLOCK;
    double best = 0;
    uint64_t at = 0;
    for (int part = 0; part < 10; part++) {
        const int64_t begin = clock_us();
        int64_t us = 0, n = 0;
        while (us < (int64_t)(seconds * 1e5)) {
            for (int i = 0; i < BLOCKS; i++) {
                at = at + 2 * size <= perm->n ? at + size : 0;
                take(perm, at, size, out);
                *sum += out[size - 1];
            }
            n += (int64_t)size * BLOCKS;
            us = clock_us() - begin;
        }
        best = (double)n / (double)us > best ? (double)n / (double)us : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    double n = 0, seconds = 0;
    if (argc != 3 || !doc_parse_float(argv[1], &n) || !doc_parse_float(argv[2], &seconds) ||
        n < 1 || n > 4e18) {
        (void)fprintf(stderr, "perm N SECONDS\n");
        return 2;
    }
    const uint64_t size = (uint64_t)n;
    void *memory = malloc(perm_bytes(size) + 1);
    int64_t sum = 0;
    struct perm perm;
    perm_init(&perm, size, &(struct perm_key){1, 2, 3}, memory);
    const double block = rate(perm_block, &perm, seconds, &sum),
                 plain = rate(perm_block_plain, &perm, seconds, &sum),
                 single = rate(one_by_one, &perm, seconds, &sum);
    printf("{\"n\": %llu, \"block\": %.1f, \"plain\": %.1f, \"single\": %.1f, \"memory\": %zu, "
           "\"sum\": %lld}\n",
           (unsigned long long)size, block, plain, single, sizeof perm + perm_bytes(size),
           (long long)sum);
    free(memory);
    return 0;
}

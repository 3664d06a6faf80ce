/* perm_kernel - the rounds of perm's network over many values, compiled three times: for any
 * x86-64, with AVX2 and with AVX-512. Whole numbers alone, so all give the same. */
#ifndef BASE_PERM_KERNEL_H
#define BASE_PERM_KERNEL_H

#include "base/perm.h"

typedef void perm_rounds_fn(const struct perm *perm, uint32_t *low, uint32_t *high, size_t n);
extern perm_rounds_fn *const perm_avx2_rounds, *const perm_avx512_rounds;

/* Two multiplications, so that every bit of x reaches the low bits that are used. */
static inline uint32_t perm_round(uint32_t x, const uint32_t key[2])
{
    x = (x + key[0]) * 0x9E3779B1u;
    x = (x ^ x >> 15) * key[1];
    return x ^ x >> 16;
}

static void rounds(const struct perm *perm, uint32_t *restrict low, uint32_t *restrict high,
                   size_t n)
{
    for (unsigned r = 0; r < perm->rounds; r++) {
        const uint32_t key[2] = {perm->key[r][0], perm->key[r][1]};
        const uint32_t mask = r % 2 == 0 ? perm->high_mask : perm->low_mask;
        const uint32_t *from = r % 2 == 0 ? low : high;
        uint32_t *to = r % 2 == 0 ? high : low;
        for (size_t i = 0; i < n; i++) {
            to[i] ^= perm_round(from[i], key) & mask;
        }
    }
}

#endif

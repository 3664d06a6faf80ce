/* perm - a keyed permutation of 0..n-1, computed and never stored: Feistel network with cycle walking.
 *
 * perm_at is a bijection for each (key, n); any n from 1 to 2^62. Source: Black and Rogaway 2002, "Ciphers with arbitrary
 * finite domains". Shuffle without a buffer: order of epoch e = perm with key (seed, stage id, e).
 */
#ifndef BASE_PERM_H
#define BASE_PERM_H

#include <stdint.h>

struct perm {
    uint64_t n;
    uint64_t key[2];
    unsigned half_bits;
};

void perm_init(struct perm *perm, uint64_t n, uint64_t seed, uint64_t stage_id, uint64_t epoch);
uint64_t perm_at(const struct perm *perm, uint64_t position);

#endif

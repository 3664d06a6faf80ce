/* perm - a keyed permutation of 0..n-1: up to 65,536 a table, beyond that computed and never
 * stored.
 *
 * Owns:     nothing; the memory of a table is the caller's.
 * Threads:  initialized, it is const.
 * Errors:   none; n outside 1..2^62 and a position outside 0..n-1 are bugs.
 * Lifetime: that of the table's memory.
 *
 * Shuffle without a buffer: order of epoch e = perm with key (seed, stage id, e). The table is
 * Fisher and Yates's (Durstenfeld 1964) with draws of Philox: every order is as likely as any
 * other. Beyond it, a Feistel network over the bits of n - 1 with cycle walking (Black and Rogaway
 * 2002, "Ciphers with arbitrary finite domains"). All arithmetic is on whole numbers: the same on
 * every machine.
 */
#ifndef BASE_PERM_H
#define BASE_PERM_H

#include <stddef.h>
#include <stdint.h>

enum {
    PERM_TABLE_MAX = 65536,
    /* Fewer show: 3 and 4 in neighbours, 5 in the orders of few values (tests/base/t_perm.c). Six
     * show nothing, and more show no less. */
    PERM_ROUNDS = 6,
};

struct perm_key {
    uint64_t seed, stage_id, epoch;
};
struct perm {
    uint64_t n;
    const uint16_t *order; /* NULL: the network */
    unsigned rounds, low_bits;
    uint32_t low_mask, high_mask;
    uint32_t key[PERM_ROUNDS][2];
};

/* Bytes of memory that perm_init fills for this n. */
size_t perm_bytes(uint64_t n);
void perm_init(struct perm *perm, uint64_t n, const struct perm_key *key, void *memory);
/* The network, whatever n is. */
void perm_init_network(struct perm *perm, uint64_t n, const struct perm_key *key);

uint64_t perm_at(const struct perm *perm, uint64_t position);
/* Of the n positions from `first` on. The second without vector units: the same numbers. */
void perm_block(const struct perm *perm, uint64_t first, size_t n, int64_t *out);
void perm_block_plain(const struct perm *perm, uint64_t first, size_t n, int64_t *out);

#endif

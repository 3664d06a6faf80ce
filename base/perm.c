#include "base/perm.h"

#include "base/err.h"

/* Six rounds: fewer show structure in neighbouring positions and across epochs, more show nothing
 * new. */
enum { ROUNDS = 6, HALF_BITS_MIN = 3 };

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

void perm_init(struct perm *perm, uint64_t n, uint64_t seed, uint64_t stage_id, uint64_t epoch)
{
    BUG_ON(n == 0 || n > (uint64_t)1 << 62);
    unsigned bits = n > 1 ? 64 - (unsigned)__builtin_clzll(n - 1) : 1;
    unsigned half = (bits + 1) / 2;
    uint64_t key = mix(mix(seed + 0x9E3779B97F4A7C15u) ^ stage_id);
    *perm = (struct perm){
        .n = n,
        .key = {mix(key ^ (epoch + 0x2545F4914F6CDD1Du)),
                mix(key + 0xD1342543DE82EF95u * (epoch + 1))},
        .half_bits = half < HALF_BITS_MIN ? HALF_BITS_MIN : half,
    };
}

static uint64_t once(const struct perm *perm, uint64_t value)
{
    uint64_t mask = ((uint64_t)1 << perm->half_bits) - 1;
    uint64_t low = value & mask;
    uint64_t high = value >> perm->half_bits;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t key = perm->key[0] + round * 0x9E3779B97F4A7C15u;
        uint64_t next = high ^ (mix((low + key) ^ perm->key[1]) >> 32 & mask);
        high = low;
        low = next;
    }
    return high << perm->half_bits | low;
}

/* Cycle walking: the network permutes 0..4^half_bits-1, less than four times n, and a value outside
 * 0..n-1 goes in again. */
uint64_t perm_at(const struct perm *perm, uint64_t position)
{
    BUG_ON(position >= perm->n);
    do {
        position = once(perm, position);
    } while (position >= perm->n);
    return position;
}

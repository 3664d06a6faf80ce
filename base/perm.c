#include "base/perm.h"

#include <string.h>

#include "base/err.h"
#include "base/perm_kernel.h"
#include "base/rng.h"

/* Values that are in work at once: their halves stay in the first-level cache. BITS_MIN: tiny n get
 * a wider network, and cycle walking cuts it back. */
enum { BLOCK = 1024, BITS_MIN = 6 };

static void draw_with(struct rng *rng, const struct perm_key *key)
{
    rng_init(rng, key->seed, key->stage_id, (uint32_t)key->epoch & ~RNG_BATCH_SCOPE,
             key->epoch >> 31);
}

/* Uniform on 0..n-1 from words of 32 bits (Lemire 2019). */
static uint32_t below(struct rng *rng, uint32_t n)
{
    uint64_t product = (uint64_t)rng_u32(rng) * n;
    const uint32_t threshold = (uint32_t)product < n ? (0 - n) % n : 0;
    while ((uint32_t)product < threshold) {
        product = (uint64_t)rng_u32(rng) * n;
    }
    return (uint32_t)(product >> 32);
}

static void fill_table(uint16_t *order, uint32_t n, const struct perm_key *key)
{
    struct rng rng;
    draw_with(&rng, key);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t k = below(&rng, i + 1);
        order[i] = order[k];
        order[k] = (uint16_t)i;
    }
}

size_t perm_bytes(uint64_t n)
{
    return n <= PERM_TABLE_MAX ? (size_t)n * sizeof(uint16_t) : 0;
}

void perm_init_network(struct perm *perm, uint64_t n, const struct perm_key *key)
{
    struct rng rng;
    BUG_ON(n == 0 || n > (uint64_t)1 << 62);
    unsigned bits = n > 1 ? 64 - (unsigned)__builtin_clzll(n - 1) : 1;
    bits = bits < BITS_MIN ? BITS_MIN : bits;
    const unsigned low = (bits + 1) / 2;
    *perm = (struct perm){.n = n,
                          .rounds = PERM_ROUNDS,
                          .low_bits = low,
                          .low_mask = ((uint32_t)1 << low) - 1,
                          .high_mask = ((uint32_t)1 << (bits - low)) - 1};
    draw_with(&rng, key);
    for (int r = 0; r < PERM_ROUNDS; r++) {
        perm->key[r][0] = rng_u32(&rng);
        perm->key[r][1] = rng_u32(&rng) | 1;
    }
}

void perm_init(struct perm *perm, uint64_t n, const struct perm_key *key, void *memory)
{
    if (n == 0 || n > PERM_TABLE_MAX) {
        perm_init_network(perm, n, key);
        return;
    }
    fill_table(memory, (uint32_t)n, key);
    *perm = (struct perm){.n = n, .order = memory};
}

static uint64_t once(const struct perm *perm, uint64_t value)
{
    uint32_t low = (uint32_t)value & perm->low_mask, high = (uint32_t)(value >> perm->low_bits);
    rounds(perm, &low, &high, 1);
    return (uint64_t)high << perm->low_bits | low;
}

/* Cycle walking: the network permutes 0..2^bits-1, less than twice n, and a value outside 0..n-1
 * goes in again. */
uint64_t perm_at(const struct perm *perm, uint64_t position)
{
    BUG_ON(position >= perm->n);
    if (perm->order != NULL) {
        return perm->order[position];
    }
    do {
        position = once(perm, position);
    } while (position >= perm->n);
    return position;
}

struct block {
    uint32_t low[BLOCK], high[BLOCK], at[BLOCK];
};

/* Those that came out beyond n, close together in front; ret: how many. */
static size_t pick_outside(const struct perm *perm, struct block *b, size_t n, int64_t *out)
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t low = b->low[i], high = b->high[i], at = b->at[i];
        const uint64_t value = (uint64_t)high << perm->low_bits | low;
        out[at] = (int64_t)value;
        b->low[left] = low;
        b->high[left] = high;
        b->at[left] = at;
        left += value >= perm->n;
    }
    return left;
}

static void walk(const struct perm *perm, perm_rounds_fn *run, uint64_t first, size_t n,
                 int64_t *out)
{
    struct block b;
    BUG_ON(first > perm->n || n > perm->n - first);
    for (size_t i = 0; i < n && perm->order != NULL; i++) {
        out[i] = perm->order[first + i];
    }
    for (size_t done = 0; done < n && perm->order == NULL; done += BLOCK) {
        size_t left = n - done < BLOCK ? n - done : BLOCK;
        for (uint32_t i = 0; i < left; i++) {
            const uint64_t value = first + done + i;
            b.low[i] = (uint32_t)value & perm->low_mask;
            b.high[i] = (uint32_t)(value >> perm->low_bits);
            b.at[i] = i;
        }
        while (left > 0) {
            run(perm, b.low, b.high, left);
            left = pick_outside(perm, &b, left, out + done);
        }
    }
}

void perm_block_plain(const struct perm *perm, uint64_t first, size_t n, int64_t *out)
{
    walk(perm, rounds, first, n, out);
}

void perm_block(const struct perm *perm, uint64_t first, size_t n, int64_t *out)
{
    walk(perm,
         __builtin_cpu_supports("avx512f") ? perm_avx512_rounds
         : __builtin_cpu_supports("avx2")  ? perm_avx2_rounds
                                           : rounds,
         first, n, out);
}

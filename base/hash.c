#include "base/hash.h"

#include <sodium.h>
#include <string.h>
#include <xxhash.h>

#include "base/err.h"

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(((struct hash *)0)->state),
               "BLAKE2b state");
_Static_assert(_Alignof(crypto_generichash_state) <= 64, "BLAKE2b state");

static crypto_generichash_state *state_of(struct hash *hash)
{
    return (crypto_generichash_state *)(void *)hash->state;
}

void hash_init(struct hash *hash)
{
    memset(hash, 0, sizeof(*hash));
    /* sodium_init picks faster code by CPU; without it the plain code runs, with the same result.
     */
    BUG_ON(sodium_init() < 0);
    BUG_ON(crypto_generichash_init(state_of(hash), NULL, 0, HASH_ID_BYTES) != 0);
}

void hash_update(struct hash *hash, const void *data, size_t size)
{
    if (size > 0) {
        BUG_ON(crypto_generichash_update(state_of(hash), data, size) != 0);
    }
}

void hash_final(struct hash *hash, char id[HASH_ID_TEXT])
{
    unsigned char bytes[HASH_ID_BYTES];
    BUG_ON(crypto_generichash_final(state_of(hash), bytes, sizeof(bytes)) != 0);
    sodium_bin2hex(id, HASH_ID_TEXT, bytes, sizeof(bytes));
}

void hash_bytes(const void *data, size_t size, char id[HASH_ID_TEXT])
{
    struct hash hash;
    hash_init(&hash);
    hash_update(&hash, data, size);
    hash_final(&hash, id);
}

uint64_t hash_fast(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

/* hash - content ids (BLAKE2b-256, libsodium) for what must not collide on purpose, XXH3-128 for what is our own.
 *
 * A content id is 64 lower-case hex digits.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_ID_BYTES = 32, HASH_ID_TEXT = 65 };

struct hash {
    unsigned char state[384] __attribute__((aligned(64)));
};
void hash_init(struct hash *hash);
void hash_update(struct hash *hash, const void *data, size_t size);
void hash_final(struct hash *hash, char id[HASH_ID_TEXT]);
void hash_bytes(const void *data, size_t size, char id[HASH_ID_TEXT]);
/* XXH3-64 with a seed; chains: h = hash_fast(data, size, h). */
uint64_t hash_fast(const void *data, size_t size, uint64_t seed);

#endif

/* farm - FarmHash's Fingerprint64: what Keras hashes texts with when no salt is given.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   none.
 * Lifetime: the caller's.
 *
 * A fingerprint: the same on every machine and in every version, so it may be stored.
 */
#ifndef HASH_FARM_H
#define HASH_FARM_H

#include <stddef.h>
#include <stdint.h>

uint64_t farm_fingerprint(const void *data, size_t n);
/* A fingerprint of two, in this order: how the inputs of a crossing are joined. */
uint64_t farm_cat(uint64_t a, uint64_t b);

#endif

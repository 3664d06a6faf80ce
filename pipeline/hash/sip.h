/* sip - SipHash-2-4 of 64 bits with a key of two words: what Keras hashes texts with under a salt.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   none.
 * Lifetime: the caller's.
 */
#ifndef HASH_SIP_H
#define HASH_SIP_H

#include <stddef.h>
#include <stdint.h>

uint64_t sip_hash(const uint64_t key[2], const void *data, size_t n);

#endif

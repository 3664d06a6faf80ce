/* op_salt - Keras's option `salt`: which hash texts are put into bins with.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   op_salt_read: ERR_INVALID, path "salt".
 * Lifetime: the caller's.
 */
#ifndef PIPELINE_OP_SALT_H
#define PIPELINE_OP_SALT_H

#include "base/doc.h"
#include "base/tensor.h"

struct op_salt {
    bool has; /* SipHash with the key, else FarmHash */
    uint64_t key[2];
};

/* Nothing, a number k (the key k, k) or two; 0 is a salt too. */
int op_salt_read(const struct doc *doc, struct op_salt *ret, struct err *err);
uint64_t op_salt_hash(const struct op_salt *salt, const char *text, size_t n);
/* Of the number's decimal text. */
uint64_t op_salt_hash_number(const struct op_salt *salt, int64_t number);

#endif

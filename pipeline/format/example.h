/* example - a tf.train.Example: named lists of bytes, floats or whole numbers.
 *
 * Owns:     nothing: features point into the record.
 * Threads:  pure functions.
 * Errors:   ERR_CORRUPT, ERR_TRUNCATED, ERR_ENCODING (a name), ERR_LIMIT, ERR_SCHEMA (a name
 * twice), ERR_NOT_FINITE. Lifetime: the record's.
 *
 * Sources: tensorflow/core/example/{example,feature}.proto and the Protocol Buffers encoding.
 * Unknown fields are skipped, groups refused. A name that comes twice is refused (protobuf would
 * let the last win in silence). Packed and unpacked lists are read.
 */
#ifndef FORMAT_EXAMPLE_H
#define FORMAT_EXAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { EXAMPLE_FEATURES_MAX = 1024 };
enum example_kind { EXAMPLE_NONE, EXAMPLE_BYTES, EXAMPLE_FLOATS, EXAMPLE_INTS };

struct example_feature {
    const char *name; /* not terminated */
    size_t n_name;
    enum example_kind kind; /* EXAMPLE_NONE: the feature is empty */
    const unsigned char *list;
    size_t list_bytes;
    int64_t n; /* values */
};

/* All features, checked to the last byte; at most `max` of them. */
int example_read(const void *data, size_t size, struct example_feature *ret, size_t max,
                 size_t *ret_n, struct err *err);
const struct example_feature *example_find(const struct example_feature *features, size_t n,
                                           const char *name);
/* n values of a feature of that kind. */
void example_ints(const struct example_feature *feature, int64_t *ret);
/* ERR_NOT_FINITE unless `takes_all`. */
int example_floats(const struct example_feature *feature, bool takes_all, float *ret,
                   struct err *err);
/* The i-th text of a list of bytes. */
void example_bytes(const struct example_feature *feature, int64_t i, const unsigned char **ret,
                   size_t *ret_size);

#endif

/* op_learn - what an op learns from data before it runs (Keras: adapt): a state that grows by samples.
 *
 * Owns:     a state is its maker's; create .. destroy.
 * Threads:  a state belongs to one thread.
 * Errors:   create: ERR_INVALID, nothing is to be learned (path of the option that is given). add:
 *           ERR_SHAPE, ERR_NOT_FINITE, ERR_LIMIT. finish: ERR_EMPTY. load: ERR_CORRUPT.
 * Lifetime: the op's context has to outlive its states.
 *
 * States of parts merge, in any order, to the state of the whole, and equal states are saved as
 * equal bytes: which worker had which part, and who was first, changes nothing.
 */
#ifndef PIPELINE_OP_LEARN_H
#define PIPELINE_OP_LEARN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/doc.h"
#include "base/tensor.h"

struct op_learn {
    int (*create)(const void *ctx, void **ret, struct err *err);
    void (*destroy)(void *state); /* takes NULL */
    /* One sample; `batch` of the data, by which some group them. Those of a batch come together. */
    int (*add)(void *state, int64_t batch, const struct tensor *in, struct err *err);
    int (*merge)(void *state, void *other, struct err *err);
    /* Puts what was learned into the op's options. */
    int (*finish)(void *state, struct doc *options, struct arena *arena, struct err *err);
    void (*save)(void *state, struct buf *out);
    int (*load)(void *state, const void *data, size_t size, struct err *err); /* merges */
};

#endif

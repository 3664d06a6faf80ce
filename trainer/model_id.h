/* model_id - the content id of a set of named tensors: how equality of two checkpoints is defined.
 *
 * Owns:     nothing. Threads: a pure function of its arguments. Errors: none. Lifetime: none.
 */
#ifndef TRAINER_MODEL_ID_H
#define TRAINER_MODEL_ID_H

#include "trainer/model.h"

/* BLAKE2b over (path, dtype, shape, bytes) of each tensor in order. model_tensors_id is this over
 * model_tensors. */
void model_id_hash(const struct model_tensor *tensors, int n, char id[65]);

#endif

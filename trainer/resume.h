/* resume - from a `.keras` file back into a model: the newest whole checkpoint of a folder, or the
 * weights of another model.
 *
 * Owns:     nothing; what is loaded lives in the arena given.
 * Threads:  before the writer of checkpoints starts (HDF5 is one thread's at a time).
 * Errors:   ERR_MISSING, ERR_SHAPE (path = the tensor), ERR_CORRUPT (no checkpoint of several can
 * be read), keras_file_load's. Lifetime: the arena's.
 */
#ifndef TRAINER_RESUME_H
#define TRAINER_RESUME_H

#include "trainer/control.h"
#include "trainer/keras/keras_file.h"
#include "trainer/model.h"
#include "trainer/state.h"

/* The newest checkpoint that is whole, into the model; ret_found is empty if there is none. Damaged
 * ones are named in the log and passed over. */
int resume_newest(struct model *model, struct control *control, int dir_fd, struct arena *arena,
                  char ret_found[64], struct state *ret, struct err *err);
/* Tensors of a file into the model: weights, and the optimizer's if with_optimizer. Every one must
 * be there and fit. */
int resume_load_tensors(struct model *model, const struct keras_file *file, bool with_optimizer,
                        struct err *err);
/* A bound for what a file of this model may unpack to. */
size_t resume_max_bytes(const struct model *model);

#endif

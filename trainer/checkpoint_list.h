/* checkpoint_list - the checkpoint files of a job's folder by name and age.
 *
 * Owns:     nothing but inside a call.
 * Threads:  one at a time a folder.
 * Errors:   those of keras_file_save; listing never fails, a folder that cannot be read is empty.
 * Lifetime: none.
 */
#ifndef TRAINER_CHECKPOINT_LIST_H
#define TRAINER_CHECKPOINT_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "trainer/keras/keras_file.h"

enum { CHECKPOINT_LIST_MAX = 1024 };

/* "ckpt-0000001234.keras" */
void checkpoint_list_name(int64_t global_step, char *buf, size_t size);
/* Global steps of the checkpoints, newest first; at most CHECKPOINT_LIST_MAX. */
int checkpoint_list_read(int dir_fd, int64_t *ret_steps);
/* Removes all but the `keep` newest. */
void checkpoint_list_prune(int dir_fd, int64_t keep);
int checkpoint_list_save(int dir_fd, const char *name, const struct doc *config,
                         const struct doc *state, const struct keras_tensor *tensors, int n_tensors,
                         struct err *err);

#endif

/* keras_h5 - named tensors in HDF5 (model.weights.h5, legacy .h5): the only place that sees hdf5.h.
 *
 * Owns:     reading allocates from the arena.
 * Threads:  libhdf5 is not thread-safe: one call at a time in a process.
 * Errors:   ERR_NO_SPACE, ERR_IO; reading: ERR_CORRUPT, ERR_LIMIT, ERR_UNSUPPORTED (links, odd types).
 * Lifetime: the arena's.
 *
 * Writes the dialect that h5py writes (superblock 0, old groups): the safe choice for other readers.
 */
#ifndef TRAINER_KERAS_KERAS_H5_H
#define TRAINER_KERAS_KERAS_H5_H

#include "base/arena.h"
#include "trainer/keras/keras_file.h"

enum { KERAS_H5_USER_BLOCK = 4096 };

/* Writes a new file at `path` (truncates), HDF5 data starting behind KERAS_H5_USER_BLOCK bytes that are the caller's. fd is the same
 * file, for reservation; *ret_size is the size of the HDF5 part. It stands alone when cut out. */
int keras_h5_write(const char *path, int fd, const struct keras_tensor *tensors, int n, uint64_t *ret_size,
                   struct err *err);
/* Reads an HDF5 image: tensors in the order of their paths; for a legacy file in layer_names and weight_names order, and
 * *ret_config is model_config. `image` is only read. */
int keras_h5_read(const void *image, size_t size, size_t max_bytes, struct arena *arena, struct keras_file *ret,
                  struct err *err);

#endif

/* keras_file - a `.keras` file as a container: config, metadata, named tensors, our run state.
 *
 * Owns:     keras_file_load allocates from the arena; saving allocates nothing of the tensors' size.
 * Threads:  any one thread; HDF5 is not thread-safe, so one at a time in a process.
 * Errors:   ERR_NO_SPACE, ERR_IO; loading: ERR_CORRUPT, ERR_LIMIT, ERR_UNSUPPORTED. Parses untrusted bytes: call it in a sandbox.
 * Lifetime: the arena's.
 *
 * Zip of stored members metadata.json, config.json, model.weights.h5 (shared/golden/doc/keras_format.md) and millrace.json (run
 * state; Keras ignores it). HDF5 is written in place inside the zip, then CRC, directory, fsync, rename (law 5).
 * Also read: deflated members, `.weights.h5` and legacy `.h5` files.
 */
#ifndef TRAINER_KERAS_KERAS_FILE_H
#define TRAINER_KERAS_KERAS_FILE_H

#include <stdbool.h>

#include "base/doc.h"
#include "base/tensor.h"

struct keras_tensor {
    const char *path; /* in the HDF5 file: "layers/conv2d/vars/0" */
    const char *name; /* attribute `name` of its vars group, or NULL */
    enum dtype dtype;
    struct shape shape;
    const void *data;
};
struct keras_file {
    struct doc *metadata; /* or NULL */
    struct doc *config;   /* or NULL (weights only) */
    struct doc *state;    /* millrace.json, or NULL */
    const struct keras_tensor *tensors;
    int n_tensors;
    bool legacy; /* old .h5: paths are "model_weights/<layer>/<weight path>" in weight_names order */
};

/* state may be NULL. Atomic: NAME is the old file or the new one. */
int keras_file_save(int dir_fd, const char *name, const struct doc *config, const struct doc *state,
                    const struct keras_tensor *tensors, int n_tensors, struct err *err);
/* keras, .weights.h5 or .h5 by their first bytes. max_bytes bounds what is decompressed. */
int keras_file_load(int fd, size_t max_bytes, struct arena *arena, struct keras_file *ret, struct err *err);
/* The tensor at an HDF5 path, or NULL. */
const struct keras_tensor *keras_file_find(const struct keras_file *file, const char *path);
/* The tensor "layers/.../vars/N" of a layer; in a legacy file the layer's N-th weight, whatever its path says. Or NULL. */
const struct keras_tensor *keras_file_weight(const struct keras_file *file, const char *path, const char *layer);

#endif

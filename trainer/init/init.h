/* init - first values of variables: Keras's initializers, drawn from the job's seed and the
 * variable's path.
 *
 * Owns:     options live in the arena given to init_read.
 * Threads:  read-only after init_read.
 * Errors:   init_read: as opt_read, with the path below the document.
 * Lifetime: the arena's.
 *
 * The numbers are not Keras's (another generator); their laws are. A `seed` in the document takes
 * the place of the job's.
 */
#ifndef TRAINER_INIT_INIT_H
#define TRAINER_INIT_INIT_H

#include "base/arena.h"
#include "base/doc.h"
#include "base/opt.h"
#include "base/tensor.h"

struct init_desc;
struct init {
    const struct init_desc *desc;
    const void *options;
};

/* The n-th initializer's name, options and sentence; NULL past the last. */
const char *init_at(size_t n, const struct opt **ret_options, const char **ret_summary);
/* doc NULL: the initializer named `fallback`. */
int init_read(const struct doc *doc, const char *fallback, struct arena *arena, struct init *ret,
              struct err *err);
/* ERR_SHAPE where the initializer does not take the shape (Identity, Orthogonal). */
int init_check(const struct init *init, const struct shape *shape, struct err *err);
/* Fills `count` values of the shape: a function of (initializer, shape, seed, path) alone. */
void init_fill(const struct init *init, const struct shape *shape, uint64_t seed, const char *path,
               float *data);
void init_config(const struct init *init, struct doc *map, struct arena *arena);

#endif

/* class_name - Keras's names of classes: their snake case, their aliases, the nearest one.
 *
 * Owns:     nothing.
 * Threads:  pure functions.
 * Errors:   ERR_UNKNOWN with the nearest name, ERR_INVALID for a document that names nothing.
 * Lifetime: none.
 */
#ifndef TRAINER_CLASS_NAME_H
#define TRAINER_CLASS_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/doc.h"
#include "base/err.h"
#include "base/opt.h"

enum { CLASS_NAME_MAX = 96 };

/* "GlobalAveragePooling2D" -> "global_average_pooling2d", as Keras names layers and HDF5 groups. */
void class_name_snake(const char *name, char *buf, size_t size);
/* Whether text is the class's name, its snake case, or a word of `aliases` (blanks between; NULL:
 * none). */
bool class_name_is(const char *name, const char *aliases, const char *text);

/* A family of classes for lookups: the n-th name and aliases; NULL past the last. */
struct class_name_family {
    const char *what; /* "loss": for messages */
    const char *(*at)(size_t n, const char **ret_aliases);
};
/* The index of the class that text names; ERR_UNKNOWN with the nearest name. */
int class_name_find(const struct class_name_family *family, const char *text, struct err *err);
/* The class and options (NULL: none) that a document names: `Adam`, {Adam: {...}}, {class_name,
 * config}. Returns the index. */
int class_name_read(const struct class_name_family *family, const struct doc *doc,
                    const struct doc **ret_options, struct err *err);
/* {module, class_name, registered_name: null, config} into map; returns config, an empty map. */
struct doc *class_name_put(struct doc *map, struct arena *arena, const char *module,
                           const char *name);
/* The same of a class that Keras lacks: registered as "millrace>NAME" by millrace_keras.py. */
struct doc *class_name_put_ours(struct doc *map, struct arena *arena, const char *name);
/* The options without pairs that the table does not have and that say nothing (null, false):
 * Keras's files hold many. */
const struct doc *class_name_known(const struct opt *table, const struct doc *options,
                                   struct arena *arena);
/* opt_write for Keras: a nullable number that is at its default is null, and ignored rows are left
 * out. */
void class_name_write(const struct opt *table, const void *ctx, struct doc *map,
                      struct arena *arena);

#endif

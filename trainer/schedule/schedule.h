/* schedule - the learning rate as a function of the step.
 *
 * Owns:     the options of a schedule live in the arena given.
 * Threads:  read-only after schedule_read.
 * Errors:   schedule_read: as opt_read, with the path below the document.
 * Lifetime: the arena's.
 *
 * Adding one: trainer/schedule/NAME.c with `const struct schedule_desc schedule_NAME`, and NAME in
 * meson.build.
 */
#ifndef TRAINER_SCHEDULE_SCHEDULE_H
#define TRAINER_SCHEDULE_SCHEDULE_H

#include "base/arena.h"
#include "base/doc.h"
#include "base/opt.h"

struct schedule_desc {
    const char *name; /* Keras's class */
    const char *summary;
    const struct opt *options;
    size_t size; /* of the options' struct */
    /* NULL: nothing to check beyond the rows. */
    int (*check)(const void *options, struct err *err);
    double (*rate)(const void *options, double step);
};

/* One schedule, or a constant (desc NULL). */
struct schedule {
    const struct schedule_desc *desc;
    const void *options;
    double constant;
};

/* The n-th schedule, or NULL. */
const struct schedule_desc *schedule_at(size_t n);
/* doc: a number, or a schedule by name. NULL: the constant `fallback`. */
int schedule_read(const struct doc *doc, double fallback, struct arena *arena, struct schedule *ret,
                  struct err *err);
/* The rate at a step, rounded to float32 as Keras's variable is. */
double schedule_rate(const struct schedule *schedule, int64_t step);
/* The number, or {module, class_name, config}. */
void schedule_config(const struct schedule *schedule, struct doc *doc, struct arena *arena);

#endif

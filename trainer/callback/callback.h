/* callback - what a job wants done between epochs: Keras's callbacks, as wishes to the fit loop.
 *
 * Owns:     options and memory live in the arena given to callback_list_read.
 * Threads:  the fit loop's.
 * Errors:   callback_list_read: as opt_read, ERR_UNKNOWN (a metric that is not there),
 * ERR_UNSUPPORTED, the path "fit.callbacks[n]...". Lifetime: the arena's.
 *
 * What a callback remembers follows from the rows of the history that it was shown, and from
 * nothing else: a resumed run shows it those again and goes on as if it had not stopped (law 3).
 * Adding one: trainer/callback/NAME.c with `const struct callback_desc callback_NAME`, and NAME in
 * meson.build.
 */
#ifndef TRAINER_CALLBACK_CALLBACK_H
#define TRAINER_CALLBACK_CALLBACK_H

#include "base/opt.h"
#include "trainer/model.h"

enum { CALLBACKS_MAX = 16, CALLBACK_NAME_MAX = 128 };

struct callback_setup {
    const struct model *model;
    bool validates; /* rows of some epochs have val_... */
    struct arena *arena;
};

/* The end of an epoch. */
struct callback_epoch {
    int64_t epoch;             /* from 0 */
    const struct doc *metrics; /* its row of the history: loss, ..., learning_rate */
    const struct doc *history; /* all rows, this one too */
};

struct callback_file {
    char name[CALLBACK_NAME_MAX];
    const struct buf *text;
};

/* What is to be done; zeroed = nothing. */
struct callback_wish {
    double rate; /* learning rate from now on; 0 = as it is */
    bool stop;
    int n_says; /* lines for the log */
    char says[CALLBACKS_MAX][160];
    int n_saves; /* the model is to be saved under these names too */
    char saves[CALLBACKS_MAX][CALLBACK_NAME_MAX];
    const char *restore; /* the file whose weights the model takes when the training is over */
    int n_files;         /* texts to be written */
    struct callback_file files[CALLBACKS_MAX];
};

struct callbacks;
/* doc: one, or a list; NULL or null: none. */
int callback_list_read(const struct doc *doc, const struct callback_setup *setup,
                       struct arena *arena, struct callbacks **ret, struct err *err);
int callback_list_n(const struct callbacks *callbacks);
void callback_list_begin(struct callbacks *callbacks, int64_t epoch, struct callback_wish *wish);
void callback_list_end(struct callbacks *callbacks, const struct callback_epoch *epoch,
                       struct callback_wish *wish);
/* Shows them the rows of a run that goes on; of the wishes stop and restore stay. */
void callback_list_replay(struct callbacks *callbacks, const struct doc *history,
                          struct callback_wish *wish);
void callback_list_fini(struct callbacks *callbacks); /* takes NULL */

/* -- for the files of the family ------------------------------------------------------------- */

struct callback_desc {
    const char *name; /* Keras's class */
    const char *summary;
    const struct opt *options;
    size_t size, memory; /* bytes of the options' struct and of what it remembers */
    /* Completes the options, refuses what rows cannot; or NULL. */
    int (*prepare)(void *options, const struct callback_setup *setup, struct err *err);
    void (*begin)(const void *options, void *memory, int64_t epoch,
                  struct callback_wish *wish); /* or NULL */
    void (*end)(const void *options, void *memory, const struct callback_epoch *epoch,
                struct callback_wish *wish); /* or NULL */
    void (*fini)(void *memory);              /* or NULL */
};
/* The n-th, or NULL. */
const struct callback_desc *callback_at(size_t n);

void callback_save(struct callback_wish *wish, const char *name);
void callback_say(struct callback_wish *wish, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ERR_UNSUPPORTED where the learning rate is a schedule, which nothing else can change. */
int callback_rate_check(const struct callback_setup *setup, struct err *err);

/* A metric that is watched. */
struct callback_monitor {
    const char *monitor;
    int mode;
    double min_delta;
    int direction; /* 1: the greater the better; -1 */
};
enum { CALLBACK_AUTO, CALLBACK_MIN, CALLBACK_MAX };
extern const struct opt_name callback_modes[];
// clang-format off
#define CALLBACK_MONITOR_ROWS(S) \
    { .name = "monitor", .help = "The metric that is watched, as the history names it.", .type = OPT_STR, \
      .offset = OPT_FIELD(S, watch.monitor, const char *), .def_str = "val_loss" }, \
    { .name = "mode", .help = "Whether the least or the greatest is best; auto knows by the metric.", .type = OPT_ENUM, \
      .offset = OPT_FIELD(S, watch.mode, int), .def = CALLBACK_AUTO, .names = callback_modes }
#define CALLBACK_DELTA_ROW(S, d) \
    { .name = "min_delta", .help = "What a change has to exceed to count as better.", .type = OPT_F64, \
      .offset = OPT_FIELD(S, watch.min_delta, double), .def = (d), .min = 0.0, .max = 1e30 }
// clang-format on
int callback_monitor_prepare(struct callback_monitor *watch, const struct callback_setup *setup,
                             struct err *err);
bool callback_better(const struct callback_monitor *watch, double value, double than);
/* The metric of an epoch; false: there is none, as without a validation. */
bool callback_metric(const struct callback_monitor *watch, const struct callback_epoch *epoch,
                     double *ret);

/* A file of the job's folder, with {epoch}, {epoch:02d}, {val_loss:.4f} in its name. ERR_INVALID:
 * the path `option`. */
int callback_name_check(const char *pattern, const char *suffix, const char *option,
                        const struct callback_setup *setup, struct err *err);
void callback_name(const char *pattern, const struct callback_epoch *epoch,
                   char ret[CALLBACK_NAME_MAX]);

#endif

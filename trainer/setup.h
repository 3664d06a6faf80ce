/* setup - from the descriptors of child.start to a job, a data plan and a compiled model: what
 * check, run and predict share.
 *
 * Owns:     everything lives in the arena given, but the model (setup_fini).
 * Threads:  main, before any other thread of ours.
 * Errors:   point into the job; setup_read_doc: ERR_MISSING, ERR_SYNTAX, ERR_LIMIT.
 * Lifetime: the process's.
 */
#ifndef TRAINER_SETUP_H
#define TRAINER_SETUP_H

#include "proto/sandbox.h"
#include "trainer/callback/callback.h"
#include "trainer/control.h"
#include "trainer/feed_plan.h"
#include "trainer/keras/keras_file.h"
#include "trainer/model.h"

struct setup {
    struct arena arena;
    struct control *control; /* NULL on the command line */
    const struct msg_child_start *start;
    const struct child_fds *fds;
    struct doc *job_doc, *plan_doc;
    struct job_spec job;
    struct feed_plan plan;
    struct model_input inputs[SLAB_FIELDS_MAX];
    struct model_input label;
    int n_inputs;
    int64_t least_rows; /* of the greatest batch: predictions have a size of their own */
    bool has_source;
    struct keras_file source; /* of "model": what the job starts from */
    struct model *model;
    struct callbacks *callbacks;
    int landlock_abi;
    bool seccomp;
};

int setup_fd(const struct setup *setup, const char *name);
int setup_read_fd(int fd, const char *name, size_t max_bytes, struct buf *out, struct err *err);
/* JSON or msgpack, from offset 0. */
int setup_read_doc(int fd, const char *name, struct arena *arena, struct doc **ret,
                   struct err *err);
/* Limits and Landlock; then, after the sockets are open, seccomp. Both do nothing when
 * settings.sandbox is false. */
int setup_sandbox(struct setup *setup, const struct sandbox_paths *paths, struct err *err);
int setup_seccomp(struct setup *setup, struct err *err);
int setup_ready(struct setup *setup, struct err *err);
/* Reads "job", "plan" and, if it is there, "model". */
int setup_read(struct setup *setup, struct err *err);
/* Compiles the model with the plan's fields as inputs; weights of "model" are loaded. */
int setup_model(struct setup *setup, struct err *err);
/* What the job wants between epochs, checked against model and plan. */
int setup_callbacks(struct setup *setup, struct err *err);
void setup_fini(struct setup *setup);

#endif

/* check - a submitted job is checked by short-lived children: a worker reads the data half, a
 * trainer the model half.
 *
 * Owns:     a check frees itself after `done` was called.
 * Threads:  the loop's.
 * Errors:   `done` gets the error with its path into the job; ERR_TIMEOUT, ERR_INTERNAL (a checker
 * died). Lifetime: check_start .. done. Only a few run at once, the others wait.
 */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include "daemon/jobs.h"

struct check_input {  /* copied where it must last */
    const char *id;   /* job id for the log */
    const char *text; /* the job as JSON */
    size_t size;
    const struct job_pin *pins;
    int64_t n_pins;
    int model_fd; /* a .keras that it starts from, or -1; taken over */
    /* Workers make what the pipeline computes once. NULL: the check makes it itself. progress:
     * {path, what, parts, made, part_elements, elements, workers}; NULL: it is over, and all is
     * checked again. */
    void (*adapt)(void *context, const struct doc *progress);
    int64_t workers; /* so many */
};

/* plan: NULL with an error; lives till the callback returns. */
typedef void check_fn(void *context, const struct doc *plan, const struct err *err);

int check_start(struct daemon *daemon, const struct check_input *input, check_fn *done,
                void *context, struct check **ret, struct err *err);
/* Ends it without calling done. */
void check_cancel(struct check *check);
/* Looks after workers that hang. */
void check_watch(struct check *check);

#endif

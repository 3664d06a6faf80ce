/* checker - mode "check": compiles the pipeline of a job and answers with the data half of its
 * plan.
 *
 * Owns, Lifetime: nothing beyond the call. Threads: the main thread.
 * Errors:   those of the documents, with the path from the root of the job.
 */
#ifndef WORKERS_CHECKER_H
#define WORKERS_CHECKER_H

#include "workers/inputs.h"

/* Goes into the sandbox and compiles what the job says; the caller destroys it. */
int checker_compile(struct inputs *inputs, struct arena *arena, struct pipeline **ret,
                    struct err *err);
int checker_run(struct inputs *inputs, struct arena *arena, struct err *err);

#endif

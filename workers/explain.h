/* explain - mode "explain": compiles the pipeline of a job and answers with what it does.
 *
 * Owns, Lifetime: nothing beyond the call. Threads: the main thread.
 * Errors:   those of the documents, with the path from the root of the job.
 */
#ifndef WORKERS_EXPLAIN_H
#define WORKERS_EXPLAIN_H

#include "workers/inputs.h"

int explain_run(struct inputs *inputs, struct arena *arena, struct err *err);

#endif

/* loop - mode "run": makes the chunks that the trainer asks for until one of the two others is
 * gone.
 *
 * Owns:     the data socket and the output, for the time of the call.
 * Threads:  the main thread; ZeroMQ has one of its own.
 * Errors:   ERR_GONE when trainer or daemon are gone, ERR_DATA when a sample is bad and the job
 * refuses that. Lifetime: the process's: it runs till the daemon says stop (0) or an error.
 *
 * Order: limits, Landlock, connect, seccomp, and only then the first byte that a user wrote.
 * Nothing is reconnected: a worker without its trainer ends and the daemon starts another.
 */
#ifndef WORKERS_LOOP_H
#define WORKERS_LOOP_H

#include "workers/inputs.h"

int loop_run(struct inputs *inputs, struct arena *arena, struct err *err);

#endif

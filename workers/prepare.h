/* prepare - a worker that makes parts of what the pipeline lacks, and ends when there is none left
 * that no other one makes.
 *
 * Owns, Threads, Lifetime: as loop.
 * Errors: those of pipeline_compile, but ERR_NOT_MADE: that is its work.
 */
#ifndef WORKERS_PREPARE_H
#define WORKERS_PREPARE_H

#include "workers/inputs.h"

int prepare_run(struct inputs *inputs, struct arena *arena, struct err *err);

#endif

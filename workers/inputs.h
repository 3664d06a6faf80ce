/* inputs - what a worker was given at its start: the start message, its descriptors, and the
 * documents behind them.
 *
 * Owns:     the descriptors received, until the process ends.
 * Threads:  the main thread.
 * Errors:   ERR_MISSING (a descriptor that the mode needs), ERR_LIMIT, ERR_SYNTAX and those of
 * job_read. Lifetime: the process's; documents live in the arena given.
 *
 * inputs_receive reads only what the daemon wrote; inputs_read parses what users wrote and belongs
 * into the sandbox.
 */
#ifndef WORKERS_INPUTS_H
#define WORKERS_INPUTS_H

#include "pipeline/kept.h"
#include "pipeline/pipeline.h"
#include "proto/child.h"
#include "proto/job.h"
#include "workers/feeding.h"

struct inputs_settings {
    bool sandbox;
    int64_t memory_bytes; /* address space; 0 = no limit */
    bool profile;         /* times an op with every chunk */
    int64_t make_ms;      /* of a check: so long it makes what is computed once; -1 = all of it */
    int64_t stream;       /* of a preview: enum pipeline_stream, its place and number of rows */
    int64_t epoch, step, rows;
    int64_t begin, kept, place; /* of what is saved: element, elements and bytes so far */
};

struct inputs {
    const struct msg_child_start *start;
    struct child_fds fds;
    struct inputs_settings settings;
    int blobs_fd;
    int slab_fd; /* -1 in a checker and in a worker that answers inline */
    struct job_spec job;
    struct kept kept; /* fd -1: nothing is kept */
    struct pipeline_store store;
    struct feeding *feeding;
};

extern const struct opt inputs_settings_options[];

int inputs_receive(struct inputs *ret, int fd, struct arena *arena, struct err *err);
int inputs_read(struct inputs *inputs, struct arena *arena, struct err *err);

#endif

/* output - where a worker puts the rows of a batch: a slab of shared memory, or memory of its own
 * that is sent.
 *
 * Owns:     the mapping or the scratch memory, given back by output_close.
 * Threads:  the main thread.
 * Errors:   ERR_CORRUPT (the slabs do not fit the plan), ERR_RANGE (a chunk outside the stream),
 * ERR_NO_MEMORY. Lifetime: the process's.
 *
 * The two forms are the rows of one table; the inline one is what the fast one is tested against.
 */
#ifndef WORKERS_OUTPUT_H
#define WORKERS_OUTPUT_H

#include "proto/sock.h"
#include "workers/inputs.h"

struct output_form;
struct output {
    const struct output_form *form;
    const struct pipeline *pipeline;
    bool given[PIPELINE_STREAM_MAX_];
    struct slab_layout layout[PIPELINE_STREAM_MAX_];
    size_t batch_bytes; /* of the larger layout */
    struct slab slab;
    unsigned char *scratch;
    struct slab_in_flight
        *in_flight; /* this worker's entry; its own memory where no table is shared */
    struct slab_in_flight own;
};

int output_open(struct output *ret, const struct inputs *inputs, const struct pipeline *pipeline,
                struct arena *arena, struct err *err);
void output_close(struct output *output);
/* Where the batch of a chunk stands, laid out as output->layout[chunk->stream]; checks the chunk
 * first. */
int output_place(const struct output *output, const struct msg_chunk_make *chunk,
                 unsigned char **ret, struct err *err);
/* Frames to send behind chunk.done: 0 with slabs, one a field inline. */
int output_frames(const struct output *output, const struct msg_chunk_make *chunk,
                  const unsigned char *batch, struct sock_frame frames[SLAB_FIELDS_MAX]);

#endif

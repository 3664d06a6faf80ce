/* fuse - neighbouring ops of one kind become one pass: geometric ones one resampling, linear ones
 * one product and one sum.
 *
 * Owns:     nodes point into the chain; factors live in the arena.
 * Threads:  fuse_run is pure.
 * Errors:   fuse_run: ERR_LIMIT.
 * Lifetime: the stream's.
 *
 * Fusion changes the last bits (and, at the border, the fill), so it is part of a pipeline's
 * identity; `exact: true` forbids it.
 */
#ifndef PIPELINE_FUSE_H
#define PIPELINE_FUSE_H

#include "pipeline/stream.h"

/* Fills chain->nodes from chain->ops. */
void fuse_nodes(struct stream_chain *chain, struct arena *arena);
int fuse_run(const struct stream *stream, const struct stream_node *node, const struct tensor *in,
             const struct stream_places *places, struct tensor *out, struct err *err);
struct op_key fuse_key(const struct stream *stream, const struct stream_op *op,
                       const struct stream_places *places);

#endif

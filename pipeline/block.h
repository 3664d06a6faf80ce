/* block - rows of a batch made many at once, where no row needs to be looked at by itself.
 *
 * Owns:     nothing; memory of the stream's fields is used.
 * Threads:  one, the stream's.
 * Errors:   none: what goes wrong is found and named when the rows are made one by one.
 * Lifetime: a call.
 *
 * A stream takes blocks if its source gives rows of fixed size as they are (source_desc.read_rows)
 * and its ops work number by number, the same on every sample (OP_CHANNELS). Then the places of a
 * block are computed together, its rows are gathered, and each op runs once. The same bytes come
 * out as row by row.
 */
#ifndef PIPELINE_BLOCK_H
#define PIPELINE_BLOCK_H

#include "pipeline/stream.h"

struct block_want {
    int64_t epoch, step, row, n; /* n <= stream->block_rows */
    const struct opt_ints *skip; /* samples that are not to be opened */
    void *const *rows;           /* where row `row` of each field goes */
    unsigned char *samples;      /* n numbers of samples, of 8 bytes */
    _Atomic int64_t *in_flight;  /* says which row is being read, or NULL */
};

/* Sets stream->block_rows. */
void block_find(struct stream *stream, struct arena *arena);
/* False: the rows have to be made one by one. */
bool block_make(struct stream *stream, const struct block_want *want);

#endif

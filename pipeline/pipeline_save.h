/* pipeline_save - the elements of a stream, as they stand before batches, in pieces of the file
 * that the source `saved` reads.
 *
 * Owns:     the buffers of a piece, given back by pipeline_save_fini; documents live in the arena.
 * Threads:  one.
 * Errors:   those of pipeline_compile; ERR_NOT_FOUND: no such stream; ERR_RANGE behind the last
 *           element, ERR_LIMIT for one that does not fit, ERR_DATA with the path of a bad file
 * where the job refuses those. Lifetime: the call's.
 *
 * A piece is the head of a file of `kept` elements whose index stands at `place`, the index entries
 * of the elements that were made, and their bytes, which stand at `begin`. Who wants the next piece
 * gives next, kept and place back. It ends with what fits and with what was made in so long.
 */
#ifndef PIPELINE_PIPELINE_SAVE_H
#define PIPELINE_PIPELINE_SAVE_H

#include "base/buf.h"
#include "pipeline/pipeline.h"

struct pipeline_save {
    enum pipeline_stream stream;
    int64_t epoch, next, kept, place; /* element; elements and bytes so far */
    size_t max_bytes;
    int64_t max_us;
};
struct pipeline_save_piece {
    int64_t elements, next, kept, begin, place;
    struct buf head, index, data;
    struct doc *bad; /* [{path, reason}] of the first that were left out */
};
int pipeline_save(const struct job_spec *job, const struct pipeline_store *store,
                  const struct pipeline_save *want, struct arena *arena,
                  struct pipeline_save_piece *ret, struct err *err);
void pipeline_save_fini(struct pipeline_save_piece *piece);

#endif

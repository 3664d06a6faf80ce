/* column - numbers of the elements of a stream, found once: what the tables of derived streams are
 * made of.
 *
 * Owns:     its numbers; column_fini gives them back.
 * Threads:  one.
 * Errors:   of column_make: those of `numbers` and of reading an element; ERR_LIMIT, ERR_NO_MEMORY,
 *           ERR_NOT_MADE (kept.h).
 * Lifetime: column_make .. column_fini.
 *
 * Made in parts, ranges of elements, each a function of the stream and its range alone; put
 * together in their order. With a kept folder they are looked up there first, and kept when they
 * were made. Where elements are the same in each iteration there is a row for each of the source,
 * which holds for all iterations; else a column belongs to one iteration, with a row for each
 * position.
 */
#ifndef PIPELINE_COLUMN_H
#define PIPELINE_COLUMN_H

#include "pipeline/stream.h"

enum { COLUMN_ELEMENTS_MAX = 1 << 27, COLUMN_WIDTH_MAX = ELEMENT_FIELDS_MAX * SHAPE_RANK_MAX };
#define COLUMN_BAD INT64_MIN /* of an element that cannot be read */

struct column {
    struct stream *in;
    struct pool *pool;
    const char *what;  /* it is, for its id: "keys" */
    const char *path;  /* of the stage */
    int width;         /* numbers of an element */
    int64_t low, high; /* what they may be, 0 among it */
    bool takes_bad;    /* an element that cannot be read has COLUMN_BAD; else it is an error */
    bool is_folded;    /* one row: the greatest of all */
    int (*numbers)(const struct column *column, const struct element *element, int64_t *ret,
                   struct err *err);
    const void *context;

    /* column_make's own */
    int64_t *v;
    int64_t n;         /* elements */
    int64_t iteration; /* whose it is; -1 = it holds for all */
    bool is_by_source;
};
int column_make(struct column *column, int64_t iteration, struct err *err);
void column_fini(struct column *column);
/* Does what was made hold for this iteration? */
static inline bool column_holds(const struct column *column, int64_t iteration)
{
    return column->v != NULL && (column->iteration < 0 || column->iteration == iteration);
}
/* The numbers of the element at a place of the stream; for what is not folded. */
const int64_t *column_at(const struct column *column, const struct stage_place *place);

#endif

/* saved - the elements of a stream as a file: what `millrace pipeline save` writes and the source
 * `saved` reads.
 *
 * Owns:     saved_open: an index, given back by saved_close; the descriptor is the caller's. Spec
 *           and classes live in the arena given.
 * Threads:  one at a time.
 * Errors:   saved_open: ERR_BAD_MAGIC, ERR_TRUNCATED, ERR_CORRUPT, ERR_LIMIT, ERR_VERSION.
 * saved_read: ERR_CORRUPT for an element that is damaged. Lifetime: open .. close; an element read
 * lasts until the next one.
 *
 * head | elements, each at a multiple of eight bytes (element_pack.h) | an index entry an element.
 * The head says where the index begins; behind it stands JSON: fields and classes.
 */
#ifndef PIPELINE_SAVED_H
#define PIPELINE_SAVED_H

#include "pipeline/element_pack.h"
#include "pipeline/source.h"

struct saved_entry {
    int64_t place, bytes;
    uint64_t checksum;
};

/* ---- writing: pieces of a file, whoever puts them together ---- */

/* The beginning of a file of n elements whose index begins at index_at. It has as many bytes for
 * every n. */
void saved_head(const struct source *of, const struct element_spec *spec, int64_t n,
                int64_t index_at, struct buf *out);
/* Appends an element to `data`, which will stand at `place` of the file, and an entry to `index`.
 */
int saved_add(const struct element_pack *pack, const struct element *element, int64_t place,
              struct buf *data, struct buf *index, struct err *err);

/* ---- reading ---- */

struct saved {
    int fd;
    int64_t offset; /* of the file in what fd is */
    int64_t n;
    const struct saved_entry *entries;
    const char *text; /* what it says of its elements */
    struct buf index, ahead;
    int64_t ahead_at, last; /* place of what was read ahead; the last element read */
};
/* ret_source gets spec and classes. */
int saved_open(struct saved *ret, const struct source_blob *blob, struct arena *arena,
               struct source *ret_source, struct err *err);
void saved_close(struct saved *saved);
int saved_read(struct saved *saved, int64_t i, struct element_pack *pack, struct element *ret,
               struct err *err);

#endif

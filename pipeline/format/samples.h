/* samples - the members of tar shards in groups: WebDataset's samples.
 *
 * Owns:     a grouping owns its list; names are the index's.
 * Threads:  one at a time; finished, it is read-only.
 * Errors:   ERR_SCHEMA: a key that comes again after another one (its members would be two halves
 *           of a sample), a key with the same extension twice.
 * Lifetime: {0}, samples_build .. samples_fini; not longer than the index.
 *
 * Source: the WebDataset format: a member is KEY.EXTENSION, the key goes to the first point behind
 * the last slash, members of a key stand together. Members that begin with a point are left out, as
 * are those without an extension.
 */
#ifndef FORMAT_SAMPLES_H
#define FORMAT_SAMPLES_H

#include "pipeline/format/tar.h"

struct samples_row {
    const char *key; /* n_key bytes of a member's name */
    size_t n_key;
    size_t first, n; /* members; those that are left out lie among them */
};
struct samples {
    struct samples_row *rows;
    size_t n, capacity;
};
int samples_build(struct samples *samples, const struct tar_index *index, const char *name,
                  struct err *err);
void samples_fini(struct samples *samples);
/* "a/b.seg.png" -> 3 and "seg.png"; 0 and NULL for a member that belongs to no sample. */
size_t samples_key(const char *name, const char **ret_extension);
/* The member with that extension, or -1. */
int64_t samples_find(const struct samples *samples, const struct tar_index *index, size_t sample,
                     const char *extension);

#endif

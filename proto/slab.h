/* slab - shared memory for batches: a sealed memfd that the daemon makes for a job and every child inherits.
 *
 * Owns:     slab_create: the descriptor is the caller's; slab_map: the mapping, given back by slab_unmap.
 * Threads:  a row range has one writer (the worker that holds its lease); readers wait for the token.
 * Errors:   ERR_NO_MEMORY (fallocate refused: an error and never SIGBUS), ERR_CORRUPT (sizes do not match the plan).
 * Lifetime: the job's. Layout: one page of header with the in-flight table, then n_slabs slabs of slab_bytes, page aligned.
 *
 * A slab holds one batch: the fields of the plan one after the other, each 64-byte aligned and rows x row_bytes long.
 * A range whose lease expired is not used again until its writer is killed and reaped: generations alone do not protect it.
 */
#ifndef PROTO_SLAB_H
#define PROTO_SLAB_H

#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"
#include "base/tensor.h"

enum { SLAB_WORKERS_MAX = 64, SLAB_FIELDS_MAX = 16 };

/* What a worker is doing right now; written by that worker only, read after its death. */
struct slab_in_flight {
    _Atomic int64_t row;      /* of the batch, -1 between chunks */
    _Atomic uint64_t samples; /* made so far: progress */
};
struct slab_header {
    uint64_t magic, n_slabs, slab_bytes, header_bytes;
    struct slab_in_flight in_flight[SLAB_WORKERS_MAX];
};
struct slab {
    struct slab_header *header;
    unsigned char *base; /* of slab 0 */
    size_t map_bytes;
    int64_t n_slabs;
    size_t slab_bytes;
};

/* Field layout of a batch, equal in daemon, worker and trainer because it is made from the plan by this code. */
struct slab_field {
    const char *name;
    const char *kind; /* enum field_kind's name */
    enum dtype dtype;
    struct shape shape; /* of one row */
    size_t row_bytes;
    size_t offset; /* in a slab */
};
struct slab_layout {
    int n_fields;
    int64_t rows; /* greatest batch */
    struct slab_field fields[SLAB_FIELDS_MAX];
    size_t slab_bytes;
};

/* What "__ok" says of a row: it could not be made, it is there, the batch has fewer rows than the largest,
 * another one is there in its place. */
enum slab_row { SLAB_ROW_BAD, SLAB_ROW_GOOD, SLAB_ROW_NONE, SLAB_ROW_REPLACED };

/* From plan.streams.<stream>.fields ([{name, kind, dtype, shape}]) and .batch. Two hidden fields are added at the end:
 * "__sample" int64 (index in the data set's split) and "__ok" uint8. */
int slab_layout(const struct doc *stream_plan, struct arena *arena, struct slab_layout *ret, struct err *err);

int slab_create(int64_t n_slabs, size_t slab_bytes, int *ret_fd, struct err *err); /* daemon: memfd, size, seals */
int slab_map(int fd, struct slab *ret, struct err *err);
int slab_reserve(int fd, const struct slab *slab, struct err *err); /* trainer: fallocate, so that its cgroup pays */
void slab_unmap(struct slab *slab);
static inline unsigned char *slab_at(const struct slab *slab, int64_t index)
{
    return slab->base + (size_t)index * slab->slab_bytes;
}

#endif

/* source - samples by index: a descriptor a file, a row a descriptor.
 *
 * Owns:     an open source owns descriptors, mapped or inflated files and decode buffers;
 * source_close gives them back. Threads:  one at a time. Errors:   source_open: ERR_DATA,
 * ERR_CORRUPT, ERR_MISSING, ERR_LIMIT naming the file; wrong options with their path. source_read:
 * ERR_DATA or ERR_CORRUPT for a bad sample, ERR_IO and ERR_NO_MEMORY for a machine that cannot.
 * Lifetime: open .. close.
 */
#ifndef PIPELINE_SOURCE_H
#define PIPELINE_SOURCE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/opt.h"
#include "pipeline/asks.h"
#include "pipeline/element.h"
#include "pipeline/stage.h"

enum { SOURCE_FILE_MAX = 64 << 20, SOURCE_CLASSES_MAX = 1 << 16 };

/* A data set as the daemon's manifest lists it. */
struct kept;
struct source_packs;
struct source_store {
    int blobs_fd;
    bool in_place; /* the files lie below place_fd under their paths, else they are blobs */
    int place_fd;
    const char *dataset;
    const struct doc *files;    /* [{path, bytes, id}] sorted by path; in place: proto/place.h */
    const struct doc *shards;   /* [{path, bytes, id}] that files with `shard` lie in, or NULL */
    const char *split;          /* or NULL */
    bool takes_bad;             /* records that are malformed are left to whoever reads them */
    const struct doc *feed;     /* of the manifest, or NULL: what a client feeds */
    struct asks *asks;          /* or NULL: nobody can be asked */
    struct source_packs *packs; /* where small files lie; source_open looks */
    struct kept *kept;          /* kept.h, or NULL; with it: */
    const char *id;             /* of files, split and options */
};
/* The bytes of a file: a part of a descriptor that the caller closes. */
struct source_blob {
    int fd;
    int64_t offset, bytes;
};
/* What is read, and how. */
struct source_want {
    const char *kind;          /* or "auto" */
    const struct doc *options; /* a map, or NULL */
};
/* For whom an element is made. */
struct source_call {
    int64_t epoch, step;            /* of the batch */
    const struct opt_ints *skip;    /* samples that are not to be opened, or NULL */
    const struct look_asker *asker; /* what is read of a picture, or NULL */
    int64_t weight;                 /* of the time that ops of inner streams take (stream_call) */
};

/* Places whose samples are read together, and who is to know which of them is being read. */
struct source_rows {
    const struct stage_place *places;
    int64_t n;
    _Atomic int64_t *in_flight; /* or NULL */
    int64_t row;                /* of the first, in the batch */
};

struct source;
struct source_desc {
    const char *name; /* kind in the manifest and in a job */
    const char *summary;
    const struct opt *options; /* or NULL */
    size_t ctx_size;
    /* Does a data set of kind "auto" look like this one? The first row that says yes takes it.
     * NULL: only a job that names it does. */
    bool (*claims)(const struct doc *files);
    /* The options stand in source->ctx. */
    int (*open)(struct source *source, const struct source_store *store, struct arena *arena,
                struct err *err);
    void (*close)(struct source *source); /* takes a half-open one */
    /* Element at a place; ret->fields are borrowed until the next read. */
    int (*read)(struct source *source, const struct stage_place *place,
                const struct source_call *call, struct element *ret, struct err *err);
    /* Where source->gives_rows: field i of all places to fields[i], one behind the other. May
     * refuse with any error; then they are read one by one. */
    int (*read_rows)(struct source *source, const struct source_rows *rows, void *const *fields,
                     struct err *err);
    /* A picture file from elsewhere as field x of this source. NULL: it has no pictures. */
    int (*picture)(struct source *source, const void *data, size_t size, struct tensor *ret,
                   struct err *err);
    const char *(*path)(const struct source *source, int64_t sample);
    /* Where it begins in that file, unpacked; -1: not known. NULL: a file is a sample. */
    int64_t (*offset)(const struct source *source, int64_t sample);
    /* Further files that a sample stands in while they are open, i from 0; NULL behind the last.
     * May be NULL: there is none. */
    const char *(*path_beside)(const struct source *source, int64_t sample, int i);
    /* Of what a stage made, may be NULL: rows of an element's first axis, without making it. */
    int64_t (*length)(const struct source *source, const struct stage_place *place);
    /* Of what a stage made, may be NULL: no element stands at a place, a batch has fewer rows. */
    bool (*is_hole)(const struct source *source, const struct stage_place *place);
    /* Of what a stage made: the number of the (first) sample that stands at a place. */
    int64_t (*trace)(const struct source *source, const struct stage_place *place);
};
extern const struct source_desc *const source_table[]; /* ends with NULL */

struct source {
    const struct source_desc *desc;
    void *ctx;
    bool is_stored;   /* a data set; else made of other streams, by a stage */
    bool is_by_epoch; /* stored, and other elements in each iteration */
    bool is_fixed;    /* the same element at a position in each iteration */
    bool gives_rows;  /* samples of fixed shapes that are there as they are: has read_rows */
    const struct source_store *store; /* of a data set in place, else NULL */
    int64_t base; /* number of its first sample among all data sets of the stream */
    int64_t samples;
    struct element_spec spec;
    const char *const *classes;
    int64_t n_classes;     /* 0 = labels are not classes */
    const char *top_class; /* which of the data is of the last class, for messages; or NULL */
};

int source_open(struct source *ret, const struct source_want *want,
                const struct source_store *store, struct arena *arena, struct err *err);
void source_close(struct source *source);
/* On an error ret->sample is the bad sample's number. */
int source_read(struct source *source, const struct stage_place *place,
                const struct source_call *call, struct element *ret, struct err *err);

static inline int64_t source_trace(const struct source *source, const struct stage_place *place)
{
    return source->is_stored ? source->base + place->position : source->desc->trace(source, place);
}

/* Before place i is read: a death then names its row. */
static inline void source_rows_at(const struct source_rows *rows, int64_t i)
{
    if (rows->in_flight != NULL) {
        atomic_store_explicit(rows->in_flight, rows->row + i, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
    }
}

/* Of rows that lie one behind the other in memory: those at the places, `first` being the first. */
void source_gather(const struct source_rows *rows, const void *memory, int64_t first, size_t bytes,
                   void *out);
/* So far ahead of the copying a row is fetched from memory. */
enum { SOURCE_AHEAD = 12 };

/* Parts for the files of sources. `file` is one of store->files. */
int source_open_blob(const struct source_store *store, const struct doc *file,
                     struct source_blob *ret, struct err *err);
int source_read_blob(const struct source_store *store, const struct doc *file, size_t max_bytes,
                     struct buf *out, struct err *err);
/* "train/cat/1.jpg" -> "1.jpg" */
const char *source_basename(const char *path);
/* The fields of a data set of things with a class: x of the given kind, and its number y. */
void source_set_xy(struct source *source, enum element_kind kind, const struct op_spec *x,
                   bool is_varying);
static inline void source_put_xy(struct element *ret, int64_t sample, const struct tensor *x,
                                 int64_t *label)
{
    ret->sample = sample;
    ret->fields[0] = *x;
    ret->fields[1] = (struct tensor){.dtype = DTYPE_I64, .data = label};
}
/* Classes "0", "1", ... */
void source_name_numbers(struct source *source, int64_t n, struct arena *arena);
void source_reference(struct buf *out);

#endif

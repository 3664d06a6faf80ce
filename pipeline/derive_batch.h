/* derive_batch - how elements come together in batches whose rows have to be made alike, or chosen.
 *
 * Owns:     sources that are made here are the pool's.
 * Threads:  one.
 * Errors:   ERR_SHAPE for rows that do not fit together, else as derive.h says.
 * Lifetime: the pipeline's.
 *
 * A batch that has fewer rows than others is a run of places of which the last are holes, so that
 * the place of a row stays arithmetic: batch * rows + row.
 */
#ifndef PIPELINE_DERIVE_BATCH_H
#define PIPELINE_DERIVE_BATCH_H

#include "pipeline/derive.h"

/* What padded_batch and those like it take. */
struct derive_pad_options {
    const struct doc *padded_shapes, *padding_values;
    bool lengths, masks;
};

/* Reads padded_shapes and padding_values for the fields of spec. */
int derive_pads_read(const struct derive_pad_options *options, const struct element_spec *spec,
                     struct arena *arena, struct derive_pads **ret, struct err *err);

/* Elements as they come, with the fields that `lengths` and `masks` add. */
int derive_measure(struct derive *derive, const struct derive_pad_options *options,
                   struct source *ret, struct err *err);
/* `ret` goes on behind the source: with it as `in`. */
int derive_behind(const struct derive *derive, struct source *source, struct derive *ret,
                  struct err *err);

/* tf.data's group_by_window: elements of one key come together in windows, in the order in which
 * windows are full; those that are not full follow in the order of their keys. */
struct derive_group {
    struct stream *rows; /* where elements are taken from: as many as there are keys */
    int (*key)(const struct derive_select *how, const struct element_spec *spec,
               const struct element *element, int64_t *ret, struct err *err);
    int64_t low, high; /* what keys may be, 0 among it */
    int (*size)(const struct derive_group *how, int64_t key, int64_t *ret, struct err *err);
    const struct stage *orders; /* what is done to each window before it becomes batches */
    int n_orders;
    bool is_batched;    /* else elements come out one by one */
    int64_t batch_size; /* 0: the size of a window */
    bool drop_remainder;
    const struct derive_pads *pads; /* for `fill` */
    /* What axes of unknown size are filled up to, by key; 0: as the longest. NULL: 0. */
    int (*fill)(const struct derive_group *how, int64_t key, int64_t *ret, struct err *err);
    void (*close)(const struct derive_group *how);
    void *context;
};
/* Sets derive->batch, but its pads. */
int derive_group(struct derive *derive, const struct derive_group *how, struct source *ret,
                 struct err *err);

/* Batches that other stages go on with: elements of one dimension more. */
int derive_batches(struct derive *derive, const struct derive_batch *batch, struct source *ret,
                   struct err *err);

/* A tensor in the corner of a larger one; `fits` tells beforehand. */
int derive_pad_fits(const char *name, const struct shape *shape, const struct shape *wanted,
                    struct err *err);
void derive_pad_copy(const struct tensor *in, double value, struct tensor *out);
int derive_pad_field(const char *name, const struct shape *wanted, double value,
                     struct op_scratch *made, struct tensor *x, struct err *err);
/* Is the size of an axis not the same in all elements? */
bool derive_is_open(const struct element_field *field, int axis);

#endif

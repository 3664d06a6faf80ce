/* element - what flows through a pipeline: named fields, each with an element type, a shape and a
 * kind (tf.data: a structure of tensors).
 *
 * Owns:     nothing; names and data are their maker's.
 * Threads:  plain values.
 * Errors:   none.
 * Lifetime: a spec lives as long as what described it; an element until its maker makes the next.
 *
 * The trainer's names: "x" is what a model of one input takes, "y" the label.
 */
#ifndef PIPELINE_ELEMENT_H
#define PIPELINE_ELEMENT_H

#include "base/tensor.h"
#include "pipeline/image/look.h"

enum element_kind {
#define KIND_ROW(symbol, name) ELEMENT_##symbol,
#include "proto/element_kinds.h"
#undef KIND_ROW
    ELEMENT_KIND_MAX_
};

enum { ELEMENT_FIELDS_MAX = 14 }; /* a slab has two more */

/* One sample's field: an unknown dimension is -1 (images of many sizes). */
struct op_spec {
    enum dtype dtype;
    struct shape shape;
};
struct element_field {
    const char *name;
    enum element_kind kind;
    struct op_spec spec; /* of every sample; of the first one if is_varying */
    bool is_varying;     /* height and width may differ from sample to sample */
};
struct element_spec {
    int n;
    struct element_field fields[ELEMENT_FIELDS_MAX];
};
struct element {
    int64_t sample; /* its number in the data set's split */
    struct tensor fields[ELEMENT_FIELDS_MAX];
    struct look_part parts[ELEMENT_FIELDS_MAX]; /* of fields that are a part of their picture */
};

const char *element_kind_name(enum element_kind kind);
/* Index of a field, or -1. */
int element_find(const struct element_spec *spec, const char *name);
/* The field that a model of one input takes: "x", else the first. */
int element_input(const struct element_spec *spec);
void element_add(struct element_spec *spec, const struct element_field *field);

#endif

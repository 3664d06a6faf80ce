/* golden - cases in the format of shared/golden/README.md: reading, comparing, and the table of what can be run.
 *
 * Owns:     a case and its arrays live in the arena of the run of that case.
 * Threads:  one.
 * Errors:   a case that cannot be read is a failure of that case.
 * Lifetime: one case.
 */
#ifndef TESTS_GOLDEN_GOLDEN_H
#define TESTS_GOLDEN_GOLDEN_H

#include "base/doc.h"
#include "base/tensor.h"

enum golden_verdict { GOLDEN_PASSED, GOLDEN_FAILED, GOLDEN_SKIPPED };

struct golden_case {
    const char *name, *kind, *layer, *group;
    const struct doc *doc; /* the whole case */
    const char *folder;    /* for files beside it */
    const char *backend;   /* of the kernels to run on */
    struct arena *arena;
    double rtol, atol;
    bool expected_error;
    char message[1024]; /* why it failed or was skipped, with the largest difference */
};

struct golden_class {
    const char *kind;  /* exact */
    const char *layer; /* exact, or NULL = any */
    enum golden_verdict (*run)(struct golden_case *c); /* fills message unless passed */
    bool on_backends;  /* run for each backend of the kernels */
};

/* An array of the case: {dtype, shape, data|file}. ERR_UNSUPPORTED for strings, ragged and object arrays. */
int golden_array(struct golden_case *c, const struct doc *doc, struct tensor *ret, struct err *err);
/* The same as float32 (other numbers converted). */
int golden_floats(struct golden_case *c, const struct doc *doc, struct tensor *ret, struct err *err);
/* |got - want| <= atol + rtol |want|, NaN matches NaN, shapes equal, integers exact; fills message with the largest difference.
 * `what` names the array. got may be of any number type. */
bool golden_compare(struct golden_case *c, const char *what, const struct tensor *got, const struct doc *want, double rtol,
                    double atol);
enum golden_verdict golden_fail(struct golden_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum golden_verdict golden_skip(struct golden_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The code under test refused: passed if the case expects an error, skipped if the part does not exist (ERR_UNKNOWN,
 * ERR_UNSUPPORTED on the class itself is told by the family), else failed. */
enum golden_verdict golden_refused(struct golden_case *c, const struct err *err);

/* The layer as an operation of the pipeline. */
enum golden_verdict golden_image_layer(struct golden_case *c);
/* A box's number for each image (x0, y0, width, height), if the case gives masks that are boxes. */
bool golden_box_values(struct golden_case *c, const char *name, struct tensor *ret);
/* The options, with fill_value if masks are filled with one number. */
const struct doc *golden_box_config(struct golden_case *c);

/* The families, a file each; each ends with a NULL kind. */
extern const struct golden_class golden_image_classes[];
extern const struct golden_class golden_layer_classes[];
extern const struct golden_class golden_loss_classes[];
extern const struct golden_class golden_optim_classes[];
extern const struct golden_class golden_preproc_classes[];
extern const struct golden_class golden_model_classes[];
extern const struct golden_class golden_fusion_classes[];
extern const struct golden_class golden_shapes_classes[];

#endif

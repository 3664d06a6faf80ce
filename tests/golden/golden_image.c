/* Operations of the pipeline: resizing, cropping, affine maps, augmentation with given parameters,
 * laws of the drawn ones. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/image/affine.h"
#include "pipeline/image/resize.h"
#include "pipeline/op.h"
#include "tests/golden/golden.h"

enum { OUT_BYTES_MAX = 64 << 20 };

/* The op of a case, or a verdict: skipped if there is none such, refused if its options are. */
static bool make_op(struct golden_case *c, struct op *op, enum golden_verdict *verdict)
{
    struct op_names names = {0};
    struct err err = {0};
    const struct op_desc *desc = op_find(c->layer);
    const struct doc *config = golden_box_config(c);
    if (desc == NULL) {
        *verdict = golden_skip(c, "no such operation yet");
        return false;
    }
    if (op_make(desc, config != NULL && config->n > 0 ? config : NULL, &names, c->arena, op, &err) <
        0) {
        *verdict = golden_refused(c, &err);
        return false;
    }
    return true;
}

/* One image of a batch (or all of an unbatched input). */
struct images {
    struct tensor all;
    int64_t n;
    struct shape shape; /* of one */
    size_t bytes;
};

static bool split_images(struct golden_case *c, const struct doc *input, struct images *ret)
{
    struct err err = {0};
    if (golden_array(c, input, &ret->all, &err) < 0) {
        golden_fail(c, "input: %s", err.text);
        return false;
    }
    bool batched = ret->all.shape.rank == 4;
    ret->n = batched ? ret->all.shape.d[0] : 1;
    ret->shape = batched ? shape_make(3, ret->all.shape.d + 1) : ret->all.shape;
    return shape_bytes(&ret->shape, ret->all.dtype, &ret->bytes) == 0;
}

/* Runs the op on every image, image i with params + i * OP_PARAMS_MAX, and collects a batch like
 * the input. */
static int run_images(struct golden_case *c, struct op *op, const struct images *in,
                      const float *params, struct tensor *ret, struct err *err)
{
    struct op_spec spec = {.dtype = in->all.dtype, .shape = in->shape};
    struct op_scratch scratch = {0};
    unsigned char *all = NULL;
    size_t bytes = 0;
    int r = op_check(op, &spec, err);
    for (int64_t i = 0; i < in->n && r == 0; i++) {
        struct tensor one = {in->all.dtype, in->shape,
                             (unsigned char *)in->all.data + (size_t)i * in->bytes};
        struct tensor out = {.data = arena_alloc(c->arena, OUT_BYTES_MAX / 64)};
        struct op_key key = {.position = (uint64_t)i, .sample = i};
        static const float none[OP_PARAMS_MAX] = {0};
        r = op_run_given(op, params != NULL ? params + i * OP_PARAMS_MAX : none, &key, &one, &out,
                         &scratch, err);
        if (r == 0 && all == NULL) {
            r = shape_bytes(&out.shape, out.dtype, &bytes);
            all = arena_array(c->arena, (size_t)in->n, bytes + 1);
            *ret = (struct tensor){.dtype = out.dtype, .shape = out.shape, .data = all};
        }
        if (r == 0) {
            memcpy(all + (size_t)i * bytes, out.data, bytes);
        }
    }
    op_scratch_fini(&scratch);
    if (r == 0 && in->all.shape.rank == 4) {
        struct shape one = ret->shape;
        ret->shape.rank = one.rank + 1;
        ret->shape.d[0] = in->n;
        memcpy(ret->shape.d + 1, one.d, sizeof one.d - sizeof one.d[0]);
    }
    return r;
}

enum golden_verdict golden_image_layer(struct golden_case *c)
{
    struct op op;
    struct images in;
    struct tensor out;
    struct err err = {0};
    enum golden_verdict verdict;
    if (!make_op(c, &op, &verdict)) {
        return verdict;
    }
    const struct doc *input = doc_get(c->doc, "input");
    bool is_array = input != NULL && input->type == DOC_MAP && doc_get(input, "dtype") != NULL;
    if (!is_array) {
        return c->expected_error ? golden_fail(c, "was taken, but has to be refused")
                                 : golden_skip(c, "no input array");
    }
    if (!split_images(c, input, &in)) {
        return GOLDEN_FAILED;
    }
    int r = run_images(c, &op, &in, NULL, &out, &err);
    if (r < 0) {
        return golden_refused(c, &err);
    }
    if (c->expected_error) {
        return golden_fail(c, "was taken, but has to be refused");
    }
    return golden_compare(c, "output", &out, doc_get(c->doc, "expected"), c->rtol, c->atol)
               ? GOLDEN_PASSED
               : GOLDEN_FAILED;
}

/* Fills params of every image from the arrays of `transformation`, whose names are those of the
 * op's parameters. */
static bool given_params(struct golden_case *c, const struct op *op, int64_t n, float *params)
{
    const struct doc *given = doc_get(doc_get(c->doc, "arrays"), "transformation");
    int at = 0;
    for (const struct op_param *p = op->desc->params; p != NULL && p->name != NULL;
         at += p->n, p++) {
        struct tensor values;
        struct err err = {0};
        int64_t count = 0;
        const struct doc *array = doc_get(given, p->name);
        const bool has = array != NULL ? golden_floats(c, array, &values, &err) == 0
                                       : golden_box_values(c, p->name, &values);
        if (!has || shape_count(&values.shape, &count) < 0 || (count != p->n && count < n * p->n)) {
            golden_fail(c, "parameter '%s' is not in the case", p->name);
            return false;
        }
        for (int64_t i = 0; i < n; i++) {
            /* What is drawn once a batch stands there once. */
            const int64_t from = count == p->n ? 0 : i * p->n;
            memcpy(params + i * OP_PARAMS_MAX + at, (float *)values.data + from,
                   (size_t)p->n * sizeof(float));
        }
    }
    return true;
}

static enum golden_verdict run_augment(struct golden_case *c)
{
    struct op op;
    struct images in;
    struct tensor out;
    struct err err = {0};
    enum golden_verdict verdict;
    if (!make_op(c, &op, &verdict)) {
        return verdict;
    }
    if (!split_images(c, doc_get(c->doc, "input"), &in)) {
        return GOLDEN_FAILED;
    }
    float *params = arena_array(c->arena, (size_t)in.n * OP_PARAMS_MAX, sizeof *params);
    if (!given_params(c, &op, in.n, params)) {
        return GOLDEN_FAILED;
    }
    if (run_images(c, &op, &in, params, &out, &err) < 0) {
        return golden_refused(c, &err);
    }
    const struct doc *images = doc_get(doc_get(c->doc, "expected"), "images");
    return golden_compare(c, "images", &out, images, c->rtol, c->atol) ? GOLDEN_PASSED
                                                                       : GOLDEN_FAILED;
}

/* ---- laws of drawn parameters
 * ---------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The README's rule: with R = max - min of the quantiles, mean and std within rtol R + 0.01 R,
 * inner quantiles within 0.05 R; parameters of two values by the mean alone. */
static bool check_column(struct golden_case *c, const struct doc *column, float *values, int64_t n)
{
    const struct doc *quantiles = doc_get(column, "quantiles");
    double low = doc_float(quantiles, "0", 0);
    double high = doc_float(quantiles, "1", 0);
    double range = high - low;
    double mean = 0;
    double square = 0;
    int64_t n_ends = 0;
    for (int64_t i = 0; i < n; i++) {
        mean += (double)values[i] / (double)n;
        square += (double)values[i] * (double)values[i] / (double)n;
        n_ends += fabs((double)values[i] - low) < 1e-6 || fabs((double)values[i] - high) < 1e-6;
    }
    bool two_valued = n_ends == n;
    double deviation = sqrt(fmax(0, square - mean * mean));
    double allowed = c->rtol * range + 0.01 * range;
    if (fabs(mean - doc_float(column, "mean", 0)) > allowed) {
        golden_fail(c, "mean %.5g, want %.5g within %.3g", mean, doc_float(column, "mean", 0),
                    allowed);
        return false;
    }
    if (!two_valued && fabs(deviation - doc_float(column, "std", 0)) > allowed) {
        golden_fail(c, "deviation %.5g, want %.5g within %.3g", deviation,
                    doc_float(column, "std", 0), allowed);
        return false;
    }
    qsort(values, (size_t)n, sizeof *values, by_value);
    for (size_t i = 0; i < quantiles->n && !two_valued; i++) {
        double at = 0;
        if (!doc_parse_float(quantiles->pairs[i].key, &at) || at <= 0 || at >= 1) {
            continue;
        }
        /* Where a law has a gap or steps, a quantile may fall on either side of it. */
        const double below = fmax(0, at - 0.01), above = fmin(1, at + 0.01);
        double got = (double)values[(int64_t)(at * (double)(n - 1))];
        double least = (double)values[(int64_t)(below * (double)(n - 1))],
               most = (double)values[(int64_t)(above * (double)(n - 1))];
        double want = doc_number(&quantiles->pairs[i].value);
        if (want < least - 0.05 * range || want > most + 0.05 * range) {
            golden_fail(c, "quantile %s is %.5g, want %.5g within %.3g", quantiles->pairs[i].key,
                        got, want, 0.05 * range);
            return false;
        }
    }
    return true;
}

static enum golden_verdict run_distribution(struct golden_case *c)
{
    struct op op;
    struct err err = {0};
    enum golden_verdict verdict;
    if (!make_op(c, &op, &verdict)) {
        return verdict;
    }
    const struct doc *batch = doc_get(c->doc, "batch_shape");
    const struct doc *columns = doc_get(c->doc, "columns");
    const char *wanted = doc_str(c->doc, "parameter", "");
    int at = 0;
    const struct op_param *p = op.desc->params;
    while (p != NULL && p->name != NULL && strcmp(p->name, wanted) != 0) {
        at += p->n;
        p++;
    }
    if (batch == NULL || batch->n != 4 || p == NULL || p->name == NULL || columns == NULL) {
        return golden_skip(c, "parameter '%s' is not one of the operation's", wanted);
    }
    const int64_t image[] = {batch->items[1].i, batch->items[2].i, batch->items[3].i};
    struct op_spec spec = {.dtype = DTYPE_F32, .shape = shape_make(3, image)};
    if (op_check(&op, &spec, &err) < 0) {
        return golden_refused(c, &err);
    }
    int64_t n = doc_int(c->doc, "samples", 20000);
    float *values = arena_array(c->arena, (size_t)n, sizeof *values);
    for (size_t column = 0; column < columns->n && column < (size_t)p->n; column++) {
        for (int64_t i = 0; i < n; i++) {
            float params[OP_PARAMS_MAX] = {0};
            struct op_key key = {.seed = 20261124, .position = (uint64_t)i, .sample = i};
            op_draw(&op, &spec, &key, params);
            values[i] = params[at + (int)column];
        }
        if (!check_column(c, &columns->items[column], values, n)) {
            return GOLDEN_FAILED;
        }
    }
    return GOLDEN_PASSED;
}

static enum golden_verdict run_accepts(struct golden_case *c)
{
    struct op op;
    enum golden_verdict verdict;
    return make_op(c, &op, &verdict) ? GOLDEN_PASSED : verdict;
}

/* ---- the affine map alone
 * --------------------------------------------------------------------------------------- */

static const struct opt_name fills[] = {
    {"constant", AFFINE_CONSTANT},
    {"reflect", AFFINE_REFLECT},
    {"wrap", AFFINE_WRAP},
    {"nearest", AFFINE_EDGE},
    {NULL, 0},
};
static const struct opt_name interpolations[] = {
    {"nearest", AFFINE_NEAREST}, {"bilinear", AFFINE_BILINEAR}, {NULL, 0}};

struct affine_config {
    int interpolation, fill_mode;
    double fill_value;
};
static const struct opt affine_config_options[] = {
    OPT_ENUM_ROW(affine_config, interpolation, AFFINE_BILINEAR, interpolations, "Of the op."),
    OPT_ENUM_ROW(affine_config, fill_mode, AFFINE_CONSTANT, fills, "Of the op."),
    OPT_F64_ROW(affine_config, fill_value, 0, -1e9, 1e9, "Of the op."),
    OPT_END_ROW,
};

/* The maps of the case, one an image or one for all: eight numbers, or corners and where they go.
 */
static bool read_maps(struct golden_case *c, struct tensor *map, struct err *err)
{
    const struct doc *arrays = doc_get(c->doc, "arrays"), *transform = doc_get(arrays, "transform");
    const struct doc *from = doc_get(arrays, "end_points"), *to = doc_get(arrays, "start_points");
    struct tensor start, end;
    if (transform != NULL) {
        return golden_floats(c, transform, map, err) == 0;
    }
    if (from == NULL || to == NULL || golden_floats(c, from, &end, err) < 0 ||
        golden_floats(c, to, &start, err) < 0 || end.shape.rank != 2 ||
        !shape_equal(&end.shape, &start.shape) || end.shape.d[0] * end.shape.d[1] != 8) {
        return false;
    }
    *map = (struct tensor){.shape = {.rank = 1, .d = {8}},
                           .data = arena_array(c->arena, 8, sizeof(float))};
    affine_perspective(map->data, end.data, start.data);
    return true;
}

static enum golden_verdict run_affine(struct golden_case *c)
{
    struct affine_config config;
    struct images in;
    struct tensor map;
    struct err err = {0};
    if (opt_read(affine_config_options, &config, doc_get(c->doc, "config"), c->arena, &err) < 0) {
        return golden_refused(c, &err);
    }
    if (!read_maps(c, &map, &err) || !split_images(c, doc_get(c->doc, "input"), &in)) {
        return golden_fail(c, "no transform or input: %s", err.text);
    }
    struct affine affine = {.fill = config.fill_mode,
                            .interpolation = config.interpolation,
                            .fill_value = (float)config.fill_value};
    struct tensor out = in.all;
    int64_t each = in.shape.d[0] * in.shape.d[1] * in.shape.d[2];
    out.dtype = DTYPE_F32;
    out.data = arena_array(c->arena, (size_t)(in.n * each), sizeof(float));
    for (int64_t i = 0; i < in.n; i++) {
        const struct affine_image image = {in.all.dtype, in.shape.d[0], in.shape.d[1],
                                           in.shape.d[2],
                                           (unsigned char *)in.all.data + (size_t)i * in.bytes};
        const float *m = (const float *)map.data + (map.shape.rank == 2 ? i * 8 : 0);
        memcpy(affine.m, m, sizeof affine.m);
        affine_run(&affine, &image, (float *)out.data + i * each);
    }
    return golden_compare(c, "output", &out, doc_get(c->doc, "expected"), c->rtol, c->atol)
               ? GOLDEN_PASSED
               : GOLDEN_FAILED;
}

/* ---- the resizing kernel alone: methods that the layer refuses
 * -------------------------------------------------- */

struct resize_config {
    struct opt_ints size;
    int method;
    bool antialias;
};
static const struct opt_name resize_methods[] = {
    {"gaussian", RESIZE_GAUSSIAN}, {"mitchellcubic", RESIZE_MITCHELLCUBIC}, {NULL, 0}};
static const struct opt resize_options[] = {
    OPT_INTS_ROW(resize_config, size, NULL, 2, 2, 1, 4096, "Height and width.",
                 .flags = OPT_REQUIRED),
    OPT_ENUM_ROW(resize_config, method, RESIZE_GAUSSIAN, resize_methods, "Kernel.",
                 .flags = OPT_REQUIRED),
    OPT_BOOL_ROW(resize_config, antialias, false, "Widen the kernel when the picture shrinks."),
    OPT_END_ROW,
};

static enum golden_verdict run_resize(struct golden_case *c)
{
    struct resize_config config;
    struct images in;
    struct err err = {0};
    struct op_scratch scratch = {0};
    if (opt_read(resize_options, &config, doc_get(c->doc, "config"), c->arena, &err) < 0) {
        return golden_refused(c, &err);
    }
    if (!split_images(c, doc_get(c->doc, "input"), &in)) {
        return GOLDEN_FAILED;
    }
    const int64_t height = config.size.v[0], width = config.size.v[1], channels = in.shape.d[2];
    const struct tensor out = {
        .dtype = DTYPE_F32,
        .shape = {.rank = 4, .d = {in.n, height, width, channels}},
        .data = arena_array(c->arena, (size_t)(in.n * height * width * channels), sizeof(float))};
    for (int64_t i = 0; i < in.n; i++) {
        const struct resize_image image = {in.all.dtype,
                                           in.shape.d[0],
                                           in.shape.d[1],
                                           channels,
                                           in.shape.d[1] * channels,
                                           (char *)in.all.data + (size_t)i * in.bytes};
        const enum resize_method method = (enum resize_method)config.method;
        void *memory = op_scratch_need(
            &scratch, resize_scratch(&image, height, width, method, config.antialias));
        resize_run(&image, height, width, method, config.antialias, memory,
                   (float *)out.data + i * height * width * channels, width * channels);
    }
    op_scratch_fini(&scratch);
    return golden_compare(c, "output", &out, doc_get(c->doc, "expected"), c->rtol, c->atol)
               ? GOLDEN_PASSED
               : GOLDEN_FAILED;
}

const struct golden_class golden_image_classes[] = {
    {"augment", NULL, run_augment, false},
    {"distribution", NULL, run_distribution, false},
    {"accepts", "RandomFlip", run_accepts, false},
    {"layer", "RandomRotation", golden_image_layer, false},
    {"layer", "RandomTranslation", golden_image_layer, false},
    {"layer", "RandomZoom", golden_image_layer, false},
    {"layer", "RandomFlip", golden_image_layer, false},
    {"layer", "Resizing", golden_image_layer, false},
    {"layer", "CenterCrop", golden_image_layer, false},
    {"layer", "AutoContrast", golden_image_layer, false},
    {"layer", "RandomBrightness", golden_image_layer, false},
    {"layer", "RandomContrast", golden_image_layer, false},
    {"layer", "RandomGrayscale", golden_image_layer, false},
    {"layer", "RandomHue", golden_image_layer, false},
    {"layer", "RandomPosterization", golden_image_layer, false},
    {"layer", "RandomSaturation", golden_image_layer, false},
    {"layer", "RandomShear", golden_image_layer, false},
    {"layer", "RandomPerspective", golden_image_layer, false},
    {"layer", "RandomGaussianBlur", golden_image_layer, false},
    {"op", "keras.ops.image.affine_transform", run_affine, false},
    {"op", "keras.ops.image.perspective_transform", run_affine, false},
    {"op", "tf.image.resize", run_resize, false},
    {NULL, NULL, NULL, false},
};

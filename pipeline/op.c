#include "pipeline/op.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/expr.h"

enum { OPS_MAX = 64, NAME_MAX_ = 96 };

void *op_scratch_need(struct op_scratch *scratch, size_t bytes)
{
    if (bytes > scratch->bytes) {
        free(scratch->data);
        scratch->bytes = (bytes + bytes / 2 + 63) / 64 * 64;
        scratch->data = aligned_alloc(64, scratch->bytes);
        if (scratch->data == NULL) {
            BUG("no memory for %zu bytes of scratch", scratch->bytes);
        }
    }
    return scratch->data;
}

void op_scratch_fini(struct op_scratch *scratch)
{
    free(scratch->data);
    *scratch = (struct op_scratch){0};
}

const struct op_desc *op_find(const char *name)
{
    for (const struct op_desc *const *row = op_table; *row != NULL; row++) {
        if (strcmp((*row)->name, name) == 0) {
            return *row;
        }
    }
    return NULL;
}

const char *op_nearest(const char *name)
{
    const char *names[OPS_MAX];
    size_t n = 0;
    for (; op_table[n] != NULL; n++) {
        BUG_ON(n == OPS_MAX);
        names[n] = op_table[n]->name;
    }
    return err_nearest(name, names, n);
}

/* What every op takes beside its own rows; Keras writes these into its configs. */
struct common {
    const char *name;
    const struct doc *seed, *dtype, *data_format, *trainable;
};
static const struct opt common_options[] = {
    OPT_STR_ROW(common, name, NULL, "Name of the op; its draws depend on it.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(common, seed, "Seed of this op instead of the job's.", .flags = OPT_NULLABLE),
    OPT_DOC_ROW(common, dtype, "Accepted; ops compute in float32.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_DOC_ROW(common, data_format,
                "channels_last; Resizing and CenterCrop take channels_first too.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(common, trainable, "Accepted; an op learns nothing.",
                .flags = OPT_NULLABLE | OPT_IGNORED),
    OPT_END_ROW,
};

static bool is_common(const struct op_desc *desc, const char *key)
{
    return opt_find(common_options, key) != NULL && opt_find(desc->options, key) == NULL;
}

static bool is_format(const struct doc *doc, const char *format)
{
    return doc != NULL && doc->type == DOC_STR && strcmp(doc->str, format) == 0;
}

static int read_options(const struct op_desc *desc, const struct doc *options, void *ctx,
                        struct common *common, struct arena *arena, struct err *err)
{
    struct doc *own = doc_new(arena), *shared = doc_new(arena);
    doc_set_map(own);
    doc_set_map(shared);
    if (options != NULL && options->type != DOC_MAP && options->type != DOC_NULL) {
        return err_set(err, ERR_INVALID, "takes a map of options");
    }
    for (size_t i = 0; options != NULL && options->type == DOC_MAP && i < options->n; i++) {
        const struct doc_pair *pair = &options->pairs[i];
        *doc_put(is_common(desc, pair->key) ? shared : own, arena, pair->key) = pair->value;
    }
    int r = opt_read(common_options, common, shared, arena, err);
    r = r < 0 ? r : opt_read(desc->options, ctx, own, arena, err);
    if (r < 0) {
        return r;
    }
    if (common->data_format != NULL && !is_format(common->data_format, "channels_last") &&
        !((desc->flags & OP_PLANES) != 0 && is_format(common->data_format, "channels_first"))) {
        return err_set_at(err, ERR_UNSUPPORTED, "data_format", "images are channels_last here");
    }
    if (common->seed != NULL && (common->seed->type != DOC_INT || common->seed->i < 0)) {
        return err_set_at(err, ERR_INVALID, "seed", "takes a whole number from 0");
    }
    return 0;
}

/* RandomFlip -> random_flip, as Keras names layers. */
static void snake(const char *name, char *buf, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; name[i] != '\0' && n + 2 < size; i++) {
        const bool upper = isupper((unsigned char)name[i]) != 0;
        if (upper && i > 0 && !isupper((unsigned char)name[i - 1])) {
            buf[n++] = '_';
        }
        buf[n++] = (char)tolower((unsigned char)name[i]);
    }
    buf[n] = '\0';
}

static const char *name_of(const struct op_desc *desc, const char *given, struct op_names *names,
                           struct arena *arena)
{
    char buf[NAME_MAX_];
    size_t row = 0;
    while (op_table[row] != desc && op_table[row] != NULL) {
        row++;
    }
    BUG_ON(row >= sizeof names->n / sizeof names->n[0]);
    if (given != NULL) {
        return given;
    }
    const int count = names->n[row]++;
    snake(desc->name, buf, sizeof buf);
    return count == 0 ? arena_strdup(arena, buf) : arena_printf(arena, "%s_%d", buf, count);
}

int op_make(const struct op_desc *desc, const struct doc *options, struct op_names *names,
            struct arena *arena, struct op *ret, struct err *err)
{
    struct common common;
    void *ctx = arena_alloc(arena, desc->ctx_size > 0 ? desc->ctx_size : 1);
    int r = read_options(desc, options, ctx, &common, arena, err);
    if (r == 0 && desc->init != NULL) {
        r = desc->init(ctx, arena, err);
    }
    if (r < 0) {
        return r;
    }
    *ret = (struct op){.desc = desc, .ctx = ctx, .name = name_of(desc, common.name, names, arena)};
    ret->flags = desc->flags | (desc->flags_of != NULL ? desc->flags_of(ctx) : 0);
    ret->id = rng_id(ret->name);
    ret->is_channels_first = is_format(common.data_format, "channels_first");
    ret->has_seed = common.seed != NULL;
    ret->seed = ret->has_seed ? (uint64_t)common.seed->i : 0;
    return 0;
}

int op_read(const struct doc *doc, struct op_names *names, struct arena *arena, struct op *ret,
            struct err *err)
{
    const char *name;
    const struct doc *options;
    int r = opt_named(doc, &name, &options, err);
    if (r < 0) {
        return r;
    }
    const struct op_desc *desc = op_find(name);
    if (desc == NULL) {
        const char *nearest = op_nearest(name);
        return err_set_at(err, ERR_UNKNOWN, name, "there is no op '%.64s'%s%s%s", name,
                          nearest ? "; did you mean '" : "", nearest ? nearest : "",
                          nearest ? "'?" : "");
    }
    r = op_make(desc, options, names, arena, ret, err);
    if (r < 0) {
        err_prefix(err, "%s", name);
    }
    return r;
}

/* (channels, height, width) is one image a channel. */
static int planes_out(const struct op *op, const struct op_spec *in, struct op_spec *out,
                      struct err *err)
{
    int r = op_check_image(in, err);
    if (r < 0) {
        return r;
    }
    const int64_t plane[] = {in->shape.d[1], in->shape.d[2], 1};
    const struct op_spec one = {.dtype = in->dtype, .shape = shape_make(3, plane)};
    *out = one;
    r = op->desc->check(op->ctx, &one, out, err);
    const int64_t all[] = {in->shape.d[0], out->shape.d[0], out->shape.d[1]};
    out->shape = shape_make(3, all);
    return r;
}

static int spec_out(const struct op *op, const struct op_spec *in, struct op_spec *out,
                    struct err *err)
{
    if (in->dtype == DTYPE_STR && (op->flags & OP_TEXTS) == 0) {
        return err_set(err, ERR_SHAPE, "takes numbers, not texts");
    }
    if (op->is_channels_first) {
        return planes_out(op, in, out, err);
    }
    if ((op->flags & OP_GEOMETRIC) != 0) {
        int r = op_check_image(in, err);
        if (r < 0) {
            return r;
        }
    }
    if ((op->flags & OP_JOIN) != 0) {
        return op->desc->check_all(op->ctx, in, 1, out, err);
    }
    *out = *in;
    out->dtype = DTYPE_F32;
    return op->desc->check != NULL ? op->desc->check(op->ctx, in, out, err) : 0;
}

int op_check(struct op *op, const struct op_spec *in, struct err *err)
{
    op->in = *in;
    int r = spec_out(op, in, &op->out, err);
    if (r < 0) {
        err_prefix(err, "%s", op->desc->name);
    }
    return r;
}

int op_check_all(struct op *op, const struct op_spec *in, int n, struct err *err)
{
    BUG_ON((op->flags & OP_JOIN) == 0 || n < 1);
    op->in = in[0];
    op->out = (struct op_spec){0};
    int r = op->desc->check_all(op->ctx, in, n, &op->out, err);
    if (r < 0) {
        err_prefix(err, "%s", op->desc->name);
    }
    return r;
}

int op_run_all(const struct op *op, const struct tensor *in, int n, struct tensor *out,
               struct op_scratch *scratch, struct err *err)
{
    return op->desc->run_all(op->ctx, in, n, out, scratch, err);
}

int op_room(const struct op *op, const struct tensor *in, size_t *ret, struct err *err)
{
    const struct op_spec spec = {.dtype = in->dtype, .shape = in->shape};
    struct op copy = *op;
    if (op->desc->room != NULL) {
        return op->desc->room(op->ctx, in, ret, err);
    }
    int r = op_check(&copy, &spec, err);
    return r < 0 ? r : shape_bytes(&copy.out.shape, copy.out.dtype, ret);
}

int op_params(const struct op_desc *desc)
{
    int n = 0;
    for (const struct op_param *p = desc->params; p != NULL && p->name != NULL; p++) {
        n += p->n;
    }
    BUG_ON(n > OP_PARAMS_MAX);
    return n;
}

static uint64_t seed_of(const struct op *op, const struct op_key *key)
{
    return op->has_seed ? op->seed : key->seed;
}

void op_draw(const struct op *op, const struct op_spec *in, const struct op_key *key,
             float params[OP_PARAMS_MAX])
{
    if (op->is_still) {
        op->desc->still(op->ctx, in, params);
    } else if (op->desc->draw != NULL) {
        struct rng rng;
        const uint64_t seed = seed_of(op, key);
        const bool is_batch = (op->flags & OP_BATCH) != 0;
        if (is_batch || op->desc->draw_batch != NULL) {
            rng_init(&rng, seed, op->id, key->batch_epoch | RNG_BATCH_SCOPE, key->step);
        }
        if (op->desc->draw_batch != NULL) {
            op->desc->draw_batch(op->ctx, &rng, params);
        }
        if (!is_batch) {
            rng_init(&rng, seed, op->id, key->epoch, key->position);
        }
        op->desc->draw(op->ctx, in, &rng, params);
    }
}

/* The parameters are drawn with the op's id itself. */
void op_noise(const struct op_key *key, uint64_t stream, struct rng *ret)
{
    rng_init(ret, key->seed, key->op + 1 + stream, key->epoch, key->position);
}

static int run_planes(const struct op *op, const float *params, const struct op_key *key,
                      const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
                      struct err *err)
{
    const size_t each = dtype_bytes(in->dtype);
    const int64_t plane_in[] = {in->shape.d[1], in->shape.d[2], 1},
                  plane_out[] = {out->shape.d[1], out->shape.d[2], 1};
    const size_t step_in = (size_t)(plane_in[0] * plane_in[1]) * each,
                 step_out = (size_t)(plane_out[0] * plane_out[1]) * each;
    int r = 0;
    for (int64_t c = 0; c < in->shape.d[0] && r == 0; c++) {
        const struct tensor from = {in->dtype, shape_make(3, plane_in),
                                    (unsigned char *)in->data + (size_t)c * step_in};
        struct tensor to = {out->dtype, shape_make(3, plane_out),
                            (unsigned char *)out->data + (size_t)c * step_out};
        r = op->desc->run(op->ctx, params, key, &from, &to, scratch, err);
    }
    return r;
}

struct op_spec op_whole(const struct tensor *in, const struct look_part *part)
{
    struct op_spec spec = {.dtype = in->dtype, .shape = in->shape};
    if (part->height > 0) {
        spec.shape.d[0] = part->height;
        spec.shape.d[1] = part->width;
    }
    return spec;
}

static int run_given(const struct op *op, const float *params, const struct op_key *key,
                     const struct look_part *part, const struct tensor *in, struct tensor *out,
                     struct op_scratch *scratch, struct err *err)
{
    const struct op_spec spec = op_whole(in, part);
    struct op_spec got;
    int r = spec_out(op, &spec, &got, err);
    if (r < 0) {
        return r;
    }
    out->dtype = got.dtype;
    out->shape = got.shape;
    struct op_key own = *key;
    own.seed = seed_of(op, key);
    own.op = op->id;
    if (op->is_channels_first) {
        return run_planes(op, params, &own, in, out, scratch, err);
    }
    if (op->desc->run_part != NULL) {
        return op->desc->run_part(op->ctx, params, part, in, out, scratch, err);
    }
    BUG_ON(part->height > 0);
    if ((op->flags & OP_GEOMETRIC) == 0) {
        return op->desc->run(op->ctx, params, &own, in, out, scratch, err);
    }
    const struct affine_image image = {in->dtype, in->shape.d[0], in->shape.d[1], in->shape.d[2],
                                       in->data};
    struct affine affine;
    op->desc->affine(op->ctx, params, image.height, image.width, &affine);
    affine_run(&affine, &image, out->data);
    return 0;
}

bool op_look(const struct op *op, const struct op_spec *in, const struct op_key *key,
             struct look_area *ret)
{
    float params[OP_PARAMS_MAX] = {0};
    if (op->desc->look == NULL || op->is_channels_first) {
        return false;
    }
    op_draw(op, in, key, params);
    op->desc->look(op->ctx, params, in, ret);
    return true;
}

bool op_make_still(struct op *op)
{
    op->is_still = (op->flags & OP_RANDOM) != 0 && op->desc->still != NULL;
    if (op->is_still) {
        op->flags &= ~(unsigned)(OP_RANDOM | OP_BATCH);
    }
    return (op->flags & OP_RANDOM) == 0;
}

int op_run_given(const struct op *op, const float *params, const struct op_key *key,
                 const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
                 struct err *err)
{
    static const struct look_part whole = {0};
    return run_given(op, params, key, &whole, in, out, scratch, err);
}

int op_run_part(const struct op *op, const struct op_key *key, const struct look_part *part,
                const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
                struct err *err)
{
    float params[OP_PARAMS_MAX] = {0};
    const struct op_spec spec = op_whole(in, part);
    op_draw(op, &spec, key, params);
    return run_given(op, params, key, part, in, out, scratch, err);
}

int op_run(const struct op *op, const struct op_key *key, const struct tensor *in,
           struct tensor *out, struct op_scratch *scratch, struct err *err)
{
    static const struct look_part whole = {0};
    return op_run_part(op, key, &whole, in, out, scratch, err);
}

static bool is_outside(double v, const struct op_bounds *bounds)
{
    return v < bounds->low || v > bounds->high || (bounds->is_low_open && v <= bounds->low);
}

int op_factor(const struct opt_floats *given, const char *row, const struct op_bounds *bounds,
              float ret[2], struct err *err)
{
    const bool is_pair = given->n > 1;
    const double a = given->v[0], b = is_pair ? given->v[1] : a;
    double lo = a < b ? a : b, hi = a < b ? b : a;
    if (is_pair && !bounds->is_strict ? a > bounds->high || b < bounds->low
                                      : is_outside(a, bounds) || is_outside(b, bounds)) {
        char low[40], high[40];
        opt_number_text(bounds->low, low, sizeof low);
        opt_number_text(bounds->high, high, sizeof high);
        return err_set_at(err, ERR_RANGE, row, "lies outside %s%s..%s",
                          bounds->is_low_open ? "above " : "", low, high);
    }
    if (!is_pair) {
        hi = a < 0 ? -a : a;
        lo = -hi < bounds->low ? bounds->low : -hi;
    }
    ret[0] = (float)lo;
    ret[1] = (float)hi;
    return 0;
}

int op_check_image(const struct op_spec *in, struct err *err)
{
    char text[128];
    op_shape_text(in, text, sizeof text);
    if (in->shape.rank != 3) {
        return err_set(err, ERR_SHAPE, "takes images (height, width, channels), not %s", text);
    }
    if (in->dtype != DTYPE_U8 && in->dtype != DTYPE_F32) {
        return err_set(err, ERR_SHAPE, "takes uint8 or float32, not %s; put Rescaling before it",
                       text);
    }
    return 0;
}

void op_shape_text(const struct op_spec *spec, char *buf, size_t size)
{
    char shape[96];
    shape_format(&spec->shape, shape, sizeof shape);
    (void)snprintf(buf, size, "%s %s", dtype_name(spec->dtype), shape);
}

#define CONVERT(type)                                \
    for (int64_t i = 0; i < n; i++) {                \
        out[i] = (float)((const type *)in->data)[i]; \
    }                                                \
    break

void op_to_floats(const struct tensor *in, int64_t n, float *out)
{
    switch (in->dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: CONVERT(uint8_t);
    case DTYPE_I8: CONVERT(int8_t);
    case DTYPE_U16: CONVERT(uint16_t);
    case DTYPE_I16: CONVERT(int16_t);
    case DTYPE_I32: CONVERT(int32_t);
    case DTYPE_I64: CONVERT(int64_t);
    case DTYPE_F32: memcpy(out, in->data, (size_t)n * sizeof *out); break;
    case DTYPE_F64: CONVERT(double);
    case DTYPE_STR:
    case DTYPE_MAX_: BUG("no numbers");
    }
}

static int64_t cut(double v)
{
    return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN; /* as the processor does */
}

int64_t op_integer(const struct tensor *in, int64_t i)
{
    switch (in->dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: return ((const uint8_t *)in->data)[i];
    case DTYPE_I8: return ((const int8_t *)in->data)[i];
    case DTYPE_U16: return ((const uint16_t *)in->data)[i];
    case DTYPE_I16: return ((const int16_t *)in->data)[i];
    case DTYPE_I32: return ((const int32_t *)in->data)[i];
    case DTYPE_I64: return ((const int64_t *)in->data)[i];
    case DTYPE_F32: return cut((double)((const float *)in->data)[i]);
    case DTYPE_F64: return cut(((const double *)in->data)[i]);
    case DTYPE_STR:
    case DTYPE_MAX_: break;
    }
    BUG("no numbers");
}

void op_reference(struct buf *out)
{
    for (const struct op_desc *const *row = op_table; *row != NULL; row++) {
        if (((*row)->flags & OP_TEST) != 0) {
            continue;
        }
        buf_printf(out, "## %s\n\n%s%s\n\n", (*row)->name, (*row)->summary,
                   ((*row)->flags & OP_RANDOM) == 0 ? ""
                   : (*row)->still != NULL          ? ""
                                                    : " Random: only in training.");
        opt_reference((*row)->options, out);
        buf_puts(out, "\n");
    }
    buf_puts(out, "## Options of every op\n\n");
    opt_reference(common_options, out);
    buf_puts(
        out,
        "\n## Functions of expressions\n\nThe language: [expressions](../expressions.md).\n\n");
    expr_reference(out);
}

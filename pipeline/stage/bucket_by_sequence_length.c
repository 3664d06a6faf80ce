/* bucket_by_sequence_length - batches of elements of about the same length. */
#include "pipeline/derive_batch.h"

extern const struct stage_desc stage_bucket_by_sequence_length;

enum { BUCKETS_MAX = 1024 };

struct bucket {
    struct stage_batch batch; /* what the compiler of streams reads; derive sets it */
    const char *element_length_func;
    struct opt_ints bucket_boundaries, bucket_batch_sizes;
    const struct doc *padded_shapes, *padding_values;
    bool pad_to_bucket_boundary, no_padding, drop_remainder, lengths, masks;
};
struct buckets {
    const struct bucket *options;
    struct derive_expr length;
};
static const struct opt options[] = {
    OPT_STR_ROW(bucket, element_length_func, NULL,
                "A formula over the fields, the length of an element: `shape(x, 0)` "
                "(docs/expressions.md).",
                .flags = OPT_REQUIRED),
    OPT_INTS_ROW(bucket, bucket_boundaries, NULL, 1, BUCKETS_MAX, 0, INT32_MAX,
                 "Rising lengths: bucket i has those from boundary i - 1 to below boundary i.",
                 .flags = OPT_REQUIRED),
    OPT_INTS_ROW(bucket, bucket_batch_sizes, NULL, 1, BUCKETS_MAX + 1, 1, 1 << 20,
                 "Rows of a batch of each bucket, one number more than there are boundaries.",
                 .flags = OPT_REQUIRED),
    OPT_DOC_ROW(bucket, padded_shapes,
                "The shape of each field, by name: {x: [28, 28, 1]}; -1 and fields left out: the "
                "longest of the batch, and of the data set where the trainer takes it.",
                .flags = OPT_NULLABLE),
    OPT_DOC_ROW(bucket, padding_values,
                "What fields are filled up with: a number, or one a field: {x: 255}. 0 without.",
                .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(bucket, pad_to_bucket_boundary, false,
                 "Fill axes of unlike sizes up to the bucket's boundary less 1, not to the "
                 "longest of the batch. No element may be longer than the last boundary less 1."),
    OPT_BOOL_ROW(bucket, no_padding, false, "Fill nothing up: all elements are of one size."),
    OPT_BOOL_ROW(bucket, drop_remainder, false, "Leave out batches that are not full."),
    OPT_BOOL_ROW(
        bucket, lengths, false,
        "Adds to each field x whose size is not the same in all elements the field `x_length`: its "
        "size before it was filled up, int64, one number for each axis that differs."),
    OPT_BOOL_ROW(bucket, masks, false,
                 "Adds to each such field x the field `x_mask` over these axes: uint8, 1 where "
                 "there is data and 0 where it was filled up."),
    OPT_END_ROW,
};

static int key(const struct derive_select *how, const struct element_spec *spec,
               const struct element *element, int64_t *ret, struct err *err)
{
    struct buckets *k = how->context;
    const struct opt_ints *boundaries = &k->options->bucket_boundaries;
    double length = 0;
    size_t i = 0;
    (void)spec;
    int r = derive_expr_run(&k->length, element, &length, err);
    while (i < boundaries->n && length >= (double)boundaries->v[i]) {
        i++;
    }
    *ret = (int64_t)i;
    if (r == 0 && k->options->pad_to_bucket_boundary && i == boundaries->n) {
        return err_set(err, ERR_RANGE,
                       "an element of length %g: pad_to_bucket_boundary takes only lengths below "
                       "%lld, the last boundary",
                       length, (long long)boundaries->v[i - 1]);
    }
    return r;
}

static int size(const struct derive_group *how, int64_t key, int64_t *ret, struct err *err)
{
    const struct buckets *k = how->context;
    (void)err;
    *ret = k->options->bucket_batch_sizes.v[key];
    return 0;
}

static int fill(const struct derive_group *how, int64_t key, int64_t *ret, struct err *err)
{
    const struct buckets *k = how->context;
    (void)err;
    *ret = k->options->bucket_boundaries.v[key] - 1;
    return 0;
}

static void close_buckets(const struct derive_group *how)
{
    struct buckets *k = how->context;
    op_scratch_fini(&k->length.scratch);
}

static int check(const struct bucket *k, struct err *err)
{
    const struct opt_ints *boundaries = &k->bucket_boundaries;
    for (size_t i = 1; i < boundaries->n; i++) {
        if (boundaries->v[i] <= boundaries->v[i - 1]) {
            return err_set_at(err, ERR_INVALID, "bucket_boundaries", "%lld does not rise from %lld",
                              (long long)boundaries->v[i], (long long)boundaries->v[i - 1]);
        }
    }
    if (k->bucket_batch_sizes.n != boundaries->n + 1) {
        return err_set_at(err, ERR_INVALID, "bucket_batch_sizes",
                          "has %zu numbers; it takes one more than the %zu boundaries",
                          k->bucket_batch_sizes.n, boundaries->n);
    }
    return 0;
}

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    const struct bucket *o = stage->ctx;
    const struct derive_pad_options pads = {o->padded_shapes, o->padding_values, o->lengths,
                                            o->masks};
    struct buckets *k = ARENA_NEW(derive->pool->arena, struct buckets);
    struct source *measured = pool_source(derive->pool);
    struct derive_pads *wanted = NULL;
    struct derive behind;
    k->options = o;
    int r = check(o, err);
    r = r < 0 ? r
              : derive_select_expr(derive->pool->arena, &derive->in->spec, o->element_length_func,
                                   "element_length_func", &k->length, err);
    r = r < 0 ? r : derive_measure(derive, &pads, measured, err);
    r = r < 0 ? r : derive_behind(derive, measured, &behind, err);
    r = r < 0 ? r : derive_pads_read(&pads, &behind.in->spec, derive->pool->arena, &wanted, err);
    if (r == 0) {
        const struct derive_group how = {.rows = behind.in,
                                         .low = 0,
                                         .high = (int64_t)o->bucket_boundaries.n,
                                         .key = key,
                                         .size = size,
                                         .close = close_buckets,
                                         .is_batched = true,
                                         .drop_remainder =
                                             o->drop_remainder && derive->want->is_training,
                                         .pads = wanted,
                                         .fill = o->pad_to_bucket_boundary ? fill : NULL,
                                         .context = k};
        wanted->longest =
            o->pad_to_bucket_boundary ? o->bucket_boundaries.v[o->bucket_boundaries.n - 1] - 1 : 0;
        r = derive_group(derive, &how, ret, err);
        derive->batch.pads = o->no_padding ? NULL : wanted;
    }
    return r;
}

const struct stage_desc stage_bucket_by_sequence_length = {
    .name = "bucket_by_sequence_length",
    .summary = "Puts elements of about the same length into a batch and fills them up to one "
               "length. A batch is as large as its bucket's; a trainer's rows beyond are left out.",
    .options = options,
    .ctx_size = sizeof(struct bucket),
    .kind = STAGE_BATCH,
    .derive = derive,
};

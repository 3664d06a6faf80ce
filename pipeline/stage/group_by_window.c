/* group_by_window - elements with the same key come together. */
#include "pipeline/derive_batch.h"

extern const struct stage_desc stage_group_by_window;

struct group_by_window {
    struct stage_batch batch; /* what the compiler of streams reads; derive sets it */
    const char *key_func;
    const struct doc *reduce_func;
    int64_t window_size;
    const char *window_size_func;
};
struct grouping {
    const struct group_by_window *options;
    struct derive_expr key, size;
    struct stage stages[STREAM_STAGES_MAX];
};
static const struct opt options[] = {
    OPT_STR_ROW(group_by_window, key_func, NULL,
                "A formula over the fields, a whole number an element: `y`, `shape(x, 0) // 10` "
                "(docs/expressions.md).",
                .flags = OPT_REQUIRED),
    OPT_DOC_ROW(group_by_window, reduce_func,
                "What is done to each window: a list of `take`, `skip`, `shuffle`, `repeat`, "
                "`shard` and, as the last one, `batch`, `padded_batch` or `ragged_batch`. Without "
                "a batch the elements come out one by one. Without reduce_func: a batch of each "
                "window.",
                .flags = OPT_NULLABLE),
    OPT_I64_ROW(group_by_window, window_size, 0, 0, 1 << 20, "Elements of a window, of every key.",
                .flags = OPT_NULLABLE),
    OPT_STR_ROW(group_by_window, window_size_func, NULL,
                "Instead of window_size: a formula over `key`, the elements of a window of that "
                "key: `key == 0 ? 8 : 4`.",
                .flags = OPT_NULLABLE),
    OPT_END_ROW,
};

static bool is_whole(double value)
{
    return value > -0x1p53 && value < 0x1p53 && !((double)(int64_t)value < value) &&
           !((double)(int64_t)value > value);
}

static int key(const struct derive_select *how, const struct element_spec *spec,
               const struct element *element, int64_t *ret, struct err *err)
{
    struct grouping *k = how->context;
    double value = 0;
    (void)spec;
    int r = derive_expr_run(&k->key, element, &value, err);
    if (r == 0 && !is_whole(value)) {
        return err_set_at(err, ERR_INVALID, "key_func", "gives %g, which is no whole number",
                          value);
    }
    *ret = (int64_t)value;
    return r;
}

static int size(const struct derive_group *how, int64_t key, int64_t *ret, struct err *err)
{
    struct grouping *k = how->context;
    double value = (double)k->options->window_size;
    int r = 0;
    if (k->options->window_size == 0) {
        const struct element element = {.fields = {{.dtype = DTYPE_I64, .data = &key}}};
        r = derive_expr_run(&k->size, &element, &value, err);
    }
    if (r == 0 && (!is_whole(value) || value < 1 || value > 1 << 20)) {
        return err_set_at(err, ERR_RANGE, "window_size_func",
                          "gives %g for key %lld; it has to be from 1 to %d", value, (long long)key,
                          1 << 20);
    }
    *ret = (int64_t)value;
    return r;
}

static void close_grouping(const struct derive_group *how)
{
    struct grouping *k = how->context;
    op_scratch_fini(&k->key.scratch);
    op_scratch_fini(&k->size.scratch);
}

static int read_sizes(struct grouping *k, struct arena *arena, struct err *err)
{
    const struct group_by_window *o = k->options;
    const struct element_spec spec = {.n = 1,
                                      .fields = {{.name = "key", .spec = {.dtype = DTYPE_I64}}}};
    if ((o->window_size > 0) == (o->window_size_func != NULL)) {
        return err_set_at(err, ERR_INVALID, "window_size",
                          "either window_size or window_size_func is given");
    }
    return o->window_size > 0 ? 0
                              : derive_select_expr(arena, &spec, o->window_size_func,
                                                   "window_size_func", &k->size, err);
}

/* One stage of reduce_func. */
static int read_stage(struct grouping *k, struct derive *derive, struct derive_group *how,
                      const struct doc *doc, struct err *err)
{
    struct stage stage;
    int r = stage_read(doc, derive->want->seed, &derive->pool->stage_names, derive->pool->arena,
                       &stage, err);
    if (r < 0) {
        return r;
    }
    if (how->is_batched ||
        (stage.desc->kind != STAGE_ORDER && (stage.desc->flags & STAGE_IN_WINDOW) == 0)) {
        return err_set(err, ERR_UNSUPPORTED, "%s cannot stand %s", stage.desc->name,
                       how->is_batched ? "behind a batch of a window; put it behind group_by_window"
                                       : "in a window; put it before or behind group_by_window");
    }
    if (stage.desc->kind == STAGE_ORDER) {
        if (how->n_orders == STREAM_STAGES_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d stages", STREAM_STAGES_MAX);
        }
        const bool is_left_out =
            !derive->want->is_training && (stage.desc->flags & STAGE_TRAIN_ONLY) != 0;
        k->stages[how->n_orders] = stage;
        how->n_orders += !is_left_out;
        return 0;
    }
    const struct stage_batch *batch = stage.ctx;
    how->is_batched = true;
    how->batch_size = batch->batch_size;
    how->drop_remainder = batch->drop_remainder && derive->want->is_training;
    /* What it makes of the elements before them is done to every one of them. */
    struct source *source = pool_source(derive->pool);
    if (stage.desc->derive != NULL) {
        r = stage.desc->derive(&stage, derive, source, err);
        r = r < 0 ? r : derive_behind(derive, source, derive, err);
    }
    return r;
}

static int read_reduce(struct grouping *k, struct derive *derive, struct derive_group *how,
                       struct err *err)
{
    const struct doc *list = k->options->reduce_func;
    if (list == NULL || list->type == DOC_NULL) {
        how->is_batched = true;
        return 0;
    }
    const struct doc *items = list->type == DOC_LIST ? list->items : list;
    const size_t n = list->type == DOC_LIST ? list->n : 1;
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = read_stage(k, derive, how, &items[i], err);
        if (r < 0 && list->type == DOC_LIST) {
            err_prefix(err, "[%zu]", i);
        }
    }
    if (r < 0) {
        err_prefix(err, "reduce_func");
    }
    return r;
}

static int derive(const struct stage *stage, struct derive *derive, struct source *ret,
                  struct err *err)
{
    struct grouping *k = ARENA_NEW(derive->pool->arena, struct grouping);
    struct derive_group how = {.low = -((int64_t)1 << 53),
                               .high = (int64_t)1 << 53,
                               .key = key,
                               .size = size,
                               .close = close_grouping,
                               .orders = k->stages,
                               .context = k};
    struct derive inner = *derive;
    k->options = stage->ctx;
    int r = read_sizes(k, derive->pool->arena, err);
    r = r < 0 ? r
              : derive_select_expr(derive->pool->arena, &derive->in->spec, k->options->key_func,
                                   "key_func", &k->key, err);
    inner.batch.pads = NULL;
    r = r < 0 ? r : read_reduce(k, &inner, &how, err);
    how.pads = derive->batch.pads = inner.batch.pads;
    how.rows = inner.in;
    return r < 0 ? r : derive_group(derive, &how, ret, err);
}

const struct stage_desc stage_group_by_window = {
    .name = "group_by_window",
    .summary = "Brings elements with the same key together in windows and makes of each window "
               "what `reduce_func` says, in the order in which windows are full; those that are "
               "not full follow by their keys. A trainer's batches are these; rows that one of "
               "them has fewer than the largest are left out.",
    .options = options,
    .ctx_size = sizeof(struct group_by_window),
    .kind = STAGE_BATCH,
    .derive = derive,
};

#include "pipeline/stream.h"

#include <stdio.h>
#include <string.h>

#include "pipeline/block.h"
#include "pipeline/derive_batch.h"
#include "pipeline/explain.h"
#include "pipeline/fuse.h"

enum { BATCH_DEFAULT = 32, PREFETCH_MAX = 4096, PATH_TEXT = 192 };

/* What compiling one stream needs to know while it walks the list. */
struct compile {
    struct stream *stream;
    const struct stream_want *want;
    struct pool *pool;
    struct arena *arena;
    struct err *err;
    int64_t n; /* elements so far */
    bool is_batched, ignores_errors;
    size_t at;                 /* of the stage in the list */
    int64_t remainder;         /* rows of a short last batch */
    struct derive_batch batch; /* how the rows become batches, as long as is_batched */
    struct explain_marks marks;
};

static void mark(struct compile *c, const char *stage, bool is_given)
{
    const struct stage_desc *desc = is_given ? stage_find(stage) : NULL;
    const struct explain_mark what = {.stage = stage,
                                      .path = c->want->path,
                                      .at = is_given ? (int64_t)c->at : -1,
                                      .elements = c->n,
                                      .batch = c->is_batched ? c->stream->batch : 0,
                                      .has_fewer = c->is_batched && c->batch.has_holes,
                                      .is_left_out = desc != NULL && !c->want->is_training &&
                                                     (desc->flags & STAGE_TRAIN_ONLY) != 0};
    explain_add(&c->marks, c->stream, &what, c->arena);
}

/* Fields that a map works on when it names none: the images; without any, all that has numbers;
 * else the texts. */
static uint32_t default_fields(const struct element_spec *spec)
{
    uint32_t images = 0, numbers = 0, texts = 0;
    for (int i = 0; i < spec->n; i++) {
        const enum element_kind kind = spec->fields[i].kind;
        images |= kind == ELEMENT_IMAGE ? 1U << i : 0;
        numbers |= kind == ELEMENT_NUMERIC || kind == ELEMENT_AUDIO ? 1U << i : 0;
        texts |= kind == ELEMENT_TEXT ? 1U << i : 0;
    }
    return images != 0 ? images : numbers != 0 ? numbers : texts;
}

static int named_fields(const struct element_spec *spec, const struct stage_map *map, uint32_t *ret,
                        struct err *err)
{
    *ret = default_fields(spec);
    return map->fields.n == 0 ? 0 : derive_fields(spec, &map->fields, ret, err);
}

static int close_inner(struct compile *c, struct stream **ret);
static void go_on(struct compile *c, struct source *source);

/* What stands so far becomes a source with one field more; *fields: that one. */
static int add_join(struct compile *c, const struct stage_map *map, const struct op *op,
                    uint32_t *fields)
{
    struct stream *inner;
    if (c->is_batched) {
        return err_set_at(c->err, ERR_UNSUPPORTED, "into", "makes a field before batch alone");
    }
    c->stream->n = c->n;
    int r = close_inner(c, &inner);
    const struct derive derive = {
        .in = inner, .want = c->want, .pool = c->pool, .path = c->want->path};
    const struct derive_join join = {
        .op = op, .fields = map->fields, .into = map->into, .keep = map->keep};
    struct source *source = pool_source(c->pool);
    r = r < 0 ? r : derive_join(&derive, &join, source, c->err);
    if (r == 0) {
        go_on(c, source);
        *fields = 1U << (source->spec.n - 1);
    }
    return r;
}

static int read_op(struct compile *c, const struct stage_map *map, const struct doc *doc,
                   const char *path, struct stream_op *how)
{
    struct stream *s = c->stream;
    struct op read;
    int r = op_read(doc, &c->pool->op_names, c->arena, &read, c->err);
    if (r < 0) {
        return r;
    }
    if ((read.flags & OP_JOIN) != 0) {
        return add_join(c, map, &read, &how->fields);
    }
    if (s->n_ops == STREAM_OPS_MAX) {
        return err_set(c->err, ERR_LIMIT, "more than %d ops", STREAM_OPS_MAX);
    }
    struct stream_op *op = &s->ops[s->n_ops];
    *op = *how;
    op->op = read;
    op->level = s->n_orders;
    op->path = arena_printf(c->arena, "%s[%zu].%s", c->want->path, c->at, path);
    op->line = (int)doc->line;
    /* Names were counted above, so that an op draws the same with and without random ones before
     * it. */
    if (c->want->is_training || op_make_still(&op->op)) {
        s->n_ops++;
        c->pool->is_drawn = c->pool->is_drawn || (op->op.flags & OP_RANDOM) != 0;
        c->pool->batch_op = (op->op.flags & OP_BATCH) != 0 ? op->op.desc->name : c->pool->batch_op;
    }
    return 0;
}

static bool is_join(const struct doc *doc)
{
    const char *name = NULL;
    const struct doc *options;
    const struct op_desc *desc = opt_named(doc, &name, &options, NULL) == 0 ? op_find(name) : NULL;
    return desc != NULL && desc->check_all != NULL;
}

static int add_map(struct compile *c, const struct stage_map *map, bool is_bare)
{
    struct doc single = {.type = DOC_LIST, .n = 1};
    struct doc item;
    const struct doc *ops = map->ops;
    const char *in = is_bare ? "map" : "map.ops";
    struct stream_op how = {.exact = map->exact};
    if (ops->type != DOC_LIST) {
        item = *ops;
        single.items = &item;
        ops = &single;
    }
    int r = named_fields(&c->stream->source->spec, map, &how.fields, c->err);
    if (r == 0 && map->into != NULL && ops->n > 0 && !is_join(&ops->items[0])) {
        r = add_join(c, map, NULL, &how.fields);
    }
    if (r < 0) {
        err_prefix(c->err, "map");
        return r;
    }
    for (size_t i = 0; i < ops->n; i++) {
        char path[PATH_TEXT];
        (void)snprintf(path, sizeof path, ops == &single ? "%s" : "%s[%zu]", in, i);
        r = read_op(c, map, &ops->items[i], path, &how);
        if (r < 0) {
            err_prefix(c->err, "%s", path);
            return r;
        }
    }
    return 0;
}

static int add_order(struct compile *c, const struct stage *stage)
{
    struct stream *s = c->stream;
    if (s->n_orders == STREAM_STAGES_MAX) {
        return err_set(c->err, ERR_LIMIT, "more than %d stages", STREAM_STAGES_MAX);
    }
    if (c->remainder > 0 && (stage->desc->flags & STAGE_KEEPS_ORDER) == 0) {
        return err_set_at(c->err, ERR_UNSUPPORTED, stage->desc->name,
                          "the last batch has %lld rows and would come to stand between full ones; "
                          "put %s before batch, or give "
                          "batch drop_remainder: true",
                          (long long)c->remainder, stage->desc->name);
    }
    struct stream_order *order = &s->orders[s->n_orders++];
    *order = (struct stream_order){.stage = *stage, .n = c->n};
    if (stage->desc->state_bytes != NULL && c->n != STAGE_ENDLESS) {
        order->stage.state = arena_alloc(c->arena, stage->desc->state_bytes(c->n));
    }
    const int64_t before = c->n;
    int r = stage->desc->count(stage->ctx, c->n, &c->n, c->err);
    if (r < 0) {
        err_prefix(c->err, "%s", stage->desc->name);
    } else if (c->n == 0) {
        r = err_set_at(c->err, ERR_DATA, stage->desc->name, "nothing is left of %lld %s",
                       (long long)before, c->is_batched ? "batches" : "samples");
    }
    return r;
}

static bool is_known(const struct op_spec *spec)
{
    for (int i = 0; i < spec->shape.rank; i++) {
        if (spec->shape.d[i] < 0) {
            return false;
        }
    }
    return true;
}

/* Runs a spec down the ops of a field. Two neighbours that do not fit are both named. */
static int check_ops(struct stream_chain *s, const struct op_spec *first, struct op_spec *ret,
                     struct err *err)
{
    struct op_spec spec = *first;
    for (int i = 0; i < s->n_ops; i++) {
        int r = op_check(&s->ops[i].op, &spec, err);
        if (r < 0) {
            char got[128], text[512];
            op_shape_text(&spec, got, sizeof got);
            (void)snprintf(text, sizeof text, "%.500s", err != NULL ? err->text : "");
            if (err != NULL && r == ERR_SHAPE) {
                (void)snprintf(err->text, sizeof err->text, "%s: %.400s; it gets %s from %s",
                               s->ops[i].op.desc->name, text, got,
                               i > 0 ? s->ops[i - 1].op.desc->name : "the data set");
            }
            if (err != NULL) {
                err_prefix(err, "%s", s->ops[i].path);
                err->line = s->ops[i].line;
            }
            return r;
        }
        spec = s->ops[i].op.out;
    }
    *ret = spec;
    return 0;
}

/* Images of many sizes need an op that gives them one; without it all have to be as large as the
 * first, but inside of another stream. */
static int find_spec(struct compile *c, const struct stream *s, struct stream_chain *chain,
                     const struct element_field *from, struct element_field *ret)
{
    struct op_spec spec = from->spec;
    struct err ignored = {0};
    ret->is_varying = false;
    if (from->is_varying) {
        spec.shape.d[0] = spec.shape.d[1] = -1;
        if (check_ops(chain, &spec, &ret->spec, &ignored) == 0 && is_known(&ret->spec)) {
            return 0;
        }
        spec = from->spec;
        ret->is_varying = s->is_inner;
    }
    int r = check_ops(chain, &spec, &ret->spec, c->err);
    ret->is_varying = ret->is_varying || (r == 0 && is_known(&from->spec) && !is_known(&ret->spec));
    if (r == 0 && from->spec.dtype == DTYPE_STR && ret->spec.dtype != DTYPE_STR) {
        ret->kind = from->kind == ELEMENT_TEXT ? ELEMENT_NUMERIC : from->kind;
    }
    if (r == 0 && !is_known(&ret->spec) && !s->is_inner) {
        char text[128];
        op_shape_text(&ret->spec, text, sizeof text);
        return err_set_at(c->err, ERR_SHAPE, c->want->path,
                          "the rows of a batch have no common shape in field '%s', %s; add "
                          "Resizing to map (output_sequence_length to TextVectorization), or "
                          "padded_batch",
                          from->name, text);
    }
    return r;
}

static int make_chain(struct compile *c, struct stream *s, int field)
{
    const struct element_field *from = &s->source->spec.fields[field];
    struct stream_chain *chain = &s->chains[field];
    struct element_field out = *from;
    *chain = (struct stream_chain){.field = field, .name = from->name};
    chain->ops = arena_array(c->arena, (size_t)s->n_ops + 1, sizeof *chain->ops);
    for (int i = 0; i < s->n_ops; i++) {
        if ((s->ops[i].fields >> field & 1) != 0) {
            chain->ops[chain->n_ops++] = s->ops[i];
        }
    }
    int r = find_spec(c, s, chain, from, &out);
    if (r < 0) {
        return r;
    }
    const struct element_spec *like = c->want->like;
    chain->is_to_floats = !s->is_inner && like != NULL && field < like->n &&
                          out.spec.dtype == DTYPE_U8 && like->fields[field].spec.dtype == DTYPE_F32;
    out.spec.dtype = chain->is_to_floats ? DTYPE_F32 : out.spec.dtype;
    element_add(&s->spec, &out);
    fuse_nodes(chain, c->arena);
    if (s->is_inner) {
        return 0;
    }
    if (shape_bytes(&out.spec.shape, out.spec.dtype, &chain->row_bytes) < 0 ||
        chain->row_bytes > (size_t)1 << 30) {
        return err_set_at(c->err, ERR_LIMIT, c->want->path, "a row of a batch is too large");
    }
    return 0;
}

static void find_fixed(struct stream *s)
{
    s->is_fixed = s->source->is_fixed;
    for (int i = 0; i < s->n_ops; i++) {
        s->is_fixed = s->is_fixed && (s->ops[i].op.flags & OP_RANDOM) == 0;
    }
    for (int i = 0; i < s->n_orders; i++) {
        s->is_reordered = s->is_reordered || (s->orders[i].stage.desc->flags & STAGE_REORDERS) != 0;
    }
}

static int make_chains(struct compile *c, struct stream *s)
{
    find_fixed(s);
    const int n = s->source->spec.n;
    s->chains = arena_array(c->arena, (size_t)n, sizeof *s->chains);
    for (int i = 0; i < n; i++) {
        int r = make_chain(c, s, i);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* What was compiled so far becomes a stream inside of the one that goes on. */
static int close_inner(struct compile *c, struct stream **ret)
{
    struct stream *inner = pool_stream(c->pool);
    *inner = *c->stream;
    inner->is_inner = true;
    *ret = inner;
    *c->stream = (struct stream){
        .seed = inner->seed, .prefetch = inner->prefetch, .prefetch_bytes = inner->prefetch_bytes};
    return make_chains(c, inner);
}

static void go_on(struct compile *c, struct source *source)
{
    c->stream->source = source;
    c->stream->is_inner = c->want->is_inner;
    c->n = source->samples;
    c->remainder = 0;
}

/* Of a stream whose rows are wanted and not its batches. */
static int drop_batch(struct compile *c)
{
    struct stream *s = c->stream;
    if (c->batch.has_holes) {
        return err_set_at(c->err, ERR_UNSUPPORTED, c->want->path,
                          "its batches have unlike numbers of rows; add unbatch to have their "
                          "elements one by one");
    }
    if (s->n_orders > s->batch_at) {
        const char *name = s->orders[s->batch_at].stage.desc->name;
        return err_set_at(c->err, ERR_UNSUPPORTED, c->want->path,
                          "%s stands behind batch, and elements are taken from before it; put %s "
                          "before batch",
                          name, name);
    }
    c->n = s->drop_remainder ? c->n * s->batch : s->n;
    c->is_batched = false;
    c->batch = (struct derive_batch){0};
    return 0;
}

/* What stands before the orders of batches becomes an inner stream, `make` a source of it, and they
 * go on behind that. */
static int rebase(struct compile *c,
                  int (*make)(const struct compile *c, struct derive *derive, struct source *ret))
{
    struct stream *s = c->stream, *inner;
    struct stream_order orders[STREAM_STAGES_MAX];
    const int n = s->n_orders - s->batch_at;
    const int64_t left = c->n;
    if (s->n_ops > 0 && s->ops[s->n_ops - 1].level > s->batch_at) {
        return err_set_at(c->err, ERR_UNSUPPORTED, s->ops[s->n_ops - 1].path,
                          "stands behind batch and another stage that orders batches; put it "
                          "before batch");
    }
    memcpy(orders, s->orders + s->batch_at, (size_t)n * sizeof orders[0]);
    s->n_orders = s->batch_at;
    int r = close_inner(c, &inner);
    struct derive derive = {.in = inner, .want = c->want, .pool = c->pool, .path = c->want->path};
    struct source *source = pool_source(c->pool);
    r = r < 0 ? r : make(c, &derive, source);
    if (r < 0) {
        return r;
    }
    go_on(c, source);
    memcpy(c->stream->orders, orders, (size_t)n * sizeof orders[0]);
    c->stream->n_orders = n;
    c->n = left;
    return 0;
}

static int make_elements(const struct compile *c, struct derive *derive, struct source *ret)
{
    const struct stage_batch *batch = &c->batch.options;
    const struct derive_window window = {.size = batch->batch_size,
                                         .shift = batch->batch_size,
                                         .stride = 1,
                                         .drop_remainder = batch->drop_remainder};
    return c->batch.pads != NULL || c->batch.has_holes
               ? derive_batches(derive, &c->batch, ret, c->err)
               : derive_window(derive, &window, ret, c->err);
}

/* Batches that another stage works on: elements of one dimension more. */
static int wrap_batch(struct compile *c)
{
    int r = rebase(c, make_elements);
    c->is_batched = r < 0;
    c->batch = (struct derive_batch){0};
    return r;
}

static int make_padded(const struct compile *c, struct derive *derive, struct source *ret)
{
    struct derive_pads *pads = ARENA_NEW(c->arena, struct derive_pads);
    *pads = *c->batch.pads;
    pads->at_least = c->want->is_inner ? NULL : c->want->like;
    return derive_pad(derive, pads, ret, c->err);
}

/* The rows of a trainer's batches have one size in all of them, and so have those that an op gets.
 */
static int pad_rows(struct compile *c)
{
    if (!c->is_batched || c->batch.pads == NULL) {
        return 0;
    }
    const struct stream was = *c->stream;
    const int64_t remainder = c->remainder;
    int r = rebase(c, make_padded);
    c->stream->batch = was.batch;
    c->stream->drop_remainder = was.drop_remainder;
    c->stream->rows = was.rows;
    c->stream->n = was.n;
    c->remainder = remainder;
    c->batch.pads = NULL;
    return r;
}

static int add_batch(struct compile *c, const struct derive_batch *batch)
{
    int r = c->is_batched ? wrap_batch(c) : 0;
    if (r < 0 || batch->options.batch_size == 0) {
        return r;
    }
    struct stream *s = c->stream;
    c->is_batched = true;
    c->batch = *batch;
    c->batch.options.drop_remainder = batch->options.drop_remainder && c->want->is_training;
    s->batch = batch->options.batch_size;
    s->drop_remainder = c->batch.options.drop_remainder;
    s->batch_at = s->n_orders;
    s->n = c->n;
    if (c->n != STAGE_ENDLESS) {
        c->remainder = s->drop_remainder ? 0 : c->n % s->batch;
        const int64_t rows = c->n;
        c->n = rows / s->batch + (c->remainder > 0);
        if (c->n == 0) {
            return err_set_at(
                c->err, ERR_DATA, "batch",
                "%lld samples do not fill one batch of %lld, and drop_remainder is true",
                (long long)rows, (long long)s->batch);
        }
        s->rows = s->drop_remainder ? c->n * s->batch : rows;
    }
    return 0;
}

/* batch: of a stage that makes batches, else NULL. */
static int add_derive(struct compile *c, const struct stage *stage, struct derive_batch *batch)
{
    struct stream *inner;
    int r = c->is_batched ? wrap_batch(c) : 0;
    c->stream->n = c->n;
    r = r < 0 ? r : close_inner(c, &inner);
    if (r < 0) {
        return r;
    }
    struct derive derive = {.in = inner, .want = c->want, .pool = c->pool};
    struct source *source = pool_source(c->pool);
    derive.path = arena_printf(c->arena, "%s[%zu].%s", c->want->path, c->at, stage->desc->name);
    derive.batch = batch != NULL ? *batch : derive.batch;
    r = stage->desc->derive(stage, &derive, source, c->err);
    if (r < 0) {
        err_prefix(c->err, "%s", stage->desc->name);
        return r;
    }
    if (batch != NULL) {
        *batch = derive.batch;
    }
    go_on(c, source);
    return 0;
}

static int add_batches(struct compile *c, const struct stage *stage)
{
    struct derive_batch batch = {.options = *(const struct stage_batch *)stage->ctx};
    int r = stage->desc->derive != NULL ? add_derive(c, stage, &batch) : 0;
    return r < 0 ? r : add_batch(c, &batch);
}

static int compile_stage(struct compile *c, const struct doc *doc, const struct stage *stage)
{
    switch (stage->desc->kind) {
    case STAGE_MAP: {
        const struct doc *value = doc_get(doc, "map");
        int r = pad_rows(c);
        return r < 0 ? r
                     : add_map(c, stage->ctx,
                               value->type != DOC_MAP || doc_get(value, "ops") == NULL);
    }
    case STAGE_BATCH: return c->want->is_ops_only ? 0 : add_batches(c, stage);
    case STAGE_PREFETCH: {
        const struct stage_prefetch *prefetch = stage->ctx;
        if (prefetch->buffer_size > 0 && prefetch->buffer_bytes > 0) {
            return err_set_at(c->err, ERR_INVALID, "prefetch",
                              "takes buffer_size or buffer_bytes, not both");
        }
        c->stream->prefetch = prefetch->buffer_size > 0 ? prefetch->buffer_size : 0;
        c->stream->prefetch_bytes = prefetch->buffer_bytes;
        return 0;
    }
    case STAGE_HINT: return 0;
    case STAGE_DERIVE: return c->want->is_ops_only ? 0 : add_derive(c, stage, NULL);
    case STAGE_ORDER: break;
    }
    if (c->want->is_ops_only ||
        (!c->want->is_training && (stage->desc->flags & STAGE_TRAIN_ONLY) != 0)) {
        return 0;
    }
    return add_order(c, stage);
}

static int add_stage(struct compile *c, const struct doc *doc, const char **ret_name)
{
    struct stage stage;
    int r = stage_read(doc, c->want->seed, &c->pool->stage_names, c->arena, &stage, c->err);
    if (r < 0) {
        return r;
    }
    *ret_name = stage.desc->name;
    if (stage.desc->kind != STAGE_PREFETCH && stage.desc->kind != STAGE_HINT) {
        pool_note(c->pool, NULL, doc);
    }
    c->ignores_errors = c->ignores_errors || (stage.desc->flags & STAGE_IGNORES_ERRORS) != 0;
    /* Who may be given a seed draws with the job's. */
    c->pool->is_drawn = c->pool->is_drawn || opt_find(stage.desc->options, "seed") != NULL;
    return compile_stage(c, doc, &stage);
}

static int read_stages(struct compile *c)
{
    const struct doc *stages = c->want->stages;
    if (stages != NULL && stages->type != DOC_LIST && stages->type != DOC_NULL) {
        return err_set_at(c->err, ERR_INVALID, c->want->path, "takes a list of stages");
    }
    for (size_t i = 0; stages != NULL && stages->type == DOC_LIST && i < stages->n; i++) {
        const char *name = NULL;
        c->at = i;
        int r = add_stage(c, &stages->items[i], &name);
        if (r < 0) {
            err_prefix(c->err, "%s[%zu]", c->want->path, i);
            if (c->err != NULL && c->err->line == 0) {
                c->err->line = (int)stages->items[i].line;
            }
            return r;
        }
        mark(c, name, true);
    }
    if (c->want->is_inner) {
        int r = !c->is_batched ? 0 : c->want->is_unbatched ? drop_batch(c) : wrap_batch(c);
        c->stream->n = c->n;
        return r;
    }
    if (!c->is_batched) {
        const struct derive_batch batch = {.options = {.batch_size = BATCH_DEFAULT}};
        int r = add_batch(c, &batch);
        mark(c, "batch", false);
        return r;
    }
    const bool is_padded = c->batch.pads != NULL;
    int r = pad_rows(c);
    if (r == 0 && is_padded) {
        mark(c, "(one size)", false);
    }
    return r;
}

/* Steps and rows of an epoch. */
static int count_steps(struct compile *c)
{
    struct stream *s = c->stream;
    const int64_t wanted = c->want->is_training ? c->want->steps_per_epoch : 0;
    s->is_endless = c->n == STAGE_ENDLESS;
    s->steps = s->is_endless ? wanted : c->n;
    if (s->is_endless && wanted == 0) {
        return err_set_at(c->err, ERR_MISSING, "fit.steps_per_epoch",
                          "the stream of %s has no end: say how many steps an epoch has",
                          c->want->path);
    }
    if (!s->is_endless && wanted > s->steps) {
        return err_set_at(
            c->err, ERR_RANGE, "fit.steps_per_epoch",
            "%lld is more than the %lld steps of the stream; add repeat: {} before batch",
            (long long)wanted, (long long)s->steps);
    }
    int64_t total;
    if (__builtin_mul_overflow(s->steps, s->batch, &total) ||
        __builtin_mul_overflow(total, c->want->epochs, &total) || total > (int64_t)1 << 56) {
        return err_set_at(c->err, ERR_LIMIT, c->want->path, "too many rows in all epochs");
    }
    /* A skip, take or shard of batches changes which of them is the last; only that one may be
     * short. */
    const bool has_last = s->batch_at == s->n_orders;
    if (s->is_endless || (!has_last && c->remainder == 0)) {
        s->rows = s->steps * s->batch;
    } else if (!has_last) {
        struct stream_places places;
        s->rows = s->steps * s->batch;
        stream_place(s, 0, s->steps - 1, 0, &places);
        const int64_t first = places.at[s->batch_at].position, n = s->orders[s->batch_at].n;
        s->rows -= first / s->batch == n - 1 ? s->batch - c->remainder : 0;
    }
    return 0;
}

/* Of how a list is compiled all that changes what a stage gets. */
static void note_want(struct pool *pool, const struct stream_want *want)
{
    pool_note(pool,
              arena_printf(pool->arena, "stream %d %d %d", want->is_training, want->is_ops_only,
                           want->is_inner),
              NULL);
    pool_note_seed(pool, want->seed);
}

/* Batches that prefetch's bytes hold. */
static void count_prefetch(struct stream *s)
{
    size_t row = 0;
    for (int i = 0; i < s->spec.n; i++) {
        row += s->chains[i].row_bytes;
    }
    if (s->prefetch_bytes > 0 && row > 0) {
        const int64_t n = s->prefetch_bytes / s->batch / (int64_t)row;
        s->prefetch = n < 1 ? 1 : n > PREFETCH_MAX ? PREFETCH_MAX : n;
    }
}

int stream_compile(struct stream *ret, struct source *source, const struct stream_want *want,
                   struct pool *pool, struct err *err)
{
    struct compile c = {.stream = ret,
                        .want = want,
                        .pool = pool,
                        .arena = pool->arena,
                        .err = err,
                        .n = source->samples};
    *ret = (struct stream){.source = source, .seed = want->seed, .is_inner = want->is_inner};
    mark(&c, source->desc->name, false);
    note_want(pool, want);
    int r = read_stages(&c);
    ret->marks = c.marks.first;
    r = r < 0 || want->is_inner ? r : count_steps(&c);
    ret->ignores_errors = c.ignores_errors;
    pool_note(pool, "end", NULL);
    r = r < 0 ? r : make_chains(&c, ret);
    if (r == 0) {
        block_find(ret, c.arena);
    }
    if (r == 0 && !want->is_inner && !want->is_ops_only) {
        count_prefetch(ret);
    }
    return r;
}

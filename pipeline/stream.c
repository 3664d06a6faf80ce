#include "pipeline/stream.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "pipeline/fuse.h"

enum { BATCH_DEFAULT = 32, PATH_TEXT = 192 };

/* What compiling one stream needs to know while it walks the list. */
struct compile {
    struct stream *stream;
    const struct stream_want *want;
    struct arena *arena;
    struct err *err;
    struct stage_names stage_names;
    struct op_names op_names;
    int64_t n; /* elements so far */
    bool is_batched;
    size_t at;         /* of the stage in the list */
    int64_t remainder; /* rows of a short last batch */
};

static int read_op(struct compile *c, const struct doc *doc, const char *path, bool exact,
                   struct err *err)
{
    struct stream *s = c->stream;
    if (s->n_ops == STREAM_OPS_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d ops", STREAM_OPS_MAX);
    }
    struct stream_op *op = &s->ops[s->n_ops];
    int r = op_read(doc, &c->op_names, c->arena, &op->op, err);
    if (r < 0) {
        return r;
    }
    op->level = s->n_orders;
    op->exact = exact;
    op->path = arena_printf(c->arena, "%s[%zu].%s", c->want->path, c->at, path);
    op->line = (int)doc->line;
    /* Names were counted above, so that an op draws the same with and without random ones before
     * it. */
    if (c->want->is_training || (op->op.desc->flags & OP_RANDOM) == 0) {
        s->n_ops++;
    }
    return 0;
}

static int add_map(struct compile *c, const struct stage_map *map, bool is_bare)
{
    struct doc single = {.type = DOC_LIST, .n = 1};
    struct doc item;
    const struct doc *ops = map->ops;
    const char *in = is_bare ? "map" : "map.ops";
    if (ops->type != DOC_LIST) {
        item = *ops;
        single.items = &item;
        ops = &single;
    }
    for (size_t i = 0; i < ops->n; i++) {
        char path[PATH_TEXT];
        (void)snprintf(path, sizeof path, ops == &single ? "%s" : "%s[%zu]", in, i);
        int r = read_op(c, &ops->items[i], path, map->exact, c->err);
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
    s->orders[s->n_orders++] = (struct stream_order){.stage = *stage, .n = c->n};
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

static int add_batch(struct compile *c, const struct stage_batch *batch)
{
    struct stream *s = c->stream;
    if (c->is_batched) {
        return err_set_at(c->err, ERR_UNSUPPORTED, "batch",
                          "the stream has batches already; batches of batches are not made");
    }
    c->is_batched = true;
    s->batch = batch->batch_size;
    s->drop_remainder = batch->drop_remainder && c->want->is_training;
    s->batch_at = s->n_orders;
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

static int add_stage(struct compile *c, const struct doc *doc)
{
    struct stage stage;
    int r = stage_read(doc, c->want->seed, &c->stage_names, c->arena, &stage, c->err);
    if (r < 0) {
        return r;
    }
    switch (stage.desc->kind) {
    case STAGE_MAP: {
        const struct doc *value = doc_get(doc, "map");
        return add_map(c, stage.ctx, value->type != DOC_MAP || doc_get(value, "ops") == NULL);
    }
    case STAGE_BATCH: return c->want->is_ops_only ? 0 : add_batch(c, stage.ctx);
    case STAGE_PREFETCH: {
        const struct stage_prefetch *prefetch = stage.ctx;
        c->stream->prefetch = prefetch->buffer_size > 0 ? prefetch->buffer_size : 0;
        return 0;
    }
    case STAGE_HINT: return 0;
    case STAGE_ORDER: break;
    }
    if (c->want->is_ops_only ||
        (!c->want->is_training && (stage.desc->flags & STAGE_TRAIN_ONLY) != 0)) {
        return 0;
    }
    return add_order(c, &stage);
}

static int read_stages(struct compile *c)
{
    const struct doc *stages = c->want->stages;
    if (stages != NULL && stages->type != DOC_LIST && stages->type != DOC_NULL) {
        return err_set_at(c->err, ERR_INVALID, c->want->path, "takes a list of stages");
    }
    for (size_t i = 0; stages != NULL && stages->type == DOC_LIST && i < stages->n; i++) {
        c->at = i;
        int r = add_stage(c, &stages->items[i]);
        if (r < 0) {
            err_prefix(c->err, "%s[%zu]", c->want->path, i);
            if (c->err != NULL && c->err->line == 0) {
                c->err->line = (int)stages->items[i].line;
            }
            return r;
        }
    }
    if (!c->is_batched) {
        const struct stage_batch batch = {.batch_size = BATCH_DEFAULT};
        return add_batch(c, &batch);
    }
    return 0;
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

static bool is_known(const struct op_spec *spec)
{
    for (int i = 0; i < spec->shape.rank; i++) {
        if (spec->shape.d[i] < 0) {
            return false;
        }
    }
    return true;
}

/* Runs the specs down the ops. Two neighbours that do not fit are both named. */
static int check_ops(struct stream *s, const struct op_spec *first, struct err *err)
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
    s->x = spec;
    return 0;
}

/* Images of many sizes need an op that gives them one; without it all have to be as large as the
 * first. */
static int find_specs(struct compile *c)
{
    struct stream *s = c->stream;
    struct op_spec spec = s->source->x;
    struct err ignored = {0};
    if (s->source->is_varying) {
        spec.shape.d[0] = spec.shape.d[1] = -1;
        if (check_ops(s, &spec, &ignored) == 0 && is_known(&s->x)) {
            return 0;
        }
        spec = s->source->x;
    }
    int r = check_ops(s, &spec, c->err);
    if (r < 0) {
        return r;
    }
    if (!is_known(&s->x)) {
        return err_set_at(c->err, ERR_SHAPE, c->want->path,
                          "the rows of a batch have no common shape; add Resizing to map");
    }
    return 0;
}

int stream_compile(struct stream *ret, struct source *source, const struct stream_want *want,
                   struct arena *arena, struct err *err)
{
    struct compile c = {
        .stream = ret, .want = want, .arena = arena, .err = err, .n = source->samples};
    *ret = (struct stream){.source = source, .seed = want->seed};
    int r = read_stages(&c);
    r = r < 0 ? r : count_steps(&c);
    r = r < 0 ? r : find_specs(&c);
    if (r < 0) {
        return r;
    }
    fuse_nodes(ret, arena);
    if (shape_bytes(&ret->x.shape, ret->x.dtype, &ret->row_bytes) < 0 ||
        ret->row_bytes > (size_t)1 << 30) {
        return err_set_at(err, ERR_LIMIT, want->path, "a row of a batch is too large");
    }
    return 0;
}

int64_t stream_rows(const struct stream *stream, int64_t step)
{
    const int64_t left = stream->rows - step * stream->batch;
    return left < stream->batch ? left : stream->batch;
}

static void walk(const struct stream *s, struct stage_place place, int64_t row,
                 struct stream_places *ret)
{
    int i = s->n_orders;
    for (; i > s->batch_at; i--) {
        ret->at[i] = (struct stage_place){place.iteration, place.position * s->batch + row};
        s->orders[i - 1].stage.desc->place(&s->orders[i - 1].stage, s->orders[i - 1].n, &place);
    }
    place.position = place.position * s->batch + row;
    for (; i > 0; i--) {
        ret->at[i] = place;
        s->orders[i - 1].stage.desc->place(&s->orders[i - 1].stage, s->orders[i - 1].n, &place);
    }
    ret->at[0] = place;
}

void stream_place(const struct stream *stream, int64_t epoch, int64_t step, int64_t row,
                  struct stream_places *ret)
{
    /* An endless stream runs on from epoch to epoch. */
    const struct stage_place place = {.iteration = stream->is_endless ? 0 : epoch,
                                      .position =
                                          stream->is_endless ? epoch * stream->steps + step : step};
    walk(stream, place, row, ret);
    ret->epoch = epoch;
    ret->step = step;
}

void stream_place_next(const struct stream *stream, int64_t epoch, int64_t step, int64_t row,
                       int64_t ahead, struct stream_places *ret)
{
    const int64_t at = (step * stream->batch + row + ahead) % stream->rows;
    stream_place(stream, epoch, at / stream->batch, at % stream->batch, ret);
}

static int apply_node(const struct stream *s, struct stream_node *node, const struct tensor *in,
                      const struct stream_places *places, struct tensor *out,
                      struct op_scratch *scratch, struct err *err)
{
    if (node->n_ops > 1) {
        return fuse_run(s, node, in, places, out, err);
    }
    const struct stream_op *op = &node->ops[0];
    const struct op_key key = fuse_key(s, op, places);
    return op_run(&op->op, &key, in, out, scratch, err);
}

/* Bytes of what the node makes of this input. */
static int out_bytes(const struct stream_node *node, const struct tensor *in, size_t *ret,
                     struct err *err)
{
    *ret = node->out_bytes;
    if (*ret > 0) {
        return 0;
    }
    struct op_spec spec = {.dtype = in->dtype, .shape = in->shape};
    for (int i = 0; i < node->n_ops; i++) {
        struct op op = node->ops[i].op;
        int r = op_check(&op, &spec, err);
        if (r < 0) {
            return r;
        }
        spec = op.out;
    }
    int r = shape_bytes(&spec.shape, spec.dtype, ret);
    return r < 0 || *ret > (size_t)1 << 30 ? err_set(err, ERR_LIMIT, "the sample becomes too large")
                                           : 0;
}

int stream_apply(struct stream *stream, const struct tensor *x, const struct stream_places *places,
                 struct stream_buffers *buffers, int64_t weight, void *ret_row, struct err *err)
{
    struct tensor in = *x, out;
    int64_t begin = weight > 0 ? clock_us() : 0;
    for (int i = 0; i < stream->n_nodes; i++) {
        struct stream_node *node = &stream->nodes[i];
        size_t bytes;
        int r = i + 1 < stream->n_nodes ? out_bytes(node, &in, &bytes, err) : 0;
        if (r < 0) {
            return r;
        }
        out.data =
            i + 1 < stream->n_nodes ? op_scratch_need(&buffers->side[i & 1], bytes) : ret_row;
        r = apply_node(stream, node, &in, places, &out, &buffers->op, err);
        if (r < 0) {
            return r;
        }
        if (weight > 0) {
            const int64_t now = clock_us();
            node->us += (now - begin) * weight;
            begin = now;
        }
        in = out;
    }
    if (stream->n_nodes == 0) {
        memcpy(ret_row, x->data, stream->row_bytes);
    }
    return 0;
}

void stream_buffers_fini(struct stream_buffers *buffers)
{
    op_scratch_fini(&buffers->side[0]);
    op_scratch_fini(&buffers->side[1]);
    op_scratch_fini(&buffers->op);
}

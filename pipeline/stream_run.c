/* stream_run - places of rows, and the ops on their way. */
#include <string.h>

#include "base/clock.h"
#include "pipeline/fuse.h"
#include "pipeline/stream.h"

int64_t stream_rows(const struct stream *stream, int64_t step)
{
    const int64_t left = stream->rows - step * stream->batch;
    return left < stream->batch ? left : stream->batch;
}

/* Places behind and before the first n order stages. */
static void walk_orders(const struct stream *s, int n, const struct stage_place *from,
                        struct stream_places *ret)
{
    struct stage_place place = *from;
    for (int i = n; i > 0; i--) {
        ret->at[i] = place;
        s->orders[i - 1].stage.desc->place(&s->orders[i - 1].stage, s->orders[i - 1].n, &place);
    }
    ret->at[0] = place;
}

/* From the batch of a step back to where batches are made: the places on the way, and the batch. */
static void walk_batches(const struct stream *s, int64_t epoch, int64_t step, int64_t row,
                         struct stage_place *ret, struct stream_places *ret_places)
{
    /* An endless stream runs on from epoch to epoch. */
    struct stage_place place = {.iteration = s->is_endless ? 0 : epoch,
                                .position = s->is_endless ? epoch * s->steps + step : step};
    for (int i = s->n_orders; i > s->batch_at; i--) {
        if (ret_places != NULL) {
            ret_places->at[i] =
                (struct stage_place){place.iteration, place.position * s->batch + row};
        }
        s->orders[i - 1].stage.desc->place(&s->orders[i - 1].stage, s->orders[i - 1].n, &place);
    }
    *ret = place;
}

void stream_place(const struct stream *stream, int64_t epoch, int64_t step, int64_t row,
                  struct stream_places *ret)
{
    struct stage_place place;
    walk_batches(stream, epoch, step, row, &place, ret);
    place.position = place.position * stream->batch + row;
    walk_orders(stream, stream->batch_at, &place, ret);
    ret->epoch = epoch;
    ret->step = step;
}

void stream_block(const struct stream *stream, int64_t epoch, int64_t step, int64_t row, int64_t n,
                  struct stage_place *ret)
{
    struct stage_place batch;
    walk_batches(stream, epoch, step, 0, &batch, NULL);
    for (int64_t i = 0; i < n; i++) {
        ret[i] = (struct stage_place){batch.iteration, batch.position * stream->batch + row + i};
    }
    for (int i = stream->batch_at; i > 0; i--) {
        stage_places(&stream->orders[i - 1].stage, stream->orders[i - 1].n, ret, n);
    }
}

void stream_place_next(const struct stream *stream, int64_t epoch, int64_t step, int64_t row,
                       int64_t ahead, struct stream_places *ret)
{
    const int64_t at = (step * stream->batch + row + ahead) % stream->rows;
    stream_place(stream, epoch, at / stream->batch, at % stream->batch, ret);
}

/* A field of which perhaps only a part was read. */
struct input {
    const struct tensor *x;
    const struct look_part *part;
};

static int apply_node(const struct stream *s, struct stream_node *node, const struct input *in,
                      const struct stream_places *places, struct tensor *out,
                      struct op_scratch *scratch, struct err *err)
{
    if (node->n_ops > 1) {
        BUG_ON(in->part->height > 0);
        return fuse_run(s, node, in->x, places, out, err);
    }
    const struct stream_op *op = &node->ops[0];
    const struct op_key key = fuse_key(s, op, places);
    return op_run_part(&op->op, &key, in->part, in->x, out, scratch, err);
}

/* Bytes of what the node makes of this input. */
static int out_bytes(const struct stream_node *node, const struct input *in, size_t *ret,
                     struct err *err)
{
    *ret = node->out_bytes;
    if (*ret > 0) {
        return 0;
    }
    if (node->n_ops == 1 && node->ops[0].op.desc->room != NULL) {
        int r = op_room(&node->ops[0].op, in->x, ret, err);
        return r == 0 && *ret > (size_t)1 << 30
                   ? err_set(err, ERR_LIMIT, "the sample becomes too large")
                   : r;
    }
    struct op_spec spec = op_whole(in->x, in->part);
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

/* Does the chain take samples of every size? */
static bool takes_any(const struct stream *stream, const struct stream_chain *chain)
{
    return stream->source->spec.fields[chain->field].is_varying &&
           (stream->is_inner || (chain->n_ops > 0 && chain->ops[0].op.in.shape.d[0] < 0));
}

static bool fits(const struct shape *shape, const struct shape *wanted)
{
    bool is_same = shape->rank == wanted->rank;
    for (int i = 0; is_same && i < shape->rank; i++) {
        is_same = shape->d[i] == wanted->d[i] || wanted->d[i] < 0;
    }
    return is_same;
}

/* Where samples may have any size every shape is let through; else all are as the first. */
static int check_field(const struct stream *stream, const struct stream_chain *chain,
                       const struct input *in, struct err *err)
{
    const struct op_spec given = op_whole(in->x, in->part);
    const struct shape *wanted = &stream->source->spec.fields[chain->field].spec.shape;
    if (takes_any(stream, chain) || fits(&given.shape, wanted)) {
        return 0;
    }
    char a[96], b[96];
    shape_format(&given.shape, a, sizeof a);
    shape_format(wanted, b, sizeof b);
    return err_set(err, ERR_SHAPE, "is %s, the others %s", a, b);
}

/* Where a node writes: the last one to where the field is wanted. */
static int place_of(struct stream_chain *chain, int i, const struct input *in,
                    struct stream_buffers *buffers, void *row, void **ret, struct err *err)
{
    const bool is_last = i + 1 == chain->n_nodes;
    size_t bytes = 0;
    if (is_last && row != NULL && !chain->is_to_floats) {
        *ret = row;
        return 0;
    }
    int r = out_bytes(&chain->nodes[i], in, &bytes, err);
    if (r == 0) {
        *ret = op_scratch_need(is_last ? &chain->made : &buffers->side[i & 1], bytes);
    }
    return r;
}

static int apply_field(struct stream *stream, struct stream_chain *chain, const struct input *from,
                       const struct stream_places *places, const struct stream_call *call,
                       struct tensor *ret, struct err *err)
{
    static const struct look_part all = {0};
    const struct tensor *x = from->x;
    struct tensor in = *x, out;
    struct input given = {&in, from->part};
    void *row = call->rows != NULL ? call->rows[chain->field] : NULL;
    int64_t begin = call->weight > 0 ? clock_us() : 0;
    int r = check_field(stream, chain, from, err);
    for (int i = 0; i < chain->n_nodes && r == 0; i++) {
        struct stream_node *node = &chain->nodes[i];
        r = place_of(chain, i, &given, &stream->buffers, row, &out.data, err);
        r = r < 0 ? r : apply_node(stream, node, &given, places, &out, &stream->buffers.op, err);
        if (call->weight > 0) {
            const int64_t now = clock_us();
            node->us += (now - begin) * call->weight;
            begin = now;
        }
        in = out;
        given.part = &all;
    }
    if (r == 0 && chain->is_to_floats && row != NULL) {
        op_to_floats(&in, (int64_t)(chain->row_bytes / sizeof(float)), row);
        in.dtype = DTYPE_F32;
        in.data = row;
    } else if (r == 0 && chain->n_nodes == 0 && row != NULL) {
        memcpy(row, x->data, chain->row_bytes);
        in.data = row;
    }
    *ret = in;
    return r;
}

int stream_apply_field(struct stream *stream, struct stream_chain *chain, const struct tensor *x,
                       const struct stream_places *places, const struct stream_call *call,
                       struct tensor *ret, struct err *err)
{
    static const struct look_part all = {0};
    const struct input from = {x, &all};
    return apply_field(stream, chain, &from, places, call, ret, err);
}

struct reader { /* who asks for an element */
    const struct stream *stream;
    const struct stream_places *places;
};

/* What the first op of a field reads, before there is a picture. */
static bool ask(const struct look_asker *asker, int64_t height, int64_t width, int64_t channels,
                struct look_area *ret)
{
    const struct reader *reader = asker->ctx;
    const struct stream_chain *chain = &reader->stream->chains[asker->field];
    const struct op_spec spec = {.dtype = DTYPE_U8,
                                 .shape = {.rank = 3, .d = {height, width, channels}}};
    if (chain->n_nodes == 0 || chain->nodes[0].n_ops > 1) {
        return false;
    }
    const struct stream_op *op = &chain->nodes[0].ops[0];
    const struct op_key key = fuse_key(reader->stream, op, reader->places);
    const bool is_part = op_look(&op->op, &spec, &key, ret);
    ret->shrink = op->exact ? 1 : ret->shrink;
    return is_part;
}

int stream_read(struct stream *stream, const struct stream_places *places,
                const struct stream_call *call, struct element *ret, struct err *err)
{
    struct element in;
    const int64_t begin = call->weight > 0 ? clock_us() : 0;
    const struct reader reader = {stream, places};
    const struct look_asker asker = {.ask = ask, .ctx = &reader};
    struct source_call source = call->source;
    source.asker = &asker;
    int r = source_read(stream->source, &places->at[0], &source, &in, err);
    if (call->weight > 0) {
        stream->source_us += (clock_us() - begin) * call->weight;
    }
    ret->sample = in.sample;
    memset(ret->parts, 0, sizeof ret->parts);
    for (int i = 0; i < stream->spec.n && r == 0; i++) {
        const struct input from = {&in.fields[i], &in.parts[i]};
        r = apply_field(stream, &stream->chains[i], &from, places, call, &ret->fields[i], err);
    }
    return r;
}

void stream_places_of(const struct stream *stream, const struct stage_place *place,
                      struct stream_places *ret)
{
    walk_orders(stream, stream->n_orders, place, ret);
}

bool stream_is_empty(const struct stream *stream, const struct stream_places *places)
{
    const struct source *source = stream->source;
    return source->desc->is_hole != NULL && source->desc->is_hole(source, &places->at[0]);
}

bool stream_is_hole(const struct stream *stream, const struct stage_place *place)
{
    struct stream_places places;
    if (stream->source->desc->is_hole == NULL) {
        return false;
    }
    stream_places_of(stream, place, &places);
    return stream_is_empty(stream, &places);
}

int stream_get(struct stream *stream, const struct stage_place *place,
               const struct source_call *call, struct element *ret, struct err *err)
{
    const struct stream_call how = {.source = *call, .weight = call->weight};
    struct stream_places places = {.epoch = call->epoch, .step = call->step};
    stream_places_of(stream, place, &places);
    return stream_read(stream, &places, &how, ret, err);
}

void stream_fini(struct stream *stream)
{
    for (int i = 0; stream->chains != NULL && i < stream->spec.n; i++) {
        op_scratch_fini(&stream->chains[i].made);
    }
    op_scratch_fini(&stream->buffers.side[0]);
    op_scratch_fini(&stream->buffers.side[1]);
    op_scratch_fini(&stream->buffers.op);
}

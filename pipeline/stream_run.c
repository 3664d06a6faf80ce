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

bool stream_takes_any(const struct stream *stream, const struct stream_chain *chain)
{
    return stream->source->spec.fields[chain->field].is_varying && chain->n_ops > 0 &&
           chain->ops[0].op.in.shape.d[0] < 0;
}

/* Where a node writes: the last one to where the field is wanted. */
static int place_of(struct stream_chain *chain, int i, const struct tensor *in,
                    struct stream_buffers *buffers, void *row, void **ret, struct err *err)
{
    const bool is_last = i + 1 == chain->n_nodes;
    size_t bytes = 0;
    if (is_last && row != NULL) {
        *ret = row;
        return 0;
    }
    int r = out_bytes(&chain->nodes[i], in, &bytes, err);
    if (r == 0) {
        *ret = op_scratch_need(is_last ? &chain->made : &buffers->side[i & 1], bytes);
    }
    return r;
}

int stream_apply_field(struct stream *stream, struct stream_chain *chain, const struct tensor *x,
                       const struct stream_places *places, struct stream_buffers *buffers,
                       int64_t weight, void *row, struct tensor *ret, struct err *err)
{
    struct tensor in = *x, out;
    int64_t begin = weight > 0 ? clock_us() : 0;
    for (int i = 0; i < chain->n_nodes; i++) {
        struct stream_node *node = &chain->nodes[i];
        int r = place_of(chain, i, &in, buffers, row, &out.data, err);
        r = r < 0 ? r : apply_node(stream, node, &in, places, &out, &buffers->op, err);
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
    if (chain->n_nodes == 0 && row != NULL) {
        memcpy(row, x->data, chain->row_bytes);
        in.data = row;
    }
    *ret = in;
    return 0;
}

int stream_apply(struct stream *stream, const struct element *in,
                 const struct stream_places *places, struct stream_buffers *buffers, int64_t weight,
                 void *const *rows, struct element *ret, struct err *err)
{
    ret->sample = in->sample;
    for (int i = 0; i < stream->spec.n; i++) {
        int r = stream_apply_field(stream, &stream->chains[i], &in->fields[i], places, buffers,
                                   weight, rows != NULL ? rows[i] : NULL, &ret->fields[i], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

void stream_fini(struct stream *stream)
{
    for (int i = 0; stream->chains != NULL && i < stream->spec.n; i++) {
        op_scratch_fini(&stream->chains[i].made);
    }
}

void stream_buffers_fini(struct stream_buffers *buffers)
{
    op_scratch_fini(&buffers->side[0]);
    op_scratch_fini(&buffers->side[1]);
    op_scratch_fini(&buffers->op);
}

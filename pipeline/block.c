#include "pipeline/block.h"

#include <string.h>

#include "base/clock.h"
#include "pipeline/fuse.h"

/* What is in work stays in the second-level cache; longer lists of samples to skip are looked
 * through row by row. */
enum { ROWS_MAX = 1024, BYTES = 1 << 17, SKIP_MAX = 64 };

static bool is_by_number(const struct stream_chain *chain)
{
    for (int i = 0; i < chain->n_ops; i++) {
        const struct op *op = &chain->ops[i].op;
        if ((op->flags & OP_CHANNELS) == 0 || (op->flags & OP_RANDOM) != 0 ||
            op->is_channels_first) {
            return false;
        }
    }
    return true;
}

void block_find(struct stream *stream, struct arena *arena)
{
    const struct source *source = stream->source;
    size_t bytes = 1;
    if (!source->gives_rows || stream->is_inner) {
        return;
    }
    for (int i = 0; i < stream->spec.n; i++) {
        struct stream_chain *chain = &stream->chains[i];
        const struct op_spec *in = &source->spec.fields[chain->field].spec;
        if (!is_by_number(chain) || source->spec.fields[chain->field].is_varying ||
            shape_bytes(&in->shape, in->dtype, &chain->in_bytes) < 0) {
            return;
        }
        bytes += chain->in_bytes + chain->row_bytes;
    }
    const size_t rows = BYTES / bytes;
    stream->block_rows = rows > ROWS_MAX ? ROWS_MAX : rows > 1 ? (int64_t)rows : 0;
    stream->block_places =
        arena_array(arena, (size_t)stream->block_rows + 1, sizeof *stream->block_places);
}

static bool is_skipped(const struct stream *s, const struct block_want *want)
{
    for (int64_t i = 0; i < want->n && want->skip->n > 0; i++) {
        for (size_t k = 0; k < want->skip->n; k++) {
            if (want->skip->v[k] == s->source->base + s->block_places[i].position) {
                return true;
            }
        }
    }
    return false;
}

/* n samples one behind the other, as one of them: the last dimension stays the channels. */
static void stack(struct shape *shape, int64_t n)
{
    if (shape->rank >= 2) {
        shape->d[0] *= n;
        return;
    }
    shape->d[1] = shape->rank == 1 ? shape->d[0] : 1;
    shape->d[0] = n;
    shape->rank = 2;
}

static int apply(struct stream *s, struct stream_chain *chain, struct tensor *in, int64_t n,
                 void *row, struct err *err)
{
    static const struct stream_places nowhere;
    static const struct op_key none;
    int r = 0;
    for (int i = 0; i < chain->n_nodes && r == 0; i++) {
        struct stream_node *node = &chain->nodes[i];
        const int64_t begin = clock_us();
        const bool is_last = i + 1 == chain->n_nodes && !chain->is_to_floats;
        struct tensor out = {.data = is_last ? row
                                             : op_scratch_need(&s->buffers.side[i & 1],
                                                               node->out_bytes * (size_t)n)};
        r = node->n_ops > 1 ? fuse_run(s, node, in, &nowhere, &out, err)
                            : op_run(&node->ops[0].op, &none, in, &out, &s->buffers.op, err);
        node->us += clock_us() - begin;
        *in = out;
    }
    return r;
}

static int finish(struct stream *s, struct stream_chain *chain, void *read, int64_t n, void *row)
{
    const struct op_spec *spec = &s->source->spec.fields[chain->field].spec;
    struct tensor in = {.dtype = spec->dtype, .shape = spec->shape, .data = read};
    stack(&in.shape, n);
    int r = apply(s, chain, &in, n, row, NULL);
    if (r == 0 && chain->is_to_floats) {
        op_to_floats(&in, n * (int64_t)(chain->row_bytes / sizeof(float)), row);
    }
    return r;
}

static bool read_and_apply(struct stream *s, const struct block_want *want)
{
    void *read[ELEMENT_FIELDS_MAX];
    const int64_t begin = clock_us();
    for (int i = 0; i < s->spec.n; i++) {
        struct stream_chain *chain = &s->chains[i];
        const bool is_as_read = chain->n_nodes == 0 && !chain->is_to_floats;
        read[i] = is_as_read ? want->rows[i]
                             : op_scratch_need(&chain->made, chain->in_bytes * (size_t)want->n);
    }
    const struct source_rows rows = {
        .places = s->block_places, .n = want->n, .in_flight = want->in_flight, .row = want->row};
    int r = s->source->desc->read_rows(s->source, &rows, read, NULL);
    s->source_us += clock_us() - begin;
    for (int i = 0; i < s->spec.n && r == 0; i++) {
        if (read[i] != want->rows[i]) {
            r = finish(s, &s->chains[i], read[i], want->n, want->rows[i]);
        }
    }
    return r == 0;
}

bool block_make(struct stream *s, const struct block_want *want)
{
    if (want->skip->n > SKIP_MAX) {
        return false;
    }
    stream_block(s, want->epoch, want->step, want->row, want->n, s->block_places);
    if (is_skipped(s, want) || !read_and_apply(s, want)) {
        return false;
    }
    for (int64_t i = 0; i < want->n; i++) {
        const int64_t sample = s->source->base + s->block_places[i].position;
        memcpy(want->samples + (size_t)i * sizeof sample, &sample, sizeof sample);
    }
    return true;
}

#include "pipeline/adapt.h"

#include "pipeline/op.h"

static int keep(const struct doc *axis, const struct shape *sample, bool *kept, struct err *err)
{
    int64_t at = axis->type == DOC_INT ? axis->i : 0;
    if (axis->type != DOC_INT) {
        return err_set_at(err, ERR_INVALID, "axis", "takes numbers of axes, or null");
    }
    at = at < 0 ? at + sample->rank : at - 1;
    if (at < 0 || at >= sample->rank) {
        return err_set_at(err, ERR_RANGE, "axis", "takes axes of 1 to %d, or -1 to -%d", sample->rank, sample->rank);
    }
    kept[at] = true;
    return 0;
}

static int read_axes(const struct doc *axis, const struct shape *sample, bool *kept, struct err *err)
{
    static const struct doc last = {.type = DOC_INT, .i = -1};
    axis = axis != NULL ? axis : &last;
    const bool is_list = axis->type == DOC_LIST;
    const size_t n = axis->type == DOC_NULL ? 0 : is_list ? axis->n : 1;
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = keep(is_list ? &axis->items[i] : axis, sample, kept, err);
    }
    return r;
}

static uint32_t index_of(const struct shape *sample, const bool *kept, size_t value)
{
    size_t index = 0, step = 1;
    for (int a = sample->rank - 1; a >= 0; a--) {
        const size_t size = (size_t)sample->d[a];
        if (kept[a]) {
            index += value % size * step;
            step *= size;
        }
        value /= size;
    }
    return (uint32_t)index;
}

int adapt_init(struct adapt *adapt, const struct doc *axis, const struct shape *sample, struct arena *arena, struct err *err)
{
    bool kept[SHAPE_RANK_MAX] = {false};
    int64_t count = 0;
    int r = read_axes(axis, sample, kept, err);
    if (r < 0) {
        return r;
    }
    if (shape_count(sample, &count) < 0 || count < 1 || count > INT32_MAX) {
        return err_set(err, ERR_LIMIT, "samples are empty or too large");
    }
    *adapt = (struct adapt){.sample = *sample, .n = 1, .count = (size_t)count};
    for (int a = 0; a < sample->rank; a++) {
        if (kept[a]) {
            adapt->shape.d[adapt->shape.rank++] = sample->d[a];
            adapt->n *= (size_t)sample->d[a];
        }
    }
    adapt->index = arena_array(arena, adapt->count, sizeof *adapt->index);
    adapt->values = arena_array(arena, adapt->count, sizeof *adapt->values);
    adapt->mean = arena_array(arena, adapt->n, sizeof *adapt->mean);
    adapt->squares = arena_array(arena, adapt->n, sizeof *adapt->squares);
    adapt->seen = arena_array(arena, adapt->n, sizeof *adapt->seen);
    for (size_t i = 0; i < adapt->count; i++) {
        adapt->index[i] = index_of(sample, kept, i);
    }
    return 0;
}

/* Welford's update: the mean moves by what is new, squares of distances from it add up. */
static void add_sample(struct adapt *adapt)
{
    for (size_t i = 0; i < adapt->count; i++) {
        const uint32_t k = adapt->index[i];
        const double value = (double)adapt->values[i], distance = value - adapt->mean[k];
        adapt->mean[k] += distance / (double)++adapt->seen[k];
        adapt->squares[k] += distance * (value - adapt->mean[k]);
    }
}

int adapt_add(struct adapt *adapt, const struct tensor *batch, struct err *err)
{
    const size_t bytes = adapt->count * dtype_bytes(batch->dtype);
    const struct shape sample =
        batch->shape.rank > 0 ? shape_make(batch->shape.rank - 1, batch->shape.d + 1) : (struct shape){.rank = -1};
    if (!shape_equal(&sample, &adapt->sample)) {
        char have[96], want[96];
        shape_format(&batch->shape, have, sizeof have);
        shape_format(&adapt->sample, want, sizeof want);
        return err_set(err, ERR_SHAPE, "a batch of the shape %s does not hold samples of %s", have, want);
    }
    for (int64_t row = 0; row < batch->shape.d[0]; row++) {
        const struct tensor one = {batch->dtype, sample, (unsigned char *)batch->data + (size_t)row * bytes};
        op_to_floats(&one, (int64_t)adapt->count, adapt->values);
        add_sample(adapt);
    }
    return 0;
}

void adapt_result(const struct adapt *adapt, float *mean, float *variance)
{
    for (size_t k = 0; k < adapt->n; k++) {
        mean[k] = (float)adapt->mean[k];
        variance[k] = adapt->seen[k] > 0 ? (float)(adapt->squares[k] / (double)adapt->seen[k]) : 1.0f;
    }
}

#include "pipeline/adapt.h"

#include <math.h>
#include <string.h>

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
    adapt->sums = arena_array(arena, adapt->n, sizeof *adapt->sums);
    adapt->squares = arena_array(arena, adapt->n, sizeof *adapt->squares);
    for (size_t i = 0; i < adapt->count; i++) {
        adapt->index[i] = index_of(sample, kept, i);
    }
    return 0;
}

int adapt_add_sample(struct adapt *adapt, const struct tensor *sample, struct err *err)
{
    if (!shape_equal(&sample->shape, &adapt->sample) || sample->dtype == DTYPE_STR) {
        char have[96], want[96];
        shape_format(&sample->shape, have, sizeof have);
        shape_format(&adapt->sample, want, sizeof want);
        return err_set(err, ERR_SHAPE, "a sample of %s %s beside those of %s", dtype_name(sample->dtype), have, want);
    }
    op_to_floats(sample, (int64_t)adapt->count, adapt->values);
    for (size_t i = 0; i < adapt->count; i++) {
        if (!isfinite(adapt->values[i])) {
            return err_set(err, ERR_NOT_FINITE, "value %zu is %g; leave such samples out before (filter)", i,
                           (double)adapt->values[i]);
        }
    }
    for (size_t i = 0; i < adapt->count; i++) {
        const double value = (double)adapt->values[i];
        sum_add(&adapt->sums[adapt->index[i]], value);
        sum_add(&adapt->squares[adapt->index[i]], value * value);
    }
    adapt->samples++;
    return 0;
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
    int r = 0;
    for (int64_t row = 0; row < batch->shape.d[0] && r == 0; row++) {
        const struct tensor one = {batch->dtype, sample, (unsigned char *)batch->data + (size_t)row * bytes};
        r = adapt_add_sample(adapt, &one, err);
    }
    return r;
}

int adapt_merge(struct adapt *adapt, struct adapt *other, struct err *err)
{
    if (!shape_equal(&adapt->sample, &other->sample) || adapt->n != other->n) {
        return err_set(err, ERR_SHAPE, "sums of samples of another shape");
    }
    for (size_t k = 0; k < adapt->n; k++) {
        sum_merge(&adapt->sums[k], &other->sums[k]);
        sum_merge(&adapt->squares[k], &other->squares[k]);
    }
    adapt->samples += other->samples;
    return 0;
}

void adapt_save(struct adapt *adapt, struct buf *out)
{
    const uint64_t n = adapt->n;
    buf_put(out, &n, sizeof n);
    buf_put(out, &adapt->samples, sizeof adapt->samples);
    for (size_t k = 0; k < adapt->n; k++) {
        sum_settle(&adapt->sums[k]);
        sum_settle(&adapt->squares[k]);
        buf_put(out, adapt->sums[k].limb, sizeof adapt->sums[k].limb);
        buf_put(out, adapt->squares[k].limb, sizeof adapt->squares[k].limb);
    }
}

int adapt_load(struct adapt *adapt, const void *data, size_t size, struct err *err)
{
    const unsigned char *p = data;
    struct sum sum = {{0}, 0};
    uint64_t n, samples;
    const size_t each = sizeof sum.limb;
    if (size < sizeof n + sizeof samples) {
        return err_set(err, ERR_CORRUPT, "sums that are cut short");
    }
    memcpy(&n, p, sizeof n);
    memcpy(&samples, p + sizeof n, sizeof samples);
    if (n != adapt->n || size != sizeof n + sizeof samples + n * 2 * each) {
        return err_set(err, n != adapt->n ? ERR_SHAPE : ERR_CORRUPT, "%llu sums, here are %zu", (unsigned long long)n, adapt->n);
    }
    p += sizeof n + sizeof samples;
    for (size_t k = 0; k < adapt->n; k++, p += 2 * each) {
        memcpy(sum.limb, p, each);
        sum_merge(&adapt->sums[k], &sum);
        memcpy(sum.limb, p + each, each);
        sum_merge(&adapt->squares[k], &sum);
    }
    adapt->samples += samples;
    return 0;
}

void adapt_result(const struct adapt *adapt, float *mean, float *variance)
{
    const uint64_t each = adapt->samples * (uint64_t)(adapt->count / adapt->n);
    for (size_t k = 0; k < adapt->n; k++) {
        double m = 0, v = 1;
        struct sum sums = adapt->sums[k], squares = adapt->squares[k];
        if (each > 0) {
            sum_moments(&sums, &squares, each, &m, &v);
        }
        mean[k] = (float)m;
        variance[k] = (float)v;
    }
}

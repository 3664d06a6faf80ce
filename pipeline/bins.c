#include "pipeline/bins.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 1 << 28 };

void bins_init(struct bins *bins, double epsilon)
{
    *bins = (struct bins){.epsilon = epsilon, .batch = -1};
}

void bins_fini(struct bins *bins)
{
    if (bins != NULL) {
        for (size_t i = 0; i < bins->n_done; i++) {
            free(bins->done[i].values);
        }
        free(bins->done);
        free(bins->values);
        *bins = (struct bins){0};
    }
}

static void *need(size_t bytes)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL) {
        BUG("no memory for %zu bytes of bins", bytes);
    }
    return memory;
}

/* Room for n values and n weights in one piece. */
static struct bins_summary summary_of(int64_t batch, size_t n)
{
    float *memory = need(2 * n * sizeof *memory);
    return (struct bins_summary){.batch = batch, .n = n, .values = memory, .weights = memory + n};
}

static void keep(struct bins *bins, const struct bins_summary *summary)
{
    if (bins->n_done == bins->capacity) {
        bins->capacity = bins->capacity > 0 ? bins->capacity * 2 : 64;
        struct bins_summary *done = need(bins->capacity * sizeof *done);
        if (bins->n_done > 0) {
            memcpy(done, bins->done, bins->n_done * sizeof *done);
        }
        free(bins->done);
        bins->done = done;
    }
    bins->done[bins->n_done++] = *summary;
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Every step-th of the values of the open batch. */
static void close_batch(struct bins *bins)
{
    if (bins->n == 0) {
        return;
    }
    qsort(bins->values, bins->n, sizeof *bins->values, by_value);
    const double increment = (double)bins->n / (1.0 / bins->epsilon),
                 step = increment > 1 ? increment : 1;
    const size_t first = (size_t)(step - 1), each = (size_t)step;
    const size_t n = first < bins->n ? (bins->n - first + each - 1) / each : 0;
    struct bins_summary summary = summary_of(bins->batch, n);
    for (size_t i = 0; i < n; i++) {
        summary.values[i] = bins->values[first + i * each];
        summary.weights[i] = (float)step;
    }
    keep(bins, &summary);
    bins->n = 0;
}

int bins_add(struct bins *bins, int64_t batch, const float *values, size_t n, struct err *err)
{
    if (batch != bins->batch) {
        close_batch(bins);
        bins->batch = batch;
    }
    if (n > VALUES_MAX || bins->n + n > VALUES_MAX) {
        return err_set(err, ERR_LIMIT, "a batch of more than %d values", VALUES_MAX);
    }
    if (bins->n + n > bins->room) {
        bins->room = (bins->n + n) * 2;
        float *more = need(bins->room * sizeof *more);
        if (bins->n > 0) {
            memcpy(more, bins->values, bins->n * sizeof *more);
        }
        free(bins->values);
        bins->values = more;
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return err_set(err, ERR_NOT_FINITE, "value %zu is %g", i, (double)values[i]);
        }
        bins->values[bins->n + i] = values[i];
    }
    bins->n += n;
    return 0;
}

int bins_merge(struct bins *bins, struct bins *other, struct err *err)
{
    if (other->epsilon < bins->epsilon || other->epsilon > bins->epsilon) {
        return err_set(err, ERR_INVALID, "summaries of another epsilon");
    }
    close_batch(bins);
    close_batch(other);
    for (size_t i = 0; i < other->n_done; i++) {
        const struct bins_summary *from = &other->done[i];
        struct bins_summary copy = summary_of(from->batch, from->n);
        memcpy(copy.values, from->values, 2 * from->n * sizeof(float));
        keep(bins, &copy);
    }
    return 0;
}

/* By batch; parts of one batch, which no one pass has, by what is in them. */
static int by_batch(const void *a, const void *b)
{
    const struct bins_summary *x = a, *y = b;
    if (x->batch != y->batch) {
        return x->batch < y->batch ? -1 : 1;
    }
    return x->n != y->n ? (x->n < y->n ? -1 : 1)
                        : memcmp(x->values, y->values, 2 * x->n * sizeof(float));
}

static void order(struct bins *bins)
{
    close_batch(bins);
    if (bins->n_done > 1) {
        qsort(bins->done, bins->n_done, sizeof *bins->done, by_batch);
    }
}

void bins_save(struct bins *bins, struct buf *out)
{
    order(bins);
    buf_put(out, &bins->epsilon, sizeof bins->epsilon);
    for (size_t i = 0; i < bins->n_done; i++) {
        const struct bins_summary *s = &bins->done[i];
        const uint64_t n = s->n;
        buf_put(out, &s->batch, sizeof s->batch);
        buf_put(out, &n, sizeof n);
        buf_put(out, s->values, 2 * s->n * sizeof(float));
    }
}

int bins_load(struct bins *bins, const void *data, size_t size, struct err *err)
{
    const unsigned char *p = data;
    double epsilon = 0;
    if (size < sizeof epsilon) {
        return err_set(err, ERR_CORRUPT, "bins that are cut short");
    }
    memcpy(&epsilon, p, sizeof epsilon);
    if (epsilon < bins->epsilon || epsilon > bins->epsilon) {
        return err_set(err, ERR_INVALID, "summaries of another epsilon");
    }
    close_batch(bins);
    for (p += sizeof epsilon, size -= sizeof epsilon; size > 0;) {
        int64_t batch;
        uint64_t n;
        if (size < sizeof batch + sizeof n) {
            return err_set(err, ERR_CORRUPT, "bins that are cut short");
        }
        memcpy(&batch, p, sizeof batch);
        memcpy(&n, p + sizeof batch, sizeof n);
        p += sizeof batch + sizeof n;
        size -= sizeof batch + sizeof n;
        if (n > size / (2 * sizeof(float))) {
            return err_set(err, ERR_CORRUPT, "bins that are cut short");
        }
        struct bins_summary summary = summary_of(batch, n);
        memcpy(summary.values, p, 2 * n * sizeof(float));
        keep(bins, &summary);
        p += 2 * n * sizeof(float);
        size -= 2 * n * sizeof(float);
    }
    return 0;
}

/* numpy's interp: y at x, linear between the points, constant outside. */
static double interpolate(double x, const double *xs, const double *ys, size_t n)
{
    size_t low = 0, high = n; /* the last point that is not beyond x */
    if (x < xs[0]) {
        return ys[0];
    }
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (xs[middle] <= x) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (low + 1 == n || xs[low] >= x) {
        return ys[low];
    }
    const double slope = (ys[low + 1] - ys[low]) / (xs[low + 1] - xs[low]);
    return slope * (x - xs[low]) + ys[low];
}

/* A summary of 1 / epsilon values, each with the same weight; a short one stays as it is. */
static void compress(struct bins_summary *s, double epsilon)
{
    if ((double)s->n * epsilon < 1) {
        return;
    }
    const size_t n = (size_t)ceil(1.0 / epsilon);
    double *points = need(3 * s->n * sizeof *points), *sums = points + s->n, *values = sums + s->n;
    float sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        sum += s->weights[i];
        sums[i] = (double)sum;
        values[i] = (double)s->values[i];
    }
    for (size_t i = 0; i < s->n; i++) {
        points[i] = (double)((float)sums[i] / sum);
    }
    struct bins_summary made = summary_of(s->batch, n);
    double before = 0;
    for (size_t i = 0; i < n; i++) {
        const double at = epsilon + (double)i * epsilon;
        const double weight = interpolate(at, points, sums, s->n);
        made.values[i] = (float)interpolate(at, points, values, s->n);
        made.weights[i] = (float)(weight - before);
        before = weight;
    }
    free(points);
    free(s->values);
    *s = made;
}

/* Both in ascending order; of equal values those of `a` come first. */
static struct bins_summary join(const struct bins_summary *a, const struct bins_summary *b)
{
    struct bins_summary all = summary_of(b->batch, a->n + b->n);
    for (size_t i = 0, j = 0, k = 0; k < all.n; k++) {
        const bool is_a = j == b->n || (i < a->n && a->values[i] <= b->values[j]);
        all.values[k] = is_a ? a->values[i] : b->values[j];
        all.weights[k] = is_a ? a->weights[i++] : b->weights[j++];
    }
    return all;
}

int bins_boundaries(struct bins *bins, int64_t n_bins, float **ret, size_t *ret_n, struct err *err)
{
    struct bins_summary all = summary_of(-1, 0);
    order(bins);
    for (size_t i = 0; i < bins->n_done; i++) {
        const struct bins_summary more = join(&bins->done[i], &all);
        free(all.values);
        all = more;
        compress(&all, bins->epsilon);
    }
    if (all.n == 0) {
        free(all.values);
        return err_set(err, ERR_EMPTY, "there is no value in the data");
    }
    compress(&all, 1.0 / (double)n_bins);
    *ret = all.values;
    *ret_n = all.n - 1;
    return 0;
}

#include "pipeline/source/resample.h"

#include <math.h>

#include "base/math.h"

static int64_t common(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static double weight(const struct resample *k, double x)
{
    static const double pi = 3.14159265358979323846;
    if (x <= -k->width || x >= k->width) {
        return 0;
    }
    const double hann = 0.5 + 0.5 * math_cos(pi * x / k->width), at = pi * x * k->cutoff;
    return fabs(x) < 1e-12 ? 1 : hann * math_sin(at) / at;
}

/* Weights of the samples floor(place) - half + 1 ... at a place of that fraction. */
static void fill(const struct resample *k, int64_t phase, double *ret)
{
    const double fraction = (double)phase / (double)k->phases;
    for (int64_t t = 0; t < k->taps; t++) {
        ret[t] = weight(k, (double)(t - k->half + 1) - fraction);
    }
}

int resample_init(struct resample *k, int64_t from, int64_t to, struct err *err)
{
    if (k->from == from && k->to == to) {
        return 0;
    }
    if (from > to * RESAMPLE_RATIO_MAX || to > from * RESAMPLE_RATIO_MAX) {
        return err_set(err, ERR_LIMIT, "has a rate of %lld Hz, which is too far from %lld",
                       (long long)from, (long long)to);
    }
    const int64_t factor = common(from, to);
    k->from = from;
    k->to = to;
    k->phases = to / factor;
    k->step = from / factor;
    k->cutoff = from > to ? (double)to / (double)from : 1;
    k->width = RESAMPLE_CROSSINGS / k->cutoff;
    k->half = (int64_t)ceil(k->width);
    k->taps = 2 * k->half;
    if (k->phases <= RESAMPLE_PHASES_MAX) {
        double *table = op_scratch_need(&k->table, (size_t)(k->phases * k->taps) * sizeof *table);
        for (int64_t p = 0; p < k->phases; p++) {
            fill(k, p, table + p * k->taps);
        }
    }
    return 0;
}

void resample_fini(struct resample *k)
{
    op_scratch_fini(&k->table);
    op_scratch_fini(&k->row);
    *k = (struct resample){0};
}

int64_t resample_length(const struct resample *k, int64_t n)
{
    return (n * k->phases + k->step - 1) / k->step;
}

static const double *weights_of(struct resample *k, int64_t phase)
{
    if (k->phases <= RESAMPLE_PHASES_MAX) {
        return (const double *)k->table.data + phase * k->taps;
    }
    double *row = op_scratch_need(&k->row, (size_t)k->taps * sizeof *row);
    fill(k, phase, row);
    return row;
}

void resample_run(struct resample *k, const float *in, int64_t n_in, int channels, float *out,
                  int64_t n_out)
{
    for (int64_t i = 0; i < n_out; i++) {
        const int64_t at = i * k->step, first = at / k->phases - k->half + 1;
        const double *w = weights_of(k, at % k->phases);
        const int64_t begin = first < 0 ? -first : 0,
                      end = first + k->taps > n_in ? n_in - first : k->taps;
        double total = 0;
        for (int64_t t = begin; t < end; t++) {
            total += w[t];
        }
        for (int c = 0; c < channels; c++) {
            double sum = 0;
            for (int64_t t = begin; t < end; t++) {
                sum += w[t] * (double)in[(first + t) * channels + c];
            }
            out[i * channels + c] = fabs(total) > 1e-6 ? (float)(sum / total) : 0;
        }
    }
}

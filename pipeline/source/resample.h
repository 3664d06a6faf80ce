/* resample - sounds to another rate: a sinc under Hann's window, cut off at the lower rate's limit.
 *
 * Owns:     a table of weights, made when the rates change; resample_fini gives it back.
 * Threads:  one at a time.
 * Errors:   ERR_LIMIT for rates that are too far from each other.
 * Lifetime: {0} .. resample_fini.
 *
 * out[i] is the weighted mean of the samples around i * from / to, RESAMPLE_CROSSINGS zero
 * crossings to each side; at the ends of those that there are. No libm: the same bits everywhere.
 */
#ifndef PIPELINE_SOURCE_RESAMPLE_H
#define PIPELINE_SOURCE_RESAMPLE_H

#include "pipeline/op.h"

enum { RESAMPLE_CROSSINGS = 16, RESAMPLE_RATIO_MAX = 64, RESAMPLE_PHASES_MAX = 4096 };

struct resample {
    int64_t from, to;
    int64_t phases, step; /* to and from without their common factor */
    int64_t half, taps;
    double cutoff, width;
    struct op_scratch table; /* phases x taps; empty when there are too many phases */
    struct op_scratch row;   /* then: the weights of one place */
};
int resample_init(struct resample *resample, int64_t from, int64_t to, struct err *err);
void resample_fini(struct resample *resample);
/* How many come out of n. */
int64_t resample_length(const struct resample *resample, int64_t n);
/* The first `n_out` of what n_in samples of that many channels become. */
void resample_run(struct resample *resample, const float *in, int64_t n_in, int channels,
                  float *out, int64_t n_out);

#endif

/* fft - the Fourier transform of real frames of 2^k numbers, in double precision.
 *
 * Owns:     its tables live in the arena.
 * Threads:  const after fft_init; the memory of a transform is its caller's.
 * Errors:   none: fft_takes says what fft_init takes.
 * Lifetime: the arena's.
 */
#ifndef PIPELINE_FFT_H
#define PIPELINE_FFT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

enum { FFT_MAX = 1 << 20 };
struct fft {
    int64_t n;
    double *cosine, *sine; /* n / 2 each */
};

bool fft_takes(int64_t n);
void fft_init(struct fft *fft, int64_t n, struct arena *arena);
/* re holds the n numbers, im any; both become the transform. */
void fft_run(const struct fft *fft, double *re, double *im);
/* Keras's windows over n numbers: periodic ones end before they would begin again. */
void fft_hann(double *window, int64_t n, bool is_periodic);
void fft_hamming(double *window, int64_t n, bool is_periodic);

#endif

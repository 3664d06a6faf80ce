#include "pipeline/fft.h"

#include "base/math.h"

#define PI 3.14159265358979323846

bool fft_takes(int64_t n)
{
    return n >= 2 && n <= FFT_MAX && (n & (n - 1)) == 0;
}

void fft_init(struct fft *fft, int64_t n, struct arena *arena)
{
    *fft = (struct fft){.n = n};
    fft->cosine = arena_array(arena, (size_t)n / 2, sizeof *fft->cosine);
    fft->sine = arena_array(arena, (size_t)n / 2, sizeof *fft->sine);
    for (int64_t i = 0; i < n / 2; i++) {
        fft->cosine[i] = math_cos(2 * PI * (double)i / (double)n);
        fft->sine[i] = -math_sin(2 * PI * (double)i / (double)n);
    }
}

static void reorder(double *re, int64_t n)
{
    for (int64_t i = 1, j = 0; i < n; i++) {
        int64_t bit = n >> 1;
        for (; (j & bit) != 0; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            const double other = re[i];
            re[i] = re[j];
            re[j] = other;
        }
    }
}

/* Pairs that stand `half` apart, in blocks of 2 * half. */
static void combine(const struct fft *fft, double *re, double *im, int64_t half)
{
    const int64_t step = fft->n / (2 * half);
    for (int64_t begin = 0; begin < fft->n; begin += 2 * half) {
        for (int64_t k = 0; k < half; k++) {
            const double c = fft->cosine[k * step], s = fft->sine[k * step];
            const int64_t i = begin + k, j = i + half;
            const double x = re[j] * c - im[j] * s, y = re[j] * s + im[j] * c;
            re[j] = re[i] - x;
            im[j] = im[i] - y;
            re[i] += x;
            im[i] += y;
        }
    }
}

void fft_run(const struct fft *fft, double *re, double *im)
{
    for (int64_t i = 0; i < fft->n; i++) {
        im[i] = 0;
    }
    reorder(re, fft->n);
    for (int64_t half = 1; half < fft->n; half *= 2) {
        combine(fft, re, im, half);
    }
}

static void raised_cosine(double *window, int64_t n, bool is_periodic, double middle)
{
    const double round = (double)(is_periodic ? n : n - 1);
    for (int64_t i = 0; i < n; i++) {
        window[i] = n == 1 ? 1 : middle - (1 - middle) * math_cos(2 * PI * (double)i / round);
    }
}

void fft_hann(double *window, int64_t n, bool is_periodic)
{
    raised_cosine(window, n, is_periodic, 0.5);
}

void fft_hamming(double *window, int64_t n, bool is_periodic)
{
    raised_cosine(window, n, is_periodic, 0.54);
}

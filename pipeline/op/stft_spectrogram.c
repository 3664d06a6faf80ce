/* stft_spectrogram - a sound to its frequencies over time, as Keras's STFTSpectrogram. */
#include <math.h>

#include "base/math.h"
#include "pipeline/fft.h"
#include "pipeline/op.h"

extern const struct op_desc op_stft_spectrogram;

enum { WINDOW_HANN, WINDOW_HAMMING };
enum { SCALING_DENSITY, SCALING_SPECTRUM };
enum { PADDING_VALID, PADDING_SAME };
enum { MODE_LOG, MODE_MAGNITUDE, MODE_PSD, MODE_REAL, MODE_IMAG, MODE_STFT };
#define EPSILON 1e-7

struct stft_spectrogram {
    int64_t frame_length, frame_step, fft_length;
    int mode, window, scaling, padding;
    bool periodic, expand_dims;
    struct fft fft;
    double *weights; /* of a frame, scaled */
    int64_t bins;    /* of a channel in the result */
};
static const struct opt_name modes[] = {
    {"log", MODE_LOG},   {"magnitude", MODE_MAGNITUDE}, {"psd", MODE_PSD}, {"real", MODE_REAL},
    {"imag", MODE_IMAG}, {"stft", MODE_STFT},           {NULL, 0}};
static const struct opt_name windows[] = {
    {"hann", WINDOW_HANN}, {"hamming", WINDOW_HAMMING}, {NULL, 0}};
static const struct opt_name scalings[] = {
    {"density", SCALING_DENSITY}, {"spectrum", SCALING_SPECTRUM}, {NULL, 0}};
static const struct opt_name paddings[] = {
    {"valid", PADDING_VALID}, {"same", PADDING_SAME}, {NULL, 0}};
static const struct opt options[] = {
    OPT_ENUM_ROW(stft_spectrogram, mode, MODE_LOG, modes,
                 "What of a frequency is given; stft: its real and imaginary parts."),
    OPT_I64_ROW(stft_spectrogram, frame_length, 256, 2, FFT_MAX, "Numbers of a frame."),
    OPT_I64_ROW(stft_spectrogram, frame_step, 0, 0, FFT_MAX,
                "From one frame to the next; 0 or null: half of frame_length.",
                .flags = OPT_NULLABLE),
    OPT_I64_ROW(
        stft_spectrogram, fft_length, 0, 0, FFT_MAX,
        "Power of two, the numbers of a transform; 0 or null: the first that holds a frame.",
        .flags = OPT_NULLABLE),
    OPT_ENUM_ROW(stft_spectrogram, window, WINDOW_HANN, windows, "Weights of a frame."),
    OPT_BOOL_ROW(stft_spectrogram, periodic, false, "The window ends before it would begin again."),
    OPT_ENUM_ROW(stft_spectrogram, scaling, SCALING_DENSITY, scalings,
                 "What the window's weights are divided by: the root of their squares' sum, or "
                 "their sum."),
    OPT_ENUM_ROW(stft_spectrogram, padding, PADDING_VALID, paddings,
                 "same: frames reach over the ends, where the sound is 0."),
    OPT_BOOL_ROW(stft_spectrogram, expand_dims, false,
                 "Channels are an axis of their own: a picture."),
    OPT_END_ROW,
};

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct stft_spectrogram *k = ctx;
    k->frame_step = k->frame_step > 0 ? k->frame_step : k->frame_length / 2;
    for (int64_t n = 2; k->fft_length == 0; n *= 2) {
        k->fft_length = n >= k->frame_length ? n : 0;
    }
    if (k->frame_step > k->frame_length) {
        return err_set_at(err, ERR_INVALID, "frame_step", "is above frame_length, %lld",
                          (long long)k->frame_length);
    }
    if (k->fft_length < k->frame_length) {
        return err_set_at(err, ERR_INVALID, "fft_length", "is below frame_length, %lld",
                          (long long)k->frame_length);
    }
    if (!fft_takes(k->fft_length)) {
        return err_set_at(err, ERR_UNSUPPORTED, "fft_length", "%lld is no power of two",
                          (long long)k->fft_length);
    }
    fft_init(&k->fft, k->fft_length, arena);
    k->weights = arena_array(arena, (size_t)k->frame_length, sizeof *k->weights);
    (k->window == WINDOW_HANN ? fft_hann : fft_hamming)(k->weights, k->frame_length, k->periodic);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < k->frame_length; i++) {
        sum += fabs(k->weights[i]);
        squares += k->weights[i] * k->weights[i];
    }
    const double scale = k->scaling == SCALING_DENSITY ? sqrt(squares) : sum;
    for (int64_t i = 0; i < k->frame_length; i++) {
        k->weights[i] /= scale;
    }
    k->bins = (k->fft_length / 2 + 1) * (k->mode == MODE_STFT ? 2 : 1);
    return 0;
}

static int64_t frames_of(const struct stft_spectrogram *k, int64_t n)
{
    return k->padding == PADDING_SAME ? (n + k->frame_step - 1) / k->frame_step
           : n < k->frame_length      ? 0
                                      : (n - k->frame_length) / k->frame_step + 1;
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct stft_spectrogram *k = ctx;
    const int64_t n = in->shape.d[0], channels = in->shape.d[1];
    if (in->shape.rank != 2 || channels < 1 || (n >= 0 && frames_of(k, n) < 1)) {
        char text[128];
        op_shape_text(in, text, sizeof text);
        return err_set(err, ERR_SHAPE,
                       "takes a sound (samples, channels) of one frame at least, %lld samples, "
                       "not %s",
                       (long long)k->frame_length, text);
    }
    const int64_t frames = n < 0 ? -1 : frames_of(k, n);
    out->dtype = DTYPE_F32;
    out->shape = k->expand_dims ? (struct shape){.rank = 3, .d = {frames, k->bins, channels}}
                                : (struct shape){.rank = 2, .d = {frames, channels * k->bins}};
    return 0;
}

static double value_of(const struct stft_spectrogram *k, int64_t i, const double *re,
                       const double *im)
{
    const int64_t half = k->fft_length / 2 + 1, at = i % half;
    const double power = re[at] * re[at] + im[at] * im[at];
    const double magnitude = sqrt(power > EPSILON ? power : EPSILON);
    switch (k->mode) {
    case MODE_REAL: return re[at];
    case MODE_IMAG: return im[at];
    case MODE_STFT: return i < half ? re[at] : im[at];
    case MODE_PSD: return at > 0 && at < half - 1 ? 2 * power : power;
    case MODE_MAGNITUDE: return magnitude;
    default: return math_log(magnitude > EPSILON ? magnitude : EPSILON);
    }
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct stft_spectrogram *k = ctx;
    const int64_t n = in->shape.d[0], channels = in->shape.d[1], frames = frames_of(k, n);
    (void)params, (void)key, (void)err;
    const int64_t reach = (frames - 1) * k->frame_step + k->frame_length - n;
    const int64_t margin = k->padding == PADDING_SAME && reach > 0 ? reach / 2 : 0;
    double *re = op_scratch_need(scratch, (size_t)k->fft_length * 2 * sizeof *re +
                                              (size_t)(n * channels) * sizeof(float)),
           *im = re + k->fft_length;
    float *x = (float *)(void *)(im + k->fft_length), *to = out->data;
    op_to_floats(in, n * channels, x);
    for (int64_t t = 0; t < frames; t++) {
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t i = 0; i < k->fft_length; i++) {
                const int64_t at = t * k->frame_step - margin + i;
                const bool is_there = i < k->frame_length && at >= 0 && at < n;
                re[i] = is_there ? (double)x[at * channels + c] * k->weights[i] : 0;
            }
            fft_run(&k->fft, re, im);
            for (int64_t i = 0; i < k->bins; i++) {
                const int64_t place = k->expand_dims ? (t * k->bins + i) * channels + c
                                                     : (t * channels + c) * k->bins + i;
                to[place] = (float)value_of(k, i, re, im);
            }
        }
    }
    return 0;
}

const struct op_desc op_stft_spectrogram = {
    .name = "STFTSpectrogram",
    .summary = "Turns a sound into its frequencies over time.",
    .options = options,
    .ctx_size = sizeof(struct stft_spectrogram),
    .init = init,
    .check = check,
    .run = run,
};

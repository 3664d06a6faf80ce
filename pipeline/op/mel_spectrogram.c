/* mel_spectrogram - a sound to a picture of its pitches over time, as Keras's MelSpectrogram. */
#include <string.h>

#include "base/math.h"
#include "pipeline/fft.h"
#include "pipeline/op.h"

extern const struct op_desc op_mel_spectrogram;

enum { WINDOW_HANN, WINDOW_HAMMING };
#define LN10 2.302585092994045684

struct mel_spectrogram {
    int64_t fft_length, sequence_stride, sequence_length, num_mel_bins;
    double sampling_rate, min_freq, max_freq, top_db, mag_exp, min_power, ref_power;
    int window;
    bool power_to_db;

    struct fft fft;
    double *shape;         /* the window, at its place in a frame */
    double *weights;       /* num_mel_bins rows of fft_length / 2 + 1 */
    int64_t *first, *last; /* of each row, the weights that are not 0 */
};
static const struct opt_name windows[] = {
    {"hann", WINDOW_HANN}, {"hamming", WINDOW_HAMMING}, {NULL, 0}};
static const struct opt options[] = {
    OPT_I64_ROW(mel_spectrogram, fft_length, 2048, 2, FFT_MAX,
                "Numbers of a transform; a power of two."),
    OPT_I64_ROW(mel_spectrogram, sequence_stride, 512, 1, FFT_MAX, "From one frame to the next."),
    OPT_I64_ROW(mel_spectrogram, sequence_length, 0, 0, FFT_MAX,
                "Numbers of a frame; 0 or null: fft_length.", .flags = OPT_NULLABLE),
    OPT_ENUM_ROW(mel_spectrogram, window, WINDOW_HANN, windows, "Weights of a frame."),
    OPT_F64_ROW(mel_spectrogram, sampling_rate, 16000, 1, 1e7, "Of the sound.", .unit = "Hz"),
    OPT_I64_ROW(mel_spectrogram, num_mel_bins, 128, 1, 65536, "Rows of the picture."),
    OPT_F64_ROW(mel_spectrogram, min_freq, 20, 0, 1e7, "Of the lowest row.", .unit = "Hz"),
    OPT_F64_ROW(mel_spectrogram, max_freq, 0, 0, 1e7,
                "Of the highest row; 0 or null: half of sampling_rate.", .unit = "Hz",
                .flags = OPT_NULLABLE),
    OPT_BOOL_ROW(mel_spectrogram, power_to_db, true, "In decibels."),
    OPT_F64_ROW(mel_spectrogram, top_db, 80, 0, 1e6, "How far below the loudest place it ends."),
    OPT_F64_ROW(mel_spectrogram, mag_exp, 2, 1e-3, 100, "1 for magnitudes, 2 for power."),
    OPT_F64_ROW(mel_spectrogram, min_power, 1e-10, 1e-30, 1e30, "Less is taken for this much."),
    OPT_F64_ROW(mel_spectrogram, ref_power, 1, -1e30, 1e30, "What 0 decibels are."),
    OPT_END_ROW,
};

static double mel_of(double hertz)
{
    return 1127.0 * math_log(1 + hertz / 700.0);
}

/* Triangles over the frequencies, each from its neighbours' peaks to its own. */
static void make_weights(struct mel_spectrogram *k, struct arena *arena)
{
    const int64_t n = k->fft_length / 2 + 1, bins = k->num_mel_bins;
    const double low = mel_of(k->min_freq), high = mel_of(k->max_freq);
    const double each = (high - low) / (double)(bins + 1);
    k->weights = arena_array(arena, (size_t)(n * bins), sizeof *k->weights);
    k->first = arena_array(arena, (size_t)bins, sizeof *k->first);
    k->last = arena_array(arena, (size_t)bins, sizeof *k->last);
    for (int64_t b = 0; b < bins; b++) {
        const double begin = low + each * (double)b, peak = low + each * (double)(b + 1),
                     end = low + each * (double)(b + 2);
        k->first[b] = n;
        for (int64_t i = 1; i < n; i++) {
            const double mel = mel_of(k->sampling_rate / 2 * (double)i / (double)(n - 1));
            const double up = (mel - begin) / (peak - begin), down = (end - mel) / (end - peak);
            const double weight = up < down ? up : down;
            if (weight > 0) {
                k->weights[b * n + i] = weight;
                k->first[b] = i < k->first[b] ? i : k->first[b];
                k->last[b] = i + 1;
            }
        }
    }
}

static int init(void *ctx, struct arena *arena, struct err *err)
{
    struct mel_spectrogram *k = ctx;
    k->sequence_length = k->sequence_length > 0 ? k->sequence_length : k->fft_length;
    k->max_freq = k->max_freq > 0 ? k->max_freq : (double)(int64_t)(k->sampling_rate / 2);
    if (!fft_takes(k->fft_length)) {
        return err_set_at(err, ERR_UNSUPPORTED, "fft_length", "%lld is no power of two",
                          (long long)k->fft_length);
    }
    if (k->sequence_length > k->fft_length) {
        return err_set_at(err, ERR_INVALID, "sequence_length", "is above fft_length, %lld",
                          (long long)k->fft_length);
    }
    if (k->max_freq <= k->min_freq) {
        return err_set_at(err, ERR_INVALID, "max_freq", "is not above min_freq");
    }
    fft_init(&k->fft, k->fft_length, arena);
    k->shape = arena_array(arena, (size_t)k->fft_length, sizeof *k->shape);
    double *at = k->shape + (k->fft_length - k->sequence_length) / 2;
    if (k->window == WINDOW_HANN) {
        fft_hann(at, k->sequence_length, true);
    } else {
        fft_hamming(at, k->sequence_length, true);
    }
    make_weights(k, arena);
    return 0;
}

static int check(const void *ctx, const struct op_spec *in, struct op_spec *out, struct err *err)
{
    const struct mel_spectrogram *k = ctx;
    const int rank = in->shape.rank;
    const int64_t n = rank > 0 ? in->shape.d[0] : 0;
    char text[128] = "";
    if (n >= 0 && n <= k->fft_length / 2) {
        op_shape_text(in, text, sizeof text);
    }
    if (rank < 1 || rank > 2 || (rank == 2 && in->shape.d[1] != 1)) {
        return err_set(err, ERR_SHAPE,
                       "takes a sound of one channel, (samples,) or (samples, 1), "
                       "not %s",
                       text);
    }
    if (n >= 0 && n <= k->fft_length / 2) {
        return err_set(err, ERR_SHAPE,
                       "takes sounds of more than half of fft_length, %lld samples, not %s",
                       (long long)k->fft_length / 2, text);
    }
    const int64_t frames = n < 0 ? -1 : n / k->sequence_stride + 1;
    out->shape = (struct shape){.rank = 2, .d = {k->num_mel_bins, frames}};
    out->dtype = DTYPE_F32;
    return 0;
}

/* A frame around `middle`; beyond the ends the sound is mirrored. */
static void take_frame(const struct mel_spectrogram *k, const float *x, int64_t n, int64_t middle,
                       double *re)
{
    for (int64_t i = 0; i < k->fft_length; i++) {
        int64_t at = middle - k->fft_length / 2 + i;
        at = at < 0 ? -at : at >= n ? 2 * (n - 1) - at : at;
        re[i] = at >= 0 && at < n ? (double)x[at] * k->shape[i] : 0;
    }
}

static double power_of(const struct mel_spectrogram *k, double re, double im)
{
    const double square = re * re + im * im;
    const bool is_square = k->mag_exp >= 2 && k->mag_exp <= 2;
    return is_square ? square : square > 0 ? math_pow(square, k->mag_exp / 2) : 0;
}

static double decibels(const struct mel_spectrogram *k, double power)
{
    return 10 * math_log(power > k->min_power ? power : k->min_power) / LN10;
}

/* What lies too far below the loudest place is brought up. */
static void to_decibels(const struct mel_spectrogram *k, float *values, int64_t n)
{
    const double reference = decibels(k, k->ref_power < 0 ? -k->ref_power : k->ref_power);
    float most = 0;
    for (int64_t i = 0; i < n; i++) {
        values[i] = (float)(decibels(k, (double)values[i]) - reference);
        most = i == 0 || values[i] > most ? values[i] : most;
    }
    for (int64_t i = 0; i < n; i++) {
        const float least = most - (float)k->top_db;
        values[i] = values[i] > least ? values[i] : least;
    }
}

static int run(const void *ctx, const float *params, const struct op_key *key,
               const struct tensor *in, struct tensor *out, struct op_scratch *scratch,
               struct err *err)
{
    const struct mel_spectrogram *k = ctx;
    const struct op_spec spec = {.dtype = in->dtype, .shape = in->shape};
    const int64_t n = in->shape.d[0], bins = k->fft_length / 2 + 1;
    struct op_spec made = {0};
    (void)params, (void)key;
    int r = check(ctx, &spec, &made, err);
    if (r < 0) {
        return r;
    }
    const int64_t frames = made.shape.d[1];
    double *re = op_scratch_need(scratch, (size_t)k->fft_length * 2 * sizeof *re +
                                              (size_t)n * sizeof(float)),
           *im = re + k->fft_length;
    float *x = (float *)(void *)(im + k->fft_length), *to = out->data;
    op_to_floats(in, n, x);
    for (int64_t t = 0; t < frames; t++) {
        take_frame(k, x, n, t * k->sequence_stride, re);
        fft_run(&k->fft, re, im);
        for (int64_t i = 0; i < bins; i++) {
            re[i] = power_of(k, re[i], im[i]);
        }
        for (int64_t b = 0; b < k->num_mel_bins; b++) {
            double sum = 0;
            for (int64_t i = k->first[b]; i < k->last[b]; i++) {
                sum += re[i] * k->weights[b * bins + i];
            }
            to[b * frames + t] = (float)sum;
        }
    }
    if (k->power_to_db) {
        to_decibels(k, to, k->num_mel_bins * frames);
    }
    out->dtype = made.dtype;
    out->shape = made.shape;
    return 0;
}

const struct op_desc op_mel_spectrogram = {
    .name = "MelSpectrogram",
    .summary = "Turns a sound of one channel into a picture: pitches on the mel scale over time.",
    .options = options,
    .ctx_size = sizeof(struct mel_spectrogram),
    .init = init,
    .check = check,
    .run = run,
};

/* Spectrograms against answers of Keras 3.15 on TensorFlow 2.21 (float32), for a sound of whole
 * arithmetic. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/fft.h"
#include "pipeline/op.h"
#include "tests/test.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_fini(&arena);
}

static const struct {
    const char *op;
    int64_t n, rows, frames;
    float wanted[32];
} cases[] = {
    // clang-format off
    {"{\"MelSpectrogram\": {\"fft_length\": 64, \"sequence_stride\": 16, \"num_mel_bins\": 4, \"sampling_rate\": 8000}}", 100, 4, 7,
     {20.6177998f, 20.7406521f, 20.4147148f, 20.4765911f, 20.1728172f, 19.8892555f, 20.3027191f, 16.8461189f, 18.2143288f, 18.5199203f, 17.6184006f, 17.7987232f, 17.7626801f, 19.2742577f, 7.93149185f, 11.553875f, 14.6848669f, 14.7853069f, 15.5971327f, 15.7663651f, 14.7827377f, 12.8627729f, 13.7304745f, 13.3501301f, 12.8173504f, 11.7258205f, 13.6683321f, 14.819067f}},
    {"{\"MelSpectrogram\": {\"fft_length\": 64, \"sequence_stride\": 20, \"sequence_length\": 40, \"num_mel_bins\": 3, \"sampling_rate\": 8000, \"window\": \"hamming\", \"power_to_db\": false, \"mag_exp\": 1}}", 90, 3, 5,
     {15.3089628f, 17.8042297f, 18.0039062f, 15.8331652f, 15.2678452f, 6.20952845f, 9.16822338f, 11.6297789f, 10.4498301f, 12.654809f, 8.92301559f, 13.2325087f, 12.7454128f, 10.1643295f, 12.8894348f}},
    {"{\"MelSpectrogram\": {\"fft_length\": 128, \"sequence_stride\": 64, \"num_mel_bins\": 5, \"min_freq\": 100, \"max_freq\": 3000, \"top_db\": 20, \"ref_power\": 2}}", 200, 5, 4,
     {11.8353024f, 7.00726128f, 5.40790749f, 9.1086874f, 20.081028f, 14.9327793f, 15.7836761f, 19.018116f, 22.675066f, 24.4406261f, 25.4079075f, 21.929018f, 17.7048702f, 11.5023689f, 12.5872478f, 15.741951f, 5.99746323f, 6.54806137f, 8.13791084f, 6.90233707f}},
    {"{\"MelSpectrogram\": {\"fft_length\": 32, \"sequence_stride\": 32, \"num_mel_bins\": 2, \"sampling_rate\": 4000, \"mag_exp\": 1.5, \"power_to_db\": false}}", 33, 2, 2,
     {8.71576691f, 8.1151495f, 3.92564249f, 7.59609938f}},
    // clang-format on
};

/* Noise and a square wave. */
static void make_sound(float *x, int64_t n)
{
    uint64_t s = 12345;
    for (int64_t i = 0; i < n; i++) {
        s = (s * 1103515245 + 12345) % (1ull << 31);
        x[i] = (float)((double)((int64_t)((s >> 16) % 2001) - 1000) / 1000.0 * 0.3 +
                       ((i / 8) % 2 != 0 ? 1 : -1) * 0.5);
    }
}

static int read_op(const char *text, struct op *ret, struct err *err)
{
    struct op_names names = {0};
    struct doc *doc = NULL;
    ck_assert_int_eq(doc_read_json(text, strlen(text), NULL, &arena, &doc, NULL), 0);
    return op_read(doc, &names, &arena, ret, err);
}

START_TEST(test_values)
{
    struct op op;
    struct err err = {0};
    struct op_scratch scratch = {0};
    const struct op_key key = {0};
    float x[256], made[64];
    const struct tensor in = {
        .dtype = DTYPE_F32, .shape = {.rank = 1, .d = {cases[_i].n}}, .data = x};
    struct tensor out = {.data = made};
    ck_assert_msg(read_op(cases[_i].op, &op, &err) == 0, "%s: %s", err.path, err.text);
    make_sound(x, cases[_i].n);
    ck_assert_msg(op_run(&op, &key, &in, &out, &scratch, &err) == 0, "%s", err.text);
    ck_assert_int_eq(out.shape.d[0], cases[_i].rows);
    ck_assert_int_eq(out.shape.d[1], cases[_i].frames);
    for (int64_t i = 0; i < cases[_i].rows * cases[_i].frames; i++) {
        const float want = cases[_i].wanted[i];
        ck_assert_msg(fabsf(made[i] - want) <= 2e-5f * (1 + fabsf(want)), "%lld: %.9g, want %.9g",
                      (long long)i, (double)made[i], (double)want);
    }
    op_scratch_fini(&scratch);
}
END_TEST

static const struct {
    const char *op;
    int64_t n, channels;
    struct shape shape;
    float wanted[48];
} spectra[] = {
    // clang-format off
    {"{\"STFTSpectrogram\": {\"frame_length\": 6, \"fft_length\": 8}}", 20, 1, {2, {5, 5}},
     {-0.079917565f, -0.282365501f, -0.876701891f, -1.18077004f, -1.03208053f, 0.0311999675f, -0.247894764f, -1.10174668f, -1.09374928f, -0.924634457f, -1.10487628f, -0.809858024f, -0.954845488f, -1.35136557f, -1.043841f, 0.183376223f, -0.031929113f, -0.733056724f, -2.12246346f, -4.11377716f, -0.430854976f, -0.287996113f, -0.371001422f, -1.03816485f, -4.03143167f}},
    {"{\"STFTSpectrogram\": {\"mode\": \"psd\", \"frame_length\": 6, \"frame_step\": 4, \"fft_length\": 8, \"window\": \"hamming\", \"periodic\": true, \"scaling\": \"spectrum\", \"padding\": \"same\"}}", 13, 2, {2, {4, 10}},
     {0.225342751f, 0.304039985f, 0.0913807899f, 0.0155086182f, 0.00282508857f, 0.174450874f, 0.210305229f, 0.0410010368f, 0.00813232549f, 0.00298564346f, 0.193450898f, 0.2979123f, 0.0389868394f, 0.00249141036f, 0.0010498598f, 0.116779149f, 0.313689381f, 0.137356818f, 0.0134437699f, 3.979913e-07f, 0.151462242f, 0.281467021f, 0.0352452435f, 0.0731589943f, 0.0769593194f, 0.205384359f, 0.296876609f, 0.0492483415f, 0.0179042518f, 0.00165229978f, 0.00248532975f, 0.0159561355f, 0.0317901336f, 0.0325100198f, 0.0141906934f, 1.11008139e-05f, 0.0110481596f, 0.0316175595f, 0.0436315238f, 0.0230510235f}},
    {"{\"STFTSpectrogram\": {\"mode\": \"stft\", \"frame_length\": 4, \"frame_step\": 4, \"expand_dims\": true}}", 9, 2, {3, {2, 6, 2}},
     {-0.913935602f, -0.805960357f, 0.370736122f, 0.557836592f, 0.172463387f, -0.309712797f, 0.0f, 0.0f, 0.54319942f, 0.248123735f, 1.73335533e-08f, 7.58435732e-08f, 0.875327528f, 0.862811744f, -0.513500988f, -0.36988762f, 0.151674435f, -0.123036556f, 0.0f, 0.0f, -0.361826479f, -0.492924124f, -5.81514747e-08f, -2.15804015e-08f}},
    {"{\"STFTSpectrogram\": {\"mode\": \"magnitude\", \"frame_length\": 8, \"frame_step\": 5, \"padding\": \"same\"}}", 11, 1, {2, {3, 5}},
     {0.663463593f, 0.484954089f, 0.110659003f, 0.23560819f, 0.341626376f, 1.1171881f, 0.771266103f, 0.133406416f, 0.34816438f, 0.467362076f, 0.441898167f, 0.390123516f, 0.282745868f, 0.229328886f, 0.233263373f}},
    // clang-format on
};

START_TEST(test_spectra)
{
    struct op op;
    struct err err = {0};
    struct op_scratch scratch = {0};
    const struct op_key key = {0};
    float x[64], made[64];
    const struct tensor in = {.dtype = DTYPE_F32,
                              .shape = {.rank = 2, .d = {spectra[_i].n, spectra[_i].channels}},
                              .data = x};
    struct tensor out = {.data = made};
    int64_t n = 0;
    ck_assert_msg(read_op(spectra[_i].op, &op, &err) == 0, "%s: %s", err.path, err.text);
    make_sound(x, spectra[_i].n * spectra[_i].channels);
    ck_assert_msg(op_run(&op, &key, &in, &out, &scratch, &err) == 0, "%s", err.text);
    ck_assert(shape_equal(&out.shape, &spectra[_i].shape));
    ck_assert_int_eq(shape_count(&out.shape, &n), 0);
    for (int64_t i = 0; i < n; i++) {
        const float want = spectra[_i].wanted[i];
        ck_assert_msg(fabsf(made[i] - want) <= 2e-5f * (1 + fabsf(want)), "%lld: %.9g, want %.9g",
                      (long long)i, (double)made[i], (double)want);
    }
    op_scratch_fini(&scratch);
}
END_TEST

/* A transform against the sum that it stands for. */
START_TEST(test_fft)
{
    enum { N = 64 };
    struct fft fft;
    double re[N], im[N], x[N];
    fft_init(&fft, N, &arena);
    for (int i = 0; i < N; i++) {
        re[i] = x[i] = (double)(i * i % 17) - 8;
    }
    fft_run(&fft, re, im);
    for (int k = 0; k < N; k++) {
        double a = 0, b = 0;
        for (int i = 0; i < N; i++) {
            a += x[i] * cos(2 * M_PI * i * k / N);
            b -= x[i] * sin(2 * M_PI * i * k / N);
        }
        ck_assert(fabs(a - re[k]) < 1e-9 && fabs(b - im[k]) < 1e-9);
    }
    ck_assert(fft_takes(2) && fft_takes(FFT_MAX) && !fft_takes(0) && !fft_takes(48));
}
END_TEST

static const struct {
    const char *op;
    int code;
} refused[] = {
    {"{\"MelSpectrogram\": {\"fft_length\": 100}}", ERR_UNSUPPORTED},
    {"{\"MelSpectrogram\": {\"fft_length\": 64, \"sequence_length\": 65}}", ERR_INVALID},
    {"{\"MelSpectrogram\": {\"min_freq\": 9000}}", ERR_INVALID},
    {"{\"MelSpectrogram\": {\"window\": \"blackman\"}}", ERR_INVALID},
    {"{\"STFTSpectrogram\": {\"mode\": \"angle\"}}", ERR_INVALID},
    {"{\"STFTSpectrogram\": {\"frame_step\": 257}}", ERR_INVALID},
    {"{\"STFTSpectrogram\": {\"fft_length\": 128}}", ERR_INVALID},
    {"{\"STFTSpectrogram\": {\"fft_length\": 300}}", ERR_UNSUPPORTED},
};

START_TEST(test_refused)
{
    struct op op;
    struct err err = {0};
    ck_assert_int_eq(read_op(refused[_i].op, &op, &err), refused[_i].code);
}
END_TEST

START_TEST(test_shapes)
{
    struct op op;
    struct err err = {0};
    struct op_spec in = {.dtype = DTYPE_F32, .shape = {.rank = 2, .d = {1000, 1}}};
    ck_assert_int_eq(read_op("\"MelSpectrogram\"", &op, &err), 0);
    ck_assert_int_eq(op_check(&op, &in, &err), ERR_SHAPE); /* 1,024 samples are mirrored */
    in.shape.d[0] = 1025;
    ck_assert_int_eq(op_check(&op, &in, &err), 0);
    ck_assert_int_eq(op.out.shape.d[1], 3);
    in.shape.d[0] = -1;
    ck_assert_int_eq(op_check(&op, &in, &err), 0);
    ck_assert_int_eq(op.out.shape.d[1], -1);
    in.shape.d[1] = 2;
    ck_assert_int_eq(op_check(&op, &in, &err), ERR_SHAPE);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("mel");
    TCase *c = tcase_create("mel");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_values, 0, sizeof cases / sizeof cases[0]);
    tcase_add_loop_test(c, test_spectra, 0, sizeof spectra / sizeof spectra[0]);
    tcase_add_test(c, test_fft);
    tcase_add_loop_test(c, test_refused, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(c, test_shapes);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

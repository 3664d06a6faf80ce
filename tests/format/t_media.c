/* Sounds, films and CIFAR's pictures: the shared ones, and what is cut or made up. */
#include <fcntl.h>
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pipeline/format/audio.h"
#include "pipeline/format/avi.h"
#include "pipeline/format/cifar.h"
#include "pipeline/image/decode.h"
#include "tests/test.h"

static struct err err;

static void load(const char *name, struct buf *out, struct input *in)
{
    char path[TEST_PATH];
    test_path(path, "%s/data/%s", test_shared(), name);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 26, out, &err), 0);
    input_memory(in, out->data, out->size, name);
}

START_TEST(test_wav)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct buf file = {0};
    struct input in;
    struct audio *audio = NULL;
    struct audio_info info;
    load("digits_real/0/en.wav", &file, &in);
    ck_assert_msg(audio_open(&in, &audio, &info, &err) == 0, "%s", err.text);
    ck_assert(info.rate == 8000 && info.channels == 1 && info.frames > 1000);
    float *all = calloc((size_t)info.frames, sizeof *all), some[10];
    ck_assert_int_eq(audio_read(audio, 0, info.frames, all, &err), 0);
    for (int64_t i = 0; i < info.frames; i++) { /* 16 bits behind a header of 44 bytes */
        int16_t sample;
        memcpy(&sample, file.data + file.size - (size_t)(2 * (info.frames - i)), 2);
        ck_assert(all[i] == (float)sample / 32768.0F);
    }
    ck_assert_int_eq(audio_read(audio, 500, 10, some, &err), 0);
    ck_assert_mem_eq(some, all + 500, sizeof some);
    audio_close(audio);
    for (size_t n = 0; n < file.size; n += 1 + n / 2) {
        input_memory(&in, file.data, n, "cut");
        const int r = audio_open(&in, &audio, &info, &err);
        ck_assert_int_lt(r, 0);
    }
    free(all);
    buf_fini(&file);
}
END_TEST

/* Written by libsndfile, read at random: lossless ones are equal, all have their length. */
static const struct {
    int format;
    double most;
} codecs[] = {{SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1.0 / 32768},
              {SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0},
              {SF_FORMAT_WAV | SF_FORMAT_PCM_24, 1.0 / 8388608},
              {SF_FORMAT_OGG | SF_FORMAT_VORBIS, 0.1}};

START_TEST(test_codecs)
{
    enum { FRAMES = 20000 };
    char folder[TEST_PATH], path[TEST_PATH];
    static float wave[2 * FRAMES], back[2 * FRAMES];
    struct input in;
    struct audio *audio = NULL;
    struct audio_info info;
    SF_INFO form = {.samplerate = 16000, .channels = 2, .format = codecs[_i].format};
    for (int i = 0; i < FRAMES; i++) {
        wave[2 * i] = 0.5F * sinf((float)i * 0.05F);
        wave[2 * i + 1] = 0.25F * sinf((float)i * 0.03F);
    }
    test_dir_make(folder);
    test_path(path, "%s/x", folder);
    SNDFILE *out = sf_open(path, SFM_WRITE, &form);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(sf_writef_float(out, wave, FRAMES), FRAMES);
    ck_assert_int_eq(sf_close(out), 0);
    const int fd = open(path, O_RDONLY);
    ck_assert_int_eq(input_open(&in, fd, "x", &err), 0);
    ck_assert_msg(audio_open(&in, &audio, &info, &err) == 0, "%s", err.text);
    ck_assert(info.frames == FRAMES && info.channels == 2 && info.rate == 16000);
    for (int first = FRAMES - 5000; first >= 0; first -= 5000) {
        ck_assert_msg(audio_read(audio, first, 5000, back, &err) == 0, "%s", err.text);
        for (int i = 0; i < 10000; i++) {
            ck_assert(fabs((double)(back[i] - wave[2 * first + i])) <= codecs[_i].most);
        }
    }
    audio_close(audio);
    (void)close(fd);
    test_dir_remove(folder);
}
END_TEST

START_TEST(test_no_sounds)
{
    struct input in;
    struct audio *audio = NULL;
    struct audio_info info;
    input_memory(&in, "", 0, "x");
    ck_assert_int_eq(audio_open(&in, &audio, &info, &err), ERR_EMPTY);
    input_memory(&in, "ID3 and more than that", 22, "x");
    ck_assert_int_eq(audio_open(&in, &audio, &info, &err), ERR_BAD_MAGIC);
    input_memory(&in, "fLaC and no more than that", 26, "x");
    ck_assert_int_lt(audio_open(&in, &audio, &info, &err), 0);
}
END_TEST

static const struct {
    const char *name;
    int64_t width, height;
    size_t frames; /* 0: some */
} films[] = {{"video/bunny_160x90_mjpeg.avi", 160, 90, 0}, {"video/demo_192_mjpeg.avi", 192, 0, 0}};

START_TEST(test_avi)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct buf file = {0};
    struct input in;
    struct avi avi = {0};
    struct decode *decode = decode_create();
    load(films[_i].name, &file, &in);
    ck_assert_msg(avi_open(&avi, &in, &err) == 0, "%s", err.text);
    ck_assert_int_eq(avi.width, films[_i].width);
    ck_assert(films[_i].height == 0 || avi.height == films[_i].height);
    ck_assert(avi.begins.n > 10 && avi.sizes.n == avi.begins.n && avi.rate > 0 && avi.scale > 0);
    for (size_t i = 0; i < avi.begins.n; i++) {
        struct decode_image image;
        const int r = decode_run(decode, file.data + avi.begins.at[i], (size_t)avi.sizes.at[i], 3,
                                 &image, &err);
        ck_assert_msg(r == 0, "frame %zu: %s", i, err.text);
        ck_assert(image.width == avi.width && image.height == avi.height);
    }
    avi_close(&avi);
    for (size_t n = 0; n < file.size; n += 1 + n / 2) {
        input_memory(&in, file.data, n, "cut");
        ck_assert_int_lt(avi_open(&avi, &in, &err), 0);
    }
    decode_destroy(decode);
    buf_fini(&file);
}
END_TEST

START_TEST(test_cifar)
{
    enum { RECORDS = 3 };
    static unsigned char file[RECORDS * (2 + CIFAR_PIXELS)], pixels[CIFAR_PIXELS];
    const int n_labels = _i, record = n_labels + CIFAR_PIXELS;
    struct input in;
    struct cifar cifar;
    int labels[2];
    for (int i = 0; i < RECORDS; i++) {
        for (int k = 0; k < record; k++) {
            file[i * record + k] =
                (unsigned char)(k < n_labels ? i + k : (k - n_labels) / 1024 * 80 + i);
        }
    }
    input_memory(&in, file, (size_t)(RECORDS * record), "x");
    ck_assert_int_eq(cifar_open(&cifar, &in, 0, &err), 0);
    ck_assert(cifar.n == RECORDS && cifar.n_labels == n_labels);
    ck_assert_int_eq(cifar_read(&cifar, 2, pixels, labels, &err), 0);
    ck_assert(labels[0] == 2 && (n_labels == 1 || labels[1] == 3));
    ck_assert(pixels[0] == 2 && pixels[1] == 82 && pixels[2] == 162);
    file[record] = 20;
    ck_assert_int_eq(cifar_read(&cifar, 1, pixels, labels, &err), ERR_VALUE);
    input_memory(&in, file, (size_t)(2 * record - 1), "x");
    ck_assert_int_eq(cifar_open(&cifar, &in, n_labels, &err), ERR_TRUNCATED);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("media");
    TCase *c = tcase_create("media");
    tcase_add_test(c, test_wav);
    tcase_add_loop_test(c, test_codecs, 0, sizeof codecs / sizeof codecs[0]);
    tcase_add_test(c, test_no_sounds);
    tcase_add_loop_test(c, test_avi, 0, sizeof films / sizeof films[0]);
    tcase_add_loop_test(c, test_cifar, 1, 3);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

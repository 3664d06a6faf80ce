/* WebP, BMP, GIF and EXIF: real pictures against each other, small ones byte by byte. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "pipeline/image/decode.h"
#include "pipeline/image/exif.h"
#include "tests/test.h"

static struct decode *decoder, *other;
static struct err err;

static void setup(void)
{
    decoder = decode_create();
    other = decode_create();
}

static void teardown(void)
{
    decode_destroy(decoder);
    decode_destroy(other);
}

static void load(struct decode *decode, const char *name, int channels, struct decode_image *ret)
{
    char path[TEST_PATH];
    struct buf file = {0};
    struct decode_image header;
    test_path(path, "%s/data/photos/variants/%s", test_shared(), name);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &file, NULL), 0);
    ck_assert_msg(decode_header(decode, file.data, file.size, &header, &err) == 0, "%s", err.text);
    ck_assert_msg(decode_run(decode, file.data, file.size, channels, ret, &err) == 0, "%s: %s",
                  name, err.text);
    ck_assert_int_eq(header.height, ret->height);
    ck_assert_int_eq(header.width, ret->width);
    for (size_t n = 0; n < file.size && n < 4096; n += 1 + n / 7) { /* cut anywhere: refused */
        ck_assert_int_lt(decode_run(other, file.data, n, channels, &header, &err), 0);
    }
    buf_fini(&file);
}

/* What the picture may be away from the PNG, in levels on average. */
static const struct {
    const char *name;
    double most;
} pictures[] = {{"dune_rgb.bmp", 0}, {"dune_lossy.webp", 6}, {"dune_palette.gif", 12}};

START_TEST(test_pictures)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct decode_image a, b;
    load(decoder, "dune_rgb.png", 3, &a);
    struct decode *second = decode_create();
    load(second, pictures[_i].name, 3, &b);
    ck_assert_int_eq(a.height, b.height);
    ck_assert_int_eq(a.width, b.width);
    double sum = 0;
    const int64_t n = a.height * a.width * 3;
    for (int64_t i = 0; i < n; i++) {
        sum += a.data[i] > b.data[i] ? a.data[i] - b.data[i] : b.data[i] - a.data[i];
    }
    ck_assert_msg(sum / (double)n <= pictures[_i].most, "%s: %.3f", pictures[_i].name,
                  sum / (double)n);
    decode_destroy(second);
}
END_TEST

START_TEST(test_orientation_applied)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct decode_image turned, stored;
    struct decode *second = decode_create();
    load(decoder, "dune_exif_orient6.jpg", 3, &turned);
    decode_allow(second, DECODE_ALL | DECODE_STORED);
    load(second, "dune_exif_orient6.jpg", 3, &stored);
    ck_assert_int_eq(turned.orientation, 6);
    ck_assert_int_eq(turned.height, stored.width);
    ck_assert_int_eq(turned.width, stored.height);
    for (int64_t y = 0; y < turned.height; y++) { /* a quarter clockwise */
        for (int64_t x = 0; x < turned.width; x++) {
            ck_assert_mem_eq(turned.data + 3 * (y * turned.width + x),
                             stored.data + 3 * ((stored.height - 1 - x) * stored.width + y), 3);
        }
    }
    decode_destroy(second);
}
END_TEST

/* "abc" over "def", turned in each of the eight ways. */
static const char *const turned[9] = {"",       "abcdef", "cbafed", "fedcba", "defabc",
                                      "adbecf", "daebfc", "fcebda", "cfbead"};

START_TEST(test_turns)
{
    for (int bytes = 1; bytes <= 4; bytes++) {
        unsigned char in[24], out[24];
        for (int i = 0; i < 24; i++) {
            in[i] = (unsigned char)('a' + i / bytes);
        }
        exif_apply(_i, in, 2, 3, bytes, out);
        for (int i = 0; i < 6 * bytes; i++) {
            ck_assert_int_eq(out[i], turned[_i][i / bytes]);
        }
    }
    ck_assert_int_eq(exif_is_sideways(_i), _i >= 5);
}
END_TEST

#define TIFF(text) (const unsigned char *)(text), sizeof(text) - 1
static const struct {
    const unsigned char *data;
    size_t size;
    int want;
} tiffs[] = {
    {TIFF("II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"), 6},
    {TIFF("Exif\0\0MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\10\0\0"), 8},
    {TIFF("II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\11\0\0\0"), 1}, /* nine ways there are not */
    {TIFF("II*\0\10\0\0\0\1\0\x12\1\4\0\1\0\0\0\6\0\0\0"), 1},  /* no short number */
    {TIFF("II*\0\10\0\0\0\2\0\x13\1\3\0\1\0\0\0\6\0\0\0"), 1},  /* another tag, then the end */
    {TIFF("II*\0\xff\xff\xff\xff\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"), 1}, /* outside */
    {TIFF("II*\0"), 1},
    {TIFF(""), 1},
};

START_TEST(test_tiffs)
{
    ck_assert_int_eq(exif_orientation(tiffs[_i].data, tiffs[_i].size), tiffs[_i].want);
}
END_TEST

#define BMP(width, height, bits, packing, colours, at)                                        \
    "BM\0\0\0\0\0\0\0\0" at "\0\0\0\x28\0\0\0" width "\0\0\0" height "\1\0" bits "\0" packing \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" colours "\0\0\0\0\0\0\0"
#define FOUR "\0\0\0\0\xff\0\0\0\0\xff\0\0\0\0\xff\0" /* black, blue, green, red */
#define GIF_HEAD             \
    "GIF89a\2\0\2\0\x80\0\0" \
    "\1\2\3\4\5\6"
#define BYTES(text) text, sizeof(text) - 1

/* Small pictures: what comes out, or the error. */
static const struct {
    const char *data;
    size_t size;
    int code, height, width, channels;
    const char *pixels;
} cases[] = {
    /* 2 x 1 of 4 bits: green, red */
    {BYTES(BMP("\2", "\1\0\0\0", "\4", "\0", "\4", "\x46") FOUR "\x23\0\0\0"), 0, 1, 2, 3,
     "\0\xff\0\xff\0\0"},
    /* the same from above, two rows */
    {BYTES(BMP("\1", "\xfe\xff\xff\xff", "\4", "\0", "\4", "\x46") FOUR "\x20\0\0\0\x30\0\0\0"), 0,
     2, 1, 3, "\0\xff\0\xff\0\0"},
    /* a colour that the palette lacks */
    {BYTES(BMP("\1", "\1\0\0\0", "\4", "\0", "\4", "\x46") FOUR "\x40\0\0\0"), ERR_CORRUPT, 0, 0, 0,
     NULL},
    /* runs of 8 bits: two red, end of line, a literal of 3 is too much for the row */
    {BYTES(BMP("\2", "\2\0\0\0", "\10", "\1", "\4", "\x46") FOUR "\2\3\0\0\1\2\1\1\0\1"), 0, 2, 2,
     3, "\0\xff\0\0\0\xff\xff\0\0\xff\0\0"},
    {BYTES(BMP("\2", "\2\0\0\0", "\10", "\1", "\4", "\x46") FOUR "\2\3\0\3\1\2\1\0"), ERR_CORRUPT,
     0, 0, 0, NULL},
    {BYTES(BMP("\2", "\2\0\0\0", "\10", "\1", "\4", "\x46") FOUR "\2\3\0\0"), ERR_TRUNCATED, 0, 0,
     0, NULL},
    /* 16 bits, 5 each */
    {BYTES(BMP("\1", "\1\0\0\0", "\x10", "\0", "\0", "\x36") "\xff\x7f\0\0"), 0, 1, 1, 3,
     "\xff\xff\xff"},
    {BYTES(BMP("\1", "\1\0\0\0", "\x10", "\1", "\0", "\x36") "\xff\x7f\0\0"), ERR_UNSUPPORTED, 0, 0,
     0, NULL},
    {BYTES(BMP("\xff", "\xff\xff\xff\x7f", "\x18", "\0", "\0", "\x36")), ERR_LIMIT, 0, 0, 0, NULL},
    {BYTES(BMP("\4", "\4\0\0\0", "\x18", "\0", "\0", "\x36") "1234"), ERR_TRUNCATED, 0, 0, 0, NULL},
    /* GIF: 2 x 2 screen, a frame of one pixel (colour 1) at 1, 1; the rest is colour 0 */
    {BYTES(GIF_HEAD ",\1\0\1\0\1\0\1\0\0\2\2\x4c\1\0;"), 0, 2, 2, 3, "\1\2\3\1\2\3\1\2\3\4\5\6"},
    /* the same, colour 0 transparent */
    {BYTES(GIF_HEAD "!\xf9\4\1\0\0\0\0,\1\0\1\0\1\0\1\0\0\2\2\x4c\1\0;"), 0, 2, 2, 4,
     "\1\2\3\0\1\2\3\0\1\2\3\0\4\5\6\xff"},
    {BYTES(GIF_HEAD ",\2\0\1\0\1\0\1\0\0\2\2\x4c\1\0;"), ERR_CORRUPT, 0, 0, 0, NULL},
    {BYTES(GIF_HEAD ",\0\0\0\0\2\0\2\0\0\2\2\x4c\1\0;"), ERR_CORRUPT, 0, 0, 0, NULL},
    {BYTES(GIF_HEAD ";"), ERR_EMPTY, 0, 0, 0, NULL},
    {BYTES(GIF_HEAD "!\xfe\xff"), ERR_TRUNCATED, 0, 0, 0, NULL},
    {BYTES("GIF89a\xff\xff\xff\xff\0\0\0,"), ERR_LIMIT, 0, 0, 0, NULL},
    {BYTES("RIFF\xff\0\0\0WEBPVP8 "), ERR_TRUNCATED, 0, 0, 0, NULL},
    {BYTES("RIFF\x20\0\0\0WEBPVP8 \x14\0\0\0abcdefghijklmnopqrst"), ERR_CORRUPT, 0, 0, 0, NULL},
};

START_TEST(test_small)
{
    struct decode_image image;
    const int r = decode_run(decoder, cases[_i].data, cases[_i].size, 0, &image, &err);
    ck_assert_msg(r == cases[_i].code, "%d: %d %s", _i, r, r < 0 ? err.text : "");
    if (r == 0) {
        ck_assert_int_eq(image.height, cases[_i].height);
        ck_assert_int_eq(image.width, cases[_i].width);
        ck_assert_int_eq(image.channels, cases[_i].channels);
        ck_assert_mem_eq(image.data, cases[_i].pixels,
                         (size_t)(image.height * image.width * image.channels));
    }
}
END_TEST

START_TEST(test_names)
{
    struct decode_image image;
    ck_assert_uint_eq(decode_formats_of("a/b.gif"), DECODE_JPEG | DECODE_PNG | DECODE_GIF);
    ck_assert_uint_eq(decode_formats_of("a/b.WEBP"), DECODE_JPEG | DECODE_PNG | DECODE_WEBP);
    ck_assert_uint_eq(decode_formats_of("a/b.JPEG"), DECODE_JPEG | DECODE_PNG);
    ck_assert_uint_eq(decode_formats_of("a.b/noname"), DECODE_ALL);
    ck_assert_uint_eq(decode_formats_of("a.img"), DECODE_ALL);
    decode_allow(decoder, decode_formats_of("a/b.jpg"));
    ck_assert_int_eq(
        decode_run(decoder, BYTES(GIF_HEAD ",\1\0\1\0\1\0\1\0\0\2\2\x4c\1\0;"), 0, &image, &err),
        ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "is a GIF"));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("pictures");
    TCase *c = tcase_create("pictures");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_pictures, 0, sizeof pictures / sizeof pictures[0]);
    tcase_add_test(c, test_orientation_applied);
    tcase_add_loop_test(c, test_turns, 1, 9);
    tcase_add_loop_test(c, test_tiffs, 0, sizeof tiffs / sizeof tiffs[0]);
    tcase_add_loop_test(c, test_small, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(c, test_names);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

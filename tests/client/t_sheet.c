/* The contact sheet: which pixels stand where, decoded from the PNG file by the decoder of the pipeline. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/sheet.h"
#include "pipeline/image/decode.h"
#include "tests/test.h"

enum { SIDE = 8, TIMES = 14, GAP = 10, LINE = 11, CELL = SIDE * TIMES + GAP, TOP = 2 * LINE + 2 * GAP };

static struct arena arena;

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_fini(&arena);
}

/* Draws, writes, decodes again. */
static void draw(const struct sheet *sheet, struct canvas *ret)
{
    struct canvas canvas;
    struct buf png = {0};
    struct decode_image image;
    struct err err = {0};
    struct decode *decode = decode_create();
    ck_assert_msg(sheet_draw(sheet, &arena, &canvas, &err) == 0, "%s", err.text);
    ck_assert_int_eq(canvas_png(&canvas, &png, &err), 0);
    ck_assert_msg(decode_run(decode, png.data, png.size, 3, &image, &err) == 0, "%s", err.text);
    ck_assert_int_eq(image.width, canvas.width);
    ck_assert_int_eq(image.height, canvas.height);
    ck_assert_int_eq(canvas_init(ret, canvas.width, canvas.height, (struct colour){0}, &err), 0);
    memcpy(ret->pixels, image.data, (size_t)(image.width * image.height * 3));
    ck_assert_int_eq(memcmp(ret->pixels, canvas.pixels, (size_t)(image.width * image.height * 3)), 0);
    canvas_fini(&canvas);
    buf_fini(&png);
    decode_destroy(decode);
}

/* The middle of pixel (x, y) of row i's picture, two columns of pictures. */
static struct colour at(const struct canvas *canvas, int i, int x, int y)
{
    return canvas_get(canvas, GAP + i % 2 * CELL + x * TIMES + TIMES / 2,
                      TOP + i / 2 * (CELL + 2 * LINE) + y * TIMES + TIMES / 2);
}

static void is(struct colour c, int r, int g, int b)
{
    ck_assert_msg(abs(c.r - r) <= 1 && abs(c.g - g) <= 1 && abs(c.b - b) <= 1,
                  "(%d, %d, %d) instead of (%d, %d, %d)", c.r, c.g, c.b, r, g, b);
}

static const bool all_good[4] = {true, true, true, true};

static struct sheet_field field(const char *name, const char *kind, enum dtype dtype, const void *data,
                                size_t size, int rank, const int64_t *d)
{
    return (struct sheet_field){
        .name = name, .kind = kind, .dtype = dtype, .shape = shape_make(rank, d), .data = data, .size = size};
}

/* ---- numbers to shades ------------------------------------------------------------------------ */

static const struct {
    double v[4];  /* of the rows, all their pixels */
    int shade[4];
    const char *note;
} floats[] = {
    {{0, 0.25, 0.5, 1}, {0, 64, 128, 255}, "0 is black and 1 white"},
    {{-1, 0, 0.5, 1}, {0, 128, 191, 255}, "-1 is black and 1 white"},
    {{0, 20, 128, 255}, {0, 20, 128, 255}, "0 is black and 255 white"},
    {{-2, 0, 2, 4}, {0, 85, 170, 255}, "-2 is black and 4 white"},
    {{3, 3, 3, 3}, {3, 3, 3, 3}, "0 is black and 255 white"},
    {{-7, -7, -7, -7}, {0, 0, 0, 0}, "-7 is black"},
    {{0, 1.00001, 0.5, 1}, {0, 255, 128, 255}, "0 is black and 1 white"},
};

START_TEST(rescales)
{
    float x[4][SIDE * SIDE];
    const int64_t shape[] = {SIDE, SIDE, 1};
    struct canvas canvas;
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < SIDE * SIDE; k++) {
            x[i][k] = (float)floats[_i].v[i];
        }
    }
    const struct sheet_field f = field("x", "image", DTYPE_F32, x, sizeof x, 3, shape);
    const struct sheet sheet = {"t", &f, 1, 4, NULL, all_good};
    draw(&sheet, &canvas);
    for (int i = 0; i < 4; i++) {
        const int s = floats[_i].shade[i];
        is(at(&canvas, i, 3, 5), s, s, s);
        is(at(&canvas, i, 0, 0), s, s, s);
    }
    ck_assert_msg(strstr(sheet_note(&sheet, &arena), floats[_i].note) != NULL, "%s",
                  sheet_note(&sheet, &arena));
    canvas_fini(&canvas);
}
END_TEST

START_TEST(shows_what_is_no_number)
{
    float x[SIDE * SIDE] = {0};
    const int64_t shape[] = {SIDE, SIDE};
    struct canvas canvas;
    x[1] = NAN;
    x[2] = INFINITY;
    x[3] = 1;
    const struct sheet_field f = field("x", "image", DTYPE_F32, x, sizeof x, 2, shape);
    const struct sheet sheet = {"t", &f, 1, 1, NULL, all_good};
    draw(&sheet, &canvas);
    is(at(&canvas, 0, 0, 0), 0, 0, 0);
    is(at(&canvas, 0, 1, 0), 220, 0, 60);
    is(at(&canvas, 0, 2, 0), 220, 0, 60);
    is(at(&canvas, 0, 3, 0), 255, 255, 255);
    ck_assert_ptr_nonnull(strstr(sheet_note(&sheet, &arena), "2 numbers are not finite"));
    canvas_fini(&canvas);
}
END_TEST

/* ---- colours, layouts ------------------------------------------------------------------------- */

START_TEST(draws_colours)
{
    static const int64_t last[] = {SIDE, SIDE, 3}, first[] = {3, SIDE, SIDE};
    unsigned char x[SIDE * SIDE * 3];
    struct canvas canvas;
    for (int k = 0; k < SIDE * SIDE; k++) {
        const unsigned char rgb[] = {(unsigned char)(k % SIDE * 30), (unsigned char)(k / SIDE * 20), 200};
        for (int c = 0; c < 3; c++) {
            x[_i == 0 ? k * 3 + c : c * SIDE * SIDE + k] = rgb[c];
        }
    }
    const struct sheet_field f =
        field("x", "image", DTYPE_U8, x, sizeof x, 3, _i == 0 ? last : first);
    const struct sheet sheet = {"t", &f, 1, 1, NULL, all_good};
    draw(&sheet, &canvas);
    is(at(&canvas, 0, 0, 0), 0, 0, 200);
    is(at(&canvas, 0, 7, 2), 210, 40, 200);
    is(at(&canvas, 0, 3, 7), 90, 140, 200);
    canvas_fini(&canvas);
}
END_TEST

START_TEST(draws_masks_and_places)
{
    static const int64_t image[] = {SIDE, SIDE, 1}, mask[] = {SIDE, SIDE}, boxes[] = {2, 4},
                         points[] = {1, 2};
    unsigned char x[SIDE * SIDE], m[SIDE * SIDE] = {0};
    const float in_pixels[] = {2, 3, 6, 7, -1, -1, -1, -1};
    const float in_shares[] = {0.25F, 0.375F, 0.75F, 0.875F, -1, -1, -1, -1};
    const float with_size[] = {2, 3, 4, 4, -1, -1, -1, -1};
    const float from_center[] = {4, 5, 4, 4, -1, -1, -1, -1};
    const float *const places[] = {in_pixels, in_shares, with_size, from_center};
    static const enum sheet_boxes forms[] = {SHEET_CORNERS, SHEET_CORNERS, SHEET_CORNER_SIZE,
                                             SHEET_CENTER_SIZE};
    static const char *const texts[] = {"7", "1"};
    int dots = 0;
    const float point[] = {5, 1};
    struct canvas canvas;
    memset(x, 100, sizeof x);
    m[0] = 1;
    m[SIDE * SIDE - 1] = 2;
    struct sheet_field fields[] = {
        field("x", "image", DTYPE_U8, x, sizeof x, 3, image),
        field("m", "mask", DTYPE_U8, m, sizeof m, 2, mask),
        field("b", "boxes", DTYPE_F32, places[_i], sizeof in_pixels, 2, boxes),
        field("k", "keypoints", DTYPE_F32, point, sizeof point, 2, points)};
    fields[2].boxes = forms[_i];
    fields[2].texts = texts;
    const struct sheet sheet = {"t", fields, 4, 1, NULL, all_good};
    draw(&sheet, &canvas);
    is(at(&canvas, 0, 0, 0), 165, 80, 80);   /* half of the first colour */
    is(at(&canvas, 0, 7, 7), 75, 135, 90);   /* half of the second */
    is(at(&canvas, 0, 4, 5), 100, 100, 100); /* inside of the box */
    for (int k = 0; k < CANVAS_GLYPH_WIDTH * CANVAS_GLYPH_HEIGHT; k++) { /* its name */
        dots += canvas_get(&canvas, GAP + 2 * TIMES + 1 + k % CANVAS_GLYPH_WIDTH,
                           TOP + 3 * TIMES + 1 + k / CANVAS_GLYPH_WIDTH)
                    .g == 250;
    }
    ck_assert_int_eq(dots, 11); /* of a 7 */
    is(at(&canvas, 0, 1, 1), 100, 100, 100); /* outside */
    is(canvas_get(&canvas, GAP + 2 * TIMES, TOP + 3 * TIMES), 230, 60, 60);
    is(canvas_get(&canvas, GAP + 6 * TIMES - 1, TOP + 5 * TIMES), 230, 60, 60);
    is(canvas_get(&canvas, GAP + 4 * TIMES, TOP + 7 * TIMES - 1), 230, 60, 60);
    is(canvas_get(&canvas, GAP + 5 * TIMES + 1, TOP + TIMES + 1), 230, 60, 60);
    canvas_fini(&canvas);
}
END_TEST

START_TEST(marks_bad_rows)
{
    static const bool ok[] = {true, false};
    static const char *const captions[] = {"cat\n#1", "dog\n#2"};
    unsigned char x[2][SIDE * SIDE];
    const int64_t shape[] = {SIDE, SIDE, 1};
    struct canvas canvas;
    int dots = 0;
    memset(x, 100, sizeof x);
    const struct sheet_field f = field("x", "image", DTYPE_U8, x, sizeof x, 3, shape);
    const struct sheet sheet = {"t", &f, 1, 2, captions, ok};
    draw(&sheet, &canvas);
    is(at(&canvas, 0, 4, 4), 100, 100, 100);
    is(at(&canvas, 1, 4, 4), 250, 250, 250);
    is(canvas_get(&canvas, GAP + CELL - 1, TOP + 3), 220, 0, 60); /* its border */
    for (int y = 0; y < LINE; y++) {
        for (int k = 0; k < 3 * CANVAS_GLYPH_WIDTH; k++) {
            dots += canvas_get(&canvas, GAP + k, TOP + SIDE * TIMES + 4 + y).r == 20;
        }
    }
    ck_assert_int_gt(dots, 15); /* "cat" */
    canvas_fini(&canvas);
}
END_TEST

START_TEST(draws_curves)
{
    float x[112];
    const int64_t shape[] = {112};
    struct canvas canvas;
    int dots = 0;
    for (int i = 0; i < 112; i++) {
        x[i] = (float)i / 111;
    }
    const struct sheet_field f = field("a", "audio", DTYPE_F32, x, sizeof x, 1, shape);
    const struct sheet sheet = {"t", &f, 1, 1, NULL, all_good};
    draw(&sheet, &canvas);
    for (int i = 0; i < 112; i++) {
        for (int y = 0; y < 64; y++) {
            dots += canvas_get(&canvas, GAP + i, TOP + y).r == 20;
        }
    }
    ck_assert_int_eq(dots, 112);
    is(canvas_get(&canvas, GAP, TOP + 63), 20, 20, 20);
    is(canvas_get(&canvas, GAP + 111, TOP), 20, 20, 20);
    canvas_fini(&canvas);
}
END_TEST

START_TEST(makes_large_ones_smaller)
{
    enum { LARGE = 600 };
    unsigned char *x = malloc(LARGE * LARGE);
    const int64_t shape[] = {LARGE, LARGE, 1};
    struct canvas canvas;
    for (int k = 0; k < LARGE * LARGE; k++) {
        x[k] = (unsigned char)(k % LARGE < LARGE / 2 ? 40 : 240);
    }
    const struct sheet_field f = field("x", "image", DTYPE_U8, x, LARGE * LARGE, 3, shape);
    const struct sheet sheet = {"t", &f, 1, 1, NULL, all_good};
    draw(&sheet, &canvas);
    ck_assert_int_lt(canvas.width, 400);
    is(canvas_get(&canvas, GAP + 40, TOP + 100), 40, 40, 40);
    is(canvas_get(&canvas, GAP + 160, TOP + 100), 240, 240, 240);
    canvas_fini(&canvas);
    free(x);
}
END_TEST

/* What a daemon may not say: fewer bytes than the shape, nothing to draw. */
START_TEST(believes_no_sizes)
{
    static const int64_t wide[] = {1 << 20, 1 << 20, 3}, small[] = {SIDE, SIDE, 1}, none[] = {0, 4, 1};
    const int64_t *const shapes[] = {wide, small, none};
    const unsigned char x[16] = {0};
    struct canvas canvas = {0};
    struct err err = {0};
    const struct sheet_field f = field("x", "image", DTYPE_U8, x, sizeof x, 3, shapes[_i]);
    const struct sheet sheet = {"t", &f, 1, 1, NULL, all_good};
    ck_assert_int_lt(sheet_draw(&sheet, &arena, &canvas, &err), 0);
    ck_assert_ptr_null(canvas.pixels);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("sheet");
    TCase *tcase = tcase_create("sheet");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, rescales, 0, sizeof(floats) / sizeof(floats[0]));
    tcase_add_test(tcase, shows_what_is_no_number);
    tcase_add_loop_test(tcase, draws_colours, 0, 2);
    tcase_add_loop_test(tcase, draws_masks_and_places, 0, 4);
    tcase_add_test(tcase, marks_bad_rows);
    tcase_add_test(tcase, draws_curves);
    tcase_add_test(tcase, makes_large_ones_smaller);
    tcase_add_loop_test(tcase, believes_no_sizes, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

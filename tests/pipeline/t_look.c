/* Parts of pictures: the pixels of a partial decode are those of the whole one, the draws of
 * RandomResizedCrop follow torchvision's law, and a pipeline gives the same with and without the
 * hint. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "pipeline/image/decode.h"
#include "pipeline/op.h"
#include "tests/pipeline/fixture.h"

enum { CROPS = 20, DRAWS = 100000, BINS = 10, SIDE = 64 };

/* Every way of sampling, restart markers, progressive, odd sizes, grey. */
static const char *const files[] = {
    "data/photos/variants/dune_422.jpg",
    "data/photos/variants/dune_gray.jpg",
    "data/photos/variants/dune_odd_size.jpg",
    "data/photos/variants/dune_optimized.jpg",
    "data/photos/variants/dune_progressive.jpg",
    "data/photos/variants/dune_q30.jpg",
    "data/photos/variants/dune_q95_444.jpg",
    "data/photos/variants/dune_restart.jpg",
    "data/photos/Aqua.jpg",
    "hostile/jpeg/ok_rst_mini.jpg",
    "hostile/jpeg/ok_progressive_gray.jpg",
    "hostile/jpeg/ok_exif_thumbnail.jpg",
};
enum { N_FILES = sizeof files / sizeof files[0] };

struct wish {
    struct look_area area;
    int n_asked;
};

static bool ask(const struct look_asker *asker, int64_t height, int64_t width, int64_t channels,
                struct look_area *ret)
{
    struct wish *wish = (struct wish *)(uintptr_t)asker->ctx;
    (void)channels;
    wish->n_asked++;
    *ret = wish->area;
    if (ret->height == 0) { /* all of it */
        ret->height = height;
        ret->width = width;
    }
    return true;
}

static void read_shared(const char *name, struct buf *ret)
{
    char path[TEST_PATH];
    test_path(path, "%s/%s", test_shared(), name);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 64 << 20, ret, NULL), 0);
}

static void look(struct decode *decode, const struct buf *file, const struct look_area *area,
                 struct decode_image *ret)
{
    struct wish wish = {.area = *area};
    const struct look_asker asker = {.ask = ask, .ctx = &wish};
    struct err err = {0};
    ck_assert_msg(decode_look(decode, file->data, file->size, 0, &asker, ret, &err) == 0, "%s",
                  err.text);
    ck_assert_int_eq(wish.n_asked, 1);
    ck_assert_int_eq(ret->part.shrink, area->shrink);
}

static bool same_pixel(const struct decode_image *part, const struct decode_image *whole, int64_t y,
                       int64_t x)
{
    const int64_t n = part->channels, top = part->part.top / part->part.shrink,
                  left = part->part.left / part->part.shrink;
    return memcmp(part->data + (y * part->width + x) * n,
                  whole->data + ((top + y) * whole->width + left + x) * n, (size_t)n) == 0;
}

/* Compares what was asked for; counts other pixels of the part that are not the picture's. */
static int64_t compare(const struct decode_image *part, const struct decode_image *whole,
                       const struct look_area *area, const char *name)
{
    const int64_t s = area->shrink, top = (area->top - part->part.top) / s,
                  left = (area->left - part->part.left) / s,
                  bottom = (area->top + area->height - 1 - part->part.top) / s,
                  right = (area->left + area->width - 1 - part->part.left) / s;
    int64_t n_spoilt = 0, n_wrong = 0;
    ck_assert(top >= 0 && left >= 0 && bottom < part->height && right < part->width);
    for (int64_t y = 0; y < part->height; y++) {
        for (int64_t x = 0; x < part->width; x++) {
            const bool is_wanted = y >= top && y <= bottom && x >= left && x <= right;
            const bool is_same = same_pixel(part, whole, y, x);
            n_wrong += is_wanted && !is_same;
            n_spoilt += !is_wanted && !is_same;
        }
    }
    ck_assert_msg(n_wrong == 0, "%s by %d: %lld pixels of a part from %lld, %lld", name,
                  area->shrink, (long long)n_wrong, (long long)part->part.top,
                  (long long)part->part.left);
    return n_spoilt;
}

/* 240 crops at each of the four scales. Pixels of the margin do differ: without it wanted ones
 * would. */
START_TEST(test_equal)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct decode *one = decode_create(), *other = decode_create();
    int64_t n_spoilt = 0, n_crops = 0;
    for (int f = 0; f < N_FILES; f++) {
        struct buf file = {0};
        struct decode_image whole, part;
        read_shared(files[f], &file);
        look(one, &file, &(struct look_area){.shrink = 1 << _i}, &whole);
        const int64_t height = whole.part.height, width = whole.part.width;
        struct rng rng;
        rng_init(&rng, 7, (uint64_t)_i, 0, (uint64_t)f);
        for (int i = 0; i < CROPS; i++, n_crops++) {
            struct look_area area = {.shrink = 1 << _i};
            area.height = 1 + (int64_t)rng_below(&rng, (uint64_t)height);
            area.width = 1 + (int64_t)rng_below(&rng, (uint64_t)width);
            area.top = (int64_t)rng_below(&rng, (uint64_t)(height - area.height + 1));
            area.left = (int64_t)rng_below(&rng, (uint64_t)(width - area.width + 1));
            look(other, &file, &area, &part);
            n_spoilt += compare(&part, &whole, &area, files[f]);
        }
        buf_fini(&file);
    }
    ck_assert_int_eq(n_crops, 240);
    ck_assert(n_spoilt > 0 || _i == 3); /* a block of one pixel has no border */
    decode_destroy(one);
    decode_destroy(other);
}
END_TEST

/* The whole picture asked for is the whole picture decoded. */
START_TEST(test_whole)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct decode *one = decode_create(), *other = decode_create();
    for (int f = 0; f < N_FILES; f++) {
        struct buf file = {0};
        struct decode_image whole, part;
        read_shared(files[f], &file);
        ck_assert_int_eq(decode_run(one, file.data, file.size, 0, &whole, NULL), 0);
        look(other, &file, &(struct look_area){.shrink = 1}, &part);
        ck_assert_int_eq(part.height, whole.height);
        ck_assert_int_eq(part.width, whole.width);
        ck_assert_mem_eq(part.data, whole.data,
                         (size_t)(whole.height * whole.width * whole.channels));
        buf_fini(&file);
    }
    decode_destroy(one);
    decode_destroy(other);
}
END_TEST

/* Who cannot use the hint gives the whole picture, turned or of four inks; a file without an end is
 * refused wherever one looks. */
static const struct odd {
    const char *name;
    bool is_refused;
} odds[] = {
    {"data/photos/variants/dune_cmyk.jpg", false},
    {"data/photos/variants/dune_exif_orient6.jpg", false},
    {"data/photos/variants/dune_rgb.png", false},
    {"data/photos/variants/dune_lossy.webp", false},
    {"data/photos/variants/dune_truncated.jpg", true},
    {"hostile/jpeg/no_eoi.jpg", true},
};

START_TEST(test_odd)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct decode *one = decode_create(), *other = decode_create();
    struct wish wish = {.area = {.height = 1, .width = 1, .shrink = 1}};
    const struct look_asker asker = {.ask = ask, .ctx = &wish};
    struct decode_image a, b;
    struct buf file = {0};
    read_shared(odds[_i].name, &file);
    const int r = decode_run(one, file.data, file.size, 3, &a, NULL);
    ck_assert_int_eq(r < 0, odds[_i].is_refused);
    ck_assert_int_eq(decode_look(other, file.data, file.size, 3, &asker, &b, NULL), r);
    if (r == 0) {
        ck_assert_int_eq(b.part.height, 0);
        ck_assert_mem_eq(a.data, b.data, (size_t)(a.height * a.width * 3));
    }
    buf_fini(&file);
    decode_destroy(one);
    decode_destroy(other);
}
END_TEST

/* ---- the law of the draws ---------------------------------------------------------------------
 */

struct drawn {
    double area, ratio, top, left; /* share; log; place as a share of what is free */
};

static void make_op(const char *options, struct arena *arena, struct op *ret)
{
    struct op_names names = {0};
    struct doc *doc = NULL;
    struct err err = {0};
    ck_assert_int_eq(doc_read_json(options, strlen(options), NULL, arena, &doc, NULL), 0);
    ck_assert_msg(op_make(op_find("RandomResizedCrop"), doc, &names, arena, ret, &err) == 0,
                  "%s %s", err.path, err.text);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov and Smirnov's distance to a uniform law on 0..1, times the root of n: above 1.95 once
 * in a thousand seeds. */
static double distance(double *v, int n)
{
    double most = 0;
    qsort(v, (size_t)n, sizeof *v, by_value);
    for (int i = 0; i < n; i++) {
        const double low = v[i] - (double)i / n, high = (double)(i + 1) / n - v[i];
        most = low > most ? low : most;
        most = high > most ? high : most;
    }
    return most * sqrt(n);
}

/* Pairs of uniform numbers that know nothing of each other: chi-square of 100 cells, 99 degrees of
 * freedom; above 148.2 once in a thousand. */
static double cells(const double *a, const double *b, int n)
{
    int count[BINS][BINS] = {{0}};
    double sum = 0;
    for (int i = 0; i < n; i++) {
        const int x = (int)(a[i] * BINS), y = (int)(b[i] * BINS);
        count[x < BINS ? x : BINS - 1][y < BINS ? y : BINS - 1]++;
    }
    const double expected = (double)n / (BINS * BINS);
    for (int i = 0; i < BINS * BINS; i++) {
        const double d = count[i / BINS][i % BINS] - expected;
        sum += d * d / expected;
    }
    return sum;
}

/* A picture so large that whole pixels are no matter. Returns the law's uniform numbers. */
enum { LARGE = 60000 };

static void draw_many(const char *options, double *v[4])
{
    struct arena arena;
    struct op op;
    arena_init(&arena);
    make_op(options, &arena, &op);
    const struct op_spec spec = {DTYPE_U8, {.rank = 3, .d = {LARGE, LARGE, 3}}};
    struct rng rng; /* spreads whole numbers of pixels over their width */
    int n_outside = 0;
    rng_init(&rng, 1, 2, 3, 4);
    for (int i = 0; i < DRAWS; i++) {
        const struct op_key key = {.seed = 11, .epoch = 2, .position = (uint64_t)i};
        float p[OP_PARAMS_MAX] = {0};
        op_draw(&op, &spec, &key, p);
        const double h = (double)p[2], w = (double)p[3];
        n_outside += p[0] < 0 || p[1] < 0 || p[0] + p[2] > LARGE || p[1] + p[3] > LARGE;
        v[0][i] = h * w / ((double)LARGE * LARGE);
        v[1][i] = log(w / h);
        v[2][i] = ((double)p[0] + rng_f64(&rng)) / (LARGE - h + 1);
        v[3][i] = ((double)p[1] + rng_f64(&rng)) / (LARGE - w + 1);
    }
    ck_assert_int_eq(n_outside, 0);
    arena_fini(&arena);
}

/* All parts fit: area and logarithm of the proportions are uniform, the place too, and no two of
 * them are bound. */
START_TEST(test_draws)
{
    double *v[4];
    for (int k = 0; k < 4; k++) {
        v[k] = malloc(DRAWS * sizeof *v[k]);
        ck_assert_ptr_nonnull(v[k]);
    }
    int n_outside = 0;
    draw_many("{\"size\": 64, \"scale\": [0.1, 0.5], \"ratio\": [0.5, 2]}", v);
    for (int i = 0; i < DRAWS; i++) {
        v[0][i] = (v[0][i] - 0.1) / 0.4;
        v[1][i] = (v[1][i] + log(2)) / (2 * log(2));
        n_outside += !(fabs(v[0][i] - 0.5) < 0.501 && fabs(v[1][i] - 0.5) < 0.501);
        v[0][i] = fmin(fmax(v[0][i], 0), 1);
        v[1][i] = fmin(fmax(v[1][i], 0), 1);
    }
    ck_assert_int_eq(n_outside, 0);
    for (int a = 0; a < 4; a++) {
        for (int b = a + 1; b < 4; b++) {
            ck_assert_double_lt(cells(v[a], v[b], DRAWS), 148.2);
        }
    }
    for (int k = 0; k < 4; k++) {
        ck_assert_double_lt(distance(v[k], DRAWS), 1.95);
        free(v[k]);
    }
}
END_TEST

/* Of a square, with c = log 4/3: a part of share a fits when |log ratio| <= -log a. Draws until it
 * fits leave the density min(c, -log a) / c of a, up to a factor. */
static double accepted(double a)
{
    const double c = log(4.0 / 3), knee = 0.75;
    const double flat = (a < knee ? a : knee) - 0.08;
    return a <= knee ? flat : flat + ((a - a * log(a)) - (knee - knee * log(knee))) / c;
}

START_TEST(test_draws_default)
{
    double *v[4];
    for (int k = 0; k < 4; k++) {
        v[k] = malloc(DRAWS * sizeof *v[k]);
        ck_assert_ptr_nonnull(v[k]);
    }
    draw_many("{\"height\": 64, \"width\": 64}", v);
    for (int i = 0; i < DRAWS; i++) {
        const double most = fmin(log(4.0 / 3), -log(v[0][i]));
        v[1][i] = fmin(fmax((v[1][i] + most) / (2 * most), 0), 1);
        v[0][i] = fmin(fmax(accepted(v[0][i]) / accepted(1), 0), 1);
    }
    ck_assert_double_lt(cells(v[0], v[1], DRAWS), 148.2);
    for (int k = 0; k < 4; k++) {
        ck_assert_double_lt(distance(v[k], DRAWS), 1.95);
        free(v[k]);
    }
}
END_TEST

/* Nothing fits: the largest part in the middle with allowed proportions. */
static const struct fallback {
    int64_t height, width;
    float drawn[4];
} fallbacks[] = {
    {10, 1000, {0, 493, 10, 13}},
    {1000, 10, {493, 0, 13, 10}},
    {100, 120, {0, 0, 100, 120}},
    {1, 1, {0, 0, 1, 1}},
};

START_TEST(test_fallback)
{
    const struct fallback *c = &fallbacks[_i];
    struct arena arena;
    struct op op;
    float p[OP_PARAMS_MAX] = {0};
    arena_init(&arena);
    make_op("{\"size\": 8, \"scale\": [4, 4]}", &arena, &op);
    const struct op_spec spec = {DTYPE_U8, {.rank = 3, .d = {c->height, c->width, 3}}};
    const struct op_key key = {.seed = 1, .position = 1};
    op_draw(&op, &spec, &key, p);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq((int)p[i], (int)c->drawn[i]);
    }
    arena_fini(&arena);
}
END_TEST

/* ---- in a pipeline ------------------------------------------------------------------------------
 */

enum { N_PICTURES = 12 };
#define CROP(options) "{\"RandomResizedCrop\": {\"size\": 64" options "}}"
#define MAP(ops)      "{\"map\": [" ops "]}"
#define EXACT(ops)    "{\"map\": {\"ops\": [" ops "], \"exact\": true}}"

static void add_photos(struct fixture *f)
{
    static const char *const names[] = {"Aqua",       "Blinds",     "Bridge",
                                        "BytheWater", "ColdRipple", "Dragonfly"};
    for (int i = 0; i < N_PICTURES; i++) {
        char path[64], from[64];
        (void)snprintf(path, sizeof path, "c%d/%02d.jpg", i / 6, i);
        (void)snprintf(from, sizeof from, "data/photos/%s.jpg", names[i % 6]);
        fixture_add_shared(f, "photos", path, from);
    }
}

/* A batch of both streams one after the other; caller frees. */
static unsigned char *rows(const char *stages, enum pipeline_stream stream, size_t *ret_bytes)
{
    struct fixture f;
    char job[1024];
    unsigned char *slab;
    fixture_init(&f);
    add_photos(&f);
    (void)snprintf(
        job, sizeof job,
        "{\"data\": {\"train\": {\"dataset\": \"photos\"}, \"validation\": {\"dataset\": "
        "\"photos\"}}, \"pipeline\": [%s, {\"batch\": %d}], \"fit\": {\"seed\": 5}}",
        stages, N_PICTURES);
    ck_assert_msg(fixture_compile(&f, job) == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_msg(fixture_batch(&f, stream, 0, 0, N_PICTURES, &slab, NULL) == 0, "%s", f.err.text);
    const struct slab_field *x = fixture_field(&f, stream, "x");
    *ret_bytes = N_PICTURES * x->row_bytes;
    unsigned char *copy = malloc(*ret_bytes);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, slab + x->offset, *ret_bytes);
    fixture_fini(&f);
    return copy;
}

static double psnr(const unsigned char *a, const unsigned char *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sum > 0 ? 10 * log10(255.0 * 255.0 * (double)n / sum) : 99;
}

/* Behind a stage that makes elements of its own nobody hints; the pixels are the same, or, where a
 * pixel may stand for several, nearly so. */
static const struct same {
    const char *with, *without;
    double median, worst; /* PSNR in dB; 99: every bit */
} sames[] = {
    {MAP(CROP(", \"shrink\": 1")), "{\"filter\": \"y >= 0\"}, " MAP(CROP("")), 99, 99},
    {EXACT(CROP("")), "{\"filter\": \"y >= 0\"}, " MAP(CROP("")), 99, 99},
    {MAP(CROP("")), EXACT(CROP("")), 50, 40},
    {MAP(CROP(", \"shrink\": 8")), EXACT(CROP("")), 30, 22},
    {MAP(CROP(", \"antialias\": false")), EXACT(CROP(", \"antialias\": false")), 99, 99},
    {MAP(CROP(", \"interpolation\": \"bicubic\"")), EXACT(CROP(", \"interpolation\": \"bicubic\"")),
     48, 38},
};

START_TEST(test_pipeline)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct same *c = &sames[_i];
    for (int stream = 0; stream < PIPELINE_STREAM_MAX_; stream++) {
        size_t bytes, other;
        double worst = 99, all[N_PICTURES];
        unsigned char *a = rows(c->with, (enum pipeline_stream)stream, &bytes),
                      *b = rows(c->without, (enum pipeline_stream)stream, &other);
        ck_assert_int_eq((long)bytes, (long)other);
        for (int i = 0; i < N_PICTURES; i++) {
            const size_t n = bytes / N_PICTURES;
            all[i] = psnr(a + (size_t)i * n, b + (size_t)i * n, n);
            worst = all[i] < worst ? all[i] : worst;
        }
        qsort(all, N_PICTURES, sizeof all[0], by_value);
        ck_assert_msg(worst >= c->worst && all[N_PICTURES / 2] >= c->median,
                      "stream %d: worst %.1f, median %.1f", stream, worst, all[N_PICTURES / 2]);
        free(a);
        free(b);
    }
}
END_TEST

/* A mask is cut where its picture is, though of the picture alone a part is decoded. */
START_TEST(test_mask)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct fixture f;
    unsigned char *slab;
    fixture_init(&f);
    fixture_add_shared(&f, "m", "images/a.jpg", "data/photos/variants/dune_q95_444.jpg");
    fixture_add_shared(&f, "m", "masks/a.png", "data/photos/variants/dune_gray.png");
    ck_assert_msg(fixture_compile(
                      &f, "{\"data\": {\"train\": {\"dataset\": \"m\", \"source\": {\"images\": "
                          "{\"masks\": \"masks\"}}}}, \"pipeline\": [{\"repeat\": 40}, {\"map\": "
                          "{\"fields\": [\"x\", \"mask\"], \"ops\": [" CROP("") "]}}, {\"batch\": "
                                                                                "40}]}") == 0,
                  "%s: %s", f.err.path, f.err.text);
    ck_assert_msg(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 40, &slab, NULL) == 0, "%s", f.err.text);
    const unsigned char *x = slab + fixture_field(&f, PIPELINE_TRAIN, "x")->offset,
                        *mask = slab + fixture_field(&f, PIPELINE_TRAIN, "mask")->offset;
    for (int row = 0; row < 40; row++) {
        unsigned char grey[SIDE * SIDE];
        const unsigned char *at = x + row * SIDE * SIDE * 3;
        for (int i = 0; i < SIDE * SIDE; i++, at += 3) {
            grey[i] = (unsigned char)((299 * at[0] + 587 * at[1] + 114 * at[2] + 500) / 1000);
        }
        ck_assert_double_gt(psnr(grey, mask + row * SIDE * SIDE, SIDE * SIDE), 30);
        ck_assert(row == 0 || memcmp(mask, mask + row * SIDE * SIDE, SIDE * SIDE) != 0);
    }
    fixture_fini(&f);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("look");
    TCase *c = tcase_create("decode");
    tcase_add_loop_test(c, test_equal, 0, 4);
    tcase_add_test(c, test_whole);
    tcase_add_loop_test(c, test_odd, 0, sizeof odds / sizeof odds[0]);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    c = tcase_create("law");
    tcase_add_test(c, test_draws);
    tcase_add_test(c, test_draws_default);
    tcase_add_loop_test(c, test_fallback, 0, sizeof fallbacks / sizeof fallbacks[0]);
    suite_add_tcase(s, c);
    c = tcase_create("pipeline");
    tcase_add_loop_test(c, test_pipeline, 0, sizeof sames / sizeof sames[0]);
    tcase_add_test(c, test_mask);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return test_main(make_suite());
}

/* What a job's data half does, asked of a real daemon without running the job: explained, previewed.
 * A row each: a pipeline, which exit status, which words. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/doc.h"
#include "base/file.h"
#include "client/canvas.h"
#include "pipeline/image/decode.h"
#include "tests/client/live.h"

enum { SIDE = 12, SAMPLES = 40, CLASSES = 3, WORDS = 6 };

static struct live live;

/* Sample i is grey, 60 + 80 * (i mod 3), and of class i mod 3. */
static void put_two(const char *split, int n)
{
    unsigned char images[16 + SAMPLES * SIDE * SIDE] = {
        0, 0, 8, 3, 0, 0, 0, (unsigned char)n, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    unsigned char labels[8 + SAMPLES] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)n};
    char path[TEST_PATH], file[128];
    for (int i = 0; i < n; i++) {
        labels[8 + i] = (unsigned char)(i % CLASSES);
        memset(images + 16 + i * SIDE * SIDE, 60 + 80 * (i % CLASSES), SIDE * SIDE);
    }
    (void)snprintf(file, sizeof(file), "two/%s-images-idx3-ubyte", split);
    live_file(&live, file, images, 16 + (size_t)n * SIDE * SIDE, path);
    (void)snprintf(file, sizeof(file), "two/%s-labels-idx1-ubyte", split);
    live_file(&live, file, labels, 8 + (size_t)n, path);
}

static void setup(void)
{
    char path[TEST_PATH];
    struct live_result r;
    live_start(&live);
    put_two("train", SAMPLES);
    put_two("test", SAMPLES / 4);
    live_daemon(&live, NULL);
    test_path(path, "%s/two", live.folder);
    live_run(&live, &r, "dataset", "put", "two", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
}

static void teardown(void)
{
    live_stop(&live);
}

/* A job without a model: it is not looked at. The pipeline's first stage stands in line 6. */
static void write_job(const char *pipeline, char path[TEST_PATH])
{
    char text[2048];
    (void)snprintf(text, sizeof(text),
                   "name: two\n"
                   "data:\n"
                   "  train: {dataset: two, split: train}\n"
                   "  validation: {dataset: two, split: test}\n"
                   "pipeline:\n"
                   "%s"
                   "fit: {epochs: 3, seed: 5}\n",
                   pipeline);
    live_text(&live, "job.yaml", text, path);
}

static void has_words(const char *text, const char *const words[WORDS])
{
    for (int i = 0; i < WORDS && words[i] != NULL; i++) {
        ck_assert_msg(strstr(text, words[i]) != NULL, "no '%s' in\n%s", words[i], text);
    }
}

/* ---- explain ---------------------------------------------------------------------------------- */

static const struct {
    const char *pipeline;
    int status;
    const char *words[WORDS];
} explained[] = {
    {"  - shuffle: {}\n"
     "  - map: [{Rescaling: {scale: 0.5}}, {RandomFlip: {mode: horizontal}}]\n"
     "  - batch: 16\n"
     "  - prefetch: 3\n",
     0,
     {"[0] shuffle   40 samples", "[2] batch     3 batches of 16  float32 (16, 12, 12, 1)",
      "x: Rescaling+RandomFlip  fused; uint8 (12, 12, 1) -> float32 (12, 12, 1)",
      "the last one of 8 rows", "memory: 5 batches of", "[0] shuffle (left out)  10 samples"}},
    /* 16 rows of 144 bytes and a label of 8: 2,432 bytes */
    {"  - batch: 16\n  - prefetch: {buffer_bytes: 10000}\n", 0, {"memory: 6 batches of"}},
    {"  - batch: 16\n  - prefetch: {buffer_bytes: 1}\n", 0, {"memory: 3 batches of"}},
    {"  - prefetch: {buffer_size: 2, buffer_bytes: 1}\n", 2, {"not both"}},
    /* batches counted by stages behind batch */
    {"  - take: 30\n  - skip: 6\n  - repeat: 2\n  - batch: {batch_size: 10, drop_remainder: true}\n"
     "  - take: 2\n",
     0,
     {"[0] take    30 samples", "[1] skip    24 samples", "[2] repeat  48 samples",
      "[3] batch   4 batches of 10", "[4] take    2 batches of 10", "none: samples are copied"}},
    /* why ops are not one pass */
    {"  - map: [{Rescaling: {scale: 1}}, {RandomRotation: {factor: 0.1}}, {RandomTranslation: "
     "{height_factor: 0.1, width_factor: 0.1, fill_mode: constant}}]\n",
     0,
     {"RandomTranslation: one resampling has one fill_mode, fill_value and interpolation",
      "batch    2 batches of 32"}},
    {"  - map: [{Rescaling: {scale: 0.5}}, {RandomContrast: {factor: 0.2}}, {Rescaling: {scale: "
     "2}}]\n",
     0,
     {"RandomContrast: neither a map of the plane nor a factor and a term a channel"}},
    {"  - map: {ops: [{Rescaling: {scale: 0.5}}, {Rescaling: {scale: 2}}], exact: true}\n",
     0,
     {"not one with the next: Rescaling: exact: true"}},
    /* what a stage makes of a stream is a source of its own, with passes before and behind it */
    {"  - map: [{Rescaling: {scale: 0.5}}]\n  - window: 3\n  - unbatch: {}\n"
     "  - map: [{RandomFlip: {mode: horizontal}}]\n  - batch: 6\n",
     0,
     {"[1] window   14 samples", "[2] unbatch  40 samples", "x: Rescaling", "x: RandomFlip",
      "[4] batch    7 batches of 6"}},
    /* batches of unlike numbers of rows: 14, 13 and 13 elements a key */
    {"  - group_by_window: {key_func: y, window_size: 8}\n",
     0,
     {"[0] group_by_window  6 batches of at most 8  uint8 (8, 12, 12, 1)  int64 (8,)",
      "an epoch: 6 steps; a batch:"}},
    {"  - window: {size: 16}\n  - padded_batch: {batch_size: 2, lengths: true}\n",
     0,
     {"uint8 (2, ?, 12, 12, 1)", "(one size)", "2 batches of 2  uint8 (2, 16, 12, 12, 1)",
      "x_length: numeric"}},
    /* an op that gives one size to what has none */
    {"  - map: [{Resizing: {height: 6, width: 5}}]\n  - batch: 8\n",
     0,
     {"[1] batch  5 batches of 8  uint8 (8, 6, 5, 1)"}},
    /* refusals point into the file, as those of submit */
    {"  - map: [{Rescalin: {scale: 0.5}}]\n", 2, {"job.yaml:6: pipeline[0].map[0]", "Rescaling"}},
    {"  - batch: 16\n  - shuffle: {}\n", 2, {"job.yaml:7: pipeline[1].shuffle"}},
    {"  - repeat: {}\n", 2, {"steps_per_epoch"}},
    {"  - batch: 0\n", 2, {"job.yaml:6: pipeline[0].batch"}},
};

START_TEST(explains)
{
    struct live_result r;
    char path[TEST_PATH];
    write_job(explained[_i].pipeline, path);
    live_run(&live, &r, "pipeline", "explain", path, NULL);
    ck_assert_msg(r.status == explained[_i].status, "%d:\n%s%s", r.status, r.out.data, r.err.data);
    has_words(r.status == 0 ? r.out.data : r.err.data, explained[_i].words);
    live_free(&r);
}
END_TEST

static struct doc *json_of(const struct live_result *r, struct arena *arena)
{
    struct doc *doc = NULL;
    struct err err = {0};
    ck_assert_msg(doc_read_json(r->out.data, r->out.size, &doc_limits_default, arena, &doc, &err) >=
                      0,
                  "%s in\n%s", err.text, r->out.data);
    return doc;
}

START_TEST(explains_as_json)
{
    struct live_result r;
    struct arena arena;
    char path[TEST_PATH];
    arena_init(&arena);
    write_job("  - shuffle: {}\n  - map: [{Rescaling: {scale: 0.5}}]\n  - batch: 16\n", path);
    live_run(&live, &r, "pipeline", "explain", path, "--json", "--set=fit.seed=9", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    const struct doc *doc = json_of(&r, &arena);
    const struct doc *train = doc_find(doc, "streams.train");
    ck_assert_uint_eq(doc_get(train, "stages")->n, 4);
    ck_assert_int_eq(doc_int(train, "batch_bytes", 0), 16 * (SIDE * SIDE * 4 + 8));
    ck_assert_int_eq(doc_int(doc_find(train, "stages[3]"), "elements", 0), 3);
    ck_assert_str_eq(doc_str(doc_find(train, "stages[3].fields[0]"), "dtype", ""), "float32");
    ck_assert_str_eq(doc_str(doc_find(train, "stages[1].fields[0]"), "dtype", ""), "uint8");
    ck_assert_str_eq(doc_str(doc_find(train, "passes[0].ops[0]"), "path", ""), "pipeline[1].map[0]");
    const struct doc *memory = doc_get(doc, "memory");
    ck_assert_int_eq(doc_int(memory, "shared_bytes", 0),
                     doc_int(memory, "slabs", 0) * doc_int(memory, "slab_bytes", 0));
    ck_assert_int_gt(doc_int(memory, "worker_bytes", 0), 1 << 20);
    live_free(&r);
    live_run(&live, &r, "pipeline", "explain", path, "--json", "--set=data.train.dataset=none", NULL);
    ck_assert_int_ne(r.status, 0);
    ck_assert_str_eq(doc_str(doc_find(json_of(&r, &arena), "error"), "path", ""),
                     "data.train.dataset");
    live_free(&r);
    arena_fini(&arena);
}
END_TEST

/* ---- preview ---------------------------------------------------------------------------------- */

enum { TIMES = 10, GAP = 10, LINE = 11, CELL = SIDE * TIMES + GAP, TOP = 2 * LINE + 2 * GAP };

struct sheet_file {
    int64_t width, height;
    unsigned char *rgb;
};

static void read_png(const char *path, struct sheet_file *ret)
{
    struct buf png = {0};
    struct decode_image image;
    struct err err = {0};
    struct decode *decode = decode_create();
    ck_assert_msg(file_read(AT_FDCWD, path, 1 << 24, &png, &err) >= 0, "%s", err.text);
    ck_assert_msg(decode_run(decode, png.data, png.size, 3, &image, &err) == 0, "%s", err.text);
    const size_t bytes = (size_t)(image.width * image.height * 3);
    *ret = (struct sheet_file){image.width, image.height, malloc(bytes)};
    memcpy(ret->rgb, image.data, bytes);
    buf_fini(&png);
    decode_destroy(decode);
}

/* Red, green or blue of the middle of a picture. */
static int shade_at(const struct sheet_file *sheet, int columns, int i, int channel)
{
    const int x = GAP + i % columns * CELL + SIDE * TIMES / 2;
    const int y = TOP + i / columns * (CELL + 2 * LINE) + SIDE * TIMES / 2;
    ck_assert(x < sheet->width && y < sheet->height);
    return sheet->rgb[(y * sheet->width + x) * 3 + channel];
}

START_TEST(previews)
{
    struct live_result r;
    struct sheet_file sheet;
    char path[TEST_PATH], png[TEST_PATH];
    test_path(png, "%s/sheet.png", live.folder);
    write_job("  - map: [{Rescaling: {scale: 0.00392156862745098}}]\n  - batch: 4\n", path);
    live_run(&live, &r, "preview", path, "-n", "9", "-o", png, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    has_words(r.out.data, (const char *const[WORDS]){"9 rows", "two: train, epoch 0, from step 0 of 10",
                                                     "float32 (12, 12, 1), 0 is black and 1 white"});
    live_free(&r);
    read_png(png, &sheet);
    ck_assert_int_eq(sheet.height, TOP + 3 * (CELL + 2 * LINE));
    for (int i = 0; i < 9; i++) { /* over the end of batches */
        const int want = 60 + 80 * (i % CLASSES);
        for (int c = 0; c < 3; c++) {
            ck_assert_int_le(abs(shade_at(&sheet, 3, i, c) - want), 1);
        }
    }
    free(sheet.rgb);
    live_run(&live, &r, "preview", path, "--stream=validation", "--step=2", "-n", "9", "-o", png,
             "--json", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    struct arena arena;
    arena_init(&arena);
    const struct doc *doc = json_of(&r, &arena);
    ck_assert_int_eq(doc_int(doc, "rows", 0), 2); /* to the end of the epoch */
    ck_assert_int_eq(doc_at(doc_get(doc, "samples"), 0)->i, 8);
    ck_assert_str_eq(doc_str(doc, "sheet", ""), png);
    arena_fini(&arena);
    live_free(&r);
    read_png(png, &sheet);
    ck_assert_int_le(abs(shade_at(&sheet, 2, 0, 0) - (60 + 80 * (8 % CLASSES))), 1);
    free(sheet.rgb);
}
END_TEST

/* The rows are those of the epoch and step, whenever one asks; another epoch has others. */
START_TEST(previews_the_same)
{
    static const char *const epochs[] = {"--epoch=0", "--epoch=1", "--epoch=0"};
    struct live_result r;
    struct buf files[3] = {{0}};
    char path[TEST_PATH];
    write_job("  - shuffle: {}\n  - map: [{RandomRotation: {factor: 0.2}}, {Rescaling: {scale: 1}}]\n", path);
    for (int i = 0; i < 3; i++) {
        live_run(&live, &r, "preview", path, "--output=-", epochs[i], NULL);
        ck_assert_msg(r.status == 0, "%s", r.err.data);
        buf_put(&files[i], r.out.data, r.out.size);
        live_free(&r);
    }
    ck_assert(files[0].size == files[2].size && memcmp(files[0].data, files[2].data, files[0].size) == 0);
    ck_assert(files[0].size != files[1].size || memcmp(files[0].data, files[1].data, files[0].size) != 0);
    for (int i = 0; i < 3; i++) {
        buf_fini(&files[i]);
    }
}
END_TEST

static const struct {
    const char *option;
    int status;
    const char *word;
} refused[] = {
    {"--step=10", 2, "steps 0 to 1"},
    {"--samples=0", 2, "--samples"},
    {"--samples=257", 2, "--samples"},
    {"--stream=test", 2, "--stream"},
    {"--output=/nowhere/sheet.png", 3, "/nowhere"},
    {"--set=data.train.dataset=none", 3, "job.yaml:3: data.train.dataset"},
    {"--set=pipeline[0].batch=-1", 2, "job.yaml:6: pipeline[0].batch"},
    {"--set=pipeline[0]={batch: 1, map: 2}", 2, "job.yaml:6: pipeline[0]"},
};

START_TEST(refuses_previews)
{
    struct live_result r;
    char path[TEST_PATH];
    write_job("  - batch: 32\n", path);
    live_run(&live, &r, "preview", path, refused[_i].option, NULL);
    ck_assert_msg(r.status == refused[_i].status, "%d: %s", r.status, r.err.data);
    ck_assert_msg(strstr(r.err.data, refused[_i].word) != NULL, "%s", r.err.data);
    live_free(&r);
}
END_TEST

/* Files of pictures, the middle one broken. */
static void put_pictures(void)
{
    static const struct colour colours[] = {{200, 20, 20}, {20, 200, 20}, {20, 20, 200}};
    char name[64], path[TEST_PATH];
    struct live_result r;
    for (int i = 0; i < 3; i++) {
        struct canvas canvas;
        struct buf png = {0};
        ck_assert_int_eq(canvas_init(&canvas, SIDE, SIDE, colours[i], NULL), 0);
        ck_assert_int_eq(canvas_png(&canvas, &png, NULL), 0);
        (void)snprintf(name, sizeof(name), "pics/train/%s/%d.png", i == 0 ? "red" : "blue", i);
        live_file(&live, name, png.data, i == 1 ? png.size / 2 : png.size, path);
        canvas_fini(&canvas);
        buf_fini(&png);
    }
    test_path(path, "%s/pics", live.folder);
    live_run(&live, &r, "dataset", "put", "pics", path, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
}

START_TEST(shows_bad_samples)
{
    struct live_result r;
    struct sheet_file sheet;
    char path[TEST_PATH], png[TEST_PATH];
    put_pictures();
    test_path(png, "%s/sheet.png", live.folder);
    live_text(&live, "pics.yaml",
              "data: {train: {dataset: pics, split: train}, on_error: skip}\n"
              "pipeline: [{map: [{Resizing: {height: 12, width: 12}}]}, {batch: 3}]\n",
              path);
    live_run(&live, &r, "preview", path, "-o", png, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    has_words(r.out.data, (const char *const[WORDS]){"bad row", "1.png"});
    ck_assert_ptr_null(strchr(r.out.data, '\033'));
    live_free(&r);
    read_png(png, &sheet);
    int seen = 0;
    for (int i = 0; i < 3; i++) { /* classes in the order of their names: blue, red */
        seen += shade_at(&sheet, 2, i, 0) == 200 && shade_at(&sheet, 2, i, 2) == 20;
        seen += (shade_at(&sheet, 2, i, 0) == 20 && shade_at(&sheet, 2, i, 2) == 200) << 4;
        seen += (shade_at(&sheet, 2, i, 0) == 250) << 8;
    }
    ck_assert_int_eq(seen, 0x111);
    free(sheet.rgb);
    live_run(&live, &r, "preview", path, "--set=data.on_error=fail", NULL);
    ck_assert_int_ne(r.status, 0);
    ck_assert_ptr_nonnull(strstr(r.err.data, "1.png"));
    live_free(&r);
}
END_TEST

/* The examples: a sheet of grey and one of coloured pictures, 4 x 4 of them. */
static const struct {
    const char *file, *dataset, *folder; /* folder: below the repository or below shared/ */
    int side, times;
    bool is_grey;
} examples[] = {
    {"digits.yaml", "digits", "examples/digits", 28, 4, true},
    {"photo-patches.yaml", "photo_patches", NULL, 64, 2, false},
};

START_TEST(previews_examples)
{
    char path[TEST_PATH], folder[TEST_PATH], png[TEST_PATH];
    struct live_result r;
    struct sheet_file sheet;
    const int side = examples[_i].side * examples[_i].times, head = 2 * LINE + 2 * GAP;
    int64_t coloured = 0, bright = 0;
    if (examples[_i].folder != NULL) {
        test_path(folder, "%s/%s", test_source_root(), examples[_i].folder);
    } else {
        TEST_NEED_SHARED(shared);
        test_path(folder, "%s/data/%s", shared, examples[_i].dataset);
    }
    live_run(&live, &r, "dataset", "put", examples[_i].dataset, folder, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    test_path(path, "%s/examples/%s", test_source_root(), examples[_i].file);
    test_path(png, "%s/sheet.png", live.folder);
    live_run(&live, &r, "preview", path, "-o", png, NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    live_free(&r);
    read_png(png, &sheet);
    ck_assert_int_eq(sheet.width, 4 * (side + GAP) + GAP);
    ck_assert_int_eq(sheet.height, head + 4 * (side + GAP + 2 * LINE));
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            const unsigned char *c = sheet.rgb + ((head + y) * sheet.width + GAP + x) * 3;
            coloured += c[0] != c[1] || c[1] != c[2];
            bright += c[1] > 100;
            /* an enlarged pixel is of one colour */
            ck_assert(x % examples[_i].times == 0 || memcmp(c, c - 3, 3) == 0);
        }
    }
    ck_assert(examples[_i].is_grey == (coloured == 0));
    ck_assert(!examples[_i].is_grey || (bright > side * side / 50 && bright < side * side / 2));
    free(sheet.rgb);
}
END_TEST

/* ---- run -------------------------------------------------------------------------------------- */

#define NEED_TRAINER()                             \
    if (!live_has("trainer/millrace-trainer")) {   \
        test_skip("no millrace-trainer is built"); \
        return;                                    \
    }

static const struct {
    const char *pipeline, *option;
    int64_t steps, rows; /* of 7 */
} runs[] = {
    {"  - map: [{Rescaling: {scale: 0.5}}]\n  - batch: 16\n", "--workers=1", 7, 96},
    {"  - shuffle: {}\n  - map: [{Rescaling: {scale: 0.5}}]\n  - batch: 16\n  - prefetch: 1\n",
     "--workers=3", 7, 96},
    {"  - map: [{Rescaling: {scale: 0.5}}]\n  - batch: 16\n", "--set=resources.transport=inline", 7,
     96},
    /* six batches of 8, 8, 8, 6, 5 and 5 rows an epoch; those that they do not have are not bad */
    {"  - map: [{Rescaling: {scale: 0.5}}]\n  - group_by_window: {key_func: y, window_size: 8}\n",
     "--set=data.max_bad=0", 7, 48},
    {"  - map: [{Rescaling: {scale: 0.5}}]\n  - repeat: {}\n  - batch: 10\n",
     "--set=fit.steps_per_epoch=2", 7, 70},
};

START_TEST(runs_alone)
{
    struct live_result r;
    struct arena arena;
    char path[TEST_PATH];
    NEED_TRAINER();
    arena_init(&arena);
    write_job(runs[_i].pipeline, path);
    live_run(&live, &r, "pipeline", "run", path, "--steps=7", "--json", runs[_i].option, NULL);
    ck_assert_msg(r.status == 0, "%s%s", r.out.data, r.err.data);
    const struct doc *doc = json_of(&r, &arena), *wait = doc_get(doc, "wait");
    ck_assert_int_eq(doc_int(doc, "steps", 0), runs[_i].steps);
    ck_assert_int_eq(doc_int(doc, "rows", 0), runs[_i].rows);
    ck_assert_int_eq(doc_int(doc, "bad", -1), 0);
    ck_assert(doc_float(doc, "batches_per_second", 0) > 0);
    ck_assert(doc_float(wait, "share", -1) >= 0 && doc_float(wait, "share", -1) <= 1.01);
    const struct doc *ops = doc_get(doc, "ops");
    bool has_op = false;
    for (size_t i = 0; i < ops->n; i++) {
        has_op = has_op || strcmp(doc_str(doc_at(ops, i), "name", ""), "Rescaling") == 0;
    }
    ck_assert(has_op || ops->n == 0); /* less than a microsecond is no time */
    live_free(&r);
    arena_fini(&arena);
}
END_TEST

/* 40 ms a sample: the profile says so, and a short patience ends the run early. */
START_TEST(profiles_and_ends_in_time)
{
    struct live_result r;
    struct arena arena;
    char path[TEST_PATH];
    NEED_TRAINER();
    arena_init(&arena);
    write_job("  - map: [{Sleep: {microseconds: 40000}}]\n  - batch: 5\n", path);
    live_run(&live, &r, "pipeline", "run", path, "--steps=100000", "--workers=1", "--timeout=4",
             "--json", NULL);
    ck_assert_msg(r.status == 0, "%s%s", r.out.data, r.err.data);
    const struct doc *doc = json_of(&r, &arena);
    ck_assert_int_lt(doc_int(doc, "steps", 0), 20);
    ck_assert_str_eq(doc_str(doc_find(doc, "ops[1]"), "name", ""), "Sleep");
    ck_assert(doc_float(doc_find(doc, "ops[1]"), "us", 0) > 39000);
    live_free(&r);
    live_run(&live, &r, "pipeline", "run", path, "--steps=2", "--workers=1", NULL);
    has_words(r.out.data, (const char *const[WORDS]){"2 batches of 5, 1 worker", "the sink waited",
                                                     "OPERATION", "Sleep", "all"});
    ck_assert_ptr_null(strchr(r.out.data, '\033'));
    live_free(&r);
    arena_fini(&arena);
}
END_TEST

static const struct {
    const char *pipeline, *option;
    int status;
    const char *word;
} not_run[] = {
    {"  - batch: 16\n", "--steps=0", 2, "--steps"},
    {"  - batch: 16\n", "--workers=65", 2, "--workers"},
    {"  - batch: 16\n", "--set=data.train.dataset=none", 3, "job.yaml:3: data.train.dataset"},
    {"  - map: [{Rescalin: {}}]\n", "--workers=1", 2, "job.yaml:6: pipeline[0].map[0]"},
    {"  - map: [{Fault: {sample: 3, action: segfault}}]\n", "--workers=2", 1, "a worker"},
};

START_TEST(does_not_run)
{
    struct live_result r;
    char path[TEST_PATH];
    NEED_TRAINER();
    write_job(not_run[_i].pipeline, path);
    live_run(&live, &r, "pipeline", "run", path, not_run[_i].option, NULL);
    ck_assert_msg(r.status == not_run[_i].status, "%d: %s%s", r.status, r.out.data, r.err.data);
    ck_assert_msg(strstr(r.err.data, not_run[_i].word) != NULL, "%s", r.err.data);
    live_free(&r);
}
END_TEST

START_TEST(leaves_out_bad_samples)
{
    struct live_result r;
    char path[TEST_PATH];
    NEED_TRAINER();
    put_pictures();
    live_text(&live, "pics.yaml",
              "data: {train: {dataset: pics, split: train}, on_error: skip, max_bad: 1}\n"
              "pipeline: [{map: [{Resizing: {height: 12, width: 12}}]}, {batch: 3}]\n",
              path);
    live_run(&live, &r, "pipeline", "run", path, "--steps=1", NULL);
    ck_assert_msg(r.status == 0, "%s", r.err.data);
    has_words(r.out.data, (const char *const[WORDS]){"1 bad sample was left out"});
    live_free(&r);
    live_run(&live, &r, "pipeline", "run", path, "--set=data.on_error=fail", NULL);
    ck_assert_int_ne(r.status, 0);
    ck_assert_ptr_nonnull(strstr(r.err.data, "1.png"));
    live_free(&r);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("preview");
    TCase *tcase = tcase_create("preview");
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, explains, 0, sizeof(explained) / sizeof(explained[0]));
    tcase_add_test(tcase, explains_as_json);
    tcase_add_test(tcase, previews);
    tcase_add_test(tcase, previews_the_same);
    tcase_add_loop_test(tcase, refuses_previews, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, shows_bad_samples);
    tcase_add_loop_test(tcase, previews_examples, 0, sizeof(examples) / sizeof(examples[0]));
    tcase_add_loop_test(tcase, runs_alone, 0, sizeof(runs) / sizeof(runs[0]));
    tcase_add_test(tcase, profiles_and_ends_in_time);
    tcase_add_loop_test(tcase, does_not_run, 0, sizeof(not_run) / sizeof(not_run[0]));
    tcase_add_test(tcase, leaves_out_bad_samples);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

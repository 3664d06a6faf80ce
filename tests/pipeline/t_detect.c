/* Pictures with boxes: coco, voc, yolo. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tests/pipeline/fixture.h"

static struct fixture f;

static void setup(void)
{
    fixture_init(&f);
}

static void teardown(void)
{
    fixture_fini(&f);
}

static void add_text(const char *path, const char *text)
{
    fixture_add(&f, "d", path, text, strlen(text));
}

static int compile(const char *kind, const char *options, const char *split)
{
    char job[1024];
    (void)snprintf(job, sizeof job,
                   "{\"data\": {\"train\": {\"dataset\": \"d\", \"source\": {\"%s\": {%s}}%s}, "
                   "\"on_error\": \"skip\"}}",
                   kind, options, split);
    return fixture_compile(&f, job);
}

/* Two pictures of 128 x 128: a bird at 10, 20, 50, 60 and a tree at 0, 0, 64, 32; nothing. */
static void add_coco(void)
{
    add_text(
        "coco.json",
        "{\"images\": [{\"id\": 7, \"file_name\": \"a.jpg\", \"width\": 128, \"height\": 128}, "
        "{\"id\": 9, \"file_name\": \"b.jpg\", \"width\": 128, \"height\": 128}], "
        "\"categories\": [{\"id\": 3, \"name\": \"bird\"}, {\"id\": 5, \"name\": \"tree\"}], "
        "\"annotations\": [{\"id\": 1, \"image_id\": 7, \"category_id\": 3, \"bbox\": [10, 20, "
        "40, 40]}, {\"id\": 2, \"image_id\": 7, \"category_id\": 5, \"bbox\": [0, 0, 64, 32]}, "
        "{\"id\": 3, \"image_id\": 9, \"category_id\": 5, \"bbox\": [0, 0, 9, 9], \"iscrowd\": "
        "1}]}");
    fixture_add_shared(&f, "d", "images/a.jpg", "data/stamps_detect/val/images/0000.jpg");
    fixture_add_shared(&f, "d", "images/b.jpg", "data/stamps_detect/val/images/0001.jpg");
}

static void add_yolo(void)
{
    add_text("classes.txt", "bird\ntree\n");
    fixture_add_shared(&f, "d", "images/train/a.jpg", "data/stamps_detect/val/images/0000.jpg");
    fixture_add_shared(&f, "d", "images/train/b.jpg", "data/stamps_detect/val/images/0001.jpg");
    fixture_add_shared(&f, "d", "images/val/c.jpg", "data/stamps_detect/val/images/0001.jpg");
    add_text("labels/train/a.txt", "0 0.234375 0.3125 0.3125 0.3125\n1 0.25 0.125 0.5 0.25\n");
}

static const char *const voc_a =
    "<annotation><filename>a.jpg</filename><size><width>128</width><height>128</height></size>"
    "<object><name>bird</name><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>50</xmax>"
    "<ymax>60</ymax></bndbox></object><object><name>tree</name><bndbox><xmin>0</xmin>"
    "<ymin>0</ymin><xmax>64</xmax><ymax>32</ymax></bndbox></object></annotation>";
static const char *const voc_b =
    "<annotation><filename>b.jpg</filename><object><name>tree</name><difficult>1</difficult>"
    "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
    "</annotation>";

static void add_voc(const char *b)
{
    add_text("Annotations/a.xml", voc_a);
    add_text("Annotations/b.xml", b);
    add_text("ImageSets/Main/train.txt", "a\nb\n");
    fixture_add_shared(&f, "d", "JPEGImages/a.jpg", "data/stamps_detect/val/images/0000.jpg");
    fixture_add_shared(&f, "d", "JPEGImages/b.jpg", "data/stamps_detect/val/images/0001.jpg");
    fixture_add_shared(&f, "d", "JPEGImages/c.jpg", "data/stamps_detect/val/images/0001.jpg");
}

static const struct good {
    const char *kind, *options, *split;
    float boxes[8]; /* of the first picture; the second has none */
} goods[] = {
    {"coco", "", "", {10, 20, 50, 60, 0, 0, 64, 32}},
    {"coco", "\"bounding_box_format\": \"xywh\"", "", {10, 20, 40, 40, 0, 0, 64, 32}},
    {"coco", "\"bounding_box_format\": \"center_xywh\"", "", {30, 40, 40, 40, 32, 16, 64, 32}},
    {"coco", "\"image_size\": [64, 256]", "", {20, 10, 100, 30, 0, 0, 128, 16}},
    {"coco",
     "\"image_size\": [64, 256], \"bounding_box_format\": \"rel_xyxy\"",
     "",
     {0.078125F, 0.15625F, 0.390625F, 0.46875F, 0, 0, 0.5F, 0.25F}},
    {"yolo", "", ", \"split\": \"train\"", {10, 20, 50, 60, 0, 0, 64, 32}},
    {"voc", "\"difficult\": false", ", \"split\": \"train\"", {10, 20, 50, 60, 0, 0, 64, 32}},
};

static void add(const char *kind)
{
    if (strcmp(kind, "coco") == 0) {
        add_coco();
    } else if (strcmp(kind, "yolo") == 0) {
        add_yolo();
    } else {
        add_voc(voc_b);
    }
}

START_TEST(test_good)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct good *g = &goods[_i];
    char options[256];
    unsigned char *slab;
    struct opt_groups bad = {0};
    add(g->kind);
    (void)snprintf(options, sizeof options, "\"max_boxes\": 3%s%s", g->options[0] ? ", " : "",
                   g->options);
    ck_assert_msg(compile(g->kind, options, g->split) == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_msg(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 1, &slab, &bad) == 0, "%s", f.err.text);
    ck_assert_uint_eq(bad.n, 0);
    ck_assert_int_eq(pipeline_rows(f.pipeline, PIPELINE_TRAIN, 0), 2);
    const struct slab_field *boxes = fixture_field(&f, PIPELINE_TRAIN, "boxes");
    ck_assert_str_eq(boxes->kind, "boxes");
    ck_assert_uint_eq(boxes->row_bytes, 3 * 4 * sizeof(float));
    const float *at = (const float *)(const void *)(slab + boxes->offset);
    for (int i = 0; i < 24; i++) {
        const float want = i < 8 ? g->boxes[i] : -1;
        ck_assert_msg(at[i] - want < 1e-4F && want - at[i] < 1e-4F, "%s %s: %d: %g", g->kind,
                      g->options, i, (double)at[i]);
    }
    const int64_t classes[6] = {0, 1, -1, -1, -1, -1};
    ck_assert(memcmp(slab + fixture_field(&f, PIPELINE_TRAIN, "y")->offset, classes,
                     sizeof classes) == 0);
    struct doc *plan = doc_new(&f.arena);
    pipeline_plan(f.pipeline, plan, &f.arena);
    ck_assert_str_eq(doc_find(plan, "classes[1]")->str, "tree");
}
END_TEST

static const struct wrong {
    const char *kind, *options, *split, *path, *text;
} wrongs[] = {
    {"coco", "\"max_boxes\": 0", "", "data.train.source.coco.max_boxes", "is outside"},
    {"coco", "\"annotations\": \"x.json\"", "", "data.train.source.coco.annotations",
     "has 0 JSON files at x.json"},
    {"coco", "\"image_size\": [8, 8], \"crop_to_aspect_ratio\": true", "",
     "data.train.source.coco.crop_to_aspect_ratio", "only scaled with the picture"},
    {"yolo", "\"images\": \"pictures\"", "", "data.train.source.yolo.images",
     "no pictures below a folder 'pictures'"},
    {"voc", "\"annotations\": \"notes\"", "", "data.train.source.voc.annotations",
     "'JPEGImages/a.jpg' has no .xml file"},
    {"voc", "", ", \"split\": \"val\"", "data.train.source.voc.images", "of split val"},
};

START_TEST(test_wrong)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct wrong *w = &wrongs[_i];
    add(w->kind);
    ck_assert_int_lt(compile(w->kind, w->options, w->split), 0);
    ck_assert_msg(strcmp(f.err.path, w->path) == 0 && strstr(f.err.text, w->text) != NULL,
                  "%s: %s: %s", w->options, f.err.path, f.err.text);
}
END_TEST

/* What is wrong with the boxes of a picture costs that picture. */
static const struct bad {
    const char *options, *xml, *reason;
} bads[] = {
    {"\"max_boxes\": 1", NULL, "has more than max_boxes = 1"},
    {"\"class_names\": [\"tree\"]", NULL, "box 0 is of class 'bird'"},
    {"", "<annotation><object>", "xml"},
};

START_TEST(test_bad)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct bad *b = &bads[_i];
    unsigned char *slab;
    struct opt_groups bad = {0};
    add_voc(b->xml != NULL ? b->xml : voc_b);
    ck_assert_msg(compile("voc", b->options, ", \"split\": \"train\"") == 0, "%s: %s", f.err.path,
                  f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 8, &slab, &bad), 0);
    ck_assert_uint_eq(bad.n, 1);
    const struct msg_chunk_bad *row = bad.v;
    ck_assert_str_eq(row->path, b->xml != NULL ? "JPEGImages/b.jpg" : "JPEGImages/a.jpg");
    ck_assert_msg(strstr(row->reason, b->reason) != NULL, "%s", row->reason);
}
END_TEST

/* Real data: boxes.csv says of val/images/0000.jpg what the first row of boxes must be. */
START_TEST(test_real)
{
    TEST_NEED_SHARED(shared);
    char path[TEST_PATH];
    unsigned char *slab;
    float want[4];
    struct buf csv = {0};
    test_path(path, "%s/data/stamps_detect", shared);
    fixture_add_folder(&f, "d", path);
    ck_assert_msg(fixture_compile(&f, "{\"data\": {\"train\": {\"dataset\": \"d\", \"split\": "
                                      "\"val\"}}}") == 0,
                  "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 64, &slab, NULL), 0);
    test_path(path, "%s/data/stamps_detect/val/boxes.csv", shared);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &csv, NULL), 0);
    const char *line = strchr(csv.data, '\n') + 1;
    ck_assert_int_eq(
        sscanf(line, "%*[^,],%*[^,],%f,%f,%f,%f", &want[0], &want[1], &want[2], &want[3]), 4);
    const float *at =
        (const float *)(const void *)(slab + fixture_field(&f, PIPELINE_TRAIN, "boxes")->offset);
    ck_assert(memcmp(at, want, sizeof want) == 0);
    buf_fini(&csv);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect");
    TCase *c = tcase_create("detect");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_good, 0, sizeof goods / sizeof goods[0]);
    tcase_add_loop_test(c, test_wrong, 0, sizeof wrongs / sizeof wrongs[0]);
    tcase_add_loop_test(c, test_bad, 0, sizeof bads / sizeof bads[0]);
    tcase_add_test(c, test_real);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

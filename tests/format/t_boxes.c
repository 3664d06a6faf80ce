/* Boxes: real COCO files against the table beside them, XML and YOLO by hand. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "pipeline/format/coco.h"
#include "pipeline/format/csv.h"
#include "pipeline/format/voc.h"
#include "pipeline/format/yolo.h"
#include "tests/test.h"

static struct err err;
static struct arena arena;

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_fini(&arena);
}

static void load(const char *name, struct buf *out)
{
    char path[TEST_PATH];
    test_path(path, "%s/data/%s", test_shared(), name);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 26, out, &err), 0);
}

/* The boxes of both, in the same order within a picture. */
static void compare(const struct coco *coco, struct csv *csv)
{
    size_t row = 0;
    for (size_t i = 0; i < coco->n; i++) {
        const struct annotation *a = &coco->images[i];
        for (size_t b = 0; b < a->n; b++, row++) {
            const struct csv_value *v = NULL;
            ck_assert_int_eq(csv_row(csv, row, &v, &err), 0);
            ck_assert_uint_eq(v[0].n, strlen(a->file));
            ck_assert_mem_eq(v[0].text, a->file, v[0].n);
            ck_assert(a->boxes[b].x1 == (float)v[2].i && a->boxes[b].y1 == (float)v[3].i);
            ck_assert(a->boxes[b].x2 == (float)v[4].i && a->boxes[b].y2 == (float)v[5].i);
            ck_assert_str_eq(coco->classes[a->boxes[b].class], a->boxes[b].name);
            ck_assert(v[1].n == strlen(a->boxes[b].name) || v[1].n == 0);
        }
    }
    ck_assert_uint_eq(row, csv_rows(csv));
}

START_TEST(test_coco)
{
    static const char *const sets[] = {"stamps_detect/train", "stamps_detect/val",
                                       "digits_detect/train", "digits_detect/val"};
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct buf json = {0}, table = {0};
    struct coco coco;
    struct csv *csv = NULL;
    struct input in;
    char name[TEST_PATH];
    test_path(name, "%s/coco.json", sets[_i]);
    load(name, &json);
    ck_assert_msg(coco_read(json.data, json.size, name, &arena, &coco, &err) == 0, "%s", err.text);
    test_path(name, "%s/boxes.csv", sets[_i]);
    load(name, &table);
    input_memory(&in, table.data, table.size, name);
    ck_assert_int_eq(csv_open(&in, &(struct csv_options){.has_header = true}, &csv, &err), 0);
    compare(&coco, csv);
    csv_close(csv);
    buf_fini(&json);
    buf_fini(&table);
}
END_TEST

#define HEAD                                                                                    \
    "{\"images\": [{\"id\": 7, \"file_name\": \"a\"}], \"categories\": [{\"id\": 9, \"name\": " \
    "\"x\"}, {\"id\": 2, \"name\": \"y\"}], "
#define BOX(image, category, box)                                                               \
    "\"annotations\": [{\"image_id\": " image ", \"category_id\": " category ", \"bbox\": " box \
    "}]}"
static const struct {
    const char *text;
    int code;
    const char *what;
} cocos[] = {
    {HEAD BOX("7", "9", "[1, 2.5, 3, 4]"), 0, NULL},
    {HEAD BOX("8", "9", "[1, 2, 3, 4]"), ERR_SCHEMA, "annotations[0] is about no picture"},
    {HEAD BOX("7", "3", "[1, 2, 3, 4]"), ERR_SCHEMA, "of no category"},
    {HEAD BOX("7", "9", "[1, 2, 3]"), ERR_SCHEMA, "four numbers"},
    {HEAD BOX("7", "9", "[1, 2, -3, 4]"), ERR_VALUE, "bbox[2] is -3"},
    {HEAD BOX("7", "9", "[1, 2, \"3\", 4]"), ERR_SCHEMA, "is no number"},
    {"{\"images\": []}", ERR_SCHEMA, "'categories'"},
    {"{\"images\": [", ERR_SYNTAX, "x.json: "},
    {"", ERR_EMPTY, "x.json: "},
    {"[]", ERR_SCHEMA, "'categories'"},
};

START_TEST(test_cocos)
{
    struct coco coco;
    const int r = coco_read(cocos[_i].text, strlen(cocos[_i].text), "x.json", &arena, &coco, &err);
    ck_assert_msg(r == cocos[_i].code, "%d %s", r, err.text);
    if (r < 0) {
        ck_assert_msg(strstr(err.text, cocos[_i].what) != NULL, "%s", err.text);
        return;
    }
    const struct annotation_box *b = coco.images[0].boxes;
    ck_assert(coco.n_classes == 2 && strcmp(coco.classes[0], "y") == 0); /* by id */
    ck_assert(b->class == 1 && b->x1 == 1 && b->y1 == 2.5F && b->x2 == 4 && b->y2 == 6.5F);
}
END_TEST

#define OBJECT(name, x1, y1, x2, y2)                                                               \
    "<object><name> " name " </name><difficult>1</difficult><bndbox><xmin>" x1 "</xmin><ymin>" y1  \
    "</ymin><xmax>" x2 "</xmax><ymax>" y2 "</ymax></bndbox><part><name>head</name><bndbox><xmin>1" \
    "</xmin></bndbox></part></object>"
static const struct {
    const char *text;
    int code;
    const char *what; /* of the error, or the name of the first object */
} vocs[] = {
    {"<annotation><filename>a.jpg</filename><size><width>40</width><height>30</height></"
     "size>" OBJECT("dog", "1.5", "2", "3", "4") OBJECT("cat", "0", "0", "0", "0") "</annotation>",
     0, "dog"},
    {"<annotation>" OBJECT("caf&#233;", "1", "2", "3", "4") "</annotation>", 0, "caf\xc3\xa9"},
    {"<annotation>" OBJECT("", "1", "2", "3", "4") "</annotation>", ERR_SCHEMA, "object 0"},
    {"<annotation>" OBJECT("x", "1", "2", "0", "4") "</annotation>", ERR_VALUE, "ends before"},
    {"<annotation>" OBJECT("x", "1", "nan", "3", "4") "</annotation>", ERR_VALUE, "ymin is 'nan'"},
    {"<annotation>\n<object></object></annotation>", ERR_SCHEMA, "object 0"},
    {"<annotation>\n</annotatio>", ERR_SYNTAX, "mismatched"},
    {"<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>&b;</annotation>", ERR_UNSAFE_TYPE,
     "document type"},
    {"<html></html>", ERR_SCHEMA, "<html>"},
    {"", ERR_EMPTY, "a.xml"},
    {"<annotation><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", ERR_LIMIT, "deep"},
};

START_TEST(test_voc)
{
    struct annotation a;
    const int r = voc_read(vocs[_i].text, strlen(vocs[_i].text), "a.xml", &arena, &a, &err);
    ck_assert_msg(r == vocs[_i].code, "%d %s", r, err.text);
    if (r < 0) {
        ck_assert_msg(strstr(err.text, vocs[_i].what) != NULL, "%s", err.text);
        return;
    }
    ck_assert_str_eq(a.boxes[0].name, vocs[_i].what);
    if (_i == 0) {
        ck_assert(a.n == 2 && a.width == 40 && a.height == 30 && strcmp(a.file, "a.jpg") == 0);
        ck_assert(a.boxes[0].x1 == 1.5F && a.boxes[0].y2 == 4 && a.boxes[0].is_difficult);
        ck_assert_str_eq(a.boxes[1].name, "cat");
    }
}
END_TEST

static const struct {
    const char *text;
    int code, line;
    size_t n;
} yolos[] = {
    {"", 0, 0, 0},
    {"3 0.5 0.5 0.25 1\n\n0 0 0 0 0\r\n", 0, 0, 2},
    {"3 0.5 0.5 0.25", ERR_SCHEMA, 1, 0},
    {"3 0.5 0.5 0.25 1\n3 0.5 0.5 0.25 1.5", ERR_VALUE, 2, 0},
    {"-1 0.5 0.5 0.25 1", ERR_VALUE, 1, 0},
    {"dog 0.5 0.5 0.25 1", ERR_VALUE, 1, 0},
    {"1 0.1 0.1 0.2 0.1 0.2 0.2", ERR_SCHEMA, 1, 0},
    {"\xff", ERR_ENCODING, 0, 0},
};

START_TEST(test_yolo)
{
    struct annotation a;
    const int r =
        yolo_read(yolos[_i].text, strlen(yolos[_i].text), "a.txt", 80, 40, &arena, &a, &err);
    ck_assert_msg(r == yolos[_i].code, "%d %s", r, err.text);
    ck_assert(r == 0 || err.line == yolos[_i].line);
    ck_assert(r < 0 || a.n == yolos[_i].n);
    if (_i == 1) {
        const struct annotation_box *b = a.boxes;
        ck_assert(b->class == 3 && b->x1 == 30 && b->y1 == 0 && b->x2 == 50 && b->y2 == 40);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("boxes");
    TCase *c = tcase_create("boxes");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_coco, 0, 4);
    tcase_add_loop_test(c, test_cocos, 0, sizeof cocos / sizeof cocos[0]);
    tcase_add_loop_test(c, test_voc, 0, sizeof vocs / sizeof vocs[0]);
    tcase_add_loop_test(c, test_yolo, 0, sizeof yolos / sizeof yolos[0]);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

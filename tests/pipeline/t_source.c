/* Options of sources: what a job says of how a data set is read. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "pipeline/source.h"
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

/* A job on data set "d" with this source and these further parts of the stream. */
static int compile(const char *source, const char *rest, const char *pipeline)
{
    char job[1024];
    (void)snprintf(job, sizeof job,
                   "{\"data\": {\"train\": {\"dataset\": \"d\", \"source\": %s%s}}, "
                   "\"pipeline\": [%s]}",
                   source, rest, pipeline);
    return fixture_compile(&f, job);
}

static void add_pictures(void)
{
    fixture_add_shared(&f, "d", "a/1.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "d", "a/2.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "d", "b/1.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "d", "c/1.jpg", "hostile/jpeg/ok_gray.jpg");
}

static const struct wrong {
    const char *source;
    int code;
    const char *path, *text;
} wrongs[] = {
    {"7", ERR_INVALID, "data.train.source", "takes a name or one 'Name: {options}'"},
    {"{\"images\": 3}", ERR_INVALID, "data.train.source.images", "takes a map of options"},
    {"\"image\"", ERR_UNKNOWN, "data.train.source", "did you mean 'images'?"},
    {"\"zebra\"", ERR_UNKNOWN, "data.train.source", "there are: idx"},
    {"{\"images\": {\"label_mod\": \"int\"}}", ERR_UNKNOWN, "data.train.source.images.label_mod",
     "did you mean 'label_mode'?"},
    {"{\"images\": {\"label_mode\": \"ints\"}}", ERR_INVALID, "data.train.source.images.label_mode",
     "did you mean 'int'?"},
    {"{\"images\": {\"label_mode\": \"binary\"}}", ERR_INVALID,
     "data.train.source.images.label_mode", "takes two classes, data set 'd' has 3"},
    {"{\"images\": {\"color_mode\": \"grey\"}}", ERR_INVALID, "data.train.source.images.color_mode",
     "is not one of auto, grayscale, rgb, rgba"},
    {"{\"images\": {\"class_names\": [\"a\", \"bb\"]}}", ERR_INVALID,
     "data.train.source.images.class_names", "has no folder 'bb'"},
    {"{\"images\": {\"class_names\": [\"a\", \"a\"]}}", ERR_INVALID,
     "data.train.source.images.class_names", "stands there twice"},
    {"{\"images\": {\"labels\": [0, 1, 2]}}", ERR_INVALID, "data.train.source.images.labels",
     "has 3 numbers for 4 pictures"},
    {"{\"images\": {\"labels\": [0, 1, -1, 2]}}", ERR_INVALID, "data.train.source.images.labels",
     "item 2 is -1"},
    {"{\"images\": {\"labels\": 3}}", ERR_INVALID, "data.train.source.images.labels",
     "takes inferred, a list, or the path of a CSV or JSONL file, not 3"},
    {"{\"images\": {\"labels\": \"folders\"}}", ERR_NOT_FOUND, "data.train.source.images.labels",
     "has no file 'folders'"},
    {"{\"images\": {\"labels\": [0, 1, 1, 2], \"class_names\": [\"x\", \"y\"]}}", ERR_INVALID,
     "data.train.source.images.labels", "holds class 2, class_names has 2"},
    {"{\"images\": {\"subset\": \"training\"}}", ERR_MISSING,
     "data.train.source.images.validation_split", "which is not given"},
    {"{\"images\": {\"validation_split\": 0.2}}", ERR_MISSING, "data.train.source.images.subset",
     "training or validation"},
    {"{\"images\": {\"validation_split\": 1}}", ERR_RANGE,
     "data.train.source.images.validation_split", "is outside"},
    {"{\"images\": {\"image_size\": [8]}}", ERR_INVALID, "data.train.source.images.image_size",
     "takes 2"},
    {"{\"images\": {\"crop_to_aspect_ratio\": true}}", ERR_MISSING,
     "data.train.source.images.image_size", "crop_to_aspect_ratio needs the size"},
    {"{\"images\": {\"crop_to_aspect_ratio\": true, \"pad_to_aspect_ratio\": true, \"image_size\": "
     "[8, 8]}}",
     ERR_INVALID, "data.train.source.images.pad_to_aspect_ratio", "one of them"},
    {"{\"idx\": {\"label_mode\": \"int\"}}", ERR_UNKNOWN, "data.train.source.idx.label_mode",
     "there are: none"},
};

START_TEST(test_wrong_options)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct wrong *w = &wrongs[_i];
    add_pictures();
    ck_assert_msg(compile(w->source, "", "") == w->code, "%s: %d %s: %s", w->source, f.err.code,
                  f.err.path, f.err.text);
    ck_assert_str_eq(f.err.path, w->path);
    ck_assert_msg(strstr(f.err.text, w->text) != NULL, "%s: %s", w->source, f.err.text);
}
END_TEST

/* Labels of the four pictures, as floats; -1: there is no field y. */
static const struct labels {
    const char *options;
    int width;
    float y[12];
    const char *last_class;
} labels[] = {
    {"{}", 0, {0, 0, 1, 2}, "c"},
    {"{\"class_names\": [\"c\", \"b\", \"a\"]}", 0, {2, 2, 1, 0}, "a"},
    {"{\"class_names\": [\"b\", \"c\"]}", 0, {0, 1}, "c"},
    {"{\"labels\": [3, 1, 0, 1]}", 0, {3, 1, 0, 1}, "3"},
    {"{\"labels\": [1, 1, 0, 1], \"class_names\": [\"no\", \"yes\"]}", 0, {1, 1, 0, 1}, "yes"},
    {"{\"label_mode\": \"categorical\"}", 3, {1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}, "c"},
    {"{\"label_mode\": \"binary\", \"labels\": [1, 0, 0, 1]}", 1, {1, 0, 0, 1}, "1"},
    {"{\"label_mode\": \"none\"}", -1, {0}, NULL},
};

START_TEST(test_labels)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct labels *l = &labels[_i];
    unsigned char *slab;
    char source[256];
    (void)snprintf(source, sizeof source, "{\"images\": %s}", l->options);
    add_pictures();
    ck_assert_msg(compile(source, "", "") == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 3, &slab, NULL), 0);
    struct doc *plan = doc_new(&f.arena);
    pipeline_plan(f.pipeline, plan, &f.arena);
    const struct doc *classes = doc_get(plan, "classes");
    ck_assert_int_eq(f.layout[0].n_fields, l->width < 0 ? 3 : 4);
    if (l->width < 0) {
        ck_assert_uint_eq(classes->n, 0);
        return;
    }
    ck_assert_str_eq(classes->items[classes->n - 1].str, l->last_class);
    const struct slab_field *y = fixture_field(&f, PIPELINE_TRAIN, "y");
    const int64_t rows = pipeline_rows(f.pipeline, PIPELINE_TRAIN, 0);
    ck_assert_int_eq(y->dtype, l->width == 0 ? DTYPE_I64 : DTYPE_F32);
    for (int64_t i = 0; i < rows * (l->width > 0 ? l->width : 1); i++) {
        const void *at = slab + y->offset;
        const float v = l->width == 0 ? (float)((const int64_t *)at)[i] : ((const float *)at)[i];
        ck_assert_msg(v == l->y[i], "%s: %lld: %g", l->options, (long long)i, (double)v);
    }
}
END_TEST

/* A table of the data set says which files there are and of which class. */
static const struct listed {
    const char *path, *text, *options;
    int code;
    int n;
    int64_t y[4];
    const char *classes, *wrong;
} listeds[] = {
    {"list.csv",
     "file,label\na/2.jpg,dog\nc/1.jpg,cat\na/1.jpg,dog\n",
     "",
     0,
     3,
     {1, 0, 1},
     "cat dog",
     NULL},
    {"list.csv",
     "what,of\na/2.jpg,3\nc/1.jpg,0\n",
     ", \"file_column\": \"what\", \"label_column\": \"of\"",
     0,
     2,
     {3, 0},
     "0 1 2 3",
     NULL},
    {"c/list.jsonl",
     "{\"path\": \"1.jpg\", \"class\": \"x\"}\n{\"path\": \"b/1.jpg\", \"class\": "
     "\"w\"}\n",
     ", \"class_names\": [\"x\", \"w\"]",
     0,
     2,
     {0, 1},
     "x w",
     NULL},
    {"list.csv", "file,label\nz.jpg,1\n", "", ERR_MISSING, 0, {0}, NULL, "names 'z.jpg', which"},
    {"list.csv", "file,kind\na/1.jpg,1\n", "", ERR_SCHEMA, 0, {0}, NULL, "no column of labels"},
    {"list.csv", "file,label\na/1.jpg,-1\n", "", ERR_VALUE, 0, {0}, NULL, "has label -1"},
    {"list.csv",
     "file,label\na/1.jpg,u\n",
     ", \"class_names\": [\"v\"]",
     ERR_VALUE,
     0,
     {0},
     NULL,
     "is of class 'u', which is not in class_names"},
};

START_TEST(test_listed)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct listed *l = &listeds[_i];
    struct buf classes = {0};
    char source[256];
    unsigned char *slab;
    add_pictures();
    fixture_add(&f, "d", l->path, l->text, strlen(l->text));
    (void)snprintf(source, sizeof source, "{\"images\": {\"labels\": \"%s\"%s}}", l->path,
                   l->options);
    ck_assert_msg(compile(source, "", "") == l->code, "%s: %s", f.err.path, f.err.text);
    if (l->code != 0) {
        ck_assert_msg(strstr(f.err.text, l->wrong) != NULL, "%s", f.err.text);
        return;
    }
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 3, &slab, NULL), 0);
    ck_assert_int_eq(pipeline_rows(f.pipeline, PIPELINE_TRAIN, 0), l->n);
    ck_assert(memcmp(slab + fixture_field(&f, PIPELINE_TRAIN, "y")->offset, l->y,
                     (size_t)l->n * sizeof *l->y) == 0);
    struct doc *plan = doc_new(&f.arena);
    pipeline_plan(f.pipeline, plan, &f.arena);
    const struct doc *names = doc_get(plan, "classes");
    for (size_t i = 0; i < names->n; i++) {
        buf_printf(&classes, "%s%s", i > 0 ? " " : "", names->items[i].str);
    }
    ck_assert_str_eq(classes.data, l->classes);
    buf_fini(&classes);
}
END_TEST

/* What the source makes of a size is what Resizing makes of float32. */
static const struct size {
    const char *source, *op;
} sizes[] = {
    {"", ""},
    {", \"interpolation\": \"bicubic\"", ", \"interpolation\": \"bicubic\""},
    {", \"crop_to_aspect_ratio\": true", ", \"crop_to_aspect_ratio\": true"},
    {", \"pad_to_aspect_ratio\": true, \"fill_value\": 7",
     ", \"pad_to_aspect_ratio\": true, \"fill_value\": 7"},
};

START_TEST(test_sizes)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    char source[256], op[256];
    unsigned char *a, *b;
    fixture_add_shared(&f, "d", "a/1.jpg", "hostile/jpeg/ok_gray.jpg");
    fixture_add_shared(&f, "d", "a/2.jpg", "hostile/jpeg/ok_progressive_gray.jpg");
    (void)snprintf(source, sizeof source,
                   "{\"images\": {\"color_mode\": \"rgb\", \"image_size\": [12, 20]%s}}",
                   sizes[_i].source);
    (void)snprintf(op, sizeof op,
                   "{\"map\": {\"exact\": true, \"ops\": [{\"Rescaling\": {\"scale\": 1}}, "
                   "{\"Resizing\": {\"height\": 12, \"width\": 20%s}}]}}",
                   sizes[_i].op);
    ck_assert_msg(compile(source, "", "") == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 3, &a, NULL), 0);
    ck_assert_int_eq(fixture_field(&f, PIPELINE_TRAIN, "x")->dtype, DTYPE_F32);
    ck_assert_msg(compile("{\"images\": {\"color_mode\": \"rgb\"}}", "", op) == 0, "%s: %s",
                  f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 3, &b, NULL), 0);
    ck_assert(memcmp(a, b, 2 * 12 * 20 * 3 * sizeof(float)) == 0);
}
END_TEST

/* A picture to predict gets the source's size and colour. */
START_TEST(test_predict)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    struct buf file = {0};
    char path[TEST_PATH];
    float row[6 * 5 * 4], same[6 * 5 * 4];
    int64_t label;
    add_pictures();
    ck_assert_int_eq(
        compile("{\"images\": {\"color_mode\": \"rgba\", \"image_size\": [6, 5]}}", "", ""), 0);
    test_path(path, "%s/hostile/jpeg/ok_gray.jpg", test_shared());
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &file, NULL), 0);
    ck_assert_int_eq(pipeline_predict_file(f.pipeline, file.data, file.size, row, &f.err), 0);
    ck_assert_int_eq(pipeline_predict_sample(f.pipeline, PIPELINE_TRAIN, 1, same, &label, &f.err),
                     0);
    ck_assert(memcmp(row, same, sizeof row) == 0);
    ck_assert(row[3] == 255 && row[0] == row[1]);
    buf_fini(&file);
}
END_TEST

/* Masks beside pictures: a palette's numbers, not its colours; resized without new ones. */
static const struct masked {
    const char *options, *field;
    int side;
} maskeds[] = {
    {"", "mask", 128},
    {", \"image_size\": [32, 32], \"mask_field\": \"y\"", "y", 32},
};

static void add_masked(bool has_last)
{
    fixture_add_shared(&f, "d", "t/images/0000.jpg", "data/stamps_detect/train/images/0000.jpg");
    fixture_add_shared(&f, "d", "t/images/0001.jpg", "data/stamps_detect/train/images/0001.jpg");
    fixture_add_shared(&f, "d", "t/list.csv", "data/stamps_detect/train/boxes.csv");
    fixture_add_shared(&f, "d", "t/masks/0000.png", "data/stamps_detect/train/masks/0000.png");
    if (has_last) {
        fixture_add_shared(&f, "d", "t/masks/0001.png", "data/stamps_detect/train/masks/0001.png");
    }
}

START_TEST(test_masks)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    const struct masked *m = &maskeds[_i];
    char source[160];
    unsigned char *slab;
    bool is_any = false;
    add_masked(true);
    (void)snprintf(source, sizeof source, "{\"images\": {\"masks\": \"masks\"%s}}", m->options);
    ck_assert_msg(compile(source, ", \"split\": \"t\"", "") == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 3, &slab, NULL), 0);
    const struct slab_field *mask = fixture_field(&f, PIPELINE_TRAIN, m->field);
    ck_assert_str_eq(mask->kind, "mask");
    ck_assert_int_eq(mask->dtype, DTYPE_U8);
    ck_assert_uint_eq(mask->row_bytes, (size_t)(m->side * m->side));
    for (int i = 0; i < 2 * m->side * m->side; i++) {
        ck_assert_uint_le(slab[mask->offset + (size_t)i], 4);
        is_any = is_any || slab[mask->offset + (size_t)i] > 0;
    }
    ck_assert(is_any);
}
END_TEST

START_TEST(test_no_mask)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    add_masked(false);
    ck_assert_int_eq(compile("{\"images\": {\"masks\": \"masks\"}}", "", ""), ERR_MISSING);
    ck_assert_str_eq(f.err.path, "data.train.source.images.masks");
    ck_assert_msg(strstr(f.err.text, "'t/images/0001.jpg' has no mask") != NULL, "%s", f.err.text);
}
END_TEST

enum { CLASSES = 4, FILES = 400 };

/* Which paths of data set "d" stand in the subset. */
static void read_subset(const char *subset, bool in[CLASSES * FILES], const char *how)
{
    char text[160];
    struct source source;
    struct doc *options = NULL;
    const struct source_store store = {.blobs_fd = f.store.blobs_fd,
                                       .dataset = "d",
                                       .files = doc_get(f.manifests[0].files, "files")};
    (void)snprintf(text, sizeof text, "{\"validation_split\": 0.25, \"subset\": \"%s\"%s}", subset,
                   how);
    ck_assert_int_eq(doc_read_json(text, strlen(text), NULL, &f.arena, &options, &f.err), 0);
    const struct source_want want = {.kind = "images", .options = options};
    ck_assert_int_eq(source_open(&source, &want, &store, &f.arena, &f.err), 0);
    memset(in, 0, CLASSES * FILES * sizeof *in);
    for (int64_t i = 0; i < source.samples; i++) {
        int class, file;
        ck_assert_int_eq(sscanf(source.desc->path(&source, i), "c%d/%d.jpg", &class, &file), 2);
        in[class * FILES + file] = true;
    }
    source_close(&source);
}

/* Every `step`-th file of each class. */
static void add_many(int step)
{
    char file_path[TEST_PATH];
    struct buf data = {0};
    test_path(file_path, "%s/hostile/jpeg/ok_gray.jpg", test_shared());
    ck_assert_int_eq(file_read(AT_FDCWD, file_path, 1 << 20, &data, NULL), 0);
    f.store.n_manifests = 0;
    for (int class = 0; class < CLASSES; class ++) {
        for (int file = 0; file < FILES; file += step) {
            char path[64];
            (void)snprintf(path, sizeof path, "c%d/%03d.jpg", class, file);
            fixture_add(&f, "d", path, data.data, data.size);
        }
    }
    buf_fini(&data);
}

/* Each file is in one of the two, about a quarter of each class (100, give or take 9 of a
 * fair draw) in validation, and a file stays where it
 * is when others are added. */
START_TEST(test_subsets)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    static bool before[CLASSES * FILES], training[CLASSES * FILES], validation[CLASSES * FILES];
    add_many(3);
    read_subset("validation", before, "");
    add_many(1);
    read_subset("training", training, "");
    read_subset("validation", validation, "");
    for (int class = 0; class < CLASSES; class ++) {
        int n = 0;
        for (int file = 0; file < FILES; file++) {
            const int i = class * FILES + file;
            ck_assert(training[i] != validation[i]);
            ck_assert(file % 3 != 0 || before[i] == validation[i]);
            n += validation[i];
        }
        ck_assert_msg(n > FILES * 17 / 100 && n < FILES * 33 / 100, "%d of class %d", n, class);
    }
}
END_TEST

/* stratified: the nearest whole number to a quarter of each class, whatever the classes hold. The
 * control: without it the numbers are those of a draw, and a file added to what is exact moves
 * others. */
START_TEST(test_stratified)
{
    TEST_NEED_SHARED(shared);
    (void)shared;
    static const int steps[] = {5, 7, 50, 90, 300};
    static bool before[CLASSES * FILES], training[CLASSES * FILES], validation[CLASSES * FILES];
    int n_moved = 0, n_drawn_otherwise = 0;
    for (size_t s = sizeof steps / sizeof steps[0]; s-- > 0;) {
        static bool drawn[CLASSES * FILES];
        add_many(steps[s]);
        memcpy(before, training, sizeof before);
        read_subset("training", training, ", \"stratified\": true");
        read_subset("validation", validation, ", \"stratified\": true");
        read_subset("validation", drawn, "");
        for (int class = 0; class < CLASSES; class ++) {
            int n = 0, all = 0, by_draw = 0;
            for (int file = 0; file < FILES; file++) {
                const int i = class * FILES + file;
                ck_assert_int_eq(training[i] + validation[i], file % steps[s] == 0);
                n += validation[i];
                all += file % steps[s] == 0;
                by_draw += drawn[i];
                n_moved += before[i] && validation[i];
            }
            ck_assert_int_eq(n, (all + 2) / 4);
            n_drawn_otherwise += by_draw != n;
        }
    }
    ck_assert_int_gt(n_drawn_otherwise, 0);
    ck_assert_int_gt(n_moved, 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("source");
    TCase *c = tcase_create("source");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_wrong_options, 0, sizeof wrongs / sizeof wrongs[0]);
    tcase_add_loop_test(c, test_labels, 0, sizeof labels / sizeof labels[0]);
    tcase_add_loop_test(c, test_listed, 0, sizeof listeds / sizeof listeds[0]);
    tcase_add_loop_test(c, test_sizes, 0, sizeof sizes / sizeof sizes[0]);
    tcase_add_test(c, test_predict);
    tcase_add_loop_test(c, test_masks, 0, sizeof maskeds / sizeof maskeds[0]);
    tcase_add_test(c, test_no_mask);
    tcase_add_test(c, test_subsets);
    tcase_add_test(c, test_stratified);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

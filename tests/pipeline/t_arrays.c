#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include <fcntl.h>
#include <hdf5.h>

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

static void put_npy(struct buf *out, const char *type, const char *shape, const void *data,
                    size_t size)
{
    char header[128];
    const int n = snprintf(header, sizeof header,
                           "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", type, shape);
    const unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)n, 0};
    buf_put(out, head, sizeof head);
    buf_put(out, header, (size_t)n);
    buf_put(out, data, size);
}

static void add_npy(const char *path, const char *type, const char *shape, const void *data,
                    size_t size)
{
    struct buf file = {0};
    put_npy(&file, type, shape, data, size);
    fixture_add(&f, "d", path, file.data, file.size);
    buf_fini(&file);
}

static void put_number(struct buf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        const unsigned char byte = i < 8 ? (unsigned char)(value >> (8 * i)) : 0;
        buf_put(out, &byte, 1);
    }
}

/* What a local header and an entry of the directory share, from the version on. */
static void put_member(struct buf *out, const char *name, const struct buf *data)
{
    put_number(out, 20, 2);
    put_number(out, 0, 8); /* flags, stored, time, date */
    put_number(out, crc32(0, (const unsigned char *)data->data, (unsigned)data->size), 4);
    put_number(out, data->size, 4);
    put_number(out, data->size, 4);
    put_number(out, strlen(name), 2);
    put_number(out, 0, 2);
}

/* A zip archive of stored members. */
static void add_npz(const char *path, const char *const *names, const struct buf *members, int n)
{
    struct buf file = {0}, directory = {0};
    for (int i = 0; i < n; i++) {
        buf_put(&directory, "PK\1\2\24\0", 6);
        put_member(&directory, names[i], &members[i]);
        put_number(&directory, 0, 10); /* comment, disk, attributes */
        put_number(&directory, file.size, 4);
        buf_puts(&directory, names[i]);
        buf_put(&file, "PK\3\4", 4);
        put_member(&file, names[i], &members[i]);
        buf_puts(&file, names[i]);
        buf_put(&file, members[i].data, members[i].size);
    }
    const size_t at = file.size;
    buf_put(&file, directory.data, directory.size);
    buf_put(&file, "PK\5\6\0\0\0\0", 8);
    put_number(&file, (uint64_t)n, 2);
    put_number(&file, (uint64_t)n, 2);
    put_number(&file, directory.size, 4);
    put_number(&file, at, 4);
    put_number(&file, 0, 2);
    fixture_add(&f, "d", path, file.data, file.size);
    buf_fini(&file);
    buf_fini(&directory);
}

static int compile(const char *stream)
{
    char job[1024];
    (void)snprintf(job, sizeof job, "{\"data\": {\"train\": {\"dataset\": \"d\"%s}}}", stream);
    return fixture_compile(&f, job);
}

static const float numbers[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const unsigned char classes[4] = {2, 0, 1, 2}, pixels[24] = {1, 2, 3, 4, 5, 6};

static void add_pair(void)
{
    add_npy("test/x.npy", "<f4", "(2, 3)", numbers, 24);
    add_npy("test/y.npy", "|u1", "(2,)", classes, 2);
    add_npy("train/x.npy", "<f4", "(4, 3)", numbers, 48);
    add_npy("train/y.npy", "|u1", "(4,)", classes, 4);
}

#define TRAIN        ", \"split\": \"train\""
#define FIELDS(text) ", \"source\": {\"arrays\": {\"fields\": " text "}}" TRAIN

START_TEST(test_pair)
{
    unsigned char *slab;
    add_pair();
    ck_assert_msg(compile(TRAIN) == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 3, &slab, NULL), 0);
    const struct slab_field *x = fixture_field(&f, PIPELINE_TRAIN, "x"),
                            *y = fixture_field(&f, PIPELINE_TRAIN, "y");
    const int64_t labels[] = {2, 0, 1, 2};
    ck_assert_str_eq(x->kind, "numeric");
    ck_assert(memcmp(slab + x->offset, numbers, sizeof numbers) == 0);
    ck_assert_str_eq(y->kind, "label");
    ck_assert(memcmp(slab + y->offset, labels, sizeof labels) == 0);
    struct doc *plan = doc_new(&f.arena);
    pipeline_plan(f.pipeline, plan, &f.arena);
    ck_assert_int_eq(doc_int(plan, "n_classes", 0), 3);
}
END_TEST

/* mnist.npz: the split stands in the arrays' names. */
START_TEST(test_npz)
{
    static const char *const names[] = {"x_test.npy", "x_train.npy", "y_train.npy", "y_test.npy"};
    struct buf members[4] = {{0}};
    unsigned char *slab;
    put_npy(&members[0], "|u1", "(1, 2, 3)", pixels + 6, 6);
    put_npy(&members[1], "|u1", "(4, 2, 3)", pixels, 24);
    put_npy(&members[2], "<i8", "(4, 1)", (const int64_t[]){3, 2, 1, 0}, 32);
    put_npy(&members[3], "<i8", "(1, 1)", (const int64_t[]){9}, 8);
    add_npz("mnist.npz", names, members, 4);
    ck_assert_msg(
        compile(FIELDS("{\"x\": {\"from\": \"x\", \"kind\": \"image\"}, \"y\": {\"from\": \"y\", "
                       "\"shape\": []}}")) == 0,
        "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &slab, NULL), 0);
    const struct slab_field *x = fixture_field(&f, PIPELINE_TRAIN, "x");
    const int64_t labels[] = {3, 2, 1, 0};
    ck_assert_str_eq(x->kind, "image");
    ck_assert_int_eq(x->shape.rank, 3);
    ck_assert(memcmp(slab + x->offset, pixels, 24) == 0);
    ck_assert(memcmp(slab + fixture_field(&f, PIPELINE_TRAIN, "y")->offset, labels, 32) == 0);
    for (int i = 0; i < 4; i++) {
        buf_fini(&members[i]);
    }
}
END_TEST

static void write_hdf5(hid_t file, const char *name, hid_t type, int rank, const hsize_t *sides,
                       const void *data)
{
    const hid_t space = H5Screate_simple(rank, sides, NULL),
                set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), 0);
    (void)H5Dclose(set);
    (void)H5Sclose(space);
}

static void add_hdf5(void)
{
    char path[TEST_PATH];
    struct buf data = {0};
    test_path(path, "%s/made.h5", f.dir);
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    (void)H5Gclose(H5Gcreate2(file, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    write_hdf5(file, "train/x", H5T_NATIVE_FLOAT, 2, (const hsize_t[]){4, 3}, numbers);
    write_hdf5(file, "train/y", H5T_NATIVE_UCHAR, 1, (const hsize_t[]){4}, classes);
    write_hdf5(file, "pixels_train", H5T_NATIVE_UCHAR, 3, (const hsize_t[]){4, 2, 3}, pixels);
    (void)H5Fclose(file);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 24, &data, &f.err), 0);
    fixture_add(&f, "d", "d.h5", data.data, data.size);
    buf_fini(&data);
}

START_TEST(test_hdf5)
{
    unsigned char *slab;
    const int64_t labels[] = {2, 0, 1, 2};
    add_hdf5();
    ck_assert_msg(compile(TRAIN) == 0, "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 3, &slab, NULL), 0);
    ck_assert(memcmp(slab + fixture_field(&f, PIPELINE_TRAIN, "x")->offset, numbers,
                     sizeof numbers) == 0);
    ck_assert(
        memcmp(slab + fixture_field(&f, PIPELINE_TRAIN, "y")->offset, labels, sizeof labels) == 0);
    ck_assert_msg(compile(FIELDS("{\"x\": {\"from\": \"pixels\", \"kind\": \"image\"}}")) == 0,
                  "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 3, &slab, NULL), 0);
    ck_assert(memcmp(slab, pixels, sizeof pixels) == 0);
    ck_assert_int_eq(compile(FIELDS("{\"x\": \"z\"}")), ERR_MISSING);
    ck_assert_int_eq(compile(""), ERR_MISSING);
    ck_assert_str_eq(f.err.path, "data.train.source.arrays.fields");
}
END_TEST

START_TEST(test_float_of_pixels)
{
    unsigned char *slab;
    add_npy("x.npy", "|u1", "(4, 6)", pixels, 24);
    ck_assert_msg(compile(", \"source\": {\"arrays\": {\"fields\": {\"a\": {\"from\": \"x\", "
                          "\"dtype\": \"float32\", \"shape\": [2, 3]}}}}") == 0,
                  "%s: %s", f.err.path, f.err.text);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &slab, NULL), 0);
    const float *a =
        (const float *)(const void *)(slab + fixture_field(&f, PIPELINE_TRAIN, "a")->offset);
    for (int i = 0; i < 24; i++) {
        ck_assert(a[i] == pixels[i]);
    }
}
END_TEST

/* A number that is not finite is that sample's fault, with its file and byte. */
START_TEST(test_bad_sample)
{
    static const float bad[4] = {1, 2, __builtin_nanf(""), 4};
    unsigned char *slab;
    struct opt_groups rows = {0};
    add_npy("x.npy", "<f4", "(4, 1)", bad, sizeof bad);
    ck_assert_int_eq(fixture_compile(&f, "{\"data\": {\"train\": {\"dataset\": \"d\"}, "
                                         "\"on_error\": \"skip\"}}"),
                     0);
    ck_assert_int_eq(fixture_batch(&f, PIPELINE_TRAIN, 0, 0, 4, &slab, &rows), 0);
    ck_assert_uint_eq(rows.n, 1);
    const struct msg_chunk_bad *row = rows.v;
    ck_assert_int_eq(row->row, 2);
    ck_assert_str_eq(row->path, "x.npy");
    ck_assert_msg(strstr(row->reason, "finite") != NULL, "%s", row->reason);
}
END_TEST

static const struct wrong {
    const char *stream, *path, *text;
} wrongs[] = {
    {"", "data.train", "both hold an array 'x'; name a split"},
    {", \"split\": \"val\"", "data.train.split", "no array of split 'val' (val/x.npy"},
    {FIELDS("{\"x\": \"z\"}"), "data.train.source.arrays.fields.x",
     "there is no array 'z'; there are: x, y"},
    {FIELDS("[\"x\"]"), "data.train.source.arrays.fields", "takes a map of fields"},
    {FIELDS("{\"x\": [\"x\", \"y\"]}"), "data.train.source.arrays.fields.x.from",
     "takes one array, not 2"},
    {FIELDS("{\"x\": {\"from\": \"x\", \"shape\": [2]}}"),
     "data.train.source.arrays.fields.x.shape", "(2,) has other than as many numbers as (3,)"},
    {FIELDS("{\"x\": {\"from\": \"x\", \"dtype\": \"int64\"}}"),
     "data.train.source.arrays.fields.x.dtype", "holds float32"},
    {FIELDS("{\"x\": {\"from\": \"x\", \"dtype\": \"text\"}}"),
     "data.train.source.arrays.fields.x.dtype", "'text' is no element type"},
    {FIELDS("{\"x\": {\"from\": \"x\", \"knd\": \"image\"}}"),
     "data.train.source.arrays.fields.x.knd", "did you mean 'kind'?"},
    {FIELDS("{\"x\": {\"kind\": \"image\"}}"), "data.train.source.arrays.fields.x.from",
     "is required"},
    {FIELDS("{\"__ok\": \"x\"}"), "data.train.source.arrays.fields.__ok", "begins with no '_'"},
};

START_TEST(test_wrong)
{
    const struct wrong *w = &wrongs[_i];
    add_pair();
    ck_assert_int_lt(compile(w->stream), 0);
    ck_assert_msg(strcmp(f.err.path, w->path) == 0 && strstr(f.err.text, w->text) != NULL,
                  "%s: %s: %s", w->stream, f.err.path, f.err.text);
}
END_TEST

START_TEST(test_wrong_files)
{
    add_npy("x.npy", "<f4", "(4, 3)", numbers, 48);
    add_npy("y.npy", "|u1", "(3,)", classes, 3);
    ck_assert_int_eq(compile(""), ERR_SCHEMA);
    ck_assert_msg(strstr(f.err.text, "'x' of data set 'd' has 4 rows, 'y' has 3") != NULL, "%s",
                  f.err.text);
    f.store.n_manifests = 0;
    add_npy("x.npy", "<f4", "(4, 3)", numbers, 40);
    ck_assert_int_lt(compile(""), 0);
    ck_assert_msg(strstr(f.err.text, "x.npy") != NULL, "%s", f.err.text);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("arrays");
    TCase *c = tcase_create("arrays");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_pair);
    tcase_add_test(c, test_npz);
    tcase_add_test(c, test_hdf5);
    tcase_add_test(c, test_float_of_pixels);
    tcase_add_test(c, test_bad_sample);
    tcase_add_loop_test(c, test_wrong, 0, sizeof wrongs / sizeof wrongs[0]);
    tcase_add_test(c, test_wrong_files);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

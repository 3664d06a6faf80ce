/* Arrays: each type and order against numbers written by hand, zips of them. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/format/npz.h"
#include "tests/test.h"

static struct err err;

/* A .npy file of version 1. */
static void make(struct buf *out, const char *descr, const char *order, const char *shape,
                 const void *data, size_t size)
{
    char header[128];
    const int n =
        snprintf(header, sizeof header, "{'descr': %s, 'fortran_order': %s, 'shape': %s, }\n",
                 descr, order, shape);
    buf_put(out, "\x93NUMPY\1\0", 8);
    buf_put(out, (const unsigned char[]){(unsigned char)n, 0}, 2);
    buf_put(out, header, (size_t)n);
    buf_put(out, data, size);
}

#define BYTES(text) text, sizeof(text) - 1
static const struct {
    const char *descr, *order, *shape, *data;
    size_t size;
    int code; /* of opening or reading */
    enum dtype dtype;
    double want[6];
} arrays[] = {
    {"'|u1'", "False", "(2, 3)", BYTES("\1\2\3\4\5\6"), 0, DTYPE_U8, {1, 2, 3, 4, 5, 6}},
    {"'|u1'", "True", "(2, 3)", BYTES("\1\2\3\4\5\6"), 0, DTYPE_U8, {1, 3, 5, 2, 4, 6}},
    {"'|u1'", "True", "(1, 2, 3)", BYTES("\1\2\3\4\5\6"), 0, DTYPE_U8, {1, 3, 5, 2, 4, 6}},
    {"'>u2'", "False", "(2,)", BYTES("\1\2\xff\xff"), 0, DTYPE_U16, {258, 65535}},
    {"'<i2'", "False", "(2,)", BYTES("\1\2\xff\xff"), 0, DTYPE_I16, {513, -1}},
    {"'<u4'", "False", "(1,)", BYTES("\xff\xff\xff\xff"), 0, DTYPE_I64, {4294967295.0}},
    {"'>u8'", "False", "(1,)", BYTES("\x7f\0\0\0\0\0\0\0"), 0, DTYPE_I64, {0x7fp56}},
    {"'<u8'", "False", "(1,)", BYTES("\0\0\0\0\0\0\0\x80"), ERR_VALUE, DTYPE_I64, {0}},
    {"'<f2'",
     "False",
     "(4,)",
     BYTES("\0\x3c\1\0\0\xc0\xff\x7b"),
     0,
     DTYPE_F32,
     {1, 0x1p-24, -2, 65504}},
    {"'<f2'", "False", "(1,)", BYTES("\0\x7c"), ERR_NOT_FINITE, DTYPE_F32, {0}},
    {"'>f4'", "False", "()", BYTES("\x3f\xc0\0\0"), 0, DTYPE_F32, {1.5}},
    {"'<f8'", "False", "(0, 3)", BYTES(""), 0, DTYPE_F64, {0}},
    {"'|b1'", "False", "(2,)", BYTES("\1\0"), 0, DTYPE_BOOL, {1, 0}},
    {"'<f8'", "False", "(1,)", BYTES("\0\0\0\0\0\0\xf0"), ERR_TRUNCATED, 0, {0}},
    {"'|O'", "False", "(1,)", BYTES("12345678"), ERR_UNSAFE_TYPE, 0, {0}},
    {"[('a', '<i4')]", "False", "(1,)", BYTES("1234"), ERR_UNSUPPORTED, 0, {0}},
    {"[('a', '|O')]", "False", "(1,)", BYTES("12345678"), ERR_UNSAFE_TYPE, 0, {0}},
    {"'<c8'", "False", "(1,)", BYTES("12345678"), ERR_UNSUPPORTED, 0, {0}},
    {"'<f4'", "Yes", "(1,)", BYTES("1234"), ERR_CORRUPT, 0, {0}},
    {"'<f4'", "False", "(4611686018427387904, 4)", BYTES("1234"), ERR_CORRUPT, 0, {0}},
};

static double number(const struct npy *npy, const void *data, size_t i)
{
    switch ((int)npy->dtype) {
    case DTYPE_BOOL:
    case DTYPE_U8: return ((const uint8_t *)data)[i];
    case DTYPE_U16: return ((const uint16_t *)data)[i];
    case DTYPE_I16: return ((const int16_t *)data)[i];
    case DTYPE_I64: return (double)((const int64_t *)data)[i];
    case DTYPE_F32: return (double)((const float *)data)[i];
    default: return ((const double *)data)[i];
    }
}

START_TEST(test_arrays)
{
    struct buf file = {0};
    struct input in;
    struct npy npy;
    double storage[8];
    make(&file, arrays[_i].descr, arrays[_i].order, arrays[_i].shape, arrays[_i].data,
         arrays[_i].size);
    input_memory(&in, file.data, file.size, "x.npy");
    int r = npy_open(&npy, &in, &err);
    r = r < 0 ? r : npy_read(&npy, 0, npy.n_rows, false, storage, &err);
    ck_assert_msg(r == arrays[_i].code, "%d %s", r, err.text);
    if (r == 0) {
        ck_assert_int_eq(npy.dtype, arrays[_i].dtype);
        for (int64_t i = 0; i < npy.n_rows * npy.row; i++) {
            ck_assert(number(&npy, storage, (size_t)i) == arrays[_i].want[i]);
        }
        for (int64_t i = 0; i < npy.n_rows; i++) { /* a row at a time */
            ck_assert_int_eq(npy_read(&npy, i, 1, false, storage, &err), 0);
            ck_assert(number(&npy, storage, 0) == arrays[_i].want[i * npy.row]);
        }
    }
    buf_fini(&file);
}
END_TEST

START_TEST(test_npz)
{
    static const char *const files[] = {"ok_stored.npz", "ok_deflate.npz"};
    TEST_NEED_SHARED(shared);
    char path[TEST_PATH];
    struct input in;
    struct npz npz = {.n = 0};
    int64_t rows = 0;
    unsigned char storage[64 * 8];
    test_path(path, "%s/hostile/npz/%s", shared, files[_i]);
    const int fd = open(path, O_RDONLY);
    ck_assert_int_eq(input_open(&in, fd, files[_i], &err), 0);
    ck_assert_msg(npz_open(&npz, &in, 1 << 20, &err) == 0, "%s", err.text);
    ck_assert_int_eq(npz_rows(&npz, &rows, &err), 0);
    ck_assert_int_eq(rows, 5);
    const struct npy *x = npz_find(&npz, "x");
    ck_assert(x != NULL && x->row == 18 && npz_find(&npz, "z") == NULL);
    ck_assert_int_eq(npy_read(x, 4, 1, false, storage, &err), 0);
    npz_close(&npz);
    ck_assert_int_eq(npz_open(&npz, &in, 10, &err), _i == 0 ? 0 : ERR_LIMIT);
    npz_close(&npz);
    (void)close(fd);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("npy");
    TCase *c = tcase_create("npy");
    tcase_add_loop_test(c, test_arrays, 0, sizeof arrays / sizeof arrays[0]);
    tcase_add_loop_test(c, test_npz, 0, 2);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

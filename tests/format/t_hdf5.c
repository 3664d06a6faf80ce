/* HDF5: each layout, filter and type that is read, and what is refused. */
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <hdf5.h>

#include "base/file.h"
#include "pipeline/format/hdf5.h"
#include "tests/test.h"

static struct err err;
static char folder[TEST_PATH], path[TEST_PATH];
static struct buf file;
static struct input in;

enum { ROWS = 20, COLUMNS = 6 };

static void setup(void)
{
    test_dir_make(folder);
    test_path(path, "%s/x.h5", folder);
}

static void teardown(void)
{
    test_dir_remove(folder);
    buf_fini(&file);
}

static hid_t create(void)
{
    const hid_t id = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(id, 0);
    return id;
}

static void load(hid_t id)
{
    ck_assert_int_ge(H5Fclose(id), 0);
    ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 24, &file, &err), 0);
    input_memory(&in, file.data, file.size, "x.h5");
}

/* Numbers 0, 1, 2, ... as the file's type has them. */
static void write_set(hid_t id, const char *name, hid_t type, hid_t list)
{
    const hsize_t sides[2] = {ROWS, COLUMNS};
    double numbers[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        numbers[i] = i;
    }
    const hid_t space = H5Screate_simple(2, sides, NULL),
                set = H5Dcreate2(id, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    ck_assert_int_ge(set, 0);
    ck_assert_int_ge(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers), 0);
    (void)H5Dclose(set);
    (void)H5Sclose(space);
}

/* Layout and filters. */
static hid_t make_list(int form)
{
    const hsize_t chunk[2] = {3, 4};
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (form >= 1) {
        (void)H5Pset_chunk(list, 2, chunk);
    }
    if (form == 2) {
        (void)H5Pset_shuffle(list);
        (void)H5Pset_deflate(list, 6);
        (void)H5Pset_fletcher32(list);
    }
    if (form == 3) {
        (void)H5Pset_scaleoffset(list, H5Z_SO_INT, 0);
    }
    if (form == 4) {
        (void)H5Pset_layout(list, H5D_COMPACT);
    }
    return list;
}

static double number(enum dtype dtype, const void *data, size_t i)
{
    switch ((int)dtype) {
    case DTYPE_U8: return ((const uint8_t *)data)[i];
    case DTYPE_I8: return ((const int8_t *)data)[i];
    case DTYPE_U16: return ((const uint16_t *)data)[i];
    case DTYPE_I32: return ((const int32_t *)data)[i];
    case DTYPE_I64: return (double)((const int64_t *)data)[i];
    case DTYPE_F32: return (double)((const float *)data)[i];
    default: return ((const double *)data)[i];
    }
}

static const struct {
    int type; /* in the switch below */
    enum dtype dtype;
} types[] = {{0, DTYPE_U8},  {1, DTYPE_I8},  {2, DTYPE_U16}, {3, DTYPE_I32},
             {4, DTYPE_I64}, {5, DTYPE_I64}, {6, DTYPE_F32}, {7, DTYPE_F64}};

static hid_t type_of(int i)
{
    const hid_t ids[] = {H5T_STD_U8LE,  H5T_STD_I8LE,  H5T_STD_U16BE,  H5T_STD_I32LE,
                         H5T_STD_U32LE, H5T_STD_U64BE, H5T_IEEE_F32BE, H5T_IEEE_F64LE};
    return ids[i];
}

START_TEST(test_types)
{
    double back[ROWS * COLUMNS];
    for (int form = 0; form <= 2; form++) {
        struct hdf5 *hdf5 = NULL;
        struct hdf5_info info;
        const hid_t id = create(), list = make_list(form);
        write_set(id, "x", type_of(types[_i].type), list);
        (void)H5Pclose(list);
        buf_clear(&file);
        load(id);
        ck_assert_msg(hdf5_open(&in, "x", &hdf5, &info, &err) == 0, "%s", err.text);
        ck_assert_int_eq(info.dtype, types[_i].dtype);
        ck_assert(info.n_rows == ROWS && info.row == COLUMNS && info.shape.rank == 2);
        for (int first = ROWS - 1; first >= 0; first -= 4) { /* at random, over chunks */
            const int n = first + 3 <= ROWS ? 3 : ROWS - first;
            ck_assert_msg(hdf5_read(hdf5, first, n, false, back, &err) == 0, "%s", err.text);
            for (int i = 0; i < n * COLUMNS; i++) {
                ck_assert(number(info.dtype, back, (size_t)i) == first * COLUMNS + i);
            }
        }
        hdf5_close(hdf5);
    }
}
END_TEST

static void expect(const char *name, int code, const char *what)
{
    struct hdf5 *hdf5 = NULL;
    struct hdf5_info info;
    const int r = hdf5_open(&in, name, &hdf5, &info, &err);
    ck_assert_msg(r == code && strstr(err.text, what) != NULL, "%s: %d %s", name, r, err.text);
    hdf5_close(hdf5);
}

START_TEST(test_refused)
{
    const hsize_t sides[2] = {ROWS, COLUMNS};
    const hid_t id = create(), scaled = make_list(3), outside = H5Pcreate(H5P_DATASET_CREATE),
                space = H5Screate_simple(2, sides, NULL), text = H5Tcopy(H5T_C_S1);
    write_set(id, "scaled", H5T_STD_I32LE, scaled);
    const hid_t group = H5Gcreate2(id, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    write_set(group, "deep", H5T_STD_I32LE, H5P_DEFAULT);
    (void)H5Pset_external(outside, "/etc/passwd", 0, ROWS * COLUMNS);
    (void)H5Dclose(
        H5Dcreate2(id, "outside", H5T_STD_U8LE, space, H5P_DEFAULT, outside, H5P_DEFAULT));
    (void)H5Dclose(H5Dcreate2(id, "text", text, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    (void)H5Lcreate_external("/etc/other.h5", "/x", id, "external", H5P_DEFAULT, H5P_DEFAULT);
    (void)H5Lcreate_soft("/scaled", id, "soft", H5P_DEFAULT, H5P_DEFAULT);
    (void)H5Gclose(group);
    (void)H5Pclose(scaled);
    (void)H5Pclose(outside);
    (void)H5Tclose(text);
    (void)H5Sclose(space);
    load(id);
    expect("scaled", ERR_UNSUPPORTED, "filter");
    expect("outside", ERR_UNSAFE_TYPE, "other files");
    expect("text", ERR_UNSUPPORTED, "plain numbers");
    expect("external", ERR_UNSAFE_TYPE, "link");
    expect("soft", ERR_UNSAFE_TYPE, "link");
    expect("absent", ERR_NOT_FOUND, "absent");
    expect("g", ERR_NOT_FOUND, "no dataset");
    expect("g/absent", ERR_NOT_FOUND, "g/absent");
    struct hdf5 *hdf5 = NULL;
    struct hdf5_info info;
    ck_assert_int_eq(hdf5_open(&in, "g/deep", &hdf5, &info, &err), 0);
    hdf5_close(hdf5);
    const size_t size = file.size;
    for (size_t n = 0; n < size; n += 1 + n / 2) { /* cut: refused, or opened and then not read */
        int32_t back[ROWS * COLUMNS];
        input_memory(&in, file.data, n, "cut");
        int r = hdf5_open(&in, "g/deep", &hdf5, &info, &err);
        r = r < 0 ? r : hdf5_read(hdf5, 0, ROWS, false, back, &err);
        ck_assert_int_lt(r, 0);
        hdf5_close(hdf5);
        hdf5 = NULL;
    }
    input_memory(&in, "GIF89a and more", 15, "gif");
    expect("x", ERR_BAD_MAGIC, "no HDF5");
}
END_TEST

START_TEST(test_numbers)
{
    const hsize_t one = 1;
    const uint64_t large = UINT64_MAX;
    const double nan_value = (double)NAN;
    double back = 0;
    const hid_t id = create(), space = H5Screate_simple(1, &one, NULL),
                a = H5Dcreate2(id, "a", H5T_STD_U64LE, space, H5P_DEFAULT, H5P_DEFAULT,
                               H5P_DEFAULT),
                b = H5Dcreate2(id, "b", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT,
                               H5P_DEFAULT);
    (void)H5Dwrite(a, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &large);
    (void)H5Dwrite(b, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &nan_value);
    (void)H5Dclose(a);
    (void)H5Dclose(b);
    (void)H5Sclose(space);
    load(id);
    struct hdf5 *hdf5 = NULL;
    struct hdf5_info info;
    ck_assert_int_eq(hdf5_open(&in, "a", &hdf5, &info, &err), 0);
    ck_assert_int_eq(hdf5_read(hdf5, 0, 1, true, &back, &err), ERR_VALUE);
    hdf5_close(hdf5);
    ck_assert_int_eq(hdf5_open(&in, "b", &hdf5, &info, &err), 0);
    ck_assert_int_eq(hdf5_read(hdf5, 0, 1, false, &back, &err), ERR_NOT_FINITE);
    ck_assert_int_eq(hdf5_read(hdf5, 0, 1, true, &back, &err), 0);
    hdf5_close(hdf5);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("hdf5");
    TCase *c = tcase_create("hdf5");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_types, 0, sizeof types / sizeof types[0]);
    tcase_add_test(c, test_refused);
    tcase_add_test(c, test_numbers);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

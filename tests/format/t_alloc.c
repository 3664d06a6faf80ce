/* Reading records takes no memory once the first pass grew the buffers: each reader, over a file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/format/csv.h"
#include "pipeline/format/example.h"
#include "pipeline/format/lines.h"
#include "pipeline/format/npy.h"
#include "pipeline/format/tfrecord.h"
#include "tests/test.h"

/* The linker leads our calls here (--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static long n_calls;

void *__wrap_malloc(size_t size)
{
    n_calls++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_calls++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    n_calls++;
    return __real_realloc(old, size);
}

static struct err err;
static struct input in;
static struct input_window window;
static struct csv *csv;
static struct lines lines;
static struct offsets records;
static struct npy npy;

static size_t open_csv(void)
{
    const struct csv_options options = {.has_header = true, .takes_missing = true};
    ck_assert_int_eq(csv_open(&in, &options, &csv, &err), 0);
    return csv_rows(csv);
}

static int read_csv(size_t i)
{
    const struct csv_value *values = NULL;
    return csv_row(csv, i, &values, &err);
}

static size_t open_lines(void)
{
    ck_assert_int_eq(lines_open(&lines, &in, false, &err), 0);
    return lines_n(&lines);
}

static int read_line(size_t i)
{
    const char *text = NULL;
    size_t n = 0;
    return lines_read(&lines, i, &text, &n, &err);
}

static size_t open_records(void)
{
    window.in = &in;
    ck_assert_int_eq(tfrecord_index(&records, &in, &err), 0);
    return records.n - 1;
}

static int read_record(size_t i)
{
    struct example_feature features[8];
    const unsigned char *data = NULL;
    size_t size = 0, n = 0;
    int r = tfrecord_read(&records, &window, i, &data, &size, &err);
    return r < 0 ? r : example_read(data, size, features, 8, &n, &err);
}

static size_t open_array(void)
{
    ck_assert_int_eq(npy_open(&npy, &in, &err), 0);
    return (size_t)npy.n_rows;
}

static int read_array(size_t i)
{
    float row[64];
    return npy_read(&npy, (int64_t)i, 1, true, row, &err);
}

static const struct {
    const char *path;
    size_t (*open)(void);
    int (*read)(size_t i);
} readers[] = {
    {"data/tabular/titanic.csv", open_csv, read_csv},
    {"data/tabular/titanic.csv", open_lines, read_line},
    {"hostile/tfrecord/ok_3.tfrecord", open_records, read_record},
    {"hostile/npy/ok_fortran.npy", open_array, read_array},
};

START_TEST(test_none)
{
    TEST_NEED_SHARED(shared);
    char path[TEST_PATH];
    test_path(path, "%s/%s", shared, readers[_i].path);
    const int fd = open(path, O_RDONLY);
    ck_assert_int_eq(input_open(&in, fd, "x", &err), 0);
    n_calls = 0;
    const size_t n = readers[_i].open();
    ck_assert_msg(n_calls > 0 || _i == 3, "the counter counts nothing");
    long before = 0;
    int r = 0;
    for (int pass = 0; pass < 2; pass++) {
        before = n_calls;
        for (size_t i = 0; i < n; i++) {
            r = r < 0 ? r : readers[_i].read(n - 1 - i); /* check itself takes memory */
        }
    }
    before = n_calls - before;
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(before, 0);
    csv_close(csv);
    lines_close(&lines);
    offsets_fini(&records);
    input_window_fini(&window);
    (void)close(fd);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("alloc");
    TCase *c = tcase_create("alloc");
    tcase_add_loop_test(c, test_none, 0, sizeof readers / sizeof readers[0]);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

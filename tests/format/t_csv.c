/* Tables: the real ones, quotes, types, what is missing, numbers to the last bit. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/format/csv.h"
#include "pipeline/format/number.h"
#include "tests/test.h"

static struct err err;

/* Real tables: rows, columns, and the types of them as letters. */
static const struct {
    const char *name;
    size_t rows;
    const char *types;
} tables[] = {
    {"iris", 150, "fffft"},        {"penguins", 344, NULL},         {"titanic", 1309, NULL},
    {"boston_housing", 506, NULL}, {"seattle_weather", 1461, NULL},
};

START_TEST(test_tables)
{
    TEST_NEED_SHARED(shared);
    const struct csv_options options = {.has_header = true, .takes_missing = true};
    struct csv *csv = NULL;
    struct input in;
    char path[TEST_PATH];
    size_t n = 0;
    test_path(path, "%s/data/tabular/%s.csv", shared, tables[_i].name);
    const int fd = open(path, O_RDONLY);
    ck_assert_int_eq(input_open(&in, fd, tables[_i].name, &err), 0);
    ck_assert_msg(csv_open(&in, &options, &csv, &err) == 0, "line %d: %s", err.line, err.text);
    ck_assert_uint_eq(csv_rows(csv), tables[_i].rows);
    const struct csv_column *columns = csv_columns(csv, &n);
    for (size_t c = 0; tables[_i].types != NULL && c < n; c++) {
        ck_assert_int_eq("?iFft"[columns[c].type] == tables[_i].types[c] ||
                             (columns[c].type == CSV_FLOAT && tables[_i].types[c] == 'f'),
                         1);
    }
    for (size_t i = csv_rows(csv); i > 0; i--) { /* backwards: at random */
        const struct csv_value *values = NULL;
        ck_assert_int_eq(csv_row(csv, i - 1, &values, &err), 0);
    }
    csv_close(csv);
    (void)close(fd);
}
END_TEST

#define A "a,b\n"
static const struct {
    const char *text;
    int code, line;
    const char *what; /* in the error, or the fields of the first row, a | between */
} cases[] = {
    {A "1,\"x, \"\"y\"\"\r\nz\"\r\n", 0, 0, "1|x, \"y\"\r\nz"},
    {A "1,\n", 0, 0, "1|"},
    {"\xef\xbb\xbf" A "1,2", 0, 0, "1|2"},
    {"\n\n" A "\n\"\",\"2\"\n", 0, 0, "|2"},
    {A "1,\"x\n", ERR_TRUNCATED, 2, "not closed"},
    {A "1,x\"y\n", ERR_CORRUPT, 2, "a quote inside"},
    {A "1,\"x\"y\n", ERR_CORRUPT, 2, "behind a closing quote"},
    {A "1,2\r3,4\n", ERR_CORRUPT, 2, "carriage return"},
    {A "1,2\n\"\n\n\",4,5\n", ERR_SCHEMA, 3, "3 fields, there are 2"},
    {"a,a\n1,2\n", ERR_SCHEMA, 1, "two columns are called 'a'"},
    {"a,\n1,2\n", ERR_SCHEMA, 1, "has no name"},
    {"", ERR_EMPTY, 1, "no row"},
    {A "1,\xff\n", ERR_ENCODING, 2, "ff"},
};

START_TEST(test_cases)
{
    const struct csv_options options = {.has_header = true, .takes_missing = true};
    struct csv *csv = NULL;
    struct input in;
    input_memory(&in, cases[_i].text, strlen(cases[_i].text), "t.csv");
    int r = csv_open(&in, &options, &csv, &err);
    ck_assert_msg(r == cases[_i].code, "%d: %s", r, err.text);
    if (r < 0) {
        ck_assert_ptr_nonnull(strstr(err.text, cases[_i].what));
        ck_assert_ptr_nonnull(strstr(err.text, "t.csv: "));
        ck_assert_int_eq(err.line, cases[_i].line);
        return;
    }
    const struct csv_value *values = NULL;
    char row[128];
    ck_assert_int_eq(csv_row(csv, 0, &values, &err), 0);
    (void)snprintf(row, sizeof row, "%.*s|%.*s", (int)values[0].n, values[0].text, (int)values[1].n,
                   values[1].text);
    ck_assert_str_eq(row, cases[_i].what);
    csv_close(csv);
}
END_TEST

START_TEST(test_types)
{
    static const char text[] = "i;f;t;m;w\n-9223372036854775808;1;x;;7\n5;.5;1;3;NA\n";
    static const char *const missing[] = {"NA", NULL};
    struct csv_options options = {
        .has_header = true, .takes_missing = true, .delimiter = ';', .missing = missing};
    static const enum csv_type want[] = {CSV_INT, CSV_FLOAT, CSV_TEXT, CSV_INT, CSV_INT};
    struct csv *csv = NULL;
    struct input in;
    size_t n = 0;
    const struct csv_value *v = NULL;
    input_memory(&in, text, sizeof text - 1, "t");
    ck_assert_int_eq(csv_open(&in, &options, &csv, &err), 0);
    const struct csv_column *columns = csv_columns(csv, &n);
    for (size_t c = 0; c < n; c++) {
        ck_assert_int_eq(columns[c].type, want[c]);
        ck_assert_int_eq(columns[c].has_missing, c >= 3);
    }
    ck_assert_int_eq(csv_row(csv, 0, &v, &err), 0);
    ck_assert(v[0].i == INT64_MIN && v[1].f == 1.0 && v[3].is_missing && v[4].i == 7);
    ck_assert_int_eq(csv_row(csv, 1, &v, &err), 0);
    ck_assert(v[0].i == 5 && v[1].f == 0.5 && v[3].i == 3 && v[4].is_missing);
    csv_close(csv);
    options.takes_missing = false;
    ck_assert_int_eq(csv_open(&in, &options, &csv, &err), ERR_VALUE);
    ck_assert_int_eq(err.line, 2);
    ck_assert_ptr_nonnull(strstr(err.text, "'m'"));
}
END_TEST

/* Columns may stand in another order than the data set's; their types go by name. */
START_TEST(test_given)
{
    const struct csv_column given[] = {{.name = "y", .type = CSV_FLOAT32},
                                       {.name = "x", .type = CSV_INT}};
    const struct csv_options options = {.has_header = true, .columns = given, .n_columns = 2};
    static const struct {
        const char *text;
        int code;
    } files[] = {{"x,y\n1,0.1\n", 0},          {"x,z\n1,2\n", ERR_SCHEMA},
                 {"x\n1\n", ERR_SCHEMA},       {"x,y\n1.0,0.1\n", ERR_VALUE},
                 {"x,y\n1,1e39\n", ERR_VALUE}, {"x,y\n1,nan\n", ERR_VALUE},
                 {"x,y\n,1\n", ERR_VALUE}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct csv *csv = NULL;
        struct input in;
        const struct csv_value *v = NULL;
        input_memory(&in, files[i].text, strlen(files[i].text), "t");
        ck_assert_int_eq(csv_open(&in, &options, &csv, &err), files[i].code);
        if (csv != NULL) {
            ck_assert_int_eq(csv_row(csv, 0, &v, &err), 0);
            ck_assert(v[0].i == 1 && v[1].f == (double)0.1F);
        }
        csv_close(csv);
    }
}
END_TEST

/* A row larger than the window, many rows behind it. */
START_TEST(test_long)
{
    struct buf text = {0};
    struct csv *csv = NULL;
    struct input in;
    const struct csv_options options = {.has_header = true};
    const struct csv_value *v = NULL;
    buf_puts(&text, A);
    for (int i = 0; i < 3000; i++) {
        buf_printf(&text, "%d,\"", i);
        for (int k = 0; k < i * 7 % 9000; k++) {
            buf_puts(&text, k % 50 == 0 ? "\"\"" : "q");
        }
        buf_puts(&text, "\"\n");
    }
    char folder[TEST_PATH], path[TEST_PATH];
    test_dir_make(folder);
    test_path(path, "%s/t.csv", folder);
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, text.data, text.size), (ssize_t)text.size);
    ck_assert_int_eq(input_open(&in, fd, "t.csv", &err), 0);
    ck_assert_msg(csv_open(&in, &options, &csv, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(csv_rows(csv), 3000);
    for (size_t i = 0; i < 3000; i += 37) {
        ck_assert_int_eq(csv_row(csv, 2999 - i, &v, &err), 0);
        ck_assert_int_eq(v[0].i, (int64_t)(2999 - i));
        ck_assert_uint_eq(v[1].n, (2999 - i) * 7 % 9000);
        ck_assert(v[1].n == 0 || v[1].text[0] == '"');
    }
    csv_close(csv);
    (void)close(fd);
    test_dir_remove(folder);
    buf_fini(&text);
}
END_TEST

static const struct {
    const char *text;
    double value; /* NAN: refused */
} doubles[] = {
    {"0.1", 0.1},
    {"-0", -0.0},
    {"+1e22", 1e22},
    {"123456789012345678901234567890", 123456789012345678901234567890.0},
    {"2.2250738585072011e-308", 2.2250738585072011e-308},
    {"4.9e-324", 4.9e-324},
    {"1e-400", 0.0},
    {"9007199254740993", 9007199254740992.0},
    {"1.7976931348623157e308", 1.7976931348623157e308},
    {"1e999", (double)NAN},
    {"0x10", (double)NAN},
    {"1,5", (double)NAN},
    {"", (double)NAN},
    {".", (double)NAN},
    {"1e", (double)NAN},
    {" 1", (double)NAN},
    {"inf", (double)NAN},
    {"5.", 5.0},
    {".5e1", 5.0},
};

START_TEST(test_doubles)
{
    double value = 0;
    const bool is_good = number_f64(doubles[_i].text, strlen(doubles[_i].text), &value);
    ck_assert_int_eq(is_good, !isnan(doubles[_i].value));
    ck_assert(!is_good || memcmp(&value, &doubles[_i].value, 8) == 0);
}
END_TEST

/* Rounding twice, over a double, would give the other neighbour. */
START_TEST(test_singles)
{
    float value = 0;
    ck_assert(number_f32("1.00000017881393432617187499", 28, &value));
    ck_assert(value == 0x1.000002p+0F);
    ck_assert(number_f32("16777217", 8, &value) && value == 16777216.0F);
    ck_assert(number_f32("1e-46", 5, &value) && value == 0.0F);
    ck_assert(!number_f32("3.5e38", 6, &value));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("csv");
    TCase *c = tcase_create("csv");
    tcase_add_loop_test(c, test_tables, 0, sizeof tables / sizeof tables[0]);
    tcase_add_loop_test(c, test_cases, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(c, test_types);
    tcase_add_test(c, test_given);
    tcase_add_test(c, test_long);
    tcase_add_loop_test(c, test_doubles, 0, sizeof doubles / sizeof doubles[0]);
    tcase_add_test(c, test_singles);
    suite_add_tcase(suite, c);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

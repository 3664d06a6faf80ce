#include <string.h>

#include "base/tensor.h"
#include "tests/test.h"

START_TEST(test_dtypes)
{
    for (int i = 0; i < (int)DTYPE_MAX_; i++) {
        ck_assert_int_eq(dtype_find(dtype_name((enum dtype)i)), i);
        ck_assert_uint_gt(dtype_bytes((enum dtype)i), 0);
    }
    ck_assert_int_eq(dtype_find("float16"), ERR_UNKNOWN);
    ck_assert_uint_eq(dtype_bytes(DTYPE_F64), 8);
}
END_TEST

static const struct {
    struct shape shape;
    int code;
    int64_t count;
    const char *text;
} shapes[] = {
    {{.rank = 0}, 0, 1, "()"},
    {{.rank = 1, .d = {7}}, 0, 7, "(7,)"},
    {{.rank = 3, .d = {28, 28, 1}}, 0, 784, "(28, 28, 1)"},
    {{.rank = 4, .d = {-1, 2, 3, 4}}, ERR_SHAPE, 0, "(None, 2, 3, 4)"},
    {{.rank = 3, .d = {2, 0, 3}}, 0, 0, "(2, 0, 3)"},
    {{.rank = 2, .d = {INT64_MAX, 2}}, ERR_LIMIT, 0, "(9223372036854775807, 2)"},
    {{.rank = 3, .d = {0, INT64_MAX, 2}}, ERR_LIMIT, 0, "(0, 9223372036854775807, 2)"},
    {{.rank = 8, .d = {2, 2, 2, 2, 2, 2, 2, 2}}, 0, 256, "(2, 2, 2, 2, 2, 2, 2, 2)"},
    {{.rank = 9}, ERR_SHAPE, 0, NULL},
};

START_TEST(test_shapes)
{
    int64_t count = 0;
    char text[256];
    const struct shape *shape = &shapes[_i].shape;
    ck_assert_int_eq(shape_count(shape, &count), shapes[_i].code);
    ck_assert_int_eq(count, shapes[_i].count);
    if (shapes[_i].text) {
        shape_format(shape, text, sizeof(text));
        ck_assert_str_eq(text, shapes[_i].text);
    }
}
END_TEST

START_TEST(test_bytes)
{
    size_t bytes = 0;
    struct shape shape = shape_make(2, (const int64_t[]){3, 5});
    ck_assert_int_eq(shape_bytes(&shape, DTYPE_F32, &bytes), 0);
    ck_assert_uint_eq(bytes, 60);
    shape = shape_make(1, (const int64_t[]){INT64_MAX / 2});
    ck_assert_int_eq(shape_bytes(&shape, DTYPE_F64, &bytes), ERR_LIMIT);
}
END_TEST

START_TEST(test_equal)
{
    struct shape a = shape_make(2, (const int64_t[]){3, 5}), b = a;
    ck_assert(shape_equal(&a, &b));
    b.d[1] = 6;
    ck_assert(!shape_equal(&a, &b));
    b = shape_make(1, (const int64_t[]){3});
    ck_assert(!shape_equal(&a, &b));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("tensor");
    TCase *cases = tcase_create("tensor");
    tcase_add_test(cases, test_dtypes);
    tcase_add_loop_test(cases, test_shapes, 0, sizeof(shapes) / sizeof(shapes[0]));
    tcase_add_test(cases, test_bytes);
    tcase_add_test(cases, test_equal);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

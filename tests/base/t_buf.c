#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tests/test.h"

START_TEST(test_growth)
{
    struct buf buf;
    buf_init(&buf);
    for (int i = 0; i < 1000; i++) {
        buf_puts(&buf, "ab");
        buf_put(&buf, "c\0d", 3);
        ck_assert_uint_eq(buf.size, (size_t)(i + 1) * 5);
        ck_assert_int_eq(buf.data[buf.size], '\0');
    }
    ck_assert_mem_eq(buf.data + 4990, "abc\0dabc\0d", 10);
    buf_clear(&buf);
    ck_assert_uint_eq(buf.size, 0);
    ck_assert_str_eq(buf.data, "");
    buf_printf(&buf, "%05d|%s", 42, "x");
    ck_assert_str_eq(buf.data, "00042|x");
    buf_fini(&buf);
    buf_fini(&buf);
    buf_fini(NULL);
}
END_TEST

START_TEST(test_take)
{
    struct buf buf = {0};
    char *text = buf_take(&buf);
    ck_assert_str_eq(text, "");
    free(text);
    buf_puts(&buf, "hello");
    text = buf_take(&buf);
    ck_assert_str_eq(text, "hello");
    ck_assert_ptr_null(buf.data);
    free(text);
    buf_put(&buf, NULL, 0);
    ck_assert_uint_eq(buf.size, 0);
    buf_fini(&buf);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("buf");
    TCase *cases = tcase_create("buf");
    tcase_add_test(cases, test_growth);
    tcase_add_test(cases, test_take);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/err.h"
#include "tests/test.h"

START_TEST(test_codes)
{
    static const int codes[] = {
#define ERR_ROW(symbol, number, name, exit_status, blame, sentence) (number),
#include "base/errors.h"
#undef ERR_ROW
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const struct err_desc *desc = err_find(codes[i]);
        ck_assert_int_eq(desc->code, codes[i]);
        ck_assert_int_lt(desc->code, 0);
        ck_assert_int_gt(desc->exit_status, 0);
        ck_assert_ptr_eq(err_find_name(desc->name), desc);
        ck_assert_uint_gt(strlen(desc->sentence), 0);
    }
    ck_assert_int_eq(err_find(12345)->code, ERR_INTERNAL);
    ck_assert_ptr_null(err_find_name("nonsense"));
}
END_TEST

START_TEST(test_is_data)
{
    static const int data[] = {ERR_CORRUPT, ERR_DATA, ERR_TRUNCATED, ERR_VALUE},
                     others[] = {0, ERR_NO_MEMORY, ERR_IO, ERR_INTERNAL, ERR_NO_SPACE, ERR_DENIED};
    for (size_t i = 0; i < sizeof data / sizeof data[0]; i++) {
        ck_assert(err_is_data(data[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        ck_assert(!err_is_data(others[i]));
    }
}
END_TEST

START_TEST(test_set)
{
    struct err err;
    char line[1024];
    ck_assert_int_eq(err_set(NULL, ERR_RANGE, "x"), ERR_RANGE);
    ck_assert_int_eq(err_set_at(NULL, ERR_RANGE, "a", "x"), ERR_RANGE);
    err_prefix(NULL, "x");
    ck_assert_int_eq(err_set(&err, ERR_RANGE, "%d is too much", 7), ERR_RANGE);
    err_format(&err, line, sizeof(line));
    ck_assert_str_eq(line, "7 is too much");
    ck_assert_int_eq(err_set_at(&err, ERR_INVALID, "units", "two\nlines"), ERR_INVALID);
    err.line = 3;
    err_format(&err, line, sizeof(line));
    ck_assert_str_eq(line, "line 3: units: two lines");
}
END_TEST

static const struct {
    const char *path, *prefix, *want;
} prefixes[] = {
    {"units", "model[2]", "model[2].units"},
    {"[1]", "pool_size", "pool_size[1]"},
    {"", "model", "model"},
    {"units", "", "units"},
    {"a.b", "c", "c.a.b"},
};

START_TEST(test_prefix)
{
    struct err err;
    err_set_at(&err, ERR_INVALID, prefixes[_i].path, "x");
    err_prefix(&err, "%s", prefixes[_i].prefix);
    ck_assert_str_eq(err.path, prefixes[_i].want);
}
END_TEST

START_TEST(test_prefix_keeps_its_bound)
{
    struct err err;
    err_set_at(&err, ERR_INVALID, "end", "x");
    for (int i = 0; i < 100; i++) {
        err_prefix(&err, "a_rather_long_name_%d", i);
    }
    ck_assert_uint_lt(strlen(err.path), sizeof(err.path));
}
END_TEST

static const struct {
    int number, code;
} errnos[] = {
    {ENOSPC, ERR_NO_SPACE},  {EDQUOT, ERR_NO_SPACE}, {EFBIG, ERR_NO_SPACE},
    {ENOENT, ERR_NOT_FOUND}, {EACCES, ERR_DENIED},   {EPERM, ERR_DENIED},
    {ENOMEM, ERR_NO_MEMORY}, {EIO, ERR_IO},
};

START_TEST(test_errno)
{
    struct err err;
    ck_assert_int_eq(err_errno(&err, errnos[_i].number, "open '%s'", "x"), errnos[_i].code);
    ck_assert_int_eq(err.code, errnos[_i].code);
    ck_assert_ptr_eq(strstr(err.text, "open 'x': "), err.text);
    ck_assert_int_eq(err_errno(NULL, errnos[_i].number, "x"), errnos[_i].code);
}
END_TEST

static const char *const names[] = {"Conv2D", "Dense", "Flatten", "MaxPooling2D", "kernel_size"};
static const struct {
    const char *name, *want;
} nearests[] = {
    {"conv2d", "Conv2D"},
    {"Desne", "Dense"},
    {"Flaten", "Flatten"},
    {"MaxPool2D", "MaxPooling2D"},
    {"kernel-size", "kernel_size"},
    {"Bidirectional", NULL},
    {"", NULL},
    {"zzz", NULL},
    {"a_name_that_is_longer_than_any_name_of_ours_can_be_and_longer_and_longer_still", NULL},
};

START_TEST(test_nearest)
{
    const char *got = err_nearest(nearests[_i].name, names, sizeof(names) / sizeof(names[0]));
    if (nearests[_i].want) {
        ck_assert_ptr_nonnull(got);
        ck_assert_str_eq(got, nearests[_i].want);
    } else {
        ck_assert_ptr_null(got);
    }
}
END_TEST

static void break_something(void *arg)
{
    BUG_ON(arg == NULL);
}

START_TEST(test_bug_aborts)
{
    int here = 0;
    ck_assert_int_eq(test_in_child(break_something, NULL), -SIGABRT);
    ck_assert_int_eq(test_in_child(break_something, &here), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("err");
    TCase *cases = tcase_create("err");
    tcase_add_test(cases, test_codes);
    tcase_add_test(cases, test_is_data);
    tcase_add_test(cases, test_set);
    tcase_add_loop_test(cases, test_prefix, 0, sizeof(prefixes) / sizeof(prefixes[0]));
    tcase_add_test(cases, test_prefix_keeps_its_bound);
    tcase_add_loop_test(cases, test_errno, 0, sizeof(errnos) / sizeof(errnos[0]));
    tcase_add_loop_test(cases, test_nearest, 0, sizeof(nearests) / sizeof(nearests[0]));
    tcase_add_test(cases, test_bug_aborts);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}

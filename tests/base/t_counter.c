#include <string.h>

#include "base/clock.h"
#include "base/counter.h"
#include "tests/test.h"

static const struct counter_desc table[] = {
    {"chunks_made", "", COUNTER_TOTAL, "Chunks that workers made."},
    {"slab_bytes", "bytes", COUNTER_GAUGE, "Bytes of slabs."},
    {"sent", "bytes", COUNTER_TOTAL, "Bytes sent."},
};
static const int64_t values[] = {12, -3, INT64_MAX};

START_TEST(test_write)
{
    struct arena arena = {0};
    struct buf out = {0};
    struct doc *map = doc_new(&arena);
    counter_write(table, 3, values, map, &arena);
    doc_write_json(map, 0, &out);
    ck_assert_str_eq(out.data,
                     "{\"chunks_made\": 12, \"slab_bytes\": -3, \"sent\": 9223372036854775807}");
    buf_fini(&out);
    arena_fini(&arena);
}
END_TEST

START_TEST(test_openmetrics)
{
    struct buf out = {0};
    counter_openmetrics(table, 3, values, "job=\"7\"", &out);
    ck_assert_str_eq(out.data, "# TYPE millrace_chunks_made counter\n"
                               "# HELP millrace_chunks_made Chunks that workers made.\n"
                               "millrace_chunks_made_total{job=\"7\"} 12\n"
                               "# TYPE millrace_slab_bytes gauge\n"
                               "# UNIT millrace_slab_bytes bytes\n"
                               "# HELP millrace_slab_bytes Bytes of slabs.\n"
                               "millrace_slab_bytes{job=\"7\"} -3\n"
                               "# TYPE millrace_sent_bytes counter\n"
                               "# UNIT millrace_sent_bytes bytes\n"
                               "# HELP millrace_sent_bytes Bytes sent.\n"
                               "millrace_sent_bytes_total{job=\"7\"} 9223372036854775807\n");
    buf_clear(&out);
    counter_openmetrics(table, 1, values, NULL, &out);
    ck_assert_ptr_nonnull(strstr(out.data, "millrace_chunks_made_total 12\n"));
    buf_fini(&out);
}
END_TEST

START_TEST(test_clock)
{
    char text[40];
    int64_t before = clock_us();
    ck_assert_int_le(before, clock_us());
    ck_assert_int_gt(clock_wall_us(), 1600000000000000);
    clock_format(1795536308000000, text, sizeof(text));
    ck_assert_str_eq(text, "2026-11-24T16:05:08Z");
    clock_format(-1, text, sizeof(text));
    ck_assert_str_eq(text, "1969-12-31T23:59:59Z");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("counter");
    TCase *cases = tcase_create("counter");
    tcase_add_test(cases, test_write);
    tcase_add_test(cases, test_openmetrics);
    tcase_add_test(cases, test_clock);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
